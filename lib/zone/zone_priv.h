/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * zone_priv.h - local time from and to UTC, shared by the files of this folder.
 *
 * "Local seconds" are what a clock on the wall shows, counted as if it showed UTC.
 */
#ifndef BH_ZONE_PRIV_H
#define BH_ZONE_PRIV_H

#include "bh_zone.h"

#define ZONE_DAY_S 86400

static inline int64_t
zone_floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t zone_days_from_date(int64_t year, int month, int day); /* Gregorian, from 1970-01-01 */
void zone_date_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day);
int zone_month_days(int64_t year, int month);

/* Where a local time lies in UTC. */
struct zone_instant {
    int64_t utc_s;      /* the first instant the clock shows it; of a time that never  */
                        /* occurs: the instant the clock jumps over it                 */
    bool missing;       /* the clock jumps over it                                     */
    int64_t gap_from_s; /* missing: local seconds the clock jumps from ...             */
    int64_t gap_to_s;   /* ... and to                                                  */
};
struct zone_instant zone_from_local(int64_t local_s);

/* What libc uses when TZ is not set, by the files in `etc` ("/etc"; tests have their own). */
void zone_system_name(const char *etc, char *buf, size_t size);
bool zone_is_posix(const char *text); /* "JST-9", "CET-1CEST,M3.5.0,M10.5.0/3" */

#endif
