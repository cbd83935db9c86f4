/* SPDX-License-Identifier: BSD-2-Clause */
/* Who asked for what, out of a roll-up: rollup_sets.c made it. */
#include "rollup_in_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ---- lists of sources ----------------------------------------------------------------------------------- */

struct list_in {
    uint8_t *symbol;
    struct code_bits_in bits;
};

/* The octets and bits of a list; list_done() also after an error. */
static int
list_open(struct list_in *l, struct bh_cur *c, uint32_t n)
{
    *l = (struct list_in){ .symbol = malloc(n + 32UL) };
    if (l->symbol == NULL) {
        return -ENOMEM;
    }
    if (!code_get_octets(c, l->symbol, n)) {
        return BH_EDAMAGED;
    }
    const uint32_t size = code_get32(c);
    const uint8_t *p = bh_cur_take(c, size);
    l->bits = (struct code_bits_in){ p, size, 0 };
    return p == NULL ? BH_EDAMAGED : 0;
}

static void
list_done(struct list_in *l)
{
    free(l->symbol);
    l->symbol = NULL;
}

static int
list_read(const struct list_in *l, uint32_t n, uint32_t below, uint32_t *id)
{
    struct code_bits_in bits = l->bits;
    uint64_t next = 0;
    bool bad = false;
    for (uint32_t i = 0; i < n; i++) {
        const unsigned symbol = l->symbol[i];
        if (BH_LIKELY(symbol < STEP_SMALL)) {
            next += symbol;
        } else {
            const struct code_step *step = &code_steps[symbol];
            bad |= symbol >= CODE_STEP_BACK;
            next += step->base + (step->bits == 0 ? 0 : code_bits_get(&bits, step->bits));
        }
        bad |= next >= below;
        id[i] = (uint32_t)next;
        next++;
    }
    return bad || code_bits_over(&bits) ? BH_EDAMAGED : 0;
}

int
bh_rollup_get_who(const struct bh_rollup *rollup, uint32_t day, struct bh_rollup_who *ret)
{
    const struct open_rollup *o = rollup->priv;
    const struct rollup_part part = day == BH_ROLLUP_ALL ? o->h->all_who : o->h->day[day].who;
    struct bh_cur c = bh_cur_over(o->body + part.at, (size_t)part.size), large;
    struct bh_rollup_who who = { 0 };
    struct list_in l = { 0 };
    uint8_t *raw = NULL, *times = NULL;
    if (!rollup_part_is_sound(part, o->body)) {
        return BH_EDAMAGED;
    }
    who.count = code_get32(&c);
    if (c.bad || who.count > rollup->sources) {
        return BH_EDAMAGED;
    }
    who.id = malloc((who.count + 1UL) * sizeof *who.id);
    who.accesses = malloc((who.count + 1UL) * sizeof *who.accesses);
    times = malloc(who.count + 32UL);
    int r = who.id == NULL || who.accesses == NULL || times == NULL ? -ENOMEM
                                                                    : list_open(&l, &c, who.count);
    r = r != 0 ? r : list_read(&l, who.count, rollup->sources, who.id);
    r = r != 0                                   ? r
        : !code_get_octets(&c, times, who.count) ? BH_EDAMAGED
                                                 : rollup_get_raw(&c, &raw, &large);
    for (uint32_t i = 0; r == 0 && i < who.count; i++) {
        who.accesses[i] = times[i] + 1U;
        if (BH_UNLIKELY(times[i] == 255)) {
            const uint64_t more = rollup_get_varint(&large);
            r = large.bad || more > UINT32_MAX - 256 ? BH_EDAMAGED : 0;
            who.accesses[i] = (uint32_t)more + 256;
        }
    }
    list_done(&l);
    free(raw);
    free(times);
    if (r != 0) {
        bh_rollup_who_done(&who);
        return r;
    }
    *ret = who;
    return 0;
}

void
bh_rollup_who_done(struct bh_rollup_who *w)
{
    free(w->id);
    free(w->accesses);
    *w = (struct bh_rollup_who){ 0 };
}

/* ---- frequent services -------------------------------------------------------------------------------------- */

struct set_ref {
    const uint8_t *at;
    uint32_t size;
};

static bool
numbers_room(struct bh_rollup_services *s, size_t *cap, uint64_t more)
{
    if (s->numbers + more <= *cap) {
        return true;
    }
    *cap = 2 * (s->numbers + more) + 1024;
    struct bh_rollup_number *p = realloc(s->number, bh_size_mul(*cap, sizeof *p));
    s->number = p == NULL ? s->number : p;
    return p != NULL;
}

