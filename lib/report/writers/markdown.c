/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The report as Markdown: the same page as on a terminal, with tables between pipes (GitHub's
 * extension) and the chart in a fenced block. What could be read as markup is escaped, so that
 * a text from the network stays a text.
 */
#include "page_priv.h"

#include <strings.h>

static void
put_escaped(struct bh_buf *out, const char *text)
{
    const char *number_end = text + strspn(text, "0123456789");
    if (*text == ' ') { /* four of them open a block of code */
        bh_buf_puts(out, "&#32;");
        text++;
    }
    for (const char *c = text; *c != '\0'; c++) {
        bool opens_block = c == text && strchr("#+-=", *c) != NULL;
        bool opens_list = c == number_end && c > text && (*c == '.' || *c == ')') &&
                          (c[1] == ' ' || c[1] == '\0');
        opens_block |= opens_list;
        bool links = *c == ':' && c[1] == '/';
        links |= *c == '.' && c - text >= 3 && strncasecmp(c - 3, "www", 3) == 0;
        if (opens_block || links || strchr("\\`*_{}[]<>|&~!$@", *c) != NULL) {
            bh_buf_putc(out, '\\');
        }
        bh_buf_putc(out, *c);
    }
}

static void
part_from_last(struct bh_page *p, enum bh_block block)
{
    if (p->last != BH_BLOCK_NONE && !(p->last == BH_BLOCK_LIST && block == BH_BLOCK_LIST)) {
        bh_buf_putc(p->out, '\n');
    }
}

static void
md_heading(struct bh_page *p, const char *text)
{
    part_from_last(p, BH_BLOCK_HEADING);
    bh_buf_puts(p->out, "## ");
    put_escaped(p->out, text);
    bh_buf_putc(p->out, '\n');
}

static void
md_paragraph(struct bh_page *p, const char *text)
{
    part_from_last(p, BH_BLOCK_PARAGRAPH);
    put_escaped(p->out, text);
    bh_buf_putc(p->out, '\n');
}

static void
md_list_item(struct bh_page *p, const char *text)
{
    part_from_last(p, BH_BLOCK_LIST);
    bh_buf_puts(p->out, "- ");
    put_escaped(p->out, text);
    bh_buf_putc(p->out, '\n');
}

static void
md_cell(struct bh_page *p, enum bh_style style, const char *text)
{
    bool strong = style == BH_STYLE_STRONG && text[0] != '\0';
    bh_buf_puts(p->out, strong ? " **" : " ");
    put_escaped(p->out, text);
    bh_buf_puts(p->out, strong ? "** |" : " |");
}

static bool
is_drawn(const struct bh_column *c)
{
    return (c->flags & BH_COLUMN_DRAWN) != 0;
}

static void
md_table_head(struct bh_page *p, const struct bh_table *t)
{
    bh_buf_putc(p->out, '|');
    for (size_t c = 0; c < t->column_count; c++) {
        if (!is_drawn(&t->columns[c])) {
            const char *text = t->columns[c].text;
            md_cell(p, BH_STYLE_PLAIN, text != NULL ? text : bh_word(t->columns[c].label, p->lang));
        }
    }
    bh_buf_puts(p->out, "\n|");
    for (size_t c = 0; c < t->column_count; c++) {
        if (!is_drawn(&t->columns[c])) {
            bh_buf_puts(p->out, (t->columns[c].flags & BH_COLUMN_RIGHT) != 0 ? "---:|" : "---|");
        }
    }
    bh_buf_putc(p->out, '\n');
}

static void
md_table(struct bh_page *p, const struct bh_table *t)
{
    part_from_last(p, BH_BLOCK_TABLE);
    md_table_head(p, t);
    for (size_t row = 0; row < t->row_count; row++) {
        bh_buf_putc(p->out, '|');
        for (size_t c = 0; c < t->column_count; c++) {
            if (!is_drawn(&t->columns[c])) {
                md_cell(p, t->cells[row * t->column_count + c].style, bh_table_text(t, row, c));
            }
        }
        bh_buf_putc(p->out, '\n');
    }
}

static void
md_chart(struct bh_page *p, const struct bh_trend *t)
{
    part_from_last(p, BH_BLOCK_CHART);
    bh_buf_puts(p->out, "```text\n");
    bh_draw_chart_lines(p, t, 80, 0, p->out);
    bh_buf_puts(p->out, "```\n");
}

void
bh_write_markdown(const struct bh_report *r, const struct bh_write_options *o, struct bh_buf *out)
{
    static const struct bh_look look = {
        .heading = md_heading,
        .paragraph = md_paragraph,
        .list_item = md_list_item,
        .table = md_table,
        .chart = md_chart,
    };
    struct bh_page page = { .report = r, .look = &look, .lang = o->lang, .out = out };
    bh_buf_puts(out, "# ");
    bh_buf_puts(out, bh_word(BH_W_TITLE, o->lang));
    bh_buf_putc(out, '\n');
    page.last = BH_BLOCK_HEADING;
    bh_page_trend(&page);
}
