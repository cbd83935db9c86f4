/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading rings: the kernel hands over a block of one when it is full, or some time old.
 *
 * Rings are merged by time. One that has nothing ready may have older packets in the block that the kernel is still
 * filling, so frames younger than late_ns wait while some ring is empty; three times what a block waits, as its clock
 * may begin late. The two directions of a flow are in one ring (live.c), whose order is the kernel's.
 */
#include "live_priv.h"

#include <errno.h>

#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

/* Where the kernel writes who sent a frame: TPACKET_ALIGN(), without its change of sign. */
#define ADDRESS_AT                                                                                 \
    ((sizeof(struct tpacket3_hdr) + TPACKET_ALIGNMENT - 1) / TPACKET_ALIGNMENT * TPACKET_ALIGNMENT)
#define SECOND_NS 1000000000LL

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

/* Blocks that whoever read before us had read to their ends, and did not come to give back. */
static void
skip_blocks(struct ring *r, uint64_t upto)
{
    for (uint32_t k = 0;
         k < r->blocks && is_ours(r, r->at) && block_of(r, r->at)->hdr.bh1.seq_num < upto; k++) {
        __atomic_store_n(&block_of(r, r->at)->hdr.bh1.block_status, TP_STATUS_KERNEL,
                         __ATOMIC_RELEASE);
        r->at = (r->at + 1) % r->blocks;
    }
}

int
bh_live_attach(struct bh_live *l, const struct bh_live_place *place, struct bh_error *err)
{
    if (l->with_pcap) {
        return live_pcap_attach(l, err);
    }
    for (size_t k = 0; k < l->count * l->each; k++) {
        struct ring *r = &l->ring[k];
        const bool is_known = place != NULL && place->ring[k].epoch == r->epoch;
        void *p = mmap(NULL, (size_t)r->block_bytes * r->blocks, PROT_READ | PROT_WRITE, MAP_SHARED,
                       r->fd, 0);
        if (p == MAP_FAILED) {
            return live_fail(-errno, r->name, err);
        }
        r->map = p;
        find_place(r);
        skip_blocks(r, is_known ? place->ring[k].block : 0);
        r->number = block_of(r, r->at)->hdr.bh1.seq_num;
        if (is_known && place->ring[k].block == r->number) {
            r->skip = place->ring[k].frames;
        }
    }
    return 0;
}

void
bh_live_get_place(const struct bh_live *l, struct bh_live_place *ret)
{
    for (size_t k = 0; !l->with_pcap && k < l->count * l->each; k++) {
        const struct ring *r = &l->ring[k];
        ret->ring[k].block = r->number;
        ret->ring[k].frames =
            r->next == NULL ? r->skip : block_of(r, r->at)->hdr.bh1.num_pkts - r->left;
        ret->ring[k].epoch = r->epoch;
    }
}

static int64_t
time_of(const struct tpacket3_hdr *h)
{
    return (int64_t)h->tp_sec * 1000000000LL + h->tp_nsec;
}

/* The block at hand was read to its end. */
static void
next_block(struct ring *r)
{
    r->next = NULL;
    r->at = (r->at + 1) % r->blocks;
    r->number++;
    r->done++;
}

