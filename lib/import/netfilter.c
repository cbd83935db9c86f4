/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines of the kernel's packet log (iptables' and nftables' LOG, ufw, ulogd's LOGEMU), as
 * net/netfilter/nf_log_syslog.c of Linux prints them:
 *
 *   IN=eth1 OUT= MAC=dst:src:type SRC=a DST=b LEN=44 TOS=0x00 PREC=0x00 TTL=53 ID=15270 [DF] [FRAG:n]
 *   [OPT (hex)] PROTO=TCP SPT=1 DPT=2 [SEQ=n ACK=n] WINDOW=n RES=0x00 [flags] URGP=n [OPT (hex)]
 *   ... PROTO=UDP SPT=1 DPT=2 LEN=24
 *   ... PROTO=ICMP TYPE=3 CODE=3 [SRC=b DST=a LEN=... the packet it answers]
 *   ... LEN=72 TC=0 HOPLIMIT=255 FLOWLBL=0 PROTO=ICMPv6 ...
 *   IN=eth0 OUT= ARP HTYPE=1 PTYPE=0x0800 OPCODE=1 MACSRC=.. IPSRC=.. MACDST=.. IPDST=..
 *
 * A line that was cut must not become another packet: SYN without ACK is an access, SYN ACK is none.
 * So TCP is taken up to URGP=, which always ends it, and UDP up to its LEN=.
 *
 * Strangers can write into the same file: a user name "IN=eth0 OUT= SRC=..." of a failed login. What
 * another program says is not looked at.
 */
#include "netfilter_priv.h"

/* Where the words of the kernel begin: only so many tokens (host, facility, tag; a prefix without one). */
#define TAG_TOKENS 8

/* ---- finding the packet ---------------------------------------------------------------------------- */

/* "IN=eth0 OUT=" at or after `p`; NULL: none. */
static const char *
find_in(const char *p, const char *end)
{
    while ((p = memchr(p, 'I', (size_t)(end - p))) != NULL) {
        if (BEGINS(p, end, "IN=")) {
            const char *q = token_end(p, end);
            if (BEGINS(q, end, " OUT=")) {
                return p;
            }
        }
        p++;
    }
    return NULL;
}

/* A tag with a number is that of a process. */
static bool
is_process(const char *p, const char *q)
{
    return q - p > 3 && q[-1] == ':' && q[-2] == ']';
}

/* "kernel:", "ulogd[312]:" */
static bool
is_tag_of(const char *name, size_t n, const char *p, const char *q)
{
    size_t size = (size_t)(q - p);
    if (size < n || memcmp(p, name, n) != 0) {
        return false;
    }
    return (size == n + 1 && p[n] == ':') || (size > n && p[n] == '[' && is_process(p, q));
}

/* Behind "host kernel" of RFC 5424, where the program is the second word always. */
static struct cell
find_5424(struct cell text)
{
    const char *const end = text.at + text.len;
    const char *p = token_end(text.at, end);
    p += p < end;
    const char *q = token_end(p, end);
    const char *in =
        (q - p == 6 && memcmp(p, "kernel", 6) == 0) || (q - p == 5 && memcmp(p, "ulogd", 5) == 0)
            ? find_in(q, end)
            : NULL;
    return in == NULL ? (struct cell){ text.at, 0 } : (struct cell){ in, (size_t)(end - in) };
}

