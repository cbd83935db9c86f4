/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of lib/store share. The way in: a batch is *interned* - its addresses, forms and
 * groups become small numbers of `struct terms`, its rows those of a `struct chunk` - and chunks
 * are *put* as blocks, in the words of a *dictionary* made of what the chunks of one segment hold.
 * The way out: a dictionary is got, and blocks by it. docs/format/log.md has the octets.
 */
#ifndef STORE_PRIV_H
#define STORE_PRIV_H

#include "bh_store.h"
#include "code_priv.h"

#define BLOCK_ROWS 65536U

/* ---- tables: what the rows of open chunks refer to (table.c) ------------------------------------- */

/* The far end of a record, or what stands for it: see far_of(). */
struct far {
    uint64_t hi, lo;  /* IPv4: lo */
    uint16_t country; /* index of terms.country */
    uint8_t family;   /* 0, 4, 6 */
};

/* One address: our own end. */
struct near {
    uint64_t hi, lo;
    uint8_t family;
};

/* What changes seldom: together it is one number. */
struct form {
    uint64_t mac;
    uint32_t options, header_len, link_len; /* ip_len - payload_len, wire_len - ip_len */
    uint32_t tunnel_sender, tunnel_vni;
    uint16_t layers, vlan, ethertype, interface;
    uint8_t flags, marks, reason, df, ttl; /* ttl: of packets of ours */
    uint8_t zero[7];
};
#define FORM_NUMBERS 16U /* as columns of a dictionary */
void form_to_numbers(const struct form *f, uint32_t v[FORM_NUMBERS]);
void form_from_numbers(const uint32_t v[FORM_NUMBERS], struct form *ret);

/* A group: class, direction, kind, protocol, and whether the service is the first of the ports. */
#define GROUP_BITS 20U
#define GROUPS_ALL (1UL << GROUP_BITS)
static inline uint32_t
group_pack(unsigned cls, unsigned direction, unsigned kind, unsigned proto, unsigned in_front)
{
    return cls << 15 | direction << 12 | kind << 9 | proto << 1 | in_front;
}
static inline unsigned
group_cls(uint32_t g)
{
    return g >> 15 & 31;
}
static inline unsigned
group_direction(uint32_t g)
{
    return g >> 12 & 7;
}
static inline unsigned
group_kind(uint32_t g)
{
    return g >> 9 & 7;
}
static inline unsigned
group_proto(uint32_t g)
{
    return g >> 1 & 255;
}
static inline unsigned
group_in_front(uint32_t g)
{
    return g & 1;
}

/* Streams: shapes and the other port are coded apart for each. */
enum stream { STREAM_KNOCK, STREAM_TCP, STREAM_UDP, STREAM_ICMP, STREAM_REST, STREAMS };
static inline enum stream
stream_of(uint32_t g)
{
    const unsigned kind = group_kind(g), proto = group_proto(g);
    if (kind != BH_KIND_IP4 && kind != BH_KIND_IP6) {
        return STREAM_REST;
    }
    return proto == BH_PROTO_TCP   ? (group_cls(g) == BH_CLASS_ACCESS ? STREAM_KNOCK : STREAM_TCP)
           : proto == BH_PROTO_UDP ? STREAM_UDP
           : proto == BH_PROTO_ICMP || proto == BH_PROTO_ICMP6 ? STREAM_ICMP
                                                               : STREAM_REST;
}

/* What a record is for: group << 16 | port. How it looks: stream, form and length. */
static inline uint64_t
shape_key(unsigned stream, uint32_t form, uint32_t ip_len)
{
    return (uint64_t)stream << 60 | (uint64_t)form << 32 | ip_len;
}
static inline unsigned
shape_stream(uint64_t key)
{
    return (unsigned)(key >> 60);
}
static inline uint32_t
shape_form(uint64_t key)
{
    return (uint32_t)(key >> 32) & 0xfffffff;
}
static inline uint32_t
shape_len(uint64_t key)
{
    return (uint32_t)key;
}

#define PORT_TABLES 32U

/* Numbers of 64 bits, each once. */
struct keys {
    uint64_t hash_key, *key;
    uint32_t count, cap, mask, hashed; /* hashed: how many have a slot */
    uint32_t *slot;                    /* id + 1 */
};

