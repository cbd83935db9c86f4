/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sealing: the first chunks of the open rows become a segment, which then takes the place of its journal.
 *
 * The first part takes as long as taking the rows took, and only reads: so it may be done by a thread of its
 * own, while rows come in. What it reads does not change - chunks are complete and settled, tables only grow
 * (terms_reach()). The second part is short, and belongs to who writes. Rows count as not sealed until then,
 * so flushes take them too when that lasts.
 *
 * What is sealed does not depend on when a thread is done: segments begin and end at the same rows.
 */
#include "writer_priv.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- chunks --------------------------------------------------------------------------------------------- */

bool
chunk_is_complete(const struct bh_store_writer *w, size_t chunk)
{
    return chunk + 1 < w->open.count || w->open.chunk[chunk]->rows == BLOCK_ROWS;
}

/* Where bh_store_settle() goes on. */
static void
find_settled(struct bh_store_writer *w)
{
    uint64_t left = w->settled - w->base;
    w->settle_chunk = 0;
    while (w->settle_chunk < w->open.count) {
        const uint32_t rows = w->open.chunk[w->settle_chunk]->rows;
        if (left < rows || !chunk_is_complete(w, w->settle_chunk)) {
            break;
        }
        left -= rows;
        w->settle_chunk++;
    }
    w->settle_row = (uint32_t)left;
}

/* ---- into its place --------------------------------------------------------------------------------------- */

/* `forget`: the tables have grown, and forget what is sealed, as if when there were `rows`, the writer's, in all. Drops
 * `out` when it fails. */
static int
place(struct bh_store_writer *w, size_t chunks, bool forget, uint64_t rows, struct segment_out *out,
      struct bh_error *err)
{
    uint64_t sealed = 0;
    for (size_t k = 0; k < chunks; k++) {
        sealed += w->open.chunk[k]->rows;
    }
    if (forget && terms_keep(&w->open.terms, w->open.chunk + chunks, w->open.count - chunks,
                             rows - w->base - sealed) != 0) {
        segment_drop(out);
        return bh_error_errno(err, ENOMEM, w->dir, "cannot write", "書けません");
    }
    const int old_fd = w->journal_fd; /* from here on an error leaves memory and files apart */
    const uint64_t old = w->sequence++, announced = w->flushed;
    int r = 0;
    rows_forget(&w->open, chunks);
    if (forget) {
        dict_plain_done(&w->journal.plain);
    }
    w->base += sealed;
    w->flushed = w->base;
    w->judged = w->judged > w->base ? w->judged : w->base;
    w->journal_fd = -1;
    w->journal.unsaid = w->base;
    find_settled(w);
    if (announced > w->base) { /* before the old journal goes */
        w->judged = w->base;
        r = journal_open(w, old, err);
        r = r != 0 ? r : journal_flush(w, announced, NULL, NULL, err);
        r = r != 0 ? r : journal_sync(w, err);
    }
    r = r != 0 ? r : segment_place(out, w->dir, err);
    segment_drop(out);
    if (old_fd >= 0) {
        close(old_fd);
        r = r != 0 ? r : unlink_file(w->dir, old, FILE_JOURNAL, err);
    }
    w->failed |= r != 0;
    if (r == 0 && (w->keep_ns > 0 || w->keep_bytes > 0)) {
        struct bh_store_done done;
        r = retain_files(w->dir, w->keep_ns, w->keep_bytes, &done, err);
    }
    return r;
}

/* Tables stay from one segment to the next: most sources come again, and need not be looked up in the database
 * again. Shall they forget these chunks when they are sealed? When one has an entry for every second row of a
 * segment (about 60 octets each), and half of them can go: that takes a walk of all the rows behind, and in a
 * flood of new sources far more wait for their verdicts than are sealed at a time. */
static bool
shall_forget(const struct bh_store_writer *w, size_t chunks)
{
    const uint64_t most = rows_largest_table(&w->open);
    uint64_t left = w->rows - w->base;
    for (size_t k = 0; k < chunks; k++) {
        left -= w->open.chunk[k]->rows;
    }
    return most > (uint64_t)w->segment_blocks * BLOCK_ROWS / 2 && most / 2 >= left;
}

int
seal_now(struct bh_store_writer *w, size_t chunks, struct bh_error *err)
{
    struct segment_out out;
    const bool forget = shall_forget(w, chunks);
    int r =
        rows_seal(&w->open, chunks, w->dir, w->sequence, &w->run, &w->sums, &w->work, &out, err);
    return r != 0 ? r : place(w, chunks, forget, w->rows, &out, err);
}

/* ---- by a thread of its own --------------------------------------------------------------------------------- */

struct sealer {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum { SEALER_IDLE, SEALER_ASKED, SEALER_DONE } state;
    bool has_thread, ends;
    /* what is asked of it; who writes keeps off while it is */
    struct open_rows rows; /* a view: chunks and tables are the writer's */
    size_t chunks, chunk_cap;
    const char *dir;
    uint64_t sequence;
    bool forget;
    uint64_t known; /* rows, when it was asked */
    const struct bh_store_run *run;
    struct bh_store_sums sums;
    struct block_work work;
    /* what became of it */
    struct segment_out out;
    struct bh_error error;
    int result;
};

