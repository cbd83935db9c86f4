/* SPDX-License-Identifier: BSD-2-Clause */
/* What is in a packet log: its runs, sensors, sums, sizes and files, and whether all of it is whole. */
#include "reader_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ---- what it says of itself ------------------------------------------------------------------------------- */

size_t
bh_store_run_count(const struct bh_store *s)
{
    return s->runs;
}

const struct bh_store_run *
bh_store_run(const struct bh_store *s, size_t index)
{
    return &s->run[index];
}

size_t
bh_store_sensor_count(const struct bh_store *s)
{
    return s->sensors.count;
}

const char *
bh_store_sensor(const struct bh_store *s, size_t index)
{
    return s->sensors.name[index];
}

size_t
bh_store_sensor_of_run(const struct bh_store *s, size_t run)
{
    return s->sensors.of_run[run];
}

/* First and last record of a run, by its blocks. */
static void
times_of_run(const struct bh_store *s, const struct cursor *c, int64_t *first_ns, int64_t *last_ns)
{
    for (size_t k = 0; k < c->files; k++) {
        const struct log_file *f = &s->file[c->file[k]];
        for (size_t b = 0; b < f->block_count; b++) {
            const struct block_head *h = &f->block[b].head;
            *first_ns = h->min_ns < *first_ns ? h->min_ns : *first_ns;
            *last_ns = h->max_ns > *last_ns ? h->max_ns : *last_ns;
        }
    }
}

void
bh_store_sensor_times(const struct bh_store *s, size_t sensor, int64_t *ret_first_ns,
                      int64_t *ret_last_ns)
{
    *ret_first_ns = INT64_MAX;
    *ret_last_ns = INT64_MIN;
    for (size_t k = 0; k < s->runs; k++) {
        if (s->sensors.of_run[k] == sensor) {
            times_of_run(s, &s->cursor[k], ret_first_ns, ret_last_ns);
        }
    }
}

uint32_t
bh_store_silences(const struct bh_store *s, size_t sensor, uint64_t least_ns,
                  struct bh_store_silence *ret, uint32_t max)
{
    struct run_silences *all = calloc(s->runs + 1, sizeof *all);
    size_t n = 0;
    for (size_t k = 0; all != NULL && k < s->runs; k++) {
        const struct bh_store_sums *sums = s->cursor[k].sums;
        struct run_silences one = { .first_ns = INT64_MAX,
                                    .last_ns = INT64_MIN,
                                    .edges_known =
                                        !s->run[k].is_import && s->run[k].filter[0] == '\0' };
        if (sensor < BH_STORE_SENSORS_MAX && s->sensors.of_run[k] != sensor) {
            continue;
        }
        times_of_run(s, &s->cursor[k], &one.first_ns, &one.last_ns);
        one.silence = sums == NULL ? NULL : sums->silence;
        one.count = sums == NULL ? 0 : sums->silence_count;
        if (one.first_ns <= one.last_ns) { /* a run without records says nothing */
            all[n++] = one;
        }
    }
    const uint32_t found = silences_meet(all, n, least_ns, ret, max);
    free(all);
    return found;
}

const struct bh_store_sums *
bh_store_get_sums(const struct bh_store *s)
{
    return &s->sums;
}

void
bh_store_get_totals(const struct bh_store *s, struct bh_store_totals *ret)
{
    struct bh_store_totals t = { .first_ns = INT64_MAX, .last_ns = INT64_MIN };
    for (size_t k = 0; k < s->files; k++) {
        const struct log_file *f = &s->file[k];
        t.records += f->rows;
        t.bytes += f->size;
        t.segments += f->type == FILE_SEGMENT;
        t.journals += f->type == FILE_JOURNAL;
        t.journal_records += f->type == FILE_JOURNAL ? f->rows : 0;
        t.blocks += f->block_count;
        for (size_t b = 0; b < f->block_count; b++) {
            t.first_ns =
                f->block[b].head.min_ns < t.first_ns ? f->block[b].head.min_ns : t.first_ns;
            t.last_ns = f->block[b].head.max_ns > t.last_ns ? f->block[b].head.max_ns : t.last_ns;
        }
    }
    *ret = t;
}

void
bh_store_get_health(const struct bh_store *s, struct bh_store_health *ret)
{
    *ret = s->health;
}

size_t
bh_store_column_sizes(const struct bh_store *s, struct bh_store_column_size *ret, size_t max)
{
    uint64_t column[COLUMNS] = { 0 }, dicts = 0, rest = 0, rollups = 0, summaries = 0;
    for (size_t k = 0; k < s->files; k++) {
        const struct log_file *f = &s->file[k];
        if (f->type != FILE_SEGMENT) {
            continue;
        }
        rest += f->size - f->dict_bytes - f->rollup_size - f->summary_size;
        summaries += f->summary_size;
        rollups += f->rollup_size;
        dicts += f->dict_bytes;
        for (size_t b = 0; b < f->block_count; b++) {
            for (unsigned c = 0; c < COLUMNS; c++) {
                column[c] += f->block[b].head.column[c].size;
                rest -= f->block[b].head.column[c].size;
            }
        }
    }
    size_t n = 0;
    for (unsigned c = 0; c < COLUMNS && n < max; c++) {
        if (column[c] > 0) {
            ret[n++] = (struct bh_store_column_size){ column_name(c), column[c] };
        }
    }
    if (n < max) {
        ret[n++] = (struct bh_store_column_size){ "dictionary", dicts };
    }
    if (n < max && rollups > 0) {
        ret[n++] = (struct bh_store_column_size){ "rollup", rollups };
    }
    if (n < max && summaries > 0) {
        ret[n++] = (struct bh_store_column_size){ "summary", summaries };
    }
    if (n < max) {
        ret[n++] = (struct bh_store_column_size){ "index", rest };
    }
    return n;
}

