/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections: what became of an access (MEANING.md 3), and which segments belong to none.
 *
 * A bucket is one cache line of four connections, newest in front: a new one moves the others
 * one place down and the last falls out, so that nothing has to choose a victim, and "no
 * answer" costs nothing: it is accesses minus all that moved on. A verdict changes only within
 * 30 s of the first SYN, on a tick of 2^20 ns.
 */
#include "track_priv.h"

#include <errno.h>
#include <stdlib.h>

static const uint8_t outcome_of[8] = {
    [FLOW_NONE] = BH_OUTCOME_NONE,
    [FLOW_SYN] = BH_OUTCOME_NONE,
    [FLOW_HALF] = BH_OUTCOME_HALF_OPEN,
    [FLOW_OPEN] = BH_OUTCOME_COMPLETE,
    [FLOW_DONE] = BH_OUTCOME_COMPLETE,
    [FLOW_REFUSED] = BH_OUTCOME_REFUSED,
    [FLOW_RESET] = BH_OUTCOME_RESET_BY_CLIENT,
    [FLOW_OTHER] = BH_OUTCOME_NONE,
};

static inline unsigned
state_of(struct flow f)
{
    return f.in->rest[f.at] >> 9 & 7;
}

static inline void
set_state(struct flow f, unsigned state)
{
    f.in->rest[f.at] = (f.in->rest[f.at] & ~(7U << 9)) | state << 9;
}

static inline unsigned
n_of(struct flow f)
{
    return f.in->rest[f.at] >> 12 & N_MAX;
}

static inline unsigned
country_of(struct flow f)
{
    return f.in->rest[f.at] & 0x1ff;
}

static inline uint32_t
connection_of(struct flow f)
{
    return n_of(f) << 9 | country_of(f);
}

static inline uint32_t
age_of(struct flow f, uint32_t now)
{
    return now - f.in->syn_tick[f.at];
}

static inline void
seen(struct flow f, uint32_t second)
{
    f.in->seq_seen[f.at] = (f.in->seq_seen[f.at] & 0xffff0000U) | second;
}

static void
move_add(struct bh_track *t, unsigned country, unsigned port, unsigned from, unsigned to,
         unsigned n)
{
    if (n == 0 || from == to) {
        return;
    }
    if (t->move_count == t->move_cap) {
        size_t cap = t->move_cap * 2;
        struct bh_move *p = realloc(t->moves, cap * sizeof *p);
        if (p == NULL) {
            t->bounds.repeats_lost += n;
            return;
        }
        t->moves = p;
        t->move_cap = cap;
    }
    t->moves[t->move_count++] = (struct bh_move){ (uint16_t)country, (uint16_t)port, (uint8_t)from,
                                                  (uint8_t)to, (uint16_t)n };
}

/* A connection goes from one state to another; its accesses move with it. */
static void
become(struct bh_track *t, struct flow f, unsigned state, unsigned port)
{
    unsigned from = outcome_of[state_of(f)], to = outcome_of[state];
    set_state(f, state);
    if (t->cfg.hold) {
        t->verdicts[connection_of(f)] = (uint8_t)to;
    } else {
        move_add(t, country_of(f), port, from, to, n_of(f));
    }
}

/* Those above the bits that choose among the first buckets. */
static inline uint32_t
tag8_of(uint64_t hash)
{
    return (uint32_t)(hash / FIRST_FLOWS) & 0xff;
}

/* ---- one-sided views ---------------------------------------------------------------------- */

static void
pending_add(struct bh_track *t, struct pending x)
{
    struct pending *p = &t->pending[t->pending_head++ % PENDING_SLOTS];
    if (t->pending_head > PENDING_SLOTS && within_ns(p->ts_ns, x.ts_ns, VERDICT_NS)) {
        t->bounds.held_early++;
    }
    *p = x;
}

/* A SYN nobody answered yet, in a view that was one-sided when it came. Its 30 s began at
 * first_ns, with the first SYN of its connection. */
