/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The answer in its forms. A group is keys, labels of some of them (the name of a country), its count
 * and its share. For programs values are as `show` has them; for people times are short and weekdays
 * are words.
 */
#include "count_priv.h"

#include <inttypes.h>
#include <stdlib.h>

enum { ID_SRC_COUNTRY = 27, ID_DST_COUNTRY = 28, ID_COUNTRY = 41, ID_REGION = 43, ID_ASN = 45 };

struct writing {
    const struct bh_count *c;
    const struct bh_count_answer *a;
    struct bh_buf *out;
    const uint32_t *order;
    uint32_t shown;
    uint64_t shown_count;
    struct bh_clock clock;
    struct bh_buf cell; /* the text of one */
};

static bool
is_ja(const struct writing *w)
{
    return w->c->cfg.lang == BH_JA;
}

static const char *
what_word(const struct writing *w, bool for_people)
{
    static const char *const en[] = { "accesses", "sources", "packets", "bytes", "records" };
    static const char *const ja[] = { "アクセス", "送信元", "パケット", "バイト", "記録" };
    return for_people && is_ja(w) ? ja[w->c->cfg.what] : en[w->c->cfg.what];
}

/* part / whole in millionths, rounded half up. */
static uint64_t
micro_share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (uint64_t)(((bh_u128)part * 2000000 / whole + 1) / 2);
}

/* ---- cells ------------------------------------------------------------------------------------------------ */

static void
put_weekday(struct bh_buf *out, uint64_t day, bool ja, bool for_people)
{
    static const char *const en[] = { "monday", "tuesday",  "wednesday", "thursday",
                                      "friday", "saturday", "sunday" };
    static const char *const words[] = { "月", "火", "水", "木", "金", "土", "日" };
    bh_buf_puts(out, ja && for_people ? words[day % 7] : en[day % 7]);
}

static void
put_date(struct bh_buf *out, int64_t day)
{
    /* Of a day's number, not of a time: no zone. Days since 0000-03-01, when months count from March. */
    const int64_t z = day + 719468, era = (z >= 0 ? z : z - 146096) / 146097,
                  doe = z - era * 146097;
    const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365,
                  doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const int64_t mp = (5 * doy + 2) / 153, m = mp < 10 ? mp + 3 : mp - 9;
    bh_buf_printf(out, "%04" PRId64 "-%02" PRId64 "-%02" PRId64, yoe + era * 400 + (m <= 2), m,
                  doy - (153 * mp + 2) / 5 + 1);
}

static void
put_address(struct bh_buf *out, const struct cell *x, const struct bh_count_key *key)
{
    const struct bh_ip ip =
        x->tag == TAG_IP4 ? bh_ip_from_v4((uint32_t)x->lo) : bh_ip_from_v6(x->hi, x->lo);
    char text[BH_IP_TEXT_MAX];
    bh_ip_format(&ip, text);
    bh_buf_puts(out, text);
    if (key->cut == BH_CUT_PREFIX && (x->tag == TAG_IP4 ? key->bits <= 32 : key->bits > 32)) {
        bh_buf_printf(out, "/%u", key->bits);
    }
}

static void
put_time(struct writing *w, const struct cell *x, const struct bh_count_key *key, bool for_people)
{
    char text[BH_CLOCK_MAX];
    switch (key->cut) {
    case BH_CUT_HOUR:
        if (for_people) {
            bh_buf_puts(&w->cell, bh_zone_format_short((int64_t)x->lo * 1000000000, text));
        } else {
            bh_buf_add(
                &w->cell, text,
                (size_t)(bh_clock_put(&w->clock, text, (int64_t)x->lo * 1000000000, 0) - text));
        }
        break;
    case BH_CUT_DAY:
        put_date(&w->cell, (int64_t)x->lo);
        break;
    case BH_CUT_MONTH:
        bh_buf_printf(&w->cell, "%04" PRId64 "-%02" PRId64, (int64_t)x->lo / 12,
                      (int64_t)x->lo % 12 + 1);
        break;
    case BH_CUT_WEEKDAY:
        put_weekday(&w->cell, x->lo, is_ja(w), for_people);
        break;
    case BH_CUT_NONE:
    case BH_CUT_PREFIX: {
        const int64_t ts = (int64_t)x->lo;
        bh_buf_add(&w->cell, text,
                   (size_t)(bh_clock_put(&w->clock, text, ts, bh_clock_digits(ts)) - text));
    }
    }
}

