/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing segments. */
#include "file_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void
dict_frame_put(const struct bh_buf *dict, bool parity, struct bh_buf *head, struct bh_buf *body)
{
    const uint32_t size = (uint32_t)dict->len, pieces = (size + PIECE_SIZE - 1) / PIECE_SIZE;
    const uint8_t *p = (const uint8_t *)dict->data;
    code_put32(head, size);
    code_put32(head, pieces);
    for (uint32_t k = 0; k < pieces; k++) {
        const uint32_t at = k * PIECE_SIZE, n = size - at < PIECE_SIZE ? size - at : PIECE_SIZE;
        code_put64(head, code_sum(p + at, n));
    }
    bh_buf_add(body, p, size);
    for (uint32_t group = 0; parity && group < (pieces + PARITY_OF - 1) / PARITY_OF; group++) {
        uint8_t made[PIECE_SIZE] = { 0 };
        const uint32_t first = group * PARITY_OF * PIECE_SIZE;
        for (uint32_t i = first; i < size && i < first + PARITY_OF * PIECE_SIZE; i++) {
            made[i % PIECE_SIZE] ^= p[i];
        }
        const uint32_t length = size - first < PIECE_SIZE ? size - first : PIECE_SIZE;
        code_put64(head, code_sum(made, length));
        bh_buf_add(body, made, length);
    }
    head->failed |= dict->failed;
}

/* ---- segments ------------------------------------------------------------------------------------------ */

static int
out_flush(struct segment_out *o, struct bh_error *err)
{
    if (o->buffer.failed) {
        return bh_error_errno(err, ENOMEM, o->path, "cannot write", "書けません");
    }
    int r = write_all(o->fd, o->buffer.data, o->buffer.len, o->path, err);
    o->at += o->buffer.len;
    o->buffer.len = 0;
    return r;
}

static void
out_frame(struct segment_out *o, enum frame_kind kind, const struct bh_buf *head,
          uint64_t body_size)
{
    uint8_t frame[FRAME_SIZE];
    frame_put(frame, kind, head->data, (uint32_t)head->len, body_size);
    bh_buf_add(&o->buffer, frame, sizeof frame);
    bh_buf_add(&o->buffer, head->data, head->len);
    o->buffer.failed |= head->failed;
}

static void
index_part(struct segment_out *o, const struct bh_buf *part)
{
    code_put32(&o->index, (uint32_t)part->len);
    bh_buf_add(&o->index, part->data == NULL ? "" : part->data, part->len);
}

