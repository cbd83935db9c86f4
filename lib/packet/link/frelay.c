/* SPDX-License-Identifier: BSD-2-Clause */
/* Frame relay. */
#include "walk_priv.h"

/* RFC 2427, 3: what is behind the address: control 0x03, perhaps a pad of zero, and a network
 * layer identifier. Without 0x03 it is Cisco's: an EtherType. */
void
bh_link_frelay(struct bh_walk *w, struct bh_cur c)
{
    enum { NLPID_SNAP = 0x80, NLPID_IP6 = 0x8e, NLPID_IP = 0xcc };
    unsigned octets = 0;
    uint8_t address;
    do { /* Q.922, 3.2: the last octet of an address has its lowest bit set */
        address = bh_cur_u8(&c);
    } while (!c.bad && (address & 1) == 0 && ++octets < 4);
    unsigned control = bh_cur_u8(&c);
    unsigned next = bh_cur_u8(&c);
    if (!c.bad && control == 0x03 && next == 0) {
        next = bh_cur_u8(&c);
    }
    if (c.bad) {
        bh_walk_cut(w);
    } else if (control != 0x03) {
        bh_walk_ethertype(w, (uint16_t)(control << 8 | next), c);
    } else if (next == NLPID_IP) {
        bh_walk_ethertype(w, 0x0800, c);
    } else if (next == NLPID_IP6) {
        bh_walk_ethertype(w, 0x86dd, c);
    } else if (next == NLPID_SNAP) {
        bh_proto_snap(w, c);
    } else {
        bh_walk_fail(w, BH_REASON_NOT_IP);
    }
}
