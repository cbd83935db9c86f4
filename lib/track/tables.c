/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tables of connections and conversations grow with what is going on: they begin at 64 and
 * 16 KiB, which stay near, and double when something that still matters would fall out of its
 * bucket, up to a bound. So a quiet network needs no memory for a flood, and the small tables of a
 * short file are as good as large ones: what is forgotten is never a matter of luck or of how many
 * threads share the addresses, as long as the bound is not reached.
 *
 * A bucket is found by the low bits of a hash. What an entry keeps of its hash holds all bits but
 * those that choose among the first buckets, so that it can be moved: the next bit says whether it
 * stays or goes as far again beyond. Newest first stays newest first.
 */
#include "track_priv.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_LEAST 64U
#define SLOTS_MOST (1U << 20) /* an entry keeps no more bits of its hash */

static uint32_t
round_down(uint32_t slots)
{
    uint32_t p = SLOTS_LEAST;
    while (p <= slots / 2 && p < SLOTS_MOST) {
        p *= 2;
    }
    return p;
}

int
tables_init(struct bh_track *t, uint32_t slots)
{
    slots = round_down(slots == 0 ? SLOTS_MOST : slots);
    t->flow_most = slots / BUCKET - 1;
    t->talk_most = slots / BUCKET / 4 - 1;
    t->flow_mask = t->flow_most < FIRST_FLOWS - 1 ? t->flow_most : FIRST_FLOWS - 1;
    t->talk_mask = t->talk_most < FIRST_TALKS - 1 ? t->talk_most : FIRST_TALKS - 1;
    t->flows = bh_pages_new(sizeof *t->flows * (t->flow_mask + 1UL), true);
    t->talks = bh_pages_new(sizeof *t->talks * BUCKET * (t->talk_mask + 1UL), true);
    return t->flows == NULL || t->talks == NULL ? -ENOMEM : 0;
}

void
tables_done(struct bh_track *t)
{
    bh_pages_free(t->flows, sizeof *t->flows * (t->flow_mask + 1UL));
    bh_pages_free(t->talks, sizeof *t->talks * BUCKET * (t->talk_mask + 1UL));
}

static void
append_flow(struct bucket *to, unsigned at, const struct bucket *from, unsigned k)
{
    to->tag[at] = from->tag[k];
    to->syn_tick[at] = from->syn_tick[k];
    to->seq_seen[at] = from->seq_seen[k];
    to->rest[at] = from->rest[k];
}

bool
flows_grow(struct bh_track *t)
{
    const uint32_t old = t->flow_mask + 1;
    struct bucket *flows =
        t->flow_mask >= t->flow_most ? NULL : bh_pages_new(sizeof *flows * old * 2UL, true);
    if (flows == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < old; i++) {
        const struct bucket *from = &t->flows[i];
        unsigned at[2] = { 0, 0 };
        for (unsigned k = 0; k < BUCKET; k++) {
            const unsigned state = from->rest[k] >> 9 & 7;
            const unsigned half = ((from->rest[k] >> 24) * FIRST_FLOWS & old) != 0; /* tag8_of() */
            if (state != FLOW_NONE) {
                append_flow(&flows[i + half * old], at[half]++, from, k);
            }
        }
    }
    bh_pages_free(t->flows, sizeof *t->flows * old);
    t->flows = flows;
    t->flow_mask = 2 * old - 1;
    return true;
}

/* What is idle leaves before its second of 16 bits comes round and makes it look fresh. */
static void
sweep(struct bh_track *t, uint32_t now, bool is_late)
{
    for (uint32_t i = 0; i <= t->flow_mask; i++) {
        struct bucket *b = &t->flows[i];
        unsigned at = 0;
        for (unsigned k = 0; k < BUCKET; k++) {
            const unsigned state = b->rest[k] >> 9 & 7;
            if (state == FLOW_NONE || !is_near(second_of(now) - b->seq_seen[k]) ||
                (is_late && now - b->syn_tick[k] > HOUR_TICKS)) {
                continue;
            }
            if (at != k) {
                append_flow(b, at, b, k);
            }
            at++;
        }
        for (; at < BUCKET; at++) {
            b->tag[at] = b->syn_tick[at] = b->seq_seen[at] = b->rest[at] = 0;
        }
    }
    t->swept_tick = now;
    t->rows_since_sweep = 0;
}

void
flows_sweep(struct bh_track *t, uint32_t now)
{
    const int32_t since = (int32_t)(now - t->swept_tick);
    t->rows_since_sweep += t->flow_rows;
    /* Not more than a bucket a row, however the time of a file jumps. */
    if ((since >= (int32_t)SWEEP_TICKS || since <= -(int32_t)SWEEP_TICKS) &&
        t->rows_since_sweep > t->flow_mask) {
        sweep(t, now, since < 0 || since >= 16 * (int32_t)HOUR_TICKS);
    }
}

bool
talks_grow(struct bh_track *t)
{
    const uint32_t old = t->talk_mask + 1;
    struct talk *talks = t->talk_mask >= t->talk_most
                             ? NULL
                             : bh_pages_new(sizeof *talks * BUCKET * old * 2UL, true);
    if (talks == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < old; i++) {
        unsigned at[2] = { 0, 0 };
        for (unsigned k = 0; k < BUCKET; k++) {
            const struct talk *from = &t->talks[i * BUCKET + k];
            const unsigned half = (from->tag2 * FIRST_TALKS & old) != 0; /* tag2_of() */
            if (from->opener != 0) {
                talks[(i + half * old) * BUCKET + at[half]++] = *from;
            }
        }
    }
    bh_pages_free(t->talks, sizeof *t->talks * BUCKET * old);
    t->talks = talks;
    t->talk_mask = 2 * old - 1;
    return true;
}
