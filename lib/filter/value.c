/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * value.c - what stands behind a qualifier: addresses, networks, ports, flags, names.
 *
 * A list joined by commas means any of them. Countries and address classes: country.c.
 */
#include "filter_priv.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "bh_option.h"

const char *const filter_end_text[] = {
    [END_EITHER] = "", [END_SRC] = "src ", [END_DST] = "dst ", [END_BOTH] = "src and dst "
};

char *
filter_leaf_text(const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    return n < 0 ? NULL : text;
}

static bool
is_digits(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return false;
        }
    }
    return len > 0;
}

static bool
read_number(const char *s, size_t len, uint64_t max, uint64_t *ret)
{
    unsigned base = 10;
    if (len > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
        base = 16;
        s += 2;
        len -= 2;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 99;
        if (digit >= base) {
            return false;
        }
        v = v * base + digit;
        if (v > max) {
            return false;
        }
    }
    *ret = v;
    return len > 0;
}

int
filter_number(struct parser *p, const struct token *t, const char *text, size_t len, uint32_t max,
              uint32_t *ret_number)
{
    uint64_t v;
    if (!read_number(text, len, max, &v)) {
        return filter_fail(p, t, BH_EUSAGE, "a number from 0 to %u was expected",
                           "0 から %u までの数が必要です", (unsigned)max);
    }
    *ret_number = (uint32_t)v;
    return 0;
}

bool
filter_is_address(const struct token *t)
{
    const char *slash = memchr(t->at, '/', t->len);
    size_t len = slash == NULL ? t->len : (size_t)(slash - t->at);
    struct bh_ip ip;
    return bh_ip_parse(t->at, len, &ip);
}

/* ---- hosts and networks ------------------------------------------------------------------- */

/* Why a text that should be an address is none. */
static int
bad_address(struct parser *p, const struct filter_item *v)
{
    bool is_name = false;
    for (size_t i = 0; i < v->len; i++) {
        is_name |= isalpha((unsigned char)v->at[i]) != 0;
    }
    if (is_name && memchr(v->at, ':', v->len) == NULL) {
        const char *near = filter_word_nearest(v->token);
        return filter_fail(
            p, v->token, BH_EUSAGE, "names are not looked up: give the address in numbers%s%s%s",
            "名前は調べません。アドレスを数字で書いてください%s%s%s", near == NULL ? "" : " (",
            near == NULL ? "" : near, near == NULL ? "" : "?)");
    }
    return filter_fail(p, v->token, BH_EUSAGE, "not an address (such as 192.0.2.1 or 2001:db8::1)",
                       "アドレスではありません (例: 192.0.2.1、2001:db8::1)");
}

static void
mask_node(struct node *n, const struct bh_ip *ip, unsigned bits)
{
    if (ip->family == 4) {
        n->op = OP_NET4;
        n->b = bits == 0 ? 0 : UINT32_MAX << (32 - bits);
        n->a = bh_get_be32(ip->octets) & n->b;
        return;
    }
    n->op = OP_NET6;
    n->mask_hi = bits == 0 ? 0 : bits >= 64 ? UINT64_MAX : UINT64_MAX << (64 - bits);
    n->mask_lo = bits <= 64 ? 0 : UINT64_MAX << (128 - bits);
    n->hi = bh_get_be64(ip->octets) & n->mask_hi;
    n->lo = bh_get_be64(ip->octets + 8) & n->mask_lo;
}

static struct bh_ip
node_network(const struct node *n)
{
    return n->op == OP_NET4 ? bh_ip_from_v4(n->a) : bh_ip_from_v6(n->hi, n->lo);
}

static int
host_value(struct parser *p, enum end end, const struct filter_item *v)
{
    struct bh_ip ip;
    if (!bh_ip_parse(v->at, v->len, &ip)) {
        if (memchr(v->at, '/', v->len) != NULL) {
            return filter_fail(p, v->token, BH_EUSAGE, "host takes one address; write net",
                               "host はアドレス 1 つです。net と書いてください");
        }
        return bad_address(p, v);
    }
    struct node n = { .end = end };
    mask_node(&n, &ip, ip.family == 4 ? 32 : 128);
    char text[BH_IP_TEXT_MAX];
    bh_ip_format(&ip, text);
    n.text = filter_leaf_text("%shost %s", filter_end_text[end], text);
    return filter_push(p, v->token, &n);
}

