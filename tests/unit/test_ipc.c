/* SPDX-License-Identifier: BSD-2-Clause */
/* The queue between processes: whole messages in order, full is full, and no trust in the other end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bh_ipc.h"

enum {
    WORD_HEAD = 16,
    WORD_TAIL = 32
}; /* of the header, in words of 64 bits: what a hostile end would write */

struct pair {
    void *memory;
    size_t size;
    struct bh_queue w, r;
};

static void
pair_init(struct pair *p, uint64_t octets)
{
    p->memory = bh_queue_memory_new(octets, &p->size);
    assert_non_null(p->memory);
    assert_int_equal(bh_queue_write_init(&p->w, p->memory, p->size), 0);
    assert_int_equal(bh_queue_read_init(&p->r, p->memory, p->size), 0);
}

static void
pair_done(struct pair *p)
{
    bh_queue_memory_free(p->memory, p->size);
}

static bool
send_one(struct pair *p, uint32_t kind, uint32_t len, uint8_t octet)
{
    uint8_t *to = bh_queue_begin(&p->w, len);
    if (to == NULL) {
        return false;
    }
    memset(to, octet, len);
    bh_queue_end(&p->w, kind, len);
    return true;
}

static void
take_one(struct pair *p, uint32_t kind, uint32_t len, uint8_t octet)
{
    static uint8_t got[1 << 20];
    uint32_t k, n;
    assert_int_equal(bh_queue_take(&p->r, got, sizeof got, &k, &n), 1);
    assert_int_equal(k, kind);
    assert_int_equal(n, len);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(got[i], octet);
    }
}

/* Every length around the padding, round and round the end of the memory. */
static void
test_order(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, 1);
    assert_int_equal(p.size, BH_QUEUE_HEADER + BH_QUEUE_LEAST);
    uint32_t kind, n;
    uint8_t octet;
    assert_int_equal(bh_queue_take(&p.r, &octet, 1, &kind, &n), 0);
    for (uint32_t k = 0; k < 4000; k++) {
        const uint32_t len = k * 37 % 1000;
        assert_true(send_one(&p, k, len, (uint8_t)k));
        assert_true(send_one(&p, k + 1, 0, 0));
        take_one(&p, k, len, (uint8_t)k);
        take_one(&p, k + 1, 0, 0);
        bh_queue_give(&p.r, bh_queue_mark(&p.r));
    }
    pair_done(&p);
}

static void
test_full(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, BH_QUEUE_LEAST);
    unsigned sent = 0;
    while (send_one(&p, 1, 1016, 7)) {
        sent++;
    }
    assert_int_equal(sent, BH_QUEUE_LEAST / 1024); /* to the last octet */
    take_one(&p, 1, 1016, 7);
    assert_false(send_one(&p, 1, 1016, 7)); /* taken, but not given back */
    bh_queue_give(&p.r, bh_queue_mark(&p.r));
    assert_true(send_one(&p, 1, 1016, 7));
    assert_false(send_one(&p, 1, 0, 7));
    static const struct {
        uint32_t len;
        bool fits;
    } cases[] = { { BH_QUEUE_LEAST / 4 - 8, true },
                  { BH_QUEUE_LEAST / 4 - 7, false },
                  { UINT32_MAX, false } };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        struct pair empty;
        pair_init(&empty, BH_QUEUE_LEAST);
        assert_int_equal(send_one(&empty, 1, cases[k].len < 1 << 20 ? cases[k].len : UINT32_MAX, 0),
                         cases[k].fits);
        pair_done(&empty);
    }
    pair_done(&p);
}

/* Who comes after a reader that died begins with what was not given back; a writer, behind whole messages. */
static void
test_heirs(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, BH_QUEUE_LEAST);
    for (uint8_t k = 0; k < 5; k++) {
        assert_true(send_one(&p, k, 10, k));
    }
    assert_non_null(bh_queue_begin(&p.w, 100)); /* and dies */
    take_one(&p, 0, 10, 0);
    const uint64_t mark = bh_queue_mark(&p.r);
    take_one(&p, 1, 10, 1);
    bh_queue_give(&p.r, mark);
    assert_int_equal(bh_queue_held(&p.r), 24);
    assert_int_equal(bh_queue_write_init(&p.w, p.memory, p.size), 0);
    assert_int_equal(bh_queue_read_init(&p.r, p.memory, p.size), 0);
    assert_true(send_one(&p, 5, 10, 5));
    for (uint8_t k = 1; k < 6; k++) {
        take_one(&p, k, 10, k);
    }
    pair_done(&p);
}

