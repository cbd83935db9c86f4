/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * filter_priv.h - the tree of a filter, and what its parser is made of.
 *
 * The tree is an array in postfix order: operands stand before their operator. Evaluating it
 * is one pass with a small stack of columns, so neither parser nor evaluator recurses, and the
 * depth of that stack (FILTER_DEPTH_MAX) is the only bound on nesting.
 *
 * A truth value is one octet: 0 no, 1 unknown, 2 yes. Then `and` is the smaller, `or` the
 * larger of two, `not` is 2 - x (Kleene's three-valued logic), and a compiler makes vector
 * instructions of all three.
 */
#ifndef BH_FILTER_PRIV_H
#define BH_FILTER_PRIV_H

#include "bh_filter.h"

#define FILTER_DEPTH_MAX 64U
#define FILTER_TESTS_MAX 4096U
#define FILTER_TEXT_MAX (1U << 20)

enum { NO = 0, UNKNOWN = 1, YES = 2 };

enum op {
    OP_KIND,  /* kind == a                                               */
    OP_PROTO, /* proto == a                                              */
    OP_NET4,  /* (address & mask) == a                                   */
    OP_NET6,
    OP_PORT,  /* a <= port <= b                                          */
    OP_VALUE, /* verdict[country database's value of the address]        */
    OP_FLAGS, /* (flags & b) == a                                        */
    OP_OUTCOME,
    OP_CLASS,
    OP_DIRECTION,
    OP_TAGGED,
    OP_NUMBER, /* field compare a                                         */
    OP_AS,     /* the autonomous system of the address is a               */
    OP_SENSOR, /* the sensor's name is `name`                            */
    OP_ABSENT, /* a field no record of this edition has                   */
    OP_NOT,
    OP_AND,
    OP_OR,
};

enum end { END_EITHER, END_SRC, END_DST, END_BOTH };
enum number { NUMBER_LEN, NUMBER_TTL, NUMBER_WINDOW, NUMBER_IPID, NUMBER_VLAN };
enum compare { CMP_EQ, CMP_NE, CMP_LT, CMP_LE, CMP_GT, CMP_GE };

struct node {
    enum op op;
    enum end end;
    enum number number;
    enum compare compare;
    uint32_t a, b;   /* as said at the op                                   */
    uint64_t hi, lo; /* OP_NET6: network                                    */
    uint64_t mask_hi, mask_lo;
    uint8_t *verdict;       /* OP_VALUE: a truth value for every value             */
    char *text;             /* leaves: in the words of the language                */
    uint32_t name_at;       /* OP_SENSOR: where its name begins in the text             */
    uint32_t left, right;   /* operators: indexes of the operands (not: `right`)    */
    uint32_t parent, first; /* index of the operator above, and of the first leaf below */
};

struct bh_filter {
    struct node *nodes;
    uint32_t count, cap, tests;
    uint32_t needs;
    const kobold *countries;
    unsigned value_count;
};

#define NO_PARENT UINT32_MAX

/* ---- token.c -------------------------------------------------------------------------- */

enum token_type {
    TOKEN_END,
    TOKEN_WORD,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_AND,
    TOKEN_OR,
    TOKEN_NOT,
    TOKEN_COMPARE
};

struct token {
    const char *at;
    uint32_t len;
    uint32_t column; /* from 1, in octets of the joined words */
    uint32_t number; /* from 1: the how many-th word          */
    enum token_type type;
    enum compare compare;
};

struct parser {
    char *text; /* the words, joined by blanks */
    struct token *tokens;
    uint32_t count, at; /* tokens[count] is TOKEN_END */
    struct bh_filter *f;
    struct bh_error *err;
    uint32_t stack[FILTER_DEPTH_MAX]; /* nodes that wait for their operator */
    uint32_t depth;
    /* The last qualifier, for bare values behind it: "port 22 or 25". */
    const struct word *qualifier;
    const struct word *prefix; /* "tcp" of "tcp port 22"; or NULL */
    enum end end;
};

/* Sets the error at a token; returns `code`. */
int filter_fail(struct parser *p, const struct token *t, int code, const char *en, const char *ja,
                ...) BH_PRINTF(4, 6);
BH_NODISCARD int filter_tokenize(struct parser *p, const char *const *words, size_t count);
bool filter_token_is(const struct token *t, const char *word); /* in any case */

/* ---- words and what they are ------------------------------------------------------------ */

enum qualifier {
    Q_NONE,
    Q_HOST,
    Q_NET,
    Q_PORT,
    Q_PORTRANGE,
    Q_COUNTRY,
    Q_CLASS,
    Q_PROTO,
    Q_FLAGS,
    Q_OUTCOME,
    Q_ASN,
    Q_TAG,
    Q_SENSOR
};

enum word_type { W_TEST, W_PROTO, W_END, W_QUALIFIER, W_NUMBER, W_VLAN };

/* A word of the language. */
struct word {
    const char *name;
    enum word_type type;
    enum qualifier qualifier; /* W_QUALIFIER                                              */
    bool two_ends;            /* may stand behind src and dst, and behind a protocol        */
    enum op op;               /* W_TEST, W_PROTO                                          */
    enum number number;       /* W_NUMBER                                                 */
    enum end end;             /* W_END                                                    */
    uint32_t a;
    uint32_t needs;
};

/* ---- parse.c -------------------------------------------------------------------------- */

/* Append a leaf; takes the node's text and verdict, also on failure. */
BH_NODISCARD int filter_push(struct parser *p, const struct token *t, struct node *leaf);
BH_NODISCARD int filter_push_op(struct parser *p, enum op op);

/* ---- words.c -------------------------------------------------------------------------- */

const struct word *filter_word_find(const char *text, size_t len);
/* The word that was likely meant; NULL when none is near. */
const char *filter_word_nearest(const struct token *t);

/* ---- value.c -------------------------------------------------------------------------- */

/* The value at p->at (a list joined by commas), read as `q` wants it: pushes one operand. */
BH_NODISCARD int filter_value(struct parser *p, const struct word *q, enum end end);
BH_NODISCARD int filter_number(struct parser *p, const struct token *t, const char *text,
                               size_t len, uint32_t max, uint32_t *ret_number);
/* True when the text has the shape of an address or network. */
bool filter_is_address(const struct token *t);
char *filter_leaf_text(const char *fmt, ...) BH_PRINTF(1, 2);
extern const char *const filter_end_text[];

/* One entry of a list; begin with zeros. */
struct filter_item {
    const struct token *token;
    const char *at;
    size_t len;
};
bool filter_list_next(struct parser *p, struct filter_item *v);

/* ---- country.c ------------------------------------------------------------------------ */

/* A list of countries or address classes, pushed as one leaf. */
BH_NODISCARD int filter_country_value(struct parser *p, const struct word *q, enum end end);

#endif
