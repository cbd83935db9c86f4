/* SPDX-License-Identifier: BSD-2-Clause */
/* Writers and meanings, on reports made by hand (fake_trend.h). */
#include "fake_trend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct fake fake;

static struct bh_buf
written(const char *writer, enum bh_lang lang, unsigned columns)
{
    struct bh_buf out = { 0 };
    struct bh_write_options o = { .lang = lang, .columns = columns };
    const struct bh_writer *w = bh_writer_find(writer);
    assert_non_null(w);
    w->write(&fake.report, &o, &out);
    assert_false(out.failed);
    assert_true(out.len > 0);
    return out;
}

static void
assert_has(const struct bh_buf *out, const char *text)
{
    if (strstr(out->data, text) == NULL) {
        fail_msg("not found: %s\n%s", text, out->data);
    }
}

static void
assert_lacks(const struct bh_buf *out, const char *text)
{
    if (strstr(out->data, text) != NULL) {
        fail_msg("found: %s", text);
    }
}

/* ---- JSON ---------------------------------------------------------------------------------- */

/* A strict reader of RFC 8259 that keeps nothing. */
static const char *json_value(const char *s, int depth);

static const char *
blank(const char *s)
{
    return s == NULL ? NULL : s + strspn(s, " \t\r\n");
}

static const char *
json_string(const char *s)
{
    if (s == NULL || *s != '"') {
        return NULL;
    }
    for (s++; *s != '"'; s++) {
        if ((unsigned char)*s < 0x20) {
            return NULL;
        }
        if (*s == '\\') {
            s++;
            if (*s == '\0' || strchr("\"\\/bfnrtu", *s) == NULL) {
                return NULL;
            }
        }
    }
    return s + 1;
}

static const char *
json_number(const char *s)
{
    char *end = NULL;
    size_t len = strspn(s, "-0123456789.eE+");
    bool leads_zero = s[0] == '0' && s[1] >= '0' && s[1] <= '9';
    (void)strtod(s, &end);
    return len == 0 || leads_zero || end != s + len ? NULL : end;
}

static const char *
json_members(const char *s, char close, int depth)
{
    s = blank(s + 1);
    if (*s == close) {
        return s + 1;
    }
    while (s != NULL) {
        if (close == '}') {
            s = blank(json_string(s));
            s = s == NULL || *s != ':' ? NULL : blank(s + 1);
        }
        s = s == NULL ? NULL : blank(json_value(s, depth));
        if (s != NULL && *s == close) {
            return s + 1;
        }
        s = s == NULL || *s != ',' ? NULL : blank(s + 1);
    }
    return NULL;
}

static const char *
json_value(const char *s, int depth)
{
    static const char *const words[] = { "true", "false", "null" };
    if (depth > 20) {
        return NULL;
    }
    if (*s == '{' || *s == '[') {
        return json_members(s, *s == '{' ? '}' : ']', depth + 1);
    }
    if (*s == '"') {
        return json_string(s);
    }
    for (size_t i = 0; i < BH_COUNT(words); i++) {
        if (strncmp(s, words[i], strlen(words[i])) == 0) {
            return s + strlen(words[i]);
        }
    }
    return json_number(s);
}

static void
assert_json(const struct bh_buf *out)
{
    const char *end = blank(json_value(out->data, 0));
    assert_non_null(end);
    assert_int_equal(*end, '\0');
}

/* Keys of the outermost object, in order. */
static void
assert_keys(const struct bh_buf *out)
{
    static const char *const keys[] = {
        "schema",
        "period",
        "home",
        "count",
        "totals",
        "countries",
        "others",
        "home_country",
        "no_country",
        "crosstab",
        "timeline",
        "regions",
        "networks",
        "outcomes",
        "pings",
        "not_accesses",
        "visits",
        "sources",
        "remarks",
        "health",
        "country_data",
        "approximate",
        "approximate_error",
    };
    const char *at = out->data;
    for (size_t i = 0; i < BH_COUNT(keys); i++) {
        char line[64];
        snprintf(line, sizeof line, "\n  \"%s\": ", keys[i]);
        at = strstr(at, line);
        if (at == NULL) {
            fail_msg("key %s is missing, or not in its place", keys[i]);
            return;
        }
    }
}

