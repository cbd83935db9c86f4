/* SPDX-License-Identifier: BSD-2-Clause */
/* What every source asked for first in an hour, and how often: of hours that no roll-up has wholly. */
#include "bh_store.h"

#include <stdlib.h>

struct bh_busy {
    int64_t start_ns, end_ns;
    struct bh_busy_source *at;
    uint32_t mask, used;
};

struct bh_busy *
bh_busy_new(int64_t start_ns, int64_t end_ns)
{
    struct bh_busy *b = calloc(1, sizeof *b);
    if (b != NULL) {
        b->start_ns = start_ns;
        b->end_ns = end_ns;
    }
    return b;
}

void
bh_busy_free(struct bh_busy *b)
{
    if (b != NULL) {
        free(b->at);
        free(b);
    }
}

static struct bh_busy_source *
slot_of(const struct bh_busy *b, const struct bh_ip *ip)
{
    uint32_t at = (uint32_t)bh_mix64(bh_get_be64(ip->octets) ^ 0x9e3779b97f4a7c15ULL,
                                     bh_get_be64(ip->octets + 8) + ip->family) &
                  b->mask;
    while (b->at[at].ip.family != 0 && bh_ip_cmp(&b->at[at].ip, ip) != 0) {
        at = (at + 1) & b->mask;
    }
    return &b->at[at];
}

static bool
make_room(struct bh_busy *b)
{
    if (b->used < b->mask / 2) {
        return true;
    }
    struct bh_busy more = *b;
    more.mask = b->mask == 0 ? 16383 : b->mask * 2 + 1;
    more.at = calloc(more.mask + 1UL, sizeof *more.at);
    if (more.at == NULL) {
        return false;
    }
    for (uint32_t k = 0; b->at != NULL && k <= b->mask; k++) {
        if (b->at[k].ip.family != 0) {
            *slot_of(&more, &b->at[k].ip) = b->at[k];
        }
    }
    free(b->at);
    *b = more;
    return true;
}

bool
bh_busy_add(struct bh_busy *b, const struct bh_batch *batch)
{
    for (uint32_t i = 0; i < batch->rows; i++) {
        if (batch->cls[i] != BH_CLASS_ACCESS || batch->direction[i] != BH_DIR_IN ||
            batch->ts_ns[i] < b->start_ns || batch->ts_ns[i] >= b->end_ns) {
            continue;
        }
        if (!make_room(b)) {
            return false;
        }
        const struct bh_ip ip = bh_batch_src(batch, i);
        const uint32_t key =
            (uint32_t)(batch->proto[i] != BH_PROTO_TCP) << 16 | bh_batch_dst_port(batch, i);
        struct bh_busy_source *s = slot_of(b, &ip);
        if (s->ip.family == 0) {
            *s = (struct bh_busy_source){ ip, key, 0, batch->country[i] };
            b->used++;
        }
        s->count += s->key == key;
    }
    return true;
}

bool
bh_busy_next(const struct bh_busy *b, uint32_t *at, struct bh_busy_source *ret)
{
    while (b->at != NULL && *at <= b->mask) {
        const struct bh_busy_source *s = &b->at[(*at)++];
        if (s->ip.family != 0) {
            *ret = *s;
            return true;
        }
    }
    return false;
}
