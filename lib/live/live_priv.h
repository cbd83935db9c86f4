/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two ways to frames share: rings of the kernel's (live.c), and libpcap (pcap.c). */
#ifndef BH_LIVE_PRIV_H
#define BH_LIVE_PRIV_H

#include <net/if.h>

#include "program_priv.h"

enum { TESTS_MAX = 256, LINKTYPE_ETHERNET = 1, LINKTYPE_RAW = 101 };

struct ring {
    char name[IFNAMSIZ];
    int fd, index; /* index 0: "any", -1: not there; with libpcap: fd only asks about the interface */
    uint32_t block_bytes, blocks;
    /* Of the process that reads: */
    uint8_t *map;
    uint32_t at;         /* block                                    */
    const uint8_t *next; /* frame header in it; NULL: not looked at */
    uint32_t left;       /* frames from there on                     */
    uint32_t skip;       /* of the block to come: whoever was before us read them */
    uint32_t done;       /* blocks before `at` that were read and not given back */
};

struct pcap_side; /* of the process that reads through libpcap */
struct bh_live {
    struct ring ring[BH_LIVE_INTERFACES];
    size_t count;
    uint64_t bytes; /* asked for */
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
#define LIVE_LATE_NS 300000000LL /* while an interface is silent, younger frames of others wait */

/* ---- pcap.c: as the functions of bh_live.h -------------------------------------------------------------- */

/* Is it there, and may it be captured from? */
BH_NODISCARD int live_pcap_try(struct bh_live *l, struct ring *r, struct bh_error *err);
BH_NODISCARD int live_pcap_attach(struct bh_live *l, struct bh_error *err);
void live_pcap_close(struct bh_live *l);
unsigned live_pcap_read(struct bh_live *l, unsigned most, struct bh_frames *f);
void live_pcap_take_stats(struct bh_live *l, struct bh_live_stats *ret);
int live_pcap_fd(const struct bh_live *l, size_t interface);

#endif
