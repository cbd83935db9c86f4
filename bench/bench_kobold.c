/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_kobold - how long "address -> country" takes, beside libmaxminddb in the same run.
 *
 *   bench_kobold [--quick] [--mmdb FILE] [DIR]
 *
 * DIR holds geoip and geoip6 (tools/fetch_country_data), or *-ipv4.csv and *-ipv6.csv of
 * start,end,cc; else the folder of $BH_TEST_NPM_TABLE, else .cache/country of the source tree.
 * libmaxminddb reads a database made here of the same ranges (peer_mmdb.h), or FILE (else
 * $BH_BENCH_MMDB). It is taken at run time, when its header was there at build time. How often both
 * answer the same is said; they cannot always: special-use space and embedded IPv4 go first with us.
 * peers: libmaxminddb-dev
 *
 * Keys, made before the clock starts: uniform over the listed IPv4 addresses; Zipf (s = 1.05)
 * over 200000 of those; ranges: a random range, then an address in it (harsh: small ranges
 * are many); the same for IPv6. Figures: CPU time of the thread, median of 5 passes.
 * "dependent": the next key waits for this answer.
 */
#include "bh_base.h"
#include "kobold.h"
#include "kobold_compile.h"

#include <dirent.h>
#include <dlfcn.h>
#include <math.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#ifdef BENCH_WITH_MAXMINDDB
#include <maxminddb.h>
#endif

#include "peer_mmdb.h"

#define SOURCES 200000U
#define PASSES 5

struct range {
    struct bh_ip start, end;
};

struct data {
    struct range *ranges[2];
    size_t count[2];
    uint32_t *v4; /* keys */
    uint64_t (*v6)[2];
    uint16_t *values;
    size_t keys;
    kobold *k;
    char mmdb_path[512];
    bool is_own_mmdb;
    struct peer_mmdb *mmdb; /* while it is made */
    const char *kdb_path;
};

static uint64_t random_state = 88172645463325252U;
static volatile uint64_t sink;

static uint64_t
next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1dU;
}

static double
cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void
fail(const char *what, const char *why)
{
    fprintf(stderr, "bench_kobold: %s: %s\n", what, why);
    exit(1);
}

/* ---- data --------------------------------------------------------------------------------------- */

static bool
parse_end(const char *s, size_t n, struct bh_ip *ret)
{
    if (bh_ip_parse(s, n, ret)) {
        return true;
    }
    char text[32];
    if (n == 0 || n >= sizeof text) {
        return false;
    }
    memcpy(text, s, n);
    text[n] = '\0';
    char *end;
    unsigned long long v = strtoull(text, &end, 10);
    *ret = bh_ip_from_v4((uint32_t)v);
    return *end == '\0' && v <= UINT32_MAX;
}

static void
add_file(struct data *d, kobold_build *b, const char *path)
{
    struct bh_map map;
    struct bh_error err;
    char line[1024];
    if (bh_map_open(path, &map, &err) < 0 ||
        kobold_build_add(b, path, (const char *)map.data, map.size, KOBOLD_FORMAT_AUTO,
                         KOBOLD_LAYER_DATA, NULL, &err) < 0) {
        fail(path, bh_error_line(&err, BH_EN, line, sizeof line));
    }
    const char *at = (const char *)map.data;
    const char *end = at + map.size;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop == NULL ? end : stop;
        const char *c1 = memchr(at, ',', (size_t)(stop - at));
        const char *c2 = c1 == NULL ? NULL : memchr(c1 + 1, ',', (size_t)(stop - c1 - 1));
        struct range r;
        if (*at != '#' && c2 != NULL && parse_end(at, (size_t)(c1 - at), &r.start) &&
            parse_end(c1 + 1, (size_t)(c2 - c1 - 1), &r.end) && r.start.family == r.end.family) {
            int f = r.start.family == 6;
            if ((d->count[f] & (d->count[f] - 1)) == 0) {
                size_t room = d->count[f] == 0 ? 1 : d->count[f] * 2;
                d->ranges[f] = realloc(d->ranges[f], room * sizeof r);
            }
            d->ranges[f][d->count[f]++] = r;
            if (stop - c2 >= 3 && c2[1] >= 'A' && c2[1] <= 'Z') {
                peer_mmdb_add(d->mmdb, &r.start, &r.end, c2 + 1);
            }
        }
        at = stop + 1;
    }
    bh_map_done(&map);
}

