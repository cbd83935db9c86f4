/* SPDX-License-Identifier: BSD-2-Clause */
/* Apple's PKTAP. */
#include "walk_priv.h"

/* LINKTYPE_PKTAP: length of this header (4), type of record (4, 1 carries a packet), link type
 * of the frame (4), ...; little-endian. */
void
bh_link_pktap(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 12);
    size_t len = p == NULL ? 0 : bh_get_le32(p);
    if (p == NULL || len < 12 || bh_cur_take(&c, len - 12) == NULL) {
        bh_walk_cut(w);
        return;
    }
    uint32_t type = bh_get_le32(p + 8);
    bh_link_fn *link = type > UINT16_MAX ? NULL : bh_link_find((uint16_t)type);
    if (link == NULL) {
        bh_walk_fail(w, BH_REASON_LINK_UNKNOWN);
    } else if (bh_walk_deeper(w)) {
        link(w, c);
    }
}
