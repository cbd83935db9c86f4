/* SPDX-License-Identifier: BSD-2-Clause */
/* Questions out of roll-ups: summed.c decides which records are known by them, summed_rows.c makes rows of what they
 * say, summed_ends.c finds when the first and the last record was. */
#ifndef SUMMED_PRIV_H
#define SUMMED_PRIV_H

#include "run_priv.h"

/* What a roll-up has together, and so answers. */
enum summed_grain {
    GRAIN_HOURS,    /* accesses by hour, country, protocol            */
    GRAIN_SERVICES, /* accesses by day, service, country, outcome     */
    GRAIN_SOURCES,  /* accesses by day, source                        */
    GRAIN_FRAMES,   /* records by hour                                */
    GRAIN_DAYS,     /* records by day and class, inbound packets by day */
    GRAIN_COUNT,
};

struct summed_part { /* a roll-up */
    size_t file;     /* BH_STORE_JOINED: of all segments */
    uint16_t sensor;
    uint32_t days;
    bool by_all; /* joined, and its days are not told apart */
    struct bh_rollup *u;
    struct bh_rollup_day *day; /* of grains by hours: decoded */
    uint16_t *value;           /* of its countries, in the query's database */
    bool *may;                 /* of its countries: the filter may select some  */
};

/* What is known or read as a whole. */
struct summed_unit {
    int64_t first_ns, last_ns; /* no record of it lies outside */
    uint32_t part, day, hour;  /* hour: of the day's            */
    uint64_t rows;
    bool read; /* its records are */
};

struct summed {
    struct run *x;
    struct bh_question q; /* with what the filter asks                 */
    uint32_t filter_parts;
    enum summed_grain grain;
    struct summed_part *part;
    size_t parts;
    struct summed_unit *unit; /* by their beginning */
    size_t units, unit_cap;
    struct bh_store_range *without; /* times of which all records are known */
    size_t withouts;
    uint64_t rows, joined_rows; /* records that are known */
    uint8_t *keys;              /* services that the filter may select, a bit each */
};

/* Whether roll-ups answer, and for which times. NULL in *ret: they do not, and *ret_why is a word of plan.c. */
BH_NODISCARD int summed_choose(struct run *x, const struct bh_question *q, bool avoid_joined,
                               struct summed **ret, const char **ret_why);
void summed_free(struct summed *s);
bool summed_knows(const struct summed *s, int64_t ts_ns);
/* Of all records of a unit the same hour, day or month, as far as it is asked. */
int64_t summed_cut(uint32_t parts, int64_t ts_ns);

/* Rows with weights to `take`. BH_EDAMAGED: what came is to be forgotten. */
typedef int summed_take_fn(void *arg, struct bh_batch *b);
BH_NODISCARD int summed_rows(struct summed *s, summed_take_fn *take, void *arg);

/* First and last of the records that are known and selected, where the period leaves them open; `begin` begins to read a
 * time, `select` marks rows. */
struct summed_reader {
    int (*begin)(void *arg, int64_t start_ns, int64_t end_ns);
    void (*select)(void *arg, struct bh_batch *b);
    void *arg;
};
BH_NODISCARD int summed_ends(struct summed *s, const struct summed_reader *reader,
                             int64_t *ret_first_ns, int64_t *ret_last_ns);

/* An empty batch of sums, and a row of it. */
void
summed_batch_reset(const struct summed *s, const char *const *sensor_names, struct bh_batch *b);
uint32_t summed_row(struct bh_batch *b, const struct summed_part *p, uint32_t country, uint32_t key,
                    int64_t ts_ns, uint32_t weight);

#endif
