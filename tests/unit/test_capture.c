/* SPDX-License-Identifier: BSD-2-Clause */
/* test_capture.c - records of pcap, pcapng and ERF, from memory. Files, packed or several: see
 * test_capture_files.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bh_capture.h"
#include "make_capture.h"

#define S 1000000000LL
#define T0 1185000000U /* 2007-07-21 */

static const uint8_t octets[64] = "The quick brown fox jumps over the lazy dog, twice or thrice.";

/* Everything a capture gives. */
struct result {
    int open; /* what open returned */
    struct bh_error error;
    size_t count;
    struct bh_frame frame[32]; /* the first ones; their octets are gone */
    size_t octets_right;       /* frames that begin like `octets` */
    size_t notes, damages;
    struct bh_capture_note first_note;
};

static struct result
read_memory(const void *data, size_t size)
{
    struct result r = { 0 };
    struct bh_capture *c;

    r.open = bh_capture_open_memory(data, size, &c, &r.error);
    if (r.open != 0) {
        return r;
    }
    struct bh_frames *f = bh_frames_new();
    assert_non_null(f);
    while (bh_capture_read(c, f) > 0) {
        assert_in_range(f->count, 1, BH_FRAMES_MAX);
        for (uint32_t i = 0; i < f->count; i++) {
            uint32_t n = f->frame[i].cap_len;
            r.octets_right += memcmp(f->frame[i].data, octets, n < 64 ? n : 64) == 0;
            if (r.count < 32) {
                r.frame[r.count] = f->frame[i];
            }
            r.count++;
        }
    }
    const struct bh_capture_note *notes;
    r.notes = bh_capture_notes(c, &notes);
    for (size_t i = 0; i < r.notes; i++) {
        r.damages += notes[i].damaged;
        assert_true(notes[i].error.text[BH_EN][0] != '\0' && notes[i].error.text[BH_JA][0] != '\0');
    }
    if (r.notes > 0) {
        r.first_note = notes[0];
    }
    bh_frames_free(f);
    bh_capture_close(c);
    return r;
}

static struct result
read_made(struct mc *m)
{
    struct result r = read_memory(m->data, m->len);
    mc_done(m);
    return r;
}

/* ---- pcap ---------------------------------------------------------------------------------- */

static void
pcap_magics_and_orders(void **state)
{
    (void)state;
    static const struct {
        uint32_t magic;
        bool big_endian;
        uint32_t fraction;
        int64_t ts_ns;
    } cases[] = {
        { MC_PCAP_US, false, 5, T0 * S + 5000 },
        { MC_PCAP_US, true, 5, T0 * S + 5000 },
        { MC_PCAP_NS, false, 5, T0 * S + 5 },
        { MC_PCAP_NS, true, 5, T0 * S + 5 },
        { MC_PCAP_US, false, 1000000, T0 * S + S }, /* carries */
        { MC_PCAP_US, false, 999999, T0 * S + 999999000 },
        { MC_PCAP_NS, true, 1000000001, T0 * S + S + 1 },
        { MC_PCAP_US, false, UINT32_MAX, T0 * S + 4294967295000 },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct mc m = { .big_endian = cases[i].big_endian };
        mc_pcap_header(&m, cases[i].magic, 113, 65535);
        mc_pcap_record(&m, T0, cases[i].fraction, octets, 20, 60);
        mc_pcap_record(&m, T0 + 1, 0, octets, 0, 0);
        struct result r = read_made(&m);
        assert_int_equal(r.open, 0);
        assert_int_equal(r.count, 2);
        assert_int_equal(r.octets_right, 2);
        assert_int_equal(r.notes, 0);
        assert_int_equal(r.frame[0].ts_ns, cases[i].ts_ns);
        assert_int_equal(r.frame[0].cap_len, 20);
        assert_int_equal(r.frame[0].wire_len, 60);
        assert_int_equal(r.frame[0].link_type, 113);
        assert_int_equal(r.frame[0].interface, 0);
        assert_int_equal(r.frame[0].flags, 0);
        assert_int_equal(r.frame[0].file, 0);
        assert_int_equal(r.frame[1].ts_ns, (T0 + 1) * S);
    }
}

static void
pcap_seconds_reach_2106(void **state)
{
    (void)state;
    static const uint32_t seconds[] = { 0, 1, 0x7fffffff, 0x80000000, UINT32_MAX };
    struct mc m = { 0 };
    mc_pcap_header(&m, MC_PCAP_US, 1, 0);
    for (size_t i = 0; i < BH_COUNT(seconds); i++) {
        mc_pcap_record(&m, seconds[i], 999999, octets, 4, 4);
    }
    struct result r = read_made(&m);
    assert_int_equal(r.count, BH_COUNT(seconds));
    for (size_t i = 0; i < BH_COUNT(seconds); i++) {
        assert_int_equal(r.frame[i].ts_ns, seconds[i] * S + 999999000);
    }
}

