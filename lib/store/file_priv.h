/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files of a log: frames behind a header. A segment is sealed and has an index at its end; a
 * journal grows, and what counts of it is what its sums say. docs/format/log.md, "Files".
 */
#ifndef STORE_FILE_PRIV_H
#define STORE_FILE_PRIV_H

#include "rollup_priv.h"
#include "store_priv.h"
#include "summary_priv.h"

#define FILE_HEADER_SIZE 64U
#define FRAME_SIZE 40U
#define TRAILER_SIZE 32U
#define FORMAT_VERSION 1U

enum frame_kind {
    FRAME_RUN = 1,  /* lines: who wrote, how                        */
    FRAME_SUMS = 2, /* lines: what adds up                          */
    FRAME_DICT = 3, /* for the blocks behind it                     */
    FRAME_BLOCK = 4,
    FRAME_INDEX = 5,    /* all heads again, at the end                  */
    FRAME_VERDICTS = 6, /* journals: outcomes that came later           */
    FRAME_ROLLUP = 7,   /* segments: what was added up                  */
    FRAME_SUMMARY = 8,  /* segments: what their blocks may hold         */
};

struct frame {
    uint16_t kind;
    uint32_t head_size;
    uint32_t
        first_row; /* blocks of journals: how many rows came before, also when those are lost */
    uint64_t body_size, head_sum;
};
/* No journal has more; what says so is damaged. Its verdicts have an octet for each row. */
#define JOURNAL_ROWS_MAX (1U << 24)

void frame_put(uint8_t out[FRAME_SIZE], enum frame_kind kind, const void *head, uint32_t head_size,
               uint64_t body_size);
/* The same of a block in a journal. */
void frame_put_at(uint8_t out[FRAME_SIZE], enum frame_kind kind, const void *head,
                  uint32_t head_size, uint64_t body_size, uint32_t first_row);
/* False: no frame stands here, or it is damaged, or it goes beyond `size`. */
bool frame_get(const uint8_t *data, uint64_t size, uint64_t at, struct frame *ret);

void run_put(const struct bh_store_run *r, struct bh_buf *out);
void run_get(struct bh_store_run *r, const uint8_t *data, size_t size);
void sums_put(const struct bh_store_sums *s, struct bh_buf *out);
BH_NODISCARD int sums_get(struct bh_store_sums *s, const uint8_t *data, size_t size);

/* ---- names --------------------------------------------------------------------------------------------- */

/* "0000000012.seg", ".jnl"; ".new" while a segment is being written. */
#define NAME_SIZE 32U
enum file_type { FILE_NONE, FILE_SEGMENT, FILE_JOURNAL, FILE_UNFINISHED };
void name_put(char name[NAME_SIZE], uint64_t sequence, enum file_type type);
enum file_type name_get(const char *name, uint64_t *ret_sequence);

/* ---- reading ------------------------------------------------------------------------------------------- */

struct block_ref {
    struct block_head head;
    uint64_t body_at;
    uint32_t dict;      /* index of dicts */
    uint64_t first_row; /* in the file    */
};
struct dict_ref {
    uint64_t head_at, body_at, body_size;
    uint32_t head_size;
    uint32_t size, pieces; /* of the dictionary; of PIECE_SIZE octets */
    const uint8_t *head;
};

/* A segment or a journal, as far as it is sound. */
struct log_file {
    char *path;
    enum file_type type;
    uint64_t first_sequence, last_sequence; /* a compacted one stands for several */
    uint64_t after;                         /* journals: goes on where this one ended; 0: nothing */
    const uint8_t *data;
    uint64_t size;
    bool is_mapped, run_known, sums_known;
    struct bh_store_run run;
    struct bh_store_sums sums;
    struct block_ref *block;
    struct dict_ref *dict;
    size_t block_count, block_cap, dict_count, dict_cap;
    uint8_t *index_copy;      /* heads of dictionaries, when they came out of the index */
    uint64_t rows, row_space; /* row_space: the numbers of rows, with those that are lost */
    uint64_t lost_rows;       /* known to have been there                                 */
    uint64_t torn, damaged;
    uint64_t
        identity; /* of a sound segment: the sum of its index, which has the sums of all else */
    uint64_t searched; /* octets of heads that were none */
    uint8_t *verdict;  /* journals: by row; VERDICT_NONE: as in the block */
    uint64_t verdict_rows;
    uint64_t dict_bytes;
    struct rollup_head rollup; /* days 0: none, or it is damaged */
    bool rollup_known;         /* there is a frame that says it, or why there is none */
    bool rollup_damaged;
    uint64_t rollup_at, rollup_size;
    struct summary_head summary; /* blocks 0: none, or it is damaged */
    bool summary_damaged;
    uint64_t summary_at, summary_size;
};
#define VERDICT_NONE 255U
#define PIECE_SIZE 16384U
#define PARITY_OF 8U /* a piece of parity for so many */

/* 0 with what could be read of it; BH_EFORMAT, BH_EVERSION, -errno: nothing. */
BH_NODISCARD int log_file_open(const char *path, enum file_type type, uint64_t sequence,
                               struct log_file *ret, struct bh_error *err);
/* The same of octets in memory, which are borrowed. */
BH_NODISCARD int
log_file_parse(struct log_file *f, const uint8_t *data, uint64_t size, struct bh_error *err);
void log_file_close(struct log_file *f);
/* What was read of a mapped file need not stay with us; the system may keep it. */
void log_file_forget_pages(const struct log_file *f, uint64_t at, uint64_t size);
/* The dictionary, repaired from its parity where that helps. */
BH_NODISCARD int log_file_dict(const struct log_file *f, size_t index, struct dict *ret);
/* Its countries alone, with which it begins. */
BH_NODISCARD int log_file_countries(const struct log_file *f, size_t index, struct dict *ret);