int
segment_begin(struct segment_out *o, const char *dir, uint64_t first, uint64_t last,
              const struct bh_store_run *run, const struct bh_store_sums *sums,
              const struct dict *d, struct code_work *w, struct bh_error *err)
{
    char name[NAME_SIZE];
    uint8_t header[FILE_HEADER_SIZE];
    *o = (struct segment_out){ .fd = -1, .first_sequence = first, .last_sequence = last };
    name_put(name, first, FILE_UNFINISHED);
    snprintf(o->path, sizeof o->path, "%s/%s", dir, name);
    o->fd = open(o->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (o->fd < 0) {
        return write_failed(err, errno, o->path);
    }
    struct bh_buf run_text = { 0 }, sums_text = { 0 }, dict_octets = { 0 }, head = { 0 },
                  body = { 0 };
    code_segment_begin(w);
    file_header_put(header, FILE_SEGMENT, first, last, 0);
    bh_buf_add(&o->buffer, header, sizeof header);
    run_put(run, &run_text);
    sums_put(sums, &sums_text);
    if (sums_text.len == 0) {
        bh_buf_puts(&sums_text, "\n");
    }
    out_frame(o, FRAME_RUN, &run_text, 0);
    dict_put(d, w, &dict_octets);
    dict_frame_put(&dict_octets, true, &head, &body);
    out_frame(o, FRAME_DICT, &head, body.len);
    code_put64(&o->index, first);
    code_put64(&o->index, last);
    index_part(o, &run_text);
    index_part(o, &sums_text);
    index_part(o, &head);
    code_put64(&o->index, o->at + o->buffer.len);
    code_put64(&o->index, body.len);
    o->blocks_at = o->index.len;
    code_put32(&o->index, 0);
    bh_buf_add(&o->buffer, body.data, body.len);
    o->buffer.failed |= body.failed;
    out_frame(o, FRAME_SUMS, &sums_text, 0);
    bh_buf_done(&run_text);
    bh_buf_done(&sums_text);
    bh_buf_done(&dict_octets);
    bh_buf_done(&head);
    bh_buf_done(&body);
    return out_flush(o, err);
}

int
segment_block(struct segment_out *o, const struct dict *d, const struct terms *t,
              const struct chunk *c, struct block_work *w, struct bh_error *err)
{
    /* kept: their pages cost more than their octets */
    struct bh_buf *head = &w->head, *body = &w->body;
    code_empty(head);
    code_empty(body);
    block_put(d, t, c, w, head, body);
    out_frame(o, FRAME_BLOCK, head, body->len);
    code_put64(&o->index, o->at + o->buffer.len);
    code_put64(&o->index, body->len);
    index_part(o, head);
    o->index.failed |= head->failed;
    bh_buf_add(&o->buffer, body->data, body->len);
    o->buffer.failed |= body->failed;
    o->blocks++;
    o->rows += c->rows;
    int r = o->rollup != NULL ? 0 : rollup_begin(d, t, &o->rollup);
    r = r != 0 ? r : rollup_add(o->rollup, c);
    r = r != 0 || o->summary != NULL ? r : segsum_begin(d, t, &o->summary);
    r = r != 0 ? r : segsum_add(o->summary, c, w);
    return r != 0 ? bh_error_errno(err, ENOMEM, o->path, "cannot write", "書けません")
                  : out_flush(o, err);
}

/* Of what a segment takes without it. */
#define ROLLUP_SHARE 5U

/* Behind the blocks, and its head in the index too. */
void
segment_rollup(struct segment_out *o, const struct bh_buf *head, const struct bh_buf *body)
{
    out_frame(o, FRAME_ROLLUP, head, body->len);
    index_part(o, head);
    code_put64(&o->index, o->at + o->buffer.len);
    code_put64(&o->index, body->len);
    bh_buf_add(&o->buffer, body->data == NULL ? "" : body->data, body->len);
    o->buffer.failed |= body->failed;
}

static int
put_rollup(struct segment_out *o, struct code_work *w)
{
    struct bh_buf head = { 0 }, body = { 0 };
    int r = o->rollup == NULL ? 0 : rollup_end(o->rollup, o->at / ROLLUP_SHARE, w, &head, &body);
    rollup_free(o->rollup);
    o->rollup = NULL;
    if (r == 0 && head.len > 0) {
        segment_rollup(o, &head, &body);
    }
    bh_buf_done(&head);
    bh_buf_done(&body);
    return r;
}

static int
put_summary(struct segment_out *o, struct code_work *w)
{
    struct bh_buf head = { 0 }, body = { 0 };
    int r = o->summary == NULL ? 0 : segsum_end(o->summary, w, &head, &body);
    segsum_free(o->summary);
    o->summary = NULL;
    if (r == 0 && head.len > 0) {
        out_frame(o, FRAME_SUMMARY, &head, body.len);
        index_part(o, &head);
        code_put64(&o->index, o->at + o->buffer.len);
        code_put64(&o->index, body.len);
        bh_buf_add(&o->buffer, body.data == NULL ? "" : body.data, body.len);
        o->buffer.failed |= body.failed;
    }
    bh_buf_done(&head);
    bh_buf_done(&body);
    return r;
}

int
segment_end(struct segment_out *o, struct code_work *w, struct bh_error *err)
{
    static const uint8_t magic_end[8] = { 0x89, 'B', 'H', 'E', '\r', '\n', 0x1a, '\n' };
    uint8_t trailer[TRAILER_SIZE] = { 0 };
    if (put_rollup(o, w) != 0 || put_summary(o, w) != 0 || o->index.failed) {
        return bh_error_errno(err, ENOMEM, o->path, "cannot write", "書けません");
    }
    bh_put_le32((uint8_t *)o->index.data + o->blocks_at, o->blocks);
    memcpy(trailer, magic_end, 8);
    bh_put_le64(trailer + 8, o->at + o->buffer.len);
    bh_put_le64(trailer + 16, o->rows);
    bh_put_le64(trailer + 24, code_sum(trailer, 24));
    out_frame(o, FRAME_INDEX, &o->index, 0);
    bh_buf_add(&o->buffer, trailer, sizeof trailer);
    int r = out_flush(o, err);
    if (r == 0 && fdatasync(o->fd) != 0) {
        r = write_failed(err, errno, o->path);
    }
    return r;
}

int
segment_place(struct segment_out *o, const char *dir, struct bh_error *err)
{
    char name[NAME_SIZE];
    name_put(name, o->first_sequence, FILE_SEGMENT);
    return segment_place_as(o, dir, name, err);
}

int
segment_place_as(struct segment_out *o, const char *dir, const char *name, struct bh_error *err)
{
    char path[sizeof o->path];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (close(o->fd) != 0) {
        o->fd = -1;
        return write_failed(err, errno, o->path);
    }
    o->fd = -1;
    if (rename(o->path, path) != 0) {
        return write_failed(err, errno, path);
    }
    o->path[0] = '\0';
    return sync_dir(dir, err);
}

void
segment_drop(struct segment_out *o)
{
    if (o->fd >= 0) {
        close(o->fd);
    }
    if (o->path[0] != '\0') {
        unlink(o->path);
    }
    bh_buf_done(&o->index);
    bh_buf_done(&o->buffer);
    rollup_free(o->rollup);
    segsum_free(o->summary);
    o->rollup = NULL;
    o->summary = NULL;
    o->fd = -1;
    o->path[0] = '\0';
}
