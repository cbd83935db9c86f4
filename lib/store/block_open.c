/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening a block: its lists of octets and numbers are unpacked (half a megabyte, so that they stay in
 * the second-level cache); block_get.c then puts rows together.
 *
 * A block with a right sum may still be an enemy's: every code is compared with the dictionary's
 * counts before it is used, and what does not fit makes the whole block damaged, in block_open(),
 * before any row of it is handed out.
 */
#include "sieve_priv.h"

#include <errno.h>
#include <stdlib.h>

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
    some_free(r->some);
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
    /* one behind the other: up to the last that is wanted */
    for (unsigned s = 0; r->streams >> s != 0; s++) {
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

static bool
open_country(struct block_rows *r, const uint8_t *body)
{
    struct bh_cur c;
    r->wide_country = r->d->country_count > 256;
    return column_of(r, body, COLUMN_COUNTRY, &c) && code_get_octets(&c, r->country, r->h->rows) &&
           (!r->wide_country || code_get_octets(&c, r->country_high, r->h->rows));
}

static bool
open_symbols(struct block_rows *r, const uint8_t *body)
{
    struct bh_cur c;
    r->last_far = UINT32_MAX;
    return column_of(r, body, COLUMN_FAR, &c) && code_get_octets(&c, r->far, r->h->rows) &&
           bits_get(&c, &r->far_bits);
}

/* Country and far end must fit together: only then there is a group to look into. */
static bool
open_far(struct block_rows *r, const uint8_t *body)
{
    const struct dict *d = r->d;
    const uint32_t rows = r->h->rows;
    if (!open_country(r, body) || !open_symbols(r, body)) {
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

static void
begin(struct block_rows *r, const struct dict *d, const struct block_head *h, uint32_t want)
{
    r->d = d;
    r->h = h;
    r->want = want;
    r->streams = (1U << STREAMS) - 1;
    r->row = 0;
    r->ts_ns = h->first_ns;
    r->outcome_at = 0;
    r->side.len = 0;
    r->side.failed = false;
    r->is_sieved = r->no_times = r->no_near = false;
}

static bool
open_time(struct block_rows *r, const uint8_t *body)
{
    struct bh_cur c;
    return column_of(r, body, COLUMN_TIME, &c) && code_get_octets(&c, r->time, r->h->rows) &&
           bits_get(&c, &r->time_bits);
}

static bool
open_outcome(struct block_rows *r, const uint8_t *body)
{
    struct bh_cur c;
    const uint32_t rows = r->stream_rows[STREAM_KNOCK];
    bool ok = column_of(r, body, COLUMN_OUTCOME, &c) && code_get_octets(&c, r->outcome, rows);
    for (uint32_t i = 0; ok && i < rows; i++) {
        ok = r->outcome[i] < BH_OUTCOME_COUNT;
    }
    return ok;
}

/* All but service, country and far ends. */
static bool
open_rest(struct block_rows *r, const uint8_t *body)
{
    const struct block_head *h = r->h;
    const uint32_t want = r->want, lacks = h->flags >> CHUNK_LACKS_SHIFT;
    struct bh_cur c;
    bool ok = open_shape(r, body);
    ok = ok && (r->no_times || open_time(r, body));
    ok = ok && ((r->streams >> STREAM_KNOCK & 1) == 0 || open_outcome(r, body));
    for (unsigned s = 0; s < STREAMS && ok; s++) {
        ok = (r->streams >> s & 1) == 0 ||
             (s == STREAM_KNOCK && (want & BH_STORE_KNOCK_PORT) == 0) || open_other(r, body, s);
    }
    ok = ok && (r->no_near || open_near(r, body));
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
    return ok;
}

int
block_open(struct block_rows *r, const struct dict *d, const struct block_head *h,
           const uint8_t *body, uint32_t want)
{
    begin(r, d, h, want);
    return open_service(r, body) && open_far(r, body) && open_rest(r, body) ? 0 : BH_EDAMAGED;
}

int
block_open_codes(struct block_rows *r, const struct dict *d, const struct block_head *h,
                 const uint8_t *body, bool time)
{
    begin(r, d, h, 0);
    if (!open_service(r, body) || !open_country(r, body) || (time && !open_time(r, body))) {
        return BH_EDAMAGED;
    }
    unsigned beyond = 0;
    if (!r->wide_country) {
        uint8_t most = 0;
        for (uint32_t i = 0; i < h->rows; i++) {
            most = r->country[i] > most ? r->country[i] : most;
        }
        return most < d->country_count ? 0 : BH_EDAMAGED;
    }
    for (uint32_t i = 0; i < h->rows; i++) {
        beyond |= (r->country[i] | (unsigned)r->country_high[i] << 8) >= d->country_count;
    }
    return beyond == 0 ? 0 : BH_EDAMAGED;
}

int
block_open_some(struct block_rows *r, const struct dict *d, const struct block_head *h,
                const uint8_t *body, uint32_t want, const struct sieve *s, uint64_t *ret_unknown,
                bool *ret_more)
{
    *ret_unknown = 0;
    *ret_more = true;
    if ((want & BH_STORE_QUOTES) != 0 && h->column[COLUMN_QUOTES].size > 0) {
        return block_open(r, d, h, body, want);
    }
    begin(r, d, h, want);
    if (!open_service(r, body) || !open_country(r, body)) {
        return BH_EDAMAGED;
    }
    int res = some_choose(r, s);
    if (res != 0) {
        return res;
    }
    *ret_unknown = r->some->unknown;
    *ret_more = r->some->count > 0;
    r->is_sieved = true;
    if (r->some->count == 0) {
        r->row = h->rows;
        return 0;
    }
    some_spell(r);
    /* that: not all of it is in the period */
    r->no_times = (want & BH_STORE_TIME) == 0 && !s->unknown_too;
    return open_symbols(r, body) && open_rest(r, body) ? some_take(r, s) : BH_EDAMAGED;
}
