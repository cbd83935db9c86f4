/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MaxMind database format 2.0 (https://maxmind.github.io/MaxMind-DB/): a binary tree over the bits of an
 * address, whose nodes are pairs of records of 24 bits; a record is another node, nothing (the number of
 * nodes), or an offset into the data behind the tree. IPv4 lies in ::/96.
 */
#include "peer_mmdb.h"

#include <stdlib.h>

#define BITS 128U
#define VALUE                                                                                      \
    0x80000000U /* a record of the tree being built: VALUE | country; 0: nothing; else a node */
#define SEPARATOR 16U

struct node {
    uint32_t child[2];
};

struct peer_mmdb {
    struct node *node; /* the first is the root: nobody points at it, so 0 can say "nothing" */
    uint32_t count, cap;
    uint16_t country_of[65536]; /* by both letters; from 1 on */
    char code[1024][2];
    uint16_t countries;
    uint32_t *number; /* in the file, by node */
    uint32_t written;
    struct bh_buf out;
};

static _Noreturn void
fail(const char *why)
{
    fprintf(stderr, "peer_mmdb: %s\n", why);
    exit(1);
}

static uint32_t
new_node(struct peer_mmdb *m, uint32_t both)
{
    if (m->count == m->cap) {
        m->cap = m->cap == 0 ? 1U << 16 : m->cap * 2;
        m->node = realloc(m->node, bh_size_mul(m->cap, sizeof *m->node));
        if (m->node == NULL) {
            fail("out of memory");
        }
    }
    m->node[m->count] = (struct node){ { both, both } };
    return m->count++;
}

struct peer_mmdb *
peer_mmdb_new(void)
{
    struct peer_mmdb *m = calloc(1, sizeof *m);
    if (m == NULL) {
        fail("out of memory");
    }
    new_node(m, 0);
    return m;
}

static void
add_prefix(struct peer_mmdb *m, bh_u128 address, unsigned len, uint32_t value)
{
    uint32_t at = 0;
    for (unsigned depth = 0; depth + 1 < len; depth++) {
        unsigned bit = (unsigned)(address >> (BITS - 1 - depth)) & 1;
        uint32_t next = m->node[at].child[bit];
        if (next == 0 || (next & VALUE) != 0) {
            next = new_node(m, next); /* may move the nodes */
            m->node[at].child[bit] = next;
        }
        at = next;
    }
    m->node[at].child[(unsigned)(address >> (BITS - len)) & 1] = value;
}

static bh_u128
number_of(const struct bh_ip *ip)
{
    if (ip->family == 4) {
        return bh_get_be32(ip->octets);
    }
    return (bh_u128)bh_get_be64(ip->octets) << 64 | bh_get_be64(ip->octets + 8);
}

/* The largest block that begins here and ends inside, again and again. */
void
peer_mmdb_add(struct peer_mmdb *m, const struct bh_ip *first, const struct bh_ip *last,
              const char *code)
{
    uint16_t *country = &m->country_of[(unsigned)(uint8_t)code[0] << 8 | (uint8_t)code[1]];
    if (*country == 0) {
        if (++m->countries == BH_COUNT(m->code)) {
            fail("too many countries");
        }
        *country = m->countries;
        memcpy(m->code[*country], code, 2);
    }
    bh_u128 at = number_of(first);
    const bh_u128 end = number_of(last);
    while (at <= end) {
        unsigned free_bits = 0;
        while (free_bits < BITS - 1 && (at >> free_bits & 1) == 0 &&
               ((end - at) >> free_bits) >= 1 && at + (((bh_u128)2 << free_bits) - 1) <= end) {
            free_bits++;
        }
        add_prefix(m, at, BITS - free_bits, VALUE | *country);
        bh_u128 next = at + ((bh_u128)1 << free_bits);
        if (next < at) {
            break;
        }
        at = next;
    }
}

/* What a record stands for once nodes with two equal leaves are leaves. At most BITS deep. */
static uint32_t
join(struct peer_mmdb *m, uint32_t record)
{
    if (record == 0 || (record & VALUE) != 0) {
        return record;
    }
    struct node *n = &m->node[record];
    n->child[0] = join(m, n->child[0]);
    n->child[1] = join(m, n->child[1]);
    bool is_leaf = n->child[0] == n->child[1] && (n->child[0] == 0 || (n->child[0] & VALUE) != 0);
    return is_leaf ? n->child[0] : record;
}

static void
give_numbers(struct peer_mmdb *m, uint32_t at)
{
    m->number[at] = m->written++;
    for (int bit = 0; bit < 2; bit++) {
        uint32_t next = m->node[at].child[bit];
        if (next != 0 && (next & VALUE) == 0) {
            give_numbers(m, next);
        }
    }
}

/* Data of a country: a map of one pair, 17 octets. */
#define DATA_SIZE 17U

static void
put_node(struct peer_mmdb *m, uint32_t at)
{
    for (int bit = 0; bit < 2; bit++) {
        uint32_t next = m->node[at].child[bit];
        uint32_t v = next == 0 ? m->written
                     : (next & VALUE) != 0
                         ? m->written + SEPARATOR + ((next & ~VALUE) - 1) * DATA_SIZE
                         : m->number[next];
        uint8_t record[4];
        bh_put_be32(record, v);
        bh_buf_add(&m->out, record + 1, 3);
    }
    for (int bit = 0; bit < 2; bit++) {
        uint32_t next = m->node[at].child[bit];
        if (next != 0 && (next & VALUE) == 0) {
            put_node(m, next);
        }
    }
}

static void
put_text(struct bh_buf *b, const char *s, size_t n)
{
    bh_buf_putc(b, (char)(0x40 | n)); /* all of ours are shorter than 29 */
    bh_buf_add(b, s, n);
}

/* Types: 5 uint16 (two octets at most), 6 uint32, 9 uint64. */
static void
put_number(struct bh_buf *b, const char *name, unsigned type, uint32_t v)
{
    uint8_t octets[4];
    put_text(b, name, strlen(name));
    if (type < 8) {
        bh_buf_putc(b, (char)(type << 5 | 4));
    } else { /* an extended type */
        bh_buf_putc(b, 4);
        bh_buf_putc(b, (char)(type - 7));
    }
    bh_put_be32(octets, v);
    bh_buf_add(b, octets, 4);
}

static void
put_short(struct bh_buf *b, const char *name, uint16_t v)
{
    put_text(b, name, strlen(name));
    bh_buf_putc(b, (char)(5U << 5 | 2));
    bh_buf_putc(b, (char)(v >> 8));
    bh_buf_putc(b, (char)v);
}

static void
put_metadata(struct peer_mmdb *m)
{
    struct bh_buf *b = &m->out;
    bh_buf_puts(b, "\xab\xcd\xefMaxMind.com");
    bh_buf_putc(b, (char)(0xe0 | 9));
    put_short(b, "binary_format_major_version", 2);
    put_short(b, "binary_format_minor_version", 0);
    put_number(b, "build_epoch", 9, 1767225600);
    put_text(b, "database_type", 13);
    put_text(b, "Country of a benchmark", 22);
    put_text(b, "description", 11);
    bh_buf_putc(b, (char)0xe0);
    put_short(b, "ip_version", 6);
    put_text(b, "languages", 9);
    bh_buf_putc(b, 0);
    bh_buf_putc(b, 11 - 7);
    put_number(b, "node_count", 6, m->written);
    put_short(b, "record_size", 24);
}

static void
write_file(struct peer_mmdb *m, const char *path)
{
    struct node *root = &m->node[0];
    root->child[0] = join(m, root->child[0]);
    root->child[1] = join(m, root->child[1]);
    m->number = calloc(m->count, sizeof *m->number);
    if (m->number == NULL) {
        fail("out of memory");
    }
    give_numbers(m, 0);
    if (m->written + SEPARATOR + m->countries * DATA_SIZE >= 1U << 24) {
        fail("too many nodes for records of 24 bits");
    }
    put_node(m, 0);
    bh_buf_add(&m->out, (const uint8_t[SEPARATOR]){ 0 }, SEPARATOR);
    for (unsigned i = 1; i <= m->countries; i++) {
        bh_buf_putc(&m->out, (char)(0xe0 | 1));
        put_text(&m->out, "country_code", 12);
        put_text(&m->out, m->code[i], 2);
    }
    put_metadata(m);
    struct bh_error err;
    if (m->out.failed || bh_file_replace(path, m->out.data, m->out.len, &err) < 0) {
        fail("cannot write");
    }
}

void
peer_mmdb_finish(struct peer_mmdb *m, const char *path)
{
    if (path != NULL) {
        write_file(m, path);
    }
    bh_buf_done(&m->out);
    free(m->number);
    free(m->node);
    free(m);
}
