/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocks that are not read. A judge is asked about each term that a block has: what may it say of such
 * records, when their countries, ports, outcomes and addresses are those of the block? Where it can only
 * say no of all of them, the block holds nothing that is asked for, and nothing that is unknown.
 *
 * Many blocks look alike in the classes of a judge, so its answers are kept from one to the next.
 */
#include "skip_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ---- what countries are in the query's database ----------------------------------------------------- */

static uint32_t
hash_of(const char *code, unsigned kind, const char *class_name, const char *rfc)
{
    const char *const text[] = { code, class_name, rfc };
    uint32_t h = 2166136261U + kind;
    for (unsigned k = 0; k < BH_COUNT(text); k++) {
        for (const char *p = text[k]; *p != '\0'; p++) {
            h = (h ^ (uint8_t)*p) * 16777619U;
        }
        h = (h ^ 1U) * 16777619U;
    }
    return h ^ h >> 15;
}

static bool
means_the_same(const struct kobold_value *v, const struct bh_store_country *c)
{
    return v->kind == c->kind && strcmp(v->code, c->code) == 0 &&
           strcmp(v->class_name, c->class_name) == 0 && strcmp(v->rfc, c->rfc) == 0;
}

int
country_values_init(struct country_values *v, const kobold *countries)
{
    country_values_done(v);
    v->value = calloc(KOBOLD_VALUES_MAX, sizeof *v->value);
    if (v->value == NULL) {
        return -ENOMEM;
    }
    v->count = countries == NULL ? 0 : kobold_value_count(countries);
    for (unsigned k = 0; k < v->count; k++) {
        struct kobold_value *x = &v->value[k];
        if (!kobold_value_info(countries, (uint16_t)k, x)) {
            continue;
        }
        uint32_t at = hash_of(x->code, x->kind, x->class_name, x->rfc) % BH_COUNT(v->slot);
        while (v->slot[at] != 0) {
            at = (at + 1) % BH_COUNT(v->slot);
        }
        v->slot[at] = (uint16_t)(k + 1); /* the first of two alike is found first */
    }
    return 0;
}

void
country_values_done(struct country_values *v)
{
    free(v->value);
    *v = (struct country_values){ 0 };
}

uint16_t
country_value(const struct country_values *v, const struct bh_store_country *c)
{
    uint32_t at = hash_of(c->code, c->kind, c->class_name, c->rfc) % BH_COUNT(v->slot);
    for (; v->slot[at] != 0; at = (at + 1) % BH_COUNT(v->slot)) {
        if (means_the_same(&v->value[v->slot[at] - 1], c)) {
            return (uint16_t)(v->slot[at] - 1);
        }
    }
    return 0;
}

/* ---- our own ends ------------------------------------------------------------------------------------- */

#define NEAR_LOOKED_AT 65536U

static uint64_t
near_countries(const struct summary *s, const struct bh_judge *judge, const kobold *countries)
{
    uint64_t classes = 0, span = 0;
    if (countries == NULL || s->near4_count == SUMMARY_ANY || s->near6_count == SUMMARY_ANY) {
        return BH_CLASSES_ALL;
    }
    for (uint32_t k = 0; k < s->near4_count; k++) {
        span += (uint64_t)s->near4[k].last - s->near4[k].first + 1;
        for (uint64_t a = s->near4[k].first; a <= s->near4[k].last && span <= NEAR_LOOKED_AT; a++) {
            classes |= 1ULL << judge->country_class[kobold_v4(countries, (uint32_t)a)];
        }
    }
    for (uint32_t k = 0; k < s->near6_count; k++) {
        const struct bh_range6 *r = &s->near6[k];
        const uint64_t more = r->last - r->first;
        span += more < NEAR_LOOKED_AT ? more + 1 : NEAR_LOOKED_AT + 1;
        for (uint64_t i = 0; i <= more && span <= NEAR_LOOKED_AT; i++) {
            classes |= 1ULL << judge->country_class[kobold_v6(countries, r->hi, r->first + i)];
        }
    }
    return span > NEAR_LOOKED_AT ? BH_CLASSES_ALL : classes;
}

/* ---- terms of a block ----------------------------------------------------------------------------------- */

struct looking {
    const struct summary *s;
    const struct bh_judge *judge;
    /* Of what the judge was asked last, and which terms it then wanted. */
    bool is_known;
    struct bh_facts facts;
    uint64_t listed;
    uint8_t wanted[2][SUMMARY_TERMS_MAX / 8];
};

static void
ask_terms(struct looking *l)
{
    memset(l->wanted, 0, sizeof l->wanted);
    for (uint32_t k = 0; k < l->s->term_count; k++) {
        struct bh_facts x = l->facts;
        const uint32_t g = l->s->group[k];
        x.cls = (uint8_t)group_cls(g);
        x.direction = (uint8_t)group_direction(g);
        x.kind = (uint8_t)group_kind(g);
        x.proto = (uint8_t)group_proto(g);
        x.in_front = group_in_front(g) != 0;
        x.service_ports |=
            l->s->port[k] == PORT_ANY ? l->listed : 1ULL << l->judge->port_class[l->s->port[k]];
        for (unsigned odd = 0; odd < 2; odd++) {
            x.odd = odd != 0;
            const bool may = (l->judge->truths(l->judge->arg, &x) & ~(unsigned)BH_MAY_NO) != 0;
            l->wanted[odd][k / 8] |= (uint8_t)(may << (k % 8));
        }
    }
}

