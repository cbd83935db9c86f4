/* SPDX-License-Identifier: BSD-2-Clause */
/* The rest of the page: pings, the time line, remarks, health. */
#include "page_priv.h"

#include <stdlib.h>

/* A sentence after another: English wants a blank between. */
static void
between(const struct bh_page *p, struct bh_buf *text)
{
    if (text->len > 0 && p->lang == BH_EN) {
        bh_buf_putc(text, ' ');
    }
}

/* ---- pings and what was no access ---------------------------------------------------------- */

static void
say_not_accesses(const struct bh_page *p, struct bh_buf *out)
{
    const struct bh_trend *t = p->report->trend;
    enum bh_class classes[BH_CLASS_COUNT];
    size_t count = bh_not_access_classes(classes, BH_COUNT(classes));
    size_t named = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t n = t->not_accesses[classes[i]];
        if (n == 0 || classes[i] == BH_CLASS_ICMP_ECHO_REQUEST) {
            continue; /* pings have been told */
        }
        bh_buf_puts(out, bh_word(named == 0 ? BH_W_NOT_ACCESSES : BH_W_JOIN, p->lang));
        bh_say(out, p->lang, NOT_ACCESS, bh_num(n).s, bh_class_words(classes[i], p->lang));
        named++;
    }
    bh_buf_puts(out, named > 0 ? bh_word(BH_W_HEALTH_END, p->lang) : "");
}

void
bh_page_pings(struct bh_page *p)
{
    const struct bh_trend *t = p->report->trend;
    struct bh_buf text = { 0 };
    bh_page_heading(p, bh_word(BH_W_HEAD_PINGS, p->lang));
    if (t->pings == 0) {
        bh_buf_puts(&text, bh_word(BH_W_NO_PINGS, p->lang));
    } else {
        bh_say(&text, p->lang, PINGS, bh_num(t->pings).s, bh_num(t->ping_sources).s,
               bh_num(t->ping_then_accessed).s);
    }
    between(p, &text);
    say_not_accesses(p, &text);
    bh_page_paragraph(p, &text);
    bh_buf_done(&text);
}

/* ---- the time line ------------------------------------------------------------------------- */

static void
say_chart(const struct bh_page *p, struct bh_buf *out)
{
    static const enum bh_word_id one[] = { BH_W_BIN_HOUR, BH_W_BIN_DAY, BH_W_BIN_WEEK };
    static const enum bh_word_id many[] = { BH_W_BINS_HOUR, BH_W_BINS_DAY, BH_W_BINS_WEEK };
    const struct bh_trend *t = p->report->trend;
    struct bh_chart c;
    unsigned columns = p->columns == 0 ? 80 : p->columns;
    bh_draw_chart(t, bh_chart_width(t, columns, p->columns == 0 ? 0 : 2), 1, &c);
    const char *unit = bh_unit_word(t, p->lang);
    const char *bin = bh_word(one[(unsigned)t->bin % 3], p->lang);
    if (c.bins_per_column < 2) {
        bh_say_args(out, bh_word(c.has_gap ? BH_W_CHART_UNIT : BH_W_CHART_UNIT_PLAIN, p->lang),
                    (const char *const[]){ unit, bin }, 2);
        return;
    }
    struct bh_buf bins = { 0 };
    bh_say_args(&bins, bh_word(many[(unsigned)t->bin % 3], p->lang),
                (const char *const[]){ bh_num(c.bins_per_column).s }, 1);
    bh_say_args(out,
                bh_word(c.has_gap ? BH_W_CHART_UNIT_MEAN : BH_W_CHART_UNIT_MEAN_PLAIN, p->lang),
                (const char *const[]){ unit, bin, bins.data == NULL ? "" : bins.data }, 3);
    bh_buf_done(&bins);
}

static void
say_gaps(const struct bh_page *p, struct bh_buf *out)
{
    const struct bh_trend *t = p->report->trend;
    size_t told = t->gap_count < 3 ? t->gap_count : 3;
    for (size_t i = 0; i < told; i++) {
        const struct bh_trend_gap *g = &t->gaps[i];
        between(p, out);
        bh_say(out, p->lang, GAP, bh_time_words(g->start_ns).s, bh_time_words(g->end_ns).s,
               bh_duration_words(g->end_ns - g->start_ns, p->lang).s);
    }
    if (told < t->gap_count) {
        between(p, out);
        bh_say(out, p->lang, GAPS_MORE, bh_num(t->gap_count - told).s);
    }
}

