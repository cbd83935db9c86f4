/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables of a tally, one by one against plain arrays; then the tally as a whole, fed with
 * rows that are judged already. What becomes of it, the ranked trend, is test_trend.c.
 */
#include "tally_lab.h"

#include <math.h>
#include <stdatomic.h>

#include "tally_priv.h"

/* ---- map.c ------------------------------------------------------------------------------------ */

static void
test_map(void **state)
{
    (void)state;
    enum { KEYS = 5000 };
    static uint64_t want[KEYS];
    struct map m;
    uint64_t seed = 1;
    memset(want, 0, sizeof want);
    assert_int_equal(map_init(&m, 64), 0);
    for (unsigned i = 0; i < 40000; i++) {
        uint32_t key = random_below(&seed, KEYS);
        /* Outcomes are taken back: sums wrap, and come back above zero. */
        uint64_t value = random_below(&seed, 3) == 0 ? UINT64_MAX - 6 : random_below(&seed, 1000);
        want[key] += value;
        map_add(&m, key, value);
    }
    uint32_t used = 0;
    for (uint32_t key = 0; key < KEYS; key++) {
        assert_int_equal(map_get(&m, key), want[key]);
    }
    for (uint32_t i = 0; i <= m.mask; i++) {
        used += m.entry[i].key1 != 0;
    }
    assert_int_equal(m.used, used);
    assert_true(m.used <= (m.mask + 1) / 4 * 3);
    assert_int_equal(m.lost, 0);
    assert_int_equal(map_get(&m, KEYS), 0);
    assert_int_equal(map_get(&m, UINT32_MAX - 1), 0);
    map_add(&m, UINT32_MAX - 1, 7); /* the largest key there is */
    assert_int_equal(map_get(&m, UINT32_MAX - 1), 7);
    map_done(&m);
    map_done(&m); /* of nothing */
}

/* A table of two slots grows before it is full. */
static void
test_map_smallest(void **state)
{
    (void)state;
    struct map m;
    assert_int_equal(map_init(&m, 2), 0);
    for (uint32_t key = 0; key < 100; key++) {
        assert_int_equal(map_get(&m, key), 0);
        map_add(&m, key, key + 1);
    }
    for (uint32_t key = 0; key < 100; key++) {
        assert_int_equal(map_get(&m, key), key + 1);
    }
    map_done(&m);
}

/* ---- cells.c ------------------------------------------------------------------------------------ */

static void
test_cells_carry(void **state)
{
    (void)state;
    static const unsigned sizes[] = { 0,  1,  14, 15,  16,  17,  31,  32,   33,
                                      47, 48, 49, 255, 256, 257, 271, 4095, 4096 };
    struct cells *c = NULL;
    assert_int_equal(cells_new(1, &c), 0);
    for (unsigned i = 0; i < BH_COUNT(sizes); i++) {
        for (unsigned k = 0; k < BH_COUNT(sizes); k++) {
            /* The first, the last and a middle port of a place, TCP and UDP. */
            uint32_t cell = cell_of(i * 28, k % 2 == 0 ? BH_PROTO_TCP : BH_PROTO_UDP,
                                    k == 0   ? 0
                                    : k == 1 ? 65535
                                             : k * 3000);
            for (unsigned n = 0; n < sizes[i]; n++) {
                cell_count(c, cell, n < sizes[k]);
            }
        }
    }
    for (unsigned i = 0; i < BH_COUNT(sizes); i++) {
        for (unsigned k = 0; k < BH_COUNT(sizes); k++) {
            uint32_t cell = cell_of(i * 28, k % 2 == 0 ? BH_PROTO_TCP : BH_PROTO_UDP,
                                    k == 0   ? 0
                                    : k == 1 ? 65535
                                             : k * 3000);
            assert_int_equal(cell_get(c, cell, CELL_COUNT), sizes[i]);
            assert_int_equal(cell_get(c, cell, CELL_SOURCES),
                             sizes[i] < sizes[k] ? sizes[i] : sizes[k]);
            assert_int_equal(cell_get(c, cell ^ 1, CELL_COUNT), 0);
            assert_int_equal(cell_get(c, cell, CELL_COMPLETE), 0);
        }
    }
    assert_int_equal(cells_lost(c), 0);
    cells_free(c);
    cells_free(NULL);
}

/* One octet to a number: sums of octets, whatever they are. */
static void
test_digits_wide(void **state)
{
    (void)state;
    static const uint64_t parts[] = {
        0, 1, 255, 256, 1500, 65535, 65536, 0x100000000ULL, 0x7fffffffffffffffULL
    };
    struct slabs slabs = { 0 };
    struct digits d;
    assert_int_equal(digits_init(&d, &slabs, 9), 0);
    for (uint32_t i = 0; i < BH_COUNT(parts); i++) {
        for (uint32_t k = 0; k < BH_COUNT(parts); k++) {
            digits_add_wide(&d, i << 17 | k * 14563, parts[i]);
            digits_add_wide(&d, i << 17 | k * 14563, parts[k]);
        }
    }
    for (uint32_t i = 0; i < BH_COUNT(parts); i++) {
        for (uint32_t k = 0; k < BH_COUNT(parts); k++) {
            assert_int_equal(digits_get_wide(&d, i << 17 | k * 14563), parts[i] + parts[k]);
        }
    }
    digits_done(&d);
    slabs_done(&slabs);
}

/* The digits of a place are a table until they are 12,288; then an array, and digit_next() finds the
 * same ones in either. */
static void
test_digits_few_and_many(void **state)
{
    (void)state;
    static const uint32_t numbers[] = { 0, 1, 11, 12, 13, 12287, 12288, 12289, 70000, DIGIT_KEYS };
    static bool seen[DIGIT_KEYS];
    const uint32_t place = BH_PLACES_MAX - 1;
    for (size_t k = 0; k < BH_COUNT(numbers); k++) {
        const uint32_t n = numbers[k];
        struct slabs slabs = { 0 };
        struct digits d;
        assert_int_equal(digits_init(&d, &slabs, k), 0);
        for (uint32_t i = 0; i < n; i++) {
            /* the first one, too; each once, as 37 is odd */
            const uint32_t key = i * 37U % DIGIT_KEYS;
            digits_add(&d, place << 17 | key, i & 1, 1 + key % 15);
            digits_add(&d, place << 17 | key, 1 - (i & 1), 16); /* no digit on the first level */
        }
        const struct digit_row *r = &d.level[0][place];
        assert_int_equal(r->many != NULL, n > 12288);
        assert_int_equal(slabs.used, n > 12288 ? 2 : 0); /* of two levels */
        assert_true(n == 0 || n > 12288 || r->used <= (r->mask + 1) / 4 * 3);
        memset(seen, 0, sizeof seen);
        uint32_t count = 0;
        struct digit it = { 0 };
        while (digit_next(&d, 0, place, &it)) {
            const uint32_t key = it.cell - (place << 17);
            assert_true(key < DIGIT_KEYS && !seen[key] && it.octet != 0);
            seen[key] = true;
            count++;
        }
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t key = i * 37U % DIGIT_KEYS;
            if (digits_get(&d, place << 17 | key, i & 1) != 1 + key % 15 ||
                digits_get(&d, place << 17 | key, 1 - (i & 1)) != 16) {
                fail_msg("%u keys: key %u", (unsigned)n, (unsigned)key);
            }
        }
        assert_int_equal(count, n);
        struct digit none = { 0 };
        assert_false(digit_next(&d, 0, 0, &none));
        assert_false(digit_next(&d, DIGIT_LEVELS - 1, place, &none));
        digits_done(&d);
        slabs_done(&slabs);
    }
}

static void
test_cell_of(void **state)
{
    (void)state;
    assert_int_equal(cell_of(0, BH_PROTO_TCP, 0), 0);
    assert_int_equal(cell_of(0, BH_PROTO_UDP, 0), 65536);
    assert_int_equal(cell_of(1, BH_PROTO_TCP, 0), 131072);
    assert_true(cell_of(BH_PLACES_MAX - 1, BH_PROTO_UDP, 65535) == CELLS - 1);
}

/* Sums of a few cells beside the table's. */
#define OUTCOME_CELLS 64U
struct outcome_model {
    int64_t sum[OUTCOME_CELLS][BH_OUTCOME_COUNT];
};
static const enum cell_kind kind_of_outcome[BH_OUTCOME_COUNT] = {
    [BH_OUTCOME_COMPLETE] = CELL_COMPLETE, [BH_OUTCOME_RESET_BY_CLIENT] = CELL_RESET,
    [BH_OUTCOME_HALF_OPEN] = CELL_HALF,    [BH_OUTCOME_REFUSED] = CELL_REFUSED,
    [BH_OUTCOME_UNKNOWN] = CELL_UNKNOWN,
};

static uint32_t
outcome_cell(uint32_t i)
{
    return cell_of(i % 5 * 100, BH_PROTO_TCP, i * 1023); /* flood: other places */
}

static void
outcomes_play(struct cells *c, struct outcome_model *m, uint64_t *seed, unsigned steps)
{
    for (unsigned k = 0; k < steps; k++) {
        uint32_t i = random_below(seed, OUTCOME_CELLS);
        unsigned o = 1 + random_below(seed, BH_OUTCOME_COUNT - 1);
        if (o == BH_OUTCOME_SILENT) {
            continue; /* is what remains, and kept nowhere */
        }
        int n = (int)random_below(seed, 40) - 19;
        if (m->sum[i][o] + n < 0) {
            n = (int)-m->sum[i][o]; /* exactly to zero */
        }
        m->sum[i][o] += n;
        cell_outcome(c, outcome_cell(i), o, n);
    }
}

static void
outcomes_check(const struct cells *c, const struct outcome_model *m)
{
    for (uint32_t i = 0; i < OUTCOME_CELLS; i++) {
        for (unsigned o = 1; o < BH_OUTCOME_COUNT; o++) {
            if (o != BH_OUTCOME_SILENT) {
                assert_int_equal(cell_get(c, outcome_cell(i), kind_of_outcome[o]), m->sum[i][o]);
            }
        }
    }
}

/* So many answers on so many ports that tables become arrays. */
static void
outcomes_flood(struct cells *c)
{
    for (uint32_t place = 310; place < 316; place++) {
        for (uint32_t port = 0; port < 65536; port++) {
            cell_outcome(c, cell_of(place, BH_PROTO_TCP, port), BH_OUTCOME_REFUSED,
                         1 + (int)(port % 40));
        }
    }
}

