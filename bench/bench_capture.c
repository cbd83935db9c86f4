/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_capture - how long it takes to read a capture into blocks of frames, beside libpcap's empty loop
 * in the same run.
 *
 *   bench_capture [FILE]
 *
 * FILE: else 10 M packets of gen_traffic. Reading it from the page cache is in both figures.
 * peers: libpcap-dev
 */
#include "bench_common.h"
#include "bh_capture.h"

static double
read_once(const char *path, uint64_t *ret_frames)
{
    struct bh_capture *c;
    struct bh_error err;
    char line[1024];
    double before = bench_cpu_ns();
    if (bh_capture_open(&path, 1, &c, &err) < 0) {
        bench_fail("bench_capture", bh_error_line(&err, BH_EN, line, sizeof line));
    }
    struct bh_frames *f = bh_frames_new();
    uint64_t frames = 0;
    while (f != NULL && bh_capture_read(c, f) > 0) {
        frames += f->count;
    }
    bh_frames_free(f);
    bh_capture_close(c);
    *ret_frames = frames;
    return (bench_cpu_ns() - before) / (double)frames;
}

/* The peer is a process of its own, as libpcap may not be there. */
static void
run_peer(const char *path, struct bench_figure *figure)
{
    char command[16384];
    char line[256];
    unsigned long long packets;
    double ns;
    const char *root = bench_env("BH_BUILD_ROOT", "build");
    snprintf(command, sizeof command,
             "test -x '%s/bench/peer_pcap_loop' && '%s/bench/peer_pcap_loop' '%s'", root, root,
             path);
    if (bench_run(command, line, sizeof line) && sscanf(line, "%llu %lf", &packets, &ns) == 2 &&
        packets > 0) {
        bench_add(figure, ns / (double)packets);
    }
}

int
main(int argc, char **argv)
{
    const char *path = bench_traffic(argc, argv, 10000000);
    struct bench_figure ours = { 0 }, theirs = { 0 };
    uint64_t frames;
    char what[128];
    read_once(path, &frames); /* warm */
    long faults = bench_faults();
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        bench_add(&ours, read_once(path, &frames));
        run_peer(path, &theirs);
    }
    faults = (bench_faults() - faults) / BENCH_ROUNDS;
    snprintf(what, sizeof what, "read %.3g M packets into blocks", (double)frames / 1e6);
    bench_print("capture", what, &ours, faults, "libpcap, empty loop", &theirs);
    return 0;
}
