/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading the files of a log. A segment's index tells all heads; without a sound index the frames
 * are walked, as in a journal, and where a frame is damaged the next one is looked for.
 */
#include "file_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t magic_segment[8] = { 0x89, 'B', 'H', 'S', '\r', '\n', 0x1a, '\n' };
static const uint8_t magic_journal[8] = { 0x89, 'B', 'H', 'J', '\r', '\n', 0x1a, '\n' };
static const uint8_t magic_frame[4] = { 0xf7, 'B', 'H', 'F' };
static const uint8_t magic_end[8] = { 0x89, 'B', 'H', 'E', '\r', '\n', 0x1a, '\n' };

/* ---- names -------------------------------------------------------------------------------------------- */

static const char *const suffixes[] = {
    [FILE_NONE] = "", [FILE_SEGMENT] = ".seg", [FILE_JOURNAL] = ".jnl", [FILE_UNFINISHED] = ".new"
};

void
name_put(char name[NAME_SIZE], uint64_t sequence, enum file_type type)
{
    snprintf(name, NAME_SIZE, "%010llu%s", (unsigned long long)(sequence % 10000000000ULL),
             suffixes[type]);
}

enum file_type
name_get(const char *name, uint64_t *ret_sequence)
{
    uint64_t n = 0;
    size_t k = 0;
    for (; name[k] >= '0' && name[k] <= '9' && k < 11; k++) {
        n = n * 10 + (uint64_t)(name[k] - '0');
    }
    *ret_sequence = n;
    for (enum file_type t = FILE_SEGMENT; k == 10 && n > 0 && t <= FILE_UNFINISHED; t++) {
        if (strcmp(name + k, suffixes[t]) == 0) {
            return t;
        }
    }
    return FILE_NONE;
}

/* ---- frames ------------------------------------------------------------------------------------------ */

void
file_header_put(uint8_t out[FILE_HEADER_SIZE], enum file_type type, uint64_t first, uint64_t last,
                uint64_t after)
{
    memset(out, 0, FILE_HEADER_SIZE);
    memcpy(out, type == FILE_JOURNAL ? magic_journal : magic_segment, 8);
    bh_put_le16(out + 8, FORMAT_VERSION);
    bh_put_le32(out + 12, FILE_HEADER_SIZE);
    /* 16: compatible, 20: incompatible features; none yet */
    bh_put_le64(out + 24, first);
    bh_put_le64(out + 32, last);
    bh_put_le64(out + 40, after);
    bh_put_le64(out + 56, code_sum(out, 56));
}

void
frame_put(uint8_t out[FRAME_SIZE], enum frame_kind kind, const void *head, uint32_t head_size,
          uint64_t body_size)
{
    frame_put_at(out, kind, head, head_size, body_size, 0);
}

void
frame_put_at(uint8_t out[FRAME_SIZE], enum frame_kind kind, const void *head, uint32_t head_size,
             uint64_t body_size, uint32_t first_row)
{
    memset(out, 0, FRAME_SIZE);
    memcpy(out, magic_frame, 4);
    bh_put_le16(out + 4, (uint16_t)kind);
    bh_put_le32(out + 8, head_size);
    bh_put_le32(out + 12, first_row);
    bh_put_le64(out + 16, body_size);
    bh_put_le64(out + 24, code_sum(head, head_size));
    bh_put_le64(out + 32, code_sum(out, 32));
}

bool
frame_get(const uint8_t *data, uint64_t size, uint64_t at, struct frame *ret)
{
    if (at > size || size - at < FRAME_SIZE) {
        return false;
    }
    const uint8_t *p = data + at;
    if (memcmp(p, magic_frame, 4) != 0 || bh_get_le64(p + 32) != code_sum(p, 32)) {
        return false;
    }
    struct frame f = { .kind = bh_get_le16(p + 4),
                       .head_size = bh_get_le32(p + 8),
                       .first_row = bh_get_le32(p + 12),
                       .body_size = bh_get_le64(p + 16),
                       .head_sum = bh_get_le64(p + 24) };
    const uint64_t left = size - at - FRAME_SIZE;
    if (f.head_size > left || f.body_size > left - f.head_size ||
        code_sum(p + FRAME_SIZE, f.head_size) != f.head_sum) {
        return false;
    }
    *ret = f;
    return true;
}

