/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_runs.c - nested ranges to runs without gaps or overlaps, and runs over runs.
 *
 * Sources nest ranges, and not always cleanly (some overlap only in part). Sorted by start,
 * longer first, a stack of the open ones tells which is innermost at each point; after its
 * end the one around it goes on.
 */
#include "kobold_compile_priv.h"

#include <errno.h>
#include <stdlib.h>

/* Room for one more of `each` octets, doubling. */
static bool
make_room(void **at, size_t count, size_t *room, size_t each)
{
    if (count < *room) {
        return true;
    }
    size_t more = *room == 0 ? 64 : bh_size_mul(*room, 2);
    void *p = realloc(*at, bh_size_mul(more, each));
    if (p == NULL) {
        return false;
    }
    *at = p;
    *room = more;
    return true;
}

/* Ranges and runs of a large table are some 20 MB each, touched once from front to back: in huge
 * pages, where a fault of a small one may cost more than what is written there. */
static void *
pages_of(size_t count, size_t each)
{
    return bh_pages_new(bh_size_mul(count, each), true);
}

bool
ranges_grow(struct kobold_ranges *r)
{
    size_t room = r->room == 0 ? 64 : bh_size_mul(r->room, 2);
    struct kobold_range *at =
        r->failed || r->count >= UINT32_MAX - 1 ? NULL : pages_of(room, sizeof *at);
    if (at == NULL) {
        r->failed = true;
        return false;
    }
    if (r->count > 0) {
        memcpy(at, r->at, r->count * sizeof *at);
    }
    bh_pages_free(r->at, r->room * sizeof *at);
    r->at = at;
    r->room = room;
    return true;
}

void
ranges_reserve(struct kobold_ranges *r, size_t room)
{
    if (r->at == NULL && (r->at = pages_of(room, sizeof *r->at)) != NULL) {
        r->room = room;
    }
}

void
ranges_done(struct kobold_ranges *r)
{
    bh_pages_free(r->at, r->room * sizeof *r->at);
    *r = (struct kobold_ranges){ 0 };
}

void
runs_done(struct kobold_runs *r)
{
    bh_pages_free(r->at, r->room * sizeof *r->at);
    *r = (struct kobold_runs){ 0 };
}

/* Appends a run, or lengthens the one before when it says the same. There must be room. */
static inline void
runs_emit(struct kobold_runs *r, const struct kobold_run *run, bool is_by_line)
{
    size_t n = r->count;
    if (n > 0 && addr_cmp(r->at[n - 1].start, run->start) == 0) {
        n--; /* an empty run: what comes now takes its place */
    }
    const struct kobold_run *before = n > 0 ? &r->at[n - 1] : NULL;
    if (before == NULL || before->code != run->code || before->source != run->source ||
        (is_by_line && before->range != run->range)) {
        r->at[n++] = *run;
    }
    r->count = n;
}

static bool
runs_room(struct kobold_runs *r, size_t room)
{
    /* Pages that are never touched cost nothing, so the most there can be is asked for. */
    *r = (struct kobold_runs){ pages_of(room, sizeof *r->at), 0, room, false };
    return r->at != NULL;
}

/* By start, the longer first. */
static inline bool
is_before(const struct kobold_range *a, const struct kobold_range *b)
{
    int c = addr_cmp(a->start, b->start);
    return c < 0 || (c == 0 && addr_cmp(a->end, b->end) > 0);
}

/* Where the stretch that is in order from `from` on ends. */
static size_t
stretch_end(const struct kobold_ranges *r, size_t from)
{
    size_t i = from + 1;
    while (i < r->count && !is_before(&r->at[i], &r->at[i - 1])) {
        i++;
    }
    return i < r->count ? i : r->count;
}

static void
merge(const struct kobold_range *a, const struct kobold_range *a_end, const struct kobold_range *b,
      const struct kobold_range *b_end, struct kobold_range *to)
{
    while (a < a_end || b < b_end) {
        bool is_b = a == a_end || (b < b_end && is_before(b, a));
        *to++ = is_b ? *b++ : *a++;
    }
}

