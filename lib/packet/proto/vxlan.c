/* SPDX-License-Identifier: BSD-2-Clause */
/* VXLAN, and its generic protocol extension. */
#include "walk_priv.h"

/* RFC 7348, 5: flags (1), reserved (3), network identifier (3), reserved (1); Ethernet. */
void
bh_proto_vxlan(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 8);
    if (p == NULL) {
        return;
    }
    bh_walk_tunnel(w, BH_DECAP_VXLAN, bh_get_be32(p + 4) >> 8);
    bh_link_ethernet(w, c);
}

/* draft-ietf-nvo3-vxlan-gpe, 3: as above, but the last octet of the flags word names what
 * follows. */
void
bh_proto_vxlan_gpe(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 8);
    if (p == NULL) {
        return;
    }
    bh_walk_tunnel(w, BH_DECAP_VXLAN, bh_get_be32(p + 4) >> 8);
    switch (p[3]) {
    case 1:
        bh_walk_ethertype(w, 0x0800, c);
        break;
    case 2:
        bh_walk_ethertype(w, 0x86dd, c);
        break;
    case 3:
        bh_link_ethernet(w, c);
        break;
    case 4:
        bh_walk_ethertype(w, 0x894f, c);
        break;
    default:
        break;
    }
}
