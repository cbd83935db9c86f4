/* SPDX-License-Identifier: BSD-2-Clause */
/* Our own exports: what a host writes of its module's sockets, and which rows that leaves out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../lib/sensor/sensor_priv.h"
#include "bh_modules.h"

/* ---- the board ---------------------------------------------------------------------------------------------- */

static struct bh_own_board board;

static struct bh_host *
new_host(void)
{
    const struct bh_output_module *m;
    struct bh_host *h;
    struct bh_error err = { 0 };
    memset(&board, 0, sizeof board);
    assert_int_equal(bh_module_load("template", &m, &err), 0);
    const struct bh_host_config cfg = { .module = m, .instance = "out", .own = &board };
    assert_int_equal(bh_host_new(&cfg, &h, &err), 0);
    return h;
}

/* A socket that others may send to, and its address. */
static int
listen_at(int type, struct sockaddr_storage *ret_at, int family)
{
    socklen_t len = sizeof *ret_at;
    const int fd = socket(family, type, 0);
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
    const struct sockaddr *at = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    if (fd < 0 || bind(fd, at, family == AF_INET ? sizeof v4 : sizeof v6) != 0) {
        skip(); /* no such family here */
    }
    assert_true(type != SOCK_STREAM || listen(fd, 5) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)ret_at, &len), 0);
    return fd;
}

static socklen_t
size_of(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static uint16_t
port_of(const struct sockaddr_storage *a)
{
    struct sockaddr_in v4;
    memcpy(&v4, a, sizeof v4); /* the port is where that of IPv6 is */
    return ntohs(v4.sin_port);
}

static void
try_board(int type, int family)
{
    struct bh_host *h = new_host();
    struct bh_output *o = bh_host_output(h);
    struct sockaddr_storage at = { 0 }, near = { 0 };
    struct bh_own_socket s[BH_OWN_SOCKETS];
    socklen_t len = sizeof near;
    uint32_t turn = 0;
    const int server = listen_at(type, &at, family), fd = socket(family, type, 0);
    assert_false(bh_own_read(&board, &turn, s)); /* nothing was said */
    assert_int_equal(bh_output_connect(o, fd, (const struct sockaddr *)&at, size_of(&at)), 0);
    assert_true(bh_own_read(&board, &turn, s));
    assert_false(bh_own_read(&board, &turn, s)); /* it was read */
    assert_int_equal(getsockname(fd, (struct sockaddr *)&near, &len), 0);
    assert_int_equal(s[0].proto, type == SOCK_STREAM ? BH_PROTO_TCP : BH_PROTO_UDP);
    assert_int_equal(s[0].near_port, port_of(&near));
    assert_int_equal(s[0].far_port, port_of(&at));
    assert_int_equal(s[0].near.family, family == AF_INET ? 4 : 6);
    assert_int_equal(bh_ip_cmp(&s[0].near, &s[0].far), 0); /* both are this machine */
    assert_true(s[0].until_ns == INT64_MAX && s[1].proto == 0);
    bh_output_disconnect(o, fd);
    assert_true(bh_own_read(&board, &turn, s));
    assert_true(s[0].until_ns < INT64_MAX && s[0].until_ns > BH_OWN_LINGER_NS);
    assert_true(send(fd, "x", 1, MSG_NOSIGNAL) < 0 && errno == EBADF);
    close(server);
    bh_host_free(h);
}

static void
test_board(void **state)
{
    (void)state;
    try_board(SOCK_DGRAM, AF_INET);
    try_board(SOCK_STREAM, AF_INET);
}

static void
test_board_v6(void **state)
{
    (void)state;
    try_board(SOCK_DGRAM, AF_INET6);
    try_board(SOCK_STREAM, AF_INET6);
}

/* n-1, n, n+1 of them; a descriptor that comes again takes its own place; who is killed leaves all open. */
static void
test_board_full(void **state)
{
    (void)state;
    struct bh_host *h = new_host();
    struct bh_output *o = bh_host_output(h);
    struct sockaddr_storage at = { 0 };
    struct bh_own_socket s[BH_OWN_SOCKETS];
    uint32_t turn = 0;
    int fd[BH_OWN_SOCKETS + 1];
    const int server = listen_at(SOCK_DGRAM, &at, AF_INET);
    for (size_t k = 0; k <= BH_OWN_SOCKETS; k++) {
        fd[k] = socket(AF_INET, SOCK_DGRAM, 0);
        assert_int_equal(bh_output_connect(o, fd[k], (const struct sockaddr *)&at, size_of(&at)),
                         0);
        size_t open = 0;
        assert_true(bh_own_read(&board, &turn, s));
        for (size_t i = 0; i < BH_OWN_SOCKETS; i++) {
            open += s[i].until_ns == INT64_MAX;
        }
        assert_int_equal(open, k < BH_OWN_SOCKETS ? k + 1 : BH_OWN_SOCKETS);
    }
    bh_output_disconnect(o, fd[3]);
    fd[3] = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bh_output_connect(o, fd[3], (const struct sockaddr *)&at, size_of(&at)), 0);
    assert_true(bh_own_read(&board, &turn, s));
    for (size_t i = 0; i < BH_OWN_SOCKETS; i++) {
        assert_true(s[i].until_ns == INT64_MAX); /* the one that was closed made room */
    }
    /* killed while it wrote: what stands is what there is */
    board.socket[(board.turn + 1) % 2][0].proto = 99;
    turn--;
    assert_true(bh_own_read(&board, &turn, s));
    assert_true(s[0].proto == BH_PROTO_UDP && s[0].until_ns == INT64_MAX);
    bh_own_close_all(&board);
    assert_true(bh_own_read(&board, &turn, s));
    for (size_t i = 0; i < BH_OWN_SOCKETS; i++) {
        assert_true(s[i].until_ns < INT64_MAX);
    }
    for (size_t k = 0; k <= BH_OWN_SOCKETS; k++) {
        close(fd[k]);
    }
    close(server);
    bh_host_free(h);
}

