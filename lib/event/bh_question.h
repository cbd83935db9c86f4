/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_question.h - what is asked of records that are only added up.
 *
 * Who counts says which numbers it wants and what tells one group of records from another; a filter says what it
 * looks at besides. Who keeps sums of records then knows whether they answer, or the records must be read.
 *
 * Threads: plain data.
 */
#ifndef BH_QUESTION_H
#define BH_QUESTION_H

#include "bh_base.h"

enum bh_asked {
    BH_ASKED_EACH = 0, /* something that sums do not tell */
    BH_ASKED_ACCESSES,
    BH_ASKED_SOURCES, /* distinct ones, of accesses      */
    BH_ASKED_PACKETS, /* inbound IP packets              */
    BH_ASKED_RECORDS,
};

/* Parts of a record. */
enum {
    BH_PART_HOUR = 1 << 0, /* in the zone of the question, as are the next two; weekdays are days */
    BH_PART_DAY = 1 << 1,
    BH_PART_MONTH = 1 << 2,
    BH_PART_TIME = BH_PART_HOUR | BH_PART_DAY | BH_PART_MONTH,
    BH_PART_COUNTRY = 1 << 3, /* of the far end             */
    BH_PART_PROTO = 1 << 4,
    BH_PART_PORT = 1 << 5,   /* the destination's, of accesses */
    BH_PART_FAMILY = 1 << 6, /* IPv4, IPv6                    */
    BH_PART_OUTCOME = 1 << 7,
    BH_PART_ADDRESS = 1 << 8, /* the source's                  */
    BH_PART_SENSOR = 1 << 9,
    BH_PART_CLASS = 1 << 10,     /* and direction: of accesses both are known */
    BH_PART_OTHER_END = 1 << 11, /* a filter that asks for either end, or for the other one */
    BH_PART_MORE = 1 << 12,      /* anything else */
};

struct bh_question {
    enum bh_asked what;
    uint32_t parts; /* BH_PART_... */
};

/* Only accesses count: what a filter says of other records does not matter. */
static inline bool
bh_question_is_of_accesses(const struct bh_question *q)
{
    return q->what == BH_ASKED_ACCESSES || q->what == BH_ASKED_SOURCES;
}

#endif
