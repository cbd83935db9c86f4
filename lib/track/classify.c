/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Direction and class of every record of a batch (MEANING.md 2 and 3, DETECTION.md 3 and 4.3).
 *
 * A table says what direction, protocol and flags (or ICMP type) alone decide; what needs more
 * goes onto one of two lists: segments (and ICMP errors) of connections, for flows.c, and UDP
 * datagrams, decided here. The line of each list's table is asked for ahead of its use.
 */
#include "track_priv.h"

enum { PC_OTHER, PC_TCP, PC_UDP, PC_ICMP, PC_ICMP6 };

static uint8_t
inbound_tcp(unsigned flags)
{
    flags &= BH_TCP_FIN | BH_TCP_SYN | BH_TCP_RST | BH_TCP_PSH | BH_TCP_ACK | BH_TCP_URG;
    unsigned core = flags & (BH_TCP_SYN | BH_TCP_ACK | BH_TCP_RST | BH_TCP_FIN);
    if (core == BH_TCP_SYN) {
        return BH_CLASS_ACCESS;
    }
    if (flags == 0) {
        return BH_CLASS_TCP_NULL_SCAN;
    }
    if (flags == BH_TCP_FIN) {
        return BH_CLASS_TCP_FIN_SCAN;
    }
    if (flags == (BH_TCP_FIN | BH_TCP_PSH | BH_TCP_URG)) {
        return BH_CLASS_TCP_XMAS_SCAN;
    }
    if (flags == BH_TCP_PSH || flags == BH_TCP_URG || flags == (BH_TCP_FIN | BH_TCP_PSH) ||
        flags == (BH_TCP_FIN | BH_TCP_URG) || flags == (BH_TCP_PSH | BH_TCP_URG) ||
        ((flags & BH_TCP_SYN) != 0 && (flags & (BH_TCP_FIN | BH_TCP_RST)) != 0)) {
        return BH_CLASS_TCP_ODD_FLAGS;
    }
    return BY_FLOW;
}

static uint8_t
icmp(enum bh_direction dir, unsigned type)
{
    switch (type) {
    case 8:
        return dir == BH_DIR_IN    ? BH_CLASS_ICMP_ECHO_REQUEST
               : dir == BH_DIR_OUT ? (uint8_t)BY_ECHO
                                   : (uint8_t)BH_CLASS_ICMP_OTHER;
    case 0:
        return dir == BH_DIR_OUT  ? BH_CLASS_ICMP_ECHO_REPLY_SENT
               : dir == BH_DIR_IN ? (uint8_t)BY_ECHO
                                  : (uint8_t)BH_CLASS_ICMP_OTHER;
    case 3:
        return BY_QUOTE;
    case 4:
    case 5:
    case 11:
    case 12:
        return dir == BH_DIR_IN ? (uint8_t)BY_QUOTE : (uint8_t)BH_CLASS_ICMP_OTHER;
    case 14:
    case 16:
    case 18:
        return dir == BH_DIR_IN ? BH_CLASS_ICMP_BACKSCATTER : BH_CLASS_ICMP_OTHER;
    default:
        return BH_CLASS_ICMP_OTHER;
    }
}

static uint8_t
icmp6(enum bh_direction dir, unsigned type)
{
    switch (type) {
    case 128:
        return dir == BH_DIR_IN    ? BH_CLASS_ICMP_ECHO_REQUEST
               : dir == BH_DIR_OUT ? (uint8_t)BY_ECHO
                                   : (uint8_t)BH_CLASS_ICMP_OTHER;
    case 129:
        return dir == BH_DIR_OUT  ? BH_CLASS_ICMP_ECHO_REPLY_SENT
               : dir == BH_DIR_IN ? (uint8_t)BY_ECHO
                                  : (uint8_t)BH_CLASS_ICMP_OTHER;
    case 1:
        return BY_QUOTE;
    case 2:
    case 3:
    case 4:
        return dir == BH_DIR_IN ? (uint8_t)BY_QUOTE : (uint8_t)BH_CLASS_ICMP_OTHER;
    default:
        return type >= 133 && type <= 137 ? BH_CLASS_NEIGHBOUR_DISCOVERY : BH_CLASS_ICMP_OTHER;
    }
}

