/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_look.c - the look-ups. Single IPv4 look-ups are the same for every machine: three tables by 16,
 * 4 and 4 bits of the address (kobold.h, kobold_v4_inline). What gains by newer instructions is
 * one source (kobold_look.inc.h) compiled for each set, chosen when a database is opened, so
 * that one package serves every x86-64 machine.
 */
#include "kobold_look_priv.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define LOOK_X86 1
#endif

static BH_ALWAYS_INLINE unsigned
popcount(uint64_t x)
{
#if defined(LOOK_X86) && !defined(__POPCNT__)
    /* The compiler would call a function with a table; this is half the time. */
    x -= x >> 1 & 0x5555555555555555U;
    x = (x & 0x3333333333333333U) + (x >> 2 & 0x3333333333333333U);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fU;
    return (unsigned)(x * 0x0101010101010101U >> 56);
#else
    return (unsigned)__builtin_popcountll(x);
#endif
}

static inline uint16_t
good_value(const kobold *k, uint16_t v)
{
    return v < k->value_count ? v : KOBOLD_VALUE_UNKNOWN;
}

/* ---- behind an escape: IPv4 ------------------------------------------------------------------ */

/* How many of the first `count` octets are escapes. Reads up to eight octets more. */
static unsigned
count_escapes(const uint8_t *octets, unsigned count)
{
    unsigned found = 0;
    for (unsigned i = 0; i < count; i += 8) {
        /* The highest bit of each octet: set where all eight are. */
        uint64_t x = le64(octets + i);
        uint64_t all = x & ((x & 0x7f7f7f7f7f7f7f7fU) + 0x0101010101010101U) & 0x8080808080808080U;
        unsigned left = count - i;
        found += popcount(left < 8 ? all & ((1ULL << left * 8) - 1) : all);
    }
    return found;
}

/* Of a map of borders: how many up to number c. Reads 32 octets. */
static unsigned
count_borders(const uint8_t *map, unsigned c)
{
    unsigned n = popcount(le64(map + (size_t)(c / 64) * 8) & ((2ULL << c % 64) - 1));
    for (unsigned word = 0; word < c / 64; word++) {
        n += popcount(le64(map + (size_t)word * 8));
    }
    return n;
}

static size_t
record_size(const uint8_t *record)
{
    unsigned head = record[0];
    unsigned n = head & KDB_RECORD_COUNT;
    size_t places = n;
    if ((head & KDB_RECORD_MAP) != 0) {
        unsigned shift = head & KDB_RECORD_SHIFT;
        places = KDB_RECORD_MAP_SIZE(shift);
        n = count_borders(record + 1, (256U >> shift) - 1);
    }
    size_t values = (head & KDB_RECORD_ALTERNATING) != 0 ? 2 : n + 1;
    return 1 + places + ((head & KDB_RECORD_WIDE) != 0 ? values * 2 : values);
}

static uint16_t
record_value(const kobold *k, const uint8_t *record, unsigned low)
{
    unsigned head = record[0];
    unsigned n = head & KDB_RECORD_COUNT;
    unsigned j = 0;
    const uint8_t *places = record + 1;
    const uint8_t *values = places + n;
    if ((head & KDB_RECORD_MAP) != 0) {
        unsigned shift = head & KDB_RECORD_SHIFT;
        values = places + KDB_RECORD_MAP_SIZE(shift);
        j = count_borders(places, low >> shift);
    } else {
        for (unsigned i = 0; i < n; i += 16) { /* sixteen at a time become vector code */
            for (unsigned s = 0; s < 16; s++) {
                j += (unsigned)(places[i + s] <= low) & (unsigned)(i + s < n);
            }
        }
    }
    j = (head & KDB_RECORD_ALTERNATING) != 0 ? j & 1 : j;
    if (BH_UNLIKELY((head & KDB_RECORD_WIDE) != 0)) {
        return good_value(k, le16(values + (size_t)j * 2));
    }
    return values[j];
}

/* The list of what the tables had no room for: the last entry not above us. */
static size_t
v4_listed_at(const kobold *k, uint32_t a)
{
    size_t first = 0;
    size_t count = k->v4_sides;
    while (count > 1) {
        size_t half = count / 2;
        first += le32(k->v4_side + (first + half) * KDB_V4_SIDE_SIZE) <= a ? half : 0;
        count -= half;
    }
    return first;
}

static uint16_t
v4_listed(const kobold *k, uint32_t a)
{
    if (k->v4_sides == 0) {
        return KOBOLD_VALUE_UNKNOWN;
    }
    return good_value(k, le16(k->v4_side + v4_listed_at(k, a) * KDB_V4_SIDE_SIZE + 4));
}

