/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_diff.c - what moved between two databases.
 *
 * Values are numbers of one database only, so both are given numbers of labels ("JP") first. Then both are
 * walked at once; where the labels differ the space has moved. A move's prefixes are the fewest that hold
 * each maximal stretch of one (from, to), as kobold_networks.c cuts them.
 */
#include "kobold_export.h"

#include <errno.h>
#include <stdlib.h>

#define LABELS_MAX (2 * KOBOLD_VALUES_MAX)

typedef char label[48];

/* A cell of the matrix from x to. */
struct cell {
    uint64_t v4_addresses, v4_networks, v6_networks;
    bh_u128 v6_addresses;
};

struct side {
    const kobold *k;
    uint16_t label_of[KOBOLD_VALUES_MAX];
};

struct diff {
    struct side side[2];
    label *labels;
    uint8_t *is_listed; /* by label: the country data say it */
    uint8_t *is_special;
    size_t label_count;
    struct cell *cell; /* label_count squared */
    bool is_common;
};

/* ---- labels ---------------------------------------------------------------------------------------- */

static int
compare_labels(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void
collect_labels(struct diff *d)
{
    size_t n = 0;
    for (int s = 0; s < 2; s++) {
        for (unsigned v = 0; v < kobold_value_count(d->side[s].k); v++) {
            kobold_value_label(d->side[s].k, (uint16_t)v, d->labels[n++]);
        }
    }
    qsort(d->labels, n, sizeof *d->labels, compare_labels);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || strcmp(d->labels[kept - 1], d->labels[i]) != 0) {
            memmove(d->labels[kept++], d->labels[i], sizeof *d->labels);
        }
    }
    d->label_count = kept;
}

static void
number_values(struct diff *d)
{
    for (int s = 0; s < 2; s++) {
        struct side *side = &d->side[s];
        for (unsigned v = 0; v < kobold_value_count(side->k); v++) {
            struct kobold_value info;
            label text;
            kobold_value_label(side->k, (uint16_t)v, text);
            label *found =
                bsearch(text, d->labels, d->label_count, sizeof *d->labels, compare_labels);
            size_t n = (size_t)(found - d->labels);
            side->label_of[v] = (uint16_t)n;
            bool is_known = kobold_value_info(side->k, (uint16_t)v, &info);
            d->is_special[n] |= is_known && info.kind == KOBOLD_SPECIAL;
            d->is_listed[n] |=
                is_known && info.kind != KOBOLD_SPECIAL && info.kind != KOBOLD_UNALLOCATED;
        }
    }
}

/* ---- both at once ----------------------------------------------------------------------------------- */

struct both {
    struct diff *d;
    struct kobold_stretch open; /* of one (from, to) */
    uint16_t from, to;
    bool is_open;
};

static int
count_network(void *arg, int family, const struct kobold_network *n, uint16_t value)
{
    (void)family;
    (void)n;
    (void)value;
    ++*(uint64_t *)arg;
    return 0;
}

static void
count_stretch(const struct both *b, int family)
{
    const struct kobold_stretch *s = &b->open;
    struct cell *c = &b->d->cell[(size_t)b->from * b->d->label_count + b->to];
    if (family == 4) {
        c->v4_addresses += s->last_lo - s->first_lo + 1;
    } else {
        bh_u128 first = (bh_u128)s->first_hi << 64 | s->first_lo;
        bh_u128 last = (bh_u128)s->last_hi << 64 | s->last_lo;
        c->v6_addresses += last - first + 1;
    }
    kobold_networks_of(family, s, count_network, family == 4 ? &c->v4_networks : &c->v6_networks);
}

static bool
is_counted(const struct diff *d, uint16_t from, uint16_t to)
{
    bool is_special = d->is_special[from] || d->is_special[to];
    return !is_special && (!d->is_common || (d->is_listed[from] && d->is_listed[to]));
}

static void
span_at(const struct side *s, int family, uint64_t hi, uint64_t lo, struct kobold_stretch *ret)
{
    if (family == 4) {
        uint32_t last;
        ret->value = s->label_of[kobold_v4_span(s->k, (uint32_t)lo, &last)];
        ret->last_hi = 0;
        ret->last_lo = last;
    } else {
        uint16_t value = kobold_v6_span(s->k, hi, lo, &ret->last_hi, &ret->last_lo);
        ret->value = s->label_of[value];
    }
}

static bool
is_before(const struct kobold_stretch *a, const struct kobold_stretch *b)
{
    return a->last_hi < b->last_hi || (a->last_hi == b->last_hi && a->last_lo < b->last_lo);
}

static void
walk_both(struct diff *d, int family)
{
    struct both b = { .d = d };
    struct kobold_stretch span[2] = { { 0 }, { 0 } };
    uint64_t hi = 0;
    uint64_t lo = 0;
    span_at(&d->side[0], family, hi, lo, &span[0]);
    span_at(&d->side[1], family, hi, lo, &span[1]);
    for (;;) {
        uint16_t from = span[0].value;
        uint16_t to = span[1].value;
        if (b.is_open && (from != b.from || to != b.to)) {
            count_stretch(&b, family);
            b.is_open = false;
        }
        const struct kobold_stretch *shorter = is_before(&span[1], &span[0]) ? &span[1] : &span[0];
        if (!b.is_open && is_counted(d, from, to)) {
            b.open.first_hi = hi;
            b.open.first_lo = lo;
            b.from = from;
            b.to = to;
            b.is_open = true;
        }
        b.open.last_hi = shorter->last_hi;
        b.open.last_lo = shorter->last_lo;
        hi = family == 4 ? 0 : shorter->last_hi + (shorter->last_lo == UINT64_MAX);
        lo = shorter->last_lo + 1;
        bool is_end = family == 4 ? lo > UINT32_MAX : hi == 0 && lo == 0;
        if (is_end) {
            break;
        }
        bool ends[2] = { !is_before(&span[1], &span[0]), !is_before(&span[0], &span[1]) };
        for (int s = 0; s < 2; s++) {
            if (ends[s]) {
                span_at(&d->side[s], family, hi, lo, &span[s]);
            }
        }
    }
    if (b.is_open) {
        count_stretch(&b, family);
    }
}

