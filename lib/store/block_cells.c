/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses added up, so that who counts them by country, port or time is spared a row for each. Service and
 * country are an octet each, and a row of a block is one addition to a table of 256 x 256 counters; what the
 * codes mean is looked up once for all blocks that are taken together.
 *
 * When a record came matters in two ways. Where sums are of hours, a block that lies in one of them needs no
 * times; in the others the rows are cut where the hour ends. And the answer says when the first and the last
 * access came: only a block that begins before the first one known, or ends behind the last, can move them. So
 * the two outermost blocks are looked at first, with times, and nearly always no other is.
 *
 * Ports that are no service of the dictionary stand in a list. They are written down with their country, sorted
 * and counted: a table of all ports and countries would be larger than any cache.
 */
#include "cells_priv.h"

#include <errno.h>
#include <stdlib.h>

static void
work_done(struct cells_work *w)
{
    block_rows_free(w->rows);
    free(w->code);
    free(w->cell);
    free(w->used);
    free(w->at);
    free(w->lone);
    *w = (struct cells_work){ 0 };
}

void
block_cells_free(struct block_cells *c)
{
    if (c == NULL) {
        return;
    }
    for (unsigned k = 0; k < CREW_MOST; k++) {
        work_done(&c->work[k]);
    }
    for (unsigned k = 0; k < CELLS_BLOCKS_MOST; k++) {
        free(c->sums[k].sum);
    }
    free(c->all.sum);
    free(c->lone);
    free(c->kind_of_group);
    free(c->place_of_group);
    free(c->place_group);
    free(c);
}

/* ---- what codes mean --------------------------------------------------------------------------------- */

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
make_kinds(struct block_cells *c)
{
    const struct dict *d = c->d;
    bool fits = true;
    c->kinds = 0;
    memset(c->is_listed, 0, sizeof c->is_listed);
    for (uint32_t k = 0; k < CODES; k++) {
        c->kind_of[k] = NO_KIND;
    }
    for (uint32_t k = 0; k < d->service_count; k++) {
        const uint32_t port = d->service[k].port;
        const bool alone = c->by_service && port == PORT_ANY;
        c->is_listed[k] = port == PORT_ANY;
        c->kind_of[k] =
            alone ? NO_KIND
                  : kind_for(c, d->group[d->service[k].group], c->by_service ? port : PORT_ANY);
        fits &= c->kind_of[k] != NO_KIND - 1;
    }
    c->is_listed[CODE_OTHER] = 1;
    for (uint32_t k = 0; k < d->group_count; k++) {
        c->kind_of_group[k] = c->by_service ? NO_KIND : kind_for(c, d->group[k], PORT_ANY);
        fits &= c->kind_of_group[k] != NO_KIND - 1;
    }
    return fits ? 0 : BH_ELIMIT;
}

static int
make_places(struct block_cells *c)
{
    const struct dict *d = c->d;
    c->places = 0;
    for (uint32_t k = 0; k < d->group_count; k++) {
        const bool told = c->by_service && group_cls(d->group[k]) == BH_CLASS_ACCESS;
        c->place_of_group[k] = told ? (uint16_t)c->places : NO_KIND;
        if (told) {
            c->place_group[c->places++] = d->group[k];
        }
    }
    return (uint64_t)c->places * c->stride <= CELLS_MOST ? 0 : BH_ELIMIT;
}

static int
make_work(struct block_cells *c, struct cells_work *w)
{
    const size_t codes = (size_t)CODES * c->stride, cells = (size_t)c->kinds * c->stride + 1;
    if (w->rows == NULL) {
        w->rows = block_rows_new();
        w->at = malloc((BLOCK_ROWS + 1UL) * sizeof *w->at);
        w->used = malloc((BLOCK_ROWS + 1UL) * sizeof *w->used);
    }
    free(w->code);
    free(w->cell);
    w->code = calloc(codes, sizeof *w->code);
    w->cell = calloc(cells, sizeof *w->cell);
    w->lone_count = 0;
    w->is_used = w->failed = false;
    return w->rows == NULL || w->at == NULL || w->used == NULL || w->code == NULL || w->cell == NULL
               ? -ENOMEM
               : 0;
}

