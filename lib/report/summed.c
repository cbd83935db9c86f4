/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which records a question (bh_question.h) needs not read, as roll-ups have added them up.
 *
 * A roll-up has some parts of records together: hour, country and protocol of accesses, or day, service, country and
 * outcome. A question is answered by the first of these *grains* that has all parts which its keys and its filter look
 * at. A *unit* - an hour or a day of a roll-up, or all of a joined one - is known when all its records lie inside the
 * period, and in one hour, day or month of the question where that is asked. Records of the other units are read,
 * as are those of files without a roll-up; and since records are read by time and not by file, so is each unit that
 * overlaps in time with what is read.
 */
#include "summed_priv.h"

#include <errno.h>
#include <stdlib.h>

#define UNITS_MOST (1U << 20)
#define ROUNDS_MOST 16
#define SECOND_NS 1000000000LL
#define NEAR_MOST 64U
#define SPANS_MOST 4096U

static const struct {
    enum summed_grain grain;
    uint32_t asked, parts;
    enum bh_rollup_parts opened;
    bool by_hours;
} grains[GRAIN_COUNT] = {
    { GRAIN_HOURS, 1U << BH_ASKED_ACCESSES,
      BH_PART_TIME | BH_PART_COUNTRY | BH_PART_PROTO | BH_PART_SENSOR, BH_ROLLUP_HOURS, true },
    { GRAIN_SERVICES, 1U << BH_ASKED_ACCESSES,
      BH_PART_DAY | BH_PART_MONTH | BH_PART_COUNTRY | BH_PART_PROTO | BH_PART_PORT |
          BH_PART_OUTCOME | BH_PART_SENSOR,
      BH_ROLLUP_SERVICES, false },
    { GRAIN_SOURCES, 1U << BH_ASKED_ACCESSES | 1U << BH_ASKED_SOURCES,
      BH_PART_DAY | BH_PART_MONTH | BH_PART_COUNTRY | BH_PART_FAMILY | BH_PART_ADDRESS |
          BH_PART_SENSOR,
      BH_ROLLUP_SOURCES, false },
    { GRAIN_FRAMES, 1U << BH_ASKED_RECORDS, BH_PART_TIME | BH_PART_SENSOR, BH_ROLLUP_HOURS, true },
    { GRAIN_DAYS, 1U << BH_ASKED_PACKETS, BH_PART_DAY | BH_PART_MONTH | BH_PART_SENSOR,
      BH_ROLLUP_HOURS, false },
};

int64_t
summed_cut(uint32_t parts, int64_t ts_ns)
{
    const int64_t s = ts_ns / SECOND_NS - (ts_ns % SECOND_NS < 0);
    if ((parts & BH_PART_TIME) == 0) {
        return 0;
    }
    if ((parts & BH_PART_HOUR) == 0) {
        if ((parts & BH_PART_DAY) != 0) {
            return bh_zone_day(s);
        }
        const struct bh_civil civil = bh_zone_civil(s);
        return civil.year * 12LL + civil.month;
    }
    const int shift = bh_zone_offset_s(s);
    /* the second it began: an hour that comes twice is two */
    return (s + shift) / 3600 * 3600 - shift;
}

/* ---- what is asked --------------------------------------------------------------------------------------- */

static void
add_near(uint16_t *near, size_t *count, uint16_t value)
{
    for (size_t k = 0; k < *count; k++) {
        if (near[k] == value) {
            return;
        }
    }
    if (*count <= NEAR_MOST) {
        near[(*count)++] = value;
    }
}

/* The countries of a range of addresses. False: too many of them. */
static bool
add_near4(const kobold *k, uint32_t first, uint32_t last, uint16_t *near, size_t *count)
{
    unsigned spans = 0;
    for (uint64_t at = first; at <= last; spans++) {
        uint32_t end;
        add_near(near, count, kobold_v4_span(k, (uint32_t)at, &end));
        if (spans == SPANS_MOST) {
            return false;
        }
        at = end + 1ULL;
    }
    return true;
}

