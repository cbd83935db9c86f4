/* SPDX-License-Identifier: BSD-2-Clause */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "bh_base.h"

/* ---- errors -------------------------------------------------------------------------------- */

static void
an_error_speaks_both_languages(void **state)
{
    (void)state;
    struct bh_error e;
    char line[1200];
    assert_int_equal(bh_error_set(&e, BH_EFORMAT, "a.pcap", "%s is %d", "%2$d は %1$s", "x", 7),
                     BH_EFORMAT);
    assert_string_equal(bh_error_line(&e, BH_EN, line, sizeof line), "a.pcap: x is 7");
    assert_string_equal(bh_error_line(&e, BH_JA, line, sizeof line), "a.pcap: 7 は x");
    e.has_offset = true;
    e.offset = 24;
    assert_string_equal(bh_error_line(&e, BH_EN, line, sizeof line), "a.pcap: byte 24: x is 7");
    e.has_offset = false;
    e.line = 3;
    assert_string_equal(bh_error_line(&e, BH_EN, line, sizeof line), "a.pcap: line 3: x is 7");
    assert_string_equal(bh_error_line(&e, BH_JA, line, sizeof line), "a.pcap: 3 行目: 7 は x");
    assert_int_equal(bh_error_set(NULL, BH_ELIMIT, NULL, "x", "x"), BH_ELIMIT);
}

static void
errno_becomes_the_reason(void **state)
{
    (void)state;
    struct bh_error e;
    char line[1200];
    assert_int_equal(bh_error_errno(&e, ENOENT, "a", "cannot open", "開けません"), -ENOENT);
    assert_string_equal(bh_error_line(&e, BH_EN, line, sizeof line),
                        "a: cannot open: No such file or directory");
    assert_string_equal(bh_error_line(&e, BH_JA, line, sizeof line),
                        "a: 開けません: ファイルまたはディレクトリがありません");
    static const int known[] = { EACCES, EISDIR, ENOSPC, ENOMEM, EBADF, EIO };
    for (size_t i = 0; i < BH_COUNT(known); i++) {
        assert_string_not_equal(bh_errno_text(known[i], BH_JA), bh_errno_text(known[i], BH_EN));
    }
}

static void
a_place_from_outside_is_escaped_and_cut(void **state)
{
    (void)state;
    struct bh_error e;
    char line[64];
    bh_error_set(&e, BH_EFORMAT, "a\x1b[2Jb", "text", "文");
    assert_string_equal(bh_error_line(&e, BH_EN, line, sizeof line), "a\\x1b[2Jb: text");
    char where[2000];
    memset(where, '\n', sizeof where);
    where[sizeof where - 1] = '\0';
    bh_error_set(&e, BH_EFORMAT, where, "text", "文");
    assert_int_equal(strlen(bh_error_line(&e, BH_EN, line, sizeof line)), sizeof line - 1);
    assert_string_equal(line + sizeof line - 1 - strlen("...: text"), "...: text");
    bh_error_set(&e, BH_EFORMAT, "", "\"%s\" is no number", "「%s」は数ではありません",
                 "1\x1b[m\xff\n");
    assert_string_equal(bh_error_line(&e, BH_EN, line, sizeof line),
                        "\"1\\x1b[m\\xff\\x0a\" is no number");
}

static void
a_cut_text_ends_with_a_whole_character(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        { "", "" },
        { "a", "a" },
        { "あ", "あ" },
        { "あ\xe3\x81", "あ" },
        { "\xe3", "" },
        { "aé\xc3", "aé" },
        { "\xf0\x9f\x8d", "" },
        { "🍣", "🍣" },
        { "\x81\x82", "\x81\x82" },
        { "x\xff", "x\xff" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        char text[16];
        strcpy(text, cases[i].text);
        bh_text_trim(text);
        assert_string_equal(text, cases[i].expected);
    }
    struct bh_error e;
    char line[1200];
    char where[600];
    for (size_t at = 0; at + 3 < sizeof where; at += 3) {
        strcpy(where + at, "あ");
    }
    bh_error_set(&e, BH_EFORMAT, where, "%s", "%s", where);
    assert_null(strstr(bh_error_line(&e, BH_JA, line, sizeof line), "\\x"));
}

