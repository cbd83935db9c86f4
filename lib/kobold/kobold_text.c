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
#include "kobold_text_priv.h"

#include <errno.h>
#include <stdlib.h>

#define NOTICES_MAX 5 /* per input; the rest is counted */

static struct trouble
bad_country(void)
{
    return TROUBLE("no two-letter country code where one should be; correct or delete the line",
                   "2文字の国コードがあるべき所にありません。行を直すか消してください");
}

static void
take(struct parser *p, const struct line *l, int family, struct kobold_addr start,
     struct kobold_addr end, int code)
{
    struct kobold_range range = { .start = start, .end = end, .line = l->number };
    range.code = (uint16_t)code;
    ranges_add(&p->source->ranges[family == 6], &range);
    p->source->input.ranges++;
}

/* ---- dates ------------------------------------------------------------------------------------- */

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

/* Which number has this name? -1: none. */
static int
word_index(const char *(*name_of)(int), struct field f)
{
    for (int i = 1; name_of(i)[0] != '\0'; i++) {
        if (is_word(f, name_of(i))) {
            return i;
        }
    }
    return -1;
}

/* Registry, status and day of a block. IANA's own file has the registry it gave a block to where
 * others have a status. */
static void
take_rir_details(struct parser *p, const struct line *l, struct kobold_range *range)
{
    uint64_t day;
    int registry = word_index(kobold_registry_name, l->fields[0]);
    int status = word_index(kobold_status_name, l->fields[6]);
    int given_to = status < 0 ? word_index(kobold_registry_name, l->fields[6]) : -1;
    if (given_to > 0) {
        registry = given_to;
        status = given_to == KOBOLD_REGISTRY_IANA || given_to == KOBOLD_REGISTRY_IETF
                     ? KOBOLD_STATUS_RESERVED
                     : KOBOLD_STATUS_DELEGATED;
    }
    range->registry = (uint8_t)(registry < 0 ? 0 : registry);
    range->status = (uint8_t)(status < 0 ? 0 : status);
    range->day = parse_uint(l->fields[5], &day) ? days_of_day(day) : 0;
    p->source->has_details = true;
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
    struct kobold_range range = { .start = start, .end = end, .line = l->number };
    take_rir_details(p, l, &range);
    if (range.status != KOBOLD_STATUS_ALLOCATED && range.status != KOBOLD_STATUS_ASSIGNED) {
        ranges_add(&p->source->notes[!is_v4], &range);
        input->unused++;
        return FINE;
    }
    int code = parse_country(input, l->fields[1]);
    if (code < 0) {
        return bad_country();
    }
    range.code = (uint16_t)code;
    ranges_add(&p->source->ranges[!is_v4], &range);
    input->ranges++;
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
    int code = parse_country(&p->source->input, l->fields[p->country_column]);
    if (code == COUNTRY_NOBODY || code == COUNTRY_EMPTY) {
        p->source->input.unused++;
        return FINE;
    }
    if (code < 0) {
        return bad_country();
    }
    take(p, l, family, start, end, code);
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
    int code = parse_country(&p->source->input, l->fields[p->country_column]);
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
    take(p, l, family, start, end, code);
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
    int code = parse_country(&p->source->input, l->fields[is_prefix_first]);
    if (code < 0) {
        return bad_country();
    }
    take(p, l, family, start, end, code);
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

void
say_trouble(struct kobold_build *b, const char *name, const struct kobold_input *input,
            uint32_t line, const struct trouble *t)
{
    if (b->notice == NULL || input->broken > NOTICES_MAX) {
        return;
    }
    struct bh_error e;
    bh_error_set(&e, BH_EFORMAT, name, "%s", "%s", "");
    memcpy(e.text[BH_EN], t->text[BH_EN], strlen(t->text[BH_EN]) + 1);
    memcpy(e.text[BH_JA], t->text[BH_JA], strlen(t->text[BH_JA]) + 1);
    e.line = line;
    b->notice(b->notice_arg, &e);
}

/* A picture or an archive would be broken lines by the hundred. */
int
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

void
skip_mark(const char **text, size_t *size)
{
    if (*size >= 3 && memcmp(*text, "\xef\xbb\xbf", 3) == 0) {
        *text += 3;
        *size -= 3;
    }
}

int
text_parse(struct kobold_build *b, struct kobold_source *s, const char *text, size_t size,
           enum kobold_format format, struct bh_error *err)
{
    if (format == KOBOLD_FORMAT_MMDB || is_mmdb(text, size)) {
        return mmdb_parse(s, text, size, err);
    }
    int r = check_text(s->name, text, size, err);
    if (r < 0) {
        return r;
    }
    skip_mark(&text, &size);
    if (format == KOBOLD_FORMAT_IANA || (format == KOBOLD_FORMAT_AUTO && is_iana(text, size))) {
        return iana_parse(b, s, text, size, err);
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
    for (;;) {
        if (format == KOBOLD_FORMAT_RANGE && p.country_column == 2) {
            uint32_t taken = scan_ranges(s, &text, &size, l.number);
            l.number += taken;
            is_first &= taken == 0;
        }
        if (!next_line(&text, &size, &l)) {
            break;
        }
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
            say_trouble(b, s->name, &s->input, l.number, &t);
        }
    }
    if (s->ranges[0].failed || s->ranges[1].failed || s->notes[0].failed || s->notes[1].failed) {
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