/* Whose line is it? "host kernel: [1.2] DROP IN=", "host DROP IN=" (ulogd), "kern.warn kernel: IN=". */
struct cell
netfilter_find(struct cell text, bool is_5424)
{
    if (is_5424) {
        return find_5424(text);
    }
    const char *p = text.at;
    const char *const end = text.at + text.len;
    const struct cell none = { text.at, 0 };
    bool is_tagged = false;
    for (int i = 0; i < TAG_TOKENS && p < end; i++) {
        const char *q = token_end(p, end);
        const char *in = BEGINS(q, end, " OUT=") ? find_in(p, end) : NULL;
        if (in != NULL && in < q) { /* no tag, or the tag just before */
            return (struct cell){ in, (size_t)(end - in) };
        }
        if (is_tagged) {
            return none; /* more words behind another tag */
        }
        if (is_tag_of("kernel", 6, p, q) || is_tag_of("ulogd", 5, p, q)) {
            in = find_in(q, end);
            return in == NULL ? none : (struct cell){ in, (size_t)(end - in) };
        }
        if (is_process(p, q)) {
            return none;
        }
        is_tagged = q > p && q[-1] == ':';
        for (p = q; p < end && *p == ' '; p++) {
        }
    }
    return none;
}

struct cell
netfilter_find_words(struct cell text)
{
    const char *end = text.at + text.len;
    const char *in = find_in(text.at, end);
    return in == NULL ? (struct cell){ text.at, 0 } : (struct cell){ in, (size_t)(end - in) };
}

/* ---- the row --------------------------------------------------------------------------------------- */

static enum reason
check(const struct packet *k)
{
    if ((k->parts & HAS_SRC) == 0) {
        return REASON_CUT;
    }
    if (k->src.family == 0) {
        return REASON_SRC_BAD;
    }
    if ((k->parts & HAS_DST) == 0) {
        return REASON_CUT;
    }
    if (k->dst.family == 0) {
        return REASON_DST_BAD;
    }
    if (k->src.family != k->dst.family) {
        return REASON_FAMILIES;
    }
    if ((k->parts & IS_ARP) != 0) {
        return REASON_NONE;
    }
    if ((k->parts & (HAS_PROTO | HAS_LEN)) != (HAS_PROTO | HAS_LEN)) {
        return REASON_CUT;
    }
    if ((k->parts & (IS_CUT_PACKET | IS_LATER_FRAGMENT)) != 0) {
        return REASON_NONE;
    }
    uint32_t needed = k->proto == BH_PROTO_TCP   ? HAS_SPT | HAS_DPT | HAS_URGP
                      : k->proto == BH_PROTO_UDP ? HAS_SPT | HAS_DPT | HAS_UDP_LEN
                      : k->proto == (k->src.family == 4 ? BH_PROTO_ICMP : BH_PROTO_ICMP6)
                          ? HAS_TYPE | HAS_CODE
                          : 0;
    return (k->parts & needed) == needed ? REASON_NONE : REASON_CUT;
}

/* Of TCP the length of the header is not logged: what no header can be is payload. */
static uint16_t
payload_of(const struct packet *k)
{
    uint32_t headers = (k->src.family == 4 ? 20 + k->option_len : 40);
    if (k->proto == BH_PROTO_UDP) {
        return (uint16_t)(k->udp_len < 8 ? 0 : k->udp_len - 8);
    }
    headers += k->proto == BH_PROTO_TCP ? 60 : 8;
    uint32_t n = k->ip_len > headers ? k->ip_len - headers : 0;
    return (uint16_t)(n < UINT16_MAX ? n : UINT16_MAX);
}

static void
put_addresses(const struct packet *k, uint8_t *ret_kind, uint32_t *ret_src, uint32_t *ret_dst,
              struct bh_ip6_pair *ret_pair)
{
    if (k->src.family == 4) {
        *ret_kind = BH_KIND_IP4;
        *ret_src = bh_get_be32(k->src.octets);
        *ret_dst = bh_get_be32(k->dst.octets);
        return;
    }
    *ret_kind = BH_KIND_IP6;
    *ret_pair = (struct bh_ip6_pair){ bh_get_be64(k->src.octets), bh_get_be64(k->src.octets + 8),
                                      bh_get_be64(k->dst.octets), bh_get_be64(k->dst.octets + 8) };
}

static bool
has_ports(const struct packet *k)
{
    return (k->parts & (HAS_SPT | HAS_DPT)) == (HAS_SPT | HAS_DPT);
}

