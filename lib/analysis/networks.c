/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What comes from which autonomous system, when there are AS data; without, nothing of this is
 * touched. Accesses and distinct sources come out of the table of sources at the end,
 * where each source is once (walk.c); those beyond the table are added as they come, their
 * number out of the set of pairs, as for countries. Packets and octets are added per packet: a
 * source may send what is no access.
 *
 * One entry for each (system, place) that occurs, so that a network has the country most of its
 * traffic came from, whatever the order of packets or the number of threads. 24 octets each, at
 * most 2^19 of them: no table of today has as many combinations.
 */
#include "trend_priv.h"

#include <errno.h>
#include <stdlib.h>

#define NETWORKS_MAX (1U << 19) /* slots */
#define CACHE_SLOTS 4096U

static uint64_t
key_of(uint32_t asn, unsigned place)
{
    return (uint64_t)asn << 16 | place;
}

static struct network *
slot_of(struct network *at, uint32_t mask, uint64_t key)
{
    uint32_t i = (uint32_t)bh_mix64(key, 0x9e3779b97f4a7c15ULL) & mask;
    while (at[i].key != 0 && at[i].key != key) {
        i = (i + 1) & mask;
    }
    return &at[i];
}

static bool
grow(struct networks *n)
{
    uint32_t slots = n->at == NULL ? 256 : (n->mask + 1) * 2;
    if (slots > NETWORKS_MAX) {
        return n->used < n->mask / 8 * 7;
    }
    struct network *at = calloc(slots, sizeof *at);
    if (at == NULL) {
        return false;
    }
    for (uint32_t i = 0; n->at != NULL && i <= n->mask; i++) {
        if (n->at[i].key != 0) {
            *slot_of(at, slots - 1, n->at[i].key) = n->at[i];
        }
    }
    free(n->at);
    n->at = at;
    n->mask = slots - 1;
    return true;
}

static void
add(struct networks *n, uint32_t asn, unsigned place, uint64_t count, uint64_t sources)
{
    if (asn == 0) {
        return; /* nobody announces it, or nobody knows */
    }
    if ((n->at == NULL || n->used >= n->mask / 4 * 3) && !grow(n)) {
        n->lost += count;
        return;
    }
    struct network *x = slot_of(n->at, n->mask, key_of(asn, place));
    n->used += x->key == 0;
    x->key = key_of(asn, place);
    x->count += count;
    x->sources += sources;
}

int
networks_init(struct networks *n, const kobold *systems)
{
    if (systems == NULL) {
        return 0;
    }
    n->cache = calloc(CACHE_SLOTS, sizeof *n->cache);
    return n->cache == NULL ? -ENOMEM : 0;
}

void
networks_done(struct networks *n)
{
    free(n->cache);
    free(n->at);
}

/* The system of a record's source. A few sources send most of what is sent. */
static uint32_t
system_of(struct networks *n, const kobold *k, const struct bh_batch *b, uint32_t i)
{
    if (b->kind[i] != BH_KIND_IP4) {
        const struct bh_ip6_pair *p = &b->ip6[b->src[i]];
        return kobold_as_v6(k, p->src_hi, p->src_lo);
    }
    uint32_t addr = b->src[i];
    struct network_cache *c = &n->cache[(addr * 0x9e3779b1U) >> 20];
    if (c->addr != addr || c->asn == 0) {
        *c = (struct network_cache){ addr, kobold_as_v4(k, addr) };
    }
    return c->asn;
}

void
networks_count(struct bh_tally *t, const struct bh_batch *b)
{
    struct networks *n = &t->networks;
    for (uint32_t i = 0; i < b->rows; i++) {
        if (tally_is_wide_row(b, i)) {
            add(n, system_of(n, t->cfg.systems, b, i), b->country[i], tally_wide_unit(t, b, i), 0);
        }
    }
}

/* A sketch for each system: the number of it that fits; two systems that share one are private. */
static uint32_t
sketch_key(uint32_t asn)
{
    return PAIR_KEY_SYSTEM(asn & 0x0fffffff);
}

void
networks_overflow(struct bh_tally *t, const struct bh_batch *b, uint32_t row, uint64_t hash,
                  unsigned place, uint64_t weight)
{
    struct networks *n = &t->networks;
    uint32_t asn = system_of(n, t->cfg.systems, b, row);
    if (asn != 0) {
        bool is_new = tally_pair(t, row, bh_mix64(hash, 0x4000000000ULL), sketch_key(asn));
        add(n, asn, place, t->is_wide ? 0 : weight, is_new);
    }
}

