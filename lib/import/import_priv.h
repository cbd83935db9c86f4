/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of an import. text.c gives octets, csv.c and json.c cut them into cells, cell.c and
 * stamp.c make values of these. A reader makes rows of a record: row.c (with columns.c, which knows
 * which cell is what), syslog.c with netfilter.c, zeek.c, nfdump.c; look.c chooses it, open.c begins. window.c puts the rows in
 * order, flow.c unrolls flows, import.c is the public face.
 */
#ifndef IMPORT_PRIV_H
#define IMPORT_PRIV_H

#include "bh_import.h"

struct cell {
    const char *at;
    size_t len;
};

/* ---- text.c: a file's octets, a buffer at a time ------------------------------------------------ */

#define TEXT_RECORD_MAX ((size_t)1 << 20) /* octets of one record */

struct text {
    const char *name; /* for messages; borrowed */
    struct bh_octets *octets;
    char *buf;
    size_t cap, len, at;
    bool ended;
    bool in_long_line; /* given up before its end was seen            */
    int failed;        /* reading: said when all before was taken     */
    uint64_t line;     /* of the record read last, 1-based            */
    uint64_t next_line;
    uint64_t bytes; /* unpacked */
    struct bh_error error;
    struct cell broken, object; /* json.c: what was given up, what was read last */
};

/* `opened` NULL: the path; that NULL too: from memory. */
int text_open(struct text *t, const char *path, struct bh_octets *opened, const void *data,
              size_t size, struct bh_error *err);
void text_close(struct text *t);
/* Fill up behind what is not yet taken. 0, or negative; -EMSGSIZE when there is no room left. */
int text_fill(struct text *t);
bool text_begins_with(const struct text *t, const char *word);
/* At the end: 0, or why it came too early; once. */
int text_end(struct text *t);
int text_pass_long_line(struct text *t);

enum { TEXT_END = 0, TEXT_LINE = 1, TEXT_LONG = 2 };
/* The next line without its end; good until the next call. TEXT_LONG: only its beginning, and the
 * rest will be passed over. Negative: -errno of reading, or -ENOMEM. */
int text_line(struct text *t, struct cell *ret_line);
/* So many octets, whatever they are; `n` at most TEXT_RECORD_MAX / 2. TEXT_END: the file ends before. */
int text_octets(struct text *t, size_t n, struct cell *ret_octets);
int text_skip(struct text *t, uint64_t n);

/* ---- csv.c ------------------------------------------------------------------------------------ */

#define CSV_CELLS_MAX 512U

struct csv {
    struct text *text;
    char delimiter;
    bool is_again; /* give the record read last again at the next call */
    bool is_zeek;  /* Zeek's own form: "#fields", tabs, "#close" */
    size_t count;  /* cells of the record read last; those beyond CSV_CELLS_MAX are not kept */
    struct cell cells[CSV_CELLS_MAX];
    uint8_t escaped[CSV_CELLS_MAX]; /* holds doubled quotes */
};

enum { CSV_END = 0, CSV_ROW = 1, CSV_BROKEN = 2 };

/* Looks at the beginning: what is no text is an error. */
int csv_begin(struct csv *c, struct text *t, struct bh_error *err);
/* CSV_ROW: the cells are good until the next call. CSV_BROKEN: a row whose quotes do not end.
 * Negative: -errno of reading, or -ENOMEM. Empty lines are passed over. */
int csv_next(struct csv *c);

/* ---- json.c: objects one after the other, in lines, arrays or neither ---------------------------- */

enum { JSON_END = 0, JSON_OBJECT = 1, JSON_BROKEN = 2 };

/* A member of the object: value without quotes; numbers and words as they stand; nested ones are
 * "[...]" or "{...}" whole. Escapes are left in. */
typedef void json_member(void *arg, struct cell key, struct cell value, bool is_string);
/* Negative: -errno of reading, or -ENOMEM. */
int json_next(struct text *t, json_member *member, void *arg);
/* Undo escapes in place (it gets no longer). */
struct cell json_unescape(struct cell c);

struct reader;
/* ---- look.c ----------------------------------------------------------------------------------- */

/* Set `code` and texts without arguments. */
int import_error(struct bh_error *err, int code, const char *where, const char *en, const char *ja);
/* Is it a text at all, and unpacked? Logs may hold NULs, left by a crash. */
/* JSON whose first object has `word`. */
bool look_json_has(const struct text *t, const char *word);
/* The reader of this form, or of what it looks like (NULL, "auto"); a table when it looks like
 * nothing else. */
