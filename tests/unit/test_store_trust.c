/* SPDX-License-Identifier: BSD-2-Clause */
/* The packet log where things go wrong: what a stopped writer left, damage in journals, a disk that is
 * full, a clock that steps back. Every record has its number as sequence number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../lib/store/file_priv.h"
#include "../../lib/store/rows_priv.h"

#define START_NS 1185807600000000000LL
#define DAY_NS 86400000000000LL

static char dir[256];
static bool seal_beside; /* by a thread of its own */

static void
path_of(char ret[400], const char *name)
{
    snprintf(ret, 400, "%s/%s", dir, name);
}

static void
empty_dir(void)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path);
    }
    closedir(d);
}

static int
new_dir(void **state)
{
    const char *base = getenv("TMPDIR");
    (void)state;
    seal_beside = false;
    snprintf(dir, sizeof dir, "%s/bh-trust-XXXXXX", base == NULL ? "/tmp" : base);
    return mkdtemp(dir) == NULL;
}

static int
drop_dir(void **state)
{
    (void)state;
    empty_dir();
    return rmdir(dir);
}

static unsigned
verdict(void *arg, uint32_t connection, int64_t ts_ns)
{
    (void)arg;
    (void)ts_ns;
    return connection % 3 == 0 ? BH_OUTCOME_REFUSED : BH_OUTCOME_COMPLETE;
}

static void
fill(struct bh_batch *b, uint32_t first, uint32_t rows, int64_t start_ns)
{
    bh_batch_reset(b);
    b->want = BH_WANT_COLD;
    for (uint32_t i = 0; i < rows; i++) {
        const uint32_t n = first + i;
        b->ts_ns[i] = start_ns + (int64_t)n * 1000000;
        b->kind[i] = BH_KIND_IP4;
        b->proto[i] = BH_PROTO_TCP;
        b->direction[i] = BH_DIR_IN;
        b->cls[i] = BH_CLASS_ACCESS;
        b->outcome[i] = BH_OUTCOME_NONE;
        b->connection[i] = n;
        b->tcp_flags[i] = BH_TCP_SYN;
        b->layers[i] = BH_LAYER_IPV4 | BH_LAYER_TCP;
        b->ip_len[i] = 40;
        b->wire_len[i] = 60;
        b->src[i] = 0x3d000000 + n % 251 * 7;
        b->dst[i] = 0xcb007101;
        b->ports[i] = (uint32_t)(n * 2654435761U) << 16 | (n % 5 == 0 ? 23 : 22);
        b->tcp_seq[i] = n;
        b->ttl[i] = (uint8_t)(40 + n % 251 % 9);
        b->marks[i] = b->reason[i] = b->df[i] = 0;
        b->payload_len[i] = b->ip_id[i] = b->tcp_window[i] = 0;
        b->tcp_options[i] = 0;
        b->src_mac[i] = 0;
        b->vlan[i] = b->ethertype[i] = b->interface[i] = 0;
        b->tunnel_sender[i] = b->tunnel_vni[i] = 0;
        b->weight[i] = 0;
        b->rows++;
    }
}

static struct bh_store_writer *
open_writer(uint32_t blocks)
{
    struct bh_store_writer_config cfg = { .dir = dir,
                                          .segment_blocks = blocks,
                                          .seal_beside = seal_beside,
                                          .run = { .outcomes = true } };
    struct bh_store_writer *w = NULL;
    struct bh_error err = { 0 };
    snprintf(cfg.run.home, sizeof cfg.run.home, "203.0.113.1");
    if (bh_store_writer_open(&cfg, &w, &err) != 0) {
        fail_msg("%s: %s", err.where, err.text[0]);
    }
    return w;
}

static const struct bh_store_sums no_sums;

/* A thousand rows, in four batches. */
static void
write_thousand(struct bh_store_writer *w, uint32_t first, int64_t start_ns)
{
    struct bh_batch *b = bh_batch_new();
    struct bh_error err = { 0 };
    for (uint32_t part = 0; part < 4; part++) {
        fill(b, first + 250 * part, 250, start_ns);
        assert_int_equal(bh_store_write(w, b, &err), 0);
    }
    bh_batch_free(b);
}

