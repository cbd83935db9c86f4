/* SPDX-License-Identifier: BSD-2-Clause */
/* Comparing the sets of top ports: new ones, equal sets, sets that differ in one, ports that
 * one country alone asks for. */
#include "remarks_priv.h"

#define SET_MAX 16U /* ports of a country that are looked at; as many as a remark holds */

static bool
above_has(const struct bh_remark_set *s, size_t below, const struct bh_trend_port *port)
{
    for (size_t i = 0; i < below; i++) {
        if (bh_port_rank(bh_listed_place(s, i), port) >= 0) {
            return true;
        }
    }
    return false;
}

static void
add_new_port(struct bh_remark_set *s, const struct bh_trend_place *p,
             const struct bh_trend_port *fresh, size_t count)
{
    struct bh_remark *m = bh_remark_new(s, count > 0 ? "new-port" : "nothing-new", p->place.code,
                                        count > 0 ? 60 : 50, false);
    bh_remark_country(m, p->place.code);
    for (size_t i = 0; i < count; i++) {
        bh_remark_port(m, &fresh[i]);
    }
    bh_remark_number(m, "new_ports", (double)count);
    for (int i = 0; i < BH_LANGS; i++) {
        enum bh_lang lang = (enum bh_lang)i;
        struct bh_short name = bh_place_in_text(&p->place, lang);
        if (count > 0) {
            bh_remark_say(s, m, lang, R_NEW_PORT, name.s, bh_list_ports(s, fresh, count, lang).s);
        } else {
            bh_remark_say(s, m, lang, R_NOTHING_NEW, name.s);
        }
    }
}

void
bh_remark_new_port(struct bh_remark_set *s)
{
    for (size_t i = 1; i < s->listed; i++) {
        const struct bh_trend_place *p = bh_listed_place(s, i);
        struct bh_trend_port fresh[SET_MAX];
        size_t count = 0;
        for (size_t k = 0; k < p->port_count && count < SET_MAX; k++) {
            if (!above_has(s, i, &p->ports[k])) {
                fresh[count++] = p->ports[k];
            }
        }
        if (p->port_count > 0) {
            add_new_port(s, p, fresh, count);
        }
    }
}

/* ---- equal sets ---------------------------------------------------------------------------- */

/* How many ports of `a` are not among those of `b`; *ret_one is the last such. */
static size_t
missing(const struct bh_trend_place *a, const struct bh_trend_place *b,
        const struct bh_trend_port **ret_one)
{
    size_t n = 0;
    for (size_t i = 0; i < a->port_count; i++) {
        if (bh_port_rank(b, &a->ports[i]) < 0) {
            *ret_one = &a->ports[i];
            n++;
        }
    }
    return n;
}

static bool
same_set(const struct bh_trend_place *a, const struct bh_trend_place *b)
{
    const struct bh_trend_port *one = NULL;
    return a->port_count == b->port_count && missing(a, b, &one) == 0;
}

static bool
same_order(const struct bh_trend_place *a, const struct bh_trend_place *const *others, size_t count)
{
    for (size_t c = 0; c < count; c++) {
        for (size_t i = 0; i < a->port_count; i++) {
            if (!bh_same_port(&a->ports[i], &others[c]->ports[i])) {
                return false;
            }
        }
    }
    return true;
}

static void
add_same(struct bh_remark_set *s, const struct bh_trend_place *p,
         const struct bh_trend_place *const *like, size_t count)
{
    struct bh_remark *m = bh_remark_new(s, "same-ports", p->place.code, 65, false);
    bool order = same_order(p, like, count);
    bh_remark_country(m, p->place.code);
    for (size_t i = 0; i < count; i++) {
        bh_remark_country(m, like[i]->place.code);
    }
    for (size_t i = 0; i < p->port_count; i++) {
        bh_remark_port(m, &p->ports[i]);
    }
    bh_remark_number(m, "ports", (double)p->port_count);
    bh_remark_number(m, "same_order", order);
    for (int i = 0; i < BH_LANGS; i++) {
        enum bh_lang lang = (enum bh_lang)i;
        bh_remark_text(s, m, lang, order ? BH_W_R_SAME_PORTS_ORDER : BH_W_R_SAME_PORTS,
                       (const char *const[]){ bh_place_in_text(&p->place, lang).s,
                                              bh_list_places(like, count, lang).s,
                                              bh_list_ports(s, p->ports, p->port_count, lang).s },
                       3);
    }
}

