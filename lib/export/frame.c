/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A record as a frame again: Ethernet (with a VLAN tag when there was one), then ARP or IP headers.
 *
 * What a record says of lengths decides what is put where no field says it: octets between the fixed
 * headers and the payload are TCP options (no-operations), else IP options, else in IPv6 a Destination
 * Options header (RFC 8200, 4.6) of padding. A record that was malformed becomes a frame that is
 * malformed in the same way, one that was cut is cut at the same header.
 *
 * Where fragments lie in their datagram is not kept. They are taken to come in order: each begins
 * where the one before ended, and the one that completed its datagram (its layers say so) is the last.
 */
#include "bh_export.h"

#include <stdlib.h>

#define PIECES 1024U

struct piece { /* a datagram whose fragments come */
    uint64_t key;
    uint32_t end;
};

struct bh_frame_maker {
    struct piece pieces[PIECES];
    uint32_t quote_at, seen_at; /* in the batch */
    uint32_t dirty;             /* octets of `data` that may not be zero */
    uint8_t data[BH_FRAME_MAX];
};

enum { ETHER = 14, TAG = 4, IP4 = 20, IP6 = 40, TCP = 20, UDP = 8, ICMP = 8 };
enum { MORE_FRAGMENTS = 0x2000, OPTIONS_HEADER = 60, FRAGMENT_HEADER = 44, NO_NEXT = 59 };

/* Of a frame that was cut behind its headers. */
#define HEADERS_KEPT 256U
/* Headers of one frame end before this, whatever a record says: Ethernet, IP, 2048 of extension headers, TCP. */
#define DIRTY_MOST 4096U

struct making {
    struct bh_frame_maker *m;
    const struct bh_batch *b;
    uint32_t row;
    const struct bh_quote *quote;
    struct bh_seen seen;
    uint32_t at;    /* next octet        */
    uint32_t there; /* octets to keep when the frame was cut; UINT32_MAX: up to `at` */
    uint8_t pseudo[40];
    uint32_t pseudo_len;
};

static uint8_t *
take(struct making *k, uint32_t n)
{
    uint8_t *p = k->m->data + k->at;
    k->at += n;
    return p;
}

/* ---- checksums: RFC 1071 --------------------------------------------------------------------------------- */

static uint32_t
sum16(uint32_t sum, const uint8_t *p, uint32_t n)
{
    for (uint32_t i = 0; i + 1 < n; i += 2) {
        sum += bh_get_be16(p + i);
    }
    if ((n & 1) != 0) {
        sum += (uint32_t)p[n - 1] << 8;
    }
    return (sum >> 16) + (sum & 0xffff);
}

static uint16_t
fold(uint32_t sum)
{
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)~sum;
}

/* `n` octets are not zero; `len` is what the datagram says. */
static uint16_t
transport_sum(const struct making *k, const uint8_t *p, uint32_t n, uint32_t len, unsigned proto)
{
    uint32_t sum = sum16(proto + (len >> 16) + (len & 0xffff), k->pseudo, k->pseudo_len);
    return fold(sum16(sum, p, n));
}

/* ---- transport --------------------------------------------------------------------------------------------- */

static bool
has_mark(const struct making *k, unsigned mark)
{
    return (k->b->marks[k->row] & mark) != 0;
}

/* Of a cut header so much is there. */
static void
cut_at(struct making *k, uint32_t n)
{
    k->there = k->at + n;
}

