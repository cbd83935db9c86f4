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
#include "run_priv.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#define HOUR_NS 3600000000000LL
#define SECOND_NS 1000000000LL
#define DAYS_MOST 65536
#define WORTH_ROWS 262144U /* fewer of them are read as fast */
#define SPAN_LEAST_NS (74 * HOUR_NS) /* shorter ones have a time line by hours */
#define WEEKS_FROM_NS (188 * 24 * HOUR_NS)

struct plan_day {
    int64_t start_ns, end_ns;
    bool rows;      /* comes from records                         */
    bool shared;    /* has parts in several files                 */
    uint32_t parts; /* files whose roll-ups have it               */
    int64_t some_ns; /* a record's time                           */
    uint64_t sources;
};

struct part { /* a file's roll-up */
    size_t file;
    bool used, whole;
    uint32_t days, first_day; /* of the plan: day k of it is first_day_of[k] */
    uint32_t *day;            /* index of plan days                        */
    struct bh_rollup *rollup;
    struct bh_rolled_part *sources;
    uint16_t *place; /* of its countries */
};

struct unit {
    uint32_t day, file; /* of the plan */
};

struct hour {
    int64_t start_ns;
    uint32_t busiest;
    bool shared;
};

struct rolled_plan {
    struct plan_day *day;
    uint32_t days;
    int64_t first_day; /* number of day[0] */
    struct part *part;
    size_t parts;
    struct bh_rolled *r;
    struct unit *unit; /* sorted */
    uint32_t units;
    int64_t *day_of_unit;
    struct hour *hour;
    size_t hours, hour_cap;
    bool any_ping;
};

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
    return o->plan == BH_PLAN_BLOCKS || o->plan == BH_PLAN_ALL ? "asked"
           : !x->feed.decided                          ? "judged"
           : x->feed.by_days                           ? "databases"
           : countries_words(&x->countries) != NULL    ? "filter"
           : x->tally.list_sources                     ? "list"
           : x->served_count > 0                       ? "served"
           : x->tally.sensor_count > 0 || x->r->sensor_count > 0 ? "sensors"
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
make_part(const struct run *x, struct rolled_plan *p, size_t file, const struct bh_store_file *f, const char **ret_why)
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
        mark_rows(p, add_ns(s->silence[k].start_ns, -26 * HOUR_NS), add_ns(s->silence[k].end_ns, 26 * HOUR_NS));
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
    return to->rolled_rows == 0                                                                      ? "nothing"
           : last_start < first_end || last_start - first_end < SPAN_LEAST_NS                         ? "short"
           : x->o->plan == BH_PLAN_ROLLUPS                                                            ? NULL
           : to->rolled_rows < WORTH_ROWS || to->rolled_rows < rows / 16                              ? "gain"
                                                                                                      : NULL;
}

static void
plan_free(struct rolled_plan *p)
{
    if (p == NULL) {
        return;
    }
    bh_rolled_free(p->r);
    for (size_t k = 0; k < p->parts; k++) {
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
        snprintf(to->file[k].path, sizeof to->file[k].path, "%s", len > 200 ? f.path + len - 200 : f.path);
        const bool inside = f.rows > 0 && f.last_ns >= x->period.start_ns && f.first_ns < x->period.end_ns;
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
        p->part = calloc(to->files + 1, sizeof *p->part);
        r = p->part == NULL ? -ENOMEM : 0;
    }
    for (size_t k = 0; r == 0 && k < to->files; k++) {
        struct bh_store_file f;
        bh_store_get_file(x->feed.store, k, &f);
        r = make_part(x, p, k, &f, &why[k]);
        p->parts = k + 1;
        for (uint32_t d = 0; r == 0 && why[k] != NULL && d < p->days; d++) {
            p->day[d].rows |= bh_store_file_has(x->feed.store, k, p->day[d].start_ns, p->day[d].end_ns);
        }
    }
    if (r == 0) {
        mark_steps_back(x, p);
        mark_silences(x, p);
        to->why = p->days == 0 ? "nothing" : settle(x, p, to, why);
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
        to->rolled_rows = to->blocks_read = 0;
    }
    plan_free(x->rolled);
    x->rolled = NULL;
}

