/* SPDX-License-Identifier: BSD-2-Clause */
#include "file.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The state file: a head of text, then as many octets of noted lines. */
#define HEAD_SIZE 256U
#define NOTED_MOST (64U << 20)

struct state {
    int64_t start_ns;
    uint64_t sensor; /* sum of its name */
    uint64_t next;
    uint64_t begin, end; /* of what was written last; equal: nothing is on its way */
    uint64_t noted;      /* octets behind the head */
    uint64_t noted_sum;
};

struct lines_file {
    struct bh_output *o;
    struct lines_file_config cfg;
    char path[PATH_MAX], state_path[PATH_MAX];
    int fd, state_fd;
    dev_t dev;
    ino_t ino;
    uint64_t size;
    struct state state;
    struct bh_buf noted; /* of the process before */
    int64_t born_ns;     /* first tick with octets in it; 0: none yet */
    bool dirty;
};

static int
fail(struct lines_file *f, int saved_errno, const char *path, const char *en, const char *ja)
{
    struct bh_error err = { 0 };
    const int r = bh_error_errno(&err, saved_errno, path, en, ja);
    bh_output_say(f->o, BH_SAY_ERROR, &err);
    return r;
}

/* ---- the state file -------------------------------------------------------------------------------------------- */

static uint64_t
sum_of(const char *data, size_t len)
{
    uint64_t sum = 0xcbf29ce484222325ULL; /* FNV-1a: it finds damage, which is all it is for */
    for (size_t i = 0; i < len; i++) {
        sum = (sum ^ (uint8_t)data[i]) * 0x100000001b3ULL;
    }
    return sum;
}

static void
make_head(const struct state *s, char head[HEAD_SIZE + 1])
{
    char tail[32];
    const int n =
        snprintf(head, HEAD_SIZE + 1,
                 "beholder ndjson 1\nstart %" PRId64 "\nsensor %" PRIx64 "\nnext %" PRIu64
                 "\nbegin %" PRIu64 "\nend %" PRIu64 "\nnoted %" PRIu64 " %" PRIx64 "\n",
                 s->start_ns, s->sensor, s->next, s->begin, s->end, s->noted, s->noted_sum);
    memset(head + n, ' ', HEAD_SIZE - (size_t)n);
    snprintf(tail, sizeof tail, "\nsum %016" PRIx64 "\n", sum_of(head, HEAD_SIZE - 22));
    memcpy(head + HEAD_SIZE - 22, tail, 22);
}

static bool
read_head(const char head[HEAD_SIZE + 1], struct state *ret)
{
    struct state s;
    char again[HEAD_SIZE + 1];
    if (sscanf(head,
               "beholder ndjson 1\nstart %" SCNd64 "\nsensor %" SCNx64 "\nnext %" SCNu64
               "\nbegin %" SCNu64 "\nend %" SCNu64 "\nnoted %" SCNu64 " %" SCNx64,
               &s.start_ns, &s.sensor, &s.next, &s.begin, &s.end, &s.noted, &s.noted_sum) != 7) {
        return false;
    }
    make_head(&s, again); /* only what we would write is believed */
    if (memcmp(head, again, HEAD_SIZE) != 0 || s.begin > s.end || s.noted > NOTED_MOST) {
        return false;
    }
    *ret = s;
    return true;
}

static int
read_all(int fd, char *to, size_t len)
{
    for (size_t done = 0; done < len;) {
        const ssize_t n = pread(fd, to + done, len - done, (off_t)done);
        if (n <= 0) {
            return n < 0 && errno == EINTR ? 0 : -EIO;
        }
        done += (size_t)n;
    }
    return 0;
}

