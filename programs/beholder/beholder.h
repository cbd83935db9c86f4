/* SPDX-License-Identifier: BSD-2-Clause */
/* What the verbs of the program share. */
#ifndef BEHOLDER_H
#define BEHOLDER_H

#include <signal.h>
#include <time.h>

#include "bh_capture.h"
#include "bh_option.h"

int verb_report(int argc, char **argv);
int verb_import(int argc, char **argv);
int verb_log(int argc, char **argv);
int verb_check_config(int argc, char **argv);
int verb_config(int argc, char **argv);
int verb_outputs(int argc, char **argv);
int verb_interfaces(int argc, char **argv);
int verb_doctor(int argc, char **argv);

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
};
BH_NODISCARD int program_operands(const struct bh_args *a, const char *command, struct operands *ret, struct bh_error *err);
/* What is to be said about the input, on stderr; returns the exit code: 1 when something is damaged. */
int program_notes(const struct bh_capture_note *notes, size_t count, enum bh_lang lang, bool quiet);

/* --keep and --keep-size, as far as they are given. */
BH_NODISCARD int program_keep(const struct bh_args *a, uint64_t *ret_ns, uint64_t *ret_bytes, struct bh_error *err);

/* Ctrl-C and SIGTERM, after program_catch_stop(): 0, or which one came. What goes on looks at it between two steps. */
extern volatile sig_atomic_t program_stopped;
void program_catch_stop(void);

/* A bar on stderr. */
struct bar {
    struct timespec start;
    bool drawn, is_wanted;
};
bool bar_begin(struct bar *bar, bool quiet); /* true: there is a terminal to draw on */
void bar_draw(void *bar, uint64_t done, uint64_t total);
void bar_end(struct bar *bar);

#endif
