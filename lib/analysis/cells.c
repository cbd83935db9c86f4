/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters by (place, protocol, port). Small captures touch few cells: a table. Large ones
 * touch nearly all, because scanners try every port from everywhere: an array then, denser than
 * any table could be; four bits each, because most cells stay small (a carry happens once in
 * sixteen additions and goes to a map that fits L2).
 */
#include "tally_priv.h"

#include <errno.h>
#include <stdlib.h>

#define FEW_LEAST 1024U
#define FEW_MAX 32768U /* cells; the table is twice as large: 1 MiB */

int
cells_init(struct cells *c)
{
    *c = (struct cells){ .both_size = (size_t)BH_PLACES_MAX << 17, .dense_size = ((size_t)BH_PLACES_MAX << 16) * 2 };
    c->few = calloc(FEW_LEAST, sizeof *c->few);
    c->few_mask = FEW_LEAST - 1;
    if (c->few == NULL || map_init(&c->carry, 64) != 0 || map_init(&c->sparse, 256) != 0 || map_init(&c->unknown, 64) != 0) {
        cells_done(c);
        return -ENOMEM;
    }
    return 0;
}

void
cells_done(struct cells *c)
{
    free(c->few);
    bh_pages_free(c->both, c->both_size);
    bh_pages_free(c->dense, c->dense_size);
    map_done(&c->carry);
    map_done(&c->sparse);
    map_done(&c->unknown);
    *c = (struct cells){ 0 };
}

static inline uint32_t
key_of(enum cell_kind kind, uint32_t cell)
{
    return (uint32_t)kind << CELL_BITS | cell;
}

static void
both_add(struct cells *c, uint32_t cell, uint64_t count, uint64_t sources)
{
    count += c->both[cell] & 15U;
    sources += c->both[cell] >> 4;
    if (count > 15) {
        map_add(&c->carry, key_of(CELL_COUNT, cell), count >> 4);
    }
    if (sources > 15) {
        map_add(&c->carry, key_of(CELL_SOURCES, cell), sources >> 4);
    }
    c->both[cell] = (uint8_t)((count & 15) | (sources & 15) << 4);
}

static bool
few_to_many(struct cells *c)
{
    c->both = bh_pages_new(c->both_size, true);
    if (c->both == NULL) {
        return false;
    }
    for (uint32_t i = 0; c->few != NULL && i <= c->few_mask; i++) {
        if (c->few[i].key1 != 0) {
            both_add(c, c->few[i].key1 - 1, c->few[i].count, c->few[i].sources);
        }
    }
    free(c->few);
    c->few = NULL;
    return true;
}

static struct few_cell *
few_find(const struct cells *c, uint32_t cell)
{
    uint32_t at = few_place(c, cell);
    while (c->few[at].key1 != 0 && c->few[at].key1 != cell + 1) {
        at = (at + 1) & c->few_mask;
    }
    return &c->few[at];
}

static bool
few_grow(struct cells *c)
{
    struct cells bigger = { .few_mask = c->few_mask * 2 + 1 };
    bigger.few = calloc(bigger.few_mask + 1UL, sizeof *bigger.few);
    if (bigger.few == NULL) {
        return false;
    }
    for (uint32_t i = 0; i <= c->few_mask; i++) {
        if (c->few[i].key1 != 0) {
            *few_find(&bigger, c->few[i].key1 - 1) = c->few[i];
        }
    }
    free(c->few);
    c->few = bigger.few;
    c->few_mask = bigger.few_mask;
    return true;
}

void
cell_add(struct cells *c, uint32_t cell, uint64_t count, uint64_t sources)
{
    if (c->both != NULL) {
        both_add(c, cell, count, sources);
        return;
    }
    struct few_cell *f = few_find(c, cell);
    if (f->key1 == 0) {
        if (c->few_used >= c->few_mask / 2) {
            bool has_room = c->few_mask < 2 * FEW_MAX - 1 ? few_grow(c) : few_to_many(c);
            if (has_room) {
                cell_add(c, cell, count, sources);
                return;
            }
            if (c->few_used >= c->few_mask - 1) {
                c->lost += count;
                return;
            }
        }
        f->key1 = cell + 1;
        c->few_used++;
    }
    f->count += count;
    f->sources += (uint32_t)sources;
}

