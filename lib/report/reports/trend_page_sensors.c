/* SPDX-License-Identifier: BSD-2-Clause */
/* Several sensors on the page: what each saw, at which ports, and when it saw nothing. */
#include "page_priv.h"

#include <stdlib.h>

static const struct bh_report_sensor *
sensor_of(const struct bh_report *r, size_t rank)
{
    return &r->sensors[r->trend->sensors[rank].number];
}

/* ---- what each saw --------------------------------------------------------------------------- */

/* How long it was silent inside the report's period. */
static int64_t
silent_ns(const struct bh_report *r, const struct bh_report_sensor *s)
{
    const struct bh_trend *t = r->trend;
    int64_t sum = 0;
    for (uint32_t i = 0; i < s->silence_count; i++) {
        const int64_t start =
            s->silence[i].start_ns > t->start_ns ? s->silence[i].start_ns : t->start_ns;
        const int64_t end = s->silence[i].end_ns < t->end_ns ? s->silence[i].end_ns : t->end_ns;
        sum += end > start ? end - start : 0;
    }
    return sum;
}

/* "25", "1026/udp": TCP is what one expects. */
static struct bh_short
short_port(uint16_t port, uint8_t proto)
{
    struct bh_short t = bh_port_text(port, proto);
    if (proto == BH_PROTO_TCP) {
        *strchr(t.s, '/') = '\0';
    }
    return t;
}

static void
say_ports(const struct bh_trend_sensor *x, struct bh_buf *out)
{
    for (size_t i = 0; i < x->port_count; i++) {
        bh_buf_puts(out, i == 0 ? "" : " ");
        bh_buf_puts(out, short_port(x->ports[i].port, x->ports[i].proto).s);
    }
}

static void
put_sensor(struct bh_page *p, size_t rank)
{
    const struct bh_report *r = p->report;
    const struct bh_trend_sensor *x = &r->trend->sensors[rank];
    const struct bh_report_sensor *s = sensor_of(r, rank);
    const int64_t silent = silent_ns(r, s);
    struct bh_buf ports = { 0 };
    say_ports(x, &ports);
    bh_table_cell(p, BH_STYLE_STRONG, s->name);
    bh_table_cell(p, BH_STYLE_PLAIN, bh_num(x->count).s);
    bh_table_cell(p, BH_STYLE_PLAIN, bh_percent(x->count, r->trend->count_total).s);
    bh_table_bar(p, x->count, r->trend->sensors[0].count, 6);
    bh_table_cell(p, BH_STYLE_PLAIN, bh_num(x->sources).s);
    bh_table_cell(p, BH_STYLE_PLAIN, x->first_ns <= x->last_ns ? bh_date_words(x->last_ns).s : "");
    bh_table_cell(p, BH_STYLE_PLAIN, silent > 0 ? bh_duration_words(silent, p->lang).s : "");
    bh_table_cell(p, BH_STYLE_PLAIN, ports.data == NULL ? "" : ports.data);
    bh_buf_done(&ports);
}

/* ---- at which ports ---------------------------------------------------------------------------- */

/* A column of the table: a row of trend->sensor_ports. */
struct chosen {
    size_t row;
    uint64_t count; /* of all sensors */
    size_t width;
};

static int
by_count(const void *a, const void *b)
{
    const struct chosen *x = a;
    const struct chosen *y = b;
    if (x->count != y->count) {
        return x->count > y->count ? -1 : 1;
    }
    return x->row < y->row ? -1 : x->row > y->row;
}

static int
by_row(const void *a, const void *b)
{
    const struct chosen *x = a;
    const struct chosen *y = b;
    return x->row < y->row ? -1 : x->row > y->row;
}

static size_t
widest_name(const struct bh_report *r)
{
    size_t most = 0;
    for (size_t i = 0; i < r->trend->sensor_count; i++) {
        const size_t n = strlen(sensor_of(r, i)->name);
        most = n > most ? n : most;
    }
    return most;
}

