/* SPDX-License-Identifier: BSD-2-Clause */
/* Next hop resolution: an indication of an error or of traffic quotes a packet. */
#include "walk_priv.h"

/* RFC 2332, 5.2.0.1: a fixed header of 20 octets (the type in the 18th, lengths of the link
 * address and its subaddress in the last two), then lengths of both protocol addresses and, for
 * these types (5.2.7), error and offset in 8 octets, the addresses, the packet. */
void
bh_proto_nhrp(struct bh_walk *w, struct bh_cur c)
{
    enum { ERROR_INDICATION = 7, TRAFFIC_INDICATION = 8 };
    const uint8_t *p = bh_cur_take(&c, 20);
    const uint8_t *q = bh_cur_take(&c, 8);
    if (q == NULL || (p[17] != ERROR_INDICATION && p[17] != TRAFFIC_INDICATION)) {
        return;
    }
    size_t addresses = (p[18] & 0x3fU) + (p[19] & 0x3fU) + q[0] + q[1];
    if (bh_cur_take(&c, addresses) != NULL && bh_cur_left(&c) > 0 && bh_walk_deeper(w)) {
        bh_proto_ip(w, c);
    }
}
