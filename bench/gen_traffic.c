/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gen_traffic - what knocks on a quiet network, made up: a capture file (pcap, Ethernet, microseconds).
 *
 *   gen_traffic [-n PACKETS] [-o FILE] [--into DIR] [--seed N] [--sources N] [--ipv6 PERCENT]
 *               [--days DAYS] [--ranges FILE]... [--flood]
 *
 *   -n PACKETS       10000000 (with --flood 20000000)
 *   -o FILE          where to; "-" (the default) is standard output
 *   --into DIR       into a file of DIR named by all that decides its content, unless it is there;
 *                    its path is printed. Benchmarks share their files by this.
 *   --seed N         1; the same arguments make the same octets
 *   --sources N      200000 addresses of each family, asked for by Zipf's law (exponent 1.05, flat on top)
 *   --ipv6 PERCENT   5 of conversations (with --flood 0)
 *   --days DAYS      30, from 2026-01-01 on, busier by day (with --flood ten minutes, evenly)
 *   --ranges FILE    lines of start,end,cc (numbers or addresses; tor's geoip and geoip6): sources are
 *                    drawn from them, so that each has a country. IPv4 by size of the range, IPv6 by
 *                    range, as sizes there say nothing. Without: any unicast address.
 *   --flood          every packet is the SYN of a source not seen before, drawn evenly and forged
 *
 * Home is 203.0.113.0/24 and 2001:db8:5e::/120. Of a hundred packets some 81 are TCP (74 of them SYNs:
 * alone, repeated after 1 s and 3 s, refused, or the first of a session that is left half open, reset
 * or carried through), 12 are UDP and 7 ICMP echo; our answers, backscatter of attacks on others and
 * a few scans with odd flags are among them. 86 are accesses. A quarter of the TCP probes and a third
 * of the UDP ones go to ports outside the tables below. Checksums are right.
 *
 * A conversation is a row of `scripts`; its later packets wait in a heap ordered by time.
 */
#include "bh_base.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

/* Goes into the names of --into: raise it when the same arguments make other octets than before. */
#define GENERATOR_VERSION 1U

#define START_US (1767225600ULL * 1000000) /* 2026-01-01 00:00 UTC */
#define DAY_US 86400000000ULL
#define HOME4 0xcb007100U
#define HOME6_HI 0x20010db8005e0000ULL
#define OUT_SIZE ((size_t)4 << 20)
#define FRAME_MAX 2048U /* record header included */

struct range4 {
    uint32_t first, last;
};
struct range6 {
    uint64_t first[2], last[2];
};

struct source {
    uint64_t v6[2];
    uint32_t v4;
    uint8_t ttl;
    uint8_t syn_options; /* octets of TCP options in its SYN */
};

/* A discrete law to draw from in constant time (Walker's alias method, as made by Vose). */
struct law {
    struct {
        uint32_t keep; /* below: this one, else `other` */
        uint32_t other;
    } * cell;
    uint32_t count;
};

struct talk { /* one conversation under way */
    uint64_t t_us;
    uint32_t source;
    uint32_t seq;
    uint16_t their_port, our_port;
    uint16_t size; /* of what they send: octets behind the TCP or UDP header */
    uint8_t host;
    uint8_t script, at;
    bool v6;
};

struct options {
    uint64_t packets, seed;
    uint32_t sources;
    double ipv6_percent, days;
    bool flood;
    const char *path, *into;
    const char *ranges[16];
    size_t range_count;
};

struct maker {
    struct options o;
    uint64_t random;
    struct range4 *r4;
    struct range6 *r6;
    uint32_t r4_count, r6_count;
    uint64_t tables_hash;
    struct source *source;
    struct law by_source, by_script, by_tcp, by_udp;
    uint32_t v6_below; /* of 2^32 */
    double rate[96];   /* by quarter of an hour, 1 on average */
    struct talk *heap;
    size_t heap_count, heap_cap;
    uint8_t text[4096]; /* payload is cut out of this */
    int fd;
    uint8_t *out;
    size_t out_len;
};

static _Noreturn void
fail(const char *what, const char *why)
{
    fprintf(stderr, "gen_traffic: %s: %s\n", what, why);
    exit(1);
}

static void *
get_memory(size_t count, size_t size)
{
    void *p = calloc(count == 0 ? 1 : count, size);
    if (p == NULL) {
        fail("start", "out of memory");
    }
    return p;
}

/* A counter, well mixed. */
static inline uint64_t
next_random(struct maker *m)
{
    m->random += 0x9e3779b97f4a7c15U;
    return bh_mix64(m->random, 0x632be59bd9b4e019U);
}

static inline uint32_t
below(struct maker *m, uint32_t n)
{
    return (uint32_t)((next_random(m) >> 32) * n >> 32);
}

/* ---- laws --------------------------------------------------------------------------------------- */

static struct law
make_law(const double *weight, uint32_t n)
{
    struct law law = { get_memory(n, sizeof *law.cell), n };
    double *part = get_memory(n, sizeof *part);
    uint32_t *small = get_memory(n, sizeof *small);
    uint32_t *large = get_memory(n, sizeof *large);
    uint32_t smalls = 0, larges = 0;
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        sum += weight[i];
    }
    for (uint32_t i = 0; i < n; i++) {
        part[i] = weight[i] * n / sum;
        law.cell[i].keep = UINT32_MAX;
        law.cell[i].other = i;
        if (part[i] < 1) {
            small[smalls++] = i;
        } else {
            large[larges++] = i;
        }
    }
    while (smalls > 0 && larges > 0) {
        uint32_t s = small[--smalls];
        uint32_t l = large[larges - 1];
        law.cell[s].keep = (uint32_t)(part[s] * 4294967295.0);
        law.cell[s].other = l;
        part[l] -= 1 - part[s];
        if (part[l] < 1) {
            larges--;
            small[smalls++] = l;
        }
    }
    free(part);
    free(small);
    free(large);
    return law;
}

