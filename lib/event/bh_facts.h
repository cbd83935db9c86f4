/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_facts.h - what is known of records that nobody has read, and who judges by it.
 *
 * A packet log knows of a block, or of the rows of a block that share some codes, which countries and
 * ports they may have. A filter knows which countries and ports it treats alike. So both speak of
 * *classes*: the judge says which class each country and each port belongs to, the log hands over facts as
 * sets of classes, and the judge answers with a set of truths. The answer may be too wide, never too
 * narrow: where it is {no}, no such record can be selected, and none is unknown either.
 *
 * Threads: facts and judges are plain data; truths() must not change anything.
 */
#ifndef BH_FACTS_H
#define BH_FACTS_H

#include "bh_event.h"

/* A set of classes, a bit for each. */
#define BH_CLASSES_MAX 64U
#define BH_CLASSES_ALL UINT64_MAX

/* A set of truths. */
enum { BH_MAY_NO = 1, BH_MAY_UNKNOWN = 2, BH_MAY_YES = 4, BH_MAY_ALL = 7 };

struct bh_range4 {
    uint32_t first, last;
};
struct bh_range6 { /* of one /64 */
    uint64_t hi, first, last;
};

struct bh_facts {
    uint8_t cls, direction, kind, proto; /* of all of them */
    bool odd;         /* perhaps malformed, a fragment, or cut before its ports */
    bool in_front;    /* the service is the source port, else the destination port */
    uint8_t outcomes; /* a bit for each; of TCP accesses */
    uint64_t service_ports, other_ports; /* classes of ports */
    uint64_t far_countries, near_countries;
    /* Far ends; first > last: there are none. */
    struct bh_range4 far4;
    struct bh_range4 far6; /* the upper 32 bits */
    /* All that near ends may be; NULL: anything. */
    const struct bh_range4 *near4;
    const struct bh_range6 *near6;
    size_t near4_count, near6_count;
    const char *sensor; /* NULL: not known */
};

struct bh_judge {
    void *arg;
    const uint8_t *country_class; /* [value of the country database], 65,536 of them */
    const uint8_t *port_class;    /* [port] */
    unsigned country_classes, port_classes;
    uint64_t high_ports; /* classes of ports from 1,024 on */
    bool asks_addresses; /* far4, far6 and near ends matter */
    unsigned (*truths)(void *arg, const struct bh_facts *f);
};

#endif
