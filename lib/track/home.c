/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Home: what we watch for (MEANING.md 2), as sorted ranges of addresses.
 *
 * Text is read as `ip addr` writes it: a network address names the whole network, host bits
 * name one host in that network (its neighbours are then outside, "same network").
 */
#include "track_priv.h"

#include <errno.h>
#include <stdlib.h>

static int
add4(struct bh_home4 **list, size_t *count, uint32_t first, uint32_t last)
{
    struct bh_home4 *p = realloc(*list, bh_size_mul(*count + 1, sizeof *p));
    if (p == NULL) {
        return -ENOMEM;
    }
    p[(*count)++] = (struct bh_home4){ first, last };
    *list = p;
    return 0;
}

static int
add6(struct bh_home6 **list, size_t *count, struct bh_home6 range)
{
    struct bh_home6 *p = realloc(*list, bh_size_mul(*count + 1, sizeof *p));
    if (p == NULL) {
        return -ENOMEM;
    }
    p[(*count)++] = range;
    *list = p;
    return 0;
}

static int
cmp4(const void *a, const void *b)
{
    const struct bh_home4 *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

static int
cmp6(const void *a, const void *b)
{
    const struct bh_home6 *x = a, *y = b;
    if (x->first_hi != y->first_hi) {
        return x->first_hi < y->first_hi ? -1 : 1;
    }
    return x->first_lo < y->first_lo ? -1 : x->first_lo > y->first_lo;
}

/* Sorted, and joined where ranges touch or overlap: the tests per packet get fewer. */
static size_t
join4(struct bh_home4 *r, size_t n)
{
    if (n == 0) {
        return 0;
    }
    qsort(r, n, sizeof *r, cmp4);
    size_t m = 0;
    for (size_t i = 1; i < n; i++) {
        if (r[m].last == UINT32_MAX || r[i].first <= r[m].last + 1) {
            r[m].last = r[i].last > r[m].last ? r[i].last : r[m].last;
        } else {
            r[++m] = r[i];
        }
    }
    return m + 1;
}

static bh_u128
wide(uint64_t hi, uint64_t lo)
{
    return (bh_u128)hi << 64 | lo;
}

static size_t
join6(struct bh_home6 *r, size_t n)
{
    if (n == 0) {
        return 0;
    }
    qsort(r, n, sizeof *r, cmp6);
    size_t m = 0;
    for (size_t i = 1; i < n; i++) {
        bh_u128 end = wide(r[m].last_hi, r[m].last_lo), last = wide(r[i].last_hi, r[i].last_lo);
        if (end + 1 == 0 || wide(r[i].first_hi, r[i].first_lo) <= end + 1) {
            if (last > end) {
                r[m].last_hi = r[i].last_hi;
                r[m].last_lo = r[i].last_lo;
            }
        } else {
            r[++m] = r[i];
        }
    }
    return m + 1;
}

static struct bh_home6
net6(const struct bh_ip *ip, unsigned len)
{
    bh_u128 a = wide(bh_get_be64(ip->octets), bh_get_be64(ip->octets + 8));
    bh_u128 mask = len == 0 ? 0 : ~(bh_u128)0 << (128 - len);
    bh_u128 first = a & mask, last = first | ~mask;
    return (struct bh_home6){ (uint64_t)(first >> 64), (uint64_t)first, (uint64_t)(last >> 64),
                              (uint64_t)last };
}

static int
add_network(struct bh_home *h, const struct bh_ip *ip, unsigned len)
{
    if (ip->family == 6) {
        return add6(&h->v6, &h->v6_count, net6(ip, len));
    }
    uint32_t a = bh_get_be32(ip->octets), mask = len == 0 ? 0 : UINT32_MAX << (32 - len);
    return add4(&h->v4, &h->v4_count, a & mask, a | ~mask);
}

static int
add_host(struct bh_home *h, const struct bh_ip *ip, unsigned len)
{
    if (ip->family == 6) {
        int r = add6(&h->v6, &h->v6_count, net6(ip, 128));
        return r != 0 || len == 128 ? r : add6(&h->near6, &h->near6_count, net6(ip, len));
    }
    uint32_t a = bh_get_be32(ip->octets), mask = len == 0 ? 0 : UINT32_MAX << (32 - len);
    int r = add4(&h->v4, &h->v4_count, a, a);
    if (r != 0 || len == 32) {
        return r;
    }
    r = add4(&h->near4, &h->near4_count, a & mask, a | ~mask);
    if (r != 0 || len == 31) {
        return r; /* RFC 3021: a /31 has no broadcast address */
    }
    return add4(&h->bcast, &h->bcast_count, a | ~mask, a | ~mask);
}

static bool
has_host_bits(const struct bh_ip *ip, unsigned len)
{
    for (unsigned bit = len; bit < (ip->family == 6 ? 128U : 32U); bit++) {
        if (ip->octets[bit / 8] >> (7 - bit % 8) & 1) {
            return true;
        }
    }
    return false;
}

static bool
parse_len(const char *s, size_t n, unsigned max, unsigned *ret_len)
{
    unsigned v = 0;
    if (n == 0 || n > 3) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return false;
        }
        v = v * 10 + (unsigned)(s[i] - '0');
    }
    *ret_len = v;
    return v <= max;
}

