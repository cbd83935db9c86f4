/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chunks: up to a block of rows in columns, as numbers of the tables (table.c).
 *
 * Fields that a record does not have are made zero here (the decoder leaves in them what was there
 * before), so that they cost nothing and a log does not depend on what came earlier.
 */
#include "table_priv.h"

#include <errno.h>
#include <stdlib.h>

/* ---- memory -------------------------------------------------------------------------------------- */

#define CHUNK_ROWS (BLOCK_ROWS + 16U)
/* Columns begin at different places of the first-level cache: rows are written to all of them at once. */
#define CHUNK_STAGGER 320U

#define EACH_COLUMN(X)                                                                             \
    X(ts_ns)                                                                                       \
    X(far)                                                                                         \
    X(near)                                                                                        \
    X(seq)                                                                                         \
    X(connection)                                                                                  \
    X(service) X(shape) X(port) X(other) X(ip_id) X(window) X(ttl) X(outcome) X(kind) X(stream)

static size_t
columns_size(void)
{
    size_t size = 0;
    const struct chunk *c = NULL;
#define X(name) size += CHUNK_ROWS * sizeof *c->name + CHUNK_STAGGER;
    EACH_COLUMN(X)
#undef X
    return size;
}

struct chunk *
chunk_new(void)
{
    struct chunk *c = calloc(1, sizeof *c);
    /* Pages of their own, huge ones: half of the time of filling small ones goes into getting them. */
    char *p = c == NULL ? NULL : bh_pages_new(columns_size(), true);
    if (p == NULL) {
        free(c);
        return NULL;
    }
    c->columns = p;
#define X(name)                                                                                    \
    c->name = (void *)p;                                                                           \
    p += CHUNK_ROWS * sizeof *c->name + CHUNK_STAGGER;
    EACH_COLUMN(X)
#undef X
    chunk_reset(c);
    return c;
}

void
chunk_reset(struct chunk *c)
{
    c->rows = c->quote_count = c->seen_count = 0;
    c->min_ns = INT64_MAX;
    c->max_ns = INT64_MIN;
    c->far_least[0] = c->far_least[1] = UINT32_MAX;
    c->far_most[0] = c->far_most[1] = 0;
}

void
chunk_free(struct chunk *c)
{
    if (c == NULL) {
        return;
    }
    bh_pages_free(c->columns, columns_size());
    free(c->weight);
    free(c->quote);
    free(c->seen);
    free(c);
}

struct chunk
chunk_part(const struct chunk *c, uint32_t first, uint32_t rows)
{
    struct chunk part = *c;
    part.rows = rows;
    part.min_ns = INT64_MAX;
    part.max_ns = INT64_MIN;
#define X(name) part.name = c->name + first;
    EACH_COLUMN(X)
#undef X
    part.weight = c->weight == NULL ? NULL : c->weight + first;
    for (uint32_t i = 0; i < rows; i++) {
        part.min_ns = part.ts_ns[i] < part.min_ns ? part.ts_ns[i] : part.min_ns;
        part.max_ns = part.ts_ns[i] > part.max_ns ? part.ts_ns[i] : part.max_ns;
    }
    part.side_base = c->side_base + first;
    while (part.quote_count > 0 && part.quote->row < part.side_base) {
        part.quote++;
        part.quote_count--;
    }
    while (part.quote_count > 0 && part.quote[part.quote_count - 1].row - part.side_base >= rows) {
        part.quote_count--;
    }
    while (part.seen_count > 0 && part.seen->row < part.side_base) {
        part.seen++;
        part.seen_count--;
    }
    while (part.seen_count > 0 && part.seen[part.seen_count - 1].row - part.side_base >= rows) {
        part.seen_count--;
    }
    return part;
}

/* ---- rows of a batch ------------------------------------------------------------------------------ */

uint32_t
chunk_flags_of(const struct bh_batch *b)
{
    return ((b->want & BH_WANT_COLD) != 0 ? CHUNK_COLD : 0U) | (b->has_weight ? CHUNK_WEIGHT : 0U) |
           (b->all_inbound ? CHUNK_ALL_INBOUND : 0U) | (b->no_tcp_seq ? CHUNK_NO_SEQ : 0U) |
           b->lacks << CHUNK_LACKS_SHIFT;
}

