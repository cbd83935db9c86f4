/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * erf.c - Endace's Extensible Record Format, as DAG cards and probes write it: records one
 * after the other, without any header of the file.
 *
 *   record: time u64 little-endian (seconds above, 2^-32 s below), type u8, flags u8,
 *           record length u16, losses or colour u16, wire length u16 (big-endian)
 *           [extension headers of 8: bit 7 of the type, then of each one's first octet, says
 *           that another follows] [what the type puts before the frame] frame [padding]
 *
 * There is no magic: a file is ERF when record lengths lead from one plausible header to the
 * next. A record that holds no frame we have a link type for comes out whole, as LINKTYPE_ERF:
 * it is counted, and decoding it is left to who knows it. The wire length of Ethernet has the
 * check sequence in it.
 */
#include "capture_priv.h"

#include <errno.h>

#define HEADER 16U
#define EXTENSION 8U

/* To recognise the format: records that must be plausible where the file has as many, how many
 * are looked at (padding does not count), and how far apart they may be. */
#define RECORDS_ENOUGH 4U
#define RECORDS_LOOKED_AT 8U
#define SECONDS_MIN 631152000U /* 1990: before there were such cards */
#define SECONDS_APART_MAX (366U * 86400U)

#define LINKTYPE_ETHERNET 1U
#define LINKTYPE_PPP_HDLC 50U
#define LINKTYPE_ATM_RFC1483 100U
#define LINKTYPE_C_HDLC 104U
#define LINKTYPE_FRELAY 107U
#define LINKTYPE_ERF 197U
#define LINKTYPE_IPV4 228U
#define LINKTYPE_IPV6 229U
#define LINKTYPE_INFINIBAND 247U

enum content { UNKNOWN, PADDING, WHOLE, FRAME, HDLC, AAL5 };

static const struct kind {
    uint8_t content;
    uint8_t before; /* octets between the headers and the frame */
    uint16_t link_type;
} kinds[] = {
    [1] = { HDLC, 0, 0 },                     /* HDLC_POS */
    [2] = { FRAME, 2, LINKTYPE_ETHERNET },    /* ETH: an offset and a reserved octet */
    [3] = { WHOLE, 0, 0 },                    /* ATM: single cells */
    [4] = { AAL5, 4, 0 },                     /* AAL5: the header of its cells */
    [5] = { HDLC, 4, 0 },                     /* MC_HDLC: the channel */
    [6] = { WHOLE, 0, 0 },                    /* MC_RAW */
    [7] = { WHOLE, 0, 0 },                    /* MC_ATM */
    [8] = { WHOLE, 0, 0 },                    /* MC_RAW_CHANNEL */
    [9] = { AAL5, 8, 0 },                     /* MC_AAL5 */
    [10] = { HDLC, 0, 0 },                    /* COLOR_HDLC_POS */
    [11] = { FRAME, 2, LINKTYPE_ETHERNET },   /* COLOR_ETH */
    [12] = { WHOLE, 0, 0 },                   /* MC_AAL2 */
    [13] = { WHOLE, 0, 0 },                   /* IP_COUNTER */
    [14] = { WHOLE, 0, 0 },                   /* TCP_FLOW_COUNTER */
    [15] = { HDLC, 0, 0 },                    /* DSM_COLOR_HDLC_POS */
    [16] = { FRAME, 2, LINKTYPE_ETHERNET },   /* DSM_COLOR_ETH */
    [17] = { HDLC, 4, 0 },                    /* COLOR_MC_HDLC_POS */
    [18] = { WHOLE, 0, 0 },                   /* AAL2 */
    [19] = { HDLC, 0, 0 },                    /* COLOR_HASH_POS */
    [20] = { FRAME, 2, LINKTYPE_ETHERNET },   /* COLOR_HASH_ETH */
    [21] = { FRAME, 0, LINKTYPE_INFINIBAND }, /* INFINIBAND */
    [22] = { FRAME, 0, LINKTYPE_IPV4 },       /* IPV4 */
    [23] = { FRAME, 0, LINKTYPE_IPV6 },       /* IPV6 */
    [24] = { WHOLE, 0, 0 },                   /* RAW_LINK */
    [25] = { WHOLE, 0, 0 },                   /* INFINIBAND_LINK */
    [27] = { WHOLE, 0, 0 },                   /* META: what the probe tells about itself */
    [28] = { WHOLE, 0, 0 },                   /* OPA_SNC */
    [29] = { WHOLE, 0, 0 },                   /* OPA_9B */
    [48] = { PADDING, 0, 0 },
};

