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

/* Where the words of the kernel begin: only so many tokens (host, facility, tag; a prefix without one). */
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
    const char *in = (q - p == 6 && memcmp(p, "kernel", 6) == 0) || (q - p == 5 && memcmp(p, "ulogd", 5) == 0) ? find_in(q, end) : NULL;
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

/* ---- values ----------------------------------------------------------------------------------------
 *
 * Each is read from `p` on and gives where it ended, or NULL when it is none: behind it stands a blank
 * or nothing.
 */

static inline const char *
ended(const char *p, const char *end)
{
    return p == end || *p == ' ' ? p : NULL;
}

static inline const char *
number(const char *p, const char *end, uint32_t max, uint32_t *ret)
{
    const char *const from = p;
    uint64_t v = 0;
    for (unsigned digit; p < end && (digit = (unsigned)(uint8_t)*p - '0') <= 9 && p - from < 11; p++) {
        v = v * 10 + digit;
    }
    if (p == from || v > max) {
        return NULL;
    }
    *ret = (uint32_t)v;
    return ended(p, end);
}

static const int8_t hex_value[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

/* -1: none */
static inline int
hex_digit(char c)
{
    return hex_value[(uint8_t)c] - 1;
}

static const char *
dotted(const char *p, const char *end, uint32_t *ret)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        const char *from = p;
        unsigned part = 0;
        for (unsigned digit; p < end && (digit = (unsigned)(uint8_t)*p - '0') <= 9 && p - from < 3; p++) {
            part = part * 10 + digit;
        }
        if (p == from || part > 255 || (i < 3 && (p == end || *p++ != '.'))) {
            return NULL;
        }
        v = v << 8 | part;
    }
    *ret = v;
    return ended(p, end);
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

static const char *
address(const char *p, const char *end, struct bh_ip *ret)
{
    uint32_t v4;
    const char *behind = dotted(p, end, &v4);
    if (BH_LIKELY(behind != NULL)) {
        *ret = bh_ip_from_v4(v4);
        return behind;
    }
    behind = token_end(p, end);
    if (full_ip6(p, behind, ret) || (bh_ip_parse(p, (size_t)(behind - p), ret) && ret->family == 6)) {
        return behind;
    }
    *ret = (struct bh_ip){ 0 };
    return NULL;
}

/* "dst:src:type" of Ethernet: 14 octets. Other links' are passed over. */
static const char *
mac(struct packet *k, const char *p, const char *end)
{
    const char *behind = token_end(p, end);
    uint64_t src = 0;
    unsigned all_ones = 255;
    int bad = 0;
    if (behind - p != 41) {
        return behind;
    }
    for (unsigned i = 0; i < 12; i++, p += 3) {
        int a = hex_digit(p[0]), b = hex_digit(p[1]);
        unsigned octet = (unsigned)(a << 4 | b) & 255;
        bad |= a | b | (p[2] == ':' ? 0 : -1);
        all_ones &= i < 6 ? octet : 255;
        src = src << 8 | octet; /* the first six fall out */
    }
    if (bad >= 0) {
        k->src_mac = src & 0xffffffffffff;
        k->parts |= all_ones == 255 ? IS_BROADCAST : 0;
    }
    return behind;
}

static const char *
proto(const char *p, const char *end, uint8_t *ret)
{
    const char *behind = token_end(p, end);
    size_t n = (size_t)(behind - p);
    if (n == 3 && memcmp(p, "TCP", 3) == 0) {
        *ret = BH_PROTO_TCP;
    } else if (n == 3 && memcmp(p, "UDP", 3) == 0) {
        *ret = BH_PROTO_UDP;
    } else if (n == 6 && memcmp(p, "ICMPv6", 6) == 0) {
        *ret = BH_PROTO_ICMP6;
    } else {
        int v = n > 0 ? cell_proto((struct cell){ p, n }) : -1;
        if (v < 0) {
            return NULL;
        }
        *ret = (uint8_t)v;
    }
    return behind;
}

static const char *
interface(struct packet *k, const char *p, const char *end, uint32_t part)
{
    const char *behind = token_end(p, end);
    if (behind > p) {
        k->parts |= part | (behind - p == 2 && memcmp(p, "lo", 2) == 0 ? IS_LOOPBACK : 0);
    }
    return behind;
}

