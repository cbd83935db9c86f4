/* SPDX-License-Identifier: BSD-2-Clause */
/* Logs of netfilter, Zeek and nfdump as records: what becomes of each form, and of each cut of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "bh_import.h"

#define S_NS INT64_C(1000000000)
#define MAR11_2015 INT64_C(1426032000) /* 2015-03-11 00:00:00 */
#define IN4                                                                                        \
    "IN=eth1 OUT= MAC=02:00:00:00:00:01:02:00:00:00:00:02:08:00 SRC=198.51.100.7 DST=203.0.113.1 "
#define V4 "TOS=0x00 PREC=0x00 TTL=53 ID=15270 "
#define SYN_WORDS IN4 "LEN=44 " V4 "PROTO=TCP SPT=56247 DPT=1025 WINDOW=3072 RES=0x00 SYN URGP=0 "
#define SYSLOG "Mar 11 20:35:11 gw kernel: [463490.251762] DROP "

enum {
    FIN = BH_TCP_FIN,
    SYN = BH_TCP_SYN,
    RST = BH_TCP_RST,
    PSH = BH_TCP_PSH,
    ACK = BH_TCP_ACK,
    URG = BH_TCP_URG
};

static struct bh_batch *batch;
static struct bh_import_stats stats;

/* The rows of a small text, in `batch`. */
static uint32_t
rows_as(const char *format, const char *text, size_t size)
{
    struct bh_import *im;
    struct bh_error err;
    char line[1024];
    struct bh_import_options o = { .format = format,
                                   .now_ns = INT64_C(1430000000) * S_NS }; /* 2015-04-25 */
    if (bh_import_open_memory_with(text, size, &o, &im, &err) != 0) {
        fail_msg("%s: %s", text, bh_error_line(&err, BH_EN, line, sizeof line));
    }
    assert_true(bh_import_read(im, batch, &err) >= 0);
    bh_import_get_stats(im, &stats);
    bh_import_close(im);
    return batch->rows;
}

static uint32_t
rows_of(const char *text)
{
    return rows_as(NULL, text, strlen(text));
}

static void
assert_ip(struct bh_ip ip, const char *text)
{
    char buf[BH_IP_TEXT_MAX];
    bh_ip_format(&ip, buf);
    assert_string_equal(buf, text);
}

/* ---- netfilter: packets --------------------------------------------------------------------------- */

struct packet {
    const char *words;
    const char *src, *dst;
    uint32_t sport, dport, ip_len, payload;
    uint8_t kind, proto, flags, marks, ttl, direction;
};

static const struct packet packets[] = {
    { SYN_WORDS "OPT (020405B4) ", "198.51.100.7", "203.0.113.1", 56247, 1025, 44, 0, 4, 6, SYN, 0,
      53, BH_DIR_IN },
    { IN4 "LEN=40 " V4
          "DF PROTO=TCP SPT=1 DPT=65535 WINDOW=0 RES=0x00 CWR ECE URG ACK PSH RST SYN FIN URGP=0",
      "198.51.100.7", "203.0.113.1", 1, 65535, 40, 0, 4, 6, 255, 0, 53, BH_DIR_IN },
    { IN4 "LEN=40 " V4 "PROTO=TCP SPT=1 DPT=2 WINDOW=0 RES=0x00 URGP=0", "198.51.100.7",
      "203.0.113.1", 1, 2, 40, 0, 4, 6, 0, 0, 53, BH_DIR_IN },
    { IN4 "LEN=181 " V4
          "PROTO=TCP SPT=1 DPT=2 SEQ=4294967295 ACK=1 WINDOW=0 RES=0x00 ACK PSH URGP=0",
      "198.51.100.7", "203.0.113.1", 1, 2, 181, 101, 4, 6, ACK | PSH, 0, 53, BH_DIR_IN },
    { IN4 "LEN=28 " V4 "PROTO=UDP SPT=44318 DPT=0 LEN=8 ", "198.51.100.7", "203.0.113.1", 44318, 0,
      28, 0, 4, 17, 0, 0, 53, BH_DIR_IN },
    { IN4 "LEN=128 " V4 "PROTO=UDP SPT=44318 DPT=53 LEN=108 MARK=0x1", "198.51.100.7",
      "203.0.113.1", 44318, 53, 128, 100, 4, 17, 0, 0, 53, BH_DIR_IN },
    { IN4 "LEN=84 " V4 "PROTO=ICMP TYPE=8 CODE=0 ID=2158 SEQ=512", "198.51.100.7", "203.0.113.1", 8,
      0, 84, 56, 4, 1, 0, 0, 53, BH_DIR_IN },
    { IN4 "LEN=20 " V4 "PROTO=162 ", "198.51.100.7", "203.0.113.1", 0, 0, 20, 0, 4, 162, 0,
      BH_MARK_NO_PORTS, 53, BH_DIR_IN },
    { IN4 "LEN=20 " V4 "PROTO=58 ", "198.51.100.7", "203.0.113.1", 0, 0, 20, 0, 4, 58, 0,
      BH_MARK_NO_PORTS, 53, BH_DIR_IN },
    { IN4 "LEN=20 " V4 "PROTO=UDPLITE INCOMPLETE [0 bytes] ", "198.51.100.7", "203.0.113.1", 0, 0,
      20, 0, 4, 136, 0, BH_MARK_TRUNCATED | BH_MARK_NO_PORTS, 53, BH_DIR_IN },
    { IN4 "LEN=24 " V4 "PROTO=TCP INCOMPLETE [4 bytes] ", "198.51.100.7", "203.0.113.1", 0, 0, 24,
      0, 4, 6, 0, BH_MARK_TRUNCATED | BH_MARK_NO_PORTS, 53, BH_DIR_IN },
    { IN4 "LEN=500 " V4 "FRAG:185 PROTO=TCP ", "198.51.100.7", "203.0.113.1", 0, 0, 500, 0, 4, 6, 0,
      BH_MARK_FRAGMENT | BH_MARK_NO_PORTS, 53, BH_DIR_IN },
    { IN4 "LEN=500 " V4 "MF PROTO=UDP SPT=1 DPT=2 LEN=900 ", "198.51.100.7", "203.0.113.1", 1, 2,
      500, 892, 4, 17, 0, 0, 53, BH_DIR_IN },
    { IN4 "LEN=48 " V4 "OPT (94040000) PROTO=TCP SPT=1 DPT=2 WINDOW=1 RES=0x00 SYN URGP=0",
      "198.51.100.7", "203.0.113.1", 1, 2, 48, 0, 4, 6, SYN, 0, 53, BH_DIR_IN },
    { "IN=eth0 OUT= MAC= SRC=2001:0db8:0000:f101:0000:0000:0000:0002 DST=2001:0db8:0000:f101:0000:0000:0000:0001 LEN=80 TC=0 "
      "HOPLIMIT=64 FLOWLBL=0 PROTO=TCP SPT=46395 DPT=80 WINDOW=5760 RES=0x00 SYN URGP=0",
      "2001:db8:0:f101::2", "2001:db8:0:f101::1", 46395, 80, 80, 0, 6, 6, SYN, 0, 64, BH_DIR_IN },
    { "IN=eth0 OUT= SRC=fe80::1 DST=ff02::1 LEN=72 TC=0 HOPLIMIT=255 FLOWLBL=0 PROTO=ICMPv6 TYPE=135 CODE=0 ",
      "fe80::1", "ff02::1", 135, 0, 72, 24, 6, 58, 0, 0, 255, BH_DIR_IN },
    { "IN= OUT=eth0 SRC=203.0.113.1 DST=198.51.100.7 LEN=40 " V4
      "PROTO=TCP SPT=22 DPT=5 WINDOW=0 RES=0x00 ACK RST URGP=0 UID=0",
      "203.0.113.1", "198.51.100.7", 22, 5, 40, 0, 4, 6, ACK | RST, 0, 53, BH_DIR_OUT },
    { "IN=eth0 OUT=eth1 SRC=203.0.113.1 DST=198.51.100.7 LEN=20 " V4 "PROTO=2", "203.0.113.1",
      "198.51.100.7", 0, 0, 20, 0, 4, 2, 0, BH_MARK_NO_PORTS, 53, BH_DIR_UNKNOWN },
    { "IN=lo OUT= SRC=127.0.0.1 DST=127.0.0.1 LEN=20 " V4 "PROTO=2", "127.0.0.1", "127.0.0.1", 0, 0,
      20, 0, 4, 2, 0, BH_MARK_NO_PORTS, 53, BH_DIR_UNKNOWN },
    { "IN=eth0 OUT= MAC=ff:ff:ff:ff:ff:ff:02:00:00:00:00:02:08:00 SRC=198.51.100.7 DST=203.0.113.255 LEN=20 " V4
      "PROTO=2",
      "198.51.100.7", "203.0.113.255", 0, 0, 20, 0, 4, 2, 0, BH_MARK_NO_PORTS, 53, BH_DIR_UNKNOWN },
};

