/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Adding, handing out, forgetting.
 *
 * Files are a sixteenth of the bound (64 KiB to 16 MiB), so that the oldest can go as a whole, and a new one is begun
 * with every start: nothing is ever written behind what another process wrote. A file begins with the heading in force
 * and means the same without those before it. Blocks are written with one pwrite() each, and cut off again when the
 * disk had no room for all of it.
 */
#include "spool_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_LEAST (64U << 10)
#define FILE_MOST (16U << 20)

/* ---- open, close -------------------------------------------------------------------------------------------- */

int
bh_spool_open(const struct bh_spool_config *cfg, struct bh_spool **ret, struct bh_error *err)
{
    struct bh_spool *s = calloc(1, sizeof *s);
    if (s == NULL || (s->buf = malloc(spool_block_size(BH_SPOOL_BLOCK_MAX))) == NULL) {
        free(s);
        return bh_error_errno(err, ENOMEM, cfg->dir, "cannot open", "開けません");
    }
    s->dir_fd = s->state_fd = s->write_fd = s->read_fd = -1;
    s->most = cfg->octets > BH_SPOOL_LEAST ? cfg->octets : BH_SPOOL_LEAST;
    s->file_most = s->most / 16 < FILE_LEAST  ? FILE_LEAST
                   : s->most / 16 > FILE_MOST ? FILE_MOST
                                              : s->most / 16;
    s->layout = cfg->layout;
    s->next_sequence = 1;
    int r = mkdir(cfg->dir, 0700) != 0 && errno != EEXIST ? -errno : 0;
    s->dir_fd = r != 0 ? -1 : open(cfg->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir_fd < 0) {
        r = bh_error_errno(err, r != 0 ? -r : errno, cfg->dir, "cannot open", "開けません");
    }
    r = r != 0 ? r : spool_state_open(s, err);
    r = r != 0 ? r : spool_find(s, err);
    if (r != 0) {
        bh_spool_close(s);
        return r;
    }
    *ret = s;
    return 0;
}

void
bh_spool_close(struct bh_spool *s)
{
    if (s == NULL) {
        return;
    }
    const int fds[] = { s->write_fd, s->read_fd, s->dir_fd, s->state_fd };
    if (s->state_fd >= 0 && s->dir_fd >= 0) {
        spool_state_save(s);
    }
    for (size_t k = 0; k < BH_COUNT(fds); k++) {
        if (fds[k] >= 0) {
            close(fds[k]);
        }
    }
    bh_buf_done(&s->heading);
    free(s->file);
    free(s->buf);
    free(s);
}

/* ---- files that go -------------------------------------------------------------------------------------------- */

static void
remove_first(struct bh_spool *s)
{
    char name[32];
    const struct spool_file *f = &s->file[0];
    spool_name(f->sequence, name);
    if (s->read_fd >= 0 && s->read_sequence == f->sequence) {
        close(s->read_fd);
        s->read_fd = -1;
    }
    if (s->count == 1 && s->write_fd >= 0) {
        close(s->write_fd);
        s->write_fd = -1;
    }
    bh_ignore(
        unlinkat(s->dir_fd, name, 0)); /* what stays is found with the next start, and is safe */
    s->octets -= f->size;
    s->count--;
    memmove(&s->file[0], &s->file[1], s->count * sizeof *f);
}

/* The oldest, with what waits in it. */
static void
lose_first(struct bh_spool *s)
{
    const struct spool_file f = s->file[0];
    struct bh_spool_block b;
    uint64_t sum, at = s->read.sequence == f.sequence ? s->read.offset : FILE_HEAD;
    const bool waits = s->read.sequence <= f.sequence;
    const int fd = waits ? spool_reader(s, f.sequence) : -1;
    while (waits && spool_block_head(fd, at, f.size, &b, &sum)) {
        if (b.kind == BH_SPOOL_BATCH) {
            spool_lose(s, &b);
            s->rows -= b.rows < s->rows ? b.rows : s->rows;
        }
        at += spool_block_size(b.size);
    }
    remove_first(s);
    const struct place next = { s->count > 0 ? s->file[0].sequence : s->next_sequence, FILE_HEAD };
    if (waits) {
        s->read = next;
        s->is_shown = false;
        s->replay = (struct place){ 0 };
    }
    s->safe = s->safe.sequence <= f.sequence ? next : s->safe;
    spool_state_save(s);
}

