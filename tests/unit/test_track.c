/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses and outcomes (MEANING.md 3, DETECTION.md 3 and 4.3).
 *
 * First tables of cases, rule by rule. Then thousands of small random scenes, each judged a second
 * time by a slow tracker that is written from the rules with plain arrays: one object, two and
 * three shards and `hold` must all agree with it, packet by packet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "batch_rows.h"
#include "bh_track.h"

#define HOME "203.0.113.60/24,198.51.100.8/30,2001:db8::5/64"
#define US "203.0.113.60"
#define THEM "192.0.2.7"
#define US6 "2001:db8::5"
#define THEM6 "2a00:1::7"
#define START (1000 * SEC)

#define FIN BH_TCP_FIN
#define SYN BH_TCP_SYN
#define RST BH_TCP_RST
#define PSH BH_TCP_PSH
#define ACK BH_TCP_ACK
#define URG BH_TCP_URG

/* ---- a tracker with the least a caller has to do around it -------------------------------------- */

struct lab {
    struct bh_home home;
    struct bh_track *track;
    struct bh_batch *batch;
    int64_t outcome[BH_OUTCOME_COUNT]; /* of counted TCP accesses */
    int64_t accesses;
    uint8_t cls[4096];
    uint32_t rows;
};

static void
lab_open(struct lab *l, struct bh_track_config cfg)
{
    *l = (struct lab){ .batch = bh_batch_new() };
    assert_int_equal(bh_home_parse(HOME, &l->home, NULL), 0);
    cfg.home = &l->home;
    cfg.start_ns = START;
    if (cfg.key == 0) {
        cfg.key = 42;
    }
    assert_int_equal(bh_track_new(&cfg, &l->track), 0);
}

static void
lab_close(struct lab *l)
{
    bh_track_free(l->track);
    bh_home_done(&l->home);
    bh_batch_free(l->batch);
}

/* As lib/analysis does it: all that was not answered until now is unknown. */
static void
lab_two_sided(struct lab *l)
{
    int64_t decided = 0;
    for (unsigned o = 1; o < BH_OUTCOME_COUNT; o++) {
        decided += l->outcome[o];
    }
    l->outcome[BH_OUTCOME_UNKNOWN] += l->accesses - decided;
}

static void
lab_flush(struct lab *l)
{
    struct bh_batch *b = l->batch;
    const struct bh_move *moves;
    bool before = bh_track_is_two_sided(l->track);
    bh_track_classify(l->track, b);
    if (!before && bh_track_is_two_sided(l->track)) {
        lab_two_sided(l);
    }
    size_t n = bh_track_flows(l->track, b, &moves);
    for (size_t k = 0; k < n; k++) {
        if (moves[k].from != BH_OUTCOME_NONE) {
            l->outcome[moves[k].from] -= moves[k].n;
        }
        if (moves[k].to != BH_OUTCOME_NONE) {
            l->outcome[moves[k].to] += moves[k].n;
        }
    }
    for (uint32_t i = 0; i < b->rows; i++) {
        l->accesses +=
            b->cls[i] == BH_CLASS_ACCESS && b->proto[i] == BH_PROTO_TCP && b->counted[i] == 1;
        if (l->rows < BH_COUNT(l->cls)) {
            l->cls[l->rows++] = b->cls[i];
        }
    }
    bh_batch_reset(b);
}

static void
lab_add(struct lab *l, const struct row *r)
{
    if (l->batch->rows == BH_BATCH_ROWS) {
        lab_flush(l);
    }
    row_add(l->batch, r);
}

/* What was not answered gets its name at the end. */
static void
lab_end(struct lab *l)
{
    lab_flush(l);
    int64_t rest = l->accesses;
    for (unsigned o = 1; o < BH_OUTCOME_COUNT; o++) {
        assert_true(l->outcome[o] >= 0);
        rest -= l->outcome[o];
    }
    assert_true(rest >= 0);
    l->outcome[bh_track_is_two_sided(l->track) ? BH_OUTCOME_SILENT : BH_OUTCOME_UNKNOWN] += rest;
}

/* Class of one packet alone. */
static unsigned
class_alone(const struct row *r, bool two_sided)
{
    struct lab l;
    lab_open(
        &l, (struct bh_track_config){ .outcomes = true, .two_sided = two_sided, .flow_slots = 64 });
    lab_add(&l, r);
    lab_flush(&l);
    unsigned cls = l.cls[0];
    lab_close(&l);
    return cls;
}

/* ---- flags --------------------------------------------------------------------------------------- */

/* Of FIN, SYN, RST, PSH, ACK, URG without a known flow; ECE and CWR change nothing. */
static unsigned
class_of_flags(unsigned flags)
{
    static const uint8_t table[64] = {
        [0] = BH_CLASS_TCP_NULL_SCAN,
        [FIN] = BH_CLASS_TCP_FIN_SCAN,
        [PSH] = BH_CLASS_TCP_ODD_FLAGS,
        [URG] = BH_CLASS_TCP_ODD_FLAGS,
        [FIN | PSH] = BH_CLASS_TCP_ODD_FLAGS,
        [FIN | URG] = BH_CLASS_TCP_ODD_FLAGS,
        [PSH | URG] = BH_CLASS_TCP_ODD_FLAGS,
        [FIN | PSH | URG] = BH_CLASS_TCP_XMAS_SCAN,
        [SYN] = BH_CLASS_ACCESS,
        [SYN | PSH] = BH_CLASS_ACCESS,
        [SYN | URG] = BH_CLASS_ACCESS,
        [SYN | PSH | URG] = BH_CLASS_ACCESS,
        [SYN | ACK] = BH_CLASS_TCP_BACKSCATTER,
        [SYN | ACK | PSH] = BH_CLASS_TCP_BACKSCATTER,
        [SYN | ACK | URG] = BH_CLASS_TCP_BACKSCATTER,
        [SYN | ACK | PSH | URG] = BH_CLASS_TCP_BACKSCATTER,
        [ACK] = BH_CLASS_TCP_STRAY, /* a scan only after ten minutes */
        [ACK | PSH] = BH_CLASS_TCP_STRAY,
        [ACK | URG] = BH_CLASS_TCP_STRAY,
        [ACK | PSH | URG] = BH_CLASS_TCP_STRAY,
        [ACK | FIN] = BH_CLASS_TCP_STRAY,
        [ACK | FIN | PSH] = BH_CLASS_TCP_STRAY,
        [ACK | FIN | URG] = BH_CLASS_TCP_STRAY,
        [ACK | FIN | PSH | URG] = BH_CLASS_TCP_STRAY,
    };
    flags &= 63;
    if ((flags & SYN) != 0 && (flags & (FIN | RST)) != 0) {
        return BH_CLASS_TCP_ODD_FLAGS;
    }
    return (flags & RST) != 0 ? (unsigned)BH_CLASS_TCP_BACKSCATTER : table[flags];
}

static void
test_flags(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 256; flags++) {
        struct row r = tcp_row(START, THEM, 40000, US, 80, flags),
                   r6 = tcp_row(START, THEM6, 40000, US6, 80, flags);
        if (class_alone(&r, true) != class_of_flags(flags) ||
            class_alone(&r6, true) != class_of_flags(flags)) {
            fail_msg("flags %02x: %s, not %s", flags, bh_class_name(class_alone(&r, true)),
                     bh_class_name(class_of_flags(flags)));
        }
        struct row out = tcp_row(START, US, 80, THEM, 40000, flags);
        assert_int_equal(class_alone(&out, true), BH_CLASS_NONE);
        struct row local = tcp_row(START, "198.51.100.9", 80, "198.51.100.10", 40000, flags);
        assert_int_equal(class_alone(&local, true), BH_CLASS_LOCAL);
        struct row transit = tcp_row(START, THEM, 80, "192.0.2.9", 40000, flags);
        assert_int_equal(class_alone(&transit, true), BH_CLASS_NONE);
    }
}

/* ---- single packets -------------------------------------------------------------------------------- */

