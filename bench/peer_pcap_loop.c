/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer_pcap_loop FILE - libpcap walks a capture with a callback that does nothing but count: what
 * a program that reads by libpcap cannot be faster than. Prints packets, ns of CPU time and page faults.
 */
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

static void
count_packet(u_char *user, const struct pcap_pkthdr *header, const u_char *octets)
{
    (void)header;
    (void)octets;
    uint64_t *count = (uint64_t *)(void *)user;
    ++*count;
}

int
main(int argc, char **argv)
{
    char why[PCAP_ERRBUF_SIZE] = "usage: peer_pcap_loop FILE";
    _Alignas(uint64_t) u_char count[sizeof(uint64_t)] = { 0 };
    struct timespec before, after;
    struct rusage use;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    pcap_t *p = argc == 2 ? pcap_open_offline(argv[1], why) : NULL;
    if (p == NULL) {
        fprintf(stderr, "peer_pcap_loop: %s\n", why);
        return 1;
    }
    int r = pcap_loop(p, -1, count_packet, count);
    pcap_close(p);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    getrusage(RUSAGE_SELF, &use);
    double ns =
        (double)(after.tv_sec - before.tv_sec) * 1e9 + (double)(after.tv_nsec - before.tv_nsec);
    printf("%llu %.0f %ld\n", (unsigned long long)*(uint64_t *)(void *)count, ns, use.ru_minflt);
    return r == 0 ? 0 : 1;
}
