/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Roll-ups out of a file. Sums are compared when a part is opened; with right sums it may still be an
 * enemy's: every number is compared with what it may be before it is used, and lists are no longer than
 * the octets they stand in allow.
 */
#include "rollup_in_priv.h"

#include <errno.h>
#include <stdlib.h>

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define DAYS_MOST 64U
#else
#define DAYS_MOST 4096U
#endif
#define DAY_NS_MOST (50LL * 3600 * 1000000000)

/* ---- the head ------------------------------------------------------------------------------------------ */

static struct rollup_part
get_part(struct bh_cur *c, uint64_t body_size)
{
    struct rollup_part p = { .at = code_get64(c), .size = code_get64(c), .sum = code_get64(c) };
    c->bad |= p.at > body_size || p.size > body_size - p.at;
    return p;
}

int
rollup_head_get(const uint8_t *data, size_t size, uint64_t body_size, uint64_t rows,
                struct rollup_head *ret)
{
    struct bh_cur c = bh_cur_over(data, size);
    struct rollup_head h = { .flags = code_get32(&c), .reason = code_get32(&c) };
    if (c.bad) {
        return BH_EDAMAGED;
    }
    if (h.reason == ROLLUP_WRITTEN && (h.flags & ROLLUP_SECOND_FORM) == 0) {
        h.reason = ROLLUP_OLD;
    }
    if (h.reason != ROLLUP_WRITTEN) {
        *ret = h;
        return 0;
    }
    h.rows = code_get64(&c);
    h.entries = code_get32(&c);
    h.once4 = code_get32(&c);
    h.once6 = code_get32(&c);
    h.own = code_get32(&c);
    h.days = code_get32(&c);
    h.common = get_part(&c, body_size);
    h.rare_index = get_part(&c, body_size);
    h.rare = get_part(&c, body_size);
    if ((h.flags & ROLLUP_JOINED) != 0) {
        h.all_who = get_part(&c, body_size);
        h.all_sets = get_part(&c, body_size);
    }
    if (c.bad || (h.rows != rows && (h.flags & ROLLUP_JOINED) == 0) || h.days == 0 ||
        h.days > DAYS_MOST || h.once4 > h.rows || h.once6 > h.rows || h.own > 65536 ||
        h.entries > 1U << 23) {
        return BH_EDAMAGED;
    }
    h.day = calloc(h.days, sizeof *h.day);
    if (h.day == NULL) {
        return -ENOMEM;
    }
    int64_t last = 0;
    uint64_t sum = 0;
    for (uint32_t k = 0; k < h.days && !c.bad; k++) {
        struct rollup_day_ref *d = &h.day[k];
        d->start_ns = (int64_t)code_get64(&c);
        d->end_ns = (int64_t)code_get64(&c);
        d->rows = code_get64(&c);
        d->small = get_part(&c, body_size);
        d->who = get_part(&c, body_size);
        d->sets = get_part(&c, body_size);
        c.bad |= (k > 0 && d->start_ns < last) || d->start_ns < -86400LL * 1000000000 ||
                 d->end_ns <= d->start_ns || d->end_ns > INT64_MAX - DAY_NS_MOST ||
                 d->end_ns - d->start_ns > DAY_NS_MOST || d->rows > h.rows;
        last = d->end_ns;
        sum += d->rows;
    }
    if (c.bad || sum != h.rows) {
        free(h.day);
        return BH_EDAMAGED;
    }
    *ret = h;
    return 0;
}

void
rollup_head_done(struct rollup_head *h)
{
    free(h->day);
    *h = (struct rollup_head){ 0 };
}

bool
rollup_part_is_sound(struct rollup_part p, const uint8_t *body)
{
    return code_sum(body + p.at, (size_t)p.size) == p.sum;
}

bool
rollup_is_sound(const struct rollup_head *h, const uint8_t *body)
{
    bool ok = h->days == 0 ||
              (rollup_part_is_sound(h->common, body) && rollup_part_is_sound(h->rare_index, body) &&
               rollup_part_is_sound(h->rare, body));
    if (ok && (h->flags & ROLLUP_JOINED) != 0) {
        ok = rollup_part_is_sound(h->all_who, body) && rollup_part_is_sound(h->all_sets, body);
    }
    for (uint32_t k = 0; k < h->days && ok; k++) {
        const struct rollup_day_ref *d = &h->day[k];
        ok = rollup_part_is_sound(d->small, body) && rollup_part_is_sound(d->who, body) &&
             rollup_part_is_sound(d->sets, body);
    }
    return ok;
}

/* ---- opening -------------------------------------------------------------------------------------------- */