/* ---- what frames hold --------------------------------------------------------------------------------- */

static void *
more(void *list, size_t count, size_t *cap, size_t size)
{
    if (count < *cap) {
        return list;
    }
    size_t n = *cap == 0 ? 16 : *cap * 2;
    void *p = realloc(list, bh_size_mul(n, size));
    if (p != NULL) {
        *cap = n;
    }
    return p;
}

static int
add_dict(struct log_file *f, const uint8_t *head, uint32_t head_size, uint64_t body_at,
         uint64_t body_size)
{
    void *p = more(f->dict, f->dict_count, &f->dict_cap, sizeof *f->dict);
    if (p == NULL) {
        return -ENOMEM;
    }
    f->dict = p;
    struct bh_cur c = bh_cur_over(head, head_size);
    struct dict_ref d = {
        .head = head, .head_size = head_size, .body_at = body_at, .body_size = body_size
    };
    d.size = code_get32(&c);
    d.pieces = code_get32(&c);
    /* One that makes no sense stays in the list, as blocks count on their places; it opens never. */
    const bool sound = !c.bad && d.pieces == (d.size + (uint64_t)PIECE_SIZE - 1) / PIECE_SIZE &&
                       d.size <= body_size;
    d.pieces = sound ? d.pieces : 0;
    d.size = sound ? d.size : 0;
    f->dict_bytes += head_size + body_size;
    f->dict[f->dict_count++] = d;
    return 0;
}

/* Behind a gap in a journal a block must not be read by the dictionary of those before. */
static int
lose_dict(struct log_file *f)
{
    void *p = more(f->dict, f->dict_count, &f->dict_cap, sizeof *f->dict);
    if (p == NULL) {
        return -ENOMEM;
    }
    f->dict = p;
    f->dict[f->dict_count++] = (struct dict_ref){ 0 };
    return 0;
}

static int
add_block(struct log_file *f, const uint8_t *head, uint32_t head_size, uint64_t body_at,
          uint64_t body_size)
{
    struct block_head h;
    if (block_head_get(head, head_size, &h) != 0 || h.body_size > body_size || f->dict_count == 0 ||
        (f->type == FILE_JOURNAL && f->row_space + h.rows > JOURNAL_ROWS_MAX)) {
        f->damaged++;
        return 0;
    }
    void *p = more(f->block, f->block_count, &f->block_cap, sizeof *f->block);
    if (p == NULL) {
        return -ENOMEM;
    }
    f->block = p;
    f->block[f->block_count++] =
        (struct block_ref){ h, body_at, (uint32_t)(f->dict_count - 1), f->row_space };
    f->rows += h.rows;
    f->row_space += h.rows;
    return 0;
}

/* Rows between the last block and this one are lost; verdicts count them all the same. */
static void
skip_lost_rows(struct log_file *f, uint32_t first_row)
{
    if (f->type == FILE_JOURNAL && first_row > f->row_space && first_row < JOURNAL_ROWS_MAX) {
        f->lost_rows += first_row - f->row_space;
        f->row_space = first_row;
    }
}

/* Octets of `verdict` for all rows so far; what came since the last list of verdicts has none yet. */
static int
grow_verdicts(struct log_file *f)
{
    uint8_t *p = realloc(f->verdict, (size_t)f->row_space + 32);
    if (p == NULL) {
        return -ENOMEM;
    }
    memset(p + f->verdict_rows, VERDICT_NONE, (size_t)(f->row_space - f->verdict_rows));
    f->verdict_rows = f->row_space;
    f->verdict = p;
    return 0;
}

