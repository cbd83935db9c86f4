/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames that came twice: which of them is a copy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "../../lib/sensor/sensor_priv.h"

#define US 1000LL
#define START (1796000400LL * 1000000000LL)

/* The second packet is as the first but for what is said. */
struct other {
    int64_t after_ns;
    uint16_t id, other_interface;
    uint32_t seq;
    uint8_t ttl, flags, marks, tag;
    uint16_t length;
};
enum { V4 = 4, V6 = 6 };
static const struct {
    const char *name;
    uint8_t kind, proto, flags, marks;
    uint16_t id, payload;
    struct other by;
    bool copy;
} cases[] = {
    { "syn", V4, 6, BH_TCP_SYN, 0, 7, 0, { 0 }, true },
    { "syn, 2 ms", V4, 6, BH_TCP_SYN, 0, 7, 0, { .after_ns = 2000 * US }, true },
    { "syn, 2 ms and a little", V4, 6, BH_TCP_SYN, 0, 7, 0, { .after_ns = 2001 * US }, false },
    { "syn, a step back", V4, 6, BH_TCP_SYN, 0, 7, 0, { .after_ns = -2000 * US }, true },
    { "syn, too far back", V4, 6, BH_TCP_SYN, 0, 7, 0, { .after_ns = -2001 * US }, false },
    { "syn with another id", V4, 6, BH_TCP_SYN, 0, 7, 0, { .id = 1 }, false },
    { "syn with another number", V4, 6, BH_TCP_SYN, 0, 7, 0, { .seq = 1 }, false },
    { "syn that was routed", V4, 6, BH_TCP_SYN, 0, 7, 0, { .ttl = 1 }, false },
    { "syn and then fin", V4, 6, BH_TCP_SYN, 0, 7, 0, { .flags = BH_TCP_FIN }, false },
    { "syn of another length", V4, 6, BH_TCP_SYN, 0, 7, 0, { .length = 4 }, false },
    { "syn with a tag", V4, 6, BH_TCP_SYN, 0, 7, 0, { .tag = 1 }, true },
    { "syn without an id", V4, 6, BH_TCP_SYN, 0, 0, 0, { 0 }, true },
    { "payload without an id", V4, 6, BH_TCP_ACK, 0, 0, 5, { 0 }, true },
    { "ack without an id", V4, 6, BH_TCP_ACK, 0, 0, 0, { 0 }, false },
    { "ack without an id, elsewhere", V4, 6, BH_TCP_ACK, 0, 0, 0, { .other_interface = 1 }, true },
    { "datagram", V4, 17, 0, 0, 7, 5, { 0 }, true },
    { "datagram without an id", V4, 17, 0, 0, 0, 5, { 0 }, false },
    { "datagram without an id, elsewhere", V4, 17, 0, 0, 0, 5, { .other_interface = 1 }, true },
    { "ping", V4, 1, 0, 0, 7, 5, { 0 }, true },
    { "ipv6 syn", V6, 6, BH_TCP_SYN, 0, 0, 0, { 0 }, true },
    { "ipv6 ack", V6, 6, BH_TCP_ACK, 0, 0, 0, { 0 }, false },
    { "ipv6 datagram", V6, 17, 0, 0, 0, 5, { 0 }, false },
    { "ipv6 datagram, elsewhere", V6, 17, 0, 0, 0, 5, { .other_interface = 1 }, true },
    { "later fragment", V4, 17, 0, BH_MARK_NO_PORTS | BH_MARK_FRAGMENT, 7, 0, { 0 }, false },
    { "protocol without ports", V4, 50, 0, BH_MARK_NO_PORTS, 7, 5, { 0 }, true },
    { "arp", BH_KIND_ARP, 0, 0, 0, 0, 0, { 0 }, false },
    { "no ip", BH_KIND_NONE, 0, 0, 0, 0, 0, { 0 }, false },
};

static struct bh_batch *b;
static struct duplicates *d;
static uint16_t interface[BH_BATCH_ROWS];

