/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The socket filter: how many octets of a frame are headers.
 *
 * Classic BPF has an accumulator A, an index X, sixteen cells M[], jumps forward only, and one trap: a load
 * beyond the end of the packet ends the program with "drop". So every load is preceded by a look at the
 * length; a packet that ends inside a header is all header.
 *
 * X is the offset of the header at hand from one block of code to the next. There are no loops: tags and
 * extension headers are unrolled, and IP inside IP is the same code once more. What is left to chance is
 * which headers are seen, never whether payload is: where the chain is longer than the code, the answer
 * is the offset that was reached.
 *
 * Sources: RFC 791, 792, 8200, 4443, 9293, 768, 2784, 2516, 3032; IEEE 802.1Q; linux/filter.h.
 */
#include "bh_live.h"

#include <assert.h>
#include <linux/filter.h>
#include <linux/if_arp.h>
#include <linux/if_packet.h>

_Static_assert(sizeof(struct bh_live_instruction) == sizeof(struct sock_filter), "the same thing");

enum { TAGS_MAX = 2, LABELS_MAX = 4, EXTENSIONS_MAX = 6, DEPTH_MAX = 1 };
enum { CELL_NEXT, CELL_TYPE };
enum { LABELS = 256 };

struct code {
    struct bh_live_instruction *at;
    unsigned count;
    /* Jumps to places further on: by label, resolved when the place is known. */
    unsigned label_count;
    struct jump {
        unsigned where, label;
        bool near; /* the place of a comparison that holds, else of a JA */
    } jump[768];
    unsigned jumps;
    uint16_t place[LABELS];
    unsigned ip4[DEPTH_MAX + 1], ip6[DEPTH_MAX + 1]; /* labels: IP, and IP inside of it */
};

static void
op(struct code *c, uint16_t code, uint32_t k)
{
    assert(c->count < BH_LIVE_PROGRAM_MAX);
    c->at[c->count++] = (struct bh_live_instruction){ .code = code, .k = k };
}

static unsigned
label(struct code *c)
{
    assert(c->label_count < LABELS);
    return c->label_count++;
}

static void
place(struct code *c, unsigned l)
{
    c->place[l] = (uint16_t)c->count;
}

static void
note(struct code *c, unsigned l, bool near)
{
    assert(c->jumps < BH_COUNT(c->jump));
    c->jump[c->jumps++] = (struct jump){ c->count - 1, l, near };
}

static void
go(struct code *c, unsigned to)
{
    op(c, BPF_JMP | BPF_JA, 0);
    note(c, to, false);
}

/* If the test of A holds, to `to`, which may be far: over a long jump. */
static void
go_if(struct code *c, uint16_t test, uint32_t k, unsigned to)
{
    op(c, (uint16_t)(BPF_JMP | test), k);
    c->at[c->count - 1].jf = 1;
    go(c, to);
}

/* The same, to a place at most 255 instructions on. */
static void
near_if(struct code *c, uint16_t test, uint32_t k, unsigned to)
{
    op(c, (uint16_t)(BPF_JMP | test), k);
    note(c, to, true);
}

static void
go_unless(struct code *c, uint16_t test, uint32_t k, unsigned to)
{
    op(c, (uint16_t)(BPF_JMP | test), k);
    c->at[c->count - 1].jt = 1;
    go(c, to);
}

static void
resolve(struct code *c)
{
    for (unsigned k = 0; k < c->jumps; k++) {
        const struct jump *j = &c->jump[k];
        const unsigned by = c->place[j->label] - j->where - 1;
        assert(!j->near || by <= UINT8_MAX);
        if (j->near) {
            c->at[j->where].jt = (uint8_t)by;
        } else {
            c->at[j->where].k = by;
        }
    }
}

/* From X on there must be `n` octets; else all of the packet is header. Leaves A changed. */
static void
need(struct code *c, uint32_t n)
{
    op(c, BPF_LD | BPF_W | BPF_LEN, 0);
    op(c, BPF_JMP | BPF_JGE | BPF_X, 0);
    c->at[c->count - 1].jf = 2;
    op(c, BPF_ALU | BPF_SUB | BPF_X, 0);
    op(c, BPF_JMP | BPF_JGE | BPF_K, n);
    c->at[c->count - 1].jt = 2;
    op(c, BPF_LD | BPF_W | BPF_LEN, 0);
    op(c, BPF_RET | BPF_A, 0);
}

