/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Filter words in the socket filter: which packets no output can ask for, and which somebody asks for whole.
 *
 * The tests are those of the filters, as far as IP addresses, the protocol and ports go; whatever else a filter asks is taken
 * to hold (BH_LIVE_TEST_ANY). So a packet that is left out is one that no filter selects.
 *
 * Nor may it be one on which the verdict of another packet hangs. That is why the question is asked for both directions
 * of a packet: if either could be selected, the whole conversation passes. It is asked once more for an ICMP error
 * about it, which goes to one of its ends and may come from anybody: what class that has hangs on the conversation. (So `host A`
 * alone leaves nothing out, as A may be a router that tells of others; `tcp and host A` does.) It is asked of TCP and UDP
 * only. ICMP (errors refuse connections), fragments, and what goes to many at once (it excuses answers) always pass, and so
 * does whatever this code does not follow: other protocols, extension headers, a version that is none.
 *
 * What is kept whole is asked for the packet alone, by the filters of the outputs that take frames.
 */
#include "program_priv.h"

/* What is known of a packet where a test is asked. */
enum known {
    IP4_PORTS,
    IP4_NO_PORTS,
    IP6_PORTS,
    IP6_NO_PORTS,
    IP4_ERROR, /* an ICMP error, of whomever, to one end of this packet's conversation */
    IP6_ERROR,
    OTHER
};
enum truth { NEVER, ALWAYS, DEPENDS };
enum { TESTS_MAX = 256, NO_PORT = 0x10000 };
enum { IP4_SOURCE = 12, IP4_DESTINATION = 16, IP6_SOURCE = 8, IP6_DESTINATION = 24 };

/* ---- what needs no packet to be known ----------------------------------------------------------------- */

static enum truth
unless(enum truth t, bool negated)
{
    return !negated || t == DEPENDS ? t : t == ALWAYS ? NEVER : ALWAYS;
}

static enum truth
fold_error(const struct bh_live_test *t)
{
    switch (t->type) {
    case BH_LIVE_TEST_PORT:
        return NEVER;
    case BH_LIVE_TEST_PROTO:
        return t->a == 1 || t->a == 58 ? ALWAYS : unless(NEVER, t->negated);
    default: /* its sender is not known */
        return t->end == BH_LIVE_END_SOURCE || (t->end == BH_LIVE_END_EITHER && !t->negated) ||
                       (t->end == BH_LIVE_END_BOTH && t->negated)
                   ? ALWAYS
                   : DEPENDS;
    }
}

/* A test on a field that is absent selects nothing, and neither does its opposite. */
static enum truth
fold_leaf(const struct bh_live_test *t, enum known known)
{
    const bool error = known == IP4_ERROR || known == IP6_ERROR;
    const unsigned family =
        known == IP6_PORTS || known == IP6_NO_PORTS || known == IP6_ERROR ? 6 : 4;
    if (known == OTHER || t->type == BH_LIVE_TEST_ANY) {
        return ALWAYS; /* nobody here looks what it is */
    }
    switch (t->type) {
    case BH_LIVE_TEST_PORT:
        return error || known == IP4_NO_PORTS || known == IP6_NO_PORTS ? NEVER : DEPENDS;
    case BH_LIVE_TEST_KIND:
        return unless(t->a == family ? ALWAYS : NEVER, t->negated);
    case BH_LIVE_TEST_NET4:
    case BH_LIVE_TEST_NET6:
        if (family != (t->type == BH_LIVE_TEST_NET4 ? 4U : 6U)) {
            return unless(NEVER, t->negated);
        }
        return error ? fold_error(t) : DEPENDS;
    default:
        return error ? fold_error(t) : DEPENDS;
    }
}

static enum truth
join(const struct bh_live_test *t, enum truth left, enum truth right)
{
    const enum truth decides = t->type == BH_LIVE_TEST_AND ? NEVER : ALWAYS;
    const enum truth yields = decides == NEVER ? ALWAYS : NEVER;
    return left == decides || right == decides ? decides
           : left == yields                    ? right
           : right == yields                   ? left
                                               : DEPENDS;
}

/* Tests in postfix order; `ret_left`: of each operator the index of its left operand (the right one stands before it). */
static enum truth
fold(const struct bh_live_test *t, unsigned count, enum known known,
     enum truth ret_truth[TESTS_MAX], unsigned ret_left[TESTS_MAX])
{
    unsigned stack[TESTS_MAX], depth = 0;
    for (unsigned k = 0; k < count; k++) {
        if (t[k].type == BH_LIVE_TEST_AND || t[k].type == BH_LIVE_TEST_OR) {
            const unsigned right = stack[--depth];
            ret_left[k] = stack[--depth];
            ret_truth[k] = join(&t[k], ret_truth[ret_left[k]], ret_truth[right]);
        } else {
            ret_truth[k] = fold_leaf(&t[k], known);
        }
        stack[depth++] = k;
    }
    return ret_truth[count - 1];
}

