/* SPDX-License-Identifier: BSD-2-Clause */
/* When: times without any frame, and hours in which one source knocked without end. */
#include "remarks_priv.h"

#define GAPS_TOLD 5U
#define BURSTS_TOLD 5U
#define REGULAR_LEAST 2U /* one sender that is missing may have been off itself */

static void
add_gap(struct bh_remark_set *s, const struct bh_trend_gap *g)
{
    bool sensor = g->regular_sources >= REGULAR_LEAST;
    char start[40];
    struct bh_remark *m =
        bh_remark_new(s, "gap", bh_zone_format(g->start_ns, start), sensor ? 82 : 66, true);
    bh_remark_number(m, "seconds", (double)((g->end_ns - g->start_ns) / 1000000000));
    bh_remark_number(m, "regular_sources", (double)g->regular_sources);
    for (int i = 0; i < BH_LANGS; i++) {
        enum bh_lang lang = (enum bh_lang)i;
        bh_remark_text(s, m, lang, sensor ? BH_W_R_GAP_SENSOR : BH_W_R_GAP,
                       (const char *const[]){ bh_time_words(g->start_ns).s,
                                              bh_time_words(g->end_ns).s,
                                              bh_duration_words(g->end_ns - g->start_ns, lang).s,
                                              bh_num(g->regular_sources).s },
                       4);
    }
}

void
bh_remark_gaps(struct bh_remark_set *s)
{
    for (size_t i = 0; i < s->trend->gap_count && i < GAPS_TOLD; i++) {
        add_gap(s, &s->trend->gaps[i]);
    }
}

static void
add_burst(struct bh_remark_set *s, const struct bh_trend_burst *b)
{
    struct bh_trend_port port = { .port = b->port, .proto = b->proto };
    struct bh_buf subject = { 0 };
    char hour[40];
    bh_buf_printf(&subject, "%s:%s:%s", bh_port_text(b->port, b->proto).s,
                  bh_zone_format(b->hour_ns, hour), bh_ip_words(&b->ip).s);
    struct bh_remark *m =
        bh_remark_new(s, "burst", subject.data == NULL ? "" : subject.data, 63, true);
    bh_buf_done(&subject);
    if (b->code[0] != '\0') {
        bh_remark_country(m, b->code);
    }
    bh_remark_port(m, &port);
    bh_remark_number(m, "count", (double)b->count);
    for (int i = 0; i < BH_LANGS; i++) {
        enum bh_lang lang = (enum bh_lang)i;
        bh_remark_say(s, m, lang, R_BURST, bh_access_words(b->count, lang).s,
                      bh_trend_port_words(s, &port).s, bh_time_words(b->hour_ns).s,
                      bh_ip_words(&b->ip).s,
                      b->code[0] == '\0' ? bh_word(BH_W_ROW_NO_COUNTRY, lang)
                                         : bh_code_words(b->code, lang).s);
    }
}

void
bh_remark_bursts(struct bh_remark_set *s)
{
    for (size_t i = 0; i < s->trend->burst_count && i < BURSTS_TOLD; i++) {
        add_burst(s, &s->trend->bursts[i]);
    }
}
