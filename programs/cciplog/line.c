/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines by the million: what is the same for many records is made once (names of countries ready
 * for JSON and CSV, flags, the calendar day, the offset of the zone), the rest is written digit by
 * digit into one buffer. No line is longer than LINE_MAX_LEN, so that one test per record is enough.
 *
 * Keys and headers are names of the event schema; the country columns are this program's, which
 * is the stage that knows them (schema.c).
 */
#include "line.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "bh_put.h"
#include "bh_zone.h"

#define BUFFER_SIZE ((size_t)256 << 10)
#define LINE_MAX_LEN 2048U
#define NAME_MAX_LEN 256U /* a country's name, quoted for its form; longer ones are left out */

struct place {
    char code[8]; /* "JP"; "--" special use, "??" unallocated */
    uint8_t code_len;
    bool has_country;
    uint16_t name_len;
    char name[NAME_MAX_LEN]; /* as the form wants it */
};

struct lines {
    int fd;
    int failed;
    enum line_form form;
    bool has_home;
    const kobold *countries;
    struct bh_clock clock;
    unsigned digits; /* of a second, in text: 6, and 9 from the first record that needs them */
    size_t len;
    unsigned place_count;
    struct place *places; /* by Kobold value */
    char flags[256][12];
    uint8_t flags_len[256];
    uint16_t src_place[BH_BATCH_STRIDE], dst_place[BH_BATCH_STRIDE];
    char buffer[BUFFER_SIZE];
};

/* ---- pieces ---------------------------------------------------------------------------------------- */

static char *
put_v6(char *at, uint64_t hi, uint64_t lo)
{
    struct bh_ip ip = bh_ip_from_v6(hi, lo);
    return at + bh_ip_format(&ip, at);
}

static char *
put_address(char *at, const struct bh_batch *b, uint32_t row, bool is_src)
{
    if (b->kind[row] == BH_KIND_IP4) {
        return bh_put_v4(at, is_src ? b->src[row] : b->dst[row]);
    }
    const struct bh_ip6_pair *p = &b->ip6[b->src[row]];
    return is_src ? put_v6(at, p->src_hi, p->src_lo) : put_v6(at, p->dst_hi, p->dst_lo);
}

static bool
is_tcp_or_udp(const struct bh_batch *b, uint32_t row)
{
    return b->proto[row] == BH_PROTO_TCP || b->proto[row] == BH_PROTO_UDP;
}

static bool
has_ports(const struct bh_batch *b, uint32_t row)
{
    return (b->marks[row] & BH_MARK_NO_PORTS) == 0;
}

static bool
has_flags(const struct bh_batch *b, uint32_t row)
{
    return b->proto[row] == BH_PROTO_TCP &&
           (b->marks[row] & (BH_MARK_NO_PORTS | BH_MARK_NO_FLAGS)) == 0;
}

/* ---- text ------------------------------------------------------------------------------------------- */

/* "JP 203.0.113.9:4321", "-- [fe80::1]:53" */
static char *
put_end(char *at, const struct lines *l, const struct bh_batch *b, uint32_t row, bool is_src)
{
    const struct place *p = &l->places[is_src ? l->src_place[row] : l->dst_place[row]];
    bool has_port = is_tcp_or_udp(b, row) && has_ports(b, row);
    bool is_v6 = b->kind[row] == BH_KIND_IP6;
    at = bh_put_text(at, p->code, p->code_len);
    *at++ = ' ';
    if (has_port && is_v6) {
        *at++ = '[';
    }
    at = put_address(at, b, row, is_src);
    if (has_port) {
        if (is_v6) {
            *at++ = ']';
        }
        *at++ = ':';
        at = bh_put_uint(at, is_src ? bh_batch_src_port(b, row) : bh_batch_dst_port(b, row));
    }
    return at;
}

static char *
pad(char *from, char *at, size_t width)
{
    size_t n = (size_t)(at - from);
    size_t blanks = n < width ? width - n : 0;
    memset(at, ' ', blanks);
    return at + blanks;
}