static void
test_json_memo(void **state)
{
    (void)state;
    fake_memo(&fake);
    assert_int_equal(bh_report_remark(&fake.report), 0);
    struct bh_buf out = written("json", BH_JA, 80);
    assert_json(&out);
    assert_keys(&out);
    assert_has(&out, "\"schema\": \"beholder.report/1\"");
    assert_has(&out, "\"start\": \"2007-04-01T00:00:00+09:00\"");
    assert_has(&out, "\"end\": \"2007-08-01T00:00:00+09:00\"");
    assert_has(&out, "\"share\": 0.448165"); /* 4,885 / 10,900 */
    assert_has(&out, "\"share\": 0.035598"); /* 2,800 / 78,657 = 0.0355976..., half up */
    assert_has(&out, "\"name\": \"台湾\"");
    assert_has(&out, "\"rank\": null");
    assert_has(&out, "\"tcp_xmas_scan\": 20");
    assert_has(&out, "\"class\": \"private-use\"");
    assert_has(&out, "\"gap\": true");
    assert_lacks(&out, "CVE-2008");
    assert_lacks(&out, "CVE-201");
    bh_buf_done(&out);
    fake_done(&fake);
}

static void
test_json_empty(void **state)
{
    (void)state;
    fake_empty(&fake);
    assert_int_equal(bh_report_remark(&fake.report), 0);
    struct bh_buf out = written("json", BH_EN, 80);
    assert_json(&out);
    assert_keys(&out);
    assert_has(&out, "\"home_country\": null");
    assert_has(&out, "\"countries\": []");
    assert_has(&out, "\"arp\": 0");
    bh_buf_done(&out);
    fake.trend.approximate = true;
    fake.trend.approximate_error = 0.0 / (double)(fake.trend.accesses); /* NaN */
    out = written("json", BH_EN, 80);
    assert_json(&out);
    assert_has(&out, "\"approximate_error\": null");
    bh_buf_done(&out);
    fake_done(&fake);
}

/* ---- text ---------------------------------------------------------------------------------- */

static void
assert_fits(const struct bh_buf *out, size_t columns)
{
    char line[4096];
    for (const char *s = out->data; *s != '\0';) {
        size_t len = strcspn(s, "\n");
        assert_true(len < sizeof line);
        memcpy(line, s, len);
        line[len] = '\0';
        if (bh_text_width(line) > columns) {
            fail_msg("%zu columns, not %zu: %s", bh_text_width(line), columns, line);
        }
        if (len > 0 && line[len - 1] == ' ') {
            fail_msg("blank at the end: '%s'", line);
        }
        s += len + (s[len] == '\n');
    }
}

static void
test_text_width(void **state)
{
    static const unsigned widths[] = { 80, 81, 99, 100, 119, 120, 160, 250 };
    (void)state;
    fake_memo(&fake);
    assert_int_equal(bh_report_remark(&fake.report), 0);
    for (size_t i = 0; i < BH_COUNT(widths); i++) {
        for (int lang = 0; lang < BH_LANGS; lang++) {
            struct bh_buf out = written("text", (enum bh_lang)lang, widths[i]);
            assert_fits(&out, widths[i]);
            assert_lacks(&out, "\x1b");
            bh_buf_done(&out);
        }
    }
    fake_done(&fake);
}

/* The first 24 lines hold the sentence, the countries and the first ports. */
static void
test_text_first_screen(void **state)
{
    (void)state;
    fake_memo(&fake);
    for (int lang = 0; lang < BH_LANGS; lang++) {
        struct bh_buf out = written("text", (enum bh_lang)lang, 80);
        char *end = out.data;
        for (int line = 0; line < 24; line++) {
            end = strchr(end, '\n') + 1;
        }
        *end = '\0';
        static const char *const wanted[][BH_LANGS] = {
            { "From 2007-04-01 to 2007-07-31 (122 days, Asia/Tokyo)",
              "2007-04-01 から 2007-07-31 まで" },
            { "78,657", "78,657" },
            { "59.106.21.60", "59.106.21.60" },
            { " 1 US United States", " 1 US 米国" },
            { "10 BR Brazil", "10 BR ブラジル" },
            { "JP Japan (home)", "JP 日本 (自国)" },
            { "25/tcp  smtp", "25/tcp  smtp" },
        };
        for (size_t i = 0; i < BH_COUNT(wanted); i++) {
            assert_has(&out, wanted[i][lang]);
        }
        bh_buf_done(&out);
    }
    fake_done(&fake);
}

