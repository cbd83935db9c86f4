/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading rings: merged by time, given back as far as they were judged, gone on with by another process. The rings are
 * files of memory, with blocks as the kernel writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <unistd.h>

#include "../../lib/live/live_priv.h"

#include <linux/if_arp.h> /* behind <net/if.h> */
#include <linux/if_packet.h>

enum { BLOCK = 4096, BLOCKS = 4, FRAME = 128, MAC_AT = 96, LEN = 20 };
#define BASE_NS 1700000000000000000LL

struct lab {
    struct bh_live live;
    uint8_t *memory[BH_LIVE_RINGS]; /* the kernel's view */
    uint64_t next_number[BH_LIVE_RINGS];
    struct bh_frames *frames;
};

static void
open_lab(struct lab *lab, size_t interfaces, unsigned each)
{
    memset(lab, 0, sizeof *lab);
    struct bh_live *l = &lab->live;
    l->count = interfaces;
    l->each = each;
    l->several = interfaces * each > 1;
    l->late_ns = 60000000;
    for (size_t k = 0; k < interfaces * each; k++) {
        struct ring *r = &l->ring[k];
        *r = (struct ring){ .fd = memfd_create("ring", MFD_CLOEXEC),
                            .block_bytes = BLOCK,
                            .blocks = BLOCKS };
        assert_true(r->fd >= 0 && ftruncate(r->fd, (off_t)BLOCK * BLOCKS) == 0);
        lab->memory[k] =
            mmap(NULL, (size_t)BLOCK * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
        assert_true(lab->memory[k] != MAP_FAILED);
        lab->next_number[k] = 1;
    }
    lab->frames = bh_frames_new();
    assert_non_null(lab->frames);
}

static void
close_lab(struct lab *lab)
{
    for (size_t k = 0; k < lab->live.count * lab->live.each; k++) {
        munmap(lab->memory[k], (size_t)BLOCK * BLOCKS);
        if (lab->live.ring[k].map != NULL) {
            munmap(lab->live.ring[k].map, (size_t)BLOCK * BLOCKS);
        }
        close(lab->live.ring[k].fd);
    }
    bh_frames_free(lab->frames);
}

static struct tpacket_block_desc *
block_at(const struct lab *lab, size_t ring, uint64_t number)
{
    return (struct tpacket_block_desc *)(void *)(lab->memory[ring] + (number - 1) % BLOCKS * BLOCK);
}

static bool
is_ours(const struct lab *lab, size_t ring, uint64_t number)
{
    return (block_at(lab, ring, number)->hdr.bh1.block_status & TP_STATUS_USER) != 0;
}

/* The kernel hands over a block with frames of these times, after BASE_NS. */
static void
fill(struct lab *lab, size_t ring, const int *times, uint32_t count)
{
    const uint64_t number = lab->next_number[ring]++;
    struct tpacket_block_desc *b = block_at(lab, ring, number);
    assert_false(is_ours(lab, ring, number)); /* it would have found no room */
    memset(b, 0, BLOCK);
    b->hdr.bh1.seq_num = number;
    b->hdr.bh1.num_pkts = count;
    b->hdr.bh1.offset_to_first_pkt = 64;
    for (uint32_t k = 0; k < count; k++) {
        uint8_t *p = (uint8_t *)b + 64 + k * FRAME;
        struct tpacket3_hdr *h = (struct tpacket3_hdr *)(void *)p;
        struct sockaddr_ll *from = (struct sockaddr_ll *)(void *)(p + sizeof *h);
        const int64_t ts = BASE_NS + times[k];
        *h = (struct tpacket3_hdr){ .tp_next_offset = FRAME,
                                    .tp_sec = (uint32_t)(ts / 1000000000),
                                    .tp_nsec = (uint32_t)(ts % 1000000000),
                                    .tp_snaplen = LEN,
                                    .tp_len = LEN,
                                    .tp_mac = MAC_AT,
                                    .tp_net = MAC_AT + 14 };
        *from = (struct sockaddr_ll){ .sll_hatype = ARPHRD_ETHER, .sll_ifindex = (int)ring + 1 };
    }
    b->hdr.bh1.block_status = TP_STATUS_USER;
}

#define FILL(lab, ring, ...)                                                                       \
    fill((lab), (ring), (const int[]){ __VA_ARGS__ },                                              \
         sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))

