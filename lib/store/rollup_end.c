/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a roll-up: numbers of sources as they stay, sets of the accesses of each day, octets. */
#include "rollup_out_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ---- numbers of sources ---------------------------------------------------------------------------------- */

/* Sources that stand here are numbered by family, country and address, behind the entries. */
struct once_item {
    uint32_t far, number; /* as it was numbered */
    const struct rollup_out *o;
};

static int
compare_once(const void *a, const void *b)
{
    const struct once_item *p = a, *q = b;
    const struct far *x = &p->o->t->far[p->far], *y = &q->o->t->far[q->far];
    const unsigned cx = p->o->d->country_code[x->country], cy = p->o->d->country_code[y->country];
    return x->family != y->family ? (x->family < y->family ? -1 : 1)
           : cx != cy             ? (cx < cy ? -1 : 1)
           : x->hi != y->hi       ? (x->hi < y->hi ? -1 : 1)
           : x->lo != y->lo       ? (x->lo < y->lo ? -1 : 1)
                                  : 0;
}

#define ONCE_BITS 22U /* beside 10 of the country and 32 of an IPv4 address */

/* IPv4 ones as numbers: country, address, how it was numbered. */
static int
sort_once4(const struct rollup_out *o, struct once_item *once, uint32_t n)
{
    uint64_t *v = malloc((n + 1UL) * sizeof *v);
    if (v == NULL) {
        return -ENOMEM;
    }
    for (uint32_t k = 0; k < n; k++) {
        const struct far *f = &o->t->far[once[k].far];
        v[k] = ((uint64_t)o->d->country_code[f->country] << 32 | f->lo) << ONCE_BITS | once[k].number;
    }
    const int r = bh_sort64(v, n, ONCE_BITS, 64);
    for (uint32_t k = 0; r == 0 && k < n; k++) {
        const uint32_t number = (uint32_t)v[k] & ((1U << ONCE_BITS) - 1);
        once[k] = (struct once_item){ o->far_of_once[number], number, o };
    }
    free(v);
    return r;
}

struct numbered {
    struct once_item *once; /* sorted                                  */
    uint32_t *number;       /* of those behind the entries: what they become */
    uint16_t *country;      /* of all                                  */
    uint32_t once4;
    uint64_t *bits; /* a bit for each source */
    size_t words;
};

static int
number_sources(const struct rollup_out *o, struct numbered *n)
{
    const uint32_t entries = o->d->entry_count;
    n->once = malloc((o->once + 1UL) * sizeof *n->once);
    n->number = malloc((o->once + 1UL) * sizeof *n->number);
    n->country = calloc(entries + o->once + 1UL, sizeof *n->country);
    n->words = (entries + (size_t)o->once) / 64 + 1;
    n->bits = calloc(n->words, sizeof *n->bits);
    if (n->once == NULL || n->number == NULL || n->country == NULL || n->bits == NULL) {
        return -ENOMEM;
    }
    uint32_t six = o->once;
    for (uint32_t k = o->once; k-- > 0;) { /* IPv4 ones first */
        const struct once_item x = { o->far_of_once[k], k, o };
        if (o->t->far[x.far].family == 4) {
            n->once[n->once4++] = x;
        } else {
            n->once[--six] = x;
        }
    }
    const bool small = o->once <= 1U << ONCE_BITS && o->d->country_count <= 1024;
    int r = small ? sort_once4(o, n->once, n->once4) : 0;
    const uint32_t sorted = small ? n->once4 : 0;
    if (r == 0 && o->once > sorted) {
        qsort(n->once + sorted, o->once - sorted, sizeof *n->once, compare_once);
    }
    for (uint32_t k = 0; r == 0 && k < o->once; k++) {
        n->number[n->once[k].number] = entries + k;
        n->country[entries + k] = o->d->far_out[n->once[k].far].country;
    }
    for (uint32_t k = 0; k < entries; k++) {
        n->country[k] = o->d->entry[k].country;
    }
    return r;
}

