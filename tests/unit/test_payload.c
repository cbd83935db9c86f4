/* SPDX-License-Identifier: BSD-2-Clause */
/* The payload module: frames come out as they went in, within limits, and a kill costs nothing and doubles nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../modules/output/payload/payload_priv.h"
#include "batch_rows.h"
#include "bh_capture.h"
#include "bh_modules.h"
#include "bh_output_host.h"

static char dir[64], path[128];

static int
setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/bh-test-payload-XXXXXX");
    const bool made = mkdtemp(dir) != NULL;
    snprintf(path, sizeof path, "%s/p.pcapng", dir);
    return !made;
}

static int
teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

/* ---- an instance ------------------------------------------------------------------------------------------ */

#define SET_MAX 8
static struct bh_host *
host_new(const struct bh_host_setting *more, size_t count)
{
    struct bh_host_setting set[SET_MAX] = { { "path", path } };
    for (size_t k = 0; k < count; k++) {
        set[k + 1] = more[k];
    }
    const struct bh_host_config cfg = { .module = bh_module_find("payload"),
                                        .instance = "p",
                                        .settings = set,
                                        .setting_count = count + 1 };
    struct bh_host *h;
    struct bh_error err = { 0 };
    assert_int_equal(bh_host_new(&cfg, &h, &err), 0);
    return h;
}

static const struct bh_output_run a_run = { .size = sizeof a_run,
                                            .sensor = "s",
                                            .start_ns = 42,
                                            .source = "eth0,eth1",
                                            .outcomes = true,
                                            .filter = "(port 25)" };

/* Frame n: its number in its octets, n % 90 + 20 of them, at n ms; from two interfaces and two link types. */
static uint8_t octets[64][128];

static void
make_frame(uint64_t n, struct bh_batch *b, struct bh_output_frame *f)
{
    struct row r = tcp_row((int64_t)n * MS, "198.51.100.1", 30000 + (unsigned)n, "10.0.0.2",
                           n % 2 == 0 ? 25 : 80, BH_TCP_SYN);
    const uint32_t i = row_add(b, &r);
    uint8_t *p = octets[i % 64];
    memset(p, (int)(n & 255), 128);
    bh_put_be64(p, n);
    f[i] = (struct bh_output_frame){ p, (uint32_t)(20 + n % 90),
                                     (uint32_t)(20 + n % 90 + n % 3 * 1000), n % 5 == 0 ? 101 : 1,
                                     (uint16_t)(n % 2) };
    b->direction[i] = (uint8_t)(n % 3);
}

static int
offer(struct bh_host *h, uint64_t number, uint64_t from, uint32_t count)
{
    struct bh_output_frame f[BH_BATCH_ROWS];
    struct bh_batch *b = bh_batch_new();
    for (uint32_t k = 0; k < count; k++) {
        make_frame(from + k, b, f);
    }
    const int r = bh_host_offer_frames(h, b, f, number, 0);
    bh_batch_free(b);
    return r;
}

/* ---- what is in the files ---------------------------------------------------------------------------------- */

static int
is_file(const struct dirent *e)
{
    return strstr(e->d_name, ".pcapng") != NULL;
}

/* By time, then by number: as they were written. */
static int
by_name(const struct dirent **a, const struct dirent **b)
{
    const char *x = (*a)->d_name, *y = (*b)->d_name;
    const size_t stem = strlen("p-19700101T000000Z");
    const int time = strncmp(x, y, stem);
    return time != 0 ? time
                     : (x[stem] == '-' ? atoi(x + stem + 1) : 1) -
                           (y[stem] == '-' ? atoi(y + stem + 1) : 1);
}

