/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a report stands on paper: columns that are straight in both languages, bars and charts,
 * colour, and what each format makes of texts of strangers. What is told is test_report.c.
 */
#include "fake_trend.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "page_priv.h"

static struct fake fake;

static struct bh_buf
written(const char *writer, enum bh_lang lang, unsigned columns, bool color)
{
    struct bh_buf out = { 0 };
    struct bh_write_options o = { .lang = lang, .columns = columns, .color = color };
    const struct bh_writer *w = bh_writer_find(writer);
    assert_non_null(w);
    w->write(&fake.report, &o, &out);
    assert_false(out.failed);
    assert_true(out.len > 0);
    return out;
}

/* ---- characters and lines ---------------------------------------------------------------------- */

static size_t
octets_of(const char *s)
{
    uint8_t c = (uint8_t)s[0];
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* Columns of a terminal, told apart from lib/base: our texts hold Latin, block characters, and
 * kana, kanji and fullwidth forms, which take two. */
static size_t
width_of(const char *s, size_t len)
{
    size_t width = 0;
    for (size_t i = 0; i < len; i += octets_of(s + i)) {
        size_t n = octets_of(s + i);
        uint32_t code = n == 1 ? (uint8_t)s[i] : (uint8_t)s[i] & (0x7fU >> n);
        for (size_t k = 1; k < n; k++) {
            code = code << 6 | ((uint8_t)s[i + k] & 0x3f);
        }
        width += code >= 0x3000 && code < 0xff61 ? 2 : 1;
    }
    return width;
}

struct line {
    const char *s;
    size_t len;
};

/* The next line of a text; false at its end. */
static bool
next_line(const char **at, struct line *ret)
{
    if (**at == '\0') {
        return false;
    }
    *ret = (struct line){ *at, strcspn(*at, "\n") };
    *at += ret->len + ((*at)[ret->len] == '\n');
    return true;
}

/* Words between blanks, and the columns they begin and end in. */
struct token {
    const char *s;
    size_t len, begin, end;
};
#define TOKENS 64U

static size_t
tokens_of(const struct line *l, struct token *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < l->len && n < TOKENS;) {
        size_t len = 0;
        while (i + len < l->len && l->s[i + len] != ' ') {
            len++;
        }
        if (len > 0) {
            size_t begin = width_of(l->s, i);
            ret[n++] = (struct token){ l->s + i, len, begin, begin + width_of(l->s + i, len) };
        }
        i += len + 1;
    }
    return n;
}

static bool
is_made_of(const struct token *t, const char *set)
{
    for (size_t i = 0; i < t->len; i++) {
        if (strchr(set, t->s[i]) == NULL) {
            return false;
        }
    }
    return t->len > 0;
}

static bool
is_number(const struct token *t)
{
    return is_made_of(t, "0123456789,") || (t->len == 2 && memcmp(t->s, "·", 2) == 0);
}

static bool
is_percent(const struct token *t)
{
    return is_made_of(t, "0123456789.%") && t->s[t->len - 1] == '%';
}

static bool
is_port(const struct token *t)
{
    return t->len > 4 && t->s[0] >= '0' && t->s[0] <= '9' &&
           (memcmp(t->s + t->len - 4, "/tcp", 4) == 0 || memcmp(t->s + t->len - 4, "/udp", 4) == 0);
}

/* ---- straight columns ------------------------------------------------------------------------------ */

/* Where the columns of a table end; it ends at a blank line. */
struct table {
    size_t port, count, share, tail[TOKENS];
    size_t tail_count, rows;
};

static void
same_column(const struct line *l, const char *what, size_t *want, size_t got)
{
    if (*want == 0) {
        *want = got;
    } else if (*want != got) {
        fail_msg("%s ends in column %zu, not %zu: %.*s", what, got, *want, (int)l->len, l->s);
    }
}

/* Does the line belong to a table of numbers? Then its columns are those of the lines above. */
static bool
table_row(struct table *t, const struct line *l, size_t home_tail)
{
    struct token k[TOKENS];
    size_t n = tokens_of(l, k), share = 0;
    while (share < n && !is_percent(&k[share])) {
        share++;
    }
    if (share > 1 && share < n && is_number(&k[share - 1])) { /* countries, ports of a country */
        same_column(l, "a share", &t->share, k[share].end);
        same_column(l, "a count", &t->count, k[share - 1].end);
        if (is_port(&k[0])) {
            same_column(l, "a port", &t->port, k[0].end);
        }
        t->rows++;
        return true;
    }
    size_t tail = 0;
    while (tail < n && is_number(&k[n - 1 - tail])) {
        tail++;
    }
    if (n < 3 || !is_port(&k[0]) || tail < home_tail) { /* cross table, outcomes */
        return false;
    }
    same_column(l, "a port", &t->port, k[0].end);
    for (size_t i = 0; i < tail; i++) {
        same_column(l, "a cell", &t->tail[i], k[n - 1 - i].end);
    }
    t->tail_count = tail > t->tail_count ? tail : t->tail_count;
    t->rows++;
    return true;
}

