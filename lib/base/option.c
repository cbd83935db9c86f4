/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Command lines from a table (bh_option.h).
 *
 * getopt_long is not used: it prints to stderr by itself, in English, and cannot say which
 * option was meant. What people expect of it is kept: clusters of letters (-qh), values joined
 * or apart (-n5, -n 5, --top=5, --top 5), unique beginnings (--outp), "--", operands anywhere.
 */
#include "bh_option.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#define HELP_COLUMNS 80U
#define HELP_NAME_COLUMNS 26U /* names wider than this stand on a line of their own */

struct value {
    size_t option;
    const char *text;
};

struct bh_args {
    const struct bh_command *cmd;
    struct value *values; /* in the order given            */
    size_t value_count;
    const char **picked; /* storage of bh_arg_all         */
    char **operands;
    size_t operand_count;
};

/* ---- nearest word ----------------------------------------------------------------------- */

#define NEAR_MAX 40U

static size_t
min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Edits (insert, delete, replace, swap neighbours) from a to b; words over NEAR_MAX are far. */
static size_t
edits(const char *a, const char *b)
{
    size_t n = strlen(a);
    size_t m = strlen(b);
    if (n > NEAR_MAX || m > NEAR_MAX) {
        return SIZE_MAX;
    }
    size_t row[3][NEAR_MAX + 1];
    for (size_t j = 0; j <= m; j++) {
        row[0][j] = j;
    }
    for (size_t i = 1; i <= n; i++) {
        size_t *now = row[i % 3];
        const size_t *last = row[(i - 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t swap_cost = a[i - 1] == b[j - 1] ? 0 : 1;
            now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + swap_cost);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                size_t swapped = row[(i - 2) % 3][j - 2] + 1;
                now[j] = swapped < now[j] ? swapped : now[j];
            }
        }
    }
    return row[n % 3][m];
}

const char *
bh_nearest(const char *word, const char *const *list, size_t count)
{
    const char *best = NULL;
    size_t len = strlen(word);
    size_t best_edits = len < 5 ? 1 : len < 8 ? 2 : 3; /* farther is a guess, not help */
    for (size_t i = 0; i < count; i++) {
        size_t e = edits(word, list[i]);
        if (e < best_edits || (e == best_edits && best == NULL)) {
            best = list[i];
            best_edits = e;
        }
    }
    /* A word that shares no letter in place is not near, however short both are. */
    return best != NULL && best_edits < len ? best : NULL;
}

/* ---- parsing ------------------------------------------------------------------------------ */

static size_t
find_letter(const struct bh_command *cmd, char letter)
{
    for (size_t i = 0; i < cmd->option_count; i++) {
        if (cmd->options[i].letter == letter) {
            return i;
        }
    }
    return SIZE_MAX;
}

static size_t
find_name(const struct bh_command *cmd, const char *name)
{
    for (size_t i = 0; i < cmd->option_count; i++) {
        if (strcmp(cmd->options[i].name, name) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

static int
unknown_option(const struct bh_command *cmd, const char *word, const char *name,
               struct bh_error *err)
{
    const char **names = calloc(cmd->option_count + 1, sizeof *names);
    if (names == NULL) {
        return bh_error_set(err, -ENOMEM, "", "out of memory", "メモリが足りません");
    }
    for (size_t i = 0; i < cmd->option_count; i++) {
        names[i] = cmd->options[i].name;
    }
    const char *near = bh_nearest(name, names, cmd->option_count);
    free(names);
    if (near != NULL) {
        return bh_error_set(err, BH_EUSAGE, word, "no such option; did you mean --%s?",
                            "そのようなオプションはありません。--%s のことですか?", near);
    }
    return bh_error_set(err, BH_EUSAGE, word, "no such option; see %s --help",
                        "そのようなオプションはありません。%s --help を見てください", cmd->name);
}

/* The option `name` or its unique beginning stands for. */
static int
long_option(const struct bh_command *cmd, const char *word, const char *name, size_t *ret_option,
            struct bh_error *err)
{
    size_t exact = find_name(cmd, name);
    if (exact != SIZE_MAX) {
        *ret_option = exact;
        return 0;
    }
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < cmd->option_count; i++) {
        if (name[0] == '\0' || strncmp(cmd->options[i].name, name, strlen(name)) != 0) {
            continue;
        }
        if (found != SIZE_MAX) {
            return bh_error_set(err, BH_EUSAGE, word, "could be --%s or --%s",
                                "--%s と --%s のどちらかわかりません", cmd->options[found].name,
                                cmd->options[i].name);
        }
        found = i;
    }
    if (found == SIZE_MAX) {
        return unknown_option(cmd, word, name, err);
    }
    *ret_option = found;
    return 0;
}

static bool
parse_uint(const char *text, uint64_t *ret_value)
{
    uint64_t v = 0;
    if (text[0] == '\0') {
        return false;
    }
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(v, 10U, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v)) {
            return false;
        }
    }
    *ret_value = v;
    return true;
}