/* Which number an address has. */
struct slot4 {
    uint32_t lo, id; /* id + 1 */
};
struct slot6 { /* also of what has no address */
    uint64_t hi, lo;
    uint32_t id, family;
};
struct addresses {
    struct slot4 *slot4;
    struct slot6 *slot6;
    uint32_t mask4, mask6, count4, count6;
};

/* All that a shape is made of, as it is in a batch: what is looked for first, so it never stands in memory as
 * fields that are read back as words. */
#define LOOK_WORDS 6U
struct look {
    uint64_t word[LOOK_WORDS];
};
/* Shapes that were met lately, found by their place: 64 octets each. */
struct seen_shape {
    struct look look;
    uint64_t shape; /* + 1; 0: none */
    uint64_t zero;
};
#define SEEN_SHAPES 4096U

struct terms {
    const kobold *countries;
    uint64_t key;
    struct far *far;
    struct near *near;
    struct form *form;
    uint32_t far_count, near_count, form_count;
    uint32_t far_cap, near_cap, form_cap;
    struct addresses far_at, near_at;
    uint32_t *form_slot, form_mask; /* id + 1 */
    struct seen_shape *seen_shape;
    struct keys service, shape;
    /* Of the first groups: id + 1 of each port, so that a look-up is one load. */
    uint8_t *group_index; /* [packed]: index + 1; 0: none */
    uint32_t *port_id[PORT_TABLES];
    uint32_t port_tables;
    struct bh_store_country *country;
    uint32_t country_count;
    uint16_t country_of_value[KOBOLD_VALUES_MAX]; /* index + 1 */
    /* While another thread seals rows of these tables (seal.c) they only grow at their ends, and lists that
     * must move leave what it sees where it is, until it is done. */
    bool is_read;
    void **left;
    size_t left_count, left_cap;
};
BH_NODISCARD int terms_init(struct terms *t, const kobold *countries, uint64_t key);
void terms_done(struct terms *t);
/* Nobody else reads them any more. */
void terms_release(struct terms *t);
struct chunk;
/* Forgets what the rows of these chunks, which are all there are, do not refer to, as if when there were only the first
 * `before` of them: numbers change, in the rows too. After -ENOMEM all is as before. */
BH_NODISCARD int
terms_keep(struct terms *t, struct chunk *const *chunk, size_t chunks, uint64_t before);

/* What a chunk has and what it lacks; one block is all of one kind. */
enum {
    CHUNK_COLD = 1 << 0,
    CHUNK_WEIGHT = 1 << 1,
    CHUNK_ALL_INBOUND = 1 << 2,
    CHUNK_NO_SEQ = 1 << 3, /* sequence numbers only tell connections apart */
    CHUNK_LACKS_SHIFT = 8, /* BH_LACK_... above */
};
/* Beside the kind of a row: an IP packet that was not sent by us, so its TTL is that of the far end. */
enum { CHUNK_THEIRS = 8 };

struct quote_row {
    uint32_t row;
    struct bh_quote quote;
};
struct seen_row {
    uint32_t row;
    struct bh_seen seen;
};

struct chunk {
    uint32_t rows, flags;
    int64_t min_ns, max_ns;
    uint32_t far_least[2], far_most[2]; /* IPv4; the upper 32 bits of IPv6 */
    int64_t *ts_ns;
    uint32_t *far, *near, *service, *shape, *seq, *weight,
        *connection;                         /* far to shape: of the tables */
    uint16_t *port, *other, *ip_id, *window; /* port: of the service */
    uint8_t *ttl, *outcome, *kind, *stream;  /* kind: CHUNK_THEIRS too */
    struct quote_row *quote;
    struct seen_row *seen;
    uint32_t quote_count, quote_cap, seen_count, seen_cap;
    uint32_t side_base; /* what the rows of quotes and seen are counted from: of chunk_part() */
    void *columns;      /* all of these but weight and the two lists */
};
BH_NODISCARD struct chunk *chunk_new(void);
void chunk_free(struct chunk *c);
/* No rows, for other ones. */
void chunk_reset(struct chunk *c);
/* Rows first.. of a chunk, as a chunk that borrows them and is not to be freed. */
struct chunk chunk_part(const struct chunk *c, uint32_t first, uint32_t rows);
uint32_t chunk_flags_of(const struct bh_batch *b);
/* Rows from..to of a batch behind those of the chunk; it has room and the flags. `country_map`: what
 * country[] means in these tables, of a batch that has it; NULL: the database is asked. */