static int
compare_ids(const void *a, const void *b)
{
    uint32_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

/* Numbers that stay, rising; each is there once. `bits`: for all sources, zero, and again afterwards. */
static void
renumber(struct rollup_list *l, const struct numbered *n, uint32_t entries)
{
    for (size_t i = 0; i < l->n; i++) {
        const uint32_t id = l->v[i] < entries ? l->v[i] : n->number[l->v[i] - entries];
        n->bits[id / 64] |= 1ULL << (id & 63);
    }
    size_t kept = 0;
    for (size_t k = 0; l->n > 0 && k < n->words; k++) {
        for (uint64_t x = n->bits[k]; x != 0; x &= x - 1) {
            l->v[kept++] = (uint32_t)(k * 64) + (uint32_t)__builtin_ctzll(x);
        }
        n->bits[k] = 0;
    }
}

/* ---- parts ---------------------------------------------------------------------------------------------------- */

/* Addresses that stand nowhere else, and which services are frequent. */
static void
put_common(struct rollup_out *o, const struct numbered *n, const struct rollup_sets *s, struct code_work *w,
           struct bh_buf *body)
{
    struct bh_buf raw = { 0 };
    uint64_t last = 0, country = 0;
    for (uint32_t k = 0; k < o->once; k++) {
        const struct far *f = &o->t->far[n->once[k].far];
        const uint64_t c = o->d->country_code[f->country];
        if (k == 0 || k == n->once4) {
            country = last = 0;
        }
        rollup_put_varint(&raw, c - country);
        last = c != country ? 0 : last;
        country = c;
        if (f->family == 4) {
            rollup_put_varint(&raw, f->lo - last);
            last = f->lo;
        } else {
            code_put64(&raw, f->hi);
            code_put64(&raw, f->lo);
        }
    }
    for (uint32_t k = 0; k < o->own_count; k++) {
        code_put8(&raw, o->own[k].family);
        bh_buf_add(&raw, o->own[k].octets, sizeof o->own[k].octets);
    }
    struct rollup_list silent = { 0 };
    const uint32_t sources = o->d->entry_count + o->once;
    for (uint32_t k = 0; k < sources; k++) {
        if (k >= o->source_cap || o->source[k].day == 0) {
            raw.failed |= !rollup_push(&silent, k);
        }
    }
    renumber(&silent, n, o->d->entry_count);
    renumber(&o->then, n, o->d->entry_count);
    rollup_put_ids(&raw, silent.v, silent.n);
    rollup_put_ids(&raw, o->then.v, o->then.n);
    rollup_put_ids(&raw, s->key, s->frequent);
    free(silent.v);
    rollup_put_raw(w, body, &raw);
    bh_buf_done(&raw);
}

/* A day with the numbers of sources that stay. */
static bool
settle_day(struct rollup_out *o, struct rollup_day *d, const struct numbered *n, struct rollup_sets *s)
{
    const uint32_t entries = o->d->entry_count;
    for (size_t i = 0; i < d->accesses; i++) {
        const uint32_t id = (uint32_t)d->access[i];
        d->access[i] += id < entries ? 0 : n->number[id - entries] - (uint64_t)id;
    }
    if (!rollup_sets_add(s, d->access, d->accesses)) {
        return false;
    }
    free(d->access);
    d->access = NULL;
    renumber(&d->pinged, n, entries);
    renumber(&d->then, n, entries);
    renumber(&d->inbound, n, entries);
    if (d->own.n > 0) {
        qsort(d->own.v, d->own.n, sizeof *d->own.v, compare_ids);
    }
    for (size_t b = 0; b < d->bursts; b++) {
        const uint32_t id = d->burst[b].source;
        d->burst[b].source = id < entries ? id : n->number[id - entries];
    }
    /* `inbound` becomes those that neither knocked nor pinged. */
    size_t kept = 0, p = 0;
    for (size_t i = 0; i < d->inbound.n; i++) {
        const uint32_t id = d->inbound.v[i];
        while (p < d->pinged.n && d->pinged.v[p] < id) {
            p++;
        }
        if (s->total[id] == 0 && (p == d->pinged.n || d->pinged.v[p] != id)) {
            d->inbound.v[kept++] = id;
        }
    }
    d->inbound.n = kept;
    for (uint32_t k = 0; k < s->sources; k++) {
        d->knocked += s->total[k] > 0;
    }
    return true;
}

static int
put_days(struct rollup_out *o, const struct numbered *n, struct rollup_sets *s, struct code_work *w,
         struct bh_buf *head, struct bh_buf *body)
{
    for (size_t k = 0, first = 0, end; k < o->days; k++, first = end) {
        struct rollup_day *d = &o->day[k];
        for (end = first; end < o->hours && o->hour[end].start_ns < d->end_ns; end++) {
        }
        rollup_sets_unit(s, (uint32_t)k);
        if (!settle_day(o, d, n, s)) {
            return -ENOMEM;
        }
        code_put64(head, (uint64_t)d->start_ns);
        code_put64(head, (uint64_t)d->end_ns);
        code_put64(head, d->sums.rows);
        size_t at = body->len;
        rollup_put_day(w, body, d, &o->hour[first], end - first, o->d->country_count);
        rollup_put_part(head, body, at);
        at = body->len;
        rollup_sets_put_who(s, w, body);
        rollup_put_part(head, body, at);
        at = body->len;
        rollup_sets_put(s, w, body);
        rollup_put_part(head, body, at);
    }
    return 0;
}

/* The parts of all days stand behind those of each, and are told before them. */
static int
put_all(struct rollup_out *o, const struct numbered *n, struct rollup_sets *s, struct code_work *w, struct bh_buf *head,
        struct bh_buf *body)
{
    struct bh_buf days = { 0 }, index = { 0 };
    code_put32(head, ROLLUP_SECOND_FORM);
    code_put32(head, ROLLUP_WRITTEN);
    code_put64(head, o->rows);
    code_put32(head, o->d->entry_count);
    code_put32(head, n->once4);
    code_put32(head, o->once - n->once4);
    code_put32(head, o->own_count);
    code_put32(head, (uint32_t)o->days);
    size_t at = body->len;
    put_common(o, n, s, w, body);
    rollup_put_part(head, body, at);
    int r = put_days(o, n, s, w, &days, body);
    at = body->len;
    r = r != 0 ? r : rollup_sets_put_rare(s, w, &index, body);
    const size_t rare_end = body->len;
    bh_buf_add(body, index.data == NULL ? "" : index.data, index.len);
    rollup_put_part(head, body, rare_end);
    struct bh_buf rare = { .data = body->data, .len = rare_end, .failed = body->failed };
    rollup_put_part(head, &rare, at);
    bh_buf_add(head, days.data == NULL ? "" : days.data, days.len);
    const bool failed = head->failed || body->failed || days.failed || index.failed;
    bh_buf_done(&days);
    bh_buf_done(&index);
    return r != 0 ? r : failed ? -ENOMEM : 0;
}

/* A segment without one: why. */
static void
put_reason(struct bh_buf *head, enum rollup_reason reason)
{
    head->len = 0;
    code_put32(head, 0);
    code_put32(head, reason);
}

/* How often each service was asked for. */
static uint32_t *
count_services(const struct rollup_out *o, uint64_t *ret_all)
{
    uint32_t *count = calloc(ROLLUP_KEYS, sizeof *count);
    for (size_t k = 0; k < o->days && count != NULL; k++) {
        const struct rollup_day *d = &o->day[k];
        for (size_t i = 0; i < d->accesses; i++) {
            count[d->access[i] >> 35]++;
        }
        *ret_all += d->accesses;
    }
    return count;
}

int
rollup_end(struct rollup_out *o, uint64_t most, struct code_work *w, struct bh_buf *head, struct bh_buf *body)
{
    if (o->reason != ROLLUP_WRITTEN || o->rows == 0) {
        put_reason(head, o->reason == ROLLUP_WRITTEN ? ROLLUP_NO_GAIN : o->reason);
        return head->failed ? -ENOMEM : 0;
    }
    rollup_add_forms(o);
    for (uint32_t k = 0; k < o->source_cap; k++) {
        if (o->source[k].hour_ns != INT64_MIN && !rollup_leave_hour(o, k, &o->source[k])) {
            return -ENOMEM;
        }
    }
    struct numbered n = { 0 };
    struct rollup_sets s = { 0 };
    uint64_t all = 0;
    uint32_t *count = count_services(o, &all);
    int r = count == NULL ? -ENOMEM : number_sources(o, &n);
    r = r != 0 ? r
               : rollup_sets_begin(&s, o->d->entry_count + o->once, o->d->country_count, (uint32_t)o->days, n.country, count, all, false);
    if (r == BH_ELIMIT) {
        put_reason(head, ROLLUP_MANY);
    } else {
        r = r != 0 ? r : put_all(o, &n, &s, w, head, body);
        if (r == 0 && body->len > most) {
            body->len = 0;
            put_reason(head, ROLLUP_NO_GAIN);
        }
    }
    rollup_sets_done(&s);
    free(count);
    free(n.once);
    free(n.number);
    free(n.country);
    free(n.bits);
    return r == BH_ELIMIT ? 0 : r;
}