static bool
is_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);
    for (const char *p = choices; *p != '\0';) {
        size_t n = strcspn(p, "|");
        if (n == len && memcmp(p, text, len) == 0) {
            return true;
        }
        p += n + (p[n] == '|');
    }
    return false;
}

static int
add_value(struct bh_args *a, size_t option, const char *text, struct bh_error *err)
{
    const struct bh_opt *o = &a->cmd->options[option];
    char name[80];
    char shown[64]; /* enough of it */
    snprintf(name, sizeof name, "--%s", o->name);
    snprintf(shown, sizeof shown, "%s", text);
    bh_text_trim(shown);
    uint64_t number;
    if (o->type == BH_OPT_UINT && !parse_uint(text, &number)) {
        return bh_error_set(err, BH_EUSAGE, name, "\"%s\" is not a whole number",
                            "「%s」は整数ではありません", shown);
    }
    if (o->type == BH_OPT_CHOICE && !is_choice(o->choices, text)) {
        return bh_error_set(err, BH_EUSAGE, name, "\"%s\" is none of %s",
                            "「%s」は次のいずれでもありません: %s", shown, o->choices);
    }
    a->values[a->value_count++] = (struct value){ option, text };
    return 0;
}

static int
no_value(const struct bh_opt *o, const char *word, struct bh_error *err)
{
    const char *arg = o->arg != NULL ? o->arg : o->choices;
    return bh_error_set(err, BH_EUSAGE, word, "needs a value: --%s %s", "値が必要です: --%s %s",
                        o->name, arg == NULL ? "" : arg);
}

/* argv[*at] is "--name" or "--name=value". */
static int
parse_long(struct bh_args *a, int argc, char **argv, int *at, struct bh_error *err)
{
    const char *word = argv[*at];
    const char *value = strchr(word, '=');
    size_t len = value == NULL ? strlen(word + 2) : (size_t)(value - word) - 2;
    char name[80];
    snprintf(name, sizeof name, "%.*s", len < sizeof name ? (int)len : (int)sizeof name - 1,
             word + 2);
    size_t option = 0;
    int r = long_option(a->cmd, word, name, &option, err);
    if (r != 0) {
        return r;
    }
    const struct bh_opt *o = &a->cmd->options[option];
    if (o->type == BH_OPT_FLAG) {
        if (value != NULL) {
            return bh_error_set(err, BH_EUSAGE, word, "--%s takes no value",
                                "--%s は値を取りません", o->name);
        }
        return add_value(a, option, "", err);
    }
    if (value != NULL) {
        return add_value(a, option, value + 1, err);
    }
    if (*at + 1 >= argc) {
        return no_value(o, word, err);
    }
    *at += 1;
    return add_value(a, option, argv[*at], err);
}

