/* SPDX-License-Identifier: BSD-2-Clause */
/* The access-trend report as a page: its order, and the tables of countries and ports. */
#include "page_priv.h"

static bool
is_wide(const struct bh_page *p, unsigned columns)
{
    return p->columns == 0 || p->columns >= columns;
}

void
bh_page_trend(struct bh_page *p)
{
    const struct bh_trend *t = p->report->trend;
    struct bh_buf opening = { 0 };
    bool nothing = t->accesses == 0 && t->count_total == 0;
    if (nothing) {
        bh_nothing_words(p->report, p->lang, &opening);
    } else {
        bh_opening_words(p->report, p->lang, &opening);
    }
    bh_page_paragraph(p, &opening);
    bh_buf_done(&opening);
    if (p->opening_only) {
        return;
    }
    bh_page_sources(p);
    if (p->report->options.by_sensor) {
        bh_page_sensors(p);
    }
    if (!nothing) {
        bh_page_countries(p);
        bh_page_ports(p);
        bh_page_crosstab(p);
        bh_page_home(p);
    }
    if (!p->report->options.by_sensor) {
        bh_page_sensors(p);
    }
    bh_page_networks(p);
    bh_page_visits(p);
    bh_page_no_country(p);
    bh_page_pings(p);
    if (!nothing) {
        bh_page_outcomes(p);
        bh_page_timeline(p);
        bh_page_remarks(p);
    }
    bh_page_health(p);
}

/* ---- countries ----------------------------------------------------------------------------- */

/* "25 139 1026/udp": TCP is what one expects. */
static void
say_top_ports(const struct bh_trend_place *place, struct bh_buf *out)
{
    for (size_t i = 0; i < place->port_count; i++) {
        const struct bh_trend_port *port = &place->ports[i];
        bh_buf_puts(out, i == 0 ? "" : " ");
        if (port->proto == BH_PROTO_TCP) {
            bh_buf_printf(out, "%u", (unsigned)port->port);
        } else {
            bh_buf_puts(out, bh_port_text(port->port, port->proto).s);
        }
    }
}

struct country_look {
    unsigned bar, spark; /* widths */
    uint64_t highest;    /* a whole bar */
};

static void
put_numbers(struct bh_page *p, const struct bh_trend_place *place, const struct country_look *look,
            bool with_bar)
{
    const struct bh_trend *t = p->report->trend;
    bh_table_cell(p, BH_STYLE_PLAIN, bh_num(place->count).s);
    bh_table_cell(p, BH_STYLE_PLAIN, bh_percent(place->count, t->count_total).s);
    bh_table_bar(p, with_bar ? place->count : 0, look->highest, look->bar);
    bh_table_cell(p, BH_STYLE_PLAIN, bh_num(place->sources).s);
    if (look->spark > 0) {
        struct bh_buf spark = { 0 };
        if (place->trend != NULL && place->count > 0) {
            bh_draw_spark(&spark, place->trend, t->trend_bins, look->spark);
        }
        bh_table_cell(p, BH_STYLE_DRAWN, spark.data == NULL ? "" : spark.data);
        bh_buf_done(&spark);
    }
    struct bh_buf ports = { 0 };
    say_top_ports(place, &ports);
    bh_table_cell(p, BH_STYLE_PLAIN, ports.data == NULL ? "" : ports.data);
    bh_buf_done(&ports);
}

/* A row of what is no single country: its count only. */
static void
put_rest(struct bh_page *p, const char *name, uint64_t count, const struct country_look *look)
{
    bh_table_blank(p);
    bh_table_blank(p);
    bh_table_cell(p, BH_STYLE_QUIET, name);
    bh_table_cell(p, BH_STYLE_QUIET, bh_num(count).s);
    bh_table_cell(p, BH_STYLE_QUIET, bh_percent(count, p->report->trend->count_total).s);
    for (unsigned i = 0; i < (look->spark > 0 ? 4U : 3U); i++) {
        bh_table_blank(p);
    }
}

