/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_track.h - what needs the order of packets: is it an access, and what became of it?
 *
 * Two steps per batch, because the second needs what the caller finds out in between:
 *   bh_track_classify()  direction, class of everything that flags and UDP conversations decide
 *   (the caller fills country[] and counted[])
 *   bh_track_flows()     connections: classes that depend on known flows, and outcomes
 *
 * Memory is bounded: flow_slots * 16 octets for connections, a quarter of that for UDP
 * conversations, both in buckets of one cache line, newest first. They begin small and grow as long
 * as they lose something that still matters; what falls out of the largest is counted
 * (bh_track_bounds). Rules: MEANING.md 2 and 3, DETECTION.md 2 to 4; the decisions they
 * leave open: docs/design/track.md.
 *
 * Threads:   one thread per object. Several objects may each get the records of some of the
 *            remote addresses (bh_track_shard); verdicts are then the same as with one object.
 * Ownership: the caller's; `home` is borrowed.
 */
#ifndef BH_TRACK_H
#define BH_TRACK_H

#include "bh_event.h"

/* ---- home ------------------------------------------------------------------------------ */

#define BH_HOME_RANGES 64U /* ranges tested one by one; more are searched */

struct bh_home4 {
    uint32_t first, last;
};
struct bh_home6 {
    uint64_t first_hi, first_lo, last_hi, last_lo;
};

/* What we watch for. Ranges are sorted and do not touch. */
struct bh_home {
    struct bh_home4 *v4; /* our addresses                                   */
    size_t v4_count;
    struct bh_home6 *v6;
    size_t v6_count;
    struct bh_home4 *bcast; /* broadcast addresses of our networks             */
    size_t bcast_count;
    struct bh_home4 *near4; /* networks of single home hosts: "same network"   */
    size_t near4_count;
    struct bh_home6 *near6;
    size_t near6_count;
    bool guessed;
    struct bh_buf text[BH_LANGS]; /* what was taken as home, in words */
    struct bh_buf networks;       /* the same as the user would write it, comma-joined */
};

/* "203.0.113.60/24,2001:db8::/64": see MEANING.md 2. */
BH_NODISCARD int bh_home_parse(const char *text, struct bh_home *ret_home, struct bh_error *err);
void bh_home_done(struct bh_home *h);
bool bh_home_has(const struct bh_home *h, const struct bh_ip *ip);     /* one of our addresses */
bool bh_home_is_near(const struct bh_home *h, const struct bh_ip *ip); /* same network         */

/* The guess from the first BH_HOME_GUESS_PACKETS IP packets. */
#define BH_HOME_GUESS_PACKETS 65536U
struct bh_home_guess; /* opaque */
/* `packets`: how many it will be shown at most; sizes its tables. */
struct bh_home_guess *bh_home_guess_new(uint32_t packets);
void bh_home_guess_free(struct bh_home_guess *g);
/* False when it has seen enough. */
bool bh_home_guess_batch(struct bh_home_guess *g, const struct bh_batch *b);
BH_NODISCARD int
bh_home_guess_end(struct bh_home_guess *g, struct bh_home *ret_home, struct bh_error *err);

/* ---- tracking -------------------------------------------------------------------------- */

struct bh_track_config {
    const struct bh_home *home;
    bool two_sided;      /* an interface, or a packet of ours was found by reading ahead       */
    bool all_accesses;   /* --all-accesses: every inbound TCP/UDP record is an access          */
    bool outcomes;       /* false: connections are not followed (--outcomes no)                */
    bool hold;           /* verdicts by record instead of moves (a filter on outcome, a log)   */
    uint32_t flow_slots; /* at most; rounded down to a power of two, 64 to 2^20; 0: 2^20       */
    int64_t start_ns;    /* time of the first record: "has run for 10 min" counts from here    */
    uint64_t key;        /* of the hashes: bh_random_key()                                     */
};

/* A connection whose outcome changed: n accesses of (country, port) moved. */
struct bh_move {
    uint16_t country;
    uint16_t port;
    uint8_t from, to; /* enum bh_outcome; NONE: not answered (yet)                      */
    uint16_t n;
};

struct bh_track_bounds {
    uint64_t flows_lost;         /* connections that left the table inside their 30 s */
    uint64_t conversations_lost; /* UDP conversations, inside their 60 s              */
    uint64_t repeats_lost;       /* repeated SYNs beyond 4095 in one connection       */
    uint64_t held_early;         /* records decided early because too many were held  */
};

struct bh_track; /* opaque */
BH_NODISCARD int bh_track_new(const struct bh_track_config *cfg, struct bh_track **ret_track);
void bh_track_free(struct bh_track *t);

void bh_track_classify(struct bh_track *t, struct bh_batch *b);
/* Moves of this batch; the array belongs to the track and lasts until the next call. */
size_t bh_track_flows(struct bh_track *t, struct bh_batch *b, const struct bh_move **ret_moves);

/* The first IP packet of ours was seen at ts_ns (by any shard): from then on the view is
 * two-sided. Accesses whose 30 s were over before stay "unknown": their moves NONE ->
 * UNKNOWN come with the next bh_track_flows(). */
void bh_track_two_sided(struct bh_track *t, int64_t ts_ns);
bool bh_track_is_two_sided(const struct bh_track *t);
/* With `hold`: the outcome of the connection that bh_track_flows() wrote into connection[] of
 * an access at ts_ns, as far as it is known now; final once 30 s of packet time have passed. */
unsigned bh_track_verdict(const struct bh_track *t, uint32_t connection, int64_t ts_ns);
void bh_track_get_bounds(const struct bh_track *t, struct bh_track_bounds *ret_bounds);

/* Which of `shards` each row belongs to: by the remote address, so that all that happens
 * between us and one remote address is in one shard. BH_SHARD_ALL: rows that every shard must
 * see (what we send to broadcast and multicast). Needs nothing but the addresses. */
#define BH_SHARD_ALL UINT8_MAX
void bh_track_shard(const struct bh_home *home, const struct bh_batch *b, unsigned shards,
                    uint8_t *ret_shard);
/* Learn what we sent to broadcast and multicast, without counting it (rows of another shard). */
#define BH_TRACK_CALLS 1024U /* more of them are not heard */
void bh_track_calls(struct bh_track *t, struct bh_batch *const *b, size_t batches);
/* Time of the first packet of ours among the rows; INT64_MAX when there is none. */
int64_t bh_track_first_ours(const struct bh_home *home, const struct bh_batch *b);
/* Connections by home port that carried payload; 65,536 counters. */
const uint32_t *bh_track_served_ports(const struct bh_track *t);

#endif
