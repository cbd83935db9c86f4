/* SPDX-License-Identifier: BSD-2-Clause */
/* Logs as records: cells, mappings, order, what is counted as bad, and what is an error. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bh_import.h"

#define S_NS INT64_C(1000000000)
#define MAP                                                                                        \
    "time=t,src=s,dst=d,proto=p,sport=sp,dport=dp,type=ty,code=co,flags=f,len=l,ttl=tt,weight=w"
#define HEADER "t,s,d,p,sp,dp,ty,co,f,l,tt,w\n"

static struct bh_batch *batch;
static struct bh_import_stats stats;

static int
open_text(const char *columns, const char *text, struct bh_import **ret, struct bh_error *err)
{
    return bh_import_open_memory(text, strlen(text), columns, ret, err);
}

/* The rows of a small text, in `batch`; their number. */
static uint32_t
rows_of(const char *columns, const char *text)
{
    struct bh_import *im;
    struct bh_error err;
    char line[1024];
    if (open_text(columns, text, &im, &err) != 0) {
        fail_msg("%s", bh_error_line(&err, BH_EN, line, sizeof line));
    }
    int r = bh_import_read(im, batch, &err);
    assert_true(r >= 0);
    bh_import_get_stats(im, &stats);
    bh_import_close(im);
    assert_int_equal(stats.rows, batch->rows + stats.bad_rows);
    return batch->rows;
}

static void
assert_bad(const char *columns, const char *text, const char *reason)
{
    rows_of(columns, text);
    assert_int_equal(stats.reason_count, 1);
    assert_string_equal(stats.reasons[0].reason, reason);
    assert_non_null(strstr(stats.bad_example, reason));
    assert_true(stats.reasons[0].reason_ja[0] != '\0');
}

static void
test_times(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
        bool zoneless;
    } cases[] = {
        { "2013-03-03 21:53:59", 1362347639 * S_NS, true },
        { "2013-03-03T21:53:59", 1362347639 * S_NS, true },
        { "2013/03/03 21:53:59", 1362347639 * S_NS, true },
        { "2013-03-03 21:53", 1362347580 * S_NS, true },
        { "2013-03-03T21:53:59Z", 1362347639 * S_NS, false },
        { "2013-03-03 21:53:59 UTC", 1362347639 * S_NS, false },
        { "2013-03-03T21:53:59+09:00", (1362347639 - 32400) * S_NS, false },
        { "2013-03-03T21:53:59-0330", (1362347639 + 12600) * S_NS, false },
        { "2013-03-03 21:53:59 +01", (1362347639 - 3600) * S_NS, false },
        { "2025-02-18T05:25:41.286469Z", 1739856341286469000, false },
        { "\"2025-02-18T05:25:41,5Z\"", 1739856341500000000, false },
        { "2025-02-18T05:25:41.1234567899Z", 1739856341123456789, false },
        { "2012-02-29 00:00:00", 1330473600 * S_NS, true },
        { "2000-03-01 00:00:00", 951868800 * S_NS, true },
        { "2016-12-31T23:59:60Z", 1483228800 * S_NS, false },
        { "1970-01-02T00:00:00Z", 86400 * S_NS, false },
        { "2262-04-11T23:47:14Z", INT64_C(9223372034) * S_NS, false },
        { "1700828217", 1700828217 * S_NS, false },
        { "1700828217.314165", 1700828217314165000, false },
        { "1700828217314", 1700828217314000000, false },
        { "1700828217314165", 1700828217314165000, false },
        { "1700828217314165.5", 1700828217314165500, false },
        { "1700828217314165001", 1700828217314165001, false },
        { "928.943457", 928943457000, false },
        { "99999999999", 0, false }, /* seconds of the year 5138 do not fit */
        { "100000000000", INT64_C(100000000) * S_NS, false },
        { " 1700828217 ", 1700828217 * S_NS, false },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        char text[160];
        snprintf(text, sizeof text, "t,s\n%s,192.0.2.1\n", cases[i].text);
        uint32_t n = rows_of("time=t,src=s,proto:=tcp", text);
        if (cases[i].ns == 0) {
            assert_int_equal(n, 0);
            continue;
        }
        if (n != 1 || batch->ts_ns[0] != cases[i].ns || stats.zoneless_rows != cases[i].zoneless) {
            fail_msg("%s: %lld", cases[i].text, n == 1 ? (long long)batch->ts_ns[0] : -1);
        }
    }
    (void)state;
}

