/* SPDX-License-Identifier: BSD-2-Clause */
/* The packet quoted by an ICMP error: its addresses, protocol and ports, and nothing counted. */
#include "walk_priv.h"

/* The first four octets of what is quoted; ICMP as everywhere: type << 16 | code. */
static void
quote_ports(struct bh_quote *q, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 4);
    if (p == NULL) {
        return;
    }
    if (q->proto == BH_PROTO_TCP || q->proto == BH_PROTO_UDP) {
        q->ports = bh_get_be32(p);
        q->has_ports = true;
    } else if (q->proto == BH_PROTO_ICMP || q->proto == BH_PROTO_ICMP6) {
        q->ports = (uint32_t)p[0] << 16 | p[1];
        q->has_ports = true;
    }
}

static bool
quote_ip4(struct bh_quote *q, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 20);
    if (p == NULL || (p[0] & 15U) < 5) {
        return false;
    }
    q->kind = BH_KIND_IP4;
    q->proto = p[9];
    q->src = bh_get_be32(p + 12);
    q->dst = bh_get_be32(p + 16);
    /* a total length is not checked: stacks of old quote it in host order */
    if ((bh_get_be16(p + 6) & 0x1fff) == 0 && bh_cur_take(&c, (p[0] & 15U) * 4 - 20) != NULL) {
        quote_ports(q, c);
    }
    return true;
}

static bool
quote_ip6(struct bh_quote *q, struct bh_cur c)
{
    const uint8_t *p = bh_cur_take(&c, 40);
    if (p == NULL) {
        return false;
    }
    q->kind = BH_KIND_IP6;
    q->proto = p[6];
    q->ip6 = (struct bh_ip6_pair){ .src_hi = bh_get_be64(p + 8),
                                   .src_lo = bh_get_be64(p + 16),
                                   .dst_hi = bh_get_be64(p + 24),
                                   .dst_lo = bh_get_be64(p + 32) };
    for (unsigned n = 0; n < 8; n++) {
        if (q->proto != 0 && q->proto != 43 && q->proto != 44 && q->proto != 60) {
            quote_ports(q, c);
            break;
        }
        const uint8_t *x = bh_cur_take(&c, 8);
        if (x == NULL || (q->proto == 44 && (bh_get_be16(x + 2) & 0xfff8) != 0) ||
            (q->proto != 44 && bh_cur_take(&c, x[1] * 8U) == NULL)) {
            break;
        }
        q->proto = x[0];
    }
    return true;
}

/* RFC 792 and 4443: as much of the offending packet as fits. */
void
bh_proto_quote(struct bh_walk *w, struct bh_cur c)
{
    struct bh_quote q = { .kind = BH_KIND_NONE };
    unsigned version = bh_cur_left(&c) == 0 ? 0 : c.at[0] >> 4;
    if ((version == 4 && quote_ip4(&q, c)) || (version == 6 && quote_ip6(&q, c))) {
        w->quote = q;
        w->has_quote = true;
    }
}
