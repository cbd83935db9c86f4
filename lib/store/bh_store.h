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
 * Threads:   one thread per object (a writer may have one of its own: seal_beside; a reader some that unpack: bh_store_query.threads). Any number of readers beside one writer, in any processes; a
 *            second writer is refused.
 * Ownership: the caller's; the country database is borrowed until close.
 * Errors:    what is damaged is skipped, counted and noted (bh_store_get_health), never an error,
 *            as long as anything can be read.
 */
#ifndef BH_STORE_H
#define BH_STORE_H

#include "bh_event.h"
#include "bh_facts.h"
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
    uint64_t id;      /* random, or by run_key of its writers                      */
    char sensor[64];  /* ""                                                        */
    char source[256]; /* the first file's name, or the interface                   */
    char home[1024];  /* as bh_home_parse() reads it                               */
    char home_text[BH_LANGS][512];
    char filter[512]; /* what was kept; "": all                                    */
    char decap[256];
    char zone[64]; /* whose days roll-ups are of; "": that of whoever seals */
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
    /* of a sensor: that came, its own exports, that did not get here */
    uint64_t frames, own, lost[BH_STORE_CAUSES];
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
    uint64_t run_key; /* id 0, not 0: the same run for every writer of this log with this key */
    uint64_t sync_ns; /* power loss costs at most this; 0: 10 s                     */
    uint32_t segment_blocks;      /* of 65,536 records; 0: 16                                   */
    uint64_t keep_ns, keep_bytes; /* as bh_store_retain(), after each segment; 0: all          */
    bool seal_beside;             /* by a thread of its own: twice the memory, half the time    */
    bool flush_all; /* each second all that came, also where much of it will be sealed soon   */
};

struct bh_store_writer; /* opaque */
/* Refuses (BH_ELIMIT, with its process) when somebody writes already. What a killed writer left
 * in its journal is sealed first. */
BH_NODISCARD int bh_store_writer_open(const struct bh_store_writer_config *cfg,
                                      struct bh_store_writer **ret_writer, struct bh_error *err);
/* After an error of write, tick or close nothing that was flushed is lost. Where the disk had no room
 * (-ENOSPC, -EDQUOT, -EAGAIN) the batch was not taken and may be offered again, and the next tick tries
 * again; any other error stays, and the writer can only be closed, and opened anew. */
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

/* All logs at a path: itself, or those in the folders below, four deep, in the order of their names.
 * Adds to `p`; nothing when there is none. */
struct bh_store_paths {
    char **path;
    size_t count;
};
BH_NODISCARD int bh_store_find_logs(const char *path, struct bh_store_paths *p);
void bh_store_paths_done(struct bh_store_paths *p);

/* The log of whoever does not name one: what the variable says; else of root /var/log/beholder, of others
 * $XDG_STATE_HOME/beholder or ~/.local/state/beholder. To read, /var/log/beholder too when that is none.
 * Both return `ret`; there may be nothing. */
#define BH_STORE_DIR_VARIABLE "BEHOLDER_LOG_DIR"
const char *bh_store_default_dir(char *ret, size_t size);
const char *bh_store_default_log(char *ret, size_t size);
/* For who is going to write there: BH_ELIMIT when somebody does already, and who. A log that is not there is nobody's. */
BH_NODISCARD int bh_store_check_writer(const char *dir, struct bh_error *err);

size_t bh_store_run_count(const struct bh_store *s);
const struct bh_store_run *bh_store_run(const struct bh_store *s, size_t index);
/* Who saw the records: each name once. That of a run which does not say is the name of its log's folder.
 * Records carry them (bh_batch.sensor_names). */
#define BH_STORE_SENSORS_MAX 512U
size_t bh_store_sensor_count(const struct bh_store *s);
const char *bh_store_sensor(const struct bh_store *s, size_t index);
size_t bh_store_sensor_of_run(const struct bh_store *s, size_t run);
/* When no record of a sensor came for at least so long, between two of its records; of all sensors with
 * BH_STORE_SENSORS_MAX: then nobody saw anything. */
