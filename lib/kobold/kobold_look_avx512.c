/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_look_avx512.c - the look-ups for AVX-512 (F, BW): a node of the IPv6 tree is two comparisons, a block
 * one; sixteen IPv4 addresses are looked up in the top at once.
 *
 * Built once more with KOBOLD_SIMDE for a test: the same source on plain vectors (simd-everywhere), so that it is
 * tested on machines that have no AVX-512.
 */
#include "kobold_look_priv.h"

#ifdef KOBOLD_SIMDE

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#define LOOK_TARGET
#define kobold_look_avx512 kobold_look_avx512_simde
#define popcount_of(x) ((unsigned)__builtin_popcount(x))
/* What not all of its versions have. */
#define __mmask8 simde__mmask8
#define __mmask16 simde__mmask16
#define __mmask32 simde__mmask32

static inline void
put_lower_halves(uint16_t *to, __m512i v)
{
    uint32_t number[16];
    _mm512_storeu_si512(number, v);
    for (int i = 0; i < 16; i++) {
        to[i] = (uint16_t)number[i];
    }
}

static inline __m512i
gather(__m512i at, const uint8_t *base)
{
    uint32_t number[16];
    _mm512_storeu_si512(number, at);
    for (int i = 0; i < 16; i++) {
        memcpy(&number[i], base + (size_t)number[i] * 4, sizeof number[i]);
    }
    return _mm512_loadu_si512(number);
}

#elif defined(__x86_64__)

#include <immintrin.h>

#define LOOK_TARGET __attribute__((target("avx512f,avx512bw,avx2,bmi,bmi2,popcnt")))
#define popcount_of(x) ((unsigned)_mm_popcnt_u32(x))

LOOK_TARGET static inline void
put_lower_halves(uint16_t *to, __m512i v)
{
    _mm256_storeu_si256((__m256i *)(void *)to, _mm512_cvtepi32_epi16(v));
}

LOOK_TARGET static inline __m512i
gather(__m512i at, const uint8_t *base)
{
    return _mm512_i32gather_epi32(at, (const int *)(const void *)base, 4);
}

#endif

#ifdef LOOK_TARGET

/* The middle nodes of 16 addresses into `ret`, the numbers (from `first`) of those that need them into
 * `list`, which has room for 16; how many. */
LOOK_TARGET static inline size_t
top16(const kobold *k, const uint32_t *addr, uint16_t *ret, size_t first, uint16_t *list)
{
    __m512i high = _mm512_srli_epi32(_mm512_loadu_si512(addr), 16);
    /* In pairs of numbers: four octets from the last number on would be two too many. */
    __m512i pair = gather(_mm512_srli_epi32(high, 1), k->head.v4_top);
    __m512i shift = _mm512_slli_epi32(_mm512_and_si512(high, _mm512_set1_epi32(1)), 4);
    __m512i node = _mm512_and_si512(_mm512_srlv_epi32(pair, shift), _mm512_set1_epi32(0xffff));
    put_lower_halves(ret, node);
    __mmask16 more = _mm512_cmpgt_epi32_mask(node, _mm512_set1_epi32(KDB_ESCAPE - 1));
    __m512i number =
        _mm512_add_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                         _mm512_set1_epi32((int)first));
    put_lower_halves(list, _mm512_maskz_compress_epi32(more, number));
    return popcount_of(more);
}

#define LOOK(name) name##_avx512
#define LOOK_AVX512
#include "kobold_look.inc.h"

#ifdef KOBOLD_SIMDE
extern const struct kobold_look kobold_look_avx512;
#endif
const struct kobold_look kobold_look_avx512 = { "AVX-512", v4_many_avx512, v6_avx512,
                                                v6_many_avx512 };

#endif
