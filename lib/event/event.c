/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of the codes a record carries, and the small helpers of a batch. */
#include "bh_event.h"

#include <stdlib.h>

static const char *const reason_names[BH_REASON_COUNT] = {
    [BH_REASON_NONE] = "none",
    [BH_REASON_NOT_IP] = "not_ip",
    [BH_REASON_LINK_UNKNOWN] = "link_unknown",
    [BH_REASON_IP_VERSION] = "ip_version",
    [BH_REASON_IP_HEADER_LEN] = "ip_header_len",
    [BH_REASON_IP_TOTAL_LEN] = "ip_total_len",
    [BH_REASON_IP6_EXTENSION] = "ip6_extension",
    [BH_REASON_TCP_OFFSET] = "tcp_offset",
    [BH_REASON_UDP_LEN] = "udp_len",
    [BH_REASON_ICMP_SHORT] = "icmp_short",
    [BH_REASON_ARP_SHAPE] = "arp_shape",
    [BH_REASON_LINK_SHORT] = "link_short",
    [BH_REASON_DEPTH] = "depth",
};

static const char *const class_names[BH_CLASS_COUNT] = {
    [BH_CLASS_NONE] = "none",
    [BH_CLASS_ACCESS] = "access",
    [BH_CLASS_ICMP_ECHO_REQUEST] = "icmp_echo_request",
    [BH_CLASS_ICMP_ECHO_REPLY_SENT] = "icmp_echo_reply_sent",
    [BH_CLASS_ICMP_UNREACHABLE_SENT] = "icmp_unreachable_sent",
    [BH_CLASS_TCP_BACKSCATTER] = "tcp_backscatter",
    [BH_CLASS_UDP_BACKSCATTER] = "udp_backscatter",
    [BH_CLASS_ICMP_BACKSCATTER] = "icmp_backscatter",
    [BH_CLASS_TCP_NULL_SCAN] = "tcp_null_scan",
    [BH_CLASS_TCP_FIN_SCAN] = "tcp_fin_scan",
    [BH_CLASS_TCP_XMAS_SCAN] = "tcp_xmas_scan",
    [BH_CLASS_TCP_ACK_SCAN] = "tcp_ack_scan",
    [BH_CLASS_TCP_ODD_FLAGS] = "tcp_odd_flags",
    [BH_CLASS_TCP_STRAY] = "tcp_stray",
    [BH_CLASS_UDP_ANSWER] = "udp_answer",
    [BH_CLASS_FRAGMENT] = "fragment",
    [BH_CLASS_CUT] = "cut",
    [BH_CLASS_ARP] = "arp",
    [BH_CLASS_NEIGHBOUR_DISCOVERY] = "neighbour_discovery",
    [BH_CLASS_OTHER_PROTOCOL] = "other_protocol",
    [BH_CLASS_LOCAL] = "local",
    [BH_CLASS_TCP_IN_FLOW] = "tcp_in_flow",
    [BH_CLASS_ICMP_OTHER] = "icmp_other",
};

static const char *const outcome_names[BH_OUTCOME_COUNT] = {
    [BH_OUTCOME_NONE] = "none",
    [BH_OUTCOME_COMPLETE] = "complete",
    [BH_OUTCOME_RESET_BY_CLIENT] = "reset_by_client",
    [BH_OUTCOME_HALF_OPEN] = "half_open",
    [BH_OUTCOME_REFUSED] = "refused",
    [BH_OUTCOME_SILENT] = "silent",
    [BH_OUTCOME_UNKNOWN] = "unknown",
};

bool
bh_reason_is_damage(unsigned reason)
{
    return reason > BH_REASON_LINK_UNKNOWN && reason < BH_REASON_COUNT;
}

static const char *
name_of(const char *const *names, size_t count, unsigned code)
{
    return code < count && names[code] != NULL ? names[code] : "unknown_code";
}

const char *
bh_reason_name(unsigned reason)
{
    return name_of(reason_names, BH_COUNT(reason_names), reason);
}

const char *
bh_class_name(unsigned cls)
{
    return name_of(class_names, BH_COUNT(class_names), cls);
}

const char *
bh_outcome_name(unsigned outcome)
{
    return name_of(outcome_names, BH_COUNT(outcome_names), outcome);
}

struct bh_batch *
bh_batch_new(void)
{
    return calloc(1, sizeof(struct bh_batch));
}

void
bh_batch_free(struct bh_batch *b)
{
    free(b);
}

void
bh_batch_reset(struct bh_batch *b)
{
    b->rows = 0;
    b->v6_rows = 0;
    b->quote_rows = 0;
    b->seen_rows = 0;
    b->fragment_rows = 0;
    b->has_weight = false;
    b->has_country = false;
    b->lacks = 0;
    b->has_direction = false;
    b->no_tcp_seq = false;
    b->sensor_names = NULL;
}

