/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_as.c - from an address to the autonomous system that announces it: the section KDB_AS
 * (docs/format/kdb.md), there when the database was compiled with AS tables.
 *
 * IPv4: the upper 16 bits lead to the runs of that /16, whose starts are sorted lower halves of 16
 * bits; most /16 have a few runs, in one cache line. IPv6: a binary search in every 64th start,
 * which stay in the first-level cache, then in 64 of them. No jump depends on the data, and
 * every index is clamped where it is used, so nothing need be checked when a file is opened.
 */
#include "kobold_priv.h"

#define SAMPLE ((unsigned)KDB_AS_SAMPLE)

void
kobold_find_as(kobold *k, const uint8_t *data, size_t size)
{
    struct kobold_as *as = &k->as;
    if (size < KDB_AS_HEADER) {
        return;
    }
    const uint64_t names = bh_get_le32(data);
    const uint64_t n4 = bh_get_le32(data + 4);
    const uint64_t n6 = bh_get_le32(data + 8);
    const uint64_t samples = (n6 + SAMPLE - 1) / SAMPLE;
    const uint64_t text = bh_get_le64(data + 16);
    const uint64_t fixed =
        KDB_AS_HEADER + names * 4 + (names + 1) * 4 + 65537 * 4 + n4 * 6 + samples * 8 + n6 * 20;
    if (fixed > size || text > size - fixed) {
        return; /* no AS data, then */
    }
    const uint8_t *at = data + KDB_AS_HEADER;
    as->v6_sample = at, at += samples * 8;
    as->v6_hi = at, at += n6 * 8;
    as->v6_lo = at, at += n6 * 8;
    as->v6_value = at, at += n6 * 4;
    as->v4_top = at, at += 65537 * (size_t)4;
    as->v4_value = at, at += n4 * 4;
    as->numbers = at, at += names * 4;
    as->name_at = at, at += (names + 1) * 4;
    as->v4_low = at, at += n4 * 2;
    as->text = at;
    as->v4_runs = (uint32_t)n4;
    as->v6_runs = (uint32_t)n6;
    as->samples = (uint32_t)samples;
    as->names = (uint32_t)names;
    as->text_size = (size_t)text;
    as->header = data;
}

/* ---- look-up ------------------------------------------------------------------------------------- */

/* How many runs begin at or before an address. */
static inline uint32_t
v4_runs_before(const struct kobold_as *as, uint32_t a)
{
    const uint8_t *top = as->v4_top + (size_t)(a >> 16) * 4;
    uint32_t from = bh_get_le32(top);
    uint32_t to = bh_get_le32(top + 4);
    to = to < as->v4_runs ? to : as->v4_runs;
    from = from < to ? from : to;
    /* The last start at or before the address: in this /16, or the last of those before. */
    const unsigned low = a & 0xffff;
    const uint8_t *base = as->v4_low + (size_t)from * 2;
    uint32_t at = from;
    for (uint32_t n = to - from; n > 0;) {
        uint32_t half = (n + 1) / 2;
        bool is_before = bh_get_le16(base + (size_t)(half - 1) * 2) <= low;
        base += is_before ? (size_t)half * 2 : 0;
        at += is_before ? half : 0;
        n -= half;
    }
    return at;
}

uint32_t
kobold_as_v4(const kobold *k, uint32_t a)
{
    const struct kobold_as *as = &k->as;
    uint32_t at = as->v4_runs == 0 ? 0 : v4_runs_before(as, a);
    return at == 0 ? 0 : bh_get_le32(as->v4_value + (size_t)(at - 1) * 4);
}

/* How many of `n` keys of 64 bits, sorted, are not above x. */
static inline size_t
count_not_above(const uint8_t *keys, size_t n, uint64_t x)
{
    const uint8_t *base = keys;
    while (n > 0) {
        size_t half = (n + 1) / 2;
        base += bh_get_le64(base + (half - 1) * 8) <= x ? half * 8 : 0;
        n -= half;
    }
    return (size_t)(base - keys) / 8;
}

/* Among runs that begin in the /64 of the address: the rare case of more than one system there. */
static size_t
last_within(const struct kobold_as *as, size_t at, uint64_t hi, uint64_t lo)
{
    size_t first = count_not_above(as->v6_hi, at, hi - 1);
    return first + count_not_above(as->v6_lo + first * 8, at - first, lo);
}