uint32_t bh_store_silences(const struct bh_store *s, size_t sensor, uint64_t least_ns,
                           struct bh_store_silence *ret, uint32_t max);
/* First and last record of a sensor. INT64_MAX, INT64_MIN: it has none with a time. */
void bh_store_sensor_times(const struct bh_store *s, size_t sensor, int64_t *ret_first_ns,
                           int64_t *ret_last_ns);
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
    /* when a record came: else, with a judge, it may be any time of its block, in the period */
    BH_STORE_TIME = 1 << 5,
    BH_STORE_ALL = 63,
};
struct bh_store_range {
    int64_t start_ns, end_ns;
};
struct bh_store_query {
    const kobold *countries;  /* country[] becomes values of this one        */
    int64_t start_ns, end_ns; /* blocks outside are skipped; rows are not    */
    /* Of the period these are known already, and blocks inside of one are skipped; rows are not. They rise, lie apart, and are
     * borrowed until the next query. */
    const struct bh_store_range *without;
    size_t withouts;
    uint32_t want; /* BH_STORE_...                                 */
    /* Records of which it says that they cannot be selected are left out, as far as that saves reading;
     * those of which it says that they are unknown may be counted instead (bh_store_skipped). NULL: all. */
    const struct bh_judge *judge;
    /* Accesses only, and those of one country and one stretch of time in one row with a weight: these rows have
     * class, direction, kind, protocol, country, sensor, a time inside of the stretch (the first and the last of all
     * are true ones), and with BH_STORE_ADDED_UP_BY_PORT the destination port; all else is 0. Blocks that cannot be told so
     * come as rows. Without a judge. */
    enum { BH_STORE_EACH = 0, BH_STORE_ADDED_UP, BH_STORE_ADDED_UP_BY_PORT } accesses;
    int64_t stretch_ns; /* BH_STORE_NO_STRETCH: time tells nothing apart */
    bool explain;       /* say why a block is left out                   */
    /* that unpack blocks, who asks among them; 0: one a processor. Answers do not depend on it */
    unsigned threads;
};
#define BH_STORE_NO_STRETCH INT64_MAX
/* Begin to read (again). */
BH_NODISCARD int
bh_store_read_begin(struct bh_store *s, const struct bh_store_query *q, struct bh_error *err);
/* 1: rows came; 0: the end; negative: no memory. Resets `b`. */
BH_NODISCARD int bh_store_read(struct bh_store *s, struct bh_batch *b, struct bh_error *err);
/* Of the blocks that the query wants. */
void bh_store_progress(const struct bh_store *s, uint64_t *ret_total, uint64_t *ret_done);

/* What is not read, and why. */
enum bh_store_why {
    BH_STORE_READ = 0,
    BH_STORE_BY_PERIOD,
    BH_STORE_BY_COUNTRY,
    BH_STORE_BY_PORT,
    BH_STORE_BY_ADDRESS,
    BH_STORE_BY_OUTCOME,
    BH_STORE_BY_SENSOR,
    BH_STORE_BY_SERVICE, /* protocol, class, direction */
    BH_STORE_BY_FILTER,  /* several of these together, or `explain` was not asked for */
    BH_STORE_WHYS,
};
const char *bh_store_why_name(unsigned why); /* "period" ...; never NULL */
struct bh_store_skipped {
    uint64_t files[BH_STORE_WHYS], blocks[BH_STORE_WHYS]; /* BH_STORE_READ: those that are wanted */
    uint64_t no_summary; /* files that the judge was not asked about */
    bool judged;         /* there is a judge */
    /* While reading: blocks of which services and countries said enough, records that are unknown to the
     * judge and were only counted. */
    uint64_t blocks_of_codes, unknown;
};
/* After bh_store_read_begin(), and while it is read. A file is told by what left out its last block. */
void bh_store_get_skipped(const struct bh_store *s, struct bh_store_skipped *ret);