static void
assert_straight(const struct bh_buf *out, unsigned columns, size_t *ret_tables)
{
    const char *at = out->data;
    struct table t = { 0 };
    struct line l;
    while (next_line(&at, &l)) {
        if (width_of(l.s, l.len) > columns) {
            fail_msg("%zu columns, not %u: %.*s", width_of(l.s, l.len), columns, (int)l.len, l.s);
        }
        if (l.len == 0) {
            *ret_tables += t.rows > 2;
            t = (struct table){ 0 };
        } else {
            table_row(&t, &l, 2);
        }
    }
    *ret_tables += t.rows > 2;
}

static void
test_straight(void **state)
{
    (void)state;
    static const unsigned widths[] = { 80, 100, 120 };
    fake_memo(&fake);
    for (int big = 0; big < 2; big++) {
        for (size_t w = 0; w < BH_COUNT(widths); w++) {
            for (int lang = 0; lang < BH_LANGS; lang++) {
                size_t tables = 0;
                struct bh_buf out = written("text", (enum bh_lang)lang, widths[w], false);
                assert_straight(&out, widths[w], &tables);
                assert_true(tables >= 5); /* countries, ports, cross, home, outcomes */
                bh_buf_done(&out);
            }
        }
        /* Once more with numbers of very different length. */
        for (size_t i = 0; i < 10; i++) {
            fake.places[i].count *= i % 3 == 0 ? 1000000 : 1;
            for (size_t k = 0; k < 5; k++) {
                fake.ports[i][k].count *= (i + k) % 4 == 0 ? 1000 : 1;
                fake.ports[i][k].outcomes[BH_OUTCOME_SILENT] *= 100000;
            }
        }
        fake_crosstab(&fake);
    }
    fake_done(&fake);
}

/* Labels of numbers end where the numbers do, also in Japanese. */
static void
test_labels(void **state)
{
    (void)state;
    fake_memo(&fake);
    for (int lang = 0; lang < BH_LANGS; lang++) {
        struct bh_buf out = written("text", (enum bh_lang)lang, 80, false);
        const char *label = bh_word(BH_W_COL_SHARE, (enum bh_lang)lang);
        const char *at = out.data;
        struct line l;
        size_t headers = 0;
        while (next_line(&at, &l)) {
            struct token k[TOKENS];
            size_t n = tokens_of(&l, k), share = 0;
            while (share < n && (k[share].len != strlen(label) ||
                                 memcmp(k[share].s, label, k[share].len) != 0)) {
                share++;
            }
            if (share == n) {
                continue;
            }
            const size_t want_share = k[share].end, want_count = k[share - 1].end;
            struct table t = { .share = want_share, .count = want_count };
            while (t.rows == 0 && next_line(&at, &l)) {
                table_row(&t, &l, 2);
            }
            headers += t.rows;
        }
        assert_true(headers >= 3);
        bh_buf_done(&out);
    }
    fake_done(&fake);
}

/* Rules of Japanese type: what no line may begin or end with. */
static void
test_line_breaks(void **state)
{
    (void)state;
    static const char *const no_begin[] = {
        "、", "。", "）", "」", "』", "・", "ー", ",", ".", ")"
    };
    static const char *const no_end[] = { "（", "「", "『", "(", "[" };
    fake_memo(&fake);
    assert_int_equal(bh_report_remark(&fake.report), 0);
    for (unsigned columns = 80; columns < 130; columns++) {
        struct bh_buf out = written("text", BH_JA, columns, false);
        const char *at = out.data;
        struct line l;
        while (next_line(&at, &l)) {
            size_t blank = 0;
            while (blank < l.len && l.s[blank] == ' ') {
                blank++;
            }
            assert_true(width_of(l.s, l.len) <= columns);
            for (size_t i = 0; i < BH_COUNT(no_begin); i++) {
                if (l.len > blank && strncmp(l.s + blank, no_begin[i], strlen(no_begin[i])) == 0) {
                    fail_msg("%u columns, begins: %.*s", columns, (int)l.len, l.s);
                }
            }
            for (size_t i = 0; i < BH_COUNT(no_end); i++) {
                size_t n = strlen(no_end[i]);
                if (l.len >= n && memcmp(l.s + l.len - n, no_end[i], n) == 0) {
                    fail_msg("%u columns, ends: %.*s", columns, (int)l.len, l.s);
                }
            }
        }
        bh_buf_done(&out);
    }
    fake_done(&fake);
}

