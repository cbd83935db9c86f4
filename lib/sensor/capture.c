/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process that sees packets: rings, decoder, tracker, queues. It is the one a stranger could hope to get
 * into, so it can do nothing else (confine.c), and the others believe nothing it says.
 *
 * It never waits for an output. What has no room in a queue is lost for that output, counted, and a gap of
 * its health. It may be killed at any moment: blocks of the ring are given back only when their rows have
 * been sent, and `struct capture` says how far that is; who comes after goes on with the next frame. Lost
 * are then the verdicts of connections that were open; they stay as they were last written.
 */
#include "sensor_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define OPEN_MAX                                                                                   \
    (1U << 19) /* accesses whose verdicts are not final: connection numbers come round after 2^21 */
#define VERDICT_NS 30000000000LL
#define LATE_NS 1000000000LL /* by the clock of day, frames are read within this */
#define SECOND_NS 1000000000LL
#define YOUNG_NS (2 * SECOND_NS)
#define TICK_MS 100

struct open_access {
    int64_t ts_ns;
    uint32_t connection;
};

struct judge {
    struct sensor *s;
    struct bh_home home;
    struct bh_track *track;
    struct decoders *decoders;
    struct decoders_block *block; /* at hand */
    struct bh_batch *kept;        /* without our own exports */
    struct own own;
    struct duplicates *duplicates;
    uint16_t interface[BH_BATCH_ROWS]; /* of the rows of the batch, as the kernel numbers them */
    uint32_t duplicate_rows;           /* of it */
    uint8_t is_own[BH_BATCH_ROWS];
    uint8_t *packed;
    bool whole_frames;                           /* some output needs them */
    struct bh_output_frame frame[BH_BATCH_ROWS]; /* of the rows of the batch */
    uint8_t selected[BH_BATCH_ROWS];             /* by an output's filter  */
    struct bh_queue queue[BH_SENSOR_OUTPUTS];
    struct open_access *open; /* ring: accesses final .. written of the board */
    uint64_t early;
    uint64_t young, old_turn; /* accesses from here on are young; which of the old ones is next */
    uint64_t steps_back;
    int64_t second_ns, stats_ns,
        offset_ns;    /* offset: of the clock of day to the one that only goes forward */
    uint32_t changes; /* of plan->changes, that we know */
    uint32_t rings;   /* of plan->rings, that we have   */
    int64_t leave_ns[BH_SENSOR_OUTPUTS];
    bool was_down[BH_LIVE_INTERFACES];
    int64_t down_ns[BH_LIVE_INTERFACES];
};

static uint64_t
get(const _Atomic uint64_t *p)
{
    return atomic_load_explicit(p, memory_order_relaxed);
}

static void
add(_Atomic uint64_t *p, uint64_t n) /* one writer: no locked addition */
{
    atomic_store_explicit(p, get(p) + n, memory_order_relaxed);
}

/* ---- verdicts ---------------------------------------------------------------------------------------------- */

static void
post(struct judge *j, uint64_t number, unsigned outcome)
{
    atomic_store_explicit(&j->s->board->outcome[number % BH_BOARD_ACCESSES], (uint8_t)outcome,
                          memory_order_relaxed);
}

static void
post_verdict(struct judge *j, uint64_t number)
{
    const struct open_access *a = &j->open[number % OPEN_MAX];
    post(j, number, bh_track_verdict(j->track, a->connection, a->ts_ns));
}

/* All that are 30 s old, by packets or by the clock, are final. */
static void
settle(struct judge *j, int64_t now_ns, bool all)
{
    struct bh_board *b = j->s->board;
    const uint64_t written = get(&b->written);
    uint64_t final = get(&b->final);
    const bool outcomes = j->s->config->outcomes;
    while (final < written) {
        const bool full = written - final >= OPEN_MAX;
        if (!all && !full && now_ns - j->open[final % OPEN_MAX].ts_ns <= VERDICT_NS) {
            break;
        }
        j->early += full && now_ns - j->open[final % OPEN_MAX].ts_ns <= VERDICT_NS;
        if (outcomes) {
            post_verdict(j, final);
        }
        final++;
    }
    atomic_store_explicit(&b->final, final, memory_order_release);
}

