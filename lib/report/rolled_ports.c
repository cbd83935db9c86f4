/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who asked for what, of the roll-ups of a plan: numbers of the places that are shown, which of their services stand
 * in lists, and the sources of these (lib/analysis/rolled_services.c). A service is frequent in a roll-up, and
 * then stands there by day; or rare, and stands with its country.
 */
#include "rolled_priv.h"

#include <errno.h>
#include <stdlib.h>

#define KEYS_SIZE (BH_ROLLUP_KEYS / 8)

/* The frequent services of a day of a roll-up. */
struct stream {
    struct bh_rollup_services s;
    const struct part *part;
    uint32_t at; /* the first that was not passed */
};

struct services {
    struct rolled_plan *p;
    struct bh_rolled *r;
    struct stream *stream;
    size_t streams;
    uint64_t most[BH_PLACES_MAX];  /* accesses to a rare service    */
    bool is_read[BH_PLACES_MAX];   /* the numbers of rare services  */
    uint8_t everywhere[KEYS_SIZE]; /* frequent in all parts         */
    uint8_t wanted[KEYS_SIZE], of_place[KEYS_SIZE];
};

static bool
has_key(const uint8_t *keys, uint32_t key)
{
    return (keys[key >> 3] >> (key & 7) & 1) != 0;
}

static void
add_key(uint8_t *keys, uint32_t key)
{
    keys[key >> 3] |= (uint8_t)(1U << (key & 7));
}

/* Is there one that is not frequent everywhere? */
static bool
beyond(const uint8_t *keys, const uint8_t *frequent)
{
    for (size_t k = 0; k < KEYS_SIZE; k++) {
        if ((keys[k] & ~frequent[k]) != 0) {
            return true;
        }
    }
    return false;
}

/* ---- frequent services -------------------------------------------------------------------------------- */

static void
add_numbers(struct services *v, const struct stream *t)
{
    for (uint32_t k = 0; k < t->s.services; k++) {
        const struct bh_rollup_service *s = &t->s.service[k];
        for (uint32_t n = s->number_at; n < s->number_at + s->numbers; n++) {
            const struct bh_rollup_number *x = &t->s.number[n];
            bh_rolled_number(v->r, t->part->place[x->country], s->key, x->outcome, x->accesses);
        }
    }
}

static int
open_streams(struct services *v)
{
    size_t most = 1;
    for (size_t k = 0; k < v->p->parts; k++) {
        most += v->p->part[k].days;
    }
    v->stream = calloc(most, sizeof *v->stream);
    int r = v->stream == NULL ? -ENOMEM : 0;
    for (size_t k = 0; k < v->p->parts && r == 0; k++) {
        const struct part *part = &v->p->part[k];
        for (uint32_t d = 0; part->used && d < part->days && r == 0; d++) {
            struct stream *t = &v->stream[v->streams];
            if (part->day[d] == UINT32_MAX || (part->rollup->is_joined && d > 0)) {
                continue;
            }
            r = bh_rollup_get_services(part->rollup, part->rollup->is_joined ? BH_ROLLUP_ALL : d,
                                       &t->s);
            if (r == 0) {
                t->part = part;
                v->streams++;
                add_numbers(v, t);
                bh_rollup_services_forget(&t->s);
            }
        }
    }
    return r;
}

/* What is frequent in every part, and how much a rare service of a place has at most. */
static void
find_bounds(struct services *v)
{
    memset(v->everywhere, 0xff, sizeof v->everywhere);
    for (size_t k = 0; k < v->p->parts; k++) {
        const struct part *part = &v->p->part[k];
        uint8_t here[KEYS_SIZE] = { 0 };
        if (!part->used) {
            continue;
        }
        for (uint32_t i = 0; i < part->rollup->frequent_count; i++) {
            add_key(here, part->rollup->frequent[i]);
        }
        for (size_t i = 0; i < KEYS_SIZE; i++) {
            v->everywhere[i] &= here[i];
        }
        for (uint32_t c = 0; c < part->rollup->countries; c++) {
            uint64_t *most = &v->most[part->place[c]];
            if (__builtin_add_overflow(*most, bh_rollup_rare_most(part->rollup, c), most)) {
                *most = UINT64_MAX / 2;
            }
        }
    }
}

