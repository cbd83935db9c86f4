/* SPDX-License-Identifier: BSD-2-Clause */
/* The decoder: a table of frames and the rows they make, each frame also cut at every length and
 * read both ways; then the boundaries of every header, --decap, quotes, fragments, options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "walk_priv.h"

/* Pieces of frames, in hexadecimal; blanks are for the eye. */
#define MACS "020000000001 020000000002 "
#define SYN "9c40 0016 00000001 00000000 5002 0400 0000 0000 "
#define SYN_OPTIONS                                                                                \
    "9c40 0016 00000001 00000000 a002 0400 0000 0000 "                                             \
    "020405b4 0402 080a 00000001 00000000 01 030307 "
#define DNS "9c40 0035 000c 0000 61626364 "
#define PING "0800 0000 00010001 61626364 "
#define IP4_SYN "4500 0028 0007 4000 40 06 0000 0a000001 0a000002 " SYN
#define IP4_DNS "4500 0020 0007 0000 40 11 0000 0a000003 0a000004 " DNS
#define IP4_PING "4500 0020 0007 0000 40 01 0000 0a000001 0a000002 " PING
#define A1 "20010db8 00000000 00000000 00000001 "
#define A2 "20010db8 00000000 00000000 00000002 "
#define IP6_SYN "60000000 0014 06 40 " A1 A2 SYN
#define IP6_DNS "60000000 000c 11 40 " A1 A2 DNS
#define ETH4_SYN MACS "0800 " IP4_SYN
#define ETH4_DNS MACS "0800 " IP4_DNS
#define OUTER4(total, proto) "4500 " total " 0001 0000 40 " proto " 0000 c0000201 c0000202 "
#define DOT11 "8801 0000 020000000001 020000000002 020000000003 1000 0000 "
#define SNAP "aaaa03 000000 0800 "

enum {
    L4 = BH_LAYER_IPV4,
    L6 = BH_LAYER_IPV6,
    TCP = BH_LAYER_TCP,
    UDP = BH_LAYER_UDP,
    ICMP = BH_LAYER_ICMP,
    ICMP6 = BH_LAYER_ICMP6,
    ARP = BH_LAYER_ARP,
    VLAN = BH_LAYER_VLAN,
    ONLY = BH_LAYER_SYN_ONLY,
    SEEN = BH_LAYER_SEEN
};
enum { NO_PORTS = BH_MARK_NO_PORTS, FRAG = BH_MARK_FRAGMENT, BAD = BH_MARK_MALFORMED };

struct expected {
    const char *name;
    uint16_t link_type;
    const char *hex;
    uint8_t kind, proto;
    uint32_t src, dst; /* of IPv6: last octets */
    uint32_t ports, ip_len;
    uint16_t payload_len, layers;
    uint8_t tcp_flags, marks, reason;
};

#define P(source, destination) ((uint32_t)(source) << 16 | (destination))
#define ROW_SYN 4, 6, 0x0a000001, 0x0a000002, P(40000, 22), 40, 0
#define ROW_SYN6 6, 6, 1, 2, P(40000, 22), 60, 0
#define OUTER(proto, ports, total) 4, proto, 0xc0000201, 0xc0000202, ports, total
#define NOTHING 0, 0, 0, 0, 0, 0, 0

