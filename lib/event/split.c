/* SPDX-License-Identifier: BSD-2-Clause */
/* Rows from one batch into another, column by column: what dealing records to threads costs. */
#include "bh_event.h"

#define TAKE(column)                                                                               \
    for (uint32_t j = 0; j < n; j++) {                                                             \
        to->column[at + j] = from->column[rows[j]];                                                \
    }

static void
take_cold(struct bh_batch *restrict to, const struct bh_batch *restrict from,
          const uint16_t *restrict rows, uint32_t at, uint32_t n)
{
    TAKE(ttl)
    TAKE(df)
    TAKE(ip_id)
    TAKE(tcp_window)
    TAKE(tcp_options)
    TAKE(vlan)
    TAKE(ethertype)
    TAKE(interface)
    TAKE(src_mac)
    TAKE(wire_len)
    TAKE(tunnel_sender)
    TAKE(tunnel_vni)
}

static void
take_v6(struct bh_batch *restrict to, const struct bh_batch *restrict from,
        const uint16_t *restrict rows, uint32_t at, uint32_t n)
{
    for (uint32_t j = 0; j < n; j++) {
        if (from->kind[rows[j]] == BH_KIND_IP6) {
            to->ip6[to->v6_rows] = from->ip6[from->src[rows[j]]];
            to->src[at + j] = to->dst[at + j] = to->v6_rows++;
        }
    }
}

/* Quotes are few, in row order, and so are the rows taken. */
static void
take_quotes(struct bh_batch *to, const struct bh_batch *from, const uint16_t *rows, uint32_t at,
            uint32_t n)
{
    uint32_t j = 0;
    for (uint32_t q = 0; q < from->quote_rows; q++) {
        while (j < n && rows[j] < from->quotes[q].row) {
            j++;
        }
        if (j < n && rows[j] == from->quotes[q].row && to->quote_rows < BH_BATCH_QUOTES) {
            struct bh_quote *quote = &to->quotes[to->quote_rows++];
            *quote = from->quotes[q];
            quote->row = (uint16_t)(at + j);
        }
    }
}

/* `seen` and `fragments` are lists in row order, and so are the rows taken. */
#define TAKE_LIST(list, list_rows)                                                                 \
    for (uint32_t k = 0, j = 0; k < from->list_rows; k++) {                                        \
        while (j < n && rows[j] < from->list[k].row) {                                             \
            j++;                                                                                   \
        }                                                                                          \
        if (j < n && rows[j] == from->list[k].row && to->list_rows < BH_BATCH_ROWS) {              \
            to->list[to->list_rows] = from->list[k];                                               \
            to->list[to->list_rows++].row = (uint16_t)(at + j);                                    \
        }                                                                                          \
    }

static void
take_lists(struct bh_batch *to, const struct bh_batch *from, const uint16_t *rows, uint32_t at,
           uint32_t n){ TAKE_LIST(seen, seen_rows) TAKE_LIST(fragments, fragment_rows) }

uint32_t bh_batch_take_rows(struct bh_batch *restrict to, const struct bh_batch *restrict from,
                            const uint16_t *restrict rows, uint32_t n)
{
    const uint32_t at = to->rows;
    n = n < BH_BATCH_ROWS - at ? n : BH_BATCH_ROWS - at;
    TAKE(ts_ns)
    TAKE(src)
    TAKE(dst)
    TAKE(ports)
    TAKE(tcp_seq)
    TAKE(ip_len)
    TAKE(payload_len)
    TAKE(layers)
    TAKE(kind)
    TAKE(proto)
    TAKE(tcp_flags)
    TAKE(marks)
    TAKE(reason)
    to->want = from->want;
    to->all_inbound = from->all_inbound;
    to->sensor_names = from->sensor_names;
    if (from->sensor_names != NULL) {
        TAKE(sensor)
    }
    if ((from->want & BH_WANT_COLD) != 0) {
        take_cold(to, from, rows, at, n);
    }
    if (from->v6_rows > 0) {
        take_v6(to, from, rows, at, n);
    }
    if (from->quote_rows > 0) {
        take_quotes(to, from, rows, at, n);
    }
    if ((from->seen_rows | from->fragment_rows) != 0) {
        take_lists(to, from, rows, at, n);
    }
    to->rows = at + n;
    return n;
}
