/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses in text: what is one, at every place of a block of 64 octets, and the fast search against the plain one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "scan_plain.h"

/* Every address of a text in angle brackets. */
static void
mark(const char *text, size_t len, size_t from, struct bh_buf *ret)
{
    struct bh_scan scan;
    struct bh_ip ip;
    size_t at;
    size_t n;
    bh_scan_begin(&scan, text, len);
    while (bh_scan_next(&scan, from, &ip, &at, &n)) {
        char canonical[BH_IP_TEXT_MAX];
        assert_true(at >= from && n > 0 && n <= len - at);
        bh_ip_format(&ip, canonical);
        bh_buf_printf(ret, "<%.*s=%s>", (int)n, text + at, canonical);
        from = at + n;
    }
}

static void
mark_plain(const char *text, size_t len, size_t from, struct bh_buf *ret)
{
    struct bh_ip ip;
    size_t at;
    size_t n;
    while (plain_find(text, len, from, &ip, &at, &n)) {
        char canonical[BH_IP_TEXT_MAX];
        bh_ip_format(&ip, canonical);
        bh_buf_printf(ret, "<%.*s=%s>", (int)n, text + at, canonical);
        from = at + n;
    }
}

static const struct {
    const char *text, *found;
} cases[] = {
    { "", "" },
    { "192.0.2.1", "<192.0.2.1=192.0.2.1>" },
    { "0.0.0.0 255.255.255.255", "<0.0.0.0=0.0.0.0><255.255.255.255=255.255.255.255>" },
    { "192.0.2.1:80 192.0.2.1.80 192.0.2.0/24",
      "<192.0.2.1=192.0.2.1><192.0.2.1=192.0.2.1><192.0.2.0=192.0.2.0>" },
    { "192.0.2.256 192.0.2.01 192.0.2 1.2.3.4x x1.2.3.4 .1.2.3.4 1.2.3.4_", "" },
    { "1.2.3.1234 1234.1.2.3 1..2.3.4 1.2.3.", "" },
    { "from:192.0.2.1, a=192.0.2.2; [192.0.2.3]",
      "<192.0.2.1=192.0.2.1><192.0.2.2=192.0.2.2><192.0.2.3=192.0.2.3>" },
    { "1:192.0.2.1", "<192.0.2.1=192.0.2.1>" },
    { "2001:db8::1", "<2001:db8::1=2001:db8::1>" },
    { "::", "" }, /* "std::string": nothing without a digit */
    { "::1 fe80::1%eth0", "<::1=::1><fe80::1=fe80::1>" },
    { "[2001:db8::1]:443", "<2001:db8::1=2001:db8::1>" },
    { "2001:db8::1: said", "<2001:db8::1=2001:db8::1>" },
    { "2001:db8::1.443 >", "<2001:db8::1=2001:db8::1>" },
    { "2001:DB8:0:0:0:0:0:1", "<2001:DB8:0:0:0:0:0:1=2001:db8::1>" },
    { "1111:2222:3333:4444:5555:6666:7777:8888", "<1111:2222:3333:4444:5555:6666:7777:8888="
                                                 "1111:2222:3333:4444:5555:6666:7777:8888>" },
    { "1:2:3:4:5:6:7", "" },
    { "1:2:3:4:5:6:7:8", "<1:2:3:4:5:6:7:8=1:2:3:4:5:6:7:8>" },
    { "1:2:3:4:5:6:192.0.2.1", "<1:2:3:4:5:6:192.0.2.1=1:2:3:4:5:6:c000:201>" },
    { "::ffff:192.0.2.1", "<::ffff:192.0.2.1=::ffff:192.0.2.1>" },
    { "64:ff9b::192.0.2.1", "<64:ff9b::192.0.2.1=64:ff9b::c000:201>" },
    { "a::b::c", "" },
    { "00:11:22:33:44:55 12:34:56 2026-01-01T00:00:00.123", "" },
    { "std::cout x::1 ::1x g::1", "" },
    { "12345::1", "" },
    { "\xe3\x81\x82"
      "192.0.2.1\xe3\x81\x8b\xe3\x82\x89 2001:db8::1\xe3\x80\x82",
      "<192.0.2.1=192.0.2.1><2001:db8::1=2001:db8::1>" },
    { "Mozilla/5.0 Chrome/109.0.5414.74 curl/7.88.1 1.2.3", "" },
};

