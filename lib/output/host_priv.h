/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BH_OUTPUT_HOST_PRIV_H
#define BH_OUTPUT_HOST_PRIV_H

#include "bh_output_host.h"
struct bh_spool; /* lib/spool */

/* A setting as the module sees it. */
struct setting_value {
    const struct bh_setting *setting;
    const char *text; /* borrowed, or `own` */
    char *own;
    uint64_t number;
};

BH_NODISCARD int settings_parse(const struct bh_host_config *cfg, bool read_secrets,
                                struct setting_value **ret, struct bh_error *err);
void settings_free(struct setting_value *v, size_t count);

/* The counter of this name, made when it is new; NULL: there are BH_OUTPUT_OWN others. */
_Atomic uint64_t *own_counter(struct bh_host_counters *c, const char *name);

struct bh_output {
    const struct bh_output_module *module;
    const char *instance;
    struct setting_value *values;
    void *state;
    const struct bh_output_run *run;
    bool run_is_over; /* what it is given waited on disk: the board knows nothing of it */
    struct bh_output_health health;
    const struct bh_board *board;
    struct bh_own_board *own;
    int own_fd[BH_OWN_SOCKETS]; /* of the board's entries */
    struct bh_host_counters *counters;
    void (*say)(void *arg, const char *instance, enum bh_say level, const struct bh_error *err);
    void *say_arg;
    int (*child_fd)(void *arg, bool broken);
    void *child_arg;
};

/* ---- the host (host.c) ------------------------------------------------------------------------------------ */

/* A batch, or its numbers only. */
struct waiting {
    struct waiting *next;
    uint64_t number, first_access, end_access; /* its TCP accesses, by their numbers on the board */
    uint32_t rows;
    size_t size;
    uint8_t octets
        []; /* packed; none of what is only to be called settled. FLYING, AT_ONCE: and numbers of accesses */
};
struct list {
    struct waiting *first, *last;
};
void list_put(struct list *l, struct waiting *w);
void list_drop(struct list *l); /* the first */

struct bh_host {
    struct bh_output o;
    struct bh_host_counters counters;
    const struct bh_filter *filter;
    struct bh_output_run *
        run; /* of what comes, ours; o.run is another while the module is given what waited on disk */
    struct bh_output_health health; /* of `run` */
    struct list
        held; /* not handed out yet: verdicts are open (DECIDED), or it comes after what is on disk */
    struct list
        settles; /* AT_ONCE: handed out, to be called settled                                           */
    size_t held_bytes, hold_bytes;
    struct bh_batch *unpacked, *kept;
    const struct bh_output_frame *frames; /* of the batch that is offered; NULL: none   */
    struct bh_output_frame
        kept_frame[BH_BATCH_ROWS]; /* of `kept`                                 */
    uint64_t settled;              /* AT_ONCE: the number said last                     */
    uint64_t taken;                /* batches of o.run below this are the module's      */
    int64_t flush_ns;
    bool any_tick, dirty;

    /* With a spool (spooling.c): */
    struct bh_spool *spool;
    const char *spool_dir;
    const kobold *countries;
    bool away; /* what comes goes to disk */
    struct list
        flying; /* handed out directly, not durable: on disk as well before anything else is */
    size_t flying_bytes;
    uint64_t durable;     /* of `run`, as the module says */
    uint64_t spooled_end; /* batches of `run` below are on disk, or safe, or lost there */
    struct bh_output_health old_health; /* of o.run when that is another */
    uint64_t lost_seen, damaged_seen;
    int64_t sync_ns, note_ns, away_ns;
    bool said_unwritable, said_lost, said_away;
    uint8_t *pack; /* a batch */
};

/* To the module. BH_EAGAIN: it does not take it now. */
int host_hand_out(struct bh_host *h, struct bh_batch *b, uint64_t number, bool filtered);
const struct bh_batch *host_selected(struct bh_host *h, struct bh_batch *b);
/* Outcomes of accesses that are open, as the board has them. */
void host_fill_outcomes(struct bh_host *h, struct bh_batch *b, uint64_t first_access);
bool host_is_tcp_access(const struct bh_batch *b, uint32_t i);
/* The module's run becomes this one. */
int host_begin(struct bh_host *h, struct bh_output_run *run);
int host_keep(struct bh_host *h, struct list *l, const struct bh_batch *b, uint64_t number,
              uint64_t first_access, uint64_t end_access);

/* ---- what waits on disk (spooling.c) ----------------------------------------------------------------------- */

BH_NODISCARD int
spooling_open(struct bh_host *h, const struct bh_host_config *cfg, struct bh_error *err);
void spooling_close(struct bh_host *h);
/* From here on what comes goes to disk, behind what the module has and did not make durable. False: no room there. */
bool spooling_go_away(struct bh_host *h);
int spooling_put(struct bh_host *h, struct bh_batch *b, uint64_t number);
void spooling_flew(struct bh_host *h, const struct bh_batch *b, uint64_t number);
/* What the module says is durable of its run. */
void spooling_safe(struct bh_host *h, uint64_t number);
/* A run ends with what is on disk. */
void spooling_note(struct bh_host *h);
void spooling_show_health(struct bh_host *h);
void spooling_tick(struct bh_host *h, int64_t now_ns);
bool spooling_is_repeat(const struct bh_host *h, uint64_t number);
bool spooling_same_run(const struct bh_output_run *a, const struct bh_output_run *b);

struct bh_output_run *run_copy(const struct bh_output_run *from);
void run_pack(const struct bh_output_run *run, struct bh_buf *to);
/* Checked. NULL: it is none, or there is no memory. */
struct bh_output_run *run_unpack(const uint8_t *data, size_t size, int64_t start_ns);

#endif
