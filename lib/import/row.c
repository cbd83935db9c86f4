/* SPDX-License-Identifier: BSD-2-Clause */
/* One record of cells as a row, or the reason why not. */
#include "import_priv.h"

const char *const reason_texts[REASON_COUNT][BH_LANGS] = {
    [REASON_NONE] = { "good", "良好" },
    [REASON_NO_TIME] = { "no time", "時刻がない" },
    [REASON_TIME_UNSET] = { "time not set (1970-01-01)", "時刻が未設定 (1970-01-01)" },
    [REASON_TIME_BAD] = { "time not understood", "時刻を解釈できない" },
    [REASON_NO_SRC] = { "no source", "送信元がない" },
    [REASON_SRC_BAD] = { "source not understood", "送信元を解釈できない" },
    [REASON_NO_DST] = { "no destination", "宛先がない" },
    [REASON_DST_BAD] = { "destination not understood", "宛先を解釈できない" },
    [REASON_FAMILIES] = { "IPv4 and IPv6 in one row", "1 行に IPv4 と IPv6 が混在" },
    [REASON_NO_PROTO] = { "no protocol", "プロトコルがない" },
    [REASON_PROTO_BAD] = { "unknown protocol", "未知のプロトコル" },
    [REASON_NO_PORT] = { "no port", "ポートがない" },
    [REASON_PORT_ZERO] = { "port 0", "ポートが 0" },
    [REASON_PORT_BAD] = { "port not understood", "ポートを解釈できない" },
    [REASON_TYPE_BAD] = { "ICMP type not understood", "ICMP タイプを解釈できない" },
    [REASON_FLAGS_BAD] = { "TCP flags not understood", "TCP フラグを解釈できない" },
    [REASON_COLUMNS] = { "more columns than the header", "列が見出しより多い" },
    [REASON_QUOTES] = { "a quote that does not end", "閉じない引用符" },
    [REASON_CUT] = { "the line is cut", "行が途中で切れている" },
    [REASON_NUMBER] = { "a number not understood", "数値を解釈できない" },
    [REASON_JSON] = { "no JSON object", "JSON オブジェクトではない" },
    [REASON_LONG] = { "longer than 1 MiB", "1 MiB より長い" },
    [REASON_STATE] = { "unknown connection state", "未知の接続状態" },
};

static struct cell
cell_of(const struct columns *cols, const struct csv *c, enum key key)
{
    int index = cols->index[key];
    if (index < 0) {
        return cols->constant[key];
    }
    size_t n = c->count < CSV_CELLS_MAX ? c->count : CSV_CELLS_MAX;
    return (size_t)index < n ? cell_trim(c->cells[index]) : (struct cell){ "", 0 };
}

/* An unquoted delimiter inside a cell moves all that follow; only empty cells may be too many. */
static bool
has_too_many(const struct columns *cols, const struct csv *c)
{
    if (cols->header_cells == 0) {
        return false;
    }
    for (size_t i = cols->header_cells; i < c->count; i++) {
        if (i >= CSV_CELLS_MAX || cell_trim(c->cells[i]).len > 0) {
            return true;
        }
    }
    return false;
}

static enum reason
take_time(const struct columns *cols, const struct csv *c, struct row *r)
{
    bool is_zoneless;
    switch (cell_time(cell_of(cols, c, KEY_TIME), &r->ts_ns, &is_zoneless)) {
    case TIME_OK:
        r->bits |= is_zoneless ? ROW_ZONELESS : 0;
        return REASON_NONE;
    case TIME_NONE:
        return REASON_NO_TIME;
    case TIME_UNSET:
        return REASON_TIME_UNSET;
    default:
        return REASON_TIME_BAD;
    }
}

static bool
is_unspecified(const struct bh_ip *ip)
{
    static const uint8_t zero[16];
    return memcmp(ip->octets, zero, sizeof zero) == 0;
}

static enum reason
take_addresses(const struct columns *cols, const struct csv *c, struct row *r,
               struct bh_ip6_pair *pair)
{
    struct bh_ip src;
    struct bh_ip dst = { 0 };
    struct cell cell = cell_of(cols, c, KEY_SRC);
    if (cell_is_absent(cell)) {
        return REASON_NO_SRC;
    }
    if (!cell_address(cell, &src)) {
        return REASON_SRC_BAD;
    }
    bool has_dst = cols->is_mapped[KEY_DST];
    /* Between hosts 0.0.0.0 is DHCP; in a log of who came it is a field nobody set. */
    if (!has_dst && is_unspecified(&src)) {
        return REASON_NO_SRC;
    }
    if (has_dst) {
        cell = cell_of(cols, c, KEY_DST);
        if (cell_is_absent(cell)) {
            return REASON_NO_DST;
        }
        if (!cell_address(cell, &dst)) {
            return REASON_DST_BAD;
        }
        if (dst.family != src.family) {
            return REASON_FAMILIES;
        }
    }
    if (src.family == 4) {
        r->kind = BH_KIND_IP4;
        r->src = bh_get_be32(src.octets);
        r->dst = bh_get_be32(dst.octets);
    } else {
        r->kind = BH_KIND_IP6;
        *pair = (struct bh_ip6_pair){ bh_get_be64(src.octets), bh_get_be64(src.octets + 8),
                                      bh_get_be64(dst.octets), bh_get_be64(dst.octets + 8) };
    }
    return REASON_NONE;
}

