/* SPDX-License-Identifier: BSD-2-Clause */
/* AS tables: reading them, and from an address to its system. */
#include "test_kobold_util.h"

#define COUNTRY "1.0.0.0/8,US\n"

static struct made
with_as(const char *table, struct kobold_input *ret)
{
    struct bh_error err;
    kobold_build *b = kobold_build_new();
    assert_non_null(b);
    assert_int_equal(kobold_build_add(b, "c", COUNTRY, strlen(COUNTRY), KOBOLD_FORMAT_AUTO,
                                      KOBOLD_LAYER_DATA, NULL, &err),
                     0);
    if (kobold_build_add_as(b, "dir/as.csv", table, strlen(table), ret, &err) < 0) {
        fail_msg("%s", err.text[BH_EN]);
    }
    struct made m = finish(b);
    kobold_build_free(b);
    return m;
}

static uint32_t
as_of(const kobold *k, const char *address)
{
    struct bh_ip ip = ip_of(address);
    uint32_t one = kobold_as(k, ip.octets, ip.family);
    uint32_t other = ip.family == 4
                         ? kobold_as_v4(k, bh_get_be32(ip.octets))
                         : kobold_as_v6(k, bh_get_be64(ip.octets), bh_get_be64(ip.octets + 8));
    assert_int_equal(one, other);
    return one;
}

static void
forms_of_tables(void **state)
{
    (void)state;
    static const struct {
        const char *table;
        unsigned ranges, broken, unused;
        const char *name; /* of 64500, which has 9.9.0.0 - 9.9.0.255 and 2a00:9:: */
    } cases[] = {
        { "9.9.0.0,9.9.0.255,64500,Example\n2a00:9::,2a00:9::ffff,64500,Other\n", 2, 0, 0,
          "Example" },
        { "start,end,asn,name\n151584768,151585023,AS64500,\"Example, \"\"the\"\" Inc.\"\r\n"
          "55827576536019929290338934873670025216,55827576536019929290338934873670090751,as64500,\n",
          2, 0, 0, "Example, \"the\" Inc." },
        { "9.9.0.0/24,64500,Example\n2a00:9::/112,64500\n", 2, 0, 0, "Example" },
        { "# iptoasn\n9.9.0.0\t9.9.0.255\t64500\tUS\tEXAMPLE - An Example\n"
          "9.9.1.0\t9.9.1.255\t0\tNone\tNot routed\n2a00:9::\t2a00:9::ffff\t64500\tUS\t\n",
          2, 0, 1, "EXAMPLE - An Example" },
        { "\xef\xbb\xbf"
          "9.9.0.0,9.9.0.255,64500,\x01"
          "A\x7f\x1b"
          "B\nrubbish\n1.0.0.0,0.0.0.0,1,x\n"
          "1.0.0.0,1.0.0.1,4294967296,x\n1.0.0.0,::1,5,x\n1.0.0.0,1.0.0.1,ASx,y\n"
          "2a00:9::,2a00:9::ffff,64500,C\n",
          2, 5, 0, "AB" },
        { "9.9.0.0,9.9.0.255,64500\n2a00:9::,2a00:9::ffff,64500", 2, 0, 0, NULL },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct kobold_input in;
        char name[256] = "";
        struct made m = with_as(cases[i].table, &in);
        if (in.ranges != cases[i].ranges || in.broken != cases[i].broken ||
            in.unused != cases[i].unused) {
            fail_msg("case %zu: %u ranges, %u broken, %u unused", i, (unsigned)in.ranges,
                     (unsigned)in.broken, (unsigned)in.unused);
        }
        assert_int_equal(as_of(m.k, "9.9.0.0"), 64500);
        assert_int_equal(as_of(m.k, "9.9.0.255"), 64500);
        assert_int_equal(as_of(m.k, "9.9.1.0"), 0);
        assert_int_equal(as_of(m.k, "9.8.255.255"), 0);
        assert_int_equal(as_of(m.k, "2a00:9::"), 64500);
        assert_int_equal(as_of(m.k, "2a00:9::ffff"), 64500);
        assert_int_equal(as_of(m.k, "2a00:9::1:0"), 0);
        assert_int_equal(as_of(m.k, "2a00:8:ffff:ffff:ffff:ffff:ffff:ffff"), 0);
        assert_int_equal(as_of(m.k, "::ffff:9.9.0.7"), 64500);
        assert_int_equal(as_of(m.k, "2002:909:1::"), 64500);
        bool has_name = kobold_as_name(m.k, 64500, name, sizeof name);
        assert_int_equal(has_name, cases[i].name != NULL);
        assert_string_equal(name, cases[i].name != NULL ? cases[i].name : "");
        assert_false(kobold_as_name(m.k, 64499, name, sizeof name));
        assert_false(kobold_as_name(m.k, 64501, name, sizeof name));
        unmake(&m);
    }
}