/* argv[*at] is "-abc", "-n5", or "-n" with its value in the next word. */
static int
parse_letters(struct bh_args *a, int argc, char **argv, int *at, struct bh_error *err)
{
    for (const char *p = argv[*at] + 1; *p != '\0'; p++) {
        char word[3] = { '-', *p, '\0' };
        size_t option = find_letter(a->cmd, *p);
        if (option == SIZE_MAX) {
            /* "-top" was probably meant to be "--top" */
            return unknown_option(a->cmd, argv[*at][2] == '\0' ? word : argv[*at], argv[*at] + 1,
                                  err);
        }
        const struct bh_opt *o = &a->cmd->options[option];
        if (o->type == BH_OPT_FLAG) {
            int r = add_value(a, option, "", err);
            if (r != 0) {
                return r;
            }
            continue;
        }
        if (p[1] != '\0') {
            return add_value(a, option, p + 1, err);
        }
        if (*at + 1 >= argc) {
            return no_value(o, word, err);
        }
        *at += 1;
        return add_value(a, option, argv[*at], err);
    }
    return 0;
}

int
bh_args_parse(const struct bh_command *cmd, int argc, char **argv, struct bh_args **ret_args,
              struct bh_error *err)
{
    int r = 0;
    struct bh_args *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return bh_error_set(err, -ENOMEM, "", "out of memory", "メモリが足りません");
    }
    a->cmd = cmd;
    /* Every octet of argv gives at most one value: a cluster of flags is the densest. */
    size_t octets = 1;
    for (int i = 1; i < argc; i++) {
        octets += strlen(argv[i]) + 1;
    }
    a->values = calloc(octets, sizeof *a->values);
    a->picked = calloc(octets, sizeof *a->picked);
    a->operands = calloc((size_t)(argc > 0 ? argc : 0) + 1, sizeof *a->operands);
    if (a->values == NULL || a->picked == NULL || a->operands == NULL) {
        r = bh_error_set(err, -ENOMEM, "", "out of memory", "メモリが足りません");
        goto out;
    }
    bool options_end = false;
    for (int at = 1; at < argc && r == 0; at++) {
        char *word = argv[at];
        if (options_end || word[0] != '-' || word[1] == '\0') {
            a->operands[a->operand_count++] = word;
        } else if (strcmp(word, "--") == 0) {
            options_end = true;
        } else if (word[1] == '-') {
            r = parse_long(a, argc, argv, &at, err);
        } else {
            r = parse_letters(a, argc, argv, &at, err);
        }
    }
out:
    if (r != 0) {
        bh_args_free(a);
        return r;
    }
    *ret_args = a;
    return 0;
}

/* A network or a whole filter in quotes has dots and slashes, too. */
static bool
looks_like_path(const char *word)
{
    struct bh_ip ip;
    size_t address_len = strcspn(word, "/");
    return strpbrk(word, "/.") != NULL && strpbrk(word, " ()<>=!&|,") == NULL &&
           !bh_ip_parse(word, address_len, &ip);
}

size_t
bh_operand_files(char *const *operands, size_t count, bool has_file)
{
    size_t n = 0;
    for (; n < count; n++) {
        struct stat st;
        bool is_there = strcmp(operands[n], "-") == 0 || stat(operands[n], &st) == 0;
        if (!is_there && (has_file || n > 0) && !looks_like_path(operands[n])) {
            break;
        }
    }
    return n;
}

