/* SPDX-License-Identifier: BSD-2-Clause */
/* Segments into a directory of this machine, or one that is mounted. */
#include "push_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE (1U << 20)

static int
failed(const char *path, struct bh_error *err)
{
    return bh_error_errno(err, errno, path, "cannot write", "書けません");
}

static int
read_file(const char *path, struct bh_buf *ret, struct bh_error *err)
{
    struct bh_map m;
    if (access(path, F_OK) != 0) {
        return 0;
    }
    int r = bh_map_open(path, &m, err);
    if (r == 0) {
        bh_buf_add(ret, m.data, m.size < PUSH_LEDGER_MAX ? m.size : PUSH_LEDGER_MAX);
        bh_map_done(&m);
    }
    return r != 0        ? r
           : ret->failed ? bh_error_errno(err, ENOMEM, path, "cannot read", "読めません")
                         : 0;
}

static int
list_files(const char *dir, struct push_list *ret, struct bh_error *err)
{
    DIR *d = opendir(dir);
    int r = 0;
    if (d == NULL) {
        return bh_error_errno(err, errno, dir, "cannot open", "開けません");
    }
    for (struct dirent *e; r == 0 && (e = readdir(d)) != NULL;) {
        struct stat st;
        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
            r = push_list_add(ret, e->d_name, strlen(e->d_name), (uint64_t)st.st_size);
        }
    }
    closedir(d);
    return r == 0 ? 0 : bh_error_errno(err, -r, dir, "cannot read", "読めません");
}

static int
begin(struct push_target *t, struct push_list *ret_list, struct bh_buf *ret_ledger,
      struct bh_error *err)
{
    char path[4096];
    struct stat a, b;
    if (mkdir(t->dir, 0777) != 0 && errno != EEXIST) {
        return bh_error_errno(err, errno, t->dir, "cannot make", "作れません");
    }
    if (stat(t->dir, &a) == 0 && stat(t->options->log, &b) == 0 && a.st_dev == b.st_dev &&
        a.st_ino == b.st_ino) {
        return bh_error_set(err, BH_EUSAGE, t->dir, "is the log itself",
                            "は送り元のログそのものです");
    }
    int r = bh_store_lock_copy(t->dir, &t->lock_fd, err);
    r = r != 0 ? r : list_files(t->dir, ret_list, err);
    snprintf(path, sizeof path, "%s/%s", t->dir, PUSH_LEDGER);
    return r != 0 ? r : read_file(path, ret_ledger, err);
}

/* How much of what is there is what the segment has: after a power failure that may be less. */
static int
same_octets(const struct push_item *item, int fd, uint8_t *piece, uint64_t *ret_at,
            struct bh_error *err)
{
    uint64_t at = 0;
    for (;;) {
        const ssize_t n = pread(item->fd, piece, PIECE, (off_t)at);
        const ssize_t m = n <= 0 ? n : pread(fd, piece + PIECE, (size_t)n, (off_t)at);
        if (n < 0 || m < 0) {
            return failed(item->path, err);
        }
        if (m == 0 || memcmp(piece, piece + PIECE, (size_t)m) != 0) {
            break;
        }
        at += (uint64_t)m;
        if (!item->step(item->arg, at)) {
            return -ECANCELED;
        }
    }
    *ret_at = at;
    return 0;
}

static int
copy_rest(const struct push_item *item, int fd, uint8_t *piece, uint64_t at, const char *path,
          struct bh_error *err)
{
    while (at < item->size) {
        const ssize_t n = pread(item->fd, piece, PIECE, (off_t)at);
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return bh_error_errno(err, errno, item->path, "cannot read", "読めません");
        }
        for (ssize_t m = 0, k; m < n; m += k) {
            k = pwrite(fd, piece + m, (size_t)(n - m), (off_t)at + m);
            if (k < 0 && errno == EINTR) {
                k = 0;
            } else if (k < 0) {
                return failed(path, err);
            }
        }
        at += (uint64_t)n;
        if (!item->step(item->arg, at)) {
            return -ECANCELED;
        }
    }
    return fdatasync(fd) == 0 ? 0 : failed(path, err);
}

static int
sync_names(const struct push_target *t, struct bh_error *err)
{
    int fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return failed(t->dir, err);
    }
    bh_ignore(fsync(fd)); /* some file systems cannot */
    close(fd);
    return 0;
}

static int
rename_file(struct push_target *t, const char *from, const char *to, struct bh_error *err)
{
    char a[4096], b[4096];
    snprintf(a, sizeof a, "%s/%s", t->dir, from);
    snprintf(b, sizeof b, "%s/%s", t->dir, to);
    return rename(a, b) == 0 ? sync_names(t, err) : failed(b, err);
}

static int
remove_file(struct push_target *t, const char *name, struct bh_error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", t->dir, name);
    return unlink(path) == 0 || errno == ENOENT
               ? 0
               : bh_error_errno(err, errno, path, "cannot remove", "削除できません");
}

static int
send_item(struct push_target *t, const struct push_item *item, struct bh_error *err)
{
    char part[4096], ledger[4096];
    uint8_t *piece = malloc(2UL * PIECE);
    uint64_t at = 0;
    snprintf(part, sizeof part, "%s/%s", t->dir, item->part);
    snprintf(ledger, sizeof ledger, "%s/%s", t->dir, PUSH_LEDGER);
    int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC, 0666), r = 0;
    if (fd < 0 || piece == NULL) {
        r = failed(part, err);
    }
    r = r != 0 ? r : same_octets(item, fd, piece, &at, err);
    if (r == 0 && ftruncate(fd, (off_t)at) != 0) {
        r = failed(part, err);
    }
    r = r != 0 ? r : copy_rest(item, fd, piece, at, part, err);
    if (fd >= 0 && close(fd) != 0 && r == 0) {
        r = failed(part, err);
    }
    free(piece);
    if (r == -ECANCELED) {
        return bh_error_set(err, r, t->text, "stopped; the next push goes on from here",
                            "中断しました。次回はここから続けます");
    }
    r = r != 0 ? r : sync_names(t, err);
    r = r != 0 ? r : bh_file_replace(ledger, item->ledger->data, item->ledger->len, err);
    r = r != 0 ? r : sync_names(t, err);
    r = r != 0 ? r : rename_file(t, item->part, item->name, err);
    for (size_t k = 0; k < item->joined_count && r == 0; k++) {
        r = remove_file(t, item->joined[k], err);
    }
    return r;
}

static void
end(struct push_target *t)
{
    if (t->lock_fd >= 0) {
        close(t->lock_fd);
    }
}

const struct push_target_kind push_directory = { begin, send_item, rename_file, remove_file, end };
