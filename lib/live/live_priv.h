/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two ways to frames share: rings of the kernel's (live.c, read.c), and libpcap (pcap.c). */
#ifndef BH_LIVE_PRIV_H
#define BH_LIVE_PRIV_H

#include <net/if.h>

#include "program_priv.h"

enum { TESTS_MAX = 256, LINKTYPE_ETHERNET = 1, LINKTYPE_RAW = 101, LIVE_TAG_LEN = 4 };

struct ring {
    char name[IFNAMSIZ];
    /* index 0: "any", -1: not there; with libpcap: fd only asks about the interface */
    int fd, index;
    uint32_t block_bytes, blocks;
    bool is_member; /* of the group of its interface's rings */
    uint32_t epoch; /* rings that were here before */
    /* Of the process that reads: */
    uint8_t *map;
    uint32_t at;         /* block                                    */
    uint64_t number;     /* of that block, as the kernel counts       */
    const uint8_t *next; /* frame header in it; NULL: not looked at */
    uint32_t left;       /* frames from there on                     */
    uint32_t skip;       /* of the block to come: whoever was before us read them */
    uint32_t done;       /* blocks before `at` that were read and not given back */
};

struct pcap_side; /* of the process that reads through libpcap */
struct bh_live {
    struct ring ring[BH_LIVE_RINGS]; /* `each` of an interface, one interface after another */
    size_t count;                    /* of interfaces */
    unsigned each;
    uint64_t bytes;  /* of all of an interface, asked for */
    bool several;    /* rings that wait for one another */
    int64_t late_ns; /* ... so long at most */
    uint32_t renewed;
    bool promiscuous, whole_frames;
    bool with_pcap, broken;
    struct pcap_side *pcap;
    struct bh_live_choice choice; /* tests of it: */
    struct bh_live_test keep[TESTS_MAX], whole[TESTS_MAX];
};

bool live_is_any(const struct ring *r);
int live_fail(int code, const char *name, struct bh_error *err);
int64_t live_now_ns(void);
void live_watch_all(int fd, int index); /* promiscuous */
#define LIVE_LATE_NS                                                                               \
    300000000LL /* of libpcap: while an interface is silent, younger frames of others wait */

/* ---- pcap.c: as the functions of bh_live.h -------------------------------------------------------------- */

/* Is it there, and may it be captured from? */
BH_NODISCARD int live_pcap_try(struct bh_live *l, struct ring *r, struct bh_error *err);
BH_NODISCARD int live_pcap_attach(struct bh_live *l, struct bh_error *err);
void live_pcap_close(struct bh_live *l);
unsigned live_pcap_read(struct bh_live *l, unsigned most, struct bh_frames *f);
void live_pcap_take_stats(struct bh_live *l, struct bh_live_stats *ret);
int live_pcap_fd(const struct bh_live *l, size_t interface);

#endif