static const struct {
    const char *name, *src, *dst;
    unsigned proto, sport, dport, marks;
    unsigned want;
    /* clang-format off: a table */
} singles[] = {
    { "UDP from outside", THEM, US, BH_PROTO_UDP, 5000, 138, 0, BH_CLASS_ACCESS },
    { "UDP from outside, IPv6", THEM6, US6, BH_PROTO_UDP, 5000, 138, 0, BH_CLASS_ACCESS },
    { "UDP of a neighbour", "203.0.113.61", US, BH_PROTO_UDP, 5000, 138, 0, BH_CLASS_ACCESS },
    { "UDP to our broadcast", "203.0.113.61", "203.0.113.255", BH_PROTO_UDP, 138, 138, 0,
      BH_CLASS_ACCESS },
    { "UDP to all", "0.0.0.0", "255.255.255.255", BH_PROTO_UDP, 68, 67, 0, BH_CLASS_ACCESS },
    { "UDP to multicast", "203.0.113.61", "239.255.255.250", BH_PROTO_UDP, 5000, 1900, 0,
      BH_CLASS_ACCESS },
    { "UDP to IPv6 multicast", "fe80::1", "ff02::fb", BH_PROTO_UDP, 5353, 5353, 0,
      BH_CLASS_ACCESS },
    { "UDP from port 53 without a query", THEM, US, BH_PROTO_UDP, 53, 40000, 0,
      BH_CLASS_UDP_BACKSCATTER },
    { "UDP to port 53", THEM, US, BH_PROTO_UDP, 40000, 53, 0, BH_CLASS_ACCESS },
    { "UDP of ours", US, THEM, BH_PROTO_UDP, 40000, 53, 0, BH_CLASS_NONE },
    { "UDP at home", "198.51.100.9", "198.51.100.10", BH_PROTO_UDP, 40000, 53, 0, BH_CLASS_LOCAL },
    { "UDP of ours to all", US, "255.255.255.255", BH_PROTO_UDP, 68, 67, 0, BH_CLASS_LOCAL },
    { "UDP passing by", THEM, "192.0.2.9", BH_PROTO_UDP, 40000, 53, 0, BH_CLASS_NONE },
    { "a later fragment of UDP", THEM, US, BH_PROTO_UDP, 0, 0, BH_MARK_NO_PORTS | BH_MARK_FRAGMENT,
      BH_CLASS_FRAGMENT },
    { "a later fragment of TCP", THEM, US, BH_PROTO_TCP, 0, 0, BH_MARK_NO_PORTS | BH_MARK_FRAGMENT,
      BH_CLASS_FRAGMENT },
    { "a later fragment of ICMP", THEM, US, BH_PROTO_ICMP, 0, 0,
      BH_MARK_NO_PORTS | BH_MARK_FRAGMENT, BH_CLASS_FRAGMENT },
    { "a later fragment of ours", US, THEM, BH_PROTO_UDP, 0, 0, BH_MARK_NO_PORTS | BH_MARK_FRAGMENT,
      BH_CLASS_NONE },
    { "a later fragment at home", "198.51.100.9", "198.51.100.10", BH_PROTO_UDP, 0, 0,
      BH_MARK_NO_PORTS | BH_MARK_FRAGMENT, BH_CLASS_LOCAL },
    { "a cut UDP header", THEM, US, BH_PROTO_UDP, 0, 0, BH_MARK_NO_PORTS | BH_MARK_TRUNCATED,
      BH_CLASS_CUT },
    { "a cut TCP header", THEM, US, BH_PROTO_TCP, 0, 0, BH_MARK_NO_PORTS | BH_MARK_TRUNCATED,
      BH_CLASS_CUT },
    { "a malformed TCP header", THEM, US, BH_PROTO_TCP, 0, 0, BH_MARK_NO_PORTS | BH_MARK_MALFORMED,
      BH_CLASS_CUT },
    { "a duplicate", THEM, US, BH_PROTO_UDP, 5000, 138, BH_MARK_DUPLICATE, BH_CLASS_NONE },
    { "GRE", THEM, US, 47, 0, 0, BH_MARK_NO_PORTS, BH_CLASS_OTHER_PROTOCOL },
    { "SCTP", THEM, US, 132, 1, 1, 0, BH_CLASS_OTHER_PROTOCOL },
    { "GRE of ours", US, THEM, 47, 0, 0, BH_MARK_NO_PORTS, BH_CLASS_NONE },
    { "ping", THEM, US, BH_PROTO_ICMP, 8, 0, 0, BH_CLASS_ICMP_ECHO_REQUEST },
    { "ping to our broadcast", THEM, "203.0.113.255", BH_PROTO_ICMP, 8, 0, 0,
      BH_CLASS_ICMP_ECHO_REQUEST },
    { "our ping", US, THEM, BH_PROTO_ICMP, 8, 0, 0, BH_CLASS_ICMP_OTHER },
    { "ping at home", "198.51.100.9", "198.51.100.10", BH_PROTO_ICMP, 8, 0, 0, BH_CLASS_LOCAL },
    { "echo reply of ours", US, THEM, BH_PROTO_ICMP, 0, 0, 0, BH_CLASS_ICMP_ECHO_REPLY_SENT },
    { "unreachable of ours", US, THEM, BH_PROTO_ICMP, 3, 3, 0, BH_CLASS_ICMP_UNREACHABLE_SENT },
    { "echo reply to us", THEM, US, BH_PROTO_ICMP, 0, 0, 0, BH_CLASS_ICMP_BACKSCATTER },
    { "unreachable to us", THEM, US, BH_PROTO_ICMP, 3, 1, 0, BH_CLASS_ICMP_BACKSCATTER },
    { "source quench to us", THEM, US, BH_PROTO_ICMP, 4, 0, 0, BH_CLASS_ICMP_BACKSCATTER },
    { "redirect to us", THEM, US, BH_PROTO_ICMP, 5, 0, 0, BH_CLASS_ICMP_BACKSCATTER },
    { "time exceeded to us", THEM, US, BH_PROTO_ICMP, 11, 0, 0, BH_CLASS_ICMP_BACKSCATTER },
    { "parameter problem to us", THEM, US, BH_PROTO_ICMP, 12, 0, 0, BH_CLASS_ICMP_BACKSCATTER },
    { "timestamp request", THEM, US, BH_PROTO_ICMP, 13, 0, 0, BH_CLASS_ICMP_OTHER },
    { "timestamp reply to us", THEM, US, BH_PROTO_ICMP, 14, 0, 0, BH_CLASS_ICMP_BACKSCATTER },
    { "information reply to us", THEM, US, BH_PROTO_ICMP, 16, 0, 0, BH_CLASS_ICMP_BACKSCATTER },
    { "mask request", THEM, US, BH_PROTO_ICMP, 17, 0, 0, BH_CLASS_ICMP_OTHER },
    { "mask reply to us", THEM, US, BH_PROTO_ICMP, 18, 0, 0, BH_CLASS_ICMP_BACKSCATTER },
    { "unreachable passing by", "192.0.2.1", THEM, BH_PROTO_ICMP, 3, 1, 0, BH_CLASS_NONE },
    { "ping, IPv6", THEM6, US6, BH_PROTO_ICMP6, 128, 0, 0, BH_CLASS_ICMP_ECHO_REQUEST },
    { "echo reply of ours, IPv6", US6, THEM6, BH_PROTO_ICMP6, 129, 0, 0,
      BH_CLASS_ICMP_ECHO_REPLY_SENT },
    { "echo reply to us, IPv6", THEM6, US6, BH_PROTO_ICMP6, 129, 0, 0, BH_CLASS_ICMP_BACKSCATTER },
    { "unreachable of ours, IPv6", US6, THEM6, BH_PROTO_ICMP6, 1, 4, 0,
      BH_CLASS_ICMP_UNREACHABLE_SENT },
    { "packet too big to us", THEM6, US6, BH_PROTO_ICMP6, 2, 0, 0, BH_CLASS_ICMP_BACKSCATTER },
    { "router solicitation", THEM6, "ff02::2", BH_PROTO_ICMP6, 133, 0, 0,
      BH_CLASS_NEIGHBOUR_DISCOVERY },
    { "redirect, IPv6", THEM6, US6, BH_PROTO_ICMP6, 137, 0, 0, BH_CLASS_NEIGHBOUR_DISCOVERY },
    { "multicast listener query", THEM6, "ff02::1", BH_PROTO_ICMP6, 130, 0, 0,
      BH_CLASS_ICMP_OTHER },
    { "neighbour solicitation of ours", US6, "2001:db8::1", BH_PROTO_ICMP6, 135, 0, 0,
      BH_CLASS_NEIGHBOUR_DISCOVERY },
};
/* clang-format on */

static void
test_singles(void **state)
{
    (void)state;
    for (size_t i = 0; i < BH_COUNT(singles); i++) {
        struct row r =
            udp_row(START, singles[i].src, singles[i].sport, singles[i].dst, singles[i].dport);
        r.proto = (uint8_t)singles[i].proto;
        r.marks = (uint8_t)singles[i].marks;
        unsigned got = class_alone(&r, false);
        if (got != singles[i].want) {
            fail_msg("%s: %s, not %s", singles[i].name, bh_class_name(got),
                     bh_class_name(singles[i].want));
        }
    }
}

static void
test_frames(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, (struct bh_track_config){ .flow_slots = 64 });
    row_add_frame(l.batch, START, true);
    row_add_frame(l.batch, START, false);
    bh_track_classify(l.track, l.batch);
    assert_int_equal(l.batch->cls[0], BH_CLASS_ARP);
    assert_int_equal(l.batch->cls[1], BH_CLASS_NONE);
    assert_int_equal(l.batch->direction[0], BH_DIR_UNKNOWN);
    assert_int_equal(l.batch->direction[1], BH_DIR_UNKNOWN);
    lab_close(&l);
}

static void
test_imports(void **state)
{
    (void)state;
    struct lab l;
    struct row syn = tcp_row(START, THEM, 1, US, 80, 0), udp = udp_row(START, THEM, 53, US, 80);
    syn.marks = BH_MARK_NO_FLAGS;
    /* Without flags nobody knows ... */
    assert_int_equal(class_alone(&syn, false), BH_CLASS_NONE);
    /* ... but --all-accesses says so. Without destinations all came to us. */
    lab_open(&l,
             (struct bh_track_config){ .all_accesses = true, .outcomes = true, .flow_slots = 64 });
    l.batch->all_inbound = true;
    syn.dst = udp.dst = ip_of("0.0.0.0");
    lab_add(&l, &syn);
    lab_add(&l, &udp);
    lab_flush(&l);
    assert_int_equal(l.cls[0], BH_CLASS_ACCESS);
    assert_int_equal(l.cls[1], BH_CLASS_ACCESS);
    lab_close(&l);
}

/* ---- small scenes: UDP ---------------------------------------------------------------------------------- */

enum { IN, OUT, BC, MC, LOC, CALLED }; /* BC, MC: we to broadcast, multicast; LOC: at home */

#define STEPS 8
struct talk_case {
    const char *name;
    /* ports as sent; want + 1 */
    struct {
        int ms;
        uint8_t dir;
        unsigned remote, sport, dport;
        int want;
    } step[STEPS];
};
#define W(cls) ((cls) + 1)

/* clang-format off: a table */
static const struct talk_case talks[] = {
    { "opened outside: every datagram of the opener",
      { { 0, IN, 7, 5000, 138, W(BH_CLASS_ACCESS) },
        { 1, OUT, 7, 138, 5000, W(BH_CLASS_NONE) },
        { 2, IN, 7, 5000, 138, W(BH_CLASS_ACCESS) } } },
    { "opened by us: answers",
      { { 0, OUT, 7, 138, 5000, W(BH_CLASS_NONE) },
        { 1, IN, 7, 5000, 138, W(BH_CLASS_UDP_ANSWER) },
        { 2, IN, 7, 5000, 138, W(BH_CLASS_UDP_ANSWER) } } },
    { "other ports are another conversation",
      { { 0, OUT, 7, 138, 5000, W(BH_CLASS_NONE) },
        { 1, IN, 7, 5001, 138, W(BH_CLASS_ACCESS) },
        { 2, IN, 7, 5000, 139, W(BH_CLASS_ACCESS) } } },
    { "another address is another conversation",
      { { 0, OUT, 7, 138, 5000, W(BH_CLASS_NONE) }, { 1, IN, 8, 5000, 138, W(BH_CLASS_ACCESS) } } },
    { "idle 59.9 s: still answers",
      { { 0, OUT, 7, 138, 5000, W(BH_CLASS_NONE) },
        { 59900, IN, 7, 5000, 138, W(BH_CLASS_UDP_ANSWER) } } },
    { "idle 60.1 s: a new conversation, opened outside",
      { { 0, OUT, 7, 138, 5000, W(BH_CLASS_NONE) },
        { 60100, IN, 7, 5000, 138, W(BH_CLASS_ACCESS) },
        { 60200, OUT, 7, 138, 5000, W(BH_CLASS_NONE) },
        { 60300, IN, 7, 5000, 138, W(BH_CLASS_ACCESS) } } },
    { "idle 60.1 s: a new conversation, opened by us",
      { { 0, IN, 7, 5000, 138, W(BH_CLASS_ACCESS) },
        { 60100, OUT, 7, 138, 5000, W(BH_CLASS_NONE) },
        { 60200, IN, 7, 5000, 138, W(BH_CLASS_UDP_ANSWER) } } },
    { "each datagram of either side keeps it alive",
      { { 0, OUT, 7, 138, 5000, W(BH_CLASS_NONE) },
        { 50000, IN, 7, 5000, 138, W(BH_CLASS_UDP_ANSWER) },
        { 100000, OUT, 7, 138, 5000, W(BH_CLASS_NONE) },
        { 150000, IN, 7, 5000, 138, W(BH_CLASS_UDP_ANSWER) } } },
    { "from port 53 with a query of ours",
      { { 0, OUT, 7, 40000, 53, W(BH_CLASS_NONE) },
        { 10, IN, 7, 53, 40000, W(BH_CLASS_UDP_ANSWER) },
        { 60200, IN, 7, 53, 40000, W(BH_CLASS_UDP_BACKSCATTER) } } },
    { "from port 53 without one, however often",
      { { 0, IN, 7, 53, 40000, W(BH_CLASS_UDP_BACKSCATTER) },
        { 10, IN, 7, 53, 40000, W(BH_CLASS_UDP_BACKSCATTER) },
        { 20, IN, 7, 53, 53, W(BH_CLASS_UDP_BACKSCATTER) } } },
    { "from port 53, the query went to another",
      { { 0, OUT, 8, 40000, 53, W(BH_CLASS_NONE) },
        { 10, IN, 7, 53, 40000, W(BH_CLASS_UDP_BACKSCATTER) } } },
    { "answers to a broadcast call within 60 s, from anywhere",
      { { 0, BC, 0, 5000, 137, W(BH_CLASS_LOCAL) },
        { 100, IN, 7, 137, 5000, W(BH_CLASS_UDP_ANSWER) },
        { 59900, IN, 8, 999, 5000, W(BH_CLASS_UDP_ANSWER) },
        { 60100, IN, 9, 137, 5000, W(BH_CLASS_ACCESS) } } },
    { "a call again",
      { { 0, MC, 0, 5000, 5353, W(BH_CLASS_LOCAL) },
        { 50000, MC, 0, 5000, 5353, W(BH_CLASS_LOCAL) },
        { 100000, IN, 7, 5353, 5000, W(BH_CLASS_UDP_ANSWER) },
        { 110100, IN, 8, 5353, 5000, W(BH_CLASS_ACCESS) } } },
    { "a call from another port excuses nothing",
      { { 0, BC, 0, 5000, 137, W(BH_CLASS_LOCAL) },
        { 100, IN, 7, 137, 5001, W(BH_CLASS_ACCESS) } } },
    { "what we send to one host at home is no call",
      { { 0, LOC, 0, 5000, 137, W(BH_CLASS_LOCAL) },
        { 100, CALLED, 7, 137, 5000, W(BH_CLASS_ACCESS) } } },
    { "an access before the call stays one",
      { { 0, IN, 7, 137, 5000, W(BH_CLASS_ACCESS) },
        { 10, BC, 0, 5000, 137, W(BH_CLASS_LOCAL) },
        { 20, IN, 7, 137, 5000, W(BH_CLASS_ACCESS) },
        { 30, IN, 8, 137, 5000, W(BH_CLASS_UDP_ANSWER) } } },
};
/* clang-format on */

