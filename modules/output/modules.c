/* SPDX-License-Identifier: BSD-2-Clause */
#include "bh_modules.h"

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bh_output_host.h"
#include "modules_table.h"

#define MODULE(name) extern const struct bh_output_module bh_output_module_##name;
MODULES
#undef MODULE

#define MODULE(name) &bh_output_module_##name,
static const struct bh_output_module *const modules[] = { MODULES };
#undef MODULE

#define FOLDERS 3U
#define NAME_MOST 64U

/* ---- folders ---------------------------------------------------------------------------------------------- */

/* From one absolute path to another: how often up, and what down. */
static void
relative(const char *from, const char *to, char *buf, size_t size)
{
    size_t same = 0;
    for (size_t k = 0;; k++) {
        const bool f = from[k] == '/' || from[k] == '\0', t = to[k] == '/' || to[k] == '\0';
        if (f && t) {
            same = k;
        }
        if (from[k] != to[k] || from[k] == '\0') {
            break;
        }
    }
    buf[0] = '\0';
    size_t used = 0;
    for (const char *p = from + same; *p != '\0'; p++) {
        if (*p == '/' && used + 4 < size) {
            used += (size_t)snprintf(buf + used, size - used, "../");
        }
    }
    snprintf(buf + used, size - used, "%s", to[same] == '/' ? to + same + 1 : to + same);
}

/* Of the build tree; where it is installed, also when all of that was moved (DESTDIR); where it should be. */
static size_t
folders(char ret[FOLDERS][PATH_MAX])
{
    char here[PATH_MAX - 512], way[512];
    size_t n = 0;
    if (bh_program_dir(here, sizeof here)[0] != '\0') {
        struct stat st;
        snprintf(ret[n], PATH_MAX, "%s/../../meson-private", here);
        if (stat(ret[n], &st) == 0) {
            snprintf(ret[n++], PATH_MAX, "%s/../../modules/output", here);
        }
        relative(BH_BINDIR, BH_MODULES_DIR, way, sizeof way);
        snprintf(ret[n++], PATH_MAX, "%s/%s", here, way);
    }
    snprintf(ret[n++], PATH_MAX, "%s", BH_MODULES_DIR);
    return n;
}

/* ---- loading ------------------------------------------------------------------------------------------------- */

static bool
is_name(const char *name, size_t len)
{
    return len > 0 && len < NAME_MOST &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") >= len;
}

/* Nobody but root and us may decide what is in it. */
static int
check_owner(const char *path, struct bh_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return bh_error_errno(err, errno, path, "cannot load", "読み込めません");
    }
    if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & S_IWOTH) != 0 ||
        !S_ISREG(st.st_mode)) {
        return bh_error_set(
            err, -EPERM, path,
            "is not loaded: others may change it (it must be a file of root or of this user)",
            "は読み込みません。ほかのユーザーが変更できます (root かこのユーザーのファイルであること)");
    }
    return 0;
}

static int
load_file(const char *path, const char *name, const struct bh_output_module **ret,
          struct bh_error *err)
{
    char symbol[NAME_MOST + 32];
    int r = check_owner(path, err);
    if (r != 0) {
        return r;
    }
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (object == NULL) {
        return bh_error_set(err, BH_EFORMAT, path, "cannot load: %s", "読み込めません: %s",
                            dlerror());
    }
    snprintf(symbol, sizeof symbol, "bh_output_module_%s", name);
    for (char *p = symbol; *p != '\0'; p++) {
        *p = *p == '-' ? '_' : *p;
    }
    const struct bh_output_module *m = dlsym(object, symbol);
    if (m == NULL) {
        r = bh_error_set(err, BH_EFORMAT, path, "is no output module: it has no %s",
                         "は出力モジュールではありません。%s がありません", symbol);
    } else {
        r = bh_output_module_check(m, err);
    }
    if (r != 0) {
        dlclose(object);
        return r;
    }
    *ret = m;
    return 0;
}