void
networks_source(struct bh_tally *t, const struct bh_ip *ip, const struct source *s)
{
    uint32_t asn = kobold_as(t->cfg.systems, ip->octets, ip->family);
    add(&t->networks, asn, s->place, t->is_wide ? 0 : s->count, 1);
    t->networks.lost += s->count == UINT32_MAX; /* it stopped there */
}

void
networks_merge(struct networks *into, const struct networks *from)
{
    for (uint32_t i = 0; from->at != NULL && i <= from->mask; i++) {
        const struct network *x = &from->at[i];
        if (x->key != 0) {
            add(into, (uint32_t)(x->key >> 16), (unsigned)(x->key & 0xffff), x->count, x->sources);
        }
    }
    into->lost += from->lost;
}

/* ---- the result --------------------------------------------------------------------------------- */

static int
by_key(const void *a, const void *b)
{
    const struct network *x = a;
    const struct network *y = b;
    return x->key < y->key ? -1 : x->key > y->key;
}

static int
by_count(const void *a, const void *b)
{
    const struct bh_trend_network *x = a;
    const struct bh_trend_network *y = b;
    if (x->count != y->count) {
        return x->count > y->count ? -1 : 1;
    }
    return x->asn < y->asn ? -1 : x->asn > y->asn;
}

/* Of the places of a system, the one with the highest count; of equals the first code. */
static void
take_country(const struct build *b, struct bh_trend_network *x, uint64_t *highest,
             const struct network *from)
{
    const char *code = b->t->cfg.places->place[from->key & 0xffff].code;
    uint64_t count = b->t->cfg.count == BH_COUNT_SOURCES ? from->sources : from->count;
    if (code[0] != '\0' && (x->code[0] == '\0' || count > *highest ||
                            (count == *highest && strcmp(code, x->code) < 0))) {
        memcpy(x->code, code, sizeof x->code);
        *highest = count;
    }
}

int
build_networks(struct build *b)
{
    struct networks *n = &b->t->networks;
    struct bh_trend *o = b->out;
    if (n->cache == NULL) {
        return 0;
    }
    o->has_networks = true;
    struct network *all = malloc((n->used + 1UL) * sizeof *all);
    struct bh_trend_network *list = calloc(n->used + 1UL, sizeof *list);
    o->networks = list;
    if (all == NULL || list == NULL) {
        free(all);
        return -ENOMEM;
    }
    size_t used = 0;
    for (uint32_t i = 0; n->at != NULL && i <= n->mask; i++) {
        if (n->at[i].key != 0) {
            all[used++] = n->at[i];
        }
    }
    qsort(all, used, sizeof *all, by_key);
    size_t count = 0;
    uint64_t highest = 0;
    for (size_t i = 0; i < used; i++) {
        uint32_t asn = (uint32_t)(all[i].key >> 16);
        if (count == 0 || list[count - 1].asn != asn) {
            list[count++] = (struct bh_trend_network){ .asn = asn };
            highest = 0;
        }
        struct bh_trend_network *x = &list[count - 1];
        take_country(b, x, &highest, &all[i]);
        x->count += all[i].count;
        x->sources += all[i].sources;
    }
    free(all);
    for (size_t i = 0; i < count; i++) {
        struct bh_trend_network *x = &list[i];
        const uint64_t more = x->count > x->sources ? x->count - x->sources : 0;
        x->sources += sketches_get(&b->t->cells->sketches, sketch_key(x->asn), more);
        x->count = b->t->cfg.count == BH_COUNT_SOURCES ? x->sources : x->count;
    }
    qsort(list, count, sizeof *list, by_count);
    while (count > 0 && list[count - 1].count == 0) {
        count--; /* visits, pings and the like only */
    }
    o->network_total = count;
    o->network_count = count < b->o->top ? count : b->o->top;
    for (size_t i = 0; i < o->network_count; i++) {
        if (!kobold_as_name(b->t->cfg.systems, list[i].asn, list[i].name, sizeof list[i].name)) {
            list[i].name[0] = '\0';
        }
    }
    return 0;
}