static void
flood_check(const struct cells *c, uint64_t times)
{
    for (uint32_t place = 310; place < 316; place++) {
        for (uint32_t port = 0; port < 65536; port++) {
            uint32_t cell = cell_of(place, BH_PROTO_TCP, port);
            if (cell_get(c, cell, CELL_REFUSED) != times * (1 + port % 40) ||
                cell_get(c, cell, CELL_HALF) != 0) {
                fail_msg("place %u, port %u: %u refused", (unsigned)place, (unsigned)port,
                         (unsigned)cell_get(c, cell, CELL_REFUSED));
            }
        }
    }
}

static void
test_cells_outcomes(void **state)
{
    (void)state;
    static struct outcome_model m;
    struct cells *c = NULL;
    uint64_t seed = 3;
    memset(&m, 0, sizeof m);
    assert_int_equal(cells_new(seed, &c), 0);
    outcomes_play(c, &m, &seed, 5000);
    outcomes_check(c, &m);
    assert_int_equal(c->slabs.used, 0);
    outcomes_flood(c);
    assert_true(c->slabs.used >= 6);
    outcomes_check(c, &m);
    flood_check(c, 1);
    outcomes_play(c, &m, &seed, 20000); /* carries and borrows of digits */
    outcomes_check(c, &m);
    flood_check(c, 1);
    cells_free(c);
}

/* "Unknown" is what has no outcome yet, of as many cells as there may be. */
static void
test_cells_unknown(void **state)
{
    (void)state;
    static const uint32_t numbers[] = { 1, 511, 12288, 12289, 70000 };
    for (size_t k = 0; k < BH_COUNT(numbers); k++) {
        const uint32_t n = numbers[k];
        struct cells *c = NULL;
        assert_int_equal(cells_new(k, &c), 0);
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t cell = i * 37 + (i % 3 << 17);
            cell_add(c, cell, i % 40 + 1, i % 23);
            cell_count(c, cell, true);
        }
        cell_outcome(c, 0, BH_OUTCOME_REFUSED, 1);
        cell_outcome(c, 0, BH_OUTCOME_COMPLETE, 1);
        cells_all_unknown(c);
        assert_int_equal(cell_get(c, 0, CELL_UNKNOWN), 0); /* 2 accesses, both known */
        for (uint32_t i = 0; i < n; i++) {
            const uint32_t cell = i * 37 + (i % 3 << 17), count = i % 40 + 2, sources = i % 23 + 1;
            if (cell_get(c, cell, CELL_COUNT) != count ||
                cell_get(c, cell, CELL_SOURCES) != sources ||
                (i > 0 && cell_get(c, cell, CELL_UNKNOWN) != ((cell >> 16 & 1) == 0 ? count : 0))) {
                fail_msg("%u cells: cell %u", (unsigned)n, (unsigned)i);
            }
        }
        cells_free(c);
    }
}

/* Single steps over each border of a nibble, up and down. */
static void
test_cells_borrow(void **state)
{
    (void)state;
    struct cells *c = NULL;
    assert_int_equal(cells_new(2, &c), 0);
    outcomes_flood(c);
    const uint32_t cell = cell_of(7, BH_PROTO_TCP, 25);
    for (int round = 0; round < 2; round++) {
        for (unsigned n = 1; n <= 300; n++) {
            cell_outcome(c, cell, BH_OUTCOME_HALF_OPEN, 1);
            cell_outcome(c, cell, BH_OUTCOME_COMPLETE, 3);
            assert_int_equal(cell_get(c, cell, CELL_HALF), n);
            assert_int_equal(cell_get(c, cell, CELL_COMPLETE), 3 * n);
            assert_int_equal(cell_get(c, cell, CELL_RESET), 0);
            assert_int_equal(cell_get(c, cell, CELL_REFUSED), 0);
        }
        for (unsigned n = 300; n > 0; n--) {
            cell_outcome(c, cell, BH_OUTCOME_HALF_OPEN, -1);
            cell_outcome(c, cell, BH_OUTCOME_COMPLETE, -3);
            assert_int_equal(cell_get(c, cell, CELL_HALF), n - 1);
            assert_int_equal(cell_get(c, cell, CELL_COMPLETE), 3 * (n - 1));
        }
    }
    cells_free(c);
}

/* ---- sources.c ---------------------------------------------------------------------------------- */

static struct source4 *
source4_of(struct sources *s, uint32_t addr)
{
    return source4_get(s, addr, source4_hash(s, addr));
}

static struct source6 *
source6_of(struct sources *s, uint64_t hi, uint64_t lo)
{
    return source6_get(s, hi, lo, source6_hash(s, hi, lo));
}

/* Sources come in batches; each keeps what was written down of it while the table grows. */
static void
test_sources_grow(void **state)
{
    (void)state;
    enum { N4 = 100000, N6 = 20000, STEP = 1000 };
    struct sources s;
    assert_int_equal(sources_init(&s, 1, 1, 99, SOURCES6_MAX), 0);
    uint32_t first = s.mask4;
    for (uint32_t i = 0; i < N4; i++) {
        if (i % STEP == 0) {
            sources_reserve(&s, STEP, STEP / 5);
        }
        struct source4 *v = source4_of(&s, i * 2654435761U);
        assert_non_null(v);
        assert_int_equal(v->s.place, PLACE_NONE);
        assert_int_equal(v->s.flags, SRC_USED);
        assert_true(v->s.hour == UINT32_MAX);
        v->s.count = i;
        v->s.place = 3;
        if (i % 5 == 0) {
            struct source6 *w = source6_of(&s, i / 10, i); /* two in a /64 */
            assert_non_null(w);
            assert_int_equal(w->s.place, PLACE_NONE);
            w->s.count = i;
            w->s.place = 4;
        }
    }
    assert_true(s.mask4 > first);
    assert_int_equal(s.used4, N4);
    assert_int_equal(s.used6, N6);
    assert_true(s.used4 <= (s.mask4 + 1) / 8 * 5);
    assert_true(s.used6 <= (s.mask6 + 1) / 8 * 5);
    for (uint32_t i = 0; i < N4; i++) {
        struct source4 *v = source4_of(&s, i * 2654435761U);
        assert_true(v != NULL && v->s.place == 3 && v->s.count == i);
        if (i % 5 == 0) {
            struct source6 *w = source6_of(&s, i / 10, i);
            assert_true(w != NULL && w->s.place == 4 && w->s.count == i);
        }
    }
    assert_int_equal(s.used4, N4);
    assert_int_equal(s.used6, N6);
    sources_done(&s);
}

/* 0.0.0.0 and :: are addresses like others. */
static void
test_sources_zero(void **state)
{
    (void)state;
    struct sources s;
    assert_int_equal(sources_init(&s, 1, 1, 0, SOURCES6_MAX), 0);
    sources_reserve(&s, 2, 2);
    struct source4 *v = source4_of(&s, 0);
    struct source6 *w = source6_of(&s, 0, 0);
    assert_int_equal(s.used4, 1);
    assert_int_equal(s.used6, 1);
    assert_ptr_equal(source4_of(&s, 0), v);
    assert_ptr_equal(source6_of(&s, 0, 0), w);
    assert_int_equal(s.used4, 1);
    sources_done(&s);
}

/* The bound of a shard is its part of the whole: with 1024 of them, 640 and 160. */
static void
test_sources_full(void **state)
{
    (void)state;
    struct sources s;
    assert_int_equal(sources_init(&s, 1, 1024, 5, SOURCES6_MAX), 0);
    assert_int_equal(s.limit4, 640);
    assert_int_equal(s.limit6, 160);
    for (uint32_t i = 0; i < 2000; i++) {
        sources_reserve(&s, 1, 1);
        struct source4 *v = source4_of(&s, i);
        struct source6 *w = source6_of(&s, 7, i);
        assert_true((v != NULL) == (i < 640));
        assert_true((w != NULL) == (i < 160));
        if (v != NULL) {
            v->s.place = 1;
        }
    }
    assert_int_equal(s.used4, 640);
    for (uint32_t i = 0; i < 640; i++) { /* whoever is in stays in */
        assert_true(source4_of(&s, i)->s.place == 1);
    }
    sources_done(&s);
}

/* ---- pairs.c -------------------------------------------------------------------------------------- */

static uint64_t
pair_hash(uint64_t i)
{
    return bh_mix64(i, 0x1234567);
}

static void
assert_within(uint64_t got, uint64_t want, double share)
{
    double off = fabs((double)got - (double)want);
    if (off > share * (double)want + 0.5) {
        fail_msg("%llu, not %llu within %.4f", (unsigned long long)got, (unsigned long long)want,
                 share);
    }
}

#define SIGMA (1.04 / 32) /* of HyperLogLog with 1024 registers */

/* A smaller bound: other shards have used up the rest of it. */
static void
test_pairs_bound(void **state)
{
    (void)state;
    struct pairs p;
    _Atomic uint64_t total = PAIRS_MAX - 8192;
    assert_int_equal(pairs_init(&p, 0, 1, &total), 0);
    for (uint64_t i = 0; i < 8192; i++) {
        assert_int_equal(pairs_add(&p, pair_hash(i)), PAIR_NEW);
        assert_int_equal(pairs_add(&p, pair_hash(i)), PAIR_KNOWN);
        assert_false(p.full);
    }
    assert_int_equal(p.used, 8192);
    /* From here on the known are known, and the rest is not. */
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(pairs_add(&p, pair_hash(8192 + i)), PAIR_OVER);
        assert_int_equal(pairs_add(&p, pair_hash(i)), PAIR_KNOWN);
    }
    assert_int_equal(p.used, 8192);
    assert_true(p.full);
    /* What matters finds room all the same. */
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(pairs_add(&p, pair_hash(8192 + i)), PAIR_OVER);
        assert_int_equal(pairs_add_more(&p, pair_hash(8192 + i)), PAIR_NEW);
        assert_int_equal(pairs_add(&p, pair_hash(8192 + i)), PAIR_KNOWN);
        assert_int_equal(pairs_add(&p, pair_hash(20000 + i)), PAIR_OVER);
    }
    pairs_done(&p);
}

