/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parquet (apache/parquet-format, version 1 pages): rows are gathered a row group at a time, a column
 * chunk is a dictionary page, when that is shorter, and one data page.
 *
 *   "PAR1"  row group ...  metadata  its length (4)  "PAR1"
 *
 * All columns may be absent, so a data page begins with definition levels. Memory: a row group is
 * GROUP_ROWS rows of 13 octets a column, and the texts of its dictionaries.
 */
#include "bh_export.h"

#include <errno.h>
#include <stdlib.h>

#include "thrift_priv.h"

#ifdef BH_WITH_ZSTD
#include <zstd.h>
#endif

#define GROUP_ROWS 131072U
#define DICTIONARY_MOST 32768U
#define SLOTS (GROUP_ROWS * 2U)

enum { BOOLEAN = 0, INT32 = 1, INT64 = 2, BYTE_ARRAY = 6 };
enum { PLAIN = 0, RLE = 3, RLE_DICTIONARY = 8 };
enum { DATA_PAGE = 0, DICTIONARY_PAGE = 2 };
enum { UNCOMPRESSED = 0, ZSTD = 6 };

struct chunk {
    struct bh_column column;
    int32_t type;
    uint32_t value_count; /* of those that are there */
    uint8_t *defined;     /* [GROUP_ROWS]                                     */
    uint64_t *numbers;    /* of values in a row; of texts numbers of entries  */
    /* Distinct values, in the order they came. */
    uint32_t *slots;   /* entry + 1; emptied by group    */
    uint64_t *entries; /* numbers; of texts hashes   */
    uint32_t *text_at; /* in texts, of texts         */
    uint32_t entry_count;
    struct bh_buf texts; /* length (4) and octets: as PLAIN has them */
};

struct bh_export_parquet {
    struct bh_out *out;
    struct bh_sight *sight;
    struct bh_clock clock;
    struct chunk *chunks;
    size_t chunk_count;
    uint32_t rows; /* of the open group */
    uint64_t all_rows;
    struct bh_buf groups; /* metadata of those that are written */
    size_t group_count;
    uint64_t hash_key;
    struct bh_buf page, packed, head, text;
};

/* ---- gathering -------------------------------------------------------------------------------------------- */

static int32_t
type_of(enum bh_type type)
{
    return type == BH_TYPE_TIME   ? INT64
           : type == BH_TYPE_UINT ? INT32
           : type == BH_TYPE_BOOL ? BOOLEAN
                                  : BYTE_ARRAY;
}

/* The entry of a value; GROUP_ROWS: none any more. */
static uint32_t
entry_of_number(struct chunk *c, uint64_t key, uint64_t v)
{
    uint32_t at = (uint32_t)bh_mix64(key, v) & (SLOTS - 1);
    while (c->slots[at] != 0 && c->entries[c->slots[at] - 1] != v) {
        at = (at + 1) & (SLOTS - 1);
    }
    if (c->slots[at] == 0) {
        c->entries[c->entry_count] = v;
        c->slots[at] = ++c->entry_count;
    }
    return c->slots[at] - 1;
}

static bool
is_text(const struct chunk *c, uint32_t entry, const char *text, size_t len)
{
    const uint8_t *p = (const uint8_t *)c->texts.data + c->text_at[entry];
    return bh_get_le32(p) == len && memcmp(p + 4, text, len) == 0;
}

static uint32_t
entry_of_text(struct chunk *c, uint64_t key, const char *text, size_t len)
{
    uint64_t hash = key ^ len;
    for (size_t i = 0; i < len; i += 8) {
        uint64_t word = 0;
        memcpy(&word, text + i, len - i < 8 ? len - i : 8);
        hash = bh_mix64(hash ^ word, i + 1);
    }
    uint32_t at = (uint32_t)hash & (SLOTS - 1);
    while (c->slots[at] != 0 &&
           !(c->entries[c->slots[at] - 1] == hash && is_text(c, c->slots[at] - 1, text, len))) {
        at = (at + 1) & (SLOTS - 1);
    }
    if (c->slots[at] == 0) {
        uint8_t size[4];
        bh_put_le32(size, (uint32_t)len);
        c->text_at[c->entry_count] = (uint32_t)c->texts.len;
        c->entries[c->entry_count] = hash;
        bh_buf_add(&c->texts, size, 4);
        bh_buf_add(&c->texts, text, len);
        c->slots[at] = ++c->entry_count;
    }
    return c->slots[at] - 1;
}

