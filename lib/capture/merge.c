/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * merge.c - frames of several files in one order of time.
 *
 * A heap of files by the time of their next frame; equal times go by the order in which the
 * files were given. The earliest file gives a whole run, up to the next frame of any other file:
 * it is walked straight into the block, and what lies past the bound is kept for later.
 * Files that do not overlap are so read one after the other, at the cost of a comparison a frame.
 * How many frames are asked for follows how long the runs were: little is walked in vain.
 *
 * Inside one file frames keep their order, even when their times do not rise. A frame without
 * a time (0) comes at once.
 *
 * Packed files are parked until it is their turn: a year of daily files needs the unpacker and
 * the storage of one.
 */
#include "capture_priv.h"

#include <errno.h>
#include <stdlib.h>

#define RUN_MIN 16U

static bool
is_before(const struct bh_capture *c, uint32_t a, uint32_t b)
{
    int64_t ts_a = c->file[a].head_ts_ns;
    int64_t ts_b = c->file[b].head_ts_ns;
    return ts_a < ts_b || (ts_a == ts_b && a < b);
}

static void
heap_down(struct bh_capture *c, size_t at)
{
    uint32_t *heap = c->heap;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= c->heap_count) {
            return;
        }
        if (child + 1 < c->heap_count && is_before(c, heap[child + 1], heap[child])) {
            child++;
        }
        if (!is_before(c, heap[child], heap[at])) {
            return;
        }
        uint32_t moved = heap[at];
        heap[at] = heap[child];
        heap[child] = moved;
        at = child;
    }
}

static void
heap_pop(struct bh_capture *c)
{
    c->heap[0] = c->heap[--c->heap_count];
    heap_down(c, 0);
}

/* Have f->head, unless the file is finished. */
static int
head_load(struct bh_capture *c, struct cap_file *f)
{
    uint32_t n = 1;
    if (f->has_head) {
        return 0;
    }
    if (f->ahead_at < f->ahead_count) {
        f->head = f->ahead[f->ahead_at++];
    } else {
        int r = bh_cap_file_read(c, f, &f->head, 1, &n);
        if (r != 0) {
            return r;
        }
    }
    f->has_head = n == 1;
    f->head_ts_ns = f->head.ts_ns;
    return 0;
}

static int
heap_make(struct bh_capture *c)
{
    c->heap = calloc(c->file_count, sizeof *c->heap);
    if (c->heap == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < c->file_count; i++) {
        struct cap_file *f = &c->file[i];
        int r = head_load(c, f);
        if (r != 0) {
            return r;
        }
        if (f->has_head) {
            c->heap[c->heap_count++] = i;
            f->run = BH_FRAMES_MAX;
            bh_cap_file_park(f);
        }
    }
    for (size_t i = c->heap_count / 2; i > 0; i--) {
        heap_down(c, i - 1);
    }
    c->heap_made = true;
    return 0;
}

/* Frames of the file heap[0] go before this. */
struct bound {
    int64_t ts_ns;
    bool with_ties;
    bool is_open; /* no other file: everything goes */
};

static struct bound
bound_of(const struct bh_capture *c)
{
    if (c->heap_count == 1) {
        return (struct bound){ INT64_MAX, true, true };
    }
    uint32_t next = c->heap[1];
    if (c->heap_count > 2 && is_before(c, c->heap[2], next)) {
        next = c->heap[2];
    }
    return (struct bound){ c->file[next].head_ts_ns, c->heap[0] < next, false };
}

static inline bool
is_within(const struct bound *b, int64_t ts_ns)
{
    return ts_ns < b->ts_ns || (ts_ns == b->ts_ns && b->with_ties);
}

static uint32_t
run_length(const struct bound *b, const struct bh_frame *frame, uint32_t count)
{
    uint32_t n = 0;
    if (b->is_open) {
        return count;
    }
    while (n < count && is_within(b, frame[n].ts_ns)) {
        n++;
    }
    return n;
}

static int
keep_ahead(struct cap_file *f, const struct bh_frame *frame, uint32_t count)
{
    if (f->ahead == NULL) {
        f->ahead = malloc(BH_FRAMES_MAX * sizeof *f->ahead);
        if (f->ahead == NULL) {
            return -ENOMEM;
        }
    }
    memcpy(f->ahead, frame, count * sizeof *frame);
    f->ahead_at = 0;
    f->ahead_count = count;
    return 0;
}

/* What was read ahead and is within the bound. */
static void
give_ahead(struct cap_file *f, const struct bound *b, struct bh_frames *out)
{
    uint32_t room = BH_FRAMES_MAX - out->count;
    uint32_t count = f->ahead_count - f->ahead_at;
    uint32_t n = run_length(b, f->ahead + f->ahead_at, count < room ? count : room);
    memcpy(out->frame + out->count, f->ahead + f->ahead_at, n * sizeof *out->frame);
    out->count += n;
    f->ahead_at += n;
}

/* Walk into the block. *ret_more: the run may go on. */
static int
give_run(struct bh_capture *c, struct cap_file *f, const struct bound *b, struct bh_frames *out,
         bool *ret_more)
{
    uint32_t room = BH_FRAMES_MAX - out->count;
    uint32_t max = f->run < room ? f->run : room;
    uint32_t count;

    int r = bh_cap_file_read(c, f, out->frame + out->count, max, &count);
    if (r != 0) {
        return r;
    }
    bh_cap_frames_hold(out, f->storage);
    uint32_t n = run_length(b, out->frame + out->count, count);
    if (n < count) {
        r = keep_ahead(f, out->frame + out->count + n, count - n);
        f->run = 2 * n < RUN_MIN ? RUN_MIN : 2 * n;
    } else if (n == f->run) {
        f->run = 2 * n;
    }
    f->run = f->run < BH_FRAMES_MAX ? f->run : BH_FRAMES_MAX;
    out->count += n;
    *ret_more = n > 0 && n == count;
    return r;
}

/* The earliest file gives its head and all that goes before the other files. */
static int
turn(struct bh_capture *c, struct cap_file *f, struct bh_frames *out)
{
    struct bound b = bound_of(c);

    bh_cap_frames_hold(out, f->storage);
    out->frame[out->count++] = f->head;
    f->has_head = false;
    if (f->ahead_at < f->ahead_count) {
        give_ahead(f, &b, out);
    }
    bool more = f->ahead_at == f->ahead_count;
    while (more && out->count < BH_FRAMES_MAX && bh_cap_frames_held(out) < CAP_HOLD_MAX) {
        int r = give_run(c, f, &b, out, &more);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

int
bh_cap_merge_read(struct bh_capture *c, struct bh_frames *out)
{
    int r = c->heap_made ? 0 : heap_make(c);

    /* Room for two: the storage of the head, and the next one of the same file. */
    while (r == 0 && c->heap_count > 0 && out->count < BH_FRAMES_MAX &&
           bh_cap_frames_held(out) + 2 <= CAP_HOLD_MAX) {
        struct cap_file *f = &c->file[c->heap[0]];
        r = head_load(c, f); /* a parked file has none */
        if (r == 0 && f->has_head) {
            r = turn(c, f, out);
        }
        if (r == 0) {
            r = head_load(c, f);
        }
        if (r == 0 && !f->has_head) {
            heap_pop(c);
        } else if (r == 0) {
            heap_down(c, 0);
        }
    }
    return r;
}