static void
pcap_versions(void **state)
{
    (void)state;
    static const struct {
        uint16_t major, minor;
        int open;
        uint32_t first, second; /* lengths as written */
    } cases[] = {
        { 2, 4, 0, 20, 60 },           { 2, 3, 0, 20, 60 },
        { 2, 3, 0, 60, 20 },           { 2, 2, 0, 60, 20 },
        { 2, 0, 0, 60, 20 },           { 543, 0, 0, 60, 20 },
        { 2, 5, 0, 20, 60 },           { 2, 65535, 0, 20, 60 },
        { 0, 4, BH_EVERSION, 20, 60 }, { 3, 0, BH_EVERSION, 20, 60 },
        { 1, 4, BH_EVERSION, 20, 60 }, { 543, 1, BH_EVERSION, 60, 20 },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct mc m = { .big_endian = i % 2 != 0 };
        mc_pcap_header_version(&m, MC_PCAP_US, cases[i].major, cases[i].minor, 1, 96);
        mc_u32(&m, T0);
        mc_u32(&m, 0);
        mc_u32(&m, cases[i].first);
        mc_u32(&m, cases[i].second);
        mc_put(&m, octets, 20);
        struct result r = read_made(&m);
        assert_int_equal(r.open, cases[i].open);
        if (r.open == 0) {
            bool is_new = cases[i].major == 2 && cases[i].minor > 4;
            assert_int_equal(r.count, 1);
            assert_int_equal(r.notes, is_new);
            assert_int_equal(r.damages, 0);
            assert_true(!is_new || strstr(r.first_note.error.text[BH_EN], "version 2.") != NULL);
            assert_int_equal(r.frame[0].cap_len, 20);
            assert_int_equal(r.frame[0].wire_len, 60);
        }
    }
}

static void
pcap_modified_has_directions(void **state)
{
    (void)state;
    static const uint16_t flags[] = { BH_FRAME_INBOUND,  BH_FRAME_INBOUND,
                                      BH_FRAME_INBOUND,  0,
                                      BH_FRAME_OUTBOUND, 0 };
    struct mc m = { .big_endian = true };
    mc_pcap_header(&m, MC_PCAP_MODIFIED, 1, 96);
    for (uint8_t type = 0; type < BH_COUNT(flags); type++) {
        mc_pcap_record(&m, T0, type, NULL, 0, 0);
        m.len -= 8;
        mc_u32(&m, 10);
        mc_u32(&m, 10);
        mc_u32(&m, 2);
        mc_u16(&m, 0x0800);
        mc_put(&m, (uint8_t[]){ type, 0 }, 2);
        mc_put(&m, octets, 10);
    }
    struct result r = read_made(&m);
    assert_int_equal(r.count, BH_COUNT(flags));
    assert_int_equal(r.octets_right, BH_COUNT(flags));
    for (size_t i = 0; i < BH_COUNT(flags); i++) {
        assert_int_equal(r.frame[i].flags, flags[i]);
        assert_int_equal(r.frame[i].ts_ns, T0 * S + (int64_t)i * 1000);
    }
}

static void
pcap_lengths(void **state)
{
    (void)state;
    static const struct {
        uint32_t snap_len, cap_len, wire_len;
        bool is_good;
        uint32_t ret_wire_len;
    } cases[] = {
        { 65535, 10, 5, true, 10 },  /* the wire cannot have had less */
        { 96, 200, 200, true, 200 }, /* longer than announced: seen in the wild */
        { 96, 262143, 262143, true, 262143 },
        { 96, 262144, 262144, true, 262144 },
        { 96, 262145, 262145, false, 0 },
        { 300000, 300000, 300000, true, 300000 },
        { 300000, 300001, 300001, false, 0 },
        { UINT32_MAX, 1U << 27, 1U << 27, true, 1U << 27 },
        { UINT32_MAX, (1U << 27) + 1, (1U << 27) + 1, false, 0 },
        { UINT32_MAX, UINT32_MAX, UINT32_MAX, false, 0 },
    };
    uint8_t *zeros = calloc(1, (1U << 27) + 1);
    assert_non_null(zeros);
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct mc m = { 0 };
        mc_pcap_header(&m, MC_PCAP_US, 0x24000000U | 1, cases[i].snap_len);
        mc_pcap_record(&m, T0, 0, octets, 4, 4);
        size_t at = m.len;
        uint32_t written = cases[i].cap_len > 1U << 28 ? 100 : cases[i].cap_len;
        mc_pcap_record(&m, T0, 0, zeros, written, cases[i].wire_len);
        m.len = at + 8;
        mc_u32(&m, cases[i].cap_len);
        m.len = at + 16 + written;
        struct result r = read_made(&m);
        assert_int_equal(r.open, 0);
        assert_int_equal(r.count, cases[i].is_good ? 2 : 1);
        assert_int_equal(r.damages, !cases[i].is_good);
        assert_int_equal(r.frame[0].link_type, 1); /* the check sequence bits are not in it */
        if (cases[i].is_good) {
            assert_int_equal(r.frame[1].cap_len, cases[i].cap_len);
            assert_int_equal(r.frame[1].wire_len, cases[i].ret_wire_len);
            assert_int_equal(r.frame[1].flags,
                             cases[i].wire_len < cases[i].cap_len ? BH_FRAME_LONG : 0);
        } else {
            assert_true(r.first_note.error.has_offset);
            assert_int_equal(r.first_note.error.offset, at);
            assert_int_equal(r.first_note.error.code, BH_EDAMAGED);
        }
    }
    free(zeros);
}