/* ---- roll-ups ------------------------------------------------------------------------------------------ */

/* What a report over whole days needs of the records of a segment, added up when it was written:
 * docs/design/rollups.md. A segment may have none, and a report then reads its records. */

/* Sums over the records of a day. */
struct bh_rollup_sums {
    uint64_t rows, packets, inbound, outbound, cut_frames, cut_headers, duplicates;
    uint64_t tcp, udp, pings; /* accesses; echo requests */
    uint64_t cls[32], layer[16], reason[32];
};
struct bh_rollup_cell {
    uint16_t country; /* of the segment's */
    uint32_t tcp, udp;
};
struct bh_rollup_hour {
    int64_t start_ns, first_ns, last_ns; /* of its records */
    uint64_t frames;
    uint32_t busiest; /* accesses of the source that had most of them in it */
    uint32_t cell_at, cells;
};
struct bh_rollup_place {
    uint16_t country;
    int64_t first_ns, last_ns; /* of accesses */
};
struct bh_rollup_burst { /* many accesses of one source to what it asked for first in its hour */
    int64_t hour_ns;
    uint32_t source, key, count;
};
#define BH_ROLLUP_BURST_LEAST 128U
#define BH_ROLLUP_PORTS 16384U /* octets: a bit for each TCP port, then for each UDP port */
/* Sources are numbers below bh_rollup.sources; lists of them rise. */
struct bh_rollup_ids {
    uint32_t *id;
    uint32_t count;
};
struct bh_rollup_day {
    int64_t start_ns, end_ns;
    struct bh_rollup_sums sums;
    struct bh_rollup_hour *hour;
    struct bh_rollup_cell *cell;
    struct bh_rollup_place *place;
    struct bh_rollup_burst *burst;
    uint32_t hours, cells, places, bursts;
    uint32_t knocked; /* how many sources */
    /* then: pinged, and knocked later; other: inbound without either; own: of `own` */
    struct bh_rollup_ids pinged, then, other, own;
    uint8_t *dst_ports;
};

/* Who had an access on a day, and how many of them. */
struct bh_rollup_who {
    uint32_t *id, *accesses;
    uint32_t count;
};

/* Services that are asked for often: accesses of a day by country and outcome, and how many sources. */
struct bh_rollup_number {
    uint32_t accesses;
    uint16_t country;
    uint8_t outcome;
};
struct bh_rollup_service {
    uint32_t key; /* UDP << 16 | port; they rise */
    uint32_t sources, number_at, numbers;
};
struct bh_rollup_services {
    struct bh_rollup_service *service;
    struct bh_rollup_number *number;
    uint32_t services, numbers, sources; /* sources: of the roll-up */
    void *priv;
};

/* An access, or several, to a service that is not asked for often. */
struct bh_rollup_rare {
    uint32_t key, day, accesses;
    uint32_t source; /* UINT32_MAX: not told, in countries with many of these */
    uint8_t outcome;
};
struct bh_rollup_rares; /* opaque */
struct bh_store;

struct bh_rollup {
    bool is_joined; /* of several segments: rare accesses are all of day 0 */
    uint32_t sources, countries, days, own_count;
    const uint32_t *frequent; /* services that are, rising */
    uint32_t frequent_count;
    struct bh_ip *own; /* addresses that sent what did not come to us from outside */
    const struct bh_store_country *country;
    struct bh_rollup_ids silent; /* far ends that sent nothing to us from outside      */
    struct bh_rollup_ids then;   /* who pinged, and knocked later, on whatever day     */
    void *priv;
};
/* Address and country of a source. */
void bh_rollup_source(const struct bh_rollup *r, uint32_t source, uint8_t *ret_family,
                      uint64_t *ret_hi, uint64_t *ret_lo, uint16_t *ret_country);
/* All of these: 0, BH_EDAMAGED or -ENOMEM. Who and services: of a day, but of a joined roll-up who also, services only, of
 * all days together. */
