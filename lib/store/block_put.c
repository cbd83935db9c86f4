/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A chunk as a block: columns that can be read each alone, one after the other. What a column
 * holds, and by what it is told apart, is in docs/format/log.md.
 */
#include "block_put_priv.h"

void
block_finish_column(struct put *p, enum column column)
{
    const size_t at = p->body_at + p->head.body_size;
    const size_t size = p->body->failed ? 0 : p->body->len - at;
    p->head.column[column].at = (uint32_t)(p->head.body_size);
    p->head.column[column].size = (uint32_t)size;
    p->head.column[column].sum = size == 0 ? 0 : code_sum(p->body->data + at, size);
    p->head.body_size += size;
    code_column_begin(&p->w->code, column + 1U);
}

void
block_put_bits_of(struct put *p)
{
    struct bh_buf *bits = &p->w->bits;
    code_put32(p->body, (uint32_t)bits->len);
    bh_buf_add(p->body, bits->data == NULL ? "" : bits->data, bits->len);
    p->body->failed |= bits->failed;
    bits->len = 0;
    bits->failed = false;
}

/* The coarsest unit that loses nothing. */
static unsigned
unit_of(const struct chunk *c)
{
    uint32_t i = 0;
    while (i < c->rows && c->ts_ns[i] % 1000000000 == 0) {
        i++;
    }
    if (i == c->rows) {
        return 3;
    }
    while (i < c->rows && c->ts_ns[i] % 1000000 == 0) {
        i++;
    }
    if (i == c->rows) {
        return 2;
    }
    while (i < c->rows && c->ts_ns[i] % 1000 == 0) {
        i++;
    }
    return i == c->rows;
}

/* Steps that are no time between two rows of int64: in ns, modulo 2^64. */
static void
put_wide_step(struct code_bits *bits, uint64_t step)
{
    code_bits_put(bits, step & UINT32_MAX, 32);
    code_bits_put(bits, step >> 32, 32);
}

/* Inlined for each unit, so that the division is a multiplication. */
static inline void
put_steps_in(struct put *p, struct code_bits *bits, const int64_t unit)
{
    const int64_t *ts_ns = p->c->ts_ns;
    uint8_t *symbol = p->w->octet;
    int64_t last = ts_ns[0];
    for (uint32_t i = 0; i < p->c->rows; i++) {
        unsigned count;
        uint64_t low;
        /* Without a sign: the ends of int64 may stand side by side. */
        const int64_t step = (int64_t)((uint64_t)ts_ns[i] - (uint64_t)last);
        if (BH_UNLIKELY((step < 0) != (ts_ns[i] < last))) {
            symbol[i] = CODE_STEP_WIDE;
        } else {
            symbol[i] = code_step_symbol(step / unit, &count, &low);
        }
        if (BH_UNLIKELY(symbol[i] == CODE_STEP_WIDE)) {
            put_wide_step(bits, (uint64_t)step);
        } else {
            code_bits_put(bits, low, count);
        }
        last = ts_ns[i];
    }
}

static void
put_time(struct put *p)
{
    struct code_bits bits = code_bits_begin(&p->w->bits, 64ULL * p->c->rows);
    switch (p->head.unit) {
    case 0:
        put_steps_in(p, &bits, 1);
        break;
    case 1:
        put_steps_in(p, &bits, 1000);
        break;
    case 2:
        put_steps_in(p, &bits, 1000000);
        break;
    default:
        put_steps_in(p, &bits, 1000000000);
    }
    code_bits_end(&bits);
    code_put_octets(&p->w->code, p->body, p->w->octet, p->c->rows);
    block_put_bits_of(p);
    block_finish_column(p, COLUMN_TIME);
}

