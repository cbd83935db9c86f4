/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From files into a packet log: what a report does up to the verdicts, and then the records go to
 * lib/store instead of a tally.
 *
 * Records are handed over at once, so that a killed import loses little, and settled when 30 s of
 * packet time have passed, as their verdicts are final then (docs/design/track.md, "Hold").
 */
#include "run_priv.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define OPEN_MAX_ROWS                                                                              \
    (1U << 19) /* that wait for their verdicts: connection numbers come round after 2^21 */
#define TICK_EVERY_NS 250000000LL

/* A batch that waits: rows up to its end, and its newest time. */
struct waiting {
    uint64_t rows;
    int64_t newest_ns;
};

struct ingest {
    struct run run;
    const struct bh_ingest_options *o;
    struct bh_ingest_result *result;
    struct bh_store_writer *writer;
    struct bh_batch *kept;   /* what a filter selects */
    struct waiting *waiting; /* ring */
    size_t first, count, cap;
    uint64_t settled, early;
    struct bh_store_sums sums;

    /* The journal is written once a second also while the input keeps us waiting: whoever holds the
     * lock may touch writer, track and sums. */
    pthread_t ticker;
    pthread_mutex_t lock;
    pthread_cond_t ends;
    bool has_ticker, ended;
    int tick_failed;
    struct bh_error tick_error;
};

static int
prepare(struct ingest *g)
{
    struct run *x = &g->run;
    int r = bh_zone_set(x->o->tz, x->err); /* times without a zone, in what is imported */
    r = r != 0 ? r : countries_open(&x->countries, x->o, x->r, x->err);
    r = r != 0 ? r : run_parse_filter(x);
    if (r == 0 &&
        (bh_filter_needs(countries_words(&x->countries)) & BH_FILTER_NEEDS_OUTCOME) != 0) {
        r = bh_error_set(
            x->err, BH_EUSAGE, "outcome",
            "is not known yet when a record is written; keep all and ask for it in the report",
            "は記録を書く時点ではまだ分かりません。すべて残し、レポートで絞り込んでください");
    }
    for (size_t i = 0; r == 0 && i < x->o->file_count; i++) {
        if (bh_store_is_log(x->o->files[i])) {
            r = bh_error_set(
                x->err, BH_EUSAGE, x->o->files[i],
                "is a packet log; give captures or logs of others (logs are joined by beholder log merge)",
                "はパケットログです。キャプチャか他のログを指定してください (ログの結合は beholder log merge)");
        }
    }
    r = r != 0 ? r : feed_open(&x->feed, x->o, x->err);
    x->feed.decoder.want = BH_WANT_COLD;
    r = r != 0 ? r : feed_read_ahead(&x->feed);
    r = r != 0 ? r : run_check_any(x);
    r = r != 0 ? r : run_find_home(x);
    if (r != 0) {
        return r;
    }
    x->two_sided = run_find_two_sided(x);
    x->expected = x->feed.capture != NULL ? bh_capture_expected_frames(x->feed.capture) : 0;
    x->shards = 1;
    struct bh_track_config track = {
        .home = &x->r->home,
        .two_sided = x->two_sided,
        .all_accesses = x->o->all_accesses,
        .outcomes = x->o->outcomes,
        .hold = x->o->outcomes,
        .flow_slots = FLOW_SLOTS,
        .start_ns = x->feed.first_ns,
        .key = bh_random_key(),
    };
    return bh_track_new(&track, &x->shard[0].track);
}

/* As much of a text as there is room for. */
static void
copy(char *to, size_t size, const char *from)
{
    const size_t n = from == NULL ? 0 : strnlen(from, size - 1);
    if (n > 0) {
        memcpy(to, from, n);
    }
    to[n] = '\0';
    bh_text_trim(to);
}

/* One reads, judges and takes records, another one seals: no more than two have work. */
static unsigned
wanted_threads(const struct bh_report_options *o)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return o->threads != 0 ? o->threads : cores > 1 ? 2 : 1;
}

