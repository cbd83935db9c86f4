/* SPDX-License-Identifier: BSD-2-Clause */
/* What rolled.c (sources), rolled_services.c (who asked for what) and rolled_sums.c (what adds up) share. */
#ifndef ROLLED_PRIV_H
#define ROLLED_PRIV_H

#include "tally_priv.h"

/* One numbering of sources. Numbers are asked for in rising order, so these are read as streams. */
struct bh_rolled_part {
    uint32_t count;
    uint32_t *slot; /* UINT32_MAX: not asked for */
    uint32_t *accesses;
    uint16_t *place;
    struct bh_rolled_part *next;
};

/* Ports that a place shows. */
struct shown {
    uint32_t *key; /* the first ones; NULL: the place is not shown */
    uint32_t count;
    uint64_t last, next; /* what the last of a full list has, and the one behind it */
    bool in_crosstab;
};

struct bh_rolled {
    struct bh_tally *t;
    unsigned ports;
    uint32_t slots, base6;
    struct bh_rolled_part *parts;

    uint64_t *bits;
    uint32_t *touched; /* words of bits; beyond its room all are cleared */
    uint32_t touched_count;
    uint64_t union_count;

    struct shown *shown;       /* [place] */
    struct bh_trend_port *top; /* room for a list */
    uint8_t *counted;          /* a bit for each service: its distinct sources are known */
    /* sources that knocked seldom at services that are asked for: key << 32 | slot */
    uint64_t *rare;
    size_t rares, rare_cap, rare_at;
    uint32_t *missing; /* cells whose sources are not all told */
    size_t missings, missing_cap;
    uint32_t key;                /* the service; UINT32_MAX: none */
    uint32_t acc[BH_PLACES_MAX]; /* its sources */

    uint32_t *first_ping, *last_knock; /* [slot]: units */
};

#define ROLLED_TOUCHED_MOST 1024U

static inline struct source *
rolled_source(const struct bh_rolled *r, uint32_t slot)
{
    return slot < r->base6 ? &r->t->sources.v4[slot].s : &r->t->sources.v6[slot - r->base6].s;
}

void rolled_clear_bits(struct bh_rolled *r);

/* True when it is new. */
static BH_ALWAYS_INLINE bool
rolled_set_bit(struct bh_rolled *r, uint32_t slot)
{
    uint64_t *word = &r->bits[slot >> 6];
    const uint64_t bit = 1ULL << (slot & 63), before = *word;
    *word = before | bit;
    if (BH_UNLIKELY(before == 0) && r->touched_count <= ROLLED_TOUCHED_MOST) {
        if (r->touched_count < ROLLED_TOUCHED_MOST) {
            r->touched[r->touched_count] = slot >> 6;
        }
        r->touched_count++;
    }
    return (before & bit) == 0;
}

#endif
