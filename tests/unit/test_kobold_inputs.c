/* SPDX-License-Identifier: BSD-2-Clause */
/* What the inputs said: which line decided, what it overrode, second opinions. */
#include "test_kobold_util.h"

static void
add(kobold_build *b, const char *name, const char *text, enum kobold_layer layer)
{
    struct bh_error err;
    if (kobold_build_add(b, name, text, strlen(text), KOBOLD_FORMAT_AUTO, layer, NULL, &err) < 0) {
        fail_msg("%s: %s", name, err.text[BH_EN]);
    }
}

static const char registry[] = "2.3|apnic|20220101|5|19850701|20220101|+1000\n"
                               "apnic|*|ipv4|*|3|summary\n"
                               "apnic|AU|ipv4|1.0.0.0|256|20110811|assigned|A1\n"
                               "apnic|CN|ipv4|1.0.1.0|768|19990229|allocated|A2\n"
                               "apnic||ipv4|1.0.4.0|1024||reserved|\n"
                               "apnic|ZZ|ipv6|2400::|32||available|\n"
                               "apnic|JP|ipv6|2001:200::|35|19990813|allocated|A3\n";
static const char feed[] = "# a geofeed\n1.0.0.0/25,NZ,,,\n";
static const char mine[] = "1.0.0.0/26,FJ\n192.168.0.0/16,US\n";
static const char second[] = "1.0.0.0,1.255.255.255,US\n2001:200::,2001:200:ffff::,KR\n";

static struct made
layered(enum kobold_details details)
{
    kobold_build *b = kobold_build_new();
    assert_non_null(b);
    kobold_build_set_details(b, details);
    add(b, "other.csv", second, KOBOLD_LAYER_SECOND); /* the order given does not matter */
    add(b, "mine.csv", mine, KOBOLD_LAYER_OVERRIDE);
    add(b, "feed.csv", feed, KOBOLD_LAYER_GEOFEED);
    add(b, "delegated", registry, KOBOLD_LAYER_DATA);
    struct made m = finish(b);
    kobold_build_free(b);
    return m;
}

/* "mine.csv:1=FJ! feed.csv:2=NZ delegated:3=AU/apnic/assigned/20110811 other.csv:1=US" */
static const char *
told(const kobold *k, const char *address)
{
    static char text[512];
    struct kobold_opinion o[8];
    struct bh_ip ip = ip_of(address);
    size_t n = kobold_opinions(k, ip.octets, ip.family, o, BH_COUNT(o));
    size_t at = 0;
    text[0] = '\0';
    assert_true(n <= BH_COUNT(o));
    for (size_t i = 0; i < n; i++) {
        struct kobold_input_info in;
        struct kobold_value v;
        assert_true(kobold_input_info(k, o[i].input, &in));
        assert_true(kobold_value_info(k, o[i].value, &v));
        assert_int_equal(in.layer, o[i].layer);
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%s:%u=%s%s", i > 0 ? " " : "",
                               in.name, o[i].line, v.code, o[i].has_decided ? "!" : "");
        if (o[i].registry != 0) {
            at += (size_t)snprintf(text + at, sizeof text - at, "/%s/%s/%u",
                                   kobold_registry_name(o[i].registry),
                                   kobold_status_name(o[i].status), o[i].date);
        }
    }
    return text;
}

static void
who_decided_and_who_was_overridden(void **state)
{
    (void)state;
    static const struct {
        const char *address, *told;
    } cases[] = {
        { "1.0.0.0", "mine.csv:1=FJ! feed.csv:2=NZ delegated:3=AU/apnic/assigned/20110811 "
                     "other.csv:1=US" },
        { "1.0.0.63", "mine.csv:1=FJ! feed.csv:2=NZ delegated:3=AU/apnic/assigned/20110811 "
                      "other.csv:1=US" },
        { "1.0.0.64", "feed.csv:2=NZ! delegated:3=AU/apnic/assigned/20110811 other.csv:1=US" },
        { "1.0.0.128", "delegated:3=AU!/apnic/assigned/20110811 other.csv:1=US" },
        { "1.0.1.0", "delegated:4=CN!/apnic/allocated/19990301 other.csv:1=US" },
        { "1.0.3.255", "delegated:4=CN!/apnic/allocated/19990301 other.csv:1=US" },
        /* Listed, but without a country. */
        { "1.0.4.0", "delegated:5=/apnic/reserved/0 other.csv:1=US" },
        { "1.0.8.0", "other.csv:1=US" },
        { "0.255.255.255", "" },
        { "2.0.0.0", "" },
        { "::ffff:1.0.0.200", "delegated:3=AU!/apnic/assigned/20110811 other.csv:1=US" },
        { "2002:100:40::", "feed.csv:2=NZ! delegated:3=AU/apnic/assigned/20110811 other.csv:1=US" },
        { "2001:200::", "delegated:7=JP!/apnic/allocated/19990813 other.csv:2=KR" },
        { "2001:200:1fff:ffff:ffff:ffff:ffff:ffff",
          "delegated:7=JP!/apnic/allocated/19990813 other.csv:2=KR" },
        { "2001:200:2000::", "other.csv:2=KR" },
        { "2001:200:ffff::1", "" },
        { "2400::1", "delegated:6=/apnic/available/0" },
        /* Special use wins over an override, which is told all the same. */
        { "192.168.1.1", "mine.csv:2=US" },
    };
    struct made m = layered(KOBOLD_DETAILS_AUTO);
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        const char *got = told(m.k, cases[i].address);
        /* Day 29 of a February without one is taken as the day after the 28th. */
        if (strcmp(got, cases[i].told) != 0) {
            fail_msg("%s: \"%s\", not \"%s\"", cases[i].address, got, cases[i].told);
        }
    }
    struct bh_ip ip = ip_of("1.0.0.0");
    struct kobold_opinion one;
    assert_int_equal(kobold_opinions(m.k, ip.octets, 4, &one, 1), 4);
    assert_true(one.has_decided);
    assert_int_equal(kobold_opinions(m.k, ip.octets, 4, NULL, 0), 4);
    assert_int_equal(kobold_opinions(m.k, ip.octets, 5, &one, 1), 0);
    assert_int_equal(kobold_input_count(m.k), 4);
    struct kobold_input_info in;
    assert_true(kobold_input_info(m.k, 0, &in));
    assert_string_equal(in.name, "delegated");
    assert_string_equal(in.format, "rir");
    assert_string_equal(in.date, "2022-01-01");
    assert_false(kobold_input_info(m.k, 4, &in));
    unmake(&m);
}

