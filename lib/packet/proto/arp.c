/* SPDX-License-Identifier: BSD-2-Clause */
/* ARP and RARP. */
#include "walk_priv.h"

/* RFC 826; RARP (RFC 903) has the same shape. Only IPv4 over hardware addresses of any length. */
void
bh_proto_arp(struct bh_walk *w, struct bh_cur c)
{
    struct bh_row row = { .kind = BH_KIND_ARP };
    w->layers |= BH_LAYER_ARP;
    const uint8_t *p = bh_cur_take(&c, 8);
    if (p == NULL) {
        bh_walk_cut(w);
        return;
    }
    size_t hardware = p[4];
    if (bh_get_be16(p + 2) != 0x0800 || p[5] != 4) {
        bh_walk_fail(w, BH_REASON_ARP_SHAPE);
        return;
    }
    const uint8_t *q = bh_cur_take(&c, 2 * hardware + 8);
    if (q == NULL) {
        bh_walk_cut(w);
        return;
    }
    row.ports = bh_get_be16(p + 6);
    row.src = bh_get_be32(q + hardware);
    row.dst = bh_get_be32(q + 2 * hardware + 4);
    bh_walk_record(w, &row);
}