static inline uint32_t
draw(struct maker *m, const struct law *law)
{
    uint64_t r = next_random(m);
    uint32_t i = (uint32_t)((r >> 32) * law->count >> 32);
    return (uint32_t)r <= law->cell[i].keep ? i : law->cell[i].other;
}

/* ---- what they ask for ------------------------------------------------------------------------------ */

/* Most wanted first; the n-th has the weight 1 / (n + 2). */
static const uint16_t tcp_ports[] = {
    23,   22,   445,   80,   443,  8080, 3389,  2323,  5900,  8443,  6379,  1433,
    81,   3306, 5555,  8081, 2222, 7547, 37215, 8888,  25,    5432,  9200,  21,
    8000, 8291, 27017, 2375, 5060, 110,  5038,  8728,  60001, 52869, 34567, 10250,
    6443, 9000, 8088,  9090, 5000, 3000, 7001,  11211, 1723,  143,   993,   995,
    587,  465,  502,   102,  1883, 9100, 179,   111,   139,   10000, 20000, 50050,
};
static const uint16_t udp_ports[] = {
    53,   123, 161, 1900, 5060,  389, 137, 11211, 500, 5353,
    3702, 69,  111, 1434, 27015, 17,  19,  5683,  623, 443,
};
#define TCP_TAIL 0.25
#define UDP_TAIL 0.33

/* `tail` of the draws give one more than the last index: any port. */
static struct law
make_ports(uint32_t n, double tail)
{
    double weight[BH_COUNT(tcp_ports) + 1];
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        weight[i] = 1.0 / (i + 2);
        sum += weight[i];
    }
    weight[n] = sum * tail / (1 - tail);
    return make_law(weight, n + 1);
}

static uint16_t
draw_port(struct maker *m, uint8_t proto)
{
    const struct law *law = proto == 6 ? &m->by_tcp : &m->by_udp;
    uint32_t i = draw(m, law);
    return i + 1 == law->count ? (uint16_t)(1 + below(m, 65535))
           : proto == 6        ? tcp_ports[i]
                               : udp_ports[i];
}

/* ---- conversations ---------------------------------------------------------------------------------- */

enum step {
    SYN = 1,
    SYN_ACK,
    ACK,
    REQUEST,
    REPLY,
    FIN,
    OUR_FIN,
    LAST_ACK,
    THEIR_RST,
    OUR_RST,
    LATE_SYN_ACK, /* backscatter: somebody else forged our address */
    LATE_RST,
    LONE_FIN,
    NO_FLAGS,
    ALL_FLAGS,
    LONE_ACK,
    DATAGRAM,
    OUR_DATAGRAM,
    OUR_UNREACHABLE,
    PING,
    PONG,
};

#define REPLY_SIZE 120U

