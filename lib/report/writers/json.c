/* SPDX-License-Identifier: BSD-2-Clause */
/* "beholder.report/1": the walk by keys, written down as it comes. RFC 8259. */
#include "bh_report_priv.h"

#include <inttypes.h>

#define DEPTH_MAX 16U

struct json {
    struct bh_walk walk;
    struct bh_buf *out;
    unsigned depth;
    bool filled[DEPTH_MAX]; /* something stands in the object or list of this depth */
};

static void
new_line(struct json *j)
{
    bh_buf_putc(j->out, '\n');
    for (unsigned i = 0; i < j->depth; i++) {
        bh_buf_puts(j->out, "  ");
    }
}

static void
before(struct json *j, const char *key)
{
    if (j->filled[j->depth]) {
        bh_buf_putc(j->out, ',');
    }
    j->filled[j->depth] = true;
    if (j->depth > 0) {
        new_line(j);
    }
    if (key != NULL) {
        bh_buf_put_json(j->out, key, strlen(key));
        bh_buf_puts(j->out, ": ");
    }
}

static void
json_begin(struct bh_walk *w, const char *key, enum bh_shape shape)
{
    struct json *j = (struct json *)w;
    before(j, key);
    bh_buf_putc(j->out, shape == BH_SHAPE_LIST ? '[' : '{');
    if (j->depth + 1 < DEPTH_MAX) {
        j->depth++;
    }
    j->filled[j->depth] = false;
}

static void
json_end(struct bh_walk *w, enum bh_shape shape)
{
    struct json *j = (struct json *)w;
    bool filled = j->filled[j->depth];
    j->depth--;
    if (filled) {
        new_line(j);
    }
    bh_buf_putc(j->out, shape == BH_SHAPE_LIST ? ']' : '}');
}

/* Locale-proof: printf may write a decimal comma. */
static void
put_real(struct bh_buf *out, double value)
{
    char text[40];
    if (value < 9e15 && value > -9e15 && value == (double)(int64_t)value) {
        bh_buf_printf(out, "%" PRId64, (int64_t)value);
        return;
    }
    snprintf(text, sizeof text, "%.9g", value);
    for (char *c = text; *c != '\0'; c++) {
        if (*c == ',') {
            *c = '.';
        }
    }
    bh_buf_puts(out, text);
}

static void
json_item(struct bh_walk *w, const char *key, const struct bh_item *item)
{
    struct json *j = (struct json *)w;
    before(j, key);
    switch (item->type) {
    case BH_ITEM_NULL:
        bh_buf_puts(j->out, "null");
        break;
    case BH_ITEM_BOOL:
        bh_buf_puts(j->out, item->number != 0 ? "true" : "false");
        break;
    case BH_ITEM_UINT:
        bh_buf_printf(j->out, "%" PRIu64, item->number);
        break;
    case BH_ITEM_MICRO:
        bh_buf_printf(j->out, "%" PRIu64 ".%06u", item->number / 1000000,
                      (unsigned)(item->number % 1000000));
        break;
    case BH_ITEM_REAL:
        put_real(j->out, item->real);
        break;
    case BH_ITEM_TEXT:
        bh_buf_put_json(j->out, item->text, item->text_len);
        break;
    }
}

void
bh_write_json(const struct bh_report *r, const struct bh_write_options *o, struct bh_buf *out)
{
    struct json j = {
        .walk = { .begin = json_begin, .end = json_end, .item = json_item, .lang = o->lang },
        .out = out,
    };
    bh_walk_trend(r, &j.walk);
    bh_buf_putc(out, '\n');
}
