/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_output.h - what an output module is: the contract between a module and its host.
 *
 * A module takes judged records and brings them somewhere. It is a table (struct bh_output_module) and a
 * few functions; everything else is the host's: options, filters, retries, counters, confinement. One
 * process per instance, so a module may be slow, fail or crash, and nobody else notices. The module to
 * copy is modules/output/template; the guide is docs/guide/write-an-output-module.md.
 *
 * A batch is offered until it is taken, unchanged, in order, and possibly once more after a restart:
 * delivery is at least once, and (run->sensor, run->start_ns, number) names a batch for good, so that a
 * repeat can be told.
 *
 * Threads:   one; the host calls, one call at a time. A module may block, at its own cost: what comes
 *            meanwhile waits in a bounded queue, is lost beyond it, and is counted.
 * Ownership: what is passed to a call is the host's and lasts for that call; settings and the run last
 *            until the next run() or close(). State is behind bh_output_set_state(): no file-scope
 *            variables, as two instances may share a process (tests do).
 * Errors:    0, BH_EAGAIN (take back, offer again later), or a negative code after bh_output_say().
 *            Never print, never exit.
 */
#ifndef BH_OUTPUT_H
#define BH_OUTPUT_H

#include <errno.h>
#include <sys/socket.h>

#include "bh_event.h"
#include "kobold.h"

#define BH_OUTPUT_ABI 1U
#define BH_EAGAIN (-EAGAIN)

struct bh_output; /* an instance; the host's */

/* ---- settings ------------------------------------------------------------------------------------- */

enum bh_setting_type {
    BH_SETTING_TEXT,
    BH_SETTING_UINT,     /* decimal                                                         */
    BH_SETTING_BOOL,     /* yes, no                                                         */
    BH_SETTING_CHOICE,   /* one of `choices`                                                */
    BH_SETTING_DURATION, /* "90s", "15m", "2h", "7d"; a number of ns for the module         */
    BH_SETTING_SIZE,     /* "64k", "10M", "2G"; octets                                      */
    /* What these name is opened to the instance when it is confined, and nothing else is: */
    BH_SETTING_DIR,      /* a directory it writes into: made, and handed to the sensor's user */
    BH_SETTING_FILE_OUT, /* a file it writes, with others beside it (temporary names, rotation) */
    BH_SETTING_FILE_IN,  /* a file it reads                                                 */
    BH_SETTING_SECRET, /* a file whose first line is the value, or "credential:NAME" of systemd: the
                          * module sees the value                                             */
    BH_SETTING_PEER,   /* "host:port" or the path of a Unix socket: needs CONNECT           */
    BH_SETTING_COMMAND, /* a program with its arguments: needs CHILD                         */
    /* "127.0.0.1:9477", "[::1]:9477": where this machine alone may connect to */
    BH_SETTING_LOOPBACK,
};

struct bh_setting {
    const char *name; /* "max-size": as in beholder.conf                          */
    enum bh_setting_type type;
    const char *unit;         /* "", "octets", "records"                                  */
    const char *default_text; /* NULL: none; then it must be given when `required`        */
    const char *choices;      /* "csv|json"; CHOICE only                                  */
    uint64_t least, most;     /* UINT, DURATION (ns), SIZE; most 0: no bound              */
    bool required;
    const char *text[BH_LANGS];
};

/* The value of a setting, its default when it was not given, else NULL or 0. A name that is not in the
 * table is a bug of the module (assert). */
const char *bh_output_text(const struct bh_output *o, const char *name);
uint64_t bh_output_uint(const struct bh_output *o, const char *name); /* ns, octets; bool: 0, 1 */

/* ---- what comes ------------------------------------------------------------------------------------- */

/* The life of a sensor between two changes of what its records mean: start, another home, another
 * country database. */
struct bh_output_run {
    uint32_t size; /* of this structure */
    const char *sensor;
    int64_t start_ns;
    const char *source; /* interfaces, comma-joined */
    const char *home;   /* as bh_home_parse() reads it */
    const char *home_text[BH_LANGS];
    bool home_guessed, all_accesses, outcomes;
    const char *filter;      /* what the instance is given of what came; "": all        */
    const kobold *countries; /* what country numbers mean; NULL: there is no country     */
};

