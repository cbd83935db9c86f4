/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The accesses of a block, added up: those of one country, one hour, and one group (or one service) come as one
 * row with a weight, at the time of the first of them, and one more at the time of the last. Who counts accesses
 * by such things is spared a row for each, and the other columns are not unpacked.
 *
 * A row costs one place of a table of groups x countries, which stays in the second-level cache.
 */
#include "block_rows_priv.h"

#include <errno.h>
#include <stdlib.h>

#define NO_KIND UINT16_MAX
#define KINDS_MOST 1024U
#define CELLS_MOST (1U << 20)

struct cell {
    int64_t first_ns, last_ns;
    uint32_t count;
};
struct block_cells {
    struct cell *cell; /* [kind * countries + country] */
    uint32_t *used, used_count, next, room;
    bool second; /* of the cell at `next`: its last row is still to come */
    uint16_t
        kind_of[CODES]; /* of a service; NO_KIND: no access, or its ports are told one by one */
    uint16_t *kind_of_group;    /* of rows with code 255 */
    uint32_t group[KINDS_MOST]; /* of a kind: packed */
    uint32_t port[KINDS_MOST];  /* PORT_ANY: not told */
    uint32_t kinds;
    bool by_service;
    /* Rows whose port stands in a list, when ports are told. */
    struct lone {
        int64_t ts_ns;
        uint32_t group;
        uint16_t port, country;
    } * lone;
    uint32_t lones, lone_next;
    uint32_t listed_at, group_at; /* in the lists of services */
};

void
block_cells_free(struct block_cells *c)
{
    if (c != NULL) {
        free(c->cell);
        free(c->used);
        free(c->kind_of_group);
        free(c->lone);
        free(c);
    }
}

/* Is it known of all records when they came? */
static bool
has_times(const struct dict *d)
{
    bool bad = false;
    for (uint32_t k = 0; k < d->form_count; k++) {
        bad |= (d->form[k].marks & BH_MARK_BAD_TIME) != 0;
    }
    return !bad;
}

static uint16_t
kind_for(struct block_cells *c, uint32_t group, uint32_t port)
{
    uint32_t k = 0;
    if (group_cls(group) != BH_CLASS_ACCESS) {
        return NO_KIND;
    }
    while (k < c->kinds && (c->group[k] != group || c->port[k] != port)) {
        k++;
    }
    if (k == c->kinds && k < KINDS_MOST) {
        c->group[k] = group;
        c->port[k] = port;
        c->kinds++;
    }
    return k < KINDS_MOST ? (uint16_t)k : NO_KIND - 1;
}

static int
make_kinds(struct block_cells *c, const struct dict *d)
{
    uint16_t *of = realloc(c->kind_of_group, (d->group_count + 1UL) * sizeof *of);
    if (of == NULL) {
        return -ENOMEM;
    }
    c->kind_of_group = of;
    c->kinds = 0;
    bool fits = true;
    for (uint32_t k = 0; k < d->service_count; k++) {
        const uint32_t port = d->service[k].port;
        const bool alone = c->by_service && port == PORT_ANY;
        c->kind_of[k] =
            alone ? NO_KIND
                  : kind_for(c, d->group[d->service[k].group], c->by_service ? port : PORT_ANY);
        fits &= c->kind_of[k] != NO_KIND - 1;
    }
    for (uint32_t k = 0; k < d->group_count; k++) {
        of[k] = c->by_service ? NO_KIND : kind_for(c, d->group[k], PORT_ANY);
        fits &= of[k] != NO_KIND - 1;
    }
    return fits ? 0 : BH_ELIMIT;
}

int
block_cells_begin(struct block_cells **cells, const struct dict *d, bool by_service)
{
    if (!has_times(d)) {
        return BH_ELIMIT;
    }
    if (*cells == NULL) {
        *cells = calloc(1, sizeof **cells);
        if (*cells != NULL) {
            (*cells)->lone = malloc((BLOCK_ROWS + 1UL) * sizeof *(*cells)->lone);
            (*cells)->used = malloc((BLOCK_ROWS + 1UL) * sizeof *(*cells)->used);
        }
    }
    struct block_cells *c = *cells;
    if (c == NULL || c->lone == NULL || c->used == NULL) {
        return -ENOMEM;
    }
    c->by_service = by_service;
    int r = make_kinds(c, d);
    const uint64_t room = (uint64_t)(c->kinds + 1) * (d->country_count + 1UL);
    if (r != 0 || room > CELLS_MOST) {
        return r != 0 ? r : BH_ELIMIT;
    }
    if (room > c->room) {
        free(c->cell);
        c->cell = calloc(room, sizeof *c->cell);
        c->room = c->cell == NULL ? 0 : (uint32_t)room;
    }
    return c->cell == NULL ? -ENOMEM : 0;
}

void
block_cells_block(struct block_cells *c)
{
    c->used_count = c->next = c->lones = c->lone_next = c->listed_at = c->group_at = 0;
    c->second = false;
}

/* ---- adding up ------------------------------------------------------------------------------------------ */

static const int64_t units[4] = { 1, 1000, 1000000, 1000000000 };

static inline int64_t
step(struct block_rows *r, uint32_t i, uint64_t unit)
{
    const unsigned symbol = r->time[i];
    const struct code_step *s = &code_steps[symbol];
    uint64_t ts = (uint64_t)r->ts_ns;
    if (BH_LIKELY(symbol < CODE_STEP_BACK)) {
        ts += (s->base + code_bits_get(&r->time_bits, s->bits)) * unit;
    } else if (symbol == CODE_STEP_BACK) {
        ts -= code_bits_get(&r->time_bits, 32) * unit;
    } else {
        const uint64_t low = code_bits_get(&r->time_bits, 32);
        ts += low | (uint64_t)code_bits_get(&r->time_bits, 32) << 32;
    }
    r->ts_ns = (int64_t)ts;
    return r->ts_ns;
}

