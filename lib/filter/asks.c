/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * asks.c - which parts of an access a filter looks at, for who keeps sums of accesses by some of these. eval.c is
 * what it must agree with: where it names a part, an access without that part may be judged otherwise.
 */
#include "filter_priv.h"

/* All addresses of our end are judged alike, so that any of them may stand for the others. */
static bool
is_alike(const struct bh_filter *f, const struct node *n, const uint16_t *near, size_t near_count)
{
    bool alike = near_count > 0;
    for (size_t k = 0; k < near_count && alike; k++) {
        alike = near[k] < f->value_count && near[0] < f->value_count &&
                n->verdict[near[k]] == n->verdict[near[0]];
    }
    return alike;
}

static uint32_t
of_ends(enum end end, uint32_t of_source)
{
    return end == END_SRC ? of_source : of_source | (uint32_t)BH_PART_OTHER_END;
}

static uint32_t
of_leaf(const struct bh_filter *f, const struct node *n, const uint16_t *near, size_t near_count)
{
    switch (n->op) {
    case OP_KIND:
        return BH_PART_FAMILY;
    case OP_PROTO:
        return BH_PART_PROTO;
    case OP_NET4:
    case OP_NET6:
    case OP_AS:
        return of_ends(n->end, BH_PART_ADDRESS | BH_PART_FAMILY);
    case OP_PORT:
        return n->end == END_DST ? (uint32_t)BH_PART_PORT
                                 : (uint32_t)(BH_PART_PORT | BH_PART_OTHER_END);
    case OP_VALUE:
        return n->end == END_SRC || is_alike(f, n, near, near_count)
                   ? (uint32_t)BH_PART_COUNTRY
                   : (uint32_t)(BH_PART_COUNTRY | BH_PART_OTHER_END);
    case OP_OUTCOME:
        return BH_PART_OUTCOME | BH_PART_PROTO;
    case OP_SENSOR:
        return BH_PART_SENSOR;
    case OP_CLASS:
    case OP_DIRECTION:
        return BH_PART_CLASS;
    case OP_ABSENT:
    case OP_NOT:
    case OP_AND:
    case OP_OR:
        return 0;
    default:
        return BH_PART_MORE;
    }
}

uint32_t
bh_filter_asks(const struct bh_filter *f, const uint16_t *near, size_t near_count)
{
    uint32_t parts = 0;
    for (uint32_t k = 0; f != NULL && k < f->count; k++) {
        parts |= of_leaf(f, &f->nodes[k], near, near_count);
    }
    return parts;
}
