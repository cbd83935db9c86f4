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
#include "store_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ---- sorting ---------------------------------------------------------------------------------------- */

struct item {
    uint64_t key;
    uint32_t id;
};

/* So far ahead in a list of numbers their lines are asked for. */
#define ONCE_AHEAD 24U

#define DIGIT_BITS 12U

/* By the lowest bits of the key, about a digit at a time. */
static bool
sort_items(struct item *v, size_t n, unsigned bits)
{
    const unsigned passes = (bits + DIGIT_BITS - 1) / DIGIT_BITS, width = (bits + passes - 1) / passes;
    const uint64_t mask = (1ULL << width) - 1;
    struct item *other = bh_pages_new((n + 1) * sizeof *other, true), *a = v, *b = other;
    if (other == NULL) {
        return false;
    }
    for (unsigned shift = 0; shift < bits && n > 1; shift += width) {
        uint32_t at[(1U << DIGIT_BITS) + 1] = { 0 };
        for (size_t i = 0; i < n; i++) {
            at[(a[i].key >> shift & mask) + 1]++;
        }
        for (uint64_t k = 0; k < mask; k++) {
            at[k + 1] += at[k];
        }
        for (size_t i = 0; i < n; i++) {
            b[at[a[i].key >> shift & mask]++] = a[i];
        }
        struct item *swap = a;
        a = b;
        b = swap;
    }
    if (a != v) {
        memcpy(v, a, n * sizeof *v);
    }
    bh_pages_free(other, (n + 1) * sizeof *other);
    return true;
}

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

static unsigned
frequency_class(uint32_t count)
{
    const unsigned octave = 31U - (unsigned)__builtin_clz(count);
    return 2 * octave + (count >> (octave - 1) & 1);
}

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

static void
finish_group(struct far_group *g)
{
    const unsigned bits = g->count <= 1 ? 0 : 32U - (unsigned)__builtin_clz(g->count - 1);
    g->bits = (uint8_t)bits;
    g->short_count = (uint32_t)((1ULL << bits) - g->count);
}

static struct far_group *
group_at(struct dict *d, unsigned country, unsigned symbol)
{
    uint16_t *of = &d->group_of[country * FAR_SYMBOLS + symbol];
    if (*of == 0) {
        if (d->far_group_count >= UINT16_MAX) {
            return NULL;
        }
        d->far_group[d->far_group_count] = (struct far_group){ .first = d->entry_count };
        *of = (uint16_t)++d->far_group_count;
    }
    return &d->far_group[*of - 1];
}

static int
compare_far6(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->hi < y->hi ? -1 : x->hi > y->hi ? 1 : x->lo < y->lo ? -1 : x->lo > y->lo;
}

/* How far ends are sorted: all of an IPv4 one stands in its key. */
#define SYMBOL_BITS 8U
static inline uint64_t
far_key(unsigned country, unsigned symbol, const struct far *f)
{
    return ((uint64_t)country << SYMBOL_BITS | symbol) << 32 | (f->family == 4 ? (uint32_t)f->lo : 0);
}
static inline unsigned
key_symbol(uint64_t key)
{
    return key >> 32 & ((1U << SYMBOL_BITS) - 1);
}
static inline uint16_t
key_country(uint64_t key)
{
    return (uint16_t)(key >> 32 >> SYMBOL_BITS);
}

static void
add_once(struct dict *d, const struct terms *t, const struct item *x, uint8_t family)
{
    const struct far *f = &t->far[x->id];
    d->once[d->once4 + d->once6] = (struct far_once){ family == 4 ? 0 : f->hi, family == 4 ? (uint32_t)x->key : f->lo,
                                                      x->id, key_country(x->key), family };
    *(family == 4 ? &d->once4 : &d->once6) += 1;
}

/* One of IPv4 that stands in its row, so that nobody has to look for it there. */
static inline void
tell_address(struct far_out *out, const struct far *f)
{
    if (out->symbol == FAR_ONCE4) {
        out->bits = (uint32_t)f->lo;
        out->bit_count = 32;
    }
}

