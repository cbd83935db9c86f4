/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Crypto-PAn. For bit i of an address AES encrypts a block that begins with the i bits before it and
 * goes on with the padding; the first bit of what comes out is added to bit i. All blocks of an
 * address are encrypted in one call. A small table remembers answers, as sources come in series.
 */
#include "bh_anonymize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef BH_WITH_NETTLE

#include <nettle/aes.h>

#define KNOWN 4096U /* of a family; a power of two */

struct known4 {
    uint32_t from, to;
};
struct known6 {
    uint64_t from_hi, from_lo, to_hi, to_lo;
};

struct bh_anonymize {
    struct aes128_ctx aes;
    uint8_t pad[16];
    bool is_known[2 * KNOWN];
    struct known4 v4[KNOWN];
    struct known6 v6[KNOWN];
};

int
bh_anonymize_new(const uint8_t key[BH_ANONYMIZE_KEY], struct bh_anonymize **ret,
                 struct bh_error *err)
{
    struct bh_anonymize *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
    }
    aes128_set_encrypt_key(&a->aes, key);
    aes128_encrypt(&a->aes, 16, a->pad, key + 16);
    *ret = a;
    return 0;
}

/* What is added to the first `bits` bits (at most 64) of (hi, lo), of which `before` stand before them. */
static uint64_t
one_time_bits(const struct bh_anonymize *a, uint64_t hi, uint64_t lo, unsigned before,
              unsigned bits)
{
    const uint64_t pad_hi = bh_get_be64(a->pad), pad_lo = bh_get_be64(a->pad + 8);
    uint8_t block[64 * 16];
    for (unsigned i = 0; i < bits; i++) {
        const unsigned kept = before + i;
        const uint64_t mask_hi = kept == 0    ? 0
                                 : kept >= 64 ? UINT64_MAX
                                              : UINT64_MAX << (64 - kept);
        const uint64_t mask_lo = kept <= 64 ? 0 : UINT64_MAX << (128 - kept);
        bh_put_be64(block + (size_t)16 * i, (hi & mask_hi) | (pad_hi & ~mask_hi));
        bh_put_be64(block + (size_t)16 * i + 8, (lo & mask_lo) | (pad_lo & ~mask_lo));
    }
    aes128_encrypt(&a->aes, (size_t)16 * bits, block, block);
    uint64_t out = 0;
    for (unsigned i = 0; i < bits; i++) {
        out |= (uint64_t)(block[16 * i] >> 7) << (63 - i);
    }
    return out;
}

uint32_t
bh_anonymize_v4(struct bh_anonymize *a, uint32_t host_order)
{
    const size_t at = (host_order * 2654435761U) >> 20;
    struct known4 *k = &a->v4[at];
    if (!a->is_known[at] || k->from != host_order) {
        const uint64_t bits = one_time_bits(a, (uint64_t)host_order << 32, 0, 0, 32);
        *k = (struct known4){ host_order, host_order ^ (uint32_t)(bits >> 32) };
        a->is_known[at] = true;
    }
    return k->to;
}

void
bh_anonymize_v6(struct bh_anonymize *a, uint64_t *hi, uint64_t *lo)
{
    const size_t at = bh_mix64(*hi, *lo) & (KNOWN - 1);
    struct known6 *k = &a->v6[at];
    if (!a->is_known[KNOWN + at] || k->from_hi != *hi || k->from_lo != *lo) {
        *k = (struct known6){ *hi, *lo, *hi ^ one_time_bits(a, *hi, *lo, 0, 64),
                              *lo ^ one_time_bits(a, *hi, *lo, 64, 64) };
        a->is_known[KNOWN + at] = true;
    }
    *hi = k->to_hi;
    *lo = k->to_lo;
}

#else /* without AES */

struct bh_anonymize {
    bool unused;
};

int
bh_anonymize_new(const uint8_t key[BH_ANONYMIZE_KEY], struct bh_anonymize **ret,
                 struct bh_error *err)
{
    (void)key;
    (void)ret;
    return bh_error_set(err, BH_EUNKNOWN, "--anonymize",
                        "is not in this build: it was made without nettle",
                        "はこのビルドにはありません (nettle なしで作られています)");
}

uint32_t
bh_anonymize_v4(struct bh_anonymize *a, uint32_t host_order)
{
    (void)a;
    (void)host_order;
    return 0;
}

void
bh_anonymize_v6(struct bh_anonymize *a, uint64_t *hi, uint64_t *lo)
{
    (void)a;
    *hi = *lo = 0;
}

#endif

void
bh_anonymize_free(struct bh_anonymize *a)
{
    free(a);
}

/* ---- the key ------------------------------------------------------------------------------------------ */

static int
hex_of(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool
key_of_text(const uint8_t *text, size_t size, uint8_t ret_key[BH_ANONYMIZE_KEY])
{
    size_t digits = 0;
    for (size_t i = 0; i < size; i++) {
        const int v = hex_of(text[i]);
        if (v < 0 && (text[i] == '\n' || text[i] == '\r' || text[i] == ' ')) {
            continue;
        }
        if (v < 0 || digits == (size_t)2 * BH_ANONYMIZE_KEY) {
            return false;
        }
        ret_key[digits / 2] = (uint8_t)(ret_key[digits / 2] << 4 | v);
        digits++;
    }
    return digits == (size_t)2 * BH_ANONYMIZE_KEY;
}

/* A pipe may give the key too, so that it need not lie on the disk. */
static int
read_key(const char *path, uint8_t *text, size_t room, size_t *ret_size, struct bh_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return bh_error_errno(err, errno, path, "cannot open", "開けません");
    }
    size_t size = 0;
    int r = 0;
    while (size < room) {
        ssize_t n = read(fd, text + size, room - size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            r = n < 0 ? bh_error_errno(err, errno, path, "cannot read", "読めません") : 0;
            break;
        }
        size += (size_t)n;
    }
    close(fd);
    *ret_size = size;
    return r;
}