/* "10", "10.1", "10.1.2": pcap's short networks, as /8, /16, /24. */
static bool
short_network(const struct filter_item *v, struct bh_ip *ret_ip, unsigned *ret_bits)
{
    char text[32];
    unsigned dots = 0;
    for (size_t i = 0; i < v->len; i++) {
        dots += v->at[i] == '.';
        if (v->at[i] != '.' && (v->at[i] < '0' || v->at[i] > '9')) {
            return false;
        }
    }
    if (dots > 2 || v->len > 11) {
        return false;
    }
    int n = snprintf(text, sizeof text, "%.*s%s", (int)v->len, v->at, &".0.0.0"[2 * dots]);
    *ret_bits = 8 * (dots + 1);
    return bh_ip_parse(text, (size_t)n, ret_ip);
}

/* The length of the prefix: "/24", " mask 255.255.255.0", or none. */
static int
prefix_bits(struct parser *p, const struct filter_item *v, const char *slash,
            const struct bh_ip *ip, unsigned *ret_bits)
{
    unsigned max = ip->family == 4 ? 32 : 128;
    *ret_bits = max;
    if (slash != NULL) {
        uint32_t bits;
        const char *digits = slash + 1;
        size_t len = v->len - (size_t)(digits - v->at);
        if (!is_digits(digits, len)) {
            return filter_fail(p, v->token, BH_EUSAGE,
                               "a number from 0 to %u was expected behind the /",
                               "/ の後に 0 から %u までの数が必要です", max);
        }
        int r = filter_number(p, v->token, digits, len, max, &bits);
        *ret_bits = r < 0 ? 0 : bits;
        return r;
    }
    if (!filter_token_is(&p->tokens[p->at], "mask")) {
        return 0;
    }
    const struct token *t = &p->tokens[++p->at];
    struct bh_ip mask;
    if (ip->family != 4 || t->type != TOKEN_WORD || !bh_ip_parse(t->at, t->len, &mask) ||
        mask.family != 4) {
        return filter_fail(p, t, BH_EUSAGE, "mask takes an IPv4 mask such as 255.255.255.0",
                           "mask の後は 255.255.255.0 のような IPv4 のマスクです");
    }
    uint32_t m = bh_get_be32(mask.octets);
    if ((~m & (~m + 1)) != 0) {
        return filter_fail(p, t, BH_EUSAGE, "a mask is ones followed by zeros",
                           "マスクは 1 の並びの後に 0 の並びです");
    }
    *ret_bits = m == 0 ? 0 : 32 - (unsigned)__builtin_ctz(m);
    p->at++;
    return 0;
}

static int
net_value(struct parser *p, enum end end, const struct filter_item *v)
{
    const char *slash = memchr(v->at, '/', v->len);
    struct bh_ip ip;
    unsigned bits;
    if (slash != NULL || !short_network(v, &ip, &bits)) {
        if (!bh_ip_parse(v->at, slash == NULL ? v->len : (size_t)(slash - v->at), &ip)) {
            return bad_address(p, v);
        }
        int r = prefix_bits(p, v, slash, &ip, &bits);
        if (r < 0) {
            return r;
        }
    }
    struct node n = { .end = end };
    mask_node(&n, &ip, bits);
    struct bh_ip network = node_network(&n);
    char text[BH_IP_TEXT_MAX];
    bh_ip_format(&network, text);
    if (bh_ip_cmp(&network, &ip) != 0) {
        return filter_fail(
            p, v->token, BH_EUSAGE, "has bits set behind the prefix; the network is %s/%u",
            "ネットワーク部より後のビットが立っています。正しくは %s/%u です", text, bits);
    }
    n.text = filter_leaf_text("%snet %s/%u", filter_end_text[end], text, bits);
    return filter_push(p, v->token, &n);
}

/* ---- ports -------------------------------------------------------------------------------- */