static void
put_rests(struct bh_page *p, const struct country_look *look)
{
    const struct bh_trend *t = p->report->trend;
    if (t->others_countries > 0) {
        struct bh_buf name = { 0 };
        bh_say_rows(&name, t, bh_word(BH_W_ROW_OTHERS, p->lang),
                    (const char *const[]){ bh_num(t->others_countries).s }, 1);
        put_rest(p, name.data == NULL ? "" : name.data, t->others_count, look);
        bh_buf_done(&name);
    }
    if (t->no_country_count > 0) {
        put_rest(p, bh_word(BH_W_ROW_NO_COUNTRY, p->lang), t->no_country_count, look);
    }
    if (bh_has_home_country(p->report) && t->home.count > 0) {
        struct bh_buf name = { 0 };
        bh_say(&name, p->lang, ROW_HOME, bh_place_words(&t->home.place, p->lang).s);
        bh_table_blank(p);
        bh_table_cell(p, BH_STYLE_PLAIN, t->home.place.code);
        bh_table_cell(p, BH_STYLE_PLAIN, name.data == NULL ? "" : name.data);
        put_numbers(p, &t->home, look, false);
        bh_buf_done(&name);
    }
}

static void
begin_countries(struct bh_page *p, const struct country_look *look)
{
    const struct bh_trend *t = p->report->trend;
    enum bh_word_id title = t->by_region ? BH_W_COL_REGION : BH_W_COL_COUNTRY;
    struct bh_column columns[] = {
        { .label = BH_W_COL_RANK, .flags = BH_COLUMN_RIGHT, .least = 2 },
        { .label = title, .gap = 1 },
        { .label = BH_W_NONE, .gap = 1, .least = 15 },
        { .text = bh_unit_word(t, p->lang), .flags = BH_COLUMN_RIGHT },
        { .label = BH_W_COL_SHARE, .flags = BH_COLUMN_RIGHT, .gap = 1 },
        { .label = BH_W_NONE, .flags = BH_COLUMN_DRAWN, .least = look->bar, .gap = 1 },
        { .label = BH_W_COL_SOURCES, .flags = BH_COLUMN_RIGHT, .gap = 1 },
        { .label = BH_W_COL_TREND, .flags = BH_COLUMN_DRAWN, .least = look->spark },
        { .label = BH_W_COL_TOP_PORTS, .flags = BH_COLUMN_FLEX | BH_COLUMN_WORDS, .least = 9 },
    };
    size_t count = BH_COUNT(columns);
    if (look->spark == 0) {
        columns[count - 2] = columns[count - 1];
        count--;
    }
    bh_table_begin(p, columns, count, 0);
}

void
bh_page_countries(struct bh_page *p)
{
    const struct bh_trend *t = p->report->trend;
    struct country_look look = { .bar = 6,
                                 .highest = t->country_count > 0 ? t->countries[0].count : 0 };
    if (is_wide(p, 120)) {
        look.bar = 14;
        look.spark = 24;
    } else if (is_wide(p, 100)) {
        look.bar = 8;
        look.spark = 16;
    }
    look.spark = t->trend_bins < 2 ? 0 : look.spark;
    begin_countries(p, &look);
    for (size_t i = 0; i < bh_listed_places(t); i++) {
        const struct bh_trend_place *place = &t->countries[i];
        bh_table_cell(p, BH_STYLE_QUIET, bh_num(i + 1).s);
        bh_table_cell(p, BH_STYLE_PLAIN, place->place.code);
        bh_table_cell(p, BH_STYLE_STRONG, bh_place_words(&place->place, p->lang).s);
        put_numbers(p, place, &look, true);
    }
    put_rests(p, &look);
    bh_table_end(p);
}

/* ---- ports of a country, and what is sought there ------------------------------------------ */

static void
begin_ports(struct bh_page *p)
{
    struct bh_column columns[9] = {
        { .label = BH_W_COL_PORT, .flags = BH_COLUMN_RIGHT, .least = 9 },
        { .label = BH_W_COL_SERVICE, .least = 12 },
        { .text = bh_unit_word(p->report->trend, p->lang), .flags = BH_COLUMN_RIGHT, .gap = 1 },
        { .label = BH_W_COL_SHARE, .flags = BH_COLUMN_RIGHT, .gap = 1 },
    };
    size_t n = 4;
    if (is_wide(p, 100)) {
        columns[n++] =
            (struct bh_column){ .label = BH_W_COL_SOURCES, .flags = BH_COLUMN_RIGHT, .gap = 1 };
    }
    if (is_wide(p, 120)) {
        columns[n++] = (struct bh_column){ .label = BH_W_COL_PURPOSE, .least = 38 };
        columns[n++] = (struct bh_column){ .label = BH_W_COL_CVE,
                                           .flags = BH_COLUMN_FLEX | BH_COLUMN_WORDS,
                                           .least = 16 };
    } else {
        columns[n++] =
            (struct bh_column){ .label = BH_W_COL_PURPOSE, .flags = BH_COLUMN_FLEX, .least = 20 };
    }
    bh_table_begin(p, columns, n, 0);
}

