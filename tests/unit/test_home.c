/* SPDX-License-Identifier: BSD-2-Clause */
/* Home: every way to write it, and the guess (MEANING.md 2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "batch_rows.h"
#include "bh_track.h"

/* ---- --home -------------------------------------------------------------------------------- */

struct reading {
    const char *home;
    const char *ours, *not_ours; /* comma-joined addresses; NULL: none */
    const char *near;            /* "same network"                     */
    const char *not_near;
    const char *en, *ja;  /* what was taken as home, in words   */
    const char *networks; /* as the user would write it         */
};

/* clang-format off: a table */
static const struct reading readings[] = {
    { "203.0.113.0/24", "203.0.113.0,203.0.113.1,203.0.113.255",
      "203.0.112.255,203.0.114.0,2001:db8::1", NULL, "203.0.113.7", "the network 203.0.113.0/24",
      "ネットワーク 203.0.113.0/24", "203.0.113.0/24" },
    { "203.0.113.60/24", "203.0.113.60", "203.0.113.59,203.0.113.61,203.0.113.255",
      "203.0.113.0,203.0.113.59,203.0.113.61,203.0.113.255", "203.0.112.255,203.0.114.0",
      "203.0.113.60, a host in its /24", "203.0.113.60 (/24 内の 1 台)", "203.0.113.60/24" },
    { "203.0.113.60", "203.0.113.60", "203.0.113.59,203.0.113.61", NULL, "203.0.113.59",
      "203.0.113.60", "203.0.113.60", "203.0.113.60" },
    { "203.0.113.60/32", "203.0.113.60", "203.0.113.59,203.0.113.61", NULL, "203.0.113.59",
      "203.0.113.60", "203.0.113.60", "203.0.113.60" },
    { "203.0.113.61/31", "203.0.113.61", "203.0.113.60,203.0.113.62", "203.0.113.60",
      "203.0.113.62", "203.0.113.61, a host in its /31", "203.0.113.61 (/31 内の 1 台)",
      "203.0.113.61/31" },
    { "203.0.113.60/31", "203.0.113.60,203.0.113.61", "203.0.113.59,203.0.113.62", NULL,
      "203.0.113.59", "the network 203.0.113.60/31", "ネットワーク 203.0.113.60/31",
      "203.0.113.60/31" },
    { "203.0.113.61/30", "203.0.113.61", "203.0.113.60,203.0.113.62,203.0.113.63",
      "203.0.113.60,203.0.113.63", "203.0.113.64", "203.0.113.61, a host in its /30",
      "203.0.113.61 (/30 内の 1 台)", "203.0.113.61/30" },
    { "host:203.0.113.0/24", "203.0.113.0", "203.0.113.1", "203.0.113.1", "203.0.114.1",
      "203.0.113.0, a host in its /24", "203.0.113.0 (/24 内の 1 台)", "host:203.0.113.0/24" },
    { "net:203.0.113.60/24", "203.0.113.0,203.0.113.255", "203.0.112.255,203.0.114.0", NULL,
      "203.0.113.1", "the network 203.0.113.0/24", "ネットワーク 203.0.113.0/24",
      "203.0.113.0/24" },
    { "host:203.0.113.60", "203.0.113.60", "203.0.113.61", NULL, NULL, "203.0.113.60",
      "203.0.113.60", "203.0.113.60" },
    { "0.0.0.0/0", "0.0.0.0,203.0.113.1,255.255.255.255", "::1", NULL, NULL,
      "the network 0.0.0.0/0", "ネットワーク 0.0.0.0/0", "0.0.0.0/0" },
    { "2001:db8::/64", "2001:db8::,2001:db8::ffff:ffff:ffff:ffff",
      "2001:db8:0:1::,2001:db7:ffff:ffff:ffff:ffff:ffff:ffff,203.0.113.1", NULL, NULL,
      "the network 2001:db8::/64", "ネットワーク 2001:db8::/64", "2001:db8::/64" },
    { "2001:db8::5/64", "2001:db8::5", "2001:db8::4,2001:db8::6", "2001:db8::,2001:db8::4",
      "2001:db8:0:1::5", "2001:db8::5, a host in its /64", "2001:db8::5 (/64 内の 1 台)",
      "2001:db8::5/64" },
    { "2001:db8::5", "2001:db8::5", "2001:db8::4", NULL, "2001:db8::4", "2001:db8::5",
      "2001:db8::5", "2001:db8::5" },
    { "2001:db8::5/128", "2001:db8::5", "2001:db8::4", NULL, "2001:db8::4", "2001:db8::5",
      "2001:db8::5", "2001:db8::5" },
    { "host:2001:db8::/64", "2001:db8::", "2001:db8::1", "2001:db8::1", NULL,
      "2001:db8::, a host in its /64", "2001:db8:: (/64 内の 1 台)", "host:2001:db8::/64" },
    { "net:2001:db8::5/64", "2001:db8::,2001:db8::5", "2001:db8:0:1::", NULL, NULL,
      "the network 2001:db8::/64", "ネットワーク 2001:db8::/64", "2001:db8::/64" },
    { "::/0", "::,2001:db8::1", "203.0.113.1", NULL, NULL, "the network ::/0", "ネットワーク ::/0",
      "::/0" },
    { "203.0.113.60/24,2001:db8::/64", "203.0.113.60,2001:db8::1", "203.0.113.61,2001:db8:0:1::",
      "203.0.113.61", "2001:db8::1", "203.0.113.60, a host in its /24, the network 2001:db8::/64",
      "203.0.113.60 (/24 内の 1 台)、ネットワーク 2001:db8::/64", "203.0.113.60/24,2001:db8::/64" },
    { "10.0.0.0/9,10.128.0.0/9", "10.0.0.0,10.127.255.255,10.128.0.0,10.255.255.255",
      "9.255.255.255,11.0.0.0", NULL, NULL, "the network 10.0.0.0/9, the network 10.128.0.0/9",
      "ネットワーク 10.0.0.0/9、ネットワーク 10.128.0.0/9", "10.0.0.0/9,10.128.0.0/9" },
};
/* clang-format on */

