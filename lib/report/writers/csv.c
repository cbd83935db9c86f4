/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The report as CSV in the long form of docs/format/report.md: one header, one line per row of
 * any section, the same twelve columns everywhere. It is the walk by keys: a key that is a
 * column goes there, every other one into `detail` as key=value. RFC 4180; a text that a
 * spreadsheet could take for a formula gets an apostrophe before it.
 */
#include "words_priv.h"

#include <inttypes.h>

enum {
    SECTION,
    CODE,
    NAME,
    PORT,
    PROTO,
    SERVICE,
    COUNT,
    SHARE,
    SOURCES,
    FIRST,
    LAST,
    DETAIL,
    COLUMNS
};

static const struct {
    const char *key;
    int column;
} columns[] = {
    { "code", CODE },       { "country", CODE }, { "name", NAME },   { "class", NAME },
    { "address", NAME },    { "sensor", CODE },  { "id", NAME },     { "offered_to", NAME },
    { "bound", NAME },      { "file", NAME },    { "port", PORT },   { "proto", PROTO },
    { "service", SERVICE }, { "count", COUNT },  { "share", SHARE }, { "sources", SOURCES },
    { "first", FIRST },     { "last", LAST },    { "start", FIRST }, { "end", LAST },
};

#define DEPTH_MAX 16U

/* An object or list that is open. */
struct level {
    enum bh_shape shape;
    bool row;     /* an object in a list: one line          */
    bool written; /* its line is out, or it has none        */
    char key[32];
    struct bh_buf cells[COLUMNS];
};
struct csv {
    struct bh_walk walk;
    struct bh_buf *out;
    struct level levels[DEPTH_MAX];
    unsigned depth;
};

/* ---- cells and lines ----------------------------------------------------------------------- */

/* What a spreadsheet takes for the beginning of a formula; a Japanese one the wide ones, too. */
static bool
is_formula(const struct bh_buf *text)
{
    static const char *const begins[] = { "=", "+", "-", "@", "＝", "＋", "－", "＠" };
    for (size_t i = 0; i < BH_COUNT(begins); i++) {
        size_t n = strlen(begins[i]);
        if (text->len >= n && memcmp(text->data, begins[i], n) == 0) {
            return true;
        }
    }
    return false;
}

static void
put_quoted(struct bh_buf *out, const char *s, size_t n)
{
    struct bh_buf safe = { 0 };
    bh_buf_put_safe(&safe, s, n);
    bool formula = is_formula(&safe);
    bool quote = false;
    for (size_t i = 0; i < safe.len; i++) {
        quote |= safe.data[i] == '"' || safe.data[i] == ',';
    }
    bh_buf_puts(out, quote ? "\"" : "");
    bh_buf_puts(out, formula ? "'" : "");
    for (size_t i = 0; i < safe.len; i++) {
        bh_buf_puts(out, safe.data[i] == '"' ? "\"" : "");
        bh_buf_putc(out, safe.data[i]);
    }
    bh_buf_puts(out, quote ? "\"" : "");
    out->failed |= safe.failed;
    bh_buf_done(&safe);
}

static void
put_item(struct bh_buf *out, const struct bh_item *item)
{
    switch (item->type) {
    case BH_ITEM_NULL:
        break;
    case BH_ITEM_BOOL:
        bh_buf_puts(out, item->number != 0 ? "true" : "false");
        break;
    case BH_ITEM_UINT:
        bh_buf_printf(out, "%" PRIu64, item->number);
        break;
    case BH_ITEM_MICRO:
        bh_buf_printf(out, "%" PRIu64 ".%06u", item->number / 1000000,
                      (unsigned)(item->number % 1000000));
        break;
    case BH_ITEM_REAL:
        bh_buf_printf(out, "%.9g", item->real);
        break;
    case BH_ITEM_TEXT:
        bh_buf_add(out, item->text, item->text_len);
        break;
    }
}

/* "countries.ports": keys of what is open, without those of single values. */
static void
put_section(const struct csv *c, struct bh_buf *out)
{
    for (unsigned i = 1; i <= c->depth; i++) {
        if (c->levels[i].key[0] != '\0') {
            bh_buf_puts(out, out->len > 0 ? "." : "");
            bh_buf_puts(out, c->levels[i].key);
        }
    }
}

static void
put_line(struct csv *c, const struct bh_buf *cells)
{
    for (int i = 0; i < COLUMNS; i++) {
        bh_buf_puts(c->out, i == 0 ? "" : ",");
        put_quoted(c->out, cells[i].data == NULL ? "" : cells[i].data, cells[i].len);
        c->out->failed |= cells[i].failed;
    }
    bh_buf_puts(c->out, "\r\n");
}

/* The innermost open row; NULL when there is none. */
static struct level *
open_row(struct csv *c)
{
    for (unsigned i = c->depth; i > 0; i--) {
        if (c->levels[i].row) {
            return &c->levels[i];
        }
    }
    return NULL;
}