/* ---- pcapng -------------------------------------------------------------------------------- */

static void
pcapng_blocks(void **state)
{
    (void)state;
    for (int big_endian = 0; big_endian < 2; big_endian++) {
        struct mc m = { 0 };
        const uint64_t t = T0 * 1000000ULL;
        mc_ng_section(&m, big_endian != 0);
        mc_ng_interface(&m, 1, 0, -1, 0);
        mc_ng_interface(&m, 101, 30, 9, 0);
        mc_ng_packet_simple(&m, octets, 9, 9); /* no time yet in this file */
        mc_ng_packet(&m, 0, t, octets, 41, 60);
        mc_ng_block(&m, 4, octets, 8);
        mc_ng_block(&m, 5, octets, 12);
        mc_ng_packet_flags(&m, 1, t * 1000 + 7, octets, 42, 42, 1);
        mc_ng_block(&m, 10, octets, 16);
        mc_ng_packet_flags(&m, 0, t + 1, octets, 43, 43, 2);
        mc_ng_block(&m, 0xbad, octets, 16);
        mc_ng_packet_simple(&m, octets, 44, 44);
        mc_ng_packet_obsolete(&m, 1, t * 1000 + 9, octets, 8, 3);
        mc_ng_packet_flags(&m, 0, t + 2, octets, 0, 0, 3);
        mc_ng_packet_flags(&m, 0, t + 3, octets, 7, 6, 2);
        struct result r = read_made(&m);
        static const struct {
            int64_t ts_ns;
            uint32_t cap_len, wire_len;
            uint16_t link_type, interface, flags;
        } want[] = {
            { 0, 9, 9, 1, 0, BH_FRAME_BAD_TIME },
            { T0 * S, 41, 60, 1, 0, 0 },
            { T0 * S + 7, 42, 42, 101, 1, BH_FRAME_INBOUND },
            { T0 * S + 1000, 43, 43, 1, 0, BH_FRAME_OUTBOUND },
            { T0 * S + 1000, 44, 44, 1, 0, BH_FRAME_BAD_TIME },
            { T0 * S + 9, 8, 8, 101, 1, BH_FRAME_LONG },
            { T0 * S + 2000, 0, 0, 1, 0, 0 },
            { T0 * S + 3000, 7, 7, 1, 0, BH_FRAME_LONG | BH_FRAME_OUTBOUND },
        };
        assert_int_equal(r.open, 0);
        assert_int_equal(r.notes, 0);
        assert_int_equal(r.count, BH_COUNT(want));
        assert_int_equal(r.octets_right, BH_COUNT(want));
        for (size_t i = 0; i < BH_COUNT(want); i++) {
            assert_int_equal(r.frame[i].ts_ns, want[i].ts_ns);
            assert_int_equal(r.frame[i].cap_len, want[i].cap_len);
            assert_int_equal(r.frame[i].wire_len, want[i].wire_len);
            assert_int_equal(r.frame[i].link_type, want[i].link_type);
            assert_int_equal(r.frame[i].interface, want[i].interface);
            assert_int_equal(r.frame[i].flags, want[i].flags);
        }
    }
}