/* False: there is none that can be used. */
static bool
load_state(struct lines_file *f)
{
    char head[HEAD_SIZE + 1] = { 0 };
    struct stat st;
    if (fstat(f->state_fd, &st) != 0 || st.st_size == 0) {
        return false; /* the first time */
    }
    bool good = (uint64_t)st.st_size >= HEAD_SIZE && read_all(f->state_fd, head, HEAD_SIZE) == 0 &&
                read_head(head, &f->state) && (uint64_t)st.st_size >= HEAD_SIZE + f->state.noted;
    if (good && f->state.noted > 0) {
        char *all = malloc(HEAD_SIZE + f->state.noted);
        good = all != NULL && read_all(f->state_fd, all, HEAD_SIZE + f->state.noted) == 0 &&
               sum_of(all + HEAD_SIZE, f->state.noted) == f->state.noted_sum;
        if (good) {
            bh_buf_add(&f->noted, all + HEAD_SIZE, f->state.noted);
            good = !f->noted.failed;
        }
        free(all);
    }
    if (!good) {
        struct bh_error err = { 0 };
        bh_error_set(&err, BH_EDAMAGED, f->state_path,
                     "is damaged; the file goes on behind its last whole line",
                     "が壊れています。最後の完全な行の後ろに続けます");
        bh_output_say(f->o, BH_SAY_WARNING, &err);
        f->state = (struct state){ 0 };
        f->noted.len = 0;
    }
    return good;
}

/* The head in place: one write within a page, whole for whoever reads it later. */
static int
save_head(struct lines_file *f)
{
    char head[HEAD_SIZE + 1];
    make_head(&f->state, head);
    return pwrite(f->state_fd, head, HEAD_SIZE, 0) == (ssize_t)HEAD_SIZE
               ? 0
               : fail(f, errno, f->state_path, "cannot write", "書けません");
}

/* Head and lines, as a new file. */
static int
save_all(struct lines_file *f, const char *text, size_t len)
{
    char head[HEAD_SIZE + 1];
    struct bh_buf all = { 0 };
    struct bh_error err = { 0 };
    f->state.noted = len;
    f->state.noted_sum = sum_of(text, len);
    make_head(&f->state, head);
    bh_buf_add(&all, head, HEAD_SIZE);
    bh_buf_add(&all, text, len);
    int r = all.failed ? -ENOMEM : bh_file_replace(f->state_path, all.data, all.len, &err);
    bh_buf_done(&all);
    if (r != 0) {
        bh_output_say(f->o, BH_SAY_ERROR, &err);
        return r;
    }
    const int fd = open(f->state_path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return fail(f, errno, f->state_path, "cannot open", "開けません");
    }
    close(f->state_fd);
    f->state_fd = fd;
    return 0;
}

/* ---- the file -------------------------------------------------------------------------------------------------------- */

static int
open_file(struct lines_file *f)
{
    struct stat st;
    const int fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0 || fstat(fd, &st) != 0) {
        const int saved = errno;
        if (fd >= 0) {
            close(fd);
        }
        return fail(f, saved, f->path, "cannot open", "開けません");
    }
    if (!S_ISREG(st.st_mode)) {
        close(fd);
        struct bh_error err = { 0 };
        bh_error_set(&err, BH_EUSAGE, f->path, "is no file", "はファイルではありません");
        bh_output_say(f->o, BH_SAY_ERROR, &err);
        return BH_EUSAGE;
    }
    if (f->fd >= 0) {
        close(f->fd);
    }
    f->fd = fd;
    f->dev = st.st_dev;
    f->ino = st.st_ino;
    f->size = (uint64_t)st.st_size;
    f->born_ns = 0;
    return 0;
}

static int
cut_to(struct lines_file *f, uint64_t size)
{
    if (ftruncate(f->fd, (off_t)size) != 0) {
        return fail(f, errno, f->path, "cannot shorten", "短くできません");
    }
    f->size = size;
    return 0;
}

/* A line that is not whole goes. */
static int
cut_last_line(struct lines_file *f)
{
    char part[4096];
    uint64_t at = f->size;
    while (at > 0) {
        const size_t n = at < sizeof part ? (size_t)at : sizeof part;
        if (pread(f->fd, part, n, (off_t)(at - n)) != (ssize_t)n) {
            return fail(f, errno, f->path, "cannot read", "読めません");
        }
        for (size_t i = n; i > 0; i--) {
            if (part[i - 1] == '\n') {
                at = at - n + i;
                return at < f->size ? cut_to(f, at) : 0;
            }
        }
        at -= n;
    }
    return f->size > 0 ? cut_to(f, 0) : 0;
}

