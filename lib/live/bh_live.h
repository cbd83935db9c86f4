/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_live.h - frames out of network interfaces, as they come: AF_PACKET rings (TPACKET_V3).
 *
 * Two halves, for two processes. bh_live_open() makes sockets and rings and needs CAP_NET_RAW; the object
 * then lives on both sides of a fork(). The process that reads calls bh_live_attach(), which maps the
 * rings, and needs no privilege from then on. As long as any process has the sockets open, a ring keeps
 * what the kernel put there: who attaches next goes on where the one before ended.
 *
 * Frames are handed out as bh_capture.h has them: a block of pointers into the ring, in order of time over
 * all interfaces and their rings. Payload does not leave the kernel (docs/design/sensor.md, "Header-only").
 *
 * Threads:   one; frames that were handed out may be looked at by others.
 * Ownership: frames are valid until they are given back (bh_live_done); with libpcap, until the next read.
 * Errors:    an interface that is down, or not there yet, is no error: it is waited for.
 */
#ifndef BH_LIVE_H
#define BH_LIVE_H

#include "bh_capture.h"

#define BH_LIVE_INTERFACES 16U
#define BH_LIVE_THREADS 16U
#define BH_LIVE_RINGS 64U    /* interfaces times threads */
#define BH_LIVE_SNAP 262144U /* with whole frames */

struct bh_live_config {
    const char *const *interfaces; /* names, or "any"                                        */
    size_t count;
    unsigned threads;    /* rings of each interface, in a group (PACKET_FANOUT); 0, 1: one */
    uint64_t ring_bytes; /* of each interface; 0: 32 MiB                                    */
    bool promiscuous;
    bool with_pcap;    /* by way of libpcap instead of rings: see bh_live_attach()          */
    bool whole_frames; /* there will be some: blocks that hold the largest                 */
};

struct bh_live; /* opaque */
BH_NODISCARD int
bh_live_open(const struct bh_live_config *cfg, struct bh_live **ret_live, struct bh_error *err);
void bh_live_close(struct bh_live *l);

/* What the kernel keeps of all that comes from now on (struct bh_live_choice below; NULL: headers of all, as at
 * first). Copied. Returns how much of the choice is in force: what does not fit into the kernel is left out, for more. */
enum bh_live_chosen { BH_LIVE_CHOSE_ALL, BH_LIVE_CHOSE_SOME, BH_LIVE_CHOSE_NONE };
struct bh_live_choice;
enum bh_live_chosen bh_live_choose(struct bh_live *l, const struct bh_live_choice *choice);
/* Interfaces that were not there, or went: bind those that are there now. Cheap; the parent calls it when
 * netlink says that something changed. */
void bh_live_rebind(struct bh_live *l);
/* How often that made new rings, as those of a group cannot be bound again. Who reads has the old ones and takes what is
 * there; then another process, forked since, has to read. */
uint32_t bh_live_renewed(const struct bh_live *l);
/* Is it there, and up? */
bool bh_live_is_up(const struct bh_live *l, size_t interface);
const char *bh_live_name(const struct bh_live *l, size_t interface);
size_t bh_live_count(const struct bh_live *l);
unsigned bh_live_rings(const struct bh_live *l); /* of each interface */
/* of all of them, as they were made */
uint64_t bh_live_ring_bytes(const struct bh_live *l, size_t interface);

/* In the process that reads. `place` (may be NULL): where it is to go on, in a block that was not given
 * back. */
struct bh_live_place {
    struct {
        uint64_t block;  /* its number, from 1 */
        uint32_t frames; /* of it, that were read */
        uint32_t epoch;  /* of which ring */
    } ring[BH_LIVE_RINGS];
};
BH_NODISCARD int
bh_live_attach(struct bh_live *l, const struct bh_live_place *place, struct bh_error *err);
/* With libpcap this opens the interfaces, with CAP_NET_RAW, and waits for those that are not there; payload comes out of the
 * kernel and is cleared before anything else sees it; no choice drops anything; an interface that goes breaks it, and
 * whoever attaches next begins anew. */
