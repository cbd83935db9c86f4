/* SPDX-License-Identifier: BSD-2-Clause */
/* pipe: a program that dies again and again misses no record. */
#include "output_lab.h"

#include <inttypes.h>

static void
test_program_that_dies(void **state)
{
    (void)state;
    char command[512], setting[600], out[128];
    snprintf(out, sizeof out, "%s", lab_path("got"));
    /* The shell reads octet by octet, so it has read what it has written, and no more. */
    snprintf(
        command, sizeof command,
        "sh -c 'n=0; while [ $n -lt 150 ] && IFS= read -r line; do echo \"$line\" >> %s; n=$((n+1)); done; exit 3'",
        out);
    const struct bh_child_config cfg = {
        .command = command, .instance = "out", .hand_to = -1, .say = lab_hear
    };
    struct bh_child *c;
    assert_int_equal(bh_child_new(&cfg, &c, NULL), 0);
    snprintf(setting, sizeof setting, "command=%s", command);
    struct bh_host *h = lab_host("pipe", LAB_WORDS(setting, "fields=id,src"), c);
    int64_t now = LAB_START;
    uint64_t number = 0, next = 0;
    for (unsigned turn = 0; turn < 4000 && number < 10; turn++) {
        now += 40 * LAB_SECOND;
        bh_child_tick(c, now);
        if (next < 10 && bh_host_offer(h, lab_batch(next, 64, now), next, 0) == 0) {
            next++;
        }
        bh_ignore(bh_host_tick(h, now));
        assert_int_equal(bh_host_flush(h, &number), 0);
        lab_nap();
    }
    assert_int_equal(number, 10);
    assert_true(lab_heard("status 3"));
    assert_true(atomic_load(&bh_host_counters(h)->own[0]) >= 5); /* starts: 640 records, 150 each */
    bh_host_free(h);
    bh_child_free(c); /* the last one ends when it has read all */
    const char *text = lab_read(out);
    for (uint64_t b = 0; b < 10; b++) {
        for (unsigned r = 0; r < 64; r++) {
            char id[96];
            snprintf(id, sizeof id, "{\"id\":\"lab/%lld/%" PRIu64 "/%u\"", (long long)LAB_START, b,
                     r);
            if (lab_count(text, id) == 0) {
                fail_msg("%s is missing", id);
            }
        }
    }
    /* Whole lines only: each begins and ends as one. */
    assert_int_equal(lab_count(text, "{\"id\""), lab_count(text, "}\n"));
    assert_int_equal(lab_count(text, "\n"), lab_count(text, "}\n"));
}

/* A program that does not read: nothing blocks, what is beyond the bound is offered again. */
static void
test_program_that_hangs(void **state)
{
    (void)state;
    const struct bh_child_config cfg = {
        .command = "sleep 600", .instance = "out", .hand_to = -1, .say = lab_hear
    };
    struct bh_child *c;
    assert_int_equal(bh_child_new(&cfg, &c, NULL), 0);
    struct bh_host *h = lab_host("pipe", LAB_WORDS("command=sleep 600", "fields=all"), c);
    bh_child_tick(c, LAB_START);
    int r = 0;
    uint64_t k = 0, number = 99;
    for (; k < 1000 && r == 0; k++) {
        r = bh_host_offer(h, lab_batch(k, 200, LAB_START), k, 0);
        r = r != 0 ? r : bh_host_tick(h, LAB_START + (int64_t)k);
    }
    assert_int_equal(r, BH_EAGAIN);
    assert_true(k > 50); /* 8 MiB of lines wait */
    assert_int_equal(bh_host_flush(h, &number), 0);
    assert_int_equal(number, 0);
    bh_host_free(h);
    bh_child_free(c);
}

static void
test_no_program(void **state)
{
    (void)state;
    struct bh_host *h;
    assert_int_not_equal(lab_try("pipe", LAB_WORDS("fields=id"), NULL, &h), 0);
    assert_true(lab_heard("command: must be given"));
    h = lab_host("pipe", LAB_WORDS("command=cat"), NULL);
    assert_int_equal(lab_offer(h, 0, 2, 10), 0); /* none runs: it waits */
    bh_host_free(h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_program_that_dies, lab_begin, lab_end),
        cmocka_unit_test_setup_teardown(test_program_that_hangs, lab_begin, lab_end),
        cmocka_unit_test_setup_teardown(test_no_program, lab_begin, lab_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
