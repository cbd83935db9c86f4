/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_tally - how long it takes to count a packet: its source and country, and then the counters of country
 * and port, distinct sources of both, and outcomes.
 *
 *   bench_tally [FILE]
 *
 * FILE: else 10 M packets of gen_traffic, whose home is assumed; countries by $KOBOLD_DB. Reading, decoding
 * and tracking are not in the figures; growing the tables is, ranking the result is a figure of its own.
 * Nobody else does this alone: no peer.
 */
#include "bench_common.h"
#include "bh_analysis.h"
#include "bh_packet.h"

struct result {
    double sources_ns, counts_ns, rank_ns;
    uint64_t rows, sources;
};

struct counting {
    uint32_t frequent[63];
    size_t frequent_count;
    struct bh_home home;
    struct bh_places places;
    kobold *countries;
};

static void
start_counting(struct counting *x, int64_t start_ns, struct bh_track **ret_track,
               struct bh_tally **ret_tally)
{
    const uint64_t key = bh_random_key();
    struct bh_track_config track = {
        .home = &x->home, .two_sided = true, .outcomes = true, .key = key
    };
    struct bh_tally_config tally = {
        .countries = x->countries,
        .places = &x->places,
        .home = &x->home,
        .period = { .start_ns = INT64_MIN, .end_ns = INT64_MAX },
        .list_port = -1,
        .list_proto = -1,
        .outcomes = true,
        .expected_frames = 10000000,
        .start_ns = start_ns,
        .two_sided = true,
        .frequent = x->frequent,
        .frequent_count = x->frequent_count,
        .shards = 1,
        .key = key,
    };
    if (bh_track_new(&track, ret_track) < 0 || bh_tally_new(&tally, ret_tally) < 0) {
        bench_fail("bench_tally", "out of memory");
    }
}

static double
rank(struct bh_tally *tally, const struct bh_track *track, uint64_t *ret_sources)
{
    struct bh_trend_options o = { .top = 10,
                                  .ports = 5,
                                  .period = { .start_ns = INT64_MIN, .end_ns = INT64_MAX } };
    struct bh_track_bounds bounds;
    struct bh_trend *trend;
    bh_track_get_bounds(track, &bounds);
    double before = bench_cpu_ns();
    if (bh_trend_new(tally, &o, &bounds, &trend) < 0) {
        bench_fail("bench_tally", "no result");
    }
    double ns = bench_cpu_ns() - before;
    *ret_sources = trend->sources;
    bh_trend_free(trend);
    return ns;
}

/* The ports asked for most among the first packets, as a report finds them. */
static void
find_frequent(const char *path, struct counting *x)
{
    struct bh_decoder d = { 0 };
    struct bh_capture *c;
    static uint32_t count[1U << 17];
    if (bh_capture_open(&path, 1, &c, NULL) < 0) {
        bench_fail(path, "cannot be read");
    }
    struct bh_frames *f = bh_frames_new();
    struct bh_batch *b = bh_batch_new();
    for (int blocks = 0; blocks < 64 && bh_capture_read(c, f) > 0; blocks++) {
        for (uint32_t at = 0; at < f->count;) {
            bh_batch_reset(b);
            bh_packet_decode(&d, f, &at, b);
            for (uint32_t i = 0; i < b->rows; i++) {
                bool asks = b->proto[i] == BH_PROTO_UDP ||
                            (b->proto[i] == BH_PROTO_TCP && b->tcp_flags[i] == BH_TCP_SYN);
                count[(uint32_t)(b->proto[i] == BH_PROTO_UDP) << 16 | bh_batch_dst_port(b, i)] +=
                    asks;
            }
        }
    }
    while (x->frequent_count < BH_COUNT(x->frequent)) {
        uint32_t best = 0;
        for (uint32_t k = 1; k < BH_COUNT(count); k++) {
            best = count[k] > count[best] ? k : best;
        }
        if (count[best] < 2) {
            break;
        }
        count[best] = 0;
        x->frequent[x->frequent_count++] = best;
    }
    bh_batch_free(b);
    bh_frames_free(f);
    bh_capture_close(c);
}