/* ---- rare ones ---------------------------------------------------------------------------------------------- */

/* Those of a country on the days of the plan: their numbers, or (keys not NULL) the sources of some services. */
static int
take_country(struct services *v, const struct part *part, uint32_t country, const uint8_t *keys)
{
    struct bh_rollup_rares *rares;
    const struct bh_rollup_rare *list;
    const uint16_t place = part->place[country];
    int n, r = bh_rollup_rares_new(part->rollup, country, &rares);
    if (r != 0) {
        return r;
    }
    while (r == 0 && (n = bh_rollup_rares_next(rares, &list)) != 0) {
        r = n < 0 ? n : 0;
        for (int i = 0; i < n && r == 0; i++) {
            if (part->day[list[i].day] == UINT32_MAX) {
                continue;
            }
            if (keys == NULL) {
                bh_rolled_number(v->r, place, list[i].key, list[i].outcome, list[i].accesses);
            } else if (has_key(keys, list[i].key)) {
                r = bh_rolled_rare_source(v->r, part->sources, list[i].key, place, list[i].source);
            }
        }
    }
    bh_rollup_rares_free(rares);
    return r;
}

static bool
some_are_rare(const struct bh_rollup *u, const uint8_t *keys)
{
    uint32_t frequent = 0, all = 0;
    for (uint32_t k = 0; k < u->frequent_count; k++) {
        frequent += has_key(keys, u->frequent[k]);
    }
    for (size_t k = 0; k < KEYS_SIZE; k++) {
        all += (uint32_t)__builtin_popcount(keys[k]);
    }
    return all > frequent;
}

static int
take_place(struct services *v, uint32_t place, const uint8_t *keys)
{
    int r = 0;
    for (size_t k = 0; k < v->p->parts && r == 0; k++) {
        const struct part *part = &v->p->part[k];
        if (!part->used || (keys != NULL && !some_are_rare(part->rollup, keys))) {
            continue;
        }
        for (uint32_t c = 0; c < part->rollup->countries && r == 0; c++) {
            if (part->place[c] == place && bh_rollup_rare_most(part->rollup, c) > 0) {
                r = take_country(v, part, c, keys);
            }
        }
    }
    return r;
}

/* The numbers of rare services of a place, once. */
static int
read_place(struct services *v, uint32_t place)
{
    if (v->is_read[place] || v->most[place] == 0) {
        return 0;
    }
    v->is_read[place] = true;
    return take_place(v, place, NULL);
}

static int
read_needed(struct services *v)
{
    int r = 0;
    for (uint32_t p = 0; p < BH_PLACES_MAX && r == 0; p++) {
        if (bh_rolled_is_shown(v->r, p) && !v->is_read[p] &&
            bh_rolled_needs_rare(v->r, p, v->most[p], v->everywhere)) {
            r = read_place(v, p);
        }
    }
    bh_rolled_make_lists(v->r);
    return r;
}

/* Numbers of what the lists have now: of their own places, and of those beside them in a whole cross table. */
static int
read_listed(struct services *v, bool crosstab)
{
    int r = 0;
    memset(v->wanted, 0, sizeof v->wanted);
    bh_rolled_wanted(v->r, -1, true, v->wanted);
    const bool all = crosstab && beyond(v->wanted, v->everywhere);
    for (uint32_t p = 0; p < BH_PLACES_MAX && r == 0; p++) {
        if (!bh_rolled_is_shown(v->r, p)) {
            continue;
        }
        memset(v->of_place, 0, sizeof v->of_place);
        bh_rolled_wanted(v->r, (int)p, false, v->of_place);
        if ((all && bh_rolled_in_crosstab(v->r, p)) || beyond(v->of_place, v->everywhere)) {
            r = read_place(v, p);
        }
    }
    return r;
}

/* ---- distinct sources ------------------------------------------------------------------------------------------ */

