/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Times at the beginning of syslog lines:
 *
 *   Mar 11 20:35:11                       RFC 3164, and `journalctl` (a fraction with short-precise)
 *   Mar 11 2015 20:35:11, 2015 Mar 11 ... some routers
 *   Tue Mar 11 20:35:11 2015              OpenWrt's logread; in brackets: dmesg -T
 *   2015-03-07T05:09:30.045015+02:00      RFC 3339 (rsyslog, RFC 5424, journalctl short-iso)
 *   Tue 2015-03-11 20:35:11 UTC           journalctl short-full
 *   1426106111.251762                     journalctl short-unix
 *
 * before which may stand <PRI>, with RFC 5424 its version too. A time without a year is of the year
 * that struct years tells; docs/format/input-logs.md has the rule.
 */
#include "import_priv.h"

#define SECOND_NS INT64_C(1000000000)
#define DAY_S 86400

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
drop(struct cell *c, size_t n)
{
    c->at += n;
    c->len -= n;
    return true;
}

static bool
take_char(struct cell *c, char wanted)
{
    return c->len > 0 && c->at[0] == wanted && drop(c, 1);
}

static void
take_blanks(struct cell *c)
{
    while (c->len > 0 && c->at[0] == ' ') {
        drop(c, 1);
    }
}

/* One to `most` digits, and not more of them. */
static bool
take_number(struct cell *c, unsigned most, int *ret)
{
    int v = 0;
    unsigned n = 0;
    while (n < c->len && n < most && is_digit(c->at[n])) {
        v = v * 10 + (c->at[n++] - '0');
    }
    if (n == 0 || (n < c->len && is_digit(c->at[n]))) {
        return false;
    }
    *ret = v;
    return drop(c, n);
}

/* "Mar"; 1 to 12, 0: no month. */
static int
take_month(struct cell *c)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; c->len > 3 && c->at[3] == ' ' && i < 12; i++) {
        if (memcmp(names + 3 * i, c->at, 3) == 0) {
            drop(c, 4);
            return i + 1;
        }
    }
    return 0;
}

static bool
take_weekday(struct cell *c)
{
    static const char names[] = "MonTueWedThuFriSatSun";
    for (int i = 0; c->len > 4 && c->at[3] == ' ' && i < 7; i++) {
        if (memcmp(names + 3 * i, c->at, 3) == 0) {
            return drop(c, 4);
        }
    }
    return false;
}

/* "20:35:11.251762" as nanoseconds of the day; a leap second is the next one's first. */
static bool
take_clock(struct cell *c, int64_t *ret_ns)
{
    int hour, minute, second;
    int64_t ns = 0;
    if (!take_number(c, 2, &hour) || !take_char(c, ':') || !take_number(c, 2, &minute) ||
        !take_char(c, ':') || !take_number(c, 2, &second) || hour > 23 || minute > 59 ||
        second > 60) {
        return false;
    }
    if (c->len > 1 && (c->at[0] == '.' || c->at[0] == ',') && is_digit(c->at[1])) {
        int64_t unit = SECOND_NS / 10;
        drop(c, 1);
        while (c->len > 0 && is_digit(c->at[0])) {
            ns += unit * (c->at[0] - '0');
            unit /= 10;
            drop(c, 1);
        }
    }
    *ret_ns = (hour * 3600 + minute * 60 + second) * SECOND_NS + ns;
    return true;
}

/* ---- the year ---------------------------------------------------------------------------------- */

/* The newest that has such a day and is not after the reference; a day more for zones. */
static bool
first_year(struct years *y, int month, int day, int64_t in_day_s, int64_t *ret_day_s)
{
    int64_t days;
    if (y->asked != 0) {
        y->year = y->asked;
        if (!civil_days(y->asked, month, day, &days)) {
            return false;
        }
        *ret_day_s = days * DAY_S;
        return true;
    }
    int64_t ref_s = y->ref_ns / SECOND_NS + DAY_S;
    int newest = civil_year(ref_s / DAY_S);
    for (int year = newest; year > newest - 9 && year >= 1970; year--) {
        if (civil_days(year, month, day, &days) && days * DAY_S + in_day_s <= ref_s) {
            y->year = year;
            *ret_day_s = days * DAY_S;
            return true;
        }
    }
    return false;
}

