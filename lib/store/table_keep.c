/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tables that have grown (a flood: each source comes once) forget what no row that is left refers to.
 *
 * Numbers move up in their lists and keep their order, so that what is made of them later does not depend on when
 * this was done. Lists and slots stay where they are: getting their pages anew costs more than clearing them, and
 * a flood that goes on will want as many. Rows are not looked up again; only what is kept gets a slot.
 *
 * Memory while it lasts: 4 octets for each number.
 */
#include "table_priv.h"

#include <errno.h>
#include <stdlib.h>

struct kept { /* of each number: is it kept, then: what it becomes */
    uint32_t *far, *near, *form, *service, *shape;
};

static int
kept_init(struct kept *k, const struct terms *t)
{
    *k = (struct kept){
        .far = calloc(t->far_count + 1UL, sizeof *k->far),
        .near = calloc(t->near_count + 1UL, sizeof *k->near),
        .form = calloc(t->form_count + 1UL, sizeof *k->form),
        .service = calloc(t->service.count + 1UL, sizeof *k->service),
        .shape = calloc(t->shape.count + 1UL, sizeof *k->shape),
    };
    return k->far == NULL || k->near == NULL || k->form == NULL || k->service == NULL ||
                   k->shape == NULL
               ? -ENOMEM
               : 0;
}

static void
kept_done(struct kept *k)
{
    free(k->far);
    free(k->near);
    free(k->form);
    free(k->service);
    free(k->shape);
}

static void
mark_rows(struct kept *k, const struct terms *t, struct chunk *const *chunk, size_t chunks)
{
    for (size_t at = 0; at < chunks; at++) {
        const struct chunk *c = chunk[at];
        for (uint32_t i = 0; i < c->rows; i++) {
            k->far[c->far[i]] = k->near[c->near[i]] = 1;
            k->service[c->service[i]] = k->shape[c->shape[i]] = 1;
        }
    }
    for (uint32_t id = 0; id < t->shape.count; id++) {
        k->form[shape_form(t->shape.key[id])] |= k->shape[id];
    }
}

/* What is kept moves up; the marks become new numbers. */
static uint32_t
move_up(void *list, size_t size, uint32_t *kept, uint32_t count)
{
    char *p = list;
    uint32_t n = 0;
    for (uint32_t id = 0; id < count; id++) {
        if (kept[id] != 0) {
            if (n != id) {
                memcpy(p + n * size, p + id * size, size);
            }
            kept[id] = n++;
        }
    }
    return n;
}

static void
renumber_rows(const struct kept *k, struct chunk *const *chunk, size_t chunks)
{
    for (size_t at = 0; at < chunks; at++) {
        struct chunk *c = chunk[at];
        for (uint32_t i = 0; i < c->rows; i++) {
            c->far[i] = k->far[c->far[i]];
            c->near[i] = k->near[c->near[i]];
            c->service[i] = k->service[c->service[i]];
            c->shape[i] = k->shape[c->shape[i]];
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
        t->shape.key[id] = shape_key(shape_stream(key), k->form[shape_form(key)], shape_len(key));
        place_key(&t->shape, id);
    }
}

int
terms_keep(struct terms *t, struct chunk *const *chunk, size_t chunks)
{
    struct kept k;
    int r = kept_init(&k, t);
    if (r == 0) {
        mark_rows(&k, t, chunk, chunks);
        t->far_count = move_up(t->far, sizeof *t->far, k.far, t->far_count);
        t->near_count = move_up(t->near, sizeof *t->near, k.near, t->near_count);
        t->form_count = move_up(t->form, sizeof *t->form, k.form, t->form_count);
        t->service.count =
            move_up(t->service.key, sizeof *t->service.key, k.service, t->service.count);
        t->shape.count = move_up(t->shape.key, sizeof *t->shape.key, k.shape, t->shape.count);
        renumber_rows(&k, chunk, chunks);
        place_far(t);
        place_near(t);
        place_forms(t);
        place_services(t);
        place_shapes(t, &k);
    }
    kept_done(&k);
    return r;
}