static const struct expected cases[] = {
    { "tcp4", 1, ETH4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "tcp4 padded", 1, ETH4_SYN "000000000000", ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "udp4", 1, ETH4_DNS, 4, 17, 0x0a000003, 0x0a000004, P(40000, 53), 32, 4, L4 | UDP, 0, 0, 0 },
    { "icmp4", 1, MACS "0800 " IP4_PING, 4, 1, 0x0a000001, 0x0a000002, P(8, 0), 32, 4, L4 | ICMP, 0,
      0, 0 },
    { "tcp6", 1, MACS "86dd " IP6_SYN, ROW_SYN6, L6 | TCP | ONLY, 2, 0, 0 },
    { "udp6", 1, MACS "86dd " IP6_DNS, 6, 17, 1, 2, P(40000, 53), 52, 4, L6 | UDP, 0, 0, 0 },
    { "neighbour", 1, MACS "86dd 60000000 0008 3a ff " A1 A2 "8700 0000 00000000", 6, 58, 1, 2,
      P(135, 0), 48, 0, L6 | ICMP6, 0, 0, 0 },
    { "tcp4 options", 1, MACS "0800 4500 003c 0007 4000 40 06 0000 0a000001 0a000002 " SYN_OPTIONS,
      4, 6, 0x0a000001, 0x0a000002, P(40000, 22), 60, 0, L4 | TCP | ONLY, 2, 0, 0 },
    { "ip4 options", 1, MACS "0800 4600 002c 0007 0000 40 06 0000 0a000001 0a000002 94040000 " SYN,
      4, 6, 0x0a000001, 0x0a000002, P(40000, 22), 44, 0, L4 | TCP | ONLY, 2, 0, 0 },
    { "total length 0", 1, MACS "0800 4500 0000 0007 0000 40 06 0000 0a000001 0a000002 " SYN "6162",
      4, 6, 0x0a000001, 0x0a000002, P(40000, 22), 42, 2, L4 | TCP | ONLY, 2, 0, 0 },
    { "igmp", 1, MACS "0800 4500 001c 0007 0000 01 02 0000 0a000001 e0000001 1100 0000 00000000", 4,
      2, 0x0a000001, 0xe0000001, 0, 28, 0, L4, 0, NO_PORTS, 0 },
    { "first fragment", 1,
      MACS "0800 4500 0020 0007 2000 40 11 0000 0a000003 0a000004 9c40 0035 0064 0000 61626364", 4,
      17, 0x0a000003, 0x0a000004, P(40000, 53), 32, 4, L4 | UDP, 0, 0, 0 },
    { "later fragment", 1, MACS "0800 4500 0018 0007 0003 40 11 0000 0a000003 0a000004 61626364", 4,
      17, 0x0a000003, 0x0a000004, 0, 24, 0, L4, 0, NO_PORTS | FRAG, 0 },
    { "fragment at 32768", 1, MACS "0800 4500 0018 0007 1000 40 11 0000 0a000003 0a000004 61626364",
      4, 17, 0x0a000003, 0x0a000004, 0, 24, 0, L4, 0, NO_PORTS | FRAG, 0 },
    { "ah4", 1, MACS "0800 " OUTER4("0034", "33") "0601 0000 00000001 00000001 " SYN,
      OUTER(6, P(40000, 22), 52), 0, L4 | TCP | ONLY, 2, 0, 0 },
    { "extension headers", 1,
      MACS "86dd 60000000 0034 00 40 " A1 A2 "2b00 0502 0000 0100 3c00 0000 00000000 "
           "2c00 0104 00000000 0600 0000 00000001 " SYN,
      6, 6, 1, 2, P(40000, 22), 92, 0, L6 | TCP | ONLY, 2, 0, 0 },
    { "later fragment 6", 1, MACS "86dd 60000000 000c 2c 40 " A1 A2 "1100 00f8 00000001 61626364",
      6, 17, 1, 2, 0, 52, 0, L6, 0, NO_PORTS | FRAG, 0 },
    { "no next header", 1, MACS "86dd 60000000 0000 3b 40 " A1 A2, 6, 59, 1, 2, 0, 40, 0, L6, 0,
      NO_PORTS, 0 },
    { "extension too long", 1, MACS "86dd 60000000 0008 00 40 " A1 A2 "06ff 0000 00000000", 6, 0, 1,
      2, 0, 48, 0, L6, 0, NO_PORTS | BAD, BH_REASON_IP6_EXTENSION },
    { "option too long", 1, MACS "86dd 60000000 0008 3c 40 " A1 A2 "0600 01ff 00000000", 6, 60, 1,
      2, 0, 48, 0, L6, 0, NO_PORTS | BAD, BH_REASON_IP6_EXTENSION },
    { "version 5", 1, MACS "0800 5500 0028 0007 4000 40 06 0000 0a000001 0a000002 " SYN, NOTHING,
      L4, 0, NO_PORTS | BAD, BH_REASON_IP_VERSION },
    { "ip6 under 0800", 1, MACS "0800 " IP6_SYN, ROW_SYN6, L4 | L6 | TCP | ONLY, 2, 0, 0 },
    { "total too short", 1, MACS "0800 4500 0013 0007 4000 40 06 0000 0a000001 0a000002 " SYN,
      NOTHING, L4, 0, NO_PORTS | BAD, BH_REASON_IP_TOTAL_LEN },
    { "udp length 7", 1,
      MACS "0800 4500 0020 0007 0000 40 11 0000 0a000003 0a000004 9c40 0035 0007 0000 61626364", 4,
      17, 0x0a000003, 0x0a000004, P(40000, 53), 32, 4, L4 | UDP, 0, BAD, BH_REASON_UDP_LEN },
    { "udp length beyond", 1,
      MACS "0800 4500 0020 0007 0000 40 11 0000 0a000003 0a000004 9c40 0035 000d 0000 61626364", 4,
      17, 0x0a000003, 0x0a000004, P(40000, 53), 32, 4, L4 | UDP, 0, BAD, BH_REASON_UDP_LEN },
    { "udp length below", 1,
      MACS "0800 4500 0020 0007 0000 40 11 0000 0a000003 0a000004 9c40 0035 0009 0000 61626364", 4,
      17, 0x0a000003, 0x0a000004, P(40000, 53), 32, 4, L4 | UDP, 0, 0, 0 },
    { "arp", 1, MACS "0806 0001 0800 06 04 0001 020000000002 c0000201 000000000000 c0000202", 1, 0,
      0xc0000201, 0xc0000202, 1, 0, 0, ARP, 0, 0, 0 },
    { "rarp", 1, MACS "8035 0001 0800 06 04 0003 020000000002 c0000201 000000000000 c0000202", 1, 0,
      0xc0000201, 0xc0000202, 3, 0, 0, ARP, 0, 0, 0 },
    { "arp of something else", 1, MACS "0806 0001 6003 06 02 0001 00000000", NOTHING, ARP, 0,
      NO_PORTS | BAD, BH_REASON_ARP_SHAPE },
    { "lldp", 1, MACS "88cc 0207", NOTHING, 0, 0, NO_PORTS, BH_REASON_NOT_IP },
    { "stp", 1, MACS "0006 424203 000000", NOTHING, 0, 0, NO_PORTS, BH_REASON_NOT_IP },
    { "short ethernet", 1, "0200", NOTHING, 0, 0, NO_PORTS | BAD, BH_REASON_LINK_SHORT },
    { "unknown link", 65000, "0200", NOTHING, 0, 0, NO_PORTS, BH_REASON_LINK_UNKNOWN },
    { "snap", 1, MACS "0030 " SNAP IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "vlan", 1, MACS "8100 0064 0800 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY | VLAN, 2, 0, 0 },
    { "vlan llc", 1, MACS "8100 0064 0030 " SNAP IP4_SYN, ROW_SYN, L4 | TCP | ONLY | VLAN, 2, 0,
      0 },
    { "qinq", 1, MACS "88a8 0064 8100 0065 0800 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY | VLAN, 2, 0,
      0 },
    { "service tag", 1, MACS "88a8 0064 0800 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "old qinq", 1, MACS "9100 0064 8100 0065 0800 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY | VLAN, 2,
      0, 0 },
    { "mpls", 1, MACS "8847 00064040 000651ff " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "mpls 6", 1, MACS "8847 000651ff " IP6_SYN, ROW_SYN6, L6 | TCP | ONLY, 2, 0, 0 },
    { "pseudo-wire", 1, MACS "8847 000651ff 00000000 " ETH4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0,
      0 },
    { "pppoe", 1, MACS "8864 1100 0001 002a 0021 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "vn-tag", 1, MACS "8926 00010002 0800 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "e-tag", 1, MACS "893f 000100020000 0800 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "macsec", 1, MACS "88e5 20 00 00000001 0000000000000000 0800 " IP4_SYN, ROW_SYN,
      L4 | TCP | ONLY, 2, 0, 0 },
    { "macsec encrypted", 1, MACS "88e5 2c 00 00000001 0000000000000000 0800 " IP4_SYN, NOTHING, 0,
      0, NO_PORTS, BH_REASON_NOT_IP },
    { "fabricpath", 1, MACS "8903 0001 " ETH4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "arista", 1, MACS "d28b 0001 0010 0000000000000000 0800 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY,
      2, 0, 0 },
    { "arista 48", 1, MACS "d28b 0001 0120 000000000000 0800 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2,
      0, 0 },
    { "nsh", 1, MACS "894f 0fc2 01 01 00000101 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },

    /* tunnels: the outer packet is the record */
    { "ipip", 1, MACS "0800 " OUTER4("003c", "04") IP4_SYN, OUTER(4, 0, 60), 0,
      L4 | TCP | ONLY | SEEN, 0, NO_PORTS, 0 },
    { "6in4", 1, MACS "0800 " OUTER4("0050", "29") IP6_SYN, OUTER(41, 0, 80), 0,
      L4 | L6 | TCP | ONLY | SEEN, 0, NO_PORTS, 0 },
    { "gre", 1, MACS "0800 " OUTER4("004c", "2f") "b000 0800 00000000 00000001 00000002 " IP4_SYN,
      OUTER(47, 0, 76), 0, L4 | TCP | ONLY | SEEN, 0, NO_PORTS, 0 },
    { "gre bridge", 1, MACS "0800 " OUTER4("004e", "2f") "0000 6558 " ETH4_SYN, OUTER(47, 0, 78), 0,
      L4 | TCP | ONLY | SEEN, 0, NO_PORTS, 0 },
    { "erspan I", 1, MACS "0800 " OUTER4("004e", "2f") "0000 88be " ETH4_SYN, OUTER(47, 0, 78), 0,
      L4 | TCP | ONLY | SEEN, 0, NO_PORTS, 0 },
    { "erspan II", 1,
      MACS "0800 " OUTER4("005a", "2f") "1000 88be 00000001 1001000100000000 " ETH4_SYN,
      OUTER(47, 0, 90), 0, L4 | TCP | ONLY | SEEN, 0, NO_PORTS, 0 },
    { "erspan III", 1,
      MACS "0800 " OUTER4("0066", "2f") "1000 22eb 00000001 200100010000000000000001 "
                                        "0000000000000000 " ETH4_SYN,
      OUTER(47, 0, 102), 0, L4 | TCP | ONLY | SEEN, 0, NO_PORTS, 0 },
    { "pptp", 1,
      MACS "0800 " OUTER4("0050", "2f") "3081 880b 0000 0001 00000001 00000002 ff030021 " IP4_SYN,
      OUTER(47, 0, 80), 0, L4 | TCP | ONLY | SEEN, 0, NO_PORTS, 0 },
    { "vxlan", 1,
      MACS "0800 " OUTER4("005a", "11") "9c40 12b5 0046 0000 0800000000002a00 " ETH4_SYN,
      OUTER(17, P(40000, 4789), 90), 62, L4 | UDP | TCP | ONLY | SEEN, 0, 0, 0 },
    { "vxlan 8472", 1,
      MACS "0800 " OUTER4("0052", "11") "9c40 2118 003e 0000 0800000000002a00 " ETH4_DNS,
      OUTER(17, P(40000, 8472), 82), 54, L4 | UDP, 0, 0, 0 },
    { "vxlan-gpe", 1,
      MACS "0800 " OUTER4("004c", "11") "9c40 12b6 0038 0000 0c00000100002a00 " IP4_SYN,
      OUTER(17, P(40000, 4790), 76), 48, L4 | UDP | TCP | ONLY | SEEN, 0, 0, 0 },
    { "geneve", 1,
      MACS "0800 " OUTER4("005e", "11") "9c40 17c1 004a 0000 0100 6558 00002a00 00000000 " ETH4_SYN,
      OUTER(17, P(40000, 6081), 94), 66, L4 | UDP | TCP | ONLY | SEEN, 0, 0, 0 },
    { "gtp", 1,
      MACS "0800 " OUTER4("0054",
                          "11") "9c40 0868 0040 0000 34ff 0030 00000001 00000085 01000000 " IP4_SYN,
      OUTER(17, P(40000, 2152), 84), 56, L4 | UDP | TCP | ONLY | SEEN, 0, 0, 0 },
    { "teredo", 1,
      MACS "0800 " OUTER4("0060", "11") "9c40 0dd8 004c 0000 0000 0000 00000000 " IP6_SYN,
      OUTER(17, P(40000, 3544), 96), 68, L4 | L6 | UDP | TCP | ONLY | SEEN, 0, 0, 0 },
    { "l2tp", 1,
      MACS "0800 " OUTER4("004e", "11") "9c40 06a5 003a 0000 0002 0001 0001 ff03 0021 " IP4_SYN,
      OUTER(17, P(40000, 1701), 78), 50, L4 | UDP | TCP | ONLY | SEEN, 0, 0, 0 },
    { "gre in udp", 1, MACS "0800 " OUTER4("0048", "11") "9c40 1292 0034 0000 0000 0800 " IP4_SYN,
      OUTER(17, P(40000, 4754), 72), 44, L4 | UDP | TCP | ONLY | SEEN, 0, 0, 0 },
    { "mpls in udp", 1, MACS "0800 " OUTER4("0048", "11") "9c40 19eb 0034 0000 000651ff " IP4_SYN,
      OUTER(17, P(40000, 6635), 72), 44, L4 | UDP | TCP | ONLY | SEEN, 0, 0, 0 },
    { "nsh in udp", 1,
      MACS "0800 " OUTER4("004c", "11") "9c40 19e9 0038 0000 0fc2 01 01 00000101 " IP4_SYN,
      OUTER(17, P(40000, 6633), 76), 48, L4 | UDP | TCP | ONLY | SEEN, 0, 0, 0 },
    { "capwap", 1,
      MACS "0800 " OUTER4(
          "006e", "11") "9c40 147f 005a 0000 00100300 00000000 "
                        "0188 0000 020000000001 020000000002 020000000003 1000 0000 " SNAP IP4_SYN,
      OUTER(17, P(40000, 5247), 110), 82, L4 | UDP | TCP | ONLY | SEEN, 0, 0, 0 },
    { "pim register", 1, MACS "0800 " OUTER4("0044", "67") "2100 0000 00000000 " IP4_SYN,
      OUTER(103, 0, 68), 0, L4 | TCP | ONLY | SEEN, 0, NO_PORTS, 0 },
    { "nhrp error", 1,
      MACS "0800 " OUTER4("0060", "2f") "0000 2001 00000000000000000000000000000000 0107 0400 "
                                        "0404 000000000000 000000000000000000000000 " IP4_DNS,
      OUTER(47, 0, 96), 0, L4 | UDP | SEEN, 0, NO_PORTS, 0 },

    /* link types */
    { "null", 0, "02000000 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "null big", 0, "0000001e " IP6_SYN, ROW_SYN6, L6 | TCP | ONLY, 2, 0, 0 },
    { "loop", 108, "00000018 " IP6_SYN, ROW_SYN6, L6 | TCP | ONLY, 2, 0, 0 },
    { "ppp", 9, "ff03 0021 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "ppp short", 9, "57 " IP6_SYN, ROW_SYN6, L6 | TCP | ONLY, 2, 0, 0 },
    { "ppp mpls", 50, "ff03 0281 000651ff " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "ppp lcp", 9, "ff03 c021 0101", NOTHING, 0, 0, NO_PORTS, BH_REASON_NOT_IP },
    { "hdlc", 50, "0f00 0800 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "chdlc", 104, "0f00 0800 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "slarp", 104, "8f00 8035 00000002", NOTHING, 0, 0, NO_PORTS, BH_REASON_NOT_IP },
    { "ppp ethernet", 51, "1100 0001 002a 0021 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "raw", 101, IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "raw 12", 12, IP6_SYN, ROW_SYN6, L6 | TCP | ONLY, 2, 0, 0 },
    { "raw 14", 14, IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "ipv4", 228, IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "ipv6", 229, IP6_SYN, ROW_SYN6, L6 | TCP | ONLY, 2, 0, 0 },
    { "ipv6 that is not", 229, IP4_SYN, NOTHING, 0, 0, NO_PORTS | BAD, BH_REASON_IP_VERSION },
    { "cooked", 113, "0000 0001 0006 0200000000020000 0800 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2,
      0, 0 },
    { "cooked 2", 276, "86dd 0000 00000002 0001 00 06 0200000000020000 " IP6_SYN, ROW_SYN6,
      L6 | TCP | ONLY, 2, 0, 0 },
    { "802.11", 105, DOT11 SNAP IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "802.11 aggregate", 105,
      "8801 0000 020000000001 020000000002 020000000003 1000 8000 " MACS "0030 " SNAP IP4_SYN,
      ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "802.11 four addresses", 105,
      "0803 0000 020000000001 020000000002 020000000003 1000 020000000004 " SNAP IP4_SYN, ROW_SYN,
      L4 | TCP | ONLY, 2, 0, 0 },
    { "802.11 protected", 105,
      "0841 0000 020000000001 020000000002 020000000003 1000 " SNAP IP4_SYN, NOTHING, 0, 0,
      NO_PORTS, BH_REASON_NOT_IP },
    { "beacon", 105, "8000 0000 020000000001 020000000002 020000000003 1000 0000", NOTHING, 0, 0,
      NO_PORTS, BH_REASON_NOT_IP },
    { "radiotap", 127, "0000 0900 02000000 10 " DOT11 SNAP IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0,
      0 },
    { "radiotap padded", 127,
      "0000 1900 030000a0 00000000 00000000 0000000000000000 20 " DOT11 "0000 " SNAP IP4_SYN,
      ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "avs", 163, "80211001 00000008 " DOT11 SNAP IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "avs as prism", 119, "80211001 00000008 " DOT11 SNAP IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0,
      0 },
    { "ppi", 192, "0000 0800 69000000 " DOT11 SNAP IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "frame relay", 107, "1841 03 cc " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "frame relay cisco", 107, "1841 0800 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "frame relay bridged", 107, "1841 03 00 80 0080c2 0007 " ETH4_SYN, ROW_SYN, L4 | TCP | ONLY,
      2, 0, 0 },
    { "arcnet", 129, "01020000 f0 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "arcnet 1201", 7, "0102 d4 00 0001 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "arcnet exception", 7, "0102 d4 ff ffffff 00 0001 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0,
      0 },
    { "nflog", 239, "02000000 0800 0100 00000100 2c00 0900 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2,
      0, 0 },
    { "nflog big", 239, "02000000 002c 0009 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "nflog bad length", 239, "02000000 0000 0900 " IP4_SYN, NOTHING, 0, 0, NO_PORTS | BAD,
      BH_REASON_LINK_SHORT },
    { "pflog", 117, "05020000 00000000 " IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "pktap", 258, "0c000000 01000000 01000000 " ETH4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "pktap in itself", 149, "0c000000 01000000 02010000 0c000000 01000000 65000000 " IP4_SYN,
      ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "ipnet", 226, "01020000 00000000 00000000 00000000 00000000 00000000 " IP4_SYN, ROW_SYN,
      L4 | TCP | ONLY, 2, 0, 0 },
    { "atm llc", 100, SNAP IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
    { "atm clip", 106, IP4_SYN, ROW_SYN, L4 | TCP | ONLY, 2, 0, 0 },
};

/* ---- helpers ------------------------------------------------------------------------------- */

static struct bh_frames frames;
static struct bh_batch batch;

static size_t
from_hex(const char *hex, uint8_t *out)
{
    size_t n = 0;
    unsigned half = 0;
    for (; *hex != '\0'; hex++) {
        if (*hex == ' ') {
            continue;
        }
        unsigned digit = (unsigned)(*hex <= '9' ? *hex - '0' : *hex - 'a' + 10);
        out[n / 2] = (uint8_t)(half << 4 | digit);
        half = digit;
        n++;
    }
    assert_int_equal(n % 2, 0);
    return n / 2;
}

/* One frame, the last octet of a block of its own: a sanitizer sees any reading beyond it. */
static void
decode_octets(const struct bh_decoder *d, uint16_t link_type, const uint8_t *octets, size_t len,
              size_t wire_len)
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    uint32_t at = 0;
    assert_non_null(copy);
    memcpy(copy, octets, len);
    frames.count = 1;
    frames.frame[0] = (struct bh_frame){ .ts_ns = 5,
                                         .data = copy,
                                         .cap_len = (uint32_t)len,
                                         .wire_len = (uint32_t)wire_len,
                                         .link_type = link_type };
    bh_batch_reset(&batch);
    assert_int_equal(bh_packet_decode(d, &frames, &at, &batch), 1);
    assert_int_equal(at, 1);
    free(copy);
}

static void
decode_hex(const struct bh_decoder *d, uint16_t link_type, const char *hex)
{
    uint8_t octets[512];
    size_t len = from_hex(hex, octets);
    decode_octets(d, link_type, octets, len, len);
}

static const struct bh_decoder plain;
static const struct bh_decoder with_cold = { .want = BH_WANT_COLD };

static void
check_row(const struct expected *e)
{
    struct bh_ip src = bh_batch_src(&batch, 0);
    struct bh_ip dst = bh_batch_dst(&batch, 0);
    print_message("  %s\n", e->name);
    assert_int_equal(batch.kind[0], e->kind);
    assert_int_equal(batch.proto[0], e->proto);
    assert_int_equal(src.family, e->kind == BH_KIND_ARP ? 4 : e->kind);
    assert_int_equal(bh_get_be32(src.octets + (e->kind == 6 ? 12 : 0)), e->src);
    assert_int_equal(bh_get_be32(dst.octets + (e->kind == 6 ? 12 : 0)), e->dst);
    assert_int_equal(batch.ports[0], e->ports);
    assert_int_equal(batch.ip_len[0], e->ip_len);
    assert_int_equal(batch.payload_len[0], e->payload_len);
    assert_int_equal(batch.layers[0], e->layers);
    assert_int_equal(batch.tcp_flags[0], e->tcp_flags);
    assert_int_equal(batch.marks[0], e->marks);
    assert_int_equal(batch.reason[0], e->reason);
    assert_int_equal(batch.ts_ns[0], 5);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void
test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        decode_hex(&plain, cases[i].link_type, cases[i].hex);
        check_row(&cases[i]);
        decode_hex(&with_cold, cases[i].link_type, cases[i].hex);
        check_row(&cases[i]);
    }
}

/* A frame cut by the snap length is never malformed where the whole one is not, and never has
 * more layers. */
static void
test_cut_everywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        uint8_t octets[512];
        size_t len = from_hex(cases[i].hex, octets);
        for (size_t cut = 0; cut < len; cut++) {
            decode_octets(&with_cold, cases[i].link_type, octets, cut, len);
            if ((cases[i].marks & BAD) == 0 && (batch.marks[0] & BAD) != 0) {
                fail_msg("%s cut at %zu is malformed: %s", cases[i].name, cut,
                         bh_reason_name(batch.reason[0]));
            }
            if (cut > 0 && (batch.layers[0] & ~cases[i].layers & 0x1ff) != 0) {
                fail_msg("%s cut at %zu has layers %x", cases[i].name, cut, batch.layers[0]);
            }
            decode_octets(&plain, cases[i].link_type, octets, cut, cut);
        }
    }
}

/* Ethernet goes the short way, raw IP the general one. */
static void
test_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        uint8_t octets[512];
        size_t len = from_hex(cases[i].hex, octets);
        bool ip4 = len > 14 && bh_get_be16(octets + 12) == 0x0800 && octets[14] >> 4 == 4;
        bool ip6 = len > 14 && bh_get_be16(octets + 12) == 0x86dd;
        if (cases[i].link_type == 1 && (ip4 || ip6)) {
            decode_octets(&with_cold, 101, octets + 14, len - 14, len - 14);
            check_row(&cases[i]);
        }
    }
}