/* What was captured of a frame. */
struct bh_output_frame {
    const uint8_t *data; /* NULL: not given */
    uint32_t cap_len, wire_len;
    uint16_t link_type; /* LINKTYPE_... of tcpdump.org */
    uint16_t interface; /* 0, 1 ... of run->source     */
};

struct bh_output_batch {
    uint32_t size; /* of this structure */
    uint32_t rows;
    const struct bh_output_run *run;
    uint64_t number; /* 0, 1, 2 ... in the run. Numbers that are missing were lost (health), or had
                      * nothing for this instance */
    /* For modules of this tree, as its layout changes with the ABI. AT_ONCE: connection[] of a TCP access
     * is its number, for bh_output_verdict(). */
    const struct bh_batch *records;
    /* One for each row; NULL unless the module NEEDS_FRAMES. Octets last for the call, as all does. */
    const struct bh_output_frame *frames;
};

/* Value of the field with this permanent id (bh_fields, docs/format/fields) in a row; absent when the
 * record has none, or there is no such field. */
void bh_output_value(const struct bh_output_batch *b, uint32_t row, uint16_t field,
                     struct bh_value *ret_value);
/* The registered country of an end: "JP", "EU"; "" when it has none. `source`: else the destination. */
void
bh_output_country(const struct bh_output_batch *b, uint32_t row, bool source, char ret_code[4]);

/* What did not become records. Sums over the run so far. */
enum bh_gap_kind {
    BH_GAP_KERNEL = 0, /* the kernel had no room in the ring                  */
    BH_GAP_QUEUE,      /* this output did not keep up, or was not there       */
    BH_GAP_DEAD,       /* a process of the sensor died with them              */
    BH_GAP_DOWN,       /* the interface was down or gone: packets not known   */
    BH_GAP_KINDS,
};
const char *bh_gap_name(unsigned kind); /* "kernel" ...; never NULL */
struct bh_gap {
    int64_t start_ns, end_ns; /* all of them came in between */
    uint64_t packets;
    uint32_t kind;
};
#define BH_OUTPUT_GAPS_MAX 64U /* then the two nearest become one */
struct bh_output_health {
    uint32_t size; /* of this structure */
    uint32_t gap_count;
    struct bh_gap gap[BH_OUTPUT_GAPS_MAX]; /* by start */
    uint64_t lost[BH_GAP_KINDS];           /* packets  */
    uint64_t frames;                       /* that came to the sensor                          */
    uint64_t own;                          /* of them our own exports, left out                */
    uint64_t steps_back, clock_steps;
    uint64_t flows_lost, conversations_lost, repeats_lost, held_early; /* bh_track_bounds */
    uint64_t duplicates; /* records that are marked as copies of another */
};
const struct bh_output_health *bh_output_health(const struct bh_output *o);
/* Connections by home port that carried payload, 65,536 of them; NULL: not known. */
const uint32_t *bh_output_served(const struct bh_output *o);

/* AT_ONCE: the outcome of TCP access `number`, as far as it is known (enum bh_outcome). Numbers count up
 * and come round after 2^32. */
unsigned bh_output_verdict(const struct bh_output *o, uint32_t number);

/* ---- the module ---------------------------------------------------------------------------------------- */

enum bh_output_when {
    /* Records come when their outcome is final: up to 30 s after the packet. The usual choice. */
    BH_OUTPUT_DECIDED = 0,
    /* Records come within a second; outcome of TCP accesses is NONE, and follows: settle(). For who can
     * write it later. */
    BH_OUTPUT_AT_ONCE = 1,
};
/* What it may do beyond files its settings name; confinement grants no more. */
enum {
    BH_OUTPUT_NEEDS_CONNECT = 1 << 0, /* sockets to its peers                                     */
    BH_OUTPUT_NEEDS_RESOLVE = 1 << 1, /* names of peers: /etc/hosts, resolv.conf, DNS             */
    /* Octets of the frames that its filter selects, not only headers; AT_ONCE only, as nobody keeps
     * octets for 30 s. */
    BH_OUTPUT_NEEDS_FRAMES = 1 << 2,
    BH_OUTPUT_NEEDS_CHILD = 1 << 3, /* a program that the parent starts: bh_output_child_fd()   */
    BH_OUTPUT_NEEDS_THREADS = 1 << 4,
};

