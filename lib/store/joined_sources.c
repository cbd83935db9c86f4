/* SPDX-License-Identifier: BSD-2-Clause */
/* One numbering for the sources of several roll-ups: by family, country and address. */
#include "joined_priv.h"

#include <errno.h>
#include <stdlib.h>

#define NUMBER_BITS                                                                                \
    20U /* beside 10 of the country and 32 of an address: more, and a report has no room either */

/* ---- countries ------------------------------------------------------------------------------------------- */

static bool
same_country(const struct bh_store_country *a, const struct bh_store_country *b)
{
    return strcmp(a->code, b->code) == 0 && a->kind == b->kind &&
           strcmp(a->class_name, b->class_name) == 0 && strcmp(a->rfc, b->rfc) == 0;
}

static int
join_countries(struct join *j)
{
    size_t most = 1;
    for (size_t k = 0; k < j->parts; k++) {
        most += j->part[k].u->countries;
    }
    j->dict.country = calloc(most, sizeof *j->dict.country);
    if (j->dict.country == NULL) {
        return -ENOMEM;
    }
    for (size_t k = 0; k < j->parts; k++) {
        const struct bh_rollup *u = j->part[k].u;
        j->part[k].country = calloc(u->countries + 1UL, sizeof *j->part[k].country);
        if (j->part[k].country == NULL) {
            return -ENOMEM;
        }
        for (uint32_t c = 0; c < u->countries; c++) {
            uint32_t at = 0;
            while (at < j->dict.country_count &&
                   !same_country(&j->dict.country[at], &u->country[c])) {
                at++;
            }
            if (at == j->dict.country_count) {
                j->dict.country[j->dict.country_count++] = u->country[c];
            }
            j->part[k].country[c] = (uint16_t)at;
        }
    }
    return j->dict.country_count > 1024 ? BH_ELIMIT : 0;
}

/* ---- addresses --------------------------------------------------------------------------------------------- */

struct address {
    uint64_t hi, lo;
    uint32_t at; /* among the sources of all parts */
    uint16_t country;
    uint8_t family;
};

struct addresses_of {
    struct address *all; /* of all parts, one behind the other */
    uint32_t count;
    uint64_t *four; /* address << 32 | place in `all` */
    uint32_t fours;
    struct address *six;
    uint32_t sixes;
    uint32_t *id; /* [place in `all`] */
};

static int
list_addresses(const struct join *j, struct addresses_of *a)
{
    uint64_t most = 0;
    for (size_t k = 0; k < j->parts; k++) {
        most += j->part[k].u->sources;
    }
    if (most > UINT32_MAX / 2) {
        return BH_ELIMIT;
    }
    a->all = calloc(most + 1, sizeof *a->all);
    a->four = malloc((most + 1) * sizeof *a->four);
    a->six = malloc((most + 1) * sizeof *a->six);
    a->id = malloc((most + 1) * sizeof *a->id);
    if (a->all == NULL || a->four == NULL || a->six == NULL || a->id == NULL) {
        return -ENOMEM;
    }
    for (size_t k = 0; k < j->parts; k++) {
        const struct bh_rollup *u = j->part[k].u;
        uint32_t silent = 0;
        for (uint32_t i = 0; i < u->sources; i++) {
            struct address *x = &a->all[a->count];
            a->id[a->count] = UINT32_MAX;
            x->at = a->count++;
            if (silent < u->silent.count && u->silent.id[silent] == i) {
                silent++;
                continue;
            }
            uint16_t country;
            bh_rollup_source(u, i, &x->family, &x->hi, &x->lo, &country);
            x->country = j->part[k].country[country];
            if (x->family == 4) {
                a->four[a->fours++] = x->lo << 32 | x->at;
            } else {
                a->six[a->sixes++] = *x;
            }
        }
    }
    return 0;
}

static int
compare_six(const void *p, const void *q)
{
    const struct address *a = p, *b = q;
    return a->country != b->country ? (a->country < b->country ? -1 : 1)
           : a->hi != b->hi         ? (a->hi < b->hi ? -1 : 1)
           : a->lo != b->lo         ? (a->lo < b->lo ? -1 : 1)
                                    : 0;
}

static int
compare_hi_lo(const void *p, const void *q)
{
    const struct entry *a = p, *b = q;
    return a->hi != b->hi   ? (a->hi < b->hi ? -1 : 1)
           : a->lo != b->lo ? (a->lo < b->lo ? -1 : 1)
                            : 0;
}

