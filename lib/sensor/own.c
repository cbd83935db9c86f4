/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Our own exports, by their sockets. An output says which it has (bh_own_board), and what it says is not believed
 * further than it must be: an entry leaves out packets of exactly its addresses, ports and protocol, and only of an
 * output whose module may connect: others have no board. What has no ports (a later fragment, an ICMP error) is never left out.
 *
 * Who reads the metrics has a socket that nobody can tell us before its first packet. But the one it talks to is the
 * parent's, on an address of loopback, and so is every end of such a connection.
 */
#include "sensor_priv.h"

#include <sys/mman.h>

struct bh_own_board *
own_board(const struct sensor *s, size_t output)
{
    return (struct bh_own_board *)(void *)(s->sockets + output * OWN_PAGE);
}

void
own_leave_only(struct sensor *s, size_t mine, bool is_capture)
{
    for (size_t k = 0; k < BH_SENSOR_OUTPUTS; k++) {
        if (is_capture) {
            mprotect(own_board(s, k), OWN_PAGE, PROT_READ);
        } else if (k != mine) {
            munmap(own_board(s, k), OWN_PAGE);
        }
    }
}

void
own_look(struct own *w, const struct sensor *s)
{
    bool changed = false;
    w->listener = s->listener;
    w->listener_port = s->listener_port;
    for (size_t k = 0; k < BH_SENSOR_OUTPUTS; k++) {
        changed |= bh_own_read(own_board(s, k), &w->turn[k], w->of[k]);
    }
    if (!changed) {
        return;
    }
    w->count = 0;
    for (size_t k = 0; k < BH_SENSOR_OUTPUTS; k++) {
        for (size_t i = 0; i < BH_OWN_SOCKETS; i++) {
            const struct bh_own_socket *one = &w->of[k][i];
            if ((one->proto == BH_PROTO_TCP || one->proto == BH_PROTO_UDP) &&
                (one->far.family == 4 || one->far.family == 6)) {
                w->socket[w->count++] = *one;
            }
        }
    }
}

static uint32_t
ports(uint16_t from, uint16_t to)
{
    return (uint32_t)from << 16 | to;
}

static bool
is_of(const struct bh_own_socket *s, const struct bh_batch *b, uint32_t i)
{
    const bool out = b->ports[i] == ports(s->near_port, s->far_port);
    const bool in = b->ports[i] == ports(s->far_port, s->near_port);
    if ((!out && !in) || b->proto[i] != s->proto || b->kind[i] != s->far.family ||
        b->ts_ns[i] > s->until_ns || (b->marks[i] & (BH_MARK_NO_PORTS | BH_MARK_DECAP)) != 0) {
        return false;
    }
    const struct bh_ip src = bh_batch_src(b, i), dst = bh_batch_dst(b, i);
    const bool any = s->near.family == 0;
    return (out && bh_ip_cmp(&dst, &s->far) == 0 && (any || bh_ip_cmp(&src, &s->near) == 0)) ||
           (in && bh_ip_cmp(&src, &s->far) == 0 && (any || bh_ip_cmp(&dst, &s->near) == 0));
}

static bool
is_loopback(const struct bh_ip *ip)
{
    static const struct bh_ip one = { .family = 6, .octets = { [15] = 1 } };
    return ip->family == 4 ? ip->octets[0] == 127 : bh_ip_cmp(ip, &one) == 0;
}

static bool
is_scrape(const struct own *w, const struct bh_batch *b, uint32_t i)
{
    const bool to = (b->ports[i] & 0xffff) == w->listener_port;
    const bool from = b->ports[i] >> 16 == w->listener_port;
    if ((!to && !from) || b->proto[i] != BH_PROTO_TCP || b->kind[i] != w->listener.family ||
        (b->marks[i] & (BH_MARK_NO_PORTS | BH_MARK_DECAP)) != 0) {
        return false;
    }
    const struct bh_ip src = bh_batch_src(b, i), dst = bh_batch_dst(b, i);
    return is_loopback(&src) && is_loopback(&dst) &&
           ((to && bh_ip_cmp(&dst, &w->listener) == 0) ||
            (from && bh_ip_cmp(&src, &w->listener) == 0));
}

static uint32_t
mark_scrapes(const struct own *w, const struct bh_batch *b, uint8_t ret_own[BH_BATCH_ROWS])
{
    const uint32_t port = w->listener_port;
    uint32_t any = 0, n = 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        any |= (uint32_t)((b->ports[i] & 0xffff) == port) | (uint32_t)(b->ports[i] >> 16 == port);
    }
    for (uint32_t i = 0; any != 0 && i < b->rows; i++) {
        const uint8_t own = ret_own[i] == 0 && is_scrape(w, b, i);
        ret_own[i] |= own;
        n += own;
    }
    return n;
}

uint32_t
own_mark(const struct own *w, const struct bh_batch *b, uint8_t ret_own[BH_BATCH_ROWS])
{
    uint32_t n = 0;
    memset(ret_own, 0, BH_BATCH_ROWS);
    for (uint32_t k = 0; k < w->count; k++) {
        const struct bh_own_socket *s = &w->socket[k];
        const uint32_t out = ports(s->near_port, s->far_port),
                       in = ports(s->far_port, s->near_port);
        uint32_t any = 0;
        for (uint32_t i = 0; i < b->rows; i++) { /* ports alone: nearly always there are none */
            any |= (uint32_t)(b->ports[i] == out) | (uint32_t)(b->ports[i] == in);
        }
        for (uint32_t i = 0; any != 0 && i < b->rows; i++) {
            const uint8_t own = ret_own[i] == 0 && is_of(s, b, i);
            ret_own[i] |= own;
            n += own;
        }
    }
    return w->listener.family == 0 ? n : n + mark_scrapes(w, b, ret_own);
}
