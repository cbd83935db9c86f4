/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Roll-ups out of a file. Sums are compared when a part is opened; with right sums it may still be an
 * enemy's: every number is compared with what it may be before it is used, and lists are no longer than
 * the octets they stand in allow.
 */
#include "rollup_priv.h"
#include "file_priv.h"

#include <errno.h>
#include <stdlib.h>

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

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION /* a few octets may stand for millions */
#define RAW_MAX (1U << 18)
#define DAYS_MOST 64U
#else
#define RAW_MAX (1U << 28)
#define DAYS_MOST 4096U
#endif
#define DAY_NS_MOST (50LL * 3600 * 1000000000)
#define HOUR_NS (3600LL * 1000000000)

/* A stream with its size before it; its octets are the caller's. */
static int
get_raw(struct bh_cur *c, uint8_t **ret, struct bh_cur *ret_cur)
{
    const uint32_t size = code_get32(c);
    if (c->bad || size > RAW_MAX) {
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

/* ---- the head ------------------------------------------------------------------------------------------ */

static struct rollup_part
get_part(struct bh_cur *c, uint64_t body_size)
{
    struct rollup_part p = { .at = code_get64(c), .size = code_get64(c), .sum = code_get64(c) };
    c->bad |= p.at > body_size || p.size > body_size - p.at;
    return p;
}

int
rollup_head_get(const uint8_t *data, size_t size, uint64_t body_size, uint64_t rows, struct rollup_head *ret)
{
    struct bh_cur c = bh_cur_over(data, size);
    struct rollup_head h = { .flags = code_get32(&c), .reason = code_get32(&c) };
    if (c.bad) {
        return BH_EDAMAGED;
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
    if (c.bad || h.rows != rows || h.days == 0 || h.days > DAYS_MOST || h.once4 > rows || h.once6 > rows || h.own > 65536 || h.entries > 1U << 23) {
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
        d->sets = get_part(&c, body_size);
        c.bad |= (k > 0 && d->start_ns < last) || d->start_ns < -86400LL * 1000000000 || d->end_ns <= d->start_ns ||
                 d->end_ns > INT64_MAX - DAY_NS_MOST || d->end_ns - d->start_ns > DAY_NS_MOST || d->rows > rows;
        last = d->end_ns;
        sum += d->rows;
    }
    h.whole = get_part(&c, body_size);
    if (c.bad || sum != rows || ((h.flags & ROLLUP_HAS_WHOLE) == 0 && h.days > 1)) {
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

static bool
part_is_sound(struct rollup_part p, const uint8_t *body)
{
    return code_sum(body + p.at, (size_t)p.size) == p.sum;
}

bool
rollup_is_sound(const struct rollup_head *h, const uint8_t *body)
{
    bool ok = h->days == 0 || (part_is_sound(h->common, body) && part_is_sound(h->whole, body));
    for (uint32_t k = 0; k < h->days && ok; k++) {
        ok = part_is_sound(h->day[k].small, body) && part_is_sound(h->day[k].sets, body);
    }
    return ok;
}

static int
get_ids(struct bh_cur *c, uint32_t below, struct bh_rollup_ids *ret)
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
        const uint64_t step = rollup_get_varint(c);
        last += step;
        if (c->bad || step > UINT32_MAX || last >= below || (step == 0 && k > 0)) {
            return BH_EDAMAGED;
        }
        ret->id[k] = (uint32_t)last;
    }
    ret->count = (uint32_t)n;
    return 0;
}

/* ---- opening -------------------------------------------------------------------------------------------- */

struct open_rollup {
    struct bh_rollup r;
    const struct rollup_head *h;
    const uint8_t *body;
    struct dict dict;
    struct once {
        uint64_t hi, lo;
        uint16_t country;
    } *once;
    struct bh_ip *own;
};

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

int
rollup_open(const struct log_file *f, struct bh_rollup **ret)
{
    const struct rollup_head *h = &f->rollup;
    const uint8_t *body = f->data + f->rollup_at;
    if (h->days == 0 || f->dict_count != 1 || !part_is_sound(h->common, body)) {
        return BH_EDAMAGED;
    }
    struct open_rollup *o = calloc(1, sizeof *o);
    if (o == NULL) {
        return -ENOMEM;
    }
    o->h = h;
    o->body = body;
    int r = log_file_dict(f, 0, &o->dict);
    if (r != 0) {
        free(o);
        return r;
    }
    uint8_t *raw = NULL;
    struct bh_cur c = bh_cur_over(body + h->common.at, (size_t)h->common.size), stream;
    r = h->entries == o->dict.entry_count ? get_raw(&c, &raw, &stream) : BH_EDAMAGED;
    r = r != 0 ? r : get_once(o, &stream);
    r = r != 0 ? r : get_own(o, &stream);
    o->r.sources = h->entries + h->once4 + h->once6;
    r = r != 0 ? r : get_ids(&stream, o->r.sources, &o->r.silent);
    r = r != 0 ? r : get_ids(&stream, o->r.sources, &o->r.then);
    free(raw);
    o->r.countries = o->dict.country_count;
    o->r.days = h->days;
    o->r.own_count = h->own;
    o->r.own = o->own;
    o->r.country = o->dict.country;
    o->r.priv = o;
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
        free(o);
    }
}

void
bh_rollup_source(const struct bh_rollup *r, uint32_t source, uint8_t *ret_family, uint64_t *ret_hi, uint64_t *ret_lo,
                 uint16_t *ret_country)
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
get_cells(struct bh_cur *c, uint32_t countries, struct bh_rollup_day *d, struct bh_rollup_hour *h, size_t *cap)
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
        country += rollup_get_varint(c);
        const uint64_t tcp = rollup_get_varint(c), udp = rollup_get_varint(c);
        if (c->bad || country >= countries || tcp > UINT32_MAX || udp > UINT32_MAX) {
            return BH_EDAMAGED;
        }
        d->cell[d->cells++] = (struct bh_rollup_cell){ (uint16_t)country, (uint32_t)tcp, (uint32_t)udp };
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
        const uint64_t first = rollup_get_varint(c), last = rollup_get_varint(c), busiest = rollup_get_varint(c);
        if (c->bad || step > (uint64_t)(d->end_ns - start) / 1000000000U || first >= (uint64_t)HOUR_NS ||
            last >= (uint64_t)HOUR_NS - first || busiest > UINT32_MAX || frames == 0 || frames > UINT32_MAX || (step == 0 && k > 0)) {
            return BH_EDAMAGED;
        }
        start += (int64_t)step * 1000000000;
        d->hour[k] = (struct bh_rollup_hour){ .start_ns = start,
                                              .first_ns = start + (int64_t)first,
                                              .last_ns = start + (int64_t)(first + last),
                                              .frames = frames,
                                              .busiest = (uint32_t)busiest };
        d->hours++;
        int r = d->hour[k].last_ns >= d->end_ns ? BH_EDAMAGED : get_cells(c, countries, d, &d->hour[k], &cap);
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
        d->place[d->places++] = (struct bh_rollup_place){ (uint16_t)country, d->start_ns + (int64_t)first,
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
        const uint64_t hour = rollup_get_varint(c), source = rollup_get_varint(c), key = rollup_get_varint(c);
        const uint64_t count = rollup_get_varint(c);
        if (c->bad || hour > (uint64_t)(d->end_ns - d->start_ns) / 1000000000U || source >= sources || key >= 1U << 17 || count > UINT32_MAX) {
            return BH_EDAMAGED;
        }
        d->burst[d->bursts++] = (struct bh_rollup_burst){ d->start_ns + (int64_t)hour * 1000000000, (uint32_t)source,
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
    int r = get_ids(c, 8 * BH_ROLLUP_PORTS, &few);
    for (uint32_t k = 0; r == 0 && k < few.count; k++) {
        d->dst_ports[few.id[k] >> 3] |= (uint8_t)(1U << (few.id[k] & 7));
    }
    free(few.id);
    return r;
}

int
bh_rollup_get_day(const struct bh_rollup *rollup, uint32_t day, bool knocked_too, struct bh_rollup_day *ret)
{
    const struct open_rollup *o = rollup->priv;
    const struct rollup_day_ref *ref = &o->h->day[day];
    struct bh_rollup_day d = { .start_ns = ref->start_ns, .end_ns = ref->end_ns };
    if (!part_is_sound(ref->small, o->body)) {
        return BH_EDAMAGED;
    }
    struct bh_cur body = bh_cur_over(o->body + ref->small.at, (size_t)ref->small.size), c;
    uint8_t *raw = NULL, *knocked = NULL;
    int r = get_raw(&body, &raw, &c);
    r = r != 0 ? r : get_sums(&c, &d.sums);
    r = r != 0 ? r : get_hours(&c, rollup->countries, &d);
    r = r != 0 ? r : get_places(&c, rollup->countries, &d);
    r = r != 0 ? r : get_bursts(&c, rollup->sources, &d);
    r = r != 0 ? r : get_ids(&c, rollup->sources, &d.pinged);
    r = r != 0 ? r : get_ids(&c, rollup->sources, &d.then);
    r = r != 0 ? r : get_ids(&c, rollup->sources, &d.other);
    r = r != 0 ? r : get_ids(&c, rollup->own_count, &d.own);
    const uint64_t knocked_count = r == 0 ? rollup_get_varint(&c) : 0;
    r = r == 0 && (c.bad || knocked_count > rollup->sources) ? BH_EDAMAGED : r;
    r = r != 0 ? r : get_ports(&c, &body, &d);
    if (knocked_too) {
        r = r != 0 ? r : get_raw(&body, &knocked, &c);
        r = r != 0 ? r : get_ids(&c, rollup->sources, &d.knocked);
        r = r == 0 && d.knocked.count != knocked_count ? BH_EDAMAGED : r;
    }
    d.knocked.count = (uint32_t)knocked_count;
    free(raw);
    free(knocked);
    if (r != 0) {
        bh_rollup_day_done(&d);
        return r;
    }
    *ret = d;
    return 0;
}

void
bh_rollup_day_done(struct bh_rollup_day *d)
{
    free(d->hour);
    free(d->cell);
    free(d->place);
    free(d->burst);
    free(d->knocked.id);
    free(d->pinged.id);
    free(d->then.id);
    free(d->other.id);
    free(d->own.id);
    free(d->dst_ports);
    *d = (struct bh_rollup_day){ 0 };
}

/* ---- sets ----------------------------------------------------------------------------------------------------- */

struct bh_rollup_sets {
    uint32_t n, sets, sources;
    uint32_t at, set_at;
    uint64_t last_list;
    uint8_t *lists, *symbol, *times, *large;
    struct bh_cur lists_at, large_at;
    struct code_bits_in bits;
    /* The next set is unpacked before it is asked for, so that who will use it can ask for what it needs. */
    struct unpacked {
        uint32_t *id, *accesses;
        uint32_t cap, list, count;
    } set[2];
    unsigned next; /* of set */
};

static bool
sets_room(struct unpacked *u, uint32_t n)
{
    if (n <= u->cap) {
        return true;
    }
    const uint32_t cap = n + n / 2 + 64;
    uint32_t *p = realloc(u->id, bh_size_mul(cap, sizeof *p));
    u->id = p == NULL ? u->id : p;
    uint32_t *q = p == NULL ? NULL : realloc(u->accesses, bh_size_mul(cap, sizeof *q));
    u->accesses = q == NULL ? u->accesses : q;
    u->cap = q == NULL ? u->cap : cap;
    return q != NULL;
}

static int
unpack_sources(struct bh_rollup_sets *s, struct unpacked *u)
{
    const uint8_t *symbol = s->symbol + s->at, *times = s->times + s->at;
    struct code_bits_in bits = s->bits;
    uint64_t next = 0;
    bool bad = false;
    for (uint32_t i = 0; i < u->count; i++) {
        const struct code_step *step = &code_steps[symbol[i]];
        bad |= symbol[i] >= CODE_STEP_BACK;
        next += step->base + (step->bits == 0 ? 0 : code_bits_get(&bits, step->bits));
        bad |= next >= s->sources;
        u->id[i] = (uint32_t)next;
        next++;
        u->accesses[i] = times[i] + 1U;
        if (BH_UNLIKELY(times[i] == 255)) {
            const uint64_t more = rollup_get_varint(&s->large_at);
            bad |= more > UINT32_MAX - 256;
            u->accesses[i] = (uint32_t)more + 256;
        }
    }
    s->bits = bits;
    s->at += u->count;
    return bad || s->large_at.bad || code_bits_over(&bits) || (u->list & 7) >= BH_OUTCOME_COUNT ? BH_EDAMAGED : 0;
}

/* The set behind those that were unpacked; list UINT32_MAX: none. */
static int
unpack(struct bh_rollup_sets *s, struct unpacked *u)
{
    u->list = UINT32_MAX;
    u->count = 0;
    if (s->set_at == s->sets) {
        return s->at == s->n ? 0 : BH_EDAMAGED;
    }
    const uint64_t step = rollup_get_varint(&s->lists_at), length = rollup_get_varint(&s->lists_at) + 1;
    const uint64_t list = s->last_list + step;
    if (s->lists_at.bad || step > 1U << 20 || list >= 1U << 20 || (step == 0 && s->set_at > 0) || length == 0 || length > s->n - s->at) {
        return BH_EDAMAGED;
    }
    if (!sets_room(u, (uint32_t)length)) {
        return -ENOMEM;
    }
    s->last_list = list;
    s->set_at++;
    u->list = (uint32_t)list;
    u->count = (uint32_t)length;
    return unpack_sources(s, u);
}

int
bh_rollup_sets_new(const struct bh_rollup *r, uint32_t day, struct bh_rollup_sets **ret_sets)
{
    const struct open_rollup *o = r->priv;
    const bool all = day == BH_ROLLUP_ALL_DAYS;
    const struct rollup_part part = !all ? o->h->day[day].sets : (o->h->flags & ROLLUP_HAS_WHOLE) != 0 ? o->h->whole : o->h->day[0].sets;
    if (!part_is_sound(part, o->body)) {
        return BH_EDAMAGED;
    }
    struct bh_rollup_sets *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return -ENOMEM;
    }
    struct bh_cur c = bh_cur_over(o->body + part.at, (size_t)part.size);
    s->n = code_get32(&c);
    s->sets = code_get32(&c);
    s->sources = r->sources;
    int x = c.bad || s->n > o->h->rows || s->n > RAW_MAX || s->sets > s->n ? BH_EDAMAGED : get_raw(&c, &s->lists, &s->lists_at);
    if (x == 0) {
        s->symbol = malloc(s->n + 32UL);
        s->times = malloc(s->n + 32UL);
        x = s->symbol == NULL || s->times == NULL ? -ENOMEM : code_get_octets(&c, s->symbol, s->n) ? 0 : BH_EDAMAGED;
    }
    if (x == 0) {
        const uint32_t size = code_get32(&c);
        const uint8_t *p = bh_cur_take(&c, size);
        s->bits = (struct code_bits_in){ p, size, 0 };
        x = p != NULL && code_get_octets(&c, s->times, s->n) ? get_raw(&c, &s->large, &s->large_at) : BH_EDAMAGED;
    }
    x = x != 0 ? x : unpack(s, &s->set[0]);
    if (x != 0) {
        bh_rollup_sets_free(s);
        return x;
    }
    *ret_sets = s;
    return 0;
}

void
bh_rollup_sets_free(struct bh_rollup_sets *s)
{
    if (s != NULL) {
        free(s->lists);
        free(s->symbol);
        free(s->times);
        free(s->large);
        for (unsigned k = 0; k < 2; k++) {
            free(s->set[k].id);
            free(s->set[k].accesses);
        }
        free(s);
    }
}

struct bh_rollup_set
bh_rollup_sets_peek(const struct bh_rollup_sets *s)
{
    const struct unpacked *u = &s->set[s->next];
    return (struct bh_rollup_set){ u->list, u->list >> 3, (uint8_t)(u->list & 7), u->count, u->id, u->accesses };
}

int
bh_rollup_sets_next(struct bh_rollup_sets *s, struct bh_rollup_set *ret)
{
    *ret = bh_rollup_sets_peek(s);
    s->next ^= 1;
    return unpack(s, &s->set[s->next]);
}
