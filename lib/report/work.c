/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The work on batches: alone, held back, or shared by threads.
 *
 * Threads share by remote address. Each worker does two jobs in turn: it reads and decodes a
 * chunk of frames and deals the rows to the shards by their remote address, and it works on
 * the rows of its own shard, chunk by chunk in stream order. All that happens between us and
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
        bh_tally_two_sided(s->tally);
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
        b->outcome[i] = decided ? (uint8_t)bh_track_verdict(s->track, b->connection[i], b->ts_ns[i]) : (uint8_t)BH_OUTCOME_NONE;
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
/* Batches of one shard in one chunk, at most: a new one begins with each decoded batch that could
 * overfill the quotes (after BH_BATCH_QUOTES errors a decoded batch ends early), and with each that
 * is full. */
#define BATCHES_OF_SHARD (CHUNK_BLOCKS * (BH_BATCH_ROWS / BH_BATCH_QUOTES) + CHUNK_BLOCKS + 1)
#define CHUNKS 6U

enum chunk_state { CHUNK_FREE, CHUNK_DECODING, CHUNK_READY };

struct chunk {
    enum chunk_state state;
    uint64_t sequence;
    unsigned pending; /* shards that have not worked on it yet */
    struct bh_frames *frames[CHUNK_BLOCKS];
    unsigned blocks;
    struct bh_batch *ahead; /* instead of frames */
    struct bh_batch *batch[SHARDS_MAX][BATCHES_OF_SHARD];
    unsigned batches[SHARDS_MAX];
    struct bh_batch *calls; /* what we sent to broadcast and multicast: every shard must know */
    uint32_t calls_lost;    /* more than a batch of them                                      */
    int64_t first_ours_ns;
};

struct team {
    struct work *w;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct chunk chunk[CHUNKS];
    uint64_t next_read, next_of[SHARDS_MAX];
    bool ended;
    int failed;
};

struct worker {
    struct team *team;
    unsigned shard;
    struct bh_batch *scratch;
    uint8_t shard_of[BH_BATCH_STRIDE];
    uint16_t rows[SHARDS_MAX][BH_BATCH_STRIDE];
};

static int
give_rows(struct chunk *c, unsigned shard, const struct bh_batch *from, const uint16_t *rows, uint32_t n)
{
    while (n > 0) {
        unsigned at = c->batches[shard];
        if (at > 0 && c->batch[shard][at - 1]->rows < BH_BATCH_ROWS &&
            c->batch[shard][at - 1]->quote_rows + from->quote_rows <= BH_BATCH_QUOTES) {
            at--;
        } else {
            if (at == BATCHES_OF_SHARD) {
                return -ENOBUFS;
            }
            if (c->batch[shard][at] == NULL && (c->batch[shard][at] = bh_batch_new()) == NULL) {
                return -ENOMEM;
            }
            bh_batch_reset(c->batch[shard][at]);
            c->batches[shard]++;
        }
        uint32_t took = bh_batch_take_rows(c->batch[shard][at], from, rows, n);
        rows += took;
        n -= took;
    }
    return 0;
}

static int
deal(struct worker *me, struct chunk *c, const struct bh_batch *b)
{
    const struct work *w = me->team->w;
    uint32_t n[SHARDS_MAX] = { 0 };
    int64_t ours = bh_track_first_ours(w->home, b);
    c->first_ours_ns = ours < c->first_ours_ns ? ours : c->first_ours_ns;
    bh_track_shard(w->home, b, w->shards, me->shard_of);
    for (uint32_t i = 0; i < b->rows; i++) {
        unsigned s = me->shard_of[i];
        if (BH_UNLIKELY(s == BH_SHARD_ALL)) {
            uint16_t row = (uint16_t)i;
            c->calls_lost += bh_batch_take_rows(c->calls, b, &row, 1) == 0;
            s = 0; /* counted by one; the others only learn of it */
        }
        me->rows[s][n[s]++] = (uint16_t)i;
    }
    for (unsigned s = 0; s < w->shards; s++) {
        int r = give_rows(c, s, b, me->rows[s], n[s]);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

/* Decode and deal one chunk; nobody else touches it meanwhile. */
static int
decode_chunk(struct worker *me, struct chunk *c)
{
    int r = 0;
    if (c->ahead != NULL) {
        return deal(me, c, c->ahead);
    }
    for (unsigned k = 0; k < c->blocks && r == 0; k++) {
        uint32_t at = 0;
        while (at < c->frames[k]->count && r == 0) {
            bh_batch_reset(me->scratch);
            me->scratch->want = me->team->w->feed->decoder.want;
            bh_packet_decode(&me->team->w->feed->decoder, c->frames[k], &at, me->scratch);
            r = deal(me, c, me->scratch);
        }
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
        memmove(left->frame, left->frame + f->frame_at, (left->count - f->frame_at) * sizeof *left->frame);
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
        if (t->chunk[k].state == state && (state == CHUNK_FREE || t->chunk[k].sequence == sequence)) {
            return &t->chunk[k];
        }
    }
    return NULL;
}

static void
work_chunk(struct worker *me, struct chunk *c)
{
    struct shard *s = &me->team->w->shard[me->shard];
    if (c->first_ours_ns != INT64_MAX && !bh_track_is_two_sided(s->track)) {
        bh_track_two_sided(s->track, c->first_ours_ns);
        bh_tally_two_sided(s->tally);
    }
    if (me->shard > 0 && c->calls->rows > 0) {
        bh_track_calls(s->track, c->calls);
    }
    for (unsigned k = 0; k < c->batches[me->shard]; k++) {
        work_batch(s, c->batch[me->shard][k]);
    }
}

static void *
worker_run(void *arg)
{
    struct worker *me = arg;
    struct team *t = me->team;
    pthread_mutex_lock(&t->lock);
    for (;;) {
        struct chunk *c = find_chunk(t, CHUNK_READY, t->next_of[me->shard]);
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
        if (t->failed != 0 || (t->ended && t->next_of[me->shard] == t->next_read)) {
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
        c->state = CHUNK_DECODING;
        c->sequence = t->next_read++;
        c->pending = t->w->shards;
        c->first_ours_ns = INT64_MAX;
        c->calls_lost = 0;
        memset(c->batches, 0, sizeof c->batches);
        bh_batch_reset(c->calls);
        pthread_mutex_unlock(&t->lock);
        int r = decode_chunk(me, c);
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
        bh_batch_free(c->calls);
        for (unsigned i = 0; i < CHUNK_BLOCKS; i++) {
            bh_frames_free(c->frames[i]);
        }
        for (unsigned s = 0; s < SHARDS_MAX; s++) {
            for (unsigned i = 0; i < BATCHES_OF_SHARD; i++) {
                bh_batch_free(c->batch[s][i]);
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
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    for (unsigned k = 0; k < CHUNKS; k++) {
        t->chunk[k].calls = bh_batch_new();
        t->failed = t->chunk[k].calls == NULL ? -ENOMEM : t->failed;
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
        if (worker[started].scratch == NULL) {
            t->failed = -ENOMEM;
            break;
        }
        if (started > 0 && pthread_create(&thread[started], NULL, worker_run, &worker[started]) != 0) {
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
    }
    int r = t->failed != 0 ? t->failed : w->feed->failed;
    team_done(t);
    free(worker);
    return r;
}
