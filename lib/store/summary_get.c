/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Summaries out of a file. The sum is compared before; with a right sum it may still be an enemy's: every
 * number is compared with what it may be, and lists are no longer than blocks and terms allow. A lie in it
 * can hide records from a filter, but touch nothing else.
 */
#include "summary_priv.h"

#include <errno.h>
#include <stdlib.h>

#define BLOCKS_MOST 4096U /* of a segment: 16 are usual, 256 after compaction */

int
segsum_head_get(const uint8_t *data, size_t size, uint64_t body_size, struct summary_head *ret)
{
    struct bh_cur c = bh_cur_over(data, size);
    const struct summary_head h = { .blocks = code_get32(&c),
                                    .size = code_get32(&c),
                                    .sum = code_get64(&c) };
    if (c.bad || h.blocks > BLOCKS_MOST || h.size > body_size) {
        return BH_EDAMAGED;
    }
    *ret = h;
    return 0;
}

void
segsum_done(struct summary *s)
{
    free(s->country);
    free(s->group);
    free(s->port);
    free(s->terms);
    free(s->odd);
    free(s->countries);
    free(s->other_low);
    free(s->block);
    free(s->listed);
    free(s->near4);
    free(s->near6);
    *s = (struct summary){ 0 };
}

/* `expect` octets with their size before them; code_get_octets() may write 16 more. */
static uint8_t *
get_stream(struct bh_cur *c, size_t expect)
{
    const uint32_t size = code_get32(c);
    uint8_t *p = c->bad || size != expect ? NULL : malloc(size + 16UL);
    if (p == NULL || !code_get_octets(c, p, size)) {
        free(p);
        c->bad = true;
        return NULL;
    }
    return p;
}

static uint32_t *
get_list(struct bh_cur *c, size_t n)
{
    uint32_t *v = malloc((n + 16) * sizeof *v);
    if (v == NULL || !code_get_long(c, v, n)) {
        free(v);
        c->bad = true;
        return NULL;
    }
    return v;
}

#define COUNTRY_OCTETS_MOST (SUMMARY_COUNTRIES_MAX * sizeof(struct bh_store_country))

static bool
get_countries(struct summary *s, struct bh_cur *c)
{
    struct bh_cur look = *c;
    const uint32_t size = code_get32(&look);
    uint8_t *raw = size > COUNTRY_OCTETS_MOST ? NULL : get_stream(c, size);
    if (raw == NULL) {
        return false;
    }
    struct bh_cur octets = bh_cur_over(raw, size);
    const int r = dict_get_countries(&octets, &s->country, &s->country_count);
    free(raw);
    return r == 0;
}

static bool
get_terms(struct summary *s, struct bh_cur *c)
{
    s->term_count = code_get16(c);
    s->service_count = code_get16(c);
    if (c->bad || s->term_count > SUMMARY_TERMS_MAX || s->service_count > s->term_count ||
        s->service_count >= CODES) {
        return false;
    }
    s->group = get_list(c, s->term_count);
    s->port = s->group == NULL ? NULL : get_list(c, s->term_count);
    for (uint32_t k = 0; s->port != NULL && k < s->term_count; k++) {
        if (s->group[k] >> GROUP_BITS != 0 || s->port[k] > PORT_ANY) {
            return false;
        }
    }
    return s->port != NULL;
}

/* So many lists of n numbers, side by side; n 0: none. */
static uint32_t *
get_table(struct bh_cur *c, unsigned lists, uint32_t n)
{
    uint32_t *v = malloc((lists * (size_t)n + 16) * sizeof *v);
    bool ok = v != NULL;
    for (unsigned k = 0; k < lists && ok; k++) {
        ok = code_get_numbers(c, v + k * (size_t)n, n);
    }
    if (!ok) {
        free(v);
        c->bad = true;
        return NULL;
    }
    return v;
}

static bool
get_near4(struct summary *s, struct bh_cur *c)
{
    const uint32_t n = s->near4_count = code_get16(c);
    if (c->bad || n > SUMMARY_NEAR_MAX) {
        return !c->bad && n == SUMMARY_ANY;
    }
    uint32_t *v = get_table(c, 2, n);
    s->near4 = calloc(n + 1UL, sizeof *s->near4);
    bool ok = v != NULL && s->near4 != NULL;
    for (uint32_t k = 0; k < n && ok; k++) {
        s->near4[k] = (struct bh_range4){ v[k], v[n + k] };
        ok = v[k] <= v[n + k];
    }
    free(v);
    return ok;
}

static bool
get_near6(struct summary *s, struct bh_cur *c)
{
    const uint32_t n = s->near6_count = code_get16(c);
    if (c->bad || n > SUMMARY_NEAR_MAX) {
        return !c->bad && n == SUMMARY_ANY;
    }
    uint32_t *v = get_table(c, 6, n);
    s->near6 = calloc(n + 1UL, sizeof *s->near6);
    bool ok = v != NULL && s->near6 != NULL;
    for (uint32_t k = 0; k < n && ok; k++) {
        struct bh_range6 *r = &s->near6[k];
        r->hi = (uint64_t)v[k] << 32 | v[n + k];
        r->first = (uint64_t)v[2 * n + k] << 32 | v[3 * n + k];
        r->last = (uint64_t)v[4 * n + k] << 32 | v[5 * n + k];
        ok = r->first <= r->last;
    }
    free(v);
    return ok;
}

