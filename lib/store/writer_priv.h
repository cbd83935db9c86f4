/* SPDX-License-Identifier: BSD-2-Clause */
/* What the writer and its journal share. */
#ifndef STORE_WRITER_PRIV_H
#define STORE_WRITER_PRIV_H

#include "rows_priv.h"

/* What a flush needs, kept for the next one: getting the pages of its buffers takes as long as filling them. */
#define JOURNAL_TURNS 32U
struct journal_work {
    struct dict_plain plain; /* of the tables of the open rows: to be made anew with them */
    struct bh_buf dict, head, body, out, sums;
    uint64_t upto[JOURNAL_TURNS]; /* up to which row each of the last flushes went */
    unsigned flushes;
    uint64_t unsaid; /* of the rows from here on this journal has no verdicts yet */
};
void journal_work_done(struct journal_work *j);

/* What came is in the journal a second later. */
#define FLUSH_NS 1000000000LL
#define MARKS 16U

struct sealer;
struct bh_store_writer {
    char *dir;
    struct bh_store_run run;
    const kobold *countries;
    uint64_t sync_ns, key, sequence; /* of the segment to come */
    uint32_t segment_blocks;
    int lock_fd;

    struct open_rows open;
    uint64_t base;    /* rows before those of open.chunk[0]          */
    uint64_t rows;    /* all that came                               */
    uint64_t settled; /* of them                                     */
    size_t settle_chunk;
    uint32_t settle_row;

    int journal_fd;
    char journal_path[4096];
    uint64_t journal_size, flushed,
        judged; /* judged: rows whose outcomes in the journal are final */
    /* clock of the last tick, flush, sync, look at the lock */
    int64_t now_ns, flush_ns, synced_ns, checked_ns;
    bool any_tick, flush_all;
    struct mark {
        int64_t ns;
        uint64_t rows;
    } mark[MARKS]; /* how many rows had come when: tells how long some have waited */
    unsigned marks;
    bool journal_is_named; /* its name is on the disk */

    struct bh_store_sums sums;
    struct block_work work;
    struct journal_work journal;
    uint64_t keep_ns, keep_bytes;
    /* Sealing beside: the first so many chunks of `open` are with the sealer. NULL: none. */
    struct sealer *sealer;
    size_t handed_over;
    /* Not full, not sealed: what a disk without room can be asked again for, at the next tick. */
    bool seal_waits;
    bool failed;           /* what is in memory and what is in files no longer agree: only close */
    struct bh_error error; /* why */
};

/* A new journal for the sequence of the segment to come. `after`: whose unsealed rows it begins with. */
BH_NODISCARD int journal_open(struct bh_store_writer *w, uint64_t after, struct bh_error *err);
/* Everything up to the row `upto` that came, into the journal. When it fails the journal is as before,
 * and it can be tried again. */
BH_NODISCARD int journal_flush(struct bh_store_writer *w, uint64_t upto,
                               bh_store_verdict_fn *verdict, void *arg, struct bh_error *err);
/* To the disk; of a new one its name too. */
BH_NODISCARD int journal_sync(struct bh_store_writer *w, struct bh_error *err);

/* seal.c */
/* no more rows come into it */
bool chunk_is_complete(const struct bh_store_writer *w, size_t chunk);
BH_NODISCARD int sealer_new(struct sealer **ret_sealer);
void sealer_free(struct sealer *s);
/* The first chunks, here and now. None must be handed over. */
BH_NODISCARD int seal_now(struct bh_store_writer *w, size_t chunks, struct bh_error *err);
/* What was handed over into its place, once it is sealed. */
BH_NODISCARD int seal_take_back(struct bh_store_writer *w, bool wait, struct bh_error *err);
/* Whatever is to be done; after an error seal_waits says that a tick should try again. */
BH_NODISCARD int seal_when_full(struct bh_store_writer *w, struct bh_error *err);

/* Its outcome is not known yet. */
static inline bool
is_open_knock(const struct chunk *c, uint32_t row)
{
    return c->stream[row] == STREAM_KNOCK && c->outcome[row] == BH_OUTCOME_NONE;
}

#endif
