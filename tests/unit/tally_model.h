/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tally_model.h - MEANING.md 4 once more, slowly: every number of a trend out of loops over all
 * rows, with nothing kept between two questions. test_trend.c holds it against lib/analysis.
 */
#ifndef TALLY_MODEL_H
#define TALLY_MODEL_H

#include "tally_lab.h"

struct model_row {
    struct row r;
    uint8_t direction, cls;
    uint8_t frame;                  /* 1: ARP, 2: not decoded */
    uint8_t outcome, outcome_first; /* final, and what it seemed before */
    uint32_t weight;
    /* found out */
    bool counted, visit, knock;
    int served;
    uint16_t place;
    unsigned source; /* index into sources[] */
};

#define MODEL_SOURCES 512U
#define MODEL_PORTS 64U
struct model {
    const struct lab *lab; /* configuration and places */
    struct model_row *rows;
    size_t count;
    bool two_sided, weighted;
    size_t two_sided_at; /* the row before which the view becomes two-sided */
    struct bh_ip sources[MODEL_SOURCES];
    size_t source_count;
    uint32_t keys[MODEL_PORTS]; /* udp << 16 | port of inbound packets */
    size_t key_count;
};

#define ANY_PLACE UINT32_MAX
#define ANY_KEY UINT32_MAX

static inline bool
model_is_ip(const struct model_row *m)
{
    return m->frame == 0;
}

static inline bool
model_has_port(const struct model_row *m)
{
    return model_is_ip(m) && (m->r.proto == BH_PROTO_TCP || m->r.proto == BH_PROTO_UDP) &&
           (m->r.marks & BH_MARK_NO_PORTS) == 0;
}

static inline uint32_t
model_key(const struct model_row *m)
{
    return (uint32_t)(m->r.proto != BH_PROTO_TCP) << 16 | m->r.dport;
}

static inline uint64_t
model_weight(const struct model *x, const struct model_row *m)
{
    return x->weighted ? m->weight : 1;
}

static inline bool
model_in_net(const struct bh_ip *ip, const struct bh_ip *net, unsigned len)
{
    if (ip->family != net->family) {
        return false;
    }
    for (unsigned k = 0; k < len; k++) {
        if (((ip->octets[k / 8] ^ net->octets[k / 8]) >> (7 - k % 8) & 1) != 0) {
            return false;
        }
    }
    return true;
}

/* Of the country, also where places are regions; code "" when there is none. */
static inline struct kobold_value
model_country(const struct bh_ip *ip)
{
    struct kobold_value v = { .kind = KOBOLD_UNKNOWN };
    uint16_t value = kobold_lookup(world.countries, ip->octets, ip->family).value;
    bool known = kobold_value_info(world.countries, value, &v) &&
                 (v.kind == KOBOLD_COUNTRY || v.kind == KOBOLD_REGION);
    return known ? v : (struct kobold_value){ .kind = KOBOLD_UNKNOWN };
}

/* Entry of --served this access is a visit by; -1: a knock. */
static inline int
model_served(const struct model *x, const struct model_row *m)
{
    const struct bh_tally_config *c = &x->lab->cfg;
    struct kobold_value v = model_country(&m->r.src);
    const char *code = v.code;
    for (size_t k = 0; k < c->served_count; k++) {
        const struct bh_served *s = &c->served[k];
        if (s->port != m->r.dport || s->proto != m->r.proto) {
            continue;
        }
        bool hit = s->to_all || (s->to_home_country && strcmp(code, c->home_country) == 0);
        for (size_t i = 0; i < s->code_count; i++) {
            hit |= strcmp(code, s->codes[i]) == 0;
        }
        for (size_t i = 0; i < s->net_count; i++) {
            hit |= model_in_net(&m->r.src, &s->nets[i].ip, s->nets[i].prefix_len);
        }
        if (hit) {
            return (int)k;
        }
    }
    return -1;
}

static inline unsigned
model_source(struct model *x, const struct bh_ip *ip)
{
    for (size_t i = 0; i < x->source_count; i++) {
        if (bh_ip_cmp(&x->sources[i], ip) == 0) {
            return (unsigned)i;
        }
    }
    assert_true(x->source_count < MODEL_SOURCES);
    x->sources[x->source_count] = *ip;
    return (unsigned)x->source_count++;
}