static int
make_lists(struct block_cells *c)
{
    const size_t n = c->d->group_count + 1UL;
    free(c->kind_of_group);
    free(c->place_of_group);
    free(c->place_group);
    c->kind_of_group = malloc(n * sizeof *c->kind_of_group);
    c->place_of_group = malloc(n * sizeof *c->place_of_group);
    c->place_group = malloc(n * sizeof *c->place_group);
    return c->kind_of_group == NULL || c->place_of_group == NULL || c->place_group == NULL ? -ENOMEM
                                                                                           : 0;
}

int
block_cells_begin(struct block_cells **cells, struct crew *crew, const struct dict *d,
                  bool by_service, int64_t span)
{
    if (!has_times(d)) {
        return BH_ELIMIT;
    }
    if (*cells == NULL && (*cells = calloc(1, sizeof **cells)) == NULL) {
        return -ENOMEM;
    }
    struct block_cells *c = *cells;
    c->d = d;
    c->crew = crew;
    c->by_service = by_service;
    c->span = span;
    c->stride = d->country_count <= NARROW ? NARROW : d->country_count;
    c->blocks = c->next_block = c->next = c->all.count = 0;
    c->lone_count = c->lone_next = 0;
    int r = make_lists(c);
    r = r != 0 ? r : make_kinds(c);
    r = r != 0 ? r : make_places(c);
    if (r == 0 && (uint64_t)(c->kinds + 1) * c->stride > CELLS_MOST) {
        r = BH_ELIMIT;
    }
    for (unsigned k = 0; k < crew_size(crew) && r == 0; k++) {
        r = make_work(c, &c->work[k]);
    }
    return r;
}

uint32_t
block_cells_room(const struct block_cells *c)
{
    /* Ports in lists take eight octets each until they are counted, sums of hours 24. */
    return c->span != CELLS_NO_SPAN ? 16 : c->by_service ? 64 : CELLS_BLOCKS_MOST;
}

/* ---- sums ------------------------------------------------------------------------------------------------ */

void
cells_put_sum(struct sums *s, const struct sum *x, bool *failed)
{
    if (s->count == s->room) {
        const uint32_t room = s->room == 0 ? 1024 : 2 * s->room;
        struct sum *p = realloc(s->sum, room * sizeof *p);
        if (p == NULL) {
            *failed = true;
            return;
        }
        s->sum = p;
        s->room = room;
    }
    s->sum[s->count++] = *x;
}

static inline uint32_t
country_at(const struct block_rows *r, uint32_t i)
{
    return r->country[i] | (r->wide_country ? (uint32_t)r->country_high[i] << 8 : 0);
}

/* What a row with code 255 is. */
static inline uint32_t
next_group(struct cells_work *w)
{
    return w->rows->service_group.v[w->group_at++];
}

/* Rows from..to whose port stands in the list, in order. */
static uint32_t
find_listed(const struct block_cells *c, struct cells_work *w, uint32_t from, uint32_t to)
{
    const uint8_t *service = w->rows->service;
    uint32_t n = 0;
    for (uint32_t i = from; i < to; i++) {
        w->at[n] = (uint16_t)i;
        n += c->is_listed[service[i]];
    }
    return n;
}

/* Its lists; the file is not looked at any more. */
static int
open_codes(const struct block_cells *c, struct cells_work *w, const struct cells_block *block,
           bool time)
{
    const struct block_ref *b = block->ref;
    int r = block_open_codes(w->rows, c->d, &b->head, block->file->data + b->body_at, time);
    if (!time) { /* the bits of times are read where they lie */
        log_file_forget_pages(block->file, b->body_at, b->head.body_size);
    }
    return r;
}

/* ---- with times ----------------------------------------------------------------------------------------- */

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

