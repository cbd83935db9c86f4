/* SPDX-License-Identifier: BSD-2-Clause */
/* Link types, by their numbers in capture files (the list of tcpdump.org). A new one is one new
 * file and one line here. */
#include "walk_priv.h"

static const struct {
    uint16_t link_type;
    bh_link_fn *walk;
} links[] = {
    { 0, bh_link_null },           /* NULL */
    { 1, bh_link_ethernet },       /* ETHERNET */
    { 7, bh_link_arcnet },         /* ARCNET_BSD */
    { 9, bh_link_ppp },            /* PPP */
    { 12, bh_link_raw },           /* RAW, as some systems wrote their own DLT_RAW */
    { 14, bh_link_raw },           /* RAW, of OpenBSD */
    { 50, bh_link_ppp_hdlc },      /* PPP_HDLC */
    { 51, bh_proto_pppoe },        /* PPP_ETHER */
    { 100, bh_proto_llc },         /* ATM_RFC1483 */
    { 101, bh_link_raw },          /* RAW */
    { 104, bh_link_chdlc },        /* C_HDLC */
    { 105, bh_link_ieee80211 },    /* IEEE802_11 */
    { 106, bh_link_ip4 },          /* ATM_CLIP */
    { 107, bh_link_frelay },       /* FRELAY */
    { 108, bh_link_loop },         /* LOOP */
    { 113, bh_link_sll },          /* LINUX_SLL */
    { 117, bh_link_pflog },        /* PFLOG */
    { 119, bh_link_prism },        /* IEEE802_11_PRISM */
    { 127, bh_link_radiotap },     /* IEEE802_11_RADIOTAP */
    { 129, bh_link_arcnet_linux }, /* ARCNET_LINUX */
    { 149, bh_link_pktap },        /* USER2, Apple's PKTAP before it had a number */
    { 163, bh_link_avs },          /* IEEE802_11_AVS */
    { 192, bh_link_ppi },          /* PPI */
    { 226, bh_link_ipnet },        /* IPNET */
    { 228, bh_link_ip4 },          /* IPV4 */
    { 229, bh_link_ip6 },          /* IPV6 */
    { 239, bh_link_nflog },        /* NFLOG */
    { 258, bh_link_pktap },        /* PKTAP */
    { 276, bh_link_sll2 },         /* LINUX_SLL2 */
};

bh_link_fn *
bh_link_find(uint16_t link_type)
{
    size_t low = 0;
    size_t high = BH_COUNT(links);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (links[middle].link_type < link_type) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < BH_COUNT(links) && links[low].link_type == link_type ? links[low].walk : NULL;
}

bool
bh_link_known(uint16_t link_type)
{
    return bh_link_find(link_type) != NULL;
}
