/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What nfdump prints with -o csv (the 48 columns of old, the names of new releases: the header line
 * decides) and with -o json and -o json-log.
 *
 * NetFlow's flows have one direction, and all flags of all their segments in one. Who opened a
 * connection is told by pair.c, which sees both.
 */
#include "import_priv.h"

enum {
    N_TIME,
    N_LAST,
    N_SRC,
    N_DST,
    N_SPORT,
    N_DPORT,
    N_PROTO,
    N_FLAGS,
    N_PACKETS,
    N_BYTES,
    N_OUT_PACKETS,
    N_OUT_BYTES,
    N_TYPE,
    N_CODE,
    N_KIND,
};

/* Of one key the later one wins: addresses of IPv6 stand where those of IPv4 do not. */
static const struct keyed_name nfdump_names[] = {
    { "ts", N_TIME },
    { "firstSeen", N_TIME },
    { "first", N_TIME },
    { "t_first", N_TIME },
    { "te", N_LAST },
    { "lastSeen", N_LAST },
    { "last", N_LAST },
    { "t_last", N_LAST },
    { "sa", N_SRC },
    { "srcAddr", N_SRC },
    { "src4_addr", N_SRC },
    { "src6_addr", N_SRC },
    { "da", N_DST },
    { "dstAddr", N_DST },
    { "dst4_addr", N_DST },
    { "dst6_addr", N_DST },
    { "sp", N_SPORT },
    { "srcPort", N_SPORT },
    { "src_port", N_SPORT },
    { "dp", N_DPORT },
    { "dstPort", N_DPORT },
    { "dst_port", N_DPORT },
    { "pr", N_PROTO },
    { "proto", N_PROTO },
    { "flg", N_FLAGS },
    { "flags", N_FLAGS },
    { "tcp_flags", N_FLAGS },
    { "ipkt", N_PACKETS },
    { "packets", N_PACKETS },
    { "in_packets", N_PACKETS },
    { "ibyt", N_BYTES },
    { "bytes", N_BYTES },
    { "in_bytes", N_BYTES },
    { "opkt", N_OUT_PACKETS },
    { "outPackets", N_OUT_PACKETS },
    { "out_packets", N_OUT_PACKETS },
    { "obyt", N_OUT_BYTES },
    { "outBytes", N_OUT_BYTES },
    { "out_bytes", N_OUT_BYTES },
    { "icmp_type", N_TYPE },
    { "icmp_code", N_CODE },
    { "type", N_KIND },
};

/* ---- the row ----------------------------------------------------------------------------------------- */

/* "...AP.SF", eight places or six; or the number itself. */
static bool
take_flags(struct cell c, uint8_t *ret_flags)
{
    static const char places[] = "CEUAPRSF";
    static const uint8_t values[] = { BH_TCP_CWR, BH_TCP_ECE, BH_TCP_URG, BH_TCP_ACK,
                                      BH_TCP_PSH, BH_TCP_RST, BH_TCP_SYN, BH_TCP_FIN };
    if ((c.len != 8 && c.len != 6) || (c.at[0] >= '0' && c.at[0] <= '9')) {
        return cell_flags(c, ret_flags);
    }
    uint8_t flags = 0;
    for (size_t i = 0; i < c.len; i++) {
        size_t place = i + 8 - c.len;
        if (c.at[i] == places[place]) {
            flags |= values[place];
        } else if (c.at[i] != '.') {
            return false;
        }
    }
    *ret_flags = flags;
    return true;
}

static uint64_t
count_of(const struct keyed *k, unsigned key)
{
    uint64_t v;
    return cell_number(keyed_value(k, key), INT64_MAX, &v) ? v : 0;
}

/* "778" is type 3, code 10, and so is "3.10". */
static enum reason
take_icmp(const struct keyed *k, struct row *r)
{
    uint64_t type, code = 0;
    struct cell dport = keyed_value(k, N_DPORT);
    struct cell type_cell = keyed_value(k, N_TYPE);
    const char *dot = dport.len > 0 ? memchr(dport.at, '.', dport.len) : NULL;
    if (type_cell.len > 0) {
        struct cell code_cell = keyed_value(k, N_CODE);
        if (!cell_number(type_cell, 255, &type) ||
            (code_cell.len > 0 && !cell_number(code_cell, 255, &code))) {
            return REASON_TYPE_BAD;
        }
    } else if (dot != NULL) {
        size_t n = (size_t)(dot - dport.at);
        if (!cell_number((struct cell){ dport.at, n }, 255, &type) ||
            !cell_number((struct cell){ dot + 1, dport.len - n - 1 }, 255, &code)) {
            return REASON_TYPE_BAD;
        }
    } else {
        if (!cell_number(dport, 65535, &type)) {
            return REASON_TYPE_BAD;
        }
        code = type & 255;
        type >>= 8;
    }
    r->ports = (uint32_t)(type << 16 | code);
    return REASON_NONE;
}

