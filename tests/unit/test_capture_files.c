/* SPDX-License-Identifier: BSD-2-Clause */
/* test_capture_files.c - files as they come: packed, through pipes, several at once, and those
 * that are no captures at all. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "bh_capture.h"
#include "make_capture.h"

#define S 1000000000LL

static char dir[64]; /* of this run's files */

static int
setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/bh_capture_XXXXXX");
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

/* A file of this name in our directory; the text is good until the next call but eight. */
static const char *
path_of(const char *name)
{
    static char paths[8][128];
    static size_t next;
    char *path = paths[next++ % BH_COUNT(paths)];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static const char *
write_file(const char *name, const void *data, size_t size)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    return path;
}

static const char *
write_made(const char *name, struct mc *m)
{
    const char *path = write_file(name, m->data, m->len);
    mc_done(m);
    return path;
}

/* Frame n has length `len` + n % 7, and its number in each octet: a byte out of place shows. */
static void
make_pcap(struct mc *m, uint32_t count, uint32_t len, uint32_t first_second)
{
    uint8_t *octets = malloc(len + 7);
    assert_non_null(octets);
    mc_pcap_header(m, MC_PCAP_US, 1, len + 7);
    for (uint32_t n = 0; n < count; n++) {
        memset(octets, (int)(n % 251), len + 7);
        mc_pcap_record(m, first_second + n, 0, octets, len + n % 7, len + n % 7);
    }
    free(octets);
}

/* How many of the frames are as make_pcap() made them. */
static uint64_t
count_right(const struct bh_frames *f, uint64_t first, uint32_t len)
{
    uint64_t right = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        const struct bh_frame *x = &f->frame[i];
        uint64_t n = first + i;
        bool is_right = x->cap_len == len + n % 7 && x->ts_ns == (int64_t)n * S;
        for (uint32_t at = 0; is_right && at < x->cap_len; at++) {
            is_right = x->data[at] == n % 251;
        }
        right += is_right;
    }
    return right;
}

struct seen {
    uint64_t frames, right;
    size_t notes, damages;
    struct bh_error note;
};

static struct seen
drain(struct bh_capture *c, uint32_t len)
{
    struct bh_frames *f = bh_frames_new();
    struct seen seen = { 0 };
    const struct bh_capture_note *notes;

    while (bh_capture_read(c, f) == 1) {
        seen.right += count_right(f, seen.frames, len);
        seen.frames += f->count;
    }
    seen.notes = bh_capture_notes(c, &notes);
    for (size_t i = 0; i < seen.notes; i++) {
        seen.damages += notes[i].damaged;
        seen.note = notes[i].error;
    }
    bh_frames_free(f);
    bh_capture_close(c);
    return seen;
}

static struct seen
drain_path(const char *path, uint32_t len)
{
    struct bh_capture *c;
    assert_int_equal(bh_capture_open(&path, 1, &c, NULL), 0);
    return drain(c, len);
}

/* ---- packed -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*pack)(struct mc *m, const uint8_t *data, size_t size);
} packers[] = { { "gzip", mc_gzip }, { "zstd", mc_zstd }, { "lz4", mc_lz4 }, { "xz", mc_xz } };

/* Not built with this library: then the text says so, and there is nothing more to test. */
static bool
is_missing(void (*pack)(struct mc *, const uint8_t *, size_t))
{
    struct mc m = { 0 };
    struct bh_capture *c;
    struct bh_error err;
    static const uint8_t header[24] = { 0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4 };
    pack(&m, header, sizeof header);
    int r = bh_capture_open_memory(m.data, m.len, &c, &err);
    mc_done(&m);
    if (r == 0) {
        bh_capture_close(c);
        return false;
    }
    assert_int_equal(r, BH_EFORMAT);
    assert_non_null(strstr(err.text[BH_EN], "built without"));
    return true;
}

