/* SPDX-License-Identifier: BSD-2-Clause */
/* Look-ups of a batch, and what their answers are called. */
#include "rows_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ---- names of countries ------------------------------------------------------------------------------- */

static void
name_place(const kobold *k, uint16_t value, enum bh_lang lang, struct place *p)
{
    struct kobold_value v;
    *p = (struct place){ .code = "unknown" };
    if (!kobold_value_info(k, value, &v)) {
        v = (struct kobold_value){ .kind = KOBOLD_UNKNOWN };
    }
    if (v.kind == KOBOLD_COUNTRY || v.kind == KOBOLD_REGION) {
        snprintf(p->text, sizeof p->text, "%s", v.code);
        p->code = p->text;
        p->name = kobold_country_name(v.code, (int)lang);
        p->region = kobold_country_region(v.code);
        p->region_name = p->region == NULL ? NULL : kobold_region_name(p->region, (int)lang);
        p->region_name = p->region_name == NULL ? p->region : p->region_name;
    } else if (v.kind == KOBOLD_SPECIAL) {
        snprintf(p->text, sizeof p->text, "%s", v.class_name);
        p->code = p->text;
        p->name = kobold_class_name(p->text, (int)lang);
    } else {
        p->code = v.kind == KOBOLD_UNALLOCATED ? "unallocated" : "unknown";
        p->name = v.kind == KOBOLD_UNALLOCATED ? (lang == BH_JA ? "未割り当て" : p->code)
                                               : (lang == BH_JA ? "不明" : p->code);
    }
    p->name = p->name == NULL ? p->code : p->name;
}

/* The first with the same text. */
static uint16_t
first_with(const struct place *places, unsigned at, const char *(*text)(const struct place *p))
{
    const char *mine = text(&places[at]);
    for (unsigned i = 0; i < at && mine != NULL; i++) {
        const char *other = text(&places[i]);
        if (other != NULL && other[0] == mine[0] && strcmp(other, mine) == 0) {
            return (uint16_t)i;
        }
    }
    return (uint16_t)at;
}

static const char *
code_of(const struct place *p)
{
    return p->code;
}

static const char *
name_of(const struct place *p)
{
    return p->name;
}

static const char *
region_of(const struct place *p)
{
    return p->region;
}

int
bh_sight_new(const kobold *countries, enum bh_lang lang, uint32_t needs,
             struct bh_anonymize *anonymize, struct bh_sight **ret, struct bh_error *err)
{
    struct bh_sight *s = calloc(1, sizeof *s);
    /* NULL: no country is known */
    const unsigned count = countries != NULL ? kobold_value_count(countries) : 0;
    struct place *places = calloc(count > 0 ? count : 1, sizeof *places);
    if (s == NULL || places == NULL) {
        free(s);
        free(places);
        return bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
    }
    for (unsigned i = 0; i < count; i++) {
        name_place(countries, (uint16_t)i, lang, &places[i]);
        places[i].code_number = first_with(places, i, code_of);
        places[i].name_number = first_with(places, i, name_of);
        places[i].region_number = first_with(places, i, region_of);
    }
    s->countries = countries;
    s->lang = lang;
    s->needs = countries != NULL ? needs : 0;
    s->anonymize = anonymize;
    s->places = places;
    s->place_count = count;
    *ret = s;
    return 0;
}

void
bh_sight_free(struct bh_sight *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->system_room; i++) {
        free(s->systems[i].name);
    }
    free(s->systems);
    free(s->places);
    free(s);
}

/* ---- names of autonomous systems -------------------------------------------------------------------------- */

static struct system_name *
find_system(struct system_name *table, size_t room, uint32_t number)
{
    size_t at = bh_mix64(number, 1) & (room - 1);
    while (table[at].number != 0 && table[at].number != number) {
        at = (at + 1) & (room - 1);
    }
    return &table[at];
}

static bool
grow_systems(struct bh_sight *s)
{
    const size_t room = s->system_room == 0 ? 256 : s->system_room * 2;
    struct system_name *table = calloc(room, sizeof *table);
    if (table == NULL) {
        return false;
    }
    for (size_t i = 0; i < s->system_room; i++) {
        if (s->systems[i].number != 0) {
            *find_system(table, room, s->systems[i].number) = s->systems[i];
        }
    }
    free(s->systems);
    s->systems = table;
    s->system_room = room;
    return true;
}