static enum reason
take_proto(const struct columns *cols, const struct csv *c, struct row *r)
{
    struct cell cell = cell_of(cols, c, KEY_PROTO);
    if (cell_is_absent(cell)) {
        return REASON_NO_PROTO;
    }
    int proto = cell_proto(cell);
    if (proto < 0) {
        return REASON_PROTO_BAD;
    }
    /* Many logs say "icmp" for both. */
    r->proto = proto == BH_PROTO_ICMP && r->kind == BH_KIND_IP6 ? BH_PROTO_ICMP6 : (uint8_t)proto;
    return REASON_NONE;
}

static enum reason
take_ports(const struct columns *cols, const struct csv *c, struct row *r)
{
    uint64_t sport = 0;
    uint64_t dport;
    if (!cols->is_mapped[KEY_DPORT]) {
        r->marks |= BH_MARK_NO_PORTS;
        return REASON_NONE;
    }
    struct cell cell = cell_of(cols, c, KEY_DPORT);
    if (cell_is_absent(cell)) {
        return REASON_NO_PORT;
    }
    if (!cell_number(cell, 65535, &dport)) {
        return REASON_PORT_BAD;
    }
    if (dport == 0) {
        return REASON_PORT_ZERO;
    }
    cell = cell_of(cols, c, KEY_SPORT);
    if (!cell_is_absent(cell) && !cell_number(cell, 65535, &sport)) {
        return REASON_PORT_BAD;
    }
    r->ports = (uint32_t)(sport << 16 | dport);
    return REASON_NONE;
}

/* Zeek writes type and code of ICMP where the ports stand. */
static enum reason
take_type(const struct columns *cols, const struct csv *c, struct row *r)
{
    bool from_ports = c->is_zeek && !cols->is_mapped[KEY_TYPE];
    uint64_t type;
    uint64_t code = 0;
    struct cell cell = cell_of(cols, c, from_ports ? KEY_SPORT : KEY_TYPE);
    if (cell_is_absent(cell)) {
        r->marks |= BH_MARK_NO_PORTS;
        return REASON_NONE;
    }
    if (!cell_number(cell, 255, &type)) {
        return REASON_TYPE_BAD;
    }
    cell = cell_of(cols, c, from_ports ? KEY_DPORT : KEY_CODE);
    if (!cell_is_absent(cell) && !cell_number(cell, 255, &code)) {
        return REASON_TYPE_BAD;
    }
    r->ports = (uint32_t)(type << 16 | code);
    return REASON_NONE;
}

static enum reason
take_flags(const struct columns *cols, const struct csv *c, struct row *r)
{
    struct cell cell = cell_of(cols, c, KEY_FLAGS);
    if (cell_is_absent(cell)) {
        /* See bh_import.h: who came has opened a connection. */
        r->tcp_flags = BH_TCP_SYN;
        r->marks |= BH_MARK_NO_FLAGS;
        return REASON_NONE;
    }
    return cell_flags(cell, &r->tcp_flags) ? REASON_NONE : REASON_FLAGS_BAD;
}

/* What is no reason to lose a row: absent when it is not understood. */
static void
take_extras(const struct columns *cols, const struct csv *c, struct row *r)
{
    uint64_t v;
    r->weight = 1;
    if (cols->is_mapped[KEY_WEIGHT] && cell_number(cell_of(cols, c, KEY_WEIGHT), UINT32_MAX, &v)) {
        r->weight = v == 0 ? 1 : (uint32_t)v;
    }
    if (cols->is_mapped[KEY_LEN] && cell_number(cell_of(cols, c, KEY_LEN), UINT32_MAX, &v)) {
        r->ip_len = (uint32_t)v;
    }
    if (cols->is_mapped[KEY_PAYLOAD] &&
        cell_number(cell_of(cols, c, KEY_PAYLOAD), UINT32_MAX, &v)) {
        r->payload_len = v > UINT16_MAX ? UINT16_MAX : (uint16_t)v;
    }
    if (cols->is_mapped[KEY_TTL] && cell_number(cell_of(cols, c, KEY_TTL), 255, &v)) {
        r->ttl = (uint8_t)v;
    }
}

static enum reason
take_transport(const struct columns *cols, const struct csv *c, struct row *r)
{
    enum reason why;
    switch (r->proto) {
    case BH_PROTO_TCP:
        why = take_ports(cols, c, r);
        return why != REASON_NONE ? why : take_flags(cols, c, r);
    case BH_PROTO_UDP:
        return take_ports(cols, c, r);
    case BH_PROTO_ICMP:
    case BH_PROTO_ICMP6:
        return take_type(cols, c, r);
    default:
        r->marks |= BH_MARK_NO_PORTS;
        return REASON_NONE;
    }
}

enum reason
row_parse(const struct columns *cols, const struct csv *c, struct row *ret_row,
          struct bh_ip6_pair *ret_pair)
{
    struct row r = { 0 };
    if (has_too_many(cols, c)) {
        return REASON_COLUMNS;
    }
    enum reason why = take_time(cols, c, &r);
    why = why != REASON_NONE ? why : take_addresses(cols, c, &r, ret_pair);
    why = why != REASON_NONE ? why : take_proto(cols, c, &r);
    why = why != REASON_NONE ? why : take_transport(cols, c, &r);
    if (why == REASON_NONE) {
        take_extras(cols, c, &r);
        *ret_row = r;
    }
    return why;
}
