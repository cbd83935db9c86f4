/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The report for a terminal: a page in columns of one width, quiet, with colour only when asked
 * for. Japanese characters take two columns; lines are broken where each language allows.
 */
#include "page_priv.h"

#define ANSI_STRONG "\x1b[1m"
#define ANSI_QUIET "\x1b[2m"
#define ANSI_DRAWN "\x1b[36m"
#define ANSI_END "\x1b[0m"

static void
put_blanks(struct bh_buf *out, size_t n)
{
    while (n-- > 0) {
        bh_buf_putc(out, ' ');
    }
}

static void
put_styled(struct bh_page *p, enum bh_style style, const char *text)
{
    static const char *const begin[] = { "", ANSI_STRONG, ANSI_QUIET, ANSI_DRAWN };
    bool on = p->color && style != BH_STYLE_PLAIN && text[0] != '\0';
    bh_buf_puts(p->out, on ? begin[style] : "");
    bh_buf_puts(p->out, text);
    bh_buf_puts(p->out, on ? ANSI_END : "");
}

/* A blank line between blocks, none behind a heading and between list items. */
static void
part_from_last(struct bh_page *p, enum bh_block block)
{
    bool together = p->last == BH_BLOCK_NONE || p->last == BH_BLOCK_HEADING ||
                    (p->last == BH_BLOCK_LIST && block == BH_BLOCK_LIST);
    if (!together) {
        bh_buf_putc(p->out, '\n');
    }
}

static void
text_heading(struct bh_page *p, const char *text)
{
    part_from_last(p, BH_BLOCK_HEADING);
    put_styled(p, BH_STYLE_STRONG, text);
    bh_buf_putc(p->out, '\n');
}

/* ---- running text -------------------------------------------------------------------------- */

/* One character of valid UTF-8 (bh_buf_put_safe made it so). */
struct glyph {
    char s[8];
    size_t len, width;
};

static struct glyph
glyph_at(const char *s)
{
    struct glyph g = { "", 1, 0 };
    while (((uint8_t)s[g.len] & 0xc0) == 0x80 && g.len < 4) {
        g.len++;
    }
    memcpy(g.s, s, g.len);
    g.s[g.len] = '\0';
    g.width = bh_text_width(g.s);
    return g;
}

/* Japanese line breaking (JIS X 4051, its heart): what may not begin or end a line. */
static bool
is_in(const char *set, const struct glyph *g)
{
    return strstr(set, g->s) != NULL;
}

static bool
may_break_between(const struct glyph *a, const struct glyph *b)
{
    if (b->s[0] == ' ' || a->s[0] == ' ') {
        return a->s[0] == ' ' && b->s[0] != ' ';
    }
    if (is_in("、。，．」』）】・ー？！々%)],.;:ぁぃぅぇぉっゃゅょァィゥェォッャュョ", b) ||
        is_in("「『（【([", a)) {
        return false;
    }
    return a->width == 2 || b->width == 2;
}

/* Length of the longest beginning of `s` that fits in `width` and may end a line. */
static size_t
line_len(const char *s, size_t width)
{
    size_t used = 0;
    size_t at = 0;
    size_t fits = 0;
    while (s[at] != '\0') {
        struct glyph g = glyph_at(s + at);
        bool hangs = g.s[0] == ' '; /* a blank at the end of a line is not seen */
        if (used + g.width > width && !hangs) {
            return fits > 0 ? fits : at > 0 ? at : g.len; /* one long word: cut it */
        }
        used += g.width;
        at += g.len;
        if (s[at] != '\0') {
            struct glyph next = glyph_at(s + at);
            fits = may_break_between(&g, &next) ? at : fits;
        }
    }
    return at;
}

