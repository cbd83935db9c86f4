/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_report.h - the access-trend report: from files to a result, from a result to text, JSON,
 * CSV or Markdown, in English or Japanese.
 *
 * A report is computed once (bh_report_run); writers walk it once. Every number keeps the
 * meaning of MEANING.md; JSON is "beholder.report/1".
 *
 * Threads:   one thread per report; bh_report_run() makes and ends its own, one at a time of which
 *            may call progress().
 * Ownership: the caller's.
 */
#ifndef BH_REPORT_H
#define BH_REPORT_H

#include <signal.h>

#include "bh_analysis.h"
#include "bh_anonymize.h"
#include "bh_capture.h"
#include "bh_packet.h"
#include "bh_store.h"

struct bh_report_options {
    const char *const *files;
    size_t file_count;
    const char *home;         /* NULL: guess                    */
    const char *home_country; /* NULL: from home, or the zone   */
    const char *served;       /* NULL: nothing                  */
    enum bh_count_unit count;
    unsigned top, ports;
    const char *since, *until, *last;
    const char *tz;
    const char *country; /* --country CC: list its sources */
    const char *port;    /* --port P[/proto]               */
    bool by_region, by_sensor, crosstab_all, outcomes, all_accesses;
    const char *country_db;
    const char *country_db_dir; /* databases of different days; instead of country_db */
    const char *input_format;   /* auto, pcap, csv, netfilter, zeek, nfdump */
    unsigned input_year;        /* of the first time without a year; 0: guess */
    const char *input_columns;  /* csv: docs/format/input-csv.md  */
    const char *const *filter_words;
    size_t filter_count;
    const char *const *decap;
    size_t decap_count;
    struct bh_anonymize *anonymize; /* addresses of the result are replaced by it; NULL: not */
    unsigned threads;               /* 0: as many as there are cores, when the file is worth it */
    enum bh_plan_choice {
        BH_PLAN_AUTO,
        BH_PLAN_BLOCKS,
        BH_PLAN_ROLLUPS,
        BH_PLAN_ALL
    } plan;         /* of packet logs:
                                * what to read; ROLLUPS also where they gain nothing; ALL: every record of
                                * the period, also where a filter cannot select it             */
    bool explain;   /* why blocks of a log were left out is to be told */
    int64_t now_ns; /* for words like "yesterday"      */
    void (*progress)(void *arg, uint64_t done, uint64_t total); /* may be NULL */
    void *progress_arg;
};

/* Of a packet log that was reported on: what it is, and what of it could not be read. */
struct bh_report_storage {
    bool is_log;
    uint64_t records, bytes, segments, runs;
    uint64_t damaged_blocks, lost_records, torn_bytes;
    uint64_t own; /* frames of the sensor's own exports, which are no records */
    /* packets a sensor saw, or should have, that are not in the log */
    uint64_t lost[BH_STORE_CAUSES];
    size_t gap_count;
    struct bh_store_gap gap[BH_STORE_GAPS_MAX];
    char first_damage[256];
    /* what was kept when it was written, of several writings joined by ";"; "": all */
    char filter[512];
    bool filter_of_all; /* each writing was made with it                        */
    char home[1024];    /* of all its writings, joined by commas                   */
    bool lean;          /* fields for recognising tools were left out, at least of some */
    bool judged_again;  /* home or options unlike the log's: tracked once more  */
};

/* Who saw the records of packet logs: told when there are several, or when it is asked for. In order of
 * their names. */
struct bh_report_silence {
    int64_t start_ns, end_ns; /* last record before, first after; INT64_MAX: none came after */
};
#define BH_REPORT_SILENCES_MAX 65U
struct bh_report_sensor {
    char name[64];
    char home[1024]; /* its networks, joined by commas; of several writings all of them */
    uint32_t silence_count;
    struct bh_report_silence silence[BH_REPORT_SILENCES_MAX];
};

/* How a home country was found. */
enum bh_home_country_from {
    BH_FROM_OPTION,
    BH_FROM_HOME_ADDRESS,
    BH_FROM_TIME_ZONE,
    BH_FROM_NOTHING
};