/* Where the stretch of a time begins. Times of a file may be any. */
int64_t
cells_floor_to(int64_t ts, int64_t span)
{
    const int64_t over = ts % span, begin = ts - over;
    return over >= 0 ? begin : begin < INT64_MIN + span ? INT64_MIN : begin - span;
}

static int64_t
end_of_stretch(int64_t ts, int64_t span)
{
    const int64_t begin = span == CELLS_NO_SPAN ? INT64_MAX : cells_floor_to(ts, span);
    return begin > INT64_MAX - span ? INT64_MAX : begin + span;
}

/* A row of a stretch; is it an access? */
static inline bool
add_row(const struct block_cells *c, struct cells_work *w, uint32_t i, struct sum *lone)
{
    const struct block_rows *r = w->rows;
    const unsigned code = r->service[i];
    uint32_t group = 0, port = 0;
    unsigned kind = c->kind_of[code];
    if (BH_UNLIKELY(c->is_listed[code])) {
        port = r->service_port.v[w->listed_at++];
        group = code == CODE_OTHER ? next_group(w) : c->d->service[code].group;
        kind = code == CODE_OTHER ? c->kind_of_group[group] : kind;
    }
    lone->count = 0;
    if (BH_LIKELY(kind != NO_KIND)) {
        const uint32_t at = kind * c->stride + country_at(r, i);
        w->used[w->used_count] = at;
        w->used_count += w->cell[at]++ == 0;
        return true;
    }
    if (c->is_listed[code] && c->place_of_group[group] != NO_KIND) {
        *lone = (struct sum){ 0, c->d->group[group], port, 1, (uint16_t)country_at(r, i) };
        return true;
    }
    return false;
}

/* The cells of a stretch, at the time of its first access but for one at that of its last. */
static void
put_stretch(const struct block_cells *c, struct cells_work *w, struct sums *to, int64_t first_ns,
            int64_t last_ns)
{
    for (uint32_t k = 0; k < w->used_count; k++) {
        const uint32_t at = w->used[k], kind = at / c->stride;
        struct sum x = { first_ns, c->group[kind], c->port[kind], w->cell[at],
                         (uint16_t)(at % c->stride) };
        w->cell[at] = 0;
        if (k == 0 && x.count > 1) {
            x.count--;
            cells_put_sum(to, &x, &w->failed);
            x.count = 1;
            x.ts_ns = last_ns;
        } else if (k + 1 == w->used_count) {
            x.ts_ns = last_ns;
        }
        cells_put_sum(to, &x, &w->failed);
    }
    w->used_count = 0;
}

int
cells_take_timed(const struct block_cells *c, struct cells_work *w, const struct cells_block *block,
                 struct sums *to, struct cells_bounds *bounds)
{
    struct block_rows *r = w->rows;
    int res = open_codes(c, w, block, true);
    if (res != 0) {
        return res;
    }
    const uint64_t unit = (uint64_t)units[block->ref->head.unit];
    struct cells_bounds b = { INT64_MAX, INT64_MIN };
    int64_t begin = INT64_MAX, end = INT64_MIN, first = INT64_MAX, last = INT64_MIN;
    struct sum lone;
    w->used_count = w->listed_at = w->group_at = 0;
    for (uint32_t i = 0; i < block->ref->head.rows; i++) {
        const int64_t ts = step(r, i, unit);
        if (BH_UNLIKELY(ts < begin || ts >= end)) {
            put_stretch(c, w, to, first, last);
            first = INT64_MAX;
            last = INT64_MIN;
            begin = c->span == CELLS_NO_SPAN ? INT64_MIN : cells_floor_to(ts, c->span);
            end = end_of_stretch(ts, c->span);
        }
        if (add_row(c, w, i, &lone)) {
            if (lone.count > 0) {
                lone.ts_ns = ts;
                cells_put_sum(to, &lone, &w->failed);
            } else {
                first = ts < first ? ts : first;
                last = ts > last ? ts : last;
            }
            b.first_ns = ts < b.first_ns ? ts : b.first_ns;
            b.last_ns = ts > b.last_ns ? ts : b.last_ns;
        }
    }
    put_stretch(c, w, to, first, last);
    log_file_forget_pages(block->file, block->ref->body_at, block->ref->head.body_size);
    if (bounds != NULL) {
        bounds->first_ns = b.first_ns < bounds->first_ns ? b.first_ns : bounds->first_ns;
        bounds->last_ns = b.last_ns > bounds->last_ns ? b.last_ns : bounds->last_ns;
    }
    return w->failed ? -ENOMEM : 0;
}

