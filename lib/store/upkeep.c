/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking after a log: journals that killed writers left, compaction, repair, retention, merging.
 * Segments are only ever written anew and put in place of what they stand for; at every moment each
 * record counts once (is_superseded(), journal_counts()).
 */
#include "rewrite_priv.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMPACT_ROWS (16U << 20)

/* ---- journals ------------------------------------------------------------------------------------------------ */

/* Of a writer and of who writes segments anew: those stand for segments that are there. What somebody else may be
 * at work on stays. */
static int
remove_unfinished(const char *dir, bool of_writer, bool of_care, struct bh_error *err)
{
    struct listed *list = NULL;
    size_t n = 0;
    int r = list_dir(dir, &list, &n, err);
    for (size_t k = 0; k < n && r == 0; k++) {
        bool is_anew = false;
        for (size_t i = 0; i < n; i++) {
            is_anew |= list[i].type == FILE_SEGMENT && list[i].sequence == list[k].sequence;
        }
        if (list[k].type == FILE_UNFINISHED && (is_anew ? of_care : of_writer)) {
            r = unlink_file(dir, list[k].sequence, FILE_UNFINISHED, err);
        }
    }
    free(list);
    return r;
}

/* What a journal has becomes a segment. Where it is damaged the octets are kept under another name: some of
 * them may be worth a look, and nobody else has them. */
static int
seal_journal(const char *dir, const struct log_file *f, struct block_work *work,
             struct bh_error *err)
{
    struct rewrite x = { .work = work, .err = err };
    char name[NAME_SIZE], path[4096], kept[4096];
    int r = 0;
    if (f->rows > 0 || f->sums_known) {
        r = write_anew(&x, dir, &f, 1, f->first_sequence, f->first_sequence);
    }
    name_put(name, f->first_sequence, FILE_JOURNAL);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(kept, sizeof kept, "%s/%s.damaged", dir, name);
    if (r == 0 && (f->damaged > 0 || x.lost > 0) && rename(path, kept) == 0) {
        return 0;
    }
    return r != 0 ? r : unlink_file(dir, f->first_sequence, FILE_JOURNAL, err);
}

int
recover_journals(const char *dir, bool has_care, struct block_work *work, uint64_t *ret_sequence,
                 struct bh_error *err)
{
    struct log_file *files = NULL;
    size_t n = 0;
    int care_fd = -1;
    char care[4096];
    snprintf(care, sizeof care, "%s/%s", dir, LOCK_OF_CARE);
    /* Nobody has that lock: then what a killed compaction left goes too. */
    const bool may_care =
        has_care || access(care, F_OK) != 0 || lock_dir(dir, LOCK_OF_CARE, &care_fd, NULL) == 0;
    int r = remove_unfinished(dir, true, may_care, err);
    if (care_fd >= 0) {
        close(care_fd);
    }
    r = r != 0 ? r : files_open(dir, &files, &n, err);
    *ret_sequence = r == 0 ? next_sequence(files, n) : 1;
    /* First those that do not count. One that goes on from another would begin to count when that one is
     * sealed, and its records stand in there already: it must be gone from the disk before. */
    bool *left = calloc(n + 1, sizeof *left), any = false;
    r = r == 0 && left == NULL ? bh_error_errno(err, ENOMEM, dir, "cannot start", "開始できません")
                               : r;
    for (size_t k = 0; k < n && r == 0; k++) {
        left[k] = files[k].type == FILE_JOURNAL && journal_counts(files, n, k);
        if (files[k].type == FILE_JOURNAL && !left[k]) {
            r = unlink_file(dir, files[k].first_sequence, FILE_JOURNAL, err);
            any = true;
        }
    }
    r = r == 0 && any ? sync_dir(dir, err) : r;
    for (size_t k = 0; k < n && r == 0; k++) {
        if (left[k]) {
            r = seal_journal(dir, &files[k], work, err);
        }
    }
    free(left);
    /* What compaction had joined already. */
    for (size_t k = 0; k < n && r == 0; k++) {
        if (files[k].type == FILE_SEGMENT && is_superseded(files, n, k)) {
            r = unlink_file(dir, files[k].first_sequence, FILE_SEGMENT, err);
        }
    }
    files_close(files, n);
    return r;
}

/* ---- what is called ------------------------------------------------------------------------------------------- */