/* The ports most asked for that fit side by side; returns how many, in order of their numbers. */
static size_t
choose_ports(const struct bh_page *p, struct chosen *all)
{
    const struct bh_trend *t = p->report->trend;
    size_t room = p->columns == 0 ? SIZE_MAX : p->columns, n = 0;
    const size_t name = widest_name(p->report);
    for (size_t i = 0; i < t->sensor_port_count; i++) {
        const struct bh_trend_row *row = &t->sensor_ports[i];
        all[i] = (struct chosen){ .row = i, .width = strlen(short_port(row->port, row->proto).s) };
        for (size_t c = 0; c < row->cell_count; c++) {
            const size_t width = strlen(bh_num(row->cells[c].count).s);
            all[i].count += row->cells[c].count;
            all[i].width = width > all[i].width ? width : all[i].width;
        }
    }
    qsort(all, t->sensor_port_count, sizeof *all, by_count);
    room -= room > name + 12 ? name : room - 12;
    while (n < t->sensor_port_count && n + 1 < BH_COLUMNS_MAX && all[n].width + 1 <= room) {
        room -= all[n++].width + 1;
    }
    qsort(all, n, sizeof *all, by_row);
    return n;
}

static const struct bh_trend_cell *
cell_of(const struct bh_trend_row *row, size_t sensor)
{
    for (size_t c = 0; c < row->cell_count; c++) {
        if (row->cells[c].country == sensor) {
            return &row->cells[c];
        }
    }
    return NULL;
}

static void
put_ports(struct bh_page *p, const struct chosen *chosen, size_t count)
{
    const struct bh_trend *t = p->report->trend;
    struct bh_column columns[BH_COLUMNS_MAX] = { { .label = BH_W_COL_SENSOR } };
    struct bh_short label[BH_COLUMNS_MAX];
    for (size_t k = 0; k < count; k++) {
        const struct bh_trend_row *row = &t->sensor_ports[chosen[k].row];
        label[k] = short_port(row->port, row->proto);
        columns[k + 1] =
            (struct bh_column){ .text = label[k].s, .flags = BH_COLUMN_RIGHT, .gap = 1 };
    }
    bh_table_begin(p, columns, count + 1, 0);
    for (size_t i = 0; i < t->sensor_count; i++) {
        bh_table_cell(p, BH_STYLE_STRONG, sensor_of(p->report, i)->name);
        for (size_t k = 0; k < count; k++) {
            const struct bh_trend_cell *cell = cell_of(&t->sensor_ports[chosen[k].row], i);
            bh_table_cell(p, cell != NULL && cell->top ? BH_STYLE_PLAIN : BH_STYLE_QUIET,
                          cell == NULL ? bh_word(BH_W_DOT, p->lang) : bh_num(cell->count).s);
        }
    }
    bh_table_end(p);
}

static void
page_sensor_ports(struct bh_page *p)
{
    const struct bh_trend *t = p->report->trend;
    struct chosen *all = calloc(t->sensor_port_count + 1, sizeof *all);
    if (all == NULL || t->sensor_port_count == 0) {
        p->out->failed |= all == NULL;
        free(all);
        return;
    }
    const size_t shown = choose_ports(p, all);
    bh_page_heading(p, bh_word(BH_W_HEAD_SENSOR_PORTS, p->lang));
    put_ports(p, all, shown);
    if (shown < t->sensor_port_count) {
        struct bh_buf text = { 0 };
        bh_say(&text, p->lang, SENSOR_PORTS_MORE, bh_num(t->sensor_port_count - shown).s);
        bh_page_paragraph(p, &text);
        bh_buf_done(&text);
    }
    free(all);
}

/* ---- when it saw nothing ------------------------------------------------------------------------- */

#define SILENCES_TOLD 8U

struct told {
    const struct bh_report_sensor *sensor;
    const struct bh_report_silence *silence;
};

static int64_t
length_of(const struct told *x)
{
    return x->silence->end_ns == INT64_MAX ? INT64_MAX : x->silence->end_ns - x->silence->start_ns;
}