/* What is known of the others, for a report of this minute, and in case it ends here. Most is settled in the first
 * seconds of a connection: of those that are older a tenth has its turn each time. In a flood there are half a million. */
static void
post_open(struct judge *j, int64_t time_ns)
{
    struct bh_board *b = j->s->board;
    const uint64_t written = get(&b->written), final = get(&b->final);
    j->young = j->young > final ? j->young : final;
    while (j->young < written && time_ns - j->open[j->young % OPEN_MAX].ts_ns > YOUNG_NS) {
        j->young++;
    }
    const uint64_t old = j->young - final;
    j->old_turn = j->old_turn < final || j->old_turn >= j->young ? final : j->old_turn;
    for (uint64_t k = 0; k < (old + 9) / 10 && j->s->config->outcomes; k++) {
        post_verdict(j, j->old_turn);
        j->old_turn = j->old_turn + 1 < j->young ? j->old_turn + 1 : final;
    }
    for (uint64_t k = j->young; k < written && j->s->config->outcomes; k++) {
        post_verdict(j, k);
    }
    if (j->track != NULL) {
        memcpy(b->served, bh_track_served_ports(j->track), sizeof b->served);
        atomic_store_explicit(&b->has_served, 1, memory_order_release);
    }
}

/* The batch's TCP accesses get numbers. */
static uint64_t
number_accesses(struct judge *j, const struct bh_batch *b)
{
    struct bh_board *board = j->s->board;
    const uint64_t first = get(&board->written);
    uint64_t number = first, accesses = 0;
    uint32_t of[BH_BATCH_ROWS], n = 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        accesses += b->cls[i] == BH_CLASS_ACCESS;
        if (b->cls[i] == BH_CLASS_ACCESS && b->proto[i] == BH_PROTO_TCP) {
            of[n++] = i;
        }
    }
    if (first + n - get(&board->final) > OPEN_MAX) {
        /* as if they were old: only as many as there must be */
        uint64_t final = get(&board->final);
        for (; first + n - final > OPEN_MAX; final++) {
            post_verdict(j, final);
            j->early++;
        }
        atomic_store_explicit(&board->final, final, memory_order_release);
    }
    atomic_store_explicit(&board->written, first + n,
                          memory_order_release); /* before they are overwritten */
    for (uint32_t k = 0; k < n; k++, number++) {
        post(j, number, BH_OUTCOME_NONE);
        j->open[number % OPEN_MAX] = (struct open_access){ b->ts_ns[of[k]], b->connection[of[k]] };
    }
    add(&j->s->capture->accesses, accesses);
    return first;
}

/* ---- sending ------------------------------------------------------------------------------------------------- */

static bool
gets_batches(const struct judge *j, size_t k)
{
    return j->s->output[k].state == OUTPUT_RUNS;
}

static void
wake(const struct output *o)
{
    const uint64_t one = 1;
    bh_ignore((int)write(o->wake_fd, &one, sizeof one)); /* full: it is awake */
}

static void
lose(struct judge *j, size_t k, uint32_t rows, int64_t first_ns, int64_t last_ns, unsigned kind)
{
    struct sent *t = &j->s->capture->sent[k];
    (void)j;
    gap_add(&t->health, kind, first_ns, last_ns, rows);
    t->health_changed = true;
    add(&t->lost_rows, rows);
}

static bool
send_health(struct judge *j, size_t k)
{
    struct sent *t = &j->s->capture->sent[k];
    uint8_t *to = bh_queue_begin(&j->queue[k], sizeof t->health);
    if (to == NULL) {
        return false;
    }
    memcpy(to, &t->health, sizeof t->health);
    if (bh_queue_end(&j->queue[k], MESSAGE_HEALTH, sizeof t->health)) {
        wake(&j->s->output[k]);
    }
    t->health_changed = false;
    return true;
}

