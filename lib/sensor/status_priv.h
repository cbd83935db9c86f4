/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a sensor is, taken once (status_take) and written by writers that do not count: text, JSON, OpenMetrics.
 *
 * Most of it is read from memory that processes write which see strangers' packets. So numbers are shown, never used as
 * an index; names are copied, ended and made harmless.
 */
#ifndef BH_SENSOR_STATUS_PRIV_H
#define BH_SENSOR_STATUS_PRIV_H

#include "sensor_priv.h"

#define STATUS_GAPS 8U /* the newest */

struct status_interface {
    const char *name;
    bool up;
    unsigned rings;
    uint64_t ring_bytes, frames, lost; /* of all of them */
};

struct status_process {
    const char *name; /* "parent", "capture", else of an output */
    pid_t pid;        /* 0: it is not running                   */
    int64_t up_ns;
    uint64_t restarts;
    uint32_t confined; /* CONFINED_... as the process says      */
    int seccomp;       /* as the kernel says: 0, 1, 2; -1: not known */
    unsigned threads;  /* the same                                  */
};

struct status_output {
    const char *name, *module;
    const char *
        state; /* "runs", "waits" (to be started again), "spools" (the same, what comes goes to disk), "ends" */
    uint64_t queued, written, waiting, retried, spooled, failed, lost, held, early, missed_verdicts;
    uint64_t queue_used, queue_size;
    uint64_t lost_by[BH_GAP_KINDS];
    int64_t last_ns; /* of the newest record written; 0: none */
    char own_name[BH_OUTPUT_OWN][BH_OUTPUT_OWN_NAME];
    uint64_t own[BH_OUTPUT_OWN];
    uint32_t gap_count; /* of the run; the newest STATUS_GAPS of them are in gap[] */
    struct bh_gap gap[STATUS_GAPS];
};

struct status {
    const char *sensor, *user, *home;
    const char *waits;     /* keys of the configuration that want a restart; "": none */
    int64_t now_ns, up_ns; /* time of day; since the start */
    int64_t run_start_ns;  /* time of day                  */
    char country_name[64], country_date[16];
    bool sandbox;
    unsigned landlock_abi;
    uint64_t frames, kernel_lost, records, accesses, undecoded, cut, own, duplicates;
    uint64_t gone_lost; /* by outputs that are no more */
    bool kernel_filter; /* frames are counted behind it */
    uint64_t reason[BH_REASON_COUNT];
    uint64_t clock_steps, steps_back, flows_lost, conversations_lost, repeats_lost, held_early;
    size_t interfaces, processes, outputs;
    struct status_interface interface[BH_LIVE_INTERFACES];
    struct status_process process[BH_SENSOR_OUTPUTS + 2];
    struct status_output output[BH_SENSOR_OUTPUTS];
};

void status_take(const struct sensor *s, struct status *ret);
void status_text(const struct status *t, enum bh_lang lang, struct bh_buf *out);
void status_json(const struct status *t, struct bh_buf *out);    /* one line */
void status_metrics(const struct status *t, struct bh_buf *out); /* OpenMetrics */
/* RFC 3339, of UTC. */
const char *status_time(int64_t ts_ns, char buf[32]);

#endif