/* ---- records of the other days ---------------------------------------------------------------------- */

static int
read_stretch(struct run *x, struct bh_batch *b, int64_t start_ns, int64_t end_ns)
{
    const struct bh_period all = x->period;
    struct bh_store_health health;
    x->period.start_ns = start_ns > all.start_ns ? start_ns : all.start_ns;
    x->period.end_ns = end_ns < all.end_ns ? end_ns : all.end_ns;
    bh_tally_set_period(x->shard[0].tally, x->period);
    int r = log_begin(x);
    x->period = all;
    x->feed.ended = false;
    while (r == 0) {
        const int got = bh_store_read(x->feed.store, b, x->err);
        if (got <= 0) {
            r = got;
            break;
        }
        bh_tally_sources(x->shard[0].tally, b);
        bh_tally_counts(x->shard[0].tally, b, NULL, 0);
        x->r->plan.read_rows += b->rows;
    }
    bh_store_get_health(x->feed.store, &health);
    rolled_say_read(x);
    return r == 0 && health.damaged_blocks > 0 ? BH_EDAMAGED : r;
}

static int
read_rows(struct run *x, const struct rolled_plan *p)
{
    struct bh_batch *b = bh_batch_new();
    int r = b == NULL ? -ENOMEM : 0;
    for (uint32_t k = 0; k < p->days && r == 0;) {
        uint32_t end = k;
        while (end < p->days && p->day[end].rows) {
            end++;
        }
        if (end > k) {
            r = read_stretch(x, b, p->day[k].start_ns, p->day[end - 1].end_ns);
        }
        k = end > k ? end : k + 1;
    }
    bh_batch_free(b);
    return r;
}

/* ---- sources ------------------------------------------------------------------------------------------ */

/* What the countries of a roll-up are in this report. */
static int
map_places(struct run *x, struct part *part)
{
    const struct bh_rollup *u = part->rollup;
    part->place = calloc(u->countries + 1UL, sizeof *part->place);
    if (part->place == NULL) {
        return -ENOMEM;
    }
    for (uint32_t c = 0; c < u->countries; c++) {
        const uint16_t value = bh_store_country_value(x->feed.store, &u->country[c]);
        part->place[c] = x->places->of_value[value & 1023];
    }
    return 0;
}

static void
use_ids(bool *used, const struct bh_rollup_ids *ids)
{
    for (uint32_t k = 0; k < ids->count; k++) {
        used[ids->id[k]] = true;
    }
}

/* Who sent something on the days that are taken. */
static int
find_used(const struct part *part, bool *used)
{
    const struct bh_rollup *u = part->rollup;
    if (part->whole) {
        memset(used, 1, u->sources);
        for (uint32_t k = 0; k < u->silent.count; k++) {
            used[u->silent.id[k]] = false;
        }
        return 0;
    }
    for (uint32_t d = 0; d < part->days; d++) {
        struct bh_rollup_day day;
        if (part->day[d] == UINT32_MAX) {
            continue;
        }
        int r = bh_rollup_get_day(u, d, true, &day);
        if (r != 0) {
            return r;
        }
        use_ids(used, &day.knocked);
        use_ids(used, &day.pinged);
        use_ids(used, &day.other);
        bh_rollup_day_done(&day);
    }
    return 0;
}

