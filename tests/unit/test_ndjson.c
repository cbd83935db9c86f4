/* SPDX-License-Identifier: BSD-2-Clause */
/* ndjson: lines, what a kill leaves, full disks, readers that come and go, counts, files put aside. */
#include "output_lab.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

static char to_file[160], file[128];

static void
name_file(void)
{
    snprintf(file, sizeof file, "%s", lab_path("out.ndjson"));
    snprintf(to_file, sizeof to_file, "file=%s", file);
}

#define IDS "fields=id,time,src,dst_port"

/* Every record of batches below `batches` stands in the text exactly once (or `least` times and more). */
static void
check_ids(const char *text, uint64_t batches, uint32_t rows, bool once)
{
    for (uint64_t b = 0; b < batches; b++) {
        for (uint32_t r = 0; r < rows; r++) {
            char id[96];
            snprintf(id, sizeof id, "{\"id\":\"lab/%lld/%llu/%u\"", (long long)LAB_START,
                     (unsigned long long)b, r);
            const size_t n = lab_count(text, id);
            if (n != 1 && (once || n == 0)) {
                fail_msg("%s: %zu times", id, n);
            }
        }
    }
}

static void
test_lines(void **state)
{
    (void)state;
    name_file();
    struct bh_host *h = lab_host(
        "ndjson",
        LAB_WORDS(to_file, "fields=time,sensor,src,dst,proto,dst_port,tcp_flags,outcome,vlan,ttl"),
        NULL);
    assert_int_equal(lab_offer(h, 0, 2, 4), 0);
    bh_host_free(h);
    const char *text = lab_read(file);
    assert_int_equal(lab_count(text, "\n"), 8);
    static const char first[] =
        "{\"sensor\":\"lab\",\"time\":\"2026-11-30T01:00:00Z\",\"src\":\"203.0.113.0\",\"dst\":\"192.0.2.1\","
        "\"proto\":\"tcp\",\"dst_port\":23,\"tcp_flags\":\"S\",\"outcome\":\"refused\",\"vlan\":5,\"ttl\":55}\n";
    assert_memory_equal(text, first, sizeof first - 1);
    assert_non_null(strstr(
        text,
        "\"time\":\"2026-11-30T01:00:00.003Z\",\"src\":\"2001:db8::\",\"dst\":\"2001:db8:1::1\",\"proto\":\"udp\","
        "\"dst_port\":53,\"vlan\":5,\"ttl\":55}"));
}

static void
test_all_fields_are_json(void **state)
{
    (void)state;
    if (system("jq --version >/dev/null 2>&1") != 0) {
        print_message("# no jq to read it with\n");
        skip();
    }
    name_file();
    struct bh_host *h = lab_host("ndjson", LAB_WORDS(to_file), NULL);
    assert_int_equal(lab_offer(h, 0, 1, 8), 0);
    bh_host_free(h);
    char command[512];
    snprintf(command, sizeof command,
             "jq -rc '[.src,.dst_port,.access,.src_mac]|@csv' %s | head -n 1", file);
    assert_string_equal(lab_shell(command), "\"203.0.113.0\",23,true,\"00:00:5e:00:53:01\"");
    snprintf(command, sizeof command, "jq -s 'length' %s", file);
    assert_string_equal(lab_shell(command), "8");
}

static void
test_ecs(void **state)
{
    (void)state;
    if (system("jq --version >/dev/null 2>&1") != 0) {
        print_message("# no jq to read it with\n");
        skip();
    }
    name_file();
    struct bh_host *h = lab_host("ndjson", LAB_WORDS(to_file, "form=ecs", "fields=all"), NULL);
    assert_int_equal(lab_offer(h, 0, 1, 4), 0);
    bh_host_free(h);
    char command[512];
    snprintf(
        command, sizeof command,
        "jq -c '[.\"@timestamp\",.source.ip,.source.port,.source.mac,.destination.ip,.network.transport,.network.type,"
        ".network.direction,.network.vlan.id,.event.outcome,.beholder.outcome,.event.action,.observer.name,.ecs.version]' %s | "
        "head -n 1",
        file);
    assert_string_equal(
        lab_shell(command),
        "[\"2026-11-30T01:00:00Z\",\"203.0.113.0\",40000,\"00-00-5E-00-53-01\",\"192.0.2.1\",\"tcp\",\"ipv4\","
        "\"inbound\",\"5\",\"failure\",\"refused\",\"access\",\"lab\",\"8.11.0\"]");
    /* No object stands twice in one line: jq would take the last. */
    const char *text = lab_read(file);
    assert_int_equal(lab_count(text, "\"source\":{"), 4);
    assert_int_equal(lab_count(text, "\"beholder\":{"), 4);
    assert_int_equal(lab_count(text, "\"vlan\":{"), 4);
}

