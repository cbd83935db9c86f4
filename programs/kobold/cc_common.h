/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cc_common.h - what kobold, cclookup and ccstatistics share: start-up, opening the database,
 * reading text, saying what an address is.
 *
 * Threads: one. Ownership: as noted. Errors: said on standard error here, once; the result is
 * the exit status.
 */
#ifndef CC_COMMON_H
#define CC_COMMON_H

#include "bh_option.h"
#include "kobold.h"

enum { CC_OK = 0, CC_FAILED = 1, CC_USAGE = 2 };

struct cc_program {
    const struct bh_command *command;
    struct bh_args *args;
    enum bh_lang lang;
    bool wants_as; /* answers shall name the autonomous system */
};

/* Options, --lang, --help, --version. Returns -1 to go on, else the exit status. */
int cc_start(struct cc_program *p, const struct bh_command *command, int argc, char **argv);
void cc_done(struct cc_program *p);
/* What stdio still holds goes out: CC_OK, or CC_FAILED after a complaint. */
int cc_end_stdout(const struct cc_program *p);
/* Print "PROGRAM: text" and return `status`. */
int cc_complain(const struct cc_program *p, int status, const struct bh_error *e);
int cc_complain_text(const struct cc_program *p, int status, const char *en, const char *ja);

/* The database of --country-db or --db, or the default one. NULL after a complaint. */
kobold *cc_open(const struct cc_program *p, const char *path);

/* The same for a command with --country-db, --db, --db-dir and --as-of: CC_OK, or the exit status. */
int cc_open_asked(const struct cc_program *p, kobold **ret);
/* The database of a directory that serves for a day. */
kobold *cc_open_day(const struct cc_program *p, const char *directory, const char *day);
bool cc_is_day(const char *text); /* "2026-06-25" */

/* Says once, on standard error, that the data are older than 90 days; `path` as given to cc_open(). */
void cc_say_age(const struct cc_program *p, const kobold *k, const char *path);

/* "PATH: " and what a code of Kobold means; CC_FAILED. */
int cc_complain_database(const struct cc_program *p, const char *path, int code);

struct cc_answer {
    struct kobold_result result;
    struct kobold_value value;
    char label[48];                /* code, class, or "unallocated"               */
    const char *name;              /* in the language asked for; never NULL       */
    char embedded[BH_IP_TEXT_MAX]; /* "" without a carrier                   */
    uint32_t asn;                  /* 0: none, unknown, or not wanted        */
    char as_name[256];             /* "" when it has none                    */
};

/* What a value means, of no address in particular. */
void
cc_answer_value(const struct cc_program *p, const kobold *k, uint16_t value, struct cc_answer *ret);
void
cc_ask(const struct cc_program *p, const kobold *k, const struct bh_ip *ip, struct cc_answer *ret);
/* The same for a look-up already done. */
void cc_describe(const struct cc_program *p, const kobold *k, struct kobold_result result,
                 struct cc_answer *ret);
/* `,"key":"text"`, null for an empty text. */
void cc_put_json_text(struct bh_buf *out, const char *key, const char *text);
void cc_put_json_as(struct bh_buf *out, const struct cc_answer *a); /* ,"asn":..,"as_name":.. */
/* The object without its closing brace, so that more can follow. */
void cc_put_json(struct bh_buf *out, const char *address, const struct cc_answer *a);
const char *cc_kind_name(unsigned kind);

/* Write and empty; a closed pipe ends the program quietly, another failure is said. */
int cc_flush(const struct cc_program *p, struct bh_buf *out);

/* Text comes in whole lines: calls `take` with as many as there are (the last may lack its end).
 * Returns an exit status; `take` returns CC_OK to go on. */
int cc_read_lines(const struct cc_program *p, const char *path,
                  int (*take)(void *arg, const char *text, size_t len), void *arg);

#endif
