/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables that have grown (a flood: each source comes once) forget what no row that is left refers to.
 *
 * What is sealed later shall not depend on when this is done, which a thread that seals decides. So all ends as if
 * it were done at a given row, the one that the tables had come to when the segment was handed over: what the rows
 * before it refer to keeps its order, and what only later ones refer to stands behind, in the order they brought it.
 * Lists and slots stay where they are: getting their pages anew costs more than clearing them, and a flood that goes
 * on will want as many. Rows are not looked up again; only what is kept gets a slot.
 *
 * Memory while it lasts: 4 octets for each number, and what later rows brought once more.
 */
#include "table_priv.h"

#include <errno.h>
#include <stdlib.h>

enum { GONE = 0, KEPT = 1, LATER = 2 }; /* LATER + n: the n-th of them */

struct marks { /* of the numbers of one list; then: what they become */
    uint32_t *of, later;
    void *apart; /* what later rows brought, while the list is moved */
};

struct kept {
    struct marks far, near, form, service, shape;
};

static bool
marks_init(struct marks *m, uint32_t count)
{
    m->of = calloc(count + 1UL, sizeof *m->of);
    return m->of != NULL;
}

static void
kept_done(struct kept *k)
{
    struct marks *all[] = { &k->far, &k->near, &k->form, &k->service, &k->shape };
    for (size_t i = 0; i < BH_COUNT(all); i++) {
        free(all[i]->of);
        free(all[i]->apart);
    }
}

/* True: for the first time. */
static inline bool
mark(struct marks *m, uint32_t id, bool later)
{
    if (m->of[id] != GONE) {
        return false;
    }
    m->of[id] = later ? LATER + m->later++ : (uint32_t)KEPT;
    return true;
}

static void
mark_rows(struct kept *k, const struct terms *t, struct chunk *const *chunk, size_t chunks,
          uint64_t before)
{
    uint64_t row = 0;
    for (size_t at = 0; at < chunks; at++) {
        const struct chunk *c = chunk[at];
        for (uint32_t i = 0; i < c->rows; i++) {
            const bool later = row++ >= before;
            mark(&k->far, c->far[i], later);
            mark(&k->near, c->near[i], later);
            mark(&k->service, c->service[i], later);
            if (mark(&k->shape, c->shape[i], later)) {
                mark(&k->form, shape_form(t->shape.key[c->shape[i]]), later);
            }
        }
    }
}

static bool
apart_init(struct marks *m, size_t size)
{
    m->apart = m->later > 0 ? malloc(bh_size_mul(m->later, size)) : NULL;
    return m->later == 0 || m->apart != NULL;
}

/* What is kept moves up, what came later stands behind it; the marks become new numbers. */
static uint32_t
move_up(void *list, size_t size, struct marks *m, uint32_t count)
{
    char *p = list, *apart = m->apart;
    uint32_t n = 0;
    for (uint32_t id = 0; id < count; id++) {
        if (m->of[id] >= LATER) {
            memcpy(apart + (m->of[id] - LATER) * size, p + id * size, size);
        } else if (m->of[id] == KEPT) {
            if (n != id) {
                memcpy(p + n * size, p + id * size, size);
            }
            n++;
        }
    }
    uint32_t next = 0;
    for (uint32_t id = 0; id < count; id++) {
        m->of[id] = m->of[id] >= LATER ? n + m->of[id] - LATER : m->of[id] == KEPT ? next++ : 0;
    }
    if (m->later > 0) {
        memcpy(p + n * size, apart, m->later * size);
    }
    return n + m->later;
}

static void
renumber_rows(const struct kept *k, struct chunk *const *chunk, size_t chunks)
{
    for (size_t at = 0; at < chunks; at++) {
        struct chunk *c = chunk[at];
        for (uint32_t i = 0; i < c->rows; i++) {
            c->far[i] = k->far.of[c->far[i]];
            c->near[i] = k->near.of[c->near[i]];
            c->service[i] = k->service.of[c->service[i]];
            c->shape[i] = k->shape.of[c->shape[i]];
        }
    }
}

/* ---- slots, which have room for more than there is now ---------------------------------------------------- */

#define SLOT_AHEAD 16U

static void
place_address(struct addresses *a, uint64_t hash, struct address x, uint32_t id)
{
    uint32_t at = (uint32_t)hash & (x.family == 4 ? a->mask4 : a->mask6);
    if (x.family == 4) {
        while (a->slot4[at].id != 0) {
            at = (at + 1) & a->mask4;
        }
        a->slot4[at] = (struct slot4){ (uint32_t)x.lo, id + 1 };
        a->count4++;
        return;
    }
    while (a->slot6[at].id != 0) {
        at = (at + 1) & a->mask6;
    }
    a->slot6[at] = (struct slot6){ x.hi, x.lo, id + 1, x.family };
    a->count6++;
}

static void
clear_addresses(struct addresses *a)
{
    memset(a->slot4, 0, (a->mask4 + 1UL) * sizeof *a->slot4);
    memset(a->slot6, 0, (a->mask6 + 1UL) * sizeof *a->slot6);
    a->count4 = a->count6 = 0;
}

