/* SPDX-License-Identifier: BSD-2-Clause */
/* Network service header. */
#include "walk_priv.h"

/* RFC 8300, 2.2: the first word has the length in words (6 bits) and the next protocol (its
 * last octet). */
void
bh_proto_nsh(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 4);
    uint32_t len = p == NULL ? 0 : (bh_get_be16(p) & 0x3fU) * 4;
    if (p == NULL || len < 8 || bh_cur_take(&c, len - 4) == NULL) {
        bh_walk_cut(w);
        return;
    }
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
    case 5:
        bh_walk_ethertype(w, 0x8847, c);
        break;
    default:
        bh_walk_fail(w, BH_REASON_NOT_IP);
        break;
    }
}