static int
get_numbers(struct bh_cur *c, uint32_t countries, struct bh_rollup_services *s, size_t *cap)
{
    for (unsigned outcome = 0; outcome < BH_OUTCOME_COUNT; outcome++) {
        const uint64_t n = rollup_get_varint(c);
        uint64_t country = 0;
        if (c->bad || n > countries) {
            return BH_EDAMAGED;
        }
        if (!numbers_room(s, cap, n)) {
            return -ENOMEM;
        }
        for (uint64_t k = 0; k < n; k++) {
            const uint64_t step = rollup_get_varint(c), accesses = rollup_get_varint(c);
            country += step;
            if (c->bad || step > countries || country >= countries || accesses >= UINT32_MAX ||
                (step == 0 && k > 0)) {
                return BH_EDAMAGED;
            }
            s->number[s->numbers++] =
                (struct bh_rollup_number){ (uint32_t)accesses + 1, (uint16_t)country,
                                           (uint8_t)outcome };
        }
    }
    return 0;
}

static int
get_service(const struct open_rollup *o, struct bh_cur *c, uint64_t *index, struct bh_cur *sets,
            struct bh_rollup_services *s, size_t *cap)
{
    const uint64_t step = rollup_get_varint(c), sources = rollup_get_varint(c),
                   size = rollup_get_varint(c);
    *index += step;
    if (c->bad || step > o->frequent.count || *index >= o->frequent.count ||
        (step == 0 && s->services > 0) || sources == 0 || sources > o->r.sources ||
        size > UINT32_MAX) {
        return BH_EDAMAGED;
    }
    const uint8_t *p = bh_cur_take(sets, (size_t)size);
    if (p == NULL) {
        return BH_EDAMAGED;
    }
    struct set_ref *refs = s->priv;
    refs[s->services] = (struct set_ref){ p, (uint32_t)size };
    struct bh_rollup_service *to = &s->service[s->services++];
    *to = (struct bh_rollup_service){ o->frequent.id[*index], (uint32_t)sources, s->numbers, 0 };
    const int r = get_numbers(c, o->r.countries, s, cap);
    to->numbers = s->numbers - to->number_at;
    return r;
}

int
bh_rollup_get_services(const struct bh_rollup *rollup, uint32_t day, struct bh_rollup_services *ret)
{
    const struct open_rollup *o = rollup->priv;
    const struct rollup_part part = day == BH_ROLLUP_ALL ? o->h->all_sets : o->h->day[day].sets;
    struct bh_cur sets = bh_cur_over(o->body + part.at, (size_t)part.size), c;
    struct bh_rollup_services s = { .sources = rollup->sources };
    uint8_t *raw = NULL;
    size_t cap = 0;
    if (!rollup_part_is_sound(part, o->body)) {
        return BH_EDAMAGED;
    }
    const uint32_t n = code_get32(&sets);
    if (sets.bad || n > o->frequent.count) {
        return BH_EDAMAGED;
    }
    s.service = calloc(n + 1UL, sizeof *s.service);
    s.priv = calloc(n + 1UL, sizeof(struct set_ref));
    int r = s.service == NULL || s.priv == NULL ? -ENOMEM : rollup_get_raw(&sets, &raw, &c);
    uint64_t index = 0;
    while (r == 0 && s.services < n) {
        r = get_service(o, &c, &index, &sets, &s, &cap);
    }
    free(raw);
    if (r != 0) {
        bh_rollup_services_done(&s);
        return r;
    }
    *ret = s;
    return 0;
}

void
bh_rollup_services_forget(struct bh_rollup_services *s)
{
    free(s->number);
    s->number = NULL;
    s->numbers = 0;
}

void
bh_rollup_services_done(struct bh_rollup_services *s)
{
    free(s->service);
    free(s->number);
    free(s->priv);
    *s = (struct bh_rollup_services){ 0 };
}

int
bh_rollup_get_sources(const struct bh_rollup_services *s, uint32_t index, uint32_t *id)
{
    const struct set_ref *ref = (const struct set_ref *)s->priv + index;
    struct bh_cur c = bh_cur_over(ref->at, ref->size);
    struct list_in l;
    int r = list_open(&l, &c, s->service[index].sources);
    r = r != 0 ? r : list_read(&l, s->service[index].sources, s->sources, id);
    list_done(&l);
    return r;
}

/* ---- rare ones -------------------------------------------------------------------------------------------------- */

