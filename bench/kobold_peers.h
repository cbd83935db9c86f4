/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_peers.h - the others in the country benchmark: libraries, taken at run time when their header was
 * there at build time and the library is here, and yardsticks of our own.
 *
 * A peer reads a database made here of the same ranges. libmaxminddb: bench/peer_mmdb.h, or the file that
 * $BH_BENCH_MMDB names. libloc: made by its own writer, kept in $BH_BENCH_DATA.
 */
#ifndef KOBOLD_PEERS_H
#define KOBOLD_PEERS_H

#include "kobold_data.h"

/* One slice of keys, from `at`: a sum that nobody can leave away. */
typedef uint64_t (*bench_pass)(const struct bench_data *d, enum bench_set set, size_t at, size_t n);

struct bench_peer {
    bench_pass v4, v6;
    bench_pass open; /* n times: opens, answers one address of each family, closes; may be NULL */
    unsigned (*code)(uint32_t v4); /* two letters as a number, 0: none; may be NULL */
    size_t size;                   /* of its database */
    char to_remove[64];
};

/* NULL: it is missing. */
const struct bench_peer *bench_mmdb(const struct bench_data *d);
const struct bench_peer *bench_libloc(const struct bench_data *d);

/* Made from our own answers: the sorted array of IPv4 runs, searched without jumps on data; DIR-24-8, one
 * number of 16 bits for each /24 and 256 for each divided one. */
void bench_yardsticks_make(const struct bench_data *d);
size_t bench_array_size(void);
size_t bench_dir24_size(void);
uint64_t bench_array_v4(const struct bench_data *d, enum bench_set set, size_t at, size_t n);
uint64_t bench_dir24_v4(const struct bench_data *d, enum bench_set set, size_t at, size_t n);
uint64_t bench_read_v4(const struct bench_data *d, enum bench_set set, size_t at, size_t n);

#endif
