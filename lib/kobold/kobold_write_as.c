/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_write_as.c - AS tables to the section KDB_AS (docs/format/kdb.md).
 */
#include "kobold_compile_priv.h"

#include <errno.h>
#include <stdlib.h>

/* Runs of AS numbers: neighbours of one system merged. */
struct as_runs {
    struct kobold_addr *starts;
    uint32_t *numbers;
    size_t count;
};

static void
as_runs_done(struct as_runs *r)
{
    free(r->starts);
    free(r->numbers);
}

static int
flatten(struct kobold_ranges *ranges, int family, struct as_runs *ret)
{
    struct kobold_runs runs;
    uint64_t twice;
    *ret = (struct as_runs){ 0 };
    if (ranges->count == 0) {
        return 0;
    }
    int r = runs_from_ranges(ranges, family, 0, RUNS_BY_LINE, &runs, &twice);
    if (r < 0) {
        return r;
    }
    ret->starts = malloc(bh_size_mul(runs.count, sizeof *ret->starts));
    ret->numbers = malloc(bh_size_mul(runs.count, sizeof *ret->numbers));
    if (ret->starts == NULL || ret->numbers == NULL || runs.count > UINT32_MAX) {
        as_runs_done(ret);
        runs_done(&runs);
        return -ENOMEM;
    }
    for (size_t i = 0; i < runs.count; i++) {
        const struct kobold_run *run = &runs.at[i];
        uint32_t number = run->range == 0 ? 0 : ranges->at[run->range - 1].line;
        if (ret->count == 0 || ret->numbers[ret->count - 1] != number) {
            ret->starts[ret->count] = run->start;
            ret->numbers[ret->count++] = number;
        }
    }
    runs_done(&runs);
    return 0;
}

static int
compare_names(const void *pa, const void *pb)
{
    const struct kobold_as_text *a = pa;
    const struct kobold_as_text *b = pb;
    return a->number < b->number ? -1 : a->number > b->number;
}

/* For each /16 how many runs begin before it. */
static void
put_top(struct bh_buf *b, const struct as_runs *v4)
{
    size_t i = 0;
    for (uint32_t top = 0; top <= 65536; top++) {
        while (i < v4->count && v4->starts[i].lo < (uint64_t)top << 16) {
            i++;
        }
        buf_put32(b, (uint32_t)i);
    }
}

static void
put_v6(struct bh_buf *b, const struct as_runs *v6)
{
    for (size_t i = 0; i < v6->count; i += KDB_AS_SAMPLE) {
        buf_put64(b, v6->starts[i].hi);
    }
    for (size_t i = 0; i < v6->count; i++) {
        buf_put64(b, v6->starts[i].hi);
    }
    for (size_t i = 0; i < v6->count; i++) {
        buf_put64(b, v6->starts[i].lo);
    }
    for (size_t i = 0; i < v6->count; i++) {
        buf_put32(b, v6->numbers[i]);
    }
}

static void
put_names(struct bh_buf *b, const struct kobold_as_table *as)
{
    for (size_t i = 0; i < as->count; i++) {
        buf_put32(b, as->at[i].number);
    }
    uint32_t at = 0;
    for (size_t i = 0; i < as->count; i++) {
        buf_put32(b, at);
        at += as->at[i].len;
    }
    buf_put32(b, at);
}

static void
put_header(struct bh_buf *b, const struct kobold_as_table *as, const struct as_runs runs[2])
{
    uint8_t header[KDB_AS_HEADER] = { 0 };
    uint64_t text = 0;
    for (size_t i = 0; i < as->count; i++) {
        text += as->at[i].len;
    }
    bh_put_le32(header, (uint32_t)as->count);
    bh_put_le32(header + 4, (uint32_t)runs[0].count);
    bh_put_le32(header + 8, (uint32_t)runs[1].count);
    bh_put_le64(header + 16, text);
    memcpy(header + KDB_AS_AT_NAME, as->name, strlen(as->name));
    memcpy(header + KDB_AS_AT_DATE, as->date, strlen(as->date));
    memcpy(header + KDB_AS_AT_LICENCE, as->licence, strlen(as->licence));
    memcpy(header + KDB_AS_AT_SOURCE, as->source, strlen(as->source));
    bh_buf_add(b, header, sizeof header);
}

int
write_as(struct kobold_build *b, struct bh_buf *ret)
{
    struct kobold_as_table *as = &b->as;
    struct as_runs runs[2] = { { 0 } };
    if (as->ranges[0].count == 0 && as->ranges[1].count == 0) {
        return 0;
    }
    int r = flatten(&as->ranges[0], 4, &runs[0]);
    if (r == 0) {
        r = flatten(&as->ranges[1], 6, &runs[1]);
    }
    if (r == 0) {
        qsort(as->at, as->count, sizeof *as->at, compare_names);
        put_header(ret, as, runs);
        put_v6(ret, &runs[1]);
        put_top(ret, &runs[0]);
        for (size_t i = 0; i < runs[0].count; i++) {
            buf_put32(ret, runs[0].numbers[i]);
        }
        put_names(ret, as);
        for (size_t i = 0; i < runs[0].count; i++) {
            buf_put16(ret, (uint16_t)runs[0].starts[i].lo);
        }
        for (size_t i = 0; i < as->count; i++) {
            bh_buf_add(ret, as->texts.data + as->at[i].at, as->at[i].len);
        }
        r = ret->failed ? -ENOMEM : 0;
    }
    as_runs_done(&runs[0]);
    as_runs_done(&runs[1]);
    return r;
}
