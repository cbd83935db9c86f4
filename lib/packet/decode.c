/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames to rows, twice.
 *
 * The short way knows two shapes by heart, which are nearly all of what a sensor sees: Ethernet
 * with IPv4 of 20 octets, not fragmented, and Ethernet with IPv6 without extension headers, each
 * with TCP, UDP or ICMP that is whole and does not contradict itself. It loads at fixed offsets,
 * writes the columns, and never branches on what is only rarely the case: anything unusual makes
 * one test fail, and the frame goes the general way (walk.c), which knows every header and says
 * what is wrong. Both ways give the same row where the short one applies; the unit test compares
 * them.
 *
 * What it costs: docs/design/decoding.md.
 */
#include "walk_priv.h"

enum { ETHERNET = 1, ETHER_LEN = 14, IP4_LEN = 20, IP6_LEN = 40 };

/* What the short way needs to know of a protocol, in one place: what a protocol does not have is
 * masked away rather than branched around, as a branch on the protocol is mispredicted for every
 * fourth packet. Masks are all ones or zero. */
struct shape {
    uint32_t tcp, udp, icmp; /* masks                                                   */
    uint16_t layer;
    uint16_t odd_first;  /* row of odd[] for the upper half of the first word ...   */
    uint16_t odd_second; /* ... and for its lower half                              */
    uint8_t shift;       /* what of the upper half: all of it, or ICMP's type       */
    uint8_t need;        /* octets of the fixed header; 0: not for the short way    */
};

enum { ODD_NEVER = 0, ODD_UDP = 1024, ODD_ICMP = 2048, ODD_ICMP6 = 2048 + 256, ODD_ROWS = 3072 };

static const struct shape shapes[256] = {
    [BH_PROTO_TCP] = { UINT32_MAX, 0, 0, BH_LAYER_TCP, ODD_NEVER, ODD_NEVER, 16, 20 },
    [BH_PROTO_UDP] = { 0, UINT32_MAX, 0, BH_LAYER_UDP, ODD_UDP, ODD_UDP, 16, 8 },
    [BH_PROTO_ICMP] = { 0, 0, UINT32_MAX, BH_LAYER_ICMP, ODD_ICMP, ODD_NEVER, 24, 8 },
    [BH_PROTO_ICMP6] = { 0, 0, UINT32_MAX, BH_LAYER_ICMP6, ODD_ICMP6, ODD_NEVER, 24, 8 },
};

/* 1: not for the short way. UDP ports behind which a tunnel may lie, by their low ten bits (a
 * false hit costs time only; the list is that of bh_udp_tunnel(), and a unit test holds the two
 * together), and types of ICMP and ICMPv6 that quote a packet. */
#define U(port) [ODD_UDP + ((port)&1023)] = 1
#define I(type) [ODD_ICMP + (type)] = 1
#define I6(type) [ODD_ICMP6 + (type)] = 1
static const uint8_t odd[ODD_ROWS] = {
    U(1701), U(2152), U(3544), U(4754), U(4789), U(4790), U(5247), U(6081), U(6633), U(6635),
    U(8472), I(3),    I(4),    I(5),    I(11),   I(12),   I6(1),   I6(2),   I6(3),   I6(4),
};
#undef U
#undef I
#undef I6

/* Stored shorter than it was sent. */
static BH_ALWAYS_INLINE uint32_t
is_cut(const struct bh_frame *f)
{
    return (uint32_t)(f->cap_len < f->wire_len) * BH_LAYER_CUT;
}

struct transport {
    uint32_t ports, seq;
    uint16_t payload, layers;
    uint8_t flags;
};

/* The transport header at `p`, of which `cap` octets are there and `len` should be; false when
 * the general way must look at it. */
