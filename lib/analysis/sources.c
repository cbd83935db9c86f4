/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of sources: open addressing, linear probing, at most 5/8 full (an unknown address
 * then costs four slots, two lines, even under a flood of forged ones). A slot never crosses
 * a cache line: the one line per source is most of what a known source costs.
 *
 * Memory: 32 octets * slots4 + 64 octets * slots6, at most 32 + 16 MiB; several shards together may
 * take twice that, as each may double once more just below its share of the bound.
 */
#include "tally_priv.h"

#include <errno.h>

static uint32_t
slots_for(uint64_t expected, uint32_t least, uint32_t most)
{
    uint64_t slots = least;
    while (slots < most && slots < expected) {
        slots *= 2;
    }
    return (uint32_t)slots;
}

int
sources_init(struct sources *s, uint64_t expected, unsigned shards, uint64_t key)
{
    *s = (struct sources){ .key = key };
    /* The table grows: begin with what a file of so many frames has at least. */
    uint64_t guess = expected == 0 ? 1U << 14 : expected / 64 / shards;
    uint32_t n4 = slots_for(guess, 1U << 10, SOURCES4_MAX), n6 = slots_for(guess / 8, 1U << 8, SOURCES6_MAX);
    s->v4 = bh_pages_new(n4 * sizeof *s->v4, n4 >= 1U << 16);
    s->v6 = bh_pages_new(n6 * sizeof *s->v6, n6 >= 1U << 15);
    s->mask4 = n4 - 1;
    s->mask6 = n6 - 1;
    s->limit4 = SOURCES4_MAX / shards / 8 * 5;
    s->limit6 = SOURCES6_MAX / shards / 8 * 5;
    if (s->v4 == NULL || s->v6 == NULL) {
        sources_done(s);
        return -ENOMEM;
    }
    return 0;
}

void
sources_done(struct sources *s)
{
    bh_pages_free(s->v4, (s->mask4 + 1UL) * sizeof *s->v4);
    bh_pages_free(s->v6, (s->mask6 + 1UL) * sizeof *s->v6);
    *s = (struct sources){ 0 };
}

static void
grow4(struct sources *s)
{
    uint32_t n = (s->mask4 + 1) * 2, mask = n - 1;
    struct source4 *v4 = bh_pages_new(n * sizeof *v4, n >= 1U << 16);
    if (v4 == NULL) {
        s->limit4 = s->used4; /* go on with what there is; what is beyond is counted as over */
        return;
    }
    for (uint32_t i = 0; i <= s->mask4; i++) {
        if ((s->v4[i].s.flags & SRC_USED) != 0) {
            uint32_t at = (uint32_t)source4_hash(s, s->v4[i].addr) & mask;
            while ((v4[at].s.flags & SRC_USED) != 0) {
                at = (at + 1) & mask;
            }
            v4[at] = s->v4[i];
        }
    }
    bh_pages_free(s->v4, (s->mask4 + 1UL) * sizeof *s->v4);
    s->v4 = v4;
    s->mask4 = mask;
}

static void
grow6(struct sources *s)
{
    uint32_t n = (s->mask6 + 1) * 2, mask = n - 1;
    struct source6 *v6 = bh_pages_new(n * sizeof *v6, n >= 1U << 15);
    if (v6 == NULL) {
        s->limit6 = s->used6;
        return;
    }
    for (uint32_t i = 0; i <= s->mask6; i++) {
        if ((s->v6[i].s.flags & SRC_USED) != 0) {
            uint32_t at = (uint32_t)source6_hash(s, s->v6[i].hi, s->v6[i].lo) & mask;
            while ((v6[at].s.flags & SRC_USED) != 0) {
                at = (at + 1) & mask;
            }
            v6[at] = s->v6[i];
        }
    }
    bh_pages_free(s->v6, (s->mask6 + 1UL) * sizeof *s->v6);
    s->v6 = v6;
    s->mask6 = mask;
}

/* Once per batch, so that the loop over rows never has to move the table under its feet. */
void
sources_reserve(struct sources *s, uint32_t more4, uint32_t more6)
{
    while (s->used4 + more4 > (s->mask4 + 1) / 8 * 5 && s->used4 < s->limit4 && s->mask4 + 1 < SOURCES4_MAX) {
        uint32_t before = s->mask4;
        grow4(s);
        if (s->mask4 == before) {
            break;
        }
    }
    while (s->used6 + more6 > (s->mask6 + 1) / 8 * 5 && s->used6 < s->limit6 && s->mask6 + 1 < SOURCES6_MAX) {
        uint32_t before = s->mask6;
        grow6(s);
        if (s->mask6 == before) {
            break;
        }
    }
}

struct source4 *
source4_search(struct sources *s, uint32_t addr, uint64_t hash)
{
    uint32_t at = (uint32_t)hash & s->mask4;
    for (;;) {
        struct source4 *v = &s->v4[at];
        if (BH_LIKELY(v->addr == addr && (v->s.flags & SRC_USED) != 0)) {
            return v;
        }
        if ((v->s.flags & SRC_USED) == 0) {
            if (s->used4 >= s->limit4 || s->used4 > s->mask4 / 8 * 7) {
                return NULL;
            }
            s->used4++;
            v->addr = addr;
            v->s.flags = SRC_USED;
            v->s.hour = UINT32_MAX;
            v->s.place = PLACE_NONE;
            return v;
        }
        at = (at + 1) & s->mask4;
    }
}

struct source6 *
source6_search(struct sources *s, uint64_t hi, uint64_t lo, uint64_t hash)
{
    uint32_t at = (uint32_t)hash & s->mask6;
    for (;;) {
        struct source6 *v = &s->v6[at];
        if (BH_LIKELY(v->hi == hi && v->lo == lo && (v->s.flags & SRC_USED) != 0)) {
            return v;
        }
        if ((v->s.flags & SRC_USED) == 0) {
            if (s->used6 >= s->limit6 || s->used6 > s->mask6 / 8 * 7) {
                return NULL;
            }
            s->used6++;
            v->hi = hi;
            v->lo = lo;
            v->s.flags = SRC_USED;
            v->s.hour = UINT32_MAX;
            v->s.place = PLACE_NONE;
            return v;
        }
        at = (at + 1) & s->mask6;
    }
}
