/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of numbers, on their way in. Unpacking is there twice: for any processor, and with AVX2, where
 * eight numbers are gathered, shifted each by its own count, and masked. Which one is chosen once; the
 * tests compare them (test_store.c), and BH_STORE_CPU=base in the environment asks for the first.
 */
#include "code_priv.h"

#include <stdlib.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* ---- packed --------------------------------------------------------------------------------------- */

static void
unpack_from(const uint8_t *p, size_t size, unsigned width, uint32_t least, uint32_t *v,
            uint32_t from, uint32_t n)
{
    struct code_bits_in bits = { p, size, (uint64_t)from * width };
    for (uint32_t i = from; i < n; i++) {
        v[i] = least + code_bits_get(&bits, width);
    }
}

void
code_unpack_base(const uint8_t *p, size_t size, unsigned width, uint32_t least, uint32_t *v,
                 uint32_t n)
{
    if (width == 16) { /* ports */
        for (uint32_t i = 0; i < n; i++) {
            v[i] = least + bh_get_le16(p + 2 * (size_t)i);
        }
    } else if (width == 32) {
        for (uint32_t i = 0; i < n; i++) {
            v[i] = least + bh_get_le32(p + 4 * (size_t)i);
        }
    } else if (width == 8) {
        for (uint32_t i = 0; i < n; i++) {
            v[i] = least + p[i];
        }
    } else {
        unpack_from(p, size, width, least, v, 0, n);
    }
}

#if defined(__x86_64__)
/* Of so many bits a number and the seven in front of it fit into the 32 that are gathered. */
#define GATHER_WIDTH 25U

__attribute__((target("avx2"))) static void
unpack_avx2(const uint8_t *p, size_t size, unsigned width, uint32_t least, uint32_t *v, uint32_t n)
{
    if (width == 0 || width > GATHER_WIDTH || width % 8 == 0) {
        code_unpack_base(p, size, width, least, v, n);
        return;
    }
    /* Eight numbers are `width` octets: where each begins in them, and at which bit. */
    const __m256i bit = _mm256_mullo_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
                                           _mm256_set1_epi32((int)width));
    const __m256i octet = _mm256_srli_epi32(bit, 3);
    const __m256i shift = _mm256_and_si256(bit, _mm256_set1_epi32(7));
    const __m256i mask = _mm256_set1_epi32((int)((1U << width) - 1));
    const __m256i base = _mm256_set1_epi32((int)least);
    const size_t reach = (7 * width >> 3) + 4; /* octets that are read for eight */
    uint32_t i = 0;
    for (size_t at = 0; i + 8 <= n && at + reach <= size; i += 8, at += width) {
        __m256i x = _mm256_i32gather_epi32((const int *)(const void *)(p + at), octet, 1);
        x = _mm256_and_si256(_mm256_srlv_epi32(x, shift), mask);
        _mm256_storeu_si256((__m256i *)(void *)(v + i), _mm256_add_epi32(x, base));
    }
    unpack_from(p, size, width, least, v, i, n);
}

/* v[i] = table[code[i]], which has 256 places. */
__attribute__((target("avx2"))) static void
look_up_avx2(const uint32_t *table, const uint8_t *code, uint32_t *v, uint32_t n)
{
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m256i at =
            _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(code + i)));
        _mm256_storeu_si256((__m256i *)(void *)(v + i),
                            _mm256_i32gather_epi32((const int *)(const void *)table, at, 4));
    }
    for (; i < n; i++) {
        v[i] = table[code[i]];
    }
}
#endif

static bool
has_avx2(void)
{
#if defined(__x86_64__)
    const char *asked = getenv("BH_STORE_CPU");
    return __builtin_cpu_supports("avx2") && (asked == NULL || strcmp(asked, "base") != 0);
#else
    return false;
#endif
}

/* 0: not asked yet; 1: base; 2: AVX2. Threads that ask at once find the same. */
static unsigned
unpack_kind(void)
{
    static _Atomic unsigned kind;
    unsigned k = kind;
    if (BH_UNLIKELY(k == 0)) {
        k = has_avx2() ? 2 : 1;
        kind = k;
    }
    return k;
}

void
code_unpack(const uint8_t *p, size_t size, unsigned width, uint32_t least, uint32_t *v, uint32_t n)
{
#if defined(__x86_64__)
    if (unpack_kind() == 2) {
        unpack_avx2(p, size, width, least, v, n);
        return;
    }
#endif
    code_unpack_base(p, size, width, least, v, n);
}

