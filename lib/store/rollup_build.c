/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A roll-up, added up while the chunks of a segment are coded.
 *
 * Whatever a report counts adds up over days, but for what is distinct: sources by country and port, by
 * day and week; and what depends on order: who knocked after a ping, bursts within an hour. So the
 * accesses are kept as sets: for each day, service and outcome, which sources came, and how often. The
 * sets of a day say everything that a report says of its accesses by country and port; those of
 * all days together the same of the whole segment, in a third of the space.
 *
 * Memory: 8 octets an access, 16 a source, and what the sums need, until the segment is written.
 */
#include "rollup_out_priv.h"

#include <errno.h>
#include <stdlib.h>

#define TIME_MOST_NS                                                                               \
    (INT64_MAX - 7 * 86400 * 1000000000LL) /* so that the days around it are times too */

enum { SEEN_PING = 1, SEEN_THEN = 2 };

/* ---- sources ------------------------------------------------------------------------------------------- */

/* The source steps into the hour of the row at hand. */
static bool
go_to_hour(struct rollup_out *o, uint32_t source, struct source_state *s, uint32_t key)
{
    const struct rollup_hour *h = &o->hour[o->hour_at];
    if (s->hour != 0) {
        if (h->start_ns < o->hour_start[s->hour - 1]) {
            o->reason = ROLLUP_ORDER; /* distinct counts by hour and day would depend on it */
            return false;
        }
        if (!rollup_leave_hour(o, source, s)) {
            return false;
        }
    }
    s->hour = (h->serial + 1) & 0xffffff;
    s->key = key & (ROLLUP_KEYS - 1);
    s->key_count = s->hour_count = 0;
    return true;
}

static bool
room_for_access(struct rollup_day *d)
{
    void *p = d->access;
    if (!rollup_room(&p, &d->access_cap, d->accesses, sizeof *d->access)) {
        return false;
    }
    d->access = p;
    return true;
}

static inline bool
add_access(struct rollup_out *o, struct rollup_day *d, uint32_t source, struct source_state *s,
           uint32_t country, uint32_t key, unsigned outcome, int64_t ts_ns)
{
    struct rollup_hour *h = &o->hour[o->hour_at];
    if (BH_UNLIKELY(d->accesses == d->access_cap) && !room_for_access(d)) {
        return false;
    }
    d->access[d->accesses++] = (uint64_t)(key << 3 | outcome) << 32 | source;
    d->sums.tcp += key >> 16 == 0;
    d->sums.udp += key >> 16;
    h->cell[2 * country + (key >> 16)]++;
    int64_t *place = &d->place[2 * country];
    place[0] = ts_ns < place[0] ? ts_ns : place[0];
    place[1] = ts_ns > place[1] ? ts_ns : place[1];
    if (s->hour != h->serial + 1 && !go_to_hour(o, source, s, key)) {
        return false;
    }
    s->hour_count++;
    s->key_count += s->key == key;
    if (BH_UNLIKELY((s->seen & (SEEN_PING | SEEN_THEN)) == SEEN_PING)) {
        s->seen |= SEEN_THEN;
        if (!rollup_push(&d->then, source)) {
            return false;
        }
    }
    if (BH_UNLIKELY((s->ever & (SEEN_PING | SEEN_THEN)) == SEEN_PING)) {
        s->ever |= SEEN_THEN;
        if (!rollup_push(&o->then, source)) {
            return false;
        }
    }
    return true;
}

/* A record that came to us from outside. */
static inline bool
add_inbound(struct rollup_out *o, struct rollup_day *d, uint32_t far, unsigned cls, uint32_t key,
            unsigned outcome, int64_t ts_ns)
{
    const struct far_out *f = &o->d->far_out[far];
    const uint32_t source = f->number;
    struct source_state *s = &o->source[source];
    const uint32_t day = (uint32_t)o->day_at + 1;
    if (BH_UNLIKELY(s->day != day)) {
        if (day < s->day) {
            o->reason = ROLLUP_ORDER;
            return false;
        }
        s->day = day & 0x1fff;
        s->seen = 0;
        if (!rollup_push(&d->inbound, source)) {
            return false;
        }
    }
    if (cls == BH_CLASS_ACCESS) {
        return add_access(o, d, source, s, f->country, key, outcome, ts_ns);
    }
    if (cls == BH_CLASS_ICMP_ECHO_REQUEST) {
        d->sums.pings++;
        s->ever |= SEEN_PING;
        if ((s->seen & SEEN_PING) == 0) {
            s->seen |= SEEN_PING;
            return rollup_push(&d->pinged, source);
        }
    }
    return true;
}

