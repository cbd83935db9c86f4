/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_live: a database replaced under those who look up in it. The same source is built a
 * second time with ThreadSanitizer (test_kobold_pin_tsan).
 */
#include "test_kobold_util.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define RELOADS 1000

/* Two databases as files, which answer differently, and the name that is one or the other. */
static char folder[64], files[2][96], current[96];
static const char *const texts[2] = { "8.0.0.0/8,US\n2001:200::/32,US\n",
                                      "8.0.0.0/8,JP\n2001:200::/32,JP\n" };

static int
setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/beholder-pin-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(current, sizeof current, "%s/current.kdb", folder);
    for (int i = 0; i < 2; i++) {
        struct made m = make(texts[i]);
        struct bh_error err;
        snprintf(files[i], sizeof files[i], "%s/%d.kdb", folder, i);
        if (bh_file_replace(files[i], m.data, m.size, &err) < 0) {
            return -1;
        }
        unmake(&m);
    }
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        unlink(files[i]);
    }
    unlink(current);
    return rmdir(folder);
}

/* As an update does it: another file takes the name, in one step. */
static int
put(int which)
{
    char other[128];
    snprintf(other, sizeof other, "%s/new.kdb", folder);
    if (link(files[which], other) < 0 || rename(other, current) < 0) {
        return -1;
    }
    unlink(other); /* of two names of one file rename() makes no one */
    return 0;
}

static const char *
country(const kobold *k)
{
    static struct kobold_value v;
    assert_true(kobold_value_info(k, kobold_v4(k, 0x08080808), &v));
    return v.code;
}

/* How many databases of ours this process has mapped. */
static int
mapped(void)
{
    char line[512];
    int count = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        count += strstr(line, folder) != NULL;
    }
    fclose(f);
    return count;
}

static bool
can_count_maps(void)
{
    kobold *k;
    if (access("/proc/self/maps", R_OK) != 0 || kobold_open(files[0], &k) < 0) {
        return false;
    }
    int count = mapped();
    kobold_close(k);
    return count == 1 && mapped() == 0;
}

static void
the_old_map_goes_with_its_last_pin(void **state)
{
    (void)state;
    kobold_live *live;
    if (!can_count_maps()) {
        skip();
        return;
    }
    assert_int_equal(put(0), 0);
    assert_int_equal(kobold_live_open(current, &live), 0);
    const kobold *first = kobold_take(live);
    const kobold *again = kobold_take(live);
    assert_ptr_equal(first, again);
    assert_string_equal(country(first), "US");

    assert_int_equal(put(1), 0);
    assert_int_equal(kobold_live_reload(live), 0);
    const kobold *second = kobold_take(live);
    assert_string_equal(country(second), "JP");
    assert_string_equal(country(first), "US");
    assert_int_equal(mapped(), 2);
    kobold_give(first);
    assert_string_equal(country(again), "US");
    assert_int_equal(mapped(), 2);
    kobold_give(again);
    assert_int_equal(mapped(), 1);

    /* Given back while current, it stays; replaced when nobody has it, it goes at once. */
    kobold_give(second);
    assert_int_equal(mapped(), 1);
    assert_int_equal(kobold_live_reload(live), 0);
    assert_int_equal(mapped(), 1);
    kobold_live_close(live);
    assert_int_equal(mapped(), 0);
}

