/* SPDX-License-Identifier: BSD-2-Clause */
/* Few senders behind much, and neighbours that send the same number. */
#include "remarks_priv.h"

#define FEW 3U
#define LEAST 100U         /* counts below say nothing                       */
#define NEARLY_EQUAL 1000U /* millionths of the larger: 0.1 %                */
#define ONE_SOURCE 500000U /* millionths of a country's accesses             */

static void
add_few(struct bh_remark_set *s, const struct bh_trend_place *p, const struct bh_trend_port *port)
{
    char subject[32];
    snprintf(subject, sizeof subject, "%.3s:%.20s", p->place.code,
             bh_port_text(port->port, port->proto).s);
    double weight = 55 + 20 * (double)port->count / (double)(s->trend->count_total + 1);
    struct bh_remark *m = bh_remark_new(s, "few-sources", subject, weight, false);
    bh_remark_country(m, p->place.code);
    bh_remark_port(m, port);
    bh_remark_number(m, "count", (double)port->count);
    bh_remark_number(m, "sources", (double)port->sources);
    for (int i = 0; i < BH_LANGS; i++) {
        enum bh_lang lang = (enum bh_lang)i;
        bh_remark_say(s, m, lang, R_FEW_SOURCES, bh_count_words(s->trend, port->count, lang).s,
                      bh_trend_port_words(s, port).s, bh_place_in_text(&p->place, lang).s,
                      bh_num(port->sources).s);
    }
}

static void
add_one_source(struct bh_remark_set *s, const struct bh_trend_place *p)
{
    uint64_t share = bh_micro_share(p->top_source_count, p->accesses);
    if (p->sources < 2 || p->top_source_count < LEAST || share < ONE_SOURCE) {
        return;
    }
    struct bh_remark *m =
        bh_remark_new(s, "few-sources", p->place.code, 52 + (double)share / 1e5, false);
    bh_remark_country(m, p->place.code);
    bh_remark_number(m, "count", (double)p->top_source_count);
    bh_remark_number(m, "accesses", (double)p->accesses);
    bh_remark_number(m, "sources", 1);
    bh_remark_share(m, "share", p->top_source_count, p->accesses);
    for (int i = 0; i < BH_LANGS; i++) {
        enum bh_lang lang = (enum bh_lang)i;
        bh_remark_say(s, m, lang, R_ONE_SOURCE, bh_ip_words(&p->top_source).s,
                      bh_num(p->top_source_count).s, bh_access_words(p->accesses, lang).s,
                      bh_place_in_text(&p->place, lang).s,
                      bh_percent(p->top_source_count, p->accesses).s);
    }
}

static void
look_at_place(struct bh_remark_set *s, const struct bh_trend_place *p)
{
    for (size_t i = 0; i < p->port_count && s->trend->count != BH_COUNT_SOURCES; i++) {
        const struct bh_trend_port *port = &p->ports[i];
        if (port->sources > 0 && port->sources <= FEW && port->count >= LEAST) {
            add_few(s, p, port);
        }
    }
    add_one_source(s, p);
}

void
bh_remark_few_sources(struct bh_remark_set *s)
{
    for (size_t i = 0; i < s->listed; i++) {
        look_at_place(s, bh_listed_place(s, i));
    }
    look_at_place(s, &s->trend->home);
}

/* ---- neighbours ---------------------------------------------------------------------------- */

static void
add_pair(struct bh_remark_set *s, const struct bh_trend_source *a, const struct bh_trend_source *b)
{
    uint64_t difference = a->count - b->count;
    struct bh_buf subject = { 0 };
    bh_buf_printf(&subject, "%s:%s", bh_ip_words(&a->ip).s, bh_ip_words(&b->ip).s);
    struct bh_remark *m = bh_remark_new(s, "nearly-equal-neighbours",
                                        subject.data == NULL ? "" : subject.data, 74, true);
    bh_buf_done(&subject);
    if (a->code[0] != '\0') {
        bh_remark_country(m, a->code);
    }
    bh_remark_number(m, "count_first", (double)a->count);
    bh_remark_number(m, "count_second", (double)b->count);
    bh_remark_number(m, "difference", (double)difference);
    bh_remark_share(m, "difference_share", difference, a->count);
    /* 0.02 %: two places, as 0.0 % would read as none. */
    uint64_t hundredths = (bh_micro_share(difference, a->count) + 50) / 100;
    char share[32];
    snprintf(share, sizeof share, "%u.%02u%%", (unsigned)(hundredths / 100),
             (unsigned)(hundredths % 100));
    for (int i = 0; i < BH_LANGS; i++) {
        enum bh_lang lang = (enum bh_lang)i;
        bh_remark_say(s, m, lang, R_NEARLY_EQUAL, bh_ip_words(&a->ip).s, bh_ip_words(&b->ip).s,
                      bh_num(a->count).s, bh_num(b->count).s, bh_num(difference).s, share);
    }
}

void
bh_remark_nearly_equal(struct bh_remark_set *s)
{
    const struct bh_trend *t = s->trend;
    /* Ranked by count: nearly equal ones stand side by side. */
    for (size_t i = 0; i + 1 < t->neighbour_count; i++) {
        const struct bh_trend_source *a = &t->neighbours[i];
        const struct bh_trend_source *b = &t->neighbours[i + 1];
        if (a->count >= b->count && b->count >= LEAST &&
            (a->count - b->count) * 1000000U <= NEARLY_EQUAL * a->count) {
            add_pair(s, a, b);
        }
    }
}
