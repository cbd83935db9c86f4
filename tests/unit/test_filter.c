/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The filter over batches made by hand. The country database is a small pretended one: what a
 * test expects must not change with the data of the day.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bh_filter.h"

/* ---- a country database of eight values --------------------------------------------------- */

struct kobold {
    int unused;
};
static const kobold pretended = { 0 };

static const struct kobold_value values[] = {
    { .code = "ZZ", .kind = KOBOLD_UNKNOWN },
    { .kind = KOBOLD_UNALLOCATED },
    { .code = "CN", .kind = KOBOLD_COUNTRY },
    { .code = "JP", .kind = KOBOLD_COUNTRY },
    { .code = "US", .kind = KOBOLD_COUNTRY },
    { .code = "EU", .kind = KOBOLD_REGION },
    { .kind = KOBOLD_SPECIAL, .class_name = "private-use" },
    { .kind = KOBOLD_SPECIAL, .class_name = "multicast" },
};

static uint16_t
value_of_octet(unsigned first)
{
    return first == 5     ? 0
           : first == 1   ? 2
           : first == 2   ? 3
           : first == 3   ? 4
           : first == 4   ? 5
           : first == 10  ? 6
           : first >= 224 ? 7
                          : 1;
}

uint16_t
kobold_v4(const kobold *k, uint32_t host_order)
{
    (void)k;
    return value_of_octet(host_order >> 24);
}

uint16_t
kobold_v6(const kobold *k, uint64_t hi, uint64_t lo)
{
    (void)k;
    (void)lo;
    unsigned first = (unsigned)(hi >> 56);
    return first == 0x24 ? 2 : first == 0x2a ? 4 : first == 0xfd ? 6 : 1;
}

void
kobold_v4_many(const kobold *k, const uint32_t *addr, uint16_t *ret_values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ret_values[i] = kobold_v4(k, addr[i]);
    }
}

bool
kobold_value_info(const kobold *k, uint16_t value, struct kobold_value *ret)
{
    (void)k;
    if (value >= BH_COUNT(values)) {
        return false;
    }
    *ret = values[value];
    return true;
}

unsigned
kobold_value_count(const kobold *k)
{
    (void)k;
    return BH_COUNT(values);
}

/* AS data, when a test wants them: 64000 and the first octet. */
static bool has_as;

bool
kobold_as_meta(const kobold *k, struct kobold_as_meta *ret)
{
    (void)k;
    (void)ret;
    return has_as;
}

uint32_t
kobold_as_v4(const kobold *k, uint32_t host_order)
{
    (void)k;
    return 64000 + (host_order >> 24);
}

uint32_t
kobold_as_v6(const kobold *k, uint64_t hi, uint64_t lo)
{
    (void)k;
    (void)lo;
    return 64000 + (uint32_t)(hi >> 56);
}

/* ---- the batch ------------------------------------------------------------------------------ */

#define V4(a, b, c, d)                                                                             \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
#define PORTS(s, d) ((uint32_t)(s) << 16 | (uint32_t)(d))

struct row {
    uint8_t kind, proto;
    uint32_t src, dst, ports;
    uint8_t flags, marks, reason;
    uint32_t len;
    uint8_t ttl;
    uint16_t window, ipid, vlan;
    uint8_t direction, cls, outcome;
    struct bh_ip6_pair ip6;
};

/* Rows are called by letters, the first is 'a'. */
static const struct row rows[] = {
    /* a */ { .kind = BH_KIND_IP4,
              .proto = 6,
              .src = V4(1, 0, 0, 1),
              .dst = V4(2, 0, 0, 1),
              .ports = PORTS(40000, 22),
              .flags = BH_TCP_SYN,
              .len = 60,
              .ttl = 50,
              .window = 1024,
              .ipid = 54321,
              .vlan = 6,
              .direction = BH_DIR_IN,
              .cls = BH_CLASS_ACCESS,
              .outcome = BH_OUTCOME_COMPLETE },
    /* b */
    { .kind = BH_KIND_IP4,
      .proto = 6,
      .src = V4(2, 0, 0, 1),
      .dst = V4(1, 0, 0, 1),
      .ports = PORTS(22, 40000),
      .flags = BH_TCP_SYN | BH_TCP_ACK,
      .len = 60,
      .ttl = 64,
      .window = 29200,
      .direction = BH_DIR_OUT },
    /* c */
    { .kind = BH_KIND_IP4,
      .proto = 17,
      .src = V4(3, 0, 0, 1),
      .dst = V4(2, 0, 0, 1),
      .ports = PORTS(5353, 53),
      .len = 100,
      .ttl = 9,
      .direction = BH_DIR_IN,
      .cls = BH_CLASS_ACCESS },
    /* d */
    { .kind = BH_KIND_IP4,
      .proto = 1,
      .src = V4(10, 0, 0, 1),
      .dst = V4(2, 0, 0, 1),
      .ports = PORTS(8, 0),
      .len = 84,
      .ttl = 10,
      .direction = BH_DIR_IN,
      .cls = BH_CLASS_ICMP_ECHO_REQUEST },
    /* e */
    { .kind = BH_KIND_ARP,
      .src = V4(2, 0, 0, 2),
      .dst = V4(2, 0, 0, 1),
      .cls = BH_CLASS_ARP,
      .direction = BH_DIR_LOCAL },
    /* f */
    { .kind = BH_KIND_IP6,
      .proto = 6,
      .ports = PORTS(50000, 443),
      .flags = BH_TCP_SYN,
      .len = 72,
      .ttl = 255,
      .window = 65535,
      .vlan = 1,
      .direction = BH_DIR_IN,
      .cls = BH_CLASS_ACCESS,
      .outcome = BH_OUTCOME_HALF_OPEN,
      .ip6 = { 0x2400000000000000, 1, 0x2a00000000000000, 5 } },
    /* g */
    { .kind = BH_KIND_IP4,
      .proto = 6,
      .src = V4(4, 0, 0, 1),
      .dst = V4(2, 0, 0, 1),
      .marks = BH_MARK_FRAGMENT | BH_MARK_NO_PORTS,
      .len = 1500,
      .ttl = 33,
      .ipid = 7,
      .direction = BH_DIR_IN,
      .cls = BH_CLASS_FRAGMENT },
    /* h */ { .kind = BH_KIND_NONE, .reason = BH_REASON_NOT_IP },
    /* i */ { .kind = BH_KIND_NONE, .reason = BH_REASON_LINK_UNKNOWN },
    /* j */
    { .kind = BH_KIND_IP4,
      .proto = 6,
      .src = V4(5, 0, 0, 1),
      .dst = V4(2, 0, 0, 1),
      .ports = PORTS(1234, 80),
      .marks = BH_MARK_NO_FLAGS,
      .len = 40,
      .ttl = 1,
      .direction = BH_DIR_IN,
      .cls = BH_CLASS_ACCESS,
      .outcome = BH_OUTCOME_UNKNOWN },
    /* k */
    { .kind = BH_KIND_ARP,
      .marks = BH_MARK_MALFORMED,
      .reason = BH_REASON_ARP_SHAPE,
      .cls = BH_CLASS_ARP },
    /* l */
    { .kind = BH_KIND_IP4,
      .proto = 6,
      .src = V4(6, 0, 0, 1),
      .dst = V4(2, 0, 0, 1),
      .ports = PORTS(22, 25),
      .flags = BH_TCP_SYN | BH_TCP_ECE | BH_TCP_CWR,
      .len = 61,
      .ttl = 200,
      .window = 5,
      .ipid = 9,
      .direction = BH_DIR_IN,
      .cls = BH_CLASS_ACCESS,
      .outcome = BH_OUTCOME_REFUSED },
    /* m */
    { .kind = BH_KIND_IP6,
      .proto = 58,
      .ports = PORTS(128, 0),
      .len = 104,
      .ttl = 64,
      .direction = BH_DIR_TRANSIT,
      .ip6 = { 0xfd00000000000000, 0x10, 0x2001000000000000, 0x20 } },
    /* n */
    { .kind = BH_KIND_IP6,
      .proto = 0,
      .reason = BH_REASON_IP6_EXTENSION,
      .marks = BH_MARK_MALFORMED | BH_MARK_NO_PORTS,
      .len = 80,
      .ttl = 3,
      .ip6 = { 0x2600000000000000, 1, 0x2600000000000000, 2 } },
};

