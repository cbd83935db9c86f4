/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who opened a connection that a collector saw as two flows, one for each direction?
 *
 * Flags do not tell: those of all segments are joined, so that both flows have SYN and ACK. Their
 * times do: of the two flows with a SYN the earlier one is the originator's. All flows of the window
 * are known here before the first of them is handed out. When both have the same time (CSV has
 * seconds), or when there is only one, the one to the lower port is the originator's. A flow of one
 * SYN-ACK is an answer always.
 *
 * A scanner that resets what it opened sends SYNs and RSTs in one flow: of the SYNs there are as many as the
 * other direction has SYN-ACKs, if it has nothing else.
 *
 * Memory: 96 MiB at most, in pages that are touched when flows with a SYN come; four places for a
 * hash, the oldest falls out: then ports decide.
 */
#include "import_priv.h"

#include <stdlib.h>

#define BUCKETS (1U << 20)
#define PLACES 4U
/* A SYN may be sent again for a minute until it is answered. */
#define APART_MS 64000

struct entry {
    uint64_t tag;
    int64_t ms;       /* nfdump's flows have no finer times */
    uint32_t answers; /* of a flow of nothing but SYN-ACKs: how many */
};

struct pairs {
    struct entry *entry;
    uint64_t key;
};

struct pairs *
pairs_new(void)
{
    struct pairs *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p->key = bh_random_key();
    p->entry = bh_pages_new(sizeof *p->entry * BUCKETS * PLACES, false);
    if (p->entry == NULL) {
        free(p);
        return NULL;
    }
    return p;
}

void
pairs_free(struct pairs *p)
{
    if (p != NULL) {
        bh_pages_free(p->entry, sizeof *p->entry * BUCKETS * PLACES);
        free(p);
    }
}

static uint64_t
tag_of(const struct pairs *p, const struct row *r, const struct bh_ip6_pair *v6, bool is_reverse)
{
    uint32_t ports = is_reverse ? r->ports << 16 | r->ports >> 16 : r->ports;
    uint64_t h;
    if (r->kind == BH_KIND_IP6) {
        h = is_reverse ? bh_mix64(bh_mix64(v6->dst_hi ^ p->key, v6->dst_lo),
                                  bh_mix64(v6->src_hi, v6->src_lo))
                       : bh_mix64(bh_mix64(v6->src_hi ^ p->key, v6->src_lo),
                                  bh_mix64(v6->dst_hi, v6->dst_lo));
    } else {
        uint32_t src = is_reverse ? r->dst : r->src, dst = is_reverse ? r->src : r->dst;
        h = bh_mix64(((uint64_t)src << 32 | dst) ^ p->key, 4);
    }
    return bh_mix64(h, (uint64_t)ports << 8 | r->proto) | 1;
}

static int64_t
ms_of(const struct row *r)
{
    return r->ts_ns / 1000000;
}

static bool
opens(const struct row *r)
{
    return r->proto == BH_PROTO_TCP && (r->tcp_flags & BH_TCP_SYN) != 0;
}

/* To the lower port: towards the service. */
static bool
is_to_service(const struct row *r)
{
    return (r->ports & 0xffff) < r->ports >> 16;
}

unsigned
pairs_rank(const struct row *r)
{
    switch (r->proto) {
    case BH_PROTO_TCP:
        return (r->tcp_flags & BH_TCP_SYN) == 0                                         ? 2
               : (r->tcp_flags & BH_TCP_ACK) == 0 && (r->marks & BH_MARK_NO_FLAGS) == 0 ? 0
                                                                                        : 1;
    case BH_PROTO_UDP:
        return is_to_service(r) ? 0 : 2;
    case BH_PROTO_ICMP:
        return r->ports >> 16 == 8 ? 0 : 2;
    case BH_PROTO_ICMP6:
        return r->ports >> 16 == 128 ? 0 : 2;
    default:
        return 0;
    }
}