/* A log goes forward. A small step back may be one over New Year's Eve, a larger one never is, unless
 * forward were the future: then older files were joined behind newer ones. */
#define STEP_BACK_S (31 * INT64_C(86400))

static bool
next_year(struct years *y, int month, int day, int64_t in_day_s, int64_t *ret_day_s)
{
    const int64_t newest_s = y->asked == 0 ? y->ref_ns / SECOND_NS + DAY_S : INT64_MAX;
    const int before = y->year;
    bool found = false;
    for (int year = before - 1; year <= before + 1 && year <= 2261; year++) {
        int64_t days;
        if (!civil_days(year, month, day, &days)) {
            continue;
        }
        int64_t s = days * DAY_S + in_day_s;
        if (s > newest_s) {
            break;
        }
        y->year = year;
        *ret_day_s = days * DAY_S;
        found = true;
        if (s >= y->last_s - STEP_BACK_S) {
            break;
        }
    }
    return found;
}

static bool
guess_year(struct years *y, int month, int day, int64_t in_day_ns, int64_t *ret_ns)
{
    int64_t in_day_s = in_day_ns / SECOND_NS;
    if (BH_UNLIKELY(month != y->month || day != y->day)) {
        int64_t day_s = 0;
        bool is_first = y->first == 0;
        if (!(is_first ? first_year(y, month, day, in_day_s, &day_s)
                       : next_year(y, month, day, in_day_s, &day_s))) {
            return false;
        }
        y->first = is_first ? y->year : y->first;
        y->month = month;
        y->day = day;
        y->day_s = day_s;
    }
    y->last_s = y->day_s + in_day_s;
    *ret_ns = y->day_s * SECOND_NS + in_day_ns;
    return true;
}

/* ---- forms ---------------------------------------------------------------------------------------- */

static enum reason
with_year(int year, int month, int day, int64_t in_day_ns, struct stamp *s)
{
    int64_t days;
    if (!civil_days(year, month, day, &days) || year > 2261) {
        return REASON_TIME_BAD;
    }
    if (days < 1) {
        return REASON_TIME_UNSET;
    }
    *s = (struct stamp){ .ns = days * DAY_S * SECOND_NS + in_day_ns, .is_zoneless = true };
    return REASON_NONE;
}

/* Behind the month: "11 20:35:11", then perhaps a year; or the year between. */
static enum reason
after_month(struct years *y, struct cell *line, int month, int year, struct stamp *s)
{
    int day;
    int64_t in_day_ns, ns;
    take_blanks(line);
    if (!take_number(line, 2, &day) || !take_char(line, ' ')) {
        return REASON_TIME_BAD;
    }
    if (line->len > 4 && line->at[4] == ' ') {
        if (year != 0 || !take_number(line, 4, &year)) {
            return REASON_TIME_BAD;
        }
        take_blanks(line);
    }
    if (!take_clock(line, &in_day_ns)) {
        return REASON_TIME_BAD;
    }
    /* Behind the time: "2015 ", "2015]". */
    if (year == 0 && line->len > 5 && line->at[0] == ' ' &&
        (line->at[5] == ' ' || line->at[5] == ']')) {
        struct cell rest = *line;
        drop(&rest, 1);
        if (take_number(&rest, 4, &year) && year > 1970) {
            *line = rest;
        } else {
            year = 0;
        }
    }
    if (year != 0) {
        return with_year(year, month, day, in_day_ns, s);
    }
    if (!guess_year(y, month, day, in_day_ns, &ns)) {
        return REASON_TIME_BAD;
    }
    if (ns < DAY_S * SECOND_NS) {
        return REASON_TIME_UNSET;
    }
    *s = (struct stamp){ .ns = ns, .is_zoneless = true, .has_no_year = true };
    return REASON_NONE;
}

