/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_report.c - coverage and agreement of inputs.
 *
 * One sweep over the runs of all inputs side by side: between two borders of any of them every
 * input says one thing, so each stretch is added once to the result and to each pair.
 */
#include "kobold_report.h"

#include <errno.h>
#include <stdlib.h>

#include "kobold_compile_priv.h"

#define CODES_MAX KOBOLD_VALUES_MAX

struct sweep {
    kobold_build *b;
    struct kobold_report *r;
    int family;
    struct kobold_runs runs[KOBOLD_REPORT_INPUTS + 1]; /* the special-use table last */
    size_t at[KOBOLD_REPORT_INPUTS + 1];
    size_t count;       /* of inputs compared */
    uint16_t *index_of; /* [code]: index among codes, plus one */
    uint16_t codes[CODES_MAX];
    size_t code_count;
    struct kobold_agreement (*cells)[CODES_MAX]; /* [pair][code] */
    uint16_t result;                             /* of the run that is being made */
    struct kobold_addr result_start;
};

static bh_u128
wide(struct kobold_addr a)
{
    return (bh_u128)a.hi << 64 | a.lo;
}

/* How many prefixes the shortest list of a range has. */
static uint64_t
prefixes_of(int family, struct kobold_addr from, struct kobold_addr to)
{
    bh_u128 at = wide(from);
    bh_u128 last = wide(to);
    const unsigned bits = family == 4 ? 32 : 128;
    uint64_t n = 0;
    for (;;) {
        /* The largest block that begins here and ends inside. */
        uint64_t low = (uint64_t)at;
        unsigned zeros = at == 0    ? bits
                         : low != 0 ? (unsigned)__builtin_ctzll(low)
                                    : 64 + (unsigned)__builtin_ctzll((uint64_t)(at >> 64));
        zeros = zeros < bits ? zeros : bits;
        bh_u128 rest = last - at;
        while (zeros > 0 &&
               (zeros == 128 ? rest != ~(bh_u128)0 : rest < ((bh_u128)1 << zeros) - 1)) {
            zeros--;
        }
        n++;
        if (zeros == 128 || rest == ((bh_u128)1 << zeros) - 1) {
            return n;
        }
        at += (bh_u128)1 << zeros;
    }
}

static void
add_stretch(struct kobold_share *s, int family, struct kobold_addr from, struct kobold_addr to)
{
    if (family == 4) {
        s->v4 += to.lo - from.lo + 1;
    } else {
        /* /64s that begin inside, but for the last when it goes on behind. */
        bh_u128 first = (bh_u128)from.hi + (from.lo != 0);
        bh_u128 end = (bh_u128)to.hi + (to.lo == UINT64_MAX);
        s->v6 += end > first ? (uint64_t)(end - first) : 0;
    }
}

static void
add_prefixes(struct kobold_share *s, int family, struct kobold_addr from, struct kobold_addr to)
{
    uint64_t n = prefixes_of(family, from, to);
    s->v4_prefixes += family == 4 ? n : 0;
    s->v6_prefixes += family == 6 ? n : 0;
}

/* The index of a country's code among those met; CODES_MAX when there are too many. */
static size_t
code_index(struct sweep *s, uint16_t code)
{
    if (s->index_of[code] == 0) {
        if (s->code_count == CODES_MAX) {
            return CODES_MAX;
        }
        s->codes[s->code_count++] = code;
        s->index_of[code] = (uint16_t)s->code_count;
    }
    return s->index_of[code] - 1U;
}

static void
set_code(char to[4], uint16_t code)
{
    to[0] = (char)(code >> 8);
    to[1] = (char)(code & 255);
    to[2] = to[3] = '\0';
}

static unsigned
kind_of(uint16_t code)
{
    char text[3] = { (char)(code >> 8), (char)(code & 255), '\0' };
    if (code == CODE_NONE || code == CODE_UNALLOCATED) {
        return KOBOLD_UNALLOCATED;
    }
    if (code < CODE_UNALLOCATED) {
        return KOBOLD_SPECIAL;
    }
    const struct kobold_country_row *row = kobold_country_row(text);
    return row == NULL                       ? KOBOLD_COUNTRY
           : row->kind == KOBOLD_ROW_REGION  ? KOBOLD_REGION
           : row->kind == KOBOLD_ROW_UNKNOWN ? KOBOLD_UNKNOWN
                                             : KOBOLD_COUNTRY;
}

/* ---- one stretch --------------------------------------------------------------------------------- */

/* Ends the run of the result that goes up to `to`. */
static void
end_result(struct sweep *s, struct kobold_addr to)
{
    struct kobold_report *r = s->r;
    unsigned kind = kind_of(s->result);
    add_stretch(&r->kinds[kind], s->family, s->result_start, to);
    add_prefixes(&r->kinds[kind], s->family, s->result_start, to);
    if (s->result > CODE_UNALLOCATED) {
        size_t i = code_index(s, s->result);
        if (i < CODES_MAX) {
            add_stretch(&r->places[i].share, s->family, s->result_start, to);
            add_prefixes(&r->places[i].share, s->family, s->result_start, to);
        }
    }
}

