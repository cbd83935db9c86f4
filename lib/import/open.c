/* SPDX-License-Identifier: BSD-2-Clause */
/* Opening: which reader a file gets, what its beginning tells, and tables as one of the readers. */
#include "import_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- beginning --------------------------------------------------------------------------------------- */

/* Times without a year are of the last one before the file was last written. */
static void
begin_years(struct bh_import *im, struct import_file *f)
{
    f->years.asked = im->year;
    if (!bh_octets_modified(f->text.octets, &f->years.ref_ns)) {
        f->years.ref_ns = im->now_ns;
    }
}

/* A text that is no log, and no table whose columns can be guessed. */
static int
no_log(const struct import_file *f, struct bh_error *err)
{
    if (err != NULL) {
        err->line = 0;
        err->has_offset = false;
    }
    return import_error(
        err, BH_EFORMAT, f->text.name,
        "it looks like a text file, but neither a capture nor a log we know; give a pcap or pcapng file, a "
        "log of netfilter, Zeek or nfdump, or a table with beholder report --input-format csv",
        "テキストファイルのようですが、キャプチャでも既知のログでもありません。pcap、pcapng、netfilter・Zeek・"
        "nfdump のログ、または表 (beholder report --input-format csv) を指定してください");
}

static int
begin_file(struct bh_import *im, struct import_file *f, struct bh_error *err)
{
    int r = look_choose(&f->text, im->format, &f->reader, err);
    r = r < 0 ? r : look_check_text(&f->text, f->reader != &reader_csv, err);
    if (r < 0) {
        return r;
    }
    begin_years(im, f);
    bool is_first = im->count == 1;
    char text[sizeof im->stats.columns];
    f->mapping = &im->mapping;
    f->columns_text = is_first ? im->stats.columns : text;
    f->columns_text_size = sizeof text;
    r = f->reader->begin == NULL ? 0 : f->reader->begin(f, err);
    f->columns_text = NULL;
    bool is_table = f->reader == &reader_csv;
    if (r < 0) {
        return im->is_guess && is_table && r != -ENOMEM ? no_log(f, err) : r;
    }
    im->has_cold |= f->reader->has_cold || (is_table && f->columns.is_mapped[KEY_TTL]);
    im->has_weight |= f->reader->has_weight || (is_table && f->columns.is_mapped[KEY_WEIGHT]);
    if (f->reader->has_weight && im->pairs == NULL && (im->pairs = pairs_new()) == NULL) {
        return bh_error_errno(err, ENOMEM, f->text.name, "cannot read", "読めません");
    }
    bool is_inbound = is_table && !f->columns.is_mapped[KEY_DST];
    if (is_first) {
        im->all_inbound = is_inbound;
    } else if (im->all_inbound != is_inbound) {
        /* Guessed by name only: one says where packets went, another does not. */
        return import_error(err, BH_EUSAGE, f->text.name,
                            "has a destination column and the first file does not, or the other "
                            "way round: report them apart, or name the columns",
                            "宛先の列の有無が最初のファイルと違います。別々に集計するか、列を指定"
                            "してください");
    }
    return 0;
}

static int
open_file(struct bh_import *im, const char *path, struct bh_octets *opened, const void *data,
          size_t size, struct bh_error *err)
{
    struct import_file *f = calloc(1, sizeof *f);
    if (f == NULL) {
        bh_octets_close(opened);
        return bh_error_errno(err, ENOMEM, path, "cannot read", "読めません");
    }
    im->files[im->count++] = f;
    int r = text_open(&f->text, path, opened, data, size, err);
    return r < 0 ? r : begin_file(im, f, err);
}

/* ---- tables --------------------------------------------------------------------------------------- */

static int
table_begin(struct import_file *f, struct bh_error *err)
{
    int r = csv_begin(&f->csv, &f->text, err);
    return r < 0 ? r
                 : columns_find(&f->columns, f->mapping, &f->csv, f->columns_text,
                                f->columns_text_size, err);
}

static int
table_next(struct import_file *f)
{
    int r = csv_next(&f->csv);
    if (r < 0 || r == CSV_END) {
        return r;
    }
    struct item *x = &f->next.item[0];
    f->next.count = 1;
    f->example = (struct cell){ NULL, 0 };
    f->why = r == CSV_ROW ? row_parse(&f->columns, &f->csv, &x->row, &x->pair) : REASON_QUOTES;
    return f->why == REASON_NONE ? READ_MADE : READ_BAD;
}

const struct reader reader_csv = {
    .name = "csv",
    .text = { "a CSV table", "CSV の表" },
    .begin = table_begin,
    .next = table_next,
};

/* ---- open and close -------------------------------------------------------------------------------- */

/* The same rows twice would be counted twice, and a pipe cannot be read twice at all. */
static int
check_twice(const char *const *paths, size_t count, struct bh_error *err)
{
    struct stat *seen = calloc(count, sizeof *seen);
    int r = 0;
    if (seen == NULL) {
        return bh_error_errno(err, ENOMEM, "", "cannot read", "読めません");
    }
    for (size_t i = 0; i < count && r == 0; i++) {
        bool is_stdin = strcmp(paths[i], "-") == 0;
        if ((is_stdin ? fstat(STDIN_FILENO, &seen[i]) : stat(paths[i], &seen[i])) != 0) {
            memset(&seen[i], 0, sizeof seen[i]); /* opening it says why */
            continue;
        }
        for (size_t k = 0; k < i && r == 0; k++) {
            if (seen[k].st_ino == seen[i].st_ino && seen[k].st_dev == seen[i].st_dev) {
                r = bh_error_set(err, BH_EUSAGE, is_stdin ? "stdin" : paths[i],
                                 "this file is given twice (first as %s)",
                                 "同じファイルが二度指定されています (最初は %s)",
                                 strcmp(paths[k], "-") == 0 ? "stdin" : paths[k]);
            }
        }
    }
    free(seen);
    return r;
}