/* Into w->cell; false when the group does not have it. */
static bool
make_cell(struct writing *w, size_t k, uint32_t g, bool for_people)
{
    const struct bh_count *c = w->c;
    const struct bh_count_key *key = &c->keys[k];
    const char *name;
    const struct cell cell = count_cell(c, g, k, &name), *x = &cell;
    char text[BH_VALUE_MAX];
    w->cell.len = 0;
    if (x->tag == TAG_ABSENT) {
        return false;
    }
    if (name != NULL) {
        bh_buf_put_safe(&w->cell, name, strlen(name));
    } else if (key->column.type == BH_TYPE_TIME) {
        put_time(w, x, key, for_people);
    } else if (key->column.type == BH_TYPE_ADDRESS) {
        put_address(&w->cell, x, key);
    } else {
        const struct bh_value v = { .number = x->lo };
        bh_buf_add(&w->cell, text,
                   (size_t)(bh_value_put(text, key->column.type, &v, &w->clock) - text));
    }
    return !w->cell.failed && w->cell.data != NULL;
}

/* What a key may be called beside its value; "" for a word to put after its name, NULL: it has no label. */
static bool
has_label(const struct writing *w, size_t k)
{
    const unsigned id = w->c->keys[k].column.id;
    return id == ID_COUNTRY || id == ID_SRC_COUNTRY || id == ID_DST_COUNTRY || id == ID_REGION ||
           id == ID_ASN;
}

static bool
make_label(struct writing *w, size_t k, uint32_t g)
{
    const struct bh_count *c = w->c;
    const char *code, *name = NULL;
    const struct cell cell = count_cell(c, g, k, &code), *x = &cell;
    const int lang = (int)c->cfg.lang;
    char text[256];
    w->cell.len = 0;
    if (x->tag == TAG_ABSENT) {
        return false;
    }
    if (c->keys[k].column.id == ID_ASN) {
        name = kobold_as_name(c->cfg.countries, (uint32_t)x->lo, text, sizeof text) ? text : NULL;
    } else if (code != NULL && c->keys[k].column.id == ID_REGION) {
        name = kobold_region_name(code, lang);
    } else if (code != NULL) {
        /* first: of "private-use" a country's name would be that of "pr" */
        name = kobold_class_name(code, lang);
        name = name != NULL ? name : kobold_country_name(code, lang);
    }
    if (name != NULL) {
        bh_buf_put_safe(&w->cell, name, strlen(name));
    }
    return name != NULL && !w->cell.failed && w->cell.data != NULL;
}

static void
label_name(const struct writing *w, size_t k, char *buf, size_t size)
{
    if (w->c->keys[k].column.id == ID_ASN) {
        snprintf(buf, size, "as_name");
    } else {
        snprintf(buf, size, "%s_name", w->c->keys[k].name);
    }
}

/* ---- JSON -------------------------------------------------------------------------------------------------- */

static void
put_key(struct writing *w, const char *key, bool first)
{
    bh_buf_puts(w->out, first ? "" : ", ");
    bh_buf_put_json(w->out, key, strlen(key));
    bh_buf_puts(w->out, ": ");
}

static bool
is_number(const struct bh_count_key *key)
{
    return (key->column.type == BH_TYPE_UINT || key->column.type == BH_TYPE_BOOL) &&
           key->cut == BH_CUT_NONE;
}

