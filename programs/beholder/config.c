/* SPDX-License-Identifier: BSD-2-Clause */
/* beholder check-config, config, outputs: what the sensor would do, without doing it. */
#include "beholder.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "bh_config.h"
#include "bh_modules.h"
#include "bh_store.h"
#include "beholder_check_config_command.h"
#include "beholder_config_command.h"
#include "beholder_outputs_command.h"

#define DEFAULT_CONFIG "/etc/beholder/beholder.conf"

/* The file that was named, else the installed one. */
static int
config_path(const struct bh_args *a, const char *command, const char **ret_path,
            struct bh_error *err)
{
    char *const *operands;
    const size_t count = bh_arg_operands(a, &operands);
    *ret_path = count > 0 ? operands[0] : DEFAULT_CONFIG;
    return count <= 1 ? 0
                      : bh_error_set(err, BH_EUSAGE, operands[1],
                                     "give one file; %s reads conf.d beside it by itself",
                                     "ファイルは 1 つです。隣の conf.d は %s が読みます", command);
}

static void
say_errors(const struct bh_config *c, enum bh_lang lang)
{
    char line[1200];
    for (size_t k = 0; k < bh_config_error_count(c); k++) {
        fprintf(stderr, "beholder: %s\n",
                bh_error_line(bh_config_error(c, k), lang, line, sizeof line));
    }
}

static void
say_summary(const struct bh_config *c, const char *path, enum bh_lang lang)
{
    printf(lang == BH_JA ? "%s: 正常です。インターフェース %s、出力 %zu:"
                         : "%s: good; interfaces %s, %zu outputs:",
           path, bh_config_text(c, BH_CONFIG_CAPTURE, "interface"), bh_config_output_count(c));
    for (size_t k = 0; k < bh_config_output_count(c); k++) {
        struct bh_config_output o;
        bh_config_output(c, k, &o);
        printf("%s %s (%s)", k > 0 ? "," : "", o.name, o.module->name);
    }
    putchar('\n');
}

static int
on_config(const struct bh_args *a, const char *command, bool print, enum bh_lang lang)
{
    struct bh_error err = { 0 };
    const char *path;
    if (config_path(a, command, &path, &err) != 0) {
        return program_fail(&err, lang);
    }
    struct bh_config *c = bh_config_new(bh_modules);
    if (c == NULL) {
        bh_error_errno(&err, 12, path, "cannot read", "読めません");
        return program_fail(&err, lang);
    }
    char *const *operands;
    /* Without a file of its own a sensor runs with defaults; one that was named must be there. */
    const bool absent = bh_arg_operands(a, &operands) == 0 && access(path, F_OK) != 0;
    int r = absent ? 0 : bh_config_read(c, path);
    if (r == 0 && !bh_config_given(c, BH_CONFIG_SITE, "log-dir")) {
        char dir[4096]; /* as the sensor would, and reports do */
        r = bh_config_set(c, "site", "log-dir", bh_store_default_dir(dir, sizeof dir), "default",
                          &err);
    }
    const int whole = bh_config_finish(c);
    r = r != 0 ? r : whole;
    say_errors(c, lang);
    if (r == 0 && !print) {
        if (bh_arg_given(a, "json")) {
            printf("{\"good\":true,\"outputs\":%zu}\n", bh_config_output_count(c));
        } else if (absent) {
            printf(lang == BH_JA ? "%s: ありません。センサーは既定値で動きます\n"
                                 : "%s: is not there; the sensor runs with defaults\n",
                   path);
        } else {
            say_summary(c, path, lang);
        }
    }
    if (r == 0 && print) {
        struct bh_buf out = { 0 };
        if (bh_arg_given(a, "json")) {
            bh_config_print_json(c, &out);
        } else {
            bh_config_print(c, bh_arg_given(a, "all"), lang, &out);
        }
        r = program_write(&out, &err);
        bh_buf_done(&out);
        if (r != 0) {
            program_fail(&err, lang);
        }
    }
    bh_config_free(c);
    return r == 0 ? program_end_stdout(lang) : 1;
}

/* ---- outputs ----------------------------------------------------------------------------------- */

