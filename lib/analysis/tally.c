/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tally: stages over one batch, each a loop over small arrays; the loop before a table is
 * touched asks for its lines (docs/design/tally.md counts them).
 *
 *   select   period and filter                             -> counted[]
 *   sources  one line per inbound packet's source          -> country[], the list of accesses
 *   counts   two lines per access to a port that is not frequent: its cell, its pair
 *   frames   sums over columns
 */
#include "tally_priv.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>

/* ---- select --------------------------------------------------------------------------------- */

static void
select_rows(struct bh_tally *t, struct bh_batch *b)
{
    const int64_t start = t->cfg.period.start_ns, end = t->cfg.period.end_ns;
    const uint32_t n = b->rows;
    uint8_t *restrict counted = b->counted;
    const int64_t *restrict ts = b->ts_ns;
    if (start == INT64_MIN && end == INT64_MAX) {
        memset(counted, 1, n);
    } else {
        for (uint32_t i = 0; i < n; i++) {
            counted[i] = (uint8_t)((ts[i] >= start) & (ts[i] < end));
        }
    }
    if (BH_UNLIKELY(t->cfg.day_count > 0)) {
        tally_days_filter(t, b);
    } else {
        t->filter_unknown += bh_filter_narrow(t->cfg.filter, b);
    }
}

/* What nearly all batches are, so that loops over their rows need not ask. Any int64 may be a time:
 * that no difference wraps is sure when no time is below zero. */
static void
look_over(struct bh_tally *t, const struct bh_batch *b)
{
    const uint32_t n = b->rows;
    uint8_t odd = 0, left_out = 0;
    uint64_t signs = n > 0 ? (uint64_t)b->ts_ns[0] : 0;
    for (uint32_t i = 0; i < n; i++) {
        odd |= b->marks[i] | b->reason[i];
        left_out |= b->counted[i] == 0;
    }
    for (uint32_t i = 1; i < n; i++) {
        signs |= (uint64_t)b->ts_ns[i] | ((uint64_t)b->ts_ns[i] - (uint64_t)b->ts_ns[i - 1]);
    }
    t->batch_odd = odd;
    t->batch_is_counted = left_out == 0;
    t->batch_is_ordered = signs >> 63 == 0;
}

/* What a record stands for: one, but for flows of an import. */
static BH_ALWAYS_INLINE uint64_t
weight_of(const struct bh_batch *b, uint32_t i, bool weighted)
{
    return weighted ? b->weight[i] : 1;
}

/* ---- sources ---------------------------------------------------------------------------------- */

/* Is this access offered to whoever asks? Then it is a visit. */
static BH_NOINLINE bool
is_visit(struct bh_tally *t, struct bh_batch *b, uint32_t i, uint32_t key, unsigned place,
         uint64_t hash, uint64_t weight)
{
    if ((t->served[key >> 3] >> (key & 7) & 1) == 0) {
        return false;
    }
    for (size_t k = 0; k < t->cfg.served_count; k++) {
        const struct bh_served *s = &t->cfg.served[k];
        if (s->port != (key & 0xffff) || (s->proto != BH_PROTO_TCP) != (key >> 16)) {
            continue;
        }
        const struct bh_ip ip = bh_batch_src(b, i);
        if (bh_served_offers(s, tally_country(t, b, i, place), t->cfg.home_country, &ip)) {
            t->visit_count[k] += weight;
            b->counted[i] = BH_COUNTED_VISIT;
            /* Distinct visitors of a served port: few enough for the set of pairs. */
            t->visit_sources[k] +=
                tally_pair(t, i, bh_mix64(hash, 0x2000000000ULL + k), PAIR_KEY_VISIT(k));
            return true;
        }
    }
    return false;
}

/* What the loop over accesses keeps in registers; put back once per batch. */
struct stage {
    struct bh_tally *t;
    struct bh_batch *b;
    struct hour *h;
    int64_t hour_start_ns;
    uint64_t hour_len_ns; /* 0: no hour yet */
    uint32_t *trend_row;
    uint32_t day_first, day_len, week_first, week_len, id; /* of the hour */
    /* accesses in an hour from which a source that comes into another is looked at */
    uint32_t look_from;
    uint64_t *watched;    /* within a day after a silence: its count of sources that are back */
    uint32_t before_hour; /* the last hour before it */
    uint64_t visits, pings, knocks, udp;
    uint64_t knocks_before;                      /* this hour */
    uint32_t sources, day_sources, week_sources; /* new in this hour */
    uint32_t listed, rare;
};

static BH_ALWAYS_INLINE void
stage_begin(struct stage *g, struct bh_tally *t, struct bh_batch *b)
{
    *g = (struct stage){ .t = t, .b = b };
}

/* Any int64 may be a time: differences are taken without a sign. */
static BH_ALWAYS_INLINE bool
stage_is_in_hour(const struct stage *g, int64_t ts)
{
    return (uint64_t)ts - (uint64_t)g->hour_start_ns < g->hour_len_ns;
}

static void
watch_silence(struct stage *g, int64_t ts)
{
    const struct bh_silences *s = g->t->cfg.silences;
    uint32_t n = s == NULL ? 0 : atomic_load_explicit(&s->count, memory_order_acquire);
    g->watched = NULL;
    for (uint32_t k = 0; k < n && k < BH_GAPS_MAX; k++) {
        int64_t end = s->silence[k].end_ns;
        if (ts >= end && (uint64_t)ts - (uint64_t)end <= 86400000000000ULL) {
            g->watched = &g->t->gap_regular[k];
            g->before_hour = bins_hour_id(s->silence[k].start_ns);
        }
    }
}

static void
stage_leave_hour(struct stage *g)
{
    if (g->h == NULL) {
        return;
    }
    g->h->count += g->t->is_wide ? 0 : g->knocks - g->knocks_before;
    g->h->sources += g->sources;
    g->h->day_sources += g->day_sources;
    g->h->week_sources += g->week_sources;
    g->knocks_before = g->knocks;
    g->sources = g->day_sources = g->week_sources = 0;
}

