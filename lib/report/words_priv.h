/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Words of the report in both languages: one table of templates (words_table_priv.h), and the
 * small texts that go into them (say.c).
 *
 * A template names its arguments by number, so that the languages may order them as they like:
 *   {0}             the first argument
 *   {0?one|many}    "one" when the first argument is the text "1", else "many"
 *   [countries|regions]  what the rows of the report are (bh_say_rows only)
 * Arguments are ready texts. There is no printf here: a wrong template prints badly, no more.
 */
#ifndef BH_WORDS_PRIV_H
#define BH_WORDS_PRIV_H

#include "bh_report_priv.h"

enum bh_word_id {
#define BH_WORD(id, en, ja) BH_W_##id,
#include "words_table_priv.h"
#undef BH_WORD
    BH_WORDS
};
const char *bh_word(enum bh_word_id id, enum bh_lang lang);

void bh_say_args(struct bh_buf *out, const char *template, const char *const *args, size_t count);
/* At least one argument; a word without any is put with bh_buf_puts(out, bh_word()). */
#define bh_say(out, lang, id, ...)                                                                 \
    bh_say_args((out), bh_word(BH_W_##id, (lang)), (const char *const[]){ __VA_ARGS__ },           \
                sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))
void bh_say_rows(struct bh_buf *out, const struct bh_trend *t, const char *template,
                 const char *const *args, size_t count);

/* Small texts by value: they live until the end of the expression they are made in. */
struct bh_short {
    char s[96];
};
struct bh_short bh_num(uint64_t n);                         /* 78,657 */
struct bh_short bh_percent(uint64_t part, uint64_t whole);  /* 13.9%  */
struct bh_short bh_times(uint64_t part, uint64_t whole);    /* 4.7    */
struct bh_short bh_port_text(uint16_t port, uint8_t proto); /* 25/tcp */
/* "25/tcp (smtp)" */
struct bh_short bh_port_words(const struct bh_report *r, uint16_t port, uint8_t proto);
struct bh_short bh_ip_words(const struct bh_ip *ip);
struct bh_short bh_place_words(const struct bh_place *p, enum bh_lang lang);
/* The same inside a sentence: "the Netherlands". */
struct bh_short bh_place_in_text(const struct bh_place *p, enum bh_lang lang);
struct bh_short bh_code_words(const char *code, enum bh_lang lang); /* of a country or M49 region */
struct bh_short bh_duration_words(int64_t ns, enum bh_lang lang);
struct bh_short bh_time_words(int64_t ts_ns); /* 2007-04-01 00:00 */
struct bh_short bh_date_words(int64_t ts_ns); /* 2007-04-01 */
struct bh_short bh_mac_words(uint64_t mac);
/* The one address that is home, or what was taken as home. */
void bh_home_words(const struct bh_report *r, enum bh_lang lang, struct bh_buf *out);
/* "accesses", "sources" ... in the chosen count. */
const char *bh_unit_word(const struct bh_trend *t, enum bh_lang lang);
/* "1,539 accesses", "1,539 件" in the chosen count; accesses always. */
struct bh_short bh_count_words(const struct bh_trend *t, uint64_t n, enum bh_lang lang);
struct bh_short bh_access_words(uint64_t n, enum bh_lang lang);
/* The mark between the entries of an enumeration: ", " and before the last " and ". */
const char *bh_join_word(size_t at, size_t count, enum bh_lang lang);
const char *bh_class_words(unsigned cls, enum bh_lang lang);
/* True when both ends of the period are local midnights. */
bool bh_period_is_days(const struct bh_trend *t);

/* The opening sentences; when nothing was counted, why, and what to try. */
void bh_opening_words(const struct bh_report *r, enum bh_lang lang, struct bh_buf *out);
void bh_nothing_words(const struct bh_report *r, enum bh_lang lang, struct bh_buf *out);

#endif
