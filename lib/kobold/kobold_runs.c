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

void
ranges_add(struct kobold_ranges *r, struct kobold_addr start, struct kobold_addr end, uint16_t code)
{
    void *at = r->at;
    if (r->failed || r->count >= UINT32_MAX || !make_room(&at, r->count, &r->room, sizeof *r->at)) {
        r->failed = true;
        return;
    }
    r->at = at;
    r->at[r->count] = (struct kobold_range){ start, end, (uint32_t)r->count, code };
    r->count++;
}

void
ranges_done(struct kobold_ranges *r)
{
    free(r->at);
    *r = (struct kobold_ranges){ 0 };
}

void
runs_done(struct kobold_runs *r)
{
    free(r->at);
    *r = (struct kobold_runs){ 0 };
}

static void
runs_emit(struct kobold_runs *r, struct kobold_addr start, uint16_t code, uint16_t source)
{
    if (r->count > 0 && addr_cmp(r->at[r->count - 1].start, start) == 0) {
        r->count--; /* an empty run: what comes now takes its place */
    }
    if (r->count > 0 && r->at[r->count - 1].code == code && r->at[r->count - 1].source == source) {
        return;
    }
    void *at = r->at;
    if (r->failed || !make_room(&at, r->count, &r->room, sizeof *r->at)) {
        r->failed = true;
        return;
    }
    r->at = at;
    r->at[r->count++] = (struct kobold_run){ start, code, source };
}

static int
compare_ranges(const void *pa, const void *pb)
{
    const struct kobold_range *a = pa;
    const struct kobold_range *b = pb;
    int c = addr_cmp(a->start, b->start);
    if (c == 0) {
        c = addr_cmp(b->end, a->end);
    }
    return c != 0 ? c : a->order < b->order ? -1 : a->order > b->order;
}

static bool
is_sorted(const struct kobold_ranges *r)
{
    for (size_t i = 1; i < r->count; i++) {
        if (compare_ranges(&r->at[i - 1], &r->at[i]) > 0) {
            return false;
        }
    }
    return true;
}

int
runs_from_ranges(struct kobold_ranges *r, int family, uint16_t source, struct kobold_runs *ret,
                 uint64_t *ret_twice)
{
    struct kobold_runs runs = { 0 };
    struct kobold_addr last = addr_last(family);
    uint64_t twice = 0;
    if (r->failed) {
        return -ENOMEM;
    }
    if (!is_sorted(r)) {
        qsort(r->at, r->count, sizeof *r->at, compare_ranges);
    }
    const struct kobold_range **stack = malloc(bh_size_mul(r->count + 1, sizeof *stack));
    if (stack == NULL) {
        return -ENOMEM;
    }
    size_t depth = 0;
    runs_emit(&runs, (struct kobold_addr){ 0, 0 }, CODE_NONE, source);
    for (size_t i = 0; i <= r->count; i++) {
        const struct kobold_range *now = i < r->count ? &r->at[i] : NULL;
        while (depth > 0 && (now == NULL || addr_cmp(stack[depth - 1]->end, now->start) < 0)) {
            struct kobold_addr end = stack[--depth]->end;
            while (depth > 0 && addr_cmp(stack[depth - 1]->end, end) <= 0) {
                depth--; /* ended inside the one after it */
            }
            if (addr_cmp(end, last) != 0) {
                runs_emit(&runs, addr_next(end), depth > 0 ? stack[depth - 1]->code : CODE_NONE,
                          source);
            }
        }
        if (now == NULL) {
            break;
        }
        if (i > 0 && addr_cmp(now[-1].start, now->start) == 0 &&
            addr_cmp(now[-1].end, now->end) == 0 && now[-1].code != now->code) {
            twice++;
        }
        runs_emit(&runs, now->start, now->code, source);
        stack[depth++] = now;
    }
    free((void *)stack);
    if (runs.failed) {
        runs_done(&runs);
        return -ENOMEM;
    }
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
             struct kobold_build *b, struct kobold_runs *ret)
{
    struct kobold_runs runs = { 0 };
    size_t i = 0;
    size_t j = 0;
    struct kobold_addr at = { 0, 0 };
    for (;;) {
        const struct kobold_run *low = &under->at[i];
        const struct kobold_run *high = &over->at[j];
        const struct kobold_run *chosen = high->code != CODE_NONE ? high : low;
        runs_emit(&runs, at, chosen->code, chosen->source);

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
    if (runs.failed) {
        runs_done(&runs);
        return -ENOMEM;
    }
    *ret = runs;
    return 0;
}

int
runs_special(int family, struct kobold_runs *ret)
{
    struct kobold_ranges ranges = { 0 };
    uint64_t twice;
    if (family == 6) {
        /* Only 2000::/3 is given out; the special blocks inside these two are innermost. */
        ranges_add(&ranges, (struct kobold_addr){ 0, 0 },
                   (struct kobold_addr){ 0x1fffffffffffffffU, UINT64_MAX }, CODE_UNALLOCATED);
        ranges_add(&ranges, (struct kobold_addr){ 0x4000000000000000U, 0 },
                   (struct kobold_addr){ UINT64_MAX, UINT64_MAX }, CODE_UNALLOCATED);
    }
    for (unsigned i = 0; i < kobold_specials_count; i++) {
        const struct kobold_special_row *s = &kobold_specials[i];
        if (s->family != family) {
            continue;
        }
        struct kobold_addr end = { s->hi, s->lo };
        unsigned len = s->prefix_len + (family == 4 ? 96U : 0U);
        end.hi |= len >= 64 ? 0 : UINT64_MAX >> len;
        end.lo |= len >= 128 ? 0 : len <= 64 ? UINT64_MAX : UINT64_MAX >> (len - 64);
        if (family == 4) {
            end.hi = 0;
        }
        ranges_add(&ranges, (struct kobold_addr){ s->hi, s->lo }, end,
                   (uint16_t)(CODE_SPECIAL + i));
    }
    int r = runs_from_ranges(&ranges, family, UINT16_MAX, ret, &twice);
    ranges_done(&ranges);
    return r;
}