static void
load8(struct code *c, uint32_t at)
{
    op(c, BPF_LD | BPF_B | BPF_IND, at);
}

static void
load16(struct code *c, uint32_t at)
{
    op(c, BPF_LD | BPF_H | BPF_IND, at);
}

/* X += A */
static void
advance(struct code *c)
{
    op(c, BPF_ALU | BPF_ADD | BPF_X, 0);
    op(c, BPF_MISC | BPF_TAX, 0);
}

static void
advance_by(struct code *c, uint32_t n)
{
    op(c, BPF_LD | BPF_IMM, n);
    advance(c);
}

/* The answer: X + A. */
static void
answer(struct code *c)
{
    op(c, BPF_ALU | BPF_ADD | BPF_X, 0);
    op(c, BPF_RET | BPF_A, 0);
}

static void
answer_plus(struct code *c, uint32_t n)
{
    op(c, BPF_LD | BPF_IMM, n);
    answer(c);
}

/* ---- transport ---------------------------------------------------------------------------------------- */

static void
emit_tcp(struct code *c)
{
    const unsigned least = label(c);
    need(c, 13);
    load8(c, 12);
    op(c, BPF_ALU | BPF_RSH | BPF_K, 4);
    op(c, BPF_ALU | BPF_LSH | BPF_K, 2);
    go_unless(c, BPF_JGE | BPF_K, 20, least);
    answer(c);
    place(c, least);
    answer_plus(c, 20);
}

/* Errors quote a packet: its IP header and ports. */
static void
emit_icmp(struct code *c, bool v6)
{
    const unsigned plain = label(c), quotes = label(c);
    static const uint8_t types[2][5] = { { 3, 4, 5, 11, 12 }, { 1, 2, 3, 4, 4 } };
    need(c, 9);
    load8(c, 0);
    for (unsigned k = 0; k < 5; k++) {
        near_if(c, BPF_JEQ | BPF_K, types[v6][k], quotes);
    }
    go(c, plain);
    place(c, quotes);
    if (v6) {
        answer_plus(c, 8 + 40 + 4);
    } else {
        load8(c, 8);
        op(c, BPF_ALU | BPF_AND | BPF_K, 15);
        op(c, BPF_ALU | BPF_LSH | BPF_K, 2);
        op(c, BPF_ALU | BPF_ADD | BPF_K, 8 + 4);
        answer(c);
    }
    place(c, plain);
    answer_plus(c, 8);
}

/* RFC 2784, 2890: only without checksum, key and number; with them, the four octets alone. */
static void
emit_gre(struct code *c, unsigned depth)
{
    const unsigned ip4 = label(c), ip6 = label(c), plain = label(c);
    need(c, 4);
    load16(c, 0);
    go_unless(c, BPF_JEQ | BPF_K, 0, plain);
    load16(c, 2);
    near_if(c, BPF_JEQ | BPF_K, 0x0800, ip4);
    near_if(c, BPF_JEQ | BPF_K, 0x86dd, ip6);
    place(c, plain);
    answer_plus(c, 4);
    place(c, ip4);
    advance_by(c, 4);
    go(c, c->ip4[depth + 1]);
    place(c, ip6);
    advance_by(c, 4);
    go(c, c->ip6[depth + 1]);
}

/* A: the protocol, X: behind the header of IP. */
static void
emit_transport(struct code *c, unsigned depth)
{
    const unsigned tcp = label(c), udp = label(c), icmp = label(c), icmp6 = label(c);
    const unsigned gre = label(c);
    go_if(c, BPF_JEQ | BPF_K, 6, tcp);
    go_if(c, BPF_JEQ | BPF_K, 17, udp);
    go_if(c, BPF_JEQ | BPF_K, 1, icmp);
    go_if(c, BPF_JEQ | BPF_K, 58, icmp6);
    if (depth < DEPTH_MAX) {
        go_if(c, BPF_JEQ | BPF_K, 4, c->ip4[depth + 1]);
        go_if(c, BPF_JEQ | BPF_K, 41, c->ip6[depth + 1]);
        go_if(c, BPF_JEQ | BPF_K, 47, gre);
    }
    answer_plus(c, 0);
    place(c, tcp);
    emit_tcp(c);
    place(c, udp);
    answer_plus(c, 8);
    place(c, icmp);
    emit_icmp(c, false);
    place(c, icmp6);
    emit_icmp(c, true);
    if (depth < DEPTH_MAX) {
        place(c, gre);
        emit_gre(c, depth);
    }
}

