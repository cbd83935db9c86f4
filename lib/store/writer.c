/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The writer. Rows wait in chunks until their verdicts are final (30 s of packet time) and there are
 * enough for a segment. Meanwhile what has come goes into the journal once a second, each time as a
 * dictionary and blocks of its own, with the verdicts that were found since: so a reader, or who
 * comes after a kill -9, has all that was flushed, as far as it was judged.
 *
 * A segment is written under another name, synced, and renamed; only then its journal goes. Rows of the
 * journal that were not sealed stand in the next journal before that, which says whose rows it goes on
 * with. Whatever moment the machine stops at, each row counts once (journal_counts()).
 */
#include "writer_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT_BLOCKS 16U
#define SYNC_NS 10000000000ULL
#define FLUSH_NS 1000000000LL

/* ---- opening --------------------------------------------------------------------------------------- */

static void
writer_free(struct bh_store_writer *w)
{
    rows_done(&w->open);
    block_work_done(&w->work);
    census_done(&w->census);
    bh_store_sums_done(&w->sums);
    if (w->journal_fd >= 0) {
        close(w->journal_fd);
    }
    if (w->lock_fd >= 0) {
        close(w->lock_fd);
    }
    free(w->dir);
    free(w);
}

int
bh_store_writer_open(const struct bh_store_writer_config *cfg, struct bh_store_writer **ret_writer,
                     struct bh_error *err)
{
    struct bh_store_writer *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return bh_error_errno(err, ENOMEM, cfg->dir, "cannot write", "書けません");
    }
    w->lock_fd = w->journal_fd = -1;
    w->run = cfg->run;
    w->countries = cfg->countries;
    w->sync_ns = cfg->sync_ns != 0 ? cfg->sync_ns : SYNC_NS;
    w->segment_blocks = cfg->segment_blocks != 0 ? cfg->segment_blocks : asked_blocks() != 0 ? asked_blocks() : SEGMENT_BLOCKS;
    w->keep_ns = cfg->keep_ns;
    w->keep_bytes = cfg->keep_bytes;
    w->key = bh_random_key();
    w->dir = strdup(cfg->dir);
    if (cfg->countries != NULL) {
        struct kobold_meta m;
        kobold_get_meta(cfg->countries, &m);
        memcpy(w->run.country_name, m.name, sizeof w->run.country_name);
        memcpy(w->run.country_date, m.date, sizeof m.date);
        memcpy(w->run.country_licence, m.licence, sizeof w->run.country_licence);
        w->run.country_id = m.id;
    }
    int r = w->dir == NULL || block_work_init(&w->work) != 0 ||
                    rows_init(&w->open, cfg->countries, w->key) != 0
                ? bh_error_errno(err, ENOMEM, cfg->dir, "cannot write", "書けません")
                : 0;
    r = r != 0 ? r : make_dir(w->dir, err);
    r = r != 0 ? r : refuse_copy(w->dir, err);
    r = r != 0 ? r : lock_dir(w->dir, &w->lock_fd, err);
    r = r != 0 ? r : recover_journals(w->dir, w->key, &w->work, &w->sequence, err);
    if (r != 0) {
        writer_free(w);
        return r;
    }
    struct stat lock;
    if (w->run.id == 0 && fstat(w->lock_fd, &lock) == 0) {
        /* Another one for each writing and each log, also where tests hold the dice. */
        w->run.id = bh_mix64(bh_random_key() ^ (uint64_t)getpid() ^ (uint64_t)lock.st_ino << 20,
                             (uint64_t)w->run.first_ns ^ w->sequence << 32);
    }
    *ret_writer = w;
    return 0;
}

/* ---- sealing --------------------------------------------------------------------------------------------- */

/* What was not sealed becomes the rows of the next segment. */
static int
carry_rows(struct bh_store_writer *w, size_t sealed, struct open_rows *ret)
{
    int r = rows_init(ret, w->countries, w->key);
    for (size_t k = sealed; k < w->open.count && r == 0; k++) {
        const struct chunk *from = w->open.chunk[k];
        struct chunk *to = rows_new_chunk(ret, from->flags);
        r = to == NULL ? -ENOMEM : chunk_move(to, &ret->terms, from, &w->open.terms, 0, from->rows);
    }
    return r;
}

/* No more rows come into it. */
static bool
is_complete(const struct bh_store_writer *w, size_t chunk)
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
        if (left < rows || !is_complete(w, w->settle_chunk)) {
            break;
        }
        left -= rows;
        w->settle_chunk++;
    }
    w->settle_row = (uint32_t)left;
}

