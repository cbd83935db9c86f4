/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which rows of a batch show, count and export are about: those in the period that the filter selects. With
 * --served visits are marked; with databases of different days each record is asked about in that of its day,
 * and its country is told in the words of the newest.
 */
#include "summed_priv.h"

#include <errno.h>
#include <stdlib.h>

struct choose {
    const struct run *x;
    const kobold *newest;
    /* Of each database: what its values are in the newest one. */
    uint16_t (*newest_value)[KOBOLD_VALUES_MAX];
    char code[KOBOLD_VALUES_MAX][4]; /* of values of the newest; "" for a class */
};

static bool
alike(const struct kobold_value *a, const struct kobold_value *b)
{
    return a->kind == b->kind && strcmp(a->code, b->code) == 0 &&
           strcmp(a->class_name, b->class_name) == 0 && strcmp(a->rfc, b->rfc) == 0;
}

/* A country that the newest does not have any more is unknown. */
static void
translate(const kobold *from, const kobold *to, uint16_t *ret)
{
    struct kobold_value a, b;
    for (unsigned v = 0; v < KOBOLD_VALUES_MAX; v++) {
        ret[v] = 0;
        if (from == to) {
            ret[v] = (uint16_t)v;
        } else if (kobold_value_info(from, (uint16_t)v, &a)) {
            for (unsigned w = 0; w < kobold_value_count(to) && ret[v] == 0; w++) {
                ret[v] = kobold_value_info(to, (uint16_t)w, &b) && alike(&a, &b) ? (uint16_t)w : 0;
            }
        }
    }
}

int
choose_new(struct run *x, struct choose **ret)
{
    struct choose *c = calloc(1, sizeof *c);
    const size_t days = x->countries.count;
    if (c == NULL) {
        return -ENOMEM;
    }
    *ret = c;
    c->x = x;
    c->newest = countries_at(&x->countries, INT64_MAX);
    c->newest_value = calloc(days + 1, sizeof *c->newest_value);
    for (size_t d = 0; c->newest_value != NULL && d < days; d++) {
        translate(x->countries.days[d].countries, c->newest, c->newest_value[d]);
    }
    for (unsigned v = 0; c->newest != NULL && v < kobold_value_count(c->newest); v++) {
        struct kobold_value info;
        if (kobold_value_info(c->newest, (uint16_t)v, &info)) {
            memcpy(c->code[v], info.code, sizeof info.code < 4 ? sizeof info.code : 4);
        }
    }
    return c->newest_value == NULL ? -ENOMEM : 0;
}

void
choose_free(struct choose *c)
{
    if (c != NULL) {
        free(c->newest_value);
        free(c);
    }
}

/* ---- countries ------------------------------------------------------------------------------------- */

static uint16_t
value_at(const kobold *countries, const struct bh_batch *b, uint32_t i, bool of_src)
{
    if (b->kind[i] != BH_KIND_IP6) {
        return kobold_v4(countries, of_src ? b->src[i] : b->dst[i]);
    }
    const struct bh_ip6_pair *p = &b->ip6[b->src[i]];
    return of_src ? kobold_v6(countries, p->src_hi, p->src_lo)
                  : kobold_v6(countries, p->dst_hi, p->dst_lo);
}

/* The far end's country on the day of the record. */
static void
ask_countries(const struct choose *c, struct bh_batch *b, const uint16_t *day)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        const kobold *k = c->x->countries.days[day[i]].countries;
        const uint16_t v = value_at(k, b, i, b->direction[i] != BH_DIR_OUT);
        b->country[i] = c->newest_value[day[i]][v % KOBOLD_VALUES_MAX];
    }
    b->has_country = true;
}

/* Each filter over the rows of its own database; mostly a batch lies in one. */
static uint64_t
narrow_by_days(const struct choose *c, struct bh_batch *b, uint16_t *day)
{
    const struct countries *all = &c->x->countries;
    uint8_t kept[BH_BATCH_ROWS], selected[BH_BATCH_ROWS] = { 0 };
    size_t first = SIZE_MAX, last = 0;
    uint64_t unknown = 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        day[i] = (uint16_t)bh_country_day_at(all->days, all->count, b->ts_ns[i]);
        first = day[i] < first ? day[i] : first;
        last = day[i] > last ? day[i] : last;
        kept[i] = b->counted[i];
    }
    for (size_t d = first; b->rows > 0 && d <= last; d++) {
        for (uint32_t i = 0; i < b->rows; i++) {
            b->counted[i] = day[i] == d ? kept[i] : 0;
        }
        unknown += bh_filter_narrow(all->days[d].filter, b);
        for (uint32_t i = 0; i < b->rows; i++) {
            selected[i] |= b->counted[i];
        }
    }
    memcpy(b->counted, selected, b->rows);
    return unknown;
}

/* ---- visits ---------------------------------------------------------------------------------------------- */

static void
mark_visits(const struct choose *c, struct bh_batch *b)
{
    const struct run *x = c->x;
    for (uint32_t i = 0; i < b->rows; i++) {
        if (b->counted[i] == 0 || b->cls[i] != BH_CLASS_ACCESS) {
            continue;
        }
        const uint16_t value = b->has_country ? b->country[i] : value_at(c->newest, b, i, true);
        const struct bh_ip ip = bh_batch_src(b, i);
        for (size_t k = 0; k < x->served_count; k++) {
            const struct bh_served *s = &x->served[k];
            if (s->port == (b->ports[i] & 0xffff) && s->proto == b->proto[i] &&
                bh_served_offers(s, c->code[value % KOBOLD_VALUES_MAX], x->r->home_country, &ip)) {
                b->counted[i] = BH_COUNTED_VISIT;
                break;
            }
        }
    }
}

/* The rows of a time that counts. */
static void
mark_period(const struct run *x, struct bh_batch *b, const struct summed *known)
{
    const int64_t start = x->period.start_ns, end = x->period.end_ns;
    if (start == INT64_MIN && end == INT64_MAX) {
        memset(b->counted, 1, b->rows);
    } else {
        for (uint32_t i = 0; i < b->rows; i++) {
            b->counted[i] = (uint8_t)((b->ts_ns[i] >= start) & (b->ts_ns[i] < end));
        }
    }
    for (uint32_t i = 0; known != NULL && i < b->rows; i++) {
        b->counted[i] &= (uint8_t)!summed_knows(known, b->ts_ns[i]);
    }
}

uint64_t
choose_rows(const struct choose *c, struct bh_batch *b, const struct bh_question *asked,
            const struct summed *known)
{
    const struct run *x = c->x;
    uint16_t day[BH_BATCH_STRIDE];
    uint64_t unknown;
    mark_period(x, b, known);
    if (asked != NULL && bh_question_is_of_accesses(asked)) {
        for (uint32_t i = 0; i < b->rows; i++) {
            b->counted[i] &= (uint8_t)(b->cls[i] == BH_CLASS_ACCESS);
        }
    }
    if (x->countries.count > 0) {
        unknown = narrow_by_days(c, b, day);
        ask_countries(c, b, day);
    } else {
        unknown = bh_filter_narrow(countries_words(&x->countries), b);
    }
    if (x->served_count > 0) {
        mark_visits(c, b);
    }
    return unknown;
}

uint64_t
choose_sums(const struct choose *c, struct bh_batch *b)
{
    memset(b->counted, 1, b->rows);
    return bh_filter_narrow_sums(countries_words(&c->x->countries), b);
}