/* Distinct IPv4 addresses get their numbers; BH_ELIMIT when one is of two countries. */
static int
number_four(struct join *j, struct addresses_of *a)
{
    uint64_t *v = malloc((a->fours + 1UL) * sizeof *v);
    int r = v == NULL ? -ENOMEM : bh_sort64(a->four, a->fours, 32, 64);
    uint32_t n = 0;
    for (uint32_t i = 0, end; r == 0 && i < a->fours; i = end) {
        const uint16_t country = a->all[(uint32_t)a->four[i]].country;
        for (end = i; end < a->fours && a->four[end] >> 32 == a->four[i] >> 32; end++) {
            r = a->all[(uint32_t)a->four[end]].country != country ? BH_ELIMIT : r;
            a->id[(uint32_t)a->four[end]] = n; /* by address, for now */
        }
        r = n == 1U << NUMBER_BITS ? BH_ELIMIT : r;
        if (r == 0) {
            v[n] = ((uint64_t)country << 32 | a->four[i] >> 32) << NUMBER_BITS | n;
            n++;
        }
    }
    r = r != 0 ? r : bh_sort64(v, n, NUMBER_BITS, 64);
    uint32_t *becomes = malloc((n + 1UL) * sizeof *becomes);
    j->by_address = malloc((n + 1UL) * sizeof *j->by_address);
    r = r == 0 && (becomes == NULL || j->by_address == NULL) ? -ENOMEM : r;
    for (uint32_t k = 0; r == 0 && k < n; k++) {
        const uint32_t number = (uint32_t)v[k] & ((1U << NUMBER_BITS) - 1),
                       lo = (uint32_t)(v[k] >> NUMBER_BITS);
        becomes[number] = k;
        j->by_address[number] = (uint64_t)lo << 32 | k;
        j->dict.entry[k] = (struct entry){ 0, lo, (uint16_t)(v[k] >> 52), 4, 0 };
    }
    for (uint32_t i = 0; r == 0 && i < a->fours; i++) {
        uint32_t *id = &a->id[(uint32_t)a->four[i]];
        *id = becomes[*id];
    }
    j->sources4 = n;
    free(v);
    free(becomes);
    return r;
}

static int
number_six(struct join *j, struct addresses_of *a)
{
    uint32_t n = j->sources4;
    qsort(a->six, a->sixes, sizeof *a->six, compare_six);
    for (uint32_t i = 0; i < a->sixes; i++) {
        const struct address *x = &a->six[i];
        if (i == 0 || compare_six(x, x - 1) != 0) {
            j->dict.entry[n++] = (struct entry){ x->hi, x->lo, x->country, 6, 0 };
        }
        a->id[x->at] = n - 1;
    }
    j->dict.entry_count = j->sources = n;
    /* Of two countries: then one address stands twice. */
    struct entry *sorted = malloc((n - j->sources4 + 1UL) * sizeof *sorted);
    if (sorted == NULL) {
        return -ENOMEM;
    }
    const uint32_t six = n - j->sources4;
    memcpy(sorted, &j->dict.entry[j->sources4], six * sizeof *sorted);
    qsort(sorted, six, sizeof *sorted, compare_hi_lo);
    int r = six > 1U << NUMBER_BITS ? BH_ELIMIT : 0;
    for (uint32_t k = 1; k < six; k++) {
        r = compare_hi_lo(&sorted[k], &sorted[k - 1]) == 0 ? BH_ELIMIT : r;
    }
    free(sorted);
    return r;
}

/* ---- the dictionary ------------------------------------------------------------------------------------------ */

/* Entries of a country and family are a group; there are no frequencies to be told. */
static int
make_groups(struct join *j)
{
    struct dict *d = &j->dict;
    d->group_of = calloc((d->country_count + 1UL) * FAR_SYMBOLS, sizeof *d->group_of);
    d->far_group = calloc(2UL * d->country_count + 1, sizeof *d->far_group);
    j->country = calloc(j->sources + 1UL, sizeof *j->country);
    if (d->group_of == NULL || d->far_group == NULL || j->country == NULL) {
        return -ENOMEM;
    }
    for (uint32_t k = 0, end; k < j->sources; k = end) {
        const struct entry *e = &d->entry[k];
        for (end = k; end < j->sources && d->entry[end].country == e->country &&
                      d->entry[end].family == e->family;
             end++) {
            j->country[end] = e->country;
        }
        d->far_group[d->far_group_count++] = (struct far_group){ .first = k, .count = end - k };
        d->group_of[e->country * FAR_SYMBOLS + (e->family == 4 ? FAR_CLASS4 : FAR_CLASS6)] =
            (uint16_t)d->far_group_count;
    }
    return 0;
}

int
join_sources(struct join *j)
{
    struct addresses_of a = { 0 };
    int r = join_countries(j);
    r = r != 0 ? r : list_addresses(j, &a);
    j->dict.entry = r == 0 ? malloc((a.count + 1UL) * sizeof *j->dict.entry) : NULL;
    r = r == 0 && j->dict.entry == NULL ? -ENOMEM : r;
    r = r != 0 ? r : number_four(j, &a);
    r = r != 0 ? r : number_six(j, &a);
    r = r != 0 ? r : make_groups(j);
    uint32_t first = 0;
    for (size_t k = 0; r == 0 && k < j->parts; k++) {
        const uint32_t n = j->part[k].u->sources;
        j->part[k].id = malloc((n + 1UL) * sizeof *j->part[k].id);
        if (j->part[k].id == NULL) {
            r = -ENOMEM;
            break;
        }
        memcpy(j->part[k].id, a.id + first, n * sizeof *j->part[k].id);
        first += n;
    }
    free(a.all);
    free(a.four);
    free(a.six);
    free(a.id);
    return r;
}

uint32_t
join_find(const struct join *j, const struct bh_ip *ip)
{
    if (ip->family == 4) {
        const uint64_t wanted = bh_get_be32(ip->octets);
        uint32_t low = 0, high = j->sources4;
        while (low < high) {
            const uint32_t middle = low + (high - low) / 2;
            if (j->by_address[middle] >> 32 < wanted) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low < j->sources4 && j->by_address[low] >> 32 == wanted
                   ? (uint32_t)j->by_address[low]
                   : UINT32_MAX;
    }
    for (uint32_t k = j->sources4; k < j->sources; k++) { /* of a few busy ones */
        if (j->dict.entry[k].hi == bh_get_be64(ip->octets) &&
            j->dict.entry[k].lo == bh_get_be64(ip->octets + 8)) {
            return k;
        }
    }
    return UINT32_MAX;
}
