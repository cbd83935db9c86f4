/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A block as batches. Opening it unpacks the lists of octets and numbers (half a megabyte, so that
 * they stay in the second-level cache); the rows are then put together a batch at a time, in loops
 * over one column each.
 *
 * A block with a right sum may still be an enemy's: every code is compared with the dictionary's
 * counts before it is used, and what does not fit makes the whole block damaged, in block_open(),
 * before any row of it is handed out.
 */
#include "store_priv.h"

#include <errno.h>
#include <stdlib.h>

struct list { /* numbers that are taken one after the other */
    uint32_t *v;
    uint32_t n, at;
};

struct block_rows {
    const struct dict *d;
    const struct block_head *h;
    uint32_t want, row;
    bool wide_country;

    uint8_t *time, *country, *country_high, *far, *service, *outcome, *ttl;
    uint8_t *shape[STREAMS], *hit[STREAMS];
    uint32_t stream_rows[STREAMS];
    struct list near, service_group, service_port, shape_form[STREAMS], shape_len[STREAMS],
        other[STREAMS];
    struct list near_part[4], seq[2], window[2], ip_id, weight;
    struct code_bits_in time_bits, far_bits;
    const uint8_t *quotes, *seen;
    struct bh_buf side; /* quotes, then seen, unpacked */
    size_t quotes_size, seen_size;
    uint32_t outcome_at, shape_at[STREAMS], hit_at[STREAMS];

    int64_t ts_ns;
    uint32_t last_far; /* entry of the row before; UINT32_MAX: none */
    struct {
        uint64_t hi, lo;
        uint16_t country;
    } last_once;
    uint16_t last_other[STREAMS][LAST_OTHER];
};

#define EACH_OCTETS(X) X(time) X(country) X(country_high) X(far) X(service) X(outcome) X(ttl)

struct block_rows *
block_rows_new(void)
{
    struct block_rows *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return NULL;
    }
    bool ok = true;
#define X(name) ok = (r->name = malloc(BLOCK_ROWS + 16)) != NULL && ok;
    EACH_OCTETS(X)
    for (unsigned s = 0; s < STREAMS; s++) {
        X(shape[s])
        X(hit[s])
    }
#undef X
    if (!ok) {
        block_rows_free(r);
        return NULL;
    }
    return r;
}

static void
list_done(struct list *l)
{
    free(l->v);
    *l = (struct list){ 0 };
}

void
block_rows_free(struct block_rows *r)
{
    if (r == NULL) {
        return;
    }
#define X(name) free(r->name);
    EACH_OCTETS(X)
    for (unsigned s = 0; s < STREAMS; s++) {
        X(shape[s])
        X(hit[s])
        list_done(&r->shape_form[s]);
        list_done(&r->shape_len[s]);
        list_done(&r->other[s]);
    }
#undef X
    for (unsigned k = 0; k < 4; k++) {
        list_done(&r->near_part[k]);
    }
    for (unsigned k = 0; k < 2; k++) {
        list_done(&r->seq[k]);
        list_done(&r->window[k]);
    }
    list_done(&r->near);
    list_done(&r->service_group);
    list_done(&r->service_port);
    list_done(&r->ip_id);
    list_done(&r->weight);
    bh_buf_done(&r->side);
    free(r);
}

/* ---- the head ------------------------------------------------------------------------------------- */

int
block_head_get(const uint8_t *data, size_t size, struct block_head *ret)
{
    struct bh_cur c = bh_cur_over(data, size);
    struct block_head h = { 0 };
    h.rows = code_get32(&c);
    h.flags = code_get32(&c);
    h.first_ns = (int64_t)code_get64(&c);
    h.min_ns = (int64_t)code_get64(&c);
    h.max_ns = (int64_t)code_get64(&c);
    h.unit = bh_cur_u8(&c);
    bh_cur_u8(&c);
    const unsigned columns = code_get16(&c);
    if (c.bad || h.rows == 0 || h.rows > BLOCK_ROWS || h.unit > 3) {
        return BH_EDAMAGED;
    }
    for (unsigned k = 0; k < columns; k++) {
        const uint32_t id = code_get32(&c), at = code_get32(&c), length = code_get32(&c);
        const uint64_t sum = code_get64(&c);
        if (c.bad) {
            return BH_EDAMAGED;
        }
        const uint64_t end = (uint64_t)at + length;
        h.body_size = end > h.body_size ? end : h.body_size;
        if (id < COLUMNS) { /* of later versions: a column we do not know */
            h.column[id].at = at;
            h.column[id].size = length;
            h.column[id].sum = sum;
        }
    }
    *ret = h;
    return bh_cur_left(&c) == 0 ? 0 : BH_EDAMAGED;
}