static void
language_is_that_of_the_locale(void **state)
{
    (void)state;
    static const struct {
        const char *lc_all, *lc_messages, *lang;
        enum bh_lang expected;
    } cases[] = {
        { NULL, NULL, "ja_JP.UTF-8", BH_JA },    { NULL, NULL, "C.UTF-8", BH_EN },
        { "C", NULL, "ja_JP.UTF-8", BH_EN },     { "", "", "ja", BH_JA },
        { NULL, "ja_JP.UTF-8", "en_GB", BH_JA }, { NULL, NULL, NULL, BH_EN },
        { "ja_JP.eucJP", "C", "C", BH_JA },
    };
    static const char *const names[] = { "LC_ALL", "LC_MESSAGES", "LANG" };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        const char *values[] = { cases[i].lc_all, cases[i].lc_messages, cases[i].lang };
        for (size_t j = 0; j < BH_COUNT(names); j++) {
            if (values[j] == NULL) {
                unsetenv(names[j]);
            } else {
                setenv(names[j], values[j], 1);
            }
        }
        assert_int_equal(bh_lang_from_env(), cases[i].expected);
    }
}

/* ---- octets -------------------------------------------------------------------------------- */

static void
octets_come_back_as_they_went(void **state)
{
    (void)state;
    uint8_t b[8];
    bh_put_be16(b, 0x8182);
    assert_int_equal(b[0], 0x81);
    assert_int_equal(bh_get_be16(b), 0x8182);
    assert_int_equal(bh_get_le16(b), 0x8281);
    bh_put_le32(b, 0xf1e2d3c4U);
    assert_int_equal(b[0], 0xc4);
    assert_true(bh_get_le32(b) == 0xf1e2d3c4U);
    assert_true(bh_get_be32(b) == 0xc4d3e2f1U);
    bh_put_be64(b, 0xfedcba9876543210ULL);
    assert_int_equal(b[0], 0xfe);
    assert_true(bh_get_be64(b) == 0xfedcba9876543210ULL);
    assert_true(bh_get_le64(b) == 0x1032547698badcfeULL);
    bh_put_le64(b, UINT64_MAX - 1);
    assert_true(bh_get_le64(b) == UINT64_MAX - 1);
}

static void
a_cursor_never_passes_its_end(void **state)
{
    (void)state;
    static const uint8_t data[4] = { 1, 2, 3, 4 };
    for (size_t n = 0; n <= 5; n++) {
        struct bh_cur c = bh_cur_over(data, sizeof data);
        const uint8_t *p = bh_cur_take(&c, n);
        assert_int_equal(p != NULL, n <= 4);
        assert_int_equal(c.bad, n > 4);
        assert_int_equal(bh_cur_left(&c), n <= 4 ? 4 - n : 0);
    }
    struct bh_cur c = bh_cur_over(data, sizeof data);
    assert_int_equal(bh_cur_be16(&c), 0x0102);
    assert_int_equal(bh_cur_be32(&c), 0);
    assert_true(c.bad);
    assert_int_equal(bh_cur_u8(&c), 0); /* bad is sticky, though two octets are left */
    assert_null(bh_cur_take(&c, 0));
    c = bh_cur_over(data, sizeof data);
    assert_null(bh_cur_take(&c, SIZE_MAX));
    c = bh_cur_over(data, 0);
    assert_null(bh_cur_take(&c, 1));
}

static void
a_child_cursor_cannot_read_its_neighbour(void **state)
{
    (void)state;
    static const uint8_t data[6] = { 1, 2, 3, 4, 5, 6 };
    struct bh_cur c = bh_cur_over(data, sizeof data);
    struct bh_cur child = bh_cur_sub(&c, 2);
    assert_int_equal(bh_cur_left(&child), 2);
    assert_int_equal(bh_cur_left(&c), 4);
    assert_int_equal(bh_cur_be32(&child), 0);
    assert_true(child.bad);
    assert_false(c.bad);
    assert_int_equal(bh_cur_u8(&c), 3);
    child = bh_cur_sub(&c, 100); /* cut by the snap length: what is left */
    assert_int_equal(bh_cur_left(&child), 3);
    assert_int_equal(bh_cur_left(&c), 0);
    c.bad = true;
    child = bh_cur_sub(&c, 1);
    assert_true(child.bad);
}