/* `len` octets of IP payload, of them `options` behind the fixed header. */
static void
put_tcp(struct making *k, uint32_t len, uint32_t options)
{
    const struct bh_batch *b = k->b;
    const uint32_t row = k->row;
    uint8_t *p = k->m->data + k->at;
    const bool is_bad = b->reason[row] == BH_REASON_TCP_OFFSET;
    const bool guessed =
        has_mark(k, BH_MARK_NO_FLAGS); /* a log without flags: by what it was counted as */
    const unsigned flags =
        guessed ? b->cls[row] == BH_CLASS_ACCESS ? BH_TCP_SYN : BH_TCP_ACK : b->tcp_flags[row];
    if (has_mark(k, BH_MARK_NO_PORTS)) {
        if (k->seen.port_proto == BH_PROTO_TCP) {
            bh_put_be16(p + 2, k->seen.port);
            cut_at(k, 4);
        } else {
            cut_at(k, 2);
        }
        k->at += len;
        return;
    }
    bh_put_be32(p, b->ports[row]);
    bh_put_be32(p + 4, b->tcp_seq[row]);
    p[12] = (uint8_t)(is_bad ? 1U << 4 : (TCP + options) / 4 << 4);
    p[13] = (uint8_t)flags;
    bh_put_be16(p + 14, (b->want & BH_WANT_COLD) != 0 ? b->tcp_window[row] : 0);
    memset(p + TCP, 1, options); /* no-operations */
    if (has_mark(k, BH_MARK_TRUNCATED)) {
        cut_at(k, 14);
    } else if (len >= TCP) {
        bh_put_be16(p + 16, transport_sum(k, p, TCP + options, len, BH_PROTO_TCP));
    }
    k->at += len;
}

/* MPLS in UDP, RFC 7510. */
static bool
is_label_stack(uint32_t ports)
{
    return ports >> 16 == 6635 || (ports & 0xffff) == 6635;
}

static void
put_udp(struct making *k, uint32_t len)
{
    uint8_t *p = k->m->data + k->at;
    const bool is_bad = k->b->reason[k->row] == BH_REASON_UDP_LEN;
    if (has_mark(k, BH_MARK_NO_PORTS)) {
        cut_at(k, 2);
        k->at += len;
        return;
    }
    bh_put_be32(p, k->b->ports[k->row]);
    bh_put_be16(p + 4, is_bad ? 7 : len <= UINT16_MAX ? (uint16_t)len : 0);
    uint32_t n = UDP;
    if (is_label_stack(k->b->ports[k->row]) && len >= UDP + 5) {
        n = UDP + 5;
        memset(p + UDP, 0xff, 5); /* zeros would be labels without an end */
    }
    if (has_mark(k, BH_MARK_TRUNCATED)) {
        cut_at(k, 4);
    } else if (len >= UDP && !is_bad && len <= UINT16_MAX) {
        const uint16_t sum = transport_sum(k, p, n, len, BH_PROTO_UDP);
        bh_put_be16(p + 6, sum == 0 ? 0xffff : sum);
    }
    k->at += len;
}

/* RFC 791, 792: the header of the packet an error is about, and eight octets. */
static uint32_t
put_quote(const struct bh_quote *q, uint8_t *p)
{
    uint8_t *ports;
    if (q->kind == BH_KIND_IP6) {
        p[0] = 0x60;
        bh_put_be16(p + 4, 8);
        p[6] = q->proto;
        p[7] = 64;
        bh_put_be64(p + 8, q->ip6.src_hi);
        bh_put_be64(p + 16, q->ip6.src_lo);
        bh_put_be64(p + 24, q->ip6.dst_hi);
        bh_put_be64(p + 32, q->ip6.dst_lo);
        ports = p + IP6;
    } else {
        p[0] = 0x45;
        bh_put_be16(p + 2, IP4 + 8);
        p[8] = 64;
        p[9] = q->proto;
        bh_put_be32(p + 12, q->src);
        bh_put_be32(p + 16, q->dst);
        bh_put_be16(p + 10, fold(sum16(0, p, IP4)));
        ports = p + IP4;
    }
    if (q->has_ports && (q->proto == BH_PROTO_TCP || q->proto == BH_PROTO_UDP)) {
        bh_put_be32(ports, q->ports);
    } else if (q->has_ports) {
        ports[0] = (uint8_t)(q->ports >> 16);
        ports[1] = (uint8_t)q->ports;
    }
    return (uint32_t)(ports - p) + (q->has_ports ? 8U : 0U);
}

