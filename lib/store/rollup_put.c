/* SPDX-License-Identifier: BSD-2-Clause */
/* A roll-up as octets. */
#include "rollup_priv.h"

void
rollup_put_varint(struct bh_buf *out, uint64_t v)
{
    uint8_t p[10];
    size_t n = 0;
    while (v >= 128) {
        p[n++] = (uint8_t)(v | 128);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    bh_buf_add(out, p, n);
}

void
rollup_put_raw(struct code_work *w, struct bh_buf *out, const struct bh_buf *raw)
{
    code_put32(out, (uint32_t)raw->len);
    code_put_octets(w, out, (const uint8_t *)(raw->data == NULL ? "" : raw->data), raw->len);
    out->failed |= raw->failed || raw->len > UINT32_MAX;
}

void
rollup_put_part(struct bh_buf *head, const struct bh_buf *body, size_t at)
{
    code_put64(head, at);
    code_put64(head, body->len - at);
    code_put64(head, body->failed ? 0 : code_sum(body->data + at, body->len - at));
}

#define PORTS_FEW 4096U

/* ---- a day -------------------------------------------------------------------------------------------- */

void
rollup_put_ids(struct bh_buf *out, const uint32_t *v, size_t n)
{
    uint32_t last = 0;
    rollup_put_varint(out, n);
    for (size_t i = 0; i < n; i++) {
        rollup_put_varint(out, v[i] - last);
        last = v[i];
    }
}

static void
put_sums(struct bh_buf *out, const struct bh_rollup_sums *s)
{
    uint64_t v[sizeof *s / sizeof(uint64_t)];
    memcpy(v, s, sizeof v);
    rollup_put_varint(out, BH_COUNT(v));
    for (size_t k = 0; k < BH_COUNT(v); k++) {
        rollup_put_varint(out, v[k]);
    }
}

static void
put_hours(struct bh_buf *out, const struct rollup_day *d, const struct rollup_hour *hour,
          size_t hours, uint32_t countries)
{
    int64_t last = d->start_ns;
    rollup_put_varint(out, hours);
    for (size_t k = 0; k < hours; k++) {
        const struct rollup_hour *h = &hour[k];
        rollup_put_varint(out, (uint64_t)(h->start_ns - last) / 1000000000U);
        last = h->start_ns;
        rollup_put_varint(out, h->frames);
        rollup_put_varint(out, (uint64_t)(h->first_ns - h->start_ns));
        rollup_put_varint(out, (uint64_t)(h->last_ns - h->first_ns));
        rollup_put_varint(out, h->busiest);
        uint32_t cells = 0, before = 0;
        for (uint32_t c = 0; c < countries; c++) {
            cells += (h->cell[2 * c] | h->cell[2 * c + 1]) != 0;
        }
        rollup_put_varint(out, cells);
        for (uint32_t c = 0; c < countries; c++) {
            if ((h->cell[2 * c] | h->cell[2 * c + 1]) != 0) {
                rollup_put_varint(out, c - before);
                rollup_put_varint(out, h->cell[2 * c]);
                rollup_put_varint(out, h->cell[2 * c + 1]);
                before = c;
            }
        }
    }
}

static void
put_places(struct bh_buf *out, const struct rollup_day *d, uint32_t countries)
{
    uint32_t n = 0, before = 0;
    for (uint32_t c = 0; c < countries; c++) {
        n += d->place[2 * c] != INT64_MAX;
    }
    rollup_put_varint(out, n);
    for (uint32_t c = 0; c < countries; c++) {
        if (d->place[2 * c] != INT64_MAX) {
            rollup_put_varint(out, c - before);
            rollup_put_varint(out, (uint64_t)(d->place[2 * c] - d->start_ns));
            rollup_put_varint(out, (uint64_t)(d->place[2 * c + 1] - d->place[2 * c]));
            before = c;
        }
    }
}

/* Few ports as numbers, many as bits behind the stream. True: as bits. */
static bool
put_ports(struct bh_buf *out, const uint8_t *bits)
{
    uint32_t v[PORTS_FEW];
    size_t n = 0;
    for (uint32_t k = 0; k < 8 * BH_ROLLUP_PORTS && n <= PORTS_FEW; k++) {
        if ((bits[k >> 3] >> (k & 7) & 1) != 0) {
            if (n < PORTS_FEW) {
                v[n] = k;
            }
            n++;
        }
    }
    rollup_put_varint(out, n > PORTS_FEW);
    if (n <= PORTS_FEW) {
        rollup_put_ids(out, v, n);
    }
    return n > PORTS_FEW;
}

void
rollup_put_day(struct code_work *w, struct bh_buf *out, const struct rollup_day *d,
               const struct rollup_hour *hour, size_t hours, uint32_t countries)
{
    struct bh_buf raw = { 0 };
    put_sums(&raw, &d->sums);
    put_hours(&raw, d, hour, hours, countries);
    put_places(&raw, d, countries);
    rollup_put_varint(&raw, d->bursts);
    for (size_t k = 0; k < d->bursts; k++) {
        const struct bh_rollup_burst *b = &d->burst[k];
        rollup_put_varint(&raw, (uint64_t)(b->hour_ns - d->start_ns) / 1000000000U);
        rollup_put_varint(&raw, b->source);
        rollup_put_varint(&raw, b->key);
        rollup_put_varint(&raw, b->count);
    }
    rollup_put_ids(&raw, d->pinged.v, d->pinged.n);
    rollup_put_ids(&raw, d->then.v, d->then.n);
    rollup_put_ids(&raw, d->inbound.v, d->inbound.n);
    rollup_put_ids(&raw, d->own.v, d->own.n);
    rollup_put_varint(&raw, d->knocked);
    const bool many = put_ports(&raw, d->dst_ports);
    rollup_put_raw(w, out, &raw);
    if (many) {
        code_put_octets(w, out, d->dst_ports, BH_ROLLUP_PORTS);
    }
    bh_buf_done(&raw);
}
