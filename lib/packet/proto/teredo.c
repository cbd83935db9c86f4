/* SPDX-License-Identifier: BSD-2-Clause */
/* Teredo. */
#include "walk_priv.h"

/* RFC 4380, 5.1.1: IPv6, with an authentication (0x0001: lengths of identifier and of value,
 * both, 8 octets of nonce, 1 of confirmation) and an origin (0x0000, 8 octets) before it. */
void
bh_proto_teredo(struct bh_walk *w, struct bh_cur c)
{
    if (bh_cur_left(&c) >= 4 && bh_get_be16(c.at) == 1) {
        size_t lengths = (size_t)c.at[2] + c.at[3];
        if (bh_cur_take(&c, 4 + lengths + 9) == NULL) {
            return;
        }
    }
    if (bh_cur_left(&c) >= 8 && bh_get_be16(c.at) == 0) {
        bh_ignore(bh_cur_take(&c, 8) == NULL); /* it is there */
    }
    if (bh_cur_left(&c) > 0 && c.at[0] >> 4 == 6) {
        bh_walk_ethertype(w, 0x86dd, c);
    }
}
