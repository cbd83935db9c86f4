/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files that add up a roll-up share: rollup_build.c and rollup_time.c take rows, rollup_end.c makes
 * octets of them, with rollup_sets.c and rollup_put.c. */
#ifndef STORE_ROLLUP_OUT_PRIV_H
#define STORE_ROLLUP_OUT_PRIV_H

#include "rollup_priv.h"

/* Four in a line, as rows ask for them at random. All zero: nothing is known of it. */
struct source_state {
    /* hour: where its last access was, its serial + 1; seen: in the day */
    uint32_t hour : 24, seen : 2, ever : 2;
    uint32_t key : 17, day : 13; /* day + 1; 0: it sent nothing to us */
    uint32_t key_count, hour_count;
};
_Static_assert(sizeof(struct source_state) == 16, "four in a line");
#define HOURS_MOST ((1U << 24) - 2)
#define DAYS_MOST 4096U

struct rollup_out {
    const struct dict *d;
    const struct terms *t;
    enum rollup_reason reason; /* why none is going to be written */
    uint64_t rows;

    struct source_state *source; /* [number of far_out] */
    uint32_t sources;

    struct rollup_day *day; /* sorted */
    size_t days, day_cap, day_at;
    struct rollup_hour *hour; /* sorted */
    size_t hours, hour_cap, hour_at;
    int64_t *hour_start; /* [serial]: in the order they came */
    size_t hour_start_cap;

    /* records of the current day that look like it; not added up yet */
    uint32_t *form_rows, form_cap;
    struct rollup_list forms; /* those that have some                                          */

    struct rollup_list then; /* pinged, and knocked later, on whatever day */

    struct bh_ip *own;
    uint32_t own_count, own_cap, *own_slot, own_mask;
    uint16_t *own_day;
};

/* Room for one more. */
bool rollup_room(void **list, size_t *cap, size_t count, size_t size);
bool rollup_push(struct rollup_list *l, uint32_t v);

/* ---- rollup_time.c: days, hours, our own addresses -------------------------------------------------- */

/* What was counted by form goes into the sums of the current day. */
void rollup_add_forms(struct rollup_out *o);
/* The day, and the hour, of a time become the current ones. False: no memory, or `reason` says it. */
bool rollup_go_to_day(struct rollup_out *o, int64_t ts_ns);
bool rollup_go_to_hour(struct rollup_out *o, int64_t ts_ns);
struct rollup_hour *rollup_hour_at(struct rollup_out *o, int64_t start_ns);
struct rollup_day *rollup_day_at(struct rollup_out *o, int64_t ts_ns);
void rollup_day_done(struct rollup_day *d);
bool rollup_add_own(struct rollup_out *o, struct rollup_day *d, struct bh_ip ip);

/* A source leaves an hour. */
bool rollup_leave_hour(struct rollup_out *o, uint32_t source, const struct source_state *s);

/* ---- rollup_sets.c ------------------------------------------------------------------------------------ */

#define ROLLUP_COUNT_BITS 8U

struct rollup_sets {
    uint32_t sources, countries, units, unit, frequent;
    const uint16_t *country; /* [source] */
    uint32_t *key;           /* [frequent], rising */
    uint16_t *index_of;      /* [key]: + 1; 0: rare */
    uint32_t *total;         /* of the unit: accesses of each source */
    uint32_t *number;        /* [frequent][outcome of 8][country]    */
    uint64_t *bits;          /* [frequent][words]: its sources       */
    size_t words;
    unsigned source_bits, unit_bits, count_bits;
    bool joined;    /* one unit for all days; the source `sources` is one that is not told */
    uint64_t *rare; /* of all units: country, key, unit, outcome, source, accesses less one */
    size_t rares, rare_cap;
};
/* `count`: accesses of each key, `all` of them. BH_ELIMIT: more sources and days than numbers have room for. */
BH_NODISCARD int
rollup_sets_begin(struct rollup_sets *s, uint32_t sources, uint32_t countries, uint32_t units,
                  const uint16_t *country, const uint32_t *count, uint64_t all, bool joined);
void rollup_sets_done(struct rollup_sets *s);
/* Begins to add up another one. */
void rollup_sets_unit(struct rollup_sets *s, uint32_t unit);
/* Accesses: (key << 3 | outcome) << 32 | source. False: no memory. */
bool rollup_sets_add(struct rollup_sets *s, const uint64_t *access, size_t n);
bool rollup_sets_add_rare(struct rollup_sets *s, uint64_t country, uint32_t key, unsigned outcome,
                          uint32_t source, uint32_t accesses);
/* Of the unit: who knocked, and how often; the frequent services. */
void rollup_sets_put_who(const struct rollup_sets *s, struct code_work *w, struct bh_buf *out);
void rollup_sets_put(const struct rollup_sets *s, struct code_work *w, struct bh_buf *out);
/* Of all units; -ENOMEM. */
BH_NODISCARD int rollup_sets_put_rare(struct rollup_sets *s, struct code_work *w,
                                      struct bh_buf *index, struct bh_buf *out);

#endif