static int
open_writer(struct ingest *g)
{
    const struct run *x = &g->run;
    const struct bh_home *h = &x->r->home;
    struct bh_store_run run = {
        .home_guessed = h->guessed,
        .lean = g->o->lean,
        .two_sided = x->two_sided,
        .all_accesses = x->o->all_accesses,
        .outcomes = x->o->outcomes,
        .is_import = x->feed.import != NULL,
        .first_ns = x->feed.first_ns,
    };
    copy(run.sensor, sizeof run.sensor, g->o->sensor);
    copy(run.zone, sizeof run.zone, bh_zone_name());
    copy(run.source, sizeof run.source, x->o->files[0]);
    copy(run.filter, sizeof run.filter, x->r->filter_text);
    if (h->networks.len >= sizeof run.home) {
        return bh_error_set(x->err, BH_ELIMIT, "--home",
                            "names too many networks for a log (%u octets of text)",
                            "のネットワークが多すぎてログに書けません (%u オクテットまで)",
                            (unsigned)sizeof run.home - 1);
    }
    copy(run.home, sizeof run.home, h->networks.data);
    for (int lang = 0; lang < BH_LANGS; lang++) {
        copy(run.home_text[lang], sizeof run.home_text[lang], h->text[lang].data);
    }
    if (x->o->decap_count > 0) {
        copy(run.decap, sizeof run.decap, x->o->decap[0]);
    }
    struct bh_store_writer_config cfg = { .dir = g->o->log_dir,
                                          .countries = x->countries.one,
                                          .run = run,
                                          .sync_ns = g->o->sync_ns,
                                          .keep_ns = g->o->keep_ns,
                                          .keep_bytes = g->o->keep_bytes,
                                          .seal_beside = wanted_threads(x->o) > 1 };
    return bh_store_writer_open(&cfg, &g->writer, x->err);
}

/* ---- sums ------------------------------------------------------------------------------------------- */

/* What is known so far; notes come at the end. */
static void
take_sums(struct ingest *g)
{
    const struct run *x = &g->run;
    struct bh_store_sums *s = &g->sums;
    struct bh_track_bounds b;
    bh_track_get_bounds(x->shard[0].track, &b);
    s->steps_back = x->feed.steps_back;
    s->flows_lost = b.flows_lost;
    s->conversations_lost = b.conversations_lost;
    s->repeats_lost = b.repeats_lost;
    s->held_early = b.held_early + g->early;
    s->silence_count = 0;
    const uint32_t silences = atomic_load(&x->feed.silences.count);
    for (uint32_t k = 0; k < silences && k < BH_STORE_SILENCES_MAX; k++) {
        s->silence[s->silence_count++] =
            (struct bh_store_silence){ x->feed.silences.silence[k].start_ns,
                                       x->feed.silences.silence[k].end_ns };
    }
    if (s->served != NULL) {
        memcpy(s->served, bh_track_served_ports(x->shard[0].track), 65536 * sizeof *s->served);
    }
    if (x->feed.import != NULL) {
        struct bh_import_stats i;
        bh_import_get_stats(x->feed.import, &i);
        s->steps_back = i.steps_back;
        s->rows = i.rows;
        s->bad_rows = i.bad_rows;
        s->other_lines = i.other_lines;
        s->late_rows = i.late_rows;
    }
}

static void
take_notes(struct ingest *g)
{
    const struct bh_report *r = g->run.r;
    for (size_t k = 0; k < r->note_count && g->sums.note_count < BH_STORE_NOTES_MAX; k++) {
        const struct bh_capture_note *n = &r->notes[k];
        struct bh_store_note *to = &g->sums.note[g->sums.note_count++];
        copy(to->file, sizeof to->file,
             n->file < r->options.file_count ? r->options.files[n->file] : n->error.where);
        to->damaged = n->damaged;
        to->has_offset = n->error.has_offset;
        to->code = n->error.code;
        to->offset = n->error.offset;
        to->line = n->error.line;
        for (int lang = 0; lang < BH_LANGS; lang++) {
            memcpy(to->text[lang], n->error.text[lang], sizeof to->text[lang]);
        }
    }
}

static void
note_stop(struct ingest *g)
{
    if (g->sums.note_count == BH_STORE_NOTES_MAX) {
        return;
    }
    struct bh_store_note *to = &g->sums.note[g->sums.note_count++];
    *to = (struct bh_store_note){ .code = -ECANCELED };
    copy(to->file, sizeof to->file, g->run.o->files[0]);
    copy(to->text[BH_EN], sizeof to->text[BH_EN],
         "the import was stopped by hand; what follows is not in the log");
    copy(to->text[BH_JA], sizeof to->text[BH_JA],
         "取り込みは途中で止められました。続きはログに入っていません");
}

/* ---- the way of a batch ------------------------------------------------------------------------------- */

