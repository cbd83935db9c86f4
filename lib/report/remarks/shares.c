/* SPDX-License-Identifier: BSD-2-Clause */
/* Shares: one port that is nearly all of a country, and ports that many countries want. */
#include "remarks_priv.h"

#define DOMINANT 800000U   /* millionths of the top ports' sum */
#define DOMINANT_LEAST 20U /* accesses: below, a share says nothing */

static void
add_dominance(struct bh_remark_set *s, const struct bh_trend_place *p)
{
    uint64_t sum = bh_top_sum(p);
    if (p->port_count < 2 || p->ports[0].count < DOMINANT_LEAST ||
        bh_micro_share(p->ports[0].count, sum) < DOMINANT) {
        return;
    }
    double share = (double)p->ports[0].count / (double)sum;
    struct bh_remark *m = bh_remark_new(s, "dominance", p->place.code, 50 + 20 * share, false);
    bh_remark_country(m, p->place.code);
    bh_remark_port(m, &p->ports[0]);
    bh_remark_number(m, "count", (double)p->ports[0].count);
    bh_remark_number(m, "top_sum", (double)sum);
    bh_remark_share(m, "share_of_top", p->ports[0].count, sum);
    bh_remark_share(m, "share_of_total", p->ports[0].count, p->count);
    for (int i = 0; i < BH_LANGS; i++) {
        enum bh_lang lang = (enum bh_lang)i;
        bh_remark_say(s, m, lang, R_DOMINANCE, bh_place_in_text(&p->place, lang).s,
                      bh_trend_port_words(s, &p->ports[0]).s, bh_percent(p->ports[0].count, sum).s,
                      bh_num(p->ports[0].count).s, bh_num(sum).s,
                      bh_percent(p->ports[0].count, p->count).s);
    }
}

void
bh_remark_dominance(struct bh_remark_set *s)
{
    for (size_t i = 0; i < s->listed; i++) {
        add_dominance(s, bh_listed_place(s, i));
    }
    add_dominance(s, &s->trend->home);
}

/* ---- the highest shares of the port that most want ----------------------------------------- */

static const struct bh_trend_port *
most_wanted(const struct bh_trend_port *all, size_t count)
{
    const struct bh_trend_port *best = NULL;
    for (size_t i = 0; i < count; i++) {
        if (best == NULL || all[i].sources > best->sources ||
            (all[i].sources == best->sources && all[i].count > best->count)) {
            best = &all[i];
        }
    }
    return best;
}

/* The listed country with the next lower share of `port` than those in `skip`; NULL: none. */
static const struct bh_trend_place *
next_share(const struct bh_remark_set *s, const struct bh_trend_port *port,
           const struct bh_trend_place *const *skip, size_t skip_count, uint64_t *ret_share)
{
    const struct bh_trend_place *best = NULL;
    for (size_t i = 0; i < s->listed; i++) {
        const struct bh_trend_place *p = bh_listed_place(s, i);
        int rank = bh_port_rank(p, port);
        bool skipped = rank < 0;
        for (size_t k = 0; k < skip_count; k++) {
            skipped |= skip[k] == p;
        }
        uint64_t share = skipped ? 0 : bh_micro_share(p->ports[rank].count, bh_top_sum(p));
        if (!skipped && (best == NULL || share > *ret_share)) {
            best = p;
            *ret_share = share;
        }
    }
    return best;
}

void
bh_remark_highest_shares(struct bh_remark_set *s)
{
    struct bh_trend_port all[BH_ALL_PORTS_MAX];
    const struct bh_trend_port *port = most_wanted(all, bh_all_ports(s, all, BH_COUNT(all)));
    const struct bh_trend_place *places[3];
    uint64_t shares[3] = { 0 };
    if (port == NULL || port->sources < 3) {
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        places[i] = next_share(s, port, places, i, &shares[i]);
        if (places[i] == NULL) {
            return;
        }
    }
    if (shares[1] == shares[2]) { /* then these are not the two highest */
        return;
    }
    struct bh_remark *m =
        bh_remark_new(s, "highest-shares", bh_port_text(port->port, port->proto).s, 58, true);
    static const char *const names[] = { "share_first", "share_second", "share_third" };
    bh_remark_port(m, port);
    for (size_t i = 0; i < 3; i++) {
        bh_remark_country(m, places[i]->place.code);
        bh_remark_share(m, names[i], shares[i], 1000000);
    }
    for (int i = 0; i < BH_LANGS; i++) {
        enum bh_lang lang = (enum bh_lang)i;
        bh_remark_say(s, m, lang, R_HIGHEST, bh_trend_port_words(s, port).s,
                      bh_place_in_text(&places[0]->place, lang).s, bh_percent(shares[0], 1000000).s,
                      bh_place_in_text(&places[1]->place, lang).s, bh_percent(shares[1], 1000000).s,
                      bh_place_in_text(&places[2]->place, lang).s,
                      bh_percent(shares[2], 1000000).s);
    }
}