/* Numbers of the frames in all files, in order; each is checked. Returns how many files there are. */
static int
read_all(uint64_t *numbers, size_t room, size_t *ret_count, uint64_t *ret_largest)
{
    struct dirent **e;
    const int n = scandir(dir, &e, is_file, by_name);
    *ret_count = 0;
    *ret_largest = 0;
    for (int k = 0; k < n; k++) {
        char name[512];
        struct stat st;
        const char *one = name;
        struct bh_capture *c;
        struct bh_error err = { 0 };
        const struct bh_capture_note *notes;
        snprintf(name, sizeof name, "%s/%s", dir, e[k]->d_name);
        free(e[k]);
        assert_int_equal(stat(name, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        *ret_largest = (uint64_t)st.st_size > *ret_largest ? (uint64_t)st.st_size : *ret_largest;
        assert_int_equal(bh_capture_open(&one, 1, &c, &err), 0);
        struct bh_frames *f = bh_frames_new();
        while (bh_capture_read(c, f) == 1) {
            for (uint32_t i = 0; i < f->count; i++) {
                const struct bh_frame *x = &f->frame[i];
                const uint64_t number = bh_get_be64(x->data);
                assert_true(*ret_count < room);
                numbers[(*ret_count)++] = number;
                assert_int_equal(x->ts_ns, (int64_t)number * MS);
                assert_int_equal(x->cap_len, 20 + number % 90);
                assert_int_equal(x->wire_len, 20 + number % 90 + number % 3 * 1000);
                assert_int_equal(x->link_type, number % 5 == 0 ? 101 : 1);
                assert_int_equal(x->flags & (BH_FRAME_INBOUND | BH_FRAME_OUTBOUND),
                                 number % 3 == 1   ? BH_FRAME_INBOUND
                                 : number % 3 == 2 ? BH_FRAME_OUTBOUND
                                                   : 0);
                for (uint32_t o = 8; o < x->cap_len; o++) {
                    assert_int_equal(x->data[o], number & 255);
                }
            }
        }
        assert_int_equal(bh_capture_notes(c, &notes), 0);
        bh_frames_free(f);
        bh_capture_close(c);
    }
    free(e);
    return n;
}

/* ---- cases --------------------------------------------------------------------------------------------------- */

static void
test_frames(void **state)
{
    (void)state;
    uint64_t numbers[1024], largest;
    size_t n;
    struct bh_host *h = host_new(NULL, 0);
    struct bh_filter *filter;
    const char *const words[] = { "port", "25" };
    assert_int_equal(bh_filter_parse(words, 2, NULL, &filter, NULL), 0);
    assert_int_equal(bh_host_run(h, &a_run, filter), 0);
    for (uint64_t k = 0; k < 10; k++) {
        assert_int_equal(offer(h, k, k * 60, 60), 0);
    }
    assert_int_equal(offer(h, 3, 180, 60), 0); /* once more */
    bh_host_free(h);
    bh_filter_free(filter);
    assert_int_equal(read_all(numbers, 1024, &n, &largest), 1);
    assert_int_equal(n, 300);
    for (size_t k = 0; k < n; k++) {
        assert_int_equal(numbers[k], 2 * k); /* port 25 */
    }
}

static void
test_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        size_t frames; /* of 600 in 0.6 s */
        int files;
        uint64_t largest; /* octets of a file; statistics may go beyond */
    } cases[] = {
        { "max-size", "16k", 600, 4, 17 << 10 }, /* 106 octets each, on the average */
        { "max-size", "0", 600, 1, UINT64_MAX },
        { "rotate", "100ms", 600, 6, UINT64_MAX },
        { "rotate", "599ms", 600, 2, UINT64_MAX },
        { "rotate", "600ms", 600, 1, UINT64_MAX },
        { "frame-rate", "100", 159, 1, UINT64_MAX }, /* a full bucket, and 59.9 more */
        { "frame-rate", "1000", 600, 1, UINT64_MAX },
        { "frame-rate", "1", 1, 1, UINT64_MAX },
        { "rate", "1", 1, 1,
          UINT64_MAX }, /* a frame larger than the bucket passes when it is full */
    };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        uint64_t numbers[1024], largest;
        size_t n;
        char command[128];
        const struct bh_host_setting set = { cases[k].name, cases[k].value };
        print_message("# %s %s\n", cases[k].name, cases[k].value);
        struct bh_host *h = host_new(&set, 1);
        assert_int_equal(bh_host_run(h, &a_run, NULL), 0);
        for (uint64_t b = 0; b < 10; b++) {
            assert_int_equal(offer(h, b, b * 60, 60), 0);
        }
        bh_host_free(h);
        assert_int_equal(read_all(numbers, 1024, &n, &largest), cases[k].files);
        assert_int_equal(n, cases[k].frames);
        assert_true(largest <= cases[k].largest);
        for (size_t i = 1; i < n; i++) {
            assert_true(numbers[i] > numbers[i - 1]);
        }
        snprintf(command, sizeof command, "rm %s/*", dir);
        assert_int_equal(system(command), 0);
    }
}

static void
copy_file(const char *from, const char *to)
{
    char command[300];
    snprintf(command, sizeof command, "cp %s %s", from, to);
    assert_int_equal(system(command), 0);
}

