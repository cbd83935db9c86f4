/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a judge says of each service, port and country, as tables: then a row of a block is judged by two
 * loads. Tables are made anew when a block has other facts than the one before, which is seldom.
 */
#include "sieve_priv.h"

#include <errno.h>
#include <stdlib.h>

/* Are the terms of the summary those of the dictionary? Else it is somebody else's. */
static bool
fits(const struct summary *s, const struct dict *d)
{
    bool same = s->service_count == d->service_count && s->country_count == d->country_count;
    for (uint32_t k = 0; same && k < d->service_count; k++) {
        same = s->group[k] == d->group[d->service[k].group] && s->port[k] == d->service[k].port;
    }
    return same;
}

static void
find_groups(struct sieve *s)
{
    const struct summary *x = &s->plan->summary;
    for (uint32_t g = 0; g < s->d->group_count; g++) {
        for (uint32_t k = x->service_count; k < x->term_count && s->term_of_group[g] == 0; k++) {
            s->term_of_group[g] = x->group[k] == s->d->group[g] ? (uint16_t)(k + 1) : 0;
        }
    }
}

#define GROUPS_MOST 4096U

int
sieve_begin(struct sieve *s, const struct file_plan *plan, const struct bh_judge *judge,
            const struct dict *d, const uint16_t *value_of_country)
{
    sieve_done(s);
    if (!plan->has_summary || judge->country_classes > SIEVE_COUNTRIES ||
        d->group_count > GROUPS_MOST || !fits(&plan->summary, d)) {
        return BH_ELIMIT;
    }
    *s = (struct sieve){ .plan = plan, .judge = judge, .d = d, .ports = judge->port_classes };
    s->service = calloc((size_t)CODES * s->ports, sizeof *s->service);
    s->group = calloc((plan->summary.term_count + 1UL) * s->ports, sizeof *s->group);
    s->term_of_group = calloc(d->group_count + 1UL, sizeof *s->term_of_group);
    s->country_bit = calloc(d->country_count + 256UL, 1);
    s->places = calloc((size_t)d->country_count * FAR_SYMBOLS + 1, sizeof *s->places);
    if (s->places == NULL || s->service == NULL || s->group == NULL || s->term_of_group == NULL ||
        s->country_bit == NULL) {
        sieve_done(s);
        return -ENOMEM;
    }
    find_groups(s);
    for (size_t k = 0; k < (size_t)d->country_count * FAR_SYMBOLS; k++) {
        if (d->group_of[k] != 0) { /* entries are 2^23 at most */
            const struct far_group *g = &d->far_group[d->group_of[k] - 1];
            s->places[k] = PLACE_IS | (uint32_t)g->bits << 24 | g->short_count;
        }
    }
    for (uint32_t k = 0; k < d->country_count; k++) {
        s->country_bit[k] = (uint8_t)(1U << judge->country_class[value_of_country[k]]);
    }
    for (uint32_t k = 0; k < d->service_count; k++) {
        const unsigned stream = d->spelled[k].stream;
        s->has_port[k] = d->service[k].port == PORT_ANY;
        s->stream[k] = stream < STREAM_REST ? 1ULL << (16 * stream) : 0;
    }
    s->has_port[CODE_OTHER] = 1;
    return 0;
}

void
sieve_done(struct sieve *s)
{
    free(s->service);
    free(s->group);
    free(s->term_of_group);
    free(s->country_bit);
    free(s->places);
    *s = (struct sieve){ 0 };
}

static struct sieve_row
judge_term(const struct sieve *s, uint32_t term, const struct bh_facts *of_block, uint64_t ports)
{
    struct sieve_row row = { 0 };
    struct bh_facts x = *of_block;
    const uint32_t g = s->plan->summary.group[term];
    x.cls = (uint8_t)group_cls(g);
    x.direction = (uint8_t)group_direction(g);
    x.kind = (uint8_t)group_kind(g);
    x.proto = (uint8_t)group_proto(g);
    x.in_front = group_in_front(g) != 0;
    x.service_ports = ports;
    for (unsigned c = 0; c < s->judge->country_classes; c++) {
        x.far_countries = 1ULL << c;
        x.odd = false;
        unsigned may = s->judge->truths(s->judge->arg, &x);
        if (segsum_bit(s->odd, term)) {
            x.odd = true;
            may |= s->judge->truths(s->judge->arg, &x);
        }
        const bool unknown = may == BH_MAY_UNKNOWN && !s->unknown_too;
        row.unknown |= (uint8_t)(unknown << c);
        row.pass |= (uint8_t)((may != BH_MAY_NO && !unknown) << c);
    }
    return row;
}

static void
make_tables(struct sieve *s)
{
    const struct summary *x = &s->plan->summary;
    for (uint32_t k = 0; k < x->term_count; k++) {
        const bool listed = x->port[k] == PORT_ANY;
        struct sieve_row *row = k < x->service_count ? &s->service[(size_t)k * s->ports]
                                                     : &s->group[(size_t)k * s->ports];
        for (unsigned p = 0; p < (listed ? s->ports : 1); p++) {
            row[p] = judge_term(s, k, &s->facts,
                                1ULL << (listed ? p : s->judge->port_class[x->port[k]]));
        }
    }
}

void
sieve_block(struct sieve *s, uint32_t block, const char *sensor, bool unknown_too)
{
    const struct summary *x = &s->plan->summary;
    const uint8_t *odd = x->odd + (size_t)block * x->term_octets;
    struct bh_facts f;
    uint64_t listed;
    segsum_facts(x, block, s->judge, s->plan->country_class, s->plan->near_countries, &f, &listed);
    f.sensor = sensor;
    if (!s->judge->asks_addresses) {
        f.far4 = f.far6 = (struct bh_range4){ 1, 0 };
    }
    const struct bh_facts *y = &s->facts;
    const bool same = s->is_known && s->unknown_too == unknown_too &&
                      memcmp(s->odd, odd, x->term_octets) == 0 && f.other_ports == y->other_ports &&
                      f.outcomes == y->outcomes && f.sensor == y->sensor &&
                      f.far4.first == y->far4.first && f.far4.last == y->far4.last &&
                      f.far6.first == y->far6.first && f.far6.last == y->far6.last;
    if (same) {
        return;
    }
    s->is_known = true;
    s->unknown_too = unknown_too;
    s->facts = f;
    memcpy(s->odd, odd, x->term_octets);
    make_tables(s);
}
