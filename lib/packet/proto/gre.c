/* SPDX-License-Identifier: BSD-2-Clause */
/* Generic routing encapsulation, and ERSPAN inside it. */
#include "walk_priv.h"

/* ERSPAN (draft-foschini-erspan, 4): type I has no header, and its GRE header no sequence
 * number; type II has 8 octets; type III has 12, and 8 more when the last bit says so. */
void
bh_proto_erspan(struct bh_walk *w, uint16_t type, bool has_sequence, struct bh_cur c)
{
    uint32_t session = 0;
    if (type == 0x22eb || has_sequence) {
        bool third = type == 0x22eb;
        const uint8_t *p = bh_cur_take(&c, third ? 12 : 8);
        if (p == NULL) {
            bh_walk_cut(w);
            return;
        }
        session = bh_get_be16(p + 2) & 0x03ff;
        if (third && (p[11] & 1) != 0 && bh_cur_take(&c, 8) == NULL) {
            bh_walk_cut(w);
            return;
        }
    }
    bh_walk_tunnel(w, BH_DECAP_ERSPAN, session);
    bh_link_ethernet(w, c);
}

/* RFC 1701 routing: entries of address family (2), offset (1), length (1); zero ends them. */
static bool
pass_routing(struct bh_cur *c)
{
    for (;;) {
        const uint8_t *p = bh_cur_take(c, 4);
        if (p == NULL || bh_cur_take(c, p[3]) == NULL) {
            return false;
        }
        if (bh_get_be16(p) == 0 && p[3] == 0) {
            return true;
        }
    }
}

static void
walk_type(struct bh_walk *w, uint16_t type, bool has_sequence, uint32_t key, struct bh_cur c)
{
    if (type == 0x88be || type == 0x22eb) {
        if (bh_walk_deeper(w)) {
            bh_proto_erspan(w, type, has_sequence, c);
        }
        return;
    }
    bh_walk_tunnel(w, BH_DECAP_GRE, key);
    switch (type) {
    case 0x883e: /* WCCP version 2 has four octets before the packet, version 1 none */
        if (bh_cur_left(&c) > 0 && c.at[0] >> 4 != 4 && bh_cur_take(&c, 4) == NULL) {
            return;
        }
        bh_walk_ethertype(w, 0x0800, c);
        break;
    case 0x2001:
        bh_proto_nhrp(w, c);
        break;
    default:
        if (type >= 0x8200 && type <= 0x8370 && bh_walk_deeper(w)) {
            bh_link_80211(w, c, 0); /* Aruba's access points */
        } else {
            bh_walk_ethertype(w, type, c);
        }
        break;
    }
}

/* RFC 2784, 2 and 2890, 2; bits of RFC 1701; version 1 is PPTP's (RFC 2637, 4.1) with an
 * acknowledgement, and PPP in it. */
void
bh_proto_gre(struct bh_walk *w, struct bh_cur c)
{
    enum { CHECKSUM = 0x8000, ROUTING = 0x4000, KEY = 0x2000, SEQUENCE = 0x1000, ACK = 0x0080 };
    const uint8_t *p = bh_cur_take(&c, 4);
    if (p == NULL || !bh_walk_deeper(w)) {
        return;
    }
    uint32_t flags = bh_get_be16(p);
    uint32_t key = 0;
    if ((flags & (CHECKSUM | ROUTING)) != 0) {
        bh_ignore(bh_cur_take(&c, 4) == NULL); /* bad is sticky */
    }
    if ((flags & KEY) != 0) {
        key = bh_cur_be32(&c);
    }
    if ((flags & SEQUENCE) != 0) {
        bh_ignore(bh_cur_take(&c, 4) == NULL);
    }
    if ((flags & 7) == 1 && (flags & ACK) != 0) {
        bh_ignore(bh_cur_take(&c, 4) == NULL);
    }
    if ((flags & ROUTING) != 0 && !pass_routing(&c)) {
        return;
    }
    if (!c.bad && bh_cur_left(&c) > 0) {
        walk_type(w, bh_get_be16(p + 2), (flags & SEQUENCE) != 0, key, c);
    }
}