static void
assert_packet(const struct packet *p, const char *text)
{
    if (rows_of(text) != 1) {
        fail_msg("%s: %s", text, stats.bad_example);
    }
    assert_int_equal(stats.rows, 1);
    assert_ip(bh_batch_src(batch, 0), p->src);
    assert_ip(bh_batch_dst(batch, 0), p->dst);
    assert_int_equal(batch->ports[0], p->sport << 16 | p->dport);
    assert_int_equal(batch->ip_len[0], p->ip_len);
    assert_int_equal(batch->payload_len[0], p->payload);
    assert_int_equal(batch->kind[0], p->kind);
    assert_int_equal(batch->proto[0], p->proto);
    assert_int_equal(batch->tcp_flags[0], p->flags);
    assert_int_equal(batch->marks[0], p->marks);
    assert_int_equal(batch->ttl[0], p->ttl);
    assert_int_equal(batch->direction[0], p->direction);
    assert_int_equal(batch->want, BH_WANT_COLD);
}

static void
test_packets(void **state)
{
    (void)state;
    for (size_t i = 0; i < BH_COUNT(packets); i++) {
        char text[1024];
        snprintf(text, sizeof text, SYSLOG "%s\n", packets[i].words);
        assert_packet(&packets[i], text);
        assert_int_equal(batch->ts_ns[0], (MAR11_2015 + 74111) * S_NS);
    }
    rows_of(SYSLOG SYN_WORDS "\n");
    assert_int_equal(batch->src_mac[0], 0x020000000002);
    assert_int_equal(batch->ip_id[0], 15270);
    assert_int_equal(batch->tcp_window[0], 3072);
    assert_int_equal(batch->df[0], 0);
    assert_int_equal(batch->layers[0], BH_LAYER_IPV4 | BH_LAYER_TCP | BH_LAYER_SYN_ONLY);
    assert_true(batch->no_tcp_seq);
    char text[1024];
    snprintf(text, sizeof text, SYSLOG "%s\n", packets[3].words);
    rows_of(text);
    assert_int_equal(batch->tcp_seq[0], UINT32_MAX);
    assert_false(batch->no_tcp_seq);
}

/* A cut line is no packet, or the same one: never another. */
static void
test_cuts(void **state)
{
    (void)state;
    for (size_t i = 0; i < BH_COUNT(packets); i++) {
        const struct packet *p = &packets[i];
        char text[1024];
        int size = snprintf(text, sizeof text, SYSLOG "%s", p->words);
        for (int cut = 0; cut < size; cut++) {
            char line[1100];
            int n = snprintf(line, sizeof line, "%.*s\n", cut, text);
            uint32_t rows = rows_as("netfilter", line, (size_t)n);
            if (rows == 0) {
                continue;
            }
            bool no_more = p->proto != BH_PROTO_TCP &&
                           p->proto != BH_PROTO_UDP; /* of the others the end may be missing */
            if (batch->tcp_flags[0] != p->flags || batch->kind[0] != p->kind ||
                batch->ip_len[0] != p->ip_len ||
                (!no_more && batch->ports[0] != (p->sport << 16 | p->dport) &&
                 (batch->marks[0] & BH_MARK_NO_PORTS) == 0) ||
                (!no_more && batch->proto[0] != p->proto)) {
                fail_msg("%s: another packet", line);
            }
        }
    }
}

static void
test_quotes(void **state)
{
    (void)state;
    const char *text = SYSLOG
        "IN= OUT=eth1 SRC=203.0.113.1 DST=198.51.100.7 LEN=72 " V4
        "PROTO=ICMP TYPE=3 CODE=3 [SRC=198.51.100.7 DST=203.0.113.1 LEN=44 TOS=0x00 PREC=0x00 TTL=53 ID=1 PROTO=UDP SPT=4000 "
        "DPT=161 LEN=24 ] MTU=1280\n" SYSLOG
        "IN= OUT=eth1 SRC=203.0.113.1 DST=198.51.100.7 LEN=72 " V4
        "PROTO=ICMP TYPE=3 CODE=13 [SRC=198.51.100.7 DST=203.0.113.1 LEN=44 TOS=0x00 PREC=0x00 TTL=53 ID=1 PROTO=TCP INCOMPLETE "
        "[8 bytes] ]\n" SYSLOG "IN= OUT=eth1 SRC=203.0.113.1 DST=198.51.100.7 LEN=72 " V4
        "PROTO=ICMP TYPE=3 CODE=13 [SRC=198.51.100.7 DST=203.0\n" SYSLOG
        "IN= OUT=e SRC=2001:db8::1 DST=2001:db8::2 LEN=120 TC=0 HOPLIMIT=64 FLOWLBL=0 PROTO=ICMPv6 TYPE=1 CODE=4 "
        "[SRC=2001:0db8:0000:0000:0000:0000:0000:0002 DST=2001:db8::1 LEN=80 TC=0 HOPLIMIT=64 FLOWLBL=0 PROTO=TCP SPT=7 DPT=8 "
        "WINDOW=1 RES=0x00 SYN URGP=0 ]\n";
    assert_int_equal(rows_of(text), 4);
    assert_int_equal(batch->quote_rows, 3);
    const struct bh_quote *q = batch->quotes;
    assert_int_equal(q[0].row, 0);
    assert_true(q[0].has_ports && q[0].kind == 4 && q[0].proto == 17 &&
                q[0].ports == (4000U << 16 | 161));
    assert_true(q[0].src == 0xc6336407 && q[0].dst == 0xcb007101);
    assert_true(q[1].row == 1 && !q[1].has_ports && q[1].proto == 6);
    assert_true(q[2].row == 3 && q[2].kind == 6 && q[2].has_ports && q[2].ports == (7U << 16 | 8));
    assert_true(q[2].ip6.src_lo == 2 && q[2].ip6.dst_lo == 1);
    /* The outer packet is the row's. */
    assert_int_equal(batch->ports[0], 3U << 16 | 3);
    assert_int_equal(batch->ip_len[0], 72);
}

