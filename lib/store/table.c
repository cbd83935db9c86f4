/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interning: what a batch says in addresses and fields, a chunk says in numbers of these tables. A row
 * is looked up once on its way in; all that follows - counting, the dictionary, coding - is arithmetic
 * over small arrays.
 *
 * Tables of addresses have the whole key in the slot, so a source costs one cold line (of IPv4: eight
 * octets a slot); forms and shapes, of which there are few, have small ones in front that are looked
 * at by place alone (chunk.c).
 */
#include "table_priv.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_FIRST 4096U

bool
list_reach(void **list, uint32_t *cap, uint32_t count, size_t size)
{
    if (count < *cap) {
        return true;
    }
    uint32_t more = *cap == 0 ? 1024 : *cap * 2;
    void *p = realloc(*list, bh_size_mul(more, size));
    if (p == NULL) {
        return false;
    }
    *list = p;
    *cap = more;
    return true;
}

/* The same of a list of the tables. */
static bool
terms_reach(struct terms *t, void **list, uint32_t *cap, uint32_t count, size_t size)
{
    if (count < *cap || !t->is_read) {
        return list_reach(list, cap, count, size);
    }
    if (t->left_count == t->left_cap) {
        void **more = realloc(t->left, (t->left_cap + 32) * sizeof *more);
        if (more == NULL) {
            return false;
        }
        t->left = more;
        t->left_cap += 32;
    }
    void *old = *list;
    *list = NULL;
    uint32_t grown = count;
    if (!list_reach(list, &grown, count, size)) {
        *list = old;
        return false;
    }
    if (count > 0) {
        memcpy(*list, old, count * size);
    }
    t->left[t->left_count++] = old;
    *cap = grown;
    return true;
}

void
terms_release(struct terms *t)
{
    for (size_t k = 0; k < t->left_count; k++) {
        free(t->left[k]);
    }
    t->left_count = 0;
    t->is_read = false;
}

static bool
slots_init(uint32_t **slot, uint32_t *mask, uint32_t slots)
{
    *slot = bh_pages_new(slots * sizeof **slot, true);
    *mask = slots - 1;
    return *slot != NULL;
}

static void
slots_done(uint32_t *slot, uint32_t mask)
{
    if (slot != NULL) {
        bh_pages_free(slot, (mask + 1UL) * sizeof *slot);
    }
}

/* ---- numbers ------------------------------------------------------------------------------------- */

static void
keys_done(struct keys *k)
{
    free(k->key);
    slots_done(k->slot, k->mask);
}

static inline uint32_t
key_hash(const struct keys *k, uint64_t key)
{
    return (uint32_t)bh_mix64(key, k->hash_key);
}

int
key_append(struct terms *t, struct keys *k, uint64_t key, uint32_t *ret)
{
    void *list = k->key;
    if (!terms_reach(t, &list, &k->cap, k->count, sizeof *k->key)) {
        return -ENOMEM;
    }
    k->key = list;
    k->key[k->count] = key;
    *ret = k->count++;
    return 0;
}

static BH_NOINLINE int
key_new(struct terms *t, struct keys *k, uint64_t key, uint32_t at, uint32_t *ret)
{
    int r = key_append(t, k, key, ret);
    if (r != 0) {
        return r;
    }
    k->slot[at] = k->count;
    if (++k->hashed <= (k->mask + 1) / 2) {
        return 0;
    }
    uint32_t *slot, mask;
    if (!slots_init(&slot, &mask, (k->mask + 1) * 2)) {
        return -ENOMEM;
    }
    for (uint32_t from = 0; from <= k->mask; from++) {
        if (k->slot[from] != 0) {
            uint32_t to = key_hash(k, k->key[k->slot[from] - 1]) & mask;
            while (slot[to] != 0) {
                to = (to + 1) & mask;
            }
            slot[to] = k->slot[from];
        }
    }
    slots_done(k->slot, k->mask);
    k->slot = slot;
    k->mask = mask;
    return 0;
}

