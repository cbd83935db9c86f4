/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers, lists, and a day of a roll-up out of octets. */
#include "rollup_in_priv.h"

#include <errno.h>
#include <stdlib.h>

#define HOUR_NS (3600LL * 1000000000)

uint64_t
rollup_get_varint(struct bh_cur *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const uint8_t x = bh_cur_u8(c);
        v |= (uint64_t)(x & 127) << shift;
        if (x < 128) {
            return v;
        }
    }
    c->bad = true;
    return 0;
}

/* A stream with its size before it; its octets are the caller's. */
int
rollup_get_raw(struct bh_cur *c, uint8_t **ret, struct bh_cur *ret_cur)
{
    const uint32_t size = code_get32(c);
    if (c->bad || size > ROLLUP_RAW_MAX) {
        return BH_EDAMAGED;
    }
    uint8_t *p = malloc(size + 32UL);
    if (p == NULL) {
        return -ENOMEM;
    }
    if (!code_get_octets(c, p, size)) {
        free(p);
        return BH_EDAMAGED;
    }
    *ret = p;
    *ret_cur = bh_cur_over(p, size);
    return 0;
}

int
rollup_get_ids(struct bh_cur *c, uint32_t below, struct bh_rollup_ids *ret)
{
    const uint64_t n = rollup_get_varint(c);
    if (c->bad || n > bh_cur_left(c)) {
        return BH_EDAMAGED;
    }
    ret->id = malloc((n + 1) * sizeof *ret->id);
    if (ret->id == NULL) {
        return -ENOMEM;
    }
    uint64_t last = 0;
    for (uint64_t k = 0; k < n; k++) {
        const uint64_t step = rollup_get_small(c);
        last += step;
        if (c->bad || step > UINT32_MAX || last >= below || (step == 0 && k > 0)) {
            return BH_EDAMAGED;
        }
        ret->id[k] = (uint32_t)last;
    }
    ret->count = (uint32_t)n;
    return 0;
}

/* ---- a day ------------------------------------------------------------------------------------------------ */

static int
get_sums(struct bh_cur *c, struct bh_rollup_sums *ret)
{
    uint64_t v[sizeof *ret / sizeof(uint64_t)] = { 0 };
    const uint64_t n = rollup_get_varint(c);
    for (uint64_t k = 0; k < n && !c->bad; k++) { /* later versions may have more of them */
        const uint64_t x = rollup_get_varint(c);
        if (k < BH_COUNT(v)) {
            v[k] = x;
        }
        c->bad |= x > UINT32_MAX;
    }
    memcpy(ret, v, sizeof *ret);
    return c->bad ? BH_EDAMAGED : 0;
}

static int
get_cells(struct bh_cur *c, uint32_t countries, struct bh_rollup_day *d, struct bh_rollup_hour *h,
          size_t *cap)
{
    const uint64_t n = rollup_get_varint(c);
    if (c->bad || n > countries) {
        return BH_EDAMAGED;
    }
    h->cell_at = d->cells;
    h->cells = (uint32_t)n;
    if (d->cells + n > *cap) {
        *cap = 2 * (d->cells + n) + 256;
        struct bh_rollup_cell *p = realloc(d->cell, *cap * sizeof *p);
        if (p == NULL) {
            return -ENOMEM;
        }
        d->cell = p;
    }
    uint64_t country = 0;
    for (uint64_t k = 0; k < n; k++) {
        country += rollup_get_small(c);
        const uint64_t tcp = rollup_get_small(c), udp = rollup_get_small(c);
        if (c->bad || country >= countries || tcp > UINT32_MAX || udp > UINT32_MAX) {
            return BH_EDAMAGED;
        }
        d->cell[d->cells++] =
            (struct bh_rollup_cell){ (uint16_t)country, (uint32_t)tcp, (uint32_t)udp };
    }
    return 0;
}