/* Each operator has its two operands, and one value is left. */
static bool
is_well_formed(const struct bh_live_test *t, unsigned count)
{
    unsigned depth = 0;
    for (unsigned k = 0; k < count; k++) {
        const bool joins = t[k].type == BH_LIVE_TEST_AND || t[k].type == BH_LIVE_TEST_OR;
        if (joins && depth < 2) {
            return false;
        }
        depth = joins ? depth - 1 : depth + 1;
    }
    return count <= TESTS_MAX && depth == 1;
}

/* ---- one test ------------------------------------------------------------------------------------------- */

struct asked {
    const struct bh_live_test *tests;
    enum known known;
    bool turned; /* of the packet the other way round */
    enum truth truth[TESTS_MAX];
    unsigned left[TESTS_MAX];
};

/* One end of it. Falls through when it does not hold. */
static void
test_end(struct code *c, const struct asked *q, const struct bh_live_test *t, bool source,
         unsigned yes)
{
    const bool first = source != q->turned;
    const unsigned no = bpf_label(c);
    switch (t->type) {
    case BH_LIVE_TEST_NET4:
        bpf_op(c, BPF_LD | BPF_W | BPF_IND, first ? IP4_SOURCE : IP4_DESTINATION);
        bpf_op(c, BPF_ALU | BPF_AND | BPF_K, t->b);
        bpf_go_if(c, BPF_JEQ | BPF_K, t->a, yes);
        break;
    case BH_LIVE_TEST_NET6: {
        const uint32_t words[4][2] = { { (uint32_t)(t->hi >> 32), (uint32_t)(t->mask_hi >> 32) },
                                       { (uint32_t)t->hi, (uint32_t)t->mask_hi },
                                       { (uint32_t)(t->lo >> 32), (uint32_t)(t->mask_lo >> 32) },
                                       { (uint32_t)t->lo, (uint32_t)t->mask_lo } };
        for (unsigned k = 0; k < 4; k++) {
            if (words[k][1] != 0) {
                bpf_op(c, BPF_LD | BPF_W | BPF_IND, (first ? IP6_SOURCE : IP6_DESTINATION) + 4 * k);
                bpf_op(c, BPF_ALU | BPF_AND | BPF_K, words[k][1]);
                bpf_go_unless(c, BPF_JEQ | BPF_K, words[k][0], no);
            }
        }
        bpf_go(c, yes);
        break;
    }
    default: /* PORT */
        bpf_op(c, BPF_LD | BPF_MEM, first ? CELL_SOURCE : CELL_DESTINATION);
        bpf_go_unless(c, BPF_JGE | BPF_K, t->a, no);
        bpf_go_if(c, BPF_JGT | BPF_K, t->b, no);
        bpf_go(c, yes);
        break;
    }
    bpf_place(c, no);
}

static void
test_leaf(struct code *c, const struct asked *q, const struct bh_live_test *t, unsigned yes,
          unsigned no)
{
    if (t->negated) {
        const unsigned turn = yes;
        yes = no;
        no = turn;
    }
    if (q->known == IP4_ERROR || q->known == IP6_ERROR) {
        test_end(c, q, t, false, yes);
    } else if (t->type == BH_LIVE_TEST_PROTO) {
        bpf_op(c, BPF_LD | BPF_MEM, CELL_PROTO);
        bpf_go_if(c, BPF_JEQ | BPF_K, t->a, yes);
    } else if (t->end == BH_LIVE_END_BOTH) {
        const unsigned half = bpf_label(c);
        test_end(c, q, t, true, half);
        bpf_go(c, no);
        bpf_place(c, half);
        test_end(c, q, t, false, yes);
    } else {
        if (t->end != BH_LIVE_END_DESTINATION) {
            test_end(c, q, t, true, yes);
        }
        if (t->end != BH_LIVE_END_SOURCE) {
            test_end(c, q, t, false, yes);
        }
    }
    bpf_go(c, no);
}

/* ---- all of them ---------------------------------------------------------------------------------------------- */

