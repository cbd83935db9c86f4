/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_export.h - address space out of a database again: the networks of countries, firewall sets,
 * tables of other programs, and what differs between two databases. For our tools and tests; not
 * installed.
 *
 *     struct kobold_group jp;
 *     kobold_group_of_word(k, "JP", &jp, &err);
 *     kobold_each_network(k, 4, &jp, print_it, NULL);
 *
 * Threads:   no hidden state.
 * Ownership: databases and groups are borrowed for the call; what is written goes to the caller's buffer.
 * Errors:    0 or a negative code, with `err` filled. Walking itself cannot fail.
 */
#ifndef KOBOLD_EXPORT_H
#define KOBOLD_EXPORT_H

#include "bh_base.h"
#include "kobold.h"

/* ---- what is wanted ----------------------------------------------------------------------------- */

/* Values that go together under one name: a country, a region, a special use, or several of them. */
struct kobold_group {
    char name[64]; /* "JP", "142", "private-use"      */
    bool is_named; /* by the user: sets bear this name */
    uint8_t values[KOBOLD_VALUES_MAX / 8];
    uint32_t systems[16]; /* autonomous systems, beside the values */
    unsigned system_count;
};

/* A word is a country's or region's code (jp, EU, ZZ), a region of UN M49 (142), a special use
 * (private-use), one of special, unallocated, unknown, or an autonomous system (AS13335) when the
 * database has AS data. A country without any address is an empty
 * group, no error. */
BH_NODISCARD int kobold_group_of_word(const kobold *k, const char *word, struct kobold_group *ret,
                                      struct bh_error *err);
/* All countries, regions and "unknown": what the country data say. */
void kobold_group_listed(const kobold *k, struct kobold_group *ret);
void kobold_group_of_value(const kobold *k, uint16_t value, struct kobold_group *ret);
void
kobold_group_join(struct kobold_group *to, const struct kobold_group *from); /* keeps its name */

static inline bool
kobold_group_has(const struct kobold_group *g, uint16_t value)
{
    return (g->values[value / 8] >> value % 8 & 1) != 0;
}

/* The code, the key of a special use, or "unallocated": what a value is called in files. */
void kobold_value_label(const kobold *k, uint16_t value, char ret[48]);

/* ---- where it is ----------------------------------------------------------------------------------- */

/* First and last address. IPv4 stands in the low half, as a number. */
struct kobold_stretch {
    uint64_t first_hi, first_lo, last_hi, last_lo;
    uint16_t value; /* that of its first address, when a group joins several */
};

/* Ends the walk when it returns other than 0; the walk then returns that. */
typedef int kobold_stretch_fn(void *arg, int family, const struct kobold_stretch *s);

/* Each stretch of a group, as long as can be; NULL: each span of the database, whatever its value. */
int kobold_each_stretch(const kobold *k, int family, const struct kobold_group *g,
                        kobold_stretch_fn *fn, void *arg);

struct kobold_network {
    uint64_t hi, lo;
    uint8_t len; /* 0 to 32 (IPv4) or 128 */
};
typedef int
kobold_network_fn(void *arg, int family, const struct kobold_network *n, uint16_t value);

/* The fewest prefixes that hold a group's addresses and no others, in order. */
int kobold_each_network(const kobold *k, int family, const struct kobold_group *g,
                        kobold_network_fn *fn, void *arg);
/* The same of one stretch. */
int
kobold_networks_of(int family, const struct kobold_stretch *s, kobold_network_fn *fn, void *arg);

/* "192.0.2.0/24". Returns its length. */
#define KOBOLD_NETWORK_TEXT_MAX 52
size_t kobold_network_format(int family, const struct kobold_network *n,
                             char buf[KOBOLD_NETWORK_TEXT_MAX]);
/* "192.0.2.0", of halves as above. */
size_t kobold_half_format(int family, uint64_t hi, uint64_t lo, char buf[BH_IP_TEXT_MAX]);

/* ---- files for others -------------------------------------------------------------------------------- */

struct kobold_export {
    const kobold *k;
    const struct kobold_group *groups; /* in the order asked for */
    size_t group_count;
    bool is_everything; /* no words were given: groups are all there is */
    bool v4, v6;
    const char *table; /* nft: name of the table */
};

struct kobold_exporter {
    const char *name;
    int (*write)(const struct kobold_export *x, struct bh_buf *out, struct bh_error *err);
};

extern const struct kobold_exporter kobold_export_cidr, kobold_export_csv, kobold_export_geofeed,
    kobold_export_ipset, kobold_export_mmdb, kobold_export_nft, kobold_export_pf;
extern const struct kobold_exporter *const kobold_exporters[];
extern const size_t kobold_exporters_count;

/* "cc_jp_v4": a name all packet filters take, at most 29 characters. */
void kobold_export_set_name(const struct kobold_group *g, int family, char ret[32]);
/* A line that says whose data these are, behind `comment`. */
void kobold_export_heading(const struct kobold_export *x, const char *comment, struct bh_buf *out);
/* All groups as one. */
void kobold_export_union(const struct kobold_export *x, struct kobold_group *ret);

/* ---- two databases -------------------------------------------------------------------------------------- */

/* Address space that moved from one label to another. */
struct kobold_move {
    char from[48], to[48];              /* as kobold_value_label() says */
    uint64_t v4_addresses, v4_networks; /* networks: the fewest prefixes that hold it */
    uint64_t v6_48s, v6_networks;       /* in /48, rounded down over all of it         */
};

struct kobold_balance {
    char label[48];
    uint64_t v4_before, v4_after, v4_gained, v4_lost; /* addresses */
    uint64_t v6_before, v6_after, v6_gained, v6_lost; /* /48       */
};

struct kobold_diff {
    struct kobold_move *moves; /* by IPv4 addresses, then by /48 of IPv6, then by label */
    size_t move_count;
    struct kobold_balance *balances; /* every label of either, by label */
    size_t balance_count;
    struct kobold_move total; /* labels are "" */
};

/* common: count only addresses that the country data of both list. Special-use space is left out. */
BH_NODISCARD int kobold_diff_new(const kobold *before, const kobold *after, bool common,
                                 struct kobold_diff **ret, struct bh_error *err);
void kobold_diff_free(struct kobold_diff *d);

#endif
