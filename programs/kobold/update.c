/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold update - the installed database anew: of files the user has, or, when he says --fetch, of those
 * the five registries publish.
 *
 * All work is done in a folder of its own: files are fetched and checked there, kobold compile makes the
 * database there, and that is compared with the one in use. Only then the old one is kept and the new
 * one put in its place, in one step. Whatever fails before that leaves the old one octet for octet.
 */
#include "fetch.h"
#include "kobold_update.h"
#include "verbs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define INPUTS_MAX 4096
#define FILE_MAX ((size_t)512 << 20)
#define CHECKSUM_FILE_MAX 65536

static const char *const registries[] = {
    "https://ftp.afrinic.net/pub/stats/afrinic/delegated-afrinic-extended-latest",
    "https://ftp.apnic.net/stats/apnic/delegated-apnic-extended-latest",
    "https://ftp.arin.net/pub/stats/arin/delegated-arin-extended-latest",
    "https://ftp.lacnic.net/pub/stats/lacnic/delegated-lacnic-extended-latest",
    "https://ftp.ripe.net/pub/stats/ripencc/delegated-ripencc-extended-latest",
};

/* Where Debian's tor-geoipdb has its files. */
static const char *const tor_files[] = { "/usr/share/tor/geoip", "/usr/share/tor/geoip6" };

struct update {
    struct cc_program *p;
    bool is_quiet;
    char target[4096];
    char folder[256]; /* our own; "" before it is made */
    char fresh[300];  /* the new database in it        */
    char **inputs;
    size_t input_count;
    size_t fetched; /* inputs that lie in the folder */
};

static void
say(const struct update *u, const char *en, const char *ja, const char *a, const char *b)
{
    if (!u->is_quiet) {
        struct bh_error e;
        char line[1200];
        bh_error_set(&e, 0, "", "%s%.0s%s%s", "%.0s%s%s%s", en, ja, a, b);
        fprintf(stderr, "%s\n", bh_error_line(&e, u->p->lang, line, sizeof line));
    }
}

/* ---- inputs --------------------------------------------------------------------------------------------- */

static int
add_input(struct update *u, const char *path)
{
    struct bh_error err;
    if (u->input_count == INPUTS_MAX) {
        bh_error_set(&err, BH_ELIMIT, path, "more than %d files", "ファイルは %d 個までです",
                     INPUTS_MAX);
        return cc_complain(u->p, CC_FAILED, &err);
    }
    char *copy = strdup(path);
    if (copy == NULL) {
        return cc_complain_text(u->p, CC_FAILED, "out of memory", "メモリーが足りません");
    }
    u->inputs[u->input_count++] = copy;
    return CC_OK;
}

static int
compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Checksums and signatures lie beside the files they are of. */
static bool
is_data_name(const char *name)
{
    static const char *const others[] = { ".md5",    ".asc", ".sig", ".sha256",
                                          ".sha512", ".kdb", ".tmp" };
    size_t n = strlen(name);
    for (size_t i = 0; i < BH_COUNT(others); i++) {
        size_t ending = strlen(others[i]);
        if (n >= ending && strcmp(name + n - ending, others[i]) == 0) {
            return false;
        }
    }
    return name[0] != '.';
}

/* All regular files of a folder, by name. */
static int
add_folder(struct update *u, const char *path)
{
    struct bh_error err;
    DIR *dir = opendir(path);
    if (dir == NULL) {
        bh_error_errno(&err, errno, path, "cannot open", "開けません");
        return cc_complain(u->p, CC_FAILED, &err);
    }
    size_t first = u->input_count;
    int status = CC_OK;
    const struct dirent *entry;
    while (status == CC_OK && (entry = readdir(dir)) != NULL) {
        char file[4096];
        struct stat st;
        int n = snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (is_data_name(entry->d_name) && n > 0 && (size_t)n < sizeof file &&
            stat(file, &st) == 0 && S_ISREG(st.st_mode)) {
            status = add_input(u, file);
        }
    }
    closedir(dir);
    if (status == CC_OK && u->input_count == first) {
        bh_error_set(&err, BH_EUNKNOWN, path, "no files are in this folder%s",
                     "このフォルダーにはファイルがありません%s", "");
        return cc_complain(u->p, CC_FAILED, &err);
    }
    qsort((void *)(u->inputs + first), u->input_count - first, sizeof *u->inputs, compare_texts);
    return status;
}

