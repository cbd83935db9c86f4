/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as a message from the capture process. What passes the check is used as an output would: every
 * field of every row is asked for, and packed it gives the same octets again.
 */
#include <stdlib.h>

#include "../../lib/sensor/sensor_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
use_batch(const struct bh_batch *b)
{
    uint32_t cursor = 0;
    for (uint32_t row = 0; row < b->rows; row++) {
        const struct bh_seen seen = bh_batch_seen(b, row, &cursor);
        char text[BH_IP_TEXT_MAX];
        const struct bh_ip src = bh_batch_src(b, row);
        if (src.family != 0) {
            bh_ip_format(&src, text);
        }
        for (size_t k = 0; k < bh_fields_count; k++) {
            struct bh_value v = { 0 };
            bh_fields[k].get(b, row, &v);
            if (!v.absent && bh_fields[k].type == BH_TYPE_NAME && v.name != NULL &&
                strlen(v.name) > 100) {
                abort();
            }
        }
        if (seen.has_src4 && b->kind[row] > BH_KIND_IP6) {
            abort();
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bh_batch *b, *copy;
    struct batch_head head, again;
    struct bh_output_health health;
    static struct bh_output_frame frame[BH_BATCH_ROWS];
    if (size > MESSAGE_MAX) {
        return 0;
    }
    if (b == NULL && ((b = bh_batch_new()) == NULL || (copy = bh_batch_new()) == NULL)) {
        abort();
    }
    /* A copy of its own, so that a sanitizer sees where it ends. */
    uint8_t *octets = malloc(size + 1);
    if (octets == NULL) {
        return 0;
    }
    memcpy(octets, data, size);
    if (message_batch_get(octets, (uint32_t)size, &head, b)) {
        use_batch(b);
        copy->rows = 0;
        uint8_t *packed = malloc(message_batch_size(b));
        if (packed != NULL) {
            message_batch_put(packed, &head, b);
            if (message_batch_size(b) != size ||
                !message_batch_get(packed, (uint32_t)size, &again, copy) || copy->rows != b->rows) {
                abort();
            }
        }
        free(packed);
    }
    if (message_frames_get(octets, (uint32_t)size, &head, b, frame)) {
        const uint32_t snap = message_frames_snap(frame, b->rows, NULL, size / 2);
        use_batch(b);
        for (uint32_t row = 0; row < b->rows; row++) {
            if (frame[row].data != NULL && frame[row].cap_len > 0 &&
                (frame[row].data < octets ||
                 frame[row].data + frame[row].cap_len > octets + size)) {
                abort();
            }
        }
        if (snap > 0 && bh_output_frames_packed_size(frame, b->rows, NULL, snap) > size / 2) {
            abort();
        }
    }
    if (message_health_get(octets, (uint32_t)size, &health)) {
        for (unsigned k = 0; k < 3; k++) {
            gap_add(&health, k, (int64_t)size, (int64_t)size + 5, k);
        }
        if (health.gap_count > BH_OUTPUT_GAPS_MAX) {
            abort();
        }
    }
    free(octets);
    return 0;
}