/* The entries that lie beside the columns: quotes are few, `seen` is sorted by row. */
static void
copy_side_entries(struct bh_batch *to, const struct bh_batch *from, uint32_t row)
{
    for (uint32_t i = 0; i < from->quote_rows && to->quote_rows < BH_BATCH_QUOTES; i++) {
        if (from->quotes[i].row == row) {
            to->quotes[to->quote_rows] = from->quotes[i];
            to->quotes[to->quote_rows++].row = (uint16_t)to->rows;
            break;
        }
    }
    if ((from->layers[row] & BH_LAYER_SEEN) != 0 && to->seen_rows < BH_BATCH_ROWS) {
        uint32_t cursor = 0;
        struct bh_seen seen = bh_batch_seen(from, row, &cursor);
        seen.row = (uint16_t)to->rows;
        to->seen[to->seen_rows++] = seen;
    }
}

void
bh_batch_copy_row(struct bh_batch *to, const struct bh_batch *from, uint32_t row)
{
    uint32_t at = to->rows;
#define COPY(column) to->column[at] = from->column[row]
    COPY(ts_ns);
    COPY(src);
    COPY(dst);
    COPY(ports);
    COPY(tcp_seq);
    COPY(ip_len);
    COPY(payload_len);
    COPY(layers);
    COPY(kind);
    COPY(proto);
    COPY(tcp_flags);
    COPY(marks);
    COPY(reason);
    COPY(ttl);
    COPY(df);
    COPY(ip_id);
    COPY(tcp_window);
    COPY(tcp_options);
    COPY(vlan);
    COPY(ethertype);
    COPY(interface);
    COPY(src_mac);
    COPY(wire_len);
    COPY(tunnel_sender);
    COPY(tunnel_vni);
    COPY(direction);
    COPY(cls);
    COPY(outcome);
    COPY(country);
    COPY(counted);
    COPY(connection);
    COPY(weight);
    COPY(sensor);
#undef COPY
    if (from->kind[row] == BH_KIND_IP6) {
        to->ip6[to->v6_rows] = from->ip6[from->src[row]];
        to->src[at] = to->dst[at] = to->v6_rows++;
    }
    copy_side_entries(to, from, row);
    to->has_weight = from->has_weight;
    to->sensor_names = from->sensor_names;
    to->no_tcp_seq = from->no_tcp_seq;
    to->want = from->want;
    to->lacks = from->lacks;
    to->rows++;
}

struct bh_ip
bh_batch_src(const struct bh_batch *b, uint32_t row)
{
    switch (b->kind[row]) {
    case BH_KIND_IP4:
    case BH_KIND_ARP:
        return bh_ip_from_v4(b->src[row]);
    case BH_KIND_IP6: {
        const struct bh_ip6_pair *pair = &b->ip6[b->src[row]];
        return bh_ip_from_v6(pair->src_hi, pair->src_lo);
    }
    default:
        return (struct bh_ip){ .family = 0 };
    }
}

struct bh_ip
bh_batch_dst(const struct bh_batch *b, uint32_t row)
{
    switch (b->kind[row]) {
    case BH_KIND_IP4:
    case BH_KIND_ARP:
        return bh_ip_from_v4(b->dst[row]);
    case BH_KIND_IP6: {
        const struct bh_ip6_pair *pair = &b->ip6[b->dst[row]];
        return bh_ip_from_v6(pair->dst_hi, pair->dst_lo);
    }
    default:
        return (struct bh_ip){ .family = 0 };
    }
}

struct bh_seen
bh_batch_seen(const struct bh_batch *b, uint32_t row, uint32_t *cursor)
{
    struct bh_seen seen = { .row = (uint16_t)row };
    if ((b->layers[row] & BH_LAYER_SEEN) != 0) {
        while (*cursor < b->seen_rows && b->seen[*cursor].row < row) {
            (*cursor)++;
        }
        return *cursor < b->seen_rows && b->seen[*cursor].row == row ? b->seen[*cursor] : seen;
    }
    if (b->kind[row] == BH_KIND_IP4) {
        seen.has_src4 = true;
        seen.src4 = b->src[row];
    } else if (b->kind[row] == BH_KIND_IP6) {
        seen.has_src6 = true;
        seen.src6_hi = b->ip6[b->src[row]].src_hi;
        seen.src6_lo = b->ip6[b->src[row]].src_lo;
    }
    if ((b->layers[row] & (BH_LAYER_TCP | BH_LAYER_UDP)) != 0 &&
        (b->marks[row] & BH_MARK_NO_PORTS) == 0) {
        seen.port_proto = b->proto[row];
        seen.port = (uint16_t)b->ports[row];
    }
    return seen;
}

void
bh_batch_set_seen(struct bh_batch *b, uint32_t row, const struct bh_seen *seen)
{
    uint32_t at = 0;
    while (at < b->seen_rows && b->seen[at].row < row) {
        at++;
    }
    if (at == b->seen_rows || b->seen[at].row != row) {
        if (b->seen_rows == BH_BATCH_ROWS) {
            return; /* cannot be: one entry a row */
        }
        memmove(&b->seen[at + 1], &b->seen[at], (b->seen_rows - at) * sizeof b->seen[0]);
        b->seen_rows++;
    }
    b->seen[at] = *seen;
    b->seen[at].row = (uint16_t)row;
    b->layers[row] |= BH_LAYER_SEEN;
}
