/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reader: the files of one log or several, their records in the order in which they were
 * written. What one writing made is a run; runs that overlap in time are merged by time, as several
 * captures are, and inside a run the order is kept.
 */
#include "cells_priv.h"
#include "rows_priv.h"
#include "sensors_priv.h"
#include "sieve_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Opened, a block takes some 5 MB. */
#define AHEAD_MOST (2 * CREW_MOST)

/* Where a run is being read. */
struct cursor {
    size_t *file; /* indexes of its files, in order */
    size_t files, file_at, block_at;
    struct dict dict;
    size_t dict_of; /* file << 32 | dictionary + 1; 0: none */
    bool is_open;   /* a block is, or some that are added up */
    /* Blocks that were opened together; the first that is not read yet. */
    struct opened {
        struct block_rows *rows;
        size_t block_at;
        int result;
        uint64_t unknown;
        bool more;
    } ahead[AHEAD_MOST];
    uint32_t ahead_count, ahead_at;
    struct sieve sieve[CREW_MOST]; /* of each thread */
    bool has_sieve;                /* for the blocks of this dictionary */
    struct block_cells *cells;
    bool has_cells,
        adds_up; /* blocks of this dictionary may be added up; those that are open are */
    struct cells_block *taken; /* these, and where they stand in the file */
    size_t taken_at[CELLS_BLOCKS_MOST];
    uint32_t taken_count;
    bool is_empty; /* no row came of the open block     */
    uint16_t *value_of_country;
    struct bh_batch *batch; /* rows that wait for those of other runs */
    uint32_t row;
    uint64_t file_row; /* of the next row of the open block */
    bool ended;
    uint16_t sensor;
    const struct bh_store_sums *sums; /* of the run; NULL: none known */
};

struct bh_store {
    struct log_file *file;
    size_t files;
    struct bh_store_run *run;
    size_t runs;
    struct cursor *cursor; /* one a run */
    struct sensor_names sensors;
    struct bh_store_sums sums;
    struct bh_store_health health;
    uint64_t lost_of_files; /* where their frames were damaged: known from the start */
    struct bh_store_query query;
    struct country_values values; /* of the query's database */
    struct file_plan *plan;       /* of each file */
    struct bh_store_skipped skipped;
    uint64_t blocks_done;
    struct crew *crew;          /* of the query */
    struct cells_bounds bounds; /* of accesses that were added up */
    struct log_file joined;     /* of a log alone; without data: none that holds */
};

bool
bh_store_is_log(const char *path)
{
    struct listed *list = NULL;
    struct stat st;
    char lock[4096];
    size_t n = 0;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode) || list_dir(path, &list, &n, NULL) != 0) {
        return false;
    }
    free(list);
    snprintf(lock, sizeof lock, "%s/lock", path);
    return n > 0 || stat(lock, &st) == 0;
}

/* ---- opening ----------------------------------------------------------------------------------------- */

static bool
same_list(const struct listed *a, size_t n, const struct listed *b, size_t m)
{
    bool same = n == m;
    for (size_t k = 0; k < n && same;
         k++) { /* not as octets: between the members they are anything */
        same = a[k].sequence == b[k].sequence && a[k].type == b[k].type;
    }
    return same;
}

/* A listing that did not change meanwhile: a writer renames and removes. */
static int
list_steady(const char *dir, struct listed **ret_list, size_t *ret_count, struct bh_error *err)
{
    struct listed *before = NULL, *list = NULL;
    size_t n = 0, m = 0;
    int r = list_dir(dir, &before, &n, err);
    for (unsigned tries = 0; r == 0 && tries < 20; tries++) {
        r = list_dir(dir, &list, &m, err);
        if (r != 0 || same_list(before, n, list, m)) {
            break;
        }
        free(before);
        before = list;
        n = m;
        list = NULL;
    }
    free(list);
    if (r != 0) {
        free(before);
        return r;
    }
    *ret_list = before;
    *ret_count = n;
    return 0;
}

static void
note_damage(struct bh_store *s, const struct log_file *f, uint64_t at)
{
    if (s->health.first[0] == '\0') {
        const char *path = f->path == NULL ? "" : f->path;
        const size_t len = strlen(path);
        snprintf(s->health.first, sizeof s->health.first, "%s%s: %llu", len > 200 ? "..." : "",
                 len > 200 ? path + len - 200 : path, (unsigned long long)at);
    }
}

