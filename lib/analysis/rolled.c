/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tally out of roll-ups: what was added up for whole days, joined with the records of the other days.
 *
 * Sources get their slots in the table first, so that all parts mean the same by a slot. Then accesses
 * come service by service: sets of sources, from every part and from the records. One service at a time
 * needs a bit for each slot and counters for each place, which stay in the second-level cache; a pair of
 * source and service is one bit looked at, where a table of pairs would be a cold line.
 *
 * Most services are no place's first ones. Their cells are only counted (ports_distinct); those of a
 * service that gets into the list of the first of any place go into the cells, all of them, as the cross
 * table may ask for each. What leaves a list again stays: it does no harm.
 *
 * Memory: 160 KiB of bits; 10 octets a source of each part; 8 octets an access that comes as a record.
 */
#include "tally_priv.h"

#include <errno.h>
#include <stdlib.h>

struct acc { /* of one service and place */
    uint64_t count, of_rows;
    uint64_t outcome[BH_OUTCOME_COUNT];
    uint32_t sources;
};

struct first { /* of the list of a place */
    uint64_t count;
    uint32_t key;
};

/* What a set needs of a source: four to a line, as those of seldom services are random lines. */
struct member {
    uint32_t slot; /* UINT32_MAX: not asked for */
    uint32_t accesses;
    uint16_t place;
    uint16_t spare[3];
};
struct bh_rolled_part {
    uint32_t count;
    struct member *at;
    struct bh_rolled_part *next;
};

struct bh_rolled {
    struct bh_tally *t;
    unsigned ports;
    uint32_t slots, base6;
    struct bh_rolled_part *parts;

    uint64_t *bits;
    uint32_t *touched; /* words of bits; beyond its room all are cleared */
    uint32_t touched_count;
    uint64_t union_count;
    struct acc acc[BH_PLACES_MAX];
    uint16_t acc_place[BH_PLACES_MAX];
    uint32_t acc_count;
    struct first *first; /* [place][ports] */
    uint32_t *first_count;
    uint32_t key; /* the service; UINT32_MAX: none */
    size_t log_at;

    uint32_t *first_ping, *last_knock; /* [slot]: units */
};

#define TOUCHED_MOST 1024U
#define UNIT_NONE UINT32_MAX

/* ---- the log of records ------------------------------------------------------------------------------ */

static uint32_t
slot_of(const struct bh_tally *t, const struct source *s)
{
    const uintptr_t at = (uintptr_t)s, v4 = (uintptr_t)t->sources.v4, v6 = (uintptr_t)t->sources.v6;
    if (at - v4 < t->sources.size4) {
        return (uint32_t)((at - v4) / sizeof(struct source4));
    }
    return t->sources.most4 + (uint32_t)((at - v6) / sizeof(struct source6));
}

static struct source *
source_at(const struct bh_rolled *r, uint32_t slot)
{
    return slot < r->base6 ? &r->t->sources.v4[slot].s : &r->t->sources.v6[slot - r->base6].s;
}

static int64_t
seconds_of(int64_t ts_ns)
{
    return ts_ns / 1000000000LL - (ts_ns % 1000000000LL < 0);
}

void
tally_log(struct bh_tally *t, const struct source *s, uint32_t service, int64_t ts_ns)
{
    const int64_t at = seconds_of(ts_ns);
    if (BH_UNLIKELY(at < t->log_day_start_s || at >= t->log_day_end_s)) {
        t->log_day = bh_zone_day(at);
        t->log_day_start_s = bh_zone_day_start(t->log_day);
        t->log_day_end_s = bh_zone_day_start(t->log_day + 1);
        t->log_failed |= t->log_day < 0 || t->log_day >> LOG_DAY_BITS != 0;
    }
    const int64_t day = t->log_day;
    if (t->log_count == t->log_cap) {
        const size_t cap = t->log_cap == 0 ? 1U << 16 : t->log_cap * 2;
        uint64_t *p = realloc(t->log, cap * sizeof *p);
        if (p == NULL) {
            t->log_failed = true;
            return;
        }
        t->log = p;
        t->log_cap = cap;
    }
    t->log[t->log_count++] = (uint64_t)service << (LOG_SLOT_BITS + LOG_DAY_BITS) |
                             (uint64_t)slot_of(t, s) << LOG_DAY_BITS | ((uint64_t)day & ((1U << LOG_DAY_BITS) - 1));
}

