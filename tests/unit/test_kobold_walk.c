/* SPDX-License-Identifier: BSD-2-Clause */
/* Walking through a database, against look-ups and a second reading of the same ranges. */
#include "test_kobold_util.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- small databases, every span told --------------------------------------------------------------- */

static void
label_of_value(const kobold *k, uint16_t value, char ret[48])
{
    struct kobold_value v;
    assert_true(kobold_value_info(k, value, &v));
    snprintf(ret, 48, "%s",
             v.kind == KOBOLD_SPECIAL       ? v.class_name
             : v.kind == KOBOLD_UNALLOCATED ? "unallocated"
                                            : v.code);
}

static void
ipv4_spans_are_those_of_the_text(void **state)
{
    (void)state;
    static const struct {
        const char *last, *label;
    } expected[] = {
        { "0.0.0.0", "this-host" },
        { "0.255.255.255", "this-network" },
        { "1.0.0.0", "unallocated" },
        { "1.0.0.1", "AU" },
        { "1.0.0.254", "JP" },
        { "1.0.2.255", "AU" },
        { "1.0.63.255", "unallocated" },
        { "1.1.63.255", "FR" },
        { "9.255.255.255", "unallocated" },
        { "10.255.255.255", "private-use" },
    };
    struct made m = make("1.0.0.1,1.0.2.255,AU\n1.0.0.2,1.0.0.254,JP\n1.0.64.0,1.0.127.255,FR\n"
                         "1.1.0.0,1.1.0.255,FR\n1.0.128.0,1.0.255.255,FR\n1.1.1.0,1.1.63.255,FR\n");
    uint32_t at = 0;
    for (size_t i = 0; i < BH_COUNT(expected); i++) {
        uint32_t last;
        char label[48];
        char text[BH_IP_TEXT_MAX];
        label_of_value(m.k, kobold_v4_span(m.k, at, &last), label);
        struct bh_ip ip = bh_ip_from_v4(last);
        bh_ip_format(&ip, text);
        assert_string_equal(label, expected[i].label);
        assert_string_equal(text, expected[i].last);
        at = last + 1;
    }
    unmake(&m);
}

