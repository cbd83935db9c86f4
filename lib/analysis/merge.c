/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tallies of several threads into one. Each thread saw other remote addresses, so nothing has
 * to be joined: numbers are added, tables of sources are appended; the cells were one from the start.
 */
#include "tally_priv.h"

#include <errno.h>
#include <stdlib.h>

/* Sources of two shards are different ones; the second table is kept beside the first, see
 * sources_each(). Merging them into one table would touch every slot for nothing. */
static void
append_sources(struct bh_tally *into, struct bh_tally *from)
{
    struct bh_tally **end = &into->more;
    while (*end != NULL) {
        end = &(*end)->more;
    }
    *end = from;
}

static void
merge_listed(struct bh_tally *into, const struct bh_tally *from)
{
    if (from->listed == NULL) {
        return;
    }
    size_t n = into->listed == NULL ? 0 : into->listed_mask + 1UL, m = from->listed_mask + 1UL;
    struct listed *all = realloc(into->listed, (n + m) * sizeof *all);
    if (all == NULL) {
        return;
    }
    memcpy(all + n, from->listed, m * sizeof *all);
    into->listed = all;
    into->listed_mask = (uint32_t)(n + m - 1); /* from here on a list, not a table */
    into->listed_used += from->listed_used;
}

static void
merge_places(struct bh_tally *into, const struct bh_tally *from)
{
    for (unsigned p = 0; p < BH_PLACES_MAX; p++) {
        into->place_count[p] += from->place_count[p];
        into->place[p].accesses += from->place[p].accesses;
        into->place[p].sources += from->place[p].sources;
        into->place[p].first_ns = from->place[p].first_ns < into->place[p].first_ns
                                      ? from->place[p].first_ns
                                      : into->place[p].first_ns;
        into->place[p].last_ns = from->place[p].last_ns > into->place[p].last_ns
                                     ? from->place[p].last_ns
                                     : into->place[p].last_ns;
    }
}

static void
merge_own(struct bh_tally *into, struct bh_tally *from)
{
    for (uint32_t i = 0; i <= from->own_mask; i++) {
        if (from->own_set[i] != 0) {
            tally_own_add(into, from->own_set[i], OWN_MAX);
        }
    }
    free(from->own_set);
    from->own_set = NULL;
}

#define ADD(field) into->field += from->field
int
bh_tally_merge(struct bh_tally *into, struct bh_tally *from)
{
    tally_settle(into);
    tally_settle(from);
    merge_places(into, from);
    merge_listed(into, from);
    merge_own(into, from);
    networks_merge(&into->networks, &from->networks);
    sensors_merge(into, from);
    int r = bins_merge(&into->bins, &from->bins);
    if (r != 0) {
        return r;
    }
    ADD(sources_again);
    for (size_t k = 0; k < into->cfg.day_count; k++) {
        ADD(day_accesses[k]);
    }
    for (unsigned k = 0; k < BH_CLASS_COUNT; k++) {
        ADD(classes[k]);
    }
    for (unsigned k = 0; k < BH_LAYER_COUNT; k++) {
        ADD(layers[k]);
    }
    for (unsigned k = 0; k < BH_REASON_COUNT; k++) {
        ADD(malformed[k]);
    }
    for (unsigned k = 0; k < BH_SERVED_MAX; k++) {
        ADD(visit_count[k]), ADD(visit_sources[k]);
    }
    for (unsigned k = 0; k < BH_GAPS_MAX; k++) {
        ADD(gap_regular[k]);
    }
    for (size_t k = 0; k < sizeof into->dst_ports; k++) {
        into->dst_ports[k] |= from->dst_ports[k];
    }
    for (size_t k = 0; k < from->burst_count; k++) {
        tally_burst_keep(into, &from->bursts[k]);
    }
    ADD(frames), ADD(packets), ADD(accesses), ADD(visits), ADD(tcp_accesses), ADD(udp_accesses);
    ADD(cut_frames), ADD(cut_headers), ADD(bad_time), ADD(duplicates), ADD(filter_unknown);
    ADD(inbound), ADD(outbound), ADD(pings), ADD(sources_over), ADD(pairs_over), ADD(ping_sources),
        ADD(ping_first);
    into->first_ns = from->first_ns < into->first_ns ? from->first_ns : into->first_ns;
    into->last_ns = from->last_ns > into->last_ns ? from->last_ns : into->last_ns;
    append_sources(into, from);
    return 0;
}
