/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads that share the pieces of one job: crew.c. */
#ifndef STORE_CREW_PRIV_H
#define STORE_CREW_PRIV_H

#include "bh_base.h"

#define CREW_MOST 8U /* of threads, who asks among them */

struct crew; /* opaque */
/* Piece 0, 1, ... of a job, each once; `worker` is below the number of threads, and nobody else has it now. */
typedef void crew_fn(void *arg, uint32_t piece, unsigned worker);
/* `threads`: 0: one a processor. */
BH_NODISCARD int crew_new(unsigned threads, struct crew **ret);
void crew_free(struct crew *c);
unsigned crew_size(const struct crew *c);
/* All pieces, by who asks and the others; returns when all are done. NULL: by who asks alone. */
void crew_run(struct crew *c, crew_fn *fn, void *arg, uint32_t pieces);

#endif
