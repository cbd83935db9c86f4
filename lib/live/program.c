/* SPDX-License-Identifier: BSD-2-Clause */
/* Classic BPF: writing it, and a machine that runs it as the kernel does. Source: linux/filter.h. */
#include "program_priv.h"

#include <assert.h>

_Static_assert(sizeof(struct bh_live_instruction) == sizeof(struct sock_filter), "the same thing");

void
bpf_op(struct code *c, uint16_t code, uint32_t k)
{
    if (c->count == BH_LIVE_PROGRAM_MAX) {
        c->full = true; /* whoever looks at it does not use it */
        c->count--;
    }
    c->at[c->count++] = (struct bh_live_instruction){ .code = code, .k = k };
}

unsigned
bpf_label(struct code *c)
{
    c->full |= c->label_count == BPF_LABELS;
    return c->full ? 0 : c->label_count++;
}

void
bpf_place(struct code *c, unsigned l)
{
    c->place[l] = (uint16_t)c->count;
}

static void
note(struct code *c, unsigned l, bool near)
{
    if (c->jumps == BPF_JUMPS) {
        c->full = true;
        c->jumps--;
    }
    c->jump[c->jumps++] = (struct jump){ c->count - 1, l, near };
}

void
bpf_go(struct code *c, unsigned to)
{
    bpf_op(c, BPF_JMP | BPF_JA, 0);
    note(c, to, false);
}

void
bpf_go_if(struct code *c, uint16_t test, uint32_t k, unsigned to)
{
    bpf_op(c, (uint16_t)(BPF_JMP | test), k);
    c->at[c->count - 1].jf = 1;
    bpf_go(c, to);
}

void
bpf_near_if(struct code *c, uint16_t test, uint32_t k, unsigned to)
{
    bpf_op(c, (uint16_t)(BPF_JMP | test), k);
    note(c, to, true);
}

void
bpf_go_unless(struct code *c, uint16_t test, uint32_t k, unsigned to)
{
    bpf_op(c, (uint16_t)(BPF_JMP | test), k);
    c->at[c->count - 1].jt = 1;
    bpf_go(c, to);
}

void
bpf_resolve(struct code *c)
{
    for (unsigned k = 0; !c->full && k < c->jumps; k++) {
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

void
bpf_need(struct code *c, uint32_t n)
{
    bpf_op(c, BPF_LD | BPF_W | BPF_LEN, 0);
    bpf_op(c, BPF_JMP | BPF_JGE | BPF_X, 0);
    c->at[c->count - 1].jf = 2;
    bpf_op(c, BPF_ALU | BPF_SUB | BPF_X, 0);
    bpf_op(c, BPF_JMP | BPF_JGE | BPF_K, n);
    c->at[c->count - 1].jt = 2;
    bpf_op(c, BPF_LD | BPF_W | BPF_LEN, 0);
    bpf_op(c, BPF_RET | BPF_A, 0);
}

void
bpf_load8(struct code *c, uint32_t at)
{
    bpf_op(c, BPF_LD | BPF_B | BPF_IND, at);
}

void
bpf_load16(struct code *c, uint32_t at)
{
    bpf_op(c, BPF_LD | BPF_H | BPF_IND, at);
}

void
bpf_advance(struct code *c)
{
    bpf_op(c, BPF_ALU | BPF_ADD | BPF_X, 0);
    bpf_op(c, BPF_MISC | BPF_TAX, 0);
}

void
bpf_advance_by(struct code *c, uint32_t n)
{
    bpf_op(c, BPF_LD | BPF_IMM, n);
    bpf_advance(c);
}

void
bpf_answer(struct code *c)
{
    bpf_op(c, BPF_ALU | BPF_ADD | BPF_X, 0);
    bpf_op(c, BPF_RET | BPF_A, 0);
}

void
bpf_answer_plus(struct code *c, uint32_t n)
{
    bpf_op(c, BPF_LD | BPF_IMM, n);
    bpf_answer(c);
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
            x = BPF_MODE(i->code) == BPF_MEM ? cell[i->k % BPF_MEMWORDS] : i->k;
            break;
        case BPF_ST:
            cell[i->k % BPF_MEMWORDS] = a;
            break;
        case BPF_ALU:
            a = calculate(i->code, a, operand);
            break;
        case BPF_MISC:
            if (BPF_MISCOP(i->code) == BPF_TXA) {
                a = x;
            } else {
                x = a;
            }
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
