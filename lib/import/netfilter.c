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
#include "import_priv.h"

/* Where the words of the kernel begin: only so many tokens (host, facility, tag, two of RFC 5424). */
#define TAG_TOKENS 8

enum part {
    HAS_SRC = 1 << 0,
    HAS_DST = 1 << 1,
    HAS_PROTO = 1 << 2,
    HAS_SPT = 1 << 3,
    HAS_DPT = 1 << 4,
    HAS_URGP = 1 << 5,
    HAS_UDP_LEN = 1 << 6,
    HAS_TYPE = 1 << 7,
    HAS_CODE = 1 << 8,
    IS_CUT_PACKET = 1 << 9, /* INCOMPLETE, TRUNCATED: the packet, not the line */
    IS_LATER_FRAGMENT = 1 << 10,
    IS_ARP = 1 << 11,
    HAS_IN = 1 << 12,
    HAS_OUT = 1 << 13,
    IS_LOOPBACK = 1 << 14,
    IS_BROADCAST = 1 << 15, /* to the link's broadcast address */
    HAS_LEN = 1 << 16,
};

struct packet {
    struct bh_ip src, dst;
    uint32_t parts;
    uint32_t ip_len, option_len, udp_len;
    uint32_t sport, dport, type, code, seq;
    uint64_t src_mac;
    uint16_t ip_id, window;
    uint8_t proto, flags, ttl, df;
    uint8_t icmp_len;
};

/* ---- finding the packet ---------------------------------------------------------------------------- */

static bool
begins(const char *p, const char *end, const char *word, size_t n)
{
    return (size_t)(end - p) >= n && memcmp(p, word, n) == 0;
}
#define BEGINS(p, end, word) begins(p, end, word, sizeof(word) - 1)

static const char *
token_end(const char *p, const char *end)
{
    while (p < end && *p != ' ') {
        p++;
    }
    return p;
}

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

/* "kernel:", "ulogd[312]:"; alone it is RFC 5424's and stands behind the host, which may be called so. */
static bool
is_tag_of(const char *name, size_t n, const char *p, const char *q, bool may_be_alone)
{
    size_t size = (size_t)(q - p);
    if (size < n || memcmp(p, name, n) != 0) {
        return false;
    }
    return size == n ? may_be_alone : (size == n + 1 && p[n] == ':') || (p[n] == '[' && is_process(p, q));
}

/* Whose line is it? "host kernel: [1.2] DROP IN=", "host DROP IN=" (ulogd), "- kernel - - - IN=". */
struct cell
netfilter_find(struct cell text)
{
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
        if (is_tag_of("kernel", 6, p, q, i > 0) || is_tag_of("ulogd", 5, p, q, i > 0)) {
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

/* ---- values ---------------------------------------------------------------------------------------- */

static bool
number(const char *p, const char *end, uint32_t max, uint32_t *ret)
{
    uint64_t v = 0;
    if (p == end || end - p > 10) {
        return false;
    }
    for (; p < end; p++) {
        unsigned digit = (unsigned)(uint8_t)*p - '0';
        if (digit > 9) {
            return false;
        }
        v = v * 10 + digit;
    }
    if (v > max) {
        return false;
    }
    *ret = (uint32_t)v;
    return true;
}

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool
dotted(const char *p, const char *end, uint32_t *ret)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        unsigned part = 0;
        const char *from = p;
        while (p < end && p - from < 3 && *p >= '0' && *p <= '9') {
            part = part * 10 + (unsigned)(*p++ - '0');
        }
        if (p == from || part > 255 || (i < 3 && (p == end || *p++ != '.'))) {
            return false;
        }
        v = v << 8 | part;
    }
    *ret = v;
    return p == end;
}

