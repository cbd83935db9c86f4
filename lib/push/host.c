/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Segments to another host, by the system's sftp(1): keys, hosts and jumps are those of the user's
 * ssh_config, and the other side needs nothing but an sftp server. Each step is a batch of commands that
 * ends at the first that fails; what it is fed and what it says stand in files without a name.
 */
#include "push_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS 64U

/* What the command said. */
struct said {
    struct bh_buf out, complaint;
};

static void
said_done(struct said *s)
{
    bh_buf_done(&s->out);
    bh_buf_done(&s->complaint);
}

static int
nameless(const struct bh_buf *content)
{
    int fd = memfd_create("beholder-push", MFD_CLOEXEC);
    size_t at = 0;
    while (fd >= 0 && content != NULL && at < content->len) {
        ssize_t n = write(fd, content->data + at, content->len - at);
        if (n < 0 && errno != EINTR) {
            close(fd);
            return -1;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0) {
        bh_ignore((int)lseek(fd, 0, SEEK_SET));
    }
    return fd;
}

static void
take_all(int fd, struct bh_buf *ret)
{
    char piece[4096];
    ssize_t n;
    for (off_t at = 0; (n = pread(fd, piece, sizeof piece, at)) > 0 && ret->len < PUSH_LEDGER_MAX;
         at += n) {
        bh_buf_add(ret, piece, (size_t)n);
    }
}

static void
become(char *const *words, int in, int out, int complaint, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(complaint, 2) < 0) {
        _exit(126);
    }
    setenv("LC_ALL", "C", 1); /* dates of its listing */
    execvp(words[0], words);
    dprintf(2, "%s: %s\n", words[0], strerror(errno));
    _exit(127);
}

/* Ends when the child has, or when it is to be stopped. */
static int
wait_for(pid_t pid, const struct push_item *item)
{
    const struct timespec pause = { .tv_nsec = 20000000 };
    int status;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (item != NULL && !item->step(item->arg, item->have)) {
            kill(pid, SIGTERM);
            while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
            }
            return -ECANCELED;
        }
        nanosleep(&pause, NULL);
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* "sftp -q -b - -- HOST"; the words of the command before. Returns their memory. */
static char *
split_words(const struct push_target *t, char *ret[WORDS])
{
    static const char *const tail[] = { "-q", "-b", "-", "--" };
    char *copy = strdup(t->options->sftp != NULL ? t->options->sftp : "sftp"), *rest = copy;
    size_t n = 0;
    for (char *w; copy != NULL && n < WORDS - 6 && (w = strsep(&rest, " \t")) != NULL;) {
        if (*w != '\0') {
            ret[n++] = w;
        }
    }
    for (size_t k = 0; k < BH_COUNT(tail); k++) {
        ret[n++] = (char *)(uintptr_t)tail[k];
    }
    ret[n++] = (char *)(uintptr_t)t->host;
    ret[n] = NULL;
    return copy;
}

/* The last line it complained with, as it is what ended it. */
static int
complain(const struct push_target *t, const struct said *s, struct bh_error *err)
{
    const char *at = s->complaint.data == NULL ? "" : s->complaint.data, *line = at;
    size_t n = s->complaint.len;
    while (n > 0 && (at[n - 1] == '\n' || at[n - 1] == '\r')) {
        n--;
    }
    for (size_t k = 0; k < n; k++) {
        line = at[k] == '\n' ? at + k + 1 : line;
    }
    const int length = (int)(at + n - line);
    return bh_error_set(err, -EIO, t->text, "sftp: %.*s", "sftp: %.*s", length < 200 ? length : 200,
                        length > 0 ? line : "it failed");
}

static int
run(struct push_target *t, const struct bh_buf *script, const struct push_item *item,
    struct said *ret, struct bh_error *err)
{
    char *words[WORDS], *memory = split_words(t, words);
    const int in = nameless(script), out = nameless(NULL), complaint = nameless(NULL);
    int r = script->failed || memory == NULL || in < 0 || out < 0 || complaint < 0 ? -ENOMEM : 0;
    const pid_t parent = getpid(), pid = r == 0 ? fork() : -1;
    if (pid == 0) {
        become(words, in, out, complaint, parent);
    }
    if (pid < 0) {
        r = bh_error_errno(err, r != 0 ? ENOMEM : errno, t->text, "cannot start sftp",
                           "sftp を起動できません");
    } else {
        r = wait_for(pid, item);
        take_all(out, &ret->out);
        take_all(complaint, &ret->complaint);
        r = r == -ECANCELED
                ? bh_error_set(err, r, t->text, "stopped; the next push goes on from here",
                               "中断しました。次回はここから続けます")
            : r != 0 ? complain(t, ret, err)
                     : 0;
    }
    const int fds[] = { in, out, complaint };
    for (size_t k = 0; k < BH_COUNT(fds); k++) {
        if (fds[k] >= 0) {
            close(fds[k]);
        }
    }
    free(memory);
    return r;
}

/* A path as a word of a batch: in quotes, with what has a meaning there taken it. */
static void
put_path(struct bh_buf *out, const char *path, size_t length)
{
    bh_buf_putc(out, '"');
    for (size_t k = 0; k < length; k++) {
        if (path[k] == '"' || path[k] == '\\') {
            bh_buf_putc(out, '\\');
        }
        bh_buf_putc(out, path[k]);
    }
    bh_buf_putc(out, '"');
}

static void
go_there(const struct push_target *t, struct bh_buf *out)
{
    bh_buf_puts(out, "cd ");
    put_path(out, t->dir, strlen(t->dir));
    bh_buf_putc(out, '\n');
}

