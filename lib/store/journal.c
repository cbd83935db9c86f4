/* SPDX-License-Identifier: BSD-2-Clause */
/* The journal: what came, once a second, as a dictionary and blocks of its own. */
#include "writer_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int
journal_open(struct bh_store_writer *w, uint64_t after, struct bh_error *err)
{
    char name[NAME_SIZE];
    uint8_t header[FILE_HEADER_SIZE], frame[FRAME_SIZE];
    struct bh_buf run = { 0 }, out = { 0 };
    name_put(name, w->sequence, FILE_JOURNAL);
    snprintf(w->journal_path, sizeof w->journal_path, "%s/%s", w->dir, name);
    w->journal_fd = open(w->journal_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (w->journal_fd < 0) {
        return write_failed(err, errno, w->journal_path);
    }
    w->journal_is_named = false;
    file_header_put(header, FILE_JOURNAL, w->sequence, w->sequence, after);
    run_put(&w->run, &run);
    frame_put(frame, FRAME_RUN, run.data, (uint32_t)run.len, 0);
    bh_buf_add(&out, header, sizeof header);
    for (unsigned copy = 0; copy < 2; copy++) { /* without it the rows are of nobody */
        bh_buf_add(&out, frame, sizeof frame);
        bh_buf_add(&out, run.data, run.len);
    }
    int r = out.failed ? bh_error_errno(err, ENOMEM, w->journal_path, "cannot write", "書けません")
                       : write_all(w->journal_fd, out.data, out.len, w->journal_path, err);
    w->journal_size = out.len;
    bh_buf_done(&run);
    bh_buf_done(&out);
    if (r != 0) { /* a journal without its beginning is worse than none */
        unlink(w->journal_path);
        close(w->journal_fd);
        w->journal_fd = -1;
    }
    return r;
}

static void
put_frame(struct bh_buf *out, enum frame_kind kind, const struct bh_buf *head,
          const struct bh_buf *body, uint64_t first_row)
{
    uint8_t frame[FRAME_SIZE];
    const size_t body_size = body == NULL ? 0 : body->len;
    frame_put_at(frame, kind, head->data, (uint32_t)head->len, body_size, (uint32_t)first_row);
    bh_buf_add(out, frame, sizeof frame);
    bh_buf_add(out, head->data, head->len);
    if (body_size > 0) {
        bh_buf_add(out, body->data, body_size);
    }
    out->failed |= head->failed | (body != NULL && body->failed);
}

/* Rows first..first + n of a chunk, with a dictionary of their own; first_row is counted in the journal. */
static int
put_rows(struct bh_store_writer *w, const struct chunk *c, uint32_t first, uint32_t n,
         uint64_t first_row, struct bh_buf *out)
{
    struct dict d = { 0 };
    struct bh_buf octets = { 0 }, head = { 0 }, body = { 0 };
    const struct chunk part = chunk_part(c, first, n);
    census_reset(&w->census);
    int r = census_add(&w->census, &w->open.terms, &part);
    r = r != 0 ? r : dict_build(&d, &w->open.terms, &w->census);
    if (r == 0) {
        dict_put(&d, &w->work.code, &octets);
        dict_frame_put(&octets, false, &head, &body);
        put_frame(out, FRAME_DICT, &head, &body, 0);
        head.len = body.len = 0;
        block_put(&d, &w->open.terms, &part, &w->work, &head, &body);
        put_frame(out, FRAME_BLOCK, &head, &body, first_row);
        dict_done(&d);
    }
    bh_buf_done(&octets);
    bh_buf_done(&head);
    bh_buf_done(&body);
    return r != 0 ? r : out->failed ? -ENOMEM : 0;
}

bool
is_open_knock(const struct chunk *c, uint32_t row)
{
    return c->outcome[row] == BH_OUTCOME_NONE && c->stream[row] == STREAM_KNOCK;
}

/* The outcomes of the rows from..to as far as they are known; `from` is counted in the journal. */
static void
put_verdicts(struct bh_store_writer *w, uint64_t from, uint64_t to, bh_store_verdict_fn *verdict,
             void *arg, struct bh_buf *out)
{
    uint8_t *v = malloc(BLOCK_ROWS);
    struct bh_buf head = { 0 };
    uint64_t first = w->base;
    if (v == NULL) {
        out->failed = true;
        return;
    }
    for (size_t k = 0; k < w->open.count; k++) {
        const struct chunk *c = w->open.chunk[k];
        const uint32_t a =
            from > first ? (uint32_t)(from - first < c->rows ? from - first : c->rows) : 0;
        const uint32_t z = to > first ? (uint32_t)(to - first < c->rows ? to - first : c->rows) : 0;
        for (uint32_t i = a; i < z; i++) {
            const bool open = is_open_knock(c, i);
            v[i - a] = open && verdict != NULL
                           ? (uint8_t)verdict(arg, c->connection[i], c->ts_ns[i])
                       : c->outcome[i] != 0 ? c->outcome[i]
                                            : (uint8_t)VERDICT_NONE;
        }
        if (z > a) {
            head.len = 0;
            code_put64(&head, first + a - w->base);
            code_put32(&head, z - a);
            code_put_octets(&w->work.code, &head, v, z - a);
            put_frame(out, FRAME_VERDICTS, &head, NULL, 0);
        }
        first += c->rows;
    }
    bh_buf_done(&head);
    free(v);
}

/* Everything that came into the journal. */
int
journal_flush(struct bh_store_writer *w, uint64_t upto, bh_store_verdict_fn *verdict, void *arg,
              struct bh_error *err)
{
    struct bh_buf out = { 0 }, sums = { 0 };
    uint64_t first = w->base;
    int r = w->journal_fd >= 0 ? 0 : journal_open(w, 0, err);
    if (r != 0) {
        return r;
    }
    for (size_t k = 0; k < w->open.count && r == 0; k++) {
        const struct chunk *c = w->open.chunk[k];
        const uint64_t from = w->flushed > first ? w->flushed : first,
                       to = first + c->rows < upto ? first + c->rows : upto;
        if (from < to) {
            r = put_rows(w, c, (uint32_t)(from - first), (uint32_t)(to - from), from - w->base,
                         &out);
        }
        first += c->rows;
    }
    put_verdicts(w, w->judged > w->base ? w->judged : w->base, upto, verdict, arg, &out);
    sums_put(&w->sums, &sums);
    if (sums.len > 0) {
        put_frame(&out, FRAME_SUMS, &sums, NULL, 0);
    }
    if (r != 0 || out.failed) {
        r = bh_error_errno(err, ENOMEM, w->journal_path, "cannot write", "書けません");
    } else {
        r = write_all(w->journal_fd, out.data, out.len, w->journal_path, err);
        if (r != 0) { /* what is half there goes again; readers take it for torn anyway */
            if (ftruncate(w->journal_fd, (off_t)w->journal_size) != 0 ||
                lseek(w->journal_fd, (off_t)w->journal_size, SEEK_SET) < 0) {
                w->failed = true;
            }
        } else {
            w->journal_size += out.len;
            w->flushed = upto;
            w->judged = w->settled < upto ? w->settled : upto;
        }
    }
    bh_buf_done(&sums);
    bh_buf_done(&out);
    return r;
}

int
journal_sync(struct bh_store_writer *w, struct bh_error *err)
{
    /* After an error the kernel may have dropped what it could not write, and say nothing the next time. */
    int r = fdatasync(w->journal_fd) == 0 ? 0 : write_failed(err, errno, w->journal_path);
    if (r == 0 && !w->journal_is_named) {
        r = sync_dir(w->dir, err);
        w->journal_is_named = r == 0;
    }
    w->failed |= r != 0;
    return r;
}
