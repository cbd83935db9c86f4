/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_scan.c - the lines of a table start,end,country that are plain and right, fast.
 *
 * Nearly every line of the large tables is one of
 *
 *     16777216,16777471,AU        1.0.0.0,1.0.0.255,AU        2001:200::,2001:200:ffff::,JP
 *
 * and reading half a million of them is most of what compiling costs. Here they are read without
 * looking for the line's end first, digits eight at a time; a line that is anything else - quoted,
 * with blanks, more columns, a code in small letters, wrong - is left to the general reader
 * (kobold_text.c), which takes every line that this one takes, with the same result.
 */
#include "kobold_text_priv.h"

/* Longer than any line read here, so that one comparison per line keeps all reads inside. */
#define LINE_MAX_HERE 112

/* How many of eight octets, from the front, are digits; *ret_value is theirs as a number. */
static inline unsigned
eight_digits(const char *at, uint64_t *ret_value)
{
    uint64_t x = bh_get_le64((const uint8_t *)at) ^ 0x3030303030303030U;
    uint64_t others = ((x + 0x7676767676767676U) | x) & 0x8080808080808080U;
    unsigned n = others == 0 ? 8 : (unsigned)__builtin_ctzll(others) / 8;
    if (n == 0) {
        return 0;
    }
    x <<= 64 - 8 * n; /* zeros in front */
    x = x * 10 + (x >> 8);
    *ret_value = ((x & 0x000000ff000000ffU) * 0x000f424000000064U +
                  ((x >> 16) & 0x000000ff000000ffU) * 0x0000271000000001U) >>
                 32;
    return n;
}

static const uint64_t powers[9] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000 };

/* Digits, at most 38: those fit 128 bits. NULL: none, or more. */
static const char *
scan_number(const char *at, struct kobold_addr *ret)
{
    uint64_t piece;
    uint64_t low = 0;
    bh_u128 all = 0;
    unsigned n;
    unsigned count = 0;
    while ((n = eight_digits(at, &piece)) > 0) {
        count += n;
        at += n;
        if (count <= 16) {
            low = low * powers[n] + piece;
            all = low;
        } else {
            all = all * powers[n] + piece;
        }
        if (n < 8 || count > 38) {
            break;
        }
    }
    *ret = (struct kobold_addr){ (uint64_t)(all >> 64), (uint64_t)all };
    return count == 0 || count > 38 ? NULL : at;
}

static const char *
scan_dotted(const char *at, struct kobold_addr *ret)
{
    uint32_t address = 0;
    for (int i = 0; i < 4; i++) {
        const char *first = at;
        unsigned v = 0;
        while (at - first < 4 && is_digit(*at)) {
            v = v * 10 + (unsigned)(*at++ - '0');
        }
        /* The general reader allows no leading zero either. */
        if (at == first || v > 255 || (*first == '0' && at - first > 1)) {
            return NULL;
        }
        address = address << 8 | v;
        if (i < 3 && *at++ != '.') {
            return NULL;
        }
    }
    *ret = (struct kobold_addr){ 0, address };
    return at;
}

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Groups of hexadecimal digits, "::" once at most; the forms with a dotted end are not ours. */
static const char *
scan_groups(const char *at, struct kobold_addr *ret)
{
    uint16_t groups[8] = { 0 };
    unsigned count = 0;
    unsigned gap = 8; /* groups in front of "::" */
    if (at[0] == ':') {
        return NULL;
    }
    for (;;) {
        unsigned v = 0;
        const char *first = at;
        for (int d; at - first < 5 && (d = hex_digit(*at)) >= 0; at++) {
            v = v << 4 | (unsigned)d;
        }
        if (at == first || at - first > 4 || count == 8) {
            return NULL;
        }
        groups[count++] = (uint16_t)v;
        if (*at != ':') {
            break;
        }
        at++;
        if (*at == ':') {
            if (gap < 8) {
                return NULL;
            }
            gap = count;
            at++;
            if (hex_digit(*at) < 0) {
                break;
            }
        }
    }
    if (gap == 8 ? count != 8 : count > 7) {
        return NULL;
    }
    bh_u128 all = 0;
    for (unsigned i = 0; i < count; i++) {
        if (i == gap) {
            all <<= 16 * (8 - count);
        }
        all = all << 16 | groups[i];
    }
    if (gap == count) {
        all <<= 16 * (8 - count);
    }
    *ret = (struct kobold_addr){ (uint64_t)(all >> 64), (uint64_t)all };
    return at;
}

/* An address and the comma behind it. */
static inline const char *
scan_address(const char *at, struct kobold_addr *ret, int *ret_family)
{
    const char *end = scan_number(at, ret);
    *ret_family = end != NULL && ret->hi == 0 && ret->lo <= UINT32_MAX ? 4 : 6;
    if (end == NULL || *end != ',') {
        *ret_family = 4;
        end = scan_dotted(at, ret);
        if (end == NULL) {
            *ret_family = 6;
            end = scan_groups(at, ret);
        }
    }
    return end == NULL || *end != ',' ? NULL : end + 1;
}

/* Two capitals that are a country's code and its only one ("UK" is also "GB"). */
static inline bool
scan_country(const char *at, uint16_t *ret)
{
    unsigned a = (unsigned)at[0] - 'A';
    unsigned b = (unsigned)at[1] - 'A';
    unsigned row = a > 25 || b > 25 ? 0 : kobold_country_at[a * 26 + b];
    if (row == 0) {
        return false;
    }
    const char *code = kobold_countries[row - 1].code;
    *ret = (uint16_t)((unsigned)(uint8_t)code[0] << 8 | (uint8_t)code[1]);
    return true;
}

uint32_t
scan_ranges(struct kobold_source *s, const char **text, size_t *left, uint32_t line)
{
    const char *at = *text;
    const char *end = at + *left;
    const uint32_t first = line;
    while (end - at > LINE_MAX_HERE) {
        struct kobold_range range = { .line = line + 1 };
        int family;
        int end_family;
        const char *second = scan_address(at, &range.start, &family);
        const char *country = second == NULL ? NULL : scan_address(second, &range.end, &end_family);
        if (country == NULL || family != end_family || addr_cmp(range.start, range.end) > 0 ||
            !scan_country(country, &range.code)) {
            break;
        }
        const char *next = country + 2;
        next += *next == '\r';
        if (*next != '\n') {
            break;
        }
        struct kobold_ranges *to = &s->ranges[family == 6];
        if (to->room == 0) { /* lines are about equally long */
            ranges_reserve(to, (size_t)(end - at) / (size_t)(next - at) + 64);
        }
        ranges_add(to, &range);
        at = next + 1;
        line++;
    }
    s->input.ranges += line - first;
    *left -= (size_t)(at - *text);
    *text = at;
    return line - first;
}