/* "-rw-r--r--    1 1000     1000         3611 Nov 29 08:06 0000000001.seg" */
static int
take_listing(const struct bh_buf *said, struct push_list *ret)
{
    const char *at = said->data == NULL ? "" : said->data, *end = at + said->len;
    int r = 0;
    while (at < end && r == 0) {
        const char *stop = memchr(at, '\n', (size_t)(end - at)), *p = at, *size = NULL,
                   *name = NULL;
        stop = stop == NULL ? end : stop;
        for (unsigned word = 1; p < stop; word++) {
            size = word == 5 ? p : size;
            name = p;
            while (p < stop && *p != ' ') {
                p++;
            }
            while (p < stop && *p == ' ') {
                p++;
            }
        }
        if (*at == '-' && size != NULL) {
            const char *slash = memchr(name, '/', (size_t)(stop - name));
            name = slash == NULL ? name : slash + 1;
            r = push_list_add(ret, name, (size_t)(stop - name), strtoull(size, NULL, 10));
        }
        at = stop + (stop < end);
    }
    return r;
}

static void
make_dirs(const struct push_target *t, struct bh_buf *out)
{
    for (size_t n = 1; n <= strlen(t->dir); n++) {
        if (t->dir[n] == '/' || t->dir[n] == '\0') {
            bh_buf_puts(out, "-mkdir ");
            put_path(out, t->dir, n);
            bh_buf_putc(out, '\n');
        }
    }
}

static int
begin(struct push_target *t, struct push_list *ret_list, struct bh_buf *ret_ledger,
      struct bh_error *err)
{
    struct bh_buf script = { 0 };
    struct said said = { 0 };
    if (strpbrk(t->dir, "\n\r") != NULL) {
        return bh_error_set(err, BH_EUSAGE, t->text, "has a line break", "改行が含まれています");
    }
    make_dirs(t, &script);
    go_there(t, &script);
    bh_buf_puts(&script, "ls -ln\n");
    int r = run(t, &script, NULL, &said, err);
    if (r == 0 && take_listing(&said.out, ret_list) != 0) {
        r = bh_error_errno(err, ENOMEM, t->text, "cannot read", "読めません");
    }
    said_done(&said);
    said = (struct said){ 0 };
    bool has_ledger = false;
    for (size_t k = 0; k < ret_list->count; k++) {
        has_ledger |= strcmp(ret_list->file[k].name, PUSH_LEDGER) == 0;
    }
    const int fd = r == 0 && has_ledger ? nameless(NULL) : -1;
    if (fd >= 0) {
        script.len = 0;
        go_there(t, &script);
        bh_buf_printf(&script, "get %s /proc/%ld/fd/%d\n", PUSH_LEDGER, (long)getpid(), fd);
        r = run(t, &script, NULL, &said, err);
        take_all(fd, ret_ledger);
        close(fd);
        if (r == 0 && (ret_ledger->len == 0 || ret_ledger->failed)) {
            r = bh_error_errno(err, EIO, t->text, "cannot read", "読めません");
        }
    }
    said_done(&said);
    bh_buf_done(&script);
    return r;
}

static int
send_item(struct push_target *t, const struct push_item *item, struct bh_error *err)
{
    struct bh_buf script = { 0 };
    struct said said = { 0 };
    const long self = (long)getpid();
    const int ledger = nameless(item->ledger);
    go_there(t, &script);
    if (item->have > item->size) {
        bh_buf_printf(&script, "rm %s\n", item->part);
    }
    if (item->have != item->size) {
        const bool go_on = item->have > 0 && item->have < item->size;
        bh_buf_printf(&script, "%s -f /proc/%ld/fd/%d %s\n", go_on ? "reput" : "put", self,
                      item->fd, item->part);
    }
    bh_buf_printf(&script, "put -f /proc/%ld/fd/%d %s.new\nrename %s.new %s\nrename %s %s\n", self,
                  ledger, PUSH_LEDGER, PUSH_LEDGER, PUSH_LEDGER, item->part, item->name);
    for (size_t k = 0; k < item->joined_count; k++) {
        bh_buf_printf(&script, "-rm %s\n", item->joined[k]);
    }
    int r = ledger < 0 ? bh_error_errno(err, errno, t->text, "cannot push", "送れません")
                       : run(t, &script, item, &said, err);
    if (ledger >= 0) {
        close(ledger);
    }
    said_done(&said);
    bh_buf_done(&script);
    return r;
}

static int
rename_file(struct push_target *t, const char *from, const char *to, struct bh_error *err)
{
    struct bh_buf script = { 0 };
    struct said said = { 0 };
    go_there(t, &script);
    bh_buf_printf(&script, "rename %s %s\n", from, to);
    int r = run(t, &script, NULL, &said, err);
    said_done(&said);
    bh_buf_done(&script);
    return r;
}

static int
remove_file(struct push_target *t, const char *name, struct bh_error *err)
{
    struct bh_buf script = { 0 };
    struct said said = { 0 };
    for (const char *p = name; *p != '\0'; p++) { /* whose name it is, and nobody's pattern */
        if (strchr("0123456789abcdef-.pseghrt", *p) == NULL) {
            return 0;
        }
    }
    go_there(t, &script);
    bh_buf_printf(&script, "-rm %s\n", name);
    int r = run(t, &script, NULL, &said, err);
    said_done(&said);
    bh_buf_done(&script);
    return r;
}

static void
end(struct push_target *t)
{
    (void)t;
}

const struct push_target_kind push_host = { begin, send_item, rename_file, remove_file, end };
