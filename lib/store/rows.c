/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows that are not sealed yet, and how they become a segment. */
#include "rows_priv.h"

#include <errno.h>
#include <stdlib.h>

#define SPARE_CHUNKS 16U

int
rows_init(struct open_rows *o, const kobold *countries, uint64_t key)
{
    *o = (struct open_rows){ 0 };
    return terms_init(&o->terms, countries, key);
}

void
rows_done(struct open_rows *o)
{
    for (size_t k = 0; k < o->count; k++) {
        chunk_free(o->chunk[k]);
    }
    for (size_t k = 0; k < o->spare_count; k++) {
        chunk_free(o->spare[k]);
    }
    free(o->chunk);
    free(o->spare);
    terms_done(&o->terms);
    *o = (struct open_rows){ 0 };
}

struct chunk *
rows_new_chunk(struct open_rows *o, uint32_t flags)
{
    if (o->count == o->cap) {
        size_t cap = o->cap == 0 ? 32 : o->cap * 2;
        struct chunk **p = realloc(o->chunk, cap * sizeof *p);
        if (p == NULL) {
            return NULL;
        }
        o->chunk = p;
        p = realloc(o->spare, cap * sizeof *p);
        if (p == NULL) {
            return NULL;
        }
        o->spare = p;
        o->cap = cap;
    }
    struct chunk *c = o->spare_count > 0 ? o->spare[--o->spare_count] : chunk_new();
    if (c != NULL) {
        c->flags = flags;
        o->chunk[o->count++] = c;
    }
    return c;
}

void
rows_forget(struct open_rows *o, size_t chunks)
{
    for (size_t k = 0; k < chunks; k++) {
        if (o->spare_count < SPARE_CHUNKS) {
            chunk_reset(o->chunk[k]);
            o->spare[o->spare_count++] = o->chunk[k];
        } else {
            chunk_free(o->chunk[k]);
        }
    }
    o->count -= chunks;
    if (o->count > 0) { /* of none there is no list */
        memmove(o->chunk, o->chunk + chunks, o->count * sizeof *o->chunk);
    }
}

uint32_t
rows_largest_table(const struct open_rows *o)
{
    const struct terms *t = &o->terms;
    const uint32_t counts[] = { t->far_count, t->near_count, t->form_count, t->service.count,
                                t->shape.count };
    uint32_t most = 0;
    for (size_t k = 0; k < BH_COUNT(counts); k++) {
        most = counts[k] > most ? counts[k] : most;
    }
    return most;
}

/* A step back further than this begins a block, so that blocks stay short in time and a report of
 * one day need not read the others. Where old and new records come in turn, blocks get longer again: a
 * block for each turn would cost more than it saves. */
#define STEP_BACK_NS 3600000000000LL
#define STEP_BACK_ROWS 1024U
#define STEP_BACK_DOUBLINGS 6U

bool
is_far_back(struct open_rows *o, const struct chunk *c, int64_t ts_ns)
{
    if (c->rows < STEP_BACK_ROWS << o->short_blocks || ts_ns >= c->max_ns ||
        (uint64_t)c->max_ns - (uint64_t)ts_ns <= (uint64_t)STEP_BACK_NS) {
        return false;
    }
    o->short_blocks = c->rows >= BLOCK_ROWS / 2               ? 0
                      : o->short_blocks < STEP_BACK_DOUBLINGS ? o->short_blocks + 1
                                                              : STEP_BACK_DOUBLINGS;
    return true;
}

int
rows_add(struct open_rows *o, const struct bh_batch *b, uint32_t lacks, const uint16_t *country_map)
{
    const uint32_t flags = chunk_flags_of(b) | lacks << CHUNK_LACKS_SHIFT;
    int r = 0;
    for (uint32_t at = 0; at < b->rows && r == 0;) {
        struct chunk *c = o->count == 0 ? NULL : o->chunk[o->count - 1];
        if (c == NULL || c->rows == BLOCK_ROWS || c->flags != flags ||
            is_far_back(o, c, b->ts_ns[at])) {
            c = rows_new_chunk(o, flags);
            if (c == NULL) {
                return -ENOMEM;
            }
        }
        const uint32_t room = BLOCK_ROWS - c->rows, n = b->rows - at < room ? b->rows - at : room;
        r = chunk_add(c, &o->terms, b, at, at + n, country_map);
        at += n;
    }
    return r;
}

int
rows_seal(const struct open_rows *o, size_t chunks, const char *dir, uint64_t sequence,
          const struct bh_store_run *run, const struct bh_store_sums *sums, struct block_work *work,
          struct segment_out *ret, struct bh_error *err)
{
    struct census census = { 0 };
    struct dict dict = { 0 };
    int r = 0;
    for (size_t k = 0; k < chunks && r == 0; k++) {
        r = census_add(&census, &o->terms, o->chunk[k]);
    }
    r = r != 0 ? r : dict_build(&dict, &o->terms, &census);
    census_done(&census);
    if (r != 0) {
        return bh_error_errno(err, ENOMEM, dir, "cannot write", "書けません");
    }
    r = segment_begin(ret, dir, sequence, sequence, run, sums, &dict, &work->code, err);
    for (size_t k = 0; k < chunks && r == 0; k++) {
        r = segment_block(ret, &dict, &o->terms, o->chunk[k], work, err);
    }
    r = r != 0 ? r : segment_end(ret, &work->code, err);
    if (r != 0) {
        segment_drop(ret);
    }
    dict_done(&dict);
    return r;
}
