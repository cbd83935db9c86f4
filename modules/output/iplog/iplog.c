/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * iplog: records into a packet log.
 *
 * Takes records at once, with outcomes open, and settles them as the verdicts come: the log's writer can do
 * that. Once a second its journal takes what came, so killing it costs no more than that, and usually
 * nothing, as the host keeps batches that are not in the journal.
 *
 * A run of the sensor is a writing of the log.
 *
 * On a full disk nothing more is taken than the writer keeps in memory until there is room again.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "bh_output.h"
#include "bh_store.h"

/* At the end a segment is sealed, unless that would take long: the journal has everything too, and the next
 * writer seals it. */
#define SEAL_AT_END_ROWS 262144U
#define UNWRITTEN_ROWS 131072U /* what may wait for room */
#define FLUSH_NS 1000000000LL  /* the writer's own: no sooner */

struct batch_end {
    uint64_t number, rows; /* records written with and before it */
};

struct iplog {
    struct bh_store_writer *writer;
    struct bh_store_sums sums;
    uint64_t rows, next; /* of this writer; the first batch it has not */
    struct batch_end *end;
    size_t first, count, cap; /* ring of batches that are not settled */
    int64_t now_ns, flush_ns;
    bool failed, is_full;
};

static const struct bh_setting settings[] = {
    { .name = "directory",
      .type = BH_SETTING_DIR,
      .required = true,
      .text = { "the packet log, made when it is not there", "パケットログ。なければ作る" } },
    { .name = "profile",
      .type = BH_SETTING_CHOICE,
      .default_text = "full",
      .choices = "full|lean",
      .text = { "lean leaves out what recognising tools takes",
                "lean はツールの識別に使う項目を省く" } },
    { .name = "sync",
      .type = BH_SETTING_DURATION,
      .default_text = "10s",
      .least = 1000000000ULL,
      .most = 86400000000000ULL,
      .text = { "a power failure costs at most this much",
                "停電で失われるのは最大でもこの時間分" } },
};

static int
iplog_open(struct bh_output *o)
{
    struct iplog *g = calloc(1, sizeof *g);
    bh_output_set_state(o, g);
    if (g == NULL || (g->sums.served = calloc(65536, sizeof *g->sums.served)) == NULL) {
        return -ENOMEM;
    }
    return 0;
}

static int
fail(struct bh_output *o, int code, const struct bh_error *err)
{
    struct iplog *g = bh_output_state(o);
    if (!g->failed) { /* once; then every batch is counted as failed */
        bh_output_say(o, BH_SAY_ERROR, err);
    }
    g->failed = true;
    return code;
}

/* A disk may have room again; nothing else mends itself. */
static int
stop_or_wait(struct bh_output *o, int code, const struct bh_error *err)
{
    struct iplog *g = bh_output_state(o);
    if (code != -ENOSPC && code != -EDQUOT && code != -EAGAIN) {
        return fail(o, code, err);
    }
    if (!g->is_full) {
        bh_output_say(o, BH_SAY_ERROR, err);
    }
    g->is_full = true;
    return BH_EAGAIN;
}

/* ---- what is not records ----------------------------------------------------------------------------- */

_Static_assert((int)BH_GAP_KINDS == (int)BH_STORE_CAUSES &&
                   (int)BH_GAP_DOWN == (int)BH_STORE_LOST_DOWN,
               "the log names the causes of losses as the contract does");

static void
take_sums(struct bh_output *o)
{
    struct iplog *g = bh_output_state(o);
    const struct bh_output_health *h = bh_output_health(o);
    const uint32_t *served = bh_output_served(o);
    struct bh_store_sums *s = &g->sums;
    s->steps_back = h->steps_back;
    s->flows_lost = h->flows_lost;
    s->conversations_lost = h->conversations_lost;
    s->repeats_lost = h->repeats_lost;
    s->held_early = h->held_early;
    s->frames = h->frames;
    s->own = h->own;
    for (unsigned k = 0; k < BH_GAP_KINDS; k++) {
        s->lost[k] = h->lost[k];
    }
    s->gap_count = 0;
    for (uint32_t k = 0; k < h->gap_count && k < BH_STORE_GAPS_MAX; k++) {
        s->gap[s->gap_count++] = (struct bh_store_gap){ .start_ns = h->gap[k].start_ns,
                                                        .end_ns = h->gap[k].end_ns,
                                                        .packets = h->gap[k].packets,
                                                        .cause = h->gap[k].kind };
    }
    if (served != NULL) {
        memcpy(s->served, served, 65536 * sizeof *s->served);
    }
}