static int
add_operands(struct update *u)
{
    char *const *operands;
    size_t count = bh_arg_operands(u->p->args, &operands);
    int status = CC_OK;
    for (size_t i = 0; i < count && status == CC_OK; i++) {
        struct stat st;
        bool is_folder = stat(operands[i], &st) == 0 && S_ISDIR(st.st_mode);
        status = is_folder ? add_folder(u, operands[i]) : add_input(u, operands[i]);
    }
    if (count > 0) {
        return status;
    }
    for (size_t i = 0; i < BH_COUNT(tor_files) && status == CC_OK; i++) {
        if (access(tor_files[i], R_OK) != 0) {
            return cc_complain_text(
                u->p, CC_USAGE,
                "name files or a folder of them, say --fetch, or install the package tor-geoipdb",
                "ファイルかそのフォルダーを指定するか、--fetch を付けるか、パッケージ tor-geoipdb を"
                "インストールしてください");
        }
        status = add_input(u, tor_files[i]);
    }
    return status;
}

/* ---- fetching -------------------------------------------------------------------------------------------- */

static const char *
last_part(const char *url)
{
    const char *slash = strrchr(url, '/');
    return slash == NULL ? url : slash + 1;
}

/* A file and the checksum published beside it. Of two that differ, ret_differ tells. */
static int
get_pair(struct fetch *f, const char *url, struct bh_buf *data, bool *ret_differ,
         struct bh_error *err)
{
    struct bh_buf sum = { 0 };
    char sum_url[1200];
    char published[33];
    char found[33];
    snprintf(sum_url, sizeof sum_url, "%.1100s.md5", url);
    int r = fetch_get(f, url, FILE_MAX, data, err);
    r = r < 0 ? r : fetch_get(f, sum_url, CHECKSUM_FILE_MAX, &sum, err);
    if (r == 0 && !kobold_md5_find(sum.data == NULL ? "" : sum.data, sum.len, published)) {
        r = bh_error_set(err, BH_EFORMAT, sum_url, "no MD5 checksum in it%s",
                         "MD5 チェックサムがありません%s", "");
    }
    bh_buf_done(&sum);
    if (r == 0) {
        kobold_md5(data->data == NULL ? "" : data->data, data->len, found);
        *ret_differ = strcmp(published, found) != 0;
        if (*ret_differ) {
            r = bh_error_set(err, BH_EDAMAGED, url, "checksum %s, and %s was published",
                             "チェックサムが %s で、公表された %s と違います", found, published);
        }
    }
    return r;
}

static int
fetch_one(struct update *u, struct fetch *f, const char *url)
{
    struct bh_buf data = { 0 };
    struct bh_error err;
    struct kobold_statistics s;
    char path[600];
    say(u, "fetching ", "取得中: ", url, "");
    bool is_other = false;
    int r = get_pair(f, url, &data, &is_other, &err);
    if (is_other) { /* "latest" may have become another file between the two */
        is_other = false;
        r = get_pair(f, url, &data, &is_other, &err);
    }
    if (r == 0) {
        r = kobold_statistics_check(url, data.data == NULL ? "" : data.data, data.len, &s, &err);
    }
    if (r == 0) {
        /* Two mirrors may call files alike. */
        snprintf(path, sizeof path, "%s/%.200s", u->folder, last_part(url));
        if (access(path, F_OK) == 0) {
            snprintf(path, sizeof path, "%s/%zu-%.200s", u->folder, u->fetched, last_part(url));
        }
        r = bh_file_replace(path, data.data, data.len, &err);
    }
    bh_buf_done(&data);
    if (r < 0) {
        return cc_complain(u->p, CC_FAILED, &err);
    }
    u->fetched++;
    return add_input(u, path);
}

