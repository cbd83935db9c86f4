/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * period.c - --since, --until and --last (MEANING.md 5).
 *
 * Every text names a stretch of time: a month, a day, an hour, a minute, a second, or (with a
 * fraction, or relative to now) one instant. --since takes its beginning, --until its end, so
 * that the end a person names is included.
 *
 * Sources: RFC 3339 (dates and times), ISO 8601 (shorter forms).
 */
#include "zone_priv.h"

#include <ctype.h>
#include <strings.h>

#define NS_PER_S 1000000000LL

/* [start, end) in seconds; an instant is one nanosecond long. */
struct stretch {
    int64_t start_s, end_s;
    int32_t ns; /* of an instant */
    bool is_instant;
};

struct reader {
    const char *option; /* "--since" */
    const char *text;
    const char *at;
    int64_t now_ns;
    struct bh_error *err;
};

/* ---- errors ---------------------------------------------------------------------------------- */

/* The option and what was given for it. */
static const char *
where(const struct reader *r, char buf[80])
{
    snprintf(buf, 80, "%s %.60s", r->option, r->text);
    return buf;
}

static int
not_understood(const struct reader *r)
{
    char buf[80];
    return bh_error_set(r->err, BH_EUSAGE, where(r, buf),
                        "not a time; accepted: 2007-07-31, 2007-07-31T12:00, "
                        "\"2007-07-31 12:00:30\" (also with Z or +09:00), 2007-07, @1185883200, "
                        "now, today, yesterday, monday, 7d, 12h, \"3 days ago\"",
                        "時刻として読めません。使えるのは 2007-07-31、2007-07-31T12:00、"
                        "\"2007-07-31 12:00:30\" (Z や +09:00 も可)、2007-07、@1185883200、"
                        "今、今日、昨日、monday、7d、12h、3日前 です");
}

static int
bad_duration(const struct reader *r)
{
    char buf[80];
    return bh_error_set(r->err, BH_EUSAGE, where(r, buf),
                        "not a length of time; accepted: 30m, 12h, 7d, 2w, 1d12h, \"3 days\"",
                        "時間の長さとして読めません。使えるのは 30m、12h、7d、2w、1d12h、3日 です");
}

static int
out_of_range(const struct reader *r)
{
    char buf[80];
    return bh_error_set(r->err, BH_EUSAGE, where(r, buf),
                        "outside the times we can keep (1677-09-22 to 2262-04-11)",
                        "扱える範囲 (1677-09-22 から 2262-04-11) の外です");
}

/* ---- characters ------------------------------------------------------------------------------- */

/* Exactly n digits, none behind them. */
static bool
take_digits(struct reader *r, int n, int *ret)
{
    int v = 0;
    for (int i = 0; i < n; i++) {
        char c = r->at[i];
        if (c < '0' || c > '9') {
            return false;
        }
        v = v * 10 + (c - '0');
    }
    r->at += n;
    *ret = v;
    return *r->at < '0' || *r->at > '9';
}

static bool
take_char(struct reader *r, const char *any_of)
{
    if (*r->at == '\0' || strchr(any_of, *r->at) == NULL) {
        return false;
    }
    r->at++;
    return true;
}

static void
skip_blanks(struct reader *r)
{
    while (take_char(r, " \t")) {
    }
}

static bool
at_end(struct reader *r)
{
    skip_blanks(r);
    return *r->at == '\0';
}

/* A decimal number that fits 62 bits. */
static bool
take_number(struct reader *r, int64_t *ret)
{
    int64_t v = 0;
    if (*r->at < '0' || *r->at > '9') {
        return false;
    }
    while (*r->at >= '0' && *r->at <= '9') {
        if (v > INT64_MAX / 20 - 9) {
            return false;
        }
        v = v * 10 + (*r->at++ - '0');
    }
    *ret = v;
    return true;
}

/* Digits behind a decimal point, as nanoseconds; more than nine are cut. */
static bool
take_fraction(struct reader *r, int32_t *ret_ns)
{
    int32_t ns = 0;
    int32_t unit = 100000000;
    if (*r->at < '0' || *r->at > '9') {
        return false;
    }
    for (; *r->at >= '0' && *r->at <= '9'; r->at++) {
        ns += (*r->at - '0') * unit;
        unit /= 10;
    }
    *ret_ns = ns;
    return true;
}

/* ---- dates and times ---------------------------------------------------------------------------- */

enum unit { UNIT_MONTH, UNIT_DAY, UNIT_HOUR, UNIT_MINUTE, UNIT_SECOND, UNIT_INSTANT };

