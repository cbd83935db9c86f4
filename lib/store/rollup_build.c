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
#include "rollup_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "bh_zone.h"

#define OWN_MOST 65536U
#define HOUR_ROWS 16U  /* fewer records an hour are not worth it */
#define HOURS_LEAST 48U
#define DAYS_MOST 4096U
#define SECOND_NS 1000000000LL
#define TIME_MOST_NS (INT64_MAX - 7 * 86400 * SECOND_NS) /* so that the days around it are times too */

enum { SEEN_KNOCK = 1, SEEN_PING = 2, SEEN_THEN = 4 };

struct source_state {
    int64_t hour_ns; /* where its last access was; INT64_MIN: nowhere */
    uint32_t key, key_count, hour_count;
    uint16_t day; /* + 1; 0: it sent nothing to us */
    uint8_t seen; /* that day */
    uint8_t ever;
};

struct rollup_out {
    const struct dict *d;
    const struct terms *t;
    enum rollup_reason reason; /* why none is going to be written */
    uint64_t rows;

    uint32_t *id_of_far; /* sources that stand in their rows only: number + 1 behind the entries */
    uint32_t id_cap;
    uint32_t *far_of_once;
    uint32_t once, once_cap;
    struct source_state *source;
    uint32_t source_cap;

    struct rollup_day *day; /* sorted */
    size_t days, day_cap, day_at;
    struct rollup_hour *hour; /* sorted */
    size_t hours, hour_cap, hour_at;

    struct rollup_list then; /* pinged, and knocked later, on whatever day */

    struct bh_ip *own;
    uint32_t own_count, own_cap, *own_slot, own_mask;
    uint16_t *own_day;
};

/* ---- lists ------------------------------------------------------------------------------------------ */

static bool
room(void **list, size_t *cap, size_t count, size_t size)
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