static void
test_text_gap(void **state)
{
    (void)state;
    fake_memo(&fake);
    struct bh_buf out = written("text", BH_EN, 160); /* a day is a column */
    assert_has(&out, "█··█");
    assert_has(&out, "2007-06-11 00:00");
    bh_buf_done(&out);
    fake_done(&fake);
}

static void
test_text_sources(void **state)
{
    (void)state;
    fake_memo(&fake);
    fake.report.options.country = "JP";
    fake.report.options.port = "138";
    memcpy(fake.listed, fake.neighbours, sizeof fake.listed);
    fake.trend.listed_count = 2;
    struct bh_buf out = written("text", BH_EN, 80);
    assert_fits(&out, 80);
    assert_has(&out, "Sources: Japan, 138");
    assert_has(&out, "same network");
    assert_true(strstr(out.data, "59.106.21.81") < strstr(out.data, "59.106.21.57"));
    assert_true(strstr(out.data, "59.106.21.57") < strstr(out.data, "United States   "));
    bh_buf_done(&out);
    out = written("json", BH_EN, 80);
    assert_json(&out);
    assert_has(&out, "\"address\": \"59.106.21.81\"");
    assert_has(&out, "\"same_network\": true");
    bh_buf_done(&out);
    fake_done(&fake);
}

static void
test_text_nothing(void **state)
{
    (void)state;
    fake_empty(&fake);
    struct bh_buf out = written("text", BH_EN, 80);
    assert_has(&out, "41,200 packets, all answers to connections of 192.168.1.5");
    assert_has(&out, "--home");
    assert_has(&out, "--all-accesses");
    bh_buf_done(&out);
    fake.trend.inbound_packets = 0;
    fake.trend.outgoing_packets = 41200;
    out = written("text", BH_EN, 80);
    assert_has(&out, "all sent by 192.168.1.5 itself");
    bh_buf_done(&out);
    fake.trend.frames = fake.trend.packets = fake.trend.outgoing_packets = 0;
    out = written("text", BH_JA, 80);
    assert_has(&out, "フレームがありません");
    bh_buf_done(&out);
    fake_done(&fake);
}

static void
test_text_home_unknown(void **state)
{
    (void)state;
    fake_memo(&fake);
    memset(&fake.trend.home, 0, sizeof fake.trend.home);
    fake.report.home_country[0] = '\0';
    assert_int_equal(bh_report_remark(&fake.report), 0);
    for (size_t i = 0; i < bh_writers_count; i++) {
        struct bh_buf out = written(bh_writers[i].name, BH_EN, 80);
        bh_buf_done(&out);
    }
    fake_done(&fake);
}

/* Rows that are regions are not called countries. */
static void
test_text_regions(void **state)
{
    (void)state;
    static const char *const wanted[BH_LANGS][4] = {
        { "13,327 sources knocked", "10 others", "all 10 listed regions", "The listed regions" },
        { "に、13,327 の送信元から", "ほか 10 地域", "一覧の 10 地域すべて", "一覧の地域と自国" },
    };
    static const char *const unwanted[BH_LANGS][2] = { { "countries", "[" }, { "か国", "国々" } };
    fake_memo(&fake);
    fake.trend.by_region = true;
    assert_int_equal(bh_report_remark(&fake.report), 0);
    for (int lang = 0; lang < BH_LANGS; lang++) {
        struct bh_buf out = written("text", (enum bh_lang)lang, 500);
        for (size_t i = 0; i < 4; i++) {
            assert_has(&out, wanted[lang][i]);
        }
        char *health = strstr(out.data, lang == BH_EN ? "About this report" : "この報告について");
        if (health != NULL) {
            *health = '\0';
        }
        assert_lacks(&out, unwanted[lang][0]);
        assert_lacks(&out, unwanted[lang][1]);
        bh_buf_done(&out);
    }
    fake_done(&fake);
}

/* Nobody came from a country; what came in most is not what we sent, or no packet at all. */
static void
test_text_nowhere(void **state)
{
    (void)state;
    fake_memo(&fake);
    fake.trend.countries_total = 0;
    struct bh_buf out = written("text", BH_EN, 200);
    assert_has(&out, "13,327 sources without a country knocked 78,657 times");
    bh_buf_done(&out);
    fake_done(&fake);
    fake_empty(&fake);
    memset(fake.trend.not_accesses, 0, sizeof fake.trend.not_accesses);
    fake.trend.not_accesses[BH_CLASS_ARP] = 50000;
    fake.trend.not_accesses[BH_CLASS_ICMP_ECHO_REPLY_SENT] = 49000;
    fake.trend.not_accesses[BH_CLASS_TCP_NULL_SCAN] = 65;
    out = written("text", BH_EN, 200);
    assert_has(&out, "the most frequent are NULL scans (65)");
    bh_buf_done(&out);
    fake_done(&fake);
}

