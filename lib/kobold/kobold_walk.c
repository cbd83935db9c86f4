/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_walk.c - from an address to the end of what has its value: the way through a database.
 *
 * Without a state of its own: each call finds its place again, as a look-up does, and adds pieces
 * until the value changes. A piece is a /16, /20 or /24 of the IPv4 tables, what a record says of a part of
 * one, a place in an IPv6 block, or an entry behind one. That is some 10 ms for all of IPv4 and 30 ms for IPv6, once;
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

/* What the entries behind an escape say of `a`; several divide each /64, so that the piece ends in its own. */
static uint16_t
v6_entry_piece(const kobold *k, struct address a, const uint8_t *block, size_t slot,
               struct address *last)
{
    size_t first;
    size_t end;
    if (!kobold_v6_group(k, block, slot, &first, &end)) {
        return KOBOLD_VALUE_UNKNOWN;
    }
    size_t at = kobold_v6_entry_at(k, first, end, a.lo);
    if (end - first > 1) {
        *last = (struct address){ a.hi, UINT64_MAX };
    }
    if (at + 1 < end) {
        uint64_t next = bh_get_le64(k->v6_entry + (at + 1) * KDB_V6_ENTRY_SIZE);
        last->lo = next > a.lo ? next - 1 : UINT64_MAX;
    }
    uint16_t value = bh_get_le16(k->v6_entry + at * KDB_V6_ENTRY_SIZE + 8);
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
    unsigned r = wide >= KDB_BLOCK_PAD ? KDB_BLOCK_PAD - 1 : (unsigned)wide;
    unsigned slot = 0;
    for (unsigned i = 0; i + 1 < KDB_BLOCK_KEYS; i++) {
        unsigned border = bh_get_le16(block + (size_t)2 * i);
        slot += border <= r;
        uint64_t far = (uint64_t)border << shift;
        if (border > r && border != KDB_BLOCK_PAD && far >> shift == border && far < room) {
            room = far;
        }
    }
    *ret_last = (struct address){ UINT64_MAX, UINT64_MAX };
    if (room > distance && room < (uint64_t)INT64_MAX - key && a.hi != UINT64_MAX) {
        ret_last->hi = ((key + room) ^ (1ULL << 63)) - 1;
    }
    uint8_t value = block[KDB_BLOCK_VALUES + slot];
    return value == KDB_ESCAPE ? v6_entry_piece(k, a, block, slot, ret_last) : value;
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
