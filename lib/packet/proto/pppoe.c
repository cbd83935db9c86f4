/* SPDX-License-Identifier: BSD-2-Clause */
/* PPP over Ethernet, session stage. */
#include "walk_priv.h"

/* RFC 2516, 4: version and type (1), code (1, zero for sessions), session (2), length (2). */
void
bh_proto_pppoe(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 6);
    if (p == NULL) {
        bh_walk_cut(w);
        return;
    }
    bh_proto_ppp(w, bh_cur_sub(&c, bh_get_be16(p + 4)));
}