/* ---- addresses ------------------------------------------------------------------------------ */

static void
addresses_parse_and_format(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *expected; /* NULL: no address */
    } cases[] = {
        { "0.0.0.0", "0.0.0.0" },
        { "255.255.255.255", "255.255.255.255" },
        { "1.20.130.9", "1.20.130.9" },
        { "256.0.0.1", NULL },
        { "1.2.3", NULL },
        { "1.2.3.4.5", NULL },
        { "01.2.3.4", NULL },
        { "1.2.3.4 ", NULL },
        { " 1.2.3.4", NULL },
        { "0x7f.0.0.1", NULL },
        { "", NULL },
        { "::", "::" },
        { "::1", "::1" },
        { "2001:DB8:0:0:0:0:0:1", "2001:db8::1" },
        { "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
        { "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
        { "::ffff:192.0.2.1", "::ffff:192.0.2.1" },
        { "fe80::1%eth0", NULL },
        { "[::1]", NULL },
        { "2001:db8::1::2", NULL },
        { ":::", NULL },
        { "12345::", NULL },
        { "1111:2222:3333:4444:5555:6666:7777:8888:9999", NULL },
        { "0000:0000:0000:0000:0000:ffff:255.255.255.255", "::ffff:255.255.255.255" },
        { "0000:0000:0000:0000:0000:ffff:255.255.255.2555", NULL },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_ip ip;
        bool ok = bh_ip_parse(cases[i].text, strlen(cases[i].text), &ip);
        assert_int_equal(ok, cases[i].expected != NULL);
        if (ok) {
            char text[BH_IP_TEXT_MAX];
            assert_int_equal(bh_ip_format(&ip, text), strlen(cases[i].expected));
            assert_string_equal(text, cases[i].expected);
        }
    }
    struct bh_ip ip;
    assert_false(bh_ip_parse("1.2.3.4\0", 8, &ip));
    assert_true(bh_ip_parse("1.2.3.45", 7, &ip)); /* the length counts, not what follows */
    assert_int_equal(ip.octets[3], 4);
    ip.family = 9;
    char text[BH_IP_TEXT_MAX];
    assert_int_equal(bh_ip_format(&ip, text), 0);
}

static void
addresses_order_by_family_and_octets(void **state)
{
    (void)state;
    struct bh_ip sorted[] = {
        bh_ip_from_v4(0),    bh_ip_from_v4(0x7fffffff),    bh_ip_from_v4(0x80000000),
        bh_ip_from_v6(0, 0), bh_ip_from_v6(0, UINT64_MAX), bh_ip_from_v6(1, 0),
    };
    for (size_t i = 0; i < BH_COUNT(sorted); i++) {
        for (size_t j = 0; j < BH_COUNT(sorted); j++) {
            int c = bh_ip_cmp(&sorted[i], &sorted[j]);
            assert_int_equal((c > 0) - (c < 0), (i > j) - (i < j));
        }
    }
}

/* ---- text buffers --------------------------------------------------------------------------- */

static void
a_buffer_grows_over_every_boundary(void **state)
{
    (void)state;
    for (size_t n = 250; n < 262; n++) {
        struct bh_buf b = { 0 };
        for (size_t i = 0; i < n; i++) {
            bh_buf_putc(&b, 'x');
        }
        bh_buf_printf(&b, "%s", "yy");
        assert_false(b.failed);
        assert_int_equal(b.len, n + 2);
        assert_int_equal(strlen(b.data), n + 2);
        bh_buf_done(&b);
        assert_null(b.data);
    }
    struct bh_buf b = { 0 };
    bh_buf_add(&b, NULL, 0);
    bh_buf_puts(&b, "");
    bh_buf_printf(&b, "%s", "");
    assert_int_equal(b.len, 0);
    bh_buf_done(&b);
    bh_buf_done(&b);
}

static void
what_moves_a_terminal_is_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *in, *expected;
    } cases[] = {
        { "plain, 日本語 and é", "plain, 日本語 and é" },
        { "\x1b[31m", "\\x1b[31m" },
        { "a\nb\tc\r", "a\\x0ab\\x09c\\x0d" },
        { "\x7f", "\\x7f" },
        { "\xc2\x9b"
          "31m",
          "\\xc2\\x9b31m" }, /* C1: CSI in one character */
        { "\xe2\x80\xae"
          "abc",
          "\\xe2\\x80\\xaeabc" },              /* right-to-left override    */
        { "\xef\xbb\xbf", "\\xef\\xbb\\xbf" }, /* byte order mark           */
        { "\xff\xfe", "\\xff\\xfe" },
        { "\xc0\x80", "\\xc0\\x80" },                   /* overlong NUL                 */
        { "\xc1\x81", "\\xc1\\x81" },                   /* overlong A                   */
        { "\xe0\x9f\xbf", "\\xe0\\x9f\\xbf" },          /* two octets would do          */
        { "\xe0\xa0\x80", "\xe0\xa0\x80" },             /* and here not                 */
        { "\xed\xa0\x80", "\\xed\\xa0\\x80" },          /* a surrogate                  */
        { "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" }, /* above U+10FFFF       */
        { "\xe6\x97", "\\xe6\\x97" },                   /* cut in the middle            */
        { "\xe6"
          "a",
          "\\xe6"
          "a" },
        { "\xf3\xa0\x81\x81", "\\xf3\\xa0\\x81\\x81" }, /* a tag character      */
        { "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_buf b = { 0 };
        bh_buf_put_safe(&b, cases[i].in, strlen(cases[i].in));
        assert_string_equal(b.data, cases[i].expected);
        bh_buf_done(&b);
    }
    struct bh_buf b = { 0 };
    bh_buf_put_safe(&b, "a\0b", 3);
    assert_string_equal(b.data, "a\\x00b");
    bh_buf_done(&b);
}