/* ---- IP -------------------------------------------------------------------------------------------------- */

static void
emit_ip4(struct code *c, unsigned depth)
{
    const unsigned first = label(c), good = label(c), bad = label(c);
    need(c, 20);
    load8(c, 9);
    op(c, BPF_ST, CELL_NEXT);
    load16(c, 6);
    go_unless(c, BPF_JSET | BPF_K, 0x1fff, first);
    op(c, BPF_LD | BPF_IMM,
       255); /* a later fragment has no headers: a number that is none of them */
    op(c, BPF_ST, CELL_NEXT);
    place(c, first);
    load8(c, 0);
    near_if(c, BPF_JGE | BPF_K, 0x50, bad); /* no IPv4 after all */
    op(c, BPF_ALU | BPF_AND | BPF_K, 15);
    op(c, BPF_ALU | BPF_LSH | BPF_K, 2);
    near_if(c, BPF_JGE | BPF_K, 20, good);
    place(c, bad);
    answer_plus(c, 20);
    place(c, good);
    advance(c);
    op(c, BPF_LD | BPF_MEM, CELL_NEXT);
    emit_transport(c, depth);
}

/* One extension header, when CELL_NEXT is one. Falls through with X and CELL_NEXT moved on. */
static void
emit_extension(struct code *c, unsigned transport)
{
    static const uint8_t plain[] = { 0, 43, 60, 139, 140 };
    const unsigned eights = label(c), fours = label(c), fragment = label(c), later = label(c),
                   next = label(c);
    op(c, BPF_LD | BPF_MEM, CELL_NEXT);
    for (size_t k = 0; k < sizeof plain; k++) {
        near_if(c, BPF_JEQ | BPF_K, plain[k], eights);
    }
    near_if(c, BPF_JEQ | BPF_K, 51, fours);
    near_if(c, BPF_JEQ | BPF_K, 44, fragment);
    go(c, transport);
    place(c, fragment);
    need(c, 8);
    load16(c, 2);
    near_if(c, BPF_JSET | BPF_K, 0xfff8, later);
    load8(c, 0);
    op(c, BPF_ST, CELL_NEXT);
    op(c, BPF_LD | BPF_IMM, 8);
    go(c, next);
    place(c, later);
    answer_plus(c, 8);
    place(c, fours);
    need(c, 8);
    load8(c, 0);
    op(c, BPF_ST, CELL_NEXT);
    load8(c, 1);
    op(c, BPF_ALU | BPF_ADD | BPF_K, 2);
    op(c, BPF_ALU | BPF_LSH | BPF_K, 2);
    go(c, next);
    place(c, eights);
    need(c, 8);
    load8(c, 0);
    op(c, BPF_ST, CELL_NEXT);
    load8(c, 1);
    op(c, BPF_ALU | BPF_ADD | BPF_K, 1);
    op(c, BPF_ALU | BPF_LSH | BPF_K, 3);
    place(c, next);
    advance(c);
}

static void
emit_ip6(struct code *c, unsigned depth)
{
    const unsigned transport = label(c);
    need(c, 40);
    load8(c, 6);
    op(c, BPF_ST, CELL_NEXT);
    advance_by(c, 40);
    for (unsigned k = 0; k < EXTENSIONS_MAX; k++) {
        emit_extension(c, transport);
    }
    answer_plus(c, 0);
    place(c, transport);
    op(c, BPF_LD | BPF_MEM, CELL_NEXT);
    emit_transport(c, depth);
}

/* ---- link --------------------------------------------------------------------------------------------------- */

static void
emit_by_version(struct code *c, unsigned ip4, unsigned ip6)
{
    need(c, 1);
    load8(c, 0);
    op(c, BPF_ALU | BPF_RSH | BPF_K, 4);
    go_if(c, BPF_JEQ | BPF_K, 4, ip4);
    go_if(c, BPF_JEQ | BPF_K, 6, ip6);
    answer_plus(c, 1);
}