static int
longer_first(const void *a, const void *b)
{
    const struct told *x = a;
    const struct told *y = b;
    const int64_t n = length_of(x), m = length_of(y);
    if (n != m) {
        return n > m ? -1 : 1;
    }
    if (x->silence->start_ns != y->silence->start_ns) {
        return x->silence->start_ns < y->silence->start_ns ? -1 : 1;
    }
    return strcmp(x->sensor->name, y->sensor->name);
}

/* The longest, and what goes on still. */
static void
list_silences(struct bh_page *p)
{
    const struct bh_report *r = p->report;
    size_t n = 0, told = 0;
    struct told *all = calloc(r->sensor_count * BH_REPORT_SILENCES_MAX + 1, sizeof *all);
    if (all == NULL) {
        p->out->failed = true;
        return;
    }
    for (size_t k = 0; k < r->trend->sensor_count; k++) {
        const struct bh_report_sensor *s = sensor_of(r, k);
        for (uint32_t i = 0; i < s->silence_count; i++) {
            all[n++] = (struct told){ s, &s->silence[i] };
        }
    }
    qsort(all, n, sizeof *all, longer_first);
    struct bh_buf text = { 0 };
    for (; told < n && told < SILENCES_TOLD; told++) {
        const struct bh_report_silence *s = all[told].silence;
        text.len = 0;
        if (s->end_ns == INT64_MAX) {
            bh_say(&text, p->lang, SENSOR_ENDS, all[told].sensor->name,
                   bh_time_words(s->start_ns).s);
        } else {
            bh_say(&text, p->lang, SENSOR_GAPS, all[told].sensor->name,
                   bh_time_words(s->start_ns).s, bh_time_words(s->end_ns).s,
                   bh_duration_words(s->end_ns - s->start_ns, p->lang).s);
        }
        bh_page_list_item(p, text.data == NULL ? "" : text.data);
    }
    if (told < n) {
        text.len = 0;
        bh_say(&text, p->lang, SENSOR_GAPS_MORE, bh_num(n - told).s);
        bh_page_list_item(p, text.data == NULL ? "" : text.data);
    }
    p->out->failed |= text.failed;
    bh_buf_done(&text);
    free(all);
}

/* ---- all of it -------------------------------------------------------------------------------------- */

void
bh_page_sensors(struct bh_page *p)
{
    const struct bh_trend *t = p->report->trend;
    const struct bh_column columns[] = {
        { .label = BH_W_COL_SENSOR, .least = 8 },
        { .text = bh_unit_word(t, p->lang), .flags = BH_COLUMN_RIGHT },
        { .label = BH_W_COL_SHARE, .flags = BH_COLUMN_RIGHT, .gap = 1 },
        { .label = BH_W_NONE, .flags = BH_COLUMN_DRAWN, .least = 6, .gap = 1 },
        { .label = BH_W_COL_SOURCES, .flags = BH_COLUMN_RIGHT, .gap = 1 },
        { .label = BH_W_COL_SEEN_LAST, .gap = 1 },
        { .label = BH_W_COL_DARK, .flags = BH_COLUMN_RIGHT, .gap = 1 },
        { .label = BH_W_COL_TOP_PORTS, .flags = BH_COLUMN_FLEX | BH_COLUMN_WORDS, .least = 9 },
    };
    struct bh_buf text = { 0 };
    if (t->sensor_count == 0) {
        return;
    }
    bh_page_heading(p, bh_word(BH_W_HEAD_SENSORS, p->lang));
    bh_table_begin(p, columns, BH_COUNT(columns), 0);
    for (size_t i = 0; i < t->sensor_count; i++) {
        put_sensor(p, i);
    }
    bh_table_end(p);
    bh_buf_puts(&text, bh_word(BH_W_SENSORS_COUNT, p->lang));
    bh_page_paragraph(p, &text);
    bh_buf_done(&text);
    list_silences(p);
    page_sensor_ports(p);
}
