/* SPDX-License-Identifier: BSD-2-Clause */
#include "bh_base.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int
bh_map_open(const char *path, struct bh_map *ret_map, struct bh_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return bh_error_errno(err, errno, path, "cannot open", "開けません");
    }
    struct stat st;
    int r = 0;
    struct bh_map map = { (const uint8_t *)"", 0 };
    if (fstat(fd, &st) != 0) {
        r = bh_error_errno(err, errno, path, "cannot read", "読めません");
        goto out;
    }
    if (S_ISDIR(st.st_mode)) {
        r = bh_error_set(err, -EISDIR, path, "this is a directory; give a file",
                         "ディレクトリです。ファイルを指定してください");
        goto out;
    }
    if (st.st_size > 0) {
        map.size = (size_t)st.st_size;
        void *p = mmap(NULL, map.size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            r = bh_error_errno(err, errno, path, "cannot map", "メモリに割り当てられません");
            goto out;
        }
        map.data = p;
    }
    *ret_map = map;
out:
    close(fd);
    return r;
}

void
bh_map_done(struct bh_map *m)
{
    if (m->size > 0) {
        munmap((void *)(uintptr_t)m->data, m->size);
    }
    *m = (struct bh_map){ 0 };
}

int
bh_file_replace(const char *path, const void *data, size_t size, struct bh_error *err)
{
    char tmp[PATH_MAX];
    if (snprintf(tmp, sizeof tmp, "%s.tmp.%ld", path, (long)getpid()) >= (int)sizeof tmp) {
        return bh_error_errno(err, ENAMETOOLONG, path, "cannot write", "書けません");
    }
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return bh_error_errno(err, errno, path, "cannot write", "書けません");
    }
    int r = 0;
    const char *p = data;
    size_t left = size;
    while (left > 0) {
        ssize_t n = write(fd, p, left);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            r = bh_error_errno(err, errno, path, "cannot write", "書けません");
            goto out;
        }
        p += n;
        left -= (size_t)n;
    }
    if (fsync(fd) != 0) {
        r = bh_error_errno(err, errno, path, "cannot write", "書けません");
    }
out:
    if (close(fd) != 0 && r == 0) {
        r = bh_error_errno(err, errno, path, "cannot write", "書けません");
    }
    if (r == 0 && rename(tmp, path) != 0) {
        r = bh_error_errno(err, errno, path, "cannot write", "書けません");
    }
    if (r != 0) {
        unlink(tmp);
    }
    return r;
}

void
bh_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            /* The lowest free descriptor is this one. The wrong way round, so that reading and
             * writing fail as they would have. */
            int got = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
            if (got != fd && got >= 0) {
                close(got);
            }
        }
    }
}

int
bh_stdout_flush(struct bh_error *err)
{
    errno = 0;
    if (fflush(stdout) == 0 && ferror(stdout) == 0) {
        return 0;
    }
    return bh_error_errno(err, errno != 0 ? errno : EIO, "stdout", "cannot write the output",
                          "出力できません");
}

const char *
bh_program_dir(char *buf, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", buf, size - 1);
    if (n <= 0) {
        buf[0] = '\0';
        return buf;
    }
    buf[n] = '\0';
    char *slash = strrchr(buf, '/');
    if (slash != NULL) {
        *(slash == buf ? slash + 1 : slash) = '\0';
    }
    return buf;
}