/* ---- drawing ----------------------------------------------------------------------------------------- */

static const char *const across[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█" };
static const char *const upward[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };

/* A bar in eighths of a column. */
static unsigned
eighths_of(const struct bh_buf *bar)
{
    unsigned n = 0;
    for (size_t at = 0; at < bar->len; at += 3) {
        unsigned k = 1;
        while (k < 8 && memcmp(bar->data + at, across[k], 3) != 0) {
            k++;
        }
        assert_memory_equal(bar->data + at, across[k], 3);
        assert_true(k == 8 || at + 3 == bar->len); /* only the last one is a part */
        n += k;
    }
    return n;
}

static void
test_bars(void **state)
{
    (void)state;
    static const struct {
        uint64_t part, whole;
        unsigned width, eighths;
    } cases[] = {
        { 0, 800, 10, 0 },
        { 1, 800, 10, 1 },
        { 5, 800, 10, 1 },
        { 14, 800, 10, 1 },
        { 15, 800, 10, 2 },
        { 24, 800, 10, 2 },
        { 25, 800, 10, 3 },
        { 400, 800, 10, 40 },
        { 795, 800, 10, 80 },
        { 800, 800, 10, 80 },
        { 801, 800, 10, 80 },
        { 5, 0, 10, 0 },
        { 0, 0, 10, 0 },
        { 1, UINT64_MAX, 6, 1 },
        { UINT64_MAX, UINT64_MAX, 6, 48 },
        { UINT64_MAX / 2, UINT64_MAX, 6, 24 },
        { 7, 8, 1, 7 },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_buf bar = { 0 };
        bh_draw_bar(&bar, cases[i].part, cases[i].whole, cases[i].width);
        if (eighths_of(&bar) != cases[i].eighths) {
            fail_msg("%llu of %llu: %u eighths", (unsigned long long)cases[i].part,
                     (unsigned long long)cases[i].whole, eighths_of(&bar));
        }
        bh_buf_done(&bar);
    }
    unsigned before = 0;
    for (uint64_t part = 0; part <= 1000; part++) {
        struct bh_buf bar = { 0 };
        bh_draw_bar(&bar, part, 1000, 14);
        assert_true(eighths_of(&bar) >= before);
        assert_true((eighths_of(&bar) > 0) == (part > 0));
        before = eighths_of(&bar);
        bh_buf_done(&bar);
    }
}

static void
test_sparks(void **state)
{
    (void)state;
    static const struct {
        uint32_t counts[16];
        size_t bins;
        unsigned width;
        const char *want;
    } cases[] = {
        { { 0, 1, 2, 3, 4, 5, 6, 7, 8 }, 9, 16, " ▁▂▃▄▅▆▇█" },
        { { 0, 0, 0 }, 3, 16, "   " },
        { { 0, 1, 4000000000U }, 3, 16, " ▁█" },
        { { 1, 1, 2, 2, 4, 4, 0, 0 }, 8, 4, "▂▄█ " }, /* two bins to a column */
        { { 4000000000U, 4000000000U, 0, 1 }, 4, 2, "█▁" },
        { { 5 }, 1, 16, "█" },
        { { 5 }, 0, 16, "" },
        { { 5 }, 1, 0, "" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_buf out = { 0 };
        bh_draw_spark(&out, cases[i].counts, cases[i].bins, cases[i].width);
        assert_string_equal(out.data == NULL ? "" : out.data, cases[i].want);
        bh_buf_done(&out);
    }
    static uint32_t many[1000];
    struct bh_buf out = { 0 };
    many[999] = 1;
    bh_draw_spark(&out, many, 1000, 1000); /* as many columns as there is room for, no more */
    assert_true(width_of(out.data, out.len) <= 64);
    bh_buf_done(&out);
}

static void
test_chart(void **state)
{
    (void)state;
    struct bh_trend_bin bins[8] = {
        { 0, 0, 0, false },  { 0, 1, 1, false }, { 0, 8, 1, false },  { 0, 16, 1, false },
        { 0, 999, 0, true }, { 0, 0, 0, true },  { 0, 31, 1, false }, { 0, 32, 1, false },
    };
    struct bh_trend t = { .bins = bins, .bin_count = 8, .bin = BH_BIN_DAY };
    struct bh_chart c;
    bh_draw_chart(&t, 20, 4, &c);
    assert_int_equal(c.width, 8);
    assert_int_equal(c.highest, 32); /* what a gap says does not count */
    assert_true(c.has_gap);
    assert_string_equal(c.rows[0], "      ▇█");
    assert_string_equal(c.rows[1], "      ██");
    assert_string_equal(c.rows[2], "   █  ██");
    assert_string_equal(c.rows[3], " ▁██··██");
    bh_draw_chart(&t, 4, 1, &c); /* means of two; a column is a gap when half of it is */
    assert_int_equal(c.width, 4);
    assert_int_equal(c.bins_per_column, 2);
    assert_string_equal(c.rows[0], "▁▃·█");
    bh_draw_chart(&t, 0, 100, &c);
    assert_int_equal(c.width, 1);
    assert_true(c.row_count <= 8);
    t.bin_count = 0;
    bh_draw_chart(&t, 20, 4, &c);
    assert_int_equal(c.width, 0);

    static struct bh_trend_bin many[5000];
    t = (struct bh_trend){ .bins = many, .bin_count = BH_COUNT(many) };
    for (size_t i = 0; i < BH_COUNT(many); i++) {
        many[i].count = UINT64_MAX / 16384;
    }
    for (size_t width = 1; width < 400; width += 7) {
        bh_draw_chart(&t, width, 4, &c);
        assert_true(c.width <= width && c.width <= 300);
        assert_int_equal(width_of(c.rows[0], strlen(c.rows[0])), c.width);
        assert_memory_equal(c.rows[0], upward[8], 3);
    }
}

/* ---- colour -------------------------------------------------------------------------------------------- */

/* Without its escape sequences and the blanks at the ends of lines. */
static void
plain_text(const struct bh_buf *colored, struct bh_buf *out)
{
    bool inside = false;
    for (size_t i = 0; i < colored->len; i++) {
        const char c = colored->data[i];
        if (c == '\x1b') {
            /* Quiet, strong, drawn, and the end of each: nothing else, and never nested. */
            static const char *const begins[] = { "\x1b[1m", "\x1b[2m", "\x1b[36m" };
            bool known = inside && strncmp(colored->data + i, "\x1b[0m", 4) == 0;
            for (size_t k = 0; k < BH_COUNT(begins) && !inside; k++) {
                known |= strncmp(colored->data + i, begins[k], strlen(begins[k])) == 0;
            }
            assert_true(known);
            inside = !inside;
            i += strcspn(colored->data + i, "m");
            continue;
        }
        if (c == '\n') {
            assert_false(inside); /* no colour runs over the end of a line */
            while (out->len > 0 && out->data[out->len - 1] == ' ') {
                out->len--;
            }
        }
        bh_buf_putc(out, c);
    }
    assert_false(inside);
}

static void
test_color(void **state)
{
    (void)state;
    static const unsigned widths[] = { 80, 100, 120, 200 };
    fake_memo(&fake);
    assert_int_equal(bh_report_remark(&fake.report), 0);
    for (size_t i = 0; i < BH_COUNT(widths); i++) {
        for (int lang = 0; lang < BH_LANGS; lang++) {
            struct bh_buf plain = written("text", (enum bh_lang)lang, widths[i], false);
            struct bh_buf colored = written("text", (enum bh_lang)lang, widths[i], true);
            struct bh_buf stripped = { 0 };
            assert_null(strchr(plain.data, '\x1b'));
            assert_non_null(strchr(colored.data, '\x1b'));
            plain_text(&colored, &stripped);
            assert_string_equal(stripped.data, plain.data);
            bh_buf_done(&plain);
            bh_buf_done(&colored);
            bh_buf_done(&stripped);
        }
    }
    for (size_t i = 0; i < bh_writers_count; i++) { /* a matter of terminals only */
        struct bh_buf out = written(bh_writers[i].name, BH_EN, 80, true);
        assert_true((strchr(out.data, '\x1b') != NULL) ==
                    (strcmp(bh_writers[i].name, "text") == 0));
        bh_buf_done(&out);
    }
    fake_done(&fake);
}

/* ---- JSON ------------------------------------------------------------------------------------------------- */

static const char *
json_skip(const char *s)
{
    int depth = 0;
    do {
        if (*s == '"') {
            for (s++; *s != '"'; s++) {
                assert_true((uint8_t)*s >= 0x20);
                s += *s == '\\';
            }
        }
        depth += (*s == '{' || *s == '[') - (*s == '}' || *s == ']');
        s++;
        if (depth == 0 && strchr(",:}] \n", *s) != NULL) {
            return s;
        }
        assert_int_not_equal(*s, '\0');
    } while (true);
}

static const char *
json_blank(const char *s)
{
    return s + strspn(s, " \n");
}

/* The value at "health.notes.0.text"; it must be there. */
static const char *
json_at(const char *s, const char *path)
{
    s = json_blank(s);
    while (*path != '\0') {
        size_t len = strcspn(path, ".");
        unsigned long index = strtoul(path, NULL, 10);
        bool list = *s == '[';
        assert_true(list || *s == '{');
        for (s = json_blank(s + 1);
             list ? index-- > 0 : strncmp(s + 1, path, len) != 0 || s[1 + len] != '"';) {
            if (!list) {
                s = json_blank(json_skip(s));
                assert_int_equal(*s, ':');
                s = json_blank(s + 1);
            }
            s = json_blank(json_skip(s));
            if (*s != ',') {
                fail_msg("no %s", path);
            }
            s = json_blank(s + 1);
        }
        if (!list) {
            s = json_blank(s + len + 2);
            assert_int_equal(*s, ':');
            s = json_blank(s + 1);
        }
        path += len + (path[len] == '.');
    }
    return s;
}

/* A string as the reader of the JSON has it. */
static void
json_text(const char *s, struct bh_buf *out)
{
    assert_int_equal(*s, '"');
    for (s++; *s != '"'; s++) {
        if (*s != '\\') {
            bh_buf_putc(out, *s);
        } else if (*++s == 'u') {
            char hex[5] = { s[1], s[2], s[3], s[4], '\0' };
            unsigned long code = strtoul(hex, NULL, 16);
            if (code >= 0x800) {
                bh_buf_putc(out, (char)(0xe0 | code >> 12));
            }
            if (code >= 0x80) {
                bh_buf_putc(out,
                            (char)(code >= 0x800 ? 0x80 | (code >> 6 & 0x3f) : 0xc0 | code >> 6));
            }
            bh_buf_putc(out, (char)(code >= 0x80 ? 0x80 | (code & 0x3f) : code));
            s += 4;
        } else {
            assert_true(*s == '"' || *s == '\\');
            bh_buf_putc(out, *s);
        }
    }
}

static void
assert_json_text(const struct bh_buf *json, const char *path, const char *want)
{
    struct bh_buf got = { 0 };
    json_text(json_at(json->data, path), &got);
    assert_string_equal(got.data == NULL ? "" : got.data, want);
    bh_buf_done(&got);
}

static void
assert_json_number(const struct bh_buf *json, const char *path, const char *want)
{
    const char *s = json_at(json->data, path);
    size_t len = (size_t)(json_skip(s) - s);
    if (len != strlen(want) || memcmp(s, want, len) != 0) {
        fail_msg("%s: %.*s, not %s", path, (int)len, s, want);
    }
}

/* What strangers write; and how it comes out of JSON, CSV and Markdown. */
static const struct {
    const char *in, *json, *csv, *md;
} strange[] = {
    { "plain", NULL, NULL, NULL },
    { "a \"quoted\" text, with commas", NULL, NULL, NULL },
    { "back\\slash \\\" \\u0041", NULL, NULL, "back\\\\slash \\\\\" \\\\u0041" },
    { "line\nfeed\r\ttab\x1b[2J\x07\x7f", NULL, "line\\x0afeed\\x0d\\x09tab\\x1b[2J\\x07\\x7f",
      "line\\\\x0afeed\\\\x0d\\\\x09tab\\\\x1b\\[2J\\\\x07\\\\x7f" },
    { "broken \xff\xc3( \xed\xa0\x80 \xc0\xaf",
      "broken \xef\xbf\xbd\xef\xbf\xbd( \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd",
      "broken \\xff\\xc3( \\xed\\xa0\\x80 \\xc0\\xaf", NULL },
    { "turned \xe2\x80\xae text \xc2\x9b", NULL, "turned \\xe2\\x80\\xae text \\xc2\\x9b", NULL },
    { "登録国 \xf0\x9f\x98\x80", NULL, NULL, NULL },
    { "=1+2", NULL, "'=1+2", "\\=1+2" },
    { "+1", NULL, "'+1", "\\+1" },
    { "-1", NULL, "'-1", "\\-1" },
    { "@SUM(A1)", NULL, "'@SUM(A1)", "\\@SUM(A1)" },
    { "\xef\xbc\x9d"
      "1",
      NULL,
      "'\xef\xbc\x9d"
      "1",
      NULL },
    { "a=1", NULL, NULL, NULL },
    { "# head", NULL, NULL, "\\# head" },
    { "1. first", NULL, NULL, "1\\. first" },
    { "12) first", NULL, NULL, "12\\) first" },
    { "1.5 of them", NULL, NULL, NULL },
    { "    code", NULL, NULL, "&#32;   code" },
    { "a|b `c` *d* _e_ ~f~", NULL, NULL, "a\\|b \\`c\\` \\*d\\* \\_e\\_ \\~f\\~" },
    { "<b>x</b> &amp; ![i](j) [k](l)", NULL, NULL,
      "\\<b\\>x\\</b\\> \\&amp; \\!\\[i\\](j) \\[k\\](l)" },
    { "https://example.org www.example.org a@example.org", NULL, NULL,
      "https\\://example.org www\\.example.org a\\@example.org" },
    { "$x$ {y}", NULL, NULL, "\\$x\\$ \\{y\\}" },
};

static struct bh_capture_note strange_note;
static const char *strange_files[1];

static void
set_strange(const char *text)
{
    fake_memo(&fake);
    strange_files[0] = text;
    memset(&strange_note, 0, sizeof strange_note);
    snprintf(strange_note.error.text[BH_EN], sizeof strange_note.error.text[BH_EN], "%s", text);
    fake.report.options.files = strange_files;
    fake.report.notes = &strange_note;
    fake.report.note_count = 1;
    snprintf(fake.report.filter_text, sizeof fake.report.filter_text, "%s", text);
    snprintf(fake.report.zone, sizeof fake.report.zone, "%s", text);
    fake.visits[0] = (struct bh_trend_visit){ 25, BH_PROTO_TCP, text, 1, 1 };
    fake.trend.visit_count = 1;
}

static void
test_json_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < BH_COUNT(strange); i++) {
        const char *want = strange[i].json == NULL ? strange[i].in : strange[i].json;
        set_strange(strange[i].in);
        struct bh_buf out = written("json", BH_EN, 80, false);
        for (size_t k = 0; k < out.len; k++) { /* a terminal may show it as it is */
            assert_true((uint8_t)out.data[k] >= 0x20 || out.data[k] == '\n');
        }
        assert_null(strstr(out.data, "\xe2\x80\xae"));
        assert_json_text(&out, "filter", want);
        assert_json_text(&out, "period.timezone", want);
        assert_json_text(&out, "visits.0.offered_to", want);
        assert_json_text(&out, "health.notes.0.text", want);
        assert_json_text(&out, "health.notes.0.file", want);
        bh_buf_done(&out);
        fake_done(&fake);
    }
}

