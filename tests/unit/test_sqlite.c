/* SPDX-License-Identifier: BSD-2-Clause */
/* sqlite: rows that others read meanwhile, batches that come again, and databases that are busy, full, damaged. */
#include "output_lab.h"

#include <sys/resource.h>

static char to_file[160], file[128];

static int
begin(void **state)
{
    const int r = lab_begin(state);
    snprintf(file, sizeof file, "%s", lab_path("out.db"));
    snprintf(to_file, sizeof to_file, "file=%s", file);
    return r;
}

static bool
is_missing(void)
{
    const bool module = bh_module_find("sqlite") == NULL,
               shell = system("sqlite3 --version >/dev/null 2>&1") != 0;
    if (module || shell) {
        print_message("# %s\n", module ? "built without SQLite" : "no sqlite3 to read it with");
    }
    return module || shell;
}

static const char *
ask(const char *sql)
{
    char command[1024];
    snprintf(command, sizeof command, "sqlite3 -readonly %s \"%s\" 2>&1", file, sql);
    return lab_shell(command);
}

static void
write_and_die(void)
{
    struct bh_host *h = lab_host("sqlite", LAB_WORDS(to_file), NULL);
    assert_int_equal(lab_offer(h, 0, 5, 40), 0);
}

static void
test_rows(void **state)
{
    (void)state;
    if (is_missing()) {
        skip();
    }
    struct bh_host *h = lab_host("sqlite", LAB_WORDS(to_file), NULL);
    assert_int_equal(lab_offer(h, 0, 3, 40), 0);
    /* While it is open. */
    assert_string_equal(
        ask("SELECT count(*), sum(proto = 'tcp'), min(time), max(dst_port) FROM records"),
        "120|90|1796000400000000000|53");
    assert_string_equal(
        ask("SELECT src, dst, src_port, tcp_flags, outcome, access, vlan, src_mac, weight FROM records LIMIT 1"),
        "203.0.113.0|192.0.2.1|40000|S|refused|1|5|00:00:5e:00:53:01|1");
    assert_string_equal(
        ask("SELECT quote(outcome), src, quote(tcp_flags) FROM records WHERE dst_port = 53 LIMIT 1"),
        "NULL|2001:db8::|NULL");
    assert_string_equal(ask("SELECT sensor, start, kind, next FROM runs"),
                        "lab|1796000400000000000|records|3");
    assert_string_equal(ask("PRAGMA journal_mode"), "wal");
    uint64_t number;
    assert_int_equal(bh_host_flush(h, &number), 0);
    assert_int_equal(number, 3);
    assert_string_equal(ask("SELECT synced FROM runs"), "3");
    bh_host_free(h);
    assert_string_equal(ask("PRAGMA integrity_check"), "ok");
}

static void
test_repeats(void **state)
{
    (void)state;
    if (is_missing()) {
        skip();
    }
    lab_killed(write_and_die);
    struct bh_host *h = lab_host("sqlite", LAB_WORDS(to_file), NULL);
    assert_int_equal(lab_offer(h, 2, 9, 40), 0);
    bh_host_free(h);
    assert_string_equal(ask("SELECT count(*), count(DISTINCT time) FROM records"), "360|360");
    /* Another run, with other fields: new columns, and numbers count anew. */
    lab_run.start_ns++;
    h = lab_host("sqlite", LAB_WORDS(to_file, "fields=time,src"), NULL);
    assert_int_equal(lab_offer(h, 0, 1, 40), 0);
    bh_host_free(h);
    lab_run.start_ns--;
    assert_string_equal(ask("SELECT count(*), sum(dst_port IS NULL) FROM records"), "400|40");
    assert_string_equal(ask("SELECT count(*) FROM runs"), "2");
}

static void
test_hours(void **state)
{
    (void)state;
    if (is_missing()) {
        skip();
    }
    struct bh_host *h =
        lab_host("sqlite", LAB_WORDS(to_file, "what=hours", "by=proto,dst_port,outcome"), NULL);
    for (uint64_t k = 0; k < 4; k++) { /* half an hour apart */
        const struct bh_batch *b = lab_batch(k, 40, LAB_START + (int64_t)k * 1800 * LAB_SECOND);
        assert_int_equal(bh_host_offer(h, (struct bh_batch *)(uintptr_t)b, k, 0), 0);
        assert_int_equal(bh_host_tick(h, LAB_START + (int64_t)k * LAB_SECOND), 0);
    }
    bh_host_free(h);
    h = lab_host("sqlite", LAB_WORDS(to_file, "what=hours", "by=proto,dst_port,outcome"), NULL);
    assert_int_equal(bh_host_offer(h, lab_batch(3, 40, LAB_START + 5400 * LAB_SECOND), 3, 0), 0);
    bh_host_free(h);
    assert_string_equal(
        ask("SELECT datetime(hour,'unixepoch'), proto, dst_port, quote(outcome), records, accesses, bytes FROM hours "
            "ORDER BY 1,2"),
        "2026-11-30 01:00:00|tcp|23|'refused'|60|60|3600\n2026-11-30 01:00:00|udp|53|NULL|20|20|1200\n"
        "2026-11-30 02:00:00|tcp|23|'refused'|60|60|3600\n2026-11-30 02:00:00|udp|53|NULL|20|20|1200");
}

