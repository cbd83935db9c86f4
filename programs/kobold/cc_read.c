/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cc_read.c - reading text in whole lines, and saying how far it is: on standard error when that
 * is a terminal and the output is not shown there too, after a second, twice a second.
 */
#include "cc_common.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A line may have a MiB; what is read at a time, and written again, stays in the processor's cache. */
#define LINE_OCTETS_MAX ((size_t)1 << 20)
#define READ_SIZE ((size_t)1 << 17)

#define FIRST_NS 1000000000
#define STEP_NS 500000000

struct progress {
    const struct cc_program *p;
    uint64_t done, total; /* octets; total 0: unknown, as of a pipe */
    int64_t start_ns, next_ns;
    bool is_wanted, is_shown;
};

static int64_t
now_ns(void)
{
    struct timespec t = { 0 };
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void
progress_begin(struct progress *g, const struct cc_program *p, int fd)
{
    struct stat st;
    *g = (struct progress){ .p = p };
    g->is_wanted = isatty(STDERR_FILENO) == 1 && isatty(STDOUT_FILENO) != 1 && isatty(fd) != 1;
    if (!g->is_wanted) {
        return;
    }
    off_t from = lseek(fd, 0, SEEK_CUR);
    if (from >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > from) {
        g->total = (uint64_t)(st.st_size - from);
    }
    g->start_ns = now_ns();
    g->next_ns = g->start_ns + FIRST_NS;
}

static void
progress_step(struct progress *g, size_t octets)
{
    g->done += octets;
    if (!g->is_wanted) {
        return;
    }
    int64_t now = now_ns();
    if (now < g->next_ns) {
        return;
    }
    double mega = (double)g->done / 1e6;
    double speed = mega / ((double)(now - g->start_ns) / 1e9);
    bool is_ja = g->p->lang == BH_JA;
    fprintf(stderr,
            is_ja ? "\r\033[K%.0f MB 読み込み済み、毎秒 %.0f MB"
                  : "\r\033[K%.0f MB read, %.0f MB a second",
            mega, speed);
    if (g->total > 0) {
        double share = g->done < g->total ? (double)g->done / (double)g->total : 1;
        double left = (1 - share) * (double)g->total / 1e6 / speed;
        fprintf(stderr, is_ja ? "、%.0f %%、残り約 %.0f 秒" : ", %.0f %%, about %.0f s left",
                share * 100, left);
    }
    fflush(stderr);
    g->is_shown = true;
    g->next_ns = now + STEP_NS;
}

static void
progress_end(const struct progress *g)
{
    if (g->is_shown) {
        fputs("\r\033[K", stderr);
    }
}

/* Octets read, 0 at the end, or a negative errno. */
static ssize_t
read_some(int fd, char *to, size_t size)
{
    ssize_t n;
    do {
        n = read(fd, to, size);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static int
read_lines(struct progress *g, int fd, const char *name, char *buf,
           int (*take)(void *arg, const char *text, size_t len), void *arg)
{
    size_t kept = 0;
    int status = CC_OK;
    while (status == CC_OK) {
        size_t room = LINE_OCTETS_MAX - kept;
        ssize_t n = read_some(fd, buf + kept, room < READ_SIZE ? room : READ_SIZE);
        if (n < 0) {
            struct bh_error err;
            progress_end(g);
            bh_error_errno(&err, (int)-n, name, "cannot read", "読めません");
            return cc_complain(g->p, CC_FAILED, &err);
        }
        if (n == 0) {
            return kept > 0 ? take(arg, buf, kept) : CC_OK;
        }
        /* A line longer than the buffer is taken in pieces. */
        const char *end = memrchr(buf + kept, '\n', (size_t)n);
        kept += (size_t)n;
        size_t whole = end != NULL ? (size_t)(end - buf) + 1 : kept == LINE_OCTETS_MAX ? kept : 0;
        if (whole > 0) {
            status = take(arg, buf, whole);
            kept -= whole;
            memmove(buf, buf + whole, kept);
        }
        progress_step(g, (size_t)n);
    }
    return status;
}

int
cc_read_lines(const struct cc_program *p, const char *path,
              int (*take)(void *arg, const char *text, size_t len), void *arg)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        struct bh_error err;
        bh_error_errno(&err, errno, path, "cannot open", "開けません");
        return cc_complain(p, CC_FAILED, &err);
    }
    int status;
    char *buf = malloc(LINE_OCTETS_MAX);
    if (buf == NULL) {
        status = cc_complain_text(p, CC_FAILED, "out of memory", "メモリーが足りません");
    } else {
        struct progress g;
        progress_begin(&g, p, fd);
        status = read_lines(&g, fd, is_stdin ? "stdin" : path, buf, take, arg);
        progress_end(&g);
    }
    free(buf);
    if (!is_stdin) {
        close(fd);
    }
    return status;
}
