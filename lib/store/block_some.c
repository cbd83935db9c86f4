/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Some rows of an open block. Columns that say where other columns go on (steps of time, places of far ends,
 * which stream a row is in) are walked whole; all else is looked up for the rows that are wanted.
 *
 * Where a row stands in the columns of its stream is told by how many of it came before: four counters of 16
 * bits in one word, so that a row costs one addition; the fifth stream has the rest. A counter that overflows
 * is that of a stream that has all rows, and then the carry comes after the last of them.
 */
#include "sieve_priv.h"

#include <errno.h>
#include <stdlib.h>

void
some_free(struct block_some *s)
{
    if (s == NULL) {
        return;
    }
    free(s->at);
    free(s->ts_ns);
    free(s->far_hi);
    free(s->far_lo);
    free(s->group);
    free(s->entry);
    free(s->form);
    free(s->len);
    free(s->row);
    free(s->port);
    free(s->other);
    free(s->country);
    free(s->rank4);
    free(s->rank6);
    free(s->rank_near);
    free(s->all_entries);
    free(s);
}

struct block_some *
some_new(void)
{
    struct block_some *s = calloc(1, sizeof *s);
    bool ok = s != NULL;
#define MAKE(name) ok = ok && (s->name = malloc((BLOCK_ROWS + 16) * sizeof *s->name)) != NULL;
    MAKE(at)
    MAKE(ts_ns)
    MAKE(far_hi)
    MAKE(far_lo)
    MAKE(group)
    MAKE(entry)
    MAKE(form)
    MAKE(len)
    MAKE(row)
    MAKE(port)
    MAKE(other)
    MAKE(country)
    MAKE(rank4)
    MAKE(rank6)
    MAKE(rank_near)
    MAKE(all_entries)
#undef MAKE
    if (!ok) {
        some_free(s);
        return NULL;
    }
    return s;
}

/* ---- which rows ---------------------------------------------------------------------------------------- */

static inline unsigned
country_at(const struct block_rows *r, uint32_t i)
{
    return r->country[i] | (r->wide_country ? (unsigned)r->country_high[i] << 8 : 0);
}

/* ---- columns that are walked ------------------------------------------------------------------------------ */

static void
take_time(struct block_rows *r)
{
    static const int64_t units[4] = { 1, 1000, 1000000, 1000000000 };
    struct block_some *x = r->some;
    const uint64_t unit = (uint64_t)units[r->h->unit];
    struct code_bits_in bits = r->time_bits;
    uint64_t ts = (uint64_t)r->h->first_ns;
    for (uint32_t k = 0; r->no_times && k < x->count; k++) {
        x->ts_ns[k] = r->h->min_ns;
    }
    for (uint32_t i = 0, k = 0; !r->no_times && k < x->count; i++) {
        const unsigned symbol = r->time[i];
        const struct code_step *s = &code_steps[symbol];
        if (BH_LIKELY(symbol < CODE_STEP_BACK)) {
            ts += (s->base + code_bits_get(&bits, s->bits)) * unit;
        } else if (symbol == CODE_STEP_BACK) {
            ts -= code_bits_get(&bits, 32) * unit;
        } else {
            const uint64_t low = code_bits_get(&bits, 32);
            ts += low | (uint64_t)code_bits_get(&bits, 32) << 32;
        }
        x->ts_ns[k] = (int64_t)ts;
        k += x->row[k] == i;
    }
}

static inline uint32_t
entry_of(const struct dict *d, uint32_t group, uint32_t place)
{
    const struct far_group *g = &d->far_group[d->group_of[group] - 1];
    return g->first + (place < g->count ? place : 0);
}

/* The place that begins in `word`, as `how` of struct sieve.places tells it; returns how many bits it takes.
 * Without a branch: which of its two lengths it has is chance. */
static inline unsigned
far_place(uint64_t word, uint32_t how, uint32_t *ret)
{
    const unsigned bits = PLACE_BITS(how); /* 0: the group has one entry, and its place none */
    const uint32_t below = PLACE_SHORT(how), v = (uint32_t)(word & ((1ULL << bits) - 1) >> 1);
    const unsigned longer = v >= below;
    const uint32_t last = (uint32_t)(word << 1 >> bits & 1);
    *ret = longer != 0 ? (v << 1 | last) - below : v;
    return bits + longer - 1U;
}

