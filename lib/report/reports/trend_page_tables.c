/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables of the page: ports by country, sources, visits, addresses without a country, outcomes. */
#include "page_priv.h"

#include <stdlib.h>

/* ---- ports by country ---------------------------------------------------------------------- */

static const struct bh_trend_port *
port_of(const struct bh_trend_place *place, uint16_t port, uint8_t proto)
{
    for (size_t i = 0; i < place->port_count; i++) {
        if (place->ports[i].port == port && place->ports[i].proto == proto) {
            return &place->ports[i];
        }
    }
    return NULL;
}

static const struct bh_trend_cell *
cell_of(const struct bh_trend_row *row, size_t country)
{
    for (size_t i = 0; i < row->cell_count; i++) {
        if (row->cells[i].country == country) {
            return &row->cells[i];
        }
    }
    return NULL;
}

/* What the columns of the cross table need: width of the widest cell, of all services. */
struct cross {
    size_t cell, service;
    bool home;
};

static struct cross
measure(const struct bh_page *p)
{
    const struct bh_report *r = p->report;
    const struct bh_trend *t = r->trend;
    struct cross x = { .cell = 3, .home = bh_has_home_country(r) && t->home.count > 0 };
    for (size_t i = 0; i < t->crosstab_count; i++) {
        const struct bh_trend_row *row = &t->crosstab[i];
        struct bh_meaning m;
        for (size_t c = 0; c < row->cell_count; c++) {
            size_t len = strlen(bh_num(row->cells[c].count).s);
            x.cell = len > x.cell ? len : x.cell;
        }
        if (bh_report_meaning(r, row->port, row->proto, &m)) {
            size_t len = strlen(m.service);
            x.service = len > x.service ? len : x.service;
        }
    }
    return x;
}

static void
begin_cross(struct bh_page *p, const struct cross *x, size_t from, size_t to, bool service)
{
    const struct bh_trend *t = p->report->trend;
    struct bh_column columns[BH_COLUMNS_MAX] = {
        { .label = BH_W_COL_PORT, .flags = BH_COLUMN_RIGHT, .least = 9 },
    };
    size_t n = 1;
    if (service) {
        columns[n++] = (struct bh_column){ .label = BH_W_COL_SERVICE };
    }
    for (size_t c = from; c < to; c++) {
        columns[n++] = (struct bh_column){ .text = t->countries[c].place.code,
                                           .flags = BH_COLUMN_RIGHT,
                                           .least = (unsigned)x->cell,
                                           .gap = 1 };
    }
    if (x->home) {
        columns[n++] = (struct bh_column){ .text = t->home.place.code, .flags = BH_COLUMN_RIGHT };
    }
    bh_table_begin(p, columns, n, 0);
}

static void
put_cross_row(struct bh_page *p, const struct cross *x, const struct bh_trend_row *row, size_t from,
              size_t to, bool service)
{
    const struct bh_trend *t = p->report->trend;
    struct bh_meaning m = { .service = "" };
    bh_ignore(bh_report_meaning(p->report, row->port, row->proto, &m)); /* else: no name */
    bh_table_cell(p, BH_STYLE_PLAIN, bh_port_text(row->port, row->proto).s);
    if (service) {
        bh_table_cell(p, BH_STYLE_PLAIN, m.service);
    }
    for (size_t c = from; c < to; c++) {
        const struct bh_trend_cell *cell = cell_of(row, c);
        if (cell == NULL) {
            bh_table_cell(p, BH_STYLE_QUIET, bh_word(BH_W_DOT, p->lang));
        } else {
            bh_table_cell(p, cell->top ? BH_STYLE_PLAIN : BH_STYLE_QUIET, bh_num(cell->count).s);
        }
    }
    if (x->home) {
        const struct bh_trend_port *port = port_of(&t->home, row->port, row->proto);
        bh_table_cell(p, BH_STYLE_QUIET,
                      port == NULL ? bh_word(BH_W_DOT, p->lang) : bh_num(port->count).s);
    }
}

