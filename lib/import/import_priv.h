/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of an import: csv.c cuts octets into cells, columns.c knows which cell is what, cell.c
 * and row.c make values of them, window.c puts the rows in order, import.c is the public face.
 */
#ifndef IMPORT_PRIV_H
#define IMPORT_PRIV_H

#include "bh_import.h"

/* ---- csv.c ------------------------------------------------------------------------------------ */

#define CSV_CELLS_MAX 512U
#define CSV_RECORD_MAX ((size_t)1 << 20) /* octets of one row */

struct cell {
    const char *at;
    size_t len;
};

struct csv {
    const char *name; /* for messages; borrowed */
    int fd;           /* -1: from memory        */
    const char *memory;
    size_t memory_left;
    char *buf;
    size_t cap, len, at;
    bool ended;
    char delimiter;
    bool is_again;     /* give the record read last again at the next call */
    bool in_long_line; /* given up before its end was seen */
    bool is_zeek;      /* Zeek's own form: "#fields", tabs, "#close" */
    uint64_t line;     /* of the record read last, 1-based           */
    uint64_t next_line;
    uint64_t bytes;
    size_t count; /* cells of the record read last; those beyond CSV_CELLS_MAX are not kept */
    struct cell cells[CSV_CELLS_MAX];
    uint8_t escaped[CSV_CELLS_MAX]; /* holds doubled quotes */
};

enum { CSV_END = 0, CSV_ROW = 1, CSV_BROKEN = 2 };

/* `path` NULL: from memory. Looks at the beginning: what is no text is an error. */
int csv_open(struct csv *c, const char *path, const void *data, size_t size, struct bh_error *err);
void csv_close(struct csv *c);
/* CSV_ROW: the cells are good until the next call. CSV_BROKEN: a row whose quotes do not end.
 * Negative: -errno of reading, or -ENOMEM. Empty lines are passed over. */
int csv_next(struct csv *c);
/* Set `code` and texts without arguments. */
int import_error(struct bh_error *err, int code, const char *where, const char *en, const char *ja);

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
    REASON_COUNT
};
extern const char *const reason_texts[REASON_COUNT][BH_LANGS];

struct row {
    int64_t ts_ns;
    uint64_t order;    /* place in the input: equal times stay as they were */
    uint32_t src, dst; /* IPv4 */
    uint32_t ports, ip_len, weight;
    uint16_t payload_len;
    uint8_t kind, proto, tcp_flags, marks, ttl;
    bool is_zoneless;
};
_Static_assert(sizeof(struct row) == 48, "the window holds a million of them");

enum reason row_parse(const struct columns *cols, const struct csv *c, struct row *ret_row,
                      struct bh_ip6_pair *ret_pair);

/* ---- window.c ---------------------------------------------------------------------------------- */

struct window;
struct window *window_new(uint32_t size);
void window_free(struct window *w);
bool window_is_full(const struct window *w);
bool window_is_empty(const struct window *w);
void window_put(struct window *w, const struct row *r, const struct bh_ip6_pair *pair);
/* The oldest; good until the next put. */
const struct row *window_take(struct window *w, const struct bh_ip6_pair **ret_pair);

#endif