static void
pcapng_clocks(void **state)
{
    (void)state;
    static const struct {
        int resolution;
        int64_t offset_s;
        uint64_t units;
        bool is_good;
        int64_t ts_ns;
    } cases[] = {
        { -1, 0, 1000001, true, S + 1000 },
        { 0, 0, 7, true, 7 * S },
        { 0, 0, 9223372036, true, 9223372036 * S },
        { 0, 0, 9223372037, false, 0 },
        { 3, 0, 1500, true, S + S / 2 },
        { 6, 0, INT64_MAX / 1000, true, INT64_MAX / 1000 * 1000 },
        { 6, 0, INT64_MAX / 1000 + 1, false, 0 },
        { 6, 0, UINT64_MAX, false, 0 },
        { 9, 0, INT64_MAX, true, INT64_MAX },
        { 9, 0, (uint64_t)INT64_MAX + 1, false, 0 },
        { 9, -1, (uint64_t)INT64_MAX + 1, true, INT64_MAX - S + 1 },
        { 10, 0, 19, true, 1 },
        { 12, 0, 5999, true, 5 },
        { 12, 0, UINT64_MAX, true, 18446744073709551 },
        { 28, 0, UINT64_MAX, true, 1 },
        { 29, 0, UINT64_MAX, true, 0 },
        { 127, 3, UINT64_MAX, true, 3 * S },
        { 0x80, 0, 7, true, 7 * S },
        { 0x80 + 1, 0, 3, true, S + S / 2 },
        { 0x80 + 30, 0, 3ULL << 30, true, 3 * S },
        { 0x80 + 30, -3, 3ULL << 30, true, 0 },
        { 0x80 + 30, -4, 3ULL << 30, true, -S },
        { 0x80 + 63, 0, UINT64_MAX, true, 1999999999 },
        { 0x80 + 64, 0, UINT64_MAX, true, 999999999 },
        { 0x80 + 127, 0, UINT64_MAX, true, 0 },
        { 6, 9223372036, 854775, true, 9223372036854775000 },
        { 6, 9223372036, 854776, false, 0 },
        { 6, INT64_MAX, 0, false, 0 },
        { 6, INT64_MIN, 0, false, 0 },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        for (int big_endian = 0; big_endian < 2; big_endian++) {
            struct mc m = { 0 };
            mc_ng_section(&m, big_endian != 0);
            mc_ng_interface(&m, 1, 0, cases[i].resolution, cases[i].offset_s);
            mc_ng_packet(&m, 0, cases[i].units, octets, 3, 3);
            struct result r = read_made(&m);
            assert_int_equal(r.count, 1);
            assert_int_equal(r.frame[0].flags, cases[i].is_good ? 0 : BH_FRAME_BAD_TIME);
            assert_int_equal(r.frame[0].ts_ns, cases[i].ts_ns);
        }
    }
}

static void
pcapng_sections_number_interfaces_on(void **state)
{
    (void)state;
    struct mc m = { 0 };
    mc_ng_section(&m, false);
    mc_ng_interface(&m, 1, 0, -1, 0);
    mc_ng_interface(&m, 113, 0, -1, 0);
    mc_ng_packet(&m, 1, 1, octets, 5, 5);
    mc_ng_section(&m, true);
    mc_ng_interface(&m, 101, 0, -1, 0);
    mc_ng_packet(&m, 0, 2, octets, 6, 6);
    mc_ng_section(&m, false);
    mc_ng_section(&m, false);
    mc_ng_interface(&m, 12, 0, -1, 0);
    mc_ng_packet(&m, 0, 3, octets, 7, 7);
    struct result r = read_made(&m);
    static const uint16_t links[] = { 113, 101, 12 };
    assert_int_equal(r.count, 3);
    assert_int_equal(r.notes, 0);
    for (uint16_t i = 0; i < 3; i++) {
        assert_int_equal(r.frame[i].link_type, links[i]);
        assert_int_equal(r.frame[i].interface, i + 1);
        assert_int_equal(r.frame[i].ts_ns, (i + 1) * 1000);
    }
}

static void
pcapng_interface_numbers_end_at_65535(void **state)
{
    (void)state;
    struct mc m = { 0 };
    mc_ng_section(&m, false);
    for (int i = 0; i < 65535; i++) {
        mc_ng_interface(&m, 1, 0, -1, 0);
    }
    for (int section = 0; section < 3; section++) {
        mc_ng_section(&m, false);
        mc_ng_interface(&m, 1, 0, -1, 0);
        mc_ng_packet(&m, 0, 1, octets, 5, 5);
    }
    struct result r = read_made(&m);
    assert_int_equal(r.count, 3);
    assert_int_equal(r.frame[0].interface, 65535);
    assert_int_equal(r.frame[2].interface, 65535);

    mc_ng_section(&m, false);
    for (int i = 0; i < 65537; i++) {
        mc_ng_interface(&m, 1, 0, -1, 0);
    }
    assert_int_equal(read_made(&m).damages, 1);
}

static void
pcapng_simple_packets_are_cut_by_the_snap_length(void **state)
{
    (void)state;
    struct mc m = { 0 };
    mc_ng_section(&m, false);
    mc_ng_interface(&m, 1, 10, -1, 0);
    mc_ng_packet_simple(&m, octets, 10, 60);
    mc_ng_packet_simple(&m, octets, 9, 9);
    struct result r = read_made(&m);
    assert_int_equal(r.count, 2);
    assert_int_equal(r.frame[0].cap_len, 10);
    assert_int_equal(r.frame[0].wire_len, 60);
    assert_int_equal(r.frame[1].cap_len, 9);
}

