/* SPDX-License-Identifier: BSD-2-Clause */
/* Files one after another. Names carry time, so that sorting names is sorting by age. */
#include "bh_series.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STAMP_LEN 16U /* 20260503T071300Z */
#define SAME_MAX 10000U

struct bh_series {
    struct bh_series_config cfg;
    int fd, dir_fd;
    uint64_t size, removed;
    int64_t begin_ns;
    char *name;      /* in the directory          */
    size_t stem_len; /* of it before its suffix   */
};

static int
failed(const struct bh_series *s, int code, const char *en, const char *ja, struct bh_error *err)
{
    return bh_error_errno(err, code, s->cfg.path, en, ja);
}

static int
cannot_write(const struct bh_series *s, int code, struct bh_error *err)
{
    return failed(s, code, "cannot write", "書き込めません", err);
}

/* ---- names ---------------------------------------------------------------------------------------- */

static int
set_names(struct bh_series *s, struct bh_error *err)
{
    const char *slash = strrchr(s->cfg.path, '/');
    char *dir = slash == NULL          ? strdup(".")
                : slash == s->cfg.path ? strdup("/")
                                       : strndup(s->cfg.path, (size_t)(slash - s->cfg.path));
    s->name = strdup(slash == NULL ? s->cfg.path : slash + 1);
    if (dir == NULL || s->name == NULL) {
        free(dir);
        return cannot_write(s, ENOMEM, err);
    }
    const char *dot = strrchr(s->name, '.');
    s->stem_len = dot == NULL || dot == s->name ? strlen(s->name) : (size_t)(dot - s->name);
    s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int saved = errno;
    free(dir);
    if (*s->name == '\0') {
        return cannot_write(s, EISDIR, err);
    }
    return s->dir_fd < 0 ? cannot_write(s, saved, err) : 0;
}

