/* SPDX-License-Identifier: BSD-2-Clause */
/* One walk over all sources: networks, frequent ports, the busiest of each place, neighbours. */
#include "trend_priv.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#define NEIGHBOURS_MAX 16U
#define NEIGHBOUR_LEAST 10U

/* Distinct /24: a bit each, 2 MiB, beside those of sources beyond the tables; of few sources a list, as touching its pages costs more than
 * all else a small report does. */
#define NET_LIST_MAX 16384U

struct walk {
    struct build *b;
    _Atomic uint64_t *net_bits; /* /24, or NULL */
    uint64_t *net4;             /* the same as a list */
    uint64_t *net6;             /* upper halves: /64 */
    size_t net4_count, net6_count;
    uint64_t networks;
};

static bool
source_before(const struct bh_trend_source *a, const struct bh_trend_source *b)
{
    return a->count != b->count ? a->count > b->count : bh_ip_cmp(&a->ip, &b->ip) < 0;
}

static void
neighbour(struct build *b, const struct bh_ip *ip, const struct source *s, uint32_t key)
{
    struct bh_trend *o = b->out;
    struct bh_trend_source x = {
        .ip = *ip,
        .count = s->count,
        .same_network = true,
        .port = (uint16_t)key,
        .proto = key >> 16 != 0 ? BH_PROTO_UDP : BH_PROTO_TCP,
    };
    memcpy(x.code, b->t->cfg.places->place[s->place].code, sizeof x.code);
    size_t at = o->neighbour_count;
    if (at < NEIGHBOURS_MAX) {
        o->neighbour_count++;
    } else if (!source_before(&x, &o->neighbours[at - 1])) {
        return;
    } else {
        at--;
    }
    while (at > 0 && source_before(&x, &o->neighbours[at - 1])) {
        o->neighbours[at] = o->neighbours[at - 1];
        at--;
    }
    o->neighbours[at] = x;
}

static void
source_seen(struct walk *w, const struct bh_ip *ip, const struct source *s, uint32_t key)
{
    struct build *b = w->b;
    if ((s->flags & (SRC_KNOCKED | SRC_VISITED)) == SRC_VISITED) {
        b->visited_only++;
    }
    if (b->t->networks.cache != NULL && (s->flags & SRC_KNOCKED) != 0) {
        networks_source(b->t, ip, s);
    }
    for (uint64_t bits = s->ports & ~1ULL; bits != 0; bits &= bits - 1) {
        b->frequent[s->place][__builtin_ctzll(bits)]++;
    }
    uint64_t top = b->top_count[s->place];
    if (s->count > top || (s->count == top && top > 0 && bh_ip_cmp(ip, &b->top_ip[s->place]) < 0)) {
        b->top_count[s->place] = s->count;
        b->top_ip[s->place] = *ip;
    }
    if (s->count >= NEIGHBOUR_LEAST && bh_home_is_near(b->t->cfg.home, ip)) {
        neighbour(b, ip, s, key);
    }
    if (s->hour_count >= BURST_LEAST) {
        tally_burst(b->t, *ip, s, key);
    }
}

static void
walk4(struct walk *w, const struct sources *s)
{
    for (uint32_t i = 0; i <= s->mask4; i++) {
        const struct source4 *v = &s->v4[i];
        if ((v->s.flags & SRC_USED) != 0 && !tally_own_has(w->b->t, own_hash4(s, v->addr))) {
            w->b->outside_sources++;
        }
        if ((v->s.flags & (SRC_KNOCKED | SRC_VISITED)) == 0) {
            continue;
        }
        uint32_t net = v->addr >> 8;
        if (w->net_bits == NULL) {
            w->net4[w->net4_count++] = net;
        } else {
            const uint64_t bit = 1ULL << (net & 63),
                           bits =
                               atomic_load_explicit(&w->net_bits[net >> 6], memory_order_relaxed);
            w->networks += (bits & bit) == 0;
            atomic_store_explicit(&w->net_bits[net >> 6], bits | bit, memory_order_relaxed);
        }
        struct bh_ip ip = bh_ip_from_v4(v->addr);
        source_seen(w, &ip, &v->s, v->hour_key);
    }
}

