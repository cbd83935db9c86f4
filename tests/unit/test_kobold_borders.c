/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_kobold_borders.c - look-ups at every border of the data, one before and one after, by every instruction
 * set and in every form, against ranges searched in the plainest way: of those around an address
 * the one that starts last, of these the shortest, of equal ones the later line.
 *
 * With made-up data that is hard on the format, and with a published table when there is one.
 */
#include "test_kobold_util.h"

#include <stdio.h>

#ifdef TEST_AVX512_SIMDE
extern const struct kobold_look kobold_look_avx512_simde;
#endif

struct span {
    uint64_t start[2], end[2]; /* upper and lower half; IPv4: the lower */
    uint32_t line;
    char code[3];
};

struct spans {
    struct span *at;
    size_t count;
    uint64_t (*reach)[2]; /* the farthest end of those up to here */
};

static int
compare(const uint64_t a[2], const uint64_t b[2])
{
    if (a[0] != b[0]) {
        return a[0] < b[0] ? -1 : 1;
    }
    return a[1] == b[1] ? 0 : a[1] < b[1] ? -1 : 1;
}

static int
compare_spans(const void *pa, const void *pb)
{
    const struct span *a = pa;
    const struct span *b = pb;
    int c = compare(a->start, b->start);
    c = c == 0 ? -compare(a->end, b->end) : c;
    return c != 0 ? c : a->line < b->line ? -1 : 1;
}

static void
add_span(struct spans *s, const struct bh_ip *start, const struct bh_ip *end, const char *code)
{
    if ((s->count & (s->count - 1)) == 0) {
        s->at = realloc(s->at, (s->count == 0 ? 1 : s->count * 2) * sizeof *s->at);
        assert_non_null(s->at);
    }
    struct span *n = &s->at[s->count];
    memset(n, 0, sizeof *n);
    if (start->family == 4) {
        n->start[1] = bh_get_be32(start->octets);
        n->end[1] = bh_get_be32(end->octets);
    } else {
        for (unsigned h = 0; h < 2; h++) {
            n->start[h] = bh_get_be64(start->octets + (size_t)h * 8);
            n->end[h] = bh_get_be64(end->octets + (size_t)h * 8);
        }
    }
    memcpy(n->code, code, 2);
    n->line = (uint32_t)s->count++;
}

static void
order_spans(struct spans *s)
{
    qsort(s->at, s->count, sizeof *s->at, compare_spans);
    s->reach = calloc(s->count + 1, sizeof *s->reach);
    assert_non_null(s->reach);
    for (size_t i = 0; i < s->count; i++) {
        const uint64_t *before = i == 0 ? s->at[0].end : s->reach[i - 1];
        memcpy(s->reach[i], compare(s->at[i].end, before) > 0 ? s->at[i].end : before,
               sizeof s->reach[i]);
    }
}

/* NULL: no range has it. */
static const char *
plain_answer(const struct spans *s, const uint64_t a[2])
{
    size_t low = 0;
    size_t high = s->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare(s->at[middle].start, a) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (size_t i = low; i-- > 0 && compare(s->reach[i], a) >= 0;) {
        if (compare(s->at[i].end, a) >= 0) {
            return s->at[i].code;
        }
    }
    return NULL;
}

