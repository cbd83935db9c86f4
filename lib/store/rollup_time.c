/* SPDX-License-Identifier: BSD-2-Clause */
/* When the records of a roll-up were: its days and hours; and what of it is by day beside the sources: bursts,
 * addresses of ours. */
#include "rollup_out_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "bh_zone.h"

#define OWN_MOST 65536U
#define HOUR_ROWS 16U /* fewer records an hour are not worth it */
#define HOURS_LEAST 48U
#define SECOND_NS 1000000000LL

/* ---- lists ------------------------------------------------------------------------------------------ */

bool
rollup_room(void **list, size_t *cap, size_t count, size_t size)
{
    if (count < *cap) {
        return true;
    }
    const size_t more = *cap == 0 ? 64 : *cap * 2;
    void *p = realloc(*list, bh_size_mul(more, size));
    if (p == NULL) {
        return false;
    }
    *list = p;
    *cap = more;
    return true;
}

bool
rollup_push(struct rollup_list *l, uint32_t v)
{
    void *p = l->v;
    if (!rollup_room(&p, &l->cap, l->n, sizeof *l->v)) {
        return false;
    }
    l->v = p;
    l->v[l->n++] = v;
    return true;
}

/* ---- times -------------------------------------------------------------------------------------------- */

static int64_t
floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

void
rollup_day_done(struct rollup_day *d)
{
    free(d->place);
    free(d->dst_ports);
    free(d->pinged.v);
    free(d->then.v);
    free(d->inbound.v);
    free(d->own.v);
    free(d->burst);
    free(d->access);
}

/* The day of a time becomes the current one. False: no memory, or no roll-up is going to be made. */
bool
rollup_go_to_day(struct rollup_out *o, int64_t ts_ns)
{
    size_t at = o->days;
    rollup_add_forms(o); /* of the day that it was */
    while (at > 0 && o->day[at - 1].start_ns > ts_ns) {
        at--;
    }
    if (at > 0 && ts_ns < o->day[at - 1].end_ns) {
        o->day_at = at - 1;
        return true;
    }
    if (at < o->days) {
        o->reason = ROLLUP_ORDER; /* numbers of days are kept by sources: none comes in between */
        return false;
    }
    if (o->days == DAYS_MOST) {
        o->reason = ROLLUP_MANY;
        return false;
    }
    const int64_t number = bh_zone_day(floor_div(ts_ns, SECOND_NS));
    void *p = o->day;
    if (!rollup_room(&p, &o->day_cap, o->days, sizeof *o->day)) {
        return false;
    }
    o->day = p;
    struct rollup_day *d = &o->day[o->days];
    *d = (struct rollup_day){ 0 };
    /* The first and the last day of all times are not whole. */
    if (__builtin_mul_overflow(bh_zone_day_start(number), SECOND_NS, &d->start_ns) ||
        __builtin_mul_overflow(bh_zone_day_start(number + 1), SECOND_NS, &d->end_ns) ||
        ts_ns < d->start_ns || ts_ns >= d->end_ns) {
        o->reason = ROLLUP_TIMES;
        return false;
    }
    const uint32_t countries = o->d->country_count;
    d->place = malloc((countries + 1UL) * 2 * sizeof *d->place);
    d->dst_ports = calloc(1, BH_ROLLUP_PORTS);
    if (d->place == NULL || d->dst_ports == NULL) {
        rollup_day_done(d);
        return false;
    }
    for (uint32_t k = 0; k < countries; k++) {
        d->place[2 * k] = INT64_MAX;
        d->place[2 * k + 1] = INT64_MIN;
    }
    o->day_at = o->days++;
    return true;
}

bool
rollup_go_to_hour(struct rollup_out *o, int64_t ts_ns)
{
    size_t at = o->hours;
    while (at > 0 && o->hour[at - 1].start_ns > ts_ns) {
        at--;
    }
    if (at > 0 && ts_ns < o->hour[at - 1].end_ns) {
        o->hour_at = at - 1;
        return true;
    }
    if (o->hours > o->rows / HOUR_ROWS + HOURS_LEAST || o->hours >= HOURS_MOST) {
        o->reason = ROLLUP_MANY;
        return false;
    }
    /* As bins.c of lib/analysis does: on the zone's full hours. */
    const int64_t s = floor_div(ts_ns, SECOND_NS);
    const int shift = (bh_zone_offset_s(s) % 3600 + 3600) % 3600;
    const int64_t start = floor_div(s + shift, 3600) * 3600 - shift;
    if ((bh_zone_offset_s(start + 3599) % 3600 + 3600) % 3600 != shift) {
        o->reason = ROLLUP_TIMES; /* clocks changed by half an hour in it */
        return false;
    }
    void *p = o->hour, *q = o->hour_start;
    if (!rollup_room(&p, &o->hour_cap, o->hours, sizeof *o->hour)) {
        return false;
    }
    o->hour = p;
    if (!rollup_room(&q, &o->hour_start_cap, o->hours, sizeof *o->hour_start)) {
        return false;
    }
    o->hour_start = q;
    o->hour_start[o->hours] = start * SECOND_NS;
    memmove(&o->hour[at + 1], &o->hour[at], (o->hours - at) * sizeof *o->hour);
    o->hours++;
    o->hour[at] = (struct rollup_hour){
        .start_ns = start * SECOND_NS,
        .end_ns = (start + 3600) * SECOND_NS,
        .first_ns = INT64_MAX,
        .last_ns = INT64_MIN,
        .serial = (uint32_t)o->hours - 1,
        .cell = calloc(2UL * o->d->country_count + 1, sizeof *o->hour[at].cell),
    };
    o->hour_at = at;
    return o->hour[at].cell != NULL;
}

