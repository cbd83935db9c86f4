/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AF_PACKET rings, TPACKET_V3, and how they are made; read.c reads them.
 *
 * The order of events when a ring is made matters: filter, then ring, then bind. Nothing then ever reaches
 * the ring that did not go through the filter.
 *
 * Several rings of one interface are a group (PACKET_FANOUT): the kernel puts each frame into one of them, by a
 * hash that is the same for both directions of a flow, and into another one when that has no room (ROLLOVER).
 * A socket that is bound gets everything until it is in the group, so the others drop all until they are. The first
 * does not: an interface that is down has no group yet, and all of it goes there. A socket in a group cannot be bound
 * again: for an interface that comes back under another number there are new ones.
 *
 * See Documentation/networking/packet_mmap.rst of the kernel, packet(7).
 */
#include "live_priv.h"

#include <errno.h>
#include <netinet/in.h>

#include <linux/filter.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A block is handed over when it is full or so old. Rings beside others wait for one another (read.c). */
enum { RETIRE_MS = 100, RETIRE_SOON_MS = 20 };
#define RING_BYTES (32U << 20)
#define BLOCK_BYTES (256U << 10)
#define SMALL_BLOCK_BYTES                                                                          \
    (64U << 10) /* of several rings: what is handed over sooner is to be full all the same */
#define WHOLE_BLOCK_BYTES (1U << 20) /* a frame must fit into a block */

/* ---- making it ------------------------------------------------------------------------------------- */

bool
live_is_any(const struct ring *r)
{
    return strcmp(r->name, "any") == 0;
}

/* What is in front of IP on this interface. */
static enum bh_live_link
find_link(int fd, const struct ring *r)
{
    struct ifreq q = { 0 };
    if (live_is_any(r)) {
        return BH_LIVE_ANY;
    }
    memcpy(q.ifr_name, r->name, sizeof q.ifr_name);
    if (ioctl(fd, SIOCGIFHWADDR, &q) != 0) {
        return BH_LIVE_ANY; /* it comes later */
    }
    const int type = q.ifr_hwaddr.sa_family;
    return type == ARPHRD_ETHER || type == ARPHRD_LOOPBACK ? BH_LIVE_ETHERNET : BH_LIVE_ANY;
}

/* Until it is in its group. */
static unsigned
drop_all(struct bh_live_instruction *code)
{
    *code = (struct bh_live_instruction){ .code = BPF_RET | BPF_K, .k = 0 };
    return 1;
}