static void
put_share(struct bh_buf *out, uint64_t count, uint64_t total)
{
    const uint64_t micro = micro_share(count, total);
    bh_buf_printf(out, "%" PRIu64 ".%06" PRIu64, micro / 1000000, micro % 1000000);
}

static void
put_object(struct writing *w, uint32_t g)
{
    const struct bh_count *c = w->c;
    char name[48];
    bh_buf_putc(w->out, '{');
    for (size_t k = 0; k < c->cfg.key_count; k++) {
        put_key(w, c->keys[k].name, k == 0);
        if (!make_cell(w, k, g, false)) {
            bh_buf_puts(w->out, "null");
        } else if (is_number(&c->keys[k])) {
            bh_buf_add(w->out, w->cell.data, w->cell.len);
        } else {
            bh_buf_put_json(w->out, w->cell.data, w->cell.len);
        }
        if (has_label(w, k) && make_label(w, k, g)) {
            label_name(w, k, name, sizeof name);
            put_key(w, name, false);
            bh_buf_put_json(w->out, w->cell.data, w->cell.len);
        }
    }
    put_key(w, "count", false);
    bh_buf_printf(w->out, "%" PRIu64, c->counts[g]);
    put_key(w, "share", false);
    put_share(w->out, c->counts[g], c->total);
    bh_buf_putc(w->out, '}');
}

static void
put_text_member(struct writing *w, const char *key, const char *text)
{
    bh_buf_printf(w->out, "  \"%s\": ", key);
    if (text == NULL || text[0] == '\0') {
        bh_buf_puts(w->out, "null");
    } else {
        bh_buf_put_json(w->out, text, strlen(text));
    }
    bh_buf_puts(w->out, ",\n");
}

/* As asked, else from the first to the last that counted; INT64_MIN, INT64_MAX: nothing did. */
static void
period_of(const struct writing *w, int64_t *start, int64_t *end)
{
    const bool any = w->c->first_ns <= w->c->last_ns;
    *start = w->a->start_ns != INT64_MIN || !any ? w->a->start_ns : w->c->first_ns;
    *end = w->a->end_ns != INT64_MAX || !any ? w->a->end_ns : w->c->last_ns;
}

static void
put_time_member(struct writing *w, const char *name, int64_t ns)
{
    char text[BH_CLOCK_MAX];
    if (ns == INT64_MIN || ns == INT64_MAX) {
        bh_buf_printf(w->out, "\"%s\": null, ", name);
    } else {
        bh_buf_printf(w->out, "\"%s\": \"%s\", ", name, bh_zone_format(ns, text));
    }
}

static void
write_json(struct writing *w)
{
    const struct bh_count *c = w->c;
    int64_t start, end;
    period_of(w, &start, &end);
    bh_buf_puts(w->out, "{\n  \"schema\": \"beholder.count/1\",\n  \"by\": [");
    for (size_t k = 0; k < c->cfg.key_count; k++) {
        bh_buf_puts(w->out, k > 0 ? ", " : "");
        bh_buf_put_json(w->out, c->keys[k].name, strlen(c->keys[k].name));
    }
    bh_buf_printf(w->out, "],\n  \"count\": \"%s\",\n  \"period\": {", what_word(w, false));
    put_time_member(w, "start", start);
    put_time_member(w, "end", end);
    bh_buf_puts(w->out, "\"timezone\": ");
    bh_buf_put_json(w->out, w->a->zone, strlen(w->a->zone));
    bh_buf_puts(w->out, "},\n");
    put_text_member(w, "home", w->a->home);
    put_text_member(w, "filter", w->a->filter);
    bh_buf_puts(w->out, "  \"country_data\": {\"name\": ");
    bh_buf_put_json(w->out, w->a->data_name, strlen(w->a->data_name));
    bh_buf_puts(w->out, ", \"date\": ");
    bh_buf_put_json(w->out, w->a->data_date, strlen(w->a->data_date));
    bh_buf_printf(w->out,
                  "},\n  \"total\": %" PRIu64 ",\n  \"groups\": %" PRIu32
                  ",\n  \"approximate\": %s,\n  \"rows\": [",
                  c->total, c->group_count,
                  c->over_count > 0 || c->pairs_lost > 0 ? "true" : "false");
    for (uint32_t i = 0; i < w->shown; i++) {
        bh_buf_puts(w->out, i > 0 ? ",\n    " : "\n    ");
        put_object(w, w->order[i]);
    }
    bh_buf_puts(w->out, w->shown > 0 ? "\n  ],\n" : "],\n");
    const bool sums = c->cfg.what != BH_COUNTED_SOURCES;
    bh_buf_printf(w->out, "  \"others\": {\"groups\": %" PRIu32, c->group_count - w->shown);
    if (sums) { /* sources of several groups are not the sum of theirs */
        bh_buf_printf(w->out, ", \"count\": %" PRIu64, c->total - w->shown_count);
    }
    bh_buf_puts(w->out, "}\n}\n");
}