static struct row
talk_row(const struct talk_case *c, unsigned k, bool v6)
{
    char remote[40];
    snprintf(remote, sizeof remote, v6 ? "2a00:1::%u" : "192.0.2.%u", c->step[k].remote);
    const char *us = v6 ? US6 : US;
    int64_t ts = START + c->step[k].ms * MS;
    unsigned s = c->step[k].sport, d = c->step[k].dport;
    switch (c->step[k].dir) {
    case IN:
        return udp_row(ts, remote, s, us, d);
    case OUT:
        return udp_row(ts, us, s, remote, d);
    case BC:
        return udp_row(ts, us, s, v6 ? "ff02::1" : "203.0.113.255", d);
    case MC:
        return udp_row(ts, us, s, v6 ? "ff02::fb" : "224.0.0.251", d);
    case LOC:
        return v6 ? udp_row(ts, us, s, us, d) : udp_row(ts, "198.51.100.9", s, "198.51.100.10", d);
    default: /* CALLED: to the one that spoke at home */
        return udp_row(ts, remote, s, v6 ? us : "198.51.100.9", d);
    }
}

static void
test_talks(void **state)
{
    (void)state;
    for (size_t i = 0; i < BH_COUNT(talks); i++) {
        /* both families; in one batch, and each packet in its own */
        for (int how = 0; how < 4; how++) {
            struct lab l;
            lab_open(&l, (struct bh_track_config){ .flow_slots = 1U << 12 });
            for (unsigned k = 0; k < STEPS && talks[i].step[k].want != 0; k++) {
                struct row r = talk_row(&talks[i], k, (how & 1) != 0);
                lab_add(&l, &r);
                if ((how & 2) != 0) {
                    lab_flush(&l);
                }
            }
            lab_flush(&l);
            for (unsigned k = 0; k < l.rows; k++) {
                if (W(l.cls[k]) != talks[i].step[k].want) {
                    fail_msg("%s: packet %u is %s", talks[i].name, k, bh_class_name(l.cls[k]));
                }
            }
            lab_close(&l);
        }
    }
}

/* ---- small scenes: TCP ------------------------------------------------------------------------------------ */

enum { SRV = 100, GATE }; /* an ICMP unreachable, quoting: sent by us, or by somebody on the way */

struct flow_case {
    const char *name;
    /* flags 0: the end */
    struct {
        int ms;
        uint8_t dir, flags;
        uint32_t seq;
        uint16_t payload;
    } step[STEPS];
    int64_t complete, reset, half, refused, silent, unknown;
    bool one_sided;
};

/* clang-format off: a table */
static const struct flow_case flow_cases[] = {
    { .name = "no answer, both sides seen", .step = { { 0, IN, SYN, 1, 0 } }, .silent = 1 },
    { .name = "no answer, one side seen",
      .step = { { 0, IN, SYN, 1, 0 } },
      .unknown = 1,
      .one_sided = true },
    { .name = "complete",
      .step = { { 0, IN, SYN, 1, 0 }, { 1, OUT, SYN | ACK, 9, 0 }, { 2, IN, ACK, 2, 0 } },
      .complete = 1 },
    { .name = "complete with the first payload",
      .step = { { 0, IN, SYN, 1, 0 }, { 1, OUT, SYN | ACK, 9, 0 }, { 2, IN, ACK | PSH, 2, 10 } },
      .complete = 1 },
    { .name = "complete by FIN-ACK",
      .step = { { 0, IN, SYN, 1, 0 }, { 1, OUT, SYN | ACK, 9, 0 }, { 2, IN, ACK | FIN, 2, 0 } },
      .complete = 1 },
    { .name = "half open",
      .step = { { 0, IN, SYN, 1, 0 }, { 1, OUT, SYN | ACK, 9, 0 } },
      .half = 1 },
    { .name = "half open, our own RST after",
      .step = { { 0, IN, SYN, 1, 0 }, { 1, OUT, SYN | ACK, 9, 0 }, { 9000, OUT, RST, 9, 0 } },
      .half = 1 },
    { .name = "reset by client in place of the ACK",
      .step = { { 0, IN, SYN, 1, 0 }, { 1, OUT, SYN | ACK, 9, 0 }, { 2, IN, RST, 2, 0 } },
      .reset = 1 },
    { .name = "reset by client after the ACK, before payload",
      .step = { { 0, IN, SYN, 1, 0 },
                { 1, OUT, SYN | ACK, 9, 0 },
                { 2, IN, ACK, 2, 0 },
                { 3, IN, RST | ACK, 2, 0 } },
      .reset = 1 },
    { .name = "RST after payload of theirs is complete",
      .step = { { 0, IN, SYN, 1, 0 },
                { 1, OUT, SYN | ACK, 9, 0 },
                { 2, IN, ACK, 2, 0 },
                { 3, IN, ACK | PSH, 2, 5 },
                { 4, IN, RST, 2, 0 } },
      .complete = 1 },
    { .name = "RST after payload of ours is complete",
      .step = { { 0, IN, SYN, 1, 0 },
                { 1, OUT, SYN | ACK, 9, 0 },
                { 2, IN, ACK, 2, 0 },
                { 3, OUT, ACK | PSH, 2, 5 },
                { 4, IN, RST, 2, 0 } },
      .complete = 1 },
    { .name = "refused by RST",
      .step = { { 0, IN, SYN, 1, 0 }, { 1, OUT, RST | ACK, 0, 0 } },
      .refused = 1 },
    { .name = "refused by ICMP of ours",
      .step = { { 0, IN, SYN, 1, 0 }, { 1, SRV, 1, 0, 0 } },
      .refused = 1 },
    { .name = "refused by ICMP of a router, which does not show our side",
      .step = { { 0, IN, SYN, 1, 0 }, { 1, GATE, 1, 0, 0 } },
      .refused = 1,
      .one_sided = true },
    { .name = "refused by a router, then both sides are seen",
      .one_sided = true,
      .step = { { 0, IN, SYN, 1, 0 }, { 1, GATE, 1, 0, 0 }, { 100000, OUT, ACK, 0, 0 } },
      .refused = 1 },
    { .name = "refused and asked again, each time",
      .step = { { 0, IN, SYN, 1, 0 },
                { 1, OUT, RST | ACK, 0, 0 },
                { 500, IN, SYN, 1, 0 },
                { 501, OUT, RST | ACK, 0, 0 } },
      .refused = 2 },
    { .name = "their RST without an answer is silence",
      .step = { { 0, IN, SYN, 1, 0 }, { 1, IN, RST, 1, 0 } },
      .silent = 1 },
    { .name = "their ACK without an answer is silence",
      .step = { { 0, IN, SYN, 1, 0 }, { 1, IN, ACK, 1, 0 } },
      .silent = 1 },
    { .name = "a repeated SYN has its connection's outcome",
      .step = { { 0, IN, SYN, 1, 0 },
                { 1000, IN, SYN, 1, 0 },
                { 3000, IN, SYN, 1, 0 },
                { 3001, OUT, SYN | ACK, 9, 0 },
                { 3002, IN, ACK, 2, 0 } },
      .complete = 3 },
    { .name = "a repeated SYN after the answer, too",
      .step = { { 0, IN, SYN, 1, 0 },
                { 1, OUT, SYN | ACK, 9, 0 },
                { 1000, IN, SYN, 1, 0 },
                { 1001, OUT, SYN | ACK, 9, 0 } },
      .half = 2 },
    { .name = "another sequence number opens a new one and settles the old",
      .step = { { 0, IN, SYN, 1, 0 },
                { 1000, IN, SYN, 77, 0 },
                { 1001, OUT, SYN | ACK, 9, 0 },
                { 1002, IN, ACK, 78, 0 } },
      .complete = 1,
      .silent = 1 },
    { .name = "another sequence number, the old one half open",
      .step = { { 0, IN, SYN, 1, 0 },
                { 1, OUT, SYN | ACK, 9, 0 },
                { 1000, IN, SYN, 77, 0 },
                { 1001, OUT, RST, 9, 0 } },
      .half = 1,
      .refused = 1 },
    { .name = "answered after 29.9 s",
      .step = { { 0, IN, SYN, 1, 0 }, { 29900, OUT, RST, 9, 0 } },
      .refused = 1 },
    { .name = "answered after 30.1 s",
      .step = { { 0, IN, SYN, 1, 0 }, { 30100, OUT, RST, 9, 0 } },
      .silent = 1 },
    { .name = "acknowledged after 29.9 s",
      .step = { { 0, IN, SYN, 1, 0 }, { 1, OUT, SYN | ACK, 9, 0 }, { 29900, IN, ACK, 2, 0 } },
      .complete = 1 },
    { .name = "acknowledged after 30.1 s",
      .step = { { 0, IN, SYN, 1, 0 }, { 1, OUT, SYN | ACK, 9, 0 }, { 30100, IN, ACK, 2, 0 } },
      .half = 1 },
    { .name = "reset after 30.1 s",
      .step = { { 0, IN, SYN, 1, 0 },
                { 1, OUT, SYN | ACK, 9, 0 },
                { 2, IN, ACK, 2, 0 },
                { 30100, IN, RST, 2, 0 } },
      .complete = 1 },
    { .name = "the window begins with the first SYN",
      .step = { { 0, IN, SYN, 1, 0 }, { 29900, IN, SYN, 1, 0 }, { 30100, OUT, RST, 9, 0 } },
      .silent = 2 },
    { .name = "a SYN after the window is a new connection",
      .step = { { 0, IN, SYN, 1, 0 }, { 30100, IN, SYN, 1, 0 }, { 30200, OUT, RST, 9, 0 } },
      .silent = 1,
      .refused = 1 },
    { .name = "odd flags change nothing",
      .step = { { 0, IN, SYN, 1, 0 },
                { 1, OUT, SYN | ACK, 9, 0 },
                { 2, IN, FIN, 2, 0 },
                { 3, IN, SYN | RST, 2, 0 } },
      .half = 1 },
    { .name = "simultaneous open is no handshake",
      .step = { { 0, IN, SYN, 1, 0 }, { 1, OUT, SYN, 9, 0 }, { 2, IN, SYN | ACK, 2, 0 } },
      .silent = 1 },
    { .name = "our own connection first, then theirs",
      .step = { { 0, OUT, SYN, 9, 0 }, { 5, IN, SYN, 1, 0 }, { 6, OUT, SYN | ACK, 9, 0 } },
      .half = 1 },
    { .name = "two-sided before the verdict",
      .one_sided = true,
      .step = { { 0, IN, SYN, 1, 0 }, { 29900, OUT, ACK, 0, 0 } },
      .silent = 1 },
    { .name = "two-sided after the verdict",
      .one_sided = true,
      .step = { { 0, IN, SYN, 1, 0 }, { 30100, OUT, ACK, 0, 0 } },
      .unknown = 1 },
    { .name = "two-sided in the middle",
      .one_sided = true,
      .step = { { 0, IN, SYN, 1, 0 },
                { 20000, IN, SYN, 5, 0 },
                { 40000, OUT, ACK, 0, 0 },
                { 50000, IN, SYN, 9, 0 } },
      .unknown = 1,
      .silent = 2 },
    { .name = "a repeated SYN does not lengthen the window of a one-sided view",
      .one_sided = true,
      .step = { { 0, IN, SYN, 1, 0 }, { 20000, IN, SYN, 1, 0 }, { 40000, OUT, ACK, 0, 0 } },
      .unknown = 2 },
    { .name = "a complete one shows the other side",
      .one_sided = true,
      .step = { { 0, IN, SYN, 1, 0 }, { 1, OUT, SYN | ACK, 9, 0 }, { 2, IN, ACK, 2, 0 } },
      .complete = 1 },
};
/* clang-format on */