static void
test_bad_settings(void **state)
{
    (void)state;
    name_file();
    struct bh_host *h;
    const struct {
        const char *const *words, *said;
    } cases[] = {
        { LAB_WORDS("what=records"), "give one of" },
        { LAB_WORDS(to_file, "stdout=yes"), "give one of" },
        { LAB_WORDS("socket=relative"), "must be the path" },
        { LAB_WORDS(to_file, "fields=srcc"), "src" },
        { LAB_WORDS(to_file, "fields="), "names no field" },
        { LAB_WORDS(to_file, "what=counts", "form=ecs"), "no ECS form" },
        { LAB_WORDS(to_file, "what=counts", "by=nothing"), "nothing" },
        { LAB_WORDS("file=/nowhere/at/all"), "cannot open" },
        { LAB_WORDS("file=/dev/null"), "is no file" },
    };
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        memset(lab_said, 0, sizeof lab_said);
        assert_int_not_equal(lab_try("ndjson", cases[k].words, NULL, &h), 0);
        assert_true(lab_heard(cases[k].said));
    }
}

/* ---- what a kill leaves ------------------------------------------------------------------------------------------ */

static void
write_and_die(void)
{
    struct bh_host *h = lab_host("ndjson", LAB_WORDS(to_file, IDS), NULL);
    assert_int_equal(lab_offer(h, 0, 7, 50), 0);
}

static void
append_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void
test_killed(void **state)
{
    (void)state;
    name_file();
    lab_killed(write_and_die);
    /* As if it had died while it wrote batch 7. */
    append_text(file, "{\"id\":\"lab/1796000400000000000/7/0\"}\n{\"id\":\"lab/17960004");
    struct bh_host *h = lab_host("ndjson", LAB_WORDS(to_file, IDS), NULL);
    assert_int_equal(lab_offer(h, 3, 12, 50), 0); /* some of them once more */
    uint64_t number = 0;
    assert_int_equal(bh_host_flush(h, &number), 0);
    assert_int_equal(number, 12);
    bh_host_free(h);
    const char *text = lab_read(file);
    check_ids(text, 12, 50, true);
    assert_int_equal(lab_count(text, "\n"), 600);
}

/* Another run: nothing comes again, so whole lines stay. */
static void
test_killed_and_new_run(void **state)
{
    (void)state;
    name_file();
    lab_killed(write_and_die);
    append_text(file, "{\"id\":\"whole\"}\n{\"id\":\"ha");
    lab_run.start_ns++;
    struct bh_host *h = lab_host("ndjson", LAB_WORDS(to_file, IDS), NULL);
    assert_int_equal(lab_offer(h, 0, 1, 10), 0);
    bh_host_free(h);
    lab_run.start_ns--;
    const char *text = lab_read(file);
    assert_int_equal(lab_count(text, "\n"), 350 + 1 + 10);
    assert_int_equal(lab_count(text, "whole"), 1);
    assert_null(strstr(text, "\"ha{"));
    check_ids(text, 7, 50, true);
}

