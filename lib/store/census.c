/* SPDX-License-Identifier: BSD-2-Clause */
/* The census: how often each number of the tables comes in the rows of a segment. A dictionary is made of it. */
#include "store_priv.h"

#include <errno.h>
#include <stdlib.h>

static void
counts_done(struct counts *c)
{
    free(c->count);
    free(c->used);
}

void
census_done(struct census *c)
{
    counts_done(&c->far);
    counts_done(&c->near);
    counts_done(&c->service);
    counts_done(&c->shape);
    free(c->ttl);
    *c = (struct census){ 0 };
}

static void
counts_reset(struct counts *c)
{
    for (uint32_t k = 0; k < c->used_count; k++) {
        c->count[c->used[k]] = 0;
    }
    c->used_count = 0;
}

void
census_reset(struct census *c)
{
    for (uint32_t k = 0; k < c->far.used_count; k++) {
        c->ttl[c->far.used[k]] = 0;
    }
    counts_reset(&c->far);
    counts_reset(&c->near);
    counts_reset(&c->service);
    counts_reset(&c->shape);
    c->rows = 0;
}

/* Room for numbers below `count`. */
static bool
reach(struct counts *c, uint32_t count, uint8_t **octets)
{
    if (count <= c->cap) {
        return true;
    }
    const uint32_t more = c->cap * 2 > count ? c->cap * 2 : count;
    uint32_t *p = realloc(c->count, bh_size_mul(more, sizeof *p));
    c->count = p != NULL ? p : c->count;
    uint32_t *q = p == NULL ? NULL : realloc(c->used, bh_size_mul(more, sizeof *q));
    c->used = q != NULL ? q : c->used;
    uint8_t *o = q == NULL || octets == NULL ? NULL : realloc(*octets, more);
    if (q == NULL || (octets != NULL && o == NULL)) {
        return false;
    }
    memset(p + c->cap, 0, (more - c->cap) * sizeof *p);
    if (octets != NULL) {
        memset(o + c->cap, 0, more - c->cap);
        *octets = o;
    }
    c->cap = more;
    return true;
}

static inline void
count_one(struct counts *c, uint32_t id)
{
    c->used[c->used_count] = id; /* kept when it is the first time */
    c->used_count += c->count[id]++ == 0;
}

/* So many rows ahead what is counted of a far end is asked for. */
#define COUNT_AHEAD 24U

int
census_add(struct census *c, const struct terms *t, const struct chunk *ch)
{
    /* One more: where the next first one would be noted. */
    if (!reach(&c->far, t->far_count + 1, &c->ttl) || !reach(&c->near, t->near_count + 1, NULL) ||
        !reach(&c->service, t->service.count + 1, NULL) ||
        !reach(&c->shape, t->shape.count + 1, NULL)) {
        return -ENOMEM;
    }
    c->rows += ch->rows;
    for (uint32_t i = 0; i < ch->rows; i++) {
        const uint32_t ahead = ch->far[i + COUNT_AHEAD < ch->rows ? i + COUNT_AHEAD : i];
        const uint32_t far = ch->far[i];
        BH_PREFETCH_WRITE(&c->far.count[ahead]);
        BH_PREFETCH_WRITE(&c->ttl[ahead]);
        count_one(&c->far, far);
        c->ttl[far] = c->ttl[far] == 0 ? ch->ttl[i] : c->ttl[far];
    }
    for (uint32_t i = 0; i < ch->rows; i++) {
        count_one(&c->near, ch->near[i]);
        count_one(&c->service, ch->service[i]);
        count_one(&c->shape, ch->shape[i]);
    }
    return 0;
}
