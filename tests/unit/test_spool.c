/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The spool: in order, once, across restarts, within its bound, on a full disk, with damage. Every case compares
 * with what a plain list of what was added would give: handed out + lost = added.
 */
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

#include "bh_spool.h"

#define RUN_A 1000LL
#define RUN_B 2000LL

static char folder[64];

static int
begin(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/beholder-spool-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int
end(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static struct bh_spool *
open_with(uint64_t octets, uint32_t layout)
{
    struct bh_spool *s = NULL;
    struct bh_error err = { 0 };
    const struct bh_spool_config cfg = { .dir = folder, .octets = octets, .layout = layout };
    assert_int_equal(bh_spool_open(&cfg, &s, &err), 0);
    return s;
}

static struct bh_spool *
open_spool(void)
{
    return open_with(BH_SPOOL_LEAST, 7);
}

/* Octets that tell their number. */
static struct bh_spool_block
batch(int64_t run, uint64_t number, uint32_t rows, uint32_t size)
{
    static uint8_t data[BH_SPOOL_BLOCK_MAX];
    for (uint32_t k = 0; k < size; k++) {
        data[k] = (uint8_t)(number * 31 + k);
    }
    return (struct bh_spool_block){ .kind = BH_SPOOL_BATCH,
                                    .rows = rows,
                                    .start_ns = run,
                                    .number = number,
                                    .first_ns = run + (int64_t)number * 10,
                                    .last_ns = run + (int64_t)number * 10 + 9,
                                    .data = data,
                                    .size = size };
}

static void
head(struct bh_spool *s, int64_t run)
{
    char text[32];
    const int n = snprintf(text, sizeof text, "run %lld", (long long)run);
    assert_int_equal(bh_spool_head(s, run, text, (uint32_t)n), 0);
}

static void
add(struct bh_spool *s, int64_t run, uint64_t number, uint32_t size)
{
    const struct bh_spool_block b = batch(run, number, 10, size);
    assert_int_equal(bh_spool_add(s, &b, false), 0);
}

/* The next batch, and what heading came before it, if one did. */
static bool
take(struct bh_spool *s, int64_t *run, struct bh_spool_block *ret)
{
    while (bh_spool_next(s, ret)) {
        if (ret->kind == BH_SPOOL_HEADING) {
            char text[32];
            snprintf(text, sizeof text, "run %lld", (long long)ret->start_ns);
            assert_int_equal(ret->size, strlen(text));
            assert_memory_equal(ret->data, text, ret->size);
            *run = ret->start_ns;
        } else if (ret->kind == BH_SPOOL_BATCH) {
            const struct bh_spool_block want =
                batch(ret->start_ns, ret->number, ret->rows, ret->size);
            assert_memory_equal(ret->data, want.data, ret->size);
            assert_int_equal(ret->first_ns, want.first_ns);
            assert_int_equal(*run, ret->start_ns);
            bh_spool_step(s);
            return true;
        }
        bh_spool_step(s);
    }
    return false;
}

static unsigned
files(void)
{
    unsigned n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        n += strstr(e->d_name, ".spool") != NULL;
    }
    closedir(d);
    return n;
}

static const char *
first_file(void)
{
    static char path[400];
    char best[300] = "~";
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strstr(e->d_name, ".spool") != NULL && strcmp(e->d_name, best) < 0) {
            snprintf(best, sizeof best, "%s", e->d_name);
        }
    }
    closedir(d);
    snprintf(path, sizeof path, "%s/%s", folder, best);
    return path;
}