static BH_NOINLINE void
stage_hour(struct stage *g, int64_t ts)
{
    stage_leave_hour(g);
    g->h = bins_at(&g->t->bins, ts);
    g->hour_start_ns = g->t->bins.current_start_ns;
    g->hour_len_ns = (uint64_t)g->t->bins.current_end_ns - (uint64_t)g->hour_start_ns;
    g->trend_row = g->t->is_wide ? g->t->trend_unused : g->t->bins.trend_row;
    g->id = g->h->id;
    g->day_first = g->h->day_first;
    g->day_len = g->h->day_next - g->h->day_first;
    g->week_first = g->h->week_first;
    g->week_len = g->h->week_next - g->h->week_first;
    watch_silence(g, ts);
    g->look_from = g->watched != NULL ? 0 : BURST_LEAST;
}

static void
stage_end(struct stage *g)
{
    stage_leave_hour(g);
    g->t->accesses += g->knocks + g->visits;
    g->t->visits += g->visits;
    g->t->pings += g->pings;
    g->t->access_count = g->listed;
    g->t->rare_count = g->t->cfg.rolled ? 0 : g->rare; /* then they are in the log */
    g->t->udp_accesses += g->udp;
    g->t->tcp_accesses += g->knocks - g->udp;
}

/* The first knock of a source, or its first after a ping. */
static BH_NOINLINE void
source_knocks(struct bh_tally *t, uint32_t row, struct source *s, uint64_t hash)
{
    if (BH_UNLIKELY((s->flags & SRC_MOVED) != 0)) {
        const bool is_new =
            tally_pair(t, row, pair_hash_place(hash, s->place), PAIR_KEY_PLACE(s->place));
        t->place[s->place].sources += is_new;
        t->sources_again += is_new && (s->flags & SRC_KNOCKED) != 0;
        s->flags = (uint16_t)(s->flags & ~SRC_MOVED);
    } else {
        t->place[s->place].sources += (s->flags & SRC_KNOCKED) == 0;
    }
    if ((s->flags & (SRC_PINGED | SRC_PING_FIRST)) == SRC_PINGED) {
        t->ping_first++;
        s->flags |= SRC_PING_FIRST;
    }
    s->flags |= SRC_KNOCKED | SRC_SETTLED;
}

/* A source that comes into another hour, and whose last one has something to tell. */
static BH_NOINLINE void
look_at_hour(struct stage *g, uint32_t i, const struct source *s, uint32_t hour_key)
{
    if (s->hour_count >= BURST_LEAST) {
        tally_burst(g->t, bh_batch_src(g->b, i), s, hour_key);
    }
    /* There in the day before the silence, and back: it was there all the time. */
    if (g->watched != NULL && g->before_hour - s->hour <= 24 * HOUR_STEP) {
        ++*g->watched;
    }
}

static BH_ALWAYS_INLINE uint32_t
plus(uint32_t sum, uint64_t weight, bool weighted)
{
    return weighted ? add_up_to_max(sum, weight) : sum + (uint32_t)weight;
}

static BH_ALWAYS_INLINE void
access_one(struct stage *g, uint32_t i, struct source *s, uint32_t *hour_key, uint64_t hash,
           bool weighted)
{
    struct bh_tally *t = g->t;
    struct bh_batch *b = g->b;
    const unsigned place = s->place;
    const uint32_t key = (uint32_t)(b->proto[i] != BH_PROTO_TCP) << 16 | (b->ports[i] & 0xffff);
    const int64_t ts = b->ts_ns[i];
    const uint64_t weight = weight_of(b, i, weighted);
    if (BH_UNLIKELY(t->has_served) && is_visit(t, b, i, key, place, hash, weight)) {
        g->visits += weight;
        s->flags |= SRC_VISITED;
        return;
    }
    if (BH_UNLIKELY(!stage_is_in_hour(g, ts))) {
        stage_hour(g, ts);
    }
    /* The distinct counts of hour, day and week, without a branch: which sources come back in an hour is
     * anybody's guess. This hour is inside its day and week, "never" outside all of them. */
    const uint32_t was = s->hour;
    const bool is_new = was != g->id;
    if (BH_UNLIKELY(s->hour_count >= g->look_from) && is_new) {
        look_at_hour(g, i, s, *hour_key);
    }
    g->sources += is_new;
    g->day_sources += was - g->day_first >= g->day_len;
    g->week_sources += was - g->week_first >= g->week_len;
    s->hour = g->id;
    *hour_key = is_new ? key : *hour_key;
    s->hour_count = plus(is_new ? 0 : s->hour_count, *hour_key == key ? weight : 0, weighted);
    if (BH_UNLIKELY((s->flags & SRC_SETTLED) == 0)) {
        source_knocks(t, i, s, hash);
    }
    s->count = plus(s->count, weight, weighted);
    g->trend_row[place] = plus(g->trend_row[place], weight, weighted);
    struct place_sum *sum = &t->place[place];
    if (BH_UNLIKELY(ts < sum->first_ns)) {
        sum->first_ns = ts;
    }
    sum->last_ns = ts > sum->last_ns ? ts : sum->last_ns;
    if (BH_UNLIKELY(t->cfg.hold)) {
        t->access_row[g->listed++] = (uint16_t)i;
    }
    g->knocks += weight;
    g->udp += (key >> 16) * weight;
    const unsigned bit = frequent_bit(&t->frequent, key);
    s->ports |= 1ULL << bit; /* bit 0 says nothing */
    if (weighted) {
        sum->accesses += weight;
        cell_add(t->cells, place << 17 | key, weight, 0); /* imports: nobody else counts */
    } else {
        t->at_frequent[place][bit]++;
    }
    t->rare_hash[g->rare] = hash;
    t->rare_cell[g->rare] = place << 17 | key;
    t->rare_row[g->rare] = (uint16_t)i;
    g->rare += bit == 0;
    if (BH_UNLIKELY(t->cfg.list_sources)) {
        tally_list(t, b, i, (uint16_t)place, weight);
    }
    if (BH_UNLIKELY(t->cfg.rolled)) {
        tally_log(t, s, key << 3 | (key >> 16 == 0 ? b->outcome[i] : 0U), ts);
    }
}