static void
put_row(struct bh_batch *b, const struct row *r)
{
    uint32_t i = b->rows++;
    b->kind[i] = r->kind;
    b->proto[i] = r->proto;
    b->src[i] = r->src;
    b->dst[i] = r->dst;
    if (r->kind == BH_KIND_IP6) {
        b->src[i] = b->dst[i] = b->v6_rows;
        b->ip6[b->v6_rows++] = r->ip6;
    }
    b->ports[i] = r->ports;
    b->tcp_flags[i] = r->flags;
    b->marks[i] = r->marks;
    b->reason[i] = r->reason;
    b->ip_len[i] = r->len;
    b->ttl[i] = r->ttl;
    b->tcp_window[i] = r->window;
    b->ip_id[i] = r->ipid;
    b->vlan[i] = r->vlan;
    b->direction[i] = r->direction;
    b->cls[i] = r->cls;
    b->outcome[i] = r->outcome;
}

static struct bh_batch *
new_batch(void)
{
    struct bh_batch *b = bh_batch_new();
    assert_non_null(b);
    b->want = BH_WANT_COLD;
    for (size_t i = 0; i < BH_COUNT(rows); i++) {
        put_row(b, &rows[i]);
    }
    return b;
}

static struct bh_filter *
parse(const char *text)
{
    struct bh_filter *f = NULL;
    struct bh_error err;
    if (bh_filter_parse(&text, 1, &pretended, &f, &err) < 0) {
        char line[900];
        fail_msg("%s: %s", text, bh_error_line(&err, BH_EN, line, sizeof line));
    }
    return f;
}

/* ret[row]: '1' selected, '0' not, '?' unknown, by the filter and its negation. */
static void
verdicts(const struct bh_filter *f, const struct bh_filter *negated, const struct bh_batch *b,
         char *ret)
{
    uint8_t yes[BH_BATCH_ROWS], no[BH_BATCH_ROWS];
    uint32_t unknown = bh_filter_batch(f, b, yes);
    assert_int_equal(bh_filter_batch(negated, b, no), unknown);
    for (uint32_t i = 0; i < b->rows; i++) {
        assert_true(yes[i] <= 1 && no[i] <= 1 && yes[i] + no[i] <= 1);
        ret[i] = yes[i] ? '1' : no[i] ? '0' : '?';
        unknown -= ret[i] == '?';
    }
    ret[b->rows] = '\0';
    assert_int_equal(unknown, 0);
}

static void
text_of(const struct bh_filter *f, struct bh_buf *out)
{
    bh_filter_text(f, out);
    assert_false(out->failed);
}

/* Verdicts of a text; checks on the way that the filter's own text says the same. */
static void
evaluate(const char *text, const struct bh_batch *b, char *ret)
{
    struct bh_filter *f = parse(text);
    struct bh_buf own = { 0 }, again = { 0 }, negated = { 0 };
    char ret_again[BH_BATCH_ROWS + 1];
    text_of(f, &own);
    bh_buf_printf(&negated, "not (%s)", text);
    struct bh_filter *not_f = parse(negated.data);
    verdicts(f, not_f, b, ret);
    struct bh_filter *f2 = parse(own.data);
    text_of(f2, &again);
    assert_string_equal(own.data, again.data);
    verdicts(f2, not_f, b, ret_again);
    assert_string_equal(ret, ret_again);
    assert_int_equal(bh_filter_needs(f), bh_filter_needs(f2));
    bh_filter_free(f);
    bh_filter_free(f2);
    bh_filter_free(not_f);
    bh_buf_done(&own);
    bh_buf_done(&again);
    bh_buf_done(&negated);
}

/* ---- words ------------------------------------------------------------------------------------ */

#define ANY_PORTLESS "deghikmn"