struct bh_remark {
    char id[96]; /* stable: kind and what it is about, "first-port-differs:TW" */
    char kind[48];
    char countries[16][4];
    size_t country_count;
    struct {
        uint16_t port;
        uint8_t proto;
    } ports[16];
    size_t port_count;
    struct {
        char name[32];
        double value;
    } numbers[12];
    size_t number_count;
    char *text[BH_LANGS];
    bool general; /* not on countries[0] alone: text shows more of these */
};

/* A country database that answered, and for which part of the accesses. */
struct bh_report_data {
    struct kobold_meta meta;
    char path[512];
    uint64_t accesses;
    uint32_t share_micro; /* of 1000000 */
};

/* How a packet log was read. */
struct bh_plan_file {
    char path[256];
    uint64_t rows, rolled_rows; /* of them in the period: taken from its roll-up */
    uint32_t days, rolled_days;
    const char *why; /* a word: why not all of it; "": all */
};
struct bh_plan {
    bool rolled;     /* roll-ups were used                                      */
    const char *why; /* a word: why not; "" when they were                      */
    /* joined: of the rolled ones, from the roll-up of all */
    uint64_t rolled_rows, joined_rows, read_rows, blocks_read, blocks_skipped;
    uint32_t columns;                /* BH_STORE_...: what was read of blocks                   */
    struct bh_store_skipped skipped; /* by the filter too, when records were read */
    struct bh_plan_file *file;
    size_t files;
};
/* A word of a plan as a sentence. */
const char *bh_plan_why(const char *word, enum bh_lang lang);
/* What the filter left out, in a line or two; nothing when there was nothing to leave out. */
void bh_plan_say_skipped(const struct bh_store_skipped *s, enum bh_lang lang, struct bh_buf *out);
/* The plan in lines. */
void bh_plan_say(const struct bh_plan *p, enum bh_lang lang, struct bh_buf *out);

struct bh_report {
    struct bh_trend *trend;
    struct bh_plan plan; /* of a packet log */
    struct bh_home home;
    char home_country[3];
    enum bh_home_country_from home_country_from;
    char zone[64];
    struct kobold_meta country_data;
    struct kobold_as_meta as_data; /* with trend->has_networks */
    char country_data_path[512];
    struct bh_report_data *data; /* all that answered, by date; the one above answered most */
    size_t data_count;
    struct bh_report_options options; /* as asked; pointers borrowed */
    struct bh_remark *remarks;
    size_t remark_count;
    struct bh_capture_note *notes; /* damage and other things to say about the files */
    size_t note_count;
    struct bh_served *served; /* what trend->visits[].offered_to points into */
    char filter_text[512];
    uint64_t input_bytes;
    struct bh_report_storage storage;
    struct bh_report_sensor *sensors; /* trend->sensors[].number is an index */
    size_t sensor_count;
    uint64_t import_rows;        /* logs: rows, those that could not be used too */
    uint64_t import_bad_rows;    /* logs: rows that could not be used            */
    uint64_t import_other_lines; /* logs: lines that are about no packet         */
    double seconds;              /* wall time of the run             */
    unsigned threads_used;
};

BH_NODISCARD int bh_report_run(const struct bh_report_options *o, struct bh_report **ret_report,
                               struct bh_error *err);
void bh_report_free(struct bh_report *r);

/* Fill r->remarks from r->trend. */
BH_NODISCARD int bh_report_remark(struct bh_report *r);

/* ---- records with their verdicts -------------------------------------------------------------------- */

