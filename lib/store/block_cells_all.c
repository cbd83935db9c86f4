/* SPDX-License-Identifier: BSD-2-Clause */
/* Many blocks, added up by a crew (block_cells.c has one): the tables of all threads become sums, and these rows. */
#include "cells_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ---- many blocks -------------------------------------------------------------------------------------------- */

static bool
is_one_stretch(const struct block_cells *c, const struct block_head *h)
{
    return c->span == CELLS_NO_SPAN ||
           cells_floor_to(h->min_ns, c->span) == cells_floor_to(h->max_ns, c->span);
}

static void
take_piece(void *arg, uint32_t piece, unsigned worker)
{
    struct block_cells *c = arg;
    struct cells_work *w = &c->work[worker];
    struct cells_block *block = &c->block[piece];
    if (c->is_timed[piece] != 0) {
        return;
    }
    block->result = !is_one_stretch(c, &block->ref->head)
                        ? cells_take_timed(c, w, block, &c->sums[piece], NULL)
                    : c->span != CELLS_NO_SPAN ? cells_take_stretch(c, w, block, &c->sums[piece])
                                               : cells_take_still(c, w, block);
    if (block->result != 0) {
        c->sums[piece].count = 0;
    }
}

/* The block that may move a bound by most; `count`: none. */
static uint32_t
outermost(const struct block_cells *c, uint32_t count, bool is_first)
{
    uint32_t found = count;
    int64_t best = is_first ? c->bounds.first_ns : c->bounds.last_ns;
    for (uint32_t k = 0; k < count; k++) {
        const struct block_head *h = &c->block[k].ref->head;
        if (c->is_timed[k] == 0 && (is_first ? h->min_ns < best : h->max_ns > best)) {
            best = is_first ? h->min_ns : h->max_ns;
            found = k;
        }
    }
    return found;
}

static void
take_outermost(struct block_cells *c, uint32_t count)
{
    for (unsigned side = 0; side < 2; side++) {
        for (uint32_t k; (k = outermost(c, count, side == 0)) < count;) {
            c->block[k].result =
                cells_take_timed(c, &c->work[0], &c->block[k], &c->sums[k], &c->bounds);
            c->sums[k].count = c->block[k].result == 0 ? c->sums[k].count : 0;
            c->is_timed[k] = 1;
        }
    }
}

/* The tables of all threads, as sums. */
static bool
fold_codes(struct block_cells *c)
{
    struct cells_work *w = &c->work[0];
    for (uint32_t code = 0; code < CODES; code++) {
        const unsigned kind = c->kind_of[code];
        for (unsigned k = 0; k < crew_size(c->crew); k++) {
            if (!c->work[k].is_used) {
                continue;
            }
            uint32_t *from = c->work[k].code + (size_t)code * c->stride;
            uint32_t *to = kind == NO_KIND ? NULL : w->cell + (size_t)kind * c->stride;
            for (uint32_t i = 0; to != NULL && i < c->stride; i++) {
                to[i] += from[i];
            }
            memset(from, 0, c->stride * sizeof *from);
        }
    }
    for (unsigned k = 1; k < crew_size(c->crew); k++) {
        for (size_t i = 0; c->work[k].is_used && i < (size_t)c->kinds * c->stride; i++) {
            w->cell[i] += c->work[k].cell[i];
            c->work[k].cell[i] = 0;
        }
    }
    for (uint32_t at = 0; at < c->kinds * c->stride; at++) {
        if (w->cell[at] > 0) {
            const uint32_t kind = at / c->stride;
            cells_put_sum(&c->all,
                          &(struct sum){ c->bounds.first_ns, c->group[kind], c->port[kind],
                                         w->cell[at], (uint16_t)(at % c->stride) },
                          &w->failed);
            w->cell[at] = 0;
        }
    }
    return !w->failed;
}