static void
ipv6_spans_go_beyond_a_64(void **state)
{
    (void)state;
    static const struct {
        const char *first, *last, *label;
    } expected[] = {
        { "2a00::", "2a00:0:0:1::4", "DE" },
        { "2a00:0:0:1::5", "2a00:0:0:1::5", "FR" },
        { "2a00:0:0:1::6", "2a00:0:0:1:7fff:ffff:ffff:ffff", "DE" },
        { "2a00:0:0:1:8000::", "2a00:0:0:1:ffff:ffff:ffff:ffff", "AU" },
        { "2a00:0:0:2::", "2a00:0:ffff:ffff:ffff:ffff:ffff:ffff", "DE" },
        { "2a00:1::", "2fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unallocated" },
        { "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "6to4" },
        { "2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff", "teredo" },
        { "::ffff:0:0", "::ffff:255.255.255.255", "ipv4-mapped" },
        { "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast" },
        { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
          "multicast" },
    };
    struct made m = make("2a00::/32,DE\n2a00:0:0:1::5/128,FR\n2a00:0:0:1:8000::/65,AU\n"
                         "3000::/4,US\n");
    for (size_t i = 0; i < BH_COUNT(expected); i++) {
        struct bh_ip first = ip_of(expected[i].first);
        uint64_t hi;
        uint64_t lo;
        char label[48];
        char text[BH_IP_TEXT_MAX];
        uint16_t v =
            kobold_v6_span(m.k, bh_get_be64(first.octets), bh_get_be64(first.octets + 8), &hi, &lo);
        label_of_value(m.k, v, label);
        struct bh_ip ip = bh_ip_from_v6(hi, lo);
        struct bh_ip want = ip_of(expected[i].last);
        bh_ip_format(&ip, text);
        if (strcmp(label, expected[i].label) != 0 || bh_ip_cmp(&ip, &want) != 0) {
            fail_msg("%s: %s to %s", expected[i].first, label, text);
        }
    }
    unmake(&m);
}

/* ---- any database: spans join without gap, are as long as can be, and agree with look-ups ------------- */

static void
check_v4(const kobold *k)
{
    uint32_t at = 0;
    uint32_t last;
    int before = -1;
    do {
        uint16_t v = kobold_v4_span(k, at, &last);
        assert_true(last >= at);
        assert_int_not_equal(v, before);
        assert_int_equal(kobold_v4(k, at), v);
        assert_int_equal(kobold_v4(k, at + (last - at) / 2), v);
        assert_int_equal(kobold_v4(k, last), v);
        uint32_t same_last;
        assert_int_equal(kobold_v4_span(k, at + (last - at) / 2, &same_last), v);
        assert_int_equal(same_last, last);
        before = v;
        at = last + 1;
    } while (last != UINT32_MAX);
}

static bool
is_carrier(uint64_t hi, uint64_t lo)
{
    uint32_t v4;
    return kobold_carrier(hi, lo, &v4) != KOBOLD_CARRIER_NONE;
}

static void
check_v6(const kobold *k)
{
    uint64_t hi = 0;
    uint64_t lo = 0;
    uint64_t last_hi;
    uint64_t last_lo;
    int before = -1;
    do {
        uint16_t v = kobold_v6_span(k, hi, lo, &last_hi, &last_lo);
        assert_true(last_hi > hi || (last_hi == hi && last_lo >= lo));
        assert_int_not_equal(v, before);
        if (!is_carrier(hi, lo)) {
            assert_int_equal(kobold_v6(k, hi, lo), v);
            assert_int_equal(kobold_v6(k, last_hi, last_lo), v);
            uint64_t middle = hi + (last_hi - hi) / 2;
            assert_int_equal(kobold_v6(k, middle, middle == hi ? lo : last_lo), v);
        }
        before = v;
        hi = last_hi + (last_lo == UINT64_MAX);
        lo = last_lo + 1;
    } while (hi != 0 || lo != 0);
}

static uint64_t
next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15U;
    uint64_t x = *state;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

static void
random_databases_are_walked_wholly(void **state)
{
    (void)state;
    static const char *const codes[] = { "JP", "US", "DE", "FR", "EU", "ZZ" };
    uint64_t seed = 7;
    for (int round = 0; round < 20; round++) {
        struct bh_buf text = { 0 };
        for (int i = 0; i < 60 * round + 1; i++) {
            uint64_t r = next_random(&seed);
            uint32_t a = (uint32_t)r & (round % 2 ? 0xffffffff : 0x010fffff);
            uint32_t n = 1U << (r >> 32) % 22;
            char one[BH_IP_TEXT_MAX];
            uint64_t hi = 0x2a00000000000000U | (next_random(&seed) & 0xffffffffffU)
                                                    << (r >> 40) % 16;
            unsigned len = 20 + (unsigned)(next_random(&seed) % 109);
            uint64_t low = next_random(&seed);
            hi &= len >= 64 ? UINT64_MAX : ~(UINT64_MAX >> len);
            low &= len <= 64 ? 0 : len == 128 ? UINT64_MAX : ~(UINT64_MAX >> (len - 64));
            struct bh_ip ip = bh_ip_from_v6(hi, low);
            bh_ip_format(&ip, one);
            bh_buf_printf(&text, "%u,%u,%s\n", a, n > UINT32_MAX - a ? UINT32_MAX : a + n,
                          codes[r >> 56 & 3]);
            bh_buf_printf(&text, "%s/%u,%s\n", one, len, codes[(r >> 50) % BH_COUNT(codes)]);
        }
        struct made m = make(text.data);
        check_v4(m.k);
        check_v6(m.k);
        unmake(&m);
        bh_buf_done(&text);
    }
}

static void
the_installed_database_is_walked_wholly(void **state)
{
    (void)state;
    kobold *k;
    if (kobold_open(NULL, &k) < 0) {
        print_message("# no country database here\n");
        skip();
    }
    check_v4(k);
    check_v6(k);
    kobold_close(k);
}

/* ---- a damaged one: each span ends behind its start, so that a walk ends ---------------------------------- */

static void
damage_never_stops_a_walk(void **state)
{
    (void)state;
    struct made m =
        make("1.0.0.1,1.0.2.255,AU\n1.0.0.2,1.0.0.254,JP\n2a00::/32,DE\n2a00:0:0:1::5/128,FR\n"
             "2a00:5::/33,AU\n2a00:6::/34,JP\n2b00::/16,US\n");
    uint64_t seed = 3;
    uint8_t *copy = malloc(m.size);
    assert_non_null(copy);
    for (int round = 0; round < 60; round++) {
        memcpy(copy, m.data, m.size);
        for (int i = 0; i < 200; i++) {
            copy[KDB_HEADER_SIZE + next_random(&seed) % (m.size - KDB_HEADER_SIZE)] =
                (uint8_t)next_random(&seed);
        }
        kobold *k;
        if (kobold_open_memory_flags(copy, m.size, KOBOLD_OPEN_ANY_SUM, &k) < 0) {
            continue;
        }
        uint64_t hi = 0;
        uint64_t lo = 0;
        for (int i = 0; i < 10000; i++) {
            uint64_t last_hi;
            uint64_t last_lo;
            uint32_t at = (uint32_t)next_random(&seed);
            uint32_t last;
            assert_true(kobold_v4_span(k, at, &last) < kobold_value_count(k));
            assert_true(last >= at);
            assert_true(kobold_v6_span(k, hi, lo, &last_hi, &last_lo) < kobold_value_count(k));
            assert_true(last_hi > hi || (last_hi == hi && last_lo >= lo));
            hi = last_hi + (last_lo == UINT64_MAX);
            lo = last_lo + 1;
        }
        kobold_close(k);
    }
    free(copy);
    unmake(&m);
}

/* ---- as of a day ------------------------------------------------------------------------------------------- */

static void
write_database_of(const char *directory, const char *name, const char *date, const char *code)
{
    char path[600];
    char text[64];
    struct bh_error err;
    uint8_t *data;
    size_t size;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    snprintf(text, sizeof text, "8.8.8.0/24,%s\n", code);
    kobold_build *b = kobold_build_new();
    assert_int_equal(kobold_build_add(b, "t", text, strlen(text), KOBOLD_FORMAT_AUTO,
                                      KOBOLD_LAYER_DATA, NULL, &err),
                     0);
    kobold_build_set_meta(b, NULL, date, NULL, NULL);
    assert_int_equal(kobold_build_finish(b, &data, &size, &err), 0);
    assert_int_equal(bh_file_replace(path, data, size, &err), 0);
    kobold_build_free(b);
    free(data);
}

static int
append_date(void *arg, const char *date, const char *path)
{
    char *to = arg;
    assert_non_null(strstr(path, ".kdb"));
    snprintf(to + strlen(to), 64 - strlen(to), "%s ", date);
    return 0;
}

static int
stop_at_once(void *arg, const char *date, const char *path)
{
    (void)arg;
    (void)date;
    (void)path;
    return 7;
}

static void
a_directory_answers_as_of_a_day(void **state)
{
    (void)state;
    static const struct {
        const char *day, *code;
    } cases[] = {
        { "2009-12-31", "FR" }, { "2010-12-16", "FR" }, { "2010-12-17", "FR" },
        { "2014-06-29", "FR" }, { "2014-06-30", "JP" }, { "2014-07-01", "JP" },
        { "2019-09-10", "JP" }, { "2019-09-11", "US" }, { "9999-12-31", "US" },
    };
    char directory[] = "/tmp/kobold-asof-XXXXXX";
    kobold *k;
    assert_non_null(mkdtemp(directory));
    assert_int_equal(kobold_open_asof(directory, "2014-06-30", &k), -ENOENT);
    /* Names say nothing, dates do; of two with one date the last by name. */
    write_database_of(directory, "c.kdb", "2010-12-17", "FR");
    write_database_of(directory, "a.kdb", "2019-09-11", "US");
    write_database_of(directory, "b1.kdb", "2014-06-30", "DE");
    write_database_of(directory, "b2.kdb", "2014-06-30", "JP");
    write_database_of(directory, "other", "2014-07-01", "IT");
    write_database_of(directory, ".kdb", "2014-07-01", "IT");
    write_database_of(directory, "undated.kdb", "some day", "IT");
    char path[600];
    struct bh_error err;
    snprintf(path, sizeof path, "%s/broken.kdb", directory);
    assert_int_equal(bh_file_replace(path, "no database", 11, &err), 0);
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct kobold_value v;
        assert_int_equal(kobold_open_asof(directory, cases[i].day, &k), 0);
        assert_true(kobold_value_info(k, kobold_v4(k, 0x08080808), &v));
        if (strcmp(v.code, cases[i].code) != 0) {
            fail_msg("as of %s: %s", cases[i].day, v.code);
        }
        kobold_close(k);
    }
    char listed[64] = "";
    assert_int_equal(kobold_asof_list(directory, append_date, listed), 0);
    assert_string_equal(listed, "2010-12-17 2014-06-30 2019-09-11 ");
    assert_int_equal(kobold_asof_list(directory, stop_at_once, NULL), 7);
    assert_int_equal(kobold_asof_list("/nonexistent", stop_at_once, NULL), -ENOENT);
    assert_int_equal(kobold_open_asof(directory, "2014", &k), -EINVAL);
    assert_int_equal(kobold_open_asof(directory, "2014-06-300", &k), -EINVAL);
    assert_int_equal(kobold_open_asof("/nonexistent", "2014-06-30", &k), -ENOENT);
    static const char *const names[] = { "a.kdb", "b1.kdb", "b2.kdb",      "c.kdb",
                                         "other", ".kdb",   "undated.kdb", "broken.kdb" };
    for (size_t i = 0; i < BH_COUNT(names); i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    rmdir(directory);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4_spans_are_those_of_the_text),
        cmocka_unit_test(ipv6_spans_go_beyond_a_64),
        cmocka_unit_test(random_databases_are_walked_wholly),
        cmocka_unit_test(the_installed_database_is_walked_wholly),
        cmocka_unit_test(damage_never_stops_a_walk),
        cmocka_unit_test(a_directory_answers_as_of_a_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
