/* SPDX-License-Identifier: BSD-2-Clause */
/* Files one after another: names, bounds, what an earlier run left, and disks that are full. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bh_series.h"

#define SEC 1000000000LL

static char dir[64];

static int
setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/bh-test-series-XXXXXX");
    return mkdtemp(dir) == NULL;
}

static int
teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static const char *
path_of(const char *name)
{
    static char path[4][512];
    static unsigned next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

/* Names in the directory, sorted, joined by blanks. */
static const char *
names(void)
{
    static char text[4096];
    struct dirent **e;
    const int n = scandir(dir, &e, NULL, alphasort);
    text[0] = '\0';
    for (int k = 0; k < n; k++) {
        if (e[k]->d_name[0] != '.') {
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s",
                     *text != '\0' ? " " : "", e[k]->d_name);
        }
        free(e[k]);
    }
    free(e);
    return text;
}

static void
make(const char *name, const char *content)
{
    FILE *f = fopen(path_of(name), "w");
    assert_non_null(f);
    fputs(content, f);
    fclose(f);
}

static off_t
size_of(const char *name)
{
    struct stat st;
    return stat(path_of(name), &st) == 0 ? st.st_size : -1;
}

static struct bh_series *
opened(struct bh_series_config cfg)
{
    struct bh_series *s;
    struct bh_error err = { 0 };
    cfg.mode = cfg.mode != 0 ? cfg.mode : 0600;
    cfg.path = cfg.path != NULL ? cfg.path : path_of("a.log");
    assert_int_equal(bh_series_open(&cfg, &s, &err), 0);
    return s;
}

