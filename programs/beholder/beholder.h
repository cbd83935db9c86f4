/* SPDX-License-Identifier: BSD-2-Clause */
/* What the verbs of the program share. */
#ifndef BEHOLDER_H
#define BEHOLDER_H

#include "bh_base.h"
#include "bh_option.h"

int verb_report(int argc, char **argv);

/* One line on stderr; returns the exit code: 2 for a wrong command line, else 1. */
int program_fail(const struct bh_error *err, enum bh_lang lang);
/* What stdio still holds goes out; returns the exit code, after a complaint when it could not. */
int program_end_stdout(enum bh_lang lang);
/* All of it to stdout, or an error (a full disk, a closed pipe). */
BH_NODISCARD int program_write(const struct bh_buf *out, struct bh_error *err);

#endif