/* The first is the packet's, one behind the protocol UDP's. */
static const char *
length(struct packet *k, const char *p, const char *end)
{
    if ((k->parts & HAS_PROTO) == 0) {
        k->parts |= HAS_LEN;
        return number(p, end, 65575, &k->ip_len); /* of IPv6 with its header */
    }
    k->parts |= HAS_UDP_LEN;
    return number(p, end, UINT16_MAX, &k->udp_len);
}

/* ---- the words ------------------------------------------------------------------------------------- */

#define FOUR(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

/* A word that is no KEY=VALUE. */
static void
bare_word(struct packet *k, const char *p, size_t n)
{
    static const struct {
        char name[4];
        uint8_t flag;
    } flags[] = { { "SYN", BH_TCP_SYN }, { "ACK", BH_TCP_ACK }, { "RST", BH_TCP_RST }, { "FIN", BH_TCP_FIN },
                  { "PSH", BH_TCP_PSH }, { "URG", BH_TCP_URG }, { "ECE", BH_TCP_ECE }, { "CWR", BH_TCP_CWR } };
    if (n == 3) {
        for (size_t i = 0; i < BH_COUNT(flags); i++) {
            if (memcmp(p, flags[i].name, 3) == 0) {
                k->flags |= flags[i].flag;
                return;
            }
        }
        k->parts |= memcmp(p, "ARP", 3) == 0 ? IS_ARP : 0;
    } else if (n == 2 && memcmp(p, "DF", 2) == 0) {
        k->df = 1;
    } else if ((n == 10 && memcmp(p, "INCOMPLETE", 10) == 0) || (n == 9 && memcmp(p, "TRUNCATED", 9) == 0)) {
        k->parts |= IS_CUT_PACKET;
    } else if (n > 5 && memcmp(p, "FRAG:", 5) == 0) {
        uint32_t offset = 0;
        k->parts |= number(p + 5, p + n, UINT16_MAX, &offset) != NULL && offset > 0 ? IS_LATER_FRAGMENT : 0;
    }
}

/* Keys of more than three letters, told by their first four: is it, and where is the value? */
static const char *
behind_key(const char *p, const char *end, const char *key, size_t n)
{
    return begins(p, end, key, n) ? p + n : NULL;
}
#define BEHIND(key) behind_key(p, end, key, sizeof(key) - 1)

/* What few packets have. NULL: not understood; `p` itself: this is none of them. */
static const char *
rare_word(struct packet *k, uint32_t four, const char *p, const char *end)
{
    const char *v;
    uint32_t n;
    switch (four) {
    case FOUR('S', 'E', 'Q', '='):
        return number(p + 4, end, UINT32_MAX, &k->seq);
    case FOUR('T', 'Y', 'P', 'E'):
        if ((v = BEHIND("TYPE=")) != NULL) {
            k->parts |= HAS_TYPE;
            return number(v, end, 255, &k->type);
        }
        return p;
    case FOUR('C', 'O', 'D', 'E'):
        if ((v = BEHIND("CODE=")) != NULL) {
            k->parts |= HAS_CODE;
            return number(v, end, 255, &k->code);
        }
        return p;
    case FOUR('H', 'O', 'P', 'L'):
        if ((v = BEHIND("HOPLIMIT=")) != NULL && (v = number(v, end, 255, &n)) != NULL) {
            k->ttl = (uint8_t)n;
        }
        return v;
    case FOUR('I', 'P', 'S', 'R'): /* of ARP */
        if ((v = BEHIND("IPSRC=")) != NULL) {
            k->parts |= HAS_SRC;
            return address(v, end, &k->src);
        }
        return p;
    case FOUR('I', 'P', 'D', 'S'):
        if ((v = BEHIND("IPDST=")) != NULL) {
            k->parts |= HAS_DST;
            return address(v, end, &k->dst);
        }
        return p;
    case FOUR('O', 'P', 'C', 'O'):
        return (v = BEHIND("OPCODE=")) != NULL ? number(v, end, UINT16_MAX, &k->type) : p;
    default:
        return p;
    }
}

