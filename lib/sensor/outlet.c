/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process of one output: takes messages from its queue, checks them, hands them to the module's host.
 *
 * Messages are given back to the queue when the module says they are durable, or when more than a quarter of
 * the queue waits for that. So when this process dies, who comes after finds what was not safe in the queue;
 * what was given back and not made durable is lost, and its number is known: rows count up (batch_head.row).
 *
 * With a spool, what is on disk counts as durable. When the module is slower than what comes, so that half of the queue
 * is used, batches go to disk, which is fast, and come out between others, at the pace of the module.
 *
 * While an output with a spool waits to be started again, its process is a stand-in: all of this without the module.
 * It has one that takes nothing, so that all that comes goes to disk, in its order, and whoever comes after goes on there.
 */
#include "sensor_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#define TICK_NS 250000000LL
#define END_NS 700000000LL /* after SIGTERM, a module that still says "later" has had its time */
#define SOON_NS 20000000LL /* after "later", a module is asked again */
#define WAY_NS 200000000LL /* after SIGTERM, what is still in the queue goes to disk */
#define ALONE_S                                                                                    \
    60 /* after SIGTERM: a call that does not come back, and maybe no parent to end it */
#define MARKS_MOST 65536U
enum { THE_END = 2, NOT_TAKEN = 3 };

/* A place in the queue up to which the batches below `number` lie. One for each batch that is not durable. */
struct mark {
    uint64_t number, rows, at;
};

struct outlet_work {
    struct sensor *s;
    struct output *o;
    struct bh_queue queue;
    struct bh_host *host;
    struct bh_batch *batch;
    uint8_t *message;
    uint32_t message_max;
    struct bh_output_frame frame[BH_BATCH_ROWS]; /* in `message` */
    struct bh_output_run run[2];                 /* the host has the one that began last */
    bool at_run;
    bool has_run, first_batch;
    uint64_t number_end, rows_end; /* of what was handed over, in the run */
    struct mark *mark;             /* ring */
    size_t first_mark, marks, mark_cap;
    /* of the queue: messages before are the module's; the one at hand may not be yet */
    uint64_t upto;
    int64_t tick_ns, stop_ns;
    int64_t day_ns; /* time of day as modules see it */
    struct bh_child_end child;
    struct bh_output_module stand_in;
    char where[64];
};

static void
hear(void *arg, const char *instance, enum bh_say level, const struct bh_error *err)
{
    const struct outlet_work *w = arg;
    sensor_say(w->s, instance, level, err);
}

/* ---- giving back ----------------------------------------------------------------------------------------- */

static void
give_upto(struct outlet_work *w, const struct mark *m)
{
    struct outlet *shared = w->o->outlet;
    shared->number_durable = m->number;
    atomic_store_explicit(&shared->rows_durable, m->rows, memory_order_relaxed);
    bh_queue_give(&w->queue, m->at); /* no news to the queue when more was given */
}

/* When there is no memory or there are too many, one stands for several. */
static void
put_mark(struct outlet_work *w)
{
    const struct mark m = { w->number_end, w->rows_end, bh_queue_mark(&w->queue) };
    if (w->marks == w->mark_cap && w->mark_cap < MARKS_MOST) {
        const size_t cap = w->mark_cap == 0 ? 256 : w->mark_cap * 2;
        struct mark *p = malloc(cap * sizeof *p);
        for (size_t k = 0; p != NULL && k < w->marks; k++) {
            p[k] = w->mark[(w->first_mark + k) % w->mark_cap];
        }
        if (p != NULL) {
            free(w->mark);
            w->mark = p;
            w->mark_cap = cap;
            w->first_mark = 0;
        }
    }
    if (w->mark_cap > 0) {
        w->marks -= w->marks == w->mark_cap;
        w->mark[(w->first_mark + w->marks++) % w->mark_cap] = m;
    }
}

static void
give_marked(struct outlet_work *w)
{
    const uint64_t durable =
        atomic_load_explicit(&bh_host_counters(w->host)->durable_number, memory_order_acquire);
    while (w->marks > 0 && w->mark[w->first_mark].number <= durable) {
        give_upto(w, &w->mark[w->first_mark]);
        w->first_mark = (w->first_mark + 1) % w->mark_cap;
        w->marks--;
    }
}

