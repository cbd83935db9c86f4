/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One instance of a module: the order of calls, what waits for its verdicts, and what is counted.
 *
 * DECIDED modules get records when the board says that their outcomes are final. Until then a copy of each
 * batch waits here, packed (some 90 octets a row, 30 s of them), within `hold_bytes`; beyond, the oldest are
 * handed out with what is known, and counted (early_rows). AT_ONCE modules get them as they come; then only
 * the numbers of batches wait, to be told when they are settled. What waits on disk: spooling.c.
 */
#include "host_priv.h"

#include <errno.h>
#include <stdlib.h>

#define HOLD_BYTES (64U << 20)
#define FLUSH_NS 1000000000LL

static void
add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

/* A call of the module is over: whoever watches sees that it goes on. */
static int
came_back(struct bh_host *h, int r)
{
    add(&h->o.counters->turns, 1);
    return r;
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
    r = r != 0 ? r : spooling_open(h, cfg, err);
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
            spooling_close(h);
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
    spooling_tick(h, 0);
}

struct bh_output *
bh_host_output(struct bh_host *h)
{
    return &h->o;
}

void
bh_host_health(struct bh_host *h, const struct bh_output_health *health)
{
    h->health = *health;
    h->health.size = sizeof *health;
    spooling_show_health(h);
    h->dirty = true;
}

/* ---- handing out ---------------------------------------------------------------------------------------- */

bool
host_is_tcp_access(const struct bh_batch *b, uint32_t i)
{
    return b->cls[i] == BH_CLASS_ACCESS && b->proto[i] == BH_PROTO_TCP;
}

/* The rows the instance is for. */
const struct bh_batch *
host_selected(struct bh_host *h, struct bh_batch *b)
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

static void
durable_upto(struct bh_host *h, uint64_t number)
{
    h->durable = number;
    const uint64_t safe = h->durable > h->spooled_end ? h->durable : h->spooled_end;
    atomic_store_explicit(&h->o.counters->durable_number, safe, memory_order_release);
}

int
host_hand_out(struct bh_host *h, struct bh_batch *b, uint64_t number, bool filtered)
{
    const struct bh_batch *kept = filtered ? b : host_selected(h, b);
    const struct bh_output_batch batch = {
        .size = sizeof batch,
        .rows = kept->rows,
        .run = h->o.run,
        .number = number,
        .records = kept,
        .frames = h->frames == NULL ? NULL
                  : kept == b       ? h->frames
                                    : h->kept_frame,
    };
    int r = kept->rows == 0 ? 0 : came_back(h, h->o.module->write(&h->o, &batch));
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
    if (h->o.module->flush == NULL && h->o.run == h->run) { /* what was taken is durable */
        durable_upto(h, h->taken);
    } else if (r == 0 && !filtered && h->spool != NULL && kept->rows > 0) {
        spooling_flew(h, kept, number);
    }
    return r;
}

/* To the module, or to disk when it does not take it or something is there before it. */
static int
deliver(struct bh_host *h, struct bh_batch *b, uint64_t number)
{
    if (!h->away) {
        const int r = host_hand_out(h, b, number, false);
        if (r != BH_EAGAIN || !spooling_go_away(h)) {
            return r;
        }
    }
    return spooling_put(h, b, number);
}

void
list_put(struct list *l, struct waiting *w)
{
    w->next = NULL;
    *(l->last != NULL ? &l->last->next : &l->first) = w;
    l->last = w;
}

void
list_drop(struct list *l)
{
    struct waiting *w = l->first;
    l->first = w->next;
    l->last = l->first == NULL ? NULL : l->last;
    free(w);
}

void
host_fill_outcomes(struct bh_host *h, struct bh_batch *b, uint64_t first_access)
{
    uint64_t access = first_access;
    for (uint32_t i = 0; i < b->rows; i++) {
        if (host_is_tcp_access(b, i)) {
            const bool open = b->outcome[i] == BH_OUTCOME_NONE && h->run->outcomes;
            b->outcome[i] =
                open ? (uint8_t)bh_output_verdict(&h->o, (uint32_t)access) : b->outcome[i];
            access++;
        }
    }
}

