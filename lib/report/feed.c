/* SPDX-License-Identifier: BSD-2-Clause */
/* Where batches come from: a capture that is decoded, an imported log, or a packet log. */
#include "run_priv.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

static bool
wants_csv(const struct bh_report_options *o)
{
    return o->input_columns != NULL || (o->input_format != NULL && strcmp(o->input_format, "csv") == 0);
}

int
feed_open(struct feed *f, const struct bh_report_options *o, struct bh_error *err)
{
    *f = (struct feed){ .progress = o->progress, .progress_arg = o->progress_arg, .newest_ns = INT64_MIN };
    for (size_t i = 0; i < o->decap_count; i++) {
        int r = bh_decap_parse(&f->decoder, o->decap[i], err);
        if (r != 0) {
            return r;
        }
    }
    bool is_log;
    int log = log_is_input(o, &is_log, err);
    if (log != 0 || is_log) {
        return log != 0 ? log : bh_store_open(o->files, o->file_count, &f->store, err);
    }
    if (wants_csv(o)) {
        return bh_import_open(o->files, o->file_count, o->input_columns, &f->import, err);
    }
    f->frames = bh_frames_new();
    if (f->frames == NULL) {
        return bh_error_errno(err, ENOMEM, "", "cannot read", "読めません");
    }
    return bh_capture_open(o->files, o->file_count, &f->capture, err);
}

void
feed_close(struct feed *f)
{
    for (size_t i = f->ahead_at; i < f->ahead_count; i++) {
        bh_batch_free(f->ahead[i]);
    }
    free(f->ahead);
    bh_frames_free(f->frames);
    bh_capture_close(f->capture);
    bh_import_close(f->import);
    bh_store_close(f->store);
    *f = (struct feed){ 0 };
}

static void
tell_progress(struct feed *f)
{
    if (f->progress == NULL || (f->capture == NULL && f->store == NULL) || ++f->progress_turn % 256 != 0) {
        return;
    }
    uint64_t total, done;
    if (f->store != NULL) {
        bh_store_progress(f->store, &total, &done);
    } else {
        bh_capture_progress(f->capture, &total, &done);
    }
    f->progress(f->progress_arg, done, total);
}

static void
note_silence(struct feed *f, int64_t start_ns, int64_t end_ns)
{
    uint32_t n = atomic_load_explicit(&f->silences.count, memory_order_relaxed);
    if (n < BH_GAPS_MAX && start_ns != INT64_MIN) {
        f->silences.silence[n].start_ns = start_ns;
        f->silences.silence[n].end_ns = end_ns;
        atomic_store_explicit(&f->silences.count, n + 1, memory_order_release);
    }
}

/* A step back is against the record before it. */
static void
note_order(struct feed *f, const struct bh_frames *frames)
{
    int64_t before = f->newest_ns;
    uint32_t back = 0;
    for (uint32_t i = 0; i < frames->count; i++) {
        const int64_t ts = frames->frame[i].ts_ns;
        if (BH_UNLIKELY((frames->frame[i].flags & BH_FRAME_BAD_TIME) != 0)) {
            continue;
        }
        back += ts < before;
        if (BH_UNLIKELY(ts > before && (uint64_t)ts - (uint64_t)before >= (uint64_t)BH_GAP_LEAST_NS)) {
            note_silence(f, before, ts);
        }
        before = ts;
    }
    f->steps_back += back;
    f->newest_ns = before;
}

bool
feed_frames(struct feed *f, struct bh_frames *frames)
{
    if (f->ended) {
        return false;
    }
    int r = bh_capture_read(f->capture, frames);
    if (r <= 0) {
        f->ended = true;
        f->failed = r;
        return false;
    }
    note_order(f, frames);
    tell_progress(f);
    return true;
}

