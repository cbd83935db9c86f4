/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups in a hash table of their keys' values, and distinct sources as a set of hashes of (group,
 * source), as the report has them: keyed 64 bits, of which among ten million two are the same once
 * in a hundred thousand runs.
 */
#include "count_priv.h"

#include <errno.h>
#include <stdlib.h>

#define PAIR_SLOTS_MAX (1ULL << 24)

/* ---- names --------------------------------------------------------------------------------------------- */

static uint64_t
hash_text(const char *text)
{
    uint64_t h = 1469598103934665603ULL;
    for (const char *p = text; *p != '\0'; p++) {
        h = bh_mix64(h ^ (uint8_t)*p, 0x9e3779b97f4a7c15ULL);
    }
    return h;
}

static bool
grow_texts(struct bh_count *c)
{
    const uint32_t mask = c->texts == NULL ? 255 : c->text_mask * 2 + 1;
    char **texts = calloc((size_t)mask + 1, sizeof *texts);
    if (texts == NULL) {
        return false;
    }
    for (uint32_t i = 0; c->texts != NULL && i <= c->text_mask; i++) {
        if (c->texts[i] != NULL) {
            uint32_t at = (uint32_t)hash_text(c->texts[i]) & mask;
            while (texts[at] != NULL) {
                at = (at + 1) & mask;
            }
            texts[at] = c->texts[i];
        }
    }
    free(c->texts);
    c->texts = texts;
    c->text_mask = mask;
    return true;
}

/* One copy of each: those of a batch may go with it. */
static const char *
keep_text(struct bh_count *c, const char *text)
{
    if ((c->texts == NULL || c->text_count * 4 >= c->text_mask * 3) && !grow_texts(c)) {
        return NULL;
    }
    uint32_t at = (uint32_t)hash_text(text) & c->text_mask;
    while (c->texts[at] != NULL && strcmp(c->texts[at], text) != 0) {
        at = (at + 1) & c->text_mask;
    }
    if (c->texts[at] == NULL) {
        c->texts[at] = strdup(text);
        c->text_count++;
    }
    return c->texts[at];
}

/* ---- values -------------------------------------------------------------------------------------------- */

static void
cut_prefix(struct cell *x, unsigned bits)
{
    if (x->tag == TAG_IP4 && bits < 32) {
        x->lo &= ~(UINT32_MAX >> bits);
    } else if (x->tag == TAG_IP6 && bits > 32 && bits < 128) {
        x->hi &= bits >= 64 ? UINT64_MAX : ~(UINT64_MAX >> bits);
        x->lo &= bits <= 64 ? 0 : ~(UINT64_MAX >> (bits - 64));
    }
}

static int64_t
floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static void
cut_time(struct bh_count *c, enum bh_cut cut, struct cell *x)
{
    const int64_t quarter = floor_div((int64_t)x->lo, 900 * INT64_C(1000000000));
    if (BH_UNLIKELY(quarter != c->calendar.quarter)) {
        calendar_set(&c->calendar, quarter);
    }
    switch (cut) {
    case BH_CUT_HOUR:
        x->lo = (uint64_t)c->calendar.hour_s;
        break;
    case BH_CUT_DAY:
        x->lo = (uint64_t)c->calendar.day;
        break;
    case BH_CUT_MONTH:
        x->lo = (uint64_t)(int64_t)c->calendar.month;
        break;
    case BH_CUT_WEEKDAY:
        x->lo = (uint64_t)c->calendar.weekday;
        break;
    case BH_CUT_NONE:
    case BH_CUT_PREFIX:
        break;
    }
}