static BH_ALWAYS_INLINE bool
fast_transport(const uint8_t *p, uint32_t cap, uint32_t len, uint32_t proto, struct transport *ret)
{
    const struct shape *s = &shapes[proto];
    uint32_t need = s->need;
    if (BH_UNLIKELY((need == 0) | (cap < need) | (len < need))) {
        return false;
    }
    uint32_t tcp = s->tcp;
    uint32_t icmp = s->icmp;
    uint32_t ports = bh_get_be32(p);
    uint32_t second = bh_get_be32(p + 4); /* TCP: sequence number; UDP: length and checksum */
    uint32_t offset_flags = bh_get_be16(p + (tcp & 12)) & tcp;
    uint32_t header = (offset_flags >> 12 << 2) + (~tcp & 8);
    uint32_t flags = offset_flags & 0xff;
    uint32_t strange = odd[s->odd_first + (ports >> s->shift & 1023)] |
                       odd[s->odd_second + (ports & 1023)] | (((second >> 16) ^ len) & s->udp);
    if (BH_UNLIKELY((strange != 0) | (header - need > len - need))) {
        return false;
    }
    uint32_t syn_only = (flags & (BH_TCP_SYN | BH_TCP_ACK | BH_TCP_RST | BH_TCP_FIN)) == BH_TCP_SYN;
    uint32_t type_code = (ports >> 8 & 0xff0000) | (ports >> 16 & 0xff);
    ret->ports = ports ^ ((ports ^ type_code) & icmp);
    ret->seq = second & tcp;
    ret->payload = (uint16_t)(len - header); /* below 65536, as `len` is */
    ret->flags = (uint8_t)flags;
    ret->layers = (uint16_t)(s->layer | syn_only * BH_LAYER_SYN_ONLY);
    return true;
}

static BH_ALWAYS_INLINE void
put_cold_frame(struct bh_batch *restrict b, uint32_t row, const struct bh_frame *f,
               const uint8_t *p)
{
    b->interface[row] = f->interface;
    b->wire_len[row] = f->wire_len;
    b->vlan[row] = 0;
    b->ethertype[row] = bh_get_be16(p + 12);
    b->src_mac[row] = (uint64_t)bh_get_be16(p + 6) << 32 | bh_get_be32(p + 8);
    b->tunnel_sender[row] = 0;
    b->tunnel_vni[row] = 0;
}

static BH_ALWAYS_INLINE void
put_cold_tcp(struct bh_batch *restrict b, uint32_t row, const uint8_t *p, uint32_t cap,
             uint32_t proto)
{
    b->tcp_window[row] = 0;
    b->tcp_options[row] = 0;
    if (proto == BH_PROTO_TCP) {
        uint32_t header = (uint32_t)p[12] >> 4 << 2;
        uint32_t there = header < cap ? header : cap;
        b->tcp_window[row] = bh_get_be16(p + 14);
        b->tcp_options[row] = bh_tcp_options_signature(p + 20, there - 20);
    }
}

static BH_ALWAYS_INLINE bool
fast_ip4(struct bh_batch *restrict b, uint32_t row, const struct bh_frame *f, bool cold)
{
    const uint8_t *p = f->data;
    uint32_t cap = f->cap_len;
    uint32_t total = bh_get_be16(p + 16);
    uint32_t proto = p[23];
    struct transport t;
    /* any fragment, or the reserved bit beside DF, is unusual */
    if (BH_UNLIKELY((p[14] != 0x45) | ((bh_get_be16(p + 20) & 0xbfff) != 0) | (total < IP4_LEN) |
                    (proto == BH_PROTO_ICMP6))) {
        return false;
    }
    if (BH_UNLIKELY(!fast_transport(p + 34, cap - 34, total - IP4_LEN, proto, &t))) {
        return false;
    }
    b->ts_ns[row] = f->ts_ns;
    b->src[row] = bh_get_be32(p + 26);
    b->dst[row] = bh_get_be32(p + 30);
    b->ports[row] = t.ports;
    b->tcp_seq[row] = t.seq;
    b->ip_len[row] = total;
    b->payload_len[row] = t.payload;
    b->layers[row] = (uint16_t)(t.layers | BH_LAYER_IPV4 | is_cut(f));
    b->proto[row] = (uint8_t)proto;
    b->tcp_flags[row] = t.flags;
    if (cold) {
        put_cold_frame(b, row, f, p);
        b->ttl[row] = p[22];
        b->df[row] = p[20] >> 6 & 1;
        b->ip_id[row] = bh_get_be16(p + 18);
        put_cold_tcp(b, row, p + 34, cap - 34, proto);
    }
    return true;
}