/* Where far ends go on, and who the last one was. */
struct far_at {
    struct code_bits_in bits;
    uint32_t row, group, place; /* of the row before; group UINT32_MAX: it has no entry */
    uint64_t hi, lo;
};

/* One row of any kind. */
static inline bool
far_step(const struct block_rows *r, const struct sieve *s, struct far_at *p)
{
    const uint32_t i = p->row++;
    const unsigned symbol = r->far[i];
    if (BH_LIKELY(symbol >= FAR_CLASS4)) {
        p->group = country_at(r, i) * FAR_SYMBOLS + symbol;
        const uint32_t how = s->places[p->group];
        p->bits.at += how == 0 ? 0 : far_place(code_bits_peek(&p->bits), how, &p->place);
        return how != 0;
    }
    if (symbol == FAR_SAME) {
        return i > 0;
    }
    p->group = UINT32_MAX;
    p->hi = p->lo = 0;
    if (symbol == FAR_ONCE6) {
        p->hi = (uint64_t)code_bits_get(&p->bits, 32) << 32;
        p->hi |= code_bits_get(&p->bits, 32);
        p->lo = (uint64_t)code_bits_get(&p->bits, 32) << 32;
    }
    p->lo |= symbol == FAR_NONE ? 0 : code_bits_get(&p->bits, 32);
    return true;
}

_Static_assert(2 * 24 <= 57,
               "two places (2^23 entries at most) are in what one look at the bits shows");

/* Up to a row, and it too. Each place waits for the length of the one before: two of them share a load. */
static bool
far_go_to(const struct block_rows *r, const struct sieve *s, struct far_at *p, uint32_t row)
{
    while (p->row < row) {
        const uint32_t i = p->row;
        const unsigned a = r->far[i], b = r->far[i + 1];
        if (BH_UNLIKELY(a < FAR_CLASS4 || b < FAR_CLASS4)) {
            if (!far_step(r, s, p)) {
                return false;
            }
            continue;
        }
        const uint32_t first = country_at(r, i) * FAR_SYMBOLS + a,
                       second = country_at(r, i + 1) * FAR_SYMBOLS + b;
        const uint32_t how = s->places[first], next = s->places[second];
        if (BH_UNLIKELY(how == 0 || next == 0)) {
            return false;
        }
        const uint64_t word = code_bits_peek(&p->bits);
        const unsigned n = far_place(word, how, &p->place);
        p->bits.at += n + far_place(word >> n, next, &p->place);
        p->group = second;
        p->row = i + 2;
    }
    return p->row > row || far_step(r, s, p);
}

static void
note_far(const struct block_rows *r, const struct far_at *p, uint32_t k)
{
    struct block_some *x = r->some;
    x->entry[k] = p->group == UINT32_MAX ? UINT32_MAX : entry_of(r->d, p->group, p->place);
    x->country[k] = (uint16_t)country_at(r, x->row[k]);
    x->far_hi[k] = p->hi;
    x->far_lo[k] = p->lo;
}

/* Places are of different lengths, so all are read; addresses are looked up for the rows wanted. */
static bool
take_far(struct block_rows *r, const struct sieve *s, bool all_entries)
{
    const struct dict *d = r->d;
    struct block_some *x = r->some;
    struct far_at p = { .bits = r->far_bits, .group = UINT32_MAX };
    for (uint32_t i = 0, k = 0; all_entries && i < r->h->rows; i++) {
        if (!far_step(r, s, &p)) {
            return false;
        }
        x->all_entries[i] = p.group == UINT32_MAX ? UINT32_MAX : entry_of(d, p.group, p.place);
        if (k < x->count && x->row[k] == i) {
            note_far(r, &p, k++);
        }
    }
    for (uint32_t k = 0; !all_entries && k < x->count; k++) {
        if (!far_go_to(r, s, &p, x->row[k])) {
            return false;
        }
        note_far(r, &p, k);
    }
    for (uint32_t k = 0; k < x->count; k++) {
        const uint32_t e = x->entry[k];
        if (e < d->entry4_count) {
            x->far_hi[k] = 0;
            x->far_lo[k] = d->entry4[e];
        } else if (e != UINT32_MAX) {
            x->far_hi[k] = d->entry[e].hi;
            x->far_lo[k] = d->entry[e].lo;
        }
    }
    return true;
}