static void
value_of(struct bh_count *c, size_t k, uint32_t row, struct cell *ret, const char **ret_name)
{
    const struct bh_count_key *key = &c->keys[k];
    struct bh_value v;
    bh_sight_get(c->sight, &key->column, row, &v);
    *ret = (struct cell){ .tag = TAG_ABSENT };
    *ret_name = NULL;
    if (v.absent) {
        return;
    }
    if (key->column.type != BH_TYPE_ADDRESS) {
        *ret = (struct cell){ .lo = v.number, .tag = TAG_NUMBER };
        *ret_name = v.name;
    } else if (v.ip.family == 4) {
        *ret = (struct cell){ .lo = bh_get_be32(v.ip.octets), .tag = TAG_IP4 };
    } else {
        *ret = (struct cell){ bh_get_be64(v.ip.octets), bh_get_be64(v.ip.octets + 8), TAG_IP6 };
    }
    if (key->cut == BH_CUT_PREFIX) {
        cut_prefix(ret, key->bits);
    } else if (key->cut != BH_CUT_NONE) {
        cut_time(c, key->cut, ret);
    }
}

/* ---- groups ----------------------------------------------------------------------------------------------- */

#define NO_GROUP UINT32_MAX
#define PACKED_BYTES 64U /* of a group: id, count, and slots of which a third to half is used */

/* As one more. NO_GROUP: there are too many; -ENOMEM. */
static int
new_group(struct bh_count *c, uint64_t id, uint64_t bytes, uint32_t *ret)
{
    *ret = NO_GROUP;
    if (c->bytes + bytes > BH_COUNT_BYTES_MAX) {
        return 0;
    }
    if (c->group_count == c->group_room) {
        const uint32_t room = c->group_room == 0 ? 1024 : c->group_room * 2;
        uint64_t *ids = realloc(c->id, room * sizeof *ids);
        c->id = ids != NULL ? ids : c->id;
        uint64_t *counts = realloc(c->counts, room * sizeof *counts);
        c->counts = counts != NULL ? counts : c->counts;
        if (ids == NULL || counts == NULL) {
            return -ENOMEM;
        }
        c->group_room = room;
    }
    c->bytes += bytes;
    c->id[c->group_count] = id;
    c->counts[c->group_count] = 0;
    *ret = c->group_count++;
    return 0;
}

/* ---- groups that fit into a word ------------------------------------------------------------------------- */

/* *ret: all keys in one word; false: they do not fit. */
static bool
pack_cells(const struct bh_count *c, const struct cell *x, const char *const *names, uint64_t *ret)
{
    const uint64_t most = (1ULL << c->key_bits) - 1;
    uint64_t id = 0;
    bool fits = true;
    for (size_t k = 0; k < c->cfg.key_count; k++) {
        const uint64_t number = x[k].tag == TAG_ABSENT ? 0 : x[k].lo + 1;
        fits &= x[k].tag <= TAG_NUMBER && x[k].hi == 0 && x[k].lo < most &&
                (names[k] == NULL || x[k].lo < NAMES_MOST);
        id |= (number & most) << (k * c->key_bits);
    }
    *ret = id;
    return fits;
}

static int
learn_name(struct bh_count *c, size_t k, uint64_t number, const char *name)
{
    if (c->name_of[k] == NULL &&
        (c->name_of[k] = calloc(NAMES_MOST, sizeof *c->name_of[k])) == NULL) {
        return -ENOMEM;
    }
    if (c->name_of[k][number] == NULL) {
        c->name_of[k][number] = keep_text(c, name);
    }
    return c->name_of[k][number] == NULL ? -ENOMEM : 0;
}

static inline uint32_t
packed_slot(const struct bh_count *c, uint64_t id)
{
    return (uint32_t)bh_mix64(c->hash_key ^ id, 0x9e3779b97f4a7c15ULL) & c->packed_mask;
}

static int
grow_packed(struct bh_count *c)
{
    const struct packed_group *old = c->packed;
    const uint32_t old_mask = c->packed_mask;
    struct packed_group *slots =
        calloc(old == NULL ? 1024 : 2 * ((size_t)old_mask + 1), sizeof *slots);
    if (slots == NULL) {
        return -ENOMEM;
    }
    c->packed = slots;
    c->packed_mask = old == NULL ? 1023 : 2 * old_mask + 1;
    for (size_t i = 0; old != NULL && i <= old_mask; i++) {
        uint32_t at = packed_slot(c, old[i].id);
        while (old[i].group != 0 && slots[at].group != 0) {
            at = (at + 1) & c->packed_mask;
        }
        slots[at] = old[i].group != 0 ? old[i] : slots[at];
    }
    free((void *)(uintptr_t)old);
    return 0;
}