static int
set_filter(const struct bh_live *l, const struct ring *r)
{
    static struct bh_live_instruction code[BH_LIVE_PROGRAM_MAX]; /* before any thread */
    const bool waits = (size_t)(r - l->ring) % l->each != 0 && !r->is_member;
    const unsigned n =
        waits ? drop_all(code) : bh_live_header_program(find_link(r->fd, r), &l->choice, code);
    if (n == 0) {
        return -ENOMEM;
    }
    struct sock_fprog program = { .len = (unsigned short)n,
                                  .filter = (struct sock_filter *)(void *)code };
    return setsockopt(r->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0 ? -errno
                                                                                          : 0;
}

static void
copy_tests(const struct bh_live_tests *from, struct bh_live_test *to, struct bh_live_tests *ret)
{
    *ret =
        (struct bh_live_tests){ .test = to, .count = from->count <= TESTS_MAX ? from->count : 0 };
    if (ret->count > 0) {
        memcpy(to, from->test, ret->count * sizeof *to);
    }
}

static int
set_filters(const struct bh_live *l)
{
    int code = 0;
    for (size_t k = 0; code == 0 && !l->with_pcap && k < l->count * l->each; k++) {
        code = set_filter(l, &l->ring[k]);
    }
    return code;
}

enum bh_live_chosen
bh_live_choose(struct bh_live *l, const struct bh_live_choice *choice)
{
    static const struct bh_live_choice none = { .whole_all = false };
    choice = choice != NULL ? choice : &none;
    l->choice = (struct bh_live_choice){ .whole_all = choice->whole_all };
    copy_tests(&choice->keep, l->keep, &l->choice.keep);
    copy_tests(&choice->whole, l->whole, &l->choice.whole);
    const bool asked = choose_drops(choice) && !l->with_pcap;
    if (set_filters(l) == 0) {
        return asked ? BH_LIVE_CHOSE_ALL : BH_LIVE_CHOSE_NONE;
    }
    l->choice.keep.count = 0;
    if (set_filters(l) != 0 && choice->whole.count > 0) {
        l->choice.whole_all = true; /* more than was asked for, not less */
        bh_ignore(set_filters(l));
    }
    return BH_LIVE_CHOSE_SOME;
}

static int
set_ring(const struct bh_live *l, struct ring *r)
{
    const int version = TPACKET_V3, reserve = LIVE_TAG_LEN;
    const uint64_t bytes = (l->bytes != 0 ? l->bytes : RING_BYTES) / l->each;
    r->block_bytes = l->whole_frames ? WHOLE_BLOCK_BYTES
                     : l->several    ? SMALL_BLOCK_BYTES
                                     : BLOCK_BYTES;
    r->blocks = (uint32_t)(bytes / r->block_bytes < 4       ? 4
                           : bytes / r->block_bytes > 65536 ? 65536
                                                            : bytes / r->block_bytes);
    if (setsockopt(r->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0 ||
        setsockopt(r->fd, SOL_PACKET, PACKET_RESERVE, &reserve, sizeof reserve) != 0) {
        return -errno;
    }
    for (;;) { /* what the machine has not got in large pieces it may have in fewer */
        struct tpacket_req3 q = {
            .tp_block_size = r->block_bytes,
            .tp_block_nr = r->blocks,
            .tp_frame_size = 2048,
            .tp_frame_nr = r->block_bytes / 2048 * r->blocks,
            .tp_retire_blk_tov = l->several ? RETIRE_SOON_MS : RETIRE_MS,
        };
        if (setsockopt(r->fd, SOL_PACKET, PACKET_RX_RING, &q, sizeof q) == 0) {
            return 0;
        }
        if (errno != ENOMEM || r->blocks <= 4) {
            return -errno;
        }
        r->blocks /= 2;
    }
}

void
live_watch_all(int fd, int index)
{
    struct packet_mreq q = { .mr_ifindex = index, .mr_type = PACKET_MR_PROMISC };
    /* An interface that cannot is no reason not to see what it gives. */
    bh_ignore(setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &q, sizeof q));
}

/* Its frames from now on. -ENODEV: it is not there. */
static int
bind_ring(const struct bh_live *l, struct ring *r)
{
    const int index = live_is_any(r) ? 0 : (int)if_nametoindex(r->name);
    if (l->with_pcap) {
        r->index = index == 0 && !live_is_any(r) ? -1 : index;
        return 0;
    }
    if (index == 0 && !live_is_any(r)) {
        r->index = -1;
        return -ENODEV;
    }
    if (index == r->index) {
        return 0;
    }
    struct sockaddr_ll to = { .sll_family = AF_PACKET,
                              .sll_protocol = htons(ETH_P_ALL),
                              .sll_ifindex = index };
    if (set_filter(l, r) != 0) {
        return -errno;
    }
    if (bind(r->fd, (const struct sockaddr *)(const void *)&to, sizeof to) != 0) {
        return -errno;
    }
    r->index = index;
    if (l->promiscuous && index != 0) {
        live_watch_all(r->fd, index);
    }
    return 0;
}

int
live_fail(int code, const char *name, struct bh_error *err)
{
    if (code == -EPERM || code == -EACCES) {
        return bh_error_set(
            err, code, name, "capturing needs root or CAP_NET_RAW: sudo, or setcap cap_net_raw+ep",
            "キャプチャには root か CAP_NET_RAW が必要です (sudo または setcap cap_net_raw+ep)");
    }
    return bh_error_errno(err, -code, name, "cannot capture", "キャプチャできません");
}

/* Protocol 0: nothing comes before bind(). */
static int
make_ring(const struct bh_live *l, struct ring *r)
{
    r->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int code = r->fd < 0 ? -errno : set_filter(l, r);
    return code != 0 ? code : set_ring(l, r);
}

/* ---- several rings of one interface -------------------------------------------------------------------- */

enum { GROUP_FLAGS = PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_ROLLOVER << 16 };

static bool
join(struct ring *r, unsigned flags, uint16_t group)
{
    const unsigned word = (unsigned)GROUP_FLAGS | flags << 16 | group;
    return setsockopt(r->fd, SOL_PACKET, PACKET_FANOUT, &word, sizeof word) == 0;
}

/* The first ring has the interface. Those that cannot join yet, as it is down, do so when they are asked again. */
static int
join_others(const struct bh_live *l, struct ring *first)
{
    unsigned group = 0;
    socklen_t len = sizeof group;
    int code = 0;
    first->is_member = first->is_member || join(first, PACKET_FANOUT_FLAG_UNIQUEID, 0);
    if (!first->is_member || getsockopt(first->fd, SOL_PACKET, PACKET_FANOUT, &group, &len) != 0) {
        return 0;
    }
    for (struct ring *r = first + 1; code == 0 && r < first + l->each; r++) {
        if (!r->is_member && (code = bind_ring(l, r)) == 0 && join(r, 0, (uint16_t)group)) {
            r->is_member = true;
            code = set_filter(l, r);
        }
    }
    return code;
}

/* Of a group that is another interface's, or that of one that is gone. */
static int
renew_rings(struct bh_live *l, struct ring *first)
{
    struct ring fresh[BH_LIVE_THREADS];
    int code = 0;
    for (unsigned k = 0; k < l->each; k++) {
        fresh[k] = (struct ring){ .fd = -1, .index = -1, .epoch = first[k].epoch + 1 };
        memcpy(fresh[k].name, first[k].name, sizeof fresh[k].name);
    }
    for (unsigned k = 0; k < l->each; k++) {
        if (first[k].fd >= 0) {
            close(first[k].fd); /* who reads has it still */
        }
        first[k] = fresh[k];
        const int r = make_ring(l, &first[k]);
        code = code != 0 ? code : r;
    }
    l->renewed++;
    return code;
}

/* Its frames from now on. -ENODEV: it is not there. */
static int
bind_interface(struct bh_live *l, size_t interface)
{
    struct ring *first = &l->ring[interface * l->each];
    int code = bind_ring(l, first);
    if (code == -EINVAL && first->is_member) {
        code = renew_rings(l, first);
        code = code != 0 ? code : bind_ring(l, first);
    }
    return code == 0 && l->each > 1 ? join_others(l, first) : code;
}

static int
open_interface(struct bh_live *l, const char *name, struct bh_error *err)
{
    struct ring *first = &l->ring[l->count * l->each];
    for (unsigned k = 0; k < l->each; k++) {
        first[k] = (struct ring){ .fd = -1, .index = -1 };
        memcpy(first[k].name, name, strnlen(name, sizeof first[k].name - 1));
    }
    l->count++;
    if (strlen(name) == 0 || strlen(name) >= sizeof first->name) {
        return bh_error_set(err, BH_EUSAGE, name, "is no name of an interface",
                            "はインターフェース名ではありません");
    }
    if (l->with_pcap) {
        first->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* to ask about it */
        bh_ignore(bind_ring(l, first));
        return live_pcap_try(l, first, err);
    }
    int code = 0;
    for (unsigned k = 0; code == 0 && k < l->each; k++) {
        code = make_ring(l, &first[k]);
    }
    code = code != 0 ? code : bind_interface(l, l->count - 1);
    return code == 0 || code == -ENODEV ? 0 : live_fail(code, name, err);
}

static int
check_numbers(const struct bh_live_config *cfg, struct bh_error *err)
{
    const unsigned each = cfg->threads > 1 ? cfg->threads : 1;
    if (each > BH_LIVE_THREADS || (each > 1 && cfg->with_pcap)) {
        return bh_error_set(
            err, BH_EUSAGE, "threads",
            each > BH_LIVE_THREADS ? "at most %u" : "more than one is for rings, not for libpcap",
            each > BH_LIVE_THREADS ? "%u 個までです"
                                   : "複数のスレッドはリング用です (libpcap では使えません)",
            BH_LIVE_THREADS);
    }
    if (cfg->count > BH_LIVE_INTERFACES || cfg->count * each > BH_LIVE_RINGS) {
        return bh_error_set(err, BH_ELIMIT, cfg->interfaces[cfg->count - 1],
                            "at most %u interfaces, with threads %u rings",
                            "インターフェースは %u 個、スレッド数との積は %u までです",
                            BH_LIVE_INTERFACES, BH_LIVE_RINGS);
    }
    return 0;
}

int
bh_live_open(const struct bh_live_config *cfg, struct bh_live **ret_live, struct bh_error *err)
{
    int r = check_numbers(cfg, err);
    struct bh_live *l = r == 0 ? calloc(1, sizeof *l) : NULL;
    if (l == NULL) {
        return r != 0 ? r : bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
    }
    l->promiscuous = cfg->promiscuous;
    l->whole_frames = cfg->whole_frames;
    l->with_pcap = cfg->with_pcap;
    l->bytes = cfg->ring_bytes;
    l->each = cfg->threads > 1 ? cfg->threads : 1;
    l->several = cfg->count * l->each > 1;
    l->late_ns = 3LL * 1000000 * (l->several ? RETIRE_SOON_MS : RETIRE_MS);
    for (size_t k = 0; r == 0 && k < cfg->count; k++) {
        r = open_interface(l, cfg->interfaces[k], err);
    }
    if (r != 0) {
        bh_live_close(l);
        return r;
    }
    *ret_live = l;
    return 0;
}

void
bh_live_close(struct bh_live *l)
{
    if (l != NULL) {
        live_pcap_close(l);
    }
    for (size_t k = 0; l != NULL && k < l->count * l->each; k++) {
        struct ring *r = &l->ring[k];
        if (r->map != NULL) {
            munmap(r->map, (size_t)r->block_bytes * r->blocks);
        }
        if (r->fd >= 0) {
            close(r->fd);
        }
    }
    free(l);
}

void
bh_live_rebind(struct bh_live *l)
{
    for (size_t k = 0; k < l->count; k++) {
        bh_ignore(bind_interface(l, k)); /* it comes later, then */
    }
}

uint32_t
bh_live_renewed(const struct bh_live *l)
{
    return l->renewed;
}

bool
bh_live_is_up(const struct bh_live *l, size_t interface)
{
    const struct ring *r = &l->ring[interface * l->each];
    struct ifreq q = { 0 };
    if (live_is_any(r)) {
        return true;
    }
    memcpy(q.ifr_name, r->name, sizeof q.ifr_name);
    return r->index > 0 && ioctl(r->fd, SIOCGIFFLAGS, &q) == 0 && (q.ifr_flags & IFF_UP) != 0;
}

const char *
bh_live_name(const struct bh_live *l, size_t interface)
{
    return l->ring[interface * l->each].name;
}

size_t
bh_live_count(const struct bh_live *l)
{
    return l->count;
}

unsigned
bh_live_rings(const struct bh_live *l)
{
    return l->each;
}

uint64_t
bh_live_ring_bytes(const struct bh_live *l, size_t interface)
{
    if (l->with_pcap) {
        return l->bytes;
    }
    uint64_t bytes = 0;
    for (unsigned k = 0; k < l->each; k++) {
        const struct ring *r = &l->ring[interface * l->each + k];
        bytes += (uint64_t)r->block_bytes * r->blocks;
    }
    return bytes;
}