static void
names_are_bounded(void **state)
{
    (void)state;
    struct bh_buf table = { 0 };
    bh_buf_puts(&table, "9.9.0.0/24,7,");
    for (int i = 0; i < 90; i++) {
        bh_buf_puts(&table, "\xe3\x81\x82"); /* 270 octets; 255 is in the middle of none, 254 is */
    }
    bh_buf_puts(&table, "\n9.9.1.0/24,8,0123456789\n");
    struct made m = with_as(table.data, NULL);
    char name[256];
    assert_true(kobold_as_name(m.k, 7, name, sizeof name));
    assert_int_equal(strlen(name), 255);
    assert_true(kobold_as_name(m.k, 7, name, 6)); /* no half of a character */
    assert_string_equal(name, "\xe3\x81\x82");
    assert_true(kobold_as_name(m.k, 8, name, 11));
    assert_string_equal(name, "0123456789");
    assert_true(kobold_as_name(m.k, 8, name, 10));
    assert_string_equal(name, "012345678");
    assert_false(kobold_as_name(m.k, 8, name, 0));
    unmake(&m);
    bh_buf_done(&table);
}

static void
without_tables_there_is_nothing(void **state)
{
    (void)state;
    struct made m = make(COUNTRY);
    struct kobold_as_meta meta;
    char name[256];
    assert_false(kobold_as_meta(m.k, &meta));
    assert_int_equal(as_of(m.k, "1.2.3.4"), 0);
    assert_int_equal(as_of(m.k, "2a00::"), 0);
    assert_false(kobold_as_name(m.k, 1, name, sizeof name));
    unmake(&m);

    m = with_as("9.9.0.0/24,7,x\n", NULL); /* one family only */
    assert_int_equal(as_of(m.k, "2a00::"), 0);
    assert_true(kobold_as_meta(m.k, &meta));
    assert_string_equal(meta.source, "as.csv");
    assert_int_equal(meta.systems, 1);
    assert_int_equal(meta.v4_runs, 3);
    assert_int_equal(meta.v6_runs, 0);
    unmake(&m);

    struct bh_error err;
    kobold_build *b = kobold_build_new();
    assert_non_null(b);
    assert_int_equal(kobold_build_add_as(b, "x", "hello\n", 6, NULL, &err), BH_EFORMAT);
    kobold_build_free(b);
}

/* Nested and touching ranges of both families, against the rule applied to every address in turn. */
static void
random_ranges_equal_the_plain_rule(void **state)
{
    (void)state;
    enum { SPACE = 4096, RANGES = 900 };
    static uint32_t plain[SPACE];
    static uint32_t width[SPACE];
    uint64_t seed = 7;
    struct bh_buf table = { 0 };
    for (unsigned i = 0; i < SPACE; i++) {
        plain[i] = 0;
        width[i] = UINT32_MAX;
    }
    for (unsigned i = 0; i < RANGES; i++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        unsigned len = 1U << (seed >> 60 & 7);
        unsigned start = (unsigned)(seed >> 33) % SPACE / len * len;
        unsigned number = 64500 + (unsigned)(seed >> 48) % 7;
        /* IPv4: at the border of two /16; IPv6: inside one /64 and across two. */
        bh_buf_printf(&table, "%u,%u,%u,\n", 0x09fff800U + start, 0x09fff800U + start + len - 1,
                      number);
        for (unsigned a = start; a < start + len; a++) {
            if (len <= width[a]) { /* aligned blocks: the innermost, then the last */
                plain[a] = number;
                width[a] = len;
            }
        }
        bool is_low = start < SPACE / 2;
        bh_buf_printf(&table, "2a00:0:0:%x::%x,2a00:0:0:%x::%x,%u,\n", is_low ? 1 : 2,
                      is_low ? start + 0xe000 : start, is_low ? 1 : 2,
                      (is_low ? start + 0xe000 : start) + len - 1, number);
    }
    struct made m = with_as(table.data, NULL);
    for (unsigned a = 0; a < SPACE; a++) {
        bool is_low = a < SPACE / 2;
        uint32_t v4 = kobold_as_v4(m.k, 0x09fff800U + a);
        uint32_t v6 = kobold_as_v6(m.k, 0x2a00000000000001U + !is_low, is_low ? a + 0xe000 : a);
        if (v4 != plain[a] || v6 != plain[a]) {
            fail_msg("%u: IPv4 %u, IPv6 %u, not %u", a, v4, v6, plain[a]);
        }
    }
    assert_int_equal(kobold_as_v6(m.k, 0x2a00000000000001U, 0), 0);
    assert_int_equal(kobold_as_v6(m.k, 0x2a00000000000000U, UINT64_MAX), 0);
    assert_int_equal(kobold_as_v6(m.k, 0x2a00000000000002U, UINT64_MAX), 0);
    unmake(&m);
    bh_buf_done(&table);
}