static void
check_same(const char *name, const struct bh_batch *a, const struct bh_batch *b)
{
    bool same = a->src[0] == b->src[0] && a->dst[0] == b->dst[0] && a->ports[0] == b->ports[0] &&
                a->tcp_seq[0] == b->tcp_seq[0] && a->ip_len[0] == b->ip_len[0] &&
                a->payload_len[0] == b->payload_len[0] && a->layers[0] == b->layers[0] &&
                a->kind[0] == b->kind[0] && a->proto[0] == b->proto[0] &&
                a->tcp_flags[0] == b->tcp_flags[0] && a->marks[0] == b->marks[0] &&
                a->reason[0] == b->reason[0] && a->ttl[0] == b->ttl[0] && a->df[0] == b->df[0] &&
                a->ip_id[0] == b->ip_id[0] && a->tcp_window[0] == b->tcp_window[0] &&
                a->tcp_options[0] == b->tcp_options[0] && a->vlan[0] == b->vlan[0] &&
                a->ethertype[0] == b->ethertype[0] && a->src_mac[0] == b->src_mac[0] &&
                a->wire_len[0] == b->wire_len[0] && a->quote_rows == b->quote_rows &&
                a->seen_rows == b->seen_rows && a->fragment_rows == b->fragment_rows &&
                a->v6_rows == b->v6_rows;
    if (!same ||
        (a->kind[0] == BH_KIND_IP6 && memcmp(&a->ip6[0], &b->ip6[0], sizeof a->ip6[0]) != 0)) {
        fail_msg("%s: the short way and the general way differ", name);
    }
}