/* RFC 3032: a label is four octets, the last of the stack has a bit set. */
static void
emit_mpls(struct code *c, unsigned ip4, unsigned ip6)
{
    const unsigned bottom = label(c);
    for (unsigned k = 0; k < LABELS_MAX; k++) {
        const unsigned last = label(c), more = label(c);
        need(c, 4);
        load8(c, 2);
        near_if(c, BPF_JSET | BPF_K, 1, last);
        go(c, more);
        place(c, last);
        advance_by(c, 4);
        go(c, bottom);
        place(c, more);
        advance_by(c, 4);
    }
    answer_plus(c, 0);
    place(c, bottom);
    emit_by_version(c, ip4, ip6);
}

/* A: EtherType, X: behind it. */
static void
emit_type(struct code *c, unsigned ip4, unsigned ip6)
{
    const unsigned pppoe = label(c), mpls = label(c), arp = label(c), llc = label(c),
                   snap = label(c);
    const unsigned ppp4 = label(c), ppp6 = label(c);
    for (unsigned k = 0; k < TAGS_MAX; k++) {
        const unsigned tag = label(c), on = label(c);
        near_if(c, BPF_JEQ | BPF_K, 0x8100, tag);
        near_if(c, BPF_JEQ | BPF_K, 0x88a8, tag);
        near_if(c, BPF_JEQ | BPF_K, 0x9100, tag);
        go(c, on);
        place(c, tag);
        need(c, 4);
        load16(c, 2);
        op(c, BPF_ST, CELL_TYPE);
        advance_by(c, 4);
        op(c, BPF_LD | BPF_MEM, CELL_TYPE);
        place(c, on);
    }
    go_if(c, BPF_JEQ | BPF_K, 0x0800, ip4);
    go_if(c, BPF_JEQ | BPF_K, 0x86dd, ip6);
    near_if(c, BPF_JEQ | BPF_K, 0x0806, arp);
    near_if(c, BPF_JEQ | BPF_K, 0x8864, pppoe);
    near_if(c, BPF_JEQ | BPF_K, 0x8847, mpls);
    go_unless(c, BPF_JGE | BPF_K, 0x0600, llc); /* a length, or the kernel's names for that */
    answer_plus(c, 0);
    place(c, arp);
    answer_plus(c, 28);
    place(c, pppoe);
    need(c, 8);
    load16(c, 6);
    near_if(c, BPF_JEQ | BPF_K, 0x0021, ppp4);
    near_if(c, BPF_JEQ | BPF_K, 0x0057, ppp6);
    answer_plus(c, 8);
    place(c, ppp4);
    advance_by(c, 8);
    go(c, ip4);
    place(c, ppp6);
    advance_by(c, 8);
    go(c, ip6);
    place(c, llc);
    need(c, 3);
    load16(c, 0);
    near_if(c, BPF_JEQ | BPF_K, 0xaaaa, snap);
    answer_plus(c, 3);
    place(c, snap);
    answer_plus(c, 8);
    place(c, mpls);
    emit_mpls(c, ip4, ip6);
}

/* What a loopback sends it also receives: once is enough. */
static void
emit_not_twice(struct code *c)
{
    const unsigned good = label(c);
    op(c, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE));
    go_unless(c, BPF_JEQ | BPF_K, PACKET_OUTGOING, good);
    op(c, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_HATYPE));
    go_unless(c, BPF_JEQ | BPF_K, ARPHRD_LOOPBACK, good);
    op(c, BPF_RET | BPF_K, 0);
    place(c, good);
}