static void
the_old_one_stays_when_the_new_one_cannot_be_used(void **state)
{
    (void)state;
    static const struct {
        const char *what, *octets;
        int code;
    } cases[] = {
        { "gone", NULL, -ENOENT },
        { "empty", "", KOBOLD_EFORMAT },
        { "no database", "GIF89a, no database", KOBOLD_EFORMAT },
        { "cut", "\x89KDB\r\n\x1a\n\x01", KOBOLD_EDAMAGED },
    };
    kobold_live *live;
    assert_int_equal(put(0), 0);
    assert_int_equal(kobold_live_open(current, &live), 0);
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        unlink(current);
        if (cases[i].octets != NULL) {
            FILE *f = fopen(current, "w");
            assert_non_null(f);
            fputs(cases[i].octets, f);
            fclose(f);
        }
        if (kobold_live_reload(live) != cases[i].code) {
            fail_msg("%s", cases[i].what);
        }
        const kobold *k = kobold_take(live);
        assert_string_equal(country(k), "US");
        kobold_give(k);
    }
    kobold_live_close(live);
    kobold_live *none = NULL;
    assert_int_equal(kobold_live_open("/nowhere/at all.kdb", &none), -ENOENT);
    assert_null(none);
}

static void
handles_are_taken_over(void **state)
{
    (void)state;
    kobold_live *live;
    kobold *k;
    struct made m = make(texts[1]);
    struct made n = make(texts[0]);
    assert_int_equal(kobold_live_new(m.k, &live), 0);
    assert_int_equal(kobold_live_reload(live), -EINVAL);
    assert_int_equal(kobold_open_memory(n.data, n.size, &k), 0);
    assert_int_equal(kobold_live_swap(live, k), 0);
    const kobold *taken = kobold_take(live);
    assert_string_equal(country(taken), "US");
    kobold_give(taken);
    kobold_live_close(live);
    m.k = NULL;
    unmake(&m);
    unmake(&n);
    /* What was never in a kobold_live can be given without harm. */
    struct made p = make(texts[0]);
    kobold_give(p.k);
    kobold_give(NULL);
    assert_string_equal(country(p.k), "US");
    unmake(&p);
    kobold_live_close(NULL);
}

/* n - 1, n, n + 1 databases that somebody holds. */
static void
places_run_out_and_come_back(void **state)
{
    (void)state;
    const kobold *held[KOBOLD_LIVE_MAX];
    kobold_live *live;
    assert_int_equal(put(0), 0);
    assert_int_equal(kobold_live_open(current, &live), 0);
    for (int i = 0; i < KOBOLD_LIVE_MAX - 1; i++) {
        held[i] = kobold_take(live);
        assert_int_equal(kobold_live_reload(live), 0);
    }
    held[KOBOLD_LIVE_MAX - 1] = kobold_take(live);
    assert_int_equal(kobold_live_reload(live), -EBUSY);
    assert_int_equal(kobold_live_reload(live), -EBUSY);
    kobold_give(held[17]);
    assert_int_equal(kobold_live_reload(live), 0);
    assert_int_equal(kobold_live_reload(live),
                     -EBUSY); /* the current one, though nobody has it, has its place */
    kobold_give(held[18]);
    assert_int_equal(kobold_live_reload(live), 0);
    assert_int_equal(kobold_live_reload(live), 0); /* the one nobody had is gone */
    for (int i = 0; i < KOBOLD_LIVE_MAX; i++) {
        if (i != 17 && i != 18) {
            assert_string_equal(country(held[i]), "US");
            kobold_give(held[i]);
        }
    }
    kobold_live_close(live);
    if (can_count_maps()) {
        assert_int_equal(mapped(), 0);
    }
}

/* ---- threads ---------------------------------------------------------------------------------- */

struct reader {
    kobold_live *live;
    atomic_bool *is_ending;
    _Atomic(const kobold *) *shelf; /* where readers leave databases for one another to give */
    unsigned rounds, seen[2], bad;
};

/* Everything asked of one database must be one database's answer. */
static int
which(const kobold *k)
{
    enum { N = 64 };
    uint32_t v4[N];
    uint16_t values[N];
    struct kobold_value v;
    for (uint32_t i = 0; i < N; i++) {
        v4[i] = 0x08000000U + i * 0x3ffffU;
    }
    kobold_v4_many(k, v4, values, N);
    uint16_t v6 = kobold_v6(k, 0x2001020000000000U, 1);
    for (int i = 0; i < N; i++) {
        if (values[i] != v6) {
            return -1;
        }
    }
    if (!kobold_value_info(k, v6, &v)) {
        return -1;
    }
    return strcmp(v.code, "US") == 0 ? 0 : strcmp(v.code, "JP") == 0 ? 1 : -1;
}

