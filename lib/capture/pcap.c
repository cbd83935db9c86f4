/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pcap.c - the classic format (draft-ietf-opsawg-pcap) and its old and modified kin.
 *
 *   header: magic, major u16, minor u16, zone i32, sigfigs u32, snap length u32, link type u32
 *   record: seconds u32, fraction u32, captured length u32, wire length u32, [modified: 8 more]
 *
 * Seconds are unsigned (to 2106), and a fraction of a second or more just carries. Times of a
 * zone other than 0 are not moved: nobody ever wrote one on purpose, and libpcap ignores it too.
 *
 * The walk is the one serial part of reading and touches one line or two of each packet, so it
 * is compiled for each byte order and unit.
 */
#include "capture_priv.h"

#include <inttypes.h>

#define MAGIC_US 0xa1b2c3d4U
#define MAGIC_NS 0xa1b23c4dU
#define MAGIC_MODIFIED 0xa1b2cd34U /* A. Kuznetsov's: 8 more octets in each record */

#define RECORD_HEADER 16U
#define RECORD_HEADER_MODIFIED 24U

static BH_ALWAYS_INLINE uint32_t
get32(const uint8_t *p, bool big_endian)
{
    return big_endian ? bh_get_be32(p) : bh_get_le32(p);
}

static uint16_t
get16(const uint8_t *p, bool big_endian)
{
    return big_endian ? bh_get_be16(p) : bh_get_le16(p);
}

static bool
is_magic(uint32_t v)
{
    return v == MAGIC_US || v == MAGIC_NS || v == MAGIC_MODIFIED;
}

static int
pcap_is(struct cap_file *f)
{
    return f->end - f->at >= 4 && (is_magic(bh_get_le32(f->at)) || is_magic(bh_get_be32(f->at)));
}

/* Captured and wire length of the record, in the order the file has them. */
static inline void
record_lengths(const struct cap_pcap *p, const uint8_t *record, uint32_t *ret_cap,
               uint32_t *ret_wire)
{
    uint32_t a = get32(record + 8, p->big_endian);
    uint32_t b = get32(record + 12, p->big_endian);
    /* Before version 2.3 the wire length came first; 2.3 was written both ways. */
    bool swap = p->lengths_swap == 1 || (p->lengths_swap == 2 && a > b);
    *ret_cap = swap ? b : a;
    *ret_wire = swap ? a : b;
}

/* The record at f->at is not walked: what does it need, or what is wrong with it? */
static BH_NOINLINE void
record_stop(struct cap_file *f)
{
    const struct cap_pcap *p = &f->pcap;
    size_t left = (size_t)(f->end - f->at);
    uint32_t cap_len, wire_len;

    f->need = p->header_size;
    if (left < p->header_size) {
        return;
    }
    record_lengths(p, f->at, &cap_len, &wire_len);
    if (cap_len > p->record_max) {
        bh_error_set(&f->damage, BH_EDAMAGED, f->source.name,
                     "the packet header here says %" PRIu32
                     " captured bytes, more than the %" PRIu32
                     " a packet of this file can have; the rest of the file is not read",
                     "ここのパケットヘッダーは長さ %" PRIu32
                     " バイトとなっていて、このファイルの上限 %" PRIu32
                     " バイトを超えています。以降は読みません",
                     cap_len, p->record_max);
        return;
    }
    f->need += cap_len;
}

/* The last fields are the same in all frames of a file: one store for the four of them. */
#define TAIL_AT offsetof(struct bh_frame, link_type)
_Static_assert(sizeof(struct bh_frame) - TAIL_AT == sizeof(uint64_t), "the tail of a frame");

static uint64_t
frame_tail(const struct cap_file *f)
{
    const struct bh_frame frame = { .link_type = f->pcap.link_type, .file = f->index };
    uint64_t tail;
    memcpy(&tail, (const uint8_t *)&frame + TAIL_AT, sizeof tail);
    return tail;
}

static BH_ALWAYS_INLINE uint32_t
walk(struct cap_file *f, struct bh_frame *out, uint32_t max, bool big_endian, int64_t unit_ns)
{
    const uint8_t *at = f->at;
    size_t left = (size_t)(f->end - at);
    const uint64_t record_max = f->pcap.record_max;
    const uint64_t tail = frame_tail(f);
    struct bh_frame *o = out;

    f->need = 0;
    for (struct bh_frame *const end = out + max; o != end; o++) {
        if (BH_UNLIKELY(left < RECORD_HEADER)) {
            break;
        }
        uint32_t cap_len = get32(at + 8, big_endian);
        uint64_t room = left - RECORD_HEADER;
        if (BH_UNLIKELY(cap_len > (room < record_max ? room : record_max))) {
            break;
        }
        uint32_t wire_len = get32(at + 12, big_endian);
        o->ts_ns = (int64_t)get32(at, big_endian) * 1000000000 +
                   (int64_t)get32(at + 4, big_endian) * unit_ns;
        o->data = at + RECORD_HEADER;
        o->cap_len = cap_len;
        o->wire_len = wire_len;
        memcpy((uint8_t *)o + TAIL_AT, &tail, sizeof tail);
        if (BH_UNLIKELY(wire_len < cap_len)) {
            o->wire_len = cap_len;
            o->flags = BH_FRAME_LONG;
        }
        at += RECORD_HEADER + (size_t)cap_len;
        left = room - cap_len;
    }
    f->at = at;
    const uint32_t n = (uint32_t)(o - out);
    if (n < max) {
        record_stop(f);
    }
    return n;
}

static uint32_t
walk_le_us(struct cap_file *f, struct bh_frame *out, uint32_t max)
{
    return walk(f, out, max, false, 1000);
}

