/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interning: what a batch says in addresses and fields, a chunk says in numbers of its tables. A
 * row is looked up once on its way in (two cold lines: its source's slot and entry); all that
 * follows - counting, the dictionary, coding - is arithmetic over small arrays.
 *
 * Fields that a record does not have are made zero here (the decoder leaves in them what was there
 * before), so that they cost nothing and a log does not depend on what came earlier.
 */
#include "store_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ---- tables -------------------------------------------------------------------------------------- */

#define SLOTS_FIRST 4096U

static bool grow(void **list, uint32_t *cap, uint32_t count, size_t size);

static bool
slots_init(uint32_t **slot, uint32_t *mask, uint32_t slots)
{
    *slot = bh_pages_new(slots * sizeof **slot, false);
    *mask = slots - 1;
    return *slot != NULL;
}

static void
slots_done(uint32_t *slot, uint32_t mask)
{
    bh_pages_free(slot, (mask + 1UL) * sizeof *slot);
}

static void
keys_done(struct keys *k)
{
    free(k->key);
    if (k->slot != NULL) {
        slots_done(k->slot, k->mask);
    }
}

static inline uint32_t
key_hash(const struct keys *k, uint64_t key)
{
    return (uint32_t)bh_mix64(key, k->hash_key);
}

static BH_NOINLINE int
key_new(struct keys *k, uint64_t key, uint32_t at, uint32_t *ret)
{
    void *list = k->key;
    if (!grow(&list, &k->cap, k->count, sizeof *k->key)) {
        return -ENOMEM;
    }
    k->key = list;
    k->key[k->count] = key;
    *ret = k->count++;
    k->slot[at] = k->count;
    if (k->count <= (k->mask + 1) / 2) {
        return 0;
    }
    uint32_t *slot, mask;
    if (!slots_init(&slot, &mask, (k->mask + 1) * 2)) {
        return -ENOMEM;
    }
    for (uint32_t id = 0; id < k->count; id++) {
        uint32_t to = key_hash(k, k->key[id]) & mask;
        while (slot[to] != 0) {
            to = (to + 1) & mask;
        }
        slot[to] = id + 1;
    }
    slots_done(k->slot, k->mask);
    k->slot = slot;
    k->mask = mask;
    return 0;
}

static inline int
key_id(struct keys *k, uint64_t key, uint32_t *ret)
{
    uint32_t at = key_hash(k, key) & k->mask;
    while (k->slot[at] != 0) {
        if (BH_LIKELY(k->key[k->slot[at] - 1] == key)) {
            *ret = k->slot[at] - 1;
            return 0;
        }
        at = (at + 1) & k->mask;
    }
    return key_new(k, key, at, ret);
}

int
terms_init(struct terms *t, const kobold *countries, uint64_t key)
{
    *t = (struct terms){ .countries = countries, .key = key };
    t->country = calloc(KOBOLD_VALUES_MAX + 1, sizeof *t->country);
    bool ok = slots_init(&t->far_slot, &t->far_mask, SLOTS_FIRST);
    ok = slots_init(&t->near_slot, &t->near_mask, SLOTS_FIRST) && ok;
    ok = slots_init(&t->form_slot, &t->form_mask, SLOTS_FIRST) && ok;
    ok = slots_init(&t->service.slot, &t->service.mask, SLOTS_FIRST) && ok;
    ok = slots_init(&t->shape.slot, &t->shape.mask, SLOTS_FIRST) && ok;
    if (!ok || t->country == NULL) {
        terms_done(t);
        return -ENOMEM;
    }
    t->group_index = bh_pages_new(1UL << GROUP_BITS, false);
    if (t->group_index == NULL) {
        terms_done(t);
        return -ENOMEM;
    }
    t->service.hash_key = t->shape.hash_key = key;
    t->near_last = t->form_last = UINT32_MAX;
    /* Of records without addresses. */
    t->country[t->country_count++] = (struct bh_store_country){ .kind = KOBOLD_UNKNOWN };
    return 0;
}

void
terms_done(struct terms *t)
{
    free(t->country);
    free(t->far);
    free(t->near);
    free(t->form);
    if (t->far_slot != NULL) {
        slots_done(t->far_slot, t->far_mask);
    }
    if (t->near_slot != NULL) {
        slots_done(t->near_slot, t->near_mask);
    }
    if (t->form_slot != NULL) {
        slots_done(t->form_slot, t->form_mask);
    }
    keys_done(&t->service);
    keys_done(&t->shape);
    for (uint32_t k = 0; k < t->port_tables; k++) {
        bh_pages_free(t->port_id[k], 65536 * sizeof *t->port_id[k]);
    }
    bh_pages_free(t->group_index, 1UL << GROUP_BITS);
    *t = (struct terms){ 0 };
}

static bool
grow(void **list, uint32_t *cap, uint32_t count, size_t size)
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

static inline uint64_t
address_hash(const struct terms *t, unsigned family, uint64_t hi, uint64_t lo)
{
    return bh_mix64(hi ^ t->key, lo + family);
}

static uint64_t
form_hash(const struct terms *t, const struct form *f)
{
    uint64_t h = bh_mix64(f->mac ^ t->key, (uint64_t)f->options << 32 | f->header_len);
    h = bh_mix64(h ^ f->link_len, (uint64_t)f->tunnel_sender << 32 | f->tunnel_vni);
    h = bh_mix64(h ^ ((uint64_t)f->layers << 48 | (uint64_t)f->vlan << 32 |
                      (uint64_t)f->ethertype << 16 | f->interface),
                 (uint64_t)f->flags << 32 | (uint64_t)f->marks << 24 | (uint64_t)f->reason << 16 |
                     (uint64_t)f->df << 8 | f->ttl);
    return h;
}

static bool
form_same(const struct form *a, const struct form *b)
{
    return a->mac == b->mac && a->options == b->options && a->header_len == b->header_len &&
           a->link_len == b->link_len && a->tunnel_sender == b->tunnel_sender &&
           a->tunnel_vni == b->tunnel_vni && a->layers == b->layers && a->vlan == b->vlan &&
           a->ethertype == b->ethertype && a->interface == b->interface && a->flags == b->flags &&
           a->marks == b->marks && a->reason == b->reason && a->df == b->df && a->ttl == b->ttl;
}

/* Twice the slots; `hash_of` tells where each number belongs. */
#define GROW_SLOTS(t, what, hash_expression)                                                       \
    do {                                                                                           \
        uint32_t *slot, mask;                                                                      \
        if (!slots_init(&slot, &mask, (t->what##_mask + 1) * 2)) {                                 \
            return -ENOMEM;                                                                        \
        }                                                                                          \
        for (uint32_t id = 0; id < t->what##_count; id++) {                                        \
            uint32_t to = (uint32_t)(hash_expression)&mask;                                        \
            while (slot[to] != 0) {                                                                \
                to = (to + 1) & mask;                                                              \
            }                                                                                      \
            slot[to] = id + 1;                                                                     \
        }                                                                                          \
        slots_done(t->what##_slot, t->what##_mask);                                                \
        t->what##_slot = slot;                                                                     \
        t->what##_mask = mask;                                                                     \
    } while (0)

/* The ids of a group's ports, by port; NULL: this group has no such list. */
static inline uint32_t *
port_table(struct terms *t, uint32_t group)
{
    const unsigned index = t->group_index[group];
    if (BH_LIKELY(index != 0)) {
        return t->port_id[index - 1];
    }
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

static inline int
service_id(struct terms *t, uint32_t *table, uint32_t group, uint32_t port, uint32_t *ret)
{
    if (BH_LIKELY(table != NULL && table[port] != 0)) {
        *ret = table[port] - 1;
        return 0;
    }
    int r = key_id(&t->service, (uint64_t)group << 16 | port, ret);
    if (r == 0 && table != NULL) {
        table[port] = *ret + 1;
    }
    return r;
}

static uint16_t
country_index(struct terms *t, uint16_t value)
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

/* The country it was given before, where there was one: the database may have changed since. */
#define COUNTRY_ASK UINT32_MAX

static int
far_id(struct terms *t, unsigned family, uint64_t hi, uint64_t lo, uint64_t hash, uint32_t country,
       uint32_t *ret)
{
    uint32_t at = (uint32_t)hash & t->far_mask;
    while (t->far_slot[at] != 0) {
        const struct far *f = &t->far[t->far_slot[at] - 1];
        if (BH_LIKELY(f->lo == lo && f->hi == hi && f->family == family &&
                      (country == COUNTRY_ASK || f->country == country))) {
            *ret = t->far_slot[at] - 1;
            return 0;
        }
        at = (at + 1) & t->far_mask;
    }
    void *list = t->far;
    if (!grow(&list, &t->far_cap, t->far_count, sizeof *t->far)) {
        return -ENOMEM;
    }
    t->far = list;
    uint16_t value = country != COUNTRY_ASK || family == 0 || t->countries == NULL
                         ? KOBOLD_VALUE_UNKNOWN
                     : family == 4 ? kobold_v4(t->countries, (uint32_t)lo)
                                   : kobold_v6(t->countries, hi, lo);
    if (country == COUNTRY_ASK) {
        country = family == 0 ? 0 : country_index(t, value);
    }
    t->far[t->far_count] = (struct far){ hi, lo, (uint16_t)country, (uint8_t)family, 0, false };
    t->far_slot[at] = ++t->far_count;
    *ret = t->far_count - 1;
    if (t->far_count > (t->far_mask + 1) / 8 * 5) {
        GROW_SLOTS(t, far, address_hash(t, t->far[id].family, t->far[id].hi, t->far[id].lo));
    }
    return 0;
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

static int
near_id(struct terms *t, unsigned family, uint64_t hi, uint64_t lo, uint32_t *ret)
{
    if (t->near_last < t->near_count) {
        const struct near *n = &t->near[t->near_last];
        if (n->lo == lo && n->hi == hi && n->family == family) {
            *ret = t->near_last;
            return 0;
        }
    }
    uint32_t at = (uint32_t)address_hash(t, family, hi, lo) & t->near_mask;
    while (t->near_slot[at] != 0) {
        const struct near *n = &t->near[t->near_slot[at] - 1];
        if (n->lo == lo && n->hi == hi && n->family == family) {
            *ret = t->near_last = t->near_slot[at] - 1;
            return 0;
        }
        at = (at + 1) & t->near_mask;
    }
    void *list = t->near;
    if (!grow(&list, &t->near_cap, t->near_count, sizeof *t->near)) {
        return -ENOMEM;
    }
    t->near = list;
    t->near[t->near_count] = (struct near){ hi, lo, (uint8_t)family };
    t->near_slot[at] = ++t->near_count;
    *ret = t->near_last = t->near_count - 1;
    if (t->near_count > (t->near_mask + 1) / 8 * 5) {
        GROW_SLOTS(t, near, address_hash(t, t->near[id].family, t->near[id].hi, t->near[id].lo));
    }
    return 0;
}

static int
form_id(struct terms *t, const struct form *f, uint32_t *ret)
{
    if (t->form_last < t->form_count && form_same(&t->form[t->form_last], f)) {
        *ret = t->form_last;
        return 0;
    }
    uint32_t at = (uint32_t)form_hash(t, f) & t->form_mask;
    while (t->form_slot[at] != 0) {
        if (form_same(&t->form[t->form_slot[at] - 1], f)) {
            *ret = t->form_last = t->form_slot[at] - 1;
            return 0;
        }
        at = (at + 1) & t->form_mask;
    }
    void *list = t->form;
    if (!grow(&list, &t->form_cap, t->form_count, sizeof *t->form)) {
        return -ENOMEM;
    }
    t->form = list;
    t->form[t->form_count] = *f;
    t->form_slot[at] = ++t->form_count;
    *ret = t->form_last = t->form_count - 1;
    if (t->form_count > (t->form_mask + 1) / 8 * 5) {
        GROW_SLOTS(t, form, form_hash(t, &t->form[id]));
    }
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

/* ---- chunks ------------------------------------------------------------------------------------------ */

struct chunk *
chunk_new(void)
{
    struct chunk *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return NULL;
    }
    c->min_ns = INT64_MAX;
    c->max_ns = INT64_MIN;
    bool ok = true;
#define COLUMN(name)                                                                               \
    c->name = malloc((BLOCK_ROWS + 16) * sizeof *c->name);                                         \
    ok = ok && c->name != NULL;
    COLUMN(ts_ns)
    COLUMN(far)
    COLUMN(near)
    COLUMN(seq)
    COLUMN(connection)
    COLUMN(service)
    COLUMN(shape)
    COLUMN(port)
    COLUMN(other)
    COLUMN(ip_id)
    COLUMN(window)
    COLUMN(ttl)
    COLUMN(outcome)
    COLUMN(kind)
    COLUMN(stream)
#undef COLUMN
    if (!ok) {
        chunk_free(c);
        return NULL;
    }
    return c;
}

void
chunk_free(struct chunk *c)
{
    if (c == NULL) {
        return;
    }
    free(c->ts_ns);
    free(c->far);
    free(c->near);
    free(c->seq);
    free(c->weight);
    free(c->connection);
    free(c->service);
    free(c->shape);
    free(c->port);
    free(c->other);
    free(c->ip_id);
    free(c->window);
    free(c->ttl);
    free(c->outcome);
    free(c->kind);
    free(c->stream);
    free(c->quote);
    free(c->seen);
    free(c);
}

uint32_t
chunk_flags_of(const struct bh_batch *b)
{
    return ((b->want & BH_WANT_COLD) != 0 ? CHUNK_COLD : 0U) | (b->has_weight ? CHUNK_WEIGHT : 0U) |
           (b->all_inbound ? CHUNK_ALL_INBOUND : 0U) | (b->no_tcp_seq ? CHUNK_NO_SEQ : 0U) |
           b->lacks << CHUNK_LACKS_SHIFT;
}

static inline bool
is_ip_kind(unsigned kind)
{
    return kind == BH_KIND_IP4 || kind == BH_KIND_IP6;
}

/* Is the service what stands first in `ports`? An access asks for its destination port; of other
 * segments and datagrams the lower port is nearly always the one that was asked for; of ICMP it is
 * the type. */
static inline unsigned
is_in_front(unsigned cls, bool out, unsigned proto, uint32_t ports)
{
    if (proto == BH_PROTO_TCP || proto == BH_PROTO_UDP) {
        const uint32_t src = ports >> 16, dst = ports & 0xffff;
        return cls == BH_CLASS_ACCESS ? 0 : out ? src <= dst : src < dst;
    }
    return proto == BH_PROTO_ICMP || proto == BH_PROTO_ICMP6;
}

/* The form of a row, of the fields it has. */
static inline void
form_of(const struct bh_batch *b, uint32_t i, bool cold, bool from_us, uint32_t lacks,
        struct form *f)
{
    const unsigned kind = b->kind[i], proto = b->proto[i], marks = b->marks[i];
    const bool ip = is_ip_kind(kind), whole = ip && (marks & BH_MARK_NO_PORTS) == 0;
    const bool tcp = whole && proto == BH_PROTO_TCP;
    const bool payload = whole && (tcp || proto == BH_PROTO_UDP || proto == BH_PROTO_ICMP ||
                                   proto == BH_PROTO_ICMP6);
    const uint32_t len = ip ? b->ip_len[i] : 0;
    f->header_len = len - (payload ? b->payload_len[i] : 0U);
    f->layers = b->layers[i];
    f->flags = tcp ? b->tcp_flags[i] : 0;
    f->marks = (uint8_t)marks;
    f->reason = b->reason[i];
    if (!cold) {
        return;
    }
    f->mac = b->src_mac[i];
    f->options = tcp && (lacks & BH_LACK_OPTIONS) == 0 ? b->tcp_options[i] : 0;
    f->link_len = b->wire_len[i] - len;
    if ((marks & BH_MARK_DECAP) != 0) {
        f->tunnel_sender = b->tunnel_sender[i];
        f->tunnel_vni = b->tunnel_vni[i];
    }
    f->vlan = b->vlan[i];
    f->ethertype = b->ethertype[i];
    f->interface = b->interface[i];
    f->df = kind == BH_KIND_IP4 ? b->df[i] : 0;
    f->ttl = ip && from_us ? b->ttl[i] : 0;
}

static int
add_sides(struct chunk *c, const struct bh_batch *b, uint32_t from, uint32_t to)
{
    const uint32_t base = c->rows - from;
    for (uint32_t k = 0; k < b->quote_rows; k++) {
        if (b->quotes[k].row < from || b->quotes[k].row >= to) {
            continue;
        }
        void *list = c->quote;
        if (!grow(&list, &c->quote_cap, c->quote_count, sizeof *c->quote)) {
            return -ENOMEM;
        }
        c->quote = list;
        c->quote[c->quote_count++] = (struct quote_row){ base + b->quotes[k].row, b->quotes[k] };
    }
    for (uint32_t k = 0; k < b->seen_rows; k++) {
        if (b->seen[k].row < from || b->seen[k].row >= to) {
            continue;
        }
        void *list = c->seen;
        if (!grow(&list, &c->seen_cap, c->seen_count, sizeof *c->seen)) {
            return -ENOMEM;
        }
        c->seen = list;
        c->seen[c->seen_count++] = (struct seen_row){ base + b->seen[k].row, b->seen[k] };
    }
    return 0;
}

/* Both ends of a row: family, far, near. */
struct ends {
    uint64_t far_hi, far_lo, near_hi, near_lo;
    unsigned family;
};

static inline struct ends
ends_of(const struct bh_batch *b, uint32_t i, bool out)
{
    const unsigned kind = b->kind[i];
    if (BH_LIKELY(kind == BH_KIND_IP4 || kind == BH_KIND_ARP)) {
        const uint32_t s = b->src[i], d = b->dst[i];
        return (struct ends){ 0, out ? d : s, 0, out ? s : d, 4 };
    }
    if (kind == BH_KIND_IP6) {
        const struct bh_ip6_pair *p = &b->ip6[b->src[i]];
        return out ? (struct ends){ p->dst_hi, p->dst_lo, p->src_hi, p->src_lo, 6 }
                   : (struct ends){ p->src_hi, p->src_lo, p->dst_hi, p->dst_lo, 6 };
    }
    return (struct ends){ 0 };
}

int
chunk_add(struct chunk *c, struct terms *t, const struct bh_batch *b, uint32_t from, uint32_t to,
          const uint16_t *country_map)
{
    const bool cold = (b->want & BH_WANT_COLD) != 0;
    if (b->has_weight && c->weight == NULL &&
        (c->weight = malloc((BLOCK_ROWS + 16) * sizeof *c->weight)) == NULL) {
        return -ENOMEM;
    }
    int r = add_sides(c, b, from, to);
    struct {
        uint64_t hash;
        uint32_t *table; /* of the group */
        uint32_t group;
        uint16_t service, other;
    } row[BH_BATCH_ROWS];
    /* First what costs no cold line, asking for those that will be needed; then their entries; then
     * all at once. */
    for (uint32_t i = from; i < to; i++) {
        const unsigned kind = b->kind[i];
        const bool ip = is_ip_kind(kind), out = b->direction[i] == BH_DIR_OUT;
        const unsigned proto = ip ? b->proto[i] : 0;
        const uint32_t ports =
            (ip && (b->marks[i] & BH_MARK_NO_PORTS) == 0) || kind == BH_KIND_ARP ? b->ports[i] : 0;
        const unsigned in_front = is_in_front(b->cls[i], out, proto, ports);
        const struct ends e = ends_of(b, i, out);
        row[i - from].hash = address_hash(t, e.family, e.far_hi, e.far_lo);
        row[i - from].group =
            group_pack(b->cls[i] & 31U, b->direction[i] & 7U, kind & 7U, proto, in_front);
        row[i - from].service = (uint16_t)(in_front ? ports >> 16 : ports & 0xffff);
        row[i - from].other = (uint16_t)(in_front ? ports & 0xffff : ports >> 16);
        row[i - from].table = port_table(t, row[i - from].group);
        BH_PREFETCH_WRITE(&t->far_slot[(uint32_t)row[i - from].hash & t->far_mask]);
        if (row[i - from].table != NULL) {
            BH_PREFETCH_WRITE(&row[i - from].table[row[i - from].service]);
        }
    }
    for (uint32_t i = from; i < to; i++) {
        const uint32_t id = t->far_slot[(uint32_t)row[i - from].hash & t->far_mask];
        __builtin_prefetch(&t->far[id == 0 ? 0 : id - 1]);
    }
    for (uint32_t i = from; i < to && r == 0; i++) {
        const uint32_t at = c->rows;
        const unsigned kind = b->kind[i];
        const bool ip = is_ip_kind(kind), out = b->direction[i] == BH_DIR_OUT;
        const unsigned proto = ip ? b->proto[i] : 0;
        const bool has_ports = (b->marks[i] & BH_MARK_NO_PORTS) == 0;
        const bool tcp = has_ports && proto == BH_PROTO_TCP;
        const uint32_t group = row[i - from].group;
        const struct ends e = ends_of(b, i, out);
        struct form f = { 0 };
        uint32_t form = 0;
        form_of(b, i, cold, out, c->flags >> CHUNK_LACKS_SHIFT, &f);
        r = far_id(t, e.family, e.far_hi, e.far_lo, row[i - from].hash,
                   country_map == NULL ? COUNTRY_ASK : country_map[b->country[i]], &c->far[at]);
        r = r != 0 ? r : near_id(t, e.family, e.near_hi, e.near_lo, &c->near[at]);
        r = r != 0 ? r : form_id(t, &f, &form);
        r = r != 0
                ? r
                : service_id(t, row[i - from].table, group, row[i - from].service, &c->service[at]);
        const unsigned stream = stream_of(group);
        r = r != 0
                ? r
                : key_id(&t->shape, shape_key(stream, form, ip ? b->ip_len[i] : 0), &c->shape[at]);
        if (r != 0) {
            break;
        }
        c->ts_ns[at] = b->ts_ns[i];
        c->min_ns = b->ts_ns[i] < c->min_ns ? b->ts_ns[i] : c->min_ns;
        c->max_ns = b->ts_ns[i] > c->max_ns ? b->ts_ns[i] : c->max_ns;
        c->port[at] = row[i - from].service;
        c->other[at] = row[i - from].other;
        c->seq[at] = tcp ? b->tcp_seq[i] : 0;
        c->outcome[at] = tcp && b->cls[i] == BH_CLASS_ACCESS ? b->outcome[i] : 0;
        c->connection[at] = tcp && b->cls[i] == BH_CLASS_ACCESS ? b->connection[i] : 0;
        c->ip_id[at] = cold && kind == BH_KIND_IP4 ? b->ip_id[i] : 0;
        c->window[at] = cold && tcp ? b->tcp_window[i] : 0;
        c->ttl[at] = cold && ip && !out ? b->ttl[i] : 0;
        c->kind[at] = (uint8_t)(kind | (ip && !out ? (unsigned)CHUNK_THEIRS : 0U));
        c->stream[at] = (uint8_t)stream;
        if (c->ttl[at] != 0 && !t->far[c->far[at]].has_ttl) {
            t->far[c->far[at]].has_ttl = true;
            t->far[c->far[at]].ttl = c->ttl[at];
        }
        if (b->has_weight) {
            c->weight[at] = b->weight[i];
        }
        c->rows++;
    }
    return r;
}

int
chunk_move(struct chunk *to, struct terms *into, const struct chunk *from, const struct terms *of,
           uint32_t first_row, uint32_t rows)
{
    uint16_t country_map[KOBOLD_VALUES_MAX + 1];
    int r = 0;
    for (uint32_t k = 0; k < of->country_count; k++) {
        country_map[k] = terms_country(into, &of->country[k]);
    }
    to->flags = from->flags;
    if (from->weight != NULL && to->weight == NULL &&
        (to->weight = malloc((BLOCK_ROWS + 16) * sizeof *to->weight)) == NULL) {
        return -ENOMEM;
    }
    for (uint32_t i = first_row; i < first_row + rows && r == 0; i++) {
        const uint32_t at = to->rows;
        const struct far *f = &of->far[from->far[i]];
        const struct near *n = &of->near[from->near[i]];
        const uint32_t country = country_map[f->country];
        r = far_id(into, f->family, f->hi, f->lo, address_hash(into, f->family, f->hi, f->lo),
                   country, &to->far[at]);
        r = r != 0 ? r : near_id(into, n->family, n->hi, n->lo, &to->near[at]);
        const uint64_t shape = of->shape.key[from->shape[i]];
        uint32_t form = 0;
        r = r != 0 ? r : form_id(into, &of->form[shape_form(shape)], &form);
        const uint64_t service = of->service.key[from->service[i]];
        const uint32_t group = (uint32_t)(service >> 16);
        r = r != 0 ? r
                   : service_id(into, port_table(into, group), group, service & 0xffff,
                                &to->service[at]);
        r = r != 0 ? r
                   : key_id(&into->shape, shape_key(shape_stream(shape), form, shape_len(shape)),
                            &to->shape[at]);
        if (r != 0) {
            break;
        }
        struct far *moved = &into->far[to->far[at]];
        moved->ttl = moved->has_ttl ? moved->ttl : f->ttl;
        moved->has_ttl |= f->has_ttl;
#define MOVE(column) to->column[at] = from->column[i]
        MOVE(ts_ns);
        MOVE(port);
        MOVE(other);
        MOVE(seq);
        MOVE(outcome);
        MOVE(connection);
        MOVE(ip_id);
        MOVE(window);
        MOVE(ttl);
        MOVE(kind);
        MOVE(stream);
        if (from->weight != NULL) {
            MOVE(weight);
        }
#undef MOVE
        to->min_ns = to->ts_ns[at] < to->min_ns ? to->ts_ns[at] : to->min_ns;
        to->max_ns = to->ts_ns[at] > to->max_ns ? to->ts_ns[at] : to->max_ns;
        to->rows++;
    }
    for (uint32_t k = 0; k < from->quote_count && r == 0; k++) {
        if (from->quote[k].row >= first_row && from->quote[k].row < first_row + rows) {
            void *list = to->quote;
            r = grow(&list, &to->quote_cap, to->quote_count, sizeof *to->quote) ? 0 : -ENOMEM;
            to->quote = list;
            if (r == 0) {
                to->quote[to->quote_count] = from->quote[k];
                to->quote[to->quote_count++].row += to->rows - rows - first_row;
            }
        }
    }
    for (uint32_t k = 0; k < from->seen_count && r == 0; k++) {
        if (from->seen[k].row >= first_row && from->seen[k].row < first_row + rows) {
            void *list = to->seen;
            r = grow(&list, &to->seen_cap, to->seen_count, sizeof *to->seen) ? 0 : -ENOMEM;
            to->seen = list;
            if (r == 0) {
                to->seen[to->seen_count] = from->seen[k];
                to->seen[to->seen_count++].row += to->rows - rows - first_row;
            }
        }
    }
    return r;
}
