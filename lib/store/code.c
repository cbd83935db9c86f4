/* SPDX-License-Identifier: BSD-2-Clause */
/* The sum, bits, steps, and lists of octets. */
#include "code_priv.h"

#include <errno.h>
#include <stdlib.h>

#ifdef BH_WITH_ZSTD
#include <zstd.h>
#endif

/* ---- the sum ------------------------------------------------------------------------------------- */

#define SUM_A 0x9e3779b97f4a7c15ULL
#define SUM_B 0xc2b2ae3d27d4eb4fULL
#define SUM_C 0x165667b19e3779f9ULL

static inline uint64_t
fold(uint64_t a, uint64_t b)
{
    bh_u128 x = (bh_u128)a * b;
    return (uint64_t)x ^ (uint64_t)(x >> 64);
}

/* Two chains of multiplications, so that one does not wait for the other. */
uint64_t
code_sum(const void *data, size_t n)
{
    const uint8_t *p = data;
    uint64_t a = SUM_A ^ n, b = SUM_B;
    size_t left = n;
    for (; left >= 32; left -= 32, p += 32) {
        a = fold(a ^ bh_get_le64(p), bh_get_le64(p + 8) ^ SUM_B) ^ a >> 32;
        b = fold(b ^ bh_get_le64(p + 16), bh_get_le64(p + 24) ^ SUM_C) ^ b >> 32;
    }
    uint8_t last[32] = { 0 };
    if (left > 0) { /* of an empty list there may be no address */
        memcpy(last, p, left);
    }
    a = fold(a ^ bh_get_le64(last), bh_get_le64(last + 8) ^ SUM_B) ^ a >> 32;
    b = fold(b ^ bh_get_le64(last + 16), bh_get_le64(last + 24) ^ SUM_C) ^ b >> 32;
    return fold(a ^ SUM_C, b ^ SUM_A) ^ a ^ b;
}

/* ---- small things ---------------------------------------------------------------------------------- */

void
code_put8(struct bh_buf *out, uint8_t v)
{
    bh_buf_add(out, &v, 1);
}

void
code_put16(struct bh_buf *out, uint16_t v)
{
    uint8_t p[2];
    bh_put_le16(p, v);
    bh_buf_add(out, p, sizeof p);
}

void
code_put32(struct bh_buf *out, uint32_t v)
{
    uint8_t p[4];
    bh_put_le32(p, v);
    bh_buf_add(out, p, sizeof p);
}

void
code_put64(struct bh_buf *out, uint64_t v)
{
    uint8_t p[8];
    bh_put_le64(p, v);
    bh_buf_add(out, p, sizeof p);
}

int
code_work_init(struct code_work *w)
{
    *w = (struct code_work){ 0 };
    w->slot = calloc(2 * CODE_LIST_MAX, sizeof *w->slot);
    w->place = malloc(CODE_LIST_MAX * sizeof *w->place);
    w->used = malloc((CODE_LIST_MAX + 1) * sizeof *w->used);
    w->chosen = malloc(CODE_LIST_MAX * sizeof *w->chosen);
    w->plane = malloc(CODE_LIST_MAX + 16);
    w->rest = malloc((CODE_LIST_MAX + 16) * sizeof *w->rest);
    bool ok = w->slot != NULL && w->place != NULL && w->used != NULL && w->chosen != NULL &&
              w->plane != NULL && w->rest != NULL;
#ifdef BH_WITH_ZSTD
    w->zstd = ZSTD_createCCtx();
    w->zstd_single = ZSTD_createCCtx();
    ok = ok && w->zstd != NULL && w->zstd_single != NULL;
    /* As good as no repeats: a table of 64 places, seven octets at least. */
    ok = ok && !ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd_single, ZSTD_c_compressionLevel, 1)) &&
         !ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd_single, ZSTD_c_windowLog, 17)) &&
         !ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd_single, ZSTD_c_hashLog, 6)) &&
         !ZSTD_isError(ZSTD_CCtx_setParameter(w->zstd_single, ZSTD_c_minMatch, 7));
#endif
    if (!ok) {
        code_work_done(w);
        return -ENOMEM;
    }
    return 0;
}