static inline bool
is_ip_kind(unsigned kind)
{
    return kind == BH_KIND_IP4 || kind == BH_KIND_IP6;
}

/* Is the service what stands first in `ports`? An access asks for its destination port; of other
 * segments and datagrams the lower port is nearly always the one that was asked for; of ICMP it is
 * the type. */
static inline unsigned
is_in_front(unsigned cls, bool out, unsigned proto, uint32_t ports)
{
    if (proto == BH_PROTO_TCP || proto == BH_PROTO_UDP) {
        const uint32_t src = ports >> 16, dst = ports & 0xffff;
        return cls == BH_CLASS_ACCESS ? 0 : out ? src <= dst : src < dst;
    }
    return proto == BH_PROTO_ICMP || proto == BH_PROTO_ICMP6;
}

/* What a row looks like, of the fields it has. Every field has bits of its own, so two looks are the same when
 * form, stream and length are. */
static inline struct look
look_of(const struct bh_batch *b, uint32_t i, bool cold, bool from_us, uint32_t lacks,
        unsigned stream)
{
    const unsigned kind = b->kind[i], proto = b->proto[i], marks = b->marks[i];
    const bool ip = is_ip_kind(kind), whole = ip && (marks & BH_MARK_NO_PORTS) == 0;
    const bool tcp = whole && proto == BH_PROTO_TCP;
    const bool payload = whole && (tcp || proto == BH_PROTO_UDP || proto == BH_PROTO_ICMP ||
                                   proto == BH_PROTO_ICMP6);
    const uint32_t len = ip ? b->ip_len[i] : 0,
                   header_len = len - (payload ? b->payload_len[i] : 0U);
    struct look x = { .word = {
                          [1] = (uint64_t)header_len << 32,
                          [2] = (uint64_t)b->layers[i] << 32,
                          [4] = (uint64_t)(tcp ? b->tcp_flags[i] : 0U) << 32 |
                                (uint64_t)(uint8_t)marks << 40 | (uint64_t)b->reason[i] << 48,
                          [5] = (uint64_t)len << 32 | stream << 8,
                      } };
    if (!cold) {
        return x;
    }
    x.word[0] = b->src_mac[i];
    x.word[1] |= tcp && (lacks & BH_LACK_OPTIONS) == 0 ? b->tcp_options[i] : 0;
    x.word[2] |= (uint32_t)(b->wire_len[i] - len) | (uint64_t)b->vlan[i] << 48;
    if ((marks & BH_MARK_DECAP) != 0) {
        x.word[3] = b->tunnel_sender[i] | (uint64_t)b->tunnel_vni[i] << 32;
    }
    x.word[4] |= b->ethertype[i] | (uint64_t)b->interface[i] << 16 |
                 (uint64_t)(kind == BH_KIND_IP4 ? b->df[i] : 0U) << 56;
    x.word[5] |= ip && from_us ? b->ttl[i] : 0;
    return x;
}

static BH_NOINLINE int
shape_new(struct terms *t, const struct look *x, struct seen_shape *seen, uint32_t *ret)
{
    const uint64_t *w = x->word;
    const struct form f = {
        .mac = w[0],
        .options = (uint32_t)w[1],
        .header_len = (uint32_t)(w[1] >> 32),
        .link_len = (uint32_t)w[2],
        .layers = (uint16_t)(w[2] >> 32),
        .vlan = (uint16_t)(w[2] >> 48),
        .tunnel_sender = (uint32_t)w[3],
        .tunnel_vni = (uint32_t)(w[3] >> 32),
        .ethertype = (uint16_t)w[4],
        .interface = (uint16_t)(w[4] >> 16),
        .flags = (uint8_t)(w[4] >> 32),
        .marks = (uint8_t)(w[4] >> 40),
        .reason = (uint8_t)(w[4] >> 48),
        .df = (uint8_t)(w[4] >> 56),
        .ttl = (uint8_t)w[5],
    };
    uint32_t form = 0;
    int r = form_id(t, &f, form_hash(t->key, &f), &form);
    r = r != 0
            ? r
            : key_id(t, &t->shape, shape_key(w[5] >> 8 & 0xff, form, (uint32_t)(w[5] >> 32)), ret);
    if (r == 0) {
        *seen = (struct seen_shape){ .look = *x, .shape = *ret + 1ULL };
    }
    return r;
}

