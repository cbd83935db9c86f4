/* SPDX-License-Identifier: BSD-2-Clause */
/* The words of a line of the packet log: see netfilter.c. */
#include "netfilter_priv.h"

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
    for (unsigned digit; p < end && (digit = (unsigned)(uint8_t)*p - '0') <= 9 && p - from < 11;
         p++) {
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

/* Up to three digits and what follows them; 16 octets can be read. */
static inline const char *
octet(const char *p, unsigned *ret)
{
    unsigned v = (unsigned)(uint8_t)p[0] - '0';
    unsigned digit = (unsigned)(uint8_t)p[1] - '0';
    if (v > 9) {
        *ret = 256;
        return p;
    }
    p++;
    if (digit <= 9) {
        v = v * 10 + digit;
        digit = (unsigned)(uint8_t) * ++p - '0';
        if (digit <= 9) {
            v = v * 10 + digit;
            p++;
        }
    }
    *ret = v;
    return p;
}

static inline const char *
dotted(const char *p, const char *end, uint32_t *ret)
{
    char copy[16];
    unsigned a, b, c, d;
    const char *const from = p;
    const bool is_near_end = end - p < (ptrdiff_t)sizeof copy;
    if (BH_UNLIKELY(is_near_end)) {
        size_t n = (size_t)(end - p);
        memcpy(copy, p, n);
        memset(copy + n, ' ', sizeof copy - n);
        p = copy;
    }
    const char *const at = p;
    p = octet(p, &a);
    bool good = *p == '.';
    p = octet(p + good, &b);
    good &= *p == '.';
    p = octet(p + good, &c);
    good &= *p == '.';
    p = octet(p + good, &d);
    *ret = a << 24 | b << 16 | c << 8 | d;
    good &= (a | b | c | d) < 256 && *p == ' ';
    return good ? from + (p - at) : NULL;
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
    if (full_ip6(p, behind, ret) ||
        (bh_ip_parse(p, (size_t)(behind - p), ret) && ret->family == 6)) {
        return behind;
    }
    *ret = (struct bh_ip){ 0 };
    return NULL;
}

/* "dst:src:type" of Ethernet: 14 octets. Other links' are passed over. */
static const char *
mac(struct packet *k, const char *p, const char *end)
{
    if (end - p < 41 || (end - p > 41 && p[41] != ' ')) {
        return token_end(p, end);
    }
    k->parts |= memcmp(p, "ff:ff:ff:ff:ff:ff", 17) == 0 ? IS_BROADCAST : 0;
    const char *const behind = p + 41;
    uint64_t src = 0;
    int bad = 0;
    p += 18;
    for (unsigned i = 0; i < 6; i++, p += 3) {
        int a = hex_digit(p[0]), b = hex_digit(p[1]);
        bad |= a | b;
        src = src << 8 | (((unsigned)a << 4 | (unsigned)b) & 255);
    }
    k->src_mac = bad < 0 ? 0 : src;
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

#define FOUR(a, b, c, d)                                                                           \
    ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

/* A word that is no KEY=VALUE. */
static void
bare_word(struct packet *k, const char *p, size_t n)
{
    static const struct {
        char name[4];
        uint8_t flag;
    } flags[] = { { "SYN", BH_TCP_SYN }, { "ACK", BH_TCP_ACK }, { "RST", BH_TCP_RST },
                  { "FIN", BH_TCP_FIN }, { "PSH", BH_TCP_PSH }, { "URG", BH_TCP_URG },
                  { "ECE", BH_TCP_ECE }, { "CWR", BH_TCP_CWR } };
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
    } else if ((n == 10 && memcmp(p, "INCOMPLETE", 10) == 0) ||
               (n == 9 && memcmp(p, "TRUNCATED", 9) == 0)) {
        k->parts |= IS_CUT_PACKET;
    } else if (n > 5 && memcmp(p, "FRAG:", 5) == 0) {
        uint32_t offset = 0;
        k->parts |=
            number(p + 5, p + n, UINT16_MAX, &offset) != NULL && offset > 0 ? IS_LATER_FRAGMENT : 0;
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
        return token_end(p + 4, end);
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
        return token_end(p + 4, end);
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

bool
netfilter_words(struct packet *k, const char *p, const char *end, struct cell *ret_quote)
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
