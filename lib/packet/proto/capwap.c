/* SPDX-License-Identifier: BSD-2-Clause */
/* CAPWAP data: wireless frames between access points and their controller. */
#include "walk_priv.h"

/* RFC 5415, 4.3: preamble (1: version, type 0 is not encrypted), then a word with the length of
 * the header in words (5 bits), radio (5), wireless binding (5), and flags: T (the frame is
 * native, not 802.3), F (a fragment), K (keep-alive). Only the first fragment has a header. */
void
bh_proto_capwap(struct bh_walk *w, struct bh_cur c)
{
    enum { NATIVE = 0x100, FRAGMENT = 0x080, KEEP_ALIVE = 0x008 };
    const uint8_t *p = bh_cur_take(&c, 8);
    if (p == NULL || (p[0] & 15) != 0) {
        return;
    }
    uint32_t word = bh_get_be32(p) & 0xffffff;
    uint32_t header_len = word >> 19 << 2;
    unsigned binding = word >> 9 & 31;
    if (header_len < 8 || bh_cur_take(&c, header_len - 8) == NULL ||
        (word & (FRAGMENT | KEEP_ALIVE)) != 0) {
        return;
    }
    if ((word & NATIVE) == 0) {
        bh_link_ethernet(w, c);
    } else if (binding == 1) {
        bh_link_80211(w, c, BH_80211_SWAPPED);
    }
}