/* `only_tcp`: the filter of the scene. */
static inline void
model_judge(struct model *x, bool only_tcp)
{
    const struct bh_period *p = &x->lab->cfg.period;
    for (size_t i = 0; i < x->count; i++) {
        struct model_row *m = &x->rows[i];
        m->counted = m->r.ts_ns >= p->start_ns && m->r.ts_ns < p->end_ns;
        m->counted &= !only_tcp || (model_is_ip(m) && m->r.proto == BH_PROTO_TCP);
        m->visit = m->knock = false;
        if (!model_is_ip(m)) {
            continue;
        }
        m->place = lab_place(x->lab, &m->r.src);
        m->source = model_source(x, &m->r.src);
        if (m->counted && m->direction == BH_DIR_IN && model_has_port(m)) {
            size_t k = 0;
            while (k < x->key_count && x->keys[k] != model_key(m)) {
                k++;
            }
            assert_true(k < MODEL_PORTS);
            x->keys[k] = model_key(m);
            x->key_count = k == x->key_count ? k + 1 : x->key_count;
        }
        if (m->counted && m->direction == BH_DIR_IN && m->cls == BH_CLASS_ACCESS) {
            m->served = model_served(x, m);
            m->visit = m->served >= 0;
            m->knock = !m->visit;
        }
    }
}

/* ---- questions -------------------------------------------------------------------------------- */

static inline bool
model_at(const struct model_row *m, uint32_t place, uint32_t key)
{
    return (place == ANY_PLACE || m->place == place) &&
           (key == ANY_KEY || (model_has_port(m) && model_key(m) == key));
}

/* Does the row count in the chosen unit, and how much? Sources are counted otherwise. */
static inline uint64_t
model_unit(const struct model *x, const struct model_row *m)
{
    uint64_t w = model_weight(x, m);
    switch (x->lab->cfg.count) {
    case BH_COUNT_PACKETS:
    case BH_COUNT_BYTES:
        if (!model_is_ip(m) || !m->counted || m->direction != BH_DIR_IN || m->visit) {
            return 0;
        }
        return x->lab->cfg.count == BH_COUNT_BYTES ? w * (40U + m->r.payload) : w;
    default:
        return m->knock ? w : 0;
    }
}

/* Distinct sources of knocks in [from, to). */
static inline uint64_t
model_sources_in(const struct model *x, uint32_t place, uint32_t key, int64_t from, int64_t to)
{
    bool seen[MODEL_SOURCES] = { false };
    uint64_t n = 0;
    for (size_t i = 0; i < x->count; i++) {
        const struct model_row *m = &x->rows[i];
        if (m->knock && model_at(m, place, key) && m->r.ts_ns >= from && m->r.ts_ns < to) {
            n += !seen[m->source];
            seen[m->source] = true;
        }
    }
    return n;
}

static inline uint64_t
model_sources(const struct model *x, uint32_t place, uint32_t key)
{
    return model_sources_in(x, place, key, INT64_MIN, INT64_MAX);
}

static inline uint64_t
model_count_in(const struct model *x, uint32_t place, uint32_t key, int64_t from, int64_t to)
{
    uint64_t n = 0;
    if (x->lab->cfg.count == BH_COUNT_SOURCES) {
        return model_sources_in(x, place, key, from, to);
    }
    for (size_t i = 0; i < x->count; i++) {
        const struct model_row *m = &x->rows[i];
        n +=
            model_at(m, place, key) && m->r.ts_ns >= from && m->r.ts_ns < to ? model_unit(x, m) : 0;
    }
    return n;
}

static inline uint64_t
model_count(const struct model *x, uint32_t place, uint32_t key)
{
    return model_count_in(x, place, key, INT64_MIN, INT64_MAX);
}

static inline uint64_t
model_accesses(const struct model *x, uint32_t place, uint32_t key)
{
    uint64_t n = 0;
    for (size_t i = 0; i < x->count; i++) {
        n += x->rows[i].knock && model_at(&x->rows[i], place, key) ? model_weight(x, &x->rows[i])
                                                                   : 0;
    }
    return n;
}