/* A log that is locked, with its journals sealed. */
struct care {
    const char *dir;
    int lock_fd, care_fd;
    bool beside; /* a writer has the log: its journals and what it is making are not touched */
    struct block_work work;
    struct log_file *files;
    size_t count;
};

/* Nothing is in it: what may become a log without anybody being surprised. */
static bool
is_empty_dir(const char *dir)
{
    DIR *d = opendir(dir);
    size_t names = 0;
    while (d != NULL && names <= 2 && readdir(d) != NULL) {
        names++; /* "." and ".." */
    }
    if (d != NULL) {
        closedir(d);
    }
    return d != NULL && names <= 2;
}

/* While somebody writes or removes, a file may go away between listing and opening. */
static int
files_open_steadily(const char *dir, struct log_file **ret_files, size_t *ret_count,
                    struct bh_error *err)
{
    int r = -ENOENT;
    for (unsigned tries = 0; r == -ENOENT && tries < 20; tries++) {
        r = files_open(dir, ret_files, ret_count, err);
    }
    return r;
}

/* Only what is sealed and counts. */
static size_t
forget_others(struct log_file *files, size_t count)
{
    bool *drop = calloc(count + 1, sizeof *drop);
    size_t kept = 0;
    for (size_t k = 0; k < count && drop != NULL; k++) {
        drop[k] = files[k].type != FILE_SEGMENT || is_superseded(files, count, k);
    }
    for (size_t k = 0; k < count; k++) {
        if (drop == NULL || drop[k]) {
            log_file_close(&files[k]);
        } else {
            files[kept++] = files[k];
        }
    }
    free(drop);
    return kept;
}

/* Both locks, and what killed writers left sealed; or beside a writer, when that may be. */
static int
care_lock(struct care *c, bool may_be_beside, struct bh_error *err)
{
    uint64_t sequence;
    int r = lock_dir(c->dir, LOCK_OF_CARE, &c->care_fd, err);
    r = r != 0 ? r : lock_dir(c->dir, LOCK_OF_WRITER, &c->lock_fd, err);
    if (r == 0) {
        return recover_journals(c->dir, true, &c->work, &sequence, err);
    }
    c->beside = r == BH_ELIMIT && may_be_beside && c->care_fd >= 0 && !is_copy(c->dir);
    return c->beside ? remove_unfinished(c->dir, false, true, err) : r;
}

static int
care_begin(struct care *c, const char *dir, bool may_begin, bool may_be_beside,
           struct bh_error *err)
{
    *c = (struct care){ .dir = dir, .lock_fd = -1, .care_fd = -1 };
    int r = block_work_init(&c->work) != 0
                ? bh_error_errno(err, ENOMEM, dir, "cannot start", "開始できません")
                : 0;
    /* no lock is left where somebody mistyped a name */
    if (r == 0 && !may_begin && !bh_store_is_log(dir)) {
        struct stat st;
        r = stat(dir, &st) != 0
                ? bh_error_errno(err, errno, dir, "cannot open", "開けません")
                : bh_error_set(err, BH_EFORMAT, dir, "this directory holds no packet log",
                               "このディレクトリにはパケットログがありません");
    }
    r = r != 0 ? r : care_lock(c, may_be_beside, err);
    r = r != 0 ? r : files_open_steadily(dir, &c->files, &c->count, err);
    if (r == 0 && c->beside) {
        c->count = forget_others(c->files, c->count);
    }
    return r;
}

static void
care_end(struct care *c)
{
    files_close(c->files, c->count);
    block_work_done(&c->work);
    if (c->lock_fd >= 0) {
        close(c->lock_fd);
    }
    if (c->care_fd >= 0) {
        close(c->care_fd);
    }
}

static void
count_files(const struct log_file *files, size_t n, uint64_t *ret_files, uint64_t *ret_bytes)
{
    *ret_files = n;
    *ret_bytes = 0;
    for (size_t k = 0; k < n; k++) {
        *ret_bytes += files[k].size;
    }
}

static int
finish(struct care *c, int r, struct bh_store_done *ret, struct bh_error *err)
{
    struct log_file *files = NULL;
    size_t n = 0;
    count_files(c->files, c->count, &ret->files_before, &ret->bytes_before);
    if (r == 0) {
        r = files_open_steadily(c->dir, &files, &n, err);
        n = r == 0 && c->beside ? forget_others(files, n) : n;
        count_files(files, n, &ret->files_after, &ret->bytes_after);
        ret->records = 0;
        for (size_t k = 0; k < n; k++) {
            ret->records += files[k].rows;
        }
        files_close(files, n);
    }
    care_end(c);
    return r;
}