BH_NODISCARD int chunk_add(struct chunk *c, struct terms *t, const struct bh_batch *b,
                           uint32_t from, uint32_t to, const uint16_t *country_map);
/* The number of a country of somewhere else. */
uint16_t terms_country(struct terms *t, const struct bh_store_country *c);

/* ---- dictionary ------------------------------------------------------------------------------------------ */

/* Far ends are told by country, symbol and index: dict.c. */
enum {
    FAR_NONE = 0,
    FAR_ONCE4 = 1,
    FAR_ONCE6 = 2,
    FAR_SAME = 3,
    FAR_CLASS4 = 4,
    FAR_CLASS6 = 80,
    FAR_SYMBOLS = 256
};

struct far_group {
    uint32_t first, count; /* entries */
    uint8_t bits;          /* of an index: this many, or one less for the first `short_count` */
    uint32_t short_count;
};

#define CODES 256U
#define PORT_ANY 65536U
#define CODE_OTHER 255U /* an octet that says: look into the list behind */

struct shape {
    uint32_t form, ip_len;
};

struct entry {
    uint64_t hi, lo;
    uint16_t country;
    uint8_t family, ttl;
};

/* How a far end is told: all of it in a quarter of a line, as rows ask for it at random. */
struct far_out {
    uint32_t number; /* of its entry; behind those, of what comes once; UINT32_MAX: no address */
    uint32_t bits;   /* of its place in its group; of what stands in its row: an IPv4 address */
    uint16_t country;
    uint8_t symbol, bit_count, ttl;
};

/* One that comes once in the segment, and stands in its row. */
struct far_once {
    uint64_t hi, lo;
    uint32_t far;
    uint16_t country; /* of the dictionary */
    uint8_t family;
};

struct dict {
    struct bh_store_country *country;
    uint32_t country_count;
    uint16_t *group_of; /* [country * FAR_SYMBOLS + symbol]: far group + 1; 0: none */
    struct far_group *far_group;
    uint32_t far_group_count;
    struct entry *entry;
    uint32_t entry_count;
    struct near *near;
    uint32_t near_count;
    bool near_direct; /* our addresses stand in the blocks */
    bool far_direct;  /* the others do too: the writer has no far_out */
    struct form *form;
    uint32_t form_count;
    uint32_t *group; /* packed */
    uint32_t group_count;
    struct service {
        uint32_t group; /* index                      */
        uint32_t port;  /* PORT_ANY: stands in a list */
        uint32_t count;
    } service[CODES];
    uint32_t service_count;
    /* of the reader: what a code says, spelled out; and the addresses of IPv4 entries close together */
    struct spelled {
        uint32_t group, port;
        uint8_t stream, cls, direction, kind, proto;
    } spelled[CODES];
    uint32_t *entry4;
    uint32_t entry4_count;
    uint8_t *entry_ttl;
    struct shape shape[STREAMS][CODES];
    uint32_t shape_count[STREAMS];

    /* of the writer: what the numbers of its tables became */
    struct far_out *far_out;
    struct far_once *once; /* by family, country and address */
    uint32_t once4, once6;
    size_t far_out_size, once_size; /* octets: pages of their own, as there may be millions */
    uint32_t *near_code, *form_code;
    uint16_t *country_code;
    uint32_t *service_group; /* index of the group                           */
    uint8_t *service_code, *shape_code;
};
void dict_done(struct dict *d);

/* How often each number of a table comes, and which do, in the order they were met. */
struct counts {
    uint32_t *count, *used;
    uint32_t cap, used_count;
};
struct census {
    uint64_t rows;
    struct counts far, near, service, shape;
    uint8_t *ttl; /* of the first packet a far end sent */
};
void census_done(struct census *c);
/* Nothing counted; costs no more than what was. */
void census_reset(struct census *c);
BH_NODISCARD int census_add(struct census *c, const struct terms *t, const struct chunk *ch);
BH_NODISCARD int dict_build(struct dict *d, const struct terms *t, const struct census *c);
void dict_put(const struct dict *d, struct code_work *w, struct bh_buf *out);
/* Its first part alone. */
void dict_put_countries(const struct dict *d, struct bh_buf *out);
BH_NODISCARD int
dict_get_countries(struct bh_cur *c, struct bh_store_country **ret, uint32_t *ret_count);

