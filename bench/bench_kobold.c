/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_kobold - how long "address -> country" takes, beside others on the same data in the same run.
 *
 *   bench_kobold [--quick] [DIR]
 *
 * DIR holds geoip and geoip6 (tools/fetch_country_data), or *-ipv4.csv and *-ipv6.csv of start,end,cc; else the
 * folder of $BH_TEST_NPM_TABLE, else .cache/country of the source tree. Others: libmaxminddb and libloc
 * (kobold_peers.h), and as yardsticks a sorted array, DIR-24-8, and reading the keys alone.
 * peers: libmaxminddb-dev libloc-dev
 *
 * What looks up the same keys takes turns, a slice of about a millisecond each, so that a loud moment of
 * the machine falls on all. Figures are CPU time per look-up: the best of five
 * medians of seven turns, the same for us and for the others. threads_2: both threads' CPU time, halved; on a
 * machine of our own that is the wall time, which stands beside it. Keys: kobold_data.h. "what" names the keys and,
 * behind them, how: nothing: kobold_v4_inline() or kobold_v6(); call: kobold_v4(); batch: an array of
 * 1024; strided: fields of structures; dependent: the next key waits for this answer. "ipv6" is the
 * harsh set, a random range first; "ipv4_dependent" the uniform one.
 */
#include "bench_common.h"
#include "kobold_peers.h"

#include <pthread.h>

enum { GROUPS = 5, TURNS = 7, SLICE = 262144, PEER_SLICE = 12288, BATCH = 1024 };

static volatile uint64_t sink;
static int turns = TURNS;
static const struct bench_peer *mmdb, *libloc; /* NULL: missing */

/* ---- our passes ------------------------------------------------------------------------------ */

static uint64_t
v4_inline(const struct bench_data *d, enum bench_set set, size_t at, size_t n)
{
    const kobold *k = d->k;
    const uint32_t *keys = d->v4[set] + at;
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += kobold_v4_inline(k, keys[i]);
    }
    return sum;
}

static uint64_t
v4_call(const struct bench_data *d, enum bench_set set, size_t at, size_t n)
{
    const kobold *k = d->k;
    const uint32_t *keys = d->v4[set] + at;
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += kobold_v4(k, keys[i]);
    }
    return sum;
}

static volatile uint64_t zero; /* nobody knows that it stays so */

static uint64_t
v4_dependent(const struct bench_data *d, enum bench_set set, size_t at, size_t n)
{
    const kobold *k = d->k;
    const uint32_t *keys = d->v4[set] + at;
    uint32_t mask = (uint32_t)zero;
    uint32_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v = kobold_v4_inline(k, keys[i] ^ (v & mask));
    }
    return v;
}

static uint64_t
v4_batch(const struct bench_data *d, enum bench_set set, size_t at, size_t n)
{
    uint16_t values[BATCH];
    uint64_t sum = 0;
    for (size_t i = at; i < at + n; i += BATCH) {
        kobold_v4_many(d->k, d->v4[set] + i, values, BATCH);
        sum += values[0];
    }
    return sum;
}

static uint64_t
v4_strided(const struct bench_data *d, enum bench_set set, size_t at, size_t n)
{
    uint16_t values[BATCH];
    uint64_t sum = 0;
    for (size_t i = at; i < at + n; i += BATCH) {
        kobold_v4_strided(d->k, d->v4[set] + i, sizeof *d->v4[set], KOBOLD_HOST, values, BATCH);
        sum += values[0];
    }
    return sum;
}

static uint64_t
v6_call(const struct bench_data *d, enum bench_set set, size_t at, size_t n)
{
    const kobold *k = d->k;
    const uint64_t(*keys)[2] = (const uint64_t(*)[2])d->v6[set] + at;
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += kobold_v6(k, keys[i][0], keys[i][1]);
    }
    return sum;
}

static uint64_t
v6_dependent(const struct bench_data *d, enum bench_set set, size_t at, size_t n)
{
    const kobold *k = d->k;
    const uint64_t(*keys)[2] = (const uint64_t(*)[2])d->v6[set] + at;
    uint64_t mask = zero;
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v = kobold_v6(k, keys[i][0] ^ (v & mask), keys[i][1]);
    }
    return v;
}

static uint64_t
v6_batch(const struct bench_data *d, enum bench_set set, size_t at, size_t n)
{
    uint16_t values[BATCH];
    uint64_t sum = 0;
    for (size_t i = at; i < at + n; i += BATCH) {
        kobold_v6_many(d->k, (const uint64_t(*)[2])d->v6[set] + i, values, BATCH);
        sum += values[0];
    }
    return sum;
}