static int
add_sides(struct chunk *c, const struct bh_batch *b, uint32_t from, uint32_t to)
{
    const uint32_t base = c->rows - from;
    for (uint32_t k = 0; k < b->quote_rows; k++) {
        if (b->quotes[k].row < from || b->quotes[k].row >= to) {
            continue;
        }
        void *list = c->quote;
        if (!list_reach(&list, &c->quote_cap, c->quote_count, sizeof *c->quote)) {
            return -ENOMEM;
        }
        c->quote = list;
        c->quote[c->quote_count++] = (struct quote_row){ base + b->quotes[k].row, b->quotes[k] };
    }
    for (uint32_t k = 0; k < b->seen_rows; k++) {
        if (b->seen[k].row < from || b->seen[k].row >= to) {
            continue;
        }
        void *list = c->seen;
        if (!list_reach(&list, &c->seen_cap, c->seen_count, sizeof *c->seen)) {
            return -ENOMEM;
        }
        c->seen = list;
        c->seen[c->seen_count++] = (struct seen_row){ base + b->seen[k].row, b->seen[k] };
    }
    return 0;
}

/* An end of a row: the far one, or ours. */
static inline struct address
end_of(const struct bh_batch *b, uint32_t i, bool dst)
{
    const unsigned kind = b->kind[i];
    if (BH_LIKELY(kind == BH_KIND_IP4 || kind == BH_KIND_ARP)) {
        return (struct address){ 0, dst ? b->dst[i] : b->src[i], 4 };
    }
    if (kind == BH_KIND_IP6) {
        const struct bh_ip6_pair *p = &b->ip6[b->src[i]];
        return dst ? (struct address){ p->dst_hi, p->dst_lo, 6 }
                   : (struct address){ p->src_hi, p->src_lo, 6 };
    }
    return (struct address){ 0 };
}

/* What a row is, in bits: so that loops over a column need no branches. */
enum { ROW_OUT = 1, ROW_IP = 2, ROW_IP4 = 4, ROW_TCP = 8, ROW_KNOCK = 16, ROW_TTL = 32 };

/* What is worked out of a batch before anything is looked up. */
struct looked {
    uint64_t far_hash[BH_BATCH_ROWS];
    uint32_t *table[BH_BATCH_ROWS]; /* of the group */
    uint32_t group[BH_BATCH_ROWS];
    uint8_t is[BH_BATCH_ROWS];
};

