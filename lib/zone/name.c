/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * name.c - which zone is it, does it exist, and in which country does it lie?
 *
 * libc takes an unknown TZ for UTC without a word; a report whose hours are nine off helps
 * nobody. So every name is checked against the files of the tz database first.
 */
#include "zone_priv.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bh_option.h"

#define NAME_MAX_LEN 128

/* As process-wide as TZ itself. */
static char zone_name[NAME_MAX_LEN];
static pthread_once_t zone_name_once = PTHREAD_ONCE_INIT;

static const char *
zone_dir(void)
{
    const char *dir = getenv("TZDIR"); /* libc heeds it too */
    return dir != NULL && dir[0] != '\0' ? dir : "/usr/share/zoneinfo";
}

/* ---- does it exist? ------------------------------------------------------------------------- */

static bool
is_zone_path(const char *path)
{
    char magic[4] = { 0 };
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        return false;
    }
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        return false;
    }
    bool good = fread(magic, 1, 4, file) == 4 && memcmp(magic, "TZif", 4) == 0;
    fclose(file);
    return good;
}

/* A name below the folder of zones, and nothing else on this disk. right/ counts leap seconds:
 * its days do not have 86400 s, its clock is not that of the timestamps. */
static bool
is_zone_file(const char *name)
{
    if (name[0] == '/' || strstr(name, "..") != NULL || strncmp(name, "right/", 6) == 0 ||
        strlen(name) >= NAME_MAX_LEN) {
        return false;
    }
    for (const char *s = name; *s != '\0'; s++) {
        if (!isalnum((unsigned char)*s) && strchr("_+-/", *s) == NULL) {
            return false;
        }
    }
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", zone_dir(), name);
    return n > 0 && (size_t)n < sizeof path && is_zone_path(path);
}

static bool
is_utc(const char *name)
{
    return strcasecmp(name, "UTC") == 0 || strcmp(name, "UTC0") == 0 || strcmp(name, "Z") == 0;
}

/* ---- which one was meant? ------------------------------------------------------------------- */

struct zone_list {
    char (*names)[64];
    size_t count, cap;
};

static void
list_add(struct zone_list *list, const char *name)
{
    if (strlen(name) >= sizeof list->names[0]) {
        return;
    }
    if (list->count == list->cap) {
        size_t cap = list->cap == 0 ? 1024 : list->cap * 2;
        void *names = realloc(list->names, bh_size_mul(cap, sizeof list->names[0]));
        if (names == NULL) {
            return; /* then the error names no neighbour */
        }
        list->names = names;
        list->cap = cap;
    }
    snprintf(list->names[list->count], sizeof list->names[0], "%s", name);
    list->count++;
}

/* Zones begin with a capital; zone.tab, posix/, right/ and the like do not. */
static void
list_folder(struct zone_list *list, const char *below, int depth)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", zone_dir(), below);
    DIR *dir = n > 0 && (size_t)n < sizeof path ? opendir(path) : NULL;
    if (dir == NULL) {
        return;
    }
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char name[NAME_MAX_LEN];
        struct stat st;
        if (e->d_name[0] < 'A' || e->d_name[0] > 'Z' || list->count > 4096) {
            continue;
        }
        n = snprintf(name, sizeof name, "%s%s%s", below, below[0] == '\0' ? "" : "/", e->d_name);
        if ((size_t)n >= sizeof name || fstatat(dirfd(dir), e->d_name, &st, 0) != 0) {
            continue;
        }
        if (!S_ISDIR(st.st_mode)) {
            list_add(list, name);
        } else if (depth < 3) {
            list_folder(list, name, depth + 1);
        }
    }
    closedir(dir);
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void
lower(char *s)
{
    for (; *s != '\0'; s++) {
        *s = *s == ' ' ? '_' : (char)tolower((unsigned char)*s);
    }
}

static const char *
last_part(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash == NULL ? name : slash + 1;
}

/* "asia/tokio", "tokyo", "New York". */
static bool
nearest_zone(const char *name, char ret_near[64])
{
    struct zone_list list = { 0 };
    char word[64];
    bool found = false;
    if (strlen(name) >= sizeof word) {
        return false;
    }
    snprintf(word, sizeof word, "%s", name);
    lower(word);
    list_folder(&list, "", 0);
    if (list.count > 0) {
        qsort(list.names, list.count, sizeof list.names[0], by_name); /* the same on every disk */
    }
    char(*lowered)[64] = malloc(bh_size_mul(list.count + 1, sizeof *lowered));
    const char **whole = malloc(bh_size_mul(list.count + 1, 2 * sizeof *whole));
    if (lowered != NULL && whole != NULL) {
        const char **last = whole + list.count;
        for (size_t i = 0; i < list.count; i++) {
            snprintf(lowered[i], sizeof lowered[i], "%s", list.names[i]);
            lower(lowered[i]);
            whole[i] = lowered[i];
            last[i] = last_part(lowered[i]);
        }
        const char *near = strchr(word, '/') == NULL ? bh_nearest(word, last, list.count)
                                                     : bh_nearest(word, whole, list.count);
        if (near == NULL) {
            near = bh_nearest(last_part(word), last, list.count);
        }
        for (size_t i = 0; near != NULL && i < list.count && !found; i++) {
            if (near == whole[i] || near == last[i]) {
                snprintf(ret_near, sizeof list.names[i], "%s", list.names[i]);
                found = true;
            }
        }
    }
    free(lowered);
    free(whole);
    free(list.names);
    return found;
}

