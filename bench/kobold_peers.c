/* SPDX-License-Identifier: BSD-2-Clause */
#include "kobold_peers.h"

#include "bench_common.h"
#include "peer_mmdb.h"

#include <dlfcn.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef BENCH_WITH_MAXMINDDB
#include <maxminddb.h>
#endif
#ifdef BENCH_WITH_LIBLOC
#include <libloc/database.h>
#include <libloc/libloc.h>
#include <libloc/network.h>
#include <libloc/writer.h>
#endif

static inline bool
take_symbol(void *library, const char *name, void *ret, size_t size)
{
    void *at = dlsym(library, name);
    memcpy(ret, &at, size); /* ISO C has no cast from void * to a function */
    return at != NULL;
}

static inline size_t
file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? (size_t)st.st_size : 0;
}

/* ---- libmaxminddb ---------------------------------------------------------------------------- */

#ifdef BENCH_WITH_MAXMINDDB

static char mmdb_path[4096];
static MMDB_s mmdb;
static int (*mmdb_open)(const char *path, uint32_t flags, MMDB_s *db);
static void (*mmdb_close)(MMDB_s *db);
static MMDB_lookup_result_s (*mmdb_lookup)(const MMDB_s *db, const struct sockaddr *sa, int *err);
static int (*mmdb_value)(MMDB_entry_s *start, MMDB_entry_data_s *data, ...);
static bool is_mmdb_nested; /* country.iso_code instead of country_code */

static unsigned
mmdb_get(const MMDB_s *db, const void *address)
{
    int err;
    MMDB_entry_data_s value;
    MMDB_lookup_result_s r = mmdb_lookup(db, address, &err);
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
write_mmdb(const struct bench_data *d)
{
    struct peer_mmdb *m = peer_mmdb_new();
    for (int f = 0; f < 2; f++) {
        for (size_t i = 0; i < d->count[f]; i++) {
            const struct bench_range *r = &d->ranges[f][i];
            if (r->code[0] != '\0') {
                peer_mmdb_add(m, &r->start, &r->end, r->code);
            }
        }
    }
    peer_mmdb_finish(m, mmdb_path);
}

static uint64_t
mmdb_v4(const struct bench_data *d, enum bench_set set, size_t at, size_t n)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    uint64_t sum = 0;
    for (size_t i = at; i < at + n; i++) {
        in.sin_addr.s_addr = htonl(d->v4[set][i]);
        sum += mmdb_get(&mmdb, &in);
    }
    return sum;
}

static uint64_t
mmdb_v6(const struct bench_data *d, enum bench_set set, size_t at, size_t n)
{
    struct sockaddr_in6 in = { .sin6_family = AF_INET6 };
    uint64_t sum = 0;
    for (size_t i = at; i < at + n; i++) {
        bh_put_be64(in.sin6_addr.s6_addr, d->v6[set][i][0]);
        bh_put_be64(in.sin6_addr.s6_addr + 8, d->v6[set][i][1]);
        sum += mmdb_get(&mmdb, &in);
    }
    return sum;
}

static uint64_t
mmdb_open_once(const struct bench_data *d, enum bench_set set, size_t at, size_t n)
{
    (void)set;
    (void)at;
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        MMDB_s db;
        struct sockaddr_in in = { .sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(d->v4[SET_UNIFORM][0]) };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
        if (mmdb_open(mmdb_path, MMDB_MODE_MMAP, &db) != MMDB_SUCCESS) {
            bench_stop(mmdb_path, "libmaxminddb cannot open it");
        }
        bh_put_be64(in6.sin6_addr.s6_addr, d->v6[SET_RANGE][0][0]);
        sum += mmdb_get(&db, &in) + mmdb_get(&db, &in6);
        mmdb_close(&db);
    }
    return sum;
}

static unsigned
mmdb_code(uint32_t v4)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(v4) };
    return mmdb_get(&mmdb, &in);
}

