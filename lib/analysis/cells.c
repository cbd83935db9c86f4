/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters by (place, protocol, port): dense, because scanners try every port from everywhere
 * and a map of what they touched would be larger than the array; four bits each, because most
 * cells stay small (a carry happens once in sixteen additions and goes to a map that fits L2).
 */
#include "tally_priv.h"

#include <errno.h>

int
cells_init(struct cells *c, bool huge)
{
    *c = (struct cells){ .both_size = (size_t)BH_PLACES_MAX << 17, .outcomes_size = ((size_t)BH_PLACES_MAX << 16) * 2 };
    c->both = bh_pages_new(c->both_size, huge);
    c->outcomes = bh_pages_new(c->outcomes_size, false);
    if (c->both == NULL || c->outcomes == NULL || map_init(&c->carry, 4096) != 0 || map_init(&c->unknown, 64) != 0) {
        cells_done(c);
        return -ENOMEM;
    }
    return 0;
}

void
cells_done(struct cells *c)
{
    bh_pages_free(c->both, c->both_size);
    bh_pages_free(c->outcomes, c->outcomes_size);
    map_done(&c->carry);
    map_done(&c->unknown);
    *c = (struct cells){ 0 };
}

/* Which nibble of the outcome word, and its carry's name. */
static const uint8_t nibble_of[BH_OUTCOME_COUNT] = {
    [BH_OUTCOME_COMPLETE] = 0, [BH_OUTCOME_RESET_BY_CLIENT] = 1, [BH_OUTCOME_HALF_OPEN] = 2, [BH_OUTCOME_REFUSED] = 3,
};

static inline uint32_t
word_of(uint32_t cell)
{
    return cell >> 17 << 16 | (cell & 0xffff);
}

void
cell_outcome(struct cells *c, uint32_t cell, unsigned outcome, int n)
{
    if (outcome == BH_OUTCOME_UNKNOWN) {
        map_add(&c->unknown, cell, (uint64_t)(int64_t)n); /* wraps back: never below zero in sum */
        return;
    }
    unsigned shift = nibble_of[outcome] * 4U;
    uint16_t *word = &c->outcomes[word_of(cell)];
    int v = (*word >> shift & 15) + n;
    int carry = v >> 4; /* rounds down: borrows are -1 */
    if (carry != 0) {
        uint32_t key = (uint32_t)(CELL_COMPLETE + nibble_of[outcome]) << CELL_BITS | cell;
        map_add(&c->carry, key, (uint64_t)(int64_t)carry);
    }
    *word = (uint16_t)((*word & ~(15U << shift)) | (unsigned)(v & 15) << shift);
}

uint64_t
cell_get(const struct cells *c, uint32_t cell, enum cell_kind kind)
{
    if (kind == CELL_UNKNOWN) {
        return map_get(&c->unknown, cell);
    }
    uint64_t low = kind == CELL_COUNT     ? c->both[cell] & 15U
                   : kind == CELL_SOURCES ? c->both[cell] >> 4
                                          : c->outcomes[word_of(cell)] >> ((unsigned)(kind - CELL_COMPLETE) * 4) & 15U;
    return low + 16 * map_get(&c->carry, (uint32_t)kind << CELL_BITS | cell);
}

static void
merge_both(struct cells *into, const struct cells *from, size_t i)
{
    unsigned count = (into->both[i] & 15U) + (from->both[i] & 15U);
    unsigned sources = (unsigned)(into->both[i] >> 4) + (unsigned)(from->both[i] >> 4);
    if (count > 15) {
        map_add(&into->carry, (uint32_t)CELL_COUNT << CELL_BITS | (uint32_t)i, 1);
    }
    if (sources > 15) {
        map_add(&into->carry, (uint32_t)CELL_SOURCES << CELL_BITS | (uint32_t)i, 1);
    }
    into->both[i] = (uint8_t)((count & 15) | (sources & 15) << 4);
}

static void
merge_outcomes(struct cells *into, const struct cells *from, size_t i)
{
    uint32_t cell = (uint32_t)(i >> 16 << 17 | (i & 0xffff));
    unsigned sum = 0;
    for (unsigned k = 0; k < 4; k++) {
        unsigned v = (into->outcomes[i] >> k * 4 & 15U) + (from->outcomes[i] >> k * 4 & 15U);
        if (v > 15) {
            map_add(&into->carry, (uint32_t)(CELL_COMPLETE + k) << CELL_BITS | cell, 1);
        }
        sum |= (v & 15) << k * 4;
    }
    into->outcomes[i] = (uint16_t)sum;
}

static void
merge_map(struct map *into, const struct map *from)
{
    for (uint32_t i = 0; i <= from->mask; i++) {
        if (from->entry[i].key1 != 0) {
            map_add(into, from->entry[i].key1 - 1, from->entry[i].value);
        }
    }
}

void
cells_merge_place(struct cells *into, const struct cells *from, uint32_t place)
{
    size_t base = (size_t)place << 17;
    for (size_t i = base; i < base + (1U << 17); i += 8) {
        uint64_t any;
        memcpy(&any, from->both + i, 8);
        for (size_t k = i; any != 0 && k < i + 8; k++) {
            merge_both(into, from, k);
        }
    }
    base = (size_t)place << 16;
    for (size_t i = base; i < base + (1U << 16); i += 4) {
        uint64_t any;
        memcpy(&any, from->outcomes + i, 8);
        for (size_t k = i; any != 0 && k < i + 4; k++) {
            merge_outcomes(into, from, k);
        }
    }
}

void
cells_merge_carries(struct cells *into, const struct cells *from)
{
    merge_map(&into->carry, &from->carry);
    merge_map(&into->unknown, &from->unknown);
}
