/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * judge.c - what a filter may say of records of which little is known.
 *
 * The tree is evaluated over sets of truths instead of truths: a leaf gives all that it may say of any
 * record with these facts, an operator all that it may make of them. Leaves are taken as independent of
 * each other, so the set may be too wide, never too narrow. This is the one place that knows what can be
 * skipped; eval.c is what it must agree with, leaf by leaf.
 */
#include "filter_priv.h"

#include <errno.h>
#include <stdlib.h>

#define PORTS 65536U
#define VALUES 65536U

struct filter_judge {
    struct bh_judge judge; /* first: what is handed out */
    const struct bh_filter *f;
    uint8_t port_class[PORTS], country_class[VALUES];
    uint8_t both[8][8], either[8][8], opposite[8];
    struct leaf {              /* of each node */
        uint64_t yes, unknown; /* classes */
        bool any;              /* classes do not tell */
    } leaf[];
};

/* ---- sets of truths --------------------------------------------------------------------------------- */

static unsigned
bit_of(unsigned truth)
{
    return truth == NO ? BH_MAY_NO : truth == YES ? BH_MAY_YES : BH_MAY_UNKNOWN;
}

static void
make_operators(struct filter_judge *j)
{
    static const unsigned truths[] = { NO, UNKNOWN, YES };
    for (unsigned a = 0; a < 8; a++) {
        for (unsigned x = 0; x < 3; x++) {
            if ((a & bit_of(truths[x])) == 0) {
                continue;
            }
            j->opposite[a] |= (uint8_t)bit_of(YES - truths[x]);
            for (unsigned b = 0; b < 8; b++) {
                for (unsigned y = 0; y < 3; y++) {
                    if ((b & bit_of(truths[y])) != 0) {
                        j->both[a][b] |=
                            (uint8_t)bit_of(truths[x] < truths[y] ? truths[x] : truths[y]);
                        j->either[a][b] |=
                            (uint8_t)bit_of(truths[x] > truths[y] ? truths[x] : truths[y]);
                    }
                }
            }
        }
    }
}

static unsigned
known(bool yes)
{
    return yes ? BH_MAY_YES : BH_MAY_NO;
}

/* What a test of two ends may say, of what it may say of each. */
static unsigned
at_ends(const struct filter_judge *j, enum end end, unsigned src, unsigned dst)
{
    return end == END_SRC    ? src
           : end == END_DST  ? dst
           : end == END_BOTH ? j->both[src][dst]
                             : j->either[src][dst];
}

static unsigned
at_far_and_near(const struct filter_judge *j, enum end end, const struct bh_facts *x, unsigned far,
                unsigned near)
{
    return x->direction == BH_DIR_OUT ? at_ends(j, end, near, far) : at_ends(j, end, far, near);
}

/* ---- leaves ------------------------------------------------------------------------------------------ */

static bool
is_ip(const struct bh_facts *x)
{
    return x->kind == BH_KIND_IP4 || x->kind == BH_KIND_IP6;
}

static bool
has_transport(const struct bh_facts *x)
{
    return is_ip(x) && (x->proto == BH_PROTO_TCP || x->proto == BH_PROTO_UDP);
}

/* Of an end that lies between two numbers, and a network. */
static unsigned
range_may(uint32_t first, uint32_t last, uint32_t net, uint32_t mask)
{
    if ((~mask & (~mask + 1)) != 0) { /* no prefix */
        return BH_MAY_NO | BH_MAY_YES;
    }
    const bool overlaps = first <= (net | ~mask) && last >= net;
    const bool inside = first >= net && last <= (net | ~mask);
    return (overlaps ? (unsigned)BH_MAY_YES : 0U) | (inside ? 0U : (unsigned)BH_MAY_NO);
}

static unsigned
net4_may(const struct filter_judge *j, const struct node *n, const struct bh_facts *x)
{
    if (x->kind == BH_KIND_IP6) {
        return BH_MAY_NO;
    }
    unsigned far = x->far4.first > x->far4.last
                       ? (unsigned)(BH_MAY_NO | BH_MAY_YES)
                       : range_may(x->far4.first, x->far4.last, n->a, n->b);
    unsigned near = x->near4 == NULL ? (unsigned)(BH_MAY_NO | BH_MAY_YES) : 0U;
    for (size_t k = 0; k < x->near4_count && x->near4 != NULL; k++) {
        near |= range_may(x->near4[k].first, x->near4[k].last, n->a, n->b);
    }
    near = near == 0 ? (unsigned)(BH_MAY_NO | BH_MAY_YES) : near;
    return at_far_and_near(j, n->end, x, far, near);
}

static unsigned
near6_may(const struct bh_range6 *r, const struct node *n)
{
    if ((r->hi & n->mask_hi) != n->hi) {
        return BH_MAY_NO;
    }
    const uint64_t end = n->lo | ~n->mask_lo;
    const bool overlaps = r->first <= end && r->last >= n->lo,
               inside = r->first >= n->lo && r->last <= end;
    return (overlaps ? (unsigned)BH_MAY_YES : 0U) | (inside ? 0U : (unsigned)BH_MAY_NO);
}

