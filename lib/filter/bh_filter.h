/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_filter.h - which records are counted: pcap's words over record fields (MEANING.md 7).
 *
 * The words are parsed once into a tree; the tree is evaluated over the columns of a batch,
 * one leaf at a time. Tests are three-valued: a test on a field that a record does not have
 * is unknown, and so is its negation; only "true" selects.
 *
 * Threads:   a filter is read-only once parsed.
 * Ownership: the caller's; the country database is borrowed until free.
 */
#ifndef BH_FILTER_H
#define BH_FILTER_H

#include "bh_event.h"
#include "bh_facts.h"
#include "bh_question.h"
#include "kobold.h"

struct bh_filter; /* opaque */

enum {
    BH_FILTER_NEEDS_COLD = 1,
    BH_FILTER_NEEDS_COUNTRY = 2,
    BH_FILTER_NEEDS_CLASS = 4,
    BH_FILTER_NEEDS_OUTCOME = 8,
    BH_FILTER_NEEDS_DIRECTION = 16,
    BH_FILTER_NEEDS_SRC_PORT = 32,
    BH_FILTER_NEEDS_NEAR = 64 /* our end of records that came to us */
};

/* The words of a command line, joined by blanks. No words: *ret_filter is NULL (selects all).
 * Errors name the word and its place, and the nearest word that exists. */
BH_NODISCARD int bh_filter_parse(const char *const *words, size_t count, const kobold *countries,
                                 struct bh_filter **ret_filter, struct bh_error *err);
void bh_filter_free(struct bh_filter *f);
uint32_t bh_filter_needs(const struct bh_filter *f);
/* Does a filter begin with this word? (An address or a number may be meant for one too, but is no word.) */
bool bh_filter_is_word(const char *text);
/* The names behind `sensor`, one after the other; NULL behind the last: who asks for one that is not
 * there should hear so. */
const char *bh_filter_sensor(const struct bh_filter *f, size_t index);
/* The filter as the parser understood it, fully bracketed: for the report's header. */
void bh_filter_text(const struct bh_filter *f, struct bh_buf *out);

/*
 * The filter as far as addresses, ports, protocol and IP version decide it, for who looks at packets in the kernel: in
 * postfix order, without `not`. What a filter asks beside these is a part that may hold (ANY), so that whatever
 * the filter selects, its outline selects.
 */
enum bh_filter_part_type {
    BH_FILTER_PART_ANY,
    BH_FILTER_PART_KIND, /* enum bh_kind a */
    BH_FILTER_PART_PROTO,
    BH_FILTER_PART_NET4, /* (address & b) == a */
    BH_FILTER_PART_NET6,
    BH_FILTER_PART_PORT, /* a <= port <= b */
    BH_FILTER_PART_AND,
    BH_FILTER_PART_OR,
};
struct bh_filter_part {
    enum bh_filter_part_type type;
    bool negated; /* the opposite of a test; a field that is absent holds neither */
    bool source, destination,
        both; /* which ends are asked: both of them must be it, else one      */
    uint32_t a, b;
    uint64_t hi, lo, mask_hi, mask_lo; /* NET6 */
};
#define BH_FILTER_PARTS 256U
/* How many; 0: no filter, or one of more parts. */
size_t bh_filter_outline(const struct bh_filter *f, struct bh_filter_part ret[BH_FILTER_PARTS]);

/* A country as an option takes it (--country, --served): a code of ISO 3166-1, EU, AP or ZZ, in any
 * case. Else BH_EUSAGE about `where`, with the country that was probably meant. */
BH_NODISCARD int bh_filter_country(const char *where, const char *text, size_t len,
                                   char ret_code[3], struct bh_error *err);

/* ret_selected[row] = 1 or 0 for every row of the batch. Returns how many rows were left out
 * because the answer is unknown. */
uint32_t
bh_filter_batch(const struct bh_filter *f, const struct bh_batch *b, uint8_t *ret_selected);
/* Take out of counted[] (the rows inside the period) what the filter does not select. Returns how
 * many of them went because the answer is unknown. */
uint32_t bh_filter_narrow(const struct bh_filter *f, struct bh_batch *b);

/* The same of rows that stand for as many records as their weight says: so many of them. */
uint64_t bh_filter_narrow_sums(const struct bh_filter *f, struct bh_batch *b);
/* Which parts of an access it looks at, BH_PART_...: an access that has these, and any of our addresses as its destination, is
 * judged as the access itself. `near`: values of the country database of all our addresses; none: not known. */
uint32_t bh_filter_asks(const struct bh_filter *f, const uint16_t *near, size_t near_count);

/* Who says of records that were not read what the filter may say of them: for a packet log, which then reads
 * less. Without `countries_known` (country[] of its records is not what is asked for) it knows nothing of
 * countries. It borrows the filter. */
BH_NODISCARD int
bh_filter_judge_new(const struct bh_filter *f, bool countries_known, struct bh_judge **ret_judge);
void bh_filter_judge_free(struct bh_judge *judge);

#endif
