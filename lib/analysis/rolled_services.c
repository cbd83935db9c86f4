/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who asked for what, out of roll-ups, as far as a report shows it.
 *
 * Accesses add up, distinct sources do not; and of all services a report shows a few of a few places. So numbers of
 * the places that are going to be shown come first, then it is settled which services stand in their lists, and
 * only the sources of these are counted, one service at a time: a bit for each slot stays in the second-level cache.
 *
 * Numbers of rare services are read only where one of them might get into a list: none of them has more than
 * `most` accesses. Of some only numbers are known, not whose they are (rollup_sets.c); is such a one in a list after
 * all, then BH_ELIMIT, and the report is made of records.
 */
#include "rolled_priv.h"
#include "trend_priv.h"

#include <errno.h>
#include <stdlib.h>

static bool
is_counted(const struct bh_rolled *r, uint32_t key)
{
    return (r->counted[key >> 3] >> (key & 7) & 1) != 0;
}

static bool
by_sources(const struct bh_rolled *r)
{
    return r->t->cfg.count == BH_COUNT_SOURCES;
}

static uint64_t
unit_of(const struct bh_tally *t, uint32_t place)
{
    return t->cfg.count == BH_COUNT_SOURCES ? t->place[place].sources : t->place[place].accesses;
}

/* ---- which places ------------------------------------------------------------------------------------ */

static bool
is_foreign(const struct bh_tally *t, uint32_t place, const char *home_country)
{
    const char *code = t->cfg.places->place[place].code;
    return code[0] != '\0' && strcmp(code, home_country) != 0;
}

static int
compare_down(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x > y ? -1 : x < y;
}

/* With what a country is among the first `top`; those that have as much as the last of these all are. */
static uint64_t
least_of_top(const struct bh_tally *t, unsigned top, const char *home_country)
{
    uint64_t units[BH_PLACES_MAX];
    size_t n = 0;
    for (uint32_t p = 0; p < t->cfg.places->count; p++) {
        if (is_foreign(t, p, home_country)) {
            units[n++] = unit_of(t, p);
        }
    }
    if (n <= top) {
        return 0;
    }
    qsort(units, n, sizeof *units, compare_down);
    return top == 0 ? UINT64_MAX : units[top - 1];
}

int
bh_rolled_choose(struct bh_rolled *r, unsigned top, const char home_country[3])
{
    struct bh_tally *t = r->t;
    tally_pour_frequent(t);
    const uint64_t least = least_of_top(t, top, home_country);
    for (uint32_t p = 0; p < t->cfg.places->count; p++) {
        const bool foreign = is_foreign(t, p, home_country);
        if (t->place[p].accesses == 0 || (foreign && unit_of(t, p) < least)) {
            continue;
        }
        r->shown[p].in_crosstab = foreign;
        r->shown[p].key = malloc((r->ports + 1UL) * sizeof *r->shown[p].key);
        if (r->shown[p].key == NULL) {
            return -ENOMEM;
        }
    }
    return 0;
}

bool
bh_rolled_is_shown(const struct bh_rolled *r, unsigned place)
{
    return r->shown[place].key != NULL;
}

/* ---- numbers -------------------------------------------------------------------------------------------- */

void
bh_rolled_number(struct bh_rolled *r, unsigned place, uint32_t key, unsigned outcome,
                 uint64_t accesses)
{
    struct bh_tally *t = r->t;
    const uint32_t cell = (uint32_t)place << 17 | key;
    if (r->shown[place].key == NULL) {
        return;
    }
    cell_add(t->cells, cell, accesses, 0);
    if (t->cfg.outcomes && outcome != 0 && outcome != BH_OUTCOME_SILENT &&
        outcome < BH_OUTCOME_COUNT) {
        cell_outcome(t->cells, cell, outcome, (int64_t)accesses);
    }
}

void
bh_rolled_rows_numbers(struct bh_rolled *r)
{
    const struct bh_tally *t = r->t;
    for (size_t i = 0; i < t->log_count; i++) {
        const uint32_t service = log_service(t->log[i]);
        if ((service & 7) != LOG_PING) {
            bh_rolled_number(r, rolled_source(r, log_slot(t->log[i]))->place, service >> 3,
                             service & 7, 1);
        }
    }
}

