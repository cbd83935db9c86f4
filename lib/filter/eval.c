/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * eval.c - a filter over a batch: one loop per leaf, over columns, without branches inside.
 *
 * Cost per record and leaf is about one octet written and the columns read; 1024 rows of one
 * truth value are 1 KiB, so the stack of 64 values is 64 KiB and the working set of usual
 * filters stays in L1. Nothing is allocated.
 */
#include "filter_priv.h"

typedef uint8_t truth[BH_BATCH_ROWS];

static BH_ALWAYS_INLINE uint8_t
pick(bool known, bool yes)
{
    return known ? (uint8_t)(yes ? YES : NO) : (uint8_t)UNKNOWN;
}

/* The test of a field with two ends. */
static BH_ALWAYS_INLINE bool
at_ends(enum end end, bool src, bool dst)
{
    return end == END_SRC    ? src
           : end == END_DST  ? dst
           : end == END_BOTH ? (src & dst) != 0
                             : (src | dst) != 0;
}

static BH_ALWAYS_INLINE bool
is_ip(const struct bh_batch *b, uint32_t i)
{
    return ((b->kind[i] == BH_KIND_IP4) | (b->kind[i] == BH_KIND_IP6)) != 0;
}

/* ARP whose shape is wrong has no addresses. */
static BH_ALWAYS_INLINE bool
has_addresses(const struct bh_batch *b, uint32_t i)
{
    return (is_ip(b, i) |
            ((b->kind[i] == BH_KIND_ARP) & ((b->marks[i] & BH_MARK_MALFORMED) == 0))) != 0;
}

static BH_ALWAYS_INLINE bool
has_ports(const struct bh_batch *b, uint32_t i)
{
    return (is_ip(b, i) & ((b->proto[i] == BH_PROTO_TCP) | (b->proto[i] == BH_PROTO_UDP)) &
            ((b->marks[i] & (BH_MARK_NO_PORTS | BH_MARK_FRAGMENT)) == 0)) != 0;
}

static BH_ALWAYS_INLINE bool
has_tcp(const struct bh_batch *b, uint32_t i)
{
    return (has_ports(b, i) & (b->proto[i] == BH_PROTO_TCP)) != 0;
}

/* What a frame is that was not decoded is known only when it is known to be something else. */
static BH_ALWAYS_INLINE bool
kind_known(const struct bh_batch *b, uint32_t i)
{
    return ((b->kind[i] != BH_KIND_NONE) | (b->reason[i] == BH_REASON_NOT_IP)) != 0;
}

static void
kind_rows(const struct node *n, const struct bh_batch *b, uint8_t *restrict out)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        out[i] = pick(kind_known(b, i), b->kind[i] == n->a);
    }
}

static void
proto_rows(const struct node *n, const struct bh_batch *b, uint8_t *restrict out)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        /* Behind a broken chain of extension headers nobody knows what the packet carries. */
        bool lost = (b->kind[i] == BH_KIND_IP6) & (b->reason[i] == BH_REASON_IP6_EXTENSION);
        out[i] = pick(kind_known(b, i) & !lost, is_ip(b, i) & (b->proto[i] == n->a));
    }
}

static BH_ALWAYS_INLINE void
net4_ends(const struct node *n, const struct bh_batch *b, uint8_t *restrict out, enum end end)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        bool src = (b->src[i] & n->b) == n->a;
        bool dst = (b->dst[i] & n->b) == n->a;
        out[i] = pick(has_addresses(b, i), (b->kind[i] != BH_KIND_IP6) & at_ends(end, src, dst));
    }
}

static void
net4_rows(const struct node *n, const struct bh_batch *b, uint8_t *restrict out)
{
    switch (n->end) {
    case END_SRC:
        net4_ends(n, b, out, END_SRC);
        break;
    case END_DST:
        net4_ends(n, b, out, END_DST);
        break;
    case END_BOTH:
        net4_ends(n, b, out, END_BOTH);
        break;
    default:
        net4_ends(n, b, out, END_EITHER);
        break;
    }
}