static void
test_json_numbers(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *want;
    } reals[] = {
        { 0, "0" },
        { 1, "1" },
        { -3, "-3" },
        { 0.5, "0.5" },
        { 1e15, "1000000000000000" },
        { 0.1, "0.1" },
        { 1.0 / 3, "0.333333333" },
        { 1e-7, "1e-07" },
        { NAN, "null" },
        { INFINITY, "null" },
        { -INFINITY, "null" },
        { 9007199254740993.0 * 1024, "9.22337204e+18" },
    };
    fake_memo(&fake);
    assert_int_equal(bh_report_remark(&fake.report), 0);
    for (size_t i = 0; i < BH_COUNT(reals); i++) {
        fake.report.remarks[0].numbers[0].value = reals[i].value;
        char path[80];
        snprintf(path, sizeof path, "remarks.0.numbers.%s", fake.report.remarks[0].numbers[0].name);
        struct bh_buf out = written("json", BH_EN, 80, false);
        assert_json_number(&out, path, reals[i].want);
        bh_buf_done(&out);
    }
    fake.trend.frames = UINT64_MAX;
    struct bh_buf out = written("json", BH_EN, 80, false);
    assert_json_number(&out, "totals.frames", "18446744073709551615");
    assert_json_number(&out, "countries.0.rank", "1");
    assert_json_number(&out, "home_country.rank", "null");
    assert_json_number(&out, "timeline.69.gap", "true");
    bh_buf_done(&out);
    fake_done(&fake);
}

