/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_look.c - the look-ups: one source (kobold_look.inc.h) for every instruction set, chosen
 * at run time, so that one package serves every x86-64 machine. A predicted jump on k->cpu
 * is cheaper than a call through a pointer, and a look-up of 2 ns feels either.
 */
#include "kobold_priv.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define LOOK_X86 1
#endif

#define BATCH 256 /* IPv4 keys between two turns to the deep ones */
#define GROUP 32  /* IPv6 keys whose blocks are asked for together */

static BH_ALWAYS_INLINE uint16_t
le16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap16(v);
#endif
    return v;
}

static BH_ALWAYS_INLINE uint32_t
le32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    return v;
}

static BH_ALWAYS_INLINE uint64_t
le64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

#if defined(LOOK_X86) && !defined(__POPCNT__)
/* The compiler would call a function with a table; this is half the time. */
static BH_ALWAYS_INLINE unsigned
popcount(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555U;
    x = (x & 0x3333333333333333U) + (x >> 2 & 0x3333333333333333U);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fU;
    return (unsigned)(x * 0x0101010101010101U >> 56);
}
#else
static BH_ALWAYS_INLINE unsigned
popcount(uint64_t x)
{
    return (unsigned)__builtin_popcountll(x);
}
#endif

static inline uint16_t
good_value(const kobold *k, uint16_t v)
{
    return v < k->value_count ? v : KOBOLD_VALUE_UNKNOWN;
}

/* A divided /24, or a value that does not fit an octet. The escapes are counted up to ours;
 * that many records before it. A record: n, the n low octets where a new value begins, and
 * n + 1 values of one or (flag in its offset) two octets. Offset and lengths are clamped. */
static BH_NOINLINE uint16_t
kobold_v4_deep(const kobold *k, uint32_t a, uint32_t position)
{
    uint32_t word = position / 64;
    if (word >= k->v4_escape_words) {
        return KOBOLD_VALUE_UNKNOWN;
    }
    const uint8_t *w = k->v4_escape + (size_t)word * KDB_WORD_SIZE;
    uint64_t before = le64(w) & ((1ULL << (position & 63)) - 1);
    uint32_t rank = le32(w + 8) + popcount(before);
    if (rank >= k->v4_records) {
        return KOBOLD_VALUE_UNKNOWN;
    }
    uint32_t where = le32(k->v4_record_at + (size_t)rank * 4);
    uint32_t offset = where & 0x7fffffff;
    const uint8_t *record =
        k->v4_record + (offset < k->v4_record_last ? offset : k->v4_record_last);
    unsigned n = record[0];
    unsigned low = a & 255;
    unsigned j = 0;
    for (unsigned i = 0; i < n; i += 16) { /* sixteen at a time become vector code */
        const uint8_t *starts = record + 1 + i;
        for (unsigned s = 0; s < 16; s++) {
            j += (unsigned)(starts[s] <= low) & (unsigned)(i + s < n);
        }
    }
    const uint8_t *values = record + 1 + n;
    if (where >> 31 != 0) {
        return good_value(k, le16(values + (size_t)j * 2));
    }
    return values[j];
}

/* Embedded IPv4, a divided /64, or a value that does not fit an octet: the side list holds all
 * 128 bits of every boundary inside such places, so the last one not above us answers. */
static uint16_t kobold_v6_deep(const kobold *k, uint64_t hi, uint64_t lo);

#define LOOK(name) name##_generic
#define LOOK_TARGET
#define LOOK_POPCOUNT(x) popcount(x)
#include "kobold_look.inc.h"

#ifdef LOOK_X86
#define LOOK(name) name##_popcnt
#define LOOK_TARGET __attribute__((target("popcnt")))
#define LOOK_POPCOUNT(x) __builtin_popcountll(x)
#include "kobold_look.inc.h"

#define LOOK(name) name##_avx2
#define LOOK_TARGET __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define LOOK_POPCOUNT(x) __builtin_popcountll(x)
#define LOOK_AVX2
#include "kobold_look.inc.h"
#endif

static BH_NOINLINE uint16_t
kobold_v6_deep(const kobold *k, uint64_t hi, uint64_t lo)
{
    uint32_t v4;
    if (kobold_carrier(hi, lo, &v4) != KOBOLD_CARRIER_NONE) {
        return kobold_v4(k, v4);
    }
    size_t first = 0;
    size_t count = k->v6_sides;
    if (count == 0) {
        return KOBOLD_VALUE_UNKNOWN;
    }
    while (count > 1) {
        size_t half = count / 2;
        const uint8_t *p = k->v6_side + (first + half) * 16;
        uint64_t there = le64(p);
        bool is_past = there > hi || (there == hi && le64(p + 8) > lo);
        first += is_past ? 0 : half;
        count -= half;
    }
    return good_value(k, le16(k->v6_side_value + first * 2));
}

int
kobold_cpu(void)
{
#ifdef LOOK_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("popcnt")) {
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") ? KOBOLD_CPU_AVX2
                                                                                : KOBOLD_CPU_POPCNT;
    }
#endif
    return KOBOLD_CPU_GENERIC;
}

uint16_t
kobold_v4(const kobold *k, uint32_t host_order)
{
#ifdef LOOK_X86
    if (BH_LIKELY(k->cpu >= KOBOLD_CPU_POPCNT)) {
        return v4_popcnt(k, host_order);
    }
#endif
    return v4_generic(k, host_order);
}

uint16_t
kobold_v6(const kobold *k, uint64_t hi, uint64_t lo)
{
#ifdef LOOK_X86
    if (BH_LIKELY(k->cpu >= KOBOLD_CPU_AVX2)) {
        return v6_avx2(k, hi, lo);
    }
    if (k->cpu == KOBOLD_CPU_POPCNT) {
        return v6_popcnt(k, hi, lo);
    }
#endif
    return v6_generic(k, hi, lo);
}

void
kobold_v4_many(const kobold *k, const uint32_t *addr, uint16_t *ret_values, size_t n)
{
#ifdef LOOK_X86
    if (k->cpu >= KOBOLD_CPU_AVX2) {
        v4_many_avx2(k, addr, ret_values, n);
        return;
    }
    if (k->cpu == KOBOLD_CPU_POPCNT) {
        v4_many_popcnt(k, addr, ret_values, n);
        return;
    }
#endif
    v4_many_generic(k, addr, ret_values, n);
}

void
kobold_v6_many(const kobold *k, const uint64_t (*addr)[2], uint16_t *ret_values, size_t n)
{
#ifdef LOOK_X86
    if (k->cpu >= KOBOLD_CPU_AVX2) {
        v6_many_avx2(k, addr, ret_values, n);
        return;
    }
    if (k->cpu == KOBOLD_CPU_POPCNT) {
        v6_many_popcnt(k, addr, ret_values, n);
        return;
    }
#endif
    v6_many_generic(k, addr, ret_values, n);
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
