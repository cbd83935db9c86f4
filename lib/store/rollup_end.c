/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a roll-up: sets of the accesses of each day, octets. */
#include "rollup_out_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ---- sources ----------------------------------------------------------------------------------------- */

struct numbered {
    uint16_t *country; /* of each source      */
    uint64_t *bits;    /* a bit for each      */
    size_t words;
};

static int
know_sources(const struct rollup_out *o, struct numbered *n)
{
    const struct dict *d = o->d;
    n->country = malloc((o->sources + 1UL) * sizeof *n->country);
    n->words = o->sources / 64 + 1UL;
    n->bits = calloc(n->words, sizeof *n->bits);
    if (n->country == NULL || n->bits == NULL) {
        return -ENOMEM;
    }
    for (uint32_t k = 0; k < d->entry_count; k++) {
        n->country[k] = d->entry[k].country;
    }
    for (uint32_t k = 0; k < d->once4 + d->once6; k++) {
        n->country[d->entry_count + k] = d->once[k].country;
    }
    return 0;
}

static int
compare_ids(const void *a, const void *b)
{
    uint32_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

/* Rising; each is there once. `bits`: for all sources, zero, and again afterwards. */
static void
sort_ids(struct rollup_list *l, const struct numbered *n)
{
    for (size_t i = 0; i < l->n; i++) {
        n->bits[l->v[i] / 64] |= 1ULL << (l->v[i] & 63);
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
put_common(struct rollup_out *o, const struct numbered *n, const struct rollup_sets *s,
           struct code_work *w, struct bh_buf *body)
{
    const struct dict *d = o->d;
    struct bh_buf raw = { 0 };
    uint64_t last = 0, country = 0;
    for (uint32_t k = 0; k < d->once4 + d->once6; k++) {
        const struct far_once *f = &d->once[k];
        if (k == 0 || k == d->once4) {
            country = last = 0;
        }
        rollup_put_varint(&raw, f->country - country);
        last = f->country != country ? 0 : last;
        country = f->country;
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
    for (uint32_t k = 0; k < o->sources; k++) {
        if (o->source[k].day == 0) {
            raw.failed |= !rollup_push(&silent, k);
        }
    }
    sort_ids(&o->then, n);
    rollup_put_ids(&raw, silent.v, silent.n);
    rollup_put_ids(&raw, o->then.v, o->then.n);
    rollup_put_ids(&raw, s->key, s->frequent);
    free(silent.v);
    rollup_put_raw(w, body, &raw);
    bh_buf_done(&raw);
}

/* A day as sets and rising lists. */
static bool
settle_day(struct rollup_day *d, const struct numbered *n, struct rollup_sets *s)
{
    if (!rollup_sets_add(s, d->access, d->accesses)) {
        return false;
    }
    free(d->access);
    d->access = NULL;
    sort_ids(&d->pinged, n);
    sort_ids(&d->then, n);
    sort_ids(&d->inbound, n);
    if (d->own.n > 0) {
        qsort(d->own.v, d->own.n, sizeof *d->own.v, compare_ids);
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
        if (!settle_day(d, n, s)) {
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
put_all(struct rollup_out *o, const struct numbered *n, struct rollup_sets *s, struct code_work *w,
        struct bh_buf *head, struct bh_buf *body)
{
    struct bh_buf days = { 0 }, index = { 0 };
    code_put32(head, ROLLUP_SECOND_FORM);
    code_put32(head, ROLLUP_WRITTEN);
    code_put64(head, o->rows);
    code_put32(head, o->d->entry_count);
    code_put32(head, o->d->once4);
    code_put32(head, o->d->once6);
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
rollup_end(struct rollup_out *o, uint64_t most, struct code_work *w, struct bh_buf *head,
           struct bh_buf *body)
{
    if (o->reason != ROLLUP_WRITTEN || o->rows == 0) {
        put_reason(head, o->reason == ROLLUP_WRITTEN ? ROLLUP_NO_GAIN : o->reason);
        return head->failed ? -ENOMEM : 0;
    }
    rollup_add_forms(o);
    for (uint32_t k = 0; k < o->sources; k++) {
        if (o->source[k].hour != 0 && !rollup_leave_hour(o, k, &o->source[k])) {
            return -ENOMEM;
        }
    }
    struct numbered n = { 0 };
    struct rollup_sets s = { 0 };
    uint64_t all = 0;
    uint32_t *count = count_services(o, &all);
    int r = count == NULL ? -ENOMEM : know_sources(o, &n);
    r = r != 0 ? r
               : rollup_sets_begin(&s, o->sources, o->d->country_count, (uint32_t)o->days,
                                   n.country, count, all, false);
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
    free(n.country);
    free(n.bits);
    return r == BH_ELIMIT ? 0 : r;
}
