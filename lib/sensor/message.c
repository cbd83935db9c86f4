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
message_frames_get(const uint8_t *data, uint32_t size, struct batch_head *ret_head, struct bh_batch *ret,
                   struct bh_output_frame *ret_frame)
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
    if (batch > size || !bh_batch_unpack(ret, data, batch) || ret->rows != h.rows || ret->rows == 0) {
        return false;
    }
    *ret_head = h;
    return bh_output_frames_unpack(data + batch, size - batch, ret->rows, ret_frame);
}

uint32_t
message_frames_snap(const struct bh_output_frame *frame, uint32_t rows, const uint8_t *selected, size_t room)
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

/* ---- gaps ------------------------------------------------------------------------------------------------ */

#define NEAR_NS 2000000000LL /* two losses this near to one another are one */

static void
join(struct bh_output_health *h, uint32_t at)
{
    struct bh_gap *a = &h->gap[at], *b = &h->gap[at + 1];
    a->end_ns = b->end_ns > a->end_ns ? b->end_ns : a->end_ns;
    a->start_ns = b->start_ns < a->start_ns ? b->start_ns : a->start_ns;
    a->kind =
        b->packets > a->packets ? b->kind : a->kind; /* that of most of them; the sums stay exact */
    a->packets += b->packets;
    memmove(b, b + 1, (h->gap_count - at - 2) * sizeof *b);
    h->gap_count--;
}

/* The two that are nearest to one another become one. */
static void
make_room(struct bh_output_health *h)
{
    uint32_t best = 0;
    int64_t least = INT64_MAX;
    for (uint32_t k = 0; k + 1 < h->gap_count; k++) {
        const int64_t between = h->gap[k + 1].start_ns - h->gap[k].end_ns;
        if (between < least) {
            least = between;
            best = k;
        }
    }
    join(h, best);
}

void
gap_add(struct bh_output_health *h, unsigned kind, int64_t start_ns, int64_t end_ns,
        uint64_t packets)
{
    end_ns = end_ns < start_ns ? start_ns : end_ns;
    h->lost[kind] += packets;
    for (uint32_t k = h->gap_count; k > 0 && k + 4 > h->gap_count; k--) {
        struct bh_gap *g = &h->gap[k - 1];
        if (g->kind == kind && start_ns - g->end_ns < NEAR_NS && g->start_ns - end_ns < NEAR_NS) {
            g->start_ns = start_ns < g->start_ns ? start_ns : g->start_ns;
            g->end_ns = end_ns > g->end_ns ? end_ns : g->end_ns;
            g->packets += packets;
            return;
        }
    }
    if (h->gap_count == BH_OUTPUT_GAPS_MAX) {
        make_room(h);
    }
    uint32_t at = h->gap_count++;
    for (; at > 0 && h->gap[at - 1].start_ns > start_ns; at--) {
        h->gap[at] = h->gap[at - 1];
    }
    h->gap[at] =
        (struct bh_gap){ .start_ns = start_ns, .end_ns = end_ns, .packets = packets, .kind = kind };
}