/* ---- opening ------------------------------------------------------------------------------------------ */

/* A column whose sum is right. */
static bool
column_of(const struct block_rows *r, const uint8_t *body, unsigned column, struct bh_cur *ret)
{
    const uint32_t at = r->h->column[column].at, size = r->h->column[column].size;
    if (size == 0 || code_sum(body + at, size) != r->h->column[column].sum) {
        return false;
    }
    *ret = bh_cur_over(body + at, size);
    return true;
}

/* Lists keep their room for the next block. */
static bool
list_get(struct bh_cur *c, struct list *l, uint32_t n)
{
    if (l->v == NULL && (l->v = malloc((BLOCK_ROWS + 16) * sizeof *l->v)) == NULL) {
        return false;
    }
    l->n = n;
    l->at = 0;
    return code_get_numbers(c, l->v, n);
}

static bool
bits_get(struct bh_cur *c, struct code_bits_in *ret)
{
    const uint32_t size = code_get32(c);
    const uint8_t *p = bh_cur_take(c, size);
    *ret = (struct code_bits_in){ p, size, 0 };
    return p != NULL;
}

static inline uint32_t
group_of_code(const struct dict *d, uint8_t code)
{
    return d->group[d->service[code].group];
}

/* Services tell how many rows each stream has. */
static bool
open_service(struct block_rows *r, const uint8_t *body)
{
    struct bh_cur c;
    const struct dict *d = r->d;
    uint32_t groups = 0, ports = 0, count[256] = { 0 };
    if (!column_of(r, body, COLUMN_SERVICE, &c) || !code_get_octets(&c, r->service, r->h->rows)) {
        return false;
    }
    for (uint32_t i = 0; i < r->h->rows; i++) {
        count[r->service[i]]++;
    }
    memset(r->stream_rows, 0, sizeof r->stream_rows);
    for (unsigned code = 0; code < CODES; code++) {
        if (count[code] == 0) {
            continue;
        }
        if (code == CODE_OTHER) {
            groups += count[code];
            ports += count[code];
        } else if (code >= d->service_count) {
            return false;
        } else {
            ports += d->service[code].port == PORT_ANY ? count[code] : 0;
            r->stream_rows[stream_of(group_of_code(d, (uint8_t)code))] += count[code];
        }
    }
    if (!list_get(&c, &r->service_group, groups) || !list_get(&c, &r->service_port, ports)) {
        return false;
    }
    for (uint32_t k = 0; k < groups; k++) {
        if (r->service_group.v[k] >= d->group_count) {
            return false;
        }
        r->stream_rows[stream_of(d->group[r->service_group.v[k]])]++;
    }
    for (uint32_t k = 0; k < ports; k++) {
        if (r->service_port.v[k] > UINT16_MAX) {
            return false;
        }
    }
    return true;
}

static bool
open_shape(struct block_rows *r, const uint8_t *body)
{
    struct bh_cur c;
    if (!column_of(r, body, COLUMN_SHAPE, &c)) {
        return false;
    }
    for (unsigned s = 0; s < STREAMS; s++) {
        uint32_t others = 0;
        if (!code_get_octets(&c, r->shape[s], r->stream_rows[s])) {
            return false;
        }
        for (uint32_t i = 0; i < r->stream_rows[s]; i++) {
            if (r->shape[s][i] == CODE_OTHER) {
                others++;
            } else if (r->shape[s][i] >= r->d->shape_count[s]) {
                return false;
            }
        }
        if (!list_get(&c, &r->shape_form[s], others) || !list_get(&c, &r->shape_len[s], others)) {
            return false;
        }
        for (uint32_t k = 0; k < others; k++) {
            if (r->shape_form[s].v[k] >= r->d->form_count) {
                return false;
            }
        }
        r->shape_at[s] = 0;
    }
    return true;
}

