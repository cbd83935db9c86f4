/* SPDX-License-Identifier: BSD-2-Clause */
/* UDP, and the ports behind which another packet may lie. */
#include "walk_priv.h"

enum { HEADER = 8 };

/* decode.c has these numbers again in its short way. */
static const struct {
    uint16_t port;
    bh_tunnel_fn *walk;
} tunnels[] = {
    { 1701, bh_proto_l2tp },   { 2152, bh_proto_gtp },    { 3544, bh_proto_teredo },
    { 4754, bh_proto_gre },    { 4789, bh_proto_vxlan },  { 4790, bh_proto_vxlan_gpe },
    { 5247, bh_proto_capwap }, { 6081, bh_proto_geneve }, { 6633, bh_proto_nsh },
    { 6635, bh_proto_mpls },   { 8472, bh_proto_vxlan },
};

bh_tunnel_fn *
bh_udp_tunnel(uint16_t port)
{
    for (size_t i = 0; i < BH_COUNT(tunnels); i++) {
        if (tunnels[i].port == port) {
            return tunnels[i].walk;
        }
    }
    return NULL;
}

static void
walk_payload(struct bh_walk *w, struct bh_cur c, uint16_t source, uint16_t destination)
{
    bh_tunnel_fn *walk = bh_udp_tunnel(source < destination ? source : destination);
    if (walk == NULL) {
        walk = bh_udp_tunnel(source < destination ? destination : source);
    }
    if (walk != NULL && bh_cur_left(&c) > 0 && bh_walk_deeper(w)) {
        walk(w, c);
    }
}

/* RFC 768. The length of a first fragment is that of the whole datagram. */
void
bh_proto_udp(struct bh_walk *w, struct bh_cur c, struct bh_inner *in)
{
    struct bh_row *row = in->row;
    bh_walk_saw_transport(w, in, BH_LAYER_UDP);
    size_t there = bh_cur_left(&c);
    uint32_t len = 0;
    bool good = false;
    if (there >= 4) {
        row->ports = bh_get_be32(c.at);
        if (!in->no_length) {
            bh_walk_saw_port(w, BH_PROTO_UDP, (uint16_t)row->ports);
        }
    } else {
        row->marks |= BH_MARK_NO_PORTS;
    }
    if (there >= 6) {
        len = bh_get_be16(c.at + 4);
        good = len >= HEADER && (len <= in->wire_len || in->fragment);
        if (!good) {
            row->marks |= BH_MARK_MALFORMED;
            row->reason = BH_REASON_UDP_LEN;
        }
    }
    if (there < HEADER && row->reason == BH_REASON_NONE) {
        bool on_wire = in->wire_len >= HEADER;
        row->marks |= on_wire ? BH_MARK_TRUNCATED : BH_MARK_MALFORMED;
        row->reason = on_wire ? BH_REASON_NONE : BH_REASON_UDP_LEN;
    }
    if (in->wire_len > HEADER) {
        uint32_t payload = in->wire_len - HEADER;
        row->payload_len = (uint16_t)(payload < UINT16_MAX ? payload : UINT16_MAX);
    }
    bh_walk_record(w, row);
    if (there >= HEADER && good) {
        uint32_t ports = row->ports;
        bh_ignore(bh_cur_take(&c, HEADER) == NULL); /* it is there */
        walk_payload(w, bh_cur_sub(&c, len - HEADER), (uint16_t)(ports >> 16), (uint16_t)ports);
    }
}