static void
every_word(void **state)
{
    static const struct {
        const char *text, *yes, *unknown;
    } cases[] = {
        /* kinds and protocols: a frame known to be something else answers no */
        { "ip", "abcdgjl", "i" },
        { "ip6", "fmn", "i" },
        { "arp", "ek", "i" },
        { "tcp", "abfgjl", "in" },
        { "udp", "c", "in" },
        { "icmp", "d", "in" },
        { "icmp6", "m", "in" },
        { "proto 6", "abfgjl", "in" },
        { "proto tcp", "abfgjl", "in" },
        { "proto icmp6", "m", "in" },
        { "proto \\udp", "c", "in" },
        { "proto tcp,udp", "abcfgjl", "in" },
        { "ip proto 1", "d", "i" }, /* no and unknown is no */
        { "proto 47", "", "in" },
        /* addresses */
        { "host 2.0.0.1", "abcdegjl", "hik" },
        { "2.0.0.1", "abcdegjl", "hik" },
        { "src host 2.0.0.1", "b", "hik" },
        { "src 2.0.0.1", "b", "hik" },
        { "dst host 2.0.0.1", "acdegjl", "hik" },
        { "src or dst host 2.0.0.1", "abcdegjl", "hik" },
        { "src and dst net 2.0.0.0/8", "e", "hik" },
        { "dst and src net 2", "e", "hik" },
        { "host 2.0.0.1,10.0.0.1", "abcdegjl", "hik" },
        { "host 2400::1", "f", "hik" },
        { "src 2400::1", "f", "hik" },
        { "dst 2400::1", "", "hik" },
        { "host 2A00:0::5", "f", "hik" },
        { "arp host 2.0.0.2", "e", "ik" },
        { "ip host 1.0.0.1", "ab", "i" },
        { "ip src 1.0.0.1", "a", "i" },
        { "net 1.0.0.0/8", "ab", "hik" },
        { "1.0.0.0/8", "ab", "hik" },
        { "src net 1.0.0.0/8", "a", "hik" },
        { "src 1.0.0.0/8", "a", "hik" },
        { "net 1.0.0.0 mask 255.0.0.0", "ab", "hik" },
        { "net 1", "ab", "hik" },
        { "net 1.0", "ab", "hik" },
        { "net 1.0.0", "ab", "hik" },
        { "net 1.0.0.1", "ab", "hik" },
        { "net 0.0.0.0/0", "abcdegjl", "hik" },
        { "net ::/0", "fmn", "hik" },
        { "net 2400::/12", "f", "hik" },
        { "net 2400::1/128", "f", "hik" },
        { "dst net 2a00::/64", "f", "hik" },
        { "net 2a00::/65", "f", "hik" },
        { "net 2000::/3 or 1.0.0.1", "abfmn", "hik" },
        /* ports */
        { "port 22", "abl", ANY_PORTLESS },
        { "src port 22", "bl", ANY_PORTLESS },
        { "dst port 22", "a", ANY_PORTLESS },
        { "src and dst port 22", "", ANY_PORTLESS },
        { "port 22 or 25", "abl", ANY_PORTLESS },
        { "dst port 22 or 25", "al", ANY_PORTLESS },
        { "dst port 22,25", "al", ANY_PORTLESS },
        { "dst port 22, 25", "al", ANY_PORTLESS },
        { "dst port (22 or 25)", "al", ANY_PORTLESS },
        { "tcp dst port (22 or 53)", "a", "gin" },
        { "tcp port 53", "", "gin" },
        { "udp port 53", "c", "in" },
        { "tcp port 22 or 53", "abl", "gin" },
        { "tcp src portrange 1-1023", "bl", "gin" },
        { "portrange 20-53", "abcl", ANY_PORTLESS },
        { "portrange 53", "c", ANY_PORTLESS },
        { "port ssh", "abl", ANY_PORTLESS },
        { "port SMTP or http", "jl", ANY_PORTLESS },
        /* countries and classes: of ZZ nobody knows, a private address is in no country */
        { "country cn", "abf", "hijk" },
        { "country CN", "abf", "hijk" },
        { "src country cn", "af", "hijk" },
        { "dst country cn", "b", "hik" },
        { "dst country jp", "acdegjl", "hik" },
        { "src and dst country jp", "e", "hijk" },
        { "src country cn,us", "acf", "hijk" },
        { "src country cn or us", "acf", "hijk" },
        { "src country (cn or us)", "acf", "hijk" },
        { "src country eu", "g", "hijk" },
        { "src country zz", "j", "hik" },
        { "src country fr", "", "hijk" },
        { "tcp country us", "f", "ij" },
        { "class special", "dm", "hik" },
        { "class private-use", "dm", "hik" },
        { "src class private-use", "dm", "hik" },
        { "dst class special", "", "hik" },
        { "class multicast,unallocated", "lmn", "hik" },
        { "src class unallocated", "ln", "hik" },
        /* TCP flags */
        { "flags S", "afl", "cdeghijkmn" },
        { "flags SA", "b", "cdeghijkmn" },
        { "flags s.", "b", "cdeghijkmn" },
        { "flags +S", "abfl", "cdeghijkmn" },
        { "flags SEC", "l", "cdeghijkmn" },
        { "flags +E", "l", "cdeghijkmn" },
        { "flags none", "", "cdeghijkmn" },
        { "flags S,SA", "abfl", "cdeghijkmn" },
        { "flags S or SA", "abfl", "cdeghijkmn" },
        { "flags F", "", "cdeghijkmn" },
        /* verdicts */
        { "access", "acfjl", "" },
        { "ping", "d", "" },
        { "in", "acdfgjl", "hikn" },
        { "out", "b", "hikn" },
        { "local", "e", "hikn" },
        { "outcome complete", "a", "bcdeghikmn" },
        { "outcome half_open", "f", "bcdeghikmn" },
        { "outcome refused or unknown", "jl", "bcdeghikmn" },
        { "outcome silent", "", "bcdeghikmn" },
        { "outcome reset_by_client", "", "bcdeghikmn" },
        /* numbers */
        { "len > 60", "cdfglmn", "ehik" },
        { "len>60", "cdfglmn", "ehik" },
        { "len >= 60", "abcdfglmn", "ehik" },
        { "len < 60", "j", "ehik" },
        { "len <= 60", "abj", "ehik" },
        { "len = 60", "ab", "ehik" },
        { "len == 60", "ab", "ehik" },
        { "len 60", "ab", "ehik" },
        { "len != 60", "cdfgjlmn", "ehik" },
        { "ttl < 20", "cdjn", "ehik" },
        { "window = 1024", "a", "cdeghikmn" },
        { "ipid = 54321", "a", "efhikmn" },
        { "ipid = 0xd431", "a", "efhikmn" },
        { "vlan", "af", "" },
        { "vlan 5", "a", "bcdeghijklmn" },
        { "vlan 0", "f", "bcdeghijklmn" },
        { "vlan and port 22", "a", "" },
        /* no data in this edition */
        { "asn 4713", "", "abcdefghijklmn" },
        { "asn AS4713", "", "abcdefghijklmn" },
        { "tag mirai-like", "", "abcdefghijklmn" },
        { "tag in", "", "abcdefghijklmn" },
        { "sensor tokyo1", "", "abcdefghijklmn" },
        /* operators: not first, and and or alike from the left */
        { "not tcp", "cdehkm", "in" },
        { "! tcp", "cdehkm", "in" },
        { "!tcp", "cdehkm", "in" },
        { "not not tcp", "abfgjl", "in" },
        { "not tcp port 22", "cdefhjkm", "gin" },
        { "not port 22", "cfj", ANY_PORTLESS },
        { "tcp and port 22", "abl", "gin" },
        { "tcp && port 22", "abl", "gin" },
        { "tcp&&port 22", "abl", "gin" },
        { "udp or port 22", "abcl", "deghikmn" },
        { "udp || port 22", "abcl", "deghikmn" },
        { "udp or tcp and port 22", "abl", "gin" },
        { "udp or (tcp and port 22)", "abcl", "gin" },
        { "(udp or tcp) and port 22", "abl", "gin" },
        { "port 22 and tcp or udp", "abcl", "gin" },
        { "not tcp or udp", "cdehkm", "in" },
        { "not (tcp or udp)", "dehkm", "in" },
        { "TCP AND NOT PORT 25", "abfj", "gin" },
        { "((((tcp))))", "abfgjl", "in" },
        { "not host 2.0.0.1 and 1.0.0.1", "", "hik" },
        { "asn 1 or tcp", "abfgjl", "cdehikmn" },
        { "asn 1 and tcp", "", "abfgjlin" },
    };
    struct bh_batch *b = new_batch();
    char got[BH_BATCH_ROWS + 1];
    for (size_t c = 0; c < BH_COUNT(cases); c++) {
        evaluate(cases[c].text, b, got);
        char want[BH_COUNT(rows) + 1];
        for (size_t i = 0; i < BH_COUNT(rows); i++) {
            int letter = 'a' + (int)i;
            want[i] = strchr(cases[c].yes, letter) != NULL       ? '1'
                      : strchr(cases[c].unknown, letter) != NULL ? '?'
                                                                 : '0';
        }
        want[BH_COUNT(rows)] = '\0';
        if (strcmp(got, want) != 0) {
            fail_msg("%s\n  abcdefghijklmn\n  %s\n  %s expected", cases[c].text, got, want);
        }
    }
    bh_batch_free(b);
    (void)state;
}

static void
autonomous_systems(void **state)
{
    static const struct {
        const char *text, *yes, *unknown;
    } cases[] = {
        { "asn 64001", "ab", "hik" },
        { "asn AS64001", "ab", "hik" },
        { "src asn 64001", "a", "hik" },
        { "dst asn 64001", "b", "hik" },
        { "src or dst asn 64001", "ab", "hik" },
        { "src and dst asn 64002", "e", "hik" },
        { "src asn 64036", "f", "hik" }, /* 24xx:: */
        { "asn 64001,64036", "abf", "hik" },
        { "src asn 64001 or 64036", "af", "hik" },
        { "not asn 64001", "cdefgjlmn", "hik" },
        { "asn 7", "", "hik" },
        { "asn 0", "", "hik" }, /* no system has this number */
        { "tcp src asn 64001", "a", "i" },
    };
    struct bh_batch *b = new_batch();
    char got[BH_BATCH_ROWS + 1];
    has_as = true;
    for (size_t c = 0; c < BH_COUNT(cases); c++) {
        char want[BH_COUNT(rows) + 1] = { 0 };
        evaluate(cases[c].text, b, got);
        for (size_t i = 0; i < BH_COUNT(rows); i++) {
            int letter = 'a' + (int)i;
            want[i] = strchr(cases[c].yes, letter) != NULL       ? '1'
                      : strchr(cases[c].unknown, letter) != NULL ? '?'
                                                                 : '0';
        }
        if (strcmp(got, want) != 0) {
            fail_msg("%s\n  abcdefghijklmn\n  %s\n  %s expected", cases[c].text, got, want);
        }
    }
    has_as = false;
    bh_batch_free(b);
    (void)state;
}

/* Kleene's tables, of leaves that are yes, no and unknown for row a. */
static void
truth_tables(void **state)
{
    static const char *const leaf[] = { "udp", "asn 1", "tcp" }; /* no, unknown, yes */
    static const char sign[] = "0?1";
    struct bh_batch *b = new_batch();
    char got[BH_BATCH_ROWS + 1];
    char text[64];
    for (int x = 0; x < 3; x++) {
        snprintf(text, sizeof text, "not %s", leaf[x]);
        evaluate(text, b, got);
        assert_int_equal(got[0], sign[2 - x]);
        for (int y = 0; y < 3; y++) {
            snprintf(text, sizeof text, "%s and %s", leaf[x], leaf[y]);
            evaluate(text, b, got);
            assert_int_equal(got[0], sign[x < y ? x : y]);
            snprintf(text, sizeof text, "%s or %s", leaf[x], leaf[y]);
            evaluate(text, b, got);
            assert_int_equal(got[0], sign[x > y ? x : y]);
        }
    }
    bh_batch_free(b);
    (void)state;
}

