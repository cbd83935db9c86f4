/* SPDX-License-Identifier: BSD-2-Clause */
/* IPv4. */
#include "walk_priv.h"

enum { HEADER = 20 };

/* Octets of the frame from `at` to its end on the wire. */
static uint32_t
wire_left(const struct bh_walk *w, const uint8_t *at)
{
    return w->f->wire_len - (uint32_t)(at - w->f->data);
}

/* RFC 791, 3.1. `p`: the fixed header. Total length 0 is that of a segment the network card
 * will cut (TSO, captured before it did): then the frame's length says it. False, and the
 * reason noted, when the header contradicts itself. */
static bool
read_header(struct bh_walk *w, const uint8_t *p, struct bh_row *row, uint32_t *ret_header_len)
{
    uint32_t header_len = (p[0] & 15U) * 4;
    uint32_t total = bh_get_be16(p + 2);
    if (p[0] >> 4 != 4) {
        bh_walk_fail(w, BH_REASON_IP_VERSION);
        return false;
    }
    if (header_len < HEADER) {
        bh_walk_fail(w, BH_REASON_IP_HEADER_LEN);
        return false;
    }
    if (total == 0) {
        total = wire_left(w, p);
    }
    if (total < header_len) {
        bh_walk_fail(w, total < HEADER ? BH_REASON_IP_TOTAL_LEN : BH_REASON_IP_HEADER_LEN);
        return false;
    }
    row->kind = BH_KIND_IP4;
    row->proto = p[9];
    row->src = bh_get_be32(p + 12);
    row->dst = bh_get_be32(p + 16);
    row->ip_len = total;
    row->ttl = p[8];
    row->df = p[6] >> 6 & 1;
    row->ip_id = bh_get_be16(p + 4);
    *ret_header_len = header_len;
    return true;
}

/* The first header of IPsec's AH (RFC 4302, 2) is passed over: what it protects is in clear. */
static bool
pass_ah(struct bh_cur *c, struct bh_row *row, uint32_t *wire_len)
{
    const uint8_t *p = bh_cur_take(c, 12);
    if (p == NULL) {
        return false;
    }
    uint32_t len = (p[1] + 2U) * 4;
    if (len < 12 || len > *wire_len || bh_cur_take(c, len - 12) == NULL) {
        return false;
    }
    row->proto = p[0];
    *wire_len -= len;
    return true;
}

/* What is behind AH, when there is one. */
static void
walk_payload(struct bh_walk *w, struct bh_cur c, struct bh_inner *in)
{
    struct bh_row *row = in->row;
    if (row->proto == 51 && !pass_ah(&c, row, &in->wire_len)) {
        row->marks |= BH_MARK_NO_PORTS;
        bh_walk_record(w, row);
        return;
    }
    bh_walk_ip_payload(w, row->proto, c, in);
}

/* `field`: flags and offset. A datagram that is not fragmented is its own only fragment. */
static void
walk_fragment(struct bh_walk *w, uint32_t field, struct bh_cur c, struct bh_inner *in)
{
    struct bh_row *row = in->row;
    uint32_t offset = (field & 0x1fff) * 8;
    bool more = (field & 0x2000) != 0;
    bool begun =
        (offset != 0 || more) && bh_cur_left(&c) == in->wire_len &&
        bh_walk_fragment_begin(w, row, row->ip_id | (uint32_t)row->proto << 16, offset, &c, more);
    if (offset == 0) {
        in->fragment = more;
        walk_payload(w, c, in);
    } else {
        row->marks |= BH_MARK_FRAGMENT | BH_MARK_NO_PORTS;
        bh_walk_record(w, row);
    }
    if (begun) {
        bh_walk_fragment_end(w);
    }
}

void
bh_proto_ip4(struct bh_walk *w, struct bh_cur c)
{
    struct bh_row row = { .kind = BH_KIND_NONE };
    uint32_t header_len;
    w->layers |= BH_LAYER_IPV4;
    const uint8_t *p = bh_cur_take(&c, HEADER);
    if (p == NULL) {
        bh_walk_cut(w);
        return;
    }
    if (p[0] >> 4 == 6) {
        c.at = p; /* the EtherType lies, the version does not */
        bh_proto_ip6(w, c);
        return;
    }
    if (!read_header(w, p, &row, &header_len)) {
        return;
    }
    w->ip_depth++;
    bh_walk_saw_src4(w, row.src);
    struct bh_cur inner = bh_cur_sub(&c, row.ip_len - HEADER);
    struct bh_inner in = { .row = &row, .wire_len = row.ip_len - header_len };
    if (bh_cur_take(&inner, header_len - HEADER) == NULL) {
        row.marks |= BH_MARK_TRUNCATED | BH_MARK_NO_PORTS;
        bh_walk_record(w, &row);
        return;
    }
    walk_fragment(w, bh_get_be16(p + 6), inner, &in);
}

void
bh_proto_ip(struct bh_walk *w, struct bh_cur c)
{
    unsigned version = bh_cur_left(&c) == 0 ? 0 : c.at[0] >> 4;
    if (version == 4 || version == 6) {
        bh_walk_ethertype(w, version == 4 ? 0x0800 : 0x86dd, c);
    } else if (bh_cur_left(&c) == 0) {
        bh_walk_cut(w);
    } else {
        bh_walk_fail(w, BH_REASON_IP_VERSION);
    }
}
