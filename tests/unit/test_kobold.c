/* SPDX-License-Identifier: BSD-2-Clause */
#include "test_kobold_util.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* One country over everything, so that what is not it comes from the special-use table. */
#define ALL_AU "0.0.0.0,255.255.255.255,AU\n::,ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff,AU\n"

/* ---- special-use addresses ---------------------------------------------------------------------- */

/* First and last address of every row, and the neighbours of the blocks. */
static void
special_use_wins_over_every_country(void **state)
{
    (void)state;
    static const struct {
        const char *address, *label;
    } cases[] = {
        { "0.0.0.0", "this-host" },
        { "0.0.0.1", "this-network" },
        { "0.255.255.255", "this-network" },
        { "1.0.0.0", "AU" },
        { "9.255.255.255", "AU" },
        { "10.0.0.0", "private-use" },
        { "10.255.255.255", "private-use" },
        { "11.0.0.0", "AU" },
        { "100.63.255.255", "AU" },
        { "100.64.0.0", "shared-address" },
        { "100.127.255.255", "shared-address" },
        { "100.128.0.0", "AU" },
        { "126.255.255.255", "AU" },
        { "127.0.0.0", "loopback" },
        { "127.255.255.255", "loopback" },
        { "128.0.0.0", "AU" },
        { "169.253.255.255", "AU" },
        { "169.254.0.0", "link-local" },
        { "169.254.255.255", "link-local" },
        { "169.255.0.0", "AU" },
        { "172.15.255.255", "AU" },
        { "172.16.0.0", "private-use" },
        { "172.31.255.255", "private-use" },
        { "172.32.0.0", "AU" },
        { "191.255.255.255", "AU" },
        { "192.0.0.0", "ipv4-service-continuity" },
        { "192.0.0.7", "ipv4-service-continuity" },
        { "192.0.0.8", "ipv4-dummy" },
        { "192.0.0.9", "pcp-anycast" },
        { "192.0.0.10", "turn-anycast" },
        { "192.0.0.11", "ietf-protocol" },
        { "192.0.0.169", "ietf-protocol" },
        { "192.0.0.170", "nat64-discovery" },
        { "192.0.0.171", "nat64-discovery" },
        { "192.0.0.172", "ietf-protocol" },
        { "192.0.0.255", "ietf-protocol" },
        { "192.0.1.0", "AU" },
        { "192.0.2.0", "documentation" },
        { "192.0.2.255", "documentation" },
        { "192.0.3.0", "AU" },
        { "192.31.195.255", "AU" },
        { "192.31.196.0", "as112" },
        { "192.31.196.255", "as112" },
        { "192.52.193.0", "amt" },
        { "192.52.193.255", "amt" },
        { "192.52.194.0", "AU" },
        { "192.88.99.0", "6to4-relay" },
        { "192.88.99.1", "6to4-relay" },
        { "192.88.99.2", "6a44-relay" },
        { "192.88.99.3", "6to4-relay" },
        { "192.88.99.255", "6to4-relay" },
        { "192.88.100.0", "AU" },
        { "192.167.255.255", "AU" },
        { "192.168.0.0", "private-use" },
        { "192.168.255.255", "private-use" },
        { "192.169.0.0", "AU" },
        { "192.175.48.0", "as112-direct" },
        { "192.175.48.255", "as112-direct" },
        { "198.17.255.255", "AU" },
        { "198.18.0.0", "benchmarking" },
        { "198.19.255.255", "benchmarking" },
        { "198.20.0.0", "AU" },
        { "198.51.100.0", "documentation" },
        { "198.51.100.255", "documentation" },
        { "203.0.112.255", "AU" },
        { "203.0.113.0", "documentation" },
        { "203.0.113.255", "documentation" },
        { "203.0.114.0", "AU" },
        { "223.255.255.255", "AU" },
        { "224.0.0.0", "multicast" },
        { "239.255.255.255", "multicast" },
        { "240.0.0.0", "reserved" },
        { "255.255.255.254", "reserved" },
        { "255.255.255.255", "limited-broadcast" },

        { "::", "unspecified" },
        { "::1", "loopback" },
        { "::2", "unallocated" },
        { "::ffff", "unallocated" },
        { "::1:0:0:0", "unallocated" },
        { "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", "unallocated" },
        { "64:ff9b::1:0:0", "unallocated" },
        { "64:ff9b:0:0:1::", "unallocated" },
        { "64:ff9b:1::", "nat64-local" },
        { "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", "nat64-local" },
        { "64:ff9b:2::", "unallocated" },
        { "ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unallocated" },
        { "100::", "discard-only" },
        { "100::ffff:ffff:ffff:ffff", "discard-only" },
        { "100:0:0:1::", "ipv6-dummy" },
        { "100:0:0:1:ffff:ffff:ffff:ffff", "ipv6-dummy" },
        { "100:0:0:2::", "unallocated" },
        { "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unallocated" },
        { "2000::", "AU" },
        { "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "AU" },
        { "2001:1::", "ietf-protocol" },
        { "2001:1::1", "pcp-anycast" },
        { "2001:1::2", "turn-anycast" },
        { "2001:1::3", "dns-sd-srp-anycast" },
        { "2001:1::4", "ietf-protocol" },
        { "2001:2::", "benchmarking" },
        { "2001:2:0:ffff:ffff:ffff:ffff:ffff", "benchmarking" },
        { "2001:2:1::", "ietf-protocol" },
        { "2001:3::", "amt" },
        { "2001:3:ffff:ffff:ffff:ffff:ffff:ffff", "amt" },
        { "2001:4:111:ffff:ffff:ffff:ffff:ffff", "ietf-protocol" },
        { "2001:4:112::", "as112" },
        { "2001:4:113::", "ietf-protocol" },
        { "2001:f:ffff:ffff:ffff:ffff:ffff:ffff", "ietf-protocol" },
        { "2001:10::", "orchid" },
        { "2001:1f:ffff:ffff:ffff:ffff:ffff:ffff", "orchid" },
        { "2001:20::", "orchidv2" },
        { "2001:2f:ffff:ffff:ffff:ffff:ffff:ffff", "orchidv2" },
        { "2001:30::", "drone-remote-id" },
        { "2001:3f:ffff:ffff:ffff:ffff:ffff:ffff", "drone-remote-id" },
        { "2001:40::", "ietf-protocol" },
        { "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "ietf-protocol" },
        { "2001:200::", "AU" },
        { "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "AU" },
        { "2001:db8::", "documentation" },
        { "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "documentation" },
        { "2001:db9::", "AU" },
        { "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "AU" },
        { "2003::", "AU" },
        { "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff", "AU" },
        { "2620:4f:8000::", "as112-direct" },
        { "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", "as112-direct" },
        { "2620:4f:8001::", "AU" },
        { "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "AU" },
        { "3fff::", "documentation" },
        { "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "documentation" },
        { "3fff:1000::", "AU" },
        { "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "AU" },
        { "4000::", "unallocated" },
        { "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unallocated" },
        { "5f00::", "srv6-sids" },
        { "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "srv6-sids" },
        { "5f01::", "unallocated" },
        { "fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unallocated" },
        { "fc00::", "unique-local" },
        { "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "unique-local" },
        { "fe00::", "unallocated" },
        { "fe80::", "link-local" },
        { "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "link-local" },
        { "fec0::", "site-local" },
        { "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "site-local" },
        { "ff00::", "multicast" },
        { "ffff:ffff:ffff:fffe:ffff:ffff:ffff:ffff", "multicast" },
        { "ffff:ffff:ffff:ffff::", "multicast" },
        { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "multicast" },
    };
    struct made m = make(ALL_AU);
    for (int cpu = 0; cpu <= kobold_cpu(); cpu++) {
        kobold_set_cpu(m.k, cpu);
        for (size_t i = 0; i < BH_COUNT(cases); i++) {
            expect(m.k, cases[i].address, cases[i].label);
        }
    }
    unmake(&m);
}

/* The table itself: every row must be found at its first address unless a longer one is there. */
static void
every_row_of_the_table_is_compiled(void **state)
{
    (void)state;
    struct made m = make(ALL_AU);
    for (unsigned i = 0; i < kobold_specials_count; i++) {
        const struct kobold_special_row *s = &kobold_specials[i];
        const struct kobold_special_row *best = s;
        for (unsigned j = 0; j < kobold_specials_count; j++) {
            const struct kobold_special_row *o = &kobold_specials[j];
            if (o->family == s->family && o->hi == s->hi && o->lo == s->lo &&
                o->prefix_len > best->prefix_len) {
                best = o;
            }
        }
        struct bh_ip ip =
            s->family == 4 ? bh_ip_from_v4((uint32_t)s->lo) : bh_ip_from_v6(s->hi, s->lo);
        struct kobold_result r = kobold_lookup(m.k, ip.octets, ip.family);
        struct kobold_value v;
        if (r.carrier != KOBOLD_CARRIER_NONE) {
            continue; /* the embedded address answers */
        }
        assert_true(kobold_value_info(m.k, r.value, &v));
        assert_int_equal(v.kind, KOBOLD_SPECIAL);
        assert_string_equal(v.class_name, best->class_name);
        assert_string_equal(v.rfc, best->rfc);
        assert_int_equal(v.globally_reachable, best->is_reachable);
        assert_non_null(kobold_class_name(v.class_name, 0));
        assert_non_null(kobold_class_name(v.class_name, 1));
    }
    unmake(&m);
}

static void
reachability_follows_the_registry(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool is_reachable;
    } cases[] = {
        { "192.31.196.1", true }, { "192.52.193.1", true }, { "192.0.0.9", true },
        { "192.0.0.10", true },   { "192.175.48.1", true }, { "2001:1::1", true },
        { "2001:3::1", true },    { "2001:20::1", true },   { "192.0.0.8", false },
        { "10.1.1.1", false },    { "224.0.0.1", false },   { "2001:db8::1", false },
        { "8.8.8.8", true },
    };
    struct made m = make(ALL_AU);
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_ip ip = ip_of(cases[i].address);
        struct kobold_value v;
        assert_true(kobold_value_info(m.k, kobold_lookup(m.k, ip.octets, ip.family).value, &v));
        if (v.globally_reachable != cases[i].is_reachable) {
            fail_msg("%s", cases[i].address);
        }
    }
    unmake(&m);
}

/* ---- embedded IPv4 -------------------------------------------------------------------------------- */

static void
embedded_ipv4_answers(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        uint8_t carrier;
        uint32_t v4;
        const char *label;
    } cases[] = {
        { "::ffff:8.8.8.8", KOBOLD_CARRIER_MAPPED, 0x08080808, "US" },
        { "::ffff:0.0.0.0", KOBOLD_CARRIER_MAPPED, 0, "this-host" },
        { "::ffff:255.255.255.255", KOBOLD_CARRIER_MAPPED, 0xffffffff, "limited-broadcast" },
        { "::fffe:8.8.8.8", KOBOLD_CARRIER_NONE, 0, "unallocated" },
        { "::1:0:808:808", KOBOLD_CARRIER_NONE, 0, "unallocated" },
        { "64:ff9b::8.8.8.8", KOBOLD_CARRIER_NAT64, 0x08080808, "US" },
        { "64:ff9b::192.168.1.1", KOBOLD_CARRIER_NAT64, 0xc0a80101, "private-use" },
        { "64:ff9b::1:808:808", KOBOLD_CARRIER_NONE, 0, "unallocated" },
        { "2002:808:808::1", KOBOLD_CARRIER_6TO4, 0x08080808, "US" },
        { "2002:a00:1::", KOBOLD_CARRIER_6TO4, 0x0a000001, "private-use" },
        { "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", KOBOLD_CARRIER_6TO4, 0xffffffff,
          "limited-broadcast" },
        { "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", KOBOLD_CARRIER_NONE, 0, "JP" },
        { "2003::", KOBOLD_CARRIER_NONE, 0, "JP" },
        /* RFC 4380 section 4: server 65.54.227.120, client 192.0.2.45, port 40000 */
        { "2001:0:4136:e378:8000:63bf:3fff:fdd2", KOBOLD_CARRIER_TEREDO, 0xc000022d,
          "documentation" },
        { "2001::f7f7:f7f7", KOBOLD_CARRIER_TEREDO, 0x08080808, "US" },
        { "2001:0:ffff:ffff:ffff:ffff:f7f7:f7f7", KOBOLD_CARRIER_TEREDO, 0x08080808, "US" },
        { "2001:1::f7f7:f7f7", KOBOLD_CARRIER_NONE, 0, "ietf-protocol" },
    };
    struct made m =
        make("8.0.0.0,8.255.255.255,US\n2000::,3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff,JP\n");
    for (int cpu = 0; cpu <= kobold_cpu(); cpu++) {
        kobold_set_cpu(m.k, cpu);
        for (size_t i = 0; i < BH_COUNT(cases); i++) {
            struct bh_ip ip = ip_of(cases[i].address);
            struct kobold_result r = kobold_lookup(m.k, ip.octets, ip.family);
            if (r.carrier != cases[i].carrier || r.embedded_v4 != cases[i].v4) {
                fail_msg("%s: carrier %d, %08x", cases[i].address, r.carrier,
                         (unsigned)r.embedded_v4);
            }
            expect(m.k, cases[i].address, cases[i].label);
        }
    }
    assert_string_equal(kobold_carrier_name(KOBOLD_CARRIER_TEREDO), "teredo");
    assert_string_equal(kobold_carrier_name(99), "");
    unmake(&m);
}

/* ---- every way to look up agrees ------------------------------------------------------------------- */

static uint64_t random_state = 0x9e3779b97f4a7c15U;

static uint64_t
next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state * 0x2545f4914f6cdd1dU;
}

/* A database hard on the format: all codes (more than fit an octet), prefixes of every length,
 * divided /24 and /64, nested. */
static void
put_random_text(struct bh_buf *text, unsigned lines)
{
    static const uint64_t tops[] = { 0x2001020000000000U, 0x2400000000000000U,
                                     0x2a00145000000000U };
    for (unsigned i = 0; i < lines; i++) {
        char name[BH_IP_TEXT_MAX];
        char code[3];
        struct bh_ip ip;
        unsigned n = kobold_countries_listed;
        memcpy(code, kobold_countries[next_random() % n].code, sizeof code);
        unsigned len = 8 + (unsigned)(next_random() % 25);
        if (i % 2 == 0) {
            uint32_t a = (uint32_t)next_random() & (len == 0 ? 0 : UINT32_MAX << (32 - len));
            ip = bh_ip_from_v4(i % 8 == 0 ? (a & 0xffff) | 0x08080000 : a);
            if (i % 8 == 0 && len < 16) {
                len = 32;
            }
            if (i % 8 == 0 && len > 16) {
                ip = bh_ip_from_v4(((uint32_t)next_random() & 0xffff & (UINT32_MAX << (32 - len))) |
                                   0x08080000);
            }
        } else {
            len = 24 + (unsigned)(next_random() % 105);
            uint64_t hi = tops[i / 2 % 3] | (next_random() & 0x000000ff0f0f0f0fU);
            uint64_t lo = i % 3 == 0 ? next_random() : next_random() & 0xff;
            hi = len >= 64 ? hi : hi & UINT64_MAX << (64 - len);
            lo = len <= 64 ? 0 : lo & UINT64_MAX << (128 - len);
            ip = bh_ip_from_v6(hi, lo);
        }
        bh_ip_format(&ip, name);
        bh_buf_printf(text, "%s/%u,%s\n", name, len, code);
    }
}

static void
fast_and_generic_agree(void **state)
{
    (void)state;
    enum { KEYS = 100000 };
    struct bh_buf text = { 0 };
    put_random_text(&text, 6000);
    struct made m = make(text.data);
    assert_true(kobold_value_count(m.k) > 256);
    uint32_t *v4 = malloc(KEYS * sizeof *v4);
    uint64_t(*v6)[2] = malloc(KEYS * sizeof *v6);
    uint16_t *want = malloc(2 * KEYS * sizeof *want);
    uint16_t *got = malloc(2 * KEYS * sizeof *got);
    size_t n4 = 0;
    size_t n6 = 0;
    /* All boundaries and their neighbours, then random keys. */
    for (const char *at = text.data; *at != '\0' && n4 + n6 < (size_t)KEYS;
         at = strchr(at, '\n') + 1) {
        size_t len = (size_t)(strchr(at, '/') - at);
        struct bh_ip ip;
        assert_true(bh_ip_parse(at, len, &ip));
        unsigned bits = (unsigned)strtoul(at + len + 1, NULL, 10);
        for (int d = -1; d <= 1; d++) {
            if (ip.family == 4) {
                uint32_t a = bh_get_be32(ip.octets);
                uint32_t size = bits == 32 ? 0 : UINT32_MAX >> bits;
                v4[n4++] = a + (uint32_t)d;
                v4[n4++] = a + size + (uint32_t)d;
            } else {
                uint64_t hi = bh_get_be64(ip.octets);
                uint64_t lo = bh_get_be64(ip.octets + 8);
                uint64_t hi_end = hi | (bits >= 64 ? 0 : UINT64_MAX >> bits);
                uint64_t lo_end = lo | (bits <= 64    ? UINT64_MAX
                                        : bits == 128 ? 0
                                                      : UINT64_MAX >> (bits - 64));
                v6[n6][0] = hi - (d < 0 && lo == 0);
                v6[n6++][1] = lo + (uint64_t)d;
                v6[n6][0] = hi_end + (d > 0 && lo_end == UINT64_MAX);
                v6[n6++][1] = lo_end + (uint64_t)d;
            }
        }
    }
    for (; n4 < KEYS; n4++) {
        v4[n4] = (uint32_t)next_random();
    }
    for (; n6 < KEYS; n6++) {
        v6[n6][0] = next_random();
        v6[n6][0] =
            n6 % 3 == 0 ? v6[n6][0] : (v6[n6][0] & 0x0000ffffffffffffU) | 0x2001000000000000U;
        v6[n6][1] = next_random();
    }
    for (int cpu = 0; cpu <= kobold_cpu(); cpu++) {
        uint16_t *ret = cpu == 0 ? want : got;
        kobold_set_cpu(m.k, cpu);
        kobold_v4_many(m.k, v4, ret, KEYS);
        kobold_v6_many(m.k, (const uint64_t(*)[2])v6, ret + KEYS, KEYS);
        for (size_t i = 0; i < KEYS; i++) {
            assert_int_equal(kobold_v4(m.k, v4[i]), ret[i]);
            assert_int_equal(kobold_v6(m.k, v6[i][0], v6[i][1]), ret[KEYS + i]);
        }
        if (cpu > 0) {
            assert_memory_equal(want, got, 2 * KEYS * sizeof *want);
        }
    }
    free(v4);
    free(v6);
    free(want);
    free(got);
    unmake(&m);
    bh_buf_done(&text);
}

static void
batches_of_every_size(void **state)
{
    (void)state;
    struct made m = make("8.8.8.0/25,US\n8.8.8.128/26,JP\n2400::/32,KR\n2400::1:0:0:1/128,CN\n");
    uint32_t v4[600];
    uint64_t v6[600][2];
    uint16_t got[601];
    for (size_t i = 0; i < 600; i++) {
        v4[i] = 0x08080800 + (uint32_t)i;
        v6[i][0] = 0x2400000000000000U + i % 3;
        v6[i][1] = i % 2 == 0 ? 0 : 0x0001000000000001U;
    }
    static const size_t sizes[] = { 0, 1, 31, 32, 33, 255, 256, 257, 600 };
    for (size_t s = 0; s < BH_COUNT(sizes); s++) {
        size_t n = sizes[s];
        got[n] = 0xabcd;
        kobold_v4_many(m.k, v4, got, n);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(got[i], kobold_v4(m.k, v4[i]));
        }
        assert_int_equal(got[n], 0xabcd);
        kobold_v6_many(m.k, (const uint64_t(*)[2])v6, got, n);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(got[i], kobold_v6(m.k, v6[i][0], v6[i][1]));
        }
        assert_int_equal(got[n], 0xabcd);
    }
    unmake(&m);
}

static void
values_have_fixed_meanings(void **state)
{
    (void)state;
    struct made m =
        make("1.0.0.0/24,ZZ\n1.0.1.0/24,EU\n1.0.2.0/24,AP\n1.0.3.0/24,??\n1.0.4.0/24,JP\n"
             "1.0.5.0/24,XA\n1.0.6.0/24,uk\n1.0.7.0/24,AN\n");
    struct kobold_value v;
    assert_true(kobold_value_info(m.k, KOBOLD_VALUE_UNKNOWN, &v));
    assert_int_equal(v.kind, KOBOLD_UNKNOWN);
    assert_string_equal(v.code, "ZZ");
    assert_true(kobold_value_info(m.k, KOBOLD_VALUE_UNALLOCATED, &v));
    assert_int_equal(v.kind, KOBOLD_UNALLOCATED);
    assert_false(kobold_value_info(m.k, (uint16_t)kobold_value_count(m.k), &v));
    assert_int_equal(kobold_v4(m.k, 0x01000001), KOBOLD_VALUE_UNKNOWN);
    assert_int_equal(kobold_v4(m.k, 0x01000301), KOBOLD_VALUE_UNKNOWN);
    assert_true(kobold_value_info(m.k, kobold_v4(m.k, 0x01000101), &v));
    assert_int_equal(v.kind, KOBOLD_REGION);
    assert_string_equal(v.code, "EU");
    assert_true(kobold_value_info(m.k, kobold_v4(m.k, 0x01000201), &v));
    assert_int_equal(v.kind, KOBOLD_REGION);
    assert_true(kobold_value_info(m.k, kobold_v4(m.k, 0x01000401), &v));
    assert_int_equal(v.kind, KOBOLD_COUNTRY);
    assert_int_equal(kobold_v4(m.k, 0x01000801), KOBOLD_VALUE_UNALLOCATED);
    expect(m.k, "1.0.5.1", "XA");
    expect(m.k, "1.0.6.1", "GB");
    expect(m.k, "1.0.7.1", "AN");
    uint8_t octets[16] = { 0 };
    assert_int_equal(kobold_lookup(m.k, octets, 5).value, KOBOLD_VALUE_UNKNOWN);
    unmake(&m);
}

/* ---- opening ------------------------------------------------------------------------------------------ */

static void
damage_is_noticed(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t at;
        uint8_t flip;
        int want;
    } cases[] = {
        { "magic", 0, 0x80, KOBOLD_EFORMAT },
        { "version", KDB_AT_VERSION, 3, KOBOLD_EVERSION },
        { "incompatible feature", KDB_AT_INCOMPATIBLE + 3, 0x80, KOBOLD_EVERSION },
        { "compatible feature, sum not renewed", KDB_AT_COMPATIBLE, 1, KOBOLD_EDAMAGED },
        { "file size", KDB_AT_FILE_SIZE, 1, KOBOLD_EDAMAGED },
        { "name", KDB_AT_NAME, 1, KOBOLD_EDAMAGED },
        { "header sum", KDB_AT_HEADER_SUM, 1, KOBOLD_EDAMAGED },
    };
    struct made m = make(ALL_AU);
    kobold *k = NULL;
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        m.data[cases[i].at] ^= cases[i].flip;
        int r = kobold_open_memory(m.data, m.size, &k);
        m.data[cases[i].at] ^= cases[i].flip;
        if (r != cases[i].want) {
            fail_msg("%s: %d", cases[i].name, r);
        }
    }
    /* Behind the header only verify looks. */
    m.data[m.size - 1] ^= 1;
    assert_int_equal(kobold_open_memory(m.data, m.size, &k), 0);
    assert_int_equal(kobold_verify(k), KOBOLD_EDAMAGED);
    kobold_close(k);
    m.data[m.size - 1] ^= 1;
    for (size_t size = 0; size < m.size; size += size < 2000 ? 7 : 997) {
        int r = kobold_open_memory(m.data, size, &k);
        assert_int_equal(r, size < KDB_MAGIC_SIZE ? KOBOLD_EFORMAT : KOBOLD_EDAMAGED);
    }
    unmake(&m);
}

static void
renew_sum(struct made *m)
{
    bh_put_le64(m->data + KDB_AT_HEADER_SUM, kdb_sum(m->data, KDB_AT_HEADER_SUM));
}

/* With the right checksum, what the checks of kobold.c promise. */
static void
bad_offsets_are_refused(void **state)
{
    (void)state;
    struct made m = make("1.2.3.0/25,US\n1.2.3.128/25,JP\n2400::/32,JP\n");
    kobold *k = NULL;
    for (unsigned i = 0; i < KDB_SECTION_KINDS - 1; i++) {
        uint8_t *entry = m.data + KDB_AT_TABLE + (size_t)i * KDB_SECTION_SIZE;
        uint64_t offset = bh_get_le64(entry + 8);
        uint64_t size = bh_get_le64(entry + 16);
        static const uint64_t bad[] = { 0, 1023, UINT64_MAX, 1ULL << 63 };
        for (size_t j = 0; j < BH_COUNT(bad); j++) {
            bh_put_le64(entry + 8, bad[j]);
            renew_sum(&m);
            assert_int_equal(kobold_open_memory(m.data, m.size, &k), KOBOLD_EDAMAGED);
        }
        bh_put_le64(entry + 8, offset);
        bh_put_le64(entry + 16, UINT64_MAX - offset + 1);
        renew_sum(&m);
        assert_int_equal(kobold_open_memory(m.data, m.size, &k), KOBOLD_EDAMAGED);
        bh_put_le64(entry + 16, size);
        renew_sum(&m);
    }
    /* A top and a middle that name a node which is not there: by one, and by far; the first and the last. */
    static const uint16_t kinds[] = { KDB_V4_TOP, KDB_V4_MIDDLE };
    static const size_t cells[] = { 2, (size_t)KDB_V4_CELLS * 2, KDB_V4_CELLS };
    for (size_t i = 0; i < BH_COUNT(kinds); i++) {
        const uint8_t *entry = m.data + KDB_AT_TABLE + (size_t)(kinds[i] - 1) * KDB_SECTION_SIZE;
        uint8_t *at = m.data + bh_get_le64(entry + 8);
        size_t count = bh_get_le64(entry + 16) / 2;
        size_t nodes = bh_get_le64(entry + KDB_SECTION_SIZE + 16) / cells[i + 1];
        for (size_t j = 0; j < 2; j++) {
            uint8_t *number = at + (j == 0 ? 0 : (count - 1) * 2);
            uint16_t before = bh_get_le16(number);
            static const int past[] = { 0, 1, 300 };
            for (size_t n = 0; n < BH_COUNT(past); n++) {
                bh_put_le16(number, (uint16_t)(nodes + (size_t)past[n]));
                assert_int_equal(kobold_open_memory(m.data, m.size, &k), KOBOLD_EDAMAGED);
            }
            bh_put_le16(number, (uint16_t)(nodes - 1));
            assert_int_equal(kobold_open_memory(m.data, m.size, &k), 0);
            kobold_close(k);
            bh_put_le16(number, before);
        }
    }
    /* A level that does not begin with the lowest key, or is not padded with the highest. */
    const uint8_t *inner = m.data + KDB_AT_TABLE + (size_t)(KDB_V6_INNER - 1) * KDB_SECTION_SIZE;
    uint8_t *keys = m.data + bh_get_le64(inner + 8);
    uint8_t *const ends[] = { keys, keys + bh_get_le64(inner + 16) - 8 };
    for (size_t i = 0; i < BH_COUNT(ends); i++) {
        ends[i][0] ^= 1;
        assert_int_equal(kobold_open_memory(m.data, m.size, &k), KOBOLD_EDAMAGED);
        ends[i][0] ^= 1;
    }
    /* An unknown section is a later version's compatible addition. */
    assert_int_equal(kobold_open_memory(m.data, m.size, &k), 0);
    kobold_close(k);
    uint32_t count = bh_get_le32(m.data + KDB_AT_SECTIONS);
    uint8_t *entry = m.data + KDB_AT_TABLE + (size_t)count * KDB_SECTION_SIZE;
    bh_put_le32(entry, 77);
    bh_put_le64(entry + 8, KDB_HEADER_SIZE);
    bh_put_le32(m.data + KDB_AT_SECTIONS, count + 1);
    renew_sum(&m);
    assert_int_equal(kobold_open_memory(m.data, m.size, &k), 0);
    kobold_close(k);
    unmake(&m);
}

static void
files_are_opened(void **state)
{
    (void)state;
    kobold *k = NULL;
    char path[] = "/tmp/test_kobold.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(kobold_open(path, &k), KOBOLD_EFORMAT); /* empty */
    struct made m = make(ALL_AU);
    assert_int_equal(write(fd, m.data, m.size), (ssize_t)m.size);
    close(fd);
    assert_int_equal(kobold_open(path, &k), 0);
    expect(k, "8.8.8.8", "AU");
    struct kobold_meta meta;
    kobold_get_meta(k, &meta);
    assert_string_equal(meta.name, "country data");
    assert_int_equal(meta.values, kobold_value_count(k));
    kobold_close(k);
    kobold_close(NULL);
    assert_int_equal(setenv("KOBOLD_DB", path, 1), 0);
    assert_int_equal(kobold_open(NULL, &k), 0);
    kobold_close(k);
    unlink(path);
    assert_int_equal(kobold_open(path, &k), -ENOENT);
    assert_int_equal(kobold_open("/", &k), -EISDIR);
    unsetenv("KOBOLD_DB");
    char buf[4096];
    assert_string_equal(kobold_default_path(buf, sizeof buf), buf);
    assert_int_not_equal(buf[0], '\0');
    for (int lang = 0; lang < 2; lang++) {
        assert_non_null(kobold_strerror(KOBOLD_EDAMAGED, lang));
        assert_non_null(kobold_strerror(-EACCES, lang));
        assert_non_null(kobold_strerror(-99999, lang));
    }
    unmake(&m);
}

/* Unaligned memory is as good as any. */
static void
any_alignment_will_do(void **state)
{
    (void)state;
    struct made m = make("1.2.3.0/25,US\n1.2.3.128/25,JP\n2400::/32,KR\n2400:0:0:1::1/128,CN\n");
    uint8_t *copy = malloc(m.size + 1);
    kobold *k;
    memcpy(copy + 1, m.data, m.size);
    assert_int_equal(kobold_open_memory(copy + 1, m.size, &k), 0);
    expect(k, "1.2.3.127", "US");
    expect(k, "1.2.3.128", "JP");
    expect(k, "2400:0:0:1::", "KR");
    expect(k, "2400:0:0:1::1", "CN");
    expect(k, "2400:0:0:1::2", "KR");
    kobold_close(k);
    free(copy);
    unmake(&m);
}

/* ---- names -------------------------------------------------------------------------------------------- */

static void
names_are_the_usual_ones(void **state)
{
    (void)state;
    static const struct {
        const char *code, *en, *ja, *region;
    } cases[] = {
        { "US", "United States", "米国", "021" },
        { "CN", "China", "中国", "142" },
        { "TW", "Taiwan", "台湾", "142" },
        { "KR", "South Korea", "韓国", "142" },
        { "AR", "Argentina", "アルゼンチン", "419" },
        { "DE", "Germany", "ドイツ", "150" },
        { "IN", "India", "インド", "142" },
        { "FR", "France", "フランス", "150" },
        { "GB", "United Kingdom", "英国", "150" },
        { "BR", "Brazil", "ブラジル", "419" },
        { "JP", "Japan", "日本", "142" },
        { "HK", "Hong Kong", "香港", "142" },
        { "NL", "Netherlands", "オランダ", "150" },
        { "RU", "Russia", "ロシア", "150" },
        { "ZA", "South Africa", "南アフリカ", "002" },
        { "AU", "Australia", "オーストラリア", "009" },
        { "gb", "United Kingdom", "英国", "150" },
        { "UK", "United Kingdom", "英国", "150" },
        { "EU", "European Union", "欧州連合", "150" },
        { "XK", "Kosovo", "コソボ", "150" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        assert_string_equal(kobold_country_name(cases[i].code, 0), cases[i].en);
        assert_string_equal(kobold_country_name(cases[i].code, 1), cases[i].ja);
        assert_string_equal(kobold_country_region(cases[i].code), cases[i].region);
    }
    assert_string_equal(kobold_country_name("ZZ", 1), "不明");
    assert_null(kobold_country_region("ZZ"));
    assert_null(kobold_country_name("QQ", 0));
    assert_null(kobold_country_name("1A", 0));
    static const char nothing[4];
    assert_null(kobold_country_name(nothing, 0));
    assert_string_equal(kobold_class_name("private-use", 0), "private network");
    assert_string_equal(kobold_class_name("private-use", 1), "プライベートネットワーク");
    assert_null(kobold_class_name("no-such-class", 0));
    assert_string_equal(kobold_region_name("142", 0), "Asia");
    assert_string_equal(kobold_region_name("142", 1), "アジア");
    assert_null(kobold_region_name("999", 0));
    assert_null(kobold_region_name(NULL, 0));
}

static void
the_list_of_countries_is_whole(void **state)
{
    (void)state;
    char code[3];
    char before[3] = "";
    int count = 0;
    for (int i = 0; (i = kobold_country_next(i, code)) >= 0; count++) {
        assert_true(strcmp(before, code) < 0);
        memcpy(before, code, sizeof before);
        assert_non_null(kobold_country_name(code, 0));
        assert_non_null(kobold_country_name(code, 1));
        assert_non_null(kobold_region_name(kobold_country_region(code), 1));
    }
    assert_int_equal(count, 250); /* ISO 3166-1 has 249; and XK */
    assert_int_equal(kobold_country_next(-5, code), -1);
}

/* ---- the real thing -------------------------------------------------------------------------------------- */

static char default_database[4096]; /* another test plays with KOBOLD_DB */

static void
find_default_database(void)
{
    const char *path = getenv("BH_TEST_COUNTRY_DB");
    path = path != NULL ? path : getenv("KOBOLD_DB");
    snprintf(default_database, sizeof default_database, "%s", path != NULL ? path : "");
}

static void
the_default_database(void **state)
{
    (void)state;
    static const struct {
        const char *address, *label;
    } cases[] = {
        { "192.168.0.1", "private-use" },   { "8.8.8.8", "US" },
        { "203.0.113.5", "documentation" }, { "133.11.0.1", "JP" },
        { "::ffff:8.8.8.8", "US" },         { "2001:db8::1", "documentation" },
        { "2001:4860:4860::8888", "US" },   { "2001:200::1", "JP" },
        { "fe80::1", "link-local" },        { "4000::1", "unallocated" },
        { "127.0.0.1", "loopback" },
    };
    const char *path = default_database[0] != '\0' ? default_database : NULL;
    kobold *k;
    if (path == NULL || kobold_open(path, &k) < 0) {
        skip();
        return;
    }
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        expect(k, cases[i].address, cases[i].label);
    }
    assert_int_equal(kobold_verify(k), 0);
    struct kobold_meta meta;
    kobold_get_meta(k, &meta);
    assert_true(meta.v4_ranges > 100000);
    kobold_close(k);
}

/* Against an independent table (start,end,cc in decimal), by count of addresses; and it gives
 * private space to countries, which must not come through. */
static void
the_default_database_agrees_with_another(void **state)
{
    (void)state;
    const char *path = default_database[0] != '\0' ? default_database : NULL;
    const char *table = getenv("BH_TEST_NPM_TABLE");
    kobold *k;
    FILE *f = table == NULL ? NULL : fopen(table, "r");
    if (f == NULL) {
        skip();
        return;
    }
    if (path == NULL || kobold_open(path, &k) < 0) {
        fclose(f);
        skip();
        return;
    }
    char line[256];
    double same = 0;
    double all = 0;
    while (fgets(line, sizeof line, f) != NULL) {
        char *at;
        uint64_t start = strtoull(line, &at, 10);
        uint64_t end = strtoull(at + 1, &at, 10);
        /* A probe every /24 stands for its 256 addresses. */
        for (uint64_t a = start; a <= end; a = (a | 255) + 1) {
            uint64_t last = (a | 255) < end ? (a | 255) : end;
            struct kobold_value v;
            assert_true(kobold_value_info(k, kobold_v4(k, (uint32_t)a), &v));
            if (v.kind == KOBOLD_COUNTRY) {
                all += (double)(last - a + 1);
                same += v.code[0] == at[1] && v.code[1] == at[2] ? (double)(last - a + 1) : 0;
            }
        }
    }
    fclose(f);
    kobold_close(k);
    print_message("# same country: %.2f %% of %.0f addresses\n", 100 * same / all, all);
    assert_true(same >= 0.975 * all);

    struct bh_map map;
    struct bh_error err;
    kobold_build *b = kobold_build_new();
    assert_int_equal(bh_map_open(table, &map, &err), 0);
    assert_int_equal(kobold_build_add(b, "table", (const char *)map.data, map.size,
                                      KOBOLD_FORMAT_AUTO, KOBOLD_LAYER_DATA, NULL, &err),
                     0);
    bh_map_done(&map);
    struct made m = finish(b);
    kobold_build_free(b);
    expect(m.k, "192.168.0.1", "private-use");
    expect(m.k, "192.168.255.255", "private-use");
    expect(m.k, "10.0.0.1", "private-use");
    unmake(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_use_wins_over_every_country),
        cmocka_unit_test(every_row_of_the_table_is_compiled),
        cmocka_unit_test(reachability_follows_the_registry),
        cmocka_unit_test(embedded_ipv4_answers),
        cmocka_unit_test(fast_and_generic_agree),
        cmocka_unit_test(batches_of_every_size),
        cmocka_unit_test(values_have_fixed_meanings),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(bad_offsets_are_refused),
        cmocka_unit_test(files_are_opened),
        cmocka_unit_test(any_alignment_will_do),
        cmocka_unit_test(names_are_the_usual_ones),
        cmocka_unit_test(the_list_of_countries_is_whole),
        cmocka_unit_test(the_default_database),
        cmocka_unit_test(the_default_database_agrees_with_another),
    };
    find_default_database();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