static void
test_bounds(void **state)
{
    (void)state;
    struct bh_series *s = opened((struct bh_series_config){ .max_bytes = 10, .max_ns = 60 * SEC });
    static const struct {
        int64_t now_ns;
        uint64_t more;
        bool is_due;
    } cases[] = { { 100 * SEC, 5, false },     { 100 * SEC, 6, true },
                  { 160 * SEC - 1, 1, false }, { 160 * SEC, 0, true },
                  { 50 * SEC, 0, false },      { 100 * SEC, UINT64_MAX / 2, true } };
    assert_false(bh_series_is_due(s, 100 * SEC, 100)); /* nothing is written yet */
    assert_string_equal(names(), "");
    assert_int_equal(bh_series_write(s, 100 * SEC, "hello", 5, NULL), 0);
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        assert_int_equal(bh_series_is_due(s, cases[k].now_ns, cases[k].more), cases[k].is_due);
    }
    assert_string_equal(names(), "a.log");
    struct stat st;
    assert_int_equal(stat(path_of("a.log"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(bh_series_finish(s, NULL), 0);
    assert_string_equal(names(), "a-19700101T000140Z.log");
    assert_int_equal(bh_series_finish(s, NULL), 0); /* there is none */
    for (int k = 0; k < 2; k++) {                   /* the same second */
        assert_int_equal(bh_series_write(s, 100 * SEC + 5, "x", 1, NULL), 0);
        assert_int_equal(bh_series_finish(s, NULL), 0);
    }
    bh_series_close(s);
    assert_string_equal(names(),
                        "a-19700101T000140Z-2.log a-19700101T000140Z-3.log a-19700101T000140Z.log");
    assert_int_equal(size_of("a-19700101T000140Z.log"), 5);
}

/* The oldest go; what only looks alike stays. */
static void
test_keep(void **state)
{
    (void)state;
    static const struct {
        uint64_t files, bytes;
        const char *left;
    } cases[] = {
        { 0, 0,
          "a-20200101T000000Z-10.log a-20200101T000000Z-9.log a-20200101T000000Z.log a-20260101T000000Z.log" },
        { 3, 0, "a-20200101T000000Z-10.log a-20200101T000000Z-9.log a-20260101T000000Z.log" },
        { 2, 0, "a-20200101T000000Z-10.log a-20260101T000000Z.log" },
        { 0, 12, "a-20200101T000000Z-10.log a-20260101T000000Z.log" },
        { 0, 11, "a-20260101T000000Z.log" },
        { 0, 1, "a-20260101T000000Z.log" }, /* the newest stays */
    };
    static const char *const alike[] = { "a-2020.log",
                                         "a-20200101T000000Z.log.gz",
                                         "a-20200101T000000Z-.log",
                                         "a-20200101T000000Z-x.log",
                                         "ab-20200101T000000Z.log",
                                         "a-20200101X000000Z.log" };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        print_message("# %u %u\n", (unsigned)cases[k].files, (unsigned)cases[k].bytes);
        make("a-20200101T000000Z.log", "octets");
        make("a-20200101T000000Z-9.log", "octets");
        make("a-20200101T000000Z-10.log", "octets");
        for (size_t i = 0; i < BH_COUNT(alike); i++) {
            make(alike[i], "x");
        }
        struct bh_series *s = opened((struct bh_series_config){ .keep_files = cases[k].files,
                                                                .keep_bytes = cases[k].bytes });
        assert_int_equal(bh_series_write(s, 1767225600 * SEC, "octets", 6, NULL), 0);
        bh_series_close(s);
        for (size_t i = 0; i < BH_COUNT(alike); i++) {
            assert_int_equal(unlink(path_of(alike[i])), 0);
        }
        assert_string_equal(names(), cases[k].left);
        assert_int_equal(unlink(path_of("a-20260101T000000Z.log")), 0);
    }
}

static uint64_t
keep_four(void *arg, int fd, uint64_t size)
{
    char octets[4];
    assert_int_equal(pread(fd, octets, 4, 0), 4);
    *(uint64_t *)arg = size;
    return 4;
}

/* What is there is never written over. */
static void
test_left_behind(void **state)
{
    (void)state;
    uint64_t seen = 0;
    make("a.log", "12345678");
    assert_int_equal(utimensat(AT_FDCWD, path_of("a.log"),
                               (struct timespec[2]){ { .tv_sec = 100 }, { .tv_sec = 100 } }, 0),
                     0);
    struct bh_series *s = opened((struct bh_series_config){ .mend = keep_four, .arg = &seen });
    assert_string_equal(names(), "a-19700101T000140Z.log");
    assert_int_equal(size_of("a-19700101T000140Z.log"), 4);
    assert_int_equal(seen, 8);
    bh_series_close(s);
    assert_string_equal(names(), "a-19700101T000140Z.log");
    make("a.log", ""); /* an empty one is nothing */
    bh_series_close(opened((struct bh_series_config){ 0 }));
    assert_string_equal(names(), "a-19700101T000140Z.log");
    /* Neither a link nor a pipe is followed. */
    const struct bh_series_config cfg = { .path = path_of("a.log"), .mode = 0600 };
    assert_int_equal(symlink("/etc/passwd", path_of("a.log")), 0);
    assert_int_equal(bh_series_open(&cfg, &s, NULL), -ELOOP);
    assert_int_equal(unlink(path_of("a.log")), 0);
    assert_int_equal(mkfifo(path_of("a.log"), 0600), 0);
    assert_int_equal(bh_series_open(&cfg, &s, NULL), -EINVAL);
}

/* A file that may not grow: what did not fit is not there by half, and can be written again. */
static void
test_full(void **state)
{
    (void)state;
    struct rlimit old, small = { .rlim_cur = 100, .rlim_max = RLIM_INFINITY };
    char octets[80];
    memset(octets, 'x', sizeof octets);
    struct bh_series *s = opened((struct bh_series_config){ 0 });
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_int_equal(bh_series_write(s, SEC, octets, 80, NULL), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(bh_series_write(s, SEC, octets, 80, NULL), -EFBIG);
    assert_int_equal(size_of("a.log"), 80);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(bh_series_write(s, SEC, octets, 80, NULL), 0);
    bh_series_close(s);
    assert_int_equal(size_of("a-19700101T000001Z.log"), 160);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keep, setup, teardown),
        cmocka_unit_test_setup_teardown(test_left_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