static struct bh_ip
ip_of(unsigned family, uint64_t hi, uint64_t lo)
{
    return family == 4 ? bh_ip_from_v4((uint32_t)lo) : bh_ip_from_v6(hi, lo);
}

/* ---- rows -------------------------------------------------------------------------------------------------- */

static void
port_seen(struct rollup_day *d, unsigned proto, unsigned port)
{
    if (proto == BH_PROTO_TCP || proto == BH_PROTO_UDP) {
        d->dst_ports[(proto == BH_PROTO_UDP ? 1U << 13 : 0) | port >> 3] |=
            (uint8_t)(1U << (port & 7));
    }
}

/* As lib/analysis counts a frame that is inside period and filter; what its form says is counted by form first. */
static bool
add_sums(struct rollup_out *o, struct rollup_day *d, unsigned kind, unsigned direction,
         unsigned cls, uint32_t form)
{
    struct bh_rollup_sums *s = &d->sums;
    const bool is_ip = kind >= BH_KIND_IP4;
    s->rows++;
    s->packets += is_ip;
    s->inbound += is_ip & (direction == BH_DIR_IN);
    s->outbound += is_ip & (direction == BH_DIR_OUT);
    s->cls[cls & 31]++;
    if (BH_UNLIKELY(form >= o->form_cap)) {
        uint32_t *p = realloc(o->form_rows, bh_size_mul(o->t->form_count, sizeof *p));
        if (p == NULL) {
            return false;
        }
        memset(p + o->form_cap, 0, (o->t->form_count - o->form_cap) * sizeof *p);
        o->form_rows = p;
        o->form_cap = o->t->form_count;
    }
    return o->form_rows[form]++ != 0 || rollup_push(&o->forms, form);
}

void
rollup_add_forms(struct rollup_out *o)
{
    for (size_t k = 0; k < o->forms.n; k++) {
        struct bh_rollup_sums *s = &o->day[o->day_at].sums;
        const struct form *f = &o->t->form[o->forms.v[k]];
        const uint64_t n = o->form_rows[o->forms.v[k]];
        for (unsigned l = 0; l < BH_LAYER_COUNT; l++) {
            s->layer[l] += (f->layers >> l & 1) * n;
        }
        s->cut_frames += (f->layers & BH_LAYER_CUT) != 0 ? n : 0;
        s->cut_headers += (f->marks & BH_MARK_TRUNCATED) != 0 ? n : 0;
        s->duplicates += (f->marks & BH_MARK_DUPLICATE) != 0 ? n : 0;
        s->reason[f->reason & 31] += f->reason != 0 ? n : 0;
        o->form_rows[o->forms.v[k]] = 0;
    }
    o->forms.n = 0;
}

static inline bool
add_row(struct rollup_out *o, const struct chunk *c, uint32_t i)
{
    const int64_t ts = c->ts_ns[i];
    const uint32_t group = (uint32_t)(o->t->service.key[c->service[i]] >> 16);
    const uint32_t form = shape_form(o->t->shape.key[c->shape[i]]);
    const struct form *f = &o->t->form[form];
    const unsigned kind = group_kind(group), direction = group_direction(group),
                   cls = group_cls(group);
    const unsigned proto = group_proto(group);
    if (BH_UNLIKELY(ts < 0 || ts > TIME_MOST_NS || (f->marks & BH_MARK_BAD_TIME) != 0)) {
        o->reason = ROLLUP_TIMES;
        return false;
    }
    o->rows++;
    if (BH_UNLIKELY(o->days == 0 || ts < o->day[o->day_at].start_ns ||
                    ts >= o->day[o->day_at].end_ns) &&
        !rollup_go_to_day(o, ts)) {
        return false;
    }
    if (BH_UNLIKELY(o->hours == 0 || ts < o->hour[o->hour_at].start_ns ||
                    ts >= o->hour[o->hour_at].end_ns) &&
        !rollup_go_to_hour(o, ts)) {
        return false;
    }
    struct rollup_day *d = &o->day[o->day_at];
    struct rollup_hour *h = &o->hour[o->hour_at];
    h->frames++;
    h->first_ns = ts < h->first_ns ? ts : h->first_ns;
    h->last_ns = ts > h->last_ns ? ts : h->last_ns;
    if (!add_sums(o, d, kind, direction, cls, form)) {
        return false;
    }
    if ((f->marks & BH_MARK_NO_PORTS) == 0 && (f->layers & BH_LAYER_SEEN) == 0) {
        port_seen(d, proto, group_in_front(group) ? c->other[i] : c->port[i]);
    }
    if (kind < BH_KIND_IP4) {
        return true;
    }
    if (direction == BH_DIR_IN) {
        const uint32_t key = (uint32_t)(proto != BH_PROTO_TCP) << 16 | c->port[i];
        return add_inbound(o, d, c->far[i], cls, key,
                           proto == BH_PROTO_TCP ? c->outcome[i] & 7U : 0, ts);
    }
    if (direction == BH_DIR_OUT) {
        const struct near *n = &o->t->near[c->near[i]];
        return rollup_add_own(o, d, ip_of(n->family, n->hi, n->lo));
    }
    const struct far *far = &o->t->far[c->far[i]];
    return rollup_add_own(o, d, ip_of(far->family, far->hi, far->lo));
}