/* ---- adding ------------------------------------------------------------------------------------------------------ */

int
bh_spool_head(struct bh_spool *s, int64_t start_ns, const void *data, uint32_t size)
{
    if (s->heading.data != NULL && s->heading_start == start_ns && s->heading.len == size &&
        memcmp(s->heading.data, data, size) == 0) {
        return 0;
    }
    s->heading.len = 0;
    bh_buf_add(&s->heading, data, size);
    s->heading_start = start_ns;
    s->heading_due = true;
    return s->heading.failed || size > BH_SPOOL_BLOCK_MAX ? -ENOMEM : 0;
}

/* At the end of the file that is written. All of it or nothing. */
static int
write_block(struct bh_spool *s, struct spool_file *f, const struct bh_spool_block *b)
{
    const size_t size = (size_t)spool_block_size(b->size);
    memset(s->buf + size - 8, 0, 8); /* what pads it */
    spool_block_put(s->buf, b);
    if (b->size > 0) {
        memcpy(s->buf + BLOCK_HEAD, b->data, b->size);
    }
    const ssize_t n = pwrite(s->write_fd, s->buf, size, (off_t)f->size);
    if (n != (ssize_t)size) {
        const int saved = n < 0 ? errno : ENOSPC;
        bh_ignore(ftruncate(s->write_fd,
                            (off_t)f->size)); /* what is left of it ends the file for a reader */
        return -saved;
    }
    f->size += size;
    s->octets += size;
    return 0;
}

static int
write_heading(struct bh_spool *s, struct spool_file *f)
{
    const struct bh_spool_block b = { .kind = BH_SPOOL_HEADING,
                                      .start_ns = s->heading_start,
                                      .data = (const uint8_t *)s->heading.data,
                                      .size = (uint32_t)s->heading.len };
    const int r = s->heading.len > 0 ? write_block(s, f, &b) : 0;
    s->heading_due = r != 0;
    return r;
}

static int
begin_file(struct bh_spool *s)
{
    uint8_t head[FILE_HEAD];
    char name[32];
    struct spool_file f = { .sequence = s->next_sequence,
                            .size = FILE_HEAD,
                            .rows_before = s->rows_added };
    const bool behind = !bh_spool_waits(s);
    spool_name(f.sequence, name);
    const int fd =
        openat(s->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return -errno;
    }
    spool_file_put(head, s->layout, f.sequence, f.rows_before);
    const ssize_t n = pwrite(fd, head, sizeof head, 0);
    int r = n == (ssize_t)sizeof head ? 0 : n < 0 ? -errno : -ENOSPC;
    r = r != 0 ? r : spool_file_add(s, &f);
    if (r != 0) {
        close(fd);
        bh_ignore(unlinkat(s->dir_fd, name, 0)); /* an empty one is no harm */
        return r;
    }
    if (s->write_fd >= 0) {
        close(s->write_fd);
    }
    s->write_fd = fd;
    s->octets += FILE_HEAD;
    s->next_sequence++;
    if (behind) {
        s->read = (struct place){ f.sequence, FILE_HEAD };
    }
    s->heading_due = true;
    return 0;
}

/* Room within the bound; at last of the file that is written there is nothing to spare. */
static int
make_room(struct bh_spool *s, uint64_t need)
{
    if (s->write_fd < 0 || s->file[s->count - 1].size + need > s->file_most) {
        const int r = begin_file(s);
        if (r != 0) {
            return r;
        }
    }
    while (s->octets + need > s->most && s->count > 1) {
        lose_first(s);
    }
    return 0;
}

