/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A dictionary as octets, and back. The reader believes nothing: every count has a bound, every
 * reference is looked at once here, so that blocks need not ask again.
 */
#include "store_priv.h"

#include <errno.h>
#include <stdlib.h>

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION /* a few octets may stand for millions: no fuzzer has the time */
#define ENTRIES_MAX (1U << 14)
#define FORMS_MAX (1U << 12)
#else
#define ENTRIES_MAX (1U << 23)
#define FORMS_MAX (1U << 21)
#endif
#define GROUPS_MAX (1U << 16)

/* ---- lists of addresses, sorted -------------------------------------------------------------------- */

/* Of IPv4: the differences as steps. */
static void
put_steps(struct code_work *w, struct bh_buf *out, const uint32_t *v, size_t n)
{
    uint8_t *symbol = malloc(n + 1);
    struct bh_buf bits = { 0 };
    struct code_bits b = code_bits_begin(&bits, 64ULL * n);
    int64_t last = 0;
    if (symbol == NULL) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned count;
        uint64_t low;
        symbol[i] = code_step_symbol((int64_t)v[i] - last, &count, &low);
        code_bits_put(&b, low, count);
        last = v[i];
    }
    code_bits_end(&b);
    code_put_octets(w, out, symbol, n);
    code_put32(out, (uint32_t)bits.len);
    bh_buf_add(out, bits.data == NULL ? "" : bits.data, bits.len);
    out->failed |= bits.failed;
    bh_buf_done(&bits);
    free(symbol);
}

static bool
get_steps(struct bh_cur *c, uint32_t *v, size_t n)
{
    uint8_t *symbol = malloc(n + 16);
    bool ok = symbol != NULL && code_get_octets(c, symbol, n);
    const uint32_t size = code_get32(c);
    const uint8_t *bits = bh_cur_take(c, size);
    ok = ok && bits != NULL;
    if (ok) {
        struct code_bits_in b = { bits, size, 0 };
        uint64_t last = 0;
        for (size_t i = 0; i < n && ok; i++) {
            const struct code_step *s = &code_steps[symbol[i]];
            if (symbol[i] == CODE_STEP_BACK) { /* a new group begins lower */
                last -= code_bits_get(&b, 32);
            } else if (symbol[i] == CODE_STEP_WIDE) {
                ok = false;
            } else {
                last += s->base + code_bits_get(&b, s->bits);
            }
            v[i] = (uint32_t)last;
            ok = ok && last <= UINT32_MAX;
        }
        ok = ok && !code_bits_over(&b);
    }
    free(symbol);
    return ok;
}

static void
put_words(struct code_work *w, struct bh_buf *out, const uint64_t *v, size_t n, size_t stride)
{
    uint32_t *half = malloc((n + 1) * sizeof *half);
    if (half == NULL) {
        out->failed = true;
        return;
    }
    for (unsigned shift = 32;; shift = 0) {
        for (size_t i = 0; i < n; i++) {
            half[i] = (uint32_t)(*(const uint64_t *)(const void *)((const char *)v + i * stride) >>
                                 shift);
        }
        code_put_long(w, out, half, n);
        if (shift == 0) {
            break;
        }
    }
    free(half);
}

static bool
get_words(struct bh_cur *c, uint64_t *v, size_t n, size_t stride)
{
    uint32_t *half = malloc((n + 16) * sizeof *half);
    bool ok = half != NULL;
    for (unsigned shift = 32; ok; shift = 0) {
        ok = code_get_long(c, half, n);
        for (size_t i = 0; i < n && ok; i++) {
            uint64_t *to = (uint64_t *)(void *)((char *)v + i * stride);
            *to = shift == 32 ? (uint64_t)half[i] << 32 : *to | half[i];
        }
        if (shift == 0) {
            break;
        }
    }
    free(half);
    return ok;
}

/* ---- parts -------------------------------------------------------------------------------------------- */

