/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Retention: whole segments go, the oldest first. The age of a segment is that of its newest record.
 * "Now" is where the newest block begins, not the newest record: one packet with a clock set wrong, years
 * ahead, must not take the whole log away.
 *
 * The segment with the highest number stays, whatever was asked for: numbers would begin again, and who
 * keeps a copy of the log (beholder log push) tells segments by them.
 */
#include "rows_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct old {
    uint64_t sequence, last_sequence, bytes, rows;
    int64_t newest_ns;
    bool gone;
};

struct ages {
    struct old *file;
    size_t count;
    int64_t now_ns;
    uint64_t bytes, highest;
};

static int
look_at(struct ages *a, const char *path, const struct listed *l, struct bh_error *err)
{
    struct log_file f;
    int r = log_file_open(path, l->type, l->sequence, &f, err);
    if (r != 0) {
        return r;
    }
    struct old *o = &a->file[a->count++];
    *o = (struct old){ .sequence = l->sequence,
                       .last_sequence = f.last_sequence,
                       .bytes = f.size,
                       .rows = f.rows,
                       .newest_ns = INT64_MIN };
    for (size_t b = 0; b < f.block_count; b++) {
        const struct block_head *h = &f.block[b].head;
        o->newest_ns = h->max_ns > o->newest_ns ? h->max_ns : o->newest_ns;
        a->now_ns = h->min_ns > a->now_ns ? h->min_ns : a->now_ns;
    }
    a->highest = o->last_sequence > a->highest ? o->last_sequence : a->highest;
    log_file_close(&f);
    return 0;
}

/* Of journals, which their writer grows, only how large they are. */
static int
look_at_all(const char *dir, struct ages *a, struct bh_error *err)
{
    struct listed *list = NULL;
    size_t n = 0;
    int r = list_dir(dir, &list, &n, err);
    *a = (struct ages){ .now_ns = INT64_MIN, .file = calloc(n + 1, sizeof *a->file) };
    r = r == 0 && a->file == NULL
            ? bh_error_errno(err, ENOMEM, dir, "cannot start", "開始できません")
            : r;
    for (size_t k = 0; k < n && r == 0; k++) {
        char name[NAME_SIZE], path[4096];
        struct stat st;
        name_put(name, list[k].sequence, list[k].type);
        snprintf(path, sizeof path, "%s/%s", dir, name);
        a->bytes += stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
        r = list[k].type == FILE_SEGMENT ? look_at(a, path, &list[k], err) : 0;
    }
    free(list);
    return r;
}

static void
let_go(struct ages *a, struct old *o)
{
    o->gone = true;
    a->bytes -= o->bytes;
}

static bool
may_go(const struct ages *a, const struct old *o)
{
    return !o->gone && o->last_sequence != a->highest;
}

static void
choose(struct ages *a, uint64_t keep_ns, uint64_t keep_bytes)
{
    for (size_t k = 0; keep_ns > 0 && k < a->count; k++) {
        struct old *o = &a->file[k];
        if (may_go(a, o) && o->newest_ns < a->now_ns &&
            (uint64_t)a->now_ns - (uint64_t)o->newest_ns > keep_ns) {
            let_go(a, o);
        }
    }
    while (keep_bytes > 0 && a->bytes > keep_bytes) {
        struct old *oldest = NULL;
        for (size_t k = 0; k < a->count; k++) {
            struct old *o = &a->file[k];
            if (may_go(a, o) && (oldest == NULL || o->newest_ns < oldest->newest_ns)) {
                oldest = o;
            }
        }
        if (oldest == NULL) {
            break;
        }
        let_go(a, oldest);
    }
}

int
retain_files(const char *dir, uint64_t keep_ns, uint64_t keep_bytes, struct bh_store_done *ret_done,
             struct bh_error *err)
{
    struct ages a;
    int r = look_at_all(dir, &a, err);
    if (r == 0) {
        choose(&a, keep_ns, keep_bytes);
    }
    bool any = false;
    for (size_t k = 0; k < a.count && r == 0; k++) {
        if (a.file[k].gone) {
            any = true;
            r = unlink_file(dir, a.file[k].sequence, FILE_SEGMENT, err);
            ret_done->lost_records += r == 0 ? a.file[k].rows : 0;
        }
    }
    if (r == 0 && any) { /* it is of what is gone; the next compaction makes another */
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", dir, JOINED_NAME);
        bh_ignore(unlink(path)); /* mostly there is none */
    }
    free(a.file);
    return r != 0 ? r : sync_dir(dir, err);
}
