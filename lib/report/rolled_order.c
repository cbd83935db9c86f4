/* SPDX-License-Identifier: BSD-2-Clause */
/* What of a report out of roll-ups depends on the order of records: who pinged first, bursts within an hour. */
#include "rolled_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ---- pings ---------------------------------------------------------------------------------------------------- */

static int
compare_units(const void *a, const void *b)
{
    const struct unit *x = a, *y = b;
    return x->day != y->day    ? (x->day < y->day ? -1 : 1)
           : x->file < y->file ? -1
                               : x->file > y->file;
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

int
rolled_take_pings(struct run *x, struct rolled_plan *p)
{
    const bool by_day = bh_store_run_count(x->feed.store) > 1;
    int r = make_units(p, by_day);
    for (size_t k = 0; k < p->parts && r == 0; k++) {
        const struct part *part = &p->part[k];
        const bool one = part->used && part->whole && !by_day;
        uint32_t unit = UINT32_MAX;
        for (uint32_t d = 0; part->used && d < part->days && r == 0; d++) {
            const struct bh_rollup_day *day = &part->kept[d];
            if (part->day[d] == UINT32_MAX) {
                continue;
            }
            unit = one && unit != UINT32_MAX ? unit : find_unit(p, part->day[d], (uint32_t)k);
            bh_rolled_pinged(p->r, part->sources, day->pinged.id, day->pinged.count, unit);
            bh_rolled_then(p->r, part->sources, day->then.id, day->then.count);
            if (!one) {
                struct bh_rollup_who who;
                r = bh_rollup_get_who(part->rollup, d, &who);
                if (r == 0) {
                    bh_rolled_knocked(p->r, part->sources, who.id, who.count, unit);
                    bh_rollup_who_done(&who);
                }
            }
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

/* An hour that begins in one file and ends in another, in which somebody was busy. */
static int
read_hour(struct run *x, struct rolled_plan *p, int64_t start_ns, struct bh_batch *b)
{
    const struct bh_period all = x->period;
    struct bh_busy *busy = bh_busy_new(start_ns, start_ns + HOUR_NS);
    struct bh_busy_source s;
    x->period = (struct bh_period){ .start_ns = start_ns, .end_ns = start_ns + HOUR_NS };
    int r = busy == NULL ? -ENOMEM : log_begin(x), got = 1;
    x->period = all;
    while (r == 0 && (got = bh_store_read(x->feed.store, b, x->err)) > 0) {
        r = bh_busy_add(busy, b) ? 0 : -ENOMEM;
    }
    struct bh_store_health health;
    bh_store_get_health(x->feed.store, &health);
    rolled_say_read(x);
    r = r != 0 ? r : got < 0 ? got : health.damaged_blocks > 0 ? BH_EDAMAGED : 0;
    for (uint32_t at = 0; r == 0 && bh_busy_next(busy, &at, &s);) {
        if (s.count >= BH_BURST_LEAST) {
            bh_rolled_add_burst(p->r, &s.ip, x->places->of_value[s.value & 1023], s.key, s.count,
                                start_ns);
        }
    }
    bh_busy_free(busy);
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
            most += p->hour[end].busiest >= BH_ROLLUP_BURST_LEAST ? p->hour[end].busiest
                                                                  : BH_ROLLUP_BURST_LEAST - 1;
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

int
rolled_take_bursts(struct run *x, struct rolled_plan *p)
{
    int r = take_shared_hours(x, p);
    for (size_t k = 0; k < p->parts && r == 0; k++) {
        const struct part *part = &p->part[k];
        for (uint32_t d = 0; part->used && d < part->days && r == 0; d++) {
            const struct bh_rollup_day *day = &part->kept[d];
            for (uint32_t i = 0; part->day[d] != UINT32_MAX && i < day->bursts; i++) {
                const struct bh_rollup_burst *b = &day->burst[i];
                uint64_t hi, lo;
                uint16_t country;
                uint8_t family;
                if (b->count < BH_BURST_LEAST || is_shared(p, b->hour_ns)) {
                    continue;
                }
                bh_rollup_source(part->rollup, b->source, &family, &hi, &lo, &country);
                const struct bh_ip ip =
                    family == 4 ? bh_ip_from_v4((uint32_t)lo) : bh_ip_from_v6(hi, lo);
                bh_rolled_add_burst(p->r, &ip, part->place[country], b->key, b->count, b->hour_ns);
            }
        }
    }
    return r;
}