static void
write_row(struct csv *c, struct level *row)
{
    if (!row->written) {
        row->written = true;
        put_line(c, row->cells);
    }
}

/* ---- the walk ------------------------------------------------------------------------------ */

static int
column_of(const char *key)
{
    for (size_t i = 0; i < BH_COUNT(columns); i++) {
        if (strcmp(columns[i].key, key) == 0) {
            return columns[i].column;
        }
    }
    return DETAIL;
}

/* What a row inside another one (a port of a country) keeps of it. */
static void
inherit(struct level *row, const struct level *outer)
{
    static const int kept[] = { CODE, PORT, PROTO, SERVICE };
    for (size_t i = 0; i < BH_COUNT(kept); i++) {
        const struct bh_buf *from = &outer->cells[kept[i]];
        bh_buf_add(&row->cells[kept[i]], from->data, from->len);
    }
}

static void
csv_begin(struct bh_walk *w, const char *key, enum bh_shape shape)
{
    struct csv *c = (struct csv *)w;
    struct level *outer = open_row(c);
    bool in_list = c->depth > 0 && c->levels[c->depth].shape == BH_SHAPE_LIST;
    bool country = key != NULL && strcmp(key, "home_country") == 0; /* a row that is no list */
    if (c->depth + 1 >= DEPTH_MAX) {
        return;
    }
    struct level *l = &c->levels[c->depth + 1];
    *l = (struct level){ .shape = shape, .row = (in_list && shape == BH_SHAPE_OBJECT) || country };
    snprintf(l->key, sizeof l->key, "%s", key == NULL ? "" : key);
    if (l->row && outer != NULL) {
        write_row(c, outer); /* before what it holds */
        inherit(l, outer);
    }
    c->depth++;
    if (l->row) {
        put_section(c, &l->cells[SECTION]);
    }
}

static void
add_detail(struct bh_buf *detail, const char *prefix, const char *key, const struct bh_item *item)
{
    bh_buf_puts(detail, detail->len > 0 ? "; " : "");
    bh_buf_puts(detail, prefix);
    bh_buf_puts(detail, prefix[0] != '\0' ? "." : "");
    bh_buf_puts(detail, key);
    bh_buf_puts(detail, "=");
    put_item(detail, item);
}

/* A value of a row: its column, or its detail. */
static void
row_item(struct csv *c, struct level *row, const char *key, const struct bh_item *item)
{
    const struct level *here = &c->levels[c->depth];
    if (item->type == BH_ITEM_NULL) {
        return;
    }
    if (here == row) {
        int column = column_of(key);
        struct bh_buf *cell = &row->cells[column];
        if (column == DETAIL || cell->len > 0) { /* taken: "name" behind "class" */
            add_detail(&row->cells[DETAIL], "", key, item);
        } else {
            put_item(cell, item);
        }
    } else if (here->shape == BH_SHAPE_LIST) {
        add_detail(&row->cells[DETAIL], "", here->key, item); /* one entry per value */
    } else {
        add_detail(&row->cells[DETAIL], here->key, key, item);
    }
}

/* A value that is in no row: a line of its own. */
static void
single_item(struct csv *c, const char *key, const struct bh_item *item)
{
    struct bh_buf cells[COLUMNS] = { 0 };
    put_section(c, &cells[SECTION]);
    if (cells[SECTION].len == 0) {
        bh_buf_puts(&cells[SECTION], "report");
    }
    bh_buf_puts(&cells[NAME], key == NULL ? "" : key);
    put_item(&cells[item->type == BH_ITEM_UINT ? COUNT : DETAIL], item);
    put_line(c, cells);
    for (int i = 0; i < COLUMNS; i++) {
        bh_buf_done(&cells[i]);
    }
}

static void
csv_item(struct bh_walk *w, const char *key, const struct bh_item *item)
{
    struct csv *c = (struct csv *)w;
    struct level *row = open_row(c);
    if (row != NULL) {
        row_item(c, row, key, item);
    } else {
        single_item(c, key, item);
    }
}

static void
csv_end(struct bh_walk *w, enum bh_shape shape)
{
    struct csv *c = (struct csv *)w;
    struct level *l = &c->levels[c->depth];
    if (l->row) {
        write_row(c, l);
    }
    for (int i = 0; i < COLUMNS; i++) {
        bh_buf_done(&l->cells[i]);
    }
    c->depth--;
    (void)shape; /* known from the level */
}

void
bh_write_csv(const struct bh_report *r, const struct bh_write_options *o, struct bh_buf *out)
{
    struct csv c = {
        .walk = { .begin = csv_begin, .end = csv_end, .item = csv_item, .lang = o->lang },
        .out = out,
    };
    bh_buf_puts(out,
                "section,code,name,port,proto,service,count,share,sources,first,last,detail\r\n");
    bh_walk_trend(r, &c.walk);
}
