/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The work on batches: alone, held back, or shared by threads.
 *
 * Threads share by remote address. Each worker does two jobs in turn: it reads a chunk of
 * frames and deals them to the shards by their remote address, which takes a look at the
 * addresses only; and it decodes the frames of its own shard and works on the rows, chunk by
 * chunk in stream order. All that happens between us and
 * one remote address is then seen by one tracker in order, so verdicts and counts are those of
 * one thread, and merging is adding. The walk over record headers is the one serial part (a
 * tenth); a chunk begins only where record lengths led. Waiting is on a condition, never a
 * spin: a busy neighbour costs its share and no more.
 */
#include "run_priv.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* Layer counts of fragmented datagrams, as other decoders count them. */
void
work_join_fragments(struct shard *s, struct bh_batch *b)
{
    if (BH_LIKELY(b->fragment_rows == 0)) {
        return;
    }
    if (s->fragments == NULL) {
        s->fragments = bh_fragments_new();
    }
    if (s->fragments != NULL) {
        bh_fragments_apply(s->fragments, b);
    }
}

void
work_batch(struct shard *s, struct bh_batch *b)
{
    const struct bh_move *moves;
    work_join_fragments(s, b);
    bool before = bh_track_is_two_sided(s->track);
    bh_track_classify(s->track, b);
    if (!before && bh_track_is_two_sided(s->track)) {
        bh_tally_two_sided(&s->tally, 1); /* alone: a team is told ahead */
    }
    bh_tally_sources(s->tally, b);
    size_t n = bh_track_flows(s->track, b, &moves);
    bh_tally_counts(s->tally, b, moves, n);
}

/* Out of a log: what lib/track decides stands in the records. */
static void
decided_batch(struct shard *s, struct bh_batch *b)
{
    bh_tally_sources(s->tally, b);
    bh_tally_counts(s->tally, b, NULL, 0);
}

/* ---- held back ----------------------------------------------------------------------------------- */

static void
release_one(struct work *w)
{
    struct shard *s = &w->shard[0];
    struct hold *h = w->hold;
    struct bh_batch *b = h->batch[h->first];
    for (uint32_t i = 0; i < b->rows; i++) {
        bool decided = b->cls[i] == BH_CLASS_ACCESS && b->proto[i] == BH_PROTO_TCP;
        b->outcome[i] = decided ? (uint8_t)bh_track_verdict(s->track, b->connection[i], b->ts_ns[i])
                                : (uint8_t)BH_OUTCOME_NONE;
    }
    bh_tally_sources(s->tally, b);
    bh_tally_counts(s->tally, b, NULL, 0);
    h->first = (h->first + 1) % HELD_MAX;
    h->count--;
}

static int64_t
newest_of(const struct bh_batch *b)
{
    return b->rows == 0 ? INT64_MIN : b->ts_ns[b->rows - 1];
}

static bool
is_open(const struct bh_batch *b, int64_t now)
{
    const int64_t newest = newest_of(b);
    return now <= newest || (uint64_t)now - (uint64_t)newest <= 30000000000ULL;
}

static int
hold_batch(struct work *w, struct bh_batch **b)
{
    struct hold *h = w->hold;
    const struct bh_move *moves;
    struct shard *s = &w->shard[0];
    work_join_fragments(s, *b);
    bh_track_classify(s->track, *b);
    memset((*b)->counted, 1, (*b)->rows);
    memset((*b)->country, 0, (*b)->rows * sizeof *(*b)->country);
    bh_track_flows(s->track, *b, &moves);
    int64_t now = newest_of(*b);
    while (h->count > 0 && (h->count == HELD_MAX || !is_open(h->batch[h->first], now))) {
        h->early += is_open(h->batch[h->first], now) ? h->batch[h->first]->rows : 0;
        release_one(w);
    }
    size_t at = (h->first + h->count++) % HELD_MAX;
    struct bh_batch *free_one = h->batch[at] != NULL ? h->batch[at] : bh_batch_new();
    h->batch[at] = *b;
    *b = free_one;
    return free_one == NULL ? -ENOMEM : 0;
}

/* Moves that came with the last news ("the view is two-sided") and wait for a next batch. */
int
work_settle(struct work *w)
{
    struct bh_batch *b = bh_batch_new();
    for (unsigned s = 0; b != NULL && w->hold == NULL && !w->decided && s < w->shards; s++) {
        work_batch(&w->shard[s], b);
    }
    bh_batch_free(b);
    return b == NULL ? -ENOMEM : 0;
}

