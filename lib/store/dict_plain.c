/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A dictionary that costs next to nothing to make, for the journal: rows that are written once a second, and
 * a second time when they are sealed, need not be small.
 *
 * Nothing is counted or sorted. Both ends of a record stand in its row; a service is its group, with the port
 * behind; shapes get codes in the order they come. To a reader it is a dictionary like any other. What only
 * depends on the tables (which group a service is of) stays from one flush to the next.
 */
#include "table_priv.h"

#include <errno.h>
#include <stdlib.h>

void
dict_plain_done(struct dict_plain *p)
{
    dict_done(&p->dict);
    free(p->country_used);
    free(p->form_used);
    free(p->shape_used);
    free(p->shape_is_used);
    bh_pages_free(p->group_at, GROUPS_ALL * sizeof *p->group_at);
    *p = (struct dict_plain){ 0 };
}

/* Room for one more than `need`, half as much again; what is new is `fill`. `list`: where its address stands. */
static bool
reach(void *list, size_t *cap, size_t need, size_t size, int fill)
{
    if (need < *cap) {
        return true;
    }
    const size_t more = need + need / 2 + 64;
    void *q;
    memcpy(&q, list, sizeof q); /* whatever kind of list it is */
    q = realloc(q, bh_size_mul(more, size));
    if (q == NULL) {
        return false;
    }
    memset((char *)q + *cap * size, fill, (more - *cap) * size);
    memcpy(list, &q, sizeof q);
    *cap = more;
    return true;
}

/* ---- services ------------------------------------------------------------------------------------------- */

static int
add_group(struct dict_plain *p, uint32_t packed)
{
    struct dict *d = &p->dict;
    if (!reach(&d->group, &p->group_cap, d->group_count, sizeof *d->group, 0)) {
        return -ENOMEM;
    }
    const uint32_t g = d->group_count++;
    d->group[g] = packed;
    if (g < CODE_OTHER) {
        d->service[g] = (struct service){ g, PORT_ANY, 0 };
        d->service_count = g + 1;
    }
    p->group_at[packed] = (uint16_t)(g + 1);
    return 0;
}

/* The services the tables have got since. There are fewer groups than a number of 16 bits can tell: class,
 * direction and the like are the decoder's words, only the protocol is anybody's. */
static int
learn_services(struct dict_plain *p, const struct terms *t)
{
    struct dict *d = &p->dict;
    size_t cap = p->service_cap;
    if (!reach(&d->service_group, &cap, t->service.count, sizeof *d->service_group, 0) ||
        !reach(&d->service_code, &p->service_cap, t->service.count, 1, CODE_OTHER)) {
        return -ENOMEM;
    }
    for (; p->services < t->service.count; p->services++) {
        const uint32_t packed = (uint32_t)(t->service.key[p->services] >> 16);
        if (p->group_at[packed] == 0 &&
            (d->group_count == UINT16_MAX || add_group(p, packed) != 0)) {
            return -ENOMEM;
        }
        const uint32_t g = p->group_at[packed] - 1U;
        d->service_group[p->services] = g;
        d->service_code[p->services] = (uint8_t)(g < CODE_OTHER ? g : CODE_OTHER);
    }
    return 0;
}

/* ---- what the rows have ------------------------------------------------------------------------------- */

static void
forget_rows(struct dict_plain *p)
{
    struct dict *d = &p->dict;
    for (uint32_t k = 0; k < d->country_count; k++) {
        d->country_code[p->country_used[k]] = UINT16_MAX;
    }
    for (uint32_t k = 0; k < d->form_count; k++) {
        d->form_code[p->form_used[k]] = UINT32_MAX;
    }
    for (uint32_t k = 0; k < p->shapes; k++) {
        p->shape_is_used[p->shape_used[k]] = 0;
    }
    d->country_count = d->form_count = p->shapes = 0;
    memset(d->shape_count, 0, sizeof d->shape_count);
}

