/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tally out of roll-ups: what was added up for whole days, joined with the records of the other days.
 *
 * Sources get their slots in the table first, so that all parts mean the same by a slot. What each part has
 * added up for a source then goes into its slot, and what depends on services is left to rolled_services.c.
 *
 * Memory: 160 KiB of bits; 10 octets a source of each part; 8 octets an access that comes as a record.
 */
#include "rolled_priv.h"

#include <errno.h>
#include <stdlib.h>

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
                             (uint64_t)slot_of(t, s) << LOG_DAY_BITS |
                             ((uint64_t)day & ((1U << LOG_DAY_BITS) - 1));
}

/* ---- life ------------------------------------------------------------------------------------------------ */

void
bh_tally_set_period(struct bh_tally *t, struct bh_period period)
{
    t->cfg.period = period;
}

int
bh_rolled_new(struct bh_tally *t, unsigned ports, struct bh_rolled **ret)
{
    struct bh_rolled *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return -ENOMEM;
    }
    r->t = t;
    r->ports = ports;
    r->base6 = t->sources.most4;
    r->slots = t->sources.most4 + t->sources.most6;
    r->key = UINT32_MAX;
    r->bits = calloc(r->slots / 64 + 1, sizeof *r->bits);
    r->touched = malloc(ROLLED_TOUCHED_MOST * sizeof *r->touched);
    r->shown = calloc(BH_PLACES_MAX, sizeof *r->shown);
    r->top = calloc(ports + 2UL, sizeof *r->top);
    r->counted = calloc(DIGIT_KEYS / 8, 1);
    const bool ok = r->bits != NULL && r->touched != NULL && r->shown != NULL && r->top != NULL &&
                    r->counted != NULL;
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
        free(p->slot);
        free(p->accesses);
        free(p->place);
        free(p);
    }
    free(r->bits);
    free(r->touched);
    for (uint32_t p = 0; r->shown != NULL && p < BH_PLACES_MAX; p++) {
        free(r->shown[p].key);
    }
    free(r->shown);
    free(r->top);
    free(r->counted);
    free(r->rare);
    free(r->missing);
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

/* Inlined by force: gcc takes a function that only asks ahead for one without effect, and leaves calls of it out. */
static BH_ALWAYS_INLINE void
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
bh_rolled_part_new(struct bh_rolled *r, const struct bh_rolled_source *source, uint32_t count,
                   struct bh_rolled_part **ret)
{
    struct bh_rolled_part *p = calloc(1, sizeof *p);
    struct sources *s = &r->t->sources;
    if (p == NULL) {
        return -ENOMEM;
    }
    p->next = r->parts;
    r->parts = p;
    p->count = count;
    p->slot = malloc((count + 1UL) * sizeof *p->slot);
    p->accesses = calloc(count + 1UL, sizeof *p->accesses);
    p->place = malloc((count + 1UL) * sizeof *p->place);
    if (p->slot == NULL || p->accesses == NULL || p->place == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct bh_rolled_source *x = &source[i];
        if (i + AHEAD < count) {
            ask_for(s, &source[i + AHEAD]);
        }
        p->slot[i] = UINT32_MAX;
        p->place[i] = x->place;
        if (x->family == 0) {
            continue;
        }
        const uint64_t hash = hash_of(s, x);
        struct source4 *v4 = x->family == 4 ? source4_get(s, (uint32_t)x->lo, hash) : NULL;
        struct source6 *v6 = x->family == 6 ? source6_get(s, x->hi, x->lo, hash) : NULL;
        struct source *v = v4 != NULL ? &v4->s : v6 != NULL ? &v6->s : NULL;
        if (v == NULL || (v->place != PLACE_NONE && v->place != x->place)) {
            /* no room; or of another country than before, which is found record by record */
            return BH_ELIMIT;
        }
        v->place = x->place;
        p->slot[i] = v4 != NULL ? (uint32_t)(v4 - s->v4) : r->base6 + (uint32_t)(v6 - s->v6);
    }
    *ret = p;
    return 0;
}

void
bh_rolled_who(struct bh_rolled_part *p, const uint32_t *id, const uint32_t *accesses,
              uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        p->accesses[id[i]] = add_up_to_max(p->accesses[id[i]], accesses[i]);
    }
}

static BH_ALWAYS_INLINE void
ask_for_slot(const struct bh_rolled *r, uint32_t slot)
{
    if (slot < r->base6) {
        BH_PREFETCH_WRITE(&r->t->sources.v4[slot]);
    } else if (slot != UINT32_MAX) {
        BH_PREFETCH_WRITE(&r->t->sources.v6[slot - r->base6]);
    }
}

void
bh_rolled_sources_end(struct bh_rolled *r)
{
    struct bh_tally *t = r->t;
    for (struct bh_rolled_part *p = r->parts; p != NULL; p = p->next) {
        for (uint32_t i = 0; i < p->count; i++) {
            if (i + AHEAD < p->count) {
                ask_for_slot(r, p->slot[i + AHEAD]);
            }
            if (p->accesses[i] == 0 || p->slot[i] == UINT32_MAX) {
                continue;
            }
            struct source *s = rolled_source(r, p->slot[i]);
            s->count = add_up_to_max(s->count, p->accesses[i]);
            if ((s->flags & SRC_KNOCKED) == 0) {
                s->flags |= SRC_KNOCKED;
                t->place[s->place].sources++;
            }
        }
    }
}

void
rolled_clear_bits(struct bh_rolled *r)
{
    if (r->touched_count > ROLLED_TOUCHED_MOST) {
        memset(r->bits, 0, (r->slots / 64 + 1) * sizeof *r->bits);
    } else {
        for (uint32_t k = 0; k < r->touched_count; k++) {
            r->bits[r->touched[k]] = 0;
        }
    }
    r->touched_count = 0;
}
