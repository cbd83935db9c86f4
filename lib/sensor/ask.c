/* SPDX-License-Identifier: BSD-2-Clause */
/* The other end of the status socket: who asks. */
#include "bh_sensor.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define OF_SYSTEM "/run/beholder"
#define WAIT_MS 5000
#define ANSWER_MAX (4U << 20)

/* systemd says where; root has /run/beholder, who is not root a folder in what the session gives him. */
bool
bh_sensor_run_dir(char *ret, size_t size)
{
    const char *said = getenv("RUNTIME_DIRECTORY"), *session = getenv("XDG_RUNTIME_DIR");
    int n = -1;
    if (said != NULL && said[0] == '/' && strchr(said, ':') == NULL) {
        n = snprintf(ret, size, "%s", said);
    } else if (geteuid() == 0) {
        n = snprintf(ret, size, "%s", OF_SYSTEM);
    } else if (session != NULL && session[0] == '/') {
        n = snprintf(ret, size, "%s/beholder", session);
    }
    return n > 0 && (size_t)n < size;
}

static bool
is_one(const char *name)
{
    return strncmp(name, "status", 6) == 0 && (name[6] == '\0' || name[6] == '-');
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sockets of one folder behind those that are there. */
static void
find_in(const char *dir, char **found, size_t *ret_count)
{
    DIR *d = opendir(dir);
    const size_t before = *ret_count;
    for (struct dirent *e;
         d != NULL && (e = readdir(d)) != NULL && *ret_count < BH_SENSOR_SOCKETS;) {
        struct stat st;
        char *path;
        if (!is_one(e->d_name) || asprintf(&path, "%s/%s", dir, e->d_name) < 0) {
            continue;
        }
        if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
            found[(*ret_count)++] = path;
        } else {
            free(path);
        }
    }
    if (d != NULL) {
        closedir(d);
    }
    qsort(found + before, *ret_count - before, sizeof *found, by_name);
}

size_t
bh_sensor_sockets(char *ret[BH_SENSOR_SOCKETS])
{
    char own[BH_SENSOR_PATH_MAX];
    size_t count = 0;
    find_in(OF_SYSTEM, ret, &count);
    if (bh_sensor_run_dir(own, sizeof own) && strcmp(own, OF_SYSTEM) != 0) {
        find_in(own, ret, &count);
    }
    return count;
}

static int64_t
now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* 1: something can be read. */
static int
wait_for(int fd, int64_t until_ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    const int64_t left = until_ms - now_ms();
    return left <= 0 ? 0 : poll(&p, 1, (int)left);
}

static int
read_answer(int fd, struct bh_buf *out)
{
    const int64_t until_ms = now_ms() + WAIT_MS;
    char octets[4096];
    for (;;) {
        const int ready = wait_for(fd, until_ms);
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        const ssize_t n = ready > 0 ? recv(fd, octets, sizeof octets, 0) : -1;
        if (ready <= 0) {
            return ready == 0 ? -ETIMEDOUT : -errno;
        }
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        if (n == 0) {
            return out->len > 0 ? 0 : -ECONNRESET;
        }
        bh_buf_add(out, octets, n > 0 ? (size_t)n : 0);
        if (out->failed || out->len > ANSWER_MAX) {
            return out->failed ? -ENOMEM : BH_ELIMIT;
        }
    }
}

int
bh_sensor_ask(const char *path, const char *request, struct bh_buf *out, struct bh_error *err)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int r = strlen(path) < sizeof at.sun_path ? 0 : -ENAMETOOLONG;
    const int fd = r == 0 ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
    memcpy(at.sun_path, path, r == 0 ? strlen(path) + 1 : 0);
    if (r == 0 &&
        (fd < 0 || connect(fd, (const struct sockaddr *)(const void *)&at, sizeof at) != 0 ||
         send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))) {
        r = -errno;
    }
    r = r == 0 ? read_answer(fd, out) : r;
    if (fd >= 0) {
        close(fd);
    }
    if (r == -ENOENT || r == -ECONNREFUSED || r == -ENOTDIR) {
        return bh_error_set(err, r, path, "no sensor answers here; beholder capture starts one",
                            "応答するセンサーがありません。beholder capture で起動できます");
    }
    if (r == -EACCES || r == -EPERM) {
        return bh_error_set(err, r, path, "only the sensor's user, its group and root may ask",
                            "確認できるのはセンサーのユーザーとグループ、root だけです");
    }
    return r == 0 ? 0
                  : bh_error_errno(err, r < -2000 ? EMSGSIZE : -r, path, "cannot ask the sensor",
                                   "センサーに確認できません");
}
