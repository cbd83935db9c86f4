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

static struct block_some *
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

static inline uint64_t
stream_bit(uint32_t group)
{
    const unsigned s = stream_of(group);
    return s < STREAM_REST ? 1ULL << (16 * s) : 0;
}

static inline unsigned
country_at(const struct block_rows *r, uint32_t i)
{
    return r->country[i] | (r->wide_country ? (unsigned)r->country_high[i] << 8 : 0);
}

int
some_choose(struct block_rows *r, const struct sieve *s)
{
    if (r->some == NULL && (r->some = some_new()) == NULL) {
        return -ENOMEM;
    }
    struct block_some *x = r->some;
    const struct dict *d = r->d;
    const uint32_t *ports = r->service_port.v;
    uint32_t n = 0, port_at = 0, group_at = 0;
    uint64_t at = 0;
    x->unknown = 0;
    x->next = 0;
    for (uint32_t i = 0; i < r->h->rows; i++) {
        const unsigned code = r->service[i], country = country_at(r, i);
        const uint16_t port = (uint16_t)ports[port_at];
        const unsigned listed = s->has_port[code];
        struct sieve_row may;
        uint32_t group = 0;
        uint64_t stream = s->stream[code];
        if (BH_UNLIKELY(country >= d->country_count)) {
            return BH_EDAMAGED;
        }
        if (BH_UNLIKELY(code == CODE_OTHER)) {
            const uint32_t index = r->service_group.v[group_at++];
            const uint32_t term = s->term_of_group[index];
            group = d->group[index];
            stream = stream_bit(group);
            may = term == 0 ? (struct sieve_row){ UINT8_MAX, 0 }
                            : s->group[(term - 1) * s->ports + s->judge->port_class[port]];
        } else {
            may = s->service[code * s->ports + (listed != 0 ? s->judge->port_class[port] : 0)];
        }
        const unsigned bit = s->country_bit[country];
        x->row[n] = (uint16_t)i;
        x->at[n] = at;
        x->port[n] = port;
        x->group[n] = group;
        n += (may.pass & bit) != 0;
        x->unknown += (may.unknown & bit) != 0;
        port_at += listed;
        at += stream;
    }
    x->count = n;
    return 0;
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
    for (uint32_t i = 0, k = 0; k < x->count; i++) {
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

/* Bits in a register: a place is as long as its first bits say, so each waits for the one before; from memory
 * that is three times as long. */
struct window {
    struct code_bits_in in;
    uint64_t word;
    unsigned have;
};

static inline void
window_fill(struct window *w)
{
    if (BH_UNLIKELY(w->have < 32)) {
        w->word = code_bits_peek(&w->in);
        w->have = 57;
    }
}

static inline uint64_t
window_take(struct window *w, unsigned n) /* n <= 32 */
{
    window_fill(w);
    const uint64_t v = w->word & ((1ULL << n) - 1);
    w->word >>= n;
    w->have -= n;
    w->in.at += n;
    return v;
}

/* The place, as `how` of struct sieve.places tells it. */
static inline uint32_t
far_place(struct window *w, uint32_t how)
{
    const unsigned bits = PLACE_BITS(how);
    const uint32_t below = PLACE_SHORT(how);
    if (bits == 0) {
        return 0;
    }
    window_fill(w);
    const unsigned less = bits - 1U;
    const uint32_t v = (uint32_t)(w->word & ((1ULL << less) - 1));
    const unsigned longer = v >= below;
    const uint32_t place = longer ? (v << 1 | (uint32_t)(w->word >> less & 1)) - below : v;
    const unsigned n = less + longer;
    w->word >>= n;
    w->have -= n;
    w->in.at += n;
    return place;
}

static inline uint32_t
entry_of(const struct dict *d, uint32_t group, uint32_t place)
{
    const struct far_group *g = &d->far_group[d->group_of[group] - 1];
    return g->first + (place < g->count ? place : 0);
}

/* Places are of different lengths, so all are read; addresses are looked up for the rows wanted. */
static bool
take_far(struct block_rows *r, const struct sieve *s, bool all_entries)
{
    const struct dict *d = r->d;
    struct block_some *x = r->some;
    struct window bits = { .in = r->far_bits };
    uint32_t group = UINT32_MAX, place = 0; /* of the row before: UINT32_MAX: it has no entry */
    uint64_t hi = 0, lo = 0;
    const uint32_t rows = all_entries ? r->h->rows : x->row[x->count - 1] + 1U;
    for (uint32_t i = 0, k = 0; i < rows; i++) {
        const unsigned symbol = r->far[i], country = country_at(r, i);
        if (BH_LIKELY(symbol >= FAR_CLASS4)) {
            group = country * FAR_SYMBOLS + symbol;
            const uint32_t how = s->places[group];
            if (BH_UNLIKELY(how == 0)) {
                return false;
            }
            place = far_place(&bits, how);
        } else if (symbol == FAR_SAME) {
            if (i == 0) {
                return false;
            }
        } else {
            group = UINT32_MAX;
            hi = lo = 0;
            if (symbol == FAR_ONCE6) {
                hi = window_take(&bits, 32) << 32;
                hi |= window_take(&bits, 32);
                lo = window_take(&bits, 32) << 32;
            }
            lo |= symbol == FAR_NONE ? 0 : window_take(&bits, 32);
        }
        if (all_entries) {
            x->all_entries[i] = group == UINT32_MAX ? UINT32_MAX : entry_of(d, group, place);
        }
        if (k < x->count && x->row[k] == i) {
            x->entry[k] = group == UINT32_MAX ? UINT32_MAX : entry_of(d, group, place);
            x->country[k] = (uint16_t)country;
            x->far_hi[k] = hi;
            x->far_lo[k++] = lo;
        }
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
    return s != STREAM_KNOCK || (r->want & BH_STORE_KNOCK_PORT) != 0;
}

/* Has a stream of the rows wanted ports that are those its far end had last? Then all rows of it have to be
 * gone through. */
static bool
has_hits(const struct block_rows *r)
{
    unsigned streams = 0;
    for (uint32_t k = 0; k < r->some->count; k++) {
        streams |= 1U << stream_of(r->some->group[k]);
    }
    bool any = false;
    for (unsigned s = 0; s < STREAMS; s++) {
        any |= (streams >> s & 1) != 0 && wants_other(r, s) && r->other[s].n < r->stream_rows[s];
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

int
some_take(struct block_rows *r, const struct sieve *s)
{
    struct block_some *x = r->some;
    for (uint32_t k = 0; k < x->count; k++) { /* of services it is in the dictionary */
        const unsigned code = r->service[x->row[k]];
        if (BH_LIKELY(code != CODE_OTHER)) {
            x->group[k] = r->d->spelled[code].group;
            x->port[k] = r->d->spelled[code].port == PORT_ANY ? x->port[k]
                                                              : (uint16_t)r->d->spelled[code].port;
        }
    }
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
    if (r->d->near_direct || (r->want & BH_STORE_COLD) != 0) {
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
    if (BH_LIKELY(!d->near_direct)) {
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
