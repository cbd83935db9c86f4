/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mmdb that kobold export writes, read by libmaxminddb, gives the answers of the database it was made
 * of. BH_MMDB_ADDRESSES: how many random addresses (10000000 was run by hand, docs/bench.md).
 */
#include "test_kobold_util.h"

#include "kobold_export.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <maxminddb.h>

static uint64_t
next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15U;
    uint64_t x = *state;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

struct pair {
    kobold *k;
    MMDB_s mmdb;
    char path[64];
};

static void
export_to(struct pair *p, bool v4, bool v6, const struct kobold_group *groups, size_t count)
{
    struct bh_buf out = { 0 };
    struct bh_error err;
    struct kobold_export x = { .k = p->k,
                               .groups = groups,
                               .group_count = count,
                               .is_everything = count == 0,
                               .v4 = v4,
                               .v6 = v6,
                               .table = "t" };
    assert_int_equal(kobold_export_mmdb.write(&x, &out, &err), 0);
    snprintf(p->path, sizeof p->path, "/tmp/kobold-mmdb-%d", (int)getpid());
    assert_int_equal(bh_file_replace(p->path, out.data, out.len, &err), 0);
    bh_buf_done(&out);
    int r = MMDB_open(p->path, MMDB_MODE_MMAP, &p->mmdb);
    if (r != MMDB_SUCCESS) {
        fail_msg("libmaxminddb: %s", MMDB_strerror(r));
    }
}

static void
pair_done(struct pair *p)
{
    MMDB_close(&p->mmdb);
    unlink(p->path);
}

/* What the mmdb says: a code, a class, or "unallocated" for no record. */
static void
label_of_mmdb(const MMDB_s *mmdb, const struct bh_ip *ip, char ret[64])
{
    struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
    struct sockaddr_in four = { .sin_family = AF_INET };
    memcpy(&six.sin6_addr, ip->octets, 16);
    memcpy(&four.sin_addr, ip->octets, 4);
    int error;
    const struct sockaddr *sa = ip->family == 6 ? (const struct sockaddr *)(const void *)&six
                                                : (const struct sockaddr *)(const void *)&four;
    MMDB_lookup_result_s found = MMDB_lookup_sockaddr(mmdb, sa, &error);
    assert_int_equal(error, MMDB_SUCCESS);
    snprintf(ret, 64, "unallocated");
    if (!found.found_entry) {
        return;
    }
    MMDB_entry_data_s data;
    int r = MMDB_get_value(&found.entry, &data, "registered_country", "iso_code", NULL);
    if (r != MMDB_SUCCESS || !data.has_data) {
        r = MMDB_get_value(&found.entry, &data, "special_use", "class", NULL);
    }
    assert_int_equal(r, MMDB_SUCCESS);
    assert_true(data.has_data);
    assert_int_equal(data.type, MMDB_DATA_TYPE_UTF8_STRING);
    snprintf(ret, 64, "%.*s", (int)data.data_size, data.utf8_string);
}

/* ::/96 is IPv4's place in an mmdb, and Teredo's inverted addresses have none. */
static void
label_expected(const kobold *k, const struct bh_ip *ip, char ret[64])
{
    struct bh_ip asked = *ip;
    uint64_t hi = bh_get_be64(ip->octets);
    uint64_t lo = bh_get_be64(ip->octets + 8);
    if (ip->family == 6 && hi >> 32 == 0x20010000) {
        snprintf(ret, 64, "teredo");
        return;
    }
    if (ip->family == 6 && hi == 0 && lo >> 32 == 0) {
        asked = bh_ip_from_v4((uint32_t)lo);
    }
    char label[48];
    kobold_value_label(k, kobold_lookup(k, asked.octets, asked.family).value, label);
    snprintf(ret, 64, "%s", label);
}

static void
compare(const struct pair *p, const struct bh_ip *ip)
{
    char expected[64];
    char got[64];
    label_expected(p->k, ip, expected);
    label_of_mmdb(&p->mmdb, ip, got);
    if (strcmp(expected, got) != 0) {
        char text[BH_IP_TEXT_MAX];
        bh_ip_format(ip, text);
        fail_msg("%s: %s, not %s", text, got, expected);
    }
}

