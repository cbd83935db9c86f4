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
 * IPv6, "squeezed S-tree": levels of 16 keys of 64 bits (the upper half of the address), compared all at
 * once, then one block of a cache line: 19 borders as 16-bit distances from the block's first key, 20
 * values, and how many zero bits were squeezed out. No data-dependent jump.
 *
 * Every index is in bounds whatever the file holds; kobold.c (check_*) proves the parts that
 * are not clear from here.
 */

/* ---- IPv4 ------------------------------------------------------------------------------------ */

#ifdef LOOK_AVX2

/* Of the 8 numbers first .. first + 7, those whose `node` is none of a value go to `list`, which has room
 * for 8; how many. */
LOOK_TARGET static inline size_t
LOOK(pack8)(const uint16_t *node, size_t first, uint16_t *list)
{
    __m128i nodes = _mm_loadu_si128((const __m128i *)(const void *)node);
    __m128i is_value = _mm_cmpeq_epi16(_mm_min_epu16(nodes, _mm_set1_epi16(KDB_ESCAPE - 1)), nodes);
    uint64_t more = ~(uint64_t)_mm_cvtsi128_si64(_mm_packs_epi16(is_value, is_value));
    __m128i number =
        _mm_cvtepu8_epi16(_mm_cvtsi64_si128((long long)_pext_u64(0x0706050403020100U, more)));
    number = _mm_add_epi16(number, _mm_set1_epi16((short)first));
    _mm_storeu_si128((__m128i *)(void *)list, number);
    return (size_t)_mm_popcnt_u64(more) / 8;
}

#endif

/* The middle nodes of a block's addresses into `ret`; the numbers of those that need them into `list`; how
 * many. */
LOOK_TARGET static inline size_t
LOOK(v4_tops)(const kobold *k, const uint32_t *addr, uint16_t *ret, uint16_t *list, size_t count)
{
    size_t more = 0;
    size_t i = 0;
#if defined(LOOK_AVX512)
    for (; i + 16 <= count; i += 16) {
        more += top16(k, addr + i, ret + i, i, list + more);
    }
#elif defined(LOOK_AVX2)
    /* Gathering is slower than this where there is no AVX-512. A loop of its own: eight numbers that were
     * just stored one by one are not at once there as one vector. */
    for (size_t j = 0; j < count; j++) {
        ret[j] = (uint16_t)v4_top(k, addr[j]);
    }
    for (; i + 8 <= count; i += 8) {
        more += LOOK(pack8)(ret + i, i, list + more);
    }
#endif
    for (; i < count; i++) {
        unsigned node = v4_top(k, addr[i]);
        ret[i] = (uint16_t)node;
        list[more] = (uint16_t)i;
        more += node >= KDB_ESCAPE;
    }
    return more;
}

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
    uint16_t list[BATCH + 16];
    while (n > 0) {
        size_t count = n < BATCH ? n : BATCH;
        size_t more = LOOK(v4_tops)(k, addr, ret, list, count);
        LOOK(v4_finish)(k, addr, ret, list, more);
        addr += count;
        ret += count;
        n -= count;
    }
}

/* ---- IPv6 ------------------------------------------------------------------------------------ */

/*
 * What a key is compared with: the lowest 64-bit number above it, the upper half's top bit turned so that
 * a signed comparison orders them. The highest key pads the last node of a level and is never
 * looked for: all of ff00::/8 has one value, so its last /64 may answer for the one before.
 */
LOOK_TARGET static inline int64_t
LOOK(v6_bound)(uint64_t hi)
{
    uint64_t turned = hi ^ (1ULL << 63);
    return (int64_t)(turned + (turned != INT64_MAX));
}

#if defined(LOOK_AVX2)

/* How many of a node's 16 keys are below `bound`: twice that, as there are two bits for each, and node
 * numbers are doubled likewise: a shift less at each level. */
