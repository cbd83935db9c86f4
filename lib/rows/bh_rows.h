/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_rows.h - columns of records by their names, and records as lines.
 *
 * A column is a field of the event schema, or what only a look-up of an address can say (its
 * country, its autonomous system). A sight does the look-ups for a batch, once and for all rows, and
 * only those that its columns need; then values can be had. With an anonymizer the addresses of the
 * batch are replaced after that, so that nothing behind a sight sees a true one.
 *
 * Threads:   one thread per object.
 * Ownership: the caller's; country data, anonymizer and output are borrowed.
 * Errors:    only writing fails.
 */
#ifndef BH_ROWS_H
#define BH_ROWS_H

#include "bh_anonymize.h"
#include "bh_event.h"
#include "bh_zone.h"
#include "kobold.h"

/* ---- columns ------------------------------------------------------------------------------------ */

/* What a column needs: parts of records that readers may leave out, and look-ups. */
enum {
    BH_NEEDS_COLD = 1 << 0,
    BH_NEEDS_SEQ = 1 << 1,
    BH_NEEDS_NEAR = 1 << 2, /* both addresses of what came to us, not only the source */
    BH_NEEDS_SRC_PORT = 1 << 3,
    BH_NEEDS_SRC_COUNTRY = 1 << 4,
    BH_NEEDS_DST_COUNTRY = 1 << 5,
    BH_NEEDS_FAR_COUNTRY = 1 << 6,
    BH_NEEDS_SYSTEM = 1 << 7,
    BH_NEEDS_ALL = (1 << 8) - 1, /* of records all there is */
};

struct bh_sight;
struct bh_column {
    uint16_t id; /* permanent, of one series with those of the schema */
    const char *name;
    enum bh_type type;
    const char *unit;
    const char *text[BH_LANGS];
    uint32_t needs;
    const struct bh_field *field; /* of the schema; else `get` */
    void (*get)(const struct bh_sight *s, uint32_t row, struct bh_value *ret_value);
};

#define BH_COLUMNS_MAX_ROWS 64U /* columns of a line at most */
/* All columns, by their names' order in the schema. */
size_t bh_column_count(void);
struct bh_column bh_column_at(size_t index);
bool bh_column_find(const char *name, size_t len, struct bh_column *ret);
/* "time,src,dst_port", or "all". BH_EUSAGE names the nearest. */
BH_NODISCARD int bh_columns_parse(const char *option, const char *text, struct bh_column *ret,
                                  size_t max, size_t *ret_count, struct bh_error *err);
/* "time"; never NULL. */
const char *bh_type_name(enum bh_type type);

/* ---- a batch, looked at -------------------------------------------------------------------------- */

BH_NODISCARD int
bh_sight_new(const kobold *countries, enum bh_lang lang, uint32_t needs,
             struct bh_anonymize *anonymize, struct bh_sight **ret, struct bh_error *err);
void bh_sight_free(struct bh_sight *s);
/* The batch stays the sight's until the next one. */
void bh_sight_set(struct bh_sight *s, struct bh_batch *b);
const struct bh_batch *bh_sight_batch(const struct bh_sight *s);
/* Texts live as long as the sight, or for those of the schema as long as the batch says. */
void bh_sight_get(const struct bh_sight *s, const struct bh_column *c, uint32_t row,
                  struct bh_value *ret_value);

/* ---- values as text ------------------------------------------------------------------------------- */

#define BH_VALUE_MAX 64U
/* All types but BH_TYPE_NAME, as JSON and CSV have it (without quotes). Absent: nothing. */
char *bh_value_put(char *at, enum bh_type type, const struct bh_value *v, struct bh_clock *clock);
/* A cell of CSV: quoted when it must be, and no formula for a spreadsheet. */
void bh_csv_put(struct bh_buf *out, const char *text, size_t len);

/* ---- lines ------------------------------------------------------------------------------------------ */

enum bh_rows_form { BH_ROWS_TEXT, BH_ROWS_NDJSON, BH_ROWS_CSV };
struct bh_rows_config {
    enum bh_rows_form form;
    enum bh_lang lang;
    const struct bh_column *columns; /* text without columns: lines as tcpdump has them */
    size_t column_count;
    const kobold *countries;
    struct bh_anonymize *anonymize; /* may be NULL            */
    uint64_t most;                  /* rows; 0: all            */
    struct bh_out *out;
};
struct bh_rows; /* opaque */
/* What its lines need of records, BH_NEEDS_... */
uint32_t bh_rows_needs(const struct bh_rows_config *cfg);
BH_NODISCARD int
bh_rows_new(const struct bh_rows_config *cfg, struct bh_rows **ret, struct bh_error *err);
void bh_rows_free(struct bh_rows *r);
/* The rows with counted[]. 1: `most` are written; negative: writing failed. */
BH_NODISCARD int bh_rows_put(struct bh_rows *r, struct bh_batch *b);

#endif