static void
write_ndjson(struct writing *w)
{
    for (uint32_t i = 0; i < w->shown; i++) {
        put_object(w, w->order[i]);
        bh_buf_putc(w->out, '\n');
    }
}

/* ---- CSV --------------------------------------------------------------------------------------------------- */

static void
write_csv(struct writing *w)
{
    const struct bh_count *c = w->c;
    char name[48];
    for (size_t k = 0; k < c->cfg.key_count; k++) {
        bh_buf_printf(w->out, "%s,", c->keys[k].name);
        if (has_label(w, k)) {
            label_name(w, k, name, sizeof name);
            bh_buf_printf(w->out, "%s,", name);
        }
    }
    bh_buf_printf(w->out, "%s,share\n", what_word(w, false));
    for (uint32_t i = 0; i < w->shown; i++) {
        const uint32_t g = w->order[i];
        for (size_t k = 0; k < c->cfg.key_count; k++) {
            if (make_cell(w, k, g, false)) {
                bh_csv_put(w->out, w->cell.data, w->cell.len);
            }
            bh_buf_putc(w->out, ',');
            if (has_label(w, k)) {
                if (make_label(w, k, g)) {
                    bh_csv_put(w->out, w->cell.data, w->cell.len);
                }
                bh_buf_putc(w->out, ',');
            }
        }
        bh_buf_printf(w->out, "%" PRIu64 ",", c->counts[g]);
        put_share(w->out, c->counts[g], c->total);
        bh_buf_putc(w->out, '\n');
    }
}

/* ---- for people ------------------------------------------------------------------------------------------------ */

/* 1234567 as "1,234,567" */
static void
put_grouped(struct bh_buf *out, uint64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    for (int i = 0; i < len; i++) {
        bh_buf_putc(out, digits[i]);
        if ((len - 1 - i) % 3 == 0 && i + 1 < len) {
            bh_buf_putc(out, ',');
        }
    }
}

/* What a key is headed with. */
static const char *
key_word(const struct writing *w, size_t k)
{
    static const struct {
        const char *name, *ja;
    } words[] = {
        { "country", "登録国" },   { "region", "地域" },    { "port", "ポート" },
        { "proto", "プロトコル" }, { "source", "送信元" },  { "hour", "時間帯" },
        { "day", "日" },           { "month", "月" },       { "weekday", "曜日" },
        { "sensor", "センサー" },  { "flags", "フラグ" },   { "outcome", "結末" },
        { "class", "判定" },       { "direction", "向き" }, { "destination", "宛先" },
    };
    for (size_t i = 0; is_ja(w) && i < BH_COUNT(words); i++) {
        if (strcmp(words[i].name, w->c->keys[k].name) == 0) {
            return words[i].ja;
        }
    }
    return w->c->keys[k].name;
}

