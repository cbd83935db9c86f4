/* SPDX-License-Identifier: BSD-2-Clause */
/* Looking up in the tables of table.c: what chunk.c does for each row. */
#ifndef STORE_TABLE_PRIV_H
#define STORE_TABLE_PRIV_H

#include "store_priv.h"

struct address {
    uint64_t hi, lo;
    unsigned family; /* 0, 4, 6 */
};

bool list_reach(void **list, uint32_t *cap, uint32_t count, size_t size);
/* `k` is one of the tables'. */
BH_NODISCARD int key_id(struct terms *t, struct keys *k, uint64_t key, uint32_t *ret);
/* One that is known to be new, and that is found elsewhere. */
BH_NODISCARD int key_append(struct terms *t, struct keys *k, uint64_t key, uint32_t *ret);

static inline uint64_t
address_hash(uint64_t key, unsigned family, uint64_t hi, uint64_t lo)
{
    return bh_mix64(hi ^ key, lo + family);
}

/* The country it was given before, where there was one: the database may have changed since. */
#define COUNTRY_ASK UINT32_MAX

BH_NODISCARD int
addresses_add(struct addresses *a, uint64_t key, struct address x, uint32_t at, uint32_t id);
BH_NODISCARD int
far_new(struct terms *t, struct address x, uint32_t at, uint32_t country, uint32_t *ret);
/* The index of a value of the tables' database. */
uint16_t terms_country_of_value(struct terms *t, uint16_t value);
BH_NODISCARD int near_new(struct terms *t, struct address x, uint32_t at, uint32_t *ret);

static inline bool
far_fits(const struct terms *t, uint32_t id, uint32_t country)
{
    return BH_LIKELY(country == COUNTRY_ASK) || t->far[id].country == country;
}

/* False: not there; *ret_at is where it would stand. */
static inline bool
far_find(const struct terms *t, struct address x, uint64_t hash, uint32_t country, uint32_t *ret,
         uint32_t *ret_at)
{
    const struct addresses *a = &t->far_at;
    uint32_t at = (uint32_t)hash & (x.family == 4 ? a->mask4 : a->mask6);
    if (BH_LIKELY(x.family == 4)) {
        for (; a->slot4[at].id != 0; at = (at + 1) & a->mask4) {
            if (BH_LIKELY(a->slot4[at].lo == (uint32_t)x.lo) &&
                far_fits(t, a->slot4[at].id - 1, country)) {
                *ret = a->slot4[at].id - 1;
                return true;
            }
        }
        *ret_at = at;
        return false;
    }
    for (; a->slot6[at].id != 0; at = (at + 1) & a->mask6) {
        const struct slot6 *s = &a->slot6[at];
        if (s->lo == x.lo && s->hi == x.hi && s->family == x.family &&
            far_fits(t, s->id - 1, country)) {
            *ret = s->id - 1;
            return true;
        }
    }
    *ret_at = at;
    return false;
}

static inline bool
far_is_known(const struct terms *t, struct address x, uint64_t hash, uint32_t country,
             uint32_t *ret)
{
    uint32_t at;
    return far_find(t, x, hash, country, ret, &at);
}

static inline int
far_id(struct terms *t, struct address x, uint64_t hash, uint32_t country, uint32_t *ret)
{
    uint32_t at;
    return far_find(t, x, hash, country, ret, &at) ? 0 : far_new(t, x, at, country, ret);
}

static inline int
near_id(struct terms *t, struct address x, uint64_t hash, uint32_t *ret)
{
    const struct addresses *a = &t->near_at;
    uint32_t at = (uint32_t)hash & (x.family == 4 ? a->mask4 : a->mask6);
    if (BH_LIKELY(x.family == 4)) {
        for (; a->slot4[at].id != 0; at = (at + 1) & a->mask4) {
            if (BH_LIKELY(a->slot4[at].lo == (uint32_t)x.lo)) {
                *ret = a->slot4[at].id - 1;
                return 0;
            }
        }
        return near_new(t, x, at, ret);
    }
    for (; a->slot6[at].id != 0; at = (at + 1) & a->mask6) {
        const struct slot6 *s = &a->slot6[at];
        if (s->lo == x.lo && s->hi == x.hi && s->family == x.family) {
            *ret = s->id - 1;
            return 0;
        }
    }
    return near_new(t, x, at, ret);
}

/* The ids of a group's ports, by port; NULL: this group has no such list. */
uint32_t *port_table_new(struct terms *t, uint32_t group);

static inline uint32_t *
port_table(struct terms *t, uint32_t group)
{
    const unsigned index = t->group_index[group];
    return BH_LIKELY(index != 0) ? t->port_id[index - 1] : port_table_new(t, group);
}

static inline int
service_id(struct terms *t, uint32_t *table, uint32_t group, uint32_t port, uint32_t *ret)
{
    if (table == NULL) {
        return key_id(t, &t->service, (uint64_t)group << 16 | port, ret);
    }
    if (BH_LIKELY(table[port] != 0)) {
        *ret = table[port] - 1;
        return 0;
    }
    int r = key_append(t, &t->service, (uint64_t)group << 16 | port, ret);
    table[port] = r == 0 ? *ret + 1 : 0;
    return r;
}

/* Forms are compared and hashed as words: they have no octets between their fields. */
#define FORM_WORDS 6U
_Static_assert(sizeof(struct form) == 8 * FORM_WORDS, "a form is six words");

static inline bool
form_same(const struct form *a, const struct form *b)
{
    uint64_t x[FORM_WORDS], y[FORM_WORDS], differs = 0;
    memcpy(x, a, sizeof x);
    memcpy(y, b, sizeof y);
    for (unsigned k = 0; k < FORM_WORDS; k++) {
        differs |= x[k] ^ y[k];
    }
    return differs == 0;
}

static inline uint64_t
form_hash(uint64_t key, const struct form *f)
{
    uint64_t x[FORM_WORDS];
    memcpy(x, f, sizeof x);
    return bh_mix64(x[0] ^ key, x[1]) ^ bh_mix64(x[2] ^ (key << 1 | key >> 63), x[3]) ^
           bh_mix64(x[4] ^ (key << 2 | key >> 62), x[5]);
}

BH_NODISCARD int form_id(struct terms *t, const struct form *f, uint64_t hash, uint32_t *ret);

/* Which place: any will do, as what stands there is compared. Multiplications that do not wait for each other. */
static inline uint32_t
look_place(const struct look *x)
{
    static const uint64_t odd[LOOK_WORDS] = { 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f,
                                              0x165667b19e3779f9, 0xd6e8feb86659fd93,
                                              0xa0761d6478bd642f, 0xe7037ed1a0b428db };
    uint64_t sum = 0;
    for (unsigned k = 0; k < LOOK_WORDS; k++) {
        sum += x->word[k] * odd[k] ^ x->word[k] >> 32;
    }
    return (uint32_t)(sum * odd[0] >> 52) % SEEN_SHAPES;
}

static inline bool
look_same(const struct look *a, const struct look *b)
{
    uint64_t differs = 0;
    for (unsigned k = 0; k < LOOK_WORDS; k++) {
        differs |= a->word[k] ^ b->word[k];
    }
    return differs == 0;
}

#endif
