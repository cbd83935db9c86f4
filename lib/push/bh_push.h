/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_push.h - sealed segments of a packet log to a copy of it: in another directory, or on another host
 * by sftp(1). The copy is a log that any report reads, also while it grows; each segment arrives once,
 * whatever moment either side is stopped at. docs/design/log.md, "Push".
 *
 * Threads:   any, one push of one log at a time (a second one is refused).
 * Ownership: the caller's.
 * Errors:    as lib/store has them; what has arrived stays, and the next push goes on from there.
 */
#ifndef BH_PUSH_H
#define BH_PUSH_H

#include "bh_store.h"

struct bh_push_options {
    const char *log;
    const char *target; /* DIR, or [USER@]HOST:DIR                                              */
    const char *sftp;   /* the command for hosts, words between blanks; NULL: "sftp"            */
    bool again;         /* also what was compacted since: it takes the place of what it joins   */
    bh_store_progress_fn *progress; /* in octets; may be NULL */
    void *progress_arg;
};
struct bh_push_result {
    uint64_t segments, records, bytes; /* that arrived now                                  */
    uint64_t there;                    /* segments that had arrived before                  */
    uint64_t resumed_bytes;            /* of what arrived now, sent by a push that was stopped */
    uint64_t damaged;                  /* segments that were not sent: repair them          */
};
BH_NODISCARD int bh_push_run(const struct bh_push_options *o, struct bh_push_result *ret_result,
                             struct bh_error *err);

#endif
