/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows that are not sealed yet: what the writer, recovery and compaction share. */
#ifndef STORE_ROWS_PRIV_H
#define STORE_ROWS_PRIV_H

#include "file_priv.h"

struct open_rows {
    struct terms terms;
    struct chunk **chunk;
    size_t count, cap;
    unsigned short_blocks; /* that steps back in time cut short, one after the other */
    struct chunk **spare;  /* sealed ones, to be filled again: their pages are there already */
    size_t spare_count;
};
/* A step back in time that begins a block, so that blocks stay short in time. */
bool is_far_back(struct open_rows *o, const struct chunk *c, int64_t ts_ns);

BH_NODISCARD int rows_init(struct open_rows *o, const kobold *countries, uint64_t key);
void rows_done(struct open_rows *o);
/* The first chunks go, as they are sealed. */
void rows_forget(struct open_rows *o, size_t chunks);
/* Entries of the largest of its tables. */
uint32_t rows_largest_table(const struct open_rows *o);
struct chunk *rows_new_chunk(struct open_rows *o, uint32_t flags); /* NULL: no memory */
/* All rows of a batch; `lacks`: what is left out. */
BH_NODISCARD int rows_add(struct open_rows *o, const struct bh_batch *b, uint32_t lacks,
                          const uint16_t *country_map);
/* The first `chunks` chunks as a segment that is on the disk, but not in its place. */
BH_NODISCARD int
rows_seal(const struct open_rows *o, size_t chunks, const char *dir, uint64_t sequence,
          const struct bh_store_run *run, const struct bh_store_sums *sums, struct block_work *work,
          struct segment_out *ret, struct bh_error *err);

/* Outcomes that came after the rows of a journal: `row` is the first of the batch in its file. */
void apply_verdicts(const struct log_file *f, uint64_t row, struct bh_batch *b);

/* What bh_store_retain() does, of a log that is locked. */
BH_NODISCARD int retain_files(const char *dir, uint64_t keep_ns, uint64_t keep_bytes,
                              struct bh_store_done *ret_done, struct bh_error *err);

#endif