static void
test_broken(void **state)
{
    (void)state;
    static const struct {
        const char *line, *reason;
    } cases[] = {
        { SYSLOG IN4 "LEN=44 " V4 "PROTO=TCP SPT=56247 DPT=1025 WINDOW=3072 RES=0x00 SY",
          "the line is cut" },
        { SYSLOG IN4 "LEN=44 " V4 "PROTO=UDP SPT=56247 DPT=10", "the line is cut" },
        { SYSLOG IN4 "LEN=44 " V4 "PROTO=ICMP TYPE=8", "the line is cut" },
        { SYSLOG IN4 "LEN=44 TOS=0x00 PR", "the line is cut" },
        { SYSLOG "IN=eth1 OUT= SRC=198.51.100.7", "the line is cut" },
        { SYSLOG "IN=eth1 OUT= ", "the line is cut" },
        { SYSLOG "IN=eth1 OUT= SRC=198.51.100 DST=203.0.113.1 LEN=1 PROTO=2",
          "source not understood" },
        { SYSLOG "IN=eth1 OUT= SRC=198.51.100.256 DST=203.0.113.1 LEN=1 PROTO=2",
          "source not understood" },
        { SYSLOG "IN=eth1 OUT= SRC=198.51.100.7 DST=203.0.113.1.1 LEN=1 PROTO=2",
          "destination not understood" },
        { SYSLOG "IN=eth1 OUT= SRC=198.51.100.7 DST=2001:db8::1 LEN=1 PROTO=2",
          "IPv4 and IPv6 in one row" },
        { SYSLOG "IN=eth1 OUT= SRC=198.51.100.7 DST=203.0.113.1 LEN=1 PROTO=WARP",
          "unknown protocol" },
        { SYSLOG "IN=eth1 OUT= SRC=198.51.100.7 DST=203.0.113.1 LEN=1 PROTO=256",
          "unknown protocol" },
        { SYSLOG IN4 "LEN=44 " V4 "PROTO=TCP SPT=65536 DPT=1 WINDOW=1 RES=0x00 SYN URGP=0",
          "a number not understood" },
        { SYSLOG IN4 "LEN=99999999999999999999 " V4 "PROTO=2", "a number not understood" },
        { SYSLOG IN4 "LEN=-1 " V4 "PROTO=2", "a number not understood" },
        { SYSLOG IN4 "LEN= " V4 "PROTO=2", "a number not understood" },
        { SYSLOG IN4 "LEN=44 TTL=256 PROTO=2", "a number not understood" },
        { SYSLOG IN4 "LEN=44 ID=\x1b[31m PROTO=2", "a number not understood" },
        { "Feb 30 20:35:11 gw kernel: " SYN_WORDS, "time not understood" },
        { "Mar 11 24:35:11 gw kernel: " SYN_WORDS, "time not understood" },
        { "Mar 11 20:35 gw kernel: " SYN_WORDS, "time not understood" },
        { "Mar 11 1970 20:35:11 gw kernel: " SYN_WORDS, NULL },
        { "Jan 1 1970 20:35:11 gw kernel: " SYN_WORDS, "time not set (1970-01-01)" },
        { "Mar 11 2262 20:35:11 gw kernel: " SYN_WORDS, "time not understood" },
        { "Tue 2015-03-11 20:35:11 JST gw kernel: " SYN_WORDS, NULL },
        { "2015-03-11T20:35:11+99:00 gw kernel: " SYN_WORDS, "time not understood" },
        { "[463490.251762] kernel: " SYN_WORDS, "no time" },
        { "kernel: " SYN_WORDS, "no time" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        char text[1200];
        snprintf(text, sizeof text, SYSLOG SYN_WORDS "\n%s\n" SYSLOG SYN_WORDS "\n", cases[i].line);
        uint32_t n = rows_as("netfilter", text, strlen(text));
        if (cases[i].reason == NULL) {
            assert_int_equal(n, 3);
            continue;
        }
        if (n != 2 || stats.bad_rows != 1 ||
            strcmp(stats.reasons[0].reason, cases[i].reason) != 0) {
            fail_msg("%s: %u rows, %s", cases[i].line, n,
                     stats.reason_count > 0 ? stats.reasons[0].reason : "good");
        }
        assert_int_equal(stats.bad_line, 2);
        assert_non_null(strstr(stats.bad_example, cases[i].reason));
        assert_null(strchr(stats.bad_example, '\x1b'));
        assert_true(stats.bad_example_ja[0] != '\0' && stats.reasons[0].reason_ja[0] != '\0');
    }
}

/* ---- netfilter: lines -------------------------------------------------------------------------------- */

static void
test_stamps(void **state)
{
    (void)state;
    static const struct {
        const char *before;
        int64_t ns;
        bool zoneless, yearless;
    } cases[] = {
        { "Mar 11 20:35:11 gw kernel: [463490.251762] DROP ", (MAR11_2015 + 74111) * S_NS, true,
          true },
        { "Mar  9 00:00:00 gw kernel: ", (MAR11_2015 - 2 * 86400) * S_NS, true, true },
        { "Mar 11 20:35:11.25 gw kernel: DROP", (MAR11_2015 + 74111) * S_NS + 250000000, true,
          true },
        { "Mar 11 20:35:11 kernel: DROP ", (MAR11_2015 + 74111) * S_NS, true, true },
        { "Mar 11 20:35:11 gw ulogd[312]: DROP ", (MAR11_2015 + 74111) * S_NS, true, true },
        { "Mar 11 20:35:11 gw DROP ", (MAR11_2015 + 74111) * S_NS, true, true },
        { "Mar 11 20:35:11 gw  ", (MAR11_2015 + 74111) * S_NS, true, true },
        { "Mar 11 20:35:11 gw DROP: ", (MAR11_2015 + 74111) * S_NS, true, true },
        { "Mar 11 20:35:11 gw kernel: DROP:", (MAR11_2015 + 74111) * S_NS, true, true },
        { "Mar 11 20:35:11 gw kernel: [UFW BLOCK] ", (MAR11_2015 + 74111) * S_NS, true, true },
        { "<4>Mar 11 20:35:11 gw kernel: ", (MAR11_2015 + 74111) * S_NS, true, true },
        { "\\0\\0\\0Mar 11 20:35:11 gw kernel: ", (MAR11_2015 + 74111) * S_NS, true, true },
        { "Mar 11 2014 20:35:11 gw kernel: ", (MAR11_2015 + 74111 - 365 * 86400) * S_NS, true,
          false },
        { "2014 Mar 11 20:35:11 gw kernel: ", (MAR11_2015 + 74111 - 365 * 86400) * S_NS, true,
          false },
        { "Wed Mar 11 20:35:11 2015 kern.warn kernel: ", (MAR11_2015 + 74111) * S_NS, true, false },
        { "Wed Mar 11 20:35:11 2015 gw kernel: ", (MAR11_2015 + 74111) * S_NS, true, false },
        { "[Wed Mar 11 20:35:11 2015] DROP ", (MAR11_2015 + 74111) * S_NS, true, false },
        { "Wed 2015-03-11 20:35:11 UTC gw kernel: ", (MAR11_2015 + 74111) * S_NS, false, false },
        { "2015-03-11T20:35:11.045015+02:00 gw kernel: DROP: ",
          (MAR11_2015 + 74111 - 7200) * S_NS + 45015000, false, false },
        { "2015-03-11T20:35:11+0200 gw kernel: ", (MAR11_2015 + 74111 - 7200) * S_NS, false,
          false },
        { "2015-03-11T20:35:11Z gw kernel: ", (MAR11_2015 + 74111) * S_NS, false, false },
        { "2015-03-11 20:35:11 gw kernel: ", (MAR11_2015 + 74111) * S_NS, true, false },
        { "<4>1 2015-03-11T20:35:11Z gw kernel - - - [1.2] DROP ", (MAR11_2015 + 74111) * S_NS,
          false, false },
        { "1426106111.251762 gw kernel: ", INT64_C(1426106111) * S_NS + 251762000, false, false },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        char text[600];
        bool nuls = cases[i].before[0] == '\\';
        int n = snprintf(text, sizeof text, "%s" SYN_WORDS "\n", nuls ? "xyz" : cases[i].before);
        if (nuls) {
            n = snprintf(text, sizeof text, "xyz%s" SYN_WORDS "\n", cases[i].before + 6);
            memset(text, 0, 3);
        }
        if (rows_as(NULL, text, (size_t)n) != 1 || batch->ts_ns[0] != cases[i].ns) {
            fail_msg("%s: %u rows, %lld", cases[i].before, batch->rows, (long long)batch->ts_ns[0]);
        }
        assert_int_equal(stats.zoneless_rows, cases[i].zoneless);
        assert_int_equal(stats.yearless_rows, cases[i].yearless);
        assert_int_equal(stats.year, cases[i].yearless ? 2015 : 0);
        assert_false(stats.is_table);
    }
}

/* What others say in the same file is no packet, even when a stranger chose their words. */
static void
test_others(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "Mar 11 20:35:11 gw sshd[17]: Invalid user " SYN_WORDS,
        "Mar 11 20:35:11 gw sshd[17]: " SYN_WORDS,
        "Mar 11 20:35:11 gw sudo: root : " SYN_WORDS,
        "Mar 11 20:35:11 gw kernel[9]x: kernel: " SYN_WORDS,
        "Mar 11 20:35:11 kernel sshd[17]: " SYN_WORDS,
        "2015-03-11T20:35:11Z gw postfix/smtpd[3]: kernel: " SYN_WORDS,
        "<4>1 2015-03-11T20:35:11Z gw sshd 17 - - x " SYN_WORDS,
        "Mar 11 20:35:11 gw kernel: eth1: link up IN=eth0 SRC=1.2.3.4",
        "Mar 11 20:35:11 gw kernel: martian source 1.2.3.4",
        "Mar 11 20:35:11 gw kernel: IN=eth0 OUT= MACSRC=02:00:00:00:00:02 MACDST=01:80:c2:00:00:0e MACPROTO=88cc ",
        "",
        "\x1b[2J",
    };
    for (size_t i = 0; i < BH_COUNT(lines); i++) {
        char text[1200];
        snprintf(text, sizeof text, SYSLOG SYN_WORDS "\n%s\n", lines[i]);
        if (rows_as("netfilter", text, strlen(text)) != 1 || stats.other_lines != 1 ||
            stats.bad_rows != 0) {
            fail_msg("%s: %u rows", lines[i], batch->rows);
        }
    }
    /* ARP is a record of its own. */
    assert_int_equal(
        rows_of(SYSLOG "IN=eth0 OUT= ARP HTYPE=1 PTYPE=0x0800 OPCODE=2 MACSRC=02:00:00:00:00:02 "
                       "IPSRC=198.51.100.7 MACDST=00:00:00:00:00:00 IPDST=203.0.113.1\n"),
        1);
    assert_int_equal(batch->kind[0], BH_KIND_ARP);
    assert_int_equal(batch->ports[0], 2);
    assert_int_equal(batch->layers[0], BH_LAYER_ARP);
    assert_int_equal(batch->dst[0], 0xcb007101);
}