static BH_NOINLINE void
one_sided_syn(struct bh_track *t, const struct bh_batch *b, uint32_t i, uint64_t hash,
              int64_t first_ns)
{
    const uint16_t country = b->country[i], port = (uint16_t)b->ports[i];
    if (t->cfg.hold || b->counted[i] != 1) {
        return;
    }
    if (!t->two_sided) {
        if (t->pending != NULL) {
            pending_add(t, (struct pending){ first_ns, country, port, (uint32_t)hash });
        }
    } else if (!within_ns(first_ns, t->two_sided_ns,
                          VERDICT_NS - 1)) { /* in the batch that made it two-sided */
        move_add(t, country, port, BH_OUTCOME_NONE, BH_OUTCOME_UNKNOWN, 1);
    }
}

/* A router on the way may have refused it, with nothing of ours seen. */
static bool
was_refused(const struct bh_track *t, const struct pending *p)
{
    const struct bucket *b = &t->flows[p->hash & t->flow_mask];
    for (unsigned k = 0; k < BUCKET; k++) {
        if (b->rest[k] >> 24 == tag8_of(p->hash) && b->syn_tick[k] == tick_of(p->ts_ns)) {
            return (b->rest[k] >> 9 & 7) == FLOW_REFUSED;
        }
    }
    return false;
}

void
bh_track_two_sided(struct bh_track *t, int64_t ts_ns)
{
    if (t->two_sided) {
        return;
    }
    t->two_sided = true;
    t->two_sided_ns = ts_ns;
    if (t->pending == NULL) {
        return;
    }
    /* Until now "no answer" meant unknown. Those whose 30 s are not over mean silent. */
    uint64_t n = t->pending_head < PENDING_SLOTS ? t->pending_head : PENDING_SLOTS;
    for (uint64_t k = 0; k < n; k++) {
        const struct pending *p = &t->pending[k];
        if (within_ns(p->ts_ns, ts_ns, VERDICT_NS - 1) && !was_refused(t, p)) {
            move_add(t, p->country, p->port, BH_OUTCOME_UNKNOWN, BH_OUTCOME_NONE, 1);
        }
    }
    bh_pages_free(t->pending, sizeof *t->pending * PENDING_SLOTS);
    t->pending = NULL;
}

bool
bh_track_is_two_sided(const struct bh_track *t)
{
    return t->two_sided;
}

/* ---- the table -------------------------------------------------------------------------------- */

typedef uint32_t four __attribute__((vector_size(16)));

static inline four
load4(const uint32_t p[BUCKET])
{
    four v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The connection of this tag; false when the bucket has none. */
static BH_ALWAYS_INLINE bool
find(struct bucket *b, uint32_t tag, uint32_t tag8, struct flow *ret)
{
    four hit = (four)(load4(b->tag) == tag) & (four)((load4(b->rest) >> 24) == tag8);
    uint64_t low, high;
    memcpy(&low, &hit, sizeof low);
    memcpy(&high, (const char *)&hit + 8, sizeof high);
    if (BH_LIKELY((low | high) == 0)) {
        return false;
    }
    ret->in = b;
    ret->at = low != 0 ? ((uint32_t)hit[0] == 0) : 2 + ((uint32_t)hit[2] == 0);
    return true;
}

static inline void
push(uint32_t p[BUCKET], uint32_t x)
{
    p[3] = p[2];
    p[2] = p[1];
    p[1] = p[0];
    p[0] = x;
}

static inline uint32_t
tag_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32);
}

/* Is the last one still known? Its next segment would be taken for something else. */
static inline bool
is_full(const struct bucket *b, uint32_t now)
{
    return (b->rest[3] >> 9 & 7) != FLOW_NONE && is_near(second_of(now) - b->seq_seen[3]);
}