/* With the frames that its filter selects. NULL: no room. */
static uint8_t *
begin_frames(struct judge *j, size_t k, const struct bh_batch *b, const struct batch_head *head,
             uint32_t size, uint32_t *ret_len)
{
    const struct bh_filter *filter = j->s->output[k].filter;
    const uint32_t fixed = (uint32_t)(sizeof *head + sizeof size) + size;
    const uint64_t quarter = j->queue[k].size / 4;
    const uint64_t most = quarter < MESSAGE_FRAMES_MAX ? quarter : MESSAGE_FRAMES_MAX;
    memset(j->selected, 1, b->rows);
    if (filter != NULL) {
        bh_filter_batch(filter, b, j->selected);
    }
    /* 64: what the queue itself writes around a message */
    const uint32_t snap = message_frames_snap(j->frame, b->rows, j->selected,
                                              most > fixed + 64U ? most - fixed - 64U : 0);
    const size_t frames = bh_output_frames_packed_size(j->frame, b->rows, j->selected, snap);
    *ret_len = fixed + (uint32_t)frames;
    uint8_t *to = bh_queue_begin(&j->queue[k], *ret_len);
    if (to != NULL) {
        memcpy(to, head, sizeof *head);
        memcpy(to + sizeof *head, &size, sizeof size);
        memcpy(to + sizeof *head + sizeof size, j->packed, size);
        bh_output_frames_pack(j->frame, b->rows, j->selected, snap, to + fixed);
    }
    return to;
}

static uint8_t *
begin_batch(struct judge *j, size_t k, const struct batch_head *head, uint32_t size,
            uint32_t *ret_len)
{
    *ret_len = (uint32_t)sizeof *head + size;
    uint8_t *to = bh_queue_begin(&j->queue[k], *ret_len);
    if (to != NULL) {
        memcpy(to, head, sizeof *head);
        memcpy(to + sizeof *head, j->packed, size);
    }
    return to;
}

/* To one output what was packed, of `size` octets. */
static void
send_batch(struct judge *j, size_t k, const struct bh_batch *b, const struct batch_head *h,
           uint32_t size)
{
    struct capture *c = j->s->capture;
    struct sent *t = &c->sent[k];
    struct batch_head head = *h;
    head.row = t->row;
    const bool frames = (j->s->output[k].needs & BH_OUTPUT_NEEDS_FRAMES) != 0;
    uint32_t len;
    if ((frames ? begin_frames(j, k, b, &head, size, &len)
                : begin_batch(j, k, &head, size, &len)) == NULL) {
        lose(j, k, h->rows, c->batch_first_ns, c->batch_last_ns, BH_GAP_QUEUE);
        t->number_end = h->number + 1;
        return;
    }
    const bool sleeps = bh_queue_end(&j->queue[k], frames ? MESSAGE_FRAMES : MESSAGE_BATCH, len);
    t->number_end = h->number + 1; /* at once: who comes after us must not send it again */
    t->row += h->rows;
    add(&t->rows, h->rows);
    if (sleeps) {
        wake(&j->s->output[k]);
    }
}

static void
take_after(struct capture *c)
{
    atomic_store_explicit(&c->own, c->own_after, memory_order_relaxed);
    atomic_store_explicit(&c->duplicates, c->duplicates_after, memory_order_relaxed);
}

static void
send_all(struct judge *j, const struct bh_batch *b, uint64_t first_access, uint32_t own)
{
    struct capture *c = j->s->capture;
    const struct batch_head head = {
        .run = c->run, .rows = b->rows, .number = c->number, .first_access = first_access
    };
    const uint32_t size = (uint32_t)bh_batch_packed_size(b);
    bh_batch_pack(b, j->packed);
    c->batch_rows = b->rows;
    c->own_after = get(&c->own) + own;
    c->duplicates_after = get(&c->duplicates) + j->duplicate_rows;
    c->batch_first_ns = b->ts_ns[0];
    c->batch_last_ns = b->ts_ns[b->rows - 1];
    c->after = j->block->after;
    atomic_signal_fence(
        memory_order_seq_cst); /* a kill between two lines must find them in this order */
    c->in_batch = true;
    atomic_signal_fence(memory_order_seq_cst);
    for (size_t k = 0; k < j->s->output_count; k++) {
        if (gets_batches(j, k)) {
            send_batch(j, k, b, &head, size);
        }
    }
    atomic_signal_fence(memory_order_seq_cst);
    c->before = c->after;
    c->number++;
    c->last_ns = c->batch_last_ns;
    add(&c->rows, b->rows);
    take_after(c);
    c->in_batch = false;
}

