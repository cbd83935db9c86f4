/* SPDX-License-Identifier: BSD-2-Clause */
/* Where batches come from: a capture that is decoded, an imported log, or a packet log. */
#include "run_priv.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Is it said that they are logs? 0: look. */
static int
asked_for(const struct bh_report_options *o)
{
    if (o->input_columns != NULL) {
        return 1;
    }
    if (o->input_format == NULL || strcmp(o->input_format, "auto") == 0) {
        return 0;
    }
    return strcmp(o->input_format, "pcap") == 0 ? -1 : 1;
}

static int
open_import(struct feed *f, const struct bh_report_options *o, struct bh_octets **opened,
            struct bh_error *err)
{
    struct bh_import_options io = {
        .paths = o->files,
        .count = o->file_count,
        .opened = opened,
        .format = o->input_format,
        .columns = o->input_columns,
        .year = (int)o->input_year,
        .now_ns = o->now_ns,
        .is_guess = asked_for(o) == 0,
    };
    return bh_import_open_with(&io, &f->import, err);
}

/* Texts are logs, all else captures. Opens nothing for good that can be opened again. */
static int
look_at(const struct bh_report_options *o, struct bh_octets **opened, bool *ret_is_log,
        struct bh_error *err)
{
    size_t texts = 0;
    const char *text = NULL, *other = NULL;
    for (size_t i = 0; i < o->file_count; i++) {
        struct bh_error local;
        if (bh_octets_open(o->files[i], &opened[i], &local) != 0) {
            continue; /* the capture says why, in its words */
        }
        bool is_text = bh_octets_is_text(opened[i]);
        text = is_text && text == NULL ? o->files[i] : text;
        other = is_text || other != NULL ? other : o->files[i];
        texts += is_text;
        /* "-" < FILE cannot be opened again */
        if (bh_octets_is_regular(opened[i]) && strcmp(o->files[i], "-") != 0) {
            bh_octets_close(opened[i]);
            opened[i] = NULL;
        }
    }
    if (texts > 0 && other != NULL) {
        return bh_error_set(
            err, BH_EUSAGE, text, "is a log, and %s is none: report captures and logs apart",
            "はログですが、%s は違います。キャプチャとログは別々に集計してください", other);
    }
    *ret_is_log = texts > 0;
    return 0;
}

static int
open_as_it_looks(struct feed *f, const struct bh_report_options *o, struct bh_error *err)
{
    struct bh_octets **opened = calloc(o->file_count, sizeof(struct bh_octets *));
    bool is_log = false;
    if (opened == NULL) {
        return bh_error_errno(err, ENOMEM, "", "cannot read", "読めません");
    }
    int r = look_at(o, opened, &is_log, err);
    if (r == 0) {
        r = is_log ? open_import(f, o, opened, err)
                   : bh_capture_open_from(o->files, opened, o->file_count, &f->capture, err);
    }
    for (size_t i = 0; i < o->file_count; i++) {
        bh_octets_close(opened[i]);
    }
    free(opened);
    return r;
}

int
feed_open(struct feed *f, const struct bh_report_options *o, struct bh_error *err)
{
    *f = (struct feed){ .progress = o->progress,
                        .progress_arg = o->progress_arg,
                        .newest_ns = INT64_MIN };
    for (size_t i = 0; i < o->decap_count; i++) {
        int r = bh_decap_parse(&f->decoder, o->decap[i], err);
        if (r != 0) {
            return r;
        }
    }
    int log = log_is_input(o, &f->logs, err);
    if (log != 0 || f->logs.count > 0) {
        return log != 0 ? log
                        : bh_store_open((const char *const *)f->logs.path, f->logs.count, &f->store,
                                        err);
    }
    f->frames = bh_frames_new();
    if (f->frames == NULL) {
        return bh_error_errno(err, ENOMEM, "", "cannot read", "読めません");
    }
    int asked = o->file_count == 0 ? -1 : asked_for(o);
    return asked > 0   ? open_import(f, o, NULL, err)
           : asked < 0 ? bh_capture_open(o->files, o->file_count, &f->capture, err)
                       : open_as_it_looks(f, o, err);
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
    bh_store_paths_done(&f->logs);
    *f = (struct feed){ 0 };
}