/* Half of them IPv4, half IPv6: of those most in the space that is given out, some where IPv4 is carried. */
static void
compare_random(const struct pair *p, uint64_t count)
{
    uint64_t seed = 11;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t r = next_random(&seed);
        uint64_t lo = next_random(&seed);
        uint32_t v4 = (uint32_t)(lo >> 32);
        struct bh_ip ip;
        switch (i % 16) {
        case 1:
            ip = bh_ip_from_v6(r, lo);
            break;
        case 3:
            ip = bh_ip_from_v6(0x2002000000000000U | (uint64_t)v4 << 16 | (r & 0xffff), lo);
            break;
        case 5:
            ip = bh_ip_from_v6(0, 0xffff00000000U | v4);
            break;
        case 7:
            ip = bh_ip_from_v6(0x0064ff9b00000000U, v4);
            break;
        case 9:
        case 11:
        case 13:
            /* Registries give out 2001::/16, 24xx::/8, 26xx, 28xx, 2axx, 2cxx. */
            ip = bh_ip_from_v6(
                (0x2000ULL | (r >> 60) << 8 | (r >> 48 & 15)) << 48 | (r & 0xffffffffffffU), lo);
            break;
        case 15:
            ip = bh_ip_from_v6(0x2001000000000000U | (r & 0xffffffffffffU), lo);
            break;
        default:
            ip = bh_ip_from_v4((uint32_t)r);
            break;
        }
        compare(p, &ip);
    }
}

/* Both ends of every `step`th span, and what lies beside. */
static int
compare_span(void *arg, int family, const struct kobold_stretch *s)
{
    static unsigned count;
    const struct pair *p = arg;
    if (count++ % 7 != 0) {
        return 0;
    }
    for (int beside = -1; beside <= 1; beside++) {
        uint64_t by = (uint64_t)(int64_t)beside;
        struct bh_ip ip = family == 4 ? bh_ip_from_v4((uint32_t)(s->first_lo + by))
                                      : bh_ip_from_v6(s->first_hi, s->first_lo + by);
        compare(p, &ip);
        ip = family == 4 ? bh_ip_from_v4((uint32_t)(s->last_lo + by))
                         : bh_ip_from_v6(s->last_hi, s->last_lo + by);
        compare(p, &ip);
    }
    return 0;
}

static void
the_installed_database_answers_the_same(void **state)
{
    (void)state;
    struct pair p;
    if (kobold_open(NULL, &p.k) < 0) {
        print_message("# no country database here\n");
        skip();
    }
    const char *asked = getenv("BH_MMDB_ADDRESSES");
    uint64_t count = asked != NULL ? strtoull(asked, NULL, 10) : 100000;
    export_to(&p, true, true, NULL, 0);
    kobold_each_stretch(p.k, 4, NULL, compare_span, &p);
    kobold_each_stretch(p.k, 6, NULL, compare_span, &p);
    compare_random(&p, count);
    print_message("# %llu random addresses\n", (unsigned long long)count);
    pair_done(&p);
    kobold_close(p.k);
}

static void
small_databases_of_one_family_are_whole_trees(void **state)
{
    (void)state;
    static const struct {
        const char *address, *label;
    } cases[] = {
        { "8.8.8.7", "unallocated" }, { "8.8.8.8", "US" },           { "8.8.8.9", "unallocated" },
        { "1.2.3.4", "ZZ" },          { "10.1.1.1", "private-use" },
    };
    struct made m = make("8.8.8.8,8.8.8.8,US\n1.0.0.0,1.255.255.255,ZZ\n");
    struct pair p = { .k = m.k };
    export_to(&p, true, false, NULL, 0);
    assert_int_equal(p.mmdb.metadata.ip_version, 4);
    assert_int_equal(p.mmdb.metadata.record_size, 24);
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_ip ip = ip_of(cases[i].address);
        char got[64];
        label_of_mmdb(&p.mmdb, &ip, got);
        assert_string_equal(got, cases[i].label);
    }
    pair_done(&p);
    unmake(&m);
}

static void
words_leave_only_what_they_name(void **state)
{
    (void)state;
    struct made m = make(
        "8.8.8.0,8.8.8.255,US\n9.0.0.0,9.255.255.255,FR\n2a00::,2a00:ffff:ffff:ffff:ffff:ffff:ffff:ffff,FR\n");
    struct pair p = { .k = m.k };
    struct kobold_group fr;
    struct bh_error err;
    char got[64];
    assert_int_equal(kobold_group_of_word(m.k, "fr", &fr, &err), 0);
    export_to(&p, true, true, &fr, 1);
    static const char *const cases[][2] = {
        { "8.8.8.8", "unallocated" }, { "9.1.1.1", "FR" },        { "10.1.1.1", "unallocated" },
        { "2a00::1", "FR" },          { "2002:901:101::", "FR" }, { "2001::1", "unallocated" },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct bh_ip ip = ip_of(cases[i][0]);
        label_of_mmdb(&p.mmdb, &ip, got);
        assert_string_equal(got, cases[i][1]);
    }
    pair_done(&p);
    unmake(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_installed_database_answers_the_same),
        cmocka_unit_test(small_databases_of_one_family_are_whole_trees),
        cmocka_unit_test(words_leave_only_what_they_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