int
key_id(struct terms *t, struct keys *k, uint64_t key, uint32_t *ret)
{
    uint32_t at = key_hash(k, key) & k->mask;
    while (k->slot[at] != 0) {
        if (BH_LIKELY(k->key[k->slot[at] - 1] == key)) {
            *ret = k->slot[at] - 1;
            return 0;
        }
        at = (at + 1) & k->mask;
    }
    return key_new(t, k, key, at, ret);
}

/* ---- addresses ----------------------------------------------------------------------------------- */

static bool
addresses_init(struct addresses *a)
{
    a->slot4 = bh_pages_new(SLOTS_FIRST * sizeof *a->slot4, true);
    a->slot6 = bh_pages_new(SLOTS_FIRST / 16 * sizeof *a->slot6, true);
    a->mask4 = SLOTS_FIRST - 1;
    a->mask6 = SLOTS_FIRST / 16 - 1;
    return a->slot4 != NULL && a->slot6 != NULL;
}

static void
addresses_done(struct addresses *a)
{
    if (a->slot4 != NULL) {
        bh_pages_free(a->slot4, (a->mask4 + 1UL) * sizeof *a->slot4);
    }
    if (a->slot6 != NULL) {
        bh_pages_free(a->slot6, (a->mask6 + 1UL) * sizeof *a->slot6);
    }
}

static int
grow4(struct addresses *a, uint64_t key)
{
    const uint32_t mask = a->mask4 * 2 + 1;
    struct slot4 *slot = bh_pages_new((mask + 1UL) * sizeof *slot, true);
    if (slot == NULL) {
        return -ENOMEM;
    }
    for (uint32_t k = 0; k <= a->mask4; k++) {
        if (a->slot4[k].id != 0) {
            uint32_t to = (uint32_t)address_hash(key, 4, 0, a->slot4[k].lo) & mask;
            while (slot[to].id != 0) {
                to = (to + 1) & mask;
            }
            slot[to] = a->slot4[k];
        }
    }
    bh_pages_free(a->slot4, (a->mask4 + 1UL) * sizeof *slot);
    a->slot4 = slot;
    a->mask4 = mask;
    return 0;
}

static int
grow6(struct addresses *a, uint64_t key)
{
    const uint32_t mask = a->mask6 * 2 + 1;
    struct slot6 *slot = bh_pages_new((mask + 1UL) * sizeof *slot, true);
    if (slot == NULL) {
        return -ENOMEM;
    }
    for (uint32_t k = 0; k <= a->mask6; k++) {
        const struct slot6 *s = &a->slot6[k];
        if (s->id != 0) {
            uint32_t to = (uint32_t)address_hash(key, s->family, s->hi, s->lo) & mask;
            while (slot[to].id != 0) {
                to = (to + 1) & mask;
            }
            slot[to] = *s;
        }
    }
    bh_pages_free(a->slot6, (a->mask6 + 1UL) * sizeof *slot);
    a->slot6 = slot;
    a->mask6 = mask;
    return 0;
}

int
addresses_add(struct addresses *a, uint64_t key, struct address x, uint32_t at, uint32_t id)
{
    if (x.family == 4) {
        a->slot4[at] = (struct slot4){ (uint32_t)x.lo, id + 1 };
        return ++a->count4 <= (a->mask4 + 1) / 8 * 5 ? 0 : grow4(a, key);
    }
    a->slot6[at] = (struct slot6){ x.hi, x.lo, id + 1, x.family };
    return ++a->count6 <= (a->mask6 + 1) / 8 * 5 ? 0 : grow6(a, key);
}

/* ---- all of them --------------------------------------------------------------------------------- */

