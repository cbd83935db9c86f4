/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * words.c - the words of the language (docs/format/filter.md), one row each.
 */
#include "filter_priv.h"

#include <strings.h>

#include "bh_option.h"

static const struct word words[] = {
    { .name = "host", .type = W_QUALIFIER, .qualifier = Q_HOST, .two_ends = true },
    { .name = "net", .type = W_QUALIFIER, .qualifier = Q_NET, .two_ends = true },
    { .name = "port", .type = W_QUALIFIER, .qualifier = Q_PORT, .two_ends = true },
    { .name = "portrange", .type = W_QUALIFIER, .qualifier = Q_PORTRANGE, .two_ends = true },
    { .name = "country", .type = W_QUALIFIER, .qualifier = Q_COUNTRY, .two_ends = true },
    { .name = "class", .type = W_QUALIFIER, .qualifier = Q_CLASS, .two_ends = true },
    { .name = "proto", .type = W_QUALIFIER, .qualifier = Q_PROTO },
    { .name = "flags", .type = W_QUALIFIER, .qualifier = Q_FLAGS },
    { .name = "outcome", .type = W_QUALIFIER, .qualifier = Q_OUTCOME },
    { .name = "asn", .type = W_QUALIFIER, .qualifier = Q_ASN, .two_ends = true },
    { .name = "tag", .type = W_QUALIFIER, .qualifier = Q_TAG },
    { .name = "sensor", .type = W_QUALIFIER, .qualifier = Q_SENSOR },
    { .name = "src", .type = W_END, .end = END_SRC },
    { .name = "dst", .type = W_END, .end = END_DST },
    { .name = "ip", .type = W_PROTO, .op = OP_KIND, .a = BH_KIND_IP4 },
    { .name = "ip6", .type = W_PROTO, .op = OP_KIND, .a = BH_KIND_IP6 },
    { .name = "arp", .type = W_PROTO, .op = OP_KIND, .a = BH_KIND_ARP },
    { .name = "tcp", .type = W_PROTO, .op = OP_PROTO, .a = BH_PROTO_TCP },
    { .name = "udp", .type = W_PROTO, .op = OP_PROTO, .a = BH_PROTO_UDP },
    { .name = "icmp", .type = W_PROTO, .op = OP_PROTO, .a = BH_PROTO_ICMP },
    { .name = "icmp6", .type = W_PROTO, .op = OP_PROTO, .a = BH_PROTO_ICMP6 },
    { .name = "access",
      .type = W_TEST,
      .op = OP_CLASS,
      .a = BH_CLASS_ACCESS,
      .needs = BH_FILTER_NEEDS_CLASS },
    { .name = "ping",
      .type = W_TEST,
      .op = OP_CLASS,
      .a = BH_CLASS_ICMP_ECHO_REQUEST,
      .needs = BH_FILTER_NEEDS_CLASS },
    { .name = "in",
      .type = W_TEST,
      .op = OP_DIRECTION,
      .a = BH_DIR_IN,
      .needs = BH_FILTER_NEEDS_DIRECTION },
    { .name = "out",
      .type = W_TEST,
      .op = OP_DIRECTION,
      .a = BH_DIR_OUT,
      .needs = BH_FILTER_NEEDS_DIRECTION },
    { .name = "local",
      .type = W_TEST,
      .op = OP_DIRECTION,
      .a = BH_DIR_LOCAL,
      .needs = BH_FILTER_NEEDS_DIRECTION },
    { .name = "vlan", .type = W_VLAN, .needs = BH_FILTER_NEEDS_COLD },
    { .name = "len", .type = W_NUMBER, .number = NUMBER_LEN, .a = UINT32_MAX },
    { .name = "ttl",
      .type = W_NUMBER,
      .number = NUMBER_TTL,
      .a = 255,
      .needs = BH_FILTER_NEEDS_COLD },
    { .name = "window",
      .type = W_NUMBER,
      .number = NUMBER_WINDOW,
      .a = 65535,
      .needs = BH_FILTER_NEEDS_COLD },
    { .name = "ipid",
      .type = W_NUMBER,
      .number = NUMBER_IPID,
      .a = 65535,
      .needs = BH_FILTER_NEEDS_COLD },
};

const struct word *
filter_word_find(const char *text, size_t len)
{
    for (size_t i = 0; i < BH_COUNT(words); i++) {
        if (strlen(words[i].name) == len && strncasecmp(words[i].name, text, len) == 0) {
            return &words[i];
        }
    }
    return NULL;
}

const char *
filter_word_nearest(const struct token *t)
{
    const char *names[BH_COUNT(words) + 3] = { "and", "or", "not" };
    for (size_t i = 0; i < BH_COUNT(words); i++) {
        names[3 + i] = words[i].name;
    }
    char buf[16];
    if (t->len >= sizeof buf) {
        return NULL;
    }
    for (uint32_t i = 0; i < t->len; i++) {
        char c = t->at[i];
        buf[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    buf[t->len] = '\0';
    return bh_nearest(buf, names, BH_COUNT(names));
}

bool
bh_filter_is_word(const char *text)
{
    const size_t len = strcspn(text, " \t");
    return text[0] == '(' || (text[0] == '!' && text[1] != '=') ||
           (len == 3 && strncasecmp(text, "not", 3) == 0) ||
           (len > 0 && filter_word_find(text, len) != NULL);
}
