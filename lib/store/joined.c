/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The roll-ups of all segments of a log as one, in a file beside them: a report over all of it then looks up each
 * source once, and not once a segment. It is made when a log is compacted and can always be made again; segments
 * that come later stand beside it. It tells which run it is of, which sequences, and how many records: as long as the
 * segments say the same, also when they were joined to larger ones since, it holds.
 */
#include "joined_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static void
join_done(struct join *j)
{
    for (size_t k = 0; k < j->parts; k++) {
        bh_rollup_close(j->part[k].u);
        free(j->part[k].id);
        free(j->part[k].country);
    }
    for (size_t k = 0; k < j->days; k++) {
        rollup_day_done(&j->day[k]);
    }
    for (size_t k = 0; k < j->hours; k++) {
        free(j->hour[k].cell);
    }
    dict_done(&j->dict);
    free(j->part);
    free(j->country);
    free(j->by_address);
    free(j->day);
    free(j->hour);
    free(j->total);
    free(j->then.v);
    free(j->pinged.v);
    free(j->own);
}

static int
open_parts(struct join *j, const struct log_file *files, size_t count)
{
    j->part = calloc(count + 1, sizeof *j->part);
    j->total = NULL;
    int r = j->part == NULL ? -ENOMEM : 0;
    for (size_t k = 0; k < count && r == 0; k++) {
        j->part[k].file = &files[k];
        r = rollup_open(&files[k], BH_ROLLUP_SOURCES, &j->part[k].u);
        j->parts = k + (r == 0);
    }
    return r;
}

/* ---- octets -------------------------------------------------------------------------------------------------- */

static void
put_common(const struct join *j, const struct rollup_sets *s, struct code_work *w,
           struct bh_buf *body)
{
    struct bh_buf raw = { 0 };
    for (uint32_t k = 0; k < j->own_count; k++) {
        code_put8(&raw, j->own[k].family);
        bh_buf_add(&raw, j->own[k].octets, sizeof j->own[k].octets);
    }
    rollup_put_ids(&raw, NULL, 0);
    rollup_put_ids(&raw, j->then.v, j->then.n);
    rollup_put_ids(&raw, s->key, s->frequent);
    rollup_put_raw(w, body, &raw);
    bh_buf_done(&raw);
}

/* Who knocked on a day, in whatever part, into `total` of the sets. */
static int
unite_who(struct join *j, const struct rollup_day *day, struct rollup_sets *s)
{
    int r = 0;
    memset(s->total, 0, s->sources * sizeof *s->total);
    for (size_t k = 0; k < j->parts && r == 0; k++) {
        const struct join_part *part = &j->part[k];
        for (uint32_t d = 0; d < part->u->days && r == 0; d++) {
            struct bh_rollup_who who;
            if (part->file->rollup.day[d].start_ns != day->start_ns) {
                continue;
            }
            r = bh_rollup_get_who(part->u, d, &who);
            if (r != 0) {
                break;
            }
            for (uint32_t i = 0; i < who.count; i++) {
                const uint32_t id = part->id[who.id[i]];
                s->total[id == UINT32_MAX ? 0 : id] += id == UINT32_MAX ? 0 : who.accesses[i];
                j->total[id == UINT32_MAX ? 0 : id] += id == UINT32_MAX ? 0 : who.accesses[i];
            }
            bh_rollup_who_done(&who);
        }
    }
    return r;
}

static int
put_days(struct join *j, struct rollup_sets *s, struct code_work *w, struct bh_buf *head,
         struct bh_buf *body)
{
    int r = 0;
    for (size_t k = 0, first = 0, end; k < j->days && r == 0; k++, first = end) {
        struct rollup_day *d = &j->day[k];
        for (end = first; end < j->hours && j->hour[end].start_ns < d->end_ns; end++) {
        }
        r = unite_who(j, d, s);
        d->knocked = 0;
        for (uint32_t i = 0; i < s->sources; i++) {
            d->knocked += s->total[i] > 0;
        }
        code_put64(head, (uint64_t)d->start_ns);
        code_put64(head, (uint64_t)d->end_ns);
        code_put64(head, d->sums.rows);
        size_t at = body->len;
        rollup_put_day(w, body, d, &j->hour[first], end - first, j->dict.country_count);
        rollup_put_part(head, body, at);
        at = body->len;
        rollup_sets_put_who(s, w, body);
        rollup_put_part(head, body, at);
        rollup_put_part(head, body, body->len); /* sets stand for all days */
    }
    memcpy(s->total, j->total, s->sources * sizeof *s->total);
    return r;
}

