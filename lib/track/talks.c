/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of conversations begins with 16 KiB and doubles, where it stands, before one would fall out
 * that is still known, which is for 60 s. So it is as large as the traffic makes it and stays in the
 * processor's caches when that is little; what a bucket holds beyond is never asked for, so that the size
 * a table happens to have changes no number. (Of connections that cannot be said: a segment of ours makes
 * one known again however long it was silent.)
 *
 * The bits of a hash by which a bucket is chosen once there are more than the least number of buckets are
 * among those that an entry holds, so that a doubling knows where each goes.
 */
#include "track_priv.h"

static void
split_talks(struct talk *low, struct talk *high, uint32_t bit)
{
    struct talk *to[2] = { low, high };
    unsigned n[2] = { 0, 0 };
    struct talk from[BUCKET];
    memcpy(from, low, sizeof from);
    memset(low, 0, sizeof from);
    memset(high, 0, sizeof from);
    for (unsigned k = 0; k < BUCKET; k++) {
        if (from[k].opener != 0) {
            const unsigned where = (from[k].tag2 & bit) != 0;
            to[where][n[where]++] = from[k];
        }
    }
}

bool
talks_grow(struct bh_track *t)
{
    const uint32_t old = t->talk_mask + 1;
    if (old < TALKS_LEAST || old >= t->talks_most) {
        return false;
    }
    for (uint32_t i = 0; i < old; i++) {
        split_talks(&t->talks[i * BUCKET], &t->talks[(i + old) * BUCKET], old / TALKS_LEAST);
    }
    t->talk_mask = 2 * old - 1;
    return true;
}

/* Addresses for all it may ever need; pages come when they are touched. */
bool
talks_init(struct bh_track *t, uint32_t most)
{
    t->talks_most = most;
    t->talk_mask = (most < TALKS_LEAST ? most : TALKS_LEAST) - 1;
    t->talks = bh_pages_new(sizeof *t->talks * BUCKET * most, true);
    return t->talks != NULL;
}

void
talks_done(struct bh_track *t)
{
    bh_pages_free(t->talks, sizeof *t->talks * BUCKET * t->talks_most);
}