static inline unsigned
stream_at(const struct block_some *x, uint32_t k, uint32_t *ret_at)
{
    const unsigned s = stream_of(x->group[k]);
    const uint64_t at = x->at[k];
    const uint32_t before =
        (uint32_t)((at & 0xffff) + (at >> 16 & 0xffff) + (at >> 32 & 0xffff) + (at >> 48));
    *ret_at = s < STREAM_REST ? (uint32_t)(at >> (16 * s) & 0xffff) : x->row[k] - before;
    return s;
}

/* Codes that stand for a list behind: how many of them came before? */
static void
take_shape(struct block_rows *r)
{
    const struct dict *d = r->d;
    struct block_some *x = r->some;
    uint32_t walked[STREAMS] = { 0 }, others[STREAMS] = { 0 };
    for (uint32_t k = 0; k < x->count; k++) {
        uint32_t at;
        const unsigned s = stream_at(x, k, &at);
        const uint8_t code = r->shape[s][at];
        if (BH_LIKELY(code != CODE_OTHER)) {
            x->form[k] = d->shape[s][code].form;
            x->len[k] = d->shape[s][code].ip_len;
            continue;
        }
        for (; walked[s] < at; walked[s]++) {
            others[s] += r->shape[s][walked[s]] == CODE_OTHER;
        }
        x->form[k] = r->shape_form[s].v[others[s]];
        x->len[k] = r->shape_len[s].v[others[s]];
    }
}

static bool
wants_other(const struct block_rows *r, unsigned s)
{
    return (r->streams >> s & 1) != 0 &&
           (s != STREAM_KNOCK || (r->want & BH_STORE_KNOCK_PORT) != 0);
}

/* Has a stream of the rows wanted ports that are those its far end had last? Then all rows of it have to be
 * gone through. */
static bool
has_hits(const struct block_rows *r)
{
    bool any = false;
    for (unsigned s = 0; s < STREAMS; s++) {
        any |= wants_other(r, s) && r->other[s].n < r->stream_rows[s];
    }
    return any;
}

static void
take_other_in_order(struct block_rows *r)
{
    struct block_some *x = r->some;
    uint32_t at[STREAMS] = { 0 }, missed[STREAMS] = { 0 }, group_at = 0;
    for (uint32_t i = 0, k = 0; k < x->count; i++) {
        const unsigned code = r->service[i];
        const unsigned s = code == CODE_OTHER
                               ? (unsigned)stream_of(r->d->group[r->service_group.v[group_at++]])
                               : r->d->spelled[code].stream;
        uint32_t other = 0;
        if (wants_other(r, s)) {
            const uint32_t entry = x->all_entries[i];
            uint16_t *last = &r->last_other[s][entry % LAST_OTHER];
            other = r->hit[s][at[s]++] != 0 ? *last : r->other[s].v[missed[s]++] & 0xffff;
            if (entry != UINT32_MAX) {
                *last = (uint16_t)other;
            }
        }
        x->other[k] = (uint16_t)other;
        k += x->row[k] == i;
    }
}

static void
take_other(struct block_rows *r)
{
    struct block_some *x = r->some;
    for (uint32_t k = 0; k < x->count; k++) {
        uint32_t at;
        const unsigned s = stream_at(x, k, &at);
        x->other[k] = wants_other(r, s) ? (uint16_t)r->other[s].v[at] : 0;
    }
}

/* Where a row stands in lists that only some kinds have. */
static void
take_ranks(struct block_rows *r)
{
    struct block_some *x = r->some;
    uint32_t four = 0, six = 0, near = 0, group_at = 0;
    for (uint32_t i = 0, k = 0; k < x->count; i++) {
        const unsigned code = r->service[i];
        const uint32_t g = code == CODE_OTHER ? r->d->group[r->service_group.v[group_at++]]
                                              : r->d->spelled[code].group;
        const unsigned kind = group_kind(g);
        x->rank4[k] = (uint16_t)four;
        x->rank6[k] = (uint16_t)six;
        x->rank_near[k] = (uint16_t)near;
        four += kind == BH_KIND_IP4;
        six += kind == BH_KIND_IP6;
        near += kind == BH_KIND_IP4 || kind == BH_KIND_ARP;
        k += x->row[k] == i;
    }
}

