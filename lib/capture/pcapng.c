/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pcapng.c - draft-ietf-opsawg-pcapng: blocks of (type, length, ..., length), in sections that
 * each have a byte order and interfaces of their own; an interface has a link type and a clock.
 *
 * Lengths of sections are not used: blocks are walked one by one anyway, and writers that could
 * not know the length say -1. Interfaces are numbered on from section to section, so that
 * (file, interface) names one.
 */
#include "capture_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define BLOCK_SECTION 0x0a0d0d0aU /* reads the same in both orders */
#define BLOCK_INTERFACE 1U
#define BLOCK_PACKET_OBSOLETE 2U
#define BLOCK_PACKET_SIMPLE 3U
#define BLOCK_NAMES 4U
#define BLOCK_STATISTICS 5U
#define BLOCK_PACKET 6U
#define BLOCK_JOURNAL 9U
#define BLOCK_SECRETS 10U
#define BLOCK_CUSTOM 0xbadU
#define BLOCK_CUSTOM_LOCAL 0x40000badU

#define ORDER_MARK 0x1a2b3c4dU

#define BLOCK_MIN 12U
#define SECTION_MIN 28U
#define INTERFACE_MIN 20U
#define PACKET_MIN 32U
#define SIMPLE_MIN 16U
#define BLOCK_MAX (CAP_RECORD_MAX + (1U << 20)) /* a longest packet and its options */

#define INTERFACES_MAX 65536U

#define OPTION_FLAGS 2U      /* of a packet                */
#define OPTION_RESOLUTION 9U /* of an interface: if_tsresol  */
#define OPTION_OFFSET 14U    /* of an interface: if_tsoffset */

__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 i128;

static BH_ALWAYS_INLINE uint32_t
get32(const uint8_t *p, bool big_endian)
{
    return big_endian ? bh_get_be32(p) : bh_get_le32(p);
}

static BH_ALWAYS_INLINE uint16_t
get16(const uint8_t *p, bool big_endian)
{
    return big_endian ? bh_get_be16(p) : bh_get_le16(p);
}

static void
damage(struct cap_file *f, const char *en, const char *ja)
{
    bh_error_set(&f->damage, BH_EDAMAGED, f->source.name, "%s%.0s", "%.0s%s", en, ja);
}

/* ---- time ---------------------------------------------------------------------------------- */

/* if_tsresol: 10^-n seconds, or 2^-n with the upper bit. n goes to 127, far below what we
 * keep: then every time is 0 plus the offset, which is right to the nanosecond. */
static u128
units_to_ns(uint64_t units, uint8_t resolution)
{
    unsigned n = resolution & 0x7fU;
    if (resolution & 0x80U) {
        return (u128)units * 1000000000U >> n;
    }
    uint64_t power = 1;
    for (unsigned i = 9; i < n; i++) {
        if (power > UINT64_MAX / 10) {
            return 0;
        }
        power *= 10;
    }
    if (n >= 9) {
        return units / power;
    }
    for (unsigned i = n; i < 9; i++) {
        power *= 10;
    }
    return (u128)units * power;
}

static BH_NOINLINE bool
time_general(const struct cap_interface *i, uint64_t units, int64_t *ret_ts_ns)
{
    /* Below 2^94, and an offset below 2^93: both ends fit. */
    i128 ns = (i128)units_to_ns(units, i->resolution) + (i128)i->offset_s * 1000000000;
    if (ns > INT64_MAX || ns < INT64_MIN) {
        return false;
    }
    *ret_ts_ns = (int64_t)ns;
    return true;
}

/* The usual clocks need one multiplication. */
static void
time_prepare(struct cap_interface *i)
{
    static const uint32_t powers[] = { 1000000000, 100000000, 10000000, 1000000, 100000,
                                       10000,      1000,      100,      10,      1 };
    i->unit_ns = 0;
    i->unit_max = 0;
    if (i->resolution < BH_COUNT(powers) && i->offset_s == 0) {
        i->unit_ns = powers[i->resolution];
        i->unit_max = (uint64_t)INT64_MAX / i->unit_ns;
    }
}

