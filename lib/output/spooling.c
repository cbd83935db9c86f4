/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a module does not take waits on disk: lib/spool, in a directory of this instance.
 *
 * A module that takes batches is given them directly; copies of those it has not made durable are kept here
 * ("flying"), as many as it keeps back, some megabytes. With the first batch that it does not take, these go to disk,
 * marked as handed out, and from then on ("away") everything goes there behind them, and comes out at the pace of the
 * module. When nothing is left there, batches go directly again. So the order is that of the numbers, whatever happens,
 * and whoever comes after this process begins with the first batch that is not durable.
 *
 * On disk records have their verdicts: nobody may be there to ask when they are read. So an AT_ONCE module's batches
 * wait for theirs as a DECIDED one's do, in memory, before they go to disk.
 *
 * Of a run that is over on disk are its heading (the run), its batches and, last, its health.
 */
#include "host_priv.h"

#include "bh_spool.h"

#include <stdlib.h>

#define SYNC_NS 10000000000LL
#define NOTE_NS 60000000000LL
#define SAY_NS 2000000000LL
#define STEPS 32 /* of one tick */

static void
add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static void
say(struct bh_host *h, enum bh_say level, const char *where, const char *en, const char *ja)
{
    struct bh_error err = { 0 };
    bh_error_set(&err, 0, where, "%s%.0s", "%.0s%s", en, ja);
    bh_output_say(&h->o, level, &err);
}

static void
count(struct bh_host *h)
{
    struct bh_host_counters *c = h->o.counters;
    const uint64_t lost = bh_spool_lost_rows(h->spool);
    atomic_store_explicit(&c->spool_rows, bh_spool_rows(h->spool), memory_order_relaxed);
    atomic_store_explicit(&c->spool_octets, bh_spool_octets(h->spool), memory_order_relaxed);
    if (lost > h->lost_seen) {
        add(&c->spool_lost_rows, lost - h->lost_seen);
        h->lost_seen = lost;
        h->dirty = true;
        spooling_show_health(h);
        if (!h->said_lost) {
            say(h, BH_SAY_WARNING, h->spool_dir,
                "has no room for more: the oldest records in it are lost",
                "がいっぱいです。古い記録から失われます");
        }
        h->said_lost = true;
    }
    if (bh_spool_damaged(h->spool) > h->damaged_seen) {
        h->damaged_seen = bh_spool_damaged(h->spool);
        say(h, BH_SAY_WARNING, h->spool_dir,
            "was damaged: what could not be read of it is left out",
            "が壊れています。読めない部分は飛ばします");
    }
}

/* ---- open, close ---------------------------------------------------------------------------------------------- */

int
spooling_open(struct bh_host *h, const struct bh_host_config *cfg, struct bh_error *err)
{
    const struct bh_spool_config spool = { .dir = cfg->spool_dir,
                                           .octets = cfg->spool_octets,
                                           .layout = bh_batch_layout() };
    if (cfg->spool_dir == NULL) {
        return 0;
    }
    if ((cfg->module->needs & BH_OUTPUT_NEEDS_FRAMES) != 0) {
        return bh_error_set(
            err, BH_EUSAGE, "spool", "%s is given frames, which do not go to disk on their way",
            "%s はフレームを受け取るため、途中でディスクには置けません", cfg->module->name);
    }
    h->spool_dir = cfg->spool_dir;
    h->countries = cfg->countries;
    h->pack = malloc(BH_SPOOL_BLOCK_MAX);
    if (h->pack == NULL) {
        return bh_error_errno(err, ENOMEM, cfg->instance, "cannot start", "開始できません");
    }
    const int r = bh_spool_open(&spool, &h->spool, err);
    h->away = r == 0 && bh_spool_waits(h->spool);
    return r;
}

void
spooling_close(struct bh_host *h)
{
    while (h->flying.first != NULL) {
        list_drop(&h->flying);
    }
    if (h->spool != NULL) {
        count(h);
    }
    bh_spool_close(h->spool);
    free(h->pack);
}

/* ---- to disk ------------------------------------------------------------------------------------------------------ */

static bool
head(struct bh_host *h)
{
    struct bh_buf text = { 0 };
    run_pack(h->run, &text);
    const bool good = !text.failed &&
                      bh_spool_head(h->spool, h->run->start_ns, text.data, (uint32_t)text.len) == 0;
    bh_buf_done(&text);
    return good;
}

static bool
written(struct bh_host *h, int r)
{
    if (r != 0 && !h->said_unwritable) {
        struct bh_error err = { 0 };
        bh_error_errno(&err, -r, h->spool_dir, "cannot write what waits",
                       "待機中の記録を書けません");
        bh_output_say(&h->o, BH_SAY_ERROR, &err);
    }
    h->said_unwritable = r != 0;
    count(h);
    return r == 0;
}