#define BH_ROLLUP_ALL UINT32_MAX
BH_NODISCARD int
bh_rollup_get_day(const struct bh_rollup *r, uint32_t day, struct bh_rollup_day *ret);
/* The beginning of it: sums, hours, cells and places. */
BH_NODISCARD int
bh_rollup_get_hours(const struct bh_rollup *r, uint32_t day, struct bh_rollup_day *ret);
void bh_rollup_day_forget(struct bh_rollup_day *d); /* all but who pinged, and bursts */
void bh_rollup_day_done(struct bh_rollup_day *d);
BH_NODISCARD int
bh_rollup_get_who(const struct bh_rollup *r, uint32_t day, struct bh_rollup_who *ret);
void bh_rollup_who_done(struct bh_rollup_who *w);
BH_NODISCARD int
bh_rollup_get_services(const struct bh_rollup *r, uint32_t day, struct bh_rollup_services *ret);
void bh_rollup_services_forget(struct bh_rollup_services *s); /* its numbers */
void bh_rollup_services_done(struct bh_rollup_services *s);
/* The sources of service `index`, rising; `id` has room for all of them. */
BH_NODISCARD int
bh_rollup_get_sources(const struct bh_rollup_services *s, uint32_t index, uint32_t *id);
#define BH_ROLLUP_KEYS (1U << 17)
/* Accesses of a country to services that are not frequent: none of these has more of them. */
uint64_t bh_rollup_rare_most(const struct bh_rollup *r, uint32_t country);
/* The accesses themselves, of all days, by service. */
BH_NODISCARD int
bh_rollup_rares_new(const struct bh_rollup *r, uint32_t country, struct bh_rollup_rares **ret);
void bh_rollup_rares_free(struct bh_rollup_rares *s);
/* How many come next, and those, until the next call; 0: no more. */
BH_NODISCARD int bh_rollup_rares_next(struct bh_rollup_rares *s, const struct bh_rollup_rare **ret);

/* The files of a log, as a plan of a query sees them. */
struct bh_store_file {
    const char *path;
    size_t run;
    bool is_segment;
    uint64_t rows;
    int64_t first_ns, last_ns; /* of its records */
    const char *no_rollup;     /* why it has none; NULL: it has */
    uint32_t days;             /* of its roll-up */
};
size_t bh_store_file_count(const struct bh_store *s);
void bh_store_get_file(const struct bh_store *s, size_t file, struct bh_store_file *ret);
void bh_store_rollup_bounds(const struct bh_store *s, size_t file, uint32_t day,
                            int64_t *ret_start_ns, int64_t *ret_end_ns, uint64_t *ret_rows);
/* A value of the query's database (bh_store_read_begin) that means the same; 0: none. */
uint16_t bh_store_country_value(const struct bh_store *s, const struct bh_store_country *country);
/* BH_EDAMAGED: its sums are not right. It lasts until the store is closed or bh_rollup_close(). */
BH_NODISCARD int bh_rollup_open(const struct bh_store *s, size_t file, struct bh_rollup **ret);
void bh_rollup_close(struct bh_rollup *r);
/* Of a roll-up of which only some is asked for: hours (bh_rollup_get_hours) and countries; services and rare ones too; all. */
enum bh_rollup_parts { BH_ROLLUP_HOURS, BH_ROLLUP_SERVICES, BH_ROLLUP_SOURCES };
BH_NODISCARD int bh_rollup_open_some(const struct bh_store *s, size_t file,
                                     enum bh_rollup_parts parts, struct bh_rollup **ret);
/* Beside the files there may be one roll-up of many of them (docs/format/log.md, "Joined roll-ups"): `file` of the two
 * functions above. Days of it; 0: there is none. */
#define BH_STORE_JOINED SIZE_MAX
uint32_t bh_store_joined_days(const struct bh_store *s);
bool bh_store_joined_has(const struct bh_store *s, size_t file);
/* Blocks of a file by time: is there one that has records between these two? */
bool bh_store_file_has(const struct bh_store *s, size_t file, int64_t start_ns, int64_t end_ns);