/* ---- life ------------------------------------------------------------------------------------------------ */

void
bh_tally_set_period(struct bh_tally *t, struct bh_period period)
{
    t->cfg.period = period;
}

int
bh_rolled_new(struct bh_tally *t, unsigned ports, uint32_t units, struct bh_rolled **ret)
{
    struct bh_rolled *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return -ENOMEM;
    }
    (void)units;
    r->t = t;
    r->ports = ports;
    r->base6 = t->sources.most4;
    r->slots = t->sources.most4 + t->sources.most6;
    r->key = UINT32_MAX;
    r->bits = calloc(r->slots / 64 + 1, sizeof *r->bits);
    r->touched = malloc(TOUCHED_MOST * sizeof *r->touched);
    r->first = malloc((BH_PLACES_MAX * (size_t)ports + 1) * sizeof *r->first);
    r->first_count = calloc(BH_PLACES_MAX, sizeof *r->first_count);
    t->ports_distinct = calloc(BH_PLACES_MAX, sizeof *t->ports_distinct);
    const bool ok = r->bits != NULL && r->touched != NULL && r->first != NULL && r->first_count != NULL && t->ports_distinct != NULL;
    if (t->log_failed || t->sources_over > 0 || r->slots > 1U << LOG_SLOT_BITS) {
        bh_rolled_free(r);
        return BH_ELIMIT;
    }
    if (!ok || bh_sort64(t->log, t->log_count, LOG_SLOT_BITS + LOG_DAY_BITS, 64) != 0) {
        bh_rolled_free(r);
        return -ENOMEM;
    }
    *ret = r;
    return 0;
}

void
bh_rolled_free(struct bh_rolled *r)
{
    if (r == NULL) {
        return;
    }
    for (struct bh_rolled_part *p = r->parts, *next; p != NULL; p = next) {
        next = p->next;
        free(p->at);
        free(p);
    }
    free(r->bits);
    free(r->touched);
    free(r->first);
    free(r->first_count);
    free(r->first_ping);
    free(r->last_knock);
    free(r);
}

/* ---- sources ------------------------------------------------------------------------------------------------ */

/* So many ahead their lines are asked for. */
#define AHEAD 24U

static uint64_t
hash_of(const struct sources *s, const struct bh_rolled_source *x)
{
    return x->family == 4 ? source4_hash(s, (uint32_t)x->lo) : source6_hash(s, x->hi, x->lo);
}

static void
ask_for(const struct sources *s, const struct bh_rolled_source *x)
{
    const uint64_t hash = hash_of(s, x);
    if (x->family == 4) {
        BH_PREFETCH_WRITE(&s->v4[(uint32_t)hash & s->mask4]);
    } else if (x->family == 6) {
        BH_PREFETCH_WRITE(&s->v6[(uint32_t)hash & s->mask6]);
    }
}

int
bh_rolled_part_new(struct bh_rolled *r, const struct bh_rolled_source *source, uint32_t count, struct bh_rolled_part **ret)
{
    struct bh_rolled_part *p = calloc(1, sizeof *p);
    struct sources *s = &r->t->sources;
    if (p == NULL) {
        return -ENOMEM;
    }
    p->next = r->parts;
    r->parts = p;
    p->count = count;
    p->at = malloc((count + 1UL) * sizeof *p->at);
    if (p->at == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct bh_rolled_source *x = &source[i];
        if (i + AHEAD < count) {
            ask_for(s, &source[i + AHEAD]);
        }
        p->at[i] = (struct member){ .slot = UINT32_MAX, .place = x->place };
        if (x->family == 0) {
            continue;
        }
        const uint64_t hash = hash_of(s, x);
        struct source4 *v4 = x->family == 4 ? source4_get(s, (uint32_t)x->lo, hash) : NULL;
        struct source6 *v6 = x->family == 6 ? source6_get(s, x->hi, x->lo, hash) : NULL;
        struct source *v = v4 != NULL ? &v4->s : v6 != NULL ? &v6->s : NULL;
        if (v == NULL || (v->place != PLACE_NONE && v->place != x->place)) {
            return BH_ELIMIT; /* no room; or of another country than before, which is found record by record */
        }
        v->place = x->place;
        p->at[i].slot = v4 != NULL ? (uint32_t)(v4 - s->v4) : r->base6 + (uint32_t)(v6 - s->v6);
    }
    *ret = p;
    return 0;
}