/* IANA gives out nothing outside of 2000::/3, whatever an input says. */
static void
nobody_decides_what_is_not_given_out(void **state)
{
    (void)state;
    kobold_build *b = kobold_build_new();
    assert_non_null(b);
    kobold_build_set_details(b, KOBOLD_DETAILS_YES);
    add(b, "all", "::/0,KR\n0.0.0.0/0,JP\n", KOBOLD_LAYER_DATA);
    struct made m = finish(b);
    kobold_build_free(b);
    assert_string_equal(told(m.k, "4000::1"), "all:1=KR");
    assert_string_equal(told(m.k, "2a00::1"), "all:1=KR!");
    assert_string_equal(told(m.k, "1.0.0.1"), "all:2=JP!");
    assert_string_equal(told(m.k, "127.0.0.1"), "all:2=JP");
    unmake(&m);
}

static void
a_second_opinion_stays_without_details(void **state)
{
    (void)state;
    struct made m = layered(KOBOLD_DETAILS_NO);
    struct bh_ip ip = ip_of("1.0.0.0");
    struct kobold_value v;
    assert_string_equal(told(m.k, "1.0.0.0"), "other.csv:1=US");
    assert_true(kobold_value_info(m.k, kobold_second(m.k, ip.octets, 4), &v));
    assert_string_equal(v.code, "US");
    ip = ip_of("9.9.9.9");
    assert_int_equal(kobold_second(m.k, ip.octets, 4), KOBOLD_VALUE_UNKNOWN);
    ip = ip_of("1.0.0.0");
    assert_string_equal(label_of(m.k, &ip), "FJ");
    /* It names neither the data nor its date. */
    struct kobold_meta meta;
    kobold_get_meta(m.k, &meta);
    assert_string_equal(meta.date, "2022-01-01");
    assert_null(strstr(meta.source, "other.csv"));
    unmake(&m);
}

static void
when_details_are_kept(void **state)
{
    (void)state;
    static const char v4[] = "1.0.0.0,1.0.0.255,US\n";
    static const char v6[] = "2400::,2400::ff,JP\n";
    static const struct {
        const char *texts[2];
        enum kobold_layer layers[2];
        enum kobold_details details;
        unsigned inputs;
    } cases[] = {
        { { v4, v6 }, { 0, 0 }, KOBOLD_DETAILS_AUTO, 0 }, /* nothing to tell       */
        { { v4, v6 }, { 0, 0 }, KOBOLD_DETAILS_YES, 2 },
        { { v4, v4 }, { 0, 0 }, KOBOLD_DETAILS_AUTO, 2 }, /* the same addresses    */
        { { v4, v4 }, { 0, 0 }, KOBOLD_DETAILS_NO, 0 },
        { { v4, v6 }, { 0, KOBOLD_LAYER_OVERRIDE }, KOBOLD_DETAILS_AUTO, 2 },
        { { v4, feed }, { 0, KOBOLD_LAYER_GEOFEED }, KOBOLD_DETAILS_AUTO, 2 },
        { { v4, v6 }, { 0, KOBOLD_LAYER_SECOND }, KOBOLD_DETAILS_AUTO, 2 },
        { { registry, v6 }, { 0, 0 }, KOBOLD_DETAILS_AUTO, 2 }, /* has more to tell      */
        { { registry, v6 }, { 0, 0 }, KOBOLD_DETAILS_NO, 0 },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        kobold_build *b = kobold_build_new();
        assert_non_null(b);
        kobold_build_set_details(b, cases[i].details);
        add(b, "a", cases[i].texts[0], cases[i].layers[0]);
        add(b, "b", cases[i].texts[1], cases[i].layers[1]);
        struct made m = finish(b);
        if (kobold_input_count(m.k) != cases[i].inputs) {
            fail_msg("case %zu: %u inputs", i, kobold_input_count(m.k));
        }
        kobold_build_free(b);
        unmake(&m);
    }
}