static BH_ALWAYS_INLINE void
time_set(struct cap_file *f, const struct cap_interface *i, uint64_t units, struct bh_frame *o)
{
    if (BH_LIKELY(units <= i->unit_max && i->unit_ns != 0)) {
        o->ts_ns = (int64_t)(units * i->unit_ns);
    } else if (!time_general(i, units, &o->ts_ns)) {
        o->ts_ns = 0;
        o->flags |= BH_FRAME_BAD_TIME;
        return;
    }
    f->ng.last_ts_ns = o->ts_ns;
}

/* ---- options ------------------------------------------------------------------------------- */

struct option {
    unsigned code, size;
    const uint8_t *value;
};

/* The next option in at..end. False: no more; what is broken ends the list, not the file. */
static bool
option_next(const uint8_t **at, const uint8_t *end, bool big_endian, struct option *ret_option)
{
    size_t left = (size_t)(end - *at);
    if (left < 4) {
        return false;
    }
    unsigned code = get16(*at, big_endian);
    unsigned size = get16(*at + 2, big_endian);
    if (code == 0 || size > left - 4) {
        return false;
    }
    *ret_option = (struct option){ code, size, *at + 4 };
    size_t padded = 4 + (((size_t)size + 3) & ~(size_t)3);
    *at += padded < left ? padded : left;
    return true;
}

static BH_NOINLINE uint16_t
packet_flags(const uint8_t *at, const uint8_t *end, bool big_endian)
{
    struct option o;
    while (option_next(&at, end, big_endian, &o)) {
        if (o.code == OPTION_FLAGS && o.size == 4) {
            unsigned direction = get32(o.value, big_endian) & 3U;
            return direction == 1 ? BH_FRAME_INBOUND : direction == 2 ? BH_FRAME_OUTBOUND : 0;
        }
    }
    return 0;
}

/* ---- sections and interfaces --------------------------------------------------------------- */

static bool
is_section(const uint8_t *head, size_t size)
{
    return size >= 4 && bh_get_le32(head) == BLOCK_SECTION &&
           (size < BLOCK_MIN || bh_get_le32(head + 8) == ORDER_MARK ||
            bh_get_be32(head + 8) == ORDER_MARK);
}

static int
pcapng_is(struct cap_file *f)
{
    return is_section(f->at, (size_t)(f->end - f->at));
}

/* Octets a section header has; 0: it makes no sense. `head` has 12. */
static uint32_t
section_length(const uint8_t *head)
{
    uint32_t size = get32(head + 4, bh_get_be32(head + 8) == ORDER_MARK);
    return size < SECTION_MIN || size % 4 != 0 || size > BLOCK_MAX ? 0 : size;
}

/* A section header at f->at, of which 12 octets at least are there. */
static uint32_t
section_size(struct cap_file *f, bool *ret_big_endian)
{
    const uint8_t *p = f->at;
    if (!is_section(p, BLOCK_MIN)) {
        damage(f, "a section header without its byte-order mark; the rest is not read",
               "バイト順マークのないセクションヘッダーがあります。以降は読みません");
        return 0;
    }
    uint32_t size = section_length(p);
    if (size == 0) {
        damage(f, "a section header of impossible length; the rest is not read",
               "セクションヘッダーの長さが不正です。以降は読みません");
    }
    *ret_big_endian = bh_get_be32(p + 8) == ORDER_MARK;
    return size;
}

static bool
section_begin(struct cap_file *f)
{
    bool big_endian;
    uint32_t size = section_size(f, &big_endian);
    if (size == 0) {
        return false;
    }
    if (size > (size_t)(f->end - f->at)) {
        f->need = size;
        return false;
    }
    unsigned major = get16(f->at + 12, big_endian);
    if (major != 1) {
        bh_error_set(&f->damage, BH_EVERSION, f->source.name,
                     "version %u of the pcapng format; only 1 can be read",
                     "pcapng 形式のバージョン %u です。読めるのは 1 だけです", major);
        return false;
    }
    if (get32(f->at + size - 4, big_endian) != size) {
        damage(f, "a section header whose two lengths differ; the rest is not read",
               "セクションヘッダーの前後の長さが一致しません。以降は読みません");
        return false;
    }
    f->ng.big_endian = big_endian;
    f->ng.interface_count = 0;
    f->at += size;
    return true;
}

