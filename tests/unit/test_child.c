/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs of outputs: words of a command, starts and pauses, descriptors from process to process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bh_output_host.h"

#define SECOND 1000000000LL

static void
test_words(void **state)
{
    (void)state;
    static const struct {
        const char *command;
        int code;
        const char *words; /* joined by | */
    } cases[] = {
        { "cat", 0, "cat" },
        { "  sort  -k 2\t-u ", 0, "sort|-k|2|-u" },
        { "sh -c 'cat >> /tmp/x'", 0, "sh|-c|cat >> /tmp/x" },
        { "a \"b c\"d 'e'\"f\"", 0, "a|b cd|ef" },
        { "a ''", 0, "a|" },
        { "a b\\ c \\'d", 0, "a|b c|'d" },
        { "a 'b\\c' \"\\\"\"", 0, "a|b\\c|\"" },
        { "a \\", 0, "a|\\" },
        { "$HOME *", 0, "$HOME|*" },
        { "", BH_EUSAGE, NULL },
        { "   ", BH_EUSAGE, NULL },
        { "a 'b", BH_EUSAGE, NULL },
        { "a \"b", BH_EUSAGE, NULL },
        { "1 2 3 4 5 6 7 8", 0, "1|2|3|4|5|6|7|8" },
        { "1 2 3 4 5 6 7 8 9", BH_EUSAGE, NULL },
    };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        char *text, *words[9];
        struct bh_error err = { 0 };
        print_message("# %s\n", cases[k].command);
        assert_int_equal(bh_command_split(cases[k].command, &text, words, 8, &err), cases[k].code);
        if (cases[k].code == 0) {
            struct bh_buf joined = { 0 };
            for (size_t w = 0; words[w] != NULL; w++) {
                bh_buf_puts(&joined, w > 0 ? "|" : "");
                bh_buf_puts(&joined, words[w]);
            }
            assert_string_equal(joined.data, cases[k].words);
            bh_buf_done(&joined);
            free(text);
        }
    }
}

static char said[512];

static void
hear(void *arg, const char *instance, enum bh_say level, const struct bh_error *err)
{
    (void)arg;
    (void)instance;
    (void)level;
    bh_error_line(err, BH_EN, said, sizeof said);
}

static bool
ended(struct bh_child *c, int64_t now)
{
    for (unsigned turn = 0; turn < 2000; turn++) {
        bh_child_tick(c, now);
        if (bh_child_pid(c) == 0) {
            return true;
        }
        nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    }
    return false;
}

/* 1 s, 2 s, 4 s ... and 1 s again after a minute. */
static void
test_pauses(void **state)
{
    (void)state;
    const struct bh_child_config cfg = {
        .command = "sh -c 'exit 3'", .instance = "p", .hand_to = -1, .say = hear
    };
    struct bh_child *c;
    int64_t now = 1000 * SECOND;
    assert_int_equal(bh_child_new(&cfg, &c, NULL), 0);
    for (int64_t wait = 1; wait <= 64; wait *= 2) {
        const int64_t pause = (wait < 60 ? wait : 60) * SECOND;
        bh_child_tick(c, now);
        assert_true(bh_child_pid(c) != 0);
        assert_true(bh_child_fd(c, false) >= 0);
        assert_true(ended(c, now));
        assert_non_null(strstr(said, "status 3"));
        assert_int_equal(bh_child_fd(c, false), -1);
        bh_child_tick(c, now + pause - 1);
        assert_int_equal(bh_child_pid(c), 0);
        now += pause;
    }
    bh_child_tick(c, now);
    now += 61 * SECOND; /* it ran that long, as far as we know */
    assert_true(ended(c, now));
    bh_child_tick(c, now + SECOND);
    assert_true(bh_child_pid(c) != 0);
    bh_child_free(c);
}

static void
test_missing_program(void **state)
{
    (void)state;
    const struct bh_child_config cfg = {
        .command = "/nowhere/at/all x", .instance = "p", .hand_to = -1, .say = hear
    };
    struct bh_child *c;
    assert_int_equal(bh_child_new(&cfg, &c, NULL), 0);
    bh_child_tick(c, SECOND);
    assert_int_equal(bh_child_pid(c), 0);
    assert_non_null(strstr(said, "/nowhere/at/all: cannot start the program: No such file"));
    bh_child_free(c);
}

