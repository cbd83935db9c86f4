/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_text_priv.h - lines and their fields, between the files that read texts: kobold_text.c
 * (formats), kobold_scan.c (tables that are as they should be, fast), kobold_fields.c (numbers,
 * addresses, countries, dates), kobold_iana.c (IANA's registries), kobold_as.c (AS tables).
 */
#ifndef KOBOLD_TEXT_PRIV_H
#define KOBOLD_TEXT_PRIV_H

#include "kobold_compile_priv.h"

#define FIELDS_MAX 24
struct field {
    const char *at;
    size_t len;
};

struct line {
    struct field whole;
    struct field fields[FIELDS_MAX];
    size_t count;
    uint32_t number;
};

/* What was wrong with a line, and what to do; NULLs: nothing. */
struct trouble {
    const char *text[BH_LANGS];
};

#define TROUBLE(en, ja) ((struct trouble){ { en, ja } })
#define FINE ((struct trouble){ { NULL, NULL } })

struct parser {
    struct kobold_build *build;
    struct kobold_source *source;
    enum kobold_format format;
    size_t country_column; /* of range and prefix tables; set by a heading */
};

/* kobold_fields.c */
static inline bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

struct field trim(struct field f); /* blanks, then one pair of quotes */
bool is_word(struct field f, const char *word);
void copy_field(char *to, size_t size, struct field f);
/* Split at `separator`, or at runs of blanks when it is ' '. */
void split(struct line *l, char separator);
bool next_line(const char **at, size_t *left, struct line *l);
bool parse_uint(struct field f, uint64_t *ret);
/* These return 4 or 6, or 0. A number is IPv4 when it fits 32 bits. */
int parse_address(struct field f, struct kobold_addr *ret);
int parse_address_or_number(struct field f, struct kobold_addr *ret);
/* The last address of the block; false when bits are set beyond its length. */
bool block_end(int family, struct kobold_addr start, unsigned len, struct kobold_addr *ret);
struct trouble parse_prefix(struct field f, int *ret_family, struct kobold_addr *ret_start,
                            struct kobold_addr *ret_end);
enum { COUNTRY_BROKEN = -1, COUNTRY_NOBODY = -2, COUNTRY_EMPTY = -3 };
/* A code, or one of the above. Letters that are no country become "unknown" and are counted. */
int parse_country(struct kobold_input *input, struct field f);
bool is_day(uint64_t yyyymmdd);
uint32_t day_of_seconds(uint64_t seconds); /* since 1970; as yyyymmdd */
uint16_t days_of_day(uint64_t yyyymmdd);   /* since 1970; 0 when it is none */
uint32_t parse_mail_date(struct field f);  /* "Thu, 25 Jun 2026 04:33:59 GMT"; 0 */

/* kobold_text.c */
int check_text(const char *name, const char *text, size_t size, struct bh_error *err);
void skip_mark(const char **text, size_t *size); /* a byte order mark in front */
/* Says what is wrong with a line: of the first few, which `input->broken` counts. */
void say_trouble(struct kobold_build *b, const char *name, const struct kobold_input *input,
                 uint32_t line, const struct trouble *t);

/* kobold_iana.c */
bool is_iana(const char *text, size_t size);
int iana_parse(struct kobold_build *b, struct kobold_source *s, const char *text, size_t size,
               struct bh_error *err);

/* kobold_as_text.c: "64496" or "AS64496"; 0 when it is none. */
uint32_t as_number(struct field f);

/* kobold_mmdb.c: databases in MaxMind's format, as countries of a source or as AS tables. */
bool is_mmdb(const char *data, size_t size);
int mmdb_parse(struct kobold_source *s, const char *data, size_t size, struct bh_error *err);
int mmdb_parse_as(struct kobold_build *b, const char *name, const char *data, size_t size,
                  struct kobold_input *input, struct bh_error *err);

/* kobold_scan.c: takes lines start,end,country from `*at` on, while they are plain and right;
 * what is left is for the general reader. Returns how many it took. */
uint32_t scan_ranges(struct kobold_source *s, const char **at, size_t *left, uint32_t line);

#endif
