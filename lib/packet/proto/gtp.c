/* SPDX-License-Identifier: BSD-2-Clause */
/* GTP-U, the tunnel of mobile networks. */
#include "walk_priv.h"

/* 3GPP TS 29.281, 5.1: flags (1), message (1, 255 carries a packet), length (2), tunnel (4);
 * with any of E, S, PN set four octets more, the last of which names an extension header (5.2:
 * length in words, ..., next type). */
void
bh_proto_gtp(struct bh_walk *w, struct bh_cur c)
{
    enum { G_PDU = 255, VERSION = 0xe0, VERSION_1 = 0x20, GTP = 0x10, OPTIONAL = 0x07, E = 0x04 };
    const uint8_t *p = bh_cur_take(&c, 8);
    if (p == NULL || (p[0] & (VERSION | GTP)) != (VERSION_1 | GTP) || p[1] != G_PDU) {
        return;
    }
    c = bh_cur_sub(&c, bh_get_be16(p + 2));
    if ((p[0] & OPTIONAL) != 0) {
        const uint8_t *option = bh_cur_take(&c, 4);
        uint8_t next = option != NULL && (p[0] & E) != 0 ? option[3] : 0;
        while (next != 0 && !c.bad) {
            uint32_t words = bh_cur_u8(&c);
            const uint8_t *x = words == 0 ? NULL : bh_cur_take(&c, words * 4 - 1);
            if (x == NULL) {
                return;
            }
            next = x[words * 4 - 2];
        }
    }
    unsigned version = bh_cur_left(&c) == 0 ? 0 : c.at[0] >> 4;
    if (version == 4 || version == 6) {
        bh_proto_ip(w, c);
    }
}