static void
net6_rows(const struct node *n, const struct bh_batch *b, uint8_t *restrict out)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        if (b->kind[i] != BH_KIND_IP6) {
            out[i] = pick(has_addresses(b, i), false);
            continue;
        }
        const struct bh_ip6_pair *a = &b->ip6[b->src[i]];
        bool src = (a->src_hi & n->mask_hi) == n->hi && (a->src_lo & n->mask_lo) == n->lo;
        bool dst = (a->dst_hi & n->mask_hi) == n->hi && (a->dst_lo & n->mask_lo) == n->lo;
        out[i] = pick(true, at_ends(n->end, src, dst));
    }
}

static BH_ALWAYS_INLINE void
port_ends(const struct node *n, const struct bh_batch *b, uint8_t *restrict out, enum end end)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        uint32_t s = b->ports[i] >> 16;
        uint32_t d = b->ports[i] & 0xffff;
        bool src = ((s >= n->a) & (s <= n->b)) != 0;
        bool dst = ((d >= n->a) & (d <= n->b)) != 0;
        out[i] = pick(has_ports(b, i), at_ends(end, src, dst));
    }
}

static void
port_rows(const struct node *n, const struct bh_batch *b, uint8_t *restrict out)
{
    switch (n->end) {
    case END_SRC:
        port_ends(n, b, out, END_SRC);
        break;
    case END_DST:
        port_ends(n, b, out, END_DST);
        break;
    case END_BOTH:
        port_ends(n, b, out, END_BOTH);
        break;
    default:
        port_ends(n, b, out, END_EITHER);
        break;
    }
}

/* ---- country and class --------------------------------------------------------------------- */

static uint8_t
verdict_of(const struct bh_filter *f, const struct node *n, uint16_t value)
{
    return value < f->value_count ? n->verdict[value] : (uint8_t)UNKNOWN;
}

/* The answers for one end of all rows. IPv6 rows hold an index where IPv4 rows hold the
 * address; looking the index up first costs less than sorting the rows. */
static void
verdict_end(const struct bh_filter *f, const struct node *n, const struct bh_batch *b, bool of_src,
            uint8_t *restrict out)
{
    uint16_t values[BH_BATCH_ROWS];
    kobold_v4_many(f->countries, of_src ? b->src : b->dst, values, b->rows);
    for (uint32_t i = 0; i < b->rows; i++) {
        uint16_t value = values[i];
        if (b->kind[i] == BH_KIND_IP6) {
            const struct bh_ip6_pair *a = &b->ip6[b->src[i]];
            value = kobold_v6(f->countries, of_src ? a->src_hi : a->dst_hi,
                              of_src ? a->src_lo : a->dst_lo);
        }
        if (b->has_country && of_src == (b->direction[i] != BH_DIR_OUT)) {
            value = b->country[i]; /* of the far end, as it was when the log was written */
        }
        out[i] = has_addresses(b, i) ? verdict_of(f, n, value) : (uint8_t)UNKNOWN;
    }
}

static void
and_rows(uint8_t *restrict left, const uint8_t *restrict right, uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++) {
        left[i] = left[i] < right[i] ? left[i] : right[i];
    }
}

static void
or_rows(uint8_t *restrict left, const uint8_t *restrict right, uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++) {
        left[i] = left[i] > right[i] ? left[i] : right[i];
    }
}

static void
value_rows(const struct bh_filter *f, const struct node *n, const struct bh_batch *b,
           uint8_t *restrict out)
{
    truth dst;
    switch (n->end) {
    case END_SRC:
        verdict_end(f, n, b, true, out);
        break;
    case END_DST:
        verdict_end(f, n, b, false, out);
        break;
    default:
        verdict_end(f, n, b, true, out);
        verdict_end(f, n, b, false, dst);
        if (n->end == END_BOTH) {
            and_rows(out, dst, b->rows);
        } else {
            or_rows(out, dst, b->rows);
        }
        break;
    }
}

/* ---- autonomous systems ----------------------------------------------------------------------- */