/* What the short way takes and what it leaves, on frames that are nearly right: one octet of each
 * header set to every value, at every length around the borders. A frame whose time is bad goes the
 * general way. */
static void
test_nearly_right(void **state)
{
    static const char *const hex[] = {
        ETH4_SYN "0102030405060708",
        ETH4_DNS "0102",
        MACS "0800 " IP4_PING,
        MACS "86dd " IP6_SYN "0102",
        MACS "86dd " IP6_DNS "0102",
        MACS "0800 4500 003c 0007 4000 40 06 0000 0a000001 0a000002 " SYN_OPTIONS,
        MACS "86dd 60000000 0008 3a ff " A1 A2 "8700 0000 00000000 0102",
    };
    static struct bh_batch general, peeked;
    (void)state;
    for (size_t k = 0; k < BH_COUNT(hex); k++) {
        uint8_t octets[512];
        const size_t len = from_hex(hex[k], octets);
        for (size_t at = 12; at < len; at++) {
            const uint8_t was = octets[at];
            for (unsigned value = 0; value < 256; value++) {
                octets[at] = (uint8_t)value;
                for (size_t cut = 0; cut <= 3; cut++) {
                    struct bh_frames one = { .count = 1 };
                    const uint32_t there =
                        (uint32_t)(cut < 3 ? len - cut * 7 : (value * 5 + at) % len);
                    uint32_t next = 0;
                    one.frame[0] = (struct bh_frame){ .data = octets,
                                                      .cap_len = there,
                                                      .wire_len = (uint32_t)len,
                                                      .link_type = 1,
                                                      .flags = BH_FRAME_BAD_TIME };
                    bh_batch_reset(&general);
                    bh_packet_decode(&with_cold, &one, &next, &general);
                    general.marks[0] &= (uint8_t)~BH_MARK_BAD_TIME;
                    one.frame[0].flags = 0;
                    next = 0;
                    bh_batch_reset(&batch);
                    bh_packet_decode(&with_cold, &one, &next, &batch);
                    check_same(hex[k], &batch, &general);
                    next = 0;
                    bh_batch_reset(&peeked);
                    assert_int_equal(bh_packet_peek(&plain, &one, &next, &peeked), 1);
                    if (peeked.kind[0] != batch.kind[0] || peeked.src[0] != batch.src[0] ||
                        peeked.dst[0] != batch.dst[0] || peeked.quote_rows != batch.quote_rows ||
                        (peeked.kind[0] == BH_KIND_IP6 &&
                         memcmp(&peeked.ip6[0], &batch.ip6[0], sizeof peeked.ip6[0]) != 0)) {
                        fail_msg("%s: a look finds other addresses", hex[k]);
                    }
                }
            }
            octets[at] = was;
        }
    }
}