/* False: there are more groups than numbers, and it stands in its rows. */
static bool
add_entry(struct dict *d, const struct terms *t, const struct census *c, const struct item *x, uint8_t family)
{
    const struct far *f = &t->far[x->id];
    struct far_out *out = &d->far_out[x->id];
    struct far_group *g = group_at(d, key_country(x->key), key_symbol(x->key));
    if (g == NULL) {
        out->symbol = family == 4 ? FAR_ONCE4 : FAR_ONCE6;
        tell_address(out, f);
        add_once(d, t, x, family);
        return false;
    }
    g->count++;
    out->number = d->entry_count;
    out->ttl = c->ttl[x->id];
    d->entry[d->entry_count++] = (struct entry){ family == 4 ? 0 : f->hi, family == 4 ? (uint32_t)x->key : f->lo,
                                                 key_country(x->key), family, out->ttl };
    return true;
}

/* True: those that come once are not in order. */
static bool
add_sorted(struct dict *d, const struct terms *t, const struct census *c, const struct item *v, size_t n, uint8_t family)
{
    bool any = false;
    for (size_t k = 0; k < n; k++) {
        BH_PREFETCH_WRITE(&d->far_out[v[k + ONCE_AHEAD < n ? k + ONCE_AHEAD : k].id]);
        if (key_symbol(v[k].key) < FAR_CLASS4) {
            add_once(d, t, &v[k], family);
        } else {
            any = !add_entry(d, t, c, &v[k], family) || any;
        }
    }
    return any;
}

/* The place in its group in truncated binary: the first short_count places have a bit less. The
 * lowest bit of the others comes last. */
static void
tell_place(const struct dict *d, struct far_out *out)
{
    if (out->symbol < FAR_CLASS4) {
        return;
    }
    const struct far_group *g =
        &d->far_group[d->group_of[out->country * FAR_SYMBOLS + out->symbol] - 1];
    const uint32_t index = out->number - g->first;
    if (g->bits == 0) {
        return;
    }
    if (index < g->short_count) {
        out->bits = index;
        out->bit_count = (uint8_t)(g->bits - 1);
    } else {
        const uint32_t v = index + g->short_count;
        out->bits = v >> 1 | (v & 1) << (g->bits - 1);
        out->bit_count = g->bits;
    }
}

static int
compare_once(const void *a, const void *b)
{
    const struct far_once *x = a, *y = b;
    return x->family != y->family     ? (x->family < y->family ? -1 : 1)
           : x->country != y->country ? (x->country < y->country ? -1 : 1)
           : x->hi != y->hi           ? (x->hi < y->hi ? -1 : 1)
           : x->lo != y->lo           ? (x->lo < y->lo ? -1 : 1)
                                      : 0;
}

/* The list is in order but for IPv6; `any`: it may be in none. */
static void
number_once(struct dict *d, bool any)
{
    const uint32_t n = d->once4 + d->once6;
    if (any) {
        qsort(d->once, n, sizeof *d->once, compare_once);
    } else if (d->once6 > 1) {
        qsort(d->once + d->once4, d->once6, sizeof *d->once, compare_once);
    }
    for (uint32_t k = 0; k < n; k++) {
        BH_PREFETCH_WRITE(&d->far_out[d->once[k + ONCE_AHEAD < n ? k + ONCE_AHEAD : k].far]);
        d->far_out[d->once[k].far].number = d->entry_count + k;
    }
}

/* Where sorting has put IPv6 entries. */
static void
find_entries6(struct dict *d, const struct terms *t, const struct item *v6, size_t n6)
{
    for (uint32_t g = 0; g < d->far_group_count; g++) {
        struct far_group *group = &d->far_group[g];
        finish_group(group);
        if (d->entry[group->first].family == 6) {
            qsort(&d->entry[group->first], group->count, sizeof *d->entry, compare_far6);
        }
    }
    for (size_t k = 0; k < n6; k++) {
        const struct far *f = &t->far[v6[k].id];
        struct far_out *out = &d->far_out[v6[k].id];
        if (out->symbol >= FAR_CLASS4) {
            const struct far_group *group =
                &d->far_group[d->group_of[out->country * FAR_SYMBOLS + out->symbol] - 1];
            const struct entry wanted = { .hi = f->hi, .lo = f->lo };
            const struct entry *e = bsearch(&wanted, &d->entry[group->first], group->count,
                                            sizeof wanted, compare_far6);
            out->number = (uint32_t)(e - d->entry);
        }
    }
}

