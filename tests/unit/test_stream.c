/* SPDX-License-Identifier: BSD-2-Clause */
/* Batches on their way to readers that come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bh_base.h"
#include "stream.h"

#define BATCH (1U << 20) /* more than any pipe or socket holds */

static char *
batch_of(char letter)
{
    char *text = malloc(BATCH);
    assert_non_null(text);
    memset(text, letter, BATCH);
    text[0] = '<';
    text[BATCH - 1] = '>';
    return text;
}

/* Reads `most` octets, while the stream gives them; returns how many came. */
static size_t
read_some(struct stream *s, int fd, char *to, size_t most)
{
    size_t got = 0;
    for (unsigned turn = 0; turn < 10000 && got < most; turn++) {
        assert_int_equal(stream_pump(s), 0);
        const ssize_t n = read(fd, to + got, most - got);
        got += n > 0 ? (size_t)n : 0;
    }
    return got;
}

static void
make_pipe(int fd[2])
{
    assert_int_equal(pipe2(fd, O_NONBLOCK | O_CLOEXEC), 0);
}

static void
make_socket(int fd[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd), 0);
    const int swap = fd[0]; /* as of a pipe: read from the first */
    fd[0] = fd[1];
    fd[1] = swap;
}

/* A reader goes away in the middle of a batch: the next one gets it from its beginning, and all behind it. */
static void
test_from_the_beginning(void **state)
{
    static void (*const make[])(int fd[2]) = { make_pipe, make_socket };
    static const size_t read_before[] = { 0, 1, 5000, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH - 1 };
    char *a = batch_of('a'), *b = batch_of('b'), *got = malloc(3 * BATCH);
    (void)state;
    assert_non_null(got);
    for (size_t m = 0; m < BH_COUNT(make); m++) {
        for (size_t k = 0; k < BH_COUNT(read_before); k++) {
            struct stream *s = stream_new(4 * BATCH);
            int fd[2];
            make[m](fd);
            stream_attach(s, fd[1]);
            assert_int_equal(stream_add(s, 0, a, BATCH), 0);
            assert_int_equal(stream_add(s, 1, b, BATCH), 0);
            assert_int_equal(stream_pump(s), 0);
            assert_int_equal(read_some(s, fd[0], got, read_before[k]), read_before[k]);
            const uint64_t upto = stream_read_upto(s, 2);
            assert_true(upto <= read_before[k] / BATCH); /* never more than was read */
            assert_true(m == 1 || upto == read_before[k] / BATCH);
            stream_detach(s);
            close(fd[0]);
            close(fd[1]);
            make[m](fd);
            stream_attach(s, fd[1]);
            const size_t left = (2 - upto) * BATCH;
            assert_int_equal(read_some(s, fd[0], got, left + 1), left);
            assert_int_equal(got[0], '<');
            assert_int_equal(got[1], upto == 0 ? 'a' : 'b');
            assert_int_equal(got[left - 1], '>');
            assert_memory_equal(got + left - BATCH, b, BATCH);
            assert_int_equal(stream_read_upto(s, 2), 2);
            assert_int_equal(stream_waiting(s), 0);
            stream_free(s);
            close(fd[0]);
            close(fd[1]);
        }
    }
    free(a);
    free(b);
    free(got);
}

static void
test_bound(void **state)
{
    (void)state;
    char *a = batch_of('a');
    struct stream *s = stream_new(BATCH - 1);
    /* larger than the bound, when nothing else waits */
    assert_int_equal(stream_add(s, 0, a, BATCH), 0);
    assert_int_equal(stream_add(s, 1, a, 1), BH_EAGAIN);
    assert_int_equal(stream_waiting(s), BATCH);
    assert_int_equal(stream_read_upto(s, 1), 0);
    stream_free(s);
    s = stream_new(10);
    assert_int_equal(stream_add(s, 0, a, 9), 0);
    assert_int_equal(stream_add(s, 1, a, 1), 0);
    assert_int_equal(stream_add(s, 2, a, 1), BH_EAGAIN);
    stream_free(s);
    free(a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_the_beginning),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
