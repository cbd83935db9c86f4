/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_asof.c - a directory of dated databases: which one served on a day?
 *
 * The date is that in the file's header, not one in its name: a copied or renamed file answers for the
 * same days.
 */
#include "kobold_priv.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>

static bool
is_database_name(const char *name)
{
    size_t n = strlen(name);
    return name[0] != '.' && n > 4 && strcmp(name + n - 4, ".kdb") == 0;
}

/* "2014-06-30", all ten characters. */
static bool
is_day(const char *s)
{
    for (int i = 0; i < 10; i++) {
        bool is_dash = i == 4 || i == 7;
        if (is_dash ? s[i] != '-' : s[i] < '0' || s[i] > '9') {
            return false;
        }
    }
    return s[10] == '\0';
}

/* The date of a database with a sound header; false when it has none. */
static bool
date_of(const char *path, char ret_date[16])
{
    kobold *k;
    struct kobold_meta meta;
    if (kobold_open(path, &k) < 0) {
        return false;
    }
    kobold_get_meta(k, &meta);
    kobold_close(k);
    memcpy(ret_date, meta.date, 16);
    return is_day(ret_date);
}

struct dated {
    char date[16];
    char name[256];
};

struct listing {
    struct dated *at;
    size_t count, room;
};

/* By date, then by name. */
static int
compare_dated(const void *pa, const void *pb)
{
    const struct dated *a = pa;
    const struct dated *b = pb;
    int c = strcmp(a->date, b->date);
    return c != 0 ? c : strcmp(a->name, b->name);
}

static int
add_dated(struct listing *l, const char *name, const char *date)
{
    if (l->count == l->room) {
        size_t room = l->room == 0 ? 16 : l->room * 2;
        void *at = realloc(l->at, bh_size_mul(room, sizeof *l->at));
        if (at == NULL) {
            return -ENOMEM;
        }
        l->at = at;
        l->room = room;
    }
    struct dated *d = &l->at[l->count++];
    snprintf(d->name, sizeof d->name, "%s", name);
    memcpy(d->date, date, sizeof d->date);
    return 0;
}

static bool
path_of(const char *directory, const char *name, char ret[4096])
{
    int n = snprintf(ret, 4096, "%s/%s", directory, name);
    return n >= 0 && n < 4096;
}

/* All dated databases of a directory, in order; of several with one date the last by name. */
static int
read_directory(const char *directory, struct listing *ret)
{
    struct listing l = { 0 };
    DIR *dir = opendir(directory);
    if (dir == NULL) {
        return -errno;
    }
    int r = 0;
    const struct dirent *entry;
    while (r == 0 && (entry = readdir(dir)) != NULL) {
        char path[4096];
        char date[16];
        if (is_database_name(entry->d_name) && path_of(directory, entry->d_name, path) &&
            date_of(path, date)) {
            r = add_dated(&l, entry->d_name, date);
        }
    }
    closedir(dir);
    if (r < 0) {
        free(l.at);
        return r;
    }
    if (l.count > 0) {
        qsort(l.at, l.count, sizeof *l.at, compare_dated);
    }
    size_t kept = 0;
    for (size_t i = 0; i < l.count; i++) {
        kept -= kept > 0 && strcmp(l.at[kept - 1].date, l.at[i].date) == 0;
        l.at[kept++] = l.at[i];
    }
    l.count = kept;
    *ret = l;
    return 0;
}

int
kobold_asof_list(const char *directory, int (*each)(void *arg, const char *date, const char *path),
                 void *arg)
{
    struct listing l;
    int r = read_directory(directory, &l);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < l.count && r == 0; i++) {
        char path[4096];
        r = path_of(directory, l.at[i].name, path) ? each(arg, l.at[i].date, path) : -ENAMETOOLONG;
    }
    free(l.at);
    return r;
}

int
kobold_open_asof(const char *directory, const char *day, kobold **ret)
{
    struct listing l;
    int r = is_day(day) ? read_directory(directory, &l) : -EINVAL;
    if (r < 0) {
        return r;
    }
    size_t at = 0;
    while (at + 1 < l.count && strcmp(l.at[at + 1].date, day) <= 0) {
        at++;
    }
    char path[4096];
    r = l.count == 0 ? -ENOENT : path_of(directory, l.at[at].name, path) ? 0 : -ENAMETOOLONG;
    free(l.at);
    return r < 0 ? r : kobold_open(path, ret);
}