void
pairs_note(struct pairs *p, const struct item *x)
{
    if (!opens(&x->row)) {
        return;
    }
    uint64_t tag = tag_of(p, &x->row, &x->pair, false);
    struct entry *e = &p->entry[(tag >> 20) % BUCKETS * PLACES];
    memmove(e + 1, e, (PLACES - 1) * sizeof *e);
    const unsigned flags =
        x->row.tcp_flags & (BH_TCP_SYN | BH_TCP_ACK | BH_TCP_RST | BH_TCP_PSH | BH_TCP_FIN);
    const uint64_t packets = x->side.flow.packets < UINT32_MAX ? x->side.flow.packets : UINT32_MAX;
    e[0] = (struct entry){ tag, ms_of(&x->row),
                           flags == (BH_TCP_SYN | BH_TCP_ACK) ? (uint32_t)packets : 0 };
}

/* Of the other direction the flow nearest in time; NULL: none. */
static const struct entry *
find_other(const struct pairs *p, const struct row *r, const struct bh_ip6_pair *v6)
{
    uint64_t tag = tag_of(p, r, v6, true);
    const struct entry *e = &p->entry[(tag >> 20) % BUCKETS * PLACES];
    const struct entry *found = NULL;
    const int64_t ms = ms_of(r);
    int64_t best = APART_MS + 1;
    for (unsigned i = 0; i < PLACES; i++) {
        int64_t apart = e[i].ms < ms ? ms - e[i].ms : e[i].ms - ms;
        if (e[i].tag == tag && apart < best) {
            best = apart;
            found = &e[i];
        }
    }
    return found;
}

/* What is no header, in all; of a push at least something. */
static uint64_t
payload_of(const struct item *x, unsigned headers)
{
    uint64_t n = x->side.flow.packets;
    uint64_t least = n > UINT64_MAX / 64 ? UINT64_MAX : n * headers;
    return x->side.flow.bytes > least ? x->side.flow.bytes - least : 0;
}

/* The parts of a TCP flow. `rest`: those that come after the answer of the other side. */
static void
unroll_tcp(const struct item *x, bool is_answer, uint64_t answers, struct made *ret_now,
           struct made *ret_rest)
{
    const uint64_t n = x->side.flow.packets;
    const unsigned flags = x->row.tcp_flags;
    struct flow f = { .orig = { n, x->side.flow.bytes, 0 }, .resp = { 0 } };
    struct made all = { 0 };
    if ((x->row.marks & BH_MARK_NO_FLAGS) != 0) {
        /* An access is the connection, not its packets. */
        struct item like = *x;
        if (is_answer) {
            flow_add(ret_now, &like, BH_TCP_ACK, n, f.orig.bytes);
            return;
        }
        f.syns = 1;
        f.orig_rest = BH_TCP_ACK;
        flow_tcp(&all, x, &f);
    } else if (!opens(&x->row) || n == 1) {
        flow_add(ret_now, x, (uint8_t)flags, n, f.orig.bytes);
        return;
    } else if (is_answer) {
        struct item like = *x;
        f = (struct flow){
            .resp = f.orig, .answer = BH_TCP_SYN | BH_TCP_ACK, .answers = 1, .resp_rest = BH_TCP_ACK
        };
        f.resp.payload = (flags & BH_TCP_PSH) != 0 ? payload_of(x, 40) | 1 : 0;
        if ((flags & ~(unsigned)(BH_TCP_ECE | BH_TCP_CWR)) == (BH_TCP_SYN | BH_TCP_ACK)) {
            f.answers = UINT64_MAX; /* sent again: nothing else was there */
        }
        flow_reverse(&like); /* flow_tcp() turns it round again */
        flow_tcp(ret_now, &like, &f);
        return;
    } else {
        bool has_payload = (flags & BH_TCP_PSH) != 0;
        bool has_end = (flags & (BH_TCP_RST | BH_TCP_FIN)) != 0;
        bool has_ack = (flags & BH_TCP_ACK) != 0;
        f.orig.payload = has_payload ? payload_of(x, 40) | 1 : 0;
        f.syns = has_ack ? 1 : !has_end ? n : answers == 0 ? 1 : answers < n ? answers : n - 1;
        f.orig_rest = (flags & BH_TCP_RST) != 0 && !has_payload
                          ? (uint8_t)(BH_TCP_RST | (has_ack ? BH_TCP_ACK : 0))
                      : has_ack ? BH_TCP_ACK
                                : BH_TCP_FIN;
        flow_tcp(&all, x, &f);
    }
    for (uint32_t i = 0; i < all.count; i++) {
        struct made *to = (all.item[i].row.tcp_flags & (BH_TCP_SYN | BH_TCP_ACK)) == BH_TCP_SYN
                              ? ret_now
                              : ret_rest;
        to->item[to->count++] = all.item[i];
    }
}