static void
put_opening(struct writing *w, struct bh_buf *out)
{
    const struct bh_count *c = w->c;
    char from[40], to[40];
    int64_t start, end;
    period_of(w, &start, &end);
    put_grouped(out, c->total);
    bh_buf_printf(out, is_ja(w) ? " 件 (%s)、グループ " : " %s in ", what_word(w, true));
    put_grouped(out, c->group_count);
    bh_buf_puts(out, is_ja(w) ? " 個" : " groups");
    if (start != INT64_MIN && end != INT64_MAX) {
        bh_buf_printf(out, is_ja(w) ? "。%s から %s まで (%s)" : ", %s to %s (%s)",
                      bh_zone_format_short(start, from), bh_zone_format_short(end, to), w->a->zone);
    }
    if (w->a->filter != NULL && w->a->filter[0] != '\0') {
        bh_buf_puts(out, is_ja(w) ? "。フィルター: " : "; filter: ");
        bh_buf_put_safe(out, w->a->filter, strlen(w->a->filter));
    }
}

/* What the last N are, when not all are shown; nothing else is left out. */
static bool
put_rest(struct writing *w, struct bh_buf *out)
{
    const struct bh_count *c = w->c;
    if (w->shown == c->group_count && c->over_count == 0 && c->pairs_lost == 0) {
        return false;
    }
    if (w->shown < c->group_count) {
        bh_buf_puts(out, is_ja(w) ? "ほか " : "others: ");
        put_grouped(out, c->group_count - w->shown);
        bh_buf_puts(out, is_ja(w) ? " グループ" : " groups");
        if (c->cfg.what != BH_COUNTED_SOURCES) {
            bh_buf_puts(out, is_ja(w) ? "、" : ", ");
            put_grouped(out, c->total - w->shown_count);
        }
    }
    if (c->over_count > 0 || c->pairs_lost > 0) {
        bh_buf_puts(out, is_ja(w) ? " (上限に達したため正確ではありません)"
                                  : " (a bound was reached: not exact)");
    }
    return true;
}

static void
put_percent(struct bh_buf *out, uint64_t count, uint64_t total)
{
    const uint64_t tenths = (micro_share(count, total) + 500) / 1000;
    bh_buf_printf(out, "%" PRIu64 ".%" PRIu64 "%%", tenths / 10, tenths % 10);
}

static void
put_data(const struct writing *w, struct bh_buf *out)
{
    bh_buf_puts(out, is_ja(w) ? "国データ: " : "country data: ");
    bh_buf_put_safe(out, w->a->data_name, strlen(w->a->data_name));
    bh_buf_putc(out, ' ');
    bh_buf_put_safe(out, w->a->data_date, strlen(w->a->data_date));
}

/* A cell with its label behind it, "JP Japan". */
static void
make_shown(struct writing *w, size_t k, uint32_t g)
{
    struct bh_buf both = { 0 };
    if (make_cell(w, k, g, true)) {
        bh_buf_add(&both, w->cell.data, w->cell.len);
    } else {
        bh_buf_putc(&both, '-');
    }
    if (has_label(w, k) && make_label(w, k, g)) {
        bh_buf_putc(&both, ' ');
        bh_buf_add(&both, w->cell.data, w->cell.len);
    }
    bh_buf_done(&w->cell);
    w->cell = both;
}

#define WIDTH_MAX 60U

static void
put_cell(struct bh_buf *out, const char *text, size_t width, bool right)
{
    const size_t shown = bh_text_width(text);
    for (size_t n = shown; right && n < width; n++) {
        bh_buf_putc(out, ' ');
    }
    bh_buf_puts(out, text);
    for (size_t n = shown; !right && n < width; n++) {
        bh_buf_putc(out, ' ');
    }
}

static bool
is_right(const struct writing *w, size_t k)
{
    return w->c->keys[k].column.type == BH_TYPE_UINT && w->c->keys[k].column.id != ID_ASN;
}

