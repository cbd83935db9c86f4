/* SPDX-License-Identifier: BSD-2-Clause */
/* What joins roll-ups: joined.c drives and writes, joined_sources.c numbers sources, joined_days.c joins days,
 * joined_sets.c who asked for what. */
#ifndef STORE_JOINED_PRIV_H
#define STORE_JOINED_PRIV_H

#include "rollup_in_priv.h"
#include "rollup_out_priv.h"

struct join_part { /* a segment */
    const struct log_file *file;
    struct bh_rollup *u;
    uint32_t *id;      /* [source]: here; UINT32_MAX: it sent nothing to us */
    uint16_t *country; /* [country]: here */
};

struct join {
    struct join_part *part; /* one after the other in time */
    size_t parts;
    struct dict dict; /* countries and sources, by country and address */
    uint32_t sources, sources4;
    uint16_t *country; /* [source] */
    /* IPv4 ones by address, for look-ups: address << 32 | source. */
    uint64_t *by_address;

    struct rollup_day *day; /* sorted */
    size_t days;
    struct rollup_hour *hour; /* sorted */
    size_t hours;
    uint64_t rows;
    uint32_t *total;                 /* [source]: accesses */
    struct rollup_list then, pinged; /* sorted */
    struct bh_ip *own;
    uint32_t own_count;
};

/* Each: 0, -ENOMEM, BH_EDAMAGED; BH_ELIMIT: they do not fit to each other, and nothing is joined. */
BH_NODISCARD int join_sources(struct join *j);
/* UINT32_MAX: there is none. */
uint32_t join_find(const struct join *j, const struct bh_ip *ip);
/* Days and hours, own addresses, pings. */
BH_NODISCARD int join_days(struct join *j);
/* Hours that lie in several segments are read. */
BH_NODISCARD int join_bursts(struct join *j);
BH_NODISCARD int join_sets(struct join *j, struct rollup_sets *s);

#endif