/* What is wrong with it costs nothing but time. */
static int
add_rollup(struct log_file *f, const uint8_t *head, uint32_t head_size, uint64_t body_at,
           uint64_t body_size)
{
    rollup_head_done(&f->rollup);
    int r = rollup_head_get(head, head_size, body_size, f->rows, &f->rollup);
    f->rollup_known = f->rollup.reason != ROLLUP_OLD; /* then compaction makes another */
    f->rollup_damaged = r == BH_EDAMAGED;
    f->rollup_at = body_at;
    f->rollup_size = head_size + body_size;
    return r == -ENOMEM ? r : 0;
}

/* So here. */
static void
add_summary(struct log_file *f, const uint8_t *head, uint32_t head_size, uint64_t body_at,
            uint64_t body_size)
{
    f->summary = (struct summary_head){ 0 };
    f->summary_damaged = segsum_head_get(head, head_size, body_size, &f->summary) != 0 ||
                         (f->summary.blocks != 0 && f->summary.blocks != f->block_count);
    f->summary.blocks = f->summary_damaged ? 0 : f->summary.blocks;
    f->summary_at = body_at;
    f->summary_size = head_size + body_size;
}

/* Outcomes of the rows first .. first + n. */
static int
add_verdicts(struct log_file *f, const uint8_t *head, uint32_t head_size)
{
    struct bh_cur c = bh_cur_over(head, head_size);
    const uint64_t first = code_get64(&c);
    const uint32_t n = code_get32(&c);
    if (c.bad || n > BLOCK_ROWS || first > JOURNAL_ROWS_MAX || first + n > JOURNAL_ROWS_MAX) {
        f->damaged++;
        return 0;
    }
    skip_lost_rows(f, (uint32_t)(first + n)); /* the last block before it is lost */
    if (grow_verdicts(f) != 0) {
        return -ENOMEM;
    }
    uint8_t *v = malloc(n + 16UL);
    if (v == NULL) {
        return -ENOMEM;
    }
    if (code_get_octets(&c, v, n)) {
        memcpy(f->verdict + first, v, n);
    } else {
        f->damaged++;
    }
    free(v);
    return 0;
}

static int
take_frame(struct log_file *f, const struct frame *frame, uint64_t at)
{
    const uint8_t *head = f->data + at + FRAME_SIZE;
    const uint64_t body_at = at + FRAME_SIZE + frame->head_size;
    switch (frame->kind) {
    case FRAME_RUN:
        run_get(&f->run, head, frame->head_size);
        f->run_known = true;
        return 0;
    case FRAME_SUMS:
        bh_store_sums_done(&f->sums);
        f->sums_known = true;
        return sums_get(&f->sums, head, frame->head_size);
    case FRAME_DICT:
        return add_dict(f, head, frame->head_size, body_at, frame->body_size);
    case FRAME_BLOCK:
        skip_lost_rows(f, frame->first_row);
        return add_block(f, head, frame->head_size, body_at, frame->body_size);
    case FRAME_ROLLUP:
        return f->type == FILE_SEGMENT
                   ? add_rollup(f, head, frame->head_size, body_at, frame->body_size)
                   : 0;
    case FRAME_SUMMARY:
        if (f->type == FILE_SEGMENT) {
            add_summary(f, head, frame->head_size, body_at, frame->body_size);
        }
        return 0;
    case FRAME_VERDICTS:
        return f->type == FILE_JOURNAL ? add_verdicts(f, head, frame->head_size) : 0;
    default:
        return 0; /* of a later version */
    }
}

/* ---- walking -------------------------------------------------------------------------------------------- */

/* The next place from `at` on where a sound frame stands; size: none. Whoever fills a file with heads
 * that go to its end must not make us add up its square: so much is looked at, and no more. */
