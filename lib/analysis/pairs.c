/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Distinct (source, key) pairs: exact up to PAIRS_MAX; what is beyond them is estimated (sketches.c).
 *
 * A pair is its 64-bit keyed hash; a slot holds 31 bits of it, its place up to 23 more. Two
 * pairs are taken for one with a chance of 2^-31 for each slot looked at: about once in a
 * thousand reports that fill the set. When the set is full it is still asked: what it knows is counted
 * already, so that the error of an estimate concerns the rest alone. And there is room left for the few
 * pairs that a report is read for: sources of places, of visits, of frequent ports.
 *
 * Memory: 4 octets * 2 * expected frames, at most 32 MiB over all shards.
 */
#include "tally_priv.h"

#include <errno.h>
#include <stdatomic.h>

int
pairs_init(struct pairs *p, uint64_t expected, unsigned shards, _Atomic uint64_t *total)
{
    /* Several shards do not get equally much: room for one to have half as much again. */
    const uint64_t most = shards == 1 ? PAIRS_MAX / 2 * 3 : 2 * PAIRS_MAX / shards,
                   least = 1U << 12;
    uint64_t slots = expected == 0 || expected * 2 > most ? most
                     : expected * 2 < least               ? least
                                                          : expected * 2;
    *p = (struct pairs){ .slots = (uint32_t)slots, .size = slots * sizeof *p->tag, .total = total };
    p->tag = bh_pages_new(p->size, slots >= 1U << 20 && expected != 0);
    return p->tag == NULL ? -ENOMEM : 0;
}

void
pairs_done(struct pairs *p)
{
    bh_pages_free(p->tag, p->size);
    *p = (struct pairs){ 0 };
}

/* Every 4096 new pairs are told to the count that all shards share. */
#define TELL 4096U

static bool
is_full(struct pairs *p)
{
    if (p->full || p->used >= p->slots / 4 * 3) {
        return p->full = true;
    }
    if (p->total == NULL) {
        return p->full = p->used >= PAIRS_MAX;
    }
    if (p->used % TELL == 0 && p->used > 0) {
        return p->full = atomic_fetch_add_explicit(p->total, TELL, memory_order_relaxed) + TELL >=
                         PAIRS_MAX;
    }
    return false;
}

enum pair
pairs_add(struct pairs *p, uint64_t hash)
{
    const uint32_t tag = (uint32_t)hash | 1;
    uint32_t at = pair_place(p, hash);
    for (uint32_t v; (v = p->tag[at]) != 0; at = at + 1 == p->slots ? 0 : at + 1) {
        if (v == tag) {
            return PAIR_KNOWN;
        }
    }
    if (BH_UNLIKELY(is_full(p))) {
        p->over_at = at;
        return PAIR_OVER;
    }
    p->tag[at] = tag;
    p->used++;
    return PAIR_NEW;
}

/* Up to 3/4: when each source of a flood is new to a set 7/8 full, the search for it takes half of all time. */
enum pair
pairs_add_more(struct pairs *p, uint64_t hash)
{
    if (p->used >= p->slots / 4 * 3) {
        return PAIR_OVER;
    }
    p->tag[p->over_at] = (uint32_t)hash | 1;
    p->used++;
    return PAIR_NEW;
}