/* A module that asks for verdicts itself must not ask for these: their numbers do not go to disk. */
static void
close_outcomes(const struct bh_host *h, struct bh_batch *b)
{
    for (uint32_t i = 0; h->o.module->when == BH_OUTPUT_AT_ONCE && h->run->outcomes && i < b->rows;
         i++) {
        if (host_is_tcp_access(b, i) && b->outcome[i] == BH_OUTCOME_NONE) {
            b->outcome[i] = BH_OUTCOME_UNKNOWN;
        }
    }
}

/* A batch of `run`, without rows that are not for us. */
static int
add_batch(struct bh_host *h, const struct bh_batch *b, uint64_t number, bool handed)
{
    struct bh_spool_block block = { .kind = BH_SPOOL_BATCH,
                                    .rows = b->rows,
                                    .start_ns = h->run->start_ns,
                                    .number = number,
                                    .first_ns = b->ts_ns[0],
                                    .last_ns = b->ts_ns[0],
                                    .data = h->pack,
                                    .size = (uint32_t)bh_batch_packed_size(b) };
    for (uint32_t i = 1; i < b->rows; i++) {
        block.first_ns = b->ts_ns[i] < block.first_ns ? b->ts_ns[i] : block.first_ns;
        block.last_ns = b->ts_ns[i] > block.last_ns ? b->ts_ns[i] : block.last_ns;
    }
    if (block.size > BH_SPOOL_BLOCK_MAX || !head(h)) {
        return -ENOMEM;
    }
    bh_batch_pack(b, h->pack);
    return bh_spool_add(h->spool, &block, handed);
}
_Static_assert(BH_SPOOL_BLOCK_MAX >= sizeof(struct bh_batch) / 2, "a batch has room in a block");

/* ---- what is not durable ---------------------------------------------------------------------------------------------- */

void
spooling_flew(struct bh_host *h, const struct bh_batch *b, uint64_t number)
{
    const bool at_once = h->o.module->when == BH_OUTPUT_AT_ONCE;
    const size_t size = bh_batch_packed_size(b), numbers = at_once ? b->rows * sizeof(uint32_t) : 0;
    struct waiting *w = malloc(sizeof *w + size + numbers);
    if (w == NULL) {
        return; /* then it is lost if this process dies before it is durable: as without a spool */
    }
    *w = (struct waiting){ .number = number, .rows = b->rows, .size = size };
    bh_batch_pack(b, w->octets);
    memcpy(w->octets + size, b->connection, numbers);
    list_put(&h->flying, w);
    h->flying_bytes += sizeof *w + size + numbers;
    if (h->flying_bytes > h->hold_bytes) {
        bh_ignore(spooling_go_away(h)); /* no room there: they stay */
    }
}

static bool
put_flying(struct bh_host *h, const struct waiting *w)
{
    struct bh_batch *b = h->unpacked;
    if (!bh_batch_unpack(b, w->octets, w->size)) {
        return true; /* it was checked, and is our own memory */
    }
    for (uint32_t i = 0; h->o.module->when == BH_OUTPUT_AT_ONCE && i < b->rows; i++) {
        uint32_t access;
        memcpy(&access, w->octets + w->size + i * sizeof access, sizeof access);
        if (host_is_tcp_access(b, i) && b->outcome[i] == BH_OUTCOME_NONE && h->run->outcomes) {
            b->outcome[i] = (uint8_t)bh_output_verdict(&h->o, access); /* as far as it is known */
        }
    }
    close_outcomes(h, b);
    return written(h, add_batch(h, b, w->number, true));
}

static void
land(struct bh_host *h)
{
    const struct waiting *w = h->flying.first;
    const size_t numbers = h->o.module->when == BH_OUTPUT_AT_ONCE ? w->rows * sizeof(uint32_t) : 0;
    h->flying_bytes -= sizeof *w + w->size + numbers;
    list_drop(&h->flying);
}

/* All of them, to disk. What is offered may be in h->unpacked. */
static bool
land_all(struct bh_host *h)
{
    struct bh_batch *offered = h->unpacked;
    if (h->flying.first == NULL) {
        return true;
    }
    h->unpacked = bh_batch_new();
    bool good = h->unpacked != NULL;
    while (good && h->flying.first != NULL) {
        good = put_flying(h, h->flying.first);
        if (good) {
            land(h);
        }
    }
    bh_batch_free(h->unpacked);
    h->unpacked = offered;
    return good;
}

