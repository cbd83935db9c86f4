/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_output_host.h - the other side of bh_output.h: what runs one instance of a module.
 *
 * A host is settings, a filter, a table of verdicts to ask, counters and the order of calls. It knows no
 * processes and no queues: lib/sensor feeds it from the queue, unit tests feed it directly, and a module
 * cannot tell which. The order of calls is that of bh_output.h whatever happens.
 *
 *     bh_host_new(&cfg, &h, err)            settings checked, module opened
 *     bh_host_run(h, &run)                  a run begins
 *     bh_host_offer(h, records, ...)        a batch; BH_EAGAIN: offer the same again
 *     bh_host_tick(h, now_ns)               settle, flush once a second, tick
 *     bh_host_free(h)                       flush, close
 *
 * Threads:   one thread per host.
 * Ownership: the caller's; module, settings, countries and board are borrowed until free.
 * Errors:    what a module says goes to `say`; what it returns is counted.
 */
#ifndef BH_OUTPUT_HOST_H
#define BH_OUTPUT_HOST_H

#include <stdatomic.h>
#include <sys/types.h>

#include "bh_filter.h"
#include "bh_output.h"

/* What the host asks of a table before it trusts it: ABI, size, names, calls that must be there. */
BH_NODISCARD int bh_output_module_check(const struct bh_output_module *m, struct bh_error *err);

/* Is `text` a value of this setting? Its number as bh_output_uint() gives it. Opens nothing, reads no secret. */
BH_NODISCARD int bh_setting_check(const struct bh_setting *s, const char *text,
                                  uint64_t *ret_number, struct bh_error *err);

/* What the file of a BH_SETTING_SECRET holds, mixed into `mark`: another number when that is another. As it was when the
 * file cannot be read. */
uint64_t bh_setting_secret_mark(uint64_t mark, const char *text);

/* A value of BH_SETTING_LOOPBACK. */
BH_NODISCARD int bh_setting_loopback(const char *text, struct bh_ip *ret_ip, uint16_t *ret_port,
                                     struct bh_error *err);

/* ---- verdicts ---------------------------------------------------------------------------------------------- */

/*
 * Outcomes of TCP accesses come up to 30 s after their records, which are long on their way by then. They
 * are written on a board that all outputs read: one octet an access, by its number. Below `final` they
 * stay; from there to `written` they may change. Whoever comes later than BH_BOARD_ACCESSES accesses finds
 * them overwritten: `unknown`, counted.
 */
#define BH_BOARD_ACCESSES (1U << 20)
struct bh_board {
    _Atomic uint64_t written, final;
    _Atomic uint32_t has_served;
    uint32_t served[65536];
    _Atomic uint8_t outcome[BH_BOARD_ACCESSES];
};

/* Adds to a list of gaps: joins with the last of its kind when near, and makes room by joining. */
void bh_gap_add(struct bh_output_health *h, unsigned kind, int64_t start_ns, int64_t end_ns,
                uint64_t packets);

/* ---- our own exports ------------------------------------------------------------------------------------- */

/*
 * Which sockets an instance sends through, for who captures: one writer (the host of the instance), any number
 * of readers, who believe nothing of it but exact addresses and ports of this machine's end and the peer's.
 */
#define BH_OWN_SOCKETS 8U
#define BH_OWN_LINGER_NS 2000000000LL /* its last packets are captured when it is closed already */
struct bh_own_socket {
    uint8_t proto; /* BH_PROTO_TCP, BH_PROTO_UDP; 0: no socket                            */
    struct bh_ip near,
        far; /* near.family 0: not known before connect() returns: any address        */
    uint16_t near_port, far_port;
    int64_t until_ns; /* packets up to this time of day are its; INT64_MAX: it is open */
};
struct bh_own_board {
    _Atomic uint32_t turn; /* the newest whole one is socket[turn % 2]; the other is written */
    struct bh_own_socket socket[2][BH_OWN_SOCKETS];
};
/* The board as it was written last. False: it has not changed since *turn (0 at first); then `ret` stays. */
bool bh_own_read(const struct bh_own_board *board, uint32_t *turn,
                 struct bh_own_socket ret[BH_OWN_SOCKETS]);