void
bh_page_crosstab(struct bh_page *p)
{
    const struct bh_trend *t = p->report->trend;
    size_t listed = bh_listed_places(t);
    if (t->crosstab_count == 0 || listed == 0) {
        return;
    }
    struct cross x = measure(p);
    size_t home = x.home ? strlen(bh_num(t->home.count).s) + 2 : 0;
    size_t fixed = 9 + home;
    size_t room = p->columns == 0 ? SIZE_MAX / 2 : p->columns;
    bool service = fixed + 2 + x.service + listed * (x.cell + 1) <= room;
    size_t chunk = room > fixed + x.cell + 1 ? (room - fixed) / (x.cell + 1) : 1;
    chunk = chunk > BH_COLUMNS_MAX - 4 ? BH_COLUMNS_MAX - 4 : chunk;
    bh_page_heading(p, bh_word(BH_W_HEAD_CROSSTAB, p->lang));
    for (size_t from = 0; from < listed; from += chunk) {
        size_t to = from + chunk < listed ? from + chunk : listed;
        begin_cross(p, &x, from, to, service);
        for (size_t i = 0; i < t->crosstab_count; i++) {
            put_cross_row(p, &x, &t->crosstab[i], from, to, service);
        }
        bh_table_end(p);
    }
}

/* ---- sources, with --country or --port ----------------------------------------------------- */

static void
say_asked(const struct bh_report *r, enum bh_lang lang, struct bh_buf *out)
{
    const struct bh_report_options *o = &r->options;
    if (o->country != NULL) {
        bh_buf_puts(out, bh_code_words(o->country, lang).s);
    }
    if (o->port != NULL) {
        bh_buf_puts(out, o->country != NULL ? bh_word(BH_W_JOIN, lang) : "");
        bh_buf_puts(out, o->port);
    }
}

/* What of a source fits beside its address. */
struct source_look {
    bool times; /* else: days */
    bool first; /* and not only the last */
};

static struct bh_short
source_time(const struct source_look *look, int64_t ts_ns)
{
    return look->times ? bh_time_words(ts_ns) : bh_date_words(ts_ns);
}

static void
put_source(struct bh_page *p, const struct bh_trend_source *s, const struct source_look *look)
{
    bh_table_cell(p, BH_STYLE_STRONG, bh_ip_words(&s->ip).s);
    bh_table_cell(p, BH_STYLE_PLAIN, s->code);
    bh_table_cell(p, BH_STYLE_PLAIN, bh_num(s->count).s);
    bh_table_cell(p, BH_STYLE_PLAIN, bh_num(s->ports).s);
    if (look->first) {
        bh_table_cell(p, BH_STYLE_PLAIN, source_time(look, s->first_ns).s);
    }
    bh_table_cell(p, BH_STYLE_PLAIN, source_time(look, s->last_ns).s);
    struct bh_buf note = { 0 };
    if (s->same_network) {
        bh_buf_puts(&note, bh_word(BH_W_SAME_NETWORK, p->lang));
        if (s->mac != 0 && look->times) {
            bh_buf_printf(&note, " %s", bh_mac_words(s->mac).s);
        }
    } else if (s->class_name[0] != '\0') {
        const char *name = kobold_class_name(s->class_name, (int)p->lang);
        bh_buf_puts(&note, name == NULL ? s->class_name : name);
    }
    bh_table_cell(p, BH_STYLE_PLAIN, note.data == NULL ? "" : note.data);
    bh_buf_done(&note);
}

static void
put_sources(struct bh_page *p, size_t shown)
{
    const struct bh_trend *t = p->report->trend;
    struct source_look look = { .times = p->columns == 0 || p->columns >= 100, .first = true };
    for (size_t i = 0; i < shown; i++) {
        look.first &= look.times || strlen(bh_ip_words(&t->listed[i].ip).s) <= 20;
    }
    struct bh_column columns[7] = {
        { .label = BH_W_COL_ADDRESS, .least = 15 },
        { .label = BH_W_NONE, .gap = 1, .least = 2 },
        { .label = BH_W_UNIT_ACCESSES, .flags = BH_COLUMN_RIGHT, .gap = 1 },
        { .label = BH_W_COL_PORTS, .flags = BH_COLUMN_RIGHT, .gap = 1 },
    };
    size_t n = 4;
    if (look.first) {
        columns[n++] = (struct bh_column){ .label = BH_W_COL_FIRST };
    }
    columns[n++] = (struct bh_column){ .label = BH_W_COL_LAST };
    columns[n++] = (struct bh_column){ .text = "", .flags = BH_COLUMN_FLEX, .gap = 1, .least = 8 };
    bh_table_begin(p, columns, n, 0);
    for (size_t i = 0; i < shown; i++) {
        put_source(p, &t->listed[i], &look);
    }
    bh_table_end(p);
}