/* One batch, from frames or from the log, as full as it gets. */
static bool
read_batch(struct feed *f, struct bh_batch *b)
{
    if (f->import != NULL || f->store != NULL) {
        if (f->ended) {
            return false;
        }
        int r = f->store != NULL ? bh_store_read(f->store, b, &f->error) : bh_import_read(f->import, b, &f->error);
        if (r <= 0) {
            f->ended = true;
            f->failed = r;
            return false;
        }
        if (f->store != NULL) {
            /* Judged again, by today's home, the far end may be the other one. */
            b->has_country = f->decided;
            tell_progress(f);
        }
        return true;
    }
    bh_batch_reset(b);
    b->want = f->decoder.want;
    while (b->rows == 0) {
        if (f->frame_at == f->frames->count) {
            f->frame_at = 0;
            f->frames->count = 0;
            if (!feed_frames(f, f->frames)) {
                return false;
            }
        }
        bh_packet_decode(&f->decoder, f->frames, &f->frame_at, b);
    }
    return true;
}

int
feed_read_ahead(struct feed *f)
{
    size_t cap = 0;
    while (f->ahead_packets < BH_HOME_GUESS_PACKETS) {
        struct bh_batch *b = bh_batch_new();
        if (b == NULL) {
            return -ENOMEM;
        }
        if (!read_batch(f, b)) {
            bh_batch_free(b);
            return f->failed;
        }
        for (uint32_t i = 0; i < b->rows && !f->any; i++) {
            f->any = (b->marks[i] & BH_MARK_BAD_TIME) == 0;
            f->first_ns = b->ts_ns[i];
        }
        for (uint32_t i = 0; i < b->rows; i++) {
            f->ahead_packets += b->kind[i] >= BH_KIND_IP4;
        }
        if (f->ahead_count == cap) {
            cap = cap == 0 ? 64 : cap * 2;
            struct bh_batch **p = realloc(f->ahead, cap * sizeof *p);
            if (p == NULL) {
                bh_batch_free(b);
                return -ENOMEM;
            }
            f->ahead = p;
        }
        f->ahead[f->ahead_count++] = b;
        /* A file without IP packets must not be read into memory whole. */
        if (f->ahead_count >= 4096) {
            break;
        }
    }
    return 0;
}

bool
feed_has_ahead(const struct feed *f)
{
    return f->ahead_at < f->ahead_count;
}

bool
feed_next(struct feed *f, struct bh_batch **b)
{
    if (feed_has_ahead(f)) {
        struct bh_batch *ready = f->ahead[f->ahead_at];
        f->ahead[f->ahead_at++] = NULL;
        bh_batch_free(*b);
        *b = ready;
    } else if (!read_batch(f, *b)) {
        return false;
    }
    return true;
}

int
feed_newest(const struct bh_report_options *o, int64_t *ret_ns, struct bh_error *err)
{
    struct feed f;
    int64_t newest = INT64_MIN;
    for (size_t i = 0; i < o->file_count; i++) {
        if (strcmp(o->files[i], "-") == 0) {
            return bh_error_set(err, BH_EUSAGE, "--last",
                                "needs a file: standard input cannot be read twice; use --since",
                                "ファイルが必要です。標準入力は 2 度読めないので --since を使ってください");
        }
    }
    int r = feed_open(&f, o, err);
    if (r != 0) {
        return r;
    }
    f.progress = NULL;
    if (f.store != NULL) {
        struct bh_store_totals t;
        bh_store_get_totals(f.store, &t);
        newest = t.last_ns;
    } else if (f.capture != NULL) {
        while (feed_frames(&f, f.frames)) {
            for (uint32_t i = 0; i < f.frames->count; i++) {
                int64_t ts = f.frames->frame[i].ts_ns;
                newest = (f.frames->frame[i].flags & BH_FRAME_BAD_TIME) == 0 && ts > newest ? ts : newest;
            }
        }
    } else {
        struct bh_batch *b = bh_batch_new();
        while (b != NULL && read_batch(&f, b)) {
            for (uint32_t i = 0; i < b->rows; i++) {
                newest = b->ts_ns[i] > newest ? b->ts_ns[i] : newest;
            }
        }
        bh_batch_free(b);
    }
    feed_close(&f);
    *ret_ns = newest;
    return 0;
}