/* Sockets of a process that is gone are closed. */
void bh_own_close_all(struct bh_own_board *board);

/* ---- one instance ------------------------------------------------------------------------------------------ */

struct bh_host_setting {
    const char *name, *value;
};
struct bh_host_config {
    const struct bh_output_module *module;
    const char *instance; /* "log"                                         */
    const struct bh_host_setting *settings;
    size_t setting_count;
    const struct bh_board *board; /* NULL: nothing is ever decided (tests)        */
    struct bh_own_board *own;     /* NULL: nobody asks                             */
    size_t hold_bytes;            /* batches that wait; 0: 64 MiB                  */
    /* Where batches wait on disk while the module does not take them, at most so many octets; NULL: they are not
     * taken then. What was left there by another process, or another sensor, is handed out first: with its own run,
     * and these countries. Not for modules that need frames. */
    const char *spool_dir;
    uint64_t spool_octets;
    const kobold *countries;
    void (*say)(void *arg, const char *instance, enum bh_say level, const struct bh_error *err);
    void *say_arg;                           /* may be NULL */
    int (*child_fd)(void *arg, bool broken); /* NEEDS_CHILD: bh_output_child_fd(); else NULL */
    void *child_arg;
};

#define BH_OUTPUT_OWN 8U
#define BH_OUTPUT_OWN_NAME 32U
struct bh_host_counters {
    _Atomic uint64_t offered_rows, written_rows, retried, failed_rows, held_rows, early_rows;
    _Atomic uint64_t missed_verdicts;
    _Atomic uint64_t turns; /* calls of the module that returned, and turns of its process */
    /* On disk: all that ever were, those that wait there now, octets, and those beyond the bound. */
    _Atomic uint64_t spooled_rows, spool_rows, spool_octets, spool_lost_rows;
    _Atomic uint64_t durable_number;     /* of the run: below are durable, or on disk */
    _Atomic uint64_t own[BH_OUTPUT_OWN]; /* bh_output_count()         */
    _Atomic uint64_t last_ns;            /* time of the newest record written */
    /* Their names: letters, digits and _ (what else a module says becomes _), "" while there is none. */
    char own_name[BH_OUTPUT_OWN][BH_OUTPUT_OWN_NAME];
};

struct bh_host; /* opaque; a struct bh_output lies in it */
BH_NODISCARD int
bh_host_new(const struct bh_host_config *cfg, struct bh_host **ret_host, struct bh_error *err);
/* Flushes (what is held is decided now), closes the module. */
void bh_host_free(struct bh_host *h);

/* Check settings without opening anything: for check-config. */
BH_NODISCARD int bh_host_check(const struct bh_host_config *cfg, struct bh_error *err);

/* `run` and what it points to stays as it is until the next run or free. `filter` (may be NULL) selects
 * what of it the instance gets; borrowed as well. */
BH_NODISCARD int
bh_host_run(struct bh_host *h, const struct bh_output_run *run, const struct bh_filter *filter);
/* Batch `number` of the run, of which the first TCP access has number `first_access` on the board and the
 * others count on. 0, BH_EAGAIN (offer it again, unchanged), or the module's error, which is counted
 * already: go on. DECIDED: the records are copied and wait. */
BH_NODISCARD int
bh_host_offer(struct bh_host *h, struct bh_batch *records, uint64_t number, uint64_t first_access);
/* The same with the frames of the records, one for each row: only for modules that declare that they need
 * them; others are not shown them. */
BH_NODISCARD int
bh_host_offer_frames(struct bh_host *h, struct bh_batch *records,
                     const struct bh_output_frame *frames, uint64_t number, uint64_t first_access);
void bh_host_health(struct bh_host *h, const struct bh_output_health *health);
/* Looks at the board: settles, hands out what was held. Returns what bh_host_offer() does. */
BH_NODISCARD int bh_host_tick(struct bh_host *h, int64_t now_ns);
/* With a spool: the module is too slow, what comes goes to disk from here on. */
void bh_host_make_way(struct bh_host *h);
/* Hands out one batch of what waits on disk. 1: there is more to do, 0: nothing waits, BH_EAGAIN: not now. */
BH_NODISCARD int bh_host_catch_up(struct bh_host *h);
/* Right after bh_host_run(): batches of the run below this number the module has already, or they are on disk, as a
 * predecessor left them. */