/* Segments: sequence and acknowledgement are counted from the first ones of both sides. */
struct segment {
    uint8_t flags; /* as on the wire */
    bool ours;
    uint8_t they_sent; /* SYN and FIN of theirs so far: 0, 1, 2 */
    bool they_asked;   /* and the request                       */
    uint8_t we_sent;
    bool we_replied;
};
static const struct segment segments[] = {
    [SYN] = { 0x02, false, 0, false, 0, false },
    [SYN_ACK] = { 0x12, true, 1, false, 0, false },
    [ACK] = { 0x10, false, 1, false, 1, false },
    [REQUEST] = { 0x18, false, 1, false, 1, false },
    [REPLY] = { 0x18, true, 1, true, 1, false },
    [FIN] = { 0x11, false, 1, true, 1, true },
    [OUR_FIN] = { 0x11, true, 2, true, 1, true },
    [LAST_ACK] = { 0x10, false, 2, true, 2, true },
    [THEIR_RST] = { 0x04, false, 1, false, 0, false },
    [OUR_RST] = { 0x14, true, 1, false, 0, false },
    [LATE_SYN_ACK] = { 0x12, false, 0, false, 1, false },
    [LATE_RST] = { 0x14, false, 0, false, 1, false },
    [LONE_FIN] = { 0x01, false, 0, false, 0, false },
    [NO_FLAGS] = { 0x00, false, 0, false, 0, false },
    [ALL_FLAGS] = { 0x29, false, 0, false, 0, false },
    [LONE_ACK] = { 0x10, false, 0, false, 1, false },
};

/* How many of a thousand conversations or so, their protocol, their steps. */
struct script {
    double weight;
    uint8_t proto; /* 1 stands for ICMP of both families */
    uint8_t step[9];
};
static const struct script scripts[] = {
    { 740, 6, { SYN } },
    { 15, 6, { SYN, SYN, SYN } },
    { 4, 6, { SYN, SYN_ACK, ACK, REQUEST, REPLY, FIN, OUR_FIN, LAST_ACK } },
    { 6, 6, { SYN, SYN_ACK, THEIR_RST } },
    { 3, 6, { SYN, SYN_ACK } },
    { 6, 6, { SYN, OUR_RST } },
    { 14, 6, { LATE_SYN_ACK } },
    { 8, 6, { LATE_RST } },
    { 1, 6, { LONE_FIN } },
    { 1, 6, { NO_FLAGS } },
    { 1, 6, { ALL_FLAGS } },
    { 1, 6, { LONE_ACK } },
    { 125, 17, { DATAGRAM } },
    { 2, 17, { DATAGRAM, OUR_DATAGRAM } },
    { 3, 17, { DATAGRAM, OUR_UNREACHABLE } },
    { 60, 1, { PING } },
    { 8, 1, { PING, PONG } },
};

static struct talk
start_talk(struct maker *m, uint64_t t_us)
{
    uint64_t r = next_random(m);
    uint64_t more = next_random(m);
    struct talk k = { .t_us = t_us, .seq = (uint32_t)r };
    k.script = (uint8_t)draw(m, &m->by_script);
    k.source = draw(m, &m->by_source);
    k.v6 = (uint32_t)(r >> 32) < m->v6_below;
    k.host = (uint8_t)(1 + (more & 0xffff) * 254 / 65536);
    k.their_port = (uint16_t)(1024 + (more >> 16 & 0xffff) * 64512 / 65536);
    const uint8_t proto = scripts[k.script].proto;
    if (proto == 1) {
        static const uint8_t sizes[] = { 0, 8, 32, 56 };
        k.size = sizes[more >> 32 & 3];
        return k;
    }
    k.our_port = draw_port(m, proto);
    uint32_t longest = proto == 6 ? 200 : (more >> 48 & 1) != 0 ? 70 : 370;
    k.size = (uint16_t)(2 + (more >> 32 & 0xffff) * longest / 65536);
    const uint8_t first = scripts[k.script].step[0];
    if (first == LATE_SYN_ACK || first == LATE_RST) {
        uint16_t service = k.our_port;
        k.our_port = k.their_port;
        k.their_port = service;
    }
    return k;
}

/* When the next packet of a conversation comes. False: it was the last one. */
static bool
move_on(struct maker *m, struct talk *k)
{
    const uint8_t *step = scripts[k->script].step;
    uint32_t wait_us = step[k->at + 1] == SYN ? 1000000U << k->at : 20000U;
    k->t_us += wait_us + below(m, 120000);
    k->at++;
    return step[k->at] != 0;
}

/* A heap with the earliest on top. */
static void
push_talk(struct maker *m, const struct talk *k)
{
    if (m->heap_count == m->heap_cap) {
        m->heap_cap = m->heap_cap == 0 ? 4096 : m->heap_cap * 2;
        m->heap = realloc(m->heap, bh_size_mul(m->heap_cap, sizeof *m->heap));
        if (m->heap == NULL) {
            fail("conversations", "out of memory");
        }
    }
    size_t i = m->heap_count++;
    for (; i > 0 && m->heap[(i - 1) / 2].t_us > k->t_us; i = (i - 1) / 2) {
        m->heap[i] = m->heap[(i - 1) / 2];
    }
    m->heap[i] = *k;
}