static bool
alike(const struct looking *l, const struct bh_facts *x, uint64_t listed)
{
    const struct bh_facts *y = &l->facts;
    const bool same_ends = !l->judge->asks_addresses ||
                           (x->far4.first == y->far4.first && x->far4.last == y->far4.last &&
                            x->far6.first == y->far6.first && x->far6.last == y->far6.last &&
                            x->near4 == y->near4 && x->near6 == y->near6);
    return l->is_known && listed == l->listed && x->service_ports == y->service_ports &&
           x->other_ports == y->other_ports && x->far_countries == y->far_countries &&
           x->near_countries == y->near_countries && x->outcomes == y->outcomes &&
           x->sensor == y->sensor && same_ends;
}

/* Is there a term of the block, or with `all` of the segment, that the judge wants? */
static bool
is_needed(struct looking *l, uint32_t block, const struct bh_facts *x, uint64_t listed, bool all)
{
    if (!alike(l, x, listed)) {
        l->facts = *x;
        l->listed = listed;
        l->is_known = true;
        ask_terms(l);
    }
    const size_t at = (size_t)block * l->s->term_octets;
    unsigned any = 0;
    for (uint32_t k = 0; k < l->s->term_octets; k++) {
        any |=
            all ? l->wanted[0][k]
                : (l->wanted[0][k] & l->s->terms[at + k]) | (l->wanted[1][k] & l->s->odd[at + k]);
    }
    return any != 0;
}

/* The first of its facts without which it would have to be read. */
static enum bh_store_why
why_skipped(struct looking *l, uint32_t block, const struct bh_facts *facts, uint64_t listed)
{
    struct bh_facts x = *facts;
    x.far_countries = x.near_countries = BH_CLASSES_ALL;
    if (is_needed(l, block, &x, listed, false)) {
        return BH_STORE_BY_COUNTRY;
    }
    x = *facts;
    x.service_ports = x.other_ports = BH_CLASSES_ALL;
    if (is_needed(l, block, &x, BH_CLASSES_ALL, false)) {
        return BH_STORE_BY_PORT;
    }
    x = *facts;
    x.far4 = x.far6 = (struct bh_range4){ 1, 0 };
    x.near4 = NULL;
    x.near6 = NULL;
    if (is_needed(l, block, &x, listed, false)) {
        return BH_STORE_BY_ADDRESS;
    }
    x = *facts;
    x.outcomes = UINT8_MAX;
    if (is_needed(l, block, &x, listed, false)) {
        return BH_STORE_BY_OUTCOME;
    }
    x = *facts;
    x.sensor = NULL;
    if (is_needed(l, block, &x, listed, false)) {
        return BH_STORE_BY_SENSOR;
    }
    return is_needed(l, block, facts, listed, true) ? BH_STORE_BY_SERVICE : BH_STORE_BY_FILTER;
}

/* ---- the plan of a file ------------------------------------------------------------------------------------ */

static void
look_at_blocks(struct file_plan *p, const struct log_file *f, const struct bh_store_query *q,
               struct looking *l, const char *sensor)
{
    for (uint32_t b = 0; b < p->summary.block_count; b++) {
        struct bh_facts x;
        uint64_t listed;
        if (!is_in_period(q, &f->block[b].head)) {
            p->why[b] = BH_STORE_BY_PERIOD;
            continue;
        }
        segsum_facts(&p->summary, b, q->judge, p->country_class, p->near_countries, &x, &listed);
        x.sensor = sensor;
        if (!is_needed(l, b, &x, listed, false)) {
            p->why[b] = (uint8_t)(q->explain ? why_skipped(l, b, &x, listed) : BH_STORE_BY_FILTER);
        }
    }
}

static bool
has_block_in_period(const struct log_file *f, const struct bh_store_query *q)
{
    size_t b = 0;
    while (b < f->block_count && !is_in_period(q, &f->block[b].head)) {
        b++;
    }
    return b < f->block_count;
}

int
file_plan_make(struct file_plan *p, const struct log_file *f, const struct bh_store_query *q,
               const struct country_values *values, const char *sensor)
{
    *p = (struct file_plan){ 0 };
    if (q->judge == NULL || !has_block_in_period(f, q) || log_file_summary(f, &p->summary) != 0) {
        return 0;
    }
    p->has_summary = true;
    struct looking *l = calloc(1, sizeof *l);
    p->why = calloc(f->block_count, 1);
    p->country_class = malloc(p->summary.country_count + 1UL);
    if (l == NULL || p->why == NULL || p->country_class == NULL) {
        free(l);
        file_plan_done(p);
        return -ENOMEM;
    }
    for (uint32_t k = 0; k < p->summary.country_count; k++) {
        p->country_class[k] =
            q->judge->country_class[country_value(values, &p->summary.country[k])];
    }
    p->near_countries = near_countries(&p->summary, q->judge, q->countries);
    l->s = &p->summary;
    l->judge = q->judge;
    look_at_blocks(p, f, q, l, sensor);
    free(l);
    return 0;
}

void
file_plan_done(struct file_plan *p)
{
    segsum_done(&p->summary);
    free(p->country_class);
    free(p->why);
    *p = (struct file_plan){ 0 };
}