bool
spooling_go_away(struct bh_host *h)
{
    if (h->spool == NULL || h->away) {
        return h->spool != NULL;
    }
    h->away = land_all(h);
    if (h->away && h->taken > h->spooled_end) {
        h->spooled_end = h->taken;
        atomic_store_explicit(&h->o.counters->durable_number, h->spooled_end, memory_order_release);
    }
    return h->away;
}

int
spooling_put(struct bh_host *h, struct bh_batch *b, uint64_t number)
{
    if (!land_all(h)) { /* of those that were held, some went directly */
        add(&h->o.counters->retried, 1);
        return BH_EAGAIN;
    }
    close_outcomes(h, b);
    const struct bh_batch *kept = host_selected(h, b);
    const int r = kept->rows == 0 ? 0 : add_batch(h, kept, number, false);
    if (!written(h, r)) {
        add(&h->o.counters->retried, 1);
        return BH_EAGAIN;
    }
    add(&h->o.counters->spooled_rows, kept->rows);
    h->spooled_end = number + 1;
    atomic_store_explicit(&h->o.counters->durable_number, h->spooled_end, memory_order_release);
    return 0;
}

void
spooling_safe(struct bh_host *h, uint64_t number)
{
    while (h->o.run == h->run && h->flying.first != NULL && h->flying.first->number < number) {
        land(h);
    }
    bh_spool_safe(h->spool, h->o.run->start_ns, number);
    count(h);
}

/* ---- health -------------------------------------------------------------------------------------------------------------- */

void
spooling_show_health(struct bh_host *h)
{
    struct bh_spool_loss lost;
    h->o.health = h->o.run == h->run ? h->health : h->old_health;
    h->o.health.size = sizeof h->o.health;
    if (h->spool != NULL && h->o.run != NULL &&
        bh_spool_lost(h->spool, h->o.run->start_ns, &lost)) {
        bh_gap_add(&h->o.health, BH_GAP_QUEUE, lost.first_ns, lost.last_ns, lost.rows);
    }
}

void
spooling_note(struct bh_host *h)
{
    const struct bh_spool_block block = { .kind = BH_SPOOL_NOTE,
                                          .start_ns = h->run->start_ns,
                                          .data = (const uint8_t *)&h->health,
                                          .size = sizeof h->health };
    if (bh_spool_octets(h->spool) > 0 && head(h)) {
        bh_ignore((int)written(h, bh_spool_add(h->spool, &block, false)));
    }
}

static bool
take_health(struct bh_host *h, const struct bh_spool_block *b)
{
    struct bh_output_health health;
    if (b->size != sizeof health) {
        return false;
    }
    memcpy(&health, b->data, sizeof health);
    bool good = health.gap_count <= BH_OUTPUT_GAPS_MAX;
    for (uint32_t k = 0; good && k < health.gap_count; k++) {
        good = health.gap[k].kind < BH_GAP_KINDS && health.gap[k].end_ns >= health.gap[k].start_ns;
    }
    if (good) {
        h->old_health = health;
        h->dirty = true;
        spooling_show_health(h);
    }
    return good;
}

/* ---- from disk -------------------------------------------------------------------------------------------------------------- */

/* Everything of the module's run is durable, or was refused. */
static int
close_run(struct bh_host *h)
{
    uint64_t number = 0;
    if (h->o.run == NULL) {
        return 0;
    }
    if (h->o.module->when == BH_OUTPUT_AT_ONCE && h->o.module->settle != NULL &&
        h->taken > h->settled) {
        h->settled = h->taken;
        bh_ignore(h->o.module->settle(&h->o, h->settled)); /* it was said */
    }
    const int r = bh_host_flush(h, &number);
    return r == BH_EAGAIN || (r == 0 && number < h->taken) ? BH_EAGAIN : 0;
}

static int
take_heading(struct bh_host *h, const struct bh_spool_block *b)
{
    struct bh_output_run *run = run_unpack(b->data, b->size, b->start_ns);
    int r = 0;
    if (run == NULL || (h->o.run != NULL && spooling_same_run(h->o.run, run))) {
        free(run); /* no heading of ours: then its batches are nobody's */
        return 0;
    }
    r = close_run(h);
    if (r == 0 && h->run != NULL && spooling_same_run(h->run, run)) {
        free(run);
        bh_ignore(host_begin(h, h->run)); /* it was said; what it refuses then is counted */
    } else if (r == 0) {
        run->countries = h->run != NULL ? h->run->countries : h->countries;
        bh_ignore(host_begin(h, run)); /* the same */
    } else {
        free(run);
    }
    return r;
}

