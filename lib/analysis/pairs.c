/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Distinct (source, key) pairs: exact up to PAIRS_MAX, then HyperLogLog (Flajolet, Fusy,
 * Gandouet, Meunier 2007).
 *
 * A pair is its 64-bit keyed hash; a slot holds 31 bits of it, its place up to 23 more. Two
 * pairs are taken for one with a chance of 2^-31 for each slot looked at: about once in a
 * thousand reports that fill the set. When the set is full it is still asked: what it knows is counted
 * already, and only the rest goes to a sketch of its key, so that the error concerns the rest
 * alone.
 *
 * Memory: 4 octets * 2 * expected frames, at most 32 MiB over all shards; sketches 1 KiB each, at
 * most 4 MiB a shard.
 */
#include "tally_priv.h"

#include <errno.h>
#include <math.h>
#include <stdatomic.h>

int
pairs_init(struct pairs *p, uint64_t expected, unsigned shards, _Atomic uint64_t *total)
{
    /* Several shards do not get equally much: room for one to have half as much again. */
    const uint64_t most = shards == 1 ? PAIRS_MAX / 2 * 3 : 2 * PAIRS_MAX / shards, least = 1U << 12;
    uint64_t slots = expected == 0 || expected * 2 > most ? most : expected * 2 < least ? least : expected * 2;
    *p = (struct pairs){ .slots = (uint32_t)slots, .size = slots * sizeof *p->tag, .total = total };
    p->tag = bh_pages_new(p->size, slots >= 1U << 20 && expected != 0);
    if (p->tag == NULL || map_init(&p->hll_of, 1024) != 0) {
        pairs_done(p);
        return -ENOMEM;
    }
    return 0;
}

void
pairs_done(struct pairs *p)
{
    bh_pages_free(p->tag, p->size);
    bh_pages_free(p->hll, (size_t)HLLS_MAX * HLL_SIZE);
    map_done(&p->hll_of);
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
        return p->full = atomic_fetch_add_explicit(p->total, TELL, memory_order_relaxed) + TELL >= PAIRS_MAX;
    }
    return false;
}

static BH_NOINLINE void
sketch(struct pairs *p, uint64_t hash, uint32_t key)
{
    p->over++;
    if (p->hll == NULL) {
        p->hll = bh_pages_new((size_t)HLLS_MAX * HLL_SIZE, false);
        if (p->hll == NULL) {
            p->unsketched++;
            return;
        }
    }
    uint64_t at = map_get(&p->hll_of, key);
    if (at == 0) {
        if (p->hll_used == HLLS_MAX) {
            p->unsketched++;
            return;
        }
        at = ++p->hll_used;
        map_add(&p->hll_of, key, at);
    }
    uint64_t x = bh_mix64(hash, 0x94d049bb133111ebULL);
    uint8_t rank = (uint8_t)(__builtin_clzll(x << HLL_BITS | 1ULL << (HLL_BITS - 1)) + 1);
    uint8_t *r = &p->hll[at - 1][x >> (64 - HLL_BITS)];
    *r = rank > *r ? rank : *r;
}

bool
pairs_add(struct pairs *p, uint64_t hash, uint32_t key)
{
    const uint32_t tag = (uint32_t)hash | 1;
    uint32_t at = pair_place(p, hash);
    for (uint32_t v; (v = p->tag[at]) != 0; at = at + 1 == p->slots ? 0 : at + 1) {
        if (v == tag) {
            return false;
        }
    }
    if (BH_UNLIKELY(is_full(p))) {
        sketch(p, hash, key);
        return false;
    }
    p->tag[at] = tag;
    p->used++;
    return true;
}

uint64_t
pairs_sketched(const struct pairs *p, uint32_t key)
{
    uint64_t at = map_get(&p->hll_of, key);
    if (at == 0) {
        return 0;
    }
    double sum = 0;
    unsigned empty = 0;
    for (unsigned i = 0; i < HLL_SIZE; i++) {
        sum += ldexp(1.0, -p->hll[at - 1][i]);
        empty += p->hll[at - 1][i] == 0;
    }
    double m = HLL_SIZE, estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    if (estimate <= 2.5 * m && empty > 0) {
        estimate = m * log(m / empty); /* linear counting for small ones */
    }
    return (uint64_t)(estimate + 0.5);
}

void
pairs_merge_sketches(struct pairs *into, const struct pairs *from)
{
    into->over += from->over;
    into->unsketched += from->unsketched;
    into->full |= from->full;
    if (from->hll_used == 0) {
        return;
    }
    if (into->hll == NULL) {
        into->hll = bh_pages_new((size_t)HLLS_MAX * HLL_SIZE, false);
    }
    for (uint32_t i = 0; i <= from->hll_of.mask; i++) {
        const struct map_entry *e = &from->hll_of.entry[i];
        if (e->key1 == 0 || into->hll == NULL) {
            continue;
        }
        uint64_t at = map_get(&into->hll_of, e->key1 - 1);
        if (at == 0) {
            if (into->hll_used == HLLS_MAX) {
                into->unsketched++;
                continue;
            }
            at = ++into->hll_used;
            map_add(&into->hll_of, e->key1 - 1, at);
        }
        for (unsigned k = 0; k < HLL_SIZE; k++) {
            uint8_t a = into->hll[at - 1][k], b = from->hll[e->value - 1][k];
            into->hll[at - 1][k] = a > b ? a : b;
        }
    }
}