static void
test_bad_times(void **state)
{
    static const struct {
        const char *text, *reason;
    } cases[] = {
        { "", "no time" },
        { "-", "no time" },
        { "NaN", "no time" },
        { "0", "time not set (1970-01-01)" },
        { "0.0", "time not set (1970-01-01)" },
        { "1970-01-01T00:00:00Z", "time not set (1970-01-01)" },
        { "1970-01-01 09:00:00", "time not set (1970-01-01)" },
        { "1969-12-31 19:00:00", "time not set (1970-01-01)" },
        { "yesterday", "time not understood" },
        { "2013-02-29 00:00:00", "time not understood" },
        { "2013-13-01 00:00:00", "time not understood" },
        { "2013-00-01 00:00:00", "time not understood" },
        { "2013-01-32 00:00:00", "time not understood" },
        { "2013-01-01 24:00:00", "time not understood" },
        { "2013-01-01 00:60:00", "time not understood" },
        { "2013-01-01 00:00:61", "time not understood" },
        { "2013-01-01 00:00:00.", "time not understood" },
        { "2013-01-01 00:00:00 JST", "time not understood" },
        { "2013-01-01 00:00:00+9", "time not understood" },
        { "2013-01-01 00:00:00+09:00x", "time not understood" },
        { "2263-01-01 00:00:00", "time not understood" },
        { "9999-12-31 23:59:59", "time not understood" },
        { "0000-12-31 23:59:59", "time not understood" },
        { "-5", "time not understood" },
        { "1.7e9", "time not understood" },
        { "99999999999999999999999", "time not understood" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        char text[160];
        snprintf(text, sizeof text, "t,s\n%s,192.0.2.1\n", cases[i].text);
        assert_bad("time=t,src=s,proto:=tcp", text, cases[i].reason);
    }
    (void)state;
}

static void
test_addresses(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        { "192.0.2.1", "192.0.2.1" },
        { "1032051418", "61.131.218.218" }, /* 2013's first line */
        { "1032051418.0", "61.131.218.218" },
        { "-1", "255.255.255.255" },
        { "-2147483648", "128.0.0.0" },
        { "4294967295", "255.255.255.255" },
        { "2001:db8::1", "2001:db8::1" },
        { "[2001:db8::1]", "2001:db8::1" },
        { "fe80::1%eth0", "fe80::1" },
        { "::ffff:192.0.2.7", "192.0.2.7" },
        { " 192.0.2.1", "192.0.2.1" },
    };
    static const struct {
        const char *text, *reason;
    } bad[] = {
        { "", "no source" },
        { "-", "no source" },
        { "0.0.0.0", "no source" },
        { "0", "no source" },
        { "::", "no source" },
        { "4294967296", "source not understood" },
        { "-2147483649", "source not understood" },
        { "1.5", "source not understood" },
        { "192.0.2", "source not understood" },
        { "192.0.2.256", "source not understood" },
        { "example.org", "source not understood" },
    };
    char text[160];
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        char ip_text[BH_IP_TEXT_MAX];
        snprintf(text, sizeof text, "t,s\n1700000000,%s\n", cases[i].text);
        assert_int_equal(rows_of("time=t,src=s,proto:=tcp", text), 1);
        struct bh_ip ip = bh_batch_src(batch, 0);
        bh_ip_format(&ip, ip_text);
        assert_string_equal(ip_text, cases[i].expected);
        assert_true(batch->all_inbound);
    }
    for (size_t i = 0; i < BH_COUNT(bad); i++) {
        snprintf(text, sizeof text, "t,s\n1700000000,%s\n", bad[i].text);
        assert_bad("time=t,src=s,proto:=tcp", text, bad[i].reason);
    }
    (void)state;
}