static struct talk
pop_talk(struct maker *m)
{
    struct talk top = m->heap[0];
    struct talk last = m->heap[--m->heap_count];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < m->heap_count; i = child) {
        if (child + 1 < m->heap_count && m->heap[child + 1].t_us < m->heap[child].t_us) {
            child++;
        }
        if (m->heap[child].t_us >= last.t_us) {
            break;
        }
        m->heap[i] = m->heap[child];
    }
    m->heap[i] = last;
    return top;
}

/* ---- frames --------------------------------------------------------------------------------------- */

static void
flush_out(struct maker *m)
{
    for (size_t at = 0; at < m->out_len;) {
        ssize_t n = write(m->fd, m->out + at, m->out_len - at);
        if (n < 0 && errno != EINTR) {
            fail(m->o.path, strerror(errno));
        }
        at += n < 0 ? 0 : (size_t)n;
    }
    m->out_len = 0;
}

/* Sum of 16-bit words (RFC 1071); the order of octets does not matter until it is stored. */
static inline uint64_t
add_up(const uint8_t *p, size_t n)
{
    uint64_t sum = 0;
    uint32_t word;
    for (; n >= sizeof word; p += sizeof word, n -= sizeof word) {
        memcpy(&word, p, sizeof word);
        sum += word;
    }
    word = 0;
    memcpy(&word, p, n);
    return sum + word;
}

static inline void
put_sum(uint8_t *at, uint64_t sum)
{
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    uint16_t v = (uint16_t)~sum;
    memcpy(at, &v, sizeof v);
}

/* A pseudo header is the addresses, the length and the protocol. */
static inline uint64_t
add_up_pseudo(const uint8_t *ip, bool v6, uint8_t proto, size_t len)
{
    uint8_t rest[4] = { 0, proto, (uint8_t)(len >> 8), (uint8_t)len };
    return (v6 ? add_up(ip + 8, 32) : add_up(ip + 12, 8)) + add_up(rest, sizeof rest);
}

static size_t
put_ip(const struct maker *m, const struct talk *k, uint8_t *p, bool ours, uint8_t proto,
       size_t payload)
{
    const struct source *s = &m->source[k->source];
    const uint8_t ttl = ours ? 64 : s->ttl;
    if (k->v6) {
        bh_put_be32(p, 0x60000000U);
        bh_put_be16(p + 4, (uint16_t)payload);
        p[6] = proto;
        p[7] = ttl;
        uint8_t *theirs = p + (ours ? 24 : 8);
        uint8_t *mine = p + (ours ? 8 : 24);
        bh_put_be64(theirs, s->v6[0]);
        bh_put_be64(theirs + 8, s->v6[1]);
        bh_put_be64(mine, HOME6_HI);
        bh_put_be64(mine + 8, k->host);
        return 40;
    }
    p[0] = 0x45;
    p[1] = 0;
    bh_put_be16(p + 2, (uint16_t)(20 + payload));
    bh_put_be16(p + 4, (uint16_t)(k->seq >> 11 ^ k->at));
    bh_put_be16(p + 6, 0x4000);
    p[8] = ttl;
    p[9] = proto;
    bh_put_be16(p + 10, 0);
    bh_put_be32(p + (ours ? 16 : 12), s->v4);
    bh_put_be32(p + (ours ? 12 : 16), HOME4 | k->host);
    put_sum(p + 10, add_up(p, 20));
    return 20;
}

static size_t
put_tcp(const struct maker *m, const struct talk *k, uint8_t step, uint8_t *p)
{
    /* MSS, SACK, timestamps, window scale; the first four octets alone are MSS */
    static const uint8_t options[] = { 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0,
                                       1, 0, 0, 0,    0, 0, 1, 3,  3, 7 };
    const struct segment *g = &segments[step];
    size_t option_len = step == SYN ? m->source[k->source].syn_options : step == SYN_ACK ? 4 : 0;
    size_t size = step == REQUEST ? k->size : step == REPLY ? REPLY_SIZE : 0;
    uint32_t theirs = k->seq + g->they_sent + (g->they_asked ? k->size : 0);
    uint32_t mine =
        (k->seq ^ 0x5bd1e995U) * 0x9e3779b1U + g->we_sent + (g->we_replied ? REPLY_SIZE : 0);
    bh_put_be16(p, g->ours ? k->our_port : k->their_port);
    bh_put_be16(p + 2, g->ours ? k->their_port : k->our_port);
    bh_put_be32(p + 4, g->ours ? mine : theirs);
    bh_put_be32(p + 8, (g->flags & 0x10) == 0 ? 0 : g->ours ? theirs : mine);
    p[12] = (uint8_t)((20 + option_len) / 4 << 4);
    p[13] = g->flags;
    bh_put_be16(p + 14, (g->flags & 0x04) != 0 ? 0 : option_len == 0 ? 1024 : 64240);
    bh_put_be32(p + 16, 0);
    memcpy(p + 20, options, option_len);
    memcpy(p + 20 + option_len, m->text + k->seq % 2048, size);
    return 20 + option_len + size;
}