/* Every address of a comma-joined list. */
static void
each_address(const char *list, const struct bh_home *h,
             bool (*test)(const struct bh_home *, const struct bh_ip *), bool want,
             const char *what)
{
    for (const char *s = list; s != NULL && *s != '\0';) {
        size_t n = strcspn(s, ",");
        struct bh_ip ip;
        assert_true(bh_ip_parse(s, n, &ip));
        if (test(h, &ip) != want) {
            fail_msg("%s: %.*s", what, (int)n, s);
        }
        s += n + (s[n] == ',');
    }
}

static void
test_readings(void **state)
{
    (void)state;
    for (size_t i = 0; i < BH_COUNT(readings); i++) {
        const struct reading *c = &readings[i];
        struct bh_home h, again;
        struct bh_error err = { 0 };
        assert_int_equal(bh_home_parse(c->home, &h, &err), 0);
        each_address(c->ours, &h, bh_home_has, true, c->home);
        each_address(c->not_ours, &h, bh_home_has, false, c->home);
        each_address(c->near, &h, bh_home_is_near, true, c->home);
        each_address(c->not_near, &h, bh_home_is_near, false, c->home);
        assert_string_equal(h.text[BH_EN].data, c->en);
        assert_string_equal(h.text[BH_JA].data, c->ja);
        assert_string_equal(h.networks.data, c->networks);
        assert_false(h.guessed);
        /* What we print we read: the same home. */
        assert_int_equal(bh_home_parse(h.networks.data, &again, &err), 0);
        each_address(c->ours, &again, bh_home_has, true, c->networks);
        each_address(c->not_ours, &again, bh_home_has, false, c->networks);
        each_address(c->near, &again, bh_home_is_near, true, c->networks);
        bh_home_done(&again);
        bh_home_done(&h);
    }
}