void
bh_page_timeline(struct bh_page *p)
{
    static const enum bh_word_id heads[] = { BH_W_HEAD_TIMELINE_HOUR, BH_W_HEAD_TIMELINE_DAY,
                                             BH_W_HEAD_TIMELINE_WEEK };
    const struct bh_trend *t = p->report->trend;
    if (t->bin_count < 2) {
        return;
    }
    bh_page_heading(p, bh_word(heads[(unsigned)t->bin % BH_COUNT(heads)], p->lang));
    bh_page_chart(p);
    struct bh_buf text = { 0 };
    say_chart(p, &text);
    say_gaps(p, &text);
    bh_page_paragraph(p, &text);
    bh_buf_done(&text);
}

/* ---- remarks ------------------------------------------------------------------------------- */

#define REMARKS_PER_COUNTRY 2U
#define REMARKS_GENERAL 10U

/* Remarks come heaviest first. Of those on one country two are told, of the others ten. */
static bool
is_told(const struct bh_report *r, size_t index)
{
    const struct bh_remark *m = &r->remarks[index];
    size_t same = 0;
    for (size_t i = 0; i < index; i++) {
        const struct bh_remark *before = &r->remarks[i];
        bool both_general = m->general && before->general;
        bool both_on =
            !m->general && !before->general && strcmp(before->countries[0], m->countries[0]) == 0;
        same += both_general || both_on;
    }
    return same < (m->general ? REMARKS_GENERAL : REMARKS_PER_COUNTRY);
}

void
bh_page_remarks(struct bh_page *p)
{
    const struct bh_report *r = p->report;
    size_t left_out = 0;
    if (r->remark_count == 0) {
        return;
    }
    bh_page_heading(p, bh_word(BH_W_HEAD_REMARKS, p->lang));
    for (size_t i = 0; i < r->remark_count; i++) {
        const char *text = r->remarks[i].text[p->lang];
        if (text != NULL && (p->columns == 0 || is_told(r, i))) {
            bh_page_list_item(p, text);
        } else {
            left_out++;
        }
    }
    if (left_out > 0) {
        struct bh_buf text = { 0 };
        bh_say(&text, p->lang, REMARKS_MORE, bh_num(left_out).s);
        bh_page_paragraph(p, &text);
        bh_buf_done(&text);
    }
}

/* ---- health -------------------------------------------------------------------------------- */

static uint64_t
reason_sum(const struct bh_trend *t, bool damage)
{
    uint64_t sum = 0;
    for (unsigned i = BH_REASON_NONE + 1; i < BH_REASON_COUNT; i++) {
        sum += bh_reason_is_damage(i) == damage ? t->malformed[i] : 0;
    }
    return sum;
}

static void
say_frames(const struct bh_page *p, struct bh_buf *out)
{
    const struct bh_trend *t = p->report->trend;
    bh_say(out, p->lang, HEALTH_FRAMES, bh_num(t->frames).s, bh_num(t->packets).s,
           bh_num(t->accesses).s, bh_num(t->tcp_accesses).s, bh_num(t->udp_accesses).s);
    if (p->report->seconds > 0 && p->report->seconds < 1e6) {
        bh_say(out, p->lang, HEALTH_TIME, bh_times((uint64_t)(p->report->seconds * 1000), 1000).s);
    } else {
        bh_buf_puts(out, bh_word(BH_W_HEALTH_END, p->lang));
    }
    between(p, out);
    bh_say(out, p->lang, HEALTH_DAMAGE, bh_num(t->cut_frames).s, bh_num(t->cut_headers).s,
           bh_num(reason_sum(t, true)).s, bh_num(t->bad_time).s, bh_num(t->gap_count).s);
}