int look_choose(const struct text *t, const char *format, const struct reader **ret_reader,
                struct bh_error *err);
int look_check_text(const struct text *t, bool is_log, struct bh_error *err);

/* ---- columns.c -------------------------------------------------------------------------------- */

enum key {
    KEY_TIME,
    KEY_SRC,
    KEY_DST,
    KEY_PROTO,
    KEY_SPORT,
    KEY_DPORT,
    KEY_TYPE,
    KEY_CODE,
    KEY_FLAGS,
    KEY_LEN,
    KEY_PAYLOAD,
    KEY_TTL,
    KEY_WEIGHT,
    KEY_COUNT
};

/* What the user asked for. */
struct mapping {
    char *text[KEY_COUNT]; /* column name, number, or constant; NULL: not mapped */
    bool is_constant[KEY_COUNT];
    bool is_auto;
};

/* Where it stands in one file. */
struct columns {
    int index[KEY_COUNT]; /* -1: no column */
    struct cell constant[KEY_COUNT];
    bool is_mapped[KEY_COUNT];
    size_t header_cells; /* 0: no header line */
};

int mapping_parse(struct mapping *m, const char *text, struct bh_error *err);
void mapping_done(struct mapping *m);
/* Reads the header line of `c`, if it has one. */
int columns_find(struct columns *cols, const struct mapping *m, struct csv *c, char *ret_text,
                 size_t text_size, struct bh_error *err);

/* ---- cell.c ----------------------------------------------------------------------------------- */

enum cell_time { TIME_OK, TIME_NONE, TIME_UNSET, TIME_BAD };

struct cell cell_trim(struct cell c);
bool cell_is_absent(struct cell c);              /* "", "-", "NULL", "nan" ... */
bool cell_same(struct cell c, const char *word); /* ASCII case does not matter */
enum cell_time cell_time(struct cell c, int64_t *ret_ns, bool *ret_zoneless);
/* Days since 1970-01-01; false when there is no such day. */
bool civil_days(int year, int month, int day, int64_t *ret_days);
int civil_year(int64_t days); /* from 1970 on */
bool cell_address(struct cell c, struct bh_ip *ret_ip);
bool cell_number(struct cell c, uint64_t max, uint64_t *ret); /* "80", "80.0" */
int cell_proto(struct cell c);                                /* -1: unknown */
bool cell_flags(struct cell c, uint8_t *ret_flags);

/* ---- row.c ------------------------------------------------------------------------------------ */

enum reason {
    REASON_NONE = 0,
    REASON_NO_TIME,
    REASON_TIME_UNSET,
    REASON_TIME_BAD,
    REASON_NO_SRC,
    REASON_SRC_BAD,
    REASON_NO_DST,
    REASON_DST_BAD,
    REASON_FAMILIES,
    REASON_NO_PROTO,
    REASON_PROTO_BAD,
    REASON_NO_PORT,
    REASON_PORT_ZERO,
    REASON_PORT_BAD,
    REASON_TYPE_BAD,
    REASON_FLAGS_BAD,
    REASON_COLUMNS,
    REASON_QUOTES,
    REASON_CUT,
    REASON_NUMBER,
    REASON_JSON,
    REASON_LONG,
    REASON_STATE,
    REASON_COUNT
};
extern const char *const reason_texts[REASON_COUNT][BH_LANGS];

/* Bits of a row. */
enum {
    ROW_ZONELESS = 1 << 0,
    ROW_QUOTE = 1 << 1, /* of an ICMP error: what it quotes                               */
    ROW_COLD = 1 << 2,  /* side.cold holds                                                 */
    ROW_IN = 1 << 3,    /* the log says that it came in to who wrote it: destination is ours */
    ROW_OUT = 1 << 4,   /* ... went out: source is ours; both: local                        */
    ROW_FLOW = 1 << 5,  /* one direction of a flow, side.flow holds: see flow.c              */
    ROW_LATE_ANSWER = 1 << 6, /* put back once already                                     */
    ROW_NO_YEAR = 1 << 7,
};