static BH_ALWAYS_INLINE void
ping_one(struct stage *g, uint32_t i, struct source *s, uint64_t weight)
{
    if (BH_UNLIKELY(g->t->cfg.rolled)) {
        tally_log(g->t, s, LOG_PING, g->b->ts_ns[i]);
    }
    g->pings += weight;
    g->t->ping_sources += (s->flags & SRC_PINGED) == 0;
    s->flags |= SRC_PINGED;
    if ((s->flags & SRC_PING_FIRST) == 0) {
        s->flags = (uint16_t)(s->flags & ~SRC_SETTLED);
    }
}

static inline unsigned
place_of_value(const struct bh_tally *t, uint16_t value)
{
    return t->cfg.places->of_value[value & 1023];
}

/* The table is full and does not know this source. */
static BH_NOINLINE void
overflow_row(struct stage *g, uint32_t i, unsigned place, uint64_t hash)
{
    struct bh_tally *t = g->t;
    struct bh_batch *b = g->b;
    const uint64_t weight = weight_of(b, i, b->has_weight);
    b->country[i] = (uint16_t)place;
    uint32_t key = (uint32_t)(b->proto[i] != BH_PROTO_TCP) << 16 | (b->ports[i] & 0xffff);
    t->sources_over++;
    if (b->cls[i] == BH_CLASS_ICMP_ECHO_REQUEST) {
        g->pings += weight;
    } else if (b->cls[i] == BH_CLASS_ACCESS) {
        if (t->has_served && is_visit(t, b, i, key, place, hash, weight)) {
            g->visits += weight;
            return;
        }
        if (!stage_is_in_hour(g, b->ts_ns[i])) {
            stage_hour(g, b->ts_ns[i]);
        }
        g->knocks += weight;
        g->udp += (key >> 16) * weight;
        g->trend_row[place] = add_up_to_max(g->trend_row[place], weight);
        tally_overflow(t, b, i, hash, place << 17 | key, g->h, weight);
        t->access_row[g->listed++] = (uint16_t)i;
        if (b->has_weight) {
            cell_add(t->cells, place << 17 | key, weight, 0);
        }
        t->rare_hash[g->rare] = hash;
        t->rare_cell[g->rare] = place << 17 | key;
        t->rare_row[g->rare++] = (uint16_t)i;
    }
}

/* Addresses of our own side and of traffic that passes by: few, and wanted only as a number. */
BH_NOINLINE void
tally_own_add(struct bh_tally *t, uint64_t hash, uint32_t slots_most)
{
    if (hash == t->own_last_hash) {
        return;
    }
    t->own_last_hash = hash;
    uint32_t at = (uint32_t)(hash >> 32) & t->own_mask;
    while (t->own_set[at] != 0) {
        if (t->own_set[at] == hash) {
            return;
        }
        at = (at + 1) & t->own_mask;
    }
    if (t->own_used >= t->own_mask / 4 * 3) {
        if (t->own_mask >= slots_most - 1) {
            return;
        }
        uint32_t mask = t->own_mask * 2 + 1;
        uint64_t *set = calloc(mask + 1UL, sizeof *set);
        if (set == NULL) {
            return;
        }
        for (uint32_t i = 0; i <= t->own_mask; i++) {
            if (t->own_set[i] != 0) {
                uint32_t k = (uint32_t)(t->own_set[i] >> 32) & mask;
                while (set[k] != 0) {
                    k = (k + 1) & mask;
                }
                set[k] = t->own_set[i];
            }
        }
        free(t->own_set);
        t->own_set = set;
        t->own_mask = mask;
        t->own_last_hash = 0;
        tally_own_add(t, hash, slots_most);
        return;
    }
    t->own_set[at] = hash;
    t->own_used++;
}

static void
own_row(struct bh_tally *t, const struct bh_batch *b, uint32_t i)
{
    if (b->kind[i] == BH_KIND_IP4) {
        tally_own_add(t, own_hash4(&t->sources, b->src[i]), OWN_MAX / t->cfg.shards);
    } else {
        const struct bh_ip6_pair *p = &b->ip6[b->src[i]];
        tally_own_add(t, own_hash6(&t->sources, p->src_hi, p->src_lo), OWN_MAX / t->cfg.shards);
    }
}

/* Rows of one family that came in, and what is known of them before the table is looked at. */
struct inbound {
    uint32_t count;
    uint16_t row[BH_BATCH_STRIDE];
    uint64_t hash[BH_BATCH_STRIDE];
    uint32_t new_count; /* of new sources: their country is asked for all at once */
    uint16_t new_at[BH_BATCH_STRIDE];
    uint16_t value[BH_BATCH_STRIDE];
};

static BH_ALWAYS_INLINE void
count_row(struct stage *g, uint32_t i, struct source *s, uint32_t *hour_key, uint64_t hash,
          bool weighted)
{
    g->b->country[i] = s->place;
    if (BH_LIKELY(g->b->cls[i] == BH_CLASS_ACCESS)) {
        access_one(g, i, s, hour_key, hash, weighted);
    } else if (g->b->cls[i] == BH_CLASS_ICMP_ECHO_REQUEST) {
        ping_one(g, i, s, weight_of(g->b, i, weighted));
    }
}

/* Out of a packet log: the country is that of the record. */
static void
new_values(const struct stage *g, struct inbound *in)
{
    for (uint32_t k = 0; g->b->has_country && k < in->new_count; k++) {
        in->value[k] = g->b->country[in->row[in->new_at[k]]];
    }
}

/* A source that is new in this batch, or for which there is no room. Each look-up of a country is a
 * chain of cold lines; side by side they overlap. */
