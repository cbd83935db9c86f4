/* SPDX-License-Identifier: BSD-2-Clause */
/* beholder fields: the columns there are. */
#include "beholder.h"

#include <errno.h>

#include "beholder_fields_command.h"

static void
put_padded(struct bh_buf *out, const char *text, size_t width)
{
    bh_buf_puts(out, text);
    for (size_t n = bh_text_width(text); n < width; n++) {
        bh_buf_putc(out, ' ');
    }
}

static void
put_json(struct bh_buf *out)
{
    bh_buf_puts(out, "{\n  \"schema\": \"beholder.fields/1\",\n  \"fields\": [");
    for (size_t i = 0; i < bh_column_count(); i++) {
        const struct bh_column c = bh_column_at(i);
        bh_buf_printf(out, "%s\n    {\"id\": %u, \"name\": \"%s\", \"type\": \"%s\", \"unit\": ",
                      i > 0 ? "," : "", c.id, c.name, bh_type_name(c.type));
        bh_buf_put_json(out, c.unit, strlen(c.unit));
        bh_buf_puts(out, ", \"text\": {\"en\": ");
        bh_buf_put_json(out, c.text[BH_EN], strlen(c.text[BH_EN]));
        bh_buf_puts(out, ", \"ja\": ");
        bh_buf_put_json(out, c.text[BH_JA], strlen(c.text[BH_JA]));
        bh_buf_puts(out, "}}");
    }
    bh_buf_puts(out, "\n  ]\n}\n");
}

static void
put_text(struct bh_buf *out, enum bh_lang lang)
{
    static const char *const heads[BH_LANGS][4] = { { "id", "name", "type", "unit" },
                                                    { "番号", "名前", "型", "単位" } };
    put_padded(out, heads[lang][0], 5);
    put_padded(out, heads[lang][1], 16);
    put_padded(out, heads[lang][2], 9);
    put_padded(out, heads[lang][3], 9);
    bh_buf_puts(out, lang == BH_JA ? "意味\n" : "what it is\n");
    for (size_t i = 0; i < bh_column_count(); i++) {
        const struct bh_column c = bh_column_at(i);
        bh_buf_printf(out, "%4u ", c.id);
        put_padded(out, c.name, 16);
        put_padded(out, bh_type_name(c.type), 9);
        put_padded(out, c.unit, 9);
        bh_buf_puts(out, c.text[lang]);
        bh_buf_putc(out, '\n');
    }
}

int
verb_fields(int argc, char **argv)
{
    enum bh_lang lang = bh_lang_of_args(argc, argv);
    struct bh_error err = { 0 };
    struct bh_args *a = NULL;
    char *const *operands;
    if (bh_args_parse(&beholder_fields_command, argc, argv, &a, &err) != 0) {
        return program_fail(&err, lang);
    }
    int code = 0;
    struct bh_buf out = { 0 };
    if (bh_arg_given(a, "help")) {
        bh_command_help(&beholder_fields_command, lang, stdout);
        code = program_end_stdout(lang);
    } else if (bh_arg_given(a, "version")) {
        puts("beholder " BH_VERSION);
        code = program_end_stdout(lang);
    } else if (bh_arg_operands(a, &operands) > 0) {
        bh_error_set(&err, BH_EUSAGE, operands[0], "beholder fields takes no files%s",
                     "beholder fields にファイルは要りません%s", "");
        code = program_fail(&err, lang);
    } else {
        if (bh_arg_given(a, "json")) {
            put_json(&out);
        } else {
            put_text(&out, lang);
        }
        int r = program_write(&out, &err);
        code = r == 0 ? 0 : r == -EPIPE ? 1 : program_fail(&err, lang);
    }
    bh_buf_done(&out);
    bh_args_free(a);
    return code;
}
