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
 * In front of the outermost IP header stands the choice (choose.c): what no output asks for is dropped, what one asks for
 * whole is whole.
 *
 * Sources: RFC 791, 792, 8200, 4443, 9293, 768, 2784, 2516, 3032; IEEE 802.1Q; linux/filter.h.
 */
#include "program_priv.h"

#include <linux/if_arp.h>
#include <linux/if_packet.h>

enum { TAGS_MAX = 2, LABELS_MAX = 4, EXTENSIONS_MAX = 6 };

/* ---- transport ---------------------------------------------------------------------------------------- */

static void
emit_tcp(struct code *c)
{
    const unsigned least = bpf_label(c);
    bpf_need(c, 13);
    bpf_load8(c, 12);
    bpf_op(c, BPF_ALU | BPF_RSH | BPF_K, 4);
    bpf_op(c, BPF_ALU | BPF_LSH | BPF_K, 2);
    bpf_go_unless(c, BPF_JGE | BPF_K, 20, least);
    bpf_answer(c);
    bpf_place(c, least);
    bpf_answer_plus(c, 20);
}

/* Errors quote a packet: its IP header and ports. */
static void
emit_icmp(struct code *c, bool v6)
{
    const unsigned plain = bpf_label(c), quotes = bpf_label(c);
    static const uint8_t types[2][5] = { { 3, 4, 5, 11, 12 }, { 1, 2, 3, 4, 4 } };
    bpf_need(c, 9);
    bpf_load8(c, 0);
    for (unsigned k = 0; k < 5; k++) {
        bpf_near_if(c, BPF_JEQ | BPF_K, types[v6][k], quotes);
    }
    bpf_go(c, plain);
    bpf_place(c, quotes);
    if (v6) {
        bpf_answer_plus(c, 8 + 40 + 4);
    } else {
        bpf_load8(c, 8);
        bpf_op(c, BPF_ALU | BPF_AND | BPF_K, 15);
        bpf_op(c, BPF_ALU | BPF_LSH | BPF_K, 2);
        bpf_op(c, BPF_ALU | BPF_ADD | BPF_K, 8 + 4);
        bpf_answer(c);
    }
    bpf_place(c, plain);
    bpf_answer_plus(c, 8);
}

/* RFC 2784, 2890: only without checksum, key and number; with them, the four octets alone. */
static void
emit_gre(struct code *c, unsigned depth)
{
    const unsigned ip4 = bpf_label(c), ip6 = bpf_label(c), plain = bpf_label(c);
    bpf_need(c, 4);
    bpf_load16(c, 0);
    bpf_go_unless(c, BPF_JEQ | BPF_K, 0, plain);
    bpf_load16(c, 2);
    bpf_near_if(c, BPF_JEQ | BPF_K, 0x0800, ip4);
    bpf_near_if(c, BPF_JEQ | BPF_K, 0x86dd, ip6);
    bpf_place(c, plain);
    bpf_answer_plus(c, 4);
    bpf_place(c, ip4);
    bpf_advance_by(c, 4);
    bpf_go(c, c->ip4[depth + 1]);
    bpf_place(c, ip6);
    bpf_advance_by(c, 4);
    bpf_go(c, c->ip6[depth + 1]);
}

/* A: the protocol, X: behind the header of IP. */
static void
emit_transport(struct code *c, unsigned depth)
{
    const unsigned tcp = bpf_label(c), udp = bpf_label(c), icmp = bpf_label(c),
                   icmp6 = bpf_label(c);
    const unsigned gre = bpf_label(c);
    bpf_go_if(c, BPF_JEQ | BPF_K, 6, tcp);
    bpf_go_if(c, BPF_JEQ | BPF_K, 17, udp);
    bpf_go_if(c, BPF_JEQ | BPF_K, 1, icmp);
    bpf_go_if(c, BPF_JEQ | BPF_K, 58, icmp6);
    if (depth < DEPTH_MAX) {
        bpf_go_if(c, BPF_JEQ | BPF_K, 4, c->ip4[depth + 1]);
        bpf_go_if(c, BPF_JEQ | BPF_K, 41, c->ip6[depth + 1]);
        bpf_go_if(c, BPF_JEQ | BPF_K, 47, gre);
    }
    bpf_answer_plus(c, 0);
    bpf_place(c, tcp);
    emit_tcp(c);
    bpf_place(c, udp);
    bpf_answer_plus(c, 8);
    bpf_place(c, icmp);
    emit_icmp(c, false);
    bpf_place(c, icmp6);
    emit_icmp(c, true);
    if (depth < DEPTH_MAX) {
        bpf_place(c, gre);
        emit_gre(c, depth);
    }
}

