/* SPDX-License-Identifier: BSD-2-Clause */
/* Times as text by the million: the calendar day and the zone's offset are made once for many. */
#include "bh_put.h"
#include "bh_zone.h"

#include <stdlib.h>

#define SECOND_NS INT64_C(1000000000)
/* No zone changes its offset more often than on the quarter of an hour (old local mean times
 * aside, whose seconds RFC 3339 cannot write anyway). */
#define OFFSET_SPAN_S 900

void
bh_clock_init(struct bh_clock *c)
{
    *c = (struct bh_clock){ .span = INT64_MIN, .day = INT64_MIN };
}

static int64_t
floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static BH_NOINLINE void
set_offset(struct bh_clock *c, int64_t span)
{
    int offset = bh_zone_offset_s(span * OFFSET_SPAN_S);
    unsigned minutes = (unsigned)abs(offset) / 60;
    c->span = span;
    c->offset_s = offset < 0 ? -(int64_t)minutes * 60 : (int64_t)minutes * 60;
    c->day = INT64_MIN;
    char *at = c->zone;
    if (minutes == 0) {
        *at++ = 'Z';
    } else {
        *at++ = offset < 0 ? '-' : '+';
        at = bh_put_digits(at, minutes / 60 % 100, 2);
        *at++ = ':';
        at = bh_put_digits(at, minutes % 60, 2);
    }
    c->zone_len = (uint8_t)(at - c->zone);
}

static BH_NOINLINE void
set_day(struct bh_clock *c, int64_t day, int64_t utc_s)
{
    struct bh_civil civil = bh_zone_civil(utc_s);
    char text[40];
    int n = snprintf(text, sizeof text, "%04d-%02d-%02dT", civil.year, civil.month, civil.day);
    c->day = day;
    c->date_len = (uint8_t)(n < (int)sizeof c->date ? n : (int)sizeof c->date);
    memcpy(c->date, text, c->date_len);
}

char *
bh_clock_put(struct bh_clock *c, char *at, int64_t ts_ns, unsigned digits)
{
    int64_t utc_s = floor_div(ts_ns, SECOND_NS);
    int64_t span = floor_div(utc_s, OFFSET_SPAN_S);
    if (BH_UNLIKELY(span != c->span)) {
        set_offset(c, span);
    }
    int64_t local_s = utc_s + c->offset_s;
    int64_t day = floor_div(local_s, 86400);
    if (BH_UNLIKELY(day != c->day)) {
        set_day(c, day, utc_s);
    }
    uint32_t s = (uint32_t)(local_s - day * 86400);
    uint32_t ns = (uint32_t)(ts_ns - utc_s * SECOND_NS);
    at = bh_put_text(at, c->date, c->date_len);
    at = bh_put_digits(at, s / 3600, 2);
    *at++ = ':';
    at = bh_put_digits(at, s / 60 % 60, 2);
    *at++ = ':';
    at = bh_put_digits(at, s % 60, 2);
    if (digits > 0) {
        *at++ = '.';
        at = digits == 3   ? bh_put_digits(at, ns / 1000000, 3)
             : digits == 6 ? bh_put_digits(at, ns / 1000, 6)
                           : bh_put_digits(at, ns, 9);
    }
    return bh_put_text(at, c->zone, c->zone_len);
}

unsigned
bh_clock_digits(int64_t ts_ns)
{
    return ts_ns % SECOND_NS == 0 ? 0 : ts_ns % 1000000 == 0 ? 3 : ts_ns % 1000 == 0 ? 6 : 9;
}
