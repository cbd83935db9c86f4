/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who asked for what, as octets: the accesses of a unit (a day, or all days of a joined roll-up).
 *
 * Services that are asked for often have, per unit, the set of their sources and numbers by outcome and
 * country. All others are *rare*: a few thousand times as many services with a few sources each. A source of one
 * costs more than all else that is told of it, and hardly any of them is ever shown - but for countries that
 * send little, whose first ports are rare ones. So these keep the sources; the others keep numbers.
 * Rare ones stand country by country, so that a report reads those it shows.
 *
 * Memory: an octet for 8 sources for each frequent service; 8 octets a rare access; 4 octets a source.
 */
#include "rollup_out_priv.h"

#include <errno.h>
#include <stdlib.h>

#define FREQUENT_SHARE 4096U /* a service is frequent with that part of all accesses, */
#define FREQUENT_LEAST 64U   /* and so many                                            */
#define SET_OCTETS_MOST (64ULL << 20)
#define RARE_SHARE 64U   /* a country with that part of the rare accesses does not tell sources, */
#define RARE_LEAST 2048U /* where there are so many                                               */

static unsigned
bits_for(uint64_t below)
{
    return below <= 1 ? 0 : 64U - (unsigned)__builtin_clzll(below - 1);
}

/* ---- which services are frequent --------------------------------------------------------------------- */

/* At most that many of them: the bound of accesses, doubled until it is so. */
static uint32_t
choose(struct rollup_sets *s, const uint32_t *count, uint64_t all)
{
    uint64_t least = all / FREQUENT_SHARE;
    /* joined: 1 for each that is */
    least = s->joined ? 1 : least < FREQUENT_LEAST ? FREQUENT_LEAST : least;
    const uint64_t octets = s->sources / 8 + 8;
    uint32_t most = ROLLUP_FREQUENT_MOST, n;
    most = most * octets > SET_OCTETS_MOST ? (uint32_t)(SET_OCTETS_MOST / octets) : most;
    do {
        n = 0;
        for (uint32_t k = 0; k < ROLLUP_KEYS; k++) {
            n += count[k] >= least;
        }
        least *= 2;
    } while (n > most);
    least /= 2;
    n = 0;
    for (uint32_t k = 0; k < ROLLUP_KEYS; k++) {
        s->index_of[k] = 0;
        if (count[k] >= least) {
            s->key[n++] = k;
            s->index_of[k] = (uint16_t)n;
        }
    }
    return n;
}

int
rollup_sets_begin(struct rollup_sets *s, uint32_t sources, uint32_t countries, uint32_t units,
                  const uint16_t *country, const uint32_t *count, uint64_t all, bool joined)
{
    *s = (struct rollup_sets){
        .sources = sources, .countries = countries, .units = units, .country = country
    };
    s->words = sources / 64 + 1;
    s->joined = joined;
    s->count_bits = joined ? ROLLUP_COUNT_BITS : 0;
    s->source_bits = bits_for(sources + (joined ? 1ULL : 0));
    s->unit_bits = bits_for(units);
    s->index_of = calloc(ROLLUP_KEYS, sizeof *s->index_of);
    s->key = calloc(ROLLUP_FREQUENT_MOST, sizeof *s->key);
    if (s->index_of == NULL || s->key == NULL) {
        return -ENOMEM;
    }
    s->frequent = choose(s, count, all);
    s->total = malloc((sources + 1UL) * sizeof *s->total);
    s->number = malloc((s->frequent * 8UL * countries + 1) * sizeof *s->number);
    s->bits = malloc((s->frequent * s->words + 1) * sizeof *s->bits);
    if (s->total == NULL || s->number == NULL || s->bits == NULL) {
        return -ENOMEM;
    }
    return bits_for(countries) + 17 + s->unit_bits + 3 + s->source_bits + s->count_bits > 64
               ? BH_ELIMIT
               : 0;
}

void
rollup_sets_done(struct rollup_sets *s)
{
    free(s->index_of);
    free(s->key);
    free(s->total);
    free(s->number);
    free(s->bits);
    free(s->rare);
    *s = (struct rollup_sets){ 0 };
}

/* ---- adding up ---------------------------------------------------------------------------------------- */

void
rollup_sets_unit(struct rollup_sets *s, uint32_t unit)
{
    s->unit = unit;
    memset(s->total, 0, s->sources * sizeof *s->total);
    memset(s->number, 0, s->frequent * 8UL * s->countries * sizeof *s->number);
    memset(s->bits, 0, s->frequent * s->words * sizeof *s->bits);
}