static int
packed_group(struct bh_count *c, uint64_t id, uint32_t *ret)
{
    if ((c->packed == NULL || c->packed_count >= c->packed_mask / 4 * 3) && grow_packed(c) != 0) {
        return -ENOMEM;
    }
    uint32_t at = packed_slot(c, id);
    while (c->packed[at].group != 0 && c->packed[at].id != id) {
        at = (at + 1) & c->packed_mask;
    }
    if (c->packed[at].group != 0) {
        *ret = c->packed[at].group - 1;
        return 0;
    }
    int r = new_group(c, id, PACKED_BYTES, ret);
    if (r == 0 && *ret != NO_GROUP) {
        c->packed[at] = (struct packed_group){ id, *ret + 1 };
        c->packed_count++;
    }
    return r;
}

/* ---- the others -------------------------------------------------------------------------------------------- */

static uint64_t
hash_cells(const struct bh_count *c, const struct cell *x)
{
    uint64_t h = c->hash_key;
    for (size_t k = 0; k < c->cfg.key_count; k++) {
        h = bh_mix64(h ^ x[k].lo, x[k].hi + x[k].tag * 0x9e3779b97f4a7c15ULL);
    }
    return h;
}

static bool
same_cells(const struct bh_count *c, uint32_t group, const struct cell *x)
{
    const uint64_t id = c->id[group];
    return (id & GROUP_APART) != 0 && memcmp(cells_at(c, id), x, c->cfg.key_count * sizeof *x) == 0;
}

static int
grow_cells(struct bh_count *c)
{
    const uint32_t room = c->cell_room == 0 ? 1024 : c->cell_room * 2;
    void *cells = realloc(c->cells, (size_t)room * c->cfg.key_count * sizeof *c->cells);
    c->cells = cells != NULL ? cells : c->cells;
    void *names = realloc(c->names, (size_t)room * c->cfg.key_count * sizeof *c->names);
    c->names = names != NULL ? names : c->names;
    uint32_t *slots = calloc((size_t)room * 2, sizeof *slots);
    if (cells == NULL || names == NULL || slots == NULL) {
        free(slots);
        return -ENOMEM;
    }
    c->cell_room = room;
    c->slot_mask = room * 2 - 1;
    for (uint32_t g = 0; g < c->group_count; g++) {
        if ((c->id[g] & GROUP_APART) == 0) {
            continue;
        }
        uint32_t at = (uint32_t)hash_cells(c, cells_at(c, c->id[g])) & c->slot_mask;
        while (slots[at] != 0) {
            at = (at + 1) & c->slot_mask;
        }
        slots[at] = g + 1;
    }
    free(c->slots);
    c->slots = slots;
    return 0;
}

/* NO_GROUP: there are too many. */
static int
group_apart(struct bh_count *c, const struct cell *x, const char *const *names, uint32_t *ret)
{
    const size_t keys = c->cfg.key_count;
    if (c->last < c->group_count && same_cells(c, c->last, x)) {
        *ret = c->last;
        return 0;
    }
    if (c->cell_count == c->cell_room && grow_cells(c) != 0) {
        return -ENOMEM;
    }
    uint32_t at = (uint32_t)hash_cells(c, x) & c->slot_mask;
    while (c->slots[at] != 0 && !same_cells(c, c->slots[at] - 1, x)) {
        at = (at + 1) & c->slot_mask;
    }
    if (c->slots[at] != 0) {
        *ret = c->last = c->slots[at] - 1;
        return 0;
    }
    const size_t place = (size_t)c->cell_count * keys;
    for (size_t k = 0; k < keys; k++) {
        c->names[place + k] = names[k] == NULL ? NULL : keep_text(c, names[k]);
        if (names[k] != NULL && c->names[place + k] == NULL) {
            return -ENOMEM;
        }
    }
    memcpy(c->cells + place, x, keys * sizeof *x);
    int r = new_group(c, GROUP_APART | c->cell_count,
                      keys * (sizeof *c->cells + sizeof *c->names) + sizeof *c->counts, ret);
    if (r == 0 && *ret != NO_GROUP) {
        c->cell_count++;
        c->slots[at] = *ret + 1;
        c->last = *ret;
    }
    return r;
}

