/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters by (place, protocol, port): digits of accesses and distinct sources side by side, and
 * of what became of the accesses.
 *
 * All shards of a report count into the same cells, one batch at a time under a lock: cells of
 * their own would be most of the memory of each, and had to be added up in the end. The lock is held
 * some 3 % of the time of a batch.
 */
#include "tally_priv.h"

#include <errno.h>
#include <stdlib.h>

int
cells_new(uint64_t key, struct cells **ret_cells)
{
    struct cells *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&c->lock, NULL);
    if (digits_init(&c->both, &c->slabs, key) != 0 ||
        digits_init(&c->outcomes, &c->slabs, key) != 0 ||
        digits_init(&c->unknown, &c->slabs, key) != 0 ||
        digits_init(&c->wide, &c->slabs, key) != 0 || sketches_init(&c->sketches) != 0 ||
        (c->net_bits = bh_pages_new(NET_BITS_SIZE, true)) == NULL) {
        cells_free(c);
        return -ENOMEM;
    }
    *ret_cells = c;
    return 0;
}

void
cells_free(struct cells *c)
{
    if (c == NULL) {
        return;
    }
    digits_done(&c->both);
    digits_done(&c->outcomes);
    digits_done(&c->unknown);
    digits_done(&c->wide);
    sketches_done(&c->sketches);
    bh_pages_free(c->net_bits, NET_BITS_SIZE);
    slabs_done(&c->slabs);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void
cell_add(struct cells *c, uint32_t cell, uint64_t count, uint64_t sources)
{
    digits_add(&c->both, cell, 0, (int64_t)count);
    digits_add(&c->both, cell, 1, (int64_t)sources);
}

/* TCP only: the bit that says UDP elsewhere chooses between two pairs of outcomes. */
static uint32_t
outcome_key(uint32_t cell, enum cell_kind kind)
{
    return (cell & ~(1U << 16)) | (kind >= CELL_HALF ? 1U << 16 : 0);
}

static unsigned
outcome_half(enum cell_kind kind)
{
    return kind == CELL_RESET || kind == CELL_REFUSED;
}

void
cell_outcome(struct cells *c, uint32_t cell, unsigned outcome, int64_t n)
{
    static const uint8_t kind_of[BH_OUTCOME_COUNT] = {
        [BH_OUTCOME_COMPLETE] = CELL_COMPLETE,
        [BH_OUTCOME_RESET_BY_CLIENT] = CELL_RESET,
        [BH_OUTCOME_HALF_OPEN] = CELL_HALF,
        [BH_OUTCOME_REFUSED] = CELL_REFUSED,
    };
    const enum cell_kind kind = (enum cell_kind)kind_of[outcome];
    if (outcome == BH_OUTCOME_UNKNOWN) {
        digits_add(&c->unknown, cell, 0, n);
    } else {
        digits_add(&c->outcomes, outcome_key(cell, kind), outcome_half(kind), n);
    }
}

uint64_t
cell_get(const struct cells *c, uint32_t cell, enum cell_kind kind)
{
    switch (kind) {
    case CELL_COUNT:
        return digits_get(&c->both, cell, 0);
    case CELL_SOURCES:
        return digits_get(&c->both, cell, 1);
    case CELL_UNKNOWN:
        return digits_get(&c->unknown, cell, 0);
    default:
        return digits_get(&c->outcomes, outcome_key(cell, kind), outcome_half(kind));
    }
}

/* What was counted so far, digit by digit. */
static void
add_counts_to_unknown(struct cells *c, uint32_t place)
{
    for (unsigned level = 0; level < DIGIT_LEVELS; level++) {
        struct digit it = { 0 };
        while (digit_next(&c->both, level, place, &it)) {
            if ((it.cell >> 16 & 1) == 0) {
                digits_add(&c->unknown, it.cell, 0,
                           (int64_t)((uint64_t)(it.octet & 15) << 4 * level));
            }
        }
    }
}

/* What a one-sided view knew already: refused by a router on the way. */
static void
take_back_known(struct cells *c, uint32_t place)
{
    for (unsigned level = 0; level < DIGIT_LEVELS; level++) {
        struct digit it = { 0 };
        while (digit_next(&c->outcomes, level, place, &it)) {
            const uint64_t n = (it.octet & 15U) + (it.octet >> 4);
            digits_add(&c->unknown, it.cell & ~(1U << 16), 0, -(int64_t)(n << 4 * level));
        }
    }
}

void
cells_all_unknown(struct cells *c)
{
    for (uint32_t place = 0; place < BH_PLACES_MAX; place++) {
        add_counts_to_unknown(c, place);
        take_back_known(c, place);
    }
}

uint64_t
cells_lost(const struct cells *c)
{
    return c->both.lost + c->outcomes.lost + c->unknown.lost + c->wide.lost;
}