/* Root's programs run as somebody else, with no descriptor and variable of ours. */
static void
test_unprivileged(void **state)
{
    (void)state;
    char name[] = "/tmp/beholder-child-XXXXXX", command[256], text[512] = { 0 };
    const int fd = mkstemp(name);
    const bool root = geteuid() == 0;
    assert_true(fd >= 0);
    setenv("SECRET", "1", 1);
    snprintf(
        command, sizeof command,
        "sh -c 'read x; { id -u; id -G; ls /proc/self/fd | wc -w; echo ${SECRET-none} $BEHOLDER_OUTPUT $BEHOLDER_SENSOR; "
        "grep NoNewPrivs /proc/self/status; pwd; } >&2'");
    const struct bh_child_config cfg = { .command = command,
                                         .instance = "p",
                                         .sensor = "s",
                                         .hand_to = -1,
                                         .drop = root,
                                         .uid = 65534,
                                         .gid = 65534,
                                         .say = hear };
    struct bh_child *c;
    const int old = dup(STDERR_FILENO);
    assert_int_equal(bh_child_new(&cfg, &c, NULL), 0);
    dup2(fd, STDERR_FILENO);
    bh_child_tick(c, SECOND);
    dup2(old, STDERR_FILENO);
    close(old);
    assert_int_equal(write(bh_child_fd(c, false), "x\n", 2), 2);
    assert_true(ended(c, SECOND));
    assert_true(pread(fd, text, sizeof text - 1, 0) > 0);
    print_message("# %s\n", text);
    if (root) {
        assert_memory_equal(text, "65534\n65534\n", 12);
    }
    assert_non_null(strstr(text, "\n4\nnone p s\n")); /* 0 to 2, and the one that ls lists with */
    assert_non_null(strstr(text, "NoNewPrivs:\t1\n/\n"));
    bh_child_free(c);
    close(fd);
    unlink(name);
}

/* The starter here, the writer behind a socket: it gets each new program, after it has said that the old one broke. */
static void
test_handed_over(void **state)
{
    (void)state;
    int pair[2];
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    const struct bh_child_config cfg = {
        .command = "sh -c 'read x'", .instance = "p", .hand_to = pair[0], .say = hear
    };
    struct bh_child_end end = { pair[1], -1 };
    struct bh_child *c;
    int64_t now = SECOND;
    assert_int_equal(bh_child_new(&cfg, &c, NULL), 0);
    assert_int_equal(bh_child_end_fd(&end, false), -1);
    for (unsigned k = 0; k < 3; k++) {
        bh_child_tick(c, now);
        const int fd = bh_child_end_fd(&end, false);
        assert_true(fd >= 0);
        assert_int_equal(bh_child_end_fd(&end, false), fd);
        assert_int_equal(bh_child_fd(c, false), -1); /* it is not held twice */
        assert_int_equal(write(fd, "x\n", 2), 2);
        assert_true(ended(c, now));
        assert_int_equal(write(fd, "y\n", 2), -1); /* EPIPE */
        assert_int_equal(bh_child_end_fd(&end, true), -1);
        now += 100 * SECOND;
    }
    bh_child_free(c);
    close(pair[0]);
    close(pair[1]);
}

/* One that does not care about the end of its input is ended. */
static void
test_stubborn(void **state)
{
    (void)state;
    const struct bh_child_config cfg = { .command =
                                             "sh -c 'trap \"\" TERM; while :; do sleep 0.05; done'",
                                         .instance = "p",
                                         .hand_to = -1,
                                         .say = hear };
    struct bh_child *c;
    assert_int_equal(bh_child_new(&cfg, &c, NULL), 0);
    bh_child_tick(c, SECOND);
    const pid_t pid = bh_child_pid(c);
    assert_true(pid != 0);
    bh_child_free(c);
    assert_int_equal(kill(pid, 0), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),           cmocka_unit_test(test_pauses),
        cmocka_unit_test(test_missing_program), cmocka_unit_test(test_unprivileged),
        cmocka_unit_test(test_handed_over),     cmocka_unit_test(test_stubborn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