/* The oldest that waits, with its verdicts as they are now. */
static int
release_one(struct bh_host *h)
{
    struct waiting *w = h->held.first;
    struct bh_batch *b = h->unpacked;
    if (!bh_batch_unpack(b, w->octets, w->size)) {
        return BH_EDAMAGED; /* it was checked, and is our own memory */
    }
    const bool was_over = h->o.run_is_over;
    h->o.run_is_over = false; /* of what comes, whatever the module has just now */
    host_fill_outcomes(h, b, w->first_access);
    h->o.run_is_over = was_over;
    int r = deliver(h, b, w->number);
    if (r != BH_EAGAIN) {
        h->held_bytes -= sizeof *w + w->size;
        atomic_fetch_sub_explicit(&h->o.counters->held_rows, w->rows, memory_order_relaxed);
        list_drop(&h->held);
    }
    return r;
}

static bool
is_final(const struct bh_host *h, const struct waiting *w)
{
    return h->o.board == NULL || !h->run->outcomes ||
           atomic_load_explicit(&h->o.board->final, memory_order_acquire) >= w->end_access;
}

/* What is final goes out; with `all`, whatever waits. */
static int
release(struct bh_host *h, bool all)
{
    int r = 0;
    while (r == 0 && h->held.first != NULL && (all || is_final(h, h->held.first))) {
        r = release_one(h);
    }
    return r;
}

/* `b` NULL: its numbers only. */
int
host_keep(struct bh_host *h, struct list *l, const struct bh_batch *b, uint64_t number,
          uint64_t first_access, uint64_t end_access)
{
    const size_t size = b == NULL ? 0 : bh_batch_packed_size(b);
    struct waiting *w = malloc(sizeof *w + size);
    if (w == NULL) {
        return -ENOMEM;
    }
    *w = (struct waiting){ .number = number,
                           .first_access = first_access,
                           .end_access = end_access,
                           .rows = b == NULL ? 0 : b->rows,
                           .size = size };
    if (b != NULL) {
        bh_batch_pack(b, w->octets);
        add(&h->o.counters->held_rows, b->rows);
    }
    list_put(l, w);
    h->held_bytes += sizeof *w + size;
    return 0;
}

/* ---- calls --------------------------------------------------------------------------------------------------- */

static void
forget(struct bh_host *h, struct list *l)
{
    while (l->first != NULL) {
        atomic_fetch_sub_explicit(&h->o.counters->held_rows, l->first->rows, memory_order_relaxed);
        h->held_bytes -= sizeof *l->first + l->first->size;
        list_drop(l);
    }
}

/* Of a run that is over every verdict is final. */
static void
settle_all(struct bh_host *h)
{
    if (h->o.module->when == BH_OUTPUT_AT_ONCE && h->o.module->settle != NULL &&
        h->taken > h->settled) {
        h->settled = h->taken;
        bh_ignore(h->o.module->settle(&h->o, h->settled)); /* it was said */
    }
}

/* All of it is the module's, or on disk; BH_EAGAIN: neither. */
static int
end_run(struct bh_host *h)
{
    uint64_t number = 0;
    int r = release(h, true);
    if (r == BH_EAGAIN) {
        return r;
    }
    if (!h->away) {
        const int f = bh_host_flush(h, &number);
        if (h->spool != NULL && (f == BH_EAGAIN || (f == 0 && number < h->taken))) {
            r = spooling_go_away(h) ? 0 : BH_EAGAIN;
        } else {
            r = f == BH_EAGAIN ? f : 0;
        }
    }
    if (r == 0 && h->away) {
        if (h->o.run == h->run) {
            settle_all(h);
        }
        spooling_note(h);
    }
    return r;
}