static void
test_errors(void **state)
{
    (void)state;
    /* clang-format off: a table */
    static const char *const bad[] = {
        "",
        ",",
        "203.0.113.0/24,",
        ",203.0.113.0/24",
        "203.0.113.0/24,,10.0.0.1",
        "203.0.113",
        "203.0.113.256",
        "203.0.113.0/33",
        "203.0.113.0/",
        "203.0.113.0/-1",
        "203.0.113.0/2x",
        "203.0.113.0/024 ",
        "203.0.113.0/0000",
        "/24",
        "host:",
        "net:",
        "host:x",
        "net:/24",
        "2001:db8::/129",
        "2001:db8::/64/64",
        "2001:db8:::1",
        "home",
        "203.0.113.0/24 10.0.0.1",
        "HOST:203.0.113.1",
    };
    /* clang-format on */
    for (size_t i = 0; i < BH_COUNT(bad); i++) {
        struct bh_home h;
        struct bh_error err = { 0 };
        if (bh_home_parse(bad[i], &h, &err) != BH_EUSAGE) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
        assert_int_equal(err.code, BH_EUSAGE);
        assert_true(err.text[BH_EN][0] != '\0' && err.text[BH_JA][0] != '\0');
        assert_non_null(strstr(err.where, "--home"));
    }
    assert_int_equal(bh_home_parse("x", &(struct bh_home){ 0 }, NULL), BH_EUSAGE);
}

/* More ranges than are tested one by one. */
static void
test_many_ranges(void **state)
{
    (void)state;
    struct bh_buf text = { 0 };
    for (unsigned i = 0; i < 3 * BH_HOME_RANGES; i++) { /* in falling order, every second address */
        bh_buf_printf(&text, "%s10.0.%u.%u", i == 0 ? "" : ",", (600 - 2 * i) / 256,
                      (600 - 2 * i) % 256);
    }
    struct bh_home h;
    assert_int_equal(bh_home_parse(text.data, &h, NULL), 0);
    assert_int_equal(h.v4_count, 3 * BH_HOME_RANGES);
    for (uint32_t a = 0; a < 700; a++) {
        struct bh_ip ip = bh_ip_from_v4(0x0a000000 + a);
        bool ours = a % 2 == 0 && a <= 600 && a > 600 - 6 * BH_HOME_RANGES;
        assert_int_equal(bh_home_has(&h, &ip), ours);
    }
    bh_home_done(&h);
    bh_buf_done(&text);
    bh_home_done(&h); /* twice is harmless */
}

/* ---- direction --------------------------------------------------------------------------------- */

static const struct {
    const char *home, *src, *dst;
    int want;
} directions[] = {
    { "203.0.113.0/24", "192.0.2.1", "203.0.113.1", BH_DIR_IN },
    { "203.0.113.0/24", "203.0.113.1", "192.0.2.1", BH_DIR_OUT },
    { "203.0.113.0/24", "203.0.113.1", "203.0.113.2", BH_DIR_LOCAL },
    { "203.0.113.0/24", "192.0.2.1", "192.0.2.2", BH_DIR_TRANSIT },
    { "203.0.113.0/24", "192.0.2.1", "203.0.113.255", BH_DIR_IN },
    { "203.0.113.0/24", "192.0.2.1", "255.255.255.255", BH_DIR_IN },
    { "203.0.113.0/24", "192.0.2.1", "223.255.255.255", BH_DIR_TRANSIT },
    { "203.0.113.0/24", "192.0.2.1", "224.0.0.0", BH_DIR_IN },
    { "203.0.113.0/24", "192.0.2.1", "239.255.255.255", BH_DIR_IN },
    { "203.0.113.0/24", "192.0.2.1", "240.0.0.0", BH_DIR_TRANSIT },
    { "203.0.113.0/24", "203.0.113.1", "255.255.255.255", BH_DIR_LOCAL },
    { "203.0.113.0/24", "203.0.113.1", "224.0.0.251", BH_DIR_LOCAL },
    { "203.0.113.60/24", "203.0.113.61", "203.0.113.60", BH_DIR_IN }, /* a neighbour is outside */
    { "203.0.113.60/24", "203.0.113.61", "203.0.113.255", BH_DIR_IN },
    { "203.0.113.60/24", "203.0.113.60", "203.0.113.255", BH_DIR_LOCAL },
    { "203.0.113.60/24", "203.0.113.61", "203.0.113.62", BH_DIR_TRANSIT },
    { "203.0.113.60", "203.0.113.61", "203.0.113.255", BH_DIR_TRANSIT },
    { "203.0.113.60/31", "203.0.113.62", "203.0.113.61", BH_DIR_IN },
    /* RFC 3021: no broadcast */
    { "203.0.113.61/31", "203.0.113.62", "203.0.113.60", BH_DIR_TRANSIT },
    { "10.0.0.1/24,10.1.0.1/24", "192.0.2.1", "10.1.0.255", BH_DIR_IN },
    { "10.0.0.1/24,10.1.0.1/24", "10.0.0.1", "10.1.0.1", BH_DIR_LOCAL },
    { "10.0.0.1/24,10.1.0.1/24", "192.0.2.1", "10.1.0.2", BH_DIR_TRANSIT },
    { "2001:db8::/64", "2001:db8:1::1", "2001:db8::1", BH_DIR_IN },
    { "2001:db8::/64", "2001:db8::1", "2001:db8:1::1", BH_DIR_OUT },
    { "2001:db8::/64", "2001:db8::1", "2001:db8::2", BH_DIR_LOCAL },
    { "2001:db8::/64", "2001:db8:1::1", "ff02::1", BH_DIR_IN },
    { "2001:db8::/64", "2001:db8::1", "ff02::fb", BH_DIR_LOCAL },
    { "2001:db8::/64", "2001:db8:1::1", "fe80::1", BH_DIR_TRANSIT },
    { "2001:db8::/64", "192.0.2.1", "203.0.113.1", BH_DIR_TRANSIT },
    { "203.0.113.0/24", "2001:db8:1::1", "2001:db8::1", BH_DIR_TRANSIT },
    { "2001:db8::/64", "192.0.2.1", "255.255.255.255", BH_DIR_IN },
};

