/* SPDX-License-Identifier: BSD-2-Clause */
/* beholder interfaces: what can be watched, and which addresses that makes home. */
#include "beholder.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "beholder_interfaces_command.h"

#define INTERFACES_MAX 1024U
#define ADDRESSES_MAX 64U

struct address {
    struct bh_ip ip;
    unsigned bits;
};
struct interface {
    char name[IF_NAMESIZE];
    unsigned flags;
    unsigned link; /* ARPHRD_... */
    uint64_t mtu;
    char mac[32], state[16];
    struct address address[ADDRESSES_MAX];
    size_t addresses;
};

/* The first word of a file of /sys/class/net; "" when it is not there. */
static void
read_word(const char *name, const char *what, char *ret, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "/sys/class/net/%s/%s", name, what);
    FILE *f = fopen(path, "re");
    ret[0] = '\0';
    if (f != NULL) {
        if (fgets(ret, (int)size, f) == NULL) {
            ret[0] = '\0';
        }
        fclose(f);
    }
    ret[strcspn(ret, " \r\n")] = '\0';
}

static const char *
link_name(unsigned link)
{
    static const struct {
        unsigned link;
        const char *name;
    } names[] = {
        { ARPHRD_ETHER, "ethernet" },
        { ARPHRD_LOOPBACK, "loopback" },
        { ARPHRD_PPP, "ppp" },
        { ARPHRD_NONE, "raw-ip" },
        { ARPHRD_TUNNEL, "tunnel" },
        { ARPHRD_TUNNEL6, "tunnel" },
        { ARPHRD_SIT, "tunnel" },
        { ARPHRD_IPGRE, "gre" },
        { ARPHRD_IEEE80211_RADIOTAP, "radiotap" },
    };
    for (size_t k = 0; k < BH_COUNT(names); k++) {
        if (names[k].link == link) {
            return names[k].name;
        }
    }
    return "other";
}

static struct interface *
find_or_add(struct interface *all, size_t *count, const char *name)
{
    for (size_t k = 0; k < *count; k++) {
        if (strcmp(all[k].name, name) == 0) {
            return &all[k];
        }
    }
    if (*count == INTERFACES_MAX) {
        return NULL;
    }
    struct interface *i = &all[(*count)++];
    char word[32];
    snprintf(i->name, sizeof i->name, "%s", name);
    read_word(name, "type", word, sizeof word);
    i->link = (unsigned)strtoul(word, NULL, 10);
    read_word(name, "mtu", word, sizeof word);
    i->mtu = strtoull(word, NULL, 10);
    read_word(name, "address", i->mac, sizeof i->mac);
    read_word(name, "operstate", i->state, sizeof i->state);
    if (i->link != ARPHRD_ETHER) {
        i->mac[0] = '\0';
    }
    return i;
}

static unsigned
mask_bits(const uint8_t *octets, size_t size)
{
    unsigned bits = 0;
    while (bits < size * 8 && (octets[bits / 8] >> (7 - bits % 8) & 1) != 0) {
        bits++;
    }
    return bits;
}

static bool
take_address(const struct ifaddrs *a, struct address *ret)
{
    if (a->ifa_addr == NULL || a->ifa_netmask == NULL) {
        return false;
    }
    memset(ret, 0, sizeof *ret);
    if (a->ifa_addr->sa_family == AF_INET) {
        struct sockaddr_in s, mask;
        memcpy(&s, a->ifa_addr, sizeof s);
        memcpy(&mask, a->ifa_netmask, sizeof mask);
        ret->ip.family = 4;
        memcpy(ret->ip.octets, &s.sin_addr, 4);
        ret->bits = mask_bits((const uint8_t *)&mask.sin_addr, 4);
        return true;
    }
    if (a->ifa_addr->sa_family == AF_INET6) {
        struct sockaddr_in6 s, mask;
        memcpy(&s, a->ifa_addr, sizeof s);
        memcpy(&mask, a->ifa_netmask, sizeof mask);
        ret->ip.family = 6;
        memcpy(ret->ip.octets, &s.sin6_addr, 16);
        ret->bits = mask_bits((const uint8_t *)&mask.sin6_addr, 16);
        return true;
    }
    return false;
}