/* Tables come sorted, or as a few sorted stretches: merging what is in order already is stable,
 * looks at a sorted table once, and sorts a shuffled one in n log n. */
static int
sort_ranges(struct kobold_ranges *r)
{
    if (r->count == 0 || stretch_end(r, 0) == r->count) {
        return 0;
    }
    struct kobold_range *to = pages_of(r->room, sizeof *to);
    if (to == NULL) {
        return -ENOMEM;
    }
    bool is_done;
    do {
        is_done = true;
        for (size_t i = 0; i < r->count;) {
            size_t mid = stretch_end(r, i);
            size_t end = mid < r->count ? stretch_end(r, mid) : mid;
            merge(r->at + i, r->at + mid, r->at + mid, r->at + end, to + i);
            is_done &= end == r->count && i == 0;
            i = end;
        }
        struct kobold_range *from = r->at;
        r->at = to;
        to = from;
    } while (!is_done);
    bh_pages_free(to, r->room * sizeof *to);
    return 0;
}

static struct kobold_run
run_of(const struct kobold_ranges *r, const struct kobold_range *range, struct kobold_addr start,
       uint16_t source)
{
    return range == NULL
               ? (struct kobold_run){ start, CODE_NONE, source, 0 }
               : (struct kobold_run){ start, range->code, source, (uint32_t)(range - r->at) + 1 };
}

int
runs_from_ranges(struct kobold_ranges *r, int family, uint16_t source, enum runs_by by,
                 struct kobold_runs *ret, uint64_t *ret_twice)
{
    struct kobold_runs runs;
    struct kobold_addr last = addr_last(family);
    const bool is_by_line = by == RUNS_BY_LINE;
    uint64_t twice = 0;
    if (r->failed || sort_ranges(r) < 0 || !runs_room(&runs, bh_size_mul(r->count, 2) | 1)) {
        return -ENOMEM;
    }
    const struct kobold_range **stack = malloc(bh_size_mul(r->count + 1, sizeof *stack));
    if (stack == NULL) {
        runs_done(&runs);
        return -ENOMEM;
    }
    size_t depth = 0;
    struct kobold_run run = { .source = source };
    runs_emit(&runs, &run, is_by_line);
    for (size_t i = 0; i <= r->count; i++) {
        const struct kobold_range *now = i < r->count ? &r->at[i] : NULL;
        while (depth > 0 && (now == NULL || addr_cmp(stack[depth - 1]->end, now->start) < 0)) {
            struct kobold_addr end = stack[--depth]->end;
            while (depth > 0 && addr_cmp(stack[depth - 1]->end, end) <= 0) {
                depth--; /* ended inside the one after it */
            }
            if (addr_cmp(end, last) != 0) {
                run = run_of(r, depth > 0 ? stack[depth - 1] : NULL, addr_next(end), source);
                runs_emit(&runs, &run, is_by_line);
            }
        }
        if (now == NULL) {
            break;
        }
        if (i > 0 && addr_cmp(now[-1].start, now->start) == 0 &&
            addr_cmp(now[-1].end, now->end) == 0 && now[-1].code != now->code) {
            twice++;
        }
        run = run_of(r, now, now->start, source);
        runs_emit(&runs, &run, is_by_line);
        stack[depth++] = now;
    }
    free((void *)stack);
    *ret = runs;
    *ret_twice = twice;
    return 0;
}

