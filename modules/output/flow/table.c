/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of flows: who talks with whom, both directions in one entry.
 *
 * Memory is fixed: flows_max entries of 192 octets and 4 octets of chain heads for each, two a cache line's
 * worth of heads at most half full. Pages are touched as flows come, so a quiet sensor pays little.
 *
 * Entries stand in five lists, each in the order in which they were last touched, so what is idle is at the
 * front and expiring costs nothing but what expires. When the table is full, the lists also say who gives
 * way: what is closed already, then the longest untouched of those that nobody answered (a flood of forged
 * sources is made of these and pushes out itself), then of the others.
 *
 * Time is the table's own: it goes on when packets or ticks say so, and never back. A clock that is set back
 * does not keep flows for hours, and packets that come a little out of order do not count twice.
 *
 * Prefetching: a batch is hashed first, then the entries it will touch are asked for, then it is added.
 */
#include <assert.h>
#include <stdlib.h>

#include "flow_priv.h"

#define NONE 0U /* entries are numbered from 1 */
#define STEP_BACK_NS 2000000000LL

/* A packet, as a flow would have it whose originator sent it. */
struct packet {
    uint64_t addr[2][2];
    uint16_t port[2];
    uint8_t family, proto, ports;
    bool is_flow;
    uint32_t hash;
};

struct flow_table {
    struct flow_config cfg;
    struct flow *flow; /* [1 .. flows_max] */
    uint32_t *head;
    uint32_t head_mask, used, unused,
        count; /* used: entries ever handed out; unused: chain of given back */
    uint32_t first[LIST_COUNT], last[LIST_COUNT];
    int64_t now, newest_ns; /* the table's time; the packets' */
    bool any;
    uint64_t ended_early, made, begun;
    struct packet packet[BH_BATCH_ROWS];
};

_Static_assert(sizeof(struct flow) <= 192, "three cache lines");

static uint32_t
head_count(uint32_t flows_max)
{
    uint32_t n = 64;
    while (n < flows_max) {
        n *= 2;
    }
    return n;
}

size_t
flow_table_bytes(const struct flow_config *cfg)
{
    return ((size_t)cfg->flows_max + 1) * sizeof(struct flow) +
           head_count(cfg->flows_max) * sizeof(uint32_t);
}

struct flow_table *
flow_table_new(const struct flow_config *cfg)
{
    struct flow_table *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    t->cfg = *cfg;
    t->head_mask = head_count(cfg->flows_max) - 1;
    t->flow = bh_pages_new(((size_t)cfg->flows_max + 1) * sizeof *t->flow, false);
    t->head = bh_pages_new(((size_t)t->head_mask + 1) * sizeof *t->head, false);
    if (t->flow == NULL || t->head == NULL) {
        flow_table_free(t);
        return NULL;
    }
    return t;
}

void
flow_table_free(struct flow_table *t)
{
    if (t == NULL) {
        return;
    }
    if (t->flow != NULL) {
        bh_pages_free(t->flow, ((size_t)t->cfg.flows_max + 1) * sizeof *t->flow);
    }
    if (t->head != NULL) {
        bh_pages_free(t->head, ((size_t)t->head_mask + 1) * sizeof *t->head);
    }
    free(t);
}

uint32_t
flow_table_count(const struct flow_table *t)
{
    return t->count;
}

uint64_t
flow_table_begun(const struct flow_table *t)
{
    return t->begun;
}

uint64_t
flow_table_ended_early(const struct flow_table *t)
{
    return t->ended_early;
}

int64_t
flow_table_now(const struct flow_table *t)
{
    return t->newest_ns;
}

/* ---- lists and chains ------------------------------------------------------------------------------- */

static void
list_out(struct flow_table *t, struct flow *f)
{
    *(f->before != NONE ? &t->flow[f->before].after : &t->first[f->list]) = f->after;
    *(f->after != NONE ? &t->flow[f->after].before : &t->last[f->list]) = f->before;
}

static void
list_in(struct flow_table *t, struct flow *f, enum flow_list list)
{
    const uint32_t at = (uint32_t)(f - t->flow);
    f->list = (uint8_t)list;
    f->before = t->last[list];
    f->after = NONE;
    *(f->before != NONE ? &t->flow[f->before].after : &t->first[list]) = at;
    t->last[list] = at;
}

