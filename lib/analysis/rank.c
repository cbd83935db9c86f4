/* SPDX-License-Identifier: BSD-2-Clause */
/* The top ports of a place, out of its cells. */
#include "trend_priv.h"

#include <errno.h>
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
    return (struct bh_trend_port){ .port = (uint16_t)cell,
                                   .proto = (cell >> 16 & 1) != 0 ? BH_PROTO_UDP : BH_PROTO_TCP,
                                   .count = count };
}

uint64_t
cell_sources(const struct build *b, uint32_t cell)
{
    const struct cells *c = b->t->cells;
    const unsigned bit = frequent_bit(&b->t->frequent, cell & 0x1ffff);
    const uint64_t exact =
        cell_get(c, cell, CELL_SOURCES) + (bit == 0 ? 0 : b->frequent[cell >> 17][bit]);
    if (!sketches_has(&c->sketches, cell)) {
        return exact;
    }
    const uint64_t count = cell_get(c, cell, CELL_COUNT);
    return exact + sketches_get(&c->sketches, cell, count > exact ? count - exact : 0);
}

/* Has the number of accesses of this cell digits beyond a level, or below it? */
static bool
has_digits(const struct cells *c, uint32_t cell, unsigned from, unsigned to)
{
    for (unsigned level = from; level < to; level++) {
        if ((digit_get(&c->both, level, cell) & 15) != 0) {
            return true;
        }
    }
    return false;
}

/* From the highest digits down, as most cells have none and cannot get into the list then. */
static uint64_t
top_accesses(const struct build *b, uint32_t place, struct top *top)
{
    const struct cells *c = b->t->cells;
    uint64_t distinct = 0;
    for (unsigned level = DIGIT_LEVELS; level-- > 0;) {
        struct digit it = { 0 };
        while (digit_next(&c->both, level, place, &it)) {
            const unsigned digit = it.octet & 15;
            if (digit == 0) {
                continue;
            }
            distinct += !has_digits(c, it.cell, 0, level);
            const bool may = top->count < top->k || (top->k > 0 && (digit + 1ULL) << 4 * level >
                                                                       top->port[top->k - 1].count);
            /* or it was offered already */
            if (may && !has_digits(c, it.cell, level + 1, DIGIT_LEVELS)) {
                top_offer(top, port_of_cell(it.cell, cell_get(c, it.cell, CELL_COUNT)));
            }
        }
    }
    return distinct;
}

static uint64_t
top_sources(const struct build *b, uint32_t place, struct top *top)
{
    const struct cells *c = b->t->cells;
    uint64_t distinct = 0;
    for (unsigned level = 0; level < DIGIT_LEVELS; level++) {
        struct digit it = { 0 };
        while (digit_next(&c->both, level, place, &it)) {
            if ((it.octet & 15) != 0 && !has_digits(c, it.cell, 0, level)) {
                distinct++;
                top_offer(top, port_of_cell(it.cell, cell_sources(b, it.cell)));
            }
        }
    }
    return distinct;
}

size_t
tally_top(const struct bh_tally *t, uint32_t place, size_t k, bool sources,
          struct bh_trend_port *ret)
{
    const struct build b = { .t = (struct bh_tally *)(uintptr_t)t };
    struct top top = { ret, 0, k };
    if (sources) {
        top_sources(&b, place, &top);
        while (top.count > 0 && top.port[top.count - 1].count == 0) {
            top.count--; /* not counted yet */
        }
    } else {
        top_accesses(&b, place, &top);
    }
    return top.count;
}

static uint64_t
top_wide(const struct digits *wide, uint32_t place, struct top *top)
{
    uint64_t distinct = 0;
    for (unsigned level = 0; level < DIGIT_LEVELS / 2; level++) {
        struct digit it = { 0 };
        while (digit_next(wide, level, place, &it)) {
            bool below = false; /* then it was offered already */
            for (unsigned k = 0; k < level && !below; k++) {
                below = digit_get(wide, k, it.cell) != 0;
            }
            if (!below) {
                distinct++;
                top_offer(top, port_of_cell(it.cell, digits_get_wide(wide, it.cell)));
            }
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
    uint64_t rest = cell_get(b->t->cells, cell, CELL_COUNT);
    for (unsigned o = 1; o < BH_OUTCOME_COUNT; o++) {
        if (kind_of[o] != 0) {
            p->outcomes[o] = cell_get(b->t->cells, cell, (enum cell_kind)kind_of[o]);
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
    out->ports_distinct = wide                        ? top_wide(&b->t->cells->wide, place, &top)
                          : unit == BH_COUNT_ACCESSES ? top_accesses(b, place, &top)
                                                      : top_sources(b, place, &top);
    if (b->t->cfg.rolled) {
        out->ports_distinct = 0; /* roll-ups do not tell it */
    }
    for (size_t i = 0; i < top.count; i++) {
        uint32_t cell = cell_of(place, top.port[i].proto, top.port[i].port);
        top.port[i].sources = cell_sources(b, cell);
        fill_outcomes(b, cell, &top.port[i]);
    }
    out->ports = top.port;
    out->port_count = top.count;
    return 0;
}

int
sensor_ports(const struct build *b, uint32_t sensor, size_t k, struct bh_trend_sensor *out)
{
    struct top top = { calloc(k + 1, sizeof *top.port), 0, k };
    if (top.port == NULL) {
        return -ENOMEM;
    }
    top_wide(&b->t->sensors.ports, sensor, &top);
    out->ports = top.port;
    out->port_count = top.count;
    return 0;
}

uint64_t
cell_unit(const struct build *b, uint32_t cell)
{
    switch (b->t->cfg.count) {
    case BH_COUNT_ACCESSES:
        return cell_get(b->t->cells, cell, CELL_COUNT);
    case BH_COUNT_SOURCES:
        return cell_sources(b, cell);
    default:
        return digits_get_wide(&b->t->cells->wide, cell);
    }
}