static size_t
put_udp(const struct maker *m, const struct talk *k, bool ours, uint8_t *p)
{
    size_t size = ours ? REPLY_SIZE : k->size;
    bh_put_be16(p, ours ? k->our_port : k->their_port);
    bh_put_be16(p + 2, ours ? k->their_port : k->our_port);
    bh_put_be16(p + 4, (uint16_t)(8 + size));
    bh_put_be16(p + 6, 0);
    memcpy(p + 8, m->text + k->seq % 2048, size);
    return 8 + size;
}

static size_t
put_icmp(const struct maker *m, const struct talk *k, uint8_t step, uint8_t *p)
{
    bh_put_be64(p, 0);
    if (step ==
        OUR_UNREACHABLE) { /* port unreachable, and the head of what could not be delivered */
        p[0] = k->v6 ? 1 : 3;
        p[1] = k->v6 ? 4 : 3;
        size_t n = put_ip(m, k, p + 8, false, 17, 8U + k->size);
        uint8_t whole[8 + 512];
        put_udp(m, k, false, whole);
        uint64_t sum = add_up_pseudo(p + 8, k->v6, 17, 8U + k->size) + add_up(whole, 8U + k->size);
        put_sum(whole + 6, sum);
        memcpy(p + 8 + n, whole, 8);
        return 8 + n + 8;
    }
    p[0] = step == PING ? (k->v6 ? 128 : 8) : (k->v6 ? 129 : 0);
    bh_put_be16(p + 4, k->their_port);
    bh_put_be16(p + 6, (uint16_t)k->seq);
    memcpy(p + 8, m->text, k->size);
    return 8U + k->size;
}

static void
put_frame(struct maker *m, const struct talk *k, uint8_t step)
{
    static const uint8_t macs[] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1 };
    if (m->out_len + FRAME_MAX > OUT_SIZE) {
        flush_out(m);
    }
    uint8_t *record = m->out + m->out_len;
    uint8_t *frame = record + 16;
    uint8_t *ip = frame + 14;
    bool ours = step < DATAGRAM ? segments[step].ours
                                : step == OUR_DATAGRAM || step == OUR_UNREACHABLE || step == PONG;
    memcpy(frame, macs + (ours ? 6 : 0), 12);
    bh_put_be16(frame + 12, k->v6 ? 0x86dd : 0x0800);
    const size_t head = k->v6 ? 40 : 20;
    uint8_t *l4 = ip + head;
    uint8_t proto = step < DATAGRAM ? 6 : step <= OUR_DATAGRAM ? 17 : k->v6 ? 58 : 1;
    size_t len = proto == 6    ? put_tcp(m, k, step, l4)
                 : proto == 17 ? put_udp(m, k, ours, l4)
                               : put_icmp(m, k, step, l4);
    put_ip(m, k, ip, ours, proto, len);
    uint64_t sum = add_up(l4, len) + (proto == 1 ? 0 : add_up_pseudo(ip, k->v6, proto, len));
    put_sum(l4 + (proto == 6 ? 16 : proto == 17 ? 6 : 2), sum);
    const uint32_t size = (uint32_t)(14 + head + len);
    bh_put_le32(record, (uint32_t)(k->t_us / 1000000));
    bh_put_le32(record + 4, (uint32_t)(k->t_us % 1000000));
    bh_put_le32(record + 8, size);
    bh_put_le32(record + 12, size);
    m->out_len += 16 + size;
}

static void
put_file_header(struct maker *m)
{
    static const uint32_t words[] = { 0xa1b2c3d4U, 2 | 4U << 16, 0, 0, 65535, 1 };
    for (size_t i = 0; i < BH_COUNT(words); i++) {
        bh_put_le32(m->out + m->out_len, words[i]);
        m->out_len += 4;
    }
}

/* ---- sources ---------------------------------------------------------------------------------------- */

static bool
parse_bound(const char *s, size_t n, struct bh_ip *ret)
{
    uint64_t v = 0;
    if (bh_ip_parse(s, n, ret)) {
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9' || v > UINT32_MAX) {
            return false;
        }
        v = v * 10 + (uint64_t)(s[i] - '0');
    }
    *ret = bh_ip_from_v4((uint32_t)v);
    return n > 0 && v <= UINT32_MAX;
}

static void *
grow(void *list, uint32_t count, size_t size)
{
    if (count != 0 && (count & (count - 1)) != 0) {
        return list;
    }
    void *p = realloc(list, bh_size_mul(count == 0 ? 1 : 2 * (size_t)count, size));
    if (p == NULL) {
        fail("ranges", "out of memory");
    }
    return p;
}

