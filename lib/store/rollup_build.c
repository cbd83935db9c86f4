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
 * Memory: 8 octets an access, 24 a source, and what the sums need, until the segment is written.
 */
#include "rollup_out_priv.h"

#include <errno.h>
#include <stdlib.h>

#define TIME_MOST_NS (INT64_MAX - 7 * 86400 * 1000000000LL) /* so that the days around it are times too */

enum { SEEN_KNOCK = 1, SEEN_PING = 2, SEEN_THEN = 4 };

/* ---- sources ------------------------------------------------------------------------------------------- */

/* The number of a far end: that of its entry; of those without one in the order they come. */
static bool
source_of(struct rollup_out *o, uint32_t far, uint32_t *ret)
{
    const uint32_t entry = o->d->far_out[far].entry;
    if (BH_LIKELY(entry != UINT32_MAX)) {
        *ret = entry;
        return true;
    }
    if (far >= o->id_cap) {
        const uint32_t cap = o->t->far_count;
        uint32_t *p = realloc(o->id_of_far, bh_size_mul(cap, sizeof *p));
        if (p == NULL) {
            return false;
        }
        memset(p + o->id_cap, 0, (cap - o->id_cap) * sizeof *p);
        o->id_of_far = p;
        o->id_cap = cap;
    }
    if (o->id_of_far[far] == 0) {
        void *list = o->far_of_once;
        size_t cap = o->once_cap;
        if (!rollup_room(&list, &cap, o->once, sizeof *o->far_of_once)) {
            return false;
        }
        o->far_of_once = list;
        o->once_cap = (uint32_t)cap;
        o->far_of_once[o->once++] = far;
        o->id_of_far[far] = o->once;
    }
    *ret = o->d->entry_count + o->id_of_far[far] - 1;
    return true;
}

static struct source_state *
state_of(struct rollup_out *o, uint32_t source)
{
    if (BH_UNLIKELY(source >= o->source_cap)) {
        const uint32_t cap = source + source / 2 + 1024;
        struct source_state *p = realloc(o->source, bh_size_mul(cap, sizeof *p));
        if (p == NULL) {
            return NULL;
        }
        for (uint32_t k = o->source_cap; k < cap; k++) {
            p[k] = (struct source_state){ .hour_ns = INT64_MIN };
        }
        o->source = p;
        o->source_cap = cap;
    }
    return &o->source[source];
}

static bool
add_access(struct rollup_out *o, struct rollup_day *d, uint32_t source, struct source_state *s,
           uint32_t country, uint32_t key, unsigned outcome, int64_t ts_ns)
{
    struct rollup_hour *h = &o->hour[o->hour_at];
    void *p = d->access;
    if (!rollup_room(&p, &d->access_cap, d->accesses, sizeof *d->access)) {
        return false;
    }
    d->access = p;
    d->access[d->accesses++] = (uint64_t)(key << 3 | outcome) << 32 | source;
    d->sums.tcp += key >> 16 == 0;
    d->sums.udp += key >> 16;
    h->cell[2 * country + (key >> 16)]++;
    int64_t *place = &d->place[2 * country];
    place[0] = ts_ns < place[0] ? ts_ns : place[0];
    place[1] = ts_ns > place[1] ? ts_ns : place[1];
    if (s->hour_ns != h->start_ns) {
        if (h->start_ns < s->hour_ns) {
            o->reason = ROLLUP_ORDER; /* distinct counts by hour and day would depend on it */
            return false;
        }
        if (s->hour_ns != INT64_MIN && !rollup_leave_hour(o, source, s)) {
            return false;
        }
        s->hour_ns = h->start_ns;
        s->key = key;
        s->key_count = s->hour_count = 0;
    }
    s->hour_count++;
    s->key_count += s->key == key;
    if ((s->seen & (SEEN_PING | SEEN_THEN)) == SEEN_PING) {
        s->seen |= SEEN_THEN;
        if (!rollup_push(&d->then, source)) {
            return false;
        }
    }
    if ((s->ever & (SEEN_PING | SEEN_THEN)) == SEEN_PING) {
        s->ever |= SEEN_THEN;
        if (!rollup_push(&o->then, source)) {
            return false;
        }
    }
    s->seen |= SEEN_KNOCK;
    return true;
}