/* Around the ends of the 64 runs that a sample stands for. */
static void
many_ipv6_runs(void **state)
{
    (void)state;
    static const unsigned counts[] = { 1, 31, 32, 33, 63, 64, 65, 127, 128, 129, 4097 };
    for (size_t c = 0; c < BH_COUNT(counts); c++) {
        struct bh_buf table = { 0 };
        for (unsigned i = 0; i < counts[c]; i++) {
            bh_buf_printf(&table, "2a00:%x::,2a00:%x:ffff:ffff:ffff:ffff:ffff:ffff,%u,n\n", i * 2,
                          i * 2, i + 1);
        }
        struct made m = with_as(table.data, NULL);
        for (unsigned i = 0; i < counts[c]; i++) {
            uint64_t hi = 0x2a00000000000000U + ((uint64_t)i << 33);
            assert_int_equal(kobold_as_v6(m.k, hi, 0), i + 1);
            assert_int_equal(kobold_as_v6(m.k, hi + UINT32_MAX, UINT64_MAX), i + 1);
            assert_int_equal(kobold_as_v6(m.k, hi + UINT32_MAX + 1, 0), 0);
            assert_int_equal(kobold_as_v6(m.k, hi - 1, UINT64_MAX), 0);
        }
        unmake(&m);
        bh_buf_done(&table);
    }
}

static void
damage_is_survived(void **state)
{
    (void)state;
    static const char table[] = "9.9.0.0/24,64500,Example\n9.9.3.0/24,64501,Two\n"
                                "2a00::/32,64500,\n2a01::/127,7,Seven\n";
    static const char *const addresses[] = {
        "9.9.0.1", "9.9.255.255", "255.255.255.255", "::", "2a00::1", "2a01::", "2a01::2", "ffff::"
    };
    struct made m = with_as(table, NULL);
    size_t at = (size_t)(m.k->as.header - m.k->data);
    uint8_t *file = malloc(m.size);
    assert_non_null(file);
    for (size_t i = at; i < m.size; i++) {
        static const uint8_t turns[] = { 0x01, 0x80, 0xff };
        if (i >= at + 1000 && i % 17 != 0 && i + 1000 < m.size) {
            continue; /* the index of /16s is long and all alike */
        }
        for (size_t t = 0; t < BH_COUNT(turns); t++) {
            kobold *k;
            char name[256];
            memcpy(file, m.data, m.size);
            file[i] ^= turns[t];
            assert_int_equal(kobold_open_memory_flags(file, m.size, KOBOLD_OPEN_ANY_SUM, &k), 0);
            for (size_t a = 0; a < BH_COUNT(addresses); a++) {
                uint32_t number = as_of(k, addresses[a]);
                bh_ignore(kobold_as_name(k, number, name, sizeof name));
            }
            kobold_close(k);
        }
    }
    free(file);
    unmake(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_of_tables),
        cmocka_unit_test(names_are_bounded),
        cmocka_unit_test(without_tables_there_is_nothing),
        cmocka_unit_test(random_ranges_equal_the_plain_rule),
        cmocka_unit_test(many_ipv6_runs),
        cmocka_unit_test(damage_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