static void
pcapng_unknown_blocks_are_said_once(void **state)
{
    (void)state;
    struct mc m = { 0 };
    mc_ng_section(&m, false);
    mc_ng_interface(&m, 1, 0, -1, 0);
    size_t at = m.len;
    mc_ng_block(&m, 0x4d2, octets, 5);
    mc_ng_packet(&m, 0, 1, octets, 5, 5);
    mc_ng_block(&m, 0x4d3, NULL, 0);
    struct result r = read_made(&m);
    assert_int_equal(r.count, 1);
    assert_int_equal(r.notes, 1);
    assert_int_equal(r.damages, 0);
    assert_int_equal(r.first_note.error.offset, at);
    assert_non_null(strstr(r.first_note.error.text[BH_EN], "0x4d2"));
}

/* Each is put between two good packets: the first comes out, then the file ends with a note. */
static void
pcapng_damage(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t words[12];
        size_t count;
    } cases[] = {
        { "length below 12", { 77, 8, 8 }, 3 },
        { "length 0", { 77, 0, 0 }, 3 },
        { "length not of words", { 77, 14, 0, 14 }, 4 },
        { "length absurd", { 77, 0x90000000, 0 }, 3 },
        { "lengths differ", { 77, 16, 0, 12 }, 4 },
        { "packet too short", { 6, 28, 0, 0, 0, 0, 28 }, 7 },
        { "packet longer than its block", { 6, 36, 0, 0, 0, 5, 5, 0, 36 }, 9 },
        { "packet of length -1", { 6, 36, 0, 0, 0, UINT32_MAX, 5, 0, 36 }, 9 },
        { "packet of no interface", { 6, 36, 1, 0, 0, 4, 4, 0, 36 }, 9 },
        { "packet of interface -1", { 6, 36, UINT32_MAX, 0, 0, 4, 4, 0, 36 }, 9 },
        { "simple packet too short", { 3, 12, 12 }, 3 },
        { "simple packet too long", { 3, 20, 5, 0, 20 }, 5 },
        { "obsolete packet too short", { 2, 16, 0, 16 }, 4 },
        { "interface too short", { 1, 16, 1, 16 }, 4 },
        { "section without order", { 0x0a0d0d0a, 28, 0, 1, 0, 0, 28 }, 7 },
        { "section too short", { 0x0a0d0d0a, 24, 0x1a2b3c4d, 1, 0, 24 }, 6 },
        { "section of version 2", { 0x0a0d0d0a, 28, 0x1a2b3c4d, 2, 0, 0, 28 }, 7 },
        { "section lengths differ", { 0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0, 0, 24 }, 7 },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct mc m = { 0 };
        mc_ng_section(&m, false);
        mc_ng_interface(&m, 1, 0, -1, 0);
        mc_ng_packet(&m, 0, 1, octets, 5, 5);
        size_t at = m.len;
        for (size_t w = 0; w < cases[i].count; w++) {
            mc_u32(&m, cases[i].words[w]);
        }
        mc_ng_packet(&m, 0, 2, octets, 5, 5);
        struct result r = read_made(&m);
        if (r.open != 0 || r.count != 1 || r.damages != 1 || r.first_note.error.offset != at) {
            fail_msg("%s: %zu frames, %zu damages", cases[i].name, r.count, r.damages);
        }
    }
}

static void
pcapng_broken_options_do_no_harm(void **state)
{
    (void)state;
    static const uint8_t broken[][8] = {
        { 9, 0, 0xff, 0xff, 1, 2, 3, 4 }, /* longer than the block */
        { 9, 0, 0, 0, 0, 0, 0, 0 },       /* a resolution without a value */
        { 14, 0, 4, 0, 1, 1, 1, 1 },      /* an offset of the wrong size */
        { 1, 0, 4, 0, 'x', 'y', 'z', 0 }, /* a comment, and no end of options */
    };
    for (size_t i = 0; i < BH_COUNT(broken); i++) {
        struct mc m = { 0 };
        mc_ng_section(&m, false);
        mc_ng_begin(&m, 1);
        mc_u32(&m, 1);
        mc_u32(&m, 0);
        mc_put(&m, broken[i], 8);
        mc_ng_end(&m);
        mc_ng_packet(&m, 0, 5, octets, 5, 5);
        struct result r = read_made(&m);
        assert_int_equal(r.count, 1);
        assert_int_equal(r.notes, 0);
        assert_int_equal(r.frame[0].ts_ns, 5000);
    }
}

/* ---- ERF ----------------------------------------------------------------------------------- */

struct erf {
    uint8_t type;
    uint8_t extensions; /* headers of 8 octets */
    const char *before; /* octets between headers and frame */
    uint8_t before_size;
    const char *frame; /* what `octets` are after it */
    uint8_t frame_size;
    uint8_t flags;
};

