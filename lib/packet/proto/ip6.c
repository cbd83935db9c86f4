/* SPDX-License-Identifier: BSD-2-Clause */
/* IPv6 and its extension headers. */
#include "walk_priv.h"

enum {
    HEADER = 40,
    SOURCE_END = 24,
    HOP_BY_HOP = 0,
    ROUTING = 43,
    FRAGMENT = 44,
    AH = 51,
    NOTHING = 59,
    OPTIONS = 60,
    MOBILITY = 135,
    HIP = 139,
    SHIM6 = 140
};
/* A stack sends at most one of each (RFC 8200, 4.1: some seven); evasion tools send up to what
 * fits an Ethernet frame, 180. More is malformed: a packet of 8000 empty headers must not cost
 * more than its share. */
enum { EXTENSIONS_MAX = 256 };

enum chain_end { CHAIN_ON, CHAIN_PAYLOAD, CHAIN_NOTHING, CHAIN_FRAGMENT, CHAIN_CUT, CHAIN_BAD };

/* RFC 8200, 4.2: type (1), length (1), value; type 0 is one octet of padding. An option that
 * reaches beyond its header makes the chain unreadable: what follows is anyone's guess. */
static bool
options_fit(struct bh_cur c)
{
    while (bh_cur_left(&c) > 0) {
        uint8_t type = bh_cur_u8(&c);
        if (type != 0 && bh_cur_left(&c) > 0) {                /* a last octet alone harms nobody */
            bh_ignore(bh_cur_take(&c, bh_cur_u8(&c)) == NULL); /* bad is sticky */
        }
    }
    return !c.bad;
}

/* RFC 8200, 4.5: next (1), reserved (1), offset and flag (2), identification (4). */
static enum chain_end
walk_fragment(struct bh_walk *w, const uint8_t *p, const struct bh_cur *c, struct bh_inner *in,
              bool *begun)
{
    uint32_t field = bh_get_be16(p + 2);
    uint32_t offset = field & 0xfff8;
    bool more = (field & 1) != 0;
    if ((offset != 0 || more) && bh_cur_left(c) == in->wire_len && !*begun) {
        *begun = bh_walk_fragment_begin(w, in->row, bh_get_be32(p + 4), offset, c, more);
    }
    in->fragment |= more;
    return offset != 0 ? CHAIN_FRAGMENT : CHAIN_ON;
}

/* One extension header. RFC 8200, 4; AH: RFC 4302, 2; Mobility: RFC 6275, 6.1.1; HIP: RFC 7401,
 * 5.1; Shim6: RFC 5533, 5.1. Not ESP: it is opaque. */
static enum chain_end
walk_header(struct bh_walk *w, struct bh_cur *c, struct bh_inner *in, bool *begun)
{
    unsigned type = in->row->proto;
    switch (type) {
    case HOP_BY_HOP:
    case ROUTING:
    case FRAGMENT:
    case AH:
    case OPTIONS:
    case HIP:
    case SHIM6:
        break;
    case NOTHING:
    case MOBILITY: /* carries nothing but itself */
        return CHAIN_NOTHING;
    default:
        return CHAIN_PAYLOAD;
    }
    const uint8_t *p = bh_cur_take(c, 8);
    if (p == NULL) {
        return in->wire_len < 8 ? CHAIN_BAD : CHAIN_CUT;
    }
    uint32_t len = type == FRAGMENT ? 8 : type == AH ? (p[1] + 2U) * 4 : (p[1] + 1U) * 8;
    if (len < 8 || len > in->wire_len) {
        return CHAIN_BAD;
    }
    if (bh_cur_take(c, len - 8) == NULL) {
        return CHAIN_CUT;
    }
    if ((type == HOP_BY_HOP || type == OPTIONS) && !options_fit(bh_cur_over(p + 2, len - 2))) {
        return CHAIN_BAD;
    }
    in->wire_len -= len;
    in->row->proto = p[0];
    return type == FRAGMENT ? walk_fragment(w, p, c, in, begun) : CHAIN_ON;
}

static void
walk_chain(struct bh_walk *w, struct bh_cur c, struct bh_inner *in)
{
    struct bh_row *row = in->row;
    enum chain_end end = CHAIN_ON;
    bool begun = false;
    for (unsigned n = 0; n < EXTENSIONS_MAX && end == CHAIN_ON; n++) {
        end = walk_header(w, &c, in, &begun);
    }
    if (end == CHAIN_PAYLOAD) {
        bh_walk_ip_payload(w, row->proto, c, in);
    } else {
        row->marks |= BH_MARK_NO_PORTS;
        if (end == CHAIN_FRAGMENT) {
            row->marks |= BH_MARK_FRAGMENT;
        } else if (end == CHAIN_CUT) {
            row->marks |= BH_MARK_TRUNCATED;
        } else if (end != CHAIN_NOTHING) {
            row->marks |= BH_MARK_MALFORMED;
            row->reason = BH_REASON_IP6_EXTENSION;
        }
        bh_walk_record(w, row);
    }
    if (begun) {
        bh_walk_fragment_end(w);
    }
}

/* RFC 8200, 3. */
static void
read_header(const uint8_t *p, struct bh_row *row)
{
    row->kind = BH_KIND_IP6;
    row->proto = p[6];
    row->ip_len = bh_get_be16(p + 4) + (uint32_t)HEADER;
    row->ttl = p[7];
    row->ip6 = (struct bh_ip6_pair){ .src_hi = bh_get_be64(p + 8),
                                     .src_lo = bh_get_be64(p + 16),
                                     .dst_hi = bh_get_be64(p + 24),
                                     .dst_lo = bh_get_be64(p + 32) };
}

/* The version first: what is not version 6 has no IPv6 header to be cut. */
static bool
starts_as_ip6(struct bh_walk *w, const struct bh_cur *c)
{
    if (bh_cur_left(c) > 0 && c->at[0] >> 4 != 6) {
        bh_walk_fail(w, BH_REASON_IP_VERSION);
        return false;
    }
    w->layers |= BH_LAYER_IPV6;
    if (bh_cur_left(c) < HEADER) {
        if (bh_cur_left(c) >= SOURCE_END) { /* enough to have been seen */
            bh_walk_saw_src6(w, bh_get_be64(c->at + 8), bh_get_be64(c->at + 16));
        }
        bh_walk_cut(w);
        return false;
    }
    return true;
}

/* A payload length of 0 is that of a jumbogram (RFC 2675), or of a segment the network card will
 * cut (TSO beyond 65535 octets): the frame's length says it then. */
void
bh_proto_ip6(struct bh_walk *w, struct bh_cur c)
{
    struct bh_row row = { .kind = BH_KIND_NONE };
    if (!starts_as_ip6(w, &c)) {
        return;
    }
    const uint8_t *p = bh_cur_take(&c, HEADER);
    struct bh_inner in = { .row = &row };
    read_header(p, &row);
    if (row.ip_len == HEADER) {
        uint32_t left = w->f->wire_len - (uint32_t)(p - w->f->data);
        row.ip_len = left > HEADER ? left : HEADER;
        in.no_length = row.proto != HOP_BY_HOP;
    }
    in.wire_len = row.ip_len - HEADER;
    w->ip_depth++;
    bh_walk_saw_src6(w, row.ip6.src_hi, row.ip6.src_lo);
    walk_chain(w, bh_cur_sub(&c, in.wire_len), &in);
}