static struct rollup_day *
day_of_hour(struct rollup_out *o, int64_t hour_ns)
{
    for (size_t k = o->days; k-- > 0;) {
        if (o->day[k].start_ns <= hour_ns) {
            return &o->day[k];
        }
    }
    return &o->day[0];
}

/* A source leaves an hour. */
bool
rollup_leave_hour(struct rollup_out *o, uint32_t source, const struct source_state *s)
{
    if (s->hour_count < BH_ROLLUP_BURST_LEAST) {
        return true;
    }
    const int64_t hour_ns = o->hour_start[s->hour - 1];
    size_t at = o->hours;
    while (at > 0 && o->hour[at - 1].start_ns > hour_ns) {
        at--;
    }
    struct rollup_hour *h = &o->hour[at - 1];
    h->busiest = s->hour_count > h->busiest ? s->hour_count : h->busiest;
    if (s->key_count < BH_ROLLUP_BURST_LEAST) {
        return true;
    }
    struct rollup_day *d = day_of_hour(o, hour_ns);
    void *p = d->burst;
    if (!rollup_room(&p, &d->burst_cap, d->bursts, sizeof *d->burst)) {
        return false;
    }
    d->burst = p;
    d->burst[d->bursts++] = (struct bh_rollup_burst){ hour_ns, source, s->key, s->key_count };
    return true;
}

/* ---- our own addresses ---------------------------------------------------------------------------------- */

static bool
own_grow(struct rollup_out *o)
{
    const uint32_t slots = o->own_slot == NULL ? 256 : (o->own_mask + 1) * 2;
    uint32_t *slot = calloc(slots, sizeof *slot);
    if (slot == NULL) {
        return false;
    }
    for (uint32_t k = 0; k < o->own_count; k++) {
        const struct bh_ip *ip = &o->own[k];
        uint32_t at = (uint32_t)bh_mix64(bh_get_be64(ip->octets) ^ o->t->key,
                                         bh_get_be64(ip->octets + 8) ^ ip->family) &
                      (slots - 1);
        while (slot[at] != 0) {
            at = (at + 1) & (slots - 1);
        }
        slot[at] = k + 1;
    }
    free(o->own_slot);
    o->own_slot = slot;
    o->own_mask = slots - 1;
    return true;
}

bool
rollup_add_own(struct rollup_out *o, struct rollup_day *d, struct bh_ip ip)
{
    if ((o->own_slot == NULL || o->own_count > o->own_mask / 2) && !own_grow(o)) {
        return false;
    }
    uint32_t at = (uint32_t)bh_mix64(bh_get_be64(ip.octets) ^ o->t->key,
                                     bh_get_be64(ip.octets + 8) ^ ip.family) &
                  o->own_mask;
    while (o->own_slot[at] != 0 && bh_ip_cmp(&o->own[o->own_slot[at] - 1], &ip) != 0) {
        at = (at + 1) & o->own_mask;
    }
    if (o->own_slot[at] == 0) {
        if (o->own_count == OWN_MOST) {
            o->reason = ROLLUP_MANY;
            return false;
        }
        if (o->own_count == o->own_cap) {
            const uint32_t cap = o->own_cap == 0 ? 64 : o->own_cap * 2;
            struct bh_ip *p = realloc(o->own, cap * sizeof *p);
            uint16_t *q = p == NULL ? NULL : realloc(o->own_day, cap * sizeof *q);
            o->own = p == NULL ? o->own : p;
            if (q == NULL) {
                return false;
            }
            o->own_day = q;
            o->own_cap = cap;
        }
        o->own[o->own_count] = ip;
        o->own_day[o->own_count] = 0;
        o->own_slot[at] = ++o->own_count;
    }
    const uint32_t id = o->own_slot[at] - 1;
    if (o->own_day[id] == o->day_at + 1) {
        return true;
    }
    o->own_day[id] = (uint16_t)(o->day_at + 1);
    return rollup_push(&d->own, id);
}