static void
test_years(void **state)
{
    (void)state;
    static const struct {
        int asked;
        int64_t now_s;
        const char *days[4];
        int years[4];
    } cases[] = {
        { 0, 1430000000, { "Mar 11", "Apr 25", "Apr 26" }, { 2015, 2015, 2015 } },
        { 0, 1430000000, { "Apr 27" }, { 2014 } }, /* the clock may be a day ahead, not two */
        { 0, 1430000000, { "Dec 31", "Jan  1", "Dec 31" }, { 2014, 2015, 2014 } },
        { 0, 1430000000, { "May  1", "Dec 31", "Jan  1", "Apr 25" }, { 2014, 2014, 2015, 2015 } },
        { 0, 1430000000, { "Feb 29" }, { 2012 } },
        { 0, 1456747200, { "Feb 29", "Feb 28" }, { 2016, 2016 } },
        { 0, 1430000000, { "Apr 25", "May  9" }, { 2015, 2014 } }, /* nothing is of the future */
        { 1999,
          1430000000,
          { "Dec 31", "Jan  1", "Jul  1", "Jan  1" },
          { 1999, 2000, 2000, 2001 } },
        { 2030, 1430000000, { "Dec 31" }, { 2030 } },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        char text[2400] = "";
        size_t n = 0;
        uint32_t lines = 0;
        for (; lines < 4 && cases[i].days[lines] != NULL; lines++) {
            n += (size_t)snprintf(text + n, sizeof text - n,
                                  "%s 00:00:0%u gw kernel: " SYN_WORDS "\n", cases[i].days[lines],
                                  lines);
        }
        struct bh_import *im;
        struct bh_import_options o = { .year = cases[i].asked, .now_ns = cases[i].now_s * S_NS };
        assert_int_equal(bh_import_open_memory_with(text, n, &o, &im, NULL), 0);
        assert_int_equal(bh_import_read(im, batch, NULL), 1);
        bh_import_get_stats(im, &stats);
        bh_import_close(im);
        assert_int_equal(batch->rows, lines);
        assert_int_equal(stats.year, cases[i].years[0]);
        assert_int_equal(stats.year_is_guess, cases[i].asked == 0);
        for (uint32_t k = 0; k < lines;
             k++) { /* rows are in order of time; the second tells the line */
            uint32_t line = (uint32_t)(batch->ts_ns[k] / S_NS % 10);
            time_t t = (time_t)(batch->ts_ns[k] / S_NS);
            struct tm tm;
            int year = gmtime_r(&t, &tm) == NULL ? 0 : tm.tm_year + 1900;
            if (year != cases[i].years[line]) {
                fail_msg("case %zu, line %u: %d", i, line, year);
            }
        }
    }
    struct bh_import *im;
    struct bh_error err;
    struct bh_import_options o = { .year = 1969 };
    assert_int_equal(bh_import_open_memory_with("x", 1, &o, &im, &err), BH_EUSAGE);
}

#define ENTRY(transport, message)                                                                  \
    "__CURSOR=s=0;i=1\n__REALTIME_TIMESTAMP=1426106111251762\n_TRANSPORT=" transport               \
    "\nMESSAGE=" message "\n\n"

/* An entry whose message stands as octets, `size` of them claimed, behind `before`. */
static uint32_t
rows_of_octets(const char *before, const char *message, uint64_t size, const char *behind)
{
    static char text[8192];
    size_t at = (size_t)snprintf(
        text, sizeof text, "__REALTIME_TIMESTAMP=1426106111251762\n_TRANSPORT=kernel\n%s", before);
    bh_put_le64((uint8_t *)text + at, size);
    at += 8;
    at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", message, behind);
    return rows_as(NULL, text, at);
}