enum bh_lang
bh_lang_of_args(int argc, char **argv)
{
    enum bh_lang lang = bh_lang_from_env();
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
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

void
bh_args_free(struct bh_args *a)
{
    if (a == NULL) {
        return;
    }
    free(a->values);
    free(a->picked);
    free(a->operands);
    free(a);
}

/* ---- what was given ------------------------------------------------------------------------- */

static size_t
known(const struct bh_args *a, const char *name)
{
    size_t option = find_name(a->cmd, name);
    assert(option != SIZE_MAX);
    return option;
}

/* The last one given, as with every other program. */
static const char *
given(const struct bh_args *a, size_t option)
{
    for (size_t i = a->value_count; i > 0; i--) {
        if (a->values[i - 1].option == option) {
            return a->values[i - 1].text;
        }
    }
    return NULL;
}

const char *
bh_arg(const struct bh_args *a, const char *name)
{
    size_t option = known(a, name);
    const char *text = given(a, option);
    return text != NULL ? text : a->cmd->options[option].default_text;
}

bool
bh_arg_given(const struct bh_args *a, const char *name)
{
    return given(a, known(a, name)) != NULL;
}

uint64_t
bh_arg_uint(const struct bh_args *a, const char *name)
{
    const char *text = bh_arg(a, name);
    uint64_t v = 0;
    if (text != NULL && !parse_uint(text, &v)) {
        v = 0; /* a default that is a word, such as "auto" */
    }
    return v;
}

size_t
bh_arg_all(const struct bh_args *a, const char *name, const char *const **ret_values)
{
    size_t option = known(a, name);
    /* One slice of `picked` for each option, at a place that depends on the option alone, so
     * that a second call finds the same values where they were. */
    size_t before = 0;
    size_t n = 0;
    for (size_t i = 0; i < a->value_count; i++) {
        before += a->values[i].option < option ? 1 : 0;
    }
    for (size_t i = 0; i < a->value_count; i++) {
        if (a->values[i].option == option) {
            a->picked[before + n++] = a->values[i].text;
        }
    }
    *ret_values = a->picked + before;
    return n;
}

size_t
bh_arg_operands(const struct bh_args *a, char *const **ret_operands)
{
    *ret_operands = a->operands;
    return a->operand_count;
}

/* ---- help -------------------------------------------------------------------------------------- */

static size_t
char_octets(const char *s)
{
    size_t n = 1;
    while (((unsigned char)s[n] & 0xc0U) == 0x80U) {
        n++;
    }
    return n;
}

static bool
is_one_of(const char *s, size_t n, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(list[i]) == n && memcmp(s, list[i], n) == 0) {
            return true;
        }
    }
    return false;
}

/* Japanese marks that must not begin or end a line (kinsoku). */
static bool
never_first(const char *s, size_t n)
{
    static const char *const marks[] = {
        "。", "、", "」", "）", "・", "ー", "』", "ッ", "ャ", "ュ",
        "ョ", "っ", "ゃ", "ゅ", "ょ", "?",  "!",  ")",  ",",  "."
    };
    return is_one_of(s, n, marks, BH_COUNT(marks));
}

static bool
never_last(const char *s, size_t n)
{
    static const char *const marks[] = { "「", "（", "『", "(" };
    return is_one_of(s, n, marks, BH_COUNT(marks));
}

static size_t
columns(const char *s, size_t n)
{
    char one[8] = { 0 };
    memcpy(one, s, n < sizeof one ? n : sizeof one - 1);
    return bh_text_width(one);
}

/*
 * How many octets of s go on a line of `width` columns: all, or up to the last place where a
 * line may break - at a space, or beside a wide character as Japanese does.
 */
static size_t
line_octets(const char *s, size_t len, size_t width)
{
    size_t used = 0;
    size_t best = 0;
    size_t i = 0;
    size_t last = 0; /* where the character before i begins */
    while (i < len) {
        size_t n = char_octets(s + i);
        size_t w = columns(s + i, n);
        if (s[i] == ' ') {
            best = i;
        } else if (i > 0 && s[last] != ' ') {
            bool wide = w == 2 || columns(s + last, i - last) == 2;
            if (wide && !never_first(s + i, n) && !never_last(s + last, i - last)) {
                best = i;
            }
        }
        if (used + w > width) {
            return best > 0 ? best : i > 0 ? i : n;
        }
        used += w;
        last = i;
        i += n;
    }
    return len;
}

