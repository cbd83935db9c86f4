/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_write.c - runs to the database file (docs/format/kdb.md).
 *
 * Values are numbered so that the ones most often met fit one octet: unknown, unallocated, the
 * special uses, then countries by their number of runs. The rest (the smallest countries,
 * when there are more than 255 values) take the way behind an escape: a few octets more for
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
            all[count] =
                (struct meaning){ (uint16_t)code, group_of(w, (uint16_t)code), all[code].runs };
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
write_database(struct kobold_build *b, struct kobold_runs runs[2], const struct kobold_texts *texts,
               uint8_t **ret_data, size_t *ret_size, struct bh_error *err)
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
        r = write_v4(w->runs[0], w->count[0], w->sections);
    }
    if (r == 0) {
        r = write_v6(w->runs[1], w->count[1], w->must_escape, w->sections);
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