/* Numbers as large as they can be, and a list longer than a screen is wide. */
static void
test_huge(void **state)
{
    (void)state;
    fake_memo(&fake);
    fake.trend.shown = 20;
    fake_crosstab(&fake);
    for (size_t i = 0; i < FAKE_PLACES; i++) {
        fake.places[i].count = fake.places[i].accesses = UINT64_MAX - i;
        fake.places[i].top_source_count = UINT64_MAX;
        for (size_t k = 0; k < FAKE_PORTS; k++) {
            fake.ports[i][k].count = UINT64_MAX - k;
        }
    }
    for (size_t i = 0; i < FAKE_BINS; i++) {
        fake.bins[i].count = UINT64_MAX / 2;
    }
    fake.trend.count_total = UINT64_MAX;
    fake.trend.start_ns = INT64_MIN / 4;
    fake.trend.end_ns = INT64_MAX / 4;
    assert_int_equal(bh_report_remark(&fake.report), 0);
    for (size_t i = 0; i < bh_writers_count; i++) {
        for (int lang = 0; lang < BH_LANGS; lang++) {
            struct bh_buf out = written(bh_writers[i].name, (enum bh_lang)lang, 80);
            if (strcmp(bh_writers[i].name, "json") == 0) {
                assert_json(&out);
            }
            bh_buf_done(&out);
        }
    }
    fake_done(&fake);
}

static void
test_twenty_countries(void **state)
{
    (void)state;
    fake_memo(&fake);
    fake.trend.shown = 20;
    for (size_t i = 10; i < 20; i++) {
        fake.places[i].port_count = 1;
        fake.ports[i][0] =
            (struct bh_trend_port){ .port = 1025, .proto = BH_PROTO_UDP, .count = 1234 };
    }
    fake_crosstab(&fake);
    assert_int_equal(bh_report_remark(&fake.report), 0);
    struct bh_buf out = written("text", BH_JA, 80);
    assert_fits(&out, 80);
    bh_buf_done(&out);
    fake_done(&fake);
}

/* ---- hostile texts ------------------------------------------------------------------------- */

static void
make_hostile(void)
{
    static const char *const files[] = {
        "=cmd|'x'!A1\x1b[2Jevil\xe2\x80\xae|<b>`x`*_[a](b)\\\n# head.pcap"
    };
    static struct bh_capture_note note = { .damaged = true };
    fake_memo(&fake);
    fake.report.options.files = files;
    note.error.has_offset = true;
    note.error.offset = 24;
    snprintf(note.error.text[BH_EN], sizeof note.error.text[BH_EN],
             "bad\r\n\"quoted\", \x9b\xff text");
    snprintf(note.error.text[BH_JA], sizeof note.error.text[BH_JA], "不正");
    fake.report.notes = &note;
    fake.report.note_count = 1;
    fake.report.import_bad_rows = 1;
    snprintf(fake.report.filter_text, sizeof fake.report.filter_text, "@port 25 \x1b]0;x\x07");
    snprintf(fake.report.country_data.name, sizeof fake.report.country_data.name, "+data|x");
    fake.visits[0] = (struct bh_trend_visit){ 25, BH_PROTO_TCP, "-home+jp\x1b", 1, 1 };
    fake.trend.visit_count = 1;
}

static void
test_hostile(void **state)
{
    (void)state;
    make_hostile();
    for (size_t i = 0; i < bh_writers_count; i++) {
        struct bh_buf out = written(bh_writers[i].name, BH_EN, 80);
        for (size_t k = 0; k < out.len; k++) {
            unsigned char c = (unsigned char)out.data[k];
            assert_true(c >= 0x20 || c == '\n' || c == '\r');
            assert_true(c != 0x7f);
        }
        assert_lacks(&out, "\xe2\x80\xae"); /* right-to-left override */
        if (strcmp(bh_writers[i].name, "json") == 0) {
            assert_json(&out);
        }
        bh_buf_done(&out);
    }
    struct bh_buf md = written("md", BH_EN, 80);
    assert_has(&md, "\\|\\<b\\>\\`x\\`\\*\\_\\[a\\]");
    bh_buf_done(&md);
    fake_done(&fake);
}