int
bh_spool_add(struct bh_spool *s, const struct bh_spool_block *b, bool handed)
{
    if (b->size > BH_SPOOL_BLOCK_MAX) {
        return -EMSGSIZE;
    }
    const bool behind = handed && !bh_spool_waits(s);
    int r = make_room(s, spool_block_size(b->size) + spool_block_size((uint32_t)s->heading.len));
    struct spool_file *f = r == 0 ? &s->file[s->count - 1] : NULL;
    r = r == 0 && s->heading_due ? write_heading(s, f) : r;
    r = r == 0 ? write_block(s, f, b) : r;
    if (r != 0) {
        return r;
    }
    if (b->kind == BH_SPOOL_BATCH) {
        f->rows += b->rows;
        s->rows_added += b->rows;
        s->rows += behind ? 0 : b->rows;
        s->end_start = b->start_ns;
        s->end = b->number + 1;
    }
    if (behind) {
        s->read = (struct place){ f->sequence, f->size };
        s->is_shown = false;
    }
    return 0;
}

/* ---- handing out --------------------------------------------------------------------------------------------------- */

bool
bh_spool_waits(const struct bh_spool *s)
{
    if (s->count == 0) {
        return false;
    }
    const struct spool_file *last = &s->file[s->count - 1];
    return s->read.sequence < last->sequence ||
           (s->read.sequence == last->sequence && s->read.offset < last->size);
}

/* The block at a place, into `buf`. False: it is damaged, or not for us; its head says how to go on. */
static bool
load(struct bh_spool *s, const struct spool_file *f, uint64_t offset, struct bh_spool_block *ret)
{
    uint64_t sum;
    const int fd = spool_reader(s, f->sequence);
    *ret = (struct bh_spool_block){ 0 };
    if (!spool_block_head(fd, offset, f->size, ret, &sum)) {
        ret->size = UINT32_MAX;
        return false;
    }
    if (f->foreign ||
        pread(fd, s->buf, ret->size, (off_t)(offset + BLOCK_HEAD)) != (ssize_t)ret->size ||
        spool_sum(s->buf, ret->size) != sum) {
        return false;
    }
    ret->data = s->buf;
    return true;
}

static void
skip_damaged(struct bh_spool *s, const struct spool_file *f, const struct bh_spool_block *b)
{
    const bool all_safe = s->safe.sequence == s->read.sequence && s->safe.offset == s->read.offset;
    const bool counted =
        s->read.sequence < s->counted.sequence ||
        (s->read.sequence == s->counted.sequence && s->read.offset < s->counted.offset);
    s->damaged += !f->foreign;
    if (b->size == UINT32_MAX) { /* it was whole when it was found: somebody works on our files */
        s->read.offset = f->size;
        return;
    }
    s->read.offset += spool_block_size(b->size);
    if (b->kind == BH_SPOOL_BATCH) {
        s->rows -= b->rows < s->rows ? b->rows : s->rows;
    }
    if (b->kind == BH_SPOOL_BATCH && !counted) { /* once, however often it is read */
        s->counted = s->read;
        s->safe = all_safe ? s->read : s->safe;
        spool_lose(s, b);
        spool_state_save(s);
    }
}

/* A heading stands before what was safe, and comes again. */
static bool
show_heading(struct bh_spool *s, struct bh_spool_block *ret)
{
    const size_t k = spool_at(s, s->replay.sequence);
    if (s->replay.sequence == 0) {
        return false;
    }
    if (k < s->count && s->file[k].sequence == s->replay.sequence &&
        load(s, &s->file[k], s->replay.offset, ret)) {
        return true;
    }
    s->replay = (struct place){ 0 };
    return false;
}

