/* SPDX-License-Identifier: BSD-2-Clause */
/* The opening sentences, made from the data. */
#include "words_priv.h"

#define NS_PER_S INT64_C(1000000000)

static void
say_period(const struct bh_report *r, enum bh_lang lang, struct bh_buf *out)
{
    const struct bh_trend *t = r->trend;
    struct bh_short length = bh_duration_words(t->end_ns - t->start_ns, lang);
    if (!bh_period_is_days(t)) {
        bh_say(out, lang, OPEN_PERIOD, bh_time_words(t->start_ns).s, bh_time_words(t->end_ns).s,
               length.s, r->zone);
        return;
    }
    int64_t days = bh_zone_day(t->end_ns / NS_PER_S) - bh_zone_day(t->start_ns / NS_PER_S);
    struct bh_short last = bh_date_words(t->end_ns - NS_PER_S);
    if (days == 1) {
        bh_say(out, lang, OPEN_DAY, last.s, r->zone);
        return;
    }
    struct bh_buf in_days = { 0 };
    bh_say(&in_days, lang, DAYS, bh_num((uint64_t)days).s);
    bh_say(out, lang, OPEN_PERIOD, bh_date_words(t->start_ns).s, last.s,
           in_days.data == NULL ? "" : in_days.data, r->zone);
    bh_buf_done(&in_days);
}

static void
say_most(const struct bh_report *r, enum bh_lang lang, struct bh_buf *out)
{
    const struct bh_trend *t = r->trend;
    size_t n = bh_listed_places(t) < 3 ? bh_listed_places(t) : 3;
    if (n == 0) {
        return;
    }
    bh_buf_puts(out, bh_word(bh_has_home_country(r) ? BH_W_OPEN_MOST : BH_W_OPEN_MOST_ANY, lang));
    for (size_t i = 0; i < n; i++) {
        bh_buf_puts(out, bh_join_word(i, n, lang));
        bh_say(out, lang, OPEN_PLACE, bh_place_in_text(&t->countries[i].place, lang).s,
               bh_num(t->countries[i].count).s);
    }
    bh_say(out, lang, OPEN_MOST_END, bh_num(n).s);
}

/* The port with the largest sum over the listed countries' top ports. */
static bool
first_port(const struct bh_trend *t, struct bh_trend_port *ret_port)
{
    struct bh_trend_port best = { 0 };
    for (size_t i = 0; i < t->crosstab_count; i++) {
        const struct bh_trend_row *row = &t->crosstab[i];
        uint64_t sum = 0;
        for (size_t c = 0; c < row->cell_count; c++) {
            sum += row->cells[c].count;
        }
        if (sum > best.count) {
            best = (struct bh_trend_port){ .port = row->port, .proto = row->proto, .count = sum };
        }
    }
    *ret_port = best;
    return best.count > 0;
}

/* Where the sources are. */
static void
say_knocked(const struct bh_report *r, enum bh_lang lang, const char *home, struct bh_buf *out)
{
    const struct bh_trend *t = r->trend;
    enum bh_word_id id = t->countries_total == 0 ? BH_W_OPEN_KNOCKED_NOWHERE
                         : t->by_region          ? BH_W_OPEN_KNOCKED_REGIONS
                                                 : BH_W_OPEN_KNOCKED;
    bh_say_args(out, bh_word(id, lang),
                (const char *const[]){ bh_num(t->sources).s, bh_num(t->countries_total).s,
                                       bh_num(t->accesses - t->visits_total).s, home },
                4);
}

static void
say_first_port(const struct bh_report *r, enum bh_lang lang, struct bh_buf *out)
{
    struct bh_trend_port port;
    struct bh_meaning m;
    if (!first_port(r->trend, &port)) {
        bh_buf_puts(out, bh_word(BH_W_OPEN_END, lang));
        return;
    }
    /* Without a home country nothing is abroad. */
    enum bh_word_id where = bh_has_home_country(r) ? BH_W_ABROAD : BH_W_LISTED_PLACES;
    struct bh_buf from = { 0 };
    bh_say_rows(&from, r->trend, bh_word(where, lang), NULL, 0);
    const char *from_text = from.data == NULL ? "" : from.data;
    struct bh_short name = bh_port_words(r, port.port, port.proto);
    if (bh_report_meaning(r, port.port, port.proto, &m)) {
        bh_say(out, lang, OPEN_PORT, from_text, name.s, m.purpose[lang]);
    } else {
        bh_say(out, lang, OPEN_PORT_BARE, from_text, name.s);
    }
    bh_buf_done(&from);
}

