/* SPDX-License-Identifier: BSD-2-Clause */
/* What all headers of the general way share, and the two tables that lead from one to the next. */
#include "walk_priv.h"

bool
bh_walk_deeper(struct bh_walk *w)
{
    if (w->depth == BH_WALK_DEPTH) {
        /* said on the row even when the outer record is sound: such a frame is no accident */
        if (w->row.reason == BH_REASON_NONE) {
            w->row.reason = BH_REASON_DEPTH;
        }
        return false;
    }
    w->depth++;
    return true;
}

void
bh_walk_cut(struct bh_walk *w)
{
    if (w->has_record) {
        return;
    }
    if (w->f->cap_len < w->f->wire_len) {
        w->row.marks |= BH_MARK_TRUNCATED | BH_MARK_NO_PORTS;
    } else {
        bh_walk_fail(w, BH_REASON_LINK_SHORT);
    }
}

void
bh_walk_fail(struct bh_walk *w, enum bh_reason reason)
{
    if (w->has_record || w->row.reason != BH_REASON_NONE) {
        return;
    }
    w->row.reason = (uint8_t)reason;
    w->row.marks |= BH_MARK_NO_PORTS;
    if (reason != BH_REASON_NOT_IP && reason != BH_REASON_LINK_UNKNOWN) {
        w->row.marks |= BH_MARK_MALFORMED;
    }
}

void
bh_walk_record(struct bh_walk *w, const struct bh_row *row)
{
    if (w->has_record && !w->want_inner) {
        return;
    }
    w->row = *row;
    if (w->want_inner) {
        w->row.marks |= BH_MARK_DECAP;
    }
    w->has_record = true;
    w->want_inner = false;
}

void
bh_walk_saw_src4(struct bh_walk *w, uint32_t src)
{
    if (!w->seen.has_src4) {
        w->seen.has_src4 = true;
        w->seen.src4 = src;
    }
}

void
bh_walk_saw_src6(struct bh_walk *w, uint64_t hi, uint64_t lo)
{
    if (!w->seen.has_src6) {
        w->seen.has_src6 = true;
        w->seen.src6_hi = hi;
        w->seen.src6_lo = lo;
    }
}

/* The first TCP port wins; before it the first UDP port. */
void
bh_walk_saw_port(struct bh_walk *w, uint8_t proto, uint16_t port)
{
    if (w->seen.port_proto == 0 || (w->seen.port_proto == BH_PROTO_UDP && proto == BH_PROTO_TCP)) {
        w->seen.port_proto = proto;
        w->seen.port = port;
    }
}

/* tshark, whose counts `layers` is compared with, sees none in an IPv4 packet that ends with its
 * header, but one in such an IPv6 packet. */
void
bh_walk_saw_transport(struct bh_walk *w, const struct bh_inner *in, unsigned layer)
{
    if (in->wire_len > 0 || in->row->kind == BH_KIND_IP6) {
        w->layers |= (uint16_t)layer;
    }
}

bool
bh_walk_fragment_begin(struct bh_walk *w, const struct bh_row *row, uint32_t id, uint32_t offset,
                       const struct bh_cur *c, bool more)
{
    enum { FLAGS_AT = 13 };
    uint32_t len = (uint32_t)bh_cur_left(c);
    if (w->has_fragment) {
        return false; /* of fragments in fragments the outermost is followed */
    }
    uint64_t key = row->kind == BH_KIND_IP4 ? (uint64_t)row->src << 32 | row->dst
                                            : bh_mix64(bh_mix64(row->ip6.src_hi, row->ip6.src_lo),
                                                       bh_mix64(row->ip6.dst_hi, row->ip6.dst_lo));
    w->has_fragment = true;
    w->fragment = (struct bh_fragment){ .layers = w->layers, /* until the end: those before */
                                        .port_proto = w->seen.port_proto,
                                        .more = more,
                                        .offset = offset,
                                        .len = len,
                                        .key = bh_mix64(key, (uint64_t)row->kind << 32 | id) };
    if (row->proto == BH_PROTO_TCP && offset <= FLAGS_AT && offset + len > FLAGS_AT) {
        w->fragment.has_flags = true;
        w->fragment.tcp_flags = c->at[FLAGS_AT - offset];
    }
    return true;
}

void
bh_walk_fragment_end(struct bh_walk *w)
{
    struct bh_fragment *f = &w->fragment;
    f->layers = w->layers & (uint16_t)~f->layers;
    f->port_proto = w->seen.port_proto != f->port_proto ? w->seen.port_proto : 0;
    f->port = f->port_proto != 0 ? w->seen.port : 0;
}