/* More buckets, until there is a place in the one of this hash; or at the bound, the one it has. */
static BH_NOINLINE struct bucket *
make_room(struct bh_track *t, uint64_t hash, uint32_t now)
{
    struct bucket *b = &t->flows[hash & t->flow_mask];
    while (is_full(b, now) && flows_grow(t)) {
        b = &t->flows[hash & t->flow_mask];
    }
    const unsigned state = b->rest[3] >> 9 & 7;
    t->bounds.flows_lost +=
        (state - FLOW_SYN <= FLOW_OPEN - FLOW_SYN) & (now - b->syn_tick[3] <= VERDICT_TICKS);
    return b;
}

/* In front; the last one falls out. */
static BH_ALWAYS_INLINE void
insert(struct bh_track *t, uint64_t hash, uint32_t now, uint32_t seq_seen, uint32_t rest)
{
    struct bucket *b = &t->flows[hash & t->flow_mask];
    if (BH_UNLIKELY(is_full(b, now))) {
        b = make_room(t, hash, now);
    }
    push(b->tag, tag_of(hash));
    push(b->syn_tick, now);
    push(b->seq_seen, seq_seen);
    push(b->rest, rest);
}

static inline uint32_t
fold(uint32_t seq)
{
    return (seq * 0x9e3779b1U) >> 16;
}

static inline uint32_t
pack(uint32_t tag8, unsigned n, unsigned state, unsigned country)
{
    return tag8 << 24 | n << 12 | state << 9 | country;
}

/* When a connection of this age began. */
static inline int64_t
first_ns(const struct bh_batch *b, uint32_t i, uint32_t age)
{
    return (int64_t)((uint64_t)b->ts_ns[i] - ((uint64_t)age << TICK_SHIFT));
}

/* The same contact again, or a new one on the same addresses and ports. */
static BH_NOINLINE bool
syn_again(struct bh_track *t, struct bh_batch *b, uint32_t i, struct flow f, uint64_t hash,
          uint32_t seq_seen)
{
    const unsigned state = state_of(f), counted = b->counted[i] == 1;
    const uint32_t age = age_of(f, tick_of(b->ts_ns[i]));
    if (state == FLOW_OTHER || (f.in->seq_seen[f.at] ^ seq_seen) >> 16 != 0 ||
        age > VERDICT_TICKS) {
        return false;
    }
    f.in->seq_seen[f.at] = seq_seen;
    if (t->cfg.hold) {
        b->connection[i] = (age >> AGE_SHIFT) << CONN_BITS | connection_of(f);
        return true;
    }
    if (state == FLOW_SYN && (!t->two_sided || b->ts_ns[i] < t->two_sided_ns)) {
        one_sided_syn(t, b, i, hash, first_ns(b, i, age));
    }
    if (n_of(f) == N_MAX) {
        t->bounds.repeats_lost += counted;
    } else {
        f.in->rest[f.at] += counted << 12;
    }
    /* the SYN before may have been outside the period, where nobody asks for a country */
    if (counted) {
        f.in->rest[f.at] = (f.in->rest[f.at] & ~0x1ffU) | (b->country[i] & 0x1ffU);
    }
    move_add(t, b->country[i], b->ports[i] & 0xffff, BH_OUTCOME_NONE, outcome_of[state], counted);
    return true;
}

static BH_ALWAYS_INLINE void
on_syn(struct bh_track *t, struct bh_batch *b, uint32_t i, struct bucket *bucket, uint64_t hash)
{
    const uint32_t tag = tag_of(hash), tag8 = tag8_of(hash);
    const uint32_t now = tick_of(b->ts_ns[i]);
    const uint32_t seq_seen = fold(b->tcp_seq[i]) << 16 | second_of(now);
    struct flow f;
    bool known = find(bucket, tag, tag8, &f);
    if (BH_UNLIKELY(known) && syn_again(t, b, i, f, hash, seq_seen)) {
        return;
    }
    if (BH_UNLIKELY(!t->two_sided || b->ts_ns[i] < t->two_sided_ns)) {
        one_sided_syn(t, b, i, hash, b->ts_ns[i]);
    }
    uint32_t rest = pack(tag8, b->counted[i] == 1, FLOW_SYN, b->country[i] & 0x1ffU);
    if (BH_UNLIKELY(t->cfg.hold)) {
        uint32_t c = t->next_connection++ & (CONN_MAX - 1);
        t->verdicts[c] = BH_OUTCOME_NONE;
        b->connection[i] = c;
        rest = pack(tag8, c >> 9, FLOW_SYN, c & 0x1ff);
    }
    if (BH_UNLIKELY(known)) {
        f.in->syn_tick[f.at] = now;
        f.in->seq_seen[f.at] = seq_seen;
        f.in->rest[f.at] = rest;
    } else {
        insert(t, hash, now, seq_seen, rest);
    }
}

