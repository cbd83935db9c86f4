/* SPDX-License-Identifier: BSD-2-Clause */
/* verbs.h - the verbs of kobold; each returns its exit status and has said what went wrong. */
#ifndef KOBOLD_VERBS_H
#define KOBOLD_VERBS_H

#include "cc_common.h"

int run_compile(struct cc_program *p);
int run_explain(struct cc_program *p);

#endif