static const char *const type_names[][BH_LANGS] = {
    [BH_SETTING_TEXT] = { "text", "文字列" },
    [BH_SETTING_UINT] = { "number", "数" },
    [BH_SETTING_BOOL] = { "yes|no", "yes|no" },
    [BH_SETTING_CHOICE] = { "", "" },
    [BH_SETTING_DURATION] = { "duration", "時間" },
    [BH_SETTING_SIZE] = { "size", "大きさ" },
    [BH_SETTING_DIR] = { "directory", "ディレクトリ" },
    [BH_SETTING_FILE_OUT] = { "file", "ファイル" },
    [BH_SETTING_FILE_IN] = { "file", "ファイル" },
    [BH_SETTING_SECRET] = { "file of a secret", "秘密のファイル" },
    [BH_SETTING_PEER] = { "host:port or socket", "ホスト:ポート かソケット" },
    [BH_SETTING_COMMAND] = { "program", "プログラム" },
    [BH_SETTING_LOOPBACK] = { "loopback address:port", "ループバックアドレス:ポート" },
};

static const char *
type_name(const struct bh_setting *s, enum bh_lang lang)
{
    return s->type == BH_SETTING_CHOICE ? s->choices : type_names[s->type][lang];
}

static void
list_modules(bool json, enum bh_lang lang)
{
    char **names;
    const size_t count = bh_module_names(&names);
    struct bh_buf out = { 0 };
    bool any = false;
    bh_buf_puts(&out, json ? "[" : "");
    for (size_t k = 0; k < count; k++) {
        const struct bh_output_module *m;
        struct bh_error err = { 0 };
        if (bh_module_load(names[k], &m, &err) != 0) {
            /* one that cannot be loaded is said; the others are still there */
            program_fail(&err, lang);
        } else if (json) {
            bh_buf_puts(&out, any ? ",{\"name\":" : "{\"name\":");
            bh_buf_put_json(&out, m->name, strlen(m->name));
            bh_buf_puts(&out, ",\"summary\":");
            bh_buf_put_json(&out, m->summary[lang], strlen(m->summary[lang]));
            bh_buf_putc(&out, '}');
            any = true;
        } else {
            bh_buf_printf(&out, "%-12s %s\n", m->name, m->summary[lang]);
        }
        free(names[k]);
    }
    free(names);
    bh_buf_puts(&out, json ? "]\n" : "");
    fwrite(out.data, 1, out.len, stdout);
    bh_buf_done(&out);
}

static void
json_module(const struct bh_output_module *m, enum bh_lang lang, struct bh_buf *out)
{
    bh_buf_puts(out, "{\"name\":");
    bh_buf_put_json(out, m->name, strlen(m->name));
    bh_buf_puts(out, ",\"summary\":");
    bh_buf_put_json(out, m->summary[lang], strlen(m->summary[lang]));
    bh_buf_puts(out, ",\"settings\":[");
    for (uint32_t k = 0; k < m->setting_count; k++) {
        const struct bh_setting *s = &m->settings[k];
        bh_buf_puts(out, k > 0 ? ",{\"name\":" : "{\"name\":");
        bh_buf_put_json(out, s->name, strlen(s->name));
        bh_buf_puts(out, ",\"type\":");
        bh_buf_put_json(out, type_name(s, BH_EN), strlen(type_name(s, BH_EN)));
        bh_buf_printf(out, ",\"required\":%s,\"default\":", s->required ? "true" : "false");
        if (s->default_text == NULL) {
            bh_buf_puts(out, "null");
        } else {
            bh_buf_put_json(out, s->default_text, strlen(s->default_text));
        }
        bh_buf_puts(out, ",\"text\":");
        bh_buf_put_json(out, s->text[lang], strlen(s->text[lang]));
        bh_buf_putc(out, '}');
    }
    bh_buf_puts(out, "]}\n");
}

