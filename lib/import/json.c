/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects of RFC 8259, one after the other: in lines, in one array, or with any blanks between.
 * An object is first found whole, then its members are told. What is no object is given up up to
 * the end of its line: after that the next may be good.
 */
#include "import_priv.h"

#include <errno.h>

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *
skip_blanks(const char *p, const char *end)
{
    while (p < end && is_blank(*p)) {
        p++;
    }
    return p;
}

/* Behind the string that begins at `p` with its quote; NULL: it does not end (yet, or rightly). */
static const char *
string_end(const char *p, const char *end, bool *ret_bad)
{
    for (p++; p < end; p++) {
        if (*p == '"') {
            return p + 1;
        }
        if (*p == '\n') { /* never raw in a string: the line is broken, the next may be good */
            *ret_bad = true;
            return NULL;
        }
        p += *p == '\\' && p + 1 < end && p[1] != '\n';
    }
    return NULL;
}

/* Behind the object or array that begins at `p`; NULL as above. */
static const char *
nested_end(const char *p, const char *end, bool *ret_bad)
{
    size_t depth = 0;
    while (p < end) {
        switch (*p) {
        case '"':
            p = string_end(p, end, ret_bad);
            if (p == NULL) {
                return NULL;
            }
            continue;
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            if (--depth == 0) {
                return p + 1;
            }
            break;
        default:
            break;
        }
        p++;
    }
    return NULL;
}

/* A value from `p` on: behind it; NULL: none. */
static const char *
value_end(const char *p, const char *end)
{
    bool is_bad;
    if (*p == '"') {
        return string_end(p, end, &is_bad);
    }
    if (*p == '{' || *p == '[') {
        return nested_end(p, end, &is_bad);
    }
    const char *from = p;
    while (p < end && *p != ',' && *p != '}' && !is_blank(*p) && *p != '"' && *p != '{' &&
           *p != '[') {
        p++;
    }
    return p == from ? NULL : p;
}

/* The members between the braces. False: not well formed. */
static bool
tell_members(const char *p, const char *end, json_member *member, void *arg)
{
    bool is_bad;
    p = skip_blanks(p + 1, end);
    if (p < end && *p == '}') {
        return true;
    }
    for (;;) {
        if (p >= end || *p != '"') {
            return false;
        }
        const char *behind = string_end(p, end, &is_bad);
        if (behind == NULL) {
            return false;
        }
        struct cell key = { p + 1, (size_t)(behind - p) - 2 };
        p = skip_blanks(behind, end);
        if (p >= end || *p != ':') {
            return false;
        }
        p = skip_blanks(p + 1, end);
        behind = p < end ? value_end(p, end) : NULL;
        if (behind == NULL) {
            return false;
        }
        bool is_string = *p == '"';
        member(arg, key, (struct cell){ p + is_string, (size_t)(behind - p) - 2 * is_string },
               is_string);
        p = skip_blanks(behind, end);
        if (p >= end || (*p != ',' && *p != '}')) {
            return false;
        }
        if (*p == '}') {
            return p + 1 == end;
        }
        p = skip_blanks(p + 1, end);
    }
}

static void
count_lines(struct text *t, const char *from, const char *to)
{
    while ((from = memchr(from, '\n', (size_t)(to - from))) != NULL) {
        t->next_line++;
        from++;
    }
}

static int
give_up_line(struct text *t, bool is_too_long)
{
    char *from = t->buf + t->at;
    char *newline = memchr(from, '\n', t->len - t->at);
    size_t n = newline != NULL ? (size_t)(newline - from) : t->len - t->at;
    t->line = t->next_line;
    t->broken = (struct cell){ from, n };
    t->at += n + (newline != NULL);
    t->next_line += newline != NULL;
    t->in_long_line = newline == NULL && is_too_long;
    return JSON_BROKEN;
}

/* Between objects: blanks, commas, the brackets of an array, RFC 7464's separator. */
static bool
is_between(char c)
{
    return is_blank(c) || c == ',' || c == '[' || c == ']' || c == '\x1e';
}

int
json_next(struct text *t, json_member *member, void *arg)
{
    int passed = BH_UNLIKELY(t->in_long_line) ? text_pass_long_line(t) : 0;
    if (passed < 0) {
        return passed;
    }
    for (;;) {
        while (t->at < t->len && is_between(t->buf[t->at])) {
            t->next_line += t->buf[t->at++] == '\n';
        }
        if (t->at == t->len && t->ended) {
            int r = text_end(t);
            return r < 0 ? r : JSON_END;
        }
        const char *p = t->buf + t->at;
        const char *const end = t->buf + t->len;
        if (p < end) {
            bool is_bad = *p != '{';
            const char *behind = is_bad ? NULL : nested_end(p, end, &is_bad);
            if (is_bad || (behind == NULL && t->ended)) {
                return give_up_line(t, false);
            }
            if (behind != NULL) {
                if (!tell_members(p, behind, member, arg)) {
                    return give_up_line(t, false);
                }
                t->line = t->next_line;
                t->object = (struct cell){ p, (size_t)(behind - p) };
                count_lines(t, p, behind);
                t->at = (size_t)(behind - t->buf);
                return JSON_OBJECT;
            }
        }
        int r = text_fill(t);
        if (r == -EMSGSIZE) {
            return give_up_line(t, true);
        }
        if (r < 0) {
            t->ended = true;
            t->at = t->len;
            return r;
        }
    }
}

/* ---- escapes ------------------------------------------------------------------------------------------ */

static int
hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int d = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (d < 0) {
            return -1;
        }
        v = v << 4 | d;
    }
    return v;
}

struct cell
json_unescape(struct cell c)
{
    if (memchr(c.at, '\\', c.len) == NULL) {
        return c;
    }
    char *to = (char *)(uintptr_t)c.at;
    size_t len = 0;
    for (size_t i = 0; i < c.len; i++) {
        if (c.at[i] != '\\' || i + 1 == c.len) {
            to[len++] = c.at[i];
            continue;
        }
        char e = c.at[++i];
        int code = e == 'u' && c.len - i > 4 ? hex4(c.at + i + 1) : -1;
        if (code >= 0) {
            i += 4;
            to[len++] = code < 0x80 ? (char)code : '?'; /* what we look for is ASCII */
        } else {
            to[len++] = e == 'n'               ? '\n'
                        : e == 't'             ? '\t'
                        : e == 'r'             ? '\r'
                        : e == 'b' || e == 'f' ? ' '
                                               : e;
        }
    }
    return (struct cell){ c.at, len };
}