/* MEANING.md 4: shares are rounded half up to six decimals. */
static void
test_shares(void **state)
{
    (void)state;
    static const struct {
        uint64_t part, whole;
        const char *want;
    } cases[] = {
        { 1, 3, "0.333333" },
        { 2, 3, "0.666667" },
        { 1, 1, "1.000000" },
        { 0, 5, "0.000000" },
        { 0, 0, "0.000000" },
        { 1, 2000000, "0.000001" },
        { 1, 2000001, "0.000000" },
        { 3, 2000000, "0.000002" },
        { 5, 2000000, "0.000003" },
        { 1999999, 2000000, "1.000000" },
        { 1999998, 2000000, "0.999999" },
        { UINT64_MAX, UINT64_MAX, "1.000000" },
        { UINT64_MAX / 2, UINT64_MAX, "0.500000" },
        { UINT64_MAX - 1, UINT64_MAX, "1.000000" },
        { 4885, 10900, "0.448165" },
    };
    fake_memo(&fake);
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        fake.places[0].count = cases[i].part;
        fake.trend.count_total = cases[i].whole;
        struct bh_buf json = written("json", BH_EN, 80, false),
                      csv = written("csv", BH_EN, 80, false);
        assert_json_number(&json, "countries.0.share", cases[i].want);
        char line[64];
        snprintf(line, sizeof line, "\r\ncountries,US,United States,,,,%llu,%s,",
                 (unsigned long long)cases[i].part, cases[i].want);
        assert_non_null(strstr(csv.data, line));
        bh_buf_done(&json);
        bh_buf_done(&csv);
    }
    fake_done(&fake);
}

