/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * posix.c - is a text a time zone in POSIX's notation (IEEE 1003.1, 8.3; RFC 9636, 3.3.1)?
 *
 * libc takes what it cannot read for UTC without a word, so it must be checked before.
 */
#include "zone_priv.h"

#include <ctype.h>

static bool
take_number(const char **at, int min, int max)
{
    const char *s = *at;
    int v = 0;
    int digits = 0;
    while (s[digits] >= '0' && s[digits] <= '9' && digits < 4) {
        v = v * 10 + (s[digits++] - '0');
    }
    *at = s + digits;
    return digits > 0 && v >= min && v <= max;
}

static bool
take_char(const char **at, char c)
{
    if (**at != c) {
        return false;
    }
    (*at)++;
    return true;
}

static bool
take_name(const char **at)
{
    const char *s = *at;
    size_t n = 0;
    bool quoted = take_char(&s, '<');
    while (isalpha((unsigned char)s[n]) ||
           (quoted && (isdigit((unsigned char)s[n]) || s[n] == '+' || s[n] == '-'))) {
        n++;
    }
    s += n;
    if (n < 3 || n > 16 || (quoted && !take_char(&s, '>'))) {
        return false;
    }
    *at = s;
    return true;
}

/* POSIX lets zones lie 24 hours from UTC, which RFC 3339 cannot write; no place on Earth was ever
 * 16 hours away. */
#define OFFSET_HOURS_MAX 15

/* [+-]hh[:mm[:ss]] */
static bool
take_time(const char **at, int max_hours)
{
    if (!take_char(at, '-')) {
        take_char(at, '+');
    }
    if (!take_number(at, 0, max_hours)) {
        return false;
    }
    for (int part = 0; part < 2 && take_char(at, ':'); part++) {
        if (!take_number(at, 0, 59)) {
            return false;
        }
    }
    return true;
}

/* ,Mm.w.d or ,Jn or ,n; each with /time */
static bool
take_rule(const char **at)
{
    bool good;
    if (!take_char(at, ',')) {
        return false;
    }
    if (take_char(at, 'M')) {
        good = take_number(at, 1, 12) && take_char(at, '.') && take_number(at, 1, 5) &&
               take_char(at, '.') && take_number(at, 0, 6);
    } else if (take_char(at, 'J')) {
        good = take_number(at, 1, 365);
    } else {
        good = take_number(at, 0, 365);
    }
    return good && (!take_char(at, '/') || take_time(at, 167));
}

bool
zone_is_posix(const char *text)
{
    const char *at = text;
    if (!take_name(&at) || !take_time(&at, OFFSET_HOURS_MAX)) {
        return false;
    }
    if (*at == '\0') {
        return true;
    }
    if (!take_name(&at)) {
        return false;
    }
    if (*at != '\0' && *at != ',' && !take_time(&at, OFFSET_HOURS_MAX)) {
        return false;
    }
    return *at == '\0' || (take_rule(&at) && take_rule(&at) && *at == '\0');
}