/* What the reader finds: every record is one that was written, in order. */
struct found {
    uint32_t rows, wrong, undecided, last;
    uint64_t blocks;
    struct bh_store_health health;
};

static struct found
read_log(int64_t start_ns)
{
    struct found f = { 0 };
    struct bh_store *s;
    struct bh_error err = { 0 };
    const char *dirs[] = { dir };
    struct bh_store_query q = { .start_ns = INT64_MIN, .end_ns = INT64_MAX, .want = BH_STORE_ALL };
    struct bh_batch *b = bh_batch_new(), *wanted = bh_batch_new();
    struct bh_store_totals t;
    if (bh_store_open(dirs, 1, &s, &err) != 0) {
        fail_msg("%s: %s", err.where, err.text[0]);
    }
    assert_int_equal(bh_store_read_begin(s, &q, &err), 0);
    while (bh_store_read(s, b, &err) == 1) {
        for (uint32_t i = 0; i < b->rows; i++, f.rows++) {
            const uint32_t n = b->tcp_seq[i];
            fill(wanted, n, 1, start_ns);
            f.wrong += (f.rows > 0 && n <= f.last) || b->ts_ns[i] != wanted->ts_ns[0] ||
                       b->src[i] != wanted->src[0] || b->ports[i] != wanted->ports[0] ||
                       b->ttl[i] != wanted->ttl[0];
            f.undecided += b->outcome[i] == BH_OUTCOME_NONE;
            f.wrong += b->outcome[i] != BH_OUTCOME_NONE && b->outcome[i] != verdict(NULL, n, 0);
            f.last = n;
        }
    }
    bh_store_get_health(s, &f.health);
    bh_store_get_totals(s, &t);
    f.blocks = t.blocks;
    bh_store_close(s);
    bh_batch_free(b);
    bh_batch_free(wanted);
    return f;
}

static bool
is_there(const char *name)
{
    char path[400];
    path_of(path, name);
    return access(path, F_OK) == 0;
}

/* `batches` of 1000 rows, each with a tick a second later; the last `open` rows are not settled. */
static void
write_rows(struct bh_store_writer *w, uint32_t first, uint32_t batches, uint32_t open)
{
    struct bh_error err = { 0 };
    for (uint32_t k = 0; k < batches; k++) {
        const uint32_t rows = first + 1000 * (k + 1);
        write_thousand(w, first + 1000 * k, START_NS);
        bh_store_settle(w, rows > open ? rows - open : 0, verdict, NULL);
        assert_int_equal(
            bh_store_tick(w, (int64_t)(rows / 1000) * 1000000000, &no_sums, verdict, NULL, &err),
            0);
    }
}

/* ---- what stopped writers left ---------------------------------------------------------------------- */

static void
write_file(const char *name, const void *data, size_t size)
{
    char path[400];
    path_of(path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0 && write(fd, data, size) == (ssize_t)size && close(fd) == 0);
}

/* Killed between two system calls when a journal begins: nothing is damaged, and nothing is lost. */
static void
begun_journals(void **state)
{
    (void)state;
    uint8_t header[FILE_HEADER_SIZE + 100] = { 0 };
    static const size_t sizes[] = { 0, 1, 7, 8, 63, 64, 100 };
    for (unsigned zero = 0; zero < 2; zero++) {
        for (size_t k = 0; k < BH_COUNT(sizes); k++) {
            empty_dir();
            memset(header, 0, sizeof header);
            if (zero == 0) {
                file_header_put(header, FILE_JOURNAL, 9, 9, 0);
            }
            write_file("0000000009.jnl", header, sizes[k]);
            struct found f = read_log(0);
            assert_true(f.rows == 0 && f.health.damaged_files == 0 && f.health.damaged_blocks == 0);
            assert_int_equal(
                bh_store_writer_close(open_writer(1), &no_sums, &(struct bh_error){ 0 }), 0);
            assert_false(is_there("0000000009.jnl"));
        }
    }
}