/* Killed at any octet of what it had written: whoever comes next finds all up to the last flush, and goes on. */
static void
test_kill(void **state)
{
    (void)state;
    char copy[128];
    struct stat st;
    uint64_t durable;
    struct bh_host *h = host_new(NULL, 0);
    assert_int_equal(bh_host_run(h, &a_run, NULL), 0);
    assert_int_equal(offer(h, 0, 0, 10), 0);
    assert_int_equal(offer(h, 1, 10, 10), 0);
    assert_int_equal(bh_host_flush(h, &durable), 0);
    assert_int_equal(durable, 2);
    assert_int_equal(stat(path, &st), 0);
    const uint64_t flushed = (uint64_t)st.st_size;
    assert_int_equal(offer(h, 2, 20, 10), 0);
    assert_int_equal(bh_host_flush(h, &durable), 0);
    assert_int_equal(bh_host_flush(h, &durable), 0); /* nothing new: no second mark */
    assert_int_equal(stat(path, &st), 0);
    const uint64_t size = (uint64_t)st.st_size;
    snprintf(copy, sizeof copy, "%s/copy", dir);
    copy_file(path, copy);
    bh_host_free(h);
    for (uint64_t cut = 12; cut <= size + 4; cut += cut < size - 8 && cut > 40 ? 37 : 1) {
        uint64_t numbers[64], largest;
        size_t n;
        char command[300];
        snprintf(command, sizeof command, "rm %s/*.pcapng", dir);
        assert_int_equal(system(command), 0);
        copy_file(copy, path);
        assert_int_equal(truncate(path, (off_t)cut),
                         0); /* beyond: zeros, as some file systems leave them */
        /* What is acknowledged does not come again; what is in the file may have been killed before that. */
        const uint64_t most = cut >= size ? 3 : cut >= flushed ? 2 : 0;
        h = host_new(NULL, 0);
        assert_int_equal(bh_host_run(h, &a_run, NULL), 0);
        for (uint64_t b = cut % 2 == 0 ? most : 0; b < 4; b++) {
            assert_int_equal(offer(h, b, b * 10, 10), 0);
        }
        bh_host_free(h);
        read_all(numbers, 64, &n, &largest);
        assert_int_equal(n, 40);
        uint64_t seen = 0;
        for (size_t k = 0; k < n; k++) {
            seen |= 1ULL << numbers[k];
        }
        assert_int_equal(seen, (1ULL << 40) - 1); /* each once */
    }
}

/* Killed after any batch, with files that change in the middle of batches and nothing acknowledged. */
static void
test_kill_between_files(void **state)
{
    (void)state;
    static const struct bh_host_setting small = { "max-size", "16k" };
    uint64_t numbers[1024], largest;
    size_t n;
    int files = 0;
    char command[300];
    for (uint64_t killed = 1; killed <= 12; killed++) {
        snprintf(command, sizeof command, "rm -rf %s/* && mkdir %s/kept", dir, dir);
        assert_int_equal(system(command), 0);
        struct bh_host *h = host_new(&small, 1);
        assert_int_equal(bh_host_run(h, &a_run, NULL), 0);
        for (uint64_t b = 0; b < killed; b++) {
            assert_int_equal(offer(h, b, b * 60, 60), 0);
        }
        snprintf(command, sizeof command, "cp -p %s/*.pcapng %s/kept/", dir, dir);
        assert_int_equal(system(command), 0);
        bh_host_free(h);
        snprintf(command, sizeof command, "rm %s/*.pcapng && mv %s/kept/* %s/", dir, dir, dir);
        assert_int_equal(system(command), 0);
        h = host_new(&small, 1);
        assert_int_equal(bh_host_run(h, &a_run, NULL), 0);
        for (uint64_t b = 0; b < 12; b++) {
            assert_int_equal(offer(h, b, b * 60, 60), 0);
        }
        bh_host_free(h);
        files += read_all(numbers, 1024, &n, &largest);
        assert_int_equal(n, 720);
        uint8_t seen[720] = { 0 };
        for (size_t i = 0; i < n; i++) {
            assert_true(numbers[i] < 720);
            assert_int_equal(seen[numbers[i]]++, 0); /* each once */
        }
    }
    assert_true(files > 12 * 3);
}

/* What is not ours is set aside untouched. */
static void
test_mend(void **state)
{
    (void)state;
    static const struct {
        const char *octets;
        size_t size;
        uint64_t good;
    } cases[] = {
        { "", 0, 0 },
        { "hello", 5, 5 },
        { "hello, this is a text", 21, 21 },
        { "\x0a\x0d\x0d\x0a\x1c\0\0\0\x1a\x2b\x3c\x4d", 12, 12 }, /* another order of octets */
        { "\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a", 12, 0 },
        { "\x0a\x0d\x0d\x0a\x0b\0\0\0\x4d\x3c\x2b\x1a", 12, 0 },
        { "\x0a\x0d\x0d\x0a\xff\xff\xff\xff\x4d\x3c\x2b\x1a", 12, 0 },
        { "\x0a\x0d\x0d\x0a\x0c\0\0\0\x4d\x3c\x2b\x1a\x05\0\0\0\x0c\0\0\0\x0c\0\0\0", 24, 0 },
    };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        FILE *f = fopen(path, "w+");
        assert_int_equal(fwrite(cases[k].octets, 1, cases[k].size, f), cases[k].size);
        fflush(f);
        struct pcapng_mark mark = { 1, 2, 3 };
        assert_int_equal(pcapng_mend(&mark, fileno(f), cases[k].size), cases[k].good);
        assert_true(mark.run_ns == 1 && mark.number == 2 && mark.row == 3);
        fclose(f);
    }
}