/* Of a segment: also what stands twice, and is not looked at as long as its other copy is sound. */
bool log_file_frames_are_sound(const struct log_file *f);
/* Its roll-up, opened. */
BH_NODISCARD int
rollup_open(const struct log_file *f, enum bh_rollup_parts parts, struct bh_rollup **ret);
/* Its summary; BH_EDAMAGED: there is none that can be used. */
BH_NODISCARD int log_file_summary(const struct log_file *f, struct summary *ret);
/* Has it a summary, or blocks so few that it needs none? */
bool log_file_is_summed_up(const struct log_file *f);

/* ---- writing ------------------------------------------------------------------------------------------- */

void file_header_put(uint8_t out[FILE_HEADER_SIZE], enum file_type type, uint64_t first,
                     uint64_t last, uint64_t after);
/* A dictionary as frame head and body: pieces with sums, and parity when asked for. */
void
dict_frame_put(const struct bh_buf *dict, bool parity, struct bh_buf *head, struct bh_buf *body);

/* A segment on its way to the disk. */
struct segment_out {
    int fd;
    char path[4096];
    uint64_t at, rows;
    uint64_t first_sequence, last_sequence;
    struct bh_buf index, buffer;
    uint64_t dict_head_at;
    uint32_t blocks;
    size_t blocks_at; /* in index */
    struct rollup_out *rollup;
    struct summary_out *summary;
};
BH_NODISCARD int
segment_begin(struct segment_out *o, const char *dir, uint64_t first, uint64_t last,
              const struct bh_store_run *run, const struct bh_store_sums *sums,
              const struct dict *d, struct code_work *w, struct bh_error *err);
BH_NODISCARD int segment_block(struct segment_out *o, const struct dict *d, const struct terms *t,
                               const struct chunk *c, struct block_work *w, struct bh_error *err);
/* Synced to the disk, not yet in its place. */
BH_NODISCARD int segment_end(struct segment_out *o, struct code_work *w, struct bh_error *err);
/* Into its place: from now on it counts. */
BH_NODISCARD int segment_place(struct segment_out *o, const char *dir, struct bh_error *err);
BH_NODISCARD int
segment_place_as(struct segment_out *o, const char *dir, const char *name, struct bh_error *err);
/* A roll-up made of others: instead of blocks. */
void segment_rollup(struct segment_out *o, const struct bh_buf *head, const struct bh_buf *body);
void segment_drop(struct segment_out *o); /* after an error, or when it is done */

BH_NODISCARD int
write_all(int fd, const void *data, size_t size, const char *path, struct bh_error *err);
/* "cannot write", why, and what helps; returns -saved. */
int write_failed(struct bh_error *err, int saved, const char *path);
BH_NODISCARD int sync_dir(const char *dir, struct bh_error *err);
BH_NODISCARD int make_dir(const char *dir, struct bh_error *err);

/* ---- joined roll-ups (joined.c) ------------------------------------------------------------------------ */

/* A file beside the segments: a segment without blocks, whose roll-up is that of all segments from its first to
 * its last sequence. What it says can be made again of these. */
#define JOINED_NAME "joined.rup"
/* Of a log that is locked: made anew when segments changed; none when they have nothing to join. */
struct log_file;
BH_NODISCARD int joined_make(const char *dir, struct code_work *w, struct bh_error *err);
/* Does it say what these files have? */
bool joined_holds(const struct log_file *joined, const struct log_file *files, size_t count);
/* Is this one of those it was made of? */
bool joined_has(const struct log_file *joined, const struct log_file *f);

/* ---- the directory -------------------------------------------------------------------------------------- */

struct listed {
    uint64_t sequence;
    enum file_type type;
};
/* All files of a log, sorted by sequence, segments before journals. */
BH_NODISCARD int
list_dir(const char *dir, struct listed **ret_list, size_t *ret_count, struct bh_error *err);
/* Blocks a segment, when the environment says so: tests make many of few records. 0: it does not. */
uint32_t asked_blocks(void);
/* A lock, held while the descriptor is open: of who writes records; of who writes segments anew or removes them,
 * which may be beside a writer. */
#define LOCK_OF_WRITER "lock"
#define LOCK_OF_CARE "care"
BH_NODISCARD int lock_dir(const char *dir, const char *name, int *ret_fd, struct bh_error *err);
/* A copy that push fills; an error when it is. */
bool is_copy(const char *dir);
BH_NODISCARD int refuse_copy(const char *dir, struct bh_error *err);
/* An error when the lock, or all of the directory, was removed. */
BH_NODISCARD int check_lock(const char *dir, int fd, struct bh_error *err);
BH_NODISCARD int
unlink_file(const char *dir, uint64_t sequence, enum file_type type, struct bh_error *err);
/* All files of a log that is locked: `ret_files` of `ret_count`, closed by files_close(). */
BH_NODISCARD int
files_open(const char *dir, struct log_file **ret_files, size_t *ret_count, struct bh_error *err);
void files_close(struct log_file *files, size_t count);
/* The smallest number that no file has had. */
uint64_t next_sequence(const struct log_file *files, size_t count);
/* Seal the journals of a log that is locked, and remove what was not finished. `has_care`: with that lock too. */
struct block_work;
BH_NODISCARD int recover_journals(const char *dir, bool has_care, struct block_work *work,
                                  uint64_t *ret_sequence, struct bh_error *err);
/* Is there a larger segment that holds it? Compaction removes what it has joined only afterwards. */
bool is_superseded(const struct log_file *files, size_t count, size_t index);
/* Is a journal to be read? Not when it is sealed, or when what it goes on from was not sealed. */
bool journal_counts(const struct log_file *files, size_t count, size_t index);

#endif
