/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_write_v6.c - the IPv6 sections of the database file (docs/format/kdb.md, "Looking up an IPv6
 * address").
 *
 * The upper 64 bits are looked up in a tree whose leaves are blocks of one cache line: up to 20 borders as
 * 16-bit distances from the block's first, common zero bits squeezed out, and their values. Borders inside
 * a /64, and what fits no octet, become escapes with a group of entries by the lower 64 bits.
 */
#include "kobold_compile_priv.h"

#include <errno.h>
#include <stdlib.h>

/* From here on by /64: a key (upper half, top bit turned) and an octet. */
struct v6 {
    const uint8_t *must_escape;
    struct bh_buf *sections;
    uint64_t *keys;
    uint8_t *values;
    size_t count;
    uint32_t entries;
};

/* ---- entries by /64 -------------------------------------------------------------------------- */

static void
put_key(struct v6 *v, uint64_t hi, uint8_t value)
{
    /* Each escape has a group of its own, so no two of them become one. */
    if (v->count > 0 && v->values[v->count - 1] == value && value != KDB_ESCAPE) {
        return;
    }
    v->keys[v->count] = hi ^ (1ULL << 63);
    v->values[v->count++] = value;
}

static void
put_group(struct v6 *v, uint64_t hi)
{
    buf_put32(&v->sections[KDB_V6_GROUP], v->entries);
    put_key(v, hi, KDB_ESCAPE);
}

static void
put_entry(struct v6 *v, uint64_t lo, uint16_t value)
{
    buf_put64(&v->sections[KDB_V6_ENTRY], lo);
    buf_put16(&v->sections[KDB_V6_ENTRY], value);
    v->entries++;
}

/* A stretch of whole /64s of one value. */
static void
put_stretch(struct v6 *v, uint64_t hi, uint16_t value)
{
    if (v->must_escape[value]) {
        put_group(v, hi);
        put_entry(v, 0, value);
    } else {
        put_key(v, hi, (uint8_t)value);
    }
}

static void
keys_of_runs(struct v6 *v, const struct kobold_run *runs, size_t count)
{
    size_t i = 0;
    while (i < count) {
        /* Here run i starts a /64 anew, or begins inside one whose other part run i - 1 has. */
        uint64_t hi = runs[i].start.hi;
        bool is_divided = runs[i].start.lo != 0 || (i + 1 < count && runs[i + 1].start.hi == hi);
        if (!is_divided) {
            put_stretch(v, hi, runs[i].code);
            i++;
            continue;
        }
        put_group(v, hi);
        if (runs[i].start.lo != 0) {
            put_entry(v, 0, runs[i - 1].code);
        }
        for (; i < count && runs[i].start.hi == hi; i++) {
            put_entry(v, runs[i].start.lo, runs[i].code);
        }
        bool is_next_new = i < count && runs[i].start.hi == hi + 1 && runs[i].start.lo == 0;
        bool is_next_divided = i < count && runs[i].start.hi == hi + 1;
        if (!is_next_new && !is_next_divided && hi != UINT64_MAX) {
            put_stretch(v, hi + 1, runs[i - 1].code);
        }
    }
    buf_put32(&v->sections[KDB_V6_GROUP], v->entries); /* where the last group ends */
}

/* ---- blocks and levels ----------------------------------------------------------------------- */

static void
put_block(struct bh_buf *b, const uint64_t *keys, const uint8_t *values, unsigned n, unsigned shift,
          uint32_t group)
{
    uint8_t block[KDB_BLOCK_SIZE] = { 0 };
    for (unsigned i = 1; i < KDB_BLOCK_KEYS; i++) {
        uint64_t r = i < n ? (keys[i] - keys[0]) >> shift : KDB_BLOCK_PAD;
        bh_put_le16(block + ((size_t)i - 1) * 2, (uint16_t)r);
    }
    memcpy(block + KDB_BLOCK_VALUES, values, n);
    block[KDB_BLOCK_SHIFT] = (uint8_t)shift;
    bh_put_le32(block + KDB_BLOCK_GROUP, group);
    bh_buf_add(b, block, sizeof block);
}

/* How many keys from here fit one block, and squeezed by how much. */
static unsigned
block_fill(const uint64_t *keys, size_t left, unsigned *ret_shift)
{
    unsigned n = 1;
    unsigned shift = 63;
    while (n < KDB_BLOCK_KEYS && n < left) {
        uint64_t distance = keys[n] - keys[0];
        unsigned zeros = (unsigned)__builtin_ctzll(distance);
        unsigned squeezed = zeros < shift ? zeros : shift;
        if (distance >> squeezed >= KDB_BLOCK_PAD) {
            break;
        }
        shift = squeezed;
        n++;
    }
    *ret_shift = shift;
    return n;
}

/* Returns how many; the first key of each into `bases`. */
static size_t
put_blocks(struct v6 *v, uint64_t *bases)
{
    size_t blocks = 0;
    uint32_t group = 0;
    for (size_t i = 0; i < v->count;) {
        unsigned shift;
        unsigned n = block_fill(v->keys + i, v->count - i, &shift);
        put_block(&v->sections[KDB_V6_BLOCK], v->keys + i, v->values + i, n, shift, group);
        bases[blocks++] = v->keys[i];
        for (unsigned j = 0; j < n; j++, i++) {
            group += v->values[i] == KDB_ESCAPE;
        }
    }
    return blocks;
}

static void
put_levels(struct bh_buf *b, const uint64_t *bases, size_t blocks)
{
    size_t steps[KDB_LEVELS_MAX];
    unsigned levels = 0;
    size_t step = 1; /* blocks below one entry */
    for (size_t n = blocks;; n = (n + KDB_FANOUT - 1) / KDB_FANOUT, step *= KDB_FANOUT) {
        steps[levels++] = step;
        if (n <= KDB_FANOUT) {
            break;
        }
    }
    while (levels-- > 0) {
        size_t n = 0;
        for (size_t i = 0; i < blocks; i += steps[levels], n++) {
            buf_put64(b, bases[i]);
        }
        for (; n % KDB_FANOUT != 0; n++) {
            buf_put64(b, INT64_MAX);
        }
    }
}

int
write_v6(const struct kobold_run *runs, size_t count, const uint8_t *must_escape,
         struct bh_buf *sections)
{
    /* A run makes at most two keys: its own, and one after a divided /64. */
    size_t room = bh_size_mul(count, 2);
    struct v6 v = { .must_escape = must_escape, .sections = sections };
    v.keys = malloc(bh_size_mul(room, sizeof *v.keys));
    v.values = malloc(room);
    uint64_t *bases = malloc(bh_size_mul(room, sizeof *bases));
    int r = -ENOMEM;
    if (v.keys == NULL || v.values == NULL || bases == NULL) {
        goto out;
    }
    keys_of_runs(&v, runs, count);
    /* The look-up counts on it (kobold_look.inc.h): ff00::/8 is special, hence one value. */
    if (v.keys[v.count - 1] == INT64_MAX) {
        r = BH_EFORMAT;
        goto out;
    }
    put_levels(&sections[KDB_V6_INNER], bases, put_blocks(&v, bases));
    r = 0;
out:
    free(v.keys);
    free(v.values);
    free(bases);
    return r;
}
