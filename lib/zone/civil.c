/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * civil.c - clocks and calendars.
 *
 * libc answers one question: what was the offset at this instant? Everything else follows from
 * it. mktime() is not used: it does not say whether a local time occurs never, once or twice.
 */
#include "zone_priv.h"

#include <time.h>

/* libc's years are int: beyond these bounds localtime_r() fails. (ns in int64 end long before.) */
#define UTC_MAX_S 67767976233000000LL

static int64_t
clamp(int64_t utc_s)
{
    return utc_s > UTC_MAX_S ? UTC_MAX_S : utc_s < -UTC_MAX_S ? -UTC_MAX_S : utc_s;
}

int
bh_zone_offset_s(int64_t utc_s)
{
    time_t t = (time_t)clamp(utc_s);
    struct tm tm;
    return localtime_r(&t, &tm) == NULL ? 0 : (int)tm.tm_gmtoff;
}

/* Howard Hinnant, "chrono-compatible low-level date algorithms": eras of 400 years, the year
 * begins in March, so that the leap day is its last. */
int64_t
zone_days_from_date(int64_t year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = zone_floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

void
zone_date_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
    int64_t z = days + 719468;
    int64_t era = zone_floor_div(z, 146097);
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    *ret_day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1);
    *ret_month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

int
zone_month_days(int64_t year, int month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

struct bh_civil
bh_zone_civil(int64_t utc_s)
{
    utc_s = clamp(utc_s);
    int64_t local = utc_s + bh_zone_offset_s(utc_s);
    int64_t days = zone_floor_div(local, ZONE_DAY_S);
    int s = (int)(local - days * ZONE_DAY_S);
    int64_t year;
    struct bh_civil c = { .hour = s / 3600, .minute = s / 60 % 60, .second = s % 60 };
    zone_date_from_days(days, &year, &c.month, &c.day);
    c.year = (int)year;
    c.weekday = (int)((days % 7 + 7 + 3) % 7); /* 1970-01-01 was a Thursday */
    return c;
}

int64_t
bh_zone_day(int64_t utc_s)
{
    utc_s = clamp(utc_s);
    return zone_floor_div(utc_s + bh_zone_offset_s(utc_s), ZONE_DAY_S);
}

/* The instant in (from, to] at which the offset is no longer `offset`. */
static int64_t
find_change(int64_t from, int64_t to, int offset)
{
    while (to - from > 1) {
        int64_t middle = from + (to - from) / 2;
        if (bh_zone_offset_s(middle) == offset) {
            from = middle;
        } else {
            to = middle;
        }
    }
    return to;
}

/* Offsets lie within 26 hours of UTC (the date line has been crossed in the past, RFC 9636 allows
 * a day and two hours). Walks the pieces of constant offset in that window in order of time. */
struct zone_instant
zone_from_local(int64_t local_s)
{
    local_s = clamp(local_s);
    const int64_t reach = 26 * 3600;
    int64_t at = local_s - reach;
    int64_t end = local_s + reach;
    int offset = bh_zone_offset_s(at);
    int64_t guess = local_s - offset;
    if (bh_zone_offset_s(guess) == offset && bh_zone_offset_s(end) == offset) {
        return (struct zone_instant){ .utc_s = guess }; /* no change near: nearly always */
    }
    while (at < end) {
        int64_t next = at + 3600;
        if (bh_zone_offset_s(next) == offset) {
            if (local_s - offset <= next) {
                return (struct zone_instant){ .utc_s = local_s - offset };
            }
            at = next;
            continue;
        }
        int64_t change = find_change(at, next, offset);
        if (local_s - offset < change) {
            return (struct zone_instant){ .utc_s = local_s - offset };
        }
        int after = bh_zone_offset_s(change);
        if (local_s < change + after) {
            return (struct zone_instant){ .utc_s = change,
                                          .missing = true,
                                          .gap_from_s = change + offset,
                                          .gap_to_s = change + after };
        }
        at = change;
        offset = after;
    }
    return (struct zone_instant){ .utc_s = local_s - offset };
}

int64_t
bh_zone_day_start(int64_t day)
{
    int64_t max = UTC_MAX_S / ZONE_DAY_S;
    day = day > max ? max : day < -max ? -max : day;
    return zone_from_local(day * ZONE_DAY_S).utc_s;
}

/* ---- text ------------------------------------------------------------------------------------ */

const char *
bh_zone_format(int64_t ts_ns, char buf[40])
{
    int64_t utc_s = zone_floor_div(ts_ns, 1000000000);
    int ns = (int)(ts_ns % 1000000000);
    ns += ns < 0 ? 1000000000 : 0;
    /* RFC 3339 has no seconds in offsets; before about 1900 zones have. The instant stays right
     * when the clock is shown with the offset in whole minutes. */
    int minutes = (int)zone_floor_div(bh_zone_offset_s(utc_s) + 30, 60);
    int64_t local = utc_s + (int64_t)minutes * 60;
    int64_t days = zone_floor_div(local, ZONE_DAY_S);
    int s = (int)(local - days * ZONE_DAY_S);
    int64_t year;
    int month, day;
    zone_date_from_days(days, &year, &month, &day);
    int n = snprintf(buf, 40, "%04d-%02d-%02dT%02d:%02d:%02d", (int)year, month, day, s / 3600,
                     s / 60 % 60, s % 60);
    if (ns != 0) {
        int digits = ns % 1000000 == 0 ? 3 : ns % 1000 == 0 ? 6 : 9;
        int fraction = digits == 3 ? ns / 1000000 : digits == 6 ? ns / 1000 : ns;
        n += snprintf(buf + n, 40 - (size_t)n, ".%0*d", digits, fraction);
    }
    int m = minutes < 0 ? -minutes : minutes;
    snprintf(buf + n, 40 - (size_t)n, "%c%02d:%02d", minutes < 0 ? '-' : '+', m / 60, m % 60);
    return buf;
}

const char *
bh_zone_format_short(int64_t ts_ns, char buf[40])
{
    struct bh_civil c = bh_zone_civil(zone_floor_div(ts_ns, 1000000000));
    snprintf(buf, 40, "%04d-%02d-%02d %02d:%02d", c.year, c.month, c.day, c.hour, c.minute);
    return buf;
}