static bool
put_quote(struct cell text, struct bh_quote *q)
{
    struct packet k = { 0 };
    if (!netfilter_words(&k, text.at, text.at + text.len, NULL) ||
        (k.parts & (HAS_SRC | HAS_DST | HAS_PROTO)) != (HAS_SRC | HAS_DST | HAS_PROTO) ||
        k.src.family == 0 || k.src.family != k.dst.family) {
        return false;
    }
    *q = (struct bh_quote){ .proto = k.proto };
    put_addresses(&k, &q->kind, &q->src, &q->dst, &q->ip6);
    q->has_ports = has_ports(&k);
    q->ports = q->has_ports ? k.sport << 16 | k.dport : 0;
    return true;
}

static uint8_t
direction_bits(const struct packet *k)
{
    if ((k->parts & (IS_LOOPBACK | IS_BROADCAST)) != 0) {
        return 0;
    }
    switch (k->parts & (HAS_IN | HAS_OUT)) {
    case HAS_IN:
        return ROW_IN;
    case HAS_OUT:
        return ROW_OUT;
    default:
        return 0; /* it went through */
    }
}

enum reason
netfilter_packet(struct cell text, struct item *ret_item)
{
    struct packet k = { 0 };
    struct cell quote = { "", 0 };
    if (!netfilter_words(&k, text.at, text.at + text.len, &quote)) {
        /* Which one? Addresses and protocols have reasons of their own. */
        return (k.parts & HAS_SRC) != 0 && k.src.family == 0   ? REASON_SRC_BAD
               : (k.parts & HAS_DST) != 0 && k.dst.family == 0 ? REASON_DST_BAD
               : (k.parts & HAS_PROTO) != 0 && k.proto == 0    ? REASON_PROTO_BAD
                                                               : REASON_NUMBER;
    }
    enum reason why = check(&k);
    if (why != REASON_NONE) {
        return why;
    }
    struct row *r = &ret_item->row;
    *r = (struct row){
        .weight = 1, .proto = k.proto, .ip_len = k.ip_len, .ttl = k.ttl, .bits = ROW_COLD
    };
    r->bits |= direction_bits(&k);
    put_addresses(&k, &r->kind, &r->src, &r->dst, &ret_item->pair);
    memset(&ret_item->side, 0, sizeof ret_item->side);
    ret_item->side.cold.src_mac = k.src_mac;
    ret_item->side.cold.ip_id = k.ip_id;
    ret_item->side.cold.window = k.window;
    ret_item->side.cold.df = k.df;
    if ((k.parts & IS_ARP) != 0) {
        if (r->kind != BH_KIND_IP4) {
            return REASON_SRC_BAD;
        }
        r->kind = BH_KIND_ARP;
        r->ports = k.type;
        r->ip_len = 0;
        return REASON_NONE;
    }
    if ((k.parts & IS_LATER_FRAGMENT) != 0) {
        r->marks = BH_MARK_FRAGMENT | BH_MARK_NO_PORTS;
    } else if ((k.parts & IS_CUT_PACKET) != 0) {
        r->marks = BH_MARK_TRUNCATED | BH_MARK_NO_PORTS;
    } else if (k.proto == BH_PROTO_TCP || k.proto == BH_PROTO_UDP) {
        r->ports = k.sport << 16 | k.dport;
        r->tcp_flags = k.proto == BH_PROTO_TCP ? k.flags : 0;
        r->tcp_seq = k.proto == BH_PROTO_TCP ? k.seq : 0;
        r->payload_len = payload_of(&k);
    } else if ((k.parts & HAS_TYPE) != 0) {
        r->ports = k.type << 16 | k.code;
        r->payload_len = payload_of(&k);
    } else {
        r->marks = BH_MARK_NO_PORTS;
    }
    if (quote.len > 0 && put_quote(quote, &ret_item->quote)) {
        r->bits |= ROW_QUOTE;
    }
    return REASON_NONE;
}