/* The ICMP error about the SYN of the case. */
static void
add_unreachable(struct lab *l, int64_t ts, bool by_us, bool v6)
{
    struct row quoted =
        v6 ? tcp_row(ts, THEM6, 40000, US6, 80, 0) : tcp_row(ts, THEM, 40000, US, 80, 0);
    struct row r = icmp_row(ts, v6 ? (by_us ? US6 : "2001:db8::1") : (by_us ? US : "203.0.113.1"),
                            v6 ? THEM6 : THEM, v6 ? 1 : 3, v6 ? 4 : 3);
    uint32_t at = row_add(l->batch, &r);
    row_quote(l->batch, at, &quoted);
}

static void
run_flow(struct lab *l, const struct flow_case *c, bool v6, bool apart)
{
    for (unsigned k = 0; k < STEPS && c->step[k].flags != 0; k++) {
        int64_t ts = START + c->step[k].ms * MS;
        const char *us = v6 ? US6 : US, *them = v6 ? THEM6 : THEM;
        if (c->step[k].dir >= SRV) {
            add_unreachable(l, ts, c->step[k].dir == SRV, v6);
        } else {
            bool in = c->step[k].dir == IN;
            struct row r = tcp_row(ts, in ? them : us, in ? 40000 : 80, in ? us : them,
                                   in ? 80 : 40000, c->step[k].flags);
            r.seq = c->step[k].seq;
            r.payload = c->step[k].payload;
            lab_add(l, &r);
        }
        if (apart) {
            lab_flush(l);
        }
    }
}

static void
test_outcomes(void **state)
{
    (void)state;
    for (size_t i = 0; i < BH_COUNT(flow_cases); i++) {
        const struct flow_case *c = &flow_cases[i];
        const int64_t want[BH_OUTCOME_COUNT] = { 0,          c->complete, c->reset,  c->half,
                                                 c->refused, c->silent,   c->unknown };
        for (int how = 0; how < 4; how++) {
            struct lab l;
            lab_open(&l, (struct bh_track_config){
                             .outcomes = true, .two_sided = !c->one_sided, .flow_slots = 64 });
            run_flow(&l, c, (how & 1) != 0, (how & 2) != 0);
            lab_end(&l);
            for (unsigned o = 1; o < BH_OUTCOME_COUNT; o++) {
                if (l.outcome[o] != want[o]) {
                    fail_msg("%s%s%s: %d %s, not %d", c->name, how & 1 ? ", IPv6" : "",
                             how & 2 ? ", batch by batch" : "", (int)l.outcome[o],
                             bh_outcome_name(o), (int)want[o]);
                }
            }
            lab_close(&l);
        }
    }
}

/* With `hold` each access is asked for by itself. */
static void
test_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < BH_COUNT(flow_cases); i++) {
        const struct flow_case *c = &flow_cases[i];
        const int64_t want[BH_OUTCOME_COUNT] = { 0,          c->complete, c->reset,  c->half,
                                                 c->refused, c->silent,   c->unknown };
        struct lab l;
        const struct bh_move *moves;
        int64_t got[BH_OUTCOME_COUNT] = { 0 };
        lab_open(
            &l, (struct bh_track_config){
                    .outcomes = true, .hold = true, .two_sided = !c->one_sided, .flow_slots = 64 });
        run_flow(&l, c, false, false);
        bh_track_classify(l.track, l.batch);
        assert_int_equal(bh_track_flows(l.track, l.batch, &moves), 0);
        for (uint32_t k = 0; k < l.batch->rows; k++) {
            if (l.batch->cls[k] == BH_CLASS_ACCESS) {
                got[bh_track_verdict(l.track, l.batch->connection[k], l.batch->ts_ns[k])]++;
            }
        }
        for (unsigned o = 0; o < BH_OUTCOME_COUNT; o++) {
            if (got[o] != want[o]) {
                fail_msg("%s, held: %d %s, not %d", c->name, (int)got[o], bh_outcome_name(o),
                         (int)want[o]);
            }
        }
        lab_close(&l);
    }
}

/* What is outside the period, or a visit, moves nothing. */
static void
test_not_counted(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, (struct bh_track_config){ .outcomes = true, .two_sided = true, .flow_slots = 64 });
    struct row syn = tcp_row(START, THEM, 40000, US, 80, SYN),
               synack = tcp_row(START + 1, US, 80, THEM, 40000, SYN | ACK);
    l.batch->counted[row_add(l.batch, &syn)] = 0;
    row_add(l.batch, &syn); /* repeated: counted */
    l.batch->counted[1] = 1;
    row_add(l.batch, &synack);
    lab_end(&l);
    assert_int_equal(l.outcome[BH_OUTCOME_HALF_OPEN], 1);
    assert_int_equal(l.accesses, 1);
    lab_close(&l);
}

/* Without outcomes connections are not followed, but an access is one, and a segment of ours is known. */
static void
test_outcomes_no(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l,
             (struct bh_track_config){ .outcomes = false, .two_sided = true, .flow_slots = 64 });
    struct row row[] = { tcp_row(START, THEM, 40000, US, 80, SYN),
                         tcp_row(START + 1, US, 80, THEM, 40000, SYN | ACK),
                         tcp_row(START + 2, THEM, 40000, US, 80, ACK),
                         tcp_row(START + 3, THEM, 40001, US, 80, SYN | ACK) };
    for (size_t i = 0; i < BH_COUNT(row); i++) {
        lab_add(&l, &row[i]);
    }
    lab_flush(&l);
    assert_int_equal(l.cls[0], BH_CLASS_ACCESS);
    assert_int_equal(l.cls[2], BH_CLASS_TCP_IN_FLOW);
    assert_int_equal(l.cls[3], BH_CLASS_TCP_BACKSCATTER);
    for (unsigned o = 0; o < BH_OUTCOME_COUNT; o++) {
        assert_int_equal(l.outcome[o], 0);
    }
    lab_close(&l);
}

/* ---- segments without a connection ------------------------------------------------------------------------- */

static void
test_strays(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool two_sided;
        int ours_ms, at_ms; /* ours_ms < 0: never */
        unsigned flags, payload, want;
    } cases[] = {
        { "ACK after 9:59", true, -1, 599900, ACK, 0, BH_CLASS_TCP_STRAY },
        { "ACK after 10:00", true, -1, 600000, ACK, 0, BH_CLASS_TCP_ACK_SCAN },
        { "ACK with payload", true, -1, 600100, ACK, 1, BH_CLASS_TCP_STRAY },
        { "ACK with ECE", true, -1, 600100, ACK | BH_TCP_ECE, 0, BH_CLASS_TCP_ACK_SCAN },
        { "ACK and PSH", true, -1, 600100, ACK | PSH, 0, BH_CLASS_TCP_STRAY },
        { "ACK, one side seen", false, -1, 600100, ACK, 0, BH_CLASS_TCP_STRAY },
        { "ACK, two sides since", false, 1000, 600100, ACK, 0, BH_CLASS_TCP_ACK_SCAN },
        { "RST", true, -1, 600100, RST, 0, BH_CLASS_TCP_BACKSCATTER },
        { "SYN-ACK", true, -1, 600100, SYN | ACK, 0, BH_CLASS_TCP_BACKSCATTER },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct lab l;
        lab_open(&l, (struct bh_track_config){
                         .outcomes = true, .two_sided = cases[i].two_sided, .flow_slots = 64 });
        if (cases[i].ours_ms >= 0) {
            struct row ours = tcp_row(START + cases[i].ours_ms * MS, US, 1, "192.0.2.200", 2, SYN);
            lab_add(&l, &ours);
        }
        struct row r = tcp_row(START + cases[i].at_ms * MS, THEM, 40000, US, 80, cases[i].flags);
        r.payload = (uint16_t)cases[i].payload;
        lab_add(&l, &r);
        lab_flush(&l);
        if (l.cls[l.rows - 1] != cases[i].want) {
            fail_msg("%s: %s", cases[i].name, bh_class_name(l.cls[l.rows - 1]));
        }
        lab_close(&l);
    }
}