static const struct kind *
kind_of(const uint8_t *record)
{
    static const struct kind unknown = { UNKNOWN, 0, 0 };
    unsigned type = record[8] & 0x7fU;
    return type < BH_COUNT(kinds) ? &kinds[type] : &unknown;
}

/* Octets of the headers before the frame; 0: they do not fit the record, which is all there. */
static size_t
headers_size(const uint8_t *record, size_t size, const struct kind *k)
{
    size_t at = HEADER;
    for (bool more = (record[8] & 0x80U) != 0; more; at += EXTENSION) {
        if (size - at < EXTENSION) {
            return 0;
        }
        more = (record[at] & 0x80U) != 0;
    }
    return size - at < k->before ? 0 : at + k->before;
}

static int64_t
time_of(const uint8_t *record)
{
    uint64_t ns = ((uint64_t)bh_get_le32(record) * 1000000000U + (1U << 31)) >> 32;
    return (int64_t)bh_get_le32(record + 4) * 1000000000 + (int64_t)ns;
}

/* ---- is it one? ---------------------------------------------------------------------------- */

/* A text with a tab or an end of line in the ninth place has a type, a length and a time, too. */
static bool
is_text(const uint8_t *header)
{
    for (size_t i = 0; i < HEADER; i++) {
        bool is_blank = header[i] == '\t' || header[i] == '\n' || header[i] == '\r';
        if ((header[i] < 0x20 && !is_blank) || header[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

/* `seconds`: of the record before, 0 for the first one. */
static bool
is_plausible(const uint8_t *header, uint32_t *seconds)
{
    enum content content = kind_of(header)->content;
    uint32_t now = bh_get_le32(header + 4);

    if (content == UNKNOWN || bh_get_be16(header + 10) < HEADER || is_text(header)) {
        return false;
    }
    if (content == PADDING) {
        return true; /* its time may be anything */
    }
    bool is_first = *seconds == 0;
    uint32_t before = *seconds;
    *seconds = now;
    /* Packets of several interfaces, and such as are put together of cells, come a little late. */
    return is_first ? now >= SECONDS_MIN : now + 1U - before <= SECONDS_APART_MAX;
}

/* A random header passes one time in ten, one behind another of them one time in 500. So: four in
 * a row, or records that end with the file, or three of which the last is cut. */
static int
erf_is(struct cap_file *f)
{
    size_t at = 0;
    uint32_t seconds = 0;
    unsigned good = 0; /* complete records */

    for (unsigned i = 0; i < RECORDS_LOOKED_AT; i++) {
        if (bh_cap_file_ensure(f, at + HEADER) != 0) {
            return -ENOMEM;
        }
        size_t left = (size_t)(f->end - f->at) - at;
        if (left < HEADER) {
            return good >= (left == 0 ? 1 : RECORDS_ENOUGH - 1);
        }
        if (!is_plausible(f->at + at, &seconds)) {
            return 0;
        }
        bool is_padding = kind_of(f->at + at)->content == PADDING;
        if (good == RECORDS_ENOUGH - 1 && !is_padding) {
            return 1;
        }
        size_t size = bh_get_be16(f->at + at + 10);
        if (bh_cap_file_ensure(f, at + size) != 0) {
            return -ENOMEM;
        }
        if ((size_t)(f->end - f->at) - at < size) {
            return good >= RECORDS_ENOUGH - 2;
        }
        if (headers_size(f->at + at, size, kind_of(f->at + at)) == 0) {
            return 0;
        }
        good += !is_padding;
        at += size;
    }
    return 0;
}

/* ---- the walk ------------------------------------------------------------------------------ */

/* What a channel of SONET carries the card does not say; the first octet does. */
static uint16_t
hdlc_link_type(const uint8_t *frame, uint32_t cap_len)
{
    if (cap_len == 0 || frame[0] == 0x0f || frame[0] == 0x8f) {
        return LINKTYPE_C_HDLC;
    }
    return frame[0] == 0xff ? LINKTYPE_PPP_HDLC : LINKTYPE_FRELAY;
}

/* RFC 2684, 5: packets behind an LLC header. What else may be in a cell is not ours to guess. */
static bool
is_llc(const uint8_t *frame, uint32_t cap_len)
{
    return cap_len >= 3 && frame[0] == 0xaa && frame[1] == 0xaa && frame[2] == 0x03;
}

static void
frame_set(const struct cap_file *f, const uint8_t *record, size_t size, size_t headers,
          struct bh_frame *o)
{
    const struct kind *k = kind_of(record);
    uint32_t wire_len = bh_get_be16(record + 14);
    /* Records are padded to 8 octets, and those of fixed length to that. */
    uint32_t cap_len =
        (uint32_t)(size - headers) < wire_len ? (uint32_t)(size - headers) : wire_len;
    const uint8_t *frame = record + headers;

    *o = (struct bh_frame){
        .ts_ns = time_of(record),
        .data = frame,
        .cap_len = cap_len,
        .wire_len = wire_len,
        .link_type = k->link_type,
        .interface = (uint16_t)((record[9] & 3U) | (record[9] & 0x40U) >> 4),
        .file = f->index,
    };
    if (k->content == HDLC) {
        o->link_type = hdlc_link_type(frame, cap_len);
    } else if (k->content == AAL5 && is_llc(frame, cap_len)) {
        o->link_type = LINKTYPE_ATM_RFC1483;
    } else if (k->content == WHOLE || k->content == AAL5) {
        o->link_type = LINKTYPE_ERF;
        o->data = record;
        o->cap_len = (uint32_t)headers + cap_len;
        o->wire_len = (uint32_t)headers + wire_len;
    }
}

static void
record_damage(struct cap_file *f)
{
    unsigned type = f->at[8] & 0x7fU;
    unsigned size = bh_get_be16(f->at + 10);
    bh_error_set(&f->damage, BH_EDAMAGED, f->source.name,
                 "there is no ERF record here (type %u, length %u); the rest of the file is not"
                 " read",
                 "ここに ERF のレコードがありません (種類 %u、長さ %u)。以降は読みません", type,
                 size);
}

static uint32_t
walk(struct cap_file *f, struct bh_frame *out, uint32_t max)
{
    uint32_t n = 0;

    f->need = 0;
    while (n < max) {
        size_t left = (size_t)(f->end - f->at);
        if (left < HEADER) {
            f->need = HEADER;
            break;
        }
        const struct kind *k = kind_of(f->at);
        size_t size = bh_get_be16(f->at + 10);
        if (k->content == UNKNOWN || size < HEADER) {
            record_damage(f);
            break;
        }
        if (size > left) {
            f->need = size;
            break;
        }
        size_t headers = headers_size(f->at, size, k);
        if (headers == 0) {
            record_damage(f);
            break;
        }
        if (k->content != PADDING) {
            frame_set(f, f->at, size, headers, &out[n++]);
        }
        f->at += size;
    }
    return n;
}

static int
erf_begin(struct cap_file *f, struct bh_error *err)
{
    (void)err; /* what is recognised has a good first record */
    f->walk = walk;
    return 0;
}

static uint32_t
erf_count(const struct cap_file *f, uint32_t max, uint64_t *ret_octets)
{
    const uint8_t *at = f->at;
    uint32_t n = 0;

    while (n < max && (size_t)(f->end - at) >= HEADER) {
        size_t size = bh_get_be16(at + 10);
        if (size < HEADER || size > (size_t)(f->end - at)) {
            break;
        }
        n += kind_of(at)->content != PADDING;
        at += size;
    }
    *ret_octets = (uint64_t)(at - f->at);
    return n;
}

const struct cap_format bh_cap_erf = { erf_is, erf_begin, erf_count };
