/* SPDX-License-Identifier: BSD-2-Clause */
/* Per-packet information. */
#include "walk_priv.h"

/* PPI 1.0.10, 3: version (1), flags (1), length of all headers (2), link type of the frame (4),
 * little-endian. */
void
bh_link_ppi(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 8);
    size_t len = p == NULL ? 0 : bh_get_le16(p + 2);
    if (p == NULL || len < 8 || bh_cur_take(&c, len - 8) == NULL) {
        bh_walk_cut(w);
        return;
    }
    uint32_t type = bh_get_le32(p + 4);
    bh_link_fn *link = type > UINT16_MAX ? NULL : bh_link_find((uint16_t)type);
    if (link == NULL) {
        bh_walk_fail(w, BH_REASON_LINK_UNKNOWN);
    } else if (bh_walk_deeper(w)) {
        link(w, c);
    }
}
