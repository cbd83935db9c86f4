/* SPDX-License-Identifier: BSD-2-Clause */
/* From files to a tally: what run.c, feed.c and work.c share. */
#ifndef RUN_PRIV_H
#define RUN_PRIV_H

#include "bh_import.h"
#include "bh_report.h"
#include "bh_store.h"

/* ---- feed.c: batches, in the order of the stream -------------------------------------------- */

struct feed {
    struct bh_capture *capture; /* or */
    struct bh_import *import;   /* or */
    struct bh_store *store;
    struct bh_store_paths logs; /* what it was opened of */
    bool decided;               /* of a log: its verdicts hold, nothing is tracked again */
    bool by_days;               /* --country-db-dir: countries are asked for anew        */
    struct bh_decoder decoder;
    struct bh_tally *asks; /* where rows go that are decoded; may be NULL */
    struct bh_frames *frames;
    uint32_t frame_at;
    bool ended;
    int failed; /* out of memory, or an import that could not be read on */
    struct bh_error error;

    struct bh_batch **ahead; /* read before anything was decided; handed out first */
    size_t ahead_count, ahead_at;
    uint64_t ahead_packets; /* IP packets */

    uint64_t steps_back;
    struct bh_silences silences;
    int64_t newest_ns, first_ns;
    bool any;
    void (*progress)(void *arg, uint64_t done, uint64_t total);
    void *progress_arg;
    unsigned progress_turn;
};

BH_NODISCARD int feed_open(struct feed *f, const struct bh_report_options *o, struct bh_error *err);
void feed_close(struct feed *f);
/* Read batches ahead: BH_HOME_GUESS_PACKETS IP packets, or to the end. */
BH_NODISCARD int feed_read_ahead(struct feed *f);
/* The next batch into `b`, or one read ahead (then *b is swapped with it). False at the end. */
bool feed_next(struct feed *f, struct bh_batch **b);
/* For several threads: the next block of frames. Batches read ahead come first, by feed_next(). */
bool feed_frames(struct feed *f, struct bh_frames *frames);
bool feed_has_ahead(const struct feed *f);
/* Frames from *at on into `b`, until it is full or they end. `asks`: where its rows will go, or NULL. */
void decode_slices(const struct bh_decoder *d, const struct bh_frames *frames, uint32_t *at,
                   const struct bh_tally *asks, struct bh_batch *b);
/* Time of the newest record, in a pass of its own. */
BH_NODISCARD int
feed_newest(const struct bh_report_options *o, int64_t *ret_ns, struct bh_error *err);

/* ---- countries.c: the country data ---------------------------------------------------------------- */

struct countries {
    kobold *one; /* or */
    struct bh_country_day *days;
    struct bh_report_data *data; /* of each day; the report's once it is told */
    size_t count, room, data_kept;
    struct bh_filter *filter; /* with one */
};
BH_NODISCARD int countries_open(struct countries *c, const struct bh_report_options *o,
                                struct bh_report *rep, struct bh_error *err);
void countries_done(struct countries *c);
BH_NODISCARD int
countries_filter(struct countries *c, const struct bh_report_options *o, struct bh_error *err);
const struct bh_filter *countries_words(const struct countries *c);
const kobold *countries_at(const struct countries *c, int64_t ts_ns);
/* Whose AS data the report uses; NULL: there are none. */
const kobold *countries_systems(const struct countries *c, struct kobold_as_meta *ret);
void countries_places(struct countries *c, struct bh_places *p, bool by_region,
                      const char home_country[3]);
void countries_tell(struct countries *c, const struct bh_tally *t, int64_t first_ns,
                    struct bh_report *rep);

/* ---- work.c ------------------------------------------------------------------------------------- */

struct shard {
    struct bh_track *track;
    struct bh_tally *tally;
    struct bh_fragments *fragments; /* made when the first fragment comes */
};

/* Held records: a batch waits until the verdicts on it are final. 1,024 batches are 52 MB. */
#define HELD_MAX 1024U
struct hold {
    struct bh_batch *batch[HELD_MAX];
    size_t first, count;
    uint64_t early;
};

struct work {
    struct feed *feed;
    const struct bh_home *home;
    struct shard *shard;
    unsigned shards;
    struct hold *hold;   /* NULL: verdicts are counted as moves */
    bool decided;        /* batches come with their verdicts    */
    uint64_t calls_lost; /* to broadcast and multicast, which not every shard could be told of */
};

