/* SPDX-License-Identifier: BSD-2-Clause */
#include "test_kobold_util.h"

struct notices {
    unsigned count;
    uint32_t first_line;
    struct bh_error last;
};

static void
note(void *arg, const struct bh_error *e)
{
    struct notices *n = arg;
    if (n->count++ == 0) {
        n->first_line = e->line;
    }
    n->last = *e;
}

static void
add(kobold_build *b, const char *name, const char *text, enum kobold_layer layer,
    struct kobold_input *ret)
{
    struct bh_error err;
    int r = kobold_build_add(b, name, text, strlen(text), KOBOLD_FORMAT_AUTO, layer, ret, &err);
    if (r < 0) {
        fail_msg("%s: %s", name, err.text[BH_EN]);
    }
}

/* ---- formats -------------------------------------------------------------------------------------- */

static void
each_format_is_recognised_and_read(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        enum kobold_format format;
        unsigned ranges, broken, unused, unknown_codes;
        const char *date;
        const char *asks[3][2]; /* address, label */
    } cases[] = {
        { "registry",
          "2|apnic|20101217|23704|19850701|20101216|+1000\n"
          "apnic|*|asn|*|3961|summary\n"
          "apnic|*|ipv4|*|18242|summary\n"
          "apnic|JP|asn|173|1|20020801|allocated\n"
          "apnic|AU|ipv4|1.0.0.0|256|20110811|assigned\n"
          "apnic|CN|ipv4|1.0.1.0|768|20110414|allocated\n"
          "apnic|JP|ipv6|2001:200::|35|19990813|allocated\n",
          KOBOLD_FORMAT_RIR,
          3,
          0,
          1,
          0,
          "2010-12-16",
          { { "1.0.3.255", "CN" }, { "1.0.4.0", "unallocated" }, { "2001:200:1fff::", "JP" } } },
        { "extended, comments first, serial in milliseconds",
          "#####\n# CONDITIONS OF USE | a bar\n#\n\n"
          "2.3|arin|1567951216119|300|19700101|00000000|-0400\n"
          "arin|*|ipv4|*|100|summary\n"
          "arin||ipv6|2001:401::|32||reserved|\n"
          "arin||ipv4|24.152.0.0|32768||available|\n"
          "arin|ZZ|ipv4|25.0.0.0|256||reserved|\n"
          "arin|US|ipv4|23.0.0.0|256|20101217|allocated|27c1\n",
          KOBOLD_FORMAT_RIR,
          1,
          0,
          3,
          0,
          "2019-09-08",
          { { "23.0.0.1", "US" },
            { "24.152.0.1", "unallocated" },
            { "25.0.0.1", "unallocated" } } },
        { "registry, serial in seconds, EU, odd number of addresses",
          "2|ripencc|1404165599|85681|19830705|0|+0200\n"
          "ripencc|EU|ipv4|2.16.0.0|524288|20100910|allocated\n"
          "ripencc|DE|ipv4|2.31.0.7|3|20100910|assigned\n",
          KOBOLD_FORMAT_RIR,
          2,
          0,
          0,
          0,
          "2014-06-30",
          { { "2.16.0.0", "EU" }, { "2.31.0.9", "DE" }, { "2.31.0.10", "unallocated" } } },
        { "IANA's file names no country",
          "2|iana|20190911|973|19830101|20190612|+0000\n"
          "iana|ZZ|ipv6|0100:0000::|8|19960801|ietf\n",
          KOBOLD_FORMAT_RIR,
          0,
          0,
          1,
          0,
          "2019-06-12",
          { { "1.0.0.1", "unallocated" } } },
        { "dotted ranges",
          "1.0.0.0,1.0.0.255,AU\n1.0.1.0,1.0.3.255,CN\n2001:200::,2001:200:ffff:ffff:"
          "ffff:ffff:ffff:ffff,JP\n",
          KOBOLD_FORMAT_RANGE,
          3,
          0,
          0,
          0,
          "",
          { { "1.0.0.255", "AU" }, { "1.0.3.255", "CN" }, { "2001:200::1", "JP" } } },
        { "numbers",
          "16777216,16777471,AU\n42540488320432167789079031612388147200,"
          "42540488320433376714898646241562853375,JP\n",
          KOBOLD_FORMAT_RANGE,
          2,
          0,
          0,
          0,
          "",
          { { "1.0.0.255", "AU" },
            { "1.0.1.0", "unallocated" },
            { "2001:200::", "unallocated" } } },
        { "quoted, heading, nobody",
          "\"start\",\"end\",\"country_code\"\r\n\"0\",\"16777215\",\"-\"\r\n"
          "\"16777216\",\"16777471\",\"US\"\r\n",
          KOBOLD_FORMAT_RANGE,
          1,
          0,
          1,
          0,
          "",
          { { "1.0.0.0", "US" }, { "0.9.9.9", "this-network" } } },
        { "tor",
          "# This file has been converted\n# Generated: Thu, 25 Jun 2026 04:33:59 GMT\n"
          "# License:   CC BY-SA 4.0\n15726992,15726999,??\n16777216,16777471,AU\n",
          KOBOLD_FORMAT_RANGE,
          2,
          0,
          0,
          0,
          "2026-06-25",
          { { "1.0.0.1", "AU" } } },
        { "country in the last column",
          "start_ip,end_ip,name,country_code\n1.0.0.0,1.0.0.255,Oz,AU\n",
          KOBOLD_FORMAT_RANGE,
          1,
          0,
          0,
          0,
          "",
          { { "1.0.0.1", "AU" } } },
        { "geofeed",
          "# a feed\n24.89.192.0/18,CA,,,\n24.89.208.0/20,CA,CA-NS,New Glasgow,\n"
          "24.89.224.0/20,,,,\n2001:db8:1::/48,US,,,\n",
          KOBOLD_FORMAT_PREFIX,
          4,
          0,
          0,
          0,
          "",
          { { "24.89.192.1", "CA" }, { "24.89.224.1", "ZZ" }, { "24.90.0.0", "unallocated" } } },
        { "prefixes with heading",
          "network,geoname_id,country_iso_code\n1.0.0.0/24,2077456,AU\n",
          KOBOLD_FORMAT_PREFIX,
          1,
          0,
          0,
          0,
          "",
          { { "1.0.0.77", "AU" } } },
        { "single addresses",
          "1.2.3.4,AU\n2400::1,JP\n",
          KOBOLD_FORMAT_PREFIX,
          2,
          0,
          0,
          0,
          "",
          { { "1.2.3.4", "AU" }, { "1.2.3.5", "unallocated" }, { "2400::1", "JP" } } },
        { "list",
          "AD\t46.172.224.0/19\nAD\t46.175.156.0/22\n",
          KOBOLD_FORMAT_LIST,
          2,
          0,
          0,
          0,
          "",
          { { "46.172.224.1", "AD" } } },
        { "list the other way, byte order mark",
          "\xef\xbb\xbf"
          "46.172.224.0/19 AD\n2a00::/32 ad\n",
          KOBOLD_FORMAT_LIST,
          2,
          0,
          0,
          0,
          "",
          { { "46.172.224.1", "AD" }, { "2a00::1", "AD" } } },
        { "no line end at the end",
          "1.0.0.0/24,JP",
          KOBOLD_FORMAT_PREFIX,
          1,
          0,
          0,
          0,
          "",
          { { "1.0.0.1", "JP" } } },
        { "codes",
          "1.0.0.0/24,QQ\n1.0.1.0/24,XA\n1.0.2.0/24,A1\n1.0.3.0/24,ZZ\n",
          KOBOLD_FORMAT_PREFIX,
          4,
          0,
          0,
          1,
          "",
          { { "1.0.0.1", "QQ" }, { "1.0.2.1", "ZZ" } } },
        { "everything",
          "0.0.0.0/0,JP\n::/0,KR\n",
          KOBOLD_FORMAT_PREFIX,
          2,
          0,
          0,
          0,
          "",
          { { "1.0.0.0", "JP" }, { "223.255.255.255", "JP" }, { "2abc::", "KR" } } },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct kobold_input in;
        kobold_build *b = kobold_build_new();
        add(b, cases[i].name, cases[i].text, KOBOLD_LAYER_DATA, &in);
        if (in.format != cases[i].format || in.ranges != cases[i].ranges ||
            in.broken != cases[i].broken || in.unused != cases[i].unused ||
            in.unknown_codes != cases[i].unknown_codes || strcmp(in.date, cases[i].date) != 0) {
            fail_msg("%s: %s, %d ranges, %d broken, %d unused, %d codes, date %s", cases[i].name,
                     kobold_format_name(in.format), (int)in.ranges, (int)in.broken, (int)in.unused,
                     (int)in.unknown_codes, in.date);
        }
        struct made m = finish(b);
        for (size_t j = 0; j < 3 && cases[i].asks[j][0] != NULL; j++) {
            expect(m.k, cases[i].asks[j][0], cases[i].asks[j][1]);
        }
        unmake(&m);
        kobold_build_free(b);
    }
}