struct calendar {
    int year, month, day, hour, minute, second;
    int32_t ns;
    enum unit unit; /* how much was written */
    bool has_offset;
    int offset_s;
};

static int
check_date(const struct reader *r, const struct calendar *c)
{
    char buf[80];
    if (c->month < 1 || c->month > 12) {
        return bh_error_set(r->err, BH_EUSAGE, where(r, buf), "months go from 01 to 12",
                            "月は 01 から 12 までです");
    }
    int days = zone_month_days(c->year, c->month);
    if (c->day < 1 || c->day > days) {
        return bh_error_set(r->err, BH_EUSAGE, where(r, buf), "%04d-%02d has the days 01 to %d",
                            "%04d-%02d の日は 01 から %d までです", c->year, c->month, days);
    }
    return 0;
}

static int
check_time(const struct reader *r, const struct calendar *c)
{
    char buf[80];
    if (c->hour > 23) {
        return bh_error_set(r->err, BH_EUSAGE, where(r, buf), "hours go from 00 to 23",
                            "時は 00 から 23 までです");
    }
    if (c->minute > 59 || c->second > 59) {
        return bh_error_set(r->err, BH_EUSAGE, where(r, buf),
                            "minutes and seconds go from 00 to 59", "分と秒は 00 から 59 までです");
    }
    return 0;
}

/* Z, +09:00, +0900, +09 */
static bool
take_offset(struct reader *r, struct calendar *c)
{
    int hours = 0;
    int minutes = 0;
    if (take_char(r, "Zz")) {
        c->has_offset = true;
        return true;
    }
    bool west = *r->at == '-';
    if (!take_char(r, "+-")) {
        return true; /* none */
    }
    if (*r->at == '\0' || r->at[1] == '\0') {
        return false;
    }
    bool joined = r->at[2] >= '0' && r->at[2] <= '9';
    bool more = take_digits(r, 2, &hours);
    if (!more && !joined) {
        return false;
    }
    if ((take_char(r, ":") || joined) && !take_digits(r, 2, &minutes)) {
        return false;
    }
    c->has_offset = true;
    c->offset_s = (hours * 60 + minutes) * (west ? -60 : 60);
    return hours < 24 && minutes < 60;
}

/* Behind the date: T or blanks, HH, HH:MM, HH:MM:SS, HH:MM:SS.frac */
static bool
take_time(struct reader *r, struct calendar *c)
{
    if (!take_digits(r, 2, &c->hour)) {
        return false;
    }
    c->unit = UNIT_HOUR;
    if (!take_char(r, ":")) {
        return true;
    }
    c->unit = UNIT_MINUTE;
    if (!take_digits(r, 2, &c->minute)) {
        return false;
    }
    if (!take_char(r, ":")) {
        return true;
    }
    c->unit = UNIT_SECOND;
    if (!take_digits(r, 2, &c->second)) {
        return false;
    }
    if (take_char(r, ".,")) {
        c->unit = UNIT_INSTANT;
        return take_fraction(r, &c->ns);
    }
    return true;
}

static bool
take_calendar(struct reader *r, struct calendar *c)
{
    *c = (struct calendar){ .day = 1, .unit = UNIT_MONTH };
    char separator[2] = "-";
    if (!take_digits(r, 4, &c->year)) {
        return false;
    }
    separator[0] = *r->at == '/' ? '/' : '-';
    if (!take_char(r, separator) || !take_digits(r, 2, &c->month)) {
        return false;
    }
    if (take_char(r, separator)) {
        c->unit = UNIT_DAY;
        if (!take_digits(r, 2, &c->day)) {
            return false;
        }
        const char *behind = r->at;
        bool t = take_char(r, "Tt");
        skip_blanks(r);
        if ((t || r->at > behind) && *r->at >= '0' && *r->at <= '9') {
            if (!take_time(r, c)) {
                return false;
            }
        } else if (t) {
            return false;
        }
        skip_blanks(r);
        if (!take_offset(r, c)) {
            return false;
        }
    }
    return at_end(r);
}