static int
make_room(struct dict_plain *p, const struct terms *t)
{
    struct dict *d = &p->dict;
    if (p->group_at == NULL) {
        p->group_at = bh_pages_new(GROUPS_ALL * sizeof *p->group_at, false);
        d->country = calloc(KOBOLD_VALUES_MAX + 1, sizeof *d->country);
        d->country_code = malloc((KOBOLD_VALUES_MAX + 1) * sizeof *d->country_code);
        p->country_used = malloc((KOBOLD_VALUES_MAX + 1) * sizeof *p->country_used);
        if (p->group_at == NULL || d->country == NULL || d->country_code == NULL ||
            p->country_used == NULL) {
            return -ENOMEM;
        }
        memset(d->country_code, 0xff, (KOBOLD_VALUES_MAX + 1) * sizeof *d->country_code);
    }
    size_t forms = p->form_cap, more = p->form_cap, shapes = p->shape_cap, used = p->shape_cap;
    bool ok = reach(&d->form, &forms, t->form_count, sizeof *d->form, 0) &&
              reach(&p->form_used, &more, t->form_count, sizeof *p->form_used, 0) &&
              reach(&d->form_code, &p->form_cap, t->form_count, sizeof *d->form_code, 0xff);
    ok = ok && reach(&d->shape_code, &shapes, t->shape.count, 1, CODE_OTHER) &&
         reach(&p->shape_used, &used, t->shape.count, sizeof *p->shape_used, 0) &&
         reach(&p->shape_is_used, &p->shape_cap, t->shape.count, 1, 0);
    return ok ? 0 : -ENOMEM;
}

static BH_NOINLINE void
learn_shape(struct dict_plain *p, const struct terms *t, uint32_t id)
{
    struct dict *d = &p->dict;
    const uint64_t key = t->shape.key[id];
    const uint32_t form = shape_form(key);
    uint32_t *count = &d->shape_count[shape_stream(key)];
    p->shape_is_used[id] = 1;
    p->shape_used[p->shapes++] = id;
    if (d->form_code[form] == UINT32_MAX) {
        d->form[d->form_count] = t->form[form];
        p->form_used[d->form_count] = form;
        d->form_code[form] = d->form_count++;
    }
    d->shape_code[id] = CODE_OTHER;
    if (*count < CODE_OTHER) {
        d->shape[shape_stream(key)][*count] = (struct shape){ d->form_code[form], shape_len(key) };
        d->shape_code[id] = (uint8_t)(*count)++;
    }
}

static BH_NOINLINE void
learn_country(struct dict_plain *p, const struct terms *t, uint16_t country)
{
    struct dict *d = &p->dict;
    d->country[d->country_count] = t->country[country];
    p->country_used[d->country_count] = country;
    d->country_code[country] = (uint16_t)d->country_count++;
}

/* So many rows ahead their far ends are asked for. */
#define FAR_AHEAD 16U

int
dict_plain_make(struct dict_plain *p, const struct terms *t, const struct chunk *c)
{
    p->dict.far_direct = p->dict.near_direct = true;
    forget_rows(p);
    int r = make_room(p, t);
    r = r != 0 ? r : learn_services(p, t);
    for (uint32_t i = 0; i < c->rows && r == 0; i++) {
        if (BH_UNLIKELY(p->shape_is_used[c->shape[i]] == 0)) {
            learn_shape(p, t, c->shape[i]);
        }
    }
    for (uint32_t i = 0; i < c->rows && r == 0; i++) {
        __builtin_prefetch(&t->far[c->far[i + FAR_AHEAD < c->rows ? i + FAR_AHEAD : i]]);
        const uint16_t country = t->far[c->far[i]].country;
        if (BH_UNLIKELY(p->dict.country_code[country] == UINT16_MAX)) {
            learn_country(p, t, country);
        }
    }
    return r;
}
