/* SPDX-License-Identifier: BSD-2-Clause */
/* PIM register messages. */
#include "walk_priv.h"

/* RFC 7761, 4.9.3: version and type (1), reserved (1), checksum (2), flags (4), the packet. */
void
bh_proto_pim(struct bh_walk *w, struct bh_cur c)
{
    enum { REGISTER = 0x21 };
    const uint8_t *p = bh_cur_take(&c, 8);
    unsigned version = bh_cur_left(&c) == 0 ? 0 : c.at[0] >> 4;
    if (p != NULL && p[0] == REGISTER && (version == 4 || version == 6)) {
        bh_proto_ip(w, c);
    }
}
