/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files a predecessor left. Only heads are read, and as far as they are whole: a block that a power cut left half
 * written ends its file. What stands before a file that was damaged in the middle is known from the file behind it:
 * each says how many rows were added before.
 */
#include "spool_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

size_t
spool_at(const struct bh_spool *s, uint64_t sequence)
{
    size_t k = 0;
    while (k < s->count && s->file[k].sequence < sequence) {
        k++;
    }
    return k;
}

int
spool_file_add(struct bh_spool *s, const struct spool_file *f)
{
    if (s->count == s->cap) {
        const size_t cap = s->cap == 0 ? 32 : s->cap * 2;
        struct spool_file *p = realloc(s->file, bh_size_mul(cap, sizeof *p));
        if (p == NULL) {
            return -ENOMEM;
        }
        s->file = p;
        s->cap = cap;
    }
    size_t at = spool_at(s, f->sequence);
    memmove(&s->file[at + 1], &s->file[at], (s->count - at) * sizeof *f);
    s->file[at] = *f;
    s->count++;
    return 0;
}

int
spool_reader(struct bh_spool *s, uint64_t sequence)
{
    char name[32];
    if (s->read_fd >= 0 && s->read_sequence == sequence) {
        return s->read_fd;
    }
    if (s->read_fd >= 0) {
        close(s->read_fd);
    }
    spool_name(sequence, name);
    s->read_fd = openat(s->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    s->read_sequence = sequence;
    return s->read_fd;
}

/* "0123456789abcdef.spool" */
static bool
is_name(const char *name, uint64_t *ret_sequence)
{
    char again[32], *end;
    if (strlen(name) != 22 || strspn(name, "0123456789abcdef") != 16) {
        return false;
    }
    *ret_sequence = strtoull(name, &end, 16);
    spool_name(*ret_sequence, again);
    return strcmp(name, again) == 0;
}

/* Is the place that is safe the border of a block? Else the file begins anew. Before it: the heading in force. */
static void
walk(struct bh_spool *s, struct spool_file *f, int fd, uint64_t end, bool *ret_found)
{
    struct bh_spool_block b;
    uint64_t sum, at = FILE_HEAD;
    struct place heading = { 0 };
    while (spool_block_head(fd, at, end, &b, &sum)) {
        if (f->sequence == s->safe.sequence && at == s->safe.offset) {
            *ret_found = true;
            s->replay = heading;
        }
        if (b.kind == BH_SPOOL_BATCH && f->sequence >= s->end_sequence &&
            (b.start_ns != s->end_start || b.number + 1 > s->end)) {
            s->end_sequence = f->sequence;
            s->end_start = b.start_ns;
            s->end = b.number + 1;
        }
        heading = b.kind == BH_SPOOL_HEADING ? (struct place){ f->sequence, at } : heading;
        f->rows += b.kind == BH_SPOOL_BATCH ? b.rows : 0;
        at += spool_block_size(b.size);
    }
    *ret_found |= f->sequence == s->safe.sequence && at == s->safe.offset;
    f->size = at;
    s->damaged += at != end;
}

static int
take_file(struct bh_spool *s, uint64_t sequence, bool *ret_found)
{
    uint8_t head[FILE_HEAD];
    struct stat st;
    struct spool_file f = { .sequence = sequence };
    uint32_t layout;
    uint64_t says;
    const int fd = spool_reader(s, sequence);
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        s->damaged++;
        return 0;
    }
    if (pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head ||
        !spool_file_get(head, &layout, &says, &f.rows_before) || says != sequence) {
        s->damaged++; /* it stays as it is, for whoever wants to look at it */
        return 0;
    }
    f.foreign = layout != s->layout;
    walk(s, &f, fd, (uint64_t)st.st_size, ret_found);
    s->octets += f.size;
    return spool_file_add(s, &f);
}

/* Rows between what was found of a file and what the one behind it says. */
static void
count_holes(struct bh_spool *s)
{
    for (size_t k = 0; k + 1 < s->count; k++) {
        const struct spool_file *f = &s->file[k], *next = &s->file[k + 1];
        const uint64_t known = f->rows_before + f->rows;
        struct bh_spool_block b = { .kind = BH_SPOOL_BATCH }, at;
        uint64_t sum;
        if (next->sequence > s->holes_upto && next->rows_before > known &&
            next->rows_before - known <= UINT32_MAX &&
            spool_block_head(spool_reader(s, next->sequence), FILE_HEAD, next->size, &at, &sum)) {
            b = at; /* of the run that goes on behind it, at that time */
            b.rows = (uint32_t)(next->rows_before - known);
            spool_lose(s, &b);
        }
    }
    s->holes_upto = s->count > 0 ? s->file[s->count - 1].sequence : s->holes_upto;
}

/* Rows from the place on. */
static uint64_t
rows_from(struct bh_spool *s, struct place from)
{
    uint64_t rows = 0, sum, at = from.offset;
    struct bh_spool_block b;
    for (size_t k = spool_at(s, from.sequence); k < s->count; k++, at = FILE_HEAD) {
        const struct spool_file *f = &s->file[k];
        if (f->sequence != from.sequence || at == FILE_HEAD) {
            rows += f->rows;
            continue;
        }
        const int fd = spool_reader(s, f->sequence);
        while (spool_block_head(fd, at, f->size, &b, &sum)) {
            rows += b.kind == BH_SPOOL_BATCH ? b.rows : 0;
            at += spool_block_size(b.size);
        }
    }
    return rows;
}

int
spool_find(struct bh_spool *s, struct bh_error *err)
{
    bool found = false;
    uint64_t sequence;
    const int fd = dup(s->dir_fd);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    int r = 0;
    if (d == NULL) {
        r = bh_error_errno(err, errno, "", "cannot read", "読めません");
        if (fd >= 0) {
            close(fd);
        }
        return r;
    }
    for (struct dirent *e; r == 0 && (e = readdir(d)) != NULL;) {
        if (is_name(e->d_name, &sequence)) {
            s->next_sequence = sequence >= s->next_sequence ? sequence + 1 : s->next_sequence;
            r = take_file(s, sequence, &found);
        }
    }
    closedir(d);
    if (r != 0) {
        return bh_error_errno(err, -r, "", "cannot read", "読めません");
    }
    if (!found) { /* its file is gone, or was never written */
        const size_t k = spool_at(s, s->safe.sequence);
        s->safe =
            (struct place){ k < s->count ? s->file[k].sequence : s->next_sequence, FILE_HEAD };
        s->replay = (struct place){ 0 };
    }
    count_holes(s);
    s->read = s->safe;
    s->rows = rows_from(s, s->read);
    if (s->count > 0) {
        const struct spool_file *last = &s->file[s->count - 1];
        const uint64_t rows = last->rows_before + last->rows;
        s->rows_added = rows > s->rows_added ? rows : s->rows_added;
    }
    return 0;
}