/* ---- who sees frames ---------------------------------------------------------------------------------------------- */

static unsigned seen_frames, seen_batches;

static int
look_open(struct bh_output *o)
{
    bh_output_set_state(o, NULL);
    return 0;
}

static int
look_write(struct bh_output *o, const struct bh_output_batch *batch)
{
    (void)o;
    seen_batches++;
    seen_frames += batch->frames != NULL;
    return 0;
}

static void
look_close(struct bh_output *o)
{
    (void)o;
}

static void
test_only_who_declares(void **state)
{
    (void)state;
    for (unsigned needs = 0; needs < 2; needs++) {
        const struct bh_output_module m = {
            .abi_major = BH_OUTPUT_ABI,
            .size = sizeof m,
            .name = "look",
            .summary = { "l", "l" },
            .when = BH_OUTPUT_AT_ONCE,
            .needs = needs * BH_OUTPUT_NEEDS_FRAMES,
            .open = look_open,
            .write = look_write,
            .close = look_close,
        };
        const struct bh_host_config cfg = { .module = &m, .instance = "l" };
        struct bh_host *h;
        seen_frames = seen_batches = 0;
        assert_int_equal(bh_host_new(&cfg, &h, NULL), 0);
        assert_int_equal(bh_host_run(h, &a_run, NULL), 0);
        assert_int_equal(offer(h, 0, 0, 5), 0);
        struct bh_batch *b = bh_batch_new();
        const struct row r = udp_row(SEC, "198.51.100.1", 1, "10.0.0.2", 2);
        row_add(b, &r);
        assert_int_equal(bh_host_offer(h, b, 1, 0), 0); /* without: none are left over */
        bh_batch_free(b);
        bh_host_free(h);
        assert_int_equal(seen_batches, 2);
        assert_int_equal(seen_frames, needs);
        struct bh_output_module later = m;
        later.when = BH_OUTPUT_DECIDED;
        assert_int_equal(bh_output_module_check(&later, NULL), needs == 1 ? BH_EFORMAT : 0);
    }
}

static void
test_pack(void **state)
{
    (void)state;
    struct bh_output_frame f[4] = { { (const uint8_t *)"abcdef", 6, 60, 1, 0 },
                                    { NULL, 0, 0, 0, 0 },
                                    { (const uint8_t *)"", 0, 9, 101, 3 },
                                    { (const uint8_t *)"xyz", 3, 3, 1, 1 } };
    static const struct {
        uint8_t selected[4];
        uint32_t snap;
        size_t size;
    } cases[] = { { { 1, 1, 1, 1 }, 100, 3 * 14 + 9 },
                  { { 1, 1, 1, 1 }, 2, 3 * 14 + 4 },
                  { { 0, 1, 0, 1 }, 100, 14 + 3 },
                  { { 0, 0, 0, 0 }, 100, 0 } };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        struct bh_output_frame back[4];
        const size_t size = bh_output_frames_packed_size(f, 4, cases[k].selected, cases[k].snap);
        assert_int_equal(size, cases[k].size);
        uint8_t *p = malloc(size + 1);
        bh_output_frames_pack(f, 4, cases[k].selected, cases[k].snap, p);
        assert_true(bh_output_frames_unpack(p, size, 4, back));
        for (uint32_t i = 0; i < 4; i++) {
            const bool is_there = f[i].data != NULL && cases[k].selected[i] != 0;
            assert_int_equal(back[i].data != NULL, is_there);
            if (is_there) {
                assert_int_equal(back[i].cap_len,
                                 f[i].cap_len < cases[k].snap ? f[i].cap_len : cases[k].snap);
                assert_memory_equal(back[i].data, f[i].data, back[i].cap_len);
                assert_int_equal(back[i].wire_len, f[i].wire_len);
                assert_int_equal(back[i].link_type, f[i].link_type);
                assert_int_equal(back[i].interface, f[i].interface);
            }
        }
        for (size_t cut = 0; cut < size; cut++) { /* between two of them is whole */
            bh_ignore(bh_output_frames_unpack(p, cut, 4, back));
        }
        if (size > 0) {
            assert_false(bh_output_frames_unpack(p, size - 1, 4, back) && size > 14 + 14 + 14);
            p[0] = 4; /* beyond the rows */
            assert_false(bh_output_frames_unpack(p, size, 4, back));
            p[0] = 0;
            bh_put_le32(p + 6, UINT32_MAX);
            assert_false(bh_output_frames_unpack(p, size, 4, back));
        }
        free(p);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kill, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kill_between_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mend, setup, teardown),
        cmocka_unit_test(test_only_who_declares),
        cmocka_unit_test(test_pack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
