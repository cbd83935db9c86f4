/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens seldom in a tally: sources beyond the table, the list of --country/--port,
 * bursts, gaps.
 */
#include "tally_priv.h"

#include <stdatomic.h>
#include <stdlib.h>

/* The set of pairs is full. What a report is read for still finds room in it; the rest is estimated. */
enum pair
tally_over(struct bh_tally *t, uint32_t row, uint64_t hash, uint32_t key)
{
    const bool matters = key >= CELLS || frequent_bit(&t->frequent, key % DIGIT_KEYS) != 0;
    enum pair p = matters ? pairs_add_more(&t->pairs, hash) : PAIR_OVER;
    if (p == PAIR_OVER) {
        t->pairs_over++;
        t->over[t->over_count].key = key;
        t->over[t->over_count++].row = (uint16_t)row;
    }
    return p;
}

/* Cells with fewer accesses are no country's first ports, and too many. */
#define WORTH_A_SKETCH 256U

static bool
is_worth_a_sketch(const struct bh_tally *t, uint32_t key)
{
    return key >= CELLS || sketches_has(&t->cells->sketches, key) ||
           frequent_bit(&t->frequent, key % DIGIT_KEYS) != 0 ||
           cell_get(t->cells, key, CELL_COUNT) >= WORTH_A_SKETCH;
}

static uint64_t
sketch_hash(const struct bh_batch *b, uint32_t row, uint64_t key)
{
    if (b->kind[row] == BH_KIND_IP4) {
        return bh_mix64(b->src[row] ^ key, 0x9e3779b97f4a7c15ULL);
    }
    const struct bh_ip6_pair *p = &b->ip6[b->src[row]];
    return bh_mix64(bh_mix64(p->src_hi ^ key, p->src_lo), key);
}

void
tally_sketch(struct bh_tally *t, const struct bh_batch *b)
{
    struct sketches *s = &t->cells->sketches;
    for (uint32_t k = 0; k < t->over_count; k++) {
        if (is_worth_a_sketch(t, t->over[k].key)) {
            sketches_add(s, sketch_hash(b, t->over[k].row, t->cfg.sketch_key), t->over[k].key);
        } else {
            s->lost++;
        }
    }
    t->over_count = 0;
}

/* An access of a source for which the table has no room: everything is counted, but what is
 * kept per source (its own count, its hours, its pings) is not. */
void
tally_overflow(struct bh_tally *t, const struct bh_batch *b, uint32_t row, uint64_t hash,
               uint32_t cell, struct hour *h, uint64_t weight)
{
    const unsigned place = cell >> 17;
    const int64_t ts = b->ts_ns[row];
    struct place_sum *sum = &t->place[place];
    sum->accesses += weight;
    sum->first_ns = ts < sum->first_ns ? ts : sum->first_ns;
    sum->last_ns = ts > sum->last_ns ? ts : sum->last_ns;
    if (tally_pair(t, row, pair_hash_over(hash), PAIR_KEY_PLACE(place))) {
        sum->sources++;
        h->sources++; /* distinct within the report, a lower bound within the hour */
        h->day_sources++;
        h->week_sources++;
    }
    if (b->kind[row] == BH_KIND_IP4) {
        const uint32_t net = b->src[row] >> 8;
        atomic_fetch_or_explicit(&t->cells->net_bits[net >> 6], 1ULL << (net & 63),
                                 memory_order_relaxed);
    }
    if (t->networks.cache != NULL) {
        networks_overflow(t, b, row, hash, place, weight);
    }
    if (t->cfg.list_sources) {
        tally_list(t, b, row, (uint16_t)place, weight);
    }
}

bool
tally_own_has(const struct bh_tally *t, uint64_t hash)
{
    for (uint32_t at = (uint32_t)(hash >> 32) & t->own_mask; t->own_set[at] != 0;
         at = (at + 1) & t->own_mask) {
        if (t->own_set[at] == hash) {
            return true;
        }
    }
    return false;
}

/* ---- the sources of --country / --port ---------------------------------------------------------- */

#define LISTED_MAX (1U << 20)

static uint64_t
ip_hash(const struct bh_ip *ip, uint64_t key)
{
    return bh_mix64(bh_get_be64(ip->octets) ^ key, bh_get_be64(ip->octets + 8) ^ ip->family);
}

static struct listed *
listed_slot(struct listed *table, uint32_t mask, const struct bh_ip *ip, uint64_t key)
{
    uint32_t at = (uint32_t)ip_hash(ip, key) & mask;
    while (table[at].used && bh_ip_cmp(&table[at].ip, ip) != 0) {
        at = (at + 1) & mask;
    }
    return &table[at];
}

static bool
listed_room(struct bh_tally *t)
{
    if (t->listed != NULL && t->listed_used < t->listed_mask / 4 * 3) {
        return true;
    }
    uint32_t slots = t->listed == NULL ? 1024 : (t->listed_mask + 1) * 2;
    if (slots > LISTED_MAX) {
        return t->listed_used < t->listed_mask / 8 * 7;
    }
    struct listed *table = calloc(slots, sizeof *table);
    if (table == NULL) {
        return false;
    }
    for (uint32_t i = 0; t->listed != NULL && i <= t->listed_mask; i++) {
        if (t->listed[i].used) {
            *listed_slot(table, slots - 1, &t->listed[i].ip, t->cfg.key) = t->listed[i];
        }
    }
    free(t->listed);
    t->listed = table;
    t->listed_mask = slots - 1;
    return true;
}