const char *
sight_system_name(const struct bh_sight *cs, uint32_t number)
{
    struct bh_sight *s = (struct bh_sight *)(uintptr_t)cs; /* a memory of answers, no state */
    char name[256];
    if (s->system_count * 4 >= s->system_room * 3 && !grow_systems(s)) {
        return NULL;
    }
    struct system_name *n = find_system(s->systems, s->system_room, number);
    if (n->number == 0) {
        n->number = number;
        n->name = kobold_as_name(s->countries, number, name, sizeof name) ? strdup(name) : NULL;
        s->system_count++;
    }
    return n->name;
}

/* ---- a batch ---------------------------------------------------------------------------------------------- */

/* Rows without an address are looked up too: whatever comes out is not used. */
static void
look_up(const struct bh_sight *s, const struct bh_batch *b, bool is_src, uint16_t *ret)
{
    kobold_v4_many(s->countries, is_src ? b->src : b->dst, ret, b->rows);
    for (uint32_t i = 0; b->v6_rows > 0 && i < b->rows; i++) {
        if (b->kind[i] == BH_KIND_IP6) {
            const struct bh_ip6_pair *p = &b->ip6[b->src[i]];
            ret[i] = is_src ? kobold_v6(s->countries, p->src_hi, p->src_lo)
                            : kobold_v6(s->countries, p->dst_hi, p->dst_lo);
        }
    }
}

static bool
is_sent(const struct bh_batch *b, uint32_t row)
{
    return b->direction[row] == BH_DIR_OUT;
}

static void
look_up_countries(struct bh_sight *s, const struct bh_batch *b)
{
    const bool far = (s->needs & BH_NEEDS_FAR_COUNTRY) != 0;
    bool any_sent = false;
    for (uint32_t i = 0; i < b->rows; i++) {
        any_sent |= is_sent(b, i);
    }
    if ((s->needs & BH_NEEDS_SRC_COUNTRY) != 0 || (far && !b->has_country)) {
        look_up(s, b, true, s->src_value);
    }
    if ((s->needs & BH_NEEDS_DST_COUNTRY) != 0 || (far && !b->has_country && any_sent)) {
        look_up(s, b, false, s->dst_value);
    }
    for (uint32_t i = 0; i < b->rows; i++) {
        const bool sent = is_sent(b, i);
        if (b->has_country) {
            s->far_value[i] = b->country[i];
            *(sent ? &s->dst_value[i] : &s->src_value[i]) = b->country[i];
        } else {
            s->far_value[i] = sent ? s->dst_value[i] : s->src_value[i];
        }
    }
}

static void
look_up_systems(struct bh_sight *s, const struct bh_batch *b)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        const bool sent = is_sent(b, i);
        if (b->kind[i] == BH_KIND_IP4) {
            s->system[i] = kobold_as_v4(s->countries, sent ? b->dst[i] : b->src[i]);
        } else if (b->kind[i] == BH_KIND_IP6) {
            const struct bh_ip6_pair *p = &b->ip6[b->src[i]];
            s->system[i] = sent ? kobold_as_v6(s->countries, p->dst_hi, p->dst_lo)
                                : kobold_as_v6(s->countries, p->src_hi, p->src_lo);
        } else {
            s->system[i] = 0;
        }
    }
}

void
bh_sight_set(struct bh_sight *s, struct bh_batch *b)
{
    s->batch = b;
    if ((s->needs & (BH_NEEDS_SRC_COUNTRY | BH_NEEDS_DST_COUNTRY | BH_NEEDS_FAR_COUNTRY)) != 0) {
        look_up_countries(s, b);
    }
    if ((s->needs & BH_NEEDS_SYSTEM) != 0) {
        look_up_systems(s, b);
    }
    if (s->anonymize != NULL) {
        bh_anonymize_batch(s->anonymize, b);
    }
}

const struct bh_batch *
bh_sight_batch(const struct bh_sight *s)
{
    return s->batch;
}

void
bh_sight_get(const struct bh_sight *s, const struct bh_column *c, uint32_t row,
             struct bh_value *ret_value)
{
    if (c->field != NULL) {
        c->field->get(s->batch, row, ret_value);
    } else {
        c->get(s, row, ret_value);
    }
}
