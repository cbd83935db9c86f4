/* SPDX-License-Identifier: BSD-2-Clause */
/* What lib/push needs: which sealed segments there are, and what tells one from another. */
#include "file_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

bool
is_copy(const char *dir)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, BH_STORE_LEDGER);
    return access(path, F_OK) == 0;
}

int
refuse_copy(const char *dir, struct bh_error *err)
{
    return is_copy(dir)
               ? bh_error_set(err, BH_EUSAGE, dir,
                              "is a copy that beholder log push fills; do this where it comes from",
                              "は beholder log push が送った写しです。送り元のログで行ってください")
               : 0;
}

int
bh_store_lock_copy(const char *dir, int *ret_fd, struct bh_error *err)
{
    return lock_dir(dir, LOCK_OF_WRITER, ret_fd, err);
}

int
bh_store_segments(const char *dir, struct bh_store_segment **ret_list, size_t *ret_count,
                  struct bh_error *err)
{
    struct log_file *files = NULL;
    size_t n = 0, count = 0;
    int r = -ENOENT;
    if (!bh_store_is_log(dir)) {
        return bh_error_set(err, BH_EFORMAT, dir, "this directory holds no packet log",
                            "このディレクトリにはパケットログがありません");
    }
    /* it may be written meanwhile */
    for (unsigned tries = 0; r == -ENOENT && tries < 20; tries++) {
        r = files_open(dir, &files, &n, err);
    }
    if (r != 0) {
        return r;
    }
    struct bh_store_segment *list = calloc(n + 1, sizeof *list);
    for (size_t k = 0; list != NULL && k < n; k++) {
        const struct log_file *f = &files[k];
        if (f->type == FILE_SEGMENT && !is_superseded(files, n, k)) {
            list[count++] = (struct bh_store_segment){ .first_sequence = f->first_sequence,
                                                       .last_sequence = f->last_sequence,
                                                       .run = f->run.id,
                                                       .identity = f->damaged > 0 ? 0 : f->identity,
                                                       .bytes = f->size,
                                                       .records = f->rows };
        }
    }
    files_close(files, n);
    *ret_list = list;
    *ret_count = count;
    return list == NULL ? bh_error_errno(err, ENOMEM, dir, "cannot read", "読めません") : 0;
}

int
bh_store_segment_open(const char *dir, const struct bh_store_segment *s)
{
    char name[NAME_SIZE], path[4096];
    struct log_file f;
    struct stat here, there;
    name_put(name, s->first_sequence, FILE_SEGMENT);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int r = log_file_open(path, FILE_SEGMENT, s->first_sequence, &f, NULL);
    if (r == 0) {
        r = f.identity == s->identity && f.size == s->bytes ? 0 : -ESTALE;
        log_file_close(&f);
    }
    /* What was looked at is what was opened. */
    if (r == 0 &&
        (fstat(fd, &here) != 0 || stat(path, &there) != 0 || here.st_ino != there.st_ino)) {
        r = -ESTALE;
    }
    if (r != 0) {
        close(fd);
        return r;
    }
    return fd;
}
