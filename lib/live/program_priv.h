/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writing programs of classic BPF: jumps to labels, and the few steps that are taken again and again. What does not fit
 * sets `full`; the program is then none.
 */
#ifndef BH_LIVE_PROGRAM_PRIV_H
#define BH_LIVE_PROGRAM_PRIV_H

#include <linux/filter.h>

#include "bh_live.h"

enum { DEPTH_MAX = 1 };
enum { BPF_LABELS = 1024, BPF_JUMPS = 2048 };
/* M[]: of the headers, then of the choice. */
enum { CELL_NEXT, CELL_TYPE, CELL_GROUP, CELL_PROTO, CELL_SOURCE, CELL_DESTINATION, CELL_IP };

struct code {
    struct bh_live_instruction *at;
    unsigned count;
    bool full;
    /* Jumps to places further on: by label, resolved when the place is known. */
    unsigned label_count;
    struct jump {
        unsigned where, label;
        bool near; /* the place of a comparison that holds, else of a JA */
    } jump[BPF_JUMPS];
    unsigned jumps;
    uint16_t place[BPF_LABELS];
    unsigned ip4[DEPTH_MAX + 1], ip6[DEPTH_MAX + 1]; /* labels: IP, and IP inside of it */
    const struct bh_live_choice *choice;             /* NULL: none */
    bool other_whole;                                /* frames without IP are kept whole */
};

void bpf_op(struct code *c, uint16_t code, uint32_t k);
unsigned bpf_label(struct code *c);
void bpf_place(struct code *c, unsigned l);
void bpf_go(struct code *c, unsigned to);
/* If the test of A holds, to `to`, which may be far: over a long jump. */
void bpf_go_if(struct code *c, uint16_t test, uint32_t k, unsigned to);
/* The same, to a place at most 255 instructions on. */
void bpf_near_if(struct code *c, uint16_t test, uint32_t k, unsigned to);
void bpf_go_unless(struct code *c, uint16_t test, uint32_t k, unsigned to);
void bpf_resolve(struct code *c);
/* From X on there must be `n` octets; else all of the packet is header. Leaves A changed. */
void bpf_need(struct code *c, uint32_t n);
void bpf_load8(struct code *c, uint32_t at); /* from X on */
void bpf_load16(struct code *c, uint32_t at);
void bpf_advance(struct code *c); /* X += A */
void bpf_advance_by(struct code *c, uint32_t n);
void bpf_answer(struct code *c); /* X + A */
void bpf_answer_plus(struct code *c, uint32_t n);

/* ---- choose.c ------------------------------------------------------------------------------------------- */

/* Frames that have no IP are kept whole, as a test may ask for them. */
bool choose_other_whole(const struct bh_live_choice *choice);
/* Packets that it drops. */
bool choose_drops(const struct bh_live_choice *choice);
/* X: the outermost header of IP, where it stays. Ends the program with "drop" or "whole", or goes on. */
void choose_ip4(struct code *c);
void choose_ip6(struct code *c);

#endif
