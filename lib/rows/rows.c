/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Records as lines. A line is made in one buffer that is long enough for any: values of fixed types are
 * written in place, names are looked at octet by octet and escaped aside when they need it.
 */
#include "rows_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "bh_put.h"

#define NAME_MAX_LEN 512U /* octets of a name, escaped; what is longer is cut */
/* A line: every column its key, its quotes, and the longest value. */
#define LINE_SIZE ((size_t)BH_COLUMNS_MAX_ROWS * (NAME_MAX_LEN + 64U) + 64U)

struct rows_column {
    struct bh_column column;
    char before[64]; /* of JSON: ,"key": */
    size_t before_len;
    unsigned width; /* of text */
    bool is_quoted; /* of JSON */
};

struct bh_rows {
    struct bh_rows_config cfg;
    struct bh_sight *sight;
    struct bh_clock clock;
    unsigned digits; /* of a second, in lines as tcpdump has them */
    struct rows_column column[BH_COLUMNS_MAX_ROWS];
    uint64_t written;
    struct bh_buf aside;
    char line[LINE_SIZE];
};

/* ---- names --------------------------------------------------------------------------------------------- */

/* Nothing that any form escapes. */
static bool
is_plain(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || (i > 0 && (c == ' ' || c == '-' || c == '.')))) {
            return false;
        }
    }
    return true;
}

static char *
put_name(struct bh_rows *r, char *at, const char *name)
{
    size_t len = strlen(name);
    if (len <= 256 && is_plain(name, len)) {
        return bh_put_text(at, name, len);
    }
    r->aside.len = 0;
    len = len < 256 ? len : 256;
    if (r->cfg.form == BH_ROWS_NDJSON) {
        bh_buf_put_json(&r->aside, name, len);
    } else {
        struct bh_buf safe = { 0 };
        bh_buf_put_safe(&safe, name, len);
        if (r->cfg.form == BH_ROWS_CSV) {
            bh_csv_put(&r->aside, safe.data == NULL ? "" : safe.data, safe.len);
        } else {
            bh_buf_add(&r->aside, safe.data, safe.len);
        }
        bh_buf_done(&safe);
    }
    if (r->aside.failed || r->aside.len > NAME_MAX_LEN + 2) {
        return at; /* a name of that many strange octets says nothing */
    }
    const bool quoted = r->cfg.form == BH_ROWS_NDJSON; /* its quotes are the column's */
    return bh_put_text(at, r->aside.data + quoted, r->aside.len - 2U * quoted);
}

static char *
put_value(struct bh_rows *r, char *at, enum bh_type type, const struct bh_value *v)
{
    return type == BH_TYPE_NAME ? put_name(r, at, v->name) : bh_value_put(at, type, v, &r->clock);
}

/* ---- columns ---------------------------------------------------------------------------------------------- */

static char *
put_json(struct bh_rows *r, char *at, uint32_t row)
{
    struct bh_value v;
    bool any = false;
    *at++ = '{';
    for (size_t i = 0; i < r->cfg.column_count; i++) {
        const struct rows_column *c = &r->column[i];
        bh_sight_get(r->sight, &c->column, row, &v);
        if (v.absent) {
            continue; /* no key */
        }
        at = bh_put_text(at, c->before + !any, c->before_len - !any);
        any = true;
        if (c->is_quoted) {
            *at++ = '"';
        }
        at = put_value(r, at, c->column.type, &v);
        if (c->is_quoted) {
            *at++ = '"';
        }
    }
    *at++ = '}';
    return at;
}

static char *
put_csv(struct bh_rows *r, char *at, uint32_t row)
{
    struct bh_value v;
    for (size_t i = 0; i < r->cfg.column_count; i++) {
        const struct bh_column *c = &r->column[i].column;
        if (i > 0) {
            *at++ = ',';
        }
        bh_sight_get(r->sight, c, row, &v);
        if (!v.absent) {
            at = put_value(r, at, c->type, &v);
        }
    }
    return at;
}