/* The kernel writes all 32 digits. */
static bool
full_ip6(const char *p, const char *end, struct bh_ip *ret)
{
    if (end - p != 39) {
        return false;
    }
    *ret = (struct bh_ip){ .family = 6 };
    for (unsigned i = 0; i < 8; i++, p += 5) {
        int a = hex_digit(p[0]), b = hex_digit(p[1]), c = hex_digit(p[2]), d = hex_digit(p[3]);
        if ((a | b | c | d) < 0 || (i < 7 && p[4] != ':')) {
            return false;
        }
        ret->octets[2 * i] = (uint8_t)(a << 4 | b);
        ret->octets[2 * i + 1] = (uint8_t)(c << 4 | d);
    }
    return true;
}

static bool
address(const char *p, const char *end, struct bh_ip *ret)
{
    uint32_t v4;
    if (dotted(p, end, &v4)) {
        *ret = bh_ip_from_v4(v4);
        return true;
    }
    return full_ip6(p, end, ret) || bh_ip_parse(p, (size_t)(end - p), ret);
}

/* "dst:src:type" of Ethernet: 14 octets. */
static void
mac(struct packet *k, const char *p, const char *end)
{
    uint64_t src = 0;
    bool is_broadcast = true;
    if (end - p != 41) {
        return;
    }
    for (unsigned i = 0; i < 12; i++, p += 3) {
        int a = hex_digit(p[0]), b = hex_digit(p[1]);
        if ((a | b) < 0 || p[2] != ':') {
            return;
        }
        if (i < 6) {
            is_broadcast &= (a & b) == 15;
        } else {
            src = src << 8 | (uint64_t)(a << 4 | b);
        }
    }
    k->src_mac = src;
    k->parts |= is_broadcast ? IS_BROADCAST : 0;
}

static bool
proto(const char *p, const char *end, uint8_t *ret)
{
    size_t n = (size_t)(end - p);
    if (n == 3 && memcmp(p, "TCP", 3) == 0) {
        *ret = BH_PROTO_TCP;
    } else if (n == 3 && memcmp(p, "UDP", 3) == 0) {
        *ret = BH_PROTO_UDP;
    } else if (n == 4 && memcmp(p, "ICMP", 4) == 0) {
        *ret = BH_PROTO_ICMP;
    } else if (n == 6 && memcmp(p, "ICMPv6", 6) == 0) {
        *ret = BH_PROTO_ICMP6;
    } else {
        int v = n > 0 ? cell_proto((struct cell){ p, n }) : -1;
        if (v < 0) {
            return false;
        }
        *ret = (uint8_t)v;
    }
    return true;
}

/* ---- the words ------------------------------------------------------------------------------------- */

static void
flag_word(struct packet *k, const char *p, size_t n)
{
    static const struct {
        char name[4];
        uint8_t flag;
    } flags[] = { { "SYN", BH_TCP_SYN }, { "ACK", BH_TCP_ACK }, { "RST", BH_TCP_RST }, { "FIN", BH_TCP_FIN },
                  { "PSH", BH_TCP_PSH }, { "URG", BH_TCP_URG }, { "ECE", BH_TCP_ECE }, { "CWR", BH_TCP_CWR } };
    if (n == 2 && memcmp(p, "DF", 2) == 0) {
        k->df = 1;
    }
    for (size_t i = 0; n == 3 && i < BH_COUNT(flags); i++) {
        if (memcmp(p, flags[i].name, 3) == 0) {
            k->flags |= flags[i].flag;
            return;
        }
    }
    if ((n == 10 && memcmp(p, "INCOMPLETE", 10) == 0) || (n == 9 && memcmp(p, "TRUNCATED", 9) == 0)) {
        k->parts |= IS_CUT_PACKET;
    } else if (n == 3 && memcmp(p, "ARP", 3) == 0) {
        k->parts |= IS_ARP;
    } else if (n > 5 && memcmp(p, "FRAG:", 5) == 0) {
        uint32_t offset = 0;
        k->parts |= number(p + 5, p + n, UINT16_MAX, &offset) && offset > 0 ? IS_LATER_FRAGMENT : 0;
    }
}

