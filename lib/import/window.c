/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rows that wait for older ones.
 *
 * Most logs are in order, or nearly: a row that is not older than the last of the run is appended
 * to it, for the cost of a store. The others go into a heap. The oldest row is the head of the one
 * or the top of the other; equal times come out by `order`, which is the order they went in, but
 * for flows. A far-off time that blocks the run sends everything to the heap: slower, never wrong.
 *
 * Memory: 48 octets a row, 16 + 4 + 4 for heap, run and free list; 32 more for each row of IPv6, 16
 * for those with a side, and the quotes of ICMP errors; pages are touched when they are used.
 */
#include "import_priv.h"

#include <assert.h>
#include <stdlib.h>

struct heap_entry {
    int64_t ts_ns;
    uint32_t slot;
};

struct window {
    uint32_t size, used;
    uint32_t fresh;      /* slots from here on were never used */
    uint32_t free_count; /* slots given back                   */
    uint32_t run_at, run_count;
    uint32_t heap_count;
    struct row *rows;
    struct bh_ip6_pair *pairs;
    union side *sides;
    struct bh_quote *quotes;
    uint32_t *free_slots;
    uint32_t *run;
    struct heap_entry *heap;
};

#define PAGES(w, column, huge) bh_pages_new(bh_size_mul((w)->size, sizeof *(w)->column), huge)
#define PAGES_FREE(w, column) bh_pages_free((w)->column, (w)->size * sizeof *(w)->column)

struct window *
window_new(uint32_t size, bool huge)
{
    struct window *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return NULL;
    }
    w->size = size;
    w->rows = PAGES(w, rows, huge);
    w->pairs = PAGES(w, pairs, false);
    w->sides = PAGES(w, sides, huge);
    w->quotes = PAGES(w, quotes, false);
    w->free_slots = PAGES(w, free_slots, huge);
    w->run = PAGES(w, run, huge);
    w->heap = PAGES(w, heap, false);
    if (w->rows == NULL || w->pairs == NULL || w->sides == NULL || w->quotes == NULL ||
        w->free_slots == NULL || w->run == NULL || w->heap == NULL) {
        window_free(w);
        return NULL;
    }
    return w;
}

void
window_free(struct window *w)
{
    if (w == NULL) {
        return;
    }
    PAGES_FREE(w, rows);
    PAGES_FREE(w, pairs);
    PAGES_FREE(w, sides);
    PAGES_FREE(w, quotes);
    PAGES_FREE(w, free_slots);
    PAGES_FREE(w, run);
    PAGES_FREE(w, heap);
    free(w);
}

uint32_t
window_room(const struct window *w)
{
    return w->size - w->used;
}

bool
window_is_empty(const struct window *w)
{
    return w->used == 0;
}

static bool
is_before(const struct window *w, struct heap_entry a, struct heap_entry b)
{
    return a.ts_ns < b.ts_ns ||
           (a.ts_ns == b.ts_ns && w->rows[a.slot].order < w->rows[b.slot].order);
}

static void
heap_push(struct window *w, struct heap_entry e)
{
    uint32_t at = w->heap_count++;
    while (at > 0 && is_before(w, e, w->heap[(at - 1) / 2])) {
        w->heap[at] = w->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    w->heap[at] = e;
}

static uint32_t
heap_pop(struct window *w)
{
    uint32_t slot = w->heap[0].slot;
    struct heap_entry last = w->heap[--w->heap_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= w->heap_count) {
            break;
        }
        if (child + 1 < w->heap_count && is_before(w, w->heap[child + 1], w->heap[child])) {
            child++;
        }
        if (!is_before(w, w->heap[child], last)) {
            break;
        }
        w->heap[at] = w->heap[child];
        at = child;
    }
    w->heap[at] = last;
    return slot;
}

void
window_put(struct window *w, const struct item *x)
{
    assert(window_room(w) > 0);
    const struct row *r = &x->row;
    uint32_t slot = w->free_count > 0 ? w->free_slots[--w->free_count] : w->fresh++;
    w->rows[slot] = *r;
    if (r->kind == BH_KIND_IP6) {
        w->pairs[slot] = x->pair;
    }
    if ((r->bits & (ROW_COLD | ROW_FLOW)) != 0) {
        w->sides[slot] = x->side;
    }
    if ((r->bits & ROW_QUOTE) != 0) {
        w->quotes[slot] = x->quote;
    }
    w->used++;
    uint32_t tail = w->run_at + w->run_count;
    tail -= tail >= w->size ? w->size : 0;
    uint32_t newest = w->run[(tail == 0 ? w->size : tail) - 1];
    struct heap_entry e = { r->ts_ns, slot };
    if (w->run_count > 0 && is_before(w, e, (struct heap_entry){ w->rows[newest].ts_ns, newest })) {
        heap_push(w, e);
        return;
    }
    w->run[tail] = slot;
    w->run_count++;
}

struct taken
window_take(struct window *w)
{
    assert(!window_is_empty(w));
    uint32_t slot = w->run[w->run_at];
    struct heap_entry head = { w->rows[slot].ts_ns, slot };
    if (w->run_count == 0 || (w->heap_count > 0 && is_before(w, w->heap[0], head))) {
        slot = heap_pop(w);
    } else {
        w->run_at = w->run_at + 1 == w->size ? 0 : w->run_at + 1;
        w->run_count--;
    }
    w->free_slots[w->free_count++] = slot;
    w->used--;
    return (struct taken){ &w->rows[slot], &w->sides[slot], &w->pairs[slot], &w->quotes[slot] };
}
