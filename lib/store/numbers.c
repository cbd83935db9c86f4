/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lists of numbers. Four forms, the shortest is taken by an estimate that looks at a sample first,
 * so that columns of random bits (sequence numbers, source ports) cost one pass:
 *
 *   same    one value
 *   packed  less the smallest one, each in as many bits as the largest needs
 *   common  an octet for the 255 commonest, the others packed behind
 *   planes  octet by octet through zstd: numbers that repeat in some order
 */
#include "code_priv.h"

#include <math.h>
#include <stdlib.h>

#define SAMPLE 2048U
#define COMMON_MAX 255U

static unsigned
width_of(uint32_t span)
{
    return span == 0 ? 0 : 32U - (unsigned)__builtin_clz(span);
}

/* Whole octets need no bits put together. */
static bool
put_words(struct bh_buf *out, const uint32_t *v, uint32_t n, uint32_t least, unsigned width)
{
    const size_t size = (size_t)n * (width / 8);
    if ((width != 8 && width != 16 && width != 32) || !code_reserve(out, size)) {
        return false;
    }
    uint8_t *p = (uint8_t *)out->data + out->len;
    for (uint32_t i = 0; i < n && width == 32; i++) {
        bh_put_le32(p + 4UL * i, v[i] - least);
    }
    for (uint32_t i = 0; i < n && width == 16; i++) {
        bh_put_le16(p + 2UL * i, (uint16_t)(v[i] - least));
    }
    for (uint32_t i = 0; i < n && width == 8; i++) {
        p[i] = (uint8_t)(v[i] - least);
    }
    out->len += size;
    out->data[out->len] = '\0';
    return true;
}

static void
put_packed(struct bh_buf *out, const uint32_t *v, uint32_t n, uint32_t least, uint32_t most)
{
    const unsigned width = width_of(most - least);
    code_put8(out, NUMBERS_PACKED);
    code_put8(out, (uint8_t)width);
    code_put32(out, least);
    if (put_words(out, v, n, least, width)) {
        return;
    }
    struct code_bits bits = code_bits_begin(out, (uint64_t)width * n);
    for (uint32_t i = 0; i < n; i++) {
        code_bits_put(&bits, v[i] - least, width);
    }
    code_bits_end(&bits);
}

static void
bounds_of(const uint32_t *v, uint32_t n, uint32_t *ret_least, uint32_t *ret_most)
{
    uint32_t least = UINT32_MAX, most = 0;
    for (uint32_t i = 0; i < n; i++) {
        least = v[i] < least ? v[i] : least;
        most = v[i] > most ? v[i] : most;
    }
    *ret_least = least;
    *ret_most = most;
}

/* ---- the commonest values --------------------------------------------------------------------------- */

struct common {
    uint32_t value[COMMON_MAX], count[COMMON_MAX];
    uint32_t n;
    uint32_t others; /* how many are none of these */
};

/* Counts every value; w->place says in which slot each was counted, w->used which slots there are. */
static void
count_values(struct code_work *w, const uint32_t *v, uint32_t n)
{
    const unsigned bits = n <= 1 ? 1 : 33U - (unsigned)__builtin_clz(n - 1); /* half full at most */
    const uint32_t mask = (1U << bits) - 1;
    w->used_count = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = (v[i] * 0x9e3779b1U) >> (32 - bits);
        while (w->slot[at].count != 0 && w->slot[at].value != v[i]) {
            at = (at + 1) & mask;
        }
        w->used[w->used_count] = at;
        w->used_count += w->slot[at].count == 0;
        w->slot[at].value = v[i];
        w->slot[at].count++;
        w->place[i] = at;
    }
}

static void
forget_values(struct code_work *w)
{
    for (uint32_t k = 0; k < w->used_count; k++) {
        w->slot[w->used[k]].count = 0;
    }
}

/* A count of which no more than COMMON_MAX values have more, and not much fewer. */
static uint32_t
count_that_is_common(const struct code_work *w)
{
    uint32_t of_count[1024] = { 0 }, above = 0, least = BH_COUNT(of_count) - 1;
    for (uint32_t k = 0; k < w->used_count; k++) {
        const uint32_t count = w->slot[w->used[k]].count;
        of_count[count < least ? count : least]++;
    }
    while (least > 1 && above + of_count[least] <= COMMON_MAX) {
        above += of_count[least--];
    }
    return least;
}

