/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * file.h - a file of lines that an instance which is killed and started again continues as if nothing had been.
 *
 * Beside FILE lies FILE.state: how long the file is, and which batch of which run comes next. It is written
 * after each batch (not synced: a process that dies does not take the page cache with it), so after a kill
 * what is behind that length is of the one batch that will be offered again, and is cut off. After a power
 * cut the run is another one, whatever whole lines are there stay, and nothing of the old run comes again.
 *
 * Counts are not lines yet when their batch is taken. They lie in the state file, as the lines that they
 * would be, and go into the file in two steps: the state first says from where to where it will grow and
 * with what; a file that did not grow that far gets it once more.
 */
#ifndef NDJSON_FILE_H
#define NDJSON_FILE_H

#include "bh_output.h"

struct lines_file_config {
    const char *path;
    uint64_t size_most; /* octets, then it is put aside; 0: no bound     */
    uint64_t age_most;  /* ns; 0: no bound                               */
    uint64_t keep;      /* files put aside that stay, the newest; 0: all */
};
struct lines_file; /* opaque */
BH_NODISCARD int
lines_file_open(struct bh_output *o, const struct lines_file_config *cfg, struct lines_file **ret);
void lines_file_close(struct lines_file *f);
/* A run begins. *ret_next: its first batch that is not here yet. */
BH_NODISCARD int
lines_file_run(struct lines_file *f, const struct bh_output_run *run, uint64_t *ret_next);
/* All of `text` or nothing; then `next` is what comes next. BH_EAGAIN: no room on the disk. */
BH_NODISCARD int
lines_file_append(struct lines_file *f, const char *text, size_t len, uint64_t next);
/* Counts: `text` is what they would be as lines; it replaces what was noted before. Durable. */
BH_NODISCARD int lines_file_note(struct lines_file *f, const char *text, size_t len, uint64_t next);
/* Counts become lines, and nothing is noted any more. */
BH_NODISCARD int
lines_file_settle(struct lines_file *f, const char *text, size_t len, uint64_t next);
/* What was noted when the process before died, once: the caller's lines now. */
void lines_file_take_noted(struct lines_file *f, struct bh_buf *ret);
BH_NODISCARD int lines_file_sync(struct lines_file *f);
/* Put aside what is too old or too large; begin again where somebody else has. */
BH_NODISCARD int lines_file_tick(struct lines_file *f, int64_t now_ns);

#endif