static uint64_t
open_once(const struct bench_data *d, enum bench_set set, size_t at, size_t n)
{
    (void)set;
    (void)at;
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        kobold *k;
        if (kobold_open(d->kdb_path, &k) < 0) {
            bench_stop(d->kdb_path, "cannot open");
        }
        const uint64_t *v6 = d->v6[SET_RANGE][0];
        sum += kobold_v4(k, d->v4[SET_UNIFORM][0]) + (uint64_t)kobold_v6(k, v6[0], v6[1]);
        kobold_close(k);
    }
    return sum;
}

/* ---- taking turns ---------------------------------------------------------------------------- */

struct runner {
    bench_pass pass;
    size_t slice; /* keys in one turn */
    double t[GROUPS][TURNS];
    double best; /* of the medians */
};

static int
compare_times(const void *pa, const void *pb)
{
    double a = *(const double *)pa;
    double b = *(const double *)pb;
    return a < b ? -1 : a > b;
}

/* A slice that is not timed goes first: who comes after another must not pay for what that left in the caches. */
static void
take_turn(const struct bench_data *d, enum bench_set set, struct runner *r, int group, int turn)
{
    size_t places = d->keys / SLICE - 1;
    size_t at = ((size_t)(group * TURNS + turn) * 5 + 1) % places * SLICE;
    sink = r->pass(d, set, at, r->slice);
    double before = bench_cpu_ns();
    sink = r->pass(d, set, at + r->slice, r->slice);
    r->t[group][turn] = (bench_cpu_ns() - before) / (double)r->slice;
}

