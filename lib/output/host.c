/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One instance of a module: the order of calls, what waits for its verdicts, and what is counted.
 *
 * DECIDED modules get records when the board says that their outcomes are final. Until then a copy of each
 * batch waits here, packed (some 90 octets a row, 30 s of them), within `hold_bytes`; beyond, the oldest are
 * handed out with what is known, and counted (early_rows). AT_ONCE modules get them as they come; then only
 * the numbers of batches wait, to be told when they are settled.
 */
#include "host_priv.h"

#include <errno.h>
#include <stdlib.h>

#define HOLD_BYTES (64U << 20)
#define FLUSH_NS 1000000000LL

/* A batch that waits: for its verdicts, or (AT_ONCE) to be called settled. */
struct waiting {
    struct waiting *next;
    uint64_t number, first_access, end_access; /* its TCP accesses, by their numbers on the board */
    size_t size;
    uint8_t octets[]; /* packed; AT_ONCE: none */
};

struct bh_host {
    struct bh_output o;
    struct bh_host_counters counters;
    const struct bh_filter *filter;
    struct waiting *first, *last;
    size_t held_bytes, hold_bytes;
    struct bh_batch *unpacked, *kept;
    const struct bh_output_frame *frames;           /* of the batch that is offered; NULL: none   */
    struct bh_output_frame kept_frame[BH_BATCH_ROWS]; /* of `kept`                                 */
    uint64_t settled; /* AT_ONCE: the number said last               */
    uint64_t taken;   /* batches of the run below this are the module's */
    int64_t flush_ns;
    bool any_tick, dirty;
};

static void
add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

int
bh_host_check(const struct bh_host_config *cfg, struct bh_error *err)
{
    struct setting_value *v;
    int r = bh_output_module_check(cfg->module, err);
    r = r != 0 ? r : settings_parse(cfg, false, &v, err);
    if (r == 0) {
        settings_free(v, cfg->module->setting_count);
    }
    return r;
}

int
bh_host_new(const struct bh_host_config *cfg, struct bh_host **ret_host, struct bh_error *err)
{
    struct bh_host *h = NULL;
    int r = bh_output_module_check(cfg->module, err);
    if (r != 0) {
        return r;
    }
    h = calloc(1, sizeof *h);
    if (h == NULL || (h->unpacked = bh_batch_new()) == NULL || (h->kept = bh_batch_new()) == NULL) {
        r = bh_error_errno(err, ENOMEM, cfg->instance, "cannot start", "開始できません");
        goto out;
    }
    h->o = (struct bh_output){
        .module = cfg->module,
        .instance = cfg->instance,
        .health = { .size = sizeof h->o.health },
        .board = cfg->board,
        .own = cfg->own,
        .counters = &h->counters,
        .say = cfg->say,
        .say_arg = cfg->say_arg,
        .child_fd = cfg->child_fd,
        .child_arg = cfg->child_arg,
    };
    h->hold_bytes = cfg->hold_bytes != 0 ? cfg->hold_bytes : HOLD_BYTES;
    r = settings_parse(cfg, true, &h->o.values, err);
    if (r == 0) {
        r = cfg->module->open(&h->o);
        if (r != 0) {
            cfg->module->close(&h->o);
            r = bh_error_set(err, r, cfg->instance, "the module %s cannot start",
                             "モジュール %s を開始できません", cfg->module->name);
        }
    }
out:
    if (r != 0) {
        if (h != NULL) {
            settings_free(h->o.values, cfg->module->setting_count);
            bh_batch_free(h->unpacked);
            bh_batch_free(h->kept);
        }
        free(h);
        return r;
    }
    *ret_host = h;
    return 0;
}

struct bh_host_counters *
bh_host_counters(struct bh_host *h)
{
    return h->o.counters;
}

void
bh_host_count_in(struct bh_host *h, struct bh_host_counters *shared)
{
    for (unsigned k = 0; k < BH_OUTPUT_OWN; k++) {
        _Atomic uint64_t *to = own_counter(shared, h->o.counters->own_name[k]);
        if (to != NULL) {
            add(to, atomic_load_explicit(&h->o.counters->own[k], memory_order_relaxed));
        }
    }
    h->o.counters = shared;
}

struct bh_output *
bh_host_output(struct bh_host *h)
{
    return &h->o;
}

void
bh_host_health(struct bh_host *h, const struct bh_output_health *health)
{
    h->o.health = *health;
    h->o.health.size = sizeof *health;
    h->dirty = true;
}

/* ---- handing out ---------------------------------------------------------------------------------------- */

static bool
is_tcp_access(const struct bh_batch *b, uint32_t i)
{
    return b->cls[i] == BH_CLASS_ACCESS && b->proto[i] == BH_PROTO_TCP;
}