/* How many files from `at` on go together. */
static size_t
find_group(const struct care *c, size_t at, uint64_t most)
{
    uint64_t rows = c->files[at].rows;
    size_t n = 1;
    while (at + n < c->count) {
        const struct log_file *f = &c->files[at + n];
        if (f->run.id != c->files[at].run.id || rows + f->rows > most) {
            break;
        }
        rows += f->rows;
        n++;
    }
    return n;
}

int
bh_store_compact(const char *dir, uint64_t most, bh_store_progress_fn *progress, void *arg,
                 struct bh_store_done *ret_done, struct bh_error *err)
{
    struct care c;
    int r = refuse_copy(dir, err);
    if (r != 0) {
        return r;
    }
    r = care_begin(&c, dir, false, true, err);
    const struct log_file **group = calloc(c.count + 1, sizeof *group);
    struct rewrite x = { .work = &c.work,
                         .whole = true,
                         .progress = progress,
                         .arg = arg,
                         .beside = c.beside,
                         .err = err };
    uint64_t left = 0;
    *ret_done = (struct bh_store_done){ 0 };
    most = most != 0             ? most
           : asked_blocks() != 0 ? (uint64_t)asked_blocks() * BLOCK_ROWS
                                 : COMPACT_ROWS;
    for (size_t k = 0; r == 0 && k < c.count; k++) {
        x.total += 2 * c.files[k].block_count;
    }
    r = r == 0 && group == NULL ? bh_error_errno(err, ENOMEM, dir, "cannot start", "開始できません")
                                : r;
    for (size_t at = 0; r == 0 && at < c.count;) {
        const size_t n = find_group(&c, at, most);
        for (size_t k = 0; k < n; k++) {
            group[k] = &c.files[at + k];
        }
        /* A segment alone is written again when it was written before there were roll-ups, or summaries. */
        if (n > 1 || (c.files[at].type == FILE_SEGMENT &&
                      (!c.files[at].rollup_known || !log_file_is_summed_up(&c.files[at])))) {
            r = write_anew(&x, dir, group, n, group[0]->first_sequence,
                           group[n - 1]->last_sequence);
            for (size_t k = 1; k < n && r == 0; k++) {
                r = unlink_file(dir, group[k]->first_sequence, FILE_SEGMENT, err);
            }
            left += r == LEFT_DAMAGED ? n : 0; /* that is a matter for repair */
            r = r == LEFT_DAMAGED || r == LEFT_GONE ? 0 : r;
        }
        at += n;
    }
    ret_done->files_left = left;
    free(group);
    /* Beside a writer what is there of joined roll-ups stays, as its journal cannot be joined. */
    r = r != 0 || c.beside ? r : joined_make(dir, &c.work.code, err);
    return finish(&c, r, ret_done, err);
}

static bool
is_damaged(const struct log_file *f, struct block_rows *rows)
{
    struct dict d = { 0 };
    size_t dict_of = SIZE_MAX;
    bool damaged = f->damaged > 0 || !log_file_frames_are_sound(f);
    for (size_t k = 0; k < f->block_count && !damaged; k++) {
        if (dict_of != f->block[k].dict) {
            dict_done(&d);
            damaged = log_file_dict(f, f->block[k].dict, &d) != 0;
            dict_of = damaged ? SIZE_MAX : f->block[k].dict;
        }
        damaged = damaged || block_open(rows, &d, &f->block[k].head, f->data + f->block[k].body_at,
                                        BH_STORE_ALL) != 0;
    }
    dict_done(&d);
    return damaged;
}

int
bh_store_repair(const char *dir, bh_store_progress_fn *progress, void *arg,
                struct bh_store_done *ret_done, struct bh_error *err)
{
    struct care c;
    int r = care_begin(&c, dir, false, false, err);
    struct block_rows *rows = block_rows_new();
    struct rewrite x = { .work = &c.work, .err = err };
    *ret_done = (struct bh_store_done){ 0 };
    r = r == 0 && rows == NULL ? bh_error_errno(err, ENOMEM, dir, "cannot start", "開始できません")
                               : r;
    for (size_t k = 0; r == 0 && k < c.count; k++) {
        const struct log_file *one = &c.files[k];
        if (is_damaged(one, rows)) {
            r = write_anew(&x, dir, &one, 1, one->first_sequence, one->last_sequence);
        }
        if (r == 0 && progress != NULL && !progress(arg, k + 1, c.count)) {
            r = bh_error_set(err, -ECANCELED, dir, "stopped; what was repaired is in place",
                             "中断しました。修復済みの分は有効です");
        }
    }
    ret_done->lost_records = x.lost;
    block_rows_free(rows);
    r = r != 0 ? r : joined_make(dir, &c.work.code, err);
    return finish(&c, r, ret_done, err);
}

