/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which rows of a block a judge wants, by their service and country: two loads and an "and" for each row. Of
 * most services the answer does not depend on anything else. Where it does - the port stands in a list, or the
 * group does, and ports of that list are told apart - a row that may be wanted is taken for now, and looked at
 * again with its port, when rows are counted up to it.
 */
#include "sieve_priv.h"

#include <errno.h>

/* What services say in this block, as sets of classes of countries. */
struct choice {
    uint8_t pass[CODES];          /* wanted, or to be looked at again */
    uint8_t unknown[CODES];       /* only counted                     */
    bool open[CODES];             /* to be looked at again            */
    bool any_unknown, any_listed; /* listed: rows whose port stands in the list may be wanted */
};

/* Classes of the ports that stand in the lists of the block. */
static uint64_t
classes_of(const struct block_rows *r, const struct sieve *s)
{
    uint64_t classes = 0;
    for (uint32_t k = 0; k < r->service_port.n && s->ports > 1; k++) {
        classes |= 1ULL << s->judge->port_class[r->service_port.v[k] & UINT16_MAX];
    }
    return s->ports > 1 ? classes : 1;
}

static const struct sieve_row *
row_of_group(const struct sieve *s, uint32_t index)
{
    static const struct sieve_row any = { UINT8_MAX, 0 };
    const uint32_t term = s->term_of_group[index];
    return term == 0 ? &any : &s->group[(term - 1) * s->ports];
}

/* Adds what the classes say of a service: all alike, or each for itself. */
static void
add_classes(struct choice *c, unsigned code, const struct sieve_row *row, uint64_t classes)
{
    for (unsigned p = 0; classes >> p != 0; p++) {
        if ((classes >> p & 1) != 0) {
            c->open[code] |= row[p].pass != c->pass[code] || row[p].unknown != c->unknown[code];
            c->pass[code] |= row[p].pass;
            c->unknown[code] |= row[p].unknown;
        }
    }
}

static void
make_choice(const struct block_rows *r, const struct sieve *s, struct choice *c)
{
    const struct dict *d = r->d;
    const uint64_t classes = classes_of(r, s);
    *c = (struct choice){ .any_listed = false };
    for (unsigned code = 0; code < d->service_count; code++) {
        const struct sieve_row *row = &s->service[(size_t)code * s->ports];
        unsigned first = 0;
        while (s->has_port[code] != 0 && classes != 0 && (classes >> first & 1) == 0) {
            first++;
        }
        c->pass[code] = row[first].pass;
        c->unknown[code] = row[first].unknown;
        if (s->has_port[code] != 0) {
            add_classes(c, code, row, classes);
        }
    }
    for (uint32_t k = 0; k < r->service_group.n; k++) {
        const struct sieve_row *row = row_of_group(s, r->service_group.v[k]);
        c->open[CODE_OTHER] = true;
        if (s->term_of_group[r->service_group.v[k]] == 0) {
            c->pass[CODE_OTHER] = UINT8_MAX;
        } else {
            add_classes(c, CODE_OTHER, row, classes);
        }
    }
    for (unsigned code = 0; code < CODES; code++) {
        if (c->open[code]) {
            c->pass[code] |= c->unknown[code];
            c->unknown[code] = 0;
        }
        c->any_listed |= s->has_port[code] != 0 && c->pass[code] != 0;
        c->any_unknown |= c->unknown[code] != 0;
    }
}

/* ---- all rows ------------------------------------------------------------------------------------------- */

static inline unsigned
country_at(const struct block_rows *r, uint32_t i)
{
    return r->country[i] | (r->wide_country ? (unsigned)r->country_high[i] << 8 : 0);
}

static bool
countries_fit(const struct block_rows *r)
{
    unsigned most = 0;
    if (!r->wide_country) {
        uint8_t m = 0;
        for (uint32_t i = 0; i < r->h->rows; i++) {
            m = r->country[i] > m ? r->country[i] : m;
        }
        most = m;
    }
    for (uint32_t i = 0; r->wide_country && i < r->h->rows; i++) {
        const unsigned country = country_at(r, i);
        most = country > most ? country : most;
    }
    return most < r->d->country_count;
}