static void
test_cold(void **state)
{
    (void)state;
    decode_hex(&with_cold, 1,
               MACS "88a8 0064 8100 0065 0800 4500 003c 1234 4000 40 06 0000 0a000001 "
                    "0a000002 " SYN_OPTIONS);
    assert_int_equal(batch.want, BH_WANT_COLD);
    assert_int_equal(batch.ttl[0], 0x40);
    assert_int_equal(batch.df[0], 1);
    assert_int_equal(batch.ip_id[0], 0x1234);
    assert_int_equal(batch.tcp_window[0], 1024);
    assert_int_equal(batch.vlan[0], 101);
    assert_int_equal(batch.ethertype[0], 0x0800);
    assert_int_equal(batch.src_mac[0], 0x020000000002);
    assert_int_equal(batch.wire_len[0], 82);
    uint32_t signature = batch.tcp_options[0];
    assert_int_equal(signature >> 20, 1460 / 16);
    assert_int_equal(signature >> 16 & 15, 8);
    decode_hex(&with_cold, 1,
               MACS "0800 4500 003c 1234 4000 40 06 0000 0a000001 0a000002 " SYN_OPTIONS);
    assert_int_equal(batch.tcp_options[0], signature);
    assert_int_equal(batch.ip_id[0], 0x1234);
    assert_int_equal(batch.vlan[0], 0);
    assert_int_equal(batch.src_mac[0], 0x020000000002);
}

