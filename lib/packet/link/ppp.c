/* SPDX-License-Identifier: BSD-2-Clause */
/* PPP links. */
#include "walk_priv.h"

/* RFC 1662, 3.1: address 0xff and control 0x03, which may be left out. LINKTYPE_PPP may also
 * begin with 0x00 or 0x01 for the direction on some systems; those frames are rare and unread. */
void
bh_link_ppp(struct bh_walk *w, struct bh_cur c)
{
    if (bh_cur_left(&c) >= 2 && c.at[0] == 0xff && c.at[1] == 0x03) {
        bh_ignore(bh_cur_take(&c, 2) == NULL); /* it is there */
    }
    bh_proto_ppp(w, c);
}

/* LINKTYPE_PPP_HDLC: PPP in HDLC-like framing, or Cisco's HDLC by its address octet. */
void
bh_link_ppp_hdlc(struct bh_walk *w, struct bh_cur c)
{
    if (bh_cur_left(&c) > 0 && (c.at[0] == 0x0f || c.at[0] == 0x8f)) {
        bh_link_chdlc(w, c);
    } else {
        bh_link_ppp(w, c);
    }
}