static void
test_directions(void **state)
{
    (void)state;
    struct bh_batch *b = bh_batch_new();
    for (size_t i = 0; i < BH_COUNT(directions); i++) {
        for (int mixed = 0; mixed < 2; mixed++) {
            struct bh_home h;
            struct bh_track *t;
            assert_int_equal(bh_home_parse(directions[i].home, &h, NULL), 0);
            struct bh_track_config cfg = { .home = &h, .flow_slots = 64 };
            assert_int_equal(bh_track_new(&cfg, &t), 0);
            bh_batch_reset(b);
            struct row r = udp_row(SEC, directions[i].src, 1000, directions[i].dst, 2000);
            if (mixed) { /* the other family beside it must not disturb */
                struct row other = r.src.family == 6
                                       ? udp_row(SEC, "198.51.100.1", 1, "198.51.100.2", 2)
                                       : udp_row(SEC, "2a00::1", 1, "2a00::2", 2);
                row_add(b, &other);
            }
            uint32_t at = row_add(b, &r);
            bh_track_classify(t, b);
            if (b->direction[at] != directions[i].want) {
                fail_msg("home %s, %s > %s: %u", directions[i].home, directions[i].src,
                         directions[i].dst, b->direction[at]);
            }
            int64_t ours = bh_track_first_ours(&h, b);
            assert_int_equal(ours != INT64_MAX, directions[i].want == BH_DIR_OUT);
            bh_track_free(t);
            bh_home_done(&h);
        }
    }
    bh_batch_free(b);
}

/* ---- the guess ------------------------------------------------------------------------------------- */

#define GUESS_ROWS 12

struct guess {
    const char *name;
    /* flags: or those below */
    struct {
        const char *src, *dst;
        unsigned sport, dport, flags;
    } row[GUESS_ROWS];
    const char *networks, *en; /* NULL: an error */
};
#define UDP_ROW 256U
#define ICMP_ROW 257U        /* sport: type, dport: code                                    */
#define UNREACHABLE_ROW 258U /* about a datagram from dst, port sport, to src, port dport   */
#define S BH_TCP_SYN
#define SA (BH_TCP_SYN | BH_TCP_ACK)
#define RA (BH_TCP_RST | BH_TCP_ACK)