static inline uint32_t
word_of(uint32_t cell)
{
    return cell >> 17 << 16 | (cell & 0xffff);
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
    c->dense = bh_pages_new(c->dense_size, true);
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
    if (kind <= CELL_SOURCES && c->both == NULL) {
        const struct few_cell *f = few_find(c, cell);
        return f->key1 == 0 ? 0 : kind == CELL_COUNT ? f->count : f->sources;
    }
    uint64_t low = kind == CELL_COUNT     ? c->both[cell] & 15U
                   : kind == CELL_SOURCES ? c->both[cell] >> 4
                                          : c->dense[word_of(cell)] >> ((unsigned)(kind - CELL_COMPLETE) * 4) & 15U;
    return low + 16 * map_get(&c->carry, key_of(kind, cell));
}

/* What a one-sided view knew already: refused by a router on the way. */
static void
take_back_known(struct cells *c)
{
    for (uint32_t i = 0; c->dense == NULL && i <= c->sparse.mask; i++) {
        const struct map_entry *e = &c->sparse.entry[i];
        if (e->key1 != 0 && e->value != 0) {
            map_add(&c->unknown, (e->key1 - 1) & (CELLS - 1), 0 - e->value);
        }
    }
    for (uint32_t word = 0; c->dense != NULL && word < BH_PLACES_MAX << 16; word++) {
        const uint32_t cell = word >> 16 << 17 | (word & 0xffff);
        for (unsigned k = 0; c->dense[word] >> 4 * k != 0; k++) {
            map_add(&c->unknown, cell, 0 - (uint64_t)(c->dense[word] >> 4 * k & 15));
        }
    }
    for (uint32_t i = 0; i <= c->carry.mask; i++) {
        const struct map_entry *e = &c->carry.entry[i];
        if (e->key1 != 0 && (e->key1 - 1) >> CELL_BITS >= CELL_COMPLETE) {
            map_add(&c->unknown, (e->key1 - 1) & (CELLS - 1), 0 - 16 * e->value);
        }
    }
}

void
cells_all_unknown(struct cells *c)
{
    for (uint32_t i = 0; c->few != NULL && i <= c->few_mask; i++) {
        const struct few_cell *f = &c->few[i];
        if (f->key1 != 0 && ((f->key1 - 1) >> 16 & 1) == 0) {
            map_add(&c->unknown, f->key1 - 1, f->count);
        }
    }
    for (uint32_t cell = 0; c->both != NULL && cell < BH_PLACES_MAX << 17; cell += (cell & 0xffff) == 0xffff ? 65537 : 1) {
        if ((c->both[cell] & 15) != 0) {
            map_add(&c->unknown, cell, c->both[cell] & 15U);
        }
    }
    for (uint32_t i = 0; i <= c->carry.mask; i++) {
        const uint32_t key = c->carry.entry[i].key1 - 1, cell = key & (CELLS - 1);
        if (c->carry.entry[i].key1 != 0 && key >> CELL_BITS == CELL_COUNT && (cell >> 16 & 1) == 0) {
            map_add(&c->unknown, cell, 16 * c->carry.entry[i].value);
        }
    }
    take_back_known(c);
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
    const uint32_t base = place << 17;
    for (uint32_t i = base; from->both != NULL && i < base + (1U << 17); i += 8) {
        uint64_t any;
        memcpy(&any, from->both + i, 8);
        for (uint32_t k = i; any != 0 && k < i + 8; k++) {
            if (from->both[k] != 0) {
                cell_add(into, k, from->both[k] & 15U, from->both[k] >> 4);
            }
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
cells_merge_rest(struct cells *into, const struct cells *from)
{
    for (uint32_t i = 0; from->few != NULL && i <= from->few_mask; i++) {
        const struct few_cell *f = &from->few[i];
        if (f->key1 != 0) {
            cell_add(into, f->key1 - 1, f->count, f->sources);
        }
    }
    into->lost += from->lost;
    if (from->carry.used > 0 && into->both == NULL && !few_to_many(into)) {
        into->lost += 16 * from->carry.used; /* at least; there is no memory */
        return;
    }
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