/* ---- IP -------------------------------------------------------------------------------------------------- */

static void
emit_ip4(struct code *c, unsigned depth)
{
    const unsigned first = bpf_label(c), good = bpf_label(c), bad = bpf_label(c);
    bpf_need(c, 20);
    bpf_load8(c, 9);
    bpf_op(c, BPF_ST, CELL_NEXT);
    bpf_load16(c, 6);
    bpf_go_unless(c, BPF_JSET | BPF_K, 0x1fff, first);
    bpf_op(c, BPF_LD | BPF_IMM,
           255); /* a later fragment has no headers: a number that is none of them */
    bpf_op(c, BPF_ST, CELL_NEXT);
    bpf_place(c, first);
    bpf_load8(c, 0);
    bpf_near_if(c, BPF_JGE | BPF_K, 0x50, bad); /* no IPv4 after all */
    bpf_op(c, BPF_ALU | BPF_AND | BPF_K, 15);
    bpf_op(c, BPF_ALU | BPF_LSH | BPF_K, 2);
    bpf_near_if(c, BPF_JGE | BPF_K, 20, good);
    bpf_place(c, bad);
    bpf_answer_plus(c, 20);
    bpf_place(c, good);
    bpf_advance(c);
    bpf_op(c, BPF_LD | BPF_MEM, CELL_NEXT);
    emit_transport(c, depth);
}

/* One extension header, when CELL_NEXT is one. Falls through with X and CELL_NEXT moved on. */
static void
emit_extension(struct code *c, unsigned transport)
{
    static const uint8_t plain[] = { 0, 43, 60, 139, 140 };
    const unsigned eights = bpf_label(c), fours = bpf_label(c), fragment = bpf_label(c),
                   later = bpf_label(c), next = bpf_label(c);
    bpf_op(c, BPF_LD | BPF_MEM, CELL_NEXT);
    for (size_t k = 0; k < sizeof plain; k++) {
        bpf_near_if(c, BPF_JEQ | BPF_K, plain[k], eights);
    }
    bpf_near_if(c, BPF_JEQ | BPF_K, 51, fours);
    bpf_near_if(c, BPF_JEQ | BPF_K, 44, fragment);
    bpf_go(c, transport);
    bpf_place(c, fragment);
    bpf_need(c, 8);
    bpf_load16(c, 2);
    bpf_near_if(c, BPF_JSET | BPF_K, 0xfff8, later);
    bpf_load8(c, 0);
    bpf_op(c, BPF_ST, CELL_NEXT);
    bpf_op(c, BPF_LD | BPF_IMM, 8);
    bpf_go(c, next);
    bpf_place(c, later);
    bpf_answer_plus(c, 8);
    bpf_place(c, fours);
    bpf_need(c, 8);
    bpf_load8(c, 0);
    bpf_op(c, BPF_ST, CELL_NEXT);
    bpf_load8(c, 1);
    bpf_op(c, BPF_ALU | BPF_ADD | BPF_K, 2);
    bpf_op(c, BPF_ALU | BPF_LSH | BPF_K, 2);
    bpf_go(c, next);
    bpf_place(c, eights);
    bpf_need(c, 8);
    bpf_load8(c, 0);
    bpf_op(c, BPF_ST, CELL_NEXT);
    bpf_load8(c, 1);
    bpf_op(c, BPF_ALU | BPF_ADD | BPF_K, 1);
    bpf_op(c, BPF_ALU | BPF_LSH | BPF_K, 3);
    bpf_place(c, next);
    bpf_advance(c);
}

static void
emit_ip6(struct code *c, unsigned depth)
{
    const unsigned transport = bpf_label(c);
    bpf_need(c, 40);
    bpf_load8(c, 6);
    bpf_op(c, BPF_ST, CELL_NEXT);
    bpf_advance_by(c, 40);
    for (unsigned k = 0; k < EXTENSIONS_MAX; k++) {
        emit_extension(c, transport);
    }
    bpf_answer_plus(c, 0);
    bpf_place(c, transport);
    bpf_op(c, BPF_LD | BPF_MEM, CELL_NEXT);
    emit_transport(c, depth);
}