void
classify_init(struct bh_track *t)
{
    memset(t->cls_table, BH_CLASS_NONE, sizeof t->cls_table);
    for (unsigned i = 0; i < 256; i++) {
        t->cls_table[BH_DIR_IN][PC_OTHER][i] = BH_CLASS_OTHER_PROTOCOL;
        t->cls_table[BH_DIR_IN][PC_TCP][i] =
            t->cfg.all_accesses ? (uint8_t)BH_CLASS_ACCESS : inbound_tcp(i);
        t->cls_table[BH_DIR_OUT][PC_TCP][i] = BY_FLOW;
        t->cls_table[BH_DIR_IN][PC_UDP][i] =
            t->cfg.all_accesses ? (uint8_t)BH_CLASS_ACCESS : (uint8_t)BY_TALK;
        t->cls_table[BH_DIR_OUT][PC_UDP][i] = BY_TALK;
        t->cls_table[BH_DIR_IN][PC_ICMP][i] = icmp(BH_DIR_IN, i);
        t->cls_table[BH_DIR_OUT][PC_ICMP][i] = icmp(BH_DIR_OUT, i);
        t->cls_table[BH_DIR_IN][PC_ICMP6][i] = icmp6(BH_DIR_IN, i);
        t->cls_table[BH_DIR_OUT][PC_ICMP6][i] = icmp6(BH_DIR_OUT, i);
        for (unsigned pc = 0; pc < 5; pc++) {
            t->cls_table[BH_DIR_LOCAL][pc][i] = BH_CLASS_LOCAL;
        }
        t->cls_table[BH_DIR_TRANSIT][PC_ICMP][i] =
            icmp(BH_DIR_TRANSIT, i) == BY_QUOTE ? (uint8_t)BY_QUOTE : (uint8_t)BH_CLASS_NONE;
        t->cls_table[BH_DIR_TRANSIT][PC_ICMP6][i] =
            icmp6(BH_DIR_TRANSIT, i) == BY_QUOTE ? (uint8_t)BY_QUOTE : (uint8_t)BH_CLASS_NONE;
    }
    for (unsigned pc = 0; pc < 5; pc++) {
        for (unsigned cls = 0; cls < 256; cls++) {
            /* Without outcomes an inbound SYN opens nothing that anybody asks for. */
            bool is_syn = cls == BH_CLASS_ACCESS && pc == PC_TCP && t->cfg.outcomes;
            bool flow = cls == BY_FLOW || cls == BY_QUOTE || is_syn;
            bool talk = cls == BY_TALK || cls == BY_ECHO || (cls == BH_CLASS_LOCAL && pc == PC_UDP);
            t->list_table[pc][cls] = (uint8_t)((flow ? ON_FLOWS : 0) | (talk ? ON_TALKS : 0));
        }
    }
}

/* ---- direction ------------------------------------------------------------------------- */

static inline unsigned
in_ranges4(const struct bh_home4 *r, size_t n, uint32_t a)
{
    unsigned hit = 0;
    for (size_t k = 0; k < n; k++) {
        hit |= a - r[k].first <= r[k].last - r[k].first;
    }
    return hit;
}

/* 255.255.255.255 and 224.0.0.0/4 */
static inline unsigned
is_group4(uint32_t a)
{
    return (a >> 28 == 0xe) | (a == UINT32_MAX);
}

/* From whom to whom, as a number: from us 1, to us or our broadcast 2. */
static const uint8_t dir_of[4] = { BH_DIR_TRANSIT, BH_DIR_OUT, BH_DIR_IN, BH_DIR_LOCAL };

static void
direction4(const struct bh_home *h, struct bh_batch *b)
{
    const uint32_t *restrict src = b->src, *restrict dst = b->dst;
    uint8_t *restrict dir = b->direction;
    const uint32_t n = b->rows;
    if (h->v4_count == 1 && h->bcast_count <= 1) { /* the common case, and the fast one */
        const uint32_t first = h->v4[0].first, span = h->v4[0].last - first;
        const uint32_t bcast = h->bcast_count == 1 ? h->bcast[0].first : UINT32_MAX;
        for (uint32_t i = 0; i < n; i++) {
            unsigned from = src[i] - first <= span;
            unsigned to =
                (unsigned)(dst[i] - first <= span) | is_group4(dst[i]) | (dst[i] == bcast);
            /* transit 4, out 2, in 1, local 3: by arithmetic, so that it becomes vectors */
            dir[i] = (uint8_t)(from ? (to ? 3 : 2) : (to ? 1 : 4));
        }
        return;
    }
    if (h->v4_count <= BH_HOME_RANGES) {
        for (uint32_t i = 0; i < n; i++) {
            unsigned from = in_ranges4(h->v4, h->v4_count, src[i]);
            unsigned to = in_ranges4(h->v4, h->v4_count, dst[i]) | is_group4(dst[i]) |
                          in_ranges4(h->bcast, h->bcast_count, dst[i]);
            dir[i] = dir_of[from | to << 1];
        }
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        unsigned from = home_in4(h->v4, h->v4_count, src[i]);
        unsigned to = (unsigned)home_in4(h->v4, h->v4_count, dst[i]) | is_group4(dst[i]) |
                      (unsigned)home_in4(h->bcast, h->bcast_count, dst[i]);
        dir[i] = dir_of[from | to << 1];
    }
}

