/* SPDX-License-Identifier: BSD-2-Clause */
/* What of roll-ups adds up, and what is joined by lists of sources: days and weeks, pings. */
#include "rolled_priv.h"

#include <errno.h>
#include <stdlib.h>

#define UNIT_NONE UINT32_MAX

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
    const uint64_t hash = ip->family == 4
                              ? own_hash4(s, bh_get_be32(ip->octets))
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
bh_rolled_add_burst(struct bh_rolled *r, const struct bh_ip *ip, unsigned place, uint32_t key,
                    uint64_t count, int64_t hour_ns)
{
    if (count < BURST_LEAST) {
        return;
    }
    struct bh_trend_burst x = { .ip = *ip,
                                .port = (uint16_t)key,
                                .count = count,
                                .proto = key >> 16 != 0 ? BH_PROTO_UDP : BH_PROTO_TCP,
                                .hour_ns = hour_ns };
    memcpy(x.code, r->t->cfg.places->place[place].code, sizeof x.code);
    tally_burst_keep(r->t, &x);
}

bool
bh_rolled_hour(struct bh_rolled *r, int64_t start_ns, int64_t first_ns, int64_t last_ns,
               uint64_t frames)
{
    struct bh_tally *t = r->t;
    bins_go(&t->bins, first_ns);
    struct hour *h = &t->bins.hour[t->bins.current];
    h->frames += frames;
    h->first_frame_ns = first_ns < h->first_frame_ns ? first_ns : h->first_frame_ns;
    h->last_frame_ns = last_ns > h->last_frame_ns ? last_ns : h->last_frame_ns;
    t->first_ns = first_ns < t->first_ns ? first_ns : t->first_ns;
    t->last_ns = last_ns > t->last_ns ? last_ns : t->last_ns;
    return t->bins.current_start_ns == start_ns && last_ns < t->bins.current_end_ns &&
           t->bins.lost == 0;
}

void
bh_rolled_hour_place(struct bh_rolled *r, unsigned place, uint64_t accesses)
{
    struct bins *b = &r->t->bins;
    r->t->place[place].accesses += accesses;
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
bh_rolled_union_add(struct bh_rolled *r, const struct bh_rolled_part *p, const uint32_t *id,
                    uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        r->union_count += p->slot[id[i]] != UINT32_MAX && rolled_set_bit(r, p->slot[id[i]]);
    }
}

void
bh_rolled_union_rows(struct bh_rolled *r, int64_t first_day, int64_t last_day)
{
    const struct bh_tally *t = r->t;
    for (size_t i = 0; i < t->log_count; i++) {
        const int64_t day = log_day(t->log[i]);
        if (day >= first_day && day <= last_day && (log_service(t->log[i]) & 7) != LOG_PING) {
            r->union_count += rolled_set_bit(r, log_slot(t->log[i]));
        }
    }
}

uint64_t
bh_rolled_union_end(struct bh_rolled *r)
{
    const uint64_t n = r->union_count;
    r->union_count = 0;
    rolled_clear_bits(r);
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
bh_rolled_knocked(struct bh_rolled *r, const struct bh_rolled_part *p, const uint32_t *id,
                  uint32_t count, uint32_t unit)
{
    for (uint32_t i = 0; units_room(r) && i < count; i++) {
        if (p->slot[id[i]] != UINT32_MAX) {
            knocked_at(r, p->slot[id[i]], unit);
        }
    }
}

void
bh_rolled_knocked_all(struct bh_rolled *r, const struct bh_rolled_part *p, uint32_t unit)
{
    for (uint32_t i = 0; units_room(r) && i < p->count; i++) {
        if (p->accesses[i] > 0 && p->slot[i] != UINT32_MAX) {
            knocked_at(r, p->slot[i], unit);
        }
    }
}

void
bh_rolled_pinged(struct bh_rolled *r, const struct bh_rolled_part *p, const uint32_t *id,
                 uint32_t count, uint32_t unit)
{
    for (uint32_t i = 0; units_room(r) && i < count; i++) {
        const uint32_t slot = p->slot[id[i]];
        if (slot != UINT32_MAX) {
            r->first_ping[slot] = unit < r->first_ping[slot] ? unit : r->first_ping[slot];
        }
    }
}

void
bh_rolled_then(struct bh_rolled *r, const struct bh_rolled_part *p, const uint32_t *id,
               uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (p->slot[id[i]] != UINT32_MAX) {
            rolled_source(r, p->slot[id[i]])->flags |= SRC_PING_FIRST;
        }
    }
}

/* Of records: a slot's flags say what happened among them, the log when. */
int
bh_rolled_end(struct bh_rolled *r, uint32_t (*unit_of)(void *arg, int64_t day), void *arg,
              const int64_t *day_of_unit)
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
        struct source *s = rolled_source(r, slot);
        s->flags |= SRC_PINGED;
        t->ping_sources++;
        if ((s->flags & SRC_PING_FIRST) != 0 || knock > ping + 1) {
            t->ping_first++;
            s->flags |= SRC_PING_FIRST;
        }
        if (day_of_unit != NULL && (s->flags & SRC_PING_FIRST) == 0 && knock > 0 &&
            knock - 1 != ping && day_of_unit[knock - 1] == day_of_unit[ping]) {
            return BH_ELIMIT; /* of one day in two runs: which came first, their records say */
        }
    }
    return 0;
}