static void
interface_options(struct cap_interface *i, const uint8_t *at, const uint8_t *end, bool big_endian)
{
    struct option o;
    while (option_next(&at, end, big_endian, &o)) {
        if (o.code == OPTION_RESOLUTION && o.size == 1) {
            i->resolution = o.value[0];
        } else if (o.code == OPTION_OFFSET && o.size == 8) {
            i->offset_s = (int64_t)(big_endian ? bh_get_be64(o.value) : bh_get_le64(o.value));
        }
    }
}

static bool
interface_add(struct cap_file *f, const uint8_t *block, uint32_t size)
{
    struct cap_pcapng *ng = &f->ng;
    bool big_endian = ng->big_endian;

    if (size < INTERFACE_MIN || ng->interface_count == INTERFACES_MAX) {
        damage(f, "an interface description that is too short, or one too many (65536 is the most)",
               "インターフェース記述が短すぎるか、多すぎます (最大 65536)");
        return false;
    }
    if (ng->interface_count == ng->interface_cap) {
        uint32_t cap = ng->interface_cap == 0 ? 4 : 2 * ng->interface_cap;
        void *grown = realloc(ng->interface, bh_size_mul(cap, sizeof *ng->interface));
        if (grown == NULL) {
            f->no_memory = true;
            return false;
        }
        ng->interface = grown;
        ng->interface_cap = cap;
    }
    struct cap_interface *i = &ng->interface[ng->interface_count++];
    *i = (struct cap_interface){
        .link_type = get16(block + 8, big_endian),
        .snap_len = get32(block + 12, big_endian),
        .resolution = 6,
        /* Past 65535 in all sections they share the last number. */
        .number = ng->interface_next > UINT16_MAX ? UINT16_MAX : (uint16_t)ng->interface_next,
    };
    ng->interface_next += ng->interface_next <= UINT16_MAX;
    interface_options(i, block + 16, block + size - 4, big_endian);
    time_prepare(i);
    return true;
}

/* ---- packets ------------------------------------------------------------------------------- */

static BH_NOINLINE bool
packet_damage(struct cap_file *f, uint32_t interface)
{
    if (interface < f->ng.interface_count) {
        damage(f, "a packet that is longer than its block; the rest is not read",
               "ブロックより長いパケットがあります。以降は読みません");
    } else {
        bh_error_set(&f->damage, BH_EDAMAGED, f->source.name,
                     "a packet of interface %" PRIu32 ", but only %" PRIu32
                     " are described before it; the rest is not read",
                     "インターフェース %" PRIu32 " のパケットですが、記述は %" PRIu32
                     " 個しかありません。以降は読みません",
                     interface, f->ng.interface_count);
    }
    return false;
}

/* The enhanced packet, and the obsolete one: they differ in the interface number only. */
static BH_ALWAYS_INLINE bool
packet(struct cap_file *f, struct bh_frame *o, const uint8_t *b, uint32_t size, uint32_t interface,
       bool big_endian)
{
    uint32_t cap_len = size < PACKET_MIN ? 0 : get32(b + 20, big_endian);
    if (BH_UNLIKELY(size < PACKET_MIN || interface >= f->ng.interface_count ||
                    cap_len > size - PACKET_MIN)) {
        return packet_damage(f, interface);
    }
    const struct cap_interface *i = &f->ng.interface[interface];
    uint32_t wire_len = get32(b + 24, big_endian);
    uint32_t options = 28 + ((cap_len + 3) & ~3U);

    o->flags = 0;
    o->data = b + 28;
    o->cap_len = cap_len;
    o->wire_len = wire_len;
    if (BH_UNLIKELY(wire_len < cap_len)) {
        o->wire_len = cap_len;
        o->flags = BH_FRAME_LONG;
    }
    o->link_type = i->link_type;
    o->interface = i->number;
    o->file = f->index;
    if (options + 8 <= size - 4) {
        o->flags |= packet_flags(b + options, b + size - 4, big_endian);
    }
    uint64_t units = (uint64_t)get32(b + 12, big_endian) << 32 | get32(b + 16, big_endian);
    time_set(f, i, units, o);
    return true;
}

