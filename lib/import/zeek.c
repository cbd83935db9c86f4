/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Zeek's conn.log, in its own form (lines of cells that "#fields" names) and as JSON lines.
 *
 * conn_state says how a connection went, history (its letters: capitals of the originator) what was
 * seen of it; docs.zeek.org, base/protocols/conn/main.zeek. What that means here stands in the table
 * below and in docs/format/input-logs.md.
 */
#include "import_priv.h"

enum {
    Z_TIME,
    Z_ORIG_H,
    Z_ORIG_P,
    Z_RESP_H,
    Z_RESP_P,
    Z_PROTO,
    Z_STATE,
    Z_HISTORY,
    Z_ORIG_BYTES,
    Z_RESP_BYTES,
    Z_ORIG_PKTS,
    Z_RESP_PKTS,
    Z_ORIG_IP_BYTES,
    Z_RESP_IP_BYTES,
    Z_LOCAL_ORIG,
    Z_LOCAL_RESP,
};

static const struct keyed_name zeek_names[] = {
    { "ts", Z_TIME },
    { "id.orig_h", Z_ORIG_H },
    { "id.orig_p", Z_ORIG_P },
    { "id.resp_h", Z_RESP_H },
    { "id.resp_p", Z_RESP_P },
    { "proto", Z_PROTO },
    { "conn_state", Z_STATE },
    { "history", Z_HISTORY },
    { "orig_bytes", Z_ORIG_BYTES },
    { "resp_bytes", Z_RESP_BYTES },
    { "orig_pkts", Z_ORIG_PKTS },
    { "resp_pkts", Z_RESP_PKTS },
    { "orig_ip_bytes", Z_ORIG_IP_BYTES },
    { "resp_ip_bytes", Z_RESP_IP_BYTES },
    { "local_orig", Z_LOCAL_ORIG },
    { "local_resp", Z_LOCAL_RESP },
};

/* ---- states ---------------------------------------------------------------------------------------- */

/* What the originator sent. */
enum originator {
    NO_SYN,    /* none was seen                                                 */
    SYNS,      /* SYNs and, unless the history has more, nothing else           */
    SYNS_END,  /* a SYN and what ends it                                        */
    HANDSHAKE, /* a SYN, and more after the answer                              */
    PERHAPS,   /* ... if the history has it (a scan leaves it at the SYN)       */
    RESET,     /* ... and a RST: what it was worth depends on payload before it */
};

#define SYN_ACK (BH_TCP_SYN | BH_TCP_ACK)
#define RST_ACK (BH_TCP_RST | BH_TCP_ACK)

static const struct state {
    char name[8];
    enum originator originator;
    uint8_t orig_rest;
    uint8_t answer; /* first of the responder; RST: all of them */
    uint8_t resp_rest;
} states[] = {
    { "S0", SYNS, BH_TCP_ACK, 0, BH_TCP_ACK },
    { "S1", PERHAPS, BH_TCP_ACK, SYN_ACK, BH_TCP_ACK },
    { "SF", HANDSHAKE, BH_TCP_ACK, SYN_ACK, BH_TCP_ACK },
    { "S2", HANDSHAKE, BH_TCP_ACK, SYN_ACK, BH_TCP_ACK },
    { "S3", HANDSHAKE, BH_TCP_ACK, SYN_ACK, BH_TCP_ACK },
    { "REJ", SYNS, BH_TCP_ACK, RST_ACK, RST_ACK },
    { "RSTO", RESET, BH_TCP_ACK, SYN_ACK, BH_TCP_ACK },
    { "RSTR", PERHAPS, BH_TCP_ACK, SYN_ACK, BH_TCP_ACK },
    { "RSTOS0", SYNS_END, BH_TCP_RST, 0, BH_TCP_ACK },
    { "SH", SYNS_END, BH_TCP_FIN, 0, BH_TCP_ACK },
    { "RSTRH", NO_SYN, BH_TCP_ACK, SYN_ACK, BH_TCP_RST },
    { "SHR", NO_SYN, BH_TCP_ACK, SYN_ACK, BH_TCP_FIN },
    { "OTH", NO_SYN, BH_TCP_ACK, 0, BH_TCP_ACK },
};

static const struct state *
find_state(struct cell c)
{
    for (size_t i = 0; i < BH_COUNT(states); i++) {
        if (strlen(states[i].name) == c.len && memcmp(states[i].name, c.at, c.len) == 0) {
            return &states[i];
        }
    }
    return NULL;
}

/* Is there a capital in the history that is no 'S'? '^' says that the ends were exchanged. */
static bool
did_more(struct cell history)
{
    for (size_t i = 0; i < history.len; i++) {
        if (history.at[i] >= 'A' && history.at[i] <= 'Z' && history.at[i] != 'S') {
            return true;
        }
    }
    return false;
}

