/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The country database in memory of our own. A file that is mapped ends the process that looks into it when somebody
 * cuts it short (`cp` over it does); a sensor runs for years, and its outputs look into theirs with every row. All processes
 * share the pages, which nobody writes.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sensor_priv.h"

#define SIZE_MOST (1ULL << 32)

static int
read_all(int fd, uint8_t *to, size_t size)
{
    for (size_t at = 0; at < size;) {
        const ssize_t n = read(fd, to + at, size - at);
        if (n == 0) {
            return KOBOLD_EDAMAGED; /* it got shorter */
        }
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

void
sensor_countries_close(struct countries *c)
{
    kobold_close(c->k);
    if (c->memory != NULL) {
        munmap(c->memory, c->size);
    }
    *c = (struct countries){ 0 };
}

int
sensor_countries_open(const char *path, struct countries *ret)
{
    char buf[4096];
    struct countries c = { 0 };
    struct stat st;
    const int fd =
        open(path != NULL ? path : kobold_default_path(buf, sizeof buf), O_RDONLY | O_CLOEXEC);
    int r = fd < 0 || fstat(fd, &st) != 0 ? -errno : 0;
    if (r == 0 && S_ISDIR(st.st_mode)) {
        r = -EISDIR;
    } else if (r == 0 && (!S_ISREG(st.st_mode) || st.st_size <= 0)) {
        r = KOBOLD_EFORMAT;
    } else if (r == 0 && (uint64_t)st.st_size > SIZE_MOST) {
        r = -EFBIG;
    }
    if (r == 0) {
        c.size = (size_t)st.st_size;
        c.memory = mmap(NULL, c.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        c.memory = c.memory == MAP_FAILED ? NULL : c.memory;
        r = c.memory == NULL ? -ENOMEM : read_all(fd, c.memory, c.size);
    }
    if (fd >= 0) {
        close(fd);
    }
    r = r == 0 && mprotect(c.memory, c.size, PROT_READ) != 0 ? -errno : r;
    r = r == 0 ? kobold_open_memory(c.memory, c.size, &c.k) : r;
    r = r == 0 ? kobold_verify(c.k) : r;
    if (r != 0) {
        sensor_countries_close(&c);
        return r;
    }
    *ret = c;
    return 0;
}