/* A segment of ours. */
static void
on_outbound(struct bh_track *t, const struct bh_batch *b, uint32_t i, struct bucket *bucket,
            uint64_t hash)
{
    const uint32_t tag8 = tag8_of(hash);
    const uint32_t now = tick_of(b->ts_ns[i]), second = second_of(now);
    const unsigned flags = b->tcp_flags[i], port = b->ports[i] >> 16;
    struct flow f;
    if (!find(bucket, tag_of(hash), tag8, &f)) {
        if ((flags & BH_TCP_RST) == 0) { /* our own connection, or one from before the capture */
            insert(t, hash, now, second, pack(tag8, 0, FLOW_OTHER, 0));
        }
        return;
    }
    seen(f, second);
    if (age_of(f, now) > VERDICT_TICKS) {
        return;
    }
    switch (state_of(f)) {
    case FLOW_SYN:
        if ((flags & BH_TCP_RST) != 0) {
            become(t, f, FLOW_REFUSED, port);
        } else if ((flags & (BH_TCP_SYN | BH_TCP_ACK)) == (BH_TCP_SYN | BH_TCP_ACK)) {
            become(t, f, FLOW_HALF, port);
        }
        break;
    case FLOW_OPEN:
        if (b->payload_len[i] > 0) {
            set_state(f, FLOW_DONE);
            t->served[port]++;
        }
        break;
    default:
        break;
    }
}

/* An inbound segment that is no SYN. Returns its class. */
static uint8_t
on_inbound(struct bh_track *t, const struct bh_batch *b, uint32_t i, struct bucket *bucket,
           uint64_t hash)
{
    const uint32_t now = tick_of(b->ts_ns[i]), second = second_of(now);
    const unsigned flags = b->tcp_flags[i], port = b->ports[i] & 0xffff;
    struct flow f;
    if (!find(bucket, tag_of(hash), tag8_of(hash), &f) ||
        ((second - f.in->seq_seen[f.at]) & 0xffff) > FLOW_IDLE_S) {
        if ((flags & BH_TCP_RST) != 0 ||
            (flags & (BH_TCP_SYN | BH_TCP_ACK)) == (BH_TCP_SYN | BH_TCP_ACK)) {
            return BH_CLASS_TCP_BACKSCATTER;
        }
        bool bare_ack = (flags & 0x3f) == BH_TCP_ACK && b->payload_len[i] == 0;
        return bare_ack && t->two_sided && b->ts_ns[i] >= t->two_sided_ns &&
                       !within_ns(t->cfg.start_ns, b->ts_ns[i], ACK_SCAN_AFTER_NS - 1)
                   ? BH_CLASS_TCP_ACK_SCAN
                   : BH_CLASS_TCP_STRAY;
    }
    seen(f, second);
    if (age_of(f, now) > VERDICT_TICKS) {
        return BH_CLASS_TCP_IN_FLOW;
    }
    unsigned state = state_of(f);
    bool payload = b->payload_len[i] > 0;
    if ((flags & BH_TCP_RST) != 0) {
        if (state == FLOW_HALF || state == FLOW_OPEN) {
            become(t, f, FLOW_RESET, port);
        }
    } else if (state == FLOW_HALF && (flags & (BH_TCP_ACK | BH_TCP_SYN)) == BH_TCP_ACK) {
        become(t, f, payload ? FLOW_DONE : FLOW_OPEN, port);
        t->served[port] += payload;
    } else if (state == FLOW_OPEN && payload) {
        set_state(f, FLOW_DONE);
        t->served[port]++;
    }
    return BH_CLASS_TCP_IN_FLOW;
}