static bool
push(struct rollup_list *l, uint32_t v)
{
    void *p = l->v;
    if (!room(&p, &l->cap, l->n, sizeof *l->v)) {
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

static void
day_done(struct rollup_day *d)
{
    free(d->place);
    free(d->dst_ports);
    free(d->knocked.v);
    free(d->pinged.v);
    free(d->then.v);
    free(d->inbound.v);
    free(d->own.v);
    free(d->burst);
    free(d->access);
    free(d->count);
}

/* The day of a time becomes the current one. False: no memory, or no roll-up is going to be made. */
static bool
go_to_day(struct rollup_out *o, int64_t ts_ns)
{
    size_t at = o->days;
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
    if (!room(&p, &o->day_cap, o->days, sizeof *o->day)) {
        return false;
    }
    o->day = p;
    struct rollup_day *d = &o->day[o->days];
    *d = (struct rollup_day){ 0 };
    /* The first and the last day of all times are not whole. */
    if (__builtin_mul_overflow(bh_zone_day_start(number), SECOND_NS, &d->start_ns) ||
        __builtin_mul_overflow(bh_zone_day_start(number + 1), SECOND_NS, &d->end_ns) || ts_ns < d->start_ns ||
        ts_ns >= d->end_ns) {
        o->reason = ROLLUP_TIMES;
        return false;
    }
    const uint32_t countries = o->d->country_count;
    d->place = malloc((countries + 1UL) * 2 * sizeof *d->place);
    d->dst_ports = calloc(1, BH_ROLLUP_PORTS);
    if (d->place == NULL || d->dst_ports == NULL) {
        day_done(d);
        return false;
    }
    for (uint32_t k = 0; k < countries; k++) {
        d->place[2 * k] = INT64_MAX;
        d->place[2 * k + 1] = INT64_MIN;
    }
    o->day_at = o->days++;
    return true;
}

static bool
go_to_hour(struct rollup_out *o, int64_t ts_ns)
{
    size_t at = o->hours;
    while (at > 0 && o->hour[at - 1].start_ns > ts_ns) {
        at--;
    }
    if (at > 0 && ts_ns < o->hour[at - 1].end_ns) {
        o->hour_at = at - 1;
        return true;
    }
    if (o->hours > o->rows / HOUR_ROWS + HOURS_LEAST) {
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
    void *p = o->hour;
    if (!room(&p, &o->hour_cap, o->hours, sizeof *o->hour)) {
        return false;
    }
    o->hour = p;
    memmove(&o->hour[at + 1], &o->hour[at], (o->hours - at) * sizeof *o->hour);
    o->hours++;
    o->hour[at] = (struct rollup_hour){
        .start_ns = start * SECOND_NS,
        .end_ns = (start + 3600) * SECOND_NS,
        .first_ns = INT64_MAX,
        .last_ns = INT64_MIN,
        .cell = calloc(2UL * o->d->country_count + 1, sizeof *o->hour[at].cell),
    };
    o->hour_at = at;
    return o->hour[at].cell != NULL;
}

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
        if (!room(&list, &cap, o->once, sizeof *o->far_of_once)) {
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
static bool
leave_hour(struct rollup_out *o, uint32_t source, const struct source_state *s)
{
    if (s->hour_count < BH_ROLLUP_BURST_LEAST) {
        return true;
    }
    size_t at = o->hours;
    while (at > 0 && o->hour[at - 1].start_ns > s->hour_ns) {
        at--;
    }
    struct rollup_hour *h = &o->hour[at - 1];
    h->busiest = s->hour_count > h->busiest ? s->hour_count : h->busiest;
    if (s->key_count < BH_ROLLUP_BURST_LEAST) {
        return true;
    }
    struct rollup_day *d = day_of_hour(o, s->hour_ns);
    void *p = d->burst;
    if (!room(&p, &d->burst_cap, d->bursts, sizeof *d->burst)) {
        return false;
    }
    d->burst = p;
    d->burst[d->bursts++] = (struct bh_rollup_burst){ s->hour_ns, source, s->key, s->key_count };
    return true;
}

static bool
add_access(struct rollup_out *o, struct rollup_day *d, uint32_t source, struct source_state *s,
           uint32_t country, uint32_t key, unsigned outcome, int64_t ts_ns)
{
    struct rollup_hour *h = &o->hour[o->hour_at];
    void *p = d->access;
    if (!room(&p, &d->access_cap, d->accesses, sizeof *d->access)) {
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
        if (s->hour_ns != INT64_MIN && !leave_hour(o, source, s)) {
            return false;
        }
        s->hour_ns = h->start_ns;
        s->key = key;
        s->key_count = s->hour_count = 0;
    }
    s->hour_count++;
    s->key_count += s->key == key;
    if ((s->seen & SEEN_KNOCK) == 0 && !push(&d->knocked, source)) {
        return false;
    }
    if ((s->seen & (SEEN_PING | SEEN_THEN)) == SEEN_PING) {
        s->seen |= SEEN_THEN;
        if (!push(&d->then, source)) {
            return false;
        }
    }
    if ((s->ever & (SEEN_PING | SEEN_THEN)) == SEEN_PING) {
        s->ever |= SEEN_THEN;
        if (!push(&o->then, source)) {
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
        if (!push(&d->inbound, source)) {
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
            return push(&d->pinged, source);
        }
    }
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
        uint32_t at = (uint32_t)bh_mix64(bh_get_be64(ip->octets) ^ o->t->key, bh_get_be64(ip->octets + 8) ^ ip->family) & (slots - 1);
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

static bool
add_own(struct rollup_out *o, struct rollup_day *d, struct bh_ip ip)
{
    if ((o->own_slot == NULL || o->own_count > o->own_mask / 2) && !own_grow(o)) {
        return false;
    }
    uint32_t at = (uint32_t)bh_mix64(bh_get_be64(ip.octets) ^ o->t->key, bh_get_be64(ip.octets + 8) ^ ip.family) & o->own_mask;
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
    return push(&d->own, id);
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

/* As lib/analysis counts a frame that is inside period and filter. */
static void
add_sums(struct rollup_day *d, unsigned kind, unsigned direction, unsigned cls, const struct form *f)
{
    struct bh_rollup_sums *s = &d->sums;
    const bool is_ip = kind >= BH_KIND_IP4;
    s->rows++;
    s->packets += is_ip;
    s->inbound += is_ip & (direction == BH_DIR_IN);
    s->outbound += is_ip & (direction == BH_DIR_OUT);
    s->cls[cls & 31]++;
    for (unsigned l = 0; l < BH_LAYER_COUNT; l++) {
        s->layer[l] += f->layers >> l & 1;
    }
    s->cut_frames += (f->layers & BH_LAYER_CUT) != 0;
    s->cut_headers += (f->marks & BH_MARK_TRUNCATED) != 0;
    s->duplicates += (f->marks & BH_MARK_DUPLICATE) != 0;
    s->reason[f->reason & 31] += f->reason != 0;
}

static bool
add_row(struct rollup_out *o, const struct chunk *c, uint32_t i)
{
    const int64_t ts = c->ts_ns[i];
    const uint32_t group = (uint32_t)(o->t->service.key[c->service[i]] >> 16);
    const struct form *f = &o->t->form[shape_form(o->t->shape.key[c->shape[i]])];
    const unsigned kind = group_kind(group), direction = group_direction(group), cls = group_cls(group);
    const unsigned proto = group_proto(group);
    if (BH_UNLIKELY(ts < 0 || ts > TIME_MOST_NS || (f->marks & BH_MARK_BAD_TIME) != 0)) {
        o->reason = ROLLUP_TIMES;
        return false;
    }
    o->rows++;
    if (BH_UNLIKELY(o->days == 0 || ts < o->day[o->day_at].start_ns || ts >= o->day[o->day_at].end_ns) && !go_to_day(o, ts)) {
        return false;
    }
    if (BH_UNLIKELY(o->hours == 0 || ts < o->hour[o->hour_at].start_ns || ts >= o->hour[o->hour_at].end_ns) && !go_to_hour(o, ts)) {
        return false;
    }
    struct rollup_day *d = &o->day[o->day_at];
    struct rollup_hour *h = &o->hour[o->hour_at];
    h->frames++;
    h->first_ns = ts < h->first_ns ? ts : h->first_ns;
    h->last_ns = ts > h->last_ns ? ts : h->last_ns;
    add_sums(d, kind, direction, cls, f);
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
        return add_own(o, d, ip_of(n->family, n->hi, n->lo));
    }
    const struct far *far = &o->t->far[c->far[i]];
    return add_own(o, d, ip_of(far->family, far->hi, far->lo));
}

/* Tunnels: what health.layers counts beside the columns. */
static bool
add_seen(struct rollup_out *o, const struct chunk *c)
{
    for (uint32_t k = 0; k < c->seen_count; k++) {
        const struct bh_seen *s = &c->seen[k].seen;
        if (!go_to_day(o, c->ts_ns[c->seen[k].row])) {
            return false;
        }
        struct rollup_day *d = &o->day[o->day_at];
        port_seen(d, s->port_proto, s->port);
        if ((s->has_src4 && !add_own(o, d, bh_ip_from_v4(s->src4))) ||
            (s->has_src6 && !add_own(o, d, bh_ip_from_v6(s->src6_hi, s->src6_lo)))) {
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
        day_done(&o->day[k]);
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

/* ---- the end ------------------------------------------------------------------------------------------------ */

struct once_item {
    uint32_t far, number; /* as it was numbered */
    const struct rollup_out *o;
};

static int
compare_once(const void *a, const void *b)
{
    const struct once_item *p = a, *q = b;
    const struct far *x = &p->o->t->far[p->far], *y = &q->o->t->far[q->far];
    const unsigned cx = p->o->d->country_code[x->country], cy = p->o->d->country_code[y->country];
    return x->family != y->family ? (x->family < y->family ? -1 : 1)
           : cx != cy             ? (cx < cy ? -1 : 1)
           : x->hi != y->hi       ? (x->hi < y->hi ? -1 : 1)
           : x->lo != y->lo       ? (x->lo < y->lo ? -1 : 1)
                                  : 0;
}

static int
compare_ids(const void *a, const void *b)
{
    uint32_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

/* Accesses of a day as a set: each key once, and how often it came. */
static bool
make_set(struct rollup_day *d, const uint32_t *number, uint32_t entries, unsigned bits)
{
    for (size_t i = 0; i < d->accesses; i++) {
        const uint32_t id = (uint32_t)d->access[i];
        const uint32_t source = id < entries ? id : number[id - entries];
        d->access[i] = d->access[i] >> 32 << bits | source;
    }
    if (bh_sort64(d->access, d->accesses, 0, bits + 20) != 0) {
        return false;
    }
    size_t n = 0;
    d->count = malloc((d->accesses + 1) * sizeof *d->count);
    if (d->count == NULL) {
        return false;
    }
    for (size_t i = 0; i < d->accesses; i++) {
        if (n > 0 && d->access[n - 1] == d->access[i]) {
            d->count[n - 1]++;
        } else {
            d->access[n] = d->access[i];
            d->count[n++] = 1;
        }
    }
    d->accesses = n;
    return true;
}

static void
renumber(struct rollup_list *l, const uint32_t *number, uint32_t entries)
{
    for (size_t i = 0; i < l->n; i++) {
        l->v[i] = l->v[i] < entries ? l->v[i] : number[l->v[i] - entries];
    }
    if (l->n > 0) {
        qsort(l->v, l->n, sizeof *l->v, compare_ids);
    }
}

/* The sets of all days as one: the smallest key of all, again and again, out of a heap. */
static bool
put_whole(struct rollup_out *o, struct code_work *w, struct bh_buf *out, unsigned bits)
{
    size_t total = 0, n = 0, used = 0;
    size_t *at = calloc(o->days + 1, sizeof *at), *heap = calloc(o->days + 1, sizeof *heap);
    for (size_t k = 0; k < o->days; k++) {
        total += o->day[k].accesses;
    }
    uint64_t *key = malloc((total + 1) * sizeof *key);
    uint32_t *count = malloc((total + 1) * sizeof *count);
    const bool ok = at != NULL && heap != NULL && key != NULL && count != NULL;
#define HEAD(k) o->day[heap[k]].access[at[heap[k]]]
    for (size_t k = 0; ok && k < o->days; k++) {
        if (o->day[k].accesses == 0) {
            continue;
        }
        size_t i = used++;
        heap[i] = k;
        for (; i > 0 && HEAD(i) < HEAD((i - 1) / 2); i = (i - 1) / 2) {
            const size_t swap = heap[i];
            heap[i] = heap[(i - 1) / 2];
            heap[(i - 1) / 2] = swap;
        }
    }
    while (ok && used > 0) {
        const struct rollup_day *d = &o->day[heap[0]];
        const uint64_t x = d->access[at[heap[0]]];
        if (n > 0 && key[n - 1] == x) {
            count[n - 1] += d->count[at[heap[0]]];
        } else {
            key[n] = x;
            count[n++] = d->count[at[heap[0]]];
        }
        if (++at[heap[0]] == d->accesses) {
            heap[0] = heap[--used];
        }
        for (size_t i = 0; 2 * i + 1 < used;) {
            size_t low = 2 * i + 1;
            low += low + 1 < used && HEAD(low + 1) < HEAD(low);
            if (HEAD(i) <= HEAD(low)) {
                break;
            }
            const size_t swap = heap[i];
            heap[i] = heap[low];
            heap[low] = swap;
            i = low;
        }
    }
#undef HEAD
    if (ok) {
        rollup_put_sets(w, out, key, count, n, bits);
    }
    free(at);
    free(heap);
    free(key);
    free(count);
    return ok;
}

static struct rollup_part
part_from(const struct bh_buf *body, size_t at)
{
    return (struct rollup_part){ at, body->len - at, body->failed ? 0 : code_sum(body->data + at, body->len - at) };
}

static void
put_part(struct bh_buf *head, struct rollup_part p)
{
    code_put64(head, p.at);
    code_put64(head, p.size);
    code_put64(head, p.sum);
}

/* Addresses that stand nowhere else. */
static void
put_common(struct rollup_out *o, const struct once_item *once, const uint32_t *number, uint32_t once4,
           struct code_work *w, struct bh_buf *body)
{
    struct bh_buf raw = { 0 };
    uint64_t last = 0, country = 0;
    for (uint32_t k = 0; k < o->once; k++) {
        const struct far *f = &o->t->far[once[k].far];
        const uint64_t c = o->d->country_code[f->country];
        if (k == 0 || k == once4) {
            country = last = 0;
        }
        rollup_put_varint(&raw, c - country);
        last = c != country ? 0 : last;
        country = c;
        if (f->family == 4) {
            rollup_put_varint(&raw, f->lo - last);
            last = f->lo;
        } else {
            code_put64(&raw, f->hi);
            code_put64(&raw, f->lo);
        }
    }
    for (uint32_t k = 0; k < o->own_count; k++) {
        code_put8(&raw, o->own[k].family);
        bh_buf_add(&raw, o->own[k].octets, sizeof o->own[k].octets);
    }
    struct rollup_list silent = { 0 };
    const uint32_t sources = o->d->entry_count + o->once;
    for (uint32_t k = 0; k < sources; k++) {
        if (k >= o->source_cap || o->source[k].day == 0) {
            raw.failed |= !push(&silent, k);
        }
    }
    renumber(&silent, number, o->d->entry_count);
    renumber(&o->then, number, o->d->entry_count);
    rollup_put_ids(&raw, silent.v, silent.n);
    rollup_put_ids(&raw, o->then.v, o->then.n);
    free(silent.v);
    rollup_put_raw(w, body, &raw);
    bh_buf_done(&raw);
}

static int
put_all(struct rollup_out *o, const struct once_item *once, const uint32_t *number, struct code_work *w,
        struct bh_buf *head, struct bh_buf *body)
{
    const uint32_t entries = o->d->entry_count, sources = entries + o->once;
    const unsigned bits = sources <= 1 ? 1 : 32U - (unsigned)__builtin_clz(sources - 1);
    uint32_t once4 = 0;
    while (once4 < o->once && o->t->far[once[once4].far].family == 4) {
        once4++;
    }
    const bool has_whole = o->days > 1;
    code_put32(head, has_whole ? ROLLUP_HAS_WHOLE : 0);
    code_put32(head, ROLLUP_WRITTEN);
    code_put64(head, o->rows);
    code_put32(head, entries);
    code_put32(head, once4);
    code_put32(head, o->once - once4);
    code_put32(head, o->own_count);
    code_put32(head, (uint32_t)o->days);
    size_t at = body->len;
    put_common(o, once, number, once4, w, body);
    put_part(head, part_from(body, at));
    bool ok = true;
    for (size_t k = 0, first = 0; k < o->days && ok; k++) {
        struct rollup_day *d = &o->day[k];
        size_t end = first;
        while (end < o->hours && o->hour[end].start_ns < d->end_ns) {
            end++;
        }
        ok = make_set(d, number, entries, bits);
        renumber(&d->knocked, number, entries);
        renumber(&d->pinged, number, entries);
        renumber(&d->then, number, entries);
        renumber(&d->inbound, number, entries);
        renumber(&d->own, NULL, UINT32_MAX);
        for (size_t b = 0; b < d->bursts; b++) {
            const uint32_t id = d->burst[b].source;
            d->burst[b].source = id < entries ? id : number[id - entries];
        }
        code_put64(head, (uint64_t)d->start_ns);
        code_put64(head, (uint64_t)d->end_ns);
        code_put64(head, d->sums.rows);
        at = body->len;
        rollup_put_day(w, body, d, &o->hour[first], end - first, o->d->country_count);
        put_part(head, part_from(body, at));
        at = body->len;
        if (ok) {
            rollup_put_sets(w, body, d->access, d->count, d->accesses, bits);
        }
        put_part(head, part_from(body, at));
        first = end;
    }
    at = body->len;
    ok = ok && (!has_whole || put_whole(o, w, body, bits));
    put_part(head, part_from(body, at));
    return ok && !head->failed && !body->failed ? 0 : -ENOMEM;
}

/* A segment without one: why. */
static void
put_reason(struct bh_buf *head, enum rollup_reason reason)
{
    head->len = 0;
    code_put32(head, 0);
    code_put32(head, reason);
}

int
rollup_end(struct rollup_out *o, uint64_t most, struct code_work *w, struct bh_buf *head, struct bh_buf *body)
{
    if (o->reason != ROLLUP_WRITTEN || o->rows == 0) {
        put_reason(head, o->reason == ROLLUP_WRITTEN ? ROLLUP_NO_GAIN : o->reason);
        return head->failed ? -ENOMEM : 0;
    }
    for (uint32_t k = 0; k < o->source_cap; k++) {
        if (o->source[k].hour_ns != INT64_MIN && !leave_hour(o, k, &o->source[k])) {
            return -ENOMEM;
        }
    }
    struct once_item *once = malloc((o->once + 1UL) * sizeof *once);
    uint32_t *number = malloc((o->once + 1UL) * sizeof *number);
    int r = once == NULL || number == NULL ? -ENOMEM : 0;
    for (uint32_t k = 0; r == 0 && k < o->once; k++) {
        once[k] = (struct once_item){ o->far_of_once[k], k, o };
    }
    if (r == 0 && o->once > 0) {
        qsort(once, o->once, sizeof *once, compare_once);
    }
    for (uint32_t k = 0; r == 0 && k < o->once; k++) {
        number[once[k].number] = o->d->entry_count + k;
    }
    r = r != 0 ? r : put_all(o, once, number, w, head, body);
    free(once);
    free(number);
    if (r == 0 && body->len > most) {
        body->len = 0;
        put_reason(head, ROLLUP_NO_GAIN);
    }
    return r;
}