void
dict_put_countries(const struct dict *d, struct bh_buf *out)
{
    code_put16(out, (uint16_t)d->country_count);
    for (uint32_t k = 0; k < d->country_count; k++) {
        const struct bh_store_country *c = &d->country[k];
        const size_t len = strlen(c->class_name), rfc_len = strlen(c->rfc);
        bh_buf_add(out, c->code, sizeof c->code);
        code_put8(out, c->kind);
        code_put8(out, (uint8_t)len);
        code_put8(out, (uint8_t)rfc_len);
        bh_buf_add(out, c->class_name, len);
        bh_buf_add(out, c->rfc, rfc_len);
    }
}

int
dict_get_countries(struct bh_cur *c, struct bh_store_country **ret, uint32_t *ret_count)
{
    const uint32_t n = code_get16(c);
    if (n > KOBOLD_VALUES_MAX + 1) {
        return BH_EDAMAGED;
    }
    struct bh_store_country *country = calloc(n + 1UL, sizeof *country);
    if (country == NULL) {
        return -ENOMEM;
    }
    for (uint32_t k = 0; k < n; k++) {
        const uint8_t *code = bh_cur_take(c, 4);
        const uint8_t kind = bh_cur_u8(c), len = bh_cur_u8(c), rfc_len = bh_cur_u8(c);
        const uint8_t *name = bh_cur_take(c, len), *rfc = bh_cur_take(c, rfc_len);
        if (c->bad || len >= sizeof country[k].class_name || rfc_len >= sizeof country[k].rfc ||
            code[3] != 0) {
            free(country);
            return BH_EDAMAGED;
        }
        memcpy(country[k].code, code, 4);
        country[k].kind = kind;
        memcpy(country[k].class_name, name, len);
        memcpy(country[k].rfc, rfc, rfc_len);
    }
    *ret = country;
    *ret_count = n;
    return 0;
}

static int
get_countries(struct dict *d, struct bh_cur *c)
{
    int r = dict_get_countries(c, &d->country, &d->country_count);
    if (r != 0) {
        return r;
    }
    d->group_of = calloc((d->country_count + 1UL) * FAR_SYMBOLS, sizeof *d->group_of);
    return d->group_of == NULL ? -ENOMEM : 0;
}

/* Groups of far ends: whose, how frequent, how many; then all entries. */
static void
put_far(const struct dict *d, struct code_work *w, struct bh_buf *out)
{
    const size_t groups = d->far_group_count, n = d->entry_count;
    uint32_t *v = malloc((groups + n + 1) * sizeof *v);
    uint8_t *o = malloc(groups + n + 1);
    if (v == NULL || o == NULL) {
        out->failed = true;
        free(v);
        free(o);
        return;
    }
    uint32_t n4 = 0;
    while (n4 < n && d->entry[n4].family == 4) {
        n4++;
    }
    code_put32(out, (uint32_t)groups);
    code_put32(out, (uint32_t)n);
    code_put32(out, n4);
    for (size_t k = 0; groups > 0 && k < (size_t)d->country_count * FAR_SYMBOLS; k++) {
        if (d->group_of[k] != 0) {
            v[d->group_of[k] - 1] = (uint32_t)(k / FAR_SYMBOLS);
            o[d->group_of[k] - 1] = (uint8_t)(k % FAR_SYMBOLS);
        }
    }
    code_put_long(w, out, v, groups);
    code_put_octets(w, out, o, groups);
    for (size_t k = 0; k < groups; k++) {
        v[k] = d->far_group[k].count;
    }
    code_put_long(w, out, v, groups);
    for (size_t k = 0; k < n4; k++) {
        v[k] = (uint32_t)d->entry[k].lo;
    }
    put_steps(w, out, v, n4);
    if (n > n4) {
        put_words(w, out, &d->entry[n4].hi, n - n4, sizeof *d->entry);
        put_words(w, out, &d->entry[n4].lo, n - n4, sizeof *d->entry);
    }
    for (size_t k = 0; k < n; k++) {
        o[k] = d->entry[k].ttl;
    }
    code_put_octets(w, out, o, n);
    free(v);
    free(o);
}