/* Is the error told to who sent the quoted packet? Another is forged. */
static bool
tells_sender(const struct bh_batch *b, uint32_t i, const struct bh_quote *q)
{
    if (q->kind != b->kind[i]) {
        return false;
    }
    if (q->kind == BH_KIND_IP4) {
        return q->src == b->dst[i];
    }
    const struct bh_ip6_pair *p = &b->ip6[b->src[i]];
    return q->ip6.src_hi == p->dst_hi && q->ip6.src_lo == p->dst_lo;
}

/* Is the quoted packet one that we sent? Then the error is part of our own doing. */
static bool
quotes_ours(const struct bh_track *t, const struct bh_batch *b, uint32_t i,
            const struct bh_quote *q)
{
    if (!q->has_ports || !tells_sender(b, i, q)) {
        return false;
    }
    uint64_t hash = quote_hash_ours(t, q);
    struct flow f;
    return q->proto == BH_PROTO_TCP
               ? find(&t->flows[hash & t->flow_mask], tag_of(hash), tag8_of(hash), &f)
               : talk_is_known(t, hash, b->ts_ns[i]);
}

/* An ICMP error, quoting what it answers. Only "destination unreachable" decides an outcome. */
static uint8_t
on_error(struct bh_track *t, const struct bh_batch *b, uint32_t i, const struct bh_quote *q)
{
    const bool out = b->direction[i] == BH_DIR_OUT, in = b->direction[i] == BH_DIR_IN;
    const bool unreachable = b->ports[i] >> 16 == (b->proto[i] == BH_PROTO_ICMP6 ? 1 : 3);
    uint8_t cls = in            ? BH_CLASS_ICMP_BACKSCATTER
                  : !out        ? BH_CLASS_NONE
                  : unreachable ? BH_CLASS_ICMP_UNREACHABLE_SENT
                                : BH_CLASS_ICMP_OTHER;
    if (in && q != NULL && quotes_ours(t, b, i, q)) {
        return BH_CLASS_ICMP_OTHER;
    }
    if (q == NULL || !unreachable || !q->has_ports || q->proto != BH_PROTO_TCP || in ||
        !tells_sender(b, i, q)) {
        return cls;
    }
    uint64_t hash = quote_hash(t, q);
    struct flow f;
    if (!find(&t->flows[hash & t->flow_mask], tag_of(hash), tag8_of(hash), &f) ||
        state_of(f) != FLOW_SYN) {
        return cls;
    }
    const uint32_t age = age_of(f, tick_of(b->ts_ns[i]));
    if (age > VERDICT_TICKS) {
        return cls;
    }
    if (!t->cfg.hold && !within_ns(first_ns(b, i, age), t->two_sided_ns, VERDICT_NS - 1)) {
        /* A router's, in the batch of the first packet of ours: "unknown" was said too early. */
        move_add(t, country_of(f), q->ports & 0xffff, BH_OUTCOME_UNKNOWN, BH_OUTCOME_NONE, n_of(f));
    }
    become(t, f, FLOW_REFUSED, q->ports & 0xffff);
    return cls;
}

size_t
bh_track_flows(struct bh_track *t, struct bh_batch *b, const struct bh_move **ret_moves)
{
    uint32_t quote = 0;
    if (t->flow_rows > 0) {
        flows_sweep(t, tick_of(b->ts_ns[t->flow_row[0]]));
    }
    for (uint32_t j = 0; j < t->flow_rows; j++) {
        const uint32_t i = t->flow_row[j];
        const uint64_t hash = t->flow_hash[j];
        struct bucket *bucket = &t->flows[hash & t->flow_mask];
        if (BH_LIKELY(b->cls[i] == BH_CLASS_ACCESS)) {
            on_syn(t, b, i, bucket, hash);
        } else if (b->cls[i] == BY_QUOTE) {
            while (quote < b->quote_rows && b->quotes[quote].row < i) {
                quote++;
            }
            bool has = quote < b->quote_rows && b->quotes[quote].row == i;
            b->cls[i] = on_error(t, b, i, has ? &b->quotes[quote] : NULL);
        } else if (b->direction[i] == BH_DIR_OUT) {
            b->cls[i] = BH_CLASS_NONE;
            on_outbound(t, b, i, bucket, hash);
        } else {
            b->cls[i] = on_inbound(t, b, i, bucket, hash);
        }
    }
    *ret_moves = t->moves;
    size_t n = t->move_count;
    t->move_count = 0;
    return n;
}