static void
in_order(void **state)
{
    (void)state;
    struct bh_spool *s = open_spool();
    struct bh_spool_block b;
    int64_t run = 0;
    assert_false(bh_spool_waits(s));
    assert_false(bh_spool_next(s, &b));
    head(s, RUN_A);
    for (uint64_t k = 0; k < 100; k++) {
        add(s, RUN_A, k, (uint32_t)(k * 37 % 5000));
        if (k % 3 == 2) { /* hand out while it is added to */
            assert_true(take(s, &run, &b));
            assert_int_equal(b.number, k / 3);
        }
    }
    assert_int_equal(bh_spool_rows(s), 67 * 10);
    for (uint64_t k = 33; k < 100; k++) {
        assert_true(take(s, &run, &b));
        assert_int_equal(b.number, k);
        assert_int_equal(b.size, k * 37 % 5000);
    }
    assert_false(take(s, &run, &b));
    assert_false(bh_spool_waits(s));
    assert_true(files() > 0);
    bh_spool_safe(s, RUN_A, 99);
    assert_true(files() > 0);
    bh_spool_safe(s, RUN_A, 100); /* all of it: nothing stays */
    assert_int_equal(files(), 0);
    assert_int_equal(bh_spool_octets(s), 0);
    assert_int_equal(bh_spool_lost_rows(s), 0);
    add(s, RUN_A, 100, 50); /* and it goes on */
    assert_true(take(s, &run, &b));
    assert_int_equal(b.number, 100);
    bh_spool_close(s);
}

/* Whoever comes after begins with what is not safe, with its heading; one at a time. */
static void
restart(void **state)
{
    (void)state;
    struct bh_spool *s = open_spool(), *second;
    struct bh_spool_block b;
    struct bh_error err = { 0 };
    int64_t run = 0;
    head(s, RUN_A);
    for (uint64_t k = 0; k < 30; k++) {
        add(s, RUN_A, k, 1000);
    }
    head(s, RUN_B);
    for (uint64_t k = 0; k < 30; k++) {
        add(s, RUN_B, k, 1000);
    }
    const struct bh_spool_config cfg = { .dir = folder, .octets = BH_SPOOL_LEAST, .layout = 7 };
    assert_int_equal(bh_spool_open(&cfg, &second, &err), -EBUSY);
    for (uint64_t k = 0; k < 20; k++) {
        assert_true(take(s, &run, &b));
    }
    bh_spool_safe(s, RUN_A, 15);
    for (uint64_t at = 15; at < 60; at += 3) { /* each start: three more are safe */
        bh_spool_close(s);
        s = open_spool();
        assert_int_equal(bh_spool_rows(s), (60 - at) * 10);
        run = 0;
        for (uint64_t k = at; k < 60; k++) {
            assert_true(take(s, &run, &b));
            assert_int_equal(run, k < 30 ? RUN_A : RUN_B);
            assert_int_equal(b.number, k % 30);
            if (k == at + 2) {
                bh_spool_safe(s, run, b.number + 1);
            }
        }
        assert_false(take(s, &run, &b));
    }
    bh_spool_safe(s, RUN_B, 30);
    assert_int_equal(files(), 0);
    bh_spool_close(s);
    s = open_spool();
    assert_false(bh_spool_waits(s));
    add(s, RUN_B, 30, 1);
    assert_true(bh_spool_waits(s));
    bh_spool_close(s);
}

/* What whoever gets blocks has already: it comes again after a restart only. */
static void
handed_already(void **state)
{
    (void)state;
    struct bh_spool *s = open_spool();
    struct bh_spool_block b;
    int64_t run = RUN_A;
    head(s, RUN_A);
    for (uint64_t k = 0; k < 5; k++) {
        b = batch(RUN_A, k, 10, 100);
        assert_int_equal(bh_spool_add(s, &b, true), 0);
    }
    assert_false(bh_spool_waits(s));
    assert_int_equal(bh_spool_rows(s), 0);
    add(s, RUN_A, 5, 100);
    assert_true(take(s, &run, &b));
    assert_int_equal(b.number, 5);
    bh_spool_safe(s, RUN_A, 3);
    bh_spool_close(s);
    s = open_spool();
    run = 0;
    for (uint64_t k = 3; k < 6; k++) {
        assert_true(take(s, &run, &b));
        assert_int_equal(b.number, k);
    }
    assert_false(take(s, &run, &b));
    bh_spool_close(s);
}

