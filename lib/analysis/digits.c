/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Very many small numbers: a digit of each in an octet, the few larger ones in more digits.
 *
 * A key belongs to a place and has 17 bits in it. Scanners try every port from everywhere, so most
 * numbers stay below 16, and what holds all of them must not be larger than an octet each. Numbers
 * that outgrow their digit carry one into the next level, once in sixteen additions. On each level
 * the digits of a place are a table of words (key, octet), found by linear probing, and an array
 * of 128 KiB once the table would be as large: of some 300 places most stay small, and an array
 * for each of them would be most of what a report needs.
 *
 * An octet is two digits to the base of 16 of two numbers that are wanted together (digits_add(),
 * digits_get()), or one to the base of 256 (digits_add_wide(), digits_get_wide()). Numbers may be
 * taken back: a digit that would fall below zero borrows, as in any other notation of numbers.
 *
 * Memory of a level: 4 octets a slot, at most 3/4 of them used, or 128 KiB a place. Tables are keyed,
 * so that nobody can choose ports that make them slow.
 */
#include "tally_priv.h"

#include <errno.h>
#include <stdlib.h>

#define ROW_LEAST 16U       /* slots: one line */
#define ROW_MOST (1U << 14) /* 64 KiB */
#define ROW_LAST (1U << 18) /* without memory for an array: room for every key */
#define SLABS 2048U

/* ---- arrays ---------------------------------------------------------------------------------- */

/* Addresses for all arrays at once: they come in huge pages, and lie without holes in them. */
static uint8_t *
slab_new(struct slabs *s)
{
    if (s->first == NULL) {
        s->first = bh_pages_new((size_t)SLABS * DIGIT_KEYS, true);
    }
    return s->first == NULL || s->used == SLABS ? NULL : s->first + (size_t)s->used++ * DIGIT_KEYS;
}

void
slabs_done(struct slabs *s)
{
    bh_pages_free(s->first, (size_t)SLABS * DIGIT_KEYS);
    *s = (struct slabs){ 0 };
}

/* ---- rows -------------------------------------------------------------------------------------- */

/* The octet of a word, on any machine. */
static inline uint8_t *
octet_of(uint32_t *word)
{
    const uint16_t one = 1;
    uint8_t little;
    memcpy(&little, &one, 1);
    return (uint8_t *)word + (little ? 0 : 3);
}

static inline uint32_t
slot_of(const struct digits *d, const struct digit_row *r, uint32_t key)
{
    uint32_t at = digit_slot(d, r, key);
    while (r->few[at] != 0 && r->few[at] >> 8 != key + 1) {
        at = (at + 1) & r->mask;
    }
    return at;
}

static bool
row_to_array(struct digits *d, struct digit_row *r)
{
    uint8_t *many = slab_new(d->slabs);
    if (many == NULL) {
        return false;
    }
    for (uint32_t i = 0; i <= r->mask; i++) {
        if (r->few[i] != 0) {
            many[(r->few[i] >> 8) - 1] = (uint8_t)r->few[i];
        }
    }
    free(r->few);
    *r = (struct digit_row){ .many = many };
    return true;
}

static bool
row_grow(struct digits *d, struct digit_row *r)
{
    if (r->mask + 1 >= ROW_MOST && row_to_array(d, r)) {
        return true;
    }
    const uint32_t slots = r->few == NULL ? ROW_LEAST : (r->mask + 1) * 2;
    struct digit_row bigger = { .few = slots > ROW_LAST ? NULL : calloc(slots, sizeof *r->few),
                                .mask = slots - 1,
                                .used = r->used };
    if (bigger.few == NULL) {
        return false;
    }
    bigger.shift = 32U - (unsigned)__builtin_ctz(slots);
    for (uint32_t i = 0; r->few != NULL && i <= r->mask; i++) {
        if (r->few[i] != 0) {
            bigger.few[slot_of(d, &bigger, (r->few[i] >> 8) - 1)] = r->few[i];
        }
    }
    free(r->few);
    *r = bigger;
    return true;
}

uint8_t *
digit_make(struct digits *d, unsigned level, uint32_t cell)
{
    if (d->level[level] == NULL &&
        (d->level[level] = calloc(BH_PLACES_MAX, sizeof *d->level[level])) == NULL) {
        return NULL;
    }
    struct digit_row *r = &d->level[level][cell / DIGIT_KEYS];
    const uint32_t key = cell % DIGIT_KEYS;
    if (r->many != NULL) {
        return &r->many[key];
    }
    uint32_t at = r->few == NULL ? 0 : slot_of(d, r, key);
    if (r->few == NULL || r->few[at] == 0) {
        if (r->few == NULL || r->used >= (r->mask + 1) / 4 * 3) {
            if (row_grow(d, r)) {
                return digit_make(d, level, cell);
            }
            if (r->few == NULL || r->used >= r->mask) {
                return NULL;
            }
        }
        r->few[at] = (key + 1) << 8;
        r->used++;
    }
    return octet_of(&r->few[at]);
}

