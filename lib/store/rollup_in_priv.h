/* SPDX-License-Identifier: BSD-2-Clause */
/* What the readers of roll-ups share: rollup_get.c opens one, rollup_get_day.c and rollup_get_sets.c read its parts. */
#ifndef STORE_ROLLUP_IN_PRIV_H
#define STORE_ROLLUP_IN_PRIV_H

#include "file_priv.h"
#include "rollup_priv.h"

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION /* a few octets may stand for millions */
#define ROLLUP_RAW_MAX (1U << 18)
#else
#define ROLLUP_RAW_MAX (1U << 28)
#endif

struct open_rollup {
    struct bh_rollup r;
    const struct rollup_head *h;
    const uint8_t *body;
    struct dict dict; /* its countries only, where sources are not asked for */
    bool has_sources;
    struct once {
        uint64_t hi, lo;
        uint16_t country;
    } * once;
    struct bh_ip *own;
    struct bh_rollup_ids frequent; /* services */
    struct rare_ref {
        uint32_t keys, entries;
        uint64_t most;           /* accesses to one service */
        bool told;               /* whose they are          */
        struct rollup_part part; /* of the body */
    } * rare;                    /* [country] */
    /* sources, those of a country together; made when they are asked for */
    uint32_t *by_country, *country_at;
};

static inline uint16_t
rollup_country(const struct open_rollup *o, uint32_t source)
{
    return source < o->h->entries ? o->dict.entry[source].country
                                  : o->once[source - o->h->entries].country;
}
/* Most are below 128. */
static inline uint64_t
rollup_get_small(struct bh_cur *c)
{
    if (BH_LIKELY(!c->bad && c->at < c->end && *c->at < 128)) {
        return *c->at++;
    }
    return rollup_get_varint(c);
}
bool rollup_part_is_sound(struct rollup_part p, const uint8_t *body);
/* A stream with its size before it; its octets are the caller's. */
BH_NODISCARD int rollup_get_raw(struct bh_cur *c, uint8_t **ret, struct bh_cur *ret_cur);
BH_NODISCARD int rollup_get_ids(struct bh_cur *c, uint32_t below, struct bh_rollup_ids *ret);
/* Where the rare accesses of each country stand. */
BH_NODISCARD int rollup_open_rare(struct open_rollup *o);

#endif