static int
count_service(struct services *v, uint32_t key, uint32_t *ids)
{
    int r = bh_rolled_service(v->r, key);
    for (size_t k = 0; k < v->streams && r == 0; k++) {
        struct stream *t = &v->stream[k];
        while (t->at < t->s.services && t->s.service[t->at].key < key) {
            t->at++;
        }
        if (t->at < t->s.services && t->s.service[t->at].key == key) {
            r = bh_rollup_get_sources(&t->s, t->at, ids);
            if (r == 0) {
                bh_rolled_set(v->r, t->part->sources, ids, t->s.service[t->at].sources);
            }
        }
    }
    if (r == 0) {
        bh_rolled_service_end(v->r);
    }
    return r;
}

/* The wanted services, whose rare sources were noted. */
static int
count_wanted(struct services *v)
{
    uint32_t most = 1;
    for (size_t k = 0; k < v->streams; k++) {
        v->stream[k].at = 0;
        most = v->stream[k].s.sources > most ? v->stream[k].s.sources : most;
    }
    uint32_t *ids = malloc(most * sizeof *ids);
    int r = ids == NULL ? -ENOMEM : 0;
    for (uint32_t key = 0; key < BH_ROLLUP_KEYS && r == 0; key++) {
        r = has_key(v->wanted, key) ? count_service(v, key, ids) : 0;
    }
    free(ids);
    bh_rolled_services_end(v->r);
    return r;
}

/* Sources of the lists: of a service at the places that list it. */
static int
count_listed(struct services *v)
{
    int r = 0;
    memset(v->wanted, 0, sizeof v->wanted);
    bh_rolled_wanted(v->r, -1, false, v->wanted);
    for (uint32_t p = 0; p < BH_PLACES_MAX && r == 0; p++) {
        if (!bh_rolled_is_shown(v->r, p) || v->most[p] == 0) {
            continue;
        }
        memset(v->of_place, 0, sizeof v->of_place);
        bh_rolled_wanted(v->r, (int)p, false, v->of_place);
        r = beyond(v->of_place, v->everywhere) ? take_place(v, p, v->of_place) : 0;
    }
    return r != 0 ? r : count_wanted(v);
}

/* Sources of the wanted services at all places that are shown. */
static int
count_everywhere(struct services *v)
{
    int r = 0;
    for (uint32_t p = 0; p < BH_PLACES_MAX && r == 0; p++) {
        if (bh_rolled_is_shown(v->r, p) && v->most[p] > 0 && beyond(v->wanted, v->everywhere)) {
            r = take_place(v, p, v->wanted);
        }
    }
    return r != 0 ? r : count_wanted(v);
}

/* Lists by sources: first of all services that are frequent anywhere, then of what may still get in. */
static int
count_by_sources(struct services *v)
{
    memset(v->wanted, 0, sizeof v->wanted);
    for (size_t k = 0; k < v->p->parts; k++) {
        const struct part *part = &v->p->part[k];
        for (uint32_t i = 0; part->used && i < part->rollup->frequent_count; i++) {
            add_key(v->wanted, part->rollup->frequent[i]);
        }
    }
    int r = count_everywhere(v);
    r = r != 0 ? r : read_needed(v);
    memset(v->wanted, 0, sizeof v->wanted);
    bh_rolled_candidates(v->r, v->wanted);
    return r != 0 ? r : count_everywhere(v);
}

int
rolled_take_services(struct run *x, struct rolled_plan *p)
{
    struct services *v = calloc(1, sizeof *v);
    if (v == NULL) {
        return -ENOMEM;
    }
    v->p = p;
    v->r = p->r;
    int r = bh_rolled_choose(p->r, x->o->top, x->r->home_country);
    bh_rolled_rows_numbers(p->r);
    find_bounds(v);
    r = r != 0 ? r : open_streams(v);
    if (x->o->count == BH_COUNT_SOURCES) {
        r = r != 0 ? r : count_by_sources(v);
        r = r != 0 ? r : read_listed(v, false);
    } else {
        r = r != 0 ? r : read_needed(v);
        r = r != 0 ? r : read_listed(v, x->o->crosstab_all);
        r = r != 0 ? r : count_listed(v);
    }
    r = r != 0 ? r : bh_rolled_check(p->r, v->most);
    for (size_t k = 0; k < v->streams; k++) {
        bh_rollup_services_done(&v->stream[k].s);
    }
    free(v->stream);
    free(v);
    return r;
}
