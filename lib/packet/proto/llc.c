/* SPDX-License-Identifier: BSD-2-Clause */
/* Logical link control and SNAP. */
#include "walk_priv.h"

/* IEEE 802, 9.2 (SNAP: organisation and protocol); RFC 1042 and 802.1H use EtherTypes, and
 * RFC 2684, B.1 numbers bridged frames (1: Ethernet with its check sequence, 7: without). */
void
bh_proto_snap(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 5);
    if (p == NULL) {
        bh_walk_cut(w);
        return;
    }
    uint32_t organisation = bh_get_be32(p) >> 8;
    uint16_t protocol = bh_get_be16(p + 3);
    if (organisation == 0x000000 || organisation == 0x0000f8) {
        bh_walk_ethertype(w, protocol, c);
    } else if (organisation == 0x0080c2 && (protocol == 1 || protocol == 7)) {
        bh_link_ethernet(w, c);
    } else {
        bh_walk_fail(w, BH_REASON_NOT_IP);
    }
}

/* IEEE 802.2, 3: two service access points and a control field. */
void
bh_proto_llc(struct bh_walk *w, struct bh_cur c)
{
    enum { SNAP = 0xaa, IP = 0x06, UNNUMBERED = 0x03 };
    if (!bh_walk_deeper(w)) {
        return;
    }
    const uint8_t *p = bh_cur_take(&c, 3);
    if (p == NULL) {
        bh_walk_cut(w);
    } else if (p[0] == SNAP && p[1] == SNAP && p[2] == UNNUMBERED) {
        bh_proto_snap(w, c);
    } else if (p[0] == IP && p[1] == IP && p[2] == UNNUMBERED) { /* RFC 948 */
        bh_walk_ethertype(w, 0x0800, c);
    } else {
        bh_walk_fail(w, BH_REASON_NOT_IP);
    }
}
