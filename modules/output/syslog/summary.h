/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * summary.h - what an hour was: accesses, their sources, the first countries and ports.
 *
 * Bounded: 65,536 ports of TCP and of UDP, the values of the country data, and up to 2^18 sources told apart
 * (beyond, the count is "at least").
 */
#ifndef SYSLOG_SUMMARY_H
#define SYSLOG_SUMMARY_H

#include "bh_output.h"

struct summary; /* opaque */
struct summary *summary_new(void);
void summary_free(struct summary *s);
BH_NODISCARD int summary_run(struct summary *s, const struct bh_output_run *run);
void summary_add(struct summary *s, const struct bh_output_batch *batch);
bool summary_is_empty(const struct summary *s);
/* Does the batch say that the hour ended `late_ns` ago? */
bool summary_is_over(const struct summary *s, const struct bh_output_batch *batch, int64_t late_ns);
bool summary_ended_before(const struct summary *s, int64_t now_ns);
/* Structured data and text: [summary@32473 from="..." ...] 12 accesses of 3 sources; ... */
void summary_put(const struct summary *s, unsigned top, struct bh_buf *to);
void summary_reset(struct summary *s);

#endif
