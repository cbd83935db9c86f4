/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_put.h - text written digit by digit, for lines by the million.
 *
 * Each function writes at `at` and returns the place behind what it wrote. The caller has made sure
 * of the room: BH_PUT_UINT_MAX, BH_PUT_V4_MAX, or what it asked for.
 */
#ifndef BH_PUT_H
#define BH_PUT_H

#include "bh_base.h"

#define BH_PUT_UINT_MAX 20U
#define BH_PUT_V4_MAX 15U

static BH_ALWAYS_INLINE char *
bh_put_text(char *at, const char *text, size_t len)
{
    memcpy(at, text, len);
    return at + len;
}

#define BH_PUT(at, literal) bh_put_text(at, literal, sizeof(literal) - 1)

static inline char *
bh_put_uint(char *at, uint64_t n)
{
    char digits[BH_PUT_UINT_MAX];
    size_t from = sizeof digits;
    do {
        digits[--from] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return bh_put_text(at, digits + from, sizeof digits - from);
}

/* Exactly `count` digits. */
static BH_ALWAYS_INLINE char *
bh_put_digits(char *at, uint32_t n, unsigned count)
{
    for (unsigned i = count; i-- > 0;) {
        at[i] = (char)('0' + n % 10);
        n /= 10;
    }
    return at + count;
}

static BH_ALWAYS_INLINE char *
bh_put_octet(char *at, uint32_t v)
{
    if (v >= 100) {
        *at++ = (char)('0' + v / 100);
        v %= 100;
        *at++ = (char)('0' + v / 10);
    } else if (v >= 10) {
        *at++ = (char)('0' + v / 10);
    }
    *at++ = (char)('0' + v % 10);
    return at;
}

/* "203.0.113.9", of host order. */
static BH_ALWAYS_INLINE char *
bh_put_v4(char *at, uint32_t ip)
{
    at = bh_put_octet(at, ip >> 24);
    *at++ = '.';
    at = bh_put_octet(at, ip >> 16 & 255);
    *at++ = '.';
    at = bh_put_octet(at, ip >> 8 & 255);
    *at++ = '.';
    return bh_put_octet(at, ip & 255);
}

#endif
