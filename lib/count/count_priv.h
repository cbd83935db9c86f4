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

    /* What the keys of group g are, id[g]: the number of each key in as many bits as there are for it, more by one
     * (0: it has none); or GROUP_APART and a place among the cells of those that do not fit. */
    uint64_t *id, *counts;
    uint32_t group_count, group_room;
    unsigned key_bits;
    struct packed_group {
        uint64_t id;
        uint32_t group; /* + 1; 0: free */
    } * packed;
    uint32_t packed_count, packed_mask;
    /* of keys that are names: of a number below NAMES_MOST; NULL: not met yet */
    const char **name_of[BH_COUNT_KEYS];

    /* The others: place p has cells[p * key_count], and names where keys are of names. */
    struct cell *cells;
    const char **names;
    uint32_t cell_count, cell_room;
    uint32_t *slots; /* group + 1; 0: free */
    uint32_t slot_mask;
    uint32_t last;  /* group of the row before */
    uint64_t bytes; /* of all groups */

    char **texts; /* of names, each once */
    uint32_t text_count, text_mask;

    uint64_t *pairs; /* hashes of (group, source); 0: free */
    uint64_t pair_count, pair_mask;

    uint64_t total, over_count, pairs_lost;
    int64_t first_ns, last_ns; /* of what was counted */
};

#define GROUP_APART (1ULL << 63)
#define NAMES_MOST 65536U

static inline struct cell *
cells_at(const struct bh_count *c, uint64_t id)
{
    return c->cells + (size_t)(id & ~GROUP_APART) * c->cfg.key_count;
}

/* Key k of a group; *ret_name: NULL when it has no name. */
static inline struct cell
count_cell(const struct bh_count *c, uint32_t group, size_t k, const char **ret_name)
{
    const uint64_t id = c->id[group];
    if ((id & GROUP_APART) != 0) {
        *ret_name = c->names[(size_t)(id & ~GROUP_APART) * c->cfg.key_count + k];
        return cells_at(c, id)[k];
    }
    const uint64_t number = id >> (k * c->key_bits) & ((1ULL << c->key_bits) - 1);
    const struct cell x = { .lo = number == 0 ? 0 : number - 1,
                            .tag = number == 0 ? TAG_ABSENT : TAG_NUMBER };
    *ret_name =
        number == 0 || c->name_of[k] == NULL || x.lo >= NAMES_MOST ? NULL : c->name_of[k][x.lo];
    return x;
}

/* Which group the first `most` places of the answer have; the caller frees. NULL: no memory. */
uint32_t *count_order(const struct bh_count *c, bool by_key, uint32_t most);

#endif
