/* SPDX-License-Identifier: BSD-2-Clause */
/* What a module is and which settings it has, out of its table: for `beholder outputs` and the manual. */
#include "bh_output_host.h"

#include <inttypes.h>

static const char *const argument_names[] = {
    [BH_SETTING_TEXT] = "TEXT",
    [BH_SETTING_UINT] = "NUMBER",
    [BH_SETTING_BOOL] = "yes|no",
    [BH_SETTING_CHOICE] = "",
    [BH_SETTING_DURATION] = "DURATION",
    [BH_SETTING_SIZE] = "SIZE",
    [BH_SETTING_DIR] = "DIRECTORY",
    [BH_SETTING_FILE_OUT] = "FILE",
    [BH_SETTING_FILE_IN] = "FILE",
    [BH_SETTING_SECRET] = "FILE",
    [BH_SETTING_PEER] = "PEER",
    [BH_SETTING_COMMAND] = "COMMAND",
    [BH_SETTING_LOOPBACK] = "ADDRESS:PORT",
};

const char *
bh_setting_argument(const struct bh_setting *s)
{
    return s->type == BH_SETTING_CHOICE ? s->choices : argument_names[s->type];
}

/* A bound as a person writes it: the largest unit that divides it. */
static void
put_number(struct bh_buf *to, enum bh_setting_type type, uint64_t n)
{
    static const struct {
        const char *name;
        uint64_t factor;
    } durations[] = { { "d", 86400000000000 }, { "h", 3600000000000 }, { "m", 60000000000 },
                      { "s", 1000000000 },     { "ms", 1000000 },      { "us", 1000 } },
      sizes[] = {
          { "T", 1ULL << 40 }, { "G", 1ULL << 30 }, { "M", 1ULL << 20 }, { "k", 1ULL << 10 }
      };
    const bool is_size = type == BH_SETTING_SIZE, is_time = type == BH_SETTING_DURATION;
    const size_t count = is_size ? BH_COUNT(sizes) : is_time ? BH_COUNT(durations) : 0;
    for (size_t k = 0; k < count && n > 0; k++) {
        const uint64_t factor = is_size ? sizes[k].factor : durations[k].factor;
        if (n % factor == 0) {
            bh_buf_printf(to, "%" PRIu64 "%s", n / factor,
                          is_size ? sizes[k].name : durations[k].name);
            return;
        }
    }
    bh_buf_printf(to, "%" PRIu64 "%s", n, is_time && n > 0 ? "ns" : "");
}

/* "; at least 1s, at most 1h; default 1m". */
static void
put_facts(struct bh_buf *to, const struct bh_setting *s, enum bh_lang lang)
{
    const bool ja = lang == BH_JA;
    const char *before = ja ? " (" : " (", *between = ja ? "、" : ", ";
    const bool ranged =
        s->type == BH_SETTING_UINT || s->type == BH_SETTING_SIZE || s->type == BH_SETTING_DURATION;
    bool any = false;
    if (s->required) {
        bh_buf_printf(to, "%s%s", before, ja ? "必須" : "required");
        any = true;
    }
    if (s->default_text != NULL && s->default_text[0] != '\0') {
        bh_buf_printf(to, "%s%s %s", any ? between : before, ja ? "既定" : "default",
                      s->default_text);
        any = true;
    }
    if (ranged && s->least > 0) {
        bh_buf_puts(to, any ? between : before);
        bh_buf_puts(to, ja ? "" : "at least ");
        put_number(to, s->type, s->least);
        bh_buf_puts(to, ja ? " 以上" : "");
        any = true;
    }
    if (ranged && s->most > 0) {
        bh_buf_puts(to, any ? between : before);
        bh_buf_puts(to, ja ? "" : "at most ");
        put_number(to, s->type, s->most);
        bh_buf_puts(to, ja ? " 以下" : "");
        any = true;
    }
    bh_buf_puts(to, any ? ")" : "");
}

static void
put_text(struct bh_buf *to, const struct bh_setting *s, enum bh_lang lang)
{
    bh_buf_puts(to, s->text[lang]);
    put_facts(to, s, lang);
}

/* scdoc: what it would read as its own marks is escaped. */
static void
put_scdoc(struct bh_buf *to, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("*_\\", *text) != NULL) {
            bh_buf_putc(to, '\\');
        }
        bh_buf_putc(to, *text);
    }
}