/* Around the ends of a block of 64 runs, against the lines themselves. */
static void
lines_of_many_runs(void **state)
{
    (void)state;
    static const unsigned counts[] = { 1, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000 };
    for (size_t c = 0; c < BH_COUNT(counts); c++) {
        struct bh_buf text = { 0 };
        for (unsigned i = 0; i < counts[c]; i++) {
            /* A line left out now and then, a gap after every third range. */
            bh_buf_puts(&text, i % 5 == 4 ? "\n" : "");
            bh_buf_printf(&text, "%u,%u,%s\n", 0x0b000000U + i * 256 + (i % 3 == 2 ? 7 : 0),
                          0x0b0000ffU + i * 256, i % 2 == 0 ? "US" : "JP");
        }
        kobold_build *b = kobold_build_new();
        assert_non_null(b);
        kobold_build_set_details(b, KOBOLD_DETAILS_YES);
        add(b, "t", text.data, KOBOLD_LAYER_DATA);
        struct made m = finish(b);
        kobold_build_free(b);
        bh_buf_done(&text);
        for (uint32_t a = 0x0b000000U; a < 0x0b000000U + counts[c] * 256; a += 1 + (a & 3)) {
            unsigned i = (a >> 8) & 0xffff;
            bool is_gap = i % 3 == 2 && (a & 255) < 7;
            struct bh_ip ip = bh_ip_from_v4(a);
            struct kobold_opinion o;
            size_t n = kobold_opinions(m.k, ip.octets, 4, &o, 1);
            if (n != !is_gap || (n == 1 && (o.line != i + 1 + (i + 1) / 5 || !o.has_decided))) {
                fail_msg("%u ranges, %08x: %zu, line %u", counts[c], a, n, n == 1 ? o.line : 0);
            }
        }
        unmake(&m);
    }
}

/* The section is looked at when somebody asks, and nothing has checked it before. */
static void
damage_is_survived(void **state)
{
    (void)state;
    struct made m = layered(KOBOLD_DETAILS_AUTO);
    size_t at = (size_t)(m.k->inputs.data - m.k->data);
    size_t size = m.k->inputs.size;
    static const uint8_t turns[] = { 0x01, 0x80, 0xff };
    uint8_t *file = malloc(m.size);
    assert_non_null(file);
    for (size_t i = 0; i < size; i++) {
        for (size_t t = 0; t < BH_COUNT(turns); t++) {
            kobold *k;
            memcpy(file, m.data, m.size);
            file[at + i] ^= turns[t];
            assert_int_equal(kobold_open_memory_flags(file, m.size, KOBOLD_OPEN_ANY_SUM, &k), 0);
            static const char *const addresses[] = { "1.0.0.0", "1.0.4.0", "2001:200::", "::" };
            for (size_t a = 0; a < BH_COUNT(addresses); a++) {
                struct bh_ip ip = ip_of(addresses[a]);
                struct kobold_opinion o[4];
                size_t n = kobold_opinions(k, ip.octets, ip.family, o, 4);
                for (size_t j = 0; j < n && j < 4; j++) {
                    assert_true(o[j].value < kobold_value_count(k));
                }
            }
            kobold_close(k);
        }
    }
    free(file);
    unmake(&m);
}

static void
numbers_have_names(void **state)
{
    (void)state;
    assert_string_equal(kobold_registry_name(KOBOLD_REGISTRY_RIPENCC), "ripencc");
    assert_string_equal(kobold_registry_name(0), "");
    assert_string_equal(kobold_registry_name(8), "");
    assert_string_equal(kobold_registry_name(-1), "");
    assert_string_equal(kobold_status_name(KOBOLD_STATUS_DELEGATED), "delegated");
    assert_string_equal(kobold_status_name(6), "legacy");
    assert_string_equal(kobold_status_name(7), "");
    assert_string_equal(kobold_layer_name(KOBOLD_LAYER_SECOND), "second");
    assert_string_equal(kobold_layer_name(4), "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_decided_and_who_was_overridden),
        cmocka_unit_test(nobody_decides_what_is_not_given_out),
        cmocka_unit_test(a_second_opinion_stays_without_details),
        cmocka_unit_test(when_details_are_kept),
        cmocka_unit_test(lines_of_many_runs),
        cmocka_unit_test(damage_is_survived),
        cmocka_unit_test(numbers_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