/* All or nothing. */
static int
append(struct lines_file *f, const char *text, size_t len)
{
    size_t done = 0;
    while (done < len) {
        const ssize_t n = pwrite(f->fd, text + done, len - done, (off_t)(f->size + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            const int saved = n < 0 ? errno : ENOSPC;
            bh_ignore(fail(f, saved, f->path, "cannot write", "書けません"));
            bh_ignore(ftruncate(f->fd, (off_t)f->size)); /* what is behind does not count anyway */
            return BH_EAGAIN;
        }
        done += (size_t)n;
    }
    f->size += len;
    f->dirty = f->dirty || len > 0;
    return 0;
}

/* ---- putting aside ------------------------------------------------------------------------------------------------------ */

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* FILE.20261129T081500Z, perhaps with a number behind. */
static bool
is_put_aside(const char *name, const char *base)
{
    const size_t n = strlen(base);
    return strncmp(name, base, n) == 0 && name[n] == '.' && strlen(name + n) >= 17 &&
           strspn(name + n + 1, "0123456789") == 8 && name[n + 9] == 'T' &&
           strspn(name + n + 10, "0123456789") == 6 && name[n + 16] == 'Z';
}

static void
remove_oldest(struct lines_file *f)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(f->path, '/');
    const char *base = slash != NULL ? slash + 1 : f->path;
    snprintf(folder, sizeof folder, "%.*s", slash != NULL ? (int)(slash - f->path + 1) : 1,
             slash != NULL ? f->path : ".");
    DIR *d = opendir(folder);
    char **names = NULL;
    size_t count = 0, room = 0;
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        if (!is_put_aside(e->d_name, base)) {
            continue;
        }
        if (count == room) {
            room = room * 2 + 16;
            char **more = realloc(names, room * sizeof *names);
            if (more == NULL) {
                break;
            }
            names = more;
        }
        if ((names[count] = strdup(e->d_name)) == NULL) {
            break;
        }
        count++;
    }
    if (count > 1) {
        qsort(names, count, sizeof *names, by_name);
    }
    for (size_t k = 0; k < count; k++) {
        if (k + f->cfg.keep < count && unlinkat(dirfd(d), names[k], 0) != 0) {
            bh_ignore(fail(f, errno, names[k], "cannot remove", "消せません"));
        }
        free(names[k]);
    }
    free(names);
    if (d != NULL) {
        closedir(d);
    }
}

static int
put_aside(struct lines_file *f, int64_t now_ns)
{
    char name[PATH_MAX + 40], stamp[32];
    const time_t now = (time_t)(now_ns / 1000000000);
    struct tm t;
    int r = lines_file_sync(f);
    if (r != 0 || gmtime_r(&now, &t) == NULL) {
        return r;
    }
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &t);
    snprintf(name, sizeof name, "%s.%s", f->path, stamp);
    for (unsigned k = 1; access(name, F_OK) == 0 && k < 1000; k++) {
        snprintf(name, sizeof name, "%s.%s.%03u", f->path, stamp, k);
    }
    if (rename(f->path, name) != 0) {
        return fail(f, errno, f->path, "cannot put aside", "別名に変更できません");
    }
    r = open_file(f);
    if (r == 0) {
        f->state.begin = f->state.end = f->size;
        r = save_head(f);
    }
    if (f->cfg.keep > 0) {
        remove_oldest(f);
    }
    return r;
}

int
lines_file_tick(struct lines_file *f, int64_t now_ns)
{
    struct stat st;
    if (stat(f->path, &st) != 0 || st.st_dev != f->dev || st.st_ino != f->ino) {
        /* Somebody (logrotate) put it aside. */
        int r = lines_file_sync(f);
        r = r != 0 ? r : open_file(f);
        r = r != 0 ? r : cut_last_line(f);
        f->state.begin = f->state.end = f->size;
        return r != 0 ? r : save_head(f);
    }
    if (f->size == 0) {
        return 0;
    }
    f->born_ns = f->born_ns == 0 ? now_ns : f->born_ns;
    if ((f->cfg.size_most > 0 && f->size >= f->cfg.size_most) ||
        (f->cfg.age_most > 0 && (uint64_t)(now_ns - f->born_ns) >= f->cfg.age_most)) {
        return put_aside(f, now_ns);
    }
    return 0;
}

/* ---- calls ------------------------------------------------------------------------------------------------------------------ */