int
host_begin(struct bh_host *h, struct bh_output_run *run)
{
    struct bh_output_run *before = (struct bh_output_run *)(uintptr_t)h->o.run;
    h->o.run = run;
    h->taken = h->settled = 0;
    const int r = h->o.module->run != NULL ? came_back(h, h->o.module->run(&h->o, run)) : 0;
    if (before != h->run && before != run) {
        free(before);
    }
    h->o.run_is_over = run != h->run;
    memset(&h->old_health, 0,
           sizeof h->old_health); /* not before: the module closes the last run with it */
    h->old_health.size = sizeof h->old_health;
    spooling_show_health(h);
    return r;
}

int
bh_host_run(struct bh_host *h, const struct bh_output_run *run, const struct bh_filter *filter)
{
    struct bh_output_run *old = h->run, *copy = run_copy(run);
    int r = copy == NULL ? -ENOMEM : h->run != NULL ? end_run(h) : 0;
    if (r != 0) {
        free(copy);
        return r;
    }
    forget(h, &h->held);
    forget(h, &h->settles); /* AT_ONCE: the module closes the run with what is known */
    h->filter = filter;
    h->durable = 0;
    if (h->away && h->o.run != NULL && old == NULL && spooling_same_run(h->o.run, copy)) {
        free(copy); /* it goes on with what it left on disk */
        h->run = (struct bh_output_run *)(uintptr_t)h->o.run;
        h->o.run_is_over = false;
    } else {
        h->run = copy;
        h->o.run_is_over = h->o.run != NULL;
    }
    if (old != NULL && h->o.run == old) {
        h->old_health = h->o.health; /* the module goes on with it */
    } else if (old != NULL && old != h->run) {
        free(old);
    }
    h->spooled_end = bh_host_spooled(h);
    atomic_store_explicit(&h->o.counters->durable_number, h->spooled_end, memory_order_relaxed);
    r = h->away ? 0 : host_begin(h, h->run);
    memset(&h->health, 0, sizeof h->health);
    h->health.size = sizeof h->health;
    spooling_show_health(h);
    return r;
}

static int
offer_at_once(struct bh_host *h, struct bh_batch *b, uint64_t number, uint64_t first_access)
{
    uint64_t access = first_access;
    for (uint32_t i = 0; i < b->rows; i++) {
        b->connection[i] = (uint32_t)access;
        access += host_is_tcp_access(b, i);
    }
    if (!h->away) {
        const int r = host_hand_out(h, b, number, false);
        if (r == 0) {
            return host_keep(h, &h->settles, NULL, number, first_access, access);
        }
        if (r != BH_EAGAIN || !spooling_go_away(h)) {
            return r;
        }
    }
    return host_keep(h, &h->held, b, number, first_access, access);
}

static int
offer_decided(struct bh_host *h, struct bh_batch *b, uint64_t number, uint64_t first_access)
{
    uint64_t access = first_access;
    for (uint32_t i = 0; i < b->rows; i++) {
        access += host_is_tcp_access(b, i);
    }
    return host_keep(h, &h->held, b, number, first_access, access);
}

/* Room for one more; beyond, the oldest go with what is known of them. */
static int
make_room(struct bh_host *h)
{
    int r = release(h, false);
    while (r != BH_EAGAIN && h->held.first != NULL && h->held_bytes > h->hold_bytes) {
        const uint32_t rows = h->held.first->rows;
        r = release_one(h);
        add(&h->o.counters->early_rows, r != BH_EAGAIN ? rows : 0);
    }
    return r == BH_EAGAIN && h->held_bytes > h->hold_bytes ? r : 0;
}

int
bh_host_offer(struct bh_host *h, struct bh_batch *records, uint64_t number, uint64_t first_access)
{
    if (h->run == NULL) {
        return BH_EDAMAGED;
    }
    if (spooling_is_repeat(h, number)) {
        return 0;
    }
    const uint32_t rows = records->rows;
    int r = make_room(h);
    r = r != 0                                   ? r
        : h->o.module->when == BH_OUTPUT_AT_ONCE ? offer_at_once(h, records, number, first_access)
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
    if (h->o.run == NULL) { /* all that came is on disk so far */
        *ret_number = h->spooled_end;
        return 0;
    }
    int r = h->o.module->flush != NULL ? came_back(h, h->o.module->flush(&h->o, &number)) : 0;
    if (r == 0) {
        number = number < h->taken ? number : h->taken;
        if (h->spool != NULL) {
            spooling_safe(h, number);
        }
        durable_upto(h, h->o.run == h->run && number > h->durable ? number : h->durable);
        *ret_number = number;
    }
    return r;
}