static const char *
text_of(const struct bh_buf *b)
{
    return b->data == NULL || b->failed ? "" : b->data;
}

static void
write_text(struct writing *w)
{
    const struct bh_count *c = w->c;
    size_t width[BH_COUNT_KEYS], count_width = bh_text_width(what_word(w, true));
    struct bh_buf number = { 0 };
    for (size_t k = 0; k < c->cfg.key_count; k++) {
        width[k] = bh_text_width(key_word(w, k));
        for (uint32_t i = 0; i < w->shown; i++) {
            make_shown(w, k, w->order[i]);
            const size_t n = bh_text_width(text_of(&w->cell));
            width[k] = n > width[k] ? n : width[k];
        }
        width[k] = width[k] > WIDTH_MAX ? WIDTH_MAX : width[k];
    }
    for (uint32_t i = 0; i < w->shown; i++) {
        number.len = 0;
        put_grouped(&number, c->counts[w->order[i]]);
        count_width = number.len > count_width ? number.len : count_width;
    }
    put_opening(w, w->out);
    bh_buf_puts(w->out, "\n\n");
    for (size_t k = 0; k < c->cfg.key_count; k++) {
        put_cell(w->out, key_word(w, k), width[k], is_right(w, k));
        bh_buf_puts(w->out, "  ");
    }
    put_cell(w->out, what_word(w, true), count_width, true);
    bh_buf_puts(w->out, is_ja(w) ? "    割合\n" : "   share\n");
    for (uint32_t i = 0; i < w->shown; i++) {
        for (size_t k = 0; k < c->cfg.key_count; k++) {
            make_shown(w, k, w->order[i]);
            put_cell(w->out, text_of(&w->cell), width[k], is_right(w, k));
            bh_buf_puts(w->out, "  ");
        }
        number.len = 0;
        put_grouped(&number, c->counts[w->order[i]]);
        put_cell(w->out, text_of(&number), count_width, true);
        number.len = 0;
        put_percent(&number, c->counts[w->order[i]], c->total);
        put_cell(w->out, text_of(&number), 8, true);
        bh_buf_putc(w->out, '\n');
    }
    bh_buf_done(&number);
    bh_buf_putc(w->out, '\n');
    if (put_rest(w, w->out)) {
        bh_buf_putc(w->out, '\n');
    }
    put_data(w, w->out);
    bh_buf_putc(w->out, '\n');
}

/* ---- Markdown, HTML -------------------------------------------------------------------------------------------- */

static void
put_markdown(struct bh_buf *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if (strchr("\\`*_{}[]<>()#+!|~&", *p) != NULL) {
            bh_buf_putc(out, '\\');
        }
        bh_buf_putc(out, *p);
    }
}

static void
put_html(struct bh_buf *out, const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        switch (*p) {
        case '<':
            bh_buf_puts(out, "&lt;");
            break;
        case '>':
            bh_buf_puts(out, "&gt;");
            break;
        case '&':
            bh_buf_puts(out, "&amp;");
            break;
        case '"':
            bh_buf_puts(out, "&quot;");
            break;
        default:
            bh_buf_putc(out, *p);
        }
    }
}

static void
put_row(struct writing *w, uint32_t g, bool html)
{
    const struct bh_count *c = w->c;
    void (*put)(struct bh_buf *, const char *) = html ? put_html : put_markdown;
    bh_buf_puts(w->out, html ? "<tr>" : "|");
    for (size_t k = 0; k < c->cfg.key_count; k++) {
        make_shown(w, k, g);
        bh_buf_puts(w->out, html ? is_right(w, k) ? "<td class=\"n\">" : "<td>" : " ");
        put(w->out, text_of(&w->cell));
        bh_buf_puts(w->out, html ? "</td>" : " |");
    }
    bh_buf_puts(w->out, html ? "<td class=\"n\">" : " ");
    put_grouped(w->out, c->counts[g]);
    bh_buf_puts(w->out, html ? "</td><td class=\"n\">" : " | ");
    put_percent(w->out, c->counts[g], c->total);
    bh_buf_puts(w->out, html ? "</td></tr>\n" : " |\n");
}

