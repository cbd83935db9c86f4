/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a service manager is told (sd_notify(3)): datagrams of lines to the socket that NOTIFY_SOCKET names, in the file
 * system or, with a leading @, in the abstract space. The watchdog is fed while the parent's loop turns and capture's
 * does: a capture process that is stuck, though it lives, is a reason to be started anew.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "status_priv.h"

#define SECOND_NS 1000000000LL
#define STATUS_NS (10 * SECOND_NS)

static int
connect_to(const char *name)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    const size_t len = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof to.sun_path) {
        return -1;
    }
    memcpy(to.sun_path, name, len + 1);
    socklen_t size = sizeof to;
    if (name[0] == '@') {
        to.sun_path[0] = '\0';
        size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len); /* no NUL in there */
    }
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)(const void *)&to, size) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

void
notify_open(struct sensor *s)
{
    const char *name = getenv("NOTIFY_SOCKET"), *usec = getenv("WATCHDOG_USEC"),
               *pid = getenv("WATCHDOG_PID");
    s->notify_fd = name != NULL ? connect_to(name) : -1;
    if (usec != NULL && (pid == NULL || strtoll(pid, NULL, 10) == (long long)getpid())) {
        const long long n = strtoll(usec, NULL, 10);
        s->watchdog_ns = n > 0 && n < INT64_MAX / 1000 ? n * 1000 : 0;
    }
    /* Programs that outputs start are not the service. */
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

static void
tell(const struct sensor *s, const char *text)
{
    if (s->notify_fd >= 0) {
        bh_ignore((int)send(s->notify_fd, text, strlen(text),
                            MSG_NOSIGNAL | MSG_DONTWAIT)); /* nobody there: nobody to tell */
    }
}

void
notify_ready(const struct sensor *s)
{
    tell(s, "READY=1\n");
}

void
notify_reloading(const struct sensor *s)
{
    char text[80];
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\n",
             sensor_clock_ns() / 1000);
    tell(s, text);
}

void
notify_stopping(const struct sensor *s)
{
    tell(s, "STOPPING=1\nSTATUS=Writing what is on its way\n");
}

static void
tell_status(struct sensor *s, int64_t now_ns)
{
    static struct status t; /* large */
    char text[300];
    uint64_t lost;
    status_take(s, &t);
    lost = t.kernel_lost;
    for (size_t k = 0; k < t.outputs; k++) {
        lost += t.output[k].lost + t.output[k].failed;
    }
    const double seconds = (double)(now_ns - s->notify_status_ns) * 1e-9;
    const uint64_t more = t.records - s->notify_records;
    snprintf(text, sizeof text,
             "STATUS=%.0f packets/s; %" PRIu64 " records, %" PRIu64 " accesses, %" PRIu64 " lost\n",
             s->notify_status_ns == 0 || seconds <= 0 ? 0 : (double)more / seconds, t.records,
             t.accesses, lost);
    s->notify_records = t.records;
    tell(s, text);
}

void
notify_turn(struct sensor *s, int64_t now_ns)
{
    if (s->notify_fd < 0) {
        return;
    }
    const int64_t turn_ns =
        (int64_t)atomic_load_explicit(&s->capture->turn_ns, memory_order_relaxed);
    if (s->watchdog_ns != 0 && now_ns - s->watchdog_said_ns >= s->watchdog_ns / 3 &&
        now_ns - turn_ns < s->watchdog_ns) {
        s->watchdog_said_ns = now_ns;
        tell(s, "WATCHDOG=1\n");
    }
    if (s->notify_status_ns == 0 || now_ns - s->notify_status_ns >= STATUS_NS) {
        tell_status(s, now_ns);
        s->notify_status_ns = now_ns;
    }
}