static void
what_is_an_address(void **state)
{
    (void)state;
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_buf got = { 0 };
        mark(cases[i].text, strlen(cases[i].text), 0, &got);
        const char *said = got.data == NULL ? "" : got.data;
        if (strcmp(said, cases[i].found) != 0) {
            fail_msg("%s: %s, not %s", cases[i].text, said, cases[i].found);
        }
        bh_buf_done(&got);
    }
}

/* Blocks have 64 octets: each case begins at each place of one, and ends the memory it is in. */
static void
at_every_place_of_a_block(void **state)
{
    (void)state;
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        size_t n = strlen(cases[i].text);
        for (size_t before = 0; before < 200; before++) {
            char *text = malloc(before + n + 1); /* a sanitizer sees its end */
            struct bh_buf got = { 0 };
            assert_non_null(text);
            memset(text, ' ', before);
            memcpy(text + before, cases[i].text, n);
            mark(text, before + n, before / 3, &got);
            const char *said = got.data == NULL ? "" : got.data;
            if (strcmp(said, cases[i].found) != 0) {
                fail_msg("%s behind %zu blanks: %s, not %s", cases[i].text, before, said,
                         cases[i].found);
            }
            bh_buf_done(&got);
            free(text);
        }
    }
}

static uint64_t
next_random(uint64_t *x)
{
    *x = *x * 6364136223846793005U + 1442695040888963407U;
    return *x >> 33;
}

/* Pieces that make addresses and nearly addresses. */
static void
random_text(uint64_t *x, struct bh_buf *ret)
{
    static const char *const pieces[] = {
        ".",
        ".",
        ":",
        ":",
        "::",
        "0",
        "1",
        "9",
        "10",
        "255",
        "256",
        "f",
        "ab",
        "1f",
        "2001",
        "db8",
        "x",
        "_",
        " ",
        " ",
        "[",
        "]",
        "/",
        "%",
        "1.2.3.4",
        "192.0.2.1",
        "::ffff:",
        "fe80::1",
        "1:2:3:4:5:6:7:8",
        "00:11:22:33",
        "\n",
        "\xe3\x81\x82",
        "0000:0000:0000:0000:0000:0000:",
        "123.",
        ".123",
        "G",
    };
    uint64_t words = next_random(x) % 80;
    for (uint64_t i = 0; i < words; i++) {
        bh_buf_puts(ret, pieces[next_random(x) % BH_COUNT(pieces)]);
    }
}

static void
as_the_plain_search(void **state)
{
    (void)state;
    uint64_t x = 1;
    size_t found = 0;
    for (int i = 0; i < 20000; i++) {
        struct bh_buf text = { 0 };
        struct bh_buf fast = { 0 };
        struct bh_buf plain = { 0 };
        random_text(&x, &text);
        const char *data = text.data == NULL ? "" : text.data;
        size_t from =
            text.len == 0 ? 0 : next_random(&x) % (text.len + 1) / (next_random(&x) % 4 + 1);
        mark(data, text.len, from, &fast);
        mark_plain(data, text.len, from, &plain);
        if (fast.len != plain.len ||
            (fast.len > 0 && memcmp(fast.data, plain.data, fast.len) != 0)) {
            fail_msg("from %zu of \"%s\": %s, not %s", from, data, fast.data, plain.data);
        }
        found += fast.len;
        bh_buf_done(&text);
        bh_buf_done(&fast);
        bh_buf_done(&plain);
    }
    assert_true(found > 100000);
}

/* A text that is one long run must not be walked over again for each address in it. */
static void
long_runs_take_linear_time(void **state)
{
    (void)state;
    static const char *const pieces[] = { "1.2.3.4:", "::1:", "1:", ".", "1.1.1.", ":::" };
    for (size_t i = 0; i < BH_COUNT(pieces); i++) {
        struct bh_buf text = { 0 };
        struct bh_buf got = { 0 };
        while (text.len < 1 << 20) {
            bh_buf_puts(&text, pieces[i]);
        }
        mark(text.data, text.len, 0,
             &got); /* minutes, were it quadratic: the time limit of the test notices */
        bh_buf_done(&text);
        bh_buf_done(&got);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_an_address),
        cmocka_unit_test(at_every_place_of_a_block),
        cmocka_unit_test(as_the_plain_search),
        cmocka_unit_test(long_runs_take_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