static bool
had_payload(const struct keyed *k, const struct flow *f)
{
    struct cell history = keyed_value(k, Z_HISTORY);
    return f->orig.payload > 0 || f->resp.payload > 0 ||
           (history.len > 0 && (memchr(history.at, 'D', history.len) != NULL ||
                                memchr(history.at, 'd', history.len) != NULL));
}

static uint64_t
more(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* How many SYNs, and what the other segments were. */
static void
tcp_of_state(const struct keyed *k, const struct state *s, struct flow *f)
{
    struct cell history = keyed_value(k, Z_HISTORY);
    struct flow_side *orig = &f->orig;
    bool has_more = did_more(history);
    f->orig_rest = s->orig_rest;
    f->resp_rest = s->resp_rest;
    f->answer = s->answer;
    f->answers = s->answer == SYN_ACK ? 1 : UINT64_MAX;
    f->resp.packets = s->answer != 0 ? more(f->resp.packets, 1) : f->resp.packets;
    switch (s->originator) {
    case NO_SYN:
        break;
    case SYNS:
        orig->packets = more(orig->packets, 1);
        f->syns = has_more ? 1 : orig->packets;
        break;
    case SYNS_END:
        orig->packets = more(orig->packets, 2);
        f->syns = 1;
        break;
    case RESET:
        f->orig_rest = had_payload(k, f) ? BH_TCP_ACK : RST_ACK;
        orig->packets = more(orig->packets, 2);
        f->syns = 1;
        break;
    case PERHAPS:
        has_more = history.len > 0 ? has_more : orig->packets != 1;
        orig->packets = more(orig->packets, 1 + has_more);
        f->syns = has_more ? 1 : orig->packets;
        break;
    case HANDSHAKE:
        orig->packets = more(orig->packets, 2);
        f->syns = 1;
        break;
    }
}

/* ---- the rows -------------------------------------------------------------------------------------- */

/* A count, or 0. */
static uint64_t
count_of(const struct keyed *k, unsigned key)
{
    uint64_t v;
    return cell_number(keyed_value(k, key), INT64_MAX, &v) ? v : 0;
}

static bool
is_true(struct cell c)
{
    return c.len > 0 && (c.at[0] == 'T' || c.at[0] == 't');
}

static uint8_t
direction_bits(const struct keyed *k)
{
    bool orig = is_true(keyed_value(k, Z_LOCAL_ORIG));
    bool resp = is_true(keyed_value(k, Z_LOCAL_RESP));
    return (uint8_t)((orig ? ROW_OUT : 0) | (resp ? ROW_IN : 0));
}

static const uint8_t icmp_pairs[][2] = { { 8, 0 }, { 13, 14 }, { 15, 16 }, { 17, 18 }, { 10, 9 } };
static const uint8_t icmp6_pairs[][2] = {
    { 128, 129 }, { 133, 134 }, { 135, 136 }, { 139, 140 }, { 131, 132 }
};

/* Where the ports stand: the type, and its counterpart if it has one, else the code. */
static bool
counterpart(const struct row *r, unsigned type, unsigned *ret_type)
{
    const uint8_t(*pairs)[2] = r->kind == BH_KIND_IP6 ? icmp6_pairs : icmp_pairs;
    for (size_t i = 0; i < BH_COUNT(icmp_pairs); i++) {
        if (pairs[i][0] == type || pairs[i][1] == type) {
            *ret_type = pairs[i][0] == type ? pairs[i][1] : pairs[i][0];
            return true;
        }
    }
    return false;
}

static enum reason
icmp_rows(struct made *m, struct item *orig, const struct keyed *k, struct flow *f)
{
    uint64_t type, code;
    unsigned answer;
    if (!cell_number(keyed_value(k, Z_ORIG_P), 255, &type) ||
        !cell_number(keyed_value(k, Z_RESP_P), 255, &code)) {
        return REASON_TYPE_BAD;
    }
    bool has_answer = counterpart(&orig->row, (unsigned)type, &answer);
    orig->row.ports = (uint32_t)(type << 16 | (has_answer ? 0 : code));
    struct flow one = { .orig = f->orig };
    one.orig.packets = f->orig.packets + f->resp.packets == 0 ? 1 : f->orig.packets;
    flow_plain(m, orig, &one);
    if (f->resp.packets > 0) {
        struct item resp = *orig;
        flow_reverse(&resp);
        resp.row.ports = has_answer ? answer << 16 : orig->row.ports;
        one = (struct flow){ .orig = f->resp };
        flow_plain(m, &resp, &one);
    }
    return REASON_NONE;
}

static enum reason
ports_of(const struct keyed *k, struct row *r)
{
    uint64_t from, to;
    struct cell orig = keyed_value(k, Z_ORIG_P), resp = keyed_value(k, Z_RESP_P);
    if (orig.len == 0 || resp.len == 0) {
        return REASON_NO_PORT;
    }
    if (!cell_number(orig, 65535, &from) || !cell_number(resp, 65535, &to)) {
        return REASON_PORT_BAD;
    }
    r->ports = (uint32_t)(from << 16 | to);
    return REASON_NONE;
}

static enum reason
tcp_rows(struct made *m, struct item *orig, const struct keyed *k, struct flow *f)
{
    struct cell name = keyed_value(k, Z_STATE);
    const struct state *s = find_state(name);
    enum reason why = ports_of(k, &orig->row);
    if (why != REASON_NONE) {
        return why;
    }
    if (name.len == 0) { /* who came has opened a connection: see bh_import.h */
        orig->row.marks |= BH_MARK_NO_FLAGS;
        struct flow one = { .orig = { .packets = 1, .bytes = f->orig.bytes } };
        orig->row.tcp_flags = BH_TCP_SYN;
        flow_plain(m, orig, &one);
        return REASON_NONE;
    }
    if (s == NULL) {
        return REASON_STATE;
    }
    tcp_of_state(k, s, f);
    if (f->orig.packets + f->resp.packets == 0) {
        f->orig.packets = 1;
    }
    flow_tcp(m, orig, f);
    return REASON_NONE;
}

static enum reason
udp_rows(struct made *m, struct item *orig, const struct keyed *k, struct flow *f)
{
    enum reason why = ports_of(k, &orig->row);
    if (why != REASON_NONE) {
        return why;
    }
    struct cell state = keyed_value(k, Z_STATE);
    if (keyed_value(k, Z_ORIG_PKTS).len == 0 && !cell_same(state, "SHR")) {
        f->orig.packets = 1;
    }
    if (keyed_value(k, Z_RESP_PKTS).len == 0 &&
        (cell_same(state, "SF") || cell_same(state, "SHR"))) {
        f->resp.packets = 1;
    }
    if (f->orig.packets + f->resp.packets == 0) {
        f->orig.packets = 1;
    }
    flow_plain(m, orig, f);
    return REASON_NONE;
}

static enum reason
transport(struct made *m, struct item *orig, const struct keyed *k)
{
    struct flow f = {
        .orig = { count_of(k, Z_ORIG_PKTS), count_of(k, Z_ORIG_IP_BYTES),
                  count_of(k, Z_ORIG_BYTES) },
        .resp = { count_of(k, Z_RESP_PKTS), count_of(k, Z_RESP_IP_BYTES),
                  count_of(k, Z_RESP_BYTES) },
    };
    switch (orig->row.proto) {
    case BH_PROTO_TCP:
        return tcp_rows(m, orig, k, &f);
    case BH_PROTO_UDP:
        return udp_rows(m, orig, k, &f);
    case BH_PROTO_ICMP:
    case BH_PROTO_ICMP6:
        return icmp_rows(m, orig, k, &f);
    default:
        orig->row.marks |= BH_MARK_NO_PORTS;
        f.orig.packets = f.orig.packets + f.resp.packets == 0 ? 1 : f.orig.packets;
        flow_plain(m, orig, &f);
        return REASON_NONE;
    }
}

static enum reason
rows(struct made *m, const struct keyed *k)
{
    struct item orig = { .row = { .weight = 1 } };
    m->count = 0;
    enum reason why = keyed_time(keyed_value(k, Z_TIME), true, &orig.row);
    why = why != REASON_NONE
              ? why
              : keyed_addresses(keyed_value(k, Z_ORIG_H), keyed_value(k, Z_RESP_H), &orig);
    why = why != REASON_NONE ? why : keyed_proto(keyed_value(k, Z_PROTO), &orig.row);
    if (why != REASON_NONE) {
        return why;
    }
    orig.row.bits |= direction_bits(k);
    return transport(m, &orig, k);
}

/* ---- Zeek's own form --------------------------------------------------------------------------------- */

static bool
header_word(struct cell line, const char *word, struct cell *ret_value)
{
    size_t n = strlen(word);
    if (line.len <= n || memcmp(line.at, word, n) != 0) {
        return false;
    }
    *ret_value = (struct cell){ line.at + n + 1, line.len - n - 1 };
    return true;
}

static int
hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t
split(const struct keyed *k, struct cell line, struct cell *cells)
{
    size_t n = 0;
    const char *p = line.at;
    const char *const end = line.at + line.len;
    while (n < CSV_CELLS_MAX) {
        const char *q = memchr(p, k->separator, (size_t)(end - p));
        cells[n] = (struct cell){ p, (size_t)((q == NULL ? end : q) - p) };
        if ((k->unset_len == cells[n].len && memcmp(k->unset, p, cells[n].len) == 0) ||
            (k->empty_len == cells[n].len && memcmp(k->empty, p, cells[n].len) == 0)) {
            cells[n].len = 0;
        }
        n++;
        if (q == NULL) {
            break;
        }
        p = q + 1;
    }
    return n;
}

static void
header_line(struct import_file *f, struct cell line)
{
    struct keyed *k = &f->keyed;
    struct cell v;
    if (header_word(line, "#separator", &v)) {
        int a = v.len == 4 ? hex(v.at[2]) : -1, b = v.len == 4 ? hex(v.at[3]) : -1;
        k->separator = v.len == 4 && v.at[0] == '\\' && v.at[1] == 'x' && (a | b) >= 0
                           ? (char)(a << 4 | b)
                       : v.len == 1 ? v.at[0]
                                    : '\t';
    } else if (header_word(line, "#unset_field", &v)) {
        k->unset_len = (uint8_t)(v.len < sizeof k->unset ? v.len : 0);
        memcpy(k->unset, v.at, k->unset_len);
    } else if (header_word(line, "#empty_field", &v)) {
        k->empty_len = (uint8_t)(v.len < sizeof k->empty ? v.len : 0);
        memcpy(k->empty, v.at, k->empty_len);
    } else if (header_word(line, "#fields", &v)) {
        keyed_columns(k, f->csv.cells, split(k, v, f->csv.cells));
    }
}

static int
zeek_begin(struct import_file *f, struct bh_error *err)
{
    (void)err;
    struct keyed *k = &f->keyed;
    k->names = zeek_names;
    k->name_count = BH_COUNT(zeek_names);
    k->separator = '\t';
    k->unset[0] = '-';
    k->unset_len = 1;
    memcpy(k->empty, "(empty)", 7);
    k->empty_len = 7;
    return 0;
}

static int
bad(struct import_file *f, enum reason why, struct cell example)
{
    f->why = why;
    f->example = example;
    return READ_BAD;
}

static int
zeek_next(struct import_file *f)
{
    struct cell line;
    for (;;) {
        int r = text_line(&f->text, &line);
        if (r != TEXT_LINE) {
            return r == TEXT_LONG ? bad(f, REASON_LONG, (struct cell){ line.at, 200 }) : r;
        }
        if (line.len > 0 && line.at[0] == '#') {
            header_line(f, line);
        } else if (line.len > 0) {
            break;
        }
    }
    size_t n = split(&f->keyed, line, f->csv.cells);
    keyed_row(&f->keyed, f->csv.cells, n);
    if (n > f->keyed.columns) {
        return bad(f, REASON_COLUMNS, line);
    }
    if (n < f->keyed.columns) { /* a log that is being written, or was cut */
        return bad(f, REASON_CUT, line);
    }
    enum reason why = rows(&f->next, &f->keyed);
    return why == REASON_NONE ? READ_MADE : bad(f, why, line);
}

static bool
is_zeek(const struct text *t)
{
    return (text_begins_with(t, "#separator") || text_begins_with(t, "#fields")) &&
           memmem(t->buf, t->len, "id.orig_h", 9) != NULL &&
           memmem(t->buf, t->len, "id.resp_h", 9) != NULL;
}

const struct reader reader_zeek = {
    .name = "zeek",
    .text = { "Zeek's conn.log", "Zeek の conn.log" },
    .has_weight = true,
    .is = is_zeek,
    .begin = zeek_begin,
    .next = zeek_next,
};

/* ---- JSON ----------------------------------------------------------------------------------------------- */

static int
json_next_flow(struct import_file *f)
{
    keyed_clear(&f->keyed);
    int r = json_next(&f->text, keyed_member, &f->keyed);
    if (r != JSON_OBJECT) {
        return r == JSON_BROKEN ? bad(f, REASON_JSON, f->text.broken) : r;
    }
    enum reason why = rows(&f->next, &f->keyed);
    return why == REASON_NONE ? READ_MADE : bad(f, why, f->text.object);
}

static bool
is_json(const struct text *t)
{
    return look_json_has(t, "\"id.orig_h\"");
}

const struct reader reader_zeek_json = {
    .name = "zeek",
    .text = { "Zeek's conn.log (JSON)", "Zeek の conn.log (JSON)" },
    .has_weight = true,
    .is = is_json,
    .begin = zeek_begin,
    .next = json_next_flow,
};
