/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_count.h - how many records by whatever: groups by keys, and the answer in any form.
 *
 * A key is a column (bh_rows.h) or a cut of one: networks of addresses, hours, days, months and
 * weekdays of times. What is counted means what it means in the report.
 *
 * Threads:   one thread per object.
 * Ownership: the caller's; country data and anonymizer are borrowed until free.
 * Errors:    without memory only. Bounds: BH_COUNT_BYTES_MAX of groups, 12 million pairs of group and
 *            source; beyond, the answer says that it is not exact, and records are summed apart.
 */
#ifndef BH_COUNT_H
#define BH_COUNT_H

#include "bh_question.h"
#include "bh_rows.h"

#define BH_COUNT_KEYS 8U
#define BH_COUNT_BYTES_MAX (128U << 20)

enum bh_counted {
    BH_COUNTED_ACCESSES,
    BH_COUNTED_SOURCES,
    BH_COUNTED_PACKETS,
    BH_COUNTED_BYTES,
    BH_COUNTED_RECORDS
};

enum bh_cut { BH_CUT_NONE, BH_CUT_PREFIX, BH_CUT_HOUR, BH_CUT_DAY, BH_CUT_MONTH, BH_CUT_WEEKDAY };
struct bh_count_key {
    char name[32]; /* in the answer */
    struct bh_column column;
    enum bh_cut cut;
    unsigned bits; /* of BH_CUT_PREFIX */
};
/* "country,port" (a port is two keys: its number and its protocol). */
BH_NODISCARD int
bh_count_keys(const char *option, const char *text, struct bh_count_key ret[BH_COUNT_KEYS],
              size_t *ret_count, struct bh_error *err);

struct bh_count_config {
    const struct bh_count_key *keys;
    size_t key_count;
    enum bh_counted what;
    enum bh_lang lang;
    const kobold *countries;
    struct bh_anonymize *anonymize; /* may be NULL */
};
struct bh_count; /* opaque */
/* What it asks of records, for who may have added them up. */
void bh_count_question(const struct bh_count_config *cfg, struct bh_question *ret);
/* BH_NEEDS_... of records. */
uint32_t bh_count_needs(const struct bh_count_config *cfg);
BH_NODISCARD int
bh_count_new(const struct bh_count_config *cfg, struct bh_count **ret, struct bh_error *err);
void bh_count_free(struct bh_count *c);
/* The rows with counted[]. */
BH_NODISCARD int bh_count_batch(struct bh_count *c, struct bh_batch *b);
/* Rows that stand for as many records as their weight says, at some time of them: when the first and the last of them were
 * is told by bh_count_span(). */
BH_NODISCARD int bh_count_sums(struct bh_count *c, struct bh_batch *b);
void bh_count_span(struct bh_count *c, int64_t first_ns, int64_t last_ns);

/* ---- the answer -------------------------------------------------------------------------------------- */

enum bh_count_form {
    BH_COUNT_TEXT,
    BH_COUNT_JSON,
    BH_COUNT_NDJSON,
    BH_COUNT_CSV,
    BH_COUNT_MARKDOWN,
    BH_COUNT_HTML
};
struct bh_count_answer {
    enum bh_count_form form;
    uint64_t top; /* 0: all                                    */
    bool by_key;  /* in the order of keys, not of counts       */
    /* What is said of the input: */
    const char *home, *filter, *zone, *data_name, *data_date;
    int64_t start_ns, end_ns; /* asked for; INT64_MIN, INT64_MAX: first and last record */
};
void bh_count_write(struct bh_count *c, const struct bh_count_answer *a, struct bh_buf *out);

#endif
