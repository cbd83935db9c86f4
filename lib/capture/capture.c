/* SPDX-License-Identifier: BSD-2-Clause */
/* capture.c - the reader's face: a list of files, blocks of frames out of it, notes about it. */
#include "capture_priv.h"

#include <errno.h>
#include <stdlib.h>

#define FILES_MAX 65536U /* bh_frame.file has 16 bits */
/* More files than this are mapped instead of read. */
#define READ_MAX 16U
/* With more files than this their descriptors are closed once they are mapped, and whether a
 * file shrinks is not watched any more. */
#define FDS_MAX 256U
/* Storages a block of one file goes over, where waiting costs nothing: full blocks decode
 * better, and what they hold should still be in a core's cache then. */
#define STORAGES_OF_BLOCK 4U

static int
new_capture(size_t count, struct bh_capture **ret_capture, struct bh_error *err)
{
    struct bh_capture *c = calloc(1, sizeof *c);
    if (c != NULL) {
        c->file = calloc(count, sizeof *c->file);
        c->pool = bh_cap_pool_new();
        atomic_init(&c->done, 0);
    }
    if (c == NULL || c->file == NULL || c->pool == NULL) {
        bh_capture_close(c);
        return bh_error_errno(err, ENOMEM, NULL, "the capture files cannot be read",
                              "キャプチャファイルを読み込めません");
    }
    c->file_count = count;
    for (size_t i = 0; i < count; i++) {
        c->file[i].index = (uint16_t)i;
        c->file[i].pool = c->pool;
        c->file[i].source.fd = -1;
    }
    *ret_capture = c;
    return 0;
}

/* The same octets twice would be counted twice, and a pipe cannot be read twice at all. */
struct identity {
    uint64_t dev, ino;
};

static int
check_twice(const struct bh_capture *c, struct identity *seen, size_t count, struct bh_error *err)
{
    const struct cap_source *s = &c->file[count].source;
    seen[count] = (struct identity){ s->dev, s->ino };
    for (size_t i = 0; i < count; i++) {
        if (seen[i].dev != s->dev || seen[i].ino != s->ino) {
            continue;
        }
        return bh_error_set(err, BH_EUSAGE, s->name, "this file is given twice (first as %s)",
                            "同じファイルが二度指定されています (最初は %s)",
                            c->file[i].source.name);
    }
    return 0;
}

/* One of several files that is empty or cut in its header, as the last one of a rotation is after a
 * crash, is no reason to refuse the others. */
static int
begin_file(struct bh_capture *c, struct cap_file *f, size_t *good, struct bh_error *err)
{
    struct bh_error local;
    int r = bh_cap_file_begin(f, &local);
    if (r == 0) {
        ++*good;
        return 0;
    }
    bool is_last_hope = f->index + 1U == c->file_count && *good == 0;
    if (bh_cap_file_is_cut(f, r) && !is_last_hope) {
        return bh_cap_file_give_up(c, f, &local) == 0
                   ? 0
                   : bh_error_errno(err, ENOMEM, f->source.name, "the file cannot be read",
                                    "ファイルを読み込めません");
    }
    if (err != NULL) {
        *err = local;
    }
    return r;
}

static int
open_files(struct bh_capture *c, const char *const *paths, struct bh_octets **opened,
           struct bh_error *err)
{
    struct identity *seen = calloc(c->file_count, sizeof *seen);
    bool is_total_known = true;
    size_t good = 0;
    int r = seen == NULL ? bh_error_errno(err, ENOMEM, NULL, "the capture files cannot be read",
                                          "キャプチャファイルを読み込めません")
                         : 0;

    for (size_t i = 0; r == 0 && i < c->file_count; i++) {
        struct cap_file *f = &c->file[i];
        bool is_open = opened != NULL && opened[i] != NULL;
        if (is_open) {
            bh_cap_source_adopt(&f->source, opened[i]);
            opened[i] = NULL;
        } else {
            r = bh_cap_source_open(&f->source, paths[i], err);
        }
        if (r == 0) {
            r = check_twice(c, seen, i, err);
        }
        if (r == 0 && !is_open) {
            r = bh_cap_source_start(&f->source, c->file_count > READ_MAX, c->file_count <= FDS_MAX,
                                    err);
        }
        if (r == 0) {
            r = begin_file(c, f, &good, err);
        }
        if (r == 0 && c->file_count > 1) {
            bh_cap_file_park(f);
        }
        is_total_known = is_total_known && (f->source.size > 0 || f->is_finished);
        c->total += f->source.size;
    }
    if (!is_total_known) {
        c->total = 0;
    }
    free(seen);
    return r;
}

static int
open_from(const char *const *paths, struct bh_octets **opened, size_t count,
          struct bh_capture **ret_capture, struct bh_error *err)
{
    struct bh_capture *c = NULL;

    if (count == 0) {
        return bh_error_set(err, BH_EUSAGE, NULL, "no capture file is given",
                            "キャプチャファイルが指定されていません");
    }
    if (count > FILES_MAX) {
        return bh_error_set(err, BH_ELIMIT, NULL, "%zu files are too many; %u is the most",
                            "ファイルが多すぎます (%zu 個)。最大は %u 個です", count, FILES_MAX);
    }
    int r = new_capture(count, &c, err);
    if (r != 0) {
        return r;
    }
    r = open_files(c, paths, opened, err);
    if (r != 0) {
        bh_capture_close(c);
        return r;
    }
    *ret_capture = c;
    return 0;
}