void
code_work_done(struct code_work *w)
{
#ifdef BH_WITH_ZSTD
    ZSTD_freeCCtx(w->zstd);
    ZSTD_freeCCtx(w->zstd_single);
#endif
    free(w->slot);
    free(w->place);
    free(w->used);
    free(w->chosen);
    free(w->plane);
    free(w->rest);
    free(w->pressed);
    *w = (struct code_work){ 0 };
}

/* ---- bits -------------------------------------------------------------------------------------------- */

bool
code_reserve(struct bh_buf *out, size_t n)
{
    if (out->failed || n < out->cap - out->len) {
        return !out->failed;
    }
    const size_t cap = out->len + n + out->cap / 2 + 64;
    char *p = realloc(out->data, cap);
    if (p == NULL) {
        out->failed = true;
        return false;
    }
    out->data = p;
    out->cap = cap;
    return true;
}

struct code_bits
code_bits_begin(struct bh_buf *out, uint64_t most_bits)
{
    const bool ok = code_reserve(out, (size_t)(most_bits / 8) + 16);
    return (struct code_bits){ .out = out, .at = ok ? (uint8_t *)out->data + out->len : NULL };
}

void
code_bits_end(struct code_bits *b)
{
    if (b->at == NULL) {
        return;
    }
    bh_put_le32(b->at, (uint32_t)b->word);
    b->at += (b->have + 7) / 8;
    b->out->len = (size_t)(b->at - (uint8_t *)b->out->data);
    b->out->data[b->out->len] = '\0';
}

uint64_t
code_bits_edge(const struct code_bits_in *b)
{
    uint8_t last[8] = { 0 };
    size_t o = (size_t)(b->at >> 3);
    if (b->at >> 3 < b->size) {
        memcpy(last, b->data + o, b->size - o < 8 ? b->size - o : 8);
    }
    return bh_get_le64(last) >> (b->at & 7);
}

/* ---- steps ------------------------------------------------------------------------------------------- */

#define S1(n)                                                                                      \
    {                                                                                              \
        n, 0                                                                                       \
    }
#define S8(e)                                                                                      \
    { 8ULL << (e - 3), e - 3 }, { 9ULL << (e - 3), e - 3 }, { 10ULL << (e - 3), e - 3 },           \
        { 11ULL << (e - 3), e - 3 }, { 12ULL << (e - 3), e - 3 }, { 13ULL << (e - 3), e - 3 },     \
        { 14ULL << (e - 3), e - 3 },                                                               \
    {                                                                                              \
        15ULL << (e - 3), e - 3                                                                    \
    }
const struct code_step code_steps[256] = {
    S1(0),  S1(1),  S1(2),  S1(3),  S1(4),  S1(5),  S1(6),  S1(7),  S1(8),  S1(9),  S1(10), S1(11),
    S1(12), S1(13), S1(14), S1(15), S8(4),  S8(5),  S8(6),  S8(7),  S8(8),  S8(9),  S8(10), S8(11),
    S8(12), S8(13), S8(14), S8(15), S8(16), S8(17), S8(18), S8(19), S8(20), S8(21), S8(22), S8(23),
    S8(24), S8(25), S8(26), S8(27), S8(28), S8(29), S8(30), S8(31), S8(32),
};

/* ---- ways -------------------------------------------------------------------------------------------- */

void
code_segment_begin(struct code_work *w)
{
    memset(w->way, CODE_WAY_UNKNOWN, sizeof w->way);
    w->block = 0;
}

void
code_block_begin(struct code_work *w)
{
    w->block++;
    w->list = 0;
    w->is_block = true;
}

void
code_block_end(struct code_work *w)
{
    w->is_block = false;
}

void
code_column_begin(struct code_work *w, unsigned column)
{
    w->list = column * CODE_COLUMN_LISTS;
}

/* ---- octets ------------------------------------------------------------------------------------------ */

enum { OCTETS_SAME = 0, OCTETS_PLAIN = 1, OCTETS_ZSTD = 2 };

static bool
all_same(const uint8_t *v, size_t n)
{
    return n == 0 || (v[0] == v[n - 1] && memcmp(v, v + 1, n - 1) == 0);
}

static void
put_plain(struct bh_buf *out, const uint8_t *v, size_t n)
{
    code_put8(out, OCTETS_PLAIN);
    bh_buf_add(out, v, n);
}