static void
packed_in_one_or_more_members(void **state)
{
    (void)state;
    static const struct {
        uint32_t count, len;
        size_t members;
    } cases[] = {
        { 3, 40, 1 },     { 3, 40, 2 },     { 0, 40, 1 },      { 40000, 60, 1 },
        { 40000, 60, 5 }, { 900, 9000, 3 }, { 30, 200000, 2 }, { 3, 2000000, 1 },
    };
    for (size_t p = 0; p < BH_COUNT(packers); p++) {
        for (size_t i = 0; !is_missing(packers[p].pack) && i < BH_COUNT(cases); i++) {
            struct mc plain = { 0 };
            struct mc packed = { 0 };
            make_pcap(&plain, cases[i].count, cases[i].len, 0);
            size_t part = plain.len / cases[i].members;
            for (size_t n = 0; n < cases[i].members; n++) {
                size_t at = n * part;
                bool is_last = n + 1 == cases[i].members;
                packers[p].pack(&packed, plain.data + at, is_last ? plain.len - at : part);
            }
            mc_done(&plain);
            struct bh_capture *c;
            assert_int_equal(bh_capture_open_memory(packed.data, packed.len, &c, NULL), 0);
            uint64_t expected = bh_capture_expected_frames(c);
            /* Unknown where not even one record was unpacked to look at. */
            bool is_unknown = cases[i].count == 0 || cases[i].len > 256 << 10;
            assert_true(is_unknown ? expected == 0 : expected > cases[i].count / 4);
            assert_true(expected <= 4 * (uint64_t)cases[i].count);
            struct seen seen = drain(c, cases[i].len);
            assert_int_equal(seen.frames, cases[i].count);
            assert_int_equal(seen.right, cases[i].count);
            assert_int_equal(seen.notes, 0);
            seen = drain_path(write_made("packed", &packed), cases[i].len);
            assert_int_equal(seen.right, cases[i].count);
        }
    }
}

static void
packed_and_cut_everywhere(void **state)
{
    (void)state;
    for (size_t p = 0; p < BH_COUNT(packers); p++) {
        struct mc plain = { 0 };
        struct mc packed = { 0 };
        make_pcap(&plain, 5, 20, 0);
        packers[p].pack(&packed, plain.data, plain.len);
        size_t overhead = packed.len - plain.len;
        mc_done(&plain);
        for (size_t size = 1; !is_missing(packers[p].pack) && size < packed.len; size++) {
            struct bh_capture *c;
            struct bh_error err;
            if (bh_capture_open_memory(packed.data, size, &c, &err) != 0) {
                assert_true(size < 24 + overhead);
                assert_true(err.text[BH_EN][0] != '\0' && err.text[BH_JA][0] != '\0');
                continue;
            }
            struct seen seen = drain(c, 20);
            assert_int_equal(seen.right, seen.frames);
            assert_int_equal(seen.damages, 1);
        }
        mc_done(&packed);
    }
}

static void
packed_and_damaged_gives_what_was_before(void **state)
{
    (void)state;
    for (size_t p = 0; p < BH_COUNT(packers) && !is_missing(packers[p].pack); p++) {
        struct mc plain = { 0 };
        struct mc packed = { 0 };
        make_pcap(&plain, 20000, 60, 0);
        packers[p].pack(&packed, plain.data, plain.len);
        mc_done(&plain);
        /* The header of a block in the middle; which one depends on the size of blocks. */
        static const size_t header_at[] = { 10 + 10 * (65535 + 5), 6 + 5 * (131072 + 3),
                                            7 + 10 * (65536 + 4), 24 + 10 * (65536 + 3) };
        memset(packed.data + header_at[p], 0xff, 4);
        struct bh_capture *c;
        assert_int_equal(bh_capture_open_memory(packed.data, packed.len, &c, NULL), 0);
        struct seen seen = drain(c, 60);
        /* 655,360 octets at least were good; a frame takes 16 + 63 on average. */
        assert_in_range(seen.frames, 655350 / 79 - 2, 655360 / 79 + 1);
        assert_int_equal(seen.right, seen.frames);
        assert_int_equal(seen.damages, 1);
        assert_true(seen.note.has_offset);
        assert_in_range(seen.note.offset, header_at[p], header_at[p] + 8);
        assert_non_null(strstr(seen.note.text[BH_EN], packers[p].name));
        mc_done(&packed);
    }
}

static void
packed_and_followed_by_something(void **state)
{
    (void)state;
    for (size_t p = 0; p < BH_COUNT(packers) && !is_missing(packers[p].pack); p++) {
        struct mc plain = { 0 };
        struct mc packed = { 0 };
        struct bh_capture *c;
        make_pcap(&plain, 5, 20, 0);
        packers[p].pack(&packed, plain.data, plain.len);
        mc_done(&plain);
        mc_put(&packed, "this is not packed at all", 25);
        assert_int_equal(bh_capture_open_memory(packed.data, packed.len, &c, NULL), 0);
        struct seen seen = drain(c, 20);
        assert_int_equal(seen.right, 5);
        assert_int_equal(seen.damages, 1);
        if (p == 0) {
            packed.len -= 25;
            mc_put(&packed, (uint8_t[512]){ 0 }, 512); /* a tape's padding is no damage */
            assert_int_equal(bh_capture_open_memory(packed.data, packed.len, &c, NULL), 0);
            assert_int_equal(drain(c, 20).notes, 0);
        }
        mc_done(&packed);
    }
}

