/* SPDX-License-Identifier: BSD-2-Clause */
/* A run, block after block: opened by a crew, chosen from, or added up. */
#include "reader_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ---- reading ------------------------------------------------------------------------------------------------- */

bool
is_wanted(const struct bh_store *s, size_t file, size_t block)
{
    const uint8_t *why = s->plan == NULL ? NULL : s->plan[file].why;
    return why != NULL ? why[block] == BH_STORE_READ
                       : is_in_period(&s->query, &s->file[file].block[block].head);
}

const struct block_ref *
next_block(const struct bh_store *s, struct cursor *c)
{
    while (c->file_at < c->files) {
        const size_t file = c->file[c->file_at];
        const struct log_file *f = &s->file[file];
        while (c->block_at < f->block_count) {
            if (is_wanted(s, file, c->block_at)) {
                return &f->block[c->block_at];
            }
            c->block_at++;
        }
        c->file_at++;
        c->block_at = 0;
    }
    return NULL;
}

uint16_t
bh_store_country_value(const struct bh_store *s, const struct bh_store_country *country)
{
    return country_value(&s->values, country);
}

/* What the countries of a dictionary are in the query's database. */
static int
map_countries(const struct bh_store *s, struct cursor *c)
{
    free(c->value_of_country);
    c->value_of_country = calloc(c->dict.country_count + 1UL, sizeof *c->value_of_country);
    if (c->value_of_country == NULL) {
        return -ENOMEM;
    }
    for (uint32_t k = 0; k < c->dict.country_count; k++) {
        c->value_of_country[k] = bh_store_country_value(s, &c->dict.country[k]);
    }
    return 0;
}

/* The dictionary of a block, and what is made of it. */
static int
open_dict(struct bh_store *s, struct cursor *c, const struct block_ref *b)
{
    const size_t file = c->file[c->file_at];
    const size_t wanted = file << 32 | (b->dict + 1U);
    if (c->dict_of == wanted) {
        return 0;
    }
    if (c->dict_of != 0) {
        dict_done(&c->dict);
    }
    c->dict_of = 0;
    c->has_sieve = c->has_cells = false;
    int r = log_file_dict(&s->file[file], b->dict, &c->dict);
    if (r != 0) {
        return r;
    }
    c->dict_of = wanted;
    r = map_countries(s, c);
    if (r == 0 && s->query.judge != NULL) {
        for (unsigned k = 0; k < crew_size(s->crew) && r == 0; k++) {
            r = sieve_begin(&c->sieve[k], &s->plan[file], s->query.judge, &c->dict,
                            c->value_of_country);
        }
        c->has_sieve = r == 0;
        r = r == BH_ELIMIT ? 0 : r;
    }
    if (r == 0 && s->query.accesses != BH_STORE_EACH) {
        r = block_cells_begin(&c->cells, s->crew, &c->dict,
                              s->query.accesses == BH_STORE_ADDED_UP_BY_PORT, s->query.stretch_ns);
        c->has_cells = r == 0;
        r = r == BH_ELIMIT ? 0 : r;
    }
    return r;
}

static void
note_lost(struct bh_store *s, const struct log_file *f, const struct block_ref *b)
{
    s->health.damaged_blocks++;
    s->health.lost_records += b->head.rows;
    note_damage(s, f, b->body_at);
}

/* ---- accesses, added up ----------------------------------------------------------------------------------- */

static bool
may_be_added_up(const struct bh_store *s, const struct log_file *f, const struct block_ref *b)
{
    return f->verdict == NULL && is_inside(&s->query, &b->head) &&
           (b->head.flags & CHUNK_WEIGHT) == 0;
}