/* `wire_len` as the record has it; the record is padded to 8 octets. Returns its size. */
static size_t
put_erf(struct mc *m, uint32_t seconds, const struct erf *e, uint16_t cap_len, uint16_t wire_len)
{
    size_t start = m->len;
    size_t size = 16 + 8U * e->extensions + e->before_size + cap_len;
    size_t padded = (size + 7) & ~(size_t)7;
    mc_u32(m, 0x80000000U); /* half a second */
    mc_u32(m, seconds);
    mc_put(m, (uint8_t[]){ e->type | (e->extensions > 0 ? 0x80 : 0), e->flags }, 2);
    m->big_endian = true;
    mc_u16(m, (uint16_t)padded);
    mc_u16(m, 0);
    mc_u16(m, wire_len);
    m->big_endian = false;
    for (unsigned i = e->extensions; i > 0; i--) {
        mc_put(m, (uint8_t[]){ i > 1 ? 0x91 : 0x11, 1, 2, 3, 4, 5, 6, 7 }, 8);
    }
    mc_put(m, e->before, e->before_size);
    mc_put(m, e->frame, e->frame_size);
    mc_put(m, octets, cap_len - e->frame_size);
    while (m->len < start + padded) {
        mc_put(m, "", 1);
    }
    return padded;
}

static const struct erf erf_ethernet = { 2, 0, "\0\0", 2, "", 0, 4 };

static void
erf_kinds(void **state)
{
    (void)state;
    static const struct {
        struct erf e;
        uint16_t link_type, interface;
    } cases[] = {
        { { 1, 0, "", 0, "\x0f\0\x08\0", 4, 4 }, 104, 0 },
        { { 1, 0, "", 0, "\x8f\0\x08\0", 4, 5 }, 104, 1 },
        { { 1, 1, "", 0, "\xff\3\0\x21", 4, 6 }, 50, 2 },
        { { 1, 0, "", 0, "\x18\x41\3\xcc", 4, 7 }, 107, 3 },
        { { 2, 0, "\0\0", 2, "", 0, 0x44 }, 1, 4 },
        { { 2, 3, "\0\0", 2, "", 0, 0x47 }, 1, 7 },
        { { 3, 0, "", 0, "", 0, 4 }, 197, 0 },
        { { 4, 0, "\0\0\0\0", 4, "\xaa\xaa\3\0", 4, 4 }, 100, 0 },
        { { 5, 0, "\0\0\0\1", 4, "\xff\3\0\x21", 4, 4 }, 50, 0 },
        { { 9, 2, "\0\0\0\1\0\0\0\0", 8, "\xaa\xaa\3\0", 4, 4 }, 100, 0 },
        { { 10, 0, "", 0, "\x0f\0\x08\0", 4, 4 }, 104, 0 },
        { { 11, 0, "\0\0", 2, "", 0, 4 }, 1, 0 },
        { { 16, 1, "\0\0", 2, "", 0, 4 }, 1, 0 },
        { { 20, 0, "\0\0", 2, "", 0, 4 }, 1, 0 },
        { { 21, 0, "", 0, "", 0, 4 }, 247, 0 },
        { { 22, 0, "", 0, "\x45", 1, 4 }, 228, 0 },
        { { 23, 1, "", 0, "\x60", 1, 4 }, 229, 0 },
        { { 27, 1, "", 0, "", 0, 4 }, 197, 0 },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        const struct erf *e = &cases[i].e;
        bool is_whole = cases[i].link_type == 197;
        uint32_t headers = is_whole ? 16 + 8U * e->extensions : 0;
        struct mc m = { 0 };
        put_erf(&m, T0, e, 21, 60);
        put_erf(&m, T0 + 1, &(struct erf){ 48, 0, "", 0, "", 0, 0 }, 9, 9);
        put_erf(&m, T0, e, 20, 20); /* a little late; its padding is not of the frame */
        put_erf(&m, T0 + 9, &erf_ethernet, 5, 5);
        struct result r = read_made(&m);
        if (r.open != 0 || r.count != 3 || r.notes != 0) {
            fail_msg("type %u: open %d, %zu frames", e->type, r.open, r.count);
        }
        assert_int_equal(r.frame[0].ts_ns, T0 * S + S / 2);
        assert_int_equal(r.frame[0].link_type, cases[i].link_type);
        assert_int_equal(r.frame[0].interface, cases[i].interface);
        assert_int_equal(r.frame[0].wire_len, headers + 60);
        /* Up to 7 octets of padding cannot be told from the frame when that is cut. */
        assert_in_range(r.frame[0].cap_len, headers + 21, headers + 28);
        assert_int_equal(r.frame[1].cap_len, headers + 20);
        assert_int_equal(r.frame[1].wire_len, headers + 20);
        assert_int_equal(r.frame[1].flags, 0);
        assert_int_equal(r.frame[2].link_type, 1);
        assert_int_equal(r.frame[2].cap_len, 5);
        bool is_octets = e->frame_size == 0 && !is_whole;
        bool is_padded = r.frame[0].cap_len > headers + 21;
        assert_int_equal(r.octets_right, 1 + (is_octets ? 2 - is_padded : 0));
    }
}

