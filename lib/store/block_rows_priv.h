/* SPDX-License-Identifier: BSD-2-Clause */
/* A block that is open: what block_open.c unpacks and block_get.c takes rows from. */
#ifndef STORE_BLOCK_ROWS_PRIV_H
#define STORE_BLOCK_ROWS_PRIV_H

#include "store_priv.h"

struct list { /* numbers that are taken one after the other */
    uint32_t *v;
    uint32_t n, at;
};

/* Rows that are wanted of a block, by a sieve; all else of a block_rows is as it was unpacked. */
struct block_some {
    uint32_t count, next; /* rows; the first that was not handed out */
    uint64_t unknown;     /* others that are only counted            */
    uint64_t *at;         /* counters of streams before the row      */
    int64_t *ts_ns;
    uint64_t *far_hi, *far_lo;
    uint32_t *group, *entry, *form, *len;
    uint16_t *row, *port, *other, *country;
    /* among IPv4 rows, IPv6 rows, rows with an IPv4 near end; when asked for */
    uint16_t *rank4, *rank6, *rank_near;
    uint32_t *all_entries; /* of all rows, when ports need them */
};

struct block_rows {
    const struct dict *d;
    const struct block_head *h;
    uint32_t want, row;
    unsigned streams;       /* that are opened: a bit each */
    bool no_times, no_near; /* columns that are not */
    bool wide_country;

    uint8_t *time, *country, *country_high, *far, *service, *outcome, *ttl;
    uint8_t *shape[STREAMS], *hit[STREAMS];
    uint32_t stream_rows[STREAMS];
    struct list near, service_group, service_port, shape_form[STREAMS], shape_len[STREAMS],
        other[STREAMS];
    struct list near_part[4], seq[2], window[2], ip_id, weight;
    struct code_bits_in time_bits, far_bits;
    const uint8_t *quotes, *seen;
    struct bh_buf side; /* quotes, then seen, unpacked */
    size_t quotes_size, seen_size;
    uint32_t outcome_at, shape_at[STREAMS], hit_at[STREAMS];

    int64_t ts_ns;
    uint32_t last_far; /* entry of the row before; UINT32_MAX: none */
    struct {
        uint64_t hi, lo;
        uint16_t country;
    } last_once;
    uint16_t last_other[STREAMS][LAST_OTHER];
    struct block_some *some; /* NULL: never asked for                        */
    bool is_sieved;          /* only rows of `some` are handed out            */
};

/* Service and country only, and time when it is asked for. */
BH_NODISCARD int block_open_codes(struct block_rows *r, const struct dict *d,
                                  const struct block_head *h, const uint8_t *body, bool time);

static inline uint32_t
group_of_code(const struct dict *d, uint8_t code)
{
    return d->group[d->service[code].group];
}

/* Octets of one in the lists beside the columns. */
#define QUOTE4_SIZE 19U
#define QUOTE6_SIZE 43U
#define SEEN_SIZE 28U

#endif
