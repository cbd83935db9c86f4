/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer_mmdb.h - a MaxMind database of the ranges a benchmark has, so that libmaxminddb answers from the same
 * data as we do: country_code of IPv4 and IPv6 in one tree, equal neighbours joined, as the
 * databases people download are.
 *
 * Ownership: the caller's. Errors: end the program; this is for benchmarks only.
 */
#ifndef PEER_MMDB_H
#define PEER_MMDB_H

#include "bh_base.h"

struct peer_mmdb; /* opaque */
struct peer_mmdb *peer_mmdb_new(void);
/* Later ranges win. `code`: two letters. */
void peer_mmdb_add(struct peer_mmdb *m, const struct bh_ip *first, const struct bh_ip *last,
                   const char *code);
/* Write it as `path`; NULL: not at all. Frees it. */
void peer_mmdb_finish(struct peer_mmdb *m, const char *path);

#endif
