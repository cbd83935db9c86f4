/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scan_plain.h - the next address in a text, found octet by octet: what lib/base/scan.c, which looks at
 * 64 octets at a time, must find as well. For test_scan.c and fuzz_scan.c.
 */
#ifndef SCAN_PLAIN_H
#define SCAN_PLAIN_H

#include "bh_base.h"

enum { C_OTHER = 0, C_WORD = 1, C_HEX = 2, C_DIGIT = 3, C_DOT = 4, C_COLON = 5 };

static inline int
plain_class_of(char c)
{
    if (c >= '0' && c <= '9') {
        return C_DIGIT;
    }
    if (c == '.') {
        return C_DOT;
    }
    if (c == ':') {
        return C_COLON;
    }
    char low = (char)(c | 0x20);
    if (low >= 'a' && low <= 'z') {
        return low <= 'f' ? C_HEX : C_WORD;
    }
    /* Octets of UTF-8 letters do not glue to an address: Japanese text has no blanks. */
    return c == '_' ? C_WORD : C_OTHER;
}

static inline bool
plain_is_word(int class)
{
    return class == C_WORD || class == C_HEX || class == C_DIGIT;
}

/* A dotted quad in front; a port may follow after '.' or ':', a letter may not. */
static inline size_t
plain_match_v4(const char *s, size_t len, struct bh_ip *ret_ip)
{
    size_t at = 0;
    for (int part = 0; part < 4; part++) {
        unsigned v = 0;
        size_t digits = 0;
        while (at < len && digits < 4 && plain_class_of(s[at]) == C_DIGIT) {
            v = v * 10 + (unsigned)(s[at] - '0');
            at++;
            digits++;
        }
        if (digits == 0 || digits > 3 || v > 255 || (digits > 1 && s[at - digits] == '0')) {
            return 0;
        }
        ret_ip->octets[part] = (uint8_t)v;
        if (part < 3 && (at == len || s[at++] != '.')) {
            return 0;
        }
    }
    memset(ret_ip->octets + 4, 0, 12);
    ret_ip->family = 4;
    return at < len && plain_is_word(plain_class_of(s[at])) ? 0 : at;
}

/* The longest address in front of a run of hexadecimal digits, colons and dots: behind it may
 * stand the ':' of a log line or tcpdump's ".port". */
static inline size_t
plain_match_v6(const char *s, size_t len, struct bh_ip *ret_ip)
{
    for (size_t n = len; n > 2;) {
        if (bh_ip_parse(s, n, ret_ip) && ret_ip->family == 6) {
            return n;
        }
        if (s[n - 1] == ':' || s[n - 1] == '.') {
            n--;
            continue;
        }
        size_t cut = n;
        while (cut > 0 && s[cut - 1] != '.') {
            cut--;
        }
        if (cut == 0) {
            break;
        }
        n = cut - 1;
    }
    return 0;
}

static inline size_t
plain_match(const char *s, size_t len, bool may_be_v6, struct bh_ip *ret_ip, size_t *ret_skip)
{
    size_t n = 0;
    unsigned colons = 0;
    unsigned dots = 0;
    unsigned digits = 0;
    int class = C_OTHER;
    while (n < len && n <= 90 && (class = plain_class_of(s[n])) >= C_HEX) {
        colons += class == C_COLON;
        dots += class == C_DOT;
        digits += class <= C_DIGIT;
        n++;
    }
    bool is_glued = n < len && class == C_WORD;
    *ret_skip = n > 0 ? n : 1;
    if (n > 90 || digits == 0) {
        return 0;
    }
    size_t found = 0;
    if (may_be_v6 && colons >= 2 && !is_glued) {
        found = plain_match_v6(s, n, ret_ip);
    }
    if (found == 0 && dots >= 3) {
        found = plain_match_v4(s, len, ret_ip);
    }
    if (found == 0 && colons > 0) {
        /* "from:192.0.2.1" or "1:192.0.2.1": try again behind the colon. */
        const char *colon = memchr(s, ':', n);
        *ret_skip = (size_t)(colon - s) + 1;
    }
    return found;
}

static inline bool
plain_find(const char *text, size_t len, size_t from, struct bh_ip *ret_ip, size_t *ret_at,
           size_t *ret_len)
{
    size_t at = from;
    while (at < len) {
        int class = plain_class_of(text[at]);
        int before = at == 0 ? C_OTHER : plain_class_of(text[at - 1]);
        bool is_start = class == C_COLON ? !plain_is_word(before) && before != C_COLON
                                         : class >= C_HEX && class != C_DOT &&
                                               !plain_is_word(before) && before != C_DOT;
        if (!is_start) {
            at++;
            continue;
        }
        /* Behind "::" stands the rest of what was none: the "b::c" of "a::b::c". */
        bool may_be_v6 = at < 2 || text[at - 1] != ':' || text[at - 2] != ':';
        size_t skip;
        size_t n = plain_match(text + at, len - at, may_be_v6, ret_ip, &skip);
        if (n > 0) {
            *ret_at = at;
            *ret_len = n;
            return true;
        }
        at += skip;
    }
    return false;
}

#endif
