/* SPDX-License-Identifier: BSD-2-Clause */
/* L2TP version 2, data messages. */
#include "walk_priv.h"

/* RFC 2661, 3.1: flags and version (2), length (2, optional), tunnel and session (4), sequence
 * numbers (4, optional), offset (2, optional) and its padding; then PPP. */
void
bh_proto_l2tp(struct bh_walk *w, struct bh_cur c)
{
    enum { CONTROL = 0x8000, LENGTH = 0x4000, SEQUENCE = 0x0800, OFFSET = 0x0200, VERSION = 15 };
    uint32_t flags = bh_cur_be16(&c);
    if (c.bad || (flags & CONTROL) != 0 || (flags & VERSION) != 2) {
        return;
    }
    size_t skip = ((flags & LENGTH) != 0 ? 2U : 0) + 4 + ((flags & SEQUENCE) != 0 ? 4U : 0);
    bh_ignore(bh_cur_take(&c, skip) == NULL); /* bad is sticky */
    if ((flags & OFFSET) != 0) {
        bh_ignore(bh_cur_take(&c, bh_cur_be16(&c)) == NULL);
    }
    if (bh_cur_left(&c) >= 2 && c.at[0] == 0xff && c.at[1] == 0x03) {
        bh_ignore(bh_cur_take(&c, 2) == NULL); /* it is there */
    }
    if (bh_cur_left(&c) > 0) {
        bh_proto_ppp(w, c);
    }
}
