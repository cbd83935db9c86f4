/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is first, and who asks first for something else than the countries above. */
#include "remarks_priv.h"

void
bh_remark_first_in_list(struct bh_remark_set *s)
{
    if (s->listed == 0 || bh_listed_place(s, 0)->port_count == 0) {
        return;
    }
    const struct bh_trend_place *p = bh_listed_place(s, 0);
    struct bh_remark *m = bh_remark_new(s, "first-in-list", p->place.code, 30, false);
    bh_remark_country(m, p->place.code);
    bh_remark_port(m, &p->ports[0]);
    bh_remark_number(m, "count", (double)p->count);
    bh_remark_share(m, "share", p->count, s->trend->count_total);
    bh_remark_number(m, "port_count", (double)p->ports[0].count);
    for (int i = 0; i < BH_LANGS; i++) {
        enum bh_lang lang = (enum bh_lang)i;
        bh_remark_say(s, m, lang, R_FIRST_IN_LIST, bh_place_in_text(&p->place, lang).s,
                      bh_count_words(s->trend, p->count, lang).s,
                      bh_percent(p->count, s->trend->count_total).s,
                      bh_trend_port_words(s, &p->ports[0]).s,
                      bh_count_words(s->trend, p->ports[0].count, lang).s);
    }
}

/* The first port that most countries above `below` share; equal numbers: the higher country's. */
static const struct bh_trend_port *
usual_first(const struct bh_remark_set *s, size_t below)
{
    const struct bh_trend_port *best = NULL;
    size_t best_n = 0;
    for (size_t i = 0; i < below; i++) {
        const struct bh_trend_place *p = bh_listed_place(s, i);
        size_t n = 0;
        for (size_t k = 0; k < below && p->port_count > 0; k++) {
            const struct bh_trend_place *other = bh_listed_place(s, k);
            n += other->port_count > 0 && bh_same_port(&other->ports[0], &p->ports[0]);
        }
        if (n > best_n) {
            best_n = n;
            best = &p->ports[0];
        }
    }
    return best;
}

/* A country above whose first port is the same; NULL: none. */
static const struct bh_trend_place *
same_first_above(const struct bh_remark_set *s, size_t below, const struct bh_trend_port *port)
{
    for (size_t i = 0; i < below; i++) {
        const struct bh_trend_place *p = bh_listed_place(s, i);
        if (p->port_count > 0 && bh_same_port(&p->ports[0], port)) {
            return p;
        }
    }
    return NULL;
}

static void
say_differs(struct bh_remark_set *s, struct bh_remark *m, const struct bh_trend_place *p,
            const struct bh_trend_port *usual, const struct bh_trend_place *like)
{
    static const enum bh_word_id places[] = { BH_W_PLACE_N, BH_W_PLACE_2, BH_W_PLACE_3,
                                              BH_W_PLACE_4 };
    int rank = bh_port_rank(p, usual);
    enum bh_word_id place = rank > 0 && rank < (int)BH_COUNT(places) ? places[rank] : BH_W_PLACE_N;
    enum bh_word_id id = like == NULL ? BH_W_R_FIRST_DIFFERS : BH_W_R_FIRST_LIKE;
    if (rank < 0) {
        id = like == NULL ? BH_W_R_FIRST_DIFFERS_NONE : BH_W_R_FIRST_LIKE_NONE;
    }
    for (int i = 0; i < BH_LANGS; i++) {
        enum bh_lang lang = (enum bh_lang)i;
        bh_remark_text(s, m, lang, id,
                       (const char *const[]){
                           bh_place_in_text(&p->place, lang).s,
                           bh_trend_port_words(s, &p->ports[0]).s,
                           bh_count_words(s->trend, p->ports[0].count, lang).s,
                           bh_trend_port_words(s, usual).s,
                           bh_word(place, lang),
                           rank < 0 ? "" : bh_count_words(s->trend, p->ports[rank].count, lang).s,
                           like == NULL ? "" : bh_place_in_text(&like->place, lang).s,
                       },
                       7);
    }
}

void
bh_remark_first_port_differs(struct bh_remark_set *s)
{
    for (size_t i = 1; i < s->listed; i++) {
        const struct bh_trend_place *p = bh_listed_place(s, i);
        const struct bh_trend_port *usual = usual_first(s, i);
        if (usual == NULL || p->port_count == 0 || bh_same_port(&p->ports[0], usual)) {
            continue;
        }
        const struct bh_trend_place *like = same_first_above(s, i, &p->ports[0]);
        int rank = bh_port_rank(p, usual);
        struct bh_remark *m =
            bh_remark_new(s, "first-port-differs", p->place.code, like == NULL ? 80 : 76, false);
        bh_remark_country(m, p->place.code);
        if (like != NULL) {
            bh_remark_country(m, like->place.code);
        }
        bh_remark_port(m, &p->ports[0]);
        bh_remark_port(m, usual);
        bh_remark_number(m, "count", (double)p->ports[0].count);
        bh_remark_number(m, "usual_rank", rank + 1);
        bh_remark_number(m, "usual_count", rank < 0 ? 0 : (double)p->ports[rank].count);
        if (m != NULL) {
            say_differs(s, m, p, usual, like);
        }
    }
}
