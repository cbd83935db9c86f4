/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the processes of a sensor share, and the calls between its files.
 *
 * Memory that is shared, each piece with one writer:
 *   struct plan       the parent writes, all read         what records mean
 *   struct capture    capture writes, the parent reads    counters, and what its successor needs
 *   struct bh_board   capture writes, outputs read        outcomes
 *   struct bh_own_board   the output writes, capture reads    its sockets
 *   struct outlet     the output writes, the parent reads its counters
 *   queue             capture and the output              lib/ipc
 */
#ifndef BH_SENSOR_PRIV_H
#define BH_SENSOR_PRIV_H

#include <signal.h>
#include <sys/types.h>

#include "bh_ipc.h"
#include "bh_packet.h"
#include "bh_sensor.h"
#include "bh_track.h"

/* ---- shared ---------------------------------------------------------------------------------------------- */

#define RUNS 16U /* the newest; older ones are over for every output */

struct plan_run {
    int64_t start_ns;
    bool home_guessed;
    uint32_t countries; /* which database of the parent's */
    char sensor[64], source[256], home[1024], home_text[BH_LANGS][512];
};
struct plan {
    _Atomic uint32_t run; /* number of the newest */
    _Atomic uint32_t up[BH_LIVE_INTERFACES];
    /* made anew: capture takes what the old ones have, and ends (bh_live_renewed) */
    _Atomic uint32_t rings;
    _Atomic uint32_t changes; /* of the set of outputs, so far (change.c)          */
    _Atomic uint32_t
        ends[BH_SENSOR_OUTPUTS]; /* nothing more comes: take what is there, and end   */
    struct plan_run runs[RUNS];
};

/* Per output, as capture sees it. Plain numbers that only capture touches, for its successor; atomic ones
 * for the parent. */
struct sent {
    _Atomic uint64_t rows, lost_rows;
    uint64_t number_end; /* batches of the run below were sent or counted as lost */
    uint64_t row;        /* rows of the run that were sent */
    struct bh_output_health health;
    bool health_changed, in_gap;
    uint32_t generation; /* of the output that the numbers are of */
};

struct capture {
    _Atomic uint64_t frames, kernel_lost, rows, accesses, undecoded, cut, clock_steps;
    _Atomic uint64_t reason[BH_REASON_COUNT];
    struct {
        _Atomic uint64_t frames, lost;
    } interface[BH_LIVE_INTERFACES];
    _Atomic uint64_t turn_ns;      /* of the clock that only goes forward: it is not stuck */
    _Atomic uint32_t confined;     /* CONFINED_... */
    _Atomic uint32_t changes_done; /* of plan->changes */
    /* For who comes after: */
    uint64_t unread; /* with libpcap: frames that died with a process */
    uint32_t run;
    uint64_t number;                  /* of the batch at hand */
    _Atomic uint64_t own, duplicates; /* frames of our own exports; records marked as copies */
    uint64_t own_before, duplicates_before; /* what these were when the run began */
    uint64_t own_after, duplicates_after;   /* what these are after the batch at hand */
    uint64_t batch_rows; /* its rows: sent to some outputs, when it dies in between */
    bool in_batch;       /* ... which is now */
    struct bh_live_place before, after; /* the ring before and after that batch */
    int64_t last_ns, batch_first_ns, batch_last_ns;
    struct sent sent[BH_SENSOR_OUTPUTS];
};

/* Of an output, as itself sees it. */
struct outlet {
    struct bh_host_counters counters;
    _Atomic uint32_t confined;     /* CONFINED_... */
    uint32_t run;                  /* that its numbers are of */
    _Atomic uint64_t rows_durable; /* rows of the run that need not come again */
    uint64_t number_durable;
    struct bh_gap dead; /* what a predecessor had taken and not made durable */
    uint64_t dead_rows;
    /* Rows with and before a batch, of the last ones that were taken: for a successor, who learns from the module which
     * of them it has. */
    struct {
        uint64_t number, rows;
    } taken[16384];
};

/* ---- messages (message.c) ---------------------------------------------------------------------------------- */

enum message { MESSAGE_BATCH = 1, MESSAGE_HEALTH, MESSAGE_END, MESSAGE_FRAMES };

struct batch_head {
    uint32_t run, rows;
    uint64_t number, first_access,
        row; /* row: rows of the run that were sent to this output before */
};
#define MESSAGE_MAX 65536U /* a whole batch of IPv6 is half of it */
/* FRAMES, only for an output whose module declares that it needs them: head, octets of the packed batch (32
 * bits), the batch, the frames. At most so long, and a quarter of the queue: when very many large frames
 * come at once, the largest of them are cut, all at the same length. */