/* Beyond the bound: the oldest goes, and handed out + lost = added, by run. */
static void
bounded(void **state)
{
    (void)state;
    struct bh_spool *s = open_spool();
    struct bh_spool_block b;
    struct bh_spool_loss a_lost = { 0 }, b_lost = { 0 };
    int64_t run = 0;
    uint64_t taken_a = 0, taken_b = 0, last = 0;
    head(s, RUN_A);
    for (uint64_t k = 0; k < 60; k++) {
        add(s, RUN_A, k, 10000);
    }
    for (unsigned k = 0; k < 10; k++) { /* these are not lost, they were handed out */
        assert_true(take(s, &run, &b));
        taken_a += b.rows;
    }
    bh_spool_safe(s, RUN_A, 5);
    head(s, RUN_B);
    for (uint64_t k = 0; k < 80; k++) {
        add(s, RUN_B, k, 10000);
        assert_true(bh_spool_octets(s) <= BH_SPOOL_LEAST);
    }
    bh_spool_close(s); /* the losses are remembered */
    s = open_spool();
    while (take(s, &run, &b)) {
        taken_a += run == RUN_A ? b.rows : 0;
        taken_b += run == RUN_B ? b.rows : 0;
        assert_true(run == RUN_A || b.number >= last);
        last = run == RUN_B ? b.number : 0;
    }
    assert_true(bh_spool_lost(s, RUN_A, &a_lost));
    bh_ignore((int)bh_spool_lost(s, RUN_B, &b_lost));
    assert_true(a_lost.rows > 0);
    assert_int_equal(taken_a + a_lost.rows, 600);
    assert_int_equal(taken_b + b_lost.rows, 800);
    assert_true(a_lost.first_ns == RUN_A + 100 && a_lost.last_ns > a_lost.first_ns);
    assert_int_equal(last, 79);
    bh_spool_safe(s, RUN_B, 80);
    assert_int_equal(files(), 0);
    bh_spool_close(s);
}

/* A disk that takes no more: nothing of the block is there, what was there stays, and it goes on later. */
static void
full_disk(void **state)
{
    (void)state;
    struct rlimit old, tight;
    struct bh_spool *s = open_spool();
    struct bh_spool_block b;
    int64_t run = 0;
    uint64_t added = 0;
    int r = 0;
    signal(SIGXFSZ, SIG_IGN); /* a limit on the size of files: EFBIG, after as much as fits */
    getrlimit(RLIMIT_FSIZE, &old);
    tight = old;
    tight.rlim_cur = 40000;
    head(s, RUN_A);
    setrlimit(RLIMIT_FSIZE, &tight);
    while (r == 0 && added < 100) {
        b = batch(RUN_A, added, 10, 3000);
        r = bh_spool_add(s, &b, false);
        added += r == 0;
    }
    setrlimit(RLIMIT_FSIZE, &old);
    assert_true(r == -EFBIG || r == -ENOSPC);
    assert_true(added > 5 && added < 20);
    for (unsigned k = 0; k < 3; k++) {
        add(s, RUN_A, added++, 3000);
    }
    bh_spool_close(s);
    s = open_spool();
    assert_int_equal(bh_spool_damaged(s), 0);
    for (uint64_t k = 0; k < added; k++) {
        assert_true(take(s, &run, &b));
        assert_int_equal(b.number, k);
    }
    assert_false(take(s, &run, &b));
    assert_int_equal(bh_spool_lost_rows(s), 0);
    bh_spool_close(s);
}

static void
change_octet(const char *path, off_t at)
{
    uint8_t octet = 0;
    const int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &octet, 1, at), 1);
    octet ^= 0x20;
    assert_int_equal(pwrite(fd, &octet, 1, at), 1);
    close(fd);
}

/* Each octet of the first file, one after another: handed out + lost = added, once, however often it is opened; and
 * nothing that is handed out is wrong (take() compares). */
static void
damage(void **state)
{
    (void)state;
    struct bh_spool_block b;
    for (off_t at = 0; at < 2000; at += 7) {
        struct bh_spool *s = open_with(BH_SPOOL_LEAST, 7);
        int64_t run = 0;
        uint64_t taken = 0, again = 0;
        head(s, RUN_A);
        for (uint64_t k = 0; k < 12; k++) {
            add(s, RUN_A, k, 9000);
        }
        const unsigned was = files();
        assert_true(was >= 2);
        bh_spool_close(s);
        change_octet(first_file(), at);
        for (unsigned turn = 0; turn < 2; turn++) {
            s = open_with(BH_SPOOL_LEAST, 7);
            struct bh_spool_loss lost = { 0 };
            run = RUN_A; /* the heading may be what is damaged */
            again = 0;
            while (take(s, &run, &b)) {
                again += b.rows;
            }
            taken = turn == 0 ? again : taken;
            assert_int_equal(again, taken);
            bh_ignore((int)bh_spool_lost(s, RUN_A, &lost));
            if (at >= 64) { /* the head of the whole file: whose rows these were is not known */
                assert_int_equal(taken + lost.rows, 120);
                assert_true(bh_spool_damaged(s) >= 1 || turn == 1);
            }
            bh_spool_safe(s, RUN_A, turn == 0 ? 0 : 12);
            bh_spool_close(s);
        }
        assert_int_equal(end(NULL), 0);
        assert_int_equal(mkdir(folder, 0700), 0);
    }
}