static char *
pad(char *from, char *at, size_t width)
{
    const size_t n = (size_t)(at - from), blanks = n < width ? width - n : 0;
    memset(at, ' ', blanks);
    return at + blanks;
}

static char *
put_aligned(struct bh_rows *r, char *at, uint32_t row)
{
    struct bh_value v;
    for (size_t i = 0; i < r->cfg.column_count; i++) {
        const struct rows_column *c = &r->column[i];
        char *from = at;
        bh_sight_get(r->sight, &c->column, row, &v);
        at = v.absent ? BH_PUT(at, "-") : put_value(r, at, c->column.type, &v);
        if (i + 1 < r->cfg.column_count) {
            if (c->column.type == BH_TYPE_NAME && c->width > (size_t)(at - from)) {
                *at = '\0'; /* characters may be wide, and octets are not columns */
                const size_t shown = bh_text_width(from);
                at = pad(at, at, shown < c->width ? c->width - shown : 0);
            } else {
                at = pad(from, at, c->width);
            }
            at = BH_PUT(at, "  ");
        }
    }
    return at;
}

/* ---- lines as tcpdump has them ------------------------------------------------------------------------------- */

static bool
has_ports(const struct bh_batch *b, uint32_t row)
{
    return (b->proto[row] == BH_PROTO_TCP || b->proto[row] == BH_PROTO_UDP) &&
           (b->marks[row] & BH_MARK_NO_PORTS) == 0;
}

static char *
put_ip(char *at, const struct bh_batch *b, uint32_t row, bool is_src)
{
    if (b->kind[row] != BH_KIND_IP6) {
        return bh_put_v4(at, is_src ? b->src[row] : b->dst[row]);
    }
    const struct bh_ip6_pair *p = &b->ip6[b->src[row]];
    const struct bh_ip ip =
        is_src ? bh_ip_from_v6(p->src_hi, p->src_lo) : bh_ip_from_v6(p->dst_hi, p->dst_lo);
    return at + bh_ip_format(&ip, at);
}

/* "JP 203.0.113.9.4321", as tcpdump has it; "-- fe80::1.53" */
static char *
put_end(const struct bh_rows *r, char *at, uint32_t row, bool is_src)
{
    const struct bh_sight *s = r->sight;
    const struct bh_batch *b = s->batch;
    const uint16_t value = is_src ? s->src_value[row] : s->dst_value[row];
    const char *code = s->places[value < s->place_count ? value : 0].code;
    const bool is_country =
        code[0] >= 'A' && code[0] <= 'Z' && code[1] >= 'A' && code[1] <= 'Z' && code[2] == '\0';
    at = is_country ? bh_put_text(at, code, 2) : BH_PUT(at, "--");
    *at++ = ' ';
    at = put_ip(at, b, row, is_src);
    if (has_ports(b, row)) {
        *at++ = '.';
        at = bh_put_uint(at, is_src ? bh_batch_src_port(b, row) : bh_batch_dst_port(b, row));
    }
    return at;
}

static char *
put_transport(char *at, const struct bh_batch *b, uint32_t row)
{
    char buf[8];
    const char *name = bh_proto_name(b->proto[row], buf);
    at = bh_put_text(at, name, strlen(name));
    if ((b->marks[row] & BH_MARK_NO_PORTS) != 0) {
        return at;
    }
    if (b->proto[row] == BH_PROTO_TCP && (b->marks[row] & BH_MARK_NO_FLAGS) == 0) {
        const struct bh_value v = { .number = b->tcp_flags[row] };
        *at++ = ' ';
        return bh_value_put(at, BH_TYPE_FLAGS, &v, NULL);
    }
    if (b->proto[row] == BH_PROTO_ICMP || b->proto[row] == BH_PROTO_ICMP6) {
        *at++ = ' ';
        at = bh_put_uint(at, bh_batch_src_port(b, row));
        *at++ = '/';
        at = bh_put_uint(at, bh_batch_dst_port(b, row));
    }
    return at;
}