#define MESSAGE_FRAMES_MAX BH_QUEUE_MESSAGE_MAX

size_t message_batch_size(const struct bh_batch *b);
void message_batch_put(uint8_t *to, const struct batch_head *h, const struct bh_batch *b);
/* Checked. */
bool message_batch_get(const uint8_t *data, uint32_t size, struct batch_head *ret_head,
                       struct bh_batch *ret);
/* FRAMES. `frame` (BH_BATCH_ROWS of them) points into `data`. */
bool message_frames_get(const uint8_t *data, uint32_t size, struct batch_head *ret_head,
                        struct bh_batch *ret, struct bh_output_frame *ret_frame);
/* The longest frames may be so that those `selected` take at most `room` octets. */
uint32_t message_frames_snap(const struct bh_output_frame *frame, uint32_t rows,
                             const uint8_t *selected, size_t room);
bool message_health_get(const uint8_t *data, uint32_t size, struct bh_output_health *ret);

/* Adds to a list of gaps: joins with the last of its kind when near, and makes room by joining. */
static inline void
gap_add(struct bh_output_health *h, unsigned kind, int64_t start_ns, int64_t end_ns,
        uint64_t packets)
{
    bh_gap_add(h, kind, start_ns, end_ns, packets);
}

/* ---- the whole ------------------------------------------------------------------------------------------------ */

/* From nothing to nothing. LEAVES: capture was told and has not said yet that it sends no more; ENDS: its process takes
 * what is in the queue. */
enum output_state { OUTPUT_NONE, OUTPUT_RUNS, OUTPUT_LEAVES, OUTPUT_ENDS };

struct output {
    enum output_state state;
    char name[64];
    const struct bh_output_module *module;
    uint32_t needs;                        /* of the module */
    const struct bh_sensor_output *config; /* NULL when it leaves */
    uint64_t mark;
    uint32_t generation; /* 1, 2 ...: no two outputs of this sensor have the same */
    int from;            /* the output it takes the place of, which has to end first; -1: none */
    int queue_fd;        /* of one that came later; -1: its memory was there before any process */
    bool restarts_now;   /* its process was told to end, so that another begins */
    bool stands_in;      /* ... which is one without the module: what comes goes to the spool */
    bool no_stand_in;    /* one of these failed */
    bool was_stuck;      /* and was killed for it; then how often, the last time in a row */
    unsigned stuck;
    uint64_t turns;    /* of its process, as they were seen last to change */
    int64_t turned_ns; /* and when: monotonic */
    int64_t kill_ns;   /* ENDS: then it has had its time */
    void *queue;
    size_t queue_size;
    struct outlet *outlet;
    int wake_fd; /* eventfd: capture wakes it */
    struct bh_filter *filter;
    pid_t pid;
    uint64_t restarts;              /* in a row: how long to wait  */
    uint64_t all_restarts;          /* since the start             */
    int64_t started_ns, restart_ns; /* monotonic */
    int64_t since_ns;               /* the same, of the process that runs */
    struct bh_child *child;         /* NEEDS_CHILD: its program, started by the parent */
    int child_fd[2];                /* parent's end, output's end                       */
    char spool[4096];               /* its directory; "": none                          */
};

/* (countries.c) */
struct countries {
    kobold *k; /* NULL: none */
    void *memory;
    size_t size;
};
/* NULL: the installed one. As kobold_open() */
BH_NODISCARD int sensor_countries_open(const char *path, struct countries *ret);
void sensor_countries_close(struct countries *c);

struct sensor {
    const struct bh_sensor_config *config;
    struct bh_live *live;
    struct plan *plan;
    struct capture *capture;
    struct bh_board *board;
    struct output output[BH_SENSOR_OUTPUTS];
    size_t output_count;
    struct countries countries[RUNS]; /* by plan_run.countries % RUNS */
    uint32_t countries_newest;        /* a process that was forked before has not the newer ones */
    pid_t capture_pid, parent_pid;
    int64_t started_ns, capture_started_ns; /* monotonic */
    uint64_t capture_restarts;
    int64_t capture_restart_ns;
    int say_fd[2];    /* what children say: lines, to the parent */
    int change_fd[2]; /* changes of outputs: the parent's end, capture's */
    uint32_t generations;
    bool whole_frames;                       /* the rings have them */
    const struct bh_sensor_config *in_force; /* the program's */
    char *fixed;                             /* what does not change while it runs */
    struct bh_sensor_config own;             /* what `config` points to */
    int netlink_fd;
    uint8_t *sockets;   /* OWN_PAGE for each place of an output: what it sends through */
    bool kernel_filter; /* frames are counted behind it */
    uid_t uid;
    gid_t gid;
    bool drops; /* started by root */
    bool stopped;
    char user[64];
    char home[1024];
    struct serve *serve;
    struct bh_ip listener; /* of metrics, on loopback; family 0: none */
    uint16_t listener_port;
    /* of the status socket, when none is asked for; "": nowhere */
    char run_dir[BH_SENSOR_PATH_MAX];
    int notify_fd; /* of the service manager; -1: none */
    int64_t watchdog_ns, watchdog_said_ns, notify_status_ns;
    uint64_t gone_lost; /* records lost by outputs that are no more */
    char waits[256];    /* keys of a new configuration that want a restart; "": none */
    int64_t watched_ns; /* the last turn of children_watch() */
    uint64_t notify_records;
};