int
work_alone(struct work *w)
{
    struct bh_batch *b = bh_batch_new();
    int r = b == NULL ? -ENOMEM : 0;
    /* what is held is looked up much later */
    w->feed->asks = w->hold == NULL ? w->shard[0].tally : NULL;
    while (r == 0 && feed_next(w->feed, &b)) {
        if (w->decided) {
            decided_batch(&w->shard[0], b);
        } else if (w->hold != NULL) {
            r = hold_batch(w, &b);
        } else {
            work_batch(&w->shard[0], b);
        }
    }
    while (r == 0 && w->hold != NULL && w->hold->count > 0) {
        release_one(w);
    }
    bh_batch_free(b);
    return r != 0 ? r : w->feed->failed;
}

/* ---- together ------------------------------------------------------------------------------------- */

#define CHUNK_BLOCKS 4U
#define CALL_BATCHES (BH_TRACK_CALLS / BH_BATCH_ROWS)
#define CHUNKS 6U

enum chunk_state { CHUNK_FREE, CHUNK_DEALING, CHUNK_READY };

struct chunk {
    enum chunk_state state;
    uint64_t sequence;
    unsigned pending; /* shards that have not worked on it yet */
    struct bh_frames *frames[CHUNK_BLOCKS];
    unsigned blocks;
    struct bh_frames *dealt[SHARDS_MAX][CHUNK_BLOCKS]; /* the same frames, by shard */
    struct bh_batch *ahead;                            /* instead of frames: read ahead */
    struct bh_batch *rows[SHARDS_MAX];                 /* its rows, by shard            */
    /* what we sent to broadcast and multicast: every shard must know */
    struct bh_batch *calls[CALL_BATCHES];
    uint32_t calls_lost; /* more than that                                                 */
    int64_t first_ours_ns;
};

struct team {
    struct work *w;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct chunk chunk[CHUNKS];
    uint64_t next_read, next_of[SHARDS_MAX];
    bool began_two_sided; /* known from reading ahead */
    bool two_sided;
    bool ended;
    int failed;
};

struct worker {
    struct team *team;
    unsigned shard;
    struct bh_batch *peeked;
    struct bh_batch *scratch;
    uint8_t shard_of[BH_BATCH_STRIDE];
};

static int
make_batch(struct bh_batch **b)
{
    if (*b == NULL && (*b = bh_batch_new()) == NULL) {
        return -ENOMEM;
    }
    bh_batch_reset(*b);
    return 0;
}

static void
note_call(struct chunk *c, const struct bh_batch *b, uint16_t row)
{
    for (unsigned k = 0; k < CALL_BATCHES; k++) {
        if (bh_batch_take_rows(c->calls[k], b, &row, 1) == 1) {
            return;
        }
    }
    c->calls_lost++;
}

/* Whose row each is, and when the first of ours was sent. */
static void
find_shards(struct worker *me, struct chunk *c, const struct bh_batch *b)
{
    const struct work *w = me->team->w;
    if (!me->team->began_two_sided) {
        int64_t ours = bh_track_first_ours(w->home, b);
        c->first_ours_ns = ours < c->first_ours_ns ? ours : c->first_ours_ns;
    }
    bh_track_shard(w->home, b, w->shards, me->shard_of);
}

static int
deal_ahead(struct worker *me, struct chunk *c)
{
    const struct bh_batch *b = c->ahead;
    find_shards(me, c, b);
    for (unsigned s = 0; s < me->team->w->shards; s++) {
        uint16_t rows[BH_BATCH_STRIDE];
        uint32_t n = 0;
        for (uint32_t i = 0; i < b->rows; i++) {
            const bool all = me->shard_of[i] == BH_SHARD_ALL;
            if (all && s == 0) { /* counted by one; the others only learn of it */
                note_call(c, b, (uint16_t)i);
            }
            rows[n] = (uint16_t)i;
            n += (all ? 0 : me->shard_of[i]) == s;
        }
        if (make_batch(&c->rows[s]) != 0) {
            return -ENOMEM;
        }
        bh_batch_take_rows(c->rows[s], b, rows, n);
    }
    return 0;
}

/* A frame that goes to broadcast or multicast, decoded for the sake of the other shards. */
static void
note_call_of(struct worker *me, struct chunk *c, const struct bh_frames *frames, uint32_t at)
{
    bh_batch_reset(me->scratch);
    bh_packet_decode_some(&me->team->w->feed->decoder, frames, &at, 1, me->scratch);
    note_call(c, me->scratch, 0);
}