static void
test_header_lengths(void **state)
{
    uint8_t octets[512];
    (void)state;
    size_t len = from_hex(ETH4_SYN "0000000000000000", octets);
    for (unsigned words = 0; words < 16; words++) {
        octets[14] = (uint8_t)(0x40 | words);
        decode_octets(&plain, 1, octets, len, len);
        bool beyond = words * 4 > 40;
        unsigned reason = words < 5 || beyond ? BH_REASON_IP_HEADER_LEN : 0;
        assert_int_equal(batch.kind[0], reason != 0 ? BH_KIND_NONE : BH_KIND_IP4);
        if (reason != 0) {
            assert_int_equal(batch.reason[0], reason);
        }
    }
    octets[14] = 0x45;
    for (unsigned words = 0; words < 16; words++) {
        octets[46] = (uint8_t)(words << 4);
        decode_octets(&plain, 1, octets, len, len);
        assert_int_equal(batch.reason[0], words == 5 ? 0 : BH_REASON_TCP_OFFSET);
        assert_int_equal(batch.ports[0], P(40000, 22));
        assert_int_equal(batch.tcp_flags[0], 2);
    }
    octets[46] = 0x50;
    for (unsigned total = 0; total <= 60; total++) {
        bh_put_be16(octets + 16, (uint16_t)total);
        decode_octets(&plain, 1, octets, len, len);
        if (total > 0 && total < 20) {
            assert_int_equal(batch.reason[0], BH_REASON_IP_TOTAL_LEN);
        } else if (total >= 20 && total < 40) {
            assert_int_equal(batch.reason[0], BH_REASON_TCP_OFFSET);
            assert_int_equal((batch.marks[0] & NO_PORTS) != 0, total < 34);
        } else {
            assert_int_equal(batch.reason[0], 0);
        }
    }
}

static void
test_udp_lengths(void **state)
{
    uint8_t octets[512];
    (void)state;
    size_t len = from_hex(ETH4_DNS, octets);
    for (unsigned udp_len = 0; udp_len < 20; udp_len++) {
        bh_put_be16(octets + 38, (uint16_t)udp_len);
        decode_octets(&plain, 1, octets, len, len);
        assert_int_equal(batch.reason[0], udp_len < 8 || udp_len > 12 ? BH_REASON_UDP_LEN : 0);
        assert_int_equal(batch.ports[0], P(40000, 53));
    }
}

/* Cut by the snap length: the ports need 4 octets of UDP, the flags 14 of TCP. */
static void
test_cut_transport(void **state)
{
    uint8_t octets[512];
    (void)state;
    size_t len = from_hex(ETH4_SYN, octets);
    for (size_t cut = 34; cut <= len; cut++) {
        decode_octets(&plain, 1, octets, cut, len);
        assert_int_equal(batch.kind[0], BH_KIND_IP4);
        assert_int_equal((batch.marks[0] & BH_MARK_NO_PORTS) != 0, cut < 34 + 14);
        assert_int_equal((batch.marks[0] & BH_MARK_TRUNCATED) != 0, cut < 34 + 20);
    }
    len = from_hex(ETH4_DNS, octets);
    for (size_t cut = 34; cut <= len; cut++) {
        decode_octets(&plain, 1, octets, cut, len);
        assert_int_equal((batch.marks[0] & BH_MARK_NO_PORTS) != 0, cut < 34 + 4);
        assert_int_equal((batch.marks[0] & BH_MARK_TRUNCATED) != 0, cut < 34 + 8);
    }
}

/* Tags up to the limit are read, one more is not. */
static void
test_depth(void **state)
{
    uint8_t octets[512];
    (void)state;
    for (size_t tags = 0; tags < 40; tags++) {
        memset(octets, 0, 12);
        for (size_t i = 0; i < tags; i++) {
            bh_put_be32(octets + 12 + 4 * i, 0x81000001);
        }
        size_t len = 12 + 4 * tags + from_hex("0800 " IP4_SYN, octets + 12 + 4 * tags);
        decode_octets(&plain, 1, octets, len, len);
        assert_int_equal(batch.kind[0], tags < BH_WALK_DEPTH ? BH_KIND_IP4 : BH_KIND_NONE);
        assert_int_equal(batch.reason[0], tags < BH_WALK_DEPTH ? 0 : BH_REASON_DEPTH);
    }
    /* IP in IP in IP ...: the outer packet stays the record */
    size_t at = 14;
    from_hex(MACS "0800 ", octets);
    for (size_t left = 20 * 20; left > 0; left -= 20, at += 20) {
        from_hex(OUTER4("0000", "04"), octets + at);
        bh_put_be16(octets + at + 2, (uint16_t)left);
    }
    decode_octets(&plain, 1, octets, at, at);
    assert_int_equal(batch.kind[0], BH_KIND_IP4);
    assert_int_equal(batch.reason[0], BH_REASON_DEPTH);
}

static void
test_extension_chain(void **state)
{
    static uint8_t octets[14 + 40 + 300 * 8 + 20];
    (void)state;
    for (size_t n = 0; n <= 300; n++) {
        from_hex(MACS "86dd 60000000 0000 3c 40 " A1 A2, octets);
        bh_put_be16(octets + 18, (uint16_t)(n * 8 + 20));
        octets[20] = n == 0 ? 6 : 60;
        for (size_t i = 0; i < n; i++) {
            uint8_t *p = octets + 54 + i * 8;
            memset(p, 0, 8);
            p[0] = i + 1 == n ? 6 : 60;
        }
        from_hex(SYN, octets + 54 + n * 8);
        decode_octets(&plain, 1, octets, 54 + n * 8 + 20, 54 + n * 8 + 20);
        assert_int_equal(batch.reason[0], n < 256 ? 0 : BH_REASON_IP6_EXTENSION);
        assert_int_equal(batch.ports[0], n < 256 ? P(40000, 22) : 0);
    }
}