static const struct guess guesses[] = {
    { "SYNs of three sources",
      { { "192.0.2.1", "203.0.113.5", 1, 80, S },
        { "192.0.2.2", "203.0.113.5", 1, 80, S },
        { "192.0.2.3", "203.0.113.5", 1, 80, S } },
      "203.0.113.5",
      "203.0.113.5" },
    { "two sources are not enough: the most packets",
      { { "192.0.2.1", "203.0.113.5", 1, 80, S },
        { "192.0.2.2", "203.0.113.5", 1, 80, S },
        { "192.0.2.1", "203.0.113.5", 2, 80, S },
        { "192.0.2.1", "203.0.113.6", 1, 53, UDP_ROW },
        { "192.0.2.1", "203.0.113.6", 1, 53, UDP_ROW },
        { "192.0.2.1", "203.0.113.6", 1, 53, UDP_ROW },
        { "192.0.2.1", "203.0.113.6", 1, 53, UDP_ROW } },
      "203.0.113.6",
      "203.0.113.6" },
    { "one answered by SYN-ACK",
      { { "192.0.2.1", "203.0.113.5", 1, 80, S },
        { "203.0.113.5", "192.0.2.1", 80, 1, SA },
        { "192.0.2.1", "203.0.113.9", 1, 53, UDP_ROW },
        { "192.0.2.1", "203.0.113.9", 1, 53, UDP_ROW } },
      "203.0.113.5",
      "203.0.113.5" },
    { "one answered by RST",
      { { "192.0.2.1", "203.0.113.5", 1, 80, S },
        { "203.0.113.5", "192.0.2.1", 80, 1, RA },
        { "192.0.2.1", "203.0.113.9", 1, 53, UDP_ROW },
        { "192.0.2.1", "203.0.113.9", 1, 53, UDP_ROW } },
      "203.0.113.5",
      "203.0.113.5" },
    { "an answer of other ports is none: most packets",
      { { "192.0.2.1", "203.0.113.5", 1, 80, S },
        { "203.0.113.5", "192.0.2.1", 80, 2, SA },
        { "192.0.2.1", "203.0.113.9", 1, 53, UDP_ROW },
        { "192.0.2.1", "203.0.113.9", 1, 53, UDP_ROW } },
      "203.0.113.9",
      "203.0.113.9" },
    { "an answer without a SYN is backscatter",
      { { "192.0.2.1", "203.0.113.5", 80, 1, SA }, { "192.0.2.1", "203.0.113.5", 80, 1, RA } },
      "203.0.113.5",
      "203.0.113.5" },
    { "SYN with ACK counts for nobody",
      { { "192.0.2.1", "203.0.113.5", 1, 80, SA },
        { "192.0.2.2", "203.0.113.5", 1, 80, SA },
        { "192.0.2.3", "203.0.113.5", 1, 80, SA },
        { "192.0.2.1", "203.0.113.9", 1, 53, UDP_ROW },
        { "192.0.2.1", "203.0.113.9", 1, 53, UDP_ROW },
        { "192.0.2.1", "203.0.113.9", 1, 53, UDP_ROW },
        { "192.0.2.1", "203.0.113.9", 1, 53, UDP_ROW } },
      "203.0.113.9",
      "203.0.113.9" },
    { "multicast is nobody's home",
      { { "192.0.2.1", "224.0.0.251", 5353, 5353, UDP_ROW },
        { "192.0.2.1", "224.0.0.251", 5353, 5353, UDP_ROW },
        { "192.0.2.1", "255.255.255.255", 67, 68, UDP_ROW },
        { "192.0.2.1", "255.255.255.255", 67, 68, UDP_ROW },
        { "192.0.2.1", "203.0.113.9", 1, 53, UDP_ROW } },
      "203.0.113.9",
      "203.0.113.9" },
    { "nothing but multicast",
      { { "192.0.2.1", "224.0.0.251", 5353, 5353, UDP_ROW },
        { "fe80::1", "ff02::1", 1, 1, UDP_ROW } },
      NULL,
      NULL },
    { "a tie goes to the lower address, in whatever order they come",
      { { "192.0.2.1", "203.0.113.9", 1, 53, UDP_ROW },
        { "192.0.2.1", "203.0.113.8", 1, 53, UDP_ROW },
        { "192.0.2.1", "203.0.113.7", 1, 53, UDP_ROW },
        { "192.0.2.1", "203.0.113.10", 1, 53, UDP_ROW } },
      "203.0.113.7",
      "203.0.113.7" },
    { "IPv6",
      { { "2a00::1", "2001:db8::5", 1, 80, S },
        { "2a00::2", "2001:db8::5", 1, 80, S },
        { "2a00::3", "2001:db8::5", 1, 80, S },
        { "192.0.2.1", "203.0.113.5", 1, 80, S },
        { "203.0.113.5", "192.0.2.1", 80, 1, RA } },
      "203.0.113.5,2001:db8::5",
      "203.0.113.5, 2001:db8::5" },
    { "no SYN: who answered a ping",
      { { "192.0.2.1", "203.0.113.5", 8, 0, ICMP_ROW },
        { "203.0.113.5", "192.0.2.1", 0, 0, ICMP_ROW },
        { "192.0.2.1", "203.0.113.6", 8, 0, ICMP_ROW },
        { "203.0.113.6", "192.0.2.1", 0, 0, ICMP_ROW } },
      "203.0.113.5,203.0.113.6",
      "203.0.113.5-203.0.113.6" },
    { "an echo reply that nobody asked for: the most packets",
      { { "203.0.113.5", "192.0.2.1", 0, 0, ICMP_ROW },
        { "192.0.2.1", "203.0.113.6", 8, 0, ICMP_ROW },
        { "192.0.2.1", "203.0.113.6", 8, 0, ICMP_ROW } },
      "203.0.113.6",
      "203.0.113.6" },
    { "no SYN: who refused a bare ACK",
      { { "192.0.2.1", "203.0.113.5", 9, 80, BH_TCP_ACK },
        { "203.0.113.5", "192.0.2.1", 80, 9, BH_TCP_RST },
        { "192.0.2.1", "203.0.113.5", 9, 81, BH_TCP_ACK },
        { "203.0.113.5", "192.0.2.1", 81, 9, BH_TCP_RST },
        { "203.0.113.5", "192.0.2.1", 82, 9, BH_TCP_RST } },
      "203.0.113.5",
      "203.0.113.5" },
    { "no SYN: who said that a port is unreachable",
      { { "192.0.2.1", "203.0.113.5", 9, 161, UDP_ROW },
        { "203.0.113.5", "192.0.2.1", 9, 161, UNREACHABLE_ROW },
        { "203.0.113.5", "192.0.2.1", 9, 161, UNREACHABLE_ROW } },
      "203.0.113.5",
      "203.0.113.5" },
    { "an error about what was not sent: the most packets",
      { { "192.0.2.1", "203.0.113.5", 9, 161, UDP_ROW },
        { "203.0.113.5", "192.0.2.1", 9, 162, UNREACHABLE_ROW },
        { "203.0.113.5", "192.0.2.1", 9, 162, UNREACHABLE_ROW } },
      "192.0.2.1",
      "192.0.2.1" },
    { "an answered SYN counts more than answered pings",
      { { "192.0.2.1", "203.0.113.5", 8, 0, ICMP_ROW },
        { "203.0.113.5", "192.0.2.1", 0, 0, ICMP_ROW },
        { "192.0.2.1", "203.0.113.9", 1, 80, S },
        { "203.0.113.9", "192.0.2.1", 80, 1, RA } },
      "203.0.113.9",
      "203.0.113.9" },
    { "neighbours become one range",
      { { "192.0.2.1", "203.0.113.5", 1, 80, S },
        { "203.0.113.5", "192.0.2.1", 80, 1, RA },
        { "192.0.2.1", "203.0.113.6", 1, 80, S },
        { "203.0.113.6", "192.0.2.1", 80, 1, RA },
        { "192.0.2.1", "203.0.113.7", 1, 80, S },
        { "203.0.113.7", "192.0.2.1", 80, 1, RA } },
      "203.0.113.5,203.0.113.6/31",
      "203.0.113.5-203.0.113.7" },
};

