/* SPDX-License-Identifier: BSD-2-Clause */
/* What holds of every import, whatever was read. */
#ifndef CHECK_IMPORT_H
#define CHECK_IMPORT_H

#include <stdlib.h>

#include "bh_import.h"

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what))                                                                               \
            abort();                                                                               \
    } while (0)

static inline void
check_batch(const struct bh_batch *b, bool is_table)
{
    uint32_t v6 = 0;
    CHECK(b->rows <= BH_BATCH_ROWS && b->quote_rows <= BH_BATCH_QUOTES);
    for (uint32_t i = 0; i < b->quote_rows; i++) {
        CHECK(b->quotes[i].row < b->rows && (i == 0 || b->quotes[i - 1].row < b->quotes[i].row));
        CHECK(b->quotes[i].kind == BH_KIND_IP4 || b->quotes[i].kind == BH_KIND_IP6);
    }
    for (uint32_t i = 0; i < b->rows; i++) {
        CHECK(b->kind[i] == BH_KIND_IP4 || b->kind[i] == BH_KIND_IP6 || b->kind[i] == BH_KIND_ARP);
        CHECK(b->direction[i] <= BH_DIR_LOCAL);
        CHECK(b->ts_ns[i] > 0 && b->reason[i] == BH_REASON_NONE && b->weight[i] > 0);
        if (b->kind[i] == BH_KIND_IP6) {
            CHECK(b->src[i] == v6 && b->dst[i] == v6);
            v6++;
        }
        if (is_table && (b->layers[i] & (BH_LAYER_TCP | BH_LAYER_UDP)) != 0) {
            CHECK((b->marks[i] & BH_MARK_NO_PORTS) != 0 || bh_batch_dst_port(b, i) != 0);
        }
        struct bh_ip ip = bh_batch_src(b, i);
        CHECK(ip.family == (b->kind[i] == BH_KIND_ARP ? 4 : b->kind[i]));
    }
    CHECK(v6 == b->v6_rows);
}

static inline void
check_all(struct bh_import *im, struct bh_batch *b, size_t size)
{
    struct bh_import_stats s;
    uint64_t rows = 0, bad = 0, late = 0;
    int64_t newest = INT64_MIN;
    int r;
    bh_import_get_stats(im, &s);
    const bool is_table = s.is_table;
    while ((r = bh_import_read(im, b, NULL)) == 1) {
        CHECK(b->rows > 0);
        check_batch(b, is_table);
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
    CHECK(s.records == rows && s.bad_rows == bad && s.late_rows == late && late == 0);
    CHECK(s.form[BH_EN][0] != '\0' && s.form[BH_JA][0] != '\0' && s.damage.code == 0);
    CHECK(s.bytes == size && is_table == (s.columns[0] != '\0'));
    CHECK(is_table ? s.rows == rows + bad : s.rows <= rows + bad);
    CHECK((bad > 0) == (s.bad_example[0] != '\0'));
    for (const char *p = s.bad_example; *p != '\0'; p++) {
        CHECK((uint8_t)*p >= 0x20 && *p != 0x7f);
    }
}

#endif