static void
put(uint32_t i, size_t k, const struct other *by)
{
    b->kind[i] = cases[k].kind;
    b->proto[i] = cases[k].proto;
    b->src[i] = 0xcb007101;
    b->dst[i] = 0xc6336401;
    if (b->kind[i] == BH_KIND_IP6) {
        b->ip6[i] = (struct bh_ip6_pair){ 1, 2, 3, 4 };
        b->src[i] = b->dst[i] = i;
    }
    b->ports[i] = 40000U << 16 | 23;
    b->tcp_flags[i] = cases[k].flags | by->flags;
    b->marks[i] = cases[k].marks;
    b->ip_id[i] = (uint16_t)(cases[k].id + by->id);
    b->payload_len[i] = cases[k].payload;
    b->ip_len[i] = 60U + by->length;
    b->tcp_seq[i] = 9 + by->seq;
    b->tcp_window[i] = 1024;
    b->tcp_options[i] = 0;
    b->ttl[i] = (uint8_t)(64 - by->ttl);
    b->df[i] = 0;
    b->vlan[i] = by->tag;
    b->src_mac[i] = by->tag;
    b->ts_ns[i] = START + by->after_ns;
    interface[i] = (uint16_t)(1 + by->other_interface);
    b->rows = i + 1;
}

static int
begin(void **state)
{
    (void)state;
    b = bh_batch_new();
    d = duplicates_new();
    return b == NULL || d == NULL ? -1 : 0;
}

static int
end(void **state)
{
    (void)state;
    bh_batch_free(b);
    duplicates_free(d);
    return 0;
}

static void
test_pairs(void **state)
{
    (void)state;
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        const struct other same = { 0 };
        /* Each pair once in a batch, and once from batch to batch. */
        for (int apart = 0; apart < 2; apart++) {
            uint32_t n = 0;
            duplicates_free(d);
            d = duplicates_new();
            print_message("# %s\n", cases[k].name);
            bh_batch_reset(b);
            put(0, k, &same);
            if (apart == 0) {
                put(1, k, &cases[k].by);
                n = duplicates_mark(d, b, interface);
                assert_int_equal(b->marks[0], cases[k].marks);
                assert_int_equal(b->marks[1],
                                 cases[k].marks | (cases[k].copy ? BH_MARK_DUPLICATE : 0));
            } else {
                assert_int_equal(duplicates_mark(d, b, interface), 0);
                bh_batch_reset(b);
                put(0, k, &cases[k].by);
                n = duplicates_mark(d, b, interface);
            }
            assert_int_equal(n, cases[k].copy);
        }
    }
}

/* One copy on each interface; then it is a packet again: a flood of one packet is halved, no more. */
static void
test_many(void **state)
{
    (void)state;
    const struct other here = { 0 }, there = { .other_interface = 1 },
                       far = { .other_interface = 2 };
    const struct other *order[] = { &here, &there, &far, &here, &here, &there, &there };
    const bool copy[] = { false, true, true, true, false, true, false };
    for (uint32_t i = 0; i < BH_COUNT(order); i++) {
        put(i, 0, order[i]);
    }
    assert_int_equal(duplicates_mark(d, b, interface), 4);
    for (uint32_t i = 0; i < BH_COUNT(order); i++) {
        print_message("# %u\n", i);
        assert_int_equal((b->marks[i] & BH_MARK_DUPLICATE) != 0, copy[i]);
    }
    bh_batch_reset(b);
    duplicates_free(d);
    d = duplicates_new();
    for (uint32_t i = 0; i < BH_BATCH_ROWS; i++) {
        put(i, 0, &here);
    }
    assert_int_equal(duplicates_mark(d, b, interface), BH_BATCH_ROWS / 2);
}

/* Of many packets at once, as a mirror of a busy port has them, nearly all copies are found. */
static void
test_crowd(void **state)
{
    (void)state;
    uint32_t found = 0;
    for (uint32_t round = 0; round < 40; round++) {
        for (uint32_t turn = 0; turn < 2; turn++) {
            bh_batch_reset(b);
            for (uint32_t i = 0; i < BH_BATCH_ROWS; i++) {
                put(i, 0,
                    &(const struct other){ .seq = round * BH_BATCH_ROWS + i,
                                           .after_ns = round * 200 * US });
            }
            found += duplicates_mark(d, b, interface);
        }
    }
    assert_true(found >= 40 * BH_BATCH_ROWS - 40 * BH_BATCH_ROWS / 200);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pairs, begin, end),
        cmocka_unit_test_setup_teardown(test_many, begin, end),
        cmocka_unit_test_setup_teardown(test_crowd, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
