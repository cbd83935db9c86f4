/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing segments, and what the directory of a log needs. */
#include "file_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

int
write_all(int fd, const void *data, size_t size, const char *path, struct bh_error *err)
{
    const uint8_t *p = data;
    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return bh_error_errno(err, errno, path, "cannot write", "書けません");
        }
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

int
sync_dir(const char *dir, struct bh_error *err)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* Some file systems cannot sync a directory; that is no reason to stop. */
    if (fd < 0) {
        return bh_error_errno(err, errno, dir, "cannot open", "開けません");
    }
    bh_ignore(fsync(fd));
    close(fd);
    return 0;
}

void
dict_frame_put(const struct bh_buf *dict, bool parity, struct bh_buf *head, struct bh_buf *body)
{
    const uint32_t size = (uint32_t)dict->len, pieces = (size + PIECE_SIZE - 1) / PIECE_SIZE;
    const uint8_t *p = (const uint8_t *)dict->data;
    code_put32(head, size);
    code_put32(head, pieces);
    for (uint32_t k = 0; k < pieces; k++) {
        const uint32_t at = k * PIECE_SIZE, n = size - at < PIECE_SIZE ? size - at : PIECE_SIZE;
        code_put64(head, code_sum(p + at, n));
    }
    bh_buf_add(body, p, size);
    for (uint32_t group = 0; parity && group < (pieces + PARITY_OF - 1) / PARITY_OF; group++) {
        uint8_t made[PIECE_SIZE] = { 0 };
        const uint32_t first = group * PARITY_OF * PIECE_SIZE;
        for (uint32_t i = first; i < size && i < first + PARITY_OF * PIECE_SIZE; i++) {
            made[i % PIECE_SIZE] ^= p[i];
        }
        const uint32_t length = size - first < PIECE_SIZE ? size - first : PIECE_SIZE;
        code_put64(head, code_sum(made, length));
        bh_buf_add(body, made, length);
    }
    head->failed |= dict->failed;
}

/* ---- segments ------------------------------------------------------------------------------------------ */

static int
out_flush(struct segment_out *o, struct bh_error *err)
{
    if (o->buffer.failed) {
        return bh_error_errno(err, ENOMEM, o->path, "cannot write", "書けません");
    }
    int r = write_all(o->fd, o->buffer.data, o->buffer.len, o->path, err);
    o->at += o->buffer.len;
    o->buffer.len = 0;
    return r;
}

static void
out_frame(struct segment_out *o, enum frame_kind kind, const struct bh_buf *head,
          uint64_t body_size)
{
    uint8_t frame[FRAME_SIZE];
    frame_put(frame, kind, head->data, (uint32_t)head->len, body_size);
    bh_buf_add(&o->buffer, frame, sizeof frame);
    bh_buf_add(&o->buffer, head->data, head->len);
    o->buffer.failed |= head->failed;
}

static void
index_part(struct segment_out *o, const struct bh_buf *part)
{
    code_put32(&o->index, (uint32_t)part->len);
    bh_buf_add(&o->index, part->data == NULL ? "" : part->data, part->len);
}