/* The child finds no room for more than `limit` octets in a file; what it returns. */
static int
with_little_room(rlim_t limit, int (*run)(void))
{
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit small = { limit, RLIM_INFINITY };
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &small);
        _exit(run());
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int
recover_in_vain(void)
{
    struct bh_store_writer_config cfg = { .dir = dir, .segment_blocks = 1 };
    struct bh_store_writer *w;
    struct bh_error err = { 0 };
    return bh_store_writer_open(&cfg, &w, &err) == -EFBIG ? 0 : 1;
}

/* Killed while a segment was sealed, and once more while that was mended. The journal that goes on from
 * another is gone before that one becomes a segment: else its records would be there twice. */
static void
killed_twice(void **state)
{
    (void)state;
    struct bh_store_writer *w = open_writer(1);
    char first[400], saved[400], segment[400];
    uint32_t batches = 0;
    path_of(first, "0000000001.jnl");
    path_of(saved, "saved");
    path_of(segment, "0000000001.seg");
    while (!is_there("0000000001.seg")) {
        write_rows(w, 1000 * batches++, 1, 10000);
        bh_ignore(link(first, saved));
        assert_true(batches < 200);
    }
    assert_true(is_there("0000000002.jnl") && !is_there("0000000001.jnl"));
    const uint64_t flushed = bh_store_flushed(w);
    assert_int_equal(bh_store_writer_close(w, NULL, &(struct bh_error){ 0 }), 0);
    assert_int_equal(read_log(START_NS).rows, flushed);
    /* As it was when the second journal was there, and the segment not yet in its place. */
    assert_int_equal(rename(saved, first), 0);
    assert_int_equal(read_log(START_NS).rows, flushed);
    assert_int_equal(unlink(segment), 0);
    assert_int_equal(read_log(START_NS).rows, flushed);
    assert_int_equal(with_little_room(4096, recover_in_vain), 0);
    assert_true(is_there("0000000001.jnl") && !is_there("0000000002.jnl") &&
                !is_there("0000000001.new"));
    assert_int_equal(read_log(START_NS).rows, flushed);
    assert_int_equal(bh_store_writer_close(open_writer(1), &no_sums, &(struct bh_error){ 0 }), 0);
    struct found f = read_log(START_NS);
    assert_true(f.rows == flushed && f.wrong == 0 && f.health.damaged_files == 0);
}

static unsigned
verdict_so_far(void *arg, uint32_t connection, int64_t ts_ns)
{
    const uint32_t *known = arg; /* of the connections below */
    return connection < *known ? verdict(NULL, connection, ts_ns) : (unsigned)BH_OUTCOME_NONE;
}

/* Outcomes become known while their records stand in the journal already: those of what came last at once,
 * of older ones some flushes later, and all when they are final. */
static void
late_verdicts(void **state)
{
    (void)state;
    struct bh_store_writer *w = open_writer(16);
    struct bh_error err = { 0 };
    uint32_t known = 0, rows = 0;
    assert_int_equal(bh_store_tick(w, 0, &no_sums, verdict_so_far, &known, &err), 0);
    for (uint32_t k = 1; k <= 40; k++) {
        write_thousand(w, rows, START_NS);
        rows += 1000;
        known = k == 40 ? rows : known;
        assert_int_equal(bh_store_tick(w, k * 1000000000LL, &no_sums, verdict_so_far, &known, &err),
                         0);
    }
    struct found f = read_log(START_NS); /* turn 40: of the last 8 flushes */
    assert_true(f.rows == rows && f.wrong == 0 && f.undecided == rows - 8000);
    bh_store_settle(w, 20000, verdict_so_far, &known);
    assert_int_equal(bh_store_tick(w, 41000000000LL, &no_sums, verdict_so_far, &known, &err), 0);
    f = read_log(START_NS); /* nothing came since, but 20,000 are final */
    assert_true(f.rows == rows && f.wrong == 0 && f.undecided == rows - 28000);
    for (uint32_t k = 42; k <= 64; k++) {
        write_thousand(w, rows, START_NS);
        rows += 1000;
        assert_int_equal(bh_store_tick(w, k * 1000000000LL, &no_sums, verdict_so_far, &known, &err),
                         0);
    }
    f = read_log(START_NS); /* turn 64: of the last 32; what came after the 40th is not known */
    assert_true(f.rows == rows && f.wrong == 0 && f.undecided == 12000 + 23000);
    bh_store_settle(w, 32000, verdict_so_far, &known);
    assert_int_equal(bh_store_tick(w, 65000000000LL, &no_sums, verdict_so_far, &known, &err), 0);
    assert_int_equal(bh_store_writer_close(w, NULL, &err), 0);
    f = read_log(START_NS);
    assert_true(f.rows == rows && f.wrong == 0 && f.undecided == 23000);
}

