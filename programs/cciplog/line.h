/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * line.h - a record as a line: text for people, NDJSON, CSV.
 *
 * Threads:   one thread per object.
 * Ownership: the country database is borrowed until lines_free().
 * Errors:    only writing fails; lines_write() says how (-errno), and again at every later call.
 */
#ifndef CCIPLOG_LINE_H
#define CCIPLOG_LINE_H

#include "bh_event.h"
#include "kobold.h"

enum line_form { LINE_TEXT, LINE_JSON, LINE_CSV };

struct lines; /* opaque */

/* `has_home`: direction and class are known and shown. NULL without memory. */
struct lines *
lines_new(int fd, enum line_form form, enum bh_lang lang, bool has_home, const kobold *k);
void lines_free(struct lines *l);
/* The rows of `b` that are selected and TCP, UDP or ICMP. `selected` NULL: all. */
BH_NODISCARD int lines_put(struct lines *l, const struct bh_batch *b, const uint8_t *selected);
BH_NODISCARD int lines_flush(struct lines *l);

#endif
