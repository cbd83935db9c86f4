/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_sensor.h - the live sensor: interfaces in, output modules out, for years.
 *
 * bh_sensor_run() is the whole of it: it opens what is configured, starts one process for capturing and one
 * for each output, gives up its privileges, and looks after them until SIGTERM or SIGINT. What the processes
 * are, what crosses between them and what is lost when one of them dies: docs/design/sensor.md.
 *
 * Threads:   call it from a program's only thread: it forks.
 * Ownership: the configuration is borrowed.
 * Errors:    what cannot start is returned; what happens later is said (`say`), counted, and lived with.
 */
#ifndef BH_SENSOR_H
#define BH_SENSOR_H

#include "bh_live.h"
#include "bh_output_host.h"

struct bh_sensor_output {
    const char *name; /* "log" */
    const struct bh_output_module *module;
    const struct bh_host_setting *settings;
    size_t setting_count;
    const char *const *filter_words;
    size_t filter_count;
    uint64_t queue_bytes; /* 0: 16 MiB */
    const char *spool;    /* directory; records wait in one of it named as the output; NULL: none */
    uint64_t spool_bytes;
    uint64_t mark; /* another number when anything of this is another */
};
#define BH_SENSOR_OUTPUTS 16U

/* Sums since the start, as `status` and the progress line show them. */
struct bh_sensor_counters {
    uint64_t frames, kernel_lost, records, accesses, undecoded, own, duplicates;
    uint64_t gone_lost; /* by outputs that a new configuration took away */
    bool kernel_filter; /* frames are those that passed the kernel's filter, made of the outputs' */
    size_t outputs;
    struct {
        char name[64];
        bool runs;
        /* lost: in its queue, with its process, or beyond the bound of its spool. spooled: that ever were on disk;
         * waiting: those that are there now. */
        uint64_t queued, written, retried, failed, lost, held, early, restarts, queue_used,
            queue_size, spooled, waiting, spool_octets;
    } output[BH_SENSOR_OUTPUTS];
};

enum bh_sandbox {
    BH_SANDBOX_ON,
    BH_SANDBOX_OFF,
    BH_SANDBOX_KILL /* tests: what is not allowed kills */
};

struct bh_sensor_config {
    const char *const *interfaces;
    size_t interface_count;
    bool promiscuous;
    uint64_t ring_bytes;    /* of each interface */
    unsigned threads;       /* that decode, and rings of each interface; 0, 1: one */
    const char *sensor;     /* its name                                                     */
    const char *home;       /* NULL: the addresses of the interfaces, followed               */
    const char *country_db; /* NULL: the installed one                                        */
    bool all_accesses, outcomes;
    bool with_pcap;        /* by way of libpcap: payload leaves the kernel, and is cleared */
    bool no_kernel_filter; /* the outputs' filters are theirs alone */
    const char
        *user; /* who to become when started by root; NULL: beholder, who called sudo, or nobody */
    enum bh_sandbox sandbox;
    const struct bh_sensor_output *outputs;
    size_t output_count;
    const char *status_socket;  /* NULL: in the run directory; "none"                     */
    const char *metrics_file;   /* OpenMetrics, each 15 s; NULL: none                     */
    const char *metrics_listen; /* ADDRESS:PORT of loopback; NULL: none                   */
    void (*say)(void *arg, const char *who, enum bh_say level, const struct bh_error *err);
    void *say_arg;
    /* Once a second in the parent, when not NULL. */
    void (*progress)(void *arg, const struct bh_sensor_counters *c);
    void *progress_arg;
    /* SIGHUP, in the parent: the configuration as it is now, or negative when it is not good, which was said; then the
     * one in force stays. The sensor says `forget` when it needs the one before (or a new one that it refused) no more.
     * NULL: only the country database is looked at. `fixed`: all that cannot change while it runs, lines of KEY=VALUE. */
    int (*reload)(void *arg, const struct bh_sensor_config **ret_config);
    void (*forget)(void *arg, const struct bh_sensor_config *config);
    void *reload_arg;
    const char *fixed;
    /* After everything is open and started. `home`: "" while no interface is there to tell it. */
    void (*started)(void *arg, const char *user, const char *home);
};

/* *cfg becomes the configuration that was in force at the end, which the caller keeps. */
BH_NODISCARD int bh_sensor_run(const struct bh_sensor_config **cfg,
                               struct bh_sensor_counters *ret_counters, struct bh_error *err);

/* ---- who asks how it is ------------------------------------------------------------------------------------ */

#define BH_SENSOR_PATH_MAX 512U
#define BH_SENSOR_SOCKETS 32U
/* Where sockets are when nobody says. False: this user has no such folder. */
bool bh_sensor_run_dir(char *ret, size_t size);
/* Status sockets of this machine that the caller can see, sorted; the caller frees each. */
size_t bh_sensor_sockets(char *ret[BH_SENSOR_SOCKETS]);
/* "text en\n", "text ja\n", "json\n", "metrics\n". What the sensor answers within 5 s. */
BH_NODISCARD int
bh_sensor_ask(const char *path, const char *request, struct bh_buf *out, struct bh_error *err);

#endif