/* Every line has twelve cells; none begins like a formula. */
static void
test_csv(void **state)
{
    (void)state;
    make_hostile();
    assert_int_equal(bh_report_remark(&fake.report), 0);
    struct bh_buf out = written("csv", BH_EN, 80);
    for (const char *s = out.data; *s != '\0';) {
        int cells = 1;
        bool quoted = false;
        bool begins = true;
        for (; *s != '\r'; s++) {
            assert_int_not_equal(*s, '\0');
            if (begins && (!quoted || s[-1] == '"')) {
                assert_null(*s == '\0' ? NULL : strchr("=+-@\t", *s));
            }
            begins = false;
            if (*s == '"') {
                begins = !quoted && s[-1] == ',';
                quoted = !quoted;
            } else if (*s == ',' && !quoted) {
                cells++;
                begins = true;
            }
        }
        assert_false(quoted);
        assert_int_equal(cells, 12);
        assert_int_equal(s[1], '\n');
        s += 2;
    }
    assert_has(&out,
               "\r\ncountries,US,United States,,,,10900,0.138576,2294,2007-04-01T00:00:01+09:00,");
    assert_has(&out, "\r\ncountries.ports,US,,25,tcp,smtp,4885,0.448165,977,,,");
    assert_has(&out, "\r\nhome_country,JP,Japan,,,,28400,");
    assert_has(&out, "\r\nhome_country.ports,JP,,138,udp,netbios-dgm,23040,");
    assert_has(&out, "\r\ncrosstab.countries,TW,,1080,tcp,socks,333,,,,,top=true\r\n");
    assert_has(&out, "\r\ntotals,,frames,,,,267273,,,,,\r\n");
    bh_buf_done(&out);
    fake_done(&fake);
}

/* ---- what ports mean ----------------------------------------------------------------------- */

static void
test_meaning(void **state)
{
    (void)state;
    struct bh_meaning m;
    assert_true(bh_port_meaning(445, BH_PROTO_TCP, 2007, 2007, &m));
    assert_string_equal(m.service, "microsoft-ds");
    assert_null(strstr(m.cve, "CVE-2008"));
    assert_string_equal(m.kev, "");
    assert_true(bh_port_meaning(445, BH_PROTO_TCP, 2018, 2018, &m));
    assert_non_null(strstr(m.cve, "CVE-2017-0144"));
    assert_null(strstr(m.cve, "CVE-2020"));
    /* A period over two rows: that of its last year. */
    assert_true(bh_port_meaning(1433, BH_PROTO_TCP, 2004, 2005, &m));
    assert_non_null(strstr(m.purpose[BH_EN], "guessing"));
    assert_false(bh_port_meaning(2967, BH_PROTO_TCP, 1990, 1995, &m));
    /* A year ends at its last nanosecond: the midnight behind it is no year of the report. */
    fake_memo(&fake);
    fake.trend.end_ns = INT64_C(1199113200) * FAKE_NS; /* 2008-01-01T00:00+09:00 */
    struct bh_buf out = written("json", BH_EN, 80);
    assert_has(&out, "\"end\": \"2008-01-01T00:00:00+09:00\"");
    assert_lacks(&out, "CVE-2008");
    bh_buf_done(&out);
    fake_done(&fake);
    assert_false(bh_port_meaning(0, 250, 2007, 2007, &m));
    for (unsigned port = 0; port <= 65535; port++) {
        if (bh_port_meaning((uint16_t)port, BH_PROTO_UDP, 2020, 2026, &m)) {
            assert_non_null(m.service);
            assert_non_null(m.purpose[BH_JA]);
        }
    }
}

static int
set_zone(void **state)
{
    (void)state;
    return bh_zone_set("Asia/Tokyo", NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_memo),        cmocka_unit_test(test_json_empty),
        cmocka_unit_test(test_text_width),       cmocka_unit_test(test_text_first_screen),
        cmocka_unit_test(test_text_gap),         cmocka_unit_test(test_text_sources),
        cmocka_unit_test(test_text_nothing),     cmocka_unit_test(test_text_home_unknown),
        cmocka_unit_test(test_hostile),          cmocka_unit_test(test_csv),
        cmocka_unit_test(test_meaning),          cmocka_unit_test(test_huge),
        cmocka_unit_test(test_twenty_countries), cmocka_unit_test(test_text_regions),
        cmocka_unit_test(test_text_nowhere),
    };
    return cmocka_run_group_tests(tests, set_zone, NULL);
}
