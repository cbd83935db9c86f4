/* SPDX-License-Identifier: BSD-2-Clause */
/* Geneve. */
#include "walk_priv.h"

/* RFC 8926, 3.4: version (2 bits) and length of options (6, in words), flags (1), EtherType of
 * what follows (2), network identifier (3), reserved (1). */
void
bh_proto_geneve(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 8);
    if (p == NULL || bh_cur_take(&c, (p[0] & 0x3fU) * 4) == NULL) {
        return;
    }
    bh_walk_tunnel(w, BH_DECAP_GENEVE, bh_get_be32(p + 4) >> 8);
    bh_walk_ethertype(w, bh_get_be16(p + 2), c);
}
