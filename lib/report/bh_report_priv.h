/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of lib/report share.
 *
 * A report has two walks over its result: bh_walk_trend() gives every number under its key, in
 * the order of MEANING.md 8 (JSON and CSV write that down), and bh_page_trend() lays the same
 * numbers out for people, under labels (text and Markdown write that down). A new writer takes
 * one of the two; a new report adds its two walks.
 */
#ifndef BH_REPORT_PRIV_H
#define BH_REPORT_PRIV_H

#include "bh_report.h"

/* One row of data/ports.tsv, compiled in by tools/gen_ports.py; sorted by port, proto, from; behind
 * them the ranges, which speak for ports without a row. */
struct bh_port_row {
    uint16_t port, port_last;
    uint8_t proto;
    uint16_t from, until; /* years, inclusive */
    const char *service;
    const char *purpose[BH_LANGS];
    const char *concerns[BH_LANGS];
    const char *cve, *kev;
    const char *certainty, *source, *date;
};
extern const struct bh_port_row bh_port_rows[];
extern const size_t bh_port_rows_count, bh_port_ranges_count;

/* The years of a report's period, for bh_port_meaning(). */
struct bh_years {
    int first, last;
};
struct bh_years bh_report_years(const struct bh_report *r);
bool bh_report_meaning(const struct bh_report *r, uint16_t port, uint8_t proto,
                       struct bh_meaning *ret_meaning);

/* part / whole in millionths, rounded half up; 0 when whole is 0. */
uint64_t bh_micro_share(uint64_t part, uint64_t whole);

/* The foreign countries of the list: the first `shown`. */
static inline size_t
bh_listed_places(const struct bh_trend *t)
{
    return t->shown < t->country_count ? t->shown : t->country_count;
}

static inline bool
bh_has_home_country(const struct bh_report *r)
{
    return r->home_country[0] != '\0';
}

/* ---- the walk by keys ---------------------------------------------------------------------- */

enum bh_shape { BH_SHAPE_OBJECT, BH_SHAPE_LIST };
enum bh_item_type {
    BH_ITEM_NULL,
    BH_ITEM_BOOL,
    BH_ITEM_UINT,
    BH_ITEM_MICRO,
    BH_ITEM_REAL,
    BH_ITEM_TEXT
};
struct bh_item {
    enum bh_item_type type;
    uint64_t number; /* BOOL, UINT; MICRO: millionths */
    double real;
    const char *text;
    size_t text_len;
};
/* `key` is NULL for what stands in a list. */
struct bh_walk {
    void (*begin)(struct bh_walk *w, const char *key, enum bh_shape shape);
    void (*end)(struct bh_walk *w, enum bh_shape shape);
    void (*item)(struct bh_walk *w, const char *key, const struct bh_item *item);
    enum bh_lang lang;
};
void bh_walk_trend(const struct bh_report *r, struct bh_walk *w);

/* Leaves of a walk. */
void bh_walk_uint(struct bh_walk *w, const char *key, uint64_t value);
void bh_walk_micro(struct bh_walk *w, const char *key, uint64_t millionths);
void bh_walk_bool(struct bh_walk *w, const char *key, bool value);
void bh_walk_null(struct bh_walk *w, const char *key);
void bh_walk_text(struct bh_walk *w, const char *key, const char *text);
void bh_walk_text_n(struct bh_walk *w, const char *key, const char *text, size_t len);
void bh_walk_time(struct bh_walk *w, const char *key, int64_t ts_ns);
/* "a,b,c" as a list of texts. */
void bh_walk_words(struct bh_walk *w, const char *key, const char *words);
void bh_walk_list(struct bh_walk *w, const char *key);
void bh_walk_list_end(struct bh_walk *w);
void bh_walk_object(struct bh_walk *w, const char *key);
void bh_walk_object_end(struct bh_walk *w);
/* reports/trend_health.c: the tail of the walk. */
void bh_walk_health(const struct bh_report *r, struct bh_walk *w);
void bh_walk_not_accesses(const struct bh_trend *t, struct bh_walk *w);
/* The classes of `not_accesses`, in their order; returns how many. */
size_t bh_not_access_classes(enum bh_class *ret_classes, size_t max);
void bh_walk_remarks(const struct bh_report *r, struct bh_walk *w);
void bh_walk_port_keys(const struct bh_report *r, struct bh_walk *w, uint16_t port, uint8_t proto);

/* ---- writers ------------------------------------------------------------------------------- */

bh_writer_fn bh_write_text, bh_write_json, bh_write_csv, bh_write_markdown;

/* ---- remarks ------------------------------------------------------------------------------- */

struct bh_remark_set; /* remarks/remarks_priv.h */
typedef void bh_remark_fn(struct bh_remark_set *s);

#endif