/* The rows of each stream, so that its columns are made without asking every row. */
static void
part_streams(struct put *p)
{
    const struct chunk *c = p->c;
    uint32_t count[STREAMS] = { 0 };
    uint32_t at[STREAMS];
    for (uint32_t i = 0; i < c->rows; i++) {
        count[c->stream[i]]++;
    }
    p->w->stream_at[0] = 0;
    for (unsigned s = 0; s < STREAMS; s++) {
        at[s] = p->w->stream_at[s];
        p->w->stream_at[s + 1] = at[s] + count[s];
    }
    for (uint32_t i = 0; i < c->rows; i++) {
        p->w->row[at[c->stream[i]]++] = (uint16_t)i;
    }
}

static const uint16_t *
rows_of(const struct put *p, unsigned stream, uint32_t *ret_count)
{
    *ret_count = p->w->stream_at[stream + 1] - p->w->stream_at[stream];
    return p->w->row + p->w->stream_at[stream];
}

static void
put_service(struct put *p)
{
    const struct chunk *c = p->c;
    const struct dict *d = p->d;
    struct block_work *w = p->w;
    uint32_t groups = 0, ports = 0;
    uint8_t has_port[CODES] = { 0 }; /* in the list behind */
    has_port[CODE_OTHER] = 1;
    for (uint32_t k = 0; k < d->service_count; k++) {
        has_port[k] = d->service[k].port == PORT_ANY;
    }
    for (uint32_t i = 0; i < c->rows; i++) {
        __builtin_prefetch(
            &d->service_code[c->service[i + BLOCK_AHEAD < c->rows ? i + BLOCK_AHEAD : i]]);
        const uint32_t id = c->service[i];
        const uint8_t code = d->service_code[id];
        w->service[i] = code;
        /* else its group is not asked for: another cold line */
        if (BH_UNLIKELY(code == CODE_OTHER)) {
            w->second[groups++] = d->service_group[id];
        }
        w->number[ports] = c->port[i];
        ports += has_port[code];
    }
    code_put_octets(&w->code, p->body, w->service, c->rows);
    code_put_numbers(&w->code, p->body, w->second, groups);
    code_put_numbers(&w->code, p->body, w->number, ports);
    block_finish_column(p, COLUMN_SERVICE);
}

static void
put_shape(struct put *p)
{
    const struct chunk *c = p->c;
    struct block_work *w = p->w;
    for (unsigned s = 0; s < STREAMS; s++) {
        uint32_t n, others = 0;
        const uint16_t *row = rows_of(p, s, &n);
        for (uint32_t k = 0; k < n; k++) {
            const uint32_t id = c->shape[row[k]];
            w->octet[k] = p->d->shape_code[id];
            w->number[others] = id;
            others += w->octet[k] == CODE_OTHER;
        }
        for (uint32_t k = 0; k < others; k++) {
            const uint64_t key = p->t->shape.key[w->number[k]];
            w->number[k] = p->d->form_code[shape_form(key)];
            w->second[k] = shape_len(key);
        }
        code_put_octets(&w->code, p->body, w->octet, n);
        code_put_numbers(&w->code, p->body, w->number, others);
        code_put_numbers(&w->code, p->body, w->second, others);
    }
    block_finish_column(p, COLUMN_SHAPE);
}

static void
put_other_directly(struct put *p, unsigned stream, const uint16_t *row, uint32_t n)
{
    struct block_work *w = p->w;
    for (uint32_t k = 0; k < n; k++) {
        w->number[k] = p->c->other[row[k]];
    }
    memset(w->octet, 0, n);
    code_put_octets(&w->code, p->body, w->octet, n);
    code_put_numbers(&w->code, p->body, w->number, n);
    block_finish_column(p, (enum column)(COLUMN_OTHER_KNOCK + stream));
}

