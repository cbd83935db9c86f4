/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_write_v4.c - the IPv4 sections of the database file (docs/format/kdb.md, "Looking up an
 * IPv4 address").
 *
 * Three steps of 16, 4 and 4 bits: the top names a middle node per /16, its 16 cells name a low node
 * per /20, and that has an octet per /24. Equal nodes are stored once. A /24 that is divided, or whose value is above an
 * octet, holds an escape; the records of a low node's escapes follow one another as its group. When there
 * are more low nodes than 16 bits can number, the rest of the /20s goes to a sorted list.
 */
#include "kobold_compile_priv.h"

#include <errno.h>
#include <stdlib.h>

enum {
    CELLS = KDB_V4_CELLS,
    SLOTS = 1 << 17,   /* of a hash table of at most 2^16 entries              */
    GROUPED = 1 << 16, /* a low node with escapes, while these are counted apart */
};

struct v4 {
    const struct kobold_run *runs;
    size_t count;
    struct bh_buf *sections;
    size_t run; /* the one in force */
    uint32_t middles;
    struct bh_buf cells;             /* middle nodes while they are made: 32 bits a cell */
    struct bh_buf nodes[2];          /* low nodes: without escapes, with */
    struct bh_buf group_size;        /* of the latter's groups, 32 bits */
    uint32_t *middle_at, *low_at[2]; /* hash tables: number + 1 */
    bool has_too_many;
};

static uint32_t
run_start(const struct v4 *v, size_t i)
{
    return (uint32_t)v->runs[i].start.lo;
}

static uint16_t
value_here(const struct v4 *v)
{
    return v->runs[v->run].code;
}

/* Does the run in force reach past `last`? */
static bool
covers(const struct v4 *v, uint32_t last)
{
    return v->run + 1 == v->count || run_start(v, v->run + 1) > last;
}

static void
go_to(struct v4 *v, uint32_t address)
{
    while (v->run + 1 < v->count && run_start(v, v->run + 1) <= address) {
        v->run++;
    }
}

/* ---- the list -------------------------------------------------------------------------------- */

/* All runs of first .. last go to the list; leaves the last of them in force. */
static void
put_listed(struct v4 *v, uint32_t first, uint32_t last)
{
    buf_put32(&v->sections[KDB_V4_SIDE], first);
    buf_put16(&v->sections[KDB_V4_SIDE], value_here(v));
    while (!covers(v, last)) {
        v->run++;
        buf_put32(&v->sections[KDB_V4_SIDE], run_start(v, v->run));
        buf_put16(&v->sections[KDB_V4_SIDE], value_here(v));
    }
}

/* ---- records --------------------------------------------------------------------------------- */

/* A divided /24: borders as octets or as a map, whichever is shorter; and when two values take turns,
 * as where a customer's addresses lie in a provider's, only these two. */
static void
put_record(struct bh_buf *b, const uint8_t *starts, const uint16_t *values, unsigned n,
           bool is_wide)
{
    unsigned shift = 7;
    bool is_alternating = n > 0;
    for (unsigned i = 0; i < n; i++) {
        unsigned zeros = (unsigned)__builtin_ctz(starts[i]);
        shift = zeros < shift ? zeros : shift;
        is_alternating &= i == 0 || values[i + 1] == values[i - 1];
    }
    unsigned map_size = KDB_RECORD_MAP_SIZE(shift);
    bool is_map = n > KDB_RECORD_COUNT || n > map_size;
    bh_buf_putc(b, (char)((is_map ? KDB_RECORD_MAP | shift : n) |
                          (is_alternating ? KDB_RECORD_ALTERNATING : 0U) |
                          (is_wide ? KDB_RECORD_WIDE : 0U)));
    if (is_map) {
        uint8_t map[32] = { 0 };
        for (unsigned i = 0; i < n; i++) {
            unsigned c = (unsigned)starts[i] >> shift;
            map[c / 8] |= (uint8_t)(1U << c % 8);
        }
        bh_buf_add(b, map, map_size);
    } else {
        bh_buf_add(b, starts, n);
    }
    unsigned count = is_alternating ? 2 : n + 1;
    for (unsigned i = 0; i < count; i++) {
        if (is_wide) {
            buf_put16(b, values[i]);
        } else {
            bh_buf_putc(b, (char)values[i]);
        }
    }
}

/* The octet of the /24 from `first`; its record into `group` when one value or octet does not do. */
static uint8_t
take_24(struct v4 *v, uint32_t first, struct bh_buf *group)
{
    uint8_t starts[255];
    uint16_t values[256];
    unsigned n = 0;
    bool is_wide = false;
    go_to(v, first);
    for (;;) {
        values[n] = value_here(v);
        is_wide |= values[n] >= KDB_ESCAPE;
        if (covers(v, first + 255)) {
            break;
        }
        v->run++;
        starts[n++] = (uint8_t)run_start(v, v->run);
    }
    if (n == 0 && !is_wide) {
        return (uint8_t)values[0];
    }
    put_record(group, starts, values, n, is_wide);
    return KDB_ESCAPE;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

/* Where `key` has its number in a hash table of things that `is_same` tells apart, or would have. */
static uint32_t *
find_slot(uint32_t *table, uint64_t hash, const struct v4 *v, const void *key,
          bool (*is_same)(const struct v4 *v, uint32_t number, const void *key))
{
    size_t at = (size_t)(hash ^ hash >> 32) % SLOTS;
    while (table[at] != 0 && !is_same(v, table[at] - 1, key)) {
        at = (at + 1) % SLOTS;
    }
    return &table[at];
}

static bool
is_same_middle(const struct v4 *v, uint32_t number, const void *key)
{
    return memcmp(v->cells.data + (size_t)number * CELLS * 4, key, (size_t)CELLS * 4) == 0;
}

static bool
is_same_low(const struct v4 *v, uint32_t number, const void *key)
{
    return memcmp(v->nodes[0].data + (size_t)number * CELLS, key, CELLS) == 0;
}

/* With escapes: the node and the octets of its group. */
struct grouped {
    const uint8_t *node;
    const char *group;
    size_t size;
};

static bool
is_same_grouped(const struct v4 *v, uint32_t number, const void *key)
{
    const struct grouped *g = key;
    uint32_t size;
    memcpy(&size, v->group_size.data + (size_t)number * 4, sizeof size);
    uint32_t at = bh_get_le32((const uint8_t *)v->sections[KDB_V4_GROUP].data + (size_t)number * 4);
    return size == g->size &&
           memcmp(v->nodes[1].data + (size_t)number * CELLS, g->node, CELLS) == 0 &&
           memcmp(v->sections[KDB_V4_RECORD].data + at, g->group, size) == 0;
}

/* The low node of these octets and records: one that is there, or a new one. KDB_ESCAPE, the node that
 * leads to the list, when 16 bits number no more. */
static uint32_t
number_low(struct v4 *v, const uint8_t *node, const struct bh_buf *group)
{
    bool is_grouped = group->len > 0;
    struct grouped g = { node, group->data, group->len };
    uint64_t hash = kdb_sum(node, CELLS);
    if (is_grouped) {
        hash ^= kdb_sum((const uint8_t *)group->data, group->len) * 3;
    }
    uint32_t *slot = find_slot(v->low_at[is_grouped], hash, v, is_grouped ? (const void *)&g : node,
                               is_grouped ? is_same_grouped : is_same_low);
    uint32_t number = *slot - 1;
    if (*slot == 0) {
        if ((v->nodes[0].len + v->nodes[1].len) / CELLS > UINT16_MAX) {
            return KDB_ESCAPE;
        }
        number = (uint32_t)v->nodes[is_grouped].len / CELLS;
        bh_buf_add(&v->nodes[is_grouped], node, CELLS);
        if (is_grouped) {
            uint32_t size = (uint32_t)group->len;
            bh_buf_add(&v->group_size, &size, sizeof size);
            buf_put32(&v->sections[KDB_V4_GROUP], (uint32_t)v->sections[KDB_V4_RECORD].len);
            bh_buf_add(&v->sections[KDB_V4_RECORD], group->data, group->len);
        }
        *slot = number + 1;
    }
    return is_grouped ? GROUPED + number : number;
}

/* The cell of the /20 from `first`. */
static uint32_t
cell_of(struct v4 *v, uint32_t first, struct bh_buf *group)
{
    go_to(v, first);
    if (covers(v, first + 0xfff) && value_here(v) < KDB_ESCAPE) {
        return value_here(v);
    }
    size_t run = v->run;
    uint8_t node[CELLS];
    group->len = 0;
    for (unsigned i = 0; i < CELLS; i++) {
        node[i] = take_24(v, first + (i << 8), group);
    }
    uint32_t number = number_low(v, node, group);
    if (number == KDB_ESCAPE) {
        v->run = run;
        put_listed(v, first, first + 0xfff);
    }
    return number;
}

static uint16_t
top_of(struct v4 *v, uint32_t first, struct bh_buf *group)
{
    go_to(v, first);
    if (covers(v, first + 0xffff) && value_here(v) < KDB_ESCAPE) {
        return value_here(v);
    }
    uint32_t cells[CELLS];
    for (unsigned i = 0; i < CELLS; i++) {
        cells[i] = cell_of(v, first + (i << 12), group);
    }
    const uint8_t *octets = (const uint8_t *)cells;
    uint32_t *slot =
        find_slot(v->middle_at, kdb_sum(octets, sizeof cells), v, cells, is_same_middle);
    if (*slot == 0) {
        v->has_too_many |= v->middles > UINT16_MAX;
        bh_buf_add(&v->cells, cells, sizeof cells);
        *slot = ++v->middles;
    }
    return (uint16_t)(*slot - 1);
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* Number i of the first 256 nodes of both kinds says i everywhere; 255 leads to the list. */
static void
put_uniform_nodes(struct v4 *v)
{
    for (unsigned i = 0; i <= KDB_ESCAPE; i++) {
        uint8_t node[CELLS];
        uint32_t cells[CELLS];
        for (unsigned c = 0; c < CELLS; c++) {
            node[c] = (uint8_t)i;
            cells[c] = i;
        }
        bh_buf_add(&v->nodes[0], node, sizeof node);
        bh_buf_add(&v->cells, cells, sizeof cells);
        v->middles++;
    }
}

/* In the file the nodes with escapes follow the uniform ones, so that a number tells them apart. */
static void
put_nodes(struct v4 *v)
{
    const size_t uniform = (size_t)KDB_V4_UNIFORM * CELLS;
    uint32_t groups = (uint32_t)(v->nodes[1].len / CELLS);
    struct bh_buf *low = &v->sections[KDB_V4_LOW];
    bh_buf_add(low, v->nodes[0].data, uniform);
    bh_buf_add(low, v->nodes[1].data, v->nodes[1].len);
    bh_buf_add(low, v->nodes[0].data + uniform, v->nodes[0].len - uniform);
    for (size_t i = 0; i < v->cells.len; i += 4) {
        uint32_t cell;
        memcpy(&cell, v->cells.data + i, sizeof cell);
        cell = cell >= GROUPED          ? cell - GROUPED + KDB_V4_UNIFORM
               : cell >= KDB_V4_UNIFORM ? cell + groups
                                        : cell;
        buf_put16(&v->sections[KDB_V4_MIDDLE], (uint16_t)cell);
    }
}

static int
put_all(struct v4 *v)
{
    struct bh_buf group = { 0 };
    put_uniform_nodes(v);
    bool failed = v->cells.failed || v->nodes[0].failed;
    for (uint32_t i = 0; i < 65536 && !failed; i++) {
        buf_put16(&v->sections[KDB_V4_TOP], top_of(v, i << 16, &group));
        failed = v->cells.failed || v->nodes[0].failed || v->nodes[1].failed || group.failed ||
                 v->group_size.failed || v->sections[KDB_V4_GROUP].failed ||
                 v->sections[KDB_V4_RECORD].failed;
    }
    bh_buf_done(&group);
    if (failed) {
        return -ENOMEM;
    }
    put_nodes(v);
    buf_put_zeros(&v->sections[KDB_V4_RECORD], KDB_RECORD_SLACK);
    return v->has_too_many || v->sections[KDB_V4_RECORD].len > UINT32_MAX ? BH_ELIMIT : 0;
}

int
write_v4(const struct kobold_run *runs, size_t count, struct bh_buf *sections)
{
    struct v4 v = { .runs = runs, .count = count, .sections = sections };
    v.middle_at = calloc(SLOTS, sizeof *v.middle_at);
    v.low_at[0] = calloc(SLOTS, sizeof *v.low_at[0]);
    v.low_at[1] = calloc(SLOTS, sizeof *v.low_at[1]);
    int r = -ENOMEM;
    if (v.middle_at != NULL && v.low_at[0] != NULL && v.low_at[1] != NULL) {
        r = put_all(&v);
    }
    free(v.middle_at);
    free(v.low_at[0]);
    free(v.low_at[1]);
    bh_buf_done(&v.cells);
    bh_buf_done(&v.nodes[0]);
    bh_buf_done(&v.nodes[1]);
    bh_buf_done(&v.group_size);
    return r;
}