/* A record that came to us from outside. */
static bool
add_inbound(struct rollup_out *o, struct rollup_day *d, uint32_t far, unsigned cls, uint32_t key,
            unsigned outcome, int64_t ts_ns)
{
    uint32_t source;
    if (!source_of(o, far, &source)) {
        return false;
    }
    struct source_state *s = state_of(o, source);
    if (s == NULL) {
        return false;
    }
    const uint16_t day = (uint16_t)(o->day_at + 1);
    if (s->day != day) {
        if (day < s->day) {
            o->reason = ROLLUP_ORDER;
            return false;
        }
        s->day = day;
        s->seen = 0;
        if (!rollup_push(&d->inbound, source)) {
            return false;
        }
    }
    if (cls == BH_CLASS_ACCESS) {
        return add_access(o, d, source, s, o->d->far_out[far].country, key, outcome, ts_ns);
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
        d->dst_ports[(proto == BH_PROTO_UDP ? 1U << 13 : 0) | port >> 3] |= (uint8_t)(1U << (port & 7));
    }
}

/* As lib/analysis counts a frame that is inside period and filter; what its form says is counted by form first. */
static bool
add_sums(struct rollup_out *o, struct rollup_day *d, unsigned kind, unsigned direction, unsigned cls, uint32_t form)
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

static bool
add_row(struct rollup_out *o, const struct chunk *c, uint32_t i)
{
    const int64_t ts = c->ts_ns[i];
    const uint32_t group = (uint32_t)(o->t->service.key[c->service[i]] >> 16);
    const uint32_t form = shape_form(o->t->shape.key[c->shape[i]]);
    const struct form *f = &o->t->form[form];
    const unsigned kind = group_kind(group), direction = group_direction(group), cls = group_cls(group);
    const unsigned proto = group_proto(group);
    if (BH_UNLIKELY(ts < 0 || ts > TIME_MOST_NS || (f->marks & BH_MARK_BAD_TIME) != 0)) {
        o->reason = ROLLUP_TIMES;
        return false;
    }
    o->rows++;
    if (BH_UNLIKELY(o->days == 0 || ts < o->day[o->day_at].start_ns || ts >= o->day[o->day_at].end_ns) && !rollup_go_to_day(o, ts)) {
        return false;
    }
    if (BH_UNLIKELY(o->hours == 0 || ts < o->hour[o->hour_at].start_ns || ts >= o->hour[o->hour_at].end_ns) && !rollup_go_to_hour(o, ts)) {
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
        return add_inbound(o, d, c->far[i], cls, key, proto == BH_PROTO_TCP ? c->outcome[i] & 7U : 0, ts);
    }
    if (direction == BH_DIR_OUT) {
        const struct near *n = &o->t->near[c->near[i]];
        return rollup_add_own(o, d, ip_of(n->family, n->hi, n->lo));
    }
    const struct far *far = &o->t->far[c->far[i]];
    return rollup_add_own(o, d, ip_of(far->family, far->hi, far->lo));
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

int
rollup_begin(const struct dict *d, const struct terms *t, struct rollup_out **ret)
{
    struct rollup_out *o = calloc(1, sizeof *o);
    if (o == NULL) {
        return -ENOMEM;
    }
    o->d = d;
    o->t = t;
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
    free(o->id_of_far);
    free(o->far_of_once);
    free(o->source);
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
    for (uint32_t i = 0; ok && i < c->rows; i++) {
        ok = add_row(o, c, i);
    }
    ok = ok && add_seen(o, c);
    if (!ok && o->reason == ROLLUP_WRITTEN) {
        return -ENOMEM;
    }
    if (!ok) {
        drop_all(o);
    }
    return 0;
}

