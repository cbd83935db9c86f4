/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any text as a log. The first line is the mapping of columns (empty: automatic), the rest is the
 * file.
 */
#include <stdlib.h>

#include "bh_import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what))                                                                               \
            abort();                                                                               \
    } while (0)

static void
check_batch(const struct bh_batch *b)
{
    uint32_t v6 = 0;
    CHECK(b->rows <= BH_BATCH_ROWS);
    for (uint32_t i = 0; i < b->rows; i++) {
        CHECK(b->kind[i] == BH_KIND_IP4 || b->kind[i] == BH_KIND_IP6);
        CHECK(b->ts_ns[i] > 0 && b->reason[i] == BH_REASON_NONE && b->weight[i] > 0);
        if (b->kind[i] == BH_KIND_IP6) {
            CHECK(b->src[i] == v6 && b->dst[i] == v6);
            v6++;
        }
        if ((b->layers[i] & (BH_LAYER_TCP | BH_LAYER_UDP)) != 0) {
            CHECK((b->marks[i] & BH_MARK_NO_PORTS) != 0 || bh_batch_dst_port(b, i) != 0);
        }
        struct bh_ip ip = bh_batch_src(b, i);
        CHECK(ip.family == b->kind[i]);
    }
    CHECK(v6 == b->v6_rows);
}

static void
check_all(struct bh_import *im, struct bh_batch *b, size_t size)
{
    struct bh_import_stats s;
    uint64_t rows = 0, bad = 0, late = 0;
    int64_t newest = INT64_MIN;
    int r;
    while ((r = bh_import_read(im, b, NULL)) == 1) {
        CHECK(b->rows > 0);
        check_batch(b);
        rows += b->rows;
        for (uint32_t i = 0; i < b->rows; i++) {
            late += b->ts_ns[i] < newest;
            newest = b->ts_ns[i] > newest ? b->ts_ns[i] : newest;
        }
    }
    CHECK(r == 0 && b->rows == 0);
    bh_import_get_stats(im, &s);
    for (size_t i = 0; i < s.reason_count; i++) {
        CHECK(s.reasons[i].count > 0 && s.reasons[i].reason[0] != '\0' &&
              s.reasons[i].reason_ja[0] != '\0');
        bad += s.reasons[i].count;
    }
    CHECK(s.rows == rows + bad && s.bad_rows == bad && s.late_rows == late && late == 0);
    CHECK(s.bytes == size && s.columns[0] != '\0');
    CHECK((bad > 0) == (s.bad_example[0] != '\0'));
    for (const char *p = s.bad_example; *p != '\0'; p++) {
        CHECK((uint8_t)*p >= 0x20 && *p != 0x7f);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bh_batch *b;
    char columns[512];
    const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t n = newline == NULL ? size : (size_t)(newline - data);
    if (b == NULL) {
        b = bh_batch_new();
    }
    if (newline == NULL || n >= sizeof columns || b == NULL) {
        return 0;
    }
    memcpy(columns, data, n);
    columns[n] = '\0';
    struct bh_import *im;
    struct bh_error err = { 0 };
    char line[1024];
    size -= n + 1;
    int r = bh_import_open_memory(newline + 1, size, n == 0 ? NULL : columns, &im, &err);
    if (r < 0) {
        CHECK(err.code == r && err.text[BH_EN][0] != '\0' && err.text[BH_JA][0] != '\0');
        bh_error_line(&err, BH_JA, line, sizeof line);
        return 0;
    }
    check_all(im, b, size);
    bh_import_close(im);
    return 0;
}
