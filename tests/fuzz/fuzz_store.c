/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as a file of the packet log. The first octet says how they are taken: as a segment, a
 * journal, frames, or a dictionary and a block over it. Sums stop a fuzzer at once, so the ways that
 * know the structure put right ones over whatever it made: seeds are real files (mend_sums()), in which
 * it changes what it likes - lengths, heads, columns, the index - and which arrive at the parsers.
 */
#include <stdlib.h>

#include "../../lib/store/cells_priv.h"
#include "../../lib/store/sieve_priv.h"

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

/* Accesses added up, of a block that comes three times: as many as there are, whether times are looked at or not. */
static uint64_t
sum_cells(const struct dict *d, const struct block_head *h, const uint8_t *body, bool by_service,
          int64_t span)
{
    static uint16_t values[KOBOLD_VALUES_MAX + 2];
    const struct log_file file = { .type = FILE_SEGMENT, .data = body, .size = h->body_size };
    const struct block_ref ref = { .head = *h };
    struct cells_block block[3] = { { &file, &ref, 0 }, { &file, &ref, 0 }, { &file, &ref, 0 } };
    struct cells_bounds bounds = { INT64_MAX, INT64_MIN };
    struct block_cells *cells = NULL;
    uint64_t n = 0;
    if (block_cells_begin(&cells, NULL, d, by_service, span) == 0) {
        block_cells_take(cells, block, 3, &bounds);
        CHECK(block[0].result == block[1].result && block[1].result == block[2].result);
        while (block_cells_next(cells, values, batch)) {
            check_batch(batch);
            for (uint32_t i = 0; i < batch->rows; i++) {
                CHECK(batch->cls[i] == BH_CLASS_ACCESS && batch->weight[i] > 0);
                n += batch->weight[i];
            }
        }
        CHECK(n <= 3ULL * h->rows && n % 3 == 0 && (n == 0 || block[0].result == 0));
    }
    block_cells_free(cells);
    return n;
}

static void
read_cells(const struct dict *d, const struct block_head *h, const uint8_t *body)
{
    for (unsigned by_service = 0; by_service < 2; by_service++) {
        const uint64_t n = sum_cells(d, h, body, by_service != 0, CELLS_NO_SPAN),
                       of_hours = sum_cells(d, h, body, by_service != 0, 3600000000000LL);
        CHECK(n == of_hours || block_open_codes(rows, d, h, body, true) != 0);
    }
}

/* A judge that wants some services, ports and countries, and knows nothing of others. */
static unsigned
any_truths(void *arg, const struct bh_facts *x)
{
    (void)arg;
    const uint64_t h =
        bh_mix64(x->service_ports ^ x->far_countries << 8, (uint64_t)x->proto << 8 | x->cls);
    return h % 5 == 0   ? BH_MAY_ALL
           : h % 5 == 1 ? BH_MAY_UNKNOWN
           : h % 5 == 2 ? BH_MAY_YES
                        : BH_MAY_NO;
}

/* Some of the rows: each is one that comes when all are read. */
static void
read_some(const struct dict *d, const struct block_head *h, const uint8_t *body, uint32_t want)
{
    static uint16_t values[KOBOLD_VALUES_MAX + 2];
    static uint8_t port_class[65536], country_class[65536], bits[SUMMARY_TERMS_MAX / 8 + 256];
    static struct summary_block block;
    struct bh_judge judge = { .country_class = country_class,
                              .port_class = port_class,
                              .country_classes = 1,
                              .port_classes = 2,
                              .truths = any_truths };
    uint32_t group[SUMMARY_TERMS_MAX], port[SUMMARY_TERMS_MAX];
    struct file_plan plan = { .has_summary = true, .country_class = country_class };
    struct summary *s = &plan.summary;
    struct sieve sieve = { 0 };
    port_class[80] = 1;
    for (; s->term_count < d->service_count; s->term_count++) {
        group[s->term_count] = d->group[d->service[s->term_count].group];
        port[s->term_count] = d->service[s->term_count].port;
    }
    for (uint32_t k = 0; k < d->group_count && s->term_count < SUMMARY_TERMS_MAX; k += 2) {
        group[s->term_count] = d->group[k];
        port[s->term_count++] = PORT_ANY;
    }
    s->service_count = d->service_count;
    s->country_count = d->country_count;
    s->group = group;
    s->port = port;
    s->terms = s->odd = s->countries = s->other_low = bits;
    s->block = &block;
    s->block_count = 1;
    uint64_t unknown;
    bool more;
    uint32_t n = 0;
    if (sieve_begin(&sieve, &plan, &judge, d, values) != 0) {
        return;
    }
    sieve_block(&sieve, 0, NULL, false);
    if (block_open_some(rows, d, h, body, want, &sieve, &unknown, &more) == 0) {
        while (block_next(rows, values, batch)) {
            check_batch(batch);
            n += batch->rows;
        }
        CHECK(n <= h->rows && (!rows->is_sieved || n + unknown <= h->rows));
    }
    sieve_done(&sieve);
}