static void
put_icmp(struct making *k, uint32_t len, unsigned proto)
{
    uint8_t *p = k->m->data + k->at;
    if (has_mark(k, BH_MARK_NO_PORTS)) {
        cut_at(k, 1);
        k->at += len;
        return;
    }
    p[0] = (uint8_t)(k->b->ports[k->row] >> 16);
    p[1] = (uint8_t)k->b->ports[k->row];
    uint32_t n = ICMP;
    if (k->quote != NULL) {
        uint8_t quoted[IP6 + 8] = { 0 };
        uint32_t size = put_quote(k->quote, quoted);
        n += len < ICMP          ? 0
             : size < len - ICMP ? size
                                 : len - ICMP; /* of ports four octets are enough */
        memcpy(p + ICMP, quoted, n - ICMP);
    }
    if (has_mark(k, BH_MARK_TRUNCATED)) {
        cut_at(k, 2);
    } else if (len >= ICMP) {
        const uint32_t sum =
            proto == BH_PROTO_ICMP6 ? sum16(proto + len, k->pseudo, k->pseudo_len) : 0;
        bh_put_be16(p + 2, fold(sum16(sum, p, n)));
    }
    k->at += len;
}

/* The least that a header of this protocol takes, for finding out what stands before the payload. */
static uint32_t
least_of(unsigned proto)
{
    return proto == BH_PROTO_TCP ? TCP : proto == BH_PROTO_UDP ? UDP : ICMP;
}

static bool
has_transport(unsigned proto)
{
    return proto == BH_PROTO_TCP || proto == BH_PROTO_UDP || proto == BH_PROTO_ICMP ||
           proto == BH_PROTO_ICMP6;
}

/* Octets of headers beyond the fixed ones. */
static uint32_t
extra_of(const struct making *k, uint32_t ip_header)
{
    const struct bh_batch *b = k->b;
    const uint32_t row = k->row;
    const uint32_t least = ip_header + least_of(b->proto[row]) + b->payload_len[row];
    const bool known =
        has_transport(b->proto[row]) &&
        !has_mark(k, BH_MARK_NO_PORTS | BH_MARK_TRUNCATED | BH_MARK_MALFORMED | BH_MARK_FRAGMENT) &&
        b->payload_len[row] != UINT16_MAX;
    return known && b->ip_len[row] > least ? b->ip_len[row] - least : 0;
}

static void
put_transport(struct making *k, uint32_t len, uint32_t options)
{
    const unsigned proto = k->b->proto[k->row];
    const bool is_fragment = has_mark(k, BH_MARK_FRAGMENT);
    /* Where the header was cut before it began, the layers do not have it. */
    const unsigned layers = k->b->layers[k->row];
    if (is_fragment || !has_transport(proto)) {
        k->at += len;
    } else if (has_mark(k, BH_MARK_NO_PORTS) && has_mark(k, BH_MARK_TRUNCATED) &&
               (layers & (BH_LAYER_TCP | BH_LAYER_UDP | BH_LAYER_ICMP | BH_LAYER_ICMP6)) == 0) {
        cut_at(k, 0);
        k->at += len;
    } else if (proto == BH_PROTO_TCP) {
        put_tcp(k, len, options);
    } else if (proto == BH_PROTO_UDP) {
        put_udp(k, len);
    } else {
        put_icmp(k, len, proto);
    }
}

/* ---- fragments ------------------------------------------------------------------------------------------------ */

static uint16_t
transport_layer(unsigned proto)
{
    return proto == BH_PROTO_TCP     ? BH_LAYER_TCP
           : proto == BH_PROTO_UDP   ? BH_LAYER_UDP
           : proto == BH_PROTO_ICMP  ? BH_LAYER_ICMP
           : proto == BH_PROTO_ICMP6 ? BH_LAYER_ICMP6
                                     : 0;
}