static uint32_t
walk_le_ns(struct cap_file *f, struct bh_frame *out, uint32_t max)
{
    return walk(f, out, max, false, 1);
}

static uint32_t
walk_be_us(struct cap_file *f, struct bh_frame *out, uint32_t max)
{
    return walk(f, out, max, true, 1000);
}

static uint32_t
walk_be_ns(struct cap_file *f, struct bh_frame *out, uint32_t max)
{
    return walk(f, out, max, true, 1);
}

/* The direction Linux gave the packet, which is what the modified format adds. */
static uint16_t
modified_flags(const uint8_t *record)
{
    static const uint16_t flags[] = { BH_FRAME_INBOUND, BH_FRAME_INBOUND, BH_FRAME_INBOUND, 0,
                                      BH_FRAME_OUTBOUND };
    unsigned packet_type = record[22];
    return packet_type < BH_COUNT(flags) ? flags[packet_type] : 0;
}

/* Old and modified files: rare, so one plain loop for all. */
static uint32_t
walk_rare(struct cap_file *f, struct bh_frame *out, uint32_t max)
{
    const struct cap_pcap *p = &f->pcap;
    uint32_t n = 0;

    f->need = 0;
    for (; n < max; n++) {
        size_t left = (size_t)(f->end - f->at);
        uint32_t cap_len, wire_len;
        if (left < p->header_size) {
            break;
        }
        record_lengths(p, f->at, &cap_len, &wire_len);
        if (cap_len > left - p->header_size || cap_len > p->record_max) {
            break;
        }
        out[n] = (struct bh_frame){
            .ts_ns = (int64_t)get32(f->at, p->big_endian) * 1000000000 +
                     (int64_t)get32(f->at + 4, p->big_endian) * (p->nanoseconds ? 1 : 1000),
            .data = f->at + p->header_size,
            .cap_len = cap_len,
            .wire_len = wire_len < cap_len ? cap_len : wire_len,
            .link_type = p->link_type,
            .flags = p->header_size == RECORD_HEADER_MODIFIED ? modified_flags(f->at) : 0,
            .file = f->index,
        };
        if (wire_len < cap_len) {
            out[n].flags |= BH_FRAME_LONG;
        }
        f->at += p->header_size + cap_len;
    }
    if (n < max) {
        record_stop(f);
    }
    return n;
}

/* 2.4 is what everybody writes since 1998; 543.0 was a version of 2.2 (libpcap knows it too). A
 * higher minor version may not change what is there, if it is one: read, and said. */
static int
version_check(struct cap_pcap *p, const uint8_t *head, const char *name, struct bh_error *err)
{
    unsigned major = get16(head + 4, p->big_endian);
    unsigned minor = get16(head + 6, p->big_endian);

    if (major != 2 && !(major == 543 && minor == 0)) {
        return bh_error_set(
            err, BH_EVERSION, name, "this is version %u.%u of the pcap format; only 2 can be read",
            "pcap 形式のバージョン %u.%u です。読めるのは 2 だけです", major, minor);
    }
    p->minor_new = major == 2 && minor > 4 ? (uint16_t)minor : 0;
    p->lengths_swap = major == 543 || minor < 3 ? 1 : minor == 3 ? 2 : 0;
    return 0;
}

static int
pcap_begin(struct cap_file *f, struct bh_error *err)
{
    struct cap_pcap *p = &f->pcap;
    const uint8_t *head = f->at;
    size_t size = (size_t)(f->end - f->at);

    if (size < CAP_HEAD_SIZE) {
        return bh_error_set(err, BH_EDAMAGED, f->source.name,
                            "the file is cut inside its header: %zu of 24 bytes are there",
                            "ヘッダーの途中で切れています (24 バイト中 %zu バイト)", size);
    }
    p->big_endian = is_magic(bh_get_be32(head));
    uint32_t magic = get32(head, p->big_endian);
    int r = version_check(p, head, f->source.name, err);
    if (r != 0) {
        return r;
    }
    p->nanoseconds = magic == MAGIC_NS;
    p->header_size = magic == MAGIC_MODIFIED ? RECORD_HEADER_MODIFIED : RECORD_HEADER;
    uint32_t snap_len = get32(head + 16, p->big_endian);
    p->record_max = snap_len > CAP_RECORD_MAX      ? CAP_RECORD_MAX
                    : snap_len > CAP_SNAPLEN_USUAL ? snap_len
                                                   : CAP_SNAPLEN_USUAL;
    /* The upper half says whether each frame ends with its check sequence, and how long that
     * is. Nothing to do: every layer inside says itself where it ends. */
    p->link_type = (uint16_t)get32(head + 20, p->big_endian);
    if (p->lengths_swap != 0 || p->header_size != RECORD_HEADER) {
        f->walk = walk_rare;
    } else if (p->big_endian) {
        f->walk = p->nanoseconds ? walk_be_ns : walk_be_us;
    } else {
        f->walk = p->nanoseconds ? walk_le_ns : walk_le_us;
    }
    f->at += CAP_HEAD_SIZE;
    return 0;
}

static uint32_t
pcap_count(const struct cap_file *f, uint32_t max, uint64_t *ret_octets)
{
    const struct cap_pcap *p = &f->pcap;
    const uint8_t *at = f->at;
    uint32_t n = 0;

    while (n < max && (size_t)(f->end - at) >= p->header_size) {
        uint32_t cap_len, wire_len;
        record_lengths(p, at, &cap_len, &wire_len);
        if (cap_len > p->record_max || cap_len > (size_t)(f->end - at) - p->header_size) {
            break;
        }
        at += p->header_size + cap_len;
        n++;
    }
    *ret_octets = (uint64_t)(at - f->at);
    return n;
}

const struct cap_format bh_cap_pcap = { pcap_is, pcap_begin, pcap_count };
