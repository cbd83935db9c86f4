/* SPDX-License-Identifier: BSD-2-Clause */
/* A query: which blocks it reads, and the rows of all runs in the order of time. */
#include "reader_priv.h"

#include <errno.h>
#include <stdlib.h>

/* What is left out of the files of a run, in their order. */
static int
plan_run(struct bh_store *s, const struct cursor *c)
{
    int r = 0;
    for (size_t k = 0; k < c->files && r == 0; k++) {
        const size_t file = c->file[k];
        const struct log_file *f = &s->file[file];
        struct file_plan *p = &s->plan[file];
        unsigned why = BH_STORE_BY_PERIOD;
        bool any = false;
        r = file_plan_make(p, f, &s->query, &s->values, s->sensors.name[c->sensor]);
        for (size_t b = 0; b < f->block_count && r == 0; b++) {
            const bool wanted = is_wanted(s, file, b);
            const unsigned of_block = wanted           ? BH_STORE_READ
                                      : p->why != NULL ? p->why[b]
                                                       : (unsigned)BH_STORE_BY_PERIOD;
            s->skipped.blocks[of_block]++;
            any |= wanted;
            why = of_block == BH_STORE_BY_PERIOD ? why : of_block;
        }
        s->skipped.files[any ? (unsigned)BH_STORE_READ : why]++;
        s->skipped.no_summary += s->query.judge != NULL && any && p->why == NULL;
    }
    return r;
}

static int
make_plans(struct bh_store *s)
{
    plans_done(s);
    s->skipped = (struct bh_store_skipped){ .judged = s->query.judge != NULL };
    s->plan = calloc(s->files + 1, sizeof *s->plan);
    int r = s->plan == NULL ? -ENOMEM : 0;
    for (size_t k = 0; k < s->runs && r == 0; k++) {
        r = plan_run(s, &s->cursor[k]);
    }
    return r;
}

void
bh_store_get_skipped(const struct bh_store *s, struct bh_store_skipped *ret)
{
    *ret = s->skipped;
}

const char *
bh_store_why_name(unsigned why)
{
    static const char *const names[BH_STORE_WHYS] = {
        [BH_STORE_READ] = "read",          [BH_STORE_BY_PERIOD] = "period",
        [BH_STORE_BY_COUNTRY] = "country", [BH_STORE_BY_PORT] = "port",
        [BH_STORE_BY_ADDRESS] = "address", [BH_STORE_BY_OUTCOME] = "outcome",
        [BH_STORE_BY_SENSOR] = "sensor",   [BH_STORE_BY_SERVICE] = "service",
        [BH_STORE_BY_FILTER] = "filter",
    };
    return why < BH_STORE_WHYS ? names[why] : "";
}

int
bh_store_read_begin(struct bh_store *s, const struct bh_store_query *q, struct bh_error *err)
{
    s->query = *q;
    s->blocks_done = 0;
    s->bounds = (struct cells_bounds){ INT64_MAX, INT64_MIN };
    crew_free(s->crew);
    s->crew = NULL;
    s->health.damaged_blocks = 0;
    s->health.lost_records = s->lost_of_files;
    if (country_values_init(&s->values, q->countries) != 0 || make_plans(s) != 0 ||
        crew_new(q->threads, &s->crew) != 0) {
        return bh_error_errno(err, ENOMEM, "", "cannot read", "読めません");
    }
    for (size_t k = 0; k < s->runs; k++) {
        cursor_end(&s->cursor[k]);
        s->cursor[k].file_at = s->cursor[k].block_at = 0;
        s->cursor[k].ended = false;
    }
    return 0;
}

/* When the next row of a run is; of a block that is not open its first. */
static int64_t
cursor_time(const struct bh_store *s, struct cursor *c)
{
    if (c->batch != NULL && c->row < c->batch->rows) {
        return c->batch->ts_ns[c->row];
    }
    if (c->is_open) {
        return INT64_MIN; /* whatever comes: it is read before it is compared */
    }
    const struct block_ref *b = next_block(s, c);
    if (b == NULL) {
        c->ended = true;
        return INT64_MAX;
    }
    return b->head.first_ns;
}

