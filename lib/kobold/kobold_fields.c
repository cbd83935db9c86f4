/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_fields.c - lines, and what their fields may be: numbers, addresses, prefixes, countries,
 * dates.
 */
#include "kobold_text_priv.h"

#include <stdlib.h>
#include <strings.h>

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

struct field
trim(struct field f)
{
    while (f.len > 0 && is_blank(f.at[0])) {
        f.at++;
        f.len--;
    }
    while (f.len > 0 && is_blank(f.at[f.len - 1])) {
        f.len--;
    }
    if (f.len >= 2 && f.at[0] == '"' && f.at[f.len - 1] == '"') {
        f.at++;
        f.len -= 2;
    }
    return f;
}

bool
is_word(struct field f, const char *word)
{
    return f.len == strlen(word) && strncasecmp(f.at, word, f.len) == 0;
}

void
split(struct line *l, char separator)
{
    const char *at = l->whole.at;
    size_t left = l->whole.len;
    l->count = 0;
    while (l->count < FIELDS_MAX) {
        size_t n = 0;
        bool is_quoted = false;
        while (n < left &&
               (is_quoted || !(separator == ' ' ? is_blank(at[n]) : at[n] == separator))) {
            is_quoted ^= at[n] == '"';
            n++;
        }
        if (separator != ' ' || n > 0) {
            l->fields[l->count++] = trim((struct field){ at, n });
        }
        if (n == left) {
            break;
        }
        at += n + 1;
        left -= n + 1;
    }
}

bool
parse_uint(struct field f, uint64_t *ret)
{
    uint64_t v = 0;
    if (f.len == 0 || f.len > 19) {
        return false;
    }
    for (size_t i = 0; i < f.len; i++) {
        if (!is_digit(f.at[i])) {
            return false;
        }
        v = v * 10 + (uint64_t)(f.at[i] - '0');
    }
    *ret = v;
    return true;
}

/* A decimal number of up to 128 bits. */
static bool
parse_decimal(struct field f, struct kobold_addr *ret)
{
    uint32_t limbs[4] = { 0 }; /* lowest first */
    if (f.len == 0 || f.len > 39) {
        return false;
    }
    for (size_t i = 0; i < f.len; i++) {
        if (!is_digit(f.at[i])) {
            return false;
        }
        uint64_t carry = (uint64_t)(f.at[i] - '0');
        for (int j = 0; j < 4; j++) {
            carry += (uint64_t)limbs[j] * 10;
            limbs[j] = (uint32_t)carry;
            carry >>= 32;
        }
        if (carry != 0) {
            return false;
        }
    }
    ret->hi = (uint64_t)limbs[3] << 32 | limbs[2];
    ret->lo = (uint64_t)limbs[1] << 32 | limbs[0];
    return true;
}

int
parse_address(struct field f, struct kobold_addr *ret)
{
    struct bh_ip ip;
    if (!bh_ip_parse(f.at, f.len, &ip)) {
        return 0;
    }
    if (ip.family == 4) {
        *ret = (struct kobold_addr){ 0, bh_get_be32(ip.octets) };
    } else {
        *ret = (struct kobold_addr){ bh_get_be64(ip.octets), bh_get_be64(ip.octets + 8) };
    }
    return ip.family;
}

int
parse_address_or_number(struct field f, struct kobold_addr *ret)
{
    int family = parse_address(f, ret);
    if (family == 0 && parse_decimal(f, ret)) {
        family = ret->hi == 0 && ret->lo <= UINT32_MAX ? 4 : 6;
    }
    return family;
}

bool
block_end(int family, struct kobold_addr start, unsigned len, struct kobold_addr *ret)
{
    unsigned n = family == 4 ? len + 96 : len;
    uint64_t hi = n >= 64 ? 0 : UINT64_MAX >> n;
    uint64_t lo = n >= 128 ? 0 : n <= 64 ? UINT64_MAX : UINT64_MAX >> (n - 64);
    if (family == 4) {
        hi = 0;
    }
    if ((start.hi & hi) != 0 || (start.lo & lo) != 0) {
        return false;
    }
    *ret = (struct kobold_addr){ start.hi | hi, start.lo | lo };
    return true;
}

struct trouble
parse_prefix(struct field f, int *ret_family, struct kobold_addr *ret_start,
             struct kobold_addr *ret_end)
{
    const char *slash = memchr(f.at, '/', f.len);
    size_t address_len = slash == NULL ? f.len : (size_t)(slash - f.at);
    int family = parse_address((struct field){ f.at, address_len }, ret_start);
    if (family == 0) {
        return TROUBLE(
            "no address or prefix where one should be; correct or delete the line",
            "アドレスまたはプレフィックスがあるべき所にありません。行を直すか消してください");
    }
    uint64_t len = family == 4 ? 32 : 128;
    if (slash != NULL) {
        struct field digits = { slash + 1, f.len - address_len - 1 };
        uint64_t longest = len;
        if (!parse_uint(digits, &len) || len > longest) {
            return TROUBLE(
                "bad prefix length; write /0 to /32 (IPv4) or /0 to /128 (IPv6)",
                "プレフィックス長が正しくありません。/0～/32（IPv4）か /0～/128（IPv6）と書いてください");
        }
    }
    if (!block_end(family, *ret_start, (unsigned)len, ret_end)) {
        return TROUBLE(
            "bits are set beyond the prefix length; write the first address of the block",
            "プレフィックス長より後ろのビットが立っています。ブロックの先頭アドレスを書いてください");
    }
    *ret_family = family;
    return FINE;
}