static void
test_rows(void **state)
{
    static const struct {
        const char *row;
        uint8_t proto, flags, marks;
        uint32_t ports;
        uint16_t layers;
    } cases[] = {
        { "192.0.2.1,192.0.2.2,tcp,1024,80,,,S,40,64,1", 6, BH_TCP_SYN, 0, 1024 << 16 | 80,
          BH_LAYER_IPV4 | BH_LAYER_TCP | BH_LAYER_SYN_ONLY },
        { "192.0.2.1,192.0.2.2,TCP,,80,,,SA,,,", 6, BH_TCP_SYN | BH_TCP_ACK, 0, 80,
          BH_LAYER_IPV4 | BH_LAYER_TCP },
        { "192.0.2.1,192.0.2.2,6,1.0,80.0,,,[S.],,,", 6, BH_TCP_SYN | BH_TCP_ACK, 0, 1 << 16 | 80,
          BH_LAYER_IPV4 | BH_LAYER_TCP },
        { "192.0.2.1,192.0.2.2,tcp,1,80,,,\"SYN,ACK\",,,", 6, BH_TCP_SYN | BH_TCP_ACK, 0,
          1 << 16 | 80, BH_LAYER_IPV4 | BH_LAYER_TCP },
        { "192.0.2.1,192.0.2.2,tcp,1,80,,,URG PSH FIN,,,", 6, BH_TCP_URG | BH_TCP_PSH | BH_TCP_FIN,
          0, 1 << 16 | 80, BH_LAYER_IPV4 | BH_LAYER_TCP },
        { "192.0.2.1,192.0.2.2,tcp,1,80,,,0x0c2,,,", 6, BH_TCP_SYN | BH_TCP_ECE | BH_TCP_CWR, 0,
          1 << 16 | 80, BH_LAYER_IPV4 | BH_LAYER_TCP | BH_LAYER_SYN_ONLY },
        { "192.0.2.1,192.0.2.2,tcp,1,80,,,2,,,", 6, BH_TCP_SYN, 0, 1 << 16 | 80,
          BH_LAYER_IPV4 | BH_LAYER_TCP | BH_LAYER_SYN_ONLY },
        { "192.0.2.1,192.0.2.2,tcp,1,80,,,0,,,", 6, 0, 0, 1 << 16 | 80,
          BH_LAYER_IPV4 | BH_LAYER_TCP },
        { "192.0.2.1,192.0.2.2,tcp,1,80,,,\xc2\xb7\xc2\xb7"
          "A\xc2\xb7S\xc2\xb7,,,",
          6, BH_TCP_SYN | BH_TCP_ACK, 0, 1 << 16 | 80, BH_LAYER_IPV4 | BH_LAYER_TCP },
        { "192.0.2.1,192.0.2.2,tcp,1,80,,,,,,", 6, BH_TCP_SYN, BH_MARK_NO_FLAGS, 1 << 16 | 80,
          BH_LAYER_IPV4 | BH_LAYER_TCP },
        { "192.0.2.1,192.0.2.2,Udp,65535,65535,,,,,,", 17, 0, 0, 0xffffffffU,
          BH_LAYER_IPV4 | BH_LAYER_UDP },
        { "192.0.2.1,192.0.2.2,icmp,,,8,0,,,,", 1, 0, 0, 8 << 16, BH_LAYER_IPV4 | BH_LAYER_ICMP },
        { "192.0.2.1,192.0.2.2,icmp,,,3,13,,,,", 1, 0, 0, 3 << 16 | 13,
          BH_LAYER_IPV4 | BH_LAYER_ICMP },
        { "192.0.2.1,192.0.2.2,icmp,,,,,,,,", 1, 0, BH_MARK_NO_PORTS, 0,
          BH_LAYER_IPV4 | BH_LAYER_ICMP },
        { "2001:db8::1,2001:db8::2,icmp,,,128,,,,,", 58, 0, 0, 128 << 16,
          BH_LAYER_IPV6 | BH_LAYER_ICMP6 },
        { "2001:db8::1,2001:db8::2,ipv6-icmp,,,128,,,,,", 58, 0, 0, 128 << 16,
          BH_LAYER_IPV6 | BH_LAYER_ICMP6 },
        { "0.0.0.0,255.255.255.255,udp,68,67,,,,,,", 17, 0, 0, 68 << 16 | 67,
          BH_LAYER_IPV4 | BH_LAYER_UDP },
        { "192.0.2.1,192.0.2.2,gre,,,,,,,,", 47, 0, BH_MARK_NO_PORTS, 0, BH_LAYER_IPV4 },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        char text[300];
        snprintf(text, sizeof text, HEADER "1700000000,%s\n", cases[i].row);
        if (rows_of(MAP, text) != 1 || batch->proto[0] != cases[i].proto ||
            batch->tcp_flags[0] != cases[i].flags || batch->marks[0] != cases[i].marks ||
            batch->ports[0] != cases[i].ports || batch->layers[0] != cases[i].layers) {
            fail_msg("%s (%s)", cases[i].row, stats.bad_example);
        }
        assert_false(batch->all_inbound);
        assert_int_equal(batch->want, BH_WANT_COLD);
    }
    rows_of(MAP, HEADER "1700000000,192.0.2.1,192.0.2.2,tcp,1,80,,,S,60,57,12\n");
    assert_int_equal(batch->ip_len[0], 60);
    assert_int_equal(batch->ttl[0], 57);
    assert_int_equal(batch->weight[0], 12);
    assert_true(batch->has_weight);
    (void)state;
}