int
bh_anonymize_open(const char *path, struct bh_anonymize **ret, struct bh_error *err)
{
    uint8_t text[256], key[BH_ANONYMIZE_KEY] = { 0 };
    size_t size = 0;
    int r = read_key(path, text, sizeof text, &size, err);
    if (r == 0 && size == BH_ANONYMIZE_KEY) {
        memcpy(key, text, sizeof key);
    } else if (r == 0 && !key_of_text(text, size, key)) {
        r = bh_error_set(
            err, BH_EFORMAT, path,
            "is no key: %u octets, or as many in hexadecimal digits (head -c 32 /dev/urandom > KEYFILE)",
            "は鍵ではありません。%u バイト、またはその 16 進表記です (head -c 32 /dev/urandom > 鍵ファイル)",
            BH_ANONYMIZE_KEY);
    }
    r = r != 0 ? r : bh_anonymize_new(key, ret, err);
    explicit_bzero(text, sizeof text);
    explicit_bzero(key, sizeof key);
    return r;
}

/* ---- many ----------------------------------------------------------------------------------------------- */

struct bh_ip
bh_anonymize_ip(struct bh_anonymize *a, const struct bh_ip *ip)
{
    if (ip->family == 4) {
        return bh_ip_from_v4(bh_anonymize_v4(a, bh_get_be32(ip->octets)));
    }
    if (ip->family != 6) {
        return *ip;
    }
    uint64_t hi = bh_get_be64(ip->octets), lo = bh_get_be64(ip->octets + 8);
    bh_anonymize_v6(a, &hi, &lo);
    return bh_ip_from_v6(hi, lo);
}

static void
pair_v6(struct bh_anonymize *a, struct bh_ip6_pair *p)
{
    bh_anonymize_v6(a, &p->src_hi, &p->src_lo);
    bh_anonymize_v6(a, &p->dst_hi, &p->dst_lo);
}

void
bh_anonymize_batch(struct bh_anonymize *a, struct bh_batch *b)
{
    for (uint32_t i = 0; i < b->rows; i++) {
        if (b->kind[i] == BH_KIND_IP4 || b->kind[i] == BH_KIND_ARP) {
            b->src[i] = bh_anonymize_v4(a, b->src[i]);
            b->dst[i] = bh_anonymize_v4(a, b->dst[i]);
        }
        b->src_mac[i] = 0;
        b->tunnel_sender[i] = 0;
    }
    for (uint32_t i = 0; i < b->v6_rows; i++) {
        pair_v6(a, &b->ip6[i]);
    }
    for (uint32_t i = 0; i < b->quote_rows; i++) {
        struct bh_quote *q = &b->quotes[i];
        if (q->kind == BH_KIND_IP6) {
            pair_v6(a, &q->ip6);
        } else {
            q->src = bh_anonymize_v4(a, q->src);
            q->dst = bh_anonymize_v4(a, q->dst);
        }
    }
    for (uint32_t i = 0; i < b->seen_rows; i++) {
        struct bh_seen *s = &b->seen[i];
        s->src4 = s->has_src4 ? bh_anonymize_v4(a, s->src4) : 0;
        if (s->has_src6) {
            bh_anonymize_v6(a, &s->src6_hi, &s->src6_lo);
        }
    }
}

/* The first address of a network, its host bits zero again: they would show bits of the padding. */
static void
put_network(struct bh_anonymize *a, const struct bh_ip *ip, const char *length, struct bh_buf *out)
{
    struct bh_ip to = bh_anonymize_ip(a, ip);
    const unsigned long bits = length[0] == '\0' ? 128 : strtoul(length + 1, NULL, 10),
                        size = ip->family == 4 ? 4 : 16;
    bool is_network =
        length[0] != '\0'; /* "203.0.113.60/24" is one host in its network, and stays one */
    for (unsigned long i = bits; i < 8 * size && is_network; i++) {
        is_network = (ip->octets[i / 8] >> (7 - i % 8) & 1) == 0;
    }
    for (unsigned long i = bits; i < 8 * size && is_network; i++) {
        to.octets[i / 8] &= (uint8_t) ~(0x80U >> (i % 8));
    }
    bool is_zero = length[0] != '\0';
    for (unsigned long i = bits; i < 8 * size; i++) {
        is_zero &= (to.octets[i / 8] >> (7 - i % 8) & 1) == 0;
    }
    if (!is_network && is_zero) {
        bh_buf_puts(out, "host:"); /* or it would be read as the network */
    }
    char text[BH_IP_TEXT_MAX];
    bh_ip_format(&to, text);
    bh_buf_puts(out, text);
    bh_buf_puts(out, length);
}

bool
bh_anonymize_networks(struct bh_anonymize *a, const char *text, struct bh_buf *out)
{
    while (*text != '\0') {
        const size_t word = strcspn(text, ",");
        const char *colon = strncmp(text, "host:", 5) == 0  ? text + 5
                            : strncmp(text, "net:", 4) == 0 ? text + 4
                                                            : text;
        const size_t address = strcspn(colon, "/,");
        const char *length = colon + address;
        char number[8] = "";
        struct bh_ip ip;
        if (!bh_ip_parse(colon, address, &ip)) {
            return false;
        }
        const size_t n = (size_t)(text + word - length);
        if (n >= sizeof number) {
            return false;
        }
        memcpy(number, length, n);
        bh_buf_add(out, text, (size_t)(colon - text));
        put_network(a, &ip, number, out);
        text += word;
        if (*text == ',') {
            bh_buf_putc(out, ',');
            text++;
        }
    }
    return true;
}