static void
text_settings(const struct bh_setting *table, size_t count, enum bh_lang lang, struct bh_buf *out)
{
    for (size_t k = 0; k < count; k++) {
        const struct bh_setting *s = &table[k];
        bh_buf_printf(out, "%s = %s", s->name, type_name(s, lang));
        if (s->default_text != NULL && *s->default_text != '\0') {
            bh_buf_printf(out, lang == BH_JA ? "  (既定 %s)" : "  (default %s)", s->default_text);
        } else if (s->required) {
            bh_buf_puts(out, lang == BH_JA ? "  (必須)" : "  (required)");
        }
        bh_buf_printf(out, "\n    %s\n", s->text[lang]);
    }
}

static void
text_module(const struct bh_output_module *m, enum bh_lang lang, struct bh_buf *out)
{
    size_t count;
    const struct bh_setting *own = bh_config_keys(BH_CONFIG_OUTPUT, &count);
    bh_buf_printf(out, "%s - %s\n\n[output NAME]\nmodule = %s\n", m->name, m->summary[lang],
                  m->name);
    for (size_t k = 1; k < count; k++) { /* frames do not go to disk on their way */
        if ((m->needs & BH_OUTPUT_NEEDS_FRAMES) == 0 || strncmp(own[k].name, "spool", 5) != 0) {
            text_settings(&own[k], 1, lang, out);
        }
    }
    bh_buf_putc(out, '\n');
    text_settings(m->settings, m->setting_count, lang, out);
}

static int
on_outputs(const struct bh_args *a, const char *command, bool print, enum bh_lang lang)
{
    char *const *operands;
    const size_t words = bh_arg_operands(a, &operands);
    const bool json = bh_arg_given(a, "json");
    (void)command;
    (void)print;
    if (words == 0) {
        list_modules(json, lang);
        return program_end_stdout(lang);
    }
    struct bh_error err = { 0 };
    const struct bh_output_module *m = NULL;
    const int found = bh_module_load(operands[0], &m, &err);
    if (found != 0 && found != BH_EUNKNOWN && words == 1) {
        return program_fail(&err, lang); /* it is there and cannot be loaded */
    }
    if (m == NULL || words > 1) {
        char **names;
        const size_t count = bh_module_names(&names);
        const char *near = bh_nearest(operands[0], (const char *const *)names, count);
        bh_error_set(&err, BH_EUNKNOWN, words > 1 ? operands[1] : operands[0],
                     words > 1      ? "give one name%.0s"
                     : near != NULL ? "no such module; did you mean %s?"
                                    : "no such module; beholder outputs lists them%.0s",
                     words > 1 ? "名前は 1 つです%.0s"
                     : near != NULL
                         ? "そのモジュールはありません。%s のことですか?"
                         : "そのモジュールはありません。beholder outputs で一覧できます%.0s",
                     near);
        for (size_t k = 0; k < count; k++) {
            free(names[k]);
        }
        free(names);
        return program_fail(&err, lang);
    }
    struct bh_buf out = { 0 };
    (json ? json_module : text_module)(m, lang, &out);
    const int r = program_write(&out, &err);
    bh_buf_done(&out);
    return r == 0 ? program_end_stdout(lang) : program_fail(&err, lang);
}

/* ---- verbs ------------------------------------------------------------------------------------------ */

static int
verb(const struct bh_command *command, int argc, char **argv,
     int (*run)(const struct bh_args *a, const char *command, bool print, enum bh_lang lang),
     bool print)
{
    enum bh_lang lang = bh_lang_of_args(argc, argv);
    struct bh_error err = { 0 };
    struct bh_args *a = NULL;
    if (bh_args_parse(command, argc, argv, &a, &err) != 0) {
        return program_fail(&err, lang);
    }
    int code;
    if (bh_arg_given(a, "help")) {
        bh_command_help(command, lang, stdout);
        code = program_end_stdout(lang);
    } else {
        code = run(a, command->name, print, lang);
    }
    bh_args_free(a);
    return code;
}

int
verb_check_config(int argc, char **argv)
{
    return verb(&beholder_check_config_command, argc, argv, on_config, false);
}

int
verb_config(int argc, char **argv)
{
    return verb(&beholder_config_command, argc, argv, on_config, true);
}

int
verb_outputs(int argc, char **argv)
{
    return verb(&beholder_outputs_command, argc, argv, on_outputs, false);
}