/* A conversation is idle after a minute (lib/track), which one that lasts must not seem to be. */
#define PIECE_MS 50000U

/* Datagrams are spread over the time that the flow lasted, in a few pieces. */
static void
unroll_datagrams(const struct item *x, struct made *ret_now, struct made *ret_rest)
{
    const uint64_t n = x->side.flow.packets, bytes = x->side.flow.bytes;
    const uint64_t span_ms = x->row.ip_len; /* of rows of flows: see nfdump.c */
    uint64_t pieces = x->row.proto == BH_PROTO_UDP ? span_ms / PIECE_MS + (span_ms > 0) + 1 : 1;
    pieces = pieces > n ? n : pieces;
    pieces = pieces > MADE_MAX / 2 ? MADE_MAX / 2 : pieces;
    struct item piece = *x;
    piece.row.payload_len =
        (uint16_t)(payload_of(x, 28) / n > UINT16_MAX ? UINT16_MAX : payload_of(x, 28) / n);
    for (uint64_t i = 0; i < pieces; i++) {
        /* Of the parts before and up to this one the difference: the sum is exact. */
        uint64_t packets = n / pieces + (i < n % pieces),
                 octets = bytes / pieces + (i < bytes % pieces);
        piece.row.ts_ns =
            x->row.ts_ns + (pieces == 1 ? 0 : (int64_t)(span_ms * i / (pieces - 1)) * 1000000);
        flow_add(i == 0 ? ret_now : ret_rest, &piece, 0, packets, octets);
    }
}

bool
pairs_unroll(const struct pairs *p, const struct item *x, struct made *ret_now,
             struct made *ret_rest)
{
    const struct row *r = &x->row;
    ret_now->count = ret_rest->count = 0;
    if (r->proto != BH_PROTO_TCP) {
        unroll_datagrams(x, ret_now, ret_rest);
        return true;
    }
    const struct entry *other = opens(r) ? find_other(p, r, &x->pair) : NULL;
    const bool is_same_time = other != NULL && other->ms == ms_of(r);
    const bool has_flags = (r->marks & BH_MARK_NO_FLAGS) == 0;
    const bool is_sure = (r->tcp_flags & BH_TCP_ACK) == 0 && has_flags;
    const bool is_answer = is_sure                                  ? false
                           : x->side.flow.packets == 1 && has_flags ? true
                           : other != NULL && !is_same_time         ? other->ms < ms_of(r)
                                                                    : !is_to_service(r);
    if (opens(r) && is_answer && is_same_time && (r->bits & ROW_LATE_ANSWER) == 0) {
        return false;
    }
    unroll_tcp(x, is_answer, other != NULL ? other->answers : 0, ret_now, ret_rest);
    for (uint32_t i = 0; i < ret_rest->count && other != NULL && other->ms > ms_of(r); i++) {
        ret_rest->item[i].row.ts_ns = other->ms * 1000000;
    }
    return true;
}
