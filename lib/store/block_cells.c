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

#define NO_KIND UINT16_MAX
#define KINDS_MOST 1024U
#define CELLS_MOST (1U << 20)
#define NARROW 256U /* countries that are told by one octet */

struct sum {
    int64_t ts_ns;
    uint32_t group, port, count; /* group: packed */
    uint16_t country;
};

/* Sums of one block whose times were looked at. */
struct sums {
    struct sum *sum;
    uint32_t count, room;
};

/* What one thread needs. */
struct cells_work {
    struct block_rows *rows;
    uint32_t *code; /* [code * stride + country]: rows of blocks without times */
    uint32_t *
        cell; /* [kind * stride + country]: of a stretch; of rows with code 255 also without times */
    uint32_t *used; /* places of `cell` that count */
    uint32_t used_count;
    uint16_t *at;   /* rows whose port stands in the list */
    uint64_t *lone; /* blocks without times: place * 65536 + port */
    size_t lone_count, lone_room;
    uint32_t listed_at, group_at; /* in the lists of services of the open block */
    bool is_used, failed;
};

struct block_cells {
    const struct dict *d;
    struct crew *crew;
    int64_t span;
    bool by_service;
    uint32_t stride; /* of countries */
    uint16_t
        kind_of[CODES]; /* of a service; NO_KIND: no access, or its ports are told one by one */
    uint16_t *kind_of_group; /* of rows with code 255 */
    uint16_t *
        place_of_group; /* of ports that are told one by one: place of the group among those; NO_KIND */
    uint32_t *place_group; /* the other way: packed */
    uint32_t places;
    uint8_t is_listed[CODES];
    uint32_t group[KINDS_MOST]; /* of a kind: packed */
    uint32_t port[KINDS_MOST];  /* PORT_ANY: not told */
    uint32_t kinds;
    struct cells_work work[CREW_MOST];
    /* the blocks that were taken */
    struct cells_block *block;
    struct cells_bounds bounds;
    uint8_t is_timed[CELLS_BLOCKS_MOST];      /* its sums are in `sums` already */
    struct sums sums[CELLS_BLOCKS_MOST], all; /* all: of blocks without times, together */
    uint64_t *lone;
    size_t lone_count, lone_room, lone_next;
    uint32_t blocks, next_block, next;
};

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

static void
put_sum(struct sums *s, const struct sum *x, bool *failed)
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
static int64_t
floor_to(int64_t ts, int64_t span)
{
    const int64_t over = ts % span, begin = ts - over;
    return over >= 0 ? begin : begin < INT64_MIN + span ? INT64_MIN : begin - span;
}

static int64_t
end_of_stretch(int64_t ts, int64_t span)
{
    const int64_t begin = span == CELLS_NO_SPAN ? INT64_MAX : floor_to(ts, span);
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
            put_sum(to, &x, &w->failed);
            x.count = 1;
            x.ts_ns = last_ns;
        } else if (k + 1 == w->used_count) {
            x.ts_ns = last_ns;
        }
        put_sum(to, &x, &w->failed);
    }
    w->used_count = 0;
}

static int
take_timed(const struct block_cells *c, struct cells_work *w, const struct cells_block *block,
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
            begin = c->span == CELLS_NO_SPAN ? INT64_MIN : floor_to(ts, c->span);
            end = end_of_stretch(ts, c->span);
        }
        if (add_row(c, w, i, &lone)) {
            if (lone.count > 0) {
                lone.ts_ns = ts;
                put_sum(to, &lone, &w->failed);
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

static int
take_still(const struct block_cells *c, struct cells_work *w, const struct cells_block *block)
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
static int
take_stretch(const struct block_cells *c, struct cells_work *w, const struct cells_block *block,
             struct sums *to)
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
            put_sum(to, &lone, &w->failed);
        }
    }
    put_stretch(c, w, to, block->ref->head.min_ns, block->ref->head.min_ns);
    return w->failed ? -ENOMEM : 0;
}

/* ---- many blocks -------------------------------------------------------------------------------------------- */

static bool
is_one_stretch(const struct block_cells *c, const struct block_head *h)
{
    return c->span == CELLS_NO_SPAN || floor_to(h->min_ns, c->span) == floor_to(h->max_ns, c->span);
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
                        ? take_timed(c, w, block, &c->sums[piece], NULL)
                    : c->span != CELLS_NO_SPAN ? take_stretch(c, w, block, &c->sums[piece])
                                               : take_still(c, w, block);
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
            c->block[k].result = take_timed(c, &c->work[0], &c->block[k], &c->sums[k], &c->bounds);
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
            put_sum(&c->all,
                    &(struct sum){ c->bounds.first_ns, c->group[kind], c->port[kind], w->cell[at],
                                   (uint16_t)(at % c->stride) },
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
