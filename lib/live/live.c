/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AF_PACKET rings, TPACKET_V3: the kernel fills blocks of a ring that it shares with us, and hands a block
 * over when it is full or RETIRE_MS old.
 *
 * The order of events when a ring is made matters: filter, then ring, then bind. Nothing then ever reaches
 * the ring that did not go through the filter.
 *
 * Several interfaces are merged by time. A ring that has nothing ready may have older packets in the block
 * the kernel is still filling, so frames younger than LATE_NS wait while some ring is empty.
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

enum { RETIRE_MS = 100, TAG_LEN = 4 };
/* Where the kernel writes who sent a frame: TPACKET_ALIGN(), without its change of sign. */
#define ADDRESS_AT                                                                                 \
    ((sizeof(struct tpacket3_hdr) + TPACKET_ALIGNMENT - 1) / TPACKET_ALIGNMENT * TPACKET_ALIGNMENT)
_Static_assert(LIVE_LATE_NS == 3 * RETIRE_MS * 1000000LL, "blocks come so late");
#define RING_BYTES (32U << 20)
#define BLOCK_BYTES (256U << 10)
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

static int
set_filter(const struct bh_live *l, const struct ring *r)
{
    static struct bh_live_instruction code[BH_LIVE_PROGRAM_MAX]; /* before any thread */
    const unsigned n = bh_live_header_program(find_link(r->fd, r), &l->choice, code);
    if (n == 0) {
        return -ENOMEM;
    }
    struct sock_fprog program = { .len = (unsigned short)n,
                                  .filter = (struct sock_filter *)(void *)code };
    return setsockopt(r->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0 ? -errno : 0;
}

static void
copy_tests(const struct bh_live_tests *from, struct bh_live_test *to, struct bh_live_tests *ret)
{
    *ret = (struct bh_live_tests){ .test = to, .count = from->count <= TESTS_MAX ? from->count : 0 };
    if (ret->count > 0) {
        memcpy(to, from->test, ret->count * sizeof *to);
    }
}

static int
set_filters(const struct bh_live *l)
{
    int code = 0;
    for (size_t k = 0; code == 0 && !l->with_pcap && k < l->count; k++) {
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
set_ring(struct ring *r, uint64_t bytes, bool whole_frames)
{
    const int version = TPACKET_V3, reserve = TAG_LEN;
    r->block_bytes = whole_frames ? WHOLE_BLOCK_BYTES : BLOCK_BYTES;
    bytes = bytes != 0 ? bytes : RING_BYTES;
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
            .tp_retire_blk_tov = RETIRE_MS,
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

static int
open_ring(const struct bh_live_config *cfg, struct bh_live *l, const char *name,
          struct bh_error *err)
{
    struct ring *r = &l->ring[l->count];
    *r = (struct ring){ .fd = -1, .index = -1 };
    if (strlen(name) == 0 || strlen(name) >= sizeof r->name) {
        return bh_error_set(err, BH_EUSAGE, name, "is no name of an interface",
                            "はインターフェース名ではありません");
    }
    memcpy(r->name, name, strlen(name));
    l->count++;
    if (l->with_pcap) {
        r->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* to ask about it */
        bh_ignore(bind_ring(l, r));
        return live_pcap_try(l, r, err);
    }
    /* Protocol 0: nothing comes before bind(). */
    r->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int code = r->fd < 0 ? -errno : set_filter(l, r);
    code = code != 0 ? code : set_ring(r, cfg->ring_bytes, cfg->whole_frames);
    code = code != 0 ? code : bind_ring(l, r);
    return code == 0 || code == -ENODEV ? 0 : live_fail(code, name, err);
}

int
bh_live_open(const struct bh_live_config *cfg, struct bh_live **ret_live, struct bh_error *err)
{
    struct bh_live *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
    }
    l->promiscuous = cfg->promiscuous;
    l->whole_frames = cfg->whole_frames;
    l->with_pcap = cfg->with_pcap;
    l->bytes = cfg->ring_bytes;
    int r = 0;
    for (size_t k = 0; r == 0 && k < cfg->count; k++) {
        r = l->count == BH_LIVE_INTERFACES
                ? bh_error_set(err, BH_ELIMIT, cfg->interfaces[k], "at most %u interfaces",
                               "インターフェースは %u 個までです", BH_LIVE_INTERFACES)
                : open_ring(cfg, l, cfg->interfaces[k], err);
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
    for (size_t k = 0; l != NULL && k < l->count; k++) {
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
        bh_ignore(bind_ring(l, &l->ring[k])); /* it comes later, then */
    }
}

bool
bh_live_is_up(const struct bh_live *l, size_t interface)
{
    const struct ring *r = &l->ring[interface];
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
    return l->ring[interface].name;
}

size_t
bh_live_count(const struct bh_live *l)
{
    return l->count;
}

uint64_t
bh_live_ring_bytes(const struct bh_live *l, size_t interface)
{
    if (l->with_pcap) {
        return l->bytes;
    }
    return (uint64_t)l->ring[interface].block_bytes * l->ring[interface].blocks;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

static struct tpacket_block_desc *
block_of(const struct ring *r, uint32_t k)
{
    return (struct tpacket_block_desc *)(void *)(r->map + (size_t)k * r->block_bytes);
}

static const struct tpacket3_hdr *
header_at(const uint8_t *p)
{
    return (const struct tpacket3_hdr *)(const void *)p;
}

static bool
is_ours(const struct ring *r, uint32_t k)
{
    return (__atomic_load_n(&block_of(r, k)->hdr.bh1.block_status, __ATOMIC_ACQUIRE) &
            TP_STATUS_USER) != 0;
}

/* Where whoever read before us ended: the oldest block that is ours, else the one the kernel is filling,
 * which has the highest number. */
static void
find_place(struct ring *r)
{
    uint64_t oldest = UINT64_MAX, newest = 0;
    r->at = 0;
    for (uint32_t k = 0; k < r->blocks; k++) {
        const uint64_t number = block_of(r, k)->hdr.bh1.seq_num;
        if (is_ours(r, k) && number < oldest) {
            oldest = number;
            r->at = k;
        } else if (oldest == UINT64_MAX && number > newest) {
            newest = number;
            r->at = k;
        }
    }
}

int
bh_live_attach(struct bh_live *l, const struct bh_live_place *place, struct bh_error *err)
{
    if (l->with_pcap) {
        return live_pcap_attach(l, err);
    }
    for (size_t k = 0; k < l->count; k++) {
        struct ring *r = &l->ring[k];
        void *p = mmap(NULL, (size_t)r->block_bytes * r->blocks, PROT_READ | PROT_WRITE, MAP_SHARED,
                       r->fd, 0);
        if (p == MAP_FAILED) {
            return live_fail(-errno, r->name, err);
        }
        r->map = p;
        find_place(r);
        if (place != NULL && place->ring[k].block == block_of(r, r->at)->hdr.bh1.seq_num) {
            r->skip = place->ring[k].frames;
        }
    }
    return 0;
}

void
bh_live_get_place(const struct bh_live *l, struct bh_live_place *ret)
{
    memset(ret, 0, sizeof *ret);
    for (size_t k = 0; !l->with_pcap && k < l->count; k++) {
        const struct ring *r = &l->ring[k];
        const struct tpacket_block_desc *b = block_of(r, r->at);
        ret->ring[k].block = b->hdr.bh1.seq_num;
        ret->ring[k].frames = r->next == NULL ? r->skip : b->hdr.bh1.num_pkts - r->left;
    }
}

static int64_t
time_of(const struct tpacket3_hdr *h)
{
    return (int64_t)h->tp_sec * 1000000000LL + h->tp_nsec;
}

/* Has it a frame? */
static bool
look(struct ring *r)
{
    while (r->left == 0) {
        if (r->next != NULL) { /* at its end */
            r->next = NULL;
            r->at = (r->at + 1) % r->blocks;
            r->done++;
        }
        if (r->done == r->blocks || !is_ours(r, r->at)) {
            return false;
        }
        const struct tpacket_block_desc *b = block_of(r, r->at);
        r->next = (const uint8_t *)b + b->hdr.bh1.offset_to_first_pkt;
        r->left = b->hdr.bh1.num_pkts;
        for (; r->skip > 0 && r->left > 0; r->skip--, r->left--) {
            r->next += header_at(r->next)->tp_next_offset;
        }
        r->skip = 0;
    }
    return true;
}

/* The tag that the card took out goes back to where it was; there is room in front. */
static uint8_t *
put_tag(uint8_t *data, uint32_t *len, const struct tpacket3_hdr *h)
{
    const uint16_t type =
        (h->tp_status & TP_STATUS_VLAN_TPID_VALID) != 0 ? h->hv1.tp_vlan_tpid : ETH_P_8021Q;
    if (*len < 2 * ETH_ALEN) {
        return data;
    }
    memmove(data - TAG_LEN, data, 2 * ETH_ALEN);
    bh_put_be16(data - TAG_LEN + 2 * ETH_ALEN, type);
    bh_put_be16(data - TAG_LEN + 2 * ETH_ALEN + 2, (uint16_t)h->hv1.tp_vlan_tci);
    *len += TAG_LEN;
    return data - TAG_LEN;
}

static void
fill_frame(size_t interface, uint8_t *p, struct bh_frame *f)
{
    const struct tpacket3_hdr *h = header_at(p);
    const struct sockaddr_ll *from = (const struct sockaddr_ll *)(const void *)(p + ADDRESS_AT);
    const bool ethernet = from->sll_hatype == ARPHRD_ETHER || from->sll_hatype == ARPHRD_LOOPBACK;
    const uint32_t skipped = ethernet ? 0 : (uint32_t)(h->tp_net - h->tp_mac);
    uint32_t cap = h->tp_snaplen > skipped ? h->tp_snaplen - skipped : 0;
    uint8_t *data = p + h->tp_mac + skipped;
    uint32_t wire = h->tp_len > skipped ? h->tp_len - skipped : 0;
    if ((h->tp_status & TP_STATUS_VLAN_VALID) != 0 && ethernet) {
        const uint32_t before = cap;
        data = put_tag(data, &cap, h);
        wire += cap - before;
    }
    *f = (struct bh_frame){
        .ts_ns = time_of(h),
        .data = data,
        .cap_len = cap,
        .wire_len = wire < cap ? cap : wire,
        .link_type = ethernet ? LINKTYPE_ETHERNET : LINKTYPE_RAW,
        .interface = (uint16_t)interface,
        .file = (uint16_t)from->sll_ifindex,
        .flags = from->sll_pkttype == PACKET_OUTGOING ? BH_FRAME_OUTBOUND : BH_FRAME_INBOUND,
    };
}

/* Frames of one ring, up to this time. */
static unsigned
take(struct bh_live *l, size_t interface, int64_t upto_ns, unsigned most, struct bh_frames *f)
{
    struct ring *r = &l->ring[interface];
    unsigned n = 0;
    while (n < most && look(r)) {
        const struct tpacket3_hdr *h = header_at(r->next);
        if (time_of(h) > upto_ns) {
            break;
        }
        uint8_t *p = r->map + (r->next - r->map);
        fill_frame(interface, p, &f->frame[n++]);
        /* the memory's own header is trusted: the kernel writes it, nobody else can */
        r->left--;
        r->next += h->tp_next_offset;
    }
    return n;
}

void
bh_live_done(struct bh_live *l)
{
    for (size_t k = 0; !l->with_pcap && k < l->count; k++) {
        struct ring *r = &l->ring[k];
        if (r->left == 0 && r->next != NULL) {
            r->next = NULL;
            r->at = (r->at + 1) % r->blocks;
            r->done++;
        }
        for (; r->done > 0; r->done--) {
            struct tpacket_block_desc *b = block_of(r, (r->at + r->blocks - r->done) % r->blocks);
            __atomic_store_n(&b->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        }
    }
}

int64_t
live_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000LL + t.tv_nsec;
}

unsigned
bh_live_read(struct bh_live *l, unsigned most, struct bh_frames *f)
{
    if (l->with_pcap) {
        return live_pcap_read(l, most, f);
    }
    size_t first = SIZE_MAX;
    int64_t first_ns = INT64_MAX, upto_ns = INT64_MAX;
    bool any_empty = false;
    for (size_t k = 0; k < l->count; k++) {
        if (!look(&l->ring[k])) {
            any_empty = true;
            continue;
        }
        const int64_t ns = time_of(header_at(l->ring[k].next));
        if (first == SIZE_MAX || ns < first_ns) {
            upto_ns = first == SIZE_MAX ? upto_ns : first_ns;
            first = k;
            first_ns = ns;
        } else if (ns < upto_ns) {
            upto_ns = ns;
        }
    }
    f->count = 0;
    if (first == SIZE_MAX) {
        return 0;
    }
    if (any_empty && l->count > 1) {
        const int64_t late = live_now_ns() - LIVE_LATE_NS;
        upto_ns = late < upto_ns ? late : upto_ns;
    }
    f->count = take(l, first, upto_ns, most < BH_FRAMES_MAX ? most : BH_FRAMES_MAX, f);
    return f->count;
}

bool
bh_live_wait(struct bh_live *l, int fd, int timeout_ms)
{
    struct pollfd p[BH_LIVE_INTERFACES + 1];
    nfds_t n = 0;
    for (size_t k = 0; k < l->count; k++) {
        p[n++] = (struct pollfd){ .fd = l->with_pcap ? live_pcap_fd(l, k) : l->ring[k].fd, .events = POLLIN };
    }
    p[n] = (struct pollfd){ .fd = fd, .events = POLLIN };
    const int ready = poll(p, n + 1, timeout_ms);
    bool broken = false;
    for (nfds_t k = 0; ready > 0 && k < n; k++) {
        if ((p[k].revents & POLLERR) != 0) { /* ENETDOWN, once */
            int code;
            socklen_t len = sizeof code;
            broken = true;
            if (l->with_pcap) {
                continue; /* libpcap asks for it */
            }
            bh_ignore(getsockopt(p[k].fd, SOL_SOCKET, SO_ERROR, &code, &len));
        }
    }
    if (broken) {
        bh_ignore(poll(NULL, 0, 20)); /* whatever it is, not a busy loop */
    }
    return ready > 0 && (p[n].revents & (POLLIN | POLLHUP)) != 0;
}

bool
bh_live_is_broken(const struct bh_live *l)
{
    return l->broken;
}

void
bh_live_take_stats(struct bh_live *l, struct bh_live_stats *ret)
{
    *ret = (struct bh_live_stats){ 0 };
    if (l->with_pcap) {
        live_pcap_take_stats(l, ret);
        return;
    }
    for (size_t k = 0; k < l->count; k++) {
        struct tpacket_stats_v3 s = { 0 };
        socklen_t len = sizeof s;
        if (getsockopt(l->ring[k].fd, SOL_PACKET, PACKET_STATISTICS, &s, &len) == 0) {
            ret->each[k].frames = s.tp_packets;
            ret->each[k].dropped = s.tp_drops;
            ret->frames += s.tp_packets;
            ret->dropped += s.tp_drops;
        }
    }
}
