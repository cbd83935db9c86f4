/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames by way of libpcap: for interfaces that rings are not to be had of, and to compare with.
 *
 * The process that reads opens the interfaces itself, before it is confined, and waits for those that are not there. What
 * it has not read when it dies is gone with it. No filter of ours can be in the kernel, so payload comes out of
 * it: of each frame the program of header.c says here how much are headers; that much is copied to where frames are
 * handed out from, and the rest is cleared where libpcap has it, before the next is asked for.
 */
#include "live_priv.h"

#ifdef BH_WITH_PCAP
#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { RETIRE_MS = 100, HEADERS_MAX = 512, HOLD_BYTES = 1 << 20, SLL2_HEADER = 20 };
enum { LINKTYPE_SLL = 113, LINKTYPE_SLL2 = 276 };
enum { SLL2_INDEX = 4, SLL2_HATYPE = 8, SLL2_PKTTYPE = 10 };

struct pcap_interface {
    pcap_t *handle;
    uint16_t link;
    bool has; /* the next frame of it: */
    struct bh_frame next;
    uint8_t *octets;     /* `snap` of them */
    uint64_t left_out;   /* twice on a loopback: not ours to count */
    uint64_t recv, drop; /* of pcap_stats(), as told before */
    struct bh_live_instruction code[BH_LIVE_PROGRAM_MAX];
    unsigned count;
};

struct pcap_side {
    struct pcap_interface at[BH_LIVE_INTERFACES];
    uint32_t snap;
    uint8_t *held; /* of the frames handed out last */
    uint32_t room, used;
};

/* ---- opening -------------------------------------------------------------------------------------------- */

static int
code_of(int pcap_code)
{
    return pcap_code == PCAP_ERROR_PERM_DENIED      ? -EPERM
           : pcap_code == PCAP_ERROR_NO_SUCH_DEVICE ? -ENODEV
           : pcap_code == PCAP_ERROR_IFACE_NOT_UP   ? -ENETDOWN
                                                    : -EIO;
}

static int
open_handle(const struct bh_live *l, const char *name, uint32_t snap, pcap_t **ret)
{
    char text[PCAP_ERRBUF_SIZE];
    pcap_t *p = pcap_create(name, text);
    if (p == NULL) {
        return -ENOMEM;
    }
    pcap_set_snaplen(p, (int)snap);
    pcap_set_timeout(p, RETIRE_MS);
    pcap_set_tstamp_precision(p, PCAP_TSTAMP_PRECISION_NANO);
    if (l->bytes != 0) {
        pcap_set_buffer_size(p, (int)(l->bytes < INT32_MAX ? l->bytes : INT32_MAX));
    }
    /* Promiscuous is asked for by ourselves: libpcap would read files about it with its counters. */
    const int r = pcap_activate(p);
    if (r < 0) {
        pcap_close(p);
        return code_of(r);
    }
    if (strcmp(name, "any") == 0) {
        bh_ignore(pcap_set_datalink(p, DLT_LINUX_SLL2)); /* says which interface */
    }
    pcap_setnonblock(p, 1, text);
    *ret = p;
    return 0;
}

int
live_pcap_try(struct bh_live *l, struct ring *r, struct bh_error *err)
{
    pcap_t *p;
    const int code = open_handle(l, r->name, HEADERS_MAX, &p);
    if (code == 0) {
        pcap_close(p);
    }
    return code == 0 || code == -ENODEV || code == -ENETDOWN ? 0 : live_fail(code, r->name, err);
}

static void
compile(const struct bh_live *l, struct pcap_interface *i)
{
    const struct bh_live_choice choice = { .whole = l->choice.whole,
                                           .whole_all = l->choice.whole_all };
    const enum bh_live_link link = i->link == LINKTYPE_ETHERNET ? BH_LIVE_ETHERNET
                                   : i->link == LINKTYPE_SLL2   ? BH_LIVE_COOKED
                                                                : BH_LIVE_RAW_IP;
    i->count = bh_live_header_program(link, &choice, i->code);
    if (i->count == 0) { /* too long: more than was asked for, of those who asked at all */
        i->count = bh_live_header_program(
            link, &(struct bh_live_choice){ .whole_all = choice.whole.count > 0 }, i->code);
    }
}

