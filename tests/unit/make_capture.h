/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * make_capture.h - capture files in memory, for tests: pcap and pcapng in both byte orders, and
 * packed (stored, not compressed) as gzip, zstd and lz4, so that no library is needed.
 *
 *     struct mc m = { 0 };
 *     mc_pcap_header(&m, MC_PCAP_US, 1, 65535);
 *     mc_pcap_record(&m, 1185000000, 0, frame, sizeof frame, sizeof frame);
 *     ... m.data, m.len ...
 *     mc_done(&m);
 */
#ifndef BH_MAKE_CAPTURE_H
#define BH_MAKE_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct mc {
    uint8_t *data;
    size_t len, cap;
    bool big_endian; /* of what is added next */
    size_t block;    /* start of the pcapng block that is open */
};

#define MC_INLINE static inline __attribute__((unused))

#define MC_PCAP_US 0xa1b2c3d4U
#define MC_PCAP_NS 0xa1b23c4dU
#define MC_PCAP_MODIFIED 0xa1b2cd34U

MC_INLINE void
mc_done(struct mc *m)
{
    free(m->data);
    *m = (struct mc){ 0 };
}

MC_INLINE void
mc_put(struct mc *m, const void *data, size_t size)
{
    if (m->len + size > m->cap) {
        m->cap = 2 * (m->len + size);
        m->data = realloc(m->data, m->cap);
        if (m->data == NULL) {
            abort();
        }
    }
    if (size > 0) {
        memcpy(m->data + m->len, data, size);
    }
    m->len += size;
}

MC_INLINE void
mc_number(struct mc *m, uint64_t v, unsigned size)
{
    uint8_t b[8];
    for (unsigned i = 0; i < size; i++) {
        b[m->big_endian ? size - 1 - i : i] = (uint8_t)(v >> 8 * i);
    }
    mc_put(m, b, size);
}

MC_INLINE void
mc_u16(struct mc *m, uint16_t v)
{
    mc_number(m, v, 2);
}

MC_INLINE void
mc_u32(struct mc *m, uint32_t v)
{
    mc_number(m, v, 4);
}

MC_INLINE void
mc_pad(struct mc *m)
{
    static const uint8_t zeros[4] = { 0 };
    mc_put(m, zeros, (4 - m->len % 4) % 4);
}

/* ---- pcap ---------------------------------------------------------------------------------- */

MC_INLINE void
mc_pcap_header_version(struct mc *m, uint32_t magic, uint16_t major, uint16_t minor, uint32_t link,
                       uint32_t snap_len)
{
    mc_u32(m, magic);
    mc_u16(m, major);
    mc_u16(m, minor);
    mc_u32(m, 0);
    mc_u32(m, 0);
    mc_u32(m, snap_len);
    mc_u32(m, link);
}

MC_INLINE void
mc_pcap_header(struct mc *m, uint32_t magic, uint32_t link, uint32_t snap_len)
{
    mc_pcap_header_version(m, magic, 2, 4, link, snap_len);
}

MC_INLINE void
mc_pcap_record(struct mc *m, uint32_t seconds, uint32_t fraction, const void *data,
               uint32_t cap_len, uint32_t wire_len)
{
    mc_u32(m, seconds);
    mc_u32(m, fraction);
    mc_u32(m, cap_len);
    mc_u32(m, wire_len);
    mc_put(m, data, cap_len);
}

/* ---- pcapng -------------------------------------------------------------------------------- */

MC_INLINE void
mc_ng_begin(struct mc *m, uint32_t type)
{
    m->block = m->len;
    mc_u32(m, type);
    mc_u32(m, 0);
}

MC_INLINE void
mc_ng_end(struct mc *m)
{
    mc_pad(m);
    size_t end = m->len + 4;
    uint32_t size = (uint32_t)(end - m->block);
    m->len = m->block + 4;
    mc_u32(m, size);
    m->len = end - 4;
    mc_u32(m, size);
}

MC_INLINE void
mc_ng_block(struct mc *m, uint32_t type, const void *body, size_t size)
{
    mc_ng_begin(m, type);
    mc_put(m, body, size);
    mc_ng_end(m);
}

MC_INLINE void
mc_ng_section(struct mc *m, bool big_endian)
{
    m->big_endian = big_endian;
    mc_ng_begin(m, 0x0a0d0d0aU);
    mc_u32(m, 0x1a2b3c4dU);
    mc_u16(m, 1);
    mc_u16(m, 0);
    mc_number(m, UINT64_MAX, 8);
    mc_ng_end(m);
}

MC_INLINE void
mc_ng_option(struct mc *m, uint16_t code, uint64_t value, uint16_t size)
{
    mc_u16(m, code);
    mc_u16(m, size);
    mc_number(m, value, size);
    mc_pad(m);
}

/* resolution < 0, offset 0: without the option. */
MC_INLINE void
mc_ng_interface(struct mc *m, uint16_t link, uint32_t snap_len, int resolution, int64_t offset_s)
{
    mc_ng_begin(m, 1);
    mc_u16(m, link);
    mc_u16(m, 0);
    mc_u32(m, snap_len);
    if (resolution >= 0) {
        mc_ng_option(m, 9, (uint64_t)resolution, 1);
    }
    if (offset_s != 0) {
        mc_ng_option(m, 14, (uint64_t)offset_s, 8);
    }
    if (resolution >= 0 || offset_s != 0) {
        mc_u32(m, 0);
    }
    mc_ng_end(m);
}