static char *
put_word(char *at, const char *word)
{
    *at++ = ' ';
    return bh_put_text(at, word, strlen(word));
}

static char *
put_marks(char *at, const struct bh_batch *b, uint32_t row)
{
    const unsigned marks = b->marks[row];
    at = (marks & BH_MARK_FRAGMENT) != 0 ? BH_PUT(at, " fragment") : at;
    at = (marks & BH_MARK_TRUNCATED) != 0 ? BH_PUT(at, " cut") : at;
    if (b->reason[row] != BH_REASON_NONE) {
        at = put_word(at, bh_reason_name(b->reason[row]));
    }
    return at;
}

static char *
put_packet(struct bh_rows *r, char *at, uint32_t row)
{
    const struct bh_sight *s = r->sight;
    const struct bh_batch *b = s->batch;
    char *from = at;
    at = pad(from, put_end(r, at, row, true), 24);
    at = BH_PUT(at, " > ");
    from = at;
    at = BH_PUT(pad(from, put_end(r, at, row, false), 21), "  ");
    from = at;
    at = BH_PUT(pad(from, put_transport(at, b, row), 9), " ");
    from = at;
    at = pad(from, bh_put_uint(at, b->ip_len[row]), 4);
    at = put_marks(at, b, row);
    if (b->cls[row] != BH_CLASS_NONE) {
        at = put_word(at, bh_class_name(b->cls[row]));
    }
    if (b->outcome[row] != BH_OUTCOME_NONE) {
        at = put_word(at, bh_outcome_name(b->outcome[row]));
    }
    if (b->has_weight && b->weight[row] != 1) {
        at = BH_PUT(at, " x");
        at = bh_put_uint(at, b->weight[row]);
    }
    const uint16_t value = s->far_value[row];
    const struct place *p = &s->places[value < s->place_count ? value : 0];
    at = BH_PUT(at, "  ");
    return put_name(r, at, p->name);
}

static char *
put_arp(char *at, const struct bh_batch *b, uint32_t row)
{
    at = BH_PUT(at, "-- ");
    at = put_ip(at, b, row, true);
    at = BH_PUT(at, " > -- ");
    at = put_ip(at, b, row, false);
    at = b->ports[row] == 1   ? BH_PUT(at, "  arp request")
         : b->ports[row] == 2 ? BH_PUT(at, "  arp reply")
                              : BH_PUT(at, "  arp");
    return put_marks(at, b, row);
}

static char *
put_other(char *at, const struct bh_batch *b, uint32_t row)
{
    at = BH_PUT(at, "--");
    if ((b->want & BH_WANT_COLD) != 0 && b->ethertype[row] != 0) {
        char text[16];
        int n = snprintf(text, sizeof text, " 0x%04x", b->ethertype[row]);
        at = bh_put_text(at, text, (size_t)n);
    }
    return put_marks(at, b, row);
}

static char *
put_tcpdump(struct bh_rows *r, char *at, uint32_t row)
{
    const struct bh_batch *b = r->sight->batch;
    if ((b->marks[row] & BH_MARK_BAD_TIME) != 0) {
        at = BH_PUT(at, "(no time)");
    } else {
        if (BH_UNLIKELY(b->ts_ns[row] % 1000 != 0)) {
            r->digits = 9; /* and all that follow, or the columns would jump */
        }
        at = bh_clock_put(&r->clock, at, b->ts_ns[row], r->digits);
    }
    at = BH_PUT(at, "  ");
    return b->kind[row] >= BH_KIND_IP4   ? put_packet(r, at, row)
           : b->kind[row] == BH_KIND_ARP ? put_arp(at, b, row)
                                         : put_other(at, b, row);
}

/* ---- the object ------------------------------------------------------------------------------------------------ */

static bool
is_tcpdump(const struct bh_rows_config *cfg)
{
    return cfg->form == BH_ROWS_TEXT && cfg->column_count == 0;
}