static void
json_strings_are_json(void **state)
{
    (void)state;
    static const struct {
        const char *in, *expected;
    } cases[] = {
        { "", "\"\"" },
        { "a\"b\\c/", "\"a\\\"b\\\\c/\"" },
        { "\n\x01", "\"\\u000a\\u0001\"" },
        { "日本", "\"日本\"" },
        { "\xff"
          "a",
          "\"\xef\xbf\xbd"
          "a\"" },
        { "\xe2\x80\xa8", "\"\\u2028\"" },
        { "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_buf b = { 0 };
        bh_buf_put_json(&b, cases[i].in, strlen(cases[i].in));
        assert_string_equal(b.data, cases[i].expected);
        bh_buf_done(&b);
    }
}

static void
widths_are_those_of_a_terminal(void **state)
{
    (void)state;
    assert_int_equal(bh_text_width(""), 0);
    assert_int_equal(bh_text_width("abc"), 3);
    assert_int_equal(bh_text_width("登録国"), 6);
    assert_int_equal(bh_text_width("アクセスA"), 9);
    assert_int_equal(bh_text_width("ｱｸｾｽ"), 4);
    assert_int_equal(bh_text_width("（、）"), 6);
    assert_int_equal(bh_text_width("e\xcc\x81"), 1);
    assert_int_equal(bh_text_width("▁▂█"), 3);
    assert_int_equal(bh_text_width("\xff"), 1);
}

/* ---- memory and files ------------------------------------------------------------------------ */

static void
sizes_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    assert_int_equal(bh_size_mul(6, 7), 42);
    assert_int_equal(bh_size_mul(0, SIZE_MAX), 0);
    assert_true(bh_size_mul(SIZE_MAX / 2 + 1, 2) == SIZE_MAX);
    assert_null(bh_pages_new(SIZE_MAX, false));
    assert_null(bh_pages_new(SIZE_MAX - 4095, true));
}

