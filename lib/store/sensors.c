/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Several sensors in one report: what they are called, when they saw nothing, and where their logs
 * are.
 *
 * A run says its sensor. One that does not is called after the folder of its log, since that is
 * what people name: "tokyo1/", "osaka/". Two such folders of one name in different places get as
 * much of their paths as tells them apart.
 */
#include "sensors_priv.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

/* ---- names ------------------------------------------------------------------------------------- */

/* What the filter reads as a name; all else is a stranger's or a folder's. */
static void
make_plain(char *name)
{
    for (char *c = name; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && strchr("-_.:@/+", *c) == NULL) {
            *c = '_';
        }
    }
}

/* The last `parts` folders of a path; of one that is too long its end. */
static void
end_of_path(const char *path, unsigned parts, char ret[SENSOR_NAME_SIZE])
{
    const size_t len = strlen(path);
    size_t at = len;
    while (at > 0 && parts > 0) {
        at--;
        parts -= path[at] == '/';
    }
    at += path[at] == '/' && at < len;
    at = len - at >= SENSOR_NAME_SIZE ? len - (SENSOR_NAME_SIZE - 1) : at;
    snprintf(ret, SENSOR_NAME_SIZE, "%s", path + at);
}

#define PARTS_MAX 8U

/* The folders of runs that do not say their sensor, each once. */
struct folders {
    char **path;
    char (*name)[SENSOR_NAME_SIZE];
    size_t count;
};