static bool
interface(struct packet *k, const char *v, const char *end, uint32_t part)
{
    if (v < end) {
        k->parts |= part | (end - v == 2 && memcmp(v, "lo", 2) == 0 ? IS_LOOPBACK : 0);
    }
    return true;
}

/* A number of less than 32 bits is stored by who asked. */
static bool
small(const char *p, const char *end, uint32_t max, uint8_t *ret8, uint16_t *ret16)
{
    uint32_t v;
    if (!number(p, end, max, &v)) {
        return false;
    }
    if (ret8 != NULL) {
        *ret8 = (uint8_t)v;
    } else {
        *ret16 = (uint16_t)v;
    }
    return true;
}

static bool
length(struct packet *k, const char *v, const char *end)
{
    if ((k->parts & HAS_PROTO) == 0) {
        k->parts |= HAS_LEN;
        return number(v, end, 65575, &k->ip_len); /* of IPv6 with its header */
    }
    k->parts |= HAS_UDP_LEN;
    return number(v, end, UINT16_MAX, &k->udp_len);
}

enum word {
    WORD_OTHER,
    WORD_IN,
    WORD_OUT,
    WORD_MAC,
    WORD_SRC,
    WORD_DST,
    WORD_LEN,
    WORD_TTL,
    WORD_ID,
    WORD_PROTO,
    WORD_SPT,
    WORD_DPT,
    WORD_SEQ,
    WORD_WINDOW,
    WORD_URGP,
    WORD_TYPE,
    WORD_CODE,
    WORD_OPCODE,
};

/* Three letters and '=' are one number to compare with; most keys have so many. */
static enum word
find_key(const char *p, size_t n)
{
    static const struct {
        char name[9];
        uint8_t len, key;
    } keys[] = { { "SRC", 3, WORD_SRC },       { "DST", 3, WORD_DST },     { "LEN", 3, WORD_LEN },   { "TTL", 3, WORD_TTL },
                 { "SPT", 3, WORD_SPT },       { "DPT", 3, WORD_DPT },     { "MAC", 3, WORD_MAC },   { "OUT", 3, WORD_OUT },
                 { "SEQ", 3, WORD_SEQ },       { "IN", 2, WORD_IN },       { "ID", 2, WORD_ID },     { "PROTO", 5, WORD_PROTO },
                 { "WINDOW", 6, WORD_WINDOW }, { "URGP", 4, WORD_URGP },   { "TYPE", 4, WORD_TYPE }, { "CODE", 4, WORD_CODE },
                 { "HOPLIMIT", 8, WORD_TTL },  { "IPSRC", 5, WORD_SRC },   { "IPDST", 5, WORD_DST }, { "OPCODE", 6, WORD_OPCODE } };
    if (n < 2 || n > 8) {
        return WORD_OTHER;
    }
    for (size_t i = 0; i < BH_COUNT(keys); i++) {
        if (keys[i].len == n && keys[i].name[0] == p[0] && memcmp(keys[i].name, p, n) == 0) {
            return (enum word)keys[i].key;
        }
    }
    return WORD_OTHER;
}

