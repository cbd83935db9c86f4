/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_text.c - texts of address ranges. Formats and their quirks:
 *
 *   rir     registry|cc|type|start|value|date|status[|opaque-id]: the registries' delegated and
 *           delegated-extended files. IPv4 value: a number of addresses, neither aligned nor a
 *           power of two; IPv6: a prefix length. A header line (version "2", "2.3"; its serial
 *           is a day, or seconds, or milliseconds since 1970), summary lines with "*", comments
 *           before or after the header, reserved and available blocks with an empty or "ZZ"
 *           country, IANA's file with a registry's name as status. Only allocated and assigned
 *           blocks have a country.
 *   range   start,end,cc: dotted, decimal or IPv6 text, quoted or not; tor's geoip and geoip6
 *           ("??" is unknown); "-" for "nobody".
 *   prefix  prefix,cc,...: RFC 8805 geofeeds (an empty country means "do not locate") and the
 *           tables of several vendors; a heading may name the country's column.
 *   list    cc TAB prefix, or prefix TAB cc.
 *
 * A line that cannot be read is counted, said and skipped: one bad line of 400000 must not
 * leave its reader without a database.
 */
#include "kobold_compile_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#define FIELDS_MAX 24
#define NOTICES_MAX 5 /* per input; the rest is counted */

struct field {
    const char *at;
    size_t len;
};

struct line {
    struct field whole;
    struct field fields[FIELDS_MAX];
    size_t count;
    uint32_t number;
};

/* What was wrong with a line, and what to do; NULLs: nothing. */
struct trouble {
    const char *text[BH_LANGS];
};

#define TROUBLE(en, ja) ((struct trouble){ { en, ja } })
#define FINE ((struct trouble){ { NULL, NULL } })

struct parser {
    struct kobold_build *build;
    struct kobold_source *source;
    enum kobold_format format;
    size_t country_column; /* of range and prefix tables; set by a heading */
};

/* ---- small pieces --------------------------------------------------------------------------- */

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct field
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

static bool
is_word(struct field f, const char *word)
{
    return f.len == strlen(word) && strncasecmp(f.at, word, f.len) == 0;
}

/* Split at `separator`, or at runs of blanks when it is ' '. */
static void
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

static bool
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

/* Returns 4 or 6, or 0. */
static int
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

/* An address as text, or as a decimal number (IPv4 when it fits 32 bits). */
static int
parse_address_or_number(struct field f, struct kobold_addr *ret)
{
    int family = parse_address(f, ret);
    if (family == 0 && parse_decimal(f, ret)) {
        family = ret->hi == 0 && ret->lo <= UINT32_MAX ? 4 : 6;
    }
    return family;
}

/* The last address of the block; false when bits are set beyond its length. */
static bool
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

static struct trouble
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

enum { COUNTRY_BROKEN = -1, COUNTRY_NOBODY = -2, COUNTRY_EMPTY = -3 };

/* A code, or one of the above. Letters that are no country become "unknown" and are counted. */
static int
parse_country(struct parser *p, struct field f)
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
    p->source->input.unknown_codes++;
    return CODE_UNKNOWN;
}

static struct trouble
bad_country(void)
{
    return TROUBLE("no two-letter country code where one should be; correct or delete the line",
                   "2文字の国コードがあるべき所にありません。行を直すか消してください");
}

static void
take(struct parser *p, int family, struct kobold_addr start, struct kobold_addr end, int code)
{
    ranges_add(&p->source->ranges[family == 6], start, end, (uint16_t)code);
    p->source->input.ranges++;
}

/* ---- dates ------------------------------------------------------------------------------------- */