/* What is written into `networks` is read as the same home again: a network without its host
 * bits, a host without any as host:. */
static void
describe(struct bh_home *h, struct bh_ip ip, unsigned len, bool is_net)
{
    char text[BH_IP_TEXT_MAX];
    const char *force = is_net || has_host_bits(&ip, len) ? "" : "host:";
    for (unsigned bit = len; is_net && bit < (ip.family == 6 ? 128U : 32U); bit++) {
        ip.octets[bit / 8] &= (uint8_t) ~(0x80U >> bit % 8);
    }
    bh_ip_format(&ip, text);
    unsigned max = ip.family == 6 ? 128 : 32;
    for (int lang = 0; lang < BH_LANGS; lang++) {
        if (h->text[lang].len > 0) {
            bh_buf_puts(&h->text[lang], lang == BH_JA ? "、" : ", ");
        }
    }
    if (h->networks.len > 0) {
        bh_buf_putc(&h->networks, ',');
    }
    if (is_net) {
        bh_buf_printf(&h->text[BH_EN], "the network %s/%u", text, len);
        bh_buf_printf(&h->text[BH_JA], "ネットワーク %s/%u", text, len);
        bh_buf_printf(&h->networks, "%s/%u", text, len);
    } else if (len < max) {
        bh_buf_printf(&h->text[BH_EN], "%s, a host in its /%u", text, len);
        bh_buf_printf(&h->text[BH_JA], "%s (/%u 内の 1 台)", text, len);
        bh_buf_printf(&h->networks, "%s%s/%u", force, text, len);
    } else {
        bh_buf_printf(&h->text[BH_EN], "%s", text);
        bh_buf_printf(&h->text[BH_JA], "%s", text);
        bh_buf_printf(&h->networks, "%s", text);
    }
}

static int
parse_one(struct bh_home *h, const char *s, size_t n, struct bh_error *err)
{
    bool force_host = false, force_net = false;
    char word[80];
    snprintf(word, sizeof word, "--home %.*s", (int)(n < 60 ? n : 60), s);
    if (n > 5 && strncmp(s, "host:", 5) == 0) {
        force_host = true;
        s += 5;
        n -= 5;
    } else if (n > 4 && strncmp(s, "net:", 4) == 0) {
        force_net = true;
        s += 4;
        n -= 4;
    }
    const char *slash = memchr(s, '/', n);
    size_t addr_len = slash == NULL ? n : (size_t)(slash - s);
    struct bh_ip ip;
    if (!bh_ip_parse(s, addr_len, &ip)) {
        return bh_error_set(
            err, BH_EUSAGE, word,
            "not an address; write it as 203.0.113.60/24, 203.0.113.0/24 or "
            "2001:db8::/64, several joined by commas",
            "アドレスではありません。203.0.113.60/24、203.0.113.0/24、2001:db8::/64 "
            "のように書き、複数はコンマでつなぎます");
    }
    unsigned max = ip.family == 6 ? 128 : 32, len = max;
    if (slash != NULL && !parse_len(slash + 1, n - addr_len - 1, max, &len)) {
        return bh_error_set(err, BH_EUSAGE, word, "the prefix length is a number from 0 to %u",
                            "プレフィックス長は 0 から %u までの数です", max);
    }
    bool is_net =
        force_net || (!force_host && slash != NULL && len < max && !has_host_bits(&ip, len));
    int r = is_net ? add_network(h, &ip, len) : add_host(h, &ip, len);
    if (r != 0) {
        return bh_error_errno(err, -r, word, "out of memory", "メモリが足りません");
    }
    describe(h, ip, len, is_net);
    return 0;
}