/* start,end,cc; lines of anything else, and ranges of no country, are passed over. */
static void
take_line(struct maker *m, const char *at, size_t n)
{
    const char *c1 = memchr(at, ',', n);
    const char *c2 = c1 == NULL ? NULL : memchr(c1 + 1, ',', n - (size_t)(c1 + 1 - at));
    struct bh_ip first, last;
    if (c2 == NULL || at + n - c2 < 3 || c2[1] < 'A' || c2[1] > 'Z' ||
        !parse_bound(at, (size_t)(c1 - at), &first) ||
        !parse_bound(c1 + 1, (size_t)(c2 - c1 - 1), &last) || first.family != last.family ||
        bh_ip_cmp(&first, &last) > 0) {
        return;
    }
    if (first.family == 4) {
        m->r4 = grow(m->r4, m->r4_count, sizeof *m->r4);
        m->r4[m->r4_count++] =
            (struct range4){ bh_get_be32(first.octets), bh_get_be32(last.octets) };
    } else {
        m->r6 = grow(m->r6, m->r6_count, sizeof *m->r6);
        m->r6[m->r6_count++] =
            (struct range6){ { bh_get_be64(first.octets), bh_get_be64(first.octets + 8) },
                             { bh_get_be64(last.octets), bh_get_be64(last.octets + 8) } };
    }
}

static void
load_ranges(struct maker *m, const char *path)
{
    struct bh_map map;
    struct bh_error err;
    char line[1024];
    if (bh_map_open(path, &map, &err) < 0) {
        fail("--ranges", bh_error_line(&err, BH_EN, line, sizeof line));
    }
    const char *at = (const char *)map.data;
    const char *end = at + map.size;
    uint32_t before = m->r4_count + m->r6_count;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop == NULL ? end : stop;
        take_line(m, at, (size_t)(stop - at));
        at = stop + 1;
    }
    if (m->r4_count + m->r6_count == before) {
        fail(path, "no line of start,end,cc");
    }
    for (size_t i = 0; i < map.size; i++) {
        m->tables_hash = (m->tables_hash ^ map.data[i]) * 0x100000001b3U;
    }
    bh_map_done(&map);
}

static bool
is_unicast(uint32_t v4)
{
    uint32_t net = v4 >> 24;
    return net > 0 && net < 224 && net != 10 && net != 127 && v4 >> 8 != HOME4 >> 8;
}

static uint32_t
draw_v4(struct maker *m, const struct law *by_size)
{
    if (m->r4_count > 0) {
        const struct range4 *r = &m->r4[draw(m, by_size)];
        return r->first + (uint32_t)((next_random(m) >> 32) % ((uint64_t)r->last - r->first + 1));
    }
    for (;;) {
        uint32_t v = (uint32_t)(next_random(m) >> 32);
        if (is_unicast(v)) {
            return v;
        }
    }
}

/* What all addresses of the range share stays; the rest is random, again until it is inside. */
static void
draw_v6(struct maker *m, uint64_t ret[2])
{
    if (m->r6_count == 0) {
        ret[0] = (next_random(m) >> 3) | 0x2000000000000000U;
        ret[1] = next_random(m);
        return;
    }
    const struct range6 *r = &m->r6[below(m, m->r6_count)];
    const uint64_t *a = r->first;
    const uint64_t *z = r->last;
    uint64_t free_hi = a[0] == z[0] ? 0 : UINT64_MAX >> __builtin_clzll(a[0] ^ z[0]);
    uint64_t free_lo = free_hi != 0   ? UINT64_MAX
                       : a[1] == z[1] ? 0
                                      : UINT64_MAX >> __builtin_clzll(a[1] ^ z[1]);
    for (;;) {
        uint64_t hi = (a[0] & ~free_hi) | (next_random(m) & free_hi);
        uint64_t lo = (a[1] & ~free_lo) | (next_random(m) & free_lo);
        if ((hi > a[0] || (hi == a[0] && lo >= a[1])) &&
            (hi < z[0] || (hi == z[0] && lo <= z[1]))) {
            ret[0] = hi;
            ret[1] = lo;
            return;
        }
    }
}

