/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reader: the files of one log or several, their records in the order in which they were
 * written. What one writing made is a run; runs that overlap in time are merged by time, as several
 * captures are, and inside a run the order is kept.
 */
#include "cells_priv.h"
#include "reader_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

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
    /* not as octets: between the members they are anything */
    for (size_t k = 0; k < n && same; k++) {
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

void
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

void
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
