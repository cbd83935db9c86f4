/* SPDX-License-Identifier: BSD-2-Clause */
#include "bh_base.h"

#include <stdlib.h>

void
bh_buf_done(struct bh_buf *b)
{
    free(b->data);
    *b = (struct bh_buf){ 0 };
}

static bool
reserve(struct bh_buf *b, size_t more)
{
    if (b->failed) {
        return false;
    }
    if (more >= b->cap - b->len) {
        size_t cap = b->cap == 0 ? 256 : b->cap;
        while (cap - b->len <= more && cap < SIZE_MAX / 2) {
            cap *= 2;
        }
        char *data = realloc(b->data, cap);
        if (data == NULL) {
            b->failed = true;
            return false;
        }
        b->data = data;
        b->cap = cap;
    }
    return true;
}

void
bh_buf_add(struct bh_buf *b, const void *data, size_t n)
{
    if (n == 0 || !reserve(b, n)) {
        return;
    }
    memcpy(b->data + b->len, data, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void
bh_buf_puts(struct bh_buf *b, const char *s)
{
    bh_buf_add(b, s, strlen(s));
}

void
bh_buf_putc(struct bh_buf *b, char c)
{
    bh_buf_add(b, &c, 1);
}

void
bh_buf_printf(struct bh_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !reserve(b, (size_t)n)) {
        b->failed = true;
        return;
    }
    va_start(ap, fmt);
    vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

/*
 * One UTF-8 character at s (n octets left). Returns its length, 0 when it is not well formed
 * (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
 */
static size_t
utf8_next(const char *s, size_t n, uint32_t *ret_char)
{
    const uint8_t *p = (const uint8_t *)s;
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t len = p[0] < 0x80       ? 1
                 : p[0] >> 5 == 6  ? 2
                 : p[0] >> 4 == 14 ? 3
                 : p[0] >> 3 == 30 ? 4
                                   : 0;
    if (len == 0 || len > n) {
        return 0;
    }
    uint32_t c = len == 1 ? p[0] : (uint32_t)p[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        if (p[i] >> 6 != 2) {
            return 0;
        }
        c = c << 6 | (p[i] & 0x3fU);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
        return 0;
    }
    *ret_char = c;
    return len;
}

/* Characters that move the cursor, hide text or turn its direction. */
static bool
is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
           (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe007f);
}

void
bh_buf_put_safe(struct bh_buf *b, const char *s, size_t n)
{
    while (n > 0) {
        uint32_t c = 0;
        size_t len = utf8_next(s, n, &c);
        if (len == 0 || is_control(c)) {
            size_t bad = len == 0 ? 1 : len;
            for (size_t i = 0; i < bad; i++) {
                bh_buf_printf(b, "\\x%02x", (unsigned)(uint8_t)s[i]);
            }
            len = bad;
        } else {
            bh_buf_add(b, s, len);
        }
        s += len;
        n -= len;
    }
}

void
bh_buf_put_json(struct bh_buf *b, const char *s, size_t n)
{
    bh_buf_putc(b, '"');
    while (n > 0) {
        uint32_t c = 0;
        size_t len = utf8_next(s, n, &c);
        if (len == 0) {
            bh_buf_puts(b, "\xef\xbf\xbd");
            len = 1;
        } else if (c == '"' || c == '\\') {
            bh_buf_putc(b, '\\');
            bh_buf_putc(b, (char)c);
        } else if (is_control(c) && c < 0x10000) {
            bh_buf_printf(b, "\\u%04x", (unsigned)c);
        } else {
            bh_buf_add(b, s, len);
        }
        s += len;
        n -= len;
    }
    bh_buf_putc(b, '"');
}

void
bh_text_trim(char *s)
{
    size_t n = strlen(s);
    size_t tail = 0; /* octets of the last character behind its first */
    while (tail < 3 && tail < n && ((uint8_t)s[n - 1 - tail] & 0xc0) == 0x80) {
        tail++;
    }
    if (tail < n) {
        uint8_t lead = (uint8_t)s[n - 1 - tail];
        size_t len = lead > 0xf4 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
        if (len > tail + 1) {
            s[n - 1 - tail] = '\0';
        }
    }
}

/* Wide and fullwidth ranges of Unicode's East Asian Width that our texts can hold. */
static bool
is_wide(uint32_t c)
{
    return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0x303e) ||
           (c >= 0x3041 && c <= 0x33ff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x4e00 && c <= 0x9fff) || (c >= 0xa000 && c <= 0xa4cf) ||
           (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
           (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1f64f) ||
           (c >= 0x1f900 && c <= 0x1f9ff) || (c >= 0x20000 && c <= 0x3fffd);
}

size_t
bh_text_width(const char *s)
{
    size_t width = 0;
    size_t n = strlen(s);
    while (n > 0) {
        uint32_t c = 0;
        size_t len = utf8_next(s, n, &c);
        if (len == 0) {
            len = 1;
            width++;
        } else if (c >= 0x300 && c <= 0x36f) {
            /* combining marks sit on what is before them */
        } else {
            width += is_wide(c) ? 2 : 1;
        }
        s += len;
        n -= len;
    }
    return width;
}