static void
take_turns(const struct bench_data *d, enum bench_set set, struct runner *runners, size_t count)
{
    for (int g = 0; g < GROUPS; g++) {
        for (int t = 0; t < turns; t++) {
            for (size_t i = 0; i < count; i++) {
                if (runners[i].pass != NULL) {
                    take_turn(d, set, &runners[i], g, t);
                }
            }
        }
        for (size_t i = 0; i < count; i++) {
            struct runner *r = &runners[i];
            qsort(r->t[g], (size_t)turns, sizeof r->t[g][0], compare_times);
            double median = r->t[g][turns / 2];
            r->best = g == 0 || median < r->best ? median : r->best;
        }
    }
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* A peer's 0: it is missing. */
static void
put_line(const char *what, double value, const char *unit, const char *peer, double theirs)
{
    printf("{\"bench\":\"kobold\",\"what\":\"%s\",\"value\":%.2f,\"unit\":\"%s\",", what, value,
           unit);
    if (peer == NULL) {
        printf("\"peer\":null,\"peer_value\":null,\"ratio\":null}\n");
    } else if (theirs > 0) {
        printf("\"peer\":\"%s\",\"peer_value\":%.2f,\"ratio\":%.2f}\n", peer, theirs,
               theirs / value);
    } else {
        printf("\"peer\":\"%s\",\"peer_value\":null,\"ratio\":null}\n", peer);
    }
    fflush(stdout);
}

static void
put_pass(const char *what, const struct runner *ours, const char *peer, const struct runner *theirs)
{
    put_line(what, ours->best, "ns", peer, theirs->pass != NULL ? theirs->best : 0);
}

/* The others than libmaxminddb take turns among themselves: DIR-24-8 and libloc leave nothing of anybody's tables in
 * the caches, which a program that looks addresses up all the time would have there. */
static void
measure_v4(const struct bench_data *d, enum bench_set set, const char *name)
{
    enum { INLINE, CALL, ALL, STRIDED, DEPENDENT, MMDB, COUNT };
    struct runner r[COUNT] = {
        [INLINE] = { .pass = v4_inline, .slice = SLICE },
        [CALL] = { .pass = v4_call, .slice = SLICE },
        [ALL] = { .pass = v4_batch, .slice = SLICE },
        [STRIDED] = { .pass = v4_strided, .slice = SLICE },
        [DEPENDENT] = { .pass = v4_dependent, .slice = SLICE / 4 },
        [MMDB] = { .pass = mmdb != NULL ? mmdb->v4 : NULL, .slice = PEER_SLICE },
    };
    static const struct {
        const char *tag, *name;
        bench_pass pass;
        size_t slice;
    } others[] = {
        { "libloc", "libloc", NULL, PEER_SLICE / 4 },
        { "sorted_array", "sorted array, no jumps on data", bench_array_v4, SLICE / 16 },
        { "dir_24_8", "DIR-24-8", bench_dir24_v4, SLICE },
        { "reading", "reading the keys", bench_read_v4, SLICE },
    };
    static const char *const tails[] = { "", "_call", "_batch", "_strided" };
    struct runner o[BH_COUNT(others)] = { { .pass = NULL } };
    char what[64];
    take_turns(d, set, r, COUNT);
    for (int i = INLINE; i <= STRIDED; i++) {
        snprintf(what, sizeof what, "ipv4_%s%s", name, tails[i]);
        put_pass(what, &r[i], "libmaxminddb", &r[MMDB]);
    }
    snprintf(what, sizeof what, "ipv4%s%s_dependent", set == SET_UNIFORM ? "" : "_",
             set == SET_UNIFORM ? "" : name);
    put_pass(what, &r[DEPENDENT], "libmaxminddb", &r[MMDB]);
    for (size_t i = 0; i < BH_COUNT(others); i++) {
        o[i].pass = i > 0 ? others[i].pass : libloc != NULL ? libloc->v4 : NULL;
        o[i].slice = others[i].slice;
    }
    take_turns(d, set, o, BH_COUNT(o));
    for (size_t i = 0; i < BH_COUNT(others); i++) {
        snprintf(what, sizeof what, "ipv4_%s_vs_%s", name, others[i].tag);
        put_pass(what, &r[INLINE], others[i].name, &o[i]);
    }
}

static void
measure_v6(const struct bench_data *d, enum bench_set set, const char *name)
{
    enum { CALL, ALL, DEPENDENT, MMDB, COUNT };
    struct runner r[COUNT] = {
        [CALL] = { .pass = v6_call, .slice = SLICE / 4 },
        [ALL] = { .pass = v6_batch, .slice = SLICE / 4 },
        [DEPENDENT] = { .pass = v6_dependent, .slice = SLICE / 8 },
        [MMDB] = { .pass = mmdb != NULL ? mmdb->v6 : NULL, .slice = PEER_SLICE },
    };
    struct runner o = { .pass = libloc != NULL ? libloc->v6 : NULL, .slice = PEER_SLICE / 4 };
    static const char *const tails[] = { "", "_batch", "_dependent" };
    char what[64];
    take_turns(d, set, r, COUNT);
    for (int i = CALL; i <= DEPENDENT; i++) {
        snprintf(what, sizeof what, "ipv6%s%s", name, tails[i]);
        put_pass(what, &r[i], "libmaxminddb", &r[MMDB]);
    }
    take_turns(d, set, &o, 1);
    snprintf(what, sizeof what, "ipv6%s_vs_libloc", name);
    put_pass(what, &r[CALL], "libloc", &o);
}

static void
measure_open(const struct bench_data *d)
{
    struct runner r[] = {
        { .pass = open_once, .slice = 20 },
        { .pass = mmdb != NULL ? mmdb->open : NULL, .slice = 20 },
    };
    take_turns(d, SET_UNIFORM, r, BH_COUNT(r));
    put_line("open", r[0].best / 1e3, "us", "libmaxminddb", mmdb != NULL ? r[1].best / 1e3 : 0);
}

/* ---- two threads ----------------------------------------------------------------------------- */

struct worker {
    const struct bench_data *d;
    size_t at;
    double cpu_ns;
};

static void *
work(void *arg)
{
    struct worker *w = arg;
    uint64_t sum = 0;
    double before = bench_cpu_ns();
    for (size_t i = 0; i < 4; i++) {
        sum += v4_inline(w->d, SET_UNIFORM, w->at, w->d->keys / 2);
    }
    w->cpu_ns = bench_cpu_ns() - before;
    sink = sum;
    return NULL;
}

/* By the wall and, as other programs may need the processors too, by the threads' own time. */
static void
run_threads(const struct bench_data *d, size_t threads, double *ret_wall, double *ret_cpu)
{
    struct worker w[2] = { { d, 0, 0 }, { d, d->keys / 2, 0 } };
    pthread_t id[2];
    double looks = (double)(threads * 4 * (d->keys / 2));
    double before = bench_wall_ns();
    for (size_t i = 0; i < threads; i++) {
        if (pthread_create(&id[i], NULL, work, &w[i]) != 0) {
            bench_stop("threads", "cannot start one");
        }
    }
    for (size_t i = 0; i < threads; i++) {
        pthread_join(id[i], NULL);
    }
    *ret_wall = (bench_wall_ns() - before) / looks;
    *ret_cpu = (w[0].cpu_ns + w[1].cpu_ns) / (double)threads / looks;
}

static void
measure_threads(const struct bench_data *d)
{
    double wall[2][TURNS];
    double cpu[2][TURNS];
    for (int i = 0; i < turns; i++) {
        run_threads(d, 1, &wall[0][i], &cpu[0][i]);
        run_threads(d, 2, &wall[1][i], &cpu[1][i]);
    }
    for (int i = 0; i < 2; i++) {
        qsort(wall[i], (size_t)turns, sizeof wall[i][0], compare_times);
        qsort(cpu[i], (size_t)turns, sizeof cpu[i][0], compare_times);
    }
    put_line("threads_2", cpu[1][turns / 2], "ns", "one thread", cpu[0][turns / 2]);
    put_line("threads_2_wall", wall[1][turns / 2], "ns", "one thread", wall[0][turns / 2]);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

/* Octets of a family's sections: docs/format/kdb.md. */
static double
sections_size(const struct bench_data *d, uint32_t first, uint32_t last)
{
    struct bh_map map;
    struct bh_error err;
    double size = 0;
    if (bh_map_open(d->kdb_path, &map, &err) < 0) {
        bench_stop(d->kdb_path, "cannot read");
    }
    for (uint32_t i = 0; i < bh_get_le32(map.data + 52); i++) {
        const uint8_t *entry = map.data + 336 + (size_t)i * 24;
        uint32_t kind = bh_get_le32(entry);
        size += kind >= first && kind <= last ? (double)bh_get_le64(entry + 16) : 0;
    }
    bh_map_done(&map);
    return size;
}

/* They cannot always agree: special-use space goes first with us. */
static void
say_agreement(const struct bench_data *d)
{
    size_t same = 0;
    size_t n = d->keys / 100;
    for (size_t i = 0; i < n; i++) {
        struct kobold_value v;
        uint32_t a = d->v4[SET_UNIFORM][i];
        bool has_code = kobold_value_info(d->k, kobold_v4(d->k, a), &v) && v.code[0] != '\0';
        unsigned ours = has_code ? (unsigned)(uint8_t)v.code[0] << 8 | (uint8_t)v.code[1] : 0;
        same += mmdb->code(a) == ours;
    }
    printf("kobold: libmaxminddb answers the same for %zu of %zu uniform addresses\n", same, n);
}

static const char *
find_folder(void)
{
    static char folder[4096];
    const char *table = bench_env("BH_TEST_NPM_TABLE", "");
    if (strchr(table, '/') != NULL) {
        snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(table, '/') - table), table);
    } else {
        snprintf(folder, sizeof folder, "%s/.cache/country", bench_env("BH_SOURCE_ROOT", "."));
    }
    return folder;
}