/* True when (source, port) is new: a set of hashes, growing up to 2^22. */
static bool
listed_pair(struct bh_tally *t, uint64_t hash)
{
    hash |= 1;
    if (t->listed_pairs == NULL || t->listed_pairs_used >= t->listed_pairs_mask / 4 * 3) {
        uint32_t slots = t->listed_pairs == NULL ? 4096 : (t->listed_pairs_mask + 1) * 2;
        uint64_t *set = slots > 1U << 22 ? NULL : calloc(slots, sizeof *set);
        if (set == NULL) {
            return false;
        }
        for (uint32_t i = 0; t->listed_pairs != NULL && i <= t->listed_pairs_mask; i++) {
            uint64_t v = t->listed_pairs[i];
            if (v != 0) {
                uint32_t at = (uint32_t)(v >> 32) & (slots - 1);
                while (set[at] != 0) {
                    at = (at + 1) & (slots - 1);
                }
                set[at] = v;
            }
        }
        free(t->listed_pairs);
        t->listed_pairs = set;
        t->listed_pairs_mask = slots - 1;
    }
    uint32_t at = (uint32_t)(hash >> 32) & t->listed_pairs_mask;
    while (t->listed_pairs[at] != 0) {
        if (t->listed_pairs[at] == hash) {
            return false;
        }
        at = (at + 1) & t->listed_pairs_mask;
    }
    t->listed_pairs[at] = hash;
    t->listed_pairs_used++;
    return true;
}

const char *
tally_country(const struct bh_tally *t, const struct bh_batch *b, uint32_t row, unsigned place)
{
    const struct bh_places *p = t->cfg.places;
    if (!p->by_region) {
        return p->place[place].code;
    }
    if (t->cfg.day_count > 0) {
        return tally_days_country(t, b, row);
    }
    const struct bh_ip6_pair *v6 = &b->ip6[b->kind[row] == BH_KIND_IP6 ? b->src[row] : 0];
    uint16_t value = b->kind[row] == BH_KIND_IP6
                         ? kobold_v6(t->cfg.countries, v6->src_hi, v6->src_lo)
                         : kobold_v4(t->cfg.countries, b->src[row]);
    return p->code_of_value[value & 1023];
}

void
tally_list(struct bh_tally *t, const struct bh_batch *b, uint32_t row, uint16_t place,
           uint64_t weight)
{
    const char *code = tally_country(t, b, row, place);
    const unsigned port = b->ports[row] & 0xffff;
    if ((t->cfg.list_country[0] != '\0' && strcmp(code, t->cfg.list_country) != 0) ||
        (t->cfg.list_port >= 0 && (unsigned)t->cfg.list_port != port) ||
        (t->cfg.list_proto >= 0 && (unsigned)t->cfg.list_proto != b->proto[row])) {
        return;
    }
    if (!listed_room(t)) {
        t->sources_over++;
        return;
    }
    struct bh_ip ip = bh_batch_src(b, row);
    struct listed *l = listed_slot(t->listed, t->listed_mask, &ip, t->cfg.key);
    if (!l->used) {
        *l = (struct listed){ .ip = ip,
                              .place = place,
                              .first_ns = b->ts_ns[row],
                              .last_ns = b->ts_ns[row],
                              .used = true };
        snprintf(l->code, sizeof l->code, "%s", code);
        t->listed_used++;
    }
    l->count += weight;
    l->first_ns = b->ts_ns[row] < l->first_ns ? b->ts_ns[row] : l->first_ns;
    l->last_ns = b->ts_ns[row] > l->last_ns ? b->ts_ns[row] : l->last_ns;
    l->mac = b->want & BH_WANT_COLD ? b->src_mac[row] : 0;
    l->ports +=
        listed_pair(t, bh_mix64(ip_hash(&ip, t->cfg.key), (uint64_t)b->proto[row] << 16 | port));
}

/* ---- bursts ------------------------------------------------------------------------------- */

/* The largest come first; of equal ones the earlier, then the lower address. */
int
burst_cmp(const void *a, const void *b)
{
    const struct bh_trend_burst *x = a, *y = b;
    if (x->count != y->count) {
        return x->count > y->count ? -1 : 1;
    }
    return x->hour_ns != y->hour_ns ? (x->hour_ns < y->hour_ns ? -1 : 1)
                                    : bh_ip_cmp(&x->ip, &y->ip);
}

/* There is room for some: they are the first by burst_cmp(), in whatever order they come. */
void
tally_burst_keep(struct bh_tally *t, const struct bh_trend_burst *x)
{
    size_t at = t->burst_count;
    if (at < BH_COUNT(t->bursts)) {
        t->burst_count++;
    } else {
        at = 0;
        for (size_t k = 1; k < t->burst_count; k++) {
            at = burst_cmp(&t->bursts[k], &t->bursts[at]) > 0 ? k : at;
        }
        if (burst_cmp(x, &t->bursts[at]) >= 0) {
            return;
        }
    }
    t->bursts[at] = *x;
}

void
tally_burst(struct bh_tally *t, struct bh_ip ip, const struct source *s, uint32_t key)
{
    struct bh_trend_burst x = { .ip = ip,
                                .port = (uint16_t)key,
                                .count = s->hour_count,
                                .proto = key >> 16 != 0 ? BH_PROTO_UDP : BH_PROTO_TCP,
                                .hour_ns = bins_hour_start_ns(s->hour) };
    memcpy(x.code, t->cfg.places->place[s->place].code, sizeof x.code);
    tally_burst_keep(t, &x);
}