/* MEANING.md 4: exact up to 2^22. */
static void
test_pairs_exact(void **state)
{
    (void)state;
    struct pairs p;
    assert_int_equal(pairs_init(&p, 0, 1, NULL), 0);
    for (uint64_t i = 0; i < PAIRS_MAX; i++) {
        if (pairs_add(&p, pair_hash(i)) != PAIR_NEW) {
            fail_msg("pair %llu was taken for another", (unsigned long long)i);
        }
    }
    assert_int_equal(p.used, PAIRS_MAX);
    for (uint64_t i = 0; i < PAIRS_MAX; i += 97) {
        assert_int_equal(pairs_add(&p, pair_hash(i)), PAIR_KNOWN);
    }
    assert_int_equal(pairs_add(&p, pair_hash(PAIRS_MAX)), PAIR_OVER);
    uint64_t more = 0;
    while (pairs_add(&p, pair_hash(PAIRS_MAX + more)) == PAIR_OVER &&
           pairs_add_more(&p, pair_hash(PAIRS_MAX + more)) == PAIR_NEW) {
        more++;
    }
    assert_int_equal(p.used, p.slots / 4 * 3); /* and never full */
    assert_int_equal(pairs_add(&p, pair_hash(5)), PAIR_KNOWN);
    assert_int_equal(pairs_add(&p, pair_hash(PAIRS_MAX + more - 1)), PAIR_KNOWN);
    pairs_done(&p);
}

/* ---- sketches.c ----------------------------------------------------------------------------------- */

static void
test_sketches(void **state)
{
    (void)state;
    static const uint64_t sizes[] = { 1, 50, 1000, 4000, 20000, 300000 };
    static const uint32_t keys[] = { 0,
                                     CELLS - 1,
                                     PAIR_KEY_PLACE(0),
                                     PAIR_KEY_PLACE(BH_PLACES_MAX - 1),
                                     PAIR_KEY_VISIT(0),
                                     PAIR_KEY_VISIT(BH_SERVED_MAX - 1) };
    struct sketches s;
    assert_int_equal(sketches_init(&s), 0);
    for (size_t k = 0; k < BH_COUNT(sizes); k++) {
        assert_false(sketches_has(&s, 7));
        assert_int_equal(sketches_get(&s, keys[k], UINT64_MAX), 0);
        for (int twice = 0; twice < 2; twice++) {
            for (uint64_t i = 0; i < sizes[k]; i++) {
                sketches_add(&s, bh_mix64(i, 77 + k), keys[k]);
            }
        }
    }
    for (size_t k = 0; k < BH_COUNT(sizes); k++) {
        assert_true(sketches_has(&s, keys[k]));
        assert_within(sketches_get(&s, keys[k], UINT64_MAX), sizes[k], 3 * SIGMA);
        assert_int_equal(sketches_get(&s, keys[k], 1), 1);
        assert_int_equal(sketches_get(&s, keys[k], 0), 0);
    }
    assert_int_equal(s.lost, 0);
    sketches_done(&s);
    sketches_done(&s);
}

/* In whatever order it comes, and however often. */
static void
test_sketches_order(void **state)
{
    (void)state;
    struct sketches s[2];
    for (unsigned k = 0; k < 2; k++) {
        assert_int_equal(sketches_init(&s[k]), 0);
        for (uint64_t i = 0; i < 50000; i++) {
            const uint64_t x = k == 0 ? i : 49999 - i;
            sketches_add(&s[k], bh_mix64(x, 1), 5);
            sketches_add(&s[k], bh_mix64(x / (1 + k), 1), 5);
        }
    }
    assert_int_equal(sketches_get(&s[0], 5, UINT64_MAX), sketches_get(&s[1], 5, UINT64_MAX));
    sketches_done(&s[0]);
    sketches_done(&s[1]);
}

/* More cells than there are sketches: those of places are there all the same. */
static void
test_sketches_full(void **state)
{
    (void)state;
    struct sketches s;
    assert_int_equal(sketches_init(&s), 0);
    for (uint32_t key = 0; key < SKETCHED_CELLS_MAX + 10; key++) {
        sketches_add(&s, bh_mix64(key, 1), key * 3);
    }
    assert_int_equal(s.lost, 10);
    assert_int_equal(sketches_get(&s, (SKETCHED_CELLS_MAX - 1) * 3, 9), 1);
    assert_false(sketches_has(&s, SKETCHED_CELLS_MAX * 3));
    sketches_add(&s, 1, PAIR_KEY_PLACE(9));
    sketches_add(&s, 1, PAIR_KEY_VISIT(9));
    assert_int_equal(sketches_get(&s, PAIR_KEY_PLACE(9), 9), 1);
    assert_int_equal(sketches_get(&s, PAIR_KEY_VISIT(9), 9), 1);
    sketches_done(&s);
}

/* ---- bins.c --------------------------------------------------------------------------------------- */

static void
test_bins_hours(void **state)
{
    (void)state;
    static const struct {
        const char *zone;
        int64_t at, start; /* an instant, and its hour */
    } cases[] = {
        { "UTC", 0, 0 },
        { "UTC", 3599, 0 },
        { "UTC", 3600, 3600 },
        { "UTC", -1, -3600 },
        { "UTC", -3600, -3600 },
        { "UTC", -3601, -7200 },
        { "Asia/Tokyo", 1175353200, 1175353200 },
        { "Asia/Kolkata", 1175353200, 1175351400 }, /* 20:30 there: began half an hour ago */
        { "Asia/Kolkata", 1175355000, 1175355000 },
        { "Asia/Kolkata", 1175354999, 1175351400 },
        { "Asia/Kathmandu", 1175353200, 1175350500 }, /* 20:45 */
        { "Asia/Kathmandu", 1175354100, 1175354100 },
        { "America/St_Johns", 1175353200, 1175351400 },    /* 12:30 in summer */
        { "America/St_Johns", 1168000000, 1167996600 },    /* -3:30 */
        { "Australia/Lord_Howe", 1168000000, 1167998400 }, /* +11 in summer */
        { "Australia/Lord_Howe", 1180000000, 1179999000 }, /* +10:30 */
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bins b;
        assert_int_equal(bh_zone_set(cases[i].zone, NULL), 0);
        assert_int_equal(bins_init(&b), 0);
        bins_go(&b, cases[i].at * SEC + 5);
        if (b.current_start_ns != cases[i].start * SEC ||
            b.current_end_ns != b.current_start_ns + HOUR ||
            bins_hour_start_ns(b.hour[0].id) != cases[i].start * SEC) {
            fail_msg("%s %lld: hour of %lld, not %lld", cases[i].zone, (long long)cases[i].at,
                     (long long)(b.current_start_ns / SEC), (long long)cases[i].start);
        }
        bins_done(&b);
    }
    assert_int_equal(bh_zone_set("UTC", NULL), 0);
}

/* Days of 23 and 25 hours, and the weeks that hold them. */
static void
test_bins_days(void **state)
{
    (void)state;
    static const struct {
        const char *zone;
        int64_t at;
        unsigned day, week, before; /* hours of the day, of the week, of the day until then */
    } cases[] = {
        { "UTC", 1175353200, 24, 168, 15 },
        { "Asia/Tokyo", 1175353200, 24, 168, 0 },
        { "Asia/Tokyo", 1175353199, 24, 168, 23 },
        { "Asia/Kolkata", 1175353200, 24, 168, 20 },
        { "America/New_York", 1173589200, 23, 167, 0 }, /* 2007-03-11 00:00 EST */
        { "America/New_York", 1173603600, 23, 167, 4 }, /* 05:00 EDT */
        { "America/New_York", 1194148800, 25, 169, 0 }, /* 2007-11-04 00:00 EDT */
        { "America/New_York", 1194166800, 25, 169, 5 },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bins b;
        assert_int_equal(bh_zone_set(cases[i].zone, NULL), 0);
        assert_int_equal(bins_init(&b), 0);
        bins_go(&b, cases[i].at * SEC);
        const struct hour *h = &b.hour[b.current];
        unsigned before = (h->id - h->day_first) / HOUR_STEP;
        unsigned day = (h->day_next - h->day_first) / HOUR_STEP;
        unsigned week = (h->week_next - h->week_first) / HOUR_STEP;
        if (day != cases[i].day || before != cases[i].before || week != cases[i].week) {
            fail_msg("%s %lld: hour %u of %u, week of %u", cases[i].zone, (long long)cases[i].at,
                     before, day, week);
        }
        assert_true(h->week_first <= h->day_first && h->day_next <= h->week_next);
        bins_done(&b);
    }
    assert_int_equal(bh_zone_set("UTC", NULL), 0);
}

/* Hours back and forth are the same hours; the sparkline gets wider with the span. */
static void
test_bins_again(void **state)
{
    (void)state;
    struct bins b;
    assert_int_equal(bins_init(&b), 0);
    for (int round = 0; round < 2; round++) {
        for (int64_t h = 0; h < 1000; h++) {
            struct hour *x = bins_at(&b, START + h * HOUR + h);
            x->frames++;
            b.trend_row[7] += 1;
        }
    }
    assert_int_equal(b.used, 1000);
    for (uint32_t i = 0; i < b.used; i++) {
        assert_int_equal(b.hour[i].frames, 2);
        assert_int_equal(b.hour[i].first_frame_ns, START + i * HOUR + i);
    }
    assert_int_equal(b.trend_width, 4); /* 1000 hours in at most 256 bins */
    uint64_t sum = 0;
    for (unsigned k = 0; k < TREND_BINS; k++) {
        assert_int_equal(b.trend[k][7], k < 250 ? 8 : 0);
        sum += b.trend[k][7] + b.trend[k][6];
    }
    assert_int_equal(sum, 2000);
    bins_done(&b);
}

/* Clocks that change by half an hour: each instant lies in one hour and one day, and hours keep
 * their place when others are asked for later. */
static void
test_bins_half_hours(void **state)
{
    (void)state;
    static const struct {
        const char *zone;
        int64_t around;
    } changes[] = {
        { "Australia/Lord_Howe", 1174748400 }, /* 2007-03-25 back from +11 to +10:30 */
        { "Australia/Lord_Howe", 1193499000 }, /* 2007-10-28 to +11 */
        { "America/Caracas", 1197183600 },     /* 2007-12-09 from -4 to -4:30 */
        { "Asia/Pyongyang", 1439564400 },      /* 2015-08-15 from +9 to +8:30, at midnight */
        { "Asia/Pyongyang", 1525446000 },      /* 2018-05-05 and to +9 again, at 23:30 */
        { "America/New_York", 1173596400 },    { "UTC", 1173596400 },
    };
    for (size_t i = 0; i < BH_COUNT(changes); i++) {
        struct bins b;
        int64_t first = changes[i].around - 3 * 86400, last = changes[i].around + 3 * 86400;
        assert_int_equal(bh_zone_set(changes[i].zone, NULL), 0);
        assert_int_equal(bins_init(&b), 0);
        for (int64_t s = first; s < last; s += 60) {
            struct hour *h = bins_at(&b, s * SEC);
            int64_t start = b.current_start_ns / SEC, day = bh_zone_day(s);
            h->frames++;
            assert_true(start <= s && s < start + 3600);
            assert_true(bins_hour_start_ns(h->id) == b.current_start_ns);
            assert_int_equal(bins_hour_id(s * SEC), h->id);
            /* Its day is that of the calendar. */
            assert_true(bins_hour_start_ns(h->day_first) == bh_zone_day_start(day) * SEC);
            assert_true(bins_hour_start_ns(h->day_next) == bh_zone_day_start(day + 1) * SEC);
            assert_true(h->first_frame_ns == s * SEC || h->frames > 1);
        }
        uint64_t sum = 0;
        for (uint32_t k = 0; k < b.used; k++) {
            assert_true(k == 0 || b.hour[k].id > b.hour[k - 1].id);
            assert_true(b.hour[k].frames == 60 || b.hour[k].frames == 30);
            sum += b.hour[k].frames;
        }
        assert_int_equal(sum, 6 * 1440);
        bins_done(&b);
    }
    assert_int_equal(bh_zone_set("UTC", NULL), 0);
}