void
bh_page_sources(struct bh_page *p)
{
    const struct bh_report *r = p->report;
    const struct bh_trend *t = r->trend;
    if (r->options.country == NULL && r->options.port == NULL) {
        return;
    }
    size_t top = r->options.top == 0 ? 10 : r->options.top;
    size_t shown = t->listed_count < top ? t->listed_count : top;
    struct bh_buf asked = { 0 };
    struct bh_buf text = { 0 };
    say_asked(r, p->lang, &asked);
    const char *what = asked.data == NULL ? "" : asked.data;
    bh_say(&text, p->lang, HEAD_SOURCES, what);
    bh_page_heading(p, text.data == NULL ? "" : text.data);
    text.len = 0;
    if (t->listed_count == 0) {
        bh_say(&text, p->lang, SOURCES_NONE, what);
    } else {
        put_sources(p, shown);
        if (shown < t->listed_count) {
            bh_say(&text, p->lang, SOURCES_MORE, bh_num(t->listed_count - shown).s);
        }
    }
    bh_page_paragraph(p, &text);
    bh_buf_done(&text);
    bh_buf_done(&asked);
}

/* ---- visits -------------------------------------------------------------------------------- */

static void
say_offered(const struct bh_page *p, struct bh_buf *out)
{
    const struct bh_trend *t = p->report->trend;
    struct bh_buf list = { 0 };
    for (size_t i = 0; i < t->offered_count; i++) {
        bh_buf_puts(&list, i == 0 ? "" : ",");
        bh_buf_puts(&list, bh_port_text(t->offered[i].port, t->offered[i].proto).s);
    }
    if (list.len > 0) {
        bh_say(out, p->lang, OFFERED, list.data);
    }
    bh_buf_done(&list);
}

void
bh_page_visits(struct bh_page *p)
{
    const struct bh_trend *t = p->report->trend;
    static const struct bh_column columns[] = {
        { .label = BH_W_COL_PORT, .flags = BH_COLUMN_RIGHT, .least = 9 },
        { .label = BH_W_COL_VISITS, .flags = BH_COLUMN_RIGHT },
        { .label = BH_W_COL_SOURCES, .flags = BH_COLUMN_RIGHT },
        { .label = BH_W_COL_OFFERED, .flags = BH_COLUMN_FLEX, .least = 10 },
    };
    if (t->visit_count == 0) {
        return;
    }
    bh_page_heading(p, bh_word(BH_W_HEAD_VISITS, p->lang));
    bh_table_begin(p, columns, BH_COUNT(columns), 0);
    for (size_t i = 0; i < t->visit_count; i++) {
        const struct bh_trend_visit *v = &t->visits[i];
        bh_table_cell(p, BH_STYLE_PLAIN, bh_port_text(v->port, v->proto).s);
        bh_table_cell(p, BH_STYLE_PLAIN, bh_num(v->count).s);
        bh_table_cell(p, BH_STYLE_PLAIN, bh_num(v->sources).s);
        bh_table_cell(p, BH_STYLE_PLAIN,
                      v->offered_to == NULL || v->offered_to[0] == '\0'
                          ? bh_word(BH_W_EVERYONE, p->lang)
                          : v->offered_to);
    }
    bh_table_end(p);
}

/* ---- networks ------------------------------------------------------------------------------ */