static uint8_t
direction6(const struct bh_home *h, const struct bh_ip6_pair *p)
{
    unsigned from = home_in6(h->v6, h->v6_count, p->src_hi, p->src_lo);
    unsigned to =
        (unsigned)home_in6(h->v6, h->v6_count, p->dst_hi, p->dst_lo) | (p->dst_hi >> 56 == 0xff);
    return dir_of[from | to << 1];
}

/* ---- hashes of conversations -------------------------------------------------------------- */

static inline uint64_t
hash4(const struct bh_track *t, uint32_t remote, uint32_t home, uint32_t ports, unsigned proto)
{
    uint64_t x = bh_mix64(((uint64_t)remote << 32 | home) ^ t->key1, (uint64_t)ports << 8 | proto);
    return x ^ t->key2;
}

static inline uint64_t
hash6(const struct bh_track *t, uint64_t rhi, uint64_t rlo, uint64_t hhi, uint64_t hlo,
      uint32_t ports, unsigned proto)
{
    uint64_t x = bh_mix64(rhi ^ t->key1, rlo);
    x = bh_mix64(x ^ hhi, hlo ^ t->key2);
    return bh_mix64(x, (uint64_t)ports << 8 | proto);
}

/* Of pings the addresses alone: type and code are no ports. Which way a packet goes is anybody's guess:
 * its ends are exchanged with masks. */
static BH_ALWAYS_INLINE uint64_t
row_hash(const struct bh_track *t, const struct bh_batch *b, uint32_t i)
{
    const bool out = b->direction[i] == BH_DIR_OUT;
    const uint32_t way = 0U - out, turned = b->ports[i] << 16 | b->ports[i] >> 16;
    uint32_t ports = (b->ports[i] ^ ((b->ports[i] ^ turned) & way)) & (0U - (b->cls[i] != BY_ECHO));
    if (BH_LIKELY(b->kind[i] == BH_KIND_IP4)) {
        const uint32_t turn = (b->src[i] ^ b->dst[i]) & way;
        return hash4(t, b->src[i] ^ turn, b->dst[i] ^ turn, ports, b->proto[i]);
    }
    const struct bh_ip6_pair *p = &b->ip6[b->src[i]];
    return out ? hash6(t, p->dst_hi, p->dst_lo, p->src_hi, p->src_lo, ports, b->proto[i])
               : hash6(t, p->src_hi, p->src_lo, p->dst_hi, p->dst_lo, ports, b->proto[i]);
}

uint64_t
quote_hash(const struct bh_track *t, const struct bh_quote *q)
{
    if (q->kind == BH_KIND_IP4) {
        return hash4(t, q->src, q->dst, q->ports, q->proto);
    }
    const struct bh_ip6_pair *p = &q->ip6;
    return hash6(t, p->src_hi, p->src_lo, p->dst_hi, p->dst_lo, q->ports, q->proto);
}

uint64_t
quote_hash_ours(const struct bh_track *t, const struct bh_quote *q)
{
    bool has_ports = q->proto == BH_PROTO_TCP || q->proto == BH_PROTO_UDP;
    uint32_t ports = has_ports ? q->ports << 16 | q->ports >> 16 : 0;
    if (q->kind == BH_KIND_IP4) {
        return hash4(t, q->dst, q->src, ports, q->proto);
    }
    const struct bh_ip6_pair *p = &q->ip6;
    return hash6(t, p->dst_hi, p->dst_lo, p->src_hi, p->src_lo, ports, q->proto);
}

/* ---- UDP conversations, and pings of ours ---------------------------------------------------------------------- */

