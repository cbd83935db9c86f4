/* SPDX-License-Identifier: BSD-2-Clause */
/* Several sensors: their names, when they saw nothing, where their logs are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../lib/store/sensors_priv.h"

#define HOUR 3600000000000LL

/* ---- silences: in hours ------------------------------------------------------------------------- */

struct span {
    int start, end;
};
struct run_case {
    int first, last;
    bool no_edges;
    struct span silence[3];
};
static const struct {
    const char *name;
    struct run_case runs[3];
    size_t count;
    struct span expected[4];
} cases[] = {
    { "one run keeps its own",
      { { 0, 100, false, { { 10, 20 }, { 50, 52 } } } },
      1,
      { { 10, 20 }, { 50, 52 } } },
    { "shorter than two hours", { { 0, 100, false, { { 10, 11 } } } }, 1, { { 0, 0 } } },
    { "another one was there",
      { { 0, 100, false, { { 10, 20 } } }, { 0, 100, false, { { 0, 0 } } } },
      2,
      { { 0, 0 } } },
    { "both were silent for a while",
      { { 0, 100, false, { { 10, 20 } } }, { 0, 100, false, { { 15, 30 } } } },
      2,
      { { 15, 20 } } },
    { "both, but too short",
      { { 0, 100, false, { { 10, 20 } } }, { 0, 100, false, { { 19, 30 } } } },
      2,
      { { 0, 0 } } },
    { "one long, several short ones in it",
      { { 0, 100, false, { { 10, 50 } } },
        { 0, 100, false, { { 12, 14 }, { 20, 30 }, { 45, 60 } } } },
      2,
      { { 12, 14 }, { 20, 30 }, { 45, 50 } } },
    { "one after the other",
      { { 0, 10, false, { { 0, 0 } } }, { 50, 60, false, { { 0, 0 } } } },
      2,
      { { 10, 50 } } },
    { "a silence while the other has not begun",
      { { 0, 100, false, { { 10, 20 } } }, { 50, 60, false, { { 0, 0 } } } },
      2,
      { { 10, 20 } } },
    { "one that was not watched for silences before its first record",
      { { 0, 100, false, { { 10, 20 } } }, { 50, 60, true, { { 0, 0 } } } },
      2,
      { { 0, 0 } } },
    { "what is before the first record is none",
      { { 30, 100, false, { { 10, 35 } } } },
      1,
      { { 0, 0 } } },
    { "three",
      { { 0, 100, false, { { 10, 40 } } },
        { 0, 100, false, { { 15, 30 } } },
        { 25, 100, false, { { 26, 35 } } } },
      3,
      { { 15, 25 }, { 26, 30 } } },
};

static void
silences(void **state)
{
    (void)state;
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        struct run_silences runs[3];
        struct bh_store_silence spans[3][3], got[8];
        size_t expected = 0;
        for (size_t r = 0; r < cases[k].count; r++) {
            const struct run_case *c = &cases[k].runs[r];
            runs[r] =
                (struct run_silences){ spans[r], 0, c->first * HOUR, c->last * HOUR, !c->no_edges };
            for (; runs[r].count < 3 && c->silence[runs[r].count].end > 0; runs[r].count++) {
                const struct span *s = &c->silence[runs[r].count];
                spans[r][runs[r].count] =
                    (struct bh_store_silence){ s->start * HOUR, s->end * HOUR };
            }
        }
        while (cases[k].expected[expected].end > 0) {
            expected++;
        }
        const uint32_t n = silences_meet(runs, cases[k].count, 2 * HOUR, got, BH_COUNT(got));
        if (n != expected) {
            fail_msg("%s: %u silences", cases[k].name, n);
        }
        for (uint32_t i = 0; i < n; i++) {
            if (got[i].start_ns != cases[k].expected[i].start * HOUR ||
                got[i].end_ns != cases[k].expected[i].end * HOUR) {
                fail_msg("%s: %lld to %lld", cases[k].name, (long long)(got[i].start_ns / HOUR),
                         (long long)(got[i].end_ns / HOUR));
            }
        }
        assert_int_equal(silences_meet(runs, cases[k].count, 2 * HOUR, got, 0), 0);
    }
    assert_int_equal(silences_meet(NULL, 0, 2 * HOUR, NULL, 0), 0);
}

/* ---- names ---------------------------------------------------------------------------------------- */

