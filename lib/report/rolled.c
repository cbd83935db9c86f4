/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A report of a packet log out of roll-ups: which days come from them, which from records, and how both
 * become one tally. docs/design/rollups.md says why the answer is that of all records.
 *
 * A local day comes wholly from roll-ups or wholly from records. It comes from records where the period
 * begins or ends inside of it; where a file has no roll-up for it (journals, of whom the writer thought
 * it would not pay); where the days of the roll-up are of another time zone; near silences, whose count of
 * who was there before and after needs hours; and where files of one writing step back in time.
 */
#include "rolled_priv.h"

#include <errno.h>
#include <stdlib.h>

#define SECOND_NS 1000000000LL
#define DAYS_MOST 65536
#define WORTH_ROWS 262144U           /* fewer of them are read as fast */
#define SPAN_LEAST_NS (74 * HOUR_NS) /* shorter ones have a time line by hours */

static int64_t
seconds_of(int64_t ns)
{
    return ns / SECOND_NS - (ns % SECOND_NS < 0);
}

static int64_t
day_number(int64_t ns)
{
    return bh_zone_day(seconds_of(ns));
}

static int64_t
day_start_ns(int64_t day)
{
    return bh_zone_day_start(day) * SECOND_NS;
}

/* ---- which days ------------------------------------------------------------------------------------ */

/* Why a report cannot be made of roll-ups, whatever the log has; NULL: it can. */
static const char *
why_not(const struct run *x)
{
    const struct bh_report_options *o = x->o;
    return o->plan == BH_PLAN_BLOCKS || o->plan == BH_PLAN_ALL          ? "asked"
           : !x->feed.decided                                           ? "judged"
           : x->feed.by_days                                            ? "databases"
           : countries_words(&x->countries) != NULL                     ? "filter"
           : x->tally.list_sources                                      ? "list"
           : x->served_count > 0                                        ? "served"
           : x->tally.sensor_count > 0 || x->r->sensor_count > 0        ? "sensors"
           : o->count == BH_COUNT_PACKETS || o->count == BH_COUNT_BYTES ? "unit"
                                                                        : NULL;
}

/* Days of the plan that touch a time range come from records. */
static void
mark_rows(struct rolled_plan *p, int64_t from_ns, int64_t to_ns)
{
    for (uint32_t k = 0; k < p->days; k++) {
        p->day[k].rows |= p->day[k].start_ns <= to_ns && p->day[k].end_ns > from_ns;
    }
}

static int64_t
add_ns(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? (b < 0 ? INT64_MIN : INT64_MAX) : sum;
}

/* The days of the log inside the period; no plan when there are too many. */
static int
make_days(const struct run *x, struct rolled_plan *p)
{
    const struct bh_store *s = x->feed.store;
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (size_t k = 0; k < bh_store_file_count(s); k++) {
        struct bh_store_file f;
        bh_store_get_file(s, k, &f);
        low = f.rows > 0 && f.first_ns < low ? f.first_ns : low;
        high = f.rows > 0 && f.last_ns > high ? f.last_ns : high;
    }
    low = x->period.start_ns > low ? x->period.start_ns : low;
    high = x->period.end_ns <= high ? x->period.end_ns - 1 : high;
    if (low > high || low < 0 || high > INT64_MAX - 7 * 24 * HOUR_NS) {
        return 0;
    }
    p->first_day = day_number(low);
    const int64_t last = day_number(high);
    if (last - p->first_day >= DAYS_MOST) {
        return 0;
    }
    p->day = calloc((size_t)(last - p->first_day) + 1, sizeof *p->day);
    if (p->day == NULL) {
        return -ENOMEM;
    }
    for (int64_t d = p->first_day; d <= last; d++) {
        struct plan_day *day = &p->day[p->days++];
        day->start_ns = day_start_ns(d);
        day->end_ns = day_start_ns(d + 1);
        day->rows = day->start_ns < x->period.start_ns || day->end_ns > x->period.end_ns;
    }
    return 0;
}

/* Which day of the plan this is; UINT32_MAX: none. */
static uint32_t
find_day(const struct rolled_plan *p, int64_t start_ns)
{
    const int64_t at = day_number(start_ns) - p->first_day;
    return at < 0 || at >= p->days ? UINT32_MAX : (uint32_t)at;
}