static bool
gather_text(struct bh_export_parquet *x, struct chunk *c, const struct bh_value *v)
{
    char text[BH_VALUE_MAX];
    const char *from = text;
    size_t len;
    if (c->column.type == BH_TYPE_NAME) { /* strange octets as \xNN: a text must be UTF-8 */
        x->text.len = 0;
        bh_buf_put_safe(&x->text, v->name, strlen(v->name));
        from = x->text.data == NULL ? "" : x->text.data;
        len = x->text.len;
    } else {
        len = (size_t)(bh_value_put(text, c->column.type, v, &x->clock) - text);
    }
    const uint32_t entry = entry_of_text(c, x->hash_key, from, len);
    c->numbers[c->value_count++] = entry;
    return !c->texts.failed && !x->text.failed;
}

static bool
gather(struct bh_export_parquet *x, uint32_t row)
{
    struct bh_value v;
    for (size_t i = 0; i < x->chunk_count; i++) {
        struct chunk *c = &x->chunks[i];
        bh_sight_get(x->sight, &c->column, row, &v);
        c->defined[x->rows] = !v.absent;
        if (v.absent) {
            continue;
        }
        if (c->type == BYTE_ARRAY) {
            if (!gather_text(x, c, &v)) {
                return false;
            }
            continue;
        }
        c->numbers[c->value_count++] = v.number;
        if (c->type != BOOLEAN && c->entry_count <= DICTIONARY_MOST) {
            bh_ignore((int)entry_of_number(c, x->hash_key,
                                           v.number)); /* counted; looked up again when it pays */
        }
    }
    x->rows++;
    return true;
}

/* ---- pages -------------------------------------------------------------------------------------------------- */

static void
put32(struct bh_buf *b, uint32_t v)
{
    uint8_t octets[4];
    bh_put_le32(octets, v);
    bh_buf_add(b, octets, 4);
}

static void
put_varint(struct bh_buf *b, uint32_t v)
{
    while (v >= 0x80) {
        bh_buf_putc(b, (char)(v | 0x80));
        v >>= 7;
    }
    bh_buf_putc(b, (char)v);
}

/* Groups of eight values, bit by bit, lowest first. */
static void
put_packed(struct bh_buf *b, const uint32_t *values, uint32_t count, unsigned width)
{
    uint64_t bits = 0;
    unsigned filled = 0;
    put_varint(b, (count + 7) / 8 << 1 | 1);
    for (uint32_t i = 0; i < (count + 7) / 8 * 8; i++) {
        bits |= (uint64_t)(i < count ? values[i] : 0) << filled;
        filled += width;
        for (; filled >= 8; filled -= 8, bits >>= 8) {
            bh_buf_putc(b, (char)bits);
        }
    }
}

/* The hybrid of runs and packed groups. */
static void
put_hybrid(struct bh_buf *b, const uint32_t *values, uint32_t count, unsigned width)
{
    uint32_t packed = 0; /* values before `at` that wait for being packed: whole groups */
    uint32_t at = 0;
    while (at < count) {
        uint32_t run = 1;
        while (at + run < count && values[at + run] == values[at]) {
            run++;
        }
        if (run < 8) {
            const uint32_t n = count - at < 8 ? count - at : 8;
            packed += n;
            at += n;
            continue;
        }
        if (packed > 0) {
            put_packed(b, values + at - packed, packed, width);
            packed = 0;
        }
        put_varint(b, run << 1);
        for (unsigned i = 0; i < (width + 7) / 8; i++) {
            bh_buf_putc(b, (char)(values[at] >> (8 * i)));
        }
        at += run;
    }
    if (packed > 0) {
        put_packed(b, values + at - packed, packed, width);
    }
}

static void
compress(struct bh_export_parquet *x)
{
    x->packed.len = 0;
#ifdef BH_WITH_ZSTD
    const size_t room = ZSTD_compressBound(x->page.len);
    void *to = malloc(room);
    const size_t n = to == NULL ? 0 : ZSTD_compress(to, room, x->page.data, x->page.len, 3);
    if (to == NULL || ZSTD_isError(n)) {
        x->packed.failed = true;
    } else {
        bh_buf_add(&x->packed, to, n);
    }
    free(to);
#else
    bh_buf_add(&x->packed, x->page.data, x->page.len);
#endif
}

static int32_t
codec(void)
{
#ifdef BH_WITH_ZSTD
    return ZSTD;
#else
    return UNCOMPRESSED;
#endif
}

/* What a chunk adds up to. */
struct written {
    uint64_t dictionary_at, data_at, raw, stored;
};