static void
aside_name(const struct bh_series *s, int64_t ns, unsigned same, char *to, size_t size)
{
    const time_t seconds = (time_t)(ns / 1000000000);
    struct tm tm = { 0 };
    char stamp[64], number[16] = "";
    gmtime_r(&seconds, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
    if (same > 1) {
        snprintf(number, sizeof number, "-%u", same);
    }
    snprintf(to, size, "%.*s-%s%s%s", (int)s->stem_len, s->name, stamp, number,
             s->name + s->stem_len);
}

/* One that we have set aside: its stem, a time, perhaps a number, its suffix. */
static bool
is_aside(const struct bh_series *s, const char *name)
{
    const char *suffix = s->name + s->stem_len;
    const size_t len = strlen(name), suffix_len = strlen(suffix);
    if (len < s->stem_len + 1 + STAMP_LEN + suffix_len || memcmp(name, s->name, s->stem_len) != 0 ||
        name[s->stem_len] != '-' || strcmp(name + len - suffix_len, suffix) != 0) {
        return false;
    }
    const char *p = name + s->stem_len + 1;
    for (unsigned k = 0; k < STAMP_LEN; k++) {
        if (k == 8 ? p[k] != 'T' : k == 15 ? p[k] != 'Z' : p[k] < '0' || p[k] > '9') {
            return false;
        }
    }
    const size_t rest = len - suffix_len - s->stem_len - 1 - STAMP_LEN;
    return rest == 0 ||
           (p[STAMP_LEN] == '-' && rest > 1 && strspn(p + STAMP_LEN + 1, "0123456789") >= rest - 1);
}

/* ---- old ones ---------------------------------------------------------------------------------------- */

struct old {
    char *name;
    const char *stamp;  /* in it */
    unsigned long same; /* 1: no number; 2 ... */
    uint64_t bytes;
};

/* By time, then by number: none, then "-2" before "-10". */
static int
by_age(const void *a, const void *b)
{
    const struct old *x = a, *y = b;
    const int time = memcmp(x->stamp, y->stamp, STAMP_LEN);
    return time != 0 ? time : (x->same > y->same) - (x->same < y->same);
}

static size_t
list_old(struct bh_series *s, struct old **ret)
{
    const int fd = dup(s->dir_fd);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    size_t n = 0, room = 0;
    *ret = NULL;
    if (dir == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return 0;
    }
    rewinddir(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        struct stat st;
        if (!is_aside(s, e->d_name) ||
            fstatat(s->dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) {
            continue;
        }
        if (n == room) {
            struct old *more = realloc(*ret, (room = room * 2 + 16) * sizeof *more);
            if (more == NULL) {
                break;
            }
            *ret = more;
        }
        struct old *o = &(*ret)[n];
        o->name = strdup(e->d_name);
        if (o->name != NULL) {
            o->stamp = o->name + s->stem_len + 1;
            o->same = o->stamp[STAMP_LEN] == '-' ? strtoul(o->stamp + STAMP_LEN + 1, NULL, 10) : 1;
            o->bytes = (uint64_t)st.st_size;
            n++;
        }
    }
    closedir(dir);
    if (n > 0) {
        qsort(*ret, n, sizeof **ret, by_age);
    }
    return n;
}

static void
remove_old(struct bh_series *s)
{
    struct old *old;
    if (s->cfg.keep_files == 0 && s->cfg.keep_bytes == 0) {
        return;
    }
    const size_t n = list_old(s, &old);
    uint64_t bytes = 0, files = 0;
    for (size_t k = n; k-- > 0;) { /* newest first */
        bytes += old[k].bytes;
        files++;
        if (k + 1 < n && ((s->cfg.keep_files != 0 && files > s->cfg.keep_files) ||
                          (s->cfg.keep_bytes != 0 && bytes > s->cfg.keep_bytes))) {
            s->removed += unlinkat(s->dir_fd, old[k].name, 0) == 0;
        }
        free(old[k].name);
    }
    free(old);
}

/* ---- the file ---------------------------------------------------------------------------------------- */

/* linkat() does not replace what is there, as rename() would. */
static int
set_aside(struct bh_series *s, int64_t ns, struct bh_error *err)
{
    char to[512];
    for (unsigned same = 1; same < SAME_MAX; same++) {
        aside_name(s, ns, same, to, sizeof to);
        if (renameat2(s->dir_fd, s->name, s->dir_fd, to, RENAME_NOREPLACE) == 0) {
            bh_ignore(fsync(s->dir_fd)); /* the file is safe under one of its names */
            remove_old(s);
            return 0;
        }
        if (errno != EEXIST) {
            break;
        }
    }
    return failed(s, errno, "cannot be set aside", "別名にできません", err);
}

static int
take_over(struct bh_series *s, struct bh_error *err)
{
    struct stat st;
    const int fd = openat(s->dir_fd, s->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return errno == ENOENT ? 0 : cannot_write(s, errno, err);
    }
    int r = fstat(fd, &st) != 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
    if (r == 0 && s->cfg.mend != NULL) {
        const uint64_t good = s->cfg.mend(s->cfg.arg, fd, (uint64_t)st.st_size);
        if (good < (uint64_t)st.st_size) {
            r = ftruncate(fd, (off_t)good) != 0 ? -errno : 0;
            st.st_size = (off_t)good;
        }
    }
    close(fd);
    if (r != 0) {
        return cannot_write(s, -r, err);
    }
    if (st.st_size == 0) {
        return unlinkat(s->dir_fd, s->name, 0) != 0 ? cannot_write(s, errno, err) : 0;
    }
    return set_aside(s, (int64_t)st.st_mtim.tv_sec * 1000000000, err);
}

int
bh_series_open(const struct bh_series_config *cfg, struct bh_series **ret_series,
               struct bh_error *err)
{
    struct bh_series *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return bh_error_errno(err, ENOMEM, cfg->path, "cannot write", "書き込めません");
    }
    s->cfg = *cfg;
    s->fd = s->dir_fd = -1;
    int r = set_names(s, err);
    r = r != 0 ? r : take_over(s, err);
    if (r != 0) {
        bh_series_close(s);
        return r;
    }
    *ret_series = s;
    return 0;
}

void
bh_series_close(struct bh_series *s)
{
    if (s == NULL) {
        return;
    }
    if (s->fd >= 0) {
        bh_ignore(bh_series_finish(s, NULL)); /* what was taken is durable already */
    }
    if (s->dir_fd >= 0) {
        close(s->dir_fd);
    }
    free(s->name);
    free(s);
}

bool
bh_series_is_begun(const struct bh_series *s)
{
    return s->fd >= 0;
}

bool
bh_series_is_due(const struct bh_series *s, int64_t now_ns, uint64_t more)
{
    if (s->fd < 0 || s->size == 0) {
        return false;
    }
    return (s->cfg.max_bytes != 0 && s->size + more > s->cfg.max_bytes) ||
           (s->cfg.max_ns != 0 && now_ns - s->begin_ns >= s->cfg.max_ns);
}

static int
begin(struct bh_series *s, int64_t now_ns, struct bh_error *err)
{
    s->fd = openat(s->dir_fd, s->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                   s->cfg.mode);
    if (s->fd < 0) {
        return cannot_write(s, errno, err);
    }
    s->size = 0;
    s->begin_ns = now_ns;
    return 0;
}

int
bh_series_write(struct bh_series *s, int64_t now_ns, const void *data, size_t size,
                struct bh_error *err)
{
    int r = s->fd >= 0 ? 0 : begin(s, now_ns, err);
    const char *p = data;
    for (size_t done = 0; r == 0 && done < size;) {
        const ssize_t n = pwrite(s->fd, p + done, size - done, (off_t)(s->size + done));
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0 || errno != EINTR) {
            r = cannot_write(s, n == 0 ? ENOSPC : errno, err);
            bh_ignore(
                ftruncate(s->fd, (off_t)s->size)); /* should it fail: the next write covers it */
        }
    }
    s->size += r == 0 ? size : 0;
    return r;
}

int
bh_series_sync(struct bh_series *s, struct bh_error *err)
{
    return s->fd >= 0 && fdatasync(s->fd) != 0 ? cannot_write(s, errno, err) : 0;
}

int
bh_series_finish(struct bh_series *s, struct bh_error *err)
{
    if (s->fd < 0) {
        return 0;
    }
    int r = bh_series_sync(s, err);
    close(s->fd);
    s->fd = -1;
    if (s->size == 0) {
        bh_ignore(unlinkat(s->dir_fd, s->name, 0)); /* an empty file is nothing to keep */
        return r;
    }
    const int a = set_aside(s, s->begin_ns, err);
    return r != 0 ? r : a;
}

uint64_t
bh_series_removed(const struct bh_series *s)
{
    return s->removed;
}