/* What costs no cold line; those that will be needed are asked for. */
static void
look_ahead(struct chunk *c, struct terms *t, const struct bh_batch *b, uint32_t from, uint32_t n,
           struct looked *x)
{
    const bool cold = (b->want & BH_WANT_COLD) != 0;
    uint32_t least = c->far_least[0], most = c->far_most[0];
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t i = from + k, at = c->rows + k;
        const unsigned kind = b->kind[i];
        const bool ip = is_ip_kind(kind), out = b->direction[i] == BH_DIR_OUT;
        const bool has_ports = (b->marks[i] & BH_MARK_NO_PORTS) == 0;
        const unsigned proto = ip ? b->proto[i] : 0;
        const uint32_t ports = (ip && has_ports) || kind == BH_KIND_ARP ? b->ports[i] : 0;
        const unsigned in_front = is_in_front(b->cls[i], out, proto, ports);
        const uint32_t group =
            group_pack(b->cls[i] & 31U, b->direction[i] & 7U, kind & 7U, proto, in_front);
        const bool tcp = has_ports && proto == BH_PROTO_TCP;
        const struct address far = end_of(b, i, out);
        x->is[k] = (uint8_t)((out ? ROW_OUT : 0) | (ip ? ROW_IP : 0) |
                             (kind == BH_KIND_IP4 && cold ? ROW_IP4 : 0) | (tcp ? ROW_TCP : 0) |
                             (tcp && b->cls[i] == BH_CLASS_ACCESS ? ROW_KNOCK : 0) |
                             (cold && ip && !out ? ROW_TTL : 0));
        x->group[k] = group;
        x->table[k] = port_table(t, group);
        x->far_hash[k] = address_hash(t->key, far.family, far.hi, far.lo);
        c->port[at] = (uint16_t)(in_front ? ports >> 16 : ports & 0xffff);
        c->other[at] = (uint16_t)(in_front ? ports & 0xffff : ports >> 16);
        c->stream[at] = (uint8_t)stream_of(group);
        c->kind[at] = (uint8_t)(kind | (ip && !out ? (unsigned)CHUNK_THEIRS : 0U));
        if (BH_LIKELY(far.family == 4)) {
            __builtin_prefetch(&t->far_at.slot4[(uint32_t)x->far_hash[k] & t->far_at.mask4]);
            least = (uint32_t)far.lo < least ? (uint32_t)far.lo : least;
            most = (uint32_t)far.lo > most ? (uint32_t)far.lo : most;
        } else if (far.family == 6) {
            const uint32_t upper = (uint32_t)(far.hi >> 32);
            __builtin_prefetch(&t->far_at.slot6[(uint32_t)x->far_hash[k] & t->far_at.mask6]);
            c->far_least[1] = upper < c->far_least[1] ? upper : c->far_least[1];
            c->far_most[1] = upper > c->far_most[1] ? upper : c->far_most[1];
        }
        if (x->table[k] != NULL) {
            BH_PREFETCH_WRITE(&x->table[k][c->port[at]]);
        }
    }
    c->far_least[0] = least;
    c->far_most[0] = most;
}

/* Columns that are taken as they are, where the record has the field. */
static void
copy_columns(struct chunk *c, const struct bh_batch *b, uint32_t from, uint32_t n,
             const struct looked *x)
{
    const uint32_t at = c->rows;
    int64_t least = c->min_ns, most = c->max_ns;
    memcpy(c->ts_ns + at, b->ts_ns + from, n * sizeof *c->ts_ns);
    for (uint32_t k = 0; k < n; k++) {
        least = b->ts_ns[from + k] < least ? b->ts_ns[from + k] : least;
        most = b->ts_ns[from + k] > most ? b->ts_ns[from + k] : most;
    }
    c->min_ns = least;
    c->max_ns = most;
    for (uint32_t k = 0; k < n; k++) {
        c->seq[at + k] = (x->is[k] & ROW_TCP) != 0 ? b->tcp_seq[from + k] : 0;
        c->connection[at + k] = (x->is[k] & ROW_KNOCK) != 0 ? b->connection[from + k] : 0;
    }
    for (uint32_t k = 0; k < n; k++) {
        c->ip_id[at + k] = (x->is[k] & ROW_IP4) != 0 ? b->ip_id[from + k] : 0;
    }
    const bool cold = (b->want & BH_WANT_COLD) != 0;
    for (uint32_t k = 0; k < n; k++) {
        c->window[at + k] = cold && (x->is[k] & ROW_TCP) != 0 ? b->tcp_window[from + k] : 0;
    }
    for (uint32_t k = 0; k < n; k++) {
        c->outcome[at + k] = (x->is[k] & ROW_KNOCK) != 0 ? b->outcome[from + k] : 0;
        c->ttl[at + k] = (x->is[k] & ROW_TTL) != 0 ? b->ttl[from + k] : 0;
    }
    if (b->has_weight) {
        memcpy(c->weight + at, b->weight + from, n * sizeof *c->weight);
    }
}

/* Far ends that the tables do not have yet: their countries are looked up together, as each is some cold lines. */
static int
add_missing(struct chunk *c, struct terms *t, const struct bh_batch *b, uint32_t from,
            const uint16_t *country_map, const struct looked *x, const uint16_t *miss,
            uint32_t misses)
{
    uint32_t addr[BH_BATCH_ROWS];
    uint16_t value[BH_BATCH_ROWS];
    const bool ask = country_map == NULL && t->countries != NULL;
    int r = 0;
    for (uint32_t m = 0; m < misses && ask; m++) {
        addr[m] = (uint32_t)end_of(b, from + miss[m], (x->is[miss[m]] & ROW_OUT) != 0).lo;
    }
    if (ask) {
        kobold_v4_many(t->countries, addr, value, misses); /* of IPv6 not used */
    }
    for (uint32_t m = 0; m < misses && r == 0; m++) {
        const uint32_t k = miss[m], i = from + k;
        const struct address far = end_of(b, i, (x->is[k] & ROW_OUT) != 0);
        const uint32_t country = country_map != NULL      ? country_map[b->country[i]]
                                 : ask && far.family == 4 ? terms_country_of_value(t, value[m])
                                                          : COUNTRY_ASK;
        r = far_id(t, far, x->far_hash[k], country, &c->far[c->rows + k]);
    }
    return r;
}