static void
attach(struct lab *lab, const struct bh_live_place *place)
{
    struct bh_error err = { 0 };
    assert_int_equal(bh_live_attach(&lab->live, place, &err), 0);
}

/* Reads up to `most` and compares times. */
static void
expect(struct lab *lab, unsigned most, const int *times, unsigned count)
{
    assert_int_equal(bh_live_read(&lab->live, most, lab->frames), count);
    for (unsigned k = 0; k < count; k++) {
        assert_int_equal(lab->frames->frame[k].ts_ns - BASE_NS, times[k]);
    }
}

#define EXPECT(lab, most, ...)                                                                     \
    expect((lab), (most), (const int[]){ __VA_ARGS__ },                                            \
           sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))

static void
merged_by_time(void **state)
{
    (void)state;
    struct lab lab;
    open_lab(&lab, 1, 3);
    FILL(&lab, 0, 10, 40, 41, 90);
    FILL(&lab, 1, 20, 30, 50);
    FILL(&lab, 1, 60, 70);
    FILL(&lab, 2, 40, 95);
    attach(&lab, NULL);
    EXPECT(&lab, 256, 10, 20, 30, 40, 40, 41, 50, 60, 70, 90, 95);
    for (unsigned k = 0; k < lab.frames->count; k++) {
        assert_int_equal(lab.frames->frame[k].interface, 0); /* rings of one */
    }
    assert_int_equal(lab.frames->frame[3].file, 1); /* of equal times the first ring's first */
    assert_int_equal(lab.frames->frame[4].file, 3);
    close_lab(&lab);
    open_lab(&lab, 2, 1);
    FILL(&lab, 0, 1, 3);
    FILL(&lab, 1, 2, 4);
    attach(&lab, NULL);
    EXPECT(&lab, 3, 1, 2, 3); /* no more than asked for */
    assert_int_equal(lab.frames->frame[1].interface, 1);
    EXPECT(&lab, 3, 4);
    close_lab(&lab);
}

/* What is younger than late_ns waits while a ring is empty; of a clock that was set back nothing does. */
static void
waits_for_the_others(void **state)
{
    (void)state;
    struct lab lab;
    open_lab(&lab, 1, 2);
    lab.live.late_ns = INT64_MAX / 4; /* whenever this runs, these are young */
    FILL(&lab, 0, 10, 20, 30);
    attach(&lab, NULL);
    assert_int_equal(bh_live_read(&lab.live, 256, lab.frames), 0);
    FILL(&lab, 1, 15, 25);
    EXPECT(&lab, 256, 10, 15, 20, 25); /* behind 25 the second is empty again */
    assert_int_equal(bh_live_read(&lab.live, 256, lab.frames), 0);
    lab.live.late_ns = 0;
    EXPECT(&lab, 256, 30);
    close_lab(&lab);
    open_lab(&lab, 1, 2);
    lab.live.late_ns = INT64_MAX / 4;
    fill(&lab, 0, (const int[]){ 10 }, 1);
    struct tpacket3_hdr *h = (struct tpacket3_hdr *)(void *)((uint8_t *)block_at(&lab, 0, 1) + 64);
    h->tp_sec = UINT32_MAX; /* 2106 */
    attach(&lab, NULL);
    assert_int_equal(bh_live_read(&lab.live, 256, lab.frames), 1);
    close_lab(&lab);
}

