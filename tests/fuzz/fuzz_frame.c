/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_frame.c - any octets as a frame of any link type. The first octet chooses the link type,
 * the second what is asked for, the rest is the frame. Decoded with and without the cold columns,
 * with --decap rules on; what both ways fill must be the same. Then once more as a frame whose time
 * is bad, which the short way leaves to the general one: but for the time the row must be the same. And
 * a look at the addresses alone must find those of the row.
 */
#include "bh_packet.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint16_t link_types[] = {
    1,   0,   7,   9,   12,  14,  50,  51,  100, 101, 104, 105, 106, 107, 108,
    113, 117, 119, 127, 129, 149, 163, 192, 226, 228, 229, 239, 258, 276, 65535,
};

enum { CUT = 1, BAD_TIME = 2, NO_DECAP = 4 };

/* In a block of its own, so that a reading beyond the end is seen. */
static uint8_t *
copy_of(const uint8_t *data, size_t size)
{
    uint8_t *p = malloc(size == 0 ? 1 : size);
    if (p == NULL) {
        abort();
    }
    if (size > 0) {
        memcpy(p, data, size);
    }
    return p;
}

static void
same(bool yes)
{
    if (!yes) {
        abort();
    }
}

static void
check_row(const struct bh_batch *b)
{
    uint32_t cursor = 0;
    struct bh_seen seen = bh_batch_seen(b, 0, &cursor);
    same(b->v6_rows == (b->kind[0] == BH_KIND_IP6) && b->reason[0] < BH_REASON_COUNT);
    same(b->kind[0] != BH_KIND_NONE || b->src[0] == 0);
    same(seen.port_proto == 0 || seen.port_proto == BH_PROTO_TCP ||
         seen.port_proto == BH_PROTO_UDP);
    for (size_t i = 0; i < bh_fields_count; i++) {
        struct bh_value value;
        bh_fields[i].get(b, 0, &value);
        same(value.absent || bh_fields[i].type != BH_TYPE_NAME || value.name != NULL);
    }
}

static void
check_same(const struct bh_batch *a, const struct bh_batch *b)
{
    same(a->ts_ns[0] == b->ts_ns[0] && a->src[0] == b->src[0] && a->dst[0] == b->dst[0]);
    same(a->ports[0] == b->ports[0] && a->tcp_seq[0] == b->tcp_seq[0]);
    same(a->ip_len[0] == b->ip_len[0] && a->payload_len[0] == b->payload_len[0]);
    same(a->layers[0] == b->layers[0] && a->kind[0] == b->kind[0] && a->proto[0] == b->proto[0]);
    same(a->tcp_flags[0] == b->tcp_flags[0] && a->marks[0] == b->marks[0]);
    same(a->reason[0] == b->reason[0] && a->quote_rows == b->quote_rows);
    same(a->seen_rows == b->seen_rows && a->fragment_rows == b->fragment_rows);
    same(a->kind[0] != BH_KIND_IP6 || memcmp(&a->ip6[0], &b->ip6[0], sizeof a->ip6[0]) == 0);
}

static void
check_addresses(const struct bh_batch *a, const struct bh_batch *b)
{
    same(a->kind[0] == b->kind[0] && a->ts_ns[0] == b->ts_ns[0] && a->quote_rows == b->quote_rows);
    same(a->kind[0] < BH_KIND_IP4 || (a->src[0] == b->src[0] && a->dst[0] == b->dst[0]));
    same(a->kind[0] != BH_KIND_IP6 || memcmp(&a->ip6[0], &b->ip6[0], sizeof a->ip6[0]) == 0);
    same(((a->marks[0] ^ b->marks[0]) & BH_MARK_BAD_TIME) == 0);
}

static void
check_fields(const struct bh_batch *a, const struct bh_batch *b)
{
    for (size_t i = 0; i < bh_fields_count; i++) {
        struct bh_value x, y;
        bh_fields[i].get(a, 0, &x);
        bh_fields[i].get(b, 0, &y);
        same(x.absent == y.absent && (x.absent || x.number == y.number));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bh_frames frames;
    static struct bh_batch hot, cold;
    static struct bh_fragments *fragments;
    static struct bh_decoder decoder;
    struct bh_error error;
    if (size < 2 || size > 65536) {
        return 0;
    }
    if (fragments == NULL) {
        fragments = bh_fragments_new();
        same(fragments != NULL);
        same(bh_decap_parse(&decoder, "vxlan", &error) == 0);
        same(bh_decap_parse(&decoder, "geneve@10.0.0.0/8", &error) == 0);
        same(bh_decap_parse(&decoder, "gre@2001:db8::/32", &error) == 0);
        same(bh_decap_parse(&decoder, "erspan", &error) == 0);
        same(bh_decap_parse(&decoder, "ipip", &error) == 0);
    }
    uint8_t *frame = copy_of(data + 2, size - 2);
    uint32_t len = (uint32_t)(size - 2);
    frames.count = 1;
    frames.frame[0] = (struct bh_frame){
        .ts_ns = (data[1] & BAD_TIME) != 0 ? 0 : 1000000000,
        .data = frame,
        .cap_len = len,
        .wire_len = (data[1] & CUT) != 0 ? len + 1000 : len,
        .link_type = link_types[data[0] % BH_COUNT(link_types)],
        .flags = (data[1] & BAD_TIME) != 0 ? BH_FRAME_BAD_TIME : 0,
    };
    struct bh_decoder d = decoder;
    if ((data[1] & NO_DECAP) != 0) {
        d.decap_count = 0;
        d.decap_kinds = 0;
    }
    uint32_t at = 0;
    d.want = 0;
    bh_batch_reset(&hot);
    same(bh_packet_decode(&d, &frames, &at, &hot) == 1 && at == 1 && hot.rows == 1);
    check_row(&hot);
    at = 0;
    d.want = BH_WANT_COLD;
    bh_batch_reset(&cold);
    same(bh_packet_decode(&d, &frames, &at, &cold) == 1);
    check_row(&cold);
    check_same(&hot, &cold);
    static struct bh_batch peeked;
    at = 0;
    bh_batch_reset(&peeked);
    same(bh_packet_peek(&d, &frames, &at, &peeked) == 1 && at == 1);
    check_addresses(&cold, &peeked);
    if ((data[1] & BAD_TIME) == 0) {
        static struct bh_batch general;
        frames.frame[0].flags |= BH_FRAME_BAD_TIME;
        at = 0;
        bh_batch_reset(&general);
        same(bh_packet_decode(&d, &frames, &at, &general) == 1);
        general.marks[0] &= (uint8_t)~BH_MARK_BAD_TIME;
        check_same(&cold, &general);
        check_fields(&cold, &general);
    }
    bh_fragments_apply(fragments, &cold);
    check_row(&cold);
    free(frame);
    return 0;
}