uint32_t
bh_rows_needs(const struct bh_rows_config *cfg)
{
    uint32_t needs = is_tcpdump(cfg) ? BH_NEEDS_SRC_COUNTRY | BH_NEEDS_DST_COUNTRY |
                                           BH_NEEDS_FAR_COUNTRY | BH_NEEDS_NEAR | BH_NEEDS_SRC_PORT
                                     : 0U;
    for (size_t i = 0; i < cfg->column_count; i++) {
        needs |= cfg->columns[i].needs;
    }
    return needs;
}

static void
set_column(struct rows_column *to, const struct bh_column *c)
{
    static const unsigned widths[] = {
        [BH_TYPE_TIME] = 32, [BH_TYPE_ADDRESS] = 15, [BH_TYPE_UINT] = 5, [BH_TYPE_BOOL] = 5,
        [BH_TYPE_NAME] = 8,  [BH_TYPE_FLAGS] = 5,    [BH_TYPE_MAC] = 17,
    };
    const unsigned header = (unsigned)strlen(c->name);
    to->column = *c;
    to->width = widths[c->type] > header ? widths[c->type] : header;
    to->is_quoted = c->type != BH_TYPE_UINT && c->type != BH_TYPE_BOOL;
    int n = snprintf(to->before, sizeof to->before, ",\"%s\":", c->name);
    to->before_len = (size_t)n;
}

static int
put_header(struct bh_rows *r)
{
    char *at = r->line;
    for (size_t i = 0; i < r->cfg.column_count; i++) {
        const struct rows_column *c = &r->column[i];
        const bool last = i + 1 == r->cfg.column_count;
        char *from = at;
        at = bh_put_text(at, c->column.name, strlen(c->column.name));
        if (r->cfg.form == BH_ROWS_TEXT && !last) {
            at = BH_PUT(pad(from, at, c->width), "  ");
        } else if (!last) {
            *at++ = ',';
        }
    }
    *at++ = '\n';
    return bh_out_write(r->cfg.out, r->line, (size_t)(at - r->line));
}

int
bh_rows_new(const struct bh_rows_config *cfg, struct bh_rows **ret, struct bh_error *err)
{
    struct bh_rows *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
    }
    r->cfg = *cfg;
    r->digits = 6;
    bh_clock_init(&r->clock);
    for (size_t i = 0; i < cfg->column_count; i++) {
        set_column(&r->column[i], &cfg->columns[i]);
    }
    int code =
        bh_sight_new(cfg->countries, cfg->lang, bh_rows_needs(cfg), cfg->anonymize, &r->sight, err);
    if (code == 0 && cfg->column_count > 0 && cfg->form != BH_ROWS_NDJSON) {
        code = put_header(r); /* an error shows again at the first row */
        code = 0;
    }
    if (code != 0) {
        bh_rows_free(r);
        return code;
    }
    *ret = r;
    return 0;
}

void
bh_rows_free(struct bh_rows *r)
{
    if (r != NULL) {
        bh_sight_free(r->sight);
        bh_buf_done(&r->aside);
        free(r);
    }
}

int
bh_rows_put(struct bh_rows *r, struct bh_batch *b)
{
    const bool tcpdump = is_tcpdump(&r->cfg);
    bh_sight_set(r->sight, b);
    for (uint32_t row = 0; row < b->rows; row++) {
        if (b->counted[row] == 0) {
            continue;
        }
        if (r->cfg.most > 0 && r->written == r->cfg.most) {
            return 1;
        }
        char *at = tcpdump                         ? put_tcpdump(r, r->line, row)
                   : r->cfg.form == BH_ROWS_NDJSON ? put_json(r, r->line, row)
                   : r->cfg.form == BH_ROWS_CSV    ? put_csv(r, r->line, row)
                                                   : put_aligned(r, r->line, row);
        *at++ = '\n';
        r->written++;
        int code = bh_out_write(r->cfg.out, r->line, (size_t)(at - r->line));
        if (code != 0) {
            return code;
        }
    }
    return r->cfg.most > 0 && r->written == r->cfg.most ? 1 : 0;
}