/* Names are a fixed list and never the system's: a filter means the same everywhere. */
static const struct service {
    const char *name;
    uint16_t port;
} services[] = {
    { "ftp", 21 },          { "ssh", 22 },     { "telnet", 23 },        { "smtp", 25 },
    { "domain", 53 },       { "dns", 53 },     { "tftp", 69 },          { "http", 80 },
    { "pop3", 110 },        { "ntp", 123 },    { "netbios-ns", 137 },   { "netbios-ssn", 139 },
    { "imap", 143 },        { "snmp", 161 },   { "bgp", 179 },          { "ldap", 389 },
    { "https", 443 },       { "smb", 445 },    { "microsoft-ds", 445 }, { "submission", 587 },
    { "ldaps", 636 },       { "imaps", 993 },  { "pop3s", 995 },        { "ms-sql", 1433 },
    { "ms-sql-m", 1434 },   { "mysql", 3306 }, { "rdp", 3389 },         { "sip", 5060 },
    { "postgresql", 5432 }, { "adb", 5555 },   { "vnc", 5900 },         { "redis", 6379 },
};

static int
port_number(struct parser *p, const struct filter_item *v, const char *s, size_t len,
            uint32_t *ret_port)
{
    if (is_digits(s, len) || len == 0) {
        return filter_number(p, v->token, s, len, 65535, ret_port);
    }
    const char *names[BH_COUNT(services)];
    for (size_t i = 0; i < BH_COUNT(services); i++) {
        names[i] = services[i].name;
        if (strlen(names[i]) == len && strncasecmp(names[i], s, len) == 0) {
            *ret_port = services[i].port;
            return 0;
        }
    }
    char word[32];
    snprintf(word, sizeof word, "%.*s", len < sizeof word ? (int)len : 0, s);
    const char *near = bh_nearest(word, names, BH_COUNT(names));
    if (near != NULL) {
        return filter_fail(p, v->token, BH_EUNKNOWN, "not a port; did you mean %s?",
                           "ポートではありません。%s ではありませんか", near);
    }
    return filter_fail(p, v->token, BH_EUNKNOWN,
                       "not a port: a number from 0 to 65535, or one of few names (ssh, http)",
                       "ポートではありません。0 から 65535 までの数か、ssh、http などの名前です");
}

static int
port_value(struct parser *p, enum end end, const struct filter_item *v, bool range)
{
    struct node n = { .op = OP_PORT, .end = end };
    const char *dash = memchr(v->at, '-', v->len);
    bool digits = v->at[0] >= '0' && v->at[0] <= '9';
    int r;
    if (dash != NULL && digits) {
        if (!range) {
            return filter_fail(p, v->token, BH_EUSAGE, "port takes one port; write portrange",
                               "port はポート 1 つです。portrange と書いてください");
        }
        r = port_number(p, v, v->at, (size_t)(dash - v->at), &n.a);
        if (r == 0) {
            r = port_number(p, v, dash + 1, v->len - (size_t)(dash + 1 - v->at), &n.b);
        }
    } else {
        r = port_number(p, v, v->at, v->len, &n.a);
        n.b = n.a;
    }
    if (r < 0) {
        return r;
    }
    if (n.a > n.b) {
        return filter_fail(p, v->token, BH_EUSAGE, "the range ends before it begins: %u-%u?",
                           "範囲の終わりが始まりより前です。%u-%u ではありませんか", (unsigned)n.b,
                           (unsigned)n.a);
    }
    n.text = n.a == n.b ? filter_leaf_text("%sport %u", filter_end_text[end], (unsigned)n.a)
                        : filter_leaf_text("%sportrange %u-%u", filter_end_text[end], (unsigned)n.a,
                                           (unsigned)n.b);
    return filter_push(p, v->token, &n);
}

/* ---- protocols, flags, outcomes, names ---------------------------------------------------- */

static int
proto_value(struct parser *p, const struct filter_item *v)
{
    static const char *const named[] = { [BH_PROTO_ICMP] = "icmp",
                                         [BH_PROTO_TCP] = "tcp",
                                         [BH_PROTO_UDP] = "udp",
                                         [BH_PROTO_ICMP6] = "icmp6" };
    const char *s = v->at;
    size_t len = v->len;
    if (s[0] == '\\') { /* pcap's "proto \tcp" */
        s++;
        len--;
    }
    int number =
        len == 5 && strncasecmp(s, "icmp6", 5) == 0 ? BH_PROTO_ICMP6 : bh_proto_number(s, len);
    if (number < 0 || number > 255) {
        return filter_fail(
            p, v->token, BH_EUNKNOWN,
            "not a protocol: a number from 0 to 255, or a keyword such as tcp or gre",
            "プロトコルではありません。0 から 255 までの数か、tcp、gre などの名前です");
    }
    struct node n = { .op = OP_PROTO, .a = (uint32_t)number };
    if ((size_t)number < BH_COUNT(named) && named[number] != NULL) {
        n.text = strdup(named[number]);
    } else {
        char buf[8];
        n.text = filter_leaf_text("proto %s", bh_proto_name((unsigned)number, buf));
    }
    return filter_push(p, v->token, &n);
}