/* A batch of nothing but our own exports. */
static void
pass_over(struct judge *j, uint32_t own)
{
    struct capture *c = j->s->capture;
    c->batch_rows = 0;
    c->own_after = get(&c->own) + own;
    c->duplicates_after = get(&c->duplicates) + j->duplicate_rows;
    c->after = j->block->after;
    atomic_signal_fence(memory_order_seq_cst);
    c->in_batch = true;
    atomic_signal_fence(memory_order_seq_cst);
    c->before = c->after;
    take_after(c);
    atomic_signal_fence(memory_order_seq_cst);
    c->in_batch = false;
}

/* To the one before us it was: else it begins with us. */
static bool
is_known(const struct judge *j, size_t k)
{
    return gets_batches(j, k) && j->s->capture->sent[k].generation == j->s->output[k].generation;
}

/* What libpcap had for the one before us is gone with it: as much as had been counted, and what came since nobody knows. */
static void
lose_unread(struct judge *j)
{
    struct capture *c = j->s->capture;
    const uint64_t known = get(&c->rows) + get(&c->own) + get(&c->kernel_lost) + c->unread;
    const uint64_t lost = get(&c->frames) > known ? get(&c->frames) - known : 0;
    for (size_t k = 0; c->last_ns != 0 && k < j->s->output_count; k++) {
        if (is_known(j, k)) {
            lose(j, k, (uint32_t)lost, c->last_ns, sensor_time_ns(), BH_GAP_DEAD);
        }
    }
    c->unread += lost;
}

/* The one before us died. A batch that reached some outputs counts as sent, and is lost for the others. */
static void
inherit(struct judge *j)
{
    struct capture *c = j->s->capture;
    bool any = false;
    for (size_t k = 0; k < j->s->output_count; k++) {
        any |= c->in_batch && is_known(j, k) && c->sent[k].number_end > c->number;
    }
    if (any) {
        for (size_t k = 0; k < j->s->output_count; k++) {
            if (is_known(j, k) && c->sent[k].number_end <= c->number) {
                lose(j, k, (uint32_t)c->batch_rows, c->batch_first_ns, c->batch_last_ns,
                     BH_GAP_DEAD);
                c->sent[k].number_end = c->number + 1;
            }
        }
        c->number++;
        add(&c->rows, c->batch_rows);
    }
    if (any || (c->in_batch && c->batch_rows == 0)) {
        c->before = c->after;
        take_after(c);
    }
    c->in_batch = false;
    if (j->s->config->with_pcap) {
        lose_unread(j);
    }
    /* Connections that were open: their verdicts stay as they are. */
    atomic_store_explicit(&j->s->board->final, get(&j->s->board->written), memory_order_release);
}

/* ---- outputs that come and go ---------------------------------------------------------------------------------- */

static void
begin_sums(struct judge *j, size_t k, uint32_t generation, int from)
{
    struct sent *t = &j->s->capture->sent[k];
    const struct bh_output_health none = { 0 };
    const struct bh_output_health health =
        from >= 0 && (size_t)from < BH_SENSOR_OUTPUTS ? j->s->capture->sent[from].health : none;
    atomic_store(&t->rows, 0);
    atomic_store(&t->lost_rows, 0);
    t->number_end = j->s->capture->number;
    t->row = 0;
    t->health = health; /* sums of the run: who writes the same log goes on with them */
    t->health_changed = true;
    t->generation = generation;
}