static void
test_journal_export(void **state)
{
    (void)state;
    assert_int_equal(rows_of(ENTRY("kernel", "[UFW BLOCK] " SYN_WORDS)), 1);
    assert_int_equal(batch->ts_ns[0], INT64_C(1426106111251762000));
    assert_int_equal(stats.zoneless_rows, 0);
    /* What a process says is passed over, whatever it calls itself; so is a kernel's other word. */
    assert_int_equal(rows_of(ENTRY("kernel", SYN_WORDS)
                                 ENTRY("syslog\nSYSLOG_IDENTIFIER=kernel", SYN_WORDS)
                                     ENTRY("kernel", "usb 1-1: new device")),
                     1);
    assert_int_equal(stats.other_lines, 2);
    /* The first value of a name counts; an old journal may not know the transport. */
    assert_int_equal(
        rows_of(ENTRY("syslog\n_TRANSPORT=kernel", SYN_WORDS) ENTRY("kernel", SYN_WORDS)), 1);
    assert_int_equal(
        rows_of(
            "__REALTIME_TIMESTAMP=1426106111251762\nSYSLOG_IDENTIFIER=kernel\nMESSAGE=" SYN_WORDS
            "\n"),
        1);
    /* Several ends, no end, no time. */
    assert_int_equal(rows_of("\n\n" ENTRY("kernel", SYN_WORDS) "\n\n" ENTRY("kernel", SYN_WORDS)),
                     0);
    assert_int_equal(rows_of(ENTRY("kernel", SYN_WORDS) "\n\n" ENTRY("kernel", SYN_WORDS)), 2);
    assert_int_equal(
        rows_of(ENTRY("kernel", SYN_WORDS) "_TRANSPORT=kernel\nMESSAGE=" SYN_WORDS "\n"), 1);
    assert_int_equal(stats.bad_rows, 1);
    /* Octets: as many as are said, and no fewer. */
    const uint64_t size = strlen(SYN_WORDS);
    assert_int_equal(rows_of_octets("MESSAGE\n", SYN_WORDS, size, "\nPRIORITY=4\n\n"), 1);
    assert_int_equal(rows_of_octets("MESSAGE\n", SYN_WORDS, size, ""), 1);
    assert_int_equal(
        rows_of_octets("MESSAGE\n", SYN_WORDS, UINT64_MAX, "\n\n" ENTRY("kernel", SYN_WORDS)), 0);
    assert_int_equal(rows_of_octets("OTHER\n", ENTRY("kernel", SYN_WORDS),
                                    strlen(ENTRY("kernel", SYN_WORDS)),
                                    "\nMESSAGE=" SYN_WORDS "\n\n"),
                     1);
    assert_int_equal(rows_of_octets("OTHER\n", "", 0, "\nMESSAGE=" SYN_WORDS "\n\n"), 1);
}

static void
test_journal(void **state)
{
    (void)state;
#define JOURNAL(transport, message)                                                                \
    "{\"__REALTIME_TIMESTAMP\":\"1426106111251762\",\"_TRANSPORT\":\"" transport                   \
    "\",\"MESSAGE\":\"" message "\"}\n"
    assert_int_equal(rows_of(JOURNAL("kernel", "[UFW BLOCK] " SYN_WORDS)), 1);
    assert_int_equal(batch->ts_ns[0], INT64_C(1426106111251762000));
    assert_int_equal(stats.zoneless_rows, 0);
    assert_int_equal(
        rows_of(JOURNAL("kernel", "\\u0041\\\"\\t " SYN_WORDS) JOURNAL("syslog", SYN_WORDS)), 1);
    assert_int_equal(stats.other_lines, 1);
    assert_int_equal(
        rows_of(JOURNAL(
            "kernel",
            SYN_WORDS) "{\"MESSAGE\":[73,78],\"_TRANSPORT\":\"kernel\"}\n{\"MESSAGE\":\"" SYN_WORDS
                       "\",\"SYSLOG_IDENTIFIER\":\"kernel\"}\n"),
        1);
    assert_int_equal(stats.other_lines, 1);
    assert_string_equal(stats.reasons[0].reason, "no time");
    /* A broken object costs its line. */
    assert_int_equal(
        rows_of(JOURNAL(
            "kernel",
            SYN_WORDS) "{\"MESSAGE\":\"open\n{\"a\" 1}\n{\"a\":}\nx\n{\"a\":1,}\n" JOURNAL("kernel",
                                                                                           SYN_WORDS)),
        2);
    assert_int_equal(stats.bad_rows, 5);
    assert_string_equal(stats.reasons[0].reason, "no JSON object");
    assert_int_equal(stats.bad_line, 2);
}

/* ---- flows --------------------------------------------------------------------------------------------- */

/* Rows as "SYN*3/60" (flags, weight, length), with '<' in front when they go back. */
static void
rows_text(char *buf, size_t size)
{
    static const char letters[] = "FSRPAUEC";
    size_t n = 0;
    buf[0] = '\0';
    for (uint32_t i = 0; i < batch->rows && n + 40 < size; i++) {
        bool back = batch->kind[i] == BH_KIND_IP4 ? batch->src[i] == 0xcb007101
                                                  : batch->ip6[batch->src[i]].src_lo == 1;
        n += (size_t)snprintf(buf + n, size - n, "%s%s", i > 0 ? " " : "", back ? "<" : "");
        for (unsigned k = 0; k < 8; k++) {
            if (batch->proto[i] == BH_PROTO_TCP && (batch->tcp_flags[i] >> k & 1) != 0) {
                buf[n++] = letters[k];
            }
        }
        n += (size_t)snprintf(
            buf + n, size - n, "%s*%u/%u%s", (batch->marks[i] & BH_MARK_NO_FLAGS) != 0 ? "?" : "",
            batch->weight[i], batch->ip_len[i], batch->payload_len[i] > 0 ? "p" : "");
    }
}

static void
assert_rows(const char *what, const char *text, const char *expected)
{
    char got[600];
    rows_of(text);
    rows_text(got, sizeof got);
    if (strcmp(got, expected) != 0) {
        fail_msg("%s:\n  %s\n  %s (expected); %s", what, got, expected, stats.bad_example);
    }
}

#define ZEEK_HEAD                                                                                                          \
    "#separator \\x09\n#unset_field\t-\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tconn_state\t" \
    "history\torig_bytes\tresp_bytes\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\n"