static void
columns_not_filled(void **state)
{
    static const char *const texts[] = { "ttl < 20", "window = 1024", "ipid = 1", "vlan",
                                         "vlan 5" };
    struct bh_batch *b = new_batch();
    char got[BH_BATCH_ROWS + 1];
    b->want = 0;
    for (size_t i = 0; i < BH_COUNT(texts); i++) {
        evaluate(texts[i], b, got);
        assert_string_equal(got, "??????????????");
    }
    evaluate("len > 60", b, got);
    assert_string_equal(got, "0011?11??0?111");
    bh_batch_free(b);
    (void)state;
}

static void
no_filter(void **state)
{
    struct bh_filter *f = (struct bh_filter *)state;
    struct bh_error err;
    uint8_t selected[BH_BATCH_ROWS];
    const char *blank[] = { "", "  " };
    struct bh_buf text = { 0 };
    assert_int_equal(bh_filter_parse(NULL, 0, NULL, &f, &err), 0);
    assert_null(f);
    assert_int_equal(bh_filter_parse(blank, 2, NULL, &f, NULL), 0);
    assert_null(f);
    assert_int_equal(bh_filter_needs(NULL), 0);
    bh_filter_text(NULL, &text);
    assert_int_equal(text.len, 0);
    bh_filter_free(NULL);
    struct bh_batch *b = new_batch();
    memset(selected, 7, sizeof selected);
    assert_int_equal(bh_filter_batch(NULL, b, selected), 0);
    for (uint32_t i = 0; i < b->rows; i++) {
        assert_int_equal(selected[i], 1);
    }
    assert_int_equal(selected[b->rows], 7);
    b->rows = 0;
    f = parse("tcp");
    assert_int_equal(bh_filter_batch(f, b, selected), 0);
    bh_filter_free(f);
    bh_batch_free(b);
}

static void
words_joined(void **state)
{
    static const char *const words[] = { "tcp", "dst port", "22",      "and(",
                                         "not", "src",      "country", "cn,us)" };
    struct bh_filter *f;
    struct bh_buf text = { 0 };
    assert_int_equal(bh_filter_parse(words, BH_COUNT(words), &pretended, &f, NULL), 0);
    text_of(f, &text);
    assert_string_equal(text.data, "(tcp and dst port 22 and not src country cn,us)");
    bh_buf_done(&text);
    bh_filter_free(f);
    (void)state;
}

