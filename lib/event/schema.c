/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event schema: every field of a record once, with its type, unit and texts, for what shows
 * records (the columns of cciplog carry these names). Ids are permanent: a new field takes
 * the next free one, a field that goes leaves a gap. 27, 28 and 41 to 46 (countries and
 * autonomous systems) are columns of lib/rows, which looks addresses up.
 */
#include "bh_event.h"

static void
number(struct bh_value *v, uint64_t n)
{
    *v = (struct bh_value){ .number = n };
}

static void
number_if(struct bh_value *v, bool present, uint64_t n)
{
    *v = (struct bh_value){ .absent = !present, .number = present ? n : 0 };
}

static void
name_if(struct bh_value *v, bool present, uint64_t n, const char *name)
{
    *v = (struct bh_value){ .absent = !present,
                            .number = present ? n : 0,
                            .name = present ? name : NULL };
}

static bool
is_ip(const struct bh_batch *b, uint32_t row)
{
    return b->kind[row] == BH_KIND_IP4 || b->kind[row] == BH_KIND_IP6;
}

static bool
is_proto(const struct bh_batch *b, uint32_t row, unsigned proto)
{
    return is_ip(b, row) && b->proto[row] == proto;
}

static bool
has_ports(const struct bh_batch *b, uint32_t row)
{
    return (is_proto(b, row, BH_PROTO_TCP) || is_proto(b, row, BH_PROTO_UDP)) &&
           (b->marks[row] & BH_MARK_NO_PORTS) == 0;
}

static bool
has_icmp_type(const struct bh_batch *b, uint32_t row)
{
    return (is_proto(b, row, BH_PROTO_ICMP) || is_proto(b, row, BH_PROTO_ICMP6)) &&
           (b->marks[row] & BH_MARK_NO_PORTS) == 0;
}

static bool
has_tcp_header(const struct bh_batch *b, uint32_t row)
{
    return is_proto(b, row, BH_PROTO_TCP) && (b->marks[row] & BH_MARK_NO_PORTS) == 0;
}

static bool
has_cold(const struct bh_batch *b)
{
    return (b->want & BH_WANT_COLD) != 0;
}

static void
address(struct bh_value *v, struct bh_ip ip)
{
    *v = (struct bh_value){ .absent = ip.family == 0, .ip = ip };
}

static void
get_time(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, (b->marks[row] & BH_MARK_BAD_TIME) == 0, (uint64_t)b->ts_ns[row]);
}

static void
get_sensor(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    const bool known = b->sensor_names != NULL;
    name_if(v, known, known ? b->sensor[row] : 0, known ? b->sensor_names[b->sensor[row]] : NULL);
}

static void
get_interface(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, has_cold(b), b->interface[row]);
}

static void
get_direction(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    static const char *const names[] = { "unknown", "in", "out", "local", "transit" };
    unsigned d = b->direction[row];
    name_if(v, d != BH_DIR_UNKNOWN && d < BH_COUNT(names), d,
            d < BH_COUNT(names) ? names[d] : NULL);
}

static void
get_ip_version(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, is_ip(b, row), b->kind[row]);
}

static void
get_src(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    address(v, bh_batch_src(b, row));
}

static void
get_dst(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    address(v, bh_batch_dst(b, row));
}

static void
get_src_mac(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, has_cold(b) && b->src_mac[row] != 0, b->src_mac[row]);
}

static void
get_proto(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    char buf[8]; /* a uint8_t always has a static name */
    name_if(v, is_ip(b, row), b->proto[row], bh_proto_name(b->proto[row], buf));
}

static void
get_src_port(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, has_ports(b, row), bh_batch_src_port(b, row));
}

static void
get_dst_port(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, has_ports(b, row), bh_batch_dst_port(b, row));
}

static void
get_icmp_type(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, has_icmp_type(b, row), bh_batch_src_port(b, row));
}

static void
get_icmp_code(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, has_icmp_type(b, row), bh_batch_dst_port(b, row));
}

static void
get_tcp_flags(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, has_tcp_header(b, row) && (b->marks[row] & BH_MARK_NO_FLAGS) == 0,
              b->tcp_flags[row]);
}

static void
get_ip_len(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, is_ip(b, row), b->ip_len[row]);
}

static void
get_payload_len(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, has_ports(b, row) || has_icmp_type(b, row), b->payload_len[row]);
}

static void
get_ttl(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, has_cold(b) && is_ip(b, row), b->ttl[row]);
}

static void
get_df(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, has_cold(b) && b->kind[row] == BH_KIND_IP4, b->df[row]);
}

static void
get_ip_id(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, has_cold(b) && (b->lacks & BH_LACK_IP_ID) == 0 && b->kind[row] == BH_KIND_IP4,
              b->ip_id[row]);
}

static void
get_tcp_seq(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, has_tcp_header(b, row) && !b->no_tcp_seq && (b->lacks & BH_LACK_SEQ) == 0,
              b->tcp_seq[row]);
}

