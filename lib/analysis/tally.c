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
    t->filter_unknown += bh_filter_narrow(t->cfg.filter, b);
}

/* What a record stands for: one, but for flows of an import. */
static BH_ALWAYS_INLINE uint64_t
weight_of(const struct bh_batch *b, uint32_t i, bool weighted)
{
    return weighted ? b->weight[i] : 1;
}

/* ---- sources ---------------------------------------------------------------------------------- */

/* A source comes into another hour: the distinct counts of hour, day and week. */
static BH_ALWAYS_INLINE void
source_hour(struct source *s, uint32_t *hour_key, struct hour *h, uint32_t key, uint64_t weight)
{
    h->sources++;
    h->day_sources += s->hour - h->day_first >= h->day_next - h->day_first; /* also for "never" */
    h->week_sources += s->hour - h->week_first >= h->week_next - h->week_first;
    s->hour = h->id;
    s->hour_count = add_up_to_max(0, weight);
    *hour_key = key;
}

/* Is this access offered to whoever asks? Then it is a visit. */
static BH_NOINLINE bool
is_visit(struct bh_tally *t, struct bh_batch *b, uint32_t i, uint32_t key, unsigned place, uint64_t hash,
         uint64_t weight)
{
    if ((t->served[key >> 3] >> (key & 7) & 1) == 0) {
        return false;
    }
    for (size_t k = 0; k < t->cfg.served_count; k++) {
        const struct bh_served *s = &t->cfg.served[k];
        if (s->port != (key & 0xffff) || (s->proto != BH_PROTO_TCP) != (key >> 16)) {
            continue;
        }
        const char *code = tally_country(t, b, i, place);
        bool hit = s->to_all || (s->to_home_country && strcmp(code, t->cfg.home_country) == 0);
        for (size_t c = 0; c < s->code_count && !hit; c++) {
            hit = strcmp(code, s->codes[c]) == 0;
        }
        struct bh_ip ip = bh_batch_src(b, i);
        for (size_t c = 0; c < s->net_count && !hit; c++) {
            unsigned len = s->nets[c].prefix_len, whole = len / 8;
            const uint8_t *net = s->nets[c].ip.octets;
            hit = s->nets[c].ip.family == ip.family && memcmp(net, ip.octets, whole) == 0 &&
                  (len % 8 == 0 || ((net[whole] ^ ip.octets[whole]) >> (8 - len % 8)) == 0);
        }
        if (hit) {
            t->visit_count[k] += weight;
            b->counted[i] = BH_COUNTED_VISIT;
            /* Distinct visitors of a served port: few enough for the set of pairs. */
            t->visit_sources[k] += pairs_add(&t->pairs, bh_mix64(hash, 0x2000000000ULL + k), PAIR_KEY_VISIT(k));
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
    uint64_t *watched;    /* within a day after a silence: its count of sources that are back */
    uint32_t before_hour; /* the last hour before it */
    uint64_t hour_count, accesses, visits, pings, knocks, udp;
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

static BH_NOINLINE void
stage_hour(struct stage *g, int64_t ts)
{
    if (g->h != NULL && !g->t->is_wide) {
        g->h->count += g->hour_count;
    }
    g->h = bins_at(&g->t->bins, ts);
    g->hour_start_ns = g->t->bins.current_start_ns;
    g->hour_len_ns = (uint64_t)g->t->bins.current_end_ns - (uint64_t)g->hour_start_ns;
    g->trend_row = g->t->is_wide ? g->t->trend_unused : g->t->bins.trend_row;
    watch_silence(g, ts);
    g->hour_count = 0;
}

static void
stage_end(struct stage *g)
{
    if (g->h != NULL && !g->t->is_wide) {
        g->h->count += g->hour_count;
    }
    g->t->accesses += g->accesses;
    g->t->visits += g->visits;
    g->t->pings += g->pings;
    g->t->access_count = g->listed;
    g->t->rare_count = g->rare;
    g->t->udp_accesses += g->udp;
    g->t->tcp_accesses += g->knocks - g->udp;
}

/* The first knock of a source, or its first after a ping. */
static BH_NOINLINE void
source_knocks(struct bh_tally *t, struct source *s)
{
    t->place[s->place].sources += (s->flags & SRC_KNOCKED) == 0;
    if ((s->flags & (SRC_PINGED | SRC_PING_FIRST)) == SRC_PINGED) {
        t->ping_first++;
        s->flags |= SRC_PING_FIRST;
    }
    s->flags |= SRC_KNOCKED | SRC_SETTLED;
}

static BH_ALWAYS_INLINE uint32_t
plus(uint32_t sum, uint64_t weight, bool weighted)
{
    return weighted ? add_up_to_max(sum, weight) : sum + (uint32_t)weight;
}

static BH_ALWAYS_INLINE void
access_one(struct stage *g, uint32_t i, struct source *s, uint32_t *hour_key, uint64_t hash, bool weighted)
{
    struct bh_tally *t = g->t;
    struct bh_batch *b = g->b;
    const unsigned place = s->place;
    const uint32_t key = (uint32_t)(b->proto[i] != BH_PROTO_TCP) << 16 | (b->ports[i] & 0xffff);
    const int64_t ts = b->ts_ns[i];
    const uint64_t weight = weight_of(b, i, weighted);
    g->accesses += weight;
    if (BH_UNLIKELY(t->has_served) && is_visit(t, b, i, key, place, hash, weight)) {
        g->visits += weight;
        s->flags |= SRC_VISITED;
        return;
    }
    if (BH_UNLIKELY(!stage_is_in_hour(g, ts))) {
        stage_hour(g, ts);
    }
    if (s->hour != g->h->id) {
        if (BH_UNLIKELY(s->hour_count >= BURST_LEAST)) {
            struct bh_ip ip = bh_batch_src(b, i);
            tally_burst(t, ip, s, *hour_key);
        }
        /* There in the day before the silence, and back: it was there all the time. */
        if (BH_UNLIKELY(g->watched != NULL) && g->before_hour - s->hour <= 24 * HOUR_STEP) {
            ++*g->watched;
        }
        source_hour(s, hour_key, g->h, key, weight);
    } else {
        s->hour_count = plus(s->hour_count, *hour_key == key ? weight : 0, weighted);
    }
    if (BH_UNLIKELY((s->flags & SRC_SETTLED) == 0)) {
        source_knocks(t, s);
    }
    s->count = plus(s->count, weight, weighted);
    g->hour_count += weight;
    g->trend_row[place] = plus(g->trend_row[place], weight, weighted);
    struct place_sum *sum = &t->place[place];
    sum->accesses += weight;
    sum->first_ns = ts < sum->first_ns ? ts : sum->first_ns;
    sum->last_ns = ts > sum->last_ns ? ts : sum->last_ns;
    t->access_row[g->listed++] = (uint16_t)i;
    g->knocks += weight;
    g->udp += (key >> 16) * weight;
    const unsigned bit = frequent_bit(&t->frequent, key);
    s->ports |= (uint64_t)(bit != 0) << bit;
    if (weighted) {
        cell_add(&t->cells, place << 17 | key, weight, 0);
    } else {
        t->at_frequent[place][bit]++;
    }
    t->rare_hash[g->rare] = hash;
    t->rare_cell[g->rare] = place << 17 | key;
    g->rare += bit == 0;
    if (BH_UNLIKELY(t->cfg.list_sources)) {
        tally_list(t, b, i, (uint16_t)place, weight);
    }
}

static BH_ALWAYS_INLINE void
ping_one(struct stage *g, struct source *s, uint64_t weight)
{
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
overflow_row(struct stage *g, uint32_t i, uint16_t value, uint64_t hash)
{
    struct bh_tally *t = g->t;
    struct bh_batch *b = g->b;
    const uint64_t weight = weight_of(b, i, b->has_weight);
    unsigned place = place_of_value(t, value);
    b->country[i] = (uint16_t)place;
    uint32_t key = (uint32_t)(b->proto[i] != BH_PROTO_TCP) << 16 | (b->ports[i] & 0xffff);
    t->sources_over++;
    if (b->cls[i] == BH_CLASS_ICMP_ECHO_REQUEST) {
        g->pings += weight;
    } else if (b->cls[i] == BH_CLASS_ACCESS) {
        g->accesses += weight;
        if (t->has_served && is_visit(t, b, i, key, place, hash, weight)) {
            g->visits += weight;
            return;
        }
        if (!stage_is_in_hour(g, b->ts_ns[i])) {
            stage_hour(g, b->ts_ns[i]);
        }
        g->hour_count += weight;
        g->knocks += weight;
        g->udp += (key >> 16) * weight;
        g->trend_row[place] = add_up_to_max(g->trend_row[place], weight);
        tally_overflow(t, b, i, hash, place << 17 | key, g->h, weight);
        t->access_row[g->listed++] = (uint16_t)i;
        if (b->has_weight) {
            cell_add(&t->cells, place << 17 | key, weight, 0);
        }
        t->rare_hash[g->rare] = hash;
        t->rare_cell[g->rare++] = place << 17 | key;
    }
}

/* Addresses of our own side and of traffic that passes by: few, and wanted only as a number. */
BH_NOINLINE void
tally_own_add(struct bh_tally *t, uint64_t hash)
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
        if (t->own_mask >= (1U << 22) - 1) {
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
        tally_own_add(t, hash);
        return;
    }
    t->own_set[at] = hash;
    t->own_used++;
}

static void
own_row(struct bh_tally *t, const struct bh_batch *b, uint32_t i)
{
    if (b->kind[i] == BH_KIND_IP4) {
        tally_own_add(t, own_hash4(&t->sources, b->src[i]));
    } else {
        const struct bh_ip6_pair *p = &b->ip6[b->src[i]];
        tally_own_add(t, own_hash6(&t->sources, p->src_hi, p->src_lo));
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
count_row(struct stage *g, uint32_t i, struct source *s, uint32_t *hour_key, uint64_t hash, bool weighted)
{
    g->b->country[i] = s->place;
    if (BH_LIKELY(g->b->cls[i] == BH_CLASS_ACCESS)) {
        access_one(g, i, s, hour_key, hash, weighted);
    } else if (g->b->cls[i] == BH_CLASS_ICMP_ECHO_REQUEST) {
        ping_one(g, s, weight_of(g->b, i, weighted));
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
            overflow_row(g, i, in->value[k], in->hash[j]);
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
            overflow_row(g, i, in->value[k], in->hash[j]);
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

void
bh_tally_sources(struct bh_tally *t, struct bh_batch *b)
{
    struct sources *src = &t->sources;
    struct inbound v4, v6;
    v4.count = v6.count = v4.new_count = v6.new_count = 0;

    struct stage g;
    stage_begin(&g, t, b);
    select_rows(t, b);
    for (uint32_t i = 0; i < b->rows; i++) {
        unsigned in = (unsigned)(b->direction[i] == BH_DIR_IN) & b->counted[i];
        v4.row[v4.count] = (uint16_t)i;
        v4.count += in & (b->kind[i] == BH_KIND_IP4);
        v6.row[v6.count] = (uint16_t)i;
        v6.count += in & (b->kind[i] == BH_KIND_IP6);
        if (BH_UNLIKELY(!in) && b->kind[i] >= BH_KIND_IP4 && b->counted[i] != 0) {
            own_row(t, b, i);
        }
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
    if (BH_UNLIKELY(b->has_weight)) {
        count_flows(&g, &v4, &v6);
    } else {
        count_sources4(&g, &v4, false);
        count_sources6(&g, &v6, false);
    }
    stage_end(&g);
    for (uint32_t j = 0; j < t->rare_count; j++) {
        t->rare_hash[j] = bh_mix64(t->rare_hash[j], t->rare_cell[j] & 0x1ffff);
        cell_prefetch(&t->cells, t->rare_cell[j]);
        pairs_prefetch(&t->pairs, t->rare_hash[j]);
    }
}

/* Counters of 32 bits: they are added to the cells long before they could be full. */
#define POUR_ROWS (1U << 31)

void
tally_pour_frequent(struct bh_tally *t)
{
    for (uint32_t place = 0; place < t->cfg.places->count; place++) {
        for (unsigned bit = 1; bit <= t->frequent.count; bit++) {
            if (t->at_frequent[place][bit] > 0) {
                cell_add(&t->cells, place << 17 | t->frequent.port[bit], t->at_frequent[place][bit], 0);
                t->at_frequent[place][bit] = 0;
            }
        }
    }
    t->at_frequent_rows = 0;
}

/* ---- counts ---------------------------------------------------------------------------------------- */

void
bh_tally_two_sided(struct bh_tally *t)
{
    if (t->two_sided) {
        return;
    }
    t->two_sided = true;
    tally_pour_frequent(t);
    cells_all_unknown(&t->cells);
}

static void
apply_moves(struct bh_tally *t, const struct bh_move *moves, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        uint32_t cell = (uint32_t)moves[k].country << 17 | moves[k].port;
        if (moves[k].from != BH_OUTCOME_NONE) {
            cell_outcome(&t->cells, cell, moves[k].from, -(int64_t)moves[k].n);
        }
        if (moves[k].to != BH_OUTCOME_NONE) {
            cell_outcome(&t->cells, cell, moves[k].to, moves[k].n);
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
            cell_outcome(&t->cells, cell_of(b->country[i], BH_PROTO_TCP, b->ports[i] & 0xffff), o, (int64_t)weight_of(b, i, b->has_weight));
        }
    }
}

/* --count packets or bytes: every inbound IP packet that is no visit, with or without a port. */
static void
count_wide(struct bh_tally *t, const struct bh_batch *b)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        if (b->direction[i] != BH_DIR_IN || b->counted[i] != 1 || b->kind[i] < BH_KIND_IP4) {
            continue;
        }
        uint64_t n = weight_of(b, i, b->has_weight) * (t->cfg.count == BH_COUNT_BYTES ? b->ip_len[i] : 1);
        unsigned place = b->country[i];
        const int64_t ts = b->ts_ns[i];
        struct place_sum *sum = &t->place[place];
        t->place_count[place] += n;
        sum->first_ns = ts < sum->first_ns ? ts : sum->first_ns;
        sum->last_ns = ts > sum->last_ns ? ts : sum->last_ns;
        bins_at(&t->bins, ts)->count += n;
        t->bins.trend_row[place] = add_up_to_max(t->bins.trend_row[place], n);
        bool has_port = (b->proto[i] == BH_PROTO_TCP || b->proto[i] == BH_PROTO_UDP) && (b->marks[i] & BH_MARK_NO_PORTS) == 0;
        if (has_port) {
            map_add(&t->wide, cell_of(place, b->proto[i], b->ports[i] & 0xffff), n);
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
            t->dst_ports[(unsigned)(s->port_proto == BH_PROTO_UDP) << 13 | s->port >> 3] |= (uint8_t)(1U << (s->port & 7));
        }
        if (s->has_src4) {
            tally_own_add(t, own_hash4(&t->sources, s->src4));
        }
        if (s->has_src6) {
            tally_own_add(t, own_hash6(&t->sources, s->src6_hi, s->src6_lo));
        }
    }
}

/* Class, layers, direction of each record and ports seen, as histograms. Two of each in turn:
 * the same value comes often in a row, and an addition should not wait for the one before. */
static BH_ALWAYS_INLINE uint8_t
count_histograms(struct bh_tally *t, const struct bh_batch *b, bool weighted)
{
    uint8_t odd = 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        const uint32_t c = b->counted[i] != 0;
        struct histograms *h = &t->histograms[i & 1];
        h->classes[b->cls[i]] += c * weight_of(b, i, weighted);
        h->layers[layers_index(b->layers[i])] += c; /* frames: a row is one */
        h->directions[(b->kind[i] & 7) << 3 | (b->direction[i] & 7)] += c * weight_of(b, i, weighted);
        odd |= b->marks[i] | b->reason[i];
    }
    return odd;
}

static void
count_rows(struct bh_tally *t, const struct bh_batch *b)
{
    const uint32_t n = b->rows;
    const uint8_t odd = BH_UNLIKELY(b->has_weight) ? count_histograms(t, b, true) : count_histograms(t, b, false);
    for (uint32_t i = 0; i < n; i++) {
        const unsigned tcp = b->proto[i] == BH_PROTO_TCP, udp = b->proto[i] == BH_PROTO_UDP;
        const unsigned port = b->ports[i] & 0xffff;
        const unsigned has = (tcp | udp) & (unsigned)(b->counted[i] != 0) & (unsigned)((b->marks[i] & BH_MARK_NO_PORTS) == 0) &
                             (unsigned)((b->layers[i] & BH_LAYER_SEEN) == 0);
        t->dst_ports[udp << 13 | port >> 3] |= (uint8_t)(has << (port & 7));
    }
    if (BH_UNLIKELY(b->seen_rows > 0)) {
        count_seen(t, b);
    }
    if (BH_UNLIKELY(odd != 0)) {
        count_marks(t, b);
    }
}

/* One frame, in whatever hour. */
static BH_NOINLINE void
count_hour(struct bh_tally *t, int64_t ts)
{
    struct bins *s = &t->bins;
    if (ts < s->current_start_ns || ts >= s->current_end_ns) {
        bins_go(s, ts);
    }
    struct hour *h = &s->hour[s->current];
    h->frames++;
    h->first_frame_ns = ts < h->first_frame_ns ? ts : h->first_frame_ns;
    h->last_frame_ns = ts > h->last_frame_ns ? ts : h->last_frame_ns;
}

/* Frames by hour, first and last time: a batch lies mostly inside one hour. */
static void
count_hours(struct bh_tally *t, const struct bh_batch *b)
{
    int64_t first = INT64_MAX, last = INT64_MIN;
    uint32_t frames = 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        const bool use = (b->counted[i] != 0) & ((b->marks[i] & BH_MARK_BAD_TIME) == 0);
        const int64_t ts = b->ts_ns[i];
        first = (use & (ts < first)) != 0 ? ts : first;
        last = (use & (ts > last)) != 0 ? ts : last;
        frames += use;
    }
    if (frames == 0) {
        return;
    }
    t->first_ns = first < t->first_ns ? first : t->first_ns;
    t->last_ns = last > t->last_ns ? last : t->last_ns;
    struct bins *s = &t->bins;
    if (first >= s->current_start_ns && last < s->current_end_ns) {
        struct hour *h = &s->hour[s->current];
        h->frames += frames;
        h->first_frame_ns = first < h->first_frame_ns ? first : h->first_frame_ns;
        h->last_frame_ns = last > h->last_frame_ns ? last : h->last_frame_ns;
        return;
    }
    for (uint32_t i = 0; i < b->rows; i++) {
        if (b->counted[i] != 0 && (b->marks[i] & BH_MARK_BAD_TIME) == 0) {
            count_hour(t, b->ts_ns[i]);
        }
    }
}

void
bh_tally_counts(struct bh_tally *t, const struct bh_batch *b, const struct bh_move *moves, size_t moves_count)
{
    apply_moves(t, moves, moves_count);
    for (uint32_t j = 0; j < t->rare_count; j++) {
        if (BH_LIKELY(!b->has_weight)) {
            cell_count(&t->cells, t->rare_cell[j]);
        }
        if (pairs_add(&t->pairs, t->rare_hash[j], t->rare_cell[j])) {
            cell_source(&t->cells, t->rare_cell[j]);
        }
    }
    t->at_frequent_rows += b->rows;
    if (BH_UNLIKELY(t->at_frequent_rows >= POUR_ROWS)) {
        tally_pour_frequent(t);
    }
    if (t->cfg.hold && t->cfg.outcomes) {
        count_outcomes(t, b);
    }
    if (t->is_wide) {
        count_wide(t, b);
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
        for (unsigned i = 0; i < BH_COUNT(h->directions); i++) {
            uint64_t n = i >> 3 >= BH_KIND_IP4 ? h->directions[i] : 0;
            t->packets += n;
            t->inbound += (i & 7) == BH_DIR_IN ? n : 0;
            t->outbound += (i & 7) == BH_DIR_OUT ? n : 0;
        }
    }
    memset(t->histograms, 0, sizeof t->histograms);
}

/* ---- life -------------------------------------------------------------------------------------------- */

static void
mark_served(struct bh_tally *t)
{
    for (size_t k = 0; k < t->cfg.served_count; k++) {
        uint32_t key = (uint32_t)(t->cfg.served[k].proto != BH_PROTO_TCP) << 16 | t->cfg.served[k].port;
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
    t->own_mask = 1023;
    t->own_set = calloc(t->own_mask + 1UL, sizeof *t->own_set);
    bool ok = t->access_row != NULL && t->rare_hash != NULL && t->rare_cell != NULL &&
              t->own_set != NULL;
    ok = ok && cells_init(&t->cells) == 0;
    ok = ok && sources_init(&t->sources, expected, cfg->shards, cfg->key) == 0;
    ok = ok && pairs_init(&t->pairs, expected, cfg->shards, cfg->pairs_total) == 0;
    ok = ok && bins_init(&t->bins) == 0 && map_init(&t->wide, 1024) == 0;
    if (!ok) {
        bh_tally_free(t);
        return -ENOMEM;
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
    cells_done(&t->cells);
    sources_done(&t->sources);
    pairs_done(&t->pairs);
    bins_done(&t->bins);
    map_done(&t->wide);
    free(t->access_row);
    free(t->rare_hash);
    free(t->rare_cell);
    free(t->own_set);
    free(t->listed);
    free(t->listed_pairs);
    free(t->net_bits);
    bh_pages_free(t, sizeof *t);
}