/* More than a quarter waits: then there must be room, at the risk of what a death would cost. Who has a spool wants none
 * of that, so its module is asked to make all of it durable now; a stand-in could not ask it later. */
static void
give_durable(struct outlet_work *w)
{
    const uint64_t quarter = w->queue.size / 4;
    uint64_t number;
    give_marked(w);
    if (bh_queue_held(&w->queue) > quarter && w->o->spool[0] != '\0') {
        bh_ignore(bh_host_flush(w->host, &number)); /* what it cannot now is at that risk */
        give_marked(w);
    }
    if (bh_queue_held(&w->queue) > quarter) {
        bh_queue_give(&w->queue, w->upto);
    }
}

/* Modules want the time of day, and that it only goes forward. Where the clock was set back it goes at half its
 * pace until the clock has caught up. */
static int64_t
time_of_day(struct outlet_work *w, int64_t passed_ns)
{
    const int64_t clock_ns = sensor_time_ns();
    w->day_ns = w->day_ns == 0 || clock_ns >= w->day_ns ? clock_ns : w->day_ns + passed_ns / 2;
    return w->day_ns;
}

static void
tick(struct outlet_work *w, int64_t now_ns)
{
    const int64_t day_ns = time_of_day(w, now_ns - w->tick_ns);
    w->tick_ns = now_ns;
    bh_ignore(bh_host_tick(w->host, day_ns)); /* what fails is counted there, and offered again */
    give_durable(w);
}

/* ---- runs -------------------------------------------------------------------------------------------------- */

/* Told to end, and the time for that is over. */
static bool
must_end(const struct outlet_work *w)
{
    return sensor_stop != 0 && w->stop_ns != 0 && sensor_clock_ns() > w->stop_ns + END_NS;
}

static void
count_turn(struct outlet_work *w)
{
    atomic_fetch_add_explicit(&w->o->outlet->counters.turns, 1, memory_order_relaxed);
}

static void
wait_a_little(struct outlet_work *w)
{
    count_turn(w);
    bh_ignore(poll(NULL, 0, (int)(SOON_NS / 1000000)));
    const int64_t now_ns = sensor_clock_ns();
    if (sensor_stop != 0 && w->stop_ns == 0) {
        w->stop_ns = now_ns;
    }
    if (now_ns - w->tick_ns >= TICK_NS) {
        tick(w, now_ns);
    }
}

/* The module has more of the run than its process came to say before it died. */
static void
take_over(struct outlet_work *w)
{
    struct outlet *shared = w->o->outlet;
    const uint64_t has = bh_host_has(w->host);
    const size_t at = (size_t)((has - 1) % BH_COUNT(shared->taken));
    if (has > shared->number_durable && shared->taken[at].number == has - 1) {
        shared->number_durable = has;
        atomic_store_explicit(&shared->rows_durable, shared->taken[at].rows, memory_order_relaxed);
    }
}

/* NOT_TAKEN: this process is not the one for it. */
static int
begin_run(struct outlet_work *w, uint32_t number)
{
    const struct plan_run *p = &w->s->plan->runs[number % RUNS];
    const uint32_t newest = atomic_load_explicit(&w->s->plan->run, memory_order_acquire);
    struct outlet *shared = w->o->outlet;
    if (newest - number >= RUNS) {
        return BH_EDAMAGED;
    }
    if ((int32_t)(p->countries - w->s->countries_newest) > 0) {
        return NOT_TAKEN; /* its database came after us: who takes our place has it */
    }
    struct bh_buf filter = { 0 };
    if (w->o->filter != NULL) {
        bh_filter_text(w->o->filter, &filter);
    }
    struct bh_output_run *next = &w->run[!w->at_run];
    free((void *)(uintptr_t)next->filter); /* of the run before the last */
    *next = (struct bh_output_run){
        .size = sizeof *next,
        .sensor = p->sensor,
        .start_ns = p->start_ns,
        .source = p->source,
        .home = p->home,
        .home_text = { p->home_text[BH_EN], p->home_text[BH_JA] },
        .home_guessed = p->home_guessed,
        .all_accesses = w->s->config->all_accesses,
        .outcomes = w->s->config->outcomes,
        .filter = filter.data != NULL ? filter.data : strdup(""),
        .countries = w->s->countries[p->countries % RUNS].k,
    };
    /* The run before is closed first, with all of its batches; until that is done this one has not begun. */
    int r;
    while ((r = bh_host_run(w->host, next, w->o->filter)) == BH_EAGAIN) {
        if (must_end(w)) {
            return NOT_TAKEN;
        }
        wait_a_little(w);
    }
    w->at_run = !w->at_run;
    if (shared->run != number) {
        shared->run = number;
        shared->number_durable = 0;
        atomic_store(&shared->rows_durable, 0);
    }
    if (r == 0) {
        take_over(w);
    }
    w->has_run = true;
    w->number_end = shared->number_durable;
    w->rows_end = atomic_load(&shared->rows_durable);
    w->marks = 0;
    return r;
}

