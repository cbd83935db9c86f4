/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Octets of frames between two processes, beside the packed batch they belong to.
 *
 * For each frame that is there, in order of rows: row, link type, interface (16 bits each), captured and
 * wire length (32 bits each), then the octets. Little-endian, as all we store.
 */
#include "bh_output_host.h"

#define FRAME_HEAD 14U

static bool
is_packed(const struct bh_output_frame *f, const uint8_t *selected, uint32_t row)
{
    return f->data != NULL && (selected == NULL || selected[row] != 0);
}

static uint32_t
packed_len(const struct bh_output_frame *f, uint32_t snap)
{
    return f->cap_len < snap ? f->cap_len : snap;
}

size_t
bh_output_frames_packed_size(const struct bh_output_frame *frames, uint32_t rows,
                             const uint8_t *selected, uint32_t snap)
{
    size_t size = 0;
    for (uint32_t i = 0; i < rows; i++) {
        if (is_packed(&frames[i], selected, i)) {
            size += FRAME_HEAD + (size_t)packed_len(&frames[i], snap);
        }
    }
    return size;
}

void
bh_output_frames_pack(const struct bh_output_frame *frames, uint32_t rows, const uint8_t *selected,
                      uint32_t snap, uint8_t *to)
{
    for (uint32_t i = 0; i < rows; i++) {
        const struct bh_output_frame *f = &frames[i];
        if (is_packed(f, selected, i)) {
            const uint32_t len = packed_len(f, snap);
            bh_put_le16(to, (uint16_t)i);
            bh_put_le16(to + 2, f->link_type);
            bh_put_le16(to + 4, f->interface);
            bh_put_le32(to + 6, len);
            bh_put_le32(to + 10, f->wire_len);
            memcpy(to + FRAME_HEAD, f->data, len);
            to += FRAME_HEAD + (size_t)len;
        }
    }
}

bool
bh_output_frames_unpack(const uint8_t *data, size_t size, uint32_t rows,
                        struct bh_output_frame *ret_frames)
{
    struct bh_cur c = bh_cur_over(data, size);
    uint32_t next = 0; /* rows rise */
    memset(ret_frames, 0, rows * sizeof *ret_frames);
    while (bh_cur_left(&c) > 0) {
        const uint8_t *head = bh_cur_take(&c, FRAME_HEAD);
        if (head == NULL) {
            return false;
        }
        const uint32_t row = bh_get_le16(head), len = bh_get_le32(head + 6);
        const uint8_t *octets = bh_cur_take(&c, len);
        if (octets == NULL || row < next || row >= rows || bh_get_le32(head + 10) < len) {
            return false;
        }
        ret_frames[row] = (struct bh_output_frame){ octets, len, bh_get_le32(head + 10),
                                                    bh_get_le16(head + 2), bh_get_le16(head + 4) };
        next = row + 1;
    }
    return true;
}
