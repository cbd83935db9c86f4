/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everybody's targets: a small group of ports of which every listed country wants at least one.
 *
 * Ports that all countries have are left aside (they have a remark of their own). Of the rest
 * the smallest group of up to three that reaches every country is taken, of equal ones that
 * with the most accesses; room that is left in the group goes to the ports most countries have,
 * when that is at least half of them. A country is a bit: with more than 64 listed countries
 * there is no such remark. At most 64 ports are tried, the most widespread: 41,664 groups.
 */
#include "remarks_priv.h"

#include <stdlib.h>

#define GROUP_MAX 3U
#define PORTS_TRIED 64U

struct candidate {
    struct bh_trend_port port; /* sources: countries */
    uint64_t who;
};
struct group {
    size_t at[GROUP_MAX];
    size_t count;
    uint64_t sum;
};

static int
widest_first(const void *a, const void *b)
{
    const struct bh_trend_port *x = &((const struct candidate *)a)->port;
    const struct bh_trend_port *y = &((const struct candidate *)b)->port;
    if (x->sources != y->sources) {
        return x->sources > y->sources ? -1 : 1;
    }
    if (x->count != y->count) {
        return x->count > y->count ? -1 : 1;
    }
    return x->port != y->port ? (x->port > y->port) - (x->port < y->port)
                              : (x->proto > y->proto) - (x->proto < y->proto);
}

static size_t
candidates(const struct bh_remark_set *s, struct candidate *ret)
{
    struct bh_trend_port all[BH_ALL_PORTS_MAX];
    struct candidate found[BH_ALL_PORTS_MAX];
    size_t all_count = bh_all_ports(s, all, BH_COUNT(all));
    size_t count = 0;
    for (size_t i = 0; i < all_count; i++) {
        if (all[i].sources == s->listed) {
            continue;
        }
        struct candidate *c = &found[count++];
        *c = (struct candidate){ .port = all[i] };
        for (size_t k = 0; k < s->listed; k++) {
            bool has = bh_port_rank(bh_listed_place(s, k), &all[i]) >= 0;
            c->who |= has ? UINT64_C(1) << k : 0;
        }
    }
    if (count == 0) {
        return 0;
    }
    qsort(found, count, sizeof *found, widest_first);
    count = count < PORTS_TRIED ? count : PORTS_TRIED;
    memcpy(ret, found, count * sizeof *ret);
    return count;
}

/* Every group of `size` ports that begins with what is in `so_far`. */
static void
search(const struct candidate *c, size_t count, uint64_t everybody, size_t size, uint64_t who,
       const struct group *so_far, struct group *best)
{
    if (so_far->count == size) {
        if (who == everybody && (best->count == 0 || so_far->sum > best->sum)) {
            *best = *so_far;
        }
        return;
    }
    size_t from = so_far->count == 0 ? 0 : so_far->at[so_far->count - 1] + 1;
    for (size_t i = from; i < count; i++) {
        struct group next = *so_far;
        next.at[next.count++] = i;
        next.sum += c[i].port.count;
        search(c, count, everybody, size, who | c[i].who, &next, best);
    }
}

static void
fill_up(const struct candidate *c, size_t count, size_t listed, struct group *g)
{
    for (size_t i = 0; i < count && g->count < GROUP_MAX; i++) {
        bool inside = false;
        for (size_t k = 0; k < g->count; k++) {
            inside |= g->at[k] == i;
        }
        if (!inside && c[i].port.sources * 2 >= listed) {
            g->sum += c[i].port.count;
            g->at[g->count++] = i;
        }
    }
}

static int
by_number(const void *a, const void *b)
{
    const struct bh_trend_port *x = a;
    const struct bh_trend_port *y = b;
    return x->port != y->port ? (x->port > y->port) - (x->port < y->port)
                              : (x->proto > y->proto) - (x->proto < y->proto);
}

void
bh_remark_targets(struct bh_remark_set *s)
{
    struct candidate c[PORTS_TRIED];
    struct group best = { .count = 0 };
    if (s->listed < 3 || s->listed > 64) {
        return;
    }
    uint64_t everybody = s->listed == 64 ? UINT64_MAX : (UINT64_C(1) << s->listed) - 1;
    size_t count = candidates(s, c);
    for (size_t size = 1; size <= GROUP_MAX && best.count == 0; size++) {
        search(c, count, everybody, size, 0, &(struct group){ .count = 0 }, &best);
    }
    if (best.count == 0) {
        return;
    }
    size_t needed = best.count;
    struct bh_trend_port ports[GROUP_MAX];
    fill_up(c, count, s->listed, &best);
    for (size_t i = 0; i < best.count; i++) {
        ports[i] = c[best.at[i]].port;
    }
    qsort(ports, best.count, sizeof *ports, by_number);
    struct bh_remark *m = bh_remark_new(s, "everybodys-targets", "", 72, true);
    for (size_t i = 0; i < best.count; i++) {
        bh_remark_port(m, &ports[i]);
    }
    bh_remark_number(m, "countries", (double)s->listed);
    bh_remark_number(m, "ports_needed", (double)needed);
    bh_remark_number(m, "count", (double)best.sum);
    for (int i = 0; i < BH_LANGS; i++) {
        enum bh_lang lang = (enum bh_lang)i;
        bh_remark_say(s, m, lang, R_TARGETS, bh_num(s->listed).s,
                      bh_list_ports(s, ports, best.count, lang).s);
    }
}