static int
attach_one(struct bh_live *l, size_t k, struct bh_error *err)
{
    struct pcap_interface *i = &l->pcap->at[k];
    struct ring *r = &l->ring[k];
    const struct timespec nap = { .tv_nsec = 200000000 };
    int code;
    while ((code = open_handle(l, r->name, l->pcap->snap, &i->handle)) == -ENODEV ||
           code == -ENETDOWN) {
        if (nanosleep(&nap, NULL) != 0) {
            return -EINTR; /* a signal: it is told to end */
        }
    }
    if (code != 0) {
        return live_fail(code, r->name, err);
    }
    const int link = pcap_datalink(i->handle);
    i->link = (uint16_t)(link == DLT_RAW          ? LINKTYPE_RAW
                         : link == DLT_LINUX_SLL2 ? LINKTYPE_SLL2
                         : link == DLT_EN10MB     ? LINKTYPE_ETHERNET
                                                  : 0);
    if (i->link == 0) {
        return bh_error_set(err, BH_EFORMAT, r->name, "its link type is not read (libpcap: %s)",
                            "のリンク種別は読めません (libpcap: %s)",
                            pcap_datalink_val_to_name(link));
    }
    if (l->promiscuous && !live_is_any(r)) {
        live_watch_all(pcap_fileno(i->handle), (int)if_nametoindex(r->name));
    }
    r->index = live_is_any(r) ? 0 : (int)if_nametoindex(r->name);
    compile(l, i);
    i->octets = malloc(l->pcap->snap);
    return i->octets == NULL
               ? bh_error_errno(err, ENOMEM, r->name, "cannot start", "開始できません")
               : 0;
}

int
live_pcap_attach(struct bh_live *l, struct bh_error *err)
{
    struct pcap_side *s = calloc(1, sizeof *s);
    if (s == NULL || (s->held = malloc(HOLD_BYTES)) == NULL) {
        free(s);
        return bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
    }
    l->pcap = s;
    s->snap = l->whole_frames ? BH_LIVE_SNAP : HEADERS_MAX;
    s->room = HOLD_BYTES;
    int r = 0;
    for (size_t k = 0; r == 0 && k < l->count; k++) {
        r = attach_one(l, k, err);
    }
    return r;
}