void work_batch(struct shard *s, struct bh_batch *b);
/* Before anything else is done with a batch of a capture. */
void work_join_fragments(struct shard *s, struct bh_batch *b);
BH_NODISCARD int work_alone(struct work *w);
BH_NODISCARD int work_together(struct work *w);
BH_NODISCARD int work_settle(struct work *w); /* after either */

/* ---- run.c: the steps of a run, for reports and for import --------------------------------------- */

#define SHARDS_MAX 8U
#define FLOW_SLOTS (1U << 20) /* at most, of all shards */

struct run {
    const struct bh_report_options *o;
    struct bh_report *r;
    struct bh_error *err;
    struct countries countries;
    struct bh_period period;
    struct bh_served *served; /* BH_SERVED_MAX */
    size_t served_count;
    struct bh_places *places;
    struct feed feed;
    struct bh_tally_config tally;
    struct shard shard[SHARDS_MAX];
    unsigned shards;
    struct hold *hold;
    bool two_sided;
    uint32_t frequent[63];
    size_t frequent_count;
    _Atomic uint64_t pairs_total;
    uint64_t expected;
    bool avoid_joined;          /* it did not answer, but the roll-ups of its segments may */
    struct bh_judge *judge;     /* of the filter, for a log; NULL: all is read */
    struct rolled_plan *rolled; /* days come from roll-ups; NULL: all from records */
};

BH_NODISCARD int run_parse_filter(struct run *x);
/* Of the options, of home, or of the zone: into x->r. */
void run_find_home_country(struct run *x);
/* From what was read ahead. */
BH_NODISCARD int run_find_home(struct run *x);
bool run_find_two_sided(const struct run *x);
/* Nothing to make a report of, and a reason for it? */
BH_NODISCARD int run_check_any(struct run *x);
/* Damage and the like into r->notes, when all is read. */
BH_NODISCARD int run_take_notes(struct run *x);

/* ---- choose.c: rows for show, count and export ------------------------------------------------------ */

struct choose;
BH_NODISCARD int choose_new(struct run *x, struct choose **ret);
void choose_free(struct choose *c);
/* counted[], and country[] and visits as far as they are asked for. Returns how many were left out because the
 * answer is unknown. `asked` (may be NULL): what else cannot count; `known`: rows of these times are known already. */
struct summed;
uint64_t choose_rows(const struct choose *c, struct bh_batch *b, const struct bh_question *asked,
                     const struct summed *known);
/* Rows that stand for several records, all in the period: their weight is what is left out. */
uint64_t choose_sums(const struct choose *c, struct bh_batch *b);

/* ---- hide.c ---------------------------------------------------------------------------------------- */

/* Replace all addresses of a finished report. */
BH_NODISCARD int report_hide(struct bh_report *r, struct bh_anonymize *a, struct bh_error *err);

/* ---- log.c: a packet log as the input --------------------------------------------------------------- */

/* The logs that the files name, also by the folder they are in; none: they are other files. All or none
 * of them must be directories. */
BH_NODISCARD int log_is_input(const struct bh_report_options *o, struct bh_store_paths *ret_logs,
                              struct bh_error *err);
/* Home as the log has it; whether its verdicts hold for this report. */
BH_NODISCARD int log_find_home(struct run *x);
/* Who saw the records, if that is to be told; is the sensor there that the filter names? */
BH_NODISCARD int log_find_sensors(struct run *x);
/* Who says what the filter can select, for records whose verdicts hold; nobody when there is no filter. */
BH_NODISCARD int log_find_judge(struct run *x);
/* Begin to read: what the period, the filter and the lists need. */
BH_NODISCARD int log_begin(struct run *x);
/* Days that come from roll-ups: x->rolled stays NULL when none do. */
BH_NODISCARD int rolled_choose(struct run *x);
/* All of it into the tally of the only shard. BH_ELIMIT, BH_EDAMAGED: it has to be made of records. */
BH_NODISCARD int rolled_count(struct run *x);
/* `why` it was not used after all; NULL: it was */
void rolled_done(struct run *x, const char *why);
/* Records read without a plan of days. */
void rolled_say_read(struct run *x);
/* What the log knows beside its records, into trend and report. */
BH_NODISCARD int log_finish(struct run *x);
/* Notes of whoever wrote it, and damage that was found. */
BH_NODISCARD int log_take_notes(struct run *x);

#endif