static BH_NOINLINE void
new_sources4(struct stage *g, struct inbound *in)
{
    struct bh_tally *t = g->t;
    const bool is_full = t->sources.used4 >= t->sources.limit4;
    uint32_t addr[BH_BATCH_STRIDE];
    for (uint32_t k = 0; k < in->new_count; k++) {
        addr[k] = g->b->src[in->row[in->new_at[k]]];
        if (is_full) {
            pairs_prefetch(&t->pairs, pair_hash_over(in->hash[in->new_at[k]]));
        }
    }
    new_values(g, in);
    if (!g->b->has_country) {
        kobold_v4_many(t->cfg.countries, addr, in->value, in->new_count);
    }
    for (uint32_t k = 0; k < in->new_count; k++) {
        const uint32_t j = in->new_at[k], i = in->row[j];
        struct source4 *v = source4_get(&t->sources, addr[k], in->hash[j]);
        if (v == NULL) {
            overflow_row(g, i, place_of_value(t, in->value[k]), in->hash[j]);
            continue;
        }
        v->s.place = (uint16_t)place_of_value(t, in->value[k]);
        count_row(g, i, &v->s, &v->hour_key, in->hash[j], g->b->has_weight);
    }
}

static BH_NOINLINE void
new_sources6(struct stage *g, struct inbound *in)
{
    struct bh_tally *t = g->t;
    uint64_t addr[BH_BATCH_STRIDE][2];
    for (uint32_t k = 0; k < in->new_count; k++) {
        const struct bh_ip6_pair *p = &g->b->ip6[g->b->src[in->row[in->new_at[k]]]];
        addr[k][0] = p->src_hi;
        addr[k][1] = p->src_lo;
    }
    new_values(g, in);
    if (!g->b->has_country) {
        kobold_v6_many(t->cfg.countries, (const uint64_t(*)[2])addr, in->value, in->new_count);
    }
    for (uint32_t k = 0; k < in->new_count; k++) {
        const uint32_t j = in->new_at[k], i = in->row[j];
        struct source6 *v = source6_get(&t->sources, addr[k][0], addr[k][1], in->hash[j]);
        if (v == NULL) {
            overflow_row(g, i, place_of_value(t, in->value[k]), in->hash[j]);
            continue;
        }
        v->s.place = (uint16_t)place_of_value(t, in->value[k]);
        count_row(g, i, &v->s, &v->hour_key, in->hash[j], g->b->has_weight);
    }
}

/* Made twice: flows with weights must not slow down packets. */
static BH_ALWAYS_INLINE void
count_sources4(struct stage *g, struct inbound *in, bool weighted)
{
    struct sources *src = &g->t->sources;
    for (uint32_t j = 0; j < in->count; j++) {
        const uint32_t i = in->row[j];
        struct source4 *v = source4_get(src, g->b->src[i], in->hash[j]);
        if (BH_UNLIKELY(v == NULL || v->s.place == PLACE_NONE)) {
            in->new_at[in->new_count++] = (uint16_t)j;
            continue;
        }
        count_row(g, i, &v->s, &v->hour_key, in->hash[j], weighted);
    }
    if (in->new_count > 0) {
        new_sources4(g, in);
    }
}

static BH_ALWAYS_INLINE void
count_sources6(struct stage *g, struct inbound *in, bool weighted)
{
    struct sources *src = &g->t->sources;
    for (uint32_t j = 0; j < in->count; j++) {
        const uint32_t i = in->row[j];
        const struct bh_ip6_pair *p = &g->b->ip6[g->b->src[i]];
        struct source6 *v = source6_get(src, p->src_hi, p->src_lo, in->hash[j]);
        if (BH_UNLIKELY(v == NULL || v->s.place == PLACE_NONE)) {
            in->new_at[in->new_count++] = (uint16_t)j;
            continue;
        }
        count_row(g, i, &v->s, &v->hour_key, in->hash[j], weighted);
    }
    if (in->new_count > 0) {
        new_sources6(g, in);
    }
}

static BH_NOINLINE void
count_flows(struct stage *g, struct inbound *v4, struct inbound *v6)
{
    count_sources4(g, v4, true);
    count_sources6(g, v6, true);
}

/* Several databases: the place of each record by itself. */
static void
count_by_day(struct stage *g, struct inbound *in, bool is_v6)
{
    struct bh_tally *t = g->t;
    struct bh_batch *b = g->b;
    for (uint32_t j = 0; j < in->count; j++) {
        const uint32_t i = in->row[j];
        const uint64_t hash = in->hash[j];
        const struct bh_ip6_pair *p = &b->ip6[is_v6 ? b->src[i] : 0];
        struct source4 *v4 = is_v6 ? NULL : source4_get(&t->sources, b->src[i], hash);
        struct source6 *v6 = is_v6 ? source6_get(&t->sources, p->src_hi, p->src_lo, hash) : NULL;
        struct source *s = v4 != NULL ? &v4->s : v6 != NULL ? &v6->s : NULL;
        size_t day;
        const unsigned place = tally_days_place(t, b, i, &day);
        if (b->cls[i] == BH_CLASS_ACCESS) {
            t->day_accesses[day] += weight_of(b, i, b->has_weight);
        }
        if (s == NULL) {
            overflow_row(g, i, place, hash);
            continue;
        }
        if (s->place != place && s->place != PLACE_NONE) {
            if ((s->flags & SRC_KNOCKED) != 0) { /* it was counted there */
                tally_pair(t, i, pair_hash_place(hash, s->place), PAIR_KEY_PLACE(s->place));
            }
            s->flags = (uint16_t)((s->flags & ~SRC_SETTLED) | SRC_MOVED);
        }
        s->place = (uint16_t)place;
        count_row(g, i, s, v4 != NULL ? &v4->hour_key : &v6->hour_key, hash, b->has_weight);
    }
}