static unsigned
net6_may(const struct filter_judge *j, const struct node *n, const struct bh_facts *x)
{
    if (x->kind != BH_KIND_IP6) {
        return BH_MAY_NO;
    }
    const uint32_t net = (uint32_t)(n->hi >> 32), mask = (uint32_t)(n->mask_hi >> 32);
    unsigned far = BH_MAY_NO | BH_MAY_YES;
    if (x->far6.first <= x->far6.last) { /* of a longer prefix these bits alone do not say yes */
        const bool whole = (n->mask_hi & UINT32_MAX) == 0 && n->mask_lo == 0;
        far =
            range_may(x->far6.first, x->far6.last, net, mask) | (whole ? 0U : (unsigned)BH_MAY_NO);
    }
    unsigned near = x->near6 == NULL ? (unsigned)(BH_MAY_NO | BH_MAY_YES) : 0U;
    for (size_t k = 0; k < x->near6_count && x->near6 != NULL; k++) {
        near |= near6_may(&x->near6[k], n);
    }
    near = near == 0 ? (unsigned)(BH_MAY_NO | BH_MAY_YES) : near;
    return at_far_and_near(j, n->end, x, far, near);
}

static unsigned
classes_may(const struct leaf *l, uint64_t classes)
{
    if (l->any) {
        return BH_MAY_ALL;
    }
    return ((classes & l->yes) != 0 ? (unsigned)BH_MAY_YES : 0U) |
           ((classes & l->unknown) != 0 ? (unsigned)BH_MAY_UNKNOWN : 0U) |
           ((classes & ~(l->yes | l->unknown)) != 0 ? (unsigned)BH_MAY_NO : 0U);
}

static unsigned
port_may(const struct filter_judge *j, const struct node *n, const struct leaf *l,
         const struct bh_facts *x)
{
    if (!has_transport(x)) {
        return BH_MAY_UNKNOWN;
    }
    if (x->odd) {
        return BH_MAY_ALL;
    }
    const unsigned service = classes_may(l, x->service_ports),
                   other = classes_may(l, x->other_ports);
    return x->in_front ? at_ends(j, n->end, service, other) : at_ends(j, n->end, other, service);
}

static unsigned
outcome_may(const struct node *n, const struct bh_facts *x)
{
    if (!is_ip(x) || x->proto != BH_PROTO_TCP || x->cls != BH_CLASS_ACCESS) {
        return BH_MAY_UNKNOWN; /* lib/store: others have none */
    }
    const unsigned none = 1U << BH_OUTCOME_NONE, it = 1U << n->a;
    return ((x->outcomes & it) != 0 ? (unsigned)BH_MAY_YES : 0U) |
           ((x->outcomes & none) != 0 ? (unsigned)BH_MAY_UNKNOWN : 0U) |
           ((x->outcomes & ~(none | it)) != 0 ? (unsigned)BH_MAY_NO : 0U);
}

static unsigned
leaf_may(const struct filter_judge *j, uint32_t k, const struct bh_facts *x)
{
    const struct node *n = &j->f->nodes[k];
    const struct leaf *l = &j->leaf[k];
    const bool nothing = x->kind == BH_KIND_NONE; /* not decoded: no addresses, no ports */
    const bool doubtful = x->odd && x->kind == BH_KIND_ARP;
    switch (n->op) {
    case OP_KIND:
        return nothing ? (unsigned)(BH_MAY_UNKNOWN | BH_MAY_NO) : known(x->kind == n->a);
    case OP_PROTO:
        return nothing ? (unsigned)(BH_MAY_UNKNOWN | BH_MAY_NO)
                       : known(is_ip(x) && x->proto == n->a) |
                             (x->odd && x->kind == BH_KIND_IP6 ? (unsigned)BH_MAY_UNKNOWN : 0U);
    case OP_NET4:
        return nothing ? BH_MAY_UNKNOWN : doubtful ? BH_MAY_ALL : net4_may(j, n, x);
    case OP_NET6:
        return nothing ? BH_MAY_UNKNOWN : doubtful ? BH_MAY_ALL : net6_may(j, n, x);
    case OP_PORT:
        return port_may(j, n, l, x);
    case OP_VALUE:
        return nothing    ? BH_MAY_UNKNOWN
               : doubtful ? BH_MAY_ALL
                          : at_far_and_near(j, n->end, x, classes_may(l, x->far_countries),
                                            classes_may(l, x->near_countries));
    case OP_AS:
        return nothing ? BH_MAY_UNKNOWN : BH_MAY_ALL;
    case OP_FLAGS:
        return is_ip(x) && x->proto == BH_PROTO_TCP ? BH_MAY_ALL : BH_MAY_UNKNOWN;
    case OP_OUTCOME:
        return outcome_may(n, x);
    case OP_CLASS:
        return known(x->cls == n->a);
    case OP_DIRECTION:
        return x->direction == BH_DIR_UNKNOWN ? BH_MAY_UNKNOWN : known(x->direction == n->a);
    case OP_SENSOR:
        return x->sensor == NULL ? BH_MAY_ALL : known(strcmp(x->sensor, n->text + n->name_at) == 0);
    case OP_ABSENT:
        return BH_MAY_UNKNOWN;
    default: /* numbers and tags are not summed up */
        return BH_MAY_ALL;
    }
}