static struct result
count_once(const char *path, struct counting *x)
{
    struct bh_decoder d = { 0 };
    struct bh_capture *c;
    struct bh_error err;
    struct result sum = { 0 };
    struct bh_track *track = NULL;
    struct bh_tally *tally = NULL;
    char line[1024];
    if (bh_capture_open(&path, 1, &c, &err) < 0) {
        bench_fail("bench_tally", bh_error_line(&err, BH_EN, line, sizeof line));
    }
    struct bh_frames *f = bh_frames_new();
    struct bh_batch *b = bh_batch_new();
    if (f == NULL || b == NULL) {
        bench_fail("bench_tally", "out of memory");
    }
    struct bench_loop loop = bench_loop_begin();
    while (bh_capture_read(c, f) > 0) {
        for (uint32_t at = 0; at < f->count;) {
            const struct bh_move *moves;
            bh_batch_reset(b);
            bh_packet_decode(&d, f, &at, b);
            if (tally == NULL) {
                start_counting(x, b->ts_ns[0], &track, &tally);
            }
            bh_track_classify(track, b);
            double t0 = bench_wall_ns();
            bh_tally_sources(tally, b);
            double t1 = bench_wall_ns();
            size_t n = bh_track_flows(track, b, &moves);
            double t2 = bench_wall_ns();
            bh_tally_counts(tally, b, moves, n);
            double t3 = bench_wall_ns();
            sum.sources_ns += t1 - t0 - loop.clock_ns;
            sum.counts_ns += t3 - t2 - loop.clock_ns;
            sum.rows += b->rows;
        }
    }
    if (tally == NULL) {
        bench_fail(path, "no packets");
    }
    const double scale = bench_loop_end(&loop) / (double)sum.rows;
    sum.sources_ns *= scale;
    sum.counts_ns *= scale;
    sum.rank_ns = rank(tally, track, &sum.sources) / (double)sum.rows;
    bh_tally_free(tally);
    bh_track_free(track);
    bh_batch_free(b);
    bh_frames_free(f);
    bh_capture_close(c);
    return sum;
}

int
main(int argc, char **argv)
{
    bh_heap_in_huge_pages();
    const char *path = bench_traffic(argc, argv, 10000000);
    static struct counting x;
    struct bh_error err;
    const char *db = bench_env("KOBOLD_DB", "build/data/country.kdb");
    if (bh_home_parse(BENCH_HOME, &x.home, &err) < 0) {
        bench_fail("bench_tally", err.text[BH_EN]);
    }
    if (kobold_open(db, &x.countries) < 0) {
        bench_fail(db, "cannot open; see tools/fetch_country_data");
    }
    bh_places_init(&x.places, x.countries, false, "");
    find_frequent(path, &x);
    struct bench_figure sources = { 0 }, counts = { 0 }, ranked = { 0 };
    struct result r;
    char what[160];
    count_once(path, &x); /* warm */
    long faults = bench_faults();
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        r = count_once(path, &x);
        bench_add(&sources, r.sources_ns);
        bench_add(&counts, r.counts_ns);
        bench_add(&ranked, r.rank_ns);
    }
    faults = (bench_faults() - faults) / BENCH_ROUNDS;
    snprintf(what, sizeof what, "sources and their countries, %.3g M packets (%.3g M sources)",
             (double)r.rows / 1e6, (double)r.sources / 1e6);
    bench_print("tally", what, &sources, faults, NULL, NULL);
    bench_print("tally", "counters, distinct sources by port, outcomes", &counts, faults, NULL,
                NULL);
    bench_print("tally", "ranking the result, spread over all packets", &ranked, faults, NULL,
                NULL);
    kobold_close(x.countries);
    bh_home_done(&x.home);
    return 0;
}
