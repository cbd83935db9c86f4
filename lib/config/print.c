/* SPDX-License-Identifier: BSD-2-Clause */
/* A configuration in effect, as a file that reads the same, and as JSON. */
#include "config_priv.h"

static void
put_from(const struct entry *e, enum bh_lang lang, struct bh_buf *out)
{
    if (e == NULL) {
        bh_buf_puts(out, lang == BH_JA ? "  ; 既定値" : "  ; default");
    } else if (e->line != 0) {
        bh_buf_printf(out, "  ; %s:%u", e->from, e->line);
    } else {
        bh_buf_printf(out, "  ; %s", e->from);
    }
}

/* inih reads lines of 198 octets; longer values go on in the next one, at a blank. */
static void
put_value(const char *key, const char *value, struct bh_buf *out)
{
    bh_buf_printf(out, "%s = ", key);
    for (const char *rest = value;;) {
        size_t n = strlen(rest);
        if (n > 90) {
            n = 90;
            while (n > 0 && rest[n] != ' ') {
                n--;
            }
            n = n == 0 ? strlen(rest) : n;
        }
        bh_buf_add(out, rest, n);
        rest += n;
        if (*rest == '\0') {
            return;
        }
        bh_buf_puts(out, "\n    ");
        rest++;
    }
}

static void
put_table(const struct section *s, const struct bh_setting *table, size_t count, bool all,
          enum bh_lang lang, struct bh_buf *out)
{
    for (size_t k = 0; k < count; k++) {
        const struct entry *e = section_find(s, table[k].name);
        const char *value = e != NULL ? e->value : table[k].default_text;
        if (e == NULL) { /* what finish() added */
            for (size_t i = 0; i < s->setting_count; i++) {
                value =
                    strcmp(s->settings[i].name, table[k].name) == 0 ? s->settings[i].value : value;
            }
        }
        if (e != NULL || (all && value != NULL && *value != '\0')) {
            put_value(table[k].name, value, out);
            put_from(e, lang, out);
            bh_buf_putc(out, '\n');
        }
    }
}

void
bh_config_print(const struct bh_config *c, bool all, enum bh_lang lang, struct bh_buf *out)
{
    for (size_t k = 0; k < c->count; k++) {
        const struct section *s = &c->sections[k];
        size_t count;
        const struct bh_setting *table = bh_config_keys(s->kind, &count);
        bh_buf_printf(out, "%s[%s%s%s]\n", k > 0 ? "\n" : "", section_names[s->kind],
                      *s->name != '\0' ? " " : "", s->name);
        put_table(s, table, count, all, lang, out);
        if (s->module != NULL) {
            put_table(s, s->module->settings, s->module->setting_count, all, lang, out);
        }
    }
}

static void
json_table(const struct section *s, const struct bh_setting *table, size_t count, bool *first,
           struct bh_buf *out)
{
    for (size_t k = 0; k < count; k++) {
        const struct entry *e = section_find(s, table[k].name);
        const char *value = e != NULL ? e->value : table[k].default_text;
        if (value != NULL) {
            bh_buf_puts(out, *first ? "" : ",");
            *first = false;
            bh_buf_put_json(out, table[k].name, strlen(table[k].name));
            bh_buf_puts(out, ":{\"value\":");
            bh_buf_put_json(out, value, strlen(value));
            bh_buf_puts(out, ",\"from\":");
            if (e == NULL) {
                bh_buf_puts(out, "null");
            } else {
                bh_buf_put_json(out, e->from, strlen(e->from));
            }
            if (e != NULL && e->line != 0) {
                bh_buf_printf(out, ",\"line\":%u", e->line);
            }
            bh_buf_putc(out, '}');
        }
    }
}

void
bh_config_print_json(const struct bh_config *c, struct bh_buf *out)
{
    bh_buf_putc(out, '{');
    for (size_t k = 0; k < c->count; k++) {
        const struct section *s = &c->sections[k];
        size_t count;
        bool first = true;
        const struct bh_setting *table = bh_config_keys(s->kind, &count);
        if (k == BH_CONFIG_OUTPUT) {
            bh_buf_puts(out, ",\"outputs\":{");
        } else if (k > 0) {
            bh_buf_putc(out, ',');
        }
        const char *title = k < BH_CONFIG_OUTPUT ? section_names[s->kind] : s->name;
        bh_buf_put_json(out, title, strlen(title));
        bh_buf_puts(out, ":{");
        json_table(s, table, count, &first, out);
        if (s->module != NULL) {
            json_table(s, s->module->settings, s->module->setting_count, &first, out);
        }
        bh_buf_putc(out, '}');
    }
    bh_buf_puts(out, c->count > 2 ? "}}\n" : "}\n");
}