/* What is known of each far end without the others. Those of IPv4 go into v4, of IPv6 into v6, to be sorted;
 * returns how many are to be entries. */
static size_t
tell_symbols(struct dict *d, const struct terms *t, const struct census *c, struct item *v4, size_t *n4,
             struct item *v6, size_t *n6)
{
    size_t entries = 0;
    for (uint32_t k = 0; k < c->far.used_count; k++) {
        const uint32_t ahead = c->far.used[k + ONCE_AHEAD < c->far.used_count ? k + ONCE_AHEAD : k];
        __builtin_prefetch(&t->far[ahead]);
        __builtin_prefetch(&c->far.count[ahead]);
        BH_PREFETCH_WRITE(&d->far_out[ahead]);
        const uint32_t id = c->far.used[k], count = c->far.count[id];
        const struct far *f = &t->far[id];
        const uint16_t country = d->country_code[f->country];
        const unsigned symbol = f->family == 0 ? (unsigned)FAR_NONE
                                : count < 2    ? (f->family == 4 ? (unsigned)FAR_ONCE4 : (unsigned)FAR_ONCE6)
                                : (f->family == 4 ? (unsigned)FAR_CLASS4 : (unsigned)FAR_CLASS6) + frequency_class(count);
        d->far_out[id] = (struct far_out){ .number = UINT32_MAX, .country = country, .symbol = (uint8_t)symbol };
        tell_address(&d->far_out[id], f);
        if (f->family == 0) {
            continue;
        }
        struct item *to = f->family == 4 ? &v4[(*n4)++] : &v6[(*n6)++];
        *to = (struct item){ far_key(country, symbol, f), id };
        entries += symbol >= FAR_CLASS4;
    }
    return entries;
}

/* The entries of IPv4, then those of IPv6, each by country, symbol and address. */
static int
build_far(struct dict *d, const struct terms *t, const struct census *c)
{
    const size_t size = (c->far.used_count + 1UL) * sizeof(struct item);
    struct item *v4 = bh_pages_new(size, true), *v6 = bh_pages_new(size, true);
    size_t n4 = 0, n6 = 0;
    int r = -ENOMEM;
    d->far_out_size = (t->far_count + 1UL) * sizeof *d->far_out;
    d->far_out = bh_pages_new(d->far_out_size, true);
    d->group_of = calloc((d->country_count + 1UL) * FAR_SYMBOLS, sizeof *d->group_of);
    d->far_group = malloc((size_t)UINT16_MAX * sizeof *d->far_group);
    if (v4 == NULL || v6 == NULL || d->far_out == NULL || d->group_of == NULL || d->far_group == NULL) {
        goto out;
    }
    const size_t entries = tell_symbols(d, t, c, v4, &n4, v6, &n6);
    const unsigned bits = 32 + SYMBOL_BITS + (32U - (unsigned)__builtin_clz(d->country_count | 1));
    d->entry = malloc((entries + 1) * sizeof *d->entry);
    d->once_size = (n4 + n6 + 1) * sizeof *d->once;
    d->once = bh_pages_new(d->once_size, true);
    if (d->entry == NULL || d->once == NULL || !sort_items(v4, n4, bits) || !sort_items(v6, n6, bits)) {
        goto out;
    }
    bool any = add_sorted(d, t, c, v4, n4, 4);
    any = add_sorted(d, t, c, v6, n6, 6) || any;
    find_entries6(d, t, v6, n6);
    number_once(d, any);
    for (uint32_t k = 0; k < c->far.used_count; k++) {
        tell_place(d, &d->far_out[c->far.used[k]]);
    }
    r = 0;
out:
    bh_pages_free(v4, size);
    bh_pages_free(v6, size);
    return r;
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
    uint32_t *index =
        bh_pages_new(GROUPS_ALL * sizeof *index, false); /* group -> index + 1 */
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
    r = r != 0 ? r : build_far(d, t, c);
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
