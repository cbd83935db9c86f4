/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mmdb_agree KDB MMDB COUNT SEED V4.csv V6.csv - COUNT random addresses asked of a Kobold database and, by libmaxminddb, of
 * an mmdb file that should hold the same data. Prints a line for each that is answered differently:
 *
 *     ADDRESS tab OUR ANSWER tab THEIR ANSWER
 *
 * and at last "COUNT addresses, N differ". An answer is a code, a class of special use, or "-" for nothing
 * (unallocated, not found). The tables (first,last,code) say where there is something to ask: half of the
 * addresses are drawn from all of IPv4, or from 2000::/3; the others from a range that is drawn first, or one of
 * the four addresses at its ends.
 */
#include "bh_base.h"
#include "kobold.h"

#include <errno.h>
#include <maxminddb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

struct range {
    struct bh_ip first, last;
};

struct ranges {
    struct range *at;
    size_t count;
};

static _Noreturn void
fail(const char *what, const char *why)
{
    fprintf(stderr, "mmdb_agree: %s: %s\n", what, why);
    exit(1);
}

static void
read_ranges(const char *path, struct ranges *ret)
{
    char line[256];
    size_t room = 0;
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        fail(path, strerror(errno));
    }
    *ret = (struct ranges){ 0 };
    while (fgets(line, sizeof line, f) != NULL) {
        size_t first = strcspn(line, ",");
        size_t last = line[first] == ',' ? strcspn(line + first + 1, ",") : 0;
        if (ret->count == room) {
            room = room == 0 ? 4096 : room * 2;
            ret->at = realloc(ret->at, bh_size_mul(room, sizeof *ret->at));
            if (ret->at == NULL) {
                fail(path, "out of memory");
            }
        }
        struct range *r = &ret->at[ret->count];
        if (!bh_ip_parse(line, first, &r->first) ||
            !bh_ip_parse(line + first + 1, last, &r->last)) {
            fail(path, line);
        }
        ret->count++;
    }
    fclose(f);
    if (ret->count == 0) {
        fail(path, "no ranges");
    }
}

static uint64_t
next_random(uint64_t *x)
{
    *x += 0x9e3779b97f4a7c15U;
    return bh_mix64(*x, 0x6a09e667f3bcc909U);
}

static uint32_t
draw_v4(const struct ranges *r, uint64_t *x)
{
    uint64_t dice = next_random(x);
    if (dice % 4 < 2) {
        return (uint32_t)(dice >> 32);
    }
    const struct range *one = &r->at[next_random(x) % r->count];
    uint32_t first = bh_get_be32(one->first.octets);
    uint32_t last = bh_get_be32(one->last.octets);
    switch (dice % 16) {
    case 2:
        return first - (dice >> 32) % 2;
    case 3:
        return last + (dice >> 32) % 2;
    default:
        return first + (uint32_t)((dice >> 32) % ((uint64_t)last - first + 1));
    }
}

static struct bh_ip
draw_v6(const struct ranges *r, uint64_t *x)
{
    uint64_t dice = next_random(x);
    uint64_t hi = next_random(x);
    uint64_t lo = next_random(x);
    if (dice % 4 == 0) {
        return bh_ip_from_v6(hi >> 3 | 1ULL << 61, lo);
    }
    const struct range *one = &r->at[next_random(x) % r->count];
    bh_u128 first =
        (bh_u128)bh_get_be64(one->first.octets) << 64 | bh_get_be64(one->first.octets + 8);
    bh_u128 last = (bh_u128)bh_get_be64(one->last.octets) << 64 | bh_get_be64(one->last.octets + 8);
    bh_u128 size = last - first + 1;
    bh_u128 a = dice % 16 == 1   ? first - (dice >> 32) % 2
                : dice % 16 == 2 ? last + (dice >> 32) % 2
                                 : first + (size == 0 ? 0 : ((bh_u128)hi << 64 | lo) % size);
    return bh_ip_from_v6((uint64_t)(a >> 64), (uint64_t)a);
}

static void
ask_us(const kobold *k, const struct bh_ip *ip, char ret[48])
{
    struct kobold_value v;
    if (!kobold_value_info(k, kobold_lookup(k, ip->octets, ip->family).value, &v)) {
        fail("kobold", "a value without a meaning");
    }
    snprintf(ret, 48, "%s",
             v.kind == KOBOLD_SPECIAL       ? v.class_name
             : v.kind == KOBOLD_UNALLOCATED ? "-"
                                            : v.code);
}

static void
ask_them(MMDB_s *m, const struct bh_ip *ip, char ret[48])
{
    struct sockaddr_in in4 = { .sin_family = AF_INET };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
    const void *address = ip->family == 4 ? (const void *)&in4 : (const void *)&in6;
    int error = 0;
    memcpy(&in4.sin_addr, ip->octets, 4);
    memcpy(&in6.sin6_addr, ip->octets, 16);
    MMDB_lookup_result_s r = MMDB_lookup_sockaddr(m, address, &error);
    MMDB_entry_data_s data;
    static const char *const plain[] = { "country_code", NULL };
    static const char *const nested[] = { "country", "iso_code", NULL };
    if (error != MMDB_SUCCESS) {
        fail("libmaxminddb", MMDB_strerror(error));
    }
    bool is_there = r.found_entry &&
                    ((MMDB_aget_value(&r.entry, &data, plain) == MMDB_SUCCESS && data.has_data) ||
                     (MMDB_aget_value(&r.entry, &data, nested) == MMDB_SUCCESS && data.has_data));
    if (is_there && data.type == MMDB_DATA_TYPE_UTF8_STRING) {
        snprintf(ret, 48, "%.*s", (int)(data.data_size < 40 ? data.data_size : 40),
                 data.utf8_string);
    } else {
        snprintf(ret, 48, "-");
    }
}

int
main(int argc, char **argv)
{
    kobold *k;
    MMDB_s m;
    struct ranges v4;
    struct ranges v6;
    if (argc != 7) {
        fail("usage", "mmdb_agree KDB MMDB COUNT SEED V4.csv V6.csv");
    }
    int r = kobold_open(argv[1], &k);
    if (r < 0) {
        fail(argv[1], kobold_strerror(r, 0));
    }
    r = MMDB_open(argv[2], MMDB_MODE_MMAP, &m);
    if (r != MMDB_SUCCESS) {
        fail(argv[2], MMDB_strerror(r));
    }
    uint64_t count = strtoull(argv[3], NULL, 10);
    uint64_t x = strtoull(argv[4], NULL, 10);
    uint64_t differ = 0;
    read_ranges(argv[5], &v4);
    read_ranges(argv[6], &v6);
    for (uint64_t i = 0; i < count; i++) {
        char ours[48];
        char theirs[48];
        struct bh_ip ip = i % 2 == 0 ? bh_ip_from_v4(draw_v4(&v4, &x)) : draw_v6(&v6, &x);
        ask_us(k, &ip, ours);
        ask_them(&m, &ip, theirs);
        if (strcmp(ours, theirs) != 0) {
            char text[BH_IP_TEXT_MAX];
            bh_ip_format(&ip, text);
            printf("%s\t%s\t%s\n", text, ours, theirs);
            differ++;
        }
    }
    printf("%llu addresses, %llu differ\n", (unsigned long long)count, (unsigned long long)differ);
    MMDB_close(&m);
    kobold_close(k);
    free(v4.at);
    free(v6.at);
    return 0;
}