/* ---- distinct sources --------------------------------------------------------------------------------------- */

static bool
grow_pairs(struct bh_count *c)
{
    const uint64_t mask = c->pairs == NULL ? 4095 : c->pair_mask * 2 + 1;
    uint64_t *pairs = mask >= PAIR_SLOTS_MAX ? NULL : calloc(mask + 1, sizeof *pairs);
    if (pairs == NULL) {
        return false;
    }
    for (uint64_t i = 0; c->pairs != NULL && i <= c->pair_mask; i++) {
        if (c->pairs[i] != 0) {
            uint64_t at = c->pairs[i] & mask;
            while (pairs[at] != 0) {
                at = (at + 1) & mask;
            }
            pairs[at] = c->pairs[i];
        }
    }
    free(c->pairs);
    c->pairs = pairs;
    c->pair_mask = mask;
    return true;
}

/* 1 when it is new. */
static uint64_t
add_pair(struct bh_count *c, uint64_t hash)
{
    hash = hash == 0 ? 1 : hash;
    if ((c->pairs == NULL || c->pair_count * 4 >= c->pair_mask * 3) && !grow_pairs(c)) {
        c->pairs_lost++;
        return 0;
    }
    uint64_t at = hash & c->pair_mask;
    while (c->pairs[at] != 0 && c->pairs[at] != hash) {
        at = (at + 1) & c->pair_mask;
    }
    if (c->pairs[at] == hash) {
        return 0;
    }
    c->pairs[at] = hash;
    c->pair_count++;
    return 1;
}

static uint64_t
hash_source(const struct bh_count *c, const struct bh_batch *b, uint32_t row)
{
    if (b->kind[row] == BH_KIND_IP4) {
        return bh_mix64(c->hash_key ^ b->src[row], 4);
    }
    const struct bh_ip6_pair *p = &b->ip6[b->src[row]];
    return bh_mix64(bh_mix64(c->hash_key ^ p->src_hi, 6), p->src_lo);
}

/* ---- rows ------------------------------------------------------------------------------------------------------ */

/* What a row adds, by MEANING. */
static uint64_t
amount_of(const struct bh_count *c, const struct bh_batch *b, uint32_t row)
{
    const uint64_t weight = b->has_weight ? b->weight[row] : 1;
    const bool is_inbound = b->kind[row] >= BH_KIND_IP4 && b->direction[row] == BH_DIR_IN;
    switch (c->cfg.what) {
    case BH_COUNTED_ACCESSES:
    case BH_COUNTED_SOURCES:
        return b->cls[row] == BH_CLASS_ACCESS ? weight : 0;
    case BH_COUNTED_PACKETS:
        return is_inbound ? weight : 0;
    case BH_COUNTED_BYTES:
        return is_inbound ? weight * b->ip_len[row] : 0;
    case BH_COUNTED_RECORDS:
        break;
    }
    return 1;
}

static void
stretch_to(struct bh_count *c, int64_t first_ns, int64_t last_ns)
{
    c->first_ns = first_ns < c->first_ns ? first_ns : c->first_ns;
    c->last_ns = last_ns > c->last_ns ? last_ns : c->last_ns;
}