static bool
take_mmdb(void)
{
    void *library = dlopen("libmaxminddb.so.0", RTLD_NOW);
    return library != NULL && take_symbol(library, "MMDB_open", &mmdb_open, sizeof mmdb_open) &&
           take_symbol(library, "MMDB_close", &mmdb_close, sizeof mmdb_close) &&
           take_symbol(library, "MMDB_lookup_sockaddr", &mmdb_lookup, sizeof mmdb_lookup) &&
           take_symbol(library, "MMDB_get_value", &mmdb_value, sizeof mmdb_value);
}

const struct bench_peer *
bench_mmdb(const struct bench_data *d)
{
    static struct bench_peer peer = { mmdb_v4, mmdb_v6, mmdb_open_once, mmdb_code, 0, "" };
    const char *given = bench_env("BH_BENCH_MMDB", "");
    if (!take_mmdb()) {
        return NULL;
    }
    if (given[0] == '\0') {
        snprintf(peer.to_remove, sizeof peer.to_remove, "/tmp/bench_kobold.%ld.mmdb",
                 (long)getpid());
        snprintf(mmdb_path, sizeof mmdb_path, "%s", peer.to_remove);
        write_mmdb(d);
    } else {
        snprintf(mmdb_path, sizeof mmdb_path, "%s", given);
    }
    if (mmdb_open(mmdb_path, MMDB_MODE_MMAP, &mmdb) != MMDB_SUCCESS) {
        bench_stop(mmdb_path, "libmaxminddb cannot open it");
    }
    peer.size = file_size(mmdb_path);
    is_mmdb_nested = mmdb_code(0x08080808) == 0;
    return &peer;
}

#else

const struct bench_peer *
bench_mmdb(const struct bench_data *d)
{
    (void)d;
    return NULL;
}

#endif

/* ---- libloc ---------------------------------------------------------------------------------- */

#ifdef BENCH_WITH_LIBLOC

static struct {
    struct loc_ctx *ctx;
    struct loc_database *db;
    struct loc_writer *writer;
    const char *code;
    int (*new)(struct loc_ctx **ctx);
    int (*database_new)(struct loc_ctx *ctx, struct loc_database **db, FILE *f);
    int (*lookup)(struct loc_database *db, const struct in6_addr *address,
                  struct loc_network **network);
    const char *(*get_code)(struct loc_network *network);
    int (*set_code)(struct loc_network *network, const char *code);
    struct loc_network *(*unref)(struct loc_network *network);
    int (*writer_new)(struct loc_ctx *ctx, struct loc_writer **writer, FILE *key1, FILE *key2);
    int (*writer_add)(struct loc_writer *writer, struct loc_network **network, const char *text);
    int (*writer_write)(struct loc_writer *writer, FILE *f, enum loc_database_version version);
    struct loc_writer *(*writer_unref)(struct loc_writer *writer);
} loc;

static bool
take_libloc(void)
{
    void *library = dlopen("libloc.so.1", RTLD_NOW);
    return library != NULL && take_symbol(library, "loc_new", &loc.new, sizeof loc.new) &&
           take_symbol(library, "loc_database_new", &loc.database_new, sizeof loc.database_new) &&
           take_symbol(library, "loc_database_lookup", &loc.lookup, sizeof loc.lookup) &&
           take_symbol(library, "loc_network_get_country_code", &loc.get_code,
                       sizeof loc.get_code) &&
           take_symbol(library, "loc_network_set_country_code", &loc.set_code,
                       sizeof loc.set_code) &&
           take_symbol(library, "loc_network_unref", &loc.unref, sizeof loc.unref) &&
           take_symbol(library, "loc_writer_new", &loc.writer_new, sizeof loc.writer_new) &&
           take_symbol(library, "loc_writer_add_network", &loc.writer_add, sizeof loc.writer_add) &&
           take_symbol(library, "loc_writer_write", &loc.writer_write, sizeof loc.writer_write) &&
           take_symbol(library, "loc_writer_unref", &loc.writer_unref, sizeof loc.writer_unref) &&
           loc.new(&loc.ctx) == 0;
}

/* It refuses a network that is there already, and codes that are not given out. */
static void
add_network(void *arg, const struct bh_ip *ip, unsigned len)
{
    (void)arg;
    char text[BH_IP_TEXT_MAX + 8];
    struct loc_network *network = NULL;
    bh_ip_format(ip, text);
    size_t n = strlen(text);
    snprintf(text + n, sizeof text - n, "/%u", len);
    if (loc.writer_add(loc.writer, &network, text) == 0 && network != NULL) {
        loc.set_code(network, loc.code);
        loc.unref(network);
    }
}

