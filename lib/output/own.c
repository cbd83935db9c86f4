/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our own exports: a module connects through its host, which writes addresses and ports onto a board for who
 * captures.
 *
 * The entry must stand before the first packet leaves. A datagram socket says nothing when it is connected, so it is
 * written then. A stream socket sends in connect(): it is given its port before that (bind() to port 0), and an entry
 * without our address, which the kernel chooses while it connects; the address follows.
 */
#include "host_priv.h"

#include <netinet/in.h>
#include <time.h>
#include <unistd.h>

/* Two copies: one that stands, and one that is written. So nobody who reads meets a writer that was stopped half way. */
static struct bh_own_socket *
begin(struct bh_own_board *b)
{
    const uint32_t turn = atomic_load_explicit(&b->turn, memory_order_relaxed);
    memcpy(b->socket[(turn + 1) % 2], b->socket[turn % 2], sizeof b->socket[0]);
    return b->socket[(turn + 1) % 2];
}

static void
end(struct bh_own_board *b)
{
    const uint32_t turn = atomic_load_explicit(&b->turn, memory_order_relaxed);
    atomic_store_explicit(&b->turn, turn + 1, memory_order_release);
}

bool
bh_own_read(const struct bh_own_board *board, uint32_t *turn,
            struct bh_own_socket ret[BH_OWN_SOCKETS])
{
    struct bh_own_socket copy[BH_OWN_SOCKETS];
    for (int tries = 0; tries < 4; tries++) { /* again only when it was written while we copied */
        const uint32_t before = atomic_load_explicit(&board->turn, memory_order_acquire);
        if (before == *turn) {
            return false;
        }
        memcpy(copy, board->socket[before % 2], sizeof copy);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(&board->turn, memory_order_relaxed) == before) {
            memcpy(ret, copy, sizeof copy);
            *turn = before;
            return true;
        }
    }
    return false; /* whoever writes that often is not one of ours */
}

static int64_t
linger_until(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000LL + t.tv_nsec + BH_OWN_LINGER_NS;
}

void
bh_own_close_all(struct bh_own_board *board)
{
    const int64_t until = linger_until();
    struct bh_own_socket *sockets = begin(board);
    for (size_t k = 0; k < BH_OWN_SOCKETS; k++) {
        struct bh_own_socket *s = &sockets[k];
        s->until_ns = s->until_ns < until ? s->until_ns : until;
    }
    end(board);
}

/* False: of no family that is captured. */
static bool
take_address(const struct sockaddr_storage *a, struct bh_ip *ret_ip, uint16_t *ret_port)
{
    if (a->ss_family == AF_INET) {
        struct sockaddr_in at;
        memcpy(&at, a, sizeof at);
        *ret_ip = (struct bh_ip){ .family = at.sin_addr.s_addr != 0 ? 4 : 0 };
        memcpy(ret_ip->octets, &at.sin_addr, 4);
        *ret_port = ntohs(at.sin_port);
        return true;
    }
    if (a->ss_family == AF_INET6) {
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
        struct sockaddr_in6 at;
        memcpy(&at, a, sizeof at);
        *ret_ip = (struct bh_ip){ .family = IN6_IS_ADDR_UNSPECIFIED(&at.sin6_addr) ? 0 : 6 };
        memcpy(ret_ip->octets, &at.sin6_addr, 16);
        if (memcmp(ret_ip->octets, mapped, sizeof mapped) == 0) { /* IPv4 on the wire */
            *ret_ip = (struct bh_ip){ .family = 4 };
            memcpy(ret_ip->octets, (const uint8_t *)&at.sin6_addr + 12, 4);
        }
        *ret_port = ntohs(at.sin6_port);
        return true;
    }
    return false;
}

/* Both ends of a socket, as far as they are known. */
static bool
describe(int fd, const struct sockaddr_storage *to, struct bh_own_socket *ret)
{
    struct sockaddr_storage near = { 0 };
    socklen_t len = sizeof near, int_len = sizeof(int);
    int type = 0;
    *ret = (struct bh_own_socket){ .until_ns = INT64_MAX };
    if (getsockname(fd, (struct sockaddr *)&near, &len) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &int_len) != 0 ||
        !take_address(&near, &ret->near, &ret->near_port) ||
        !take_address(to, &ret->far, &ret->far_port)) {
        return false;
    }
    ret->proto = type == SOCK_STREAM ? BH_PROTO_TCP : type == SOCK_DGRAM ? BH_PROTO_UDP : 0;
    return ret->proto != 0 && ret->near_port != 0 && ret->far.family != 0;
}

/* In the place of what the descriptor was before, else of what was closed longest ago. */
static void
put(struct bh_output *o, int fd, const struct bh_own_socket *s)
{
    struct bh_own_socket *sockets = begin(o->own);
    size_t at = 0;
    for (size_t k = 0; k < BH_OWN_SOCKETS; k++) {
        const struct bh_own_socket *old = &sockets[k];
        if (old->proto != 0 && old->until_ns == INT64_MAX && o->own_fd[k] == fd) {
            at = k;
            break;
        }
        const int64_t age = old->proto == 0 ? INT64_MIN : old->until_ns;
        at = age < (sockets[at].proto == 0 ? INT64_MIN : sockets[at].until_ns) ? k : at;
    }
    sockets[at] = *s;
    end(o->own);
    o->own_fd[at] = fd;
}

int
bh_output_connect(struct bh_output *o, int fd, const struct sockaddr *to, socklen_t len)
{
    struct sockaddr_storage far = { 0 };
    struct bh_own_socket s;
    if (o->own == NULL || len > sizeof far ||
        (to->sa_family != AF_INET && to->sa_family != AF_INET6)) {
        return connect(fd, to, len);
    }
    memcpy(&far, to, len);
    int type = 0;
    socklen_t type_len = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 && type == SOCK_STREAM) {
        const struct sockaddr_storage none = { .ss_family = to->sa_family };
        /* Refused: its SYN may be captured before the entry stands, and is then a record. */
        bh_ignore(bind(fd, (const struct sockaddr *)&none, len));
        if (describe(fd, &far, &s)) {
            put(o, fd, &s);
        }
    }
    const int r = connect(fd, to, len);
    const int saved = errno;
    if ((r == 0 || saved == EINPROGRESS) && describe(fd, &far, &s)) {
        put(o, fd, &s);
    }
    errno = saved;
    return r;
}

void
bh_output_disconnect(struct bh_output *o, int fd)
{
    if (o->own != NULL) {
        struct bh_own_socket *sockets = begin(o->own);
        for (size_t k = 0; k < BH_OWN_SOCKETS; k++) {
            if (o->own_fd[k] == fd && sockets[k].proto != 0 && sockets[k].until_ns == INT64_MAX) {
                sockets[k].until_ns = linger_until();
            }
        }
        end(o->own);
    }
    close(fd);
}
