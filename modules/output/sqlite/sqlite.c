/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sqlite: records, or counts per hour, in a SQLite database that others read while it is written.
 *
 * A batch is one transaction, which also notes the batch's number in the table "runs": a batch that comes again
 * after a restart is seen there and left out, and no batch is half in. Transactions are not synced one by one
 * (WAL, synchronous = NORMAL); flush commits one small transaction with synchronous = FULL, which makes all
 * before it durable. When the database is locked, the disk full or the file damaged, a batch is offered again,
 * and the message says what to do.
 *
 * Tables come from the fields: a column for each, of the type of the schema. Fields that are added later become
 * new columns; fields that are left out stay empty.
 */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "lines.h"
#include "sqlite_hours.h"

#define APPLICATION_ID 0x42486f6c /* "BHol" */
#define RETAIN_NS 30000000000LL
#define RETAIN_ROWS 50000

struct sqlite_output {
    sqlite3 *db;
    sqlite3_stmt *insert, *note, *sync, *retain;
    struct lines_fields fields;
    struct bh_sight *sight;
    bool hours;
    int64_t run_id;
    uint64_t next, synced;
    int64_t newest_ns, retained_ns;
    char file[1024];
};

static const struct bh_setting settings[] = {
    { .name = "file",
      .type = BH_SETTING_FILE_OUT,
      .unit = "",
      .required = true,
      .text = { "the database; FILE-wal and FILE-shm lie beside it while it is in use",
                "データベース。使用中は FILE-wal と FILE-shm が同じ場所にできる" } },
    { .name = "what",
      .type = BH_SETTING_CHOICE,
      .unit = "",
      .default_text = "records",
      .choices = "records|hours",
      .text = { "every record, or counts per hour by the fields of \"by\"",
                "記録をすべて (records)、または by の項目ごとの 1 時間ごとの数 (hours)" } },
    { .name = "fields",
      .type = BH_SETTING_TEXT,
      .unit = "",
      .default_text = "all",
      .text = { "records: columns, comma-joined, of those that \"beholder fields\" lists",
                "records: 列 (コンマ区切り)。beholder fields の項目から選ぶ" } },
    { .name = "by",
      .type = BH_SETTING_TEXT,
      .unit = "",
      .default_text = "direction,country,proto,dst_port,class,outcome",
      .text = { "hours: fields that are told apart, comma-joined",
                "hours: 区別する項目 (コンマ区切り)" } },
    { .name = "keep",
      .type = BH_SETTING_DURATION,
      .unit = "",
      .default_text = "0s",
      .text = { "remove what is older than this, back from the newest record; 0s: keep all",
                "最新の記録からさかのぼってこれより古いものを消す。0s はすべて残す" } },
};

/* ---- errors ---------------------------------------------------------------------------------------------------- */

