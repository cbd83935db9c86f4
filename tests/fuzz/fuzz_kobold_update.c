/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_kobold_update.c - what a server may send to kobold update: statistics files and checksums. The first
 * octet's lowest bit chooses. Whatever passes has a registry and a version; a checksum found is 32 digits.
 */
#include "kobold_update.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    char hex[33];
    kobold_md5(text, size - 1, hex);
    if (strlen(hex) != 32) {
        abort();
    }
    if (data[0] & 1) {
        char found[33];
        if (kobold_md5_find(text, size - 1, found) && strspn(found, "0123456789abcdef") != 32) {
            abort();
        }
        return 0;
    }
    struct kobold_statistics s;
    struct bh_error err = { .code = 0 };
    char line[1200];
    int r = kobold_statistics_check("file", text, size - 1, &s, &err);
    if (r == 0 ? s.registry[0] == '\0' || s.version[0] != '2' : err.code != r) {
        abort();
    }
    if (r < 0) {
        bh_error_line(&err, BH_JA, line, sizeof line);
    }
    return 0;
}