static bool
is_special(int family, const uint64_t a[2])
{
    for (unsigned i = 0; i < kobold_specials_count; i++) {
        const struct kobold_special_row *s = &kobold_specials[i];
        if (s->family != family) {
            continue;
        }
        unsigned len = s->prefix_len + (family == 4 ? 96U : 0U);
        uint64_t high = len >= 64 ? UINT64_MAX : len == 0 ? 0 : UINT64_MAX << (64 - len);
        uint64_t low = len <= 64 ? 0 : UINT64_MAX << (128 - len);
        if (((a[0] ^ s->hi) & high) == 0 && ((a[1] ^ s->lo) & low) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- the comparison -------------------------------------------------------------------------- */

#define PROBES 1024

struct probes {
    kobold *k;
    const struct spans *spans[2];
    uint32_t v4[PROBES];
    uint64_t v6[PROBES][2];
    size_t count[2];
    size_t compared, special;
};

static void
expect_answer(struct probes *p, int family, const uint64_t a[2], uint16_t value)
{
    struct kobold_value v;
    uint32_t embedded;
    if (family == 6 && kobold_carrier(a[0], a[1], &embedded) != KOBOLD_CARRIER_NONE) {
        assert_int_equal(value, kobold_v4(p->k, embedded));
        return;
    }
    assert_true(kobold_value_info(p->k, value, &v));
    p->compared++;
    if (is_special(family, a)) {
        p->special++;
        assert_int_equal(v.kind, KOBOLD_SPECIAL);
        return;
    }
    const char *want = plain_answer(p->spans[family == 6], a);
    bool is_outside = family == 6 && a[0] >> 61 != 1; /* only 2000::/3 is given out */
    if (want == NULL || is_outside) {
        assert_int_equal(v.kind, KOBOLD_UNALLOCATED);
    } else if (strcmp(v.code, want) != 0) {
        fail_msg("%016llx %016llx: %s, not %s", (unsigned long long)a[0], (unsigned long long)a[1],
                 v.code, want);
    }
}

/* The forms of a look-up of many, by the instruction set in use; `got` by the plainest of them. */
static void
all_forms(struct probes *p, const uint16_t *want, bool is_v6)
{
    struct {
        uint16_t other;
        uint8_t octets[16];
        uint8_t end;
    } fields[PROBES];
    size_t n = p->count[is_v6];
    uint16_t got[PROBES];
    memset(got, 0xee, sizeof got);
    if (is_v6) {
        kobold_v6_many(p->k, (const uint64_t(*)[2])p->v6, got, n);
    } else {
        kobold_v4_many(p->k, p->v4, got, n);
    }
    assert_memory_equal(got, want, n * sizeof *got);
    for (int order = KOBOLD_HOST; order <= KOBOLD_NETWORK; order++) {
        for (size_t i = 0; i < n; i++) {
            uint8_t *o = fields[i].octets;
            memcpy(o, is_v6 ? (const void *)p->v6[i] : &p->v4[i], is_v6 ? 16 : 4);
            if (order == KOBOLD_NETWORK && is_v6) {
                bh_put_be64(o, p->v6[i][0]);
                bh_put_be64(o + 8, p->v6[i][1]);
            } else if (order == KOBOLD_NETWORK) {
                bh_put_be32(o, p->v4[i]);
            }
        }
        memset(got, 0xee, sizeof got);
        (is_v6 ? kobold_v6_strided : kobold_v4_strided)(p->k, fields[0].octets, sizeof fields[0],
                                                        (enum kobold_order)order, got, n);
        assert_memory_equal(got, want, n * sizeof *got);
    }
}

static void
compare_probes(struct probes *p, bool is_v6)
{
    uint16_t want[PROBES];
    size_t n = p->count[is_v6];
    for (int cpu = 0; cpu <= kobold_cpu(); cpu++) {
        kobold_set_cpu(p->k, cpu);
        for (size_t i = 0; i < n; i++) {
            uint16_t value =
                is_v6 ? kobold_v6(p->k, p->v6[i][0], p->v6[i][1]) : kobold_v4(p->k, p->v4[i]);
            if (cpu == 0) {
                const uint64_t v4[2] = { 0, p->v4[i] };
                want[i] = value;
                expect_answer(p, is_v6 ? 6 : 4, is_v6 ? p->v6[i] : v4, value);
            }
            assert_int_equal(value, want[i]);
            if (!is_v6) {
                assert_int_equal(kobold_v4_inline(p->k, p->v4[i]), value);
                assert_int_equal(kobold_v4_deep(p->k, p->v4[i]), value);
            }
        }
        all_forms(p, want, is_v6);
    }
#ifdef TEST_AVX512_SIMDE
    p->k->look = &kobold_look_avx512_simde;
    all_forms(p, want, is_v6);
    for (size_t i = 0; is_v6 && i < n; i++) {
        assert_int_equal(kobold_v6(p->k, p->v6[i][0], p->v6[i][1]), want[i]);
    }
#endif
    p->count[is_v6] = 0;
}

static void
probe(struct probes *p, bool is_v6, const uint64_t a[2], int step)
{
    uint64_t low = a[1] + (uint64_t)(int64_t)step;
    uint64_t high = a[0] + (step > 0 && low == 0) - (step < 0 && low == UINT64_MAX);
    size_t i = p->count[is_v6]++;
    p->v4[i] = is_v6 ? p->v4[i] : (uint32_t)low;
    p->v6[i][0] = is_v6 ? high : p->v6[i][0];
    p->v6[i][1] = is_v6 ? low : p->v6[i][1];
    if (p->count[is_v6] == PROBES) {
        compare_probes(p, is_v6);
    }
}

static void
compare_all(kobold *k, struct spans spans[2])
{
    struct probes *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->k = k;
    for (int f = 0; f < 2; f++) {
        order_spans(&spans[f]);
        p->spans[f] = &spans[f];
    }
    for (int f = 0; f < 2; f++) {
        for (size_t i = 0; i < spans[f].count; i++) {
            for (int step = -1; step <= 1; step++) {
                probe(p, f == 1, spans[f].at[i].start, step);
                probe(p, f == 1, spans[f].at[i].end, step);
            }
        }
        compare_probes(p, f == 1);
    }
    print_message("# %zu addresses compared with the plain ranges, %zu of them special\n",
                  p->compared, p->special);
    free(p);
    for (int f = 0; f < 2; f++) {
        free(spans[f].at);
        free(spans[f].reach);
    }
}

/* ---- data ------------------------------------------------------------------------------------ */

static uint64_t random_state = 0x2545f4914f6cdd1dU;

static uint64_t
next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1dU;
}

static void
add_line(struct bh_buf *text, struct spans spans[2], const struct bh_ip *start,
         const struct bh_ip *end)
{
    char first[BH_IP_TEXT_MAX];
    char last[BH_IP_TEXT_MAX];
    const char *code = kobold_countries[next_random() % kobold_countries_listed].code;
    bh_ip_format(start, first);
    bh_ip_format(end, last);
    bh_buf_printf(text, "%s,%s,%s\n", first, last, code);
    add_span(&spans[start->family == 6], start, end, code);
}

/* Some thousands of ranges in little space, one inside the other, of all lengths: nearly every node, block and
 * record has something of each kind. */
static void
dense_made_up_data(void **state)
{
    (void)state;
    struct bh_buf text = { 0 };
    struct spans spans[2] = { { 0 } };
    for (unsigned i = 0; i < 6000; i++) {
        uint32_t start = 0x14000000U + (uint32_t)(next_random() & 0x3fffff);
        uint32_t size = (uint32_t)(next_random() >> 40) >> next_random() % 25;
        struct bh_ip a = bh_ip_from_v4(start);
        struct bh_ip b = bh_ip_from_v4(start + size);
        add_line(&text, spans, &a, &b);
    }
    for (unsigned i = 0; i < 6000; i++) {
        static const unsigned cuts[] = { 0, 12, 16, 24, 32, 63 };
        uint64_t hi = 0x2a00000000000000U | (next_random() & 0x0000000f0003ffffU);
        hi &= UINT64_MAX << cuts[next_random() % BH_COUNT(cuts)];
        uint64_t lo = next_random() % 3 == 0 ? next_random() >> next_random() % 64 : 0;
        unsigned bits = (unsigned)(next_random() % 112);
        uint64_t up = bits < 64 ? 0 : UINT64_MAX >> (127 - bits) >> 1;
        struct bh_ip a = bh_ip_from_v6(hi | 1U << 20, lo);
        struct bh_ip b = bh_ip_from_v6((hi | 1U << 20) + (up & 0xffffffffffffU),
                                       bits < 64 ? lo | ((1ULL << bits) - 1) : UINT64_MAX);
        add_line(&text, spans, &a, &b);
    }
    struct made m = make(text.data);
    assert_true(kobold_value_count(m.k) > KDB_ESCAPE);
    compare_all(m.k, spans);
    unmake(&m);
    bh_buf_done(&text);
}

/* More ways to divide a /20 than there are numbers for: the rest is in the list. */
static void
more_nodes_than_can_be_numbered(void **state)
{
    (void)state;
    struct bh_buf text = { 0 };
    struct spans spans[2] = { { 0 } };
    for (uint32_t i = 0; i < 70000; i++) {
        uint32_t start = 0x14000000U + (i << 12) + (i & 0xfff);
        struct bh_ip a = bh_ip_from_v4(start);
        struct bh_ip b = bh_ip_from_v4(start + (i >> 4 & 0xff) % (0x1000 - (i & 0xfff)));
        add_line(&text, spans, &a, &b);
    }
    struct bh_ip a = bh_ip_from_v6(0x2a00000000000000U, 0);
    add_line(&text, spans, &a, &a);
    struct made m = make(text.data);
    assert_true(m.k->v4_sides > 0);
    compare_all(m.k, spans);
    unmake(&m);
    bh_buf_done(&text);
}

static bool
add_table(kobold_build *b, struct spans *spans, const char *path)
{
    struct bh_map map;
    struct bh_error err;
    if (bh_map_open(path, &map, &err) < 0) {
        return false;
    }
    const char *at = (const char *)map.data;
    const char *end = at + map.size;
    assert_int_equal(
        kobold_build_add(b, path, at, map.size, KOBOLD_FORMAT_AUTO, KOBOLD_LAYER_DATA, NULL, &err),
        0);
    while (at < end) {
        const char *c1 = memchr(at, ',', (size_t)(end - at));
        const char *c2 = c1 == NULL ? NULL : memchr(c1 + 1, ',', (size_t)(end - c1 - 1));
        struct bh_ip first;
        struct bh_ip last;
        if (c2 == NULL || !bh_ip_parse(at, (size_t)(c1 - at), &first) ||
            !bh_ip_parse(c1 + 1, (size_t)(c2 - c1 - 1), &last)) {
            break;
        }
        add_span(spans, &first, &last, c2 + 1);
        at = memchr(c2, '\n', (size_t)(end - c2));
        at = at == NULL ? end : at + 1;
    }
    bh_map_done(&map);
    return spans->count > 0;
}

/* BH_TEST_NPM_TABLE names .../NAME-ipv4-num.csv; beside it are NAME-ipv4.csv and NAME-ipv6.csv. */
static void
a_published_table(void **state)
{
    (void)state;
    const char *table = getenv("BH_TEST_NPM_TABLE");
    const char *name = table == NULL ? NULL : strstr(table, "-ipv4-num.csv");
    struct spans spans[2] = { { 0 } };
    char path[4096];
    if (name == NULL) {
        skip();
        return;
    }
    kobold_build *b = kobold_build_new();
    assert_non_null(b);
    for (int f = 0; f < 2; f++) {
        snprintf(path, sizeof path, "%.*s-ipv%d.csv", (int)(name - table), table, f == 0 ? 4 : 6);
        if (!add_table(b, &spans[f], path)) {
            kobold_build_free(b);
            free(spans[0].at);
            skip();
            return;
        }
    }
    struct made m = finish(b);
    kobold_build_free(b);
    compare_all(m.k, spans);
    unmake(&m);
}

int
main(void)
{
#ifndef TEST_AVX512_SIMDE
    print_message("# AVX-512 code is not run by simd-everywhere: libsimde-dev was not there\n");
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_made_up_data),
        cmocka_unit_test(more_nodes_than_can_be_numbered),
        cmocka_unit_test(a_published_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