static void
pages_are_zero_and_whole(void **state)
{
    (void)state;
    enum { huge_page = 2 << 20 };
    static const size_t sizes[] = { 1, 4095, 4096, 4097, huge_page - 1, huge_page, huge_page + 1 };
    for (size_t i = 0; i < BH_COUNT(sizes); i++) {
        for (int huge = 0; huge < 2; huge++) {
            uint8_t *p = bh_pages_new(sizes[i], huge != 0);
            assert_non_null(p);
            size_t align = sizes[i] < huge_page ? 64 : huge != 0 ? huge_page : 4096;
            assert_int_equal((uintptr_t)p % align, 0);
            assert_int_equal(p[0], 0);
            assert_int_equal(p[sizes[i] - 1], 0);
            p[0] = p[sizes[i] - 1] = 1;
            bh_pages_free(p, sizes[i]);
        }
    }
    bh_pages_free(NULL, 1);
}

static char folder[] = "/tmp/test_base.XXXXXX";

static int
make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int
remove_folder(void **state)
{
    (void)state;
    return rmdir(folder); /* fails when a temporary file was left behind */
}

static void
a_file_is_replaced_whole(void **state)
{
    (void)state;
    char path[64];
    struct bh_error err = { 0 };
    struct bh_map map;
    snprintf(path, sizeof path, "%s/f", folder);
    assert_int_equal(bh_file_replace(path, "old text", 8, &err), 0);
    assert_int_equal(bh_map_open(path, &map, &err), 0);
    assert_int_equal(bh_file_replace(path, "new", 3, &err), 0);
    assert_int_equal(map.size, 8); /* who has the old one keeps it */
    assert_memory_equal(map.data, "old text", 8);
    bh_map_done(&map);
    assert_int_equal(bh_map_open(path, &map, &err), 0);
    assert_int_equal(map.size, 3);
    bh_map_done(&map);
    assert_int_equal(bh_file_replace(path, "", 0, &err), 0);
    assert_int_equal(bh_map_open(path, &map, &err), 0);
    assert_int_equal(map.size, 0);
    assert_non_null(map.data);
    bh_map_done(&map);
    unlink(path);
}

static void
files_that_cannot_be_say_why(void **state)
{
    (void)state;
    struct bh_error err = { 0 };
    struct bh_map map;
    char path[64];
    assert_int_equal(bh_map_open(folder, &map, &err), -EISDIR);
    assert_string_equal(err.where, folder);
    snprintf(path, sizeof path, "%s/none", folder);
    assert_int_equal(bh_map_open(path, &map, &err), -ENOENT);
    snprintf(path, sizeof path, "%s/none/x", folder);
    assert_int_equal(bh_file_replace(path, "x", 1, &err), -ENOENT);
    /* and no temporary file stays */
    assert_int_equal(bh_file_replace(folder, "x", 1, &err), -EISDIR);
    char lost[96];
    snprintf(lost, sizeof lost, "%s.tmp.%ld", folder, (long)getpid());
    assert_int_equal(access(lost, F_OK), -1);
    char long_path[PATH_MAX + 10];
    memset(long_path, 'a', sizeof long_path);
    long_path[sizeof long_path - 1] = '\0';
    assert_int_equal(bh_file_replace(long_path, "x", 1, &err), -ENAMETOOLONG);
}

static void
the_program_knows_its_folder(void **state)
{
    (void)state;
    char dir[4096];
    char exe[4200];
    bh_program_dir(dir, sizeof dir);
    assert_true(dir[0] == '/');
    snprintf(exe, sizeof exe, "%s/test_base", dir);
    assert_int_equal(access(exe, X_OK), 0);
}

/* ---- hashing ----------------------------------------------------------------------------------- */