/* No time and no captured length: that follows from the snap length of interface 0. */
static bool
packet_simple(struct cap_file *f, struct bh_frame *o, const uint8_t *b, uint32_t size)
{
    if (size < SIMPLE_MIN || f->ng.interface_count == 0) {
        return packet_damage(f, 0);
    }
    const struct cap_interface *i = &f->ng.interface[0];
    uint32_t wire_len = get32(b + 8, f->ng.big_endian);
    uint32_t cap_len = i->snap_len != 0 && i->snap_len < wire_len ? i->snap_len : wire_len;
    if (cap_len > size - SIMPLE_MIN) {
        return packet_damage(f, 0);
    }
    *o = (struct bh_frame){
        .ts_ns = f->ng.last_ts_ns,
        .data = b + 12,
        .cap_len = cap_len,
        .wire_len = wire_len,
        .link_type = i->link_type,
        .interface = i->number,
        .flags = BH_FRAME_BAD_TIME,
        .file = f->index,
    };
    return true;
}

static bool
is_known_without_packets(uint32_t type)
{
    switch (type) {
    case BLOCK_NAMES:
    case BLOCK_STATISTICS:
    case BLOCK_JOURNAL:
    case BLOCK_SECRETS:
    case BLOCK_CUSTOM:
    case BLOCK_CUSTOM_LOCAL:
        return true;
    default:
        return false;
    }
}

/* Every block but the enhanced packet and the section header. *ret_frames: 0 or 1. */
static BH_NOINLINE bool
block_other(struct cap_file *f, struct bh_frame *o, const uint8_t *b, uint32_t size,
            uint32_t *ret_frames)
{
    bool big_endian = f->ng.big_endian;
    uint32_t type = get32(b, big_endian);

    *ret_frames = type == BLOCK_PACKET_SIMPLE || type == BLOCK_PACKET_OBSOLETE;
    switch (type) {
    case BLOCK_INTERFACE:
        return interface_add(f, b, size);
    case BLOCK_PACKET_SIMPLE:
        return packet_simple(f, o, b, size);
    case BLOCK_PACKET_OBSOLETE:
        return packet(f, o, b, size, size < PACKET_MIN ? 0 : get16(b + 8, big_endian), big_endian);
    default:
        break;
    }
    if (!is_known_without_packets(type) && !f->ng.unknown_seen) {
        f->ng.unknown_seen = true;
        f->ng.unknown_type = type;
        f->ng.unknown_offset = f->end_offset - (uint64_t)(f->end - b);
    }
    return true;
}

/* ---- the walk ------------------------------------------------------------------------------ */

/* The size of the block at `b`; 0: it is not all there or makes no sense. */
static BH_ALWAYS_INLINE uint32_t
block_size(struct cap_file *f, const uint8_t *b, bool big_endian)
{
    size_t left = (size_t)(f->end - b);
    if (BH_UNLIKELY(left < BLOCK_MIN)) {
        f->need = BLOCK_MIN;
        return 0;
    }
    uint32_t size = get32(b + 4, big_endian);
    if (BH_UNLIKELY(size < BLOCK_MIN || size % 4 != 0 || size > BLOCK_MAX)) {
        damage(f, "a block of impossible length; the rest is not read",
               "ブロックの長さが不正です。以降は読みません");
        return 0;
    }
    if (BH_UNLIKELY(size > left)) {
        f->need = size;
        return 0;
    }
    if (BH_UNLIKELY(get32(b + size - 4, big_endian) != size)) {
        damage(f, "a block whose two lengths differ; the rest is not read",
               "ブロックの前後の長さが一致しません。以降は読みません");
        return 0;
    }
    return size;
}