static bool
sender_matches(const struct bh_decap_rule *rule, const struct bh_row *outer)
{
    if (rule->sender.family == 0) {
        return true;
    }
    if (rule->sender.family != outer->kind) {
        return false;
    }
    unsigned bits = rule->prefix_len;
    if (outer->kind == BH_KIND_IP4) {
        uint32_t mask = bits == 0 ? 0 : UINT32_MAX << (32 - bits);
        return ((outer->src ^ bh_get_be32(rule->sender.octets)) & mask) == 0;
    }
    uint64_t high = bits == 0 ? 0 : bits >= 64 ? UINT64_MAX : UINT64_MAX << (64 - bits);
    uint64_t low = bits <= 64 ? 0 : UINT64_MAX << (128 - bits);
    return ((outer->ip6.src_hi ^ bh_get_be64(rule->sender.octets)) & high) == 0 &&
           ((outer->ip6.src_lo ^ bh_get_be64(rule->sender.octets + 8)) & low) == 0;
}

/* Once only: the sender of a tunnel inside the tunnel is whatever the first one let in. */
void
bh_walk_tunnel(struct bh_walk *w, enum bh_decap kind, uint32_t vni)
{
    if ((w->d->decap_kinds & (unsigned)kind) == 0 || w->ip_depth != 1 || !w->has_record ||
        w->want_inner) {
        return;
    }
    for (size_t i = 0; i < w->d->decap_count; i++) {
        const struct bh_decap_rule *rule = &w->d->decap[i];
        if ((rule->kinds & (unsigned)kind) != 0 && sender_matches(rule, &w->row)) {
            w->want_inner = true;
            w->tunnel_vni = vni;
            w->tunnel_sender =
                w->row.kind == BH_KIND_IP4
                    ? w->row.src
                    : (uint32_t)bh_mix64(w->row.ip6.src_hi, w->row.ip6.src_lo) | 0xf0000000U;
            w->vlan = 0;
            w->src_mac = 0;
            return;
        }
    }
}

/* IEEE 802 Numbers of IANA; the comment names what the number does not say. */
void
bh_walk_ethertype(struct bh_walk *w, uint16_t type, struct bh_cur c)
{
    if (!bh_walk_deeper(w)) {
        return;
    }
    if (!w->has_record || w->want_inner) {
        w->ethertype = type;
    }
    switch (type) {
    case 0x0800:
        bh_proto_ip4(w, c);
        break;
    case 0x86dd:
        bh_proto_ip6(w, c);
        break;
    case 0x0806:
    case 0x8035: /* RARP */
        bh_proto_arp(w, c);
        break;
    case 0x8100:
    case 0x9100:
        w->layers |= BH_LAYER_VLAN;
        bh_proto_vlan(w, c);
        break;
    case 0x88a8: /* service tag: `vlan` of health.layers means customer tags */
        bh_proto_vlan(w, c);
        break;
    case 0x8847:
    case 0x8848:
        bh_proto_mpls(w, c);
        break;
    case 0x8864:
        bh_proto_pppoe(w, c);
        break;
    case 0x880b:
        bh_link_ppp(w, c);
        break;
    case 0x6558: /* transparent Ethernet bridging */
        bh_link_ethernet(w, c);
        break;
    case 0x8870: /* jumbo frames of LLC */
        bh_proto_llc(w, c);
        break;
    case 0x8926:
        bh_proto_vntag(w, c);
        break;
    case 0x893f:
        bh_proto_etag(w, c);
        break;
    case 0x88e5:
        bh_proto_macsec(w, c);
        break;
    case 0x8903:
        bh_proto_fabricpath(w, c);
        break;
    case 0xd28b:
        bh_proto_avsp(w, c);
        break;
    case 0x894f:
        bh_proto_nsh(w, c);
        break;
    default:
        bh_walk_fail(w, BH_REASON_NOT_IP);
        break;
    }
}

/* Assigned Internet Protocol Numbers of IANA. */
void
bh_walk_ip_payload(struct bh_walk *w, unsigned proto, struct bh_cur c, struct bh_inner *in)
{
    switch (proto) {
    case BH_PROTO_TCP:
        bh_proto_tcp(w, c, in);
        return;
    case BH_PROTO_UDP:
        bh_proto_udp(w, c, in);
        return;
    case BH_PROTO_ICMP:
        bh_proto_icmp(w, c, in);
        return;
    case BH_PROTO_ICMP6:
        bh_proto_icmp6(w, c, in);
        return;
    default:
        in->row->marks |= BH_MARK_NO_PORTS;
        bh_walk_record(w, in->row);
        break;
    }
    if (bh_cur_left(&c) == 0) {
        return;
    }
    switch (proto) {
    case 4:
        bh_walk_tunnel(w, BH_DECAP_IPIP, 0);
        bh_walk_ethertype(w, 0x0800, c);
        break;
    case 41:
        bh_walk_tunnel(w, BH_DECAP_IPIP, 0);
        bh_walk_ethertype(w, 0x86dd, c);
        break;
    case 47:
        bh_proto_gre(w, c);
        break;
    case 54:
        bh_proto_nhrp(w, c);
        break;
    case 103:
        bh_proto_pim(w, c);
        break;
    case 137:
        bh_proto_mpls(w, c);
        break;
    default:
        break;
    }
}
