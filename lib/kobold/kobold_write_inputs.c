/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_write_inputs.c - the section that tells what each input said (docs/format/kdb.md).
 *
 * One list of runs for each input and family, not one for the result: the input that decided and
 * those it overrode are then answered by the same look-up, and a second opinion is one more
 * list. A run takes some four octets: starts as distances without their zero bits, lines as
 * differences, which are nearly always one.
 */
#include "kobold_compile_priv.h"

#include <errno.h>

struct out {
    struct bh_buf rows, index, runs;
    const uint16_t *value_of;
};

static void
put_leb(struct bh_buf *b, bh_u128 v)
{
    uint8_t octets[19];
    size_t n = 0;
    do {
        octets[n++] = (uint8_t)((unsigned)(v & 127) | (v > 127 ? 128 : 0));
        v >>= 7;
    } while (v > 0);
    bh_buf_add(b, octets, n);
}

static bh_u128
wide(struct kobold_addr a)
{
    return (bh_u128)a.hi << 64 | a.lo;
}

/* How far the run begins behind the one before. */
static void
put_distance(struct bh_buf *b, struct kobold_addr before, struct kobold_addr start)
{
    bh_u128 distance = wide(start) - wide(before);
    uint64_t low = (uint64_t)distance;
    unsigned zeros = low != 0 ? (unsigned)__builtin_ctzll(low)
                              : 64 + (unsigned)__builtin_ctzll((uint64_t)(distance >> 64));
    bh_buf_putc(b, (char)zeros);
    put_leb(b, distance >> zeros);
}

static void
put_what(struct out *o, const struct kobold_range *range, bool has_details, uint32_t *line)
{
    struct bh_buf *b = &o->runs;
    if (range == NULL) {
        put_leb(b, 0);
        return;
    }
    put_leb(b, range->code == CODE_NONE ? 1 : 2U + o->value_of[range->code]);
    int64_t step = (int64_t)range->line - *line - 1;
    put_leb(b, step < 0 ? ((uint64_t)(-step - 1) << 1 | 1) : (uint64_t)step << 1);
    *line = range->line;
    if (has_details) {
        bh_buf_putc(b, (char)(range->registry << 4 | range->status));
        buf_put16(b, range->day);
    }
}

static void
put_runs(struct out *o, const struct kobold_source *s, int f, const struct kobold_runs *runs)
{
    uint32_t line = 0;
    for (size_t i = 0; i < runs->count; i++) {
        const struct kobold_run *run = &runs->at[i];
        if (i % KDB_INDEX_RUNS == 0) {
            buf_put64(&o->index, run->start.hi);
            buf_put64(&o->index, run->start.lo);
            buf_put64(&o->index, o->runs.len);
            line = 0;
        } else {
            put_distance(&o->runs, run[-1].start, run->start);
        }
        const struct kobold_ranges *from = run->source == 0 ? &s->ranges[f] : &s->notes[f];
        put_what(o, run->range == 0 ? NULL : &from->at[run->range - 1], s->has_details, &line);
    }
}

/* Every line's runs; blocks that are listed without a country beneath the others. */
static int
runs_by_line(struct kobold_source *s, int f, struct kobold_runs *ret)
{
    const int family = f == 0 ? 4 : 6;
    struct kobold_runs over;
    struct kobold_runs under;
    uint64_t twice;
    int r = runs_from_ranges(&s->ranges[f], family, 0, RUNS_BY_LINE, &over, &twice);
    if (r < 0 || s->notes[f].count == 0) {
        *ret = over;
        return r;
    }
    r = runs_from_ranges(&s->notes[f], family, 1, RUNS_BY_LINE, &under, &twice);
    if (r == 0) {
        r = runs_overlay(&under, &over, family, RUNS_BY_LINE, NULL, ret);
        runs_done(&under);
    }
    runs_done(&over);
    return r;
}

/* Without its folder, unless another input is called the same: where the files lay is nobody's
 * business, and the same files make the same database. */
static const char *
name_of(const struct kobold_build *b, const struct kobold_source *s)
{
    const char *base = base_name(s->name);
    for (size_t i = 0; i < b->source_count; i++) {
        if (b->sources[i] != s && strcmp(base_name(b->sources[i]->name), base) == 0) {
            return s->name;
        }
    }
    return base;
}