int
rollup_open_rare(struct open_rollup *o)
{
    struct bh_cur index = bh_cur_over(o->body + o->h->rare_index.at, (size_t)o->h->rare_index.size),
                  c;
    uint8_t *raw = NULL;
    uint64_t at = 0;
    if (!rollup_part_is_sound(o->h->rare_index, o->body)) {
        return BH_EDAMAGED;
    }
    o->rare = calloc(o->r.countries + 1UL, sizeof *o->rare);
    int r = o->rare == NULL ? -ENOMEM : rollup_get_raw(&index, &raw, &c);
    for (uint32_t k = 0; r == 0 && k < o->r.countries; k++) {
        struct rare_ref *x = &o->rare[k];
        const uint64_t keys = rollup_get_varint(&c),
                       entries = keys == 0 ? 0 : rollup_get_varint(&c);
        if (keys == 0) {
            continue;
        }
        x->told = rollup_get_varint(&c) != 0;
        x->most = rollup_get_varint(&c);
        x->part = (struct rollup_part){ .at = o->h->rare.at + at,
                                        .size = rollup_get_varint(&c),
                                        .sum = code_get64(&c) };
        r = c.bad || keys > ROLLUP_KEYS || entries < keys || entries > ROLLUP_RAW_MAX ||
                    entries > o->h->rows || x->part.size > o->h->rare.size - at
                ? BH_EDAMAGED
                : 0;
        x->keys = (uint32_t)keys;
        x->entries = (uint32_t)entries;
        at += r == 0 ? x->part.size : 0;
    }
    r = r == 0 && c.bad ? BH_EDAMAGED : r;
    free(raw);
    return r;
}

/* Sources by country, each country's rising. */
static int
sort_sources(struct open_rollup *o)
{
    if (o->by_country != NULL) {
        return 0;
    }
    const uint32_t n = o->r.sources, countries = o->r.countries;
    uint32_t *at = calloc(countries + 2UL, sizeof *at), *list = malloc((n + 1UL) * sizeof *list);
    if (at == NULL || list == NULL) {
        free(at);
        free(list);
        return -ENOMEM;
    }
    for (uint32_t k = 0; k < n; k++) {
        at[rollup_country(o, k) + 2]++;
    }
    for (uint32_t c = 0; c < countries; c++) {
        at[c + 2] += at[c + 1];
    }
    for (uint32_t k = 0; k < n; k++) {
        list[at[rollup_country(o, k) + 1]++] = k;
    }
    o->by_country = list;
    o->country_at = at;
    return 0;
}

static int
rare_open(const struct open_rollup *o, uint32_t country, struct list_in *keys, struct bh_cur *c)
{
    const struct rare_ref *x = &o->rare[country];
    if (!rollup_part_is_sound(x->part, o->body)) {
        return BH_EDAMAGED;
    }
    *c = bh_cur_over(o->body + x->part.at, (size_t)x->part.size);
    return list_open(keys, c, x->keys);
}

uint64_t
bh_rollup_rare_most(const struct bh_rollup *rollup, uint32_t country)
{
    const struct open_rollup *o = rollup->priv;
    return o->rare[country].most;
}

#define RARE_AT_ONCE 1024U

struct bh_rollup_rares {
    uint32_t *key, keys, key_at; /* the next one's */
    uint32_t left;               /* entries of the one before it */
    uint32_t entries, at, units;
    uint8_t *times, *what, *low, *high, *raw_many, *raw;
    struct bh_cur many, large; /* what does not fit an octet */
    const uint32_t *source;    /* NULL: not told */
    uint32_t sources;
    bool joined; /* one more place: not told */
    unsigned source_bits;
    struct code_bits_in bits;
    struct bh_rollup_rare out[RARE_AT_ONCE];
};

static int
rares_told(struct open_rollup *o, uint32_t country, struct bh_rollup_rares *s)
{
    int r = sort_sources(o);
    if (r == 0) {
        s->source = o->by_country + o->country_at[country];
        s->sources = o->country_at[country + 1] - o->country_at[country];
        s->joined = (o->h->flags & ROLLUP_JOINED) != 0;
        const uint32_t places = s->sources + (s->joined ? 1 : 0);
        s->source_bits = places <= 1 ? 0 : 32U - (unsigned)__builtin_clz(places - 1);
        r = s->sources == 0 ? BH_EDAMAGED : 0;
    }
    return r;
}