/* The ends of time, as a broken clock or a forged file writes them. */
static void
test_bins_ends(void **state)
{
    (void)state;
    static const int64_t times[] = { INT64_MIN, INT64_MIN + HOUR, INT64_MIN / 2,    -1,
                                     0,         INT64_MAX / 2,    INT64_MAX - HOUR, INT64_MAX };
    struct bins b;
    assert_int_equal(bins_init(&b), 0);
    for (size_t i = 0; i < BH_COUNT(times); i++) {
        struct hour *h = bins_at(&b, times[i]);
        assert_true(h->first_frame_ns == times[i]);
        assert_true(b.current_start_ns <= times[i] && times[i] <= b.current_end_ns);
    }
    assert_int_equal(b.used, BH_COUNT(times));
    bins_done(&b);
}

/* ---- the tally: sources by hour, day and week ---------------------------------------------------- */

/* One bit for each of 64 sources: who was there. */
static void
test_sources_by_time(void **state)
{
    (void)state;
    enum { HOURS = 24 * 40, ROWS = 60000 };
    static uint64_t by_hour[HOURS], by_day[HOURS / 24 + 1], by_week[HOURS / 168 + 2];
    static const char *const zones[] = { "UTC", "Asia/Tokyo", "Asia/Kolkata" };
    for (size_t z = 0; z < BH_COUNT(zones); z++) {
        struct bh_tally_config cfg = lab_config();
        struct lab l;
        uint64_t seed = 5;
        memset(by_hour, 0, sizeof by_hour);
        memset(by_day, 0, sizeof by_day);
        memset(by_week, 0, sizeof by_week);
        assert_int_equal(bh_zone_set(zones[z], NULL), 0);
        /* A local Monday at midnight. */
        int64_t start = bh_zone_day_start((START / SEC + 86400 * 9) / 86400 / 7 * 7 + 4);
        assert_int_equal(bh_zone_civil(start).weekday, 0);
        cfg.start_ns = start * SEC;
        lab_open(&l, &cfg, false);
        for (int64_t i = 0; i < ROWS; i++) {
            int64_t at = start * SEC + i * (HOURS * HOUR / ROWS);
            uint32_t who = random_below(&seed, 64) & random_below(&seed, 64); /* some come often */
            struct row r = tcp_row(at, "20.0.0.1", 1, US, 22, BH_TCP_SYN);
            if (who < 32) {
                r.src = bh_ip_from_v4(0x14000000 + who);
            } else {
                r.src = bh_ip_from_v6(0x2a00001400000000ULL, who);
                r.dst = ip_of(US6);
            }
            lab_put(&l, &r, BH_DIR_IN, BH_CLASS_ACCESS);
            int64_t hour = (at / SEC - start) / 3600;
            by_hour[hour] |= 1ULL << who;
            by_day[hour / 24] |= 1ULL << who;
            by_week[hour / 168] |= 1ULL << who;
        }
        lab_flush(&l);
        const struct bins *b = &l.tally->bins;
        uint64_t days[HOURS / 24 + 1] = { 0 }, weeks[HOURS / 168 + 2] = { 0 }, count = 0;
        assert_int_equal(b->used, HOURS);
        for (uint32_t i = 0; i < b->used; i++) {
            int64_t hour = (bins_hour_start_ns(b->hour[i].id) / SEC - start) / 3600;
            assert_int_equal(b->hour[i].sources, __builtin_popcountll(by_hour[hour]));
            days[hour / 24] += b->hour[i].day_sources;
            weeks[hour / 168] += b->hour[i].week_sources;
            count += b->hour[i].count;
        }
        for (int64_t i = 0; i < HOURS / 24; i++) {
            assert_int_equal(days[i], __builtin_popcountll(by_day[i]));
        }
        for (int64_t i = 0; i < HOURS / 168; i++) {
            assert_int_equal(weeks[i], __builtin_popcountll(by_week[i]));
        }
        assert_int_equal(count, ROWS);
        lab_close(&l);
    }
    assert_int_equal(bh_zone_set("UTC", NULL), 0);
}

/* A clock gone wrong must not bring the tally down, nor lose the access. */
static void
test_ends_of_time(void **state)
{
    (void)state;
    static const int64_t times[] = { INT64_MIN, INT64_MIN / 2, INT64_MIN / 2 + 1, -1,           0,
                                     1,         INT64_MAX / 2, INT64_MAX / 2 + 1, INT64_MAX - 1 };
    for (size_t first = 0; first < BH_COUNT(times); first++) {
        struct bh_tally_config cfg = lab_config();
        cfg.start_ns = times[first];
        struct lab l;
        lab_open(&l, &cfg, false);
        for (size_t i = 0; i < BH_COUNT(times); i++) {
            lab_tcp(&l, times[(first + i) % BH_COUNT(times)], "20.0.0.1", 22);
            lab_flush(&l); /* each begins a batch */
        }
        for (size_t i = 0; i < BH_COUNT(times); i++) {
            lab_udp(&l, times[(first + i) % BH_COUNT(times)], "2a00:15::1", 53);
        }
        struct bh_trend_options o = lab_options(&l);
        struct bh_trend *t = lab_trend(&l, &o);
        assert_int_equal(t->accesses, 2 * BH_COUNT(times));
        uint64_t sum = 0;
        for (size_t i = 0; i < t->bin_count; i++) {
            sum += t->bins[i].count;
        }
        assert_int_equal(sum, t->accesses);
        assert_true(t->start_ns == times[0] && t->end_ns == times[BH_COUNT(times) - 1]);
        bh_trend_free(t);
        lab_close(&l);
    }
}

/* ---- health.layers ----------------------------------------------------------------------------------- */

static void
test_layers(void **state)
{
    (void)state;
    struct bh_tally_config cfg = lab_config();
    struct lab l;
    lab_open(&l, &cfg, false);
    static const unsigned bits[] = { 0,    1,   3, 8, 9, 0x1ff, BH_LAYER_CUT | 2, 0x8000 | 1 | 4,
                                     0x10, 0x40 };
    uint64_t want[BH_LAYER_COUNT] = { 0 }, cut = 0, frames = 0;
    for (unsigned k = 0; k < 3000; k++) {
        struct row r = tcp_row(START + k, "20.0.0.1", 1, US, 22, BH_TCP_SYN);
        uint32_t i = lab_put(&l, &r, BH_DIR_IN, BH_CLASS_ACCESS);
        unsigned b = bits[k % BH_COUNT(bits)];
        l.batch->layers[i] = (uint16_t)b;
        for (unsigned n = 0; n < BH_LAYER_COUNT; n++) {
            want[n] += b >> n & 1;
        }
        cut += (b & BH_LAYER_CUT) != 0;
        frames++;
    }
    for (unsigned k = 0; k < 10; k++) {
        uint32_t i = row_add_frame(l.batch, START + HOUR, k % 2 == 0);
        l.batch->cls[i] = k % 2 == 0 ? BH_CLASS_ARP : BH_CLASS_NONE;
        want[6] += k % 2 == 0;
        frames++;
    }
    struct bh_trend_options o = lab_options(&l);
    struct bh_trend *t = lab_trend(&l, &o);
    assert_memory_equal(t->layers, want, sizeof want);
    assert_int_equal(t->cut_frames, cut);
    assert_int_equal(t->frames, frames);
    assert_int_equal(t->packets, 3000);
    assert_int_equal(t->inbound_packets, 3000);
    assert_int_equal(t->not_accesses[BH_CLASS_ARP], 5);
    assert_int_equal(t->malformed[BH_REASON_NOT_IP], 5);
    assert_int_equal(t->layer_sources, 1);
    assert_int_equal(t->layer_dst_ports, t->cut_frames > 0 ? 1 : 0);
    bh_trend_free(t);
    lab_close(&l);
}

/* Marks and reasons, each only where the record is counted. */
static void
test_marks(void **state)
{
    (void)state;
    struct bh_tally_config cfg = lab_config();
    cfg.period.start_ns = START;
    cfg.period.end_ns = START + 10 * SEC;
    struct lab l;
    lab_open(&l, &cfg, false);
    for (int64_t s = -5; s < 15; s++) {
        struct row r = tcp_row(START + s * SEC, "20.0.0.1", 1, US, 22, BH_TCP_SYN);
        r.marks = BH_MARK_TRUNCATED;
        lab_put(&l, &r, BH_DIR_IN, BH_CLASS_CUT);
        r.marks = BH_MARK_DUPLICATE;
        lab_put(&l, &r, BH_DIR_IN, BH_CLASS_NONE);
        r.marks = BH_MARK_MALFORMED;
        uint32_t i = lab_put(&l, &r, BH_DIR_IN, BH_CLASS_CUT);
        l.batch->reason[i] = s % 2 == 0 ? BH_REASON_TCP_OFFSET : BH_REASON_DEPTH;
    }
    struct row r = tcp_row(0, "20.0.0.1", 1, US, 22, BH_TCP_SYN);
    r.marks = BH_MARK_BAD_TIME; /* its time is 0: outside of the period */
    lab_put(&l, &r, BH_DIR_IN, BH_CLASS_ACCESS);
    struct bh_trend_options o = lab_options(&l);
    struct bh_trend *t = lab_trend(&l, &o);
    assert_int_equal(t->frames, 30);
    assert_int_equal(t->cut_headers, 10);
    assert_int_equal(t->duplicates, 10);
    assert_int_equal(t->malformed[BH_REASON_TCP_OFFSET], 5);
    assert_int_equal(t->malformed[BH_REASON_DEPTH], 5);
    assert_int_equal(t->not_accesses[BH_CLASS_CUT], 20);
    assert_int_equal(t->bad_time, 0);
    assert_int_equal(t->accesses, 0);
    bh_trend_free(t);
    lab_close(&l);

    /* Without a period it counts, but says nothing of first and last. */
    cfg = lab_config();
    lab_open(&l, &cfg, false);
    lab_put(&l, &r, BH_DIR_IN, BH_CLASS_CUT);
    lab_tcp(&l, START + 7, "20.0.0.1", 22);
    o = lab_options(&l);
    t = lab_trend(&l, &o);
    assert_int_equal(t->bad_time, 1);
    assert_int_equal(t->frames, 2);
    assert_true(t->start_ns == START + 7 && t->end_ns == START + 7);
    assert_int_equal(t->bin_count, 1);
    bh_trend_free(t);
    lab_close(&l);
}

