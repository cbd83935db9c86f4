/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A few threads that share the pieces of one job after another. Who asks works along, and goes on when all
 * pieces are done: so a job is a loop whose rounds do not know of each other, and what is made of them is put
 * together afterwards, in the order of the pieces - whoever did them.
 *
 * Threads are made at the first job of several pieces. A crew that cannot have them is smaller.
 */
#include "crew_priv.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct crew {
    pthread_mutex_t lock;
    pthread_cond_t asked, done;
    unsigned size, started;
    struct hand {
        struct crew *crew;
        pthread_t thread;
        unsigned number;
    } hand[CREW_MOST];
    bool is_tried, ends;
    /* the job */
    crew_fn *fn;
    void *arg;
    uint32_t pieces, next, left; /* left: pieces that are not done */
};

int
crew_new(unsigned threads, struct crew **ret)
{
    struct crew *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return -ENOMEM;
    }
    if (threads == 0) {
        const long processors = sysconf(_SC_NPROCESSORS_ONLN);
        threads = processors > 1 ? (unsigned)processors : 1;
    }
    c->size = threads < CREW_MOST ? threads : CREW_MOST;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->asked, NULL);
    pthread_cond_init(&c->done, NULL);
    *ret = c;
    return 0;
}

unsigned
crew_size(const struct crew *c)
{
    return c == NULL ? 1 : c->size;
}

/* With the lock: pieces until there are none to begin. */
static void
work(struct crew *c, unsigned number)
{
    while (c->next < c->pieces) {
        const uint32_t piece = c->next++;
        pthread_mutex_unlock(&c->lock);
        c->fn(c->arg, piece, number);
        pthread_mutex_lock(&c->lock);
        if (--c->left == 0) {
            pthread_cond_signal(&c->done);
        }
    }
}

static void *
hand_run(void *arg)
{
    struct hand *h = arg;
    struct crew *c = h->crew;
    pthread_mutex_lock(&c->lock);
    while (!c->ends) {
        work(c, h->number);
        pthread_cond_wait(&c->asked, &c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* Signals are for who asks. */
static void
start(struct crew *c)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (unsigned k = 1; k < c->size; k++) {
        c->hand[k] = (struct hand){ .crew = c, .number = k };
        if (pthread_create(&c->hand[k].thread, NULL, hand_run, &c->hand[k]) != 0) {
            break;
        }
        c->started = k;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    c->is_tried = true;
}

void
crew_run(struct crew *c, crew_fn *fn, void *arg, uint32_t pieces)
{
    if (c == NULL || c->size == 1 || pieces < 2) {
        for (uint32_t k = 0; k < pieces; k++) {
            fn(arg, k, 0);
        }
        return;
    }
    pthread_mutex_lock(&c->lock);
    c->fn = fn;
    c->arg = arg;
    c->pieces = c->left = pieces;
    c->next = 0;
    if (!c->is_tried) {
        start(c);
    }
    pthread_cond_broadcast(&c->asked);
    work(c, 0);
    while (c->left > 0) {
        pthread_cond_wait(&c->done, &c->lock);
    }
    pthread_mutex_unlock(&c->lock);
}

void
crew_free(struct crew *c)
{
    if (c == NULL) {
        return;
    }
    pthread_mutex_lock(&c->lock);
    c->ends = true;
    pthread_cond_broadcast(&c->asked);
    pthread_mutex_unlock(&c->lock);
    for (unsigned k = 1; k <= c->started; k++) {
        pthread_join(c->hand[k].thread, NULL);
    }
    pthread_cond_destroy(&c->done);
    pthread_cond_destroy(&c->asked);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