/* ---- lists ------------------------------------------------------------------------------------------------ */

/* The first services of a place, as far as it is known. */
static void
make_list(struct bh_rolled *r, uint32_t place)
{
    struct shown *s = &r->shown[place];
    const size_t n = tally_top(r->t, place, r->ports + 1UL, by_sources(r), r->top);
    s->count = 0;
    s->last = s->next = 0;
    for (size_t k = 0; k < n && k < r->ports; k++) {
        s->key[s->count++] = (uint32_t)(r->top[k].proto != BH_PROTO_TCP) << 16 | r->top[k].port;
    }
    if (r->ports > 0 && n >= r->ports) {
        s->last = r->top[r->ports - 1].count;
        s->next = n > r->ports ? r->top[r->ports].count : 0;
    }
}

/* The most accesses to a service of a place whose sources are not counted. */
static uint64_t
most_uncounted(const struct bh_rolled *r, uint32_t place)
{
    uint64_t most = 0;
    for (uint32_t key = 0; key < DIGIT_KEYS; key++) {
        if (!is_counted(r, key)) {
            const uint64_t n = cell_get(r->t->cells, place << 17 | key, CELL_COUNT);
            most = n > most ? n : most;
        }
    }
    return most;
}

bool
bh_rolled_needs_rare(struct bh_rolled *r, unsigned place, uint64_t most, const uint8_t *everywhere)
{
    struct shown *s = &r->shown[place];
    make_list(r, place);
    if (most == 0 || r->ports == 0) {
        return false;
    }
    if (by_sources(r)) {
        return s->count < r->ports || most_uncounted(r, place) + most >= s->last;
    }
    bool needs = s->count < r->ports || s->next + most >= s->last;
    for (uint32_t k = 0; k < s->count && !needs; k++) {
        needs = (everywhere[s->key[k] >> 3] >> (s->key[k] & 7) & 1) == 0;
    }
    return needs;
}

void
bh_rolled_make_lists(struct bh_rolled *r)
{
    for (uint32_t p = 0; p < r->t->cfg.places->count; p++) {
        if (r->shown[p].key != NULL) {
            make_list(r, p);
        }
    }
}

void
bh_rolled_wanted(const struct bh_rolled *r, int place, bool in_crosstab, uint8_t *keys)
{
    for (uint32_t p = 0; p < r->t->cfg.places->count; p++) {
        const struct shown *s = &r->shown[p];
        if (s->key == NULL || (place >= 0 && p != (uint32_t)place) ||
            (in_crosstab && !s->in_crosstab)) {
            continue;
        }
        for (uint32_t k = 0; k < s->count; k++) {
            keys[s->key[k] >> 3] |= (uint8_t)(1U << (s->key[k] & 7));
        }
    }
}

bool
bh_rolled_in_crosstab(const struct bh_rolled *r, unsigned place)
{
    return r->shown[place].key != NULL && r->shown[place].in_crosstab;
}

/* By sources: services that nobody counted and that may stand in a list. */
void
bh_rolled_candidates(const struct bh_rolled *r, uint8_t *keys)
{
    for (uint32_t p = 0; p < r->t->cfg.places->count; p++) {
        const struct shown *s = &r->shown[p];
        for (uint32_t key = 0; s->key != NULL && key < DIGIT_KEYS; key++) {
            const uint64_t n =
                is_counted(r, key) ? 0 : cell_get(r->t->cells, p << 17 | key, CELL_COUNT);
            if (n > 0 && n >= s->last) {
                keys[key >> 3] |= (uint8_t)(1U << (key & 7));
            }
        }
    }
}

/* ---- distinct sources ---------------------------------------------------------------------------------------- */

int
bh_rolled_rare_source(struct bh_rolled *r, const struct bh_rolled_part *p, uint32_t key,
                      unsigned place, uint32_t source)
{
    if (source == UINT32_MAX) {
        if (r->missings == r->missing_cap) {
            const size_t cap = r->missing_cap == 0 ? 256 : r->missing_cap * 2;
            uint32_t *list = realloc(r->missing, cap * sizeof *list);
            if (list == NULL) {
                return -ENOMEM;
            }
            r->missing = list;
            r->missing_cap = cap;
        }
        r->missing[r->missings++] = (uint32_t)place << 17 | key;
        return 0;
    }
    if (r->rares == r->rare_cap) {
        const size_t cap = r->rare_cap == 0 ? 4096 : r->rare_cap * 2;
        uint64_t *list = realloc(r->rare, cap * sizeof *list);
        if (list == NULL) {
            return -ENOMEM;
        }
        r->rare = list;
        r->rare_cap = cap;
    }
    r->rare[r->rares++] = (uint64_t)key << 32 | p->slot[source];
    return 0;
}

