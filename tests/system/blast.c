/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blast IF SOURCE COUNT PPS [SENDERS]: COUNT UDP datagrams to 198.51.100.1 from SOURCE-numbered ports, evenly at
 * PPS a second (0: as fast as it goes), by packet sockets past the queues of the interface. Prints how many the
 * kernel took, which is what the other end of a veth pair sees, and the rate it came to.
 *
 * A frame a call costs more than the frame does, so the ring of each sender (PACKET_TX_RING) is filled once, and a
 * call sends a piece of it: 64 frames, or what one millisecond takes when that is less. What the kernel has not taken
 * stays in the ring and is sent again; only what it gave back as wrong is not counted.
 *
 * The IP ID of each sender's datagrams counts up from 0, so that what is missing, twice or out of order can be told.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
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

enum { LEN = 80, SLOT = 256, SLOTS = 1024, PIECE = 64, SENDERS_MAX = 16 };

struct sender {
    int fd;
    uint8_t *ring;
    unsigned at, number;
    long sent, wrong;
};

/* What all senders add up in. */
struct sums {
    _Atomic long sent, wrong;
};

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct tpacket2_hdr *
slot(const struct sender *s, unsigned k)
{
    return (struct tpacket2_hdr *)(void *)(s->ring + (size_t)(k % SLOTS) * SLOT);
}

static uint8_t *
frame(const struct sender *s, unsigned k)
{
    const size_t head = (sizeof(struct tpacket2_hdr) + TPACKET_ALIGNMENT - 1) / TPACKET_ALIGNMENT;
    return (uint8_t *)slot(s, k) + head * TPACKET_ALIGNMENT;
}

/* Ethernet to everybody, IPv4 without checksum trouble for a sensor, UDP to port 9. */
static void
fill(struct sender *s, unsigned base, unsigned who)
{
    uint8_t f[LEN] = { 255,  255, 255, 255,      255, 255, 2, 0, 0,  0,  0, 1,       8,   0,
                       0x45, 0,   0,   LEN - 14, 0,   0,   0, 0, 64, 17, 0, 0,       198, 51,
                       100,  9,   198, 51,       100, 1,   0, 0, 0,  9,  0, LEN - 34 };
    memset(f + 42, 'P', LEN - 42);
    f[29] = (uint8_t)(9 + who);
    f[34] = (uint8_t)(base >> 8);
    for (unsigned k = 0; k < SLOTS; k++) {
        f[35] = (uint8_t)k;
        memcpy(frame(s, k), f, sizeof f);
    }
}

static bool
sender_init(struct sender *s, int index)
{
    const int one = 1, version = TPACKET_V2;
    const struct tpacket_req ring = {
        .tp_block_size = SLOT * SLOTS, .tp_block_nr = 1, .tp_frame_size = SLOT, .tp_frame_nr = SLOTS
    };
    struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = index };
    s->fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (s->fd < 0 || index == 0 ||
        setsockopt(s->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0 ||
        setsockopt(s->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) != 0 ||
        setsockopt(s->fd, SOL_PACKET, PACKET_TX_RING, &ring, sizeof ring) != 0 ||
        bind(s->fd, (const struct sockaddr *)(const void *)&to, sizeof to) != 0) {
        return false;
    }
    s->ring = mmap(NULL, (size_t)SLOT * SLOTS, PROT_READ | PROT_WRITE, MAP_SHARED, s->fd, 0);
    return s->ring != MAP_FAILED;
}

/* Until the kernel has taken, or refused, the `count` frames from s->at on. False: it takes none any more. */
static bool
send_piece(struct sender *s, unsigned count)
{
    for (unsigned k = 0; k < count; k++) {
        uint8_t *f = frame(s, s->at + k);
        f[18] = (uint8_t)(s->number >> 8);
        f[19] = (uint8_t)s->number++;
        slot(s, s->at + k)->tp_len = LEN;
        __atomic_store_n(&slot(s, s->at + k)->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
    }
    for (unsigned k = 0; k < count;) {
        const uint32_t status = __atomic_load_n(&slot(s, s->at + k)->tp_status, __ATOMIC_ACQUIRE);
        if (status == TP_STATUS_AVAILABLE) {
            s->sent++;
            k++;
        } else if (status == TP_STATUS_WRONG_FORMAT) {
            s->wrong++;
            slot(s, s->at + k)->tp_status = TP_STATUS_AVAILABLE;
            k++;
        } else if (send(s->fd, NULL, 0, 0) < 0 && errno != ENOBUFS && errno != EAGAIN &&
                   errno != EINTR) {
            return false;
        }
    }
    s->at = (s->at + count) % SLOTS;
    return true;
}

static int
send_all(struct sender *s, long count, double pps, struct sums *sums)
{
    const double start = now();
    unsigned piece = pps > 0 && pps < PIECE * 1000.0 ? (unsigned)(pps / 1000.0) : PIECE;
    piece = piece == 0 ? 1 : piece;
    for (long done = 0; done < count;) {
        const unsigned n = count - done < (long)piece ? (unsigned)(count - done) : piece;
        while (pps > 0 && (double)done > (now() - start) * pps) {
            usleep(100);
        }
        if (!send_piece(s, n)) {
            perror("blast");
            return 1;
        }
        done += n;
    }
    sums->sent += s->sent;
    sums->wrong += s->wrong;
    return 0;
}

int
main(int argc, char **argv)
{
    if (argc != 5 && argc != 6) {
        return 2;
    }
    const int index = (int)if_nametoindex(argv[1]);
    const unsigned base = (unsigned)atoi(argv[2]);
    const long count = atol(argv[3]);
    const double pps = atof(argv[4]);
    const int senders = argc == 6 ? atoi(argv[5]) : 1;
    struct sums *sums =
        mmap(NULL, sizeof *sums, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (senders < 1 || senders > SENDERS_MAX || sums == MAP_FAILED) {
        return 2;
    }
    const double start = now();
    for (int k = 0; k < senders; k++) {
        const long share = count / senders + (k < count % senders ? 1 : 0);
        const pid_t pid = fork();
        if (pid == 0) {
            struct sender s = { 0 };
            if (!sender_init(&s, index)) {
                perror("blast");
                _exit(1);
            }
            fill(&s, base, (unsigned)k);
            _exit(send_all(&s, share, pps / senders, sums));
        }
        if (pid < 0) {
            perror("blast");
            return 1;
        }
    }
    int code = 0, status;
    while (wait(&status) > 0) {
        code |= !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
    printf("%ld %.0f\n", sums->sent, (double)(sums->sent + sums->wrong) / (now() - start));
    return code;
}