static struct piece *
piece_of(struct making *k, uint64_t *ret_key)
{
    const struct bh_batch *b = k->b;
    const uint32_t row = k->row;
    uint64_t key = (uint64_t)b->ip_id[row] << 8 | b->proto[row];
    if (b->kind[row] == BH_KIND_IP6) {
        const struct bh_ip6_pair *p = &b->ip6[b->src[row]];
        key = bh_mix64(bh_mix64(p->src_hi, p->src_lo), bh_mix64(p->dst_hi, p->dst_lo)) ^
              b->proto[row];
    } else {
        key = bh_mix64(key, (uint64_t)b->src[row] << 32 | b->dst[row]);
    }
    *ret_key = key;
    return &k->m->pieces[key % PIECES];
}

/* Flags and offset as IPv4 has them, offset in units of 8 octets; 0: no fragment. `len`: its payload. */
static uint32_t
fragment_field(struct making *k, uint32_t len)
{
    const struct bh_batch *b = k->b;
    const uint16_t layer = transport_layer(b->proto[k->row]);
    uint64_t key;
    struct piece *p = piece_of(k, &key);
    if (!has_mark(k, BH_MARK_FRAGMENT)) {
        /* Whose transport layer was counted later, where the datagram completed. */
        const bool is_first =
            layer != 0 && !has_mark(k, BH_MARK_NO_PORTS) && (b->layers[k->row] & layer) == 0;
        if (is_first) {
            *p = (struct piece){ key, len };
        }
        return is_first ? MORE_FRAGMENTS : 0;
    }
    const bool completes = (b->layers[k->row] & layer) != 0 && layer != 0;
    const uint32_t offset = p->key == key && p->end >= 8 ? p->end / 8 : 8;
    *p = (struct piece){ key, offset * 8 + len };
    return (offset & 0x1fff) | (completes ? 0U : (uint32_t)MORE_FRAGMENTS);
}

/* ---- IP ----------------------------------------------------------------------------------------------------------- */

static void
put_ip4(struct making *k)
{
    const struct bh_batch *b = k->b;
    const uint32_t row = k->row, extra = extra_of(k, IP4);
    const bool cold = (b->want & BH_WANT_COLD) != 0;
    const bool is_tcp = b->proto[row] == BH_PROTO_TCP;
    const uint32_t tcp_options = is_tcp ? (extra < 40 ? extra : 40) & ~3U : 0;
    uint32_t ip_options = extra - tcp_options;
    ip_options = (ip_options < 40 ? ip_options : 40) & ~3U;
    const bool is_cut_in_options = has_mark(k, BH_MARK_TRUNCATED) &&
                                   has_mark(k, BH_MARK_NO_PORTS) && !has_transport(b->proto[row]);
    uint32_t len = b->ip_len[row] < IP4 + ip_options ? 0 : b->ip_len[row] - IP4 - ip_options;
    uint8_t *p = take(k, IP4 + ip_options);
    p[0] = (uint8_t)(0x40 | (5 + ip_options / 4 + (is_cut_in_options ? 1U : 0U)));
    bh_put_be16(p + 2, b->ip_len[row] <= UINT16_MAX ? (uint16_t)b->ip_len[row] : 0);
    bh_put_be16(p + 4, cold ? b->ip_id[row] : 0);
    bh_put_be16(p + 6,
                (uint16_t)((cold && b->df[row] != 0 ? 0x4000U : 0U) | fragment_field(k, len)));
    p[8] = cold ? b->ttl[row] : 64;
    p[9] = b->proto[row];
    bh_put_be32(p + 12, b->src[row]);
    bh_put_be32(p + 16, b->dst[row]);
    memset(p + IP4, 1, ip_options);
    bh_put_be16(p + 10, fold(sum16(0, p, IP4 + ip_options)));
    memcpy(k->pseudo, p + 12, 8);
    k->pseudo_len = 8;
    if (is_cut_in_options) {
        cut_at(k, 0);
    }
    put_transport(k, len, tcp_options);
}