/* A divided /24: the low node's group begins with the record of its first escape, and so on. NULL: it has
 * none, the list answers. Offsets are clamped: the file is not trusted. */
static const uint8_t *
v4_record(const kobold *k, size_t low, unsigned cell)
{
    size_t group = low - KDB_V4_UNIFORM;
    if (group >= k->v4_groups) {
        return NULL;
    }
    const uint8_t *node = k->head.v4_low + low * KDB_V4_CELLS;
    size_t at = le32(k->v4_group + group * 4);
    for (unsigned skip = count_escapes(node, cell); skip > 0 && at < k->v4_record_last; skip--) {
        at += record_size(k->v4_record + at);
    }
    return k->v4_record + (at < k->v4_record_last ? at : k->v4_record_last);
}

BH_NOINLINE uint16_t
kobold_v4_deep(const kobold *k, uint32_t a)
{
    size_t low = v4_middle(k, a, v4_top(k, a));
    unsigned cell = a >> 8 & 15;
    uint8_t octet = k->head.v4_low[low * KDB_V4_CELLS + cell];
    if (octet != KDB_ESCAPE) {
        return octet;
    }
    const uint8_t *record = v4_record(k, low, cell);
    return record == NULL ? v4_listed(k, a) : record_value(k, record, a & 255);
}

/* ---- IPv4, to where a piece ends ---------------------------------------------------------------- */

/* The last low octet before the record's next border behind `low`; 255 without one. */
static unsigned
record_end(const uint8_t *record, unsigned low)
{
    unsigned head = record[0];
    unsigned end = 255;
    if ((head & KDB_RECORD_MAP) != 0) {
        unsigned shift = head & KDB_RECORD_SHIFT;
        for (unsigned c = (low >> shift) + 1; c < 256U >> shift; c++) {
            if ((record[1 + c / 8] >> c % 8 & 1) != 0) {
                return (c << shift) - 1;
            }
        }
        return end;
    }
    for (unsigned i = 0; i < (head & KDB_RECORD_COUNT); i++) {
        unsigned place = record[1 + i];
        end = place > low && place <= end ? place - 1 : end;
    }
    return end;
}

uint32_t
kobold_v4_piece_end(const kobold *k, uint32_t a)
{
    unsigned top = v4_top(k, a);
    size_t low = v4_middle(k, a, top);
    unsigned cell = a >> 8 & 15;
    if (top < KDB_ESCAPE) {
        return a | 0xffff;
    }
    if (low < KDB_ESCAPE) {
        return a | 0xfff;
    }
    if (k->head.v4_low[low * KDB_V4_CELLS + cell] != KDB_ESCAPE) {
        return a | 0xff;
    }
    const uint8_t *record = v4_record(k, low, cell);
    if (record != NULL) {
        return (a & ~255U) | record_end(record, a & 255);
    }
    size_t next = v4_listed_at(k, a) + 1;
    uint32_t start = next < k->v4_sides ? le32(k->v4_side + next * KDB_V4_SIDE_SIZE) : 0;
    return start > a && start <= (a | 0xff) ? start - 1 : a | 0xff;
}

/* ---- behind an escape: IPv6 ------------------------------------------------------------------ */

/* The block says the group of its first escape, those before ours which one is ours. */
bool
kobold_v6_group(const kobold *k, const uint8_t *block, size_t slot, size_t *ret_first,
                size_t *ret_end)
{
    uint64_t group = (uint64_t)le32(block + KDB_BLOCK_GROUP) +
                     count_escapes(block + KDB_BLOCK_VALUES, (unsigned)slot);
    if (group >= k->v6_groups) {
        return false;
    }
    size_t first = le32(k->v6_group + (size_t)group * 4);
    size_t end = le32(k->v6_group + (size_t)group * 4 + 4);
    end = end < k->v6_entries ? end : k->v6_entries;
    *ret_first = first;
    *ret_end = end;
    return first < end;
}

size_t
kobold_v6_entry_at(const kobold *k, size_t first, size_t end, uint64_t lo)
{
    for (size_t count = end - first; count > 1;) {
        size_t half = count / 2;
        first += le64(k->v6_entry + (first + half) * KDB_V6_ENTRY_SIZE) <= lo ? half : 0;
        count -= half;
    }
    return first;
}

/* Embedded IPv4, a divided /64, or a value that does not fit an octet: its entries by lower half, the
 * first of them 0. */