static void
place_far(struct terms *t)
{
    uint64_t hash[SLOT_AHEAD];
    clear_addresses(&t->far_at);
    for (uint32_t id = 0; id < t->far_count + SLOT_AHEAD; id++) {
        uint64_t *h = &hash[id % SLOT_AHEAD];
        if (id >= SLOT_AHEAD) {
            const struct far *f = &t->far[id - SLOT_AHEAD];
            place_address(&t->far_at, *h, (struct address){ f->hi, f->lo, f->family },
                          id - SLOT_AHEAD);
        }
        if (id < t->far_count) {
            const struct far *f = &t->far[id];
            *h = address_hash(t->key, f->family, f->hi, f->lo);
            if (f->family == 4) {
                BH_PREFETCH_WRITE(&t->far_at.slot4[(uint32_t)*h & t->far_at.mask4]);
            } else {
                BH_PREFETCH_WRITE(&t->far_at.slot6[(uint32_t)*h & t->far_at.mask6]);
            }
        }
    }
}

static void
place_near(struct terms *t)
{
    clear_addresses(&t->near_at);
    for (uint32_t id = 0; id < t->near_count; id++) {
        const struct near *n = &t->near[id];
        place_address(&t->near_at, address_hash(t->key, n->family, n->hi, n->lo),
                      (struct address){ n->hi, n->lo, n->family }, id);
    }
}

static void
place_forms(struct terms *t)
{
    memset(t->form_slot, 0, (t->form_mask + 1UL) * sizeof *t->form_slot);
    memset(t->seen_shape, 0, SEEN_SHAPES * sizeof *t->seen_shape);
    for (uint32_t id = 0; id < t->form_count; id++) {
        uint32_t at = (uint32_t)form_hash(t->key, &t->form[id]) & t->form_mask;
        while (t->form_slot[at] != 0) {
            at = (at + 1) & t->form_mask;
        }
        t->form_slot[at] = id + 1;
    }
}

static void
place_key(struct keys *k, uint32_t id)
{
    uint32_t at = (uint32_t)bh_mix64(k->key[id], k->hash_key) & k->mask;
    while (k->slot[at] != 0) {
        at = (at + 1) & k->mask;
    }
    k->slot[at] = id + 1;
    k->hashed++;
}

static void
clear_keys(struct keys *k)
{
    memset(k->slot, 0, (k->mask + 1UL) * sizeof *k->slot);
    k->hashed = 0;
}

static void
place_services(struct terms *t)
{
    clear_keys(&t->service);
    for (uint32_t k = 0; k < t->port_tables; k++) {
        memset(t->port_id[k], 0, 65536 * sizeof *t->port_id[k]);
    }
    for (uint32_t id = 0; id < t->service.count; id++) {
        const uint64_t key = t->service.key[id];
        const unsigned index = t->group_index[key >> 16];
        if (index != 0) {
            t->port_id[index - 1][key & 0xffff] = id + 1;
        } else {
            place_key(&t->service, id);
        }
    }
}

static void
place_shapes(struct terms *t, const struct kept *k)
{
    clear_keys(&t->shape);
    for (uint32_t id = 0; id < t->shape.count; id++) {
        const uint64_t key = t->shape.key[id];
        t->shape.key[id] =
            shape_key(shape_stream(key), k->form.of[shape_form(key)], shape_len(key));
        place_key(&t->shape, id);
    }
}

int
terms_keep(struct terms *t, struct chunk *const *chunk, size_t chunks, uint64_t before)
{
    struct kept k = { .far = { .of = NULL } };
    bool ok = marks_init(&k.far, t->far_count) && marks_init(&k.near, t->near_count) &&
              marks_init(&k.form, t->form_count) && marks_init(&k.service, t->service.count) &&
              marks_init(&k.shape, t->shape.count);
    if (ok) {
        mark_rows(&k, t, chunk, chunks, before);
        ok = apart_init(&k.far, sizeof *t->far) && apart_init(&k.near, sizeof *t->near) &&
             apart_init(&k.form, sizeof *t->form) &&
             apart_init(&k.service, sizeof *t->service.key) &&
             apart_init(&k.shape, sizeof *t->shape.key);
    }
    if (ok) {
        t->far_count = move_up(t->far, sizeof *t->far, &k.far, t->far_count);
        t->near_count = move_up(t->near, sizeof *t->near, &k.near, t->near_count);
        t->form_count = move_up(t->form, sizeof *t->form, &k.form, t->form_count);
        t->service.count =
            move_up(t->service.key, sizeof *t->service.key, &k.service, t->service.count);
        t->shape.count = move_up(t->shape.key, sizeof *t->shape.key, &k.shape, t->shape.count);
        renumber_rows(&k, chunk, chunks);
        place_far(t);
        place_near(t);
        place_forms(t);
        place_services(t);
        place_shapes(t, &k);
    }
    kept_done(&k);
    return ok ? 0 : -ENOMEM;
}