int
terms_init(struct terms *t, const kobold *countries, uint64_t key)
{
    *t = (struct terms){ .countries = countries, .key = key };
    t->country = calloc(KOBOLD_VALUES_MAX + 1, sizeof *t->country);
    bool ok = addresses_init(&t->far_at);
    ok = addresses_init(&t->near_at) && ok;
    ok = slots_init(&t->form_slot, &t->form_mask, SLOTS_FIRST) && ok;
    ok = slots_init(&t->service.slot, &t->service.mask, SLOTS_FIRST) && ok;
    ok = slots_init(&t->shape.slot, &t->shape.mask, SLOTS_FIRST) && ok;
    t->group_index = bh_pages_new(1UL << GROUP_BITS, false);
    t->seen_shape = bh_pages_new(SEEN_SHAPES * sizeof *t->seen_shape, false);
    if (!ok || t->country == NULL || t->group_index == NULL || t->seen_shape == NULL) {
        terms_done(t);
        return -ENOMEM;
    }
    t->service.hash_key = t->shape.hash_key = key;
    /* Of records without addresses. */
    t->country[t->country_count++] = (struct bh_store_country){ .kind = KOBOLD_UNKNOWN };
    return 0;
}

void
terms_done(struct terms *t)
{
    terms_release(t);
    free(t->left);
    free(t->country);
    free(t->far);
    free(t->near);
    free(t->form);
    addresses_done(&t->far_at);
    addresses_done(&t->near_at);
    slots_done(t->form_slot, t->form_mask);
    keys_done(&t->service);
    keys_done(&t->shape);
    for (uint32_t k = 0; k < t->port_tables; k++) {
        bh_pages_free(t->port_id[k], 65536 * sizeof *t->port_id[k]);
    }
    bh_pages_free(t->group_index, 1UL << GROUP_BITS);
    bh_pages_free(t->seen_shape, SEEN_SHAPES * sizeof *t->seen_shape);
    *t = (struct terms){ 0 };
}

uint32_t *
port_table_new(struct terms *t, uint32_t group)
{
    if (t->port_tables == PORT_TABLES) {
        return NULL;
    }
    uint32_t *p = bh_pages_new(65536 * sizeof *p, false);
    if (p != NULL) {
        t->port_id[t->port_tables++] = p;
        t->group_index[group] = (uint8_t)t->port_tables;
    }
    return p;
}

uint16_t
terms_country_of_value(struct terms *t, uint16_t value)
{
    value &= KOBOLD_VALUES_MAX - 1;
    if (t->country_of_value[value] == 0) {
        struct kobold_value v = { .kind = KOBOLD_UNKNOWN };
        bool known = t->countries != NULL && kobold_value_info(t->countries, value, &v);
        struct bh_store_country c = { .kind = known ? v.kind : KOBOLD_UNKNOWN };
        snprintf(c.code, sizeof c.code, "%s", v.code); /* to the last octet the same each time */
        snprintf(c.class_name, sizeof c.class_name, "%s", v.class_name);
        snprintf(c.rfc, sizeof c.rfc, "%s", v.rfc);
        t->country_of_value[value] = (uint16_t)(terms_country(t, &c) + 1);
    }
    return (uint16_t)(t->country_of_value[value] - 1);
}

int
far_new(struct terms *t, struct address x, uint32_t at, uint32_t country, uint32_t *ret)
{
    void *list = t->far;
    if (!terms_reach(t, &list, &t->far_cap, t->far_count, sizeof *t->far)) {
        return -ENOMEM;
    }
    t->far = list;
    if (country == COUNTRY_ASK) {
        const uint16_t value = x.family == 0 || t->countries == NULL ? KOBOLD_VALUE_UNKNOWN
                               : x.family == 4 ? kobold_v4(t->countries, (uint32_t)x.lo)
                                               : kobold_v6(t->countries, x.hi, x.lo);
        country = x.family == 0 ? 0 : terms_country_of_value(t, value);
    }
    t->far[t->far_count] = (struct far){ x.hi, x.lo, (uint16_t)country, (uint8_t)x.family };
    *ret = t->far_count++;
    return addresses_add(&t->far_at, t->key, x, at, *ret);
}