static bool
push_rare(struct rollup_sets *s, uint64_t x)
{
    if (s->rares == s->rare_cap) {
        const size_t cap = s->rare_cap == 0 ? 1U << 16 : s->rare_cap * 2;
        uint64_t *p = realloc(s->rare, bh_size_mul(cap, sizeof *p));
        if (p == NULL) {
            return false;
        }
        s->rare = p;
        s->rare_cap = cap;
    }
    s->rare[s->rares++] = x;
    return true;
}

bool
rollup_sets_add_rare(struct rollup_sets *s, uint64_t country, uint32_t key, unsigned outcome,
                     uint32_t source, uint32_t accesses)
{
    const uint64_t x =
        ((((country << 17 | key) << s->unit_bits | s->unit) << 3 | outcome) << s->source_bits |
         source)
        << s->count_bits;
    while (accesses > 0) {
        const uint32_t n = accesses < 1U << s->count_bits ? accesses : 1U << s->count_bits;
        if (!push_rare(s, x | (n - 1))) {
            return false;
        }
        accesses -= n;
    }
    return true;
}

#define ACCESS_AHEAD 24U

bool
rollup_sets_add(struct rollup_sets *s, const uint64_t *access, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint64_t later = access[i + ACCESS_AHEAD < n ? i + ACCESS_AHEAD : i];
        BH_PREFETCH_WRITE(&s->total[(uint32_t)later]);
        __builtin_prefetch(&s->country[(uint32_t)later]);
        const uint32_t source = (uint32_t)access[i], list = (uint32_t)(access[i] >> 32);
        const uint32_t country = s->country[source], index = s->index_of[list >> 3];
        s->total[source]++;
        if (BH_LIKELY(index != 0)) {
            s->number[((index - 1) * 8UL + (list & 7)) * s->countries + country]++;
            s->bits[(index - 1) * s->words + source / 64] |= 1ULL << (source & 63);
        } else if (!rollup_sets_add_rare(s, country, list >> 3, list & 7, source, 1)) {
            return false;
        }
    }
    return true;
}

/* ---- lists of sources ------------------------------------------------------------------------------------ */

struct list_out { /* each as the step from the one before it, less one; the first from -1 */
    uint8_t *symbol;
    size_t n;
    int64_t last;
    struct bh_buf steps;
    struct code_bits bits;
};

static bool
list_begin(struct list_out *l, size_t most)
{
    *l = (struct list_out){ .last = -1, .symbol = malloc(most + 1) };
    l->bits = code_bits_begin(&l->steps, 32ULL * most);
    return l->symbol != NULL;
}

static inline void
list_add(struct list_out *l, uint32_t id)
{
    unsigned low_bits;
    uint64_t low;
    l->symbol[l->n++] = code_step_symbol(id - l->last - 1, &low_bits, &low);
    code_bits_put(&l->bits, low, low_bits);
    l->last = id;
}

static void
list_end(struct list_out *l, struct code_work *w, struct bh_buf *out)
{
    code_bits_end(&l->bits);
    code_put_octets(w, out, l->symbol, l->n);
    code_put32(out, (uint32_t)l->steps.len);
    bh_buf_add(out, l->steps.data == NULL ? "" : l->steps.data, l->steps.len);
    out->failed |= l->steps.failed;
    free(l->symbol);
    bh_buf_done(&l->steps);
}

static void
put_times(uint8_t *times, struct bh_buf *large, size_t at, uint32_t count)
{
    times[at] = (uint8_t)(count - 1 < 255 ? count - 1 : 255);
    if (times[at] == 255) {
        rollup_put_varint(large, count - 256);
    }
}

void
rollup_sets_put_who(const struct rollup_sets *s, struct code_work *w, struct bh_buf *out)
{
    size_t n = 0;
    for (uint32_t k = 0; k < s->sources; k++) {
        n += s->total[k] > 0;
    }
    struct list_out l;
    struct bh_buf large = { 0 };
    uint8_t *times = malloc(n + 1);
    if (!list_begin(&l, n) || times == NULL) {
        out->failed = true;
        free(times);
        free(l.symbol);
        bh_buf_done(&l.steps);
        return;
    }
    for (uint32_t k = 0; k < s->sources; k++) {
        if (s->total[k] > 0) {
            put_times(times, &large, l.n, s->total[k]);
            list_add(&l, k);
        }
    }
    code_put32(out, (uint32_t)n);
    list_end(&l, w, out);
    code_put_octets(w, out, times, n);
    rollup_put_raw(w, out, &large);
    free(times);
    bh_buf_done(&large);
}