static int
new_import(const struct bh_import_options *o, size_t count, struct bh_import **ret_import,
           struct bh_error *err)
{
    struct bh_import *im = calloc(1, sizeof *im);
    if (im == NULL) {
        return bh_error_errno(err, ENOMEM, "", "cannot read", "読めません");
    }
    im->newest_ns = INT64_MIN;
    im->format = o->columns != NULL && o->columns[0] != '\0' && strcmp(o->columns, "auto") != 0
                     ? "csv"
                     : o->format;
    im->is_guess = o->is_guess;
    im->year = o->year;
    im->now_ns = o->now_ns;
    im->files = calloc(count, sizeof(struct import_file *));
    int r = im->files == NULL ? bh_error_errno(err, ENOMEM, "", "cannot read", "読めません")
                              : mapping_parse(&im->mapping, o->columns, err);
    if (r == 0 && o->year != 0 && (o->year < 1970 || o->year > 2261)) {
        r = bh_error_set(err, BH_EUSAGE, "", "%d is no year between 1970 and 2261",
                         "%d は 1970 から 2261 までの年ではありません", o->year);
    }
    if (r < 0) {
        bh_import_close(im);
        return r;
    }
    *ret_import = im;
    return 0;
}

/* Files that fill the window are worth pages that cost less to touch. */
#define LARGE ((uint64_t)128 << 20)

static int
start(struct bh_import *im, int r, struct bh_import **ret_import, struct bh_error *err)
{
    if (r == 0) {
        uint64_t total, done;
        bh_import_progress(im, &total, &done);
        im->window = window_new(BH_IMPORT_WINDOW + WINDOW_SPARE, total > LARGE);
        r = im->window == NULL ? bh_error_errno(err, ENOMEM, "", "cannot read", "読めません") : 0;
    }
    if (r < 0) {
        bh_import_close(im);
        return r;
    }
    for (size_t i = 0; i < im->count; i++) {
        import_advance(im, im->files[i]);
    }
    *ret_import = im;
    return 0;
}

static int
open_all(const struct bh_import_options *o, struct bh_import **ret_import, struct bh_error *err)
{
    struct bh_import *im = NULL;
    if (o->count == 0) {
        return import_error(err, BH_EUSAGE, "", "no file to read", "読むファイルがありません");
    }
    int r = check_twice(o->paths, o->count, err);
    r = r < 0 ? r : new_import(o, o->count, &im, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < o->count && r == 0; i++) {
        struct bh_octets *opened = o->opened == NULL ? NULL : o->opened[i];
        if (opened != NULL) {
            o->opened[i] = NULL;
        }
        r = open_file(im, o->paths[i], opened, NULL, 0, err);
    }
    return start(im, r, ret_import, err);
}

int
bh_import_open_with(const struct bh_import_options *o, struct bh_import **ret_import,
                    struct bh_error *err)
{
    int r = open_all(o, ret_import, err);
    for (size_t i = 0; o->opened != NULL && i < o->count; i++) {
        bh_octets_close(o->opened[i]);
        o->opened[i] = NULL;
    }
    return r;
}

int
bh_import_open(const char *const *paths, size_t count, const char *columns,
               struct bh_import **ret_import, struct bh_error *err)
{
    return bh_import_open_with(
        &(struct bh_import_options){ .paths = paths, .count = count, .columns = columns },
        ret_import, err);
}

int
bh_import_open_memory(const void *data, size_t size, const char *columns,
                      struct bh_import **ret_import, struct bh_error *err)
{
    return bh_import_open_memory_with(data, size, &(struct bh_import_options){ .columns = columns },
                                      ret_import, err);
}

int
bh_import_open_memory_with(const void *data, size_t size, const struct bh_import_options *o,
                           struct bh_import **ret_import, struct bh_error *err)
{
    struct bh_import *im = NULL;
    int r = new_import(o, 1, &im, err);
    return r < 0 ? r : start(im, open_file(im, NULL, NULL, data, size, err), ret_import, err);
}

void
bh_import_progress(const struct bh_import *im, uint64_t *ret_total, uint64_t *ret_done)
{
    uint64_t total = 0, done = 0;
    bool is_known = true;
    for (size_t i = 0; i < im->count; i++) {
        uint64_t of_file, done_of_file;
        bh_octets_progress(im->files[i]->text.octets, &of_file, &done_of_file);
        is_known &= of_file > 0;
        total += of_file;
        done += done_of_file;
    }
    *ret_total = is_known ? total : 0;
    *ret_done = done;
}

void
bh_import_close(struct bh_import *im)
{
    if (im == NULL) {
        return;
    }
    for (size_t i = 0; i < im->count; i++) {
        text_close(&im->files[i]->text);
        free(im->files[i]);
    }
    free(im->files);
    window_free(im->window);
    pairs_free(im->pairs);
    mapping_done(&im->mapping);
    free(im);
}