/* Frames are dealt, not rows: who decodes them works on them, so that a row is written once. */
static int
deal_block(struct worker *me, struct chunk *c, unsigned block)
{
    const struct bh_frames *from = c->frames[block];
    struct bh_frames *to[SHARDS_MAX];
    for (unsigned s = 0; s < me->team->w->shards; s++) {
        struct bh_frames **dealt = &c->dealt[s][block];
        if (*dealt == NULL && (*dealt = bh_frames_new()) == NULL) {
            return -ENOMEM;
        }
        to[s] = *dealt;
        to[s]->count = 0;
    }
    for (uint32_t at = 0; at < from->count;) {
        const uint32_t first = at;
        bh_batch_reset(me->peeked);
        bh_packet_peek(&me->team->w->feed->decoder, from, &at, me->peeked);
        find_shards(me, c, me->peeked);
        for (uint32_t i = 0; i < at - first; i++) {
            unsigned s = me->shard_of[i];
            if (BH_UNLIKELY(s == BH_SHARD_ALL)) {
                note_call_of(me, c, from, first + i);
                s = 0;
            }
            to[s]->frame[to[s]->count++] = from->frame[first + i];
        }
    }
    return 0;
}

/* Nobody else touches the chunk meanwhile. */
static int
deal_chunk(struct worker *me, struct chunk *c)
{
    if (c->ahead != NULL) {
        return deal_ahead(me, c);
    }
    int r = 0;
    for (unsigned k = 0; k < c->blocks && r == 0; k++) {
        r = deal_block(me, c, k);
    }
    return r;
}

/* With the lock: the next frames into a free chunk. False when there are none. */
static bool
read_chunk(struct team *t, struct chunk *c)
{
    struct feed *f = t->w->feed;
    c->blocks = 0;
    bh_batch_free(c->ahead);
    c->ahead = NULL;
    if (feed_has_ahead(f)) {
        c->ahead = bh_batch_new();
        if (c->ahead == NULL) {
            t->failed = -ENOMEM;
            return false;
        }
        return feed_next(f, &c->ahead);
    }
    if (f->frame_at < f->frames->count) { /* what reading ahead left over */
        struct bh_frames *left = f->frames;
        memmove(left->frame, left->frame + f->frame_at,
                (left->count - f->frame_at) * sizeof *left->frame);
        left->count -= f->frame_at;
        f->frame_at = 0;
        f->frames = c->frames[0];
        f->frames->count = 0;
        c->frames[0] = left;
        c->blocks = 1;
    }
    while (c->blocks < CHUNK_BLOCKS && feed_frames(f, c->frames[c->blocks])) {
        c->blocks++;
    }
    return c->blocks > 0;
}

static struct chunk *
find_chunk(struct team *t, enum chunk_state state, uint64_t sequence)
{
    for (unsigned k = 0; k < CHUNKS; k++) {
        if (t->chunk[k].state == state &&
            (state == CHUNK_FREE || t->chunk[k].sequence == sequence)) {
            return &t->chunk[k];
        }
    }
    return NULL;
}

static void
work_chunk(struct worker *me, struct chunk *c)
{
    struct shard *s = &me->team->w->shard[me->shard];
    if (me->shard > 0 && c->calls[0]->rows > 0) {
        bh_track_calls(s->track, c->calls, CALL_BATCHES);
    }
    if (c->ahead != NULL) {
        work_batch(s, c->rows[me->shard]);
    }
    for (unsigned k = 0; k < c->blocks; k++) {
        const struct bh_frames *frames = c->dealt[me->shard][k];
        for (uint32_t at = 0; at < frames->count;) {
            bh_batch_reset(me->scratch);
            decode_slices(&me->team->w->feed->decoder, frames, &at, s->tally, me->scratch);
            work_batch(s, me->scratch);
        }
    }
}

/* With the lock. The first packet of ours is in this chunk: what was counted before it is one thing,
 * what comes from here on another, for all shards. False while some shard has not come so far. */
static bool
turn_two_sided(struct team *t, const struct chunk *c)
{
    struct work *w = t->w;
    struct bh_tally *tallies[SHARDS_MAX];
    for (unsigned s = 0; s < w->shards; s++) {
        if (t->next_of[s] != c->sequence) {
            return false;
        }
        tallies[s] = w->shard[s].tally;
    }
    for (unsigned s = 0; s < w->shards; s++) {
        bh_track_two_sided(w->shard[s].track, c->first_ours_ns);
    }
    bh_tally_two_sided(tallies, w->shards);
    t->two_sided = true;
    pthread_cond_broadcast(&t->changed);
    return true;
}

/* With the lock: the chunk this worker's shard has to work on, when it may. */
static struct chunk *
next_chunk(struct worker *me)
{
    struct team *t = me->team;
    struct chunk *c = find_chunk(t, CHUNK_READY, t->next_of[me->shard]);
    const bool turns = c != NULL && !t->two_sided && c->first_ours_ns != INT64_MAX;
    return turns && !turn_two_sided(t, c) ? NULL : c;
}

