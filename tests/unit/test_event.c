/* SPDX-License-Identifier: BSD-2-Clause */
/* Names, the batch's helpers, and the schema. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bh_event.h"

static void
test_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        assert_non_null(bh_reason_name(i));
        assert_non_null(bh_class_name(i));
        assert_non_null(bh_outcome_name(i));
        bool known = strcmp(bh_reason_name(i), "unknown_code") != 0;
        assert_int_equal(known, i < BH_REASON_COUNT);
        known = strcmp(bh_class_name(i), "unknown_code") != 0;
        assert_int_equal(known, i < BH_CLASS_COUNT);
        known = strcmp(bh_outcome_name(i), "unknown_code") != 0;
        assert_int_equal(known, i < BH_OUTCOME_COUNT);
    }
    assert_string_equal(bh_reason_name(BH_REASON_IP_HEADER_LEN), "ip_header_len");
    assert_string_equal(bh_class_name(BH_CLASS_TCP_NULL_SCAN), "tcp_null_scan");
    assert_string_equal(bh_outcome_name(BH_OUTCOME_HALF_OPEN), "half_open");
}

static void
test_protocols(void **state)
{
    static const struct {
        const char *text;
        int number;
    } cases[] = {
        { "tcp", 6 },     { "udp", 17 },  { "icmp", 1 },  { "ipv6-icmp", 58 }, { "icmp6", 58 },
        { "icmpv6", 58 }, { "gre", 47 },  { "esp", 50 },  { "ospf", 89 },      { "sctp", 132 },
        { "0", 0 },       { "255", 255 }, { "256", -1 },  { "", -1 },          { "tc", -1 },
        { "tcpx", -1 },   { "-1", -1 },   { "1234", -1 }, { "006", 6 },        { "253", 253 },
    };
    char buf[8];
    (void)state;
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        assert_int_equal(bh_proto_number(cases[i].text, strlen(cases[i].text)), cases[i].number);
    }
    for (unsigned i = 0; i < 256; i++) {
        const char *name = bh_proto_name(i, buf);
        assert_int_equal(bh_proto_number(name, strlen(name)), (int)i);
    }
    assert_string_equal(bh_proto_name(145, buf), "nsh");
    assert_string_equal(bh_proto_name(300, buf), "300");
}

static struct bh_batch *
two_rows(void)
{
    struct bh_batch *b = bh_batch_new();
    assert_non_null(b);
    b->rows = 2;
    b->v6_rows = 1;
    b->want = BH_WANT_COLD;
    b->kind[0] = BH_KIND_IP4;
    b->proto[0] = BH_PROTO_TCP;
    b->src[0] = 0xc0000201;
    b->dst[0] = 0xc0000202;
    b->ports[0] = 40000U << 16 | 22;
    b->layers[0] = BH_LAYER_IPV4 | BH_LAYER_TCP;
    b->tcp_flags[0] = BH_TCP_SYN;
    b->ts_ns[0] = -5;
    b->vlan[0] = 1;
    b->kind[1] = BH_KIND_IP6;
    b->proto[1] = BH_PROTO_ICMP6;
    b->ports[1] = 128U << 16;
    b->layers[1] = BH_LAYER_IPV6 | BH_LAYER_ICMP6;
    b->ip6[0] = (struct bh_ip6_pair){ 0x20010db800000000, 1, 0x20010db800000000, 2 };
    b->quote_rows = 1;
    b->quotes[0] = (struct bh_quote){ .row = 1, .proto = 17 };
    return b;
}

static void
test_batch(void **state)
{
    struct bh_batch *b = two_rows();
    struct bh_batch *to = bh_batch_new();
    (void)state;
    assert_non_null(to);
    assert_int_equal(bh_batch_src_port(b, 0), 40000);
    assert_int_equal(bh_batch_dst_port(b, 0), 22);
    assert_int_equal(bh_batch_src(b, 0).octets[3], 1);
    assert_int_equal(bh_batch_dst(b, 1).octets[15], 2);
    for (uint32_t i = 0; i < 3; i++) {
        bh_batch_copy_row(to, b, 1);
    }
    bh_batch_copy_row(to, b, 0);
    assert_int_equal(to->rows, 4);
    assert_int_equal(to->v6_rows, 3);
    assert_int_equal(to->quote_rows, 3);
    assert_int_equal(to->quotes[2].row, 2);
    assert_int_equal(to->src[2], 2);
    assert_int_equal(bh_batch_src(to, 2).octets[15], 1);
    assert_int_equal(to->ports[3], 40000U << 16 | 22);
    bh_batch_reset(to);
    assert_int_equal(to->rows + to->v6_rows + to->quote_rows + to->seen_rows, 0);
    to->kind[0] = BH_KIND_NONE;
    assert_int_equal(bh_batch_src(to, 0).family, 0);
    assert_int_equal(bh_batch_dst(to, 0).family, 0);
    bh_batch_free(to);
    bh_batch_free(b);
    bh_batch_free(NULL);
}

/* Rows dealt to another batch, behind one that is there: what lies beside the columns comes with them. */
static void
test_take_rows(void **state)
{
    static const uint16_t both[] = { 0, 1 }, second[] = { 1 };
    struct bh_batch *b = two_rows();
    struct bh_batch *to = bh_batch_new();
    uint32_t cursor = 0;
    (void)state;
    assert_non_null(to);
    struct bh_seen seen = { .port_proto = BH_PROTO_UDP, .port = 53 };
    bh_batch_set_seen(b, 1, &seen);
    assert_int_equal(bh_batch_take_rows(to, b, second, 1), 1);
    assert_int_equal(bh_batch_take_rows(to, b, both, 2), 2);
    assert_int_equal(to->rows, 3);
    assert_int_equal(to->v6_rows, 2);
    assert_int_equal(to->src[2], 1);
    assert_int_equal(bh_batch_dst(to, 0).octets[15], 2);
    assert_int_equal(bh_batch_dst(to, 2).octets[15], 2);
    assert_int_equal(bh_batch_src(to, 1).octets[3], 1);
    assert_int_equal(to->ports[1], 40000U << 16 | 22);
    assert_int_equal(to->vlan[1], 1);
    assert_int_equal(to->want, BH_WANT_COLD);
    assert_int_equal(to->quote_rows, 2);
    assert_int_equal(to->quotes[1].row, 2);
    assert_int_equal(bh_batch_seen(to, 0, &cursor).port, 53);
    assert_int_equal(bh_batch_seen(to, 1, &cursor).port, 22);
    assert_int_equal(bh_batch_seen(to, 2, &cursor).port, 53);
    to->rows = BH_BATCH_ROWS - 1; /* as many as there is room for */
    assert_int_equal(bh_batch_take_rows(to, b, both, 2), 1);
    bh_batch_free(to);
    bh_batch_free(b);
}

