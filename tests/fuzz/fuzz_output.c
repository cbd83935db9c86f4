/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What comes out of a queue, as an output reads it: any octets as a packed batch, and as the frames of its rows. What
 * passes the checks then goes through the flow table, where every packet must be in exactly one record.
 */
#include <stdlib.h>

#include "../../modules/output/flow/flow_priv.h"
#include "bh_output_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t packets;

static void
flow_ended(void *arg, const struct flow *f, enum flow_end end)
{
    static const struct flow_writer_context context = { .sensor = "s" };
    struct bh_buf *out = arg;
    packets += f->packets[0] + f->packets[1];
    for (enum flow_form form = FORM_NDJSON; form <= FORM_ZEEK; form++) {
        out->len = 0;
        flow_text_line(form, &context, f, end, out);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bh_batch *batch;
    static struct bh_buf out;
    static struct bh_output_frame frame[BH_BATCH_ROWS];
    if (batch == NULL) {
        batch = bh_batch_new();
    }
    if (batch == NULL || size < 3) {
        return 0;
    }
    struct bh_cur c = bh_cur_over(data, size);
    struct bh_cur packed = bh_cur_sub(&c, bh_cur_be16(&c));
    if (bh_batch_unpack(batch, packed.at, bh_cur_left(&packed))) {
        const struct flow_config cfg = { .flows_max = 64,
                                         .idle_tcp_ns = 300000000000,
                                         .idle_other_ns = 60000000000,
                                         .idle_closed_ns = 5000000000,
                                         .active_ns = 1800000000000,
                                         .key = 1,
                                         .ended = flow_ended,
                                         .arg = &out };
        struct flow_table *t = flow_table_new(&cfg);
        uint64_t wanted = 0;
        packets = 0;
        for (uint32_t i = 0; i < batch->rows; i++) {
            wanted += (batch->kind[i] == BH_KIND_IP4 || batch->kind[i] == BH_KIND_IP6) &&
                      (batch->marks[i] & BH_MARK_DUPLICATE) == 0;
        }
        if (t != NULL) {
            flow_table_add(t, batch);
            flow_table_expire(t, UINT32_MAX);
            if (!flow_table_end_all(t, FLOW_FORCED, UINT32_MAX) || packets != wanted) {
                abort();
            }
        }
        flow_table_free(t);
    }
    const uint32_t rows = batch->rows > 0 ? batch->rows : BH_BATCH_ROWS;
    if (bh_output_frames_unpack(c.at, bh_cur_left(&c), rows, frame)) {
        unsigned sum = 0;
        for (uint32_t i = 0; i < rows; i++) {
            for (uint32_t k = 0; frame[i].data != NULL && k < frame[i].cap_len; k++) {
                sum += frame[i].data[k];
            }
        }
        if (sum > 255U * size) {
            abort();
        }
    }
    return 0;
}
