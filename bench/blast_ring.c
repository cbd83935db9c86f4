/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blast_ring IF COUNT PPS SENDERS [EACH]: frames from rings of the kernel's (PACKET_TX_RING), past the queues of the
 * interface, by SENDERS processes with COUNT / SENDERS each, together PPS a second (0: as fast as it goes). COUNT may be
 * a time instead: "5s". Frames of 80 octets to and from 198.51.100.1: with EACH 1 (or without it) a flood, SYNs and datagrams from some 60,000 sources; with
 * more, conversations of so many packets each, both directions taking turns: TCP from its SYN on, and UDP. Prints how many
 * were sent, and how many a second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LEN = 80, SLOT = 256, SLOTS = 4096, BLOCK = 1 << 16, BURST = 64 };
/* TPACKET_ALIGN(), without its change of sign. */
#define DATA_AT                                                                                    \
    ((sizeof(struct tpacket2_hdr) + TPACKET_ALIGNMENT - 1) / TPACKET_ALIGNMENT * TPACKET_ALIGNMENT)

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void
put16(uint8_t *to, unsigned v)
{
    to[0] = (uint8_t)(v >> 8);
    to[1] = (uint8_t)v;
}

/* Packet `at` of a conversation: its answers go the other way, and only the first two of TCP carry SYN. */
static void
make_part(uint8_t *f, uint32_t at)
{
    uint8_t end[4];
    if (at % 2 == 1) {
        memcpy(end, f + 26, 4);
        memcpy(f + 26, f + 30, 4);
        memcpy(f + 30, end, 4);
        memcpy(end, f + 34, 2);
        memcpy(f + 34, f + 36, 2);
        memcpy(f + 36, end, 2);
    }
    if (f[23] == 6 && at > 0) {
        f[47] = at == 1 ? 0x12 : 0x18; /* SYN and ACK; PSH and ACK */
    }
}

/* Ethernet to everybody; a checksum is nothing that a sensor looks at. */
static void
make_frame(uint8_t *f, uint32_t number, uint32_t each)
{
    const uint32_t n = number / each;
    static const uint8_t head[34] = { 255, 255, 255,  255, 255, 255, 2,   0,  0,   0, 0,  1,
                                      8,   0,   0x45, 0,   0,   66,  0,   1,  0,   0, 64, 17,
                                      0,   0,   0,    0,   0,   0,   198, 51, 100, 1 };
    const uint32_t mixed = n * 2654435761U;
    memset(f, 'P', LEN);
    memcpy(f, head, sizeof head);
    f[23] = n % 2 == 0 ? 6 : 17;
    put16(f + 18, number % 65535 + 1);
    put16(f + 26, 0xcb00 + (mixed >> 24) % 64); /* 203.0.0.0 and on */
    put16(f + 28, mixed >> 8);
    put16(f + 34, 1024 + (mixed >> 4) % 60000);
    put16(f + 36, n % 3 == 0 ? 23 : n % 3 == 1 ? 443 : 53);
    put16(f + 38, n % 2 == 0 ? mixed >> 16 : LEN - 34);
    put16(f + 46, 0x5002); /* five words, SYN */
    put16(f + 48, 1024);
    make_part(f, number % each);
}

static int
open_ring(const char *interface, uint8_t **ret)
{
    const int one = 1, version = TPACKET_V2, fd = socket(AF_PACKET, SOCK_RAW, 0);
    struct tpacket_req q = { .tp_block_size = BLOCK,
                             .tp_block_nr = SLOTS / (BLOCK / SLOT),
                             .tp_frame_size = SLOT,
                             .tp_frame_nr = SLOTS };
    struct sockaddr_ll to = { .sll_family = AF_PACKET,
                              .sll_ifindex = (int)if_nametoindex(interface) };
    if (fd < 0 || to.sll_ifindex == 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) != 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_TX_RING, &q, sizeof q) != 0 ||
        bind(fd, (const struct sockaddr *)(const void *)&to, sizeof to) != 0) {
        return -1;
    }
    *ret = mmap(NULL, (size_t)SLOT * SLOTS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return *ret == MAP_FAILED ? -1 : fd;
}

/* How many were sent; shared. */
static _Atomic long *sent;

static int
send_all(const char *interface, unsigned sender, long count, double seconds, double pps,
         uint32_t each)
{
    uint8_t *ring;
    const int fd = open_ring(interface, &ring);
    if (fd < 0) {
        perror("blast_ring");
        return 1;
    }
    for (uint32_t k = 0; k < SLOTS; k++) {
        make_frame(ring + (size_t)k * SLOT + DATA_AT, k + sender * 100003U * each, each);
    }
    const double start = now();
    for (long k = 0; k < count; k++) {
        struct tpacket2_hdr *h = (struct tpacket2_hdr *)(void *)(ring + (size_t)(k % SLOTS) * SLOT);
        while (__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) != TP_STATUS_AVAILABLE) {
            send(fd, NULL, 0, 0); /* goes on when these are gone */
        }
        if (k >= SLOTS) { /* another packet every time */
            make_frame((uint8_t *)h + DATA_AT, (uint32_t)k + sender * 100003U * each, each);
        }
        h->tp_len = LEN;
        __atomic_store_n(&h->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
        if (k % BURST == BURST - 1 || k + 1 == count) {
            send(fd, NULL, 0, 0);
            *sent += k % BURST + 1;
            if (now() - start > seconds) {
                break;
            }
            while (pps > 0 && (double)k > (now() - start) * pps) {
                usleep(50);
            }
        }
    }
    send(fd, NULL, 0, 0);
    return 0;
}

int
main(int argc, char **argv)
{
    if (argc != 5 && argc != 6) {
        return 2;
    }
    const long each = argc == 6 ? atol(argv[5]) : 1;
    const bool is_time = strchr(argv[2], 's') != NULL;
    const long count = is_time ? LONG_MAX / 2 : atol(argv[2]), senders = atol(argv[4]);
    const double seconds = is_time ? atof(argv[2]) : 1e9;
    sent = mmap(NULL, sizeof *sent, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (sent == MAP_FAILED) {
        return 1;
    }
    const double pps = atof(argv[3]), start = now();
    int status, bad = senders < 1 || senders > 16 || each < 1 || each > 10000;
    for (long k = 0; !bad && k < senders; k++) {
        if (fork() == 0) {
            _exit(send_all(argv[1], (unsigned)k, count / senders, seconds, pps / (double)senders,
                           (uint32_t)each));
        }
    }
    while (wait(&status) > 0) {
        bad |= status;
    }
    printf("%ld %.0f\n", bad != 0 ? 0 : *sent, (double)*sent / (now() - start));
    return bad != 0;
}