/* The other port: often what the same far end had last. */
static void
put_other(struct put *p, unsigned stream)
{
    const struct chunk *c = p->c;
    struct block_work *w = p->w;
    uint16_t last[LAST_OTHER] = { 0 }, nobody = 0;
    uint32_t n, misses = 0;
    const uint16_t *row = rows_of(p, stream, &n);
    if (p->d->far_direct) { /* of no entry is anything kept */
        put_other_directly(p, stream, row, n);
        return;
    }
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t entry = w->entry[row[k]];
        const uint16_t other = c->other[row[k]];
        uint16_t *before = entry != UINT32_MAX ? &last[entry % LAST_OTHER] : &nobody;
        const bool hit = entry != UINT32_MAX && *before == other;
        *before = other;
        w->second[k] = other;
        w->octet[k] = hit;
        w->number[misses] = other;
        misses += !hit;
    }
    const uint32_t hits = n - misses;
    if (hits < n / 32) {
        memset(w->octet, 0, n);
        code_put_octets(&w->code, p->body, w->octet, n);
        code_put_numbers(&w->code, p->body, w->second, n);
    } else {
        code_put_octets(&w->code, p->body, w->octet, n);
        code_put_numbers(&w->code, p->body, w->number, misses);
    }
    block_finish_column(p, (enum column)(COLUMN_OTHER_KNOCK + stream));
}

static void
put_outcome(struct put *p)
{
    const struct chunk *c = p->c;
    uint32_t n;
    const uint16_t *row = rows_of(p, STREAM_KNOCK, &n);
    for (uint32_t k = 0; k < n; k++) {
        p->w->octet[k] = c->outcome[row[k]];
    }
    code_put_octets(&p->w->code, p->body, p->w->octet, n);
    block_finish_column(p, COLUMN_OUTCOME);
}

/* What differs from the TTL that is usual for the far end. */
static void
put_ttl(struct put *p)
{
    const struct chunk *c = p->c;
    for (uint32_t i = 0; i < c->rows; i++) {
        const bool theirs = (c->kind[i] & CHUNK_THEIRS) != 0;
        p->w->octet[i] = theirs ? (uint8_t)(c->ttl[i] - p->w->usual[i]) : 0;
    }
    code_put_octets(&p->w->code, p->body, p->w->octet, c->rows);
    block_finish_column(p, COLUMN_TTL);
}

static void
put_tcp_numbers(struct put *p, const uint32_t *wide, const uint16_t *narrow, enum column column)
{
    for (unsigned s = STREAM_KNOCK; s <= STREAM_TCP; s++) {
        uint32_t n;
        const uint16_t *row = rows_of(p, s, &n);
        for (uint32_t k = 0; k < n; k++) {
            p->w->number[k] = wide != NULL ? wide[row[k]] : narrow[row[k]];
        }
        code_put_numbers(&p->w->code, p->body, p->w->number, n);
    }
    block_finish_column(p, column);
}

static void
put_ip_id(struct put *p)
{
    const struct chunk *c = p->c;
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->rows; i++) {
        p->w->number[n] = c->ip_id[i];
        n += (c->kind[i] & 7) == BH_KIND_IP4;
    }
    code_put_numbers(&p->w->code, p->body, p->w->number, n);
    block_finish_column(p, COLUMN_IP_ID);
}

static void
put_quotes(struct put *p)
{
    struct bh_buf *out = &p->w->bits;
    for (uint32_t k = 0; k < p->c->quote_count; k++) {
        const struct quote_row *q = &p->c->quote[k];
        code_put32(out, q->row - p->c->side_base);
        code_put8(out, q->quote.kind);
        code_put8(out, q->quote.proto);
        code_put8(out, q->quote.has_ports);
        code_put32(out, q->quote.ports);
        if (q->quote.kind == BH_KIND_IP6) {
            code_put64(out, q->quote.ip6.src_hi);
            code_put64(out, q->quote.ip6.src_lo);
            code_put64(out, q->quote.ip6.dst_hi);
            code_put64(out, q->quote.ip6.dst_lo);
        } else {
            code_put32(out, q->quote.src);
            code_put32(out, q->quote.dst);
        }
    }
    code_put32(p->body, p->c->quote_count);
    code_put32(p->body, (uint32_t)out->len);
    code_put_octets(&p->w->code, p->body, (const uint8_t *)out->data, out->len);
    p->body->failed |= out->failed;
    out->len = 0;
    block_finish_column(p, COLUMN_QUOTES);
}