static void
own_text(void **state)
{
    static const struct {
        const char *text, *own;
    } cases[] = {
        { "port 22", "port 22" },
        { "tcp port 22 or 25", "((tcp and port 22) or (tcp and port 25))" },
        { "tcp and port 22 or 25 and in", "(((tcp and port 22) or port 25) and in)" },
        { "tcp or udp or icmp", "(tcp or udp or icmp)" },
        { "tcp or (udp or icmp)", "(tcp or (udp or icmp))" },
        { "!(tcp or udp) && !!ping", "(not (tcp or udp) and ping)" },
        { "port 22,23", "(port 22 or port 23)" },
        { "src or dst net 10.0.0.0/8", "net 10.0.0.0/8" },
        { "src and dst net 10.0.0.0/8", "src and dst net 10.0.0.0/8" },
        { "net 10", "net 10.0.0.0/8" },
        { "10.1.2.3", "host 10.1.2.3" },
        { "HOST 2001:DB8:0:0::1", "host 2001:db8::1" },
        { "portrange 5-5", "port 5" },
        { "flags as", "flags SA" },
        { "flags +a.W", "flags +AC" },
        { "proto 6", "tcp" },
        { "proto 47", "proto gre" },
        { "proto 255", "proto 255" },
        { "len==5", "len = 5" },
        { "asn as64500", "asn 64500" },
        { "country CN, US", "country cn,us" },
        { "not (not (tcp))", "tcp" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_buf text = { 0 };
        struct bh_filter *f = parse(cases[i].text);
        text_of(f, &text);
        assert_string_equal(text.data, cases[i].own);
        bh_buf_done(&text);
        bh_filter_free(f);
    }
    (void)state;
}

/* All protocol numbers can be read back from what is printed. */
static void
every_protocol(void **state)
{
    struct bh_batch *b = new_batch();
    char got[BH_BATCH_ROWS + 1];
    char text[32];
    for (unsigned proto = 0; proto < 256; proto++) {
        b->proto[0] = (uint8_t)proto;
        snprintf(text, sizeof text, "proto %u", proto);
        evaluate(text, b, got);
        assert_int_equal(got[0], '1');
        assert_int_equal(got[2], proto == 17 ? '1' : '0');
    }
    bh_batch_free(b);
    (void)state;
}

static void
needs(void **state)
{
    static const struct {
        const char *text;
        uint32_t needs;
    } cases[] = {
        { "tcp dst port 22 and src host 192.0.2.1 and flags S and len > 3 and src asn 1", 0 },
        { "host 192.0.2.1", BH_FILTER_NEEDS_NEAR },
        { "dst net 2001:db8::/32", BH_FILTER_NEEDS_NEAR },
        { "src and dst host 192.0.2.1", BH_FILTER_NEEDS_NEAR },
        { "src net 10.0.0.0/8 or src country cn", BH_FILTER_NEEDS_COUNTRY },
        { "udp port 22", BH_FILTER_NEEDS_SRC_PORT },
        { "not src portrange 1-2", BH_FILTER_NEEDS_SRC_PORT },
        { "src and dst port 22", BH_FILTER_NEEDS_SRC_PORT },
        { "country cn", BH_FILTER_NEEDS_COUNTRY | BH_FILTER_NEEDS_NEAR },
        { "class special", BH_FILTER_NEEDS_COUNTRY | BH_FILTER_NEEDS_NEAR },
        { "access", BH_FILTER_NEEDS_CLASS },
        { "not ping", BH_FILTER_NEEDS_CLASS },
        { "in", BH_FILTER_NEEDS_DIRECTION },
        { "out or local", BH_FILTER_NEEDS_DIRECTION },
        { "outcome silent", BH_FILTER_NEEDS_OUTCOME },
        { "ttl < 3", BH_FILTER_NEEDS_COLD },
        { "window 3", BH_FILTER_NEEDS_COLD },
        { "ipid 3", BH_FILTER_NEEDS_COLD },
        { "vlan", BH_FILTER_NEEDS_COLD },
        { "vlan 3", BH_FILTER_NEEDS_COLD },
        { "in and (access or country jp)", BH_FILTER_NEEDS_DIRECTION | BH_FILTER_NEEDS_CLASS |
                                               BH_FILTER_NEEDS_COUNTRY | BH_FILTER_NEEDS_NEAR },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_filter *f = parse(cases[i].text);
        assert_int_equal(bh_filter_needs(f), cases[i].needs);
        bh_filter_free(f);
    }
    (void)state;
}

/* ---- errors ------------------------------------------------------------------------------------- */

static void
every_error(void **state)
{
    static const struct {
        const char *text;
        int code;
        const char *where, *says; /* a part of the English text */
    } cases[] = {
        { "prot 22", BH_EUNKNOWN, "prot", "word 1 (column 1): " },
        { "tcp and prot 22", BH_EUNKNOWN, "prot", "word 3 (column 9): " },
        { "tcp  and\tprot 22", BH_EUNKNOWN, "prot", "word 3 (column 10): " },
        { "prot 22", BH_EUNKNOWN, "prot", "did you mean port?" },
        { "hots 192.0.2.1", BH_EUNKNOWN, "hots", "did you mean host?" },
        { "port 22 or hots 192.0.2.1", BH_EUNKNOWN, "hots", "did you mean host?" },
        { "tpc", BH_EUNKNOWN, "tpc", "did you mean tcp?" },
        { "contry jp", BH_EUNKNOWN, "contry", "did you mean country?" },
        { "xyzzyxyzzy", BH_EUNKNOWN, "xyzzyxyzzy", "not a word of the filter (" },
        { "22", BH_EUNKNOWN, "22", "a number needs a word before it" },
        { "tcp or 22", BH_EUNKNOWN, "22", "a number needs a word before it" },
        { "port 22 and tcp or 25", BH_EUNKNOWN, "25", "a number needs a word before it" },
        { "tcp[13] == 2", BH_EUNKNOWN, "tcp[13]", "flags S" },
        { "port 22 and tcp[tcpflags] & tcp-syn != 0", BH_EUSAGE, "&", "&&" },
        { "port 22 | port 23", BH_EUSAGE, "|", "||" },
        { "port", BH_EUSAGE, "port", "port needs a value: port 22" },
        { "host and tcp", BH_EUSAGE, "and", "host needs a value" },
        { "port 22,", BH_EUSAGE, "22,", "port needs a value" },
        { "port 22,,23", BH_EUSAGE, "22,,23", "port needs a value" },
        { "port ()", BH_EUSAGE, ")", "a test was expected" },
        { "port (tcp)", BH_EUSAGE, "tcp", "a value of port" },
        { "port 65536", BH_EUSAGE, "65536", "0 to 65535" },
        { "port -1", BH_EUNKNOWN, "-1", "not a port" },
        { "port 0x16", BH_EUNKNOWN, "0x16", "not a port" },
        { "port 22-25", BH_EUSAGE, "22-25", "portrange" },
        { "port htpp", BH_EUNKNOWN, "htpp", "did you mean http?" },
        { "portrange 25-22", BH_EUSAGE, "25-22", "22-25" },
        { "portrange 25-", BH_EUSAGE, "25-", "0 to 65535" },
        { "host www.example.com", BH_EUSAGE, "www.example.com", "names are not looked up" },
        { "src www.example.com", BH_EUSAGE, "www.example.com", "src and dst take" },
        { "host 192.0.2", BH_EUSAGE, "192.0.2", "not an address" },
        { "host 192.0.2.256", BH_EUSAGE, "192.0.2.256", "not an address" },
        { "host 192.0.2.0/24", BH_EUSAGE, "192.0.2.0/24", "write net" },
        { "net 192.0.2.1/24", BH_EUSAGE, "192.0.2.1/24", "the network is 192.0.2.0/24" },
        { "192.0.2.1/24", BH_EUSAGE, "192.0.2.1/24", "the network is 192.0.2.0/24" },
        { "net 2001:db8::1/32", BH_EUSAGE, "2001:db8::1/32", "the network is 2001:db8::/32" },
        { "net 2001:db8::1/127", BH_EUSAGE, "2001:db8::1/127", "the network is 2001:db8::/127" },
        { "net 192.0.2.0/33", BH_EUSAGE, "192.0.2.0/33", "0 to 32" },
        { "net ::/129", BH_EUSAGE, "::/129", "0 to 128" },
        { "net 192.0.2.0/", BH_EUSAGE, "192.0.2.0/", "0 to 32" },
        { "net 10.0.0.0 mask 255.0.255.0", BH_EUSAGE, "255.0.255.0", "ones followed by zeros" },
        { "net 10.0.0.0 mask", BH_EUSAGE, "", "mask takes" },
        { "net 10.0.0.1 mask 255.0.0.0", BH_EUSAGE, "10.0.0.1", "10.0.0.0/8" },
        { "net example", BH_EUSAGE, "example", "names are not looked up" },
        { "src", BH_EUSAGE, "", "src and dst take" },
        { "src or", BH_EUSAGE, "src", "needs a value" },
        { "src or tcp", BH_EUSAGE, "src", "needs a value" },
        { "src or dst", BH_EUSAGE, "", "src and dst take" },
        { "src flags S", BH_EUSAGE, "flags", "src and dst take" },
        { "dst 22", BH_EUSAGE, "22", "src and dst take" },
        { "country", BH_EUSAGE, "country", "country needs a value" },
        { "country japan", BH_EUNKNOWN, "japan", "did you mean jp (" },
        { "country Japn", BH_EUNKNOWN, "Japn", "did you mean jp (" },
        { "country usa", BH_EUNKNOWN, "usa", "did you mean us (" },
        { "country uk", BH_EUNKNOWN, "uk", "did you mean gb (" },
        { "country china", BH_EUNKNOWN, "china", "did you mean cn (" },
        { "country 日本", BH_EUNKNOWN, "日本", "did you mean jp (" },
        { "country x", BH_EUNKNOWN, "x", "country" },
        { "country 12", BH_EUNKNOWN, "12", "not a country" },
        { "country cn,", BH_EUNKNOWN, "", "not a country" },
        { "class privat-use", BH_EUNKNOWN, "privat-use", "did you mean private-use?" },
        { "class qqqqqqqqqqq", BH_EUNKNOWN, "qqqqqqqqqqq", "not an address class" },
        { "proto tcq", BH_EUNKNOWN, "tcq", "not a protocol" },
        { "proto 256", BH_EUNKNOWN, "256", "not a protocol" },
        { "flags X", BH_EUSAGE, "X", "F S R P A U E C" },
        { "flags +", BH_EUSAGE, "+", "F S R P A U E C" },
        { "flags SX", BH_EUSAGE, "SX", "F S R P A U E C" },
        { "outcome complet", BH_EUNKNOWN, "complet", "complete?" },
        { "outcome zzzzzzzzzz", BH_EUNKNOWN, "zzzzzzzzzz", "not an outcome" },
        { "len", BH_EUSAGE, "len", "len > 100" },
        { "len > x", BH_EUSAGE, "x", "0 to 4294967295" },
        { "len > 4294967296", BH_EUSAGE, "4294967296", "0 to 4294967295" },
        { "ttl > 256", BH_EUSAGE, "256", "0 to 255" },
        { "window > 65536", BH_EUSAGE, "65536", "0 to 65535" },
        { "vlan 4096", BH_EUSAGE, "4096", "0 to 4095" },
        { "port > 5", BH_EUSAGE, ">", "port needs a value" },
        { "tcp > 5", BH_EUSAGE, ">", "only len, ttl, window and ipid" },
        { "asn x", BH_EUSAGE, "x", "a number" },
        { "asn 4294967296", BH_EUSAGE, "4294967296", "0 to 4294967295" },
        { "tag a\\b", BH_EUSAGE, "a\\b", "a name is letters" },
        { "sensor", BH_EUSAGE, "sensor", "sensor needs a value" },
        { "tcp port", BH_EUSAGE, "port", "port needs a value" },
        { "tcp udp", BH_EUSAGE, "udp", "and or or is missing" },
        { "tcp an udp", BH_EUNKNOWN, "an", "did you mean and?" },
        { "tcp (udp)", BH_EUSAGE, "(", "and or or is missing" },
        { "tcp and", BH_EUSAGE, "and", "ends where a test was expected" },
        { "and tcp", BH_EUSAGE, "and", "a test was expected" },
        { "tcp and or udp", BH_EUSAGE, "or", "a test was expected" },
        { "not", BH_EUSAGE, "not", "ends where a test was expected" },
        { "(tcp", BH_EUSAGE, "(", "is never closed" },
        { "tcp)", BH_EUSAGE, ")", "closes no bracket" },
        { "()", BH_EUSAGE, ")", "a test was expected" },
        { "(tcp))", BH_EUSAGE, ")", "word 4 (column 6): closes no bracket" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_filter *f = (struct bh_filter *)state;
        struct bh_error err = { 0 };
        int r = bh_filter_parse(&cases[i].text, 1, &pretended, &f, &err);
        if (r != cases[i].code || err.code != r || strcmp(err.where, cases[i].where) != 0 ||
            strstr(err.text[BH_EN], cases[i].says) == NULL || err.text[BH_JA][0] == '\0') {
            fail_msg("%s: %d, where \"%s\": %s / %s", cases[i].text, r, err.where, err.text[BH_EN],
                     err.text[BH_JA]);
        }
        assert_ptr_equal(f, state); /* untouched */
        assert_int_equal(bh_filter_parse(&cases[i].text, 1, &pretended, &f, NULL), r);
    }
    struct bh_filter *f;
    struct bh_error err;
    const char *text = "country cn";
    assert_int_equal(bh_filter_parse(&text, 1, NULL, &f, &err), BH_EUSAGE);
    assert_non_null(strstr(err.text[BH_EN], "no country data"));
}

static void
repeat(struct bh_buf *b, const char *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        bh_buf_puts(b, s);
    }
}

static int
parse_result(struct bh_buf *text)
{
    struct bh_filter *f = NULL;
    const char *word = text->data;
    int r = bh_filter_parse(&word, 1, &pretended, &f, NULL);
    if (r == 0) {
        struct bh_buf own = { 0 };
        struct bh_filter *again = NULL;
        text_of(f, &own);
        word = own.data;
        assert_int_equal(bh_filter_parse(&word, 1, &pretended, &again, NULL), 0);
        bh_filter_free(again);
        bh_buf_done(&own);
    }
    bh_filter_free(f);
    bh_buf_done(text);
    return r;
}

static void
bounds(void **state)
{
    static const struct {
        const char *open, *middle, *close;
        unsigned good, bad;
    } cases[] = {
        { "tcp or ", "tcp", "", 4095, 4096 },
        { "tcp and (", "tcp", ")", 63, 64 },
        { "not tcp or not (", "tcp", ")", 63, 64 },
        { "(", "tcp", ")", 10000, 0 }, /* brackets alone cost nothing */
        { "(", "tcp", " and udp)", 4095, 4096 },
        { "not ", "tcp", "", 10000, 0 },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        for (int bad = 0; bad < 2; bad++) {
            struct bh_buf text = { 0 };
            unsigned n = bad ? cases[i].bad : cases[i].good;
            if (n == 0) {
                continue;
            }
            repeat(&text, cases[i].open, n);
            bh_buf_puts(&text, cases[i].middle);
            repeat(&text, cases[i].close, n);
            assert_int_equal(parse_result(&text), bad ? BH_ELIMIT : 0);
        }
    }
    struct bh_buf text = { 0 };
    repeat(&text, "not ", 300000);
    bh_buf_puts(&text, "tcp");
    assert_int_equal(parse_result(&text), BH_ELIMIT);
    (void)state;
}

/* ---- random filters against a plain evaluator ---------------------------------------------------- */

static uint64_t random_state;

static unsigned
below(unsigned n)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)((random_state >> 33) % n);
}

