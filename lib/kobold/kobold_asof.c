/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_asof.c - a directory of dated databases: which one served on a day?
 *
 * The date is that in the file's header, not one in its name: a copied or renamed file answers for the
 * same days. Each step reads the directory anew, so that nothing must be held or freed; a history has
 * tens of files, and of each the header is read.
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

/* Of two dates (the second may be ""), does the first answer better for `day`? */
typedef bool is_better_fn(const char *date, const char *best, const char *day);

static bool
is_better_asof(const char *date, const char *best, const char *day)
{
    bool is_early = strcmp(date, day) <= 0;
    if (best[0] == '\0' || is_early != (strcmp(best, day) <= 0)) {
        return best[0] == '\0' || is_early;
    }
    return is_early ? strcmp(date, best) > 0 : strcmp(date, best) < 0;
}

static bool
is_better_next(const char *date, const char *best, const char *after)
{
    return strcmp(date, after) > 0 && (best[0] == '\0' || strcmp(date, best) < 0);
}

static int
scan(const char *directory, is_better_fn *is_better, const char *day, char ret_date[16],
     char *ret_path, size_t path_size)
{
    char best_date[16] = "";
    char best_name[256] = "";
    DIR *dir = opendir(directory);
    if (dir == NULL) {
        return -errno;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        char path[4096];
        char date[16];
        int n = snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (!is_database_name(entry->d_name) || n < 0 || (size_t)n >= sizeof path ||
            !date_of(path, date)) {
            continue;
        }
        bool is_twin = strcmp(date, best_date) == 0 && strcmp(entry->d_name, best_name) > 0;
        if (is_twin || is_better(date, best_date, day)) {
            memcpy(best_date, date, sizeof best_date);
            snprintf(best_name, sizeof best_name, "%s", entry->d_name);
        }
    }
    closedir(dir);
    if (best_name[0] == '\0') {
        return -ENOENT;
    }
    int n = snprintf(ret_path, path_size, "%s/%s", directory, best_name);
    if (n < 0 || (size_t)n >= path_size) {
        return -ENAMETOOLONG;
    }
    memcpy(ret_date, best_date, sizeof best_date);
    return 0;
}

int
kobold_asof_next(const char *directory, const char *after, char ret_date[16], char *ret_path,
                 size_t path_size)
{
    return scan(directory, is_better_next, after, ret_date, ret_path, path_size);
}

int
kobold_open_asof(const char *directory, const char *day, kobold **ret)
{
    char path[4096];
    char date[16];
    int r = is_day(day) ? scan(directory, is_better_asof, day, date, path, sizeof path) : -EINVAL;
    return r < 0 ? r : kobold_open(path, ret);
}
