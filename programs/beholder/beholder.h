/* SPDX-License-Identifier: BSD-2-Clause */
/* What the verbs of the program share. */
#ifndef BEHOLDER_H
#define BEHOLDER_H

#include "bh_base.h"
#include "bh_option.h"

int verb_report(int argc, char **argv);

/* The language of --lang, else of the environment; before options are parsed, so that errors
 * about options speak it too. */
enum bh_lang program_lang(int argc, char **argv);
/* One line on stderr; returns the exit code: 2 for a wrong command line, else 1. */
int program_fail(const struct bh_error *err, enum bh_lang lang);
/* All of it to stdout, or an error (a full disk, a closed pipe). */
BH_NODISCARD int program_write(const struct bh_buf *out, struct bh_error *err);

#endif