static uint64_t
find_frame(struct log_file *f, uint64_t at)
{
    struct frame frame;
    while (at + FRAME_SIZE <= f->size) {
        const uint8_t *p = memchr(f->data + at, magic_frame[0], (size_t)(f->size - at));
        if (p == NULL) {
            break;
        }
        at = (uint64_t)(p - f->data);
        if (frame_get(f->data, f->size, at, &frame)) {
            return at;
        }
        if (f->size - at >= FRAME_SIZE && memcmp(p, magic_frame, 4) == 0) {
            const uint32_t head = bh_get_le32(p + 8);
            f->searched += head < f->size - at ? head : f->size - at;
            if (f->searched > 8 * f->size) {
                break;
            }
        }
        at++;
    }
    return f->size;
}

static bool
is_zero(const uint8_t *p, uint64_t n)
{
    while (n > 0 && *p == 0) {
        p++;
        n--;
    }
    return n == 0;
}

/* Is what stands here until the end a frame whose writer was stopped: the beginning of a sound one, or
 * what some file systems leave after a power failure, zeros? Anything else is damage. */
static bool
is_torn(const struct log_file *f, uint64_t at)
{
    const uint8_t *p = f->data + at;
    const uint64_t left = f->size - at;
    if (f->type != FILE_JOURNAL || is_zero(p, left)) {
        return f->type == FILE_JOURNAL;
    }
    if (left < FRAME_SIZE) {
        return memcmp(p, magic_frame, left < 4 ? (size_t)left : 4) == 0;
    }
    const uint64_t head = bh_get_le32(p + 8), body = bh_get_le64(p + 16);
    return memcmp(p, magic_frame, 4) == 0 && bh_get_le64(p + 32) == code_sum(p, 32) &&
           (head > left - FRAME_SIZE || body > left - FRAME_SIZE - head ||
            (left > 64 && is_zero(p + left - 64, 64))); /* a hole at the end of the last one */
}

/* Where a frame is damaged the next one is looked for. */
static int
pass_gap(struct log_file *f, uint64_t *at)
{
    const uint64_t next = find_frame(f, *at + 1);
    if (next == f->size && is_torn(f, *at)) {
        f->torn = f->size - *at;
    } else {
        f->damaged++;
    }
    *at = next;
    return f->type == FILE_JOURNAL ? lose_dict(f) : 0;
}

static int
walk_frames(struct log_file *f)
{
    uint64_t at = FILE_HEADER_SIZE;
    int r = 0;
    struct frame frame;
    while (at < f->size && r == 0) {
        if (!frame_get(f->data, f->size, at, &frame)) {
            r = pass_gap(f, &at);
            continue;
        }
        if (frame.kind == FRAME_INDEX) {
            break;
        }
        r = take_frame(f, &frame, at);
        at += FRAME_SIZE + frame.head_size + frame.body_size;
    }
    if (r == 0 && f->verdict != NULL) { /* rows behind the last verdicts */
        r = grow_verdicts(f);
    }
    return r;
}

/* ---- the index ------------------------------------------------------------------------------------------ */

static bool
part_get(struct bh_cur *c, const uint8_t **ret, uint32_t *ret_size)
{
    *ret_size = code_get32(c);
    *ret = bh_cur_take(c, *ret_size);
    return *ret != NULL;
}

