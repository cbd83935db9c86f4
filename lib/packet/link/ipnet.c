/* SPDX-License-Identifier: BSD-2-Clause */
/* Solaris IP observability. */
#include "walk_priv.h"

/* LINKTYPE_IPNET: version (1), family (1), hook (2), packet length (4), interface (4), group (4),
 * source zone (4), destination zone (4). */
void
bh_link_ipnet(struct bh_walk *w, struct bh_cur c)
{
    if (bh_cur_take(&c, 24) == NULL) {
        bh_walk_cut(w);
        return;
    }
    bh_proto_ip(w, c);
}