static int
fetch_all(struct update *u)
{
    const char *const *urls;
    size_t count = bh_arg_all(u->p->args, "url", &urls);
    struct fetch *f;
    struct bh_error err;
    struct fetch_options o = {
        .ca_file = bh_arg(u->p->args, "ca-file"),
        .timeout_s = (unsigned)bh_arg_uint(u->p->args, "timeout"),
    };
    if (count == 0) {
        urls = registries;
        count = BH_COUNT(registries);
    }
    if (fetch_open(&o, &f, &err) < 0) {
        return cc_complain(u->p, CC_FAILED, &err);
    }
    int status = CC_OK;
    for (size_t i = 0; i < count && status == CC_OK; i++) {
        status = fetch_one(u, f, urls[i]);
    }
    fetch_close(f);
    return status;
}

/* ---- compiling --------------------------------------------------------------------------------------------- */

/* The options that kobold compile has too go on to it. */
static size_t
pass_options(const struct update *u, char **argv, size_t n)
{
    static const char *const names[] = { "geofeed",  "override",    "second", "asn",    "asn-name",
                                         "asn-date", "asn-licence", "name",   "licence" };
    static const char *const words[] = { "--geofeed",     "--override", "--second",
                                         "--asn",         "--asn-name", "--asn-date",
                                         "--asn-licence", "--name",     "--licence" };
    for (size_t i = 0; i < BH_COUNT(names); i++) {
        const char *const *values;
        size_t count = bh_arg_all(u->p->args, names[i], &values);
        for (size_t j = 0; j < count && n < INPUTS_MAX; j++) {
            argv[n++] = (char *)(uintptr_t)words[i];
            argv[n++] = (char *)(uintptr_t)values[j];
        }
    }
    return n;
}

static int
compile(struct update *u)
{
    char **argv = calloc(2 * INPUTS_MAX + 16, sizeof *argv);
    static char words[][16] = { "compile", "--quiet", "--output", "--lang", "--" };
    static char langs[BH_LANGS][3] = { "en", "ja" };
    size_t n = 0;
    if (argv == NULL) {
        return cc_complain_text(u->p, CC_FAILED, "out of memory", "メモリーが足りません");
    }
    argv[n++] = words[0];
    if (u->is_quiet) {
        argv[n++] = words[1];
    }
    argv[n++] = words[2];
    argv[n++] = u->fresh;
    argv[n++] = words[3];
    argv[n++] = langs[u->p->lang];
    n = pass_options(u, argv, n);
    argv[n++] = words[4];
    for (size_t i = 0; i < u->input_count; i++) {
        argv[n++] = u->inputs[i];
    }
    int status = kobold_run_verb((int)n, argv);
    free((void *)argv);
    return status;
}

/* ---- the exchange ------------------------------------------------------------------------------------------- */

static int
copy_file(const struct update *u, const char *from, const char *to)
{
    struct bh_map map;
    struct bh_error err;
    int r = bh_map_open(from, &map, &err);
    if (r == 0) {
        r = bh_file_replace(to, map.data, map.size, &err);
        bh_map_done(&map);
    }
    return r < 0 ? cc_complain(u->p, CC_FAILED, &err) : CC_OK;
}

static int
make_folder(const struct update *u, const char *path)
{
    struct bh_error err;
    if (mkdir(path, 0755) == 0 || errno == EEXIST) {
        return CC_OK;
    }
    bh_error_errno(&err, errno, path, "cannot make the folder", "フォルダーを作れません");
    return cc_complain(u->p, CC_FAILED, &err);
}

static int
copy_into_history(const struct update *u, const char *folder, const char *from, const kobold *k)
{
    char path[4200];
    struct kobold_meta m;
    kobold_get_meta(k, &m);
    snprintf(path, sizeof path, "%s/country-%s.kdb", folder,
             cc_is_day(m.date) ? m.date : "undated");
    return copy_file(u, from, path);
}

