/* SPDX-License-Identifier: BSD-2-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bh_option.h"

static const struct bh_opt options[] = {
    { "help",
      'h',
      BH_OPT_FLAG,
      NULL,
      NULL,
      NULL,
      false,
      { "print this help", "この説明を表示する" } },
    { "quiet", 'q', BH_OPT_FLAG, NULL, NULL, NULL, false, { "say less", "静かに" } },
    { "top", 'n', BH_OPT_UINT, "N", NULL, "10", false, { "countries listed", "国の表示数" } },
    { "output", 'o', BH_OPT_CHOICE, NULL, "text|json|csv", "text", false, { "form", "形式" } },
    { "read", 'r', BH_OPT_FILE, "FILE", NULL, NULL, true, { "read FILE", "読む" } },
    { "home",
      0,
      BH_OPT_TEXT,
      "ADDR",
      NULL,
      NULL,
      false,
      { "what is watched, in more words than fit on what is left of one line of eighty columns",
        "監視対象。一行の八十桁に入りきらないほど長い説明文をここに書いておくと折り返されるはずである。" } },
    { "home-country", 0, BH_OPT_TEXT, "CC", NULL, NULL, false, { "country", "国" } },
};

static const struct bh_command command = {
    .name = "try it",
    .operands = { "FILE... [WORD...]", "ファイル... [語...]" },
    .summary = { "a command to try", "試すための命令" },
    .details = { "Words.\n\nExample:\n  try it --top 3\n", "文。\n\n例:\n  try it --top 3\n" },
    .options = options,
    .option_count = BH_COUNT(options),
};

#define ARGV(...) ((char *[]){ (char *)(uintptr_t) "it", __VA_ARGS__, NULL })
#define W(s) ((char *)(uintptr_t)(s))

static struct bh_args *
parse(char **argv)
{
    int argc = 0;
    while (argv[argc] != NULL) {
        argc++;
    }
    struct bh_args *a = NULL;
    struct bh_error err = { 0 };
    int r = bh_args_parse(&command, argc, argv, &a, &err);
    if (r != 0) {
        fail_msg("%s: %s", err.where, err.text[BH_EN]);
    }
    return a;
}

static void
defaults_hold_when_nothing_is_given(void **state)
{
    (void)state;
    struct bh_args *a = parse((char *[]){ W("it"), NULL });
    assert_string_equal(bh_arg(a, "output"), "text");
    assert_int_equal(bh_arg_uint(a, "top"), 10);
    assert_null(bh_arg(a, "home"));
    assert_false(bh_arg_given(a, "top"));
    char *const *operands;
    assert_int_equal(bh_arg_operands(a, &operands), 0);
    bh_args_free(a);
}

static void
every_way_to_write_a_value(void **state)
{
    (void)state;
    static const char *const ways[][3] = {
        { "-n", "7", NULL },       { "-n7", NULL, NULL },    { "--top", "7", NULL },
        { "--top=7", NULL, NULL }, { "--to=7", NULL, NULL }, { "-qn7", NULL, NULL },
        { "-n9", "-n7", NULL },
    };
    for (size_t i = 0; i < BH_COUNT(ways); i++) {
        struct bh_args *a = parse(ARGV(W(ways[i][0]), W(ways[i][1]), W(ways[i][2])));
        assert_int_equal(bh_arg_uint(a, "top"), 7);
        assert_true(bh_arg_given(a, "top"));
        bh_args_free(a);
    }
}

static void
operands_stand_anywhere(void **state)
{
    (void)state;
    struct bh_args *a =
        parse(ARGV(W("one"), W("-q"), W("-"), W("--output=csv"), W("--"), W("-n"), W("--x")));
    char *const *operands;
    assert_int_equal(bh_arg_operands(a, &operands), 4);
    assert_string_equal(operands[0], "one");
    assert_string_equal(operands[1], "-");
    assert_string_equal(operands[2], "-n");
    assert_string_equal(operands[3], "--x");
    assert_string_equal(bh_arg(a, "output"), "csv");
    assert_true(bh_arg_given(a, "quiet"));
    bh_args_free(a);
}

static void
a_repeated_option_keeps_its_order(void **state)
{
    (void)state;
    struct bh_args *a = parse(ARGV(W("-r"), W("a"), W("-q"), W("--read=b"), W("-rc"), W("-n1")));
    const char *const *files;
    for (int again = 0; again < 2; again++) {
        assert_int_equal(bh_arg_all(a, "read", &files), 3);
        assert_string_equal(files[0], "a");
        assert_string_equal(files[1], "b");
        assert_string_equal(files[2], "c");
    }
    const char *const *tops;
    assert_int_equal(bh_arg_all(a, "top", &tops), 1);
    assert_string_equal(tops[0], "1");
    assert_string_equal(files[2], "c");
    assert_int_equal(bh_arg_all(a, "home", &tops), 0);
    bh_args_free(a);
}

static void
mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *word, *next;
        const char *expected; /* part of the English line */
    } cases[] = {
        { "--tpo=3", NULL, "--tpo=3: no such option; did you mean --top?" },
        { "--outptu", "csv", "did you mean --output?" },
        { "--xyzzy", NULL, "no such option; see try it --help" },
        { "-z", NULL, "-z: no such option" },
        { "-top", NULL, "did you mean --top?" },
        { "--top", NULL, "needs a value: --top N" },
        { "-o", NULL, "needs a value: --output text|json|csv" },
        { "--top", "x", "--top: \"x\" is not a whole number" },
        { "--top", "-1", "is not a whole number" },
        { "--top", "", "is not a whole number" },
        { "--top", "18446744073709551616", "is not a whole number" },
        { "--output", "jso", "\"jso\" is none of text|json|csv" },
        { "--output", "text|json", "is none of" },
        { "--quiet=yes", NULL, "--quiet takes no value" },
        { "--ho", NULL, "could be --home or --home-country" },
        { "--=1", NULL, "no such option" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        char *argv[] = { W("it"), W(cases[i].word), W(cases[i].next), NULL };
        struct bh_args *a = NULL;
        struct bh_error err = { 0 };
        char line[1024];
        assert_int_equal(bh_args_parse(&command, cases[i].next == NULL ? 2 : 3, argv, &a, &err),
                         BH_EUSAGE);
        assert_null(a);
        bh_error_line(&err, BH_EN, line, sizeof line);
        if (strstr(line, cases[i].expected) == NULL) {
            fail_msg("\"%s\" is not in \"%s\"", cases[i].expected, line);
        }
        assert_true(strlen(bh_error_line(&err, BH_JA, line, sizeof line)) > 0);
    }
}