static int
take_sources(struct rolled_plan *p, struct part *part)
{
    const struct bh_rollup *u = part->rollup;
    bool *used = calloc(u->sources + 1UL, sizeof *used);
    struct bh_rolled_source *list = calloc(u->sources + 1UL, sizeof *list);
    int r = used == NULL || list == NULL ? -ENOMEM : find_used(part, used);
    for (uint32_t k = 0; r == 0 && k < u->sources; k++) {
        uint16_t country;
        if (used[k]) {
            bh_rollup_source(u, k, &list[k].family, &list[k].hi, &list[k].lo, &country);
            list[k].place = part->place[country];
        }
    }
    r = r != 0 ? r : bh_rolled_part_new(p->r, list, u->sources, &part->sources);
    free(used);
    free(list);
    return r;
}

/* ---- services ------------------------------------------------------------------------------------------- */

struct stream {
    struct bh_rollup_sets *sets;
    struct part *part;
    uint32_t peek;
};

/* What comes next of it is needed when the other streams had their turn. */
static void
look_ahead(struct stream *s)
{
    const struct bh_rollup_set set = bh_rollup_sets_peek(s->sets);
    s->peek = set.list;
    bh_rolled_ask(s->part->sources, set.id, set.count);
}

static int
merge_streams(struct rolled_plan *p, struct stream *stream, size_t streams)
{
    for (;;) {
        uint32_t least = bh_rolled_rows_peek(p->r);
        for (size_t k = 0; k < streams; k++) {
            least = stream[k].peek < least ? stream[k].peek : least;
        }
        if (least == UINT32_MAX) {
            return bh_rolled_services_end(p->r);
        }
        int r = bh_rolled_service(p->r, least >> 3);
        for (size_t k = 0; k < streams && r == 0; k++) {
            while (r == 0 && stream[k].peek >> 3 == least >> 3) {
                struct bh_rollup_set set;
                r = bh_rollup_sets_next(stream[k].sets, &set);
                if (r == 0) {
                    bh_rolled_set(p->r, stream[k].part->sources, set.outcome, set.id, set.accesses, set.count);
                }
                look_ahead(&stream[k]);
            }
        }
        if (r != 0) {
            return r;
        }
    }
}

static int
take_services(struct rolled_plan *p)
{
    size_t most = 1, streams = 0;
    for (size_t k = 0; k < p->parts; k++) {
        most += p->part[k].days;
    }
    struct stream *stream = calloc(most, sizeof *stream);
    int r = stream == NULL ? -ENOMEM : 0;
    for (size_t k = 0; k < p->parts && r == 0; k++) {
        struct part *part = &p->part[k];
        for (uint32_t d = 0; part->used && d < part->days && r == 0; d++) {
            if (part->day[d] == UINT32_MAX || (part->whole && d > 0)) {
                continue;
            }
            r = bh_rollup_sets_new(part->rollup, part->whole ? BH_ROLLUP_ALL_DAYS : d, &stream[streams].sets);
            if (r == 0) {
                stream[streams].part = part;
                look_ahead(&stream[streams++]);
            }
        }
    }
    r = r != 0 ? r : merge_streams(p, stream, streams);
    for (size_t k = 0; k < streams; k++) {
        bh_rollup_sets_free(stream[k].sets);
    }
    free(stream);
    return r;
}

/* ---- days ------------------------------------------------------------------------------------------------- */

static bool
note_hour(struct rolled_plan *p, const struct bh_rollup_hour *h)
{
    if (p->hours == p->hour_cap) {
        const size_t cap = p->hour_cap == 0 ? 1024 : p->hour_cap * 2;
        struct hour *list = realloc(p->hour, cap * sizeof *list);
        if (list == NULL) {
            return false;
        }
        p->hour = list;
        p->hour_cap = cap;
    }
    p->hour[p->hours++] = (struct hour){ h->start_ns, h->busiest, false };
    return true;
}

