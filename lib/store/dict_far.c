/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The far ends of a dictionary (dict.c): one sort, by country, symbol and address, puts entries into their groups and
 * what comes once into its order. Both are numbered, so that who adds up sources has one number for each, which
 * stays.
 *
 * Memory while it lasts: 32 octets a far end that is met; what stays is 16 octets a number of the tables, 24 an entry
 * and 24 for what comes once.
 */
#include "dict_priv.h"

#include <errno.h>
#include <stdlib.h>

/* So far ahead in a list of numbers their lines are asked for. */
#define ONCE_AHEAD 24U

#define DIGIT_BITS 12U

/* By the lowest bits of the key, about a digit at a time. */
static bool
sort_items(struct item *v, size_t n, unsigned bits)
{
    const unsigned passes = (bits + DIGIT_BITS - 1) / DIGIT_BITS,
                   width = (bits + passes - 1) / passes;
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

static unsigned
frequency_class(uint32_t count)
{
    const unsigned octave = 31U - (unsigned)__builtin_clz(count);
    return 2 * octave + (count >> (octave - 1) & 1);
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
    return ((uint64_t)country << SYMBOL_BITS | symbol) << 32 |
           (f->family == 4 ? (uint32_t)f->lo : 0);
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
    d->once[d->once4 + d->once6] =
        (struct far_once){ family == 4 ? 0 : f->hi, family == 4 ? (uint32_t)x->key : f->lo, x->id,
                           key_country(x->key), family };
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
add_entry(struct dict *d, const struct terms *t, const struct census *c, const struct item *x,
          uint8_t family)
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
    d->entry[d->entry_count++] =
        (struct entry){ family == 4 ? 0 : f->hi, family == 4 ? (uint32_t)x->key : f->lo,
                        key_country(x->key), family, out->ttl };
    return true;
}

/* True: those that come once are not in order. */
static bool
add_sorted(struct dict *d, const struct terms *t, const struct census *c, const struct item *v,
           size_t n, uint8_t family)
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
tell_symbols(struct dict *d, const struct terms *t, const struct census *c, struct item *v4,
             size_t *n4, struct item *v6, size_t *n6)
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
        const unsigned symbol =
            f->family == 0 ? (unsigned)FAR_NONE
            : count < 2    ? (f->family == 4 ? (unsigned)FAR_ONCE4 : (unsigned)FAR_ONCE6)
                           : (f->family == 4 ? (unsigned)FAR_CLASS4 : (unsigned)FAR_CLASS6) +
                              frequency_class(count);
        d->far_out[id] =
            (struct far_out){ .number = UINT32_MAX, .country = country, .symbol = (uint8_t)symbol };
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
int
dict_build_far(struct dict *d, const struct terms *t, const struct census *c)
{
    const size_t size = (c->far.used_count + 1UL) * sizeof(struct item);
    struct item *v4 = bh_pages_new(size, true), *v6 = bh_pages_new(size, true);
    size_t n4 = 0, n6 = 0;
    int r = -ENOMEM;
    d->far_out_size = (t->far_count + 1UL) * sizeof *d->far_out;
    d->far_out = bh_pages_new(d->far_out_size, true);
    d->group_of = calloc((d->country_count + 1UL) * FAR_SYMBOLS, sizeof *d->group_of);
    d->far_group = malloc((size_t)UINT16_MAX * sizeof *d->far_group);
    if (v4 == NULL || v6 == NULL || d->far_out == NULL || d->group_of == NULL ||
        d->far_group == NULL) {
        goto out;
    }
    const size_t entries = tell_symbols(d, t, c, v4, &n4, v6, &n6);
    const unsigned bits = 32 + SYMBOL_BITS + (32U - (unsigned)__builtin_clz(d->country_count | 1));
    d->entry = malloc((entries + 1) * sizeof *d->entry);
    d->once_size = (n4 + n6 + 1) * sizeof *d->once;
    d->once = bh_pages_new(d->once_size, true);
    if (d->entry == NULL || d->once == NULL || !sort_items(v4, n4, bits) ||
        !sort_items(v6, n6, bits)) {
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
