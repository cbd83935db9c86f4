/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * batch - counts ten million IPv4 addresses by country.
 *
 *     cc -O2 -o batch batch.c $(pkg-config --cflags --libs kobold)
 *
 * Values are small numbers, so counting by country is adding to an array; what a value means is
 * asked once per value, at the end. Arrays of a few thousand stay in the processor's cache.
 */
#include <inttypes.h>
#include <stdio.h>

#include <kobold.h>

#define BATCH 4096
#define BATCHES 2442 /* ten million and a little */

int
main(void)
{
    static uint64_t counts[KOBOLD_VALUES_MAX];
    uint32_t addresses[BATCH];
    uint16_t values[BATCH];
    uint32_t next = 1;
    kobold *k;
    int code = kobold_open(NULL, &k);
    if (code < 0) {
        fprintf(stderr, "batch: %s\n", kobold_strerror(code, 0));
        return 1;
    }
    for (int batch = 0; batch < BATCHES; batch++) {
        for (int i = 0; i < BATCH; i++) {
            next = next * 1664525 + 1013904223; /* all of IPv4 in some order */
            addresses[i] = next;
        }
        kobold_v4_many(k, addresses, values, BATCH);
        for (int i = 0; i < BATCH; i++) {
            counts[values[i]]++;
        }
    }
    for (unsigned value = 0; value < kobold_value_count(k); value++) {
        struct kobold_value v;
        if (counts[value] > 0 && kobold_value_info(k, (uint16_t)value, &v)) {
            printf("%10" PRIu64 " %s\n", counts[value],
                   v.kind == KOBOLD_SPECIAL       ? v.class_name
                   : v.kind == KOBOLD_UNALLOCATED ? "unallocated"
                                                  : v.code);
        }
    }
    kobold_close(k);
    return 0;
}