static enum flow_list
list_of(const struct flow *f)
{
    if (f->proto == BH_PROTO_TCP && f->ports == PORTS_PORTS) {
        return flow_is_closed(f) ? LIST_CLOSED : f->sent == 3 ? LIST_TCP : LIST_TCP_ONE;
    }
    return f->sent == 3 ? LIST_DATAGRAM : LIST_DATAGRAM_ONE;
}

static int64_t
idle_of(const struct flow_table *t, unsigned list)
{
    return list == LIST_CLOSED                        ? t->cfg.idle_closed_ns
           : list == LIST_TCP || list == LIST_TCP_ONE ? t->cfg.idle_tcp_ns
                                                      : t->cfg.idle_other_ns;
}

static bool
is_idle(const struct flow_table *t, const struct flow *f)
{
    return t->now - f->touched > idle_of(t, f->list);
}

static void
give_back(struct flow_table *t, struct flow *f)
{
    const uint32_t at = (uint32_t)(f - t->flow);
    uint32_t *p = &t->head[f->hash & t->head_mask];
    while (*p != at) {
        assert(*p != NONE);
        p = &t->flow[*p].next;
    }
    *p = f->next;
    list_out(t, f);
    f->next = t->unused;
    t->unused = at;
    t->count--;
}

static void
end(struct flow_table *t, struct flow *f, enum flow_end why)
{
    t->cfg.ended(t->cfg.arg, f, why);
    give_back(t, f);
}

/* Who is the longest untouched of two lists. */
static struct flow *
older(struct flow_table *t, enum flow_list x, enum flow_list y)
{
    struct flow *a = t->first[x] != NONE ? &t->flow[t->first[x]] : NULL;
    struct flow *b = t->first[y] != NONE ? &t->flow[t->first[y]] : NULL;
    return a == NULL ? b : b == NULL || a->touched <= b->touched ? a : b;
}

static void
make_room(struct flow_table *t)
{
    struct flow *f = older(t, LIST_CLOSED, LIST_CLOSED);
    if (f != NULL) {
        end(t, f, FLOW_CLOSED);
        return;
    }
    f = older(t, LIST_DATAGRAM_ONE, LIST_TCP_ONE);
    f = f != NULL ? f : older(t, LIST_DATAGRAM, LIST_TCP);
    t->ended_early++;
    end(t, f, FLOW_FULL);
}

static struct flow *
take(struct flow_table *t)
{
    if (t->count == t->cfg.flows_max) {
        make_room(t);
    }
    uint32_t at = t->unused;
    if (at != NONE) {
        t->unused = t->flow[at].next;
    } else {
        at = ++t->used;
    }
    t->count++;
    t->begun++;
    memset(&t->flow[at], 0, sizeof t->flow[at]);
    return &t->flow[at];
}

/* ---- packets -------------------------------------------------------------------------------------------- */

static void
set_ports(const struct bh_batch *b, uint32_t i, struct packet *p)
{
    if ((b->marks[i] & (BH_MARK_NO_PORTS | BH_MARK_FRAGMENT)) != 0) {
        return;
    }
    unsigned answer;
    p->port[ORIG] = bh_batch_src_port(b, i);
    p->port[RESP] = bh_batch_dst_port(b, i);
    if (p->proto == BH_PROTO_TCP || p->proto == BH_PROTO_UDP) {
        p->ports = PORTS_PORTS;
    } else if (p->proto == BH_PROTO_ICMP || p->proto == BH_PROTO_ICMP6) {
        p->ports = PORTS_CODE;
        if (flow_icmp_counterpart(p->proto == BH_PROTO_ICMP6, p->port[ORIG], &answer)) {
            p->port[RESP] = (uint16_t)answer;
            p->ports = PORTS_PAIR;
        }
    } else {
        p->port[ORIG] = p->port[RESP] = 0;
    }
}

static uint64_t
hash_end(const struct flow_table *t, const struct packet *p, unsigned side)
{
    return bh_mix64(p->addr[side][0] ^ t->cfg.key,
                    p->addr[side][1] ^ (uint64_t)p->port[side] << 40);
}

