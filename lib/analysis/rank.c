/* SPDX-License-Identifier: BSD-2-Clause */
/* The top ports of a place, out of its cells. */
#include "trend_priv.h"

#include <stdlib.h>

/* Count descending, then port, then protocol (MEANING.md 4). */
bool
port_before(const struct bh_trend_port *a, const struct bh_trend_port *b)
{
    if (a->count != b->count) {
        return a->count > b->count;
    }
    return a->port != b->port ? a->port < b->port : a->proto < b->proto;
}

/* A list of the best k, kept in order: k is small. */
struct top {
    struct bh_trend_port *port;
    size_t count, k;
};

static void
top_offer(struct top *top, struct bh_trend_port x)
{
    if (top->k == 0 || (top->count == top->k && !port_before(&x, &top->port[top->k - 1]))) {
        return;
    }
    size_t at = top->count < top->k ? top->count++ : top->k - 1;
    while (at > 0 && port_before(&x, &top->port[at - 1])) {
        top->port[at] = top->port[at - 1];
        at--;
    }
    top->port[at] = x;
}

static struct bh_trend_port
port_of_cell(uint32_t cell, uint64_t count)
{
    return (struct bh_trend_port){ .port = (uint16_t)cell, .proto = (cell >> 16 & 1) != 0 ? BH_PROTO_UDP : BH_PROTO_TCP, .count = count };
}

uint64_t
cell_sources(const struct build *b, uint32_t cell)
{
    uint64_t n = cell_get(&b->t->cells, cell, CELL_SOURCES) + pairs_sketched(&b->t->pairs, cell);
    unsigned bit = frequent_bit(&b->t->frequent, cell & 0x1ffff);
    return bit == 0 ? n : n + b->frequent[cell >> 17][bit];
}

/* While the cells are few: those of a place are a list. */
static uint64_t
top_few(const struct build *b, uint32_t place, struct top *top)
{
    const bool by_sources = b->t->cfg.count == BH_COUNT_SOURCES;
    uint64_t distinct = 0;
    for (uint32_t i = b->cell_first[place]; i != UINT32_MAX; i = b->cell_next[i]) {
        const struct few_cell *f = &b->t->cells.few[i];
        distinct++;
        top_offer(top, port_of_cell(f->key1 - 1, by_sources ? cell_sources(b, f->key1 - 1) : f->count));
    }
    return distinct;
}

/* Accesses: cells that were carried hold 16 or more, so most cells need no second look. */
static uint64_t
top_accesses(const struct build *b, uint32_t place, struct top *top)
{
    const struct cells *c = &b->t->cells;
    uint64_t distinct = 0;
    for (uint32_t i = b->cell_first[place]; i != UINT32_MAX; i = b->cell_next[i]) {
        const struct map_entry *e = &c->carry.entry[i];
        uint32_t cell = (e->key1 - 1) & (CELLS - 1);
        unsigned low = c->both[cell] & 15;
        distinct += low == 0;
        top_offer(top, port_of_cell(cell, low + 16 * e->value));
    }
    const uint32_t base = place << 17;
    for (uint32_t i = base; i < base + (1U << 17); i += 8) {
        uint64_t eight;
        memcpy(&eight, c->both + i, 8);
        eight &= 0x0f0f0f0f0f0f0f0fULL;
        if (eight == 0) {
            continue;
        }
        for (uint32_t cell = i; cell < i + 8; cell++) {
            unsigned low = c->both[cell] & 15;
            if (low == 0) {
                continue;
            }
            distinct++;
            bool may = top->count < top->k || (top->k > 0 && low >= top->port[top->k - 1].count);
            if (may && map_get(&c->carry, (uint32_t)CELL_COUNT << CELL_BITS | cell) == 0) {
                top_offer(top, port_of_cell(cell, low));
            }
        }
    }
    return distinct;
}

static uint64_t
top_sources(const struct build *b, uint32_t place, struct top *top)
{
    const struct cells *c = &b->t->cells;
    uint64_t distinct = 0;
    for (uint32_t cell = place << 17; cell < (place + 1) << 17; cell++) {
        if (cell_get(c, cell, CELL_COUNT) > 0) {
            distinct++;
            top_offer(top, port_of_cell(cell, cell_sources(b, cell)));
        }
    }
    return distinct;
}

static uint64_t
top_wide(const struct build *b, uint32_t place, struct top *top)
{
    uint64_t distinct = 0;
    for (uint32_t i = 0; i <= b->t->wide.mask; i++) {
        const struct map_entry *e = &b->t->wide.entry[i];
        if (e->key1 != 0 && (e->key1 - 1) >> 17 == place) {
            distinct++;
            top_offer(top, port_of_cell(e->key1 - 1, e->value));
        }
    }
    return distinct;
}

static void
fill_outcomes(const struct build *b, uint32_t cell, struct bh_trend_port *p)
{
    static const uint8_t kind_of[BH_OUTCOME_COUNT] = {
        [BH_OUTCOME_COMPLETE] = CELL_COMPLETE, [BH_OUTCOME_RESET_BY_CLIENT] = CELL_RESET,
        [BH_OUTCOME_HALF_OPEN] = CELL_HALF,    [BH_OUTCOME_REFUSED] = CELL_REFUSED,
        [BH_OUTCOME_UNKNOWN] = CELL_UNKNOWN,
    };
    if (p->proto != BH_PROTO_TCP || !b->t->cfg.outcomes) {
        return;
    }
    uint64_t rest = cell_get(&b->t->cells, cell, CELL_COUNT);
    for (unsigned o = 1; o < BH_OUTCOME_COUNT; o++) {
        if (kind_of[o] != 0) {
            p->outcomes[o] = cell_get(&b->t->cells, cell, (enum cell_kind)kind_of[o]);
            rest -= p->outcomes[o] < rest ? p->outcomes[o] : rest;
        }
    }
    p->outcomes[b->t->two_sided || b->t->cfg.hold ? BH_OUTCOME_SILENT : BH_OUTCOME_UNKNOWN] += rest;
}

int
place_ports(const struct build *b, uint32_t place, size_t k, struct bh_trend_place *out)
{
    struct top top = { calloc(k + 1, sizeof *top.port), 0, k };
    if (top.port == NULL) {
        return -1;
    }
    enum bh_count_unit unit = b->t->cfg.count;
    const bool wide = unit != BH_COUNT_ACCESSES && unit != BH_COUNT_SOURCES;
    out->ports_distinct = wide                           ? top_wide(b, place, &top)
                          : b->t->cells.few != NULL      ? top_few(b, place, &top)
                          : unit == BH_COUNT_ACCESSES    ? top_accesses(b, place, &top)
                                                         : top_sources(b, place, &top);
    for (size_t i = 0; i < top.count; i++) {
        uint32_t cell = cell_of(place, top.port[i].proto, top.port[i].port);
        top.port[i].sources = cell_sources(b, cell);
        fill_outcomes(b, cell, &top.port[i]);
    }
    out->ports = top.port;
    out->port_count = top.count;
    return 0;
}

uint64_t
cell_unit(const struct build *b, uint32_t cell)
{
    switch (b->t->cfg.count) {
    case BH_COUNT_ACCESSES:
        return cell_get(&b->t->cells, cell, CELL_COUNT);
    case BH_COUNT_SOURCES:
        return cell_sources(b, cell);
    default:
        return map_get(&b->t->wide, cell);
    }
}