/* -EAGAIN: a file went away between listing and opening. */
static int
open_files(struct bh_store *s, const char *dir, struct bh_error *err)
{
    struct listed *list;
    size_t n;
    int r = list_steady(dir, &list, &n, err);
    if (r != 0) {
        return r;
    }
    struct log_file *p = realloc(s->file, (s->files + n + 1) * sizeof *p);
    if (p == NULL) {
        free(list);
        return bh_error_errno(err, ENOMEM, dir, "cannot read", "読めません");
    }
    s->file = p;
    const size_t first = s->files;
    for (size_t k = 0; k < n && r == 0; k++) {
        char name[NAME_SIZE], path[4096];
        if (list[k].type == FILE_UNFINISHED) {
            continue;
        }
        name_put(name, list[k].sequence, list[k].type);
        snprintf(path, sizeof path, "%s/%s", dir, name);
        r = log_file_open(path, list[k].type, list[k].sequence, &s->file[s->files], err);
        if (r == -ENOENT) {
            r = -EAGAIN;
        }
        s->files += r == 0;
    }
    free(list);
    /* Of these, which count? */
    const size_t count = s->files - first;
    bool *drop = calloc(count + 1, sizeof *drop);
    for (size_t k = 0; drop != NULL && k < count; k++) {
        const struct log_file *f = &s->file[first + k];
        drop[k] = f->type == FILE_JOURNAL ? !journal_counts(&s->file[first], count, k)
                                          : is_superseded(&s->file[first], count, k);
    }
    size_t kept = first;
    for (size_t k = 0; drop != NULL && k < count; k++) {
        if (drop[k] || r != 0) {
            log_file_close(&s->file[first + k]);
        } else {
            s->file[kept++] = s->file[first + k];
        }
    }
    s->files = kept;
    r = r == 0 && drop == NULL ? bh_error_errno(err, ENOMEM, dir, "cannot read", "読めません") : r;
    free(drop);
    return r;
}

static int
open_dir(struct bh_store *s, const char *dir, struct bh_error *err)
{
    int r = -EAGAIN;
    const size_t before = s->files;
    for (unsigned tries = 0; r == -EAGAIN && tries < 20; tries++) {
        r = open_files(s, dir, err);
    }
    if (r == -EAGAIN) {
        return bh_error_errno(err, EAGAIN, dir, "changes too fast to be read",
                              "変化が速すぎて読めません");
    }
    if (r == 0 && s->files == before &&
        !bh_store_is_log(dir)) { /* else its writer has only begun */
        return bh_error_set(err, BH_EFORMAT, dir, "this directory holds no packet log",
                            "このディレクトリにはパケットログがありません");
    }
    return r;
}

/* The sums of a run are those of its last file. */
static const struct bh_store_sums *
sums_of_run(const struct bh_store *s, size_t at)
{
    const struct cursor *c = &s->cursor[at];
    size_t last = c->files;
    while (last > 0 && !s->file[c->file[last - 1]].sums_known) {
        last--;
    }
    return last > 0 ? &s->file[c->file[last - 1]].sums : NULL;
}

static bool
are_in_one_log(const struct bh_store *s, size_t a, size_t b)
{
    const char *x = s->file[s->cursor[a].file[0]].path, *y = s->file[s->cursor[b].file[0]].path;
    const char *x_end = strrchr(x, '/'), *y_end = strrchr(y, '/');
    return x_end != NULL && y_end != NULL && x_end - x == y_end - y &&
           memcmp(x, y, (size_t)(x_end - x)) == 0;
}

/* A sensor that writes its log in another way from a moment on (another profile or filter) writes another run. The sums of
 * that are still those of the sensor since its start, and hold those of this one. (Frames: of sensors alone; they only grow.) */
static bool
is_gone_on(const struct bh_store *s, size_t at)
{
    const struct bh_store_run *a = &s->run[at];
    const uint64_t frames = s->cursor[at].sums->frames;
    for (size_t k = 0; k < s->runs && frames > 0; k++) {
        const struct bh_store_run *b = &s->run[k];
        const uint64_t other = s->cursor[k].sums != NULL ? s->cursor[k].sums->frames : 0;
        if (k != at && b->first_ns == a->first_ns &&
            (other > frames || (other == frames && k > at)) && strcmp(b->sensor, a->sensor) == 0 &&
            strcmp(b->source, a->source) == 0 && are_in_one_log(s, at, k)) {
            return true;
        }
    }
    return false;
}