/* The rows the instance is for. */
static const struct bh_batch *
selected(struct bh_host *h, struct bh_batch *b)
{
    if (h->filter == NULL) {
        return b;
    }
    memset(b->counted, 1, b->rows);
    bh_filter_narrow(h->filter, b);
    bh_batch_reset(h->kept);
    h->kept->want = b->want;
    h->kept->lacks = b->lacks;
    for (uint32_t i = 0; i < b->rows; i++) {
        if (b->counted[i] != 0) {
            bh_batch_copy_row(h->kept, b, i);
            h->kept->connection[h->kept->rows - 1] = b->connection[i];
            if (h->frames != NULL) {
                h->kept_frame[h->kept->rows - 1] = h->frames[i];
            }
        }
    }
    return h->kept;
}

static int
hand_out(struct bh_host *h, struct bh_batch *b, uint64_t number)
{
    const struct bh_batch *kept = selected(h, b);
    const struct bh_output_batch batch = {
        .size = sizeof batch,
        .rows = kept->rows,
        .run = h->o.run,
        .number = number,
        .records = kept,
        .frames = h->frames == NULL ? NULL : kept == b ? h->frames : h->kept_frame,
    };
    int r = kept->rows == 0 ? 0 : h->o.module->write(&h->o, &batch);
    if (r == BH_EAGAIN) {
        add(&h->o.counters->retried, 1);
        return r;
    }
    h->taken = number + 1;
    h->dirty = true;
    add(r == 0 ? &h->o.counters->written_rows : &h->o.counters->failed_rows, kept->rows);
    if (r == 0 && kept->rows > 0 && kept->ts_ns[kept->rows - 1] > 0) {
        atomic_store_explicit(&h->o.counters->last_ns, (uint64_t)kept->ts_ns[kept->rows - 1],
                              memory_order_relaxed);
    }
    return r;
}

/* The oldest that waits, with its verdicts as they are now. */
static int
release_one(struct bh_host *h)
{
    struct waiting *w = h->first;
    struct bh_batch *b = h->unpacked;
    uint64_t access = w->first_access;
    if (!bh_batch_unpack(b, w->octets, w->size)) {
        return BH_EDAMAGED; /* it was checked, and is our own memory */
    }
    for (uint32_t i = 0; i < b->rows; i++) {
        if (is_tcp_access(b, i)) {
            const bool open = b->outcome[i] == BH_OUTCOME_NONE && h->o.run->outcomes;
            b->outcome[i] =
                open ? (uint8_t)bh_output_verdict(&h->o, (uint32_t)access) : b->outcome[i];
            access++;
        }
    }
    const uint32_t rows = b->rows;
    int r = hand_out(h, b, w->number);
    if (r != BH_EAGAIN) {
        h->first = w->next;
        h->last = h->first == NULL ? NULL : h->last;
        h->held_bytes -= sizeof *w + w->size;
        atomic_fetch_sub_explicit(&h->o.counters->held_rows, rows, memory_order_relaxed);
        free(w);
    }
    return r;
}

static bool
is_final(const struct bh_host *h, const struct waiting *w)
{
    return h->o.board == NULL || !h->o.run->outcomes ||
           atomic_load_explicit(&h->o.board->final, memory_order_acquire) >= w->end_access;
}

/* What is final goes out; with `all`, whatever waits. */
static int
release(struct bh_host *h, bool all)
{
    int r = 0;
    while (r == 0 && h->first != NULL && (all || is_final(h, h->first))) {
        r = release_one(h);
    }
    return r;
}

static int
keep(struct bh_host *h, const struct bh_batch *b, uint64_t number, uint64_t first_access,
     uint64_t end_access)
{
    const bool at_once = h->o.module->when == BH_OUTPUT_AT_ONCE;
    const size_t size = at_once ? 0 : bh_batch_packed_size(b);
    struct waiting *w = malloc(sizeof *w + size);
    if (w == NULL) {
        return -ENOMEM;
    }
    *w = (struct waiting){
        .number = number, .first_access = first_access, .end_access = end_access, .size = size
    };
    if (!at_once) {
        bh_batch_pack(b, w->octets);
        add(&h->o.counters->held_rows, b->rows);
    }
    *(h->last != NULL ? &h->last->next : &h->first) = w;
    h->last = w;
    h->held_bytes += sizeof *w + size;
    return 0;
}

/* ---- calls --------------------------------------------------------------------------------------------------- */

int
bh_host_run(struct bh_host *h, const struct bh_output_run *run, const struct bh_filter *filter)
{
    uint64_t number;
    int r = 0;
    if (h->o.run != NULL) {
        if (h->o.module->when == BH_OUTPUT_DECIDED) {
            r = release(h, true);
        }
        r = r == BH_EAGAIN ? r : bh_host_flush(h, &number);
        if (r == BH_EAGAIN) {
            return r;
        }
        while (h->first != NULL) { /* AT_ONCE: the module closes the run with what is known */
            struct waiting *w = h->first;
            h->first = w->next;
            free(w);
        }
        h->last = NULL;
        h->held_bytes = 0;
    }
    h->o.run = run;
    h->filter = filter;
    h->taken = h->settled = 0;
    atomic_store_explicit(&h->o.counters->durable_number, 0, memory_order_relaxed);
    r = h->o.module->run != NULL ? h->o.module->run(&h->o, run) : 0;
    memset(&h->o.health, 0,
           sizeof h->o.health); /* not before: the module closes the last run with it */
    h->o.health.size = sizeof h->o.health;
    return r;
}