static int
rares_open(struct open_rollup *o, uint32_t country, struct bh_rollup_rares *s)
{
    const struct rare_ref *x = &o->rare[country];
    struct list_in l = { 0 };
    struct bh_cur c;
    s->keys = x->keys;
    s->entries = x->entries;
    s->units = (o->h->flags & ROLLUP_JOINED) != 0 ? 1 : o->h->days;
    s->key = malloc((x->keys + 1UL) * sizeof *s->key);
    s->times = malloc(x->keys + 32UL);
    s->what = malloc(x->entries + 32UL);
    s->low = calloc(1, x->entries + 32UL);
    s->high = calloc(1, x->entries + 32UL);
    int r =
        s->key == NULL || s->times == NULL || s->what == NULL || s->low == NULL || s->high == NULL
            ? -ENOMEM
            : rare_open(o, country, &l, &c);
    r = r != 0 ? r : list_read(&l, x->keys, ROLLUP_KEYS, s->key);
    list_done(&l);
    if (r != 0) {
        return r;
    }
    const bool ok = code_get_octets(&c, s->times, x->keys) &&
                    code_get_octets(&c, s->what, x->entries) &&
                    (s->units <= 1 || code_get_octets(&c, s->low, x->entries)) &&
                    (s->units <= 256 || code_get_octets(&c, s->high, x->entries));
    r = !ok ? BH_EDAMAGED : rollup_get_raw(&c, &s->raw_many, &s->many);
    r = r != 0 ? r : rollup_get_raw(&c, &s->raw, &s->large);
    const uint32_t size = r == 0 ? code_get32(&c) : 0;
    const uint8_t *p = bh_cur_take(&c, size);
    s->bits = (struct code_bits_in){ p, size, 0 };
    r = r != 0 ? r : p == NULL ? BH_EDAMAGED : 0;
    return r != 0 || !x->told || !o->has_sources ? r : rares_told(o, country, s);
}

int
bh_rollup_rares_new(const struct bh_rollup *rollup, uint32_t country, struct bh_rollup_rares **ret)
{
    struct open_rollup *o = rollup->priv;
    struct bh_rollup_rares *s = malloc(sizeof *s);
    if (s == NULL) {
        return -ENOMEM;
    }
    memset(s, 0, offsetof(struct bh_rollup_rares, out));
    int r = o->rare[country].keys == 0 ? 0 : rares_open(o, country, s);
    if (r != 0) {
        bh_rollup_rares_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

void
bh_rollup_rares_free(struct bh_rollup_rares *s)
{
    if (s != NULL) {
        free(s->key);
        free(s->times);
        free(s->what);
        free(s->low);
        free(s->high);
        free(s->raw_many);
        free(s->raw);
        free(s);
    }
}

/* The next service: how many entries it has. */
static bool
next_key(struct bh_rollup_rares *s)
{
    if (s->key_at == s->keys) {
        return false;
    }
    const unsigned times = s->times[s->key_at++];
    const uint64_t more = times < 255 ? times + 1U : rollup_get_varint(&s->many) + 256;
    s->left = (uint32_t)more;
    return !s->many.bad && more > 0 && more <= s->entries - s->at;
}

int
bh_rollup_rares_next(struct bh_rollup_rares *s, const struct bh_rollup_rare **ret)
{
    uint32_t n = 0;
    for (; n < RARE_AT_ONCE && s->at < s->entries; n++, s->at++, s->left--) {
        if (s->left == 0 && !next_key(s)) {
            return BH_EDAMAGED;
        }
        const unsigned what = s->what[s->at];
        struct bh_rollup_rare *x = &s->out[n];
        *x = (struct bh_rollup_rare){ s->key[s->key_at - 1],
                                      (uint32_t)s->high[s->at] << 8 | s->low[s->at],
                                      (what >> 3) + 1, UINT32_MAX, (uint8_t)(what & 7) };
        bool bad = (what & 7) >= BH_OUTCOME_COUNT || x->day >= s->units;
        if (BH_UNLIKELY(x->accesses == 32)) {
            const uint64_t more = rollup_get_varint(&s->large);
            bad |= s->large.bad || more > UINT32_MAX - 32;
            x->accesses = (uint32_t)more + 32;
        }
        if (s->source != NULL) {
            const uint32_t place =
                s->source_bits == 0 ? 0 : code_bits_get(&s->bits, s->source_bits);
            bad |= place >= s->sources && !(s->joined && place == s->sources);
            x->source = place < s->sources ? s->source[place] : UINT32_MAX;
        }
        if (bad) {
            return BH_EDAMAGED;
        }
    }
    *ret = s->out;
    return (s->at == s->entries && s->key_at != s->keys) || code_bits_over(&s->bits) ? BH_EDAMAGED
                                                                                     : (int)n;
}