enum { T_NO, T_UNKNOWN, T_YES };

/* A leaf: its text, and what it says of a row, written as plainly as can be. */
struct leaf {
    char text[64];
    int what, end;
    uint32_t x, y;
};

static int
two_ends(const struct leaf *l, int src, int dst)
{
    switch (l->end) {
    case 1:
        return src;
    case 2:
        return dst;
    case 3:
        return src < dst ? src : dst;
    default:
        return src > dst ? src : dst;
    }
}

static int
truth(bool t)
{
    return t ? T_YES : T_NO;
}

static int
ask_country(const struct leaf *l, unsigned first_octet)
{
    uint16_t v = value_of_octet(first_octet);
    if (l->x == 0 && v == 0) {
        return T_UNKNOWN;
    }
    return truth(l->x == 0 ? v == 2 || v == 4 : v >= 6);
}

static int
ask(const struct leaf *l, const struct row *r)
{
    bool ip = r->kind == BH_KIND_IP4 || r->kind == BH_KIND_IP6;
    bool ports = ip && (r->proto == 6 || r->proto == 17) && (r->marks & BH_MARK_NO_PORTS) == 0;
    switch (l->what) {
    case 0: /* proto */
        if (r->kind == BH_KIND_NONE && r->reason != BH_REASON_NOT_IP) {
            return T_UNKNOWN;
        }
        return truth(ip && r->proto == l->x);
    case 1: /* net */
        if (!ip && r->kind != BH_KIND_ARP) {
            return T_UNKNOWN;
        }
        if (r->kind == BH_KIND_IP6) {
            return T_NO;
        }
        return two_ends(l, truth(r->src >> 24 == l->x), truth(r->dst >> 24 == l->x));
    case 2: /* ports */
        if (!ports) {
            return T_UNKNOWN;
        }
        return two_ends(l, truth(r->ports >> 16 >= l->x && r->ports >> 16 <= l->y),
                        truth((r->ports & 0xffff) >= l->x && (r->ports & 0xffff) <= l->y));
    case 3: /* country cn,us and class special */
        if (!ip && r->kind != BH_KIND_ARP) {
            return T_UNKNOWN;
        }
        if (r->kind == BH_KIND_IP6) { /* 0x24.. is CN, 0x2a.. is US */
            return l->x == 0 ? two_ends(l, truth(r->ip6.src_hi >> 56 == 0x24),
                                        truth(r->ip6.dst_hi >> 56 == 0x2a))
                             : T_NO;
        }
        return two_ends(l, ask_country(l, r->src >> 24), ask_country(l, r->dst >> 24));
    case 4: /* flags */
        if (!ports || r->proto != 6 || (r->marks & BH_MARK_NO_FLAGS) != 0) {
            return T_UNKNOWN;
        }
        return truth(l->y ? (r->flags & BH_TCP_SYN) != 0 : (r->flags & 63) == BH_TCP_SYN);
    case 5: /* outcome */
        return r->outcome == 0 ? T_UNKNOWN : truth(r->outcome == BH_OUTCOME_COMPLETE);
    case 6: /* access */
        return truth(r->cls == BH_CLASS_ACCESS);
    case 7: /* in */
        return r->direction == 0 ? T_UNKNOWN : truth(r->direction == BH_DIR_IN);
    case 8: /* len > x */
        return !ip ? T_UNKNOWN : truth(r->len > l->x);
    case 9: /* vlan id */
        return r->vlan == 0 ? T_UNKNOWN : truth(r->vlan - 1U == l->x);
    default:
        return T_UNKNOWN;
    }
}

static void
random_leaf(struct leaf *l)
{
    static const char *const ends[] = { "", "src ", "dst ", "src and dst " };
    l->what = (int)below(11);
    l->end = (int)below(4);
    l->x = l->y = 0;
    const char *end = ends[l->end];
    switch (l->what) {
    case 0:
        l->x = (uint32_t[]){ 1, 6, 17, 58 }[below(4)];
        snprintf(l->text, sizeof l->text, "proto %u", l->x);
        break;
    case 1:
        l->x = 1 + below(6);
        snprintf(l->text, sizeof l->text, "%snet %u.0.0.0/8", end, l->x);
        break;
    case 2:
        l->x = below(40);
        l->y = l->x + below(20);
        snprintf(l->text, sizeof l->text, "%sportrange %u-%u", end, l->x, l->y);
        break;
    case 3:
        l->x = below(2);
        snprintf(l->text, sizeof l->text, "%s%s", end,
                 l->x == 0 ? "country cn,us" : "class special");
        break;
    case 4:
        l->y = below(2);
        snprintf(l->text, sizeof l->text, "flags %s", l->y ? "+S" : "S");
        break;
    case 8:
        l->x = below(100);
        snprintf(l->text, sizeof l->text, "len > %u", l->x);
        break;
    case 9:
        l->x = below(3);
        snprintf(l->text, sizeof l->text, "vlan %u", l->x);
        break;
    default: {
        static const char *const words[] = {
            [5] = "outcome complete", [6] = "access", [7] = "in", [10] = "asn 7"
        };
        snprintf(l->text, sizeof l->text, "%s", words[l->what]);
        break;
    }
    }
}

