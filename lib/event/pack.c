/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A batch as octets, for the process next door: only the rows that are used, column after column.
 * In the byte order of this machine, as it never leaves it; a sum is not needed, but every number that
 * becomes an index or picks a name is checked, as the process that packed it reads strangers' packets.
 */
#include "bh_event.h"

#include <stddef.h>

/* Counts up when a column keeps its width and changes its meaning. */
#define PACK_VERSION 1U

struct column {
    size_t offset;
    uint32_t width;
};
#define COLUMN(name)                                                                               \
    {                                                                                              \
        offsetof(struct bh_batch, name), sizeof((struct bh_batch *)0)->name[0]                     \
    }

static const struct column columns[] = {
    COLUMN(ts_ns),      COLUMN(src),         COLUMN(dst),         COLUMN(ports),
    COLUMN(tcp_seq),    COLUMN(ip_len),      COLUMN(payload_len), COLUMN(layers),
    COLUMN(kind),       COLUMN(proto),       COLUMN(tcp_flags),   COLUMN(marks),
    COLUMN(reason),     COLUMN(ttl),         COLUMN(df),          COLUMN(ip_id),
    COLUMN(tcp_window), COLUMN(tcp_options), COLUMN(vlan),        COLUMN(ethertype),
    COLUMN(interface),  COLUMN(src_mac),     COLUMN(wire_len),    COLUMN(tunnel_sender),
    COLUMN(tunnel_vni), COLUMN(direction),   COLUMN(cls),         COLUMN(outcome),
};

/* Lists of a batch: so many entries are used. `row` of an entry is its first member. */
struct list {
    size_t offset, count_offset;
    uint32_t width, most;
    bool has_row;
};
#define LIST(name, count, most, has_row)                                                           \
    {                                                                                              \
        offsetof(struct bh_batch, name), offsetof(struct bh_batch, count),                         \
            sizeof((struct bh_batch *)0)->name[0], most, has_row                                   \
    }

static const struct list lists[] = {
    LIST(ip6, v6_rows, BH_BATCH_ROWS, false),
    LIST(quotes, quote_rows, BH_BATCH_QUOTES, true),
    LIST(seen, seen_rows, BH_BATCH_ROWS, true),
};
_Static_assert(offsetof(struct bh_quote, row) == 0 && offsetof(struct bh_seen, row) == 0,
               "see struct list");

enum { HEAD_WORDS = 2 + 3 };

static uint32_t
list_count(const struct bh_batch *b, const struct list *l)
{
    uint32_t n;
    memcpy(&n, (const uint8_t *)b + l->count_offset, sizeof n);
    return n;
}

uint32_t
bh_batch_layout(void)
{
    const uint16_t order = 1;
    uint64_t mark = *(const uint8_t *)&order;
    for (size_t k = 0; k < BH_COUNT(columns); k++) {
        mark = bh_mix64(mark, columns[k].width);
    }
    for (size_t k = 0; k < BH_COUNT(lists); k++) {
        mark = bh_mix64(mark, (uint64_t)lists[k].width << 32 | lists[k].most);
    }
    return (uint32_t)mark ^ PACK_VERSION;
}

size_t
bh_batch_packed_size(const struct bh_batch *b)
{
    size_t size = HEAD_WORDS * sizeof(uint32_t);
    for (size_t k = 0; k < BH_COUNT(columns); k++) {
        size += (size_t)columns[k].width * b->rows;
    }
    for (size_t k = 0; k < BH_COUNT(lists); k++) {
        size += (size_t)lists[k].width * list_count(b, &lists[k]);
    }
    return size;
}

void
bh_batch_pack(const struct bh_batch *b, uint8_t *to)
{
    uint32_t head[HEAD_WORDS] = { b->rows, b->lacks };
    for (size_t k = 0; k < BH_COUNT(lists); k++) {
        head[2 + k] = list_count(b, &lists[k]);
    }
    memcpy(to, head, sizeof head);
    to += sizeof head;
    for (size_t k = 0; k < BH_COUNT(columns); k++) {
        memcpy(to, (const uint8_t *)b + columns[k].offset, (size_t)columns[k].width * b->rows);
        to += (size_t)columns[k].width * b->rows;
    }
    for (size_t k = 0; k < BH_COUNT(lists); k++) {
        memcpy(to, (const uint8_t *)b + lists[k].offset, (size_t)lists[k].width * head[2 + k]);
        to += (size_t)lists[k].width * head[2 + k];
    }
}