int
segment_begin(struct segment_out *o, const char *dir, uint64_t first, uint64_t last,
              const struct bh_store_run *run, const struct bh_store_sums *sums,
              const struct dict *d, struct code_work *w, struct bh_error *err)
{
    char name[NAME_SIZE];
    uint8_t header[FILE_HEADER_SIZE];
    *o = (struct segment_out){ .fd = -1, .first_sequence = first, .last_sequence = last };
    name_put(name, first, FILE_UNFINISHED);
    snprintf(o->path, sizeof o->path, "%s/%s", dir, name);
    o->fd = open(o->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (o->fd < 0) {
        return bh_error_errno(err, errno, o->path, "cannot write", "書けません");
    }
    struct bh_buf run_text = { 0 }, sums_text = { 0 }, dict_octets = { 0 }, head = { 0 },
                  body = { 0 };
    file_header_put(header, FILE_SEGMENT, first, last, 0);
    bh_buf_add(&o->buffer, header, sizeof header);
    run_put(run, &run_text);
    sums_put(sums, &sums_text);
    if (sums_text.len == 0) {
        bh_buf_puts(&sums_text, "\n");
    }
    out_frame(o, FRAME_RUN, &run_text, 0);
    dict_put(d, w, &dict_octets);
    dict_frame_put(&dict_octets, true, &head, &body);
    out_frame(o, FRAME_DICT, &head, body.len);
    code_put64(&o->index, first);
    code_put64(&o->index, last);
    index_part(o, &run_text);
    index_part(o, &sums_text);
    index_part(o, &head);
    code_put64(&o->index, o->at + o->buffer.len);
    code_put64(&o->index, body.len);
    o->blocks_at = o->index.len;
    code_put32(&o->index, 0);
    bh_buf_add(&o->buffer, body.data, body.len);
    o->buffer.failed |= body.failed;
    out_frame(o, FRAME_SUMS, &sums_text, 0);
    bh_buf_done(&run_text);
    bh_buf_done(&sums_text);
    bh_buf_done(&dict_octets);
    bh_buf_done(&head);
    bh_buf_done(&body);
    return out_flush(o, err);
}

int
segment_block(struct segment_out *o, const struct dict *d, const struct terms *t,
              const struct chunk *c, struct block_work *w, struct bh_error *err)
{
    struct bh_buf head = { 0 }, body = { 0 };
    block_put(d, t, c, w, &head, &body);
    out_frame(o, FRAME_BLOCK, &head, body.len);
    code_put64(&o->index, o->at + o->buffer.len);
    code_put64(&o->index, body.len);
    index_part(o, &head);
    o->index.failed |= head.failed;
    bh_buf_add(&o->buffer, body.data, body.len);
    o->buffer.failed |= body.failed;
    bh_buf_done(&head);
    bh_buf_done(&body);
    o->blocks++;
    o->rows += c->rows;
    int r = o->rollup != NULL ? 0 : rollup_begin(d, t, &o->rollup);
    r = r != 0 ? r : rollup_add(o->rollup, c);
    return r != 0 ? bh_error_errno(err, ENOMEM, o->path, "cannot write", "書けません") : out_flush(o, err);
}

/* Of what a segment takes without it. */
#define ROLLUP_SHARE 5U

/* Behind the blocks, and its head in the index too. */
static int
put_rollup(struct segment_out *o, struct code_work *w)
{
    struct bh_buf head = { 0 }, body = { 0 };
    int r = o->rollup == NULL ? 0 : rollup_end(o->rollup, o->at / ROLLUP_SHARE, w, &head, &body);
    rollup_free(o->rollup);
    o->rollup = NULL;
    if (r == 0 && head.len > 0) {
        out_frame(o, FRAME_ROLLUP, &head, body.len);
        index_part(o, &head);
        code_put64(&o->index, o->at + o->buffer.len);
        code_put64(&o->index, body.len);
        bh_buf_add(&o->buffer, body.data == NULL ? "" : body.data, body.len);
        o->buffer.failed |= body.failed;
    }
    bh_buf_done(&head);
    bh_buf_done(&body);
    return r;
}

int
segment_end(struct segment_out *o, struct code_work *w, struct bh_error *err)
{
    static const uint8_t magic_end[8] = { 0x89, 'B', 'H', 'E', '\r', '\n', 0x1a, '\n' };
    uint8_t trailer[TRAILER_SIZE] = { 0 };
    if (put_rollup(o, w) != 0 || o->index.failed) {
        return bh_error_errno(err, ENOMEM, o->path, "cannot write", "書けません");
    }
    bh_put_le32((uint8_t *)o->index.data + o->blocks_at, o->blocks);
    memcpy(trailer, magic_end, 8);
    bh_put_le64(trailer + 8, o->at + o->buffer.len);
    bh_put_le64(trailer + 16, o->rows);
    bh_put_le64(trailer + 24, code_sum(trailer, 24));
    out_frame(o, FRAME_INDEX, &o->index, 0);
    bh_buf_add(&o->buffer, trailer, sizeof trailer);
    int r = out_flush(o, err);
    if (r == 0 && fdatasync(o->fd) != 0) {
        r = bh_error_errno(err, errno, o->path, "cannot write", "書けません");
    }
    return r;
}

int
segment_place(struct segment_out *o, const char *dir, struct bh_error *err)
{
    char name[NAME_SIZE], path[sizeof o->path];
    name_put(name, o->first_sequence, FILE_SEGMENT);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (close(o->fd) != 0) {
        o->fd = -1;
        return bh_error_errno(err, errno, o->path, "cannot write", "書けません");
    }
    o->fd = -1;
    if (rename(o->path, path) != 0) {
        return bh_error_errno(err, errno, path, "cannot write", "書けません");
    }
    o->path[0] = '\0';
    return sync_dir(dir, err);
}

void
segment_drop(struct segment_out *o)
{
    if (o->fd >= 0) {
        close(o->fd);
    }
    if (o->path[0] != '\0') {
        unlink(o->path);
    }
    bh_buf_done(&o->index);
    bh_buf_done(&o->buffer);
    rollup_free(o->rollup);
    o->rollup = NULL;
    o->fd = -1;
    o->path[0] = '\0';
}

/* ---- the directory ----------------------------------------------------------------------------------------- */

static int
compare_listed(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    return x->sequence != y->sequence ? (x->sequence < y->sequence ? -1 : 1)
           : x->type < y->type        ? -1
                                      : x->type > y->type;
}

int
list_dir(const char *dir, struct listed **ret_list, size_t *ret_count, struct bh_error *err)
{
    DIR *d = opendir(dir);
    struct listed *list = NULL;
    size_t n = 0, cap = 0;
    if (d == NULL) {
        return bh_error_errno(err, errno, dir, "cannot open", "開けません");
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        struct listed x;
        x.type = name_get(e->d_name, &x.sequence);
        if (x.type == FILE_NONE) {
            continue;
        }
        if (n == cap) {
            cap = cap == 0 ? 64 : cap * 2;
            struct listed *p = realloc(list, cap * sizeof *p);
            if (p == NULL) {
                free(list);
                closedir(d);
                return bh_error_errno(err, ENOMEM, dir, "cannot read", "読めません");
            }
            list = p;
        }
        list[n++] = x;
    }
    closedir(d);
    if (n > 0) {
        qsort(list, n, sizeof *list, compare_listed);
    }
    *ret_list = list;
    *ret_count = n;
    return 0;
}

int
lock_dir(const char *dir, int *ret_fd, struct bh_error *err)
{
    char path[4096], text[32] = "";
    snprintf(path, sizeof path, "%s/lock", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        return bh_error_errno(err, errno, path, "cannot write", "書けません");
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int saved = errno;
        ssize_t n = pread(fd, text, sizeof text - 1, 0);
        close(fd);
        if (saved != EWOULDBLOCK) {
            return bh_error_errno(err, saved, path, "cannot lock", "ロックできません");
        }
        const long pid = n > 0 ? strtol(text, NULL, 10) : 0;
        return bh_error_set(err, BH_ELIMIT, dir, "process %ld is writing to this log",
                            "このログにはプロセス %ld が書き込み中です", pid);
    }
    const int len = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len) {
        int saved = errno;
        close(fd);
        return bh_error_errno(err, saved, path, "cannot write", "書けません");
    }
    *ret_fd = fd;
    return 0;
}

/* Sealed, when a segment stands for it; and one that goes on from another counts only when that
 * other one is sealed: until then it holds the same records. */
bool
journal_counts(const struct log_file *files, size_t count, size_t index)
{
    const struct log_file *j = &files[index];
    bool before_sealed = false, before_open = false;
    for (size_t k = 0; k < count; k++) {
        const struct log_file *f = &files[k];
        if (f->type == FILE_SEGMENT) {
            if (f->first_sequence <= j->first_sequence && j->first_sequence <= f->last_sequence) {
                return false;
            }
            before_sealed |= f->first_sequence <= j->after && j->after <= f->last_sequence;
        } else if (k != index && f->type == FILE_JOURNAL) {
            before_open |= f->first_sequence == j->after;
        }
    }
    return j->after == 0 || before_sealed || !before_open;
}