/* ---- services ------------------------------------------------------------------------------------------------- */

static void
clear_bits(struct bh_rolled *r)
{
    if (r->touched_count > TOUCHED_MOST) {
        memset(r->bits, 0, (r->slots / 64 + 1) * sizeof *r->bits);
    } else {
        for (uint32_t k = 0; k < r->touched_count; k++) {
            r->bits[r->touched[k]] = 0;
        }
    }
    r->touched_count = 0;
}

/* True when it is new. */
static BH_ALWAYS_INLINE bool
set_bit(struct bh_rolled *r, uint32_t slot)
{
    uint64_t *word = &r->bits[slot >> 6];
    const uint64_t bit = 1ULL << (slot & 63), before = *word;
    *word = before | bit;
    if (BH_UNLIKELY(before == 0) && r->touched_count <= TOUCHED_MOST) {
        if (r->touched_count < TOUCHED_MOST) {
            r->touched[r->touched_count] = slot >> 6;
        }
        r->touched_count++;
    }
    return (before & bit) == 0;
}

static BH_ALWAYS_INLINE struct acc *
acc_of(struct bh_rolled *r, unsigned place)
{
    struct acc *a = &r->acc[place];
    if (BH_UNLIKELY(a->count == 0)) {
        r->acc_place[r->acc_count++] = (uint16_t)place;
    }
    return a;
}

static bool
first_before(const struct first *a, const struct first *b)
{
    if (a->count != b->count) {
        return a->count > b->count;
    }
    const unsigned pa = a->key & 0xffff, pb = b->key & 0xffff;
    return pa != pb ? pa < pb : a->key < b->key; /* TCP before UDP */
}

/* Does it get into the list of its place? */
static bool
offer(struct bh_rolled *r, unsigned place, struct first x)
{
    struct first *list = &r->first[place * (size_t)r->ports];
    uint32_t *n = &r->first_count[place];
    if (r->ports == 0 || (*n == r->ports && !first_before(&x, &list[*n - 1]))) {
        return false;
    }
    size_t at = *n < r->ports ? (*n)++ : *n - 1;
    while (at > 0 && first_before(&x, &list[at - 1])) {
        list[at] = list[at - 1];
        at--;
    }
    list[at] = x;
    return true;
}

static void
end_service(struct bh_rolled *r)
{
    struct bh_tally *t = r->t;
    bool shown = false;
    for (uint32_t k = 0; k < r->acc_count; k++) {
        const unsigned place = r->acc_place[k];
        const struct acc *a = &r->acc[place];
        const uint64_t unit = t->cfg.count == BH_COUNT_SOURCES ? a->sources : a->count;
        shown |= offer(r, place, (struct first){ unit, r->key });
        t->ports_distinct[place]++;
        t->place[place].accesses += a->count - a->of_rows;
    }
    for (uint32_t k = 0; k < r->acc_count; k++) {
        const unsigned place = r->acc_place[k];
        const struct acc *a = &r->acc[place];
        const uint32_t cell = (uint32_t)place << 17 | r->key;
        if (shown) {
            cell_add(t->cells, cell, a->count, a->sources);
            for (unsigned o = 1; o < BH_OUTCOME_COUNT && t->cfg.outcomes; o++) {
                if (o != BH_OUTCOME_SILENT && a->outcome[o] > 0) {
                    cell_outcome(t->cells, cell, o, (int64_t)a->outcome[o]);
                }
            }
        }
    }
    for (uint32_t k = 0; k < r->acc_count; k++) {
        r->acc[r->acc_place[k]] = (struct acc){ 0 };
    }
    r->acc_count = 0;
    clear_bits(r);
}

