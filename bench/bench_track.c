/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_track - how long it takes to say what a packet is (classify), and what became of its connection
 * (flows).
 *
 *   bench_track [FILE]
 *
 * FILE: else 10 M packets of gen_traffic, whose home is assumed. Reading and decoding are not in the figures;
 * making the tables, with their page faults, is. All rows are counted, all of one country. Nobody else does this
 * alone: no peer.
 */
#include "bench_common.h"
#include "bh_packet.h"
#include "bh_track.h"

struct result {
    double classify_ns, flows_ns; /* per row */
    uint64_t rows, accesses, moves;
};

static struct bh_track *
make_track(const struct bh_home *home, bool outcomes)
{
    struct bh_track_config cfg = {
        .home = home, .two_sided = true, .outcomes = outcomes, .key = bh_random_key()
    };
    struct bh_track *t;
    if (bh_track_new(&cfg, &t) < 0) {
        bench_fail("bench_track", "out of memory");
    }
    return t;
}

static struct result
track_once(const char *path, const struct bh_home *home, bool outcomes)
{
    struct bh_decoder d = { 0 };
    struct bh_capture *c;
    struct bh_error err;
    struct result sum = { 0 };
    char line[1024];
    if (bh_capture_open(&path, 1, &c, &err) < 0) {
        bench_fail("bench_track", bh_error_line(&err, BH_EN, line, sizeof line));
    }
    struct bh_frames *f = bh_frames_new();
    struct bh_batch *b = bh_batch_new();
    if (f == NULL || b == NULL) {
        bench_fail("bench_track", "out of memory");
    }
    struct bench_loop loop = bench_loop_begin();
    struct bh_track *t = make_track(home, outcomes);
    sum.classify_ns = bench_wall_ns() - loop.wall_ns;
    memset(b->counted, 1, sizeof b->counted);
    while (bh_capture_read(c, f) > 0) {
        for (uint32_t at = 0; at < f->count;) {
            const struct bh_move *moves;
            bh_batch_reset(b);
            bh_packet_decode(&d, f, &at, b);
            double before = bench_wall_ns();
            bh_track_classify(t, b);
            double between = bench_wall_ns();
            sum.moves += bh_track_flows(t, b, &moves);
            double after = bench_wall_ns();
            sum.classify_ns += between - before - loop.clock_ns;
            sum.flows_ns += after - between - loop.clock_ns;
            sum.rows += b->rows;
            for (uint32_t i = 0; i < b->rows; i++) {
                sum.accesses += b->cls[i] == BH_CLASS_ACCESS;
            }
        }
    }
    const double scale = bench_loop_end(&loop) / (double)sum.rows;
    sum.classify_ns *= scale;
    sum.flows_ns *= scale;
    bh_track_free(t);
    bh_batch_free(b);
    bh_frames_free(f);
    bh_capture_close(c);
    return sum;
}

int
main(int argc, char **argv)
{
    const char *path = bench_traffic(argc, argv, 10000000);
    struct bh_home home;
    struct bh_error err;
    if (bh_home_parse(BENCH_HOME, &home, &err) < 0) {
        bench_fail("bench_track", err.text[BH_EN]);
    }
    for (int outcomes = 0; outcomes <= 1; outcomes++) {
        struct bench_figure classify = { 0 }, flows = { 0 };
        struct result r;
        char what[160];
        track_once(path, &home, outcomes != 0); /* warm */
        long faults = bench_faults();
        for (int i = 0; i < BENCH_ROUNDS; i++) {
            r = track_once(path, &home, outcomes != 0);
            bench_add(&classify, r.classify_ns);
            bench_add(&flows, r.flows_ns);
        }
        faults = (bench_faults() - faults) / BENCH_ROUNDS;
        const char *with = outcomes != 0 ? "with outcomes" : "without outcomes";
        snprintf(what, sizeof what, "classify and make the tables, %s, %.3g M packets", with,
                 (double)r.rows / 1e6);
        bench_print("track", what, &classify, faults, NULL, NULL);
        snprintf(what, sizeof what, "follow connections, %s (%.3g M accesses)", with,
                 (double)r.accesses / 1e6);
        bench_print("track", what, &flows, faults, NULL, NULL);
    }
    bh_home_done(&home);
    return 0;
}
