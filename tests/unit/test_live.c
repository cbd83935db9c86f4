/* SPDX-License-Identifier: BSD-2-Clause */
/* The header filter: what is kept of a frame is headers, all of them that we read, and no payload. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/filter.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bh_live.h"

static struct bh_live_instruction code[BH_LIVE_PROGRAM_MAX];
static const struct bh_live_aux host = { .pkttype = 0, .hatype = 1 };

/* A frame is written as words: hex octets, and "*N" for N octets of something else. */
static uint32_t
frame(const char *text, uint8_t *to)
{
    uint32_t n = 0;
    while (*text != '\0') {
        char *end;
        if (*text == '*') {
            const unsigned long count = strtoul(text + 1, &end, 10);
            memset(to + n, 0x5a, count);
            n += (uint32_t)count;
        } else {
            const unsigned long octet = strtoul(text, &end, 16);
            to[n++] = (uint8_t)octet;
        }
        text = end + strspn(end, " ");
    }
    return n;
}

#define MAC "1 2 3 4 5 6 7 8 9 a b c "
#define IP4(proto) "45 0 0 54 0 1 40 0 40 " proto " 0 0 c0 0 2 1 c0 0 2 2 "
#define IP4_FRAGMENT(proto) "45 0 0 54 0 1 0 1 40 " proto " 0 0 c0 0 2 1 c0 0 2 2 "
#define IP4_OPTIONS(proto) "46 0 0 54 0 1 40 0 40 " proto " 0 0 c0 0 2 1 c0 0 2 2 1 1 1 1 "
#define IP6(next) "60 0 0 0 0 40 " next " 40 *32 "
#define TCP20 "0 1 0 2 0 0 0 1 0 0 0 2 50 2 0 0 0 0 0 0 "
#define TCP40 "0 1 0 2 0 0 0 1 0 0 0 2 a0 2 0 0 0 0 0 0 *20 "

static const struct {
    const char *name, *octets;
    uint32_t headers; /* what of it is kept */
} cases[] = {
    { "tcp", MAC "8 0 " IP4("6") TCP20 "*100", 54 },
    { "tcp with options", MAC "8 0 " IP4("6") TCP40 "*100", 74 },
    { "tcp with an offset below 5", MAC "8 0 " IP4("6") "0 1 0 2 0 0 0 1 0 0 0 2 40 2 *50", 54 },
    { "tcp cut before its offset", MAC "8 0 " IP4("6") "0 1 0 2 *8", 46 },
    { "ip options", MAC "8 0 " IP4_OPTIONS("6") TCP20 "*100", 58 },
    { "udp", MAC "8 0 " IP4("11") "0 1 0 2 0 8 0 0 *100", 42 },
    { "udp cut", MAC "8 0 " IP4("11") "0 1", 36 },
    { "ping", MAC "8 0 " IP4("1") "8 0 *100", 42 },
    { "unreachable", MAC "8 0 " IP4("1") "3 1 *6 " IP4("6") TCP20 "*20", 14 + 20 + 8 + 20 + 4 },
    { "unreachable, quoted options", MAC "8 0 " IP4("1") "3 1 *6 " IP4_OPTIONS("6") TCP20 "*20",
      14 + 20 + 8 + 24 + 4 },
    { "unreachable, quote cut", MAC "8 0 " IP4("1") "3 1 *6", 42 },
    { "later fragment", MAC "8 0 " IP4_FRAGMENT("6") "*60", 34 },
    { "protocol that has no ports", MAC "8 0 " IP4("32") "*60", 34 },
    { "gre", MAC "8 0 " IP4("2f") "0 0 8 0 " IP4("6") TCP20 "*50", 14 + 20 + 4 + 20 + 20 },
    { "gre with a key", MAC "8 0 " IP4("2f") "20 0 8 0 *50", 38 },
    { "ip in ip", MAC "8 0 " IP4("4") IP4("11") "*50", 14 + 20 + 20 + 8 },
    { "ip in ip in ip", MAC "8 0 " IP4("4") IP4("4") IP4("11") "*50", 14 + 20 + 20 },
    { "6in4", MAC "8 0 " IP4("29") IP6("6") TCP20 "*50", 14 + 20 + 40 + 20 },
    { "ipv6 tcp", MAC "86 dd " IP6("6") TCP40 "*50", 14 + 40 + 40 },
    { "ipv6 udp", MAC "86 dd " IP6("11") "*50", 14 + 40 + 8 },
    { "ipv6 ping", MAC "86 dd " IP6("3a") "80 0 *50", 14 + 40 + 8 },
    { "ipv6 too big", MAC "86 dd " IP6("3a") "2 0 *6 " IP6("6") "*50", 14 + 40 + 8 + 40 + 4 },
    { "hop by hop", MAC "86 dd " IP6("0") "6 1 *14 " TCP20 "*50", 14 + 40 + 16 + 20 },
    { "extension beyond the end", MAC "86 dd " IP6("0") "6 ff *14 ", 14 + 40 + 16 },
    { "ah", MAC "86 dd " IP6("33") "6 4 *22 " TCP20 "*50", 14 + 40 + 24 + 20 },
    { "first fragment", MAC "86 dd " IP6("2c") "11 0 0 1 *4 *60", 14 + 40 + 8 + 8 },
    { "later fragment of ipv6", MAC "86 dd " IP6("2c") "11 0 0 9 *4 *60", 14 + 40 + 8 },
    { "six extensions",
      MAC "86 dd " IP6("3c") "3c 0 *6 3c 0 *6 3c 0 *6 3c 0 *6 3c 0 *6 6 0 *6 " TCP20 "*50",
      14 + 40 + 48 },
    { "five extensions",
      MAC "86 dd " IP6("3c") "3c 0 *6 3c 0 *6 3c 0 *6 3c 0 *6 6 0 *6 " TCP20 "*50",
      14 + 40 + 40 + 20 },
    { "arp", MAC "8 6 *46", 42 },
    { "tagged", MAC "81 0 0 7 8 0 " IP4("11") "*100", 46 },
    { "tagged twice", MAC "88 a8 0 7 81 0 0 8 86 dd " IP6("6") TCP20 "*100", 14 + 8 + 40 + 20 },
    { "tagged three times", MAC "88 a8 0 7 81 0 0 8 81 0 0 9 8 0 " IP4("11") "*100", 14 + 8 },
    { "pppoe", MAC "88 64 11 0 0 1 0 50 0 21 " IP4("11") "*50", 14 + 8 + 20 + 8 },
    { "pppoe lcp", MAC "88 64 11 0 0 1 0 50 c0 21 *50", 14 + 8 },
    { "mpls", MAC "88 47 0 0 0 0 0 0 1 0 " IP4("11") "*50", 14 + 8 + 20 + 8 },
    { "stp", MAC "0 26 42 42 3 *35", 14 + 3 },
    { "snap", MAC "0 50 aa aa 3 0 0 0 8 0 *60", 14 + 8 },
    { "unknown type", MAC "88 cc *50", 14 },
    { "runt", "1 2 3", 3 },
    { "not ipv4", MAC "8 0 65 *60", 34 },
    { "header length below 5", MAC "8 0 44 *60", 34 },
};