/* ---- damage ------------------------------------------------------------------------------------------- */

/* Any octet of a journal: what is left is right, with the outcomes that belong to it, and at most the
 * records of one flush are gone; where it shows in the records it is said. */
static void
flipped_journal(void **state)
{
    (void)state;
    struct bh_store_writer *w = open_writer(16);
    char path[400];
    struct stat st;
    write_rows(w, 0, 12, 3000);
    assert_int_equal(bh_store_writer_close(w, NULL, &(struct bh_error){ 0 }), 0);
    path_of(path, "0000000001.jnl");
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    const struct found whole = read_log(START_NS);
    assert_true(whole.rows == 12000 && whole.wrong == 0 && whole.undecided == 0);
    uint32_t shown = 0;
    for (off_t at = 0; at < st.st_size; at += at < 1200 ? 7 : 61) {
        uint8_t octet, other;
        assert_int_equal(pread(fd, &octet, 1, at), 1);
        other = (uint8_t)(octet ^ 1U << at % 8);
        assert_int_equal(pwrite(fd, &other, 1, at), 1);
        const struct found f = read_log(START_NS);
        if (f.wrong > 0 || f.rows + 2000 < whole.rows ||
            f.health.lost_records > whole.rows - f.rows ||
            (f.rows < whole.rows && f.health.damaged_files + f.health.damaged_blocks == 0)) {
            fail_msg("octet %ld: %u wrong, %u of %u records, %u undecided, %u said to be lost",
                     (long)at, f.wrong, f.rows, whole.rows, f.undecided,
                     (unsigned)f.health.lost_records);
        }
        shown += f.rows < whole.rows;
        assert_int_equal(pwrite(fd, &octet, 1, at), 1);
    }
    assert_true(shown > 10);
    close(fd);
    /* Sealed with damage: what is sound becomes a segment, the octets are kept. */
    fd = open(path, O_RDWR);
    assert_true(fd >= 0 && pwrite(fd, "x", 1, st.st_size / 2) == 1 && close(fd) == 0);
    const uint32_t left = read_log(START_NS).rows;
    assert_true(left < whole.rows);
    assert_int_equal(bh_store_writer_close(open_writer(1), &no_sums, &(struct bh_error){ 0 }), 0);
    assert_true(read_log(START_NS).rows == left && is_there("0000000001.jnl.damaged"));
}

/* A journal cut anywhere is one whose writer was stopped there: no damage. */
static void
cut_journal(void **state)
{
    (void)state;
    struct bh_store_writer *w = open_writer(16);
    char path[400];
    struct stat st;
    write_rows(w, 0, 4, 500);
    assert_int_equal(bh_store_writer_close(w, NULL, &(struct bh_error){ 0 }), 0);
    path_of(path, "0000000001.jnl");
    assert_int_equal(stat(path, &st), 0);
    for (off_t size = st.st_size; size >= 0; size -= size > 2000 ? 37 : 3) {
        assert_int_equal(truncate(path, size), 0);
        const struct found f = read_log(START_NS);
        if (f.wrong > 0 || f.health.damaged_files + f.health.damaged_blocks > 0) {
            fail_msg("%ld octets: %u wrong, %u damaged", (long)size, f.wrong,
                     (unsigned)f.health.damaged_files);
        }
    }
}

/* ---- room and time --------------------------------------------------------------------------------------- */