static inline void
model_span(const struct model *x, uint32_t place, int64_t *ret_first, int64_t *ret_last)
{
    *ret_first = INT64_MAX;
    *ret_last = INT64_MIN;
    for (size_t i = 0; i < x->count; i++) {
        const struct model_row *m = &x->rows[i];
        bool in = x->lab->cfg.count == BH_COUNT_SOURCES ? m->knock : model_unit(x, m) > 0;
        if (in && m->place == place) {
            *ret_first = m->r.ts_ns < *ret_first ? m->r.ts_ns : *ret_first;
            *ret_last = m->r.ts_ns > *ret_last ? m->r.ts_ns : *ret_last;
        }
    }
}

/* Accesses of one source, which is always in one place. */
static inline uint64_t
model_of_source(const struct model *x, size_t source)
{
    uint64_t n = 0;
    for (size_t i = 0; i < x->count; i++) {
        const struct model_row *m = &x->rows[i];
        n += m->knock && m->source == source ? model_weight(x, m) : 0;
    }
    return n;
}

/* The final outcome of a TCP access as the report has it. */
static inline unsigned
model_outcome(const struct model *x, size_t i)
{
    unsigned o = x->rows[i].outcome;
    bool answered = o >= BH_OUTCOME_COMPLETE && o <= BH_OUTCOME_REFUSED;
    if (answered || x->lab->cfg.hold) {
        return answered || o == BH_OUTCOME_UNKNOWN ? o : BH_OUTCOME_SILENT;
    }
    return x->two_sided && i >= x->two_sided_at ? BH_OUTCOME_SILENT : BH_OUTCOME_UNKNOWN;
}

static inline uint64_t
model_outcomes(const struct model *x, uint32_t place, uint32_t key, unsigned outcome)
{
    uint64_t n = 0;
    for (size_t i = 0; i < x->count && x->lab->cfg.outcomes; i++) {
        const struct model_row *m = &x->rows[i];
        n += m->knock && m->r.proto == BH_PROTO_TCP && model_at(m, place, key) &&
                     model_outcome(x, i) == outcome
                 ? model_weight(x, m)
                 : 0;
    }
    return n;
}

/* ---- rankings ----------------------------------------------------------------------------------- */

struct model_entry {
    uint32_t what; /* place or key */
    uint64_t count;
};

static inline bool
key_before(uint32_t a, uint32_t b)
{
    uint32_t pa = a & 0xffff, pb = b & 0xffff;
    return pa != pb ? pa < pb : a < b; /* tcp before udp */
}

/* Ports of a place by count, then port, then protocol. */
static inline size_t
model_ports(const struct model *x, uint32_t place, struct model_entry *ret)
{
    size_t n = 0;
    for (size_t k = 0; k < x->key_count; k++) {
        struct model_entry e = { x->keys[k], model_count(x, place, x->keys[k]) };
        size_t at = n;
        if (e.count == 0) {
            continue;
        }
        for (n++; at > 0 && (ret[at - 1].count < e.count || (ret[at - 1].count == e.count &&
                                                             key_before(e.what, ret[at - 1].what)));
             at--) {
            ret[at] = ret[at - 1];
        }
        ret[at] = e;
    }
    return n;
}

/* Places with a country, or those without; by count, then name. Home is left out. */
static inline size_t
model_places(const struct model *x, bool countries, struct model_entry *ret)
{
    const struct bh_places *p = &x->lab->places;
    size_t n = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        const char *code = p->place[i].code,
                   *name = code[0] != '\0' ? code : p->place[i].class_name;
        struct model_entry e = { i, model_count(x, i, ANY_KEY) };
        size_t at = n;
        if (e.count == 0 || (code[0] != '\0') != countries ||
            (countries && strcmp(code, x->lab->cfg.home_country) == 0)) {
            continue;
        }
        for (n++; at > 0; at--) {
            const struct bh_place *other = &p->place[ret[at - 1].what];
            int c = strcmp(countries ? other->code : other->class_name, name);
            c = c != 0 ? c : strcmp(other->rfc, p->place[i].rfc);
            if (ret[at - 1].count > e.count || (ret[at - 1].count == e.count && c < 0)) {
                break;
            }
            ret[at] = ret[at - 1];
        }
        ret[at] = e;
    }
    return n;
}

#endif