static int
take_day(struct rolled_plan *p, const struct part *part, uint32_t d, uint32_t index)
{
    struct bh_rollup_day day;
    int r = bh_rollup_get_day(part->rollup, d, false, &day);
    if (r != 0) {
        return r;
    }
    const struct bh_rollup_sums *s = &day.sums;
    const struct bh_rolled_sums sums = {
        s->rows, s->packets, s->inbound, s->outbound, s->cut_frames, s->cut_headers, s->duplicates, s->tcp, s->udp, s->pings,
        s->cls,  s->layer,   s->reason,
    };
    bh_rolled_add_sums(p->r, &sums);
    bh_rolled_add_ports(p->r, day.dst_ports);
    for (uint32_t k = 0; k < day.own.count; k++) {
        bh_rolled_add_own(p->r, &part->rollup->own[day.own.id[k]]);
    }
    for (uint32_t k = 0; k < day.places; k++) {
        bh_rolled_add_place(p->r, part->place[day.place[k].country], day.place[k].first_ns, day.place[k].last_ns);
    }
    for (uint32_t h = 0; h < day.hours && r == 0; h++) {
        const struct bh_rollup_hour *hour = &day.hour[h];
        r = !bh_rolled_hour(p->r, hour->start_ns, hour->first_ns, hour->last_ns, hour->frames) ? BH_ELIMIT
            : !note_hour(p, hour)                                                              ? -ENOMEM
                                                                                               : 0;
        for (uint32_t c = 0; c < hour->cells; c++) {
            const struct bh_rollup_cell *cell = &day.cell[hour->cell_at + c];
            bh_rolled_hour_place(p->r, part->place[cell->country], (uint64_t)cell->tcp + cell->udp);
        }
        p->day[index].some_ns = hour->first_ns;
    }
    p->day[index].sources += day.knocked.count;
    p->any_ping |= day.pinged.count > 0;
    bh_rollup_day_done(&day);
    return r;
}

/* ---- distinct sources by day and week ---------------------------------------------------------------------- */

/* Who knocked on a day, whatever file it is in. */
static int
unite_day(struct rolled_plan *p, uint32_t index)
{
    int r = 0;
    for (size_t k = 0; k < p->parts && r == 0; k++) {
        const struct part *part = &p->part[k];
        for (uint32_t d = 0; part->used && d < part->days && r == 0; d++) {
            struct bh_rollup_day day;
            if (part->day[d] != index) {
                continue;
            }
            r = bh_rollup_get_day(part->rollup, d, true, &day);
            if (r == 0) {
                bh_rolled_union_add(p->r, part->sources, day.knocked.id, day.knocked.count);
                bh_rollup_day_done(&day);
            }
        }
    }
    return r;
}

static int
take_day_sources(struct rolled_plan *p)
{
    int r = 0;
    for (uint32_t k = 0; k < p->days && r == 0; k++) {
        struct plan_day *d = &p->day[k];
        if (d->rows || d->some_ns == 0) {
            continue;
        }
        if (d->parts > 1) {
            r = unite_day(p, k);
            d->sources = bh_rolled_union_end(p->r);
        }
        bh_rolled_day_sources(p->r, d->some_ns, d->sources);
    }
    return r;
}

/* Weeks begin on Mondays; 1970-01-01 was a Thursday. */
static int
take_weeks(struct rolled_plan *p)
{
    int r = 0;
    for (uint32_t k = 0, end; k < p->days && r == 0; k = end) {
        const int64_t number = p->first_day + k;
        const int64_t left = 7 - ((number + 3) % 7 + 7) % 7;
        end = p->days - k < left ? p->days : k + (uint32_t)left;
        int64_t some_ns = 0;
        for (uint32_t d = k; d < end && r == 0; d++) {
            if (!p->day[d].rows && p->day[d].some_ns != 0) {
                some_ns = p->day[d].some_ns;
                r = unite_day(p, d);
            }
        }
        if (some_ns == 0) {
            continue; /* all of it came as records */
        }
        for (uint32_t d = k; d < end; d++) {
            if (p->day[d].rows) {
                bh_rolled_union_rows(p->r, p->first_day + d, p->first_day + d);
            }
        }
        bh_rolled_week_sources(p->r, some_ns, bh_rolled_union_end(p->r));
    }
    return r;
}