static void *
read_on(void *arg)
{
    struct reader *r = arg;
    while (!atomic_load(r->is_ending)) {
        const kobold *k = kobold_take(r->live);
        const kobold *more = kobold_take(r->live); /* another one, at times */
        int answer = which(k);
        int answer_more = which(more);
        r->bad += answer < 0 || answer_more < 0;
        r->seen[0] += answer == 0;
        r->seen[1] += answer == 1;
        kobold_give(k);
        /* Given back later, and by whoever comes next. */
        kobold_give(atomic_exchange(r->shelf, more));
        r->rounds++;
    }
    return NULL;
}

static void
reloads_under_readers(void **state)
{
    (void)state;
    struct reader readers[2] = { { 0 } };
    pthread_t threads[2];
    atomic_bool is_ending = false;
    _Atomic(const kobold *) shelf = NULL;
    kobold_live *live;
    int failed = 0;
    assert_int_equal(put(0), 0);
    assert_int_equal(kobold_live_open(current, &live), 0);
    for (int i = 0; i < 2; i++) {
        readers[i] = (struct reader){ .live = live, .is_ending = &is_ending, .shelf = &shelf };
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    for (int i = 0; i < RELOADS; i++) {
        failed += put(i % 2 == 0) < 0;
        failed += kobold_live_reload(live) < 0;
        if (i % 8 == 0) {
            sched_yield(); /* where one processor has to do, readers get a turn */
        }
    }
    atomic_store(&is_ending, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    kobold_give(atomic_load(&shelf));
    for (int i = 0; i < 2; i++) {
        print_message("# reader %d: %u rounds, %u and %u of each database\n", i, readers[i].rounds,
                      readers[i].seen[0], readers[i].seen[1]);
        assert_int_equal(readers[i].bad, 0);
        assert_true(readers[i].rounds > 0);
    }
    assert_int_equal(failed, 0);
    kobold_live_close(live);
    if (can_count_maps()) {
        assert_int_equal(mapped(), 0);
    }
}

struct swapper {
    kobold_live *live;
    const struct made *made;
    int failed;
};

static void *
swap_on(void *arg)
{
    struct swapper *s = arg;
    for (int i = 0; i < RELOADS / 4; i++) {
        kobold *k;
        const kobold *mine = kobold_take(s->live);
        int r = kobold_open_memory(s->made->data, s->made->size, &k);
        s->failed += r < 0 || kobold_live_swap(s->live, k) < 0 || which(mine) < 0;
        kobold_give(mine);
    }
    return NULL;
}

static void
two_threads_replace(void **state)
{
    (void)state;
    struct made made[2] = { make(texts[0]), make(texts[1]) };
    struct swapper swappers[2];
    pthread_t threads[2];
    kobold_live *live;
    assert_int_equal(put(0), 0);
    assert_int_equal(kobold_live_open(current, &live), 0);
    for (int i = 0; i < 2; i++) {
        swappers[i] = (struct swapper){ live, &made[i], 0 };
        assert_int_equal(pthread_create(&threads[i], NULL, swap_on, &swappers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(swappers[i].failed, 0);
    }
    kobold_live_close(live);
    for (int i = 0; i < 2; i++) {
        unmake(&made[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_old_map_goes_with_its_last_pin),
        cmocka_unit_test(the_old_one_stays_when_the_new_one_cannot_be_used),
        cmocka_unit_test(handles_are_taken_over),
        cmocka_unit_test(places_run_out_and_come_back),
        cmocka_unit_test(reloads_under_readers),
        cmocka_unit_test(two_threads_replace),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
