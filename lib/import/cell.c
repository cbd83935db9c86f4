/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values as logs write them: times (RFC 3339 and its relatives, seconds to nanoseconds since
 * 1970), addresses (dotted, RFC 4291, 32-bit numbers), numbers that went through a table of
 * floats ("80.0"), protocols, TCP flags.
 */
#include "import_priv.h"

#define SECOND_NS INT64_C(1000000000)
#define DAY_S 86400

struct cell
cell_trim(struct cell c)
{
    while (c.len > 0 && (c.at[0] == ' ' || c.at[0] == '\t')) {
        c.at++;
        c.len--;
    }
    while (c.len > 0 && (c.at[c.len - 1] == ' ' || c.at[c.len - 1] == '\t')) {
        c.len--;
    }
    return c;
}

static char
lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool
cell_same(struct cell c, const char *word)
{
    size_t n = strlen(word);
    if (c.len != n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (lower(c.at[i]) != lower(word[i])) {
            return false;
        }
    }
    return true;
}

bool
cell_is_absent(struct cell c)
{
    static const char *const words[] = { "-",    "null", "nan", "none",    "n/a",
                                         "<na>", "nil",  "\\N", "(empty)", "?" };
    if (c.len == 0) {
        return true;
    }
    if (c.len > 7 || (c.at[0] >= '0' && c.at[0] <= '9')) {
        return false;
    }
    for (size_t i = 0; i < BH_COUNT(words); i++) {
        if (cell_same(c, words[i])) {
            return true;
        }
    }
    return false;
}

/* ---- numbers ------------------------------------------------------------------------------------ */

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Digits from *at on; false when there are none or they do not fit. */
static bool
take_digits(struct cell c, size_t *at, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    size_t from = *at;
    while (*at < c.len && is_digit(c.at[*at])) {
        uint64_t digit = (uint64_t)(c.at[*at] - '0');
        if (v > (max - digit) / 10 || digit > max) {
            return false;
        }
        v = v * 10 + digit;
        (*at)++;
    }
    *ret = v;
    return *at > from;
}

bool
cell_number(struct cell c, uint64_t max, uint64_t *ret)
{
    size_t at = 0;
    uint64_t v;
    if (!take_digits(c, &at, max, &v)) {
        return false;
    }
    if (at < c.len && c.at[at] == '.') {
        at++;
        while (at < c.len && c.at[at] == '0') {
            at++;
        }
    }
    if (at < c.len) {
        return false;
    }
    *ret = v;
    return true;
}

/* ---- times --------------------------------------------------------------------------------------- */

/* Exactly `n` digits. */
static bool
take_fixed(struct cell c, size_t *at, size_t n, int *ret)
{
    int v = 0;
    if (c.len - *at < n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_digit(c.at[*at + i])) {
            return false;
        }
        v = v * 10 + (c.at[*at + i] - '0');
    }
    *at += n;
    *ret = v;
    return true;
}

static bool
take_char(struct cell c, size_t *at, const char *one_of)
{
    if (*at >= c.len || c.at[*at] == '\0' || strchr(one_of, c.at[*at]) == NULL) {
        return false;
    }
    (*at)++;
    return true;
}

/* ".123456" as nanoseconds; digits beyond the ninth are dropped. */
static bool
take_fraction(struct cell c, size_t *at, int64_t *ret_ns)
{
    int64_t ns = 0;
    int64_t unit = SECOND_NS / 10;
    size_t from = *at;
    while (*at < c.len && is_digit(c.at[*at])) {
        ns += unit * (c.at[*at] - '0');
        unit /= 10;
        (*at)++;
    }
    *ret_ns = ns;
    return *at > from;
}

static bool
is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days since 1970-01-01; false when there is no such day. */
bool
civil_days(int year, int month, int day, int64_t *ret_days)
{
    static const uint16_t before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365 };
    if (month < 1 || month > 12 || day < 1 || year < 1) {
        return false;
    }
    int days = before[month] - before[month - 1] + (month == 2 && is_leap(year));
    if (day > days) {
        return false;
    }
    int64_t y = year - 1;
    int64_t leap_days = y / 4 - y / 100 + y / 400 - 477; /* 477 of them before 1970 */
    *ret_days = (year - 1970) * INT64_C(365) + leap_days + before[month - 1] + day - 1 +
                (month > 2 && is_leap(year));
    return true;
}

int
civil_year(int64_t days)
{
    int64_t first;
    int year = 1970 + (int)(days / 366); /* too early by a few at most */
    while (civil_days(year + 1, 1, 1, &first) && first <= days) {
        year++;
    }
    return year;
}