static rlim_t
set_room(rlim_t limit)
{
    struct rlimit l;
    getrlimit(RLIMIT_FSIZE, &l);
    const rlim_t old = l.rlim_cur;
    l.rlim_cur = limit;
    setrlimit(RLIMIT_FSIZE, &l);
    return old;
}

/* A disk that is full for a while: an error at each tick, then all is there, in order. */
static void
room_comes_back(void **state)
{
    seal_beside = *state != NULL;
    struct bh_store_writer *w = open_writer(1);
    struct bh_error err = { 0 };
    unsigned failed = 0;
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    write_rows(w, 0, 5, 0);
    const rlim_t old = set_room(20000);
    for (uint32_t k = 5; k < 40; k++) {
        write_thousand(w, 1000 * k, START_NS);
        bh_store_settle(w, 1000 * k, verdict, NULL);
        failed += bh_store_tick(w, (int64_t)(k + 1) * 1000000000, &no_sums, verdict, NULL, &err) ==
                  -EFBIG;
    }
    const uint64_t flushed = bh_store_flushed(w);
    const uint32_t seen = read_log(START_NS).rows;
    set_room(old);
    assert_true(failed > 20 && flushed < 40000 && flushed == seen);
    assert_int_equal(bh_store_tick(w, 50000000000, &no_sums, verdict, NULL, &err), 0);
    assert_int_equal(read_log(START_NS).rows, 40000);
    write_rows(w, 40000, 70, 1000); /* and segments are sealed again */
    bh_store_settle(w, UINT64_MAX, verdict, NULL);
    assert_int_equal(bh_store_writer_close(w, &no_sums, &err), 0);
    signal(SIGXFSZ, before);
    const struct found f = read_log(START_NS);
    assert_true(f.rows == 110000 && f.wrong == 0 && f.undecided == 0);
}

static void
clock_steps_back(void **state)
{
    seal_beside = *state != NULL;
    struct bh_store_writer *w = open_writer(1);
    struct bh_batch *b = bh_batch_new();
    struct bh_error err = { 0 };
    static const int64_t clock_s[] = { 1000, 1001, 1002, 10, 10, 11, -500, -499, 3000 };
    uint64_t flushed[BH_COUNT(clock_s)];
    for (uint32_t k = 0; k < BH_COUNT(clock_s); k++) {
        fill(b, 100 * k, 100, START_NS);
        assert_int_equal(bh_store_write(w, b, &err), 0);
        assert_int_equal(bh_store_tick(w, clock_s[k] * 1000000000, &no_sums, NULL, NULL, &err), 0);
        flushed[k] = bh_store_flushed(w);
    }
    assert_true(flushed[3] == 400 && flushed[4] == 400 && flushed[5] == 600 && flushed[6] == 700 &&
                flushed[7] == 800 && flushed[8] == 900);
    bh_store_settle(w, UINT64_MAX, verdict, NULL);
    assert_int_equal(bh_store_writer_close(w, &no_sums, &err), 0);
    assert_int_equal(read_log(START_NS).rows, 900);
    bh_batch_free(b);
}

/* Its directory goes: said at the next tick, and ever after. */
static void
lock_goes(void **state)
{
    seal_beside = *state != NULL;
    struct bh_store_writer *w = open_writer(1);
    struct bh_error err = { 0 }, again = { 0 };
    char path[400];
    write_rows(w, 0, 3, 0);
    path_of(path, "lock");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(bh_store_tick(w, 100000000000, &no_sums, NULL, NULL, &err), -ENOENT);
    assert_non_null(strstr(err.text[BH_EN], "removed"));
    struct bh_batch *b = bh_batch_new();
    fill(b, 3000, 10, START_NS);
    assert_int_equal(bh_store_write(w, b, &again), -ENOENT);
    assert_string_equal(again.text[BH_JA], err.text[BH_JA]);
    assert_int_equal(bh_store_writer_close(w, &no_sums, &err), 0);
    assert_int_equal(read_log(START_NS).rows, 3000);
    bh_batch_free(b);
}

/* ---- what is kept ------------------------------------------------------------------------------------------ */