static void
say_malformed(const struct bh_page *p, struct bh_buf *out)
{
    const struct bh_trend *t = p->report->trend;
    size_t named = 0;
    for (unsigned i = BH_REASON_NONE + 1; i < BH_REASON_COUNT; i++) {
        if (t->malformed[i] > 0 && bh_reason_is_damage(i)) {
            if (named == 0) {
                between(p, out);
            }
            bh_buf_puts(out, bh_word(named++ == 0 ? BH_W_HEALTH_MALFORMED : BH_W_JOIN, p->lang));
            bh_buf_printf(out, "%s %s", bh_reason_name(i), bh_num(t->malformed[i]).s);
        }
    }
    bh_buf_puts(out, named > 0 ? bh_word(BH_W_HEALTH_END, p->lang) : "");
    if (reason_sum(t, false) > 0) {
        between(p, out);
        bh_say(out, p->lang, HEALTH_NOT_DECODED, bh_num(reason_sum(t, false)).s);
    }
}

/* Things that are only said when they happened. */
static void
say_troubles(const struct bh_page *p, struct bh_buf *out)
{
    const struct bh_report *r = p->report;
    const struct bh_trend *t = r->trend;
    const struct {
        uint64_t n;
        enum bh_word_id id;
    } troubles[] = {
        { t->out_of_order, BH_W_HEALTH_ORDER },
        { t->duplicates, BH_W_HEALTH_DUPLICATES },
        { t->filter_unknown, BH_W_HEALTH_FILTER },
        { t->bounds.flows_lost + t->bounds.conversations_lost + t->bounds.repeats_lost +
              t->bounds.held_early + t->sources_over + t->places_over + t->bins_over +
              t->memory_over,
          BH_W_HEALTH_BOUNDS },
    };
    for (size_t i = 0; i < BH_COUNT(troubles); i++) {
        if (troubles[i].n > 0) {
            between(p, out);
            bh_say_args(out, bh_word(troubles[i].id, p->lang),
                        (const char *const[]){ bh_num(troubles[i].n).s }, 1);
        }
    }
}

/* Years between the data and the packets: the nearer end of the period; 0 within a year. */
static int
years_away(const struct bh_report *r)
{
    int year = (int)strtol(r->country_data.date, NULL, 10);
    struct bh_years y = bh_report_years(r);
    if (year <= 0 || r->trend->frames == 0) {
        return 0;
    }
    int away = year > y.last ? year - y.last : y.first > year ? y.first - year : 0;
    return away > 1 ? away : 0;
}

static void
say_data(const struct bh_page *p, struct bh_buf *out)
{
    const struct bh_report *r = p->report;
    int away = years_away(r);
    if (r->country_data.name[0] == '\0') {
        bh_buf_puts(out, bh_word(BH_W_HEALTH_DATA_NONE, p->lang));
        return;
    }
    for (size_t i = 0; r->data_count > 1 && i < r->data_count; i++) {
        const struct bh_report_data *d = &r->data[i];
        if (i > 0) {
            bh_buf_putc(out, ' ');
        }
        bh_say(out, p->lang, HEALTH_DATA_PART, d->meta.name, d->meta.date, d->meta.licence,
               bh_percent(d->share_micro, 1000000).s);
    }
    if (r->data_count <= 1) {
        bh_say(out, p->lang, HEALTH_DATA, r->country_data.name, r->country_data.date,
               r->country_data.licence);
    }
    if (away > 0) {
        bh_say(out, p->lang, HEALTH_DATA_FAR, bh_num((uint64_t)away).s);
    }
}

static void
say_home(const struct bh_page *p, struct bh_buf *out)
{
    const struct bh_home *h = &p->report->home;
    const char *text = h->text[p->lang].data;
    bh_say_args(out, bh_word(h->guessed ? BH_W_HEALTH_HOME_GUESSED : BH_W_HEALTH_HOME, p->lang),
                (const char *const[]){ text == NULL ? "" : text }, 1);
}