static int
get_groups(struct dict *d, struct bh_cur *c, uint32_t groups, uint32_t n, uint32_t n4)
{
    uint32_t *country = malloc((groups + 16UL) * sizeof *country),
             *count = malloc((groups + 16UL) * sizeof *count);
    uint8_t *symbol = malloc(groups + 16UL);
    bool ok = country != NULL && count != NULL && symbol != NULL;
    ok = ok && code_get_long(c, country, groups) && code_get_octets(c, symbol, groups) &&
         code_get_long(c, count, groups);
    uint32_t first = 0;
    for (uint32_t g = 0; g < groups && ok; g++) {
        const bool is4 = symbol[g] < FAR_CLASS6;
        ok = country[g] < d->country_count && symbol[g] >= FAR_CLASS4 && count[g] > 0 &&
             count[g] <= n - first;
        /* IPv4 first, and none goes over the border. */
        ok = ok && (is4 ? first + count[g] <= n4 : first >= n4);
        uint16_t *of = ok ? &d->group_of[country[g] * FAR_SYMBOLS + symbol[g]] : NULL;
        ok = ok && *of == 0;
        if (!ok) {
            break;
        }
        *of = (uint16_t)(g + 1);
        struct far_group *group = &d->far_group[g];
        const unsigned bits = count[g] <= 1 ? 0 : 32U - (unsigned)__builtin_clz(count[g] - 1);
        *group = (struct far_group){ first, count[g], (uint8_t)bits,
                                     (uint32_t)((1ULL << bits) - count[g]) };
        for (uint32_t k = first; k < first + count[g]; k++) {
            d->entry[k].country = (uint16_t)country[g];
            d->entry[k].family = is4 ? 4 : 6;
        }
        first += count[g];
    }
    ok = ok && first == n;
    d->far_group_count = groups;
    free(country);
    free(count);
    free(symbol);
    return ok ? 0 : BH_EDAMAGED;
}

static int
get_far(struct dict *d, struct bh_cur *c)
{
    const uint32_t groups = code_get32(c), n = code_get32(c), n4 = code_get32(c);
    if (c->bad || groups >= UINT16_MAX || n > ENTRIES_MAX || n4 > n) {
        return BH_EDAMAGED;
    }
    d->far_group = calloc(groups + 1UL, sizeof *d->far_group);
    d->entry = calloc(n + 1UL, sizeof *d->entry);
    uint32_t *v = malloc((n4 + 16UL) * sizeof *v);
    uint8_t *o = malloc(n + 16UL);
    int r = -ENOMEM;
    if (d->far_group == NULL || d->entry == NULL || v == NULL || o == NULL) {
        goto out;
    }
    d->entry_count = n;
    r = get_groups(d, c, groups, n, n4);
    if (r != 0) {
        goto out;
    }
    bool ok = get_steps(c, v, n4);
    for (uint32_t k = 0; k < n4 && ok; k++) {
        d->entry[k].lo = v[k];
    }
    d->entry4 = v; /* rows ask for these at random */
    d->entry4_count = n4;
    v = NULL;
    if (n > n4) {
        ok = ok && get_words(c, &d->entry[n4].hi, n - n4, sizeof *d->entry) &&
             get_words(c, &d->entry[n4].lo, n - n4, sizeof *d->entry);
    }
    ok = ok && code_get_octets(c, o, n);
    for (uint32_t k = 0; k < n && ok; k++) {
        d->entry[k].ttl = o[k];
    }
    d->entry_ttl = o;
    o = NULL;
    r = ok ? 0 : BH_EDAMAGED;
out:
    free(v);
    free(o);
    return r;
}

static void
put_near(const struct dict *d, struct code_work *w, struct bh_buf *out)
{
    const size_t n = d->near_count;
    uint32_t *v = calloc(n + 1, sizeof *v);
    uint8_t *o = malloc(n + 1);
    if (v == NULL || o == NULL) {
        out->failed = true;
        free(v);
        free(o);
        return;
    }
    code_put32(out, (uint32_t)n);
    code_put8(out, d->near_direct);
    size_t n4 = 0, n6 = 0, first6 = 0;
    for (size_t k = 0; k < n; k++) { /* sorted by family */
        o[k] = d->near[k].family;
        if (o[k] == 4) {
            v[n4++] = (uint32_t)d->near[k].lo;
        } else if (o[k] == 6) {
            first6 = n6++ == 0 ? k : first6;
        }
    }
    code_put_octets(w, out, o, n);
    put_steps(w, out, v, n4);
    if (n6 > 0) {
        put_words(w, out, &d->near[first6].hi, n6, sizeof *d->near);
        put_words(w, out, &d->near[first6].lo, n6, sizeof *d->near);
    }
    free(v);
    free(o);
}

