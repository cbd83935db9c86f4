/* SPDX-License-Identifier: BSD-2-Clause */
/* Any text as beholder.conf: whatever it says, what is printed of it reads the same. */
#include <stdlib.h>

#include "bh_config.h"
#include "bh_modules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct bh_config *
read_text(const char *text, size_t len, int *ret_result)
{
    struct bh_config *c = bh_config_new(bh_modules);
    if (c == NULL) {
        abort();
    }
    const int r = bh_config_read_memory(c, "fuzz.conf", text, len);
    const int whole = bh_config_finish(c);
    *ret_result = r != 0 ? r : whole;
    if ((*ret_result != 0) != (bh_config_error_count(c) > 0)) {
        abort();
    }
    for (size_t k = 0; k < bh_config_error_count(c); k++) {
        char line[1200];
        for (int lang = 0; lang < BH_LANGS; lang++) {
            bh_error_line(bh_config_error(c, k), (enum bh_lang)lang, line, sizeof line);
        }
    }
    return c;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int good;
    struct bh_config *c = read_text((const char *)data, size, &good);
    if (good == 0) {
        struct bh_buf text = { 0 }, json = { 0 };
        int again;
        bh_config_print(c, true, BH_JA, &text);
        bh_config_print_json(c, &json);
        struct bh_config *d = read_text(text.data, text.len, &again);
        /* Values with a comment sign in them, or words of 90 octets, do not survive; say nothing else is lost. */
        if (again == 0 && bh_config_output_count(c) != bh_config_output_count(d)) {
            abort();
        }
        bh_config_free(d);
        bh_buf_done(&text);
        bh_buf_done(&json);
    }
    bh_config_free(c);
    return 0;
}
