/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The summary of a segment: what the records of each of its blocks may be (docs/design/log.md,
 * "Skipping"; docs/format/log.md, "Summary"). Everything in it can be made again from the blocks, and a
 * reader without it reads more.
 *
 * What rows are for is told by *terms*: the services of the dictionary, then the groups of rows that have
 * none of these.
 */
#ifndef STORE_SUMMARY_PRIV_H
#define STORE_SUMMARY_PRIV_H

#include "bh_facts.h"
#include "store_priv.h"

#define SUMMARY_TERMS_MAX 1024U
#define SUMMARY_COUNTRIES_MAX 1026U
#define SUMMARY_PORTS_MAX 1024U /* listed ports of a block; more are "any" */
#define SUMMARY_OTHER_LOW 1024U /* other ports below are told one by one   */
#define SUMMARY_NEAR_MAX 64U    /* ranges of our own addresses             */
#define SUMMARY_ANY 65535U

/* A mark or reason by which a row may lack what its kind has. */
bool segsum_is_odd(const struct form *f);

/* ---- building ------------------------------------------------------------------------------------ */

struct summary_out;
/* Of chunks of these tables, in the words of this dictionary, which stay until the end. */
BH_NODISCARD int
segsum_begin(const struct dict *d, const struct terms *t, struct summary_out **ret);
void segsum_free(struct summary_out *o);
/* A chunk, of which `w` has just made a block. */
BH_NODISCARD int
segsum_add(struct summary_out *o, const struct chunk *c, const struct block_work *w);
/* Head and body of the frame; nothing when it would be of no use. */
BH_NODISCARD int
segsum_end(struct summary_out *o, struct code_work *w, struct bh_buf *head, struct bh_buf *body);

/* ---- reading -------------------------------------------------------------------------------------- */

struct summary_head {
    uint32_t blocks, size;
    uint64_t sum;
};
BH_NODISCARD int
segsum_head_get(const uint8_t *data, size_t size, uint64_t body_size, struct summary_head *ret);

struct summary_block {
    uint8_t outcomes;
    struct bh_range4 far4, far6;
    uint32_t port_at, ports; /* listed ones in `port`, sorted; SUMMARY_ANY: any */
};
struct summary {
    struct bh_store_country *country;
    uint32_t country_count, term_count, service_count, block_count;
    uint32_t *group, *port; /* of terms: packed; PORT_ANY: a listed one */
    uint32_t term_octets, country_octets;
    uint8_t *terms, *odd, *countries, *other_low; /* so many octets for each block */
    struct summary_block *block;
    uint16_t *listed;
    struct bh_range4 *near4;
    struct bh_range6 *near6;
    uint32_t near4_count, near6_count;
};
/* Of octets whose sum is right; believes nothing else of them. */
BH_NODISCARD int segsum_get(const uint8_t *data, size_t size, uint32_t blocks, struct summary *ret);
void segsum_done(struct summary *s);

static inline bool
segsum_bit(const uint8_t *bits, uint32_t k)
{
    return (bits[k / 8] >> (k % 8) & 1) != 0;
}

/* What is common to all records of a block, in the classes of a judge. `country_class`: of the countries
 * of the summary. */
void segsum_facts(const struct summary *s, uint32_t block, const struct bh_judge *judge,
                  const uint8_t *country_class, uint64_t near_countries, struct bh_facts *ret,
                  uint64_t *ret_listed);

#endif
