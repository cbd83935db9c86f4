/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold - make and examine country databases: compile, verify, info, explain.
 */
#include "cc_common.h"
#include "kobold_command.h"
#include "kobold_compile_command.h"
#include "kobold_explain_command.h"
#include "kobold_diff_command.h"
#include "kobold_export_command.h"
#include "kobold_info_command.h"
#include "kobold_networks_command.h"
#include "kobold_update_command.h"
#include "kobold_verify_command.h"
#include "layers.h"
#include "verbs.h"

/* ---- verify, info ------------------------------------------------------------------------ */

/* The only operand, or NULL for the default database; false and a complaint for more. */
static bool
one_operand(const struct cc_program *p, const char **ret)
{
    char *const *operands;
    size_t count = bh_arg_operands(p->args, &operands);
    if (count > 1) {
        cc_complain_text(p, CC_USAGE, "one FILE at most", "ファイルは1つまでです");
        return false;
    }
    *ret = count == 1 ? operands[0] : NULL;
    return true;
}

static int
run_verify(struct cc_program *p)
{
    const char *path;
    char buf[4096];
    if (!one_operand(p, &path)) {
        return CC_USAGE;
    }
    if (path == NULL) {
        path = kobold_default_path(buf, sizeof buf);
    }
    kobold *k = cc_open(p, path);
    if (k == NULL) {
        return CC_FAILED;
    }
    int r = kobold_verify(k);
    kobold_close(k);
    if (r < 0) {
        return cc_complain_database(p, path, r);
    }
    puts(p->lang == BH_JA ? "壊れていません" : "undamaged");
    return cc_end_stdout(p);
}

static void
put_field(struct bh_buf *out, const char *key, const char *text)
{
    bh_buf_printf(out, ",\"%s\":", key);
    bh_buf_put_json(out, text, strlen(text));
}

static int
run_info(struct cc_program *p)
{
    static const char *const words[BH_LANGS][8] = {
        { "file", "name", "date", "licence", "source", "id", "ranges", "values" },
        { "ファイル", "名前", "日付", "ライセンス", "出所", "識別番号", "範囲", "値" },
    };
    const char *path;
    char buf[4096];
    if (!one_operand(p, &path)) {
        return CC_USAGE;
    }
    if (path == NULL) {
        path = kobold_default_path(buf, sizeof buf);
    }
    kobold *k = cc_open(p, path);
    if (k == NULL) {
        return CC_FAILED;
    }
    struct kobold_meta m;
    struct bh_buf out = { 0 };
    kobold_get_meta(k, &m);
    if (bh_arg_given(p->args, "json")) {
        bh_buf_puts(&out, "{\"file\":");
        bh_buf_put_json(&out, path, strlen(path));
        put_field(&out, "name", m.name);
        put_field(&out, "date", m.date);
        put_field(&out, "licence", m.licence);
        put_field(&out, "source", m.source);
        bh_buf_printf(&out, ",\"id\":\"%016llx\",\"v4_ranges\":%u,\"v6_ranges\":%u,\"values\":%u",
                      (unsigned long long)m.id, m.v4_ranges, m.v6_ranges, m.values);
        layers_json(k, &out);
        bh_buf_puts(&out, "}\n");
    } else {
        const char *texts[] = { path, m.name, m.date, m.licence, m.source };
        for (size_t i = 0; i < BH_COUNT(texts); i++) {
            const char *word = words[p->lang][i];
            bh_buf_printf(&out, "%s:%*s", word, (int)(12 - bh_text_width(word)), "");
            bh_buf_put_safe(&out, texts[i], strlen(texts[i]));
            bh_buf_putc(&out, '\n');
        }
        bh_buf_printf(&out, "%s:%*s%016llx\n", words[p->lang][5],
                      (int)(12 - bh_text_width(words[p->lang][5])), "", (unsigned long long)m.id);
        bh_buf_printf(&out, "%s:%*sIPv4 %u, IPv6 %u\n", words[p->lang][6],
                      (int)(12 - bh_text_width(words[p->lang][6])), "", m.v4_ranges, m.v6_ranges);
        bh_buf_printf(&out, "%s:%*s%u\n", words[p->lang][7],
                      (int)(12 - bh_text_width(words[p->lang][7])), "", m.values);
        layers_text(p, k, &out);
    }
    kobold_close(k);
    int status = cc_flush(p, &out);
    bh_buf_done(&out);
    return status;
}

/* ---- verbs ------------------------------------------------------------------------------------------ */

static const struct verb {
    const char *name;
    const struct bh_command *command;
    int (*run)(struct cc_program *p);
} verbs[] = {
    { "compile", &kobold_compile_command, verb_compile },
    { "verify", &kobold_verify_command, run_verify },
    { "info", &kobold_info_command, run_info },
    { "explain", &kobold_explain_command, verb_explain },
    { "networks", &kobold_networks_command, verb_networks },
    { "export", &kobold_export_command, verb_export },
    { "diff", &kobold_diff_command, verb_diff },
    { "update", &kobold_update_command, verb_update },
};

static int
unknown_verb(const struct cc_program *p, const char *word)
{
    const char *names[BH_COUNT(verbs)];
    for (size_t i = 0; i < BH_COUNT(verbs); i++) {
        names[i] = verbs[i].name;
    }
    struct bh_error err;
    const char *near = bh_nearest(word, names, BH_COUNT(names));
    if (near != NULL) {
        bh_error_set(&err, BH_EUSAGE, word, "no such verb; did you mean %s?",
                     "そのような動詞はありません。%s のことですか", near);
    } else {
        bh_error_set(&err, BH_EUSAGE, word, "no such verb; see kobold --help%s",
                     "そのような動詞はありません。kobold --help を見てください%s", "");
    }
    return cc_complain(p, CC_USAGE, &err);
}

int
kobold_run_verb(int argc, char **argv)
{
    struct cc_program p = { .args = NULL };
    int status = -1;
    for (size_t i = 0; argc > 0 && i < BH_COUNT(verbs); i++) {
        if (strcmp(argv[0], verbs[i].name) == 0) {
            status = cc_start(&p, verbs[i].command, argc, argv);
            if (status < 0) {
                status = verbs[i].run(&p);
            }
            break;
        }
    }
    cc_done(&p);
    return status;
}

int
main(int argc, char **argv)
{
    struct cc_program p;
    int status = argc > 1 ? kobold_run_verb(argc - 1, argv + 1) : -1;
    if (status >= 0) {
        return status;
    }
    p = (struct cc_program){ .command = &kobold_command, .lang = bh_lang_of_args(argc, argv) };
    if (argc > 1 && argv[1][0] != '-') {
        status = unknown_verb(&p, argv[1]);
        goto out;
    }
    status = cc_start(&p, &kobold_command, argc, argv);
    char *const *operands;
    if (status < 0 && bh_arg_operands(p.args, &operands) > 0) {
        status = cc_complain_text(&p, CC_USAGE, "write the verb first: kobold VERB [OPTION]...",
                                  "動詞を先に書いてください: kobold 動詞 [オプション]...");
    } else if (status < 0) {
        bh_command_help(&kobold_command, p.lang, stderr);
        status = CC_USAGE;
    }
out:
    cc_done(&p);
    return status;
}
