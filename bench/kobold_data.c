/* SPDX-License-Identifier: BSD-2-Clause */
#include "kobold_data.h"

#include "kobold_compile.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SOURCES 200000U

static uint64_t random_state = 88172645463325252U;

static uint64_t
next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1dU;
}

void
bench_stop(const char *what, const char *why)
{
    fprintf(stderr, "bench_kobold: %s: %s\n", what, why);
    exit(1);
}

static void *
room(size_t count, size_t size)
{
    void *p = malloc(bh_size_mul(count, size));
    if (p == NULL) {
        bench_stop("keys", "out of memory");
    }
    return p;
}

/* ---- data ------------------------------------------------------------------------------------ */

/* tor's geoip has numbers, geoip6 and the others addresses. */
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
add_ranges(struct bench_data *d, const char *at, const char *end)
{
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop == NULL ? end : stop;
        const char *c1 = memchr(at, ',', (size_t)(stop - at));
        const char *c2 = c1 == NULL ? NULL : memchr(c1 + 1, ',', (size_t)(stop - c1 - 1));
        struct bench_range r = { .code = "" };
        if (*at != '#' && c2 != NULL && parse_end(at, (size_t)(c1 - at), &r.start) &&
            parse_end(c1 + 1, (size_t)(c2 - c1 - 1), &r.end) && r.start.family == r.end.family) {
            int f = r.start.family == 6;
            if ((d->count[f] & (d->count[f] - 1)) == 0) {
                size_t n = d->count[f] == 0 ? 1 : d->count[f] * 2;
                d->ranges[f] = realloc(d->ranges[f], bh_size_mul(n, sizeof r));
                if (d->ranges[f] == NULL) {
                    bench_stop("ranges", "out of memory");
                }
            }
            if (stop - c2 >= 3 && c2[1] >= 'A' && c2[1] <= 'Z') {
                memcpy(r.code, c2 + 1, 2);
            }
            d->ranges[f][d->count[f]++] = r;
        }
        at = stop + 1;
    }
}

static double
cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static bool
is_ours(const char *name)
{
    size_t n = strlen(name);
    return strcmp(name, "geoip") == 0 || strcmp(name, "geoip6") == 0 ||
           (n > 9 &&
            (strcmp(name + n - 9, "-ipv4.csv") == 0 || strcmp(name + n - 9, "-ipv6.csv") == 0));
}

static void
add_file(struct bench_data *d, kobold_build *b, const char *path)
{
    struct bh_map map;
    struct bh_error err;
    char line[1024];
    int r = bh_map_open(path, &map, &err);
    if (r == 0) {
        const char *text = (const char *)map.data;
        double before = cpu_ms();
        r = kobold_build_add(b, path, text, map.size, KOBOLD_FORMAT_AUTO, KOBOLD_LAYER_DATA, NULL,
                             &err);
        d->compile_ms += cpu_ms() - before;
        add_ranges(d, text, text + map.size);
        bh_map_done(&map);
    }
    if (r < 0) {
        bench_stop(path, bh_error_line(&err, BH_EN, line, sizeof line));
    }
}

void
bench_load(struct bench_data *d, const char *folder)
{
    kobold_build *b = kobold_build_new();
    DIR *handle = opendir(folder);
    if (handle == NULL || b == NULL) {
        bench_stop(folder, "cannot open");
    }
    const struct dirent *e;
    while ((e = readdir(handle)) != NULL) {
        char path[8192];
        if (is_ours(e->d_name)) {
            snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
            add_file(d, b, path);
        }
    }
    closedir(handle);
    if (d->count[0] == 0 || d->count[1] == 0) {
        bench_stop(folder, "no geoip and geoip6, nor -ipv4.csv and -ipv6.csv");
    }
    uint8_t *file;
    struct bh_error err;
    double before = cpu_ms();
    int r = kobold_build_finish(b, &file, &d->kdb_size, &err);
    d->compile_ms += cpu_ms() - before;
    snprintf(d->kdb_path, sizeof d->kdb_path, "/tmp/bench_kobold.%ld.kdb", (long)getpid());
    if (r < 0 || bh_file_replace(d->kdb_path, file, d->kdb_size, &err) < 0 ||
        kobold_open(d->kdb_path, &d->k) < 0) {
        bench_stop(d->kdb_path, "cannot build");
    }
    free(file);
    kobold_build_free(b);
}

static bh_u128
number_of(const struct bh_ip *ip)
{
    return ip->family == 4 ? bh_get_be32(ip->octets)
                           : (bh_u128)bh_get_be64(ip->octets) << 64 | bh_get_be64(ip->octets + 8);
}