/* Blocks go back when all of their frames are behind the place that is told, and no sooner. */
static void
given_back_up_to_a_place(void **state)
{
    (void)state;
    struct lab lab;
    struct bh_live_place first, second, third;
    open_lab(&lab, 1, 2);
    FILL(&lab, 0, 10, 20);
    FILL(&lab, 0, 50);
    FILL(&lab, 1, 30, 40);
    attach(&lab, NULL);
    EXPECT(&lab, 1, 10);
    bh_live_get_place(&lab.live, &first);
    EXPECT(&lab, 2, 20, 30);
    bh_live_get_place(&lab.live, &second);
    EXPECT(&lab, 9, 40, 50);
    bh_live_get_place(&lab.live, &third);
    bh_live_done(&lab.live, &first);
    assert_true(is_ours(&lab, 0, 1) && is_ours(&lab, 0, 2) && is_ours(&lab, 1, 1));
    bh_live_done(&lab.live, &second);
    assert_true(!is_ours(&lab, 0, 1) && is_ours(&lab, 0, 2) && is_ours(&lab, 1, 1));
    bh_live_done(&lab.live, &third);
    assert_true(!is_ours(&lab, 0, 2) && !is_ours(&lab, 1, 1));
    /* Round the ring, several times. */
    for (int turn = 0; turn < 3 * BLOCKS; turn++) {
        FILL(&lab, 0, 100 + 2 * turn);
        FILL(&lab, 1, 101 + 2 * turn);
        EXPECT(&lab, 9, 100 + 2 * turn, 101 + 2 * turn);
        bh_live_get_place(&lab.live, &third);
        bh_live_done(&lab.live, &third);
    }
    close_lab(&lab);
}

/* A ring of which all was read ahead and nothing given back. */
static void
full_ring(void **state)
{
    (void)state;
    struct lab lab;
    struct bh_live_place before, after;
    open_lab(&lab, 1, 1);
    for (int k = 0; k < BLOCKS; k++) {
        FILL(&lab, 0, k);
    }
    attach(&lab, NULL);
    bh_live_get_place(&lab.live, &before);
    EXPECT(&lab, 9, 0, 1, 2, 3);
    assert_int_equal(bh_live_read(&lab.live, 9, lab.frames), 0);
    bh_live_get_place(&lab.live, &after);
    bh_live_done(&lab.live, &before);
    for (uint64_t k = 1; k <= BLOCKS; k++) {
        assert_true(is_ours(&lab, 0, k));
    }
    bh_live_done(&lab.live, &after);
    for (uint64_t k = 1; k <= BLOCKS; k++) {
        assert_false(is_ours(&lab, 0, k));
    }
    FILL(&lab, 0, 77);
    EXPECT(&lab, 9, 77);
    close_lab(&lab);
}

/* Who reads next goes on behind the place, whether blocks before it were given back or not; of another ring it knows nothing. */
static void
gone_on_with(void **state)
{
    (void)state;
    for (unsigned given = 0; given < 2; given++) {
        struct lab lab;
        struct bh_live_place place;
        open_lab(&lab, 1, 2);
        FILL(&lab, 0, 10, 20);
        FILL(&lab, 0, 30, 50);
        FILL(&lab, 1, 15, 35, 45);
        attach(&lab, NULL);
        EXPECT(&lab, 4, 10, 15, 20, 30);
        bh_live_get_place(&lab.live, &place);
        EXPECT(&lab, 9, 35, 45, 50); /* ahead, and never judged */
        if (given == 1) {
            bh_live_done(&lab.live, &place);
        }
        for (size_t k = 0; k < 2; k++) { /* another process */
            struct ring *r = &lab.live.ring[k];
            munmap(r->map, (size_t)BLOCK * BLOCKS);
            *r = (struct ring){ .fd = r->fd, .block_bytes = BLOCK, .blocks = BLOCKS };
        }
        attach(&lab, &place);
        assert_false(is_ours(&lab, 0, 1)); /* nobody reads that again */
        EXPECT(&lab, 9, 35, 45, 50);
        close_lab(&lab);
    }
    struct lab lab;
    struct bh_live_place place;
    open_lab(&lab, 1, 1);
    FILL(&lab, 0, 10, 20);
    attach(&lab, NULL);
    EXPECT(&lab, 1, 10);
    bh_live_get_place(&lab.live, &place);
    munmap(lab.live.ring[0].map, (size_t)BLOCK * BLOCKS);
    lab.live.ring[0] = (struct ring){
        .fd = lab.live.ring[0].fd, .block_bytes = BLOCK, .blocks = BLOCKS, .epoch = 1
    };
    attach(&lab, &place);
    EXPECT(&lab, 9, 10, 20);
    close_lab(&lab);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merged_by_time),
        cmocka_unit_test(waits_for_the_others),
        cmocka_unit_test(given_back_up_to_a_place),
        cmocka_unit_test(full_ring),
        cmocka_unit_test(gone_on_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