/* Whatever the other end writes: damage, or nothing; never a read or write elsewhere. */
static void
test_hostile(void **state)
{
    (void)state;
    static const uint64_t positions[] = {
        1, 7, 8, 12, BH_QUEUE_LEAST, BH_QUEUE_LEAST + 8, UINT64_MAX - 7, UINT64_MAX
    };
    uint8_t got[256];
    uint32_t kind, len;
    for (size_t k = 0; k < BH_COUNT(positions); k++) {
        struct pair p;
        pair_init(&p, BH_QUEUE_LEAST);
        assert_true(send_one(&p, 1, 100, 1));
        ((uint64_t *)p.memory)[WORD_HEAD] = positions[k];
        int r = 1;
        for (unsigned turn = 0; r == 1 && turn < 100000; turn++) {
            r = bh_queue_take(&p.r, got, sizeof got, &kind, &len);
        }
        assert_true(r == 0 || r == BH_EDAMAGED);
        pair_done(&p);
        pair_init(&p, BH_QUEUE_LEAST);
        ((uint64_t *)p.memory)[WORD_TAIL] = positions[k];
        for (unsigned turn = 0; turn < 3000; turn++) {
            bh_ignore(send_one(&p, 1, 100, 1)); /* all that is asked is that it stays inside */
        }
        pair_done(&p);
    }
    static const uint32_t lengths[] = { 257, 1 << 16, UINT32_MAX - 1, UINT32_MAX };
    for (size_t k = 0; k < BH_COUNT(lengths); k++) {
        struct pair p;
        pair_init(&p, BH_QUEUE_LEAST);
        assert_true(send_one(&p, 1, 100, 1));
        memcpy((uint8_t *)p.memory + BH_QUEUE_HEADER, &lengths[k], 4);
        assert_int_equal(bh_queue_take(&p.r, got, sizeof got, &kind, &len), BH_EDAMAGED);
        assert_int_equal(bh_queue_take(&p.r, got, sizeof got, &kind, &len), BH_EDAMAGED);
        pair_done(&p);
    }
}

static void
test_sleep(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, BH_QUEUE_LEAST);
    uint8_t *to = bh_queue_begin(&p.w, 4);
    assert_non_null(to);
    assert_false(bh_queue_end(&p.w, 1, 4)); /* nobody sleeps */
    assert_false(bh_queue_sleep(&p.r));     /* there is something */
    take_one(&p, 1, 4, to[0]);
    assert_true(bh_queue_sleep(&p.r));
    assert_non_null(bh_queue_begin(&p.w, 0));
    assert_true(bh_queue_end(&p.w, 2, 0));
    pair_done(&p);
}

/* Two processes at full speed: nothing lost, nothing changed. */
static void
test_processes(void **state)
{
    (void)state;
    enum { MESSAGES = 200000 };
    struct pair p;
    pair_init(&p, BH_QUEUE_LEAST);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (uint32_t k = 0; k < MESSAGES;) {
            uint8_t *to = bh_queue_begin(&p.w, k % 200 + 4);
            if (to == NULL) {
                usleep(50);
                continue;
            }
            memset(to, (int)(k & 0xff), k % 200 + 4);
            memcpy(to, &k, 4);
            bh_queue_end(&p.w, k, k % 200 + 4);
            k++;
        }
        _exit(0);
    }
    uint8_t got[256];
    uint32_t kind, len;
    for (uint32_t k = 0; k < MESSAGES;) {
        const int r = bh_queue_take(&p.r, got, sizeof got, &kind, &len);
        assert_true(r >= 0);
        if (r == 0) {
            usleep(50);
            continue;
        }
        assert_int_equal(kind, k);
        assert_int_equal(len, k % 200 + 4);
        assert_int_equal(got[len - 1], len == 4 ? k >> 24 : (k & 0xff));
        bh_queue_give(&p.r, bh_queue_mark(&p.r));
        k++;
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    pair_done(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order), cmocka_unit_test(test_full),
        cmocka_unit_test(test_heirs), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_sleep), cmocka_unit_test(test_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
