/* SPDX-License-Identifier: BSD-2-Clause */
/* What builds a trend from a tally. */
#ifndef TREND_PRIV_H
#define TREND_PRIV_H

#include "tally_priv.h"

struct build {
    struct bh_tally *t;
    const struct bh_trend_options *o;
    struct bh_trend *out;
    uint32_t (*frequent)[FREQUENT_MAX + 1]; /* [place][bit]: distinct sources */
    uint64_t *top_count;                    /* [place]: accesses of the busiest source */
    struct bh_ip *top_ip;
    uint64_t visited_only;
    uint64_t outside_sources; /* in the tables, and not among the other addresses */
};

/* The best k ports of a sensor, of its cells. */
BH_NODISCARD int
sensor_ports(const struct build *b, uint32_t sensor, size_t k, struct bh_trend_sensor *out);
bool port_before(const struct bh_trend_port *a, const struct bh_trend_port *b);
/* The best k ports of a place by accesses or sources, as far as they are counted; returns how many. */
size_t tally_top(const struct bh_tally *t, uint32_t place, size_t k, bool sources,
                 struct bh_trend_port *ret);
BH_NODISCARD int
place_ports(const struct build *b, uint32_t place, size_t k, struct bh_trend_place *out);
uint64_t cell_sources(const struct build *b, uint32_t cell);
uint64_t cell_unit(const struct build *b, uint32_t cell);
BH_NODISCARD int build_sources(struct build *b); /* one walk over all sources */
BH_NODISCARD int build_timeline(struct build *b);
BH_NODISCARD int build_networks(struct build *b); /* after build_sources() */
BH_NODISCARD int build_sensors(struct build *b);
BH_NODISCARD int build_listed(struct build *b);

#endif