uint32_t
bh_rolled_rows_peek(const struct bh_rolled *r)
{
    return r->log_at < r->t->log_count ? log_service(r->t->log[r->log_at]) : UINT32_MAX;
}

/* The accesses of records to this service. */
static void
add_rows(struct bh_rolled *r)
{
    const struct bh_tally *t = r->t;
    while (r->log_at < t->log_count && log_service(t->log[r->log_at]) >> 3 <= r->key) {
        const uint64_t x = t->log[r->log_at++];
        const unsigned outcome = log_service(x) & 7;
        if (outcome == LOG_PING) {
            continue;
        }
        struct acc *a = acc_of(r, source_at(r, log_slot(x))->place);
        a->count++;
        a->of_rows++;
        a->outcome[outcome]++;
        a->sources += set_bit(r, log_slot(x));
    }
}

int
bh_rolled_service(struct bh_rolled *r, uint32_t key)
{
    if (r->key != UINT32_MAX) {
        if (key <= r->key) {
            return BH_ELIMIT;
        }
        end_service(r);
    }
    r->key = key;
    add_rows(r);
    return 0;
}

void
bh_rolled_ask(const struct bh_rolled_part *p, const uint32_t *id, uint32_t count)
{
    for (uint32_t i = 0; i < count && i < AHEAD; i++) {
        BH_PREFETCH_WRITE(&p->at[id[i]]);
    }
}

void
bh_rolled_set(struct bh_rolled *r, struct bh_rolled_part *p, unsigned outcome, const uint32_t *id,
              const uint32_t *accesses, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i + AHEAD < count) {
            BH_PREFETCH_WRITE(&p->at[id[i + AHEAD]]);
        }
        struct member *m = &p->at[id[i]];
        const uint32_t n = accesses[i], slot = m->slot;
        struct acc *a = acc_of(r, m->place);
        a->count += n;
        a->outcome[outcome] += n;
        a->sources += set_bit(r, slot);
        m->accesses = add_up_to_max(m->accesses, n);
    }
}

/* What the parts have added up for each source goes into its slot. */
int
bh_rolled_services_end(struct bh_rolled *r)
{
    struct bh_tally *t = r->t;
    if (r->key != UINT32_MAX) {
        end_service(r);
    }
    for (struct bh_rolled_part *p = r->parts; p != NULL; p = p->next) {
        for (uint32_t i = 0; i < p->count; i++) {
            if (p->at[i].accesses == 0) {
                continue;
            }
            struct source *s = source_at(r, p->at[i].slot);
            s->count = add_up_to_max(s->count, p->at[i].accesses);
            if ((s->flags & SRC_KNOCKED) == 0) {
                s->flags |= SRC_KNOCKED;
                t->place[s->place].sources++;
            }
        }
    }
    return cells_lost(t->cells) > 0 ? -ENOMEM : 0;
}

/* ---- what adds up ------------------------------------------------------------------------------------------------ */

void
bh_rolled_add_sums(struct bh_rolled *r, const struct bh_rolled_sums *s)
{
    struct bh_tally *t = r->t;
    t->frames += s->frames;
    t->packets += s->packets;
    t->inbound += s->inbound;
    t->outbound += s->outbound;
    t->cut_frames += s->cut_frames;
    t->cut_headers += s->cut_headers;
    t->duplicates += s->duplicates;
    t->accesses += s->tcp + s->udp;
    t->tcp_accesses += s->tcp;
    t->udp_accesses += s->udp;
    t->pings += s->pings;
    for (unsigned k = 0; k < BH_CLASS_COUNT; k++) {
        t->classes[k] += s->cls[k];
    }
    for (unsigned k = 0; k < BH_LAYER_COUNT; k++) {
        t->layers[k] += s->layer[k];
    }
    for (unsigned k = 0; k < BH_REASON_COUNT; k++) {
        t->malformed[k] += s->reason[k];
    }
}