/* Blocks up to the next section header, in the byte order of this section. */
static BH_ALWAYS_INLINE uint32_t
walk_section(struct cap_file *f, struct bh_frame *out, uint32_t max, bool big_endian)
{
    const uint8_t *at = f->at;
    uint32_t n = 0;

    while (n < max) {
        if ((size_t)(f->end - at) >= 4 && BH_UNLIKELY(bh_get_le32(at) == BLOCK_SECTION)) {
            break;
        }
        uint32_t size = block_size(f, at, big_endian);
        if (size == 0) {
            break;
        }
        if (BH_LIKELY(get32(at, big_endian) == BLOCK_PACKET)) {
            uint32_t interface = size < PACKET_MIN ? 0 : get32(at + 8, big_endian);
            if (!packet(f, &out[n], at, size, interface, big_endian)) {
                break;
            }
            n++;
        } else {
            uint32_t frames;
            if (!block_other(f, &out[n], at, size, &frames)) {
                break;
            }
            n += frames;
        }
        at += size;
    }
    f->at = at;
    return n;
}

static bool
is_stopped(const struct cap_file *f)
{
    return f->need != 0 || f->damage.code != 0 || f->no_memory;
}

static uint32_t
walk(struct cap_file *f, struct bh_frame *out, uint32_t max)
{
    uint32_t n = 0;

    f->need = 0;
    while (n < max && !is_stopped(f)) {
        if ((size_t)(f->end - f->at) >= 4 && bh_get_le32(f->at) == BLOCK_SECTION) {
            if ((size_t)(f->end - f->at) < BLOCK_MIN) {
                f->need = BLOCK_MIN;
            } else {
                section_begin(f); /* is_stopped() tells */
            }
            continue;
        }
        n += f->ng.big_endian ? walk_section(f, out + n, max - n, true)
                              : walk_section(f, out + n, max - n, false);
    }
    return n;
}

static int
pcapng_begin(struct cap_file *f, struct bh_error *err)
{
    f->walk = walk;
    f->ng.interface_count = 0;
    f->ng.interface_next = 0;
    f->ng.last_ts_ns = 0;
    f->ng.unknown_seen = false;
    if ((size_t)(f->end - f->at) >= BLOCK_MIN &&
        bh_cap_file_ensure(f, section_length(f->at)) != 0) {
        return -ENOMEM;
    }
    f->need = SECTION_MIN;
    if ((size_t)(f->end - f->at) >= BLOCK_MIN && section_begin(f)) {
        return 0;
    }
    if (f->damage.code == 0) {
        return bh_error_set(err, BH_EDAMAGED, f->source.name,
                            "the file is cut inside its first block: %zu of %zu bytes are"
                            " there",
                            "最初のブロックの途中で切れています (%2$zu バイト中 %1$zu バイト)",
                            (size_t)(f->end - f->at), f->need);
    }
    if (err != NULL) {
        *err = f->damage;
    }
    return f->damage.code;
}

static uint32_t
pcapng_count(const struct cap_file *f, uint32_t max, uint64_t *ret_octets)
{
    bool big_endian = f->ng.big_endian;
    const uint8_t *at = f->at;
    uint32_t n = 0;

    while (n < max && (size_t)(f->end - at) >= BLOCK_MIN) {
        uint32_t type = get32(at, big_endian);
        uint32_t size = get32(at + 4, big_endian);
        if (size < BLOCK_MIN || size > (size_t)(f->end - at)) {
            break;
        }
        n += type == BLOCK_PACKET || type == BLOCK_PACKET_SIMPLE || type == BLOCK_PACKET_OBSOLETE;
        at += size;
    }
    *ret_octets = (uint64_t)(at - f->at);
    return n;
}

const struct cap_format bh_cap_pcapng = { pcapng_is, pcapng_begin, pcapng_count };