static int
by_count(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Choose from what was counted, and leave in each slot the code of its value. What comes once is not
 * common, unless there are few values. */
static void
find_common(struct code_work *w, uint32_t n, struct common *ret)
{
    const uint32_t least = count_that_is_common(w);
    const uint32_t from = w->used_count > COMMON_MAX && least < 2 ? 2 : least;
    uint64_t *list = w->chosen;
    uint32_t k = 0;
    ret->n = 0;
    ret->others = n;
    for (uint32_t u = 0; u < w->used_count; u++) {
        struct code_slot *s = &w->slot[w->used[u]];
        if (s->count >= from) {
            list[k++] = (uint64_t)s->count << 32 | (UINT32_MAX - s->value);
        }
    }
    qsort(list, k, sizeof *list, by_count);
    for (uint32_t i = 0; i < k && i < COMMON_MAX; i++) {
        ret->value[i] = UINT32_MAX - (uint32_t)list[i];
        ret->count[i] = (uint32_t)(list[i] >> 32);
        ret->others -= ret->count[i];
        ret->n++;
    }
}

/* The code of each slot instead of its count. */
static void
tell_codes(struct code_work *w, uint32_t n, const struct common *c)
{
    const unsigned bits = n <= 1 ? 1 : 33U - (unsigned)__builtin_clz(n - 1);
    for (uint32_t k = 0; k < w->used_count; k++) {
        w->slot[w->used[k]].count = CODE_NUMBER_OTHER;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        uint32_t at = (c->value[i] * 0x9e3779b1U) >> (32 - bits);
        while (w->slot[at].value != c->value[i]) { /* it is there */
            at = (at + 1) & ((1U << bits) - 1);
        }
        w->slot[at].count = i;
    }
}

static double
common_bits(const struct common *c, uint32_t n, unsigned width)
{
    double bits = 8.0 * (14 + 4.0 * c->n), whole = log2((double)n);
    for (uint32_t i = 0; i < c->n; i++) {
        bits += c->count[i] * (whole - log2((double)c->count[i]));
    }
    if (c->others > 0) {
        bits += c->others * (whole - log2((double)c->others) + width);
    }
    return bits;
}

/* Octet lists cost no less than this without matches: what entropy coding by octets gives. */
static void
put_common(struct code_work *w, struct bh_buf *out, const uint32_t *v, uint32_t n,
           const struct common *c)
{
    uint32_t rest = 0, least, most;
    code_put8(out, NUMBERS_COMMON);
    code_put8(out, (uint8_t)c->n);
    for (uint32_t i = 0; i < c->n; i++) {
        code_put32(out, c->value[i]);
    }
    tell_codes(w, n, c);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t code = w->slot[w->place[i]].count;
        w->plane[i] = (uint8_t)code;
        w->rest[rest] = v[i];
        rest += code == CODE_NUMBER_OTHER;
    }
    code_put_octets(w, out, w->plane, n);
    bounds_of(w->rest, rest, &least, &most);
    put_packed(out, w->rest, rest, rest == 0 ? 0 : least, rest == 0 ? 0 : most);
}

static void
put_planes(struct code_work *w, struct bh_buf *out, const uint32_t *v, uint32_t n, uint32_t most)
{
    unsigned planes = (width_of(most) + 7) / 8;
    code_put8(out, NUMBERS_PLANES);
    code_put8(out, (uint8_t)planes);
    for (unsigned k = 0; k < planes; k++) {
        for (uint32_t i = 0; i < n; i++) {
            w->plane[i] = (uint8_t)(v[i] >> (8 * k));
        }
        code_put_octets(w, out, w->plane, n);
    }
}

/* Is the sample of all different values? Then nothing is common. */
static bool
looks_random(struct code_work *w, const uint32_t *v, uint32_t n)
{
    if (n < 2 * SAMPLE) {
        return false;
    }
    const uint32_t step = n / SAMPLE;
    uint32_t *sample = w->rest;
    for (uint32_t i = 0; i < SAMPLE; i++) {
        sample[i] = v[i * step];
    }
    count_values(w, sample, SAMPLE);
    forget_values(w);
    return w->used_count > SAMPLE - SAMPLE / 16;
}

/* Many that are not common: perhaps they come in some order. A part of them tells. */
static bool
planes_may_pay(struct code_work *w, const uint32_t *v, uint32_t n, unsigned width)
{
    struct bh_buf part = { 0 };
    const uint32_t tried = n < 8 * 1024 ? n : n / 8;
    uint32_t least, most;
    bounds_of(v, tried, &least, &most);
    put_planes(w, &part, v, tried, most);
    const bool pays = !part.failed && part.len < (size_t)tried * width / 8;
    bh_buf_done(&part);
    return pays;
}

void
code_put_numbers(struct code_work *w, struct bh_buf *out, const uint32_t *v, uint32_t n)
{
    uint32_t least, most;
    bounds_of(v, n, &least, &most);
    if (n == 0 || least == most) {
        code_put8(out, NUMBERS_SAME);
        code_put32(out, n == 0 ? 0 : least);
        return;
    }
    const unsigned width = width_of(most - least);
    const double packed = 48.0 + (double)width * n;
    if (w->plain || looks_random(w, v, n)) {
        put_packed(out, v, n, least, most);
        return;
    }
    struct common c;
    count_values(w, v, n);
    find_common(w, n, &c);
    const double common = common_bits(&c, n, width);
    const size_t before = out->len;
    if (common < 0.97 * packed) {
        put_common(w, out, v, n, &c);
    } else {
        put_packed(out, v, n, least, most);
    }
    forget_values(w);
    if (c.others > n / 4 && n >= 64 && planes_may_pay(w, v, n, width)) {
        const size_t taken = out->len - before;
        struct bh_buf other = { 0 };
        put_planes(w, &other, v, n, most);
        if (!other.failed && other.len < taken - taken / 16) {
            out->len = before;
            bh_buf_add(out, other.data, other.len);
        }
        bh_buf_done(&other);
    }
}

void
code_put_long(struct code_work *w, struct bh_buf *out, const uint32_t *v, size_t n)
{
    for (size_t at = 0; at < n || at == 0; at += CODE_LIST_MAX) {
        size_t piece = n - at < CODE_LIST_MAX ? n - at : CODE_LIST_MAX;
        code_put_numbers(w, out, v + at, (uint32_t)piece);
    }
}