/* The old one goes beside the new one as .old, or both go into the history by their dates. */
static int
keep(const struct update *u, const kobold *old, const kobold *fresh)
{
    const char *history = bh_arg(u->p->args, "history");
    char path[4200];
    int status = CC_OK;
    if (history != NULL) {
        status = make_folder(u, history);
        if (status == CC_OK && old != NULL) {
            status = copy_into_history(u, history, u->target, old);
        }
        return status == CC_OK ? copy_into_history(u, history, u->fresh, fresh) : status;
    }
    if (access(u->target, F_OK) == 0) {
        snprintf(path, sizeof path, "%s.old", u->target);
        status = copy_file(u, u->target, path);
    }
    return status;
}

static void
say_done(const struct update *u, const kobold *old, const kobold *fresh)
{
    struct kobold_meta m;
    struct kobold_meta before;
    struct kobold_coverage c;
    struct bh_error e;
    char line[1200];
    kobold_get_meta(fresh, &m);
    kobold_coverage_of(fresh, &c);
    if (old != NULL) {
        kobold_get_meta(old, &before);
    }
    bh_error_set(
        &e, 0, u->target,
        "renewed: data of %s (before: %s); they list %llu IPv4 addresses and %llu /48 of IPv6",
        "更新しました: データの日付 %s (以前は %s)、記載のある IPv4 アドレス %llu、IPv6 の /48 %llu",
        m.date, old != NULL ? before.date : "-", (unsigned long long)c.v4_addresses,
        (unsigned long long)c.v6_48s);
    if (!u->is_quiet) {
        fprintf(stderr, "%s\n", bh_error_line(&e, u->p->lang, line, sizeof line));
    }
}

static bool
is_same_database(const kobold *a, const kobold *b)
{
    struct kobold_meta x;
    struct kobold_meta y;
    if (a == NULL) {
        return false;
    }
    kobold_get_meta(a, &x);
    kobold_get_meta(b, &y);
    return x.id == y.id;
}

static int
exchange(struct update *u, const kobold *old, const kobold *fresh)
{
    struct bh_error err;
    char today[16];
    kobold_day_of((int64_t)time(NULL), today);
    if (is_same_database(old, fresh)) {
        say(u, "the database in use is made of the same data: nothing to do",
            "使用中のデータベースと同じデータです。何もしません", "", "");
        return CC_OK;
    }
    if (!bh_arg_given(u->p->args, "force") && kobold_update_check(old, fresh, today, &err) < 0) {
        snprintf(err.where, sizeof err.where, "%.500s", u->target);
        cc_complain(u->p, CC_FAILED, &err);
        say(u, "the old database stays; --force takes the new one nevertheless",
            "古いデータベースのままです。それでも置き換えるには --force を付けてください", "", "");
        return CC_FAILED;
    }
    struct kobold_as_meta as;
    if (old != NULL && kobold_as_meta(old, &as) && !kobold_as_meta(fresh, &as)) {
        say(u,
            "the database in use has autonomous systems, the new one has none: --asn FILE adds them",
            "使用中のデータベースには AS のデータがありますが、新しいものにはありません。--asn ファイル で"
            "加えられます",
            "", "");
    }
    int status = keep(u, old, fresh);
    status = status == CC_OK ? copy_file(u, u->fresh, u->target) : status;
    if (status == CC_OK) {
        say_done(u, old, fresh);
    }
    return status;
}

static int
compare_and_exchange(struct update *u)
{
    kobold *old = NULL;
    kobold *fresh = cc_open(u->p, u->fresh);
    if (fresh == NULL) {
        return CC_FAILED;
    }
    int r = kobold_open(u->target, &old);
    if (r < 0 && r != -ENOENT) { /* a damaged one is no reason to stay with it */
        cc_complain_database(u->p, u->target, r);
        old = NULL;
    }
    int status = exchange(u, old, fresh);
    kobold_close(old);
    kobold_close(fresh);
    return status;
}