/* Goes to `yes` or `no`. Operators wait for their turn on a stack: the tests may lean to the left as far as they like. */
static void
ask(struct code *c, const struct asked *q, unsigned count, unsigned yes, unsigned no)
{
    struct {
        unsigned at, yes, no, before; /* before: label of the place where it begins */
        bool placed;
    } wait[TESTS_MAX];
    unsigned depth = 0;
    wait[depth++] = (__typeof__(wait[0])){ count - 1, yes, no, 0, false };
    while (depth > 0 && !c->full) {
        const __typeof__(wait[0]) w = wait[--depth];
        const struct bh_live_test *t = &q->tests[w.at];
        if (w.placed) {
            bpf_place(c, w.before);
        }
        if (q->truth[w.at] != DEPENDS) {
            bpf_go(c, q->truth[w.at] == ALWAYS ? w.yes : w.no);
        } else if (t->type == BH_LIVE_TEST_AND || t->type == BH_LIVE_TEST_OR) {
            const unsigned then = bpf_label(c);
            const bool both = t->type == BH_LIVE_TEST_AND;
            wait[depth++] = (__typeof__(wait[0])){ w.at - 1, w.yes, w.no, then, true };
            wait[depth++] = (__typeof__(wait[0])){ q->left[w.at], both ? then : w.yes,
                                                   both ? w.no : then, 0, false };
        } else {
            test_leaf(c, q, t, w.yes, w.no);
        }
    }
}

static void
ask_of(struct code *c, const struct bh_live_tests *tests, enum known known, bool turned,
       unsigned yes, unsigned no)
{
    struct asked q = { .tests = tests->test, .known = known, .turned = turned };
    const enum truth all = fold(tests->test, tests->count, known, q.truth, q.left);
    if (all == DEPENDS) {
        ask(c, &q, tests->count, yes, no);
    } else {
        bpf_go(c, all == ALWAYS ? yes : no);
    }
}

/* ---- the choice ------------------------------------------------------------------------------------------------- */

static bool
has_tests(const struct bh_live_tests *t)
{
    return t->count > 0 && is_well_formed(t->test, t->count);
}

bool
choose_other_whole(const struct bh_live_choice *choice)
{
    enum truth truth[TESTS_MAX];
    unsigned left[TESTS_MAX];
    if (choice == NULL || choice->whole_all) {
        return choice != NULL;
    }
    return has_tests(&choice->whole) &&
           fold(choice->whole.test, choice->whole.count, OTHER, truth, left) != NEVER;
}

bool
choose_drops(const struct bh_live_choice *choice)
{
    enum truth truth[TESTS_MAX];
    unsigned left[TESTS_MAX];
    const struct bh_live_tests *k = &choice->keep;
    return has_tests(k) && ((fold(k->test, k->count, IP4_PORTS, truth, left) != ALWAYS &&
                             fold(k->test, k->count, IP4_ERROR, truth, left) != ALWAYS) ||
                            (fold(k->test, k->count, IP6_PORTS, truth, left) != ALWAYS &&
                             fold(k->test, k->count, IP6_ERROR, truth, left) != ALWAYS));
}

/* A: the protocol. Cells for both ports, which are none so far, and for where IP begins. */
static void
begin_ports(struct code *c)
{
    bpf_op(c, BPF_ST, CELL_PROTO);
    bpf_op(c, BPF_LD | BPF_IMM, NO_PORT);
    bpf_op(c, BPF_ST, CELL_SOURCE);
    bpf_op(c, BPF_ST, CELL_DESTINATION);
    bpf_op(c, BPF_MISC | BPF_TXA, 0);
    bpf_op(c, BPF_ST, CELL_IP);
}

/* Unless the protocol has ports, to `none`. */
static void
look_for_ports(struct code *c, unsigned none)
{
    const unsigned has = bpf_label(c);
    bpf_op(c, BPF_LD | BPF_MEM, CELL_PROTO);
    bpf_go_if(c, BPF_JEQ | BPF_K, 6, has);
    bpf_go_unless(c, BPF_JEQ | BPF_K, 17, none);
    bpf_place(c, has);
}

/* X: behind IP. */
static void
load_ports(struct code *c)
{
    bpf_need(c, 4);
    bpf_load16(c, 0);
    bpf_op(c, BPF_ST, CELL_SOURCE);
    bpf_load16(c, 2);
    bpf_op(c, BPF_ST, CELL_DESTINATION);
}

/* Drops it, or falls through. */
static void
emit_keep(struct code *c, enum known known)
{
    const enum known error = known == IP4_PORTS ? IP4_ERROR : IP6_ERROR;
    const enum known asks[] = { known, known, error, error };
    const unsigned selected = bpf_label(c);
    if (!has_tests(&c->choice->keep)) {
        return;
    }
    bpf_op(c, BPF_LD | BPF_MEM, CELL_SOURCE);
    bpf_go_if(c, BPF_JEQ | BPF_K, NO_PORT, selected);
    bpf_op(c, BPF_LD | BPF_MEM, CELL_GROUP);
    bpf_go_unless(c, BPF_JEQ | BPF_K, 0, selected);
    if (known == IP4_PORTS) {
        bpf_op(c, BPF_LD | BPF_W | BPF_IND, IP4_DESTINATION);
        bpf_go_if(c, BPF_JGE | BPF_K, 0xe0000000, selected);
        bpf_load16(c, 6);
        bpf_go_if(c, BPF_JSET | BPF_K, 0x3fff, selected); /* a first fragment, too */
    } else {
        bpf_load8(c, IP6_DESTINATION);
        bpf_go_if(c, BPF_JEQ | BPF_K, 0xff, selected);
    }
    for (unsigned k = 0; k < BH_COUNT(asks); k++) { /* each as it is, and turned */
        const unsigned next = bpf_label(c);
        ask_of(c, &c->choice->keep, asks[k], k % 2 == 1, selected, next);
        bpf_place(c, next);
    }
    bpf_op(c, BPF_RET | BPF_K, 0);
    bpf_place(c, selected);
}