void
bh_opening_words(const struct bh_report *r, enum bh_lang lang, struct bh_buf *out)
{
    const struct bh_trend *t = r->trend;
    struct bh_buf home = { 0 };
    bh_home_words(r, lang, &home);
    if (lang == BH_JA && home.len > 0 && ((unsigned char)home.data[home.len - 1] & 0x80) == 0) {
        bh_buf_putc(&home, ' '); /* Latin letters and digits stand apart from kana */
    }
    say_period(r, lang, out);
    say_knocked(r, lang, home.data == NULL ? "" : home.data, out);
    bh_buf_done(&home);
    if (t->visits_total > 0) {
        bh_say(out, lang, OPEN_VISITED, bh_num(t->visits_total).s);
    }
    say_most(r, lang, out);
    if (bh_has_home_country(r) && t->home.count > 0) {
        bh_say(out, lang, OPEN_HOME, bh_place_in_text(&t->home.place, lang).s,
               bh_count_words(t, t->home.count, lang).s,
               bh_percent(t->home.count, t->count_total).s);
    }
    say_first_port(r, lang, out);
    if (t->count != BH_COUNT_ACCESSES) {
        bh_say(out, lang, OPEN_COUNTED, bh_unit_word(t, lang));
    }
    if (r->filter_text[0] != '\0') {
        bh_say(out, lang, OPEN_FILTER, r->filter_text);
    }
    if (t->approximate) {
        uint64_t micro = t->approximate_error > 0 && t->approximate_error < 1
                             ? (uint64_t)(t->approximate_error * 1e6)
                             : 0;
        bh_say(out, lang, OPEN_APPROXIMATE, bh_percent(micro, 1000000).s);
    }
}

/* ---- when there is nothing ----------------------------------------------------------------- */

static void
say_input(const struct bh_report *r, enum bh_lang lang, struct bh_buf *out)
{
    if (r->options.file_count == 1) {
        bh_buf_puts(out, r->options.files[0]);
    } else {
        bh_buf_puts(out, bh_word(BH_W_NOTHING_INPUT, lang));
    }
}

/* The class with the most of the IP packets that came in. */
static unsigned
most_of(const struct bh_trend *t)
{
    unsigned best = BH_CLASS_ACCESS + 1;
    for (unsigned c = best + 1; c < BH_CLASS_COUNT; c++) {
        bool came_in = c != BH_CLASS_ARP && c != BH_CLASS_ICMP_ECHO_REPLY_SENT &&
                       c != BH_CLASS_ICMP_UNREACHABLE_SENT && c != BH_CLASS_LOCAL;
        if (came_in && t->not_accesses[c] > t->not_accesses[best]) {
            best = c;
        }
    }
    return best;
}

static void
say_mostly(const struct bh_report *r, enum bh_lang lang, const char *home, struct bh_buf *out)
{
    const struct bh_trend *t = r->trend;
    uint64_t answers = t->not_accesses[BH_CLASS_TCP_IN_FLOW] +
                       t->not_accesses[BH_CLASS_UDP_ANSWER] +
                       t->not_accesses[BH_CLASS_TCP_BACKSCATTER];
    struct bh_short packets = bh_num(t->packets);
    if (t->inbound_packets == 0) {
        if (t->outgoing_packets == t->packets) {
            bh_say(out, lang, NOTHING_OUTGOING, packets.s, home);
        } else {
            bh_say(out, lang, NOTHING_ELSEWHERE, packets.s, home);
        }
    } else if (answers >= t->inbound_packets) {
        bh_say(out, lang, NOTHING_ANSWERS, packets.s, home);
    } else {
        unsigned most = most_of(t);
        bh_say(out, lang, NOTHING_MOSTLY, packets.s, bh_num(t->inbound_packets).s,
               bh_class_words(most, lang), bh_num(t->not_accesses[most]).s);
    }
}

void
bh_nothing_words(const struct bh_report *r, enum bh_lang lang, struct bh_buf *out)
{
    const struct bh_trend *t = r->trend;
    struct bh_buf home = { 0 };
    const struct bh_report_options *o = &r->options;
    bool bounded = o->since != NULL || o->until != NULL || o->last != NULL;
    bh_home_words(r, lang, &home);
    const char *home_text = home.data == NULL ? "" : home.data;
    if (r->filter_text[0] != '\0') {
        bh_say(out, lang, NOTHING_FILTER, r->filter_text);
        bh_buf_puts(out, bh_word(BH_W_NOTHING_TRY_FILTER, lang));
    } else if (t->frames == 0 && bounded) {
        struct bh_buf period = { 0 };
        bh_buf_printf(&period, "%s - %s", bh_time_words(t->start_ns).s, bh_time_words(t->end_ns).s);
        bh_say(out, lang, NOTHING_PERIOD, period.data == NULL ? "" : period.data);
        bh_buf_puts(out, bh_word(BH_W_NOTHING_TRY_PERIOD, lang));
        bh_buf_done(&period);
    } else if (t->frames == 0) {
        struct bh_buf input = { 0 };
        say_input(r, lang, &input);
        bh_say(out, lang, NOTHING_FRAMES, input.data == NULL ? "" : input.data);
        bh_buf_done(&input);
    } else if (t->packets == 0) {
        bh_say(out, lang, NOTHING_PACKETS, bh_num(t->frames).s);
    } else {
        say_mostly(r, lang, home_text, out);
        bh_say(out, lang, NOTHING_TRY_HOME, home_text);
        if (t->inbound_packets > 0) {
            bh_buf_puts(out, bh_word(BH_W_NOTHING_TRY_ALL, lang));
        }
    }
    bh_buf_done(&home);
}