static bool
ends_with(const char *s, const char *end)
{
    size_t n = strlen(s);
    size_t m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static void
load(struct data *d, const char *dir)
{
    kobold_build *b = kobold_build_new();
    d->mmdb = peer_mmdb_new();
    DIR *handle = opendir(dir);
    if (handle == NULL || b == NULL) {
        fail(dir, "cannot open");
    }
    const struct dirent *e;
    while ((e = readdir(handle)) != NULL) {
        const char *n = e->d_name;
        if (strcmp(n, "geoip") == 0 || strcmp(n, "geoip6") == 0 || ends_with(n, "-ipv4.csv") ||
            ends_with(n, "-ipv6.csv")) {
            char path[8192];
            snprintf(path, sizeof path, "%s/%s", dir, n);
            add_file(d, b, path);
        }
    }
    closedir(handle);
    if (d->count[0] == 0 || d->count[1] == 0) {
        fail(dir, "no geoip and geoip6, nor -ipv4.csv and -ipv6.csv");
    }
    uint8_t *file;
    size_t size;
    struct bh_error err;
    static char path[64];
    snprintf(path, sizeof path, "/tmp/bench_kobold.%ld.kdb", (long)getpid());
    double before = cpu_ns();
    if (kobold_build_finish(b, &file, &size, &err) < 0 ||
        bh_file_replace(path, file, size, &err) < 0 || kobold_open(path, &d->k) < 0) {
        fail(path, "cannot build");
    }
    printf("{\"bench\":\"kobold\",\"what\":\"build from ranges\",\"value\":%.1f,\"unit\":\"ms\","
           "\"peer\":null,\"peer_value\":null,\"ratio\":null}\n",
           (cpu_ns() - before) / 1e6);
    printf("{\"bench\":\"kobold\",\"what\":\"size\",\"value\":%zu,\"unit\":\"octets\","
           "\"peer\":null,\"peer_value\":null,\"ratio\":null}\n",
           size);
    d->kdb_path = path;
    bool is_own = d->mmdb_path[0] == '\0';
    if (is_own) {
        snprintf(d->mmdb_path, sizeof d->mmdb_path, "/tmp/bench_kobold.%ld.mmdb", (long)getpid());
    }
    d->is_own_mmdb = is_own;
    peer_mmdb_finish(d->mmdb, is_own ? d->mmdb_path : NULL);
    free(file);
    kobold_build_free(b);
}

/* ---- keys ------------------------------------------------------------------------------------------ */

static size_t
pick(const double *cumulated, size_t n)
{
    double x = (double)(next_random() >> 11) * 0x1p-53 * cumulated[n];
    size_t low = 0;
    size_t high = n;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (cumulated[middle] <= x) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

static uint32_t
in_v4(const struct range *r)
{
    uint32_t start = bh_get_be32(r->start.octets);
    uint64_t n = (uint64_t)bh_get_be32(r->end.octets) - start + 1;
    return start + (uint32_t)((next_random() >> 32) % n);
}

/* Random octets below what start and end have in common, taken again until inside. */
static void
in_v6(const struct range *r, uint64_t key[2])
{
    uint64_t s[2] = { bh_get_be64(r->start.octets), bh_get_be64(r->start.octets + 8) };
    uint64_t e[2] = { bh_get_be64(r->end.octets), bh_get_be64(r->end.octets + 8) };
    uint64_t dh = s[0] ^ e[0];
    uint64_t dl = s[1] ^ e[1];
    uint64_t mh = dh == 0 ? 0 : UINT64_MAX >> __builtin_clzll(dh);
    uint64_t ml = dh != 0 ? UINT64_MAX : dl == 0 ? 0 : UINT64_MAX >> __builtin_clzll(dl);
    for (;;) {
        uint64_t hi = (s[0] & ~mh) | (next_random() & mh);
        uint64_t lo = (s[1] & ~ml) | (next_random() & ml);
        bool is_low = hi < s[0] || (hi == s[0] && lo < s[1]);
        bool is_high = hi > e[0] || (hi == e[0] && lo > e[1]);
        if (!is_low && !is_high) {
            key[0] = hi;
            key[1] = lo;
            return;
        }
    }
}

enum set { UNIFORM, ZIPF, RANGES };

static double *
zipf_weights(void)
{
    double *c = malloc((SOURCES + 1) * sizeof *c);
    c[0] = 0;
    for (size_t i = 0; i < SOURCES; i++) {
        c[i + 1] = c[i] + pow((double)i + 1, -1.05);
    }
    return c;
}

static void
make_v4(struct data *d, enum set set)
{
    double *sizes = malloc((d->count[0] + 1) * sizeof *sizes);
    sizes[0] = 0;
    for (size_t i = 0; i < d->count[0]; i++) {
        const struct range *r = &d->ranges[0][i];
        sizes[i + 1] = sizes[i] + (double)bh_get_be32(r->end.octets) -
                       (double)bh_get_be32(r->start.octets) + 1;
    }
    double *zipf = zipf_weights();
    uint32_t *sources = malloc(SOURCES * sizeof *sources);
    for (size_t i = 0; i < SOURCES; i++) {
        sources[i] = in_v4(&d->ranges[0][pick(sizes, d->count[0])]);
    }
    for (size_t i = 0; i < d->keys; i++) {
        d->v4[i] = set == UNIFORM ? in_v4(&d->ranges[0][pick(sizes, d->count[0])])
                   : set == ZIPF  ? sources[pick(zipf, SOURCES)]
                                  : in_v4(&d->ranges[0][next_random() % d->count[0]]);
    }
    free(sizes);
    free(zipf);
    free(sources);
}

static void
make_v6(struct data *d, enum set set)
{
    double *zipf = zipf_weights();
    uint64_t(*sources)[2] = malloc(SOURCES * sizeof *sources);
    for (size_t i = 0; i < SOURCES; i++) {
        in_v6(&d->ranges[1][next_random() % d->count[1]], sources[i]);
    }
    for (size_t i = 0; i < d->keys; i++) {
        if (set == ZIPF) {
            memcpy(d->v6[i], sources[pick(zipf, SOURCES)], sizeof d->v6[i]);
        } else {
            in_v6(&d->ranges[1][next_random() % d->count[1]], d->v6[i]);
        }
    }
    free(zipf);
    free(sources);
}

/* ---- passes ----------------------------------------------------------------------------------------- */

static void
v4_single(struct data *d, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += kobold_v4(d->k, d->v4[i]);
    }
    sink = sum;
}

static void
v4_dependent(struct data *d, size_t n)
{
    static volatile uint32_t zero; /* nobody knows that it stays so */
    uint32_t mask = zero;
    uint32_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v = kobold_v4(d->k, d->v4[i] ^ (v & mask));
    }
    sink = v;
}