void
live_pcap_close(struct bh_live *l)
{
    for (size_t k = 0; l->pcap != NULL && k < l->count; k++) {
        if (l->pcap->at[k].handle != NULL) {
            pcap_close(l->pcap->at[k].handle);
        }
        free(l->pcap->at[k].octets);
    }
    if (l->pcap != NULL) {
        free(l->pcap->held);
    }
    free(l->pcap);
    l->pcap = NULL;
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

/* Headers to `i->octets`, the rest is cleared where it is: libpcap's buffer is memory that may be written, a ring or its own. */
static void
keep_headers(struct bh_live *l, struct pcap_interface *i, size_t interface,
             const struct pcap_pkthdr *h, const uint8_t *data)
{
    const uint32_t len = h->caplen < l->pcap->snap ? h->caplen : l->pcap->snap;
    struct bh_live_aux aux = { .hatype = 1 };
    uint16_t index = (uint16_t)(l->ring[interface].index > 0 ? l->ring[interface].index : 0);
    uint16_t direction = 0;
    if (i->link == LINKTYPE_SLL2 && len >= SLL2_HEADER) {
        aux.hatype = bh_get_be16(data + SLL2_HATYPE);
        aux.pkttype = data[SLL2_PKTTYPE];
        index = (uint16_t)bh_get_be32(data + SLL2_INDEX);
        direction = aux.pkttype == 4 ? BH_FRAME_OUTBOUND : BH_FRAME_INBOUND;
    }
    const uint32_t kept = bh_live_run(i->code, i->count, data, len, &aux);
    const uint32_t cap = kept < len ? kept : len;
    memcpy(i->octets, data, cap);
    memset((uint8_t *)(uintptr_t)data + cap, 0, h->caplen - cap);
    i->has = kept > 0;
    i->left_out += kept == 0;
    i->next = (struct bh_frame){
        /* nanoseconds, as was asked for */
        .ts_ns = (int64_t)h->ts.tv_sec * 1000000000LL + h->ts.tv_usec,
        .data = i->octets,
        .cap_len = cap,
        .wire_len = h->len < cap ? cap : h->len,
        .link_type = i->link,
        .interface = (uint16_t)interface,
        .flags = direction,
        .file = index,
    };
}

struct taker {
    struct bh_live *l;
    size_t interface;
};

static void
take_one(uint8_t *user, const struct pcap_pkthdr *h, const uint8_t *data)
{
    struct taker t;
    memcpy(&t, user, sizeof t);
    keep_headers(t.l, &t.l->pcap->at[t.interface], t.interface, h, data);
}

/* By a callback: pcap_next_ex() would copy the frame, and only the copy would be cleared. */
static bool
look(struct bh_live *l, size_t k)
{
    struct pcap_interface *i = &l->pcap->at[k];
    struct taker t = { l, k };
    while (!i->has) {
        const int r = pcap_dispatch(i->handle, 1, take_one, (uint8_t *)&t);
        l->broken |= r < 0; /* the interface went: who is started next waits for it */
        if (r <= 0) {
            return false;
        }
    }
    return true;
}

static bool
put(struct pcap_side *s, struct pcap_interface *i, struct bh_frames *f)
{
    if (s->room - s->used < i->next.cap_len) {
        return false;
    }
    struct bh_frame *to = &f->frame[f->count++];
    *to = i->next;
    to->data = memcpy(s->held + s->used, i->octets, i->next.cap_len);
    s->used += i->next.cap_len;
    i->has = false;
    return true;
}

unsigned
live_pcap_read(struct bh_live *l, unsigned most, struct bh_frames *f)
{
    struct pcap_side *s = l->pcap;
    const int64_t late = live_now_ns() - LIVE_LATE_NS;
    f->count = 0;
    s->used = 0;
    while (f->count < most && f->count < BH_FRAMES_MAX) {
        size_t first = SIZE_MAX;
        bool any_empty = false;
        for (size_t k = 0; k < l->count; k++) {
            if (!look(l, k)) {
                any_empty = true;
            } else if (first == SIZE_MAX || s->at[k].next.ts_ns < s->at[first].next.ts_ns) {
                first = k;
            }
        }
        if (first == SIZE_MAX || (any_empty && l->count > 1 && s->at[first].next.ts_ns > late) ||
            !put(s, &s->at[first], f)) {
            break;
        }
    }
    return f->count;
}

void
live_pcap_take_stats(struct bh_live *l, struct bh_live_stats *ret)
{
    for (size_t k = 0; k < l->count; k++) {
        struct pcap_interface *i = &l->pcap->at[k];
        struct pcap_stat s = { 0 };
        if (pcap_stats(i->handle, &s) == 0) { /* counters of 32 bits, which come round */
            const uint32_t recv = s.ps_recv - (uint32_t)i->recv;
            ret->each[k].frames = recv > i->left_out ? recv - i->left_out : 0;
            i->left_out -= recv - (uint32_t)ret->each[k].frames;
            ret->each[k].dropped = (uint32_t)(s.ps_drop - (uint32_t)i->drop);
            ret->frames += ret->each[k].frames;
            ret->dropped += ret->each[k].dropped;
            i->recv = s.ps_recv;
            i->drop = s.ps_drop;
        }
    }
}

int
live_pcap_fd(const struct bh_live *l, size_t interface)
{
    return pcap_get_selectable_fd(l->pcap->at[interface].handle);
}

#else

int
live_pcap_try(struct bh_live *l, struct ring *r, struct bh_error *err)
{
    (void)l;
    return bh_error_set(err, BH_EUSAGE, r->name,
                        "cannot be captured from by libpcap: built without it",
                        "を libpcap で取り込めません: libpcap なしのビルドです");
}

int
live_pcap_attach(struct bh_live *l, struct bh_error *err)
{
    return live_pcap_try(l, &l->ring[0], err);
}

void
live_pcap_close(struct bh_live *l)
{
    (void)l;
}

unsigned
live_pcap_read(struct bh_live *l, unsigned most, struct bh_frames *f)
{
    (void)l;
    (void)most;
    return f->count = 0;
}

void
live_pcap_take_stats(struct bh_live *l, struct bh_live_stats *ret)
{
    (void)l;
    (void)ret;
}

int
live_pcap_fd(const struct bh_live *l, size_t interface)
{
    (void)l;
    (void)interface;
    return -1;
}
#endif