/* The run whose row comes next, and when the first of the others comes. */
static struct cursor *
first_cursor(struct bh_store *s, int64_t *ret_limit)
{
    struct cursor *first = NULL;
    int64_t best = INT64_MAX, limit = INT64_MAX;
    for (size_t k = 0; k < s->runs; k++) {
        struct cursor *c = &s->cursor[k];
        const int64_t t = c->ended ? INT64_MAX : cursor_time(s, c);
        if (c->ended) {
            continue;
        }
        if (first == NULL || t < best) {
            limit = first == NULL ? INT64_MAX : best;
            best = t;
            first = c;
        } else {
            limit = t < limit ? t : limit;
        }
    }
    *ret_limit = limit;
    return first;
}

/* What a batch says of all its rows. */
static bool
go_together(const struct bh_batch *a, const struct bh_batch *b)
{
    return a->want == b->want && a->lacks == b->lacks && a->has_weight == b->has_weight &&
           a->all_inbound == b->all_inbound && a->no_tcp_seq == b->no_tcp_seq;
}

/* Rows of one run until one of another comes first. */
static void
take_rows(struct cursor *c, int64_t limit, struct bh_batch *b)
{
    const struct bh_batch *from = c->batch;
    const uint32_t first = c->row; /* comes first in any case */
    b->want = from->want;
    b->lacks = from->lacks;
    b->all_inbound = from->all_inbound;
    b->no_tcp_seq = from->no_tcp_seq;
    b->has_country = true;
    while (c->row < from->rows && b->rows < BH_BATCH_ROWS && b->quote_rows < BH_BATCH_QUOTES &&
           (c->row == first || from->ts_ns[c->row] <= limit)) {
        bh_batch_copy_row(b, from, c->row++);
    }
}

/* What is added up has no order: one run after the other. */
static int
read_any_order(struct bh_store *s, struct bh_batch *b, struct bh_error *err)
{
    for (size_t k = 0; k < s->runs; k++) {
        int r = s->cursor[k].ended ? 0 : 2;
        while (r == 2) {
            r = cursor_next(s, &s->cursor[k], b);
        }
        if (r != 0) {
            return r < 0 ? bh_error_errno(err, -r, "", "cannot read", "読めません") : r;
        }
    }
    return 0;
}

int
bh_store_read(struct bh_store *s, struct bh_batch *b, struct bh_error *err)
{
    int r = 0;
    bh_batch_reset(b);
    if (s->query.accesses != BH_STORE_EACH) {
        return read_any_order(s, b, err);
    }
    for (;;) {
        int64_t limit;
        struct cursor *c = first_cursor(s, &limit);
        if (c == NULL) {
            return b->rows > 0;
        }
        if (c->batch != NULL && c->row < c->batch->rows) {
            const uint32_t rows = b->rows;
            if (rows == 0 || go_together(b, c->batch)) {
                take_rows(c, limit, b);
            }
            if (b->rows == rows || b->rows == BH_BATCH_ROWS) {
                return 1; /* another kind of batch, or a full one */
            }
            continue;
        }
        if (!c->is_open && s->runs > 1) {
            const struct block_ref *block = next_block(s, c);
            if (block != NULL && block->head.max_ns > limit && c->batch == NULL &&
                (c->batch = bh_batch_new()) == NULL) {
                return bh_error_errno(err, ENOMEM, "", "cannot read", "読めません");
            }
        }
        /* Alone in its time: straight into the hands of who asks. */
        const bool alone = c->batch == NULL || limit == INT64_MAX;
        if (alone && b->rows > 0) {
            return 1;
        }
        r = cursor_next(s, c, alone ? b : c->batch);
        c->row = 0;
        if (r < 0) {
            return bh_error_errno(err, -r, "", "cannot read", "読めません");
        }
        if (r == 2) {
            if (c->batch != NULL) {
                c->batch->rows = 0;
            }
            continue;
        }
        if (r == 1 && alone) {
            if (c->batch != NULL) {
                c->batch->rows = 0;
            }
            return 1;
        }
    }
}

void
bh_store_progress(const struct bh_store *s, uint64_t *ret_total, uint64_t *ret_done)
{
    uint64_t total = 0;
    for (size_t k = 0; k < s->files; k++) {
        for (size_t b = 0; b < s->file[k].block_count; b++) {
            total += is_wanted(s, k, b);
        }
    }
    *ret_total = total;
    *ret_done = s->blocks_done;
}