static uint32_t
find_rows(const struct block_rows *r, const struct sieve *s, const struct choice *c, uint16_t *row)
{
    const uint8_t *service = r->service, *country = r->country;
    uint32_t n = 0;
    if (r->wide_country) {
        for (uint32_t i = 0; i < r->h->rows; i++) {
            row[n] = (uint16_t)i;
            n += (c->pass[service[i]] & s->country_bit[country_at(r, i)]) != 0;
        }
        return n;
    }
    for (uint32_t i = 0; i < r->h->rows; i++) {
        row[n] = (uint16_t)i;
        n += (c->pass[service[i]] & s->country_bit[country[i]]) != 0;
    }
    return n;
}

static uint64_t
count_unknown(const struct block_rows *r, const struct sieve *s, const struct choice *c)
{
    uint64_t n = 0;
    for (uint32_t i = 0; c->any_unknown && i < r->h->rows; i++) {
        n += (c->unknown[r->service[i]] & s->country_bit[country_at(r, i)]) != 0;
    }
    return n;
}

/* ---- up to the rows that are wanted -------------------------------------------------------------------- */

static inline uint64_t
stream_bit(uint32_t group)
{
    const unsigned s = stream_of(group);
    return s < STREAM_REST ? 1ULL << (16 * s) : 0;
}

struct place {
    uint32_t row, port_at, group_at;
    uint64_t at;
};

static inline void
go_to(const struct block_rows *r, const struct sieve *s, struct place *p, uint32_t row, bool ports)
{
    const uint8_t *service = r->service;
    for (; p->row < row; p->row++) {
        const unsigned code = service[p->row];
        p->at += s->stream[code];
        p->port_at += ports ? s->has_port[code] : 0U;
        if (BH_UNLIKELY(code == CODE_OTHER)) {
            p->at += stream_bit(r->d->group[r->service_group.v[p->group_at++]]);
        }
    }
}

/* Rows that were found by service and country become those that are wanted. */
static void
resolve(struct block_rows *r, const struct sieve *s, const struct choice *c, uint32_t found)
{
    struct block_some *x = r->some;
    struct place p = { 0 };
    uint32_t n = 0;
    for (uint32_t k = 0; k < found; k++) {
        const uint32_t row = x->row[k];
        const unsigned code = r->service[row];
        if (c->any_listed) {
            go_to(r, s, &p, row, true);
        } else {
            go_to(r, s, &p, row, false);
        }
        const uint32_t port = s->has_port[code] != 0 ? r->service_port.v[p.port_at] : 0;
        uint32_t group = 0;
        bool wanted = true;
        if (c->open[code]) {
            const struct sieve_row *of =
                &s->service[(size_t)code * s->ports + s->judge->port_class[port]];
            if (code == CODE_OTHER) {
                const uint32_t index = r->service_group.v[p.group_at];
                group = r->d->group[index];
                of = row_of_group(s, index) +
                     (s->term_of_group[index] == 0 ? 0 : s->judge->port_class[port]);
            }
            const unsigned bit = s->country_bit[country_at(r, row)];
            wanted = (of->pass & bit) != 0;
            x->unknown += (of->unknown & bit) != 0;
        }
        x->row[n] = (uint16_t)row;
        x->at[n] = p.at;
        x->port[n] = (uint16_t)port;
        x->group[n] = group;
        n += wanted;
    }
    x->count = n;
}

int
some_choose(struct block_rows *r, const struct sieve *s)
{
    struct choice c;
    if (r->some == NULL && (r->some = some_new()) == NULL) {
        return -ENOMEM;
    }
    if (!countries_fit(r)) {
        return BH_EDAMAGED;
    }
    make_choice(r, s, &c);
    r->some->next = 0;
    r->some->unknown = count_unknown(r, s, &c);
    resolve(r, s, &c, find_rows(r, s, &c, r->some->row));
    return 0;
}