/* The sum of both ends does not tell who is who. */
static void
look(const struct flow_table *t, const struct bh_batch *b, uint32_t i, struct packet *p)
{
    memset(p, 0, sizeof *p);
    p->family = b->kind[i];
    p->is_flow = (p->family == BH_KIND_IP4 || p->family == BH_KIND_IP6) &&
                 (b->marks[i] & BH_MARK_DUPLICATE) == 0;
    if (!p->is_flow) {
        return;
    }
    if (p->family == BH_KIND_IP6) {
        const struct bh_ip6_pair *pair = &b->ip6[b->src[i]];
        p->addr[ORIG][0] = pair->src_hi;
        p->addr[ORIG][1] = pair->src_lo;
        p->addr[RESP][0] = pair->dst_hi;
        p->addr[RESP][1] = pair->dst_lo;
    } else {
        p->addr[ORIG][1] = b->src[i];
        p->addr[RESP][1] = b->dst[i];
    }
    p->proto = b->proto[i];
    set_ports(b, i, p);
    const uint64_t h = bh_mix64(hash_end(t, p, ORIG) + hash_end(t, p, RESP),
                                t->cfg.key + (uint64_t)p->proto * 8 + p->ports);
    p->hash = (uint32_t)(h ^ h >> 32);
}

/* Is the packet of this flow, and which side sent it? */
static bool
is_of(const struct flow *f, const struct packet *p, unsigned *ret_side)
{
    if (f->hash != p->hash || f->proto != p->proto || f->family != p->family ||
        f->ports != p->ports) {
        return false;
    }
    for (unsigned side = 0; side < 2; side++) {
        if (memcmp(f->addr[side], p->addr[ORIG], sizeof p->addr[0]) == 0 &&
            memcmp(f->addr[side ^ 1], p->addr[RESP], sizeof p->addr[0]) == 0 &&
            f->port[side] == p->port[ORIG] && f->port[side ^ 1] == p->port[RESP]) {
            *ret_side = side;
            return side == ORIG || f->ports != PORTS_CODE;
        }
    }
    return false;
}

static struct flow *
find(struct flow_table *t, const struct packet *p, unsigned *ret_side)
{
    for (uint32_t at = t->head[p->hash & t->head_mask]; at != NONE; at = t->flow[at].next) {
        if (is_of(&t->flow[at], p, ret_side)) {
            return &t->flow[at];
        }
    }
    return NULL;
}

/* Who sends the first packet opens, unless it is an answer: a SYN-ACK, or what lib/track calls one. */
static bool
is_answer(const struct bh_batch *b, uint32_t i)
{
    if (b->proto[i] == BH_PROTO_TCP) {
        return (b->tcp_flags[i] & (BH_TCP_SYN | BH_TCP_ACK | BH_TCP_FIN | BH_TCP_RST)) ==
               (BH_TCP_SYN | BH_TCP_ACK);
    }
    return b->cls[i] == BH_CLASS_UDP_BACKSCATTER || b->cls[i] == BH_CLASS_UDP_ANSWER;
}

static struct flow *
begin(struct flow_table *t, const struct bh_batch *b, uint32_t i, const struct packet *p,
      int64_t ts, unsigned *ret_side)
{
    struct flow *f = take(t);
    const unsigned side = p->ports == PORTS_PORTS && is_answer(b, i) ? RESP : ORIG;
    for (unsigned k = 0; k < 2; k++) {
        memcpy(f->addr[k ^ side], p->addr[k], sizeof p->addr[k]);
        f->port[k ^ side] = p->port[k];
    }
    f->family = p->family;
    f->proto = p->proto;
    f->ports = p->ports;
    f->hash = p->hash;
    f->begin_ns = f->start_ns = f->last_ns = ts;
    f->id = bh_mix64(t->cfg.key ^ t->made++, p->hash ^ (uint64_t)ts);
    if ((b->want & BH_WANT_COLD) != 0) {
        f->vlan = b->vlan[i];
        f->interface = b->interface[i];
    }
    const unsigned d = b->direction[i];
    f->local = (uint8_t)((d == BH_DIR_OUT || d == BH_DIR_LOCAL ? 1U << side : 0) |
                         (d == BH_DIR_IN || d == BH_DIR_LOCAL ? 1U << (side ^ 1) : 0));
    f->next = t->head[p->hash & t->head_mask];
    t->head[p->hash & t->head_mask] = (uint32_t)(f - t->flow);
    f->touched = t->now;
    list_in(t, f, list_of(f));
    *ret_side = side;
    return f;
}

/* It is long; what was so far is a record, the rest another. */
static void
next_part(struct flow_table *t, struct flow *f, int64_t ts)
{
    t->cfg.ended(t->cfg.arg, f, FLOW_ACTIVE);
    memset(f->packets, 0, sizeof f->packets);
    memset(f->bytes, 0, sizeof f->bytes);
    memset(f->payload, 0, sizeof f->payload);
    memset(f->flags, 0, sizeof f->flags);
    f->history_len = 0;
    f->start_ns = f->last_ns = ts;
    f->part++;
}