static void
add_to(struct bh_count *c, const struct bh_batch *b, uint32_t row, uint32_t group, uint64_t amount)
{
    if (c->cfg.what == BH_COUNTED_SOURCES) {
        const uint64_t source = hash_source(c, b, row);
        c->total += add_pair(c, source);
        amount = group == NO_GROUP ? 0 : add_pair(c, bh_mix64(source, group + 1ULL));
    } else {
        c->total += amount;
    }
    if (group == NO_GROUP) {
        c->over_count += amount;
    } else {
        c->counts[group] += amount;
    }
}

/* Rows whose keys fit into a word: the slots of some are asked for before the first is looked at. */
#define WAITING_MOST 32U
struct waiting {
    uint64_t id[WAITING_MOST], amount[WAITING_MOST];
    uint32_t row[WAITING_MOST], count;
};

static int
count_waiting(struct bh_count *c, const struct bh_batch *b, struct waiting *w)
{
    int r = 0;
    for (uint32_t i = 0; i < w->count && r == 0; i++) {
        uint32_t group;
        r = packed_group(c, w->id[i], &group);
        if (r == 0) {
            add_to(c, b, w->row[i], group, w->amount[i]);
        }
    }
    w->count = 0;
    return r;
}

static int
count_row(struct bh_count *c, const struct bh_batch *b, uint32_t row, uint64_t amount,
          struct waiting *w)
{
    struct cell x[BH_COUNT_KEYS];
    const char *names[BH_COUNT_KEYS];
    uint32_t group;
    int r = 0;
    for (size_t k = 0; k < c->cfg.key_count; k++) {
        value_of(c, k, row, &x[k], &names[k]);
    }
    if (pack_cells(c, x, names, &w->id[w->count])) {
        for (size_t k = 0; k < c->cfg.key_count && r == 0; k++) {
            r = names[k] == NULL ? 0 : learn_name(c, k, x[k].lo, names[k]);
        }
        if (c->packed != NULL) {
            BH_PREFETCH_WRITE(&c->packed[packed_slot(c, w->id[w->count])]);
        }
        w->amount[w->count] = amount;
        w->row[w->count++] = row;
        return r != 0 || w->count < WAITING_MOST ? r : count_waiting(c, b, w);
    }
    r = group_apart(c, x, names, &group);
    if (r == 0) {
        add_to(c, b, row, group, amount);
    }
    return r;
}

int
bh_count_batch(struct bh_count *c, struct bh_batch *b)
{
    struct waiting w = { .count = 0 };
    bh_sight_set(c->sight, b);
    for (uint32_t row = 0; row < b->rows; row++) {
        const uint64_t amount = b->counted[row] == 0 ? 0 : amount_of(c, b, row);
        if (amount == 0) {
            continue;
        }
        if ((b->marks[row] & BH_MARK_BAD_TIME) == 0) {
            stretch_to(c, b->ts_ns[row], b->ts_ns[row]);
        }
        int r = count_row(c, b, row, amount, &w);
        if (r != 0) {
            return r;
        }
    }
    return count_waiting(c, b, &w);
}

int
bh_count_sums(struct bh_count *c, struct bh_batch *b)
{
    struct waiting w = { .count = 0 };
    int r = 0;
    bh_sight_set(c->sight, b);
    for (uint32_t row = 0; row < b->rows && r == 0; row++) {
        const uint64_t of_row =
            c->cfg.what == BH_COUNTED_RECORDS ? b->weight[row] : amount_of(c, b, row);
        const uint64_t amount = b->counted[row] == 0 ? 0 : of_row;
        r = amount == 0 ? 0 : count_row(c, b, row, amount, &w);
    }
    return r != 0 ? r : count_waiting(c, b, &w);
}

void
bh_count_span(struct bh_count *c, int64_t first_ns, int64_t last_ns)
{
    stretch_to(c, first_ns, last_ns);
}

/* ---- the object -------------------------------------------------------------------------------------------------- */

uint32_t
bh_count_needs(const struct bh_count_config *cfg)
{
    uint32_t needs = 0;
    for (size_t k = 0; k < cfg->key_count; k++) {
        needs |= cfg->keys[k].column.needs;
    }
    return needs;
}