/* ---- pings ---------------------------------------------------------------------------------------------------- */

static int
compare_units(const void *a, const void *b)
{
    const struct unit *x = a, *y = b;
    return x->day != y->day ? (x->day < y->day ? -1 : 1) : x->file < y->file ? -1 : x->file > y->file;
}

static uint32_t
find_unit(const struct rolled_plan *p, uint32_t day, uint32_t file)
{
    const struct unit wanted = { day, file };
    const struct unit *u = bsearch(&wanted, p->unit, p->units, sizeof wanted, compare_units);
    return u == NULL ? UINT32_MAX : (uint32_t)(u - p->unit);
}

#define OF_RECORDS UINT32_MAX

static uint32_t
unit_of_records(void *arg, int64_t day)
{
    const struct rolled_plan *p = arg;
    const int64_t at = day - p->first_day;
    return at < 0 || at >= p->days ? UINT32_MAX : find_unit(p, (uint32_t)at, OF_RECORDS);
}

/* Whole parts are one unit as long as nothing else of their time is another run's. */
static int
make_units(struct rolled_plan *p, bool by_day)
{
    size_t most = p->days + 1UL;
    for (size_t k = 0; k < p->parts; k++) {
        most += p->part[k].days;
    }
    p->unit = calloc(most, sizeof *p->unit);
    p->day_of_unit = calloc(most, sizeof *p->day_of_unit);
    if (p->unit == NULL || p->day_of_unit == NULL) {
        return -ENOMEM;
    }
    for (uint32_t k = 0; k < p->days; k++) {
        if (p->day[k].rows) {
            p->unit[p->units++] = (struct unit){ k, OF_RECORDS };
        }
    }
    for (size_t k = 0; k < p->parts; k++) {
        const struct part *part = &p->part[k];
        for (uint32_t d = 0; part->used && d < part->days; d++) {
            if (part->day[d] != UINT32_MAX && (by_day || !part->whole || d == 0)) {
                p->unit[p->units++] = (struct unit){ part->day[d], (uint32_t)k };
            }
        }
    }
    qsort(p->unit, p->units, sizeof *p->unit, compare_units);
    for (uint32_t k = 0; k < p->units; k++) {
        p->day_of_unit[k] = p->unit[k].day;
    }
    return 0;
}

static int
take_pings(struct run *x, struct rolled_plan *p)
{
    const bool by_day = bh_store_run_count(x->feed.store) > 1;
    int r = make_units(p, by_day);
    for (size_t k = 0; k < p->parts && r == 0; k++) {
        const struct part *part = &p->part[k];
        const bool one = part->whole && !by_day;
        uint32_t unit = UINT32_MAX;
        for (uint32_t d = 0; part->used && d < part->days && r == 0; d++) {
            struct bh_rollup_day day;
            if (part->day[d] == UINT32_MAX) {
                continue;
            }
            unit = one && unit != UINT32_MAX ? unit : find_unit(p, part->day[d], (uint32_t)k);
            r = bh_rollup_get_day(part->rollup, d, !one, &day);
            if (r != 0) {
                break;
            }
            bh_rolled_pinged(p->r, part->sources, day.pinged.id, day.pinged.count, unit);
            bh_rolled_then(p->r, part->sources, day.then.id, day.then.count);
            if (!one) {
                bh_rolled_knocked(p->r, part->sources, day.knocked.id, day.knocked.count, unit);
            }
            bh_rollup_day_done(&day);
        }
        if (r == 0 && one) {
            bh_rolled_then(p->r, part->sources, part->rollup->then.id, part->rollup->then.count);
            bh_rolled_knocked_all(p->r, part->sources, unit);
        }
    }
    return r != 0 ? r : bh_rolled_end(p->r, unit_of_records, p, by_day ? p->day_of_unit : NULL);
}

/* ---- bursts ------------------------------------------------------------------------------------------------------ */