static void
test_damaged_state(void **state)
{
    (void)state;
    char path[160];
    name_file();
    lab_killed(write_and_die);
    snprintf(path, sizeof path, "%s.state", file);
    FILE *f = fopen(path, "r+");
    fseek(f, 30, SEEK_SET);
    fputc('9', f);
    fclose(f);
    struct bh_host *h = lab_host("ndjson", LAB_WORDS(to_file, IDS), NULL);
    assert_true(lab_heard("is damaged"));
    assert_int_equal(lab_offer(h, 7, 9, 50), 0);
    bh_host_free(h);
    check_ids(lab_read(file), 9, 50, true);
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

/* No room: offered again, and nothing is half there. */
static void
test_full(void **state)
{
    (void)state;
    name_file();
    struct bh_host *h = lab_host("ndjson", LAB_WORDS(to_file, IDS), NULL);
    assert_int_equal(lab_offer(h, 0, 3, 50), 0);
    struct stat st;
    stat(file, &st);
    limit_files((rlim_t)st.st_size + 100);
    assert_int_equal(lab_offer(h, 3, 4, 50), BH_EAGAIN);
    assert_true(lab_heard("cannot write"));
    assert_int_equal(bh_host_tick(h, LAB_START + 60 * LAB_SECOND), BH_EAGAIN);
    check_ids(lab_read(file), 3, 50, true);
    assert_int_equal(lab_count(lab_read(file), "\n"), 150);
    limit_files(RLIM_INFINITY);
    assert_int_equal(bh_host_tick(h, LAB_START + 62 * LAB_SECOND), 0);
    bh_host_free(h);
    assert_int_equal(lab_count(lab_read(file), "\n"), 200);
    check_ids(lab_read(file), 4, 50, true);
}

/* ---- put aside ------------------------------------------------------------------------------------------------------ */

static void
test_put_aside(void **state)
{
    (void)state;
    char command[256];
    name_file();
    struct bh_host *h = lab_host("ndjson", LAB_WORDS(to_file, IDS, "max-size=4k", "keep=2"), NULL);
    assert_int_equal(lab_offer(h, 0, 8, 100), 0); /* 7 to 8 kB each */
    bh_host_free(h);
    snprintf(command, sizeof command, "ls %s | grep -c 'out.ndjson.2026.*Z'", lab_folder);
    assert_string_equal(lab_shell(command), "2");
    h = lab_host("ndjson", LAB_WORDS(to_file, IDS, "max-size=4k", "keep=2"), NULL);
    /* repeats are known by number, wherever their lines are */
    assert_int_equal(lab_offer(h, 5, 9, 100), 0);
    bh_host_free(h);
    snprintf(command, sizeof command, "cat %s/out.ndjson* | grep -c '/8/'", lab_folder);
    assert_string_equal(lab_shell(command), "100");
    snprintf(command, sizeof command, "cat %s/out.ndjson* | grep -c '/7/'", lab_folder);
    assert_string_equal(lab_shell(command), "100");
}

/* As logrotate does it. */
static void
test_moved_away(void **state)
{
    (void)state;
    char other[160];
    name_file();
    struct bh_host *h = lab_host("ndjson", LAB_WORDS(to_file, IDS), NULL);
    assert_int_equal(lab_offer(h, 0, 2, 10), 0);
    snprintf(other, sizeof other, "%s.1", file);
    assert_int_equal(rename(file, other), 0);
    assert_int_equal(bh_host_tick(h, LAB_START + 60 * LAB_SECOND), 0);
    assert_int_equal(lab_offer(h, 2, 3, 10), 0);
    bh_host_free(h);
    assert_int_equal(lab_count(lab_read(other), "\n"), 20);
    assert_int_equal(lab_count(lab_read(file), "\n"), 10);
}

/* ---- counts ------------------------------------------------------------------------------------------------------------ */

static uint64_t
sum_of(const char *text, const char *key)
{
    uint64_t n = 0;
    for (const char *p = text; (p = strstr(p, key)) != NULL; p += strlen(key)) {
        n += strtoull(p + strlen(key), NULL, 10);
    }
    return n;
}

#define COUNTS "what=counts", "by=country,proto,dst_port,outcome"

static void
count_and_die(void)
{
    struct bh_host *h = lab_host("ndjson", LAB_WORDS(to_file, COUNTS), NULL);
    /* a minute was written, of the next one half is noted */
    assert_int_equal(lab_offer(h, 0, 90, 40), 0);
    uint64_t number;
    assert_int_equal(bh_host_tick(h, LAB_START + 93 * LAB_SECOND), 0);
    assert_int_equal(bh_host_flush(h, &number), 0);
    assert_int_equal(number, 90);
    /* Taken, and not noted: it comes again. */
    assert_int_equal(bh_host_offer(h, lab_batch(90, 40, LAB_START + 90 * LAB_SECOND), 90, 0), 0);
}

static void
test_counts(void **state)
{
    (void)state;
    name_file();
    lab_killed(count_and_die);
    /* up to 5 s after the minute, whole batches */
    assert_int_equal(sum_of(lab_read(file), "\"records\":"), 66 * 40);
    struct bh_host *h = lab_host("ndjson", LAB_WORDS(to_file, COUNTS), NULL);
    assert_int_equal(lab_offer(h, 88, 200, 40), 0);
    bh_host_free(h);
    const char *text = lab_read(file);
    assert_int_equal(sum_of(text, "\"records\":"), 200 * 40);
    assert_int_equal(sum_of(text, "\"accesses\":"), 200 * 40);
    assert_int_equal(sum_of(text, "\"bytes\":"), 200 * 40 * 60);
    assert_int_equal(sum_of(text, "\"dst_port\":53,\"records\":"), 200 * 10);
    assert_non_null(strstr(
        text,
        "{\"time\":\"2026-11-30T01:01:00Z\",\"sensor\":\"lab\",\"proto\":\"tcp\",\"dst_port\":23,"));
}

/* The run after the next: what was noted is not lost either. */
static void
test_counts_new_run(void **state)
{
    (void)state;
    name_file();
    lab_killed(count_and_die);
    lab_run.start_ns++;
    struct bh_host *h = lab_host("ndjson", LAB_WORDS(to_file, COUNTS), NULL);
    assert_int_equal(lab_offer(h, 0, 1, 40), 0);
    bh_host_free(h);
    lab_run.start_ns--;
    assert_int_equal(sum_of(lab_read(file), "\"records\":"), 91 * 40);
}

/* Dies between saying what it will write and writing it, as the file may not grow. */
static void
settle_and_die(void)
{
    static char before[8192 - 30];
    memset(before, '#', sizeof before - 2);
    before[sizeof before - 2] = '\n';
    append_text(file, before);
    struct bh_host *h = lab_host("ndjson", LAB_WORDS(to_file, COUNTS, "max-size=0"), NULL);
    assert_int_equal(lab_offer(h, 0, 65, 40), 0);
    limit_files(8192); /* its state fits */
    bh_ignore(lab_offer(h, 65, 70, 40));
}

static void
test_counts_half_written(void **state)
{
    (void)state;
    char state_file[256], some[400];
    name_file();
    lab_killed(settle_and_die);
    assert_int_equal(lab_count(lab_read(file), "\"records\":"), 0);
    /* Had it died a little later, this much would be there: */
    snprintf(state_file, sizeof state_file, "%s.state", file);
    const char *lines = strchr(lab_read(state_file), '{');
    assert_non_null(lines);
    snprintf(some, sizeof some, "%s", lines);
    append_text(file, some);
    assert_true(lab_count(some, "\n") >= 2);
    struct bh_host *h = lab_host("ndjson", LAB_WORDS(to_file, COUNTS), NULL);
    assert_int_equal(lab_offer(h, 0, 100, 40), 0);
    bh_host_free(h);
    assert_int_equal(sum_of(lab_read(file), "\"records\":"), 100 * 40);
}

/* ---- sockets ----------------------------------------------------------------------------------------------------------- */

static int
listen_at(const char *path)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    const size_t len = strlen(path);
    assert_true(len < sizeof a.sun_path);
    memcpy(a.sun_path, path, len);
    unlink(path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static void
test_socket(void **state)
{
    (void)state;
    char path[128], setting[160];
    static char text[4 << 20];
    size_t len = 0;
    snprintf(path, sizeof path, "%s", lab_path("socket"));
    snprintf(setting, sizeof setting, "socket=%s", path);
    struct bh_host *h = lab_host("ndjson", LAB_WORDS(setting, IDS), NULL);
    assert_int_equal(lab_offer(h, 0, 3, 100), 0); /* nobody listens: it waits here */
    assert_true(lab_heard("cannot connect"));
    uint64_t number = 99;
    assert_int_equal(bh_host_flush(h, &number), 0);
    assert_int_equal(number, 0); /* nobody has read it */
    const int listener = listen_at(path);
    int64_t now = LAB_START + 100 * LAB_SECOND;
    int fd = -1;
    /* A reader that reads 10,000 octets and goes away, another that reads all. */
    for (unsigned k = 0; k < 2; k++) {
        for (unsigned turn = 0; turn < 2000 && fd < 0; turn++) {
            now += LAB_SECOND;
            bh_ignore(bh_host_tick(h, now));
            fd = accept(listener, NULL, NULL);
            lab_nap();
        }
        assert_true(fd >= 0);
        if (k == 0) {
            for (size_t got = 0; got < 10000;) {
                const ssize_t n = read(fd, text, 10000 - got);
                assert_true(n > 0);
                got += (size_t)n;
            }
            close(fd);
            fd = -1;
            assert_int_equal(lab_offer(h, 3, 6, 100), 0);
        }
    }
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    for (unsigned turn = 0; turn < 2000 && number != 6; turn++) {
        now += LAB_SECOND;
        bh_ignore(bh_host_tick(h, now));
        ssize_t n;
        while ((n = read(fd, text + len, sizeof text - 1 - len)) > 0) {
            len += (size_t)n;
        }
        assert_int_equal(bh_host_flush(h, &number), 0);
        lab_nap();
    }
    assert_int_equal(number, 6);
    text[len] = '\0';
    check_ids(text, 6, 100, false);
    assert_int_equal(text[len - 1], '\n');
    close(fd);
    close(listener);
    bh_host_free(h);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, lab_begin, lab_end)
    /* clang-format off: a table */
    const struct CMUnitTest tests[] = {
        CASE(test_lines),
        CASE(test_all_fields_are_json),
        CASE(test_ecs),
        CASE(test_bad_settings),
        CASE(test_killed),
        CASE(test_killed_and_new_run),
        CASE(test_damaged_state),
        CASE(test_full),
        CASE(test_put_aside),
        CASE(test_moved_away),
        CASE(test_counts),
        CASE(test_counts_new_run),
        CASE(test_counts_half_written),
        CASE(test_socket),
    };
    /* clang-format on */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
