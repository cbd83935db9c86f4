/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * storage.c - where the octets of files lie while blocks of frames point at them.
 *
 * Files are read straight into storages of some size each; a block of frames holds those its
 * frames lie in. The last one who lets go of a storage, whichever thread that is, puts it
 * back into the pool. One lock per pool: it is taken a few times per block of 1024 frames, so
 * an atomic count would save nothing that can be measured and cost a proof.
 */
#include "capture_priv.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

/* Free storages of the usual size kept for the next one: a few blocks' worth. */
#define POOL_FREE_MAX 16U

struct cap_pool {
    pthread_mutex_t lock;
    struct cap_storage *free_list;
    size_t free_count;
    size_t alive; /* storages taken and not given back */
    bool is_closed;
};

struct frames_hold {
    uint32_t count;
    struct cap_storage *storage[CAP_HOLD_MAX];
};

/* frame[0] begins a cache line, so that no frame of 32 octets lies in two of them. */
#define FRAMES_SHIFT (64U - offsetof(struct bh_frames, frame))

struct frames_block {
    _Alignas(64) uint8_t shift[FRAMES_SHIFT];
    struct bh_frames frames;
    struct frames_hold hold;
};

_Static_assert(offsetof(struct frames_block, frames.frame) % 64 == 0, "frames begin a line");
_Static_assert(sizeof(struct bh_frame) == 32, "two frames to a line");

struct bh_frames *
bh_frames_new(void)
{
    struct frames_block *b = aligned_alloc(64, sizeof *b);
    if (b == NULL) {
        return NULL;
    }
    b->frames.count = 0;
    b->frames.sequence = 0;
    b->frames.priv = &b->hold;
    b->hold.count = 0;
    return &b->frames;
}

void
bh_frames_free(struct bh_frames *f)
{
    if (f == NULL) {
        return;
    }
    bh_cap_frames_release(f);
    free((uint8_t *)f - offsetof(struct frames_block, frames));
}

void
bh_cap_frames_hold(struct bh_frames *f, struct cap_storage *s)
{
    struct frames_hold *h = f->priv;
    if (s == NULL) {
        return;
    }
    /* From the newest on: that is nearly always the one. */
    for (uint32_t i = h->count; i > 0; i--) {
        if (h->storage[i - 1] == s) {
            return;
        }
    }
    assert(h->count < CAP_HOLD_MAX);
    h->storage[h->count++] = s;
    pthread_mutex_lock(&s->pool->lock);
    s->holders++;
    pthread_mutex_unlock(&s->pool->lock);
}

uint32_t
bh_cap_frames_held(const struct bh_frames *f)
{
    const struct frames_hold *h = f->priv;
    return h->count;
}

void
bh_cap_frames_release(struct bh_frames *f)
{
    struct frames_hold *h = f->priv;
    while (h->count > 0) {
        bh_cap_storage_give(h->storage[--h->count]);
    }
    f->count = 0;
}

struct cap_pool *
bh_cap_pool_new(void)
{
    struct cap_pool *p = calloc(1, sizeof *p);
    if (p != NULL && pthread_mutex_init(&p->lock, NULL) != 0) {
        free(p);
        return NULL;
    }
    return p;
}

static void
pool_free(struct cap_pool *p)
{
    while (p->free_list != NULL) {
        struct cap_storage *s = p->free_list;
        p->free_list = s->next;
        free(s);
    }
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void
bh_cap_pool_close(struct cap_pool *p)
{
    if (p == NULL) {
        return;
    }
    pthread_mutex_lock(&p->lock);
    p->is_closed = true;
    bool is_last = p->alive == 0;
    pthread_mutex_unlock(&p->lock);
    if (is_last) {
        pool_free(p);
    }
}

struct cap_storage *
bh_cap_storage_take(struct cap_pool *p, size_t cap)
{
    struct cap_storage *s = NULL;

    pthread_mutex_lock(&p->lock);
    if (p->free_list != NULL && cap == CAP_STORAGE_SIZE) {
        s = p->free_list;
        p->free_list = s->next;
        p->free_count--;
        p->alive++;
    }
    pthread_mutex_unlock(&p->lock);
    if (s == NULL) {
        s = malloc(sizeof *s + cap);
        if (s == NULL) {
            return NULL;
        }
        s->pool = p;
        s->cap = cap;
        pthread_mutex_lock(&p->lock);
        p->alive++;
        pthread_mutex_unlock(&p->lock);
    }
    s->next = NULL;
    s->holders = 1;
    return s;
}

void
bh_cap_storage_give(struct cap_storage *s)
{
    if (s == NULL) {
        return;
    }
    struct cap_pool *p = s->pool;
    bool is_last_of_pool = false;

    pthread_mutex_lock(&p->lock);
    if (--s->holders > 0) {
        s = NULL;
    } else {
        p->alive--;
        is_last_of_pool = p->is_closed && p->alive == 0;
        if (!p->is_closed && s->cap == CAP_STORAGE_SIZE && p->free_count < POOL_FREE_MAX) {
            s->next = p->free_list;
            p->free_list = s;
            p->free_count++;
            s = NULL;
        }
    }
    pthread_mutex_unlock(&p->lock);
    free(s);
    if (is_last_of_pool) {
        pool_free(p);
    }
}

bool
bh_cap_storage_is_sole(struct cap_storage *s)
{
    pthread_mutex_lock(&s->pool->lock);
    bool is_sole = s->holders == 1;
    pthread_mutex_unlock(&s->pool->lock);
    return is_sole;
}
