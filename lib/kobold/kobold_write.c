/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_write.c - runs to the database file (docs/format/kdb.md).
 *
 * Values are numbered so that the ones most often met fit one octet: unknown, unallocated, the
 * special uses, then countries by their number of runs. The rest (the smallest countries,
 * when there are more than 255 values) take the way of a divided /24: a few octets more for
 * them, one octet less for each of the 400000 others.
 */
#include "kobold_compile_priv.h"

#include <errno.h>
#include <stdlib.h>

/* One per distinct meaning: equal (class, rfc, reachable) rows share a value. */
struct meaning {
    uint16_t code; /* the first that has it            */
    uint8_t group; /* of the order of values           */
    uint32_t runs;
};

struct writer {
    const struct kobold_run *runs[2]; /* merged; code already is the value */
    size_t count[2];
    uint32_t ranges[2];       /* runs that come from the data      */
    uint8_t codes[65536 / 8]; /* codes in use                      */
    uint16_t value_of[65536];
    uint8_t must_escape[KOBOLD_VALUES_MAX];
    unsigned values;
    const struct kobold_special_row *specials;
    unsigned special_count;
    struct bh_buf sections[KDB_SECTION_KINDS];
    struct bh_buf inputs; /* KDB_INPUTS, when they are kept */
    struct bh_buf as;     /* KDB_AS, when there are tables  */
};

static void
put_zeros(struct bh_buf *b, size_t n)
{
    static const uint8_t zeros[1024];
    for (; n > sizeof zeros; n -= sizeof zeros) {
        bh_buf_add(b, zeros, sizeof zeros);
    }
    bh_buf_add(b, zeros, n);
}

/* ---- values ------------------------------------------------------------------------------------ */

static bool
is_special(uint16_t code)
{
    return code >= CODE_SPECIAL && code < CODE_UNALLOCATED;
}

static const struct kobold_special_row *
special_row(const struct writer *w, uint16_t code)
{
    return &w->specials[code - CODE_SPECIAL];
}

/* The first row that means the same. */
static uint16_t
meaning_of(const struct writer *w, uint16_t code)
{
    if (code == CODE_NONE) {
        return CODE_UNALLOCATED;
    }
    if (!is_special(code)) {
        return code;
    }
    const struct kobold_special_row *s = special_row(w, code);
    for (uint16_t c = CODE_SPECIAL; c < code; c++) {
        const struct kobold_special_row *o = special_row(w, c);
        if (o->is_reachable == s->is_reachable && strcmp(o->class_name, s->class_name) == 0 &&
            strcmp(o->rfc, s->rfc) == 0) {
            return c;
        }
    }
    return code;
}

