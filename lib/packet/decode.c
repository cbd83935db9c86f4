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

enum { ETHERNET = 1, ETHER_LEN = 14, IP4_LEN = 20, IP6_LEN = 40, PORTS_LEN = 8 };

/* 1: UDP ports behind which a tunnel may lie, by their low ten bits: not for the short way. A false
 * hit costs time only. The list is that of bh_udp_tunnel(), and a unit test holds the two together. */
#define U(port) [(port)&1023] = 1
static const uint8_t tunnel_port[1024] = {
    U(1701), U(2152), U(3544), U(4754), U(4789), U(4790),
    U(5247), U(6081), U(6633), U(6635), U(8472),
};
#undef U

/* Protocols with ports. A table, as two comparisons become a branch between them. */
enum { HAS_PORTS = 1, IS_TCP = 2 };
static const uint8_t port_kind[256] = {
    [BH_PROTO_TCP] = HAS_PORTS | IS_TCP, [BH_PROTO_UDP] = HAS_PORTS
};

/* Types that quote a packet: not for the short way either. */
static BH_ALWAYS_INLINE bool
is_error(uint32_t proto, uint32_t type)
{
    return proto == BH_PROTO_ICMP ? (type >= 3 && type <= 5) || type == 11 || type == 12
                                  : type >= 1 && type <= 4;
}

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

/* TCP or UDP at `p`, of which `cap` octets are there and `len` should be; false when the general way
 * must look at it. What UDP lacks is masked away rather than branched around, as a branch between the
 * two is mispredicted for every fourth packet. */
static BH_ALWAYS_INLINE bool
fast_ports(const uint8_t *p, uint32_t cap, uint32_t len, uint32_t kind, struct transport *ret)
{
    /* octets a TCP header has beyond those of UDP */
    const uint32_t tcp = 0U - kind / IS_TCP, more = tcp & 12;
    const uint32_t room = len - PORTS_LEN - more;
    /* One test for both: either below its least is a number whose sign is set. */
    if (BH_UNLIKELY((int32_t)(room | (cap - PORTS_LEN - more)) < 0)) {
        return false;
    }
    const uint32_t ports = bh_get_be32(p);
    const uint32_t second = bh_get_be32(p + 4); /* TCP: sequence number; UDP: length and checksum */
    const uint32_t offset_flags = bh_get_be16(p + more) & tcp;
    /* far too many: less than none */
    const uint32_t options = ((offset_flags >> 12 << 2) - PORTS_LEN - more) & tcp;
    const uint32_t tunnel = tunnel_port[ports >> 16 & 1023] | tunnel_port[ports & 1023];
    const uint32_t strange =
        ((tunnel | ((second >> 16) ^ len)) & ~tcp) | (uint32_t)(options > room);
    if (BH_UNLIKELY(strange != 0)) {
        return false;
    }
    const uint32_t flags = offset_flags & 0xff;
    const uint32_t syn_only =
        (flags & (BH_TCP_SYN | BH_TCP_ACK | BH_TCP_RST | BH_TCP_FIN)) == BH_TCP_SYN;
    _Static_assert(BH_LAYER_UDP - BH_LAYER_TCP == BH_LAYER_TCP,
                   "one is made of the other by a mask");
    ret->ports = ports;
    ret->seq = second & tcp;
    ret->payload = (uint16_t)(room - options); /* below 65536, as `len` is */
    ret->flags = (uint8_t)flags;
    ret->layers = (uint16_t)((BH_LAYER_UDP - (tcp & BH_LAYER_TCP)) | syn_only * BH_LAYER_SYN_ONLY);
    return true;
}

static BH_ALWAYS_INLINE bool
fast_icmp(const uint8_t *p, uint32_t cap, uint32_t len, uint32_t proto, struct transport *ret)
{
    if (cap < 8 || (int32_t)len < 8 || is_error(proto, p[0])) {
        return false;
    }
    *ret =
        (struct transport){ .ports = (uint32_t)p[0] << 16 | p[1], .payload = (uint16_t)(len - 8) };
    ret->layers = proto == BH_PROTO_ICMP ? BH_LAYER_ICMP : BH_LAYER_ICMP6;
    return true;
}