/* ---- CSV ----------------------------------------------------------------------------------------------------- */

#define CSV_COLUMNS 12U

/* One line of RFC 4180: 12 cells, CRLF. */
static const char *
csv_line(const char *s, struct bh_buf *cells)
{
    for (size_t c = 0; c < CSV_COLUMNS; c++) {
        cells[c].len = 0;
        bool quoted = *s == '"';
        for (s += quoted; quoted ? *s != '"' || s[1] == '"' : strchr(",\r", *s) == NULL; s++) {
            assert_int_not_equal(*s, '\0');
            assert_true(quoted || *s != '"');
            s += quoted && *s == '"';
            bh_buf_putc(&cells[c], *s);
        }
        s += quoted;
        assert_int_equal(*s, c + 1 < CSV_COLUMNS ? ',' : '\r');
        s++;
        bh_buf_putc(&cells[c], '\0');
    }
    assert_int_equal(*s, '\n');
    return s + 1;
}

/* The cell of the `nth` line of a section. */
static void
csv_cell(const struct bh_buf *csv, const char *section, const char *name, size_t column, char *ret,
         size_t size)
{
    struct bh_buf cells[CSV_COLUMNS] = { 0 };
    bool found = false;
    for (const char *s = csv->data; *s != '\0' && !found;) {
        s = csv_line(s, cells);
        found = strcmp(cells[0].data, section) == 0 &&
                (name == NULL || strcmp(cells[2].data, name) == 0);
    }
    snprintf(ret, size, "%s", found ? cells[column].data : "(no such line)");
    for (size_t c = 0; c < CSV_COLUMNS; c++) {
        bh_buf_done(&cells[c]);
    }
}