void
some_spell(struct block_rows *r)
{
    struct block_some *x = r->some;
    bool sent = false;
    r->streams = 0;
    for (uint32_t k = 0; k < x->count; k++) { /* of services it is in the dictionary */
        const unsigned code = r->service[x->row[k]];
        if (BH_LIKELY(code != CODE_OTHER)) {
            x->group[k] = r->d->spelled[code].group;
            x->port[k] = r->d->spelled[code].port == PORT_ANY ? x->port[k]
                                                              : (uint16_t)r->d->spelled[code].port;
        }
        r->streams |= 1U << stream_of(x->group[k]);
        sent |= group_direction(x->group[k]) == BH_DIR_OUT;
    }
    r->no_near = (r->want & BH_STORE_NEAR) == 0 && !sent;
}

int
some_take(struct block_rows *r, const struct sieve *s)
{
    const bool in_order = has_hits(r);
    take_time(r);
    if (!take_far(r, s, in_order)) {
        return BH_EDAMAGED;
    }
    take_shape(r);
    if (in_order) {
        take_other_in_order(r);
    } else {
        take_other(r);
    }
    if ((r->d->near_direct && !r->no_near) || (r->want & BH_STORE_COLD) != 0) {
        take_ranks(r);
    }
    return 0;
}

/* ---- batches -------------------------------------------------------------------------------------------------- */

static void
put_addresses(const struct block_rows *r, struct bh_batch *b, uint32_t k, uint32_t i)
{
    const struct block_some *x = r->some;
    const struct dict *d = r->d;
    const bool out = b->direction[i] == BH_DIR_OUT, six = b->kind[i] == BH_KIND_IP6;
    uint64_t hi = 0, lo = 0;
    if (r->no_near) {
        /* zeros */
    } else if (BH_LIKELY(!d->near_direct)) {
        const struct near *near = &d->near[r->near.v[x->row[k]]];
        hi = near->hi;
        lo = near->lo;
    } else if (six) {
        const uint32_t at = x->rank6[k];
        hi = (uint64_t)r->near_part[0].v[at] << 32 | r->near_part[1].v[at];
        lo = (uint64_t)r->near_part[2].v[at] << 32 | r->near_part[3].v[at];
    } else if (b->kind[i] != BH_KIND_NONE) {
        lo = r->near.v[x->rank_near[k]];
    }
    if (BH_LIKELY(!six)) {
        b->src[i] = (uint32_t)(out ? lo : x->far_lo[k]);
        b->dst[i] = (uint32_t)(out ? x->far_lo[k] : lo);
        return;
    }
    b->ip6[b->v6_rows] = out ? (struct bh_ip6_pair){ hi, lo, x->far_hi[k], x->far_lo[k] }
                             : (struct bh_ip6_pair){ x->far_hi[k], x->far_lo[k], hi, lo };
    b->src[i] = b->dst[i] = b->v6_rows++;
}

static void
put_form(const struct block_rows *r, struct bh_batch *b, uint32_t k, uint32_t i, bool cold)
{
    batch_put_form(b, i, &r->d->form[r->some->form[k]], r->some->len[k], cold);
}

static void
put_cold(const struct block_rows *r, struct bh_batch *b, uint32_t k, uint32_t i, unsigned stream,
         uint32_t at)
{
    const struct block_some *x = r->some;
    const uint32_t lacks = r->h->flags >> CHUNK_LACKS_SHIFT;
    if (b->kind[i] >= BH_KIND_IP4 && b->direction[i] != BH_DIR_OUT) {
        const uint8_t usual = x->entry[k] != UINT32_MAX ? r->d->entry_ttl[x->entry[k]] : 0;
        b->ttl[i] = (uint8_t)(usual + r->ttl[x->row[k]]);
    }
    b->tcp_window[i] = (lacks & BH_LACK_WINDOW) == 0 && stream <= STREAM_TCP
                           ? (uint16_t)r->window[stream].v[at]
                           : 0;
    b->ip_id[i] = (lacks & BH_LACK_IP_ID) == 0 && b->kind[i] == BH_KIND_IP4
                      ? (uint16_t)r->ip_id.v[x->rank4[k]]
                      : 0;
}