/* ---- runs ------------------------------------------------------------------------------------------------ */

static unsigned
verdict(void *arg, uint32_t connection, int64_t ts_ns)
{
    (void)ts_ns;
    return bh_output_verdict(arg, connection);
}

static int
close_writer(struct bh_output *o)
{
    struct iplog *g = bh_output_state(o);
    struct bh_error err = { 0 };
    int r = 0;
    if (g->writer == NULL) {
        return 0;
    }
    const bool outcomes = bh_output_run(o) != NULL && bh_output_run(o)->outcomes;
    take_sums(o);
    if (g->rows - bh_store_flushed(g->writer) <= SEAL_AT_END_ROWS && g->rows <= SEAL_AT_END_ROWS) {
        bh_store_settle(g->writer, g->rows, outcomes ? verdict : NULL, o);
        r = bh_store_writer_close(g->writer, &g->sums, &err);
    } else {
        bh_store_settle(g->writer, g->rows, outcomes ? verdict : NULL, o);
        r = bh_store_tick(g->writer, INT64_MAX / 2, &g->sums, outcomes ? verdict : NULL, o, &err);
        bh_ignore(bh_store_writer_close(g->writer, NULL, NULL)); /* the journal is the log */
    }
    g->writer = NULL;
    return r != 0 ? fail(o, r, &err) : 0;
}

static void
copy(char *to, size_t size, const char *from)
{
    snprintf(to, size, "%s", from == NULL ? "" : from);
    bh_text_trim(to);
}

/* Of all that must be the same for what is written to be one run of the log, however often this process begins. */
static uint64_t
key_of(const struct bh_output_run *run, bool lean)
{
    const char *texts[] = { run->sensor, run->source, run->home, run->filter };
    struct kobold_meta m = { .id = 0 };
    uint64_t key = bh_mix64((uint64_t)run->start_ns, (uint64_t)lean << 1 | run->outcomes);
    for (size_t k = 0; k < BH_COUNT(texts); k++) {
        for (const char *c = texts[k]; c != NULL && *c != '\0'; c++) {
            key = bh_mix64(key, (uint8_t)*c);
        }
        key = bh_mix64(key, UINT64_MAX);
    }
    if (run->countries != NULL) {
        kobold_get_meta(run->countries, &m);
    }
    key = bh_mix64(key, m.id);
    return key == 0 ? 1 : key;
}

static int
iplog_run(struct bh_output *o, const struct bh_output_run *run)
{
    struct iplog *g = bh_output_state(o);
    struct bh_error err = { 0 };
    struct bh_store_writer_config cfg = {
        .dir = bh_output_text(o, "directory"),
        .countries = run->countries,
        .sync_ns = bh_output_uint(o, "sync"),
        .seal_beside = true, /* a million records take longer than the queue bridges */
        .flush_all = true,
        .run = { .home_guessed = run->home_guessed,
                 .lean = strcmp(bh_output_text(o, "profile"), "lean") == 0,
                 .two_sided = true,
                 .all_accesses = run->all_accesses,
                 .outcomes = run->outcomes,
                 .first_ns = run->start_ns },
    };
    cfg.run_key = key_of(run, cfg.run.lean);
    copy(cfg.run.sensor, sizeof cfg.run.sensor, run->sensor);
    copy(cfg.run.source, sizeof cfg.run.source, run->source);
    copy(cfg.run.home, sizeof cfg.run.home, run->home);
    copy(cfg.run.filter, sizeof cfg.run.filter, run->filter);
    for (int lang = 0; lang < BH_LANGS; lang++) {
        copy(cfg.run.home_text[lang], sizeof cfg.run.home_text[lang], run->home_text[lang]);
    }
    g->rows = g->next = 0;
    g->first = g->count = 0;
    g->flush_ns = 0;
    g->failed = g->is_full = false;
    int r = bh_store_writer_open(&cfg, &g->writer, &err);
    return r != 0 ? fail(o, r, &err) : 0;
}

/* ---- records ------------------------------------------------------------------------------------------------- */