/* What each source asked for first in an hour, and how often it did: of batches in the order of time. */
struct bh_busy;
struct bh_busy_source {
    struct bh_ip ip;
    uint32_t key, count;
    uint16_t value; /* country[] of the batch */
};
struct bh_busy *bh_busy_new(int64_t start_ns, int64_t end_ns);
void bh_busy_free(struct bh_busy *b);
bool bh_busy_add(struct bh_busy *b, const struct bh_batch *batch); /* false: no memory */
/* All sources, in any order: `at` begins with 0. */
bool bh_busy_next(const struct bh_busy *b, uint32_t *at, struct bh_busy_source *ret);

/* ---- looking after it --------------------------------------------------------------------------------- */

struct bh_store_column_size {
    const char *name;
    uint64_t bytes;
};
/* Octets by column, dictionaries and the rest of all sealed segments; returns how many rows. */
#define BH_STORE_COLUMN_SIZES 40U
size_t
bh_store_column_sizes(const struct bh_store *s, struct bh_store_column_size *ret, size_t max);
typedef bool
bh_store_progress_fn(void *arg, uint64_t done, uint64_t total); /* false: stop, -ECANCELED */
/* Reads everything and compares all sums; damage is in the health afterwards. */
BH_NODISCARD int bh_store_verify(struct bh_store *s, bh_store_progress_fn *progress, void *arg,
                                 struct bh_error *err);

/* These lock the log as a writer does; compaction and retention may be done beside one, and then leave its journal
 * and the segment it makes alone. One of them at a time. */

struct bh_store_done {
    uint64_t files_before, files_after, bytes_before, bytes_after;
    uint64_t records, lost_records; /* kept; gone for good */
    uint64_t files_left;            /* by compaction, as they are damaged */
};
/* Join neighbouring small segments of one run, up to `rows` records each (0: 16 million). */
BH_NODISCARD int bh_store_compact(const char *dir, uint64_t rows, bh_store_progress_fn *progress,
                                  void *arg, struct bh_store_done *ret_done, struct bh_error *err);
/* Seal what killed writers left, and write damaged segments anew without what is lost. */
BH_NODISCARD int bh_store_repair(const char *dir, bh_store_progress_fn *progress, void *arg,
                                 struct bh_store_done *ret_done, struct bh_error *err);
/* Remove segments that end more than keep_ns before the newest block begins (0: none), then the oldest
 * until no more than keep_bytes are left (0: any). The last one written stays. */
BH_NODISCARD int bh_store_retain(const char *dir, uint64_t keep_ns, uint64_t keep_bytes,
                                 struct bh_store_done *ret_done, struct bh_error *err);
/* Append the records of other logs, which stay as they are. All, or after an error nothing. */
BH_NODISCARD int bh_store_merge(const char *dir, const char *const *others, size_t count,
                                bh_store_progress_fn *progress, void *arg,
                                struct bh_store_done *ret_done, struct bh_error *err);

/* ---- copies (lib/push) ------------------------------------------------------------------------------ */

/* In a copy of a log: what has arrived. Only push writes segments there; retain and repair may. */
#define BH_STORE_LEDGER "pushed"

/* A sealed segment that counts. */
struct bh_store_segment {
    uint64_t first_sequence, last_sequence; /* a compacted one stands for several          */
    uint64_t run, identity;                 /* identity: of its content; 0: it is damaged  */
    uint64_t bytes, records;
};
/* In the order of their numbers; the caller frees. */
BH_NODISCARD int bh_store_segments(const char *dir, struct bh_store_segment **ret_list,
                                   size_t *ret_count, struct bh_error *err);
/* A descriptor of it, or -errno; -ESTALE: another file has its name by now. */
BH_NODISCARD int bh_store_segment_open(const char *dir, const struct bh_store_segment *s);
/* As writers do, while *ret_fd is open. */
BH_NODISCARD int bh_store_lock_copy(const char *dir, int *ret_fd, struct bh_error *err);

#endif