static int
offer_at_once(struct bh_host *h, struct bh_batch *b, uint64_t number, uint64_t first_access)
{
    uint64_t access = first_access;
    for (uint32_t i = 0; i < b->rows; i++) {
        b->connection[i] = (uint32_t)access;
        access += is_tcp_access(b, i);
    }
    int r = hand_out(h, b, number);
    if (r == 0) {
        r = keep(h, b, number, first_access, access);
    }
    return r;
}

static int
offer_decided(struct bh_host *h, struct bh_batch *b, uint64_t number, uint64_t first_access)
{
    uint64_t access = first_access;
    for (uint32_t i = 0; i < b->rows; i++) {
        access += is_tcp_access(b, i);
    }
    int r = release(h, false);
    while (r != BH_EAGAIN && h->first != NULL && h->held_bytes > h->hold_bytes) {
        const uint64_t before =
            atomic_load_explicit(&h->o.counters->held_rows, memory_order_relaxed);
        r = release_one(h);
        add(&h->o.counters->early_rows,
            before - atomic_load_explicit(&h->o.counters->held_rows, memory_order_relaxed));
    }
    if (r == BH_EAGAIN && h->held_bytes > h->hold_bytes) {
        return r;
    }
    return keep(h, b, number, first_access, access);
}

int
bh_host_offer(struct bh_host *h, struct bh_batch *records, uint64_t number, uint64_t first_access)
{
    if (h->o.run == NULL) {
        return BH_EDAMAGED;
    }
    const uint32_t rows = records->rows;
    int r = h->o.module->when == BH_OUTPUT_AT_ONCE
                ? offer_at_once(h, records, number, first_access)
                : offer_decided(h, records, number, first_access);
    if (r != BH_EAGAIN) {
        add(&h->o.counters->offered_rows, rows);
    }
    return r;
}

int
bh_host_offer_frames(struct bh_host *h, struct bh_batch *records,
                     const struct bh_output_frame *frames, uint64_t number, uint64_t first_access)
{
    h->frames = (h->o.module->needs & BH_OUTPUT_NEEDS_FRAMES) != 0 ? frames : NULL;
    const int r = bh_host_offer(h, records, number, first_access);
    h->frames = NULL;
    return r;
}

int
bh_host_flush(struct bh_host *h, uint64_t *ret_number)
{
    uint64_t number = h->taken;
    int r = h->o.module->flush != NULL ? h->o.module->flush(&h->o, &number) : 0;
    if (r == 0) {
        number = number < h->taken ? number : h->taken;
        atomic_store_explicit(&h->o.counters->durable_number, number, memory_order_release);
        *ret_number = number;
    }
    return r;
}

/* AT_ONCE: say how far all is final. */
static int
say_settled(struct bh_host *h)
{
    while (h->first != NULL && is_final(h, h->first)) {
        struct waiting *w = h->first;
        h->settled = w->number + 1;
        h->held_bytes -= sizeof *w;
        h->first = w->next;
        h->last = h->first == NULL ? NULL : h->last;
        free(w);
    }
    return h->o.module->settle != NULL ? h->o.module->settle(&h->o, h->settled) : 0;
}

int
bh_host_tick(struct bh_host *h, int64_t now_ns)
{
    uint64_t number;
    int r = 0;
    if (h->o.run != NULL) {
        r = h->o.module->when == BH_OUTPUT_AT_ONCE ? say_settled(h) : release(h, false);
    }
    if (h->o.module->tick != NULL) {
        const int t = h->o.module->tick(&h->o, now_ns);
        r = r != 0 ? r : t;
    }
    if (!h->any_tick || now_ns - h->flush_ns >= FLUSH_NS) {
        h->any_tick = true;
        h->flush_ns = now_ns;
        if (h->dirty && h->o.run != NULL) {
            const int f = bh_host_flush(h, &number);
            h->dirty = f != 0;
            r = r != 0 ? r : f;
        }
    }
    return r;
}

void
bh_host_free(struct bh_host *h)
{
    uint64_t number;
    if (h == NULL) {
        return;
    }
    if (h->o.run != NULL) {
        if (h->o.module->when == BH_OUTPUT_AT_ONCE) {
            bh_ignore(say_settled(h)); /* it is the end: */
        } else {
            bh_ignore(
                release(h, true)); /* who cannot take it now loses it, and the counters say so */
        }
        bh_ignore(bh_host_flush(h, &number));
    }
    h->o.module->close(&h->o);
    while (h->first != NULL) {
        struct waiting *w = h->first;
        h->first = w->next;
        free(w);
    }
    settings_free(h->o.values, h->o.module->setting_count);
    bh_batch_free(h->unpacked);
    bh_batch_free(h->kept);
    free(h);
}
