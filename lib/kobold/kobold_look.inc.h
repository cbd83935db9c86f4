/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_look.inc.h - the look-ups that gain by newer instructions, compiled once per instruction set
 * by kobold_look.c and kobold_look_avx512.c, which define LOOK(name), LOOK_TARGET and, beyond plain C,
 * LOOK_AVX2 or LOOK_AVX512. No header guard.
 *
 * IPv4 in batches: the top alone answers for five of six addresses. It is read for all of a block, the
 * rest is packed into a list without a jump, and only that goes on; of it, the few that meet
 * an escape are packed once more. A jump on each address would be mispredicted too often.
 *
 * IPv6, "squeezed S-tree": levels of 16 keys of 64 bits (the upper half of the address), then
 * one block of 128 octets: 24 remainders of 32 bits below the block's first key, their 24
 * values, and how many zero bits were squeezed out. No data-dependent jump.
 *
 * Every index is in bounds whatever the file holds; kobold.c (check_*) proves the parts that
 * are not clear from here.
 */

/* ---- IPv4 ------------------------------------------------------------------------------------ */

#if defined(LOOK_AVX2) || defined(LOOK_AVX512)

/* Numbers first .. first + 7 whose octet of `which` is all ones, to `to` (room for 8); how many. */
LOOK_TARGET static inline size_t
LOOK(pack8)(uint64_t which, size_t first, uint16_t *to)
{
    const uint64_t numbers = _pext_u64(0x0706050403020100U, which);
    __m128i wide = _mm_cvtepu8_epi16(_mm_cvtsi64_si128((long long)numbers));
    wide = _mm_add_epi16(wide, _mm_set1_epi16((short)first));
    _mm_storeu_si128((__m128i *)(void *)to, wide);
    return (size_t)_mm_popcnt_u64(which) / 8;
}

#endif

/* What is left of a block after the top: the numbers of `more` addresses in `list`, whose `ret` is a node
 * of the middle. */
LOOK_TARGET static inline void
LOOK(v4_finish)(const kobold *k, const uint32_t *addr, uint16_t *ret, uint16_t *list, size_t more)
{
    size_t deep = 0;
    for (size_t j = 0; j < more; j++) {
        unsigned i = list[j];
        uint8_t v = v4_below_top(k, addr[i], ret[i]);
        ret[i] = v;
        list[deep] = (uint16_t)i;
        deep += v == KDB_ESCAPE;
    }
    for (size_t j = 0; j < deep; j++) {
        ret[list[j]] = kobold_v4_deep(k, addr[list[j]]);
    }
}

LOOK_TARGET static void
LOOK(v4_many)(const kobold *k, const uint32_t *addr, uint16_t *ret, size_t n)
{
    uint16_t list[BATCH + 8];
    while (n > 0) {
        size_t count = n < BATCH ? n : BATCH;
        size_t more = 0;
        size_t i = 0;
#if defined(LOOK_AVX2) || defined(LOOK_AVX512)
        for (; i + 8 <= count; i += 8) {
            for (size_t j = i; j < i + 8; j++) {
                ret[j] = (uint16_t)v4_top(k, addr[j]);
            }
            __m128i nodes = _mm_loadu_si128((const __m128i *)(const void *)(ret + i));
            __m128i is_value = _mm_cmpeq_epi16(_mm_min_epu16(nodes, _mm_set1_epi16(KDB_ESCAPE - 1)), nodes);
            uint64_t values = (uint64_t)_mm_cvtsi128_si64(_mm_packs_epi16(is_value, is_value));
            more += LOOK(pack8)(~values, i, list + more);
        }
#endif
        for (; i < count; i++) {
            unsigned node = v4_top(k, addr[i]);
            ret[i] = (uint16_t)node;
            list[more] = (uint16_t)i;
            more += node >= KDB_ESCAPE;
        }
        LOOK(v4_finish)(k, addr, ret, list, more);
        addr += count;
        ret += count;
        n -= count;
    }
}

/* ---- IPv6 ------------------------------------------------------------------------------------ */

#ifdef LOOK_AVX2

/* How many of slots 1..15 hold a key not above x. */
LOOK_TARGET static inline size_t
LOOK(count_keys)(const uint8_t *keys, int64_t x)
{
    const __m256i want = _mm256_set1_epi64x(x);
    __m256i above[4];
    for (int i = 0; i < 4; i++) {
        __m256i four = _mm256_loadu_si256((const __m256i *)(const void *)(keys + 32 * i));
        above[i] = _mm256_cmpgt_epi64(four, want);
    }
    /* Packing shuffles the slots, which does not change their number; slot 0 stays in front. */
    __m256i a = _mm256_packs_epi32(above[0], above[1]);
    __m256i b = _mm256_packs_epi32(above[2], above[3]);
    uint32_t mask = (uint32_t)_mm256_movemask_epi8(_mm256_packs_epi16(a, b)) & ~3U;
    return 15 - (size_t)_mm_popcnt_u32(mask) / 2;
}

