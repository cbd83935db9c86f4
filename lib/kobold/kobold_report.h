/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_report.h - what inputs cover and where they agree, after kobold_build_finish(). For our
 * tools and tests; not installed.
 *
 * IPv4 is counted in addresses, IPv6 in /64s that lie in a range as a whole. Special-use
 * addresses are left out of the comparison of inputs: whatever they say of these does not count.
 *
 * Ownership: the caller's (kobold_report_free); names are the builder's.
 */
#ifndef KOBOLD_REPORT_H
#define KOBOLD_REPORT_H

#include "kobold_compile.h"

/* With more inputs only the first ones are compared with each other. */
#define KOBOLD_REPORT_INPUTS 16

struct kobold_share {
    uint64_t v4, v6;                   /* addresses, /64s                   */
    uint64_t v4_prefixes, v6_prefixes; /* of the minimal list, where counted */
};

struct kobold_report_place {
    char code[4];
    struct kobold_share share;
};

/* Two inputs, about one country or about all: what both say, where they say different countries,
 * what only one of them lists. */
struct kobold_agreement {
    char code[4];
    struct kobold_share agree;
    struct kobold_share differ_a; /* the first input says this country, the second another */
    struct kobold_share differ_b; /* the other way round; 0 about all                       */
    struct kobold_share only_a, only_b;
};

struct kobold_report_input {
    const char *name;
    enum kobold_layer layer;
    enum kobold_format format;
    struct kobold_share listed; /* with a country, special-use addresses too */
    uint64_t broken, unused, unknown_codes, twice;
};

struct kobold_report_pair {
    size_t a, b; /* indexes of inputs */
    struct kobold_agreement all;
    struct kobold_agreement *countries; /* most differing first */
    size_t country_count;
};

struct kobold_report {
    struct kobold_report_input *inputs;
    size_t input_count;
    struct kobold_share kinds[5];       /* of the result, by KOBOLD_COUNTRY ... */
    struct kobold_report_place *places; /* of the result, most IPv4 addresses first */
    size_t place_count;
    struct kobold_report_pair *pairs;
    size_t pair_count;
};

BH_NODISCARD int
kobold_build_report(kobold_build *b, struct kobold_report **ret, struct bh_error *err);
void kobold_report_free(struct kobold_report *r);

#endif