static enum reason
take_ports(const struct keyed *k, struct row *r)
{
    uint64_t from, to;
    struct cell sport = keyed_value(k, N_SPORT), dport = keyed_value(k, N_DPORT);
    if (sport.len == 0 || dport.len == 0) {
        return REASON_NO_PORT;
    }
    if (!cell_number(sport, 65535, &from) || !cell_number(dport, 65535, &to)) {
        return REASON_PORT_BAD;
    }
    r->ports = (uint32_t)(from << 16 | to);
    return REASON_NONE;
}

/* Exporters that do not know flags say none in all flows; who has said one knows them. */
static enum reason
take_tcp(struct import_file *f, struct row *r)
{
    enum reason why = take_ports(&f->keyed, r);
    if (why != REASON_NONE) {
        return why;
    }
    struct cell flags = keyed_value(&f->keyed, N_FLAGS);
    if (flags.len > 0 && !take_flags(flags, &r->tcp_flags)) {
        return REASON_FLAGS_BAD;
    }
    f->knows_flags |= r->tcp_flags != 0;
    if (!f->knows_flags) {
        r->marks |= BH_MARK_NO_FLAGS;
        r->tcp_flags = BH_TCP_SYN;
    }
    return REASON_NONE;
}

static enum reason
transport(struct import_file *f, struct row *r)
{
    switch (r->proto) {
    case BH_PROTO_TCP:
        return take_tcp(f, r);
    case BH_PROTO_UDP:
        return take_ports(&f->keyed, r);
    case BH_PROTO_ICMP:
    case BH_PROTO_ICMP6:
        return take_icmp(&f->keyed, r);
    default:
        r->marks |= BH_MARK_NO_PORTS;
        return REASON_NONE;
    }
}

/* How long it lasted, where the length of a packet stands: pair.c makes packets of it. */
static void
take_span(const struct keyed *k, struct row *r)
{
    int64_t last_ns;
    bool is_zoneless;
    if (cell_time(keyed_value(k, N_LAST), &last_ns, &is_zoneless) == TIME_OK &&
        last_ns > r->ts_ns) {
        uint64_t ms = ((uint64_t)last_ns - (uint64_t)r->ts_ns) / 1000000;
        r->ip_len = ms < 86400000 ? (uint32_t)ms : 86400000;
    }
}

static enum reason
row(struct import_file *f)
{
    const struct keyed *k = &f->keyed;
    struct item *x = &f->next.item[0];
    *x = (struct item){ .row = { .weight = 1, .bits = ROW_FLOW } };
    f->next.count = 1;
    enum reason why = keyed_time(keyed_value(k, N_TIME), false, &x->row);
    why =
        why != REASON_NONE ? why : keyed_addresses(keyed_value(k, N_SRC), keyed_value(k, N_DST), x);
    why = why != REASON_NONE ? why : keyed_proto(keyed_value(k, N_PROTO), &x->row);
    why = why != REASON_NONE ? why : transport(f, &x->row);
    if (why != REASON_NONE) {
        return why;
    }
    take_span(k, &x->row);
    uint64_t packets = count_of(k, N_PACKETS), bytes = count_of(k, N_BYTES);
    uint64_t back = count_of(k, N_OUT_PACKETS), back_bytes = count_of(k, N_OUT_BYTES);
    x->side.flow.packets = packets == 0 && back == 0 ? 1 : packets;
    x->side.flow.bytes = bytes;
    if (back > 0) { /* -b and -B: both directions in one */
        f->next.item[1] = *x;
        x = &f->next.item[1];
        flow_reverse(x);
        x->side.flow.packets = back;
        x->side.flow.bytes = back_bytes;
        f->next.count = 2;
        if (packets == 0) {
            f->next.item[0] = *x;
            f->next.count = 1;
        }
    }
    return REASON_NONE;
}

static int
bad(struct import_file *f, enum reason why, struct cell example)
{
    f->why = why;
    f->example = example;
    return READ_BAD;
}

static int
begin(struct import_file *f, struct bh_error *err)
{
    (void)err;
    f->keyed.names = nfdump_names;
    f->keyed.name_count = BH_COUNT(nfdump_names);
    return 0;
}

/* ---- tables ------------------------------------------------------------------------------------------- */

static int
csv_begin_table(struct import_file *f, struct bh_error *err)
{
    begin(f, err);
    int r = csv_begin(&f->csv, &f->text, err);
    if (r < 0) {
        return r;
    }
    f->csv.delimiter = ',';
    r = csv_next(&f->csv);
    if (r != CSV_ROW) {
        return import_error(err, BH_EFORMAT, f->text.name, "has no header line",
                            "見出し行がありません");
    }
    keyed_columns(&f->keyed, f->csv.cells, f->csv.count);
    static const uint8_t needed[] = { N_TIME, N_SRC, N_DST, N_PROTO, N_PACKETS };
    for (size_t i = 0; i < BH_COUNT(needed); i++) {
        if (!keyed_has(&f->keyed, needed[i])) {
            return import_error(
                err, BH_EFORMAT, f->text.name,
                "the header line is not nfdump's: first seen, addresses, protocol and packets are needed",
                "nfdump の見出し行ではありません。開始時刻、アドレス、プロトコル、パケット数の列が必要です");
        }
    }
    return 0;
}