void
bench_prefixes(const struct bench_range *r,
               void (*each)(void *arg, const struct bh_ip *ip, unsigned len), void *arg)
{
    bool is_v4 = r->start.family == 4;
    unsigned bits = is_v4 ? 32 : 128;
    bh_u128 at = number_of(&r->start);
    const bh_u128 end = number_of(&r->end);
    while (at <= end) {
        unsigned host = 0;
        while (host + 1 < bits && (at >> host & 1) == 0 && (end - at) >> host >= 1 &&
               end - at >= ((bh_u128)2 << host) - 1) {
            host++;
        }
        struct bh_ip ip =
            is_v4 ? bh_ip_from_v4((uint32_t)at) : bh_ip_from_v6((uint64_t)(at >> 64), (uint64_t)at);
        each(arg, &ip, bits - host);
        bh_u128 next = at + ((bh_u128)1 << host);
        if (next < at) {
            break;
        }
        at = next;
    }
}

/* ---- keys ------------------------------------------------------------------------------------ */

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
in_v4(const struct bench_range *r)
{
    uint32_t start = bh_get_be32(r->start.octets);
    uint64_t n = (uint64_t)bh_get_be32(r->end.octets) - start + 1;
    return start + (uint32_t)((next_random() >> 32) % n);
}

/* Random octets below what start and end have in common, taken again until inside. */
static void
in_v6(const struct bench_range *r, uint64_t key[2])
{
    uint64_t s[2] = { bh_get_be64(r->start.octets), bh_get_be64(r->start.octets + 8) };
    uint64_t e[2] = { bh_get_be64(r->end.octets), bh_get_be64(r->end.octets + 8) };
    uint64_t dh = s[0] ^ e[0];
    uint64_t dl = s[1] ^ e[1];
    uint64_t mh = dh == 0 ? 0 : UINT64_MAX >> __builtin_clzll(dh);
    uint64_t ml = dh != 0 ? UINT64_MAX : dl == 0 ? 0 : UINT64_MAX >> __builtin_clzll(dl);
    bool is_low;
    bool is_high;
    do {
        key[0] = (s[0] & ~mh) | (next_random() & mh);
        key[1] = (s[1] & ~ml) | (next_random() & ml);
        is_low = key[0] < s[0] || (key[0] == s[0] && key[1] < s[1]);
        is_high = key[0] > e[0] || (key[0] == e[0] && key[1] > e[1]);
    } while (is_low || is_high);
}

static void
make_v4(struct bench_data *d, const double *zipf)
{
    double *sizes = room(d->count[0] + 1, sizeof *sizes);
    uint32_t *sources = room(SOURCES, sizeof *sources);
    const struct bench_range *ranges = d->ranges[0];
    sizes[0] = 0;
    for (size_t i = 0; i < d->count[0]; i++) {
        sizes[i + 1] = sizes[i] + (double)bh_get_be32(ranges[i].end.octets) -
                       (double)bh_get_be32(ranges[i].start.octets) + 1;
    }
    for (size_t i = 0; i < SOURCES; i++) {
        sources[i] = in_v4(&ranges[pick(sizes, d->count[0])]);
    }
    for (int set = 0; set < SET_COUNT; set++) {
        uint32_t *keys = d->v4[set] = room(d->keys, sizeof *keys);
        for (size_t i = 0; i < d->keys; i++) {
            keys[i] = set == SET_UNIFORM  ? in_v4(&ranges[pick(sizes, d->count[0])])
                      : set == SET_SKEWED ? sources[pick(zipf, SOURCES)]
                                          : in_v4(&ranges[next_random() % d->count[0]]);
        }
    }
    free(sizes);
    free(sources);
}

static void
make_v6(struct bench_data *d, const double *zipf)
{
    uint64_t(*sources)[2] = room(SOURCES, sizeof *sources);
    for (size_t i = 0; i < SOURCES; i++) {
        in_v6(&d->ranges[1][next_random() % d->count[1]], sources[i]);
    }
    for (int set = SET_SKEWED; set < SET_COUNT; set++) {
        uint64_t(*keys)[2] = d->v6[set] = room(d->keys, sizeof *keys);
        for (size_t i = 0; i < d->keys; i++) {
            if (set == SET_SKEWED) {
                memcpy(keys[i], sources[pick(zipf, SOURCES)], sizeof keys[i]);
            } else {
                in_v6(&d->ranges[1][next_random() % d->count[1]], keys[i]);
            }
        }
    }
    free(sources);
}

void
bench_make_keys(struct bench_data *d, size_t keys)
{
    double *zipf = room(SOURCES + 1, sizeof *zipf);
    zipf[0] = 0;
    for (size_t i = 0; i < SOURCES; i++) {
        zipf[i + 1] = zipf[i] + pow((double)i + 1, -1.05);
    }
    d->keys = keys;
    make_v4(d, zipf);
    make_v6(d, zipf);
    free(zipf);
}