/* x->page as a page. */
static int
write_page(struct bh_export_parquet *x, int32_t kind, uint32_t values, int32_t encoding,
           struct written *w)
{
    struct thrift t = { .out = &x->head };
    compress(x);
    x->head.len = 0;
    thrift_int(&t, 1, THRIFT_I32, kind);
    thrift_int(&t, 2, THRIFT_I32, (int64_t)x->page.len);
    thrift_int(&t, 3, THRIFT_I32, (int64_t)x->packed.len);
    thrift_begin(&t, kind == DATA_PAGE ? 5 : 7);
    thrift_int(&t, 1, THRIFT_I32, values);
    thrift_int(&t, 2, THRIFT_I32, encoding);
    if (kind == DATA_PAGE) {
        thrift_int(&t, 3, THRIFT_I32, RLE);
        thrift_int(&t, 4, THRIFT_I32, RLE);
    }
    thrift_end(&t);
    bh_buf_putc(&x->head, '\0');
    if (x->head.failed || x->page.failed || x->packed.failed) {
        return -ENOMEM;
    }
    w->raw += x->head.len + x->page.len;
    w->stored += x->head.len + x->packed.len;
    int r = bh_out_write(x->out, x->head.data, x->head.len);
    return r != 0 ? r : bh_out_write(x->out, x->packed.data, x->packed.len);
}

static void
put_number(struct bh_buf *b, int32_t type, uint64_t v)
{
    uint8_t octets[8];
    bh_put_le64(octets, v);
    bh_buf_add(b, octets, type == INT64 ? 8 : 4);
}

static void
put_levels(struct bh_export_parquet *x, const struct chunk *c, uint32_t *scratch)
{
    for (uint32_t i = 0; i < x->rows; i++) {
        scratch[i] = c->defined[i];
    }
    put32(&x->page, 0);
    const size_t from = x->page.len;
    put_hybrid(&x->page, scratch, x->rows, 1);
    if (!x->page.failed) {
        bh_put_le32((uint8_t *)x->page.data + from - 4, (uint32_t)(x->page.len - from));
    }
}

static void
put_plain(struct bh_export_parquet *x, const struct chunk *c)
{
    uint8_t octet = 0;
    for (uint32_t i = 0; i < c->value_count; i++) {
        if (c->type == BOOLEAN) {
            octet |= (uint8_t)((c->numbers[i] & 1) << (i & 7));
            if ((i & 7) == 7 || i + 1 == c->value_count) {
                bh_buf_putc(&x->page, (char)octet);
                octet = 0;
            }
        } else if (c->type == BYTE_ARRAY) {
            const uint8_t *p = (const uint8_t *)c->texts.data + c->text_at[c->numbers[i]];
            bh_buf_add(&x->page, p, 4U + bh_get_le32(p));
        } else {
            put_number(&x->page, c->type, c->numbers[i]);
        }
    }
}

static int
write_dictionary(struct bh_export_parquet *x, const struct chunk *c, struct written *w)
{
    x->page.len = 0;
    if (c->type == BYTE_ARRAY) {
        bh_buf_add(&x->page, c->texts.data, c->texts.len);
    } else {
        for (uint32_t i = 0; i < c->entry_count; i++) {
            put_number(&x->page, c->type, c->entries[i]);
        }
    }
    w->dictionary_at = bh_out_size(x->out);
    return write_page(x, DICTIONARY_PAGE, c->entry_count, PLAIN, w);
}

static void
put_entries(struct bh_export_parquet *x, struct chunk *c, uint32_t *scratch)
{
    unsigned width = 1;
    while (width < 32 && c->entry_count > 1U << width) {
        width++;
    }
    for (uint32_t i = 0; i < c->value_count; i++) {
        scratch[i] = c->type == BYTE_ARRAY ? (uint32_t)c->numbers[i]
                                           : entry_of_number(c, x->hash_key, c->numbers[i]);
    }
    bh_buf_putc(&x->page, (char)width);
    put_hybrid(&x->page, scratch, c->value_count, width);
}

/* Worth it when values come again, twice on average. */
static bool
has_dictionary(const struct chunk *c)
{
    return c->type != BOOLEAN && c->entry_count > 0 && c->entry_count <= DICTIONARY_MOST &&
           c->entry_count <= c->value_count / 2;
}