/* A dictionary for rows that are written for a second, made without counting: dict_plain.c. */
struct dict_plain {
    struct dict dict;
    uint16_t *group_at; /* [packed]: index + 1 */
    uint16_t *country_used;
    uint32_t *form_used, *shape_used; /* of the tables, in the order of the dictionary */
    uint8_t *shape_is_used;
    uint32_t shapes, services; /* shapes: of shape_used; services: of the tables, that are known */
    size_t group_cap, service_cap, form_cap, shape_cap;
};
/* p->dict for the rows of a chunk. All calls with the same tables. */
BH_NODISCARD int
dict_plain_make(struct dict_plain *p, const struct terms *t, const struct chunk *c);
void dict_plain_done(struct dict_plain *p);

/* 0, -ENOMEM, or BH_EDAMAGED. */
BH_NODISCARD int dict_get(struct dict *d, const uint8_t *data, size_t size);

/* ---- blocks --------------------------------------------------------------------------------------------- */

/* Columns have permanent numbers. */
enum column {
    COLUMN_TIME = 1,
    COLUMN_COUNTRY = 2,
    COLUMN_FAR = 3,
    COLUMN_NEAR = 4,
    COLUMN_SERVICE = 5,
    COLUMN_SHAPE = 6,
    COLUMN_OTHER_KNOCK = 7, /* + stream */
    COLUMN_OTHER_LAST = 11,
    COLUMN_OUTCOME = 12,
    COLUMN_TTL = 13,
    COLUMN_SEQ = 14,
    COLUMN_IP_ID = 15,
    COLUMN_WINDOW = 16,
    COLUMN_WEIGHT = 17,
    COLUMN_QUOTES = 18,
    COLUMN_SEEN = 19,
    COLUMNS = 32,
};
const char *column_name(unsigned column);

/* The head of a block: how many rows, when, and where its columns lie behind the head. */
struct block_head {
    uint32_t rows, flags;
    int64_t first_ns, min_ns, max_ns;
    uint8_t unit; /* of time steps: 0 ns, 1 us, 2 ms, 3 s */
    struct {
        uint32_t at, size; /* from the end of the head; size 0: not there */
        uint64_t sum;
    } column[COLUMNS];
    uint64_t body_size;
};
/* Room to put blocks together. */
struct block_work {
    struct code_work code;
    uint32_t *number, *second, *entry;
    uint16_t *row; /* rows of a stream after those of another */
    uint32_t stream_at[STREAMS + 1];
    uint8_t *octet, *other, *usual; /* usual TTL of the far end */
    uint16_t *country;              /* of each row: of the dictionary */
    uint8_t *service;               /* of each row: its code */
    struct bh_buf bits, head, body; /* head, body: for who puts blocks */
};
BH_NODISCARD int block_work_init(struct block_work *w);
void block_work_done(struct block_work *w);
/* To be appended to `head` and `body`; without memory these say so. */
void block_put(const struct dict *d, const struct terms *t, const struct chunk *c,
               struct block_work *w, struct bh_buf *head, struct bh_buf *body);
BH_NODISCARD int block_head_get(const uint8_t *data, size_t size, struct block_head *ret);

/* The last other port of a far end, while a stream is coded. */
#define LAST_OTHER 4096U

/* A block on its way out. */
struct block_rows;
BH_NODISCARD struct block_rows *block_rows_new(void);
void block_rows_free(struct block_rows *r);
/* Columns that are not wanted are not looked at. 0, or BH_EDAMAGED: nothing of it can be used. */
BH_NODISCARD int block_open(struct block_rows *r, const struct dict *d, const struct block_head *h,
                            const uint8_t *body, uint32_t want);
/* The same, but block_next() gives the rows only that a sieve lets pass. *ret_unknown: how many others are
 * unknown; *ret_more: more than service and country had to be looked at. */
struct sieve;
BH_NODISCARD int block_open_some(struct block_rows *r, const struct dict *d,
                                 const struct block_head *h, const uint8_t *body, uint32_t want,
                                 const struct sieve *s, uint64_t *ret_unknown, bool *ret_more);
/* Up to a batch of rows behind those of the last call; false: no more. */
bool block_next(struct block_rows *r, const uint16_t *value_of_country, struct bh_batch *b);

#endif
