/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_store - how long a record takes into the packet log, and out of it.
 *
 *   bench_store [FILE]
 *
 * FILE: else 10 M packets of gen_traffic, whose home is assumed. In: the call that takes a batch, sealing
 * (choosing the dictionary, coding, compressing, writing), and the journal of a live sensor that sees 20,000
 * records a second. Out: all columns, and what a report without a filter asks for. Reading the capture, decoding
 * and tracking are not in the figures. The log is made in BH_BENCH_DATA and removed.
 */
#include "bench_common.h"
#include "bh_packet.h"
#include "bh_store.h"
#include "bh_track.h"

#include <dirent.h>

#define LIVE_ROWS 20000U /* a second */

struct result {
    double write_ns, seal_ns, tick_ns;
    uint64_t rows, bytes;
};

struct source {
    struct bh_capture *capture;
    struct bh_decoder decoder;
    struct bh_frames *frames;
    struct bh_batch *batch;
    struct bh_track *track;
    uint32_t at;
};

static void
fail(const struct bh_error *err)
{
    char line[1024];
    bench_fail("bench_store", bh_error_line(err, BH_EN, line, sizeof line));
}

static void
source_open(struct source *s, const char *path, const struct bh_home *home)
{
    struct bh_error err;
    struct bh_track_config cfg = { .home = home,
                                   .two_sided = true,
                                   .outcomes = true,
                                   .hold = true,
                                   .flow_slots = 1U << 18,
                                   .key = bh_random_key() };
    *s = (struct source){ .decoder = { .want = BH_WANT_COLD } };
    if (bh_capture_open(&path, 1, &s->capture, &err) < 0) {
        fail(&err);
    }
    s->frames = bh_frames_new();
    s->batch = bh_batch_new();
    if (s->frames == NULL || s->batch == NULL || bh_track_new(&cfg, &s->track) < 0) {
        bench_fail("bench_store", "out of memory");
    }
}

static void
source_close(struct source *s)
{
    bh_track_free(s->track);
    bh_batch_free(s->batch);
    bh_frames_free(s->frames);
    bh_capture_close(s->capture);
}

/* The next batch with its verdicts as far as they are known. */
static struct bh_batch *
source_next(struct source *s)
{
    const struct bh_move *moves;
    struct bh_batch *b = s->batch;
    if (s->at >= s->frames->count) {
        s->at = 0;
        if (bh_capture_read(s->capture, s->frames) <= 0) {
            return NULL;
        }
    }
    bh_batch_reset(b);
    bh_packet_decode(&s->decoder, s->frames, &s->at, b);
    bh_track_classify(s->track, b);
    memset(b->counted, 1, b->rows);
    memset(b->country, 0, b->rows * sizeof *b->country);
    memset(b->outcome, BH_OUTCOME_NONE, b->rows);
    bh_track_flows(s->track, b, &moves);
    return b;
}

static unsigned
verdict(void *arg, uint32_t connection, int64_t ts_ns)
{
    return bh_track_verdict(arg, connection, ts_ns);
}

static void
empty_dir(const char *dir)
{
    DIR *d = opendir(dir);
    char path[8192];
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.') {
            unlink(path);
        }
    }
    if (d != NULL) {
        closedir(d);
    }
    rmdir(dir);
}

/* Rows wait for their verdict as long as an import lets them. */
#define HOLD_ROWS 65536U

static struct result
write_once(const char *path, const struct bh_home *home, const char *dir, const kobold *countries,
           bool lean, bool live)
{
    struct source s;
    struct bh_error err;
    struct bh_store_writer *w;
    struct result sum = { 0 };
    struct bh_store_sums sums = { 0 };
    struct bh_store_writer_config cfg = {
        .dir = dir,
        .countries = countries,
        .run = { .lean = lean, .two_sided = true, .outcomes = true },
        .sync_ns = UINT64_MAX
    };
    empty_dir(dir);
    source_open(&s, path, home);
    if (bh_store_writer_open(&cfg, &w, &err) != 0) {
        fail(&err);
    }
    struct bench_loop loop = bench_loop_begin();
    uint64_t next = LIVE_ROWS;
    int64_t now_ns = 0;
    bool ok = !live || bh_store_tick(w, now_ns, &sums, verdict, s.track, &err) == 0;
    for (struct bh_batch *b; ok && (b = source_next(&s)) != NULL;) {
        const uint64_t before_flushed = bh_store_flushed(w);
        const double before = bench_wall_ns();
        ok = bh_store_write(w, b, &err) == 0;
        sum.rows += b->rows;
        const double between = bench_wall_ns();
        bh_store_settle(w, sum.rows < HOLD_ROWS ? 0 : sum.rows - HOLD_ROWS, verdict, s.track);
        const double after = bench_wall_ns();
        const bool sealed = !live && bh_store_flushed(w) != before_flushed;
        *(sealed ? &sum.seal_ns : &sum.write_ns) += between - before - loop.clock_ns;
        sum.write_ns += after - between - loop.clock_ns;
        if (live && sum.rows >= next) {
            next += LIVE_ROWS;
            now_ns += 1000000000;
            const double start = bench_wall_ns();
            ok = ok && bh_store_tick(w, now_ns, &sums, verdict, s.track, &err) == 0;
            sum.tick_ns += bench_wall_ns() - start;
        }
    }
    bh_store_settle(w, sum.rows, verdict, s.track);
    const double start = bench_wall_ns();
    if (!ok || bh_store_writer_close(w, &sums, &err) != 0) {
        fail(&err);
    }
    sum.seal_ns += bench_wall_ns() - start;
    const double scale = bench_loop_end(&loop) / (double)sum.rows;
    sum.write_ns *= scale;
    sum.seal_ns *= scale;
    sum.tick_ns *= scale;
    source_close(&s);
    return sum;
}

