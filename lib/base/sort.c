/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers by some of their bits: eleven at a time, the lowest first, so that equal ones keep their order. */
#include "bh_base.h"

#include <errno.h>
#include <stdlib.h>

#define DIGIT_BITS 11U
#define DIGITS (1U << DIGIT_BITS)
#define FEW 64U /* a table of digits would cost more than they do */

static void
sort_few(uint64_t *v, size_t n, unsigned first, uint64_t mask)
{
    for (size_t i = 1; i < n; i++) {
        const uint64_t x = v[i];
        size_t at = i;
        for (; at > 0 && (v[at - 1] >> first & mask) > (x >> first & mask); at--) {
            v[at] = v[at - 1];
        }
        v[at] = x;
    }
}

static void
sort_digit(const uint64_t *from, uint64_t *to, size_t n, unsigned shift, uint64_t mask)
{
    size_t at[DIGITS + 1] = { 0 };
    for (size_t i = 0; i < n; i++) {
        at[(from[i] >> shift & mask) + 1]++;
    }
    for (unsigned k = 0; k < DIGITS; k++) {
        at[k + 1] += at[k];
    }
    for (size_t i = 0; i < n; i++) {
        to[at[from[i] >> shift & mask]++] = from[i];
    }
}

int
bh_sort64(uint64_t *v, size_t n, unsigned first, unsigned end)
{
    if (first >= end || n < 2) {
        return 0;
    }
    const unsigned bits = end - first;
    if (n <= FEW) {
        sort_few(v, n, first, bits >= 64 ? UINT64_MAX : (1ULL << bits) - 1);
        return 0;
    }
    uint64_t *other = malloc(bh_size_mul(n, sizeof *other)), *a = v, *b = other;
    if (other == NULL) {
        return -ENOMEM;
    }
    const unsigned passes = (bits + DIGIT_BITS - 1) / DIGIT_BITS;
    for (unsigned k = 0, shift = first; k < passes; k++) {
        const unsigned width = (end - shift + passes - k - 1) / (passes - k); /* about equal ones */
        sort_digit(a, b, n, shift, (1ULL << width) - 1);
        shift += width;
        uint64_t *swap = a;
        a = b;
        b = swap;
    }
    if (a != v) {
        memcpy(v, a, n * sizeof *v);
    }
    free(other);
    return 0;
}