/* The blocks of the open dictionary that come next, as many as are taken at once. */
static void
gather(const struct bh_store *s, struct cursor *c)
{
    const size_t file = c->file[c->file_at];
    const struct log_file *f = &s->file[file];
    const uint32_t dict = f->block[c->block_at].dict, room = block_cells_room(c->cells);
    c->taken_count = 0;
    for (; c->block_at < f->block_count && c->taken_count < room; c->block_at++) {
        const struct block_ref *b = &f->block[c->block_at];
        if (!is_wanted(s, file, c->block_at)) {
            continue;
        }
        if (b->dict != dict || !may_be_added_up(s, f, b)) {
            break;
        }
        c->taken_at[c->taken_count] = c->block_at;
        c->taken[c->taken_count++] = (struct cells_block){ f, b, 0 };
    }
}

static int
add_blocks_up(struct bh_store *s, struct cursor *c)
{
    const struct log_file *f = &s->file[c->file[c->file_at]];
    if (c->taken == NULL && (c->taken = calloc(CELLS_BLOCKS_MOST, sizeof *c->taken)) == NULL) {
        return -ENOMEM;
    }
    gather(s, c);
    block_cells_take(c->cells, c->taken, c->taken_count, &s->bounds);
    for (uint32_t k = 0; k < c->taken_count; k++) {
        const struct block_ref *b = &f->block[c->taken_at[k]];
        s->blocks_done++;
        if (c->taken[k].result == -ENOMEM) {
            return -ENOMEM;
        }
        if (c->taken[k].result != 0) {
            note_lost(s, f, b);
        }
    }
    return 0;
}

/* ---- rows of blocks ------------------------------------------------------------------------------------------ */

struct opening {
    const struct bh_store *s;
    struct cursor *c;
    const struct log_file *f;
};

/* One of the blocks, by whoever of the crew. */
static void
open_piece(void *arg, uint32_t piece, unsigned worker)
{
    const struct opening *o = arg;
    const struct bh_store *s = o->s;
    struct opened *x = &o->c->ahead[piece];
    struct sieve *sieve = &o->c->sieve[worker];
    const struct block_ref *b = &o->f->block[x->block_at];
    const uint8_t *body = o->f->data + b->body_at;
    if (x->rows == NULL && (x->rows = block_rows_new()) == NULL) {
        x->result = -ENOMEM;
    } else if (o->c->has_sieve) {
        sieve_block(sieve, (uint32_t)x->block_at, s->sensors.name[o->c->sensor],
                    !is_inside(&s->query, &b->head));
        x->result = block_open_some(x->rows, &o->c->dict, &b->head, body, s->query.want, sieve,
                                    &x->unknown, &x->more);
    } else {
        x->unknown = 0;
        x->more = true;
        x->result = block_open(x->rows, &o->c->dict, &b->head, body, s->query.want);
    }
}

/* The next blocks of the open dictionary, as many as the crew opens at once. Runs that take turns have many blocks
 * open as it is: there it is one. */
static void
open_blocks(const struct bh_store *s, struct cursor *c)
{
    const size_t file = c->file[c->file_at];
    const struct log_file *f = &s->file[file];
    const uint32_t dict = f->block[c->block_at].dict;
    const unsigned crew = crew_size(s->crew), most = s->runs > 1 || crew == 1 ? 1 : 2 * crew;
    c->ahead_count = c->ahead_at = 0;
    for (size_t k = c->block_at;
         k < f->block_count && c->ahead_count < most && f->block[k].dict == dict; k++) {
        if (is_wanted(s, file, k) && !(c->has_cells && may_be_added_up(s, f, &f->block[k]))) {
            c->ahead[c->ahead_count++].block_at = k;
        } else if (is_wanted(s, file, k)) {
            break;
        }
    }
    struct opening o = { s, c, f };
    crew_run(s->crew, open_piece, &o, c->ahead_count);
}

/* BH_EDAMAGED: the block is lost. */
static int
open_block(struct bh_store *s, struct cursor *c)
{
    if (c->ahead_at == c->ahead_count) {
        open_blocks(s, c);
    }
    const struct opened *x = &c->ahead[c->ahead_at];
    if (x->result == 0 && c->has_sieve) {
        s->skipped.unknown += x->unknown;
        s->skipped.blocks_of_codes += !x->more;
    }
    return x->result;
}

