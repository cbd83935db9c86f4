/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as a frame of any link type, whose record becomes a frame again: that one is decoded to
 * the same addresses and protocol, and where nothing was wrong or cut to the same ports and flags. The
 * first octet chooses the link type, the second whether the frame was cut, as in fuzz_frame.c.
 */
#include "bh_export.h"
#include "bh_packet.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint16_t link_types[] = { 1, 0, 9, 12, 101, 113, 228, 229, 276, 65535 };

static void
same(bool yes)
{
    if (!yes) {
        abort();
    }
}

static void
decode(struct bh_batch *b, const uint8_t *data, uint32_t cap_len, uint32_t wire_len, uint16_t link)
{
    static struct bh_frames frames;
    static const struct bh_decoder decoder = { .want = BH_WANT_COLD };
    uint32_t at = 0;
    frames.count = 1;
    frames.frame[0] = (struct bh_frame){
        .ts_ns = 1, .data = data, .cap_len = cap_len, .wire_len = wire_len, .link_type = link
    };
    bh_batch_reset(b);
    b->want = BH_WANT_COLD;
    same(bh_packet_decode(&decoder, &frames, &at, b) == 1);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bh_batch first, second;
    static struct bh_frame_maker *maker;
    struct bh_made_frame made;
    if (size < 2 || size > 65536) {
        return 0;
    }
    maker = maker == NULL ? bh_frame_maker_new() : maker;
    same(maker != NULL);
    uint8_t *copy = malloc(size); /* of its own, so that a reading beyond the end is seen */
    same(copy != NULL);
    memcpy(copy, data + 2, size - 2);
    const uint32_t len = (uint32_t)(size - 2);
    decode(&first, copy, len, (data[1] & 1) != 0 ? len + 1000 : len,
           link_types[data[0] % BH_COUNT(link_types)]);
    free(copy);
    bh_frame_begin(maker);
    bh_frame_make(maker, &first, 0, &made);
    same(made.cap_len <= made.wire_len && made.cap_len <= BH_FRAME_MAX);
    copy = malloc(made.cap_len + 1UL);
    same(copy != NULL);
    memcpy(copy, made.data, made.cap_len);
    decode(&second, copy, made.cap_len, made.wire_len, made.is_unknown_link ? 147 : 1);
    free(copy);
    same(first.kind[0] == BH_KIND_NONE || first.kind[0] == second.kind[0]);
    if (first.kind[0] == BH_KIND_IP4 || first.kind[0] == BH_KIND_ARP) {
        same(first.src[0] == second.src[0] && first.dst[0] == second.dst[0]);
    } else if (first.kind[0] == BH_KIND_IP6) {
        same(memcmp(&first.ip6[0], &second.ip6[0], sizeof first.ip6[0]) == 0);
    }
    const bool is_sound = first.reason[0] == BH_REASON_NONE &&
                          (first.marks[0] & (BH_MARK_NO_PORTS | BH_MARK_TRUNCATED)) == 0;
    if (is_sound && first.kind[0] >= BH_KIND_IP4 && first.kind[0] == second.kind[0] &&
        second.reason[0] == BH_REASON_NONE) {
        same(first.proto[0] == second.proto[0] && first.ports[0] == second.ports[0]);
        same(first.proto[0] != BH_PROTO_TCP || first.tcp_flags[0] == second.tcp_flags[0]);
    }
    return 0;
}