/* A connection is known for 300 s after its last segment, ours or theirs (a second more or less). */
static void
test_idle(void **state)
{
    (void)state;
    static const struct {
        int first_ms, second_ms;
        unsigned opener, want;
    } cases[] = {
        { 298000, 298001, IN, BH_CLASS_TCP_IN_FLOW },  { 302500, 302501, IN, BH_CLASS_TCP_STRAY },
        { 298000, 596000, IN, BH_CLASS_TCP_IN_FLOW },  { 298000, 600600, IN, BH_CLASS_TCP_STRAY },
        { 298000, 298001, OUT, BH_CLASS_TCP_IN_FLOW }, { 302500, 302501, OUT, BH_CLASS_TCP_STRAY },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct lab l;
        lab_open(&l, (struct bh_track_config){ .outcomes = true, .flow_slots = 64 });
        struct row open = cases[i].opener == IN ? tcp_row(START, THEM, 40000, US, 80, SYN)
                                                : tcp_row(START, US, 80, THEM, 40000, ACK);
        struct row a = tcp_row(START + cases[i].first_ms * MS, THEM, 40000, US, 80, ACK | PSH);
        struct row b = tcp_row(START + cases[i].second_ms * MS, THEM, 40000, US, 80, ACK | PSH);
        lab_add(&l, &open);
        lab_add(&l, &a);
        lab_add(&l, &b);
        lab_flush(&l);
        assert_int_equal(l.cls[2], cases[i].want);
        lab_close(&l);
    }
}

/* An ICMP error settles only the connection it quotes, and only when it goes to who asked. */
static void
test_quotes(void **state)
{
    (void)state;
    static const struct {
        const char *name, *from, *to, *quoted_src, *quoted_dst;
        unsigned quoted_proto, sport, dport, refused;
    } cases[] = {
        { "ours", US, THEM, THEM, US, BH_PROTO_TCP, 40000, 80, 1 },
        { "a router's", "203.0.113.1", THEM, THEM, US, BH_PROTO_TCP, 40000, 80, 1 },
        { "another port", US, THEM, THEM, US, BH_PROTO_TCP, 40001, 80, 0 },
        { "another protocol", US, THEM, THEM, US, BH_PROTO_UDP, 40000, 80, 0 },
        { "the wrong way round", US, THEM, US, THEM, BH_PROTO_TCP, 80, 40000, 0 },
        { "to somebody else", US, "192.0.2.99", THEM, US, BH_PROTO_TCP, 40000, 80, 0 },
        { "from outside, forged", "192.0.2.99", US, THEM, US, BH_PROTO_TCP, 40000, 80, 0 },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct lab l;
        lab_open(&l,
                 (struct bh_track_config){ .outcomes = true, .two_sided = true, .flow_slots = 64 });
        struct row syn = tcp_row(START, THEM, 40000, US, 80, SYN),
                   other = icmp_row(START + 1, US, THEM, 3, 3);
        struct row r = icmp_row(START + MS, cases[i].from, cases[i].to, 3, 3);
        struct row quoted = tcp_row(START, cases[i].quoted_src, cases[i].sport, cases[i].quoted_dst,
                                    cases[i].dport, 0);
        quoted.proto = (uint8_t)cases[i].quoted_proto;
        row_add(l.batch, &syn);
        row_add(l.batch, &other); /* one without a quote before it */
        row_quote(l.batch, row_add(l.batch, &r), &quoted);
        lab_end(&l);
        if (l.outcome[BH_OUTCOME_REFUSED] != (int64_t)cases[i].refused) {
            fail_msg("%s: %d refused", cases[i].name, (int)l.outcome[BH_OUTCOME_REFUSED]);
        }
        lab_close(&l);
    }
}

/* What comes back on our own pings and packets is no backscatter (DETECTION 3: it belongs to a flow). */
static void
test_our_own_doing(void **state)
{
    (void)state;
    static const struct {
        const char *name, *us, *them, *from;
        unsigned proto, sport, dport; /* what we send, to `them`; ICMP: nothing */
        unsigned type;                /* of what comes back from `from`         */
        int64_t after_ns;
        unsigned cls;
        /* clang-format off: a table */
    } cases[] = {
        { "an echo reply", US, THEM, THEM, BH_PROTO_ICMP, 8, 0, 0, SEC, BH_CLASS_ICMP_OTHER },
        { "an echo reply, IPv6", US6, THEM6, THEM6, BH_PROTO_ICMP6, 128, 0, 129, SEC,
          BH_CLASS_ICMP_OTHER },
        { "after a minute", US, THEM, THEM, BH_PROTO_ICMP, 8, 0, 0, 61 * SEC,
          BH_CLASS_ICMP_BACKSCATTER },
        { "from another", US, THEM, "192.0.2.99", BH_PROTO_ICMP, 8, 0, 0, SEC,
          BH_CLASS_ICMP_BACKSCATTER },
        { "time exceeded, UDP", US, THEM, "192.0.2.99", BH_PROTO_UDP, 40000, 33434, 11, SEC,
          BH_CLASS_ICMP_OTHER },
        { "unreachable, UDP", US, THEM, THEM, BH_PROTO_UDP, 40000, 33434, 3, SEC,
          BH_CLASS_ICMP_OTHER },
        { "time exceeded, TCP", US, THEM, "192.0.2.99", BH_PROTO_TCP, 40000, 80, 11, SEC,
          BH_CLASS_ICMP_OTHER },
        { "too big, IPv6 and UDP", US6, THEM6, THEM6, BH_PROTO_UDP, 40000, 443, 2, SEC,
          BH_CLASS_ICMP_OTHER },
        { "time exceeded, ping", US, THEM, "192.0.2.99", BH_PROTO_ICMP, 8, 0, 11, SEC,
          BH_CLASS_ICMP_OTHER },
        { "after a minute, UDP", US, THEM, "192.0.2.99", BH_PROTO_UDP, 40000, 33434, 11, 61 * SEC,
          BH_CLASS_ICMP_BACKSCATTER },
    };
    /* clang-format on */
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        const bool icmp = cases[i].proto == BH_PROTO_ICMP || cases[i].proto == BH_PROTO_ICMP6;
        struct lab l;
        lab_open(&l,
                 (struct bh_track_config){ .outcomes = true, .two_sided = true, .flow_slots = 64 });
        struct row sent =
            icmp ? icmp_row(START, cases[i].us, cases[i].them, cases[i].sport, 0)
                 : tcp_row(START, cases[i].us, cases[i].sport, cases[i].them, cases[i].dport, SYN);
        sent.proto = (uint8_t)cases[i].proto;
        sent.flags = cases[i].proto == BH_PROTO_TCP ? SYN : 0;
        struct row back =
            icmp_row(START + cases[i].after_ns, cases[i].from, cases[i].us, cases[i].type, 0);
        lab_add(&l, &sent);
        uint32_t at = row_add(l.batch, &back);
        if (cases[i].type != 0 && cases[i].type != 129) {
            row_quote(l.batch, at, &sent);
        }
        lab_end(&l);
        if (l.cls[1] != cases[i].cls) {
            fail_msg("%s: %s", cases[i].name, bh_class_name(l.cls[1]));
        }
        lab_close(&l);
    }
}

/* A time that does not fit is no time: nothing is judged by it. And times at the far ends do no harm. */
static void
test_far_times(void **state)
{
    (void)state;
    static const int64_t times[] = { INT64_MIN, INT64_MIN + 1, -1, 0, INT64_MAX - 1, INT64_MAX };
    for (unsigned hold = 0; hold < 2; hold++) {
        struct lab l;
        lab_open(&l,
                 (struct bh_track_config){ .outcomes = true, .hold = hold != 0, .flow_slots = 64 });
        for (size_t i = 0; i < BH_COUNT(times); i++) {
            struct row in = tcp_row(times[i], THEM, 40000, US, 80, SYN),
                       out = tcp_row(times[i], US, 80, THEM, 40000, SYN | ACK);
            struct row bad = udp_row(0, THEM, 40000, US, 80);
            bad.marks = BH_MARK_BAD_TIME;
            struct row *const rows[] = { &in, &bad, &out };
            for (size_t k = 0; k < BH_COUNT(rows); k++) {
                const struct bh_move *moves;
                bh_batch_reset(l.batch);
                row_add(l.batch, rows[k]);
                bh_track_classify(l.track, l.batch);
                bh_track_flows(l.track, l.batch, &moves);
                assert_int_equal(l.batch->cls[0], k == 0 ? BH_CLASS_ACCESS : BH_CLASS_NONE);
                if (hold != 0) {
                    assert_true(bh_track_verdict(l.track, l.batch->connection[0], times[i]) <
                                BH_OUTCOME_COUNT);
                }
            }
        }
        bh_batch_reset(l.batch);
        lab_close(&l);
    }
}

/* ---- bounds ------------------------------------------------------------------------------------------------------ */

static void
test_bounds(void **state)
{
    (void)state;
    struct lab l;
    struct bh_track_bounds bounds;
    lab_open(&l, (struct bh_track_config){ .outcomes = true, .two_sided = true, .flow_slots = 64 });
    for (unsigned i = 0; i < 64; i++) { /* 64 places in buckets of four: some fall out early */
        struct row r = tcp_row(START + i, THEM, 1000 + i, US, 80, SYN);
        lab_add(&l, &r);
    }
    lab_flush(&l);
    bh_track_get_bounds(l.track, &bounds);
    uint64_t few = bounds.flows_lost;
    assert_true(few < 64);
    for (unsigned i = 0; i < 1000; i++) {
        struct row r = tcp_row(START + 100 + i, THEM, 2000 + i, US, 80, SYN);
        lab_add(&l, &r);
    }
    lab_flush(&l);
    bh_track_get_bounds(l.track, &bounds);
    /* each but the last 64 fell out inside its 30 s */
    assert_int_equal(bounds.flows_lost, 1064 - 64);
    for (unsigned i = 0; i < 1000; i++) { /* a minute later what falls out was decided */
        struct row r =
            tcp_row(START + 60 * SEC + (int64_t)i * 40 * SEC, THEM, 4000 + i, US, 80, SYN);
        lab_add(&l, &r);
    }
    lab_flush(&l);
    bh_track_get_bounds(l.track, &bounds);
    assert_int_equal(bounds.flows_lost, 1000);
    assert_int_equal(bounds.conversations_lost, 0);
    for (unsigned i = 0; i < 116; i++) { /* 16 places of conversations */
        struct row r = udp_row(START + 90000 * SEC + i, THEM, 1000 + i, US, 80);
        lab_add(&l, &r);
    }
    lab_end(&l);
    bh_track_get_bounds(l.track, &bounds);
    assert_int_equal(bounds.conversations_lost, 100);
    assert_int_equal(bounds.repeats_lost, 0);
    assert_int_equal(l.outcome[BH_OUTCOME_SILENT], 2064); /* and none was lost from the sum */
    lab_close(&l);
}