/* ---- messages ----------------------------------------------------------------------------------------------- */

/* Rows that whoever was before us had taken and not made durable. */
static void
note_dead(struct outlet_work *w, const struct batch_head *h)
{
    struct outlet *shared = w->o->outlet;
    const uint64_t durable = atomic_load(&shared->rows_durable);
    if (h->row > durable && h->number > bh_host_spooled(w->host)) {
        const int64_t last = (int64_t)atomic_load(&bh_host_counters(w->host)->last_ns);
        shared->dead_rows += h->row - durable;
        shared->dead = (struct bh_gap){ .start_ns = last != 0 ? last : w->batch->ts_ns[0],
                                        .end_ns = w->batch->ts_ns[0],
                                        .packets = shared->dead_rows,
                                        .kind = BH_GAP_DEAD };
        /* or they were counted again when this process dies too */
        shared->number_durable = h->number;
        atomic_store_explicit(&shared->rows_durable, h->row, memory_order_relaxed);
        w->number_end = h->number;
        w->rows_end = h->row;
    }
}

static int
take_batch(struct outlet_work *w, uint32_t size, bool has_frames)
{
    struct batch_head h;
    if (has_frames ? !message_frames_get(w->message, size, &h, w->batch, w->frame)
                   : !message_batch_get(w->message, size, &h, w->batch)) {
        return BH_EDAMAGED;
    }
    if (!w->has_run || w->o->outlet->run != h.run) {
        const bool again = w->o->outlet->run == h.run && !w->has_run;
        int r = begin_run(w, h.run);
        if (r == BH_EDAMAGED || r == NOT_TAKEN) {
            return r;
        }
        w->first_batch = again;
    }
    if (w->first_batch) {
        w->first_batch = false;
        note_dead(w, &h);
    }
    if (h.number < w->number_end) {
        return 0; /* durable already */
    }
    const size_t at = (size_t)(h.number % BH_COUNT(w->o->outlet->taken));
    w->o->outlet->taken[at].number = h.number;
    w->o->outlet->taken[at].rows = h.row + h.rows;
    const struct bh_output_frame *frames = has_frames ? w->frame : NULL;
    int r = bh_host_offer_frames(w->host, w->batch, frames, h.number, h.first_access);
    while (r == BH_EAGAIN) {
        if (must_end(w)) {
            return NOT_TAKEN; /* it stays in the queue, for who takes our place */
        }
        wait_a_little(w);
        r = bh_host_offer_frames(w->host, w->batch, frames, h.number, h.first_access);
    }
    w->number_end = h.number + 1;
    w->rows_end = h.row + h.rows;
    put_mark(w);
    give_durable(w);
    return 0; /* what the module refused is counted */
}

static int
take_health(struct outlet_work *w, uint32_t size)
{
    struct bh_output_health h;
    if (!message_health_get(w->message, size, &h)) {
        return BH_EDAMAGED;
    }
    if (w->o->outlet->dead_rows > 0) {
        const struct bh_gap *d = &w->o->outlet->dead;
        gap_add(&h, BH_GAP_DEAD, d->start_ns, d->end_ns, d->packets);
    }
    bh_host_health(w->host, &h);
    return 0;
}