static int
said(struct bh_output *o, const struct sqlite_output *q, int rc)
{
    const struct {
        int rc, result;
        enum bh_say level;
        const char *en, *ja;
    } cases[] = {
        { SQLITE_BUSY, BH_EAGAIN, BH_SAY_WARNING,
          "another program writes to it and does not stop; waiting",
          "別のプログラムが書き込み中です。待っています" },
        { SQLITE_LOCKED, BH_EAGAIN, BH_SAY_WARNING, "it is locked; waiting",
          "ロックされています。待っています" },
        { SQLITE_FULL, BH_EAGAIN, BH_SAY_ERROR, "the disk is full; free some space, or set keep",
          "空き容量がありません。領域を空けるか keep を設定してください" },
        { SQLITE_IOERR, BH_EAGAIN, BH_SAY_ERROR,
          "cannot be written: input/output error, or the disk is full",
          "書けません (入出力エラーまたは空き容量不足)" },
        { SQLITE_READONLY, BH_EAGAIN, BH_SAY_ERROR, "is read-only", "読み出し専用です" },
        { SQLITE_CORRUPT, BH_EDAMAGED, BH_SAY_ERROR,
          "is damaged; move it away, and save what is in it with: sqlite3 FILE .recover",
          "壊れています。別の場所に移し、sqlite3 FILE .recover で内容を取り出してください" },
        { SQLITE_NOTADB, BH_EFORMAT, BH_SAY_ERROR, "is no SQLite database",
          "SQLite のデータベースではありません" },
        { SQLITE_CANTOPEN, -EACCES, BH_SAY_ERROR, "cannot open", "開けません" },
        { SQLITE_NOMEM, BH_EAGAIN, BH_SAY_ERROR, "no memory", "メモリが足りません" },
    };
    struct bh_error err = { 0 };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        if ((rc & 0xff) == cases[k].rc) {
            bh_error_set(&err, cases[k].result, q->file, "%s", "%s", "");
            snprintf(err.text[BH_EN], sizeof err.text[BH_EN], "%s", cases[k].en);
            snprintf(err.text[BH_JA], sizeof err.text[BH_JA], "%s", cases[k].ja);
            bh_output_say(o, cases[k].level, &err);
            return cases[k].result;
        }
    }
    const char *text = q->db != NULL ? sqlite3_errmsg(q->db) : sqlite3_errstr(rc);
    bh_error_set(&err, BH_EFORMAT, q->file, "SQLite says: %s", "SQLite のエラー: %s", text);
    bh_output_say(o, BH_SAY_ERROR, &err);
    return BH_EFORMAT;
}

static int
run_sql(const struct sqlite_output *q, const char *sql)
{
    return sqlite3_exec(q->db, sql, NULL, NULL, NULL);
}

static int
prepare(const struct sqlite_output *q, const char *sql, sqlite3_stmt **ret)
{
    return sqlite3_prepare_v3(q->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);
}