/* "2015-03-07T05:09:30+02:00", also with a blank for the T, and a zone behind another. */
static enum reason
iso(struct cell *line, struct stamp *s)
{
    size_t n = 0;
    while (n < line->len && line->at[n] != ' ') {
        n++;
    }
    if (n == 10) { /* the date alone */
        for (n++; n < line->len && line->at[n] != ' ';) {
            n++;
        }
        struct cell zone = { line->at + n, line->len - n };
        if (zone.len >= 4 && (memcmp(zone.at, " UTC", 4) == 0 || memcmp(zone.at, " GMT", 4) == 0) &&
            (zone.len == 4 || zone.at[4] == ' ')) {
            n += 4;
        }
    }
    switch (cell_time((struct cell){ line->at, n }, &s->ns, &s->is_zoneless)) {
    case TIME_OK:
        drop(line, n);
        return REASON_NONE;
    case TIME_UNSET:
        return REASON_TIME_UNSET;
    default:
        return REASON_TIME_BAD;
    }
}

/* "1426106111.251762" */
static enum reason
epoch(struct cell *line, struct stamp *s)
{
    size_t n = 0;
    while (n < line->len && (is_digit(line->at[n]) || line->at[n] == '.')) {
        n++;
    }
    if (n < 9) {
        return REASON_NO_TIME;
    }
    switch (cell_time((struct cell){ line->at, n }, &s->ns, &s->is_zoneless)) {
    case TIME_OK:
        drop(line, n);
        return REASON_NONE;
    case TIME_UNSET:
        return REASON_TIME_UNSET;
    default:
        return REASON_TIME_BAD;
    }
}

/* "<134>", and RFC 5424's version. */
static bool
take_priority(struct cell *line)
{
    struct cell c = *line;
    int v;
    if (take_char(&c, '<') && take_number(&c, 3, &v) && take_char(&c, '>')) {
        *line = c;
        if (take_number(&c, 2, &v) && take_char(&c, ' ')) {
            *line = c;
            return true;
        }
    }
    return false;
}

enum reason
stamp_take(struct years *y, struct cell *line, struct stamp *ret_stamp)
{
    struct cell c = *line;
    struct stamp s = { 0 };
    enum reason why;
    bool is_5424 = c.len > 0 && c.at[0] == '<' && take_priority(&c);
    bool in_brackets = take_char(&c, '[');
    int month = take_month(&c);
    if (BH_LIKELY(month > 0)) {
        why = after_month(y, &c, month, 0, &s);
    } else if (take_weekday(&c)) {
        month = take_month(&c);
        why = month > 0                     ? after_month(y, &c, month, 0, &s)
              : c.len > 4 && c.at[4] == '-' ? iso(&c, &s)
                                            : REASON_NO_TIME;
    } else if (c.len > 5 && is_digit(c.at[0]) && (c.at[4] == '-' || c.at[4] == '/')) {
        why = iso(&c, &s);
    } else if (c.len > 5 && is_digit(c.at[0]) && c.at[4] == ' ') {
        int year;
        struct cell rest = c;
        bool good = take_number(&rest, 4, &year) && take_char(&rest, ' ') &&
                    (month = take_month(&rest)) > 0;
        c = rest;
        why = good ? after_month(y, &c, month, year, &s) : REASON_NO_TIME;
    } else {
        why = in_brackets ? REASON_NO_TIME : epoch(&c, &s);
    }
    if (why != REASON_NONE) {
        return why;
    }
    if (in_brackets && !take_char(&c, ']')) {
        return REASON_TIME_BAD;
    }
    if (c.len > 0 && !take_char(&c, ' ')) {
        return REASON_TIME_BAD;
    }
    take_blanks(&c);
    *line = c;
    s.is_5424 = is_5424;
    *ret_stamp = s;
    return REASON_NONE;
}