/* Connections that are known for 300 s find room up to the bound; half of them get an answer late. */
static void
test_tables_grow(void **state)
{
    (void)state;
    static const struct {
        uint32_t slots;
        bool all; /* fit */
    } cases[] = { { 0, true }, { 1U << 20, true }, { (1U << 20) + 5, true }, { 1U << 13, false } };
    enum { N = 20000 };
    for (size_t c = 0; c < BH_COUNT(cases); c++) {
        struct lab l;
        struct bh_track_bounds bounds;
        lab_open(&l, (struct bh_track_config){
                         .outcomes = true, .two_sided = true, .flow_slots = cases[c].slots });
        for (unsigned step = 0; step < 3; step++) {
            for (unsigned i = 0; i < N; i += step == 0 ? 1 : 2) {
                const int64_t ts = START + step * 10 * SEC + i * 1000;
                struct row r =
                    step == 1 ? tcp_row(ts, US, 80 + i / 10000, THEM, 1000 + i % 10000, SYN | ACK)
                              : tcp_row(ts, THEM, 1000 + i % 10000, US, 80 + i / 10000,
                                        step == 0 ? SYN : ACK);
                lab_add(&l, &r);
            }
        }
        lab_flush(&l);
        bh_track_get_bounds(l.track, &bounds);
        assert_int_equal(bounds.flows_lost == 0, cases[c].all);
        l.rows = 0;
        for (unsigned i = 0; i < 1000; i++) { /* still known, whatever became of them */
            struct row r = tcp_row(START + 299 * SEC, THEM, 1000 + i, US, 80, RST);
            lab_add(&l, &r);
        }
        lab_flush(&l);
        for (unsigned i = 0; i < 1000 && cases[c].all; i++) {
            assert_int_equal(l.cls[i], BH_CLASS_TCP_IN_FLOW);
        }
        lab_end(&l);
        assert_int_equal(l.accesses, N);
        assert_int_equal(l.outcome[BH_OUTCOME_COMPLETE] == N / 2, cases[c].all);
        lab_close(&l);
    }
}

static void
test_conversations_grow(void **state)
{
    (void)state;
    enum { N = 4096 };
    struct lab l;
    struct bh_track_bounds bounds;
    lab_open(&l, (struct bh_track_config){ .outcomes = true, .flow_slots = 0 });
    for (unsigned step = 0; step < 3; step++) { /* theirs; ours within the minute; theirs again */
        l.rows = 0;
        for (unsigned i = 0; i < N; i++) {
            const int64_t ts = START + step * 50 * SEC + i * 1000;
            struct row r =
                step == 1 ? udp_row(ts, US, 5000 + i, THEM, 9) : udp_row(ts, THEM, 9, US, 5000 + i);
            lab_add(&l, &r);
        }
        lab_flush(&l);
        for (unsigned i = 0; i < N; i++) {
            assert_int_equal(l.cls[i], step == 1 ? BH_CLASS_NONE : BH_CLASS_ACCESS);
        }
    }
    bh_track_get_bounds(l.track, &bounds);
    assert_int_equal(bounds.conversations_lost, 0);
    lab_close(&l);
}

/* The second of the last segment has 16 bits: 18.2 h later it would look like now. What was idle for
 * hours has left by then; what goes on stays. */
static void
test_second_comes_round(void **state)
{
    (void)state;
    const int64_t round_ns = 65536LL * 954 << 20, step_ns = 50 * SEC;
    struct lab l;
    lab_open(&l, (struct bh_track_config){ .outcomes = true, .two_sided = true, .flow_slots = 0 });
    struct row idle = tcp_row(START, THEM, 1000, US, 80, SYN),
               busy = tcp_row(START, THEM, 1001, US, 80, SYN);
    lab_add(&l, &idle);
    lab_add(&l, &busy);
    for (int64_t at = step_ns; at < round_ns; at += step_ns) {
        struct row other = tcp_row(START + at, "192.0.2.8", (unsigned)(at / step_ns), US, 80, SYN);
        lab_add(&l, &other);
        if (at / step_ns % 4 == 0) {
            busy.ts_ns = START + at;
            busy.flags = ACK;
            lab_add(&l, &busy);
        }
    }
    lab_flush(&l);
    l.rows = 0;
    idle.ts_ns = busy.ts_ns = START + round_ns;
    idle.flags = busy.flags = RST;
    lab_add(&l, &idle);
    lab_add(&l, &busy);
    lab_flush(&l);
    assert_int_equal(l.cls[0], BH_CLASS_TCP_BACKSCATTER);
    assert_int_equal(l.cls[1], BH_CLASS_TCP_IN_FLOW);
    lab_close(&l);
}

/* 4095 repeats move with their connection; those beyond are said. */
static void
test_repeats(void **state)
{
    (void)state;
    for (unsigned n = 4094; n <= 4097; n++) {
        struct lab l;
        struct bh_track_bounds bounds;
        lab_open(&l,
                 (struct bh_track_config){ .outcomes = true, .two_sided = true, .flow_slots = 64 });
        for (unsigned i = 0; i < n; i++) {
            struct row r = tcp_row(START + i, THEM, 1000, US, 80, SYN);
            lab_add(&l, &r);
        }
        struct row rst = tcp_row(START + SEC, US, 80, THEM, 1000, RST);
        lab_add(&l, &rst);
        lab_end(&l);
        bh_track_get_bounds(l.track, &bounds);
        unsigned over = n > 4095 ? n - 4095 : 0;
        assert_int_equal(bounds.repeats_lost, over);
        assert_int_equal(l.outcome[BH_OUTCOME_REFUSED], n - over);
        assert_int_equal(l.outcome[BH_OUTCOME_SILENT], over);
        lab_close(&l);
    }
}

/* More accesses inside 30 s of a one-sided view than are remembered: said, and they stay unknown. */
static void
test_pending(void **state)
{
    (void)state;
    struct lab l;
    struct bh_track_bounds bounds;
    const unsigned slots = 1U << 18, more = 1000;
    lab_open(&l, (struct bh_track_config){ .outcomes = true, .flow_slots = 1U << 20 });
    for (unsigned i = 0; i < slots + more; i++) {
        struct row r =
            tcp_row(START + (int64_t)i * 1000, THEM, i & 0xffff, US, 80 + (i >> 16), SYN);
        lab_add(&l, &r);
    }
    lab_flush(&l); /* inside one batch with a packet of ours nothing has to be remembered */
    struct row ours = udp_row(START + 20 * SEC, US, 1, THEM, 2);
    lab_add(&l, &ours);
    lab_end(&l);
    bh_track_get_bounds(l.track, &bounds);
    assert_int_equal(bounds.held_early, more);
    assert_int_equal(l.outcome[BH_OUTCOME_UNKNOWN], more);
    assert_int_equal(l.outcome[BH_OUTCOME_SILENT], slots);
    lab_close(&l);
}

static void
test_served_ports(void **state)
{
    (void)state;
    struct lab l;
    lab_open(&l, (struct bh_track_config){ .outcomes = true, .two_sided = true, .flow_slots = 64 });
    static const struct {
        unsigned port, in_payload, out_payload;
    } cases[] = { { 22, 0, 30 }, { 80, 10, 0 }, { 81, 0, 0 }, { 443, 10, 10 } };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct row row[] = { tcp_row(START, THEM, 4000, US, cases[i].port, SYN),
                             tcp_row(START, US, cases[i].port, THEM, 4000, SYN | ACK),
                             tcp_row(START, THEM, 4000, US, cases[i].port, ACK),
                             tcp_row(START, THEM, 4000, US, cases[i].port, ACK | PSH),
                             tcp_row(START, US, cases[i].port, THEM, 4000, ACK | PSH) };
        row[3].payload = (uint16_t)cases[i].in_payload;
        row[4].payload = (uint16_t)cases[i].out_payload;
        for (size_t k = 0; k < BH_COUNT(row); k++) {
            lab_add(&l, &row[k]);
        }
    }
    lab_flush(&l);
    const uint32_t *served = bh_track_served_ports(l.track);
    assert_int_equal(served[22], 1);
    assert_int_equal(served[80], 1);
    assert_int_equal(served[81], 0);
    assert_int_equal(served[443], 1);
    lab_close(&l);
}

/* ---- the slow tracker ---------------------------------------------------------------------------------------------- */

#define SCENE_MAX 160U

struct scene {
    struct row row[SCENE_MAX];
    struct row quoted[SCENE_MAX];
    bool has_quote[SCENE_MAX];
    unsigned n;
    bool two_sided; /* known by reading ahead */
    struct bh_home home;
    /* what the rules say */
    uint8_t cls[SCENE_MAX], outcome[SCENE_MAX];
};

static bool
same_ip(const struct bh_ip *a, const struct bh_ip *b)
{
    return bh_ip_cmp(a, b) == 0;
}

static bool
is_group(const struct bh_ip *ip)
{
    if (ip->family == 6) {
        return ip->octets[0] == 0xff;
    }
    struct bh_ip bcast = ip_of("203.0.113.255"), all = ip_of("255.255.255.255");
    return ip->octets[0] >> 4 == 14 || same_ip(ip, &bcast) || same_ip(ip, &all);
}

static enum bh_direction
slow_direction(const struct scene *s, const struct row *r)
{
    bool from = bh_home_has(&s->home, &r->src),
         to = bh_home_has(&s->home, &r->dst) || is_group(&r->dst);
    return from ? (to ? BH_DIR_LOCAL : BH_DIR_OUT) : to ? BH_DIR_IN : BH_DIR_TRANSIT;
}

/* The same two ends, whoever sends. */
static bool
same_ends(const struct row *a, const struct row *b)
{
    bool along = same_ip(&a->src, &b->src) && same_ip(&a->dst, &b->dst) && a->sport == b->sport &&
                 a->dport == b->dport;
    bool back = same_ip(&a->src, &b->dst) && same_ip(&a->dst, &b->src) && a->sport == b->dport &&
                a->dport == b->sport;
    return a->proto == b->proto && (along || back);
}

static bool
slow_called(const struct scene *s, unsigned i)
{
    for (unsigned k = 0; k < i; k++) {
        const struct row *c = &s->row[k];
        if (c->proto == BH_PROTO_UDP && slow_direction(s, c) == BH_DIR_LOCAL && is_group(&c->dst) &&
            same_ip(&c->src, &s->row[i].dst) && c->sport == s->row[i].dport &&
            s->row[i].ts_ns - c->ts_ns <= 60 * SEC) {
            return true;
        }
    }
    return false;
}

/* Replays the conversation of datagram i from its beginning. */
static uint8_t
slow_udp(const struct scene *s, unsigned i)
{
    bool open = false, by_us = false;
    int64_t last = 0;
    uint8_t cls = BH_CLASS_NONE;
    for (unsigned k = 0; k <= i; k++) {
        const struct row *r = &s->row[k];
        if (r->proto != BH_PROTO_UDP || !same_ends(r, &s->row[i])) {
            continue;
        }
        bool out = slow_direction(s, r) == BH_DIR_OUT;
        if (open && r->ts_ns - last <= 60 * SEC) {
            cls = out ? BH_CLASS_NONE : by_us ? BH_CLASS_UDP_ANSWER : BH_CLASS_ACCESS;
        } else if (!out && r->sport == 53) {
            cls = BH_CLASS_UDP_BACKSCATTER; /* opens nothing */
            continue;
        } else if (!out && slow_called(s, k)) {
            cls = BH_CLASS_UDP_ANSWER; /* nor does this */
            continue;
        } else {
            open = true;
            by_us = out;
            cls = out ? BH_CLASS_NONE : BH_CLASS_ACCESS;
        }
        last = r->ts_ns;
    }
    return cls;
}

