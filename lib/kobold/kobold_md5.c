/* SPDX-License-Identifier: BSD-2-Clause */
/* kobold_md5.c - MD5 (RFC 1321), and where a checksum stands in a text. */
#include "kobold_update.h"

/* 2^32 times the absolute sine of 1 to 64, rounded down (RFC 1321, 3.4). */
static const uint32_t sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

static const uint8_t turns[4][4] = {
    { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 }
};

static uint32_t
turn_left(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

/* One block of 64 octets. */
static void
mix_block(uint32_t state[4], const uint8_t *block)
{
    uint32_t a = state[0];
    uint32_t b = state[1];
    uint32_t c = state[2];
    uint32_t d = state[3];
    for (unsigned i = 0; i < 64; i++) {
        unsigned round = i / 16;
        uint32_t f;
        unsigned word;
        switch (round) {
        case 0:
            f = (b & c) | (~b & d);
            word = i;
            break;
        case 1:
            f = (b & d) | (c & ~d);
            word = 5 * i + 1;
            break;
        case 2:
            f = b ^ c ^ d;
            word = 3 * i + 5;
            break;
        default:
            f = c ^ (b | ~d);
            word = 7 * i;
            break;
        }
        uint32_t sum = a + f + sines[i] + bh_get_le32(block + (size_t)(word % 16) * 4);
        a = d;
        d = c;
        c = b;
        b += turn_left(sum, turns[round][i % 4]);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

void
kobold_md5(const void *data, size_t size, char ret_hex[33])
{
    uint32_t state[4] = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 };
    const uint8_t *p = data;
    size_t left = size;
    for (; left >= 64; left -= 64, p += 64) {
        mix_block(state, p);
    }
    /* The rest, a one, zeros, and the number of bits: one block or two. */
    uint8_t end[128] = { 0 };
    size_t blocks = left < 56 ? 1 : 2;
    memcpy(end, left > 0 ? p : end, left);
    end[left] = 0x80;
    bh_put_le64(end + blocks * 64 - 8, (uint64_t)size * 8);
    for (size_t i = 0; i < blocks; i++) {
        mix_block(state, end + i * 64);
    }
    uint8_t octets[16];
    for (size_t i = 0; i < 4; i++) {
        bh_put_le32(octets + i * 4, state[i]);
    }
    for (size_t i = 0; i < 16; i++) {
        snprintf(ret_hex + i * 2, 3, "%02x", octets[i]);
    }
}

static bool
is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool
is_word(char c)
{
    return is_hex(c) || (c >= 'g' && c <= 'z') || (c >= 'G' && c <= 'Z') || c == '_';
}

bool
kobold_md5_find(const char *text, size_t size, char ret_hex[33])
{
    for (size_t at = 0; at < size;) {
        size_t n = 0;
        bool is_digits = true;
        while (at + n < size && is_word(text[at + n])) {
            is_digits = is_digits && is_hex(text[at + n]);
            n++;
        }
        if (n == 32 && is_digits) {
            for (size_t i = 0; i < 32; i++) {
                char c = text[at + i];
                ret_hex[i] = c >= 'A' && c <= 'F' ? (char)(c | 0x20) : c;
            }
            ret_hex[32] = '\0';
            return true;
        }
        at += n + 1;
    }
    return false;
}