static int
load_named(const char *name, const struct bh_output_module **ret, struct bh_error *err)
{
    char folder[FOLDERS][PATH_MAX], path[PATH_MAX + NAME_MOST + 8];
    const size_t count = folders(folder);
    for (size_t k = 0; k < count; k++) {
        snprintf(path, sizeof path, "%s/%s.so", folder[k], name);
        if (access(path, F_OK) == 0) {
            return load_file(path, name, ret, err);
        }
    }
    return bh_error_set(err, BH_EUNKNOWN, name, "there is no such output module in %s",
                        "という出力モジュールは %s にありません", folder[count - 1]);
}

int
bh_module_load(const char *name, const struct bh_output_module **ret, struct bh_error *err)
{
    for (size_t k = 0; k < BH_COUNT(modules); k++) {
        if (strcmp(modules[k]->name, name) == 0) {
            *ret = modules[k];
            return 0;
        }
    }
    const char *slash = strrchr(name, '/');
    if (slash != NULL) {
        char base[NAME_MOST];
        const char *dot = strrchr(slash, '.');
        const size_t len = dot != NULL ? (size_t)(dot - slash - 1) : strlen(slash + 1);
        if (is_name(slash + 1, len)) {
            snprintf(base, sizeof base, "%.*s", (int)len, slash + 1);
            return load_file(name, base, ret, err);
        }
    } else if (is_name(name, strlen(name))) {
        return load_named(name, ret, err);
    }
    return bh_error_set(err, BH_EUSAGE, name, "is no name of a module",
                        "はモジュールの名前ではありません");
}

const struct bh_output_module *
bh_module_find(const char *name)
{
    const struct bh_output_module *m = NULL;
    return bh_module_load(name, &m, NULL) == 0 ? m : NULL;
}

/* ---- all ------------------------------------------------------------------------------------------------------ */

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
add_name(char ***names, size_t *count, const char *name, size_t len)
{
    for (size_t k = 0; k < *count; k++) {
        if (strlen((*names)[k]) == len && memcmp((*names)[k], name, len) == 0) {
            return;
        }
    }
    char **more = realloc(*names, (*count + 1) * sizeof *more);
    if (more != NULL) {
        *names = more;
        more[*count] = strndup(name, len);
        *count += more[*count] != NULL;
    }
}

size_t
bh_module_names(char ***ret_names)
{
    char folder[FOLDERS][PATH_MAX];
    const size_t folder_count = folders(folder);
    size_t count = 0;
    *ret_names = NULL;
    for (size_t k = 0; k < BH_COUNT(modules); k++) {
        add_name(ret_names, &count, modules[k]->name, strlen(modules[k]->name));
    }
    for (size_t k = 0; k < folder_count; k++) {
        DIR *d = opendir(folder[k]);
        for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
            const size_t len = strlen(e->d_name);
            if (len > 3 && strcmp(e->d_name + len - 3, ".so") == 0 && is_name(e->d_name, len - 3)) {
                add_name(ret_names, &count, e->d_name, len - 3);
            }
        }
        if (d != NULL) {
            closedir(d);
        }
    }
    if (count > 1) {
        qsort(*ret_names, count, sizeof **ret_names, by_name);
    }
    return count;
}

const struct bh_output_module *const *
bh_modules(size_t *ret_count)
{
    /* loaded once, for as long as the program runs */
    static const struct bh_output_module *all[128];
    static size_t loaded;
    if (loaded == 0) {
        char **names;
        const size_t count = bh_module_names(&names);
        for (size_t k = 0; k < count; k++) {
            const struct bh_output_module *m = bh_module_find(names[k]);
            if (m != NULL && loaded < BH_COUNT(all)) {
                all[loaded++] = m;
            }
            free(names[k]);
        }
        free(names);
    }
    *ret_count = loaded;
    return all;
}
