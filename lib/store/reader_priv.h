/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reader of a packet log, which is in four files: store.c opens it, about.c says what is in it, cursor.c walks the
 * blocks of one run, read.c plans a query and puts the rows of all runs in order.
 */
#ifndef BH_STORE_READER_PRIV_H
#define BH_STORE_READER_PRIV_H

#include "cells_priv.h"
#include "rows_priv.h"
#include "sensors_priv.h"
#include "sieve_priv.h"

/* Opened, a block takes some 5 MB. */
#define AHEAD_MOST (2 * CREW_MOST)

/* Where a run is being read. */
struct cursor {
    size_t *file; /* indexes of its files, in order */
    size_t files, file_at, block_at;
    struct dict dict;
    size_t dict_of; /* file << 32 | dictionary + 1; 0: none */
    bool is_open;   /* a block is, or some that are added up */
    /* Blocks that were opened together; the first that is not read yet. */
    struct opened {
        struct block_rows *rows;
        size_t block_at;
        int result;
        uint64_t unknown;
        bool more;
    } ahead[AHEAD_MOST];
    uint32_t ahead_count, ahead_at;
    struct sieve sieve[CREW_MOST]; /* of each thread */
    bool has_sieve;                /* for the blocks of this dictionary */
    struct block_cells *cells;
    bool has_cells,
        adds_up; /* blocks of this dictionary may be added up; those that are open are */
    struct cells_block *taken; /* these, and where they stand in the file */
    size_t taken_at[CELLS_BLOCKS_MOST];
    uint32_t taken_count;
    bool is_empty; /* no row came of the open block     */
    uint16_t *value_of_country;
    struct bh_batch *batch; /* rows that wait for those of other runs */
    uint32_t row;
    uint64_t file_row; /* of the next row of the open block */
    bool ended;
    uint16_t sensor;
    const struct bh_store_sums *sums; /* of the run; NULL: none known */
};

struct bh_store {
    struct log_file *file;
    size_t files;
    struct bh_store_run *run;
    size_t runs;
    struct cursor *cursor; /* one a run */
    struct sensor_names sensors;
    struct bh_store_sums sums;
    struct bh_store_health health;
    uint64_t lost_of_files; /* where their frames were damaged: known from the start */
    struct bh_store_query query;
    struct country_values values; /* of the query's database */
    struct file_plan *plan;       /* of each file */
    struct bh_store_skipped skipped;
    uint64_t blocks_done;
    struct crew *crew;          /* of the query */
    struct cells_bounds bounds; /* of accesses that were added up */
    struct log_file joined;     /* of a log alone; without data: none that holds */
};

/* ---- store.c ------------------------------------------------------------------------------------------------- */

void note_damage(struct bh_store *s, const struct log_file *f, uint64_t at);
void plans_done(struct bh_store *s);

/* ---- cursor.c ------------------------------------------------------------------------------------------------ */

/* Does the query read this block? */
bool is_wanted(const struct bh_store *s, size_t file, size_t block);
/* The next block of the run that is wanted; NULL: the end. */
const struct block_ref *next_block(const struct bh_store *s, struct cursor *c);
/* The next rows of a run into `b`. 1, 0 at its end, or negative; 2: there is nothing in its next block, and
 * another run may come first now. */
int cursor_next(struct bh_store *s, struct cursor *c, struct bh_batch *b);
void cursor_end(struct cursor *c);

#endif