static int
get_hours(struct bh_cur *c, uint32_t countries, struct bh_rollup_day *d)
{
    const uint64_t n = rollup_get_varint(c);
    size_t cap = 0;
    if (c->bad || n > 200) {
        return BH_EDAMAGED;
    }
    d->hour = calloc(n + 1, sizeof *d->hour);
    if (d->hour == NULL) {
        return -ENOMEM;
    }
    int64_t start = d->start_ns;
    for (uint64_t k = 0; k < n; k++) {
        const uint64_t step = rollup_get_varint(c), frames = rollup_get_varint(c);
        const uint64_t first = rollup_get_varint(c), last = rollup_get_varint(c),
                       busiest = rollup_get_varint(c);
        if (c->bad || step > (uint64_t)(d->end_ns - start) / 1000000000U ||
            first >= (uint64_t)HOUR_NS || last >= (uint64_t)HOUR_NS - first ||
            busiest > UINT32_MAX || frames == 0 || frames > UINT32_MAX || (step == 0 && k > 0)) {
            return BH_EDAMAGED;
        }
        start += (int64_t)step * 1000000000;
        d->hour[k] = (struct bh_rollup_hour){ .start_ns = start,
                                              .first_ns = start + (int64_t)first,
                                              .last_ns = start + (int64_t)(first + last),
                                              .frames = frames,
                                              .busiest = (uint32_t)busiest };
        d->hours++;
        int r = d->hour[k].last_ns >= d->end_ns ? BH_EDAMAGED
                                                : get_cells(c, countries, d, &d->hour[k], &cap);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

static int
get_places(struct bh_cur *c, uint32_t countries, struct bh_rollup_day *d)
{
    const uint64_t n = rollup_get_varint(c);
    const uint64_t length = (uint64_t)(d->end_ns - d->start_ns);
    uint64_t country = 0;
    if (c->bad || n > countries) {
        return BH_EDAMAGED;
    }
    d->place = calloc(n + 1, sizeof *d->place);
    if (d->place == NULL) {
        return -ENOMEM;
    }
    for (uint64_t k = 0; k < n; k++) {
        country += rollup_get_varint(c);
        const uint64_t first = rollup_get_varint(c), last = rollup_get_varint(c);
        if (c->bad || country >= countries || first >= length || last >= length - first) {
            return BH_EDAMAGED;
        }
        d->place[d->places++] =
            (struct bh_rollup_place){ (uint16_t)country, d->start_ns + (int64_t)first,
                                      d->start_ns + (int64_t)(first + last) };
    }
    return 0;
}

static int
get_bursts(struct bh_cur *c, uint32_t sources, struct bh_rollup_day *d)
{
    const uint64_t n = rollup_get_varint(c);
    if (c->bad || n > bh_cur_left(c)) {
        return BH_EDAMAGED;
    }
    d->burst = calloc(n + 1, sizeof *d->burst);
    if (d->burst == NULL) {
        return -ENOMEM;
    }
    for (uint64_t k = 0; k < n; k++) {
        const uint64_t hour = rollup_get_varint(c), source = rollup_get_varint(c),
                       key = rollup_get_varint(c);
        const uint64_t count = rollup_get_varint(c);
        if (c->bad || hour > (uint64_t)(d->end_ns - d->start_ns) / 1000000000U ||
            source >= sources || key >= 1U << 17 || count > UINT32_MAX) {
            return BH_EDAMAGED;
        }
        d->burst[d->bursts++] =
            (struct bh_rollup_burst){ d->start_ns + (int64_t)hour * 1000000000, (uint32_t)source,
                                      (uint32_t)key, (uint32_t)count };
    }
    return 0;
}

static int
get_ports(struct bh_cur *c, struct bh_cur *body, struct bh_rollup_day *d)
{
    const bool many = rollup_get_varint(c) != 0;
    struct bh_rollup_ids few = { 0 };
    d->dst_ports = calloc(1, BH_ROLLUP_PORTS + 32);
    if (d->dst_ports == NULL) {
        return -ENOMEM;
    }
    if (many) {
        return code_get_octets(body, d->dst_ports, BH_ROLLUP_PORTS) ? 0 : BH_EDAMAGED;
    }
    int r = rollup_get_ids(c, 8 * BH_ROLLUP_PORTS, &few);
    for (uint32_t k = 0; r == 0 && k < few.count; k++) {
        d->dst_ports[few.id[k] >> 3] |= (uint8_t)(1U << (few.id[k] & 7));
    }
    free(few.id);
    return r;
}

/* Sums, hours and places of a day; `raw` is what `c` goes on in, `body` stands behind it. */
static int
open_day(const struct bh_rollup *rollup, uint32_t day, struct bh_cur *body, struct bh_cur *c,
         uint8_t **raw, struct bh_rollup_day *d)
{
    const struct open_rollup *o = rollup->priv;
    const struct rollup_day_ref *ref = &o->h->day[day];
    d->start_ns = ref->start_ns;
    d->end_ns = ref->end_ns;
    *body = bh_cur_over(o->body + ref->small.at, (size_t)ref->small.size);
    int r = rollup_part_is_sound(ref->small, o->body) ? rollup_get_raw(body, raw, c) : BH_EDAMAGED;
    r = r != 0 ? r : get_sums(c, &d->sums);
    r = r != 0 ? r : get_hours(c, rollup->countries, d);
    return r != 0 ? r : get_places(c, rollup->countries, d);
}

int
bh_rollup_get_hours(const struct bh_rollup *rollup, uint32_t day, struct bh_rollup_day *ret)
{
    struct bh_rollup_day d = { 0 };
    struct bh_cur body, c;
    uint8_t *raw = NULL;
    int r = open_day(rollup, day, &body, &c, &raw, &d);
    free(raw);
    if (r != 0) {
        bh_rollup_day_done(&d);
        return r;
    }
    *ret = d;
    return 0;
}

int
bh_rollup_get_day(const struct bh_rollup *rollup, uint32_t day, struct bh_rollup_day *ret)
{
    struct bh_rollup_day d = { 0 };
    struct bh_cur body, c;
    uint8_t *raw = NULL;
    int r = open_day(rollup, day, &body, &c, &raw, &d);
    r = r != 0 ? r : get_bursts(&c, rollup->sources, &d);
    r = r != 0 ? r : rollup_get_ids(&c, rollup->sources, &d.pinged);
    r = r != 0 ? r : rollup_get_ids(&c, rollup->sources, &d.then);
    r = r != 0 ? r : rollup_get_ids(&c, rollup->sources, &d.other);
    r = r != 0 ? r : rollup_get_ids(&c, rollup->own_count, &d.own);
    const uint64_t knocked = r == 0 ? rollup_get_varint(&c) : 0;
    r = r == 0 && (c.bad || knocked > rollup->sources) ? BH_EDAMAGED : r;
    r = r != 0 ? r : get_ports(&c, &body, &d);
    d.knocked = (uint32_t)knocked;
    free(raw);
    if (r != 0) {
        bh_rollup_day_done(&d);
        return r;
    }
    *ret = d;
    return 0;
}

void
bh_rollup_day_forget(struct bh_rollup_day *d)
{
    free(d->hour);
    free(d->cell);
    free(d->place);
    free(d->other.id);
    free(d->own.id);
    free(d->dst_ports);
    d->hour = NULL;
    d->cell = NULL;
    d->place = NULL;
    d->dst_ports = NULL;
    d->other = d->own = (struct bh_rollup_ids){ 0 };
    d->hours = d->cells = d->places = 0;
}

void
bh_rollup_day_done(struct bh_rollup_day *d)
{
    bh_rollup_day_forget(d);
    free(d->burst);
    free(d->pinged.id);
    free(d->then.id);
    *d = (struct bh_rollup_day){ 0 };
}
