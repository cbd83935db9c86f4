/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counts.h - counts per minute by keys, as lines.
 *
 *     {"time":"2026-11-29T08:00:00Z","sensor":"s","country":"JP","dst_port":23,"records":3,"accesses":3,...}
 *
 * Lines of the same minute and keys add up: what comes late, and what was counted before and after a kill, is
 * another line. At most COUNTS_KEYS keys at a time; records beyond are counted in a line with "others":true
 * instead of keys.
 */
#ifndef NDJSON_COUNTS_H
#define NDJSON_COUNTS_H

#include "lines.h"

#define COUNTS_KEYS 65536U

struct counts; /* opaque */
BH_NODISCARD int counts_new(struct bh_output *o, const char *by, struct counts **ret);
void counts_free(struct counts *c);
BH_NODISCARD int counts_run(struct counts *c, const struct bh_output_run *run);
BH_NODISCARD int counts_add(struct counts *c, const struct bh_output_batch *batch);
/* A minute has ended some seconds ago by the time of the records: it is time to write. */
bool counts_is_due(const struct counts *c);
/* Half of the keys are taken. */
bool counts_is_large(const struct counts *c);
bool counts_is_empty(const struct counts *c);
/* All that was counted, as lines. */
void counts_put(const struct counts *c, struct bh_buf *to);
void counts_reset(struct counts *c);
uint64_t counts_others(const struct counts *c); /* records that found no room, ever */

#endif
