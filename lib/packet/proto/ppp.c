/* SPDX-License-Identifier: BSD-2-Clause */
/* PPP from its protocol field on. */
#include "walk_priv.h"

/* RFC 1661, 2; a protocol below 256 may come in one octet (6.5), which is then odd. */
void
bh_proto_ppp(struct bh_walk *w, struct bh_cur c)
{
    unsigned protocol = bh_cur_u8(&c);
    if ((protocol & 1) == 0) {
        protocol = protocol << 8 | bh_cur_u8(&c);
    }
    if (c.bad) {
        bh_walk_cut(w);
        return;
    }
    switch (protocol) {
    case 0x0021:
        bh_walk_ethertype(w, 0x0800, c);
        break;
    case 0x0057:
        bh_walk_ethertype(w, 0x86dd, c);
        break;
    case 0x0281:
    case 0x0283:
        bh_walk_ethertype(w, 0x8847, c);
        break;
    default:
        bh_walk_fail(w, BH_REASON_NOT_IP);
        break;
    }
}
