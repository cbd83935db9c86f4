/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * verbs.h - the verbs of kobold that have a file of their own. Each takes a started program and returns
 * its exit status; errors are said.
 */
#ifndef KOBOLD_VERBS_H
#define KOBOLD_VERBS_H

#include "cc_common.h"

int verb_compile(struct cc_program *p);
int verb_explain(struct cc_program *p);
int verb_networks(struct cc_program *p);
int verb_export(struct cc_program *p);
int verb_diff(struct cc_program *p);
int verb_update(struct cc_program *p);

/* A verb with its own arguments, argv[0] being its name: what `kobold VERB ...` does. For verbs that stand
 * on others. */
int kobold_run_verb(int argc, char **argv);

#endif