static void
v4_batch(struct data *d, size_t n)
{
    for (size_t i = 0; i < n; i += 1024) {
        kobold_v4_many(d->k, d->v4 + i, d->values, n - i < 1024 ? n - i : 1024);
    }
    sink = d->values[0];
}

static void
v6_single(struct data *d, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += kobold_v6(d->k, d->v6[i][0], d->v6[i][1]);
    }
    sink = sum;
}

static void
v6_dependent(struct data *d, size_t n)
{
    static volatile uint64_t zero;
    uint64_t mask = zero;
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v = kobold_v6(d->k, d->v6[i][0] ^ (v & mask), d->v6[i][1]);
    }
    sink = v;
}

static void
v6_batch(struct data *d, size_t n)
{
    const uint64_t(*keys)[2] = (const uint64_t(*)[2])d->v6;
    for (size_t i = 0; i < n; i += 1024) {
        kobold_v6_many(d->k, keys + i, d->values, n - i < 1024 ? n - i : 1024);
    }
    sink = d->values[0];
}

static void
open_close(struct data *d, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        kobold *k;
        if (kobold_open(d->kdb_path, &k) < 0) {
            fail(d->kdb_path, "cannot open");
        }
        sink = kobold_v4(k, 0x08080808) + (unsigned)kobold_v6(k, 0x2001486048600000U, 1);
        kobold_close(k);
    }
}

#ifdef BENCH_WITH_MAXMINDDB
static MMDB_s mmdb;
static int (*mmdb_open)(const char *path, uint32_t flags, MMDB_s *db);
static void (*mmdb_close)(MMDB_s *db);
static MMDB_lookup_result_s (*mmdb_lookup)(const MMDB_s *db, const struct sockaddr *sa, int *err);
static int (*mmdb_value)(MMDB_entry_s *start, MMDB_entry_data_s *data, ...);
static bool is_mmdb_nested; /* country.iso_code instead of country_code */