static void
test_quotes(void **state)
{
    (void)state;
    decode_hex(&plain, 1,
               MACS
               "0800 4500 003c 0001 0000 40 01 0000 c0000201 0a000003 0303 0000 00000000 " IP4_DNS);
    assert_int_equal(batch.quote_rows, 1);
    assert_int_equal(batch.quotes[0].kind, BH_KIND_IP4);
    assert_int_equal(batch.quotes[0].proto, 17);
    assert_int_equal(batch.quotes[0].src, 0x0a000003);
    assert_int_equal(batch.quotes[0].ports, P(40000, 53));
    assert_true(batch.quotes[0].has_ports);
    assert_int_equal(batch.layers[0], L4 | ICMP);
    /* ports behind the options of the quoted header; none in a later fragment */
    decode_hex(&plain, 1,
               MACS "0800 4500 0040 0001 0000 40 01 0000 c0000201 0a000003 0303 0000 00000000 "
                    "4600 0024 0007 0000 40 11 0000 0a000003 0a000004 94040000 " DNS);
    assert_int_equal(batch.quotes[0].ports, P(40000, 53));
    decode_hex(&plain, 1,
               MACS "0800 4500 003c 0001 0000 40 01 0000 c0000201 0a000003 0303 0000 00000000 "
                    "4500 0020 0007 0001 40 11 0000 0a000003 0a000004 " DNS);
    assert_false(batch.quotes[0].has_ports);
    decode_hex(&plain, 1,
               MACS "86dd 60000000 0048 3a 40 " A1 A2 "0104 0000 00000000 "
                    "60000000 0014 00 40 " A1 A2 "1100 010400000000 9c40 0035 000c 0000");
    assert_int_equal(batch.quote_rows, 1);
    assert_int_equal(batch.quotes[0].kind, BH_KIND_IP6);
    assert_int_equal(batch.quotes[0].proto, 17);
    assert_int_equal(batch.quotes[0].ports, P(40000, 53));
    assert_int_equal(batch.quotes[0].ip6.src_lo, 1);
}

/* Batches end early when the quotes are full, and when the rows are. */
static void
test_batch_ends(void **state)
{
    static uint8_t error[512], syn[512];
    static struct bh_frames many;
    uint32_t at = 0;
    (void)state;
    size_t error_len = from_hex(
        MACS "0800 4500 003c 0001 0000 40 01 0000 c0000201 0a000003 0303 0000 00000000 " IP4_DNS,
        error);
    size_t syn_len = from_hex(ETH4_SYN, syn);
    many.count = BH_FRAMES_MAX;
    for (uint32_t i = 0; i < many.count; i++) {
        many.frame[i] = (struct bh_frame){ .data = i % 2 ? error : syn, .link_type = 1 };
        many.frame[i].cap_len = many.frame[i].wire_len = (uint32_t)(i % 2 ? error_len : syn_len);
    }
    bh_batch_reset(&batch);
    assert_int_equal(bh_packet_decode(&plain, &many, &at, &batch), 2 * BH_BATCH_QUOTES + 1);
    assert_int_equal(batch.quote_rows, BH_BATCH_QUOTES);
    assert_int_equal(batch.quotes[BH_BATCH_QUOTES - 1].row, 2 * BH_BATCH_QUOTES - 1);
    assert_int_equal(at, 2 * BH_BATCH_QUOTES + 1);
    /* a batch that is full or has all the quotes it can hold is never left empty */
    while (at < BH_FRAMES_MAX) {
        bh_batch_reset(&batch);
        assert_true(bh_packet_decode(&plain, &many, &at, &batch) > 0);
    }
    bh_batch_reset(&batch);
    at = 0;
    batch.rows = 1;
    for (uint32_t i = 0; i < many.count; i++) {
        many.frame[i] = many.frame[0];
    }
    assert_int_equal(bh_packet_decode(&plain, &many, &at, &batch), BH_BATCH_ROWS - 1);
    assert_int_equal(batch.rows, BH_BATCH_ROWS);
    assert_int_equal(bh_packet_decode(&plain, &many, &at, &batch), 0);
}

#define VXLAN_SYN MACS "0800 " OUTER4("005a", "11") "9c40 12b5 0046 0000 0800000000002a00 " ETH4_SYN

static void
test_decap(void **state)
{
    struct bh_decoder d = { .want = BH_WANT_COLD };
    struct bh_error err;
    (void)state;
    assert_int_equal(bh_decap_parse(&d, "vxlan@192.0.2.0/24", &err), 0);
    decode_hex(&d, 1, VXLAN_SYN);
    assert_int_equal(batch.src[0], 0x0a000001);
    assert_int_equal(batch.ports[0], P(40000, 22));
    assert_int_equal(batch.marks[0], BH_MARK_DECAP);
    assert_int_equal(batch.tunnel_sender[0], 0xc0000201);
    assert_int_equal(batch.tunnel_vni[0], 42);
    assert_int_equal(batch.layers[0], L4 | UDP | TCP | ONLY | SEEN);
    uint32_t cursor = 0;
    struct bh_seen seen = bh_batch_seen(&batch, 0, &cursor);
    assert_int_equal(seen.src4, 0xc0000201); /* outermost, whatever the record is */
    assert_int_equal(seen.port, 22);
    /* another kind, and another sender */
    decode_hex(&d, 1, MACS "0800 " OUTER4("003c", "04") IP4_SYN);
    assert_int_equal(batch.src[0], 0xc0000201);
    d = (struct bh_decoder){ 0 };
    assert_int_equal(bh_decap_parse(&d, "vxlan@192.0.2.128/25", &err), 0);
    decode_hex(&d, 1, VXLAN_SYN);
    assert_int_equal(batch.src[0], 0xc0000201);
    assert_int_equal(batch.marks[0], 0);
    /* no sender asked for; the other kinds; IPv6 senders */
    d = (struct bh_decoder){ .want = BH_WANT_COLD };
    assert_int_equal(bh_decap_parse(&d, "ipip", &err), 0);
    assert_int_equal(bh_decap_parse(&d, "gre@192.0.2.1", &err), 0);
    assert_int_equal(bh_decap_parse(&d, "erspan@0.0.0.0/0", &err), 0);
    assert_int_equal(bh_decap_parse(&d, "geneve@2001:db8::/32", &err), 0);
    decode_hex(&d, 1, MACS "0800 " OUTER4("003c", "04") IP4_SYN);
    assert_int_equal(batch.src[0], 0x0a000001);
    decode_hex(&d, 1, MACS "0800 " OUTER4("0044", "2f") "2000 0800 00000007 " IP4_SYN);
    assert_int_equal(batch.src[0], 0x0a000001);
    assert_int_equal(batch.tunnel_vni[0], 7);
    decode_hex(&d, 1, MACS "0800 " OUTER4("004e", "2f") "0000 88be " ETH4_SYN);
    assert_int_equal(batch.src[0], 0x0a000001);
    decode_hex(&d, 1,
               MACS "86dd 60000000 003c 11 40 " A1 A2
                    "9c40 17c1 003c 0000 0000 0800 00002a00 " IP4_SYN "000000000000000000000000");
    assert_int_equal(batch.kind[0], BH_KIND_IP4);
    assert_int_equal(batch.tunnel_sender[0] >> 28, 15);
    /* what is inside is no packet: the outer one stays the record */
    decode_hex(&d, 1, MACS "0800 " OUTER4("001c", "04") "5500001400000000");
    assert_int_equal(batch.src[0], 0xc0000201);
    assert_int_equal(batch.marks[0] & BH_MARK_DECAP, 0);
}

