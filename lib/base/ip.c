/* SPDX-License-Identifier: BSD-2-Clause */
#include "bh_base.h"

#include <arpa/inet.h>
#include <stdlib.h>

bool
bh_ip_parse(const char *text, size_t len, struct bh_ip *ret_ip)
{
    char buf[BH_IP_TEXT_MAX];
    if (len == 0 || len >= sizeof buf || memchr(text, '\0', len) != NULL) {
        return false;
    }
    memcpy(buf, text, len);
    buf[len] = '\0';
    struct bh_ip ip = { 0 };
    if (memchr(buf, ':', len) != NULL) {
        if (inet_pton(AF_INET6, buf, ip.octets) != 1) {
            return false;
        }
        ip.family = 6;
    } else {
        if (inet_pton(AF_INET, buf, ip.octets) != 1) {
            return false;
        }
        ip.family = 4;
    }
    *ret_ip = ip;
    return true;
}

static size_t
format_v4(const uint8_t *p, char *buf)
{
    char *at = buf;
    for (int i = 0; i < 4; i++) {
        unsigned v = p[i];
        if (v >= 100) {
            *at++ = (char)('0' + v / 100);
        }
        if (v >= 10) {
            *at++ = (char)('0' + v / 10 % 10);
        }
        *at++ = (char)('0' + v % 10);
        *at++ = i < 3 ? '.' : '\0';
    }
    return (size_t)(at - buf) - 1;
}

size_t
bh_ip_format(const struct bh_ip *ip, char buf[BH_IP_TEXT_MAX])
{
    if (ip->family == 4) {
        return format_v4(ip->octets, buf);
    }
    if (ip->family != 6 || inet_ntop(AF_INET6, ip->octets, buf, BH_IP_TEXT_MAX) == NULL) {
        buf[0] = '\0';
        return 0;
    }
    return strlen(buf);
}

int
bh_ip_cmp(const struct bh_ip *a, const struct bh_ip *b)
{
    if (a->family != b->family) {
        return a->family < b->family ? -1 : 1;
    }
    return memcmp(a->octets, b->octets, sizeof a->octets);
}