static int
put_joined(struct join *j, struct rollup_sets *s, struct code_work *w, struct bh_buf *head,
           struct bh_buf *body)
{
    struct bh_buf days = { 0 }, index = { 0 }, parts = { 0 };
    code_put32(head, ROLLUP_SECOND_FORM | ROLLUP_JOINED);
    code_put32(head, ROLLUP_WRITTEN);
    code_put64(head, j->rows);
    code_put32(head, j->sources);
    code_put32(head, 0);
    code_put32(head, 0);
    code_put32(head, j->own_count);
    code_put32(head, (uint32_t)j->days);
    size_t at = body->len;
    put_common(j, s, w, body);
    rollup_put_part(head, body, at);
    int r = put_days(j, s, w, &days, body);
    at = body->len;
    r = r != 0 ? r : rollup_sets_put_rare(s, w, &index, body);
    rollup_put_part(&parts, body, at);
    at = body->len;
    bh_buf_add(body, index.data == NULL ? "" : index.data, index.len);
    rollup_put_part(head, body, at); /* the index first */
    bh_buf_add(head, parts.data == NULL ? "" : parts.data, parts.len);
    at = body->len;
    rollup_sets_put_who(s, w, body);
    rollup_put_part(head, body, at);
    at = body->len;
    rollup_sets_put(s, w, body);
    rollup_put_part(head, body, at);
    bh_buf_add(head, days.data == NULL ? "" : days.data, days.len);
    const bool failed = head->failed || body->failed || days.failed || index.failed || parts.failed;
    bh_buf_done(&days);
    bh_buf_done(&index);
    bh_buf_done(&parts);
    return r != 0 ? r : failed ? -ENOMEM : 0;
}

static int
join_all(struct join *j, struct code_work *w, struct bh_buf *head, struct bh_buf *body)
{
    struct rollup_sets s = { 0 };
    int r = join_sources(j);
    r = r != 0 ? r : join_days(j);
    r = r != 0 ? r : join_bursts(j);
    j->total = r == 0 ? calloc(j->sources + 1UL, sizeof *j->total) : NULL;
    r = r == 0 && j->total == NULL ? -ENOMEM : r;
    r = r != 0 ? r : join_sets(j, &s);
    r = r != 0 ? r : put_joined(j, &s, w, head, body);
    rollup_sets_done(&s);
    return r;
}

/* ---- the file --------------------------------------------------------------------------------------------------- */

static int
write_joined(const char *dir, struct join *j, struct code_work *w, struct bh_error *err)
{
    struct bh_buf head = { 0 }, body = { 0 };
    struct segment_out out = { .fd = -1 };
    const struct log_file *first = j->part[0].file, *last = j->part[j->parts - 1].file;
    const struct bh_store_sums none = { 0 };
    int r = join_all(j, w, &head, &body);
    if (r == 0) {
        r = segment_begin(&out, dir, first->first_sequence, last->last_sequence, &first->run, &none,
                          &j->dict, w, err);
        if (r == 0) {
            segment_rollup(&out, &head, &body);
            r = segment_end(&out, w, err);
        }
        r = r != 0 ? r : segment_place_as(&out, dir, JOINED_NAME, err);
        segment_drop(&out);
    } else if (r == -ENOMEM) {
        r = bh_error_errno(err, ENOMEM, dir, "cannot join roll-ups", "集計をまとめられません");
    }
    bh_buf_done(&head);
    bh_buf_done(&body);
    return r == BH_ELIMIT || r == BH_EDAMAGED ? 1 : r;
}

/* Is there something to join: several sealed segments of one run, each with a roll-up? */
static bool
may_join(const struct log_file *files, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        const struct log_file *f = &files[k];
        if (f->type != FILE_SEGMENT || f->damaged > 0 || f->rollup.days == 0 ||
            f->run.id != files[0].run.id) {
            return false;
        }
    }
    return count > 1 && count < UINT16_MAX;
}

int
joined_make(const char *dir, struct code_work *w, struct bh_error *err)
{
    char path[4096];
    struct log_file *files = NULL, old = { 0 };
    size_t n = 0;
    snprintf(path, sizeof path, "%s/%s", dir, JOINED_NAME);
    int r = files_open(dir, &files, &n, err);
    if (r != 0) {
        return r;
    }
    const bool is_there = access(path, F_OK) == 0;
    bool holds = false;
    if (is_there && log_file_open(path, FILE_SEGMENT, 0, &old, NULL) == 0) {
        holds = joined_holds(&old, files, n) && old.last_sequence + 1 == next_sequence(files, n) &&
                log_file_frames_are_sound(&old);
        log_file_close(&old);
    }
    if (!holds) {
        struct join j = { 0 };
        r = may_join(files, n) ? open_parts(&j, files, n) : 1;
        r = r == 0 ? write_joined(dir, &j, w, err)
            : r == -ENOMEM
                ? bh_error_errno(err, ENOMEM, dir, "cannot join roll-ups", "集計をまとめられません")
                : 1;
        join_done(&j);
        if (r == 1 && is_there && unlink(path) != 0 && errno != ENOENT) {
            r = bh_error_errno(err, errno, path, "cannot remove", "削除できません");
        }
        r = r == 1 ? 0 : r;
    }
    files_close(files, n);
    return r;
}

bool
joined_has(const struct log_file *joined, const struct log_file *f)
{
    return f->type == FILE_SEGMENT && joined->first_sequence <= f->first_sequence &&
           f->last_sequence <= joined->last_sequence;
}

bool
joined_holds(const struct log_file *joined, const struct log_file *files, size_t count)
{
    uint64_t rows = 0;
    for (size_t k = 0; k < count; k++) {
        const struct log_file *f = &files[k];
        if (f->last_sequence < joined->first_sequence ||
            f->first_sequence > joined->last_sequence) {
            continue;
        }
        if (!joined_has(joined, f) || f->run.id != joined->run.id || f->damaged > 0) {
            return false;
        }
        rows += f->rows;
    }
    return joined->damaged == 0 && joined->run_known && joined->block_count == 0 &&
           joined->rollup.days > 0 && (joined->rollup.flags & ROLLUP_JOINED) != 0 &&
           joined->rollup.rows == rows;
}