static int
compare_hours(const void *a, const void *b)
{
    const struct hour *x = a, *y = b;
    return x->start_ns < y->start_ns ? -1 : x->start_ns > y->start_ns;
}

static bool
is_shared(const struct rolled_plan *p, int64_t hour_ns)
{
    const struct hour wanted = { .start_ns = hour_ns };
    const struct hour *h = bsearch(&wanted, p->hour, p->hours, sizeof wanted, compare_hours);
    return h != NULL && h->shared;
}

/* What one source asked for in an hour: first, and how often. */
struct asked {
    struct bh_ip ip;
    uint32_t key, count;
    uint16_t value;
};
struct asked_table {
    struct asked *at;
    uint32_t mask, used;
};

static uint32_t
hash_of_ip(const struct bh_ip *ip)
{
    return (uint32_t)bh_mix64(bh_get_be64(ip->octets) ^ 0x9e3779b97f4a7c15ULL, bh_get_be64(ip->octets + 8) + ip->family);
}

static struct asked *
asked_slot(const struct asked_table *t, const struct bh_ip *ip)
{
    uint32_t at = hash_of_ip(ip) & t->mask;
    while (t->at[at].ip.family != 0 && bh_ip_cmp(&t->at[at].ip, ip) != 0) {
        at = (at + 1) & t->mask;
    }
    return &t->at[at];
}

static bool
asked_room(struct asked_table *t)
{
    if (t->used < t->mask / 2) {
        return true;
    }
    struct asked_table more = { .mask = t->mask == 0 ? 16383 : t->mask * 2 + 1, .used = t->used };
    more.at = calloc(more.mask + 1UL, sizeof *more.at);
    if (more.at == NULL) {
        return false;
    }
    for (uint32_t k = 0; t->at != NULL && k <= t->mask; k++) {
        if (t->at[k].ip.family != 0) {
            *asked_slot(&more, &t->at[k].ip) = t->at[k];
        }
    }
    free(t->at);
    *t = more;
    return true;
}

/* An hour that begins in one file and ends in another, in which somebody was busy. */
static int
read_hour(struct run *x, struct rolled_plan *p, int64_t start_ns, struct bh_batch *b)
{
    const struct bh_period all = x->period;
    struct asked_table t = { 0 };
    x->period = (struct bh_period){ .start_ns = start_ns, .end_ns = start_ns + HOUR_NS };
    int r = log_begin(x);
    x->period = all;
    while (r == 0) {
        const int got = bh_store_read(x->feed.store, b, x->err);
        if (got <= 0) {
            r = got;
            break;
        }
        for (uint32_t i = 0; i < b->rows && r == 0; i++) {
            if (b->cls[i] != BH_CLASS_ACCESS || b->direction[i] != BH_DIR_IN || b->ts_ns[i] < start_ns ||
                b->ts_ns[i] >= start_ns + HOUR_NS) {
                continue;
            }
            if (!asked_room(&t)) {
                r = -ENOMEM;
                break;
            }
            const struct bh_ip ip = bh_batch_src(b, i);
            const uint32_t key = (uint32_t)(b->proto[i] != BH_PROTO_TCP) << 16 | bh_batch_dst_port(b, i);
            struct asked *a = asked_slot(&t, &ip);
            if (a->ip.family == 0) {
                *a = (struct asked){ ip, key, 0, b->country[i] };
                t.used++;
            }
            a->count += a->key == key;
        }
    }
    struct bh_store_health health;
    bh_store_get_health(x->feed.store, &health);
    rolled_say_read(x);
    r = r == 0 && health.damaged_blocks > 0 ? BH_EDAMAGED : r;
    for (uint32_t k = 0; r == 0 && t.at != NULL && k <= t.mask; k++) {
        if (t.at[k].count >= BH_BURST_LEAST) {
            bh_rolled_add_burst(p->r, &t.at[k].ip, x->places->of_value[t.at[k].value & 1023], t.at[k].key, t.at[k].count, start_ns);
        }
    }
    free(t.at);
    return r;
}