/* What a row of this kind and direction is to the sources: a bit each. */
enum { TO_V4 = 1, TO_V6 = 2, TO_OWN = 4 };
#define ROW_SORT(kind, direction) ((kind) << 3 | (direction))
static const uint8_t sort_of[64] = {
    [ROW_SORT(BH_KIND_IP4, BH_DIR_IN)] = TO_V4,
    [ROW_SORT(BH_KIND_IP6, BH_DIR_IN)] = TO_V6,
    [ROW_SORT(BH_KIND_IP4, BH_DIR_UNKNOWN)] = TO_OWN,
    [ROW_SORT(BH_KIND_IP6, BH_DIR_UNKNOWN)] = TO_OWN,
    [ROW_SORT(BH_KIND_IP4, BH_DIR_OUT)] = TO_OWN,
    [ROW_SORT(BH_KIND_IP6, BH_DIR_OUT)] = TO_OWN,
    [ROW_SORT(BH_KIND_IP4, BH_DIR_LOCAL)] = TO_OWN,
    [ROW_SORT(BH_KIND_IP6, BH_DIR_LOCAL)] = TO_OWN,
    [ROW_SORT(BH_KIND_IP4, BH_DIR_TRANSIT)] = TO_OWN,
    [ROW_SORT(BH_KIND_IP6, BH_DIR_TRANSIT)] = TO_OWN,
};

/* Rows that count, in three lists: each row is written to the end of all of them, and the one it
 * belongs to gets longer. Returns how many are in the third. */
static BH_ALWAYS_INLINE uint32_t
sort_rows(const struct bh_batch *b, bool all, struct inbound *v4, struct inbound *v6,
          uint16_t *restrict own)
{
    uint32_t n4 = 0, n6 = 0, n_own = 0;
    for (uint32_t i = 0, n = b->rows; i < n; i++) {
        unsigned sort = sort_of[ROW_SORT(b->kind[i] & 7, b->direction[i] & 7)];
        sort &= all || b->counted[i] != 0 ? UINT_MAX : 0;
        v4->row[n4] = v6->row[n6] = own[n_own] = (uint16_t)i;
        n4 += sort & TO_V4;
        n6 += sort / TO_V6 & 1;
        n_own += sort / TO_OWN;
    }
    v4->count = n4;
    v6->count = n6;
    v4->new_count = v6->new_count = 0;
    return n_own;
}

void
bh_tally_ask(const struct bh_tally *t, const struct bh_batch *b, uint32_t from)
{
    const struct sources *s = &t->sources;
    for (uint32_t i = from; i < b->rows; i++) {
        if (BH_LIKELY(b->kind[i] == BH_KIND_IP4)) {
            BH_PREFETCH_WRITE(&s->v4[(uint32_t)source4_hash(s, b->src[i]) & s->mask4]);
        } else if (b->kind[i] == BH_KIND_IP6) {
            const struct bh_ip6_pair *p = &b->ip6[b->src[i]];
            BH_PREFETCH_WRITE(&s->v6[(uint32_t)source6_hash(s, p->src_hi, p->src_lo) & s->mask6]);
        }
    }
}

void
bh_tally_sources(struct bh_tally *t, struct bh_batch *b)
{
    struct sources *src = &t->sources;
    struct inbound v4, v6;
    uint16_t own[BH_BATCH_STRIDE];
    struct stage g;
    stage_begin(&g, t, b);
    select_rows(t, b);
    look_over(t, b);
    const uint32_t n_own = t->batch_is_counted ? sort_rows(b, true, &v4, &v6, own)
                                               : sort_rows(b, false, &v4, &v6, own);
    for (uint32_t j = 0; j < n_own; j++) {
        own_row(t, b, own[j]);
    }
    sources_reserve(src, v4.count, v6.count);
    for (uint32_t j = 0; j < v4.count; j++) {
        v4.hash[j] = source4_hash(src, b->src[v4.row[j]]);
        BH_PREFETCH_WRITE(&src->v4[(uint32_t)v4.hash[j] & src->mask4]);
    }
    for (uint32_t j = 0; j < v6.count; j++) {
        const struct bh_ip6_pair *p = &b->ip6[b->src[v6.row[j]]];
        v6.hash[j] = source6_hash(src, p->src_hi, p->src_lo);
        BH_PREFETCH_WRITE(&src->v6[(uint32_t)v6.hash[j] & src->mask6]);
    }
    if (BH_UNLIKELY(t->cfg.day_count > 0)) {
        count_by_day(&g, &v4, false);
        count_by_day(&g, &v6, true);
    } else if (BH_UNLIKELY(b->has_weight)) {
        count_flows(&g, &v4, &v6);
    } else {
        count_sources4(&g, &v4, false);
        count_sources6(&g, &v6, false);
    }
    stage_end(&g);
    /* A pair is a source and a port; with several databases also the place, which may change. */
    const uint32_t pair_mask = t->cfg.day_count > 0 ? UINT32_MAX : 0x1ffff;
    for (uint32_t j = 0; j < t->rare_count; j++) {
        t->rare_hash[j] = bh_mix64(t->rare_hash[j], t->rare_cell[j] & pair_mask);
        cell_prefetch(t->cells, t->rare_cell[j]);
        pairs_prefetch(&t->pairs, t->rare_hash[j]);
    }
}

/* Counters of 32 bits: they are added to the cells long before they could be full. */
#define POUR_ROWS (1U << 31)

void
tally_pour_frequent(struct bh_tally *t)
{
    pthread_mutex_lock(&t->cells->lock);
    for (uint32_t place = 0; place < t->cfg.places->count; place++) {
        t->place[place].accesses += t->at_frequent[place][0];
        t->at_frequent[place][0] = 0;
        for (unsigned bit = 1; bit <= t->frequent.count; bit++) {
            if (t->at_frequent[place][bit] > 0) {
                t->place[place].accesses += t->at_frequent[place][bit];
                cell_add(t->cells, place << 17 | t->frequent.port[bit], t->at_frequent[place][bit],
                         0);
                t->at_frequent[place][bit] = 0;
            }
        }
    }
    pthread_mutex_unlock(&t->cells->lock);
    t->at_frequent_rows = 0;
}

