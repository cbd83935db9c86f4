/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold.h - from an IP address to the country it is registered in, or to its special use.
 *
 *     kobold *k;
 *     int r = kobold_open(NULL, &k);
 *     if (r < 0)
 *         return complain(kobold_strerror(r, 0));
 *     uint16_t v = kobold_v4(k, 0x08080808);
 *     struct kobold_value info;
 *     kobold_value_info(k, v, &info);              // info.code is "US"
 *     kobold_close(k);
 *
 * An address has a *value*: a small number, 0 .. kobold_value_count() - 1, that stands for one
 * country, one region (EU, AP), one special use (RFC 6890), "unallocated" or "unknown". Values
 * are good for one database: compare and count by value, translate with kobold_value_info().
 * Value 0 is always "unknown" (ZZ), value 1 always "unallocated". The country is that of the
 * registered holder, not the place of the machine.
 *
 * IPv6 addresses that carry an IPv4 address (::ffff:0:0/96, 64:ff9b::/96, 2002::/16, 2001::/32)
 * are answered with the value of that IPv4 address; kobold_lookup() says which carrier it was.
 *
 * Threads:   an open database never changes; any number of threads may look up in it.
 *            kobold_close() comes after the last look-up. To replace a database while threads
 *            look up, keep it in a kobold_live.
 * Ownership: a handle is the caller's; results are values, texts are static. The memory given
 *            to kobold_open_memory() stays the caller's and must outlive the handle.
 * Errors:    0, or a negative code: -errno or KOBOLD_E... below. Look-ups cannot fail, whatever
 *            the file holds: a damaged database may answer wrongly, never crash.
 *
 * Sources: RFC 6890 and 8190 (special-use addresses), 6052, 4291, 3056, 4380 (embedded IPv4),
 * 8805 (geofeeds); the statistics exchange format of the internet registries; UN M49.
 */
#ifndef KOBOLD_H
#define KOBOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kobold kobold;

/* Kinds of values. */
enum {
    KOBOLD_COUNTRY = 0,
    KOBOLD_SPECIAL = 1,
    KOBOLD_UNALLOCATED = 2, /* no entry in the country data                             */
    KOBOLD_REGION = 3,      /* EU, AP: the registry names no country                    */
    KOBOLD_UNKNOWN = 4,     /* ZZ: the data has an entry that says "unknown"            */
};

/* What carried an embedded IPv4 address. */
enum {
    KOBOLD_CARRIER_NONE = 0,
    KOBOLD_CARRIER_MAPPED = 1, /* ::ffff:0:0/96, RFC 4291                     */
    KOBOLD_CARRIER_NAT64 = 2,  /* 64:ff9b::/96, RFC 6052                      */
    KOBOLD_CARRIER_6TO4 = 3,   /* 2002::/16, RFC 3056                         */
    KOBOLD_CARRIER_TEREDO = 4, /* 2001::/32, RFC 4380: the client's address   */
};

enum {
    KOBOLD_VALUE_UNKNOWN = 0,
    KOBOLD_VALUE_UNALLOCATED = 1,
    KOBOLD_VALUES_MAX = 1024,
};

/* Beside -errno. */
enum {
    KOBOLD_EFORMAT = -2001,  /* no Kobold database                              */
    KOBOLD_EDAMAGED = -2002, /* a Kobold database, but cut or damaged           */
    KOBOLD_EVERSION = -2006, /* made by a newer version, with what we cannot do */
};

struct kobold_value {
    char code[4];            /* "US", "EU", "ZZ" (unknown); "" for special use and unallocated */
    uint8_t kind;            /* KOBOLD_COUNTRY ... */
    bool globally_reachable; /* the registry's column; true for countries */
    char class_name[48];     /* short stable key, "private-use"; "" but for special use */
    char rfc[24];            /* "RFC 1918"; "" but for special use */
};

struct kobold_result {
    uint16_t value;
    uint8_t carrier;      /* KOBOLD_CARRIER_... */
    uint32_t embedded_v4; /* host order; 0 without a carrier */
};