struct row {
    int64_t ts_ns;
    uint64_t order;    /* place in the input: equal times stay as they were */
    uint32_t src, dst; /* IPv4 */
    uint32_t ports, ip_len, weight, tcp_seq;
    uint16_t payload_len;
    uint8_t kind, proto, tcp_flags, marks, ttl, bits;
};
_Static_assert(sizeof(struct row) == 48, "the window holds a million of them");

/* What few rows have. */
union side {
    struct {
        uint64_t src_mac;
        uint16_t ip_id, window;
        uint8_t df;
    } cold;
    struct {
        uint64_t packets, bytes;
    } flow;
};

struct item {
    struct row row;
    union side side;
    struct bh_ip6_pair pair;
    struct bh_quote quote;
};

/* What one record of a file became: rows of one time, in order. */
#define MADE_MAX 10U
struct made {
    uint32_t count;
    struct item item[MADE_MAX];
};

enum reason row_parse(const struct columns *cols, const struct csv *c, struct row *ret_row,
                      struct bh_ip6_pair *ret_pair);

/* ---- stamp.c: times of syslog lines ------------------------------------------------------------- */

/* Which year a time without one is of: the newest that is not after `ref_ns`; then the next one in
 * which the log goes forward. */
struct years {
    int asked;      /* the year of the first such line; 0: guess */
    int64_t ref_ns; /* when the log was written to, at the latest */
    int first;      /* what the first such line got; 0: none yet  */
    int year;
    int64_t last_s;
    int month, day; /* of the line before ... */
    int64_t day_s;  /* ... and its midnight   */
};

struct stamp {
    int64_t ns;
    bool is_zoneless, has_no_year;
    bool is_5424; /* RFC 5424: host, program and others follow */
};

/* The time at the beginning of a line; *at moves behind it and its blank. REASON_NO_TIME: there is
 * none. */
enum reason stamp_take(struct years *y, struct cell *line, struct stamp *ret_stamp);

/* ---- netfilter.c -------------------------------------------------------------------------------- */

/* The packet of a line of the kernel's LOG target, from "IN=" on. */
enum reason netfilter_packet(struct cell text, struct item *ret_item);
/* Where it begins, behind the time; len 0: this is no such line, or another program's. */
struct cell netfilter_find(struct cell text, bool is_5424);
/* The same of what the kernel said, without host and tag. */
struct cell netfilter_find_words(struct cell text);

/* ---- readers ------------------------------------------------------------------------------------ */

enum { READ_END = 0, READ_MADE = 1, READ_BAD = 2, READ_OTHER = 3 };

struct import_file;
/* syslog.c: a message of the kernel with its time in microseconds: READ_MADE, READ_BAD, READ_OTHER. */
int journal_packet(struct import_file *f, struct cell message, struct cell time);

struct reader {
    const char *name; /* --input-format */
    const char *text[BH_LANGS];
    bool has_weight, has_cold;
    /* Does the beginning look like it? */
    bool (*is)(const struct text *t);
    int (*begin)(struct import_file *f, struct bh_error *err);
    /* READ_MADE: f->next; READ_BAD: f->why, f->example; READ_OTHER: passed over; negative: -errno. */
    int (*next)(struct import_file *f);
};
extern const struct reader reader_csv, reader_netfilter, reader_journal, reader_journal_export,
    reader_zeek, reader_zeek_json, reader_nfdump, reader_nfdump_json;

/* ---- keyed.c: records by the names of their fields ---------------------------------------------- */

#define KEYED_MAX 24U
struct keyed_name {
    const char *name;
    uint8_t key;
};
struct keyed {
    const struct keyed_name *names;
    size_t name_count;
    struct cell value[KEYED_MAX]; /* by key; at NULL: the record does not have it */
    /* of tables */
    uint8_t column[CSV_CELLS_MAX]; /* key + 1 of each column */
    size_t columns;
    char separator;
    char unset[16], empty[16];
    uint8_t unset_len, empty_len;
};

/* What is kept of an entry of the journal's export. A packet's message is a few hundred octets. */
struct journal_entry {
    char message[4096], time[32];
    size_t message_len, time_len;
    bool is_kernel, has_transport, calls_itself_kernel;
};