unsigned
bh_track_verdict(const struct bh_track *t, uint32_t connection, int64_t ts_ns)
{
    unsigned v = t->verdicts[connection & (CONN_MAX - 1)];
    if (v != BH_OUTCOME_NONE) {
        return v;
    }
    /* Of its first SYN. */
    ts_ns = (int64_t)((uint64_t)ts_ns -
                      ((uint64_t)(connection >> CONN_BITS) << (TICK_SHIFT + AGE_SHIFT)));
    return t->two_sided && within_ns(ts_ns, t->two_sided_ns, VERDICT_NS - 1) ? BH_OUTCOME_SILENT
                                                                             : BH_OUTCOME_UNKNOWN;
}

/* ---- life --------------------------------------------------------------------------------------- */

int
bh_track_new(const struct bh_track_config *cfg, struct bh_track **ret_track)
{
    struct bh_track *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return -ENOMEM;
    }
    t->cfg = *cfg;
    t->key1 = bh_mix64(cfg->key, 0x9e3779b97f4a7c15ULL);
    t->key2 = bh_mix64(t->key1, cfg->key);
    t->two_sided = cfg->two_sided;
    t->two_sided_ns = INT64_MIN / 2;
    t->move_cap = 4096;
    t->moves = malloc(t->move_cap * sizeof *t->moves);
    t->calls = calloc(CALL_SLOTS, sizeof *t->calls);
    t->coming = calloc(BH_TRACK_CALLS, sizeof *t->coming);
    t->served = calloc(65536, sizeof *t->served);
    t->flow_row = malloc(BH_BATCH_STRIDE * sizeof *t->flow_row);
    t->talk_row = malloc(BH_BATCH_STRIDE * sizeof *t->talk_row);
    t->flow_hash = malloc(BH_BATCH_STRIDE * sizeof *t->flow_hash);
    t->talk_hash = malloc(BH_BATCH_STRIDE * sizeof *t->talk_hash);
    bool ok = tables_init(t, cfg->flow_slots) == 0 && t->moves != NULL && t->calls != NULL &&
              t->coming != NULL && t->served != NULL && t->flow_row != NULL &&
              t->talk_row != NULL && t->flow_hash != NULL && t->talk_hash != NULL;
    if (ok && cfg->outcomes && !cfg->two_sided && !cfg->hold) {
        t->pending = bh_pages_new(sizeof *t->pending * PENDING_SLOTS, false);
        ok = t->pending != NULL;
    }
    if (ok && cfg->hold) {
        t->verdicts = calloc(CONN_MAX, 1);
        ok = t->verdicts != NULL;
    }
    if (!ok) {
        bh_track_free(t);
        return -ENOMEM;
    }
    classify_init(t);
    *ret_track = t;
    return 0;
}

void
bh_track_free(struct bh_track *t)
{
    if (t == NULL) {
        return;
    }
    tables_done(t);
    bh_pages_free(t->pending, sizeof *t->pending * PENDING_SLOTS);
    free(t->moves);
    free(t->calls);
    free(t->coming);
    free(t->served);
    free(t->flow_row);
    free(t->talk_row);
    free(t->flow_hash);
    free(t->talk_hash);
    free(t->verdicts);
    free(t);
}

void
bh_track_get_bounds(const struct bh_track *t, struct bh_track_bounds *ret_bounds)
{
    *ret_bounds = t->bounds;
}

const uint32_t *
bh_track_served_ports(const struct bh_track *t)
{
    return t->served;
}