/* Of two different folders that end alike. */
static bool
is_ambiguous(const struct folders *f, size_t k, unsigned parts)
{
    char one[SENSOR_NAME_SIZE], other[SENSOR_NAME_SIZE];
    end_of_path(f->path[k], parts, one);
    for (size_t j = 0; j < f->count; j++) {
        if (strcmp(f->path[j], f->path[k]) != 0) {
            end_of_path(f->path[j], parts, other);
            if (strcmp(one, other) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* Runs of one log stand side by side. */
static int
find_folders(struct folders *f, const struct bh_store_run *run, char *const *dir_of_run,
             size_t runs)
{
    const char *last = NULL;
    f->path = calloc(runs + 1, sizeof *f->path);
    f->name = calloc(runs + 1, sizeof *f->name);
    if (f->path == NULL || f->name == NULL) {
        return -ENOMEM;
    }
    for (size_t k = 0; k < runs; k++) {
        if (run[k].sensor[0] != '\0' || (last != NULL && strcmp(last, dir_of_run[k]) == 0)) {
            continue;
        }
        last = dir_of_run[k];
        char *path = realpath(last, NULL);
        path = path == NULL ? strdup(last) : path;
        if (path == NULL) {
            return -ENOMEM;
        }
        f->path[f->count++] = path;
    }
    for (size_t k = 0; k < f->count; k++) {
        unsigned parts = 1;
        while (parts < PARTS_MAX && is_ambiguous(f, k, parts)) {
            parts++;
        }
        end_of_path(f->path[k], parts, f->name[k]);
    }
    return 0;
}

static void
folders_done(struct folders *f)
{
    for (size_t k = 0; k < f->count; k++) {
        free(f->path[k]);
    }
    free(f->path);
    free(f->name);
}

/* The sensor of each run, as text. */
static int
name_runs(const struct bh_store_run *run, char *const *dir_of_run, size_t runs,
          char (*ret)[SENSOR_NAME_SIZE])
{
    struct folders f = { 0 };
    const char *last = NULL;
    int r = find_folders(&f, run, dir_of_run, runs);
    for (size_t k = 0, folder = 0; r == 0 && k < runs; k++) {
        if (run[k].sensor[0] != '\0') {
            memcpy(ret[k], run[k].sensor, SENSOR_NAME_SIZE);
        } else {
            folder += last != NULL && strcmp(last, dir_of_run[k]) != 0;
            last = dir_of_run[k];
            memcpy(ret[k], f.name[folder], SENSOR_NAME_SIZE);
        }
        make_plain(ret[k]);
        if (ret[k][0] == '\0') {
            snprintf(ret[k], SENSOR_NAME_SIZE, "-");
        }
    }
    folders_done(&f);
    return r;
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* All names, in order, each once. False: there are too many. */
static bool
list_names(struct sensor_names *s, const char (*all)[SENSOR_NAME_SIZE], size_t runs)
{
    for (size_t k = 0; k < runs; k++) {
        if (s->count > 0 && strcmp(s->text[s->count - 1], all[k]) == 0) {
            continue;
        }
        if (s->count == BH_STORE_SENSORS_MAX) {
            return false;
        }
        memcpy(s->text[s->count], all[k], SENSOR_NAME_SIZE);
        s->name[s->count] = s->text[s->count];
        s->count++;
    }
    return true;
}

int
sensor_names_init(struct sensor_names *s, const struct bh_store_run *run, char *const *dir_of_run,
                  size_t runs, struct bh_error *err)
{
    const size_t most = runs < BH_STORE_SENSORS_MAX ? runs : BH_STORE_SENSORS_MAX;
    char(*all)[SENSOR_NAME_SIZE] = calloc(runs + 1, sizeof *all);
    char(*sorted)[SENSOR_NAME_SIZE] = calloc(runs + 1, sizeof *sorted);
    *s = (struct sensor_names){ .text = calloc(most + 1, sizeof *s->text),
                                .name = calloc(most + 1, sizeof *s->name),
                                .of_run = calloc(runs + 1, sizeof *s->of_run) };
    int r = 0;
    if (all == NULL || sorted == NULL || s->text == NULL || s->name == NULL || s->of_run == NULL ||
        name_runs(run, dir_of_run, runs, all) != 0) {
        r = bh_error_errno(err, ENOMEM, "", "cannot read", "読めません");
    } else {
        memcpy(sorted, all, runs * sizeof *all);
        qsort(sorted, runs, sizeof *sorted, by_text);
        if (!list_names(s, (const char(*)[SENSOR_NAME_SIZE])sorted, runs)) {
            r = bh_error_set(err, BH_ELIMIT, sorted[0],
                             "and others: more than %u sensors at once; name fewer logs",
                             "など、センサーが %u 台を超えています。ログを減らしてください",
                             BH_STORE_SENSORS_MAX);
        }
    }
    for (size_t k = 0; r == 0 && k < runs; k++) {
        while (strcmp(s->text[s->of_run[k]], all[k]) != 0) {
            s->of_run[k]++;
        }
    }
    free(all);
    free(sorted);
    return r;
}

void
sensor_names_done(struct sensor_names *s)
{
    free(s->text);
    free(s->name);
    free(s->of_run);
    *s = (struct sensor_names){ 0 };
}

/* ---- silences ------------------------------------------------------------------------------------ */

struct span_list {
    struct bh_store_silence at[BH_STORE_SILENCES_MAX + 2];
    uint32_t count;
};

static void
add_span(struct span_list *l, int64_t start_ns, int64_t end_ns)
{
    if (end_ns > start_ns && l->count < BH_COUNT(l->at)) {
        l->at[l->count++] = (struct bh_store_silence){ start_ns, end_ns };
    }
}

static int
by_start(const void *a, const void *b)
{
    const struct bh_store_silence *x = a;
    const struct bh_store_silence *y = b;
    return x->start_ns < y->start_ns ? -1 : x->start_ns > y->start_ns;
}

/* When a run held no frame: its silences, and before and after it. What a filter left out, and rows
 * of other people's logs, were not watched for silences: they know of none. */
static void
spans_of_run(const struct run_silences *run, struct span_list *ret)
{
    struct span_list all = { .count = 0 };
    ret->count = 0;
    if (!run->edges_known) {
        for (uint32_t k = 0; k < run->count; k++) {
            add_span(ret, run->silence[k].start_ns, run->silence[k].end_ns);
        }
        return;
    }
    add_span(&all, INT64_MIN, run->first_ns);
    for (uint32_t k = 0; k < run->count; k++) {
        add_span(&all, run->silence[k].start_ns, run->silence[k].end_ns);
    }
    add_span(&all, run->last_ns, INT64_MAX);
    qsort(all.at, all.count, sizeof *all.at, by_start);
    for (uint32_t k = 0; k < all.count; k++) { /* those that overlap are one */
        struct bh_store_silence *last = ret->count > 0 ? &ret->at[ret->count - 1] : NULL;
        if (last != NULL && all.at[k].start_ns < last->end_ns) {
            last->end_ns = all.at[k].end_ns > last->end_ns ? all.at[k].end_ns : last->end_ns;
        } else {
            ret->at[ret->count++] = all.at[k];
        }
    }
}

/* Both lists are in order, and neither overlaps itself. */
static void
meet(const struct span_list *a, const struct span_list *b, struct span_list *ret)
{
    uint32_t i = 0, j = 0;
    ret->count = 0;
    while (i < a->count && j < b->count) {
        const struct bh_store_silence *x = &a->at[i], *y = &b->at[j];
        add_span(ret, x->start_ns > y->start_ns ? x->start_ns : y->start_ns,
                 x->end_ns < y->end_ns ? x->end_ns : y->end_ns);
        if (x->end_ns < y->end_ns) {
            i++;
        } else {
            j++;
        }
    }
}

uint32_t
silences_meet(const struct run_silences *run, size_t runs, uint64_t least_ns,
              struct bh_store_silence *ret, uint32_t max)
{
    struct span_list all = { .at = { { INT64_MIN, INT64_MAX } }, .count = runs > 0 };
    uint32_t n = 0;
    for (size_t k = 0; k < runs; k++) {
        struct span_list one, both;
        spans_of_run(&run[k], &one);
        meet(&all, &one, &both);
        all = both;
    }
    for (uint32_t k = 0; k < all.count && n < max; k++) {
        const struct bh_store_silence *x = &all.at[k];
        if (x->start_ns != INT64_MIN && x->end_ns != INT64_MAX &&
            (uint64_t)x->end_ns - (uint64_t)x->start_ns >= least_ns) {
            ret[n++] = *x;
        }
    }
    return n;
}

/* ---- folders of logs -------------------------------------------------------------------------------- */

#define DEPTH_MAX 4U
#define LOGS_MAX 4096U

static int
by_path(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int
add_path(struct bh_store_paths *p, const char *path)
{
    char **more = realloc(p->path, (p->count + 1) * sizeof *more);
    if (more == NULL) {
        return -ENOMEM;
    }
    p->path = more;
    p->path[p->count] = strdup(path);
    return p->path[p->count] == NULL ? -ENOMEM : (p->count++, 0);
}

/* What is no log, and no folder that can be read, holds none. Hidden folders are nobody's sensors, and
 * a link may lead back. */
static int
find_below(struct bh_store_paths *p, const char *path, unsigned depth)
{
    struct bh_store_paths below = { 0 };
    struct dirent *e;
    DIR *d = opendir(path);
    int r = 0;
    if (d == NULL) {
        return errno == ENOMEM ? -ENOMEM : 0;
    }
    while (r == 0 && (e = readdir(d)) != NULL) {
        char child[4096];
        struct stat st;
        const int n =
            snprintf(child, sizeof child, "%s%s%s", path,
                     path[0] != '\0' && path[strlen(path) - 1] == '/' ? "" : "/", e->d_name);
        if (e->d_name[0] != '.' && n > 0 && (size_t)n < sizeof child && lstat(child, &st) == 0 &&
            (S_ISDIR(st.st_mode) || (S_ISLNK(st.st_mode) && depth == 0))) {
            r = add_path(&below, child);
        }
    }
    closedir(d);
    if (below.count > 0) {
        qsort(below.path, below.count, sizeof *below.path, by_path);
    }
    for (size_t k = 0; r == 0 && k < below.count && p->count < LOGS_MAX; k++) {
        if (bh_store_is_log(below.path[k])) {
            r = add_path(p, below.path[k]);
        } else if (depth + 1 < DEPTH_MAX) {
            r = find_below(p, below.path[k], depth + 1);
        }
    }
    bh_store_paths_done(&below);
    return r;
}

int
bh_store_find_logs(const char *path, struct bh_store_paths *p)
{
    return bh_store_is_log(path) ? add_path(p, path) : find_below(p, path, 0);
}

void
bh_store_paths_done(struct bh_store_paths *p)
{
    for (size_t k = 0; k < p->count; k++) {
        free(p->path[k]);
    }
    free(p->path);
    *p = (struct bh_store_paths){ 0 };
}