static void
test_decap_parse(void **state)
{
    static const char *const bad[] = {
        "",           "vxlan4",       "vxlan@",        "vxlan@x",          "gre@1.2.3.4/33",
        "gre@::/129", "gre@1.2.3.4/", "gre@1.2.3.4/x", "gre@1.2.3.4/0032", "@1.2.3.4"
    };
    struct bh_decoder d = { 0 };
    struct bh_error err;
    (void)state;
    for (size_t i = 0; i < BH_COUNT(bad); i++) {
        assert_true(bh_decap_parse(&d, bad[i], &err) < 0);
        assert_string_not_equal(err.text[BH_EN], "");
        assert_string_not_equal(err.text[BH_JA], "");
    }
    assert_int_equal(d.decap_count, 0);
    for (size_t i = 0; i < BH_DECAP_RULES_MAX; i++) {
        assert_int_equal(bh_decap_parse(&d, "gre@::1", &err), 0);
    }
    assert_int_equal(bh_decap_parse(&d, "gre@::1", &err), BH_ELIMIT);
}

/* A datagram counts its transport layer where it completes, in whatever order. */
static void
test_fragments(void **state)
{
    static const char *const pieces[3] = {
        MACS "0800 4500 001c 0007 2000 40 11 0000 0a000003 0a000004 9c40 0035 0014 0000",
        MACS "0800 4500 001c 0007 2001 40 11 0000 0a000003 0a000004 6162636465666768",
        MACS "0800 4500 0018 0007 0002 40 11 0000 0a000003 0a000004 61626364",
    };
    static const int orders[4][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 2, 0 }, { 0, 0, 2 } };
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct bh_fragments *t = bh_fragments_new();
        assert_non_null(t);
        for (size_t k = 0; k < 3; k++) {
            uint32_t cursor = 0;
            decode_hex(&plain, 1, pieces[orders[i][k]]);
            assert_int_equal(batch.fragment_rows, 1);
            bh_fragments_apply(t, &batch);
            bool whole = k == 2 && i != 3;
            struct bh_seen seen = bh_batch_seen(&batch, 0, &cursor);
            assert_int_equal((batch.layers[0] & UDP) != 0, whole);
            assert_int_equal(seen.port, whole ? 53 : 0);
            assert_true(seen.has_src4);
        }
        bh_fragments_free(t);
    }
}

static void
test_options_signature(void **state)
{
    uint8_t octets[64] = { 0 };
    (void)state;
    assert_int_equal(bh_tcp_options_signature(octets, 0), 0);
    size_t len = from_hex("020405b4 010303ff 04020000", octets);
    uint32_t signature = bh_tcp_options_signature(octets, len);
    assert_int_equal(signature >> 20, 91);
    assert_int_equal(signature >> 16 & 15, 15);
    octets[3] = 0xb5; /* values are not in the hash of the order */
    assert_int_equal(bh_tcp_options_signature(octets, len) & 0xffff, signature & 0xffff);
    len = from_hex("010303ff 020405b4 04020000", octets);
    assert_int_not_equal(bh_tcp_options_signature(octets, len) & 0xffff, signature & 0xffff);
    len = from_hex("02040001", octets);
    assert_int_equal(bh_tcp_options_signature(octets, len) >> 20, 1);
    for (size_t cut = 0; cut <= len; cut++) {
        uint8_t *copy = malloc(cut == 0 ? 1 : cut);
        assert_non_null(copy);
        memcpy(copy, octets, cut);
        assert_int_equal(bh_tcp_options_signature(copy, cut) == 0, cut == 0);
        free(copy);
    }
    octets[1] = 0; /* a length that does not move on */
    assert_int_not_equal(bh_tcp_options_signature(octets, 4), 0);
}

/* The short way has its own list of ports: cases[] has a tunnel behind each of them, so what is
 * missing there fails above. This counts that none was added to one list only. */
static void
test_tunnel_ports(void **state)
{
    unsigned count = 0;
    (void)state;
    for (unsigned port = 0; port < 65536; port++) {
        count += bh_udp_tunnel((uint16_t)port) != NULL;
    }
    assert_int_equal(count, 11);
}

static void
test_links(void **state)
{
    (void)state;
    assert_true(bh_link_known(1) && bh_link_known(0) && bh_link_known(276));
    assert_false(bh_link_known(2) || bh_link_known(65535) || bh_link_known(277));
    unsigned before = 0, count = 0;
    for (unsigned type = 0; type < 65536; type++) {
        count += bh_link_known((uint16_t)type);
        before = type;
    }
    assert_int_equal(before, 65535);
    assert_int_equal(count, 29); /* sorted, or the look-up would miss some */
}

static void
test_bad_time(void **state)
{
    uint32_t at = 0;
    (void)state;
    decode_hex(&plain, 1, ETH4_SYN);
    uint8_t octets[512];
    size_t len = from_hex(ETH4_SYN, octets);
    frames.frame[0].data = octets;
    frames.frame[0].cap_len = frames.frame[0].wire_len = (uint32_t)len;
    frames.frame[0].flags = BH_FRAME_BAD_TIME;
    bh_batch_reset(&batch);
    assert_int_equal(bh_packet_decode(&plain, &frames, &at, &batch), 1);
    assert_int_equal(batch.marks[0], BH_MARK_BAD_TIME);
    assert_int_equal(batch.ports[0], P(40000, 22));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),        cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_both_ways),    cmocka_unit_test(test_nearly_right),
        cmocka_unit_test(test_cold),         cmocka_unit_test(test_header_lengths),
        cmocka_unit_test(test_udp_lengths),  cmocka_unit_test(test_cut_transport),
        cmocka_unit_test(test_depth),        cmocka_unit_test(test_extension_chain),
        cmocka_unit_test(test_quotes),       cmocka_unit_test(test_batch_ends),
        cmocka_unit_test(test_decap),        cmocka_unit_test(test_decap_parse),
        cmocka_unit_test(test_fragments),    cmocka_unit_test(test_options_signature),
        cmocka_unit_test(test_tunnel_ports), cmocka_unit_test(test_links),
        cmocka_unit_test(test_bad_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