/* ---- link --------------------------------------------------------------------------------------------------- */

/* What is no IP: `n` more octets of it, unless a test may ask for all. */
static void
answer_other(struct code *c, uint32_t n)
{
    if (c->other_whole) {
        bpf_op(c, BPF_RET | BPF_K, BH_LIVE_SNAP);
    } else {
        bpf_answer_plus(c, n);
    }
}

static void
emit_by_version(struct code *c, unsigned ip4, unsigned ip6)
{
    bpf_need(c, 1);
    bpf_load8(c, 0);
    bpf_op(c, BPF_ALU | BPF_RSH | BPF_K, 4);
    bpf_go_if(c, BPF_JEQ | BPF_K, 4, ip4);
    bpf_go_if(c, BPF_JEQ | BPF_K, 6, ip6);
    answer_other(c, 1);
}

/* RFC 3032: a label is four octets, the last of the stack has a bit set. */
static void
emit_mpls(struct code *c, unsigned ip4, unsigned ip6)
{
    const unsigned bottom = bpf_label(c);
    for (unsigned k = 0; k < LABELS_MAX; k++) {
        const unsigned last = bpf_label(c), more = bpf_label(c);
        bpf_need(c, 4);
        bpf_load8(c, 2);
        bpf_near_if(c, BPF_JSET | BPF_K, 1, last);
        bpf_go(c, more);
        bpf_place(c, last);
        bpf_advance_by(c, 4);
        bpf_go(c, bottom);
        bpf_place(c, more);
        bpf_advance_by(c, 4);
    }
    answer_other(c, 0);
    bpf_place(c, bottom);
    emit_by_version(c, ip4, ip6);
}

/* A: EtherType, X: behind it. */
static void
emit_type(struct code *c, unsigned ip4, unsigned ip6)
{
    const unsigned pppoe = bpf_label(c), mpls = bpf_label(c), arp = bpf_label(c),
                   llc = bpf_label(c), snap = bpf_label(c);
    const unsigned ppp4 = bpf_label(c), ppp6 = bpf_label(c);
    for (unsigned k = 0; k < TAGS_MAX; k++) {
        const unsigned tag = bpf_label(c), on = bpf_label(c);
        bpf_near_if(c, BPF_JEQ | BPF_K, 0x8100, tag);
        bpf_near_if(c, BPF_JEQ | BPF_K, 0x88a8, tag);
        bpf_near_if(c, BPF_JEQ | BPF_K, 0x9100, tag);
        bpf_go(c, on);
        bpf_place(c, tag);
        bpf_need(c, 4);
        bpf_load16(c, 2);
        bpf_op(c, BPF_ST, CELL_TYPE);
        bpf_advance_by(c, 4);
        bpf_op(c, BPF_LD | BPF_MEM, CELL_TYPE);
        bpf_place(c, on);
    }
    bpf_go_if(c, BPF_JEQ | BPF_K, 0x0800, ip4);
    bpf_go_if(c, BPF_JEQ | BPF_K, 0x86dd, ip6);
    bpf_near_if(c, BPF_JEQ | BPF_K, 0x0806, arp);
    bpf_near_if(c, BPF_JEQ | BPF_K, 0x8864, pppoe);
    bpf_near_if(c, BPF_JEQ | BPF_K, 0x8847, mpls);
    bpf_go_unless(c, BPF_JGE | BPF_K, 0x0600, llc); /* a length, or the kernel's names for that */
    answer_other(c, 0);
    bpf_place(c, arp);
    answer_other(c, 28);
    bpf_place(c, pppoe);
    bpf_need(c, 8);
    bpf_load16(c, 6);
    bpf_near_if(c, BPF_JEQ | BPF_K, 0x0021, ppp4);
    bpf_near_if(c, BPF_JEQ | BPF_K, 0x0057, ppp6);
    answer_other(c, 8);
    bpf_place(c, ppp4);
    bpf_advance_by(c, 8);
    bpf_go(c, ip4);
    bpf_place(c, ppp6);
    bpf_advance_by(c, 8);
    bpf_go(c, ip6);
    bpf_place(c, llc);
    bpf_need(c, 3);
    bpf_load16(c, 0);
    bpf_near_if(c, BPF_JEQ | BPF_K, 0xaaaa, snap);
    answer_other(c, 3);
    bpf_place(c, snap);
    answer_other(c, 8);
    bpf_place(c, mpls);
    emit_mpls(c, ip4, ip6);
}

