/* SPDX-License-Identifier: BSD-2-Clause */
/* Tags of switches between the hardware addresses and the packet. */
#include "walk_priv.h"

/* `n` octets that say nothing to us, then an EtherType. */
static void
skip_then_type(struct bh_walk *w, struct bh_cur c, size_t n)
{
    const uint8_t *p = bh_cur_take(&c, n + 2);
    if (p == NULL) {
        bh_walk_cut(w);
        return;
    }
    bh_walk_ethertype(w, bh_get_be16(p + n), c);
}

/* VN-Tag (Cisco, once proposed as 802.1Qbh): direction and two virtual interface identifiers in
 * four octets. */
void
bh_proto_vntag(struct bh_walk *w, struct bh_cur c)
{
    skip_then_type(w, c, 4);
}

/* E-Tag, IEEE 802.1BR, 7.5: six octets. */
void
bh_proto_etag(struct bh_walk *w, struct bh_cur c)
{
    skip_then_type(w, c, 6);
}

/* MACsec, IEEE 802.1AE, 9: TCI and AN (1), short length (1), packet number (4), SCI (8, when
 * its bit says so), then the frame from its EtherType on, then the check value (16). Only
 * frames that are authenticated and not encrypted can be read. */
void
bh_proto_macsec(struct bh_walk *w, struct bh_cur c)
{
    enum { ENCRYPTED = 0x08, CHANGED = 0x04, HAS_SCI = 0x20, CHECK_VALUE = 16 };
    const uint8_t *p = bh_cur_take(&c, 6);
    if (p == NULL) {
        bh_walk_cut(w);
        return;
    }
    if ((p[0] & (ENCRYPTED | CHANGED)) != 0) {
        bh_walk_fail(w, BH_REASON_NOT_IP);
        return;
    }
    skip_then_type(w, c, (p[0] & HAS_SCI) != 0 ? 8 : 0);
}

/* Cisco FabricPath: behind EtherType 0x8903 a forwarding tag and a TTL in two octets, then a
 * whole Ethernet frame. No public text; the layout is that of Wireshark's dissector. */
void
bh_proto_fabricpath(struct bh_walk *w, struct bh_cur c)
{
    if (bh_cur_take(&c, 2) == NULL) {
        bh_walk_cut(w);
        return;
    }
    bh_link_ethernet(w, c);
}

/* Arista vendor specific protocol, time stamp: subtype (2), version (2: 0x10 for 64 bits of time,
 * 0x20 for 48; 0x100 more for UTC), the time, the EtherType of what follows. */
void
bh_proto_avsp(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 4);
    if (p == NULL) {
        bh_walk_cut(w);
        return;
    }
    unsigned version = bh_get_be16(p + 2) & 0xfeff;
    if (bh_get_be16(p) != 1 || (version != 0x10 && version != 0x20)) {
        bh_walk_fail(w, BH_REASON_NOT_IP);
        return;
    }
    skip_then_type(w, c, version == 0x10 ? 8 : 6);
}