static void
frames_to_skip_come_first(void **state)
{
    (void)state;
    for (size_t p = 1; p < 3 && !is_missing(packers[p].pack); p++) { /* zstd and lz4 have them */
        struct mc plain = { 0 };
        struct mc packed = { 0 };
        struct bh_capture *c;
        make_pcap(&plain, 5, 20, 0);
        mc_u32(&packed, 0x184d2a50U);
        mc_u32(&packed, 4);
        mc_u32(&packed, 12345);
        packers[p].pack(&packed, plain.data, plain.len);
        mc_done(&plain);
        assert_int_equal(bh_capture_open_memory(packed.data, packed.len, &c, NULL), 0);
        assert_int_equal(drain(c, 20).right, 5);
        mc_done(&packed);
    }
}

/* ---- pipes --------------------------------------------------------------------------------- */

struct writer {
    int fd;
    const uint8_t *data;
    size_t size, step;
};

static void *
write_slowly(void *arg)
{
    struct writer *w = arg;
    for (size_t at = 0; at < w->size;) {
        size_t n = w->size - at < w->step ? w->size - at : w->step;
        ssize_t done = write(w->fd, w->data + at, n);
        if (done <= 0) {
            break;
        }
        at += (size_t)done;
    }
    close(w->fd);
    return NULL;
}

static struct seen
drain_pipe(const struct mc *m, size_t step, uint32_t len)
{
    int fd[2];
    char path[32];
    pthread_t thread;
    assert_int_equal(pipe(fd), 0);
    struct writer w = { fd[1], m->data, m->len, step };
    assert_int_equal(pthread_create(&thread, NULL, write_slowly, &w), 0);
    snprintf(path, sizeof path, "/dev/fd/%d", fd[0]);
    struct seen seen = drain_path(path, len);
    pthread_join(thread, NULL);
    close(fd[0]);
    return seen;
}

static void
pipes_of_any_step(void **state)
{
    (void)state;
    static const struct {
        uint32_t count, len;
        size_t step;
    } cases[] = {
        { 20, 30, 1 },        { 300, 30, 7 },        { 30000, 60, 4096 },   { 30000, 60, 65536 },
        { 900, 9000, 30000 }, { 20, 262137, 65536 }, { 2, 5000000, 65536 },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct mc m = { 0 };
        make_pcap(&m, cases[i].count, cases[i].len, 0);
        struct seen seen = drain_pipe(&m, cases[i].step, cases[i].len);
        assert_int_equal(seen.frames, cases[i].count);
        assert_int_equal(seen.right, cases[i].count);
        assert_int_equal(seen.notes, 0);
        m.len -= 5;
        seen = drain_pipe(&m, cases[i].step, cases[i].len);
        assert_int_equal(seen.right, cases[i].count - 1);
        assert_int_equal(seen.damages, 1);
        for (size_t p = 0; p < BH_COUNT(packers) && !is_missing(packers[p].pack); p++) {
            struct mc packed = { 0 };
            packers[p].pack(&packed, m.data, m.len);
            seen = drain_pipe(&packed, cases[i].step, cases[i].len);
            assert_int_equal(seen.right, cases[i].count - 1);
            assert_int_equal(seen.damages, 1);
            mc_done(&packed);
        }
        mc_done(&m);
    }
}

/* A live capture: the header comes, then nothing; a packet comes, then nothing. */
static void
a_pipe_gives_what_it_has(void **state)
{
    (void)state;
    int fd[2];
    char path[32];
    const char *paths[] = { path };
    struct mc m = { 0 };
    struct bh_capture *c;
    struct bh_frames *f = bh_frames_new();
    uint64_t total, done;

    make_pcap(&m, 2, 30, 0);
    assert_int_equal(pipe(fd), 0);
    snprintf(path, sizeof path, "/dev/fd/%d", fd[0]);
    assert_int_equal(write(fd[1], m.data, 24), 24);
    assert_int_equal(bh_capture_open(paths, 1, &c, NULL), 0);
    assert_int_equal(bh_capture_expected_frames(c), 0);
    assert_int_equal(write(fd[1], m.data + 24, 16 + 30 + 5), 51);
    assert_int_equal(bh_capture_read(c, f), 1);
    assert_int_equal(f->count, 1);
    assert_int_equal(write(fd[1], m.data + 75, m.len - 75), (int)(m.len - 75));
    assert_int_equal(bh_capture_read(c, f), 1);
    assert_int_equal(count_right(f, 1, 30), 1);
    bh_capture_progress(c, &total, &done);
    assert_int_equal(total, 0);
    assert_int_equal(done, m.len);
    close(fd[1]);
    assert_int_equal(bh_capture_read(c, f), 0);
    bh_frames_free(f);
    bh_capture_close(c);
    close(fd[0]);
    mc_done(&m);
}

