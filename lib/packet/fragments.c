/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which fragmented datagrams are whole.
 *
 * Nothing is put together: of each datagram it is known which octets were there, as ranges in
 * order that are joined where they meet. A datagram on its way takes 200 octets. Pieces come
 * nearly always in order, or exactly backwards, and then there is one range; with more than
 * RANGES_MAX gaps the datagram is given up (it counts as never completed).
 *
 * The table is a ring: the oldest datagram gives way. A look-up goes through a small hash of
 * places in the ring, checked by the key, so that stale places need no cleaning.
 */
#include "walk_priv.h"

#include <stdlib.h>

enum { RANGES_MAX = 16, PLACES = 4 * BH_FRAGMENTS_MAX };

struct range {
    uint32_t begin, end;
};

struct datagram {
    uint64_t key;
    bool used, has_first, has_end;
    uint16_t layers, port; /* of the first fragment: what completes the datagram gets */
    uint8_t port_proto, tcp_flags;
    bool has_flags;
    uint32_t end; /* when has_end */
    uint32_t ranges;
    struct range range[RANGES_MAX];
};

struct bh_fragments {
    uint32_t next;          /* place in the ring that is taken next */
    uint32_t place[PLACES]; /* index in `ring` + 1; 0: none         */
    struct datagram ring[BH_FRAGMENTS_MAX];
};

struct bh_fragments *
bh_fragments_new(void)
{
    return calloc(1, sizeof(struct bh_fragments));
}

void
bh_fragments_free(struct bh_fragments *t)
{
    free(t);
}

static struct datagram *
find(struct bh_fragments *t, uint64_t key)
{
    uint32_t *place = &t->place[key % PLACES];
    if (*place != 0 && t->ring[*place - 1].used && t->ring[*place - 1].key == key) {
        return &t->ring[*place - 1];
    }
    struct datagram *d = &t->ring[t->next];
    *d = (struct datagram){ .key = key, .used = true };
    *place = t->next + 1;
    t->next = (t->next + 1) % BH_FRAGMENTS_MAX;
    return d;
}

/* Add octets begin .. end; false when there are too many gaps. */
static bool
add_range(struct datagram *d, uint32_t begin, uint32_t end)
{
    uint32_t from = 0;
    while (from < d->ranges && d->range[from].end < begin) {
        from++;
    }
    uint32_t to = from;
    for (; to < d->ranges && d->range[to].begin <= end; to++) {
        begin = d->range[to].begin < begin ? d->range[to].begin : begin;
        end = d->range[to].end > end ? d->range[to].end : end;
    }
    if (to == from && d->ranges == RANGES_MAX) {
        return false;
    }
    memmove(&d->range[from + 1], &d->range[to], (d->ranges - to) * sizeof d->range[0]);
    d->ranges = d->ranges - (to - from) + 1;
    d->range[from] = (struct range){ begin, end };
    return true;
}

static bool
is_whole(const struct datagram *d)
{
    return d->has_first && d->has_end && d->range[0].begin == 0 && d->range[0].end >= d->end;
}

static void
take_first(struct bh_batch *b, const struct bh_fragment *f, struct datagram *d)
{
    uint32_t cursor = 0;
    struct bh_seen seen = bh_batch_seen(b, f->row, &cursor);
    d->has_first = true;
    d->layers = f->layers;
    d->port = f->port;
    d->port_proto = f->port_proto;
    if (f->port_proto != 0) {
        seen.port_proto = 0;
        seen.port = 0;
    }
    bh_batch_set_seen(b, f->row, &seen);
    b->layers[f->row] &= (uint16_t)~f->layers;
}

static void
give_whole(struct bh_batch *b, uint32_t row, const struct datagram *d)
{
    uint32_t cursor = 0;
    struct bh_seen seen = bh_batch_seen(b, row, &cursor);
    if (d->port_proto != 0) {
        seen.port_proto = d->port_proto;
        seen.port = d->port;
    }
    bh_batch_set_seen(b, row, &seen);
    b->layers[row] |= d->layers;
    /* a header torn apart, so that its flags are not in the first fragment */
    if ((d->layers & BH_LAYER_TCP) != 0 && d->has_flags &&
        (d->tcp_flags & (BH_TCP_SYN | BH_TCP_ACK | BH_TCP_RST | BH_TCP_FIN)) == BH_TCP_SYN) {
        b->layers[row] |= BH_LAYER_SYN_ONLY;
    }
}

void
bh_fragments_apply(struct bh_fragments *t, struct bh_batch *b)
{
    for (uint32_t i = 0; i < b->fragment_rows; i++) {
        const struct bh_fragment *f = &b->fragments[i];
        struct datagram *d = find(t, f->key);
        if (f->offset == 0) {
            take_first(b, f, d);
        }
        if (f->has_flags) {
            d->has_flags = true;
            d->tcp_flags = f->tcp_flags;
        }
        if (!f->more) {
            d->has_end = true;
            d->end = f->offset + f->len;
        }
        if (!add_range(d, f->offset, f->offset + f->len)) {
            d->used = false;
        } else if (is_whole(d)) {
            give_whole(b, f->row, d);
            d->used = false;
        }
    }
    b->fragment_rows = 0; /* applied: not twice */
}