static void
note_chunk(struct thrift *t, const struct chunk *c, uint32_t rows, const struct written *w)
{
    const bool dictionary = has_dictionary(c);
    thrift_begin_item(t);
    thrift_int(t, 2, THRIFT_I64, (int64_t)(dictionary ? w->dictionary_at : w->data_at));
    thrift_begin(t, 3);
    thrift_int(t, 1, THRIFT_I32, c->type);
    thrift_list(t, 2, THRIFT_I32, dictionary ? 3 : 2);
    thrift_list_i32(t, PLAIN);
    thrift_list_i32(t, RLE);
    if (dictionary) {
        thrift_list_i32(t, RLE_DICTIONARY);
    }
    thrift_list(t, 3, THRIFT_BINARY, 1);
    thrift_text_value(t, c->column.name, strlen(c->column.name));
    thrift_int(t, 4, THRIFT_I32, codec());
    thrift_int(t, 5, THRIFT_I64, rows);
    thrift_int(t, 6, THRIFT_I64, (int64_t)w->raw);
    thrift_int(t, 7, THRIFT_I64, (int64_t)w->stored);
    thrift_int(t, 9, THRIFT_I64, (int64_t)w->data_at);
    if (dictionary) {
        thrift_int(t, 11, THRIFT_I64, (int64_t)w->dictionary_at);
    }
    thrift_end(t);
    thrift_end(t);
}

static int
write_chunk(struct bh_export_parquet *x, struct chunk *c, uint32_t *scratch, struct written *w)
{
    const bool dictionary = has_dictionary(c);
    *w = (struct written){ 0 };
    int r = dictionary ? write_dictionary(x, c, w) : 0;
    if (r != 0) {
        return r;
    }
    x->page.len = 0;
    put_levels(x, c, scratch);
    if (dictionary) {
        put_entries(x, c, scratch);
    } else {
        put_plain(x, c);
    }
    w->data_at = bh_out_size(x->out);
    return write_page(x, DATA_PAGE, x->rows, dictionary ? RLE_DICTIONARY : PLAIN, w);
}

static int
write_group(struct bh_export_parquet *x)
{
    struct thrift t = { .out = &x->groups };
    uint32_t *scratch = malloc(GROUP_ROWS * sizeof *scratch);
    uint64_t raw = 0;
    int r = scratch == NULL ? -ENOMEM : 0;
    thrift_list(&t, 1, THRIFT_STRUCT, x->chunk_count);
    for (size_t i = 0; i < x->chunk_count && r == 0; i++) {
        struct chunk *c = &x->chunks[i];
        struct written w;
        r = write_chunk(x, c, scratch, &w);
        note_chunk(&t, c, x->rows, &w);
        raw += w.raw;
        memset(c->slots, 0, SLOTS * sizeof *c->slots);
        c->entry_count = c->value_count = 0;
        c->texts.len = 0;
    }
    thrift_int(&t, 2, THRIFT_I64, (int64_t)raw);
    thrift_int(&t, 3, THRIFT_I64, x->rows);
    bh_buf_putc(&x->groups, '\0');
    x->group_count++;
    x->all_rows += x->rows;
    x->rows = 0;
    free(scratch);
    return r != 0 ? r : x->groups.failed ? -ENOMEM : 0;
}

/* ---- metadata -------------------------------------------------------------------------------------------------- */

static void
put_logical(struct thrift *t, const struct chunk *c)
{
    thrift_begin(t, 10);
    if (c->type == BYTE_ARRAY) {
        thrift_begin(t, 1); /* string */
        thrift_end(t);
    } else if (c->type == INT64) {
        thrift_begin(t, 8); /* timestamp: of UTC, in nanoseconds */
        thrift_bool(t, 1, true);
        thrift_begin(t, 2);
        thrift_begin(t, 3);
        thrift_end(t);
        thrift_end(t);
        thrift_end(t);
    } else {
        thrift_begin(t, 10); /* integer: 32 bits, unsigned */
        thrift_field(t, 1, THRIFT_I8);
        bh_buf_putc(t->out, 32);
        thrift_bool(t, 2, false);
        thrift_end(t);
    }
    thrift_end(t);
}