static unsigned
mmdb_get(const struct sockaddr *address)
{
    int err;
    MMDB_entry_data_s value;
    MMDB_lookup_result_s r = mmdb_lookup(&mmdb, address, &err);
    if (err != 0 || !r.found_entry) {
        return 0;
    }
    err = is_mmdb_nested ? mmdb_value(&r.entry, &value, "country", "iso_code", NULL)
                         : mmdb_value(&r.entry, &value, "country_code", NULL);
    return err != 0 || !value.has_data
               ? 0U
               : (unsigned)(uint8_t)value.utf8_string[0] << 8 | (uint8_t)value.utf8_string[1];
}

static void
mmdb_v4(struct data *d, size_t n)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        in.sin_addr.s_addr = htonl(d->v4[i]);
        sum += mmdb_get((const struct sockaddr *)&in);
    }
    sink = sum;
}

static void
mmdb_v6(struct data *d, size_t n)
{
    struct sockaddr_in6 in = { .sin6_family = AF_INET6 };
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        bh_put_be64(in.sin6_addr.s6_addr, d->v6[i][0]);
        bh_put_be64(in.sin6_addr.s6_addr + 8, d->v6[i][1]);
        sum += mmdb_get((const struct sockaddr *)&in);
    }
    sink = sum;
}

static void
mmdb_open_close(struct data *d, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        MMDB_s db;
        if (mmdb_open(d->mmdb_path, MMDB_MODE_MMAP, &db) != MMDB_SUCCESS) {
            fail(d->mmdb_path, "cannot open");
        }
        mmdb_close(&db);
    }
}

static void
say_agreement(struct data *d, const char *set)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    size_t n = d->keys / 100;
    size_t same = 0;
    for (size_t i = 0; i < n; i++) {
        struct kobold_value v;
        in.sin_addr.s_addr = htonl(d->v4[i]);
        unsigned theirs = mmdb_get((const struct sockaddr *)&in);
        bool is_country =
            kobold_value_info(d->k, kobold_v4(d->k, d->v4[i]), &v) && v.code[0] != '\0';
        same += theirs == (is_country ? (unsigned)(uint8_t)v.code[0] << 8 | (uint8_t)v.code[1] : 0);
    }
    printf("kobold: IPv4 %s: libmaxminddb answers the same for %zu of %zu addresses\n", set, same,
           n);
}

static bool
take_symbol(void *library, const char *name, void *ret, size_t size)
{
    void *at = dlsym(library, name);
    memcpy(ret, &at, size); /* ISO C has no cast from void * to a function */
    return at != NULL;
}

static bool
mmdb_ready(struct data *d)
{
    void *library = dlopen("libmaxminddb.so.0", RTLD_NOW);
    if (library == NULL || d->mmdb_path[0] == '\0' ||
        !take_symbol(library, "MMDB_open", &mmdb_open, sizeof mmdb_open) ||
        !take_symbol(library, "MMDB_close", &mmdb_close, sizeof mmdb_close) ||
        !take_symbol(library, "MMDB_lookup_sockaddr", &mmdb_lookup, sizeof mmdb_lookup) ||
        !take_symbol(library, "MMDB_get_value", &mmdb_value, sizeof mmdb_value) ||
        mmdb_open(d->mmdb_path, MMDB_MODE_MMAP, &mmdb) != MMDB_SUCCESS) {
        return false;
    }
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x08080808) };
    is_mmdb_nested = mmdb_get((const struct sockaddr *)&in) == 0;
    return true;
}
#else
#define mmdb_v4 NULL
#define mmdb_v6 NULL
#define mmdb_open_close NULL

static void
say_agreement(struct data *d, const char *set)
{
    (void)d;
    (void)set;
}

static bool
mmdb_ready(struct data *d)
{
    (void)d;
    return false;
}
#endif

static int
compare_doubles(const void *pa, const void *pb)
{
    double a = *(const double *)pa;
    double b = *(const double *)pb;
    return a < b ? -1 : a > b;
}

static double
measure(struct data *d, void (*pass)(struct data *d, size_t n), size_t n)
{
    double t[PASSES];
    pass(d, n / 8 + 1); /* warm */
    for (int i = 0; i < PASSES; i++) {
        double before = cpu_ns();
        pass(d, n);
        t[i] = (cpu_ns() - before) / (double)n;
    }
    qsort(t, PASSES, sizeof t[0], compare_doubles);
    return t[PASSES / 2];
}

