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
};

enum bh_lang
program_lang(int argc, char **argv)
{
    enum bh_lang lang = bh_lang_from_env();
    for (int i = 1; i < argc; i++) {
        const char *value = NULL;
        if (strncmp(argv[i], "--lang=", 7) == 0) {
            value = argv[i] + 7;
        } else if (strcmp(argv[i], "--lang") == 0 && i + 1 < argc) {
            value = argv[i + 1];
        }
        if (value != NULL) {
            lang = strcmp(value, "ja") == 0 ? BH_JA : BH_EN;
        }
    }
    return lang;
}

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
            return bh_error_errno(err, errno, "stdout", "cannot write the report", "レポートを書けません");
        }
        at += (size_t)n;
    }
    return 0;
}

int
main(int argc, char **argv)
{
    bh_heap_in_huge_pages();
    enum bh_lang lang = program_lang(argc, argv);
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
        bh_error_set(&err, BH_EUSAGE, argv[1], near != NULL ? "no such verb; did you mean %s?" : "no such verb; %s is one: try beholder --help",
                     near != NULL ? "その動詞はありません。%s のことですか?" : "その動詞はありません (例: %s)。beholder --help をご覧ください",
                     near != NULL ? near : names[0]);
        return program_fail(&err, lang);
    }
    if (bh_args_parse(&beholder_command, argc, argv, &args, &err) != 0) {
        return program_fail(&err, lang);
    }
    if (bh_arg_given(args, "version")) {
        puts("beholder " BH_VERSION);
    } else {
        bh_command_help(&beholder_command, lang, stdout);
    }
    bh_args_free(args);
    return 0;
}