static int
unknown_zone(const char *where, const char *name, struct bh_error *err)
{
    char near[64];
    struct stat st;
    if (stat(zone_dir(), &st) != 0) {
        return bh_error_set(err, BH_EUNKNOWN, where,
                            "no time zones are installed (%s is missing): install tzdata, or use "
                            "UTC or a zone such as JST-9",
                            "タイムゾーンのデータ (%s) がありません。tzdata を入れるか、UTC または "
                            "JST-9 のように指定してください",
                            zone_dir());
    }
    if (strlen(name) > 4 && nearest_zone(name, near)) { /* "JST" is near to EST, and far from it */
        return bh_error_set(err, BH_EUNKNOWN, where, "no such time zone; did you mean %s?",
                            "そのようなタイムゾーンはありません。%s ではありませんか", near);
    }
    return bh_error_set(
        err, BH_EUNKNOWN, where, "no such time zone; give a name such as Asia/Tokyo, or UTC",
        "そのようなタイムゾーンはありません。Asia/Tokyo のような名前か UTC を指定してください");
}

/* ---- the system's ---------------------------------------------------------------------------- */

static bool
same_file(const char *a, const char *b)
{
    struct bh_map ma, mb;
    if (bh_map_open(a, &ma, NULL) < 0) {
        return false;
    }
    bool same = false;
    if (bh_map_open(b, &mb, NULL) == 0) {
        same = ma.size == mb.size && ma.size > 0 && memcmp(ma.data, mb.data, ma.size) == 0;
        bh_map_done(&mb);
    }
    bh_map_done(&ma);
    return same;
}

/* The name in a path to a zone file; NULL when it is not below a folder of zones. */
static const char *
name_in_path(const char *path)
{
    const char *at = strstr(path, "/zoneinfo/");
    at = at == NULL ? NULL : at + strlen("/zoneinfo/");
    return at != NULL && strncmp(at, "posix/", 6) == 0 ? at + 6 : at;
}

/* The link is what libc follows; etc/timezone is only believed when it agrees with a localtime
 * that is a copy, because installers leave it behind stale. */
void
zone_system_name(const char *etc, char *buf, size_t size)
{
    char path[4096], target[4096], text[NAME_MAX_LEN] = "";
    snprintf(path, sizeof path, "%s/localtime", etc);
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n > 0) {
        target[n] = '\0';
        const char *name = name_in_path(target);
        if (name != NULL && is_zone_file(name)) {
            snprintf(buf, size, "%s", name);
            return;
        }
    }
    if (!is_zone_path(path)) {
        snprintf(buf, size, "UTC"); /* so does libc */
        return;
    }
    char list[4096];
    snprintf(list, sizeof list, "%s/timezone", etc);
    FILE *file = fopen(list, "re");
    if (file != NULL) {
        if (fgets(text, sizeof text, file) != NULL) {
            text[strcspn(text, " \t\r\n")] = '\0';
        }
        fclose(file);
    }
    if (text[0] != '\0' && is_zone_file(text)) {
        int len = snprintf(target, sizeof target, "%s/%s", zone_dir(), text);
        if (len > 0 && (size_t)len < sizeof target && same_file(path, target)) {
            snprintf(buf, size, "%s", text);
            return;
        }
    }
    snprintf(buf, size, "localtime");
}

/* From TZ, else from the system's files. False: TZ names nothing. */
static bool
find_system_name(char *buf, size_t size)
{
    const char *tz = getenv("TZ");
    if (tz == NULL) {
        zone_system_name("/etc", buf, size);
        return true;
    }
    tz += tz[0] == ':';
    snprintf(buf, size, "%s", tz[0] == '\0' || is_utc(tz) ? "UTC" : tz);
    if (strcmp(buf, "UTC") == 0) {
        return true;
    }
    if (tz[0] == '/') { /* the environment is the user's own: a path is fine there */
        const char *name = name_in_path(tz);
        if (name != NULL) {
            snprintf(buf, size, "%s", name);
        }
        return is_zone_path(tz);
    }
    return is_zone_file(tz) || zone_is_posix(tz);
}