struct kobold_meta {
    char name[64], date[16], licence[64], source[128];
    uint64_t id; /* differs when anything in the file differs */
    uint32_t v4_ranges, v6_ranges, values;
};

/* What an input was for: where inputs overlap, the later of these wins; a second opinion never. */
enum kobold_layer {
    KOBOLD_LAYER_DATA = 0,
    KOBOLD_LAYER_GEOFEED = 1,
    KOBOLD_LAYER_OVERRIDE = 2,
    KOBOLD_LAYER_SECOND = 3,
};

/* Who registered a block, and what state it is in; 0 when the source does not say. */
enum {
    KOBOLD_REGISTRY_AFRINIC = 1,
    KOBOLD_REGISTRY_APNIC = 2,
    KOBOLD_REGISTRY_ARIN = 3,
    KOBOLD_REGISTRY_LACNIC = 4,
    KOBOLD_REGISTRY_RIPENCC = 5,
    KOBOLD_REGISTRY_IANA = 6,
    KOBOLD_REGISTRY_IETF = 7,
};
enum {
    KOBOLD_STATUS_ALLOCATED = 1,
    KOBOLD_STATUS_ASSIGNED = 2,
    KOBOLD_STATUS_AVAILABLE = 3,
    KOBOLD_STATUS_RESERVED = 4,
    KOBOLD_STATUS_DELEGATED = 5, /* given to this registry by IANA */
    KOBOLD_STATUS_LEGACY = 6,    /* given to its holder before the registries were there */
};

/* What one input says about an address. */
struct kobold_opinion {
    uint16_t input;   /* for kobold_input_info()                                    */
    uint16_t value;   /* "unallocated" where a block is listed without a country    */
    uint32_t line;    /* of the input, from 1; 0 when it has no lines               */
    uint32_t date;    /* of the allocation, 20110811; 0 when not said               */
    uint8_t registry; /* KOBOLD_REGISTRY_..., 0 when not said                       */
    uint8_t status;   /* KOBOLD_STATUS_..., 0 when not said                         */
    uint8_t layer;    /* KOBOLD_LAYER_...                                           */
    bool has_decided; /* it is why the address has its value; one opinion at most   */
};

/* One file that a database was made of. */
struct kobold_input_info {
    char name[256]; /* of the file                      */
    char date[16], licence[64];
    char format[16]; /* "rir", "range" ...               */
    uint8_t layer;
    uint32_t v4_runs, v6_runs;
};

/* ---- the database ------------------------------------------------------------------------ */

/* NULL opens kobold_default_path(). Maps the file; reads a few pages of it. */
int kobold_open(const char *path, kobold **ret);
/* A database in memory: for embedding, tests and fuzzing. The memory is borrowed. */
int kobold_open_memory(const void *data, size_t size, kobold **ret);
void kobold_close(kobold *k);
const char *kobold_strerror(int code, int lang /* 0: English, 1: Japanese */);
/* Reads the whole file and compares its checksum: 0 or KOBOLD_EDAMAGED. */
int kobold_verify(const kobold *k);
/* Where kobold_open(NULL) looks: $KOBOLD_DB, else the first of these that exists:
 * /var/lib/beholder/country.kdb (what "kobold update" makes), beside the program or library
 * (../share/beholder/country.kdb, then a build tree), then /usr/share/beholder/country.kdb.
 * Returns `buf`. */
const char *kobold_default_path(char *buf, size_t size);
void kobold_get_meta(const kobold *k, struct kobold_meta *ret);
/* Of the databases in a directory (files *.kdb) the newest whose data are not newer than `day`
 * ("2014-06-30"), else the oldest. -ENOENT: there is none; files that are no database are passed over. */
int kobold_open_asof(const char *directory, const char *day, kobold **ret);
/* Calls `each` with these databases by date, of several with one date the last by name; ends early when
 * it returns other than 0, and returns that. */
int kobold_asof_list(const char *directory,
                     int (*each)(void *arg, const char *date, const char *path), void *arg);

/* ---- look-up ------------------------------------------------------------------------------ */

