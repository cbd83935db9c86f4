/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_packet - how long it takes to decode a frame into a row of a batch: what counting needs, and
 * with all fields.
 *
 *   bench_packet [FILE]
 *
 * FILE: else 10 M packets of gen_traffic. Reading is not in the figures; each block is decoded right after
 * it was read. Nobody else decodes by itself: no peer.
 */
#include "bench_common.h"
#include "bh_packet.h"

static double
decode_once(const char *path, uint32_t want, uint64_t *ret_rows)
{
    static struct bh_decoder d;
    struct bh_capture *c;
    struct bh_error err;
    char line[1024];
    if (bh_capture_open(&path, 1, &c, &err) < 0) {
        bench_fail("bench_packet", bh_error_line(&err, BH_EN, line, sizeof line));
    }
    struct bh_frames *f = bh_frames_new();
    struct bh_batch *b = bh_batch_new();
    double ns = 0;
    uint64_t rows = 0;
    d.want = want;
    struct bench_loop loop = bench_loop_begin();
    while (f != NULL && b != NULL && bh_capture_read(c, f) > 0) {
        double before = bench_wall_ns();
        for (uint32_t at = 0; at < f->count;) {
            bh_batch_reset(b);
            b->want = want;
            rows += bh_packet_decode(&d, f, &at, b);
        }
        ns += bench_wall_ns() - before - loop.clock_ns;
    }
    ns *= bench_loop_end(&loop);
    bh_batch_free(b);
    bh_frames_free(f);
    bh_capture_close(c);
    *ret_rows = rows;
    return ns / (double)rows;
}

int
main(int argc, char **argv)
{
    static const struct {
        uint32_t want;
        const char *what;
    } cases[] = { { 0, "decode what counting needs" }, { BH_WANT_COLD, "decode all fields" } };
    const char *path = bench_traffic(argc, argv, 10000000);
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        struct bench_figure ours = { 0 };
        uint64_t rows;
        char what[128];
        decode_once(path, cases[k].want, &rows); /* warm */
        long faults = bench_faults();
        for (int i = 0; i < BENCH_ROUNDS; i++) {
            bench_add(&ours, decode_once(path, cases[k].want, &rows));
        }
        faults = (bench_faults() - faults) / BENCH_ROUNDS;
        snprintf(what, sizeof what, "%s, %.3g M packets", cases[k].what, (double)rows / 1e6);
        bench_print("packet", what, &ours, faults, NULL, NULL);
    }
    return 0;
}