static void
put_seen(struct put *p)
{
    struct bh_buf *out = &p->w->bits;
    for (uint32_t k = 0; k < p->c->seen_count; k++) {
        const struct seen_row *s = &p->c->seen[k];
        code_put32(out, s->row - p->c->side_base);
        code_put16(out, s->seen.port);
        code_put8(out, s->seen.port_proto);
        code_put8(out, (uint8_t)(s->seen.has_src4 | s->seen.has_src6 << 1));
        code_put32(out, s->seen.src4);
        code_put64(out, s->seen.src6_hi);
        code_put64(out, s->seen.src6_lo);
    }
    code_put32(p->body, p->c->seen_count);
    code_put32(p->body, (uint32_t)out->len);
    code_put_octets(&p->w->code, p->body, (const uint8_t *)out->data, out->len);
    p->body->failed |= out->failed;
    out->len = 0;
    block_finish_column(p, COLUMN_SEEN);
}

static void
put_head(const struct block_head *h, struct bh_buf *out)
{
    uint16_t count = 0;
    for (unsigned k = 0; k < COLUMNS; k++) {
        count = (uint16_t)(count + (h->column[k].size > 0));
    }
    code_put32(out, h->rows);
    code_put32(out, h->flags);
    code_put64(out, (uint64_t)h->first_ns);
    code_put64(out, (uint64_t)h->min_ns);
    code_put64(out, (uint64_t)h->max_ns);
    code_put8(out, h->unit);
    code_put8(out, 0);
    code_put16(out, count);
    for (unsigned k = 0; k < COLUMNS; k++) {
        if (h->column[k].size > 0) {
            code_put32(out, k);
            code_put32(out, h->column[k].at);
            code_put32(out, h->column[k].size);
            code_put64(out, h->column[k].sum);
        }
    }
}

void
block_put(const struct dict *d, const struct terms *t, const struct chunk *c, struct block_work *w,
          struct bh_buf *head, struct bh_buf *body)
{
    struct put p = { .d = d, .t = t, .c = c, .w = w, .body = body, .body_at = body->len };
    p.head.rows = c->rows;
    p.head.flags = c->flags;
    p.head.first_ns = c->rows > 0 ? c->ts_ns[0] : 0;
    p.head.min_ns = c->min_ns;
    p.head.max_ns = c->max_ns;
    p.head.unit = (uint8_t)unit_of(c);
    code_block_begin(&w->code);
    part_streams(&p);
    put_time(&p);
    block_put_far(&p);
    block_put_near(&p);
    put_service(&p);
    put_shape(&p);
    for (unsigned s = 0; s < STREAMS; s++) {
        put_other(&p, s);
    }
    put_outcome(&p);
    const uint32_t lacks = c->flags >> CHUNK_LACKS_SHIFT;
    if ((lacks & BH_LACK_SEQ) == 0) {
        put_tcp_numbers(&p, c->seq, NULL, COLUMN_SEQ);
    }
    if ((c->flags & CHUNK_COLD) != 0) {
        put_ttl(&p);
        if ((lacks & BH_LACK_IP_ID) == 0) {
            put_ip_id(&p);
        }
        if ((lacks & BH_LACK_WINDOW) == 0) {
            put_tcp_numbers(&p, NULL, c->window, COLUMN_WINDOW);
        }
    }
    if ((c->flags & CHUNK_WEIGHT) != 0) {
        code_put_numbers(&w->code, p.body, c->weight, c->rows);
        block_finish_column(&p, COLUMN_WEIGHT);
    }
    if (c->quote_count > 0) {
        put_quotes(&p);
    }
    if (c->seen_count > 0) {
        put_seen(&p);
    }
    code_block_end(&w->code);
    put_head(&p.head, head);
}
