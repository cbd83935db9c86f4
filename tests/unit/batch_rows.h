/* SPDX-License-Identifier: BSD-2-Clause */
/* Batches made by hand, a row at a time, for the tests of lib/track and lib/analysis. */
#ifndef BATCH_ROWS_H
#define BATCH_ROWS_H

#include "bh_event.h"

#define MS 1000000LL
#define SEC 1000000000LL

/* What a test says of a packet; all else is what a whole packet has. */
struct row {
    int64_t ts_ns;
    struct bh_ip src, dst;
    uint8_t proto, flags, marks;
    uint16_t sport, dport; /* ICMP: type and code */
    uint32_t seq;
    uint16_t payload;
};

BH_UNUSED static struct bh_ip
ip_of(const char *text)
{
    struct bh_ip ip = { 0 };
    if (!bh_ip_parse(text, strlen(text), &ip)) {
        fprintf(stderr, "not an address: %s\n", text);
    }
    return ip;
}

BH_UNUSED static struct row
tcp_row(int64_t ts_ns, const char *src, unsigned sport, const char *dst, unsigned dport,
        unsigned flags)
{
    return (struct row){ .ts_ns = ts_ns,
                         .src = ip_of(src),
                         .dst = ip_of(dst),
                         .proto = BH_PROTO_TCP,
                         .flags = (uint8_t)flags,
                         .sport = (uint16_t)sport,
                         .dport = (uint16_t)dport };
}

BH_UNUSED static struct row
udp_row(int64_t ts_ns, const char *src, unsigned sport, const char *dst, unsigned dport)
{
    return (struct row){ .ts_ns = ts_ns,
                         .src = ip_of(src),
                         .dst = ip_of(dst),
                         .proto = BH_PROTO_UDP,
                         .sport = (uint16_t)sport,
                         .dport = (uint16_t)dport,
                         .payload = 20 };
}

BH_UNUSED static struct row
icmp_row(int64_t ts_ns, const char *src, const char *dst, unsigned type, unsigned code)
{
    struct row r = { .ts_ns = ts_ns,
                     .src = ip_of(src),
                     .dst = ip_of(dst),
                     .sport = (uint16_t)type,
                     .dport = (uint16_t)code };
    r.proto = r.src.family == 6 ? BH_PROTO_ICMP6 : BH_PROTO_ICMP;
    return r;
}

static inline uint16_t
row_layers(const struct row *r)
{
    unsigned l = r->src.family == 6 ? BH_LAYER_IPV6 : BH_LAYER_IPV4;
    l |= r->proto == BH_PROTO_TCP     ? BH_LAYER_TCP
         : r->proto == BH_PROTO_UDP   ? BH_LAYER_UDP
         : r->proto == BH_PROTO_ICMP  ? BH_LAYER_ICMP
         : r->proto == BH_PROTO_ICMP6 ? BH_LAYER_ICMP6
                                      : 0;
    bool syn_only = (r->flags & (BH_TCP_SYN | BH_TCP_ACK | BH_TCP_RST | BH_TCP_FIN)) == BH_TCP_SYN;
    return (uint16_t)(l | (r->proto == BH_PROTO_TCP && syn_only ? (unsigned)BH_LAYER_SYN_ONLY : 0));
}

/* Append a packet; returns its row. The batch must have room. */
static inline uint32_t
row_add(struct bh_batch *b, const struct row *r)
{
    const uint32_t i = b->rows++;
    const bool v6 = r->src.family == 6;
    b->ts_ns[i] = r->ts_ns;
    if (v6) {
        b->ip6[b->v6_rows] =
            (struct bh_ip6_pair){ bh_get_be64(r->src.octets), bh_get_be64(r->src.octets + 8),
                                  bh_get_be64(r->dst.octets), bh_get_be64(r->dst.octets + 8) };
        b->src[i] = b->dst[i] = b->v6_rows++;
    } else {
        b->src[i] = bh_get_be32(r->src.octets);
        b->dst[i] = bh_get_be32(r->dst.octets);
    }
    b->ports[i] = (uint32_t)r->sport << 16 | r->dport;
    b->tcp_seq[i] = r->seq;
    b->ip_len[i] = 40U + r->payload;
    b->payload_len[i] = r->payload;
    b->layers[i] = row_layers(r);
    b->kind[i] = v6 ? BH_KIND_IP6 : BH_KIND_IP4;
    b->proto[i] = r->proto;
    b->tcp_flags[i] = r->flags;
    b->marks[i] = r->marks;
    b->reason[i] = BH_REASON_NONE;
    b->direction[i] = b->cls[i] = b->outcome[i] = 0;
    b->country[i] = 0;
    b->counted[i] = 1;
    b->connection[i] = 0;
    b->weight[i] = 1;
    b->src_mac[i] = 0;
    return i;
}

/* A record that is no IP packet: an ARP message (`is_arp`), or a frame we cannot read. */
BH_UNUSED static uint32_t
row_add_frame(struct bh_batch *b, int64_t ts_ns, bool is_arp)
{
    struct row r = { .ts_ns = ts_ns,
                     .src = bh_ip_from_v4(0xcb00713c),
                     .dst = bh_ip_from_v4(0xcb007101) };
    uint32_t i = row_add(b, &r);
    b->kind[i] = is_arp ? BH_KIND_ARP : BH_KIND_NONE;
    b->reason[i] = is_arp ? BH_REASON_NONE : BH_REASON_NOT_IP;
    b->layers[i] = is_arp ? BH_LAYER_ARP : 0;
    b->marks[i] = BH_MARK_NO_PORTS;
    b->ip_len[i] = 0;
    return i;
}

/* The ICMP error of row `icmp` quotes this packet. */
BH_UNUSED static void
row_quote(struct bh_batch *b, uint32_t icmp, const struct row *quoted)
{
    struct bh_quote q = { .row = (uint16_t)icmp,
                          .proto = quoted->proto,
                          .has_ports = true,
                          .kind = quoted->src.family == 6 ? BH_KIND_IP6 : BH_KIND_IP4,
                          .ports = (uint32_t)quoted->sport << 16 | quoted->dport };
    if (q.kind == BH_KIND_IP6) {
        q.ip6 = (struct bh_ip6_pair){ bh_get_be64(quoted->src.octets),
                                      bh_get_be64(quoted->src.octets + 8),
                                      bh_get_be64(quoted->dst.octets),
                                      bh_get_be64(quoted->dst.octets + 8) };
    } else {
        q.src = bh_get_be32(quoted->src.octets);
        q.dst = bh_get_be32(quoted->dst.octets);
    }
    b->quotes[b->quote_rows++] = q;
}

/* Numbers without a pattern, the same on every run. */
BH_UNUSED static uint32_t
random_below(uint64_t *state, uint32_t n)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    uint64_t x = *state ^ *state >> 29;
    return (uint32_t)((x * 0x9e3779b97f4a7c15ULL >> 32) % n);
}

#endif