static void
add_to_cell(struct sweep *s, size_t pair, uint16_t code, size_t offset, struct kobold_addr from,
            struct kobold_addr to)
{
    size_t i = code_index(s, code);
    if (i < CODES_MAX) {
        struct kobold_share *share =
            (struct kobold_share *)(void *)((char *)&s->cells[pair][i] + offset);
        add_stretch(share, s->family, from, to);
    }
}

#define CELL(field) offsetof(struct kobold_agreement, field)

static void
add_pair(struct sweep *s, size_t pair, struct kobold_addr from, struct kobold_addr to)
{
    struct kobold_report_pair *p = &s->r->pairs[pair];
    uint16_t a = s->runs[p->a].at[s->at[p->a]].code;
    uint16_t b = s->runs[p->b].at[s->at[p->b]].code;
    if (a == CODE_NONE && b == CODE_NONE) {
        return;
    }
    if (a == b) {
        add_stretch(&p->all.agree, s->family, from, to);
        add_to_cell(s, pair, a, CELL(agree), from, to);
    } else if (b == CODE_NONE) {
        add_stretch(&p->all.only_a, s->family, from, to);
        add_to_cell(s, pair, a, CELL(only_a), from, to);
    } else if (a == CODE_NONE) {
        add_stretch(&p->all.only_b, s->family, from, to);
        add_to_cell(s, pair, b, CELL(only_b), from, to);
    } else {
        add_stretch(&p->all.differ_a, s->family, from, to);
        add_to_cell(s, pair, a, CELL(differ_a), from, to);
        add_to_cell(s, pair, b, CELL(differ_b), from, to);
    }
}

static struct kobold_addr
before(struct kobold_addr a)
{
    return (struct kobold_addr){ a.hi - (a.lo == 0), a.lo - 1 };
}

/* What the database answers in this stretch. */
static uint16_t
result_of(const struct sweep *s)
{
    uint16_t code = s->runs[s->count].at[s->at[s->count]].code;
    for (size_t i = s->count; i > 0 && code == CODE_NONE; i--) {
        if (s->r->inputs[i - 1].layer != KOBOLD_LAYER_SECOND) {
            code = s->runs[i - 1].at[s->at[i - 1]].code;
        }
    }
    return code;
}

static void
take_stretch(struct sweep *s, struct kobold_addr from, struct kobold_addr to)
{
    uint16_t result = result_of(s);
    if (result != s->result || (from.hi | from.lo) == 0) {
        if ((from.hi | from.lo) != 0) {
            end_result(s, before(from));
        }
        s->result = result;
        s->result_start = from;
    }
    if (s->runs[s->count].at[s->at[s->count]].code == CODE_NONE) {
        for (size_t p = 0; p < s->r->pair_count; p++) {
            add_pair(s, p, from, to);
        }
    }
}

/* All stretches of one family. */
static void
sweep(struct sweep *s)
{
    struct kobold_addr from = { 0, 0 };
    memset(s->at, 0, sizeof s->at);
    for (;;) {
        const struct kobold_addr *next = NULL;
        for (size_t i = 0; i <= s->count; i++) {
            if (s->at[i] + 1 < s->runs[i].count) {
                const struct kobold_addr *start = &s->runs[i].at[s->at[i] + 1].start;
                next = next == NULL || addr_cmp(*start, *next) < 0 ? start : next;
            }
        }
        if (next == NULL) {
            take_stretch(s, from, addr_last(s->family));
            end_result(s, addr_last(s->family));
            return;
        }
        struct kobold_addr to = *next;
        take_stretch(s, from, before(to));
        for (size_t i = 0; i <= s->count; i++) {
            if (s->at[i] + 1 < s->runs[i].count &&
                addr_cmp(s->runs[i].at[s->at[i] + 1].start, to) == 0) {
                s->at[i]++;
            }
        }
        from = to;
    }
}

/* ---- before and after ------------------------------------------------------------------------------ */

static void
count_listed(struct sweep *s, size_t input)
{
    const struct kobold_runs *runs = &s->runs[input];
    for (size_t i = 0; i < runs->count; i++) {
        struct kobold_addr to =
            i + 1 < runs->count ? before(runs->at[i + 1].start) : addr_last(s->family);
        if (runs->at[i].code != CODE_NONE) {
            add_stretch(&s->r->inputs[input].listed, s->family, runs->at[i].start, to);
            add_prefixes(&s->r->inputs[input].listed, s->family, runs->at[i].start, to);
        }
    }
}

static int
sweep_family(struct sweep *s, int family)
{
    uint64_t twice;
    int r = 0;
    s->family = family;
    memset(s->runs, 0, sizeof s->runs);
    for (size_t i = 0; i < s->count && r == 0; i++) {
        r = runs_from_ranges(&s->b->sources[i]->ranges[family == 6], family, (uint16_t)i,
                             RUNS_BY_CODE, &s->runs[i], &twice);
        if (r == 0) {
            count_listed(s, i);
        }
    }
    if (r == 0) {
        r = runs_special(s->b, family, &s->runs[s->count]);
    }
    if (r == 0) {
        sweep(s);
    }
    for (size_t i = 0; i <= s->count; i++) {
        runs_done(&s->runs[i]);
    }
    return r;
}

