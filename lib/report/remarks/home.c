/* SPDX-License-Identifier: BSD-2-Clause */
/* The home country against the countries of the list. */
#include "remarks_priv.h"

#define TIMES_LEAST 2U /* the home country's first port against the largest foreign entry */

struct entry {
    const struct bh_trend_place *place;
    const struct bh_trend_port *port;
};

/* The largest entry of all countries' top ports that is not `skip`. */
static struct entry
largest(const struct bh_remark_set *s, const struct bh_trend_port *skip)
{
    struct entry best = { NULL, NULL };
    for (size_t i = 0; i < s->listed; i++) {
        const struct bh_trend_place *p = bh_listed_place(s, i);
        for (size_t k = 0; k < p->port_count; k++) {
            if (&p->ports[k] != skip &&
                (best.port == NULL || p->ports[k].count > best.port->count)) {
                best = (struct entry){ p, &p->ports[k] };
            }
        }
    }
    return best;
}

void
bh_remark_home_dominance(struct bh_remark_set *s)
{
    const struct bh_trend_place *home = &s->trend->home;
    struct entry first = largest(s, NULL);
    struct entry second = largest(s, first.port);
    if (home->port_count == 0 || first.port == NULL || second.port == NULL ||
        first.port->count == 0 || second.port->count == 0 ||
        home->ports[0].count < TIMES_LEAST * first.port->count) {
        return;
    }
    const struct bh_trend_port *port = &home->ports[0];
    uint64_t sum = bh_top_sum(home);
    struct bh_remark *m = bh_remark_new(s, "home-dominance", home->place.code, 78, false);
    bh_remark_country(m, home->place.code);
    bh_remark_country(m, first.place->place.code);
    bh_remark_country(m, second.place->place.code);
    bh_remark_port(m, port);
    bh_remark_number(m, "count", (double)port->count);
    bh_remark_share(m, "share_of_top", port->count, sum);
    bh_remark_share(m, "share_of_total", port->count, home->count);
    bh_remark_share(m, "times_largest", port->count, first.port->count);
    bh_remark_share(m, "times_second", port->count, second.port->count);
    for (int i = 0; i < BH_LANGS; i++) {
        enum bh_lang lang = (enum bh_lang)i;
        bh_remark_say(s, m, lang, R_HOME_DOMINANCE, bh_place_in_text(&home->place, lang).s,
                      bh_count_words(s->trend, port->count, lang).s, bh_trend_port_words(s, port).s,
                      bh_times(port->count, first.port->count).s, bh_num(first.port->count).s,
                      bh_place_in_text(&first.place->place, lang).s,
                      bh_port_text(first.port->port, first.port->proto).s,
                      bh_times(port->count, second.port->count).s, bh_num(second.port->count).s);
    }
}

/* ---- ports the home country shares with one country, or with none -------------------------- */

static void
add_shared(struct bh_remark_set *s, const struct bh_trend_port *port,
           const struct bh_trend_place *other)
{
    const struct bh_trend_place *home = &s->trend->home;
    int rank = other == NULL ? -1 : bh_port_rank(other, port);
    struct bh_remark *m =
        bh_remark_new(s, other == NULL ? "home-only" : "home-and-one-foreign",
                      bh_port_text(port->port, port->proto).s, other == NULL ? 64 : 68, false);
    bh_remark_country(m, home->place.code);
    bh_remark_port(m, port);
    bh_remark_number(m, "count_home", (double)port->count);
    if (other != NULL) {
        bh_remark_country(m, other->place.code);
    }
    bh_remark_number(m, "count_abroad", rank < 0 ? 0 : (double)other->ports[rank].count);
    for (int i = 0; i < BH_LANGS; i++) {
        enum bh_lang lang = (enum bh_lang)i;
        struct bh_short name = bh_trend_port_words(s, port);
        struct bh_short place = bh_place_in_text(&home->place, lang);
        if (other == NULL) {
            bh_remark_say(s, m, lang, R_HOME_ONLY, name.s, place.s);
        } else {
            bh_remark_say(s, m, lang, R_HOME_AND_ONE, name.s, place.s,
                          bh_place_in_text(&other->place, lang).s);
        }
    }
}

void
bh_remark_home_ports(struct bh_remark_set *s)
{
    const struct bh_trend_place *home = &s->trend->home;
    for (size_t i = 0; i < home->port_count && s->listed > 1; i++) {
        const struct bh_trend_place *other = NULL;
        size_t sharing = 0;
        for (size_t c = 0; c < s->listed; c++) {
            if (bh_port_rank(bh_listed_place(s, c), &home->ports[i]) >= 0) {
                other = bh_listed_place(s, c);
                sharing++;
            }
        }
        if (sharing < 2) {
            add_shared(s, &home->ports[i], other);
        }
    }
}