/* False: it is not sound, and what it gave was taken back. */
static int
take_index(struct log_file *f, const uint8_t *data, size_t size)
{
    struct bh_cur c = bh_cur_over(data, size);
    const uint8_t *run, *sums, *dict, *head;
    uint32_t run_size, sums_size, dict_size, head_size;
    const uint64_t first = code_get64(&c), last = code_get64(&c);
    if (!part_get(&c, &run, &run_size) || !part_get(&c, &sums, &sums_size) ||
        !part_get(&c, &dict, &dict_size)) {
        return BH_EDAMAGED;
    }
    const uint64_t dict_at = code_get64(&c), dict_body = code_get64(&c);
    const uint32_t blocks = code_get32(&c);
    if (c.bad || dict_at > f->size || dict_body > f->size - dict_at) {
        return BH_EDAMAGED;
    }
    run_get(&f->run, run, run_size);
    f->run_known = f->sums_known = true;
    f->first_sequence = first;
    f->last_sequence = last;
    int r = sums_get(&f->sums, sums, sums_size);
    r = r != 0 ? r : add_dict(f, dict, dict_size, dict_at, dict_body);
    for (uint32_t k = 0; k < blocks && r == 0; k++) {
        const uint64_t at = code_get64(&c), body = code_get64(&c);
        if (!part_get(&c, &head, &head_size) || at > f->size || body > f->size - at) {
            return BH_EDAMAGED;
        }
        r = add_block(f, head, head_size, at, body);
    }
    if (r == 0 && bh_cur_left(&c) > 0) { /* not in files of before there were roll-ups */
        if (!part_get(&c, &head, &head_size)) {
            return BH_EDAMAGED;
        }
        const uint64_t at = code_get64(&c), body = code_get64(&c);
        if (c.bad || at > f->size || body > f->size - at) {
            return BH_EDAMAGED;
        }
        r = add_rollup(f, head, head_size, at, body);
    }
    if (r == 0 && bh_cur_left(&c) > 0) { /* nor there were summaries */
        if (!part_get(&c, &head, &head_size)) {
            return BH_EDAMAGED;
        }
        const uint64_t at = code_get64(&c), body = code_get64(&c);
        if (c.bad || at > f->size || body > f->size - at) {
            return BH_EDAMAGED;
        }
        add_summary(f, head, head_size, at, body);
    }
    return r;
}

/* Of a segment that is whole at its end. */
static const uint8_t *
sound_trailer(const struct log_file *f)
{
    if (f->type != FILE_SEGMENT || f->size < FILE_HEADER_SIZE + TRAILER_SIZE) {
        return NULL;
    }
    const uint8_t *p = f->data + f->size - TRAILER_SIZE;
    return memcmp(p, magic_end, 8) == 0 && bh_get_le64(p + 24) == code_sum(p, 24) ? p : NULL;
}

static uint64_t
records_of_trailer(const struct log_file *f)
{
    const uint8_t *p = sound_trailer(f);
    return p == NULL ? 0 : bh_get_le64(p + 16);
}

static int
find_index(struct log_file *f)
{
    const uint8_t *p = sound_trailer(f);
    struct frame frame;
    const uint64_t at = p == NULL ? 0 : bh_get_le64(p + 8);
    if (p == NULL || !frame_get(f->data, f->size, at, &frame) || frame.kind != FRAME_INDEX) {
        return BH_EDAMAGED;
    }
    f->identity = frame.head_sum;
    return take_index(f, f->data + at + FRAME_SIZE, frame.head_size);
}

static void
forget(struct log_file *f)
{
    free(f->block);
    free(f->dict);
    f->block = NULL;
    f->dict = NULL;
    f->block_count = f->block_cap = f->dict_count = f->dict_cap = 0;
    f->rows = f->row_space = 0;
    f->dict_bytes = 0;
    bh_store_sums_done(&f->sums);
    rollup_head_done(&f->rollup);
    f->rollup_known = f->rollup_damaged = false;
    f->summary = (struct summary_head){ 0 };
    f->summary_damaged = false;
}

/* ---- files ------------------------------------------------------------------------------------------------ */

static int
check_header(struct log_file *f, const char *where, struct bh_error *err)
{
    const bool journal = f->type == FILE_JOURNAL;
    /* Its writer was stopped before it had written anything. */
    if (journal && (is_zero(f->data, f->size) ||
                    (f->size < FILE_HEADER_SIZE &&
                     memcmp(f->data, magic_journal, f->size < 8 ? (size_t)f->size : 8) == 0))) {
        f->torn = f->size;
        return 0;
    }
    if (f->size < FILE_HEADER_SIZE ||
        memcmp(f->data, journal ? magic_journal : magic_segment, 8) != 0 ||
        bh_get_le64(f->data + 56) != code_sum(f->data, 56)) {
        f->damaged++;
        return 0; /* perhaps the rest tells */
    }
    if (bh_get_le16(f->data + 8) != FORMAT_VERSION || bh_get_le32(f->data + 20) != 0) {
        return bh_error_set(err, BH_EVERSION, where, "written by a newer version of beholder",
                            "より新しい版の beholder が書いたものです");
    }
    f->first_sequence = bh_get_le64(f->data + 24);
    f->last_sequence = bh_get_le64(f->data + 32);
    f->after = bh_get_le64(f->data + 40);
    return 0;
}

