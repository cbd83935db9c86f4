/* SPDX-License-Identifier: BSD-2-Clause */
/* Linux cooked capture. */
#include "walk_priv.h"

/* Protocol numbers of Linux below 1536: 1 is 802.3 without LLC (Novell), 4 is LLC. */
static void
walk_protocol(struct bh_walk *w, uint16_t protocol, struct bh_cur c)
{
    if (protocol == 4) {
        bh_proto_llc(w, c);
    } else {
        bh_walk_ethertype(w, protocol, c);
    }
}

static void
note_address(struct bh_walk *w, unsigned len, const uint8_t *p)
{
    if (len == 6) {
        w->src_mac = (uint64_t)bh_get_be16(p) << 32 | bh_get_be32(p + 2);
    }
}

/* LINKTYPE_LINUX_SLL: packet type (2), ARPHRD (2), address length (2), address (8), protocol (2). */
void
bh_link_sll(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 16);
    if (p == NULL) {
        bh_walk_cut(w);
        return;
    }
    note_address(w, bh_get_be16(p + 4), p + 6);
    walk_protocol(w, bh_get_be16(p + 14), c);
}

/* LINKTYPE_LINUX_SLL2: protocol (2), reserved (2), interface (4), ARPHRD (2), packet type (1),
 * address length (1), address (8). */
void
bh_link_sll2(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 20);
    if (p == NULL) {
        bh_walk_cut(w);
        return;
    }
    note_address(w, p[11], p + 12);
    walk_protocol(w, bh_get_be16(p), c);
}
