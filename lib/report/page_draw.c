/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drawing with block characters (U+2581 .. U+258F): bars in eighths of a column, sparklines and
 * the time line in eighths of a row. A count above zero always shows; a gap is never drawn as
 * zero but as a dot.
 */
#include "page_priv.h"

static const char *const across[9] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█" };
static const char *const upward[9] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };

/* part / whole in `steps`, rounded; at least 1 when there is anything. */
static unsigned
in_steps(uint64_t part, uint64_t whole, unsigned steps)
{
    if (whole == 0 || part == 0) {
        return 0;
    }
    if (part >= whole) {
        return steps;
    }
    unsigned n = (unsigned)(((bh_u128)part * steps * 2U + whole) / ((bh_u128)whole * 2U));
    return n == 0 ? 1 : n;
}

void
bh_draw_bar(struct bh_buf *out, uint64_t part, uint64_t whole, unsigned width)
{
    unsigned eighths = in_steps(part, whole, width * 8);
    for (unsigned i = 0; i < eighths / 8; i++) {
        bh_buf_puts(out, across[8]);
    }
    bh_buf_puts(out, across[eighths % 8]);
}

void
bh_draw_spark(struct bh_buf *out, const uint32_t *counts, size_t bins, unsigned width)
{
    uint64_t column[64] = { 0 };
    uint64_t highest = 0;
    size_t n = width < BH_COUNT(column) ? width : BH_COUNT(column);
    n = bins < n ? bins : n;
    for (size_t i = 0; i < bins && n > 0; i++) {
        uint64_t *c = &column[i * n / bins];
        *c += counts[i];
        highest = *c > highest ? *c : highest;
    }
    for (size_t i = 0; i < n; i++) {
        bh_buf_puts(out, upward[in_steps(column[i], highest, 8)]);
    }
}

/* ---- the time line ------------------------------------------------------------------------- */

struct chart_column {
    uint64_t mean; /* of the bins that are no gap      */
    bool gap;      /* at least half of its bins are one */
};

static struct chart_column
chart_column(const struct bh_trend *t, size_t from, size_t to)
{
    uint64_t sum = 0;
    uint64_t seen = 0;
    uint64_t gaps = 0;
    for (size_t i = from; i < to && i < t->bin_count; i++) {
        gaps += t->bins[i].gap;
        seen += !t->bins[i].gap;
        sum += t->bins[i].gap ? 0 : t->bins[i].count;
    }
    struct chart_column c = { 0, gaps >= seen };
    if (!c.gap) {
        c.mean = (sum + seen - 1) / seen;
    }
    return c;
}

static void
put_row(const struct chart_column *columns, struct bh_chart *chart, size_t row)
{
    size_t at = 0;
    char *text = chart->rows[row];
    unsigned below = (unsigned)(chart->row_count - 1 - row) * 8;
    for (size_t i = 0; i < chart->width; i++) {
        unsigned all = in_steps(columns[i].mean, chart->highest, (unsigned)chart->row_count * 8);
        unsigned here = all <= below ? 0 : all - below > 8 ? 8 : all - below;
        const char *glyph = upward[here];
        if (columns[i].gap) {
            glyph = below == 0 ? "·" : " ";
        }
        size_t len = strlen(glyph);
        memcpy(text + at, glyph, len);
        at += len;
    }
    text[at] = '\0';
}

void
bh_draw_chart(const struct bh_trend *t, size_t width, size_t rows, struct bh_chart *ret_chart)
{
    static const size_t widest = 300; /* 3 octets each in rows[][1024] */
    struct chart_column columns[300];
    struct bh_chart *c = ret_chart;
    memset(c, 0, sizeof *c);
    width = width > widest ? widest : width < 1 ? 1 : width;
    c->row_count = rows > BH_COUNT(c->rows) ? BH_COUNT(c->rows) : rows;
    c->bins_per_column = (t->bin_count + width - 1) / width;
    if (c->bins_per_column == 0) {
        return;
    }
    c->width = (t->bin_count + c->bins_per_column - 1) / c->bins_per_column;
    for (size_t i = 0; i < c->width; i++) {
        columns[i] = chart_column(t, i * c->bins_per_column, (i + 1) * c->bins_per_column);
        c->highest = columns[i].mean > c->highest ? columns[i].mean : c->highest;
        c->has_gap |= columns[i].gap;
    }
    for (size_t row = 0; row < c->row_count; row++) {
        put_row(columns, c, row);
    }
}

static void
blanks(struct bh_buf *out, size_t n)
{
    while (n-- > 0) {
        bh_buf_putc(out, ' ');
    }
}

/* Dates under the ground line: the first bin, then as many as stand apart, each under the
 * column it names. */
static void
put_dates(const struct bh_trend *t, const struct bh_chart *c, size_t left, struct bh_buf *out)
{
    size_t at = 0;
    bool hours = t->bin == BH_BIN_HOUR;
    size_t least = (hours ? 11U : 10U) + 3U; /* a date and three blanks */
    size_t step = c->width >= 4 * least   ? c->width / 4
                  : c->width >= 2 * least ? c->width / 2
                                          : c->width;
    blanks(out, left);
    for (size_t i = 0; i < c->width; i += step) {
        size_t bin = i * c->bins_per_column;
        if (bin >= t->bin_count || (i > 0 && c->width - i < least - 3)) {
            break;
        }
        struct bh_short when =
            hours ? bh_time_words(t->bins[bin].start_ns) : bh_date_words(t->bins[bin].start_ns);
        const char *text = hours && strlen(when.s) > 5 ? when.s + 5 : when.s; /* "04-01 13:00" */
        blanks(out, i - at);
        bh_buf_puts(out, text);
        at = i + strlen(text);
    }
    bh_buf_putc(out, '\n');
}

static size_t
axis_width(const struct bh_trend *t)
{
    uint64_t top = 0;
    for (size_t i = 0; i < t->bin_count; i++) {
        top = t->bins[i].count > top ? t->bins[i].count : top;
    }
    return strlen(bh_num(top).s);
}

size_t
bh_chart_width(const struct bh_trend *t, unsigned columns, unsigned indent)
{
    size_t left = indent + axis_width(t) + 2;
    return columns > left + 10 ? columns - left : 10;
}

void
bh_draw_chart_lines(const struct bh_page *p, const struct bh_trend *t, unsigned columns,
                    unsigned indent, struct bh_buf *out)
{
    struct bh_chart c;
    size_t axis = axis_width(t);
    size_t left = indent + axis + 2;
    bh_draw_chart(t, bh_chart_width(t, columns, indent), 4, &c);
    for (size_t row = 0; row < c.row_count; row++) {
        struct bh_short mark = { "" };
        if (row == 0) {
            mark = bh_num(c.highest);
        } else if (row + 1 == c.row_count) {
            mark = bh_num(0);
        }
        blanks(out, indent + axis - strlen(mark.s));
        bh_buf_puts(out, p->color ? "\x1b[2m" : "");
        bh_buf_puts(out, mark.s);
        bh_buf_puts(out, p->color ? "\x1b[0m" : "");
        bh_buf_puts(out, "  ");
        bh_buf_puts(out, p->color ? "\x1b[36m" : "");
        bh_buf_puts(out, c.rows[row]);
        bh_buf_puts(out, p->color ? "\x1b[0m" : "");
        while (out->len > 0 && !p->color && out->data[out->len - 1] == ' ') {
            out->len--; /* no blanks at the end of a line */
        }
        bh_buf_putc(out, '\n');
    }
    put_dates(t, &c, left, out);
}
