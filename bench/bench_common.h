/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_common.h - what the benchmarks of single stages share: the capture they read, a clock, and the
 * lines they print (tools/bench says what a line is).
 *
 * A stage is timed batch by batch, between the stage before it and the next, so that caches are as they are
 * in a report. Times are CPU time: what the neighbours do is in there only through the caches. Page faults of the process stand beside each figure, as they can cost more than the work does.
 */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include "bh_base.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define BENCH_ROUNDS 7
#define BENCH_HOME "203.0.113.0/24,2001:db8:5e::/120"

static _Noreturn inline void
bench_fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static inline double
bench_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static inline long
bench_faults(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_minflt;
}

/*
 * A loop over stages. Asking for CPU time is a system call, after which the processor's address caches may
 * be empty: between stages that would be measured, too. So stages are told apart by the wall clock,
 * which is read without one, and their shares are applied to the CPU time of the whole loop: being
 * interrupted falls on the stages as their lengths do.
 */
struct bench_loop {
    double cpu_ns, wall_ns; /* at the start */
    double clock_ns;        /* of reading the wall clock */
};

static inline double
bench_wall_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static inline struct bench_loop
bench_loop_begin(void)
{
    struct bench_loop l = { .clock_ns = 1e9 };
    for (int i = 0; i < 1000; i++) {
        double before = bench_wall_ns();
        double t = bench_wall_ns() - before;
        l.clock_ns = t < l.clock_ns ? t : l.clock_ns;
    }
    l.cpu_ns = bench_cpu_ns();
    l.wall_ns = bench_wall_ns();
    return l;
}

/* What to multiply wall time inside the loop with. */
static inline double
bench_loop_end(const struct bench_loop *l)
{
    double wall = bench_wall_ns() - l->wall_ns;
    return (bench_cpu_ns() - l->cpu_ns) / wall;
}

static inline const char *
bench_env(const char *name, const char *otherwise)
{
    const char *v = getenv(name);
    return v != NULL && v[0] != '\0' ? v : otherwise;
}

/* One line of a command's output, without its end. */
static inline bool
bench_run(const char *command, char *line, size_t size)
{
    FILE *f = popen(command, "r");
    bool ok = f != NULL && fgets(line, (int)size, f) != NULL;
    if (f != NULL) {
        ok = pclose(f) == 0 && ok;
    }
    if (ok) {
        line[strcspn(line, "\n")] = '\0';
    }
    return ok;
}

/* The capture of `packets` packets, made when it is not there. The argument of a benchmark is another file. */
static inline const char *
bench_traffic(int argc, char **argv, unsigned packets)
{
    static char path[4096];
    char command[16384];
    char ranges[8192] = "";
    if (argc > 1) {
        return argv[1];
    }
    const char *root = bench_env("BH_SOURCE_ROOT", ".");
    static const char *const tables[] = { "geoip", "geoip6" };
    for (size_t i = 0; i < BH_COUNT(tables); i++) {
        char table[4096];
        snprintf(table, sizeof table, "%s/.cache/country/%s", root, tables[i]);
        if (access(table, R_OK) == 0) {
            size_t n = strlen(ranges);
            snprintf(ranges + n, sizeof ranges - n, " --ranges '%s'", table);
        }
    }
    snprintf(command, sizeof command, "'%s' -n %u --into '%s'%s",
             bench_env("BH_GEN_TRAFFIC", "build/bench/gen_traffic"), packets,
             bench_env("BH_BENCH_DATA", "."), ranges);
    if (!bench_run(command, path, sizeof path)) {
        bench_fail(command, "failed");
    }
    return path;
}

struct bench_figure {
    double value[BENCH_ROUNDS];
    int count;
};

static inline int
bench_compare(const void *pa, const void *pb)
{
    double a = *(const double *)pa;
    double b = *(const double *)pb;
    return a < b ? -1 : a > b;
}

static inline void
bench_add(struct bench_figure *f, double value)
{
    f->value[f->count++] = value;
}

/* ns per packet: less is better. `peer` may be NULL: nobody does this stage alone. */
static inline void
bench_print(const char *bench, const char *what, struct bench_figure *ours, long faults,
            const char *peer, struct bench_figure *theirs)
{
    qsort(ours->value, (size_t)ours->count, sizeof ours->value[0], bench_compare);
    double value = ours->value[ours->count / 2];
    printf("{\"bench\":\"%s\",\"what\":\"%s: median of %d (best %.2f", bench, what, ours->count,
           ours->value[0]);
    if (peer != NULL && theirs->count > 0) {
        qsort(theirs->value, (size_t)theirs->count, sizeof theirs->value[0], bench_compare);
        double other = theirs->value[theirs->count / 2];
        printf(
            ", peer's %.2f; %ld page faults)\",\"value\":%.2f,\"unit\":\"ns/packet\",\"peer\":\"%s\",\"peer_value\":%.2f,"
            "\"ratio\":%.2f}\n",
            theirs->value[0], faults, value, peer, other, other / value);
    } else {
        printf(
            "; %ld page faults)\",\"value\":%.2f,\"unit\":\"ns/packet\",\"peer\":%s%s%s,\"peer_value\":null,\"ratio\":null}\n",
            faults, value, peer != NULL ? "\"" : "", peer != NULL ? peer : "null",
            peer != NULL ? "\"" : "");
    }
    fflush(stdout);
}

#endif