static double
row(struct data *d, const char *what, const char *unit, double scale,
    void (*ours)(struct data *d, size_t n), size_t n, double peer)
{
    double value = measure(d, ours, n) / scale;
    printf("{\"bench\":\"kobold\",\"what\":\"%s\",\"value\":%.2f,\"unit\":\"%s\",", what, value,
           unit);
    if (peer > 0) {
        printf("\"peer\":\"libmaxminddb\",\"peer_value\":%.2f,\"ratio\":%.1f}\n", peer / scale,
               peer / scale / value);
    } else {
        printf("\"peer\":\"libmaxminddb (missing)\",\"peer_value\":null,\"ratio\":null}\n");
    }
    fflush(stdout);
    return value;
}

int
main(int argc, char **argv)
{
    static struct data d;
    const char *dir = NULL;
    char found[4096];
    const char *table = getenv("BH_TEST_NPM_TABLE");
    const char *source = getenv("BH_SOURCE_ROOT");
    const char *db = getenv("BH_BENCH_MMDB");
    snprintf(d.mmdb_path, sizeof d.mmdb_path, "%s", db != NULL ? db : "");
    if (table != NULL && strchr(table, '/') != NULL) {
        snprintf(found, sizeof found, "%.*s", (int)(strrchr(table, '/') - table), table);
        dir = found;
    } else if (source != NULL) {
        snprintf(found, sizeof found, "%s/.cache/country", source);
        dir = found;
    }
    d.keys = 10000000;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            d.keys = 1000000;
        } else if (strcmp(argv[i], "--mmdb") == 0 && i + 1 < argc) {
            snprintf(d.mmdb_path, sizeof d.mmdb_path, "%s", argv[++i]);
        } else {
            dir = argv[i];
        }
    }
    if (dir == NULL) {
        fail("usage", "bench_kobold [--quick] [--mmdb FILE] [DIR]");
    }
    load(&d, dir);
    d.v4 = malloc(d.keys * sizeof *d.v4);
    d.v6 = malloc(d.keys * sizeof *d.v6);
    d.values = malloc(1024 * sizeof *d.values);
    if (d.v4 == NULL || d.v6 == NULL || d.values == NULL) {
        fail("keys", "out of memory");
    }
    bool has_peer = mmdb_ready(&d);
    static const char *const names[] = { "uniform", "skewed", "by range" };
    for (int set = UNIFORM; set <= RANGES; set++) {
        char what[64];
        make_v4(&d, (enum set)set);
        if (has_peer) {
            say_agreement(&d, names[set]);
        }
        double peer = has_peer ? measure(&d, mmdb_v4, d.keys / 10) : 0;
        snprintf(what, sizeof what, "ipv4 %s", names[set]);
        row(&d, what, "ns", 1, v4_single, d.keys, peer);
        snprintf(what, sizeof what, "ipv4 %s, batch", names[set]);
        row(&d, what, "ns", 1, v4_batch, d.keys, peer);
        snprintf(what, sizeof what, "ipv4 %s, dependent", names[set]);
        row(&d, what, "ns", 1, v4_dependent, d.keys, peer);
    }
    for (int set = ZIPF; set <= RANGES; set++) {
        char what[64];
        make_v6(&d, (enum set)set);
        double peer = has_peer ? measure(&d, mmdb_v6, d.keys / 10) : 0;
        snprintf(what, sizeof what, "ipv6 %s", names[set]);
        row(&d, what, "ns", 1, v6_single, d.keys, peer);
        snprintf(what, sizeof what, "ipv6 %s, batch", names[set]);
        row(&d, what, "ns", 1, v6_batch, d.keys, peer);
        snprintf(what, sizeof what, "ipv6 %s, dependent", names[set]);
        row(&d, what, "ns", 1, v6_dependent, d.keys, peer);
    }
    row(&d, "open, two look-ups, close", "us", 1000, open_close, 200,
        has_peer ? measure(&d, mmdb_open_close, 200) : 0);
    kobold_close(d.k);
    unlink(d.kdb_path);
    if (d.is_own_mmdb) {
        unlink(d.mmdb_path);
    }
    return 0;
}
