/* SPDX-License-Identifier: BSD-2-Clause */
/* Ethernet. */
#include "walk_priv.h"

/* IEEE 802.3, 3.1.1: destination (6), source (6), type or length (2). Up to 1500 it is the
 * length of an LLC frame (3.2.6). */
void
bh_link_ethernet(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 14);
    if (p == NULL) {
        bh_walk_cut(w);
        return;
    }
    uint16_t type = bh_get_be16(p + 12);
    if (!w->has_record || w->want_inner) {
        w->src_mac = (uint64_t)bh_get_be16(p + 6) << 32 | bh_get_be32(p + 8);
    }
    if (type <= 1500) {
        bh_proto_llc(w, bh_cur_sub(&c, type));
    } else {
        bh_walk_ethertype(w, type, c);
    }
}