/* Distinct outermost addresses, whichever way they went; each once. */
static void
test_own_set(void **state)
{
    (void)state;
    struct bh_tally_config cfg = lab_config();
    struct lab l;
    lab_open(&l, &cfg, false);
    for (uint32_t k = 0; k < 9000; k++) { /* more than the set begins with */
        struct row r = udp_row(START + k, US, 53, "20.0.0.1", 40000);
        if (k % 3 == 0) {
            r.src = bh_ip_from_v4(0x14000000 + k / 3);
            lab_put(&l, &r, BH_DIR_IN, BH_CLASS_ACCESS);
        } else if (k % 3 == 1) {
            r.src = bh_ip_from_v4(0x14000000 + k / 3 + 1500); /* half of them came in, too */
            lab_put(&l, &r, BH_DIR_TRANSIT, BH_CLASS_NONE);
        } else {
            lab_put(&l, &r, BH_DIR_OUT, BH_CLASS_NONE);
        }
    }
    lab_flush(&l);
    for (uint64_t k = 0; k < 100; k++) {
        struct row r = udp_row(START, US6, 53, US6, 40000);
        r.src = bh_ip_from_v6(0x2a00001400000000ULL + k % 10, k / 10);
        lab_put(&l, &r, k % 2 == 0 ? BH_DIR_IN : BH_DIR_LOCAL, BH_CLASS_NONE);
        r.src = bh_ip_from_v6(0x2a00001400000000ULL + k % 10, k / 10 + 5);
        lab_put(&l, &r, BH_DIR_OUT, BH_CLASS_NONE);
    }
    /* 0..2999 inbound, 1500..4499 passing by, one of ours; IPv6: 10 * 15. */
    struct bh_trend_options o = lab_options(&l);
    struct bh_trend *t = lab_trend(&l, &o);
    assert_int_equal(t->layer_sources, 4500 + 1 + 150);
    assert_int_equal(t->layer_dst_ports, 1);
    assert_int_equal(t->packets, 9200);
    assert_int_equal(t->outgoing_packets, 3100);
    bh_trend_free(t);
    lab_close(&l);
}

/* What a tunnel's row says in `seen` counts, not its columns. */
static void
test_seen(void **state)
{
    (void)state;
    struct bh_tally_config cfg = lab_config();
    cfg.period.end_ns = START + SEC;
    struct lab l;
    lab_open(&l, &cfg, false);
    for (unsigned k = 0; k < 4; k++) {
        struct row r = udp_row(START + k * SEC / 3, "20.0.0.1", 1, US, 4789);
        uint32_t i = lab_put(&l, &r, BH_DIR_IN, BH_CLASS_ACCESS);
        struct bh_seen s = { .port = (uint16_t)(80 + k),
                             .port_proto = BH_PROTO_TCP,
                             .src4 = 0x15000000 + k,
                             .src6_hi = 1,
                             .src6_lo = k,
                             .has_src4 = true,
                             .has_src6 = k > 0 };
        s.port_proto = k == 1 ? 0 : s.port_proto;
        bh_batch_set_seen(l.batch, i, &s);
    }
    struct bh_trend_options o = lab_options(&l);
    struct bh_trend *t = lab_trend(&l, &o);
    /* The fourth is outside of the period. */
    assert_int_equal(t->frames, 3);
    assert_int_equal(t->layer_dst_ports, 2);
    assert_int_equal(t->layer_sources, 1 + 3 + 2);
    bh_trend_free(t);
    lab_close(&l);
}

static void
test_dst_ports(void **state)
{
    (void)state;
    struct bh_tally_config cfg = lab_config();
    struct lab l;
    lab_open(&l, &cfg, false);
    static const unsigned ports[] = { 0, 1, 7, 8, 53, 65535 };
    for (unsigned k = 0; k < BH_COUNT(ports); k++) {
        lab_tcp(&l, START, "20.0.0.1", ports[k]);
        lab_udp(&l, START, "20.0.0.1", ports[k]); /* 53/tcp and 53/udp are two */
        lab_udp(&l, START, "20.0.0.2", ports[k]);
    }
    struct row r = tcp_row(START, "20.0.0.1", 1, US, 99, 0);
    r.marks = BH_MARK_NO_PORTS;
    lab_put(&l, &r, BH_DIR_IN, BH_CLASS_CUT);
    r = tcp_row(START, US, 22, "20.0.0.1", 1234, 0); /* of ours, too */
    lab_put(&l, &r, BH_DIR_OUT, BH_CLASS_NONE);
    lab_ping(&l, START, "20.0.0.1");
    struct bh_trend_options o = lab_options(&l);
    struct bh_trend *t = lab_trend(&l, &o);
    assert_int_equal(t->layer_dst_ports, 2 * BH_COUNT(ports) + 1);
    bh_trend_free(t);
    lab_close(&l);
}

/* ---- what is counted: period, filter -------------------------------------------------------------------- */

static void
test_period(void **state)
{
    (void)state;
    struct bh_tally_config cfg = lab_config();
    cfg.period.start_ns = START;
    cfg.period.end_ns = START + DAY;
    struct lab l;
    lab_open(&l, &cfg, false);
    lab_tcp(&l, START - 1, "20.0.0.1", 22);
    lab_tcp(&l, START, "20.0.0.2", 22);
    lab_tcp(&l, START + DAY - 1, "20.0.0.3", 22);
    lab_tcp(&l, START + DAY, "20.0.0.4", 22); /* half-open */
    lab_ping(&l, START - 1, "20.0.0.2");
    struct bh_trend_options o = lab_options(&l);
    struct bh_trend *t = lab_trend(&l, &o);
    assert_int_equal(t->accesses, 2);
    assert_int_equal(t->frames, 2);
    assert_int_equal(t->sources, 2);
    assert_int_equal(t->pings, 0);
    assert_int_equal(t->layer_sources, 2);
    /* The bounds asked for, not what was met. */
    assert_true(t->start_ns == START && t->end_ns == START + DAY);
    const struct bh_trend_place *us = trend_place(t, "US");
    assert_true(us->first_ns == START && us->last_ns == START + DAY - 1);
    bh_trend_free(t);
    lab_close(&l);
}

static struct bh_filter *
filter_of(const char *words)
{
    struct bh_filter *f = NULL;
    struct bh_error err = { 0 };
    if (bh_filter_parse(&words, 1, world.countries, &f, &err) != 0) {
        fail_msg("%s: %s", words, err.text[BH_EN]);
    }
    return f;
}

static void
test_filter(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        unsigned accesses, frames, unknown;
    } cases[] = {
        { "tcp", 2, 2, 0 },
        { "udp", 1, 1, 0 },
        { "country cn", 1, 1, 0 },
        { "not country cn", 2, 3, 0 },
        { "dst port 22", 2, 2, 1 }, /* a ping has no port */
        { "ttl > 5", 0, 0, 4 },     /* a column that was not asked for: absent, not zero */
        { "not ttl > 5", 0, 0, 4 },
        { "tcp or ttl > 5", 2, 2, 2 },
        { "tcp and ttl > 5", 0, 0, 2 },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_tally_config cfg = lab_config();
        struct bh_filter *f = filter_of(cases[i].words);
        cfg.filter = f;
        cfg.period.start_ns = START; /* what lies outside is not asked about */
        struct lab l;
        lab_open(&l, &cfg, false);
        lab_tcp(&l, START - 1, "20.0.0.1", 22);
        lab_tcp(&l, START, "20.0.0.1", 22);
        lab_tcp(&l, START, "21.0.0.1", 22);
        lab_udp(&l, START, "20.0.0.1", 53);
        lab_ping(&l, START, "20.0.0.1");
        struct bh_trend_options o = lab_options(&l);
        struct bh_trend *t = lab_trend(&l, &o);
        if (t->accesses != cases[i].accesses || t->frames != cases[i].frames ||
            t->filter_unknown != cases[i].unknown) {
            fail_msg("%s: %u accesses of %u frames, %u unknown", cases[i].words,
                     (unsigned)t->accesses, (unsigned)t->frames, (unsigned)t->filter_unknown);
        }
        bh_trend_free(t);
        lab_close(&l);
        bh_filter_free(f);
    }
}

/* ---- --count -------------------------------------------------------------------------------------------- */

static void
put_units(struct lab *l)
{
    for (unsigned k = 0; k < 30; k++) {
        struct row r = tcp_row(START + k, "20.0.0.1", 1, US, 22, BH_TCP_SYN);
        r.src.octets[3] = (uint8_t)(1 + k % 3);
        r.payload = (uint16_t)(k * 10);
        lab_put(l, &r, BH_DIR_IN, k < 20 ? BH_CLASS_ACCESS : BH_CLASS_TCP_IN_FLOW);
        r.dport = 80;
        lab_put(l, &r, BH_DIR_IN, BH_CLASS_TCP_STRAY);
    }
    struct row r = icmp_row(START + HOUR, "21.0.0.1", US, 8, 0); /* without a port */
    r.payload = 1000;
    lab_put(l, &r, BH_DIR_IN, BH_CLASS_ICMP_ECHO_REQUEST);
    r = tcp_row(START + HOUR, US, 22, "21.0.0.1", 1, BH_TCP_ACK); /* not inbound */
    r.payload = 5000;
    lab_put(l, &r, BH_DIR_OUT, BH_CLASS_NONE);
    lab_put(l, &r, BH_DIR_LOCAL, BH_CLASS_LOCAL);
    row_add_frame(l->batch, START + HOUR, true);
}