static void
put_notes(struct bh_page *p)
{
    const struct bh_report *r = p->report;
    for (size_t i = 0; i < r->note_count; i++) {
        const struct bh_capture_note *n = &r->notes[i];
        const char *file =
            n->file < r->options.file_count ? r->options.files[n->file] : n->error.where;
        struct bh_buf text = { 0 };
        if (n->error.has_offset) {
            bh_say(&text, p->lang, HEALTH_NOTE_AT, file, bh_num(n->error.offset).s,
                   n->error.text[p->lang]);
        } else if (n->error.line > 0) {
            bh_say(&text, p->lang, HEALTH_NOTE_LINE, file, bh_num(n->error.line).s,
                   n->error.text[p->lang]);
        } else {
            bh_say(&text, p->lang, HEALTH_NOTE, file, n->error.text[p->lang]);
        }
        bh_page_list_item(p, text.data == NULL ? "" : text.data);
        bh_buf_done(&text);
    }
}

/* Of a packet log: how large, and what its writer left out. */
/* The gaps of a sensor: the largest three, in order of time. */
static void
say_losses(const struct bh_page *p, struct bh_buf *out)
{
    static const enum bh_word_id causes[] = { BH_W_LOST_KERNEL, BH_W_LOST_QUEUE, BH_W_LOST_DEAD };
    const struct bh_report_storage *g = &p->report->storage;
    size_t told = 0;
    for (size_t k = 0; k < g->gap_count; k++) {
        const struct bh_store_gap *gap = &g->gap[k];
        size_t larger = 0;
        for (size_t i = 0; i < g->gap_count; i++) {
            larger +=
                g->gap[i].packets > gap->packets || (i < k && g->gap[i].packets == gap->packets);
        }
        if (larger >= 3) {
            continue;
        }
        told++;
        between(p, out);
        if (gap->cause == BH_STORE_LOST_DOWN) {
            bh_say(out, p->lang, LOST_DOWN, bh_time_words(gap->start_ns).s,
                   bh_time_words(gap->end_ns).s);
        } else {
            bh_say(out, p->lang, LOST_GAP, bh_time_words(gap->start_ns).s,
                   bh_time_words(gap->end_ns).s, bh_num(gap->packets).s,
                   bh_word(causes[gap->cause], p->lang));
        }
    }
    if (told < g->gap_count) {
        between(p, out);
        bh_say(out, p->lang, LOST_MORE, bh_num(g->gap_count - told).s);
    }
}

static void
say_storage(const struct bh_page *p, struct bh_buf *out)
{
    const struct bh_report_storage *g = &p->report->storage;
    if (!g->is_log) {
        return;
    }
    bh_say(out, p->lang, HEALTH_LOG, bh_num(g->records).s, bh_num(g->bytes).s);
    if (g->filter[0] != '\0') {
        between(p, out);
        bh_say_args(out,
                    bh_word(g->filter_of_all ? BH_W_HEALTH_LOG_FILTER : BH_W_HEALTH_LOG_FILTER_PART,
                            p->lang),
                    (const char *const[]){ g->filter }, 1);
    }
    say_losses(p, out);
    if (g->own > 0) {
        between(p, out);
        bh_say(out, p->lang, HEALTH_OWN, bh_num(g->own).s);
    }
    if (g->judged_again) {
        between(p, out);
        bh_say_args(out,
                    bh_word(g->lean ? BH_W_HEALTH_LOG_AGAIN_LEAN : BH_W_HEALTH_LOG_AGAIN, p->lang),
                    (const char *const[]){ g->home }, 1);
    }
}

void
bh_page_health(struct bh_page *p)
{
    static void (*const parts[])(const struct bh_page *, struct bh_buf *) = { say_home, say_data,
                                                                              say_storage };
    struct bh_buf text = { 0 };
    bh_page_heading(p, bh_word(BH_W_HEAD_HEALTH, p->lang));
    say_frames(p, &text);
    say_malformed(p, &text);
    say_troubles(p, &text);
    if (text.len > 0) {
        bh_page_list_item(p, text.data);
    }
    for (size_t i = 0; i < BH_COUNT(parts); i++) {
        text.len = 0;
        parts[i](p, &text);
        if (text.len > 0) {
            bh_page_list_item(p, text.data);
        }
    }
    p->out->failed |= text.failed;
    bh_buf_done(&text);
    put_notes(p);
}
