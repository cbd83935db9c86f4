/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_spool.h - batches that wait on disk, in order, until they are safe elsewhere.
 *
 * A bounded queue of blocks in files of one directory: added behind, handed out in front, and forgotten when whoever
 * got them says that they are safe. It survives its process: who comes after begins with the first block that is not
 * safe. Beyond the bound the oldest file goes, and what was in it and not handed out is counted as lost, by run. What
 * the octets of a block mean is the caller's; so is checking them, as a file is foreign whoever wrote it.
 *
 *     safe ......... handed out ......... added          blocks, in this order
 *         may come again        waits
 *
 * docs/format/spool.md has the files, docs/design/sensor.md why they are as they are.
 *
 * Threads:   one at a time. A directory belongs to one process: the second is refused (-EBUSY).
 * Ownership: the caller's. What bh_spool_next() shows lasts until the next call.
 * Errors:    an add that failed has added nothing; it can be tried again. Damage is skipped and counted.
 */
#ifndef BH_SPOOL_H
#define BH_SPOOL_H

#include "bh_base.h"

#define BH_SPOOL_LEAST (1U << 20)       /* octets; less than that is no bound to work with */
#define BH_SPOOL_BLOCK_MAX (256U << 10) /* octets of a block's data                       */

enum bh_spool_kind {
    BH_SPOOL_HEADING = 1, /* what blocks behind it mean: a run; each file begins with one */
    BH_SPOOL_BATCH,       /* rows                                                        */
    BH_SPOOL_NOTE,        /* about the run, nothing is lost with it                      */
};

struct bh_spool_block {
    uint32_t kind, rows;
    int64_t start_ns;          /* of its run                                        */
    uint64_t number;           /* of a batch, in its run; counts up, may leave out  */
    int64_t first_ns, last_ns; /* its rows lie in between                  */
    const uint8_t *data;
    uint32_t size;
};

struct bh_spool_loss { /* of one run */
    int64_t start_ns, first_ns, last_ns;
    uint64_t rows;
};

struct bh_spool_config {
    const char *dir; /* made when it is not there */
    uint64_t octets; /* at most                   */
    uint32_t layout; /* of what batches hold: files with another are skipped, and counted */
};

struct bh_spool; /* opaque */
BH_NODISCARD int
bh_spool_open(const struct bh_spool_config *cfg, struct bh_spool **ret, struct bh_error *err);
void bh_spool_close(struct bh_spool *s);

/* The heading of what is added from here on. */
BH_NODISCARD int
bh_spool_head(struct bh_spool *s, int64_t start_ns, const void *data, uint32_t size);
/* `handed`: whoever gets blocks has this one already, though it is not safe; only while nothing waits. 0, or -errno. */
BH_NODISCARD int bh_spool_add(struct bh_spool *s, const struct bh_spool_block *b, bool handed);

/* Does anything wait? */
bool bh_spool_waits(const struct bh_spool *s);
/* The block in front, not yet handed out. False: none waits. */
bool bh_spool_next(struct bh_spool *s, struct bh_spool_block *ret);
/* It was handed out. */
void bh_spool_step(struct bh_spool *s);
/* Of what was handed out: batches of the run with lower numbers are safe, and all of other runs. */
void bh_spool_safe(struct bh_spool *s, int64_t start_ns, uint64_t number);
/* To the disk. */
BH_NODISCARD int bh_spool_sync(struct bh_spool *s);

uint64_t bh_spool_rows(const struct bh_spool *s);      /* that wait       */
uint64_t bh_spool_octets(const struct bh_spool *s);    /* on disk         */
uint64_t bh_spool_lost_rows(const struct bh_spool *s); /* since it was opened, of all runs */
/* What of a run was lost here, ever. False: nothing. */
bool bh_spool_lost(const struct bh_spool *s, int64_t start_ns, struct bh_spool_loss *ret);
/* The number behind the newest batch of a run that was added, also by a predecessor; 0: none is known. */
uint64_t bh_spool_end(const struct bh_spool *s, int64_t start_ns);
/* Files that are not ours, or not whole: found when it was opened, and while reading. */
uint64_t bh_spool_damaged(const struct bh_spool *s);

#endif