int
bh_store_retain(const char *dir, uint64_t keep_ns, uint64_t keep_bytes,
                struct bh_store_done *ret_done, struct bh_error *err)
{
    struct care c;
    int r = care_begin(&c, dir, false, true, err);
    *ret_done = (struct bh_store_done){ 0 };
    r = r != 0 ? r : retain_files(dir, keep_ns, keep_bytes, ret_done, err);
    return finish(&c, r, ret_done, err);
}

/* The files of another log that count, each as a segment of this one. */
static int
merge_log(struct rewrite *x, const char *dir, const struct log_file *files, size_t n,
          uint64_t *sequence)
{
    int r = 0;
    for (size_t k = 0; k < n && r == 0; k++) {
        const bool counts = files[k].type == FILE_JOURNAL ? journal_counts(files, n, k)
                                                          : !is_superseded(files, n, k);
        const struct log_file *one = &files[k];
        if (counts && (one->rows > 0 || one->sums_known)) {
            r = write_anew(x, dir, &one, 1, *sequence, *sequence);
            ++*sequence;
        }
    }
    return r;
}

/* Another log may be written to meanwhile. */
static int
open_other(const char *dir, const char *other, struct log_file **ret_files, size_t *ret_count,
           struct bh_error *err)
{
    struct stat a, b;
    if (stat(dir, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
        a.st_ino == b.st_ino) {
        return bh_error_set(err, BH_EUSAGE, other, "is the log to append to",
                            "は追加先のログそのものです");
    }
    int r = files_open_steadily(other, ret_files, ret_count, err);
    if (r == 0 && *ret_count == 0) {
        files_close(*ret_files, 0);
        return bh_error_set(err, BH_EFORMAT, other, "this directory holds no packet log",
                            "このディレクトリにはパケットログがありません");
    }
    return r;
}

/* Together or not at all: what was appended goes again when it cannot be finished, so that who asks once
 * more does not have it twice. */
static void
take_back(const char *dir, uint64_t from, uint64_t to)
{
    while (to > from) {
        bh_ignore(unlink_file(dir, --to, FILE_SEGMENT, NULL));
    }
}

int
bh_store_merge(const char *dir, const char *const *others, size_t count,
               bh_store_progress_fn *progress, void *arg, struct bh_store_done *ret_done,
               struct bh_error *err)
{
    struct care c = { .dir = dir, .lock_fd = -1, .care_fd = -1 };
    struct {
        struct log_file *file;
        size_t count;
    } *log = calloc(count + 1, sizeof *log);
    /* Into a log, or into what is not there yet. */
    struct stat st;
    int r = stat(dir, &st) != 0 && errno == ENOENT ? make_dir(dir, err) : 0;
    r = r != 0 ? r : care_begin(&c, dir, is_empty_dir(dir), false, err);
    r = r != 0 ? r : refuse_copy(dir, err);
    struct rewrite x = { .work = &c.work, .progress = progress, .arg = arg, .err = err };
    const uint64_t first = next_sequence(c.files, c.count);
    uint64_t sequence = first;
    *ret_done = (struct bh_store_done){ 0 };
    r = r == 0 && log == NULL ? bh_error_errno(err, ENOMEM, dir, "cannot start", "開始できません")
                              : r;
    for (size_t k = 0; k < count && r == 0; k++) {
        r = open_other(dir, others[k], &log[k].file, &log[k].count, err);
        for (size_t i = 0; r == 0 && i < log[k].count; i++) {
            x.total += 2 * log[k].file[i].block_count;
        }
    }
    for (size_t k = 0; k < count && r == 0; k++) {
        r = merge_log(&x, dir, log[k].file, log[k].count, &sequence);
    }
    if (r != 0) {
        take_back(dir, first, sequence);
    }
    for (size_t k = 0; log != NULL && k < count; k++) {
        if (log[k].file != NULL) {
            files_close(log[k].file, log[k].count);
        }
    }
    free(log);
    ret_done->lost_records = x.lost;
    return finish(&c, r, ret_done, err);
}
