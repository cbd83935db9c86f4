/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Community ID version 1: a name for a flow that other tools give it, too (Zeek, Suricata, Arkime,
 * Wireshark), so that their records can be joined. The specification is Corelight's.
 *
 * SHA-1 (RFC 3174) is written out here: the sum is a name, nothing hangs on its strength, and a library
 * for two blocks would be one more in a process that holds strangers' addresses.
 */
#include "flow_priv.h"

static uint32_t
rotate(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static void
sha1_block(uint32_t h[5], const uint8_t *p)
{
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (unsigned i = 0; i < 80; i++) {
        w[i] = i < 16 ? bh_get_be32(p + 4 * (size_t)i)
                      : rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        const uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                           : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                           : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                                    : (b ^ c ^ d) + 0xca62c1d6;
        const uint32_t next = rotate(a, 5) + f + e + w[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

void
flow_sha1(const uint8_t *data, size_t len, uint8_t ret_sum[20])
{
    uint32_t h[5] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 };
    uint8_t block[128] = { 0 };
    const size_t size = len < 56 ? 64 : 128;
    memcpy(block, data, len);
    block[len] = 0x80;
    bh_put_be32(block + size - 4, (uint32_t)len * 8);
    for (size_t at = 0; at < size; at += 64) {
        sha1_block(h, block + at);
    }
    for (unsigned i = 0; i < 5; i++) {
        bh_put_be32(ret_sum + 4 * (size_t)i, h[i]);
    }
}

static void
base64(const uint8_t sum[20], char *to)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (unsigned i = 0; i < 20; i += 3) {
        const uint32_t x =
            (uint32_t)sum[i] << 16 | (uint32_t)sum[i + 1] << 8 | (i + 2 < 20 ? sum[i + 2] : 0U);
        *to++ = letters[x >> 18];
        *to++ = letters[x >> 12 & 63];
        *to++ = letters[x >> 6 & 63];
        *to++ = i + 2 < 20 ? letters[x & 63] : '=';
    }
    *to = '\0';
}

/* The end with the smaller (address, port) comes first; what goes one way only stays as it is. */
static bool
is_swapped(const struct flow *f)
{
    if (f->ports == PORTS_CODE) {
        return false;
    }
    for (unsigned k = 0; k < 2; k++) {
        if (f->addr[ORIG][k] != f->addr[RESP][k]) {
            return f->addr[ORIG][k] > f->addr[RESP][k];
        }
    }
    return f->port[ORIG] > f->port[RESP];
}

void
flow_community_id(const struct flow *f, uint16_t seed, char ret_id[COMMUNITY_ID_MAX])
{
    uint8_t data[40], sum[20], *p = data;
    const unsigned first = is_swapped(f) ? RESP : ORIG;
    bh_put_be16(p, seed);
    p += 2;
    for (unsigned k = 0; k < 2; k++) {
        const struct bh_ip ip = flow_ip(f, first ^ k);
        const size_t n = ip.family == 6 ? 16 : 4;
        memcpy(p, ip.octets, n);
        p += n;
    }
    *p++ = f->proto;
    *p++ = 0;
    if (f->ports != PORTS_NONE) {
        bh_put_be16(p, f->port[first]);
        bh_put_be16(p + 2, f->port[first ^ 1]);
        p += 4;
    }
    flow_sha1(data, (size_t)(p - data), sum);
    ret_id[0] = '1';
    ret_id[1] = ':';
    base64(sum, ret_id + 2);
}