bool bh_live_is_broken(const struct bh_live *l);
/* Where the next read goes on. */
void bh_live_get_place(const struct bh_live *l, struct bh_live_place *ret);
/* The next 1 .. `most` frames; 0: none are ready. */
unsigned bh_live_read(struct bh_live *l, unsigned most, struct bh_frames *f);
/* Give back the blocks that were read to their ends: their octets are gone. Of what was read beyond `upto`, a place that
 * bh_live_get_place() told, nothing is. */
void bh_live_done(struct bh_live *l, const struct bh_live_place *upto);
/* Until frames are ready, `fd` (-1: none) is readable, or so many ms have passed. True: `fd` is readable. */
bool bh_live_wait(struct bh_live *l, int fd, int timeout_ms);

/* Since the last call: frames that passed the filter, and of them those that found no room. `full`: such a
 * loss is going on, or the ring is nearly full. */
struct bh_live_stats {
    uint64_t frames, dropped;
    struct {
        uint64_t frames, dropped;
    } each[BH_LIVE_INTERFACES];
};
void bh_live_take_stats(struct bh_live *l, struct bh_live_stats *ret);

/* ---- how much of a frame is kept ----------------------------------------------------------------------- */

/* Filters as far as the kernel can ask them: tests in postfix order, at most 256, negated at their leaves only. */
enum bh_live_test_type {
    BH_LIVE_TEST_ANY,  /* what the kernel cannot tell: it may hold    */
    BH_LIVE_TEST_KIND, /* a: 4, 6: IP of this version; else none      */
    BH_LIVE_TEST_PROTO,
    BH_LIVE_TEST_NET4, /* (address & b) == a                          */
    BH_LIVE_TEST_NET6,
    BH_LIVE_TEST_PORT, /* a .. b                                      */
    BH_LIVE_TEST_AND,
    BH_LIVE_TEST_OR,
};
enum bh_live_end {
    BH_LIVE_END_EITHER,
    BH_LIVE_END_SOURCE,
    BH_LIVE_END_DESTINATION,
    BH_LIVE_END_BOTH
};
struct bh_live_test {
    enum bh_live_test_type type;
    enum bh_live_end end;
    bool negated;
    uint32_t a, b;
    uint64_t hi, lo, mask_hi, mask_lo;
};
struct bh_live_tests {
    const struct bh_live_test *test;
    unsigned count; /* 0: none */
};
struct bh_live_choice {
    /* none: all. Packets that it cannot select, in neither direction, are dropped */
    struct bh_live_tests keep;
    struct bh_live_tests
        whole;      /* none: of none. Packets that it may select are kept whole             */
    bool whole_all; /* all are                                                              */
};

enum bh_live_link {
    BH_LIVE_ETHERNET,
    BH_LIVE_RAW_IP,
    BH_LIVE_ANY,
    BH_LIVE_COOKED /* LINKTYPE_LINUX_SLL2 */
};
struct bh_live_instruction { /* as struct sock_filter */
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};
#define BH_LIVE_PROGRAM_MAX 2048U
/* The socket filter that answers with the length of the headers; of what is kept whole with BH_LIVE_SNAP, of what is
 * dropped with 0. `choice` may be NULL: headers of all. Returns how many instructions; 0: it is longer than that. */
unsigned bh_live_header_program(enum bh_live_link link, const struct bh_live_choice *choice,
                                struct bh_live_instruction ret[BH_LIVE_PROGRAM_MAX]);
/* The same program run here over a frame, as the kernel would (ancillary words are those given). For tests,
 * and for sources of frames without a filter in the kernel. */
struct bh_live_aux {
    uint32_t pkttype, hatype, protocol;
};
uint32_t bh_live_run(const struct bh_live_instruction *program, unsigned count, const uint8_t *data,
                     uint32_t len, const struct bh_live_aux *aux);

#endif