/* "DB-IP, 2026-06-17, CC BY 4.0": licences want it said. */
static void
say_as_data(const struct bh_page *p, struct bh_buf *out)
{
    const struct kobold_as_meta *m = &p->report->as_data;
    const char *parts[] = { m->name[0] != '\0' ? m->name : m->source, m->date, m->licence };
    struct bh_buf text = { 0 };
    for (size_t i = 0; i < BH_COUNT(parts); i++) {
        bh_buf_puts(&text, parts[i][0] != '\0' && text.len > 0 ? bh_word(BH_W_JOIN, p->lang) : "");
        bh_buf_puts(&text, parts[i]);
    }
    if (text.len > 0) {
        bh_say(out, p->lang, NETWORKS_OF, text.data);
    }
    bh_buf_done(&text);
}

void
bh_page_networks(struct bh_page *p)
{
    const struct bh_trend *t = p->report->trend;
    const bool is_of_sources = t->count == BH_COUNT_SOURCES;
    struct bh_column columns[6] = {
        { .label = BH_W_COL_AS, .flags = BH_COLUMN_RIGHT, .least = 8 },
        { .label = BH_W_NONE, .gap = 1, .least = 2 },
        { .text = bh_unit_word(t, p->lang), .flags = BH_COLUMN_RIGHT, .gap = 1 },
        { .label = BH_W_COL_SHARE, .flags = BH_COLUMN_RIGHT, .gap = 1 },
    };
    size_t n = 4;
    if (t->network_count == 0) {
        return;
    }
    if (!is_of_sources) { /* else the count says it already */
        columns[n++] = (struct bh_column){ .label = BH_W_COL_SOURCES, .flags = BH_COLUMN_RIGHT };
    }
    columns[n++] =
        (struct bh_column){ .label = BH_W_COL_NETWORK, .flags = BH_COLUMN_FLEX, .least = 10 };
    bh_page_heading(p, bh_word(BH_W_HEAD_NETWORKS, p->lang));
    bh_table_begin(p, columns, n, 0);
    for (size_t i = 0; i < t->network_count; i++) {
        const struct bh_trend_network *x = &t->networks[i];
        char number[16];
        snprintf(number, sizeof number, "AS%u", (unsigned)x->asn);
        bh_table_cell(p, BH_STYLE_STRONG, number);
        bh_table_cell(p, BH_STYLE_PLAIN, x->code);
        bh_table_cell(p, BH_STYLE_PLAIN, bh_num(x->count).s);
        bh_table_cell(p, BH_STYLE_PLAIN, bh_percent(x->count, t->count_total).s);
        if (!is_of_sources) {
            bh_table_cell(p, BH_STYLE_PLAIN, bh_num(x->sources).s);
        }
        bh_table_cell(p, BH_STYLE_PLAIN, x->name);
    }
    bh_table_end(p);
    struct bh_buf text = { 0 };
    say_as_data(p, &text);
    bh_page_paragraph(p, &text);
    bh_buf_done(&text);
}

/* ---- addresses without a country ----------------------------------------------------------- */

void
bh_page_no_country(struct bh_page *p)
{
    const struct bh_trend *t = p->report->trend;
    const struct bh_column columns[] = {
        { .label = BH_W_COL_CLASS, .least = 24 },
        { .label = BH_W_COL_RFC },
        { .text = bh_unit_word(t, p->lang), .flags = BH_COLUMN_RIGHT },
        { .label = BH_W_COL_SOURCES, .flags = BH_COLUMN_RIGHT },
    };
    if (t->class_count == 0) {
        return;
    }
    bh_page_heading(p, bh_word(BH_W_HEAD_NO_COUNTRY, p->lang));
    bh_table_begin(p, columns, BH_COUNT(columns), 2);
    for (size_t i = 0; i < t->class_count; i++) {
        const struct bh_trend_place *c = &t->classes[i];
        bh_table_cell(p, BH_STYLE_PLAIN, bh_place_words(&c->place, p->lang).s);
        bh_table_cell(p, BH_STYLE_QUIET, c->place.rfc);
        bh_table_cell(p, BH_STYLE_PLAIN, bh_num(c->count).s);
        bh_table_cell(p, BH_STYLE_PLAIN, bh_num(c->sources).s);
    }
    bh_table_end(p);
}

/* ---- outcomes ------------------------------------------------------------------------------ */