static void
get_tcp_window(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, has_cold(b) && (b->lacks & BH_LACK_WINDOW) == 0 && has_tcp_header(b, row),
              b->tcp_window[row]);
}

static void
get_tcp_options(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, has_cold(b) && (b->lacks & BH_LACK_OPTIONS) == 0 && has_tcp_header(b, row),
              b->tcp_options[row]);
}

static void
get_vlan(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    bool present = has_cold(b) && b->vlan[row] != 0;
    number_if(v, present, present ? b->vlan[row] - 1U : 0);
}

static void
get_ethertype(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, has_cold(b) && b->ethertype[row] != 0, b->ethertype[row]);
}

static void
get_tunnel_sender(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    bool present = has_cold(b) && (b->marks[row] & BH_MARK_DECAP) != 0;
    *v = (struct bh_value){ .absent = !present };
    if (present) {
        v->ip = bh_ip_from_v4(b->tunnel_sender[row]);
    }
}

static void
get_tunnel_vni(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, has_cold(b) && (b->marks[row] & BH_MARK_DECAP) != 0, b->tunnel_vni[row]);
}

static void
get_class(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    name_if(v, b->cls[row] != BH_CLASS_NONE, b->cls[row], bh_class_name(b->cls[row]));
}

static void
get_access(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number(v, b->cls[row] == BH_CLASS_ACCESS);
}

static void
get_outcome(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    name_if(v, b->outcome[row] != BH_OUTCOME_NONE, b->outcome[row],
            bh_outcome_name(b->outcome[row]));
}

static void
get_weight(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number(v, b->has_weight ? b->weight[row] : 1);
}

static void
get_truncated(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number(v, (b->marks[row] & BH_MARK_TRUNCATED) != 0);
}

static void
get_fragment(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number(v, (b->marks[row] & BH_MARK_FRAGMENT) != 0);
}

static void
get_duplicate(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number(v, (b->marks[row] & BH_MARK_DUPLICATE) != 0);
}

static void
get_reason(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    name_if(v, b->reason[row] != BH_REASON_NONE, b->reason[row], bh_reason_name(b->reason[row]));
}

static void
get_wire_len(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, has_cold(b), b->wire_len[row]);
}

static void
get_kind(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    unsigned kind = b->kind[row];
    name_if(v, true, kind,
            kind == BH_KIND_IP4   ? "ip4"
            : kind == BH_KIND_IP6 ? "ip6"
            : kind == BH_KIND_ARP ? "arp"
                                  : "none");
}

static void
get_arp_operation(const struct bh_batch *b, uint32_t row, struct bh_value *v)
{
    number_if(v, b->kind[row] == BH_KIND_ARP, b->ports[row]);
}