static void
put_wrapped(struct bh_page *p, const char *text, size_t indent, const char *mark)
{
    size_t columns = p->columns > indent + 20 ? p->columns - indent : 20;
    const char *s = text;
    do {
        size_t len = line_len(s, columns);
        size_t shown = len;
        while (shown > 0 && s[shown - 1] == ' ') {
            shown--;
        }
        size_t marked = bh_text_width(mark);
        put_blanks(p->out, indent - marked);
        bh_buf_puts(p->out, mark);
        mark = "";
        bh_buf_add(p->out, s, shown);
        bh_buf_putc(p->out, '\n');
        s += len;
    } while (*s != '\0');
}

static void
text_paragraph(struct bh_page *p, const char *text)
{
    part_from_last(p, BH_BLOCK_PARAGRAPH);
    put_wrapped(p, text, p->headed ? 2 : 0, "");
}

static void
text_list_item(struct bh_page *p, const char *text)
{
    part_from_last(p, BH_BLOCK_LIST);
    put_wrapped(p, text, 4, "- ");
}

/* ---- tables -------------------------------------------------------------------------------- */

static const char *
column_label(const struct bh_page *p, const struct bh_column *c)
{
    return c->text != NULL ? c->text : bh_word(c->label, p->lang);
}

static size_t
column_gap(const struct bh_table *t, size_t column)
{
    unsigned gap = t->columns[column].gap;
    return column == 0 ? t->indent : gap == 0 ? 2 : gap;
}

/* The label of a column may reach into the next when that one has none. */
static bool
label_reaches(const struct bh_page *p, const struct bh_table *t, size_t c)
{
    return c + 1 < t->column_count && (t->columns[c].flags & BH_COLUMN_RIGHT) == 0 &&
           column_label(p, &t->columns[c])[0] != '\0' &&
           column_label(p, &t->columns[c + 1])[0] == '\0';
}

/* What the label of the column before needs of this one. */
static size_t
reached_width(const struct bh_page *p, const struct bh_table *t, size_t c, size_t width_before)
{
    if (c == 0 || !label_reaches(p, t, c - 1)) {
        return 0;
    }
    size_t label = bh_text_width(column_label(p, &t->columns[c - 1]));
    size_t room = width_before + column_gap(t, c);
    return label > room ? label - room : 0;
}

static void
table_widths(const struct bh_page *p, const struct bh_table *t, size_t *widths)
{
    size_t others = 0;
    size_t flex = t->column_count;
    for (size_t c = 0; c < t->column_count; c++) {
        bool reaches = label_reaches(p, t, c);
        widths[c] = reaches ? 0 : bh_text_width(column_label(p, &t->columns[c]));
        size_t reached = reached_width(p, t, c, c == 0 ? 0 : widths[c - 1]);
        widths[c] = reached > widths[c] ? reached : widths[c];
        widths[c] = t->columns[c].least > widths[c] ? t->columns[c].least : widths[c];
        for (size_t row = 0; row < t->row_count; row++) {
            size_t w = t->spans[row] ? 0 : bh_text_width(bh_table_text(t, row, c));
            widths[c] = w > widths[c] ? w : widths[c];
        }
        others += column_gap(t, c);
        if ((t->columns[c].flags & BH_COLUMN_FLEX) != 0) {
            flex = c;
        } else {
            others += widths[c];
        }
    }
    if (flex < t->column_count && p->columns > 0 && others + widths[flex] > p->columns) {
        size_t room = p->columns > others ? p->columns - others : 0;
        widths[flex] = room > t->columns[flex].least ? room : t->columns[flex].least;
    }
}

/* `text` in `width` columns: cut with a mark, or at a blank. Returns columns used. */
static size_t
cut_text(struct bh_buf *out, const char *text, size_t width, bool at_words)
{
    size_t all = bh_text_width(text);
    if (all <= width) {
        bh_buf_puts(out, text);
        return all;
    }
    size_t at = 0;
    size_t used = 0;
    size_t word_end = 0;
    size_t word_width = 0;
    size_t room = at_words ? width : width - (width > 0 ? 1 : 0);
    while (text[at] != '\0') {
        struct glyph g = glyph_at(text + at);
        if (g.s[0] == ' ') {
            word_end = at;
            word_width = used;
        }
        if (used + g.width > room) {
            break;
        }
        at += g.len;
        used += g.width;
    }
    if (at_words) {
        bh_buf_add(out, text, word_end);
        return word_width;
    }
    bh_buf_add(out, text, at);
    bh_buf_puts(out, width > 0 ? "…" : "");
    return used + (width > 0 ? 1 : 0);
}

