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

/* Why a segment has none; permanent numbers. */
enum rollup_reason {
    ROLLUP_WRITTEN = 0,
    ROLLUP_WEIGHTS = 1,  /* records stand for several packets                     */
    ROLLUP_TIMES = 2,    /* before 1970, or not known                             */
    ROLLUP_ORDER = 3,    /* a source steps back into an hour that it had left     */
    ROLLUP_MANY = 4,     /* days, hours, or addresses of our own                  */
    ROLLUP_NO_GAIN = 5,  /* it would be large beside the blocks                   */
};

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
    int64_t *place;                /* [country]: first, last                   */
    uint8_t *dst_ports;            /* BH_ROLLUP_PORTS                          */
    struct rollup_list knocked, pinged, then, inbound, own;
    struct bh_rollup_burst *burst;
    size_t bursts, burst_cap;
    uint64_t *access;              /* list key << 32 | source; later the keys of the set */
    uint32_t *count;               /* of the set                               */
    size_t accesses, access_cap;
};
struct rollup_hour {
    int64_t start_ns, end_ns, first_ns, last_ns;
    uint64_t frames;
    uint32_t busiest;
    uint32_t *cell; /* [country]: TCP, UDP */
};
/* Sorted keys (list key << bits | source) and how often each came. */
void rollup_put_sets(struct code_work *w, struct bh_buf *out, const uint64_t *key,
                     const uint32_t *count, size_t n, unsigned bits);
void rollup_put_day(struct code_work *w, struct bh_buf *out, const struct rollup_day *d,
                    const struct rollup_hour *hour, size_t hours, uint32_t countries);

/* ---- reading -------------------------------------------------------------------------------------- */

struct rollup_head {
    uint32_t flags, reason;
    uint64_t rows;
    uint32_t entries, once4, once6, own, days;
    struct rollup_part common, whole;
    struct rollup_day_ref {
        int64_t start_ns, end_ns;
        uint64_t rows;
        struct rollup_part small, sets;
    } *day;
};
enum { ROLLUP_HAS_WHOLE = 1 };
BH_NODISCARD int rollup_head_get(const uint8_t *data, size_t size, uint64_t body_size,
                                 uint64_t rows, struct rollup_head *ret);
void rollup_head_done(struct rollup_head *h);
/* All sums of the body are right. */
bool rollup_is_sound(const struct rollup_head *h, const uint8_t *body);

#endif