void
bh_rolled_add_ports(struct bh_rolled *r, const uint8_t *bits)
{
    uint8_t *to = r->t->dst_ports + PORTS_SIZE;
    for (unsigned k = 0; k < 2 * PORTS_SIZE; k++) {
        to[k] |= bits[k];
    }
}

void
bh_rolled_add_own(struct bh_rolled *r, const struct bh_ip *ip)
{
    const struct sources *s = &r->t->sources;
    const uint64_t hash = ip->family == 4 ? own_hash4(s, bh_get_be32(ip->octets))
                                          : own_hash6(s, bh_get_be64(ip->octets), bh_get_be64(ip->octets + 8));
    tally_own_add(r->t, hash, OWN_MAX);
}

void
bh_rolled_add_place(struct bh_rolled *r, unsigned place, int64_t first_ns, int64_t last_ns)
{
    struct place_sum *sum = &r->t->place[place];
    sum->first_ns = first_ns < sum->first_ns ? first_ns : sum->first_ns;
    sum->last_ns = last_ns > sum->last_ns ? last_ns : sum->last_ns;
}

void
bh_rolled_add_burst(struct bh_rolled *r, const struct bh_ip *ip, unsigned place, uint32_t key, uint64_t count,
                    int64_t hour_ns)
{
    if (count < BURST_LEAST) {
        return;
    }
    struct bh_trend_burst x = { .ip = *ip, .port = (uint16_t)key, .count = count,
                                .proto = key >> 16 != 0 ? BH_PROTO_UDP : BH_PROTO_TCP, .hour_ns = hour_ns };
    memcpy(x.code, r->t->cfg.places->place[place].code, sizeof x.code);
    tally_burst_keep(r->t, &x);
}

bool
bh_rolled_hour(struct bh_rolled *r, int64_t start_ns, int64_t first_ns, int64_t last_ns, uint64_t frames)
{
    struct bh_tally *t = r->t;
    bins_go(&t->bins, first_ns);
    struct hour *h = &t->bins.hour[t->bins.current];
    h->frames += frames;
    h->first_frame_ns = first_ns < h->first_frame_ns ? first_ns : h->first_frame_ns;
    h->last_frame_ns = last_ns > h->last_frame_ns ? last_ns : h->last_frame_ns;
    t->first_ns = first_ns < t->first_ns ? first_ns : t->first_ns;
    t->last_ns = last_ns > t->last_ns ? last_ns : t->last_ns;
    return t->bins.current_start_ns == start_ns && last_ns < t->bins.current_end_ns && t->bins.lost == 0;
}

void
bh_rolled_hour_place(struct bh_rolled *r, unsigned place, uint64_t accesses)
{
    struct bins *b = &r->t->bins;
    b->hour[b->current].count += accesses;
    b->trend_row[place] = add_up_to_max(b->trend_row[place], accesses);
}

void
bh_rolled_day_sources(struct bh_rolled *r, int64_t ts_ns, uint64_t count)
{
    bins_at(&r->t->bins, ts_ns)->day_sources += count;
}

void
bh_rolled_week_sources(struct bh_rolled *r, int64_t ts_ns, uint64_t count)
{
    struct bins *b = &r->t->bins;
    const struct hour *h = bins_at(b, ts_ns);
    const uint32_t first = h->week_first, length = h->week_next - h->week_first;
    for (uint32_t k = 0; k < b->used; k++) {
        b->hour[k].week_sources = b->hour[k].id - first < length ? 0 : b->hour[k].week_sources;
    }
    b->hour[b->current].week_sources = count;
}

/* ---- distinct sources of several lists ------------------------------------------------------------------------------ */

void
bh_rolled_union_add(struct bh_rolled *r, const struct bh_rolled_part *p, const uint32_t *id, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        r->union_count += set_bit(r, p->at[id[i]].slot);
    }
}

void
bh_rolled_union_rows(struct bh_rolled *r, int64_t first_day, int64_t last_day)
{
    const struct bh_tally *t = r->t;
    for (size_t i = 0; i < t->log_count; i++) {
        const int64_t day = log_day(t->log[i]);
        if (day >= first_day && day <= last_day && (log_service(t->log[i]) & 7) != LOG_PING) {
            r->union_count += set_bit(r, log_slot(t->log[i]));
        }
    }
}