static void
make_sources(struct maker *m)
{
    static const uint8_t option_lens[] = { 0, 0, 4, 20 };
    static const uint8_t ttls[] = { 64, 64, 128, 255 };
    struct law by_size = { 0 };
    uint32_t n = m->o.flood ? 1 : m->o.sources;
    uint32_t most = n > m->r4_count ? n : m->r4_count;
    double *weight = get_memory(most, sizeof *weight);
    if (m->r4_count > 0) {
        for (uint32_t i = 0; i < m->r4_count; i++) {
            weight[i] = (double)m->r4[i].last - m->r4[i].first + 1;
        }
        by_size = make_law(weight, m->r4_count);
    }
    m->source = get_memory(n, sizeof *m->source);
    for (uint32_t i = 0; i < n; i++) {
        struct source *s = &m->source[i];
        s->v4 = draw_v4(m, &by_size);
        draw_v6(m, s->v6);
        uint64_t r = next_random(m);
        s->syn_options = option_lens[r & 3];
        s->ttl = (uint8_t)(ttls[r >> 2 & 3] - 8 - (r >> 8 & 15));
        weight[i] = pow(1 + i + n / 2000.0, -1.05);
    }
    m->by_source = make_law(weight, n);
    free(weight);
    free(by_size.cell);
}

/* ---- both kinds of traffic -------------------------------------------------------------------------- */

static void
make_radiation(struct maker *m)
{
    double weight[BH_COUNT(scripts)];
    double starts = 0, frames = 0;
    for (size_t i = 0; i < BH_COUNT(scripts); i++) {
        weight[i] = scripts[i].weight;
        starts += weight[i];
        frames += weight[i] * (double)strlen((const char *)scripts[i].step);
    }
    m->by_script = make_law(weight, BH_COUNT(scripts));
    m->by_tcp = make_ports(BH_COUNT(tcp_ports), TCP_TAIL);
    m->by_udp = make_ports(BH_COUNT(udp_ports), UDP_TAIL);
    for (size_t i = 0; i < BH_COUNT(m->rate); i++) {
        m->rate[i] = 1 / (1 + 0.4 * sin(2 * 3.14159265358979 * (double)i / BH_COUNT(m->rate)));
    }
    const double mean_gap = m->o.days * (double)DAY_US / ((double)m->o.packets * starts / frames);
    double t = (double)START_US;
    for (uint64_t n = 0; n < m->o.packets; n++) {
        struct talk k;
        if (m->heap_count > 0 && (double)m->heap[0].t_us <= t) {
            k = pop_talk(m);
        } else {
            k = start_talk(m, (uint64_t)t);
            const uint64_t quarter = (uint64_t)t % DAY_US * BH_COUNT(m->rate) / DAY_US;
            t += (double)(next_random(m) >> 11) * 0x1p-53 * 2 * mean_gap * m->rate[quarter];
        }
        put_frame(m, &k, scripts[k.script].step[k.at]);
        if (move_on(m, &k)) {
            push_talk(m, &k);
        }
    }
}

/* Every 32-bit number once, in an order nobody sees through: each line can be undone. */
static uint32_t
scramble(uint32_t x, uint32_t key)
{
    x = (x ^ key) * 0x9e3779b1U;
    x ^= x >> 15;
    x *= 0x85ebca6bU;
    x ^= x >> 13;
    x *= 0xc2b2ae35U;
    return x ^ x >> 16;
}

static void
make_flood(struct maker *m)
{
    const uint32_t key = (uint32_t)(next_random(m) >> 32);
    const double gap = m->o.days * (double)DAY_US / (double)m->o.packets;
    uint32_t counter = 0;
    for (uint64_t n = 0; n < m->o.packets; n++) {
        uint64_t r = next_random(m);
        struct source *s = &m->source[0];
        struct talk k = { .t_us = START_US + (uint64_t)((double)n * gap),
                          .seq = (uint32_t)r,
                          .their_port = (uint16_t)(1024 + (r >> 32 & 0xffff) * 64512 / 65536),
                          .our_port = (r >> 62) != 0 ? 443 : 80,
                          .host = 80 };
        k.v6 = (uint32_t)(next_random(m) >> 32) < m->v6_below;
        if (k.v6) {
            draw_v6(m, s->v6);
        } else {
            do {
                s->v4 = scramble(counter++, key);
            } while (!is_unicast(s->v4));
        }
        s->ttl = (uint8_t)(40 + (r >> 48 & 63));
        s->syn_options = 0;
        put_frame(m, &k, SYN);
    }
}

/* ---- command line --------------------------------------------------------------------------------------- */

static double
number(const char *name, const char *text, double least, double most)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end != '\0' || !(v >= least && v <= most)) {
        fprintf(stderr, "gen_traffic: %s: not a number from %g to %g: %s\n", name, least, most,
                text);
        exit(2);
    }
    return v;
}