static void
test_zeek_states(void **state)
{
    (void)state;
    static const struct {
        const char *tail; /* state, history, payload, payload, packets, octets, packets, octets */
        const char *rows;
    } cases[] = {
        { "S0\tS\t-\t-\t1\t60\t0\t0", "S*1/60" },
        { "S0\tS\t-\t-\t3\t180\t0\t0", "S*3/60" },
        { "S0\tS\t-\t-\t3\t181\t0\t0", "S*2/60 S*1/61" },
        { "S0\t-\t-\t-\t-\t-\t-\t-", "S*1/0" },
        { "S0\tSAD\t9\t-\t3\t180\t0\t0", "S*1/60 A*2/60p" },
        { "S1\tSh\t-\t-\t1\t60\t1\t60", "S*1/60 <SA*1/60" },
        { "S1\tSh\t-\t-\t2\t120\t5\t300", "S*2/60 <SA*1/60 <A*4/60" },
        { "S1\tShA\t0\t0\t2\t112\t1\t60", "S*1/56 <SA*1/60 A*1/56" },
        { "S1\t-\t-\t-\t-\t-\t-\t-", "S*1/0 <SA*1/0 A*1/0" },
        { "S1\t-\t-\t-\t1\t60\t1\t60", "S*1/60 <SA*1/60" },
        { "SF\tShADadfF\t261\t1077\t5\t473\t5\t1281",
          "S*1/60 <SA*1/60 A*3/103p A*1/104p <A*3/305p <A*1/306p" },
        { "SF\t-\t-\t-\t-\t-\t-\t-", "S*1/0 <SA*1/0 A*1/0" },
        { "S2\tShAF\t0\t0\t3\t160\t2\t112", "S*1/53 <SA*1/56 A*1/53 A*1/54 <A*1/56" },
        { "S3\tShAf\t0\t0\t3\t156\t2\t112", "S*1/52 <SA*1/56 A*2/52 <A*1/56" },
        { "REJ\tSr\t0\t0\t2\t104\t2\t80", "S*2/52 <RA*2/40" },
        { "REJ\t-\t-\t-\t-\t-\t-\t-", "S*1/0 <RA*1/0" },
        { "RSTO\tShR\t0\t0\t2\t100\t1\t60", "S*1/50 <SA*1/60 RA*1/50" },
        { "RSTO\tShADdR\t9\t9\t4\t240\t3\t180", "S*1/60 <SA*1/60 A*3/60p <A*2/60p" },
        { "RSTO\tShADdR\t-\t-\t4\t240\t3\t180", "S*1/60 <SA*1/60 A*3/60 <A*2/60" },
        { "RSTR\tShADadRr\t9\t9\t4\t240\t3\t180", "S*1/60 <SA*1/60 A*3/60p <A*2/60p" },
        { "RSTR\tShr\t0\t0\t1\t60\t2\t100", "S*1/60 <SA*1/50 <A*1/50" },
        { "RSTOS0\tSR\t0\t0\t2\t100\t0\t0", "S*1/50 R*1/50" },
        { "SH\tSF\t0\t0\t2\t100\t0\t0", "S*1/50 F*1/50" },
        { "RSTRH\thr\t0\t0\t0\t0\t2\t100", "<SA*1/50 <R*1/50" },
        { "SHR\thf\t0\t0\t0\t0\t2\t100", "<SA*1/50 <F*1/50" },
        { "OTH\tDd\t9\t9\t2\t200\t3\t300", "A*2/100p <A*3/100p" },
        { "OTH\tC\t0\t0\t0\t0\t0\t0", "A*1/0" },
        { "-\t-\t-\t-\t50\t2000\t-\t-", "S?*1/2000" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        char text[800];
        snprintf(text, sizeof text,
                 ZEEK_HEAD
                 "1700000000.5\tC\t198.51.100.7\t40000\t203.0.113.1\t22\ttcp\t%s\n#close\t2024\n",
                 cases[i].tail);
        assert_rows(cases[i].tail, text, cases[i].rows);
        assert_int_equal(stats.rows, 1);
        assert_int_equal(stats.records, batch->rows);
        assert_true(batch->has_weight && batch->no_tcp_seq);
        for (uint32_t k = 0; k < batch->rows; k++) {
            assert_int_equal(batch->ts_ns[k], INT64_C(1700000000500000000));
        }
    }
}

static void
test_zeek_rows(void **state)
{
    (void)state;
    static const struct {
        const char *row, *rows, *reason;
    } cases[] = {
        { "1700000000\tC\t198.51.100.7\t53\t203.0.113.1\t53\tudp\tSF\tDd\t30\t46\t2\t117\t1\t74",
          "*1/58p *1/59p <*1/74p", NULL },
        { "1700000000\tC\t198.51.100.7\t53\t203.0.113.1\t53\tudp\tSHR\td\t0\t46\t0\t0\t1\t74",
          "<*1/74p", NULL },
        { "1700000000\tC\t198.51.100.7\t53\t203.0.113.1\t53\tudp\tSHR\t-\t-\t-\t-\t-\t-\t-",
          "<*1/0", NULL },
        { "1700000000\tC\t198.51.100.7\t53\t203.0.113.1\t53\tudp\tSF\t-\t-\t-\t-\t-\t-\t-",
          "*1/0 <*1/0", NULL },
        { "1700000000\tC\t198.51.100.7\t8\t203.0.113.1\t0\ticmp\tOTH\t-\t56\t56\t3\t252\t2\t168",
          "*3/84p <*2/84p", NULL },
        { "928.943457\tC\t198.51.100.7\t53\t203.0.113.1\t53\tudp\tS0\tD\t1\t0\t1\t29\t0\t0",
          "*1/29p", NULL },
        { "1700000000\tC\t198.51.100.7\t0\t203.0.113.1\t0\tunknown_transport\tOTH\t-\t-\t-\t1\t2\t0\t0",
          "", "unknown protocol" },
        { "1700000000\tC\t198.51.100.7\t1\t203.0.113.1\t65536\ttcp\tS0\t-\t-\t-\t1\t2\t0\t0", "",
          "port not understood" },
        { "1700000000\tC\t198.51.100.7\t-\t203.0.113.1\t22\ttcp\tS0\t-\t-\t-\t1\t2\t0\t0", "",
          "no port" },
        { "1700000000\tC\t198.51.100.7\t1\t203.0.113.1\t22\ttcp\tXX\t-\t-\t-\t1\t2\t0\t0", "",
          "unknown connection state" },
        { "1700000000\tC\t198.51.100.7\t256\t203.0.113.1\t22\ticmp\tOTH\t-\t-\t-\t1\t2\t0\t0", "",
          "ICMP type not understood" },
        { "-\tC\t198.51.100.7\t1\t203.0.113.1\t22\ttcp\tS0\t-\t-\t-\t1\t2\t0\t0", "", "no time" },
        { "x\tC\t198.51.100.7\t1\t203.0.113.1\t22\ttcp\tS0\t-\t-\t-\t1\t2\t0\t0", "",
          "time not understood" },
        { "0.0\tC\t198.51.100.7\t1\t203.0.113.1\t22\ttcp\tS0\t-\t-\t-\t1\t2\t0\t0", "",
          "time not set (1970-01-01)" },
        { "1700000000\tC\t-\t1\t203.0.113.1\t22\ttcp\tS0\t-\t-\t-\t1\t2\t0\t0", "", "no source" },
        { "1700000000\tC\t198.51.100.7\t1\t2001:db8::1\t22\ttcp\tS0\t-\t-\t-\t1\t2\t0\t0", "",
          "IPv4 and IPv6 in one row" },
        { "1700000000\tC\t198.51.100.7\t1\t203.0.113.1\t22\ttcp\tS0\t-\t-\t-\t1\t2\t0\t0\tx", "",
          "more columns than the header" },
        { "1700000000\tC\t198.51.100.7\t1\t203.0.113.1\t22\ttcp\tS0\t-\t-", "", "the line is cut" },
        { "1700000000\tC\t198.51.100.7\t1\t203.0.113.1\t22\ttcp\tS0\tS\t-\t-\t18446744073709551615\t2\t0\t0",
          "S*1/2", NULL },
        { "1700000000\tC\t198.51.100.7\t1\t203.0.113.1\t22\ttcp\tS0\tS\t-\t-\t9223372036854775807\t9223372036854775807\t0\t0",
          "S*2147483648/2147483648 S*2147483647/2147483649", NULL },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        char text[800];
        snprintf(text, sizeof text, ZEEK_HEAD "%s\n", cases[i].row);
        assert_rows(cases[i].row, text, cases[i].rows);
        if (cases[i].reason != NULL) {
            assert_int_equal(stats.bad_rows, 1);
            assert_string_equal(stats.reasons[0].reason, cases[i].reason);
        }
    }
    /* Type and code where ports stand; of those with a counterpart that. */
    rows_of(ZEEK_HEAD
            "1700000000\tC\t2001:db8::7\t128\t2001:db8::1\t129\ticmp\tOTH\t-\t-\t-\t1\t56\t1\t56\n"
            "1700000001\tC\t2001:db8::7\t1\t2001:db8::1\t4\ticmp\tOTH\t-\t-\t-\t1\t56\t0\t0\n");
    assert_int_equal(batch->rows, 3);
    assert_int_equal(batch->proto[0], BH_PROTO_ICMP6);
    assert_int_equal(batch->ports[0], 128U << 16);
    assert_int_equal(batch->ports[1], 129U << 16);
    assert_int_equal(batch->ports[2], 1U << 16 | 4);
    /* Any order of columns, other separators; what is local. */
    assert_rows(
        "order",
        "#separator ,\n#unset_field,NONE\n#fields,id.resp_p,local_resp,local_orig,id.resp_h,conn_state,proto,id.orig_p,"
        "id.orig_h,ts\n22,T,F,203.0.113.1,S0,tcp,1,198.51.100.7,1700000000\n22,F,T,203.0.113.1,S0,tcp,NONE,1.2.3.4,1\n",
        "S*1/0");
    assert_int_equal(batch->direction[0], BH_DIR_IN);
    assert_int_equal(stats.bad_rows, 1);
    /* Two connections on the same ports are two. */
    rows_of(ZEEK_HEAD
            "1700000000\tC\t198.51.100.7\t1\t203.0.113.1\t22\ttcp\tS0\tS\t-\t-\t1\t60\t0\t0\n"
            "1700000001\tC\t198.51.100.7\t1\t203.0.113.1\t22\ttcp\tREJ\tSr\t-\t-\t1\t60\t1\t40\n");
    assert_int_equal(batch->rows, 3);
    assert_true(batch->tcp_seq[0] != batch->tcp_seq[1]);
}

static void
test_zeek_json(void **state)
{
    (void)state;
#define ZJSON(ts, more)                                                                                                                   \
    "{\"ts\":" ts                                                                                                                         \
    ",\"uid\":\"C\",\"id.orig_h\":\"198.51.100.7\",\"id.orig_p\":1,\"id.resp_h\":\"203.0.113.1\",\"id.resp_p\":22,\"proto\":\"tcp\"" more \
    "}\n"
    assert_rows(
        "number",
        ZJSON(
            "1700000000.25",
            ",\"conn_state\":\"REJ\",\"orig_pkts\":1,\"orig_ip_bytes\":60,\"resp_pkts\":1,\"resp_ip_bytes\":40,\"local_orig\":true"),
        "S*1/60 <RA*1/40");
    assert_int_equal(batch->ts_ns[0], INT64_C(1700000000250000000));
    assert_int_equal(batch->direction[0], BH_DIR_OUT);
    assert_int_equal(batch->direction[1], BH_DIR_IN);
    assert_rows("ISO",
                ZJSON("\"2023-11-14T22:13:20.250000Z\"",
                      ",\"conn_state\":\"S0\",\"x\":{\"a\":[1,\"}\"]},\"history\":null"),
                "S*1/0");
    assert_int_equal(batch->ts_ns[0], INT64_C(1700000000250000000));
    assert_int_equal(stats.zoneless_rows, 0);
    assert_rows("none", ZJSON("null", ""), "");
    assert_string_equal(stats.reasons[0].reason, "no time");
}

#define NF_HEAD "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt\n"
#define NF_IN(time, flags, packets, bytes)                                                         \
    time "," time ",0.0,198.51.100.7,203.0.113.1,40000,22,TCP," flags ",0,0," packets "," bytes    \
         ",0,0\n"
#define NF_OUT(time, flags, packets, bytes)                                                        \
    time "," time ",0.0,203.0.113.1,198.51.100.7,22,40000,TCP," flags ",0,0," packets "," bytes    \
         ",0,0\n"
#define T1 "2023-11-14 22:13:21"
#define T2 "2023-11-14 22:13:22"

static void
test_nfdump(void **state)
{
    (void)state;
    static const struct {
        const char *what, *text, *rows;
    } cases[] = {
        { "both ways", NF_IN(T1, "...AP.SF", "7", "473") NF_OUT(T2, "...AP.SF", "5", "481"),
          "S*1/60 <SA*1/60 <A*3/105p <A*1/106p A*1/68p A*5/69p" },
        { "the answer first in the file",
          NF_OUT(T2, "...A..S.", "1", "60") NF_IN(T1, "...A.RS.", "2", "100"),
          "S*1/50 <SA*1/60 RA*1/50" },
        { "of one second, the answer first",
          NF_OUT(T1, "...A..S.", "1", "60") NF_IN(T1, "...A..S.", "2", "100"),
          "S*1/50 <SA*1/60 A*1/50" },
        { "of one second, both long",
          NF_OUT(T1, "...AP.SF", "2", "120") NF_IN(T1, "...AP.SF", "2", "120"),
          "S*1/60 <SA*1/60 <A*1/60p A*1/60p" },
        { "from a lower port", NF_OUT(T1, "...AP.SF", "2", "120") NF_IN(T2, "...AP.SF", "2", "120"),
          "<S*1/60 SA*1/60 A*1/60p <A*1/60p" },
        { "SYNs alone", NF_IN(T1, "......S.", "3", "181"), "S*2/60 S*1/61" },
        { "refused", NF_OUT(T1, "...A.R..", "1", "40") NF_IN(T1, "......S.", "1", "60"),
          "S*1/60 <RA*1/40" },
        { "reset by the scanner",
          NF_IN(T1, ".....RS.", "2", "100") NF_OUT(T1, "...A..S.", "1", "52"),
          "S*1/50 <SA*1/52 R*1/50" },
        { "backscatter", NF_OUT(T1, "...A..S.", "1", "52"), "<SA*1/52" },
        { "one side", NF_IN(T1, "...AP.SF", "4", "240"), "S*1/60 A*3/60p" },
        { "the other side", NF_OUT(T1, "...AP.SF", "4", "240"), "<SA*1/60 <A*3/60p" },
        { "six places", NF_IN(T1, ".A..S.", "1", "60"), "SA*1/60" },
        { "a number", NF_IN(T1, "0x02", "1", "60"), "S*1/60" },
        { "no SYN", NF_IN(T1, "...AP...", "4", "241"), "PA*3/60 PA*1/61" },
        { "all", NF_IN(T1, "CEUAPRSF", "1", "60"), "FSRPAUEC*1/60" },
        { "no flags known", NF_IN(T1, "........", "9", "900") NF_OUT(T2, "........", "9", "900"),
          "S?*1/60 <A?*9/100 A?*8/105" },
        { "no packets", NF_IN(T1, "......S.", "0", "0"), "S*1/0" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        char text[1200];
        snprintf(text, sizeof text, NF_HEAD "%s", cases[i].text);
        assert_rows(cases[i].what, text, cases[i].rows);
        assert_int_equal(stats.bad_rows, 0);
    }
}

static void
test_nfdump_forms(void **state)
{
    (void)state;
    const char *const icmp =
        NF_HEAD T1 "," T1 ",0,198.51.100.7,203.0.113.1,0,778,ICMP,........,0,0,1,68,0,0\n" T2 "," T2
                   ",0,198.51.100.7,203.0.113.1,0,8.0,ICMP,........,0,0,2,168,1,84\nSummary\n"
                   "flows,bytes,packets,avg_bps,avg_pps,avg_bpp\n76,103963,431,112926,58,241\n";
    assert_int_equal(rows_of(icmp), 3);
    assert_int_equal(batch->ports[0], 3U << 16 | 10);
    assert_int_equal(batch->ports[1], 8U << 16);
    assert_int_equal(batch->weight[1], 2);
    assert_int_equal(batch->src[2], 0xcb007101);
    assert_int_equal(stats.bad_rows, 0);
    assert_int_equal(stats.other_lines, 3);
    assert_int_equal(stats.zoneless_rows, 2);
    /* New releases name their columns otherwise. */
    assert_rows(
        "new",
        "cnt,af,firstSeen,lastSeen,proto,srcAddr,srcPort,dstAddr,dstPort,flags,packets,bytes\n"
        "1,2," T1 ".500," T1 ".500,TCP,198.51.100.7,40000,203.0.113.1,22,......S.,2,120\n",
        "S*2/60");
    assert_int_equal(batch->ts_ns[0], INT64_C(1700000001500000000));
    /* Joined files, a cut one, and rows that are none. */
    assert_int_equal(rows_of(NF_HEAD NF_IN(T1, "......S.", "1", "60")
                                 NF_HEAD NF_IN(T2, "......S.", "1", "60") T1 ",2023-1"),
                     2);
    assert_int_equal(stats.bad_rows, 1);
    assert_string_equal(stats.reasons[0].reason, "the line is cut");
    rows_of(NF_HEAD NF_IN(T1, "...X..S.", "1", "60")
                NF_IN("1970-01-01 00:00:00", "......S.", "1", "60"));
    assert_int_equal(stats.bad_rows, 2);
    /* JSON, in one array and in lines. */
#define NFJ(more)                                                                                                                                           \
    "{ \"type\" : \"FLOW\", \"first\" : \"2023-11-14T22:13:21.032\", \"last\" : \"2023-11-14T22:15:21.032\", \"in_packets\" : 4, \"in_bytes\" : 402, " more \
    " }"
    assert_rows(
        "JSON",
        "[\n" NFJ(
            "\"proto\" : 6, \"tcp_flags\" : \"......S.\", \"src_port\" : 1, \"dst_port\" : 22, \"src4_addr\" : \"198.51.100.7\", "
            "\"dst4_addr\" : \"203.0.113.1\"") ",\n" NFJ("\"proto\" : 58, \"icmp_type\" : 128, \"icmp_code\" : 0, \"src6_addr\" : "
                                                         "\"2001:db8::7\", \"dst6_addr\" : \"2001:db8::1\"") "]\n",
        "S*2/100 S*2/101 *2/100p *2/101p");
    assert_int_equal(batch->ports[2], 128U << 16);
    assert_int_equal(batch->ts_ns[0], INT64_C(1700000001032000000));
    assert_int_equal(rows_of("{\"type\":\"EVENT\",\"src4_addr\":\"1.2.3.4\"}\n"), 0);
    assert_int_equal(stats.other_lines, 1);
    /* Datagrams are spread over the time that they took. */
    assert_rows(
        "UDP",
        NFJ("\"proto\" : 17, \"src_port\" : 1, \"dst_port\" : 53, \"src4_addr\" : \"198.51.100.7\", \"dst4_addr\" : \"203.0.113.1\""),
        "*1/101p *1/101p *1/100p *1/100p");
    assert_int_equal(batch->ts_ns[3] - batch->ts_ns[0], 120 * S_NS);
    assert_int_equal(batch->ts_ns[1] - batch->ts_ns[0], 40 * S_NS);
}

/* ---- choice --------------------------------------------------------------------------------------------- */

static void
test_choice(void **state)
{
    (void)state;
    static const struct {
        const char *format, *text;
        int code;
        const char *en, *ja;
    } cases[] = {
        { NULL, "{\"a\":1}\n", BH_EFORMAT, "this JSON is none we know", "未知の JSON" },
        { "zeek", SYSLOG SYN_WORDS, BH_EFORMAT, "--input-format zeek", "zeek" },
        { "nfdump", "a,b\n", BH_EFORMAT, "--input-format nfdump", "nfdump" },
        { "netfilter", "{}", BH_EFORMAT, "--input-format netfilter", "netfilter" },
        { "csv", "{\"a\":1}", BH_EFORMAT, "JSON, not CSV", "JSON" },
        { "words", "a", BH_EUSAGE, "no such format", "形式" },
        { NULL, "", BH_EFORMAT, "empty", "空" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_import *im;
        struct bh_error err = { 0 };
        struct bh_import_options o = { .format = cases[i].format };
        int r = bh_import_open_memory_with(cases[i].text, strlen(cases[i].text), &o, &im, &err);
        if (r != cases[i].code || strstr(err.text[BH_EN], cases[i].en) == NULL ||
            strstr(err.text[BH_JA], cases[i].ja) == NULL) {
            fail_msg("case %zu: %d: %s / %s", i, r, err.text[BH_EN], err.text[BH_JA]);
        }
    }
    assert_int_equal(rows_as("netfilter", "nothing of the kind\n", 20), 0);
    assert_int_equal(stats.other_lines, 1);
}

/* Logs of several kinds, in one order of time. */
static void
test_merge(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "2023-11-14T22:13:21Z gw kernel: " SYN_WORDS "\n2023-11-14T22:13:23Z gw kernel: " SYN_WORDS
        "\n",
        ZEEK_HEAD
        "1700000000.5\tC\t198.51.100.7\t1\t203.0.113.1\t22\ttcp\tREJ\tSr\t0\t0\t1\t60\t1\t40\n"
        "1700000002\tC\t198.51.100.7\t1\t203.0.113.1\t22\ttcp\tS0\tS\t0\t0\t1\t60\t0\t0\n",
        "time,src,dst,proto,dport\n1700000001.5,1.2.3.4,203.0.113.1,udp,53\n",
    };
    char paths[3][32];
    const char *list[3];
    for (size_t i = 0; i < 3; i++) {
        snprintf(paths[i], sizeof paths[i], "/tmp/bh-logs-XXXXXX");
        int fd = mkstemp(paths[i]);
        FILE *f = fdopen(fd, "w");
        assert_non_null(f);
        fputs(texts[i], f);
        fclose(f);
        list[i] = paths[i];
    }
    struct bh_import *im;
    assert_int_equal(bh_import_open(list, 3, NULL, &im, NULL), 0);
    assert_int_equal(bh_import_read(im, batch, NULL), 1);
    static const int64_t tenths[] = { 5, 5, 10, 15, 20, 30 };
    assert_int_equal(batch->rows, 6);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(batch->ts_ns[i], INT64_C(1700000000) * S_NS + tenths[i] * 100000000);
        assert_int_equal(batch->weight[i], 1);
    }
    assert_int_equal(batch->ttl[2], 53);
    assert_int_equal(batch->ttl[0], 0);
    bh_import_close(im);
    for (size_t i = 0; i < 3; i++) {
        remove(paths[i]);
    }
}

static int
setup(void **state)
{
    (void)state;
    batch = bh_batch_new();
    return batch == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
    (void)state;
    bh_batch_free(batch);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packets),        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_quotes),         cmocka_unit_test(test_broken),
        cmocka_unit_test(test_stamps),         cmocka_unit_test(test_others),
        cmocka_unit_test(test_years),          cmocka_unit_test(test_journal),
        cmocka_unit_test(test_journal_export), cmocka_unit_test(test_zeek_states),
        cmocka_unit_test(test_zeek_rows),      cmocka_unit_test(test_zeek_json),
        cmocka_unit_test(test_nfdump),         cmocka_unit_test(test_nfdump_forms),
        cmocka_unit_test(test_choice),         cmocka_unit_test(test_merge),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