/* "CVE-1,CVE-2" with blanks, so that it may be cut between them. */
static void
put_cves(struct bh_page *p, const char *list)
{
    char text[256];
    snprintf(text, sizeof text, "%s", list);
    for (char *c = text; *c != '\0'; c++) {
        *c = *c == ',' ? ' ' : *c;
    }
    bh_table_cell(p, BH_STYLE_QUIET, text);
}

static void
put_ports(struct bh_page *p, const struct bh_trend_place *place)
{
    for (size_t i = 0; i < place->port_count; i++) {
        const struct bh_trend_port *port = &place->ports[i];
        struct bh_meaning m = { .service = "", .purpose = { "", "" } };
        bh_ignore(
            bh_report_meaning(p->report, port->port, port->proto, &m)); /* else: nothing known */
        bh_table_cell(p, BH_STYLE_PLAIN, bh_port_text(port->port, port->proto).s);
        bh_table_cell(p, BH_STYLE_PLAIN, m.service);
        bh_table_cell(p, BH_STYLE_PLAIN, bh_num(port->count).s);
        bh_table_cell(p, BH_STYLE_PLAIN, bh_percent(port->count, place->count).s);
        if (is_wide(p, 100)) {
            bh_table_cell(p, BH_STYLE_PLAIN, bh_num(port->sources).s);
        }
        bh_table_cell(p, BH_STYLE_PLAIN, m.purpose[p->lang]);
        if (is_wide(p, 120)) {
            put_cves(p, m.cve);
        }
    }
}

static void
put_place_line(struct bh_page *p, const struct bh_trend_place *place)
{
    struct bh_buf line = { 0 };
    const struct bh_trend *t = p->report->trend;
    enum bh_word_id id = t->count == BH_COUNT_SOURCES ? BH_W_PORTS_OF_SOURCES : BH_W_PORTS_OF;
    bh_say_args(&line, bh_word(id, p->lang),
                (const char *const[]){ bh_place_words(&place->place, p->lang).s,
                                       bh_count_words(t, place->count, p->lang).s,
                                       bh_num(place->sources).s },
                3);
    bh_table_span(p, BH_STYLE_STRONG, line.data == NULL ? "" : line.data);
    bh_buf_done(&line);
}

void
bh_page_ports(struct bh_page *p)
{
    const struct bh_trend *t = p->report->trend;
    if (bh_listed_places(t) == 0) {
        return;
    }
    /* No heading: its columns say what it is, and the first ports belong on the first screen. */
    begin_ports(p);
    for (size_t i = 0; i < bh_listed_places(t); i++) {
        put_place_line(p, &t->countries[i]);
        put_ports(p, &t->countries[i]);
    }
    bh_table_end(p);
}

void
bh_page_home(struct bh_page *p)
{
    const struct bh_report *r = p->report;
    const struct bh_trend *t = r->trend;
    if (!bh_has_home_country(r)) {
        return;
    }
    struct bh_short name = bh_code_words(r->home_country, p->lang);
    struct bh_buf text = { 0 };
    bh_say(&text, p->lang, HEAD_HOME, name.s);
    bh_page_heading(p, text.data == NULL ? "" : text.data);
    text.len = 0;
    if (t->home.count == 0) {
        bh_say(&text, p->lang, NO_HOME_TRAFFIC, name.s);
    } else {
        begin_ports(p);
        put_place_line(p, &t->home);
        put_ports(p, &t->home);
        bh_table_end(p);
    }
    if (r->home_country_from == BH_FROM_TIME_ZONE) {
        bh_say(&text, p->lang, HOME_ASSUMED, r->zone);
    }
    bh_page_paragraph(p, &text);
    bh_buf_done(&text);
}