static void
note_conflict(struct kobold_build *b, int family, const struct kobold_run *winner,
              const struct kobold_run *loser, struct kobold_addr from, struct kobold_addr to)
{
    struct kobold_pair *pair = NULL;
    for (size_t i = b->pair_count; i > 0 && pair == NULL;
         i--) { /* runs of one pair come together */
        struct kobold_pair *p = &b->pairs[i - 1];
        pair = p->winner == winner->source && p->loser == loser->source ? p : NULL;
    }
    if (pair == NULL) {
        void *at = b->pairs;
        if (!make_room(&at, b->pair_count, &b->pair_room, sizeof *b->pairs)) {
            return; /* a report only */
        }
        b->pairs = at;
        pair = &b->pairs[b->pair_count++];
        *pair = (struct kobold_pair){ .winner = winner->source, .loser = loser->source };
    }
    if (family == 4) {
        pair->v4_addresses += to.lo - from.lo + 1;
    } else {
        pair->v6_subnets += to.hi - from.hi + (to.lo == UINT64_MAX);
    }
}

static struct kobold_addr
addr_before(struct kobold_addr a)
{
    return (struct kobold_addr){ a.hi - (a.lo == 0), a.lo - 1 };
}

int
runs_overlay(const struct kobold_runs *under, const struct kobold_runs *over, int family,
             enum runs_by by, struct kobold_build *b, struct kobold_runs *ret)
{
    struct kobold_runs runs;
    if (!runs_room(&runs, under->count + over->count)) {
        return -ENOMEM;
    }
    size_t i = 0;
    size_t j = 0;
    struct kobold_addr at = { 0, 0 };
    for (;;) {
        const struct kobold_run *low = &under->at[i];
        const struct kobold_run *high = &over->at[j];
        struct kobold_run chosen = high->code != CODE_NONE ? *high : *low;
        chosen.start = at;
        runs_emit(&runs, &chosen, by == RUNS_BY_LINE);

        bool is_low_last = i + 1 == under->count;
        bool is_high_last = j + 1 == over->count;
        int c = is_low_last ? 1 : is_high_last ? -1 : addr_cmp(low[1].start, high[1].start);
        bool is_end = is_low_last && is_high_last;
        struct kobold_addr next = is_end ? at : c <= 0 ? low[1].start : high[1].start;
        if (b != NULL && high->code != CODE_NONE && low->code != CODE_NONE &&
            high->code != low->code) {
            note_conflict(b, family, high, low, at, is_end ? addr_last(family) : addr_before(next));
        }
        if (is_end) {
            break;
        }
        i += c <= 0;
        j += c >= 0;
        at = next;
    }
    *ret = runs;
    return 0;
}

int
runs_special(const struct kobold_build *b, int family, struct kobold_runs *ret)
{
    unsigned count;
    const struct kobold_special_row *rows = build_specials(b, &count);
    struct kobold_ranges ranges = { 0 };
    uint64_t twice;
    if (family == 6) {
        /* Only 2000::/3 is given out; the special blocks inside these two are innermost. */
        const struct kobold_range below = { .end = { 0x1fffffffffffffffU, UINT64_MAX },
                                            .code = CODE_UNALLOCATED };
        const struct kobold_range above = { .start = { 0x4000000000000000U, 0 },
                                            .end = { UINT64_MAX, UINT64_MAX },
                                            .code = CODE_UNALLOCATED };
        ranges_add(&ranges, &below);
        ranges_add(&ranges, &above);
    }
    for (unsigned i = 0; i < count; i++) {
        const struct kobold_special_row *s = &rows[i];
        if (s->family != family) {
            continue;
        }
        struct kobold_range range = { .start = { s->hi, s->lo },
                                      .end = { s->hi, s->lo },
                                      .code = (uint16_t)(CODE_SPECIAL + i) };
        unsigned len = s->prefix_len + (family == 4 ? 96U : 0U);
        range.end.hi |= family == 4 || len >= 64 ? 0 : UINT64_MAX >> len;
        range.end.lo |= len >= 128 ? 0 : len <= 64 ? UINT64_MAX : UINT64_MAX >> (len - 64);
        ranges_add(&ranges, &range);
    }
    int r = runs_from_ranges(&ranges, family, UINT16_MAX, RUNS_BY_CODE, ret, &twice);
    ranges_done(&ranges);
    return r;
}
