/* SPDX-License-Identifier: BSD-2-Clause */
/* OpenBSD packet filter log. */
#include "walk_priv.h"

/* LINKTYPE_PFLOG: length of this header without its padding to four (1), address family (1), and
 * what the filter did. */
void
bh_link_pflog(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 4);
    size_t len = p == NULL ? 0 : (p[0] + 3U) / 4 * 4;
    if (p == NULL || len < 4 || bh_cur_take(&c, len - 4) == NULL) {
        bh_walk_cut(w);
        return;
    }
    bh_proto_ip(w, c);
}