static void
test_seen(void **state)
{
    struct bh_batch *b = two_rows();
    struct bh_batch *to = bh_batch_new();
    uint32_t cursor = 0;
    (void)state;
    struct bh_seen seen = bh_batch_seen(b, 0, &cursor);
    assert_true(seen.has_src4 && !seen.has_src6);
    assert_int_equal(seen.port_proto, BH_PROTO_TCP);
    assert_int_equal(seen.port, 22);
    seen = bh_batch_seen(b, 1, &cursor);
    assert_true(!seen.has_src4 && seen.has_src6);
    assert_int_equal(seen.port_proto, 0); /* ICMP has no ports */
    /* rows are set in any order and read in theirs */
    seen.port_proto = BH_PROTO_UDP;
    seen.port = 53;
    bh_batch_set_seen(b, 1, &seen);
    seen.port = 54;
    bh_batch_set_seen(b, 0, &seen);
    bh_batch_set_seen(b, 0, &seen);
    assert_int_equal(b->seen_rows, 2);
    cursor = 0;
    assert_int_equal(bh_batch_seen(b, 0, &cursor).port, 54);
    assert_int_equal(bh_batch_seen(b, 1, &cursor).port, 53);
    bh_batch_copy_row(to, b, 1);
    cursor = 0;
    assert_int_equal(bh_batch_seen(to, 0, &cursor).port, 53);
    bh_batch_free(to);
    bh_batch_free(b);
}

static struct bh_value
get(const struct bh_batch *b, uint32_t row, const char *name)
{
    struct bh_value v = { .absent = false };
    const struct bh_field *f = bh_field_find(name, strlen(name));
    assert_non_null(f);
    f->get(b, row, &v);
    return v;
}

static void
test_schema(void **state)
{
    (void)state;
    for (size_t i = 0; i < bh_fields_count; i++) {
        const struct bh_field *f = &bh_fields[i];
        assert_true(f->id > 0 && f->get != NULL && f->unit != NULL);
        assert_true(strlen(f->name) > 0 && strlen(f->text[BH_EN]) > 0 &&
                    strlen(f->text[BH_JA]) > 0);
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(f->id, bh_fields[k].id);
            assert_string_not_equal(f->name, bh_fields[k].name);
        }
        assert_ptr_equal(bh_field_find(f->name, strlen(f->name)), f);
    }
    assert_null(bh_field_find("sr", 2));
    assert_null(bh_field_find("", 0));
}

static void
test_values(void **state)
{
    struct bh_batch *b = two_rows();
    (void)state;
    assert_int_equal((int64_t)get(b, 0, "time").number, -5);
    assert_int_equal(get(b, 0, "src").ip.octets[3], 1);
    assert_string_equal(get(b, 0, "proto").name, "tcp");
    assert_int_equal(get(b, 0, "dst_port").number, 22);
    assert_true(get(b, 0, "icmp_type").absent);
    assert_int_equal(get(b, 0, "vlan").number, 0);
    assert_false(get(b, 0, "vlan").absent);
    assert_int_equal(get(b, 1, "icmp_type").number, 128);
    assert_true(get(b, 1, "dst_port").absent);
    assert_true(get(b, 1, "df").absent);
    assert_true(get(b, 1, "vlan").absent);
    assert_int_equal(get(b, 1, "ip_version").number, 6);
    assert_string_equal(get(b, 1, "kind").name, "ip6");
    assert_int_equal(get(b, 0, "weight").number, 1);
    b->has_weight = true;
    b->weight[0] = 7;
    assert_int_equal(get(b, 0, "weight").number, 7);
    b->marks[0] = BH_MARK_BAD_TIME | BH_MARK_NO_FLAGS;
    assert_true(get(b, 0, "time").absent);
    assert_true(get(b, 0, "tcp_flags").absent);
    b->marks[0] = BH_MARK_NO_PORTS;
    assert_true(get(b, 0, "src_port").absent);
    assert_true(get(b, 0, "tcp_seq").absent);
    assert_true(get(b, 0, "tunnel_sender").absent);
    b->want = 0;
    assert_true(get(b, 0, "ttl").absent);
    b->kind[0] = BH_KIND_ARP;
    assert_true(get(b, 0, "proto").absent);
    assert_int_equal(get(b, 0, "src").ip.family, 4);
    b->kind[0] = BH_KIND_NONE;
    assert_true(get(b, 0, "src").absent);
    bh_batch_free(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),  cmocka_unit_test(test_protocols),
        cmocka_unit_test(test_batch),  cmocka_unit_test(test_take_rows),
        cmocka_unit_test(test_seen),   cmocka_unit_test(test_schema),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
