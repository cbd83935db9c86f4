/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of remarks share. A kind of remark is one function that looks at the trend and
 * adds what it finds; table.c lists them. Nothing here knows a port or a country: everything
 * that is said comes out of the trend (docs/format/report.md has the kinds and thresholds).
 */
#ifndef REMARKS_PRIV_H
#define REMARKS_PRIV_H

#include "words_priv.h"

struct bh_weighed {
    struct bh_remark remark;
    double weight;
    size_t order; /* as found: keeps equal weights in place */
};
struct bh_remark_set {
    const struct bh_report *report;
    const struct bh_trend *trend;
    size_t listed; /* the first countries of the trend: those of the list */
    struct bh_weighed *items;
    size_t count, cap;
    bool failed; /* out of memory */
};

/* A new remark, id "KIND:SUBJECT" (or KIND); NULL without memory. Good until the next one.
 * `general`: it is not on its first country alone. */
struct bh_remark *bh_remark_new(struct bh_remark_set *s, const char *kind, const char *subject,
                                double weight, bool general);
/* These accept NULL, and leave out what is beyond the bounds of struct bh_remark. */
void bh_remark_country(struct bh_remark *m, const char *code);
void bh_remark_port(struct bh_remark *m, const struct bh_trend_port *port);
void bh_remark_number(struct bh_remark *m, const char *name, double value);
void bh_remark_share(struct bh_remark *m, const char *name, uint64_t part, uint64_t whole);
void bh_remark_text(struct bh_remark_set *s, struct bh_remark *m, enum bh_lang lang,
                    enum bh_word_id id, const char *const *args, size_t count);
#define bh_remark_say(s, m, lang, id, ...)                                                         \
    bh_remark_text((s), (m), (lang), BH_W_##id, (const char *const[]){ __VA_ARGS__ },              \
                   sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

/* ---- looking at places --------------------------------------------------------------------- */

static inline const struct bh_trend_place *
bh_listed_place(const struct bh_remark_set *s, size_t i)
{
    return &s->trend->countries[i];
}
/* Its place among the top ports (0 first); -1 when it is not there. */
int bh_port_rank(const struct bh_trend_place *p, const struct bh_trend_port *port);
uint64_t bh_top_sum(const struct bh_trend_place *p);
bool bh_same_port(const struct bh_trend_port *a, const struct bh_trend_port *b);
/* The ports of all listed countries' lists, each once, with count (sum), and in `sources` how
 * many countries have it. Returns how many; at most `max`. */
size_t bh_all_ports(const struct bh_remark_set *s, struct bh_trend_port *ret_ports, size_t max);
#define BH_ALL_PORTS_MAX 256U

struct bh_short bh_trend_port_words(const struct bh_remark_set *s, const struct bh_trend_port *p);

/* An enumeration, of ports or countries, in one language. */
struct bh_listing {
    char s[640];
};
struct bh_listing bh_list_ports(const struct bh_remark_set *s, const struct bh_trend_port *ports,
                                size_t count, enum bh_lang lang);
struct bh_listing
bh_list_places(const struct bh_trend_place *const *places, size_t count, enum bh_lang lang);

/* ---- the kinds ----------------------------------------------------------------------------- */

/* first.c */
bh_remark_fn bh_remark_first_in_list, bh_remark_first_port_differs;
/* sets.c */
bh_remark_fn bh_remark_new_port, bh_remark_same_ports, bh_remark_only_country;
/* shares.c */
bh_remark_fn bh_remark_dominance, bh_remark_highest_shares, bh_remark_wanted_by_half;
/* targets.c */
bh_remark_fn bh_remark_targets;
/* home.c */
bh_remark_fn bh_remark_home_dominance, bh_remark_home_ports;
/* sources.c */
bh_remark_fn bh_remark_few_sources, bh_remark_nearly_equal;
/* time.c */
bh_remark_fn bh_remark_gaps, bh_remark_bursts;

#endif