static bool
is_of_system(const struct bh_filter *f, const struct node *n, const struct bh_batch *b, uint32_t i,
             bool of_src)
{
    uint32_t asn;
    if (b->kind[i] == BH_KIND_IP6) {
        const struct bh_ip6_pair *a = &b->ip6[b->src[i]];
        asn = kobold_as_v6(f->countries, of_src ? a->src_hi : a->dst_hi,
                           of_src ? a->src_lo : a->dst_lo);
    } else {
        asn = kobold_as_v4(f->countries, of_src ? b->src[i] : b->dst[i]);
    }
    return asn == n->a && asn != 0;
}

static void
as_rows(const struct bh_filter *f, const struct node *n, const struct bh_batch *b,
        uint8_t *restrict out)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        bool known = has_addresses(b, i);
        bool src = known && n->end != END_DST && is_of_system(f, n, b, i, true);
        bool dst = known && n->end != END_SRC && is_of_system(f, n, b, i, false);
        out[i] = pick(known, at_ends(n->end, src, dst));
    }
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void
flags_rows(const struct node *n, const struct bh_batch *b, uint8_t *restrict out)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        bool known = (has_tcp(b, i) & ((b->marks[i] & BH_MARK_NO_FLAGS) == 0)) != 0;
        out[i] = pick(known, (b->tcp_flags[i] & n->b) == n->a);
    }
}

static void
verdict_column_rows(const struct node *n, const uint8_t *column, bool zero_is_unknown,
                    uint32_t rows, uint8_t *restrict out)
{
    for (uint32_t i = 0; i < rows; i++) {
        out[i] = pick(!zero_is_unknown | (column[i] != 0), column[i] == n->a);
    }
}

static bool
compare(enum compare c, uint32_t x, uint32_t y)
{
    switch (c) {
    case CMP_EQ:
        return x == y;
    case CMP_NE:
        return x != y;
    case CMP_LT:
        return x < y;
    case CMP_LE:
        return x <= y;
    case CMP_GT:
        return x > y;
    default:
        return x >= y;
    }
}

/* False: the record does not have the field. */
static bool
number_of(enum number field, const struct bh_batch *b, uint32_t i, uint32_t *ret)
{
    bool cold = (b->want & BH_WANT_COLD) != 0;
    switch (field) {
    case NUMBER_LEN:
        *ret = b->ip_len[i];
        return is_ip(b, i) && b->ip_len[i] != 0;
    case NUMBER_TTL:
        *ret = b->ttl[i];
        return cold && is_ip(b, i);
    case NUMBER_WINDOW:
        *ret = b->tcp_window[i];
        return cold && (b->lacks & BH_LACK_WINDOW) == 0 && has_tcp(b, i);
    case NUMBER_IPID:
        *ret = b->ip_id[i];
        return cold && (b->lacks & BH_LACK_IP_ID) == 0 && b->kind[i] == BH_KIND_IP4;
    default:
        *ret = b->vlan[i] - 1U;
        return cold && b->vlan[i] != 0;
    }
}

static void
number_rows(const struct node *n, const struct bh_batch *b, uint8_t *restrict out)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        uint32_t v = 0;
        bool known = number_of(n->number, b, i, &v);
        out[i] = pick(known, compare(n->compare, v, n->a));
    }
}

static void
tagged_rows(const struct bh_batch *b, uint8_t *restrict out)
{
    bool known = (b->want & BH_WANT_COLD) != 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        out[i] = pick(known, b->vlan[i] != 0);
    }
}

/* Rows of one sensor mostly stand side by side: a name is compared where the sensor changes. */
static void
sensor_rows(const struct node *n, const struct bh_batch *b, uint8_t *restrict out)
{
    const char *wanted = n->text + n->name_at;
    bool is_it = false;
    if (b->sensor_names == NULL) {
        memset(out, UNKNOWN, b->rows);
        return;
    }
    for (uint32_t i = 0; i < b->rows; i++) {
        if (i == 0 || b->sensor[i] != b->sensor[i - 1]) {
            is_it = strcmp(b->sensor_names[b->sensor[i]], wanted) == 0;
        }
        out[i] = pick(true, is_it);
    }
}

