/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_scan.c - any text: the search for addresses that looks at 64 octets at a time finds what the
 * plain one finds, from wherever it begins (the first octet says where).
 */
#include "../unit/scan_plain.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    size_t len = size - 1;
    size_t from = len * data[0] / 256;
    struct bh_scan scan;
    bh_scan_begin(&scan, text, len);
    for (;;) {
        struct bh_ip fast = { .family = 0 };
        struct bh_ip plain = { .family = 0 };
        size_t at[2] = { 0 };
        size_t n[2] = { 0 };
        bool is_found = bh_scan_next(&scan, from, &fast, &at[0], &n[0]);
        if (is_found != plain_find(text, len, from, &plain, &at[1], &n[1])) {
            abort();
        }
        if (!is_found) {
            return 0;
        }
        if (at[0] != at[1] || n[0] != n[1] || bh_ip_cmp(&fast, &plain) != 0) {
            abort();
        }
        from = at[0] + n[0];
    }
}