static void
test_count_units(void **state)
{
    (void)state;
    /* 30 packets to 22 and 80 each: 40 octets, and 10 more each time. */
    const uint64_t bytes = 30 * 40 + 10 * (29 * 30 / 2);
    static const struct {
        enum bh_count_unit unit;
        uint64_t us, cn, port22, port80, first_hour, second_hour;
    } cases[] = {
        { BH_COUNT_ACCESSES, 20, 0, 20, 0, 20, 0 },
        { BH_COUNT_SOURCES, 3, 0, 3, 0, 3, 0 },
        { BH_COUNT_PACKETS, 60, 1, 30, 30, 60, 1 },
        { BH_COUNT_BYTES, 2 * bytes, 1040, bytes, bytes, 2 * bytes, 1040 },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_tally_config cfg = lab_config();
        cfg.count = cases[i].unit;
        struct lab l;
        lab_open(&l, &cfg, false);
        put_units(&l);
        struct bh_trend_options o = lab_options(&l);
        struct bh_trend *t = lab_trend(&l, &o);
        const struct bh_trend_place *us = trend_place(t, "US"), *cn = trend_place(t, "CN");
        const struct bh_trend_port *p22 = trend_port(us, 22, BH_PROTO_TCP),
                                   *p80 = trend_port(us, 80, BH_PROTO_TCP);
        assert_int_equal(us->count, cases[i].us);
        assert_int_equal(cn == NULL ? 0 : cn->count, cases[i].cn);
        assert_int_equal(t->count_total, cases[i].us + cases[i].cn);
        assert_int_equal(p22->count, cases[i].port22);
        assert_int_equal(p80 == NULL ? 0 : p80->count, cases[i].port80);
        assert_int_equal(p22->sources, 3);
        assert_int_equal(us->ports_distinct, cases[i].port80 > 0 ? 2 : 1);
        assert_int_equal(t->bins[0].count, cases[i].first_hour);
        assert_int_equal(t->bins[1].count, cases[i].second_hour);
        assert_int_equal(t->bins[0].sources, 3);
        /* These do not hang on the unit. */
        assert_int_equal(t->accesses, 20);
        assert_int_equal(us->accesses, 20);
        assert_int_equal(us->sources, 3);
        assert_int_equal(us->top_source_count, 7);
        assert_int_equal(t->countries_total, 1);
        assert_int_equal(p22->outcomes[BH_OUTCOME_UNKNOWN], 20);
        bh_trend_free(t);
        lab_close(&l);
    }
}

/* MEANING.md 4: imports that carry flows count with their weight. */
static void
put_weighted(struct lab *l)
{
    static const uint32_t weights[] = { 1, 15, 16, 17, 255, 256, 1000000, 4294967295U };
    for (unsigned k = 0; k < BH_COUNT(weights); k++) {
        struct row r = tcp_row(START + k, "20.0.0.1", 1, US, 22, BH_TCP_SYN);
        r.dport = (uint16_t)(1000 + k);
        uint32_t i = lab_put(l, &r, BH_DIR_IN, BH_CLASS_ACCESS);
        l->batch->weight[i] = weights[k];
        l->batch->ip_len[i] = 100;
        l->batch->outcome[i] = BH_OUTCOME_REFUSED;
    }
    for (unsigned k = 0; k < 3; k++) {
        struct row r = icmp_row(START + 10, "21.0.0.1", US, 8, 0);
        uint32_t i =
            lab_put(l, &r, BH_DIR_IN, k < 2 ? BH_CLASS_ICMP_ECHO_REQUEST : BH_CLASS_ICMP_OTHER);
        l->batch->weight[i] = 50;
        l->batch->ip_len[i] = 84;
    }
    l->batch->has_weight = true;
}

static void
test_weights(void **state)
{
    (void)state;
    const uint64_t sum = 1 + 15 + 16 + 17 + 255 + 256 + 1000000 + 4294967295ULL;
    static const enum bh_count_unit units[] = { BH_COUNT_ACCESSES, BH_COUNT_SOURCES,
                                                BH_COUNT_PACKETS, BH_COUNT_BYTES };
    for (size_t u = 0; u < BH_COUNT(units); u++) {
        struct bh_tally_config cfg = lab_config();
        cfg.count = units[u];
        cfg.hold = true;
        cfg.list_sources = true;
        struct lab l;
        lab_open(&l, &cfg, false);
        put_weighted(&l);
        struct bh_trend_options o = lab_options(&l);
        struct bh_trend *t = lab_trend(&l, &o);
        uint64_t of_unit = units[u] == BH_COUNT_BYTES     ? 100 * sum
                           : units[u] == BH_COUNT_SOURCES ? 1
                                                          : sum;
        const struct bh_trend_place *us = trend_place(t, "US");
        assert_int_equal(t->accesses, sum);
        assert_int_equal(t->tcp_accesses, sum);
        assert_int_equal(us->accesses, sum);
        assert_int_equal(us->count, of_unit);
        assert_int_equal(us->sources, 1);
        assert_int_equal(us->ports_distinct, 8);
        assert_int_equal(t->frames, 11);            /* records */
        assert_int_equal(t->packets, sum + 3 * 50); /* what they stand for */
        assert_int_equal(t->inbound_packets, sum + 3 * 50);
        assert_int_equal(t->pings, 100);
        assert_int_equal(t->ping_sources, 1);
        assert_int_equal(t->not_accesses[BH_CLASS_ICMP_ECHO_REQUEST], 100);
        assert_int_equal(t->not_accesses[BH_CLASS_ICMP_OTHER], 50);
        assert_int_equal(t->listed_count, 1);
        assert_int_equal(t->listed[0].count, sum);
        assert_int_equal(t->listed[0].ports, 8);
        const struct bh_trend_port *p = &us->ports[0];
        if (units[u] != BH_COUNT_SOURCES) {
            assert_int_equal(p->port, 1007);
            assert_int_equal(p->count,
                             units[u] == BH_COUNT_BYTES ? 429496729500ULL : 4294967295ULL);
            assert_int_equal(p->outcomes[BH_OUTCOME_REFUSED], 4294967295ULL);
            assert_int_equal(p->outcomes[BH_OUTCOME_UNKNOWN] + p->outcomes[BH_OUTCOME_SILENT], 0);
            assert_int_equal(us->ports[1].count, units[u] == BH_COUNT_BYTES ? 100000000 : 1000000);
            uint64_t timeline = 0;
            for (size_t i = 0; i < t->bin_count; i++) {
                timeline += t->bins[i].count;
            }
            assert_int_equal(timeline, units[u] == BH_COUNT_ACCESSES  ? sum
                                       : units[u] == BH_COUNT_PACKETS ? sum + 150
                                                                      : 100 * sum + 150 * 84);
        }
        bh_trend_free(t);
        lab_close(&l);
    }
}

/* Every way over a border of a cell's nibble. */
static void
test_weights_carry(void **state)
{
    (void)state;
    for (uint32_t first = 0; first < 18; first++) {
        for (uint32_t second = 1; second < 50; second++) {
            struct cells *c = NULL;
            assert_int_equal(cells_new(first, &c), 0);
            if (first > 0) {
                cell_add(c, 70000, first, 0);
            }
            cell_add(c, 70000, 0, 1);
            cell_add(c, 70000, second, 0);
            assert_int_equal(cell_get(c, 70000, CELL_COUNT), first + second);
            assert_int_equal(cell_get(c, 70000, CELL_SOURCES), 1);
            cells_free(c);
        }
    }
}

/* ---- visits ----------------------------------------------------------------------------------------------- */

static void
test_visits(void **state)
{
    (void)state;
    static struct bh_served served[BH_SERVED_MAX];
    size_t count = 0;
    assert_int_equal(bh_served_parse("443/tcp,25/tcp@home,22@cn+22.0.0.0/9+2a00:14::/32,53/udp@US",
                                     served, BH_SERVED_MAX, &count, NULL),
                     0);
    static const struct {
        const char *src;
        unsigned port;
        bool udp;
        int visit; /* entry of the list; -1: a knock */
    } cases[] = {
        { "20.0.0.1", 443, false, 0 },      { "10.1.2.3", 443, false, 0 },
        { "2a00:15::1", 443, false, 0 },    { "20.0.0.1", 443, true, -1 },
        { "25.0.0.1", 25, false, 1 },       { "2a00:16::1", 25, false, 1 },
        { "20.0.0.1", 25, false, -1 },      { "21.0.0.1", 22, false, 2 },
        { "22.127.255.255", 22, false, 2 }, { "22.128.0.0", 22, false, -1 },
        { "2a00:14::9", 22, false, 2 },     { "2a00:16::9", 22, false, -1 },
        { "25.0.0.1", 22, false, -1 },      { "20.0.0.1", 53, true, 3 },
        { "20.0.0.1", 53, false, -1 },      { "21.0.0.1", 53, true, -1 },
        { "20.0.0.1", 444, false, -1 },     { "20.0.0.9", 443, false, 0 },
    };
    static const enum bh_count_unit units[] = { BH_COUNT_ACCESSES, BH_COUNT_SOURCES,
                                                BH_COUNT_PACKETS };
    for (size_t u = 0; u < BH_COUNT(units); u++) {
        struct bh_tally_config cfg = lab_config();
        cfg.count = units[u];
        cfg.served = served;
        cfg.served_count = count;
        cfg.list_sources = true;
        struct lab l;
        lab_open(&l, &cfg, false);
        uint64_t visits[4] = { 0 }, knocks = 0;
        for (unsigned round = 0; round < 3; round++) {
            for (size_t i = 0; i < BH_COUNT(cases); i++) {
                (cases[i].udp ? lab_udp : lab_tcp)(&l, START + round, cases[i].src, cases[i].port);
                if (cases[i].visit < 0) {
                    knocks++;
                } else {
                    visits[cases[i].visit]++;
                }
            }
        }
        struct bh_trend_options o = lab_options(&l);
        struct bh_trend *t = lab_trend(&l, &o);
        assert_int_equal(t->accesses, 3 * BH_COUNT(cases)); /* visits included */
        assert_int_equal(t->visits_total, 3 * BH_COUNT(cases) - knocks);
        assert_int_equal(t->visit_count, 4);
        static const uint64_t sources[4] = { 4, 2, 3, 1 };
        for (size_t k = 0; k < 4; k++) {
            assert_int_equal(t->visits[k].count, visits[k]);
            assert_int_equal(t->visits[k].sources, sources[k]);
        }
        assert_string_equal(t->visits[0].offered_to, "");
        assert_string_equal(t->visits[2].offered_to, "cn+22.0.0.0/9+2a00:14::/32");
        /* Not in the ranking, whatever is counted: of CN, TW and GB only knocks remain. */
        assert_int_equal(trend_place(t, "CN")->count, units[u] == BH_COUNT_SOURCES ? 1 : 3);
        assert_int_equal(trend_place(t, "TW")->count, units[u] == BH_COUNT_SOURCES ? 1 : 3);
        assert_null(trend_class(t, "private-use"));
        assert_null(trend_port(trend_place(t, "US"), 443, BH_PROTO_TCP));
        assert_int_equal(t->count_total, units[u] == BH_COUNT_SOURCES ? 5 : knocks);
        /* Sources of accesses: those that only visited as well. */
        assert_int_equal(t->sources, 11);
        assert_int_equal(t->bins[0].count, units[u] == BH_COUNT_SOURCES ? 5 : knocks);
        assert_int_equal(t->listed_count, 5);
        bh_trend_free(t);
        lab_close(&l);
    }
}

