/* SPDX-License-Identifier: BSD-2-Clause */
/* What the verbs of the program share. */
#ifndef BEHOLDER_H
#define BEHOLDER_H

#include <signal.h>
#include <time.h>

#include "bh_capture.h"
#include "bh_option.h"
#include "bh_report.h"
#include "bh_rows.h"

int verb_report(int argc, char **argv);
int verb_import(int argc, char **argv);
int verb_log(int argc, char **argv);
/* beholder alone: the opening sentence of the default log's last day. False: there is no log. */
bool program_last_day(enum bh_lang lang, int *ret_code);
int verb_check_config(int argc, char **argv);
int verb_config(int argc, char **argv);
int verb_outputs(int argc, char **argv);
int verb_interfaces(int argc, char **argv);
int verb_doctor(int argc, char **argv);
int verb_show(int argc, char **argv);
int verb_fields(int argc, char **argv);
int verb_count(int argc, char **argv);
int verb_feed(int argc, char **argv);
int verb_export(int argc, char **argv);
int verb_capture(int argc, char **argv);
int verb_status(int argc, char **argv);

/* One line on stderr; returns the exit code: 2 for a wrong command line, else 1. */
int program_fail(const struct bh_error *err, enum bh_lang lang);
/* What stdio still holds goes out; returns the exit code, after a complaint when it could not. */
int program_end_stdout(enum bh_lang lang);
/* All of it to stdout, or an error (a full disk, a closed pipe). */
BH_NODISCARD int program_write(const struct bh_buf *out, struct bh_error *err);

/* Files, and behind them the words of a filter. */
struct operands {
    const char **files; /* the caller frees */
    size_t file_count;
    const char *const *words;
    size_t word_count;
    char log_dir[4096]; /* the default log, when that is what is read */
};
BH_NODISCARD int program_operands(const struct bh_args *a, const char *command,
                                  struct operands *ret, struct bh_error *err);
/* The same, or what --log-dir names, or the default log when no file is named. */
BH_NODISCARD int program_operands_or_log(const struct bh_args *a, const char *command,
                                         struct operands *ret, struct bh_error *err);
/* What is to be said about the input, on stderr; returns the exit code: 1 when something is damaged. */
int program_notes(const struct bh_capture_note *notes, size_t count, enum bh_lang lang, bool quiet);

/* --keep and --keep-size, as far as they are given. */
BH_NODISCARD int
program_keep(const struct bh_args *a, uint64_t *ret_ns, uint64_t *ret_bytes, struct bh_error *err);

/* Ctrl-C and SIGTERM, after program_catch_stop(): 0, or which one came. What goes on looks at it between two steps. */
extern volatile sig_atomic_t program_stopped;
void program_catch_stop(void);
/* The verbs that go through records (show, count, export): what their command lines have in common. */
struct asked_records {
    const struct bh_args *args;
    enum bh_lang lang;
    struct operands words;
    struct bh_report_options input;
    struct bh_anonymize *anonymize; /* NULL: addresses as they are */
};
/* Parses; `run` does it and returns the exit code. */
int program_records(int argc, char **argv, const struct bh_command *command,
                    int (*run)(struct asked_records *q));
/* bh_records_run() with the bar, notes and Ctrl-C; what lines need of a log is `needs` (BH_NEEDS_...). When
 * 0, *ret_code is the exit code of what was found on the way. */
BH_NODISCARD int
program_read_records(struct asked_records *q, struct bh_records_config *cfg, uint32_t needs,
                     struct bh_records *ret, int *ret_code, struct bh_error *err);
/* Ctrl-C was pressed: what is being done ends at its next step. Only after program_read_records() began. */
bool program_is_interrupted(void);
/* What was asked for with Ctrl-C happens now. */
void program_end_interrupted(void);

/* A bar on stderr. */
struct bar {
    struct timespec start;
    bool drawn, is_wanted;
};
bool bar_begin(struct bar *bar, bool quiet); /* true: there is a terminal to draw on */
void bar_draw(void *bar, uint64_t done, uint64_t total);
void bar_end(struct bar *bar);

#endif
