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

bool bench_mmdb_open(const struct bench_data *d);
void bench_mmdb_close(void);
size_t bench_mmdb_size(void);
uint64_t bench_mmdb_v4(const struct bench_data *d, enum bench_set set, size_t at, size_t n);
uint64_t bench_mmdb_v6(const struct bench_data *d, enum bench_set set, size_t at, size_t n);
/* Opens, answers one address of each family, closes; n times. */
uint64_t bench_mmdb_open_once(const struct bench_data *d, enum bench_set set, size_t at, size_t n);
/* Two letters as a number, 0: none. */
unsigned bench_mmdb_code(uint32_t v4);

bool bench_libloc_open(const struct bench_data *d);
uint64_t bench_libloc_v4(const struct bench_data *d, enum bench_set set, size_t at, size_t n);
uint64_t bench_libloc_v6(const struct bench_data *d, enum bench_set set, size_t at, size_t n);

/* Made from our own answers: the sorted array of IPv4 runs, searched without jumps on data; DIR-24-8, one
 * number of 16 bits for each /24 and 256 for each divided one. */
void bench_yardsticks_make(const struct bench_data *d);
size_t bench_array_size(void);
size_t bench_dir24_size(void);
uint64_t bench_array_v4(const struct bench_data *d, enum bench_set set, size_t at, size_t n);
uint64_t bench_dir24_v4(const struct bench_data *d, enum bench_set set, size_t at, size_t n);
uint64_t bench_read_v4(const struct bench_data *d, enum bench_set set, size_t at, size_t n);

#endif