static void
write_page(struct writing *w)
{
    const bool html = w->a->form == BH_COUNT_HTML;
    const struct bh_count *c = w->c;
    struct bh_buf text = { 0 };
    void (*put)(struct bh_buf *, const char *) = html ? put_html : put_markdown;
    if (html) {
        bh_buf_printf(
            w->out,
            "<!DOCTYPE html>\n<html lang=\"%s\"><head><meta charset=\"utf-8\">"
            "<meta name=\"viewport\" content=\"width=device-width\"><title>beholder count</title>\n"
            "<style>body{font:16px/1.5 sans-serif;margin:1em auto;max-width:60em;padding:0 1em}"
            "table{border-collapse:collapse}th,td{padding:.1em .7em;border-bottom:1px solid #ccc;text-align:left}"
            ".n{text-align:right;font-variant-numeric:tabular-nums}</style></head><body>\n<p>",
            is_ja(w) ? "ja" : "en");
    }
    put_opening(w, &text);
    put(w->out, text_of(&text));
    bh_buf_puts(w->out, html ? "</p>\n<table><thead><tr>" : "\n\n|");
    for (size_t k = 0; k < c->cfg.key_count; k++) {
        bh_buf_puts(w->out, html ? is_right(w, k) ? "<th class=\"n\">" : "<th>" : " ");
        put(w->out, key_word(w, k));
        bh_buf_puts(w->out, html ? "</th>" : " |");
    }
    bh_buf_printf(w->out,
                  html ? "<th class=\"n\">%s</th><th class=\"n\">%s</th></tr></thead><tbody>\n"
                       : " %s | %s |\n|",
                  what_word(w, true), is_ja(w) ? "割合" : "share");
    for (size_t k = 0; !html && k < c->cfg.key_count; k++) {
        bh_buf_puts(w->out, is_right(w, k) ? " --: |" : " --- |");
    }
    bh_buf_puts(w->out, html ? "" : " --: | --: |\n");
    for (uint32_t i = 0; i < w->shown; i++) {
        put_row(w, w->order[i], html);
    }
    bh_buf_puts(w->out, html ? "</tbody></table>\n<p>" : "\n");
    text.len = 0;
    if (put_rest(w, &text)) {
        put(w->out, text_of(&text));
        bh_buf_puts(w->out, html ? "<br>\n" : "\n\n");
    }
    text.len = 0;
    put_data(w, &text);
    put(w->out, text_of(&text));
    bh_buf_puts(w->out, html ? "</p>\n</body></html>\n" : "\n");
    bh_buf_done(&text);
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

void
bh_count_write(struct bh_count *c, const struct bh_count_answer *a, struct bh_buf *out)
{
    static void (*const writers[])(struct writing *) = {
        [BH_COUNT_TEXT] = write_text,     [BH_COUNT_JSON] = write_json,
        [BH_COUNT_NDJSON] = write_ndjson, [BH_COUNT_CSV] = write_csv,
        [BH_COUNT_MARKDOWN] = write_page, [BH_COUNT_HTML] = write_page,
    };
    const uint32_t shown =
        a->top != 0 && a->top < c->group_count ? (uint32_t)a->top : c->group_count;
    uint32_t *order = count_order(c, a->by_key, shown);
    struct writing w = { .c = c, .a = a, .out = out, .order = order, .shown = shown };
    if (order == NULL) {
        out->failed = true;
        return;
    }
    bh_clock_init(&w.clock);
    for (uint32_t i = 0; i < w.shown; i++) {
        w.shown_count += c->counts[order[i]];
    }
    writers[a->form](&w);
    bh_buf_done(&w.cell);
    free(order);
}