static void
count(struct flow *f, unsigned side, const struct bh_batch *b, uint32_t i, int64_t ts)
{
    f->packets[side] += b->has_weight ? b->weight[i] : 1;
    f->bytes[side] += b->ip_len[i];
    f->payload[side] += f->ports != PORTS_NONE ? b->payload_len[i] : 0;
    f->last_ns = ts > f->last_ns ? ts : f->last_ns;
    f->start_ns = ts < f->start_ns ? ts : f->start_ns;
    f->begin_ns = ts < f->begin_ns ? ts : f->begin_ns;
    if (f->proto == BH_PROTO_TCP && f->ports == PORTS_PORTS) {
        flow_saw_tcp(f, side, b->tcp_flags[i], b->tcp_seq[i], b->payload_len[i] > 0);
    } else {
        flow_saw_other(f, side, b->payload_len[i] > 0);
    }
    f->sent = (uint8_t)(f->sent | 1U << side);
}

static void
add_row(struct flow_table *t, const struct bh_batch *b, uint32_t i)
{
    const struct packet *p = &t->packet[i];
    const int64_t ts = (b->marks[i] & BH_MARK_BAD_TIME) != 0 ? t->newest_ns : b->ts_ns[i];
    unsigned side = ORIG;
    struct flow *f = find(t, p, &side);
    if (f != NULL && is_idle(t, f)) {
        end(t, f, f->list == LIST_CLOSED ? FLOW_CLOSED : FLOW_IDLE);
        f = NULL;
    } else if (f != NULL && p->proto == BH_PROTO_TCP && p->ports == PORTS_PORTS &&
               flow_is_reused(f, side, b->tcp_flags[i], b->tcp_seq[i])) {
        end(t, f, FLOW_CLOSED);
        f = NULL;
    }
    if (f == NULL) {
        f = begin(t, b, i, p, ts, &side);
    } else if (t->cfg.active_ns != 0 && ts - f->start_ns >= t->cfg.active_ns) {
        next_part(t, f, ts);
    }
    count(f, side, b, i, ts);
    f->touched = t->now;
    list_out(t, f);
    list_in(t, f, list_of(f));
}

/* Packets say how late it is. */
static void
go_on(struct flow_table *t, int64_t ts)
{
    if (!t->any || ts < t->newest_ns - STEP_BACK_NS) {
        t->any = true;
        t->newest_ns = ts;
    } else if (ts > t->newest_ns) {
        t->now += ts - t->newest_ns;
        t->newest_ns = ts;
    }
}

void
flow_table_add(struct flow_table *t, const struct bh_batch *b)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        look(t, b, i, &t->packet[i]);
        BH_PREFETCH_WRITE(&t->head[t->packet[i].hash & t->head_mask]);
    }
    for (uint32_t i = 0; i < b->rows; i++) {
        const struct flow *f = &t->flow[t->head[t->packet[i].hash & t->head_mask]];
        BH_PREFETCH_WRITE(f);
        BH_PREFETCH_WRITE((const char *)f + 64);
        BH_PREFETCH_WRITE((const char *)f + 128);
    }
    for (uint32_t i = 0; i < b->rows; i++) {
        if ((b->marks[i] & BH_MARK_BAD_TIME) == 0) {
            go_on(t, b->ts_ns[i]);
        }
        if (t->packet[i].is_flow) {
            add_row(t, b, i);
        }
    }
}

void
flow_table_pass(struct flow_table *t, int64_t ns)
{
    if (t->any && ns > 0) {
        t->now += ns;
    }
}

void
flow_table_expire(struct flow_table *t, uint32_t most)
{
    for (unsigned list = 0; list < LIST_COUNT; list++) {
        while (most > 0 && t->first[list] != NONE && is_idle(t, &t->flow[t->first[list]])) {
            end(t, &t->flow[t->first[list]], list == LIST_CLOSED ? FLOW_CLOSED : FLOW_IDLE);
            most--;
        }
    }
}

bool
flow_table_end_all(struct flow_table *t, enum flow_end why, uint32_t most)
{
    for (unsigned list = 0; list < LIST_COUNT; list++) {
        for (; most > 0 && t->first[list] != NONE; most--) {
            end(t, &t->flow[t->first[list]], list == LIST_CLOSED ? FLOW_CLOSED : why);
        }
    }
    return t->count == 0;
}
