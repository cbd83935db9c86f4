/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The time line, and the gaps in it.
 *
 * A gap is a silence the sensor owes an explanation for, not merely a quiet hour: with p the
 * share of hours that hold any frame, k empty hours in a row happen by chance with
 * (1 - p)^k; a run is a gap when that, over all hours of the period, stays below one in a
 * thousand. So a busy sensor shows a gap of two hours, and a quiet one none at night.
 */
#include "trend_priv.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define HOUR_NS 3600000000000LL
#define CHANCE 1e-3

static int
cmp_hour(const void *a, const void *b)
{
    const struct hour *x = a, *y = b;
    return (int32_t)x->id < (int32_t)y->id ? -1 : (int32_t)x->id > (int32_t)y->id;
}

static int64_t
floor_hours(int64_t ns)
{
    return ns / HOUR_NS - (ns % HOUR_NS < 0);
}

static int
find_gaps(struct build *b, const struct hour *h, size_t n)
{
    struct bh_trend *out = b->out;
    if (n < 3) {
        return 0;
    }
    double span = (double)(h[n - 1].id - h[0].id) / HOUR_STEP + 1;
    size_t cap = 0;
    for (size_t i = 1; i < n; i++) {
        uint32_t empty = (h[i].id - h[i - 1].id) / HOUR_STEP;
        if (empty < 3) {
            continue;
        }
        empty--;
        /* The share of hours with frames outside this very run. */
        double p = (double)n / (span - empty);
        double chance = p >= 1 ? 0 : pow(1 - p, empty) * span;
        if (chance >= CHANCE) {
            continue;
        }
        if (out->gap_count == cap) {
            cap = cap == 0 ? 16 : cap * 2;
            struct bh_trend_gap *g = realloc(out->gaps, cap * sizeof *g);
            if (g == NULL) {
                return -ENOMEM;
            }
            out->gaps = g;
        }
        struct bh_trend_gap *g = &out->gaps[out->gap_count++];
        *g = (struct bh_trend_gap){ .start_ns = h[i - 1].last_frame_ns,
                                    .end_ns = h[i].first_frame_ns };
        const struct bh_silences *s = b->t->cfg.silences;
        for (uint32_t k = 0; s != NULL && k < s->count && k < BH_GAPS_MAX; k++) {
            g->regular_sources += s->silence[k].end_ns == g->end_ns ? b->t->gap_regular[k] : 0;
        }
    }
    return 0;
}

static enum bh_bin
choose_bin(int64_t start_ns, int64_t end_ns)
{
    int64_t hours = floor_hours(end_ns) - floor_hours(start_ns);
    return hours <= 72 ? BH_BIN_HOUR : hours <= 190 * 24 ? BH_BIN_DAY : BH_BIN_WEEK;
}

/* First hour id of the bin that holds this hour, and of the next bin. */
static void
bin_bounds(const struct hour *h, enum bh_bin bin, uint32_t *ret_first, uint32_t *ret_next)
{
    *ret_first = bin == BH_BIN_HOUR ? h->id : bin == BH_BIN_DAY ? h->day_first : h->week_first;
    *ret_next = bin == BH_BIN_HOUR  ? h->id + HOUR_STEP
                : bin == BH_BIN_DAY ? h->day_next
                                    : h->week_next;
}

static bool
in_gap(const struct bh_trend *o, int64_t start_ns, int64_t end_ns)
{
    for (size_t i = 0; i < o->gap_count; i++) {
        if (o->gaps[i].start_ns <= start_ns && o->gaps[i].end_ns >= end_ns) {
            return true;
        }
    }
    return false;
}

static struct bh_trend_bin *
bin_add(struct bh_trend *o, size_t *cap, int64_t start_ns)
{
    if (o->bin_count == *cap) {
        *cap = *cap == 0 ? 64 : *cap * 2;
        struct bh_trend_bin *p = realloc(o->bins, *cap * sizeof *p);
        if (p == NULL) {
            return NULL;
        }
        o->bins = p;
    }
    struct bh_trend_bin *bin = &o->bins[o->bin_count++];
    *bin = (struct bh_trend_bin){ .start_ns = start_ns };
    return bin;
}

/* Bins without any hour: zero, or a gap. They are walked by local days, weeks or hours. */
static int64_t
next_start(enum bh_bin bin, int64_t start_ns)
{
    int64_t next_ns;
    if (bin == BH_BIN_HOUR) {
        return __builtin_add_overflow(start_ns, HOUR_NS, &next_ns) ? INT64_MAX : next_ns;
    }
    int64_t day = bh_zone_day(start_ns / 1000000000LL + 43200); /* noon: safe from clock changes */
    int64_t next_s = bh_zone_day_start(day + (bin == BH_BIN_DAY ? 1 : 7));
    return __builtin_mul_overflow(next_s, 1000000000LL, &next_ns) ? INT64_MAX : next_ns;
}

#define BINS_SHOWN_MAX 4096U

static int
fill_bins(struct build *b, const struct hour *h, size_t n)
{
    struct bh_trend *o = b->out;
    size_t cap = 0;
    for (size_t i = 0; i < n;) {
        uint32_t first, next;
        bin_bounds(&h[i], o->bin, &first, &next);
        int64_t start_ns = bins_hour_start_ns(first);
        while (o->bin_count > 0 && o->bin_count < BINS_SHOWN_MAX) {
            int64_t at = next_start(o->bin, o->bins[o->bin_count - 1].start_ns);
            if (at >= start_ns) {
                break;
            }
            struct bh_trend_bin *empty = bin_add(o, &cap, at);
            if (empty == NULL) {
                return -ENOMEM;
            }
            empty->gap = in_gap(o, at, next_start(o->bin, at));
        }
        struct bh_trend_bin *bin = bin_add(o, &cap, start_ns);
        if (bin == NULL) {
            return -ENOMEM;
        }
        for (; i < n && (h[i].id - first < next - first); i++) {
            bin->count += h[i].count;
            bin->sources += o->bin == BH_BIN_HOUR  ? h[i].sources
                            : o->bin == BH_BIN_DAY ? h[i].day_sources
                                                   : h[i].week_sources;
        }
        if (b->t->cfg.count == BH_COUNT_SOURCES) {
            bin->count = bin->sources;
        }
    }
    return 0;
}

int
build_timeline(struct build *b)
{
    struct bins *bins = &b->t->bins;
    /* An hour can exist without a frame: the first hour of all shards. */
    size_t n = 0;
    struct hour *h = malloc((bins->used + 1UL) * sizeof *h);
    if (h == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < bins->used; i++) {
        if (bins->hour[i].frames > 0) {
            h[n++] = bins->hour[i];
        }
    }
    qsort(h, n, sizeof *h, cmp_hour);
    b->out->bin = n == 0 ? BH_BIN_HOUR : choose_bin(h[0].first_frame_ns, h[n - 1].last_frame_ns);
    int r = find_gaps(b, h, n);
    r = r != 0 ? r : fill_bins(b, h, n);
    free(h);
    return r;
}
