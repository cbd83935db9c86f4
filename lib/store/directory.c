/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The directory of a log: who may write, which files there are, and which of them count. Every change
 * of it is one of three steps, each done or not: a file appears under its name by rename(), a journal
 * appears, a file that no longer counts goes. What must be on the disk before the next step is synced.
 */
#include "file_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int
write_failed(struct bh_error *err, int saved, const char *path)
{
    const char *en = "", *ja = "";
    switch (saved) {
    case ENOSPC:
    case EDQUOT:
        en = "; make room, or bound the log with --keep-size; what was flushed is safe";
        ja = "。空きを作るか、--keep-size でログの大きさを制限してください。書き終えた分は無事です";
        break;
    case EACCES:
    case EPERM:
    case EROFS:
        en = "; who writes a log must be allowed to write its directory";
        ja = "。ログを書くにはディレクトリへの書き込み権が必要です";
        break;
    case EMFILE:
    case ENFILE:
        en = "; allow more open files (ulimit -n)";
        ja = "。開けるファイル数を増やしてください (ulimit -n)";
        break;
    case ENOENT:
    case ENOTDIR:
    case ESTALE:
        en = "; the directory of the log was removed or moved away";
        ja = "。ログのディレクトリが削除または移動されました";
        break;
    default:
        break;
    }
    bh_error_errno(err, saved, path, "cannot write", "書けません");
    if (err != NULL) {
        const size_t size = sizeof err->text[0];
        strncat(err->text[BH_EN], en, size - 1 - strlen(err->text[BH_EN]));
        strncat(err->text[BH_JA], ja, size - 1 - strlen(err->text[BH_JA]));
        bh_text_trim(err->text[BH_JA]);
    }
    return -saved;
}

int
write_all(int fd, const void *data, size_t size, const char *path, struct bh_error *err)
{
    const uint8_t *p = data;
    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return write_failed(err, errno, path);
        }
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

int
sync_dir(const char *dir, struct bh_error *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
    if (fd < 0) {
        return write_failed(err, errno, dir);
    }
    /* Some file systems cannot sync a directory; that is no reason to stop. */
    if (fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP && errno != EBADF && errno != EROFS) {
        r = write_failed(err, errno, dir);
    }
    close(fd);
    return r;
}

int
make_dir(const char *dir, struct bh_error *err)
{
    char parent[4096];
    struct stat st;
    if (mkdir(dir, 0777) != 0) {
        const int saved = errno;
        if (saved == EEXIST && stat(dir, &st) == 0 && S_ISDIR(st.st_mode)) {
            return 0;
        }
        return bh_error_errno(err, saved == EEXIST ? ENOTDIR : saved, dir, "cannot make",
                              "作れません");
    }
    snprintf(parent, sizeof parent, "%s/..", dir);
    return sync_dir(parent, err);
}

static int
compare_listed(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    return x->sequence != y->sequence ? (x->sequence < y->sequence ? -1 : 1)
           : x->type < y->type        ? -1
                                      : x->type > y->type;
}

int
list_dir(const char *dir, struct listed **ret_list, size_t *ret_count, struct bh_error *err)
{
    DIR *d = opendir(dir);
    struct listed *list = NULL;
    size_t n = 0, cap = 0;
    if (d == NULL) {
        return bh_error_errno(err, errno, dir, "cannot open", "開けません");
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct listed x;
        x.type = name_get(e->d_name, &x.sequence);
        if (x.type == FILE_NONE) {
            continue;
        }
        if (n == cap) {
            cap = cap == 0 ? 64 : cap * 2;
            struct listed *p = realloc(list, cap * sizeof *p);
            if (p == NULL) {
                free(list);
                closedir(d);
                return bh_error_errno(err, ENOMEM, dir, "cannot read", "読めません");
            }
            list = p;
        }
        list[n++] = x;
    }
    closedir(d);
    if (n > 0) {
        qsort(list, n, sizeof *list, compare_listed);
    }
    *ret_list = list;
    *ret_count = n;
    return 0;
}

/* Who holds the lock, as its file says; 0: it has not said yet who it is. */
static int
say_locked(const char *dir, bool by_writer, long pid, struct bh_error *err)
{
    if (!by_writer) {
        return bh_error_set(err, BH_ELIMIT, dir, "process %ld is looking after this log",
                            "このログはプロセス %ld が整理中です", pid);
    }
    if (pid <= 0) {
        return bh_error_set(err, BH_ELIMIT, dir, "another process is writing to this log",
                            "このログには別のプロセスが書き込み中です");
    }
    return bh_error_set(err, BH_ELIMIT, dir, "process %ld is writing to this log",
                        "このログにはプロセス %ld が書き込み中です", pid);
}