static struct options
parse(int argc, char **argv)
{
    static const struct option names[] = {
        { "into", required_argument, NULL, 'i' },    { "seed", required_argument, NULL, 's' },
        { "sources", required_argument, NULL, 'S' }, { "ipv6", required_argument, NULL, '6' },
        { "days", required_argument, NULL, 'd' },    { "ranges", required_argument, NULL, 'r' },
        { "flood", no_argument, NULL, 'f' },         { NULL, 0, NULL, 0 },
    };
    struct options o = {
        .seed = 1, .sources = 200000, .ipv6_percent = -1, .days = -1, .path = "-"
    };
    for (int c; (c = getopt_long(argc, argv, "n:o:", names, NULL)) != -1;) {
        switch (c) {
        case 'n':
            o.packets = (uint64_t)number("-n", optarg, 1, 1e12);
            break;
        case 'o':
            o.path = optarg;
            break;
        case 'i':
            o.into = optarg;
            break;
        case 's':
            o.seed = (uint64_t)number("--seed", optarg, 0, 1e15);
            break;
        case 'S':
            o.sources = (uint32_t)number("--sources", optarg, 1, 1e8);
            break;
        case '6':
            o.ipv6_percent = number("--ipv6", optarg, 0, 100);
            break;
        case 'd':
            o.days = number("--days", optarg, 0, 36500);
            break;
        case 'r':
            if (o.range_count < BH_COUNT(o.ranges)) {
                o.ranges[o.range_count++] = optarg;
            }
            break;
        case 'f':
            o.flood = true;
            break;
        default:
            exit(2);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "gen_traffic: unexpected: %s\n", argv[optind]);
        exit(2);
    }
    o.packets = o.packets != 0 ? o.packets : o.flood ? 20000000 : 10000000;
    o.ipv6_percent = o.ipv6_percent >= 0 ? o.ipv6_percent : o.flood ? 0 : 5;
    o.days = o.days >= 0 ? o.days : o.flood ? 600 / 86400.0 : 30;
    if (o.flood && (double)o.packets > 3e9) {
        fail("--flood", "there are no more addresses than that");
    }
    return o;
}

/* DIR/KIND-COUNT-HASH.pcap */
static char *
name_file(const struct maker *m)
{
    const struct options *o = &m->o;
    char key[256];
    char count[32];
    uint64_t hash = 0xcbf29ce484222325U;
    snprintf(key, sizeof key, "%u %llu %llu %u %.17g %.17g %d %llx", GENERATOR_VERSION,
             (unsigned long long)o->packets, (unsigned long long)o->seed, o->sources,
             o->ipv6_percent, o->days, o->flood, (unsigned long long)m->tables_hash);
    for (const char *s = key; *s != '\0'; s++) {
        hash = (hash ^ (uint8_t)*s) * 0x100000001b3U;
    }
    uint64_t n = o->packets;
    const char *unit = n % 1000000 == 0 ? "m" : n % 1000 == 0 ? "k" : "";
    snprintf(count, sizeof count, "%llu%s",
             (unsigned long long)(*unit == 'm'   ? n / 1000000
                                  : *unit == 'k' ? n / 1000
                                                 : n),
             unit);
    size_t room = strlen(o->into) + 128;
    char *path = get_memory(room, 1);
    snprintf(path, room, "%s/%s-%s-%08x.pcap", o->into, o->flood ? "flood" : "traffic", count,
             (unsigned)(hash ^ hash >> 32));
    return path;
}

static void
make_file(struct maker *m)
{
    size_t room = strlen(m->o.path) + 32;
    char *new_path = get_memory(room, 1);
    bool is_stdout = strcmp(m->o.path, "-") == 0;
    snprintf(new_path, room, "%s.%ld.new", m->o.path, (long)getpid());
    m->fd =
        is_stdout ? STDOUT_FILENO : open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (m->fd < 0) {
        fail(m->o.path, strerror(errno));
    }
    m->out = get_memory(OUT_SIZE, 1);
    for (size_t i = 0; i < sizeof m->text; i++) {
        m->text[i] = (uint8_t)(32 + below(m, 95));
    }
    make_sources(m);
    put_file_header(m);
    if (m->o.flood) {
        make_flood(m);
    } else {
        make_radiation(m);
    }
    flush_out(m);
    if (!is_stdout && (close(m->fd) != 0 || rename(new_path, m->o.path) != 0)) {
        fail(m->o.path, strerror(errno));
    }
    free(new_path);
}

int
main(int argc, char **argv)
{
    static struct maker m;
    m.o = parse(argc, argv);
    m.random = m.o.seed;
    m.v6_below = (uint32_t)(m.o.ipv6_percent / 100 * 4294967295.0);
    for (size_t i = 0; i < m.o.range_count; i++) {
        load_ranges(&m, m.o.ranges[i]);
    }
    if (m.o.into != NULL) {
        m.o.path = name_file(&m);
        if (access(m.o.path, R_OK) == 0) {
            puts(m.o.path);
            return 0;
        }
        fprintf(stderr, "gen_traffic: making %s ...\n", m.o.path);
    }
    make_file(&m);
    if (m.o.into != NULL) {
        puts(m.o.path);
    }
    return 0;
}