void
home_finish(struct bh_home *h)
{
    h->v4_count = join4(h->v4, h->v4_count);
    h->v6_count = join6(h->v6, h->v6_count);
    h->bcast_count = join4(h->bcast, h->bcast_count);
    h->near4_count = join4(h->near4, h->near4_count);
    h->near6_count = join6(h->near6, h->near6_count);
}

int
home_add_range4(struct bh_home *h, uint32_t first, uint32_t last)
{
    return add4(&h->v4, &h->v4_count, first, last);
}

int
home_add_host6(struct bh_home *h, uint64_t hi, uint64_t lo)
{
    return add6(&h->v6, &h->v6_count, (struct bh_home6){ hi, lo, hi, lo });
}

int
bh_home_parse(const char *text, struct bh_home *ret_home, struct bh_error *err)
{
    struct bh_home h = { 0 };
    const char *s = text;
    for (;;) {
        size_t n = strcspn(s, ",");
        int r = parse_one(&h, s, n, err);
        if (r != 0) {
            bh_home_done(&h);
            return r;
        }
        if (s[n] == '\0') {
            break;
        }
        s += n + 1;
    }
    home_finish(&h);
    *ret_home = h;
    return 0;
}

void
bh_home_done(struct bh_home *h)
{
    free(h->v4);
    free(h->v6);
    free(h->bcast);
    free(h->near4);
    free(h->near6);
    for (int lang = 0; lang < BH_LANGS; lang++) {
        bh_buf_done(&h->text[lang]);
    }
    bh_buf_done(&h->networks);
    *h = (struct bh_home){ 0 };
}

bool
home_in4(const struct bh_home4 *r, size_t n, uint32_t a)
{
    size_t lo = 0;
    while (n > 0) { /* the last range that begins at or before a */
        size_t half = n / 2;
        if (r[lo + half].first <= a) {
            lo += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return lo > 0 && a <= r[lo - 1].last;
}

bool
home_in6(const struct bh_home6 *r, size_t n, uint64_t hi, uint64_t lo64)
{
    bh_u128 a = wide(hi, lo64);
    size_t lo = 0;
    while (n > 0) {
        size_t half = n / 2;
        if (wide(r[lo + half].first_hi, r[lo + half].first_lo) <= a) {
            lo += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return lo > 0 && a <= wide(r[lo - 1].last_hi, r[lo - 1].last_lo);
}

bool
bh_home_has(const struct bh_home *h, const struct bh_ip *ip)
{
    if (ip->family == 4) {
        return home_in4(h->v4, h->v4_count, bh_get_be32(ip->octets));
    }
    return ip->family == 6 &&
           home_in6(h->v6, h->v6_count, bh_get_be64(ip->octets), bh_get_be64(ip->octets + 8));
}

bool
bh_home_is_near(const struct bh_home *h, const struct bh_ip *ip)
{
    if (ip->family == 4) {
        return home_in4(h->near4, h->near4_count, bh_get_be32(ip->octets));
    }
    return ip->family == 6 &&
           home_in6(h->near6, h->near6_count, bh_get_be64(ip->octets), bh_get_be64(ip->octets + 8));
}