unsigned
bh_live_header_program(enum bh_live_link link, struct bh_live_instruction ret[BH_LIVE_PROGRAM_MAX])
{
    struct code c = { .at = ret };
    const unsigned ethernet = label(&c);
    for (unsigned depth = 0; depth <= DEPTH_MAX; depth++) {
        c.ip4[depth] = label(&c);
        c.ip6[depth] = label(&c);
    }
    emit_not_twice(&c);
    op(&c, BPF_LDX | BPF_IMM, 0);
    if (link == BH_LIVE_ANY) { /* each interface has its own */
        op(&c, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_HATYPE));
        go_if(&c, BPF_JEQ | BPF_K, ARPHRD_ETHER, ethernet);
        go_if(&c, BPF_JEQ | BPF_K, ARPHRD_LOOPBACK, ethernet);
    } else if (link == BH_LIVE_ETHERNET) {
        go(&c, ethernet);
    }
    emit_by_version(&c, c.ip4[0], c.ip6[0]);
    place(&c, ethernet);
    need(&c, 14);
    load16(&c, 12);
    op(&c, BPF_ST, CELL_TYPE);
    advance_by(&c, 14);
    op(&c, BPF_LD | BPF_MEM, CELL_TYPE);
    emit_type(&c, c.ip4[0], c.ip6[0]);
    for (unsigned depth = 0; depth <= DEPTH_MAX; depth++) {
        place(&c, c.ip4[depth]);
        emit_ip4(&c, depth);
        place(&c, c.ip6[depth]);
        emit_ip6(&c, depth);
    }
    resolve(&c);
    return c.count;
}

/* ---- the machine ------------------------------------------------------------------------------------------------ */

static bool
load(const uint8_t *data, uint32_t len, uint64_t at, unsigned octets, const struct bh_live_aux *aux,
     uint32_t *ret)
{
    const uint32_t ad = (uint32_t)SKF_AD_OFF;
    if (at == ad + SKF_AD_PKTTYPE || at == ad + SKF_AD_HATYPE || at == ad + SKF_AD_PROTOCOL) {
        *ret = at == ad + SKF_AD_PKTTYPE  ? aux->pkttype
               : at == ad + SKF_AD_HATYPE ? aux->hatype
                                          : aux->protocol;
        return true;
    }
    if (at > len || octets > len - at) {
        return false;
    }
    *ret = 0;
    for (unsigned k = 0; k < octets; k++) {
        *ret = *ret << 8 | data[at + k];
    }
    return true;
}

static uint32_t
calculate(uint16_t code, uint32_t a, uint32_t v)
{
    switch (BPF_OP(code)) {
    case BPF_ADD:
        return a + v;
    case BPF_SUB:
        return a - v;
    case BPF_AND:
        return a & v;
    case BPF_LSH:
        return v < 32 ? a << v : 0;
    default:
        return v < 32 ? a >> v : 0; /* BPF_RSH: there are no others in our programs */
    }
}

static bool
compare(uint16_t code, uint32_t a, uint32_t v)
{
    switch (BPF_OP(code)) {
    case BPF_JEQ:
        return a == v;
    case BPF_JGE:
        return a >= v;
    case BPF_JGT:
        return a > v;
    default:
        return (a & v) != 0; /* BPF_JSET */
    }
}

uint32_t
bh_live_run(const struct bh_live_instruction *program, unsigned count, const uint8_t *data,
            uint32_t len, const struct bh_live_aux *aux)
{
    uint32_t a = 0, x = 0, cell[BPF_MEMWORDS] = { 0 };
    for (uint64_t at = 0; at < count; at++) { /* jumps go forward only */
        const struct bh_live_instruction *i = &program[at];
        const uint32_t operand = BPF_SRC(i->code) == BPF_X ? x : i->k;
        const unsigned octets = BPF_SIZE(i->code) == BPF_W ? 4 : BPF_SIZE(i->code) == BPF_H ? 2 : 1;
        switch (BPF_CLASS(i->code)) {
        case BPF_LD:
            if (BPF_MODE(i->code) == BPF_LEN) {
                a = len;
            } else if (BPF_MODE(i->code) == BPF_IMM) {
                a = i->k;
            } else if (BPF_MODE(i->code) == BPF_MEM) {
                a = cell[i->k % BPF_MEMWORDS];
            } else if (!load(data, len, BPF_MODE(i->code) == BPF_IND ? (uint64_t)x + i->k : i->k,
                             octets, aux, &a)) {
                return 0;
            }
            break;
        case BPF_LDX:
            x = i->k;
            break;
        case BPF_ST:
            cell[i->k % BPF_MEMWORDS] = a;
            break;
        case BPF_ALU:
            a = calculate(i->code, a, operand);
            break;
        case BPF_MISC:
            x = a;
            break;
        case BPF_JMP:
            at += BPF_OP(i->code) == BPF_JA ? i->k : compare(i->code, a, operand) ? i->jt : i->jf;
            break;
        default:
            return BPF_RVAL(i->code) == BPF_A ? a : i->k;
        }
    }
    return 0;
}