static bool
open_other(struct block_rows *r, const uint8_t *body, unsigned s)
{
    struct bh_cur c;
    uint32_t misses = 0;
    const uint32_t n = r->stream_rows[s];
    if (!column_of(r, body, COLUMN_OTHER_KNOCK + s, &c) || !code_get_octets(&c, r->hit[s], n)) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        misses += r->hit[s][i] == 0;
    }
    r->hit_at[s] = 0;
    memset(r->last_other[s], 0, sizeof r->last_other[s]);
    return list_get(&c, &r->other[s], misses);
}

/* Country and far end must fit together: only then there is a group to look into. */
static bool
open_far(struct block_rows *r, const uint8_t *body)
{
    struct bh_cur c;
    const struct dict *d = r->d;
    const uint32_t rows = r->h->rows;
    r->wide_country = d->country_count > 256;
    if (!column_of(r, body, COLUMN_COUNTRY, &c) || !code_get_octets(&c, r->country, rows) ||
        (r->wide_country && !code_get_octets(&c, r->country_high, rows))) {
        return false;
    }
    if (!column_of(r, body, COLUMN_FAR, &c) || !code_get_octets(&c, r->far, rows) ||
        !bits_get(&c, &r->far_bits)) {
        return false;
    }
    uint64_t bits = 0;
    for (uint32_t i = 0; i < rows; i++) {
        const unsigned symbol = r->far[i];
        const uint32_t country =
            r->country[i] | (r->wide_country ? (uint32_t)r->country_high[i] << 8 : 0);
        if (country >= d->country_count) {
            return false;
        }
        if (symbol >= FAR_CLASS4) {
            const unsigned g = d->group_of[country * FAR_SYMBOLS + symbol];
            if (g == 0) {
                return false;
            }
            bits += d->far_group[g - 1].bits;
        } else if (symbol == FAR_SAME && i == 0) {
            return false;
        } else {
            bits += symbol == FAR_ONCE4 ? 32 : symbol == FAR_ONCE6 ? 128 : 0;
        }
    }
    (void)bits; /* an upper bound: reading beyond the end gives zeros */
    r->last_far = UINT32_MAX;
    return true;
}

/* How many rows are of a kind: their groups tell. */
static uint32_t
rows_of_kind(const struct block_rows *r, unsigned kind)
{
    uint32_t n = 0, group = 0;
    for (uint32_t i = 0; i < r->h->rows; i++) {
        const uint32_t g = r->service[i] == CODE_OTHER ? r->d->group[r->service_group.v[group++]]
                                                       : group_of_code(r->d, r->service[i]);
        n += group_kind(g) == kind;
    }
    return n;
}

static bool
open_near(struct block_rows *r, const uint8_t *body)
{
    struct bh_cur c;
    if (!column_of(r, body, COLUMN_NEAR, &c)) {
        return false;
    }
    if (!r->d->near_direct) {
        if (!list_get(&c, &r->near, r->h->rows)) {
            return false;
        }
        for (uint32_t i = 0; i < r->h->rows; i++) {
            if (r->near.v[i] >= r->d->near_count) {
                return false;
            }
        }
        return true;
    }
    const uint32_t n4 = rows_of_kind(r, BH_KIND_IP4) + rows_of_kind(r, BH_KIND_ARP),
                   n6 = rows_of_kind(r, BH_KIND_IP6);
    bool ok = list_get(&c, &r->near, n4);
    for (unsigned part = 0; part < 4 && ok; part++) {
        ok = n6 == 0 || list_get(&c, &r->near_part[part], n6);
    }
    return ok;
}

