/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * blast IF SOURCE COUNT PPS: COUNT UDP datagrams to 198.51.100.1 from SOURCE-numbered ports, evenly at PPS a
 * second (0: as fast as it goes), by a packet socket past the queues of the interface. Prints how many the
 * kernel took, which is what the other end of a veth pair sees.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LEN = 80 };

static double
now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int
main(int argc, char **argv)
{
    if (argc != 5) {
        return 2;
    }
    /* Ethernet to everybody, IPv4 without checksum trouble for a sensor, UDP to port 9. */
    uint8_t f[LEN] = { 255,  255, 255, 255,      255, 255, 2, 0, 0,  0,  0, 1,       8,   0,
                       0x45, 0,   0,   LEN - 14, 0,   0,   0, 0, 64, 17, 0, 0,       198, 51,
                       100,  9,   198, 51,       100, 1,   0, 0, 0,  9,  0, LEN - 34 };
    memset(f + 42, 'P', LEN - 42);
    const int one = 1, index = (int)if_nametoindex(argv[1]);
    const unsigned base = (unsigned)atoi(argv[2]);
    const long count = atol(argv[3]);
    const double pps = atof(argv[4]);
    struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = index, .sll_halen = 6 };
    const int fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (fd < 0 || index == 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) != 0) {
        perror("blast");
        return 1;
    }
    long sent = 0, refused = 0;
    const double start = now();
    for (long k = 0; k < count; k++) {
        f[34] = (uint8_t)(base >> 8);
        f[35] = (uint8_t)k;
        while (pps > 0 && (k & 31) == 0 && (double)k > (now() - start) * pps) {
            usleep(100);
        }
        while (sendto(fd, f, sizeof f, 0, (struct sockaddr *)(void *)&to, sizeof to) < 0) {
            if (errno != ENOBUFS && errno != EAGAIN) {
                refused++;
                break;
            }
        }
        sent++;
    }
    printf("%ld %.0f\n", sent - refused, (double)sent / (now() - start));
    return 0;
}