static int
get_near(struct dict *d, struct bh_cur *c)
{
    const uint32_t n = code_get32(c);
    d->near_direct = bh_cur_u8(c) != 0;
    if (c->bad || n > ENTRIES_MAX) {
        return BH_EDAMAGED;
    }
    d->near = calloc(n + 1UL, sizeof *d->near);
    uint8_t *o = malloc(n + 16UL);
    uint32_t *v = malloc((n + 16UL) * sizeof *v);
    if (d->near == NULL || o == NULL || v == NULL) {
        free(o);
        free(v);
        return -ENOMEM;
    }
    d->near_count = n;
    bool ok = code_get_octets(c, o, n);
    uint32_t n0 = 0, n4 = 0;
    for (uint32_t k = 0; k < n && ok; k++) {
        ok = (o[k] == 0 || o[k] == 4 || o[k] == 6) && (k == 0 || o[k] >= o[k - 1]);
        d->near[k].family = o[k];
        n0 += o[k] == 0;
        n4 += o[k] == 4;
    }
    ok = ok && get_steps(c, v, n4);
    for (uint32_t k = 0; k < n4 && ok; k++) {
        d->near[n0 + k].lo = v[k];
    }
    const uint32_t first6 = n0 + n4;
    if (ok && n > first6) {
        ok = get_words(c, &d->near[first6].hi, n - first6, sizeof *d->near) &&
             get_words(c, &d->near[first6].lo, n - first6, sizeof *d->near);
    }
    free(o);
    free(v);
    return ok ? 0 : BH_EDAMAGED;
}

static void
put_forms(const struct dict *d, struct code_work *w, struct bh_buf *out)
{
    uint32_t *v = malloc((d->form_count + 1UL) * sizeof *v);
    uint32_t all[FORM_NUMBERS];
    if (v == NULL) {
        out->failed = true;
        return;
    }
    code_put32(out, d->form_count);
    for (unsigned field = 0; field < FORM_NUMBERS; field++) {
        for (uint32_t k = 0; k < d->form_count; k++) {
            form_to_numbers(&d->form[k], all);
            v[k] = all[field];
        }
        code_put_long(w, out, v, d->form_count);
    }
    free(v);
}

static int
get_forms(struct dict *d, struct bh_cur *c)
{
    const uint32_t n = code_get32(c);
    if (c->bad || n > FORMS_MAX) {
        return BH_EDAMAGED;
    }
    d->form = calloc(n + 1UL, sizeof *d->form);
    uint32_t *v = malloc((n + 16UL) * FORM_NUMBERS * sizeof *v);
    bool ok = d->form != NULL && v != NULL;
    for (unsigned field = 0; field < FORM_NUMBERS && ok; field++) {
        ok = code_get_long(c, v + field * (n + 16UL), n);
    }
    for (uint32_t k = 0; k < n && ok; k++) {
        uint32_t all[FORM_NUMBERS];
        for (unsigned field = 0; field < FORM_NUMBERS; field++) {
            all[field] = v[field * (n + 16UL) + k];
        }
        form_from_numbers(all, &d->form[k]);
    }
    d->form_count = n;
    free(v);
    return ok ? 0 : BH_EDAMAGED;
}

