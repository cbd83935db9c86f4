/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * country.c - lists of countries and of address classes.
 *
 * A list becomes a table with the answer for every value of the country database, so that a
 * record costs one look-up of the address and one of the table, however long the list is.
 */
#include "filter_priv.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "bh_option.h"

/* ---- which one was meant? ----------------------------------------------------------------- */

#define COUNTRIES_MAX 512

/* Words people write for countries whose official names are others. */
static const struct {
    const char *name, *code;
} common_names[] = {
    { "usa", "us" },     { "america", "us" }, { "uk", "gb" },       { "england", "gb" },
    { "britain", "gb" }, { "korea", "kr" },   { "russia", "ru" },   { "taiwan", "tw" },
    { "vietnam", "vn" }, { "iran", "ir" },    { "hongkong", "hk" }, { "turkey", "tr" },
    { "holland", "nl" }, { "czechia", "cz" }, { "laos", "la" },     { "syria", "sy" },
};

/* The nearest code, by the country's name in either language, else by the code itself. A code of
 * two letters is as near to fifty others: no hint. */
static bool
nearest_country(const char *text, size_t len, char ret_code[3])
{
    char word[64];
    char names[COUNTRIES_MAX][64];
    char codes[COUNTRIES_MAX][3];
    const char *list[COUNTRIES_MAX];
    char code[3];
    size_t n = 0;
    if (len >= sizeof word) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        word[i] = (char)tolower((unsigned char)text[i]);
    }
    word[len] = '\0';
    for (size_t i = 0; i < BH_COUNT(common_names); i++) {
        if (strcmp(common_names[i].name, word) == 0) {
            memcpy(ret_code, common_names[i].code, 3);
            return true;
        }
    }
    for (int i = kobold_country_next(0, code); i >= 0 && n < COUNTRIES_MAX;
         i = kobold_country_next(i, code)) {
        const char *ja = kobold_country_name(code, 1);
        const char *en = kobold_country_name(code, 0);
        codes[n][0] = (char)tolower((unsigned char)code[0]);
        codes[n][1] = (char)tolower((unsigned char)code[1]);
        codes[n][2] = '\0';
        if (ja != NULL && strcmp(ja, word) == 0) {
            memcpy(ret_code, codes[n], 3);
            return true;
        }
        size_t k = 0;
        for (; en != NULL && en[k] != '\0' && k < sizeof names[n] - 1; k++) {
            names[n][k] = (char)tolower((unsigned char)en[k]);
        }
        names[n][k] = '\0';
        list[n] = names[n];
        n++;
    }
    const char *near = len > 2 ? bh_nearest(word, list, n) : NULL;
    if (near == NULL) {
        for (size_t i = 0; i < n; i++) {
            list[i] = codes[i];
        }
        near = len == 3 ? bh_nearest(word, list, n) : NULL;
    }
    for (size_t i = 0; near != NULL && i < n; i++) {
        if (near == names[i] || near == codes[i]) {
            memcpy(ret_code, codes[i], 3);
            return true;
        }
    }
    return false;
}

static int
unknown_country(struct parser *p, const struct filter_item *v)
{
    char code[3];
    char upper[3] = { 0 };
    if (!nearest_country(v->at, v->len, code)) {
        return filter_fail(p, v->token, BH_EUNKNOWN,
                           "not a country: two letters such as jp, as in ISO 3166",
                           "国ではありません。ISO 3166 の 2 文字 (例: jp) で書いてください");
    }
    upper[0] = (char)toupper((unsigned char)code[0]);
    upper[1] = (char)toupper((unsigned char)code[1]);
    const char *en = kobold_country_name(upper, 0);
    const char *ja = kobold_country_name(upper, 1);
    return filter_fail(p, v->token, BH_EUNKNOWN, "not a country code; did you mean %s (%s, %s)?",
                       "国コードではありません。%s (%s, %s) ではありませんか", code,
                       en == NULL ? "?" : en, ja == NULL ? "?" : ja);
}

/* ---- one entry ----------------------------------------------------------------------------- */

/* A code of today, or one the registries use; neither "UK" (GB) nor codes of the past. */
static bool
is_listed(const char code[3])
{
    char listed[3];
    for (int i = kobold_country_next(0, listed); i >= 0; i = kobold_country_next(i, listed)) {
        if (memcmp(listed, code, 2) == 0) {
            return true;
        }
    }
    return strcmp(code, "EU") == 0 || strcmp(code, "AP") == 0 || strcmp(code, "ZZ") == 0;
}

int
bh_filter_country(const char *where, const char *text, size_t len, char ret_code[3],
                  struct bh_error *err)
{
    char code[3] = { 0 };
    char near[3];
    if (len == 2) {
        code[0] = (char)toupper((unsigned char)text[0]);
        code[1] = (char)toupper((unsigned char)text[1]);
        if (is_listed(code)) {
            memcpy(ret_code, code, 3);
            return 0;
        }
    }
    if (!nearest_country(text, len, near)) {
        return bh_error_set(err, BH_EUSAGE, where,
                            "no such country code; give two letters of ISO 3166-1, like JP%s",
                            "国コードではありません。JP のような ISO 3166-1 の 2 文字で指定して"
                            "ください%s",
                            "");
    }
    code[0] = (char)toupper((unsigned char)near[0]);
    code[1] = (char)toupper((unsigned char)near[1]);
    const char *en = kobold_country_name(code, 0);
    const char *ja = kobold_country_name(code, 1);
    return bh_error_set(err, BH_EUSAGE, where, "no such country code; did you mean %s (%s%.0s)?",
                        "国コードではありません。%s (%.0s%s) ではありませんか", code,
                        en == NULL ? "" : en, ja == NULL ? "" : ja);
}