/* What of the list beside the columns is about rows wanted. */
static void
put_seen(struct block_rows *r, struct bh_batch *b, uint32_t first, uint32_t n)
{
    const struct block_some *x = r->some;
    uint32_t k = first;
    while (r->seen_size >= SEEN_SIZE && n > 0) {
        struct bh_cur c = bh_cur_over(r->seen, SEEN_SIZE);
        const uint32_t row = code_get32(&c);
        struct bh_seen s = { .port = code_get16(&c) };
        s.port_proto = bh_cur_u8(&c);
        const unsigned has = bh_cur_u8(&c);
        s.has_src4 = (has & 1) != 0;
        s.has_src6 = (has & 2) != 0;
        s.src4 = code_get32(&c);
        s.src6_hi = code_get64(&c);
        s.src6_lo = code_get64(&c);
        if (row > x->row[first + n - 1]) {
            break;
        }
        while (k < first + n && x->row[k] < row) {
            k++;
        }
        if (k < first + n && x->row[k] == row && b->seen_rows < BH_BATCH_ROWS) {
            s.row = (uint16_t)(k - first);
            b->seen[b->seen_rows++] = s;
        }
        r->seen += SEEN_SIZE;
        r->seen_size -= SEEN_SIZE;
    }
}

static void
put_row(const struct block_rows *r, const uint16_t *value_of_country, struct bh_batch *b,
        uint32_t k, uint32_t i)
{
    const struct block_some *x = r->some;
    const uint32_t g = x->group[k];
    const bool cold = (b->want & BH_WANT_COLD) != 0;
    const bool seq = (r->want & BH_STORE_SEQ) != 0 && (b->lacks & BH_LACK_SEQ) == 0;
    uint32_t at;
    const unsigned stream = stream_at(x, k, &at);
    b->ts_ns[i] = x->ts_ns[k];
    b->cls[i] = (uint8_t)group_cls(g);
    b->direction[i] = (uint8_t)group_direction(g);
    b->kind[i] = (uint8_t)group_kind(g);
    b->proto[i] = (uint8_t)group_proto(g);
    b->country[i] = value_of_country[x->country[k]];
    b->ports[i] = group_in_front(g) ? (uint32_t)x->port[k] << 16 | x->other[k]
                                    : (uint32_t)x->other[k] << 16 | x->port[k];
    put_addresses(r, b, k, i);
    put_form(r, b, k, i, cold);
    b->outcome[i] = stream == STREAM_KNOCK ? r->outcome[at] : (uint8_t)BH_OUTCOME_NONE;
    b->tcp_seq[i] = seq && stream <= STREAM_TCP ? r->seq[stream].v[at] : 0;
    if (b->has_weight) {
        b->weight[i] = r->weight.v[x->row[k]];
    }
    if (cold) {
        put_cold(r, b, k, i, stream, at);
    }
}

bool
some_next(struct block_rows *r, const uint16_t *value_of_country, struct bh_batch *b)
{
    struct block_some *x = r->some;
    const uint32_t first = x->next, left = x->count - first,
                   n = left < BH_BATCH_ROWS ? left : BH_BATCH_ROWS;
    if (n == 0) {
        return false;
    }
    bh_batch_reset(b);
    b->rows = n;
    b->want = (r->h->flags & CHUNK_COLD) != 0 && (r->want & BH_STORE_COLD) != 0 ? BH_WANT_COLD : 0;
    b->lacks = r->h->flags >> CHUNK_LACKS_SHIFT & 15U;
    b->has_weight = (r->h->flags & CHUNK_WEIGHT) != 0;
    b->all_inbound = (r->h->flags & CHUNK_ALL_INBOUND) != 0;
    b->no_tcp_seq = (r->h->flags & CHUNK_NO_SEQ) != 0;
    b->has_country = true;
    b->v6_rows = 0;
    b->seen_rows = 0;
    for (uint32_t i = 0; i < n; i++) {
        put_row(r, value_of_country, b, first + i, i);
    }
    put_seen(r, b, first, n);
    x->next += n;
    return true;
}
