/* SPDX-License-Identifier: BSD-2-Clause */
#include "kobold_peers.h"

#include <stdlib.h>

static struct {
    uint32_t *start; /* sorted array of runs */
    uint16_t *value;
    size_t runs;
    uint16_t *top; /* DIR-24-8: a value, or 0x8000 | number of a block of 256 */
    uint16_t *blocks;
    size_t block_count;
} y;

/* Addresses at which a new value may begin: borders of ranges, and of /24s (special-use space has none finer). */
static int
compare_starts(const void *pa, const void *pb)
{
    uint32_t a = *(const uint32_t *)pa;
    uint32_t b = *(const uint32_t *)pb;
    return a < b ? -1 : a > b;
}

static void
make_array(const struct bench_data *d)
{
    size_t room = d->count[0] * 2 + 65536 * 2 + 256;
    uint32_t *at = malloc(room * sizeof *at);
    y.start = malloc(room * sizeof *y.start);
    y.value = malloc(room * sizeof *y.value);
    if (at == NULL || y.start == NULL || y.value == NULL) {
        bench_stop("yardsticks", "out of memory");
    }
    size_t n = 0;
    for (size_t i = 0; i < d->count[0]; i++) {
        at[n++] = bh_get_be32(d->ranges[0][i].start.octets);
        at[n++] = bh_get_be32(d->ranges[0][i].end.octets) + 1;
    }
    for (uint32_t i = 0; i < 65536; i++) {
        at[n++] = i << 16;
    }
    for (uint32_t i = 0; i < 256; i++) { /* 192.0.0.0/24 is divided by special use */
        at[n++] = 0xc0000000U + i;
    }
    qsort(at, n, sizeof *at, compare_starts);
    for (size_t i = 0; i < n; i++) {
        uint16_t value = kobold_v4(d->k, at[i]);
        if (y.runs == 0 || y.value[y.runs - 1] != value) {
            y.start[y.runs] = at[i];
            y.value[y.runs++] = value;
        }
    }
    free(at);
}

static void
make_dir24(void)
{
    y.top = malloc((size_t)2 << 24);
    y.blocks = malloc((size_t)32768 * 256 * 2);
    if (y.top == NULL || y.blocks == NULL) {
        bench_stop("yardsticks", "out of memory");
    }
    size_t run = 0;
    for (uint32_t i = 0; i < 1U << 24; i++) {
        while (run + 1 < y.runs && y.start[run + 1] <= i << 8) {
            run++;
        }
        bool is_divided = run + 1 < y.runs && y.start[run + 1] >> 8 == i;
        y.top[i] = y.value[run];
        if (is_divided && y.block_count < 32768) {
            uint16_t *block = y.blocks + y.block_count * 256;
            y.top[i] = (uint16_t)(0x8000 | y.block_count++);
            for (uint32_t low = 0; low < 256; low++) {
                while (run + 1 < y.runs && y.start[run + 1] <= (i << 8 | low)) {
                    run++;
                }
                block[low] = y.value[run];
            }
        }
    }
}

static inline uint16_t
array_look(uint32_t a)
{
    size_t first = 0;
    size_t count = y.runs;
    while (count > 1) {
        size_t half = count / 2;
        first += y.start[first + half] <= a ? half : 0;
        count -= half;
    }
    return y.value[first];
}

static inline uint16_t
dir24_look(uint32_t a)
{
    uint16_t v = y.top[a >> 8];
    return v < 0x8000 ? v : y.blocks[(size_t)(v & 0x7fff) * 256 + (a & 255)];
}

void
bench_yardsticks_make(const struct bench_data *d)
{
    make_array(d);
    make_dir24();
    /* a yardstick that answers otherwise measures something else */
    for (int set = 0; set < SET_COUNT; set++) {
        for (size_t i = 0; i < d->keys; i += 97) {
            uint32_t a = d->v4[set][i];
            uint16_t value = kobold_v4(d->k, a);
            if (array_look(a) != value || dir24_look(a) != value) {
                bench_stop("yardsticks", "an answer differs from ours");
            }
        }
    }
}

size_t
bench_array_size(void)
{
    return y.runs * (sizeof *y.start + sizeof *y.value);
}

size_t
bench_dir24_size(void)
{
    return ((size_t)2 << 24) + y.block_count * 512;
}

uint64_t
bench_array_v4(const struct bench_data *d, enum bench_set set, size_t at, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = at; i < at + n; i++) {
        sum += array_look(d->v4[set][i]);
    }
    return sum;
}

uint64_t
bench_dir24_v4(const struct bench_data *d, enum bench_set set, size_t at, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = at; i < at + n; i++) {
        sum += dir24_look(d->v4[set][i]);
    }
    return sum;
}

uint64_t
bench_read_v4(const struct bench_data *d, enum bench_set set, size_t at, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = at; i < at + n; i++) {
        sum += d->v4[set][i] >> 24;
    }
    return sum;
}
