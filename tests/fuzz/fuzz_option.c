/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as a command line: a zero ends a word. Every kind of option is in the table, and all
 * that was understood is asked for.
 */
#include <stdlib.h>

#include "bh_option.h"

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint64_t sink; /* what is asked for is read to its end */

static const struct bh_opt options[] = {
    { "read", 'r', BH_OPT_FILE, "FILE", NULL, NULL, true, { "a", "b" } },
    { "top", 0, BH_OPT_UINT, "N", NULL, "10", false, { "a", "b" } },
    { "ports", 'p', BH_OPT_UINT, "N", NULL, NULL, true, { "a", "b" } },
    { "output", 'o', BH_OPT_CHOICE, "FORM", "text|json|csv|md", "text", false, { "a", "b" } },
    { "home", 0, BH_OPT_TEXT, "ADDR", NULL, NULL, false, { "a", "b" } },
    { "home-country", 0, BH_OPT_TEXT, "CC", NULL, NULL, false, { "a", "b" } },
    { "quiet", 'q', BH_OPT_FLAG, NULL, NULL, NULL, false, { "a", "b" } },
    { "lang", 0, BH_OPT_CHOICE, "LANG", "en|ja", NULL, false, { "a", "b" } },
};
static const struct bh_command command = {
    .name = "beholder report",
    .operands = { "FILE...", "FILE..." },
    .summary = { "a", "b" },
    .details = { "", "" },
    .options = options,
    .option_count = BH_COUNT(options),
};

static void
ask(const struct bh_args *a, int argc)
{
    char *const *operands;
    for (size_t i = 0; i < BH_COUNT(options); i++) {
        const struct bh_opt *o = &options[i];
        const char *const *values;
        size_t n = bh_arg_all(a, o->name, &values);
        for (size_t k = 0; k < n; k++) {
            sink += strlen(values[k]);
        }
        if (o->type == BH_OPT_CHOICE && bh_arg(a, o->name) != NULL &&
            strstr(o->choices, bh_arg(a, o->name)) == NULL) {
            abort(); /* what is no choice was let through */
        }
        if (o->type == BH_OPT_UINT) {
            sink += bh_arg_uint(a, o->name);
        }
        if (bh_arg_given(a, o->name) != (n > 0) && o->type != BH_OPT_FLAG) {
            abort();
        }
    }
    if (bh_arg_operands(a, &operands) > (size_t)argc) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (text == NULL) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    char *argv[WORDS_MAX + 2] = { (char[]){ "report" } };
    int argc = 1;
    for (size_t at = 0; at < size && argc <= WORDS_MAX; at += strlen(text + at) + 1) {
        argv[argc++] = text + at;
    }
    struct bh_args *a = NULL;
    struct bh_error err = { 0 };
    if (bh_args_parse(&command, argc, argv, &a, &err) == 0) {
        ask(a, argc);
    } else {
        char line[1200];
        if (err.code != BH_EUSAGE || bh_error_line(&err, BH_EN, line, sizeof line)[0] == '\0') {
            abort();
        }
    }
    (void)bh_lang_of_args(argc, argv);
    bh_args_free(a);
    free(text);
    return 0;
}
