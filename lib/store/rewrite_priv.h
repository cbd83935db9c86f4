/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing segments anew: recovery, compaction, repair and merging (upkeep.c) come to this. */
#ifndef STORE_REWRITE_PRIV_H
#define STORE_REWRITE_PRIV_H

#include "rows_priv.h"

/* Rows of several files, twice: to count them, and to code them. Memory is that of the tables and one
 * chunk, however many rows there are. */
struct rewrite {
    struct open_rows rows; /* one chunk, used again and again */
    struct block_work *work;
    struct census census;
    struct dict dict;
    struct segment_out out;
    bool coding;
    bool whole; /* not when some of it is lost: 1 then, and nothing is changed */
    uint64_t lost, kept;
    bh_store_progress_fn *progress;
    void *arg;
    uint64_t done, total;
    bool beside; /* somebody writes to the log, and may remove old segments */
    struct bh_error *err;
};
/* What is not written anew: it would lose records; some of it was removed meanwhile. */
enum { LEFT_DAMAGED = 1, LEFT_GONE = 2 };
/* The records of files of one run as one segment, that stands for the numbers first to last. Its days are
 * those of the zone it was written in, whatever is set here. */
BH_NODISCARD int write_anew(struct rewrite *x, const char *dir, const struct log_file *const *files,
                            size_t count, uint64_t first, uint64_t last);

#endif