static inline size_t
v6_runs_before(const struct kobold_as *as, uint64_t hi, uint64_t lo)
{
    size_t block = count_not_above(as->v6_sample, as->samples, hi);
    if (block == 0) {
        return 0;
    }
    size_t first = (block - 1) * SAMPLE;
    size_t left = as->v6_runs - first;
    size_t at = first + count_not_above(as->v6_hi + first * 8, left < SAMPLE ? left : SAMPLE, hi);
    if (at > 0 && bh_get_le64(as->v6_hi + (at - 1) * 8) == hi &&
        bh_get_le64(as->v6_lo + (at - 1) * 8) > lo) {
        at = hi == 0 ? count_not_above(as->v6_lo, at, lo) : last_within(as, at, hi, lo);
    }
    return at;
}

uint32_t
kobold_as_v6(const kobold *k, uint64_t hi, uint64_t lo)
{
    uint32_t v4;
    if (kobold_carrier(hi, lo, &v4) != KOBOLD_CARRIER_NONE) {
        return kobold_as_v4(k, v4);
    }
    size_t at = v6_runs_before(&k->as, hi, lo);
    return at == 0 ? 0 : bh_get_le32(k->as.v6_value + (at - 1) * 4);
}

uint32_t
kobold_as_v4_span(const kobold *k, uint32_t a, uint32_t *ret_last)
{
    const struct kobold_as *as = &k->as;
    uint32_t at = as->v4_runs == 0 ? 0 : v4_runs_before(as, a);
    *ret_last = UINT32_MAX;
    if (at < as->v4_runs) {
        /* The next start: its upper half is that of the first /16 that has more runs before its end. */
        uint32_t top = a >> 16;
        while (top < 65535 && bh_get_le32(as->v4_top + (size_t)(top + 1) * 4) <= at) {
            top++;
        }
        uint32_t next = top << 16 | bh_get_le16(as->v4_low + (size_t)at * 2);
        *ret_last = next > a ? next - 1 : a; /* a damaged file */
    }
    return at == 0 ? 0 : bh_get_le32(as->v4_value + (size_t)(at - 1) * 4);
}

uint32_t
kobold_as_v6_span(const kobold *k, uint64_t hi, uint64_t lo, uint64_t *ret_hi, uint64_t *ret_lo)
{
    const struct kobold_as *as = &k->as;
    size_t at = v6_runs_before(as, hi, lo);
    *ret_hi = UINT64_MAX;
    *ret_lo = UINT64_MAX;
    if (at < as->v6_runs) {
        uint64_t next_hi = bh_get_le64(as->v6_hi + at * 8);
        uint64_t next_lo = bh_get_le64(as->v6_lo + at * 8);
        bool is_behind = next_hi > hi || (next_hi == hi && next_lo > lo);
        *ret_hi = is_behind ? next_hi - (next_lo == 0) : hi; /* else a damaged file */
        *ret_lo = is_behind ? next_lo - 1 : lo;
    }
    return at == 0 ? 0 : bh_get_le32(as->v6_value + (at - 1) * 4);
}

uint32_t
kobold_as(const kobold *k, const uint8_t *octets, int family)
{
    return family == 4   ? kobold_as_v4(k, bh_get_be32(octets))
           : family == 6 ? kobold_as_v6(k, bh_get_be64(octets), bh_get_be64(octets + 8))
                         : 0;
}

/* ---- what a number means ------------------------------------------------------------------------- */

bool
kobold_as_name(const kobold *k, uint32_t number, char *ret, size_t size)
{
    const struct kobold_as *as = &k->as;
    size_t at = 0;
    for (size_t n = as->names; n > 0;) {
        size_t half = (n + 1) / 2;
        at += bh_get_le32(as->numbers + (at + half - 1) * 4) <= number ? half : 0;
        n -= half;
    }
    if (at == 0 || size == 0 || bh_get_le32(as->numbers + (at - 1) * 4) != number) {
        return false;
    }
    uint32_t from = bh_get_le32(as->name_at + (at - 1) * 4);
    uint32_t to = bh_get_le32(as->name_at + at * 4);
    if (to > as->text_size || from >= to) {
        return false;
    }
    kobold_take_text(ret, size, as->text + from, to - from);
    return true;
}

bool
kobold_as_meta(const kobold *k, struct kobold_as_meta *ret)
{
    const struct kobold_as *as = &k->as;
    if (as->header == NULL) {
        return false;
    }
    kobold_take_text(ret->name, sizeof ret->name, as->header + KDB_AS_AT_NAME, 64);
    kobold_take_key(ret->date, sizeof ret->date, as->header + KDB_AS_AT_DATE, 16);
    kobold_take_text(ret->licence, sizeof ret->licence, as->header + KDB_AS_AT_LICENCE, 64);
    kobold_take_text(ret->source, sizeof ret->source, as->header + KDB_AS_AT_SOURCE, 128);
    ret->systems = as->names;
    ret->v4_runs = as->v4_runs;
    ret->v6_runs = as->v6_runs;
    return true;
}
