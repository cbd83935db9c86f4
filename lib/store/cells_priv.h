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

/* ---- what its two files share ---------------------------------------------------------------------------- */

#define NO_KIND UINT16_MAX
#define KINDS_MOST 1024U
#define CELLS_MOST (1U << 20)
#define NARROW 256U /* countries that are told by one octet */

struct sum {
    int64_t ts_ns;
    uint32_t group, port, count; /* group: packed */
    uint16_t country;
};

/* Sums of one block whose times were looked at. */
struct sums {
    struct sum *sum;
    uint32_t count, room;
};

/* What one thread needs. */
struct cells_work {
    struct block_rows *rows;
    uint32_t *code; /* [code * stride + country]: rows of blocks without times */
    uint32_t *
        cell; /* [kind * stride + country]: of a stretch; of rows with code 255 also without times */
    uint32_t *used; /* places of `cell` that count */
    uint32_t used_count;
    uint16_t *at;   /* rows whose port stands in the list */
    uint64_t *lone; /* blocks without times: place * 65536 + port */
    size_t lone_count, lone_room;
    uint32_t listed_at, group_at; /* in the lists of services of the open block */
    bool is_used, failed;
};

struct block_cells {
    const struct dict *d;
    struct crew *crew;
    int64_t span;
    bool by_service;
    uint32_t stride; /* of countries */
    uint16_t
        kind_of[CODES]; /* of a service; NO_KIND: no access, or its ports are told one by one */
    uint16_t *kind_of_group; /* of rows with code 255 */
    uint16_t *
        place_of_group; /* of ports that are told one by one: place of the group among those; NO_KIND */
    uint32_t *place_group; /* the other way: packed */
    uint32_t places;
    uint8_t is_listed[CODES];
    uint32_t group[KINDS_MOST]; /* of a kind: packed */
    uint32_t port[KINDS_MOST];  /* PORT_ANY: not told */
    uint32_t kinds;
    struct cells_work work[CREW_MOST];
    /* the blocks that were taken */
    struct cells_block *block;
    struct cells_bounds bounds;
    uint8_t is_timed[CELLS_BLOCKS_MOST];      /* its sums are in `sums` already */
    struct sums sums[CELLS_BLOCKS_MOST], all; /* all: of blocks without times, together */
    uint64_t *lone;
    size_t lone_count, lone_room, lone_next;
    uint32_t blocks, next_block, next;
};

void cells_put_sum(struct sums *s, const struct sum *x, bool *failed);
/* Where the stretch of a time begins. Times of a file may be any. */
int64_t cells_floor_to(int64_t ts, int64_t span);
/* One block: with its times, so that its sums are in `to`, and the bounds (may be NULL) are widened; without, where all are one
 * stretch, into the tables of a thread; without, where it lies in one of several. 0, BH_EDAMAGED, -ENOMEM. */
BH_NODISCARD int
cells_take_timed(const struct block_cells *c, struct cells_work *w, const struct cells_block *block,
                 struct sums *to, struct cells_bounds *bounds);
BH_NODISCARD int cells_take_still(const struct block_cells *c, struct cells_work *w,
                                  const struct cells_block *block);
BH_NODISCARD int cells_take_stretch(const struct block_cells *c, struct cells_work *w,
                                    const struct cells_block *block, struct sums *to);

#endif