static bool
open_tcp_numbers(const struct block_rows *r, const uint8_t *body, unsigned column,
                 struct list list[2])
{
    struct bh_cur c;
    return column_of(r, body, column, &c) && list_get(&c, &list[0], r->stream_rows[STREAM_KNOCK]) &&
           list_get(&c, &list[1], r->stream_rows[STREAM_TCP]);
}

static bool
open_cold(struct block_rows *r, const uint8_t *body)
{
    struct bh_cur c;
    const uint32_t lacks = r->h->flags >> CHUNK_LACKS_SHIFT;
    if (!column_of(r, body, COLUMN_TTL, &c) || !code_get_octets(&c, r->ttl, r->h->rows)) {
        return false;
    }
    if ((lacks & BH_LACK_IP_ID) == 0 && (!column_of(r, body, COLUMN_IP_ID, &c) ||
                                         !list_get(&c, &r->ip_id, rows_of_kind(r, BH_KIND_IP4)))) {
        return false;
    }
    return (lacks & BH_LACK_WINDOW) != 0 || open_tcp_numbers(r, body, COLUMN_WINDOW, r->window);
}

#define QUOTE4_SIZE 19U
#define QUOTE6_SIZE 43U
#define SEEN_SIZE 28U
#define SIDE_MAX (BLOCK_ROWS * QUOTE6_SIZE)

/* A list beside the columns: its octets behind those that are there already. */
static bool
open_side(struct block_rows *r, const uint8_t *body, unsigned column, size_t *ret_size)
{
    struct bh_cur c;
    *ret_size = 0;
    if (r->h->column[column].size == 0) {
        return true;
    }
    if (!column_of(r, body, column, &c)) {
        return false;
    }
    code_get32(&c); /* how many: the size tells */
    const uint32_t size = code_get32(&c);
    if (c.bad || size > SIDE_MAX) {
        return false;
    }
    const size_t before = r->side.len;
    static const uint8_t zeros[256];
    for (size_t left = size + 16UL; left > 0;) { /* room, as a buffer gives it */
        const size_t n = left < sizeof zeros ? left : sizeof zeros;
        bh_buf_add(&r->side, zeros, n);
        left -= n;
    }
    if (r->side.failed) {
        return false;
    }
    r->side.len = before + size;
    *ret_size = size;
    return code_get_octets(&c, (uint8_t *)r->side.data + before, size);
}

int
block_open(struct block_rows *r, const struct dict *d, const struct block_head *h,
           const uint8_t *body, uint32_t want)
{
    r->d = d;
    r->h = h;
    r->want = want;
    r->row = 0;
    r->ts_ns = h->first_ns;
    r->outcome_at = 0;
    r->side.len = 0;
    r->side.failed = false;
    const uint32_t lacks = h->flags >> CHUNK_LACKS_SHIFT;
    struct bh_cur c;
    bool ok = open_service(r, body) && open_shape(r, body) && open_far(r, body);
    ok = ok && column_of(r, body, COLUMN_TIME, &c) && code_get_octets(&c, r->time, h->rows) &&
         bits_get(&c, &r->time_bits);
    ok = ok && column_of(r, body, COLUMN_OUTCOME, &c) &&
         code_get_octets(&c, r->outcome, r->stream_rows[STREAM_KNOCK]);
    for (uint32_t i = 0; ok && i < r->stream_rows[STREAM_KNOCK]; i++) {
        ok = r->outcome[i] < BH_OUTCOME_COUNT;
    }
    for (unsigned s = 0; s < STREAMS && ok; s++) {
        ok = (s == STREAM_KNOCK && (want & BH_STORE_KNOCK_PORT) == 0) || open_other(r, body, s);
    }
    ok = ok && open_near(r, body);
    ok = ok && ((want & BH_STORE_SEQ) == 0 || (lacks & BH_LACK_SEQ) != 0 ||
                open_tcp_numbers(r, body, COLUMN_SEQ, r->seq));
    ok = ok && ((want & BH_STORE_COLD) == 0 || (h->flags & CHUNK_COLD) == 0 || open_cold(r, body));
    ok = ok && ((h->flags & CHUNK_WEIGHT) == 0 ||
                (column_of(r, body, COLUMN_WEIGHT, &c) && list_get(&c, &r->weight, h->rows)));
    ok = ok && ((want & BH_STORE_QUOTES) != 0 ? open_side(r, body, COLUMN_QUOTES, &r->quotes_size)
                                              : (r->quotes_size = 0, true));
    ok = ok && open_side(r, body, COLUMN_SEEN, &r->seen_size);
    static const uint8_t nothing[1];
    r->quotes = r->side.data == NULL ? nothing : (const uint8_t *)r->side.data;
    r->seen = r->quotes + (ok ? r->quotes_size : 0);
    return ok ? 0 : BH_EDAMAGED;
}