static void
names(void **state)
{
    (void)state;
    static const struct {
        const char *said[4]; /* by the runs; NULL ends */
        const char *dir[4];
        const char *expected[4];
    } lists[] = {
        { { "tokyo1" }, { "/no/log" }, { "tokyo1" } },
        { { "" }, { "/no/such/osaka" }, { "osaka" } },
        { { "", "" }, { "/no/a/log", "/no/b/log" }, { "a/log", "b/log" } },
        { { "", "", "" },
          { "/no/a/log", "/no/b/log", "/no/b/other" },
          { "a/log", "b/log", "other" } },
        { { "", "" }, { "/no/a/log", "/no/a/log" }, { "log", "log" } },
        { { "x", "" }, { "/no/a/log", "/no/a/log" }, { "x", "log" } },
        { { "", "x", "" }, { "/no/a", "/no/a", "/no/c" }, { "a", "x", "c" } },
        { { "two words\033[31m" }, { "/no" }, { "two_words__31m" } },
        { { "" }, { "/no/caf\xc3\xa9 1" }, { "caf___1" } },
        { { "same", "" }, { "/no/a", "/no/same" }, { "same", "same" } },
    };
    for (size_t k = 0; k < BH_COUNT(lists); k++) {
        struct bh_store_run runs[4] = { 0 };
        char *dirs[4];
        struct sensor_names s;
        struct bh_error err;
        size_t n = 0;
        for (; n < 4 && lists[k].said[n] != NULL; n++) {
            snprintf(runs[n].sensor, sizeof runs[n].sensor, "%s", lists[k].said[n]);
            dirs[n] = strdup(lists[k].dir[n]);
        }
        assert_int_equal(sensor_names_init(&s, runs, dirs, n, &err), 0);
        for (size_t i = 0; i < n; i++) {
            assert_string_equal(s.name[s.of_run[i]], lists[k].expected[i]);
            free(dirs[i]);
        }
        for (size_t i = 1; i < s.count; i++) {
            assert_true(strcmp(s.name[i - 1], s.name[i]) < 0);
        }
        sensor_names_done(&s);
    }
}

static void
too_many(void **state)
{
    (void)state;
    struct bh_store_run *runs = calloc(BH_STORE_SENSORS_MAX + 1, sizeof *runs);
    char *dirs[BH_STORE_SENSORS_MAX + 1];
    for (size_t k = 0; k <= BH_STORE_SENSORS_MAX; k++) {
        snprintf(runs[k].sensor, sizeof runs[k].sensor, "s%zu", k);
        dirs[k] = NULL;
    }
    for (size_t more = 0; more < 2; more++) {
        struct sensor_names s;
        struct bh_error err = { 0 };
        assert_int_equal(sensor_names_init(&s, runs, dirs, BH_STORE_SENSORS_MAX + more, &err),
                         more == 0 ? 0 : BH_ELIMIT);
        sensor_names_done(&s);
    }
    free(runs);
}

/* ---- records of several logs ------------------------------------------------------------------------ */

static char base[64];

static int
new_base(void **state)
{
    (void)state;
    snprintf(base, sizeof base, "/tmp/bh-sensors-XXXXXX");
    return mkdtemp(base) == NULL;
}

static int
drop_base(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", base);
    return system(command);
}

/* `count` records, one every `step` hours. */
static void
write_log(const char *name, const char *sensor, int first, int step, uint32_t count)
{
    char dir[128];
    snprintf(dir, sizeof dir, "%s/%s", base, name);
    struct bh_store_writer_config cfg = { .dir = dir };
    struct bh_store_sums sums = { 0 };
    struct bh_store_writer *w;
    struct bh_error err;
    struct bh_batch *b = bh_batch_new();
    snprintf(cfg.run.sensor, sizeof cfg.run.sensor, "%s", sensor);
    assert_int_equal(bh_store_writer_open(&cfg, &w, &err), 0);
    for (uint32_t i = 0; i < count; i++) {
        b->ts_ns[i] = (first + step * (int)i) * HOUR;
        b->kind[i] = BH_KIND_IP4;
        b->src[i] = 0x01020300 + i;
        b->rows++;
        if (i > 0 && step >= 2) {
            sums.silence[sums.silence_count++] =
                (struct bh_store_silence){ b->ts_ns[i - 1], b->ts_ns[i] };
        }
    }
    assert_int_equal(bh_store_write(w, b, &err), 0);
    bh_store_settle(w, count, NULL, NULL);
    assert_int_equal(bh_store_writer_close(w, &sums, &err), 0);
    bh_batch_free(b);
}

