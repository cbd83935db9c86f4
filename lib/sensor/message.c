/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages from capture to an output: how they are packed, and checked. In the byte order of this machine.
 * Whoever reads them is not yet sure that the writer is still our own code.
 */
#include "sensor_priv.h"

size_t
message_batch_size(const struct bh_batch *b)
{
    return sizeof(struct batch_head) + bh_batch_packed_size(b);
}

void
message_batch_put(uint8_t *to, const struct batch_head *h, const struct bh_batch *b)
{
    memcpy(to, h, sizeof *h);
    bh_batch_pack(b, to + sizeof *h);
}

bool
message_batch_get(const uint8_t *data, uint32_t size, struct batch_head *ret_head,
                  struct bh_batch *ret)
{
    if (size < sizeof *ret_head) {
        return false;
    }
    memcpy(ret_head, data, sizeof *ret_head);
    return bh_batch_unpack(ret, data + sizeof *ret_head, size - sizeof *ret_head) &&
           ret->rows == ret_head->rows && ret->rows > 0;
}

bool
message_frames_get(const uint8_t *data, uint32_t size, struct batch_head *ret_head,
                   struct bh_batch *ret, struct bh_output_frame *ret_frame)
{
    struct batch_head h;
    uint32_t batch;
    if (size < sizeof h + sizeof batch) {
        return false;
    }
    memcpy(&h, data, sizeof h);
    memcpy(&batch, data + sizeof h, sizeof batch);
    data += sizeof h + sizeof batch;
    size -= (uint32_t)(sizeof h + sizeof batch);
    if (batch > size || !bh_batch_unpack(ret, data, batch) || ret->rows != h.rows ||
        ret->rows == 0) {
        return false;
    }
    *ret_head = h;
    return bh_output_frames_unpack(data + batch, size - batch, ret->rows, ret_frame);
}

uint32_t
message_frames_snap(const struct bh_output_frame *frame, uint32_t rows, const uint8_t *selected,
                    size_t room)
{
    uint32_t fits = 0, most = BH_LIVE_SNAP;
    if (bh_output_frames_packed_size(frame, rows, selected, most) <= room) {
        return most;
    }
    while (most - fits > 1) {
        const uint32_t middle = fits + (most - fits) / 2;
        if (bh_output_frames_packed_size(frame, rows, selected, middle) <= room) {
            fits = middle;
        } else {
            most = middle;
        }
    }
    return fits;
}

bool
message_health_get(const uint8_t *data, uint32_t size, struct bh_output_health *ret)
{
    struct bh_output_health h;
    if (size != sizeof h) {
        return false;
    }
    memcpy(&h, data, sizeof h);
    if (h.gap_count > BH_OUTPUT_GAPS_MAX) {
        return false;
    }
    for (uint32_t k = 0; k < h.gap_count; k++) {
        if (h.gap[k].kind >= BH_GAP_KINDS || h.gap[k].end_ns < h.gap[k].start_ns) {
            return false;
        }
    }
    h.size = sizeof h;
    *ret = h;
    return true;
}