static void
write_libloc(const struct bench_data *d, const char *path)
{
    char made[4200];
    snprintf(made, sizeof made, "%s.%ld", path, (long)getpid());
    FILE *f = fopen(made, "w+");
    if (f == NULL || loc.writer_new(loc.ctx, &loc.writer, NULL, NULL) != 0) {
        bench_stop(made, "cannot write");
    }
    for (int family = 0; family < 2; family++) {
        for (size_t i = 0; i < d->count[family]; i++) {
            loc.code = d->ranges[family][i].code;
            if (loc.code[0] != '\0') {
                bench_prefixes(&d->ranges[family][i], add_network, NULL);
            }
        }
    }
    bool ok = loc.writer_write(loc.writer, f, LOC_DATABASE_VERSION_UNSET) == 0;
    loc.writer_unref(loc.writer);
    if (fclose(f) != 0 || !ok || rename(made, path) != 0) {
        bench_stop(path, "cannot write");
    }
}

static unsigned
libloc_get(const struct in6_addr *address)
{
    struct loc_network *network = NULL;
    unsigned code = 0;
    if (loc.lookup(loc.db, address, &network) == 0 && network != NULL) {
        const char *c = loc.get_code(network);
        code = c == NULL ? 0U : (unsigned)(uint8_t)c[0] << 8 | (uint8_t)c[1];
        loc.unref(network);
    }
    return code;
}

static uint64_t
libloc_v4(const struct bench_data *d, enum bench_set set, size_t at, size_t n)
{
    struct in6_addr address = { .s6_addr = { [10] = 0xff, [11] = 0xff } };
    uint64_t sum = 0;
    for (size_t i = at; i < at + n; i++) {
        bh_put_be32(address.s6_addr + 12, d->v4[set][i]);
        sum += libloc_get(&address);
    }
    return sum;
}

static uint64_t
libloc_v6(const struct bench_data *d, enum bench_set set, size_t at, size_t n)
{
    struct in6_addr address;
    uint64_t sum = 0;
    for (size_t i = at; i < at + n; i++) {
        bh_put_be64(address.s6_addr, d->v6[set][i][0]);
        bh_put_be64(address.s6_addr + 8, d->v6[set][i][1]);
        sum += libloc_get(&address);
    }
    return sum;
}

/* Making it takes seconds: kept under a name that says of which data it is. */
const struct bench_peer *
bench_libloc(const struct bench_data *d)
{
    static struct bench_peer peer = { libloc_v4, libloc_v6, NULL, NULL, 0, "" };
    char path[4096];
    if (!take_libloc()) {
        return NULL;
    }
    uint64_t id = 0xcbf29ce484222325U;
    for (int family = 0; family < 2; family++) {
        for (size_t i = 0; i < d->count[family]; i++) {
            const struct bench_range *r = &d->ranges[family][i];
            id = (id ^ bh_get_be64(r->start.octets) ^ bh_get_be64(r->end.octets + 8)) *
                 0x100000001b3U;
            id = (id ^ bh_get_be64(r->start.octets + 8) ^ bh_get_be64(r->end.octets)) *
                 0x100000001b3U;
            id = (id ^ (uint64_t)r->code[0] << 8 ^ (uint64_t)r->code[1]) * 0x100000001b3U;
        }
    }
    snprintf(path, sizeof path, "%s/libloc-%016llx.db", bench_env("BH_BENCH_DATA", "/tmp"),
             (unsigned long long)id);
    if (file_size(path) == 0) {
        write_libloc(d, path);
    }
    FILE *f = fopen(path, "r");
    if (f == NULL || loc.database_new(loc.ctx, &loc.db, f) != 0) {
        bench_stop(path, "libloc cannot open it");
    }
    peer.size = file_size(path);
    return &peer;
}

#else

const struct bench_peer *
bench_libloc(const struct bench_data *d)
{
    (void)d;
    return NULL;
}

#endif