static int64_t
floor_to(int64_t ts, int64_t span)
{
    const int64_t over = ts % span;
    return over < 0 ? ts - over - span : ts - over;
}

static inline void
add(struct block_cells *c, uint32_t at, int64_t ts)
{
    struct cell *x = &c->cell[at];
    if (x->count++ == 0) {
        c->used[c->used_count++] = at;
        x->first_ns = x->last_ns = ts;
    }
    x->first_ns = ts < x->first_ns ? ts : x->first_ns;
    x->last_ns = ts > x->last_ns ? ts : x->last_ns;
}

/* The rows up to the end of a span of time. */
static void
add_span(struct block_rows *r, struct block_cells *c, int64_t span)
{
    const struct dict *d = r->d;
    const uint64_t unit = (uint64_t)units[r->h->unit];
    int64_t begin = INT64_MIN, end = INT64_MIN;
    c->used_count = c->next = c->lones = c->lone_next = 0;
    for (; r->row < r->h->rows; r->row++) {
        const uint32_t i = r->row;
        const struct code_bits_in before = r->time_bits;
        const int64_t ts_before = r->ts_ns, ts = step(r, i, unit);
        if (begin == INT64_MIN && end == INT64_MIN) {
            begin = floor_to(ts, span);
            end = begin + span;
        } else if (ts < begin || ts >= end) {
            r->time_bits = before; /* it begins the next span */
            r->ts_ns = ts_before;
            return;
        }
        const unsigned code = r->service[i];
        const uint32_t country =
            r->country[i] | (r->wide_country ? (uint32_t)r->country_high[i] << 8 : 0);
        const bool listed = code == CODE_OTHER || d->service[code].port == PORT_ANY;
        const uint16_t port = listed ? (uint16_t)r->service_port.v[c->listed_at++] : 0;
        const uint32_t group =
            code == CODE_OTHER ? r->service_group.v[c->group_at++] : d->service[code].group;
        const unsigned kind = code == CODE_OTHER ? c->kind_of_group[group] : c->kind_of[code];
        if (BH_LIKELY(kind != NO_KIND)) {
            add(c, kind * d->country_count + country, ts);
        } else if (listed && c->by_service && group_cls(d->group[group]) == BH_CLASS_ACCESS) {
            c->lone[c->lones++] = (struct lone){ ts, d->group[group], port, (uint16_t)country };
        }
    }
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

static void
put(struct bh_batch *b, uint32_t group, uint32_t port, uint16_t value, int64_t ts, uint32_t weight)
{
    const uint32_t i = b->rows++;
    b->ts_ns[i] = ts;
    b->cls[i] = BH_CLASS_ACCESS;
    b->direction[i] = (uint8_t)group_direction(group);
    b->kind[i] = (uint8_t)group_kind(group);
    b->proto[i] = (uint8_t)group_proto(group);
    b->ports[i] = group_in_front(group) ? port << 16 : port;
    b->country[i] = value;
    b->weight[i] = weight;
    b->src[i] = b->dst[i] = b->ip_len[i] = b->tcp_seq[i] = 0;
    b->payload_len[i] = b->layers[i] = 0;
    b->tcp_flags[i] = b->marks[i] = b->reason[i] = 0;
    b->outcome[i] = BH_OUTCOME_NONE;
}

static void
put_cells(struct block_cells *c, const struct dict *d, const uint16_t *value_of_country,
          struct bh_batch *b)
{
    while (c->next < c->used_count && b->rows < BH_BATCH_ROWS) {
        struct cell *x = &c->cell[c->used[c->next]];
        const uint32_t kind = c->used[c->next] / d->country_count,
                       country = c->used[c->next] % d->country_count;
        const uint32_t port = c->port[kind] == PORT_ANY ? 0 : c->port[kind];
        const bool two = x->count > 1 && !c->second;
        put(b, c->group[kind], port, value_of_country[country],
            c->second ? x->last_ns : x->first_ns, two ? x->count - 1 : 1);
        c->second = two;
        if (!two) {
            x->count = 0;
            c->next++;
        }
    }
    for (; c->lone_next < c->lones && b->rows < BH_BATCH_ROWS; c->lone_next++) {
        const struct lone *l = &c->lone[c->lone_next];
        put(b, l->group, l->port, value_of_country[l->country], l->ts_ns, 1);
    }
}

bool
block_cells_next(struct block_rows *r, struct block_cells *c, int64_t span,
                 const uint16_t *value_of_country, struct bh_batch *b)
{
    bh_batch_reset(b);
    b->want = 0;
    b->lacks = r->h->flags >> CHUNK_LACKS_SHIFT & 15U;
    b->has_weight = true;
    b->all_inbound = (r->h->flags & CHUNK_ALL_INBOUND) != 0;
    b->no_tcp_seq = true;
    b->has_country = true;
    b->v6_rows = 1; /* all IPv6 rows have the same addresses: none */
    b->ip6[0] = (struct bh_ip6_pair){ 0, 0, 0, 0 };
    for (;;) {
        put_cells(c, r->d, value_of_country, b);
        if (b->rows == BH_BATCH_ROWS || r->row == r->h->rows) {
            b->v6_rows = b->rows > 0;
            return b->rows > 0;
        }
        add_span(r, c, span);
    }
}