/* What of a log was read. */
struct bh_records_plan {
    uint64_t segments, journals, blocks, records; /* of the log                         */
    uint64_t blocks_wanted;                       /* the others are skipped             */
    uint64_t blocks_read;                         /* fewer, when enough was found       */
    uint32_t columns;                             /* BH_STORE_...: what was read of them */
    bool added_up; /* accesses only, out of time, country and service */
    /* records that were not read, as roll-ups have them; of these from the one of all */
    uint64_t rolled_rows, joined_rows;
    const char *why; /* a word (bh_plan_why): why there are none; "": there are, or nobody asked */
    struct bh_store_skipped skipped;
};
/* What is known beside the records. Pointers are good in begin() and end() only. */
struct bh_records {
    const kobold *countries; /* country[] of a batch that has_country are its values */
    const struct bh_home *home;
    const struct kobold_meta *country_data;
    const char *filter_text, *zone;
    struct bh_period period;
    int64_t first_ns; /* time of the first record of the input */
    /* in end(): of selected records that came as sums, where the period leaves it open */
    int64_t sums_first_ns, sums_last_ns;
    bool is_log, judged_again, lean;
    /* records; unknown: the filter asks for what they do not have */
    uint64_t read, selected, unknown;
    struct bh_records_plan plan;   /* in end() and after, of a log */
    struct bh_capture_note *notes; /* in end() and after           */
    size_t note_count;
};
struct bh_records_config {
    /* Of these: files, home, country_db, input_*, filter, decap, outcomes, all_accesses, since, until, last,
     * tz, now_ns, progress. */
    const struct bh_report_options *input;
    /* BH_STORE_...: columns of a log that are looked at beside what selecting takes */
    uint32_t want;
    /* What is asked of them, when it is less than all: then records of a log may come added up. Accesses of a block do
     * (bh_store_query.accesses) when there is no filter; and where roll-ups answer, their rows go to sums(), and only what they
     * do not tell is read. NULL, or without sums(): each record comes. */
    const struct bh_question *asked;
    bool without_times; /* records of a log need no time when the period has both ends */
    /* A negative result ends it with that error; of batch() a positive one without: enough. begin and end may
     * be NULL. begin() may come once more, when a roll-up turns out to be damaged: what came before does not count. */
    int (*begin)(void *arg, const struct bh_records *r);
    /* Rows that stand for as many records as their weight, with the columns that are asked for. */
    int (*sums)(void *arg, struct bh_batch *b);
    /* Rows with counted[] are inside the period and selected. The batch may be changed. */
    int (*batch)(void *arg, struct bh_batch *b);
    int (*end)(void *arg, const struct bh_records *r);
    void *arg;
};
/* Read files or packet logs as a report does, judge their records, and hand them out in their order. */
BH_NODISCARD int
bh_records_run(const struct bh_records_config *cfg, struct bh_records *ret, struct bh_error *err);
void bh_records_done(struct bh_records *r);

/* ---- into a packet log ----------------------------------------------------------------------------- */

struct bh_ingest_options {
    /* Of these: files, home, country_db, input_format, input_columns, filter, decap, outcomes,
     * all_accesses, progress, threads (1: none but ours). */
    struct bh_report_options input;
    const char *log_dir;
    const char *sensor;           /* NULL: ""                                                     */
    bool lean;                    /* leave out IP ID, sequence number, window and options         */
    uint64_t sync_ns;             /* 0: 10 s                                                      */
    uint64_t keep_ns, keep_bytes; /* remove the oldest segments; 0: none              */
    const volatile sig_atomic_t *stop; /* not 0: end here, with what was read           */
};
struct bh_ingest_result {
    uint64_t read, written; /* records; the difference was left out by the filter        */
    uint64_t accesses;
    bool stopped;
    struct bh_home home;
    struct bh_capture_note *notes;
    size_t note_count;
    double seconds;
};
/* Read files, judge their records, append them to a log. When it fails, ret_result->written says how
 * many are safe in the log. */
BH_NODISCARD int bh_ingest_run(const struct bh_ingest_options *o,
                               struct bh_ingest_result *ret_result, struct bh_error *err);
void bh_ingest_result_done(struct bh_ingest_result *r);

struct bh_write_options {
    enum bh_lang lang;
    unsigned columns;  /* text: terminal width, at least 80 */
    bool opening_only; /* text: the first paragraph */
    bool color;
};
typedef void
bh_writer_fn(const struct bh_report *r, const struct bh_write_options *o, struct bh_buf *out);
struct bh_writer {
    const char *name; /* text, json, csv, md */
    bh_writer_fn *write;
};
extern const struct bh_writer bh_writers[];
extern const size_t bh_writers_count;
const struct bh_writer *bh_writer_find(const char *name);

/* What knocking at a port means, in the years of a period. */
struct bh_meaning {
    const char *service; /* never NULL; "" when unknown */
    const char *purpose[BH_LANGS];
    const char *concerns[BH_LANGS];
    char cve[256], kev[256]; /* comma-joined, those of the period's years or before */
    const char *certainty, *source, *date;
};
bool bh_port_meaning(uint16_t port, uint8_t proto, int first_year, int last_year,
                     struct bh_meaning *ret_meaning);

#endif