#define LOOK_UNIT 2U
LOOK_TARGET static inline size_t
LOOK(keys_below)(const uint8_t *keys, int64_t bound)
{
    const __m256i want = _mm256_set1_epi64x(bound);
    __m256i below[4];
    for (int i = 0; i < 4; i++) {
        __m256i four = _mm256_loadu_si256((const __m256i *)(const void *)(keys + 32 * i));
        below[i] = _mm256_cmpgt_epi64(want, four);
    }
    /* Packing shuffles the slots, which does not change their number. */
    __m256i a = _mm256_packs_epi32(below[0], below[1]);
    __m256i b = _mm256_packs_epi32(below[2], below[3]);
    return (size_t)_mm_popcnt_u32((uint32_t)_mm256_movemask_epi8(_mm256_packs_epi16(a, b)));
}

/* How many of a block's 19 borders are not above r. */
LOOK_TARGET static inline size_t
LOOK(count_borders)(const uint8_t *block, uint16_t r)
{
    const __m256i want = _mm256_set1_epi16((short)r);
    __m256i most = _mm256_loadu_si256((const __m256i *)(const void *)block);
    __m128i rest = _mm_loadl_epi64((const __m128i *)(const void *)(block + 32));
    most = _mm256_cmpeq_epi16(_mm256_max_epu16(most, want), want);
    rest = _mm_cmpeq_epi16(_mm_max_epu16(rest, _mm256_castsi256_si128(want)),
                           _mm256_castsi256_si128(want));
    int octets = _mm_popcnt_u32((uint32_t)_mm256_movemask_epi8(most)) +
                 _mm_popcnt_u32((uint32_t)_mm_movemask_epi8(rest) & 0x3f);
    return (size_t)octets / 2;
}

#elif defined(LOOK_AVX512)

#define LOOK_UNIT 1U
LOOK_TARGET static inline size_t
LOOK(keys_below)(const uint8_t *keys, int64_t bound)
{
    const __m512i want = _mm512_set1_epi64(bound);
    __mmask8 low = _mm512_cmpgt_epi64_mask(want, _mm512_loadu_si512(keys));
    __mmask8 high = _mm512_cmpgt_epi64_mask(want, _mm512_loadu_si512(keys + 64));
    return popcount_of((unsigned)high << 8 | low);
}

LOOK_TARGET static inline size_t
LOOK(count_borders)(const uint8_t *block, uint16_t r)
{
    const __m512i want = _mm512_set1_epi16((short)r);
    __mmask32 upto = _mm512_cmple_epu16_mask(_mm512_loadu_si512(block), want);
    return popcount_of(upto & ((1U << (KDB_BLOCK_KEYS - 1)) - 1));
}

#else

#define LOOK_UNIT 1U
LOOK_TARGET static inline size_t
LOOK(keys_below)(const uint8_t *keys, int64_t bound)
{
    size_t below = 0;
    for (size_t i = 0; i < KDB_FANOUT; i++) {
        below += (int64_t)le64(keys + 8 * i) < bound;
    }
    return below;
}

LOOK_TARGET static inline size_t
LOOK(count_borders)(const uint8_t *block, uint16_t r)
{
    uint16_t count = 0; /* as wide as what is compared: the compiler makes vectors of it */
    for (size_t i = 0; i < KDB_BLOCK_KEYS - 1; i++) {
        count = (uint16_t)(count + (le16(block + 2 * i) <= r));
    }
    return count;
}

#endif

/* From a key's node in one level to its node in the next: the last key below `bound`. In a file gone wrong there may
 * be none in a node; then it is the node before, which the first of all has no need of (kobold.c). */
LOOK_TARGET static inline size_t
LOOK(v6_step)(const kobold *k, uint32_t level, size_t node, int64_t bound)
{
    const uint8_t *keys = k->v6_level[level] + node * (KDB_FANOUT * 8 / LOOK_UNIT);
    return node * KDB_FANOUT + LOOK(keys_below)(keys, bound) - LOOK_UNIT;
}

LOOK_TARGET static inline size_t
LOOK(v6_descend)(const kobold *k, int64_t bound)
{
    size_t at = 0;
    /* Four levels are what today's data has; the loop costs as much as a level. */
    if (BH_LIKELY(k->v6_levels == 4)) {
        at = LOOK(v6_step)(k, 0, at, bound);
        at = LOOK(v6_step)(k, 1, at, bound);
        at = LOOK(v6_step)(k, 2, at, bound);
        return LOOK(v6_step)(k, 3, at, bound);
    }
    for (uint32_t i = 0; i < k->v6_levels; i++) {
        at = LOOK(v6_step)(k, i, at, bound);
    }
    return at;
}