/* 1: took one, 0: none there, THE_END, NOT_TAKEN, negative: damage. */
static int
take_message(struct outlet_work *w)
{
    uint32_t kind, size;
    int r = bh_queue_take(&w->queue, w->message, w->message_max, &kind, &size);
    if (r <= 0) {
        return r;
    }
    switch (kind) {
    case MESSAGE_BATCH:
        r = take_batch(w, size, false);
        break;
    case MESSAGE_FRAMES:
        r = take_batch(w, size, true);
        break;
    case MESSAGE_HEALTH:
        r = take_health(w, size);
        break;
    case MESSAGE_END:
        r = THE_END;
        break;
    default:
        r = BH_EDAMAGED;
        break;
    }
    if (r < 0 || r == NOT_TAKEN) {
        return r;
    }
    w->upto = bh_queue_mark(&w->queue);
    return r != 0 ? r : 1;
}

static void
sleep_until(struct outlet_work *w, int64_t until_ns)
{
    const int64_t left = until_ns - sensor_clock_ns();
    if (left > 0 && bh_queue_sleep(&w->queue)) {
        struct pollfd p = { .fd = w->o->wake_fd, .events = POLLIN };
        uint64_t count;
        if (poll(&p, 1, (int)(left / 1000000) + 1) > 0) {
            bh_ignore((int)read(w->o->wake_fd, &count, sizeof count));
        }
    }
}

/* What waits on disk, one batch at a time, as long as the queue has room. 1: there is more to do. */
static int
catch_up(struct outlet_work *w)
{
    const uint64_t unread = bh_queue_used(&w->queue) - bh_queue_held(&w->queue);
    if (unread > w->queue.size / 2 ||
        (w->stop_ns != 0 && sensor_clock_ns() > w->stop_ns + WAY_NS)) {
        bh_host_make_way(w->host);
        return 0;
    }
    return unread > w->queue.size / 4 || w->o->stands_in ? 0 : bh_host_catch_up(w->host);
}

static int
loop(struct outlet_work *w)
{
    int r = 1;
    while (r >= 0 && r < THE_END) {
        const int64_t now_ns = sensor_clock_ns();
        count_turn(w);
        if (now_ns - w->tick_ns >= TICK_NS) {
            tick(w, now_ns);
        }
        if (sensor_stop != 0 && w->stop_ns == 0) {
            w->stop_ns = now_ns;
        }
        if (w->stop_ns != 0 && now_ns > w->stop_ns + END_NS) {
            break;
        }
        /* Asked before the queue is: when capture has said that nothing more comes, what is there is all. */
        const bool ends =
            atomic_load_explicit(&w->s->plan->ends[w->o - w->s->output], memory_order_acquire) != 0;
        r = take_message(w);
        const int more = r == 0 || r == 1 ? catch_up(w) : 0;
        if (r == 0 && ends) {
            r = THE_END;
        } else if (r == 0 && more != 1) {
            const int64_t tick_ns = w->tick_ns + TICK_NS;
            sleep_until(w, more == BH_EAGAIN && now_ns + SOON_NS < tick_ns ? now_ns + SOON_NS
                                                                           : tick_ns);
        }
    }
    return r;
}

/* ---- without the module ------------------------------------------------------------------------------------- */

static int
take_nothing(struct bh_output *o)
{
    (void)o;
    return 0;
}

static int
not_now(struct bh_output *o, const struct bh_output_batch *batch)
{
    (void)o;
    (void)batch;
    return BH_EAGAIN;
}

static void
nothing_to_close(struct bh_output *o)
{
    (void)o;
}

/* In its name, with the same order of records, and nothing else of it: what hangs or crashes is not called. */
static const struct bh_output_module *
stand_in_for(const struct bh_output_module *m, struct bh_output_module *ret)
{
    *ret = (struct bh_output_module){ .abi_major = m->abi_major,
                                      .size = sizeof *ret,
                                      .name = m->name,
                                      .summary = { m->summary[BH_EN], m->summary[BH_JA] },
                                      .when = m->when,
                                      .needs = m->needs,
                                      .open = take_nothing,
                                      .write = not_now,
                                      .close = nothing_to_close };
    return ret;
}

