/* SPDX-License-Identifier: BSD-2-Clause */
/* Headers that drivers put before 802.11 frames. */
#include "walk_priv.h"

enum { PADDED = 0x20 };

/* The flags field of radiotap: behind the bitmaps (each with its last bit set has another one
 * after it), and behind TSFT of 8 octets, aligned, when bit 0 is set. `p`: the header of len. */
static unsigned
radiotap_flags(const uint8_t *p, size_t len)
{
    struct bh_cur c = bh_cur_over(p, len);
    const uint8_t *fixed = bh_cur_take(&c, 8);
    if (fixed == NULL || (fixed[4] & 2) == 0) {
        return 0;
    }
    uint32_t present = bh_get_le32(fixed + 4);
    bool has_time = (present & 1) != 0;
    size_t at = 8;
    while ((present & 0x80000000U) != 0) {
        const uint8_t *more = bh_cur_take(&c, 4);
        if (more == NULL) {
            return 0;
        }
        present = bh_get_le32(more);
        at += 4;
    }
    if (has_time) {
        bh_ignore(bh_cur_take(&c, (at % 8 == 0 ? 0 : 4) + 8) == NULL); /* bad is sticky */
    }
    return bh_cur_u8(&c);
}

/* radiotap.org: version (1), pad (1), length (2, little-endian), bitmaps of what follows. */
void
bh_link_radiotap(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 4);
    size_t len = p == NULL ? 0 : bh_get_le16(p + 2);
    if (p == NULL || len < 8 || bh_cur_take(&c, len - 4) == NULL) {
        bh_walk_cut(w);
        return;
    }
    bool padded = (radiotap_flags(p, len) & PADDED) != 0;
    bh_link_80211(w, c, padded ? BH_80211_PADDED : 0);
}