/* A file that a power cut left half written, at each of its octets. */
static void
cut(void **state)
{
    (void)state;
    struct bh_spool_block b;
    for (off_t size = 0; size < 900; size += 11) {
        struct bh_spool *s = open_spool();
        int64_t run = RUN_A;
        uint64_t k = 0;
        head(s, RUN_A);
        for (uint64_t n = 0; n < 5; n++) {
            add(s, RUN_A, n, 100);
        }
        bh_spool_close(s);
        assert_int_equal(truncate(first_file(), size), 0);
        s = open_spool();
        while (take(s, &run, &b)) {
            assert_int_equal(b.number, k++);
        }
        assert_true(k * 168 <= (uint64_t)size);
        head(s, RUN_A);
        add(s, RUN_A, 77, 100); /* behind the damage in a file of its own */
        assert_true(take(s, &run, &b));
        assert_int_equal(b.number, 77);
        bh_spool_safe(s, RUN_A, 78);
        bh_spool_close(s);
        assert_int_equal(end(NULL), 0);
        assert_int_equal(mkdir(folder, 0700), 0);
    }
}

/* Another version of what batches hold: not handed out, and counted. */
static void
other_layout(void **state)
{
    (void)state;
    struct bh_spool *s = open_with(BH_SPOOL_LEAST, 7);
    struct bh_spool_block b;
    struct bh_spool_loss lost = { 0 };
    int64_t run = 0;
    head(s, RUN_A);
    add(s, RUN_A, 0, 100);
    add(s, RUN_A, 1, 100);
    bh_spool_close(s);
    s = open_with(BH_SPOOL_LEAST, 8);
    head(s, RUN_B);
    add(s, RUN_B, 0, 100);
    assert_true(take(s, &run, &b));
    assert_int_equal(b.start_ns, RUN_B);
    assert_true(bh_spool_lost(s, RUN_A, &lost));
    assert_int_equal(lost.rows, 20);
    assert_int_equal(bh_spool_damaged(s), 0);
    bh_spool_close(s);
}

/* Too large, by one; the largest. */
static void
sizes(void **state)
{
    (void)state;
    static uint8_t data[BH_SPOOL_BLOCK_MAX + 1];
    struct bh_spool *s = open_spool();
    struct bh_spool_block b = { .kind = BH_SPOOL_NOTE, .data = data, .size = sizeof data }, got;
    assert_int_equal(bh_spool_add(s, &b, false), -EMSGSIZE);
    for (uint32_t less = 1; less < 4; less++) {
        b.size = BH_SPOOL_BLOCK_MAX + 1 - less;
        assert_int_equal(bh_spool_add(s, &b, false), 0);
        assert_true(bh_spool_next(s, &got));
        assert_int_equal(got.size, b.size);
        bh_spool_step(s);
    }
    b.size = 0;
    assert_int_equal(bh_spool_add(s, &b, false), 0);
    assert_true(bh_spool_next(s, &got));
    assert_int_equal(got.size, 0);
    bh_spool_close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_order, begin, end),
        cmocka_unit_test_setup_teardown(restart, begin, end),
        cmocka_unit_test_setup_teardown(handed_already, begin, end),
        cmocka_unit_test_setup_teardown(bounded, begin, end),
        cmocka_unit_test_setup_teardown(full_disk, begin, end),
        cmocka_unit_test_setup_teardown(damage, begin, end),
        cmocka_unit_test_setup_teardown(cut, begin, end),
        cmocka_unit_test_setup_teardown(other_layout, begin, end),
        cmocka_unit_test_setup_teardown(sizes, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