uint16_t kobold_v4(const kobold *k, uint32_t host_order);
uint16_t kobold_v6(const kobold *k, uint64_t hi, uint64_t lo);
/* 4 or 16 octets in network order. Another family is "unknown". */
struct kobold_result kobold_lookup(const kobold *k, const uint8_t *octets, int family);

/* Many at once take a half to a third of the time each. `ret_values` has room for n. Addresses in an
 * array, IPv6 as upper and lower half: */
void kobold_v4_many(const kobold *k, const uint32_t *addr, uint16_t *ret_values, size_t n);
void kobold_v6_many(const kobold *k, const uint64_t (*addr)[2], uint16_t *ret_values, size_t n);
/* Addresses that are fields of structures: the first one, and how many octets from one to the next.
 * KOBOLD_NETWORK: 4 or 16 octets in network order, as in struct sockaddr_in and sockaddr_in6;
 * KOBOLD_HOST: an uint32_t, or two uint64_t, the upper half first. They need not be aligned. */
enum kobold_order { KOBOLD_HOST = 0, KOBOLD_NETWORK = 1 };
void kobold_v4_strided(const kobold *k, const void *first, size_t stride, enum kobold_order order,
                       uint16_t *ret_values, size_t n);
void kobold_v6_strided(const kobold *k, const void *first, size_t stride, enum kobold_order order,
                       uint16_t *ret_values, size_t n);

/* kobold_v4() without the call. The head is the first thing in every
 * handle and stays as it is for as long as the library's soname does: three tables of little-endian
 * numbers, by 16, 4 and 4 bits of the address; a number below 255 that came of the first two is the value,
 * 255 from the third leads to kobold_v4_deep(). */
struct kobold_head {
    const uint8_t *v4_top;    /* 65536 numbers of 16 bits: a node of the middle    */
    const uint8_t *v4_middle; /* nodes of 16 numbers of 16 bits: a node of the low */
    const uint8_t *v4_low;    /* nodes of 16 octets                                */
};
uint16_t kobold_v4_deep(const kobold *k, uint32_t host_order); /* any address; slower */

static inline uint16_t
kobold_v4_inline(const kobold *k, uint32_t host_order)
{
    const struct kobold_head *head = (const struct kobold_head *)(const void *)k;
    const uint8_t *p = head->v4_top + (size_t)(host_order >> 16) * 2;
    unsigned node = p[0] | (unsigned)p[1] << 8;
    p = head->v4_middle + (size_t)node * 32 + (host_order >> 11 & 30);
    node = p[0] | (unsigned)p[1] << 8;
    if (node < 255) { /* one value for the whole /20, as for 19 of 20 addresses */
        return (uint16_t)node;
    }
    unsigned value = head->v4_low[(size_t)node * 16 + (host_order >> 8 & 15)];
    return value != 255 ? (uint16_t)value : kobold_v4_deep(k, host_order);
}

/* ---- walking through -------------------------------------------------------------------------------- */

/* The value of an address, and the last address up to which all have it. The way through all of IPv4:
 *
 *     uint32_t at = 0, last;
 *     do {
 *         uint16_t v = kobold_v4_span(k, at, &last);
 *         ... at to last have v, and last + 1 has another ...
 *         at = last + 1;
 *     } while (last != UINT32_MAX);
 *
 * IPv6 blocks that carry IPv4 addresses are one span with the value of their special use ("6to4"),
 * though a look-up inside them answers for the IPv4 address. */
uint16_t kobold_v4_span(const kobold *k, uint32_t host_order, uint32_t *ret_last);
uint16_t kobold_v6_span(const kobold *k, uint64_t hi, uint64_t lo, uint64_t *ret_last_hi,
                        uint64_t *ret_last_lo);

/* ---- a database that is replaced while threads look up -------------------------------------- */

/*
 *     const kobold *k = kobold_take(live);    // once per batch, in any thread
 *     kobold_v4_many(k, addresses, values, n);
 *     kobold_give(k);
 *
 * A reload puts a new database into the place of the old one without waiting for anybody: who
 * has taken the old one keeps it, who takes from now on gets the new one, and the old one is
 * closed when its last taker gives it back. Values are good for the database they came from.
 */
