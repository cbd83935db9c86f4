/* SPDX-License-Identifier: BSD-2-Clause */
/* Which blocks of a file are left out, by its summary and what a judge says of it: skip.c. */
#ifndef STORE_SKIP_PRIV_H
#define STORE_SKIP_PRIV_H

#include "file_priv.h"

/* Values of the query's country database, found by what they mean. */
struct country_values {
    struct kobold_value *value;
    unsigned count;
    uint16_t slot[4 * KOBOLD_VALUES_MAX]; /* value + 1 */
};
BH_NODISCARD int country_values_init(struct country_values *v, const kobold *countries);
void country_values_done(struct country_values *v);
/* 0: none means the same. */
uint16_t country_value(const struct country_values *v, const struct bh_store_country *c);

struct file_plan {
    struct summary summary;
    bool has_summary;
    uint8_t *country_class; /* [country of the summary] */
    uint64_t near_countries;
    uint8_t *why; /* [block]: BH_STORE_...; NULL: all are read */
};
/* -ENOMEM: none. What is wrong with the summary costs the skipping only. */
BH_NODISCARD int
file_plan_make(struct file_plan *p, const struct log_file *f, const struct bh_store_query *q,
               const struct country_values *values, const char *sensor);
void file_plan_done(struct file_plan *p);

/* The first range that is known already and ends behind a time. */
static inline size_t
first_known(const struct bh_store_query *q, int64_t ts_ns)
{
    size_t low = 0, high = q->withouts;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (q->without[mid].end_ns > ts_ns) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return low;
}

static inline bool
is_in_period(const struct bh_store_query *q, const struct block_head *h)
{
    if (h->max_ns < q->start_ns || h->min_ns >= q->end_ns) {
        return false;
    }
    const size_t k = first_known(q, h->min_ns);
    return k == q->withouts || q->without[k].start_ns > h->min_ns ||
           q->without[k].end_ns <= h->max_ns;
}

/* All of its records are in the period, and none of them is known already. */
static inline bool
is_inside(const struct bh_store_query *q, const struct block_head *h)
{
    const size_t k = first_known(q, h->min_ns);
    return h->min_ns >= q->start_ns && h->max_ns < q->end_ns &&
           (k == q->withouts || q->without[k].start_ns > h->max_ns);
}

#endif