/* The accesses of records to this service: the log is sorted by it. */
static void
add_rows(struct bh_rolled *r, uint32_t key)
{
    const struct bh_tally *t = r->t;
    size_t low = 0, high = t->log_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (log_service(t->log[middle]) >> 3 < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < t->log_count && log_service(t->log[low]) >> 3 == key; low++) {
        const uint32_t slot = log_slot(t->log[low]);
        if ((log_service(t->log[low]) & 7) != LOG_PING && rolled_set_bit(r, slot)) {
            r->acc[rolled_source(r, slot)->place]++;
        }
    }
}

int
bh_rolled_service(struct bh_rolled *r, uint32_t key)
{
    if (r->key == UINT32_MAX) {
        r->rare_at = 0;
        if (bh_sort64(r->rare, r->rares, 32, 32 + 17) != 0) {
            return -ENOMEM;
        }
    }
    r->key = key;
    add_rows(r, key);
    while (r->rare_at < r->rares && r->rare[r->rare_at] >> 32 < key) {
        r->rare_at++;
    }
    for (; r->rare_at < r->rares && r->rare[r->rare_at] >> 32 == key; r->rare_at++) {
        const uint32_t slot = (uint32_t)r->rare[r->rare_at];
        if (slot < r->slots && rolled_set_bit(r, slot)) {
            r->acc[rolled_source(r, slot)->place]++;
        }
    }
    return 0;
}

void
bh_rolled_set(struct bh_rolled *r, const struct bh_rolled_part *p, const uint32_t *id,
              uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t slot = p->slot[id[i]];
        if (BH_LIKELY(slot != UINT32_MAX)) {
            r->acc[p->place[id[i]]] += rolled_set_bit(r, slot);
        }
    }
}

void
bh_rolled_service_end(struct bh_rolled *r)
{
    for (uint32_t p = 0; p < BH_PLACES_MAX; p++) {
        if (r->acc[p] > 0 && r->shown[p].key != NULL) {
            cell_add(r->t->cells, p << 17 | r->key, 0, r->acc[p]);
        }
        r->acc[p] = 0;
    }
    r->counted[r->key >> 3] |= (uint8_t)(1U << (r->key & 7));
    rolled_clear_bits(r);
}

/* Is what is not told needed after all? */
static bool
is_needed(const struct bh_rolled *r, uint32_t cell, const uint8_t *crosstab, const uint64_t *most)
{
    const uint32_t place = cell >> 17, key = cell & (DIGIT_KEYS - 1);
    const struct shown *s = &r->shown[place];
    for (uint32_t k = 0; k < s->count; k++) {
        if (s->key[k] == key) {
            return true;
        }
    }
    if (!by_sources(r)) {
        return false;
    }
    if (s->in_crosstab && (crosstab[key >> 3] >> (key & 7) & 1) != 0) {
        return true;
    }
    return s->count < r->ports ||
           cell_get(r->t->cells, cell, CELL_SOURCES) + most[place] >= s->last;
}

void
bh_rolled_services_end(struct bh_rolled *r)
{
    r->key = UINT32_MAX;
    r->rares = 0;
    bh_rolled_make_lists(r);
}

int
bh_rolled_check(const struct bh_rolled *r, const uint64_t *most)
{
    uint8_t *crosstab = calloc(DIGIT_KEYS / 8, 1);
    if (crosstab == NULL || cells_lost(r->t->cells) > 0) {
        free(crosstab);
        return -ENOMEM;
    }
    bh_rolled_wanted(r, -1, true, crosstab);
    int ret = 0;
    for (size_t k = 0; k < r->missings && ret == 0; k++) {
        ret = is_needed(r, r->missing[k], crosstab, most) ? BH_ELIMIT : 0;
    }
    free(crosstab);
    return ret;
}