const struct bh_field bh_fields[] = {
    { 1,
      "time",
      BH_TYPE_TIME,
      "ns",
      { "when the frame was captured, UTC", "フレームを記録した時刻 (UTC)" },
      false,
      get_time },
    { 2,
      "sensor",
      BH_TYPE_NAME,
      "",
      { "who saw the record: the name in its packet log",
        "記録したセンサー (パケットログにある名前)" },
      false,
      get_sensor },
    { 3,
      "interface",
      BH_TYPE_UINT,
      "",
      { "number of the interface in its capture", "記録元インターフェースの番号" },
      true,
      get_interface },
    { 4,
      "direction",
      BH_TYPE_NAME,
      "",
      { "in, out, local or transit, seen from home", "自ネットワークから見た向き" },
      false,
      get_direction },
    { 39,
      "kind",
      BH_TYPE_NAME,
      "",
      { "ip4, ip6, arp or none (not decoded)", "種別: ip4、ip6、arp、none (解読できず)" },
      false,
      get_kind },
    { 5,
      "ip_version",
      BH_TYPE_UINT,
      "",
      { "4 or 6", "IP の版 (4 または 6)" },
      false,
      get_ip_version },
    { 6,
      "src",
      BH_TYPE_ADDRESS,
      "",
      { "source address; of ARP the sender's", "送信元アドレス (ARP では送り手)" },
      false,
      get_src },
    { 7,
      "dst",
      BH_TYPE_ADDRESS,
      "",
      { "destination address; of ARP the target's", "宛先アドレス (ARP では問い合わせ先)" },
      false,
      get_dst },
    { 8,
      "src_mac",
      BH_TYPE_MAC,
      "",
      { "source hardware address", "送信元の MAC アドレス" },
      true,
      get_src_mac },
    { 9,
      "proto",
      BH_TYPE_NAME,
      "",
      { "IP protocol, IANA keyword", "IP プロトコル (IANA の名称)" },
      false,
      get_proto },
    { 10, "src_port", BH_TYPE_UINT, "", { "source port", "送信元ポート" }, false, get_src_port },
    { 11, "dst_port", BH_TYPE_UINT, "", { "destination port", "宛先ポート" }, false, get_dst_port },
    { 12, "icmp_type", BH_TYPE_UINT, "", { "ICMP type", "ICMP タイプ" }, false, get_icmp_type },
    { 13, "icmp_code", BH_TYPE_UINT, "", { "ICMP code", "ICMP コード" }, false, get_icmp_code },
    { 40,
      "arp_operation",
      BH_TYPE_UINT,
      "",
      { "ARP operation: 1 request, 2 reply", "ARP の種類 (1 要求、2 応答)" },
      false,
      get_arp_operation },
    { 14, "tcp_flags", BH_TYPE_FLAGS, "", { "TCP flags", "TCP フラグ" }, false, get_tcp_flags },
    { 15,
      "ip_len",
      BH_TYPE_UINT,
      "octets",
      { "length of the IP packet", "IP パケットの長さ" },
      false,
      get_ip_len },
    { 16,
      "payload_len",
      BH_TYPE_UINT,
      "octets",
      { "octets behind the TCP, UDP or ICMP header", "TCP・UDP・ICMP ヘッダーより後の長さ" },
      false,
      get_payload_len },
    { 17,
      "ttl",
      BH_TYPE_UINT,
      "",
      { "TTL or hop limit", "TTL またはホップリミット" },
      true,
      get_ttl },
    { 18, "df", BH_TYPE_BOOL, "", { "don't fragment", "分割禁止 (DF)" }, true, get_df },
    { 19, "ip_id", BH_TYPE_UINT, "", { "IPv4 identification", "IPv4 の識別子" }, true, get_ip_id },
    { 20,
      "tcp_seq",
      BH_TYPE_UINT,
      "",
      { "TCP sequence number", "TCP シーケンス番号" },
      false,
      get_tcp_seq },
    { 21,
      "tcp_window",
      BH_TYPE_UINT,
      "",
      { "TCP window", "TCP ウィンドウ" },
      true,
      get_tcp_window },
    { 22,
      "tcp_options",
      BH_TYPE_UINT,
      "",
      { "signature of the TCP options", "TCP オプションの特徴値" },
      true,
      get_tcp_options },
    { 23, "vlan", BH_TYPE_UINT, "", { "outermost VLAN", "外側の VLAN 番号" }, true, get_vlan },
    { 24, "ethertype", BH_TYPE_UINT, "", { "EtherType", "イーサタイプ" }, true, get_ethertype },
    { 25,
      "tunnel_sender",
      BH_TYPE_ADDRESS,
      "",
      { "who sent the tunnel packet this was unpacked from; 240.0.0.0/4: hash of an IPv6 address",
        "このパケットを包んでいたトンネルの送り手 (240.0.0.0/4 は IPv6 アドレスのハッシュ)" },
      true,
      get_tunnel_sender },
    { 26,
      "tunnel_vni",
      BH_TYPE_UINT,
      "",
      { "network identifier or key of the tunnel", "トンネルのネットワーク識別子または鍵" },
      true,
      get_tunnel_vni },
    { 29,
      "class",
      BH_TYPE_NAME,
      "",
      { "what the packet was taken for", "パケットの判定" },
      false,
      get_class },
    { 30, "access", BH_TYPE_BOOL, "", { "is it an access?", "アクセスか" }, false, get_access },
    { 31,
      "outcome",
      BH_TYPE_NAME,
      "",
      { "what became of the access", "アクセスの結末" },
      false,
      get_outcome },
    { 32,
      "weight",
      BH_TYPE_UINT,
      "packets",
      { "packets this record stands for", "このレコードが表すパケット数" },
      false,
      get_weight },
    { 33,
      "truncated",
      BH_TYPE_BOOL,
      "",
      { "a header was cut by the snap length", "ヘッダーが記録長で切れている" },
      false,
      get_truncated },
    { 34,
      "fragment",
      BH_TYPE_BOOL,
      "",
      { "a fragment after the first", "2 番目以降の断片" },
      false,
      get_fragment },
    { 35,
      "duplicate",
      BH_TYPE_BOOL,
      "",
      { "the same packet was captured before", "重複して記録されたパケット" },
      false,
      get_duplicate },
    { 37,
      "reason",
      BH_TYPE_NAME,
      "",
      { "why it was not decoded or what is malformed", "解読できない、または不正な理由" },
      false,
      get_reason },
    { 38,
      "wire_len",
      BH_TYPE_UINT,
      "octets",
      { "length of the frame on the wire", "回線上のフレームの長さ" },
      true,
      get_wire_len },
};
const size_t bh_fields_count = BH_COUNT(bh_fields);

const struct bh_field *
bh_field_find(const char *name, size_t len)
{
    for (size_t i = 0; i < bh_fields_count; i++) {
        if (strlen(bh_fields[i].name) == len && memcmp(bh_fields[i].name, name, len) == 0) {
            return &bh_fields[i];
        }
    }
    return NULL;
}

const struct bh_field *
bh_field_by_id(uint16_t id)
{
    for (size_t i = 0; i < bh_fields_count; i++) {
        if (bh_fields[i].id == id) {
            return &bh_fields[i];
        }
    }
    return NULL;
}
