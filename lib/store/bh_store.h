/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_store.h - the packet log: records with their verdicts, in a directory, in few octets.
 *
 * A writer takes batches that lib/track has judged and appends them; sealed files never change. A
 * reader hands the batches out again, in the order they came in, several logs and several writings
 * merged by time as captures are. So a log is a source of batches like a capture file, but for what
 * is decided already: direction, class, outcome, and the country of the remote end.
 * docs/design/log.md says why it is made so, docs/format/log.md what the octets mean.
 *
 * Threads:   one thread per object. Any number of readers beside one writer, in any processes; a
 *            second writer is refused.
 * Ownership: the caller's; the country database is borrowed until close.
 * Errors:    what is damaged is skipped, counted and noted (bh_store_get_health), never an error,
 *            as long as anything can be read.
 */
#ifndef BH_STORE_H
#define BH_STORE_H

#include "bh_event.h"
#include "kobold.h"

/* ---- what a log says of itself ------------------------------------------------------------------ */

/* What the remote end of a record was taken for when it was written. */
struct bh_store_country {
    char code[4];
    uint8_t kind;                 /* KOBOLD_COUNTRY ... */
    char class_name[48], rfc[24]; /* link-local is one of IPv4 and one of IPv6 */
};

/* How records were made: the same in all files of one writing (one import, one run of a sensor). */
struct bh_store_run {
    uint64_t id;      /* random                                                    */
    char sensor[64];  /* ""                                                        */
    char source[256]; /* the first file's name, or the interface                   */
    char home[1024];  /* as bh_home_parse() reads it                               */
    char home_text[BH_LANGS][512];
    char filter[512]; /* what was kept; "": all                                    */
    char decap[256];
    bool home_guessed;
    bool lean; /* IP ID, sequence number, window and options were left out  */
    bool two_sided, all_accesses, outcomes;
    bool is_import;   /* rows of other people's logs: no silences were noted       */
    int64_t first_ns; /* time of the first record                                  */
    char country_name[64], country_date[16], country_licence[64];
    uint64_t country_id;
};

struct bh_store_silence {
    int64_t start_ns, end_ns;
};
struct bh_store_note { /* what was said about the input */
    char file[256];
    bool damaged, has_offset;
    int code;
    uint64_t offset, line;
    char text[BH_LANGS][320];
};
/* Of a sensor: packets that came in between and are not in the log. */
enum bh_store_cause {
    BH_STORE_LOST_KERNEL = 0, /* no room in the ring                           */
    BH_STORE_LOST_QUEUE,      /* no room on the way to the log                 */
    BH_STORE_LOST_DEAD,       /* a process of the sensor died with them        */
    BH_STORE_LOST_DOWN,       /* the interface was down: how many nobody knows */
    BH_STORE_CAUSES,
};
const char *bh_store_cause_name(unsigned cause); /* "kernel" ...; never NULL */
struct bh_store_gap {
    int64_t start_ns, end_ns;
    uint64_t packets;
    uint32_t cause;
};
#define BH_STORE_SILENCES_MAX 64U
#define BH_STORE_GAPS_MAX 64U
#define BH_STORE_NOTES_MAX 16U

/* What else is to be known of some of the records, and adds up. */
struct bh_store_sums {
    uint64_t steps_back, flows_lost, conversations_lost, repeats_lost, held_early;
    uint64_t rows, bad_rows, other_lines, late_rows, input_bytes; /* of imported logs */
    uint64_t frames, lost[BH_STORE_CAUSES]; /* of a sensor: that came, that did not get here */
    uint32_t silence_count, note_count, gap_count;
    struct bh_store_silence silence[BH_STORE_SILENCES_MAX];
    struct bh_store_note note[BH_STORE_NOTES_MAX];
    struct bh_store_gap gap[BH_STORE_GAPS_MAX];
    uint32_t *served; /* [port] connections that carried payload; NULL: none */
};
/* Adds `from` to `into`; `served` is allocated when it is needed. */
BH_NODISCARD int bh_store_sums_add(struct bh_store_sums *into, const struct bh_store_sums *from);
void bh_store_sums_done(struct bh_store_sums *s);

/* ---- writing -------------------------------------------------------------------------------------- */

struct bh_store_writer_config {
    const char *dir; /* made when it is not there                                  */
    const kobold *countries;
    struct bh_store_run run; /* id 0: a random one                                         */
    uint64_t sync_ns;        /* power loss costs at most this; 0: 10 s                     */
    uint32_t segment_blocks; /* of 65,536 records; 0: 16                                   */
};

struct bh_store_writer; /* opaque */
/* Refuses (BH_ELIMIT, with its process) when somebody writes already. What a killed writer left
 * in its journal is sealed first. */
BH_NODISCARD int bh_store_writer_open(const struct bh_store_writer_config *cfg,
                                      struct bh_store_writer **ret_writer, struct bh_error *err);
/* Take all rows of a batch. The outcome of a TCP access may still be open: then outcome[] is
 * BH_OUTCOME_NONE and connection[] what bh_store_settle() gives back. */
BH_NODISCARD int
bh_store_write(struct bh_store_writer *w, const struct bh_batch *b, struct bh_error *err);
/* The outcomes of the first `rows` records written are final: `verdict` is asked for those open.
 * Records are sealed once they are settled. */