typedef struct kobold_live kobold_live;

/* Databases of one kobold_live that are open at a time: the current one, and replaced ones that
 * somebody still has. */
enum { KOBOLD_LIVE_MAX = 64 };

/* Opens `path` as kobold_open() does, and remembers it for kobold_live_reload(). */
int kobold_live_open(const char *path, kobold_live **ret);
/* Of an open database, which belongs to the kobold_live from then on. */
int kobold_live_new(kobold *k, kobold_live **ret);
/* After every kobold_give(), and when no thread will take any more. */
void kobold_live_close(kobold_live *live);
/* Any thread. Opens the file anew and, when it can, replaces the current database; else the old
 * one stays. -EBUSY: KOBOLD_LIVE_MAX are open. -EINVAL: made of a handle. */
int kobold_live_reload(kobold_live *live);
/* The same with a database the caller has opened. Not taken over on failure. */
int kobold_live_swap(kobold_live *live, kobold *k);
/* Any thread, never waits: one atomic addition. The database stays open until it is given back.
 * May be called again before that; each take wants its give. */
const kobold *kobold_take(kobold_live *live);
/* Any thread, not only the one that took. NULL is allowed. */
void kobold_give(const kobold *k);

/* ---- what a value means -------------------------------------------------------------------- */

bool kobold_value_info(const kobold *k, uint16_t value, struct kobold_value *ret);
unsigned kobold_value_count(const kobold *k); /* 256 .. KOBOLD_VALUES_MAX */

/* ---- why, and what others say (cold: a part of the file that look-ups never touch) ----------- */

/* What the inputs said about an address (for an embedded IPv4 address, about that one), the one
 * that decided first, then what it overrode, then second opinions. Writes up to `max` and returns
 * how many there are; 0 when the database was compiled without details. About 0.5 us each. */
size_t kobold_opinions(const kobold *k, const uint8_t *octets, int family,
                       struct kobold_opinion *ret, size_t max);
/* The country a second opinion gives; value 0 ("unknown") when none does. */
uint16_t kobold_second(const kobold *k, const uint8_t *octets, int family);
unsigned kobold_input_count(const kobold *k);
bool kobold_input_info(const kobold *k, unsigned input, struct kobold_input_info *ret);
/* "apnic", "allocated", "data"; "" for a number we do not know. */
const char *kobold_registry_name(int registry);
const char *kobold_status_name(int status);
const char *kobold_layer_name(int layer);

/* ---- autonomous systems (when the database was compiled with AS tables) ------------------------ */

struct kobold_as_meta {
    char name[64], date[16], licence[64], source[128];
    uint32_t systems, v4_runs, v6_runs;
};

/* The number of the system that announces an address (for an embedded IPv4 address, that one);
 * 0: none, or not known, or no AS data. */
uint32_t kobold_as(const kobold *k, const uint8_t *octets, int family);
uint32_t kobold_as_v4(const kobold *k, uint32_t host_order);
uint32_t kobold_as_v6(const kobold *k, uint64_t hi, uint64_t lo);
/* Its name, cut to `size`; false, and nothing written, when it has none. 256 is always enough. */
bool kobold_as_name(const kobold *k, uint32_t number, char *ret, size_t size);
/* Whose AS data these are; false without any. */
bool kobold_as_meta(const kobold *k, struct kobold_as_meta *ret);

/* ---- names (static; they need no database) -------------------------------------------------- */

const char *kobold_country_name(const char code[2], int lang);  /* NULL: no code we know */
const char *kobold_country_region(const char code[2]);          /* UN M49, "142"; NULL */
const char *kobold_region_name(const char *m49, int lang);      /* NULL */
const char *kobold_class_name(const char *class_key, int lang); /* NULL */
/* "mapped", "nat64", "6to4", "teredo"; "" for none. */
const char *kobold_carrier_name(int carrier);
/* The codes of ISO 3166-1 in use (and XK), in order: start with 0, hand back what it returned;
 * -1 after the last. */
int kobold_country_next(int index, char ret_code[3]);

#ifdef __cplusplus
}
#endif

#endif