static const char flag_letters[] = "FSRPAUEC"; /* in the order of the bits */

/* Exactly these of the six flags of old; E and C only where they are named, because modern
 * stacks set them on ordinary SYNs (RFC 3168). "+S": at least these. */
static int
flags_value(struct parser *p, const struct filter_item *v)
{
    const uint32_t six =
        BH_TCP_FIN | BH_TCP_SYN | BH_TCP_RST | BH_TCP_PSH | BH_TCP_ACK | BH_TCP_URG;
    bool at_least = v->at[0] == '+';
    struct node n = { .op = OP_FLAGS };
    if (v->len == 4 && strncasecmp(v->at, "none", 4) == 0) {
        n.b = six;
    } else {
        for (size_t i = at_least; i < v->len; i++) {
            int c = toupper((unsigned char)v->at[i]);
            c = c == '.' ? 'A' : c == 'W' ? 'C' : c; /* as tcpdump prints them */
            const char *at = c == '\0' ? NULL : strchr(flag_letters, c);
            if (at == NULL) {
                n.a = 0;
                break;
            }
            n.a |= 1U << (at - flag_letters);
        }
        if (n.a == 0) {
            return filter_fail(p, v->token, BH_EUSAGE,
                               "flags takes letters of F S R P A U E C (flags SA; at least: "
                               "flags +S), or none",
                               "flags の後は F S R P A U E C の文字 (例: flags SA、少なくとも: "
                               "flags +S) か none です");
        }
        n.b = at_least ? n.a : six | n.a;
    }
    char letters[10];
    size_t len = 0;
    for (unsigned bit = 0; bit < 8; bit++) {
        if (n.a >> bit & 1) {
            letters[len++] = flag_letters[bit];
        }
    }
    letters[len] = '\0';
    n.text = filter_leaf_text("flags %s%s", at_least ? "+" : "", len == 0 ? "none" : letters);
    return filter_push(p, v->token, &n);
}

static int
outcome_value(struct parser *p, const struct filter_item *v)
{
    const char *names[BH_OUTCOME_COUNT - 1];
    for (unsigned o = BH_OUTCOME_COMPLETE; o < BH_OUTCOME_COUNT; o++) {
        names[o - 1] = bh_outcome_name(o);
        if (strlen(names[o - 1]) == v->len && strncasecmp(names[o - 1], v->at, v->len) == 0) {
            struct node n = { .op = OP_OUTCOME,
                              .a = o,
                              .text = filter_leaf_text("outcome %s", names[o - 1]) };
            p->f->needs |= BH_FILTER_NEEDS_OUTCOME;
            return filter_push(p, v->token, &n);
        }
    }
    char word[24];
    snprintf(word, sizeof word, "%.*s", v->len < sizeof word ? (int)v->len : 0, v->at);
    const char *near = bh_nearest(word, names, BH_COUNT(names));
    return filter_fail(p, v->token, BH_EUNKNOWN,
                       "not an outcome (complete, reset_by_client, half_open, refused, silent, "
                       "unknown)%s%s%s",
                       "結果の名前ではありません (complete、reset_by_client、half_open、refused、"
                       "silent、unknown)%s%s%s",
                       near == NULL ? "" : ": ", near == NULL ? "" : near, near == NULL ? "" : "?");
}

/* Without AS data in the country database nobody knows. */
static int
as_value(struct parser *p, enum end end, const struct filter_item *v)
{
    struct kobold_as_meta meta;
    const char *s = v->at;
    size_t len = v->len;
    bool is_known = p->f->countries != NULL && kobold_as_meta(p->f->countries, &meta);
    struct node n = { .op = is_known ? OP_AS : OP_ABSENT, .end = end };
    if (len > 2 && strncasecmp(s, "as", 2) == 0) {
        s += 2;
        len -= 2;
    }
    int r = filter_number(p, v->token, s, len, UINT32_MAX, &n.a);
    if (r < 0) {
        return r;
    }
    n.text = filter_leaf_text("%sasn %u", filter_end_text[end], (unsigned)n.a);
    return filter_push(p, v->token, &n);
}

