/* SPDX-License-Identifier: BSD-2-Clause */
/* A list of losses that does not grow: near ones join, and when it is full the two nearest do. Sums stay exact. */
#include "bh_output_host.h"

#define NEAR_NS 2000000000LL /* two losses this near to one another are one */

static void
join(struct bh_output_health *h, uint32_t at)
{
    struct bh_gap *a = &h->gap[at], *b = &h->gap[at + 1];
    a->end_ns = b->end_ns > a->end_ns ? b->end_ns : a->end_ns;
    a->start_ns = b->start_ns < a->start_ns ? b->start_ns : a->start_ns;
    a->kind =
        b->packets > a->packets ? b->kind : a->kind; /* that of most of them; the sums stay exact */
    a->packets += b->packets;
    memmove(b, b + 1, (h->gap_count - at - 2) * sizeof *b);
    h->gap_count--;
}

/* The two that are nearest to one another become one. */
static void
make_room(struct bh_output_health *h)
{
    uint32_t best = 0;
    int64_t least = INT64_MAX;
    for (uint32_t k = 0; k + 1 < h->gap_count; k++) {
        const int64_t between = h->gap[k + 1].start_ns - h->gap[k].end_ns;
        if (between < least) {
            least = between;
            best = k;
        }
    }
    join(h, best);
}

void
bh_gap_add(struct bh_output_health *h, unsigned kind, int64_t start_ns, int64_t end_ns,
           uint64_t packets)
{
    end_ns = end_ns < start_ns ? start_ns : end_ns;
    h->lost[kind] += packets;
    for (uint32_t k = h->gap_count; k > 0 && k + 4 > h->gap_count; k--) {
        struct bh_gap *g = &h->gap[k - 1];
        if (g->kind == kind && start_ns - g->end_ns < NEAR_NS && g->start_ns - end_ns < NEAR_NS) {
            g->start_ns = start_ns < g->start_ns ? start_ns : g->start_ns;
            g->end_ns = end_ns > g->end_ns ? end_ns : g->end_ns;
            g->packets += packets;
            return;
        }
    }
    if (h->gap_count == BH_OUTPUT_GAPS_MAX) {
        make_room(h);
    }
    uint32_t at = h->gap_count++;
    for (; at > 0 && h->gap[at - 1].start_ns > start_ns; at--) {
        h->gap[at] = h->gap[at - 1];
    }
    h->gap[at] =
        (struct bh_gap){ .start_ns = start_ns, .end_ns = end_ns, .packets = packets, .kind = kind };
}