/* ---- frequent services -------------------------------------------------------------------------------------- */

static uint32_t
count_bits(const uint64_t *bits, size_t words)
{
    uint32_t n = 0;
    for (size_t k = 0; k < words; k++) {
        n += (uint32_t)__builtin_popcountll(bits[k]);
    }
    return n;
}

static void
put_numbers(const struct rollup_sets *s, uint32_t index, struct bh_buf *raw)
{
    const uint32_t *number = &s->number[index * 8UL * s->countries];
    for (unsigned o = 0; o < BH_OUTCOME_COUNT; o++, number += s->countries) {
        uint32_t cells = 0, before = 0;
        for (uint32_t c = 0; c < s->countries; c++) {
            cells += number[c] > 0;
        }
        rollup_put_varint(raw, cells);
        for (uint32_t c = 0; c < s->countries; c++) {
            if (number[c] > 0) {
                rollup_put_varint(raw, c - before);
                rollup_put_varint(raw, number[c] - 1);
                before = c;
            }
        }
    }
}

void
rollup_sets_put(const struct rollup_sets *s, struct code_work *w, struct bh_buf *out)
{
    struct bh_buf raw = { 0 }, sets = { 0 };
    uint32_t last = 0, services = 0;
    for (uint32_t k = 0; k < s->frequent; k++) {
        const uint64_t *bits = &s->bits[k * s->words];
        const uint32_t n = count_bits(bits, s->words);
        struct list_out l;
        if (n == 0) {
            continue;
        }
        if (!list_begin(&l, n)) {
            out->failed = true;
            bh_buf_done(&l.steps);
            break;
        }
        for (size_t i = 0; i < s->words; i++) {
            for (uint64_t x = bits[i]; x != 0; x &= x - 1) {
                list_add(&l, (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(x));
            }
        }
        const size_t at = sets.len;
        list_end(&l, w, &sets);
        rollup_put_varint(&raw, k - last);
        rollup_put_varint(&raw, n);
        rollup_put_varint(&raw, sets.len - at);
        put_numbers(s, k, &raw);
        last = k;
        services++;
    }
    code_put32(out, services);
    rollup_put_raw(w, out, &raw);
    bh_buf_add(out, sets.data == NULL ? "" : sets.data, sets.len);
    out->failed |= sets.failed;
    bh_buf_done(&raw);
    bh_buf_done(&sets);
}

/* ---- rare ones ------------------------------------------------------------------------------------------------ */

/* Entries of a country by service: an entry is a unit, an outcome, perhaps a source, and how many accesses. */
struct rare_out {
    struct list_out keys; /* services, each once */
    /* entries of a service less one; units; outcome and accesses */
    uint8_t *times, *low, *high, *what;
    size_t entries, entries_before;
    uint64_t of_key, most;              /* accesses of a service */
    struct bh_buf many, large, sources; /* times and accesses that do not fit an octet */
    struct code_bits bits;
    unsigned place_bits;
};

static bool
rare_begin(struct rare_out *r, size_t most, unsigned place_bits)
{
    *r = (struct rare_out){ .place_bits = place_bits };
    const bool ok = list_begin(&r->keys, most < ROLLUP_KEYS ? most : ROLLUP_KEYS);
    uint8_t *p = malloc(4 * (most + 1));
    r->times = p;
    r->low = p + (most + 1);
    r->high = p + 2 * (most + 1);
    r->what = p + 3 * (most + 1);
    r->bits = code_bits_begin(&r->sources, (uint64_t)place_bits * most);
    return ok && p != NULL;
}

static void
rare_key_end(struct rare_out *r)
{
    if (r->keys.n == 0) {
        return;
    }
    put_times(r->times, &r->many, r->keys.n - 1, (uint32_t)(r->entries - r->entries_before));
    r->entries_before = r->entries;
    r->most = r->of_key > r->most ? r->of_key : r->most;
    r->of_key = 0;
}

static void
rare_add(struct rare_out *r, uint32_t key, uint32_t unit, unsigned outcome, uint32_t source,
         uint32_t count)
{
    if ((int64_t)key != r->keys.last) {
        rare_key_end(r);
        list_add(&r->keys, key);
    }
    r->low[r->entries] = (uint8_t)unit;
    r->high[r->entries] = (uint8_t)(unit >> 8);
    r->what[r->entries++] = (uint8_t)((count < 32 ? count - 1 : 31) << 3 | outcome);
    if (count >= 32) {
        rollup_put_varint(&r->large, count - 32);
    }
    r->of_key += count;
    code_bits_put(&r->bits, source, r->place_bits);
}

static void
rare_end(struct rare_out *r, uint32_t units, struct code_work *w, struct bh_buf *out)
{
    rare_key_end(r);
    code_bits_end(&r->bits);
    const size_t keys = r->keys.n;
    list_end(&r->keys, w, out);
    code_put_octets(w, out, r->times, keys);
    code_put_octets(w, out, r->what, r->entries);
    if (units > 1) {
        code_put_octets(w, out, r->low, r->entries);
    }
    if (units > 256) {
        code_put_octets(w, out, r->high, r->entries);
    }
    rollup_put_raw(w, out, &r->many);
    rollup_put_raw(w, out, &r->large);
    code_put32(out, (uint32_t)r->sources.len);
    bh_buf_add(out, r->sources.data == NULL ? "" : r->sources.data, r->sources.len);
    out->failed |= r->sources.failed;
}

static void
rare_done(struct rare_out *r)
{
    free(r->times);
    bh_buf_done(&r->many);
    bh_buf_done(&r->large);
    bh_buf_done(&r->sources);
}

/* Rare accesses of one country; `number`: of its sources, which place they have among the `of` of it; NULL: not told.
 * In a joined roll-up one more place says so. */
static void
put_country(const struct rollup_sets *s, const uint64_t *v, size_t n, const uint32_t *number,
            uint32_t of, struct code_work *w, struct bh_buf *index, struct bh_buf *out)
{
    const unsigned cut = s->count_bits + (number == NULL ? s->source_bits : 0);
    const uint64_t unit_mask = (1ULL << s->unit_bits) - 1,
                   source_mask = (1ULL << s->source_bits) - 1,
                   count_mask = (1ULL << s->count_bits) - 1;
    const size_t from = out->len;
    struct rare_out r;
    if (!rare_begin(&r, n, number == NULL ? 0 : bits_for(of + (s->joined ? 1ULL : 0)))) {
        out->failed = true;
        free(r.keys.symbol);
        bh_buf_done(&r.keys.steps);
        rare_done(&r);
        return;
    }
    for (size_t i = 0, end; i < n; i = end) {
        uint64_t count = 0;
        for (end = i; end < n && v[end] >> cut == v[i] >> cut; end++) {
            count += (v[end] & count_mask) + 1;
        }
        const uint64_t rest = v[i] >> s->count_bits >> s->source_bits,
                       source = v[i] >> s->count_bits & source_mask;
        rare_add(&r, (uint32_t)(rest >> (3 + s->unit_bits)) & (ROLLUP_KEYS - 1),
                 (uint32_t)(rest >> 3 & unit_mask), rest & 7,
                 number == NULL        ? 0
                 : source < s->sources ? number[source]
                                       : of,
                 (uint32_t)count);
    }
    const size_t keys = r.keys.n;
    rare_end(&r, s->units, w, out);
    rollup_put_varint(index, keys);
    rollup_put_varint(index, r.entries);
    rollup_put_varint(index, number != NULL);
    rollup_put_varint(index, r.most);
    rollup_put_varint(index, out->len - from);
    code_put64(index, out->failed ? 0 : code_sum(out->data + from, out->len - from));
    rare_done(&r);
}

int
rollup_sets_put_rare(struct rollup_sets *s, struct code_work *w, struct bh_buf *index,
                     struct bh_buf *out)
{
    const unsigned country_at = 17 + s->unit_bits + 3 + s->source_bits + s->count_bits;
    uint32_t *number = malloc((s->sources + 1UL) * sizeof *number);
    uint32_t *of = calloc(s->countries + 1UL, sizeof *of);
    struct bh_buf raw = { 0 };
    int r = number == NULL || of == NULL
                ? -ENOMEM
                : bh_sort64(s->rare, s->rares, s->count_bits, country_at + bits_for(s->countries));
    for (uint32_t k = 0; r == 0 && k < s->sources; k++) {
        number[k] = of[s->country[k]]++;
    }
    size_t at = 0;
    for (uint32_t c = 0; r == 0 && c < s->countries; c++) {
        size_t end = at;
        while (end < s->rares && s->rare[end] >> country_at == c) {
            end++;
        }
        const bool told = s->rares < RARE_LEAST || end - at <= s->rares / RARE_SHARE;
        if (end == at) {
            rollup_put_varint(&raw, 0);
        } else {
            put_country(s, s->rare + at, end - at, told ? number : NULL, of[c], w, &raw, out);
        }
        at = end;
    }
    rollup_put_raw(w, index, &raw);
    bh_buf_done(&raw);
    free(number);
    free(of);
    return r;
}