static void
begin_output(struct judge *j, const struct change *c, const int fd[2])
{
    struct output *o = &j->s->output[c->slot];
    struct bh_error err = { 0 };
    const char *words[] = { c->filter };
    *o = (struct output){ .wake_fd = fd[1],
                          .queue_fd = -1,
                          .from = -1,
                          .child_fd = { -1, -1 },
                          .queue_size = c->queue_size };
    o->queue = bh_queue_descriptor_map(fd[0], c->queue_size);
    o->needs = c->frames ? BH_OUTPUT_NEEDS_FRAMES : 0;
    int r = o->queue == NULL || fd[1] < 0
                ? -ENOMEM
                : bh_queue_write_init(&j->queue[c->slot], o->queue, o->queue_size);
    r = r == 0 && c->filter[0] != '\0'
            ? bh_filter_parse(words, 1, j->s->countries[0].k, &o->filter, &err)
            : r;
    if (fd[0] >= 0) {
        close(fd[0]);
    }
    if (r != 0) { /* the parent has checked all of it; who comes after us has it by the fork */
        _exit(1);
    }
    j->s->output_count = j->s->output_count > c->slot ? j->s->output_count : c->slot + 1;
    j->whole_frames |= c->frames;
    begin_sums(j, c->slot, c->generation, c->from);
    o->state = OUTPUT_RUNS;
}

/* It gets no more. Its last sums have to find room, for a while. */
static void
end_output(struct judge *j, size_t k)
{
    j->s->output[k].state = OUTPUT_LEAVES;
    j->leave_ns[k] = sensor_clock_ns() + 5 * SECOND_NS;
}

static bool
say_goodbye(struct judge *j)
{
    bool all = true;
    for (size_t k = 0; k < j->s->output_count; k++) {
        struct output *o = &j->s->output[k];
        if (o->state != OUTPUT_LEAVES || o->queue == NULL) {
            continue;
        }
        if (!send_health(j, k) && sensor_clock_ns() < j->leave_ns[k]) {
            all = false;
            continue;
        }
        wake(o);
        bh_queue_memory_free(o->queue, o->queue_size);
        close(o->wake_fd);
        bh_filter_free(o->filter);
        *o = (struct output){ .state = OUTPUT_NONE };
    }
    return all;
}

/* Between two batches. */
static void
hear_changes(struct judge *j)
{
    const uint32_t now = atomic_load_explicit(&j->s->plan->changes, memory_order_acquire);
    struct change c;
    int fd[2];
    while (j->changes != now && change_receive(j->s->change_fd[1], &c, fd)) {
        j->changes++;
        if (c.ends) {
            end_output(j, c.slot);
        } else {
            begin_output(j, &c, fd);
        }
    }
    if (j->changes == now && say_goodbye(j)) {
        atomic_store_explicit(&j->s->capture->changes_done, now, memory_order_release);
    }
}

/* ---- runs ------------------------------------------------------------------------------------------------------ */

static int
begin_run(struct judge *j, uint32_t run, bool anew)
{
    const struct plan_run *p = &j->s->plan->runs[run % RUNS];
    struct capture *c = j->s->capture;
    struct bh_error err = { 0 };
    if (j->track != NULL) {
        settle(j, 0, true);
    }
    bh_track_free(j->track);
    bh_home_done(&j->home);
    j->track = NULL;
    int r = bh_home_parse(p->home, &j->home, &err);
    const struct bh_track_config cfg = {
        .home = &j->home,
        .two_sided = true,
        .all_accesses = j->s->config->all_accesses,
        .outcomes = j->s->config->outcomes,
        .hold = j->s->config->outcomes,
        .start_ns = p->start_ns,
        .key = bh_random_key(),
    };
    r = r != 0 ? r : bh_track_new(&cfg, &j->track);
    if (r != 0) {
        sensor_say(j->s, "capture", BH_SAY_ERROR, &err);
        return r;
    }
    if (anew) {
        c->run = run;
        c->number = 0;
        c->own_before = get(&c->own);
        c->duplicates_before = get(&c->duplicates);
        for (size_t k = 0; k < j->s->output_count; k++) {
            c->sent[k].number_end = c->sent[k].row = 0;
            memset(&c->sent[k].health, 0, sizeof c->sent[k].health);
            c->sent[k].health_changed = true;
        }
    }
    return 0;
}

/* ---- once a second ------------------------------------------------------------------------------------------------ */

