/* SPDX-License-Identifier: BSD-2-Clause */
/* Accesses of many blocks, added up: block_cells.c. docs/design/asking.md, "Added up before they come". */
#ifndef STORE_CELLS_PRIV_H
#define STORE_CELLS_PRIV_H

#include "block_rows_priv.h"
#include "crew_priv.h"
#include "file_priv.h"

/* A block that is to be added up, and what became of it. */
struct cells_block {
    const struct log_file *file;
    const struct block_ref *ref;
    int result; /* 0, BH_EDAMAGED: nothing of it counts, -ENOMEM */
};
#define CELLS_BLOCKS_MOST 256U

/* The first and the last access of all that was added up. */
struct cells_bounds {
    int64_t first_ns, last_ns;
};

struct block_cells; /* opaque */
/* For the blocks of this dictionary. BH_ELIMIT: they cannot be. `span`: accesses stay apart where a stretch of so
 * many ns ends; CELLS_NO_SPAN: none does. */
#define CELLS_NO_SPAN INT64_MAX
BH_NODISCARD int block_cells_begin(struct block_cells **cells, struct crew *crew,
                                   const struct dict *d, bool by_service, int64_t span);
/* How many blocks it takes at once. */
uint32_t block_cells_room(const struct block_cells *c);
/* Adds them up. What the times of accesses are is looked at where the answer needs it only. */
void block_cells_take(struct block_cells *c, struct cells_block *block, uint32_t count,
                      struct cells_bounds *bounds);
/* Their sums, as rows with a weight; false: no more. The same rows in the same order, whatever the crew. */
bool block_cells_next(struct block_cells *c, const uint16_t *value_of_country, struct bh_batch *b);
void block_cells_free(struct block_cells *c);

#endif
