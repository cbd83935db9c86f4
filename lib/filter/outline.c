/* SPDX-License-Identifier: BSD-2-Clause */
/* outline.c - a filter for who knows less of a packet than its record: the kernel. */
#include "filter_priv.h"

/* Of each node: is it asked for its opposite, by all the `not` above it? */
static void
find_negated(const struct bh_filter *f, bool ret[BH_FILTER_PARTS])
{
    for (uint32_t i = f->count; i-- > 0;) {
        const uint32_t parent = f->nodes[i].parent;
        ret[i] = parent != NO_PARENT && ret[parent] != (f->nodes[parent].op == OP_NOT);
    }
}

static enum bh_filter_part_type
type_of(const struct node *n, bool negated)
{
    switch (n->op) {
    case OP_KIND:
        return BH_FILTER_PART_KIND;
    case OP_PROTO:
        return BH_FILTER_PART_PROTO;
    case OP_NET4:
        return BH_FILTER_PART_NET4;
    case OP_NET6:
        return BH_FILTER_PART_NET6;
    case OP_PORT:
        return BH_FILTER_PART_PORT;
    case OP_AND:
        return negated ? BH_FILTER_PART_OR : BH_FILTER_PART_AND;
    case OP_OR:
        return negated ? BH_FILTER_PART_AND : BH_FILTER_PART_OR;
    default:
        return BH_FILTER_PART_ANY;
    }
}

size_t
bh_filter_outline(const struct bh_filter *f, struct bh_filter_part ret[BH_FILTER_PARTS])
{
    bool negated[BH_FILTER_PARTS];
    size_t n = 0;
    if (f == NULL || f->count > BH_FILTER_PARTS) {
        return 0;
    }
    find_negated(f, negated);
    for (uint32_t i = 0; i < f->count; i++) {
        const struct node *from = &f->nodes[i];
        if (from->op == OP_NOT) {
            continue;
        }
        ret[n++] = (struct bh_filter_part){
            .type = type_of(from, negated[i]),
            .negated = negated[i],
            .source = from->end != END_DST,
            .destination = from->end != END_SRC,
            .both = from->end == END_BOTH,
            .a = from->a,
            .b = from->b,
            .hi = from->hi,
            .lo = from->lo,
            .mask_hi = from->mask_hi,
            .mask_lo = from->mask_lo,
        };
    }
    return n;
}