static int
take_batch(struct bh_host *h, const struct bh_spool_block *block)
{
    struct bh_batch *b = h->unpacked;
    if (h->o.run == NULL || h->o.run->start_ns != block->start_ns ||
        !bh_batch_unpack(b, block->data, block->size) || b->rows == 0) {
        add(&h->o.counters->failed_rows, block->rows);
        return 0;
    }
    memset(b->connection, 0, b->rows * sizeof *b->connection);
    memset(b->country, 0, b->rows * sizeof *b->country);
    return host_hand_out(h, b, block->number, true) == BH_EAGAIN ? BH_EAGAIN : 0;
}

/* AT_ONCE: those whose verdicts are open, and that never were on disk. */
static int
hand_held(struct bh_host *h)
{
    struct waiting *w = h->held.first;
    struct bh_batch *b = h->unpacked;
    uint64_t access = w->first_access;
    if (bh_batch_unpack(b, w->octets, w->size)) {
        for (uint32_t i = 0; i < b->rows; i++) {
            b->connection[i] = (uint32_t)access;
            access += host_is_tcp_access(b, i);
        }
        if (host_hand_out(h, b, w->number, false) == BH_EAGAIN) {
            return BH_EAGAIN;
        }
        bh_ignore(host_keep(h, &h->settles, NULL, w->number, w->first_access,
                            w->end_access)); /* no memory: with the next */
    }
    h->held_bytes -= sizeof *w + w->size;
    atomic_fetch_sub_explicit(&h->o.counters->held_rows, w->rows, memory_order_relaxed);
    list_drop(&h->held);
    return 1;
}

/* Nothing waits on disk. 0: batches go directly again. */
static int
come_back(struct bh_host *h)
{
    if (h->run == NULL) {
        return 0;
    }
    if (h->o.run != h->run) {
        if (close_run(h) != 0) {
            return BH_EAGAIN;
        }
        bh_ignore(host_begin(h, h->run)); /* it was said */
    }
    if (h->o.module->when == BH_OUTPUT_AT_ONCE && h->held.first != NULL) {
        return hand_held(h);
    }
    h->away = h->said_lost = false;
    if (h->said_away) {
        say(h, BH_SAY_NOTE, h->spool_dir, "is empty again", "は空になりました");
    }
    h->said_away = false;
    return 0;
}

int
bh_host_catch_up(struct bh_host *h)
{
    struct bh_spool_block b;
    int r = 0;
    if (!h->away) {
        return 0;
    }
    if (!bh_spool_next(h->spool, &b)) {
        count(h);
        return come_back(h);
    }
    switch (b.kind) {
    case BH_SPOOL_HEADING:
        r = take_heading(h, &b);
        break;
    case BH_SPOOL_NOTE:
        bh_ignore((int)(h->o.run != h->run && h->o.run != NULL &&
                        h->o.run->start_ns == b.start_ns && take_health(h, &b)));
        break;
    case BH_SPOOL_BATCH:
        r = take_batch(h, &b);
        break;
    default:
        break; /* of a later version */
    }
    if (r == BH_EAGAIN) {
        return r;
    }
    bh_spool_step(h->spool);
    count(h);
    return 1;
}

/* ---- the rest ------------------------------------------------------------------------------------------------------------------ */

void
bh_host_make_way(struct bh_host *h)
{
    if (h->run != NULL && !h->away) {
        bh_ignore((int)spooling_go_away(h)); /* no spool, no room: as before */
    }
}

uint64_t
bh_host_spooled(const struct bh_host *h)
{
    return h->spool == NULL || h->run == NULL ? 0 : bh_spool_end(h->spool, h->run->start_ns);
}

bool
spooling_is_repeat(const struct bh_host *h, uint64_t number)
{
    return h->spool != NULL && number < h->spooled_end;
}

void
spooling_tick(struct bh_host *h, int64_t now_ns)
{
    if (h->spool == NULL) {
        return;
    }
    for (unsigned k = 0; k < STEPS && now_ns != 0 && bh_host_catch_up(h) == 1; k++) {
    }
    /* A burst that went to disk and is gone a second later is not worth a line. */
    h->away_ns = !h->away ? 0 : h->away_ns == 0 ? now_ns : h->away_ns;
    if (h->away && !h->said_away && now_ns - h->away_ns >= SAY_NS) {
        h->said_away = true;
        say(h, BH_SAY_WARNING, h->spool_dir, "holds what the output does not take now",
            "に、出力がいま受け取れない記録を置いています");
    }
    if (h->away && h->run != NULL &&
        now_ns - h->note_ns >= NOTE_NS) { /* who ends without a word leaves this */
        h->note_ns = now_ns;
        spooling_note(h);
    }
    if (now_ns - h->sync_ns >= SYNC_NS) {
        h->sync_ns = now_ns;
        bh_ignore(bh_spool_sync(h->spool)); /* a power cut may take it */
    }
    count(h);
}