static uint64_t
call_key(const struct bh_batch *b, uint32_t i, bool is_dst)
{
    uint32_t port = is_dst ? b->ports[i] & 0xffff : b->ports[i] >> 16;
    if (b->kind[i] == BH_KIND_IP4) {
        return (uint64_t)(is_dst ? b->dst[i] : b->src[i]) << 17 | (uint64_t)port << 1 | 1;
    }
    const struct bh_ip6_pair *p = &b->ip6[b->src[i]];
    return (is_dst ? bh_mix64(p->dst_hi ^ port, p->dst_lo)
                   : bh_mix64(p->src_hi ^ port, p->src_lo)) |
           1;
}

static inline struct call *
call_bucket(const struct bh_track *t, uint64_t key)
{
    return &t->calls[bh_mix64(key, t->key1) % (CALL_SLOTS / BUCKET) * BUCKET];
}

static void
call_note(struct bh_track *t, uint64_t key, int64_t ts_ns)
{
    struct call *bucket = call_bucket(t, key);
    unsigned k = 0;
    while (k < BUCKET - 1 && bucket[k].key != key) {
        k++;
    }
    t->bounds.conversations_lost +=
        bucket[k].key != key && bucket[k].key != 0 && within_ns(bucket[k].ts_ns, ts_ns, TALK_NS);
    memmove(bucket + 1, bucket, k * sizeof *bucket);
    bucket[0] = (struct call){ key, ts_ns };
}

/* To broadcast or multicast; what we send to one host at home calls nobody. */
static bool
is_call(const struct bh_track *t, const struct bh_batch *b, uint32_t i)
{
    const struct bh_home *h = t->cfg.home;
    if (b->kind[i] == BH_KIND_IP6) {
        return b->ip6[b->src[i]].dst_hi >> 56 == 0xff;
    }
    return is_group4(b->dst[i]) || home_in4(h->bcast, h->bcast_count, b->dst[i]);
}

/* Calls learnt ahead come into force when their time has come: then the number of shards
 * changes nothing. */
static void
calls_until(struct bh_track *t, int64_t now)
{
    while (t->coming_at < t->coming_count && t->coming[t->coming_at].ts_ns <= now) {
        const struct call *c = &t->coming[t->coming_at++];
        call_note(t, c->key, c->ts_ns);
    }
}

void
bh_track_calls(struct bh_track *t, struct bh_batch *const *b, size_t batches)
{
    calls_until(t, INT64_MAX); /* of the chunk before */
    t->coming_at = t->coming_count = 0;
    for (size_t k = 0; k < batches; k++) {
        for (uint32_t i = 0; i < b[k]->rows && t->coming_count < BH_TRACK_CALLS; i++) {
            if (b[k]->proto[i] == BH_PROTO_UDP && (b[k]->marks[i] & BH_MARK_NO_PORTS) == 0) {
                t->coming[t->coming_count++] =
                    (struct call){ call_key(b[k], i, false), b[k]->ts_ns[i] };
            }
        }
    }
}

static bool
call_known(struct bh_track *t, const struct bh_batch *b, uint32_t i)
{
    calls_until(t, b->ts_ns[i]);
    uint64_t key = call_key(b, i, true);
    const struct call *bucket = call_bucket(t, key);
    for (unsigned k = 0; k < BUCKET; k++) {
        if (bucket[k].key == key) {
            return within_ns(bucket[k].ts_ns, b->ts_ns[i], TALK_NS);
        }
    }
    return false;
}

/* Of 64 bits all but those that choose among the first buckets: tag holds the upper half. */
static inline uint32_t
tag2_of(uint64_t hash)
{
    return (uint32_t)(hash / FIRST_TALKS);
}

/* Is the last one still known, as far as clocks that step back leave it open? */
static bool
talks_are_full(const struct talk *bucket, uint32_t now)
{
    const struct talk *last = &bucket[BUCKET - 1];
    return last->opener != 0 && now - last->tick + TALK_TICKS <= 2 * TALK_TICKS;
}