static int
get_once(struct open_rollup *o, struct bh_cur *c)
{
    const uint32_t n = o->h->once4 + o->h->once6;
    uint64_t country = 0, last = 0;
    if (n > bh_cur_left(c)) { /* two octets each at least */
        return BH_EDAMAGED;
    }
    o->once = malloc((n + 1UL) * sizeof *o->once);
    if (o->once == NULL) {
        return -ENOMEM;
    }
    for (uint32_t k = 0; k < n; k++) {
        if (k == o->h->once4) {
            country = 0;
        }
        const uint64_t step = rollup_get_varint(c);
        last = step > 0 ? 0 : last;
        country += step;
        if (k < o->h->once4) {
            last += rollup_get_varint(c);
            o->once[k] = (struct once){ 0, last, (uint16_t)country };
            c->bad |= last > UINT32_MAX;
        } else {
            const uint64_t hi = code_get64(c);
            o->once[k] = (struct once){ hi, code_get64(c), (uint16_t)country };
        }
        if (c->bad || step > UINT16_MAX || country >= o->dict.country_count) {
            return BH_EDAMAGED;
        }
    }
    return 0;
}

static int
get_own(struct open_rollup *o, struct bh_cur *c)
{
    const uint32_t n = o->h->own;
    o->own = malloc((n + 1UL) * sizeof *o->own);
    if (o->own == NULL) {
        return -ENOMEM;
    }
    for (uint32_t k = 0; k < n; k++) {
        o->own[k] = (struct bh_ip){ .family = bh_cur_u8(c) };
        const uint8_t *p = bh_cur_take(c, sizeof o->own[k].octets);
        if (p == NULL || (o->own[k].family != 4 && o->own[k].family != 6)) {
            return BH_EDAMAGED;
        }
        memcpy(o->own[k].octets, p, sizeof o->own[k].octets);
    }
    return 0;
}

/* Sources, what spans days, and which services are frequent. */
static int
get_common(struct open_rollup *o)
{
    const struct rollup_head *h = o->h;
    uint8_t *raw = NULL;
    struct bh_cur c = bh_cur_over(o->body + h->common.at, (size_t)h->common.size), stream;
    int r =
        rollup_part_is_sound(h->common, o->body) ? rollup_get_raw(&c, &raw, &stream) : BH_EDAMAGED;
    r = r != 0 ? r : get_once(o, &stream);
    r = r != 0 ? r : get_own(o, &stream);
    r = r != 0 ? r : rollup_get_ids(&stream, o->r.sources, &o->r.silent);
    r = r != 0 ? r : rollup_get_ids(&stream, o->r.sources, &o->r.then);
    r = r != 0 ? r : rollup_get_ids(&stream, ROLLUP_KEYS, &o->frequent);
    r = r == 0 && o->frequent.count > ROLLUP_FREQUENT_MOST ? BH_EDAMAGED : r;
    o->r.frequent = o->frequent.id;
    o->r.frequent_count = o->frequent.count;
    o->r.own = o->own;
    o->r.own_count = h->own;
    free(raw);
    return r;
}

int
rollup_open(const struct log_file *f, enum bh_rollup_parts parts, struct bh_rollup **ret)
{
    const struct rollup_head *h = &f->rollup;
    if (h->days == 0 || f->dict_count != 1) {
        return BH_EDAMAGED;
    }
    struct open_rollup *o = calloc(1, sizeof *o);
    if (o == NULL) {
        return -ENOMEM;
    }
    o->h = h;
    o->body = f->data + f->rollup_at;
    o->has_sources = parts == BH_ROLLUP_SOURCES;
    int r = o->has_sources ? log_file_dict(f, 0, &o->dict) : log_file_countries(f, 0, &o->dict);
    if (r != 0) {
        free(o);
        return r;
    }
    r = o->has_sources && h->entries != o->dict.entry_count ? BH_EDAMAGED : 0;
    o->r.countries = o->dict.country_count;
    o->r.country = o->dict.country;
    o->r.sources = h->entries + h->once4 + h->once6;
    o->r.days = h->days;
    o->r.is_joined = (h->flags & ROLLUP_JOINED) != 0;
    o->r.priv = o;
    if (parts != BH_ROLLUP_HOURS) {
        r = r != 0 ? r : get_common(o);
        r = r != 0 ? r : rollup_open_rare(o);
    }
    if (r != 0) {
        bh_rollup_close(&o->r);
        return r;
    }
    *ret = &o->r;
    return 0;
}

void
bh_rollup_close(struct bh_rollup *r)
{
    if (r != NULL) {
        struct open_rollup *o = r->priv;
        dict_done(&o->dict);
        free(o->once);
        free(o->own);
        free(o->r.silent.id);
        free(o->r.then.id);
        free(o->frequent.id);
        free(o->rare);
        free(o->by_country);
        free(o->country_at);
        free(o);
    }
}

void
bh_rollup_source(const struct bh_rollup *r, uint32_t source, uint8_t *ret_family, uint64_t *ret_hi,
                 uint64_t *ret_lo, uint16_t *ret_country)
{
    const struct open_rollup *o = r->priv;
    if (BH_LIKELY(source < o->h->entries)) {
        const struct entry *e = &o->dict.entry[source];
        *ret_family = e->family;
        *ret_hi = e->hi;
        *ret_lo = e->lo;
        *ret_country = e->country;
        return;
    }
    const struct once *x = &o->once[source - o->h->entries];
    *ret_family = source - o->h->entries < o->h->once4 ? 4 : 6;
    *ret_hi = x->hi;
    *ret_lo = x->lo;
    *ret_country = x->country;
}
