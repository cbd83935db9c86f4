/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rows of a block that a judge wants, told by their service and country alone (sieve.c), and these rows
 * put together without the others (block_some.c). docs/design/log.md, "Skipping".
 */
#ifndef STORE_SIEVE_PRIV_H
#define STORE_SIEVE_PRIV_H

#include "block_rows_priv.h"
#include "skip_priv.h"

#define SIEVE_COUNTRIES 8U /* classes: a bit each */

/* What the judge says, as sets of classes of countries. */
struct sieve_row {
    uint8_t pass; /* rows that may be selected, or of which it is open whether they are unknown */
    uint8_t unknown; /* rows of which nothing else can be said */
};
struct sieve {
    const struct file_plan *plan;
    const struct bh_judge *judge;
    const struct dict *d;
    /* For each service, and for each port of those with a list: [code * ports + class of the port]. */
    struct sieve_row *service, *group; /* group: [term * ports + class], of rows with code 255 */
    uint16_t *term_of_group;           /* [group of the dictionary] term + 1 */
    uint8_t *country_bit;              /* [country of the dictionary] */
    uint32_t *places; /* [country, symbol]: how places of the group are told; 0: there is none */
    uint8_t has_port[CODES];
    uint64_t stream[CODES]; /* 1 in the counter of its stream; see block_some.c */
    unsigned ports;
    bool unknown_too; /* those rows are wanted as well: the block is not all inside of the period */
    /* What the tables were made of last. */
    bool is_known;
    struct bh_facts facts;
    uint8_t odd[SUMMARY_TERMS_MAX / 8];
};

/* For the blocks of a file by this dictionary. BH_ELIMIT: rows cannot be told. */
BH_NODISCARD int
sieve_begin(struct sieve *s, const struct file_plan *plan, const struct bh_judge *judge,
            const struct dict *d, const uint16_t *value_of_country);
void sieve_done(struct sieve *s);
void sieve_block(struct sieve *s, uint32_t block, const char *sensor, bool unknown_too);

/* Of `places`: how many bits a place has, and below which it has one less. */
#define PLACE_IS 0x80000000U
#define PLACE_BITS(p) ((p) >> 24 & 31U)
#define PLACE_SHORT(p) ((p)&0xffffffU)

/* Service and country are open: which rows are wanted? */
BH_NODISCARD int some_choose(struct block_rows *r, const struct sieve *s);
struct block_some *some_new(void);
/* What they are for, and which streams they are in: others need not be opened. */
void some_spell(struct block_rows *r);
/* All lists are open, but far ends are not looked at: the rows wanted are taken out of them. */
BH_NODISCARD int some_take(struct block_rows *r, const struct sieve *s);
bool some_next(struct block_rows *r, const uint16_t *value_of_country, struct bh_batch *b);
void some_free(struct block_some *s);

/* What the form of a row says of it. */
static inline void
batch_put_form(struct bh_batch *b, uint32_t i, const struct form *f, uint32_t len, bool cold)
{
    b->ip_len[i] = len;
    b->payload_len[i] = (uint16_t)(len - f->header_len);
    b->layers[i] = f->layers;
    b->tcp_flags[i] = f->flags;
    b->marks[i] = f->marks;
    b->reason[i] = f->reason;
    if (cold) {
        b->wire_len[i] = len + f->link_len;
        b->src_mac[i] = f->mac;
        b->tcp_options[i] = f->options;
        b->tunnel_sender[i] = f->tunnel_sender;
        b->tunnel_vni[i] = f->tunnel_vni;
        b->vlan[i] = f->vlan;
        b->ethertype[i] = f->ethertype;
        b->interface[i] = f->interface;
        b->df[i] = f->df;
        b->ttl[i] = f->ttl;
    }
}

#endif