/* ---- pings --------------------------------------------------------------------------------------------------- */

static void
test_pings(void **state)
{
    (void)state;
    static struct bh_served served[1];
    size_t count = 0;
    assert_int_equal(bh_served_parse("443/tcp", served, 1, &count, NULL), 0);
    static const struct {
        const char *steps; /* p: ping, k: knock, v: visit */
        bool pinged, then;
    } cases[] = {
        { "k", false, false },   { "p", true, false },   { "pk", true, true },
        { "kp", true, false },   { "ppkk", true, true }, { "kpk", true, true },
        { "kpkpk", true, true }, { "pkpk", true, true }, { "pv", true, false },
        { "vpvk", true, true },  { "v", false, false },  { "kkp", true, false },
    };
    struct bh_tally_config cfg = lab_config();
    cfg.served = served;
    cfg.served_count = count;
    struct lab l;
    lab_open(&l, &cfg, false);
    uint64_t pings = 0, pinged = 0, then = 0, knocks = 0, knockers = 0;
    for (unsigned v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < BH_COUNT(cases); i++) {
            char src[32];
            snprintf(src, sizeof src, v6 == 1 ? "2a00:15::%zu" : "20.0.0.%zu", i + 1);
            pinged += cases[i].pinged;
            then += cases[i].then;
            knockers += strchr(cases[i].steps, 'k') != NULL;
            for (const char *s = cases[i].steps; *s != '\0'; s++) {
                if (*s == 'p') {
                    lab_ping(&l, START, src);
                    pings++;
                } else {
                    lab_tcp(&l, START, src, *s == 'k' ? 22 : 443);
                    knocks += *s == 'k';
                }
            }
        }
    }
    struct bh_trend_options o = lab_options(&l);
    struct bh_trend *t = lab_trend(&l, &o);
    assert_int_equal(t->pings, pings);
    assert_int_equal(t->ping_sources, pinged);
    assert_int_equal(t->ping_then_accessed, then);
    assert_int_equal(t->count_total, knocks); /* pings are never in it */
    assert_int_equal(trend_place(t, "US")->sources + trend_place(t, "CN")->sources, knockers);
    assert_int_equal(t->not_accesses[BH_CLASS_ICMP_ECHO_REQUEST], pings);
    bh_trend_free(t);
    lab_close(&l);
}

/* ---- lists of sources ------------------------------------------------------------------------------------------ */

static void
test_listed(void **state)
{
    (void)state;
    static const struct {
        const char *country;
        int port, proto;
        size_t listed;
        uint64_t accesses;
    } cases[] = {
        { "", -1, -1, 1203, 3609 },           { "US", -1, -1, 600, 1800 },
        { "CN", -1, -1, 600, 1800 },          { "", 22, -1, 1203, 2406 },
        { "", 22, BH_PROTO_UDP, 1203, 1203 }, { "US", 23, BH_PROTO_TCP, 600, 600 },
        { "US", 23, BH_PROTO_UDP, 0, 0 },     { "BR", -1, -1, 0, 0 },
    };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        struct bh_tally_config cfg = lab_config();
        cfg.list_sources = true;
        memcpy(cfg.list_country, cases[k].country, strlen(cases[k].country));
        cfg.list_port = cases[k].port;
        cfg.list_proto = cases[k].proto;
        struct lab l;
        lab_open(&l, &cfg, false);
        static const unsigned ports[] = { 22, 22 + 65536, 23 };
        for (unsigned round = 0; round < 3; round++) {
            for (uint32_t i = 0; i < 1203; i++) { /* more than the list begins with */
                struct row r =
                    tcp_row(START + round * HOUR + i, "20.0.0.1", 1, US, ports[round], BH_TCP_SYN);
                r.proto = ports[round] > 65535 ? BH_PROTO_UDP : BH_PROTO_TCP;
                r.src = i < 600    ? bh_ip_from_v4(0x14000000 + i)
                        : i < 1200 ? bh_ip_from_v6(0x2a00001500000000ULL, i)
                                   : bh_ip_from_v4(0xcb007101 + i - 1200); /* neighbours */
                uint32_t at = lab_put(&l, &r, BH_DIR_IN, BH_CLASS_ACCESS);
                l.batch->want = BH_WANT_COLD;
                l.batch->src_mac[at] = 0x020000000000ULL + i;
            }
        }
        struct bh_trend_options o = lab_options(&l);
        struct bh_trend *t = lab_trend(&l, &o);
        assert_int_equal(t->listed_count, cases[k].listed);
        uint64_t sum = 0, near = 0;
        for (size_t i = 0; i < t->listed_count; i++) {
            const struct bh_trend_source *s = &t->listed[i];
            sum += s->count;
            assert_true(i == 0 ||
                        bh_ip_cmp(&t->listed[i - 1].ip, &s->ip) < 0); /* all the same count */
            assert_int_equal(s->ports, s->count);                     /* each time another port */
            assert_true(s->last_ns - s->first_ns <= 2 * HOUR);
            near += s->same_network;
            assert_true((s->mac != 0) == s->same_network); /* of others it is the router's */
            assert_string_equal(s->class_name, s->same_network ? "documentation" : "");
        }
        assert_int_equal(sum, cases[k].accesses);
        assert_int_equal(near, cases[k].listed == 1203 ? 3 : 0);
        bh_trend_free(t);
        lab_close(&l);
    }
}

/* ---- bounds --------------------------------------------------------------------------------------------------------- */

/* Sources beyond the table: everything is counted all the same, only what is kept per source is
 * not; and it is said. */
static void
test_sources_over(void **state)
{
    (void)state;
    enum { N = 1400 };
    struct bh_tally_config cfg = lab_config();
    cfg.shards = 1024; /* 640 sources of IPv4, 160 of IPv6, 6144 pairs */
    struct lab l;
    lab_open(&l, &cfg, false);
    for (unsigned round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < N; i++) {
            struct row r =
                tcp_row(START + round * DAY + i, "20.0.0.1", 1, US, 22 + i % 4, BH_TCP_SYN);
            r.src = bh_ip_from_v4((i % 2 == 0 ? 0x14000000 : 0x15000000) + i * 64);
            lab_put(&l, &r, BH_DIR_IN, BH_CLASS_ACCESS);
            r.src = bh_ip_from_v6(0x2a00001600000000ULL, i);
            r.dst = ip_of(US6);
            lab_put(&l, &r, BH_DIR_IN, i % 10 == 0 ? BH_CLASS_ICMP_ECHO_REQUEST : BH_CLASS_ACCESS);
        }
    }
    struct bh_trend_options o = lab_options(&l);
    struct bh_trend *t = lab_trend(&l, &o);
    assert_int_equal(t->accesses, 2 * (N + N / 10 * 9));
    assert_int_equal(trend_place(t, "US")->accesses, N);
    assert_int_equal(trend_place(t, "US")->sources, N / 2);
    assert_int_equal(trend_place(t, "CN")->sources, N / 2);
    assert_int_equal(trend_place(t, "JP")->sources, N / 10 * 9);
    assert_int_equal(trend_port(trend_place(t, "US"), 22, BH_PROTO_TCP)->sources, N / 4);
    assert_int_equal(trend_port(trend_place(t, "US"), 22, BH_PROTO_TCP)->count, N / 2);
    assert_int_equal(t->pings, 2 * N / 10);
    assert_int_equal(t->sources, N + N / 10 * 9);
    assert_int_equal(t->source_networks, N / 2 + 1); /* two in each /24; one /64 */
    assert_int_equal(t->sources_over, 2 * (N - 640) + 2 * (N - 160));
    assert_false(t->approximate); /* pairs were exact */
    bh_trend_free(t);
    lab_close(&l);
}

/* Pairs beyond the bound: `approximate`, and every count within three sigma. */
static void
test_approximate(void **state)
{
    (void)state;
    enum { N = 60000 };
    static struct bh_served served[2];
    size_t count = 0;
    _Atomic uint64_t total = PAIRS_MAX - 8192;
    const uint32_t frequent[] = { 23 };
    assert_int_equal(bh_served_parse("443/tcp,80/tcp", served, 2, &count, NULL), 0);
    struct bh_tally_config cfg = lab_config();
    cfg.pairs_total = &total;
    cfg.frequent = frequent;
    cfg.frequent_count = 1;
    cfg.served = served;
    cfg.served_count = count;
    struct lab l;
    lab_open(&l, &cfg, false);
    for (unsigned round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < N; i++) {
            static const unsigned ports[] = { 22, 23, 443, 80 };
            for (size_t k = 0; k < BH_COUNT(ports); k++) {
                struct row r = tcp_row(START + i, "20.0.0.1", 1, US, ports[k], BH_TCP_SYN);
                r.src = bh_ip_from_v4(0x14000000 + i);
                if (k < 3 || i % 10 == 0) {
                    lab_put(&l, &r, BH_DIR_IN, BH_CLASS_ACCESS);
                }
            }
        }
    }
    struct bh_trend_options o = lab_options(&l);
    struct bh_trend *t = lab_trend(&l, &o);
    const struct bh_trend_place *us = trend_place(t, "US");
    assert_true(t->approximate);
    assert_true(fabs(t->approximate_error - SIGMA) < 0.0001);
    assert_true(t->pairs_over > 0);
    assert_int_equal(us->accesses, 4 * N); /* counts are exact for ever */
    assert_int_equal(us->sources, N);      /* and what the table of sources knows */
    assert_int_equal(trend_port(us, 23, BH_PROTO_TCP)->sources, N); /* a bit of each source */
    assert_within(trend_port(us, 22, BH_PROTO_TCP)->sources, N, 3 * SIGMA);
    assert_int_equal(t->visits[0].count, 2 * N);
    assert_within(t->visits[0].sources, N, 3 * SIGMA);
    assert_within(t->visits[1].sources, N / 10, 3 * SIGMA);
    assert_int_equal(l.tally->cells->sketches.cells, 1); /* a sketch for each key, no more */
    bh_trend_free(t);
    lab_close(&l);
}

/* ---- bursts ----------------------------------------------------------------------------------------------------------- */