/* Other families, and hosts that nobody asks: connect() and no more. */
static void
test_board_not(void **state)
{
    (void)state;
    struct bh_host *h = new_host();
    struct bh_own_socket s[BH_OWN_SOCKETS];
    uint32_t turn = 0;
    const struct sockaddr_storage nowhere = { .ss_family = AF_UNIX };
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(
        bh_output_connect(bh_host_output(h), fd, (const struct sockaddr *)&nowhere, sizeof nowhere),
        -1);
    assert_false(bh_own_read(&board, &turn, s));
    bh_output_disconnect(bh_host_output(h), fd);
    bh_host_free(h);
}

/* ---- rows ----------------------------------------------------------------------------------------------------- */

#define US 0xc6336401U
#define COLLECTOR 0xc6336407U
#define LOOPBACK 0x7f000001U
static const struct {
    const char *name;
    uint32_t src, dst;
    uint16_t from, to;
    uint8_t proto, marks;
    int64_t ts_ns;
    bool own;
} rows[] = {
    { "export", US, COLLECTOR, 40000, 4739, BH_PROTO_UDP, 0, 10, true },
    { "answer", COLLECTOR, US, 4739, 40000, BH_PROTO_UDP, 0, 10, true },
    { "another socket of ours", US, COLLECTOR, 40001, 4739, BH_PROTO_UDP, 0, 10, false },
    { "another port there", US, COLLECTOR, 40000, 4740, BH_PROTO_UDP, 0, 10, false },
    { "another protocol", US, COLLECTOR, 40000, 4739, BH_PROTO_TCP, 0, 10, false },
    { "another host there", US, COLLECTOR + 1, 40000, 4739, BH_PROTO_UDP, 0, 10, false },
    { "a stranger with its ports", COLLECTOR + 1, US, 4739, 40000, BH_PROTO_UDP, 0, 10, false },
    { "another address of ours", US + 1, COLLECTOR, 40000, 4739, BH_PROTO_UDP, 0, 10, false },
    { "ends the wrong way", COLLECTOR, US, 40000, 4739, BH_PROTO_UDP, 0, 10, false },
    { "a later fragment", US, COLLECTOR, 40000, 4739, BH_PROTO_UDP, BH_MARK_NO_PORTS, 10, false },
    { "inside a tunnel", US, COLLECTOR, 40000, 4739, BH_PROTO_UDP, BH_MARK_DECAP, 10, false },
    { "closed, n", US, COLLECTOR, 40002, 514, BH_PROTO_TCP, 0, 20, true },
    { "closed, n + 1", US, COLLECTOR, 40002, 514, BH_PROTO_TCP, 0, 21, false },
    { "connecting", US + 9, COLLECTOR, 40003, 514, BH_PROTO_TCP, 0, 10, true },
    { "connecting, another port", US + 9, COLLECTOR, 40004, 514, BH_PROTO_TCP, 0, 10, false },
    { "a scrape", LOOPBACK, LOOPBACK, 40005, 9477, BH_PROTO_TCP, 0, 10, true },
    { "its answer", LOOPBACK, LOOPBACK, 9477, 40005, BH_PROTO_TCP, 0, 10, true },
    { "from another address of loopback", LOOPBACK + 1, LOOPBACK, 40005, 9477, BH_PROTO_TCP, 0, 10,
      true },
    { "to another address of loopback", LOOPBACK, LOOPBACK + 1, 40005, 9477, BH_PROTO_TCP, 0, 10,
      false },
    { "to another port", LOOPBACK, LOOPBACK, 40005, 9478, BH_PROTO_TCP, 0, 10, false },
    { "a stranger who says it is for loopback", COLLECTOR, LOOPBACK, 40005, 9477, BH_PROTO_TCP, 0,
      10, false },
    { "a datagram", LOOPBACK, LOOPBACK, 40005, 9477, BH_PROTO_UDP, 0, 10, false },
    { "a scrape of what is in a tunnel", LOOPBACK, LOOPBACK, 40005, 9477, BH_PROTO_TCP,
      BH_MARK_DECAP, 10, false },
};