int
near_new(struct terms *t, struct address x, uint32_t at, uint32_t *ret)
{
    void *list = t->near;
    if (!terms_reach(t, &list, &t->near_cap, t->near_count, sizeof *t->near)) {
        return -ENOMEM;
    }
    t->near = list;
    t->near[t->near_count] = (struct near){ x.hi, x.lo, (uint8_t)x.family };
    *ret = t->near_count++;
    return addresses_add(&t->near_at, t->key, x, at, *ret);
}

uint16_t
terms_country(struct terms *t, const struct bh_store_country *c)
{
    for (uint32_t k = 0; k < t->country_count; k++) {
        if (memcmp(&t->country[k], c, sizeof *c) == 0) {
            return (uint16_t)k;
        }
    }
    if (t->country_count >= KOBOLD_VALUES_MAX) {
        return 0;
    }
    t->country[t->country_count] = *c;
    return (uint16_t)t->country_count++;
}

/* ---- forms --------------------------------------------------------------------------------------- */

int
form_id(struct terms *t, const struct form *f, uint64_t hash, uint32_t *ret)
{
    uint32_t at = (uint32_t)hash & t->form_mask;
    while (t->form_slot[at] != 0) {
        if (form_same(&t->form[t->form_slot[at] - 1], f)) {
            *ret = t->form_slot[at] - 1;
            return 0;
        }
        at = (at + 1) & t->form_mask;
    }
    void *list = t->form;
    if (!terms_reach(t, &list, &t->form_cap, t->form_count, sizeof *t->form)) {
        return -ENOMEM;
    }
    t->form = list;
    t->form[t->form_count] = *f;
    t->form_slot[at] = ++t->form_count;
    *ret = t->form_count - 1;
    if (t->form_count <= (t->form_mask + 1) / 8 * 5) {
        return 0;
    }
    uint32_t *slot, mask;
    if (!slots_init(&slot, &mask, (t->form_mask + 1) * 2)) {
        return -ENOMEM;
    }
    for (uint32_t id = 0; id < t->form_count; id++) {
        uint32_t to = (uint32_t)form_hash(t->key, &t->form[id]) & mask;
        while (slot[to] != 0) {
            to = (to + 1) & mask;
        }
        slot[to] = id + 1;
    }
    slots_done(t->form_slot, t->form_mask);
    t->form_slot = slot;
    t->form_mask = mask;
    return 0;
}

void
form_to_numbers(const struct form *f, uint32_t v[FORM_NUMBERS])
{
    const uint32_t all[FORM_NUMBERS] = {
        (uint32_t)f->mac,
        (uint32_t)(f->mac >> 32),
        f->options,
        f->header_len,
        f->link_len,
        f->tunnel_sender,
        f->tunnel_vni,
        f->layers,
        f->vlan,
        f->ethertype,
        f->interface,
        f->flags,
        f->marks,
        f->reason,
        f->df,
        f->ttl,
    };
    memcpy(v, all, sizeof all);
}

#define LAYERS_KNOWN ((1U << BH_LAYER_COUNT) - 1 + BH_LAYER_CUT + BH_LAYER_SEEN)

void
form_from_numbers(const uint32_t v[FORM_NUMBERS], struct form *ret)
{
    *ret = (struct form){
        .mac = (uint64_t)v[1] << 32 | v[0],
        .options = v[2],
        .header_len = v[3],
        .link_len = v[4],
        .tunnel_sender = v[5],
        .tunnel_vni = v[6],
        .layers = (uint16_t)(v[7] & LAYERS_KNOWN),
        .vlan = (uint16_t)v[8],
        .ethertype = (uint16_t)v[9],
        .interface = (uint16_t)v[10],
        .flags = (uint8_t)v[11],
        .marks = (uint8_t)v[12],
        .reason = (uint8_t)(v[13] < BH_REASON_COUNT ? v[13] : BH_REASON_NONE),
        .df = (uint8_t)v[14],
        .ttl = (uint8_t)v[15],
    };
}
