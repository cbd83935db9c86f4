/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counts per hour are added up in place. NULL is unlike NULL in a unique index, so the index is over
 * ifnull(KEY, ''), which no value of ours is.
 */
#include "sqlite_hours.h"

static void
put_keys(const struct lines_fields *by, const char *form, struct bh_buf *sql)
{
    for (size_t k = 0; k < by->count; k++) {
        bh_buf_printf(sql, form, by->column[k].name);
    }
}

int
sqlite_hours_make(sqlite3 *db, const struct lines_fields *by)
{
    struct bh_buf sql = { 0 };
    bh_buf_puts(&sql, "CREATE TABLE IF NOT EXISTS hours (sensor TEXT NOT NULL, hour INTEGER");
    for (size_t k = 0; k < by->count; k++) {
        const enum bh_type t = by->column[k].type;
        bh_buf_printf(&sql, ",%s %s", by->column[k].name,
                      t == BH_TYPE_TIME || t == BH_TYPE_UINT || t == BH_TYPE_BOOL ? "INTEGER"
                                                                                  : "TEXT");
    }
    bh_buf_puts(&sql,
                ", records INTEGER NOT NULL, accesses INTEGER NOT NULL, packets INTEGER NOT NULL,"
                " bytes INTEGER NOT NULL);"
                "CREATE UNIQUE INDEX IF NOT EXISTS hours_keys ON hours (sensor, ifnull(hour,'')");
    put_keys(by, ",ifnull(%s,'')", &sql);
    bh_buf_puts(&sql, "); CREATE INDEX IF NOT EXISTS hours_hour ON hours (hour)");
    const int rc = sql.failed ? SQLITE_NOMEM : sqlite3_exec(db, sql.data, NULL, NULL, NULL);
    bh_buf_done(&sql);
    return rc;
}

void
sqlite_hours_upsert(const struct lines_fields *by, struct bh_buf *sql)
{
    bh_buf_puts(sql, "INSERT INTO hours (sensor,hour");
    put_keys(by, ",%s", sql);
    bh_buf_puts(sql, ",records,accesses,packets,bytes) VALUES (?,?");
    put_keys(by, ",?%.0s", sql);
    bh_buf_puts(sql, ",1,?,?,?) ON CONFLICT (sensor, ifnull(hour,'')");
    put_keys(by, ",ifnull(%s,'')", sql);
    bh_buf_puts(sql,
                ") DO UPDATE SET records = records + 1, accesses = accesses + excluded.accesses,"
                " packets = packets + excluded.packets, bytes = bytes + excluded.bytes");
}

int
sqlite_hours_add(sqlite3_stmt *s, const struct lines_fields *by, const struct bh_sight *sight,
                 const char *sensor, const struct bh_batch *b, uint32_t row)
{
    struct bh_value v;
    const bool is_ip = b->kind[row] >= BH_KIND_IP4, timed = (b->marks[row] & BH_MARK_BAD_TIME) == 0;
    const uint64_t weight = b->has_weight ? b->weight[row] : 1;
    const int64_t second = b->ts_ns[row] / 1000000000;
    int place = 1;
    sqlite3_bind_text(s, place++, sensor, -1, SQLITE_STATIC);
    if (timed) {
        sqlite3_bind_int64(s, place++, second - (second % 3600 + 3600) % 3600);
    } else {
        sqlite3_bind_null(s, place++);
    }
    for (size_t k = 0; k < by->count; k++) {
        bh_sight_get(sight, &by->column[k], row, &v);
        sqlite_bind_value(s, place++, by->column[k].type, &v);
    }
    sqlite3_bind_int64(s, place++, (int64_t)(b->cls[row] == BH_CLASS_ACCESS ? weight : 0));
    sqlite3_bind_int64(s, place++, (int64_t)(is_ip ? weight : 0));
    sqlite3_bind_int64(s, place, (int64_t)(is_ip ? weight * b->ip_len[row] : 0));
    const int rc = sqlite3_step(s);
    sqlite3_reset(s);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}