/* On behind the block. */
static void
leave_block(struct bh_store *s, struct cursor *c)
{
    const struct log_file *f = &s->file[c->file[c->file_at]];
    log_file_forget_pages(f, f->block[c->block_at].body_at, f->block[c->block_at].head.body_size);
    c->block_at++;
    s->blocks_done++;
}

/* Rows of what is open. */
static bool
next_rows(struct bh_store *s, struct cursor *c, struct bh_batch *b)
{
    if (c->adds_up ? !block_cells_next(c->cells, c->value_of_country, b)
                   : !block_next(c->ahead[c->ahead_at].rows, c->value_of_country, b)) {
        return false;
    }
    if (!c->adds_up) {
        apply_verdicts(&s->file[c->file[c->file_at]], c->file_row, b);
    }
    b->sensor_names = s->sensors.name;
    c->is_empty = false;
    for (uint32_t i = 0; i < b->rows; i++) {
        b->sensor[i] = c->sensor;
    }
    c->file_row += b->rows;
    return true;
}

/* What comes next of a run is opened: 0; 1: nothing comes any more. */
static int
open_next(struct bh_store *s, struct cursor *c)
{
    const struct block_ref *block = next_block(s, c);
    if (block == NULL) {
        cursor_end(c);
        c->ended = true;
        return 1;
    }
    const struct log_file *f = &s->file[c->file[c->file_at]];
    int r = open_dict(s, c, block);
    c->adds_up = r == 0 && c->has_cells && may_be_added_up(s, f, block);
    if (c->adds_up) {
        r = add_blocks_up(s, c);
        c->is_open = c->is_empty = r == 0;
        return r;
    }
    const bool has_dict = r == 0;
    r = r != 0 ? r : open_block(s, c);
    if (r == -ENOMEM) {
        return r;
    }
    c->file_row = block->first_row;
    c->is_open = c->is_empty = r == 0;
    if (r != 0) {
        note_lost(s, f, block);
        c->ahead_at += has_dict; /* else none was opened */
        leave_block(s, c);
    }
    return 0;
}

int
cursor_next(struct bh_store *s, struct cursor *c, struct bh_batch *b)
{
    for (;;) {
        if (c->is_open && next_rows(s, c, b)) {
            return 1;
        }
        if (c->is_open) {
            c->is_open = false;
            if (!c->adds_up) {
                c->ahead_at++;
                leave_block(s, c);
            }
            if (c->is_empty && s->runs > 1) {
                return 2;
            }
        }
        int r = open_next(s, c);
        if (r != 0) {
            return r < 0 ? r : 0;
        }
    }
}

void
apply_verdicts(const struct log_file *f, uint64_t row, struct bh_batch *b)
{
    for (uint32_t i = 0; f->verdict != NULL && i < b->rows; i++) {
        const uint8_t v = f->verdict[row + i];
        const bool knock = b->cls[i] == BH_CLASS_ACCESS && b->proto[i] == BH_PROTO_TCP;
        b->outcome[i] = knock && v < BH_OUTCOME_COUNT ? v : b->outcome[i];
    }
}

void
cursor_end(struct cursor *c)
{
    if (c->dict_of != 0) {
        dict_done(&c->dict);
    }
    c->dict_of = 0;
    c->has_sieve = c->has_cells = c->adds_up = false;
    for (unsigned k = 0; k < CREW_MOST; k++) {
        sieve_done(&c->sieve[k]);
    }
    block_cells_free(c->cells);
    c->cells = NULL;
    free(c->taken);
    c->taken = NULL;
    for (unsigned k = 0; k < AHEAD_MOST; k++) {
        block_rows_free(c->ahead[k].rows);
        c->ahead[k].rows = NULL;
    }
    c->ahead_count = c->ahead_at = 0;
    free(c->value_of_country);
    c->value_of_country = NULL;
    bh_batch_free(c->batch);
    c->batch = NULL;
    c->is_open = false;
}