static void
init_system_name(void)
{
    if (zone_name[0] == '\0' && !find_system_name(zone_name, sizeof zone_name)) {
        snprintf(zone_name, sizeof zone_name, "UTC"); /* what libc makes of it */
    }
}

/* ---- the face -------------------------------------------------------------------------------- */

const char *
bh_zone_name(void)
{
    if (zone_name[0] == '\0') {
        pthread_once(&zone_name_once, init_system_name);
    }
    return zone_name;
}

int
bh_zone_set(const char *name, struct bh_error *err)
{
    char text[NAME_MAX_LEN];
    char where[80];
    if (name == NULL || name[0] == '\0') {
        if (!find_system_name(text, sizeof text)) {
            snprintf(where, sizeof where, "TZ=%.60s", text);
            return unknown_zone(where, text, err);
        }
        tzset();
        snprintf(zone_name, sizeof zone_name, "%s", text);
        return 0;
    }
    snprintf(where, sizeof where, "--tz %.60s", name);
    const char *tz = name;
    if (is_utc(name)) {
        name = "UTC";
        tz = "UTC0"; /* needs no files */
    } else if (!is_zone_file(name)) {
        /* POSIX counts westward, so UTC+9 would be nine hours behind: never what was meant. */
        if ((strncasecmp(name, "UTC", 3) == 0 || strncasecmp(name, "GMT", 3) == 0) &&
            (name[3] == '+' || name[3] == '-')) {
            return bh_error_set(
                err, BH_EUSAGE, where,
                "POSIX counts such zones westward; name the place (Asia/Tokyo), "
                "or write JST-9 for nine hours east",
                "POSIX ではこの書き方は西回りです。地名 (Asia/Tokyo) か、東へ 9 時間なら "
                "JST-9 と書いてください");
        }
        if (!zone_is_posix(name) || strlen(name) >= sizeof text) {
            return unknown_zone(where, name, err);
        }
    }
    snprintf(text, sizeof text, "%s", name);
    if (setenv("TZ", tz, 1) != 0) {
        return bh_error_errno(err, errno, where, "setting the time zone", "タイムゾーンの設定");
    }
    tzset();
    snprintf(zone_name, sizeof zone_name, "%s", text);
    return 0;
}

/* ---- the country ----------------------------------------------------------------------------- */

/* Calls `match` with the fields of every line that holds the name (split at `sep`) until it says true. */
static bool
scan_table(const char *file_name, const char *sep, const char *name,
           bool (*match)(char *const *field, int count, const char *name, char *ret), char *ret)
{
    char path[4096];
    char line[512];
    bool found = false;
    int n = snprintf(path, sizeof path, "%s/%s", zone_dir(), file_name);
    FILE *file = n > 0 && (size_t)n < sizeof path ? fopen(path, "re") : NULL;
    if (file == NULL) {
        return false;
    }
    while (!found && fgets(line, sizeof line, file) != NULL) {
        if (strstr(line, name) == NULL) {
            /* of thousands of lines one or two: splitting all was a fifth of a small report */
            continue;
        }
        char *field[4];
        int count = 0;
        char *save;
        line[strcspn(line, "\n")] = '\0';
        for (char *s = strtok_r(line, sep, &save); s != NULL && count < 4;
             s = strtok_r(NULL, sep, &save)) {
            field[count++] = s;
        }
        found = count >= 3 && match(field, count, name, ret);
    }
    fclose(file);
    return found;
}

/* zone.tab: country, place, zone. One country in every line, unlike zone1970.tab. */
static bool
match_country(char *const *field, int count, const char *name, char *ret)
{
    (void)count;
    if (field[0][0] == '#' || strlen(field[0]) != 2 || strcmp(field[2], name) != 0) {
        return false;
    }
    memcpy(ret, field[0], 3);
    return true;
}

/* tzdata.zi: "L Asia/Tokyo Japan", an older name of a zone. */
static bool
match_link(char *const *field, int count, const char *name, char *ret)
{
    (void)count;
    if (strcmp(field[0], "L") != 0 || strcmp(field[2], name) != 0 ||
        strlen(field[1]) >= NAME_MAX_LEN) {
        return false;
    }
    snprintf(ret, NAME_MAX_LEN, "%s", field[1]);
    return true;
}

bool
bh_zone_country(char ret_code[3])
{
    char target[NAME_MAX_LEN];
    const char *name = bh_zone_name();
    if (strncmp(name, "posix/", 6) == 0) {
        name += 6;
    }
    return scan_table("zone.tab", "\t", name, match_country, ret_code) ||
           (scan_table("tzdata.zi", " ", name, match_link, target) &&
            scan_table("zone.tab", "\t", target, match_country, ret_code));
}