/* What nearly every line has. The same. */
static inline const char *
usual_word(struct packet *k, const char *p, const char *end)
{
    const char *v;
    uint32_t n;
    if (end - p < 4) {
        return begins(p, end, "IN=", 3) ? interface(k, p + 3, end, HAS_IN) : p;
    }
    const uint32_t four = bh_get_le32((const uint8_t *)p);
    switch (four) {
    case FOUR('O', 'U', 'T', '='):
        return interface(k, p + 4, end, HAS_OUT);
    case FOUR('M', 'A', 'C', '='):
        return mac(k, p + 4, end);
    case FOUR('S', 'R', 'C', '='):
        k->parts |= HAS_SRC;
        return address(p + 4, end, &k->src);
    case FOUR('D', 'S', 'T', '='):
        k->parts |= HAS_DST;
        return address(p + 4, end, &k->dst);
    case FOUR('L', 'E', 'N', '='):
        return length(k, p + 4, end);
    case FOUR('T', 'O', 'S', '='):
    case FOUR('P', 'R', 'E', 'C'):
    case FOUR('R', 'E', 'S', '='):
        return token_end(p, end);
    case FOUR('T', 'T', 'L', '='):
        v = number(p + 4, end, 255, &n);
        k->ttl = v != NULL ? (uint8_t)n : 0;
        return v;
    case FOUR('P', 'R', 'O', 'T'):
        if ((v = BEHIND("PROTO=")) != NULL) {
            k->parts |= HAS_PROTO;
            return proto(v, end, &k->proto);
        }
        return p;
    case FOUR('S', 'P', 'T', '='):
        k->parts |= HAS_SPT;
        return number(p + 4, end, UINT16_MAX, &k->sport);
    case FOUR('D', 'P', 'T', '='):
        k->parts |= HAS_DPT;
        return number(p + 4, end, UINT16_MAX, &k->dport);
    case FOUR('W', 'I', 'N', 'D'):
        if ((v = BEHIND("WINDOW=")) != NULL && (v = number(v, end, UINT16_MAX, &n)) != NULL) {
            k->window = (uint16_t)n;
        }
        return v;
    case FOUR('U', 'R', 'G', 'P'):
        k->parts |= BEHIND("URGP=") != NULL ? HAS_URGP : 0;
        return token_end(p, end);
    default:
        break;
    }
    if ((four & 0xffffff) == FOUR('I', 'N', '=', 0)) {
        return interface(k, p + 3, end, HAS_IN);
    }
    if ((four & 0xffffff) == FOUR('I', 'D', '=', 0)) { /* behind the protocol that of a ping */
        v = number(p + 3, end, UINT16_MAX, &n);
        k->ip_id = v != NULL && (k->parts & HAS_PROTO) == 0 ? (uint16_t)n : k->ip_id;
        return v;
    }
    return rare_word(k, four, p, end);
}

/* OPT (020405B4): IP options before the protocol, TCP's behind it. */
static const char *
options(struct packet *k, const char *p, const char *end)
{
    const char *q = token_end(p, end);
    size_t digits = (size_t)(q - p) - 1 - (q[-1] == ')' && q - p > 1);
    if ((k->parts & HAS_PROTO) == 0) {
        k->option_len += (uint32_t)(digits / 2);
    }
    return q;
}

/* All words up to the end; a quoted packet is given back. */
static bool
words(struct packet *k, const char *p, const char *end, struct cell *ret_quote)
{
    while (p < end) {
        if (*p == ' ') {
            p++;
            continue;
        }
        if (*p == '(') {
            p = options(k, p, end);
            continue;
        }
        if (ret_quote != NULL && BEGINS(p, end, "[SRC=")) {
            const char *close = memchr(p, ']', (size_t)(end - p));
            *ret_quote = (struct cell){ p + 1, (size_t)((close == NULL ? end : close) - p) - 1 };
            p = close == NULL ? end : close + 1;
            continue;
        }
        const char *behind = usual_word(k, p, end);
        if (behind == p) {
            behind = token_end(p, end);
            bare_word(k, p, (size_t)(behind - p));
        }
        if (behind == NULL) {
            return false;
        }
        p = behind;
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