/* How far the key is behind the block's first, where the block's borders tell. */
LOOK_TARGET static inline size_t
LOOK(v6_slot)(const uint8_t *block, uint64_t distance)
{
    uint64_t r = distance >> (block[KDB_BLOCK_SHIFT] & 63);
    return LOOK(count_borders)(block, (uint16_t)(r < KDB_BLOCK_PAD ? r : KDB_BLOCK_PAD - 1));
}

LOOK_TARGET static inline uint64_t
LOOK(v6_distance)(const kobold *k, size_t at, int64_t bound)
{
    return (uint64_t)bound - 1 - le64(k->v6_lowest + at * (8 / LOOK_UNIT));
}

LOOK_TARGET static uint16_t
LOOK(v6)(const kobold *k, uint64_t hi, uint64_t lo)
{
    int64_t bound = LOOK(v6_bound)(hi);
    size_t at = LOOK(v6_descend)(k, bound);
    const uint8_t *block = k->v6_block + at * (KDB_BLOCK_SIZE / LOOK_UNIT);
    size_t slot = LOOK(v6_slot)(block, LOOK(v6_distance)(k, at, bound));
    uint8_t v = block[KDB_BLOCK_VALUES + slot];
    return BH_UNLIKELY(v == KDB_ESCAPE) ? kobold_v6_deep(k, hi, lo, block, slot) : v;
}

/* A group of keys goes down level by level: what one key waits for, the others need not. The lowest level
 * and the blocks are asked for before they are read, and escapes wait till the end. */
LOOK_TARGET static void
LOOK(v6_group)(const kobold *k, const uint64_t (*addr)[2], uint16_t *ret, size_t n)
{
    size_t at[GROUP];
    uint64_t distance[GROUP];
    uint8_t slot[GROUP];
    uint8_t deep[GROUP];
    size_t deeper = 0;
    uint32_t lowest = k->v6_levels - 1;
    for (size_t i = 0; i < n; i++) {
        int64_t bound = LOOK(v6_bound)(addr[i][0]);
        size_t node = 0;
        for (uint32_t level = 0; level < lowest; level++) {
            node = LOOK(v6_step)(k, level, node, bound);
        }
        at[i] = node;
    }
    for (size_t i = 0; i < n; i++) {
        int64_t bound = LOOK(v6_bound)(addr[i][0]);
        size_t block = LOOK(v6_step)(k, lowest, at[i], bound);
        at[i] = block;
        distance[i] = LOOK(v6_distance)(k, block, bound);
        __builtin_prefetch(k->v6_block + block * (KDB_BLOCK_SIZE / LOOK_UNIT));
    }
    for (size_t i = 0; i < n; i++) {
        const uint8_t *block = k->v6_block + at[i] * (KDB_BLOCK_SIZE / LOOK_UNIT);
        slot[i] = (uint8_t)LOOK(v6_slot)(block, distance[i]);
        uint8_t v = block[KDB_BLOCK_VALUES + slot[i]];
        ret[i] = v;
        deep[deeper] = (uint8_t)i;
        deeper += v == KDB_ESCAPE;
    }
    for (size_t j = 0; j < deeper; j++) {
        size_t i = deep[j];
        const uint8_t *block = k->v6_block + at[i] * (KDB_BLOCK_SIZE / LOOK_UNIT);
        ret[i] = kobold_v6_deep(k, addr[i][0], addr[i][1], block, slot[i]);
    }
}

LOOK_TARGET static void
LOOK(v6_many)(const kobold *k, const uint64_t (*addr)[2], uint16_t *ret, size_t n)
{
    for (size_t first = 0; first < n; first += GROUP) {
        LOOK(v6_group)(k, addr + first, ret + first, n - first < GROUP ? n - first : GROUP);
    }
}

#undef LOOK
#undef LOOK_TARGET
#undef LOOK_UNIT
#undef LOOK_AVX2
#undef LOOK_AVX512
