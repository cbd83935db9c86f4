/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_zone.h - local time: the report's time zone, and periods in words (MEANING.md 5).
 *
 * Threads:   bh_zone_set() is process-wide (it sets TZ) and is called once, before threads;
 *            the rest may be called from any thread.
 * Sources:   RFC 9636 (zone files, through libc), RFC 3339 (text).
 */
#ifndef BH_ZONE_H
#define BH_ZONE_H

#include "bh_base.h"

/* NULL or "": the system's zone. An unknown name is an error that names the nearest. */
BH_NODISCARD int bh_zone_set(const char *name, struct bh_error *err);
const char *bh_zone_name(void); /* "Asia/Tokyo"; of the system when none was set */
/* Country of the zone by zone.tab ("JP"); false when it has none or several. */
bool bh_zone_country(char ret_code[3]);

int bh_zone_offset_s(int64_t utc_s); /* seconds east of UTC then */

struct bh_civil {
    int year, month, day, hour, minute, second; /* month and day from 1 */
    int weekday;                                /* 0 = Monday          */
};
struct bh_civil bh_zone_civil(int64_t utc_s);
/* Days since 1970-01-01 of the local calendar day that holds utc_s. */
int64_t bh_zone_day(int64_t utc_s);
/* First second of a local day (its number as above): 23 and 25 hour days are right. */
int64_t bh_zone_day_start(int64_t day);

/* RFC 3339 with the local offset, nanoseconds only when they are not zero (then 3, 6 or 9
 * digits). `buf` of 40. */
const char *bh_zone_format(int64_t ts_ns, char buf[40]);
/* "2007-04-01 00:00" for people; `buf` of 40. */
const char *bh_zone_format_short(int64_t ts_ns, char buf[40]);

/* The same for lines by the million: what does not change from one to the next is made once. One owner. */
struct bh_clock {
    int64_t span; /* a quarter of an hour, which the offset is of */
    int64_t day;  /* local, which the date is of                  */
    int64_t offset_s;
    char date[16]; /* "2007-04-01T"                                */
    char zone[8];  /* "Z", "+09:00"                                */
    uint8_t date_len, zone_len;
};
#define BH_CLOCK_MAX 40U
void bh_clock_init(struct bh_clock *c);
/* RFC 3339 with `digits` of the second (0, 3, 6, 9). Returns the place behind it. */
char *bh_clock_put(struct bh_clock *c, char *at, int64_t ts_ns, unsigned digits);
/* As many digits, by threes, as are not zero: what bh_zone_format() writes. */
unsigned bh_clock_digits(int64_t ts_ns);

/* Half-open bounds in ns; INT64_MIN / INT64_MAX when open. */
struct bh_period {
    int64_t start_ns, end_ns;
    /* > 0: the length asked for by --last, resolved when the newest record is known */
    int64_t last_ns;
};

/* --since, --until, --last (each may be NULL). Dates (2007-07-31), times (2007-07-31T12:00,
 * "2007-07-31 12:00:30.5"), with Z or +09:00, @epoch, words: today, yesterday, now, monday ...,
 * "3 days ago", 7d, 12h, 2w. A day, hour, minute or second given to --until is included whole.
 * A local hour that occurs twice means its first; one that never occurs is an error that
 * names its neighbours. now_ns: for words relative to now. */
BH_NODISCARD int
bh_period_parse(const char *since, const char *until, const char *last, int64_t now_ns,
                struct bh_period *ret_period, struct bh_error *err);

#endif