static int
find_ends(struct chunk *c, struct terms *t, const struct bh_batch *b, uint32_t from, uint32_t n,
          const uint16_t *country_map, const struct looked *x)
{
    uint16_t miss[BH_BATCH_ROWS];
    uint32_t misses = 0;
    int r = 0;
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t i = from + k;
        miss[misses] = (uint16_t)k;
        misses += !far_is_known(t, end_of(b, i, (x->is[k] & ROW_OUT) != 0), x->far_hash[k],
                                country_map == NULL ? COUNTRY_ASK : country_map[b->country[i]],
                                &c->far[c->rows + k]);
    }
    for (uint32_t k = 0; k < n && r == 0; k++) {
        const struct address near = end_of(b, from + k, (x->is[k] & ROW_OUT) == 0);
        r = near_id(t, near, address_hash(t->key, near.family, near.hi, near.lo),
                    &c->near[c->rows + k]);
    }
    return r != 0 || misses == 0 ? r : add_missing(c, t, b, from, country_map, x, miss, misses);
}

#define LOOKS 16U

/* The shapes of rows: mostly ones that were seen lately. First what they look like, of some rows, so that their places
 * are there when they are compared. */
static int
find_shapes(struct chunk *c, struct terms *t, const struct bh_batch *b, uint32_t from, uint32_t n,
            const struct looked *x)
{
    struct look look[LOOKS];
    struct seen_shape *seen[LOOKS];
    const uint32_t lacks = c->flags >> CHUNK_LACKS_SHIFT;
    const bool cold = (b->want & BH_WANT_COLD) != 0;
    int r = 0;
    for (uint32_t first = 0, end; first < n && r == 0; first = end) {
        end = n - first < LOOKS ? n : first + LOOKS;
        for (uint32_t k = first; k < end; k++) {
            look[k - first] = look_of(b, from + k, cold, (x->is[k] & ROW_OUT) != 0, lacks,
                                      stream_of(x->group[k]));
            seen[k - first] = &t->seen_shape[look_place(&look[k - first])];
            __builtin_prefetch(seen[k - first]);
        }
        for (uint32_t k = first; k < end && r == 0; k++) {
            struct seen_shape *s = seen[k - first];
            const bool known = look_same(&s->look, &look[k - first]) && s->shape != 0;
            c->shape[c->rows + k] = (uint32_t)(s->shape - 1);
            r = BH_LIKELY(known) ? 0 : shape_new(t, &look[k - first], s, &c->shape[c->rows + k]);
        }
    }
    return r;
}

int
chunk_add(struct chunk *c, struct terms *t, const struct bh_batch *b, uint32_t from, uint32_t to,
          const uint16_t *country_map)
{
    struct looked x;
    const uint32_t n = to - from;
    if (b->has_weight && c->weight == NULL &&
        (c->weight = malloc(CHUNK_ROWS * sizeof *c->weight)) == NULL) {
        return -ENOMEM;
    }
    int r = add_sides(c, b, from, to);
    look_ahead(c, t, b, from, n, &x);
    copy_columns(c, b, from, n, &x);
    r = r != 0 ? r : find_shapes(c, t, b, from, n, &x);
    for (uint32_t k = 0; k < n && r == 0; k++) {
        const uint32_t at = c->rows + k;
        r = service_id(t, x.table[k], x.group[k], c->port[at], &c->service[at]);
    }
    r = r != 0 ? r : find_ends(c, t, b, from, n, country_map, &x);
    c->rows += r == 0 ? n : 0;
    return r;
}