static bool
get_ranges(struct summary *s, struct bh_cur *c)
{
    for (unsigned k = 0; k < 4; k++) {
        uint32_t *v = get_list(c, s->block_count);
        for (uint32_t b = 0; v != NULL && b < s->block_count; b++) {
            struct bh_range4 *range = k < 2 ? &s->block[b].far4 : &s->block[b].far6;
            *(k % 2 == 0 ? &range->first : &range->last) = v[b];
        }
        free(v);
        if (v == NULL) {
            return false;
        }
    }
    return true;
}

static bool
get_ports(struct summary *s, struct bh_cur *c)
{
    uint32_t *count = get_list(c, s->block_count), at = 0;
    const uint32_t total = code_get32(c);
    bool ok = count != NULL && !c->bad && total <= s->block_count * SUMMARY_PORTS_MAX;
    uint32_t *step = ok ? get_list(c, total) : NULL;
    s->listed = ok ? calloc(total + 1UL, sizeof *s->listed) : NULL;
    ok = ok && step != NULL && s->listed != NULL;
    for (uint32_t b = 0; ok && b < s->block_count; b++) {
        struct summary_block *to = &s->block[b];
        const uint32_t n = count[b] == SUMMARY_ANY ? 0 : count[b];
        uint32_t port = 0;
        to->port_at = at;
        to->ports = count[b];
        ok = n <= SUMMARY_PORTS_MAX && n <= total - at;
        for (uint32_t k = 0; ok && k < n; k++, at++) {
            ok = step[at] < 65536 && port + step[at] < 65536;
            port += step[at];
            s->listed[at] = (uint16_t)port;
        }
    }
    free(count);
    free(step);
    return ok && at == total;
}

static bool
get_blocks(struct summary *s, struct bh_cur *c)
{
    s->term_octets = (s->term_count + 7) / 8;
    s->country_octets = (s->country_count + 7) / 8;
    s->block = calloc(s->block_count, sizeof *s->block);
    s->terms = get_stream(c, (size_t)s->term_octets * s->block_count);
    s->odd = get_stream(c, (size_t)s->term_octets * s->block_count);
    s->countries = get_stream(c, (size_t)s->country_octets * s->block_count);
    uint8_t *outcomes = get_stream(c, s->block_count);
    for (uint32_t b = 0; outcomes != NULL && s->block != NULL && b < s->block_count; b++) {
        s->block[b].outcomes = outcomes[b];
    }
    free(outcomes);
    s->other_low = get_stream(c, (size_t)(SUMMARY_OTHER_LOW / 8) * s->block_count);
    return s->block != NULL && !c->bad && get_ranges(s, c) && get_ports(s, c);
}

int
segsum_get(const uint8_t *data, size_t size, uint32_t blocks, struct summary *ret)
{
    struct bh_cur c = bh_cur_over(data, size);
    *ret = (struct summary){ .block_count = blocks };
    if (get_countries(ret, &c) && get_terms(ret, &c) && get_near4(ret, &c) && get_near6(ret, &c) &&
        get_blocks(ret, &c)) {
        return 0;
    }
    segsum_done(ret);
    return BH_EDAMAGED;
}

/* ---- facts ------------------------------------------------------------------------------------------- */

static uint64_t
classes_of_ports(const struct summary *s, const struct summary_block *b,
                 const struct bh_judge *judge)
{
    uint64_t classes = 0;
    for (uint32_t k = 0; b->ports != SUMMARY_ANY && k < b->ports; k++) {
        classes |= 1ULL << judge->port_class[s->listed[b->port_at + k]];
    }
    return b->ports == SUMMARY_ANY ? BH_CLASSES_ALL : classes;
}

static uint64_t
classes_of_others(const struct summary *s, uint32_t block, const struct bh_judge *judge)
{
    const uint8_t *low = s->other_low + (size_t)block * (SUMMARY_OTHER_LOW / 8);
    uint64_t classes = judge->high_ports;
    for (uint32_t port = 0; port < SUMMARY_OTHER_LOW; port++) {
        if (segsum_bit(low, port)) {
            classes |= 1ULL << judge->port_class[port];
        }
    }
    return classes;
}

void
segsum_facts(const struct summary *s, uint32_t block, const struct bh_judge *judge,
             const uint8_t *country_class, uint64_t near_countries, struct bh_facts *ret,
             uint64_t *ret_listed)
{
    const struct summary_block *b = &s->block[block];
    const uint8_t *countries = s->countries + (size_t)block * s->country_octets;
    uint64_t far = 0;
    for (uint32_t k = 0; k < s->country_count; k++) {
        far |= segsum_bit(countries, k) ? 1ULL << country_class[k] : 0;
    }
    *ret = (struct bh_facts){ .outcomes = b->outcomes,
                              .other_ports = classes_of_others(s, block, judge),
                              .far_countries = far,
                              .near_countries = near_countries,
                              .far4 = b->far4,
                              .far6 = b->far6,
                              .near4 = s->near4_count == SUMMARY_ANY ? NULL : s->near4,
                              .near6 = s->near6_count == SUMMARY_ANY ? NULL : s->near6,
                              .near4_count = s->near4_count == SUMMARY_ANY ? 0 : s->near4_count,
                              .near6_count = s->near6_count == SUMMARY_ANY ? 0 : s->near6_count };
    *ret_listed = classes_of_ports(s, b, judge);
}