static BH_ALWAYS_INLINE bool
fast_transport(const uint8_t *p, uint32_t cap, uint32_t len, uint32_t proto, uint32_t icmp,
               struct transport *ret)
{
    const uint32_t kind = port_kind[proto];
    if (BH_LIKELY(kind != 0)) {
        return fast_ports(p, cap, len, kind, ret);
    }
    return proto == icmp && fast_icmp(p, cap, len, proto, ret);
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
    /* Any fragment, or the reserved bit beside DF, is unusual. A total length below that of the header
     * makes a length below zero, which no transport header fits in. */
    if (BH_UNLIKELY((bh_get_be16(p + 20) & 0xbfff) != 0) ||
        !fast_transport(p + 34, cap - 34, total - IP4_LEN, proto, BH_PROTO_ICMP, &t)) {
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
    if (BH_UNLIKELY(cap < ETHER_LEN + IP6_LEN + PORTS_LEN) ||
        !fast_transport(p + 54, cap - 54, len, proto, BH_PROTO_ICMP6, &t)) {
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
              uint32_t most, struct bh_batch *restrict b, bool cold)
{
    uint32_t row = b->rows;
    uint32_t v6_row = b->v6_rows;
    uint32_t room = BH_BATCH_ROWS - row < most ? BH_BATCH_ROWS - row : most;
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
        if (BH_LIKELY(unusual == 0 && f->cap_len >= ETHER_LEN + IP4_LEN + PORTS_LEN)) {
            /* The type, then version and header length of IPv4, or the version of IPv6. */
            uint32_t begin = bh_get_be32(f->data + 12) >> 8;
            if (BH_LIKELY(begin == 0x080045)) {
                if (BH_LIKELY(fast_ip4(b, row, f, cold))) {
                    continue;
                }
            } else if (begin >> 4 == 0x86dd6 && fast_ip6(b, row, v6_row, f, cold)) {
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
decode_hot(const struct bh_decoder *d, const struct bh_frames *f, uint32_t *at, uint32_t most,
           struct bh_batch *b)
{
    return decode_frames(d, f, at, most, b, false);
}

static BH_NOINLINE uint32_t
decode_cold(const struct bh_decoder *d, const struct bh_frames *f, uint32_t *at, uint32_t most,
            struct bh_batch *b)
{
    return decode_frames(d, f, at, most, b, true);
}

/* The addresses of an Ethernet frame, as bh_packet_decode() would find them: of an IP header that is
 * whole and with which nothing is wrong, and whose packet is no error that quotes another. */
static BH_ALWAYS_INLINE bool
peek_frame(const struct bh_frame *f, struct bh_batch *restrict b, uint32_t row, uint32_t *v6_row)
{
    const uint8_t *p = f->data;
    const uint32_t begin = bh_get_be32(p + 12) >> 8;
    if (BH_LIKELY(begin == 0x080045)) {
        if (BH_UNLIKELY(bh_get_be16(p + 16) < IP4_LEN ||
                        (p[23] == BH_PROTO_ICMP && is_error(BH_PROTO_ICMP, p[34])))) {
            return false;
        }
        b->kind[row] = BH_KIND_IP4;
        b->src[row] = bh_get_be32(p + 26);
        b->dst[row] = bh_get_be32(p + 30);
        return true;
    }
    if (begin >> 4 != 0x86dd6 || f->cap_len < ETHER_LEN + IP6_LEN + PORTS_LEN ||
        (port_kind[p[20]] == 0 && (p[20] != BH_PROTO_ICMP6 || is_error(BH_PROTO_ICMP6, p[54])))) {
        return false;
    }
    b->kind[row] = BH_KIND_IP6;
    b->src[row] = b->dst[row] = *v6_row;
    b->ip6[(*v6_row)++] = (struct bh_ip6_pair){ .src_hi = bh_get_be64(p + 22),
                                                .src_lo = bh_get_be64(p + 30),
                                                .dst_hi = bh_get_be64(p + 38),
                                                .dst_lo = bh_get_be64(p + 46) };
    return true;
}

uint32_t
bh_packet_peek(const struct bh_decoder *d, const struct bh_frames *frames, uint32_t *at,
               struct bh_batch *b)
{
    const uint32_t decap = d->decap_count > 0, left = frames->count - *at,
                   room = BH_BATCH_ROWS - b->rows;
    const struct bh_frame *f = frames->frame + *at, *const end = f + (left < room ? left : room);
    uint32_t row = b->rows, v6_row = b->v6_rows;
    for (; f != end; f++, row++) {
        const uint32_t unusual = (f->link_type ^ ETHERNET) | (f->flags & BH_FRAME_BAD_TIME) | decap;
        if (BH_LIKELY(unusual == 0 && f->cap_len >= ETHER_LEN + IP4_LEN + PORTS_LEN) &&
            peek_frame(f, b, row, &v6_row)) {
            b->ts_ns[row] = f->ts_ns;
            b->marks[row] = 0;
            continue;
        }
        if (b->quote_rows == BH_BATCH_QUOTES) {
            break;
        }
        b->v6_rows = v6_row;
        decode_general(d, f, b, row);
        v6_row = b->v6_rows;
    }
    const uint32_t added = row - b->rows;
    *at = (uint32_t)(f - frames->frame);
    b->rows = row;
    b->v6_rows = v6_row;
    return added;
}

uint32_t
bh_packet_decode_some(const struct bh_decoder *d, const struct bh_frames *f, uint32_t *at,
                      uint32_t most, struct bh_batch *b)
{
    return (d->want & BH_WANT_COLD) != 0 ? decode_cold(d, f, at, most, b)
                                         : decode_hot(d, f, at, most, b);
}

uint32_t
bh_packet_decode(const struct bh_decoder *d, const struct bh_frames *f, uint32_t *at,
                 struct bh_batch *b)
{
    return bh_packet_decode_some(d, f, at, BH_BATCH_ROWS, b);
}