/* Every number that is used as an index, or picks a name, or adds up. */
static bool
rows_are_good(const struct bh_batch *b)
{
    bool good = true;
    for (uint32_t i = 0; i < b->rows; i++) {
        const unsigned kind = b->kind[i];
        good &= kind == BH_KIND_NONE || kind == BH_KIND_ARP || kind == BH_KIND_IP4 ||
                kind == BH_KIND_IP6;
        good &= kind != BH_KIND_IP6 || (b->src[i] < b->v6_rows && b->dst[i] == b->src[i]);
        good &= b->reason[i] < BH_REASON_COUNT && b->direction[i] <= BH_DIR_TRANSIT;
        good &= b->cls[i] < BH_CLASS_COUNT && b->outcome[i] < BH_OUTCOME_COUNT;
        good &= b->df[i] <= 1;
        good &= b->vlan[i] <= 4096 && b->src_mac[i] < 1ULL << 48;
    }
    return good;
}

/* Entries stand in the order of their rows. */
static bool
lists_are_good(const struct bh_batch *b)
{
    for (uint32_t k = 0; k < b->quote_rows; k++) {
        const struct bh_quote *q = &b->quotes[k];
        uint8_t truth;
        memcpy(&truth, &q->has_ports, 1);
        if (q->row >= b->rows || (k > 0 && q->row < b->quotes[k - 1].row) || truth > 1 ||
            (q->kind != BH_KIND_IP4 && q->kind != BH_KIND_IP6)) {
            return false;
        }
    }
    for (uint32_t k = 0; k < b->seen_rows; k++) {
        const struct bh_seen *s = &b->seen[k];
        uint8_t truth[2];
        memcpy(&truth[0], &s->has_src4, 1);
        memcpy(&truth[1], &s->has_src6, 1);
        if (s->row >= b->rows || (k > 0 && s->row <= b->seen[k - 1].row) || truth[0] > 1 ||
            truth[1] > 1 || (b->layers[s->row] & BH_LAYER_SEEN) == 0) {
            return false;
        }
    }
    uint32_t marked = 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        marked += (b->layers[i] & BH_LAYER_SEEN) != 0;
    }
    return marked == b->seen_rows;
}

bool
bh_batch_unpack(struct bh_batch *b, const uint8_t *data, size_t size)
{
    uint32_t head[HEAD_WORDS];
    bh_batch_reset(b);
    if (size < sizeof head) {
        return false;
    }
    memcpy(head, data, sizeof head);
    data += sizeof head;
    if (head[0] > BH_BATCH_ROWS || head[1] > 15) {
        return false;
    }
    for (size_t k = 0; k < BH_COUNT(lists); k++) {
        if (head[2 + k] > lists[k].most || (lists[k].has_row && head[2 + k] > head[0])) {
            return false;
        }
        memcpy((uint8_t *)b + lists[k].count_offset, &head[2 + k], sizeof head[2 + k]);
    }
    b->rows = head[0];
    b->lacks = head[1];
    b->want = BH_WANT_COLD;
    b->has_weight = b->all_inbound = b->has_direction = b->no_tcp_seq = false;
    b->has_country = false;
    if (size != bh_batch_packed_size(b)) {
        bh_batch_reset(b);
        return false;
    }
    for (size_t k = 0; k < BH_COUNT(columns); k++) {
        memcpy((uint8_t *)b + columns[k].offset, data, (size_t)columns[k].width * b->rows);
        data += (size_t)columns[k].width * b->rows;
    }
    for (size_t k = 0; k < BH_COUNT(lists); k++) {
        memcpy((uint8_t *)b + lists[k].offset, data, (size_t)lists[k].width * head[2 + k]);
        data += (size_t)lists[k].width * head[2 + k];
    }
    if (!rows_are_good(b) || !lists_are_good(b)) {
        bh_batch_reset(b);
        return false;
    }
    return true;
}
