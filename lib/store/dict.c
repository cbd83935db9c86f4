/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The dictionary of a segment: what its blocks refer to, made by counting what its chunks hold.
 *
 * A far end that comes twice or more is an entry. Entries stand in groups of equal country and
 * about equal frequency (two groups an octave), and in a row only the place within its group is
 * told: log2 of its size, which together with the two symbols is the entropy of the source, within
 * a few percent - and the country can be read alone, for nothing. What comes once stands in its row:
 * an entry would cost as much, and a flood of forged sources would make as many entries as rows.
 */
#include "dict_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ---- sorting ---------------------------------------------------------------------------------------- */

/* Most first; equal ones by what they are, so that a dictionary depends on nothing else. */
static int
by_count(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    return x->key < y->key ? 1 : x->key > y->key ? -1 : x->id < y->id ? -1 : 1;
}

/* The `most` commonest in order, and in front; there may be a hundred thousand behind them that come
 * once or twice each, which are not worth sorting. */
static void
sort_commonest(struct item *v, size_t n, size_t most)
{
    uint32_t of_count[1024] = { 0 };
    size_t reached = 0, front = 0;
    uint64_t least = BH_COUNT(of_count);
    for (size_t k = 0; k < n; k++) {
        of_count[v[k].key < BH_COUNT(of_count) ? v[k].key : BH_COUNT(of_count) - 1]++;
    }
    while (least > 0 && reached < most) {
        reached += of_count[--least];
    }
    for (size_t k = 0; k < n; k++) {
        if (v[k].key >= least) {
            const struct item swap = v[front];
            v[front++] = v[k];
            v[k] = swap;
        }
    }
    qsort(v, front, sizeof *v, by_count);
}

/* ---- building ----------------------------------------------------------------------------------------- */

static int
build_countries(struct dict *d, const struct terms *t, const struct census *c)
{
    struct item *list = calloc(t->country_count, sizeof *list);
    d->country = calloc(t->country_count, sizeof *d->country);
    d->country_code = calloc(t->country_count, sizeof *d->country_code);
    if (list == NULL || d->country == NULL || d->country_code == NULL) {
        free(list);
        return -ENOMEM;
    }
    for (uint32_t k = 0; k < t->country_count; k++) {
        list[k].id = k;
    }
    for (uint32_t k = 0; k < c->far.used_count; k++) {
        const uint32_t id = c->far.used[k];
        list[t->far[id].country].key += c->far.count[id];
    }
    qsort(list, t->country_count, sizeof *list, by_count);
    for (uint32_t k = 0; k < t->country_count && list[k].key > 0; k++) {
        d->country_code[list[k].id] = (uint16_t)k;
        d->country[d->country_count++] = t->country[list[k].id];
    }
    free(list);
    return 0;
}

struct near_item {
    struct near near;
    uint32_t id;
};

static int
compare_near(const void *a, const void *b)
{
    const struct near *x = &((const struct near_item *)a)->near,
                      *y = &((const struct near_item *)b)->near;
    return x->family != y->family ? (x->family < y->family ? -1 : 1)
           : x->hi != y->hi       ? (x->hi < y->hi ? -1 : 1)
           : x->lo != y->lo       ? (x->lo < y->lo ? -1 : 1)
                                  : 0;
}

/* Many addresses of ours that come seldom (a telescope) need no dictionary. */
#define NEAR_FEW 4096U

static int
build_near(struct dict *d, const struct terms *t, const struct census *c)
{
    const uint32_t n = c->near.used_count;
    struct near_item *list = malloc((n + 1UL) * sizeof *list);
    d->near_code = malloc((t->near_count + 1UL) * sizeof *d->near_code);
    d->near = malloc((n + 1UL) * sizeof *d->near);
    if (list == NULL || d->near_code == NULL || d->near == NULL) {
        free(list);
        return -ENOMEM;
    }
    for (uint32_t k = 0; k < n; k++) {
        list[k] = (struct near_item){ t->near[c->near.used[k]], c->near.used[k] };
    }
    d->near_direct = n > NEAR_FEW && n > c->rows / 4;
    if (!d->near_direct) {
        qsort(list, n, sizeof *list, compare_near);
        for (uint32_t k = 0; k < n; k++) {
            d->near_code[list[k].id] = k;
            d->near[k] = list[k].near;
        }
        d->near_count = n;
    }
    free(list);
    return 0;
}

/* Forms that occur, in the order they were met. */
static int
build_forms(struct dict *d, const struct terms *t, const struct census *c)
{
    d->form_code = malloc((t->form_count + 1UL) * sizeof *d->form_code);
    d->form = malloc((c->shape.used_count + 1UL) * sizeof *d->form);
    if (d->form_code == NULL || d->form == NULL) {
        return -ENOMEM;
    }
    memset(d->form_code, 0xff, (t->form_count + 1UL) * sizeof *d->form_code);
    for (uint32_t k = 0; k < c->shape.used_count; k++) {
        const uint32_t id = shape_form(t->shape.key[c->shape.used[k]]);
        if (d->form_code[id] == UINT32_MAX) {
            d->form[d->form_count] = t->form[id];
            d->form_code[id] = d->form_count++;
        }
    }
    return 0;
}

