/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_kobold_text.c - any text as input of the database compiler, in every format. What it
 * accepts must become a database that opens, verifies, and answers.
 *
 * The first octet chooses format and layers; the text may hold two inputs, parted by 0x01.
 */
#include "kobold_compile.h"
#include "kobold_priv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
notice(void *arg, const struct bh_error *e)
{
    char line[1200];
    (void)arg;
    bh_error_line(e, BH_JA, line, sizeof line);
}

static void
try_build(kobold_build *b)
{
    uint8_t *data;
    size_t size;
    kobold *k;
    struct bh_error err;
    if (kobold_build_finish(b, &data, &size, &err) < 0) {
        return;
    }
    if (kobold_open_memory(data, size, &k) < 0 || kobold_verify(k) < 0) {
        abort();
    }
    for (uint32_t i = 0; i < 256; i++) {
        uint64_t x = (uint64_t)(i * 2654435761U) << 32;
        if (kobold_v4(k, i << 24) >= kobold_value_count(k) ||
            kobold_v6(k, x, x) >= kobold_value_count(k)) {
            abort();
        }
    }
    kobold_close(k);
    free(data);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bh_error err;
    struct kobold_input in;
    kobold_build *b = size == 0 ? NULL : kobold_build_new();
    if (b == NULL) {
        return 0;
    }
    kobold_build_on_notice(b, notice, NULL);
    const char *text = (const char *)data + 1;
    size_t left = size - 1;
    enum kobold_format format = (enum kobold_format)(data[0] % (KOBOLD_FORMAT_LIST + 1));
    unsigned layer = data[0] / 8 % 3;
    int good = 0;
    for (int i = 0; i < 2 && left > 0; i++) {
        const char *part = memchr(text, 1, left);
        size_t n = part == NULL ? left : (size_t)(part - text);
        good += kobold_build_add(b, i == 0 ? "a" : "b", text, n, format, (enum kobold_layer)layer,
                                 &in, &err) == 0;
        layer = (layer + data[0] / 64) % 3;
        text += n;
        left -= n;
        if (left > 0) {
            text++;
            left--;
        }
    }
    /* A whole database for each input costs a millisecond; small texts show as much. */
    if (good > 0 && size < 4096) {
        try_build(b);
    }
    kobold_build_free(b);
    return 0;
}