static void
guess_add(struct bh_batch *b, const char *src, const char *dst, unsigned sport, unsigned dport,
          unsigned flags)
{
    struct row r = flags == UDP_ROW           ? udp_row(SEC, src, sport, dst, dport)
                   : flags == ICMP_ROW        ? icmp_row(SEC, src, dst, sport, dport)
                   : flags == UNREACHABLE_ROW ? icmp_row(SEC, src, dst, 3, 3)
                                              : tcp_row(SEC, src, sport, dst, dport, flags);
    uint32_t at = row_add(b, &r);
    if (flags == UNREACHABLE_ROW) {
        struct row quoted = udp_row(SEC, dst, sport, src, dport);
        row_quote(b, at, &quoted);
    }
}

static void
test_guesses(void **state)
{
    (void)state;
    struct bh_batch *b = bh_batch_new();
    for (size_t i = 0; i < BH_COUNT(guesses); i++) {
        const struct guess *c = &guesses[i];
        bh_batch_reset(b);
        for (size_t k = 0; k < GUESS_ROWS && c->row[k].src != NULL; k++) {
            guess_add(b, c->row[k].src, c->row[k].dst, c->row[k].sport, c->row[k].dport,
                      c->row[k].flags);
        }
        row_add_frame(b, SEC, true); /* neither ARP nor what is not decoded is looked at */
        row_add_frame(b, SEC, false);
        struct bh_home_guess *g = bh_home_guess_new(b->rows);
        struct bh_home h;
        struct bh_error err = { 0 };
        assert_true(bh_home_guess_batch(g, b));
        int r = bh_home_guess_end(g, &h, &err);
        if ((r == 0) != (c->networks != NULL)) {
            fail_msg("%s: %d", c->name, r);
        }
        if (r == 0) {
            if (strcmp(h.networks.data, c->networks) != 0) {
                fail_msg("%s: %s", c->name, h.networks.data);
            }
            assert_string_equal(h.text[BH_EN].data, c->en);
            assert_true(h.guessed);
            bh_home_done(&h);
        } else {
            assert_int_equal(err.code, BH_EUSAGE);
            assert_non_null(strstr(err.text[BH_EN], "--home"));
            assert_non_null(strstr(err.text[BH_JA], "--home"));
        }
        bh_home_guess_free(g);
    }
    bh_batch_free(b);
}

