/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A report as a page for people: headings, paragraphs, lists, tables and one chart. What to
 * show is decided once (reports/trend_page*.c); a look (text, Markdown) decides how it stands.
 *
 * Every text given to a page may hold what a stranger sent: it is made harmless for a terminal
 * here (bh_buf_put_safe), once, and escaped further by the look where its format needs it.
 */
#ifndef BH_PAGE_PRIV_H
#define BH_PAGE_PRIV_H

#include "words_priv.h"

#define BH_COLUMNS_MAX 64U

enum bh_style { BH_STYLE_PLAIN, BH_STYLE_STRONG, BH_STYLE_QUIET, BH_STYLE_DRAWN };

enum {
    BH_COLUMN_RIGHT = 1 << 0, /* numbers                                                     */
    BH_COLUMN_FLEX = 1 << 1,  /* takes what width is left, and is cut there                  */
    BH_COLUMN_WORDS = 1 << 2, /* cut between words, without a mark                           */
    BH_COLUMN_DRAWN = 1 << 3, /* a bar or a sparkline: says nothing that numbers do not say  */
};
struct bh_column {
    enum bh_word_id label;
    const char *text; /* instead of the label, e.g. "US" */
    unsigned flags;
    unsigned least; /* width at least */
    unsigned gap;   /* blanks before it; 0: two */
};

struct bh_page_cell {
    size_t at; /* in texts */
    uint8_t style;
};
struct bh_table {
    struct bh_column columns[BH_COLUMNS_MAX];
    size_t column_count;
    unsigned indent;
    struct bh_page_cell *cells;
    size_t cell_count, cell_cap;
    bool *spans; /* per row: its first cell stands for the whole row */
    size_t row_count, row_cap;
    size_t filled; /* cells of the row that is being made */
    struct bh_buf texts;
    bool failed;
};

enum bh_block {
    BH_BLOCK_NONE,
    BH_BLOCK_HEADING,
    BH_BLOCK_PARAGRAPH,
    BH_BLOCK_LIST,
    BH_BLOCK_TABLE,
    BH_BLOCK_CHART
};

struct bh_page;
struct bh_look {
    void (*heading)(struct bh_page *p, const char *text);
    void (*paragraph)(struct bh_page *p, const char *text);
    void (*list_item)(struct bh_page *p, const char *text);
    void (*table)(struct bh_page *p, const struct bh_table *t);
    void (*chart)(struct bh_page *p, const struct bh_trend *t);
};
struct bh_page {
    const struct bh_report *report;
    const struct bh_look *look;
    enum bh_lang lang;
    unsigned columns; /* width to fit in; 0: any */
    bool color;
    bool opening_only;
    struct bh_buf *out;
    enum bh_block last;    /* what was put last                */
    bool headed;           /* a heading was put                */
    struct bh_table table; /* the one being made               */
};

void bh_page_trend(struct bh_page *p);
/* Parts of it, in several files. */
void bh_page_countries(struct bh_page *p);
void bh_page_ports(struct bh_page *p);
void bh_page_home(struct bh_page *p);
void bh_page_crosstab(struct bh_page *p);
void bh_page_sensors(struct bh_page *p);
void bh_page_sources(struct bh_page *p);
void bh_page_visits(struct bh_page *p);
void bh_page_no_country(struct bh_page *p);
void bh_page_networks(struct bh_page *p);
void bh_page_pings(struct bh_page *p);
void bh_page_outcomes(struct bh_page *p);
void bh_page_timeline(struct bh_page *p);
void bh_page_remarks(struct bh_page *p);
void bh_page_health(struct bh_page *p);

void bh_page_heading(struct bh_page *p, const char *text);
void bh_page_paragraph(struct bh_page *p, const struct bh_buf *text); /* nothing when empty */
void bh_page_list_item(struct bh_page *p, const char *text);

void
bh_table_begin(struct bh_page *p, const struct bh_column *columns, size_t count, unsigned indent);
void bh_table_cell(struct bh_page *p, enum bh_style style, const char *text);
void bh_table_blank(struct bh_page *p);
/* A row that is one text over the whole width. */
void bh_table_span(struct bh_page *p, enum bh_style style, const char *text);
void bh_table_bar(struct bh_page *p, uint64_t part, uint64_t whole, unsigned width);
void bh_table_end(struct bh_page *p); /* the look draws it */
void bh_page_chart(struct bh_page *p);
static inline const char *
bh_table_text(const struct bh_table *t, size_t row, size_t column)
{
    return t->texts.data + t->cells[row * t->column_count + column].at;
}

/* Drawing with characters: page_draw.c. */
void bh_draw_bar(struct bh_buf *out, uint64_t part, uint64_t whole, unsigned width);
/* `bins` counts as `width` characters; the highest is whole. */
void bh_draw_spark(struct bh_buf *out, const uint32_t *counts, size_t bins, unsigned width);

/* The time line, `rows` high. Columns of a gap hold a dot on the ground line. */
struct bh_chart {
    char rows[8][1024]; /* UTF-8, top first */
    size_t row_count;
    size_t width;
    uint64_t highest; /* mean count of a bin in the highest column */
    size_t bins_per_column;
    bool has_gap;
};
void bh_draw_chart(const struct bh_trend *t, size_t width, size_t rows, struct bh_chart *ret_chart);
/* Columns left for the chart beside its axis. */
size_t bh_chart_width(const struct bh_trend *t, unsigned columns, unsigned indent);
/* The chart with its axes, each line ending in a newline; `indent` blanks before. */
void bh_draw_chart_lines(const struct bh_page *p, const struct bh_trend *t, unsigned columns,
                         unsigned indent, struct bh_buf *out);

#endif
