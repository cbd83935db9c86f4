/* SPDX-License-Identifier: BSD-2-Clause */
/* What netfilter.c and netfilter_words.c share: a packet as its line says it. */
#ifndef NETFILTER_PRIV_H
#define NETFILTER_PRIV_H

#include "import_priv.h"

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

static inline bool
begins(const char *p, const char *end, const char *word, size_t n)
{
    return (size_t)(end - p) >= n && memcmp(p, word, n) == 0;
}
#define BEGINS(p, end, word) begins(p, end, word, sizeof(word) - 1)

static inline const char *
token_end(const char *p, const char *end)
{
    while (p < end && *p != ' ') {
        p++;
    }
    return p;
}

/* All words from `p` to `end`; a quoted packet is given back (NULL: there can be none). False: one of
 * them has no good value. */
bool netfilter_words(struct packet *k, const char *p, const char *end, struct cell *ret_quote);

#endif