bool
bh_spool_next(struct bh_spool *s, struct bh_spool_block *ret)
{
    while (bh_spool_waits(s)) {
        const struct spool_file *f = &s->file[spool_at(s, s->read.sequence)];
        if (f->sequence != s->read.sequence || s->read.offset >= f->size) {
            const size_t next = spool_at(s, f->sequence != s->read.sequence ? s->read.sequence
                                                                            : s->read.sequence + 1);
            s->read = (struct place){ s->file[next].sequence, FILE_HEAD };
            continue;
        }
        if (show_heading(s, &s->shown) || load(s, f, s->read.offset, &s->shown)) {
            s->is_shown = true;
            *ret = s->shown;
            return true;
        }
        skip_damaged(s, f, &s->shown);
    }
    return false;
}

void
bh_spool_step(struct bh_spool *s)
{
    if (!s->is_shown) {
        return; /* its file is gone since */
    }
    s->is_shown = false;
    if (s->replay.sequence != 0) {
        s->replay = (struct place){ 0 };
        return;
    }
    s->read.offset += spool_block_size(s->shown.size);
    if (s->shown.kind == BH_SPOOL_BATCH) {
        s->rows -= s->shown.rows < s->rows ? s->shown.rows : s->rows;
    }
}

/* ---- forgetting ------------------------------------------------------------------------------------------------------- */

static bool
is_before_read(const struct bh_spool *s)
{
    return s->safe.sequence < s->read.sequence ||
           (s->safe.sequence == s->read.sequence && s->safe.offset < s->read.offset);
}

void
bh_spool_safe(struct bh_spool *s, int64_t start_ns, uint64_t number)
{
    const struct place before = s->safe;
    while (s->count > 0 && is_before_read(s)) {
        const struct spool_file *f = &s->file[0];
        struct bh_spool_block b;
        uint64_t sum;
        if (s->safe.sequence == f->sequence && s->safe.offset >= f->size) {
            if (s->count == 1) {
                break;
            }
            remove_first(s);
            s->safe = (struct place){ s->file[0].sequence, FILE_HEAD };
            continue;
        }
        if (s->safe.sequence > f->sequence) { /* it could not be removed before */
            remove_first(s);
            continue;
        }
        if (s->safe.sequence < f->sequence) {
            s->safe = (struct place){ f->sequence, FILE_HEAD };
            continue;
        }
        if (!spool_block_head(spool_reader(s, f->sequence), s->safe.offset, f->size, &b, &sum)) {
            s->safe.offset = f->size;
            continue;
        }
        if (b.kind == BH_SPOOL_BATCH && b.start_ns == start_ns && b.number >= number) {
            break;
        }
        s->safe.offset += spool_block_size(b.size);
    }
    if (s->count > 0 && !is_before_read(s) && !bh_spool_waits(s)) { /* all of it */
        while (s->count > 0) {
            remove_first(s);
        }
        s->read = s->safe = (struct place){ s->next_sequence, FILE_HEAD };
    }
    if (before.sequence != s->safe.sequence || before.offset != s->safe.offset) {
        spool_state_save(s);
    }
}

int
bh_spool_sync(struct bh_spool *s)
{
    return s->write_fd >= 0 && fdatasync(s->write_fd) != 0 ? -errno : 0;
}

/* ---- numbers ------------------------------------------------------------------------------------------------------------- */

uint64_t
bh_spool_rows(const struct bh_spool *s)
{
    return s->rows;
}

uint64_t
bh_spool_octets(const struct bh_spool *s)
{
    return s->octets;
}

uint64_t
bh_spool_lost_rows(const struct bh_spool *s)
{
    return s->lost_rows;
}

bool
bh_spool_lost(const struct bh_spool *s, int64_t start_ns, struct bh_spool_loss *ret)
{
    for (size_t k = 0; k < s->losses; k++) {
        if (s->loss[k].start_ns == start_ns) {
            *ret = s->loss[k];
            return true;
        }
    }
    return false;
}

uint64_t
bh_spool_end(const struct bh_spool *s, int64_t start_ns)
{
    return s->end_start == start_ns ? s->end : 0;
}

uint64_t
bh_spool_damaged(const struct bh_spool *s)
{
    return s->damaged;
}