static int
take_shared_hours(struct run *x, struct rolled_plan *p)
{
    struct bh_batch *b = bh_batch_new();
    int r = b == NULL ? -ENOMEM : 0;
    if (p->hours > 0) {
        qsort(p->hour, p->hours, sizeof *p->hour, compare_hours);
    }
    for (size_t k = 0, end; k < p->hours && r == 0; k = end) {
        uint64_t most = 0;
        for (end = k; end < p->hours && p->hour[end].start_ns == p->hour[k].start_ns; end++) {
            /* Up to here nobody is noted: then it may have been one less. */
            most += p->hour[end].busiest >= BH_ROLLUP_BURST_LEAST ? p->hour[end].busiest : BH_ROLLUP_BURST_LEAST - 1;
        }
        for (size_t i = k; end - k > 1 && i < end; i++) {
            p->hour[i].shared = true;
        }
        if (end - k > 1 && most >= BH_BURST_LEAST) {
            r = read_hour(x, p, p->hour[k].start_ns, b);
        }
    }
    bh_batch_free(b);
    return r;
}

static int
take_bursts(struct run *x, struct rolled_plan *p)
{
    int r = take_shared_hours(x, p);
    for (size_t k = 0; k < p->parts && r == 0; k++) {
        const struct part *part = &p->part[k];
        for (uint32_t d = 0; part->used && d < part->days && r == 0; d++) {
            struct bh_rollup_day day;
            if (part->day[d] == UINT32_MAX) {
                continue;
            }
            r = bh_rollup_get_day(part->rollup, d, false, &day);
            for (uint32_t i = 0; r == 0 && i < day.bursts; i++) {
                const struct bh_rollup_burst *b = &day.burst[i];
                uint64_t hi, lo;
                uint16_t country;
                uint8_t family;
                if (b->count < BH_BURST_LEAST || is_shared(p, b->hour_ns)) {
                    continue;
                }
                bh_rollup_source(part->rollup, b->source, &family, &hi, &lo, &country);
                const struct bh_ip ip = family == 4 ? bh_ip_from_v4((uint32_t)lo) : bh_ip_from_v6(hi, lo);
                bh_rolled_add_burst(p->r, &ip, part->place[country], b->key, b->count, b->hour_ns);
            }
            if (r == 0) {
                bh_rollup_day_done(&day);
            }
        }
    }
    return r;
}

/* ---- all of it ---------------------------------------------------------------------------------------------------- */

static int
take_parts(struct run *x, struct rolled_plan *p)
{
    int r = 0;
    for (size_t k = 0; k < p->parts && r == 0; k++) {
        struct part *part = &p->part[k];
        if (!part->used) {
            continue;
        }
        r = bh_rollup_open(x->feed.store, k, &part->rollup);
        r = r != 0 ? r : map_places(x, part);
        r = r != 0 ? r : take_sources(p, part);
        for (uint32_t d = 0; d < part->days && r == 0; d++) {
            r = part->day[d] == UINT32_MAX ? 0 : take_day(p, part, d, part->day[d]);
        }
    }
    return r;
}

int
rolled_count(struct run *x)
{
    struct rolled_plan *p = x->rolled;
    struct bh_tally *t = x->shard[0].tally;
    int r = read_rows(x, p);
    bh_tally_set_period(t, x->period);
    r = r != 0 ? r : bh_rolled_new(t, x->o->ports, 0, &p->r);
    r = r != 0 ? r : take_parts(x, p);
    r = r != 0 ? r : take_services(p);
    r = r != 0 ? r : take_day_sources(p);
    if (r == 0 && p->day[p->days - 1].end_ns - p->day[0].start_ns > WEEKS_FROM_NS) {
        r = take_weeks(p);
    }
    r = r != 0 ? r : take_pings(x, p);
    return r != 0 ? r : take_bursts(x, p);
}