/* Files by run. */
static int
find_runs(struct bh_store *s)
{
    s->run = calloc(s->files + 1, sizeof *s->run);
    s->cursor = calloc(s->files + 1, sizeof *s->cursor);
    if (s->run == NULL || s->cursor == NULL) {
        return -ENOMEM;
    }
    for (size_t k = 0; k < s->files; k++) {
        const struct log_file *f = &s->file[k];
        size_t at = 0;
        while (at < s->runs && s->run[at].id != f->run.id) {
            at++;
        }
        if (!f->run_known && f->rows == 0 && f->torn == f->size && s->files > 1) {
            s->health.torn_bytes += f->torn;
            continue; /* a journal whose writer had not begun */
        }
        struct cursor *c = &s->cursor[at];
        if (at == s->runs) {
            s->run[s->runs++] = f->run;
            c->file = calloc(s->files, sizeof *c->file);
            if (c->file == NULL) {
                return -ENOMEM;
            }
        }
        c->file[c->files++] = k;
        s->health.torn_bytes += f->torn;
        s->health.damaged_files += f->damaged > 0;
        s->lost_of_files += f->lost_rows;
        if (f->damaged > 0) {
            note_damage(s, f, 0);
        }
    }
    int r = 0;
    for (size_t at = 0; at < s->runs; at++) {
        s->cursor[at].sums = sums_of_run(s, at);
    }
    for (size_t at = 0; at < s->runs && r == 0; at++) {
        if (s->cursor[at].sums != NULL && !is_gone_on(s, at)) {
            r = bh_store_sums_add(&s->sums, s->cursor[at].sums);
        }
    }
    return r;
}

static int
find_sensors(struct bh_store *s, struct bh_error *err)
{
    char **dir = calloc(s->runs + 1, sizeof *dir);
    int r = dir == NULL ? -ENOMEM : 0;
    for (size_t k = 0; k < s->runs && r == 0; k++) {
        dir[k] = strdup(s->file[s->cursor[k].file[0]].path);
        char *slash = dir[k] == NULL ? NULL : strrchr(dir[k], '/');
        if (slash != NULL) {
            *slash = '\0';
        }
        r = dir[k] == NULL ? -ENOMEM : 0;
    }
    r = r != 0 ? bh_error_errno(err, ENOMEM, "", "cannot read", "読めません")
               : sensor_names_init(&s->sensors, s->run, dir, s->runs, err);
    for (size_t k = 0; k < s->runs; k++) {
        s->cursor[k].sensor = r == 0 ? s->sensors.of_run[k] : 0;
        free(dir == NULL ? NULL : dir[k]);
    }
    free(dir);
    return r;
}

/* What is wrong with it costs nothing but time. */
static void
open_joined(struct bh_store *s, const char *dir)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, JOINED_NAME);
    if (log_file_open(path, FILE_SEGMENT, 0, &s->joined, NULL) != 0) {
        s->joined = (struct log_file){ 0 };
    } else if (!joined_holds(&s->joined, s->file, s->files)) {
        log_file_close(&s->joined);
    }
}

int
bh_store_open(const char *const *dirs, size_t count, struct bh_store **ret_store,
              struct bh_error *err)
{
    struct bh_store *s = calloc(1, sizeof *s);
    int r = s == NULL ? bh_error_errno(err, ENOMEM, dirs[0], "cannot read", "読めません") : 0;
    for (size_t k = 0; k < count && r == 0; k++) {
        r = open_dir(s, dirs[k], err);
    }
    if (r == 0 && find_runs(s) != 0) {
        r = bh_error_errno(err, ENOMEM, dirs[0], "cannot read", "読めません");
    }
    r = r != 0 ? r : find_sensors(s, err);
    if (r == 0 && count == 1 && s->runs == 1) {
        open_joined(s, dirs[0]);
    }
    if (r != 0) {
        bh_store_close(s);
        return r;
    }
    *ret_store = s;
    return 0;
}

static void
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

static void
plans_done(struct bh_store *s)
{
    for (size_t k = 0; s->plan != NULL && k < s->files; k++) {
        file_plan_done(&s->plan[k]);
    }
    free(s->plan);
    s->plan = NULL;
}

void
bh_store_close(struct bh_store *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t k = 0; k < s->runs; k++) {
        cursor_end(&s->cursor[k]);
        free(s->cursor[k].file);
    }
    for (size_t k = 0; k < s->files; k++) {
        log_file_close(&s->file[k]);
    }
    log_file_close(&s->joined);
    bh_store_sums_done(&s->sums);
    sensor_names_done(&s->sensors);
    free(s->file);
    free(s->run);
    free(s->cursor);
    plans_done(s);
    country_values_done(&s->values);
    crew_free(s->crew);
    free(s);
}

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

/* ---- reading ------------------------------------------------------------------------------------------------- */

static bool
is_wanted(const struct bh_store *s, size_t file, size_t block)
{
    const uint8_t *why = s->plan == NULL ? NULL : s->plan[file].why;
    return why != NULL ? why[block] == BH_STORE_READ
                       : is_in_period(&s->query, &s->file[file].block[block].head);
}

/* The next block of the run that is wanted; NULL: the end. */
static const struct block_ref *
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

/* The next rows of a run into `b`. 1, 0 at its end, or negative; 2: there is nothing in its next block, and
 * another run may come first now. */
static int
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