/* ---- counts ---------------------------------------------------------------------------------------- */

void
bh_tally_two_sided(struct bh_tally *const *tallies, unsigned count)
{
    if (tallies[0]->two_sided) {
        return;
    }
    for (unsigned k = 0; k < count; k++) {
        tallies[k]->two_sided = true;
        tally_pour_frequent(tallies[k]);
    }
    cells_all_unknown(tallies[0]->cells);
}

static void
apply_moves(struct bh_tally *t, const struct bh_move *moves, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        uint32_t cell = (uint32_t)moves[k].country << 17 | moves[k].port;
        if (moves[k].from != BH_OUTCOME_NONE) {
            cell_outcome(t->cells, cell, moves[k].from, -(int64_t)moves[k].n);
        }
        if (moves[k].to != BH_OUTCOME_NONE) {
            cell_outcome(t->cells, cell, moves[k].to, moves[k].n);
        }
    }
}

/* With `hold` the verdict came with the record. */
static void
count_outcomes(struct bh_tally *t, const struct bh_batch *b)
{
    for (uint32_t j = 0; j < t->access_count; j++) {
        uint32_t i = t->access_row[j];
        unsigned o = b->outcome[i];
        if (b->proto[i] == BH_PROTO_TCP && o != BH_OUTCOME_NONE && o != BH_OUTCOME_SILENT) {
            cell_outcome(t->cells, cell_of(b->country[i], BH_PROTO_TCP, b->ports[i] & 0xffff), o,
                         (int64_t)weight_of(b, i, b->has_weight));
        }
    }
}

static void
count_wide(struct bh_tally *t, const struct bh_batch *b)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        if (!tally_is_wide_row(b, i)) {
            continue;
        }
        uint64_t n = tally_wide_unit(t, b, i);
        unsigned place = b->country[i];
        const int64_t ts = b->ts_ns[i];
        struct place_sum *sum = &t->place[place];
        t->place_count[place] += n;
        sum->first_ns = ts < sum->first_ns ? ts : sum->first_ns;
        sum->last_ns = ts > sum->last_ns ? ts : sum->last_ns;
        bins_at(&t->bins, ts)->count += n;
        t->bins.trend_row[place] = add_up_to_max(t->bins.trend_row[place], n);
        bool has_port = (b->proto[i] == BH_PROTO_TCP || b->proto[i] == BH_PROTO_UDP) &&
                        (b->marks[i] & BH_MARK_NO_PORTS) == 0;
        if (has_port) {
            digits_add_wide(&t->cells->wide, cell_of(place, b->proto[i], b->ports[i] & 0xffff), n);
        }
    }
}

/* What is not whole. */
static BH_NOINLINE void
count_marks(struct bh_tally *t, const struct bh_batch *b)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        if (b->counted[i] != 0) {
            t->cut_headers += (b->marks[i] & BH_MARK_TRUNCATED) != 0;
            t->bad_time += (b->marks[i] & BH_MARK_BAD_TIME) != 0;
            t->duplicates += (b->marks[i] & BH_MARK_DUPLICATE) != 0;
            t->malformed[b->reason[i] < BH_REASON_COUNT ? b->reason[i] : 0] += b->reason[i] != 0;
        }
    }
}

/* Which part of dst_ports a protocol has; what has no port falls into one that nobody reads. */
static const uint8_t port_part[256] = { [BH_PROTO_TCP] = PORTS_TCP, [BH_PROTO_UDP] = PORTS_UDP };

/* Tunnels: what is counted of the frame is not what its columns say. */
static BH_NOINLINE void
count_seen(struct bh_tally *t, const struct bh_batch *b)
{
    for (uint32_t k = 0; k < b->seen_rows; k++) {
        const struct bh_seen *s = &b->seen[k];
        if (b->counted[s->row] == 0) {
            continue;
        }
        if (s->port_proto != 0) {
            t->dst_ports[port_part[s->port_proto] << 13 | s->port >> 3] |=
                (uint8_t)(1U << (s->port & 7));
        }
        if (s->has_src4) {
            tally_own_add(t, own_hash4(&t->sources, s->src4), OWN_MAX / t->cfg.shards);
        }
        if (s->has_src6) {
            tally_own_add(t, own_hash6(&t->sources, s->src6_hi, s->src6_lo),
                          OWN_MAX / t->cfg.shards);
        }
    }
}

static BH_ALWAYS_INLINE void
port_seen(struct bh_tally *t, const struct bh_batch *b, uint32_t i, unsigned part)
{
    const unsigned port = b->ports[i] & 0xffff;
    t->dst_ports[part << 13 | port >> 3] |= (uint8_t)(1U << (port & 7));
}

/* Every record in the period and of the filter; or with weights. */
static BH_NOINLINE void
count_some_rows(struct bh_tally *t, const struct bh_batch *b)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        const uint64_t c = b->counted[i] != 0, w = c * weight_of(b, i, b->has_weight);
        const bool is_ip = b->kind[i] >= BH_KIND_IP4;
        const bool has_port =
            c != 0 && (b->marks[i] & BH_MARK_NO_PORTS) == 0 && (b->layers[i] & BH_LAYER_SEEN) == 0;
        t->histograms[0].classes[b->cls[i]] += w;
        t->histograms[0].layers[layers_index(b->layers[i])] += c; /* frames: a row is one */
        t->packets += is_ip * w;
        t->inbound += (is_ip & (b->direction[i] == BH_DIR_IN)) * w;
        t->outbound += (is_ip & (b->direction[i] == BH_DIR_OUT)) * w;
        port_seen(t, b, i, has_port ? port_part[b->proto[i]] : PORTS_NONE);
    }
}

static BH_ALWAYS_INLINE void
count_row_plain(struct bh_tally *t, const struct bh_batch *b, uint32_t i, struct histograms *h)
{
    h->classes[b->cls[i]]++;
    h->layers[layers_index(b->layers[i])]++;
    port_seen(t, b, i, port_part[b->proto[i]]);
}