int
bh_count_new(const struct bh_count_config *cfg, struct bh_count **ret, struct bh_error *err)
{
    struct bh_count *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
    }
    c->cfg = *cfg;
    memcpy(c->keys, cfg->keys, cfg->key_count * sizeof *c->keys);
    c->cfg.keys = c->keys;
    c->hash_key = bh_random_key();
    c->calendar.quarter = INT64_MIN;
    c->first_ns = INT64_MAX;
    c->last_ns = INT64_MIN;
    c->key_bits = 63U / (unsigned)(cfg->key_count > 0 ? cfg->key_count : 1);
    int r = bh_sight_new(cfg->countries, cfg->lang, bh_count_needs(cfg), cfg->anonymize, &c->sight,
                         err);
    if (r != 0) {
        bh_count_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

void
bh_count_free(struct bh_count *c)
{
    if (c == NULL) {
        return;
    }
    for (uint32_t i = 0; c->texts != NULL && i <= c->text_mask; i++) {
        free(c->texts[i]);
    }
    free(c->texts);
    for (size_t k = 0; k < BH_COUNT_KEYS; k++) {
        free(c->name_of[k]);
    }
    free(c->id);
    free(c->packed);
    free(c->cells);
    free(c->names);
    free(c->counts);
    free(c->slots);
    free(c->pairs);
    bh_sight_free(c->sight);
    free(c);
}

/* ---- order --------------------------------------------------------------------------------------------------------- */

static int
compare_numbers(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int
compare_keys(const struct bh_count *c, uint32_t a, uint32_t b)
{
    for (size_t k = 0; k < c->cfg.key_count; k++) {
        const char *x_name, *y_name;
        const struct cell x = count_cell(c, a, k, &x_name), y = count_cell(c, b, k, &y_name);
        int r = compare_numbers(x.tag, y.tag); /* absent first, IPv4 before IPv6 */
        if (r == 0 && x.tag == TAG_NUMBER && x_name != NULL && y_name != NULL) {
            r = strcmp(x_name, y_name);
        }
        if (r == 0 && c->keys[k].column.type == BH_TYPE_TIME) {
            r = (int64_t)x.lo < (int64_t)y.lo ? -1 : (int64_t)x.lo > (int64_t)y.lo;
        }
        r = r != 0 ? r : compare_numbers(x.hi, y.hi);
        r = r != 0 ? r : compare_numbers(x.lo, y.lo);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

static int
by_key(const void *a, const void *b, void *arg)
{
    return compare_keys(arg, *(const uint32_t *)a, *(const uint32_t *)b);
}

static int
by_count(const void *a, const void *b, void *arg)
{
    const struct bh_count *c = arg;
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    const int r = compare_numbers(c->counts[y], c->counts[x]);
    return r != 0 ? r : compare_keys(c, x, y);
}

/* A number that the counts of the first `most` groups are not below: a power of two, so that one look at all is
 * enough to find it. */
static uint64_t
least_of_first(const struct bh_count *c, uint32_t most)
{
    uint32_t with_bits[65] = { 0 }, above = 0;
    for (uint32_t g = 0; g < c->group_count; g++) {
        with_bits[64 - (c->counts[g] == 0 ? 64 : __builtin_clzll(c->counts[g]))]++;
    }
    unsigned bits = 64;
    while (bits > 0 && (above += with_bits[bits]) < most) {
        bits--;
    }
    return bits == 0 ? 0 : 1ULL << (bits - 1);
}

uint32_t *
count_order(const struct bh_count *c, bool keys, uint32_t most)
{
    uint32_t *order = malloc(((size_t)c->group_count + 1) * sizeof *order), n = 0;
    const uint64_t least = keys ? 0 : least_of_first(c, most);
    for (uint32_t g = 0; order != NULL && g < c->group_count; g++) {
        order[n] = g;
        n += c->counts[g] >= least;
    }
    if (order != NULL) {
        qsort_r(order, n, sizeof *order, keys ? by_key : by_count, (void *)(uintptr_t)c);
    }
    return order;
}
