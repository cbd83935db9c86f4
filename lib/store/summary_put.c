/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making the summary of a segment: a pass over the rows of each chunk that sets a mark for whatever is
 * met, and lists of these marks at the end. About a nanosecond a row and column, as services and countries have been
 * looked up by who coded the chunk, and the bounds of far ends by who took its rows.
 */
#include "summary_priv.h"

#include <errno.h>
#include <stdlib.h>

struct summary_out {
    const struct dict *d;
    const struct terms *t;
    uint8_t *shape_odd; /* [shape]: 0 not looked at, 1 no, 2 yes */
    uint32_t shapes;
    uint16_t *term_of_group; /* [index in the dictionary]: term + 1 of rows without a service */
    uint32_t group[SUMMARY_TERMS_MAX];
    uint32_t terms;
    bool many; /* terms */
    bool has_port[CODES];
    uint32_t blocks;
    /* Of all blocks, one after the other. */
    struct bh_buf bits[2], countries, outcomes, other_low, far[4], ports, port_counts;
    /* Of the chunk at hand. */
    uint8_t seen[2][SUMMARY_TERMS_MAX], seen_country[SUMMARY_COUNTRIES_MAX];
    uint64_t seen_port[65536 / 64];
};

bool
segsum_is_odd(const struct form *f)
{
    return (f->marks & (BH_MARK_NO_PORTS | BH_MARK_FRAGMENT | BH_MARK_MALFORMED)) != 0 ||
           f->reason != BH_REASON_NONE;
}

int
segsum_begin(const struct dict *d, const struct terms *t, struct summary_out **ret)
{
    struct summary_out *o = calloc(1, sizeof *o);
    if (o == NULL) {
        return -ENOMEM;
    }
    *ret = o;
    o->d = d;
    o->t = t;
    o->terms = d->service_count;
    o->many = d->country_count > SUMMARY_COUNTRIES_MAX;
    o->term_of_group = calloc(d->group_count + 1UL, sizeof *o->term_of_group);
    for (uint32_t k = 0; k < d->service_count; k++) {
        o->group[k] = d->group[d->service[k].group];
        o->has_port[k] = d->service[k].port == PORT_ANY;
    }
    o->has_port[CODE_OTHER] = true;
    return o->term_of_group == NULL ? -ENOMEM : 0;
}

void
segsum_free(struct summary_out *o)
{
    if (o == NULL) {
        return;
    }
    free(o->shape_odd);
    free(o->term_of_group);
    bh_buf_done(&o->bits[0]);
    bh_buf_done(&o->bits[1]);
    bh_buf_done(&o->countries);
    bh_buf_done(&o->outcomes);
    bh_buf_done(&o->other_low);
    for (unsigned k = 0; k < BH_COUNT(o->far); k++) {
        bh_buf_done(&o->far[k]);
    }
    bh_buf_done(&o->ports);
    bh_buf_done(&o->port_counts);
    free(o);
}

/* ---- a chunk -------------------------------------------------------------------------------------- */

static int
know_shapes(struct summary_out *o)
{
    const uint32_t n = o->t->shape.count;
    if (o->shapes >= n && o->shape_odd != NULL) {
        return 0;
    }
    uint8_t *p = realloc(o->shape_odd, n + 1UL);
    if (p == NULL) {
        return -ENOMEM;
    }
    for (uint32_t k = o->shapes; k < n; k++) {
        p[k] = segsum_is_odd(&o->t->form[shape_form(o->t->shape.key[k])]);
    }
    o->shape_odd = p;
    o->shapes = n;
    return 0;
}

static uint32_t
term_of(struct summary_out *o, uint32_t group)
{
    uint16_t *term = &o->term_of_group[group];
    if (*term == 0 && o->terms < SUMMARY_TERMS_MAX) {
        o->group[o->terms++] = o->d->group[group];
        *term = (uint16_t)o->terms;
    }
    o->many |= *term == 0;
    return *term == 0 ? 0 : *term - 1U;
}

static void
see_services(struct summary_out *o, const struct chunk *c, const struct block_work *w)
{
    const struct dict *d = o->d;
    memset(o->seen, 0, sizeof o->seen);
    memset(o->seen_port, 0, sizeof o->seen_port);
    for (uint32_t i = 0; i < c->rows; i++) {
        const uint8_t code = w->service[i];
        const uint32_t term =
            code != CODE_OTHER ? code : term_of(o, d->service_group[c->service[i]]);
        o->seen[o->shape_odd[c->shape[i]]][term] = 1;
        if (o->has_port[code]) {
            o->seen_port[c->port[i] / 64] |= 1ULL << (c->port[i] % 64);
        }
    }
}