BH_NOINLINE uint16_t
kobold_v6_deep(const kobold *k, uint64_t hi, uint64_t lo, const uint8_t *block, size_t slot)
{
    uint32_t v4;
    if (kobold_carrier(hi, lo, &v4) != KOBOLD_CARRIER_NONE) {
        return kobold_v4(k, v4);
    }
    size_t first;
    size_t end;
    if (!kobold_v6_group(k, block, slot, &first, &end)) {
        return KOBOLD_VALUE_UNKNOWN;
    }
    size_t at = kobold_v6_entry_at(k, first, end, lo);
    return good_value(k, le16(k->v6_entry + at * KDB_V6_ENTRY_SIZE + 8));
}

/* ---- by instruction set ---------------------------------------------------------------------- */

#define LOOK(name) name##_generic
#define LOOK_TARGET
#include "kobold_look.inc.h"

#ifdef LOOK_X86
#define LOOK(name) name##_avx2
#define LOOK_TARGET __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define LOOK_AVX2
#include "kobold_look.inc.h"
#endif

int
kobold_cpu(void)
{
#ifdef LOOK_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
        __builtin_cpu_supports("popcnt")) {
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                   ? KOBOLD_CPU_AVX512
                   : KOBOLD_CPU_AVX2;
    }
#endif
    return KOBOLD_CPU_GENERIC;
}

const struct kobold_look *
kobold_look_of(int cpu)
{
    static const struct kobold_look generic = { "plain C", v4_many_generic, v6_generic,
                                                v6_many_generic };
#ifdef LOOK_X86
    static const struct kobold_look avx2 = { "AVX2", v4_many_avx2, v6_avx2, v6_many_avx2 };
    if (cpu >= KOBOLD_CPU_AVX2) {
        return cpu == KOBOLD_CPU_AVX2 ? &avx2 : &kobold_look_avx512;
    }
#endif
    (void)cpu;
    return &generic;
}

uint16_t
kobold_v4(const kobold *k, uint32_t host_order)
{
    return kobold_v4_inline(k, host_order);
}

uint16_t
kobold_v6(const kobold *k, uint64_t hi, uint64_t lo)
{
    return k->look->v6(k, hi, lo);
}

void
kobold_v4_many(const kobold *k, const uint32_t *addr, uint16_t *ret_values, size_t n)
{
    k->look->v4_many(k, addr, ret_values, n);
}

void
kobold_v6_many(const kobold *k, const uint64_t (*addr)[2], uint16_t *ret_values, size_t n)
{
    k->look->v6_many(k, addr, ret_values, n);
}

void
kobold_v4_strided(const kobold *k, const void *first, size_t stride, enum kobold_order order,
                  uint16_t *ret_values, size_t n)
{
    const uint8_t *p = first;
    uint32_t addr[BATCH];
    while (n > 0) {
        size_t count = n < BATCH ? n : BATCH;
        for (size_t i = 0; i < count; i++, p += stride) {
            memcpy(&addr[i], p, sizeof addr[i]);
            addr[i] = order == KOBOLD_NETWORK ? bh_get_be32(p) : addr[i];
        }
        k->look->v4_many(k, addr, ret_values, count);
        ret_values += count;
        n -= count;
    }
}

void
kobold_v6_strided(const kobold *k, const void *first, size_t stride, enum kobold_order order,
                  uint16_t *ret_values, size_t n)
{
    const uint8_t *p = first;
    uint64_t addr[GROUP][2];
    while (n > 0) {
        size_t count = n < GROUP ? n : GROUP;
        for (size_t i = 0; i < count; i++, p += stride) {
            memcpy(addr[i], p, sizeof addr[i]);
            if (order == KOBOLD_NETWORK) {
                addr[i][0] = bh_get_be64(p);
                addr[i][1] = bh_get_be64(p + 8);
            }
        }
        k->look->v6_many(k, (const uint64_t(*)[2])addr, ret_values, count);
        ret_values += count;
        n -= count;
    }
}

struct kobold_result
kobold_lookup(const kobold *k, const uint8_t *octets, int family)
{
    struct kobold_result result = { .value = KOBOLD_VALUE_UNKNOWN };
    if (family == 4) {
        result.value = kobold_v4(k, bh_get_be32(octets));
    } else if (family == 6) {
        uint64_t hi = bh_get_be64(octets);
        uint64_t lo = bh_get_be64(octets + 8);
        result.carrier = kobold_carrier(hi, lo, &result.embedded_v4);
        result.value = result.carrier != KOBOLD_CARRIER_NONE ? kobold_v4(k, result.embedded_v4)
                                                             : kobold_v6(k, hi, lo);
    }
    return result;
}
