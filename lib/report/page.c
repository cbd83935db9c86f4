/* SPDX-License-Identifier: BSD-2-Clause */
#include "page_priv.h"

#include <stdlib.h>

/* A strange text on its way to a look. */
static void
put_text(struct bh_page *p, enum bh_block block, const char *text, size_t len)
{
    void (*const put[])(struct bh_page *, const char *) = {
        [BH_BLOCK_HEADING] = p->look->heading,
        [BH_BLOCK_PARAGRAPH] = p->look->paragraph,
        [BH_BLOCK_LIST] = p->look->list_item,
    };
    struct bh_buf safe = { 0 };
    bh_buf_put_safe(&safe, text, len);
    p->out->failed |= safe.failed;
    if (safe.len > 0) {
        put[block](p, safe.data);
        p->last = block;
        p->headed |= block == BH_BLOCK_HEADING;
    }
    bh_buf_done(&safe);
}

void
bh_page_heading(struct bh_page *p, const char *text)
{
    put_text(p, BH_BLOCK_HEADING, text, strlen(text));
}

void
bh_page_paragraph(struct bh_page *p, const struct bh_buf *text)
{
    p->out->failed |= text->failed;
    put_text(p, BH_BLOCK_PARAGRAPH, text->data, text->len);
}

void
bh_page_list_item(struct bh_page *p, const char *text)
{
    put_text(p, BH_BLOCK_LIST, text, strlen(text));
}

void
bh_page_chart(struct bh_page *p)
{
    p->look->chart(p, p->report->trend);
    p->last = BH_BLOCK_CHART;
}

/* ---- tables -------------------------------------------------------------------------------- */

void
bh_table_begin(struct bh_page *p, const struct bh_column *columns, size_t count, unsigned indent)
{
    p->table = (struct bh_table){ .column_count = count, .indent = indent };
    memcpy(p->table.columns, columns, count * sizeof *columns);
}

/* Room for one more of `size` octets. */
static void *
grown(void *array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap) {
        return array;
    }
    size_t more = *cap == 0 ? 64 : *cap * 2;
    void *bigger = realloc(array, bh_size_mul(more, size));
    if (bigger != NULL) {
        *cap = more;
    }
    return bigger;
}

static void
new_row(struct bh_table *t, bool span)
{
    bool *spans = grown(t->spans, t->row_count, &t->row_cap, sizeof *spans);
    if (spans == NULL) {
        t->failed = true;
        return;
    }
    t->spans = spans;
    t->spans[t->row_count++] = span;
}

static void
add_cell(struct bh_table *t, enum bh_style style, const char *text)
{
    struct bh_page_cell *cells = grown(t->cells, t->cell_count, &t->cell_cap, sizeof *cells);
    if (cells == NULL) {
        t->failed = true;
        return;
    }
    t->cells = cells;
    t->cells[t->cell_count++] = (struct bh_page_cell){ t->texts.len, (uint8_t)style };
    bh_buf_put_safe(&t->texts, text, strlen(text));
    bh_buf_add(&t->texts, "", 1);
}

void
bh_table_cell(struct bh_page *p, enum bh_style style, const char *text)
{
    struct bh_table *t = &p->table;
    if (t->failed) {
        return;
    }
    if (t->filled == 0) {
        new_row(t, false);
    }
    add_cell(t, style, text);
    t->filled = (t->filled + 1) % t->column_count;
}

void
bh_table_blank(struct bh_page *p)
{
    bh_table_cell(p, BH_STYLE_PLAIN, "");
}

void
bh_table_span(struct bh_page *p, enum bh_style style, const char *text)
{
    struct bh_table *t = &p->table;
    if (t->failed) {
        return;
    }
    new_row(t, true);
    for (size_t i = 0; i < t->column_count && !t->failed; i++) {
        add_cell(t, style, i == 0 ? text : "");
    }
}

void
bh_table_bar(struct bh_page *p, uint64_t part, uint64_t whole, unsigned width)
{
    struct bh_buf bar = { 0 };
    bh_draw_bar(&bar, part, whole, width);
    bh_table_cell(p, BH_STYLE_DRAWN, bar.data == NULL ? "" : bar.data);
    bh_buf_done(&bar);
}

void
bh_table_end(struct bh_page *p)
{
    struct bh_table *t = &p->table;
    if (t->failed || t->texts.failed) {
        p->out->failed = true;
    } else if (t->row_count > 0) {
        p->look->table(p, t);
        p->last = BH_BLOCK_TABLE;
    }
    free(t->cells);
    free(t->spans);
    bh_buf_done(&t->texts);
    *t = (struct bh_table){ 0 };
}