static void
put_services(const struct dict *d, struct code_work *w, struct bh_buf *out)
{
    uint32_t v[3][CODES];
    code_put32(out, d->group_count);
    code_put_long(w, out, d->group, d->group_count);
    code_put16(out, (uint16_t)d->service_count);
    for (uint32_t k = 0; k < d->service_count; k++) {
        v[0][k] = d->service[k].group;
        v[1][k] = d->service[k].port;
        v[2][k] = d->service[k].count;
    }
    for (unsigned field = 0; field < 3; field++) {
        code_put_numbers(w, out, v[field], d->service_count);
    }
    for (unsigned s = 0; s < STREAMS; s++) {
        code_put16(out, (uint16_t)d->shape_count[s]);
        for (uint32_t k = 0; k < d->shape_count[s]; k++) {
            v[0][k] = d->shape[s][k].form;
            v[1][k] = d->shape[s][k].ip_len;
        }
        code_put_numbers(w, out, v[0], d->shape_count[s]);
        code_put_numbers(w, out, v[1], d->shape_count[s]);
    }
}

static bool
group_is_sound(uint32_t g)
{
    const unsigned kind = group_kind(g);
    return g < 1U << GROUP_BITS && group_cls(g) < BH_CLASS_COUNT &&
           group_direction(g) <= BH_DIR_TRANSIT &&
           (kind == BH_KIND_NONE || kind == BH_KIND_ARP || kind == BH_KIND_IP4 ||
            kind == BH_KIND_IP6);
}

static void
spell(uint32_t g, uint32_t port, struct spelled *ret)
{
    *ret = (struct spelled){ g,
                             port,
                             (uint8_t)stream_of(g),
                             (uint8_t)group_cls(g),
                             (uint8_t)group_direction(g),
                             (uint8_t)group_kind(g),
                             (uint8_t)group_proto(g) };
}

static int
get_services(struct dict *d, struct bh_cur *c)
{
    uint32_t v[3][CODES + 16];
    const uint32_t groups = code_get32(c);
    if (c->bad || groups > GROUPS_MAX) {
        return BH_EDAMAGED;
    }
    d->group = malloc((groups + 16UL) * sizeof *d->group);
    if (d->group == NULL) {
        return -ENOMEM;
    }
    d->group_count = groups;
    bool ok = code_get_long(c, d->group, groups);
    for (uint32_t k = 0; k < groups && ok; k++) {
        ok = group_is_sound(d->group[k]);
    }
    const uint32_t n = code_get16(c);
    ok = ok && n < CODES;
    for (unsigned field = 0; field < 3 && ok; field++) {
        ok = code_get_numbers(c, v[field], n);
    }
    for (uint32_t k = 0; k < n && ok; k++) {
        ok = v[0][k] < groups && v[1][k] <= PORT_ANY;
        d->service[k] = (struct service){ v[0][k], v[1][k], v[2][k] };
        if (ok) {
            spell(d->group[v[0][k]], v[1][k], &d->spelled[k]);
        }
    }
    d->service_count = ok ? n : 0;
    for (unsigned s = 0; s < STREAMS && ok; s++) {
        const uint32_t shapes = code_get16(c);
        ok = shapes < CODES && code_get_numbers(c, v[0], shapes) &&
             code_get_numbers(c, v[1], shapes);
        for (uint32_t k = 0; k < shapes && ok; k++) {
            ok = v[0][k] < d->form_count;
            d->shape[s][k] = (struct shape){ v[0][k], v[1][k] };
        }
        d->shape_count[s] = ok ? shapes : 0;
    }
    return ok ? 0 : BH_EDAMAGED;
}

/* ---- all of it --------------------------------------------------------------------------------------- */

void
dict_put(const struct dict *d, struct code_work *w, struct bh_buf *out)
{
    dict_put_countries(d, out);
    put_far(d, w, out);
    put_near(d, w, out);
    put_forms(d, w, out);
    put_services(d, w, out);
}

int
dict_get(struct dict *d, const uint8_t *data, size_t size)
{
    struct bh_cur c = bh_cur_over(data, size);
    *d = (struct dict){ 0 };
    int r = get_countries(d, &c);
    r = r != 0 ? r : get_far(d, &c);
    r = r != 0 ? r : get_near(d, &c);
    r = r != 0 ? r : get_forms(d, &c);
    r = r != 0 ? r : get_services(d, &c);
    if (r == 0 && bh_cur_left(&c) != 0) {
        r = BH_EDAMAGED;
    }
    if (r != 0) {
        dict_done(d);
    }
    return r;
}
