/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_data.h - what the country benchmark looks up: ranges with their codes as published, a database of
 * ours made of them, and keys.
 *
 * Keys: uniform over the listed IPv4 addresses; Zipf (s = 1.05) over 200000 of those (skewed); a random
 * range, then an address in it (range: harsh, small ranges are many). IPv6: range, and Zipf over 200000 of
 * those. Nothing is freed before the end; what goes wrong ends the program.
 */
#ifndef KOBOLD_DATA_H
#define KOBOLD_DATA_H

#include "bh_base.h"
#include "kobold.h"

struct bench_range {
    struct bh_ip start, end;
    char code[3];
};

enum bench_set { SET_UNIFORM, SET_SKEWED, SET_RANGE, SET_COUNT };

struct bench_data {
    struct bench_range *ranges[2]; /* IPv4, IPv6 */
    size_t count[2];
    size_t keys;
    uint32_t *v4[SET_COUNT];
    uint64_t (*v6[SET_COUNT])[2]; /* no uniform ones: nearly all would be unallocated */
    double compile_ms;            /* CPU time from text to database */
    char kdb_path[64];            /* to be removed */
    size_t kdb_size;
    kobold *k;
};

_Noreturn void bench_stop(const char *what, const char *why);
void bench_load(struct bench_data *d, const char *folder);
void bench_make_keys(struct bench_data *d, size_t keys);
/* The largest blocks that make up a range, one by one. */
void bench_prefixes(const struct bench_range *r,
                    void (*each)(void *arg, const struct bh_ip *ip, unsigned len), void *arg);

#endif
