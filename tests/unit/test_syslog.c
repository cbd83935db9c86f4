/* SPDX-License-Identifier: BSD-2-Clause */
/* syslog: what a reader of a UDP, TCP or local socket gets. */
#include "output_lab.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

static int
bind_loopback(int type, char setting[64])
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof a;
    const int fd = socket(AF_INET, type, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    snprintf(setting, 64, "to=127.0.0.1:%u", ntohs(a.sin_port));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* One datagram, or "". */
static const char *
receive(int fd)
{
    static char text[8192];
    for (unsigned turn = 0; turn < 400; turn++) {
        const ssize_t n = recv(fd, text, sizeof text - 1, 0);
        if (n >= 0) {
            text[n] = '\0';
            print_message("# %s\n", text);
            return text;
        }
        lab_nap();
    }
    return "";
}

static void
one_hour(struct bh_host *h, uint64_t number, int64_t hour)
{
    assert_int_equal(
        bh_host_offer(h,
                      lab_batch(number, 40, LAB_START + hour * 3600 * LAB_SECOND + 10 * LAB_SECOND),
                      number, 0),
        0);
    assert_int_equal(bh_host_tick(h, LAB_START + hour * 3600 * LAB_SECOND + 20 * LAB_SECOND), 0);
}

static void
test_udp(void **state)
{
    (void)state;
    char to[64];
    const int fd = bind_loopback(SOCK_DGRAM, to);
    struct bh_host *h = lab_host("syslog", LAB_WORDS(to, "facility=local3", "health=30d"), NULL);
    assert_int_equal(bh_host_tick(h, LAB_START), 0);
    /* Health comes first: nothing was said yet. 19 * 8 + 6. */
    const char *text = receive(fd);
    static const char health[] = "<158>1 2026-11-30T01:00:00Z lab beholder ";
    assert_memory_equal(text, health, sizeof health - 1);
    assert_non_null(strstr(
        text,
        " HEALTH [health@32473 frames=\"0\" own=\"0\" duplicates=\"0\" lost-kernel=\"0\" lost-queue=\"0\""));
    one_hour(h, 0, 0);
    one_hour(h, 1, 1);
    text = receive(fd);
    assert_non_null(strstr(
        text,
        " SUMMARY [summary@32473 from=\"2026-11-30T01:00:10Z\" to=\"2026-11-30T01:00:10.039Z\" records=\"40\" "
        "packets=\"40\" bytes=\"2400\" accesses=\"40\" sources=\"2\" complete=\"0\" refused=\"30\" pings=\"0\""));
    assert_non_null(strstr(text, "ports=\"23/tcp:30,53/udp:10\"] 40 accesses of 2 sources"));
    /* Loss is said at once, as a warning: 19 * 8 + 4. */
    struct bh_output_health lost = { .size = sizeof lost, .frames = 1000, .gap_count = 1 };
    lost.lost[BH_GAP_KERNEL] = 77;
    bh_host_health(h, &lost);
    assert_int_equal(bh_host_tick(h, LAB_START + 3700 * LAB_SECOND), 0);
    text = receive(fd);
    assert_memory_equal(text, "<156>1 ", 7);
    assert_non_null(strstr(text, "lost-kernel=\"77\""));
    assert_non_null(strstr(text, "] 77 packets lost since the last message, 77 of the run"));
    /* An hour without any more records ends by the clock. */
    assert_int_equal(bh_host_tick(h, LAB_START + 7200 * LAB_SECOND + 44 * LAB_SECOND), 0);
    assert_int_equal(recv(fd, to, 1, 0), -1);
    assert_int_equal(bh_host_tick(h, LAB_START + 7200 * LAB_SECOND + 46 * LAB_SECOND), 0);
    assert_non_null(strstr(receive(fd), "from=\"2026-11-30T02:00:10Z\""));
    bh_host_free(h);
    close(fd);
}

/* Octet counting; a peer that closes gets the rest in its next connection, from the beginning of a message. */
static void
test_tcp(void **state)
{
    (void)state;
    char to[64];
    static char text[65536];
    size_t len = 0;
    const int listener = bind_loopback(SOCK_STREAM, to);
    assert_int_equal(listen(listener, 4), 0);
    struct bh_host *h = lab_host("syslog", LAB_WORDS(to, "transport=tcp", "health=30d"), NULL);
    int64_t now = LAB_START;
    for (uint64_t k = 0; k < 6; k++) {
        one_hour(h, k, (int64_t)k);
        now = LAB_START + (int64_t)k * 3600 * LAB_SECOND + 20 * LAB_SECOND;
        int fd = -1;
        for (unsigned turn = 0; turn < 400 && fd < 0; turn++) {
            now += LAB_SECOND;
            bh_ignore(bh_host_tick(h, now));
            fd = accept(listener, NULL, NULL);
            lab_nap();
        }
        assert_true(fd >= 0);
        fcntl(fd, F_SETFL, O_NONBLOCK);
        for (unsigned turn = 0; turn < 20; turn++) {
            now += LAB_SECOND;
            bh_ignore(bh_host_tick(h, now));
            const ssize_t n = recv(fd, text + len, sizeof text - 1 - len, 0);
            len += n > 0 ? (size_t)n : 0;
            lab_nap();
        }
        close(fd);
        for (unsigned turn = 0; turn < 20; turn++) { /* until the other side has noticed */
            now += LAB_SECOND;
            bh_ignore(bh_host_tick(h, now));
            lab_nap();
        }
    }
    bh_host_free(h);
    text[len] = '\0';
    unsigned summaries = 0;
    for (const char *p = text; *p != '\0';) {
        char *end;
        const size_t n = strtoul(p, &end, 10);
        assert_true(end > p && *end == ' ' && n > 20 && n <= strlen(end + 1));
        assert_int_equal(end[1], '<');
        summaries += memmem(end + 1, n, "SUMMARY", 7) != NULL;
        p = end + 1 + n;
    }
    assert_int_equal(summaries, 5);
    close(listener);
}

static void
test_local(void **state)
{
    (void)state;
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    char to[160];
    snprintf(a.sun_path, sizeof a.sun_path, "%s", lab_path("log"));
    snprintf(to, sizeof to, "to=%s", a.sun_path);
    struct bh_host *h = lab_host("syslog", LAB_WORDS(to, "health=30d"), NULL);
    one_hour(h, 0, 0);
    assert_true(lab_heard("cannot reach it; messages wait"));
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof a), 0);
    one_hour(h, 1, 1);
    assert_non_null(strstr(receive(fd), "HEALTH"));
    assert_non_null(strstr(receive(fd), "SUMMARY"));
    bh_host_free(h); /* and the hour so far */
    assert_non_null(strstr(receive(fd), "from=\"2026-11-30T02:00:10Z\""));
    close(fd);
}