static struct bh_store *
open_all(struct bh_store_paths *p)
{
    struct bh_store *s;
    struct bh_error err;
    assert_int_equal(bh_store_find_logs(base, p), 0);
    assert_int_equal(bh_store_open((const char *const *)p->path, p->count, &s, &err), 0);
    return s;
}

static void
rows_have_sensors(void **state)
{
    (void)state;
    struct bh_store_paths p = { 0 };
    char deep[128];
    snprintf(deep, sizeof deep, "%s/region", base);
    assert_int_equal(mkdir(deep, 0700), 0);
    write_log("kyoto", "", 0, 1, 100);
    write_log("region/osaka", "", 10, 3, 30);
    write_log("named", "nara", 1000, 1, 5);
    write_log(".hidden", "", 0, 1, 5);
    struct bh_store *s = open_all(&p);
    assert_int_equal(p.count, 3);
    assert_int_equal(bh_store_sensor_count(s), 3);
    struct bh_store_query q = { .start_ns = INT64_MIN, .end_ns = INT64_MAX, .want = BH_STORE_ALL };
    struct bh_batch *b = bh_batch_new();
    struct bh_error err;
    uint32_t count[3] = { 0 }, batches = 0;
    int64_t last = INT64_MIN;
    assert_int_equal(bh_store_read_begin(s, &q, &err), 0);
    while (bh_store_read(s, b, &err) == 1) {
        batches++;
        for (uint32_t i = 0; i < b->rows; i++) {
            const char *name = b->sensor_names[b->sensor[i]];
            const int hour = (int)(b->ts_ns[i] / HOUR);
            count[b->sensor[i]]++;
            assert_true(b->ts_ns[i] >= last);
            last = b->ts_ns[i];
            assert_true(hour < 1000 || strcmp(name, "nara") == 0);
            /* Which row of its sensor it is stands in its address. */
            assert_int_equal(strcmp(name, "kyoto") == 0   ? hour
                             : strcmp(name, "osaka") == 0 ? (hour - 10) / 3
                                                          : hour - 1000,
                             b->src[i] & 0xff);
        }
    }
    assert_int_equal(count[0], 100); /* in order of their names */
    assert_int_equal(count[1], 5);
    assert_int_equal(count[2], 30);
    assert_true(batches <= 3); /* rows that take turns still make full batches */
    bh_batch_free(b);
    bh_store_close(s);
    bh_store_paths_done(&p);
}

static void
silences_of_sensors(void **state)
{
    (void)state;
    struct bh_store_paths p = { 0 };
    struct bh_store_silence got[BH_STORE_SILENCES_MAX];
    int64_t first, last;
    write_log("a", "", 0, 1, 100);
    write_log("b", "", 10, 3, 30);
    write_log("c", "b", 200, 1, 10);
    struct bh_store *s = open_all(&p);
    assert_int_equal(bh_store_silences(s, 0, 2 * HOUR, got, BH_COUNT(got)), 0);
    assert_int_equal(bh_store_silences(s, 1, 2 * HOUR, got, BH_COUNT(got)), 30);
    assert_int_equal(got[29].start_ns, 97 * HOUR);
    assert_int_equal(got[29].end_ns, 200 * HOUR);
    assert_int_equal(bh_store_silences(s, BH_STORE_SENSORS_MAX, 2 * HOUR, got, BH_COUNT(got)), 1);
    assert_int_equal(got[0].start_ns, 99 * HOUR);
    assert_int_equal(got[0].end_ns, 200 * HOUR);
    bh_store_sensor_times(s, 1, &first, &last);
    assert_int_equal(first, 10 * HOUR);
    assert_int_equal(last, 209 * HOUR);
    bh_store_close(s);
    bh_store_paths_done(&p);
}

static void
folders_without_logs(void **state)
{
    (void)state;
    struct bh_store_paths p = { 0 };
    assert_int_equal(bh_store_find_logs(base, &p), 0);
    assert_int_equal(bh_store_find_logs("/no/such/folder", &p), 0);
    assert_int_equal(bh_store_find_logs("", &p), 0);
    assert_int_equal(p.count, 0);
    bh_store_paths_done(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silences),
        cmocka_unit_test(names),
        cmocka_unit_test(too_many),
        cmocka_unit_test_setup_teardown(rows_have_sensors, new_base, drop_base),
        cmocka_unit_test_setup_teardown(silences_of_sensors, new_base, drop_base),
        cmocka_unit_test_setup_teardown(folders_without_logs, new_base, drop_base),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