/* Marks the values of a country. A code that exists although the database has no range of it is
 * no error: nothing matches. */
static int
mark_country(struct parser *p, const struct filter_item *v, uint8_t *verdict)
{
    char code[3] = { 0 };
    bool found = false;
    if (v->len == 2) {
        code[0] = (char)toupper((unsigned char)v->at[0]);
        code[1] = (char)toupper((unsigned char)v->at[1]);
        for (unsigned i = 0; i < p->f->value_count; i++) {
            struct kobold_value info;
            if (kobold_value_info(p->f->countries, (uint16_t)i, &info) &&
                memcmp(info.code, code, 3) == 0) {
                verdict[i] = YES;
                found = true;
            }
        }
        found = found || is_listed(code);
    }
    return found ? 0 : unknown_country(p, v);
}

/* "special" is any special use, "unallocated" what no registry has given out; else the keys of
 * the database ("private-use"). Nearly a dozen values may share a key. */
static int
mark_class(struct parser *p, const struct filter_item *v, uint8_t *verdict)
{
    char keys[256][sizeof((struct kobold_value *)0)->class_name];
    const char *list[256 + 2] = { "special", "unallocated" };
    char word[sizeof keys[0]];
    size_t count = 2;
    bool found = false;
    snprintf(word, sizeof word, "%.*s", v->len < sizeof word ? (int)v->len : 0, v->at);
    for (size_t i = 0; word[i] != '\0'; i++) {
        word[i] = (char)tolower((unsigned char)word[i]);
    }
    for (unsigned i = 0; i < p->f->value_count; i++) {
        struct kobold_value info;
        if (!kobold_value_info(p->f->countries, (uint16_t)i, &info)) {
            continue;
        }
        bool special = info.kind == KOBOLD_SPECIAL;
        bool hit = special ? strcmp(word, "special") == 0 || strcmp(word, info.class_name) == 0
                           : info.kind == KOBOLD_UNALLOCATED && strcmp(word, "unallocated") == 0;
        if (hit) {
            verdict[i] = YES;
            found = true;
        }
        if (special && count < BH_COUNT(list)) {
            memcpy(keys[count - 2], info.class_name, sizeof keys[0]);
            list[count] = keys[count - 2];
            count++;
        }
    }
    if (found || strcmp(word, "special") == 0 || strcmp(word, "unallocated") == 0) {
        return 0;
    }
    const char *near = bh_nearest(word, list, count);
    if (near == NULL) {
        return filter_fail(p, v->token, BH_EUNKNOWN,
                           "not an address class: special, unallocated, private-use, multicast "
                           "and others (see the manual)",
                           "アドレスの種類ではありません。special、unallocated、private-use、"
                           "multicast など (マニュアルを参照)");
    }
    return filter_fail(p, v->token, BH_EUNKNOWN, "not an address class; did you mean %s?",
                       "アドレスの種類ではありません。%s ではありませんか", near);
}

static void
add_lower(struct bh_buf *out, const struct filter_item *v)
{
    for (size_t i = 0; i < v->len; i++) {
        bh_buf_putc(out, (char)tolower((unsigned char)v->at[i]));
    }
}

/* Before the list is read: what addresses outside of it answer. */
static uint8_t *
new_verdict(const struct bh_filter *f, bool of_country)
{
    uint8_t *verdict = calloc(f->value_count + 1U, 1);
    if (verdict == NULL || !of_country) {
        return verdict;
    }
    /* Private or unallocated addresses are known to be in no country; of ZZ nobody knows. */
    for (unsigned i = 0; i < f->value_count; i++) {
        struct kobold_value info;
        if (!kobold_value_info(f->countries, (uint16_t)i, &info) || info.kind == KOBOLD_UNKNOWN) {
            verdict[i] = UNKNOWN;
        }
    }
    return verdict;
}

int
filter_country_value(struct parser *p, const struct word *q, enum end end)
{
    const struct token *t = &p->tokens[p->at];
    struct filter_item v = { 0 };
    struct bh_buf text = { 0 };
    struct node n = { .op = OP_VALUE, .end = end };
    int r = 0;
    if (p->f->countries == NULL) {
        return filter_fail(p, t, BH_EUSAGE, "there is no country data to compare with",
                           "比べるための国データがありません");
    }
    n.verdict = new_verdict(p->f, q->qualifier == Q_COUNTRY);
    if (n.verdict == NULL) {
        return bh_error_errno(p->err, ENOMEM, "", "reading the filter", "フィルターの読み込み");
    }
    bh_buf_printf(&text, "%s%s ", filter_end_text[end], q->name);
    for (unsigned i = 0; r == 0 && filter_list_next(p, &v); i++) {
        if (i > 0) {
            bh_buf_putc(&text, ',');
        }
        add_lower(&text, &v);
        r = q->qualifier == Q_COUNTRY ? mark_country(p, &v, n.verdict)
                                      : mark_class(p, &v, n.verdict);
    }
    if (r < 0) {
        free(n.verdict);
    } else {
        n.text = text.failed ? NULL : strdup(text.data);
        p->f->needs |= BH_FILTER_NEEDS_COUNTRY;
        r = filter_push(p, t, &n);
    }
    bh_buf_done(&text);
    return r;
}