#ifdef BH_WITH_ZSTD
/* Below that many octets a frame's head costs more than it saves. */
#define PRESS_MIN 24U
/* Shorter lists say nothing about others. */
#define PRESS_LEARNT 4096U
#define WAYS_TRIED 8U

/* What is known of the list that comes next, from earlier blocks of its segment; NULL: it is not of a block. */
static uint8_t *
code_way(struct code_work *w)
{
    const unsigned last = w->list | (CODE_COLUMN_LISTS - 1U);
    if (!w->is_block || last >= CODE_LISTS) {
        return NULL;
    }
    uint8_t *way = &w->way[w->list];
    w->list += w->list < last;
    return way;
}

static size_t
press_repeats(struct code_work *w, uint8_t *to, size_t room, const uint8_t *v, size_t n)
{
    const size_t size = ZSTD_compressCCtx(w->zstd, to, room, v, n, 1);
    return ZSTD_isError(size) || size > n ? n : size;
}

static size_t
press_single(struct code_work *w, uint8_t *to, size_t room, const uint8_t *v, size_t n)
{
    const size_t size = ZSTD_compress2(w->zstd_single, to, room, v, n);
    return ZSTD_isError(size) || size > n ? n : size;
}

/* A frame in w->pressed; returns its size, n: none that is shorter. Columns without any order (countries,
 * symbols of far ends) are two to three percent shorter when no repeats are looked for: what is found in
 * them is chance, and an octet of a repeat is lost for the counts of single octets. Which columns those are is
 * tried in every WAYS_TRIED-th block. A part of a column does not tell: repeats may be far apart. */
static size_t
press(struct code_work *w, const uint8_t *v, size_t n)
{
    const size_t bound = ZSTD_compressBound(n);
    uint8_t *known = code_way(w), *other;
    if (n < PRESS_MIN) {
        return n;
    }
    if (2 * bound > w->pressed_cap) {
        free(w->pressed);
        w->pressed = malloc(2 * bound);
        w->pressed_cap = w->pressed == NULL ? 0 : 2 * bound;
        if (w->pressed == NULL) {
            return n;
        }
    }
    if (known != NULL && w->block % WAYS_TRIED != 1 && *known != CODE_WAY_UNKNOWN &&
        n >= PRESS_LEARNT) {
        return *known == CODE_WAY_SINGLE ? press_single(w, w->pressed, bound, v, n)
                                         : press_repeats(w, w->pressed, bound, v, n);
    }
    other = w->pressed + bound;
    const size_t size = press_repeats(w, w->pressed, bound, v, n);
    const size_t single = size > n / 8 ? press_single(w, other, bound, v, n) : n;
    if (known != NULL && n >= PRESS_LEARNT) {
        *known = single < size ? CODE_WAY_SINGLE : CODE_WAY_REPEATS;
    }
    if (single < size) {
        memcpy(w->pressed, other, single);
        return single;
    }
    return size;
}
#endif

void
code_put_octets(struct code_work *w, struct bh_buf *out, const uint8_t *v, size_t n)
{
    if (all_same(v, n)) {
        code_put8(out, OCTETS_SAME);
        code_put8(out, n == 0 ? 0 : v[0]);
        return;
    }
#ifdef BH_WITH_ZSTD
    const size_t size = w->plain ? n : press(w, v, n);
    if (size < n - n / 64) {
        code_put8(out, OCTETS_ZSTD);
        code_put32(out, (uint32_t)size);
        bh_buf_add(out, w->pressed, size);
        return;
    }
#else
    (void)w;
#endif
    put_plain(out, v, n);
}

bool
code_get_octets(struct bh_cur *c, uint8_t *v, size_t n)
{
    uint8_t form = bh_cur_u8(c);
    if (form == OCTETS_SAME) {
        memset(v, bh_cur_u8(c), n);
        return !c->bad;
    }
    if (form == OCTETS_PLAIN) {
        const uint8_t *p = bh_cur_take(c, n);
        if (p == NULL) {
            return false;
        }
        memcpy(v, p, n);
        return true;
    }
#ifdef BH_WITH_ZSTD
    if (form == OCTETS_ZSTD) {
        uint32_t size = code_get32(c);
        const uint8_t *p = bh_cur_take(c, size);
        return p != NULL && ZSTD_decompress(v, n, p, size) == n;
    }
#endif
    c->bad = true;
    return false;
}