static bool
is_day(uint64_t d)
{
    unsigned month = (unsigned)(d / 100 % 100);
    unsigned day = (unsigned)(d % 100);
    return d >= 19800101 && d <= 99991231 && month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

/* yyyymmdd of seconds since 1970 (days to civil date: Hinnant, "chrono-compatible low-level
 * date algorithms"). */
static uint32_t
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

/* version|registry|serial|records|startdate|enddate|UTCoffset. The end date is the day of the
 * data in every file met; the serial is a day, seconds or milliseconds. */
static void
take_rir_header(struct parser *p, const struct line *l)
{
    uint64_t v;
    uint32_t day = 0;
    if (parse_uint(l->fields[5], &v) && is_day(v)) {
        day = (uint32_t)v;
    } else if (parse_uint(l->fields[2], &v)) {
        day = is_day(v)                                 ? (uint32_t)v
              : v > 100000000000 && v < 253402300800000 ? day_of_seconds(v / 1000)
              : v > 100000000 && v < 253402300800       ? day_of_seconds(v)
                                                        : 0;
    }
    p->source->day = day;
}

static struct field
after(struct field line, const char *label)
{
    size_t n = strlen(label);
    if (line.len < n || strncmp(line.at, label, n) != 0) {
        return (struct field){ line.at, 0 };
    }
    return trim((struct field){ line.at + n, line.len - n });
}

static void
copy_field(char *to, size_t size, struct field f)
{
    size_t n = f.len < size - 1 ? f.len : size - 1;
    memcpy(to, f.at, n);
    to[n] = '\0';
}

/* "Thu, 25 Jun 2026 04:33:59 GMT" */
static uint32_t
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

/* The headings of tor's geoip files say whose data they are. */
static void
take_comment(struct parser *p, struct field line)
{
    struct kobold_source *s = p->source;
    line.at++;
    line.len--;
    line = trim(line);
    struct field f = after(line, "Generated:");
    if (f.len > 0 && s->day == 0) {
        s->day = parse_mail_date(f);
    }
    f = after(line, "License:");
    if (f.len > 0 && s->licence[0] == '\0') {
        copy_field(s->licence, sizeof s->licence, f);
    }
    f = after(line, "Vendor:");
    if (f.len > 0 && s->vendor[0] == '\0') {
        copy_field(s->vendor, sizeof s->vendor, f);
    }
}

/* ---- one line ------------------------------------------------------------------------------------ */

static struct trouble
parse_rir(struct parser *p, struct line *l)
{
    split(l, '|');
    struct kobold_input *input = &p->source->input;
    if (l->count > 1 && l->fields[0].len > 0 && is_digit(l->fields[0].at[0])) {
        if (l->count < 6) {
            return TROUBLE("header line with fewer than 6 fields; fetch the file again",
                           "ヘッダー行の欄が6個より少ないです。ファイルを取り直してください");
        }
        take_rir_header(p, l);
        return FINE;
    }
    if (l->count >= 6 && (is_word(l->fields[1], "*") || is_word(l->fields[5], "summary"))) {
        return FINE;
    }
    if (l->count < 7) {
        return TROUBLE(
            "fewer than 7 fields; the file may be cut: fetch it again",
            "欄が7個より少ないです。ファイルが途中で切れているかもしれません。取り直してください");
    }
    bool is_v4 = is_word(l->fields[2], "ipv4");
    if (!is_v4 && !is_word(l->fields[2], "ipv6")) {
        if (is_word(l->fields[2], "asn")) {
            input->unused++;
            return FINE;
        }
        return TROUBLE("type is none of ipv4, ipv6, asn; correct or delete the line",
                       "種類が ipv4, ipv6, asn のどれでもありません。行を直すか消してください");
    }
    struct kobold_addr start;
    struct kobold_addr end;
    uint64_t value;
    if (parse_address(l->fields[3], &start) != (is_v4 ? 4 : 6) ||
        !parse_uint(l->fields[4], &value)) {
        return TROUBLE("bad start or value; correct or delete the line",
                       "開始アドレスか個数が正しくありません。行を直すか消してください");
    }
    if (is_v4 ? value == 0 || value > UINT32_MAX - start.lo + 1
              : value > 128 || !block_end(6, start, (unsigned)value, &end)) {
        return TROUBLE("the block does not fit the address space or its length; "
                       "correct or delete the line",
                       "ブロックがアドレス空間または長さに合いません。行を直すか消してください");
    }
    if (is_v4) {
        end = (struct kobold_addr){ 0, start.lo + value - 1 };
    }
    if (!is_word(l->fields[6], "allocated") && !is_word(l->fields[6], "assigned")) {
        input->unused++;
        return FINE;
    }
    int code = parse_country(p, l->fields[1]);
    if (code < 0) {
        return bad_country();
    }
    take(p, is_v4 ? 4 : 6, start, end, code);
    return FINE;
}

static struct trouble
parse_range(struct parser *p, struct line *l)
{
    struct kobold_addr start;
    struct kobold_addr end;
    split(l, ',');
    if (l->count < 3) {
        return TROUBLE("fewer than 3 fields; write start,end,country",
                       "欄が3個より少ないです。開始,終了,国 と書いてください");
    }
    int family = parse_address_or_number(l->fields[0], &start);
    int end_family = parse_address_or_number(l->fields[1], &end);
    if (family == 0 || end_family == 0) {
        return TROUBLE("start or end is no address; correct or delete the line",
                       "開始または終了がアドレスではありません。行を直すか消してください");
    }
    if (family != end_family || addr_cmp(start, end) > 0) {
        return TROUBLE(
            "the end is before the start, or of another family; exchange or correct them",
            "終了が開始より前か、アドレスの種類が違います。入れ替えるか直してください");
    }
    if (l->count <= p->country_column) {
        return bad_country();
    }
    int code = parse_country(p, l->fields[p->country_column]);
    if (code == COUNTRY_NOBODY || code == COUNTRY_EMPTY) {
        p->source->input.unused++;
        return FINE;
    }
    if (code < 0) {
        return bad_country();
    }
    take(p, family, start, end, code);
    return FINE;
}

static struct trouble
parse_prefix_line(struct parser *p, struct line *l)
{
    struct kobold_addr start;
    struct kobold_addr end;
    int family;
    split(l, ',');
    if (l->count <= p->country_column) {
        return TROUBLE("no country field; write prefix,country",
                       "国の欄がありません。プレフィックス,国 と書いてください");
    }
    struct trouble t = parse_prefix(l->fields[0], &family, &start, &end);
    if (t.text[BH_EN] != NULL) {
        return t;
    }
    int code = parse_country(p, l->fields[p->country_column]);
    if (code == COUNTRY_EMPTY) {
        code = CODE_UNKNOWN; /* RFC 8805 2.1.1.2: the holder asks not to be located */
    }
    if (code == COUNTRY_NOBODY) {
        p->source->input.unused++;
        return FINE;
    }
    if (code < 0) {
        return bad_country();
    }
    take(p, family, start, end, code);
    return FINE;
}

static struct trouble
parse_list(struct parser *p, struct line *l)
{
    struct kobold_addr start;
    struct kobold_addr end;
    int family;
    split(l, ' ');
    if (l->count < 2) {
        return TROUBLE("fewer than 2 fields; write country TAB prefix",
                       "欄が2個より少ないです。国 タブ プレフィックス と書いてください");
    }
    bool is_prefix_first = l->fields[0].len > 2;
    struct trouble t = parse_prefix(l->fields[!is_prefix_first], &family, &start, &end);
    if (t.text[BH_EN] != NULL) {
        return t;
    }
    int code = parse_country(p, l->fields[is_prefix_first]);
    if (code < 0) {
        return bad_country();
    }
    take(p, family, start, end, code);
    return FINE;
}

/* ---- whole texts ------------------------------------------------------------------------------------ */

/* Which format would take this line? AUTO: none (a heading, or rubbish). */
static enum kobold_format
format_of_line(struct line *l)
{
    struct kobold_addr a;
    if (memchr(l->whole.at, '|', l->whole.len) != NULL) {
        split(l, '|');
        return l->count >= 6 ? KOBOLD_FORMAT_RIR : KOBOLD_FORMAT_AUTO;
    }
    if (memchr(l->whole.at, ',', l->whole.len) != NULL) {
        split(l, ',');
        if (l->count >= 3 && parse_address_or_number(l->fields[0], &a) != 0 &&
            parse_address_or_number(l->fields[1], &a) != 0) {
            return KOBOLD_FORMAT_RANGE;
        }
        struct field f = l->fields[0];
        const char *slash = memchr(f.at, '/', f.len);
        f.len = slash == NULL ? f.len : (size_t)(slash - f.at);
        return parse_address(f, &a) != 0 ? KOBOLD_FORMAT_PREFIX : KOBOLD_FORMAT_AUTO;
    }
    split(l, ' ');
    for (size_t i = 0; l->count >= 2 && i < 2; i++) {
        struct field f = l->fields[i];
        const char *slash = memchr(f.at, '/', f.len);
        f.len = slash == NULL ? f.len : (size_t)(slash - f.at);
        if (parse_address(f, &a) != 0 && l->fields[!i].len <= 2) {
            return KOBOLD_FORMAT_LIST;
        }
    }
    return KOBOLD_FORMAT_AUTO;
}

static bool
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

static enum kobold_format
detect(const char *text, size_t size)
{
    struct line l = { .number = 0 };
    while (next_line(&text, &size, &l)) {
        if (l.whole.len == 0 || l.whole.at[0] == '#') {
            continue;
        }
        enum kobold_format f = format_of_line(&l);
        if (f != KOBOLD_FORMAT_AUTO || l.number > 1000) {
            return f;
        }
    }
    return KOBOLD_FORMAT_AUTO;
}

/* The heading of a table names its columns; it may stand in the first line only. */
static bool
take_heading(struct parser *p, struct line *l)
{
    static const char *const words[] = { "country_code", "country_iso_code", "country_code2",
                                         "country",      "iso_code",         "cc",
                                         "code" };
    if (p->format != KOBOLD_FORMAT_RANGE && p->format != KOBOLD_FORMAT_PREFIX) {
        return false;
    }
    if (format_of_line(l) != KOBOLD_FORMAT_AUTO) {
        return false;
    }
    split(l, ',');
    bool is_heading = false;
    for (size_t w = 0; w < BH_COUNT(words) && !is_heading; w++) {
        for (size_t i = 1; i < l->count && !is_heading; i++) {
            if (is_word(l->fields[i], words[w])) {
                p->country_column = i;
                is_heading = true;
            }
        }
    }
    /* Names we do not know, but names: letters at the front, and no digit at all. */
    bool has_digit = false;
    for (size_t i = 0; i < l->whole.len; i++) {
        has_digit |= is_digit(l->whole.at[i]);
    }
    return is_heading || (l->count > 1 && !has_digit);
}

static struct trouble
parse_line(struct parser *p, struct line *l)
{
    switch (p->format) {
    case KOBOLD_FORMAT_RIR:
        return parse_rir(p, l);
    case KOBOLD_FORMAT_RANGE:
        return parse_range(p, l);
    case KOBOLD_FORMAT_PREFIX:
        return parse_prefix_line(p, l);
    default:
        return parse_list(p, l);
    }
}

static void
say(struct parser *p, const struct line *l, const struct trouble *t)
{
    struct kobold_build *b = p->build;
    if (b->notice == NULL || p->source->input.broken > NOTICES_MAX) {
        return;
    }
    struct bh_error e;
    bh_error_set(&e, BH_EFORMAT, p->source->name, "%s", "%s", "");
    memcpy(e.text[BH_EN], t->text[BH_EN], strlen(t->text[BH_EN]) + 1);
    memcpy(e.text[BH_JA], t->text[BH_JA], strlen(t->text[BH_JA]) + 1);
    e.line = l->number;
    b->notice(b->notice_arg, &e);
}

/* A picture or an archive would be broken lines by the hundred. */
static int
check_text(const char *name, const char *text, size_t size, struct bh_error *err)
{
    const char *nul = memchr(text, '\0', size);
    if (size == 0) {
        return bh_error_set(
            err, BH_EFORMAT, name,
            "the file is empty; give registry statistics, CSV, a geofeed or tor's geoip%s",
            "ファイルが空です。レジストリの統計、CSV、geofeed、tor の geoip を指定して"
            "ください%s",
            "");
    }
    if (nul == NULL) {
        return 0;
    }
    bh_error_set(
        err, BH_EFORMAT, name,
        "this is not text (a NUL octet); unpack it first if it is an archive (gzip is read "
        "as it is), write it as UTF-8 if it is a table%s",
        "テキストではありません (NUL があります)。圧縮ファイルなら先に展開し (gzip はそのまま"
        "読めます)、表なら UTF-8 で保存してください%s",
        "");
    if (err != NULL) {
        err->offset = (uint64_t)(nul - text);
        err->has_offset = true;
    }
    return BH_EFORMAT;
}

int
text_parse(struct kobold_build *b, struct kobold_source *s, const char *text, size_t size,
           enum kobold_format format, struct bh_error *err)
{
    int r = check_text(s->name, text, size, err);
    if (r < 0) {
        return r;
    }
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* byte order mark */
        text += 3;
        size -= 3;
    }
    if (format == KOBOLD_FORMAT_AUTO) {
        format = detect(text, size);
    }
    if (format == KOBOLD_FORMAT_AUTO) {
        return bh_error_set(
            err, BH_EFORMAT, s->name,
            "no line is of a format we know; see \"kobold compile --help\"%s",
            "知っている形式の行がありません。「kobold compile --help」を見てください%s", "");
    }
    struct parser p = { b, s, format, format == KOBOLD_FORMAT_RANGE ? 2 : 1 };
    struct line l = { .number = 0 };
    s->input.format = format;
    bool is_first = true;
    while (next_line(&text, &size, &l)) {
        if (l.whole.len == 0) {
            continue;
        }
        if (l.whole.at[0] == '#') {
            take_comment(&p, l.whole);
            continue;
        }
        bool is_heading = is_first && take_heading(&p, &l);
        is_first = false;
        if (is_heading) {
            continue;
        }
        struct trouble t = parse_line(&p, &l);
        if (t.text[BH_EN] != NULL) {
            s->input.broken++;
            say(&p, &l, &t);
        }
    }
    if (s->ranges[0].failed || s->ranges[1].failed) {
        return out_of_memory(err);
    }
    /* IANA's own file names no country, and is a registry file all the same. */
    bool is_good_rir = format == KOBOLD_FORMAT_RIR && s->input.unused > s->input.broken;
    if (s->input.ranges == 0 && !is_good_rir) {
        return bh_error_set(err, BH_EFORMAT, s->name,
                            "no line gives a country (%llu broken, %llu without country); "
                            "is this the right file, or --format?",
                            "国の分かる行がありません（壊れた行 %llu、国のない行 %llu）。"
                            "ファイルか --format が違いませんか",
                            (unsigned long long)s->input.broken,
                            (unsigned long long)s->input.unused);
    }
    return 0;
}