int
log_file_parse(struct log_file *f, const uint8_t *data, uint64_t size, struct bh_error *err)
{
    f->data = data;
    f->size = size;
    int r = check_header(f, f->path == NULL ? "" : f->path, err);
    if (r != 0) {
        return r;
    }
    if (f->type == FILE_SEGMENT) {
        r = find_index(f);
        if (r == 0 || r == -ENOMEM) {
            return r;
        }
        f->damaged++;
        forget(f);
    }
    if (size < FILE_HEADER_SIZE || (f->type == FILE_JOURNAL && is_zero(data, size))) {
        return 0;
    }
    r = walk_frames(f);
    const uint64_t records = records_of_trailer(f);
    f->lost_rows = records > f->rows ? records - f->rows : f->lost_rows;
    return r;
}

static int
read_whole(int fd, uint64_t size, uint8_t **ret, uint64_t *ret_size)
{
    uint8_t *p = malloc((size_t)size + 1);
    uint64_t got = 0;
    while (p != NULL && got < size) {
        ssize_t n = pread(fd, p + got, (size_t)(size - got), (off_t)got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        got += (uint64_t)n;
    }
    *ret = p;
    *ret_size = got;
    return p == NULL ? -ENOMEM : 0;
}

int
log_file_open(const char *path, enum file_type type, uint64_t sequence, struct log_file *ret,
              struct bh_error *err)
{
    struct log_file f = { .type = type, .first_sequence = sequence, .last_sequence = sequence };
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;
    if (fd < 0 || fstat(fd, &st) != 0) {
        r = -errno;
        bh_error_errno(err, errno, path, "cannot open", "開けません");
        if (fd >= 0) {
            close(fd);
        }
        return r;
    }
    const uint8_t *data = (const uint8_t *)"";
    uint64_t size = (uint64_t)st.st_size;
    f.path = strdup(path);
    if (type == FILE_SEGMENT && size > 0) { /* never changes */
        void *p = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
        r = p == MAP_FAILED ? -errno : 0;
        data = r == 0 ? p : data;
        f.is_mapped = r == 0;
    } else if (size > 0) {
        uint8_t *p;
        r = read_whole(fd, size, &p, &size);
        data = r == 0 ? p : data;
    }
    close(fd);
    if (r != 0 || f.path == NULL) {
        free(f.path);
        return bh_error_errno(err, r != 0 ? -r : ENOMEM, path, "cannot read", "読めません");
    }
    r = log_file_parse(&f, data, size, err);
    if (r != 0) {
        log_file_close(&f);
        return r == -ENOMEM ? bh_error_errno(err, ENOMEM, path, "cannot read", "読めません") : r;
    }
    *ret = f;
    return 0;
}

void
log_file_forget_pages(const struct log_file *f, uint64_t at, uint64_t size)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), from = at / page * page,
                   to = (at + size) / page * page;
    if (f->is_mapped && to > from) { /* read only: nothing is lost */
        madvise((char *)(uintptr_t)(f->data + from), to - from, MADV_DONTNEED);
    }
}

void
log_file_close(struct log_file *f)
{
    if (f->is_mapped) {
        munmap((void *)(uintptr_t)f->data, (size_t)f->size);
    } else if (f->path != NULL && f->size > 0) {
        free((void *)(uintptr_t)f->data);
    }
    free(f->path);
    free(f->block);
    free(f->dict);
    free(f->verdict);
    bh_store_sums_done(&f->sums);
    rollup_head_done(&f->rollup);
    *f = (struct log_file){ 0 };
}
