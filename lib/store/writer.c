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
#include "rows_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEGMENT_BLOCKS 16U
#define SYNC_NS 10000000000ULL
#define FLUSH_NS 1000000000LL

struct bh_store_writer {
    char *dir;
    struct bh_store_run run;
    const kobold *countries;
    uint64_t sync_ns, key, sequence; /* of the segment to come */
    uint32_t segment_blocks;
    int lock_fd;

    struct open_rows open;
    uint64_t base;    /* rows before those of open.chunk[0]          */
    uint64_t rows;    /* all that came                               */
    uint64_t settled; /* of them                                     */
    size_t settle_chunk;
    uint32_t settle_row;

    int journal_fd;
    char journal_path[4096];
    uint64_t journal_size, flushed,
        judged; /* judged: rows whose outcomes in the journal are final */
    int64_t flush_ns, synced_ns;
    bool any_tick;

    struct bh_store_sums sums;
    struct block_work work;
    struct census census; /* of what goes into the journal */
    bool failed;
};

/* ---- opening --------------------------------------------------------------------------------------- */

static int
make_dir(const char *dir, struct bh_error *err)
{
    if (mkdir(dir, 0777) == 0 || errno == EEXIST) {
        return 0;
    }
    return bh_error_errno(err, errno, dir, "cannot make", "作れません");
}

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
    w->segment_blocks = cfg->segment_blocks != 0 ? cfg->segment_blocks : SEGMENT_BLOCKS;
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
    r = r != 0 ? r : lock_dir(w->dir, &w->lock_fd, err);
    r = r != 0 ? r : recover_journals(w->dir, w->key, &w->work, &w->sequence, err);
    if (r != 0) {
        writer_free(w);
        return r;
    }
    if (w->run.id == 0) { /* another one for each writing, also where tests hold the dice */
        w->run.id = bh_mix64(bh_random_key() ^ (uint64_t)getpid(), (uint64_t)w->run.first_ns ^ w->sequence << 32);
    }
    *ret_writer = w;
    return 0;
}

/* ---- the journal ------------------------------------------------------------------------------------- */

static int
journal_open(struct bh_store_writer *w, uint64_t after, struct bh_error *err)
{
    char name[NAME_SIZE];
    uint8_t header[FILE_HEADER_SIZE], frame[FRAME_SIZE];
    struct bh_buf run = { 0 }, out = { 0 };
    name_put(name, w->sequence, FILE_JOURNAL);
    snprintf(w->journal_path, sizeof w->journal_path, "%s/%s", w->dir, name);
    w->journal_fd = open(w->journal_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (w->journal_fd < 0) {
        return bh_error_errno(err, errno, w->journal_path, "cannot write", "書けません");
    }
    file_header_put(header, FILE_JOURNAL, w->sequence, w->sequence, after);
    run_put(&w->run, &run);
    frame_put(frame, FRAME_RUN, run.data, (uint32_t)run.len, 0);
    bh_buf_add(&out, header, sizeof header);
    bh_buf_add(&out, frame, sizeof frame);
    bh_buf_add(&out, run.data, run.len);
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
          const struct bh_buf *body)
{
    uint8_t frame[FRAME_SIZE];
    const size_t body_size = body == NULL ? 0 : body->len;
    frame_put(frame, kind, head->data, (uint32_t)head->len, body_size);
    bh_buf_add(out, frame, sizeof frame);
    bh_buf_add(out, head->data, head->len);
    if (body_size > 0) {
        bh_buf_add(out, body->data, body_size);
    }
    out->failed |= head->failed | (body != NULL && body->failed);
}

/* Rows first..first + n of a chunk, with a dictionary of their own. */
static int
put_rows(struct bh_store_writer *w, const struct chunk *c, uint32_t first, uint32_t n,
         struct bh_buf *out)
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
        put_frame(out, FRAME_DICT, &head, &body);
        head.len = body.len = 0;
        block_put(&d, &w->open.terms, &part, &w->work, &head, &body);
        put_frame(out, FRAME_BLOCK, &head, &body);
        dict_done(&d);
    }
    bh_buf_done(&octets);
    bh_buf_done(&head);
    bh_buf_done(&body);
    return r != 0 ? r : out->failed ? -ENOMEM : 0;
}

static bool
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
            put_frame(out, FRAME_VERDICTS, &head, NULL);
        }
        first += c->rows;
    }
    bh_buf_done(&head);
    free(v);
}

/* Everything that came into the journal. */
static int
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
            r = put_rows(w, c, (uint32_t)(from - first), (uint32_t)(to - from), &out);
        }
        first += c->rows;
    }
    put_verdicts(w, w->judged > w->base ? w->judged : w->base, upto, verdict, arg, &out);
    sums_put(&w->sums, &sums);
    if (sums.len > 0) {
        put_frame(&out, FRAME_SUMS, &sums, NULL);
    }
    if (r != 0 || out.failed) {
        r = bh_error_errno(err, ENOMEM, w->journal_path, "cannot write", "書けません");
    } else {
        r = write_all(w->journal_fd, out.data, out.len, w->journal_path, err);
        if (r != 0) { /* what is half there goes again: readers take it for torn anyway */
            bh_ignore(ftruncate(w->journal_fd, (off_t)w->journal_size));
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
    const int old_fd = w->journal_fd;
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
        if (r == 0 && fdatasync(w->journal_fd) != 0) {
            r = bh_error_errno(err, errno, w->journal_path, "cannot write", "書けません");
        }
    }
    r = r != 0 ? r : segment_place(&out, w->dir, err);
    segment_drop(&out);
    if (old_fd >= 0) {
        close(old_fd);
        r = r != 0 ? r : unlink_file(w->dir, old, FILE_JOURNAL, err);
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
    return full ? seal(w, k, err) : 0;
}

/* ---- what is called -------------------------------------------------------------------------------------- */

int
bh_store_write(struct bh_store_writer *w, const struct bh_batch *b, struct bh_error *err)
{
    const uint32_t lacks =
        w->run.lean ? BH_LACK_SEQ | BH_LACK_IP_ID | BH_LACK_WINDOW | BH_LACK_OPTIONS : 0;
    int r = w->failed ? -EIO : seal_when_full(w, err);
    if (r == 0 && rows_add(&w->open, b, lacks, NULL) != 0) {
        r = bh_error_errno(err, ENOMEM, w->dir, "cannot write", "書けません");
    }
    w->rows += r == 0 ? b->rows : 0;
    w->failed |= r != 0;
    return r;
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
    if (w->failed || now_ns - w->flush_ns < FLUSH_NS) {
        return w->failed ? -EIO : 0;
    }
    w->flush_ns = now_ns;
    if (sums != NULL) {
        struct bh_store_sums copy = { 0 };
        if (bh_store_sums_add(&copy, sums) != 0) {
            return bh_error_errno(err, ENOMEM, w->dir, "cannot write", "書けません");
        }
        bh_store_sums_done(&w->sums);
        w->sums = copy;
    }
    int r = seal_when_full(w, err);
    if (r == 0 && (w->flushed < w->rows || w->judged < w->settled)) {
        r = journal_flush(w, w->rows, verdict, arg, err);
    }
    if (r == 0 && w->journal_fd >= 0 && (uint64_t)(now_ns - w->synced_ns) >= w->sync_ns) {
        w->synced_ns = now_ns;
        if (fdatasync(w->journal_fd) != 0) {
            r = bh_error_errno(err, errno, w->journal_path, "cannot write", "書けません");
        }
    }
    w->failed |= r != 0;
    return r;
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
    }
    writer_free(w);
    return r;
}