uint64_t bh_host_has(struct bh_host *h);
/* Batches of the run below this number are on disk, also those of a predecessor. */
uint64_t bh_host_spooled(const struct bh_host *h);
/* Flush now. Returns the module's answer; *ret_number as in bh_output_module.flush. */
BH_NODISCARD int bh_host_flush(struct bh_host *h, uint64_t *ret_number);
struct bh_host_counters *bh_host_counters(struct bh_host *h);
/* Count in shared memory instead, where the parent sees it; what the module counted before is added. */
void bh_host_count_in(struct bh_host *h, struct bh_host_counters *shared);
struct bh_output *bh_host_output(struct bh_host *h);

/* ---- the program of an instance (NEEDS_CHILD) ---------------------------------------------------------------- */

/* Who may start programs keeps this; who writes to them gets the descriptor, in the same process
 * (bh_child_fd) or through a socket (hand_to, a Unix socket; the other end: bh_child_end_fd). */
struct bh_child_config {
    const char *command;           /* of BH_SETTING_COMMAND                      */
    const char *instance, *sensor; /* told in its environment: BEHOLDER_OUTPUT, BEHOLDER_SENSOR */
    bool drop;                     /* become uid and gid, without other groups   */
    uid_t uid;
    gid_t gid;
    int hand_to; /* -1: the same process */
    void (*say)(void *arg, const char *instance, enum bh_say level, const struct bh_error *err);
    void *say_arg;
};
struct bh_child; /* opaque */
BH_NODISCARD int
bh_child_new(const struct bh_child_config *cfg, struct bh_child **ret, struct bh_error *err);
/* Starts it, notices that it ended, starts it again after a while. now_ns as in tick(). */
void bh_child_tick(struct bh_child *c, int64_t now_ns);
/* For who waits for any child: was it this one? */
bool bh_child_ended(struct bh_child *c, pid_t pid, int status, int64_t now_ns);
/* It is going to be freed: its end is no news, and it is not started again. */
void bh_child_stop(struct bh_child *c);
pid_t bh_child_pid(const struct bh_child *c); /* 0: not running */
int bh_child_fd(struct bh_child *c, bool broken);
/* Closes its input; one that does not end is ended: SIGTERM after 0.3 s, SIGKILL after 0.6 s. */
void bh_child_free(struct bh_child *c);

struct bh_child_end {
    int socket, fd; /* fd: -1 at first */
};
int bh_child_end_fd(void *end, bool broken); /* for bh_host_config.child_fd */

/* Words of a command as a shell splits them, without anything else a shell does. */
BH_NODISCARD int bh_command_split(const char *command, char **ret_text, char *ret_words[],
                                  size_t most, struct bh_error *err);
BH_NODISCARD int bh_descriptor_send(int socket, int fd);
int bh_descriptor_receive(int socket); /* -1: none has come */

/* ---- what a module is, in words ------------------------------------------------------------------------------- */

enum bh_describe_form { BH_DESCRIBE_TEXT, BH_DESCRIBE_MAN, BH_DESCRIBE_JSON };
void bh_output_describe(const struct bh_output_module *m, enum bh_describe_form form,
                        enum bh_lang lang, struct bh_buf *to);
const char *bh_setting_argument(const struct bh_setting *s); /* "SIZE", "csv|json" */

/* ---- frames on their way ------------------------------------------------------------------------------------ */

/*
 * Frames of the rows of a batch as octets, for another process: of the rows that `selected` (NULL: all)
 * names those that are there, each up to `snap` octets. What comes out of unpack() points into `data`, and
 * is checked: whatever the octets are, lengths are inside, or it is false. Rows without a frame have data
 * NULL.
 */
size_t bh_output_frames_packed_size(const struct bh_output_frame *frames, uint32_t rows,
                                    const uint8_t *selected, uint32_t snap);
void bh_output_frames_pack(const struct bh_output_frame *frames, uint32_t rows,
                           const uint8_t *selected, uint32_t snap, uint8_t *to);
BH_NODISCARD bool bh_output_frames_unpack(const uint8_t *data, size_t size, uint32_t rows,
                                          struct bh_output_frame *ret_frames);

#endif