static void
test_rows(void **state)
{
    (void)state;
    static struct own own;
    const struct bh_ip us = bh_ip_from_v4(US), there = bh_ip_from_v4(COLLECTOR);
    const struct bh_own_socket sockets[BH_OWN_SOCKETS] = {
        { BH_PROTO_UDP, us, there, 40000, 4739, INT64_MAX },
        { BH_PROTO_TCP, us, there, 40002, 514, 20 },
        { BH_PROTO_TCP, { .family = 0 }, there, 40003, 514, INT64_MAX },
        { BH_PROTO_ICMP, us, there, 0, 0, INT64_MAX }, /* nobody has such a socket */
        { BH_PROTO_UDP, us, { .family = 9 }, 1, 2, INT64_MAX },
    };
    _Alignas(64) static uint8_t pages[BH_SENSOR_OUTPUTS * OWN_PAGE];
    const struct sensor s = { .sockets = pages,
                              .listener = bh_ip_from_v4(LOOPBACK),
                              .listener_port = 9477 };
    struct bh_own_board *shared = own_board(&s, 3);
    uint8_t mark[BH_BATCH_ROWS];
    struct bh_batch *b = bh_batch_new();
    memcpy(shared->socket[0], sockets, sizeof sockets);
    shared->turn = 2;
    own_look(&own, &s);
    assert_int_equal(own.count, 3);
    uint32_t expected = 0;
    for (uint32_t i = 0; i < BH_COUNT(rows); i++) {
        b->kind[i] = BH_KIND_IP4;
        b->src[i] = rows[i].src;
        b->dst[i] = rows[i].dst;
        b->ports[i] = (uint32_t)rows[i].from << 16 | rows[i].to;
        b->proto[i] = rows[i].proto;
        b->marks[i] = rows[i].marks;
        b->ts_ns[i] = rows[i].ts_ns;
        expected += rows[i].own;
    }
    b->rows = BH_COUNT(rows);
    assert_int_equal(own_mark(&own, b, mark), expected);
    for (uint32_t i = 0; i < BH_COUNT(rows); i++) {
        print_message("# %s\n", rows[i].name);
        assert_int_equal(mark[i], rows[i].own);
    }
    bh_batch_free(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_board),      cmocka_unit_test(test_board_v6),
        cmocka_unit_test(test_board_full), cmocka_unit_test(test_board_not),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