/* sensor; and tag, which is read and checked, but no record has it yet. */
static int
name_value(struct parser *p, const struct word *q, const struct filter_item *v)
{
    const char *s = v->at;
    size_t len = v->len;
    struct node n = { .op = q->qualifier == Q_SENSOR ? OP_SENSOR : OP_ABSENT };
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)s[i]) && strchr("-_.:@/+", s[i]) == NULL) {
            return filter_fail(p, v->token, BH_EUSAGE,
                               "a name is letters, digits and - _ . : @ / +",
                               "名前に使えるのは英数字と - _ . : @ / + です");
        }
    }
    n.text = filter_leaf_text("%s %.*s", q->name, (int)len, s);
    n.name_at = (uint32_t)strlen(q->name) + 1;
    return filter_push(p, v->token, &n);
}

/* ---- lists ---------------------------------------------------------------------------------- */

static int
one_value(struct parser *p, const struct word *q, enum end end, const struct filter_item *v)
{
    switch (q->qualifier) {
    case Q_HOST:
        return host_value(p, end, v);
    case Q_NET:
        return net_value(p, end, v);
    case Q_PORT:
    case Q_PORTRANGE:
        return port_value(p, end, v, q->qualifier == Q_PORTRANGE);
    case Q_PROTO:
        return proto_value(p, v);
    case Q_FLAGS:
        return flags_value(p, v);
    case Q_OUTCOME:
        return outcome_value(p, v);
    case Q_ASN:
        return as_value(p, end, v);
    default:
        return name_value(p, q, v);
    }
}

/* The next entry of a comma-joined list; a comma at the end of a word ("cn, us") goes on with
 * the next word. False: the list is over. */
bool
filter_list_next(struct parser *p, struct filter_item *v)
{
    const struct token *t = &p->tokens[p->at];
    if (v->token != NULL) {
        const char *end = v->token->at + v->token->len;
        const char *next = v->at + v->len + 1;
        if (next - 1 == end) {
            return false; /* no comma */
        }
        if (next < end) {
            v->at = next;
            const char *comma = memchr(next, ',', (size_t)(end - next));
            v->len = (size_t)((comma == NULL ? end : comma) - next);
            return true;
        }
    }
    v->token = t;
    v->at = t->at;
    v->len = t->type == TOKEN_WORD ? t->len : 0;
    if (t->type == TOKEN_WORD) {
        const char *comma = memchr(t->at, ',', t->len);
        v->len = comma == NULL ? t->len : (size_t)(comma - t->at);
        p->at++;
    }
    return true;
}

static int
no_value(struct parser *p, const struct token *t, const struct word *q)
{
    static const char *const example[] = {
        [Q_NONE] = "",
        [Q_HOST] = "192.0.2.1",
        [Q_NET] = "192.0.2.0/24",
        [Q_PORT] = "22",
        [Q_PORTRANGE] = "1-1023",
        [Q_COUNTRY] = "cn",
        [Q_CLASS] = "special",
        [Q_PROTO] = "tcp",
        [Q_FLAGS] = "S",
        [Q_OUTCOME] = "complete",
        [Q_ASN] = "4713",
        [Q_TAG] = "NAME",
        [Q_SENSOR] = "NAME",
    };
    /* At the end of the filter there is no word to point at: point at the last one. */
    return filter_fail(p, t->type == TOKEN_END && t->number > 1 ? t - 1 : t, BH_EUSAGE,
                       "%s needs a value: %s %s", "%s には値が必要です: %s %s", q->name, q->name,
                       example[q->qualifier]);
}

int
filter_value(struct parser *p, const struct word *q, enum end end)
{
    struct filter_item v = { 0 };
    if (q->qualifier == Q_COUNTRY || q->qualifier == Q_CLASS) {
        const struct token *t = &p->tokens[p->at];
        return t->type != TOKEN_WORD ? no_value(p, t, q) : filter_country_value(p, q, end);
    }
    for (unsigned n = 0; filter_list_next(p, &v); n++) {
        if (v.len == 0) {
            return no_value(p, v.token, q);
        }
        int r = one_value(p, q, end, &v);
        if (r == 0 && n > 0) {
            r = filter_push_op(p, OP_OR);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}