/* Their lists of ports, sorted. */
static bool
fold_lone(struct block_cells *c)
{
    size_t n = 0;
    for (unsigned k = 0; k < crew_size(c->crew); k++) {
        n += c->work[k].lone_count;
    }
    if (n > c->lone_room) {
        free(c->lone);
        c->lone = malloc(n * sizeof *c->lone);
        c->lone_room = c->lone == NULL ? 0 : n;
    }
    if (n > 0 && c->lone == NULL) {
        return false;
    }
    for (unsigned k = 0; k < crew_size(c->crew); k++) {
        struct cells_work *w = &c->work[k];
        if (w->lone_count > 0) {
            memcpy(c->lone + c->lone_count, w->lone, w->lone_count * sizeof *w->lone);
        }
        c->lone_count += w->lone_count;
        w->lone_count = 0;
    }
    const uint64_t most = (uint64_t)c->places * c->stride << 16;
    return bh_sort64(c->lone, n, 0, 64U - (unsigned)__builtin_clzll(most | 1)) == 0;
}

void
block_cells_take(struct block_cells *c, struct cells_block *block, uint32_t count,
                 struct cells_bounds *bounds)
{
    c->block = block;
    c->blocks = count;
    c->bounds = *bounds;
    c->next_block = c->next = c->all.count = 0;
    c->lone_count = c->lone_next = 0;
    memset(c->is_timed, 0, sizeof c->is_timed);
    for (uint32_t k = 0; k < count; k++) {
        c->sums[k].count = 0;
    }
    take_outermost(c, count);
    crew_run(c->crew, take_piece, c, count);
    bool ok = fold_codes(c) && fold_lone(c);
    for (unsigned k = 0; k < crew_size(c->crew); k++) {
        c->work[k].is_used = false;
    }
    for (uint32_t k = 0; k < count && !ok; k++) {
        block[k].result = -ENOMEM;
    }
    *bounds = c->bounds;
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

static void
put(struct bh_batch *b, const struct sum *x, uint16_t value)
{
    const uint32_t i = b->rows++;
    const uint32_t port = x->port == PORT_ANY ? 0 : x->port;
    b->ts_ns[i] = x->ts_ns;
    b->cls[i] = BH_CLASS_ACCESS;
    b->direction[i] = (uint8_t)group_direction(x->group);
    b->kind[i] = (uint8_t)group_kind(x->group);
    b->proto[i] = (uint8_t)group_proto(x->group);
    b->ports[i] = group_in_front(x->group) ? port << 16 : port;
    b->country[i] = value;
    b->weight[i] = x->count;
    b->src[i] = b->dst[i] = b->ip_len[i] = b->tcp_seq[i] = 0;
    b->payload_len[i] = b->layers[i] = 0;
    b->tcp_flags[i] = b->marks[i] = b->reason[i] = 0;
    b->outcome[i] = BH_OUTCOME_NONE;
}

static void
put_lone(struct block_cells *c, const uint16_t *value_of_country, struct bh_batch *b)
{
    while (c->lone_next < c->lone_count && b->rows < BH_BATCH_ROWS) {
        const uint64_t key = c->lone[c->lone_next];
        uint32_t n = 1;
        while (c->lone_next + n < c->lone_count && c->lone[c->lone_next + n] == key) {
            n++;
        }
        c->lone_next += n;
        const uint32_t place = (uint32_t)(key >> 16) / c->stride,
                       country = (uint32_t)(key >> 16) % c->stride;
        put(b,
            &(struct sum){ c->bounds.first_ns, c->place_group[place], key & 0xffff, n,
                           (uint16_t)country },
            value_of_country[country]);
    }
}

bool
block_cells_next(struct block_cells *c, const uint16_t *value_of_country, struct bh_batch *b)
{
    bh_batch_reset(b);
    b->want = 0;
    b->lacks = c->blocks == 0 ? 0 : c->block[0].ref->head.flags >> CHUNK_LACKS_SHIFT & 15U;
    b->has_weight = true;
    b->all_inbound = false;
    b->no_tcp_seq = true;
    b->has_country = true;
    b->ip6[0] =
        (struct bh_ip6_pair){ 0, 0, 0, 0 }; /* all IPv6 rows have the same addresses: none */
    while (c->next_block <= c->blocks && b->rows < BH_BATCH_ROWS) {
        const struct sums *s = c->next_block < c->blocks ? &c->sums[c->next_block] : &c->all;
        for (; c->next < s->count && b->rows < BH_BATCH_ROWS; c->next++) {
            put(b, &s->sum[c->next], value_of_country[s->sum[c->next].country]);
        }
        if (c->next == s->count) {
            c->next_block++;
            c->next = 0;
        }
    }
    put_lone(c, value_of_country, b);
    b->v6_rows = b->rows > 0;
    return b->rows > 0;
}
