/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any text as a log of a form. The first line names the form (empty: as it looks), the rest is the
 * file.
 */
#include "check_import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bh_batch *b;
    char form[16];
    const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t n = newline == NULL ? size : (size_t)(newline - data);
    if (b == NULL) {
        b = bh_batch_new();
    }
    if (newline == NULL || n >= sizeof form || b == NULL) {
        return 0;
    }
    memcpy(form, data, n);
    form[n] = '\0';
    struct bh_import *im;
    struct bh_error err = { 0 };
    char line[1024];
    size -= n + 1;
    struct bh_import_options o = { .format = n == 0 ? NULL : form,
                                   .now_ns = INT64_C(1700000000000000000) };
    int r = bh_import_open_memory_with(newline + 1, size, &o, &im, &err);
    if (r < 0) {
        CHECK(err.code == r && err.text[BH_EN][0] != '\0' && err.text[BH_JA][0] != '\0');
        bh_error_line(&err, BH_JA, line, sizeof line);
        return 0;
    }
    check_all(im, b, size);
    bh_import_close(im);
    return 0;
}