/* Writes a random filter and fills `ret` with its truth for every row. */
static void
random_filter(unsigned depth, const struct row *r, unsigned count, struct bh_buf *text, int *ret)
{
    if (depth == 0 || below(4) == 0) {
        struct leaf l;
        random_leaf(&l);
        bh_buf_puts(text, l.text);
        for (unsigned i = 0; i < count; i++) {
            ret[i] = ask(&l, &r[i]);
        }
        return;
    }
    if (below(4) == 0) {
        bh_buf_puts(text, below(2) ? "not (" : "!(");
        random_filter(depth - 1, r, count, text, ret);
        bh_buf_putc(text, ')');
        for (unsigned i = 0; i < count; i++) {
            ret[i] = 2 - ret[i];
        }
        return;
    }
    /* A chain without brackets goes from the left. */
    unsigned links = 1 + below(3);
    int right[64];
    bh_buf_putc(text, '(');
    random_filter(depth - 1, r, count, text, ret);
    bh_buf_putc(text, ')');
    for (unsigned k = 0; k < links; k++) {
        bool and = below(2);
        bh_buf_puts(text, and? (below(2) ? " and " : " && ") : (below(2) ? " or " : "||"));
        bh_buf_putc(text, '(');
        random_filter(depth - 1, r, count, text, right);
        bh_buf_putc(text, ')');
        for (unsigned i = 0; i < count; i++) {
            bool take_right = and? right[i] < ret[i] : right[i] > ret[i];
            ret[i] = take_right ? right[i] : ret[i];
        }
    }
}

static struct row
random_row(void)
{
    static const uint8_t kinds[] = { 0, 1, 4, 4, 4, 6, 6 };
    static const uint8_t protos[] = { 1, 6, 6, 6, 17, 17, 58, 47 };
    struct row r = { .kind = kinds[below(7)] };
    r.proto = protos[below(8)];
    r.reason = r.kind == 0 ? (uint8_t)(1 + below(2)) : 0;
    r.src = (1 + below(8)) << 24 | below(4);
    r.dst = (1 + below(8)) << 24 | below(4);
    r.src = below(6) == 0 ? V4(10, 0, 0, 1) : r.src;
    r.ports = PORTS(below(60), below(60));
    r.flags = (uint8_t)(below(3) == 0 ? below(256) : BH_TCP_SYN);
    r.marks = (uint8_t)(below(4) == 0 ? BH_MARK_NO_PORTS : below(4) == 0 ? BH_MARK_NO_FLAGS : 0);
    r.len = 20 + below(100);
    r.vlan = (uint16_t)below(4);
    r.direction = (uint8_t)below(5);
    r.cls = (uint8_t)below(3);
    r.outcome = (uint8_t)below(3);
    r.ip6 = (struct bh_ip6_pair){ (below(2) ? 0x24ULL : 0x26ULL) << 56, 1,
                                  (below(2) ? 0x2aULL : 0x26ULL) << 56, 2 };
    return r;
}

static void
random_filters(void **state)
{
    enum { COUNT = 64 };
    struct bh_batch *b = bh_batch_new();
    assert_non_null(b);
    random_state = 20070731;
    for (int round = 0; round < 3000; round++) {
        struct row r[COUNT];
        int want[COUNT];
        char got[BH_BATCH_ROWS + 1];
        struct bh_buf text = { 0 };
        bh_batch_reset(b);
        b->rows = b->v6_rows = 0;
        b->want = BH_WANT_COLD;
        for (int i = 0; i < COUNT; i++) {
            r[i] = random_row();
            put_row(b, &r[i]);
        }
        random_filter(4, r, COUNT, &text, want);
        evaluate(text.data, b, got);
        for (int i = 0; i < COUNT; i++) {
            if (got[i] != "0?1"[want[i]]) {
                fail_msg("%s: row %d of round %d: %c, expected %c", text.data, i, round, got[i],
                         "0?1"[want[i]]);
            }
        }
        bh_buf_done(&text);
    }
    bh_batch_free(b);
    (void)state;
}

/* ---- what is said of rows that were not read ------------------------------------------------------------ */

/* The store gives an outcome to these only. */
static bool
may_be_stored(const struct row *r)
{
    const bool ip = r->kind == BH_KIND_IP4 || r->kind == BH_KIND_IP6;
    return r->outcome == 0 || (ip && r->proto == 6 && r->cls == BH_CLASS_ACCESS);
}

/* What is known of a row, added to what is known of others. */
static void
add_facts(struct bh_facts *x, const struct row *r, const struct bh_judge *j,
          struct bh_range4 *near4, struct bh_range6 *near6)
{
    const bool out = r->direction == BH_DIR_OUT, six = r->kind == BH_KIND_IP6;
    const uint32_t far4 = out ? r->dst : r->src;
    const uint64_t far6 = out ? r->ip6.dst_hi : r->ip6.src_hi;
    const uint16_t far = six ? kobold_v6(NULL, far6, 0) : kobold_v4(NULL, far4);
    const uint16_t near = six ? kobold_v6(NULL, out ? r->ip6.src_hi : r->ip6.dst_hi, 0)
                              : kobold_v4(NULL, out ? r->src : r->dst);
    const uint32_t service = x->in_front ? r->ports >> 16 : r->ports & 0xffff;
    const uint32_t other = x->in_front ? r->ports & 0xffff : r->ports >> 16;
    x->outcomes |= (uint8_t)(1U << r->outcome);
    x->service_ports |= 1ULL << j->port_class[service];
    x->other_ports |= 1ULL << j->port_class[other];
    x->far_countries |= 1ULL << j->country_class[far];
    x->near_countries |= 1ULL << j->country_class[near];
    x->far4.first = far4 < x->far4.first ? far4 : x->far4.first;
    x->far4.last = far4 > x->far4.last ? far4 : x->far4.last;
    x->far6.first = far6 >> 32 < x->far6.first ? (uint32_t)(far6 >> 32) : x->far6.first;
    x->far6.last = far6 >> 32 > x->far6.last ? (uint32_t)(far6 >> 32) : x->far6.last;
    near4[x->near4_count].first = near4[x->near4_count].last = out ? r->src : r->dst;
    x->near4_count++;
    near6[x->near6_count].hi = out ? r->ip6.src_hi : r->ip6.dst_hi;
    near6[x->near6_count].first = near6[x->near6_count].last = out ? r->ip6.src_lo : r->ip6.dst_lo;
    x->near6_count++;
}

static unsigned
asked(const struct bh_judge *j, const struct row *a, const struct row *b)
{
    struct bh_range4 near4[2];
    struct bh_range6 near6[2];
    struct bh_facts x = { .cls = a->cls,
                          .direction = a->direction,
                          .kind = a->kind,
                          .proto = a->proto,
                          .odd = ((a->marks | b->marks) & BH_MARK_NO_PORTS) != 0,
                          .in_front = below(2) != 0,
                          .far4 = { UINT32_MAX, 0 },
                          .far6 = { UINT32_MAX, 0 },
                          .near4 = near4,
                          .near6 = near6 };
    add_facts(&x, a, j, near4, near6);
    add_facts(&x, b, j, near4, near6);
    return j->truths(j->arg, &x);
}