int
main(int argc, char **argv)
{
    static struct bench_data d;
    const char *folder = NULL;
    size_t keys = (size_t)SLICE * 16;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            turns = 3;
            keys = (size_t)SLICE * 2;
        } else {
            folder = argv[i];
        }
    }
    bench_load(&d, folder != NULL ? folder : find_folder());
    bench_make_keys(&d, keys);
    bench_yardsticks_make(&d);
    mmdb = bench_mmdb(&d);
    libloc = bench_libloc(&d);
    if (mmdb != NULL) {
        say_agreement(&d);
    }
    measure_v4(&d, SET_UNIFORM, "uniform");
    measure_v4(&d, SET_SKEWED, "skewed");
    measure_v4(&d, SET_RANGE, "range");
    measure_v6(&d, SET_RANGE, "");
    measure_v6(&d, SET_SKEWED, "_skewed");
    measure_open(&d);
    measure_threads(&d);
    put_line("compile", d.compile_ms, "ms", NULL, 0);
    put_line("db_bytes", (double)d.kdb_size, "octets", "libmaxminddb",
             mmdb != NULL ? (double)mmdb->size : 0);
    put_line("ipv4_bytes", sections_size(&d, 2, 7), "octets", "sorted array, no jumps on data",
             (double)bench_array_size());
    put_line("ipv6_bytes", sections_size(&d, 8, 11), "octets", NULL, 0);
    kobold_close(d.k);
    unlink(d.kdb_path);
    if (mmdb != NULL && mmdb->to_remove[0] != '\0') {
        unlink(mmdb->to_remove);
    }
    return 0;
}