/* ---- ports wanted by at least half of the listed countries --------------------------------- */

struct wanted {
    uint64_t sum; /* of all listed countries' top ports */
    size_t first_in;
    const struct bh_trend_place *most;
    uint64_t most_count;
};

static struct wanted
look_at(const struct bh_remark_set *s, const struct bh_trend_port *port)
{
    struct wanted w = { 0 };
    for (size_t i = 0; i < s->listed; i++) {
        const struct bh_trend_place *p = bh_listed_place(s, i);
        int rank = bh_port_rank(p, port);
        w.sum += bh_top_sum(p);
        w.first_in += rank == 0;
        if (rank >= 0 && (w.most == NULL || p->ports[rank].count > w.most_count)) {
            w.most = p;
            w.most_count = p->ports[rank].count;
        }
    }
    return w;
}

static void
say_wanted(struct bh_remark_set *s, struct bh_remark *m, const struct bh_trend_port *port,
           const struct wanted *w)
{
    struct bh_meaning meaning;
    bool known = bh_report_meaning(s->report, port->port, port->proto, &meaning);
    for (int i = 0; i < BH_LANGS; i++) {
        enum bh_lang lang = (enum bh_lang)i;
        struct bh_buf sought = { 0 };
        if (known) {
            bh_say(&sought, lang, R_SOUGHT, meaning.purpose[lang]);
        }
        const char *why = sought.data == NULL ? "" : sought.data;
        struct bh_short name = bh_trend_port_words(s, port);
        struct bh_short count = bh_count_words(s->trend, port->count, lang);
        if (port->sources == s->listed) {
            enum bh_word_id id = w->first_in == 0           ? BH_W_R_ALL_WANT_NEVER_FIRST
                                 : w->first_in == s->listed ? BH_W_R_ALL_WANT_FIRST
                                                            : BH_W_R_ALL_WANT;
            bh_remark_text(s, m, lang, id,
                           (const char *const[]){ name.s, bh_num(s->listed).s,
                                                  bh_num(w->first_in).s, count.s,
                                                  bh_percent(port->count, w->sum).s, why },
                           6);
        } else {
            bh_remark_say(s, m, lang, R_HALF_WANT, name.s, bh_num(port->sources).s,
                          bh_num(s->listed).s, count.s, bh_num(w->most_count).s,
                          bh_place_in_text(&w->most->place, lang).s, why);
        }
        bh_buf_done(&sought);
    }
}

void
bh_remark_wanted_by_half(struct bh_remark_set *s)
{
    struct bh_trend_port all[BH_ALL_PORTS_MAX];
    size_t count = bh_all_ports(s, all, BH_COUNT(all));
    for (size_t i = 0; i < count && s->listed > 2; i++) {
        const struct bh_trend_port *port = &all[i];
        if (port->sources * 2 < s->listed) {
            continue;
        }
        struct wanted w = look_at(s, port);
        double spread = (double)port->sources / (double)s->listed;
        struct bh_remark *m =
            bh_remark_new(s, "port-wanted-by-half", bh_port_text(port->port, port->proto).s,
                          40 + 45 * spread, true);
        bh_remark_port(m, port);
        bh_remark_country(m, w.most->place.code);
        bh_remark_number(m, "countries", (double)port->sources);
        bh_remark_number(m, "listed", (double)s->listed);
        bh_remark_number(m, "count", (double)port->count);
        bh_remark_share(m, "share_of_top", port->count, w.sum);
        bh_remark_number(m, "first_in", (double)w.first_in);
        bh_remark_number(m, "largest", (double)w.most_count);
        say_wanted(s, m, port, &w);
    }
}
