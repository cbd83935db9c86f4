/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hours: what the time line, the gaps and the sparklines are made of.
 *
 * An hour begins on the zone's full hours (a zone with a half-hour offset has its own) and is
 * numbered by its first quarter of an hour since 1970: numbers never repeat when clocks change,
 * and mean the same instant when they change by half an hour (Lord Howe Island each year,
 * Caracas in 2007). Records come mostly in order: the current hour is kept at hand, and
 * everything else happens once per change of hour.
 */
#include "tally_priv.h"

#include <errno.h>
#include <stdlib.h>

#define QUARTER_S (3600 / HOUR_STEP)

int
bins_init(struct bins *b)
{
    *b = (struct bins){
        .current = UINT32_MAX, .current_start_ns = 1, .current_end_ns = 0, .trend_width = 1
    };
    b->cap = 64;
    b->hour = malloc(b->cap * sizeof *b->hour);
    b->trend = bh_pages_new(sizeof *b->trend * TREND_BINS, false);
    if (b->hour == NULL || b->trend == NULL || map_init(&b->index, 256) != 0) {
        bins_done(b);
        return -ENOMEM;
    }
    return 0;
}

void
bins_done(struct bins *b)
{
    free(b->hour);
    bh_pages_free(b->trend, sizeof *b->trend * TREND_BINS);
    map_done(&b->index);
    *b = (struct bins){ 0 };
}

static int64_t
floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static uint32_t
id_of(int64_t utc_s)
{
    return (uint32_t)(int32_t)floor_div(utc_s, QUARTER_S);
}

/* The ends of time lie inside an hour: what is beyond them is cut. */
static int64_t
ns_of(int64_t utc_s)
{
    int64_t ns;
    if (__builtin_mul_overflow(utc_s, 1000000000LL, &ns)) {
        return utc_s < 0 ? INT64_MIN : INT64_MAX;
    }
    return ns;
}

/* By how much the zone's full hours are off those of UTC. */
static int
zone_shift_s(int64_t utc_s)
{
    int offset = bh_zone_offset_s(utc_s);
    return (offset % 3600 + 3600) % 3600;
}

static int64_t
hour_start_s(int64_t ts_ns)
{
    int64_t s = floor_div(ts_ns, 1000000000LL);
    int shift = zone_shift_s(s);
    return floor_div(s + shift, 3600) * 3600 - shift;
}

/* An hour ends early where clocks change by half of one. */
static int64_t
hour_end_s(int64_t start_s, int64_t ts_ns)
{
    int64_t from = floor_div(ts_ns, 1000000000LL), to = start_s + 3600;
    int shift = zone_shift_s(from);
    if (zone_shift_s(to - 1) == shift) {
        return to;
    }
    while (to - from > 1) {
        int64_t middle = from + (to - from) / 2;
        *(zone_shift_s(middle) == shift ? &from : &to) = middle;
    }
    return to;
}

uint32_t
bins_hour_id(int64_t ts_ns)
{
    return id_of(hour_start_s(ts_ns));
}

int64_t
bins_hour_start_ns(uint32_t id)
{
    return ns_of((int64_t)(int32_t)id * QUARTER_S);
}

/* The sparkline's row of an hour: 256 bins that get twice as wide when time outgrows them. */
static void
trend_go(struct bins *b, uint32_t id)
{
    if (b->used == 1) {
        b->trend_first = id;
    }
    int32_t at = (int32_t)(id - b->trend_first) / (int32_t)HOUR_STEP;
    at = at < 0 ? 0 : at;
    while ((uint32_t)at / b->trend_width >= TREND_BINS) {
        for (unsigned k = 0; k < TREND_BINS / 2; k++) {
            for (unsigned p = 0; p < BH_PLACES_MAX; p++) {
                b->trend[k][p] = add_up_to_max(b->trend[2 * k][p], b->trend[2 * k + 1][p]);
            }
        }
        memset(b->trend[TREND_BINS / 2], 0, sizeof *b->trend * (TREND_BINS / 2));
        b->trend_width *= 2;
    }
    b->trend_row = b->trend[(uint32_t)at / b->trend_width];
}

/* The hour a local day begins with. */
static uint32_t
day_hour(int64_t day)
{
    return id_of(bh_zone_day_start(day));
}

static void
hour_new(struct bins *b, uint32_t id, int64_t start_s, int64_t ts_ns)
{
    if (b->used == b->cap) {
        struct hour *p = b->cap >= HOURS_MAX ? NULL : realloc(b->hour, b->cap * 2UL * sizeof *p);
        if (p == NULL) { /* time runs wild: what does not fit falls into the last hour made */
            b->lost++;
            b->current = b->used - 1;
            return;
        }
        b->hour = p;
        b->cap *= 2;
    }
    int64_t day = bh_zone_day(start_s);
    int64_t monday = floor_div(day + 3, 7) * 7 - 3; /* 1970-01-01 was a Thursday */
    b->current = b->used++;
    b->hour[b->current] = (struct hour){
        .id = id,
        .day_first = day_hour(day),
        .day_next = day_hour(day + 1),
        .week_first = day_hour(monday),
        .week_next = day_hour(monday + 7),
        .first_frame_ns = ts_ns,
        .last_frame_ns = ts_ns,
    };
    map_add(&b->index, id, b->current + 1);
}

void
bins_go(struct bins *b, int64_t ts_ns)
{
    int64_t start_s = hour_start_s(ts_ns);
    uint32_t id = id_of(start_s);
    uint64_t at = map_get(&b->index, id);
    if (at != 0) {
        b->current = (uint32_t)at - 1;
    } else {
        hour_new(b, id, start_s, ts_ns);
    }
    b->current_start_ns = ns_of(start_s);
    b->current_end_ns = ns_of(hour_end_s(start_s, ts_ns));
    trend_go(b, id);
}

int
bins_merge(struct bins *into, const struct bins *from)
{
    for (uint32_t i = 0; i < from->used; i++) {
        const struct hour *f = &from->hour[i];
        bins_go(into, f->first_frame_ns);
        struct hour *h = &into->hour[into->current];
        h->frames += f->frames;
        h->count += f->count;
        h->sources += f->sources;
        h->day_sources += f->day_sources;
        h->week_sources += f->week_sources;
        h->first_frame_ns =
            f->first_frame_ns < h->first_frame_ns ? f->first_frame_ns : h->first_frame_ns;
        h->last_frame_ns =
            f->last_frame_ns > h->last_frame_ns ? f->last_frame_ns : h->last_frame_ns;
    }
    /* Sparklines: shards see the same span, but may have begun an hour apart. */
    for (unsigned k = 0; k < TREND_BINS; k++) { /* untouched rows are zero pages: cheap to read */
        uint32_t id = from->trend_first + k * from->trend_width * HOUR_STEP;
        uint32_t at = (id - into->trend_first) / HOUR_STEP / into->trend_width;
        at = (int32_t)(id - into->trend_first) < 0 ? 0 : at < TREND_BINS ? at : TREND_BINS - 1;
        for (unsigned p = 0; p < BH_PLACES_MAX; p++) {
            into->trend[at][p] = add_up_to_max(into->trend[at][p], from->trend[k][p]);
        }
    }
    into->lost += from->lost;
    return 0;
}