/* ---- how long octets live ------------------------------------------------------------------ */

static void
blocks_live_beside_each_other_and_after_close(void **state)
{
    (void)state;
    enum { BLOCKS = 64 };
    struct mc m = { 0 };
    struct bh_frames *block[BLOCKS];
    uint64_t first[BLOCKS];
    uint64_t frames = 0;
    struct bh_capture *c;
    size_t count = 0;

    make_pcap(&m, 30000, 300, 0);
    const char *path = write_made("alive.pcap", &m);
    assert_int_equal(bh_capture_open(&path, 1, &c, NULL), 0);
    for (; count < BLOCKS; count++) {
        block[count] = bh_frames_new();
        first[count] = frames;
        if (bh_capture_read(c, block[count]) == 0) {
            break;
        }
        frames += block[count]->count;
    }
    assert_int_equal(frames, 30000);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(count_right(block[i], first[i], 300), block[i]->count);
    }
    bh_frames_free(block[0]);
    bh_capture_close(c);
    for (size_t i = 1; i <= count; i++) {
        bh_frames_free(block[i]);
    }
    bh_frames_free(NULL);
    bh_capture_close(NULL);
}

struct shared {
    struct bh_capture *c;
    pthread_mutex_t lock;
    uint64_t next, right;
};

static void *
read_along(void *arg)
{
    struct shared *s = arg;
    struct bh_frames *f[2] = { bh_frames_new(), bh_frames_new() };
    uint64_t first[2] = { 0, 0 };
    bool is_full[2] = { false, false };

    for (unsigned turn = 0;; turn ^= 1) {
        /* The older block is looked at while the other is new. */
        uint64_t right = is_full[turn] ? count_right(f[turn], first[turn], 60) : 0;
        pthread_mutex_lock(&s->lock);
        s->right += right;
        first[turn] = s->next;
        is_full[turn] = bh_capture_read(s->c, f[turn]) == 1;
        s->next += is_full[turn] ? f[turn]->count : 0;
        pthread_mutex_unlock(&s->lock);
        if (!is_full[0] && !is_full[1]) {
            break;
        }
    }
    bh_frames_free(f[0]);
    bh_frames_free(f[1]);
    return NULL;
}

static void
threads_share_a_capture(void **state)
{
    (void)state;
    struct mc m = { 0 };
    struct mc packed = { 0 };
    make_pcap(&m, 100000, 60, 0);
    mc_gzip(&packed, m.data, m.len);
    const char *paths[] = { write_made("threads.pcap", &m), write_made("threads.gz", &packed) };
    for (size_t i = 0; i < (is_missing(mc_gzip) ? 1U : 2U); i++) {
        struct shared s = { .lock = PTHREAD_MUTEX_INITIALIZER };
        pthread_t thread[4];
        assert_int_equal(bh_capture_open(&paths[i], 1, &s.c, NULL), 0);
        for (size_t t = 0; t < BH_COUNT(thread); t++) {
            assert_int_equal(pthread_create(&thread[t], NULL, read_along, &s), 0);
        }
        for (size_t t = 0; t < BH_COUNT(thread); t++) {
            pthread_join(thread[t], NULL);
        }
        assert_int_equal(s.right, 100000);
        bh_capture_close(s.c);
    }
}

/* ---- several files ------------------------------------------------------------------------- */