static void
take_kernel_losses(struct judge *j, int64_t time_ns)
{
    struct capture *c = j->s->capture;
    struct bh_live_stats stats;
    bh_live_take_stats(j->s->live, &stats);
    if (stats.dropped > 0) {
        const int64_t from = j->stats_ns != 0 ? j->stats_ns : time_ns;
        for (size_t k = 0; k < j->s->output_count; k++) {
            gap_add(&c->sent[k].health, BH_GAP_KERNEL, from, time_ns, stats.dropped);
            c->sent[k].health_changed = true;
        }
        add(&c->kernel_lost, stats.dropped);
    }
    for (size_t k = 0; k < bh_live_count(j->s->live); k++) {
        add(&c->interface[k].frames, stats.each[k].frames);
        add(&c->interface[k].lost, stats.each[k].dropped);
    }
    add(&c->frames, stats.frames);
    j->stats_ns = time_ns;
}

static void
look_at_interfaces(struct judge *j, int64_t time_ns)
{
    struct capture *c = j->s->capture;
    for (size_t k = 0; k < bh_live_count(j->s->live); k++) {
        const bool down = atomic_load_explicit(&j->s->plan->up[k], memory_order_relaxed) == 0;
        if (down && !j->was_down[k]) {
            j->down_ns[k] = time_ns;
        } else if (!down && j->was_down[k]) {
            for (size_t i = 0; i < j->s->output_count; i++) {
                gap_add(&c->sent[i].health, BH_GAP_DOWN, j->down_ns[k], time_ns, 0);
                c->sent[i].health_changed = true;
            }
        }
        j->was_down[k] = down;
    }
}

/* The clock of day went by another measure than the one that cannot be set: it was set. */
static void
look_at_clock(struct judge *j, int64_t time_ns, int64_t clock_ns)
{
    const int64_t offset = time_ns - clock_ns, step = offset - j->offset_ns;
    if (j->offset_ns != 0 && (step > SECOND_NS / 2 || step < -SECOND_NS / 2)) {
        struct bh_error said = { 0 };
        add(&j->s->capture->clock_steps, 1);
        for (size_t k = 0; k < j->s->output_count; k++) {
            j->s->capture->sent[k].health.clock_steps++;
            j->s->capture->sent[k].health_changed = true;
        }
        bh_error_set(&said, 0, "", "the clock was set by %+.1f s", "時計が %+.1f 秒変更されました",
                     (double)step * 1e-9);
        sensor_say(j->s, "capture", BH_SAY_WARNING, &said);
    }
    j->offset_ns = offset;
}

static void
look_around(struct judge *j, bool always)
{
    const int64_t clock_ns = sensor_clock_ns(), time_ns = sensor_time_ns();
    if (!always && clock_ns - j->second_ns < SECOND_NS / 4) {
        return;
    }
    take_kernel_losses(j, time_ns);
    look_at_interfaces(j, time_ns);
    settle(j, time_ns - LATE_NS, false);
    if (!always && clock_ns - j->second_ns < SECOND_NS) {
        return;
    }
    j->second_ns = clock_ns;
    look_at_clock(j, time_ns, clock_ns);
    post_open(j, time_ns);
    struct bh_track_bounds bounds;
    bh_track_get_bounds(j->track, &bounds);
    for (size_t k = 0; k < j->s->output_count; k++) {
        struct sent *t = &j->s->capture->sent[k];
        t->health.frames = get(&j->s->capture->frames);
        t->health.own = get(&j->s->capture->own) - j->s->capture->own_before;
        t->health.duplicates = get(&j->s->capture->duplicates) - j->s->capture->duplicates_before;
        t->health.steps_back = j->steps_back;
        t->health.flows_lost = bounds.flows_lost;
        t->health.conversations_lost = bounds.conversations_lost;
        t->health.repeats_lost = bounds.repeats_lost;
        t->health.held_early = bounds.held_early + j->early;
        if (gets_batches(j, k)) {
            bh_ignore(send_health(j, k)); /* no room: with the next second */
        }
    }
}

/* ---- the way of a batch ------------------------------------------------------------------------------------------- */

/* What the filter left out is not what a snap length cut off. */
static void
forget_our_cuts(struct bh_batch *b)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        b->layers[i] &= (uint16_t)~BH_LAYER_CUT;
    }
}