static void
test_csv_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < BH_COUNT(strange); i++) {
        const char *want = strange[i].csv == NULL ? strange[i].in : strange[i].csv;
        char got[600], note[600];
        set_strange(strange[i].in);
        struct bh_buf out = written("csv", BH_EN, 80, false);
        csv_cell(&out, "report", "filter", 11, got, sizeof got);
        assert_string_equal(got, want);
        csv_cell(&out, "health.notes", NULL, 2, got, sizeof got);
        assert_string_equal(got, want);
        csv_cell(&out, "visits", NULL, 2, got, sizeof got);
        assert_string_equal(got, want);
        /* Inside a cell it is no formula. */
        snprintf(note, sizeof note, "damaged=false; text=%s",
                 want + (want[0] == '\'' && strange[i].in[0] != '\''));
        csv_cell(&out, "health.notes", NULL, 11, got, sizeof got);
        assert_string_equal(got, note);
        bh_buf_done(&out);
        fake_done(&fake);
    }
}

/* As many lines in each section as JSON has entries; nothing begins like a formula. */
static void
test_csv_lines(void **state)
{
    (void)state;
    fake_memo(&fake);
    assert_int_equal(bh_report_remark(&fake.report), 0);
    struct bh_buf out = written("csv", BH_JA, 80, false);
    struct bh_buf cells[CSV_COLUMNS] = { 0 };
    size_t countries = 0, ports = 0, rows = 0, crossed = 0, bins = 0, remarks = 0, want_cells = 0;
    for (const char *s = out.data; *s != '\0';) {
        s = csv_line(s, cells);
        for (size_t c = 0; c < CSV_COLUMNS; c++) {
            assert_null(cells[c].data[0] == '\0' ? NULL : strchr("=+-@\t\r", cells[c].data[0]));
        }
        countries += strcmp(cells[0].data, "countries") == 0;
        ports += strcmp(cells[0].data, "countries.ports") == 0;
        rows += strcmp(cells[0].data, "crosstab") == 0;
        crossed += strcmp(cells[0].data, "crosstab.countries") == 0;
        bins += strcmp(cells[0].data, "timeline") == 0;
        remarks += strcmp(cells[0].data, "remarks") == 0;
    }
    for (size_t i = 0; i < fake.trend.crosstab_count; i++) {
        want_cells += fake.trend.crosstab[i].cell_count;
    }
    assert_int_equal(countries, 10);
    assert_int_equal(ports, 50);
    assert_int_equal(rows, fake.trend.crosstab_count);
    assert_int_equal(crossed, want_cells);
    assert_int_equal(bins, FAKE_BINS);
    assert_int_equal(remarks, fake.report.remark_count);
    for (size_t c = 0; c < CSV_COLUMNS; c++) {
        bh_buf_done(&cells[c]);
    }
    bh_buf_done(&out);
    fake_done(&fake);
}

