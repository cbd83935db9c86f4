/* SPDX-License-Identifier: BSD-2-Clause */
/* 802.11 data frames. */
#include "walk_priv.h"

enum {
    TYPE_DATA = 2,
    NO_DATA = 0x4, /* bits of the subtype */
    QOS = 0x8,
    TO_DS = 0x01, /* bits of the second octet */
    FROM_DS = 0x02,
    MORE_FRAGMENTS = 0x04,
    PROTECTED = 0x40,
    ORDER = 0x80,
    AGGREGATE = 0x80, /* of the QoS control field */
};

/* A-MSDU, IEEE 802.11, 9.3.2.2: destination (6), source (6), length (2), LLC. The first one
 * stands for the frame: a frame is one record. */
static void
walk_aggregate(struct bh_walk *w, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 14);
    if (p == NULL) {
        bh_walk_cut(w);
        return;
    }
    bh_proto_llc(w, bh_cur_sub(&c, bh_get_be16(p + 12)));
}

/* IEEE 802.11, 9.2: frame control (2), duration (2), three addresses (18), sequence (2), a
 * fourth address between distribution systems, QoS control (2) and HT control (4) where flags
 * say so; then LLC. Protected frames are unreadable, and only first fragments have a header.
 * BH_80211_SWAPPED: the two octets of frame control are exchanged (some access points in
 * CAPWAP). BH_80211_PADDED: the driver filled the header up to four octets. */
void
bh_link_80211(struct bh_walk *w, struct bh_cur c, unsigned quirks)
{
    bool swapped = (quirks & BH_80211_SWAPPED) != 0;
    const uint8_t *p = bh_cur_take(&c, 24);
    if (p == NULL) {
        bh_walk_cut(w);
        return;
    }
    unsigned control = p[swapped ? 1 : 0];
    unsigned flags = p[swapped ? 0 : 1];
    unsigned subtype = control >> 4;
    if ((control >> 2 & 3) != TYPE_DATA || (subtype & NO_DATA) != 0 || (flags & PROTECTED) != 0 ||
        (bh_get_le16(p + 22) & 15) != 0) {
        bh_walk_fail(w, BH_REASON_NOT_IP);
        return;
    }
    bool aggregate = false;
    if ((flags & (TO_DS | FROM_DS)) == (TO_DS | FROM_DS)) {
        bh_ignore(bh_cur_take(&c, 6) == NULL); /* bad is sticky */
    }
    if ((subtype & QOS) != 0) {
        const uint8_t *qos = bh_cur_take(&c, 2);
        aggregate = qos != NULL && (qos[0] & AGGREGATE) != 0;
        if ((flags & ORDER) != 0) {
            bh_ignore(bh_cur_take(&c, 4) == NULL);
        }
    }
    if ((quirks & BH_80211_PADDED) != 0 && !c.bad && (size_t)(c.at - p) % 4 != 0) {
        bh_ignore(bh_cur_take(&c, 2) == NULL);
    }
    if (c.bad) {
        bh_walk_cut(w);
    } else if (aggregate) {
        walk_aggregate(w, c);
    } else {
        bh_proto_llc(w, c);
    }
}

void
bh_link_ieee80211(struct bh_walk *w, struct bh_cur c)
{
    bh_link_80211(w, c, 0);
}
