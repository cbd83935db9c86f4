/* SPDX-License-Identifier: BSD-2-Clause */
/* ICMP and ICMPv6: type, code, and the packet that an error quotes. */
#include "walk_priv.h"

enum { HEADER = 8 };

/* Both have type, code and checksum first; then four octets that depend on the type. True when
 * the record is this header. */
static bool
read_header(struct bh_walk *w, const struct bh_cur *c, struct bh_inner *in)
{
    struct bh_row *row = in->row;
    size_t there = bh_cur_left(c);
    if (there >= 2) {
        row->ports = (uint32_t)c->at[0] << 16 | c->at[1];
    } else {
        row->marks |= BH_MARK_NO_PORTS;
    }
    if (in->wire_len < HEADER) {
        row->marks |= BH_MARK_MALFORMED;
        row->reason = BH_REASON_ICMP_SHORT;
    } else if (there < HEADER) {
        row->marks |= BH_MARK_TRUNCATED;
    }
    if (in->wire_len > HEADER) {
        uint32_t payload = in->wire_len - HEADER;
        row->payload_len = (uint16_t)(payload < UINT16_MAX ? payload : UINT16_MAX);
    }
    bool ours = !w->has_record || w->want_inner;
    bh_walk_record(w, row);
    return ours && there >= HEADER;
}

/* RFC 792: unreachable, source quench, redirect, time exceeded, parameter problem. */
void
bh_proto_icmp(struct bh_walk *w, struct bh_cur c, struct bh_inner *in)
{
    bh_walk_saw_transport(w, in, BH_LAYER_ICMP);
    if (!read_header(w, &c, in)) {
        return;
    }
    unsigned type = in->row->ports >> 16;
    if (type == 3 || type == 4 || type == 5 || type == 11 || type == 12) {
        bh_ignore(bh_cur_take(&c, HEADER) == NULL); /* it is there */
        bh_proto_quote(w, c);
    }
}

/* RFC 4443, 3: unreachable, too big, time exceeded, parameter problem. */
void
bh_proto_icmp6(struct bh_walk *w, struct bh_cur c, struct bh_inner *in)
{
    bh_walk_saw_transport(w, in, BH_LAYER_ICMP6);
    if (!read_header(w, &c, in)) {
        return;
    }
    unsigned type = in->row->ports >> 16;
    if (type >= 1 && type <= 4) {
        bh_ignore(bh_cur_take(&c, HEADER) == NULL); /* it is there */
        bh_proto_quote(w, c);
    }
}