static void
erf_times_are_rounded(void **state)
{
    (void)state;
    static const struct {
        uint32_t fraction, seconds;
        int64_t ts_ns;
    } cases[] = {
        { 0, T0, T0 * S },
        { 1, T0, T0 * S },
        { 4, T0, T0 * S + 1 },
        { 0x80000000U, T0, T0 * S + S / 2 },
        { UINT32_MAX, T0, T0 * S + S },
        { 0, UINT32_MAX, UINT32_MAX * S },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        struct mc m = { 0 };
        put_erf(&m, cases[i].seconds, &erf_ethernet, 20, 20);
        bh_put_le32(m.data, cases[i].fraction);
        struct result r = read_made(&m);
        assert_int_equal(r.count, 1);
        assert_int_equal(r.frame[0].ts_ns, cases[i].ts_ns);
    }
}

/* One octet of the first of `records` good records is changed, which must make it something else;
 * in the fourth and later ones it is damage. */
static void
erf_is_not_everything(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t at;
        uint8_t octet;
        bool is_damage; /* also to the walk */
    } cases[] = {
        { "type 0", 8, 0, true },
        { "type 26", 8, 26, true },
        { "type 49", 8, 49, true },
        { "type 127", 8, 127, true },
        { "too short", 11, 15, true },
        { "too short for Ethernet", 11, 17, true },
        { "extensions end", 8, 0x82, true },
        { "1970", 7, 0, false },
        { "far in the future", 7, 0xff, false },
    };
    for (size_t i = 0; i < BH_COUNT(cases); i++) {
        for (unsigned bad = 0; bad < 6; bad++) {
            struct mc m = { 0 };
            size_t start = 0;
            for (uint32_t n = 0; n < 6; n++) {
                size_t size = put_erf(&m, T0 + n, &erf_ethernet, 14, 60);
                if (n == bad) {
                    start = m.len - size;
                    memset(m.data + start + 16, 0xff, 16); /* all are extension headers */
                    m.data[start + cases[i].at] = cases[i].octet;
                }
            }
            struct result r = read_made(&m);
            bool is_recognised = bad > 3 ||
                                 (bad == 3 && cases[i].at == 11 && cases[i].octet > 15) ||
                                 (bad == 3 && cases[i].octet == 0x82);
            if ((r.open == 0) != is_recognised || (r.open != 0 && r.open != BH_EFORMAT)) {
                fail_msg("%s in record %u: open %d", cases[i].name, bad, r.open);
            }
            if (is_recognised && cases[i].is_damage) {
                assert_int_equal(r.count, bad);
                assert_int_equal(r.damages, 1);
                assert_int_equal(r.first_note.error.offset, start);
            } else if (is_recognised) {
                assert_int_equal(r.count, 6);
                assert_int_equal(r.notes, 0);
            }
        }
    }
}

static void
erf_cut(void **state)
{
    (void)state;
    struct mc m = { 0 };
    size_t size = 0;
    for (uint32_t n = 0; n < 6; n++) {
        size = put_erf(&m, T0 + n, &erf_ethernet, 14, 60);
    }
    for (size_t cut = 0; cut <= m.len; cut++) {
        uint8_t *copy = malloc(cut + (cut == 0)); /* so that a sanitizer sees what is behind */
        assert_non_null(copy);
        memcpy(copy, m.data, cut);
        struct result r = read_memory(copy, cut);
        free(copy);
        size_t complete = cut / size, rest = cut % size;
        /* Less than that says too little about what it is. */
        bool is_enough = rest == 0 ? complete > 0 : complete + (rest >= 16) >= 3;
        if ((r.open == 0) != is_enough) {
            fail_msg("cut at %zu: open %d", cut, r.open);
        }
        assert_int_equal(r.count, is_enough ? complete : 0);
        assert_int_equal(r.octets_right, r.count);
        assert_int_equal(r.damages, is_enough && rest != 0);
    }
    mc_done(&m);
}

static void
erf_is_not_text(void **state)
{
    (void)state;
    /* A tab, type 9, in the ninth place; the length is "  " and the times are those of 1987. */
    struct mc m = { 0 };
    for (unsigned i = 0; i < 5000; i++) {
        mc_put(&m, "2007.7.2\t1 word\n", 16);
    }
    struct result r = read_made(&m);
    assert_int_equal(r.open, BH_EFORMAT);
    assert_non_null(strstr(r.error.text[BH_EN], "a text file"));
}

/* ---- cut anywhere -------------------------------------------------------------------------- */

/* `ends`: where each record ends; the first `silent` of them give no frame. Every cut gives the
 * complete ones, and says so unless it is between two. */