/* Ends with all of it, or falls through. */
static void
emit_whole(struct code *c, enum known known)
{
    const unsigned whole = bpf_label(c), headers = bpf_label(c), none = bpf_label(c);
    if (c->choice->whole_all) {
        bpf_op(c, BPF_RET | BPF_K, BH_LIVE_SNAP);
        return;
    }
    if (!has_tests(&c->choice->whole)) {
        return;
    }
    bpf_op(c, BPF_LD | BPF_MEM, CELL_SOURCE);
    bpf_go_if(c, BPF_JEQ | BPF_K, NO_PORT, none);
    ask_of(c, &c->choice->whole, known, false, whole, headers);
    bpf_place(c, none);
    if (known == IP4_PORTS) {
        ask_of(c, &c->choice->whole, IP4_NO_PORTS, false, whole, headers);
    } else { /* extension headers may lead to ports */
        const unsigned icmp = bpf_label(c);
        bpf_op(c, BPF_LD | BPF_MEM, CELL_PROTO);
        bpf_go_if(c, BPF_JEQ | BPF_K, 58, icmp);
        ask_of(c, &c->choice->whole, OTHER, false, whole, headers);
        bpf_place(c, icmp);
        ask_of(c, &c->choice->whole, IP6_NO_PORTS, false, whole, headers);
    }
    bpf_place(c, whole);
    bpf_op(c, BPF_RET | BPF_K, BH_LIVE_SNAP);
    bpf_place(c, headers);
}

/* What `other` names is not looked at further. */
static void
end_choice(struct code *c, unsigned other)
{
    const unsigned on = bpf_label(c);
    bpf_go(c, on);
    bpf_place(c, other);
    if (c->other_whole) {
        bpf_op(c, BPF_RET | BPF_K, BH_LIVE_SNAP);
    }
    bpf_place(c, on);
}

static bool
has_choice(const struct code *c)
{
    return c->choice != NULL &&
           (c->choice->whole_all || has_tests(&c->choice->keep) || has_tests(&c->choice->whole));
}

void
choose_ip4(struct code *c)
{
    const unsigned other = bpf_label(c), found = bpf_label(c);
    if (!has_choice(c)) {
        return;
    }
    bpf_need(c, 20);
    bpf_load8(c, 0);
    bpf_go_if(c, BPF_JGE | BPF_K, 0x50, other);
    bpf_go_unless(c, BPF_JGE | BPF_K, 0x45, other);
    bpf_load8(c, 9);
    begin_ports(c);
    bpf_load16(c, 6);
    bpf_go_if(c, BPF_JSET | BPF_K, 0x1fff, found);
    look_for_ports(c, found);
    bpf_load8(c, 0);
    bpf_op(c, BPF_ALU | BPF_AND | BPF_K, 15);
    bpf_op(c, BPF_ALU | BPF_LSH | BPF_K, 2);
    bpf_advance(c);
    load_ports(c);
    bpf_place(c, found);
    bpf_op(c, BPF_LDX | BPF_MEM, CELL_IP);
    emit_keep(c, IP4_PORTS);
    emit_whole(c, IP4_PORTS);
    end_choice(c, other);
}

void
choose_ip6(struct code *c)
{
    const unsigned found = bpf_label(c), other = bpf_label(c);
    if (!has_choice(c)) {
        return;
    }
    bpf_need(c, 40);
    bpf_load8(c, 0);
    bpf_go_unless(c, BPF_JGE | BPF_K, 0x60, other);
    bpf_go_if(c, BPF_JGE | BPF_K, 0x70, other);
    bpf_load8(c, 6);
    begin_ports(c);
    look_for_ports(c, found);
    bpf_advance_by(c, 40);
    load_ports(c);
    bpf_place(c, found);
    bpf_op(c, BPF_LDX | BPF_MEM, CELL_IP);
    emit_keep(c, IP6_PORTS);
    emit_whole(c, IP6_PORTS);
    end_choice(c, other);
}
