/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_option.h - command lines from one table.
 *
 * A table is a file programs/PROG/options*.tsv. tools/gen_options.py makes of it the C table
 * below, the options of the man page and the completions of bash, zsh and fish; --help is
 * printed from the table at run time, in the language asked for. Adding an option is adding a
 * row.
 *
 * Threads:   no hidden state.
 * Ownership: bh_args keeps pointers into argv and its command; both must outlive it.
 * Errors:    BH_EUSAGE, with the option or word as `where`; an unknown option names the nearest.
 */
#ifndef BH_OPTION_H
#define BH_OPTION_H

#include "bh_base.h"

enum bh_opt_type {
    BH_OPT_FLAG,   /* no value                                    */
    BH_OPT_TEXT,   /* any text; who uses it checks it             */
    BH_OPT_UINT,   /* decimal, 0 .. UINT64_MAX                    */
    BH_OPT_CHOICE, /* one of `choices`                            */
    BH_OPT_FILE,   /* a path (completions offer files)            */
};

struct bh_opt {
    const char *name; /* "top": --top                                              */
    char letter;      /* 'h': -h; 0: none                                          */
    enum bh_opt_type type;
    const char *arg;          /* "N" in --top N; NULL for flags                            */
    const char *choices;      /* "text|json"; NULL unless BH_OPT_CHOICE                    */
    const char *default_text; /* value when not given; NULL: none                          */
    bool repeats;             /* may be given several times; else the last one counts      */
    const char *text[BH_LANGS];
};

struct bh_command {
    const char *name;               /* "beholder report"                                  */
    const char *operands[BH_LANGS]; /* "FILE... [FILTER...]"                              */
    const char *summary[BH_LANGS];  /* one line                                           */
    const char *details[BH_LANGS];  /* paragraphs with examples, may be ""                */
    const struct bh_opt *options;
    size_t option_count;
};

struct bh_args; /* opaque */

/* argv[0] is the program's or verb's name and is skipped. Operands may stand anywhere, "--" ends
 * the options, a unique beginning of a long option stands for it, as with getopt_long. */
BH_NODISCARD int bh_args_parse(const struct bh_command *cmd, int argc, char **argv,
                               struct bh_args **ret_args, struct bh_error *err);
void bh_args_free(struct bh_args *a);

/* The language of --lang, else of the environment: before options are parsed, so that errors about
 * options speak it too. */
enum bh_lang bh_lang_of_args(int argc, char **argv);

/* Names below are those of the table; one that is not in it is a bug of the caller (assert). */
const char *bh_arg(const struct bh_args *a, const char *name); /* else its default, or NULL */
bool bh_arg_given(const struct bh_args *a, const char *name);
uint64_t bh_arg_uint(const struct bh_args *a, const char *name); /* else its default, or 0 */
/* All values in the order given; none: 0 (a default does not count). */
size_t bh_arg_all(const struct bh_args *a, const char *name, const char *const **ret_values);
size_t bh_arg_operands(const struct bh_args *a, char *const **ret_operands);

/* Operands are files, then the words of a filter: how many are files. The first word that is neither
 * a file nor "-" begins the filter; one that is meant as a file (the first of all, unless a file
 * was given otherwise; or one that looks like a path) counts as one: its error says more than the
 * filter's. */
size_t bh_operand_files(char *const *operands, size_t count, bool has_file);

/* Usage, options and details, aligned by display width, at most 80 columns. */
void bh_command_help(const struct bh_command *cmd, enum bh_lang lang, FILE *out);

/* The entry of a list that `word` most likely meant, for "did you mean"; NULL when none is near. */
const char *bh_nearest(const char *word, const char *const *list, size_t count);

#endif