/* ---- the verb -------------------------------------------------------------------------------------------------- */

/* The one named, or KOBOLD_DB; else that of this machine, which look-ups prefer to the package's. */
static int
choose_target(struct update *u)
{
    const char *output = bh_arg(u->p->args, "output");
    const char *chosen = getenv("KOBOLD_DB");
    bool is_local = output == NULL && (chosen == NULL || chosen[0] == '\0');
    const char *path = output != NULL ? output : is_local ? KOBOLD_LOCAL_DATABASE : chosen;
    if (strlen(path) >= sizeof u->target) {
        return cc_complain_text(u->p, CC_USAGE, "the name of the database is too long",
                                "データベースの名前が長すぎます");
    }
    snprintf(u->target, sizeof u->target, "%s", path);
    return is_local ? make_folder(u, KOBOLD_LOCAL_FOLDER) : CC_OK;
}

static int
make_own_folder(struct update *u)
{
    const char *base = getenv("TMPDIR");
    struct bh_error err;
    int n = snprintf(u->folder, sizeof u->folder, "%s/kobold-update-XXXXXX",
                     base != NULL && base[0] != '\0' ? base : "/tmp");
    if (n < 0 || (size_t)n >= sizeof u->folder || mkdtemp(u->folder) == NULL) {
        bh_error_errno(&err, errno, u->folder, "cannot make a folder", "フォルダーを作れません");
        u->folder[0] = '\0';
        return cc_complain(u->p, CC_FAILED, &err);
    }
    snprintf(u->fresh, sizeof u->fresh, "%s/country.kdb", u->folder);
    return CC_OK;
}

static void
update_done(struct update *u)
{
    for (size_t i = 0; i < u->input_count; i++) {
        if (i < u->fetched) { /* nothing else is added when files are fetched */
            unlink(u->inputs[i]);
        }
        free(u->inputs[i]);
    }
    free((void *)u->inputs);
    if (u->folder[0] != '\0') {
        unlink(u->fresh);
        rmdir(u->folder);
    }
}

static int
check_options(const struct cc_program *p)
{
    char *const *operands;
    const char *const *urls;
    uint64_t timeout = bh_arg_uint(p->args, "timeout");
    bool is_fetching = bh_arg_given(p->args, "fetch");
    if (is_fetching && bh_arg_operands(p->args, &operands) > 0) {
        return cc_complain_text(p, CC_USAGE, "either --fetch or files, not both",
                                "--fetch とファイルは同時に指定できません");
    }
    if (!is_fetching &&
        (bh_arg_all(p->args, "url", &urls) > 0 || bh_arg_given(p->args, "ca-file"))) {
        return cc_complain_text(p, CC_USAGE, "--url and --ca-file go with --fetch",
                                "--url と --ca-file は --fetch とともに指定してください");
    }
    if (timeout < 1 || timeout > 86400) {
        return cc_complain_text(p, CC_USAGE, "--timeout is 1 to 86400 seconds",
                                "--timeout は 1 から 86400 秒です");
    }
    return CC_OK;
}

int
verb_update(struct cc_program *p)
{
    struct update *u = calloc(1, sizeof *u);
    int status = check_options(p);
    if (status != CC_OK || u == NULL) {
        free(u);
        return status != CC_OK ? status : CC_FAILED;
    }
    u->p = p;
    u->is_quiet = bh_arg_given(p->args, "quiet");
    u->inputs = calloc(INPUTS_MAX, sizeof *u->inputs);
    if (u->inputs == NULL) {
        free(u);
        return cc_complain_text(p, CC_FAILED, "out of memory", "メモリーが足りません");
    }
    status = choose_target(u);
    status = status == CC_OK ? make_own_folder(u) : status;
    if (status == CC_OK) {
        status = bh_arg_given(p->args, "fetch") ? fetch_all(u) : add_operands(u);
    }
    status = status == CC_OK ? compile(u) : status;
    status = status == CC_OK ? compare_and_exchange(u) : status;
    update_done(u);
    free(u);
    return status;
}