/* A predecessor may have written more than it came to say. */
uint64_t
bh_host_has(struct bh_host *h)
{
    uint64_t number = 0;
    if (h->away || h->run == NULL || h->o.module->flush == NULL ||
        h->o.module->flush(&h->o, &number) != 0) {
        return h->spooled_end;
    }
    h->taken = number > h->taken ? number : h->taken;
    durable_upto(h, number > h->durable ? number : h->durable);
    return number > h->spooled_end ? number : h->spooled_end;
}

/* AT_ONCE: say how far all is final. */
static int
say_settled(struct bh_host *h)
{
    while (h->settles.first != NULL && is_final(h, h->settles.first)) {
        const uint64_t end = h->settles.first->number + 1;
        h->settled = h->o.run == h->run && end > h->settled ? end : h->settled;
        h->held_bytes -= sizeof *h->settles.first + h->settles.first->size;
        list_drop(&h->settles);
    }
    return h->o.module->settle != NULL ? h->o.module->settle(&h->o, h->settled) : 0;
}

int
bh_host_tick(struct bh_host *h, int64_t now_ns)
{
    uint64_t number;
    int r = h->run != NULL ? release(h, false) : 0;
    if (h->o.run != NULL && h->run != NULL && h->o.module->when == BH_OUTPUT_AT_ONCE) {
        const int t = say_settled(h);
        r = r != 0 ? r : t;
    }
    if (h->o.module->tick != NULL) {
        const int t = came_back(h, h->o.module->tick(&h->o, now_ns));
        r = r != 0 ? r : t;
    }
    if (!h->any_tick || now_ns - h->flush_ns >= FLUSH_NS) {
        h->any_tick = true;
        h->flush_ns = now_ns;
        if (h->dirty && h->o.run != NULL) {
            const int f = bh_host_flush(h, &number);
            h->dirty = f != 0 || number < h->taken;
            r = r != 0 ? r : f;
        }
    }
    spooling_tick(h, now_ns);
    return r;
}

/* What neither the module takes nor the disk. */
static void
count_left(struct bh_host *h)
{
    uint64_t rows = 0;
    for (const struct waiting *w = h->held.first; w != NULL; w = w->next) {
        rows += w->rows;
    }
    if (rows > 0) {
        struct bh_error err = { 0 };
        add(&h->o.counters->failed_rows, rows);
        bh_error_set(&err, 0, "", "ends with %llu records that could not be delivered",
                     "渡せなかった記録が %llu 件残ったまま終了します", (unsigned long long)rows);
        bh_output_say(&h->o, BH_SAY_ERROR, &err);
    }
    forget(h, &h->held);
}

void
bh_host_free(struct bh_host *h)
{
    uint64_t number = 0;
    if (h == NULL) {
        return;
    }
    if (h->run != NULL) {
        bh_ignore(release(h, true)); /* it is the end: who cannot take it now loses it, counted */
    }
    if (h->o.run != NULL) {
        if (h->run != NULL && h->o.module->when == BH_OUTPUT_AT_ONCE) {
            bh_ignore(say_settled(h)); /* the same */
        }
        const int r = bh_host_flush(h, &number);
        if (h->run != NULL && h->spool != NULL && !h->away && (r != 0 || number < h->taken)) {
            bh_ignore(
                spooling_go_away(h)); /* what is not durable comes again, with the next process */
        }
    }
    if (h->run != NULL && h->away) {
        spooling_note(h);
    }
    count_left(h);
    h->o.module->close(&h->o);
    forget(h, &h->settles);
    spooling_close(h);
    settings_free(h->o.values, h->o.module->setting_count);
    if (h->o.run != h->run) {
        free((void *)(uintptr_t)h->o.run);
    }
    free(h->run);
    bh_batch_free(h->unpacked);
    bh_batch_free(h->kept);
    free(h);
}