/* Has it a frame? */
static bool
look_further(struct ring *r)
{
    while (r->left == 0) {
        if (r->next != NULL) {
            next_block(r);
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

static inline bool
look(struct ring *r)
{
    return r->left > 0 || look_further(r);
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
    memmove(data - LIVE_TAG_LEN, data, 2 * ETH_ALEN);
    bh_put_be16(data - LIVE_TAG_LEN + 2 * ETH_ALEN, type);
    bh_put_be16(data - LIVE_TAG_LEN + 2 * ETH_ALEN + 2, (uint16_t)h->hv1.tp_vlan_tci);
    *len += LIVE_TAG_LEN;
    return data - LIVE_TAG_LEN;
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

/* Frames of one ring, up to this time, behind those that are there. */
static void
take(struct bh_live *l, size_t ring, int64_t upto_ns, unsigned most, struct bh_frames *f)
{
    struct ring *r = &l->ring[ring];
    while (f->count < most && look(r)) {
        const struct tpacket3_hdr *h = header_at(r->next);
        if (time_of(h) > upto_ns) {
            break;
        }
        uint8_t *p = r->map + (r->next - r->map);
        fill_frame(ring / l->each, p, &f->frame[f->count++]);
        /* the memory's own header is trusted: the kernel writes it, nobody else can */
        r->left--;
        r->next += h->tp_next_offset;
    }
}

void
bh_live_done(struct bh_live *l, const struct bh_live_place *upto)
{
    for (size_t k = 0; !l->with_pcap && k < l->count * l->each; k++) {
        struct ring *r = &l->ring[k];
        if (r->left == 0 && r->next != NULL) {
            next_block(r);
        }
        for (; r->done > 0; r->done--) {
            struct tpacket_block_desc *b = block_of(r, (r->at + r->blocks - r->done) % r->blocks);
            const uint64_t number = r->number - r->done;
            if (number > upto->ring[k].block ||
                (number == upto->ring[k].block && upto->ring[k].frames < b->hdr.bh1.num_pkts)) {
                break;
            }
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

/* Which ring has the oldest frame; none: SIZE_MAX. */
struct turn {
    size_t ring;
    int64_t ns, upto_ns; /* of that frame; of the oldest of the others */
    bool any_empty;
};

static struct turn
whose_turn(struct bh_live *l)
{
    struct turn t = { .ring = SIZE_MAX, .ns = INT64_MAX, .upto_ns = INT64_MAX };
    for (size_t k = 0; k < l->count * l->each; k++) {
        if (!look(&l->ring[k])) {
            t.any_empty = true;
            continue;
        }
        const int64_t ns = time_of(header_at(l->ring[k].next));
        if (t.ring == SIZE_MAX || ns < t.ns) {
            t.upto_ns = t.ring == SIZE_MAX ? t.upto_ns : t.ns;
            t.ring = k;
            t.ns = ns;
        } else if (ns < t.upto_ns) {
            t.upto_ns = ns;
        }
    }
    return t;
}

/* Up to when frames may be had while some ring is empty. When the clock was set back, they would wait for long. */
static int64_t
late_ns(const struct bh_live *l, int64_t first_ns)
{
    const int64_t now = live_now_ns();
    return first_ns > now + SECOND_NS ? INT64_MAX : now - l->late_ns;
}

unsigned
bh_live_read(struct bh_live *l, unsigned most, struct bh_frames *f)
{
    if (l->with_pcap) {
        return live_pcap_read(l, most, f);
    }
    int64_t late = 0;
    most = most < BH_FRAMES_MAX ? most : BH_FRAMES_MAX;
    f->count = 0;
    while (f->count < most) {
        const struct turn t = whose_turn(l);
        if (t.ring == SIZE_MAX) {
            break;
        }
        int64_t upto_ns = t.upto_ns;
        if (t.any_empty && l->several) {
            late = late == 0 ? late_ns(l, t.ns) : late;
            upto_ns = late < upto_ns ? late : upto_ns;
        }
        const unsigned before = f->count;
        take(l, t.ring, upto_ns, most, f);
        if (f->count == before) {
            break; /* they wait for the others */
        }
    }
    return f->count;
}

/* What to wait for: of rings, those that are empty, as the others are readable already. Returns how long at most, in ms:
 * until the oldest frame need not wait any more. */
static int
prepare_poll(struct bh_live *l, struct pollfd *p, nfds_t *ret_count, int timeout_ms)
{
    nfds_t n = 0;
    if (l->with_pcap) {
        for (size_t k = 0; k < l->count; k++) {
            p[n++] = (struct pollfd){ .fd = live_pcap_fd(l, k), .events = POLLIN };
        }
        *ret_count = n;
        return timeout_ms;
    }
    for (size_t k = 0; k < l->count * l->each; k++) {
        if (!look(&l->ring[k])) {
            p[n++] = (struct pollfd){ .fd = l->ring[k].fd, .events = POLLIN };
        }
    }
    *ret_count = n;
    const struct turn t = whose_turn(l);
    if (t.ring == SIZE_MAX) {
        return timeout_ms;
    }
    const int64_t left_ns = t.any_empty && l->several ? t.ns - late_ns(l, t.ns) : 0;
    return left_ns <= 0                     ? 0
           : left_ns / 1000000 < timeout_ms ? (int)(left_ns / 1000000) + 1
                                            : timeout_ms;
}

bool
bh_live_wait(struct bh_live *l, int fd, int timeout_ms)
{
    struct pollfd p[BH_LIVE_RINGS + 1];
    nfds_t n;
    timeout_ms = prepare_poll(l, p, &n, timeout_ms);
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
    for (size_t ring = 0; ring < l->count * l->each; ring++) {
        const size_t k = ring / l->each;
        struct tpacket_stats_v3 s = { 0 };
        socklen_t len = sizeof s;
        if (getsockopt(l->ring[ring].fd, SOL_PACKET, PACKET_STATISTICS, &s, &len) == 0) {
            ret->each[k].frames += s.tp_packets;
            ret->each[k].dropped += s.tp_drops;
            ret->frames += s.tp_packets;
            ret->dropped += s.tp_drops;
        }
    }
}
