/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_series.h - files one after another: what is written for years goes into one path, which is set aside
 * by size and age, and old ones go by number and by their octets together.
 *
 * The newest file is PATH itself. When it is finished it becomes PATH with the UTC time of its beginning
 * before the suffix: flows.csv, flows-20260503T071300Z.csv (and -2, -3 ... should there be one). A file
 * that an earlier run left is mended (`mend`) and set aside at open, so that each file is one writer's.
 *
 * What is written is there whole or not at all: a disk that is full in the middle of it is put back to
 * where it was, and the same may be written again later.
 *
 * Threads:   one per series.
 * Ownership: the caller's; strings of the configuration are borrowed until close.
 * Errors:    negative codes; -ENOSPC and -EDQUOT may go away by themselves.
 */
#ifndef BH_SERIES_H
#define BH_SERIES_H

#include "bh_base.h"

struct bh_series_config {
    const char *path;
    uint64_t max_bytes; /* of a file; 0: no bound                                              */
    int64_t max_ns;     /* age of a file in packet time; 0: no bound                           */
    uint64_t keep_files, keep_bytes; /* of those set aside; 0: no bound. The newest stays      */
    unsigned mode;                   /* 0600                                                   */
    /* Of a file that is there at open: how many of its octets are good (it is cut there). NULL: all. */
    uint64_t (*mend)(void *arg, int fd, uint64_t size);
    void *arg;
};

struct bh_series; /* opaque */
BH_NODISCARD int bh_series_open(const struct bh_series_config *cfg, struct bh_series **ret_series,
                                struct bh_error *err);
/* Finishes the file. */
void bh_series_close(struct bh_series *s);

/* Before writing `more` octets at `now_ns`: is the file too large or too old for them? Never true of a file in
 * which nothing was written. */
bool bh_series_is_due(const struct bh_series *s, int64_t now_ns, uint64_t more);
/* Is there a file, or will the next write begin one (and its format's header come first)? */
bool bh_series_is_begun(const struct bh_series *s);
/* All of it, or nothing and an error. Begins a file, of time `now_ns`, when there is none. */
BH_NODISCARD int bh_series_write(struct bh_series *s, int64_t now_ns, const void *data, size_t size,
                                 struct bh_error *err);
BH_NODISCARD int bh_series_sync(struct bh_series *s, struct bh_error *err);
/* Set the file aside; the next write begins another. */
BH_NODISCARD int bh_series_finish(struct bh_series *s, struct bh_error *err);
uint64_t bh_series_removed(const struct bh_series *s); /* files that went because of the bounds */

#endif