void
code_look_up_base(const uint32_t *table, const uint8_t *code, uint32_t *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        v[i] = table[code[i]];
    }
}

void
code_look_up(const uint32_t *table, const uint8_t *code, uint32_t *v, uint32_t n)
{
#if defined(__x86_64__)
    if (unpack_kind() == 2) {
        look_up_avx2(table, code, v, n);
        return;
    }
#endif
    code_look_up_base(table, code, v, n);
}

/* ---- forms ---------------------------------------------------------------------------------------- */

static bool
get_packed(struct bh_cur *c, uint32_t *v, uint32_t n)
{
    const unsigned width = bh_cur_u8(c);
    const uint32_t least = code_get32(c);
    if (width > 32) {
        c->bad = true;
        return false;
    }
    const size_t size = (size_t)(((uint64_t)n * width + 7) / 8);
    const uint8_t *p = bh_cur_take(c, size);
    if (p == NULL) {
        return false;
    }
    code_unpack(p, size, width, least, v, n);
    return true;
}

static bool
get_common(struct bh_cur *c, uint32_t *v, uint32_t n)
{
    uint32_t table[256];
    uint8_t code[4096 + 16];
    const unsigned count = bh_cur_u8(c);
    const uint8_t *p = bh_cur_take(c, 4UL * count);
    if (p == NULL) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        table[i] = bh_get_le32(p + 4UL * i);
    }
    memset(table + count, 0, (BH_COUNT(table) - count) * sizeof *table);
    uint8_t *codes = n <= 4096 ? code : malloc(n + 16UL);
    bool ok = codes != NULL && code_get_octets(c, codes, n);
    uint32_t others = 0, wrong = 0;
    for (uint32_t i = 0; ok && i < n; i++) {
        others += codes[i] == CODE_NUMBER_OTHER;
        wrong += codes[i] != CODE_NUMBER_OTHER && codes[i] >= count;
    }
    ok = ok && wrong == 0;
    uint32_t *rest = NULL;
    if (ok && others > 0) {
        rest = malloc((others + 16UL) * sizeof *rest);
        ok = rest != NULL;
    }
    /* What is packed behind is there even when it is empty. */
    ok = ok && bh_cur_u8(c) == NUMBERS_PACKED && get_packed(c, rest, others);
    if (ok && others == 0) {
        code_look_up(table, codes, v, n);
    }
    for (uint32_t i = 0, at = 0; ok && others > 0 && i < n; i++) {
        const bool other = codes[i] == CODE_NUMBER_OTHER;
        v[i] = other ? rest[at < others ? at : 0] : table[codes[i]];
        at += other;
    }
    free(rest);
    if (codes != code) {
        free(codes);
    }
    return ok;
}

static bool
get_planes(struct bh_cur *c, uint32_t *v, uint32_t n)
{
    uint8_t small[4096 + 16];
    const unsigned planes = bh_cur_u8(c);
    uint8_t *plane = n <= 4096 ? small : malloc(n + 16UL);
    bool ok = plane != NULL && planes <= 4;
    memset(v, 0, n * sizeof *v);
    for (unsigned k = 0; ok && k < planes; k++) {
        ok = code_get_octets(c, plane, n);
        for (uint32_t i = 0; ok && i < n; i++) {
            v[i] |= (uint32_t)plane[i] << (8 * k);
        }
    }
    if (plane != small) {
        free(plane);
    }
    return ok;
}

bool
code_get_numbers(struct bh_cur *c, uint32_t *v, uint32_t n)
{
    bool ok = false;
    switch (bh_cur_u8(c)) {
    case NUMBERS_SAME: {
        const uint32_t value = code_get32(c);
        for (uint32_t i = 0; i < n; i++) {
            v[i] = value;
        }
        ok = true;
        break;
    }
    case NUMBERS_PACKED:
        ok = get_packed(c, v, n);
        break;
    case NUMBERS_COMMON:
        ok = get_common(c, v, n);
        break;
    case NUMBERS_PLANES:
        ok = get_planes(c, v, n);
        break;
    default:
        break;
    }
    c->bad |= !ok;
    return !c->bad;
}

bool
code_get_long(struct bh_cur *c, uint32_t *v, size_t n)
{
    for (size_t at = 0; at < n || at == 0; at += CODE_LIST_MAX) {
        size_t piece = n - at < CODE_LIST_MAX ? n - at : CODE_LIST_MAX;
        if (!code_get_numbers(c, v + at, (uint32_t)piece)) {
            return false;
        }
    }
    return true;
}