/* ---- files, as a plan sees them --------------------------------------------------------------------------- */

size_t
bh_store_file_count(const struct bh_store *s)
{
    return s->files;
}

static const char *
why_no_rollup(const struct log_file *f)
{
    static const char *const why[] = {
        [ROLLUP_WRITTEN] = "none", [ROLLUP_WEIGHTS] = "weights", [ROLLUP_TIMES] = "times",
        [ROLLUP_ORDER] = "order",  [ROLLUP_MANY] = "many",       [ROLLUP_NO_GAIN] = "small",
    };
    if (f->rollup.days > 0 && f->damaged == 0) {
        return NULL;
    }
    return f->type != FILE_SEGMENT               ? "journal"
           : f->rollup_damaged || f->damaged > 0 ? "damaged"
           : !f->rollup_known                    ? "none"
           : f->rollup.reason < BH_COUNT(why)    ? why[f->rollup.reason]
                                                 : "newer";
}

void
bh_store_get_file(const struct bh_store *s, size_t file, struct bh_store_file *ret)
{
    const struct log_file *f = &s->file[file];
    *ret = (struct bh_store_file){ .path = f->path,
                                   .is_segment = f->type == FILE_SEGMENT,
                                   .rows = f->rows,
                                   .first_ns = INT64_MAX,
                                   .last_ns = INT64_MIN,
                                   .no_rollup = why_no_rollup(f),
                                   .days = f->rollup.days };
    while (ret->run < s->runs && s->run[ret->run].id != f->run.id) {
        ret->run++;
    }
    for (size_t k = 0; k < f->block_count; k++) {
        const struct block_head *h = &f->block[k].head;
        ret->first_ns = h->min_ns < ret->first_ns ? h->min_ns : ret->first_ns;
        ret->last_ns = h->max_ns > ret->last_ns ? h->max_ns : ret->last_ns;
    }
}

void
bh_store_rollup_bounds(const struct bh_store *s, size_t file, uint32_t day, int64_t *ret_start_ns,
                       int64_t *ret_end_ns, uint64_t *ret_rows)
{
    const struct rollup_day_ref *d =
        &(file == BH_STORE_JOINED ? &s->joined : &s->file[file])->rollup.day[day];
    *ret_start_ns = d->start_ns;
    *ret_end_ns = d->end_ns;
    *ret_rows = d->rows;
}

int
bh_rollup_open(const struct bh_store *s, size_t file, struct bh_rollup **ret)
{
    return bh_rollup_open_some(s, file, BH_ROLLUP_SOURCES, ret);
}

int
bh_rollup_open_some(const struct bh_store *s, size_t file, enum bh_rollup_parts parts,
                    struct bh_rollup **ret)
{
    return rollup_open(file == BH_STORE_JOINED ? &s->joined : &s->file[file], parts, ret);
}

uint32_t
bh_store_joined_days(const struct bh_store *s)
{
    return s->joined.rollup.days;
}

bool
bh_store_joined_has(const struct bh_store *s, size_t file)
{
    return s->joined.rollup.days > 0 && joined_has(&s->joined, &s->file[file]);
}

bool
bh_store_file_has(const struct bh_store *s, size_t file, int64_t start_ns, int64_t end_ns)
{
    const struct log_file *f = &s->file[file];
    for (size_t k = 0; k < f->block_count; k++) {
        if (f->block[k].head.max_ns >= start_ns && f->block[k].head.min_ns < end_ns) {
            return true;
        }
    }
    return false;
}

/* ---- whole files -------------------------------------------------------------------------------------------- */

/* Every column of every block, and every dictionary. */
int
bh_store_verify(struct bh_store *s, bh_store_progress_fn *progress, void *arg, struct bh_error *err)
{
    struct block_rows *rows = block_rows_new();
    uint64_t total = 0, done = 0;
    int r = rows == NULL ? -ENOMEM : 0;
    s->health.damaged_blocks = 0;
    s->health.lost_records = s->lost_of_files;
    for (size_t k = 0; k < s->files; k++) {
        total += s->file[k].block_count;
    }
    for (size_t k = 0; k < s->files && r == 0; k++) {
        const struct log_file *f = &s->file[k];
        struct dict d = { 0 };
        size_t dict_of = SIZE_MAX;
        if (f->type == FILE_SEGMENT && f->damaged == 0 && !log_file_frames_are_sound(f)) {
            s->health.damaged_files++;
            note_damage(s, f, 0);
        }
        for (size_t b = 0; b < f->block_count && r == 0; b++) {
            const struct block_ref *ref = &f->block[b];
            if (dict_of != ref->dict) {
                dict_done(&d);
                r = log_file_dict(f, ref->dict, &d);
                dict_of = r == 0 ? ref->dict : SIZE_MAX;
            }
            r = r != 0 ? r : block_open(rows, &d, &ref->head, f->data + ref->body_at, BH_STORE_ALL);
            if (r == BH_EDAMAGED) {
                s->health.damaged_blocks++;
                s->health.lost_records += ref->head.rows;
                note_damage(s, f, ref->body_at);
                r = 0;
            }
            if (r == 0 && progress != NULL && !progress(arg, ++done, total)) {
                r = -ECANCELED;
            }
        }
        dict_done(&d);
    }
    block_rows_free(rows);
    if (r == -ECANCELED) {
        return bh_error_set(err, r, "", "stopped before all was read",
                            "すべてを読む前に中断しました");
    }
    return r == 0 ? 0 : bh_error_errno(err, ENOMEM, "", "cannot read", "読めません");
}
