/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * token.c - from the words of a command line to tokens.
 *
 * A shell may hand over "port 22" as one word or as two, "(port" or "len>100" as one: words are
 * joined by blanks and cut again at blanks, brackets and signs.
 */
#include "filter_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

int
filter_fail(struct parser *p, const struct token *t, int code, const char *en, const char *ja, ...)
{
    struct bh_error *e = p->err;
    if (e == NULL) {
        return code;
    }
    /* `where` is shown safely by bh_error_line(); the texts never hold what the user typed. */
    char where[64];
    snprintf(where, sizeof where, "%.*s", t->len < 60 ? (int)t->len : 60, t->at);
    bh_error_set(e, code, where, "%s", "%s", "");
    static const char *const place[BH_LANGS] = { "word %u (column %u): ",
                                                 "%u 番目の語 (%u 桁目): " };
    const char *formats[BH_LANGS] = { en, ja };
    for (int lang = 0; lang < BH_LANGS; lang++) {
        size_t size = sizeof e->text[lang];
        int n =
            snprintf(e->text[lang], size, place[lang], (unsigned)t->number, (unsigned)t->column);
        va_list ap;
        va_start(ap, ja);
        vsnprintf(e->text[lang] + n, size - (size_t)n, formats[lang], ap);
        va_end(ap);
    }
    return code;
}

bool
filter_token_is(const struct token *t, const char *word)
{
    return t->type == TOKEN_WORD && strlen(word) == t->len && strncasecmp(t->at, word, t->len) == 0;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

static bool
ends_word(char c)
{
    return c == '\0' || is_blank(c) || strchr("()!&|<>=", c) != NULL;
}

static int
join(struct parser *p, const char *const *words, size_t count)
{
    size_t size = 1;
    for (size_t i = 0; i < count; i++) {
        size += strlen(words[i]) + 1;
        if (size > FILTER_TEXT_MAX) {
            return bh_error_set(p->err, BH_ELIMIT, "", "the filter is longer than %u octets",
                                "フィルターが %u バイトを超えています", FILTER_TEXT_MAX);
        }
    }
    p->text = malloc(size);
    p->tokens = malloc(bh_size_mul(size + 1, sizeof *p->tokens));
    if (p->text == NULL || p->tokens == NULL) {
        return bh_error_errno(p->err, ENOMEM, "", "reading the filter", "フィルターの読み込み");
    }
    char *at = p->text;
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(words[i]);
        memcpy(at, words[i], n);
        at[n] = ' ';
        at += n + 1;
    }
    *at = '\0';
    return 0;
}

static int
sign(struct parser *p, struct token *t)
{
    const char *s = t->at;
    t->len = 1;
    switch (s[0]) {
    case '(':
        t->type = TOKEN_OPEN;
        return 0;
    case ')':
        t->type = TOKEN_CLOSE;
        return 0;
    case '&':
    case '|':
        if (s[1] != s[0]) {
            return filter_fail(p, t, BH_EUSAGE, "write %s, or the word %s",
                               "%s または %s と書いてください", s[0] == '&' ? "&&" : "||",
                               s[0] == '&' ? "and" : "or");
        }
        t->type = s[0] == '&' ? TOKEN_AND : TOKEN_OR;
        t->len = 2;
        return 0;
    case '!':
        if (s[1] != '=') {
            t->type = TOKEN_NOT;
            return 0;
        }
        break;
    default:
        break;
    }
    t->type = TOKEN_COMPARE;
    bool equal = s[1] == '=';
    t->len = equal ? 2 : 1;
    t->compare = s[0] == '!'   ? CMP_NE
                 : s[0] == '=' ? CMP_EQ
                 : s[0] == '<' ? (equal ? CMP_LE : CMP_LT)
                               : (equal ? CMP_GE : CMP_GT);
    return 0;
}

int
filter_tokenize(struct parser *p, const char *const *words, size_t count)
{
    int r = join(p, words, count);
    if (r < 0) {
        return r;
    }
    const char *s = p->text;
    for (;;) {
        while (is_blank(*s)) {
            s++;
        }
        struct token *t = &p->tokens[p->count];
        *t = (struct token){ .at = s,
                             .column = (uint32_t)(s - p->text) + 1,
                             .number = p->count + 1,
                             .type = TOKEN_END };
        if (*s == '\0') {
            break;
        }
        if (ends_word(*s)) {
            r = sign(p, t);
            if (r < 0) {
                return r;
            }
        } else {
            t->type = TOKEN_WORD;
            while (!ends_word(s[t->len])) {
                t->len++;
            }
            t->type = filter_token_is(t, "and")   ? TOKEN_AND
                      : filter_token_is(t, "or")  ? TOKEN_OR
                      : filter_token_is(t, "not") ? TOKEN_NOT
                                                  : TOKEN_WORD;
        }
        s += t->len;
        p->count++;
    }
    return 0;
}