/* ---- rows ----------------------------------------------------------------------------------------------- */

static const int64_t units[4] = { 1, 1000, 1000000, 1000000000 };

static void
rows_time(struct block_rows *r, struct bh_batch *b, uint32_t n)
{
    const uint64_t unit = (uint64_t)units[r->h->unit];
    uint64_t ts = (uint64_t)r->ts_ns;
    const uint8_t *symbol = r->time + r->row;
    struct code_bits_in bits = r->time_bits;
    for (uint32_t i = 0; i < n; i++) {
        const struct code_step *s = &code_steps[symbol[i]];
        if (BH_LIKELY(symbol[i] < CODE_STEP_BACK)) {
            ts += (s->base + code_bits_get(&bits, s->bits)) * unit;
        } else if (symbol[i] == CODE_STEP_BACK) {
            ts -= code_bits_get(&bits, 32) * unit;
        } else {
            const uint64_t low = code_bits_get(&bits, 32);
            ts += low | (uint64_t)code_bits_get(&bits, 32) << 32;
        }
        b->ts_ns[i] = (int64_t)ts;
    }
    r->time_bits = bits;
    r->ts_ns = (int64_t)ts;
}

/* What the loops over one batch hand to each other. */
struct batch_rows {
    uint32_t group[BH_BATCH_STRIDE];
    uint16_t service[BH_BATCH_STRIDE];
    uint8_t stream[BH_BATCH_STRIDE];
    uint32_t entry[BH_BATCH_STRIDE]; /* UINT32_MAX: none */
    uint64_t far_hi[BH_BATCH_STRIDE], far_lo[BH_BATCH_STRIDE];
};

static void
rows_service(struct block_rows *r, struct bh_batch *b, struct batch_rows *x, uint32_t n)
{
    const struct dict *d = r->d;
    const uint8_t *code = r->service + r->row;
    for (uint32_t i = 0; i < n; i++) {
        if (BH_UNLIKELY(code[i] == CODE_OTHER)) {
            const uint32_t g = d->group[r->service_group.v[r->service_group.at++]];
            x->group[i] = g;
            x->service[i] = (uint16_t)r->service_port.v[r->service_port.at++];
            x->stream[i] = (uint8_t)stream_of(g);
            b->cls[i] = (uint8_t)group_cls(g);
            b->direction[i] = (uint8_t)group_direction(g);
            b->kind[i] = (uint8_t)group_kind(g);
            b->proto[i] = (uint8_t)group_proto(g);
            continue;
        }
        const struct spelled *s = &d->spelled[code[i]];
        x->group[i] = s->group;
        x->service[i] =
            (uint16_t)(s->port == PORT_ANY ? r->service_port.v[r->service_port.at++] : s->port);
        x->stream[i] = s->stream;
        b->cls[i] = s->cls;
        b->direction[i] = s->direction;
        b->kind[i] = s->kind;
        b->proto[i] = s->proto;
    }
}

static inline uint32_t
far_index(struct code_bits_in *bits, const struct far_group *g)
{
    if (g->bits == 0) {
        return 0;
    }
    uint32_t v = code_bits_get(bits, g->bits - 1U);
    if (v >= g->short_count) {
        v = (v << 1 | code_bits_get(bits, 1)) - g->short_count;
    }
    return v < g->count ? v : 0; /* cannot be: short_count + count is a power of two */
}