/* Of its rows: each frame made one. */
static void
keep_frames(struct judge *j, uint32_t first, uint32_t rows)
{
    for (uint32_t i = 0; j->whole_frames && i < rows; i++) {
        const struct bh_frame *f = &j->block->frames->frame[first + i];
        j->frame[i] = (struct bh_output_frame){ f->data, f->cap_len, f->wire_len, f->link_type,
                                                f->interface };
    }
}

/* They were judged as all others, so that an error which answers one is known for what it is; then they go. */
static struct bh_batch *
leave_out_own(struct judge *j, struct bh_batch *b, uint32_t *ret_own)
{
    own_look(&j->own, j->s);
    *ret_own = own_mark(&j->own, b, j->is_own);
    if (*ret_own == 0) {
        return b;
    }
    bh_batch_reset(j->kept);
    for (uint32_t i = 0; i < b->rows; i++) {
        if (j->is_own[i] != 0) {
            j->duplicate_rows -= (b->marks[i] & BH_MARK_DUPLICATE) != 0;
        } else {
            j->frame[j->kept->rows] = j->frame[i];
            bh_batch_copy_row(j->kept, b, i);
        }
    }
    return j->kept;
}

static void
judge_batch(struct judge *j, struct bh_batch *b)
{
    const struct bh_move *moves;
    uint64_t undecoded = 0, cut = 0;
    int64_t before = j->s->capture->last_ns;
    forget_our_cuts(b);
    j->duplicate_rows = duplicates_mark(j->duplicates, b, j->interface);
    bh_track_classify(j->track, b);
    memset(b->counted, 1, b->rows);
    memset(b->country, 0, b->rows * sizeof *b->country);
    memset(b->outcome, BH_OUTCOME_NONE, b->rows);
    bh_track_flows(j->track, b, &moves);
    for (uint32_t i = 0; i < b->rows; i++) {
        undecoded += b->kind[i] == BH_KIND_NONE;
        cut += (b->marks[i] & BH_MARK_TRUNCATED) != 0;
        if (BH_UNLIKELY(b->reason[i] != BH_REASON_NONE)) {
            add(&j->s->capture->reason[b->reason[i] % BH_REASON_COUNT], 1);
        }
        j->steps_back += b->ts_ns[i] < before;
        before = b->ts_ns[i];
    }
    if (undecoded > 0) {
        add(&j->s->capture->undecoded, undecoded);
    }
    if (cut > 0) {
        add(&j->s->capture->cut, cut);
    }
    const int64_t last_ns = b->ts_ns[b->rows - 1];
    uint32_t own;
    b = leave_out_own(j, b, &own);
    if (b->rows > 0) {
        send_all(j, b, number_accesses(j, b), own);
    } else {
        pass_over(j, own);
    }
    settle(j, last_ns, false);
}

/* A block out of the rings, in one batch unless very many of its packets quote others. False: there is nothing. */
static bool
take_batch(struct judge *j)
{
    struct decoders_block *b = j->block = decoders_next(j->decoders);
    if (b == NULL) {
        return false;
    }
    uint32_t first = 0;
    do {
        for (uint32_t i = 0; i < b->batch->rows; i++) {
            j->interface[i] = b->frames->frame[first + i].file;
        }
        keep_frames(j, first, b->batch->rows);
        judge_batch(j, b->batch);
        first = b->at;
    } while (decoders_decode_rest(j->decoders, b));
    decoders_give(j->decoders);
    return true;
}

static void
end_queues(struct judge *j)
{
    const int64_t until = sensor_clock_ns() + SECOND_NS / 2;
    for (size_t k = 0; k < j->s->output_count; k++) {
        uint8_t *to = NULL;
        if (!gets_batches(j, k)) {
            continue;
        }
        while ((to = bh_queue_begin(&j->queue[k], 0)) == NULL && sensor_clock_ns() < until) {
            wake(&j->s->output[k]);
            usleep(2000);
        }
        if (to != NULL) {
            if (j->s->capture->sent[k].health_changed) {
                bh_ignore(send_health(j, k)); /* as good as it gets */
                to = bh_queue_begin(&j->queue[k], 0);
            }
            if (to != NULL) {
                bh_queue_end(&j->queue[k], MESSAGE_END, 0);
            }
        }
        wake(&j->s->output[k]);
    }
}

