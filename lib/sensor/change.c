/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Changes of the set of outputs, told to the capture process while it runs: a message and two descriptors (memory of the
 * queue, and what wakes its reader) over a socket that only the parent writes to. The parent sends all messages of a
 * change and counts plan->changes up then; capture takes them between two batches, so that what one output gets no more
 * the one in its place gets. A capture process that is started meanwhile finds the table as it is.
 */
#include "sensor_priv.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESCRIPTORS 2

union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(DESCRIPTORS * sizeof(int))];
};

int
change_send(int socket, const struct change *c, const int fd[2])
{
    struct change copy = *c;
    struct iovec part = { &copy, sizeof copy };
    union control control = { .room = { 0 } };
    struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };
    if (fd != NULL) {
        m.msg_control = control.room;
        m.msg_controllen = sizeof control.room;
        struct cmsghdr *h = CMSG_FIRSTHDR(&m);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(DESCRIPTORS * sizeof(int));
        memcpy(CMSG_DATA(h), fd, DESCRIPTORS * sizeof(int));
    }
    const ssize_t n = sendmsg(socket, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n == (ssize_t)sizeof copy ? 0 : n < 0 ? -errno : -EIO;
}

bool
change_receive(int socket, struct change *ret, int ret_fd[2])
{
    struct iovec part = { ret, sizeof *ret };
    union control control = { .room = { 0 } };
    struct msghdr m = { .msg_iov = &part,
                        .msg_iovlen = 1,
                        .msg_control = control.room,
                        .msg_controllen = sizeof control.room };
    ret_fd[0] = ret_fd[1] = -1;
    if (recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != (ssize_t)sizeof *ret) {
        return false;
    }
    const struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    if (h != NULL && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS &&
        h->cmsg_len == CMSG_LEN(DESCRIPTORS * sizeof(int))) {
        memcpy(ret_fd, CMSG_DATA(h), DESCRIPTORS * sizeof(int));
    }
    ret->filter[sizeof ret->filter - 1] = '\0';
    return ret->slot < BH_SENSOR_OUTPUTS;
}