static unsigned
verdict(void *arg, uint32_t connection, int64_t ts_ns)
{
    return bh_track_verdict(arg, connection, ts_ns);
}

static bool
is_open(int64_t newest_ns, int64_t now_ns)
{
    return now_ns <= newest_ns || (uint64_t)now_ns - (uint64_t)newest_ns <= 30000000000ULL;
}

/* One more that waits. */
static int
wait_for(struct ingest *g, struct waiting w)
{
    if (g->count == g->cap) {
        const size_t cap = g->cap == 0 ? 1024 : g->cap * 2;
        struct waiting *p = malloc(cap * sizeof *p);
        if (p == NULL) {
            return -ENOMEM;
        }
        for (size_t k = 0; k < g->count; k++) {
            p[k] = g->waiting[(g->first + k) % g->cap];
        }
        free(g->waiting);
        g->waiting = p;
        g->cap = cap;
        g->first = 0;
    }
    g->waiting[(g->first + g->count++) % g->cap] = w;
    return 0;
}

static void
settle(struct ingest *g, int64_t now_ns)
{
    uint64_t rows = g->settled;
    while (g->count > 0) {
        const struct waiting *w = &g->waiting[g->first];
        if (is_open(w->newest_ns, now_ns)) {
            if (g->result->written - rows <= OPEN_MAX_ROWS) {
                break;
            }
            g->early += w->rows - rows;
        }
        rows = w->rows;
        g->first = (g->first + 1) % g->cap;
        g->count--;
    }
    if (rows > g->settled) {
        bh_store_settle(g->writer, rows, g->run.o->outcomes ? verdict : NULL,
                        g->run.shard[0].track);
        g->settled = rows;
    }
}

/* The rows a filter selects. */
static const struct bh_batch *
selected(struct ingest *g, struct bh_batch *b)
{
    const struct bh_filter *words = countries_words(&g->run.countries);
    if (words == NULL) {
        return b;
    }
    bh_filter_narrow(words, b);
    bh_batch_reset(g->kept);
    g->kept->want = b->want;
    g->kept->all_inbound = b->all_inbound;
    g->kept->has_weight = b->has_weight;
    for (uint32_t i = 0; i < b->rows; i++) {
        if (b->counted[i] != 0) {
            bh_batch_copy_row(g->kept, b, i);
        }
    }
    return g->kept;
}

static int
take_batch(struct ingest *g, struct bh_batch *b)
{
    struct run *x = &g->run;
    struct shard *s = &x->shard[0];
    const struct bh_move *moves;
    work_join_fragments(s, b);
    bh_track_classify(s->track, b);
    memset(b->counted, 1, b->rows);
    memset(b->country, 0, b->rows * sizeof *b->country);
    memset(b->outcome, BH_OUTCOME_NONE, b->rows);
    bh_track_flows(s->track, b, &moves);
    for (uint32_t i = 0; i < b->rows; i++) {
        g->result->accesses += b->cls[i] == BH_CLASS_ACCESS;
    }
    const int64_t now_ns = b->rows == 0 ? INT64_MIN : b->ts_ns[b->rows - 1];
    const struct bh_batch *kept = selected(g, b);
    int r = bh_store_write(g->writer, kept, x->err);
    if (r != 0) {
        return r;
    }
    g->result->read += b->rows;
    g->result->written += kept->rows;
    r = wait_for(g, (struct waiting){ g->result->written, now_ns });
    settle(g, now_ns);
    return r;
}

