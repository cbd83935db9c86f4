/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of lib/track share. */
#ifndef TRACK_PRIV_H
#define TRACK_PRIV_H

#include "bh_track.h"

bool home_in4(const struct bh_home4 *r, size_t n, uint32_t a);
bool home_in6(const struct bh_home6 *r, size_t n, uint64_t hi, uint64_t lo);
void home_finish(struct bh_home *h); /* sort and join the ranges */
BH_NODISCARD int home_add_range4(struct bh_home *h, uint32_t first, uint32_t last);
BH_NODISCARD int home_add_host6(struct bh_home *h, uint64_t hi, uint64_t lo);

/*
 * A connection in 16 octets, four to a bucket, a bucket in one cache line: word by word, so
 * that one comparison looks at four tags. Times are in ticks of 2^20 ns (1.05 ms).
 *   tag       the upper 32 bits of the keyed hash
 *   syn_tick  of its first SYN
 *   seq_seen  sequence number of the SYN folded to 16 bits << 16 | second it was last seen
 *   rest      8 more bits of the hash | 12 bits n | 3 bits state, 0: empty | 9 bits country
 * With `hold`, n and country together are the connection's number (21 bits).
 */
#define BUCKET 4U
struct bucket {
    uint32_t tag[BUCKET], syn_tick[BUCKET], seq_seen[BUCKET], rest[BUCKET];
};

/* One connection of a bucket. */
struct flow {
    struct bucket *in;
    unsigned at;
};

enum flow_state {
    FLOW_NONE,
    FLOW_SYN,
    FLOW_HALF,
    FLOW_OPEN,
    FLOW_DONE,
    FLOW_REFUSED,
    FLOW_RESET,
    FLOW_OTHER
};

/* Values of a class beyond enum bh_class, while it is open who decides. */
enum { BY_FLOW = 200, BY_TALK = 201, BY_QUOTE = 202, BY_ECHO = 203 };

/* The lists a row is on. */
enum { ON_FLOWS = 1, ON_TALKS = 2 };

/* Buckets the tables begin with. What is kept of a hash leaves out the bits that choose among these. */
#define FIRST_FLOWS (1U << 10)
#define FIRST_TALKS (1U << 8)

/* A UDP conversation, or pings of ours: who opened it, and when a datagram was last seen. */
struct talk {
    uint32_t tag, tag2, tick, opener; /* opener: 0 empty, 1 outside, 2 we */
};

#define TICK_SHIFT 20
#define VERDICT_NS 30000000000LL
#define VERDICT_TICKS ((uint32_t)(VERDICT_NS >> TICK_SHIFT))
#define TALK_NS 60000000000LL
#define TALK_TICKS ((uint32_t)(TALK_NS >> TICK_SHIFT))
#define FLOW_IDLE_S 300U
#define ACK_SCAN_AFTER_NS 600000000000LL /* DETECTION 4.3: has run for 10 min */
#define N_MAX 4095U
#define CONN_BITS 21U
#define CONN_MAX (1U << CONN_BITS)
#define AGE_SHIFT 4 /* above the number: age of the connection of a repeated SYN, in 16 ticks */

/* Accesses of the last 30 s while the view is one-sided: at its end some are not decided. */
#define PENDING_SLOTS (1U << 18)
struct pending {
    int64_t ts_ns; /* of the first SYN of the connection */
    uint16_t country, port;
    uint32_t hash; /* low half: where the connection is */
};

/* Home addresses and ports that lately sent to broadcast or multicast: their answers come
 * from anywhere and are no accesses. */
#define CALL_SLOTS 1024U
struct call {
    uint64_t key;
    int64_t ts_ns; /* the last time */
};

struct bh_track {
    struct bh_track_config cfg;
    bool two_sided;
    int64_t two_sided_ns;

    struct bucket *flows;
    uint32_t flow_mask, flow_most; /* buckets - 1, now and at most */
    uint32_t swept_tick, rows_since_sweep;
    struct talk *talks;
    uint32_t talk_mask, talk_most;
    struct call *calls;
    struct call *coming; /* told by bh_track_calls(), in order of time; BH_TRACK_CALLS */
    uint32_t coming_at, coming_count;
    uint64_t key1, key2;

    struct pending *pending; /* ring */
    uint64_t pending_head;   /* next place to write */

    uint8_t *verdicts; /* hold: by connection number */
    uint32_t next_connection;

    struct bh_move *moves;
    size_t move_count, move_cap;
    struct bh_track_bounds bounds;
    uint32_t *served; /* [port] connections that carried payload */

    /* of the batch between classify and flows */
    uint32_t flow_rows, talk_rows;
    uint16_t *flow_row, *talk_row;
    uint64_t *flow_hash, *talk_hash;
    uint8_t cls_table[5][5][256]; /* [direction][kind of protocol][flags or type] -> class */
    uint8_t list_table[5][256];   /* [kind of protocol][class] -> ON_... */
};

BH_NODISCARD int tables_init(struct bh_track *t, uint32_t slots);
void tables_done(struct bh_track *t);
/* Twice the buckets. False at the bound, or without memory. */
bool flows_grow(struct bh_track *t);
bool talks_grow(struct bh_track *t);
/* Before the rows of a batch that begins now: every SWEEP_TICKS what is idle leaves. */
#define HOUR_TICKS 3433227U
#define SWEEP_TICKS (12 * HOUR_TICKS)
void flows_sweep(struct bh_track *t, uint32_t now);

void classify_init(struct bh_track *t);

uint64_t quote_hash(const struct bh_track *t, const struct bh_quote *q);
/* The same for a packet of ours that is quoted to us. */
uint64_t quote_hash_ours(const struct bh_track *t, const struct bh_quote *q);
bool talk_is_known(const struct bh_track *t, uint64_t hash, int64_t ts_ns);

/* now - since <= span; also when the times of a hostile file are too far apart to subtract. */
static inline bool
within_ns(int64_t since, int64_t now, int64_t span)
{
    return now <= since || (uint64_t)now - (uint64_t)since <= (uint64_t)span;
}

static inline uint32_t
tick_of(int64_t ts_ns)
{
    return (uint32_t)((uint64_t)ts_ns >> TICK_SHIFT);
}

/* Of the last packet, to tell idle connections: 954 ticks are 1.0003 s. */
static inline uint32_t
second_of(uint32_t tick)
{
    return tick / 954U & 0xffff;
}

/* Is a connection that was seen so many seconds ago (of 16 bits) still known? As far as clocks that step
 * back leave it open. */
static inline bool
is_near(uint32_t idle)
{
    return ((idle + FLOW_IDLE_S) & 0xffff) <= 2 * FLOW_IDLE_S;
}

#endif