static void
tell_progress(struct feed *f)
{
    if (f->progress == NULL || ++f->progress_turn % 256 != 0) {
        return;
    }
    uint64_t total, done;
    if (f->store != NULL) {
        bh_store_progress(f->store, &total, &done);
    } else if (f->import != NULL) {
        bh_import_progress(f->import, &total, &done);
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

/* Nearly always time goes on, and by less than a silence: then all differences put together with
 * "or" are below a power of two below a silence, as a step back sets the highest bits. A difference
 * that wraps (times far apart) is only taken for a small one where the last time is the lower one. */
#define STEPS_BELOW (1ULL << 42)
_Static_assert(STEPS_BELOW <= BH_GAP_LEAST_NS, "a step below it is no silence");

static bool
goes_on(const struct bh_frames *frames, int64_t before)
{
    const int64_t first = before;
    uint64_t steps = 0;
    unsigned flags = 0;
    for (uint32_t i = 0; i < frames->count; i++) {
        const struct bh_frame *x = &frames->frame[i];
        steps |= (uint64_t)x->ts_ns - (uint64_t)before;
        flags |= x->flags;
        before = x->ts_ns;
    }
    return steps < STEPS_BELOW && first <= before && (flags & BH_FRAME_BAD_TIME) == 0;
}

/* A step back is against the record before it. */
static void
note_order(struct feed *f, const struct bh_frames *frames)
{
    int64_t before = f->newest_ns;
    uint32_t back = 0;
    if (BH_LIKELY(frames->count > 0 && goes_on(frames, before))) {
        f->newest_ns = frames->frame[frames->count - 1].ts_ns;
        return;
    }
    for (uint32_t i = 0; i < frames->count; i++) {
        const int64_t ts = frames->frame[i].ts_ns;
        if (BH_UNLIKELY((frames->frame[i].flags & BH_FRAME_BAD_TIME) != 0)) {
            continue;
        }
        back += ts < before;
        if (BH_UNLIKELY(ts > before &&
                        (uint64_t)ts - (uint64_t)before >= (uint64_t)BH_GAP_LEAST_NS)) {
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

/* So many lines as a processor can wait for at once. */
#define SLICE_ROWS 32U

/* What is decoded will soon be looked up: the memory is asked for the sources of some rows at a time, and
 * brings them while the next are decoded. Asked for all at once, it would be waited for. */
void
decode_slices(const struct bh_decoder *d, const struct bh_frames *frames, uint32_t *at,
              const struct bh_tally *asks, struct bh_batch *b)
{
    uint32_t from, added;
    do {
        from = b->rows;
        added = bh_packet_decode_some(d, frames, at, SLICE_ROWS, b);
        if (asks != NULL) {
            bh_tally_ask(asks, b, from);
        }
    } while (added > 0 && *at < frames->count);
}

/* One batch, from frames or from the log, as full as it gets. */
static bool
read_batch(struct feed *f, struct bh_batch *b)
{
    if (f->import != NULL || f->store != NULL) {
        if (f->ended) {
            return false;
        }
        int r = f->store != NULL ? bh_store_read(f->store, b, &f->error)
                                 : bh_import_read(f->import, b, &f->error);
        if (r <= 0) {
            f->ended = true;
            f->failed = r;
            return false;
        }
        if (f->store != NULL) {
            /* Judged again, by today's home, the far end may be the other one. */
            b->has_country = f->decided && !f->by_days;
        }
        tell_progress(f);
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
        decode_slices(&f->decoder, f->frames, &f->frame_at, f->asks, b);
    }
    return true;
}

#define AHEAD_MAX (64 * (BH_HOME_GUESS_PACKETS / BH_BATCH_ROWS))

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
        if (f->ahead_count >= AHEAD_MAX) {
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
            return bh_error_set(
                err, BH_EUSAGE, "--last",
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
                newest = (f.frames->frame[i].flags & BH_FRAME_BAD_TIME) == 0 && ts > newest
                             ? ts
                             : newest;
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