static int
by_addresses(const void *pa, const void *pb)
{
    const struct kobold_report_place *a = pa;
    const struct kobold_report_place *b = pb;
    if (a->share.v4 != b->share.v4) {
        return a->share.v4 > b->share.v4 ? -1 : 1;
    }
    if (a->share.v6 != b->share.v6) {
        return a->share.v6 > b->share.v6 ? -1 : 1;
    }
    return strcmp(a->code, b->code);
}

static int
by_difference(const void *pa, const void *pb)
{
    const struct kobold_agreement *a = pa;
    const struct kobold_agreement *b = pb;
    uint64_t x = a->differ_a.v4 + a->differ_b.v4;
    uint64_t y = b->differ_a.v4 + b->differ_b.v4;
    if (x != y) {
        return x > y ? -1 : 1;
    }
    x = a->differ_a.v6 + a->differ_b.v6;
    y = b->differ_a.v6 + b->differ_b.v6;
    return x != y ? (x > y ? -1 : 1) : strcmp(a->code, b->code);
}

static int
take_cells(struct sweep *s)
{
    struct kobold_report *r = s->r;
    for (size_t i = 0; i < s->code_count; i++) {
        set_code(r->places[i].code, s->codes[i]);
    }
    for (size_t p = 0; p < r->pair_count; p++) {
        struct kobold_report_pair *pair = &r->pairs[p];
        pair->countries = malloc((s->code_count + 1) * sizeof *pair->countries);
        if (pair->countries == NULL) {
            return -ENOMEM;
        }
        for (size_t i = 0; i < s->code_count; i++) {
            static const struct kobold_agreement none;
            if (memcmp(&s->cells[p][i], &none, sizeof none) != 0) {
                set_code(s->cells[p][i].code, s->codes[i]);
                pair->countries[pair->country_count++] = s->cells[p][i];
            }
        }
        qsort(pair->countries, pair->country_count, sizeof *pair->countries, by_difference);
    }
    /* Codes that only a losing input has are no places of the result. */
    size_t n = 0;
    for (size_t i = 0; i < s->code_count; i++) {
        if (r->places[i].share.v4 + r->places[i].share.v4_prefixes + r->places[i].share.v6 +
                r->places[i].share.v6_prefixes >
            0) {
            r->places[n++] = r->places[i];
        }
    }
    r->place_count = n;
    qsort(r->places, n, sizeof *r->places, by_addresses);
    return 0;
}

static int
prepare(struct sweep *s)
{
    struct kobold_report *r = s->r;
    const kobold_build *b = s->b;
    s->count = b->source_count < KOBOLD_REPORT_INPUTS ? b->source_count : KOBOLD_REPORT_INPUTS;
    r->inputs = calloc(s->count + 1, sizeof *r->inputs);
    r->places = calloc(CODES_MAX + 1, sizeof *r->places);
    r->pairs = calloc(s->count * s->count + 1, sizeof *r->pairs);
    s->index_of = calloc(65536, sizeof *s->index_of);
    if (r->inputs == NULL || r->places == NULL || r->pairs == NULL || s->index_of == NULL) {
        return -ENOMEM;
    }
    r->input_count = s->count;
    for (size_t i = 0; i < s->count; i++) {
        const struct kobold_source *x = b->sources[i];
        r->inputs[i] = (struct kobold_report_input){
            .name = x->name,
            .layer = x->layer,
            .format = x->input.format,
            .broken = x->input.broken,
            .unused = x->input.unused,
            .unknown_codes = x->input.unknown_codes,
            .twice = x->input.twice,
        };
        for (size_t j = 0; j < i; j++) {
            r->pairs[r->pair_count++] = (struct kobold_report_pair){ .a = j, .b = i };
        }
    }
    s->cells = calloc(r->pair_count + 1, sizeof *s->cells);
    return s->cells == NULL ? -ENOMEM : 0;
}

int
kobold_build_report(kobold_build *b, struct kobold_report **ret, struct bh_error *err)
{
    struct sweep *s = calloc(1, sizeof *s);
    struct kobold_report *r = calloc(1, sizeof *r);
    int status = s == NULL || r == NULL ? -ENOMEM : 0;
    if (status == 0) {
        s->b = b;
        s->r = r;
        status = prepare(s);
    }
    for (int family = 4; status == 0 && family <= 6; family += 2) {
        status = sweep_family(s, family);
    }
    if (status == 0) {
        status = take_cells(s);
    }
    if (s != NULL) {
        free(s->index_of);
        free(s->cells);
    }
    free(s);
    if (status < 0) {
        kobold_report_free(r);
        return out_of_memory(err);
    }
    *ret = r;
    return 0;
}

void
kobold_report_free(struct kobold_report *r)
{
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < r->pair_count; i++) {
        free(r->pairs[i].countries);
    }
    free(r->inputs);
    free(r->places);
    free(r->pairs);
    free(r);
}