/* "02:30 does not exist on 2026-03-29 in Europe/Berlin: ..." */
static int
missing_time(const struct reader *r, const struct calendar *c, const struct zone_instant *at)
{
    char buf[80];
    char clock[3][24]; /* jumps from, to; the last minute before */
    int64_t local[3] = { at->gap_from_s, at->gap_to_s, at->gap_from_s - 1 };
    int64_t this_day = zone_days_from_date(c->year, c->month, c->day);
    for (int i = 0; i < 3; i++) {
        int64_t day = zone_floor_div(local[i], ZONE_DAY_S);
        int s = (int)(local[i] - day * ZONE_DAY_S);
        int64_t year;
        int month, date;
        zone_date_from_days(day, &year, &month, &date);
        if (day == this_day) {
            snprintf(clock[i], sizeof clock[i], "%02d:%02d", s / 3600, s / 60 % 60);
        } else {
            snprintf(clock[i], sizeof clock[i], "%04d-%02d-%02dT%02d:%02d", (int)year, month, date,
                     s / 3600, s / 60 % 60);
        }
    }
    return bh_error_set(
        r->err, BH_EUSAGE, where(r, buf),
        "%02d:%02d does not exist on %04d-%02d-%02d in %s: clocks go from %s to "
        "%s; use %s or %s",
        "%02d:%02d は %04d-%02d-%02d の %s にはありません: 時計は %s から %s に進みます。"
        "%s か %s を使ってください",
        c->hour, c->minute, c->year, c->month, c->day, bh_zone_name(), clock[0], clock[1], clock[2],
        clock[1]);
}

static int
calendar_stretch(const struct reader *r, const struct calendar *c, struct stretch *ret)
{
    static const int length_s[] = { [UNIT_DAY] = ZONE_DAY_S,
                                    [UNIT_HOUR] = 3600,
                                    [UNIT_MINUTE] = 60,
                                    [UNIT_SECOND] = 1,
                                    [UNIT_INSTANT] = 0 };
    int e = check_date(r, c);
    if (e == 0) {
        e = check_time(r, c);
    }
    if (e < 0) {
        return e;
    }
    int64_t day = zone_days_from_date(c->year, c->month, c->day);
    int64_t days = c->unit == UNIT_MONTH ? zone_month_days(c->year, c->month) : 1;
    if (!c->has_offset && c->unit <= UNIT_DAY) {
        *ret = (struct stretch){ .start_s = bh_zone_day_start(day),
                                 .end_s = bh_zone_day_start(day + days) };
        return 0;
    }
    int64_t start = day * ZONE_DAY_S + c->hour * 3600 + c->minute * 60 + c->second;
    if (c->has_offset) {
        start -= c->offset_s;
    } else {
        struct zone_instant at = zone_from_local(start);
        if (at.missing) {
            return missing_time(r, c, &at);
        }
        start = at.utc_s;
    }
    int64_t length = length_s[c->unit];
    *ret = (struct stretch){ .start_s = start,
                             .end_s = start + length,
                             .ns = c->ns,
                             .is_instant = c->unit == UNIT_INSTANT };
    return 0;
}

/* @1185883200, @1185883200.5, @-1 */
static bool
take_epoch(struct reader *r, struct stretch *ret)
{
    int64_t v;
    *ret = (struct stretch){ 0 };
    r->at++;
    bool negative = take_char(r, "-");
    if (!take_number(r, &v)) {
        return false;
    }
    if (take_char(r, ".")) {
        ret->is_instant = true;
        if (!take_fraction(r, &ret->ns)) {
            return false;
        }
    }
    ret->start_s = negative ? -v : v;
    if (negative && ret->ns > 0) {
        ret->start_s--;
        ret->ns = (int32_t)NS_PER_S - ret->ns;
    }
    ret->end_s = ret->start_s + 1;
    return at_end(r);
}

/* ---- words --------------------------------------------------------------------------------------- */

static bool
is_word(const struct reader *r, const char *word)
{
    size_t len = strlen(word);
    if (strncasecmp(r->at, word, len) != 0) {
        return false;
    }
    return r->at[len + strspn(r->at + len, " \t")] == '\0';
}

static void
day_stretch(int64_t day, struct stretch *ret)
{
    *ret =
        (struct stretch){ .start_s = bh_zone_day_start(day), .end_s = bh_zone_day_start(day + 1) };
}

static int32_t
now_fraction(const struct reader *r)
{
    int32_t ns = (int32_t)(r->now_ns % NS_PER_S);
    return ns < 0 ? ns + (int32_t)NS_PER_S : ns;
}