static void
test_keep(void **state)
{
    (void)state;
    if (is_missing()) {
        skip();
    }
    struct bh_host *h = lab_host("sqlite", LAB_WORDS(to_file, "keep=10s"), NULL);
    assert_int_equal(lab_offer(h, 0, 31, 40), 0);
    assert_int_equal(bh_host_tick(h, LAB_START + 300 * LAB_SECOND), 0);
    /* 10 s back from the newest, which is 30.039 s. */
    assert_string_equal(ask("SELECT count(*), min(time) - 1796000400000000000 FROM records"),
                        "401|20039000000");
    bh_host_free(h);
}

static void
test_bad_files(void **state)
{
    (void)state;
    if (is_missing()) {
        skip();
    }
    char command[512];
    struct bh_host *h;
    snprintf(command, sizeof command, "sqlite3 %s 'CREATE TABLE mine (a)'", file);
    lab_shell(command);
    assert_int_not_equal(lab_try("sqlite", LAB_WORDS(to_file), NULL, &h), 0);
    assert_true(lab_heard("database of another program"));
    snprintf(command, sizeof command, "yes text | head -c 9000 > %s", file);
    lab_shell(command);
    assert_int_not_equal(lab_try("sqlite", LAB_WORDS(to_file), NULL, &h), 0);
    assert_true(lab_heard("is no SQLite database"));
    assert_int_not_equal(lab_try("sqlite", LAB_WORDS("file=/nowhere/at/all.db"), NULL, &h), 0);
    assert_true(lab_heard("cannot open"));
    assert_int_not_equal(lab_try("sqlite", LAB_WORDS(to_file, "fields=sensr"), NULL, &h), 0);
}

/* Damaged while it is in use by nobody: said when it is opened or written, and nothing crashes. */
static void
test_damaged(void **state)
{
    (void)state;
    if (is_missing()) {
        skip();
    }
    lab_killed(write_and_die);
    char command[1024];
    struct bh_host *h = NULL;
    snprintf(
        command, sizeof command,
        "sqlite3 %s 'PRAGMA wal_checkpoint(TRUNCATE)' && rm -f %s-wal %s-shm && dd if=/dev/zero of=%s bs=1 seek=100 count=4000 "
        "conv=notrunc 2>/dev/null",
        file, file, file, file);
    lab_shell(command);
    int r = lab_try("sqlite", LAB_WORDS(to_file), NULL, &h);
    if (r == 0) {
        r = bh_host_run(h, &lab_run, NULL);
        bh_host_free(h);
    }
    assert_int_not_equal(r, 0);
    assert_true(lab_heard("is damaged"));
}

static void
test_busy(void **state)
{
    (void)state;
    if (is_missing()) {
        skip();
    }
    char command[256];
    struct bh_host *h = lab_host("sqlite", LAB_WORDS(to_file), NULL);
    assert_int_equal(lab_offer(h, 0, 1, 40), 0);
    snprintf(command, sizeof command, "sqlite3 %s >%s/shell", file, lab_folder);
    FILE *shell = popen(command, "w");
    assert_non_null(shell);
    fprintf(shell, "BEGIN IMMEDIATE; SELECT 'begun';\n");
    fflush(shell);
    for (unsigned turn = 0; turn < 2000 && strstr(lab_read(lab_path("shell")), "begun") == NULL;
         turn++) {
        lab_nap();
    }
    assert_int_equal(lab_offer(h, 1, 2, 40), BH_EAGAIN);
    assert_true(lab_heard("another program writes"));
    fprintf(shell, "COMMIT;\n");
    pclose(shell);
    assert_int_equal(bh_host_tick(h, LAB_START + 20 * LAB_SECOND), 0);
    bh_host_free(h);
    assert_string_equal(ask("SELECT count(*) FROM records"), "80");
}

static void
limit_files(rlim_t octets)
{
    struct rlimit l;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &l);
    l.rlim_cur = octets;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void
test_full(void **state)
{
    (void)state;
    if (is_missing()) {
        skip();
    }
    struct bh_host *h = lab_host("sqlite", LAB_WORDS(to_file), NULL);
    assert_int_equal(lab_offer(h, 0, 3, 100), 0);
    limit_files(65536);
    int r = 0;
    uint64_t k = 3;
    for (; k < 40 && r == 0; k++) {
        r = lab_offer(h, k, k + 1, 100);
    }
    assert_int_equal(r, BH_EAGAIN);
    assert_true(lab_heard("disk is full"));
    limit_files(RLIM_INFINITY);
    for (unsigned turn = 0; turn < 50 && r == BH_EAGAIN; turn++) {
        r = bh_host_tick(h, LAB_START + (100 + turn) * LAB_SECOND);
    }
    assert_int_equal(r, 0);
    assert_int_equal(lab_offer(h, k, 40, 100), 0);
    bh_host_free(h);
    assert_string_equal(ask("SELECT count(*), count(DISTINCT time) FROM records"), "4000|4000");
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, lab_end)
    const struct CMUnitTest tests[] = {
        CASE(test_rows),      CASE(test_repeats), CASE(test_hours), CASE(test_keep),
        CASE(test_bad_files), CASE(test_damaged), CASE(test_busy),  CASE(test_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