/* What a loopback sends it also receives: once is enough. */
static void
emit_not_twice(struct code *c)
{
    const unsigned good = bpf_label(c);
    bpf_op(c, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE));
    bpf_go_unless(c, BPF_JEQ | BPF_K, PACKET_OUTGOING, good);
    bpf_op(c, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_HATYPE));
    bpf_go_unless(c, BPF_JEQ | BPF_K, ARPHRD_LOOPBACK, good);
    bpf_op(c, BPF_RET | BPF_K, 0);
    bpf_place(c, good);
}

/* What libpcap puts in front of all interfaces together: type, interface, to whom (1, 2: to many). */
static void
emit_cooked(struct code *c, unsigned typed)
{
    const unsigned one = bpf_label(c);
    bpf_need(c, 20);
    bpf_load8(c, 10);
    bpf_go_if(c, BPF_JEQ | BPF_K, 0, one);
    bpf_go_if(c, BPF_JGE | BPF_K, 3, one);
    bpf_op(c, BPF_ST, CELL_GROUP);
    bpf_place(c, one);
    bpf_load16(c, 0);
    bpf_op(c, BPF_ST, CELL_TYPE);
    bpf_advance_by(c, 20);
    bpf_go(c, typed);
}

unsigned
bh_live_header_program(enum bh_live_link link, const struct bh_live_choice *choice,
                       struct bh_live_instruction ret[BH_LIVE_PROGRAM_MAX])
{
    struct code c = { .at = ret, .choice = choice, .other_whole = choose_other_whole(choice) };
    const unsigned ethernet = bpf_label(&c), typed = bpf_label(&c);
    for (unsigned depth = 0; depth <= DEPTH_MAX; depth++) {
        c.ip4[depth] = bpf_label(&c);
        c.ip6[depth] = bpf_label(&c);
    }
    emit_not_twice(&c);
    bpf_op(&c, BPF_LDX | BPF_IMM, 0);
    bpf_op(&c, BPF_LD | BPF_IMM, 0);
    bpf_op(&c, BPF_ST, CELL_GROUP);
    if (link == BH_LIVE_ANY) { /* each interface has its own */
        bpf_op(&c, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_HATYPE));
        bpf_go_if(&c, BPF_JEQ | BPF_K, ARPHRD_ETHER, ethernet);
        bpf_go_if(&c, BPF_JEQ | BPF_K, ARPHRD_LOOPBACK, ethernet);
    } else if (link == BH_LIVE_ETHERNET) {
        bpf_go(&c, ethernet);
    } else if (link == BH_LIVE_COOKED) {
        emit_cooked(&c, typed);
    }
    emit_by_version(&c, c.ip4[0], c.ip6[0]);
    bpf_place(&c, ethernet);
    bpf_need(&c, 14);
    bpf_load8(&c, 0);
    bpf_op(&c, BPF_ALU | BPF_AND | BPF_K, 1);
    bpf_op(&c, BPF_ST, CELL_GROUP);
    bpf_load16(&c, 12);
    bpf_op(&c, BPF_ST, CELL_TYPE);
    bpf_advance_by(&c, 14);
    bpf_place(&c, typed);
    bpf_op(&c, BPF_LD | BPF_MEM, CELL_TYPE);
    emit_type(&c, c.ip4[0], c.ip6[0]);
    for (unsigned depth = 0; depth <= DEPTH_MAX; depth++) {
        bpf_place(&c, c.ip4[depth]);
        if (depth == 0) {
            choose_ip4(&c);
        }
        emit_ip4(&c, depth);
        bpf_place(&c, c.ip6[depth]);
        if (depth == 0) {
            choose_ip6(&c);
        }
        emit_ip6(&c, depth);
    }
    bpf_resolve(&c);
    return c.full ? 0 : c.count;
}