struct bh_output_module {
    uint32_t abi_major,
        size; /* BH_OUTPUT_ABI, sizeof(struct bh_output_module): checked when loaded */
    const char *name;
    const char *summary[BH_LANGS];
    const struct bh_setting *settings;
    uint32_t setting_count;
    uint32_t when;  /* enum bh_output_when  */
    uint32_t needs; /* BH_OUTPUT_NEEDS_... */

    /* Settings are there, the run is not. Before the instance is confined: open what is needed. */
    int (*open)(struct bh_output *o);
    /* A run begins (also the first); all batches of the one before were offered. May be NULL. */
    int (*run)(struct bh_output *o, const struct bh_output_run *run);
    /* All of the batch or nothing. 0: it is the module's. BH_EAGAIN: offered again, later, unchanged.
     * Else: lost, counted, said. */
    int (*write)(struct bh_output *o, const struct bh_output_batch *batch);
    /* AT_ONCE only: the verdicts of all batches of the run with numbers below are final. May be NULL. */
    int (*settle)(struct bh_output *o, uint64_t number);
    /* Make what was taken durable. *ret_number: all batches of the run with numbers below are; the host
     * keeps the others for as long as it has room. Called once a second and before close(), and right after
     * run(): then it is what a process before this one left, 0 where the module cannot know. NULL: what was
     * taken is durable. */
    int (*flush)(struct bh_output *o, uint64_t *ret_number);
    /* Some four times a second, in any state: rotate, reconnect, time out. now_ns is the time of day (UTC)
     * and only goes forward. May be NULL. */
    int (*tick)(struct bh_output *o, int64_t now_ns);
    /* The last call; also after an open() that failed, with whatever state it had set. */
    void (*close)(struct bh_output *o);
};

/* ---- what a module asks of its host ------------------------------------------------------------------------ */

void bh_output_set_state(struct bh_output *o, void *state);
void *bh_output_state(const struct bh_output *o);
const char *bh_output_instance(const struct bh_output *o); /* its name in beholder.conf */
const struct bh_output_run *bh_output_run(const struct bh_output *o); /* NULL before the first */

enum bh_say { BH_SAY_ERROR, BH_SAY_WARNING, BH_SAY_NOTE };
/* A line for the sensor's log, in both languages; the same line is said at most once a minute. */
void bh_output_say(struct bh_output *o, enum bh_say level, const struct bh_error *err);
/* NEEDS_CHILD: where to write to the program that the host started, without waiting (O_NONBLOCK); -1 while
 * none runs. `broken`: the one that was given takes no more (EPIPE, POLLERR); the host closes it, and
 * another comes when the program runs again. It stays the same until that is said. */
int bh_output_child_fd(struct bh_output *o, bool broken);
/* connect(), and tell the sensor: what goes over this socket is our own export, which capture leaves out and counts
 * (bh_output_health.own) while the socket is open. At most BH_OWN_SOCKETS at a time are known. Bind nothing before.
 * Returns what connect() does, with errno. Sockets of any other family than IPv4 and IPv6: connect(), no more. */
int bh_output_connect(struct bh_output *o, int fd, const struct sockaddr *to, socklen_t len);
/* close() what bh_output_connect() was given. */
void bh_output_disconnect(struct bh_output *o, int fd);
/* A counter of the module's own, for `beholder status`: 0 to 7, named in the order of first use. */
void bh_output_count(struct bh_output *o, const char *name, uint64_t more);
/* What it says since the start of the sensor: also what a process before this one counted, from the first run() on. */
uint64_t bh_output_counted(struct bh_output *o, const char *name);

#endif