/* Times in seconds, 0-ended lists; the merged order is checked against a plain stable sort. */
static void
merge_case(const int (*seconds)[8], size_t files, bool packed)
{
    const char *paths[8];
    struct {
        int second;
        uint16_t file;
    } want[64];
    size_t count = 0;

    for (size_t i = 0; i < files; i++) {
        struct mc m = { 0 };
        char name[32];
        mc_pcap_header(&m, MC_PCAP_US, 1, 100);
        for (size_t n = 0; seconds[i][n] != 0; n++) {
            mc_pcap_record(&m, (uint32_t)seconds[i][n], 0, "0123456789", 10, 10);
            size_t at = count++;
            for (; at > 0 && want[at - 1].second > seconds[i][n]; at--) {
                want[at] = want[at - 1];
            }
            want[at].second = seconds[i][n];
            want[at].file = (uint16_t)i;
        }
        snprintf(name, sizeof name, "m%zu", i);
        if (packed) {
            struct mc gz = { 0 };
            mc_gzip(&gz, m.data, m.len);
            mc_done(&m);
            m = gz;
        }
        paths[i] = write_made(name, &m);
    }
    struct bh_capture *c;
    struct bh_frames *f = bh_frames_new();
    size_t at = 0;
    assert_int_equal(bh_capture_open(paths, files, &c, NULL), 0);
    while (bh_capture_read(c, f) == 1) {
        for (uint32_t i = 0; i < f->count; i++, at++) {
            assert_int_equal(f->frame[i].ts_ns, want[at].second * S);
            assert_int_equal(f->frame[i].file, want[at].file);
            assert_memory_equal(f->frame[i].data, "0123456789", 10);
        }
    }
    assert_int_equal(at, count);
    bh_frames_free(f);
    bh_capture_close(c);
}

static void
merge_orders(void **state)
{
    (void)state;
    static const int cases[][4][8] = {
        { { 1, 3, 5 }, { 2, 4, 6 }, { 0 }, { 0 } },
        { { 5, 6, 7 }, { 1, 2, 3 }, { 0 }, { 4 } },       /* one after the other */
        { { 1, 1, 2 }, { 1, 1, 2 }, { 1, 2, 2 }, { 2 } }, /* ties: by file */
        { { 1, 9 }, { 2, 8 }, { 3, 7 }, { 4, 5, 6 } },
        { { 0 }, { 0 }, { 0 }, { 0 } },
        { { 4, 4, 4, 4 }, { 1, 4, 4, 9 }, { 4 }, { 3, 4, 5 } },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        for (size_t files = 2; files <= 4; files++) {
            merge_case(cases[i], files, false);
            if (!is_missing(mc_gzip)) {
                merge_case(cases[i], files, true);
            }
        }
    }
}

/* Long files that alternate in runs of all lengths; plain, packed, and so many that they are
 * mapped. */
static void
merge_long_files(void **state)
{
    (void)state;
    enum { FILES = 20, FRAMES = 60000 };
    for (size_t files = 2; files <= FILES; files += 6) {
        struct mc m[FILES] = { 0 };
        char names[FILES][128];
        const char *paths[FILES];
        uint32_t second = 0;
        for (size_t i = 0; i < files; i++) {
            mc_pcap_header(&m[i], MC_PCAP_US, 1, 100);
        }
        for (uint32_t run = 0; second < FRAMES; run++) {
            for (uint32_t n = 0; n < 1 + run * run % 3001; n++, second++) {
                uint8_t octets[64];
                memset(octets, (int)(second % 251), sizeof octets);
                mc_pcap_record(&m[run * 7 % files], second, 0, octets, 50 + second % 7, 60);
            }
        }
        for (size_t i = 0; i < files; i++) {
            snprintf(names[i], sizeof names[i], "%s/long%zu", dir, i);
            paths[i] = names[i];
            if (i % 2 == 1 && !is_missing(mc_gzip)) {
                struct mc gz = { 0 };
                mc_gzip(&gz, m[i].data, m[i].len);
                mc_done(&m[i]);
                m[i] = gz;
            }
            write_made(names[i] + strlen(dir) + 1, &m[i]);
        }
        struct bh_capture *c;
        assert_int_equal(bh_capture_open(paths, files, &c, NULL), 0);
        assert_in_range(bh_capture_expected_frames(c), FRAMES / 2, FRAMES * 2);
        struct seen seen = drain(c, 50);
        assert_int_equal(seen.frames, second);
        assert_int_equal(seen.right, second);
        assert_int_equal(seen.notes, 0);
    }
}

static void
damage_ends_its_file_only(void **state)
{
    (void)state;
    struct mc a = { 0 };
    struct mc b = { 0 };
    make_pcap(&a, 10, 20, 0);
    make_pcap(&b, 10, 20, 100);
    a.len -= 3;
    const char *paths[] = { write_made("cut.pcap", &a), write_made("whole.pcap", &b) };
    struct bh_capture *c;
    assert_int_equal(bh_capture_open(paths, 2, &c, NULL), 0);
    struct seen seen = drain(c, 20);
    assert_int_equal(seen.frames, 19);
    assert_int_equal(seen.damages, 1);
    assert_non_null(strstr(seen.note.where, "cut.pcap"));
}

