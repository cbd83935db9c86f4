/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_update.h - is what was fetched whole, and is what was made of it believable? For kobold update,
 * cclookup, beholder and tests; not installed.
 *
 * Threads:   no hidden state.
 * Ownership: texts are borrowed for the call.
 * Errors:    0 or a negative code, with `err` filled.
 */
#ifndef KOBOLD_UPDATE_H
#define KOBOLD_UPDATE_H

#include "bh_base.h"
#include "kobold.h"

/* What kobold update makes on a machine, and kobold_default_path() prefers to what a package brought. */
#define KOBOLD_LOCAL_FOLDER "/var/lib/beholder"
#define KOBOLD_LOCAL_DATABASE KOBOLD_LOCAL_FOLDER "/country.kdb"

/* RFC 1321, as 32 lower-case digits. The registries publish no other checksum; it is there against
 * accidents, against enemies there is TLS. */
void kobold_md5(const void *data, size_t size, char ret_hex[33]);
/* The first 32 hexadecimal digits that stand alone: "MD5 (file) = digits", "digits  file", "digits". */
bool kobold_md5_find(const char *text, size_t size, char ret_hex[33]);

struct kobold_statistics {
    char registry[16]; /* "apnic"                      */
    char version[8];   /* "2", "2.3"                   */
    uint64_t records;  /* lines, as the header says    */
};

/* A registry's statistics file, all of it: a header of a version we read and of a registry there is, as many
 * lines as it says, and a last line with its end. */
BH_NODISCARD int kobold_statistics_check(const char *name, const char *text, size_t size,
                                         struct kobold_statistics *ret, struct bh_error *err);

/* How much address space the country data of a database list. */
struct kobold_coverage {
    uint64_t v4_addresses, v6_48s;
};
void kobold_coverage_of(const kobold *k, struct kobold_coverage *ret);

/* May `fresh` take the place of `old` (NULL: there is none)? Not when it lists less than 90 % of its
 * address space, is older, or bears a day after `today` ("2026-06-25"). */
BH_NODISCARD int kobold_update_check(const kobold *old, const kobold *fresh, const char *today,
                                     struct bh_error *err);

/* The day of a time, "2026-06-25". */
void kobold_day_of(int64_t seconds, char ret[16]);
/* Data older than 90 days: true, with what to say and the command that renews them. `path` is the database
 * when the user named one, else NULL. */
bool kobold_is_old(const struct kobold_meta *m, const char *path, int64_t now_seconds,
                   struct bh_error *ret);

#endif
