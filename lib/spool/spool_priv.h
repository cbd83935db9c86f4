/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of a spool share. docs/format/spool.md */
#ifndef BH_SPOOL_PRIV_H
#define BH_SPOOL_PRIV_H

#include "bh_spool.h"

enum {
    FILE_HEAD = 64,
    BLOCK_HEAD = 64,
    STATE_SLOT = 4096,
    LOSSES = 32, /* runs; then the oldest is forgotten */
};

/* A file as it was found, or is written. */
struct spool_file {
    uint64_t sequence;
    uint64_t size; /* up to here there are whole blocks */
    uint64_t rows_before, rows;
    bool foreign; /* another layout */
};

struct place {
    uint64_t sequence, offset;
};

struct bh_spool {
    int dir_fd, state_fd;
    uint64_t most, file_most;
    uint32_t layout;
    struct spool_file *file; /* by sequence; the last one is written to while write_fd is open */
    size_t count, cap;
    uint64_t octets;
    int write_fd, read_fd;
    uint64_t read_sequence; /* of read_fd */
    uint64_t next_sequence, rows_added;
    struct place safe, read;
    /* Holes between files are counted up to this one, damaged blocks up to there: once, not with every start. */
    uint64_t holes_upto;
    struct place counted;
    struct place replay; /* a heading before `read` that comes first; sequence 0: none */
    struct bh_spool_block shown;
    bool is_shown;
    uint64_t rows, lost_rows, damaged, state_number;
    struct bh_spool_loss loss[LOSSES];
    size_t losses;
    int64_t end_start;     /* of the newest batch: its run, */
    uint64_t end;          /* and the number behind it      */
    uint64_t end_sequence; /* where it was found        */
    struct bh_buf heading;
    int64_t heading_start;
    bool heading_due;
    uint8_t *buf; /* a block */
};

uint64_t spool_sum(const uint8_t *data, size_t size);
void spool_name(uint64_t sequence, char name[32]);

/* ---- blocks (block.c) ------------------------------------------------------------------------------------- */

/* What a block takes in a file. */
uint64_t spool_block_size(uint32_t size);
void spool_block_put(uint8_t head[BLOCK_HEAD], const struct bh_spool_block *b);
/* The head at `offset`; its block lies within `end`. False: that is none. `sum`: of its data. */
bool spool_block_head(int fd, uint64_t offset, uint64_t end, struct bh_spool_block *ret,
                      uint64_t *ret_sum);
void
spool_file_put(uint8_t head[FILE_HEAD], uint32_t layout, uint64_t sequence, uint64_t rows_before);
bool spool_file_get(const uint8_t head[FILE_HEAD], uint32_t *ret_layout, uint64_t *ret_sequence,
                    uint64_t *ret_rows_before);

/* ---- the state (state.c) ------------------------------------------------------------------------------------ */

BH_NODISCARD int spool_state_open(struct bh_spool *s, struct bh_error *err);
void spool_state_save(struct bh_spool *s);
void spool_lose(struct bh_spool *s, const struct bh_spool_block *b);

/* ---- files as they are found (find.c) ---------------------------------------------------------------------- */

BH_NODISCARD int spool_find(struct bh_spool *s, struct bh_error *err);
/* Its place in the list, or of the first one behind; `count`: none. */
size_t spool_at(const struct bh_spool *s, uint64_t sequence);
BH_NODISCARD int spool_file_add(struct bh_spool *s, const struct spool_file *f);
int spool_reader(struct bh_spool *s, uint64_t sequence);

#endif
