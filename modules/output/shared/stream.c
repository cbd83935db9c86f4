/* SPDX-License-Identifier: BSD-2-Clause */
#include "stream.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct piece {
    struct piece *next;
    uint64_t number, run;
    size_t len;
    char text[];
};

struct stream {
    size_t most, waiting;
    struct piece *first, *last;
    struct piece *at; /* being sent; NULL: all is sent */
    size_t at_done;   /* octets of it                  */
    uint64_t run;
    int fd;
    bool is_pipe, is_socket;
    size_t step;         /* octets of one write() that cannot block   */
    uint64_t sent;       /* in this connection                        */
    uint64_t given;      /* of them in pieces that are gone from here */
    uint64_t seen_empty; /* sockets: `sent` when nothing was unread   */
};

struct stream *
stream_new(size_t most)
{
    struct stream *s = calloc(1, sizeof *s);
    if (s != NULL) {
        s->most = most;
        s->fd = -1;
    }
    return s;
}

void
stream_free(struct stream *s)
{
    if (s != NULL) {
        while (s->first != NULL) {
            struct piece *p = s->first;
            s->first = p->next;
            free(p);
        }
        free(s);
    }
}

void
stream_attach(struct stream *s, int fd)
{
    struct stat st;
    const int flags = fcntl(fd, F_GETFL);
    stream_detach(s);
    s->fd = fd;
    s->is_pipe = fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
    s->is_socket = !s->is_pipe && S_ISSOCK(st.st_mode);
    /* A pipe that says it is writable takes PIPE_BUF octets at once, also without O_NONBLOCK, which the
     * standard output of somebody else must not be given. */
    s->step = s->is_socket || (flags >= 0 && (flags & O_NONBLOCK) != 0) || S_ISREG(st.st_mode)
                  ? 1U << 16
                  : PIPE_BUF;
}

void
stream_detach(struct stream *s)
{
    s->fd = -1;
    s->at = s->first; /* once more, from its beginning */
    s->at_done = 0;
    s->sent = s->given = s->seen_empty = 0;
}

bool
stream_is_attached(const struct stream *s)
{
    return s->fd >= 0;
}

void
stream_run(struct stream *s)
{
    s->run++;
}

int
stream_add(struct stream *s, uint64_t number, const void *text, size_t len)
{
    if (s->waiting > 0 && s->waiting + len > s->most) {
        return BH_EAGAIN;
    }
    struct piece *p = malloc(sizeof *p + len);
    if (p == NULL) {
        return -ENOMEM;
    }
    *p = (struct piece){ .number = number, .run = s->run, .len = len };
    memcpy(p->text, text, len);
    *(s->last != NULL ? &s->last->next : &s->first) = p;
    s->last = p;
    s->at = s->at == NULL ? p : s->at;
    s->waiting += len;
    return 0;
}

/* Octets that were sent and read. */
static uint64_t
count_read(struct stream *s)
{
    int unread = 0;
    if (s->is_pipe) {
        return ioctl(s->fd, FIONREAD, &unread) == 0 && unread >= 0 && (uint64_t)unread <= s->sent
                   ? s->sent - (uint64_t)unread
                   : 0;
    }
    if (s->is_socket) {
        /* Of a Unix socket this is memory, not octets: only zero says something. */
        if (ioctl(s->fd, SIOCOUTQ, &unread) == 0 && unread == 0) {
            s->seen_empty = s->sent;
        }
        return s->seen_empty;
    }
    return s->sent;
}

static void
drop_read(struct stream *s)
{
    const uint64_t read = s->fd < 0 || s->first == NULL ? 0 : count_read(s);
    while (s->first != NULL && s->first != s->at && s->given + s->first->len <= read) {
        struct piece *p = s->first;
        s->given += p->len;
        s->waiting -= p->len;
        s->first = p->next;
        s->last = s->first == NULL ? NULL : s->last;
        free(p);
    }
}

int
stream_pump(struct stream *s)
{
    if (s->fd < 0) {
        return 0;
    }
    for (;;) {
        struct pollfd poll_for = { .fd = s->fd, .events = POLLOUT };
        if (poll(&poll_for, 1, 0) < 0) {
            break;
        }
        if ((poll_for.revents & (POLLERR | POLLNVAL)) != 0 ||
            (s->is_socket && (poll_for.revents & POLLHUP) != 0)) {
            return -EPIPE;
        }
        if (s->at == NULL || (poll_for.revents & POLLOUT) == 0) {
            break;
        }
        const size_t left = s->at->len - s->at_done, n = left < s->step ? left : s->step;
        const char *from = s->at->text + s->at_done;
        const ssize_t done = s->is_socket ? send(s->fd, from, n, MSG_DONTWAIT | MSG_NOSIGNAL)
                                          : write(s->fd, from, n);
        if (done < 0) {
            if (errno == EINTR) {
                continue;
            }
            if (errno == EAGAIN || errno == EWOULDBLOCK) {
                break;
            }
            return -errno;
        }
        s->sent += (uint64_t)done;
        s->at_done += (size_t)done;
        if (s->at_done == s->at->len) {
            s->at = s->at->next;
            s->at_done = 0;
        }
    }
    drop_read(s);
    return 0;
}

uint64_t
stream_read_upto(struct stream *s, uint64_t next)
{
    drop_read(s);
    return s->first == NULL ? next : s->first->run == s->run ? s->first->number : 0;
}

size_t
stream_waiting(const struct stream *s)
{
    return s->waiting;
}