/* ---- without ---------------------------------------------------------------------------------------------- */

static void
count_codes(const struct block_cells *c, struct cells_work *w)
{
    const struct block_rows *r = w->rows;
    const uint8_t *service = r->service, *country = r->country;
    const uint32_t rows = r->h->rows;
    if (!r->wide_country) {
        for (uint32_t i = 0; i < rows; i++) {
            w->code[(unsigned)service[i] << 8 | country[i]]++;
        }
        return;
    }
    for (uint32_t i = 0; i < rows; i++) {
        w->code[service[i] * c->stride + country_at(r, i)]++;
    }
}

static bool
reach_lone(struct cells_work *w, uint32_t n)
{
    if (w->lone_count + n <= w->lone_room) {
        return true;
    }
    const size_t room = 2 * w->lone_room + n;
    uint64_t *p = realloc(w->lone, room * sizeof *p);
    if (p != NULL) {
        w->lone = p;
        w->lone_room = room;
    }
    return p != NULL;
}

static void
note_lone(const struct block_cells *c, struct cells_work *w)
{
    const struct block_rows *r = w->rows;
    const uint32_t n = find_listed(c, w, 0, r->h->rows);
    if (!reach_lone(w, n)) {
        w->failed = true;
        return;
    }
    uint64_t *to = w->lone + w->lone_count;
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t i = w->at[k];
        const unsigned code = r->service[i];
        const uint32_t group =
            BH_UNLIKELY(code == CODE_OTHER) ? next_group(w) : c->d->service[code].group;
        const uint64_t place = c->place_of_group[group];
        *to = (place * c->stride + country_at(r, i)) << 16 | r->service_port.v[k];
        to += place != NO_KIND;
    }
    w->lone_count = (size_t)(to - w->lone);
}

/* Rows of groups that have no code: few. */
static void
count_others(const struct block_cells *c, struct cells_work *w)
{
    const struct block_rows *r = w->rows;
    const uint8_t *at = r->service, *end = at + r->h->rows;
    for (uint32_t k = 0; k < r->service_group.n; k++, at++) {
        at = memchr(at, CODE_OTHER, (size_t)(end - at));
        const unsigned kind = c->kind_of_group[next_group(w)];
        if (kind != NO_KIND) {
            w->cell[kind * c->stride + country_at(r, (uint32_t)(at - r->service))]++;
        }
    }
}

int
cells_take_still(const struct block_cells *c, struct cells_work *w, const struct cells_block *block)
{
    int r = open_codes(c, w, block, false);
    if (r != 0) {
        return r;
    }
    w->group_at = 0;
    w->is_used = true;
    count_codes(c, w);
    if (c->by_service) {
        note_lone(c, w);
    } else {
        count_others(c, w);
    }
    return w->failed ? -ENOMEM : 0;
}

/* A block in one stretch, where sums are of stretches: any time in it will do. */
int
cells_take_stretch(const struct block_cells *c, struct cells_work *w,
                   const struct cells_block *block, struct sums *to)
{
    int r = open_codes(c, w, block, false);
    if (r != 0) {
        return r;
    }
    struct sum lone;
    w->used_count = w->listed_at = w->group_at = 0;
    for (uint32_t i = 0; i < block->ref->head.rows; i++) {
        if (add_row(c, w, i, &lone) && lone.count > 0) {
            lone.ts_ns = block->ref->head.min_ns;
            cells_put_sum(to, &lone, &w->failed);
        }
    }
    put_stretch(c, w, to, block->ref->head.min_ns, block->ref->head.min_ns);
    return w->failed ? -ENOMEM : 0;
}