uint8_t
digit_get(const struct digits *d, unsigned level, uint32_t cell)
{
    if (d->level[level] == NULL) {
        return 0;
    }
    const struct digit_row *r = &d->level[level][cell / DIGIT_KEYS];
    if (r->many != NULL) {
        return r->many[cell % DIGIT_KEYS];
    }
    return r->few == NULL ? 0 : (uint8_t)r->few[slot_of(d, r, cell % DIGIT_KEYS)];
}

bool
digit_next(const struct digits *d, unsigned level, uint32_t place, struct digit *it)
{
    static const struct digit_row none;
    const struct digit_row *r = d->level[level] == NULL ? &none : &d->level[level][place];
    while (r->few != NULL && it->at <= r->mask) {
        const uint32_t word = r->few[it->at++];
        if ((word & 0xff) != 0) {
            it->cell = place * DIGIT_KEYS + (word >> 8) - 1;
            it->octet = (uint8_t)word;
            return true;
        }
    }
    while (r->many != NULL && it->at < DIGIT_KEYS) {
        uint64_t eight;
        memcpy(&eight, r->many + it->at / 8 * 8, sizeof eight);
        if (eight == 0) {
            it->at = it->at / 8 * 8 + 8;
            continue;
        }
        const uint32_t key = it->at++;
        if (r->many[key] != 0) {
            it->cell = place * DIGIT_KEYS + key;
            it->octet = r->many[key];
            return true;
        }
    }
    return false;
}

/* ---- numbers --------------------------------------------------------------------------------------- */

int
digits_init(struct digits *d, struct slabs *slabs, uint64_t key)
{
    *d = (struct digits){ .slabs = slabs,
                          .factor = (uint32_t)bh_mix64(key, 0x9e3779b97f4a7c15ULL) | 1 };
    d->level[0] = calloc(BH_PLACES_MAX, sizeof *d->level[0]);
    return d->level[0] == NULL ? -ENOMEM : 0;
}

void
digits_done(struct digits *d)
{
    for (unsigned level = 0; level < DIGIT_LEVELS; level++) {
        for (unsigned place = 0; d->level[level] != NULL && place < BH_PLACES_MAX; place++) {
            free(d->level[level][place].few);
        }
        free(d->level[level]);
    }
    *d = (struct digits){ 0 };
}

void
digits_add(struct digits *d, uint32_t cell, unsigned half, int64_t n)
{
    const unsigned shift = 4 * half;
    for (unsigned level = 0; n != 0 && level < DIGIT_LEVELS; level++) {
        if ((n & 15) == 0) {
            n /= 16;
            continue;
        }
        uint8_t *octet = digit_make(d, level, cell);
        if (octet == NULL) {
            d->lost += n < 0 ? 0 : (uint64_t)n << 4 * level;
            return;
        }
        const int64_t v = (int64_t)(*octet >> shift & 15) + n;
        *octet = (uint8_t)((*octet & ~(15U << shift)) | ((unsigned)v & 15U) << shift);
        n = v >> 4; /* rounds down: a borrow is -1 */
    }
}

uint64_t
digits_get(const struct digits *d, uint32_t cell, unsigned half)
{
    uint64_t sum = 0;
    for (unsigned level = 0; level < DIGIT_LEVELS; level++) {
        sum |= (uint64_t)(digit_get(d, level, cell) >> 4 * half & 15) << 4 * level;
    }
    return sum;
}

void
digits_add_wide(struct digits *d, uint32_t cell, uint64_t n)
{
    for (unsigned level = 0; n != 0 && level < DIGIT_LEVELS / 2; level++) {
        uint8_t *octet = digit_make(d, level, cell);
        if (octet == NULL) {
            d->lost += n << 8 * level;
            return;
        }
        n += *octet;
        *octet = (uint8_t)n;
        n >>= 8;
    }
}

uint64_t
digits_get_wide(const struct digits *d, uint32_t cell)
{
    uint64_t sum = 0;
    for (unsigned level = 0; level < DIGIT_LEVELS / 2; level++) {
        sum |= (uint64_t)digit_get(d, level, cell) << 8 * level;
    }
    return sum;
}
