/* SPDX-License-Identifier: BSD-2-Clause */
/* TCP, and the signature of its options. */
#include "walk_priv.h"

enum { HEADER = 20, FLAGS_END = 14 };

uint32_t
bh_tcp_options_signature(const uint8_t *options, size_t len)
{
    struct bh_cur c = bh_cur_over(options, len);
    uint32_t hash = 0x811c9dc5U; /* FNV-1a, folded to 16 bits */
    uint32_t scale = 0;
    uint32_t mss = 0;
    bool any = false;
    while (bh_cur_left(&c) > 0) {
        uint8_t kind = bh_cur_u8(&c);
        hash = (hash ^ kind) * 0x01000193U;
        any = true;
        if (kind == 0) { /* end of list: RFC 9293, 3.1 */
            break;
        }
        if (kind == 1) {
            continue;
        }
        uint8_t size = bh_cur_u8(&c);
        if (size < 2) { /* or cut before it */
            break;
        }
        struct bh_cur value = bh_cur_sub(&c, size - 2U);
        if (kind == 2 && size == 4) { /* RFC 9293, 3.7.1 */
            uint32_t units = bh_cur_be16(&value) / 16U;
            mss = value.bad ? 0 : units == 0 ? 1 : units;
        } else if (kind == 3 && size == 3) { /* RFC 7323, 2.2 */
            uint32_t shift = bh_cur_u8(&value);
            scale = value.bad ? 0 : shift > 14 ? 15 : shift + 1;
        }
    }
    if (!any) {
        return 0;
    }
    hash = (hash >> 16 ^ hash) & 0xffff;
    return mss << 20 | scale << 16 | (hash == 0 ? 1 : hash);
}

static void
read_flags(struct bh_walk *w, struct bh_row *row, uint8_t flags)
{
    row->tcp_flags = flags;
    if ((flags & (BH_TCP_SYN | BH_TCP_ACK | BH_TCP_RST | BH_TCP_FIN)) == BH_TCP_SYN) {
        w->layers |= BH_LAYER_SYN_ONLY;
    }
}

/* What is there of a header that is not whole: ports first, then all up to the flags. */
static void
read_cut(struct bh_walk *w, struct bh_cur c, struct bh_inner *in)
{
    struct bh_row *row = in->row;
    if (in->wire_len < HEADER && !in->fragment) {
        row->marks |= BH_MARK_MALFORMED;
        row->reason = BH_REASON_TCP_OFFSET;
    } else {
        row->marks |= BH_MARK_TRUNCATED;
    }
    size_t left = bh_cur_left(&c);
    if (left >= 4) {
        bh_walk_saw_port(w, BH_PROTO_TCP, bh_get_be16(c.at + 2));
    }
    if (left < FLAGS_END) {
        row->marks |= BH_MARK_NO_PORTS;
        return;
    }
    const uint8_t *p = bh_cur_take(&c, FLAGS_END);
    row->ports = bh_get_be32(p);
    row->tcp_seq = bh_get_be32(p + 4);
    read_flags(w, row, p[13]);
}

/* RFC 9293, 3.1. */
void
bh_proto_tcp(struct bh_walk *w, struct bh_cur c, struct bh_inner *in)
{
    struct bh_row *row = in->row;
    bh_walk_saw_transport(w, in, BH_LAYER_TCP);
    struct bh_cur start = c;
    const uint8_t *p = bh_cur_take(&c, HEADER);
    if (p == NULL) {
        read_cut(w, start, in);
        bh_walk_record(w, row);
        return;
    }
    uint32_t header_len = (uint32_t)p[12] >> 4 << 2;
    row->ports = bh_get_be32(p);
    row->tcp_seq = bh_get_be32(p + 4);
    row->tcp_window = bh_get_be16(p + 14);
    if (!in->no_length) {
        bh_walk_saw_port(w, BH_PROTO_TCP, bh_get_be16(p + 2));
    }
    read_flags(w, row, p[13]);
    if (header_len < HEADER || header_len > in->wire_len) {
        row->marks |= BH_MARK_MALFORMED;
        row->reason = BH_REASON_TCP_OFFSET;
    } else {
        uint32_t payload = in->wire_len - header_len;
        row->payload_len = (uint16_t)(payload < UINT16_MAX ? payload : UINT16_MAX);
        struct bh_cur options = bh_cur_sub(&c, header_len - HEADER);
        row->tcp_options = bh_tcp_options_signature(options.at, bh_cur_left(&options));
    }
    bh_walk_record(w, row);
}