/* An extension header that nobody can pass: RFC 8200, 4.2 for options that reach beyond theirs. */
static void
put_bad_extension(struct making *k, unsigned type, uint32_t len)
{
    uint8_t *p = k->m->data + k->at;
    if (len >= 8) {
        p[0] = NO_NEXT;
        p[1] = type == OPTIONS_HEADER || type == 0 ? 0 : 255;
        p[2] = 1;
        p[3] = 255;
    }
    k->at += len;
}

static void
put_options_header(struct making *k, uint32_t size, unsigned next)
{
    uint8_t *p = take(k, size);
    p[0] = (uint8_t)next;
    p[1] = (uint8_t)(size / 8 - 1);
    for (uint32_t at = 2; at < size;) { /* PadN, of up to 257 octets */
        const uint32_t n = size - at < 257 ? size - at : 257;
        if (n == 1) {
            p[at++] = 0; /* Pad1 */
            break;
        }
        p[at] = 1;
        p[at + 1] = (uint8_t)(n - 2);
        at += n;
    }
}

static void
put_ip6(struct making *k)
{
    const struct bh_batch *b = k->b;
    const uint32_t row = k->row;
    const struct bh_ip6_pair *ip = &b->ip6[b->src[row]];
    const unsigned proto = b->proto[row];
    const uint32_t extra = extra_of(k, IP6);
    const uint32_t tcp_options = proto == BH_PROTO_TCP && extra <= 40 ? extra & ~3U : 0;
    uint32_t headers = (extra - tcp_options) & ~7U;
    headers = headers < 2048 ? headers : 2048;
    uint32_t len = b->ip_len[row] < IP6 ? 0 : b->ip_len[row] - IP6;
    uint8_t *p = take(k, IP6);
    p[0] = 0x60;
    bh_put_be16(p + 4, len <= UINT16_MAX ? (uint16_t)len : 0);
    p[7] = (b->want & BH_WANT_COLD) != 0 ? b->ttl[row] : 64;
    bh_put_be64(p + 8, ip->src_hi);
    bh_put_be64(p + 16, ip->src_lo);
    bh_put_be64(p + 24, ip->dst_hi);
    bh_put_be64(p + 32, ip->dst_lo);
    memcpy(k->pseudo, p + 8, 32);
    k->pseudo_len = 32;
    p[6] = (uint8_t)proto;
    if (b->reason[row] == BH_REASON_IP6_EXTENSION) {
        put_bad_extension(k, proto, len);
        return;
    }
    if (has_mark(k, BH_MARK_TRUNCATED) && has_mark(k, BH_MARK_NO_PORTS) && !has_transport(proto)) {
        cut_at(k, 4); /* inside an extension header */
        k->at += len;
        return;
    }
    const bool could_be_fragment = len >= 8 && (has_mark(k, BH_MARK_FRAGMENT) || headers >= 8);
    const uint32_t field = could_be_fragment ? fragment_field(k, len - 8) : 0;
    if (field != 0) {
        p[6] = FRAGMENT_HEADER;
        uint8_t *f = take(k, 8);
        f[0] = (uint8_t)proto;
        bh_put_be16(f + 2, (uint16_t)((field & 0x1fff) << 3 | (field & MORE_FRAGMENTS ? 1U : 0U)));
        bh_put_be32(f + 4, 1);
        len -= 8;
        headers = headers >= 8 ? headers - 8 : 0;
    }
    if (headers > 0 && !has_mark(k, BH_MARK_FRAGMENT)) {
        *(field != 0 ? &k->m->data[k->at - 8] : &p[6]) = OPTIONS_HEADER;
        put_options_header(k, headers, proto);
        len -= headers;
    }
    put_transport(k, len, tcp_options);
}

/* ---- what is not IP ------------------------------------------------------------------------------------------------- */