static BH_ALWAYS_INLINE bool
fast_ip6(struct bh_batch *restrict b, uint32_t row, uint32_t v6_row, const struct bh_frame *f,
         bool cold)
{
    const uint8_t *p = f->data;
    uint32_t cap = f->cap_len;
    uint32_t len = bh_get_be16(p + 18);
    uint32_t proto = p[20];
    struct transport t;
    if (BH_UNLIKELY(cap < ETHER_LEN + IP6_LEN + 8 || p[14] >> 4 != 6 || proto == BH_PROTO_ICMP)) {
        return false;
    }
    if (BH_UNLIKELY(!fast_transport(p + 54, cap - 54, len, proto, &t))) {
        return false;
    }
    b->ip6[v6_row] = (struct bh_ip6_pair){ .src_hi = bh_get_be64(p + 22),
                                           .src_lo = bh_get_be64(p + 30),
                                           .dst_hi = bh_get_be64(p + 38),
                                           .dst_lo = bh_get_be64(p + 46) };
    b->ts_ns[row] = f->ts_ns;
    b->src[row] = v6_row;
    b->dst[row] = v6_row;
    b->ports[row] = t.ports;
    b->tcp_seq[row] = t.seq;
    b->ip_len[row] = len + IP6_LEN;
    b->payload_len[row] = t.payload;
    b->layers[row] = (uint16_t)(t.layers | BH_LAYER_IPV6 | is_cut(f));
    b->kind[row] = BH_KIND_IP6;
    b->proto[row] = (uint8_t)proto;
    b->tcp_flags[row] = t.flags;
    if (cold) {
        put_cold_frame(b, row, f, p);
        b->ttl[row] = p[21];
        b->df[row] = 0;
        b->ip_id[row] = 0;
        put_cold_tcp(b, row, p + 54, cap - 54, proto);
    }
    return true;
}

/* The row is whole already but for what lies beside the columns. */
static void
put_seen(struct bh_batch *b, uint32_t row, const struct bh_walk *w)
{
    uint32_t cursor = b->seen_rows;
    struct bh_seen plain = bh_batch_seen(b, row, &cursor);
    const struct bh_seen *s = &w->seen;
    bool same = plain.port_proto == s->port_proto && plain.port == s->port &&
                plain.has_src4 == s->has_src4 && plain.has_src6 == s->has_src6 &&
                plain.src4 == s->src4 && plain.src6_hi == s->src6_hi && plain.src6_lo == s->src6_lo;
    if (!same) {
        b->layers[row] |= BH_LAYER_SEEN;
        b->seen[b->seen_rows] = *s;
        b->seen[b->seen_rows++].row = (uint16_t)row;
    }
}

static void
put_row(struct bh_batch *b, uint32_t row, const struct bh_walk *w, bool cold)
{
    const struct bh_row *r = &w->row;
    const struct bh_frame *f = w->f;
    b->ts_ns[row] = f->ts_ns;
    b->src[row] = r->src;
    b->dst[row] = r->dst;
    if (r->kind == BH_KIND_IP6) {
        b->ip6[b->v6_rows] = r->ip6;
        b->src[row] = b->dst[row] = b->v6_rows++;
    }
    b->ports[row] = r->ports;
    b->tcp_seq[row] = r->tcp_seq;
    b->ip_len[row] = r->ip_len;
    b->payload_len[row] = r->payload_len;
    b->layers[row] = (uint16_t)(w->layers | is_cut(f));
    b->kind[row] = r->kind;
    b->proto[row] = r->proto;
    b->tcp_flags[row] = r->tcp_flags;
    b->marks[row] =
        (uint8_t)(r->marks | ((f->flags & BH_FRAME_BAD_TIME) != 0 ? BH_MARK_BAD_TIME : 0));
    b->reason[row] = r->reason;
    if (cold) {
        b->ttl[row] = r->ttl;
        b->df[row] = r->df;
        b->ip_id[row] = r->ip_id;
        b->tcp_window[row] = r->tcp_window;
        b->tcp_options[row] = r->tcp_options;
        b->vlan[row] = w->vlan;
        b->ethertype[row] = w->ethertype;
        b->interface[row] = f->interface;
        b->src_mac[row] = w->src_mac;
        b->wire_len[row] = f->wire_len;
        b->tunnel_sender[row] = w->tunnel_sender;
        b->tunnel_vni[row] = w->tunnel_vni;
    }
    put_seen(b, row, w);
    if (w->has_fragment) {
        b->fragments[b->fragment_rows] = w->fragment;
        b->fragments[b->fragment_rows++].row = (uint16_t)row;
    }
    if (w->has_quote) {
        b->quotes[b->quote_rows] = w->quote;
        b->quotes[b->quote_rows++].row = (uint16_t)row;
    }
}