static char *
put_marks(char *at, const struct bh_batch *b, uint32_t row)
{
    if ((b->marks[row] & BH_MARK_FRAGMENT) != 0) {
        at = BH_PUT(at, " fragment");
    }
    if ((b->marks[row] & BH_MARK_TRUNCATED) != 0) {
        at = BH_PUT(at, " cut");
    }
    if ((b->marks[row] & BH_MARK_MALFORMED) != 0) {
        const char *name = bh_reason_name(b->reason[row]);
        at = BH_PUT(at, " malformed:");
        at = bh_put_text(at, name, strlen(name));
    }
    return at;
}

static char *
put_transport(char *at, const struct lines *l, const struct bh_batch *b, uint32_t row)
{
    char *from = at;
    switch (b->proto[row]) {
    case BH_PROTO_TCP:
        at = BH_PUT(at, "TCP ");
        if (has_flags(b, row)) {
            at = bh_put_text(at, l->flags[b->tcp_flags[row]], l->flags_len[b->tcp_flags[row]]);
        }
        break;
    case BH_PROTO_UDP:
        at = BH_PUT(at, "UDP");
        break;
    default:
        at = b->proto[row] == BH_PROTO_ICMP ? BH_PUT(at, "ICMP ") : BH_PUT(at, "ICMP6 ");
        if (has_ports(b, row)) {
            at = bh_put_uint(at, bh_batch_src_port(b, row));
            *at++ = '/';
            at = bh_put_uint(at, bh_batch_dst_port(b, row));
        }
    }
    return pad(from, at, 11); /* "ICMP6 135/0" */
}

static char *
put_text(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    if ((b->marks[row] & BH_MARK_BAD_TIME) != 0) {
        at = BH_PUT(at, "(no time)");
    } else {
        if (BH_UNLIKELY(b->ts_ns[row] % 1000 != 0)) {
            l->digits = 9; /* and all that follow, or the columns would jump */
        }
        at = bh_clock_put(&l->clock, at, b->ts_ns[row], l->digits);
    }
    at = BH_PUT(at, "  ");
    char *from = at;
    at = pad(from, put_end(at, l, b, row, true), 24);
    at = BH_PUT(at, " > ");
    from = at;
    at = pad(from, put_end(at, l, b, row, false), 24);
    at = BH_PUT(at, "  ");
    at = put_transport(at, l, b, row);
    at = BH_PUT(at, " len ");
    at = bh_put_uint(at, b->ip_len[row]);
    return put_marks(at, b, row);
}

/* ---- columns of JSON and CSV ---------------------------------------------------------------------------- */

/* Each writes its value, or nothing when the record does not have it. */
struct column {
    const char *name;
    bool is_schema; /* else: of this program      */
    bool is_quoted; /* a text, in JSON            */
    bool needs_home;
    char *(*put)(char *at, struct lines *l, const struct bh_batch *b, uint32_t row);
};

static char *
column_time(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    if ((b->marks[row] & BH_MARK_BAD_TIME) != 0) {
        return at;
    }
    return bh_clock_put(&l->clock, at, b->ts_ns[row], bh_clock_digits(b->ts_ns[row]));
}

static char *
column_src(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    (void)l;
    return put_address(at, b, row, true);
}

static char *
column_dst(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    (void)l;
    return put_address(at, b, row, false);
}

static char *
put_code(char *at, const struct place *p)
{
    return p->has_country ? bh_put_text(at, p->code, p->code_len) : at;
}

static char *
column_src_country(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    (void)b;
    return put_code(at, &l->places[l->src_place[row]]);
}

static char *
column_dst_country(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    (void)b;
    return put_code(at, &l->places[l->dst_place[row]]);
}

static char *
column_src_name(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    (void)b;
    return bh_put_text(at, l->places[l->src_place[row]].name,
                       l->places[l->src_place[row]].name_len);
}

static char *
column_dst_name(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    (void)b;
    return bh_put_text(at, l->places[l->dst_place[row]].name,
                       l->places[l->dst_place[row]].name_len);
}