/* RFC 826, over Ethernet. */
static void
put_arp(struct making *k)
{
    const struct bh_batch *b = k->b;
    uint8_t *p = take(k, 28);
    bh_put_be16(p, 1);
    bh_put_be16(p + 2, 0x0800);
    p[4] = 6;
    p[5] = 4;
    bh_put_be16(p + 6, (uint16_t)b->ports[k->row]);
    if ((b->want & BH_WANT_COLD) != 0) {
        bh_put_be16(p + 8, (uint16_t)(b->src_mac[k->row] >> 32));
        bh_put_be32(p + 10, (uint32_t)b->src_mac[k->row]);
    }
    bh_put_be32(p + 14, b->src[k->row]);
    bh_put_be32(p + 24, b->dst[k->row]);
}

/* Of a header that could not be read: its type, and how it begins. Returns the EtherType. */
static uint16_t
put_unread(struct making *k)
{
    const struct bh_batch *b = k->b;
    const unsigned layers = b->layers[k->row], reason = b->reason[k->row];
    const uint16_t type = (b->want & BH_WANT_COLD) != 0 ? b->ethertype[k->row] : 0;
    uint8_t *p = k->m->data + k->at;
    if (has_mark(k, BH_MARK_TRUNCATED) || reason == BH_REASON_LINK_SHORT) {
        const bool known = (layers & (BH_LAYER_IPV4 | BH_LAYER_IPV6 | BH_LAYER_ARP)) != 0;
        p[0] = (layers & BH_LAYER_IPV6) != 0 ? 0x60 : 0x45;
        k->at += known ? 4U : 0U;
        if (!known && type == 0) {
            k->at = 6; /* within the hardware addresses */
        }
        return (layers & BH_LAYER_IPV4) != 0   ? 0x0800
               : (layers & BH_LAYER_IPV6) != 0 ? 0x86dd
               : (layers & BH_LAYER_ARP) != 0  ? 0x0806
                                               : type;
    }
    switch (reason) {
    case BH_REASON_IP_VERSION:
        k->at += IP4;
        return (layers & BH_LAYER_IPV4) != 0 ? 0x0800 : 0x86dd;
    case BH_REASON_IP_HEADER_LEN:
        p[0] = 0x44;
        k->at += IP4;
        return 0x0800;
    case BH_REASON_IP_TOTAL_LEN:
        p[0] = 0x45;
        bh_put_be16(p + 2, 10);
        k->at += IP4;
        return 0x0800;
    case BH_REASON_ARP_SHAPE:
        bh_put_be16(p, 1);
        bh_put_be16(p + 2, 0x0800);
        p[4] = p[5] = 6;
        k->at += 8;
        return 0x0806;
    default:
        break;
    }
    if (type == 0) { /* IEEE 802.2: a spanning tree's, which carries no packet */
        p[0] = p[1] = 0x42;
        p[2] = 3;
        k->at += 3;
        return 3;
    }
    if (type == 0x88e5) {
        p[0] = 0x0c; /* MACsec, encrypted */
        k->at += 16;
    }
    return type;
}

/* ---- the frame --------------------------------------------------------------------------------------------------------- */

/* What we would look into, and find other things in than were there. */
static bool
is_looked_into(uint16_t type)
{
    static const uint16_t types[] = { 0x0800, 0x86dd, 0x0806, 0x8035, 0x8100, 0x9100,
                                      0x88a8, 0x8847, 0x8848, 0x8864, 0x880b, 0x6558,
                                      0x8870, 0x8926, 0x893f, 0x8903, 0xd28b, 0x894f };
    for (size_t i = 0; i < BH_COUNT(types); i++) {
        if (types[i] == type) {
            return true;
        }
    }
    return false;
}

