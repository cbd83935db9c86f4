/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of lib/count share. */
#ifndef COUNT_PRIV_H
#define COUNT_PRIV_H

#include "bh_count.h"

enum { TAG_ABSENT = 0, TAG_NUMBER = 1, TAG_IP4 = 4, TAG_IP6 = 6 };

/* The value of a key. Names are numbers; what they are called stands in the group. */
struct cell {
    uint64_t hi, lo; /* numbers: lo */
    uint64_t tag;
};

/* The calendar of a quarter of an hour, in which no cut of a time changes. */
struct calendar {
    int64_t quarter; /* since 1970, INT64_MIN: none */
    int64_t hour_s;  /* when its local hour began   */
    int64_t day;     /* days since 1970-01-01       */
    int month;       /* months since year 0         */
    int weekday;
};
void calendar_set(struct calendar *c, int64_t quarter);

struct bh_count {
    struct bh_count_config cfg;
    struct bh_count_key keys[BH_COUNT_KEYS];
    struct bh_sight *sight;
    struct calendar calendar;
    uint64_t hash_key;

    /* Group g has cells[g * key_count], and names where keys are of names. */
    struct cell *cells;
    const char **names; /* NULL when no key is of names */
    uint64_t *counts;
    uint32_t group_count, group_room, group_most;
    uint32_t *slots; /* group + 1; 0: free */
    uint32_t slot_mask;
    uint32_t last; /* group of the row before */

    char **texts; /* of names, each once */
    uint32_t text_count, text_mask;

    uint64_t *pairs; /* hashes of (group, source); 0: free */
    uint64_t pair_count, pair_mask;

    uint64_t total, over_count, pairs_lost;
    int64_t first_ns, last_ns; /* of what was counted */
};

static inline struct cell *
cells_of(const struct bh_count *c, uint32_t group)
{
    return c->cells + (size_t)group * c->cfg.key_count;
}

/* Which group each place of the answer has; the caller frees. NULL: no memory. */
uint32_t *count_order(const struct bh_count *c, bool by_key);

#endif