typedef unsigned bh_store_verdict_fn(void *arg, uint32_t connection, int64_t ts_ns);
void
bh_store_settle(struct bh_store_writer *w, uint64_t rows, bh_store_verdict_fn *verdict, void *arg);
/* Call at least once a second, with a clock that only goes forward: what came since goes into the
 * journal, and after sync_ns to the disk. `sums` (may be NULL) are those of the whole run so far.
 * `verdict` tells what is known of records that are not settled, in case it ends here. */
BH_NODISCARD int
bh_store_tick(struct bh_store_writer *w, int64_t now_ns, const struct bh_store_sums *sums,
              bh_store_verdict_fn *verdict, void *arg, struct bh_error *err);
/* How many records are in files: kill -9 does not take these. */
uint64_t bh_store_flushed(const struct bh_store_writer *w);
/* Seal all (they must be settled) and close. After an error it only closes, and what the journal
 * has is there for the next one. NULL `sums`: close as if killed, for tests. */
BH_NODISCARD int bh_store_writer_close(struct bh_store_writer *w, const struct bh_store_sums *sums,
                                       struct bh_error *err);

/* ---- reading ---------------------------------------------------------------------------------------- */

struct bh_store; /* opaque */
/* All records that are in the files of these directories now. */
BH_NODISCARD int bh_store_open(const char *const *dirs, size_t count, struct bh_store **ret_store,
                               struct bh_error *err);
void bh_store_close(struct bh_store *s);
/* Is it a directory that somebody writes a log into, or has? */
bool bh_store_is_log(const char *path);

size_t bh_store_run_count(const struct bh_store *s);
const struct bh_store_run *bh_store_run(const struct bh_store *s, size_t index);
/* Sums over all runs. */
const struct bh_store_sums *bh_store_get_sums(const struct bh_store *s);

struct bh_store_totals {
    uint64_t records, bytes, segments, blocks, journals, journal_records;
    int64_t first_ns, last_ns; /* INT64_MAX, INT64_MIN: no records with a time */
};
void bh_store_get_totals(const struct bh_store *s, struct bh_store_totals *ret);
struct bh_store_health {
    uint64_t damaged_blocks, lost_records; /* records of damaged blocks, as far as known */
    uint64_t damaged_files, torn_bytes;    /* torn: at the end of journals, after kill -9 */
    char first[256];                       /* where the first damage is                   */
};
void bh_store_get_health(const struct bh_store *s, struct bh_store_health *ret);

/* Columns a reader may leave out, for speed. Rows then have zeros there. */
enum {
    BH_STORE_COLD = 1 << 0, /* TTL, IP ID, window                       */
    BH_STORE_SEQ = 1 << 1,
    BH_STORE_NEAR = 1 << 2,       /* our end of inbound records               */
    BH_STORE_KNOCK_PORT = 1 << 3, /* the source port of TCP accesses         */
    BH_STORE_QUOTES = 1 << 4,
    BH_STORE_ALL = 31,
};
struct bh_store_query {
    const kobold *countries;  /* country[] becomes values of this one        */
    int64_t start_ns, end_ns; /* blocks outside are skipped; rows are not    */
    uint32_t want;            /* BH_STORE_...                                 */
};
/* Begin to read (again). */
BH_NODISCARD int
bh_store_read_begin(struct bh_store *s, const struct bh_store_query *q, struct bh_error *err);
/* 1: rows came; 0: the end; negative: no memory. Resets `b`. */
BH_NODISCARD int bh_store_read(struct bh_store *s, struct bh_batch *b, struct bh_error *err);
/* Of the blocks that the query wants. */
void bh_store_progress(const struct bh_store *s, uint64_t *ret_total, uint64_t *ret_done);

/* ---- looking after it --------------------------------------------------------------------------------- */

struct bh_store_column_size {
    const char *name;
    uint64_t bytes;
};
/* Octets by column, dictionaries and the rest of all sealed segments; returns how many rows. */
#define BH_STORE_COLUMN_SIZES 40U
size_t
bh_store_column_sizes(const struct bh_store *s, struct bh_store_column_size *ret, size_t max);
/* Reads everything and compares all sums; damage is in the health afterwards. */
BH_NODISCARD int
bh_store_verify(struct bh_store *s, void (*progress)(void *arg, uint64_t done, uint64_t total),
                void *arg, struct bh_error *err);

/* These lock the log as a writer does. */

typedef void bh_store_progress_fn(void *arg, uint64_t done, uint64_t total);
struct bh_store_done {
    uint64_t files_before, files_after, bytes_before, bytes_after;
    uint64_t records, lost_records; /* kept; gone for good */
};
/* Join neighbouring small segments of one run, up to `rows` records each (0: 8 million). */
BH_NODISCARD int bh_store_compact(const char *dir, uint64_t rows, bh_store_progress_fn *progress,
                                  void *arg, struct bh_store_done *ret_done, struct bh_error *err);
/* Seal what killed writers left, and write damaged segments anew without what is lost. */
BH_NODISCARD int bh_store_repair(const char *dir, bh_store_progress_fn *progress, void *arg,
                                 struct bh_store_done *ret_done, struct bh_error *err);
/* Remove segments that end more than keep_ns before the newest record (0: none), then the oldest
 * until no more than keep_bytes are left (0: any). */
BH_NODISCARD int bh_store_retain(const char *dir, uint64_t keep_ns, uint64_t keep_bytes,
                                 struct bh_store_done *ret_done, struct bh_error *err);
/* Append the records of other logs, which stay as they are. */
BH_NODISCARD int bh_store_merge(const char *dir, const char *const *others, size_t count,
                                bh_store_progress_fn *progress, void *arg,
                                struct bh_store_done *ret_done, struct bh_error *err);

#endif