/* The days of a file's roll-up, when they are those of this zone. */
static int
make_part(const struct run *x, struct rolled_plan *p, size_t file, const struct bh_store_file *f,
          const char **ret_why)
{
    struct part *part = &p->part[file];
    *part = (struct part){ .file = file };
    *ret_why = f->no_rollup;
    if (f->no_rollup != NULL || f->rows == 0) {
        return 0;
    }
    part->day = malloc((f->days + 1UL) * sizeof *part->day);
    if (part->day == NULL) {
        return -ENOMEM;
    }
    for (uint32_t k = 0; k < f->days; k++) {
        int64_t start, end;
        uint64_t rows;
        bh_store_rollup_bounds(x->feed.store, file, k, &start, &end, &rows);
        const int64_t number = day_number(start);
        if (day_start_ns(number) != start || day_start_ns(number + 1) != end) {
            *ret_why = "zone";
            return 0;
        }
        part->day[k] = find_day(p, start);
        if (part->day[k] != UINT32_MAX) {
            p->day[part->day[k]].parts++;
        }
    }
    part->days = f->days;
    part->used = true;
    return 0;
}

/* Files of one run come one after the other; where one steps back behind the end of those before, distinct
 * counts depend on the order of records. */
static void
mark_steps_back(const struct run *x, struct rolled_plan *p)
{
    const struct bh_store *s = x->feed.store;
    for (size_t run = 0; run < bh_store_run_count(s); run++) {
        int64_t last = INT64_MIN;
        for (size_t k = 0; k < bh_store_file_count(s); k++) {
            struct bh_store_file f;
            bh_store_get_file(s, k, &f);
            if (f.run != run || f.rows == 0) {
                continue;
            }
            if (last != INT64_MIN && f.first_ns / HOUR_NS < last / HOUR_NS) {
                mark_rows(p, f.first_ns, last);
            }
            last = f.last_ns > last ? f.last_ns : last;
        }
    }
}

static void
mark_silences(const struct run *x, struct rolled_plan *p)
{
    const struct bh_silences *s = &x->feed.silences;
    for (uint32_t k = 0; k < s->count && k < BH_GAPS_MAX; k++) {
        mark_rows(p, add_ns(s->silence[k].start_ns, -26 * HOUR_NS),
                  add_ns(s->silence[k].end_ns, 26 * HOUR_NS));
    }
}

/* What is to be read of each file, for the plan that callers see. */
static const char *
settle(const struct run *x, struct rolled_plan *p, struct bh_plan *to, const char *const *why)
{
    const struct bh_store *s = x->feed.store;
    int64_t first_end = INT64_MAX, last_start = INT64_MIN;
    for (size_t k = 0; k < p->parts; k++) {
        struct part *part = &p->part[k];
        struct bh_plan_file *f = &to->file[k];
        part->whole = part->used;
        f->why = why[k] == NULL ? "" : why[k];
        f->days = part->days;
        for (uint32_t d = 0; d < part->days; d++) {
            int64_t start, end;
            uint64_t rows;
            bh_store_rollup_bounds(s, k, d, &start, &end, &rows);
            if (part->day[d] == UINT32_MAX || p->day[part->day[d]].rows) {
                part->whole = false;
                f->why = "days";
                part->day[d] = UINT32_MAX;
                continue;
            }
            f->rolled_days++;
            f->rolled_rows += rows;
            first_end = end < first_end ? end : first_end;
            last_start = start > last_start ? start : last_start;
        }
        part->used = f->rolled_days > 0;
        to->rolled_rows += f->rolled_rows;
    }
    uint64_t rows = 0;
    for (size_t k = 0; k < p->parts; k++) {
        rows += to->file[k].rows;
    }
    return to->rolled_rows == 0                                               ? "nothing"
           : last_start < first_end || last_start - first_end < SPAN_LEAST_NS ? "short"
           : x->o->plan == BH_PLAN_ROLLUPS                                    ? NULL
           : to->rolled_rows < WORTH_ROWS || to->rolled_rows < rows / 16      ? "gain"
                                                                              : NULL;
}

/* The joined roll-up, when it is of this zone and all its days come from roll-ups: it takes the place of those of its
 * files. */
static int
use_joined(struct run *x, struct rolled_plan *p)
{
    const struct bh_store *s = x->feed.store;
    const uint32_t days = bh_store_joined_days(s);
    struct part *part = &p->part[p->parts];
    *part = (struct part){ .file = BH_STORE_JOINED, .whole = true };
    if (days < 2 || x->avoid_joined) {
        return 0;
    }
    part->day = malloc(days * sizeof *part->day);
    if (part->day == NULL) {
        return -ENOMEM;
    }
    p->parts++;
    uint64_t all = 0;
    for (uint32_t k = 0; k < days; k++) {
        int64_t start, end;
        uint64_t rows;
        bh_store_rollup_bounds(s, BH_STORE_JOINED, k, &start, &end, &rows);
        part->day[k] = find_day(p, start);
        if (part->day[k] == UINT32_MAX || p->day[part->day[k]].rows ||
            p->day[part->day[k]].start_ns != start || p->day[part->day[k]].end_ns != end) {
            return 0;
        }
        all += rows;
    }
    part->days = days;
    part->used = true;
    x->r->plan.joined_rows = all;
    for (size_t k = 0; k + 1 < p->parts; k++) {
        struct part *one = &p->part[k];
        for (uint32_t d = 0; bh_store_joined_has(s, one->file) && d < one->days; d++) {
            if (one->day[d] != UINT32_MAX) {
                p->day[one->day[d]].parts--;
            }
        }
        one->used &= !bh_store_joined_has(s, one->file);
        one->days = one->used ? one->days : 0;
        one->whole &= one->used;
    }
    for (uint32_t k = 0; k < days; k++) {
        p->day[part->day[k]].parts++;
    }
    return 0;
}