/* Set by the handler that sensor_catch() installs. */
extern volatile sig_atomic_t sensor_stop, sensor_reload;
void sensor_catch(void);
int64_t sensor_clock_ns(void); /* only goes forward */
int64_t sensor_time_ns(void);  /* of day */
/* From a child to the parent's say(). */
void
sensor_say(const struct sensor *s, const char *who, enum bh_say level, const struct bh_error *err);

void sensor_say_plain(const struct sensor *s, const char *who, enum bh_say level, const char *en,
                      const char *ja);
void sensor_pass_on(struct sensor *s); /* what children have said since */

void *sensor_shared_new(size_t size); /* memory for all processes; NULL: none */

/* Outputs (outputs.c): checked, with filter and program; then what capture and the output share. The caller closes what
 * failed. */
BH_NODISCARD int output_prepare(struct sensor *s, const struct bh_sensor_output *c,
                                struct output *o, struct bh_error *err);
BH_NODISCARD int output_share(struct output *o, bool by_descriptor, struct bh_error *err);
BH_NODISCARD int output_parse_filter(const struct sensor *s, const struct bh_sensor_output *c,
                                     struct bh_filter **ret, struct bh_error *err);
void output_close_program(struct output *o);
void output_close(struct output *o);

/* ---- changes of outputs, to capture (change.c) ----------------------------------------------------------------- */

struct change {
    uint32_t slot, generation;
    bool ends;       /* else it begins */
    int32_t from;    /* whose sums it takes over; -1: nobody's */
    uint32_t frames; /* its module needs them */
    uint64_t queue_size;
    char filter[4096]; /* which frames; "": all */
};
/* fd NULL: none */
BH_NODISCARD int change_send(int socket, const struct change *c, const int fd[2]);
BH_NODISCARD bool change_receive(int socket, struct change *ret, int ret_fd[2]);

/* ---- a configuration that was read again (reload.c) ------------------------------------------------------------- */

void reload_turn(struct sensor *s, int64_t now_ns);

/* What records mean (runs.c). */
#define NO_HOME "127.0.0.1,::1" /* until an interface has an address */
BH_NODISCARD int runs_plan(struct sensor *s, const char *home, bool guessed, uint32_t countries,
                           struct bh_error *err);
BH_NODISCARD int runs_first(struct sensor *s, struct bh_error *err);
void runs_look_at_interfaces(struct sensor *s, bool changed);

/* The processes as the parent sees them (children.c). */
BH_NODISCARD int children_start(struct sensor *s, struct bh_error *err);
void children_reap(struct sensor *s, bool stopping);
void children_start_again(struct sensor *s);
/* Outputs that do not come back from a call. */
void children_watch(struct sensor *s, int64_t now_ns);
/* A process of an output ends as always, and another one takes its place. */
void children_end_output(struct output *o);
/* Capture first, so that the outputs get all of it; then whoever is still there is ended. */
void children_stop(struct sensor *s);

/* The processes: never return. `ready_fd` is closed when the process is confined. */
_Noreturn void capture_run(struct sensor *s);
_Noreturn void outlet_run(struct sensor *s, size_t output);

/* ---- threads of capture (decoders.c) ------------------------------------------------------------------------------- */

struct decoders; /* opaque */
struct decoders_block {
    struct bh_frames *frames;
    struct bh_batch *batch;     /* decoded of them ...                        */
    uint32_t at;                /* ... up to here: more do not fit in a batch */
    struct bh_live_place after; /* where reading goes on behind them          */
};
/* As many threads as are configured, the caller among them; the others are confined. */
BH_NODISCARD int
decoders_new(const struct sensor *s, struct decoders **ret_decoders, struct bh_error *err);
/* The next block, decoded; NULL: no frames are ready. It is who calls' until it is given back. */
struct decoders_block *decoders_next(struct decoders *c);
/* another batch of it; false: there is no more */
bool decoders_decode_rest(struct decoders *c, struct decoders_block *b);
void decoders_give(struct decoders *c);

