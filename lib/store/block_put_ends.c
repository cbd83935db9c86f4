/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The columns of both ends of a record. By a dictionary that was counted a far end is its country, a symbol and a
 * place; by one that was not (dict_plain.c) it stands in its row.
 */
#include "block_put_priv.h"

static void
put_once6(const struct put *p, struct code_bits *bits, uint32_t id)
{
    const struct far *f = &p->t->far[id];
    code_bits_put(bits, f->hi >> 32, 32);
    code_bits_put(bits, f->hi & UINT32_MAX, 32);
    code_bits_put(bits, f->lo >> 32, 32);
    code_bits_put(bits, f->lo & UINT32_MAX, 32);
}

/* In a dictionary without entries: it stands in its row, whatever it is. */
static struct far_out
tell_directly(const struct dict *d, const struct far *f)
{
    return (struct far_out){ .number = UINT32_MAX,
                             .country = d->country_code[f->country],
                             .symbol = f->family == 0   ? FAR_NONE
                                       : f->family == 4 ? FAR_ONCE4
                                                        : FAR_ONCE6 };
}

static void
put_far_directly(const struct put *p, struct code_bits *bits)
{
    const struct chunk *c = p->c;
    struct block_work *w = p->w;
    memset(w->usual, 0, c->rows);
    for (uint32_t i = 0; i < c->rows; i++) {
        __builtin_prefetch(&p->t->far[c->far[i + BLOCK_AHEAD < c->rows ? i + BLOCK_AHEAD : i]]);
        const uint32_t id = c->far[i];
        const struct far_out f = tell_directly(p->d, &p->t->far[id]);
        const bool again = i > 0 && id == c->far[i - 1] && f.symbol != FAR_NONE;
        w->entry[i] = UINT32_MAX;
        w->country[i] = f.country;
        w->other[i] = (uint8_t)f.country;
        w->octet[i] = again ? (uint8_t)FAR_SAME : f.symbol;
        if (again) {
            continue;
        }
        if (f.symbol == FAR_ONCE4) {
            code_bits_put(bits, p->t->far[id].lo & UINT32_MAX, 32);
        } else if (f.symbol == FAR_ONCE6) {
            put_once6(p, bits, id);
        }
    }
}

/* Country, symbol and place in one pass; entries and usual TTLs are kept for other columns. */
static void
put_far_by_place(const struct put *p, struct code_bits *bits)
{
    const struct chunk *c = p->c;
    const struct dict *d = p->d;
    struct block_work *w = p->w;
    for (uint32_t i = 0; i < c->rows; i++) {
        __builtin_prefetch(&d->far_out[c->far[i + BLOCK_AHEAD < c->rows ? i + BLOCK_AHEAD : i]]);
        const uint32_t id = c->far[i];
        const struct far_out *f = &d->far_out[id];
        const bool again = i > 0 && id == c->far[i - 1] && f->symbol != FAR_NONE;
        w->entry[i] = f->symbol >= FAR_CLASS4 ? f->number : UINT32_MAX;
        w->usual[i] = f->ttl;
        w->country[i] = f->country;
        w->other[i] = (uint8_t)f->country;
        w->octet[i] = again ? (uint8_t)FAR_SAME : f->symbol;
        if (again) {
            continue;
        }
        if (BH_LIKELY(f->symbol != FAR_ONCE6)) {
            code_bits_put(bits, f->bits, f->bit_count);
        } else {
            put_once6(p, bits, id);
        }
    }
}

void
block_put_far(struct put *p)
{
    const struct chunk *c = p->c;
    const struct dict *d = p->d;
    struct block_work *w = p->w;
    struct code_bits bits = code_bits_begin(&w->bits, 128ULL * c->rows);
    if (d->far_direct) {
        put_far_directly(p, &bits);
    } else {
        put_far_by_place(p, &bits);
    }
    code_bits_end(&bits);
    code_put_octets(&w->code, p->body, w->other, c->rows);
    if (d->country_count > 256) {
        for (uint32_t i = 0; i < c->rows; i++) {
            w->other[i] = (uint8_t)(w->country[i] >> 8);
        }
        code_put_octets(&w->code, p->body, w->other, c->rows);
    }
    block_finish_column(p, COLUMN_COUNTRY);
    code_put_octets(&w->code, p->body, w->octet, c->rows);
    block_put_bits_of(p);
    block_finish_column(p, COLUMN_FAR);
}

void
block_put_near(struct put *p)
{
    const struct chunk *c = p->c;
    struct block_work *w = p->w;
    if (!p->d->near_direct) {
        for (uint32_t i = 0; i < c->rows; i++) {
            w->number[i] = p->d->near_code[c->near[i]];
        }
        code_put_numbers(&w->code, p->body, w->number, c->rows);
        block_finish_column(p, COLUMN_NEAR);
        return;
    }
    /* The family is that of the row. */
    uint32_t n4 = 0, n6 = 0;
    for (uint32_t i = 0; i < c->rows; i++) {
        __builtin_prefetch(&p->t->near[c->near[i + BLOCK_AHEAD < c->rows ? i + BLOCK_AHEAD : i]]);
        const struct near *n = &p->t->near[c->near[i]];
        w->number[n4] = (uint32_t)n->lo;
        n4 += n->family == 4;
        n6 += n->family == 6;
    }
    code_put_numbers(&w->code, p->body, w->number, n4);
    for (unsigned part = 0; part < 4 && n6 > 0; part++) {
        uint32_t at = 0;
        for (uint32_t i = 0; i < c->rows; i++) {
            const struct near *n = &p->t->near[c->near[i]];
            if (n->family == 6) {
                w->number[at++] =
                    (uint32_t)((part < 2 ? n->hi : n->lo) >> (part % 2 == 0 ? 32 : 0));
            }
        }
        code_put_numbers(&w->code, p->body, w->number, n6);
    }
    block_finish_column(p, COLUMN_NEAR);
}