static bool
add_near6(const kobold *k, const struct bh_home6 *h, uint16_t *near, size_t *count)
{
    uint64_t hi = h->first_hi, lo = h->first_lo;
    for (unsigned spans = 0; spans < SPANS_MOST; spans++) {
        uint64_t end_hi, end_lo;
        add_near(near, count, kobold_v6_span(k, hi, lo, &end_hi, &end_lo));
        if (end_hi > h->last_hi || (end_hi == h->last_hi && end_lo >= h->last_lo)) {
            return true;
        }
        lo = end_lo + 1;
        hi = end_hi + (lo == 0);
    }
    return false;
}

/* What the destinations of accesses are in the country database: our addresses, those of groups of hosts, and none at
 * all in logs of others. No values: not known. */
static size_t
near_values(const struct run *x, uint16_t near[NEAR_MOST + 1])
{
    const kobold *k = countries_at(&x->countries, INT64_MAX);
    const struct bh_home *h = &x->r->home;
    static const struct bh_home6 groups6 = { 0xff00ULL << 48, 0, UINT64_MAX, UINT64_MAX };
    size_t count = 0;
    bool ok = k != NULL && add_near4(k, 0xE0000000U, 0xEFFFFFFFU, near, &count) &&
              add_near4(k, UINT32_MAX, UINT32_MAX, near, &count) &&
              add_near6(k, &groups6, near, &count);
    for (size_t i = 0; i < bh_store_run_count(x->feed.store) && ok; i++) {
        ok = !bh_store_run(x->feed.store, i)->is_import || add_near4(k, 0, 0, near, &count);
    }
    for (size_t i = 0; i < h->v4_count && ok; i++) {
        ok = add_near4(k, h->v4[i].first, h->v4[i].last, near, &count);
    }
    for (size_t i = 0; i < h->bcast_count && ok; i++) {
        ok = add_near4(k, h->bcast[i].first, h->bcast[i].last, near, &count);
    }
    for (size_t i = 0; i < h->v6_count && ok; i++) {
        ok = add_near6(k, &h->v6[i], near, &count);
    }
    return ok && count <= NEAR_MOST ? count : 0;
}

static const char *
find_grain(struct summed *s)
{
    const struct run *x = s->x;
    const struct bh_filter *f = countries_words(&x->countries);
    uint16_t near[NEAR_MOST + 1];
    const enum bh_plan_choice plan = x->o->plan;
    if (plan == BH_PLAN_BLOCKS || plan == BH_PLAN_ALL) {
        return "asked";
    }
    if (!x->feed.decided || x->feed.by_days) {
        return x->feed.by_days ? "databases" : "judged";
    }
    if (s->q.what == BH_ASKED_EACH) {
        return "unit";
    }
    s->filter_parts = f == NULL ? 0 : bh_filter_asks(f, near, near_values(x, near));
    s->q.parts |= s->filter_parts;
    if (bh_question_is_of_accesses(&s->q)) {
        s->q.parts &= ~(uint32_t)BH_PART_CLASS;
        s->filter_parts &= ~(uint32_t)BH_PART_CLASS;
    }
    for (unsigned g = 0; g < GRAIN_COUNT; g++) {
        if ((grains[g].asked >> s->q.what & 1U) != 0 && (s->q.parts & ~grains[g].parts) == 0) {
            s->grain = grains[g].grain;
            return NULL;
        }
    }
    return (s->q.parts & BH_PART_MORE) != 0        ? "more"
           : (s->q.parts & BH_PART_OTHER_END) != 0 ? "ends"
                                                   : "together";
}

/* ---- units ------------------------------------------------------------------------------------------------- */

static bool
push_unit(struct summed *s, const struct summed_unit *unit)
{
    if (s->units == s->unit_cap) {
        const size_t cap = s->unit_cap == 0 ? 1024 : 2 * s->unit_cap;
        void *p = cap > UNITS_MOST ? NULL : realloc(s->unit, cap * sizeof *s->unit);
        if (p == NULL) {
            return false;
        }
        s->unit = p;
        s->unit_cap = cap;
    }
    s->unit[s->units++] = *unit;
    return true;
}