/* Never narrower than what the rows are; and no wider where all is known that the filter asks for. */
static void
judged(void **state)
{
    enum { COUNT = 64 };
    uint32_t exact = 0;
    random_state = 1125;
    for (int round = 0; round < 3000; round++) {
        struct row r[COUNT];
        int want[COUNT];
        struct bh_buf text = { 0 };
        struct bh_judge *j;
        for (int i = 0; i < COUNT; i++) {
            r[i] = random_row();
        }
        random_filter(4, r, COUNT, &text, want);
        struct bh_filter *f = parse(text.data);
        assert_int_equal(bh_filter_judge_new(f, true, &j), 0);
        const bool all_known =
            strstr(text.data, "flags") == NULL && strstr(text.data, "len") == NULL &&
            strstr(text.data, "vlan") == NULL && strstr(text.data, "asn") == NULL;
        for (int i = 0; i < COUNT; i++) {
            const int k = (int)below(COUNT);
            const bool alike = r[i].cls == r[k].cls && r[i].direction == r[k].direction &&
                               r[i].kind == r[k].kind && r[i].proto == r[k].proto &&
                               may_be_stored(&r[k]);
            if (!may_be_stored(&r[i])) {
                continue;
            }
            const unsigned alone = asked(j, &r[i], &r[i]),
                           pair = alike ? asked(j, &r[i], &r[k]) : BH_MAY_ALL;
            if ((alone >> want[i] & 1) == 0 || (pair >> want[i] & 1) == 0 ||
                (alike && (pair >> want[k] & 1) == 0)) {
                fail_msg("%s: row %d of round %d: %u, %u of %d", text.data, i, round, alone, pair,
                         want[i]);
            }
            if (all_known && r[i].kind != BH_KIND_NONE && (r[i].marks & BH_MARK_NO_PORTS) == 0) {
                assert_int_equal(alone, 1U << want[i]);
                exact++;
            }
        }
        bh_filter_judge_free(j);
        bh_filter_free(f);
        bh_buf_done(&text);
    }
    assert_true(exact > 10000);
    (void)state;
}

/* Beyond its bounds a judge only says that anything may be. */
static void
judges_have_bounds(void **state)
{
    (void)state;
    struct bh_facts x = {
        .kind = BH_KIND_IP4, .proto = BH_PROTO_TCP, .service_ports = 1, .other_ports = 1
    };
    for (unsigned ports = 31; ports <= 34; ports++) {
        struct bh_buf text = { 0 };
        struct bh_judge *j;
        bh_buf_puts(&text, "dst port 1000");
        for (unsigned k = 1; k < ports; k++) {
            bh_buf_printf(&text, ",%u", 1000 + 2 * k);
        }
        struct bh_filter *f = parse(text.data);
        assert_int_equal(bh_filter_judge_new(f, true, &j), 0);
        x.service_ports = 1ULL << j->port_class[77];
        assert_int_equal(j->truths(j->arg, &x), ports <= 32 ? BH_MAY_NO : BH_MAY_ALL);
        x.service_ports = 1ULL << j->port_class[1002];
        assert_true((j->truths(j->arg, &x) & BH_MAY_YES) != 0);
        bh_filter_judge_free(j);
        bh_filter_free(f);
        bh_buf_done(&text);
    }
    struct bh_judge *j;
    struct bh_filter *f = parse("src country cn"); /* with databases of several days */
    assert_int_equal(bh_filter_judge_new(f, false, &j), 0);
    assert_int_equal(j->truths(j->arg, &x), BH_MAY_ALL);
    bh_filter_judge_free(j);
    bh_filter_free(f);
}

/* A full batch: the last row counts too. */
static void
full_batch(void **state)
{
    struct bh_batch *b = bh_batch_new();
    assert_non_null(b);
    b->want = BH_WANT_COLD;
    while (b->rows < BH_BATCH_ROWS) {
        put_row(b, &rows[b->rows % BH_COUNT(rows)]);
    }
    struct bh_filter *f = parse("tcp port 22 and src country cn and not (udp or class special)");
    uint8_t selected[BH_BATCH_ROWS + 1];
    selected[BH_BATCH_ROWS] = 9;
    bh_filter_batch(f, b, selected);
    for (uint32_t i = 0; i < BH_BATCH_ROWS; i++) {
        assert_int_equal(selected[i], i % BH_COUNT(rows) == 0);
    }
    assert_int_equal(selected[BH_BATCH_ROWS], 9);
    bh_filter_free(f);
    bh_batch_free(b);
    (void)state;
}

/* Only rows that are counted so far are narrowed, and asked about. */
static void
narrowed(void **state)
{
    (void)state;
    static const char *const texts[] = { "tcp", "ttl > 5", "not ttl > 5", "tcp and ttl > 5",
                                         "udp or vlan" };
    for (size_t k = 0; k < BH_COUNT(texts); k++) {
        struct bh_batch *b = new_batch();
        struct bh_filter *f = parse(texts[k]);
        struct bh_filter *negated = NULL;
        char text[64];
        uint8_t yes[BH_BATCH_ROWS], no[BH_BATCH_ROWS];
        snprintf(text, sizeof text, "not (%s)", texts[k]);
        negated = parse(text);
        b->want = 0;
        bh_filter_batch(f, b, yes);
        bh_filter_batch(negated, b, no);
        uint32_t unknown = 0;
        for (uint32_t i = 0; i < b->rows; i++) {
            b->counted[i] = i % 3 != 0;
            unknown += i % 3 != 0 && yes[i] + no[i] == 0;
        }
        assert_int_equal(bh_filter_narrow(f, b), unknown);
        for (uint32_t i = 0; i < b->rows; i++) {
            assert_int_equal(b->counted[i], i % 3 != 0 && yes[i] == 1);
        }
        assert_int_equal(bh_filter_narrow(NULL, b), 0);
        bh_filter_free(f);
        bh_filter_free(negated);
        bh_batch_free(b);
    }
}

/* Names of sensors are compared whole; of records without a sensor nothing is known. */
static void
sensors(void **state)
{
    (void)state;
    static const char *const names[] = { "kyoto", "osaka", "osaka/2" };
    static const struct {
        const char *text, *rows; /* of the sensors 0 1 1 2 0 */
    } cases[] = {
        { "sensor osaka", "01100" },          { "sensor kyoto,osaka/2", "10011" },
        { "not sensor osaka", "10011" },      { "sensor osak", "00000" },
        { "sensor OSAKA", "00000" },          { "sensor osaka and sensor kyoto", "00000" },
        { "sensor osaka or kyoto", "11101" },
    };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        struct bh_filter *f = parse(cases[k].text);
        struct bh_batch *b = bh_batch_new();
        uint8_t selected[BH_BATCH_ROWS];
        static const uint16_t of[] = { 0, 1, 1, 2, 0 };
        memcpy(b->sensor, of, sizeof of);
        b->rows = BH_COUNT(of);
        assert_int_equal(bh_filter_batch(f, b, selected), 5); /* nobody says who saw them */
        for (uint32_t i = 0; i < b->rows; i++) {
            assert_int_equal(selected[i], 0);
        }
        b->sensor_names = names;
        assert_int_equal(bh_filter_batch(f, b, selected), 0);
        for (uint32_t i = 0; i < b->rows; i++) {
            assert_int_equal(selected[i], cases[k].rows[i] - '0');
        }
        bh_filter_free(f);
        bh_batch_free(b);
    }
    struct bh_filter *f = parse("tcp and (sensor osaka,kyoto or not sensor nara)");
    assert_string_equal(bh_filter_sensor(f, 0), "osaka");
    assert_string_equal(bh_filter_sensor(f, 1), "kyoto");
    assert_string_equal(bh_filter_sensor(f, 2), "nara");
    assert_null(bh_filter_sensor(f, 3));
    assert_null(bh_filter_sensor(NULL, 0));
    bh_filter_free(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_word),   cmocka_unit_test(autonomous_systems),
        cmocka_unit_test(truth_tables), cmocka_unit_test(columns_not_filled),
        cmocka_unit_test(no_filter),    cmocka_unit_test(words_joined),
        cmocka_unit_test(own_text),     cmocka_unit_test(every_protocol),
        cmocka_unit_test(needs),        cmocka_unit_test(every_error),
        cmocka_unit_test(bounds),       cmocka_unit_test(random_filters),
        cmocka_unit_test(judged),       cmocka_unit_test(judges_have_bounds),
        cmocka_unit_test(full_batch),   cmocka_unit_test(narrowed),
        cmocka_unit_test(sensors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
