/* SPDX-License-Identifier: BSD-2-Clause */
#include "test_kobold_util.h"

#include "kobold_update.h"

#include <stdio.h>

/* The test suite of RFC 1321, A.5, and lengths around a block's end (by md5sum). */
static void
md5_is_that_of_the_rfc(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sum;
    } cases[] = {
        { "", "d41d8cd98f00b204e9800998ecf8427e" },
        { "a", "0cc175b9c0f1b6a831c399e269772661" },
        { "abc", "900150983cd24fb0d6963f7d28e17f72" },
        { "message digest", "f96b697d7cb7938d525a2f31aaf161d0" },
        { "abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b" },
        { "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
          "d174ab98d277d9f5a5611c2c9f419d9f" },
        { "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
          "57edf4a22be3c955ac49da2e2107b67a" },
    };
    static const struct {
        size_t length;
        const char *sum;
    } xs[] = {
        { 55, "04364420e25c512fd958a70738aa8f72" }, { 56, "668a72d5ba17f08e62dabcafad6db14b" },
        { 57, "693037871c4a9d3d8685018905cb530a" }, { 63, "7dc2ca208106a2f703567bdff99d8981" },
        { 64, "c1bb4f81d892b2d57947682aeb252456" }, { 65, "1bc932052302d074bdec39795fe00cf6" },
    };
    char got[33];
    char text[80];
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        kobold_md5(cases[i].text, strlen(cases[i].text), got);
        assert_string_equal(got, cases[i].sum);
    }
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < BH_COUNT(xs); i++) {
        kobold_md5(text, xs[i].length, got);
        assert_string_equal(got, xs[i].sum);
    }
}

static void
a_checksum_is_found_in_all_three_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sum;
    } cases[] = {
        { "MD5 (delegated-apnic-extended-latest) = d41d8cd98f00b204e9800998ecf8427e\n",
          "d41d8cd98f00b204e9800998ecf8427e" },
        { "D41D8CD98F00B204E9800998ECF8427E  delegated-arin-extended-20260625\n",
          "d41d8cd98f00b204e9800998ecf8427e" },
        { "d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e" },
        { "d41d8cd98f00b204e9800998ecf8427", NULL },   /* 31 */
        { "d41d8cd98f00b204e9800998ecf8427ee", NULL }, /* 33 */
        { "xd41d8cd98f00b204e9800998ecf8427e", NULL }, /* a part of a word */
        { "d41d8cd98f00b204e9800998ecf8427g", NULL },
        { "d41d8cd98f00b204e9800998ecf8427g 0cc175b9c0f1b6a831c399e269772661",
          "0cc175b9c0f1b6a831c399e269772661" },
        { "<html>404</html>", NULL },
        { "", NULL },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        char got[33];
        bool found = kobold_md5_find(cases[i].text, strlen(cases[i].text), got);
        assert_int_equal(found, cases[i].sum != NULL);
        if (found) {
            assert_string_equal(got, cases[i].sum);
        }
    }
}

#define SUMMARY "apnic|*|ipv4|*|1|summary\n"
#define RECORD "apnic|AU|ipv4|1.0.0.0|256|20110811|assigned|A91872ED\n"

static void
a_registrys_file_is_whole_or_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int code;
    } cases[] = {
        { "2.3|apnic|20260625|2|19830613|20260624|+1000\n" SUMMARY RECORD RECORD, 0 },
        { "# comment\n\n2|ripencc|1404165599|1|19830705|20140630|+0200\n" RECORD, 0 },
        { "2.3|apnic|20260625|1|19830613|20260624|+1000\r\n" RECORD, 0 },
        { "2.3|lacnic|20260625|0|19830613|20260624|+1000\n", 0 },
        { "2.3|apnic|20260625|3|19830613|20260624|+1000\n" SUMMARY RECORD RECORD, BH_EDAMAGED },
        { "2.3|apnic|20260625|1|19830613|20260624|+1000\napnic|AU|ipv4|1.0.0.0|256|20110811|assi",
          BH_EDAMAGED }, /* no end of line */
        { "2.4|apnic|20260625|1|19830613|20260624|+1000\n" RECORD, BH_EVERSION },
        { "3|apnic|20260625|1|19830613|20260624|+1000\n" RECORD, BH_EVERSION },
        { "20|apnic|20260625|1|19830613|20260624|+1000\n" RECORD, BH_EVERSION },
        { "2.3|example|20260625|1|19830613|20260624|+1000\n" RECORD, BH_EFORMAT },
        { "2.3|apnic|20260625|many|19830613|20260624|+1000\n" RECORD, BH_EFORMAT },
        { RECORD, BH_EFORMAT },
        { "<html>moved</html>\n", BH_EFORMAT },
        { "2.3\n", BH_EFORMAT },
        { "\n", BH_EFORMAT },
        { "", BH_EFORMAT },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct kobold_statistics s;
        struct bh_error err = { .code = 0 };
        int r = kobold_statistics_check("f", cases[i].text, strlen(cases[i].text), &s, &err);
        if (r != cases[i].code) {
            fail_msg("case %zu: %d, not %d (%s)", i, r, cases[i].code, err.text[BH_EN]);
        }
    }
}