static int64_t
clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void *
tick_run(void *arg)
{
    struct ingest *g = arg;
    pthread_mutex_lock(&g->lock);
    while (!g->ended) {
        const int64_t wake = clock_ns() + TICK_EVERY_NS;
        const struct timespec until = { .tv_sec = (time_t)(wake / 1000000000LL),
                                        .tv_nsec = (long)(wake % 1000000000LL) };
        pthread_cond_timedwait(&g->ends, &g->lock, &until);
        if (!g->ended && g->tick_failed == 0) {
            g->tick_failed =
                bh_store_tick(g->writer, clock_ns(), &g->sums, g->run.o->outcomes ? verdict : NULL,
                              g->run.shard[0].track, &g->tick_error);
        }
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

static int
begin_ticks(struct ingest *g)
{
    pthread_condattr_t attr;
    pthread_mutex_init(&g->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&g->ends, &attr);
    pthread_condattr_destroy(&attr);
    int r = pthread_create(&g->ticker, NULL, tick_run, g);
    g->has_ticker = r == 0;
    return -r;
}

static void
end_ticks(struct ingest *g)
{
    if (!g->has_ticker) {
        return;
    }
    pthread_mutex_lock(&g->lock);
    g->ended = true;
    pthread_cond_signal(&g->ends);
    pthread_mutex_unlock(&g->lock);
    pthread_join(g->ticker, NULL);
    pthread_mutex_destroy(&g->lock);
    pthread_cond_destroy(&g->ends);
    g->has_ticker = false;
}

static int
take_all(struct ingest *g)
{
    struct run *x = &g->run;
    struct bh_batch *b = bh_batch_new();
    g->kept = bh_batch_new();
    g->sums.served = calloc(65536, sizeof *g->sums.served);
    int r = b == NULL || g->kept == NULL || g->sums.served == NULL ? -ENOMEM : begin_ticks(g);
    for (unsigned turn = 0; r == 0 && !g->result->stopped && feed_next(&x->feed, &b); turn++) {
        pthread_mutex_lock(&g->lock);
        r = take_batch(g, b);
        if (turn % 64 == 0) {
            take_sums(g);
        }
        if (r == 0 && g->tick_failed != 0) {
            r = g->tick_failed;
            *x->err = g->tick_error;
        }
        pthread_mutex_unlock(&g->lock);
        g->result->stopped = g->o->stop != NULL && *g->o->stop != 0;
    }
    end_ticks(g);
    r = r != 0 ? r : x->feed.failed;
    bh_batch_free(b);
    if (r == 0) {
        bh_store_settle(g->writer, g->result->written, x->o->outcomes ? verdict : NULL,
                        x->shard[0].track);
        take_sums(g);
        r = run_take_notes(x);
        take_notes(g);
        if (g->result->stopped) {
            note_stop(g);
        }
    }
    return r;
}

/* ---- all of it ------------------------------------------------------------------------------------------- */

static void
ingest_done(struct ingest *g)
{
    struct run *x = &g->run;
    bh_track_free(x->shard[0].track);
    bh_fragments_free(x->shard[0].fragments);
    feed_close(&x->feed);
    countries_done(&x->countries);
    bh_batch_free(g->kept);
    bh_store_sums_done(&g->sums);
    free(g->waiting);
    free(g);
}

int
bh_ingest_run(const struct bh_ingest_options *o, struct bh_ingest_result *ret_result,
              struct bh_error *err)
{
    struct bh_error local = { 0 };
    struct ingest *g = calloc(1, sizeof *g);
    struct bh_report *rep = calloc(1, sizeof *rep);
    *ret_result = (struct bh_ingest_result){ 0 };
    if (g == NULL || rep == NULL) {
        free(g);
        free(rep);
        return bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
    }
    const int64_t start = clock_ns();
    struct run *x = &g->run;
    g->o = o;
    g->result = ret_result;
    x->o = &o->input;
    x->r = rep;
    x->err = err != NULL ? err : &local;
    x->err->code = 0;
    rep->options = o->input;
    int r = prepare(g);
    r = r != 0 ? r : open_writer(g);
    r = r != 0 ? r : take_all(g);
    const uint64_t safe = g->writer == NULL ? 0 : bh_store_flushed(g->writer);
    if (g->writer != NULL) {
        /* After an error what was flushed stays in the journal; nothing else is touched. */
        int closed = bh_store_writer_close(g->writer, r == 0 ? &g->sums : NULL, x->err);
        r = r != 0 ? r : closed;
    }
    ret_result->written = r == 0 ? ret_result->written : safe;
    if (r != 0 && x->err->code == 0) {
        if (x->feed.error.code != 0) {
            *x->err = x->feed.error;
        } else {
            bh_error_errno(x->err, r < 0 && r > -2000 ? -r : EIO, "", "cannot finish the import",
                           "取り込みを完了できません");
        }
    }
    ret_result->home = rep->home;
    rep->home = (struct bh_home){ 0 };
    ret_result->notes = rep->notes;
    ret_result->note_count = rep->note_count;
    rep->notes = NULL;
    rep->note_count = 0;
    ret_result->seconds = (double)(clock_ns() - start) * 1e-9;
    ingest_done(g);
    bh_report_free(rep);
    return r;
}

void
bh_ingest_result_done(struct bh_ingest_result *r)
{
    bh_home_done(&r->home);
    free(r->notes);
    *r = (struct bh_ingest_result){ 0 };
}