static void
rows_far(struct block_rows *r, const uint16_t *value_of_country, struct bh_batch *b,
         struct batch_rows *x, uint32_t n)
{
    const struct dict *d = r->d;
    struct code_bits_in bits = r->far_bits;
    for (uint32_t i = 0; i < n; i++) {
        const unsigned symbol = r->far[r->row + i];
        const uint32_t country = r->country[r->row + i] |
                                 (r->wide_country ? (uint32_t)r->country_high[r->row + i] << 8 : 0);
        uint32_t entry = UINT32_MAX;
        b->country[i] = value_of_country[country];
        if (BH_LIKELY(symbol >= FAR_CLASS4)) {
            const struct far_group *g =
                &d->far_group[d->group_of[country * FAR_SYMBOLS + symbol] - 1];
            entry = g->first + far_index(&bits, g);
        } else if (symbol == FAR_SAME) {
            entry = r->last_far;
        } else {
            r->last_once.hi = r->last_once.lo = 0;
            if (symbol == FAR_ONCE6) {
                r->last_once.hi = (uint64_t)code_bits_get(&bits, 32) << 32;
                r->last_once.hi |= code_bits_get(&bits, 32);
                r->last_once.lo = (uint64_t)code_bits_get(&bits, 32) << 32;
            }
            r->last_once.lo |= symbol == FAR_NONE ? 0 : code_bits_get(&bits, 32);
        }
        r->last_far = entry;
        x->entry[i] = entry;
        if (entry == UINT32_MAX) {
            x->far_hi[i] = r->last_once.hi;
            x->far_lo[i] = r->last_once.lo;
        }
    }
    r->far_bits = bits;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t entry = x->entry[i];
        if (BH_LIKELY(entry < d->entry4_count)) {
            x->far_hi[i] = 0;
            x->far_lo[i] = d->entry4[entry];
        } else if (entry != UINT32_MAX) {
            x->far_hi[i] = d->entry[entry].hi;
            x->far_lo[i] = d->entry[entry].lo;
        }
    }
}

/* Both ends into their places. */
static void
rows_addresses(struct block_rows *r, struct bh_batch *b, const struct batch_rows *x, uint32_t n)
{
    const struct dict *d = r->d;
    b->v6_rows = 0;
    for (uint32_t i = 0; i < n; i++) {
        const bool out = b->direction[i] == BH_DIR_OUT;
        uint64_t near_hi = 0, near_lo = 0;
        if (BH_LIKELY(!d->near_direct)) {
            const struct near *near = &d->near[r->near.v[r->row + i]];
            near_hi = near->hi;
            near_lo = near->lo;
        } else if (b->kind[i] == BH_KIND_IP6) {
            const uint32_t at = r->near_part[0].at++;
            near_hi = (uint64_t)r->near_part[0].v[at] << 32 | r->near_part[1].v[at];
            near_lo = (uint64_t)r->near_part[2].v[at] << 32 | r->near_part[3].v[at];
        } else if (b->kind[i] != BH_KIND_NONE) {
            near_lo = r->near.v[r->near.at++];
        }
        if (BH_LIKELY(b->kind[i] != BH_KIND_IP6)) {
            b->src[i] = (uint32_t)(out ? near_lo : x->far_lo[i]);
            b->dst[i] = (uint32_t)(out ? x->far_lo[i] : near_lo);
            continue;
        }
        b->ip6[b->v6_rows] =
            out ? (struct bh_ip6_pair){ near_hi, near_lo, x->far_hi[i], x->far_lo[i] }
                : (struct bh_ip6_pair){ x->far_hi[i], x->far_lo[i], near_hi, near_lo };
        b->src[i] = b->dst[i] = b->v6_rows++;
    }
}