/* Groups that may have a code of their own for "any port". */
#define ANY_MAX 48U

static int
build_services(struct dict *d, const struct terms *t, const struct census *c)
{
    const uint32_t n = c->service.used_count;
    struct item *list = malloc((n + 1UL) * sizeof *list),
                *groups = malloc((n + 1UL) * sizeof *groups);
    uint32_t *index = bh_pages_new(GROUPS_ALL * sizeof *index, false); /* group -> index + 1 */
    int r = -ENOMEM;
    d->group = malloc((n + 1UL) * sizeof *d->group);
    d->service_group = malloc((t->service.count + 1UL) * sizeof *d->service_group);
    d->service_code = malloc(t->service.count + 1UL);
    if (list == NULL || groups == NULL || index == NULL || d->group == NULL ||
        d->service_group == NULL || d->service_code == NULL) {
        goto out;
    }
    for (uint32_t at = 0; at < n; at++) {
        const uint32_t id = c->service.used[at], count = c->service.count[id];
        const uint32_t packed = (uint32_t)(t->service.key[id] >> 16);
        if (index[packed] == 0) {
            groups[d->group_count] = (struct item){ 0, d->group_count };
            d->group[d->group_count] = packed;
            index[packed] = ++d->group_count;
        }
        d->service_group[id] = index[packed] - 1;
        groups[index[packed] - 1].key += count;
        list[at] = (struct item){ count, id };
        d->service_code[id] = CODE_OTHER;
    }
    qsort(groups, d->group_count, sizeof *groups, by_count);
    sort_commonest(list, n, CODES);
    const uint32_t any = d->group_count < ANY_MAX ? d->group_count : ANY_MAX;
    uint32_t k = 0;
    for (; k < n && k < CODE_OTHER - any; k++) {
        const uint32_t id = list[k].id;
        d->service[k] =
            (struct service){ d->service_group[id], (uint32_t)t->service.key[id] & 0xffff,
                              (uint32_t)list[k].key };
        d->service_code[id] = (uint8_t)k;
    }
    d->service_count = k;
    if (k < n) {
        uint8_t any_code[ANY_MAX];
        for (uint32_t g = 0; g < any; g++) {
            any_code[g] = (uint8_t)d->service_count;
            d->service[d->service_count++] = (struct service){ groups[g].id, PORT_ANY, 0 };
        }
        for (; k < n; k++) {
            for (uint32_t g = 0; g < any; g++) {
                if (groups[g].id == d->service_group[list[k].id]) {
                    d->service_code[list[k].id] = any_code[g];
                    d->service[any_code[g]].count += (uint32_t)list[k].key;
                }
            }
        }
    }
    r = 0;
out:
    free(list);
    free(groups);
    bh_pages_free(index, GROUPS_ALL * sizeof *index);
    return r;
}

static int
build_shapes(struct dict *d, const struct terms *t, const struct census *c)
{
    const uint32_t n = c->shape.used_count;
    struct item *list = malloc((n + 1UL) * sizeof *list);
    d->shape_code = malloc(t->shape.count + 1UL);
    if (list == NULL || d->shape_code == NULL) {
        free(list);
        return -ENOMEM;
    }
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t id = c->shape.used[k];
        list[k] = (struct item){ c->shape.count[id], id };
        d->shape_code[id] = CODE_OTHER;
    }
    qsort(list, n, sizeof *list, by_count);
    for (uint32_t k = 0; k < n; k++) {
        const uint64_t key = t->shape.key[list[k].id];
        uint32_t *count = &d->shape_count[shape_stream(key)];
        if (*count < CODE_OTHER) {
            d->shape[shape_stream(key)][*count] =
                (struct shape){ d->form_code[shape_form(key)], shape_len(key) };
            d->shape_code[list[k].id] = (uint8_t)(*count)++;
        }
    }
    free(list);
    return 0;
}

int
dict_build(struct dict *d, const struct terms *t, const struct census *c)
{
    *d = (struct dict){ 0 };
    int r = build_countries(d, t, c);
    r = r != 0 ? r : dict_build_far(d, t, c);
    r = r != 0 ? r : build_near(d, t, c);
    r = r != 0 ? r : build_forms(d, t, c);
    r = r != 0 ? r : build_services(d, t, c);
    r = r != 0 ? r : build_shapes(d, t, c);
    if (r != 0) {
        dict_done(d);
    }
    return r;
}

void
dict_done(struct dict *d)
{
    free(d->country);
    free(d->group_of);
    free(d->far_group);
    free(d->entry);
    free(d->entry4);
    free(d->entry_ttl);
    free(d->near);
    free(d->form);
    free(d->group);
    bh_pages_free(d->far_out, d->far_out_size);
    bh_pages_free(d->once, d->once_size);
    free(d->near_code);
    free(d->form_code);
    free(d->country_code);
    free(d->service_group);
    free(d->service_code);
    free(d->shape_code);
    *d = (struct dict){ 0 };
}