static int
list_interfaces(struct interface *all, size_t *ret_count, struct bh_error *err)
{
    struct ifaddrs *list = NULL;
    if (getifaddrs(&list) != 0) {
        return bh_error_errno(err, errno, "interfaces", "cannot list", "一覧できません");
    }
    *ret_count = 0;
    for (const struct ifaddrs *a = list; a != NULL; a = a->ifa_next) {
        struct interface *i = find_or_add(all, ret_count, a->ifa_name);
        if (i != NULL) {
            i->flags = a->ifa_flags;
            if (i->addresses < ADDRESSES_MAX && take_address(a, &i->address[i->addresses])) {
                i->addresses++;
            }
        }
    }
    freeifaddrs(list);
    return 0;
}

/* /sys says "unknown" of interfaces that have no carrier to look at: up is what was asked for. */
static const char *
state_of(const struct interface *i)
{
    return (i->flags & IFF_UP) == 0 ? "down" : strcmp(i->state, "down") == 0 ? "no-carrier" : "up";
}

static void
put_text(const struct interface *all, size_t count, struct bh_buf *out)
{
    int width = 4;
    for (size_t k = 0; k < count; k++) {
        const int n = (int)strlen(all[k].name);
        width = n > width ? n : width;
    }
    for (size_t k = 0; k < count; k++) {
        const struct interface *i = &all[k];
        char text[BH_IP_TEXT_MAX];
        bh_buf_printf(out, "%-*s  %-10s  %-8s  %-17s", width, i->name, state_of(i),
                      link_name(i->link), i->mac);
        for (size_t a = 0; a < i->addresses; a++) {
            bh_ip_format(&i->address[a].ip, text);
            if (a > 0) {
                bh_buf_printf(out, "\n%*s", width + 41, "");
            }
            bh_buf_printf(out, "  %s/%u", text, i->address[a].bits);
        }
        while (out->len > 0 && out->data[out->len - 1] == ' ') {
            out->data[--out->len] = '\0';
        }
        bh_buf_putc(out, '\n');
    }
}

static void
put_json(const struct interface *all, size_t count, struct bh_buf *out)
{
    bh_buf_putc(out, '[');
    for (size_t k = 0; k < count; k++) {
        const struct interface *i = &all[k];
        char text[BH_IP_TEXT_MAX];
        bh_buf_puts(out, k > 0 ? ",\n {\"name\":" : "{\"name\":");
        bh_buf_put_json(out, i->name, strlen(i->name));
        bh_buf_printf(out, ",\"state\":\"%s\",\"link\":\"%s\",\"mtu\":%llu", state_of(i),
                      link_name(i->link), (unsigned long long)i->mtu);
        if (i->mac[0] != '\0') {
            bh_buf_puts(out, ",\"mac\":");
            bh_buf_put_json(out, i->mac, strlen(i->mac));
        }
        bh_buf_puts(out, ",\"addresses\":[");
        for (size_t a = 0; a < i->addresses; a++) {
            bh_ip_format(&i->address[a].ip, text);
            bh_buf_printf(out, "%s\"%s/%u\"", a > 0 ? "," : "", text, i->address[a].bits);
        }
        bh_buf_puts(out, "]}");
    }
    bh_buf_puts(out, "]\n");
}

int
verb_interfaces(int argc, char **argv)
{
    enum bh_lang lang = bh_lang_of_args(argc, argv);
    struct bh_error err = { 0 };
    struct bh_args *a = NULL;
    char *const *operands;
    if (bh_args_parse(&beholder_interfaces_command, argc, argv, &a, &err) != 0) {
        return program_fail(&err, lang);
    }
    int code = 0;
    if (bh_arg_given(a, "help")) {
        bh_command_help(&beholder_interfaces_command, lang, stdout);
    } else if (bh_arg_operands(a, &operands) > 0) {
        bh_error_set(&err, BH_EUSAGE, operands[0], "nothing is to be named", "引数は要りません");
        code = program_fail(&err, lang);
    } else {
        struct interface *all = calloc(INTERFACES_MAX, sizeof *all);
        struct bh_buf out = { 0 };
        size_t count = 0;
        int r = all == NULL ? bh_error_errno(&err, ENOMEM, "", "cannot start", "開始できません")
                            : list_interfaces(all, &count, &err);
        if (r == 0) {
            (bh_arg_given(a, "json") ? put_json : put_text)(all, count, &out);
            r = program_write(&out, &err);
        }
        code = r != 0 ? program_fail(&err, lang) : 0;
        bh_buf_done(&out);
        free(all);
    }
    bh_args_free(a);
    return code != 0 ? code : program_end_stdout(lang);
}
