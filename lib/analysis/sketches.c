/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Distinct sources beyond what is counted exactly: HyperLogLog (Flajolet, Fusy, Gandouet, Meunier 2007),
 * a sketch for each key. What a sketch says does not depend on the order in which it was told, nor on how
 * often: all shards share them.
 *
 * Places and entries of --served have a sketch each. Of cells there are more than there can be sketches:
 * those of frequent ports get one, and others when they are worth it (tally_over()). Autonomous systems
 * share these.
 *
 * Memory: 1 KiB a sketch that is used, at most 4.6 MiB.
 */
#include "tally_priv.h"

#include <errno.h>
#include <math.h>

#define FIRST_VISIT BH_PLACES_MAX
#define FIRST_CELL (FIRST_VISIT + BH_SERVED_MAX)
#define SKETCHES (FIRST_CELL + SKETCHED_CELLS_MAX)

int
sketches_init(struct sketches *s)
{
    *s = (struct sketches){ 0 };
    return map_init(&s->of_cell, 64);
}

void
sketches_done(struct sketches *s)
{
    bh_pages_free(s->registers, (size_t)SKETCHES * SKETCH_SIZE);
    map_done(&s->of_cell);
    *s = (struct sketches){ 0 };
}

/* Places have a sketch each; cells and autonomous systems find theirs in a map. */
static bool
has_own(uint32_t key)
{
    return key >= PAIR_KEY_PLACE(0) && key < PAIR_KEY_SYSTEM(0);
}

/* The number of a key's sketch + 1; 0: it has none. */
static uint64_t
number_of(const struct sketches *s, uint32_t key)
{
    if (s->registers == NULL) {
        return 0;
    }
    if (key >= PAIR_KEY_VISIT(0)) {
        return FIRST_VISIT + (key - PAIR_KEY_VISIT(0)) + 1;
    }
    return has_own(key) ? key - PAIR_KEY_PLACE(0) + 1 : map_get(&s->of_cell, key);
}

bool
sketches_has(const struct sketches *s, uint32_t key)
{
    return number_of(s, key) != 0;
}

void
sketches_add(struct sketches *s, uint64_t hash, uint32_t key)
{
    if (s->registers == NULL) {
        s->registers = bh_pages_new((size_t)SKETCHES * SKETCH_SIZE, false);
    }
    uint64_t at = number_of(s, key);
    if (at == 0 && s->registers != NULL && s->cells < SKETCHED_CELLS_MAX) {
        at = FIRST_CELL + s->cells++ + 1;
        map_add(&s->of_cell, key, at);
    }
    if (at == 0) {
        s->lost++;
        return;
    }
    const uint64_t x = bh_mix64(hash, 0x94d049bb133111ebULL); /* each bit counts here */
    uint8_t rank = (uint8_t)(__builtin_clzll(x << SKETCH_BITS | 1ULL << (SKETCH_BITS - 1)) + 1);
    uint8_t *r = &s->registers[at - 1][x >> (64 - SKETCH_BITS)];
    *r = rank > *r ? rank : *r;
}

uint64_t
sketches_get(const struct sketches *s, uint32_t key, uint64_t most)
{
    const uint64_t at = number_of(s, key);
    if (at == 0) {
        return 0;
    }
    double sum = 0;
    unsigned empty = 0;
    for (unsigned i = 0; i < SKETCH_SIZE; i++) {
        sum += ldexp(1.0, -s->registers[at - 1][i]);
        empty += s->registers[at - 1][i] == 0;
    }
    double m = SKETCH_SIZE, estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
    if (estimate <= 2.5 * m && empty > 0) {
        estimate = m * log(m / empty); /* linear counting for small ones */
    }
    const uint64_t n = (uint64_t)(estimate + 0.5);
    return n < most ? n : most;
}