int
lines_file_open(struct bh_output *o, const struct lines_file_config *cfg, struct lines_file **ret)
{
    struct lines_file *f = calloc(1, sizeof *f);
    int r = 0;
    if (f == NULL) {
        return -ENOMEM;
    }
    f->o = o;
    f->cfg = *cfg;
    f->fd = f->state_fd = -1;
    if (snprintf(f->path, sizeof f->path, "%s", cfg->path) >= (int)sizeof f->path - 64 ||
        snprintf(f->state_path, sizeof f->state_path, "%s.state", cfg->path) >=
            (int)sizeof f->state_path) {
        r = fail(f, ENAMETOOLONG, cfg->path, "cannot open", "開けません");
    }
    r = r != 0 ? r : open_file(f);
    if (r == 0) {
        f->state_fd = open(f->state_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
        r = f->state_fd < 0 ? fail(f, errno, f->state_path, "cannot open", "開けません") : 0;
    }
    if (r == 0) {
        bh_ignore(load_state(f)); /* without: a file of somebody else, or the first time */
        *ret = f;
        return 0;
    }
    lines_file_close(f);
    return r;
}

void
lines_file_close(struct lines_file *f)
{
    if (f != NULL) {
        if (f->fd >= 0) {
            close(f->fd);
        }
        if (f->state_fd >= 0) {
            close(f->state_fd);
        }
        bh_buf_done(&f->noted);
        free(f);
    }
}

/* Lines that were on their way when the process before died. */
static int
finish_settling(struct lines_file *f, bool is_same)
{
    if (f->state.begin == f->state.end) {
        return 0;
    }
    if (f->size >= f->state.end) { /* they are all here */
        f->noted.len = 0;
        return is_same ? cut_to(f, f->state.end) : 0;
    }
    if (f->size > f->state.begin) {
        return cut_to(f, f->state.begin); /* what was noted is taken up once more */
    }
    return 0;
}

int
lines_file_run(struct lines_file *f, const struct bh_output_run *run, uint64_t *ret_next)
{
    const uint64_t sensor = sum_of(run->sensor, strlen(run->sensor));
    const bool known = f->state.sensor != 0 || f->state.start_ns != 0;
    const bool is_same = known && f->state.sensor == sensor && f->state.start_ns == run->start_ns;
    int r = known ? finish_settling(f, is_same) : 0;
    if (r == 0 && is_same && f->state.begin == f->state.end && f->size > f->state.end) {
        r = cut_to(f, f->state.end);
    } else if (r == 0) {
        r = cut_last_line(f);
    }
    if (r != 0) {
        return r;
    }
    f->state.start_ns = run->start_ns;
    f->state.sensor = sensor;
    f->state.next = is_same ? f->state.next : 0;
    f->state.begin = f->state.end = f->size;
    *ret_next = f->state.next;
    return save_head(f);
}

int
lines_file_append(struct lines_file *f, const char *text, size_t len, uint64_t next)
{
    const int r = append(f, text, len);
    if (r != 0) {
        return r;
    }
    f->state.next = next;
    f->state.begin = f->state.end = f->size;
    return save_head(f) == 0 ? 0 : BH_EAGAIN;
}

int
lines_file_note(struct lines_file *f, const char *text, size_t len, uint64_t next)
{
    f->state.next = next;
    f->state.begin = f->state.end = f->size;
    return save_all(f, text, len);
}

int
lines_file_settle(struct lines_file *f, const char *text, size_t len, uint64_t next)
{
    f->state.next = next;
    f->state.begin = f->size;
    f->state.end = f->size + len;
    int r = save_all(f, text, len);
    r = r != 0 ? r : append(f, text, len);
    r = r != 0 ? r : lines_file_sync(f);
    if (r == 0) {
        f->state.begin = f->state.end;
        r = save_all(f, "", 0);
    }
    return r;
}

void
lines_file_take_noted(struct lines_file *f, struct bh_buf *ret)
{
    bh_buf_add(ret, f->noted.data, f->noted.len);
    bh_buf_done(&f->noted);
}

int
lines_file_sync(struct lines_file *f)
{
    if (f->dirty) {
        if (fdatasync(f->fd) != 0 || fdatasync(f->state_fd) != 0) {
            return fail(f, errno, f->path, "cannot write", "書けません");
        }
        f->dirty = false;
    }
    return 0;
}