static int64_t
ask_number(const struct sqlite_output *q, const char *sql)
{
    sqlite3_stmt *s = NULL;
    int64_t n = 0;
    if (sqlite3_prepare_v2(q->db, sql, -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW) {
        n = sqlite3_column_int64(s, 0);
    }
    sqlite3_finalize(s);
    return n;
}

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static const char *
sql_type(enum bh_type type)
{
    return type == BH_TYPE_TIME || type == BH_TYPE_UINT || type == BH_TYPE_BOOL ? "INTEGER"
                                                                                : "TEXT";
}

static bool
has_column(const struct sqlite_output *q, const char *table, const char *column)
{
    char sql[256];
    /* Names are the schema's: small letters and underscores. */
    snprintf(sql, sizeof sql, "SELECT count(*) FROM pragma_table_info('%s') WHERE name = '%s'",
             table, column);
    return ask_number(q, sql) > 0;
}

/* A column for each field that is not there yet. */
static int
add_columns(const struct sqlite_output *q, const char *table)
{
    int rc = SQLITE_OK;
    for (size_t k = 0; rc == SQLITE_OK && k < q->fields.count; k++) {
        const struct bh_column *c = &q->fields.column[k];
        if (!has_column(q, table, c->name)) {
            char sql[256];
            snprintf(sql, sizeof sql, "ALTER TABLE %s ADD COLUMN %s %s", table, c->name,
                     sql_type(c->type));
            rc = run_sql(q, sql);
        }
    }
    return rc;
}

static int
make_tables(struct bh_output *o, struct sqlite_output *q)
{
    int rc = run_sql(q, "BEGIN IMMEDIATE");
    const int64_t id = rc == SQLITE_OK ? ask_number(q, "PRAGMA application_id") : 0;
    if (rc == SQLITE_OK && id != APPLICATION_ID &&
        ask_number(q, "SELECT count(*) FROM sqlite_schema") > 0) {
        struct bh_error err = { 0 };
        bh_ignore(run_sql(q, "ROLLBACK"));
        bh_error_set(&err, BH_EUSAGE, q->file,
                     "is the database of another program; name another file",
                     "は別のプログラムのデータベースです。別のファイルを指定してください");
        bh_output_say(o, BH_SAY_ERROR, &err);
        return BH_EUSAGE;
    }
    rc = rc != SQLITE_OK
             ? rc
             : run_sql(
                   q,
                   "PRAGMA application_id = 1112043372;" /* APPLICATION_ID */
                   "CREATE TABLE IF NOT EXISTS runs (run INTEGER PRIMARY KEY, sensor TEXT NOT NULL,"
                   " start INTEGER NOT NULL, kind TEXT NOT NULL, next INTEGER NOT NULL DEFAULT 0,"
                   " synced INTEGER NOT NULL DEFAULT 0, source TEXT, home TEXT, filter TEXT,"
                   " UNIQUE (sensor, start, kind))");
    if (rc == SQLITE_OK && !q->hours) {
        rc = run_sql(
            q,
            "CREATE TABLE IF NOT EXISTS records (run INTEGER NOT NULL REFERENCES runs, time INTEGER);"
            "CREATE INDEX IF NOT EXISTS records_time ON records (time)");
        rc = rc != SQLITE_OK ? rc : add_columns(q, "records");
    } else if (rc == SQLITE_OK) {
        rc = sqlite_hours_make(q->db, &q->fields);
    }
    rc = rc != SQLITE_OK ? rc : run_sql(q, "COMMIT");
    if (rc != SQLITE_OK) {
        const int r = said(o, q, rc);
        bh_ignore(run_sql(q, "ROLLBACK"));
        return r == BH_EAGAIN ? -EBUSY : r;
    }
    return 0;
}

static int
prepare_all(struct sqlite_output *q)
{
    struct bh_buf sql = { 0 };
    int rc;
    if (q->hours) {
        sqlite_hours_upsert(&q->fields, &sql);
    } else {
        bh_buf_puts(&sql, "INSERT INTO records (run");
        for (size_t k = 0; k < q->fields.count; k++) {
            bh_buf_printf(&sql, ",%s", q->fields.column[k].name);
        }
        bh_buf_puts(&sql, ") VALUES (?");
        for (size_t k = 0; k < q->fields.count; k++) {
            bh_buf_puts(&sql, ",?");
        }
        bh_buf_puts(&sql, ")");
    }
    rc = sql.failed ? SQLITE_NOMEM : prepare(q, sql.data, &q->insert);
    bh_buf_done(&sql);
    rc = rc != SQLITE_OK ? rc : prepare(q, "UPDATE runs SET next = ?2 WHERE run = ?1", &q->note);
    rc = rc != SQLITE_OK ? rc : prepare(q, "UPDATE runs SET synced = ?2 WHERE run = ?1", &q->sync);
    if (rc == SQLITE_OK && !q->hours) {
        rc = prepare(
            q,
            "DELETE FROM records WHERE rowid IN (SELECT rowid FROM records WHERE time < ?1 LIMIT ?2)",
            &q->retain);
    } else if (rc == SQLITE_OK) {
        rc = prepare(
            q,
            "DELETE FROM hours WHERE rowid IN (SELECT rowid FROM hours WHERE hour < ?1 LIMIT ?2)",
            &q->retain);
    }
    return rc;
}

static int
sqlite_open(struct bh_output *o)
{
    struct sqlite_output *q = calloc(1, sizeof *q);
    if (q == NULL) {
        return -ENOMEM;
    }
    bh_output_set_state(o, q);
    snprintf(q->file, sizeof q->file, "%s", bh_output_text(o, "file"));
    q->hours = strcmp(bh_output_text(o, "what"), "hours") == 0;
    q->newest_ns = INT64_MIN;
    int r = lines_fields_parse(o, q->hours ? "by" : "fields",
                               bh_output_text(o, q->hours ? "by" : "fields"), &q->fields);
    if (r != 0) {
        return r;
    }
    int rc = sqlite3_open_v2(q->file, &q->db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                                 SQLITE_OPEN_EXRESCODE,
                             NULL);
    if (rc == SQLITE_OK) {
        sqlite3_busy_timeout(q->db, 400);
        sqlite3_db_config(q->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        sqlite3_db_config(q->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        rc = run_sql(
            q, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY;"
               "PRAGMA journal_size_limit = 67108864");
    }
    if (rc != SQLITE_OK) {
        r = said(o, q, rc);
        return r == BH_EAGAIN ? -EBUSY : r;
    }
    r = make_tables(o, q);
    if (r == 0 && (rc = prepare_all(q)) != SQLITE_OK) {
        r = said(o, q, rc);
    }
    return r;
}

/* ---- runs ---------------------------------------------------------------------------------------------------------- */

static int
find_run(struct sqlite_output *q, const struct bh_output_run *run)
{
    sqlite3_stmt *s = NULL;
    int rc = prepare(
        q,
        "INSERT INTO runs (sensor, start, kind, source, home, filter) VALUES (?1,?2,?3,?4,?5,?6)"
        " ON CONFLICT DO UPDATE SET source = excluded.source RETURNING run, next",
        &s);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(s, 1, run->sensor, -1, SQLITE_STATIC);
        sqlite3_bind_int64(s, 2, run->start_ns);
        sqlite3_bind_text(s, 3, q->hours ? "hours" : "records", -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 4, run->source, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 5, run->home, -1, SQLITE_STATIC);
        sqlite3_bind_text(s, 6, run->filter, -1, SQLITE_STATIC);
        rc = sqlite3_step(s);
        if (rc == SQLITE_ROW) {
            q->run_id = sqlite3_column_int64(s, 0);
            q->next = q->synced = (uint64_t)sqlite3_column_int64(s, 1);
            rc = sqlite3_step(s); /* to the end: that is when it is done */
        }
    }
    const int finished = sqlite3_finalize(s);
    return rc == SQLITE_DONE ? finished : rc;
}

static int
sqlite_run(struct bh_output *o, const struct bh_output_run *run)
{
    struct sqlite_output *q = bh_output_state(o);
    const int rc = find_run(q, run);
    if (rc != SQLITE_OK) {
        return said(o, q, rc);
    }
    bh_sight_free(q->sight);
    q->sight = NULL;
    return bh_sight_new(run->countries, BH_EN, q->fields.needs, NULL, &q->sight, NULL);
}

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

void
sqlite_bind_value(sqlite3_stmt *s, int place, enum bh_type type, const struct bh_value *v)
{
    char text[BH_VALUE_MAX];
    if (v->absent) {
        sqlite3_bind_null(s, place);
    } else if (type == BH_TYPE_TIME || type == BH_TYPE_UINT || type == BH_TYPE_BOOL) {
        sqlite3_bind_int64(s, place, (int64_t)v->number);
    } else if (type == BH_TYPE_NAME) {
        sqlite3_bind_text(s, place, v->name, -1, SQLITE_TRANSIENT);
    } else {
        const char *end = bh_value_put(text, type, v, NULL);
        sqlite3_bind_text(s, place, text, (int)(end - text), SQLITE_TRANSIENT);
    }
}

static int
insert_row(struct sqlite_output *q, const struct bh_output_batch *batch, uint32_t row)
{
    struct bh_value v;
    sqlite3_bind_int64(q->insert, 1, q->run_id);
    for (size_t k = 0; k < q->fields.count; k++) {
        bh_sight_get(q->sight, &q->fields.column[k], row, &v);
        sqlite_bind_value(q->insert, (int)k + 2, q->fields.column[k].type, &v);
    }
    (void)batch;
    const int rc = sqlite3_step(q->insert);
    sqlite3_reset(q->insert);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int
step_two(sqlite3_stmt *s, int64_t a, int64_t b)
{
    sqlite3_bind_int64(s, 1, a);
    sqlite3_bind_int64(s, 2, b);
    const int rc = sqlite3_step(s);
    sqlite3_reset(s);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int
sqlite_write(struct bh_output *o, const struct bh_output_batch *batch)
{
    struct sqlite_output *q = bh_output_state(o);
    if (batch->number < q->next) {
        bh_output_count(o, "repeats", 1);
        return 0;
    }
    /* not changed without an anonymizer */
    bh_sight_set(q->sight, (struct bh_batch *)(uintptr_t)batch->records);
    int rc = run_sql(q, "BEGIN IMMEDIATE");
    for (uint32_t row = 0; rc == SQLITE_OK && row < batch->rows; row++) {
        rc = q->hours ? sqlite_hours_add(q->insert, &q->fields, q->sight, bh_output_run(o)->sensor,
                                         batch->records, row)
                      : insert_row(q, batch, row);
    }
    rc = rc != SQLITE_OK ? rc : step_two(q->note, q->run_id, (int64_t)batch->number + 1);
    rc = rc != SQLITE_OK ? rc : run_sql(q, "COMMIT");
    if (rc != SQLITE_OK) {
        const int r = said(o, q, rc);
        if (sqlite3_get_autocommit(q->db) == 0) {
            bh_ignore(run_sql(q, "ROLLBACK"));
        }
        return r;
    }
    q->next = batch->number + 1;
    for (uint32_t row = 0; row < batch->rows; row++) {
        const int64_t ts = batch->records->ts_ns[row];
        q->newest_ns = ts > q->newest_ns ? ts : q->newest_ns;
    }
    return 0;
}

static int
sqlite_flush(struct bh_output *o, uint64_t *ret_number)
{
    struct sqlite_output *q = bh_output_state(o);
    if (q->synced < q->next) {
        int rc = run_sql(q, "PRAGMA synchronous = FULL");
        rc = rc != SQLITE_OK ? rc : step_two(q->sync, q->run_id, (int64_t)q->next);
        bh_ignore(run_sql(q, "PRAGMA synchronous = NORMAL"));
        if (rc != SQLITE_OK) {
            return said(o, q, rc);
        }
        q->synced = q->next;
    }
    *ret_number = q->synced;
    return 0;
}

static int
sqlite_tick(struct bh_output *o, int64_t now_ns)
{
    struct sqlite_output *q = bh_output_state(o);
    const int64_t keep = (int64_t)bh_output_uint(o, "keep");
    if (keep == 0 || q->newest_ns == INT64_MIN || now_ns - q->retained_ns < RETAIN_NS) {
        return 0;
    }
    /* A piece each time, so that nobody waits for it. */
    const int64_t oldest = q->newest_ns - keep;
    const int rc = step_two(q->retain, q->hours ? oldest / 1000000000 : oldest, RETAIN_ROWS);
    if (rc != SQLITE_OK) {
        return said(o, q, rc);
    }
    const int removed = sqlite3_changes(q->db);
    bh_output_count(o, "removed", (uint64_t)removed);
    q->retained_ns = removed < RETAIN_ROWS ? now_ns : q->retained_ns;
    return 0;
}

static void
sqlite_close(struct bh_output *o)
{
    struct sqlite_output *q = bh_output_state(o);
    if (q != NULL) {
        sqlite3_finalize(q->insert);
        sqlite3_finalize(q->note);
        sqlite3_finalize(q->sync);
        sqlite3_finalize(q->retain);
        sqlite3_close(q->db);
        bh_sight_free(q->sight);
        free(q);
    }
}

extern const struct bh_output_module bh_output_module_sqlite;
const struct bh_output_module bh_output_module_sqlite = {
    .abi_major = BH_OUTPUT_ABI,
    .size = sizeof(struct bh_output_module),
    .name = "sqlite",
    .summary = { "records or counts per hour in a SQLite database",
                 "記録または 1 時間ごとの数を SQLite のデータベースへ" },
    .settings = settings,
    .setting_count = BH_COUNT(settings),
    .when = BH_OUTPUT_DECIDED,
    .open = sqlite_open,
    .run = sqlite_run,
    .write = sqlite_write,
    .flush = sqlite_flush,
    .tick = sqlite_tick,
    .close = sqlite_close,
};
