/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RFC 4180, and what is found beside it: LF or CRLF, commas, semicolons or tabs, a byte order mark,
 * quoted cells with line breaks inside, rows of uneven length.
 *
 * A record is cut into cells where it lies. A quote that never ends must not swallow the rest of the
 * file: the line is given up alone.
 */
#include "import_priv.h"

#include <errno.h>

/* ---- cells -------------------------------------------------------------------------------------- */

enum scan { SCAN_WHOLE, SCAN_SHORT };

/* Past the closing quote; NULL when it is not there (yet). */
static char *
quoted_end(const struct csv *c, char *from, char *end, bool *ret_escaped)
{
    for (char *p = from;;) {
        char *q = memchr(p, '"', (size_t)(end - p));
        if (q == NULL || (q + 1 == end && !c->text->ended)) {
            return NULL;
        }
        if (q + 1 == end || q[1] != '"') {
            return q + 1;
        }
        *ret_escaped = true;
        p = q + 2;
    }
}

static uint64_t
count_lines(const char *p, size_t n)
{
    uint64_t lines = 0;
    const char *end = p + n;
    while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        lines++;
        p++;
    }
    return lines;
}

/* One record from c->text->at on: its cells, and where the next begins. */
static enum scan
scan_record(struct csv *c, size_t *ret_next, uint64_t *ret_lines)
{
    char *p = c->text->buf + c->text->at;
    char *const end = c->text->buf + c->text->len;
    const char delimiter = c->delimiter;
    c->count = 0;
    *ret_lines = 0;
    for (;;) {
        struct cell cell = { p, 0 };
        bool is_escaped = false;
        if (p < end && *p == '"') {
            char *behind = quoted_end(c, p + 1, end, &is_escaped);
            if (behind == NULL) {
                return SCAN_SHORT;
            }
            cell = (struct cell){ p + 1, (size_t)(behind - p) - 2 };
            *ret_lines += count_lines(cell.at, cell.len);
            p = behind;
        }
        char *bare = p;
        while (p < end && *p != delimiter && *p != '\n') {
            p++;
        }
        if (p == end && !c->text->ended) {
            return SCAN_SHORT;
        }
        if (cell.at == bare) {
            cell.len = (size_t)(p - bare);
            if (cell.len > 0 && p[-1] == '\r' && (p == end || *p == '\n')) {
                cell.len--;
            }
        }
        if (c->count < CSV_CELLS_MAX) {
            c->cells[c->count] = cell;
            c->escaped[c->count] = is_escaped;
        }
        c->count++;
        if (p == end || *p == '\n') {
            *ret_lines += 1;
            *ret_next = (size_t)(p - c->text->buf) + (p < end);
            return SCAN_WHOLE;
        }
        p++;
    }
}

/* "" means ". In place: the record is whole, nobody reads it again. */
static void
unescape(struct csv *c)
{
    size_t n = c->count < CSV_CELLS_MAX ? c->count : CSV_CELLS_MAX;
    for (size_t i = 0; i < n; i++) {
        if (c->escaped[i] == 0) {
            continue;
        }
        char *to = c->text->buf + (c->cells[i].at - c->text->buf);
        size_t len = 0;
        for (size_t j = 0; j < c->cells[i].len; j++) {
            to[len++] = to[j];
            j += to[j] == '"';
        }
        c->cells[i].len = len;
    }
}

/* A quote without an end: the line alone is given up. */
static int
give_up_line(struct csv *c)
{
    char *from = c->text->buf + c->text->at;
    char *newline = memchr(from, '\n', c->text->len - c->text->at);
    size_t size = newline != NULL ? (size_t)(newline - from) + 1 : c->text->len - c->text->at;
    c->text->line = c->text->next_line;
    c->cells[0] = (struct cell){ from, size - (newline != NULL) };
    c->escaped[0] = 0;
    c->count = 1;
    c->text->next_line += newline != NULL;
    c->text->in_long_line = newline == NULL;
    c->text->at += size;
    return CSV_BROKEN;
}

int
csv_next(struct csv *c)
{
    int passed = text_pass_long_line(c->text);
    if (passed < 0) {
        return passed;
    }
    if (c->is_again) {
        c->is_again = false;
        return CSV_ROW;
    }
    for (;;) {
        if (c->text->at == c->text->len && c->text->ended) {
            int r = text_end(c->text);
            return r < 0 ? r : CSV_END;
        }
        size_t next;
        uint64_t lines;
        if (scan_record(c, &next, &lines) == SCAN_WHOLE) {
            bool is_empty = c->count == 1 && c->cells[0].len == 0;
            bool is_comment = c->is_zeek && c->text->buf[c->text->at] == '#';
            c->text->line = c->text->next_line;
            c->text->next_line += lines;
            c->text->at = next;
            if (is_empty || is_comment) {
                continue;
            }
            unescape(c);
            return CSV_ROW;
        }
        if (c->text->ended) {
            return give_up_line(c);
        }
        int r = text_fill(c->text);
        if (r == -EMSGSIZE) {
            return give_up_line(c);
        }
        if (r < 0) {
            /* What came before is lost with its row; reading again would not end. */
            c->text->ended = true;
            c->text->at = c->text->len;
            return r;
        }
    }
}

/* ---- the beginning -------------------------------------------------------------------------------- */

/* The most frequent of the three in the first line, outside of quotes; a comma when none is. */
static char
find_delimiter(const char *p, size_t n)
{
    size_t commas = 0;
    size_t semicolons = 0;
    size_t tabs = 0;
    bool quoted = false;
    for (size_t i = 0; i < n && (quoted || p[i] != '\n'); i++) {
        quoted ^= p[i] == '"';
        if (!quoted) {
            commas += p[i] == ',';
            semicolons += p[i] == ';';
            tabs += p[i] == '\t';
        }
    }
    return tabs > commas && tabs >= semicolons ? '\t' : semicolons > commas ? ';' : ',';
}

/* Pass over comment lines before the header. Zeek's "#fields" line is the header: it is left to
 * be read, without its word. */
static void
pass_comments(struct csv *c)
{
    while (c->text->at < c->text->len && c->text->buf[c->text->at] == '#') {
        if (text_begins_with(c->text, "#fields\t")) {
            c->text->at += 8;
            c->is_zeek = true;
            return;
        }
        char *newline = memchr(c->text->buf + c->text->at, '\n', c->text->len - c->text->at);
        if (newline == NULL) {
            return;
        }
        c->text->at = (size_t)(newline - c->text->buf) + 1;
        c->text->next_line++;
    }
}

int
csv_begin(struct csv *c, struct text *t, struct bh_error *err)
{
    *c = (struct csv){ .text = t };
    int r = look_check_text(t, false, err);
    if (r < 0) {
        return r;
    }
    pass_comments(c);
    c->delimiter = c->is_zeek ? '\t' : find_delimiter(t->buf + t->at, t->len - t->at);
    return 0;
}