/* One cell with its padding; `pending` blanks are put before what is not blank, so that no line
 * ends in blanks. */
static void
put_cell(struct bh_page *p, const struct bh_column *c, enum bh_style style, const char *text,
         size_t width, size_t *pending)
{
    struct bh_buf cut = { 0 };
    size_t used = cut_text(&cut, text, width, (c->flags & BH_COLUMN_WORDS) != 0);
    size_t pad = width > used ? width - used : 0;
    if ((c->flags & BH_COLUMN_RIGHT) != 0) {
        *pending += pad;
        pad = 0;
    }
    if (cut.len > 0) {
        put_blanks(p->out, *pending);
        *pending = 0;
        put_styled(p, style, cut.data);
    }
    *pending += pad;
    p->out->failed |= cut.failed;
    bh_buf_done(&cut);
}

static void
put_span(struct bh_page *p, const struct bh_table *t, size_t row)
{
    struct bh_buf cut = { 0 };
    const char *text = bh_table_text(t, row, 0);
    cut_text(&cut, text, p->columns > t->indent ? p->columns - t->indent : 20, false);
    put_blanks(p->out, t->indent);
    put_styled(p, t->cells[row * t->column_count].style, cut.data == NULL ? "" : cut.data);
    bh_buf_done(&cut);
}

static void
put_row(struct bh_page *p, const struct bh_table *t, size_t row, const size_t *widths)
{
    size_t pending = 0;
    for (size_t c = 0; c < t->column_count; c++) {
        pending += column_gap(t, c);
        put_cell(p, &t->columns[c], t->cells[row * t->column_count + c].style,
                 bh_table_text(t, row, c), widths[c], &pending);
    }
}

static void
put_header(struct bh_page *p, const struct bh_table *t, const size_t *widths)
{
    size_t pending = 0;
    for (size_t c = 0; c < t->column_count; c++) {
        const struct bh_column *column = &t->columns[c];
        size_t width = widths[c];
        pending += column_gap(t, c);
        if (label_reaches(p, t, c)) {
            width += column_gap(t, c + 1) + widths[c + 1];
            c++;
        }
        put_cell(p, column, BH_STYLE_QUIET, column_label(p, column), width, &pending);
    }
    bh_buf_putc(p->out, '\n');
}

static void
text_table(struct bh_page *p, const struct bh_table *t)
{
    size_t widths[BH_COLUMNS_MAX];
    part_from_last(p, BH_BLOCK_TABLE);
    table_widths(p, t, widths);
    put_header(p, t, widths);
    for (size_t row = 0; row < t->row_count; row++) {
        if (t->spans[row]) {
            put_span(p, t, row);
        } else {
            put_row(p, t, row, widths);
        }
        bh_buf_putc(p->out, '\n');
    }
}

static void
text_chart(struct bh_page *p, const struct bh_trend *t)
{
    part_from_last(p, BH_BLOCK_CHART);
    bh_draw_chart_lines(p, t, p->columns, 2, p->out);
}

void
bh_write_text(const struct bh_report *r, const struct bh_write_options *o, struct bh_buf *out)
{
    static const struct bh_look look = {
        .heading = text_heading,
        .paragraph = text_paragraph,
        .list_item = text_list_item,
        .table = text_table,
        .chart = text_chart,
    };
    struct bh_page page = {
        .report = r,
        .look = &look,
        .lang = o->lang,
        .columns = o->columns < 80 ? 80 : o->columns,
        .color = o->color,
        .opening_only = o->opening_only,
        .out = out,
    };
    bh_page_trend(&page);
}
