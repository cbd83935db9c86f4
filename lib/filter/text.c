/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text.c - a filter in words again, every operator in brackets: "(a and b and c) or d" is
 * "((a and b and c) or d)". Reading the text again gives the same tree.
 */
#include "filter_priv.h"

/* "(a and b) and c" needs no inner brackets: and, or are left-associative. */
static bool
has_brackets(const struct bh_filter *f, uint32_t i)
{
    const struct node *n = &f->nodes[i];
    if (n->op != OP_AND && n->op != OP_OR) {
        return false;
    }
    if (n->parent == NO_PARENT) {
        return true;
    }
    const struct node *above = &f->nodes[n->parent];
    return above->op != n->op || above->left != i;
}

/* What opens before the first leaf of its operators: they are its parents along left edges. */
static void
put_openers(const struct bh_filter *f, uint32_t leaf, struct bh_buf *out)
{
    uint32_t top = leaf;
    while (f->nodes[top].parent != NO_PARENT && f->nodes[f->nodes[top].parent].first == leaf) {
        top = f->nodes[top].parent;
    }
    for (uint32_t i = top; i != leaf;) {
        const struct node *n = &f->nodes[i];
        if (n->op == OP_NOT) {
            bh_buf_puts(out, "not ");
        } else if (has_brackets(f, i)) {
            bh_buf_putc(out, '(');
        }
        i = n->op == OP_NOT ? n->right : n->left;
    }
}

void
bh_filter_text(const struct bh_filter *f, struct bh_buf *out)
{
    if (f == NULL) {
        return;
    }
    for (uint32_t i = 0; i < f->count; i++) {
        const struct node *n = &f->nodes[i];
        if (n->op == OP_AND || n->op == OP_OR) {
            if (has_brackets(f, i)) {
                bh_buf_putc(out, ')');
            }
        } else if (n->op != OP_NOT) {
            put_openers(f, i, out);
            bh_buf_puts(out, n->text);
        }
        if (n->parent != NO_PARENT && f->nodes[n->parent].op != OP_NOT &&
            f->nodes[n->parent].left == i) {
            bh_buf_puts(out, f->nodes[n->parent].op == OP_AND ? " and " : " or ");
        }
    }
}