/* One in a hundred lines may miss, two may not. */
static void
the_number_of_lines_may_miss_by_a_hundredth(void **state)
{
    (void)state;
    struct kobold_statistics s;
    struct bh_error err;
    struct bh_buf text = { 0 };
    bh_buf_puts(&text, "2.3|arin|20260625|200|19830613|20260624|+1000\n");
    for (int i = 1; i <= 198; i++) {
        bh_buf_puts(&text, "arin|US|ipv4|3.0.0.0|256|20110811|assigned|x\n");
        int r = kobold_statistics_check("f", text.data, text.len, &s, &err);
        assert_int_equal(r, i < 198 ? BH_EDAMAGED : 0);
    }
    assert_int_equal(s.records, 200);
    assert_string_equal(s.registry, "arin");
    assert_string_equal(s.version, "2.3");
    bh_buf_done(&text);
}

static struct made
make_dated(const char *text, const char *date)
{
    struct bh_error err;
    kobold_build *b = kobold_build_new();
    assert_non_null(b);
    assert_int_equal(kobold_build_add(b, "test", text, strlen(text), KOBOLD_FORMAT_AUTO,
                                      KOBOLD_LAYER_DATA, NULL, &err),
                     0);
    kobold_build_set_meta(b, NULL, date, NULL, NULL);
    struct made m = finish(b);
    kobold_build_free(b);
    return m;
}

static void
a_new_database_must_be_believable(void **state)
{
    (void)state;
    static const struct {
        const char *text, *date;
        bool is_good;
    } cases[] = {
        { "1.0.0.0,1.0.3.231,AU\n2a00::,2a00:3e7:ffff:ffff:ffff:ffff:ffff:ffff,DE\n", "2026-06-01",
          true },
        { "1.0.0.0,1.0.3.131,JP\n2a00::,2a00:383:ffff:ffff:ffff:ffff:ffff:ffff,FR\n", "2026-06-01",
          true },
        { "1.0.0.0,1.0.3.130,AU\n2a00::,2a00:3e7:ffff:ffff:ffff:ffff:ffff:ffff,DE\n", "2026-06-01",
          false },
        { "1.0.0.0,1.0.3.231,AU\n2a00::,2a00:382:ffff:ffff:ffff:ffff:ffff:ffff,DE\n", "2026-06-01",
          false },
        { "1.0.0.0,1.0.3.231,AU\n2a00::,2a00:3e7:ffff:ffff:ffff:ffff:ffff:ffff,DE\n", "2026-05-31",
          false },
        { "1.0.0.0,1.0.3.231,AU\n2a00::,2a00:3e7:ffff:ffff:ffff:ffff:ffff:ffff,DE\n", "2026-07-01",
          true },
        { "1.0.0.0,1.0.3.231,AU\n2a00::,2a00:3e7:ffff:ffff:ffff:ffff:ffff:ffff,DE\n", "2026-07-02",
          false },
    };
    /* 1000 addresses and 1000 /32. */
    struct made old = make_dated(cases[0].text, "2026-06-01");
    struct kobold_coverage c;
    kobold_coverage_of(old.k, &c);
    assert_int_equal(c.v4_addresses, 1000);
    assert_int_equal(c.v6_48s, 65536000);
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct made fresh = make_dated(cases[i].text, cases[i].date);
        struct bh_error err = { .code = 0 };
        int r = kobold_update_check(old.k, fresh.k, "2026-07-01", &err);
        if ((r == 0) != cases[i].is_good) {
            fail_msg("case %zu: %d (%s)", i, r, err.text[BH_EN]);
        }
        bool is_of_today = strcmp(cases[i].date, "2026-07-01") <= 0;
        assert_int_equal(kobold_update_check(NULL, fresh.k, "2026-07-01", &err) == 0, is_of_today);
        unmake(&fresh);
    }
    unmake(&old);
}

static void
data_are_old_after_90_days(void **state)
{
    (void)state;
    static const struct {
        const char *date;
        int64_t now;
        bool is_old;
    } cases[] = {
        { "2026-06-25", 1782345600, false }, /* the day itself */
        { "2026-06-25", 1782345600 + 90 * 86400, false },
        { "2026-06-25", 1782345600 + 91 * 86400 - 1, false },
        { "2026-06-25", 1782345600 + 91 * 86400, true },
        { "2024-02-29", 1709164800 + 91 * 86400, true },
        { "2024-02-29", 1709164800 + 90 * 86400, false },
        { "2030-01-01", 1782345600, false },
        { "", 1782345600, false },
        { "some day", 1782345600, false },
        { "2023-12-31", 1703980800 + 366 * 86400LL, true },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct kobold_meta m = { .name = "x" };
        struct bh_error e;
        snprintf(m.date, sizeof m.date, "%s", cases[i].date);
        if (kobold_is_old(&m, NULL, cases[i].now, &e) != cases[i].is_old) {
            fail_msg("case %zu", i);
        }
    }
    struct kobold_meta m = { .date = "2026-06-25" };
    struct bh_error e;
    char line[600];
    assert_true(kobold_is_old(&m, "my.kdb", 1782345600 + 100 * 86400, &e));
    assert_string_equal(
        bh_error_line(&e, BH_EN, line, sizeof line),
        "the country data are of 2026-06-25, 100 days old; to renew them: kobold update --fetch -o my.kdb");
    assert_string_equal(
        bh_error_line(&e, BH_JA, line, sizeof line),
        "国データは 2026-06-25 のもので、100 日前です。更新するには: kobold update --fetch -o my.kdb");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(md5_is_that_of_the_rfc),
        cmocka_unit_test(a_checksum_is_found_in_all_three_forms),
        cmocka_unit_test(a_registrys_file_is_whole_or_refused),
        cmocka_unit_test(the_number_of_lines_may_miss_by_a_hundredth),
        cmocka_unit_test(a_new_database_must_be_believable),
        cmocka_unit_test(data_are_old_after_90_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
