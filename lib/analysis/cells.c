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
    *c = (struct cells){ .both_size = (size_t)BH_PLACES_MAX << 17, .dense_size = ((size_t)BH_PLACES_MAX << 16) * 2 };
    c->both = bh_pages_new(c->both_size, huge);
    if (c->both == NULL || map_init(&c->carry, 4096) != 0 || map_init(&c->sparse, 1024) != 0 || map_init(&c->unknown, 64) != 0) {
        cells_done(c);
        return -ENOMEM;
    }
    return 0;
}

void
cells_done(struct cells *c)
{
    bh_pages_free(c->both, c->both_size);
    bh_pages_free(c->dense, c->dense_size);
    map_done(&c->carry);
    map_done(&c->sparse);
    map_done(&c->unknown);
    *c = (struct cells){ 0 };
}

static inline uint32_t
word_of(uint32_t cell)
{
    return cell >> 17 << 16 | (cell & 0xffff);
}

static inline uint32_t
key_of(enum cell_kind kind, uint32_t cell)
{
    return (uint32_t)kind << CELL_BITS | cell;
}

static void
dense_add(struct cells *c, enum cell_kind kind, uint32_t cell, int64_t n)
{
    unsigned shift = (unsigned)(kind - CELL_COMPLETE) * 4U;
    uint16_t *word = &c->dense[word_of(cell)];
    int64_t v = (int64_t)(*word >> shift & 15) + n;
    int64_t carry = v >> 4; /* rounds down: a borrow is -1 */
    if (carry != 0) {
        map_add(&c->carry, key_of(kind, cell), (uint64_t)carry);
    }
    *word = (uint16_t)((*word & ~(15U << shift)) | ((unsigned)v & 15) << shift);
}

/* Answers come from a few open ports, or - a host that resets everything - from all of them:
 * a map serves the first, an array the second. */
#define SPARSE_MAX (1U << 18)

static void
make_dense(struct cells *c)
{
    c->dense = bh_pages_new(c->dense_size, false);
    if (c->dense == NULL) {
        return; /* the map goes on */
    }
    for (uint32_t i = 0; i <= c->sparse.mask; i++) {
        const struct map_entry *e = &c->sparse.entry[i];
        if (e->key1 != 0) {
            dense_add(c, (enum cell_kind)((e->key1 - 1) >> CELL_BITS), (e->key1 - 1) & (CELLS - 1), (int64_t)e->value);
        }
    }
    map_done(&c->sparse);
    bh_ignore(map_init(&c->sparse, 2)); /* empty from here on; two entries cannot fail to matter */
}

static void
outcome_add(struct cells *c, enum cell_kind kind, uint32_t cell, int64_t n)
{
    if (c->dense != NULL) {
        dense_add(c, kind, cell, n);
        return;
    }
    map_add(&c->sparse, key_of(kind, cell), (uint64_t)n); /* wraps back: sums are never below zero */
    if (BH_UNLIKELY(c->sparse.used > SPARSE_MAX)) {
        make_dense(c);
    }
}

static const uint8_t kind_of[BH_OUTCOME_COUNT] = {
    [BH_OUTCOME_COMPLETE] = CELL_COMPLETE, [BH_OUTCOME_RESET_BY_CLIENT] = CELL_RESET,
    [BH_OUTCOME_HALF_OPEN] = CELL_HALF,    [BH_OUTCOME_REFUSED] = CELL_REFUSED,
};

void
cell_outcome(struct cells *c, uint32_t cell, unsigned outcome, int64_t n)
{
    if (outcome == BH_OUTCOME_UNKNOWN) {
        map_add(&c->unknown, cell, (uint64_t)n);
    } else {
        outcome_add(c, (enum cell_kind)kind_of[outcome], cell, n);
    }
}

uint64_t
cell_get(const struct cells *c, uint32_t cell, enum cell_kind kind)
{
    if (kind == CELL_UNKNOWN) {
        return map_get(&c->unknown, cell);
    }
    if (kind >= CELL_COMPLETE && c->dense == NULL) {
        return map_get(&c->sparse, key_of(kind, cell));
    }
    uint64_t low = kind == CELL_COUNT     ? c->both[cell] & 15U
                   : kind == CELL_SOURCES ? c->both[cell] >> 4
                                          : c->dense[word_of(cell)] >> ((unsigned)(kind - CELL_COMPLETE) * 4) & 15U;
    return low + 16 * map_get(&c->carry, key_of(kind, cell));
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
    if (from->dense == NULL) {
        return;
    }
    for (uint32_t port = 0; port < 65536; port++) {
        unsigned word = from->dense[(size_t)place << 16 | port];
        for (unsigned k = 0; word >> 4 * k != 0; k++) {
            unsigned n = word >> 4 * k & 15;
            if (n > 0) {
                outcome_add(into, (enum cell_kind)(CELL_COMPLETE + k), place << 17 | port, n);
            }
        }
    }
}

void
cells_merge_carries(struct cells *into, const struct cells *from)
{
    if (from->dense != NULL && into->dense == NULL) {
        make_dense(into); /* its carries are in sixteens, like those of the other */
    }
    merge_map(&into->carry, &from->carry);
    merge_map(&into->unknown, &from->unknown);
    for (uint32_t i = 0; i <= from->sparse.mask; i++) {
        const struct map_entry *e = &from->sparse.entry[i];
        if (e->key1 != 0) {
            outcome_add(into, (enum cell_kind)((e->key1 - 1) >> CELL_BITS), (e->key1 - 1) & (CELLS - 1), (int64_t)e->value);
        }
    }
}