static void
an_exact_name_wins_over_a_longer_one(void **state)
{
    (void)state;
    struct bh_args *a = parse(ARGV(W("--home"), W("192.0.2.1")));
    assert_string_equal(bh_arg(a, "home"), "192.0.2.1");
    assert_false(bh_arg_given(a, "home-country"));
    bh_args_free(a);
}

static void
the_largest_number_fits(void **state)
{
    (void)state;
    struct bh_args *a = parse(ARGV(W("--top=18446744073709551615")));
    assert_true(bh_arg_uint(a, "top") == UINT64_MAX);
    bh_args_free(a);
}

static char *
help_text(enum bh_lang lang)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    bh_command_help(&command, lang, f);
    fclose(f);
    return text;
}

static void
help_fits_eighty_columns(void **state)
{
    (void)state;
    for (int lang = 0; lang < BH_LANGS; lang++) {
        char *text = help_text((enum bh_lang)lang);
        char *rest = NULL;
        for (char *line = strtok_r(text, "\n", &rest); line != NULL;
             line = strtok_r(NULL, "\n", &rest)) {
            assert_in_range(bh_text_width(line), 1, 80);
        }
        free(text);
    }
}

static void
help_holds_every_option_and_the_examples(void **state)
{
    (void)state;
    char *text = help_text(BH_EN);
    assert_non_null(strstr(text, "Usage: try it [OPTION]... FILE... [WORD...]\n"));
    assert_non_null(strstr(text, "  -n, --top N "));
    assert_non_null(strstr(text, "countries listed (default: 10)\n"));
    assert_non_null(strstr(text, "read FILE (may be repeated)\n"));
    assert_non_null(strstr(text, "      --home-country CC "));
    assert_non_null(strstr(text, "\n  try it --top 3\n"));
    free(text);
    text = help_text(BH_JA);
    assert_non_null(strstr(text, "使い方: try it [オプション]... ファイル... [語...]\n"));
    assert_non_null(strstr(text, "(既定値: 10)"));
    free(text);
}

static void
nearest_is_near(void **state)
{
    (void)state;
    static const char *const words[] = { "port", "portrange", "host", "net" };
    assert_string_equal(bh_nearest("prot", words, 4), "port");
    assert_string_equal(bh_nearest("hots", words, 4), "host");
    assert_string_equal(bh_nearest("portrnage", words, 4), "portrange");
    assert_null(bh_nearest("elephant", words, 4));
    assert_null(bh_nearest("", words, 4));
    assert_null(bh_nearest("x", words, 4));
    assert_null(
        bh_nearest("foo", (const char *const[]){ "top" }, 1)); /* two edits of three letters */
    assert_null(bh_nearest("a-word-that-is-far-longer-than-forty-octets-can-be", words, 4));
}

static void
files_come_before_the_filter(void **state)
{
    (void)state;
    static const struct {
        const char *words[4];
        size_t count;
        bool has_file;
        size_t expected;
    } cases[] = {
        { { NULL }, 0, false, 0 },
        { { "nosuch" }, 1, false, 1 }, /* meant as a file */
        { { "tcp" }, 1, true, 0 },     /* -r FILE tcp */
        { { "/", "tcp", "and" }, 3, false, 1 },
        { { "-", "-", "tcp" }, 3, false, 2 },
        { { "/", "nosuch.pcap", "tcp" }, 3, false, 2 }, /* its error says more */
        { { "/", "no/such" }, 2, false, 2 },
        { { "/", "192.0.2.1" }, 2, false, 1 },
        { { "/", "192.0.2.0/24" }, 2, false, 1 },
        { { "/", "2001:db8::/32" }, 2, false, 1 },
        { { "/", "host 192.0.2.1" }, 2, false, 1 }, /* a filter in quotes */
        { { "/", "(host", "192.0.2.1)" }, 3, false, 1 },
        { { "/", "len>10.5" }, 2, false, 1 },
        { { "/", "tcp", "/" }, 3, false, 1 },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        size_t n = bh_operand_files((char *const *)(uintptr_t)cases[i].words, cases[i].count,
                                    cases[i].has_file);
        if (n != cases[i].expected) {
            fail_msg("case %zu: %zu", i, n);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold_when_nothing_is_given),
        cmocka_unit_test(every_way_to_write_a_value),
        cmocka_unit_test(operands_stand_anywhere),
        cmocka_unit_test(a_repeated_option_keeps_its_order),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(an_exact_name_wins_over_a_longer_one),
        cmocka_unit_test(the_largest_number_fits),
        cmocka_unit_test(help_fits_eighty_columns),
        cmocka_unit_test(help_holds_every_option_and_the_examples),
        cmocka_unit_test(nearest_is_near),
        cmocka_unit_test(files_come_before_the_filter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