/* A log a day: `first` is how many days after the start it begins. */
static void
write_day(int64_t day, bool with_wrong_clock)
{
    struct bh_store_writer *w = open_writer(1);
    struct bh_batch *b = bh_batch_new();
    struct bh_error err = { 0 };
    fill(b, 0, 250, START_NS + day * DAY_NS);
    if (with_wrong_clock) {
        b->ts_ns[125] += 10000 * DAY_NS;
    }
    assert_int_equal(bh_store_write(w, b, &err), 0);
    bh_store_settle(w, UINT64_MAX, verdict, NULL);
    assert_int_equal(bh_store_writer_close(w, &no_sums, &err), 0);
    bh_batch_free(b);
}

static void
kept_by_age(void **state)
{
    (void)state;
    static const struct {
        uint64_t keep_days;
        bool wrong_clock;
        uint64_t files;
    } cases[] = {
        { 0, false, 6 }, { 5, false, 6 }, { 3, false, 4 }, { 1, false, 2 }, { 3, true, 4 }
    };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        struct bh_store_done d;
        struct bh_error err = { 0 };
        empty_dir();
        for (int64_t day = 0; day < 6; day++) {
            write_day(day, cases[k].wrong_clock && day == 5);
        }
        assert_int_equal(bh_store_retain(dir, cases[k].keep_days * (uint64_t)DAY_NS, 0, &d, &err),
                         0);
        assert_int_equal(d.files_after, cases[k].files);
        assert_int_equal(d.lost_records, (6 - cases[k].files) * 250);
    }
    /* What was written last stays, though it is the oldest, and numbers go on behind it. */
    struct bh_store_done d;
    struct bh_error err = { 0 };
    write_day(-100, false);
    assert_int_equal(bh_store_retain(dir, (uint64_t)DAY_NS, 1, &d, &err), 0);
    assert_true(d.files_after == 1 && is_there("0000000007.seg"));
    write_day(7, false);
    assert_true(is_there("0000000008.seg"));
}

/* ---- order -------------------------------------------------------------------------------------------------- */

/* Old and new records in turn: all there, in the order they came, in few blocks. */
static void
late_records(void **state)
{
    (void)state;
    struct bh_store_writer *w = open_writer(4);
    struct bh_error err = { 0 };
    for (uint32_t k = 0; k < 300; k++) {
        write_thousand(w, 1000 * k, START_NS - (k % 2) * 40 * DAY_NS);
        bh_store_settle(w, UINT64_MAX, verdict, NULL);
    }
    assert_int_equal(bh_store_writer_close(w, &no_sums, &err), 0);
    const struct found f = read_log(START_NS);
    assert_int_equal(f.rows, 300000);
    assert_int_equal(f.last, 299999);
    if (f.blocks > 30) {
        fail_msg("%u blocks", (unsigned)f.blocks);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(begun_journals, new_dir, drop_dir),
        cmocka_unit_test_setup_teardown(killed_twice, new_dir, drop_dir),
        cmocka_unit_test_setup_teardown(late_verdicts, new_dir, drop_dir),
        cmocka_unit_test_setup_teardown(flipped_journal, new_dir, drop_dir),
        cmocka_unit_test_setup_teardown(cut_journal, new_dir, drop_dir),
        cmocka_unit_test_setup_teardown(room_comes_back, new_dir, drop_dir),
        cmocka_unit_test_prestate_setup_teardown(room_comes_back, new_dir, drop_dir, &seal_beside),
        cmocka_unit_test_setup_teardown(clock_steps_back, new_dir, drop_dir),
        cmocka_unit_test_prestate_setup_teardown(clock_steps_back, new_dir, drop_dir, &seal_beside),
        cmocka_unit_test_setup_teardown(lock_goes, new_dir, drop_dir),
        cmocka_unit_test_prestate_setup_teardown(lock_goes, new_dir, drop_dir, &seal_beside),
        cmocka_unit_test_setup_teardown(kept_by_age, new_dir, drop_dir),
        cmocka_unit_test_setup_teardown(late_records, new_dir, drop_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