static void
walk6(struct walk *w, const struct sources *s)
{
    for (uint32_t i = 0; i <= s->mask6; i++) {
        const struct source6 *v = &s->v6[i];
        if ((v->s.flags & SRC_USED) != 0 && !tally_own_has(w->b->t, own_hash6(s, v->hi, v->lo))) {
            w->b->outside_sources++;
        }
        if ((v->s.flags & (SRC_KNOCKED | SRC_VISITED)) == 0) {
            continue;
        }
        w->net6[w->net6_count++] = v->hi;
        struct bh_ip ip = bh_ip_from_v6(v->hi, v->lo);
        source_seen(w, &ip, &v->s, v->hour_key);
    }
}

static int
cmp_u64(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

static uint64_t
distinct(uint64_t *list, size_t count)
{
    uint64_t n = 0;
    if (count == 0) {
        return 0;
    }
    if (bh_sort64(list, count, 0, 64) != 0) {
        qsort(list, count, sizeof *list, cmp_u64); /* there is no memory for the fast one */
    }
    for (size_t i = 0; i < count; i++) {
        n += i == 0 || list[i] != list[i - 1];
    }
    return n;
}

int
build_sources(struct build *b)
{
    struct walk w = { .b = b };
    size_t v4 = 0, v6 = 0;
    bool has_bits = false;
    for (const struct bh_tally *t = b->t; t != NULL; t = t->more) {
        v4 += t->sources.used4;
        v6 += t->sources.used6;
        has_bits |= t->sources_over > 0;
    }
    has_bits |= v4 > NET_LIST_MAX;
    if (has_bits) {
        w.net_bits = b->t->cells->net_bits;
        for (size_t i = 0; i < NET_BITS_SIZE / sizeof *w.net_bits; i++) {
            w.networks += (unsigned)__builtin_popcountll(
                atomic_load_explicit(&w.net_bits[i], memory_order_relaxed));
        }
    } else {
        w.net4 = calloc(v4 + 1, sizeof *w.net4);
    }
    w.net6 = calloc(v6 + 1, sizeof *w.net6);
    b->out->neighbours = calloc(NEIGHBOURS_MAX, sizeof *b->out->neighbours);
    bool ok =
        (w.net_bits != NULL || w.net4 != NULL) && w.net6 != NULL && b->out->neighbours != NULL;
    for (const struct bh_tally *t = b->t; t != NULL && ok; t = t->more) {
        walk4(&w, &t->sources);
        walk6(&w, &t->sources);
    }
    if (ok) {
        b->out->source_networks =
            w.networks + distinct(w.net4, w.net4_count) + distinct(w.net6, w.net6_count);
    }
    free(w.net4);
    free(w.net6);
    return ok ? 0 : -ENOMEM;
}

/* ---- --country / --port ---------------------------------------------------------------------------- */

static int
cmp_listed(const void *a, const void *b)
{
    return source_before(a, b) ? -1 : source_before(b, a);
}

int
build_listed(struct build *b)
{
    const struct bh_tally *t = b->t;
    if (t->listed == NULL) {
        return 0;
    }
    struct bh_trend_source *list = calloc(t->listed_used + 1UL, sizeof *list);
    if (list == NULL) {
        return -ENOMEM;
    }
    size_t n = 0;
    for (size_t i = 0; i <= t->listed_mask; i++) {
        const struct listed *l = &t->listed[i];
        if (!l->used) {
            continue;
        }
        const struct bh_place *p = &t->cfg.places->place[l->place];
        bool near = bh_home_is_near(t->cfg.home, &l->ip);
        list[n] = (struct bh_trend_source){ .ip = l->ip,
                                            .count = l->count,
                                            .ports = l->ports,
                                            .first_ns = l->first_ns,
                                            .last_ns = l->last_ns,
                                            .same_network = near,
                                            .mac = near ? l->mac : 0 };
        memcpy(list[n].code, l->code, sizeof l->code);
        list[n].asn =
            t->cfg.systems == NULL ? 0 : kobold_as(t->cfg.systems, l->ip.octets, l->ip.family);
        memcpy(list[n].class_name, p->class_name, sizeof p->class_name);
        n++;
    }
    qsort(list, n, sizeof *list, cmp_listed);
    b->out->listed = list;
    b->out->listed_count = n;
    return 0;
}
