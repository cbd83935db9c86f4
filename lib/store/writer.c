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
#define MANY_ROWS (4U * BLOCK_ROWS)

/* ---- opening --------------------------------------------------------------------------------------- */

static void
writer_free(struct bh_store_writer *w)
{
    sealer_free(w->sealer);
    rows_done(&w->open);
    block_work_done(&w->work);
    journal_work_done(&w->journal);
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
    w->segment_blocks = cfg->segment_blocks != 0 ? cfg->segment_blocks
                        : asked_blocks() != 0    ? asked_blocks()
                                                 : SEGMENT_BLOCKS;
    w->flush_all = cfg->flush_all;
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
    r = r != 0 ? r : lock_dir(w->dir, LOCK_OF_WRITER, &w->lock_fd, err);
    r = r != 0 ? r : recover_journals(w->dir, false, &w->work, &w->sequence, err);
    if (r == 0 && cfg->seal_beside && sealer_new(&w->sealer) != 0) {
        w->sealer = NULL; /* then it is done here */
    }
    if (r != 0) {
        writer_free(w);
        return r;
    }
    struct stat lock;
    if (w->run.id == 0 && cfg->run_key != 0 && fstat(w->lock_fd, &lock) == 0) {
        /* A sensor whose process is started again goes on with its run: its sums are those of all of it. */
        w->run.id = bh_mix64(cfg->run_key ^ (uint64_t)lock.st_ino << 20, (uint64_t)w->run.first_ns);
    } else if (w->run.id == 0 && fstat(w->lock_fd, &lock) == 0) {
        /* Another one for each writing and each log, also where tests hold the dice. */
        w->run.id = bh_mix64(bh_random_key() ^ (uint64_t)getpid() ^ (uint64_t)lock.st_ino << 20,
                             (uint64_t)w->run.first_ns ^ w->sequence << 32);
    }
    *ret_writer = w;
    return 0;
}

/* ---- what is called -------------------------------------------------------------------------------------- */

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
        if (end < c->rows || !chunk_is_complete(w, w->settle_chunk)) {
            break;
        }
        w->settle_chunk++;
        w->settle_row = 0;
    }
}

/* Has a row that is in no file been waiting for a second? It came behind the last mark that does not have it. */
static bool
waits_too_long(const struct bh_store_writer *w)
{
    const uint64_t safe = bh_store_flushed(w);
    int64_t since_ns = INT64_MIN;
    bool found = false;
    for (unsigned k = 0; k < MARKS && k < w->marks; k++) {
        const struct mark *m = &w->mark[k];
        if (m->rows <= safe) {
            since_ns = m->ns > since_ns ? m->ns : since_ns;
            found = true;
        }
    }
    return safe < w->rows && (!found || w->now_ns - since_ns >= FLUSH_NS);
}

/* Up to which row is to be flushed? When very many come at once, what came in the last half of a second may
 * wait: it will perhaps be sealed before a second is over, and then needs no journal. */
static uint64_t
rows_to_flush(const struct bh_store_writer *w)
{
    uint64_t rows = bh_store_flushed(w);
    /* sealing here flushes all before */
    if (w->sealer == NULL || w->flush_all || w->rows - rows <= MANY_ROWS) {
        return w->rows;
    }
    for (unsigned k = 0; k < MARKS && k < w->marks; k++) {
        const struct mark *m = &w->mark[k];
        rows = m->ns <= w->now_ns - FLUSH_NS / 2 && m->rows > rows ? m->rows : rows;
    }
    return rows;
}

static void
make_mark(struct bh_store_writer *w)
{
    const struct mark *last = &w->mark[(w->marks + MARKS - 1) % MARKS];
    if (w->marks == 0 || w->now_ns - last->ns >= FLUSH_NS / 8) {
        w->mark[w->marks % MARKS] = (struct mark){ w->now_ns, w->marks == 0 ? 0 : w->rows };
        w->marks++;
    }
}

/* Once a second: may it still write here, and what adds up. */
static int
look_around(struct bh_store_writer *w, const struct bh_store_sums *sums, struct bh_error *err)
{
    struct bh_store_sums copy = { 0 };
    w->checked_ns = w->now_ns;
    int r = check_lock(w->dir, w->lock_fd, err);
    w->failed |= r != 0;
    if (r != 0 || sums == NULL) {
        return r;
    }
    if (bh_store_sums_add(&copy, sums) != 0) {
        return bh_error_errno(err, ENOMEM, w->dir, "cannot write", "書けません");
    }
    bh_store_sums_done(&w->sums);
    w->sums = copy;
    return 0;
}

int
bh_store_tick(struct bh_store_writer *w, int64_t now_ns, const struct bh_store_sums *sums,
              bh_store_verdict_fn *verdict, void *arg, struct bh_error *err)
{
    if (!w->any_tick) {
        w->any_tick = true;
        w->flush_ns = w->synced_ns = w->checked_ns = now_ns;
    }
    /* it should only go forward; when it does not, nothing may wait for it */
    if (now_ns < w->now_ns) {
        w->flush_ns = w->checked_ns = now_ns - FLUSH_NS;
        w->synced_ns = now_ns - (int64_t)w->sync_ns;
        w->marks = 0;
    }
    const bool stepped_back = now_ns < w->now_ns;
    w->now_ns = now_ns;
    if (w->failed) {
        return say_failed(w, err);
    }
    int r = now_ns - w->checked_ns >= FLUSH_NS ? look_around(w, sums, err) : 0;
    /* First what is small: when there is room for no segment, there may be for this. Of what is in the journal
     * the outcomes too. */
    const uint64_t known = w->settled < w->flushed ? w->settled : w->flushed;
    if (r == 0 && (stepped_back || waits_too_long(w) || w->seal_waits ||
                   (w->judged < known && now_ns - w->flush_ns >= FLUSH_NS))) {
        w->flush_ns = now_ns;
        r = journal_flush(w, stepped_back ? w->rows : rows_to_flush(w), verdict, arg, err);
    }
    make_mark(w);
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
        r = r != 0 ? r : seal_take_back(w, true, err);
        bh_store_settle(w, w->rows, NULL, NULL);
        w->settle_chunk = w->open.count;
        do {
            const size_t chunks =
                w->open.count < w->segment_blocks ? w->open.count : w->segment_blocks;
            r = r != 0 ? r : seal_now(w, chunks, err);
        } while (r == 0 && w->open.count > 0);
        if (r != 0 && !w->failed && w->flushed < w->rows) {
            bh_ignore(
                journal_flush(w, w->rows, NULL, NULL, NULL)); /* `err` says why it is not sealed */
        }
    }
    writer_free(w);
    return r;
}