static void
put_ether(struct making *k)
{
    const struct bh_batch *b = k->b;
    const uint32_t row = k->row;
    const bool cold = (b->want & BH_WANT_COLD) != 0;
    const bool tagged = cold ? b->vlan[row] != 0 : (b->layers[row] & BH_LAYER_VLAN) != 0;
    uint8_t *p = take(k, tagged ? ETHER + TAG : ETHER);
    uint8_t *type_at = p + (tagged ? ETHER + TAG : ETHER) - 2;
    uint16_t type;
    if (cold) {
        bh_put_be16(p + 6, (uint16_t)(b->src_mac[row] >> 32));
        bh_put_be32(p + 8, (uint32_t)b->src_mac[row]);
    }
    if (tagged) { /* a service tag is no "VLAN" to health.layers */
        bh_put_be16(p + 12, (b->layers[row] & BH_LAYER_VLAN) != 0 ? 0x8100 : 0x88a8);
        bh_put_be16(p + 14, cold && b->vlan[row] != 0 ? (uint16_t)(b->vlan[row] - 1U) : 0);
    }
    switch (b->kind[row]) {
    case BH_KIND_IP4:
        type = 0x0800;
        put_ip4(k);
        break;
    case BH_KIND_IP6:
        type = 0x86dd;
        put_ip6(k);
        break;
    case BH_KIND_ARP:
        type = cold && b->ethertype[row] == 0x8035 ? 0x8035 : 0x0806;
        put_arp(k);
        break;
    default:
        type = put_unread(k);
        if (b->reason[row] == BH_REASON_NOT_IP && is_looked_into(type)) {
            type = 0x88b5; /* IEEE's for experiments */
        }
    }
    bh_put_be16(type_at, type);
}

struct bh_frame_maker *
bh_frame_maker_new(void)
{
    return calloc(1, sizeof(struct bh_frame_maker));
}

void
bh_frame_maker_free(struct bh_frame_maker *m)
{
    free(m);
}

void
bh_frame_begin(struct bh_frame_maker *m)
{
    m->quote_at = m->seen_at = 0;
}

void
bh_frame_make(struct bh_frame_maker *m, const struct bh_batch *b, uint32_t row,
              struct bh_made_frame *ret)
{
    struct making k = { .m = m, .b = b, .row = row, .there = UINT32_MAX };
    while (m->quote_at < b->quote_rows && b->quotes[m->quote_at].row < row) {
        m->quote_at++;
    }
    k.quote = m->quote_at < b->quote_rows && b->quotes[m->quote_at].row == row
                  ? &b->quotes[m->quote_at]
                  : NULL;
    k.seen = bh_batch_seen(b, row, &m->seen_at);
    memset(m->data, 0, m->dirty);
    *ret = (struct bh_made_frame){ .data = m->data,
                                   .is_unknown_link = b->reason[row] == BH_REASON_LINK_UNKNOWN };
    if (!ret->is_unknown_link) {
        put_ether(&k);
    }
    m->dirty = DIRTY_MOST; /* headers and quotes; payload is zeros already */
    const uint32_t wire_len = (b->want & BH_WANT_COLD) != 0 ? b->wire_len[row] : 0;
    const bool is_short = b->reason[row] == BH_REASON_LINK_SHORT;
    /* Of segments that the network card was to cut the frame's length is the packet's. */
    const bool is_exact = is_short || b->ip_len[row] > UINT16_MAX;
    ret->wire_len = wire_len > k.at && !is_exact ? wire_len : k.at;
    ret->cap_len = ret->wire_len;
    if ((b->layers[row] & BH_LAYER_CUT) != 0) {
        ret->cap_len = k.there != UINT32_MAX ? k.there : k.at < HEADERS_KEPT ? k.at : HEADERS_KEPT;
        ret->cap_len =
            ret->cap_len < ret->wire_len ? ret->cap_len : ret->wire_len - (ret->wire_len > 0);
        ret->wire_len = ret->wire_len > ret->cap_len ? ret->wire_len : ret->cap_len + 1;
    }
    ret->cap_len = ret->cap_len < BH_FRAME_MAX ? ret->cap_len : BH_FRAME_MAX;
}
