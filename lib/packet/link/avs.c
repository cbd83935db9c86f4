/* SPDX-License-Identifier: BSD-2-Clause */
/* Prism and AVS headers before 802.11 frames. */
#include "walk_priv.h"

/* AVS: magic 0x80211001 (4), length of this header (4), both in network order. */
void
bh_link_avs(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 8);
    uint32_t len = p == NULL ? 0 : bh_get_be32(p + 4);
    if (p == NULL || len < 8 || bh_cur_take(&c, len - 8) == NULL) {
        bh_walk_cut(w);
        return;
    }
    bh_link_80211(w, c, 0);
}

/* Prism monitoring: always 144 octets. Some drivers say Prism and write AVS. */
void
bh_link_prism(struct bh_walk *w, struct bh_cur c)
{
    if (bh_cur_left(&c) >= 4 && bh_get_be32(c.at) == 0x80211001) {
        bh_link_avs(w, c);
    } else if (bh_cur_take(&c, 144) == NULL) {
        bh_walk_cut(w);
    } else {
        bh_link_80211(w, c, 0);
    }
}
