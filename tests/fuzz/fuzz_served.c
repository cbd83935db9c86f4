/* SPDX-License-Identifier: BSD-2-Clause */
/* Any text as --served. The first octet says how many lines there is room for. */
#include <stdlib.h>

#include "bh_analysis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct bh_served *s)
{
    bool somebody = s->to_home_country || s->code_count > 0 || s->net_count > 0;
    if ((s->proto != BH_PROTO_TCP && s->proto != BH_PROTO_UDP) || s->to_all == somebody ||
        s->code_count > BH_COUNT(s->codes) || s->net_count > BH_COUNT(s->nets)) {
        abort();
    }
    for (size_t i = 0; i < s->code_count; i++) {
        if (strlen(s->codes[i]) != 2 || kobold_country_name(s->codes[i], 0) == NULL) {
            abort();
        }
    }
    for (size_t i = 0; i < s->net_count; i++) {
        if (s->nets[i].prefix_len > (s->nets[i].ip.family == 6 ? 128U : 32U)) {
            abort();
        }
    }
    if (memchr(s->offered_to, '\0', sizeof s->offered_to) == NULL ||
        (s->to_all && s->offered_to[0] != '\0')) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 4096) {
        return 0;
    }
    const size_t max = data[0] % 5 == 0 ? 1U + data[0] % 3U : BH_SERVED_MAX;
    char *text = malloc(size);
    struct bh_served *served = calloc(max, sizeof *served);
    if (text != NULL && served != NULL) {
        memcpy(text, data + 1, size - 1);
        text[size - 1] = '\0';
        struct bh_error err = { 0 };
        size_t count = 0;
        int r = bh_served_parse(text, served, max, &count, &err);
        if (r == 0) {
            if (count == 0 || count > max) {
                abort();
            }
            for (size_t i = 0; i < count; i++) {
                check(&served[i]);
            }
        } else if (err.code != r || err.text[BH_EN][0] == '\0' || err.text[BH_JA][0] == '\0') {
            abort();
        }
    }
    free(text);
    free(served);
    return 0;
}