LOOK_TARGET static inline size_t
LOOK(count_remainders)(const uint8_t *block, uint32_t r)
{
    const __m256i want = _mm256_set1_epi32((int)r);
    uint32_t mask = 1;
    for (int i = 0; i < 3; i++) {
        __m256i eight = _mm256_loadu_si256((const __m256i *)(const void *)(block + 32 * i));
        __m256i upto = _mm256_cmpeq_epi32(_mm256_max_epu32(eight, want), want);
        mask |= (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(upto)) << (8 * i);
    }
    return (size_t)_mm_popcnt_u32(mask) - 1;
}

#else

LOOK_TARGET static inline size_t
LOOK(count_keys)(const uint8_t *keys, int64_t x)
{
    size_t count = 0;
    for (size_t i = 1; i < KDB_FANOUT; i++) {
        count += (int64_t)le64(keys + 8 * i) <= x;
    }
    return count;
}

LOOK_TARGET static inline size_t
LOOK(count_remainders)(const uint8_t *block, uint32_t r)
{
    uint32_t count = 0;
    for (size_t i = 1; i < KDB_BLOCK_KEYS; i++) {
        count += le32(block + 4 * i) <= r;
    }
    return count;
}

#endif

/* The number of the block of an upper half, and how far behind the block's first key it is. */
LOOK_TARGET static inline size_t
LOOK(v6_descend)(const kobold *k, uint64_t hi, uint64_t *ret_distance)
{
    /* Keys are stored with the top bit turned, so that a signed compare orders them. The
     * highest key pads the last node of a level and is never looked for: all of ff00::/8 has
     * one value, so its last /64 may answer for the one before. */
    uint64_t turned = hi ^ (1ULL << 63);
    int64_t x = (int64_t)(turned - (turned == INT64_MAX));
    size_t at = 0;
    const uint8_t *level = k->v6_level[0];
    for (uint32_t i = 0; i < k->v6_levels; i++) {
        level = k->v6_level[i];
        at = at * KDB_FANOUT + LOOK(count_keys)(level + at * (KDB_FANOUT * 8), x);
    }
    *ret_distance = (uint64_t)x - le64(level + at * 8);
    return at;
}

LOOK_TARGET static inline uint8_t
LOOK(v6_block)(const uint8_t *block, uint64_t distance)
{
    uint64_t wide = distance >> (block[KDB_BLOCK_SHIFT] & 63);
    uint32_t r = wide > UINT32_MAX ? UINT32_MAX : (uint32_t)wide;
    return block[KDB_BLOCK_VALUES + LOOK(count_remainders)(block, r)];
}

LOOK_TARGET static inline uint16_t
LOOK(v6)(const kobold *k, uint64_t hi, uint64_t lo)
{
    uint64_t distance;
    size_t at = LOOK(v6_descend)(k, hi, &distance);
    uint8_t v = LOOK(v6_block)(k->v6_block + at * KDB_BLOCK_SIZE, distance);
    return BH_UNLIKELY(v == KDB_ESCAPE) ? kobold_v6_deep(k, hi, lo) : v;
}

/* The levels stay in the second-level cache, the blocks (1.6 MB) do not: ask for a group's
 * blocks, then read them. */
LOOK_TARGET static void
LOOK(v6_many)(const kobold *k, const uint64_t (*addr)[2], uint16_t *ret, size_t n)
{
    const uint8_t *blocks[GROUP];
    uint64_t distances[GROUP];
    for (size_t first = 0; first < n; first += GROUP) {
        size_t count = n - first < GROUP ? n - first : GROUP;
        for (size_t i = 0; i < count; i++) {
            size_t at = LOOK(v6_descend)(k, addr[first + i][0], &distances[i]);
            blocks[i] = k->v6_block + at * KDB_BLOCK_SIZE;
            __builtin_prefetch(blocks[i]);
            __builtin_prefetch(blocks[i] + 64);
        }
        for (size_t i = 0; i < count; i++) {
            uint8_t v = LOOK(v6_block)(blocks[i], distances[i]);
            const uint64_t *key = addr[first + i];
            ret[first + i] = BH_UNLIKELY(v == KDB_ESCAPE) ? kobold_v6_deep(k, key[0], key[1]) : v;
        }
    }
}

#undef LOOK
#undef LOOK_TARGET
#undef LOOK_AVX2