static double
read_once(const char *dir, const kobold *countries, uint32_t want, uint64_t *ret_rows,
          uint64_t *ret_bytes)
{
    struct bh_store *s;
    struct bh_error err;
    struct bh_store_totals t;
    struct bh_batch *b = bh_batch_new();
    const struct bh_store_query q = {
        .countries = countries, .start_ns = INT64_MIN, .end_ns = INT64_MAX, .want = want
    };
    int r;
    const double before = bench_cpu_ns();
    if (b == NULL || bh_store_open(&dir, 1, &s, &err) != 0 ||
        bh_store_read_begin(s, &q, &err) != 0) {
        fail(&err);
    }
    *ret_rows = 0;
    while ((r = bh_store_read(s, b, &err)) > 0) {
        *ret_rows += b->rows;
    }
    bh_store_get_totals(s, &t);
    bh_store_close(s);
    const double took = bench_cpu_ns() - before;
    *ret_bytes = t.bytes;
    bh_batch_free(b);
    if (r < 0) {
        fail(&err);
    }
    return took / (double)*ret_rows;
}

static void
bench_profile(const char *path, const struct bh_home *home, const char *dir,
              const kobold *countries, bool lean, int rounds)
{
    struct bench_figure take = { 0 }, seal = { 0 }, tick = { 0 }, all = { 0 }, some = { 0 };
    struct result r = { 0 };
    uint64_t rows = 0, bytes = 0;
    long faults[4];
    char what[160];
    const char *const profile = lean ? "lean" : "full";
    faults[0] = bench_faults();
    for (int i = 0; i < rounds; i++) {
        r = write_once(path, home, dir, countries, lean, true);
        bench_add(&tick, r.tick_ns);
    }
    faults[1] = bench_faults();
    for (int i = 0; i < rounds; i++) {
        r = write_once(path, home, dir, countries, lean, false);
        bench_add(&take, r.write_ns);
        bench_add(&seal, r.seal_ns);
    }
    faults[2] = bench_faults();
    for (int i = 0; i < rounds; i++) {
        bench_add(&all, read_once(dir, countries, BH_STORE_ALL, &rows, &bytes));
        bench_add(&some, read_once(dir, countries, 0, &rows, &bytes));
    }
    faults[3] = bench_faults();
    if (rows != r.rows) {
        bench_fail("bench_store", "records were lost");
    }
    const double millions = (double)rows / 1e6;
    snprintf(what, sizeof what, "%s, %.3g M records: take a batch", profile, millions);
    bench_print("store", what, &take, (faults[2] - faults[1]) / rounds, NULL, NULL);
    snprintf(what, sizeof what, "%s, seal (%.2f octets a record)", profile,
             (double)bytes / (double)rows);
    bench_print("store", what, &seal, (faults[2] - faults[1]) / rounds, NULL, NULL);
    snprintf(what, sizeof what, "%s, journal of %u a second", profile, LIVE_ROWS);
    bench_print("store", what, &tick, (faults[1] - faults[0]) / rounds, NULL, NULL);
    snprintf(what, sizeof what, "%s, read all columns", profile);
    bench_print("store", what, &all, (faults[3] - faults[2]) / rounds, NULL, NULL);
    snprintf(what, sizeof what, "%s, read what a report needs", profile);
    bench_print("store", what, &some, (faults[3] - faults[2]) / rounds, NULL, NULL);
}

int
main(int argc, char **argv)
{
    const char *path = bench_traffic(argc, argv, 10000000);
    const int rounds = atoi(bench_env("BH_BENCH_ROUNDS", "3"));
    struct bh_home home;
    struct bh_error err;
    kobold *countries = NULL;
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/store-log", bench_env("BH_BENCH_DATA", "."));
    if (bh_home_parse(BENCH_HOME, &home, &err) < 0) {
        bench_fail("bench_store", err.text[BH_EN]);
    }
    const char *database = bench_env("KOBOLD_DB", "build/data/country.kdb");
    if (kobold_open(database, &countries) != 0) {
        bench_fail(database, "cannot be opened");
    }
    bench_profile(path, &home, dir, countries, false,
                  rounds < 1 || rounds > BENCH_ROUNDS ? 3 : rounds);
    bench_profile(path, &home, dir, countries, true,
                  rounds < 1 || rounds > BENCH_ROUNDS ? 3 : rounds);
    empty_dir(dir);
    kobold_close(countries);
    bh_home_done(&home);
    return 0;
}