static bool
take_word(const struct reader *r, struct stretch *ret)
{
    static const char *const weekdays[][3] = {
        { "monday", "mon", "月曜日" },    { "tuesday", "tue", "火曜日" },
        { "wednesday", "wed", "水曜日" }, { "thursday", "thu", "木曜日" },
        { "friday", "fri", "金曜日" },    { "saturday", "sat", "土曜日" },
        { "sunday", "sun", "日曜日" },
    };
    int64_t now_s = zone_floor_div(r->now_ns, NS_PER_S);
    int64_t today = bh_zone_day(now_s);
    if (is_word(r, "now") || is_word(r, "今")) {
        *ret = (struct stretch){ .start_s = now_s, .ns = now_fraction(r), .is_instant = true };
        return true;
    }
    if (is_word(r, "today") || is_word(r, "今日")) {
        day_stretch(today, ret);
        return true;
    }
    if (is_word(r, "yesterday") || is_word(r, "昨日")) {
        day_stretch(today - 1, ret);
        return true;
    }
    for (int i = 0; i < 7; i++) {
        for (int form = 0; form < 3; form++) {
            if (is_word(r, weekdays[i][form])) {
                /* the last one there was; on a Monday, "monday" is today */
                day_stretch(today - (bh_zone_civil(now_s).weekday - i + 7) % 7, ret);
                return true;
            }
        }
    }
    return false;
}

/* ---- lengths ------------------------------------------------------------------------------------- */

struct length_unit {
    const char *name;
    int64_t seconds; /* 0: months, by the calendar */
    int months;
};

/* Longer names before those they begin with. */
static const struct length_unit length_units[] = {
    { "months", 0, 1 },   { "month", 0, 1 },    { "mo", 0, 1 },         { "years", 0, 12 },
    { "year", 0, 12 },    { "y", 0, 12 },       { "weeks", 604800, 0 }, { "week", 604800, 0 },
    { "w", 604800, 0 },   { "days", 86400, 0 }, { "day", 86400, 0 },    { "d", 86400, 0 },
    { "hours", 3600, 0 }, { "hour", 3600, 0 },  { "h", 3600, 0 },       { "minutes", 60, 0 },
    { "minute", 60, 0 },  { "min", 60, 0 },     { "m", 60, 0 },         { "seconds", 1, 0 },
    { "second", 1, 0 },   { "sec", 1, 0 },      { "s", 1, 0 },          { "週間", 604800, 0 },
    { "時間", 3600, 0 },  { "日", 86400, 0 },   { "分", 60, 0 },        { "秒", 1, 0 },
    { "か月", 0, 1 },     { "年", 0, 12 },
};

static const struct length_unit *
take_unit(struct reader *r)
{
    for (size_t i = 0; i < BH_COUNT(length_units); i++) {
        size_t len = strlen(length_units[i].name);
        if (strncasecmp(r->at, length_units[i].name, len) == 0 &&
            (r->at[len] == '\0' || !isalpha((unsigned char)r->at[len]))) {
            r->at += len;
            return &length_units[i];
        }
    }
    return NULL;
}

struct length {
    int64_t seconds, months;
    bool by_day; /* only days and weeks: the clock keeps its time */
};

/* "7d", "1d12h", "3 days", "1 day 2 hours": numbers of at most 10^11. */
static bool
take_length(struct reader *r, struct length *ret)
{
    *ret = (struct length){ .by_day = true };
    bool any = false;
    for (;; any = true) {
        int64_t n;
        skip_blanks(r);
        if (!take_number(r, &n)) {
            return any;
        }
        skip_blanks(r);
        const struct length_unit *u = take_unit(r);
        if (u == NULL || n > 100000000000) {
            return false;
        }
        ret->months += n * u->months;
        ret->by_day &= u->seconds == 0 || u->seconds % ZONE_DAY_S == 0;
        ret->seconds += n * u->seconds;
        if (ret->seconds > INT64_MAX / 4 || ret->months > 1000000) {
            return false;
        }
    }
}

/* Days, months and years go back by the calendar: the clock shows the same time. */
static bool
take_ago(struct reader *r, struct stretch *ret)
{
    struct length l;
    if (!take_length(r, &l)) {
        return false;
    }
    skip_blanks(r);
    if (!is_word(r, "ago") && !is_word(r, "前") && *r->at != '\0') {
        return false;
    }
    int64_t now_s = zone_floor_div(r->now_ns, NS_PER_S);
    *ret = (struct stretch){ .ns = now_fraction(r), .is_instant = true };
    if (!l.by_day && l.months == 0) {
        ret->start_s = now_s - l.seconds;
        return true;
    }
    int64_t local = now_s + bh_zone_offset_s(now_s);
    int64_t day = zone_floor_div(local, ZONE_DAY_S);
    int64_t clock = local - day * ZONE_DAY_S;
    int64_t year;
    int month, date;
    zone_date_from_days(day, &year, &month, &date);
    int64_t months = year * 12 + month - 1 - l.months;
    year = zone_floor_div(months, 12);
    month = (int)(months - year * 12) + 1;
    int last = zone_month_days(year, month);
    day = zone_days_from_date(year, month, date < last ? date : last);
    /* A clock time that the day does not have: the jump over it. */
    ret->start_s = zone_from_local(day * ZONE_DAY_S + clock - l.seconds).utc_s;
    return true;
}