/* Against the countries of `group` (one set): one port of p's is not theirs, one of theirs not p's. */
static void
add_but_one(struct bh_remark_set *s, const struct bh_trend_place *p,
            const struct bh_trend_place *const *group, size_t count, double weight)
{
    const struct bh_trend_port *mine = NULL;
    const struct bh_trend_port *theirs = NULL;
    if (p->port_count != group[0]->port_count || p->port_count < 3 ||
        missing(p, group[0], &mine) != 1 || missing(group[0], p, &theirs) != 1) {
        return;
    }
    char subject[16];
    snprintf(subject, sizeof subject, "%.3s:%.3s", p->place.code, group[0]->place.code);
    struct bh_remark *m = bh_remark_new(s, "same-ports-but-one", subject, weight, false);
    bh_remark_country(m, p->place.code);
    for (size_t i = 0; i < count; i++) {
        bh_remark_country(m, group[i]->place.code);
    }
    bh_remark_port(m, mine);
    bh_remark_port(m, theirs);
    bh_remark_number(m, "ports", (double)p->port_count);
    for (int i = 0; i < BH_LANGS; i++) {
        enum bh_lang lang = (enum bh_lang)i;
        bh_remark_say(s, m, lang, R_BUT_ONE, bh_place_in_text(&p->place, lang).s,
                      bh_list_places(group, count, lang).s, bh_trend_port_words(s, mine).s,
                      bh_trend_port_words(s, theirs).s);
    }
}

/* Countries above `below` with the set of `like`, the nearest first. */
static size_t
with_set(const struct bh_remark_set *s, size_t below, const struct bh_trend_place *like,
         const struct bh_trend_place **ret_group, size_t max)
{
    size_t count = 0;
    for (size_t i = below; i > 0 && count < max; i--) {
        const struct bh_trend_place *p = bh_listed_place(s, i - 1);
        if (p->port_count > 0 && same_set(p, like)) {
            ret_group[count++] = p;
        }
    }
    return count;
}

void
bh_remark_same_ports(struct bh_remark_set *s)
{
    const struct bh_trend_place *group[15];
    for (size_t i = 1; i < s->listed; i++) {
        const struct bh_trend_place *p = bh_listed_place(s, i);
        size_t count = p->port_count < 2 ? 0 : with_set(s, i, p, group, BH_COUNT(group));
        if (count > 0) {
            add_same(s, p, group, count);
            continue; /* nearly equal ones would say less */
        }
        double weight = 56; /* the nearest in rank tell most */
        for (size_t k = i; k > 0; k--, weight -= 2) {
            const struct bh_trend_place *other = bh_listed_place(s, k - 1);
            count = with_set(s, i, other, group, BH_COUNT(group));
            if (count > 0 && group[0] == other) { /* each set once, at its nearest country */
                add_but_one(s, p, group, count, weight < 40 ? 40 : weight);
            }
        }
    }
}

/* ---- ports of one country alone ------------------------------------------------------------ */

void
bh_remark_only_country(struct bh_remark_set *s)
{
    struct bh_trend_port all[BH_ALL_PORTS_MAX];
    size_t all_count = bh_all_ports(s, all, BH_COUNT(all));
    for (size_t c = 0; c < s->listed && s->listed > 1; c++) {
        const struct bh_trend_place *p = bh_listed_place(s, c);
        struct bh_trend_port own[SET_MAX];
        size_t count = 0;
        for (size_t i = 0; i < all_count && count < SET_MAX; i++) {
            if (all[i].sources == 1 && bh_port_rank(p, &all[i]) >= 0) {
                own[count++] = all[i];
            }
        }
        if (count == 0) {
            continue;
        }
        uint64_t sum = 0;
        struct bh_remark *m = bh_remark_new(s, "only-country", p->place.code, 62, false);
        bh_remark_country(m, p->place.code);
        for (size_t i = 0; i < count; i++) {
            bh_remark_port(m, &own[i]);
            sum += own[i].count;
        }
        bh_remark_number(m, "count", (double)sum);
        for (int i = 0; i < BH_LANGS; i++) {
            enum bh_lang lang = (enum bh_lang)i;
            bh_remark_say(s, m, lang, R_ONLY_COUNTRY, bh_place_in_text(&p->place, lang).s,
                          bh_list_ports(s, own, count, lang).s);
        }
    }
}
