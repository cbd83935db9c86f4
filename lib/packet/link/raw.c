/* SPDX-License-Identifier: BSD-2-Clause */
/* IP without a link header. */
#include "walk_priv.h"

void
bh_link_raw(struct bh_walk *w, struct bh_cur c)
{
    bh_proto_ip(w, c);
}

void
bh_link_ip4(struct bh_walk *w, struct bh_cur c)
{
    bh_walk_ethertype(w, 0x0800, c);
}

void
bh_link_ip6(struct bh_walk *w, struct bh_cur c)
{
    bh_walk_ethertype(w, 0x86dd, c);
}