static int
seal(struct bh_store_writer *w, size_t chunks, struct bh_error *err)
{
    struct segment_out out;
    struct open_rows next;
    uint64_t sealed = 0;
    const bool anew = rows_are_many(&w->open);
    for (size_t k = 0; k < chunks; k++) {
        sealed += w->open.chunk[k]->rows;
    }
    int r =
        rows_seal(&w->open, chunks, w->dir, w->sequence, &w->run, &w->sums, &w->work, &out, err);
    if (r != 0) {
        return r;
    }
    if (anew && carry_rows(w, chunks, &next) != 0) {
        segment_drop(&out);
        rows_done(&next);
        return bh_error_errno(err, ENOMEM, w->dir, "cannot write", "書けません");
    }
    const int old_fd = w->journal_fd; /* from here on an error leaves memory and files apart */
    const uint64_t old = w->sequence++, announced = w->flushed;
    if (anew) {
        rows_done(&w->open);
        w->open = next;
    } else {
        rows_forget(&w->open, chunks);
    }
    w->base += sealed;
    w->flushed = w->base;
    w->judged = w->judged > w->base ? w->judged : w->base;
    w->journal_fd = -1;
    find_settled(w);
    if (announced > w->base) { /* before the old journal goes */
        w->judged = w->base;
        r = journal_open(w, old, err);
        r = r != 0 ? r : journal_flush(w, announced, NULL, NULL, err);
        r = r != 0 ? r : journal_sync(w, err);
    }
    r = r != 0 ? r : segment_place(&out, w->dir, err);
    segment_drop(&out);
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

/* Enough settled chunks for a segment? Small ones come when batches change their kind. */
static int
seal_when_full(struct bh_store_writer *w, struct bh_error *err)
{
    const size_t settled = w->settle_chunk < w->open.count ? w->settle_chunk : w->open.count;
    if (settled < w->segment_blocks) {
        return 0;
    }
    uint64_t rows = 0;
    size_t k = 0;
    while (k < settled && k < 16UL * w->segment_blocks &&
           rows < (uint64_t)w->segment_blocks * BLOCK_ROWS) {
        rows += w->open.chunk[k++]->rows;
    }
    const bool full =
        rows >= (uint64_t)w->segment_blocks * BLOCK_ROWS || k >= 16UL * w->segment_blocks;
    if (!full) {
        return 0;
    }
    /* To seal takes a while, and what came before must not wait for that in memory only; at full speed,
     * when that is as much as is sealed, it may wait a little. */
    int r = 0;
    const uint64_t waiting = w->rows - (w->flushed > w->base ? w->flushed : w->base);
    if (w->any_tick && waiting > 0 &&
        (waiting <= BLOCK_ROWS || w->now_ns - w->flush_ns >= FLUSH_NS / 10 * 9)) {
        r = journal_flush(w, w->rows, NULL, NULL, err);
        w->flush_ns = w->now_ns;
    }
    r = r != 0 ? r : seal(w, k, err);
    w->seal_waits = r != 0;
    return r;
}

/* What is said again and again after an error that cannot be mended. */
static int
end_with(struct bh_store_writer *w, int r, struct bh_error *err)
{
    struct bh_error none = { 0 };
    if (w->failed && w->error.code == 0) {
        w->error = err != NULL ? *err : none;
        w->error.code = r;
    }
    return r;
}

static int
say_failed(const struct bh_store_writer *w, struct bh_error *err)
{
    if (err != NULL) {
        *err = w->error;
    }
    return w->error.code;
}

/* ---- what is called -------------------------------------------------------------------------------------- */

int
bh_store_write(struct bh_store_writer *w, const struct bh_batch *b, struct bh_error *err)
{
    const uint32_t lacks =
        w->run.lean ? BH_LACK_SEQ | BH_LACK_IP_ID | BH_LACK_WINDOW | BH_LACK_OPTIONS : 0;
    if (w->failed) {
        return say_failed(w, err);
    }
    if (w->seal_waits) {
        return bh_error_set(err, -EAGAIN, w->dir, "waits until there is room to write",
                            "書き込めるようになるのを待っています");
    }
    if (w->rows - w->base > JOURNAL_ROWS_MAX - 2 * BLOCK_ROWS) {
        return bh_error_set(
            err, BH_ELIMIT, w->dir, "%u records wait for their verdicts, no more can",
            "判定待ちの記録が %u 件あり、これ以上は待てません", JOURNAL_ROWS_MAX - 2 * BLOCK_ROWS);
    }
    int r = seal_when_full(w, err);
    if (r == 0 && rows_add(&w->open, b, lacks, NULL) != 0) {
        r = bh_error_errno(err, ENOMEM, w->dir, "cannot write", "書けません");
        w->failed = true; /* some of the batch may have been added */
    }
    w->rows += r == 0 ? b->rows : 0;
    return end_with(w, r, err);
}

void
bh_store_settle(struct bh_store_writer *w, uint64_t rows, bh_store_verdict_fn *verdict, void *arg)
{
    rows = rows < w->rows ? rows : w->rows;
    while (w->settled < rows && w->settle_chunk < w->open.count) {
        struct chunk *c = w->open.chunk[w->settle_chunk];
        const uint64_t left = rows - w->settled;
        const uint32_t end =
            left < c->rows - w->settle_row ? w->settle_row + (uint32_t)left : c->rows;
        for (uint32_t i = w->settle_row; i < end && verdict != NULL; i++) {
            if (is_open_knock(c, i)) {
                c->outcome[i] = (uint8_t)verdict(arg, c->connection[i], c->ts_ns[i]);
            }
        }
        w->settled += end - w->settle_row;
        w->settle_row = end;
        if (end < c->rows || !is_complete(w, w->settle_chunk)) {
            break;
        }
        w->settle_chunk++;
        w->settle_row = 0;
    }
}

int
bh_store_tick(struct bh_store_writer *w, int64_t now_ns, const struct bh_store_sums *sums,
              bh_store_verdict_fn *verdict, void *arg, struct bh_error *err)
{
    if (!w->any_tick) {
        w->any_tick = true;
        w->flush_ns = w->synced_ns = now_ns;
    }
    if (now_ns <
        w->now_ns) { /* it should only go forward; when it does not, nothing may wait for it */
        w->flush_ns = now_ns - FLUSH_NS;
        w->synced_ns = now_ns - (int64_t)w->sync_ns;
    }
    w->now_ns = now_ns;
    if (w->failed) {
        return say_failed(w, err);
    }
    if (now_ns - w->flush_ns < FLUSH_NS) {
        return 0;
    }
    w->flush_ns = now_ns;
    int r = check_lock(w->dir, w->lock_fd, err);
    w->failed = r != 0;
    if (sums != NULL) {
        struct bh_store_sums copy = { 0 };
        if (bh_store_sums_add(&copy, sums) != 0) {
            return bh_error_errno(err, ENOMEM, w->dir, "cannot write", "書けません");
        }
        bh_store_sums_done(&w->sums);
        w->sums = copy;
    }
    /* First what is small: when there is room for no segment, there may be for this. */
    if (r == 0 && (w->flushed < w->rows || w->judged < w->settled)) {
        r = journal_flush(w, w->rows, verdict, arg, err);
    }
    r = r != 0 ? r : seal_when_full(w, err);
    if (r == 0 && w->journal_fd >= 0 && (uint64_t)(now_ns - w->synced_ns) >= w->sync_ns) {
        w->synced_ns = now_ns;
        r = journal_sync(w, err);
    }
    return end_with(w, r, err);
}

uint64_t
bh_store_flushed(const struct bh_store_writer *w)
{
    return w->flushed > w->base ? w->flushed : w->base;
}

int
bh_store_writer_close(struct bh_store_writer *w, const struct bh_store_sums *sums,
                      struct bh_error *err)
{
    int r = 0;
    if (w == NULL) {
        return 0;
    }
    if (sums != NULL && !w->failed) {
        bh_store_sums_done(&w->sums);
        r = bh_store_sums_add(&w->sums, sums);
        bh_store_settle(w, w->rows, NULL, NULL);
        w->settle_chunk = w->open.count;
        do {
            const size_t chunks =
                w->open.count < w->segment_blocks ? w->open.count : w->segment_blocks;
            r = r != 0 ? r : seal(w, chunks, err);
        } while (r == 0 && w->open.count > 0);
        if (r != 0 && !w->failed && w->flushed < w->rows) {
            bh_ignore(
                journal_flush(w, w->rows, NULL, NULL, NULL)); /* `err` says why it is not sealed */
        }
    }
    writer_free(w);
    return r;
}