/* ---- our own exports (own.c) ---------------------------------------------------------------------------------- */

#define OWN_MAX (BH_SENSOR_OUTPUTS * BH_OWN_SOCKETS)
/* Of each place of an output a page, which its process alone can write to. */
#define OWN_PAGE 4096U
_Static_assert(sizeof(struct bh_own_board) <= OWN_PAGE, "one page each");
struct sensor;
struct bh_own_board *own_board(const struct sensor *s, size_t output);
/* In a child: all of them are read (capture), or its own is written and the others are not there. */
void own_leave_only(struct sensor *s, size_t mine, bool is_capture);
struct own {
    struct bh_ip listener; /* of metrics; family 0: none */
    uint16_t listener_port;
    uint32_t turn[BH_SENSOR_OUTPUTS];
    struct bh_own_socket of[BH_SENSOR_OUTPUTS][BH_OWN_SOCKETS]; /* as they were read last */
    struct bh_own_socket socket[OWN_MAX];                       /* of them those there are */
    uint32_t count;
};
/* What outputs have written since the last time. */
void own_look(struct own *w, const struct sensor *s);
/* Marks rows that are packets of these sockets, of both directions; returns how many there are. */
uint32_t own_mark(const struct own *w, const struct bh_batch *b, uint8_t ret_own[BH_BATCH_ROWS]);

/* ---- copies of frames (duplicates.c) -------------------------------------------------------------------------- */

struct duplicates;                       /* opaque */
struct duplicates *duplicates_new(void); /* NULL: no memory */
void duplicates_free(struct duplicates *d);
/* Marks rows that are copies (BH_MARK_DUPLICATE); returns how many. `interface`: of each row, as the kernel numbers
 * them. Rows come in order of time. */
uint32_t
duplicates_mark(struct duplicates *d, struct bh_batch *b, const uint16_t interface[BH_BATCH_ROWS]);

/* ---- what the kernel leaves out (prefilter.c) -------------------------------------------------------------------- */

/* By the filters of the outputs; again whenever these change. */
void prefilter_choose(struct sensor *s);
/* "Or this filter": behind `count` tests. Returns how many there are; 0: it may select anything, or there is no room. */
unsigned
prefilter_add(struct bh_live_test to[BH_FILTER_PARTS], unsigned count, const struct bh_filter *f);

/* ---- the service manager (notify.c) ---------------------------------------------------------------------------- */

void notify_open(struct sensor *s);
void notify_ready(const struct sensor *s);
void notify_reloading(const struct sensor *s);
void notify_stopping(const struct sensor *s);
void notify_turn(struct sensor *s, int64_t now_ns); /* STATUS, WATCHDOG */

/* ---- confinement (confine.c) --------------------------------------------------------------------------------- */

#define CAPTURE_NEW_RINGS 3 /* exit code of a process that has the old ones */

enum role { ROLE_CAPTURE, ROLE_OUTPUT };
enum { CONFINED_CAPABILITIES = 1, CONFINED_LANDLOCK = 2, CONFINED_SECCOMP = 4 };
unsigned confine_landlock_abi(void); /* of this kernel; 0: none */
/* Who to become; whose directories are. */
BH_NODISCARD int confine_find_user(struct sensor *s, struct bh_error *err);
/* In the parent, when all is open: no root from here on, CAP_NET_RAW stays when there is one to keep. */
BH_NODISCARD int confine_drop(struct sensor *s, struct bh_error *err);
/* In a child: no capability, no new one, and the role's system calls and paths. *ret_confined: what is in force. */
BH_NODISCARD int confine_role(const struct sensor *s, enum role role, const struct output *output,
                              _Atomic uint32_t *ret_confined, struct bh_error *err);
/* Make the directories that settings name, and hand them to the user. */
BH_NODISCARD int
confine_hand_over(struct sensor *s, const struct bh_sensor_output *output, struct bh_error *err);
/* The same for one that nobody else is to look into. */
BH_NODISCARD int confine_hand_over_own(struct sensor *s, const char *dir, struct bh_error *err);
/* Afterwards: can the files that settings name be written by who we have become? */
BH_NODISCARD int confine_check_files(const struct sensor *s, const struct bh_sensor_output *output,
                                     struct bh_error *err);

/* ---- addresses of interfaces (home.c) --------------------------------------------------------------------------- */

/* As bh_home_parse() reads it; empty: there is none. */
void home_of_interfaces(const struct sensor *s, char *ret, size_t size);
BH_NODISCARD int
home_listen(void); /* a netlink socket that is readable when something changed; or negative */
bool home_changed(int fd);

#endif