static void
talk_new(struct bh_track *t, uint64_t hash, struct talk x, uint32_t now)
{
    struct talk *bucket = &t->talks[(hash & t->talk_mask) * BUCKET];
    while (BH_UNLIKELY(talks_are_full(bucket, now)) && talks_grow(t)) {
        bucket = &t->talks[(hash & t->talk_mask) * BUCKET];
    }
    const struct talk *last = &bucket[BUCKET - 1];
    t->bounds.conversations_lost += last->opener != 0 && now - last->tick <= TALK_TICKS;
    bucket[3] = bucket[2];
    bucket[2] = bucket[1];
    bucket[1] = bucket[0];
    bucket[0] = x;
}

static struct talk *
talk_find(const struct bh_track *t, uint64_t hash, uint32_t now)
{
    struct talk *bucket = &t->talks[(hash & t->talk_mask) * BUCKET];
    for (unsigned k = 0; k < BUCKET; k++) {
        if (bucket[k].tag == (uint32_t)(hash >> 32) && bucket[k].tag2 == tag2_of(hash) &&
            bucket[k].opener != 0) {
            /* Signed: an error may be judged after later datagrams of its batch. */
            return (int32_t)(now - bucket[k].tick) <= (int32_t)TALK_TICKS ? &bucket[k] : NULL;
        }
    }
    return NULL;
}

bool
talk_is_known(const struct bh_track *t, uint64_t hash, int64_t ts_ns)
{
    return talk_find(t, hash, tick_of(ts_ns)) != NULL;
}

/* The class of one datagram between us and outside, or of a ping of ours and what comes back. */
static uint8_t
talk_step(struct bh_track *t, const struct bh_batch *b, uint32_t i, uint64_t hash)
{
    const uint32_t now = tick_of(b->ts_ns[i]);
    const bool out = b->direction[i] == BH_DIR_OUT, echo = b->cls[i] == BY_ECHO;
    struct talk *hit = talk_find(t, hash, now);
    if (hit != NULL) {
        hit->tick = now;
        return echo               ? BH_CLASS_ICMP_OTHER
               : out              ? BH_CLASS_NONE
               : hit->opener == 1 ? BH_CLASS_ACCESS
                                  : BH_CLASS_UDP_ANSWER;
    }
    if (!out && echo) {
        return BH_CLASS_ICMP_BACKSCATTER;
    }
    if (!out && b->ports[i] >> 16 == 53) {
        return BH_CLASS_UDP_BACKSCATTER;
    }
    if (!out && call_known(t, b, i)) {
        return BH_CLASS_UDP_ANSWER;
    }
    /* One that was idle for too long stays where it is and falls out in its turn. */
    talk_new(t, hash, (struct talk){ (uint32_t)(hash >> 32), tag2_of(hash), now, out ? 2 : 1 },
             now);
    return echo ? BH_CLASS_ICMP_OTHER : out ? BH_CLASS_NONE : BH_CLASS_ACCESS;
}

/* ---- the batch ---------------------------------------------------------------------------------- */

/* Records the table cannot judge by protocol and flags. */
static uint8_t
special_class(const struct bh_batch *b, uint32_t i, uint8_t cls)
{
    if (b->kind[i] == BH_KIND_ARP) {
        return BH_CLASS_ARP;
    }
    if (b->kind[i] == BH_KIND_NONE) {
        return BH_CLASS_NONE;
    }
    if ((b->marks[i] & (BH_MARK_DUPLICATE | BH_MARK_BAD_TIME)) != 0) {
        return BH_CLASS_NONE;
    }
    if (b->direction[i] != BH_DIR_IN && cls < BY_FLOW) {
        return cls;
    }
    if ((b->marks[i] & BH_MARK_NO_PORTS) != 0) {
        if (b->direction[i] != BH_DIR_IN) {
            return BH_CLASS_NONE;
        }
        return (b->marks[i] & BH_MARK_FRAGMENT) != 0 ? BH_CLASS_FRAGMENT
               : (b->marks[i] & (BH_MARK_TRUNCATED | BH_MARK_MALFORMED)) != 0
                   ? BH_CLASS_CUT
                   : BH_CLASS_OTHER_PROTOCOL;
    }
    if ((b->marks[i] & BH_MARK_NO_FLAGS) != 0 && b->proto[i] == BH_PROTO_TCP &&
        cls != BH_CLASS_ACCESS) {
        return BH_CLASS_NONE;
    }
    return cls;
}

#define SPECIAL_MARKS                                                                              \
    (BH_MARK_NO_PORTS | BH_MARK_FRAGMENT | BH_MARK_DUPLICATE | BH_MARK_NO_FLAGS | BH_MARK_BAD_TIME)