static void
a_file_that_shrinks_ends_early(void **state)
{
    (void)state;
    enum { FILES = 17 }; /* so many are mapped */
    const char *paths[FILES];
    char names[FILES][128];
    struct mc m = { 0 };
    struct bh_capture *c;
    for (size_t i = 0; i < FILES; i++) {
        make_pcap(&m, 100, 100, (uint32_t)i * 1000);
        snprintf(names[i], sizeof names[i], "%s/shrink%zu", dir, i);
        paths[i] = names[i];
        write_made(names[i] + strlen(dir) + 1, &m);
    }
    assert_int_equal(bh_capture_open(paths, FILES, &c, NULL), 0);
    assert_int_equal(truncate(paths[16], 0), 0);
    struct seen seen = drain(c, 100);
    assert_int_equal(seen.frames, 1600);
    assert_int_equal(seen.damages, 1);
}

static void
first_blocks_may_be_long(void **state)
{
    (void)state;
    static const uint32_t sizes[] = { 0, 200000, 229000, 262144, 300000, 3000000 };
    uint8_t *zeros = calloc(1, 3000000);
    assert_non_null(zeros);
    for (size_t i = 0; i < BH_COUNT(sizes); i++) {
        struct mc m = { 0 };
        mc_ng_begin(&m, 0x0a0d0d0aU);
        mc_u32(&m, 0x1a2b3c4dU);
        mc_u32(&m, 1);
        mc_number(&m, UINT64_MAX, 8);
        mc_put(&m, zeros, sizes[i]);
        mc_ng_end(&m);
        mc_ng_interface(&m, 1, 0, -1, 0);
        mc_ng_packet(&m, 0, 0, zeros, 5, 5);
        struct seen seen = drain_path(write_made("long.pcapng", &m), 5);
        assert_int_equal(seen.frames, 1);
        assert_int_equal(seen.right, 1);
        assert_int_equal(seen.notes, 0);
    }
    free(zeros);
}

/* Records of 64 KiB: more than one storage is looked at before it is known what it is. Alone it
 * is read, among many mapped, and packed it is begun again. */
static void
erf_of_long_records(void **state)
{
    (void)state;
    enum { RECORDS = 20, FILES = 17 };
    uint8_t record[65528] = { 0 };
    struct mc m = { 0 };
    struct mc packed = { 0 };
    const char *paths[FILES];
    char names[FILES][128];
    for (uint32_t n = 0; n < RECORDS; n++) {
        bh_put_le32(record + 4, 1185000000U + n);
        record[8] = 22;
        bh_put_be16(record + 10, sizeof record);
        bh_put_be16(record + 14, 1000);
        mc_put(&m, record, sizeof record);
    }
    mc_gzip(&packed, m.data, m.len);
    for (size_t i = 0; i < FILES; i++) {
        bool is_packed = i == 1 && !is_missing(mc_gzip);
        const struct mc *made = is_packed ? &packed : &m;
        snprintf(names[i], sizeof names[i], "%s/long%zu.erf", dir, i);
        paths[i] = names[i];
        write_file(names[i] + strlen(dir) + 1, made->data, made->len);
    }
    for (size_t files = 1; files <= FILES; files += files == 2 ? FILES - 2 : 1) {
        struct bh_capture *c;
        assert_int_equal(bh_capture_open(paths, files, &c, NULL), 0);
        assert_in_range(bh_capture_expected_frames(c), 1, 2 * RECORDS * files);
        struct bh_frames *f = bh_frames_new();
        uint64_t count = 0;
        while (bh_capture_read(c, f) == 1) {
            for (uint32_t i = 0; i < f->count; i++, count++) {
                assert_int_equal(f->frame[i].ts_ns, (int64_t)(1185000000 + count / files) * S);
                assert_int_equal(f->frame[i].cap_len, 1000);
                assert_int_equal(f->frame[i].link_type, 228);
            }
        }
        const struct bh_capture_note *notes;
        assert_int_equal(count, RECORDS * files);
        assert_int_equal(bh_capture_notes(c, &notes), 0);
        bh_frames_free(f);
        bh_capture_close(c);
    }
    mc_done(&m);
    mc_done(&packed);
}

