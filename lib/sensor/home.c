/* SPDX-License-Identifier: BSD-2-Clause */
/* What we watch for when nobody says: the addresses of the interfaces, followed by netlink. */
#include "sensor_priv.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static bool
is_watched(const struct sensor *s, const struct ifaddrs *a)
{
    for (size_t k = 0; k < bh_live_count(s->live); k++) {
        const char *name = bh_live_name(s->live, k);
        const bool any = strcmp(name, "any") == 0;
        if (any ? (a->ifa_flags & IFF_LOOPBACK) == 0 : strcmp(name, a->ifa_name) == 0) {
            return true;
        }
    }
    return false;
}

static unsigned
mask_len(const uint8_t *mask, size_t octets)
{
    unsigned n = 0;
    for (size_t k = 0; k < octets; k++) {
        for (unsigned bit = 0x80; bit != 0 && (mask[k] & bit) != 0; bit >>= 1) {
            n++;
        }
    }
    return n;
}

/* "203.0.113.60/24": that host, in that network (MEANING.md 2). */
static bool
put_address(const struct ifaddrs *a, char *to, size_t size)
{
    struct bh_ip ip = { 0 };
    char text[BH_IP_TEXT_MAX];
    unsigned len;
    if (a->ifa_addr == NULL || a->ifa_netmask == NULL) {
        return false;
    }
    if (a->ifa_addr->sa_family == AF_INET) {
        struct sockaddr_in at, mask;
        memcpy(&at, a->ifa_addr, sizeof at);
        memcpy(&mask, a->ifa_netmask, sizeof mask);
        ip.family = 4;
        memcpy(ip.octets, &at.sin_addr, 4);
        len = mask_len((const uint8_t *)&mask.sin_addr, 4);
    } else if (a->ifa_addr->sa_family == AF_INET6) {
        struct sockaddr_in6 at, mask;
        memcpy(&at, a->ifa_addr, sizeof at);
        memcpy(&mask, a->ifa_netmask, sizeof mask);
        ip.family = 6;
        memcpy(ip.octets, &at.sin6_addr, 16);
        len = mask_len((const uint8_t *)&mask.sin6_addr, 16);
    } else {
        return false;
    }
    bh_ip_format(&ip, text);
    /* host: also where the address looks like that of a network */
    return snprintf(to, size, "%s%s/%u", len == (ip.family == 4 ? 32U : 128U) ? "host:" : "", text,
                    len) < (int)size;
}

void
home_of_interfaces(const struct sensor *s, char *ret, size_t size)
{
    struct ifaddrs *all = NULL;
    size_t n = 0;
    ret[0] = '\0';
    if (getifaddrs(&all) != 0) {
        return;
    }
    for (const struct ifaddrs *a = all; a != NULL; a = a->ifa_next) {
        char one[80];
        if (is_watched(s, a) && put_address(a, one, sizeof one) && n + strlen(one) + 2 < size) {
            n += (size_t)snprintf(ret + n, size - n, "%s%s", n > 0 ? "," : "", one);
        }
    }
    freeifaddrs(all);
}

int
home_listen(void)
{
    const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    struct sockaddr_nl to = { .nl_family = AF_NETLINK,
                              .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };
    if (fd >= 0 && bind(fd, (const struct sockaddr *)(const void *)&to, sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* That something changed is all that is taken from it; what, is looked up. */
bool
home_changed(int fd)
{
    uint8_t octets[8192];
    bool any = false;
    for (;;) {
        const ssize_t n = recv(fd, octets, sizeof octets, MSG_DONTWAIT);
        if (n > 0 || (n < 0 && errno == ENOBUFS)) {
            any = true;
        } else {
            return any;
        }
    }
}
