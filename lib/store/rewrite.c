/* SPDX-License-Identifier: BSD-2-Clause */
/* Files written anew: see rewrite_priv.h. */
#include "rewrite_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "bh_zone.h"

static int
take_chunk(struct rewrite *x)
{
    struct chunk *c = x->rows.count == 0 ? NULL : x->rows.chunk[0];
    int r = 0;
    if (c == NULL || c->rows == 0) {
        return 0;
    }
    if (x->coding) {
        r = segment_block(&x->out, &x->dict, &x->rows.terms, c, x->work, x->err);
        x->kept += c->rows;
    } else {
        r = census_add(&x->census, &x->rows.terms, c);
    }
    chunk_reset(c);
    return r;
}

static int
take_batch(struct rewrite *x, const struct bh_batch *b, uint32_t lacks, const uint16_t *map)
{
    const uint32_t flags = chunk_flags_of(b) | lacks << CHUNK_LACKS_SHIFT;
    int r = 0;
    if (x->rows.count == 0 && rows_new_chunk(&x->rows, flags) == NULL) {
        return -ENOMEM;
    }
    struct chunk *c = x->rows.chunk[0];
    for (uint32_t at = 0; at < b->rows && r == 0;) {
        if (c->rows == BLOCK_ROWS || c->flags != flags || is_far_back(&x->rows, c, b->ts_ns[at])) {
            r = take_chunk(x);
            c->flags = flags;
        }
        const uint32_t room = BLOCK_ROWS - c->rows, n = b->rows - at < room ? b->rows - at : room;
        r = r != 0 ? r : chunk_add(c, &x->rows.terms, b, at, at + n, map);
        at += n;
    }
    return r;
}

/* All blocks of a file that can be read. */
static int
pass_file(struct rewrite *x, const struct log_file *f, struct block_rows *rows, struct bh_batch *b)
{
    uint16_t map[KOBOLD_VALUES_MAX + 2], identity[KOBOLD_VALUES_MAX + 2];
    struct dict d = { 0 };
    size_t dict_of = SIZE_MAX;
    int r = 0;
    for (unsigned k = 0; k < BH_COUNT(identity); k++) {
        identity[k] = (uint16_t)k;
    }
    for (size_t k = 0; k < f->block_count && r == 0; k++) {
        const struct block_ref *ref = &f->block[k];
        if (dict_of != ref->dict) {
            dict_done(&d);
            r = log_file_dict(f, ref->dict, &d);
            dict_of = r == 0 ? ref->dict : SIZE_MAX;
            for (uint32_t c = 0; r == 0 && c < d.country_count; c++) {
                map[c] = terms_country(&x->rows.terms, &d.country[c]);
            }
        }
        r = r != 0 ? r : block_open(rows, &d, &ref->head, f->data + ref->body_at, BH_STORE_ALL);
        uint64_t row = ref->first_row;
        if (r == BH_EDAMAGED) {
            x->lost += x->coding ? ref->head.rows : 0;
            r = 0;
        } else {
            while (r == 0 && block_next(rows, identity, b)) {
                apply_verdicts(f, row, b);
                row += b->rows;
                r = take_batch(x, b, ref->head.flags >> CHUNK_LACKS_SHIFT, map);
            }
        }
        log_file_forget_pages(f, ref->body_at, ref->head.body_size);
        if (r == 0 && x->progress != NULL && !x->progress(x->arg, ++x->done, x->total)) {
            r = bh_error_set(x->err, -ECANCELED, "", "stopped; the log is as before",
                             "中断しました。ログは元のままです");
        }
    }
    x->lost += x->coding ? f->lost_rows : 0;
    dict_done(&d);
    return r;
}

static int
pass(struct rewrite *x, const struct log_file *const *files, size_t count, struct block_rows *rows,
     struct bh_batch *b)
{
    int r = 0;
    for (size_t k = 0; k < count && r == 0; k++) {
        r = pass_file(x, files[k], rows, b);
    }
    return r != 0 ? r : take_chunk(x);
}

static bool
are_all_there(const struct log_file *const *files, size_t count)
{
    size_t k = 0;
    while (k < count && access(files[k]->path, F_OK) == 0) {
        k++;
    }
    return k == count;
}

static int write_in_zone(struct rewrite *x, const char *dir, const struct log_file *const *files,
                         size_t count, uint64_t first, uint64_t last);

int
write_anew(struct rewrite *x, const char *dir, const struct log_file *const *files, size_t count,
           uint64_t first, uint64_t last)
{
    char before[64];
    snprintf(before, sizeof before, "%s", bh_zone_name());
    const char *zone = files[count - 1]->run.zone;
    const bool other = zone[0] != '\0' && strcmp(zone, before) != 0 && bh_zone_set(zone, NULL) == 0;
    int r = write_in_zone(x, dir, files, count, first, last);
    if (other) {
        bh_ignore(bh_zone_set(before, NULL)); /* it was set a moment ago */
    }
    return r;
}

static int
write_in_zone(struct rewrite *x, const char *dir, const struct log_file *const *files, size_t count,
              uint64_t first, uint64_t last)
{
    const struct log_file *newest = files[count - 1];
    const uint64_t lost = x->lost;
    struct block_rows *rows = block_rows_new();
    struct bh_batch *b = bh_batch_new();
    int r = rows == NULL || b == NULL ? -ENOMEM : rows_init(&x->rows, NULL, bh_random_key());
    x->coding = false;
    x->census = (struct census){ 0 };
    x->dict = (struct dict){ 0 };
    r = r != 0 ? r : pass(x, files, count, rows, b);
    r = r != 0 ? r : dict_build(&x->dict, &x->rows.terms, &x->census);
    if (r == 0) {
        x->coding = true;
        r = segment_begin(&x->out, dir, first, last, &newest->run, &newest->sums, &x->dict,
                          &x->work->code, x->err);
        r = r != 0 ? r : pass(x, files, count, rows, b);
        r = r != 0 ? r : segment_end(&x->out, &x->work->code, x->err);
        r = r == 0 && x->whole && x->lost > lost ? LEFT_DAMAGED : r;
        r = r == 0 && x->beside && !are_all_there(files, count) ? LEFT_GONE : r;
        r = r != 0 ? r : segment_place(&x->out, dir, x->err);
        segment_drop(&x->out);
    }
    if (r == -ENOMEM) {
        bh_error_errno(x->err, ENOMEM, dir, "cannot write", "書けません");
    }
    dict_done(&x->dict);
    census_done(&x->census);
    rows_done(&x->rows);
    block_rows_free(rows);
    bh_batch_free(b);
    return r;
}