static void
rows_shape(struct block_rows *r, struct bh_batch *b, const struct batch_rows *x, uint32_t n,
           bool cold)
{
    const struct dict *d = r->d;
    for (uint32_t i = 0; i < n; i++) {
        const unsigned s = x->stream[i];
        const uint8_t code = r->shape[s][r->shape_at[s]++];
        uint32_t form, len;
        if (BH_LIKELY(code != CODE_OTHER)) {
            form = d->shape[s][code].form;
            len = d->shape[s][code].ip_len;
        } else {
            form = r->shape_form[s].v[r->shape_form[s].at++];
            len = r->shape_len[s].v[r->shape_len[s].at++];
        }
        const struct form *f = &d->form[form];
        b->ip_len[i] = len;
        b->payload_len[i] = (uint16_t)(len - f->header_len);
        b->layers[i] = f->layers;
        b->tcp_flags[i] = f->flags;
        b->marks[i] = f->marks;
        b->reason[i] = f->reason;
        if (cold) {
            b->wire_len[i] = len + f->link_len;
            b->src_mac[i] = f->mac;
            b->tcp_options[i] = f->options;
            b->tunnel_sender[i] = f->tunnel_sender;
            b->tunnel_vni[i] = f->tunnel_vni;
            b->vlan[i] = f->vlan;
            b->ethertype[i] = f->ethertype;
            b->interface[i] = f->interface;
            b->df[i] = f->df;
            b->ttl[i] = f->ttl;
        }
    }
}

static void
rows_ports(struct block_rows *r, struct bh_batch *b, const struct batch_rows *x, uint32_t n)
{
    const bool knock_ports = (r->want & BH_STORE_KNOCK_PORT) != 0;
    for (uint32_t i = 0; i < n; i++) {
        const unsigned s = x->stream[i];
        uint32_t other = 0;
        if (s != STREAM_KNOCK || knock_ports) {
            const uint32_t entry = x->entry[i];
            uint16_t *last = &r->last_other[s][entry % LAST_OTHER];
            /* A hit of who has no entry is an enemy's; it reads what is there. */
            other =
                r->hit[s][r->hit_at[s]++] != 0 ? *last : r->other[s].v[r->other[s].at++] & 0xffff;
            if (entry != UINT32_MAX) {
                *last = (uint16_t)other;
            }
        }
        const uint32_t service = x->service[i];
        b->ports[i] = group_in_front(x->group[i]) ? service << 16 | other : other << 16 | service;
    }
}

static void
rows_rest(struct block_rows *r, struct bh_batch *b, const struct batch_rows *x, uint32_t n,
          bool cold)
{
    const uint32_t lacks = r->h->flags >> CHUNK_LACKS_SHIFT;
    const bool seq = (r->want & BH_STORE_SEQ) != 0 && (lacks & BH_LACK_SEQ) == 0;
    for (uint32_t i = 0; i < n; i++) {
        const unsigned s = x->stream[i];
        b->outcome[i] = s == STREAM_KNOCK ? r->outcome[r->outcome_at++] : (uint8_t)BH_OUTCOME_NONE;
        b->tcp_seq[i] = seq && s <= STREAM_TCP ? r->seq[s].v[r->seq[s].at++] : 0;
    }
    if (r->h->flags & CHUNK_WEIGHT) {
        memcpy(b->weight, r->weight.v + r->row, n * sizeof *b->weight);
    }
    if (!cold) {
        return;
    }
    const bool window = (lacks & BH_LACK_WINDOW) == 0, ip_id = (lacks & BH_LACK_IP_ID) == 0;
    for (uint32_t i = 0; i < n; i++) {
        const unsigned s = x->stream[i];
        const bool theirs = b->kind[i] >= BH_KIND_IP4 && b->direction[i] != BH_DIR_OUT;
        if (theirs) {
            const uint8_t usual = x->entry[i] != UINT32_MAX ? r->d->entry[x->entry[i]].ttl : 0;
            b->ttl[i] = (uint8_t)(usual + r->ttl[r->row + i]);
        }
        b->tcp_window[i] =
            window && s <= STREAM_TCP ? (uint16_t)r->window[s].v[r->window[s].at++] : 0;
        b->ip_id[i] = ip_id && b->kind[i] == BH_KIND_IP4 ? (uint16_t)r->ip_id.v[r->ip_id.at++] : 0;
    }
}