static bool
is_access_syn(const struct row *r)
{
    return (r->flags & (SYN | ACK | RST | FIN)) == SYN;
}

/* Does segment i belong to a connection seen in the last 300 s, from either side? */
static bool
slow_in_flow(const struct scene *s, unsigned i)
{
    bool known = false, ever = false;
    int64_t last = 0;
    for (unsigned k = 0; k < i; k++) {
        const struct row *r = &s->row[k];
        if (r->proto != BH_PROTO_TCP || !same_ends(r, &s->row[i])) {
            continue;
        }
        known = known && r->ts_ns - last <= 300 * SEC;
        if (slow_direction(s, r) == BH_DIR_OUT) {
            /* what we send is of a connection of ours */
            known = known || ever || (r->flags & RST) == 0;
        } else if (is_access_syn(r)) {
            known = true;
        } else if (class_of_flags(r->flags) != BH_CLASS_TCP_BACKSCATTER &&
                   class_of_flags(r->flags) != BH_CLASS_TCP_STRAY) {
            continue; /* odd flags keep nothing alive */
        }
        ever = ever || known;
        last = known ? r->ts_ns : last;
    }
    return known && s->row[i].ts_ns - last <= 300 * SEC;
}

static int64_t
slow_two_sided(const struct scene *s)
{
    for (unsigned k = 0; k < s->n && !s->two_sided; k++) {
        if (slow_direction(s, &s->row[k]) == BH_DIR_OUT) {
            return s->row[k].ts_ns;
        }
    }
    return s->two_sided ? INT64_MIN / 2 : INT64_MAX;
}

static uint8_t
slow_tcp(const struct scene *s, unsigned i)
{
    const struct row *r = &s->row[i];
    unsigned cls = class_of_flags(r->flags);
    if (cls != BH_CLASS_TCP_BACKSCATTER && cls != BH_CLASS_TCP_STRAY) {
        return (uint8_t)cls;
    }
    if (slow_in_flow(s, i)) {
        return BH_CLASS_TCP_IN_FLOW;
    }
    bool bare = (r->flags & 63) == ACK && r->payload == 0;
    bool scan = bare && r->ts_ns >= slow_two_sided(s) && r->ts_ns - START >= 600 * SEC;
    return scan ? (uint8_t)BH_CLASS_TCP_ACK_SCAN : (uint8_t)cls;
}

/* What becomes of the connection that SYN i opened or repeats. */
static uint8_t
slow_outcome(const struct scene *s, unsigned i)
{
    const struct row *me = &s->row[i];
    unsigned first = i;
    bool open = false;
    for (unsigned k = 0; k <= i; k++) { /* its first SYN */
        const struct row *r = &s->row[k];
        if (r->proto == BH_PROTO_TCP && same_ends(r, me) && slow_direction(s, r) == BH_DIR_IN &&
            is_access_syn(r)) {
            bool again =
                open && r->seq == s->row[first].seq && r->ts_ns - s->row[first].ts_ns <= 30 * SEC;
            first = again ? first : k;
            open = true;
        }
    }
    const struct row *syn = &s->row[first];
    bool synack = false, ack = false, payload = false;
    for (unsigned k = first + 1; k < s->n && s->row[k].ts_ns - syn->ts_ns <= 30 * SEC; k++) {
        const struct row *r = &s->row[k];
        if (s->has_quote[k]) {
            bool ours =
                slow_direction(s, r) == BH_DIR_OUT || slow_direction(s, r) == BH_DIR_TRANSIT;
            const struct row *q = &s->quoted[k];
            bool quotes = q->proto == BH_PROTO_TCP && same_ip(&q->src, &syn->src) &&
                          same_ip(&q->dst, &syn->dst) && q->sport == syn->sport &&
                          q->dport == syn->dport;
            if (ours && quotes && same_ip(&r->dst, &syn->src) && !synack) {
                return BH_OUTCOME_REFUSED;
            }
            continue;
        }
        if (r->proto != BH_PROTO_TCP || !same_ends(r, syn)) {
            continue;
        }
        bool out = slow_direction(s, r) == BH_DIR_OUT;
        unsigned cls = class_of_flags(r->flags);
        if (!out && is_access_syn(r)) {
            if (r->seq != syn->seq) {
                break; /* a new connection settles this one */
            }
        } else if (out && !synack) {
            if ((r->flags & RST) != 0) {
                return BH_OUTCOME_REFUSED;
            }
            synack = (r->flags & (SYN | ACK)) == (SYN | ACK);
        } else if (out && ack) {
            payload = payload || r->payload > 0;
        } else if (!out && synack &&
                   (cls == BH_CLASS_TCP_BACKSCATTER || cls == BH_CLASS_TCP_STRAY)) {
            if ((r->flags & RST) != 0) {
                if (!payload) {
                    return BH_OUTCOME_RESET_BY_CLIENT;
                }
            } else if ((r->flags & (SYN | ACK)) == ACK) {
                ack = true;
                payload = payload || r->payload > 0;
            } else if (ack) {
                payload = payload || r->payload > 0;
            }
        }
    }
    if (ack) {
        return BH_OUTCOME_COMPLETE;
    }
    if (synack) {
        return BH_OUTCOME_HALF_OPEN;
    }
    return slow_two_sided(s) - syn->ts_ns < 30 * SEC ? BH_OUTCOME_SILENT : BH_OUTCOME_UNKNOWN;
}

static void
slow_judge(struct scene *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        const struct row *r = &s->row[i];
        enum bh_direction dir = slow_direction(s, r);
        bool tcp = r->proto == BH_PROTO_TCP, udp = r->proto == BH_PROTO_UDP;
        s->outcome[i] = BH_OUTCOME_NONE;
        if (dir == BH_DIR_LOCAL) {
            s->cls[i] = BH_CLASS_LOCAL;
        } else if (tcp || udp) {
            s->cls[i] = dir == BH_DIR_TRANSIT || (tcp && dir == BH_DIR_OUT) ? BH_CLASS_NONE
                        : udp                                               ? slow_udp(s, i)
                                                                            : slow_tcp(s, i);
            if (tcp && s->cls[i] == BH_CLASS_ACCESS) {
                s->outcome[i] = slow_outcome(s, i);
            }
        } else { /* the scenes hold unreachables only */
            s->cls[i] = dir == BH_DIR_OUT  ? BH_CLASS_ICMP_UNREACHABLE_SENT
                        : dir == BH_DIR_IN ? BH_CLASS_ICMP_BACKSCATTER
                                           : BH_CLASS_NONE;
        }
    }
}

/* ---- random scenes -------------------------------------------------------------------------------------------------- */

static const char *const remotes[] = { "192.0.2.7", "192.0.2.8", "203.0.113.61", "2a00:1::7",
                                       "2a00:1::8" };
static const char *const homes[] = { "203.0.113.60", "198.51.100.9", "2001:db8::5" };
static const char *const groups[] = { "203.0.113.255", "255.255.255.255", "224.0.0.251",
                                      "ff02::fb" };

static struct row
scene_tcp(uint64_t *rnd, const char *them, const char *us)
{
    static const uint8_t in_flags[] = { SYN,       SYN,
                                        SYN,       SYN,
                                        ACK,       ACK,
                                        ACK | PSH, RST,
                                        RST | ACK, FIN | ACK,
                                        SYN | ACK, 0,
                                        FIN,       FIN | PSH | URG,
                                        SYN | FIN, SYN | RST,
                                        RST | FIN, SYN | BH_TCP_ECE | BH_TCP_CWR,
                                        PSH };
    static const uint8_t out_flags[] = { SYN | ACK, SYN | ACK, SYN | ACK, RST | ACK, ACK,
                                         ACK | PSH, SYN,       FIN | ACK, RST };
    static const uint16_t ports[] = { 1000, 53 }, services[] = { 80, 53 };
    bool in = random_below(rnd, 3) > 0;
    unsigned theirs = ports[random_below(rnd, 2)], ours = services[random_below(rnd, 2)];
    struct row r =
        in ? tcp_row(0, them, theirs, us, ours, in_flags[random_below(rnd, BH_COUNT(in_flags))])
           : tcp_row(0, us, ours, them, theirs, out_flags[random_below(rnd, BH_COUNT(out_flags))]);
    r.seq = 100 + 7 * random_below(rnd, 2);
    r.payload = (uint16_t)((r.flags & PSH) != 0 ? random_below(rnd, 3) : 0);
    return r;
}

/* What would come next in the conversation of `last`: chance alone makes few complete connections. */
static struct row
scene_next(uint64_t *rnd, const struct row *last)
{
    struct row r = *last;
    if ((last->flags & (SYN | ACK)) == SYN || (last->flags & (SYN | ACK)) == (SYN | ACK)) {
        r.src = last->dst;
        r.dst = last->src;
        r.sport = last->dport;
        r.dport = last->sport;
        r.flags = (last->flags & ACK) == 0 ? SYN | ACK : random_below(rnd, 4) == 0 ? RST : ACK;
    } else {
        r.flags = random_below(rnd, 3) == 0 ? RST | ACK : ACK | PSH;
    }
    r.payload = (uint16_t)((r.flags & PSH) != 0 ? random_below(rnd, 3) : 0);
    return r;
}

static struct row
scene_udp(uint64_t *rnd, const char *them, const char *us)
{
    static const uint16_t theirs[] = { 5000, 53, 5353 }, ours[] = { 5353, 53 };
    unsigned t = theirs[random_below(rnd, 3)], o = ours[random_below(rnd, 2)];
    switch (random_below(rnd, 8)) {
    case 0: { /* a call */
        const char *group = groups[random_below(rnd, 4)];
        bool v6 = strchr(group, ':') != NULL;
        return udp_row(0, v6 ? homes[2] : homes[random_below(rnd, 2)], o, group, 5353);
    }
    case 1: { /* somebody else's call */
        const char *group = groups[random_below(rnd, 4)];
        return udp_row(0, strchr(group, ':') != NULL ? "fe80::1" : "203.0.113.61", t, group, o);
    }
    case 2: /* at home */
        return udp_row(0, "198.51.100.9", o, "198.51.100.10", 7);
    case 3:
    case 4:
        return udp_row(0, us, o, them, t);
    default:
        return udp_row(0, them, t, us, o);
    }
}