static void
see_countries(struct summary_out *o, uint32_t rows, const struct block_work *w)
{
    memset(o->seen_country, 0, sizeof o->seen_country);
    for (uint32_t i = 0; i < rows; i++) {
        o->seen_country[w->country[i]] = 1;
    }
}

static unsigned
see_outcomes(const struct chunk *c, uint8_t other_low[SUMMARY_OTHER_LOW / 8])
{
    unsigned outcomes = 0;
    for (uint32_t i = 0; i < c->rows; i++) {
        outcomes |= c->stream[i] == STREAM_KNOCK ? 1U << c->outcome[i] : 0U;
        if (BH_UNLIKELY(c->other[i] < SUMMARY_OTHER_LOW) && c->stream[i] <= STREAM_UDP) {
            other_low[c->other[i] / 8] |= (uint8_t)(1U << (c->other[i] % 8));
        }
    }
    return outcomes;
}

static void
put_bits(struct bh_buf *out, const uint8_t *seen, uint32_t n)
{
    for (uint32_t k = 0; k < n; k += 8) {
        unsigned octet = 0;
        for (unsigned i = 0; i < 8 && k + i < n; i++) {
            octet |= (unsigned)seen[k + i] << i;
        }
        code_put8(out, (uint8_t)octet);
    }
}

/* Each as the difference from the one before. */
static void
put_ports(struct summary_out *o)
{
    uint32_t n = 0;
    for (unsigned k = 0; k < BH_COUNT(o->seen_port); k++) {
        n += (uint32_t)__builtin_popcountll(o->seen_port[k]);
    }
    code_put32(&o->port_counts, n <= SUMMARY_PORTS_MAX ? n : SUMMARY_ANY);
    uint32_t last = 0;
    for (uint32_t port = 0; port < 65536 && n <= SUMMARY_PORTS_MAX && n > 0; port++) {
        if ((o->seen_port[port / 64] >> (port % 64) & 1) != 0) {
            code_put32(&o->ports, port - last);
            last = port;
        }
    }
}

int
segsum_add(struct summary_out *o, const struct chunk *c, const struct block_work *w)
{
    uint8_t other_low[SUMMARY_OTHER_LOW / 8] = { 0 };
    const uint32_t far[4] = { c->far_least[0], c->far_most[0], c->far_least[1], c->far_most[1] };
    if (know_shapes(o) != 0) {
        return -ENOMEM;
    }
    o->blocks++;
    if (o->many) {
        return 0;
    }
    see_services(o, c, w);
    see_countries(o, c->rows, w);
    code_put8(&o->outcomes, (uint8_t)see_outcomes(c, other_low));
    bh_buf_add(&o->other_low, other_low, sizeof other_low);
    put_bits(&o->bits[0], o->seen[0], SUMMARY_TERMS_MAX);
    put_bits(&o->bits[1], o->seen[1], SUMMARY_TERMS_MAX);
    put_bits(&o->countries, o->seen_country, o->d->country_count);
    for (unsigned k = 0; k < 4; k++) {
        code_put32(&o->far[k], far[k]);
    }
    put_ports(o);
    return 0;
}

/* ---- the end ---------------------------------------------------------------------------------------- */

/* Our own addresses as a few ranges: neighbours that are close together. A range that is too wide costs
 * nothing but skipping. */
#define NEAR_GAP 256U

static void
put_near4(const struct dict *d, struct code_work *w, struct bh_buf *out)
{
    struct bh_range4 range[SUMMARY_NEAR_MAX];
    uint32_t n = 0, v[SUMMARY_NEAR_MAX];
    bool fits = !d->near_direct;
    for (uint32_t k = 0; k < d->near_count && fits; k++) { /* IPv4 ones are sorted */
        const uint32_t a = (uint32_t)d->near[k].lo;
        if (d->near[k].family != 4) {
            continue;
        }
        if (n > 0 && a >= range[n - 1].last && a - range[n - 1].last <= NEAR_GAP) {
            range[n - 1].last = a;
        } else if (n < SUMMARY_NEAR_MAX) {
            range[n++] = (struct bh_range4){ a, a };
        } else {
            fits = false;
        }
    }
    code_put16(out, (uint16_t)(fits ? n : SUMMARY_ANY));
    for (unsigned part = 0; part < 2 && fits; part++) {
        for (uint32_t k = 0; k < n; k++) {
            v[k] = part == 0 ? range[k].first : range[k].last;
        }
        code_put_numbers(w, out, v, n);
    }
}

