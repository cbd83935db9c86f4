/* SPDX-License-Identifier: BSD-2-Clause */
/* sqlite_hours.h - the table "hours": counts by sensor, hour and the fields of "by". */
#ifndef SQLITE_HOURS_H
#define SQLITE_HOURS_H

#include <sqlite3.h>

#include "lines.h"

/* Results are SQLite's. */
BH_NODISCARD int sqlite_hours_make(sqlite3 *db, const struct lines_fields *by);
void sqlite_hours_upsert(const struct lines_fields *by, struct bh_buf *sql);
BH_NODISCARD int
sqlite_hours_add(sqlite3_stmt *s, const struct lines_fields *by, const struct bh_sight *sight,
                 const char *sensor, const struct bh_batch *b, uint32_t row);
void sqlite_bind_value(sqlite3_stmt *s, int place, enum bh_type type, const struct bh_value *v);

#endif