/* flags < 0: no option. */
MC_INLINE void
mc_ng_packet_flags(struct mc *m, uint32_t interface, uint64_t units, const void *data,
                   uint32_t cap_len, uint32_t wire_len, int flags)
{
    mc_ng_begin(m, 6);
    mc_u32(m, interface);
    mc_u32(m, (uint32_t)(units >> 32));
    mc_u32(m, (uint32_t)units);
    mc_u32(m, cap_len);
    mc_u32(m, wire_len);
    mc_put(m, data, cap_len);
    mc_pad(m);
    if (flags >= 0) {
        mc_ng_option(m, 2, (uint64_t)flags, 4);
        mc_u32(m, 0);
    }
    mc_ng_end(m);
}

MC_INLINE void
mc_ng_packet(struct mc *m, uint32_t interface, uint64_t units, const void *data, uint32_t cap_len,
             uint32_t wire_len)
{
    mc_ng_packet_flags(m, interface, units, data, cap_len, wire_len, -1);
}

MC_INLINE void
mc_ng_packet_simple(struct mc *m, const void *data, uint32_t cap_len, uint32_t wire_len)
{
    mc_ng_begin(m, 3);
    mc_u32(m, wire_len);
    mc_put(m, data, cap_len);
    mc_ng_end(m);
}

MC_INLINE void
mc_ng_packet_obsolete(struct mc *m, uint16_t interface, uint64_t units, const void *data,
                      uint32_t cap_len, uint32_t wire_len)
{
    mc_ng_begin(m, 2);
    mc_u16(m, interface);
    mc_u16(m, 0xffff);
    mc_u32(m, (uint32_t)(units >> 32));
    mc_u32(m, (uint32_t)units);
    mc_u32(m, cap_len);
    mc_u32(m, wire_len);
    mc_put(m, data, cap_len);
    mc_ng_end(m);
}

/* ---- packed: members are appended ---------------------------------------------------------- */

MC_INLINE uint32_t
mc_crc32(const uint8_t *data, size_t size)
{
    uint32_t crc = 0xffffffffU;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0);
        }
    }
    return ~crc;
}

/* RFC 1952 around stored blocks of RFC 1951. */
MC_INLINE void
mc_gzip(struct mc *m, const uint8_t *data, size_t size)
{
    static const uint8_t header[10] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255 };
    size_t at = 0;
    mc_put(m, header, sizeof header);
    do {
        size_t n = size - at < 65535 ? size - at : 65535;
        mc_number(m, at + n == size, 1);
        mc_u16(m, (uint16_t)n);
        mc_u16(m, (uint16_t)~n);
        mc_put(m, data + at, n);
        at += n;
    } while (at < size);
    mc_u32(m, mc_crc32(data, size));
    mc_u32(m, (uint32_t)size);
}

/* RFC 8878: raw blocks, window of 128 KiB, no checksum. */
MC_INLINE void
mc_zstd(struct mc *m, const uint8_t *data, size_t size)
{
    static const uint8_t header[6] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38 };
    size_t at = 0;
    mc_put(m, header, sizeof header);
    do {
        size_t n = size - at < 131072 ? size - at : 131072;
        mc_number(m, n << 3 | (at + n == size), 3);
        mc_put(m, data + at, n);
        at += n;
    } while (at < size);
}

/* One block of LZMA2 chunks that are not compressed, without a check. */
MC_INLINE void
mc_xz(struct mc *m, const uint8_t *data, size_t size)
{
    static const uint8_t magic[8] = { 0xfd, '7', 'z', 'X', 'Z', 0, 0, 0 };
    static const uint8_t block[8] = { 2, 0, 0x21, 1, 8, 0, 0, 0 };
    static const uint8_t footer[2] = { 'Y', 'Z' };
    uint8_t index[32] = { 0, 1 };
    size_t n = 2, chunks = 0;
    mc_put(m, magic, sizeof magic);
    mc_u32(m, mc_crc32(magic + 6, 2));
    mc_put(m, block, sizeof block);
    mc_u32(m, mc_crc32(block, sizeof block));
    for (size_t at = 0; at < size; chunks++) {
        size_t part = size - at < 65536 ? size - at : 65536;
        mc_number(m, at == 0 ? 1 : 2, 1);
        mc_number(m, (part - 1) >> 8, 1);
        mc_number(m, (part - 1) & 255, 1);
        mc_put(m, data + at, part);
        at += part;
    }
    mc_number(m, 0, 1);
    const size_t unpadded = sizeof block + 4 + size + 3 * chunks + 1;
    mc_number(m, 0, (4 - unpadded % 4) % 4);
    for (int k = 0; k < 2; k++) { /* sizes, seven bits an octet */
        size_t v = k == 0 ? unpadded : size;
        for (; v >= 128; v >>= 7) {
            index[n++] = (uint8_t)(v | 128);
        }
        index[n++] = (uint8_t)v;
    }
    n = (n + 3) / 4 * 4;
    mc_put(m, index, n);
    mc_u32(m, mc_crc32(index, n));
    uint8_t back[6] = { (uint8_t)((n + 4) / 4 - 1) };
    mc_u32(m, mc_crc32(back, sizeof back));
    mc_put(m, back, sizeof back);
    mc_put(m, footer, sizeof footer);
}

/* LZ4 frame: blocks that are not compressed, 64 KiB at most, no checksums. */
MC_INLINE void
mc_lz4(struct mc *m, const uint8_t *data, size_t size)
{
    static const uint8_t header[7] = { 0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82 };
    mc_put(m, header, sizeof header);
    for (size_t at = 0; at < size;) {
        size_t n = size - at < 65536 ? size - at : 65536;
        mc_u32(m, 0x80000000U | (uint32_t)n);
        mc_put(m, data + at, n);
        at += n;
    }
    mc_u32(m, 0);
}

#endif