/* ---- what cannot be opened ----------------------------------------------------------------- */

static void
open_fails(const char *const *paths, size_t count, int code, const char *en)
{
    struct bh_capture *c;
    struct bh_error err;
    char line[1000];
    int r = bh_capture_open(paths, count, &c, &err);
    if (r != code || strstr(err.text[BH_EN], en) == NULL || err.text[BH_JA][0] == '\0') {
        fail_msg("%d: %s; wanted %d with \"%s\"", r, bh_error_line(&err, BH_EN, line, sizeof line),
                 code, en);
    }
}

static void
files_that_are_no_captures(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        const char *octets;
        int code;
        const char *en;
    } cases[] = {
        { 0, "", BH_EFORMAT, "empty" },
        { 1, "\xd4", BH_EFORMAT, "begins with d4" },
        { 20, "\xd4\xc3\xb2\xa1\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0", BH_EDAMAGED, "20 of 24" },
        { 16, "\n\r\r\n\x1c\0\0\0\x4d\x3c\x2b\x1a\1\0\0\0", BH_EDAMAGED, "16 of 28" },
        { 16, "\n\r\r\n\x1d\0\0\0\x4d\x3c\x2b\x1a\1\0\0\0", BH_EDAMAGED, "length" },
        { 12, "\xff\xd8\xff\xe0\0\x10JFIF\0", BH_EFORMAT, "a JPEG picture" },
        { 12, "\x89PNG\r\n\x1a\n\0\0\0", BH_EFORMAT, "a PNG picture" },
        { 12, "%PDF-1.7\n%\xe2\xe3", BH_EFORMAT, "a PDF document" },
        { 12,
          "\x7f"
          "ELF\2\1\1\0\0\0\0",
          BH_EFORMAT, "ELF" },
        { 12, "PK\3\4\0\0\0\0\0\0\0", BH_EFORMAT, "zip" },
        { 12, "7z\xbc\xaf\x27\x1c\0\0\0\0\0", BH_EFORMAT, "7z" },
        { 12, "BZh91AY&SY\0", BH_EFORMAT, "bzip2" },
        { 16, "snoop\0\0\0\0\0\0\2\0\0\0", BH_EFORMAT, "snoop" },
        /* Would be an ERF record, but for the octets before an Ethernet frame; and one that is cut. */
        { 16, "\0\0\0\0\x40\x7c\xa1\x46\2\4\0\x10\0\0\0\0", BH_EFORMAT, "begins with 00 00" },
        { 20, "\0\0\0\0\x40\x7c\xa1\x46\2\4\0\x15\0\0\0\3\0\0\1\2", BH_EFORMAT,
          "begins with 00 00" },
        { 21, "1.2.3.4 - - [21/Jul]\n", BH_EFORMAT, "a text file" },
        { 12, "\xe3\x81\x82\xe3\x81\x84\n\n\n\n\n\n", BH_EFORMAT, "a text file" },
        { 5, "\1\2\3\4\5", BH_EFORMAT, "begins with 01 02 03 04 05" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        const char *path = write_file("other", cases[i].octets, cases[i].size);
        open_fails(&path, 1, cases[i].code, cases[i].en);
    }
}

static void
files_that_are_not_there(void **state)
{
    (void)state;
    const char *missing = path_of("missing");
    open_fails(&missing, 1, -ENOENT, "no such file");
    const char *directory = dir;
    open_fails(&directory, 1, -EISDIR, "directory");
    const char *nameless = "";
    open_fails(&nameless, 1, -ENOENT, "empty");
    open_fails(NULL, 0, BH_EUSAGE, "no capture file");
    if (geteuid() != 0) {
        const char *secret = write_file("secret", "x", 1);
        assert_int_equal(chmod(secret, 0), 0);
        open_fails(&secret, 1, -EACCES, "permission");
    }
}

static void
one_bad_file_is_an_error_for_all(void **state)
{
    (void)state;
    struct mc m = { 0 };
    make_pcap(&m, 3, 20, 0);
    const char *paths[] = { write_made("good", &m), path_of("missing") };
    open_fails(paths, 2, -ENOENT, "no such file");
}

