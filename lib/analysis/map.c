/* SPDX-License-Identifier: BSD-2-Clause */
/* A small open-addressing map, for what is rare: carries, wide sums, bin numbers. */
#include "tally_priv.h"

#include <errno.h>
#include <stdlib.h>

static inline uint32_t
place_of(const struct map *m, uint32_t key)
{
    return (uint32_t)((key * 0x9e3779b97f4a7c15ULL) >> 32) & m->mask;
}

int
map_init(struct map *m, uint32_t slots)
{
    *m = (struct map){ .mask = slots - 1 };
    m->entry = calloc(slots, sizeof *m->entry);
    return m->entry == NULL ? -ENOMEM : 0;
}

void
map_done(struct map *m)
{
    free(m->entry);
    *m = (struct map){ 0 };
}

static bool
grow(struct map *m)
{
    struct map bigger;
    if (map_init(&bigger, (m->mask + 1) * 2) != 0) {
        return false;
    }
    for (uint32_t i = 0; i <= m->mask; i++) {
        if (m->entry[i].key1 != 0) {
            map_add(&bigger, m->entry[i].key1 - 1, m->entry[i].value);
        }
    }
    bigger.lost = m->lost;
    free(m->entry);
    *m = bigger;
    return true;
}

void
map_add(struct map *m, uint32_t key, uint64_t value)
{
    uint32_t at = place_of(m, key);
    while (m->entry[at].key1 != 0) {
        if (m->entry[at].key1 == key + 1) {
            m->entry[at].value += value;
            return;
        }
        at = (at + 1) & m->mask;
    }
    if (m->used >= m->mask / 4 * 3) {
        if (m->mask < 1U << 26 && grow(m)) {
            map_add(m, key, value);
            return;
        }
        if (m->used >= m->mask - 1) {
            m->lost += value;
            return;
        }
    }
    m->entry[at] = (struct map_entry){ key + 1, 0, value };
    m->used++;
}

uint64_t
map_get(const struct map *m, uint32_t key)
{
    for (uint32_t at = place_of(m, key); m->entry[at].key1 != 0; at = (at + 1) & m->mask) {
        if (m->entry[at].key1 == key + 1) {
            return m->entry[at].value;
        }
    }
    return 0;
}
