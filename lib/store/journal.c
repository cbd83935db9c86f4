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
    struct journal_work *j = &w->journal;
    const struct dict *d = &j->plain.dict;
    const struct chunk part = chunk_part(c, first, n);
    int r = dict_plain_make(&j->plain, &w->open.terms, &part);
    if (r != 0) {
        return r;
    }
    code_empty(&j->dict);
    code_empty(&j->head);
    code_empty(&j->body);
    dict_put(d, &w->work.code, &j->dict);
    dict_frame_put(&j->dict, false, &j->head, &j->body);
    put_frame(out, FRAME_DICT, &j->head, &j->body, 0);
    code_empty(&j->head);
    code_empty(&j->body);
    block_put(d, &w->open.terms, &part, &w->work, &j->head, &j->body);
    put_frame(out, FRAME_BLOCK, &j->head, &j->body, first_row);
    return out->failed ? -ENOMEM : 0;
}

/* n verdicts from row `first` of the journal on; at both ends those that say nothing are left out. */
static void
put_verdict_frame(struct bh_store_writer *w, uint64_t first, const uint8_t *v, uint32_t n,
                  struct bh_buf *out)
{
    struct bh_buf *head = &w->journal.head;
    while (n > 0 && v[n - 1] == VERDICT_NONE) {
        n--;
    }
    while (n > 0 && *v == VERDICT_NONE) {
        v++;
        n--;
        first++;
    }
    if (n > 0) {
        code_empty(head);
        code_put64(head, first);
        code_put32(head, n);
        code_put_octets(&w->work.code, head, v, n);
        put_frame(out, FRAME_VERDICTS, head, NULL, 0);
    }
}

/* The outcomes of the rows from..to as far as they are known. */
static void
put_verdicts(struct bh_store_writer *w, uint64_t from, uint64_t to, bh_store_verdict_fn *verdict,
             void *arg, struct bh_buf *out)
{
    uint8_t *v = w->work.octet; /* as long as a chunk */
    uint64_t first = w->base;
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
        put_verdict_frame(w, first + a - w->base, v, z > a ? z - a : 0, out);
        first += c->rows;
    }
}

/* Outcomes that have become final since; and of what came lately those that are known by now. Most are
 * known within a second, the last after 30, so rows are asked again after 1, 2, 4 ... flushes: some five
 * times instead of thirty. */
static void
put_all_verdicts(struct bh_store_writer *w, uint64_t upto, bh_store_verdict_fn *verdict, void *arg,
                 struct bh_buf *out)
{
    struct journal_work *j = &w->journal;
    const uint64_t judged = w->judged > w->base ? w->judged : w->base;
    const unsigned turn = ++j->flushes, doublings = (unsigned)__builtin_ctz(turn | JOURNAL_TURNS);
    uint64_t again = j->upto[(turn - (1U << doublings)) % JOURNAL_TURNS];
    again = again < j->unsaid ? again : j->unsaid;
    again = again > judged ? again : judged;
    const uint64_t final = w->settled < again ? w->settled : again;
    put_verdicts(w, judged, final, NULL, NULL, out);
    put_verdicts(w, again, upto, verdict, arg, out);
}

/* What stands in the buffer, behind what the journal has; *ret_size: of what this flush wrote. */
static int
give(struct bh_store_writer *w, uint64_t *ret_size, struct bh_error *err)
{
    struct bh_buf *out = &w->journal.out;
    if (out->failed) {
        return bh_error_errno(err, ENOMEM, w->journal_path, "cannot write", "書けません");
    }
    int r = write_all(w->journal_fd, out->data, out->len, w->journal_path, err);
    *ret_size += out->len;
    code_empty(out);
    return r;
}

/* So much is put together before it is written: what stays in the cache. */
#define PIECE_WRITTEN (1UL << 19)

static int
put_all_rows(struct bh_store_writer *w, uint64_t upto, uint64_t *ret_size, struct bh_error *err)
{
    uint64_t first = w->base;
    int r = 0;
    for (size_t k = 0; k < w->open.count && r == 0; k++) {
        const struct chunk *c = w->open.chunk[k];
        const uint64_t from = w->flushed > first ? w->flushed : first,
                       to = first + c->rows < upto ? first + c->rows : upto;
        if (from < to) {
            r = put_rows(w, c, (uint32_t)(from - first), (uint32_t)(to - from), from - w->base,
                         &w->journal.out);
            r = r != 0 ? bh_error_errno(err, ENOMEM, w->journal_path, "cannot write", "書けません")
                       : 0;
        }
        if (r == 0 && w->journal.out.len >= PIECE_WRITTEN) {
            r = give(w, ret_size, err);
        }
        first += c->rows;
    }
    return r;
}

/* What was said of outcomes, once it is in the journal. */
static void
note_verdicts(struct bh_store_writer *w, uint64_t upto, bool asked)
{
    struct journal_work *j = &w->journal;
    if (!asked && w->run.outcomes) {
        j->unsaid = w->flushed < j->unsaid ? w->flushed : j->unsaid;
    } else {
        j->unsaid = UINT64_MAX;
    }
    w->judged = w->settled < upto ? w->settled : upto;
    j->upto[j->flushes % JOURNAL_TURNS] = upto;
}

/* Everything that came into the journal. */
int
journal_flush(struct bh_store_writer *w, uint64_t upto, bh_store_verdict_fn *verdict, void *arg,
              struct bh_error *err)
{
    struct journal_work *j = &w->journal;
    uint64_t size = 0;
    int r = w->journal_fd >= 0 ? 0 : journal_open(w, 0, err);
    if (r != 0) {
        return r;
    }
    code_empty(&j->out);
    code_empty(&j->sums);
    w->work.code.plain = true;
    r = put_all_rows(w, upto, &size, err);
    if (r == 0) {
        put_all_verdicts(w, upto, verdict, arg, &j->out);
        sums_put(&w->sums, &j->sums);
        if (j->sums.len > 0) {
            put_frame(&j->out, FRAME_SUMS, &j->sums, NULL, 0);
        }
        r = give(w, &size, err);
    }
    w->work.code.plain = false;
    if (r == 0) {
        note_verdicts(w, upto, verdict != NULL);
        w->journal_size += size;
        w->flushed = upto;
    } else if (ftruncate(w->journal_fd, (off_t)w->journal_size) != 0 ||
               lseek(w->journal_fd, (off_t)w->journal_size, SEEK_SET) < 0) {
        w->failed = true; /* else what is half there is gone; readers take it for torn anyway */
    }
    return r;
}

void
journal_work_done(struct journal_work *j)
{
    dict_plain_done(&j->plain);
    bh_buf_done(&j->dict);
    bh_buf_done(&j->head);
    bh_buf_done(&j->body);
    bh_buf_done(&j->out);
    bh_buf_done(&j->sums);
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