/* `text`, its lines wrapped and indented; the cursor stands at `column` already. */
static void
put_wrapped(FILE *out, const char *text, size_t indent, size_t column)
{
    size_t width = HELP_COLUMNS - indent - 1;
    size_t left = strlen(text);
    while (left > 0) {
        size_t n = line_octets(text, left, width);
        fprintf(out, "%*s%.*s\n", (int)(indent - column), "", (int)n, text);
        column = 0;
        text += n;
        left -= n;
        while (left > 0 && *text == ' ') {
            text++;
            left--;
        }
    }
}

static void
put_option(const struct bh_opt *o, enum bh_lang lang, size_t indent, FILE *out)
{
    static const char *const default_words[BH_LANGS] = { "default", "既定値" };
    static const char *const repeat_words[BH_LANGS] = { "may be repeated", "繰り返せます" };
    struct bh_buf name = { 0 };
    struct bh_buf text = { 0 };
    if (o->letter != 0) {
        bh_buf_printf(&name, "  -%c, ", o->letter);
    } else {
        bh_buf_puts(&name, "      ");
    }
    bh_buf_printf(&name, "--%s", o->name);
    const char *arg = o->arg != NULL ? o->arg : o->choices;
    if (o->type != BH_OPT_FLAG && arg != NULL) {
        bh_buf_printf(&name, " %s", arg);
    }
    bh_buf_puts(&text, o->text[lang]);
    if (o->repeats && o->default_text != NULL) {
        bh_buf_printf(&text, " (%s; %s: %s)", repeat_words[lang], default_words[lang],
                      o->default_text);
    } else if (o->repeats) {
        bh_buf_printf(&text, " (%s)", repeat_words[lang]);
    } else if (o->default_text != NULL) {
        bh_buf_printf(&text, " (%s: %s)", default_words[lang], o->default_text);
    }
    if (!name.failed && !text.failed) {
        size_t width = bh_text_width(name.data);
        fputs(name.data, out);
        if (width + 2 > indent) {
            fputc('\n', out);
            width = 0;
        }
        put_wrapped(out, text.data, indent, width);
    }
    bh_buf_done(&name);
    bh_buf_done(&text);
}

/* Paragraphs are wrapped; lines that begin with a space (examples) are left as they are. */
static void
put_details(const char *text, FILE *out)
{
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");
        if (n == 0 || text[0] == ' ') {
            fprintf(out, "%.*s\n", (int)n, text);
        } else {
            struct bh_buf line = { 0 };
            bh_buf_add(&line, text, n);
            if (!line.failed) {
                put_wrapped(out, line.data, 0, 0);
            }
            bh_buf_done(&line);
        }
        text += n + (text[n] == '\n');
    }
}

void
bh_command_help(const struct bh_command *cmd, enum bh_lang lang, FILE *out)
{
    static const char *const usage_words[BH_LANGS] = { "Usage", "使い方" };
    static const char *const option_words[BH_LANGS] = { "OPTION", "オプション" };
    static const char *const options_words[BH_LANGS] = { "Options", "オプション" };

    fprintf(out, "%s: %s [%s]... %s\n", usage_words[lang], cmd->name, option_words[lang],
            cmd->operands[lang]);
    put_wrapped(out, cmd->summary[lang], 0, 0);
    fprintf(out, "\n%s:\n", options_words[lang]);
    size_t indent = 0;
    for (size_t i = 0; i < cmd->option_count; i++) {
        const struct bh_opt *o = &cmd->options[i];
        const char *arg = o->arg != NULL ? o->arg : o->choices;
        size_t width = 8 + strlen(o->name) + 2;
        width += o->type != BH_OPT_FLAG && arg != NULL ? 1 + bh_text_width(arg) : 0;
        if (width > indent && width <= HELP_NAME_COLUMNS + 2) {
            indent = width;
        }
    }
    for (size_t i = 0; i < cmd->option_count; i++) {
        put_option(&cmd->options[i], lang, indent, out);
    }
    if (cmd->details[lang] != NULL && cmd->details[lang][0] != '\0') {
        fputc('\n', out);
        put_details(cmd->details[lang], out);
    }
}