static void
an_empty_or_cut_file_among_good_ones_is_a_note(void **state)
{
    (void)state;
    struct mc m = { 0 };
    char good[200], again[200], empty[200], cut[200], packed[200];
    make_pcap(&m, 3, 20, 0);
    strcpy(good, write_made("good", &m));
    make_pcap(&m, 3, 20, 0);
    strcpy(again, write_made("again", &m));
    strcpy(empty, write_file("empty", "", 0));
    strcpy(cut, write_file("cut", "\xd4\xc3\xb2\xa1\x02\x00\x04\x00", 8));
    strcpy(packed, write_file("packed", "\x1f\x8b\x08\x00", 4));
    const char *paths[] = { empty, good, cut, packed, again };
    struct bh_capture *c;
    struct bh_frames *f = bh_frames_new();
    const struct bh_capture_note *notes;
    assert_int_equal(bh_capture_open(paths, 5, &c, NULL), 0);
    assert_int_equal(bh_capture_read(c, f), 1);
    assert_int_equal(f->count, 6);
    assert_int_equal(bh_capture_read(c, f), 0);
    assert_int_equal(bh_capture_notes(c, &notes), 3);
    for (size_t i = 0; i < 3; i++) {
        static const uint16_t files[] = { 0, 2, 3 };
        assert_true(notes[i].damaged);
        assert_int_equal(notes[i].file, files[i]);
    }
    bh_frames_free(f);
    bh_capture_close(c);
    /* None good: an error as before; another kind of file: too. */
    open_fails((const char *[]){ empty, cut }, 2, BH_EDAMAGED, "cut inside its header");
    strcpy(cut, write_file("text", "some text\n", 10));
    open_fails((const char *[]){ good, cut }, 2, BH_EFORMAT, "a text file");
}

static void
files_given_twice(void **state)
{
    (void)state;
    struct mc m = { 0 };
    char other[160];
    make_pcap(&m, 3, 20, 0);
    const char *path = write_made("twice", &m);
    snprintf(other, sizeof other, "%s/./twice", dir);
    const char *paths[] = { path, other };
    open_fails(paths, 2, BH_EUSAGE, "twice");

    /* Standard input twice, and a file that is standard input, too. */
    int saved = dup(STDIN_FILENO);
    int fd = open(path, O_RDONLY);
    assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    close(fd);
    const char *dashes[] = { "-", "-" };
    open_fails(dashes, 2, BH_EUSAGE, "twice");
    const char *mixed[] = { "-", path };
    assert_int_equal(lseek(STDIN_FILENO, 0, SEEK_SET), 0);
    open_fails(mixed, 2, BH_EUSAGE, "twice");
    assert_int_equal(lseek(STDIN_FILENO, 0, SEEK_SET), 0);
    assert_int_equal(drain_path("-", 20).right, 3);
    dup2(saved, STDIN_FILENO);
    close(saved);
}

static void
packed_twice(void **state)
{
    (void)state;
    struct mc m = { 0 };
    struct mc once = { 0 };
    struct mc twice = { 0 };
    struct bh_capture *c;
    struct bh_error err;
    if (is_missing(mc_gzip)) {
        skip();
    }
    make_pcap(&m, 3, 20, 0);
    mc_gzip(&once, m.data, m.len);
    mc_gzip(&twice, once.data, once.len);
    assert_int_equal(bh_capture_open_memory(twice.data, twice.len, &c, &err), BH_EFORMAT);
    assert_non_null(strstr(err.text[BH_EN], "packed twice"));
    mc_done(&m);
    mc_done(&once);
    mc_done(&twice);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_in_one_or_more_members),
        cmocka_unit_test(packed_and_cut_everywhere),
        cmocka_unit_test(packed_and_damaged_gives_what_was_before),
        cmocka_unit_test(packed_and_followed_by_something),
        cmocka_unit_test(frames_to_skip_come_first),
        cmocka_unit_test(pipes_of_any_step),
        cmocka_unit_test(a_pipe_gives_what_it_has),
        cmocka_unit_test(blocks_live_beside_each_other_and_after_close),
        cmocka_unit_test(threads_share_a_capture),
        cmocka_unit_test(merge_orders),
        cmocka_unit_test(merge_long_files),
        cmocka_unit_test(damage_ends_its_file_only),
        cmocka_unit_test(a_file_that_shrinks_ends_early),
        cmocka_unit_test(first_blocks_may_be_long),
        cmocka_unit_test(erf_of_long_records),
        cmocka_unit_test(files_that_are_no_captures),
        cmocka_unit_test(files_that_are_not_there),
        cmocka_unit_test(one_bad_file_is_an_error_for_all),
        cmocka_unit_test(an_empty_or_cut_file_among_good_ones_is_a_note),
        cmocka_unit_test(files_given_twice),
        cmocka_unit_test(packed_twice),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
