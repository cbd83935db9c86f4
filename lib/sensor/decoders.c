/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads of capture: blocks of frames are read and judged one after another by who calls, and decoded by whoever is
 * free, the caller too. So records, verdicts and their order do not depend on how many there are.
 *
 * Blocks lie in a ring of places: first .. first + count were read. The caller reads ahead as far as there are places,
 * then wants the first one decoded: it decodes what nobody has begun, that one before all others, and waits only when
 * all of them are in hands. With one block at a time, as when little comes, nobody is woken.
 *
 * A thread can do no more than the process: each confines itself before the first block (confine.c). It opens nothing,
 * makes no memory, and takes no signal.
 */
#include "sensor_priv.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    BLOCKS_EACH = 8
}; /* some thousand frames: whoever is awake need not sleep between two blocks */
enum state { BLOCK_FREE, BLOCK_READ, BLOCK_TAKEN, BLOCK_DECODED };

struct place {
    struct decoders_block block; /* first */
    enum state state;
};

struct decoders {
    const struct sensor *s;
    struct bh_decoder decoder;
    unsigned threads; /* with the caller */
    struct place *place;
    unsigned places, first, count;
    pthread_mutex_t lock; /* of all below, and of states */
    pthread_cond_t is_read, is_decoded;
    unsigned idle; /* threads that wait for a block */
    unsigned ready, failed;
    struct bh_error error; /* of the first that failed */
};

static void
decode(const struct decoders *c, struct decoders_block *b)
{
    b->at = 0;
    bh_batch_reset(b->batch);
    bh_packet_decode(&c->decoder, b->frames, &b->at, b->batch);
}

/* The oldest that nobody has begun; NULL: there is none. */
static struct place *
find_read(struct decoders *c)
{
    for (unsigned k = 0; k < c->count; k++) {
        struct place *p = &c->place[(c->first + k) % c->places];
        if (p->state == BLOCK_READ) {
            return p;
        }
    }
    return NULL;
}

/* With the lock, which it leaves in between. */
static void
decode_unlocked(struct decoders *c, struct place *p)
{
    p->state = BLOCK_TAKEN;
    pthread_mutex_unlock(&c->lock);
    decode(c, &p->block);
    pthread_mutex_lock(&c->lock);
    p->state = BLOCK_DECODED;
}

static void *
run(void *arg)
{
    struct decoders *c = arg;
    struct bh_error err = { 0 };
    _Atomic uint32_t confined;
    const int r = confine_role(c->s, ROLE_CAPTURE, NULL, &confined, &err);
    pthread_mutex_lock(&c->lock);
    c->error = r != 0 && c->failed == 0 ? err : c->error;
    c->failed += r != 0;
    c->ready++;
    pthread_cond_signal(&c->is_decoded);
    while (r == 0) {
        struct place *p = find_read(c);
        if (p == NULL) {
            c->idle++;
            pthread_cond_wait(&c->is_read, &c->lock);
            c->idle--;
            continue;
        }
        decode_unlocked(c, p);
        pthread_cond_signal(&c->is_decoded);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static int
start_threads(struct decoders *c, struct bh_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = 0;
    unsigned started = 0;
    for (; r == 0 && started + 1 < c->threads; started += r == 0) {
        pthread_t t;
        r = pthread_create(&t, NULL, run, c);
        if (r == 0) {
            pthread_detach(t); /* they end with the process */
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_mutex_lock(&c->lock);
    while (c->ready < started) {
        pthread_cond_wait(&c->is_decoded, &c->lock);
    }
    const bool failed = c->failed > 0;
    pthread_mutex_unlock(&c->lock);
    if (failed) {
        *err = c->error;
        return err->code;
    }
    return r == 0 ? 0
                  : bh_error_errno(err, r, "capture", "cannot start a thread",
                                   "スレッドを開始できません");
}

/* Lives as long as the process: threads look at it. */
int
decoders_new(const struct sensor *s, struct decoders **ret_decoders, struct bh_error *err)
{
    const unsigned threads = s->config->threads > 1 ? s->config->threads : 1;
    struct decoders *c = calloc(1, sizeof *c);
    bool all = c != NULL;
    if (all) {
        c->s = s;
        c->threads = threads;
        c->decoder.want = BH_WANT_COLD;
        c->places = threads > 1 ? BLOCKS_EACH * threads : 1;
        c->place = calloc(c->places, sizeof *c->place);
        all = c->place != NULL;
    }
    for (unsigned k = 0; all && k < c->places; k++) {
        struct decoders_block *b = &c->place[k].block;
        b->frames = bh_frames_new();
        b->batch = bh_batch_new();
        all = b->frames != NULL && b->batch != NULL;
    }
    if (!all) {
        return bh_error_errno(err, ENOMEM, "capture", "cannot start", "開始できません");
    }
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->is_read, NULL);
    pthread_cond_init(&c->is_decoded, NULL);
    *ret_decoders = c;
    return threads > 1 ? start_threads(c, err) : 0;
}

/* Frames that are there, as far as there are places. */
static void
read_ahead(struct decoders *c)
{
    while (c->count < c->places) {
        struct place *p = &c->place[(c->first + c->count) % c->places];
        if (bh_live_read(c->s->live, BH_BATCH_ROWS, p->block.frames) == 0) {
            break;
        }
        bh_live_get_place(c->s->live, &p->block.after);
        pthread_mutex_lock(&c->lock);
        p->state = BLOCK_READ;
        c->count++;
        if (c->idle > 0 && c->count > 1) { /* one is for who calls */
            pthread_cond_signal(&c->is_read);
        }
        pthread_mutex_unlock(&c->lock);
    }
}

struct decoders_block *
decoders_next(struct decoders *c)
{
    read_ahead(c);
    if (c->count == 0) {
        return NULL;
    }
    struct place *p = &c->place[c->first];
    pthread_mutex_lock(&c->lock);
    while (p->state != BLOCK_DECODED) {
        struct place *other = find_read(c);
        if (other != NULL) {
            decode_unlocked(c, other);
        } else {
            pthread_cond_wait(&c->is_decoded, &c->lock);
        }
    }
    pthread_mutex_unlock(&c->lock);
    return &p->block;
}

bool
decoders_decode_rest(struct decoders *c, struct decoders_block *b)
{
    if (b->at >= b->frames->count) {
        return false;
    }
    bh_batch_reset(b->batch);
    bh_packet_decode(&c->decoder, b->frames, &b->at, b->batch);
    return true;
}

void
decoders_give(struct decoders *c)
{
    struct place *p = &c->place[c->first];
    bh_live_done(c->s->live, &p->block.after);
    pthread_mutex_lock(&c->lock);
    p->state = BLOCK_FREE;
    c->first = (c->first + 1) % c->places;
    c->count--;
    pthread_mutex_unlock(&c->lock);
}
