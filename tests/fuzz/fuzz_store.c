/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as a file of the packet log. The first octet says how they are taken: as a segment, a
 * journal, a dictionary, or a block over the dictionary of a real one. Sums stop a fuzzer at once, so
 * the structure-aware ways put right ones over whatever it made.
 */
#include <stdlib.h>

#include "../../lib/store/file_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what))                                                                               \
            abort();                                                                               \
    } while (0)

static struct bh_batch *batch;
static struct block_rows *rows;

static void
check_batch(const struct bh_batch *b)
{
    CHECK(b->rows > 0 && b->rows <= BH_BATCH_ROWS && b->v6_rows <= b->rows &&
          b->quote_rows <= BH_BATCH_QUOTES);
    for (uint32_t i = 0; i < b->rows; i++) {
        CHECK(b->cls[i] < BH_CLASS_COUNT && b->outcome[i] < BH_OUTCOME_COUNT &&
              b->direction[i] <= BH_DIR_TRANSIT);
        CHECK(b->reason[i] < BH_REASON_COUNT);
        CHECK(b->kind[i] != BH_KIND_IP6 || b->src[i] < b->v6_rows);
    }
}

static void
read_block(const struct dict *d, const struct block_head *h, const uint8_t *body, uint32_t want)
{
    static uint16_t values[KOBOLD_VALUES_MAX + 2];
    uint32_t n = 0;
    if (block_open(rows, d, h, body, want) != 0) {
        return;
    }
    while (block_next(rows, values, batch)) {
        check_batch(batch);
        n += batch->rows;
    }
    CHECK(n == h->rows);
}

static void
read_file(enum file_type type, const uint8_t *data, size_t size)
{
    struct log_file f = { .type = type };
    struct bh_error err = { 0 };
    if (log_file_parse(&f, data, size, &err) == 0) {
        for (size_t k = 0; k < f.block_count && k < 64; k++) {
            struct dict d;
            if (log_file_dict(&f, f.block[k].dict, &d) == 0) {
                read_block(&d, &f.block[k].head, f.data + f.block[k].body_at, BH_STORE_ALL);
                dict_done(&d);
            }
        }
    }
    log_file_close(&f);
}

/* Frames of what the fuzzer made: kind, lengths, octets; with right sums. */
static void
read_framed(enum file_type type, const uint8_t *data, size_t size)
{
    struct bh_buf out = { 0 };
    uint8_t header[FILE_HEADER_SIZE], frame[FRAME_SIZE];
    struct bh_cur c = bh_cur_over(data, size);
    file_header_put(header, type, 1, 1, 0);
    bh_buf_add(&out, header, sizeof header);
    while (bh_cur_left(&c) > 5) {
        const uint8_t kind = bh_cur_u8(&c);
        const uint16_t head_size = code_get16(&c), body_size = code_get16(&c);
        struct bh_cur head = bh_cur_sub(&c, head_size), body = bh_cur_sub(&c, body_size);
        frame_put(frame, (enum frame_kind)kind, head.at, (uint32_t)bh_cur_left(&head),
                  bh_cur_left(&body));
        bh_buf_add(&out, frame, sizeof frame);
        bh_buf_add(&out, head.at, bh_cur_left(&head));
        bh_buf_add(&out, body.at, bh_cur_left(&body));
    }
    read_file(type, (const uint8_t *)out.data, out.len);
    bh_buf_done(&out);
}

/* A dictionary, and columns behind it whose sums are put right. */
static void
read_block_of(const uint8_t *data, size_t size)
{
    struct bh_cur c = bh_cur_over(data, size);
    struct bh_cur dict = bh_cur_sub(&c, code_get32(&c));
    struct dict d;
    struct block_head h = { 0 };
    if (c.bad || dict_get(&d, dict.at, bh_cur_left(&dict)) != 0) {
        return;
    }
    h.rows = 1 + code_get16(&c);
    h.flags = code_get16(&c);
    h.unit = bh_cur_u8(&c) & 3;
    h.first_ns = (int64_t)code_get64(&c);
    const uint8_t *body = c.at;
    for (unsigned k = 1; k <= COLUMN_SEEN; k++) {
        const uint32_t length = code_get16(&c);
        struct bh_cur column = bh_cur_sub(&c, length);
        h.column[k].at = (uint32_t)(column.at - body);
        h.column[k].size = (uint32_t)bh_cur_left(&column);
        h.column[k].sum = code_sum(column.at, bh_cur_left(&column));
    }
    read_block(&d, &h, body, BH_STORE_ALL);
    read_block(&d, &h, body, 0);
    dict_done(&d);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (batch == NULL) {
        batch = bh_batch_new();
        rows = block_rows_new();
    }
    if (size == 0 || batch == NULL || rows == NULL) {
        return 0;
    }
    switch (data[0] % 5) {
    case 0:
        read_file(FILE_SEGMENT, data + 1, size - 1);
        break;
    case 1:
        read_file(FILE_JOURNAL, data + 1, size - 1);
        break;
    case 2:
        read_framed(FILE_SEGMENT, data + 1, size - 1);
        break;
    case 3:
        read_framed(FILE_JOURNAL, data + 1, size - 1);
        break;
    default:
        read_block_of(data + 1, size - 1);
        break;
    }
    return 0;
}
