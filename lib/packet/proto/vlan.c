/* SPDX-License-Identifier: BSD-2-Clause */
/* 802.1Q tags. */
#include "walk_priv.h"

/* IEEE 802.1Q, 9.6: priority, DEI and a 12-bit identifier, then the EtherType of what follows;
 * below 1536 it is a length, and LLC follows. */
void
bh_proto_vlan(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 4);
    if (p == NULL) {
        bh_walk_cut(w);
        return;
    }
    if (w->vlan == 0 && (!w->has_record || w->want_inner)) {
        w->vlan = (uint16_t)((bh_get_be16(p) & 0x0fff) + 1);
    }
    uint16_t type = bh_get_be16(p + 2);
    if (type <= 1500) {
        bh_proto_llc(w, bh_cur_sub(&c, type));
    } else {
        bh_walk_ethertype(w, type, c);
    }
}