static void
a_broken_line_is_counted_said_and_skipped(void **state)
{
    (void)state;
    static const struct {
        const char *name, *bad;
        enum kobold_format format;
    } cases[] = {
        { "too few fields", "apnic|AU|ipv4|1.0.0.0|256|2011\n", KOBOLD_FORMAT_RIR },
        { "no type", "apnic|AU|ipv5|1.0.0.0|256|2011|allocated\n", KOBOLD_FORMAT_RIR },
        { "bad start", "apnic|AU|ipv4|1.0.0|256|2011|allocated\n", KOBOLD_FORMAT_RIR },
        { "IPv6 start of ipv4", "apnic|AU|ipv4|2001::|256|2011|allocated\n", KOBOLD_FORMAT_RIR },
        { "no addresses", "apnic|AU|ipv4|1.0.0.0|0|2011|allocated\n", KOBOLD_FORMAT_RIR },
        { "past the end", "apnic|AU|ipv4|255.255.255.0|257|2011|allocated\n", KOBOLD_FORMAT_RIR },
        { "prefix too long", "apnic|AU|ipv6|2001::|129|2011|allocated\n", KOBOLD_FORMAT_RIR },
        { "bits beyond", "apnic|AU|ipv6|2001:200::|16|2011|allocated\n", KOBOLD_FORMAT_RIR },
        { "no country", "apnic||ipv4|1.0.0.0|256|2011|allocated\n", KOBOLD_FORMAT_RIR },
        { "end before start", "1.0.0.9,1.0.0.1,AU\n", KOBOLD_FORMAT_RANGE },
        { "two families", "1.0.0.9,2001::,AU\n", KOBOLD_FORMAT_RANGE },
        { "no address", "1.0.0.256,1.0.1.0,AU\n", KOBOLD_FORMAT_RANGE },
        { "two fields", "1.0.0.9,1.0.0.10\n", KOBOLD_FORMAT_RANGE },
        { "long code", "1.0.0.9,1.0.0.10,AUS\n", KOBOLD_FORMAT_RANGE },
        { "number too large",
          "340282366920938463463374607431768211456,340282366920938463463374607431768211457,AU\n",
          KOBOLD_FORMAT_RANGE },
        { "prefix length", "1.0.0.0/33,AU\n", KOBOLD_FORMAT_PREFIX },
        { "negative", "1.0.0.0/-1,AU\n", KOBOLD_FORMAT_PREFIX },
        { "empty length", "1.0.0.0/,AU\n", KOBOLD_FORMAT_PREFIX },
        { "host bits", "1.0.0.1/24,AU\n", KOBOLD_FORMAT_PREFIX },
        { "IPv6 length", "2001::/129,AU\n", KOBOLD_FORMAT_PREFIX },
        { "digits for a country", "1.0.0.0/24,12\n", KOBOLD_FORMAT_PREFIX },
        { "one field", "AD\n", KOBOLD_FORMAT_LIST },
        { "code of a list", "ADX\t46.0.0.0/8\n", KOBOLD_FORMAT_LIST },
    };
    static const char *const good[] = {
        [KOBOLD_FORMAT_RIR] = "apnic|JP|ipv4|9.0.0.0|256|20110811|assigned\n",
        [KOBOLD_FORMAT_RANGE] = "9.0.0.0,9.0.0.255,JP\n",
        [KOBOLD_FORMAT_PREFIX] = "9.0.0.0/24,JP\n",
        [KOBOLD_FORMAT_LIST] = "JP\t9.0.0.0/24\n",
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        char text[512];
        struct notices notices = { 0 };
        struct kobold_input in;
        kobold_build *b = kobold_build_new();
        kobold_build_on_notice(b, note, &notices);
        snprintf(text, sizeof text, "%s%s", good[cases[i].format], cases[i].bad);
        add(b, cases[i].name, text, KOBOLD_LAYER_DATA, &in);
        if (in.ranges != 1 || in.broken != 1 || notices.count != 1 || notices.first_line != 2 ||
            notices.last.text[BH_JA][0] == '\0') {
            fail_msg("%s: %d ranges, %d broken, %u said, line %u", cases[i].name, (int)in.ranges,
                     (int)in.broken, notices.count, (unsigned)notices.first_line);
        }
        kobold_build_free(b);
    }
}