static unsigned
truths(void *arg, const struct bh_facts *x)
{
    const struct filter_judge *j = arg;
    uint8_t stack[FILTER_DEPTH_MAX];
    uint32_t depth = 0;
    for (uint32_t k = 0; k < j->f->count; k++) {
        const enum op op = j->f->nodes[k].op;
        if (op == OP_AND || op == OP_OR) {
            depth--;
            stack[depth - 1] = op == OP_AND ? j->both[stack[depth - 1]][stack[depth]]
                                            : j->either[stack[depth - 1]][stack[depth]];
        } else if (op == OP_NOT) {
            stack[depth - 1] = j->opposite[stack[depth - 1]];
        } else {
            stack[depth++] = (uint8_t)leaf_may(j, k, x);
        }
    }
    return stack[0];
}

/* ---- classes -------------------------------------------------------------------------------------------- */

/* What all leaves of a kind say of one port or value, as digits of base 3 mixed together: two that are alike
 * have the same. A leaf beyond the bounds says "any" of all. */
struct classes {
    uint64_t key[BH_CLASSES_MAX];
    uint32_t first[BH_CLASSES_MAX]; /* a port or value of it */
    unsigned count, last;
    bool too_many;
};

static uint8_t
class_of(struct classes *c, uint64_t key, uint32_t what)
{
    if (c->count > 0 && c->key[c->last] == key) {
        return (uint8_t)c->last;
    }
    unsigned k = 0;
    while (k < c->count && c->key[k] != key) {
        k++;
    }
    if (k == BH_CLASSES_MAX) {
        c->too_many = true;
        return 0;
    }
    if (k == c->count) {
        c->key[k] = key;
        c->first[k] = what;
        c->count++;
    }
    c->last = k;
    return (uint8_t)k;
}

static unsigned
leaf_truth(const struct bh_filter *f, const struct node *n, uint32_t what)
{
    if (n->op == OP_PORT) {
        return what >= n->a && what <= n->b ? YES : NO;
    }
    return what < f->value_count ? n->verdict[what] : (unsigned)UNKNOWN;
}

#define CLASS_LEAVES 32U /* of a kind: two bits of a key each */

/* Sort ports or values into classes, and tell each leaf which of them it says yes to. */
static void
make_classes(struct filter_judge *j, enum op op, bool is_known, uint8_t *class_of_each,
             unsigned *ret_count)
{
    const struct bh_filter *f = j->f;
    struct classes c = { .count = 0 };
    uint32_t leaf[CLASS_LEAVES], leaves = 0;
    for (uint32_t k = 0; k < f->count; k++) {
        j->leaf[k].any |= f->nodes[k].op == op;
        if (f->nodes[k].op == op && leaves < CLASS_LEAVES && is_known) {
            j->leaf[k].any = false;
            leaf[leaves++] = k;
        }
    }
    for (uint32_t what = 0; what < VALUES; what++) {
        uint64_t key = 0;
        for (uint32_t i = 0; i < leaves; i++) {
            key = key << 2 | leaf_truth(f, &f->nodes[leaf[i]], what);
        }
        class_of_each[what] = class_of(&c, key, what);
    }
    for (uint32_t i = 0; i < leaves; i++) {
        struct leaf *l = &j->leaf[leaf[i]];
        l->any = c.too_many;
        for (unsigned k = 0; k < c.count; k++) {
            const unsigned t = leaf_truth(f, &f->nodes[leaf[i]], c.first[k]);
            l->yes |= t == YES ? 1ULL << k : 0;
            l->unknown |= t == UNKNOWN ? 1ULL << k : 0;
        }
    }
    if (c.too_many) {
        memset(class_of_each, 0, VALUES);
    }
    *ret_count = c.too_many ? 1 : c.count;
}

int
bh_filter_judge_new(const struct bh_filter *f, bool countries_known, struct bh_judge **ret)
{
    struct filter_judge *j = calloc(1, sizeof *j + bh_size_mul(f->count, sizeof j->leaf[0]));
    if (j == NULL) {
        return -ENOMEM;
    }
    j->f = f;
    make_operators(j);
    make_classes(j, OP_PORT, true, j->port_class, &j->judge.port_classes);
    make_classes(j, OP_VALUE, countries_known, j->country_class, &j->judge.country_classes);
    for (uint32_t port = 1024; port < PORTS; port++) {
        j->judge.high_ports |= 1ULL << j->port_class[port];
    }
    for (uint32_t k = 0; k < f->count; k++) {
        j->judge.asks_addresses |= f->nodes[k].op == OP_NET4 || f->nodes[k].op == OP_NET6;
    }
    j->judge.arg = j;
    j->judge.port_class = j->port_class;
    j->judge.country_class = j->country_class;
    j->judge.truths = truths;
    *ret = &j->judge;
    return 0;
}

void
bh_filter_judge_free(struct bh_judge *judge)
{
    free(judge == NULL ? NULL : judge->arg);
}