int
bh_capture_open_from(const char *const *paths, struct bh_octets **opened, size_t count,
                     struct bh_capture **ret_capture, struct bh_error *err)
{
    int r = open_from(paths, opened, count, ret_capture, err);
    for (size_t i = 0; opened != NULL && i < count; i++) {
        bh_octets_close(opened[i]);
        opened[i] = NULL;
    }
    return r;
}

int
bh_capture_open(const char *const *paths, size_t count, struct bh_capture **ret_capture,
                struct bh_error *err)
{
    return open_from(paths, NULL, count, ret_capture, err);
}

int
bh_capture_open_memory(const void *data, size_t size, struct bh_capture **ret_capture,
                       struct bh_error *err)
{
    struct bh_capture *c = NULL;

    int r = new_capture(1, &c, err);
    if (r != 0) {
        return r;
    }
    bh_cap_source_memory(&c->file[0].source, data, size);
    r = bh_cap_file_begin(&c->file[0], err);
    if (r != 0) {
        bh_capture_close(c);
        return r;
    }
    c->total = size;
    *ret_capture = c;
    return 0;
}

void
bh_capture_close(struct bh_capture *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->file_count; i++) {
        bh_cap_file_done(&c->file[i]);
    }
    bh_cap_pool_close(c->pool);
    free(c->file);
    free(c->heap);
    free(c->note);
    free(c);
}

/* How far a file is, in stored octets. */
static uint64_t
file_done(const struct cap_file *f)
{
    const struct cap_source *s = &f->source;
    if (f->is_finished) {
        return s->is_read ? s->stored_read : s->map_size;
    }
    if (s->is_read || s->unpacker != NULL) {
        return f->is_parked ? 0 : bh_cap_source_stored(s);
    }
    return cap_file_offset(f);
}

/* Files of which no frame is in the block did not move, but for a read ahead. */
static void
count_done(struct bh_capture *c, const struct bh_frames *f)
{
    uint64_t done = atomic_load_explicit(&c->done, memory_order_relaxed);
    uint32_t last = UINT32_MAX;
    for (uint32_t i = 0; i < f->count; i += c->file_count == 1 ? BH_FRAMES_MAX : 1) {
        if (f->frame[i].file == last) {
            continue;
        }
        last = f->frame[i].file;
        struct cap_file *file = &c->file[last];
        uint64_t now = file_done(file);
        done += now - file->counted_done;
        file->counted_done = now;
    }
    atomic_store_explicit(&c->done, done, memory_order_relaxed);
}

static int
read_single(struct bh_capture *c, struct bh_frames *out)
{
    struct cap_file *f = &c->file[0];
    bool may_wait = f->source.is_read && !f->source.is_regular;
    uint32_t n;

    do {
        int r = bh_cap_file_read(c, f, out->frame + out->count, BH_FRAMES_MAX - out->count, &n);
        if (r != 0) {
            return r;
        }
        bh_cap_frames_hold(out, f->storage);
        out->count += n;
    } while (n > 0 && out->count < BH_FRAMES_MAX && !may_wait &&
             bh_cap_frames_held(out) < STORAGES_OF_BLOCK);
    return 0;
}

int
bh_capture_read(struct bh_capture *c, struct bh_frames *f)
{
    int r;

    bh_cap_frames_release(f);
    r = c->file_count == 1 ? read_single(c, f) : bh_cap_merge_read(c, f);
    if (r != 0) {
        return r;
    }
    if (f->count == 0) {
        atomic_store_explicit(&c->done, c->total, memory_order_relaxed);
        return 0;
    }
    f->sequence = c->sequence++;
    count_done(c, f);
    return 1;
}

int
bh_cap_note(struct bh_capture *c, const struct cap_file *f, bool damaged,
            const struct bh_error *error)
{
    if (c->note_count == c->note_cap) {
        size_t cap = c->note_cap == 0 ? 4 : 2 * c->note_cap;
        void *grown = realloc(c->note, bh_size_mul(cap, sizeof *c->note));
        if (grown == NULL) {
            return -ENOMEM;
        }
        c->note = grown;
        c->note_cap = cap;
    }
    c->note[c->note_count++] = (struct bh_capture_note){ f->index, damaged, *error };
    return 0;
}

size_t
bh_capture_notes(const struct bh_capture *c, const struct bh_capture_note **ret_notes)
{
    *ret_notes = c->note;
    return c->note_count;
}

void
bh_capture_progress(const struct bh_capture *c, uint64_t *ret_total, uint64_t *ret_done)
{
    *ret_total = c->total;
    *ret_done = atomic_load_explicit(&c->done, memory_order_relaxed);
}

uint64_t
bh_capture_expected_frames(const struct bh_capture *c)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < c->file_count; i++) {
        if (c->file[i].source.size == 0 && !c->file[i].is_finished) {
            return 0;
        }
        sum += c->file[i].expected_frames;
    }
    return sum;
}
