/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_import - how long a line of a log takes until it is a row in order of time, beside what else reads
 * such files: awk that takes address and port of each line, and grep for one port.
 *
 *   bench_import [FILE]
 *
 * FILE: else a packet log of 2 M lines, and flows of Zeek and nfdump of 1 M, made here. Reading them from the
 * page cache is in all figures; the peers are processes of their own, in wall time.
 */
#include "bench_common.h"
#include "bh_import.h"

#define LOG_LINES 2000000U
#define FLOW_LINES 1000000U

static uint32_t
next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*state >> 33);
}

static void
put_netfilter(FILE *f, uint32_t i, uint64_t *random)
{
    static const unsigned ports[] = { 22, 23, 80, 445, 3389, 8080, 53, 123 };
    uint32_t second = i / 200, src = next_random(random), port = ports[next_random(random) % 8];
    fprintf(
        f,
        "Mar %2u %02u:%02u:%02u gw kernel: [%u.%06u] DROP IN=eth1 OUT= MAC=02:00:00:00:00:01:02:00:00:00:00:02:08:00 "
        "SRC=%u.%u.%u.%u DST=203.0.113.%u LEN=44 TOS=0x00 PREC=0x00 TTL=%u ID=%u PROTO=%s SPT=%u DPT=%u ",
        11 + second / 86400, second / 3600 % 24, second / 60 % 60, second % 60, 463490 + second,
        i % 1000000, 1 + (src >> 24) % 222, src >> 16 & 255, src >> 8 & 255, src & 255, i & 255,
        30 + i % 60, src & 65535, port == 53 || port == 123 ? "UDP" : "TCP",
        1024 + next_random(random) % 60000, port);
    fputs(port == 53 || port == 123 ? "LEN=24 \n" : "WINDOW=1024 RES=0x00 SYN URGP=0 \n", f);
}

static void
put_zeek(FILE *f, uint32_t i, uint64_t *random)
{
    static const char *const ends[] = { "S0\t-\t-\tS\t1\t60\t0\t0", "REJ\t0\t0\tSr\t1\t60\t1\t40",
                                        "SF\t261\t1077\tShADadfF\t5\t473\t5\t1281" };
    uint32_t src = next_random(random);
    fprintf(f, "%u.%06u\tC%08x\t%u.%u.%u.%u\t%u\t203.0.113.%u\t22\ttcp\t%s\n", 1700000000 + i / 200,
            i % 1000000, i, 1 + (src >> 24) % 222, src >> 16 & 255, src >> 8 & 255, src & 255,
            1024 + next_random(random) % 60000, i & 255, ends[i % 3]);
}

static void
put_nfdump(FILE *f, uint32_t i, uint64_t *random)
{
    static const char *const flags[] = { "......S.", "...AP.SF", ".....RS." };
    uint32_t src = next_random(random), second = i / 200;
    fprintf(
        f,
        "2023-11-%02u %02u:%02u:%02u,2023-11-%02u %02u:%02u:%02u,0.000,%u.%u.%u.%u,203.0.113.%u,%u,22,TCP,%s,0,0,%u,%u,0,0\n",
        14 + second / 86400, second / 3600 % 24, second / 60 % 60, second % 60, 14 + second / 86400,
        second / 3600 % 24, second / 60 % 60, second % 60, 1 + (src >> 24) % 222, src >> 16 & 255,
        src >> 8 & 255, src & 255, i & 255, 1024 + next_random(random) % 60000, flags[i % 3],
        1 + i % 9, 60 * (1 + i % 9));
}

static const char *
make(char *path, size_t size, const char *name, const char *head, uint32_t lines,
     void (*put)(FILE *, uint32_t, uint64_t *))
{
    uint64_t random = 1;
    snprintf(path, size, "%s/%s", bench_env("BH_BENCH_DATA", "."), name);
    if (access(path, R_OK) == 0) {
        return path;
    }
    char making[4200];
    snprintf(making, sizeof making, "%s.making", path);
    FILE *f = fopen(making, "w");
    if (f == NULL) {
        bench_fail(making, "cannot write");
    }
    fputs(head, f);
    for (uint32_t i = 0; i < lines; i++) {
        put(f, i, &random);
    }
    if (fclose(f) != 0 || rename(making, path) != 0) {
        bench_fail(making, "cannot write");
    }
    return path;
}

/* ns a line. */
static double
read_once(const char *path, uint64_t *ret_lines)
{
    struct bh_import *im;
    struct bh_error err;
    char line[1024];
    double before = bench_cpu_ns();
    if (bh_import_open(&path, 1, NULL, &im, &err) < 0) {
        bench_fail("bench_import", bh_error_line(&err, BH_EN, line, sizeof line));
    }
    struct bh_batch *b = bh_batch_new();
    while (b != NULL && bh_import_read(im, b, &err) > 0) {
    }
    struct bh_import_stats s;
    bh_import_get_stats(im, &s);
    bh_batch_free(b);
    bh_import_close(im);
    if (s.bad_rows > 0) {
        bench_fail(path, s.bad_example);
    }
    *ret_lines = s.rows;
    return (bench_cpu_ns() - before) / (double)s.rows;
}

static void
measure(const char *path, const char *what, const char *peer, const char *command)
{
    struct bench_figure ours = { 0 }, theirs = { 0 };
    uint64_t lines;
    char text[160], line[256], full[8600];
    read_once(path, &lines); /* warm */
    long faults = bench_faults();
    snprintf(full, sizeof full, "%s '%s'", command, path);
    for (int i = 0; i < BENCH_ROUNDS; i++) {
        bench_add(&ours, read_once(path, &lines));
        double before = bench_wall_ns();
        if (bench_run(full, line, sizeof line)) {
            bench_add(&theirs, (bench_wall_ns() - before) / (double)lines);
        }
    }
    faults = (bench_faults() - faults) / BENCH_ROUNDS;
    snprintf(text, sizeof text, "%s, %.3g M lines to rows", what, (double)lines / 1e6);
    bench_print("import", text, &ours, faults, peer, &theirs);
}

int
main(int argc, char **argv)
{
    char path[4096];
    static const char awk[] =
        "awk '{ for (i = 8; i <= NF; i++) { if ($i ~ /^SRC=/) s = $i; else if ($i ~ /^DPT=/) n[$i]++ } } "
        "END { print length(n) }'";
    const char *log =
        argc > 1 ? argv[1] : make(path, sizeof path, "packets.log", "", LOG_LINES, put_netfilter);
    measure(log, "packet log", "awk, source and port", awk);
    measure(log, "packet log", "grep -c of one port", "grep -c 'DPT=445 '");
    if (argc > 1) {
        return 0;
    }
    make(
        path, sizeof path, "conn.log",
        "#separator \\x09\n#unset_field\t-\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tconn_state\t"
        "orig_bytes\tresp_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\n",
        FLOW_LINES, put_zeek);
    measure(path, "conn.log", "awk, source and port",
            "awk -F '\\t' '{ s = $3; n[$6]++ } END { print length(n) }'");
    make(path, sizeof path, "nfdump.csv",
         "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt\n", FLOW_LINES, put_nfdump);
    measure(path, "nfdump's CSV", "awk, source and port",
            "awk -F , '{ s = $4; n[$7]++ } END { print length(n) }'");
    return 0;
}