/* Embedded IPv4 is unwrapped before the table could answer: these blocks hold escapes only. */
static bool
is_carrier(const struct writer *w, uint16_t code)
{
    static const char *const names[] = { "ipv4-mapped", "nat64", "6to4", "teredo" };
    for (size_t i = 0; is_special(code) && i < BH_COUNT(names); i++) {
        if (strcmp(special_row(w, code)->class_name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static uint8_t
group_of(const struct writer *w, uint16_t code)
{
    return code == CODE_UNKNOWN       ? 0
           : code == CODE_UNALLOCATED ? 1
           : is_carrier(w, code)      ? 9
           : is_special(code)         ? 2
                                      : 3;
}

static int
compare_meanings(const void *pa, const void *pb)
{
    const struct meaning *a = pa;
    const struct meaning *b = pb;
    int c = a->group - b->group;
    if (c == 0 && a->group == 3) {
        c = a->runs > b->runs ? -1 : a->runs < b->runs;
    }
    return c != 0 ? c : (int)a->code - (int)b->code;
}

static void
put_text(uint8_t *to, size_t size, const char *text)
{
    size_t n = strlen(text);
    memcpy(to, text, n < size ? n : size - 1);
}

static void
put_value(struct writer *w, uint16_t code)
{
    struct bh_buf *b = &w->sections[KDB_VALUES];
    uint8_t row[KDB_VALUE_SIZE] = { 0 };
    if (is_special(code)) {
        const struct kobold_special_row *s = special_row(w, code);
        row[4] = KOBOLD_SPECIAL;
        row[5] = s->is_reachable;
        put_text(row + 8, 48, s->class_name);
        put_text(row + 56, 24, s->rfc);
    } else if (code == CODE_UNALLOCATED) {
        row[4] = KOBOLD_UNALLOCATED;
    } else {
        char text[3] = { (char)(code >> 8), (char)(code & 255), '\0' };
        const struct kobold_country_row *c = kobold_country_row(text);
        unsigned kind = c == NULL ? KOBOLD_ROW_USER : c->kind;
        row[0] = (uint8_t)text[0];
        row[1] = (uint8_t)text[1];
        row[4] = kind == KOBOLD_ROW_REGION    ? KOBOLD_REGION
                 : kind == KOBOLD_ROW_UNKNOWN ? KOBOLD_UNKNOWN
                                              : KOBOLD_COUNTRY;
        row[5] = 1;
    }
    bh_buf_add(b, row, sizeof row);
}

/* What an input says must have a value also where it never wins. */
static void
count_kept(const struct writer *w, const struct kobold_source *s, struct meaning *all)
{
    for (int f = 0; f < 2; f++) {
        for (size_t i = 0; i < s->ranges[f].count; i++) {
            uint32_t *runs = &all[meaning_of(w, s->ranges[f].at[i].code)].runs;
            *runs += *runs == 0;
        }
    }
}

static int
number_values(struct writer *w, const struct kobold_build *b, const struct kobold_runs runs[2])
{
    struct meaning *all = calloc(65536, sizeof *all);
    if (all == NULL) {
        return -ENOMEM;
    }
    for (unsigned i = 0; i < w->special_count; i++) {
        all[meaning_of(w, (uint16_t)(CODE_SPECIAL + i))].runs++;
    }
    all[CODE_UNKNOWN].runs++;
    all[CODE_UNALLOCATED].runs++;
    for (int f = 0; f < 2; f++) {
        for (size_t i = 0; i < runs[f].count; i++) {
            all[meaning_of(w, runs[f].at[i].code)].runs++;
        }
    }
    for (size_t i = 0; i < b->source_count; i++) {
        if (is_input_kept(b, b->sources[i])) {
            count_kept(w, b->sources[i], all);
        }
    }
    unsigned count = 0;
    for (unsigned code = 0; code < 65536; code++) {
        if (all[code].runs > 0) {
            all[count] = (struct meaning){ (uint16_t)code, group_of(w, (uint16_t)code),
                                           all[code].runs };
            count++;
        }
    }
    if (count > KOBOLD_VALUES_MAX) {
        free(all);
        return BH_ELIMIT;
    }
    qsort(all, count, sizeof *all, compare_meanings);
    for (unsigned i = 0; i < count; i++) {
        w->value_of[all[i].code] = (uint16_t)i;
        w->must_escape[i] = i >= KDB_ESCAPE || is_carrier(w, all[i].code);
        put_value(w, all[i].code);
    }
    for (unsigned i = 0; i < w->special_count; i++) {
        uint16_t code = (uint16_t)(CODE_SPECIAL + i);
        w->value_of[code] = w->value_of[meaning_of(w, code)];
    }
    w->value_of[CODE_NONE] = w->value_of[CODE_UNALLOCATED];
    w->values = count;
    for (; w->values < KDB_VALUES_MIN; w->values++) {
        put_value(w, CODE_UNKNOWN);
    }
    free(all);
    return 0;
}

/* Runs by value, neighbours of one value merged; in place. */
static void
merge_runs(struct writer *w, int f, struct kobold_runs *runs)
{
    struct kobold_run *to = runs->at;
    size_t n = 0;
    for (size_t i = 0; i < runs->count; i++) {
        const struct kobold_run from = runs->at[i];
        uint16_t value = w->value_of[from.code];
        if (n > 0 && to[n - 1].code == value) {
            continue;
        }
        w->ranges[f] += from.code > CODE_UNALLOCATED;
        to[n++] = (struct kobold_run){ from.start, value, 0, 0 };
    }
    runs->count = n;
    w->runs[f] = to;
    w->count[f] = n;
}

/* ---- IPv4 -------------------------------------------------------------------------------------- */

struct v4 {
    struct writer *w;
    size_t run; /* the one in force                                     */
    uint32_t nodes, leaves, escapes;
    uint32_t node_of[KOBOLD_VALUES_MAX]; /* whole-/16 node of a value, plus one          */
    uint32_t *record_of;                 /* hash table: offset and flag of a record, plus one    */
    size_t record_room, record_count;
    bool failed;
};

static uint32_t
run_start(const struct v4 *v, size_t i)
{
    return (uint32_t)v->w->runs[0][i].start.lo;
}

/* Does the run in force reach past `last`? */
static bool
covers(const struct v4 *v, uint32_t last)
{
    return v->run + 1 == v->w->count[0] || run_start(v, v->run + 1) > last;
}

static size_t
record_size(const uint8_t *record, bool is_wide)
{
    return 1U + record[0] + (record[0] + 1U) * (is_wide ? 2U : 1U);
}

static bool
grow_records(struct v4 *v)
{
    const uint8_t *data = (const uint8_t *)v->w->sections[KDB_V4_RECORD].data;
    size_t room = v->record_room == 0 ? 1024 : v->record_room * 2;
    uint32_t *table = calloc(room, sizeof *table);
    if (table == NULL) {
        return false;
    }
    for (size_t i = 0; i < v->record_room; i++) {
        uint32_t where = v->record_of[i];
        if (where != 0) {
            const uint8_t *record = data + ((where - 1) & 0x7fffffff);
            size_t at = kdb_sum(record, record_size(record, (where - 1) >> 31)) & (room - 1);
            while (table[at] != 0) {
                at = (at + 1) & (room - 1);
            }
            table[at] = where;
        }
    }
    free(v->record_of);
    v->record_of = table;
    v->record_room = room;
    return true;
}

/* Where this record is, stored once however often it is met. */
static uint32_t
place_record(struct v4 *v, const uint8_t *record, size_t size, bool is_wide)
{
    struct bh_buf *b = &v->w->sections[KDB_V4_RECORD];
    if (v->record_count * 2 >= v->record_room && !grow_records(v)) {
        v->failed = true;
        return 0;
    }
    size_t at = kdb_sum(record, size) & (v->record_room - 1);
    uint32_t flag = is_wide ? 0x80000000U : 0;
    for (; v->record_of[at] != 0; at = (at + 1) & (v->record_room - 1)) {
        uint32_t where = v->record_of[at] - 1;
        const uint8_t *there = (const uint8_t *)b->data + (where & 0x7fffffff);
        if ((where & 0x80000000U) == flag && record_size(there, is_wide) == size &&
            memcmp(there, record, size) == 0) {
            return where;
        }
    }
    uint32_t where = (uint32_t)b->len | flag;
    bh_buf_add(b, record, size);
    v->failed |= b->failed;
    v->record_of[at] = where + 1;
    v->record_count++;
    return where;
}

static void
put_leaf(struct v4 *v, uint8_t leaf)
{
    bh_buf_add(&v->w->sections[KDB_V4_LEAF], &leaf, 1);
    v->leaves++;
}

/* An escape leaf and its record: the values of `n` + 1 stretches of a /24. */
static void
put_escape(struct v4 *v, const uint8_t *starts, const uint16_t *values, unsigned n)
{
    uint8_t record[1 + 255 + 2 * 256];
    bool is_wide = false;
    for (unsigned i = 0; i <= n; i++) {
        is_wide |= values[i] > 255;
    }
    record[0] = (uint8_t)n;
    memcpy(record + 1, starts, n);
    for (unsigned i = 0; i <= n; i++) {
        if (is_wide) {
            bh_put_le16(record + 1 + n + (size_t)2 * i, values[i]);
        } else {
            record[1 + n + i] = (uint8_t)values[i];
        }
    }
    buf_put32(&v->w->sections[KDB_V4_RECORD_AT],
          place_record(v, record, record_size(record, is_wide), is_wide));
    put_leaf(v, KDB_ESCAPE);
    v->escapes++;
}

/* One value for a whole stretch of /24s. */
static void
put_value_leaf(struct v4 *v, uint16_t value)
{
    if (v->w->must_escape[value]) {
        uint8_t none = 0;
        put_escape(v, &none, &value, 0);
    } else {
        put_leaf(v, (uint8_t)value);
    }
}

/* A /24 with boundaries inside; leaves its last run in force. */
static void
put_divided(struct v4 *v, uint32_t last)
{
    uint8_t starts[255];
    uint16_t values[256];
    unsigned n = 0;
    values[0] = v->w->runs[0][v->run].code;
    while (!covers(v, last)) {
        v->run++;
        starts[n++] = (uint8_t)run_start(v, v->run);
        values[n] = v->w->runs[0][v->run].code;
    }
    put_escape(v, starts, values, n);
}

static void
put_node(struct v4 *v, uint32_t first)
{
    struct bh_buf *node = &v->w->sections[KDB_V4_NODE];
    uint64_t map = 0;
    uint32_t position = v->leaves;
    int before = -1; /* value of the /24 before, when it was whole */
    for (unsigned c = 0; c < 256; c++) {
        uint32_t start = first + (c << 8);
        if (c % 64 == 0) {
            if (c > 0) {
                buf_put64(node, map);
                buf_put32(node, position);
                position = v->leaves - 1;
            }
            map = 0;
        }
        while (v->run + 1 < v->w->count[0] && run_start(v, v->run + 1) <= start) {
            v->run++;
        }
        bool is_whole = covers(v, start + 255);
        int value = v->w->runs[0][v->run].code;
        if (is_whole && value == before) {
            continue;
        }
        if (c > 0) {
            map |= 1ULL << (c % 64);
        }
        if (is_whole) {
            put_value_leaf(v, (uint16_t)value);
        } else {
            put_divided(v, start + 255);
        }
        before = is_whole ? value : -1;
    }
    buf_put64(node, map);
    buf_put32(node, position);
    v->nodes++;
}

/* The node of a /16 with one value. */
static void
put_whole_node(struct v4 *v, uint16_t value)
{
    for (int i = 0; i < 4; i++) {
        buf_put64(&v->w->sections[KDB_V4_NODE], 0);
        buf_put32(&v->w->sections[KDB_V4_NODE], v->leaves);
    }
    put_value_leaf(v, value);
    v->nodes++;
}

/* Which leaves are escapes, as words of map and count, so that an escape finds its number. */
static void
put_escape_words(struct writer *w)
{
    const struct bh_buf *leaf = &w->sections[KDB_V4_LEAF];
    uint32_t before = 0;
    for (size_t i = 0; i < leaf->len; i += 64) {
        uint64_t map = 0;
        for (size_t j = i; j < i + 64 && j < leaf->len; j++) {
            map |= (uint64_t)((uint8_t)leaf->data[j] == KDB_ESCAPE) << (j - i);
        }
        buf_put64(&w->sections[KDB_V4_ESCAPE], map);
        buf_put32(&w->sections[KDB_V4_ESCAPE], before);
        before += (uint32_t)__builtin_popcountll(map);
    }
}

static int
write_v4(struct writer *w)
{
    struct v4 *v = calloc(1, sizeof *v);
    if (v == NULL) {
        return -ENOMEM;
    }
    v->w = w;
    for (uint32_t i = 0; i < 65536; i++) {
        uint32_t first = i << 16;
        while (v->run + 1 < w->count[0] && run_start(v, v->run + 1) <= first) {
            v->run++;
        }
        uint32_t node = v->nodes;
        uint16_t value = w->runs[0][v->run].code;
        if (!covers(v, first + 65535)) {
            put_node(v, first);
        } else if (v->node_of[value] != 0) {
            node = v->node_of[value] - 1;
        } else {
            put_whole_node(v, value);
            v->node_of[value] = node + 1;
        }
        buf_put16(&w->sections[KDB_V4_TOP], (uint16_t)node);
    }
    put_escape_words(w);
    put_zeros(&w->sections[KDB_V4_LEAF], KDB_LEAF_SLACK + 1);
    put_zeros(&w->sections[KDB_V4_RECORD], KDB_RECORD_SLACK);
    int r = v->failed ? -ENOMEM : w->sections[KDB_V4_RECORD].len > INT32_MAX ? BH_ELIMIT : 0;
    free(v->record_of);
    free(v);
    return r;
}

/* ---- IPv6 ---------------------------------------------------------------------------------------- */

/* From here on by /64: a key (upper half, top bit turned) and an octet. */
struct v6 {
    struct writer *w;
    uint64_t *keys;
    uint8_t *values;
    size_t count;
};

static void
put_side(struct writer *w, uint64_t hi, uint64_t lo, uint16_t value)
{
    buf_put64(&w->sections[KDB_V6_SIDE], hi);
    buf_put64(&w->sections[KDB_V6_SIDE], lo);
    buf_put16(&w->sections[KDB_V6_SIDE_VALUE], value);
}

static void
put_entry(struct v6 *v, uint64_t hi, uint8_t value)
{
    if (v->count > 0 && v->values[v->count - 1] == value) {
        return;
    }
    v->keys[v->count] = hi ^ (1ULL << 63);
    v->values[v->count++] = value;
}

/* A stretch of whole /64s of one value. */
static void
put_stretch(struct v6 *v, uint64_t hi, uint16_t value)
{
    if (v->w->must_escape[value]) {
        put_side(v->w, hi, 0, value);
        put_entry(v, hi, KDB_ESCAPE);
    } else {
        put_entry(v, hi, (uint8_t)value);
    }
}

static void
entries_of_runs(struct v6 *v)
{
    const struct kobold_run *runs = v->w->runs[1];
    size_t count = v->w->count[1];
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
        if (runs[i].start.lo != 0) {
            put_side(v->w, hi, 0, runs[i - 1].code);
        }
        put_entry(v, hi, KDB_ESCAPE);
        for (; i < count && runs[i].start.hi == hi; i++) {
            put_side(v->w, hi, runs[i].start.lo, runs[i].code);
        }
        bool is_next_new = i < count && runs[i].start.hi == hi + 1 && runs[i].start.lo == 0;
        bool is_next_divided = i < count && runs[i].start.hi == hi + 1;
        if (!is_next_new && !is_next_divided && hi != UINT64_MAX) {
            put_stretch(v, hi + 1, runs[i - 1].code);
        }
    }
}

static void
put_block(struct bh_buf *b, const uint64_t *keys, const uint8_t *values, unsigned n, unsigned shift)
{
    uint8_t block[KDB_BLOCK_SIZE] = { 0 };
    for (unsigned i = 0; i < KDB_BLOCK_KEYS; i++) {
        /* The room left is never looked up wrongly: it repeats the last value. */
        uint32_t r = i < n ? (uint32_t)((keys[i] - keys[0]) >> shift) : UINT32_MAX;
        bh_put_le32(block + (size_t)4 * i, r);
        block[KDB_BLOCK_VALUES + i] = values[i < n ? i : n - 1];
    }
    block[KDB_BLOCK_SHIFT] = (uint8_t)shift;
    bh_buf_add(b, block, sizeof block);
}

/* How many entries from here fit one block, and squeezed by how much. */
static unsigned
block_fill(const uint64_t *keys, size_t left, unsigned *ret_shift)
{
    unsigned n = 1;
    unsigned shift = 63;
    while (n < KDB_BLOCK_KEYS && n < left) {
        uint64_t distance = keys[n] - keys[0];
        unsigned zeros = (unsigned)__builtin_ctzll(distance);
        unsigned squeezed = zeros < shift ? zeros : shift;
        if (distance >> squeezed >= UINT32_MAX) {
            break;
        }
        shift = squeezed;
        n++;
    }
    *ret_shift = shift;
    return n;
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

static int
write_v6(struct writer *w)
{
    /* A run makes at most two entries: its own, and one after a divided /64. */
    size_t room = bh_size_mul(w->count[1], 2);
    struct v6 v = { .w = w };
    v.keys = malloc(bh_size_mul(room, sizeof *v.keys));
    v.values = malloc(room);
    uint64_t *bases = malloc(bh_size_mul(room, sizeof *bases));
    int r = -ENOMEM;
    if (v.keys == NULL || v.values == NULL || bases == NULL) {
        goto out;
    }
    entries_of_runs(&v);
    /* The look-up counts on it (kobold_look.inc.h): ff00::/8 is special, hence one value. */
    if (v.keys[v.count - 1] == INT64_MAX) {
        r = BH_EFORMAT;
        goto out;
    }
    size_t blocks = 0;
    for (size_t i = 0; i < v.count;) {
        unsigned shift;
        unsigned n = block_fill(v.keys + i, v.count - i, &shift);
        put_block(&w->sections[KDB_V6_BLOCK], v.keys + i, v.values + i, n, shift);
        bases[blocks++] = v.keys[i];
        i += n;
    }
    put_levels(&w->sections[KDB_V6_INNER], bases, blocks);
    r = 0;
out:
    free(v.keys);
    free(v.values);
    free(bases);
    return r;
}

/* ---- the file -------------------------------------------------------------------------------------- */

static void
put_header(const struct writer *w, const struct kobold_texts *texts, uint8_t *file, size_t size,
           uint32_t sections)
{
    memcpy(file, KDB_MAGIC, KDB_MAGIC_SIZE);
    bh_put_le16(file + KDB_AT_VERSION, KDB_VERSION);
    bh_put_le32(file + KDB_AT_HEADER_SIZE, KDB_HEADER_SIZE);
    bh_put_le64(file + KDB_AT_FILE_SIZE, size);
    bh_put_le32(file + KDB_AT_V4_RANGES, w->ranges[0]);
    bh_put_le32(file + KDB_AT_V6_RANGES, w->ranges[1]);
    bh_put_le32(file + KDB_AT_VALUES, w->values);
    bh_put_le32(file + KDB_AT_SECTIONS, sections);
    put_text(file + KDB_AT_NAME, 64, texts->name);
    put_text(file + KDB_AT_DATE, 16, texts->date);
    put_text(file + KDB_AT_LICENCE, 64, texts->licence);
    put_text(file + KDB_AT_SOURCE, 128, texts->source);
}

/* What goes into the file, in this order: the sections of the look-up, all of them, then the cold
 * ones that there are. */
static uint32_t
list_sections(const struct writer *w, uint32_t kinds[KDB_SECTIONS_MAX],
              const struct bh_buf *bufs[KDB_SECTIONS_MAX])
{
    uint32_t n = 0;
    for (uint32_t i = KDB_VALUES; i < KDB_SECTION_KINDS; i++, n++) {
        kinds[n] = i;
        bufs[n] = &w->sections[i];
    }
    if (w->inputs.len > 0) {
        kinds[n] = KDB_INPUTS;
        bufs[n++] = &w->inputs;
    }
    if (w->as.len > 0) {
        kinds[n] = KDB_AS;
        bufs[n++] = &w->as;
    }
    return n;
}

static int
assemble(struct writer *w, const struct kobold_texts *texts, uint8_t **ret_data, size_t *ret_size)
{
    /* Blocks lie on cache lines, everything else at least on words. */
    const size_t align = 128;
    uint32_t kinds[KDB_SECTIONS_MAX];
    const struct bh_buf *bufs[KDB_SECTIONS_MAX];
    uint32_t count = list_sections(w, kinds, bufs);
    size_t size = KDB_HEADER_SIZE;
    for (uint32_t i = 0; i < count; i++) {
        if (bufs[i]->failed) {
            return -ENOMEM;
        }
        size += (bufs[i]->len + align - 1) / align * align;
    }
    uint8_t *file = calloc(1, size);
    if (file == NULL) {
        return -ENOMEM;
    }
    put_header(w, texts, file, size, count);
    size_t offset = KDB_HEADER_SIZE;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *entry = file + KDB_AT_TABLE + (size_t)i * KDB_SECTION_SIZE;
        bh_put_le32(entry, kinds[i]);
        bh_put_le64(entry + 8, offset);
        bh_put_le64(entry + 16, bufs[i]->len);
        if (bufs[i]->len > 0) {
            memcpy(file + offset, bufs[i]->data, bufs[i]->len);
        }
        offset += (bufs[i]->len + align - 1) / align * align;
    }
    bh_put_le64(file + KDB_AT_BODY_SUM, kdb_sum(file + KDB_HEADER_SIZE, size - KDB_HEADER_SIZE));
    bh_put_le64(file + KDB_AT_HEADER_SUM, kdb_sum(file, KDB_AT_HEADER_SUM));
    *ret_data = file;
    *ret_size = size;
    return 0;
}

int
write_database(struct kobold_build *b, struct kobold_runs runs[2],
               const struct kobold_texts *texts, uint8_t **ret_data, size_t *ret_size,
               struct bh_error *err)
{
    struct writer *w = calloc(1, sizeof *w);
    if (w == NULL) {
        return out_of_memory(err);
    }
    w->specials = build_specials(b, &w->special_count);
    int r = number_values(w, b, runs);
    if (r == 0) {
        merge_runs(w, 0, &runs[0]);
        merge_runs(w, 1, &runs[1]);
        r = write_v4(w);
    }
    if (r == 0) {
        r = write_v6(w);
    }
    if (r == 0) {
        r = write_inputs(b, w->value_of, &w->inputs);
    }
    if (r == 0) {
        r = write_as(b, &w->as);
    }
    if (r == 0) {
        r = assemble(w, texts, ret_data, ret_size);
    }
    for (int i = 0; i < KDB_SECTION_KINDS; i++) {
        bh_buf_done(&w->sections[i]);
    }
    bh_buf_done(&w->inputs);
    bh_buf_done(&w->as);
    free(w);
    if (r == -ENOMEM) {
        return out_of_memory(err);
    }
    if (r < 0) {
        return bh_error_set(err, r, "", "these inputs do not fit the database format%s",
                            "入力がデータベースの形式に収まりません%s", "");
    }
    return 0;
}