static void
put_row(struct out *o, const struct kobold_build *b, const struct kobold_source *s,
        const uint32_t family[4])
{
    uint8_t row[KDB_INPUT_SIZE] = { 0 };
    const char *format = kobold_format_name(s->input.format);
    const char *name = name_of(b, s);
    memcpy(row, name, strlen(name));
    memcpy(row + KDB_INPUT_AT_DATE, s->input.date, strlen(s->input.date));
    memcpy(row + KDB_INPUT_AT_LICENCE, s->licence, strlen(s->licence));
    memcpy(row + KDB_INPUT_AT_FORMAT, format, strlen(format));
    row[KDB_INPUT_AT_LAYER] = (uint8_t)s->layer;
    row[KDB_INPUT_AT_FLAGS] = s->has_details ? KDB_INPUT_HAS_DETAILS : 0;
    for (size_t i = 0; i < 4; i++) {
        bh_put_le32(row + KDB_INPUT_AT_FAMILY + 4 * i, family[i]);
    }
    bh_buf_add(&o->rows, row, sizeof row);
}

static int
put_input(struct out *o, const struct kobold_build *b, struct kobold_source *s)
{
    uint32_t family[4] = { 0 }; /* first index entry, runs: of IPv4, of IPv6 */
    for (int f = 0; f < 2 && is_input_kept(b, s); f++) {
        struct kobold_runs runs;
        if (s->ranges[f].count == 0 && s->notes[f].count == 0) {
            continue;
        }
        int r = runs_by_line(s, f, &runs);
        if (r < 0) {
            return r;
        }
        family[2 * f] = (uint32_t)(o->index.len / KDB_INDEX_SIZE);
        family[2 * f + 1] = (uint32_t)runs.count;
        put_runs(o, s, f, &runs);
        runs_done(&runs);
    }
    put_row(o, b, s, family);
    return 0;
}

/* Is there more to tell than the country? */
static bool
has_more(const struct kobold_build *b)
{
    unsigned with[2] = { 0, 0 };
    for (size_t i = 0; i < b->source_count; i++) {
        const struct kobold_source *s = b->sources[i];
        if (s->layer == KOBOLD_LAYER_SECOND) {
            continue;
        }
        with[0] += s->ranges[0].count > 0;
        with[1] += s->ranges[1].count > 0;
        if (s->has_details || s->layer != KOBOLD_LAYER_DATA) {
            return true;
        }
    }
    return with[0] > 1 || with[1] > 1;
}

bool
is_input_kept(const struct kobold_build *b, const struct kobold_source *s)
{
    return s->layer == KOBOLD_LAYER_SECOND || b->details == KOBOLD_DETAILS_YES ||
           (b->details == KOBOLD_DETAILS_AUTO && has_more(b));
}

int
write_inputs(struct kobold_build *b, const uint16_t *value_of, struct bh_buf *ret)
{
    struct out o = { .value_of = value_of };
    bool is_kept = false;
    int r = 0;
    for (size_t i = 0; i < b->source_count; i++) {
        is_kept |= is_input_kept(b, b->sources[i]);
    }
    for (size_t i = 0; is_kept && r == 0 && i < b->source_count; i++) {
        r = put_input(&o, b, b->sources[i]);
    }
    if (r == 0 && is_kept) {
        const struct bh_buf *parts[] = { &o.rows, &o.index, &o.runs };
        uint8_t header[KDB_INPUTS_HEADER] = { 0 };
        bh_put_le32(header, (uint32_t)b->source_count);
        bh_put_le64(header + 8, o.index.len / KDB_INDEX_SIZE);
        bh_put_le64(header + 16, o.runs.len);
        bh_buf_add(ret, header, sizeof header);
        for (size_t i = 0; i < BH_COUNT(parts); i++) {
            bh_buf_add(ret, parts[i]->data, parts[i]->len);
            ret->failed |= parts[i]->failed;
        }
        r = ret->failed ? -ENOMEM : 0;
    }
    bh_buf_done(&o.rows);
    bh_buf_done(&o.index);
    bh_buf_done(&o.runs);
    return r;
}