static void
plan_free(struct rolled_plan *p)
{
    if (p == NULL) {
        return;
    }
    bh_rolled_free(p->r);
    for (size_t k = 0; k < p->parts; k++) {
        for (uint32_t d = 0; p->part[k].kept != NULL && d < p->part[k].days; d++) {
            bh_rollup_day_done(&p->part[k].kept[d]);
        }
        free(p->part[k].kept);
        bh_rollup_close(p->part[k].rollup);
        free(p->part[k].day);
        free(p->part[k].place);
    }
    free(p->part);
    free(p->day);
    free(p->unit);
    free(p->day_of_unit);
    free(p->hour);
    free(p);
}

static int
list_files(const struct run *x, struct bh_plan *to)
{
    const struct bh_store *s = x->feed.store;
    free(to->file);
    to->files = bh_store_file_count(s);
    to->file = calloc(to->files + 1, sizeof *to->file);
    if (to->file == NULL) {
        to->files = 0;
        return -ENOMEM;
    }
    for (size_t k = 0; k < to->files; k++) {
        struct bh_store_file f;
        bh_store_get_file(s, k, &f);
        const size_t len = strlen(f.path);
        snprintf(to->file[k].path, sizeof to->file[k].path, "%s",
                 len > 200 ? f.path + len - 200 : f.path);
        const bool inside =
            f.rows > 0 && f.last_ns >= x->period.start_ns && f.first_ns < x->period.end_ns;
        to->file[k].rows = inside ? f.rows : 0;
        to->file[k].why = inside ? "" : "outside";
    }
    return 0;
}

int
rolled_choose(struct run *x)
{
    struct bh_plan *to = &x->r->plan;
    int r = list_files(x, to);
    to->why = why_not(x);
    if (r != 0 || to->why != NULL) {
        return r;
    }
    struct rolled_plan *p = calloc(1, sizeof *p);
    const char **why = calloc(to->files + 1, sizeof *why);
    r = p == NULL || why == NULL ? -ENOMEM : make_days(x, p);
    if (r == 0) {
        p->part = calloc(to->files + 2, sizeof *p->part); /* the joined one too */
        r = p->part == NULL ? -ENOMEM : 0;
    }
    for (size_t k = 0; r == 0 && k < to->files; k++) {
        struct bh_store_file f;
        bh_store_get_file(x->feed.store, k, &f);
        r = make_part(x, p, k, &f, &why[k]);
        p->parts = k + 1;
        for (uint32_t d = 0; r == 0 && why[k] != NULL && d < p->days; d++) {
            p->day[d].rows |=
                bh_store_file_has(x->feed.store, k, p->day[d].start_ns, p->day[d].end_ns);
        }
    }
    if (r == 0) {
        mark_steps_back(x, p);
        mark_silences(x, p);
        to->why = p->days == 0 ? "nothing" : settle(x, p, to, why);
        to->joined_rows = 0;
        r = to->why == NULL ? use_joined(x, p) : 0;
    }
    free(why);
    if (r != 0 || to->why != NULL) {
        to->rolled_rows = 0;
        for (size_t k = 0; k < to->files; k++) {
            to->file[k].rolled_rows = to->file[k].rolled_days = 0;
        }
        plan_free(p);
        return r;
    }
    to->why = "";
    to->rolled = true;
    x->rolled = p;
    return 0;
}

void
rolled_say_read(struct run *x)
{
    struct bh_plan *to = &x->r->plan;
    uint64_t total, done;
    struct bh_store_totals t;
    bh_store_get_totals(x->feed.store, &t);
    bh_store_progress(x->feed.store, &total, &done);
    bh_store_get_skipped(x->feed.store, &to->skipped);
    to->blocks_read += done;
    to->blocks_skipped = t.blocks > to->blocks_read ? t.blocks - to->blocks_read : 0;
}

void
rolled_done(struct run *x, const char *why)
{
    if (why != NULL) {
        struct bh_plan *to = &x->r->plan;
        to->rolled = false;
        to->why = why;
        to->rolled_rows = to->blocks_read = to->read_rows = 0;
    }
    plan_free(x->rolled);
    x->rolled = NULL;
}
