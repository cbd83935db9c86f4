/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * parse.c - the grammar (docs/format/filter.md).
 *
 * pcap's precedence: `not` binds tightest, `and` and `or` bind alike and from the left. The
 * operators wait on a stack of their own (Dijkstra's shunting yard), so that the depth of
 * brackets costs no stack of ours.
 */
#include "filter_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ---- the tree --------------------------------------------------------------------------- */

static int
grow(struct parser *p)
{
    struct bh_filter *f = p->f;
    if (f->count < f->cap) {
        return 0;
    }
    uint32_t cap = f->cap == 0 ? 16 : f->cap * 2;
    struct node *nodes = realloc(f->nodes, bh_size_mul(cap, sizeof *nodes));
    if (nodes == NULL) {
        return bh_error_errno(p->err, ENOMEM, "", "reading the filter", "フィルターの読み込み");
    }
    f->nodes = nodes;
    f->cap = cap;
    return 0;
}

int
filter_push(struct parser *p, const struct token *t, struct node *leaf)
{
    struct bh_filter *f = p->f;
    int r = 0;
    if (leaf->text == NULL) {
        r = bh_error_errno(p->err, ENOMEM, "", "reading the filter", "フィルターの読み込み");
    } else if (f->tests == FILTER_TESTS_MAX) {
        r = filter_fail(p, t, BH_ELIMIT, "more than %u tests", "条件が %u 個を超えています",
                        FILTER_TESTS_MAX);
    } else if (p->depth == FILTER_DEPTH_MAX) {
        r = filter_fail(p, t, BH_ELIMIT, "brackets are nested deeper than %u",
                        "括弧の入れ子が %u 段を超えています", FILTER_DEPTH_MAX);
    } else {
        r = grow(p);
    }
    if (r < 0) {
        free(leaf->text);
        free(leaf->verdict);
        return r;
    }
    leaf->first = f->count;
    leaf->parent = NO_PARENT;
    p->stack[p->depth++] = f->count;
    f->nodes[f->count++] = *leaf;
    f->tests++;
    f->needs |=
        leaf->op == OP_PORT && leaf->end != END_DST ? (unsigned)BH_FILTER_NEEDS_SRC_PORT : 0U;
    const bool of_address =
        leaf->op == OP_NET4 || leaf->op == OP_NET6 || leaf->op == OP_VALUE || leaf->op == OP_AS;
    f->needs |= of_address && leaf->end != END_SRC ? (unsigned)BH_FILTER_NEEDS_NEAR : 0U;
    return 0;
}

int
filter_push_op(struct parser *p, enum op op)
{
    struct bh_filter *f = p->f;
    uint32_t top = p->stack[p->depth - 1];
    if (op == OP_NOT && f->nodes[top].op == OP_NOT) {
        /* not (not x) is x, in three values too; then texts print back the same. */
        p->stack[p->depth - 1] = f->nodes[top].right;
        f->nodes[f->nodes[top].right].parent = NO_PARENT;
        f->count--; /* it is the last */
        return 0;
    }
    int r = grow(p);
    if (r < 0) {
        return r;
    }
    struct node n = { .op = op, .parent = NO_PARENT };
    n.right = p->stack[--p->depth];
    n.left = op == OP_NOT ? n.right : p->stack[--p->depth];
    n.first = f->nodes[n.left].first;
    f->nodes[n.right].parent = f->nodes[n.left].parent = f->count;
    p->stack[p->depth++] = f->count;
    f->nodes[f->count++] = n;
    return 0;
}

/* A bare address needs no word: "192.0.2.1" is "host 192.0.2.1". */
static const struct word *
address_word(const struct token *t)
{
    return memchr(t->at, '/', t->len) != NULL ? filter_word_find("net", 3)
                                              : filter_word_find("host", 4);
}

/* ---- operands --------------------------------------------------------------------------- */

static int
push_word(struct parser *p, const struct token *t, const struct word *w)
{
    struct node n = { .op = w->op, .a = w->a, .text = strdup(w->name) };
    p->f->needs |= w->needs;
    return filter_push(p, t, &n);
}

/* The last qualifier, with a value: "tcp src port 22" is "tcp and src port 22", as one operand. */
static int
qualified(struct parser *p)
{
    const struct token *t = &p->tokens[p->at];
    if (p->prefix == NULL) {
        return filter_value(p, p->qualifier, p->end);
    }
    int r = push_word(p, t, p->prefix);
    if (r < 0) {
        return r;
    }
    r = filter_value(p, p->qualifier, p->end);
    return r < 0 ? r : filter_push_op(p, OP_AND);
}

/* "src", "src or dst", "src and dst": p->at stands behind the first of them. */
static int
ends(struct parser *p, enum end end)
{
    p->end = end;
    const struct token *t = &p->tokens[p->at];
    if (t->type != TOKEN_AND && t->type != TOKEN_OR) {
        return 0;
    }
    if (!filter_token_is(t + 1, end == END_SRC ? "dst" : "src")) {
        return filter_fail(p, t - 1, BH_EUSAGE,
                           "needs a value: src 192.0.2.1, src port 22, src country cn, or "
                           "\"src or dst\"",
                           "値が必要です: src 192.0.2.1、src port 22、src country cn、または "
                           "\"src or dst\"");
    }
    p->end = t->type == TOKEN_AND ? END_BOTH : END_EITHER;
    p->at += 2;
    return 0;
}

/* Behind src or dst: a qualifier with two ends, or an address. */
static int
end_qualifier(struct parser *p)
{
    const struct token *t = &p->tokens[p->at];
    const struct word *w = t->type == TOKEN_WORD ? filter_word_find(t->at, t->len) : NULL;
    if (w != NULL && w->type == W_QUALIFIER && w->two_ends) {
        p->qualifier = w;
        p->at++;
        return 0;
    }
    if (t->type == TOKEN_WORD && w == NULL && filter_is_address(t)) {
        p->qualifier = address_word(t);
        return 0;
    }
    if (t->type == TOKEN_OPEN) {
        p->qualifier = filter_word_find("host", 4);
        return 0;
    }
    return filter_fail(p, t, BH_EUSAGE,
                       "src and dst take an address, or host, net, port, portrange, country, "
                       "class or asn with a value",
                       "src と dst の後はアドレス、または host、net、port、portrange、country、"
                       "class、asn と値です");
}

/* May `w` stand right behind a protocol's word? "tcp port 22", "ip proto 47". */
static bool
follows_proto(const struct word *w)
{
    return w != NULL && (w->type == W_END ||
                         (w->type == W_QUALIFIER && (w->two_ends || w->qualifier == Q_PROTO)));
}

static int
unknown_word(struct parser *p, const struct token *t)
{
    if (memchr(t->at, '[', t->len) != NULL) {
        return filter_fail(p, t, BH_EUNKNOWN,
                           "octets of packets cannot be tested; for TCP flags: flags S",
                           "パケットのバイト列は条件にできません。TCP フラグは flags S と書きます");
    }
    const char *near = filter_word_nearest(t);
    if (near != NULL) {
        return filter_fail(p, t, BH_EUNKNOWN, "not a word of the filter; did you mean %s?",
                           "フィルターにない語です。%s ではありませんか", near);
    }
    if (t->at[0] >= '0' && t->at[0] <= '9') {
        return filter_fail(p, t, BH_EUNKNOWN,
                           "a number needs a word before it, such as port or proto",
                           "数の前に port や proto などの語が必要です");
    }
    return filter_fail(p, t, BH_EUNKNOWN,
                       "not a word of the filter (words are host, net, port, src, dst, tcp, "
                       "udp, country, access and others: see the manual)",
                       "フィルターにない語です (host、net、port、src、dst、tcp、udp、country、"
                       "access など。マニュアルを参照)");
}

/* A value without its word: it continues the last qualifier, or is an address. */
static int
bare(struct parser *p, const struct token *t)
{
    if (p->qualifier == NULL) {
        if (!filter_is_address(t)) {
            return unknown_word(p, t);
        }
        p->qualifier = address_word(t);
        p->end = END_EITHER;
    } else {
        bool is_letter = (t->at[0] | 0x20) >= 'a' && (t->at[0] | 0x20) <= 'z';
        bool names = p->qualifier->qualifier == Q_TAG || p->qualifier->qualifier == Q_SENSOR;
        if (memchr(t->at, '[', t->len) != NULL ||
            (is_letter && t->len > 2 && !names && p->qualifier->qualifier != Q_FLAGS &&
             memchr(t->at, ':', t->len) == NULL && filter_word_nearest(t) != NULL)) {
            /* "port 22 and hots ..." is a mistyped word rather than a bad port; but a value that
             * reads well ("outcome complete or silent") must win, so it is tried first. */
            struct bh_error *err = p->err;
            uint32_t at = p->at;
            p->err = NULL;
            int r = qualified(p);
            p->err = err;
            if (r < 0) {
                p->at = at;
                return unknown_word(p, t);
            }
            return 0;
        }
        /* "src net 10.0.0.0/8 or 192.0.2.1", "host A or 10.0.0.0/8": what it looks like. */
        bool addresses = p->qualifier->qualifier == Q_HOST || p->qualifier->qualifier == Q_NET;
        if (addresses && filter_is_address(t)) {
            p->qualifier = address_word(t);
        }
    }
    return qualified(p);
}

static int
number_test(struct parser *p, const struct token *t, const struct word *w)
{
    static const char *const signs[] = { "=", "!=", "<", "<=", ">", ">=" };
    struct node n = { .op = OP_NUMBER, .number = w->number, .compare = CMP_EQ };
    const struct token *v = &p->tokens[p->at];
    if (v->type == TOKEN_COMPARE) {
        n.compare = v->compare;
        v++;
        p->at++;
    }
    if (v->type != TOKEN_WORD) {
        return filter_fail(p, t, BH_EUSAGE, "needs a comparison: %s > 100",
                           "比較が必要です: %s > 100", w->name);
    }
    int r = filter_number(p, v, v->at, v->len, w->a, &n.a);
    if (r < 0) {
        return r;
    }
    p->at++;
    n.text = filter_leaf_text("%s %s %u", w->name, signs[n.compare], (unsigned)n.a);
    p->f->needs |= w->needs;
    return filter_push(p, t, &n);
}

static int
vlan_test(struct parser *p, const struct token *t, const struct word *w)
{
    const struct token *v = &p->tokens[p->at];
    struct node n = { .op = OP_TAGGED };
    if (v->type == TOKEN_WORD && v->at[0] >= '0' && v->at[0] <= '9') {
        n = (struct node){ .op = OP_NUMBER, .number = NUMBER_VLAN, .compare = CMP_EQ };
        int r = filter_number(p, v, v->at, v->len, 4095, &n.a);
        if (r < 0) {
            return r;
        }
        p->at++;
        n.text = filter_leaf_text("vlan %u", (unsigned)n.a);
    } else {
        n.text = strdup("vlan");
    }
    p->f->needs |= w->needs;
    return filter_push(p, t, &n);
}

/* A qualifier before brackets, "port (22 or 25)": the values inside continue it. *ret_opened
 * is set and nothing is pushed. */
static int
qualified_or_open(struct parser *p, bool *ret_opened)
{
    const struct token *t = &p->tokens[p->at];
    if (t->type != TOKEN_OPEN) {
        return qualified(p);
    }
    while (t->type == TOKEN_OPEN || t->type == TOKEN_NOT) {
        t++;
    }
    if (t->type == TOKEN_WORD && p->qualifier->qualifier != Q_COUNTRY &&
        filter_word_find(t->at, t->len) != NULL) {
        return filter_fail(p, t, BH_EUSAGE, "a value of %s was expected here",
                           "ここには %s の値が必要です", p->qualifier->name);
    }
    *ret_opened = true;
    return 0;
}

/* One operand at p->at, a word. */
static int
operand(struct parser *p, bool *ret_opened)
{
    const struct token *t = &p->tokens[p->at];
    const struct word *w = filter_word_find(t->at, t->len);
    if (w == NULL) {
        return bare(p, t);
    }
    p->at++;
    p->prefix = NULL;
    p->end = END_EITHER;
    if (w->type == W_PROTO) {
        const struct token *v = &p->tokens[p->at];
        const struct word *next = v->type == TOKEN_WORD ? filter_word_find(v->at, v->len) : NULL;
        if (!follows_proto(next)) {
            p->qualifier = NULL;
            return push_word(p, t, w);
        }
        p->prefix = w;
        w = next;
        t = v;
        p->at++;
    }
    switch (w->type) {
    case W_END:
        if (ends(p, w->end) < 0) {
            return BH_EUSAGE;
        }
        if (end_qualifier(p) < 0) {
            return BH_EUSAGE;
        }
        return qualified_or_open(p, ret_opened);
    case W_QUALIFIER:
        p->qualifier = w;
        return qualified_or_open(p, ret_opened);
    default:
        break;
    }
    p->qualifier = NULL;
    return w->type == W_NUMBER ? number_test(p, t, w)
           : w->type == W_VLAN ? vlan_test(p, t, w)
                               : push_word(p, t, w);
}

/* ---- operators -------------------------------------------------------------------------- */

/* Operators (indexes of their tokens) that wait for their right operand. */
struct waiting {
    uint32_t *at;
    uint32_t count;
};

static enum token_type
top_type(const struct parser *p, const struct waiting *w)
{
    return w->count == 0 ? TOKEN_END : p->tokens[w->at[w->count - 1]].type;
}

static int
reduce(struct parser *p, struct waiting *w)
{
    const struct token *t = &p->tokens[w->at[--w->count]];
    return filter_push_op(p, t->type == TOKEN_NOT ? OP_NOT : t->type == TOKEN_AND ? OP_AND : OP_OR);
}

static int
reduce_nots(struct parser *p, struct waiting *w)
{
    int r = 0;
    while (r == 0 && top_type(p, w) == TOKEN_NOT) {
        r = reduce(p, w);
    }
    return r;
}

static int
reduce_binary(struct parser *p, struct waiting *w)
{
    int r = 0;
    while (r == 0 && (top_type(p, w) == TOKEN_AND || top_type(p, w) == TOKEN_OR)) {
        r = reduce(p, w);
    }
    return r;
}

/* Where a test must begin. */
static int
expect_operand(struct parser *p, struct waiting *w, bool *ret_complete)
{
    const struct token *t = &p->tokens[p->at];
    bool opened = false;
    int r;
    switch (t->type) {
    case TOKEN_WORD:
        r = operand(p, &opened);
        if (r < 0 || opened) {
            return r;
        }
        *ret_complete = true;
        return reduce_nots(p, w);
    case TOKEN_NOT:
        /* not not x is x, in three values too. */
        if (top_type(p, w) == TOKEN_NOT) {
            w->count--;
        } else {
            w->at[w->count++] = p->at;
        }
        p->at++;
        return 0;
    case TOKEN_OPEN:
        w->at[w->count++] = p->at++;
        return 0;
    case TOKEN_END:
        return filter_fail(p, t == p->tokens ? t : t - 1, BH_EUSAGE,
                           "the filter ends where a test was expected",
                           "条件が必要なところでフィルターが終わっています");
    default:
        return filter_fail(p, t, BH_EUSAGE, "a test was expected here", "ここには条件が必要です");
    }
}

/* Behind a complete test. */
static int
expect_operator(struct parser *p, struct waiting *w, bool *ret_complete)
{
    const struct token *t = &p->tokens[p->at];
    int r = 0;
    switch (t->type) {
    case TOKEN_AND:
    case TOKEN_OR:
        r = reduce_binary(p, w);
        w->at[w->count++] = p->at++;
        *ret_complete = false;
        return r;
    case TOKEN_CLOSE:
        r = reduce_binary(p, w);
        if (r < 0) {
            return r;
        }
        if (top_type(p, w) != TOKEN_OPEN) {
            return filter_fail(p, t, BH_EUSAGE, "closes no bracket",
                               "対応する開き括弧がありません");
        }
        w->count--;
        p->at++;
        return reduce_nots(p, w);
    case TOKEN_WORD: {
        bool value = filter_word_find(t->at, t->len) == NULL;
        const char *near = value ? filter_word_nearest(t) : NULL;
        if (near != NULL) {
            return filter_fail(p, t, BH_EUNKNOWN, "and or or was expected here; did you mean %s?",
                               "ここには and か or が必要です。%s ではありませんか", near);
        }
        return filter_fail(p, t, BH_EUSAGE, "and or or is missing before this word",
                           "この語の前に and か or が必要です");
    }
    case TOKEN_COMPARE:
        return filter_fail(p, t, BH_EUSAGE, "only len, ttl, window and ipid are compared",
                           "比較できるのは len、ttl、window、ipid だけです");
    default:
        return filter_fail(p, t, BH_EUSAGE, "and or or is missing before this",
                           "この前に and か or が必要です");
    }
}

static int
parse(struct parser *p, struct waiting *w)
{
    bool complete = false;
    while (!complete || p->tokens[p->at].type != TOKEN_END) {
        int r = complete ? expect_operator(p, w, &complete) : expect_operand(p, w, &complete);
        if (r < 0) {
            return r;
        }
    }
    int r = reduce_binary(p, w);
    if (r == 0 && w->count > 0) {
        return filter_fail(p, &p->tokens[w->at[w->count - 1]], BH_EUSAGE, "is never closed",
                           "閉じ括弧がありません");
    }
    return r;
}

int
bh_filter_parse(const char *const *filter_words, size_t count, const kobold *countries,
                struct bh_filter **ret_filter, struct bh_error *err)
{
    struct parser p = { .err = err };
    struct waiting w = { 0 };
    int r = filter_tokenize(&p, filter_words, count);
    if (r < 0 || p.count == 0) {
        goto out;
    }
    w.at = malloc(bh_size_mul(p.count, sizeof *w.at));
    p.f = calloc(1, sizeof *p.f);
    if (w.at == NULL || p.f == NULL) {
        r = bh_error_errno(err, ENOMEM, "", "reading the filter", "フィルターの読み込み");
        goto out;
    }
    p.f->countries = countries;
    p.f->value_count = countries == NULL ? 0 : kobold_value_count(countries);
    r = parse(&p, &w);
out:
    if (r == 0) {
        *ret_filter = p.f;
    } else {
        bh_filter_free(p.f);
    }
    free(w.at);
    free(p.tokens);
    free(p.text);
    return r;
}

void
bh_filter_free(struct bh_filter *f)
{
    if (f == NULL) {
        return;
    }
    for (uint32_t i = 0; i < f->count; i++) {
        free(f->nodes[i].verdict);
        free(f->nodes[i].text);
    }
    free(f->nodes);
    free(f);
}

uint32_t
bh_filter_needs(const struct bh_filter *f)
{
    return f == NULL ? 0 : f->needs;
}
