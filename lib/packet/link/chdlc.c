/* SPDX-License-Identifier: BSD-2-Clause */
/* Cisco HDLC. */
#include "walk_priv.h"

/* RFC 1547, 4.3.1: address (1), control (1), EtherType (2). */
void
bh_link_chdlc(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 4);
    if (p == NULL) {
        bh_walk_cut(w);
        return;
    }
    uint16_t type = bh_get_be16(p + 2);
    if (type == 0x8035) { /* Cisco's SLARP has RARP's number and another shape */
        bh_walk_fail(w, BH_REASON_NOT_IP);
        return;
    }
    bh_walk_ethertype(w, type, c);
}