/* All count, and none has a mark. Two histograms in turn: the same value comes often in a row, and an
 * addition should not wait for the one before. */
static void
count_plain_rows(struct bh_tally *t, const struct bh_batch *b)
{
    const uint32_t n = b->rows;
    uint32_t i = 0;
    for (; i + 2 <= n; i += 2) {
        count_row_plain(t, b, i, &t->histograms[0]);
        count_row_plain(t, b, i + 1, &t->histograms[1]);
    }
    if (i < n) {
        count_row_plain(t, b, i, &t->histograms[0]);
    }
    for (uint32_t at = 0; at < n; at += 128) { /* sums of octets, as vectors are of many then */
        const uint32_t end = n - at < 128 ? n : at + 128;
        uint8_t ip = 0, in = 0, out = 0;
        for (uint32_t k = at; k < end; k++) {
            const uint8_t is_ip = b->kind[k] >= BH_KIND_IP4;
            ip = (uint8_t)(ip + is_ip);
            in = (uint8_t)(in + (is_ip & (b->direction[k] == BH_DIR_IN)));
            out = (uint8_t)(out + (is_ip & (b->direction[k] == BH_DIR_OUT)));
        }
        t->packets += ip;
        t->inbound += in;
        t->outbound += out;
    }
}

static void
count_rows(struct bh_tally *t, const struct bh_batch *b)
{
    if (BH_LIKELY(t->batch_is_counted && t->batch_odd == 0 && b->seen_rows == 0 &&
                  !b->has_weight)) {
        count_plain_rows(t, b);
        return;
    }
    count_some_rows(t, b);
    if (b->seen_rows > 0) {
        count_seen(t, b);
    }
    if (t->batch_odd != 0) {
        count_marks(t, b);
    }
}

/* Frames in one hour. */
static void
count_hour(struct bh_tally *t, int64_t first, int64_t last, uint32_t frames)
{
    struct bins *s = &t->bins;
    if (first < s->current_start_ns || first >= s->current_end_ns) {
        bins_go(s, first);
    }
    struct hour *h = &s->hour[s->current];
    h->frames += frames;
    h->first_frame_ns = first < h->first_frame_ns ? first : h->first_frame_ns;
    h->last_frame_ns = last > h->last_frame_ns ? last : h->last_frame_ns;
}

static BH_NOINLINE void
count_hours_one_by_one(struct bh_tally *t, const struct bh_batch *b)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        const int64_t ts = b->ts_ns[i];
        if (b->counted[i] != 0 && (b->marks[i] & BH_MARK_BAD_TIME) == 0) {
            t->first_ns = ts < t->first_ns ? ts : t->first_ns;
            t->last_ns = ts > t->last_ns ? ts : t->last_ns;
            count_hour(t, ts, ts, 1);
        }
    }
}

/* Frames by hour, first and last time. Nearly always all rows count and time goes on: then those of an
 * hour lie side by side. */
static void
count_hours(struct bh_tally *t, const struct bh_batch *b)
{
    const uint32_t n = b->rows;
    if (BH_UNLIKELY(!t->batch_is_counted || !t->batch_is_ordered ||
                    (t->batch_odd & BH_MARK_BAD_TIME) != 0)) {
        count_hours_one_by_one(t, b);
        return;
    }
    for (uint32_t i = 0, next; i < n; i = next) {
        bins_at(&t->bins, b->ts_ns[i]);
        const int64_t end = t->bins.current_end_ns;
        next = b->ts_ns[n - 1] < end ? n : i + 1;
        while (next < n && b->ts_ns[next] < end) {
            next++;
        }
        count_hour(t, b->ts_ns[i], b->ts_ns[next - 1], next - i);
    }
    if (n > 0) {
        t->first_ns = b->ts_ns[0] < t->first_ns ? b->ts_ns[0] : t->first_ns;
        t->last_ns = b->ts_ns[n - 1] > t->last_ns ? b->ts_ns[n - 1] : t->last_ns;
    }
}

void
bh_tally_counts(struct bh_tally *t, const struct bh_batch *b, const struct bh_move *moves,
                size_t moves_count)
{
    for (uint32_t j = 0; j < t->rare_count; j++) {
        t->rare_new[j] = tally_pair(t, t->rare_row[j], t->rare_hash[j], t->rare_cell[j]);
    }
    pthread_mutex_lock(&t->cells->lock);
    apply_moves(t, moves, moves_count);
    if (BH_LIKELY(!b->has_weight)) {
        for (uint32_t j = 0; j < t->rare_count; j++) {
            cell_count(t->cells, t->rare_cell[j], t->rare_new[j]);
        }
    } else {
        for (uint32_t j = 0; j < t->rare_count; j++) {
            cell_add(t->cells, t->rare_cell[j], 0, t->rare_new[j]);
        }
    }
    if (t->cfg.hold && t->cfg.outcomes && !t->cfg.rolled) {
        count_outcomes(t, b);
    }
    if (t->is_wide) {
        count_wide(t, b);
    }
    if (BH_UNLIKELY(t->over_count > 0)) {
        tally_sketch(t, b);
    }
    pthread_mutex_unlock(&t->cells->lock);
    if (BH_UNLIKELY(t->networks.cache != NULL) && t->is_wide) {
        networks_count(t, b);
    }
    if (BH_UNLIKELY(t->sensors.sum != NULL)) {
        sensors_count(t, b);
    }
    t->at_frequent_rows += b->rows;
    if (BH_UNLIKELY(t->at_frequent_rows >= POUR_ROWS)) {
        tally_pour_frequent(t);
    }
    count_rows(t, b);
    count_hours(t, b);
}