/* Quotes of the rows first..first + n. */
static void
rows_quotes(struct block_rows *r, struct bh_batch *b, uint32_t first, uint32_t n)
{
    struct bh_cur c = bh_cur_over(r->quotes, r->quotes_size);
    b->quote_rows = 0;
    while (bh_cur_left(&c) >= QUOTE4_SIZE) {
        const struct bh_cur before = c;
        const uint32_t row = code_get32(&c);
        struct bh_quote q = { .kind = bh_cur_u8(&c) };
        q.proto = bh_cur_u8(&c);
        q.has_ports = bh_cur_u8(&c) != 0;
        q.ports = code_get32(&c);
        if (q.kind == BH_KIND_IP6) {
            q.ip6.src_hi = code_get64(&c);
            q.ip6.src_lo = code_get64(&c);
            q.ip6.dst_hi = code_get64(&c);
            q.ip6.dst_lo = code_get64(&c);
        } else {
            q.src = code_get32(&c);
            q.dst = code_get32(&c);
        }
        if (c.bad || row >= first + n) {
            c = before;
            break;
        }
        if (row >= first && b->quote_rows < BH_BATCH_QUOTES) {
            q.row = (uint16_t)(row - first);
            b->quotes[b->quote_rows++] = q;
        }
    }
    r->quotes_size = bh_cur_left(&c);
    r->quotes = c.at;
}

static void
rows_seen(struct block_rows *r, struct bh_batch *b, uint32_t first, uint32_t n)
{
    b->seen_rows = 0;
    while (r->seen_size >= SEEN_SIZE) {
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
        if (row >= first + n) {
            break;
        }
        if (row >= first && b->seen_rows < BH_BATCH_ROWS) {
            s.row = (uint16_t)(row - first);
            b->seen[b->seen_rows++] = s;
        }
        r->seen += SEEN_SIZE;
        r->seen_size -= SEEN_SIZE;
    }
}

/* How many rows fit: a batch has room for 256 quotes only. */
static uint32_t
batch_rows(const struct block_rows *r)
{
    uint32_t n = r->h->rows - r->row < BH_BATCH_ROWS ? r->h->rows - r->row : BH_BATCH_ROWS;
    struct bh_cur c = bh_cur_over(r->quotes, r->quotes_size);
    for (unsigned k = 0; bh_cur_left(&c) >= QUOTE4_SIZE; k++) {
        const uint32_t row = code_get32(&c);
        const uint8_t kind = bh_cur_u8(&c);
        if (row >= r->row + n) {
            break;
        }
        if (k == BH_BATCH_QUOTES && row > r->row) {
            return row - r->row;
        }
        bh_cur_take(&c, (kind == BH_KIND_IP6 ? QUOTE6_SIZE : QUOTE4_SIZE) - 5);
    }
    return n;
}

bool
block_next(struct block_rows *r, const uint16_t *value_of_country, struct bh_batch *b)
{
    struct batch_rows x;
    if (r->row >= r->h->rows) {
        return false;
    }
    const uint32_t n = batch_rows(r);
    const bool cold = (r->h->flags & CHUNK_COLD) != 0 && (r->want & BH_STORE_COLD) != 0;
    bh_batch_reset(b);
    b->rows = n;
    b->want = cold ? BH_WANT_COLD : 0;
    b->lacks = r->h->flags >> CHUNK_LACKS_SHIFT & 15U;
    b->has_weight = (r->h->flags & CHUNK_WEIGHT) != 0;
    b->all_inbound = (r->h->flags & CHUNK_ALL_INBOUND) != 0;
    b->no_tcp_seq = (r->h->flags & CHUNK_NO_SEQ) != 0;
    b->has_country = true;
    rows_time(r, b, n);
    rows_service(r, b, &x, n);
    rows_far(r, value_of_country, b, &x, n);
    rows_addresses(r, b, &x, n);
    rows_shape(r, b, &x, n, cold);
    rows_ports(r, b, &x, n);
    rows_rest(r, b, &x, n, cold);
    rows_quotes(r, b, r->row, n);
    rows_seen(r, b, r->row, n);
    r->row += n;
    return true;
}
