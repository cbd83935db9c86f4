/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of sources: open addressing, linear probing, at most 5/8 full (an unknown address
 * then costs four slots, two lines, even under a flood of forged ones). A slot never crosses
 * a cache line: the one line per source is most of what a known source costs. Of IPv4 two slots
 * share a line, and both are looked at before the next line, which nobody has asked for yet.
 *
 * A table of 2 MiB and more has addresses for all it may ever need and doubles where it stands:
 * pages are touched once, and none is touched to be given back.
 *
 * Memory: 32 octets * slots4 + 64 octets * slots6, at most 32 + 16 MiB over all shards: no table
 * grows beyond what its share of the bound lets in.
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

#define IN_PLACE ((size_t)2 << 20)

/* A shard's share of a table of so many slots, a power of two. */
static uint32_t
share_of(uint32_t slots, unsigned shards)
{
    uint32_t share = slots;
    while (share * shards > slots) {
        share /= 2;
    }
    return share;
}

/* Room for `slots` now, and for `most` later when the table is large. */
static void *
table_new(size_t slots, size_t most, size_t slot_size, size_t *ret_size)
{
    *ret_size = slots * slot_size >= IN_PLACE ? most * slot_size : slots * slot_size;
    return bh_pages_new(*ret_size, true);
}

int
sources_init(struct sources *s, uint64_t expected, unsigned shards, uint64_t key, uint32_t slots6)
{
    *s = (struct sources){ .key = key };
    /* The table grows: begin with what a file of so many frames has at least. */
    uint64_t guess = expected == 0 ? 1U << 14 : expected / 64 / shards;
    s->most4 = share_of(SOURCES4_MAX, shards);
    s->most6 = share_of(slots6, shards);
    uint32_t n4 = slots_for(guess, 1U << 10, s->most4),
             n6 = slots_for(guess / 8, 1U << 8, s->most6);
    s->v4 = table_new(n4, s->most4, sizeof *s->v4, &s->size4);
    s->v6 = table_new(n6, s->most6, sizeof *s->v6, &s->size6);
    s->mask4 = n4 - 1;
    s->mask6 = n6 - 1;
    s->limit4 = s->most4 / 8 * 5;
    s->limit6 = s->most6 / 8 * 5;
    if (s->v4 == NULL || s->v6 == NULL) {
        sources_done(s);
        return -ENOMEM;
    }
    return 0;
}

void
sources_done(struct sources *s)
{
    bh_pages_free(s->v4, s->size4);
    bh_pages_free(s->v6, s->size6);
    *s = (struct sources){ 0 };
}

/* A table that is to hold twice as many: where it stands, or in a new place. False without memory. */
static bool
table_room(void **table, size_t *size, size_t slots, size_t most, size_t slot_size)
{
    if (slots * slot_size <= *size) {
        return true;
    }
    size_t new_size;
    void *bigger = table_new(slots, most, slot_size, &new_size);
    if (bigger == NULL) {
        return false;
    }
    memcpy(bigger, *table, *size);
    bh_pages_free(*table, *size);
    *table = bigger;
    *size = new_size;
    return true;
}

/* The first that is free from `at` on: it, the other one of its line, then line by line. */
static struct source4 *
free_slot4(struct source4 *v4, uint32_t at, uint32_t mask)
{
    for (;; at = (at + 2) & mask) {
        if ((v4[at].s.flags & SRC_USED) == 0) {
            return &v4[at];
        }
        if ((v4[at ^ 1].s.flags & SRC_USED) == 0) {
            return &v4[at ^ 1];
        }
    }
}

/*
 * After the mask has gained a bit each entry belongs where it was or as far again beyond. Going
 * round once from behind a line with an empty slot, an entry never lands on one that still waits: its cluster
 * before it is done, so what it finds free is at its own place or before, or in the new half.
 */
static bool
grow4(struct sources *s)
{
    const uint32_t old = s->mask4 + 1, mask = 2 * old - 1;
    void *table = s->v4;
    if (!table_room(&table, &s->size4, 2UL * old, s->most4, sizeof *s->v4)) {
        s->limit4 = s->used4; /* go on with what there is; what is beyond is counted as over */
        return false;
    }
    struct source4 *v4 = s->v4 = table;
    uint32_t start = 0; /* of a line with an empty slot */
    while ((v4[start].s.flags & v4[start + 1].s.flags & SRC_USED) != 0) {
        start += 2;
    }
    for (uint32_t k = 2; k < old + 2; k++) {
        const uint32_t i = (start + k) & (old - 1);
        if ((v4[i].s.flags & SRC_USED) != 0) {
            const struct source4 x = v4[i];
            v4[i] = (struct source4){ 0 };
            *free_slot4(v4, (uint32_t)source4_hash(s, x.addr) & mask, mask) = x;
        }
    }
    s->mask4 = mask;
    return true;
}

static bool
grow6(struct sources *s)
{
    const uint32_t old = s->mask6 + 1, mask = 2 * old - 1;
    void *table = s->v6;
    if (!table_room(&table, &s->size6, 2UL * old, s->most6, sizeof *s->v6)) {
        s->limit6 = s->used6;
        return false;
    }
    struct source6 *v6 = s->v6 = table;
    uint32_t start = 0;
    while ((v6[start].s.flags & SRC_USED) != 0) {
        start++;
    }
    for (uint32_t k = 1; k <= old; k++) {
        const uint32_t i = (start + k) & (old - 1);
        if ((v6[i].s.flags & SRC_USED) != 0) {
            const struct source6 x = v6[i];
            v6[i] = (struct source6){ 0 };
            uint32_t at = (uint32_t)source6_hash(s, x.hi, x.lo) & mask;
            while ((v6[at].s.flags & SRC_USED) != 0) {
                at = (at + 1) & mask;
            }
            v6[at] = x;
        }
    }
    s->mask6 = mask;
    return true;
}

/* Once per batch, so that the loop over rows never has to move the table under its feet. */
void
sources_reserve(struct sources *s, uint32_t more4, uint32_t more6)
{
    while (s->used4 + more4 > (s->mask4 + 1) / 8 * 5 && s->used4 < s->limit4 &&
           s->mask4 + 1 < s->most4 && grow4(s)) {
    }
    while (s->used6 + more6 > (s->mask6 + 1) / 8 * 5 && s->used6 < s->limit6 &&
           s->mask6 + 1 < s->most6 && grow6(s)) {
    }
}

/* A line with an empty slot ends the search: an address that is not in it went no further. Which of the
 * two is empty says nothing, as a doubling may have emptied it later. */
struct source4 *
source4_search(struct sources *s, uint32_t addr, uint64_t hash)
{
    const uint32_t mask = s->mask4, home = (uint32_t)hash & mask;
    for (uint32_t at = home;; at = (at + 2) & mask) {
        struct source4 *v = &s->v4[at], *beside = &s->v4[at ^ 1];
        if (v->addr == addr && (v->s.flags & SRC_USED) != 0) {
            return v;
        }
        if (beside->addr == addr && (beside->s.flags & SRC_USED) != 0) {
            return beside;
        }
        if ((v->s.flags & beside->s.flags & SRC_USED) == 0) {
            break;
        }
    }
    if (s->used4 >= s->limit4 || s->used4 > mask / 8 * 7) {
        return NULL;
    }
    struct source4 *v = free_slot4(s->v4, home, mask);
    s->used4++;
    v->addr = addr;
    v->s.flags = SRC_USED;
    v->s.hour = UINT32_MAX;
    v->s.place = PLACE_NONE;
    return v;
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