static void
read_file(enum file_type type, const uint8_t *data, size_t size)
{
    struct log_file f = { .type = type };
    struct bh_error err = { 0 };
    if (log_file_parse(&f, data, size, &err) == 0) {
        struct summary s;
        if (log_file_summary(&f, &s) == 0) {
            CHECK(s.block_count == f.block_count);
            segsum_done(&s);
        }
        for (size_t k = 0; k < f.block_count && k < 64; k++) {
            struct dict d;
            if (log_file_dict(&f, f.block[k].dict, &d) == 0) {
                const uint8_t *body = f.data + f.block[k].body_at;
                read_block(&d, &f.block[k].head, body, BH_STORE_ALL);
                read_some(&d, &f.block[k].head, body, BH_STORE_ALL);
                read_some(&d, &f.block[k].head, body, 0);
                read_cells(&d, &f.block[k].head, body);
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
    read_some(&d, &h, body, BH_STORE_ALL & ~(unsigned)BH_STORE_QUOTES);
    read_cells(&d, &h, body);
    dict_done(&d);
}

/* ---- sums over what was changed --------------------------------------------------------------------------- */

static void
mend_dict(uint8_t *head, uint32_t head_size, const uint8_t *body, uint64_t body_size)
{
    const uint32_t size = head_size < 8 ? 0 : bh_get_le32(head);
    for (uint32_t at = 0, k = 0; at < size && 16 + 8ULL * k <= head_size; at += PIECE_SIZE, k++) {
        const uint32_t n = size - at < PIECE_SIZE ? size - at : PIECE_SIZE;
        if ((uint64_t)at + n <= body_size) {
            bh_put_le64(head + 8 + 8 * k, code_sum(body + at, n));
        }
    }
}

static void
mend_block(uint8_t *head, uint32_t head_size, const uint8_t *body, uint64_t body_size)
{
    for (uint32_t at = 36; at + 20 <= head_size; at += 20) {
        const uint64_t from = bh_get_le32(head + at + 4), n = bh_get_le32(head + at + 8);
        if (from + n <= body_size) {
            bh_put_le64(head + at + 12, code_sum(body + from, n));
        }
    }
}

static void
mend_summary(uint8_t *head, uint32_t head_size, const uint8_t *body, uint64_t body_size)
{
    const uint32_t size = head_size < 16 ? 0 : bh_get_le32(head + 4);
    if (head_size >= 16 && size <= body_size) {
        bh_put_le64(head + 8, code_sum(body, size));
    }
}

/* The size of a part of the index, and where it is; false: there is none. */
static bool
next_part(uint8_t *index, uint32_t size, uint32_t *at, uint8_t **ret, uint32_t *ret_size)
{
    if (*at > size || size - *at < 4) {
        return false;
    }
    *ret_size = bh_get_le32(index + *at);
    *ret = index + *at + 4;
    *at += 4;
    if (*ret_size > size - *at) {
        return false;
    }
    *at += *ret_size;
    return true;
}

static void
mend_index(uint8_t *file, size_t file_size, uint8_t *index, uint32_t size)
{
    uint32_t at = 16, part_size, dict_size;
    uint8_t *part, *dict;
    if (!next_part(index, size, &at, &part, &part_size) ||
        !next_part(index, size, &at, &part, &part_size) ||
        !next_part(index, size, &at, &dict, &dict_size) || size - at < 20) {
        return;
    }
    const uint64_t dict_at = bh_get_le64(index + at), dict_body = bh_get_le64(index + at + 8);
    if (dict_at <= file_size && dict_body <= file_size - dict_at) {
        mend_dict(dict, dict_size, file + dict_at, dict_body);
    }
    at += 20;
    while (size - at >= 20) {
        const uint64_t body_at = bh_get_le64(index + at), body = bh_get_le64(index + at + 8);
        at += 16;
        if (!next_part(index, size, &at, &part, &part_size)) {
            return;
        }
        if (body_at <= file_size && body <= file_size - body_at) {
            mend_block(part, part_size, file + body_at, body);
        }
    }
}

static void
mend_frame(uint8_t *file, size_t size, uint64_t at, uint32_t head_size, uint64_t body_size)
{
    uint8_t *p = file + at, *head = p + FRAME_SIZE;
    switch (bh_get_le16(p + 4)) {
    case FRAME_DICT:
        mend_dict(head, head_size, head + head_size, body_size);
        break;
    case FRAME_BLOCK:
        mend_block(head, head_size, head + head_size, body_size);
        break;
    case FRAME_SUMMARY:
        mend_summary(head, head_size, head + head_size, body_size);
        break;
    case FRAME_INDEX:
        mend_index(file, size, head, head_size);
        break;
    default:
        break;
    }
    bh_put_le64(p + 24, code_sum(head, head_size));
    bh_put_le64(p + 32, code_sum(p, 32));
}

static void
mend_sums(uint8_t *file, size_t size)
{
    static const uint8_t magic[4] = { 0xf7, 'B', 'H', 'F' };
    uint64_t at = FILE_HEADER_SIZE;
    if (size < FILE_HEADER_SIZE) {
        return;
    }
    bh_put_le64(file + 56, code_sum(file, 56));
    while (size - at >= FRAME_SIZE) {
        const uint64_t left = size - at - FRAME_SIZE;
        const uint32_t head = bh_get_le32(file + at + 8);
        const uint64_t body = bh_get_le64(file + at + 16);
        if (memcmp(file + at, magic, 4) != 0 || head > left || body > left - head) {
            at++;
            continue;
        }
        mend_frame(file, size, at, head, body);
        at += FRAME_SIZE + head + body;
    }
    if (size >= FILE_HEADER_SIZE + TRAILER_SIZE) {
        bh_put_le64(file + size - 8, code_sum(file + size - TRAILER_SIZE, 24));
    }
}

static void
read_mended(enum file_type type, const uint8_t *data, size_t size)
{
    uint8_t *file = malloc(size + 1);
    if (file != NULL) {
        memcpy(file, data, size);
        mend_sums(file, size);
        read_file(type, file, size);
    }
    free(file);
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
    switch (data[0] % 7) {
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
    case 5:
        read_mended(FILE_SEGMENT, data + 1, size - 1);
        break;
    case 6:
        read_mended(FILE_JOURNAL, data + 1, size - 1);
        break;
    default:
        read_block_of(data + 1, size - 1);
        break;
    }
    return 0;
}
