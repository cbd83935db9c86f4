/* SPDX-License-Identifier: BSD-2-Clause */
/* Linux netfilter log. */
#include "walk_priv.h"

enum { PAYLOAD = 9 };

/* LINKTYPE_NFLOG: family (1), version (1), resource (2), then values of length (2, with these
 * four octets) and type (2) in the byte order of the capturing host, padded to four. */
void
bh_link_nflog(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 4);
    if (p == NULL) {
        bh_walk_cut(w);
        return;
    }
    while (bh_cur_left(&c) >= 4) {
        const uint8_t *t = bh_cur_take(&c, 4);
        bool little = bh_get_le16(t) <= bh_get_be16(t) || bh_get_be16(t) < 4;
        size_t len = little ? bh_get_le16(t) : bh_get_be16(t);
        unsigned type = little ? bh_get_le16(t + 2) : bh_get_be16(t + 2);
        if (len < 4) {
            bh_walk_fail(w, BH_REASON_LINK_SHORT);
            return;
        }
        if ((type & 0x7fff) == PAYLOAD) {
            struct bh_cur payload = bh_cur_sub(&c, len - 4);
            bh_proto_ip(w, payload);
            return;
        }
        size_t padded = (len + 3) / 4 * 4;
        if (bh_cur_take(&c, padded - 4) == NULL) {
            break;
        }
    }
    bh_walk_fail(w, BH_REASON_NOT_IP);
}