static void
leaf_rows(const struct bh_filter *f, const struct node *n, const struct bh_batch *b,
          uint8_t *restrict out)
{
    switch (n->op) {
    case OP_KIND:
        kind_rows(n, b, out);
        break;
    case OP_PROTO:
        proto_rows(n, b, out);
        break;
    case OP_NET4:
        net4_rows(n, b, out);
        break;
    case OP_NET6:
        net6_rows(n, b, out);
        break;
    case OP_PORT:
        port_rows(n, b, out);
        break;
    case OP_VALUE:
        value_rows(f, n, b, out);
        break;
    case OP_AS:
        as_rows(f, n, b, out);
        break;
    case OP_FLAGS:
        flags_rows(n, b, out);
        break;
    case OP_OUTCOME:
        verdict_column_rows(n, b->outcome, true, b->rows, out);
        break;
    case OP_CLASS:
        verdict_column_rows(n, b->cls, false, b->rows, out);
        break;
    case OP_DIRECTION:
        verdict_column_rows(n, b->direction, true, b->rows, out);
        break;
    case OP_TAGGED:
        tagged_rows(b, out);
        break;
    case OP_NUMBER:
        number_rows(n, b, out);
        break;
    case OP_SENSOR:
        sensor_rows(n, b, out);
        break;
    default: /* OP_ABSENT */
        memset(out, UNKNOWN, b->rows);
        break;
    }
}

const char *
bh_filter_sensor(const struct bh_filter *f, size_t index)
{
    for (uint32_t k = 0; f != NULL && k < f->count; k++) {
        if (f->nodes[k].op == OP_SENSOR && index-- == 0) {
            return f->nodes[k].text + f->nodes[k].name_at;
        }
    }
    return NULL;
}

/* The verdicts on all rows end up in stack[0]. */
static void
evaluate(const struct bh_filter *f, const struct bh_batch *b, truth *stack)
{
    uint32_t depth = 0;
    for (uint32_t k = 0; k < f->count; k++) {
        const struct node *n = &f->nodes[k];
        if (n->op == OP_AND || n->op == OP_OR) {
            depth--;
            (n->op == OP_AND ? and_rows : or_rows)(stack[depth - 1], stack[depth], b->rows);
        } else if (n->op == OP_NOT) {
            for (uint32_t i = 0; i < b->rows; i++) {
                stack[depth - 1][i] = (uint8_t)(YES - stack[depth - 1][i]);
            }
        } else {
            leaf_rows(f, n, b, stack[depth++]);
        }
    }
}

uint32_t
bh_filter_batch(const struct bh_filter *f, const struct bh_batch *b, uint8_t *ret_selected)
{
    truth stack[FILTER_DEPTH_MAX]; /* the parser bounds the depth */
    if (f == NULL) {
        memset(ret_selected, 1, b->rows);
        return 0;
    }
    evaluate(f, b, stack);
    uint32_t unknown = 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        ret_selected[i] = stack[0][i] == YES;
        unknown += stack[0][i] == UNKNOWN;
    }
    return unknown;
}

uint32_t
bh_filter_narrow(const struct bh_filter *f, struct bh_batch *b)
{
    truth stack[FILTER_DEPTH_MAX];
    if (f == NULL) {
        return 0;
    }
    evaluate(f, b, stack);
    uint32_t unknown = 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        unknown += (uint32_t)(stack[0][i] == UNKNOWN) & b->counted[i];
        b->counted[i] &= (uint8_t)(stack[0][i] == YES);
    }
    return unknown;
}

uint64_t
bh_filter_narrow_sums(const struct bh_filter *f, struct bh_batch *b)
{
    truth stack[FILTER_DEPTH_MAX];
    uint64_t unknown = 0;
    if (f == NULL) {
        return 0;
    }
    evaluate(f, b, stack);
    for (uint32_t i = 0; i < b->rows; i++) {
        unknown += stack[0][i] == UNKNOWN && b->counted[i] != 0 ? b->weight[i] : 0;
        b->counted[i] &= (uint8_t)(stack[0][i] == YES);
    }
    return unknown;
}