struct import_file {
    struct text text;
    const struct reader *reader;
    struct csv csv;
    struct columns columns;
    const struct mapping *mapping;
    char *columns_text; /* where to say which were taken */
    size_t columns_text_size;
    struct years years;
    struct keyed keyed;
    struct journal_entry entry;
    struct made next;
    enum reason why;
    struct cell example;
    bool has_next;
    bool has_last;
    bool knows_flags, in_summary; /* nfdump.c */
    int64_t last_ns;              /* of the row before `next` */
};

/* A value that the record has, else len 0. */
struct cell keyed_value(const struct keyed *k, unsigned key);
void keyed_member(void *keyed, struct cell key, struct cell value, bool is_string);
void keyed_clear(struct keyed *k);
int keyed_find(const struct keyed *k, struct cell name);
void keyed_columns(struct keyed *k, const struct cell *names, size_t count);
bool keyed_has(const struct keyed *k, unsigned key);
/* What many records have; without them a reason. `any_day`: a time of 1970-01-01 is one, too. */
enum reason keyed_time(struct cell c, bool any_day, struct row *r);
enum reason keyed_addresses(struct cell src, struct cell dst, struct item *x);
enum reason keyed_proto(struct cell c, struct row *r);
void keyed_row(struct keyed *k, const struct cell *cells, size_t count);

/* ---- flow.c: flows as the packets they must have had ----------------------------------------------- */

struct flow_side {
    uint64_t packets, bytes, payload;
};

/* A connection from its originator's side. */
struct flow {
    struct flow_side orig, resp;
    uint64_t syns;    /* of orig.packets                                   */
    uint64_t answers; /* of resp.packets                                   */
    uint8_t answer;   /* flags of these; 0: none, all are as resp_rest     */
    uint8_t orig_rest, resp_rest;
};

/* `packets` of `bytes` in all, like `like`, as one or two rows so that the sum is exact. */
void flow_add(struct made *m, const struct item *like, uint8_t tcp_flags, uint64_t packets,
              uint64_t bytes);
void flow_tcp(struct made *m, const struct item *orig, const struct flow *f);
/* All packets of a side alike. */
void flow_plain(struct made *m, const struct item *orig, const struct flow *f);
void flow_reverse(struct item *x);

/* ---- pair.c: which of two flows opened the connection ---------------------------------------------- */

struct pairs;
struct pairs *pairs_new(void);
void pairs_free(struct pairs *p);
/* Of flows of one time the lower ranks come first: questions before answers. 0 to 2; 3: the rest */
unsigned pairs_rank(const struct row *r);
/* Before any of its time is unrolled. */
void pairs_note(struct pairs *p, const struct item *x);
/* What is to come now, and what only after the answer. False: it is an answer of the same time as its
 * question; again with ROW_LATE_ANSWER, behind that. */
bool pairs_unroll(const struct pairs *p, const struct item *x, struct made *ret_now,
                  struct made *ret_rest);

/* ---- window.c ---------------------------------------------------------------------------------- */

struct window;
/* `huge`: all of it will be used. */
struct window *window_new(uint32_t size, bool huge);
void window_free(struct window *w);
bool window_is_empty(const struct window *w);
uint32_t window_room(const struct window *w);
void window_put(struct window *w, const struct item *x);

struct taken {
    const struct row *row;
    const union side *side;
    const struct bh_ip6_pair *pair;
    const struct bh_quote *quote;
};
/* The oldest; good until the next put. */
struct taken window_take(struct window *w);

/* ---- import.c, open.c ---------------------------------------------------------------------------- */

/* Room for the parts of flows that wait for an answer, and for a record of several rows. */
#define WINDOW_SPARE 4096U

struct bh_import {
    struct mapping mapping;
    struct import_file **files;
    size_t count;
    size_t current;     /* the file whose row is the oldest ...             */
    int64_t current_ns; /* ... as long as it is not newer than this         */
    bool has_current;
    struct window *window;
    uint64_t order;
    int64_t newest_ns;               /* handed out */
    struct pairs *pairs;             /* of flows; NULL: none are read */
    struct item ready[2 * MADE_MAX]; /* to go out before the window's next */
    uint32_t ready_at, ready_count;
    bool all_inbound, has_cold, has_weight, has_seq;
    const char *format;
    bool is_guess;
    int year;
    int64_t now_ns;
    uint64_t reasons[REASON_COUNT];
    struct bh_import_stats stats;
    int failed;
    struct bh_error error;
};

/* The next good record of a file, or none. */
void import_advance(struct bh_import *im, struct import_file *f);

#endif