/* ---- the result ------------------------------------------------------------------------------------- */

#define V6_48 80 /* bits of a /48 */

static int
compare_moves(const void *pa, const void *pb)
{
    const struct kobold_move *a = pa;
    const struct kobold_move *b = pb;
    if (a->v4_addresses != b->v4_addresses) {
        return a->v4_addresses > b->v4_addresses ? -1 : 1;
    }
    if (a->v6_48s != b->v6_48s) {
        return a->v6_48s > b->v6_48s ? -1 : 1;
    }
    int c = strcmp(a->from, b->from);
    return c != 0 ? c : strcmp(a->to, b->to);
}

static void
fill_moves(const struct diff *d, struct kobold_diff *r)
{
    bh_u128 v6_total = 0;
    for (size_t from = 0; from < d->label_count; from++) {
        for (size_t to = 0; to < d->label_count; to++) {
            const struct cell *c = &d->cell[from * d->label_count + to];
            if (from == to || (c->v4_networks == 0 && c->v6_networks == 0)) {
                continue;
            }
            struct kobold_move *m = &r->moves[r->move_count++];
            memcpy(m->from, d->labels[from], sizeof m->from);
            memcpy(m->to, d->labels[to], sizeof m->to);
            m->v4_addresses = c->v4_addresses;
            m->v4_networks = c->v4_networks;
            m->v6_48s = (uint64_t)(c->v6_addresses >> V6_48);
            m->v6_networks = c->v6_networks;
            r->total.v4_addresses += c->v4_addresses;
            r->total.v4_networks += c->v4_networks;
            r->total.v6_networks += c->v6_networks;
            v6_total += c->v6_addresses;
        }
    }
    r->total.v6_48s = (uint64_t)(v6_total >> V6_48);
    qsort(r->moves, r->move_count, sizeof *r->moves, compare_moves);
}

static void
fill_balances(const struct diff *d, struct kobold_diff *r)
{
    for (size_t i = 0; i < d->label_count; i++) {
        if (d->is_special[i]) {
            continue;
        }
        struct kobold_balance *b = &r->balances[r->balance_count];
        bh_u128 before = 0, after = 0, gained = 0, lost = 0;
        memcpy(b->label, d->labels[i], sizeof b->label);
        for (size_t j = 0; j < d->label_count; j++) {
            const struct cell *out = &d->cell[i * d->label_count + j];
            const struct cell *in = &d->cell[j * d->label_count + i];
            b->v4_before += out->v4_addresses;
            b->v4_after += in->v4_addresses;
            before += out->v6_addresses;
            after += in->v6_addresses;
            if (i != j) {
                b->v4_lost += out->v4_addresses;
                b->v4_gained += in->v4_addresses;
                lost += out->v6_addresses;
                gained += in->v6_addresses;
            }
        }
        b->v6_before = (uint64_t)(before >> V6_48);
        b->v6_after = (uint64_t)(after >> V6_48);
        b->v6_gained = (uint64_t)(gained >> V6_48);
        b->v6_lost = (uint64_t)(lost >> V6_48);
        r->balance_count += before != 0 || after != 0 || b->v4_before != 0 || b->v4_after != 0;
    }
}

static size_t
count_moves(const struct diff *d)
{
    size_t n = 0;
    for (size_t i = 0; i < d->label_count * d->label_count; i++) {
        bool is_stay = i / d->label_count == i % d->label_count;
        n += !is_stay && (d->cell[i].v4_networks != 0 || d->cell[i].v6_networks != 0);
    }
    return n;
}

static void
diff_done(struct diff *d)
{
    free(d->labels);
    free(d->is_listed);
    free(d->is_special);
    free(d->cell);
}

int
kobold_diff_new(const kobold *before, const kobold *after, bool common, struct kobold_diff **ret,
                struct bh_error *err)
{
    struct diff d = { .side = { { .k = before }, { .k = after } }, .is_common = common };
    struct kobold_diff *r = calloc(1, sizeof *r);
    d.labels = calloc(LABELS_MAX, sizeof *d.labels);
    d.is_listed = calloc(LABELS_MAX, 1);
    d.is_special = calloc(LABELS_MAX, 1);
    if (r == NULL || d.labels == NULL || d.is_listed == NULL || d.is_special == NULL) {
        goto fail;
    }
    collect_labels(&d);
    number_values(&d);
    d.cell = calloc(bh_size_mul(d.label_count, d.label_count), sizeof *d.cell);
    if (d.cell == NULL) {
        goto fail;
    }
    walk_both(&d, 4);
    walk_both(&d, 6);
    r->moves = calloc(count_moves(&d) + 1, sizeof *r->moves);
    r->balances = calloc(d.label_count + 1, sizeof *r->balances);
    if (r->moves == NULL || r->balances == NULL) {
        goto fail;
    }
    fill_moves(&d, r);
    fill_balances(&d, r);
    diff_done(&d);
    *ret = r;
    return 0;
fail:
    diff_done(&d);
    kobold_diff_free(r);
    return bh_error_errno(err, ENOMEM, "", "cannot compare", "比較できません");
}

void
kobold_diff_free(struct kobold_diff *d)
{
    if (d != NULL) {
        free(d->moves);
        free(d->balances);
        free(d);
    }
}