/* What is known of a far end, of a service and of a source stands in cold lines, and a source is only known by its
 * far end: so they are asked for so many rows ahead, one after the other. (Not by a function of its own: gcc takes one
 * that only asks ahead for one that does nothing.) */
#define AHEAD_FAR 40U
#define AHEAD_SOURCE 20U

static bool
add_rows(struct rollup_out *o, const struct chunk *c)
{
    const struct far_out *told = o->d->far_out;
    bool ok = true;
    for (uint32_t i = 0; ok && i < c->rows; i++) {
        const uint32_t later = i + AHEAD_FAR < c->rows ? i + AHEAD_FAR : i;
        const uint32_t soon = i + AHEAD_SOURCE < c->rows ? i + AHEAD_SOURCE : i;
        __builtin_prefetch(&told[c->far[later]]);
        __builtin_prefetch(&o->t->service.key[c->service[later]]);
        const uint32_t source = told[c->far[soon]].number;
        BH_PREFETCH_WRITE(&o->source[source < o->sources ? source : 0]);
        ok = add_row(o, c, i);
    }
    return ok;
}

/* Tunnels: what health.layers counts beside the columns. */
static bool
add_seen(struct rollup_out *o, const struct chunk *c)
{
    for (uint32_t k = 0; k < c->seen_count; k++) {
        const struct bh_seen *s = &c->seen[k].seen;
        if (!rollup_go_to_day(o, c->ts_ns[c->seen[k].row])) {
            return false;
        }
        struct rollup_day *d = &o->day[o->day_at];
        port_seen(d, s->port_proto, s->port);
        if ((s->has_src4 && !rollup_add_own(o, d, bh_ip_from_v4(s->src4))) ||
            (s->has_src6 && !rollup_add_own(o, d, bh_ip_from_v6(s->src6_hi, s->src6_lo)))) {
            return false;
        }
    }
    return true;
}

static size_t
sources_size(const struct rollup_out *o)
{
    return (o->sources + 1UL) * sizeof *o->source;
}

int
rollup_begin(const struct dict *d, const struct terms *t, struct rollup_out **ret)
{
    struct rollup_out *o = calloc(1, sizeof *o);
    if (o == NULL) {
        return -ENOMEM;
    }
    o->d = d;
    o->t = t;
    o->sources = d->entry_count + d->once4 + d->once6;
    o->source = bh_pages_new(sources_size(o), true);
    if (o->source == NULL) {
        free(o);
        return -ENOMEM;
    }
    *ret = o;
    return 0;
}

static void
drop_all(struct rollup_out *o)
{
    for (size_t k = 0; k < o->days; k++) {
        rollup_day_done(&o->day[k]);
    }
    for (size_t k = 0; k < o->hours; k++) {
        free(o->hour[k].cell);
    }
    free(o->day);
    free(o->hour);
    free(o->hour_start);
    bh_pages_free(o->source, sources_size(o));
    free(o->then.v);
    free(o->form_rows);
    free(o->forms.v);
    free(o->own);
    free(o->own_slot);
    free(o->own_day);
    *o = (struct rollup_out){ .d = o->d, .t = o->t, .reason = o->reason };
}

void
rollup_free(struct rollup_out *o)
{
    if (o != NULL) {
        drop_all(o);
        free(o);
    }
}

int
rollup_add(struct rollup_out *o, const struct chunk *c)
{
    if (o->reason != ROLLUP_WRITTEN) {
        return 0;
    }
    bool ok = (c->flags & CHUNK_WEIGHT) == 0;
    o->reason = ok ? ROLLUP_WRITTEN : ROLLUP_WEIGHTS;
    ok = ok && add_rows(o, c);
    ok = ok && add_seen(o, c);
    if (!ok && o->reason == ROLLUP_WRITTEN) {
        return -ENOMEM;
    }
    if (!ok) {
        drop_all(o);
    }
    return 0;
}