static void
describe_man(const struct bh_output_module *m, enum bh_lang lang, struct bh_buf *to)
{
    for (uint32_t k = 0; k < m->setting_count; k++) {
        const struct bh_setting *s = &m->settings[k];
        struct bh_buf text = { 0 };
        bh_buf_printf(to, "*%s* = _", s->name);
        put_scdoc(to, bh_setting_argument(s));
        bh_buf_puts(to, "_\n\t");
        put_text(&text, s, lang);
        put_scdoc(to, text.data != NULL ? text.data : "");
        bh_buf_puts(to, "\n\n");
        bh_buf_done(&text);
    }
}

/* Words, broken at `width` columns; between Japanese characters where they fall. */
static void
put_wrapped(struct bh_buf *to, const char *text, size_t indent, size_t width)
{
    size_t column = indent;
    while (*text != '\0') {
        size_t n = 0;
        while (text[n] != '\0' && text[n] != ' ' && (n == 0 || ((uint8_t)text[n] & 0x80) == 0)) {
            n++;
            while (((uint8_t)text[n] & 0xc0) == 0x80) {
                n++;
            }
            if (((uint8_t)text[0] & 0x80) != 0) {
                break; /* one character is a word */
            }
        }
        char word[256];
        snprintf(word, sizeof word, "%.*s", (int)(n < 255 ? n : 255), text);
        const size_t w = bh_text_width(word);
        if (column + w > width && column > indent) {
            while (to->len > 0 && to->data[to->len - 1] == ' ') {
                to->len--;
            }
            bh_buf_printf(to, "\n%*s", (int)indent, "");
            column = indent;
        }
        bh_buf_add(to, text, n);
        column += w;
        text += n;
        if (*text == ' ') {
            bh_buf_putc(to, ' ');
            column++;
            text++;
        }
    }
}

static void
describe_text(const struct bh_output_module *m, enum bh_lang lang, struct bh_buf *to)
{
    bh_buf_printf(to, "%s: %s\n\n", m->name, m->summary[lang]);
    for (uint32_t k = 0; k < m->setting_count; k++) {
        const struct bh_setting *s = &m->settings[k];
        struct bh_buf head = { 0 }, text = { 0 };
        bh_buf_printf(&head, "  %s = %s", s->name, bh_setting_argument(s));
        bh_buf_add(to, head.data, head.len);
        if (head.len > 26) {
            bh_buf_printf(to, "\n%28s", "");
        } else {
            bh_buf_printf(to, "%*s", (int)(28 - head.len), "");
        }
        put_text(&text, s, lang);
        put_wrapped(to, text.data != NULL ? text.data : "", 28, 100);
        bh_buf_putc(to, '\n');
        bh_buf_done(&head);
        bh_buf_done(&text);
    }
}

static void
put_json(struct bh_buf *to, const char *key, const char *text)
{
    bh_buf_printf(to, ",\"%s\":", key);
    if (text == NULL) {
        bh_buf_puts(to, "null");
    } else {
        bh_buf_put_json(to, text, strlen(text));
    }
}

static void
describe_json(const struct bh_output_module *m, enum bh_lang lang, struct bh_buf *to)
{
    bh_buf_puts(to, "{\"module\":");
    bh_buf_put_json(to, m->name, strlen(m->name));
    put_json(to, "summary", m->summary[lang]);
    bh_buf_puts(to, ",\"settings\":[");
    for (uint32_t k = 0; k < m->setting_count; k++) {
        const struct bh_setting *s = &m->settings[k];
        bh_buf_puts(to, k > 0 ? ",{\"name\":" : "{\"name\":");
        bh_buf_put_json(to, s->name, strlen(s->name));
        put_json(to, "argument", bh_setting_argument(s));
        put_json(to, "default", s->default_text);
        bh_buf_printf(to, ",\"required\":%s,\"least\":%" PRIu64 ",\"most\":%" PRIu64,
                      s->required ? "true" : "false", s->least, s->most);
        put_json(to, "text", s->text[lang]);
        bh_buf_putc(to, '}');
    }
    bh_buf_puts(to, "]}\n");
}

void
bh_output_describe(const struct bh_output_module *m, enum bh_describe_form form, enum bh_lang lang,
                   struct bh_buf *to)
{
    if (form == BH_DESCRIBE_MAN) {
        describe_man(m, lang, to);
    } else if (form == BH_DESCRIBE_JSON) {
        describe_json(m, lang, to);
    } else {
        describe_text(m, lang, to);
    }
}
