/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flows as the packets they must have had, each row with a weight. What lib/track decides from
 * packets - access, outcome, our own connections - it then decides from flows by the same rules, and
 * accesses, packets and octets have the sums that a capture would give: the access of a connection is
 * its SYN, not its fifty packets.
 *
 * Lengths are averages: n packets of B octets are r rows of weight ... with B / n and B / n + 1 octets,
 * so that the sum is B. Of a first segment among others the average is taken too, but 60 at most.
 */
#include "import_priv.h"

#define FIRST_LEN_MAX 60U /* a SYN: header and options */

static uint64_t
least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void
flow_add(struct made *m, const struct item *like, uint8_t tcp_flags, uint64_t packets,
         uint64_t bytes)
{
    packets = least(packets, UINT32_MAX);
    if (packets == 0) {
        return;
    }
    uint64_t mean = least(bytes / packets, UINT32_MAX - 1);
    uint64_t longer = bytes % packets;
    for (int i = 0; i < 2 && m->count < MADE_MAX; i++) {
        uint64_t n = i == 0 ? packets - longer : longer;
        if (n == 0) {
            continue;
        }
        struct item *x = &m->item[m->count++];
        *x = *like;
        x->row.bits &= (uint8_t)~ROW_FLOW;
        x->row.tcp_flags = tcp_flags;
        x->row.weight = (uint32_t)n;
        x->row.ip_len = (uint32_t)(mean + (unsigned)i);
    }
}

void
flow_reverse(struct item *x)
{
    struct row *r = &x->row;
    uint32_t src = r->src;
    r->src = r->dst;
    r->dst = src;
    x->pair =
        (struct bh_ip6_pair){ x->pair.dst_hi, x->pair.dst_lo, x->pair.src_hi, x->pair.src_lo };
    r->ports = r->ports << 16 | r->ports >> 16;
    unsigned in = r->bits & ROW_IN, out = r->bits & ROW_OUT;
    r->bits = (uint8_t)((r->bits & ~(ROW_IN | ROW_OUT)) | (in != 0 ? ROW_OUT : 0) |
                        (out != 0 ? ROW_IN : 0));
}

static uint16_t
payload_each(uint64_t payload, uint64_t packets)
{
    if (payload == 0 || packets == 0) {
        return 0;
    }
    uint64_t each = payload / packets;
    return (uint16_t)(each == 0 ? 1 : least(each, UINT16_MAX));
}

/* `first` packets with one set of flags, the rest with another. */
static void
add_side(struct made *m, const struct item *like, const struct flow_side *s, uint8_t first_flags,
         uint64_t first)
{
    struct item x = *like;
    x.row.payload_len = 0;
    uint64_t n = least(s->packets, UINT32_MAX);
    first = least(first, n);
    uint64_t mean = n == 0 ? 0 : s->bytes / n;
    flow_add(m, &x, first_flags, first, first == n ? s->bytes : first * least(mean, FIRST_LEN_MAX));
}

static void
add_rest(struct made *m, const struct item *like, const struct flow_side *s, uint8_t flags,
         uint64_t first)
{
    struct item x = *like;
    uint64_t n = least(s->packets, UINT32_MAX);
    if (n <= first) {
        return;
    }
    x.row.payload_len = payload_each(s->payload, n - first);
    flow_add(m, &x, flags, n - first, s->bytes - first * least(s->bytes / n, FIRST_LEN_MAX));
}

void
flow_tcp(struct made *m, const struct item *orig, const struct flow *f)
{
    struct item resp = *orig;
    flow_reverse(&resp);
    if (f->syns > 0) {
        add_side(m, orig, &f->orig, BH_TCP_SYN, f->syns);
    }
    if (f->answer != 0) {
        add_side(m, &resp, &f->resp, f->answer, f->answers);
    }
    add_rest(m, orig, &f->orig, f->orig_rest, f->syns);
    add_rest(m, &resp, &f->resp, f->resp_rest, f->answer != 0 ? f->answers : 0);
}

void
flow_plain(struct made *m, const struct item *orig, const struct flow *f)
{
    struct item x = *orig;
    x.row.payload_len = payload_each(f->orig.payload, f->orig.packets);
    flow_add(m, &x, x.row.tcp_flags, f->orig.packets, f->orig.bytes);
    flow_reverse(&x);
    x.row.payload_len = payload_each(f->resp.payload, f->resp.packets);
    flow_add(m, &x, x.row.tcp_flags, f->resp.packets, f->resp.bytes);
}