static char *
column_proto(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    (void)l;
    return b->proto[row] == BH_PROTO_TCP    ? BH_PUT(at, "tcp")
           : b->proto[row] == BH_PROTO_UDP  ? BH_PUT(at, "udp")
           : b->proto[row] == BH_PROTO_ICMP ? BH_PUT(at, "icmp")
                                            : BH_PUT(at, "ipv6-icmp");
}

static char *
column_src_port(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    (void)l;
    return is_tcp_or_udp(b, row) && has_ports(b, row) ? bh_put_uint(at, bh_batch_src_port(b, row))
                                                      : at;
}

static char *
column_dst_port(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    (void)l;
    return is_tcp_or_udp(b, row) && has_ports(b, row) ? bh_put_uint(at, bh_batch_dst_port(b, row))
                                                      : at;
}

static char *
column_icmp_type(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    (void)l;
    return !is_tcp_or_udp(b, row) && has_ports(b, row) ? bh_put_uint(at, bh_batch_src_port(b, row))
                                                       : at;
}

static char *
column_icmp_code(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    (void)l;
    return !is_tcp_or_udp(b, row) && has_ports(b, row) ? bh_put_uint(at, bh_batch_dst_port(b, row))
                                                       : at;
}

static char *
column_flags(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    uint8_t flags = b->tcp_flags[row];
    return has_flags(b, row) ? bh_put_text(at, l->flags[flags], l->flags_len[flags]) : at;
}

static char *
column_ip_len(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    (void)l;
    return bh_put_uint(at, b->ip_len[row]);
}

static char *
column_fragment(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    (void)l;
    return (b->marks[row] & BH_MARK_FRAGMENT) != 0 ? BH_PUT(at, "true") : at;
}

static char *
column_truncated(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    (void)l;
    return (b->marks[row] & BH_MARK_TRUNCATED) != 0 ? BH_PUT(at, "true") : at;
}

static char *
column_reason(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    (void)l;
    const char *name = bh_reason_name(b->reason[row]);
    return b->reason[row] != BH_REASON_NONE ? bh_put_text(at, name, strlen(name)) : at;
}

static char *
column_direction(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    static const char *const names[] = { "", "in", "out", "local", "transit" };
    (void)l;
    unsigned d = b->direction[row];
    return d < BH_COUNT(names) ? bh_put_text(at, names[d], strlen(names[d])) : at;
}

static char *
column_class(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    (void)l;
    const char *name = bh_class_name(b->cls[row]);
    return b->cls[row] != BH_CLASS_NONE ? bh_put_text(at, name, strlen(name)) : at;
}

static const struct column columns[] = {
    { "time", true, true, false, column_time },
    { "src", true, true, false, column_src },
    { "src_country", false, true, false, column_src_country },
    { "src_country_name", false, true, false, column_src_name },
    { "dst", true, true, false, column_dst },
    { "dst_country", false, true, false, column_dst_country },
    { "dst_country_name", false, true, false, column_dst_name },
    { "proto", true, true, false, column_proto },
    { "src_port", true, false, false, column_src_port },
    { "dst_port", true, false, false, column_dst_port },
    { "icmp_type", true, false, false, column_icmp_type },
    { "icmp_code", true, false, false, column_icmp_code },
    { "tcp_flags", true, true, false, column_flags },
    { "ip_len", true, false, false, column_ip_len },
    { "fragment", true, false, false, column_fragment },
    { "truncated", true, false, false, column_truncated },
    { "reason", true, true, false, column_reason },
    { "direction", true, true, true, column_direction },
    { "class", true, true, true, column_class },
};