/* ---- the process --------------------------------------------------------------------------------------------- */

static int
work_init(struct outlet_work *w, struct bh_error *err)
{
    const struct bh_sensor_output *c = w->o->config;
    const struct plan_run *newest = &w->s->plan->runs[atomic_load(&w->s->plan->run) % RUNS];
    const size_t output = (size_t)(w->o - w->s->output);
    const bool connects = (w->o->needs & BH_OUTPUT_NEEDS_CONNECT) != 0;
    w->batch = bh_batch_new();
    w->message_max =
        (c->module->needs & BH_OUTPUT_NEEDS_FRAMES) != 0 ? MESSAGE_FRAMES_MAX : MESSAGE_MAX;
    w->message = malloc(w->message_max);
    if (w->batch == NULL || w->message == NULL) {
        return bh_error_errno(err, ENOMEM, c->name, "cannot start", "開始できません");
    }
    const struct bh_host_config cfg = {
        .module = w->o->stands_in ? stand_in_for(c->module, &w->stand_in) : c->module,
        .instance = c->name,
        .settings = c->settings,
        .setting_count = w->o->stands_in ? 0 : c->setting_count,
        .board = w->s->board,
        .own = connects ? own_board(w->s, output) : NULL,
        .say = hear,
        .say_arg = w,
        .child_fd = w->o->child != NULL ? bh_child_end_fd : NULL,
        .child_arg = &w->child,
        .spool_dir = w->o->spool[0] != '\0' ? w->o->spool : NULL,
        .spool_octets = c->spool_bytes,
        .countries = w->s->countries[newest->countries % RUNS].k,
    };
    w->child = (struct bh_child_end){ .socket = w->o->child_fd[1], .fd = -1 };
    if (connects) {
        bh_own_close_all(own_board(w->s, output)); /* of whoever was before us */
    } else {
        munmap(own_board(w->s, output), OWN_PAGE);
    }
    int r = bh_queue_read_init(&w->queue, w->o->queue, w->o->queue_size);
    if (r != 0) {
        return bh_error_set(err, r, c->name, "its queue is damaged", "のキューが壊れています");
    }
    w->upto = bh_queue_mark(&w->queue);
    r = bh_host_new(&cfg, &w->host, err);
    if (r == 0) {
        bh_host_count_in(w->host, &w->o->outlet->counters);
        atomic_store(&w->o->outlet->counters.held_rows, 0);
    }
    return r;
}

/* Where the parent was killed there is nobody who does it: SIGALRM then ends the process. */
static void
on_term(int number)
{
    const struct itimerval alone = { .it_value = { .tv_sec = ALONE_S } };
    (void)number;
    sensor_stop = 1;
    setitimer(ITIMER_REAL, &alone, NULL);
}

void
outlet_run(struct sensor *s, size_t output)
{
    struct outlet_work w = { .s = s, .o = &s->output[output] };
    struct bh_error err = { 0 };
    struct sigaction a = { .sa_handler = on_term };
    sigemptyset(&a.sa_mask);
    sigaction(SIGTERM, &a, NULL);
    signal(SIGALRM, SIG_DFL);
    int r = work_init(&w, &err);
    r = r != 0 ? r : confine_role(s, ROLE_OUTPUT, w.o, &w.o->outlet->confined, &err);
    if (r != 0) {
        sensor_say(s, w.o->name, BH_SAY_ERROR, &err);
        _exit(1);
    }
    r = loop(&w);
    if (r < 0) {
        bh_error_set(&err, r, w.o->name, "what came from capture is damaged",
                     "キャプチャから届いた内容が壊れています");
        sensor_say(s, w.o->name, BH_SAY_ERROR, &err);
    }
    uint64_t number;
    if (w.has_run) {
        bh_ignore(bh_host_flush(w.host, &number)); /* close does the rest */
    }
    bh_host_free(w.host);
    if (r >= 0) { /* all of it is the module's, but what was not taken */
        give_upto(&w, &(struct mark){ w.number_end, w.rows_end, w.upto });
    }
    _exit(r < 0 ? 1 : 0);
}