/* A peer that is away for long: the newest 64 messages wait. */
static void
test_bound(void **state)
{
    (void)state;
    char to[160];
    snprintf(to, sizeof to, "to=%s", lab_path("nobody"));
    struct bh_host *h = lab_host("syslog", LAB_WORDS(to, "health=30d"), NULL);
    for (uint64_t k = 0; k < 80; k++) {
        one_hour(h, k, (int64_t)k);
    }
    const struct bh_host_counters *c = bh_host_counters(h);
    uint64_t own = 0;
    for (unsigned k = 0; k < 4; k++) {
        own += atomic_load(&c->own[k]);
    }
    assert_int_equal(own, 79 + 16); /* summaries, and what was dropped of them and one of health */
    bh_host_free(h);
}

static void
test_bad_peers(void **state)
{
    (void)state;
    struct bh_host *h;
    static const char *const peers[] = { "to=nowhere", "to=:514", "to=127.0.0.1:", "to=::1:514",
                                         "to=[::1:514" };
    for (size_t k = 0; k < BH_COUNT(peers); k++) {
        memset(lab_said, 0, sizeof lab_said);
        assert_int_not_equal(lab_try("syslog", LAB_WORDS(peers[k]), NULL, &h), 0);
        assert_true(lab_heard("must be host:port"));
    }
    assert_int_equal(lab_try("syslog", LAB_WORDS("to=[::1]:514"), NULL, &h), 0);
    bh_host_free(h);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, lab_begin, lab_end)
    const struct CMUnitTest tests[] = {
        CASE(test_udp), CASE(test_tcp), CASE(test_local), CASE(test_bound), CASE(test_bad_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