/* The hours of a part. */
static int
take_hours(struct summed *s, uint32_t at)
{
    struct summed_part *p = &s->part[at];
    p->day = calloc(p->days + 1UL, sizeof *p->day);
    if (p->day == NULL) {
        return -ENOMEM;
    }
    for (uint32_t d = 0; d < p->days; d++) {
        int r = bh_rollup_get_hours(p->u, d, &p->day[d]);
        for (uint32_t h = 0; r == 0 && h < p->day[d].hours; h++) {
            const struct bh_rollup_hour *hour = &p->day[d].hour[h];
            const struct summed_unit unit = { hour->first_ns, hour->last_ns, at, d, h,
                                              hour->frames,   false };
            r = push_unit(s, &unit) ? 0 : -ENOMEM;
        }
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

static int
take_days(struct summed *s, uint32_t at)
{
    const struct summed_part *p = &s->part[at];
    const struct bh_store *store = s->x->feed.store;
    struct summed_unit all = { INT64_MAX, INT64_MIN, at, BH_ROLLUP_ALL, 0, 0, false };
    for (uint32_t d = 0; d < p->days; d++) {
        struct summed_unit unit = { 0, 0, at, d, 0, 0, false };
        bh_store_rollup_bounds(store, p->file, d, &unit.first_ns, &unit.last_ns, &unit.rows);
        unit.last_ns--;
        all.first_ns = d == 0 ? unit.first_ns : all.first_ns;
        all.last_ns = unit.last_ns;
        all.rows += unit.rows;
        if (!p->by_all && !push_unit(s, &unit)) {
            return -ENOMEM;
        }
    }
    return !p->by_all || push_unit(s, &all) ? 0 : -ENOMEM;
}

static int
map_values(struct summed *s, struct summed_part *p)
{
    p->value = calloc(p->u->countries + 1UL, sizeof *p->value);
    p->may = calloc(p->u->countries + 1UL, sizeof *p->may);
    if (p->value == NULL || p->may == NULL) {
        return -ENOMEM;
    }
    for (uint32_t c = 0; c < p->u->countries; c++) {
        p->value[c] = bh_store_country_value(s->x->feed.store, &p->u->country[c]);
    }
    return 0;
}

static void
part_done(struct summed_part *p)
{
    for (uint32_t d = 0; p->day != NULL && d < p->days; d++) {
        bh_rollup_day_done(&p->day[d]);
    }
    free(p->day);
    free(p->value);
    free(p->may);
    bh_rollup_close(p->u);
    *p = (struct summed_part){ 0 };
}

/* A roll-up and its units. BH_EDAMAGED: nothing of it. */
static int
take_part(struct summed *s, size_t file, size_t run, uint32_t days)
{
    struct summed_part *p = &s->part[s->parts];
    const size_t units = s->units;
    *p = (struct summed_part){ .file = file,
                               .sensor = (uint16_t)bh_store_sensor_of_run(s->x->feed.store, run),
                               .days = days };
    p->by_all =
        file == BH_STORE_JOINED && (s->grain == GRAIN_SERVICES || s->grain == GRAIN_SOURCES);
    int r = bh_rollup_open_some(s->x->feed.store, file, grains[s->grain].opened, &p->u);
    r = r != 0 ? r : map_values(s, p);
    r = r != 0                      ? r
        : grains[s->grain].by_hours ? take_hours(s, (uint32_t)s->parts)
                                    : take_days(s, (uint32_t)s->parts);
    if (r != 0) {
        part_done(p);
        s->units = units;
        return r;
    }
    s->parts++;
    return 0;
}

/* ---- times ----------------------------------------------------------------------------------------------------- */

static int
compare_units(const void *a, const void *b)
{
    const struct summed_unit *x = a, *y = b;
    return x->first_ns != y->first_ns ? (x->first_ns < y->first_ns ? -1 : 1)
           : x->part != y->part       ? (x->part < y->part ? -1 : 1)
                                      : 0;
}

static int
compare_ranges(const void *a, const void *b)
{
    const struct bh_store_range *x = a, *y = b;
    return x->start_ns < y->start_ns ? -1 : x->start_ns > y->start_ns;
}

/* Ranges that overlap or meet become one. */
static size_t
merge_ranges(struct bh_store_range *list, size_t n)
{
    size_t kept = 0;
    qsort(list, n, sizeof *list, compare_ranges);
    for (size_t k = 0; k < n; k++) {
        if (kept > 0 && list[k].start_ns <= list[kept - 1].end_ns) {
            list[kept - 1].end_ns =
                list[k].end_ns > list[kept - 1].end_ns ? list[k].end_ns : list[kept - 1].end_ns;
        } else {
            list[kept++] = list[k];
        }
    }
    return kept;
}

/* The first range that ends behind a time. */
static size_t
range_behind(const struct bh_store_range *list, size_t n, int64_t ts_ns)
{
    size_t low = 0;
    while (low < n) {
        const size_t mid = low + (n - low) / 2;
        if (list[mid].end_ns > ts_ns) {
            n = mid;
        } else {
            low = mid + 1;
        }
    }
    return low;
}

static bool
overlaps(const struct bh_store_range *list, size_t n, int64_t first_ns, int64_t last_ns)
{
    const size_t k = range_behind(list, n, first_ns);
    return k < n && list[k].start_ns <= last_ns;
}

bool
summed_knows(const struct summed *s, int64_t ts_ns)
{
    return overlaps(s->without, s->withouts, ts_ns, ts_ns);
}

/* Units that the question would divide. Outside of the period they matter to nobody. */
static void
mark_divided(struct summed *s)
{
    const struct bh_period *p = &s->x->period;
    size_t kept = 0;
    for (size_t k = 0; k < s->units; k++) {
        struct summed_unit *u = &s->unit[k];
        if (u->last_ns < p->start_ns || u->first_ns >= p->end_ns) {
            continue;
        }
        u->read = u->first_ns < p->start_ns || u->last_ns >= p->end_ns ||
                  summed_cut(s->q.parts, u->first_ns) != summed_cut(s->q.parts, u->last_ns);
        s->unit[kept++] = *u;
    }
    s->units = kept;
}

/* Each unit that overlaps with what is read is read, and so on. `list` has room for all units twice beside the files. False:
 * that has no end. */
static bool
mark_read(struct summed *s, struct bh_store_range *list, size_t files, size_t *ret_ranges)
{
    bool more = true;
    for (int round = 0; more && round < ROUNDS_MOST; round++) {
        size_t n = files;
        for (size_t k = 0; k < s->units; k++) {
            if (s->unit[k].read) {
                list[n++] = (struct bh_store_range){ s->unit[k].first_ns, s->unit[k].last_ns + 1 };
            }
        }
        files = n = merge_ranges(list, n);
        *ret_ranges = n;
        more = false;
        for (size_t k = 0; k < s->units; k++) {
            struct summed_unit *u = &s->unit[k];
            if (!u->read && overlaps(list, n, u->first_ns, u->last_ns)) {
                u->read = more = true;
            }
        }
    }
    return !more;
}

/* Times from the first known unit to the last one before something is read. */
static int
find_known(struct summed *s, const struct bh_store_range *read, size_t n)
{
    s->without = calloc(s->units + 1, sizeof *s->without);
    if (s->without == NULL) {
        return -ENOMEM;
    }
    size_t kept = 0;
    for (size_t k = 0; k < s->units; k++) {
        const struct summed_unit *u = &s->unit[k];
        if (u->read) {
            continue;
        }
        s->unit[kept++] = *u;
        s->rows += u->rows;
        s->joined_rows += s->part[u->part].file == BH_STORE_JOINED ? u->rows : 0;
        struct bh_store_range *last = s->withouts == 0 ? NULL : &s->without[s->withouts - 1];
        if (last == NULL || overlaps(read, n, last->end_ns, u->first_ns)) {
            s->without[s->withouts++] = (struct bh_store_range){ u->first_ns, u->last_ns + 1 };
        } else if (u->last_ns >= last->end_ns) {
            last->end_ns = u->last_ns + 1;
        }
    }
    s->units = kept;
    return 0;
}

static int
settle(struct summed *s, struct bh_store_range *files, size_t n, const char **ret_why)
{
    struct bh_store_range *list = realloc(files, (n + 2 * s->units + 1) * sizeof *list);
    if (list == NULL) {
        free(files);
        return -ENOMEM;
    }
    mark_divided(s);
    if (s->units > 0) {
        qsort(s->unit, s->units, sizeof *s->unit, compare_units);
    }
    const size_t units = s->units;
    int r = mark_read(s, list, n, &n) ? find_known(s, list, n) : 0;
    free(list);
    if (r == 0 && s->withouts == 0) {
        *ret_why = units == 0 ? "nothing" : "days";
    }
    return r;
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

/* A joined roll-up tells who and what of all its days together. */
static bool
uses_joined(const struct summed *s)
{
    const struct bh_store *store = s->x->feed.store;
    const uint32_t days = bh_store_joined_days(store);
    if (days == 0 || (s->grain != GRAIN_SERVICES && s->grain != GRAIN_SOURCES)) {
        return days > 0;
    }
    int64_t start, end, unused;
    uint64_t rows;
    bh_store_rollup_bounds(store, BH_STORE_JOINED, 0, &start, &unused, &rows);
    bh_store_rollup_bounds(store, BH_STORE_JOINED, days - 1, &unused, &end, &rows);
    return start >= s->x->period.start_ns && end <= s->x->period.end_ns &&
           summed_cut(s->q.parts, start) == summed_cut(s->q.parts, end - 1);
}

/* Parts of all files; `read` gets the times of those that have none, and *why a word for the first of these. */
static int
take_files(struct summed *s, bool joined, struct bh_store_range *read, size_t *ret_count,
           const char **why)
{
    const struct bh_store *store = s->x->feed.store;
    const struct bh_period *period = &s->x->period;
    int r = joined ? take_part(s, BH_STORE_JOINED, 0, bh_store_joined_days(store)) : 0;
    for (size_t k = 0; k < bh_store_file_count(store) && r == 0; k++) {
        struct bh_store_file f;
        bh_store_get_file(store, k, &f);
        if (f.rows == 0 || (joined && bh_store_joined_has(store, k)) ||
            f.last_ns < period->start_ns || f.first_ns >= period->end_ns) {
            continue;
        }
        const char *no = f.no_rollup;
        if (no == NULL) {
            r = take_part(s, k, f.run, f.days);
            no = r == BH_EDAMAGED ? "damaged" : NULL;
            r = r == BH_EDAMAGED ? 0 : r;
        }
        if (no != NULL) {
            read[(*ret_count)++] = (struct bh_store_range){ f.first_ns, f.last_ns + 1 };
            *why = *why == NULL ? no : *why;
        }
    }
    return r;
}

static int
choose(struct summed *s, bool joined, const char **ret_why)
{
    const size_t files = bh_store_file_count(s->x->feed.store);
    struct bh_store_range *read = calloc(files + 1, sizeof *read);
    const char *why = NULL;
    size_t n = 0;
    s->part = calloc(files + 2, sizeof *s->part);
    int r = read == NULL || s->part == NULL ? -ENOMEM : take_files(s, joined, read, &n, &why);
    if (r != 0) {
        free(read);
        return r;
    }
    r = settle(s, read, n, ret_why);
    if (r == 0 && *ret_why != NULL && s->parts == 0 && why != NULL) {
        *ret_why = why;
    }
    return r;
}

int
summed_choose(struct run *x, const struct bh_question *q, bool avoid_joined, struct summed **ret,
              const char **ret_why)
{
    struct summed *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return -ENOMEM;
    }
    s->x = x;
    s->q = *q;
    *ret = NULL;
    *ret_why = find_grain(s);
    const bool joined = *ret_why == NULL && !avoid_joined && uses_joined(s);
    int r = *ret_why == NULL ? choose(s, joined, ret_why) : 0;
    if (r == 0 && *ret_why == NULL) {
        *ret = s;
        return 0;
    }
    summed_free(s);
    /* What it does not tell, its segments may. */
    return joined && (r == BH_EDAMAGED || r == 0) ? summed_choose(x, q, true, ret, ret_why) : r;
}

void
summed_free(struct summed *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t k = 0; k < s->parts; k++) {
        part_done(&s->part[k]);
    }
    free(s->part);
    free(s->unit);
    free(s->without);
    free(s->keys);
    free(s);
}