static void
test_bursts(void **state)
{
    (void)state;
    struct bh_tally_config cfg = lab_config();
    struct lab l;
    lab_open(&l, &cfg, false);
    for (unsigned k = 0; k < 300; k++) {
        if (k < 255) {
            lab_tcp(&l, START + k, "20.0.0.1", 22); /* one too few */
        }
        if (k < 256) {
            lab_udp(&l, START + k, "21.0.0.1", 1469);
        }
        lab_tcp(&l, START + k, "2a00:15::1", 25);
        lab_tcp(&l, START + k, "22.0.0.1", k % 2 == 0 ? 22 : 23);        /* two ports */
        (k % 2 == 0 ? lab_tcp : lab_udp)(&l, START + k, "23.0.0.1", 53); /* two protocols */
    }
    for (unsigned k = 0; k < 400; k++) { /* the hour ends in the middle */
        lab_tcp(&l, START + HOUR - 200 + k, "24.0.0.1", 25);
    }
    for (unsigned k = 0; k < 600; k++) { /* both halves are enough */
        lab_tcp(&l, START + HOUR - 300 + k, "29.0.0.1", 25);
    }
    struct bh_trend_options o = lab_options(&l);
    struct bh_trend *t = lab_trend(&l, &o);
    assert_int_equal(t->burst_count, 4);
    static const struct {
        const char *ip, *code;
        unsigned port, proto, count;
        int64_t hour_ns;
    } want[] = {
        { "29.0.0.1", "GB", 25, BH_PROTO_TCP, 300, START },
        { "2a00:15::1", "CN", 25, BH_PROTO_TCP, 300, START },
        { "29.0.0.1", "GB", 25, BH_PROTO_TCP, 300, START + HOUR },
        { "21.0.0.1", "CN", 1469, BH_PROTO_UDP, 256, START },
    };
    for (size_t i = 0; i < BH_COUNT(want); i++) {
        struct bh_ip ip = ip_of(want[i].ip);
        assert_int_equal(t->bursts[i].count, want[i].count);
        assert_int_equal(bh_ip_cmp(&t->bursts[i].ip, &ip), 0);
        assert_string_equal(t->bursts[i].code, want[i].code);
        assert_int_equal(t->bursts[i].port, want[i].port);
        assert_int_equal(t->bursts[i].proto, want[i].proto);
        assert_true(t->bursts[i].hour_ns == want[i].hour_ns);
    }
    bh_trend_free(t);
    lab_close(&l);
}

/* More bursts than there is room for: the largest stay, whatever came first, in one tally and
 * in two that are merged. */
static void
test_bursts_largest(void **state)
{
    (void)state;
    for (unsigned tallies = 1; tallies <= 2; tallies++) {
        for (int reverse = 0; reverse < 2; reverse++) {
            struct bh_tally_config cfg = lab_config();
            struct lab l[2];
            lab_open(&l[0], &cfg, false);
            cfg.first = l[0].tally;
            lab_open(&l[1], &cfg, false);
            for (unsigned s = 0; s < 100; s++) {
                unsigned who = reverse ? 99 - s : s;
                for (unsigned k = 0; k < 256 + who; k++) {
                    struct row r = tcp_row(START + k, "20.0.0.1", 1, US, 22, BH_TCP_SYN);
                    r.src.octets[3] = (uint8_t)who;
                    lab_put(&l[who >= 40 && tallies == 2], &r, BH_DIR_IN, BH_CLASS_ACCESS);
                }
            }
            for (unsigned s = 0; s < 100; s++) { /* the next hour: bursts are settled now */
                struct row r = tcp_row(START + HOUR, "20.0.0.1", 1, US, 22, BH_TCP_SYN);
                r.src.octets[3] = (uint8_t)s;
                lab_put(&l[s >= 40 && tallies == 2], &r, BH_DIR_IN, BH_CLASS_ACCESS);
            }
            lab_flush(&l[1]);
            lab_flush(&l[0]);
            assert_int_equal(bh_tally_merge(l[0].tally, l[1].tally), 0);
            l[1].tally = NULL;
            struct bh_trend_options o = lab_options(&l[0]);
            struct bh_trend *t = lab_trend(&l[0], &o);
            assert_int_equal(t->burst_count, 16);
            for (unsigned i = 0; i < 16; i++) {
                assert_int_equal(t->bursts[i].count, 256 + 99 - i);
                assert_int_equal(t->bursts[i].ip.octets[3], 99 - i);
            }
            bh_trend_free(t);
            lab_close(&l[0]);
            lab_close(&l[1]);
        }
    }
}

/* ---- outcomes ------------------------------------------------------------------------------------------------------------ */

/* What was not answered until the view became two-sided is unknown, what is not answered after
 * it is silent; moves take back. */
static void
test_two_sided(void **state)
{
    (void)state;
    struct bh_tally_config cfg = lab_config();
    struct lab l;
    lab_open(&l, &cfg, false);
    struct bh_ip us = ip_of("20.0.0.1");
    uint16_t place = lab_place(&l, &us);
    for (unsigned k = 0; k < 100; k++) {
        lab_tcp(&l, START + k, "20.0.0.1", 22);
        lab_udp(&l, START + k, "20.0.0.1", 22);
    }
    lab_flush(&l);
    bh_tally_two_sided(&l.tally, 1);
    bh_tally_two_sided(&l.tally, 1); /* once is enough */
    for (unsigned k = 0; k < 50; k++) {
        lab_tcp(&l, START + k, "20.0.0.1", 22);
    }
    l.moves[l.move_count++] =
        (struct bh_move){ place, 22, BH_OUTCOME_UNKNOWN, BH_OUTCOME_NONE, 30 };
    l.moves[l.move_count++] =
        (struct bh_move){ place, 22, BH_OUTCOME_NONE, BH_OUTCOME_HALF_OPEN, 20 };
    lab_flush(&l);
    l.moves[l.move_count++] =
        (struct bh_move){ place, 22, BH_OUTCOME_HALF_OPEN, BH_OUTCOME_COMPLETE, 17 };
    struct bh_trend_options o = lab_options(&l);
    struct bh_trend *t = lab_trend(&l, &o);
    const struct bh_trend_port *p = trend_port(trend_place(t, "US"), 22, BH_PROTO_TCP);
    assert_int_equal(p->count, 150);
    assert_int_equal(p->outcomes[BH_OUTCOME_UNKNOWN], 70);
    assert_int_equal(p->outcomes[BH_OUTCOME_HALF_OPEN], 3);
    assert_int_equal(p->outcomes[BH_OUTCOME_COMPLETE], 17);
    assert_int_equal(p->outcomes[BH_OUTCOME_SILENT], 60);
    p = trend_port(trend_place(t, "US"), 22, BH_PROTO_UDP);
    for (unsigned k = 0; k < BH_OUTCOME_COUNT; k++) {
        assert_int_equal(p->outcomes[k], 0); /* of TCP only */
    }
    bh_trend_free(t);
    lab_close(&l);
}

/* ---- --served ------------------------------------------------------------------------------------------------------------- */

static void
test_served_parse(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "443/icmp",
        "tcp",
        "65536",
        "443/",
        "443,",
        ",443",
        "443/tcp@",
        "443/tcp@XX",
        "443/tcp@jpn",
        "443@1.2.3.4/33",
        "443@1.2.3.4/",
        "443@jp+",
        "443@+jp",
        "443/tcp/tcp",
        "-1",
        "443 ",
        "443@2001:db8::/129",
        "443@1.2.3.4/-1",
        "443@1.2.3.4/1x",
    };
    struct bh_served s[4];
    size_t n = 0;
    for (size_t i = 0; i < BH_COUNT(bad); i++) {
        struct bh_error err = { 0 };
        if (bh_served_parse(bad[i], s, 4, &n, &err) == 0) {
            fail_msg("'%s' was taken", bad[i]);
        }
        assert_true(err.text[BH_EN][0] != '\0' && err.text[BH_JA][0] != '\0');
    }
    assert_int_not_equal(bh_served_parse("1,2,3,4,5", s, 4, &n, NULL), 0);
    assert_int_equal(bh_served_parse("1,2,3,65535", s, 4, &n, NULL), 0);
    assert_int_equal(n, 4);
    assert_int_equal(s[3].port, 65535);
    assert_int_equal(s[3].proto, BH_PROTO_TCP);
    assert_true(s[3].to_all);
    assert_int_equal(bh_served_parse("0/udp@home+jp+De+192.0.2.0/24+2001:db8::1", s, 4, &n, NULL),
                     0);
    assert_int_equal(n, 1);
    assert_true(s[0].port == 0 && s[0].proto == BH_PROTO_UDP && !s[0].to_all &&
                s[0].to_home_country);
    assert_int_equal(s[0].code_count, 2);
    assert_string_equal(s[0].codes[0], "JP");
    assert_string_equal(s[0].codes[1], "DE");
    assert_int_equal(s[0].net_count, 2);
    assert_int_equal(s[0].nets[0].prefix_len, 24);
    assert_int_equal(s[0].nets[1].prefix_len, 128);
    assert_string_equal(s[0].offered_to, "home+jp+De+192.0.2.0/24+2001:db8::1");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_map_smallest),
        cmocka_unit_test(test_cells_carry),
        cmocka_unit_test(test_cell_of),
        cmocka_unit_test(test_cells_outcomes),
        cmocka_unit_test(test_cells_borrow),
        cmocka_unit_test(test_cells_unknown),
        cmocka_unit_test(test_digits_few_and_many),
        cmocka_unit_test(test_digits_wide),
        cmocka_unit_test(test_sources_grow),
        cmocka_unit_test(test_sources_zero),
        cmocka_unit_test(test_sources_full),
        cmocka_unit_test(test_pairs_bound),
        cmocka_unit_test(test_pairs_exact),
        cmocka_unit_test(test_sketches),
        cmocka_unit_test(test_sketches_order),
        cmocka_unit_test(test_sketches_full),
        cmocka_unit_test(test_bins_hours),
        cmocka_unit_test(test_bins_days),
        cmocka_unit_test(test_bins_again),
        cmocka_unit_test(test_bins_half_hours),
        cmocka_unit_test(test_bins_ends),
        cmocka_unit_test(test_sources_by_time),
        cmocka_unit_test(test_ends_of_time),
        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_own_set),
        cmocka_unit_test(test_seen),
        cmocka_unit_test(test_dst_ports),
        cmocka_unit_test(test_period),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_count_units),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_weights_carry),
        cmocka_unit_test(test_visits),
        cmocka_unit_test(test_pings),
        cmocka_unit_test(test_listed),
        cmocka_unit_test(test_sources_over),
        cmocka_unit_test(test_approximate),
        cmocka_unit_test(test_bursts),
        cmocka_unit_test(test_bursts_largest),
        cmocka_unit_test(test_two_sided),
        cmocka_unit_test(test_served_parse),
    };
    return cmocka_run_group_tests(tests, world_open, world_close);
}