static void
put_near6(const struct dict *d, struct code_work *w, struct bh_buf *out)
{
    struct bh_range6 range[SUMMARY_NEAR_MAX];
    uint32_t n = 0, v[SUMMARY_NEAR_MAX];
    bool fits = !d->near_direct;
    for (uint32_t k = 0; k < d->near_count && fits; k++) {
        const struct near *a = &d->near[k];
        if (a->family != 6) {
            continue;
        }
        if (n > 0 && a->hi == range[n - 1].hi && a->lo >= range[n - 1].last &&
            a->lo - range[n - 1].last <= NEAR_GAP) {
            range[n - 1].last = a->lo;
        } else if (n < SUMMARY_NEAR_MAX) {
            range[n++] = (struct bh_range6){ a->hi, a->lo, a->lo };
        } else {
            fits = false;
        }
    }
    code_put16(out, (uint16_t)(fits ? n : SUMMARY_ANY));
    for (unsigned part = 0; part < 6 && fits; part++) { /* the upper halves first */
        for (uint32_t k = 0; k < n; k++) {
            const uint64_t x = part < 2 ? range[k].hi : part < 4 ? range[k].first : range[k].last;
            v[k] = (uint32_t)(part % 2 == 0 ? x >> 32 : x);
        }
        code_put_numbers(w, out, v, n);
    }
}

/* A list of octets with its size before it. */
static void
put_stream(struct code_work *w, struct bh_buf *out, const struct bh_buf *raw)
{
    code_put32(out, (uint32_t)raw->len);
    code_put_octets(w, out, raw->data == NULL ? (const uint8_t *)"" : (const uint8_t *)raw->data,
                    raw->len);
    out->failed |= raw->failed;
}

static void
put_numbers(struct code_work *w, struct bh_buf *out, const struct bh_buf *raw)
{
    const size_t n = raw->len / 4;
    uint32_t *v = malloc((n + 16) * sizeof *v);
    for (size_t k = 0; v != NULL && k < n; k++) {
        v[k] = bh_get_le32((const uint8_t *)raw->data + 4 * k);
    }
    if (v != NULL && !raw->failed) {
        code_put_long(w, out, v, n);
    } else {
        out->failed = true;
    }
    free(v);
}

/* Only as many terms as there are in the end. */
static void
put_terms_of_blocks(struct summary_out *o, unsigned odd, struct code_work *w, struct bh_buf *out)
{
    struct bh_buf raw = { 0 };
    const uint8_t *bits = (const uint8_t *)o->bits[odd].data;
    for (uint32_t b = 0; b < o->blocks && !o->bits[odd].failed; b++) {
        bh_buf_add(&raw, bits + (size_t)b * (SUMMARY_TERMS_MAX / 8), (o->terms + 7) / 8);
    }
    raw.failed |= o->bits[odd].failed;
    put_stream(w, out, &raw);
    bh_buf_done(&raw);
}

static void
put_body(struct summary_out *o, struct code_work *w, struct bh_buf *body)
{
    struct bh_buf countries = { 0 };
    uint32_t port[SUMMARY_TERMS_MAX];
    dict_put_countries(o->d, &countries);
    put_stream(w, body, &countries);
    bh_buf_done(&countries);
    for (uint32_t k = 0; k < o->terms; k++) {
        port[k] = k < o->d->service_count ? o->d->service[k].port : PORT_ANY;
    }
    code_put16(body, (uint16_t)o->terms);
    code_put16(body, (uint16_t)o->d->service_count);
    code_put_numbers(w, body, o->group, o->terms);
    code_put_numbers(w, body, port, o->terms);
    put_near4(o->d, w, body);
    put_near6(o->d, w, body);
    put_terms_of_blocks(o, 0, w, body);
    put_terms_of_blocks(o, 1, w, body);
    put_stream(w, body, &o->countries);
    put_stream(w, body, &o->outcomes);
    put_stream(w, body, &o->other_low);
    for (unsigned k = 0; k < 4; k++) {
        put_numbers(w, body, &o->far[k]);
    }
    put_numbers(w, body, &o->port_counts);
    code_put32(body, (uint32_t)(o->ports.len / 4));
    put_numbers(w, body, &o->ports);
}

int
segsum_end(struct summary_out *o, struct code_work *w, struct bh_buf *head, struct bh_buf *body)
{
    if (o->blocks < 2) {
        return 0;
    }
    if (!o->many) {
        put_body(o, w, body);
    }
    if (body->failed) {
        return -ENOMEM;
    }
    code_put32(head, o->many ? 0 : o->blocks); /* 0: tried in vain */
    code_put32(head, (uint32_t)body->len);
    code_put64(head, code_sum(body->data == NULL ? "" : body->data, body->len));
    return head->failed ? -ENOMEM : 0;
}