static BH_NOINLINE void
decode_general(const struct bh_decoder *d, const struct bh_frame *f, struct bh_batch *b,
               uint32_t row)
{
    struct bh_walk w = { .d = d, .f = f };
    bh_link_fn *link = bh_link_find(f->link_type);
    if (link == NULL) {
        bh_walk_fail(&w, BH_REASON_LINK_UNKNOWN);
    } else {
        link(&w, bh_cur_over(f->data, f->cap_len));
    }
    put_row(b, row, &w, (d->want & BH_WANT_COLD) != 0);
}

static BH_ALWAYS_INLINE uint32_t
decode_frames(const struct bh_decoder *d, const struct bh_frames *frames, uint32_t *at,
              struct bh_batch *restrict b, bool cold)
{
    uint32_t row = b->rows;
    uint32_t v6_row = b->v6_rows;
    uint32_t room = BH_BATCH_ROWS - row;
    uint32_t left = frames->count - *at;
    const struct bh_frame *f = frames->frame + *at;
    uint32_t count = left < room ? left : room;
    const struct bh_frame *end = f + count;
    /* What is nearly always the same is written at once. */
    memset(b->kind + row, BH_KIND_IP4, count);
    memset(b->marks + row, 0, count);
    memset(b->reason + row, BH_REASON_NONE, count);
    for (; f != end; f++, row++) {
        uint32_t unusual = (f->link_type ^ ETHERNET) | (f->flags & BH_FRAME_BAD_TIME);
        if (BH_LIKELY(unusual == 0 && f->cap_len >= ETHER_LEN + IP4_LEN + 8)) {
            uint32_t type = bh_get_be16(f->data + 12);
            if (BH_LIKELY(type == 0x0800)) {
                if (BH_LIKELY(fast_ip4(b, row, f, cold))) {
                    continue;
                }
            } else if (type == 0x86dd && fast_ip6(b, row, v6_row, f, cold)) {
                v6_row++;
                continue;
            }
        }
        /* Quotes do not overflow: the caller is asked for a fresh batch instead. */
        if (b->quote_rows == BH_BATCH_QUOTES) {
            break;
        }
        b->v6_rows = v6_row;
        decode_general(d, f, b, row);
        v6_row = b->v6_rows;
    }
    uint32_t added = row - b->rows;
    *at = (uint32_t)(f - frames->frame);
    b->rows = row;
    b->v6_rows = v6_row;
    b->want = d->want;
    return added;
}

static BH_NOINLINE uint32_t
decode_hot(const struct bh_decoder *d, const struct bh_frames *f, uint32_t *at, struct bh_batch *b)
{
    return decode_frames(d, f, at, b, false);
}

static BH_NOINLINE uint32_t
decode_cold(const struct bh_decoder *d, const struct bh_frames *f, uint32_t *at, struct bh_batch *b)
{
    return decode_frames(d, f, at, b, true);
}

uint32_t
bh_packet_decode(const struct bh_decoder *d, const struct bh_frames *f, uint32_t *at,
                 struct bh_batch *b)
{
    return (d->want & BH_WANT_COLD) != 0 ? decode_cold(d, f, at, b) : decode_hot(d, f, at, b);
}