static void
only_the_first_few_are_said(void **state)
{
    (void)state;
    struct notices notices = { 0 };
    struct bh_buf text = { 0 };
    struct kobold_input in;
    bh_buf_puts(&text, "9.0.0.0/24,JP\n");
    for (int i = 0; i < 1000; i++) {
        bh_buf_puts(&text, "9.0.0.0/24,nonsense\n");
    }
    kobold_build *b = kobold_build_new();
    kobold_build_on_notice(b, note, &notices);
    add(b, "many", text.data, KOBOLD_LAYER_DATA, &in);
    assert_int_equal(in.broken, 1000);
    assert_in_range(notices.count, 1, 10);
    kobold_build_free(b);
    bh_buf_done(&text);
}

static void
an_input_without_a_good_line_is_an_error(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "\n\n",
        "# only a comment\n",
        "root:x:0:0:root:/root:/bin/sh\n",
        "<html>\n",
        "1.0.0.0,1.0.0.255,Australia\n",
        "1.0.0.0/24,-\n",
        "a,b,c\n1,2\n",
        "|||||||\n",
    };
    for (size_t i = 0; i < BH_COUNT(texts); i++) {
        struct bh_error err;
        struct kobold_input in;
        kobold_build *b = kobold_build_new();
        int r = kobold_build_add(b, "bad", texts[i], strlen(texts[i]), KOBOLD_FORMAT_AUTO,
                                 KOBOLD_LAYER_DATA, &in, &err);
        if (r >= 0) {
            fail_msg("case %d was taken", (int)i);
        }
        assert_string_equal(err.where, "bad");
        assert_int_not_equal(err.text[BH_EN][0], '\0');
        assert_int_not_equal(err.text[BH_JA][0], '\0');
        kobold_build_free(b);
    }
}

