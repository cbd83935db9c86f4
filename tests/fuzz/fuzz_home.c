/* SPDX-License-Identifier: BSD-2-Clause */
/* Any text as home. What was understood is written down as the user would write it: read again,
 * it is the same home. */
#include <stdlib.h>

#include "bh_track.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_sorted(const struct bh_home *h)
{
    for (size_t i = 0; i < h->v4_count; i++) {
        if (h->v4[i].first > h->v4[i].last || (i > 0 && h->v4[i].first <= h->v4[i - 1].last)) {
            abort();
        }
        struct bh_ip first = bh_ip_from_v4(h->v4[i].first), last = bh_ip_from_v4(h->v4[i].last);
        if (!bh_home_has(h, &first) || !bh_home_has(h, &last)) {
            abort();
        }
    }
    for (size_t i = 0; i < h->v6_count; i++) {
        struct bh_ip first = bh_ip_from_v6(h->v6[i].first_hi, h->v6[i].first_lo);
        struct bh_ip last = bh_ip_from_v6(h->v6[i].last_hi, h->v6[i].last_lo);
        if (bh_ip_cmp(&first, &last) > 0 || !bh_home_has(h, &first) || !bh_home_has(h, &last)) {
            abort();
        }
    }
}

static void
check_same(const struct bh_home *a, const struct bh_home *b)
{
    if (a->v4_count != b->v4_count || a->v6_count != b->v6_count ||
        a->bcast_count != b->bcast_count || a->near4_count != b->near4_count ||
        a->near6_count != b->near6_count) {
        abort();
    }
    if ((a->v4_count > 0 && memcmp(a->v4, b->v4, a->v4_count * sizeof *a->v4) != 0) ||
        (a->v6_count > 0 && memcmp(a->v6, b->v6, a->v6_count * sizeof *a->v6) != 0) ||
        (a->near4_count > 0 &&
         memcmp(a->near4, b->near4, a->near4_count * sizeof *a->near4) != 0)) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 4096) {
        return 0;
    }
    char *text = malloc(size + 1);
    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    struct bh_home h, again;
    struct bh_error err = { 0 };
    int r = bh_home_parse(text, &h, &err);
    if (r != 0) {
        if (err.code != r || err.text[BH_EN][0] == '\0' || err.text[BH_JA][0] == '\0') {
            abort();
        }
    } else {
        check_sorted(&h);
        if (h.text[BH_EN].len == 0 || h.text[BH_JA].len == 0 ||
            bh_home_parse(h.networks.data, &again, NULL) != 0) {
            abort();
        }
        check_same(&h, &again);
        bh_home_done(&again);
        bh_home_done(&h);
    }
    free(text);
    return 0;
}