/* Only the first 65,536 IP packets are looked at; of many addresses the words name four. */
static void
test_guess_many(void **state)
{
    (void)state;
    struct bh_batch *b = bh_batch_new();
    struct bh_home_guess *g = bh_home_guess_new(BH_HOME_GUESS_PACKETS);
    bool more = true;
    for (unsigned n = 0; n < BH_HOME_GUESS_PACKETS + 2 * BH_BATCH_ROWS;) {
        bh_batch_reset(b);
        for (; b->rows < BH_BATCH_ROWS; n++) {
            struct row r = tcp_row(SEC, "192.0.2.1", 1, "203.0.113.5", 80, S);
            r.src = bh_ip_from_v4(0x0b000000 + n);
            r.dst = bh_ip_from_v4(0xcb007100 + (n < BH_HOME_GUESS_PACKETS ? n % 6 * 2 : 77));
            row_add(b, &r);
        }
        more = bh_home_guess_batch(g, b);
        assert_int_equal(more, n < BH_HOME_GUESS_PACKETS);
    }
    struct bh_home h;
    assert_int_equal(bh_home_guess_end(g, &h, NULL), 0);
    assert_string_equal(h.text[BH_EN].data,
                        "203.0.113.0, 203.0.113.2, 203.0.113.4, 203.0.113.6 and 2 more");
    assert_string_equal(h.text[BH_JA].data,
                        "203.0.113.0、203.0.113.2、203.0.113.4、203.0.113.6 ほか 2 件");
    assert_string_equal(h.networks.data,
                        "203.0.113.0,203.0.113.2,203.0.113.4,203.0.113.6,203.0.113.8,203.0.113.10");
    bh_home_done(&h);
    bh_home_guess_free(g);
    bh_batch_free(b);
}

static void
test_guess_nothing(void **state)
{
    (void)state;
    struct bh_home_guess *g = bh_home_guess_new(0);
    struct bh_home h;
    struct bh_error err = { 0 };
    assert_int_equal(bh_home_guess_end(g, &h, &err), BH_EUSAGE);
    assert_non_null(strstr(err.text[BH_EN], "--home"));
    bh_home_guess_free(g);
    bh_home_guess_free(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readings),      cmocka_unit_test(test_errors),
        cmocka_unit_test(test_many_ranges),   cmocka_unit_test(test_directions),
        cmocka_unit_test(test_guesses),       cmocka_unit_test(test_guess_many),
        cmocka_unit_test(test_guess_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
