/* SPDX-License-Identifier: BSD-2-Clause */
/* Crypto-PAn: the published sample, prefixes, networks as users write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bh_anonymize.h"

/* The key of the sample that the authors publish with their program. */
static const uint8_t key[BH_ANONYMIZE_KEY] = { 21,  34, 23,  141, 51, 164, 207, 128, 19,  10,  91,
                                               22,  73, 144, 125, 16, 216, 152, 143, 131, 121, 121,
                                               101, 39, 98,  87,  76, 45,  42,  132, 34,  2 };

static struct bh_anonymize *
made(void)
{
    struct bh_anonymize *a;
    struct bh_error err = { 0 };
    if (bh_anonymize_new(key, &a, &err) != 0) {
        assert_int_equal(err.code, BH_EUNKNOWN); /* made without nettle */
        print_message("# made without nettle\n");
        skip();
    }
    return a;
}

static struct bh_ip
ip_of(const char *text)
{
    struct bh_ip ip;
    assert_true(bh_ip_parse(text, strlen(text), &ip));
    return ip;
}

static void
the_published_sample(void **state)
{
    static const char *const pairs[][2] = {
        { "128.11.68.132", "135.242.180.132" },   { "129.118.74.4", "134.136.186.123" },
        { "130.132.252.244", "133.68.164.234" },  { "141.223.7.43", "141.167.8.160" },
        { "141.233.145.108", "141.129.237.235" }, { "152.163.225.39", "151.140.114.167" },
        { "156.29.3.236", "147.225.12.42" },      { "165.247.96.84", "162.9.99.234" },
        { "166.107.77.190", "160.132.178.185" },  { "192.102.249.13", "252.138.62.131" },
        { "192.215.32.125", "252.43.47.189" },    { "192.233.80.103", "252.25.108.8" },
        { "192.41.57.43", "252.222.221.184" },    { "193.150.244.223", "253.169.52.216" },
        { "212.120.124.31", "228.135.163.231" },
    };
    (void)state;
    struct bh_anonymize *a = made();
    for (size_t i = 0; i < BH_COUNT(pairs); i++) {
        const struct bh_ip from = ip_of(pairs[i][0]), to = ip_of(pairs[i][1]),
                           got = bh_anonymize_ip(a, &from);
        assert_int_equal(bh_ip_cmp(&got, &to), 0);
    }
    bh_anonymize_free(a);
}

static unsigned
bits_shared(const struct bh_ip *a, const struct bh_ip *b)
{
    for (unsigned i = 0; i < 128; i++) {
        if (((a->octets[i / 8] ^ b->octets[i / 8]) >> (7 - i % 8) & 1) != 0) {
            return i;
        }
    }
    return 128;
}

/* Two addresses that differ first in bit n, for every n. */
static void
prefixes_stay(void **state)
{
    (void)state;
    struct bh_anonymize *a = made();
    static const char *const texts[] = { "203.0.113.60", "2001:db8:1:2:3:4:5:6" };
    for (size_t k = 0; k < BH_COUNT(texts); k++) {
        const struct bh_ip one = ip_of(texts[k]), to = bh_anonymize_ip(a, &one);
        for (unsigned n = 0; n < (one.family == 4 ? 32U : 128U); n++) {
            struct bh_ip other = one;
            other.octets[n / 8] ^= (uint8_t)(0x80U >> (n % 8));
            other.octets[one.family == 4 ? 3 : 15] ^=
                n % 8 == 7 || n / 8 == (one.family == 4 ? 3U : 15U) ? 0 : 1;
            const struct bh_ip got = bh_anonymize_ip(a, &other);
            assert_int_equal(bits_shared(&to, &got), n);
        }
    }
    bh_anonymize_free(a);
}

static void
the_same_again(void **state)
{
    (void)state;
    static uint32_t became[20000]; /* more than are remembered */
    struct bh_anonymize *a = made(), *b = made();
    for (uint32_t i = 0; i < BH_COUNT(became); i++) {
        became[i] = bh_anonymize_v4(a, i * 2654435761U);
    }
    for (uint32_t i = BH_COUNT(became); i-- > 0;) { /* in another order, others are remembered */
        assert_int_equal(bh_anonymize_v4(b, i * 2654435761U), became[i]);
    }
    for (uint32_t i = 0; i < BH_COUNT(became); i += 7) {
        assert_int_equal(bh_anonymize_v4(a, i * 2654435761U), became[i]);
    }
    bh_anonymize_free(a);
    bh_anonymize_free(b);
}

static void
networks(void **state)
{
    static const struct {
        const char *text, *expected; /* NULL: none */
    } cases[] = {
        { "128.11.68.132", "135.242.180.132" },
        { "128.11.68.132/32", "135.242.180.132/32" },
        { "128.11.0.0/16", "135.242.0.0/16" },
        { "net:128.11.0.0/16,host:128.11.68.132", "net:135.242.0.0/16,host:135.242.180.132" },
        { "128.11.68.132/24", "135.242.180.132/24" },
        { "", "" },
        { "home", NULL },
        { "128.11.68.132/", "135.242.180.132/" },
        { "128.11.68.132,", "135.242.180.132," },
        { ",128.11.68.132", NULL },
        { "128.11.68.132/123456789", NULL },
    };
    (void)state;
    struct bh_anonymize *a = made();
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_buf out = { 0 };
        const bool good = bh_anonymize_networks(a, cases[i].text, &out);
        assert_int_equal(good, cases[i].expected != NULL);
        if (good) {
            assert_string_equal(out.data == NULL ? "" : out.data, cases[i].expected);
        }
        bh_buf_done(&out);
    }
    bh_anonymize_free(a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_sample),
        cmocka_unit_test(prefixes_stay),
        cmocka_unit_test(the_same_again),
        cmocka_unit_test(networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
