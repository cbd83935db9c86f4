/* SPDX-License-Identifier: BSD-2-Clause */
/* ARCNET. */
#include "walk_priv.h"

/* The protocol octet: RFC 1051 (240, 241) has nothing more; RFC 1201 (212 to 214, and 196 for
 * IPv6 by RFC 2497) a split flag and a sequence number, after four octets of an exception when
 * the flag is 0xff. */
static void
walk_protocol(struct bh_walk *w, struct bh_cur c)
{
    unsigned type = bh_cur_u8(&c);
    bool old = type == 240 || type == 241;
    unsigned split = 0;
    if (!old) {
        split = bh_cur_u8(&c);
        if (split == 0xff) {
            bh_ignore(bh_cur_take(&c, 3) == NULL); /* bad is sticky */
            split = bh_cur_u8(&c);
        }
        bh_ignore(bh_cur_take(&c, 2) == NULL);
    }
    if (c.bad) {
        bh_walk_cut(w);
    } else if (split > 1 && (split & 1) == 0) {
        bh_walk_fail(w, BH_REASON_NOT_IP); /* a part after the first */
    } else if (type == 240 || type == 212) {
        bh_walk_ethertype(w, 0x0800, c);
    } else if (type == 241 || type == 213) {
        bh_walk_ethertype(w, 0x0806, c);
    } else if (type == 214) {
        bh_walk_ethertype(w, 0x8035, c);
    } else if (type == 196) {
        bh_walk_ethertype(w, 0x86dd, c);
    } else {
        bh_walk_fail(w, BH_REASON_NOT_IP);
    }
}

/* LINKTYPE_ARCNET_BSD: source (1), destination (1). */
void
bh_link_arcnet(struct bh_walk *w, struct bh_cur c)
{
    if (bh_cur_take(&c, 2) == NULL) {
        bh_walk_cut(w);
        return;
    }
    walk_protocol(w, c);
}

/* LINKTYPE_ARCNET_LINUX: the same and an offset (2). */
void
bh_link_arcnet_linux(struct bh_walk *w, struct bh_cur c)
{
    if (bh_cur_take(&c, 4) == NULL) {
        bh_walk_cut(w);
        return;
    }
    walk_protocol(w, c);
}
