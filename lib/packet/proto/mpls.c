/* SPDX-License-Identifier: BSD-2-Clause */
/* MPLS. */
#include "walk_priv.h"

/* An Ethernet frame begins with addresses: they are believed when an EtherType we know follows. */
static bool
looks_like_ethernet(const struct bh_cur *c, size_t skip)
{
    if (bh_cur_left(c) < skip + 14) {
        return false;
    }
    switch (bh_get_be16(c->at + skip + 12)) {
    case 0x0800:
    case 0x0806:
    case 0x86dd:
    case 0x8100:
    case 0x88a8:
        return true;
    default:
        return false;
    }
}

/* RFC 3032, 2.1: label (20 bits), class (3), bottom of stack (1), TTL (8). What is below the
 * stack is not named: the first nibble tells IP from a pseudo-wire (RFC 4928, 3; with control
 * word RFC 4448, 4.6). */
void
bh_proto_mpls(struct bh_walk *w, struct bh_cur c)
{
    for (;;) {
        const uint8_t *p = bh_cur_take(&c, 4);
        if (p == NULL) {
            bh_walk_cut(w);
            return;
        }
        if ((p[2] & 1) != 0) {
            break;
        }
        if (!bh_walk_deeper(w)) {
            return;
        }
    }
    unsigned nibble = bh_cur_left(&c) == 0 ? 16 : c.at[0] >> 4;
    if (nibble == 4 || nibble == 6) {
        bh_proto_ip(w, c);
    } else if (nibble == 0 && looks_like_ethernet(&c, 4)) {
        bh_ignore(bh_cur_take(&c, 4) == NULL); /* it is there */
        bh_link_ethernet(w, c);
    } else if (looks_like_ethernet(&c, 0)) {
        bh_link_ethernet(w, c);
    } else {
        bh_walk_fail(w, BH_REASON_NOT_IP);
    }
}
