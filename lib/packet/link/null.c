/* SPDX-License-Identifier: BSD-2-Clause */
/* BSD loopback. */
#include "walk_priv.h"

/* The address family as the kernel of the capturing host numbers it: 2 is IPv4 everywhere;
 * IPv6 is 24 (NetBSD, OpenBSD), 28 (FreeBSD), 30 (macOS), 10 (Linux) or 23 (Windows). */
static void
walk_family(struct bh_walk *w, uint32_t family, struct bh_cur c)
{
    switch (family) {
    case 2:
        bh_walk_ethertype(w, 0x0800, c);
        break;
    case 10:
    case 23:
    case 24:
    case 28:
    case 30:
        bh_walk_ethertype(w, 0x86dd, c);
        break;
    default:
        bh_walk_fail(w, BH_REASON_NOT_IP);
        break;
    }
}

/* LINKTYPE_NULL: the family in the byte order of the capturing host: the small reading is it. */
void
bh_link_null(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 4);
    if (p == NULL) {
        bh_walk_cut(w);
        return;
    }
    uint32_t family = bh_get_le32(p);
    walk_family(w, family > 0xffff ? bh_get_be32(p) : family, c);
}

/* LINKTYPE_LOOP: the same in network order. */
void
bh_link_loop(struct bh_walk *w, struct bh_cur c)
{
    uint32_t family = bh_cur_be32(&c);
    if (c.bad) {
        bh_walk_cut(w);
        return;
    }
    walk_family(w, family, c);
}
