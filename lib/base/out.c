/* SPDX-License-Identifier: BSD-2-Clause */
/* Output piece by piece: to standard output, or to a file that appears complete or not at all. */
#include "bh_base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define OUT_SIZE ((size_t)256 << 10)

struct bh_out {
    int fd, failed;
    bool is_file; /* else standard output, which is not ours to close */
    size_t len;
    uint64_t written; /* before what is in the buffer */
    char path[1024], temporary[1056];
    uint8_t buffer[OUT_SIZE];
};

int
bh_out_open(const char *path, struct bh_out **ret_out, struct bh_error *err)
{
    struct bh_out *o = calloc(1, sizeof *o);
    if (o == NULL) {
        return bh_error_errno(err, ENOMEM, path == NULL ? "" : path, "cannot write", "書けません");
    }
    o->fd = STDOUT_FILENO;
    o->is_file = path != NULL && strcmp(path, "-") != 0;
    if (o->is_file) {
        if ((size_t)snprintf(o->path, sizeof o->path, "%s", path) >= sizeof o->path) {
            free(o);
            return bh_error_errno(err, ENAMETOOLONG, path, "cannot write", "書けません");
        }
        snprintf(o->temporary, sizeof o->temporary, "%s.%ld.part", path, (long)getpid());
        o->fd = open(o->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (o->fd < 0) {
            int r = bh_error_errno(err, errno, path, "cannot write", "書けません");
            free(o);
            return r;
        }
    }
    *ret_out = o;
    return 0;
}

static int
write_all(struct bh_out *o, const uint8_t *data, size_t size)
{
    while (o->failed == 0 && size > 0) {
        ssize_t n = write(o->fd, data, size);
        if (n < 0 && errno != EINTR) {
            o->failed = -errno;
        } else if (n > 0) {
            data += n;
            size -= (size_t)n;
            o->written += (uint64_t)n;
        }
    }
    return o->failed;
}

int
bh_out_flush(struct bh_out *o)
{
    int r = write_all(o, o->buffer, o->len);
    o->len = 0;
    return r;
}

int
bh_out_write(struct bh_out *o, const void *data, size_t size)
{
    if (size > OUT_SIZE - o->len) {
        if (bh_out_flush(o) != 0) {
            return o->failed;
        }
        if (size >= OUT_SIZE) {
            return write_all(o, data, size);
        }
    }
    if (size > 0) {
        memcpy(o->buffer + o->len, data, size);
        o->len += size;
    }
    return o->failed;
}

uint64_t
bh_out_size(const struct bh_out *o)
{
    return o->written + o->len;
}

int
bh_out_close(struct bh_out *o, bool keep, struct bh_error *err)
{
    if (o == NULL) {
        return 0;
    }
    const char *where = o->is_file ? o->path : "stdout";
    int r = keep ? bh_out_flush(o) : 0;
    if (o->is_file) {
        if (r == 0 && keep && fsync(o->fd) != 0 && errno != EINVAL) {
            r = -errno;
        }
        if (close(o->fd) != 0 && r == 0) {
            r = -errno;
        }
        if (r == 0 && keep && rename(o->temporary, o->path) != 0) {
            r = -errno;
        }
        if (r != 0 || !keep) {
            unlink(o->temporary);
        }
    }
    if (r != 0) {
        bh_error_errno(err, -r, where, "cannot write", "書けません");
    }
    free(o);
    return r;
}