static int
note_end(struct iplog *g, uint64_t number)
{
    if (g->count == g->cap) {
        const size_t cap = g->cap == 0 ? 1024 : g->cap * 2;
        struct batch_end *p = malloc(cap * sizeof *p);
        if (p == NULL) {
            return -ENOMEM;
        }
        for (size_t k = 0; k < g->count; k++) {
            p[k] = g->end[(g->first + k) % g->cap];
        }
        free(g->end);
        g->end = p;
        g->cap = cap;
        g->first = 0;
    }
    g->end[(g->first + g->count++) % g->cap] = (struct batch_end){ number, g->rows };
    return 0;
}

static int
iplog_write(struct bh_output *o, const struct bh_output_batch *batch)
{
    struct iplog *g = bh_output_state(o);
    struct bh_error err = { 0 };
    if (batch->number < g->next) {
        return 0; /* once more: it is there */
    }
    if (g->writer == NULL) {
        return -EIO;
    }
    if (g->is_full && g->rows - bh_store_flushed(g->writer) > UNWRITTEN_ROWS) {
        return BH_EAGAIN;
    }
    int r = bh_store_write(g->writer, batch->records, &err);
    if (r != 0) {
        return stop_or_wait(o, r, &err);
    }
    g->rows += batch->rows;
    g->next = batch->number + 1;
    return note_end(g, batch->number);
}

static int
iplog_settle(struct bh_output *o, uint64_t number)
{
    struct iplog *g = bh_output_state(o);
    uint64_t rows = 0;
    while (g->count > 0 && g->end[g->first].number < number) {
        rows = g->end[g->first].rows;
        g->first = (g->first + 1) % g->cap;
        g->count--;
    }
    if (rows > 0 && g->writer != NULL) {
        bh_store_settle(g->writer, rows, bh_output_run(o)->outcomes ? verdict : NULL, o);
    }
    return 0;
}

static int
iplog_tick(struct bh_output *o, int64_t now_ns)
{
    struct iplog *g = bh_output_state(o);
    g->now_ns = now_ns;
    return 0;
}

/* The journal: nothing of what was taken is lost when this process is. */
static int
iplog_flush(struct bh_output *o, uint64_t *ret_number)
{
    struct iplog *g = bh_output_state(o);
    struct bh_error err = { 0 };
    if (g->writer == NULL) {
        return -EIO;
    }
    take_sums(o);
    /* Whoever asks sooner than after a second means it: at the end of a run. */
    g->flush_ns = g->now_ns - g->flush_ns > FLUSH_NS ? g->now_ns : g->flush_ns + FLUSH_NS;
    int r = bh_store_tick(g->writer, g->flush_ns, &g->sums,
                          bh_output_run(o)->outcomes ? verdict : NULL, o, &err);
    if (r != 0) {
        return stop_or_wait(o, r, &err);
    }
    g->is_full = false;
    if (bh_store_flushed(g->writer) < g->rows) {
        return BH_EAGAIN; /* less than a second since the last time */
    }
    *ret_number = g->next;
    return 0;
}

static void
iplog_close(struct bh_output *o)
{
    struct iplog *g = bh_output_state(o);
    if (g == NULL) {
        return;
    }
    bh_ignore(close_writer(o)); /* it was said */
    bh_store_sums_done(&g->sums);
    free(g->end);
    free(g);
}

static int
iplog_next_run(struct bh_output *o, const struct bh_output_run *run)
{
    bh_ignore(close_writer(o)); /* it was said; the new run may do better */
    return iplog_run(o, run);
}

extern const struct bh_output_module bh_output_module_iplog;
const struct bh_output_module bh_output_module_iplog = {
    .abi_major = BH_OUTPUT_ABI,
    .size = sizeof(struct bh_output_module),
    .name = "iplog",
    .summary = { "the packet log, for reports over months",
                 "パケットログ (数か月にわたるレポートの元)" },
    .settings = settings,
    .setting_count = BH_COUNT(settings),
    .needs = BH_OUTPUT_NEEDS_THREADS,
    .when = BH_OUTPUT_AT_ONCE,
    .open = iplog_open,
    .run = iplog_next_run,
    .write = iplog_write,
    .settle = iplog_settle,
    .flush = iplog_flush,
    .tick = iplog_tick,
    .close = iplog_close,
};