uint64_t
bh_rolled_union_end(struct bh_rolled *r)
{
    const uint64_t n = r->union_count;
    r->union_count = 0;
    clear_bits(r);
    return n;
}

/* ---- pings ------------------------------------------------------------------------------------------------------------ */

static bool
units_room(struct bh_rolled *r)
{
    if (r->first_ping == NULL) {
        r->first_ping = malloc(r->slots * sizeof *r->first_ping);
        r->last_knock = calloc(r->slots, sizeof *r->last_knock); /* unit + 1 */
        if (r->first_ping == NULL || r->last_knock == NULL) {
            r->t->log_failed = true;
            return false;
        }
        memset(r->first_ping, 0xff, r->slots * sizeof *r->first_ping);
    }
    return !r->t->log_failed;
}

static void
knocked_at(struct bh_rolled *r, uint32_t slot, uint32_t unit)
{
    r->last_knock[slot] = unit + 1 > r->last_knock[slot] ? unit + 1 : r->last_knock[slot];
}

void
bh_rolled_knocked(struct bh_rolled *r, const struct bh_rolled_part *p, const uint32_t *id, uint32_t count, uint32_t unit)
{
    for (uint32_t i = 0; units_room(r) && i < count; i++) {
        knocked_at(r, p->at[id[i]].slot, unit);
    }
}

void
bh_rolled_knocked_all(struct bh_rolled *r, const struct bh_rolled_part *p, uint32_t unit)
{
    for (uint32_t i = 0; units_room(r) && i < p->count; i++) {
        if (p->at[i].accesses > 0) {
            knocked_at(r, p->at[i].slot, unit);
        }
    }
}

void
bh_rolled_pinged(struct bh_rolled *r, const struct bh_rolled_part *p, const uint32_t *id, uint32_t count, uint32_t unit)
{
    for (uint32_t i = 0; units_room(r) && i < count; i++) {
        uint32_t *first = &r->first_ping[p->at[id[i]].slot];
        *first = unit < *first ? unit : *first;
    }
}

void
bh_rolled_then(struct bh_rolled *r, const struct bh_rolled_part *p, const uint32_t *id, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        source_at(r, p->at[id[i]].slot)->flags |= SRC_PING_FIRST;
    }
}

/* Of records: a slot's flags say what happened among them, the log when. */
int
bh_rolled_end(struct bh_rolled *r, uint32_t (*unit_of)(void *arg, int64_t day), void *arg, const int64_t *day_of_unit)
{
    struct bh_tally *t = r->t;
    if (!units_room(r)) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < t->log_count; i++) {
        const uint32_t unit = unit_of(arg, log_day(t->log[i])), slot = log_slot(t->log[i]);
        if (unit == UNIT_NONE) {
            return BH_ELIMIT;
        }
        if ((log_service(t->log[i]) & 7) == LOG_PING) {
            r->first_ping[slot] = unit < r->first_ping[slot] ? unit : r->first_ping[slot];
        } else {
            knocked_at(r, slot, unit);
        }
    }
    t->ping_sources = t->ping_first = 0;
    for (uint32_t slot = 0; slot < r->slots; slot++) {
        const uint32_t ping = r->first_ping[slot], knock = r->last_knock[slot];
        if (ping == UNIT_NONE) {
            continue;
        }
        struct source *s = source_at(r, slot);
        s->flags |= SRC_PINGED;
        t->ping_sources++;
        if ((s->flags & SRC_PING_FIRST) != 0 || knock > ping + 1) {
            t->ping_first++;
            s->flags |= SRC_PING_FIRST;
        }
        if (day_of_unit != NULL && (s->flags & SRC_PING_FIRST) == 0 && knock > 0 && knock - 1 != ping &&
            day_of_unit[knock - 1] == day_of_unit[ping]) {
            return BH_ELIMIT; /* of one day in two runs: which came first, their records say */
        }
    }
    return 0;
}