/* One KEY=VALUE. False: a value that is none. */
static bool
field(struct packet *k, const char *p, const char *eq, const char *end)
{
    const char *v = eq + 1;
    switch (find_key(p, (size_t)(eq - p))) {
    case WORD_IN:
        return interface(k, v, end, HAS_IN);
    case WORD_OUT:
        return interface(k, v, end, HAS_OUT);
    case WORD_MAC:
        mac(k, v, end);
        return true;
    case WORD_SRC:
        k->parts |= HAS_SRC;
        return address(v, end, &k->src);
    case WORD_DST:
        k->parts |= HAS_DST;
        return address(v, end, &k->dst);
    case WORD_LEN:
        return length(k, v, end);
    case WORD_TTL:
        return small(v, end, 255, &k->ttl, NULL);
    case WORD_ID: /* behind the protocol that of a ping */
        return (k->parts & HAS_PROTO) != 0 || small(v, end, UINT16_MAX, NULL, &k->ip_id);
    case WORD_PROTO:
        k->parts |= HAS_PROTO;
        return proto(v, end, &k->proto);
    case WORD_SPT:
        k->parts |= HAS_SPT;
        return number(v, end, UINT16_MAX, &k->sport);
    case WORD_DPT:
        k->parts |= HAS_DPT;
        return number(v, end, UINT16_MAX, &k->dport);
    case WORD_SEQ:
        return number(v, end, UINT32_MAX, &k->seq);
    case WORD_WINDOW:
        return small(v, end, UINT16_MAX, NULL, &k->window);
    case WORD_URGP:
        k->parts |= HAS_URGP;
        return true;
    case WORD_TYPE:
        k->parts |= HAS_TYPE;
        return number(v, end, 255, &k->type);
    case WORD_CODE:
        k->parts |= HAS_CODE;
        return number(v, end, 255, &k->code);
    case WORD_OPCODE:
        return number(v, end, UINT16_MAX, &k->type);
    default:
        return true;
    }
}

/* All words up to the end, or up to a quoted packet: that is given back. */
static bool
words(struct packet *k, const char *p, const char *end, struct cell *ret_quote)
{
    while (p < end) {
        if (*p == ' ') {
            p++;
            continue;
        }
        if (*p == '(') { /* OPT (020405B4): IP options before the protocol, TCP's behind it */
            const char *q = token_end(p, end);
            size_t digits = (size_t)(q - p) - 1 - (q[-1] == ')');
            if ((k->parts & HAS_PROTO) == 0) {
                k->option_len += (uint32_t)(digits / 2);
            }
            p = q;
            continue;
        }
        if (ret_quote != NULL && BEGINS(p, end, "[SRC=")) {
            const char *close = memchr(p, ']', (size_t)(end - p));
            *ret_quote = (struct cell){ p + 1, (size_t)((close == NULL ? end : close) - p) - 1 };
            p = close == NULL ? end : close + 1;
            continue;
        }
        const char *from = p;
        const char *eq = NULL;
        for (; p < end && *p != ' '; p++) {
            eq = *p == '=' && eq == NULL ? p : eq;
        }
        if (eq == NULL) {
            flag_word(k, from, (size_t)(p - from));
        } else if (!field(k, from, eq, p)) {
            return false;
        }
    }
    return true;
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
    uint32_t needed = k->proto == BH_PROTO_TCP                                      ? HAS_SPT | HAS_DPT | HAS_URGP
                      : k->proto == BH_PROTO_UDP                                    ? HAS_SPT | HAS_DPT | HAS_UDP_LEN
                      : k->proto == (k->src.family == 4 ? BH_PROTO_ICMP : BH_PROTO_ICMP6) ? HAS_TYPE | HAS_CODE
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
    if (!words(&k, text.at, text.at + text.len, NULL) || (k.parts & (HAS_SRC | HAS_DST | HAS_PROTO)) != (HAS_SRC | HAS_DST | HAS_PROTO) ||
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
    if (!words(&k, text.at, text.at + text.len, &quote)) {
        /* Which one? Addresses and protocols have reasons of their own. */
        return (k.parts & HAS_SRC) != 0 && k.src.family == 0   ? REASON_SRC_BAD
               : (k.parts & HAS_DST) != 0 && k.dst.family == 0 ? REASON_DST_BAD
               : (k.parts & HAS_PROTO) != 0 && k.proto == 0 ? REASON_PROTO_BAD
                                                            : REASON_NUMBER;
    }
    enum reason why = check(&k);
    if (why != REASON_NONE) {
        return why;
    }
    struct row *r = &ret_item->row;
    *r = (struct row){ .weight = 1, .proto = k.proto, .ip_len = k.ip_len, .ttl = k.ttl, .bits = ROW_COLD };
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
