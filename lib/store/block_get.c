/* SPDX-License-Identifier: BSD-2-Clause */
/* An open block as batches: the rows are put together a batch at a time, in loops over one column each. */
#include "sieve_priv.h"

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
        batch_put_form(b, i, &d->form[form], len, cold);
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
            const uint8_t usual = x->entry[i] != UINT32_MAX ? r->d->entry_ttl[x->entry[i]] : 0;
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
    if (r->is_sieved) {
        return some_next(r, value_of_country, b);
    }
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