static char *
put_json(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    *at++ = '{';
    bool is_first = true;
    for (size_t i = 0; i < BH_COUNT(columns); i++) {
        const struct column *c = &columns[i];
        if (c->needs_home && !l->has_home) {
            continue;
        }
        char *key = at;
        if (!is_first) {
            *at++ = ',';
        }
        *at++ = '"';
        at = bh_put_text(at, c->name, strlen(c->name));
        *at++ = '"';
        *at++ = ':';
        if (c->is_quoted) {
            *at++ = '"';
        }
        char *value = at;
        at = c->put(at, l, b, row);
        if (at == value) {
            at = key; /* absent: no key */
            continue;
        }
        if (c->is_quoted) {
            *at++ = '"';
        }
        is_first = false;
    }
    *at++ = '}';
    return at;
}

static char *
put_csv(char *at, struct lines *l, const struct bh_batch *b, uint32_t row)
{
    for (size_t i = 0; i < BH_COUNT(columns); i++) {
        if (columns[i].needs_home && !l->has_home) {
            continue;
        }
        if (i > 0) {
            *at++ = ',';
        }
        at = columns[i].put(at, l, b, row);
    }
    return at;
}

/* ---- start -------------------------------------------------------------------------------------------------- */

static void
name_for_csv(struct bh_buf *out, const char *name)
{
    /* A spreadsheet must not take it for a formula, whoever made the names. */
    bool is_formula = name[0] != '\0' && strchr("=+-@\t\r", name[0]) != NULL;
    bool is_quoted = strpbrk(name, ",\"\r\n") != NULL;
    bh_buf_puts(out, is_quoted ? "\"" : "");
    bh_buf_puts(out, is_formula ? "'" : "");
    for (const char *p = name; *p != '\0'; p++) {
        bh_buf_puts(out, *p == '"' ? "\"" : "");
        bh_buf_putc(out, *p);
    }
    bh_buf_puts(out, is_quoted ? "\"" : "");
}

static void
set_name(struct lines *l, struct place *p, const char *name)
{
    struct bh_buf out = { 0 };
    const char *from;
    size_t len;
    if (l->form == LINE_JSON) {
        bh_buf_put_json(&out, name, strlen(name));
        from = out.failed ? "" : out.data + 1; /* its quotes are the column's */
        len = out.failed ? 0 : out.len - 2;
    } else {
        name_for_csv(&out, name);
        from = out.failed || out.data == NULL ? "" : out.data;
        len = out.failed ? 0 : out.len;
    }
    if (len <= sizeof p->name) {
        memcpy(p->name, from, len);
        p->name_len = (uint16_t)len;
    }
    bh_buf_done(&out);
}

/* A code is of a file somebody else may have made. */
static bool
is_code(const char *code)
{
    return code[0] >= 'A' && code[0] <= 'Z' && code[1] >= 'A' && code[1] <= 'Z' && code[2] == '\0';
}

static void
set_place(struct lines *l, struct place *p, uint16_t value, enum bh_lang lang)
{
    struct kobold_value info;
    const char *code = "ZZ";
    p->name_len = 0;
    p->has_country = false;
    if (kobold_value_info(l->countries, value, &info)) {
        p->has_country =
            (info.kind == KOBOLD_COUNTRY || info.kind == KOBOLD_REGION) && is_code(info.code);
        code = p->has_country                    ? info.code
               : info.kind == KOBOLD_SPECIAL     ? "--"
               : info.kind == KOBOLD_UNALLOCATED ? "??"
                                                 : "ZZ";
    }
    p->code_len = 2;
    memcpy(p->code, code, 2);
    if (p->has_country) {
        const char *name = kobold_country_name(p->code, (int)lang);
        set_name(l, p, name != NULL ? name : "");
    }
}

static void
set_flags(struct lines *l)
{
    static const char letters[] = "FSRPAUEC"; /* the filter's words */
    for (unsigned flags = 0; flags < 256; flags++) {
        char *at = l->flags[flags];
        for (unsigned bit = 0; bit < 8; bit++) {
            if ((flags >> bit & 1) != 0) {
                *at++ = letters[bit];
            }
        }
        if (flags == 0) {
            at = BH_PUT(at, "none");
        }
        l->flags_len[flags] = (uint8_t)(at - l->flags[flags]);
    }
}