static void
cut_everywhere(const struct mc *m, const size_t *ends, size_t count, size_t silent, size_t header)
{
    for (size_t size = 0; size <= m->len; size++) {
        /* A copy of its own, so that a sanitizer sees a read behind the end. */
        uint8_t *copy = malloc(size + (size == 0));
        assert_non_null(copy);
        memcpy(copy, m->data, size);
        struct result r = read_memory(copy, size);
        free(copy);
        if (size < header) {
            assert_true(r.open < 0);
            assert_true(r.error.text[BH_EN][0] != '\0' && r.error.text[BH_JA][0] != '\0');
            continue;
        }
        size_t complete = 0;
        bool is_clean = size == header;
        for (size_t i = 0; i < count; i++) {
            complete += i >= silent && ends[i] <= size;
            is_clean = is_clean || ends[i] == size;
        }
        assert_int_equal(r.open, 0);
        assert_int_equal(r.count, complete);
        assert_int_equal(r.octets_right, complete);
        assert_int_equal(r.damages, !is_clean);
    }
}

static void
cut_pcap(void **state)
{
    (void)state;
    static const uint32_t magics[] = { MC_PCAP_US, MC_PCAP_NS };
    for (size_t order = 0; order < 4; order++) {
        struct mc m = { .big_endian = order % 2 != 0 };
        size_t ends[4];
        mc_pcap_header(&m, magics[order / 2], 1, 65535);
        for (uint32_t i = 0; i < 4; i++) {
            mc_pcap_record(&m, T0, i, octets, 10 + i, 60);
            ends[i] = m.len;
        }
        cut_everywhere(&m, ends, 4, 0, 24);
        mc_done(&m);
    }
}

static void
cut_pcapng(void **state)
{
    (void)state;
    for (int big_endian = 0; big_endian < 2; big_endian++) {
        struct mc m = { 0 };
        size_t ends[5];
        mc_ng_section(&m, big_endian != 0);
        mc_ng_interface(&m, 1, 0, 9, 5);
        ends[0] = m.len;
        for (uint32_t i = 1; i < 5; i++) {
            mc_ng_packet_flags(&m, 0, i, octets, 10 + i, 60, 1);
            ends[i] = m.len;
        }
        cut_everywhere(&m, ends, 5, 1, 28);
        mc_done(&m);
    }
}

static void
blocks_are_full_and_numbered(void **state)
{
    (void)state;
    static const uint32_t counts[] = { 0, 1, 1023, 1024, 1025, 2048, 5000 };
    for (size_t i = 0; i < BH_COUNT(counts); i++) {
        struct mc m = { 0 };
        struct bh_capture *c;
        mc_pcap_header(&m, MC_PCAP_US, 1, 65535);
        for (uint32_t n = 0; n < counts[i]; n++) {
            mc_pcap_record(&m, n, 0, octets, 7, 7);
        }
        assert_int_equal(bh_capture_open_memory(m.data, m.len, &c, NULL), 0);
        assert_int_equal(bh_capture_expected_frames(c), counts[i]);
        struct bh_frames *f = bh_frames_new();
        uint64_t total, done, sequence = 0, frames = 0;
        while (bh_capture_read(c, f) == 1) {
            assert_int_equal(f->sequence, sequence);
            assert_int_equal(f->frame[0].ts_ns, (int64_t)frames * S);
            sequence++;
            frames += f->count;
            bh_capture_progress(c, &total, &done);
            assert_int_equal(done, 24 + frames * 23);
        }
        assert_int_equal(sequence, (counts[i] + 1023) / 1024);
        assert_int_equal(frames, counts[i]);
        bh_capture_progress(c, &total, &done);
        assert_int_equal(total, m.len);
        assert_int_equal(done, m.len);
        assert_int_equal(bh_capture_read(c, f), 0); /* the end stays the end */
        bh_frames_free(f);
        bh_capture_close(c);
        mc_done(&m);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pcap_magics_and_orders),
        cmocka_unit_test(pcap_seconds_reach_2106),
        cmocka_unit_test(pcap_versions),
        cmocka_unit_test(pcap_modified_has_directions),
        cmocka_unit_test(pcap_lengths),
        cmocka_unit_test(pcapng_blocks),
        cmocka_unit_test(pcapng_clocks),
        cmocka_unit_test(pcapng_sections_number_interfaces_on),
        cmocka_unit_test(pcapng_interface_numbers_end_at_65535),
        cmocka_unit_test(pcapng_simple_packets_are_cut_by_the_snap_length),
        cmocka_unit_test(pcapng_unknown_blocks_are_said_once),
        cmocka_unit_test(pcapng_damage),
        cmocka_unit_test(pcapng_broken_options_do_no_harm),
        cmocka_unit_test(erf_kinds),
        cmocka_unit_test(erf_times_are_rounded),
        cmocka_unit_test(erf_is_not_everything),
        cmocka_unit_test(erf_cut),
        cmocka_unit_test(erf_is_not_text),
        cmocka_unit_test(cut_pcap),
        cmocka_unit_test(cut_pcapng),
        cmocka_unit_test(blocks_are_full_and_numbered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