static void
scene_make(struct scene *s, uint64_t *rnd)
{
    int64_t slot = 0;
    s->n = 20 + random_below(rnd, SCENE_MAX - 20);
    s->two_sided = random_below(rnd, 2) == 0;
    bool no_ours = random_below(rnd, 4) == 0;
    const unsigned calm = 2 + random_below(rnd, 12);
    memset(s->has_quote, 0, sizeof s->has_quote);
    for (unsigned i = 0; i < s->n; i++) {
        bool v6 = random_below(rnd, 3) == 0;
        const char *them = v6 ? remotes[3 + random_below(rnd, 2)] : remotes[random_below(rnd, 3)];
        const char *us = v6 ? homes[2] : homes[random_below(rnd, 2)];
        unsigned kind = random_below(rnd, 12);
        const struct row *last = i > 0 ? &s->row[i - 1] : NULL;
        struct row r;
        if (last != NULL && last->proto == BH_PROTO_TCP && random_below(rnd, 3) == 0) {
            r = scene_next(rnd, last);
        } else if (kind == 0) {
            static const char *const routers[] = { "203.0.113.1", "2001:db8::1" };
            bool by_us = random_below(rnd, 2) == 0, forged = random_below(rnd, 5) == 0;
            s->quoted[i] = tcp_row(0, them, 1000, us, 80, 0);
            r = icmp_row(0, by_us ? us : routers[v6],
                         forged ? (by_us ? remotes[v6 ? 3 : 1] : us) : them, v6 ? 1 : 3, 1);
            s->has_quote[i] = true;
        } else {
            r = kind < 8 ? scene_tcp(rnd, them, us) : scene_udp(rnd, them, us);
        }
        if (no_ours && slow_direction(s, &r) == BH_DIR_OUT) {
            s->has_quote[i] = false;
            r = scene_udp(rnd, remotes[0], homes[0]);
            if (slow_direction(s, &r) == BH_DIR_OUT) {
                r = tcp_row(0, remotes[0], 1000, homes[0], 80, SYN);
            }
        }
        /* Steps of 4.1 s: no two packets are near 30, 60 or 300 s apart. */
        slot += random_below(rnd, calm) > 0  ? 0
                : random_below(rnd, 40) == 0 ? 74
                                             : random_below(rnd, 9);
        r.ts_ns = START + slot * 4100 * MS + i * 1000;
        s->row[i] = r;
    }
}

static void
scene_fail(const struct scene *s, uint64_t seed, unsigned how, unsigned i, const char *what,
           const char *got, const char *want)
{
    for (unsigned k = 0; k <= i && k < s->n; k++) {
        char a[BH_IP_TEXT_MAX], z[BH_IP_TEXT_MAX];
        const struct row *r = &s->row[k];
        bh_ip_format(&r->src, a);
        bh_ip_format(&r->dst, z);
        print_error("%3u %9.3f %s.%u > %s.%u proto %u flags %02x seq %u payload %u %s %s\n", k,
                    (double)(r->ts_ns - START) * 1e-9, a, r->sport, z, r->dport, r->proto, r->flags,
                    (unsigned)r->seq, r->payload, bh_class_name(s->cls[k]),
                    bh_outcome_name(s->outcome[k]));
    }
    fail_msg("scene %llu, shards %u, packet %u: %s %s, the rules say %s", (unsigned long long)seed,
             how, i, what, got, want);
}

#define SHARDS 3U

static void
scene_row(const struct scene *s, struct bh_batch *b, unsigned i)
{
    uint32_t at = row_add(b, &s->row[i]);
    if (s->has_quote[i]) {
        row_quote(b, at, &s->quoted[i]);
    }
}

/* One object that sees everything, in batches of random size; with or without `hold`. */
static void
scene_run_one(const struct scene *s, uint64_t seed, bool hold, uint64_t *rnd)
{
    struct lab l;
    uint8_t cls[SCENE_MAX];
    uint32_t connection[SCENE_MAX];
    lab_open(&l, (struct bh_track_config){ .outcomes = true,
                                           .hold = hold,
                                           .two_sided = s->two_sided,
                                           .flow_slots = 1U << 12,
                                           .key = seed + 1 });
    for (unsigned i = 0; i < s->n;) {
        unsigned end = i + 1 + random_below(rnd, 60), from = i;
        for (; i < s->n && i < end; i++) {
            scene_row(s, l.batch, i);
        }
        struct bh_batch *b = l.batch;
        if (hold) {
            const struct bh_move *moves;
            bh_track_classify(l.track, b);
            assert_int_equal(bh_track_flows(l.track, b, &moves), 0);
            for (unsigned k = from; k < i; k++) {
                cls[k] = b->cls[k - from];
                connection[k] = b->connection[k - from];
            }
            bh_batch_reset(b);
        } else {
            lab_flush(&l);
        }
    }
    struct bh_track_bounds bounds;
    bh_track_get_bounds(l.track, &bounds);
    assert_int_equal(bounds.flows_lost + bounds.conversations_lost, 0);
    int64_t want[BH_OUTCOME_COUNT] = { 0 };
    for (unsigned i = 0; i < s->n; i++) {
        unsigned got = hold ? cls[i] : l.cls[i];
        if (got != s->cls[i]) {
            scene_fail(s, seed, hold ? 0 : 1, i, "class", bh_class_name(got),
                       bh_class_name(s->cls[i]));
        }
        if (hold && s->outcome[i] != BH_OUTCOME_NONE) {
            unsigned o = bh_track_verdict(l.track, connection[i], s->row[i].ts_ns);
            if (o != s->outcome[i]) {
                scene_fail(s, seed, 0, i, "outcome", bh_outcome_name(o),
                           bh_outcome_name(s->outcome[i]));
            }
        }
        want[s->outcome[i]] += s->outcome[i] != BH_OUTCOME_NONE;
    }
    if (!hold) {
        lab_end(&l);
        for (unsigned o = 1; o < BH_OUTCOME_COUNT; o++) {
            if (l.outcome[o] != want[o]) {
                char text[64];
                snprintf(text, sizeof text, "%d %s", (int)l.outcome[o], bh_outcome_name(o));
                char rules[64];
                snprintf(rules, sizeof rules, "%d", (int)want[o]);
                scene_fail(s, seed, 1, s->n, "outcomes", text, rules);
            }
        }
    }
    lab_close(&l);
}

/* Several objects, dealt to as lib/report does it: chunk by chunk, each sees its share of the remote addresses. */
static void
scene_run_shards(const struct scene *s, uint64_t seed, unsigned shards, uint64_t *rnd)
{
    struct lab l[SHARDS];
    struct bh_batch *all = bh_batch_new(), *calls = bh_batch_new();
    uint16_t origin[SHARDS][SCENE_MAX];
    int64_t sum[BH_OUTCOME_COUNT] = { 0 }, want[BH_OUTCOME_COUNT] = { 0 };
    for (unsigned k = 0; k < shards; k++) {
        lab_open(&l[k], (struct bh_track_config){ .outcomes = true,
                                                  .two_sided = s->two_sided,
                                                  .flow_slots = 1U << 12,
                                                  .key = seed + 1 });
    }
    uint32_t dealt[SHARDS] = { 0 };
    for (unsigned i = 0; i < s->n;) {
        unsigned end = i + 1 + random_below(rnd, 80), from = i;
        uint8_t shard[BH_BATCH_STRIDE];
        bh_batch_reset(all);
        bh_batch_reset(calls);
        for (; i < s->n && i < end; i++) {
            scene_row(s, all, i);
        }
        int64_t ours = bh_track_first_ours(&l[0].home, all);
        bh_track_shard(&l[0].home, all, shards, shard);
        for (unsigned k = from; k < i; k++) {
            unsigned at = shard[k - from];
            if (at == BH_SHARD_ALL) {
                scene_row(s, calls, k);
                at = 0;
            }
            assert_true(at < shards);
            origin[at][dealt[at]++] = (uint16_t)k;
            scene_row(s, l[at].batch, k);
        }
        for (unsigned k = 0; k < shards; k++) {
            if (ours != INT64_MAX && !bh_track_is_two_sided(l[k].track)) {
                bh_track_two_sided(l[k].track, ours);
                lab_two_sided(&l[k]);
            }
            if (k > 0 && calls->rows > 0) {
                bh_track_calls(l[k].track, &calls, 1);
            }
            lab_flush(&l[k]);
        }
    }
    for (unsigned k = 0; k < shards; k++) {
        lab_end(&l[k]);
        assert_int_equal(l[k].rows, dealt[k]);
        for (unsigned i = 0; i < l[k].rows; i++) {
            unsigned at = origin[k][i];
            if (l[k].cls[i] != s->cls[at]) {
                scene_fail(s, seed, shards, at, "class", bh_class_name(l[k].cls[i]),
                           bh_class_name(s->cls[at]));
            }
        }
        for (unsigned o = 1; o < BH_OUTCOME_COUNT; o++) {
            sum[o] += l[k].outcome[o];
        }
        lab_close(&l[k]);
    }
    for (unsigned i = 0; i < s->n; i++) {
        want[s->outcome[i]]++;
    }
    for (unsigned o = 1; o < BH_OUTCOME_COUNT; o++) {
        if (sum[o] != want[o]) {
            scene_fail(s, seed, shards, s->n, "outcome", bh_outcome_name(o), "another number");
        }
    }
    bh_batch_free(all);
    bh_batch_free(calls);
}

#define SCENES 1500U

static void
test_scenes(void **state)
{
    (void)state;
    const char *only = getenv("BH_SCENE");
    struct scene *s = calloc(1, sizeof *s);
    assert_int_equal(bh_home_parse(HOME, &s->home, NULL), 0);
    unsigned seen[BH_OUTCOME_COUNT] = { 0 }, classes[BH_CLASS_COUNT] = { 0 };
    for (uint64_t seed = only != NULL ? strtoull(only, NULL, 10) : 0; seed < SCENES; seed++) {
        uint64_t rnd = seed * 0x9e3779b97f4a7c15ULL + 1;
        scene_make(s, &rnd);
        slow_judge(s);
        for (unsigned i = 0; i < s->n; i++) {
            seen[s->outcome[i]]++;
            classes[s->cls[i]]++;
        }
        scene_run_one(s, seed, false, &rnd);
        scene_run_one(s, seed, true, &rnd);
        for (unsigned shards = 1; shards <= SHARDS; shards++) {
            scene_run_shards(s, seed, shards, &rnd);
        }
    }
    /* The scenes are worth something: everything happens in them, and often. */
    for (unsigned o = 1; o < BH_OUTCOME_COUNT && only == NULL; o++) {
        if (seen[o] < 50) {
            fail_msg("only %u %s", seen[o], bh_outcome_name(o));
        }
    }
    static const uint8_t expected[] = { BH_CLASS_ACCESS,          BH_CLASS_UDP_ANSWER,
                                        BH_CLASS_UDP_BACKSCATTER, BH_CLASS_TCP_BACKSCATTER,
                                        BH_CLASS_TCP_STRAY,       BH_CLASS_TCP_IN_FLOW,
                                        BH_CLASS_TCP_ACK_SCAN,    BH_CLASS_LOCAL };
    for (size_t i = 0; i < BH_COUNT(expected) && only == NULL; i++) {
        assert_true(classes[expected[i]] > 100);
    }
    bh_home_done(&s->home);
    free(s);
}

int
main(void)
{
    /* clang-format off: a table */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_singles),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_imports),
        cmocka_unit_test(test_talks),
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_hold),
        cmocka_unit_test(test_not_counted),
        cmocka_unit_test(test_outcomes_no),
        cmocka_unit_test(test_strays),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_our_own_doing),
        cmocka_unit_test(test_far_times),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_tables_grow),
        cmocka_unit_test(test_conversations_grow),
        cmocka_unit_test(test_second_comes_round),
        cmocka_unit_test(test_pending),
        cmocka_unit_test(test_served_ports),
        cmocka_unit_test(test_scenes),
    };
    /* clang-format on */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