static void
look_for_ours(struct bh_track *t, const struct bh_batch *b)
{
    int64_t first = INT64_MAX;
    for (uint32_t i = 0; i < b->rows; i++) {
        first = b->direction[i] == BH_DIR_OUT && b->ts_ns[i] < first ? b->ts_ns[i] : first;
    }
    if (first != INT64_MAX) {
        bh_track_two_sided(t, first);
    }
}

static void
find_directions(const struct bh_home *h, struct bh_batch *b)
{
    const uint32_t n = b->rows;
    if (BH_UNLIKELY(b->all_inbound)) {
        memset(b->direction, BH_DIR_IN, n);
        return;
    }
    if (h->v4_count > 0 || b->v6_rows < n) {
        direction4(h, b);
    }
    for (uint32_t i = 0, left = b->v6_rows; left > 0 && i < n; i++) {
        if (b->kind[i] == BH_KIND_IP6) {
            b->direction[i] = direction6(h, &b->ip6[b->src[i]]);
            left--;
        }
    }
}

static bool
has_special_rows(const struct bh_batch *b)
{
    uint8_t marks = 0, no_ip = 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        marks |= b->marks[i];
        no_ip |= b->kind[i] < BH_KIND_IP4;
    }
    return ((marks & SPECIAL_MARKS) | no_ip) != 0;
}

/* Classes by the table, and the two lists: each row is written to the end of both, and those it belongs
 * to get longer. */
static BH_ALWAYS_INLINE void
find_classes(struct bh_track *t, struct bh_batch *b, bool special)
{
    static const uint8_t proto_class[256] = { [BH_PROTO_TCP] = PC_TCP,
                                              [BH_PROTO_UDP] = PC_UDP,
                                              [BH_PROTO_ICMP] = PC_ICMP,
                                              [BH_PROTO_ICMP6] = PC_ICMP6 };
    uint32_t flows = 0, talks = 0;
    uint16_t *restrict flow_row = t->flow_row, *restrict talk_row = t->talk_row;
    for (uint32_t i = 0, n = b->rows; i < n; i++) {
        const unsigned pc = proto_class[b->proto[i]];
        /* Of segments the flags, of ICMP the type, of datagrams no matter what. */
        const unsigned flags = b->tcp_flags[i], type = b->ports[i] >> 16 & 0xff;
        const unsigned sub = flags ^ ((flags ^ type) & (0U - (pc > PC_TCP)));
        uint8_t cls = t->cls_table[b->direction[i]][pc][sub];
        if (special &&
            BH_UNLIKELY((b->marks[i] & SPECIAL_MARKS) != 0 || b->kind[i] < BH_KIND_IP4)) {
            if (b->kind[i] < BH_KIND_IP4 || (b->marks[i] & BH_MARK_BAD_TIME) != 0) {
                /* a time that does not fit has no place among the others */
                b->direction[i] = BH_DIR_UNKNOWN;
            }
            cls = special_class(b, i, cls);
        }
        b->cls[i] = cls;
        const unsigned on = t->list_table[pc][cls];
        flow_row[flows] = talk_row[talks] = (uint16_t)i;
        flows += on & ON_FLOWS;
        talks += on / ON_TALKS;
    }
    t->flow_rows = flows;
    t->talk_rows = talks;
}

void
bh_track_classify(struct bh_track *t, struct bh_batch *b)
{
    find_directions(t->cfg.home, b);
    if (BH_UNLIKELY(has_special_rows(b))) {
        find_classes(t, b, true);
    } else {
        find_classes(t, b, false);
    }
    const uint16_t *flow_row = t->flow_row, *talk_row = t->talk_row;
    const uint32_t flows = t->flow_rows, talks = t->talk_rows;
    if (BH_UNLIKELY(!t->two_sided)) {
        look_for_ours(t, b);
    }
    for (uint32_t j = 0; j < flows; j++) {
        uint32_t i = flow_row[j];
        t->flow_hash[j] = b->cls[i] == BY_QUOTE ? 0 : row_hash(t, b, i);
        BH_PREFETCH_WRITE(&t->flows[t->flow_hash[j] & t->flow_mask]);
    }
    for (uint32_t j = 0; j < talks; j++) {
        t->talk_hash[j] = row_hash(t, b, talk_row[j]);
        BH_PREFETCH_WRITE(&t->talks[(t->talk_hash[j] & t->talk_mask) * BUCKET]);
    }
    for (uint32_t j = 0; j < talks; j++) {
        uint32_t i = talk_row[j];
        if (b->cls[i] == BY_TALK || b->cls[i] == BY_ECHO) {
            b->cls[i] = talk_step(t, b, i, t->talk_hash[j]);
        } else if (b->direction[i] == BH_DIR_LOCAL && (b->marks[i] & BH_MARK_NO_PORTS) == 0 &&
                   is_call(t, b, i)) {
            call_note(t, call_key(b, i, false), b->ts_ns[i]);
        }
    }
}