/* ---- the face ------------------------------------------------------------------------------------ */

static int
read_moment(struct reader *r, struct stretch *ret)
{
    skip_blanks(r);
    if (*r->at == '@') {
        return take_epoch(r, ret) ? 0 : not_understood(r);
    }
    if (take_word(r, ret)) {
        return 0;
    }
    const char *at = r->at;
    struct calendar c;
    if (take_calendar(r, &c)) {
        return calendar_stretch(r, &c, ret);
    }
    r->at = at;
    return take_ago(r, ret) ? 0 : not_understood(r);
}

static bool
to_ns(int64_t s, int64_t ns, int64_t *ret)
{
    int64_t v;
    /* toward zero first, so that the very first second of the range fits too */
    if (s < 0 && ns > 0) {
        s++;
        ns -= NS_PER_S;
    }
    return !__builtin_mul_overflow(s, NS_PER_S, &v) && !__builtin_add_overflow(v, ns, ret);
}

static int
read_since(struct reader r, int64_t *ret_ns)
{
    struct stretch s;
    int e = read_moment(&r, &s);
    if (e < 0) {
        return e;
    }
    return to_ns(s.start_s, s.is_instant ? s.ns : 0, ret_ns) ? 0 : out_of_range(&r);
}

static int
read_until(struct reader r, int64_t *ret_ns)
{
    struct stretch s;
    int64_t start;
    int e = read_moment(&r, &s);
    if (e < 0) {
        return e;
    }
    if (!to_ns(s.start_s, s.is_instant ? s.ns : 0, &start)) {
        return out_of_range(&r);
    }
    /* The end may lie just behind what fits: then it is open. */
    if (s.is_instant) {
        *ret_ns = start == INT64_MAX ? INT64_MAX : start + 1;
    } else if (!to_ns(s.end_s, 0, ret_ns)) {
        *ret_ns = INT64_MAX;
    }
    return 0;
}

static int
read_last(struct reader r, int64_t *ret_ns)
{
    struct length l;
    int64_t ns;
    char buf[80];
    if (isalpha((unsigned char)*r.at)) { /* "--last week" */
        const struct length_unit *u = take_unit(&r);
        l = (struct length){ .seconds = u == NULL ? 0 : u->seconds,
                             .months = u == NULL ? 0 : u->months };
    } else if (!take_length(&r, &l)) {
        return bad_duration(&r);
    }
    if (l.months > 0) {
        return bh_error_set(r.err, BH_EUSAGE, where(&r, buf),
                            "months and years differ in length: give days or weeks",
                            "月や年は長さが一定でないので、日か週で指定してください");
    }
    if (!at_end(&r) || l.seconds == 0) {
        return bad_duration(&r);
    }
    if (!to_ns(l.seconds, 0, &ns)) {
        return out_of_range(&r);
    }
    *ret_ns = ns;
    return 0;
}

int
bh_period_parse(const char *since, const char *until, const char *last, int64_t now_ns,
                struct bh_period *ret_period, struct bh_error *err)
{
    struct bh_period p = { .start_ns = INT64_MIN, .end_ns = INT64_MAX };
    int e = 0;
    if (last != NULL && (since != NULL || until != NULL)) {
        return bh_error_set(err, BH_EUSAGE, "--last", "cannot be combined with --since or --until",
                            "--since や --until と一緒には使えません");
    }
    if (since != NULL) {
        e = read_since((struct reader){ "--since", since, since, now_ns, err }, &p.start_ns);
    }
    if (e == 0 && until != NULL) {
        e = read_until((struct reader){ "--until", until, until, now_ns, err }, &p.end_ns);
    }
    if (e == 0 && last != NULL) {
        e = read_last((struct reader){ "--last", last, last, now_ns, err }, &p.last_ns);
    }
    if (e == 0 && since != NULL && until != NULL && p.start_ns >= p.end_ns) {
        char a[40], b[40];
        e = bh_error_set(err, BH_EUSAGE, "--since",
                         "begins at %s, which is not before the end of --until, %s",
                         "始まり %s が --until の終わり %s より前ではありません",
                         bh_zone_format(p.start_ns, a), bh_zone_format(p.end_ns, b));
    }
    if (e == 0) {
        *ret_period = p;
    }
    return e;
}