struct lines *
lines_new(int fd, enum line_form form, enum bh_lang lang, bool has_home, const kobold *k)
{
    struct lines *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return NULL;
    }
    l->fd = fd;
    l->form = form;
    l->has_home = has_home;
    l->countries = k;
    bh_clock_init(&l->clock);
    l->digits = 6;
    l->place_count = kobold_value_count(k);
    l->places = calloc(l->place_count > 0 ? l->place_count : 1, sizeof *l->places);
    if (l->places == NULL) {
        free(l);
        return NULL;
    }
    for (unsigned value = 0; value < l->place_count; value++) {
        set_place(l, &l->places[value], (uint16_t)value, lang);
    }
    set_flags(l);
    char *at = l->buffer;
    for (size_t i = 0; i < BH_COUNT(columns); i++) {
        assert(!columns[i].is_schema ||
               bh_field_find(columns[i].name, strlen(columns[i].name)) != NULL);
        if (form == LINE_CSV && (has_home || !columns[i].needs_home)) {
            at = i > 0 ? BH_PUT(at, ",") : at;
            at = bh_put_text(at, columns[i].name, strlen(columns[i].name));
        }
    }
    if (form == LINE_CSV) {
        *at++ = '\n';
    }
    l->len = (size_t)(at - l->buffer);
    return l;
}

void
lines_free(struct lines *l)
{
    if (l != NULL) {
        free(l->places);
        free(l);
    }
}

/* ---- a batch -------------------------------------------------------------------------------------------------- */

int
lines_flush(struct lines *l)
{
    size_t at = 0;
    while (l->failed == 0 && at < l->len) {
        ssize_t n = write(l->fd, l->buffer + at, l->len - at);
        if (n < 0 && errno != EINTR) {
            l->failed = -errno;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    l->len = 0;
    return l->failed;
}

/* Rows without an address are looked up too: whatever comes out is not used. */
static void
look_up(struct lines *l, const struct bh_batch *b)
{
    kobold_v4_many(l->countries, b->src, l->src_place, b->rows);
    kobold_v4_many(l->countries, b->dst, l->dst_place, b->rows);
    for (uint32_t row = 0; b->v6_rows > 0 && row < b->rows; row++) {
        if (b->kind[row] == BH_KIND_IP6) {
            const struct bh_ip6_pair *p = &b->ip6[b->src[row]];
            l->src_place[row] = kobold_v6(l->countries, p->src_hi, p->src_lo);
            l->dst_place[row] = kobold_v6(l->countries, p->dst_hi, p->dst_lo);
        }
    }
    for (uint32_t row = 0; row < b->rows; row++) {
        l->src_place[row] = l->src_place[row] < l->place_count ? l->src_place[row] : 0;
        l->dst_place[row] = l->dst_place[row] < l->place_count ? l->dst_place[row] : 0;
    }
}

static bool
is_shown(const struct bh_batch *b, uint32_t row)
{
    bool is_ip = b->kind[row] == BH_KIND_IP4 || b->kind[row] == BH_KIND_IP6;
    uint8_t proto = b->proto[row];
    return is_ip && (proto == BH_PROTO_TCP || proto == BH_PROTO_UDP || proto == BH_PROTO_ICMP ||
                     proto == BH_PROTO_ICMP6);
}

int
lines_put(struct lines *l, const struct bh_batch *b, const uint8_t *selected)
{
    look_up(l, b);
    for (uint32_t row = 0; row < b->rows; row++) {
        if ((selected != NULL && selected[row] == 0) || !is_shown(b, row)) {
            continue;
        }
        if (BUFFER_SIZE - l->len < LINE_MAX_LEN && lines_flush(l) < 0) {
            return l->failed;
        }
        char *from = l->buffer + l->len;
        char *at = l->form == LINE_TEXT   ? put_text(from, l, b, row)
                   : l->form == LINE_JSON ? put_json(from, l, b, row)
                                          : put_csv(from, l, b, row);
        *at++ = '\n';
        l->len += (size_t)(at - from);
    }
    return l->failed;
}