static void
test_headers(void **state)
{
    (void)state;
    uint8_t octets[1024];
    static const enum bh_live_link links[] = { BH_LIVE_ETHERNET, BH_LIVE_ANY };
    for (size_t way = 0; way < BH_COUNT(links); way++) {
        const unsigned n = bh_live_header_program(links[way], NULL, code);
        print_message("# %u instructions\n", n);
        for (size_t k = 0; k < BH_COUNT(cases); k++) {
            const uint32_t len = frame(cases[k].octets, octets);
            print_message("# %s\n", cases[k].name);
            const uint32_t kept = bh_live_run(code, n, octets, len, &host);
            assert_int_equal(kept < len ? kept : len, cases[k].headers);
            /* Cut anywhere it still answers, and never with "drop". */
            for (uint32_t cut = 1; cut <= len; cut++) {
                const uint32_t got = bh_live_run(code, n, octets, cut, &host);
                assert_true(got > 0);
                assert_true((got < cut ? got : cut) <=
                            (cases[k].headers < cut ? cases[k].headers : cut) + 0);
            }
        }
    }
}

static void
test_loopback_once(void **state)
{
    (void)state;
    uint8_t octets[1024];
    const uint32_t len = frame(cases[0].octets, octets);
    const unsigned n = bh_live_header_program(BH_LIVE_ETHERNET, NULL, code);
    static const struct {
        uint32_t pkttype, hatype, kept;
    } ends[] = { { 0, 772, 54 }, { 4, 772, 0 }, { 4, 1, 54 }, { 0, 1, 54 } };
    for (size_t k = 0; k < BH_COUNT(ends); k++) {
        const struct bh_live_aux aux = { .pkttype = ends[k].pkttype, .hatype = ends[k].hatype };
        assert_int_equal(bh_live_run(code, n, octets, len, &aux), ends[k].kept);
    }
    const struct bh_live_aux tun = { .hatype = 65534 };
    const unsigned any = bh_live_header_program(BH_LIVE_ANY, NULL, code);
    assert_int_equal(bh_live_run(code, any, octets + 14, len - 14, &tun), 40);
}

/* The kernel takes it, and answers as our machine does: over a pair of datagram sockets, where a filter
 * cuts a datagram to the length it answers with. */
static void
test_kernel_agrees(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
    const unsigned n = bh_live_header_program(BH_LIVE_ETHERNET, NULL, code);
    struct sock_fprog program = { .len = (unsigned short)n,
                                  .filter = (struct sock_filter *)(void *)code };
    assert_int_equal(setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program),
                     0);
    for (size_t k = 0; k < BH_COUNT(cases); k++) {
        uint8_t octets[1024], got[1024];
        const uint32_t len = frame(cases[k].octets, octets);
        assert_int_equal(send(pair[0], octets, len, 0), len);
        print_message("# %s\n", cases[k].name);
        assert_int_equal(recv(pair[1], got, sizeof got, MSG_DONTWAIT), cases[k].headers);
    }
    close(pair[0]);
    close(pair[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_loopback_once),
        cmocka_unit_test(test_kernel_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