static void *
sealer_run(void *arg)
{
    struct sealer *s = arg;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (s->state != SEALER_ASKED && !s->ends) {
            pthread_cond_wait(&s->changed, &s->lock);
        }
        if (s->state != SEALER_ASKED) {
            break;
        }
        pthread_mutex_unlock(&s->lock);
        s->error = (struct bh_error){ 0 };
        s->result = rows_seal(&s->rows, s->chunks, s->dir, s->sequence, s->run, &s->sums, &s->work,
                              &s->out, &s->error);
        pthread_mutex_lock(&s->lock);
        s->state = SEALER_DONE;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int
sealer_new(struct sealer **ret_sealer)
{
    struct sealer *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    int r = block_work_init(&s->work);
    r = r != 0 ? r : -pthread_create(&s->thread, NULL, sealer_run, s);
    s->has_thread = r == 0;
    if (r != 0) {
        sealer_free(s);
        return r;
    }
    *ret_sealer = s;
    return 0;
}

/* A segment that is not in its place yet goes: whoever wants it waits for it before. */
void
sealer_free(struct sealer *s)
{
    if (s == NULL) {
        return;
    }
    if (s->has_thread) {
        pthread_mutex_lock(&s->lock);
        s->ends = true;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->thread, NULL);
    }
    if (s->state == SEALER_DONE && s->result == 0) {
        segment_drop(&s->out);
    }
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->changed);
    block_work_done(&s->work);
    bh_store_sums_done(&s->sums);
    free(s->rows.chunk);
    free(s);
}

static int
hand_over(struct bh_store_writer *w, size_t chunks, struct bh_error *err)
{
    struct sealer *s = w->sealer;
    struct bh_store_sums sums = { 0 };
    struct chunk **list = s->rows.chunk;
    if (chunks > s->chunk_cap) {
        list = realloc(list, chunks * sizeof *list);
        s->rows.chunk = list != NULL ? list : s->rows.chunk;
        s->chunk_cap = list != NULL ? chunks : s->chunk_cap;
    }
    if (list == NULL || bh_store_sums_add(&sums, &w->sums) != 0) {
        return bh_error_errno(err, ENOMEM, w->dir, "cannot write", "書けません");
    }
    bh_store_sums_done(&s->sums);
    s->sums = sums;
    s->rows.terms = w->open.terms;
    memcpy(list, w->open.chunk, chunks * sizeof *list);
    s->rows.count = s->chunks = chunks;
    s->dir = w->dir;
    s->sequence = w->sequence;
    s->run = &w->run;
    /* now: what is sealed must not depend on when it is done */
    s->forget = shall_forget(w, chunks);
    s->known = w->rows;
    w->open.terms.is_read = true;
    w->handed_over = chunks;
    pthread_mutex_lock(&s->lock);
    s->state = SEALER_ASKED;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return 0;
}

int
seal_take_back(struct bh_store_writer *w, bool wait, struct bh_error *err)
{
    struct sealer *s = w->sealer;
    if (w->handed_over == 0) {
        return 0;
    }
    pthread_mutex_lock(&s->lock);
    while (s->state == SEALER_ASKED && wait) {
        pthread_cond_wait(&s->changed, &s->lock);
    }
    const bool done = s->state == SEALER_DONE;
    s->state = done ? SEALER_IDLE : s->state;
    pthread_mutex_unlock(&s->lock);
    if (!done) {
        return 0;
    }
    const size_t chunks = w->handed_over;
    w->handed_over = 0;
    terms_release(&w->open.terms);
    if (s->result != 0 && err != NULL) {
        *err = s->error;
    }
    return s->result != 0 ? s->result : place(w, chunks, s->forget, s->known, &s->out, err);
}

/* ---- when ------------------------------------------------------------------------------------------------------ */

/* How many settled chunks, behind those that are being sealed, make a segment; 0: there are not enough. Small ones
 * come when batches change their kind. */
static size_t
full_segment(const struct bh_store_writer *w)
{
    const size_t end = w->settle_chunk < w->open.count ? w->settle_chunk : w->open.count;
    const size_t from = w->handed_over, most = 16UL * w->segment_blocks;
    const uint64_t enough = (uint64_t)w->segment_blocks * BLOCK_ROWS;
    uint64_t rows = 0;
    size_t k = 0;
    if (end < from + w->segment_blocks) {
        return 0;
    }
    while (from + k < end && k < most && rows < enough) {
        rows += w->open.chunk[from + k++]->rows;
    }
    return rows >= enough || k >= most ? k : 0;
}

/* To seal here takes a while, and what came before must not wait for that in memory only; at full speed,
 * when that is as much as is sealed, it may wait a little. */
static int
flush_before(struct bh_store_writer *w, struct bh_error *err)
{
    const uint64_t waiting = w->rows - bh_store_flushed(w);
    if (!w->any_tick || waiting == 0 ||
        (waiting > BLOCK_ROWS && w->now_ns - w->flush_ns < FLUSH_NS / 10 * 9)) {
        return 0;
    }
    w->flush_ns = w->now_ns;
    return journal_flush(w, w->rows, NULL, NULL, err);
}

int
seal_when_full(struct bh_store_writer *w, struct bh_error *err)
{
    int r = seal_take_back(w, false, err);
    const size_t chunks = r == 0 ? full_segment(w) : 0;
    if (chunks > 0) {
        const bool beside = w->sealer != NULL;
        r = beside ? 0 : flush_before(w, err);
        r = r != 0 ? r : seal_take_back(w, true, err);
        r = r != 0 ? r : beside ? hand_over(w, chunks, err) : seal_now(w, chunks, err);
    }
    w->seal_waits = r != 0;
    return r;
}