static void
test_bad_rows(void **state)
{
    static const struct {
        const char *row, *reason;
    } cases[] = {
        { "192.0.2.1,,tcp,1,80,,,,,,", "no destination" },
        { "192.0.2.1,x,tcp,1,80,,,,,,", "destination not understood" },
        { "192.0.2.1,2001:db8::1,tcp,1,80,,,,,,", "IPv4 and IPv6 in one row" },
        { "192.0.2.1,192.0.2.2,,1,80,,,,,,", "no protocol" },
        { "192.0.2.1,192.0.2.2,ip,1,80,,,,,,", "unknown protocol" },
        { "192.0.2.1,192.0.2.2,256,1,80,,,,,,", "unknown protocol" },
        { "192.0.2.1,192.0.2.2,tcp,1,,,,,,,", "no port" },
        { "192.0.2.1,192.0.2.2,udp,1,0,,,,,,", "port 0" },
        { "192.0.2.1,192.0.2.2,udp,1,65536,,,,,,", "port not understood" },
        { "192.0.2.1,192.0.2.2,udp,1,http,,,,,,", "port not understood" },
        { "192.0.2.1,192.0.2.2,udp,65536,80,,,,,,", "port not understood" },
        { "192.0.2.1,192.0.2.2,udp,1,80.5,,,,,,", "port not understood" },
        { "192.0.2.1,192.0.2.2,icmp,,,256,,,,,", "ICMP type not understood" },
        { "192.0.2.1,192.0.2.2,icmp,,,echo,,,,,", "ICMP type not understood" },
        { "192.0.2.1,192.0.2.2,icmp,,,8,256,,,,", "ICMP type not understood" },
        { "192.0.2.1,192.0.2.2,tcp,1,80,,,4096,,,", "TCP flags not understood" },
        { "192.0.2.1,192.0.2.2,tcp,1,80,,,QQ,,,", "TCP flags not understood" },
        { "192.0.2.1,192.0.2.2,tcp,1,80,,,,,,,more", "more columns than the header" },
        { "192.0.2.1,192.0.2.2,tcp,1,80,\"open", "a quote that does not end" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        char text[300];
        snprintf(text, sizeof text, HEADER "1700000000,%s\n", cases[i].row);
        assert_bad(MAP, text, cases[i].reason);
    }
    /* Too short is no reason when what is there is enough, nor is a trailing comma too many. */
    assert_int_equal(rows_of(MAP, HEADER "1700000000,192.0.2.1,192.0.2.2,tcp,1,80\n"), 1);
    assert_int_equal(rows_of(MAP, HEADER "1700000000,192.0.2.1,192.0.2.2,tcp,1,80,,,,,,,, \n"), 1);
    /* The text of a stranger is shown escaped, and with its place. */
    rows_of("auto,proto:=tcp", "time,src\n\n\n1700000000,\x1b[31mred\n");
    assert_string_equal(stats.bad_example, "source not understood: 1700000000,\\x1b[31mred");
    assert_int_equal(stats.bad_line, 4);
    /* Lines are those of the file, also behind a cell of three. */
    rows_of("auto,proto:=tcp", "time,src,note\n1700000000,1.2.3.4,\"a\nb\nc\"\n1700000001,x,d\n");
    assert_string_equal(stats.bad_example, "source not understood: 1700000001,x,d");
    assert_int_equal(stats.bad_line, 5);
    (void)state;
}

static void
test_forms(void **state)
{
    static const struct {
        const char *columns, *text;
        uint32_t rows, bad;
    } cases[] = {
        { NULL, "time,src,proto\r\n1700000000,1.2.3.4,tcp\r\n", 1, 0 },
        { "auto", "\xef\xbb\xbftime;src;proto\n1700000000;1.2.3.4;tcp", 1, 0 },
        { "auto", "Time\tSource IP\tProtocol\n1700000000\t1.2.3.4\ttcp\n", 1, 0 },
        { "auto", "@timestamp,\"note,s\",src_ip,transport\n1700000000,\"a,b\",1.2.3.4,tcp\n", 1,
          0 },
        { "time=\"a,\"\"b\",src=SRC,proto:=udp", "\"a,\"\"b\",src\n1700000000,1.2.3.4\n", 1, 0 },
        { "auto", "time,note,src,proto\n1700000000,\"two\nlines\",1.2.3.4,tcp\n1,2\n", 1, 1 },
        { "auto", "time,note,src,proto\n1700000000,\"a\"\"b\"\"\",1.2.3.4,tcp\n", 1, 0 },
        { "auto", "time,note,src,proto\n1700000000,in\"side,1.2.3.4,tcp\n", 1, 0 },
        { "auto", "# a note\n# another\ntime,src,proto\n1700000000,1.2.3.4,tcp\n", 1, 0 },
        { "auto",
          "#separator \\x09\n#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\n#types\ttime\n"
          "1700000000.5\t1.2.3.4\t1\t5.6.7.8\t22\ttcp\n#close\t2024\n",
          1, 0 },
        { "auto", "time,src,proto\n\n\n1700000000,1.2.3.4,tcp\n\n", 1, 0 },
        { "time=1,src=3,proto:=tcp", "1700000000,x,1.2.3.4\n1700000001,x,1.2.3.4\n", 2, 0 },
        { "time=1,src=3,proto:=tcp", "time,x,src\n1700000000,x,1.2.3.4\n", 1, 0 },
        { "time=1,src=3,proto:=tcp", "0,x,1.2.3.4\n1700000000,x,1.2.3.4\n", 1, 1 },
        { "time=1,src=src,proto:=tcp", "a,b,src\n1700000000,x,1.2.3.4\n", 1, 0 },
        { "time = t , src = s , proto := tcp , dport := 22", "t,s\n1700000000,1.2.3.4\n", 1, 0 },
        { "time=t,src=s,proto:=tcp,dst:=192.0.2.1", "t,s\n1700000000,1.2.3.4\n", 1, 0 },
        { "auto", "time,src,proto\n\"1700000000,1.2.3.4,tcp\n1700000001,1.2.3.4,tcp\n", 1, 1 },
        { "auto", "time,src,proto\n", 0, 0 },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        uint32_t n = rows_of(cases[i].columns, cases[i].text);
        if (n != cases[i].rows || stats.bad_rows != cases[i].bad) {
            fail_msg("case %zu: %u rows, %s", i, n, stats.bad_example);
        }
    }
    /* Zeek has type and code of ICMP in the columns of ports. */
    rows_of(NULL, "#fields\tts\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\n"
                  "1700000000\t1.2.3.4\t3\t5.6.7.8\t13\ticmp\n");
    assert_int_equal(batch->ports[0], 3 << 16 | 13);
    (void)state;
}

static void
test_errors(void **state)
{
    static const struct {
        const char *columns, *text;
        int code;
        const char *en, *ja;
    } cases[] = {
        { NULL, "", BH_EFORMAT, "is empty", "空" },
        { NULL, "\n\n", BH_EFORMAT, "no header line", "見出し行" },
        { NULL, "\x1f\x8b\x08", BH_EFORMAT, "gzip", "gzip" },
        { NULL, "\xd4\xc3\xb2\xa1", BH_EFORMAT, "pcap", "pcap" },
        { NULL, "{\"a\":1}", BH_EFORMAT, "JSON", "JSON" },
        { NULL, "\xff\xfet", BH_EFORMAT, "iconv", "iconv" },
        { NULL, "2013-03-03 21:53:59,1.2.3.4,tcp\n", BH_EFORMAT, "no header line", "番号" },
        { NULL, "\"time,src\n", BH_EFORMAT, "quote", "引用符" },
        { NULL, "a,src,proto\n", BH_EUSAGE, "no column looks like time: add time=COLUMN",
          "time=列" },
        { NULL, ",x\n", BH_EUSAGE, "columns are: , x", "time=列" },
        { NULL, "time,b,proto\n", BH_EUSAGE, "columns are: time, b, proto", "src=列" },
        { NULL, "time,src\n", BH_EUSAGE, "proto:=tcp", "proto:=tcp" },
        { "time=tme,src=s,proto:=tcp", "time,s\n", BH_EUSAGE,
          "no column \"tme\" (did you mean time?); the columns are: time, s", "time のことですか" },
        { "time=t,src=9,proto:=tcp", "t,s\n", BH_EUSAGE, "no column 9: there are 2", "9 番目" },
        { "tme=t,src=s", "t,s\n", BH_EUSAGE, "no such field: time", "項目" },
        { "time=t,src=s,src=s", "t,s\n", BH_EUSAGE, "twice", "2 度" },
        { "time=t", "t,s\n", BH_EUSAGE, "time= and src= are needed", "必要" },
        { "time=t,src=s", "t,s\n", BH_EUSAGE, "proto:=tcp", "proto:=tcp" },
        { "time=t,src=s,proto:=tpc", "t,s\n", BH_EUSAGE, "cannot be the value", "値" },
        { "time:=1,src=s,proto:=tcp", "t,s\n", BH_EUSAGE, "cannot be the value", "値" },
        { "auto,dport:=0", "t,s\n", BH_EUSAGE, "cannot be the value", "値" },
        { "auto,dst:=x", "t,s\n", BH_EUSAGE, "cannot be the value", "値" },
        { "nonsense", "t,s\n", BH_EUSAGE, "FIELD=COLUMN", "項目=列" },
        { "time=,src=s", "t,s\n", BH_EUSAGE, "no column is named", "名前" },
        { "time=\"t,src=s", "t,s\n", BH_EUSAGE, "quote", "引用符" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_import *im;
        struct bh_error err = { 0 };
        int r = open_text(cases[i].columns, cases[i].text, &im, &err);
        if (r != cases[i].code || err.code != r || strstr(err.text[BH_EN], cases[i].en) == NULL ||
            strstr(err.text[BH_JA], cases[i].ja) == NULL) {
            fail_msg("case %zu: %d: %s / %s", i, r, err.text[BH_EN], err.text[BH_JA]);
        }
    }
    struct bh_import *im;
    struct bh_error err;
    assert_int_equal(bh_import_open_memory("time\0", 6, NULL, &im, &err), BH_EFORMAT);
    assert_true(err.has_offset && err.offset == 4);
    const char *const twice[] = { "-", "-" };
    assert_int_equal(bh_import_open(twice, 2, NULL, &im, &err), BH_EUSAGE);
    const char *const same[] = { "/dev/null", "/dev/../dev/null" };
    assert_int_equal(bh_import_open(same, 2, NULL, &im, &err), BH_EUSAGE);
    assert_int_equal(bh_import_open(twice, 0, NULL, &im, &err), BH_EUSAGE);
    const char *const missing[] = { "/nonexistent/log.csv" };
    assert_int_equal(bh_import_open(missing, 1, NULL, &im, &err), -ENOENT);
    const char *const folder[] = { "/" };
    assert_int_equal(bh_import_open(folder, 1, NULL, &im, &err), -EISDIR);
    bh_import_close(NULL);
    (void)state;
}

/* ---- order ------------------------------------------------------------------------------------ */

/* `n` rows; times in seconds are at(i), the port tells the row. */
static char *
make_log(uint32_t n, int64_t (*at)(uint32_t i, uint32_t n), size_t *ret_size)
{
    size_t cap = 32 + (size_t)n * 32;
    char *text = malloc(cap);
    assert_non_null(text);
    size_t len = (size_t)snprintf(text, cap, "time,src,proto,dport\n");
    for (uint32_t i = 0; i < n; i++) {
        len += (size_t)snprintf(text + len, cap - len, "%lld,1.2.3.4,tcp,%u\n", (long long)at(i, n),
                                i % 60000 + 1);
    }
    *ret_size = len;
    return text;
}

static int64_t
at_backwards(uint32_t i, uint32_t n)
{
    return 1700000000 + n - i;
}

static int64_t
at_equal(uint32_t i, uint32_t n)
{
    (void)i;
    (void)n;
    return 1700000000;
}

static int64_t
at_shuffled(uint32_t i, uint32_t n)
{
    return 1700000000 + (int64_t)((uint64_t)i * 2654435761U % n);
}

static int64_t
at_twice(uint32_t i, uint32_t n) /* two hosts, one after the other */
{
    return 1700000000 + i % (n / 2);
}

static int64_t
at_future_first(uint32_t i, uint32_t n)
{
    (void)n;
    return i == 0 ? 4000000000 : 1700000000 + i;
}

static int64_t
at_oldest_last(uint32_t i, uint32_t n)
{
    return i == n - 1 ? 1600000000 : 1700000000 + i;
}

static void
assert_order(uint32_t n, int64_t (*at)(uint32_t, uint32_t), uint64_t steps, uint64_t late)
{
    size_t size;
    char *text = make_log(n, at, &size);
    struct bh_import *im;
    assert_int_equal(bh_import_open_memory(text, size, NULL, &im, NULL), 0);
    uint64_t rows = 0;
    uint64_t back = 0;
    int64_t newest = INT64_MIN;
    bool is_stable = true;
    uint32_t port_before = 0;
    while (bh_import_read(im, batch, NULL) == 1) {
        for (uint32_t i = 0; i < batch->rows; i++, rows++) {
            back += batch->ts_ns[i] < newest;
            is_stable &= bh_batch_dst_port(batch, i) == port_before % 60000 + 1;
            port_before++;
            newest = batch->ts_ns[i] > newest ? batch->ts_ns[i] : newest;
        }
    }
    bh_import_get_stats(im, &stats);
    bh_import_close(im);
    free(text);
    assert_int_equal(rows, n);
    assert_int_equal(stats.rows, n);
    assert_int_equal(stats.steps_back, steps);
    assert_int_equal(back, late);
    assert_int_equal(stats.late_rows, late);
    assert_true(at != at_equal || is_stable);
}

static void
test_order(void **state)
{
    (void)state;
    assert_order(5000, at_backwards, 4999, 0);
    assert_order(70000, at_equal, 0, 0);
    assert_order(200000, at_twice, 1, 0);
    assert_order(5000, at_future_first, 1, 0);
    size_t size;
    char *text = make_log(99991, at_shuffled, &size);
    free(text);
    uint64_t steps = 0;
    for (uint32_t i = 1; i < 99991; i++) {
        steps += at_shuffled(i, 99991) < at_shuffled(i - 1, 99991);
    }
    assert_order(99991, at_shuffled, steps, 0);
    /* The bound: BH_IMPORT_WINDOW rows wait, the next one comes too late by one row. */
    assert_order(BH_IMPORT_WINDOW, at_oldest_last, 1, 0);
    assert_order(BH_IMPORT_WINDOW + 1, at_oldest_last, 1, 1);
}

static char *
write_file(char *path, const char *text)
{
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return path;
}

static void
test_files(void **state)
{
    char a[] = "/tmp/bh-import-a-XXXXXX";
    char b[] = "/tmp/bh-import-b-XXXXXX";
    char c[] = "/tmp/bh-import-c-XXXXXX";
    const char *const paths[] = {
        write_file(a, "time,src,proto,dport\n1700000001,1.1.1.1,tcp,1\n1700000005,1.1.1.1,tcp,5\n"),
        /* another order of columns, another delimiter */
        write_file(b, "dport;proto;time;src\n2;tcp;1700000002;1.1.1.1\n3;udp;1700000003;1.1.1.1\n"
                      "4;udp;1700000004;1.1.1.1\n"),
        write_file(c, "time,src,dst,proto\n"),
    };
    struct bh_import *im;
    struct bh_error err;
    assert_int_equal(bh_import_open(paths, 2, NULL, &im, &err), 0);
    assert_int_equal(bh_import_read(im, batch, &err), 1);
    assert_int_equal(batch->rows, 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(bh_batch_dst_port(batch, i), i + 1);
    }
    assert_int_equal(bh_import_read(im, batch, &err), 0);
    bh_import_get_stats(im, &stats);
    assert_int_equal(stats.steps_back, 0);
    assert_string_equal(stats.columns, "time=time, src=src, proto=proto, dport=dport");
    bh_import_close(im);
    const char *const mixed[] = { a, c };
    assert_int_equal(bh_import_open(mixed, 2, NULL, &im, &err), BH_EUSAGE);
    assert_string_equal(err.where, c);
    unlink(a);
    unlink(b);
    unlink(c);
    (void)state;
}

/* A row longer than the buffer, and one longer than the bound, of which only that one is lost. */
static void
test_long_rows(void **state)
{
    size_t lengths[] = { 70000, 500000, (1U << 20) + 5 };
    for (size_t i = 0; i < BH_COUNT(lengths); i++) {
        char *text = malloc(lengths[i] + 200);
        assert_non_null(text);
        size_t n = (size_t)sprintf(text, "time,src,proto,note\n1700000000,1.2.3.4,tcp,\"");
        memset(text + n, i == 1 ? '\n' : 'x', lengths[i]);
        strcpy(text + n + lengths[i], "\"\n1700000001,1.2.3.4,tcp,\n");
        struct bh_import *im;
        assert_int_equal(bh_import_open_memory(text, strlen(text), NULL, &im, NULL), 0);
        assert_int_equal(bh_import_read(im, batch, NULL), 1);
        bh_import_get_stats(im, &stats);
        assert_int_equal(batch->rows, i == 2 ? 1 : 2);
        assert_int_equal(stats.bad_rows, i == 2);
        bh_import_close(im);
        free(text);
    }
    (void)state;
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
        cmocka_unit_test(test_times),     cmocka_unit_test(test_bad_times),
        cmocka_unit_test(test_addresses), cmocka_unit_test(test_rows),
        cmocka_unit_test(test_bad_rows),  cmocka_unit_test(test_forms),
        cmocka_unit_test(test_errors),    cmocka_unit_test(test_order),
        cmocka_unit_test(test_files),     cmocka_unit_test(test_long_rows),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