static void *
worker_run(void *arg)
{
    struct worker *me = arg;
    struct team *t = me->team;
    pthread_mutex_lock(&t->lock);
    while (t->failed == 0) {
        struct chunk *c = next_chunk(me);
        if (c != NULL) {
            pthread_mutex_unlock(&t->lock);
            work_chunk(me, c);
            pthread_mutex_lock(&t->lock);
            t->next_of[me->shard]++;
            if (--c->pending == 0) {
                c->state = CHUNK_FREE;
                pthread_cond_broadcast(&t->changed);
            }
            continue;
        }
        if (t->ended && t->next_of[me->shard] == t->next_read) {
            break;
        }
        c = t->ended ? NULL : find_chunk(t, CHUNK_FREE, 0);
        if (c == NULL) {
            pthread_cond_wait(&t->changed, &t->lock);
            continue;
        }
        if (!read_chunk(t, c)) {
            t->ended = true;
            pthread_cond_broadcast(&t->changed);
            continue;
        }
        c->state = CHUNK_DEALING;
        c->sequence = t->next_read++;
        c->pending = t->w->shards;
        c->first_ours_ns = INT64_MAX;
        c->calls_lost = 0;
        for (unsigned k = 0; k < CALL_BATCHES; k++) {
            bh_batch_reset(c->calls[k]);
        }
        pthread_mutex_unlock(&t->lock);
        int r = deal_chunk(me, c);
        pthread_mutex_lock(&t->lock);
        t->failed = r != 0 ? r : t->failed;
        t->w->calls_lost += c->calls_lost;
        c->state = CHUNK_READY;
        pthread_cond_broadcast(&t->changed);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static void
team_done(struct team *t)
{
    for (unsigned k = 0; k < CHUNKS; k++) {
        struct chunk *c = &t->chunk[k];
        bh_batch_free(c->ahead);
        for (unsigned i = 0; i < CALL_BATCHES; i++) {
            bh_batch_free(c->calls[i]);
        }
        for (unsigned i = 0; i < CHUNK_BLOCKS; i++) {
            bh_frames_free(c->frames[i]);
        }
        for (unsigned s = 0; s < SHARDS_MAX; s++) {
            bh_batch_free(c->rows[s]);
            for (unsigned i = 0; i < CHUNK_BLOCKS; i++) {
                bh_frames_free(c->dealt[s][i]);
            }
        }
    }
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->changed);
    free(t);
}

int
work_together(struct work *w)
{
    struct team *t = calloc(1, sizeof *t);
    struct worker *worker = calloc(w->shards, sizeof *worker);
    pthread_t thread[SHARDS_MAX];
    if (t == NULL || worker == NULL) {
        free(t);
        free(worker);
        return -ENOMEM;
    }
    t->w = w;
    t->began_two_sided = t->two_sided = bh_track_is_two_sided(w->shard[0].track);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    for (unsigned k = 0; k < CHUNKS * CALL_BATCHES; k++) {
        struct bh_batch *b = bh_batch_new();
        t->chunk[k / CALL_BATCHES].calls[k % CALL_BATCHES] = b;
        t->failed = b == NULL ? -ENOMEM : t->failed;
    }
    for (unsigned k = 0; k < CHUNKS * CHUNK_BLOCKS; k++) {
        struct bh_frames *f = bh_frames_new();
        t->chunk[k / CHUNK_BLOCKS].frames[k % CHUNK_BLOCKS] = f;
        t->failed = f == NULL ? -ENOMEM : t->failed;
    }
    unsigned started = 0;
    for (; started < w->shards; started++) {
        worker[started].team = t;
        worker[started].shard = started;
        worker[started].scratch = bh_batch_new();
        worker[started].peeked = bh_batch_new();
        if (worker[started].scratch == NULL || worker[started].peeked == NULL) {
            t->failed = -ENOMEM;
            break;
        }
        if (started > 0 &&
            pthread_create(&thread[started], NULL, worker_run, &worker[started]) != 0) {
            pthread_mutex_lock(&t->lock);
            t->failed = -EAGAIN;
            pthread_mutex_unlock(&t->lock);
            break;
        }
    }
    worker_run(&worker[0]);
    for (unsigned k = 1; k < started; k++) {
        pthread_join(thread[k], NULL);
    }
    for (unsigned k = 0; k < w->shards; k++) {
        bh_batch_free(worker[k].scratch);
        bh_batch_free(worker[k].peeked);
    }
    int r = t->failed != 0 ? t->failed : w->feed->failed;
    team_done(t);
    free(worker);
    return r;
}