static void
mixing_depends_on_every_bit(void **state)
{
    (void)state;
    uint64_t plain = bh_mix64(0, 0);
    for (unsigned bit = 0; bit < 64; bit++) {
        int a = __builtin_popcountll(plain ^ bh_mix64(1ULL << bit, 0));
        int b = __builtin_popcountll(plain ^ bh_mix64(0, 1ULL << bit));
        assert_in_range(a, 10, 54);
        assert_in_range(b, 10, 54);
    }
}

static void
a_seed_makes_the_key_repeatable(void **state)
{
    (void)state;
    setenv("BH_SEED", "7", 1);
    uint64_t seven = bh_random_key();
    assert_true(bh_random_key() == seven);
    setenv("BH_SEED", "8", 1);
    assert_true(bh_random_key() != seven);
    unsetenv("BH_SEED");
    assert_true(bh_random_key() != bh_random_key());
}

/* ---- sorting -------------------------------------------------------------------------------- */

/* By the bits first..end, beside an insertion sort; what is equal there keeps its order. */
static void
check_sort64(size_t n, unsigned first, unsigned end, uint64_t shape)
{
    uint64_t *v = calloc(n + 1, sizeof *v), *plain = calloc(n + 1, sizeof *plain);
    const uint64_t mask =
        first >= end ? 0 : (end - first == 64 ? UINT64_MAX : (1ULL << (end - first)) - 1) << first;
    assert_true(v != NULL && plain != NULL);
    for (size_t i = 0; i < n; i++) {
        v[i] = bh_mix64(i, n) & shape;
        size_t at = i;
        for (; at > 0 && (plain[at - 1] & mask) > (v[i] & mask); at--) {
            plain[at] = plain[at - 1];
        }
        plain[at] = v[i];
    }
    v[n] = 77;
    assert_int_equal(bh_sort64(v, n, first, end), 0);
    assert_memory_equal(v, plain, n * sizeof *v);
    assert_int_equal(v[n], 77);
    free(v);
    free(plain);
}

static void
numbers_are_sorted_by_some_of_their_bits(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 2, 63, 64, 65, 2047, 3000 };
    static const struct {
        unsigned first, end;
    } bits[] = { { 0, 64 }, { 0, 1 },   { 63, 64 }, { 0, 11 }, { 0, 12 },
                 { 5, 5 },  { 42, 64 }, { 3, 26 },  { 20, 53 } };
    for (size_t s = 0; s < BH_COUNT(sizes); s++) {
        for (size_t b = 0; b < BH_COUNT(bits); b++) {
            check_sort64(sizes[s], bits[b].first, bits[b].end, UINT64_MAX);
            /* many equal ones */
            check_sort64(sizes[s], bits[b].first, bits[b].end, 0xf0f0f0f0f0f0f0f0ULL);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_sorted_by_some_of_their_bits),
        cmocka_unit_test(an_error_speaks_both_languages),
        cmocka_unit_test(errno_becomes_the_reason),
        cmocka_unit_test(a_place_from_outside_is_escaped_and_cut),
        cmocka_unit_test(a_cut_text_ends_with_a_whole_character),
        cmocka_unit_test(language_is_that_of_the_locale),
        cmocka_unit_test(octets_come_back_as_they_went),
        cmocka_unit_test(a_cursor_never_passes_its_end),
        cmocka_unit_test(a_child_cursor_cannot_read_its_neighbour),
        cmocka_unit_test(addresses_parse_and_format),
        cmocka_unit_test(addresses_order_by_family_and_octets),
        cmocka_unit_test(a_buffer_grows_over_every_boundary),
        cmocka_unit_test(what_moves_a_terminal_is_escaped),
        cmocka_unit_test(json_strings_are_json),
        cmocka_unit_test(widths_are_those_of_a_terminal),
        cmocka_unit_test(sizes_that_do_not_fit_are_refused),
        cmocka_unit_test(pages_are_zero_and_whole),
        cmocka_unit_test(a_file_is_replaced_whole),
        cmocka_unit_test(files_that_cannot_be_say_why),
        cmocka_unit_test(the_program_knows_its_folder),
        cmocka_unit_test(mixing_depends_on_every_bit),
        cmocka_unit_test(a_seed_makes_the_key_repeatable),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