/* "Z", "UTC", "+09:00", "+0900", "+09", after an optional blank. */
static bool
take_zone(struct cell c, size_t *at, int64_t *ret_offset_s, bool *ret_zoneless)
{
    *ret_offset_s = 0;
    *ret_zoneless = *at == c.len;
    if (*ret_zoneless) {
        return true;
    }
    if (c.at[*at] == ' ') {
        (*at)++;
    }
    struct cell rest = { c.at + *at, c.len - *at };
    if (cell_same(rest, "Z") || cell_same(rest, "UTC") || cell_same(rest, "GMT")) {
        *at = c.len;
        return true;
    }
    bool west = *at < c.len && c.at[*at] == '-';
    int hours;
    int minutes = 0;
    if (!take_char(c, at, "+-") || !take_fixed(c, at, 2, &hours)) {
        return false;
    }
    if (*at < c.len) {
        bh_ignore(take_char(c, at, ":") ? 1 : 0); /* may be left out */
        if (!take_fixed(c, at, 2, &minutes)) {
            return false;
        }
    }
    if (hours > 23 || minutes > 59 || *at < c.len) {
        return false;
    }
    *ret_offset_s = (west ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

/* "2013-03-03 21:53:59", "2025-02-18T05:25:41.286469Z", "2025/02/18 05:25". */
static enum cell_time
date_time(struct cell c, int64_t *ret_ns, bool *ret_zoneless)
{
    size_t at = 0;
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
    int64_t ns = 0, days, offset_s;
    if (!take_fixed(c, &at, 4, &year) || !take_char(c, &at, "-/") ||
        !take_fixed(c, &at, 2, &month) || !take_char(c, &at, "-/") ||
        !take_fixed(c, &at, 2, &day) || !take_char(c, &at, "Tt _") ||
        !take_fixed(c, &at, 2, &hour) || !take_char(c, &at, ":") ||
        !take_fixed(c, &at, 2, &minute)) {
        return TIME_BAD;
    }
    if (take_char(c, &at, ":") && !take_fixed(c, &at, 2, &second)) {
        return TIME_BAD;
    }
    if (take_char(c, &at, ".,") && !take_fraction(c, &at, &ns)) {
        return TIME_BAD;
    }
    if (!take_zone(c, &at, &offset_s, ret_zoneless) || hour > 23 || minute > 59 || second > 60 ||
        !civil_days(year, month, day, &days)) {
        return TIME_BAD;
    }
    int64_t s = days * DAY_S + hour * 3600 + minute * 60 + second - offset_s;
    /* Midnight of 1970-01-01 in whatever zone: a field nobody set. */
    if (s < DAY_S) {
        return TIME_UNSET;
    }
    if (s > INT64_MAX / SECOND_NS - 1) {
        return TIME_BAD;
    }
    *ret_ns = s * SECOND_NS + ns;
    return TIME_OK;
}

/* Seconds, ms, us or ns since 1970, by magnitude: seconds reach the year 5138, and none of the
 * finer units was that small since 1973. A fraction is one of that unit. */
static enum cell_time
epoch_time(struct cell c, int64_t *ret_ns)
{
    size_t at = 0;
    uint64_t v;
    int64_t fraction_ns = 0;
    if (!take_digits(c, &at, INT64_MAX, &v)) {
        return TIME_BAD;
    }
    if (take_char(c, &at, ".") && !take_fraction(c, &at, &fraction_ns)) {
        return TIME_BAD;
    }
    if (at < c.len) {
        return TIME_BAD;
    }
    int64_t unit = v < 100000000000         ? SECOND_NS
                   : v < 100000000000000    ? 1000000
                   : v < 100000000000000000 ? 1000
                                            : 1;
    if (v == 0 && fraction_ns == 0) {
        return TIME_UNSET;
    }
    if (v > (uint64_t)(INT64_MAX / unit - 1)) {
        return TIME_BAD;
    }
    *ret_ns = (int64_t)v * unit + fraction_ns / (SECOND_NS / unit);
    return TIME_OK;
}

enum cell_time
cell_time(struct cell c, int64_t *ret_ns, bool *ret_zoneless)
{
    *ret_zoneless = false;
    if (cell_is_absent(c)) {
        return TIME_NONE;
    }
    if (c.len > 4 && (c.at[4] == '-' || c.at[4] == '/')) {
        return date_time(c, ret_ns, ret_zoneless);
    }
    return epoch_time(c, ret_ns);
}

/* ---- addresses ------------------------------------------------------------------------------------ */

/* A whole number; negative when somebody stored it in 32 signed bits. */
static bool
number_address(struct cell c, struct bh_ip *ret_ip)
{
    uint64_t v;
    bool is_negative = c.len > 1 && c.at[0] == '-';
    if (is_negative) {
        c = (struct cell){ c.at + 1, c.len - 1 };
    }
    if (!cell_number(c, is_negative ? (uint64_t)1 << 31 : UINT32_MAX, &v)) {
        return false;
    }
    *ret_ip = bh_ip_from_v4(is_negative ? 0U - (uint32_t)v : (uint32_t)v);
    return true;
}

bool
cell_address(struct cell c, struct bh_ip *ret_ip)
{
    if (c.len > 2 && c.at[0] == '[' && c.at[c.len - 1] == ']') {
        c = (struct cell){ c.at + 1, c.len - 2 };
    }
    if (number_address(c, ret_ip)) {
        return true;
    }
    const char *zone = memchr(c.at, '%', c.len);
    if (zone != NULL) {
        c.len = (size_t)(zone - c.at);
    }
    if (!bh_ip_parse(c.at, c.len, ret_ip)) {
        return false;
    }
    /* How a socket of both families names an IPv4 peer: the packet was IPv4. */
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    if (ret_ip->family == 6 && memcmp(ret_ip->octets, mapped, sizeof mapped) == 0) {
        *ret_ip = bh_ip_from_v4(bh_get_be32(ret_ip->octets + 12));
    }
    return true;
}

/* ---- protocols and flags --------------------------------------------------------------------------- */

int
cell_proto(struct cell c)
{
    /* Nearly all rows. */
    if (cell_same(c, "tcp")) {
        return BH_PROTO_TCP;
    }
    if (cell_same(c, "udp")) {
        return BH_PROTO_UDP;
    }
    if (cell_same(c, "icmp")) {
        return BH_PROTO_ICMP;
    }
    uint64_t v;
    if (cell_number(c, 255, &v)) {
        return (int)v;
    }
    char word[24];
    if (c.len >= sizeof word) {
        return -1;
    }
    for (size_t i = 0; i < c.len; i++) {
        word[i] = lower(c.at[i]);
    }
    return bh_proto_number(word, c.len);
}

static bool
flag_word(struct cell w, unsigned *flags)
{
    static const struct {
        const char *name;
        unsigned flag;
    } words[] = { { "FIN", BH_TCP_FIN }, { "SYN", BH_TCP_SYN },  { "RST", BH_TCP_RST },
                  { "PSH", BH_TCP_PSH }, { "PUSH", BH_TCP_PSH }, { "ACK", BH_TCP_ACK },
                  { "URG", BH_TCP_URG }, { "ECE", BH_TCP_ECE },  { "ECN", BH_TCP_ECE },
                  { "CWR", BH_TCP_CWR } };
    for (size_t i = 0; i < BH_COUNT(words); i++) {
        if (cell_same(w, words[i].name)) {
            *flags |= words[i].flag;
            return true;
        }
    }
    return false;
}

/* "S", "SA", "[S.]": tcpdump's dot is ACK, W is CWR; wireshark fills with U+00B7 and '*'. */
static bool
flag_letters(struct cell c, unsigned *flags)
{
    static const char letters[] = "FSRPAUEC.W";
    static const unsigned values[] = { BH_TCP_FIN, BH_TCP_SYN, BH_TCP_RST, BH_TCP_PSH, BH_TCP_ACK,
                                       BH_TCP_URG, BH_TCP_ECE, BH_TCP_CWR, BH_TCP_ACK, BH_TCP_CWR };
    for (size_t i = 0; i < c.len; i++) {
        char up = c.at[i] >= 'a' && c.at[i] <= 'z' ? (char)(c.at[i] - ('a' - 'A')) : c.at[i];
        if (up == '\0') {
            return false;
        }
        if (strchr("[]*\xc2\xb7", up) != NULL) {
            continue;
        }
        const char *found = strchr(letters, up);
        if (found == NULL) {
            return false;
        }
        *flags |= values[found - letters];
    }
    return true;
}

static bool
flag_number(struct cell c, unsigned *flags)
{
    uint64_t v = 0;
    if (c.len > 2 && c.at[0] == '0' && lower(c.at[1]) == 'x' && c.len <= 6) {
        for (size_t i = 2; i < c.len; i++) {
            char d = lower(c.at[i]);
            if (!is_digit(d) && (d < 'a' || d > 'f')) {
                return false;
            }
            v = v * 16 + (uint64_t)(is_digit(d) ? d - '0' : d - 'a' + 10);
        }
    } else if (!cell_number(c, 4095, &v)) {
        return false;
    }
    *flags = (unsigned)(v & 255); /* above: reserved bits, sometimes exported with them */
    return v <= 4095;
}

bool
cell_flags(struct cell c, uint8_t *ret_flags)
{
    unsigned flags = 0;
    bool good = flag_number(c, &flags);
    if (!good) {
        /* "SYN", "SYN,ACK", "SYN ACK", "SYN|ACK" - or letters. */
        good = c.len >= 3;
        for (size_t at = 0; good && at < c.len;) {
            size_t n = 0;
            while (at + n < c.len && strchr(" ,|+/;", c.at[at + n]) == NULL) {
                n++;
            }
            good = n == 0 || flag_word((struct cell){ c.at + at, n }, &flags);
            at += n + 1;
        }
    }
    if (!good) {
        flags = 0;
        good = flag_letters(c, &flags);
    }
    *ret_flags = (uint8_t)flags;
    return good;
}