/* What nfdump prints below the flows; and a header again where files were joined. */
static bool
is_summary(const struct import_file *f)
{
    struct cell first = f->csv.cells[0];
    return f->csv.count <= 1 || (first.len > 0 && (first.at[0] < '0' || first.at[0] > '9'));
}

static int
csv_next_flow(struct import_file *f)
{
    int r = csv_next(&f->csv);
    if (r == CSV_BROKEN) {
        return bad(f, REASON_QUOTES, f->csv.cells[0]);
    }
    if (r != CSV_ROW) {
        return r;
    }
    struct cell line = f->csv.cells[0];
    size_t last = (f->csv.count < CSV_CELLS_MAX ? f->csv.count : CSV_CELLS_MAX) - 1;
    line.len = (size_t)(f->csv.cells[last].at + f->csv.cells[last].len - line.at);
    if (f->in_summary || is_summary(f)) {
        bool is_header = false;
        if (f->csv.count > 3) {
            struct keyed again = f->keyed;
            keyed_columns(&again, f->csv.cells, f->csv.count);
            is_header = keyed_has(&again, N_TIME) && keyed_has(&again, N_SRC);
            f->keyed = is_header ? again : f->keyed;
        }
        f->in_summary = !is_header && (f->in_summary || cell_same(f->csv.cells[0], "Summary"));
        return is_header || f->in_summary || f->csv.count <= 1 ? READ_OTHER
                                                               : bad(f, REASON_TIME_BAD, line);
    }
    keyed_row(&f->keyed, f->csv.cells, f->csv.count);
    if (f->csv.count > f->keyed.columns) {
        return bad(f, REASON_COLUMNS, line);
    }
    if (f->csv.count < f->keyed.columns) {
        return bad(f, REASON_CUT, line);
    }
    enum reason why = row(f);
    return why == REASON_NONE ? READ_MADE : bad(f, why, line);
}

/* Is it the header line of one of nfdump's tables? */
static bool
is_table(const struct text *t)
{
    struct cell cells[CSV_CELLS_MAX];
    struct keyed k = { .names = nfdump_names, .name_count = BH_COUNT(nfdump_names) };
    const char *p = t->buf + t->at;
    const char *end = memchr(p, '\n', t->len - t->at);
    size_t n = 0;
    end = end == NULL ? t->buf + t->len : end;
    while (n < CSV_CELLS_MAX) {
        const char *q = memchr(p, ',', (size_t)(end - p));
        cells[n++] = (struct cell){ p, (size_t)((q == NULL ? end : q) - p) };
        if (q == NULL) {
            break;
        }
        p = q + 1;
    }
    cells[n - 1].len -= cells[n - 1].len > 0 && cells[n - 1].at[cells[n - 1].len - 1] == '\r';
    keyed_columns(&k, cells, n);
    bool is_old =
        keyed_has(&k, N_PACKETS) && memmem(t->buf, (size_t)(end - t->buf), ",ipkt,", 6) != NULL;
    bool is_new =
        memmem(t->buf, (size_t)(end - t->buf), "srcAddr", 7) != NULL && keyed_has(&k, N_PACKETS);
    return (is_old || is_new) && keyed_has(&k, N_TIME) && keyed_has(&k, N_SRC) &&
           keyed_has(&k, N_DST) && keyed_has(&k, N_PROTO);
}

const struct reader reader_nfdump = {
    .name = "nfdump",
    .text = { "flows of nfdump (CSV)", "nfdump のフロー (CSV)" },
    .has_weight = true,
    .is = is_table,
    .begin = csv_begin_table,
    .next = csv_next_flow,
};

/* ---- JSON ---------------------------------------------------------------------------------------------- */

static int
json_next_flow(struct import_file *f)
{
    keyed_clear(&f->keyed);
    int r = json_next(&f->text, keyed_member, &f->keyed);
    if (r != JSON_OBJECT) {
        return r == JSON_BROKEN ? bad(f, REASON_JSON, f->text.broken) : r;
    }
    struct cell kind = keyed_value(&f->keyed, N_KIND);
    if (kind.len > 0 && !cell_same(kind, "FLOW")) { /* EVENT: of a firewall, about no packets */
        return READ_OTHER;
    }
    enum reason why = row(f);
    return why == REASON_NONE ? READ_MADE : bad(f, why, f->text.object);
}

static bool
is_json(const struct text *t)
{
    return look_json_has(t, "\"src4_addr\"") || look_json_has(t, "\"src6_addr\"") ||
           look_json_has(t, "\"in_packets\"");
}

const struct reader reader_nfdump_json = {
    .name = "nfdump",
    .text = { "flows of nfdump (JSON)", "nfdump のフロー (JSON)" },
    .has_weight = true,
    .is = is_json,
    .begin = begin,
    .next = json_next_flow,
};