static void
end_all(struct judge *j)
{
    settle(j, 0, true);
    look_around(j, true);
    end_queues(j);
}

static int
judge_init(struct judge *j, struct bh_error *err)
{
    struct sensor *s = j->s;
    j->kept = bh_batch_new();
    j->duplicates = duplicates_new();
    j->packed = malloc(MESSAGE_MAX);
    j->open = bh_pages_new(OPEN_MAX * sizeof *j->open, false);
    if (j->kept == NULL || j->duplicates == NULL || j->packed == NULL || j->open == NULL) {
        return bh_error_errno(err, ENOMEM, "capture", "cannot start", "開始できません");
    }
    int r = 0;
    j->changes = atomic_load(&s->plan->changes); /* of these we have the table */
    j->rings = bh_live_renewed(s->live);
    for (size_t k = 0; r == 0 && k < s->output_count; k++) {
        if (!gets_batches(j, k)) {
            continue;
        }
        r = bh_queue_write_init(&j->queue[k], s->output[k].queue, s->output[k].queue_size);
        j->whole_frames |= (s->output[k].needs & BH_OUTPUT_NEEDS_FRAMES) != 0;
    }
    if (r != 0) {
        return bh_error_set(err, r, "capture", "a queue is damaged", "キューが壊れています");
    }
    inherit(j);
    for (size_t k = 0; k < s->output_count; k++) {
        if (gets_batches(j, k) && !is_known(j, k)) {
            begin_sums(j, k, s->output[k].generation, s->output[k].from);
        }
    }
    atomic_store_explicit(&s->capture->changes_done, j->changes, memory_order_release);
    r = bh_live_attach(s->live, &s->capture->before, err);
    const bool first = s->capture->number == 0 && get(&s->capture->rows) == 0;
    const uint32_t run = first ? atomic_load(&s->plan->run) : s->capture->run;
    return r != 0 ? r : begin_run(j, run, first);
}

/* What came up to now, and little that comes later: it must end. The kernel hands its last blocks over within a tenth
 * of a second. */
static void
take_the_rest(struct judge *j)
{
    const int64_t now_ns = sensor_clock_ns(), until = now_ns + SECOND_NS / 4;
    while (sensor_clock_ns() < until) {
        if (!take_batch(j)) {
            if (sensor_clock_ns() > now_ns + SECOND_NS / 8) {
                break;
            }
            bh_live_wait(j->s->live, -1, 10);
        }
    }
}

void
capture_run(struct sensor *s)
{
    struct judge j = { .s = s };
    struct bh_error err = { 0 };
    int r = judge_init(&j, &err);
    r = r != 0 ? r : decoders_new(s, &j.decoders, &err);
    r = r != 0 ? r : confine_role(s, ROLE_CAPTURE, NULL, &s->capture->confined, &err);
    if (r != 0 && sensor_stop != 0) {
        end_queues(&j); /* while it waited for an interface */
        _exit(0);
    }
    if (r != 0) {
        sensor_say(s, "capture", BH_SAY_ERROR, &err);
        _exit(1);
    }
    while (sensor_stop == 0) {
        const uint32_t run = atomic_load_explicit(&s->plan->run, memory_order_acquire);
        if (run != s->capture->run && begin_run(&j, run, true) != 0) {
            _exit(1);
        }
        if (atomic_load_explicit(&s->capture->changes_done, memory_order_relaxed) !=
            atomic_load_explicit(&s->plan->changes, memory_order_relaxed)) {
            hear_changes(&j);
        }
        if (j.rings != atomic_load_explicit(&s->plan->rings, memory_order_relaxed)) {
            take_the_rest(&j);
            look_around(&j, true);
            _exit(CAPTURE_NEW_RINGS);
        }
        look_around(&j, false);
        atomic_store_explicit(&s->capture->turn_ns, (uint64_t)sensor_clock_ns(),
                              memory_order_relaxed);
        if (!take_batch(&j)) {
            if (bh_live_is_broken(s->live)) {
                look_around(&j, true);
                _exit(1);
            }
            bh_live_wait(s->live, -1, TICK_MS);
        }
    }
    take_the_rest(&j);
    end_all(&j);
    _exit(0);
}
