/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hours: what the time line, the gaps and the sparklines are made of.
 *
 * An hour is numbered from 1970 on the zone's full hours (a zone with a half-hour offset has
 * its own), so that numbers never repeat when clocks change. Records come mostly in order: the
 * current hour is kept at hand, and everything else happens once per change of hour.
 */
#include "tally_priv.h"

#include <errno.h>
#include <stdlib.h>

#define HOUR_NS 3600000000000LL

int
bins_init(struct bins *b)
{
    *b = (struct bins){ .current = UINT32_MAX, .current_start_ns = 1, .current_end_ns = 0, .trend_width = 1 };
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

uint32_t
bins_hour_id(const struct bins *b, int64_t ts_ns)
{
    return (uint32_t)(int32_t)floor_div(floor_div(ts_ns, 1000000000LL) + b->zone_shift_s, 3600);
}

int64_t
bins_hour_start_ns(const struct bins *b, uint32_t id)
{
    return ((int64_t)(int32_t)id * 3600 - b->zone_shift_s) * 1000000000LL;
}

/* The sparkline's row of an hour: 256 bins that get twice as wide when time outgrows them. */
static void
trend_go(struct bins *b, uint32_t id)
{
    if (b->used == 1) {
        b->trend_first = id;
    }
    int32_t at = (int32_t)(id - b->trend_first);
    at = at < 0 ? 0 : at;
    while ((uint32_t)at / b->trend_width >= TREND_BINS) {
        for (unsigned k = 0; k < TREND_BINS / 2; k++) {
            for (unsigned p = 0; p < BH_PLACES_MAX; p++) {
                b->trend[k][p] = b->trend[2 * k][p] + b->trend[2 * k + 1][p];
            }
        }
        memset(b->trend[TREND_BINS / 2], 0, sizeof *b->trend * (TREND_BINS / 2));
        b->trend_width *= 2;
    }
    b->trend_row = b->trend[(uint32_t)at / b->trend_width];
}

/* The hour a local day begins with. */
static uint32_t
day_hour(const struct bins *b, int64_t day)
{
    return (uint32_t)(int32_t)floor_div(bh_zone_day_start(day) + b->zone_shift_s, 3600);
}

static void
hour_new(struct bins *b, uint32_t id, int64_t ts_ns)
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
    int64_t day = bh_zone_day(floor_div(bins_hour_start_ns(b, id), 1000000000LL));
    int64_t monday = floor_div(day + 3, 7) * 7 - 3; /* 1970-01-01 was a Thursday */
    b->current = b->used++;
    b->hour[b->current] = (struct hour){
        .id = id,
        .day_first = day_hour(b, day),
        .day_next = day_hour(b, day + 1),
        .week_first = day_hour(b, monday),
        .week_next = day_hour(b, monday + 7),
        .first_frame_ns = ts_ns,
        .last_frame_ns = ts_ns,
    };
    map_add(&b->index, id, b->current + 1);
}

void
bins_go(struct bins *b, int64_t ts_ns)
{
    int64_t s = floor_div(ts_ns, 1000000000LL);
    int offset = bh_zone_offset_s(s);
    b->zone_shift_s = (offset % 3600 + 3600) % 3600;
    uint32_t id = (uint32_t)(int32_t)floor_div(s + b->zone_shift_s, 3600);
    uint64_t at = map_get(&b->index, id);
    if (at != 0) {
        b->current = (uint32_t)at - 1;
    } else {
        hour_new(b, id, ts_ns);
    }
    b->current_start_ns = bins_hour_start_ns(b, id);
    if (__builtin_add_overflow(b->current_start_ns, HOUR_NS, &b->current_end_ns)) {
        b->current_end_ns = INT64_MAX;
    }
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
        h->first_frame_ns = f->first_frame_ns < h->first_frame_ns ? f->first_frame_ns : h->first_frame_ns;
        h->last_frame_ns = f->last_frame_ns > h->last_frame_ns ? f->last_frame_ns : h->last_frame_ns;
    }
    /* Sparklines: shards see the same span, but may have begun an hour apart. */
    for (unsigned k = 0; k < TREND_BINS; k++) { /* untouched rows are zero pages: cheap to read */
        uint32_t id = from->trend_first + k * from->trend_width;
        uint32_t at = (id - into->trend_first) / into->trend_width;
        at = (int32_t)(id - into->trend_first) < 0 ? 0 : at < TREND_BINS ? at : TREND_BINS - 1;
        for (unsigned p = 0; p < BH_PLACES_MAX; p++) {
            into->trend[at][p] += from->trend[k][p];
        }
    }
    into->lost += from->lost;
    return 0;
}
