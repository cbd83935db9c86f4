/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that came twice: a mirror port that copies both directions of two ports, `-i any` where a bridge and its
 * ports both show what goes through.
 *
 * A copy has the same headers within 2 ms (WITHIN_US). Its addresses of Ethernet and its tag may differ, which a mirror
 * rewrites. Whatever the headers are, somebody may send them twice, so a copy must be one that nobody would have
 * sent: on another interface of this machine than the original, or on the same one with something that makes the
 * packet the only one: an IP ID, or sequence numbers that it uses up. A datagram over IPv6 or with ID 0, or a bare ACK, on
 * one interface may well be another one, and stays.
 *
 * A packet excuses one copy on each interface. A flood of one packet without end is so halved at most: the third is
 * an original again.
 *
 * Memory: 64 KiB, which stay in the cache: 1,024 buckets of four packets, newest first; what falls out early finds no copy, and both count.
 */
#include "sensor_priv.h"

#include <stdlib.h>

#define BUCKETS 1024U
#define WAYS 4U
#define WITHIN_US 2000U
#define COPIES 16U /* interfaces beyond share a bit */

struct entry {
    uint64_t tag; /* 0: none */
    uint32_t us;  /* of the original */
    uint16_t interface, copies;
};
struct bucket {
    struct entry entry[WAYS];
};
_Static_assert(sizeof(struct bucket) == 64, "one line");

struct duplicates {
    uint64_t key;
    struct bucket bucket[BUCKETS];
};

struct duplicates *
duplicates_new(void)
{
    struct duplicates *d = bh_pages_new(sizeof *d, false);
    if (d != NULL) {
        d->key = bh_random_key();
    }
    return d;
}

void
duplicates_free(struct duplicates *d)
{
    bh_pages_free(d, sizeof *d);
}

static inline uint64_t
mix(uint64_t h, uint64_t more)
{
    h = (h ^ more) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

/* Of everything that a copy has, too. */
static uint64_t
hash_of(const struct bh_batch *b, uint32_t i, uint64_t h)
{
    if (b->kind[i] == BH_KIND_IP6) {
        const struct bh_ip6_pair *a = &b->ip6[b->src[i]];
        h = mix(mix(mix(mix(h, a->src_hi), a->src_lo), a->dst_hi), a->dst_lo);
    } else {
        h = mix(h, (uint64_t)b->src[i] << 32 | b->dst[i]);
    }
    h = mix(h, (uint64_t)b->ports[i] << 32 | b->tcp_seq[i]);
    h = mix(h, (uint64_t)b->ip_len[i] << 32 | (uint64_t)b->ip_id[i] << 16 | b->tcp_window[i]);
    h = mix(h, (uint64_t)b->tcp_options[i] << 32 | (uint64_t)b->payload_len[i] << 8 | b->proto[i]);
    h = mix(h, (uint64_t)b->kind[i] << 24 | (uint64_t)b->tcp_flags[i] << 16 |
                   (uint64_t)b->ttl[i] << 8 | (uint64_t)(b->df[i] != 0) << 4 |
                   (b->marks[i] & BH_MARK_NO_PORTS));
    return (h ^ h >> 32) | 1U; /* 0 is none */
}

/* Nobody sends the same once more within 2 ms. */
static bool
is_only_one(const struct bh_batch *b, uint32_t i)
{
    return (b->kind[i] == BH_KIND_IP4 && b->ip_id[i] != 0) ||
           (b->proto[i] == BH_PROTO_TCP && (b->marks[i] & BH_MARK_NO_PORTS) == 0 &&
            ((b->tcp_flags[i] & (BH_TCP_SYN | BH_TCP_FIN)) != 0 || b->payload_len[i] > 0));
}

static bool
is_near(uint32_t a, uint32_t b) /* time may step back a little between rings */
{
    return a - b <= WITHIN_US || b - a <= WITHIN_US;
}

/* One row. True: it is a copy. */
static bool
look_up(struct bucket *at, uint64_t tag, uint32_t us, uint16_t interface, bool only_one)
{
    const uint16_t bit = (uint16_t)(1U << interface % COPIES);
    unsigned k = 0;
    while (k < WAYS - 1 && at->entry[k].tag != tag) {
        k++;
    }
    struct entry *e = &at->entry[k];
    if (e->tag == tag && is_near(us, e->us) && (e->copies & bit) == 0 &&
        (only_one || e->interface != interface)) {
        e->copies |= bit;
        return true;
    }
    for (; k > 0; k--) { /* a new original goes in front; the last falls out */
        at->entry[k] = at->entry[k - 1];
    }
    at->entry[0] = (struct entry){ .tag = tag, .us = us, .interface = interface };
    return false;
}

uint32_t
duplicates_mark(struct duplicates *d, struct bh_batch *b, const uint16_t interface[BH_BATCH_ROWS])
{
    uint64_t tag[BH_BATCH_ROWS];
    uint32_t n = 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        tag[i] = hash_of(b, i, d->key);
        BH_PREFETCH_WRITE(&d->bucket[tag[i] >> 32 & (BUCKETS - 1)]);
    }
    for (uint32_t i = 0; i < b->rows; i++) {
        const uint8_t not_these = BH_MARK_FRAGMENT | BH_MARK_BAD_TIME;
        if (b->kind[i] < BH_KIND_IP4 || (b->marks[i] & not_these) != 0) {
            continue; /* later fragments of a length differ only where no column says it */
        }
        const uint32_t us = (uint32_t)((uint64_t)b->ts_ns[i] / 1000);
        if (look_up(&d->bucket[tag[i] >> 32 & (BUCKETS - 1)], tag[i], us, interface[i],
                    is_only_one(b, i))) {
            b->marks[i] |= BH_MARK_DUPLICATE;
            n++;
        }
    }
    return n;
}
