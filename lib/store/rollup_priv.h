/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The roll-up of a segment: what a report over whole days needs of its records, added up when the
 * segment is written (docs/design/rollups.md, docs/format/log.md "Roll-up").
 *
 * The way in: chunks, as they are coded (rollup_build.c), become octets (rollup_put.c). The way out:
 * octets become a struct bh_rollup (rollup_get.c), which believes nothing of what it reads.
 */
#ifndef STORE_ROLLUP_PRIV_H
#define STORE_ROLLUP_PRIV_H

#include "store_priv.h"

/* Numbers of seven bits an octet, the lowest first; the highest bit says that more come. */
void rollup_put_varint(struct bh_buf *out, uint64_t v);
uint64_t rollup_get_varint(struct bh_cur *c);
/* How many, and the steps from each to the next. */
void rollup_put_ids(struct bh_buf *out, const uint32_t *v, size_t n);
/* A stream of such numbers as one list of octets with its size before it. */
void rollup_put_raw(struct code_work *w, struct bh_buf *out, const struct bh_buf *raw);

/* Where a part of the body lies. */
struct rollup_part {
    uint64_t at, size, sum;
};
/* What stands in the body from `at` on, in the head. */
void rollup_put_part(struct bh_buf *head, const struct bh_buf *body, size_t at);

/* Why a segment has none; permanent numbers. */
enum rollup_reason {
    ROLLUP_WRITTEN = 0,
    ROLLUP_WEIGHTS = 1, /* records stand for several packets                     */
    ROLLUP_TIMES = 2,   /* before 1970, or not known                             */
    ROLLUP_ORDER = 3,   /* a source steps back into an hour that it had left     */
    ROLLUP_MANY = 4,    /* days, hours, or addresses of our own                  */
    ROLLUP_NO_GAIN = 5, /* it would be large beside the blocks                   */
    ROLLUP_OLD = 6,     /* of the first form, in no file: read its records       */
};
enum { ROLLUP_SECOND_FORM = 2, ROLLUP_JOINED = 4 }; /* flags */

/* ---- building ----------------------------------------------------------------------------------- */

struct rollup_out;
/* Of chunks of these tables, in the words of this dictionary, which stay until the end. */
BH_NODISCARD int rollup_begin(const struct dict *d, const struct terms *t, struct rollup_out **ret);
void rollup_free(struct rollup_out *o);
BH_NODISCARD int rollup_add(struct rollup_out *o, const struct chunk *c);
/* Head and body of the frame. Larger than `most` octets it is left out; the head says why. */
BH_NODISCARD int rollup_end(struct rollup_out *o, uint64_t most, struct code_work *w,
                            struct bh_buf *head, struct bh_buf *body);

/* What the builder hands to the coder. */
struct rollup_list { /* of numbers */
    uint32_t *v;
    size_t n, cap;
};
struct rollup_day {
    int64_t start_ns, end_ns;
    struct bh_rollup_sums sums;
    int64_t *place;     /* [country]: first, last                   */
    uint8_t *dst_ports; /* BH_ROLLUP_PORTS                          */
    struct rollup_list pinged, then, own;
    struct rollup_list inbound; /* at the end: who neither knocked nor pinged */
    uint32_t knocked;           /* how many sources                         */
    struct bh_rollup_burst *burst;
    size_t bursts, burst_cap;
    uint64_t *access; /* (key << 3 | outcome) << 32 | source      */
    size_t accesses, access_cap;
};
struct rollup_hour {
    int64_t start_ns, end_ns, first_ns, last_ns;
    uint64_t frames;
    uint32_t busiest, serial; /* serial: of the builder */
    bool is_shared;           /* joined: of several parts */
    uint32_t *cell;           /* [country]: TCP, UDP */
};
void rollup_put_day(struct code_work *w, struct bh_buf *out, const struct rollup_day *d,
                    const struct rollup_hour *hour, size_t hours, uint32_t countries);

/* ---- reading -------------------------------------------------------------------------------------- */

struct rollup_head {
    uint32_t flags, reason;
    uint64_t rows;
    uint32_t entries, once4, once6, own, days;
    struct rollup_part common, rare_index, rare;
    struct rollup_part all_who, all_sets; /* of a joined one, whose days have no sets */
    struct rollup_day_ref {
        int64_t start_ns, end_ns;
        uint64_t rows;
        struct rollup_part small, who, sets;
    } * day;
};
#define ROLLUP_FREQUENT_MOST 256U
#define ROLLUP_KEYS BH_ROLLUP_KEYS /* of services: UDP << 16 | port */
BH_NODISCARD int rollup_head_get(const uint8_t *data, size_t size, uint64_t body_size,
                                 uint64_t rows, struct rollup_head *ret);
void rollup_head_done(struct rollup_head *h);
/* All sums of the body are right. */
bool rollup_is_sound(const struct rollup_head *h, const uint8_t *body);

#endif