/* ---- Markdown --------------------------------------------------------------------------------------------------- */

static void
test_markdown_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < BH_COUNT(strange); i++) {
        if (strange[i].md == NULL && strange[i].csv != NULL) {
            continue;
        }
        char want[600];
        const char *md = strange[i].md == NULL ? strange[i].in : strange[i].md;
        set_strange(strange[i].in);
        struct bh_buf out = written("md", BH_EN, 80, false);
        snprintf(want, sizeof want, "\n- %s: ", md); /* a list item begins with the file */
        if (strstr(out.data, want) == NULL) {
            fail_msg("%s is not there:%s", want, strstr(out.data, "About"));
        }
        snprintf(want, sizeof want, "| %s |\n", md); /* a cell of a table */
        assert_non_null(strstr(out.data, want));
        bh_buf_done(&out);
        fake_done(&fake);
    }
}

/* Each row of a table has as many cells as its head; fences are closed. */
static void
test_markdown_tables(void **state)
{
    (void)state;
    for (int lang = 0; lang < BH_LANGS; lang++) {
        set_strange("a|b\\|c\\");
        struct bh_buf out = written("md", (enum bh_lang)lang, 80, false);
        const char *at = out.data;
        struct line l;
        size_t cells = 0, fences = 0, tables = 0;
        while (next_line(&at, &l)) {
            fences += l.len >= 3 && memcmp(l.s, "```", 3) == 0;
            if (fences % 2 == 1 || l.len == 0 || l.s[0] != '|') {
                cells = 0;
                continue;
            }
            size_t n = 0;
            for (size_t i = 0; i < l.len; i++) {
                n += l.s[i] == '|';
                i += l.s[i] == '\\';
            }
            tables += cells == 0;
            assert_true(cells == 0 || n == cells);
            cells = n;
        }
        assert_int_equal(fences, 2);
        assert_true(tables >= 5);
        bh_buf_done(&out);
        fake_done(&fake);
    }
}

/* ---- bounds ------------------------------------------------------------------------------------------------------ */

/* A bound that was reached is said, in every format, whichever it was. */
static void
test_bounds_said(void **state)
{
    (void)state;
    fake_memo(&fake);
    struct bh_trend *t = &fake.trend;
    uint64_t *const bounds[] = { &t->bounds.flows_lost,   &t->bounds.conversations_lost,
                                 &t->bounds.repeats_lost, &t->bounds.held_early,
                                 &t->sources_over,        &t->places_over,
                                 &t->bins_over,           &t->memory_over };
    for (size_t i = 0; i < BH_COUNT(bounds); i++) {
        *bounds[i] = 12345;
        for (size_t w = 0; w < bh_writers_count; w++) {
            for (int lang = 0; lang < BH_LANGS; lang++) {
                struct bh_buf out = written(bh_writers[w].name, (enum bh_lang)lang, 200, false);
                assert_true(strstr(out.data, "bounds_reached") != NULL ||
                            strstr(out.data, "bounds\\_reached") != NULL);
                if (bh_writers[w].write == bh_writer_find("json")->write) {
                    assert_json_number(&out, "health.bounds_reached.0.count", "12345");
                }
                bh_buf_done(&out);
            }
        }
        *bounds[i] = 0;
    }
    t->approximate = true;
    t->approximate_error = 0.0325;
    struct bh_buf out = written("text", BH_EN, 80, false);
    assert_non_null(strstr(out.data, "approximate (within 3.3%)"));
    bh_buf_done(&out);
    fake_done(&fake);
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
        cmocka_unit_test(test_straight),       cmocka_unit_test(test_labels),
        cmocka_unit_test(test_line_breaks),    cmocka_unit_test(test_bars),
        cmocka_unit_test(test_sparks),         cmocka_unit_test(test_chart),
        cmocka_unit_test(test_color),          cmocka_unit_test(test_json_texts),
        cmocka_unit_test(test_json_numbers),   cmocka_unit_test(test_shares),
        cmocka_unit_test(test_csv_texts),      cmocka_unit_test(test_csv_lines),
        cmocka_unit_test(test_markdown_texts), cmocka_unit_test(test_markdown_tables),
        cmocka_unit_test(test_bounds_said),
    };
    return cmocka_run_group_tests(tests, set_zone, NULL);
}
