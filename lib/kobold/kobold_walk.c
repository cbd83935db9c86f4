/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_walk.c - from an address to the end of what has its value: the way through a database.
 *
 * Without a state of its own: each call finds its place again, as a look-up does, and adds pieces
 * until the value changes. A piece is a /16, /20 or /24 of the IPv4 tables, what a record says of a part of
 * one, an entry of an IPv6 block, or one of a side list. That is some 10 ms for all of IPv4 and 30 ms for IPv6, once;
 * a state would have to be a public struct, which could never change.
 *
 * Every piece ends at a boundary that stands in the file, and ends behind its start: so a walk ends
 * however a file was damaged.
 */
#include "kobold_priv.h"

/* ---- IPv4 ---------------------------------------------------------------------------------------- */

uint16_t
kobold_v4_span(const kobold *k, uint32_t first, uint32_t *ret_last)
{
    uint16_t value = kobold_v4(k, first);
    uint32_t last = kobold_v4_piece_end(k, first);
    while (last != UINT32_MAX && kobold_v4(k, last + 1) == value) {
        last = kobold_v4_piece_end(k, last + 1);
    }
    *ret_last = last;
    return value;
}

/* ---- IPv6 ------------------------------------------------------------------------------------------ */

struct address {
    uint64_t hi, lo;
};

static bool
is_above(struct address a, struct address b)
{
    return a.hi > b.hi || (a.hi == b.hi && a.lo > b.lo);
}

static struct address
address_before(struct address a)
{
    return (struct address){ a.hi - (a.lo == 0), a.lo - 1 };
}

/* The block of a key, as a look-up finds it. */
static size_t
v6_find_block(const kobold *k, int64_t x, uint64_t *ret_key, uint64_t *ret_room)
{
    size_t at = 0;
    const uint8_t *level = k->v6_level[0];
    for (uint32_t i = 0; i < k->v6_levels; i++) {
        level = k->v6_level[i];
        size_t slot = 0;
        for (size_t s = 1; s < KDB_FANOUT; s++) {
            slot += (int64_t)bh_get_le64(level + (at * KDB_FANOUT + s) * 8) <= x;
        }
        at = at * KDB_FANOUT + slot;
    }
    uint64_t key = bh_get_le64(level + at * 8);
    *ret_key = key;
    /* Up to the next block, or to the last key, which is never looked for. */
    *ret_room = (uint64_t)INT64_MAX - key;
    if (at + 1 < k->v6_blocks && (int64_t)bh_get_le64(level + (at + 1) * 8) > x) {
        *ret_room = bh_get_le64(level + (at + 1) * 8) - key;
    }
    return at;
}

/* What the side list says of `a`, and where that ends, when not behind *last. */
static uint16_t
v6_side_piece(const kobold *k, struct address a, struct address *last)
{
    size_t first = 0;
    size_t count = k->v6_sides;
    if (count == 0) {
        return KOBOLD_VALUE_UNKNOWN;
    }
    while (count > 1) {
        size_t half = count / 2;
        const uint8_t *p = k->v6_side + (first + half) * 16;
        struct address there = { bh_get_le64(p), bh_get_le64(p + 8) };
        first += is_above(there, a) ? 0 : half;
        count -= half;
    }
    if (first + 1 < k->v6_sides) {
        const uint8_t *p = k->v6_side + (first + 1) * 16;
        struct address next = { bh_get_le64(p), bh_get_le64(p + 8) };
        if (is_above(next, a) && !is_above(next, *last)) {
            *last = address_before(next);
        }
    }
    uint16_t value = bh_get_le16(k->v6_side_value + first * 2);
    return value < k->value_count ? value : KOBOLD_VALUE_UNKNOWN;
}

static uint16_t
v6_piece(const kobold *k, struct address a, struct address *ret_last)
{
    uint64_t turned = a.hi ^ (1ULL << 63);
    int64_t x = (int64_t)(turned - (turned == INT64_MAX));
    uint64_t key;
    uint64_t room; /* from the key to where the piece ends at the latest */
    const uint8_t *block = k->v6_block + v6_find_block(k, x, &key, &room) * KDB_BLOCK_SIZE;
    uint64_t distance = (uint64_t)x - key;
    unsigned shift = block[KDB_BLOCK_SHIFT] & 63;
    uint64_t wide = distance >> shift;
    uint32_t r = wide > UINT32_MAX ? UINT32_MAX : (uint32_t)wide;
    unsigned slot = 0;
    for (unsigned i = 1; i < KDB_BLOCK_KEYS; i++) {
        uint32_t remainder = bh_get_le32(block + (size_t)4 * i);
        slot += remainder <= r;
        uint64_t far = (uint64_t)remainder << shift;
        if (remainder > r && far >> shift == remainder && far < room) {
            room = far;
        }
    }
    *ret_last = (struct address){ UINT64_MAX, UINT64_MAX };
    if (room > distance && room < (uint64_t)INT64_MAX - key && a.hi != UINT64_MAX) {
        ret_last->hi = ((key + room) ^ (1ULL << 63)) - 1;
    }
    uint8_t value = block[KDB_BLOCK_VALUES + slot];
    return value == KDB_ESCAPE ? v6_side_piece(k, a, ret_last) : value;
}

uint16_t
kobold_v6_span(const kobold *k, uint64_t hi, uint64_t lo, uint64_t *ret_last_hi,
               uint64_t *ret_last_lo)
{
    struct address last;
    struct address end;
    uint16_t value = v6_piece(k, (struct address){ hi, lo }, &last);
    while (last.hi != UINT64_MAX || last.lo != UINT64_MAX) {
        struct address next = { last.hi + (last.lo == UINT64_MAX), last.lo + 1 };
        if (v6_piece(k, next, &end) != value) {
            break;
        }
        last = end;
    }
    *ret_last_hi = last.hi;
    *ret_last_lo = last.lo;
    return value;
}
