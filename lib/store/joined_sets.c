/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who asked for what, of several roll-ups together. What is frequent in all of them stays it, and sets are united.
 * What is frequent in some only becomes rare: accesses of a country and service are then told of its sources in
 * any way that leaves each of them one, as of these only sums and distinct sources are ever asked.
 */
#include "joined_priv.h"

#include <errno.h>
#include <stdlib.h>

/* 1 for each service that is frequent in every part. */
static uint32_t *
frequent_everywhere(const struct join *j)
{
    uint32_t *count = calloc(ROLLUP_KEYS, sizeof *count);
    for (size_t k = 0; count != NULL && k < j->parts; k++) {
        const struct bh_rollup *u = j->part[k].u;
        for (uint32_t i = 0; i < u->frequent_count; i++) {
            count[u->frequent[i]]++;
        }
    }
    for (uint32_t key = 0; count != NULL && key < ROLLUP_KEYS; key++) {
        count[key] = count[key] == j->parts ? 1 : 0;
    }
    return count;
}

/* Sources of a service that stays frequent. */
static void
add_set(struct rollup_sets *s, const struct join_part *part, uint32_t index, const uint32_t *id,
        uint32_t n)
{
    uint64_t *bits = &s->bits[index * s->words];
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t source = part->id[id[i]];
        if (source != UINT32_MAX) {
            bits[source / 64] |= 1ULL << (source & 63);
        }
    }
}

/* A number becomes entries of sources `id` of this country, from `at` on: one access each, the last one all others. */
struct deal {
    const uint32_t *id;
    uint32_t n, at;
};

static bool
deal_out(struct rollup_sets *s, struct deal *d, uint16_t country, uint32_t key, unsigned outcome,
         uint32_t accesses)
{
    bool ok = true;
    while (accesses > 0 && d->at + 1 < d->n && ok) {
        ok = rollup_sets_add_rare(s, country, key, outcome, d->id[d->at++], 1);
        accesses--;
    }
    return ok &&
           (accesses == 0 || rollup_sets_add_rare(s, country, key, outcome,
                                                  d->n == 0 ? s->sources : d->id[d->at], accesses));
}

/* A service that becomes rare: its numbers, and its sources by country. */
static int
add_once_frequent(const struct join *j, struct rollup_sets *s, const struct join_part *part,
                  uint32_t key, const struct bh_rollup_number *number, uint32_t numbers,
                  const uint32_t *id, uint32_t n)
{
    uint32_t *list = malloc((n + 1UL) * sizeof *list);
    struct deal *deal = calloc(j->dict.country_count + 1UL, sizeof *deal);
    uint32_t *at = calloc(j->dict.country_count + 2UL, sizeof *at);
    bool ok = list != NULL && deal != NULL && at != NULL;
    for (uint32_t i = 0; ok && i < n; i++) {
        at[part->id[id[i]] == UINT32_MAX ? 0 : j->country[part->id[id[i]]] + 1]++;
    }
    uint32_t first = ok ? at[0] : 0;
    for (uint32_t c = 0; ok && c < j->dict.country_count; c++) {
        deal[c] = (struct deal){ list + first, at[c + 1], 0 };
        const uint32_t count = at[c + 1];
        at[c + 1] = first;
        first += count;
    }
    for (uint32_t i = 0; ok && i < n; i++) {
        const uint32_t source = part->id[id[i]];
        if (source != UINT32_MAX) {
            list[at[j->country[source] + 1]++] = source;
        }
    }
    for (uint32_t k = 0; ok && k < numbers; k++) {
        const uint16_t country = part->country[number[k].country];
        ok = deal_out(s, &deal[country], country, key, number[k].outcome, number[k].accesses);
    }
    free(list);
    free(deal);
    free(at);
    return ok ? 0 : -ENOMEM;
}

static int
add_day(const struct join *j, struct rollup_sets *s, const struct join_part *part, uint32_t day)
{
    struct bh_rollup_services v;
    int r = bh_rollup_get_services(part->u, day, &v);
    if (r != 0) {
        return r;
    }
    uint32_t *id = malloc((part->u->sources + 1UL) * sizeof *id);
    r = id == NULL ? -ENOMEM : 0;
    for (uint32_t k = 0; k < v.services && r == 0; k++) {
        const struct bh_rollup_service *x = &v.service[k];
        const struct bh_rollup_number *number = &v.number[x->number_at];
        const uint32_t index = s->index_of[x->key];
        r = bh_rollup_get_sources(&v, k, id);
        if (r == 0 && index == 0) {
            r = add_once_frequent(j, s, part, x->key, number, x->numbers, id, x->sources);
        } else if (r == 0) {
            add_set(s, part, index - 1, id, x->sources);
            for (uint32_t n = 0; n < x->numbers; n++) {
                s->number[((index - 1) * 8UL + number[n].outcome) * s->countries +
                          part->country[number[n].country]] += number[n].accesses;
            }
        }
    }
    free(id);
    bh_rollup_services_done(&v);
    return r;
}

static int
add_rares(struct rollup_sets *s, const struct join_part *part, uint32_t country)
{
    struct bh_rollup_rares *rares;
    const struct bh_rollup_rare *list;
    int n, r = bh_rollup_rares_new(part->u, country, &rares);
    if (r != 0) {
        return r;
    }
    while (r == 0 && (n = bh_rollup_rares_next(rares, &list)) != 0) {
        r = n < 0 ? n : 0;
        for (int i = 0; i < n && r == 0; i++) {
            const uint32_t source =
                list[i].source == UINT32_MAX ? UINT32_MAX : part->id[list[i].source];
            r = rollup_sets_add_rare(s, part->country[country], list[i].key, list[i].outcome,
                                     source == UINT32_MAX ? s->sources : source, list[i].accesses)
                    ? 0
                    : -ENOMEM;
        }
    }
    bh_rollup_rares_free(rares);
    return r;
}

int
join_sets(struct join *j, struct rollup_sets *s)
{
    uint32_t *count = frequent_everywhere(j);
    int r = count == NULL ? -ENOMEM
                          : rollup_sets_begin(s, j->sources, j->dict.country_count, 1, j->country,
                                              count, 0, true);
    free(count);
    if (r == 0) {
        rollup_sets_unit(s, 0);
    }
    for (size_t k = 0; k < j->parts && r == 0; k++) {
        const struct join_part *part = &j->part[k];
        for (uint32_t d = 0; d < part->u->days && r == 0; d++) {
            r = add_day(j, s, part, d);
        }
        for (uint32_t c = 0; c < part->u->countries && r == 0; c++) {
            r = bh_rollup_rare_most(part->u, c) == 0 ? 0 : add_rares(s, part, c);
        }
    }
    return r;
}