static void
put_schema(struct thrift *t, const struct bh_export_parquet *x)
{
    enum { UTF8 = 0, UINT_32 = 13 };
    thrift_list(t, 2, THRIFT_STRUCT, x->chunk_count + 1);
    thrift_begin_item(t);
    thrift_text(t, 4, "records");
    thrift_int(t, 5, THRIFT_I32, (int64_t)x->chunk_count);
    thrift_end(t);
    for (size_t i = 0; i < x->chunk_count; i++) {
        const struct chunk *c = &x->chunks[i];
        thrift_begin_item(t);
        thrift_int(t, 1, THRIFT_I32, c->type);
        thrift_int(t, 3, THRIFT_I32, 1); /* optional */
        thrift_text(t, 4, c->column.name);
        if (c->type == BYTE_ARRAY || c->type == INT32) {
            thrift_int(t, 6, THRIFT_I32, c->type == BYTE_ARRAY ? UTF8 : UINT_32);
        }
        if (c->type != BOOLEAN) {
            put_logical(t, c);
        }
        thrift_end(t);
    }
}

int
bh_export_parquet_end(struct bh_export_parquet *x)
{
    struct bh_buf b = { 0 };
    struct thrift t = { .out = &b };
    int r = x->rows > 0 ? write_group(x) : 0;
    thrift_int(&t, 1, THRIFT_I32, 1);
    put_schema(&t, x);
    thrift_int(&t, 3, THRIFT_I64, (int64_t)x->all_rows);
    thrift_list(&t, 4, THRIFT_STRUCT, x->group_count);
    bh_buf_add(&b, x->groups.data, x->groups.len);
    thrift_text(&t, 6, "beholder " BH_VERSION);
    bh_buf_putc(&b, '\0');
    put32(&b, (uint32_t)b.len);
    bh_buf_puts(&b, "PAR1");
    r = r != 0 ? r : b.failed ? -ENOMEM : bh_out_write(x->out, b.data, b.len);
    bh_buf_done(&b);
    return r;
}

/* ---- the object --------------------------------------------------------------------------------------------------- */

int
bh_export_parquet_put(struct bh_export_parquet *x, struct bh_batch *b)
{
    bh_sight_set(x->sight, b);
    for (uint32_t row = 0; row < b->rows; row++) {
        if (b->counted[row] == 0) {
            continue;
        }
        if (!gather(x, row)) {
            return -ENOMEM;
        }
        int r = x->rows == GROUP_ROWS ? write_group(x) : 0;
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

static bool
chunk_init(struct chunk *c, const struct bh_column *column)
{
    c->column = *column;
    c->type = type_of(column->type);
    c->defined = malloc(GROUP_ROWS * sizeof *c->defined);
    c->numbers = malloc(GROUP_ROWS * sizeof *c->numbers);
    c->slots = calloc(SLOTS, sizeof *c->slots);
    c->entries = malloc(GROUP_ROWS * sizeof *c->entries);
    c->text_at = c->type != BYTE_ARRAY ? NULL : malloc(GROUP_ROWS * sizeof *c->text_at);
    return c->defined != NULL && c->numbers != NULL && c->slots != NULL && c->entries != NULL &&
           (c->type != BYTE_ARRAY || c->text_at != NULL);
}

int
bh_export_parquet_new(struct bh_out *out, const struct bh_column *columns, size_t count,
                      const kobold *countries, enum bh_lang lang, struct bh_anonymize *anonymize,
                      struct bh_export_parquet **ret, struct bh_error *err)
{
    struct bh_export_parquet *x = calloc(1, sizeof *x);
    uint32_t needs = 0;
    bool there = x != NULL && (x->chunks = calloc(count, sizeof *x->chunks)) != NULL;
    for (size_t i = 0; there && i < count; i++) {
        x->chunk_count = i + 1;
        there = chunk_init(&x->chunks[i], &columns[i]);
        needs |= columns[i].needs;
    }
    int r = there ? 0 : bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
    r = r != 0 ? r : bh_sight_new(countries, lang, needs, anonymize, &x->sight, err);
    r = r != 0 ? r : bh_out_write(out, "PAR1", 4);
    if (r != 0) {
        bh_export_parquet_free(x);
        return r;
    }
    x->out = out;
    x->hash_key = bh_random_key();
    bh_clock_init(&x->clock);
    *ret = x;
    return 0;
}

void
bh_export_parquet_free(struct bh_export_parquet *x)
{
    if (x == NULL) {
        return;
    }
    for (size_t i = 0; i < x->chunk_count; i++) {
        struct chunk *c = &x->chunks[i];
        free(c->defined);
        free(c->numbers);
        free(c->slots);
        free(c->entries);
        free(c->text_at);
        bh_buf_done(&c->texts);
    }
    free(x->chunks);
    bh_sight_free(x->sight);
    bh_buf_done(&x->groups);
    bh_buf_done(&x->page);
    bh_buf_done(&x->packed);
    bh_buf_done(&x->head);
    bh_buf_done(&x->text);
    free(x);
}