/* ISO 3166-1 leaves these to users, for good. */
static bool
is_user_assigned(char a, char b)
{
    return (a == 'A' && b == 'A') || (a == 'Q' && b >= 'M') || a == 'X';
}

int
parse_country(struct kobold_input *input, struct field f)
{
    if (f.len == 0) {
        return COUNTRY_EMPTY;
    }
    if (is_word(f, "-") || is_word(f, "--")) {
        return COUNTRY_NOBODY;
    }
    if (is_word(f, "??")) {
        return CODE_UNKNOWN;
    }
    char up[2];
    if (f.len != 2) {
        return COUNTRY_BROKEN;
    }
    for (int i = 0; i < 2; i++) {
        char c = f.at[i];
        up[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        if (!(up[i] >= 'A' && up[i] <= 'Z') && !(i == 1 && is_digit(c))) {
            return COUNTRY_BROKEN;
        }
    }
    const struct kobold_country_row *row = kobold_country_row(up);
    if (row != NULL) {
        return (uint8_t)row->code[0] << 8 | (uint8_t)row->code[1];
    }
    if (!is_digit(up[1]) && is_user_assigned(up[0], up[1])) {
        return (uint8_t)up[0] << 8 | (uint8_t)up[1];
    }
    input->unknown_codes++;
    return CODE_UNKNOWN;
}

bool
next_line(const char **at, size_t *left, struct line *l)
{
    if (*left == 0) {
        return false;
    }
    const char *end = memchr(*at, '\n', *left);
    size_t n = end == NULL ? *left : (size_t)(end - *at);
    l->whole = trim((struct field){ *at, n });
    /* trim() takes a pair of quotes as one field's; give a line's back. */
    if (l->whole.len < n && l->whole.at > *at && l->whole.at[-1] == '"') {
        l->whole.at--;
        l->whole.len += 2;
    }
    l->number++;
    n += end != NULL;
    *at += n;
    *left -= n;
    return true;
}

/* ---- dates ------------------------------------------------------------------------------------- */

bool
is_day(uint64_t d)
{
    unsigned month = (unsigned)(d / 100 % 100);
    unsigned day = (unsigned)(d % 100);
    return d >= 19800101 && d <= 99991231 && month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

/* yyyymmdd of seconds since 1970 (days to civil date: Hinnant, "chrono-compatible low-level
 * date algorithms"). */
uint32_t
day_of_seconds(uint64_t seconds)
{
    uint64_t z = seconds / 86400 + 719468;
    uint64_t era = z / 146097;
    uint64_t doe = z - era * 146097;
    uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    uint64_t mp = (5 * doy + 2) / 153;
    uint64_t day = doy - (153 * mp + 2) / 5 + 1;
    uint64_t month = mp < 10 ? mp + 3 : mp - 9;
    uint64_t year = yoe + era * 400 + (month <= 2);
    return (uint32_t)(year * 10000 + month * 100 + day);
}

void
copy_field(char *to, size_t size, struct field f)
{
    size_t n = f.len < size - 1 ? f.len : size - 1;
    memcpy(to, f.at, n);
    to[n] = '\0';
}

/* "Thu, 25 Jun 2026 04:33:59 GMT" */
uint32_t
parse_mail_date(struct field f)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char text[64];
    char name[4];
    unsigned day;
    unsigned year;
    copy_field(text, sizeof text, f);
    const char *comma = strchr(text, ',');
    if (comma == NULL || sscanf(comma + 1, "%2u %3s %4u", &day, name, &year) != 3) {
        return 0;
    }
    const char *month = strstr(months, name);
    if (month == NULL || strlen(name) != 3 || (month - months) % 3 != 0) {
        return 0;
    }
    uint64_t d = (uint64_t)year * 10000 + (uint64_t)((month - months) / 3 + 1) * 100 + day;
    return is_day(d) ? (uint32_t)d : 0;
}

/* The other way round, after the same paper. */
uint16_t
days_of_day(uint64_t d)
{
    if (!is_day(d)) {
        return 0;
    }
    int64_t year = (int64_t)(d / 10000) - (d / 100 % 100 <= 2);
    int64_t month = (int64_t)(d / 100 % 100);
    int64_t era = year / 400;
    int64_t yoe = year - era * 400;
    int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + (int64_t)(d % 100) - 1;
    int64_t days = era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
    return days > UINT16_MAX ? 0 : (uint16_t)days;
}