/* ---- shards ------------------------------------------------------------------------------------- */

/* A product of the address: the same for both directions, and cheap. Not keyed: who chooses an
 * address to overload one shard gains a slower report, nothing else. */
static inline uint8_t
shard_of(uint64_t address, unsigned shards)
{
    return (uint8_t)((((address * 0x9e3779b97f4a7c15ULL) >> 32) * shards) >> 32);
}

/* An error that a router on the way sends about a packet to us belongs to whom it tells. */
static void
shard_errors(const struct bh_home *h, const struct bh_batch *b, unsigned shards, uint8_t *ret_shard)
{
    for (uint32_t k = 0; k < b->quote_rows; k++) {
        const uint32_t i = b->quotes[k].row;
        if (b->kind[i] == BH_KIND_IP4 && !home_in4(h->v4, h->v4_count, b->src[i]) &&
            !home_in4(h->v4, h->v4_count, b->dst[i])) {
            ret_shard[i] = shard_of(b->dst[i], shards);
        } else if (b->kind[i] == BH_KIND_IP6 &&
                   direction6(h, &b->ip6[b->src[i]]) == BH_DIR_TRANSIT) {
            const struct bh_ip6_pair *p = &b->ip6[b->src[i]];
            ret_shard[i] = shard_of(p->dst_hi ^ p->dst_lo * 3, shards);
        }
    }
}

void
bh_track_shard(const struct bh_home *h, const struct bh_batch *b, unsigned shards,
               uint8_t *ret_shard)
{
    const bool one = h->v4_count == 1;
    const uint32_t first = one ? h->v4[0].first : 0, span = one ? h->v4[0].last - first : 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        if (BH_LIKELY(b->kind[i] == BH_KIND_IP4)) {
            bool from = one ? b->src[i] - first <= span : home_in4(h->v4, h->v4_count, b->src[i]);
            if (BH_LIKELY(!from)) {
                ret_shard[i] = shard_of(b->src[i], shards);
            } else {
                bool to_group =
                    is_group4(b->dst[i]) || home_in4(h->bcast, h->bcast_count, b->dst[i]);
                ret_shard[i] = to_group ? BH_SHARD_ALL : shard_of(b->dst[i], shards);
            }
        } else if (b->kind[i] == BH_KIND_IP6) {
            const struct bh_ip6_pair *p = &b->ip6[b->src[i]];
            if (!home_in6(h->v6, h->v6_count, p->src_hi, p->src_lo)) {
                ret_shard[i] = shard_of(p->src_hi ^ p->src_lo * 3, shards);
            } else {
                ret_shard[i] = p->dst_hi >> 56 == 0xff
                                   ? BH_SHARD_ALL
                                   : shard_of(p->dst_hi ^ p->dst_lo * 3, shards);
            }
        } else {
            ret_shard[i] = 0;
        }
    }
    shard_errors(h, b, shards, ret_shard);
}

int64_t
bh_track_first_ours(const struct bh_home *h, const struct bh_batch *b)
{
    int64_t first = INT64_MAX;
    for (uint32_t i = 0; i < b->rows; i++) {
        bool ours = false;
        if (b->kind[i] == BH_KIND_IP4) {
            ours = home_in4(h->v4, h->v4_count, b->src[i]) &&
                   !home_in4(h->v4, h->v4_count, b->dst[i]) && !is_group4(b->dst[i]) &&
                   !home_in4(h->bcast, h->bcast_count, b->dst[i]);
        } else if (b->kind[i] == BH_KIND_IP6) {
            ours = direction6(h, &b->ip6[b->src[i]]) == BH_DIR_OUT;
        }
        if (ours && b->ts_ns[i] < first && (b->marks[i] & BH_MARK_BAD_TIME) == 0) {
            first = b->ts_ns[i];
        }
    }
    return first;
}