int
lock_dir(const char *dir, const char *name, int *ret_fd, struct bh_error *err)
{
    char path[4096], text[32] = "";
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        return errno == ENOENT ? bh_error_errno(err, errno, dir, "cannot open", "開けません")
                               : write_failed(err, errno, path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int saved = errno;
        ssize_t n = pread(fd, text, sizeof text - 1, 0);
        close(fd);
        if (saved != EWOULDBLOCK) {
            return bh_error_errno(err, saved, path, "cannot lock", "ロックできません");
        }
        return say_locked(dir, strcmp(name, LOCK_OF_WRITER) == 0,
                          n > 0 ? strtol(text, NULL, 10) : 0, err);
    }
    const int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len) {
        int saved = errno;
        close(fd);
        return write_failed(err, saved, path);
    }
    *ret_fd = fd;
    return 0;
}

int
bh_store_check_writer(const char *dir, struct bh_error *err)
{
    char path[4096], text[32] = "";
    int r = 0;
    snprintf(path, sizeof path, "%s/%s", dir, LOCK_OF_WRITER);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0; /* whoever writes makes it, and says why not */
    }
    if (flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        const ssize_t n = pread(fd, text, sizeof text - 1, 0);
        r = say_locked(dir, true, n > 0 ? strtol(text, NULL, 10) : 0, err);
    }
    close(fd);
    return r;
}

int
check_lock(const char *dir, int fd, struct bh_error *err)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_nlink == 0) { /* who comes next would not be refused */
        return bh_error_set(
            err, -ENOENT, dir,
            "the directory of the log, or its lock, was removed while it was written",
            "書き込み中に、ログのディレクトリまたはロックファイルが削除されました");
    }
    return 0;
}

/* Sealed, when a segment stands for it; and one that goes on from another counts only when that
 * other one is sealed: until then it holds the same records. */
bool
journal_counts(const struct log_file *files, size_t count, size_t index)
{
    const struct log_file *j = &files[index];
    bool before_sealed = false, before_open = false;
    for (size_t k = 0; k < count; k++) {
        const struct log_file *f = &files[k];
        if (f->type == FILE_SEGMENT) {
            if (f->first_sequence <= j->first_sequence && j->first_sequence <= f->last_sequence) {
                return false;
            }
            before_sealed |= f->first_sequence <= j->after && j->after <= f->last_sequence;
        } else if (k != index && f->type == FILE_JOURNAL) {
            before_open |= f->first_sequence == j->after;
        }
    }
    return j->after == 0 || before_sealed || !before_open;
}

int
unlink_file(const char *dir, uint64_t sequence, enum file_type type, struct bh_error *err)
{
    char name[NAME_SIZE], path[4096];
    name_put(name, sequence, type);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (unlink(path) != 0 && errno != ENOENT) {
        return bh_error_errno(err, errno, path, "cannot remove", "削除できません");
    }
    return 0;
}

bool
is_superseded(const struct log_file *files, size_t count, size_t index)
{
    const struct log_file *f = &files[index];
    for (size_t k = 0; k < count; k++) {
        const struct log_file *o = &files[k];
        const uint64_t mine = f->last_sequence - f->first_sequence,
                       its = o->last_sequence - o->first_sequence;
        if (k != index && o->type == FILE_SEGMENT && o->first_sequence <= f->first_sequence &&
            f->last_sequence <= o->last_sequence && its > mine) {
            return true;
        }
    }
    return false;
}

int
files_open(const char *dir, struct log_file **ret_files, size_t *ret_count, struct bh_error *err)
{
    struct listed *list = NULL;
    size_t n = 0, opened = 0;
    int r = list_dir(dir, &list, &n, err);
    struct log_file *files = calloc(n + 1, sizeof *files);
    r = r == 0 && files == NULL ? bh_error_errno(err, ENOMEM, dir, "cannot read", "読めません") : r;
    for (size_t k = 0; k < n && r == 0; k++) {
        char name[NAME_SIZE], path[4096];
        if (list[k].type == FILE_UNFINISHED) {
            continue;
        }
        name_put(name, list[k].sequence, list[k].type);
        snprintf(path, sizeof path, "%s/%s", dir, name);
        r = log_file_open(path, list[k].type, list[k].sequence, &files[opened], err);
        opened += r == 0;
    }
    free(list);
    if (r != 0) {
        files_close(files, opened);
        return r;
    }
    *ret_files = files;
    *ret_count = opened;
    return 0;
}

void
files_close(struct log_file *files, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        log_file_close(&files[k]);
    }
    free(files);
}

uint64_t
next_sequence(const struct log_file *files, size_t count)
{
    uint64_t next = 1;
    for (size_t k = 0; k < count; k++) {
        next = files[k].last_sequence >= next ? files[k].last_sequence + 1 : next;
        next = files[k].first_sequence >= next ? files[k].first_sequence + 1 : next;
    }
    return next;
}

uint32_t
asked_blocks(void)
{
    const char *said = getenv("BH_STORE_SEGMENT_BLOCKS");
    const long n = said == NULL ? 0 : strtol(said, NULL, 10);
    return n > 0 && n < 4096 ? (uint32_t)n : 0;
}