/* Outcomes of one port, over the listed countries and the home country. */
static void
put_outcomes(struct bh_page *p, const struct bh_trend_port *port)
{
    static const unsigned order[] = { BH_OUTCOME_COMPLETE,  BH_OUTCOME_RESET_BY_CLIENT,
                                      BH_OUTCOME_HALF_OPEN, BH_OUTCOME_REFUSED,
                                      BH_OUTCOME_SILENT,    BH_OUTCOME_UNKNOWN };
    struct bh_meaning m = { .service = "" };
    bh_ignore(bh_report_meaning(p->report, port->port, port->proto, &m)); /* else: no name */
    bh_table_cell(p, BH_STYLE_PLAIN, bh_port_text(port->port, port->proto).s);
    bh_table_cell(p, BH_STYLE_PLAIN, m.service);
    for (size_t i = 0; i < BH_COUNT(order); i++) {
        uint64_t n = port->outcomes[order[i]];
        bh_table_cell(p, n == 0 ? BH_STYLE_QUIET : BH_STYLE_PLAIN,
                      n == 0 ? bh_word(BH_W_DOT, p->lang) : bh_num(n).s);
    }
}

static size_t
add_outcomes(struct bh_trend_port *sums, size_t count, size_t max,
             const struct bh_trend_place *place)
{
    for (size_t i = 0; i < place->port_count; i++) {
        const struct bh_trend_port *port = &place->ports[i];
        size_t at = 0;
        while (at < count && sums[at].port != port->port) {
            at++;
        }
        if (port->proto != BH_PROTO_TCP || at == max) {
            continue;
        }
        if (at == count) {
            sums[count++] = (struct bh_trend_port){ .port = port->port, .proto = port->proto };
        }
        for (unsigned o = 0; o < BH_OUTCOME_COUNT; o++) {
            sums[at].outcomes[o] += port->outcomes[o];
        }
    }
    return count;
}

static int
by_port(const void *a, const void *b)
{
    const struct bh_trend_port *x = a;
    const struct bh_trend_port *y = b;
    return (x->port > y->port) - (x->port < y->port);
}

void
bh_page_outcomes(struct bh_page *p)
{
    static const enum bh_word_id labels[] = { BH_W_COL_COMPLETE,  BH_W_COL_RESET,
                                              BH_W_COL_HALF_OPEN, BH_W_COL_REFUSED,
                                              BH_W_COL_SILENT,    BH_W_COL_UNKNOWN };
    const struct bh_trend *t = p->report->trend;
    struct bh_trend_port sums[64]; /* ports shown: more than these are in JSON */
    size_t count = 0;
    if (!t->outcomes_known) {
        return;
    }
    for (size_t i = 0; i < bh_listed_places(t); i++) {
        count = add_outcomes(sums, count, BH_COUNT(sums), &t->countries[i]);
    }
    count = add_outcomes(sums, count, BH_COUNT(sums), &t->home);
    if (count == 0) {
        return;
    }
    qsort(sums, count, sizeof *sums, by_port);
    struct bh_column columns[8] = {
        { .label = BH_W_COL_PORT, .flags = BH_COLUMN_RIGHT, .least = 9 },
        { .label = BH_W_COL_SERVICE, .least = 12 },
    };
    for (size_t i = 0; i < BH_COUNT(labels); i++) {
        columns[2 + i] = (struct bh_column){ .label = labels[i],
                                             .flags = BH_COLUMN_RIGHT,
                                             .gap = i < 2 ? 1 : 0 };
    }
    bh_page_heading(p, bh_word(BH_W_HEAD_OUTCOMES, p->lang));
    bh_table_begin(p, columns, BH_COUNT(columns), 0);
    for (size_t i = 0; i < count; i++) {
        put_outcomes(p, &sums[i]);
    }
    bh_table_end(p);
    struct bh_buf text = { 0 };
    bh_say_rows(&text, t, bh_word(BH_W_OUTCOMES_OF, p->lang), NULL, 0);
    bh_buf_puts(&text, t->offered_count > 0 && p->lang == BH_EN ? " " : "");
    say_offered(p, &text);
    bh_page_paragraph(p, &text);
    bh_buf_done(&text);
}