/* What the histograms hold, as sums. */
void
tally_settle(struct bh_tally *t)
{
    tally_pour_frequent(t);
    for (unsigned k = 0; k < 2; k++) {
        const struct histograms *h = &t->histograms[k];
        for (unsigned c = 0; c < BH_CLASS_COUNT; c++) {
            t->classes[c] += h->classes[c];
        }
        for (unsigned i = 0; i < BH_COUNT(h->layers); i++) {
            for (unsigned l = 0; l < BH_LAYER_COUNT; l++) {
                t->layers[l] += (i >> l & 1) * h->layers[i];
            }
            t->cut_frames += (i >> BH_LAYER_COUNT & 1) * h->layers[i];
            t->frames += h->layers[i];
        }
    }
    memset(t->histograms, 0, sizeof t->histograms);
}

/* ---- life -------------------------------------------------------------------------------------------- */

static void
mark_served(struct bh_tally *t)
{
    for (size_t k = 0; k < t->cfg.served_count; k++) {
        uint32_t key =
            (uint32_t)(t->cfg.served[k].proto != BH_PROTO_TCP) << 16 | t->cfg.served[k].port;
        t->served[key >> 3] |= (uint8_t)(1U << (key & 7));
        t->has_served = true;
    }
}

static bool
frequent_fits(struct frequent *f, const uint32_t *ports, size_t count)
{
    memset(f->slot, 0, sizeof f->slot);
    for (uint32_t k = 0; k < count; k++) {
        uint32_t *slot = &f->slot[(ports[k] * f->factor) >> 22];
        if (*slot != 0) {
            return false;
        }
        *slot = ports[k] << 6 | (k + 1);
    }
    return true;
}

/* One factor in seven separates 63 ports. The same ports get the same bits in every shard. */
static void
mark_frequent(struct bh_tally *t)
{
    struct frequent *f = &t->frequent;
    size_t count = t->cfg.frequent_count < FREQUENT_MAX ? t->cfg.frequent_count : FREQUENT_MAX;
    unsigned tries = 0;
    do {
        if (tries++ % 1000 == 999) {
            count /= 2; /* never seen; any choice of ports is right */
        }
        f->factor = (uint32_t)bh_mix64(tries, 0x9e3779b97f4a7c15ULL) | 1;
    } while (!frequent_fits(f, t->cfg.frequent, count));
    f->count = (unsigned)count;
    for (size_t k = 0; k < count; k++) {
        f->port[k + 1] = t->cfg.frequent[k];
    }
}

int
bh_tally_new(const struct bh_tally_config *cfg, struct bh_tally **ret_tally)
{
    struct bh_tally *t = bh_pages_new(sizeof *t, false); /* pages that are not used cost nothing */
    if (t == NULL) {
        return -ENOMEM;
    }
    t->cfg = *cfg;
    t->two_sided = cfg->two_sided;
    t->is_wide = cfg->count == BH_COUNT_PACKETS || cfg->count == BH_COUNT_BYTES;
    t->first_ns = INT64_MAX;
    t->last_ns = INT64_MIN;
    for (unsigned p = 0; p < BH_PLACES_MAX; p++) {
        t->place[p].first_ns = INT64_MAX;
        t->place[p].last_ns = INT64_MIN;
    }
    mark_served(t);
    mark_frequent(t);
    const uint64_t expected = cfg->expected_frames;
    t->access_row = malloc(BH_BATCH_STRIDE * sizeof *t->access_row);
    t->rare_hash = malloc(BH_BATCH_STRIDE * sizeof *t->rare_hash);
    t->rare_cell = malloc(BH_BATCH_STRIDE * sizeof *t->rare_cell);
    t->rare_new = malloc(BH_BATCH_STRIDE * sizeof *t->rare_new);
    t->rare_row = malloc(BH_BATCH_STRIDE * sizeof *t->rare_row);
    t->over = malloc(OVER_MAX * sizeof *t->over);
    t->own_mask = 1023;
    t->own_set = calloc(t->own_mask + 1UL, sizeof *t->own_set);
    t->day_accesses = cfg->day_count > 0 ? calloc(cfg->day_count, sizeof *t->day_accesses) : NULL;
    bool ok = (cfg->day_count == 0 || t->day_accesses != NULL) && t->access_row != NULL &&
              t->rare_hash != NULL && t->rare_cell != NULL && t->rare_new != NULL &&
              t->rare_row != NULL && t->over != NULL && t->own_set != NULL;
    t->cells = cfg->first != NULL ? cfg->first->cells : NULL;
    ok = ok && (t->cells != NULL || cells_new(cfg->key, &t->cells) == 0);
    ok = ok && sources_init(&t->sources, expected, cfg->shards, cfg->key,
                            cfg->rolled ? SOURCES6_MAX_ROLLED : SOURCES6_MAX) == 0;
    ok = ok && pairs_init(&t->pairs, expected, cfg->shards, cfg->pairs_total) == 0;
    ok = ok && networks_init(&t->networks, cfg->systems) == 0;
    ok = ok && sensors_init(&t->sensors, cfg) == 0;
    ok = ok && bins_init(&t->bins) == 0;
    if (!ok) {
        bh_tally_free(t);
        return -ENOMEM;
    }
    if (cfg->rolled) { /* slots are numbers in the log: no table moves */
        sources_reserve(&t->sources, t->sources.limit4, t->sources.limit6);
    }
    if (cfg->start_ns != 0) {
        bins_go(&t->bins, cfg->start_ns); /* every shard's sparkline begins at the same hour */
    }
    *ret_tally = t;
    return 0;
}

void
bh_tally_free(struct bh_tally *t)
{
    if (t == NULL) {
        return;
    }
    bh_tally_free(t->more);
    if (t->cfg.first == NULL) {
        cells_free(t->cells);
    }
    sources_done(&t->sources);
    pairs_done(&t->pairs);
    bins_done(&t->bins);
    networks_done(&t->networks);
    sensors_done(&t->sensors);
    free(t->day_accesses);
    free(t->access_row);
    free(t->rare_hash);
    free(t->rare_cell);
    free(t->rare_new);
    free(t->rare_row);
    free(t->over);
    free(t->own_set);
    free(t->listed);
    free(t->listed_pairs);
    free(t->log);
    bh_pages_free(t, sizeof *t);
}