static void
formats_have_names(void **state)
{
    (void)state;
    for (int f = KOBOLD_FORMAT_AUTO; f <= KOBOLD_FORMAT_LIST; f++) {
        assert_int_equal(kobold_format_of_name(kobold_format_name((enum kobold_format)f)), f);
    }
    assert_int_equal(kobold_format_of_name("xml"), BH_EUNKNOWN);
}

/* ---- ranges over ranges ------------------------------------------------------------------------------ */

static void
the_innermost_range_wins(void **state)
{
    (void)state;
    /* Nested twice, the outer goes on after; partial overlap: the later start; lines in any order. */
    struct made m = make("1.0.4.0,1.0.4.15,FR\n"
                         "1.0.0.0,1.0.255.255,US\n"
                         "1.0.2.0,1.0.7.255,JP\n"
                         "1.0.4.4,1.0.4.7,DE\n"
                         "1.0.100.0,1.0.100.99,GB\n"
                         "1.0.100.50,1.0.100.149,IT\n"
                         "1.0.255.255,1.0.255.255,ES\n"
                         "1.0.0.0,1.0.0.0,PT\n"
                         "2400::,2400:ffff:ffff:ffff:ffff:ffff:ffff:ffff,US\n"
                         "2400::8,2400::f,JP\n"
                         "2400::9,2400::9,DE\n"
                         "2400:0:0:0:ffff:ffff:ffff:ffff,2400:0:0:2::,FR\n");
    static const char *const cases[][2] = {
        { "1.0.0.0", "PT" },
        { "1.0.0.1", "US" },
        { "1.0.1.255", "US" },
        { "1.0.2.0", "JP" },
        { "1.0.3.255", "JP" },
        { "1.0.4.0", "FR" },
        { "1.0.4.3", "FR" },
        { "1.0.4.4", "DE" },
        { "1.0.4.7", "DE" },
        { "1.0.4.8", "FR" },
        { "1.0.4.15", "FR" },
        { "1.0.4.16", "JP" },
        { "1.0.7.255", "JP" },
        { "1.0.8.0", "US" },
        { "1.0.99.255", "US" },
        { "1.0.100.0", "GB" },
        { "1.0.100.49", "GB" },
        { "1.0.100.50", "IT" },
        { "1.0.100.99", "IT" },
        { "1.0.100.149", "IT" },
        { "1.0.100.150", "US" },
        { "1.0.255.254", "US" },
        { "1.0.255.255", "ES" },
        { "1.1.0.0", "unallocated" },
        { "0.255.255.255", "this-network" },
        { "2400::7", "US" },
        { "2400::8", "JP" },
        { "2400::9", "DE" },
        { "2400::a", "JP" },
        { "2400::f", "JP" },
        { "2400::10", "US" },
        { "2400::ffff:ffff:ffff:fffe", "US" },
        { "2400::ffff:ffff:ffff:ffff", "FR" },
        { "2400:0:0:1::", "FR" },
        { "2400:0:0:1:ffff:ffff:ffff:ffff", "FR" },
        { "2400:0:0:2::", "FR" },
        { "2400:0:0:2::1", "US" },
        { "2400:0:0:3::", "US" },
        { "2401::", "unallocated" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        expect(m.k, cases[i][0], cases[i][1]);
    }
    unmake(&m);
}

/* The last address of a prefix, and the one behind it. */
static void
prefixes_of_every_length(void **state)
{
    (void)state;
    for (unsigned len = 8; len <= 128; len++) {
        char text[80];
        snprintf(text, sizeof text, "2400::/%u,JP\n24.0.0.0/%u,US\n", len, len <= 32 ? len : 32);
        struct made m = make(text);
        uint64_t hi = 0x2400000000000000U | (len >= 64 ? 0 : UINT64_MAX >> len);
        uint64_t lo = len <= 64 ? UINT64_MAX : len == 128 ? 0 : UINT64_MAX >> (len - 64);
        struct bh_ip last = bh_ip_from_v6(hi, lo);
        struct bh_ip next = bh_ip_from_v6(hi + (lo == UINT64_MAX), lo + 1);
        assert_string_equal(label_of(m.k, &last), "JP");
        assert_string_equal(label_of(m.k, &next), "unallocated");
        uint32_t end = 0x18000000U | (len >= 32 ? 0 : UINT32_MAX >> len);
        last = bh_ip_from_v4(end);
        next = bh_ip_from_v4(end + 1);
        assert_string_equal(label_of(m.k, &last), "US");
        assert_string_equal(label_of(m.k, &next), "unallocated");
        unmake(&m);
    }
}

/* Overlaps of every kind, against the plain rule applied address by address. */
static void
random_overlaps_equal_the_plain_rule(void **state)
{
    (void)state;
    enum { SPACE = 1024, RANGES = 40 };
    static const char *const codes[] = { "US", "JP", "DE", "FR", "IT" };
    uint32_t seed = 12345;
    for (int round = 0; round < 200; round++) {
        struct {
            unsigned start, end, code;
        } r[RANGES];
        struct bh_buf text = { 0 };
        for (int i = 0; i < RANGES; i++) {
            seed = seed * 1103515245 + 12345;
            unsigned a = seed >> 8 & (SPACE - 1);
            seed = seed * 1103515245 + 12345;
            unsigned span = seed >> 8 & (i % 4 == 0 ? SPACE - 1 : 31);
            unsigned e = a + span < SPACE ? a + span : SPACE - 1;
            r[i].start = a;
            r[i].end = e;
            r[i].code = seed >> 24 & 3;
            bh_buf_printf(&text, "%u,%u,%s\n", 0x08080000 + a, 0x08080000 + e, codes[r[i].code]);
        }
        struct made m = make(text.data);
        for (unsigned a = 0; a < SPACE; a++) {
            /* The rule: of the ranges around an address the one that starts last; of these the
             * shortest; of equal ones the last line. */
            int best = -1;
            for (int i = 0; i < RANGES; i++) {
                if (r[i].start > a || r[i].end < a) {
                    continue;
                }
                if (best < 0 || r[i].start > r[best].start ||
                    (r[i].start == r[best].start && r[i].end <= r[best].end)) {
                    best = i;
                }
            }
            struct bh_ip ip = bh_ip_from_v4(0x08080000 + a);
            assert_string_equal(label_of(m.k, &ip), best < 0 ? "unallocated" : codes[r[best].code]);
        }
        unmake(&m);
        bh_buf_done(&text);
    }
}

static void
equal_ranges_are_said(void **state)
{
    (void)state;
    struct notices notices = { 0 };
    kobold_build *b = kobold_build_new();
    kobold_build_on_notice(b, note, &notices);
    add(b, "twice", "1.0.0.0/24,US\n1.0.0.0/24,JP\n1.0.1.0/24,DE\n1.0.1.0/24,DE\n",
        KOBOLD_LAYER_DATA, NULL);
    struct made m = finish(b);
    assert_int_equal(notices.count, 1);
    expect(m.k, "1.0.0.1", "JP");
    unmake(&m);
    kobold_build_free(b);
}

/* ---- sources over sources ------------------------------------------------------------------------------ */

static void
order_of_attribution(void **state)
{
    (void)state;
    kobold_build *b = kobold_build_new();
    /* Given in the wrong order on purpose: layers and dates decide, not places. */
    add(b, "mine", "1.0.0.0/26,XA\n10.0.0.0/8,XA\n", KOBOLD_LAYER_OVERRIDE, NULL);
    add(b, "feed", "1.0.0.0/25,FR,,,\n1.0.1.0/24,,,,\n", KOBOLD_LAYER_GEOFEED, NULL);
    add(b, "new",
        "2|ripencc|20200101|1|0|20200101|+0\nripencc|DE|ipv4|1.0.0.0|1024|20200101|allocated\n",
        KOBOLD_LAYER_DATA, NULL);
    add(b, "old",
        "2|apnic|20190101|1|0|20190101|+0\napnic|JP|ipv4|1.0.0.0|2048|20190101|allocated\n"
        "apnic|JP|ipv6|2400::|32|20190101|allocated\n",
        KOBOLD_LAYER_DATA, NULL);
    add(b, "same day",
        "2|arin|20200101|1|0|20200101|+0\narin|US|ipv4|1.0.2.0|256|20200101|allocated\n"
        "arin|US|ipv6|2400::|48|20190101|allocated\n",
        KOBOLD_LAYER_DATA, NULL);
    struct made m = finish(b);
    expect(m.k, "1.0.0.0", "XA");
    expect(m.k, "1.0.0.64", "FR");
    expect(m.k, "1.0.0.128", "DE");
    expect(m.k, "1.0.1.0", "ZZ");
    expect(m.k, "1.0.2.0", "US");
    expect(m.k, "1.0.3.0", "DE");
    expect(m.k, "1.0.4.0", "JP");
    expect(m.k, "10.1.1.1", "private-use");
    expect(m.k, "2400::1", "US");
    expect(m.k, "2400:0:1::1", "JP");

    static const struct {
        const char *winner, *loser;
        uint64_t v4, v6;
    } want[] = {
        { "new", "old", 1024, 0 }, { "same day", "old", 0, 65536 }, { "same day", "new", 256, 0 },
        { "feed", "new", 384, 0 }, { "mine", "feed", 64, 0 },
    };
    struct kobold_conflict c;
    size_t count = 0;
    for (size_t i = 0; kobold_build_conflict(b, i, &c); i++, count++) {
        bool is_found = false;
        for (size_t j = 0; j < BH_COUNT(want); j++) {
            is_found |= strcmp(c.winner, want[j].winner) == 0 &&
                        strcmp(c.loser, want[j].loser) == 0 && c.v4_addresses == want[j].v4 &&
                        c.v6_subnets == want[j].v6;
        }
        if (!is_found) {
            fail_msg("%s over %s: %d, %d", c.winner, c.loser, (int)c.v4_addresses,
                     (int)c.v6_subnets);
        }
    }
    assert_int_equal(count, BH_COUNT(want));
    struct kobold_meta meta;
    kobold_get_meta(m.k, &meta);
    assert_string_equal(meta.date, "2020-01-01");
    unmake(&m);
    kobold_build_free(b);
}

static void
other_files_win_by_place(void **state)
{
    (void)state;
    kobold_build *b = kobold_build_new();
    add(b, "a.csv", "1.0.0.0/24,US\n1.0.1.0/24,US\n", KOBOLD_LAYER_DATA, NULL);
    add(b, "b.csv", "1.0.1.0/24,JP\n", KOBOLD_LAYER_DATA, NULL);
    struct made m = finish(b);
    expect(m.k, "1.0.0.1", "US");
    expect(m.k, "1.0.1.1", "JP");
    unmake(&m);
    kobold_build_free(b);
}

/* All addresses in one run are not the same as none. */
static void
an_input_about_everything(void **state)
{
    (void)state;
    kobold_build *b = kobold_build_new();
    assert_non_null(b);
    add(b, "all", "0.0.0.0/0,FR\n2000::/3,FR\n", KOBOLD_LAYER_DATA, NULL);
    add(b, "some", "1.0.0.0/8,US\n", KOBOLD_LAYER_OVERRIDE, NULL);
    struct made m = finish(b);
    struct bh_ip ip = ip_of("9.9.9.9");
    assert_string_equal(label_of(m.k, &ip), "FR");
    ip = ip_of("1.9.9.9");
    assert_string_equal(label_of(m.k, &ip), "US");
    kobold_build_free(b);
    unmake(&m);
}

static void
metadata_and_sameness(void **state)
{
    (void)state;
    static const char text[] = "# Generated: Thu, 25 Jun 2026 04:33:59 GMT\n# Vendor:    Somebody\n"
                               "# License:   CC BY-SA 4.0\n1.0.0.0,1.0.0.255,AU\n";
    struct made made[3];
    struct kobold_meta meta[3];
    for (int i = 0; i < 3; i++) {
        kobold_build *b = kobold_build_new();
        add(b, "/some/where/geoip", text, KOBOLD_LAYER_DATA, NULL);
        assert_string_equal(kobold_build_date(b), "2026-06-25");
        if (i == 2) {
            kobold_build_set_meta(b, "name", "2001-02-03", "licence", "source");
        }
        made[i] = finish(b);
        kobold_get_meta(made[i].k, &meta[i]);
        kobold_build_free(b);
    }
    assert_int_equal(made[0].size, made[1].size);
    assert_memory_equal(made[0].data, made[1].data, made[0].size);
    assert_true(meta[0].id == meta[1].id);
    assert_true(meta[0].id != meta[2].id);
    assert_string_equal(meta[0].name, "Somebody");
    assert_string_equal(meta[0].date, "2026-06-25");
    assert_string_equal(meta[0].licence, "CC BY-SA 4.0");
    assert_string_equal(meta[0].source, "geoip");
    assert_int_equal(meta[0].v4_ranges, 1);
    assert_int_equal(meta[0].v6_ranges, 0);
    assert_string_equal(meta[2].name, "name");
    assert_string_equal(meta[2].date, "2001-02-03");
    assert_string_equal(meta[2].licence, "licence");
    assert_string_equal(meta[2].source, "source");
    for (int i = 0; i < 3; i++) {
        unmake(&made[i]);
    }
}

/* Every /24 divided in its own way, and every /16: the largest IPv4 table there can be. */
static void
a_full_ipv4_table(void **state)
{
    (void)state;
    struct bh_buf text = { 0 };
    for (unsigned i = 0; i < 65536; i++) {
        bh_buf_printf(&text, "%u,%u,%s\n", (i << 16) + 7, (i << 16) + 300 + (i & 255),
                      (i & 1) != 0 ? "US" : "JP");
    }
    struct made m = make(text.data);
    for (unsigned i = 0x2000; i < 0x3000; i++) {
        uint32_t first = i << 16;
        uint16_t value = kobold_v4(m.k, first + 7);
        assert_int_equal(kobold_v4(m.k, first + 6), KOBOLD_VALUE_UNALLOCATED);
        assert_int_equal(kobold_v4(m.k, first + 300 + (i & 255)), value);
        assert_int_equal(kobold_v4(m.k, first + 301 + (i & 255)), KOBOLD_VALUE_UNALLOCATED);
        assert_int_not_equal(value, kobold_v4(m.k, first + 65543));
    }
    unmake(&m);
    bh_buf_done(&text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format_is_recognised_and_read),
        cmocka_unit_test(a_broken_line_is_counted_said_and_skipped),
        cmocka_unit_test(only_the_first_few_are_said),
        cmocka_unit_test(an_input_without_a_good_line_is_an_error),
        cmocka_unit_test(formats_have_names),
        cmocka_unit_test(the_innermost_range_wins),
        cmocka_unit_test(prefixes_of_every_length),
        cmocka_unit_test(random_overlaps_equal_the_plain_rule),
        cmocka_unit_test(equal_ranges_are_said),
        cmocka_unit_test(order_of_attribution),
        cmocka_unit_test(other_files_win_by_place),
        cmocka_unit_test(an_input_about_everything),
        cmocka_unit_test(metadata_and_sameness),
        cmocka_unit_test(a_full_ipv4_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
