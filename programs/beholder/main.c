/* SPDX-License-Identifier: BSD-2-Clause */
/* beholder: the verbs, and how the program speaks. */
#include "beholder.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "beholder_command.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} verbs[] = {
    { "report", verb_report },
    { "import", verb_import },
    { "show", verb_show },
    { "count", verb_count },
    { "export", verb_export },
    { "feed", verb_feed },
    { "fields", verb_fields },
    { "log", verb_log },
#ifdef BH_WITH_SENSOR
    { "capture", verb_capture },
    { "status", verb_status },
#endif
#ifdef BH_WITH_CONFIG
    { "check-config", verb_check_config },
    { "config", verb_config },
    { "outputs", verb_outputs },
    { "interfaces", verb_interfaces },
    { "doctor", verb_doctor },
#endif
};

int
program_fail(const struct bh_error *err, enum bh_lang lang)
{
    char line[1200];
    fflush(stdout);
    fprintf(stderr, "beholder: %s\n", bh_error_line(err, lang, line, sizeof line));
    return err->code == BH_EUSAGE || err->code == BH_EUNKNOWN ? 2 : 1;
}

int
program_write(const struct bh_buf *out, struct bh_error *err)
{
    if (out->failed) {
        return bh_error_errno(err, ENOMEM, "stdout", "cannot write", "書けません");
    }
    for (size_t at = 0; at < out->len;) {
        ssize_t n = write(STDOUT_FILENO, out->data + at, out->len - at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return bh_error_errno(err, errno, "stdout", "cannot write the report",
                                  "レポートを書けません");
        }
        at += (size_t)n;
    }
    return 0;
}

int
program_end_stdout(enum bh_lang lang)
{
    struct bh_error err = { 0 };
    int r = bh_stdout_flush(&err);
    return r == 0 ? 0 : r == -EPIPE ? 1 : program_fail(&err, lang);
}

int
main(int argc, char **argv)
{
    bh_heap_in_huge_pages();
    enum bh_lang lang = bh_lang_of_args(argc, argv);
    bh_standard_files();
    signal(SIGPIPE, SIG_IGN); /* a reader that left is a write error, said by nobody: see verbs */
    const char *names[BH_COUNT(verbs)];
    for (size_t i = 0; i < BH_COUNT(verbs); i++) {
        names[i] = verbs[i].name;
        if (argc > 1 && strcmp(argv[1], verbs[i].name) == 0) {
            return verbs[i].run(argc - 1, argv + 1);
        }
    }
    struct bh_args *args = NULL;
    struct bh_error err = { 0 };
    if (argc > 1 && argv[1][0] != '-') {
        const char *near = bh_nearest(argv[1], names, BH_COUNT(names));
        bh_error_set(&err, BH_EUSAGE, argv[1],
                     near != NULL ? "no such verb; did you mean %s?"
                                  : "no such verb; %s is one: try beholder --help",
                     near != NULL ? "その動詞はありません。%s のことですか?"
                                  : "その動詞はありません (例: %s)。beholder --help をご覧ください",
                     near != NULL ? near : names[0]);
        return program_fail(&err, lang);
    }
    if (bh_args_parse(&beholder_command, argc, argv, &args, &err) != 0) {
        return program_fail(&err, lang);
    }
    char *const *operands;
    int code = 0;
    if (bh_arg_given(args, "version")) {
        puts("beholder " BH_VERSION);
        code = program_end_stdout(lang);
    } else if (bh_arg_given(args, "help")) {
        bh_command_help(&beholder_command, lang, stdout);
        code = program_end_stdout(lang);
    } else if (bh_arg_operands(args, &operands) > 0) {
        bh_error_set(&err, BH_EUSAGE, operands[0],
                     "write the verb first: beholder VERB [OPTION]...%s",
                     "動詞を先に書いてください: beholder 動詞 [オプション]...%s", "");
        code = program_fail(&err, lang);
    } else if (program_last_day(lang, &code)) {
        fputs(lang == BH_JA ? "詳しくは: beholder report\n" : "All of it: beholder report\n",
              stderr);
    } else {
        bh_command_help(&beholder_command, lang, stderr);
        code = 2;
    }
    bh_args_free(args);
    return code;
}
