/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A writer of a packet log as a sensor is one: a few records at a time, a tick four times a second, segments as
 * small as they go, verdicts that come later. Every record has its number as sequence number. Says on stdout what
 * it has handed over and what was announced as flushed, with the time. tests/acceptance/log_trust kills it.
 *
 * live_log write DIR RECORDS_PER_SECOND SECONDS [FIRST [BACK]]: FIRST, the number of the first record; BACK, the clock of
 *     the ticks steps back by so many seconds after a second.
 * live_log check DIR: all records once, in order? Prints how many.
 * live_log recover DIR: opens a writer, which seals what was left, and closes it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bh_store.h"

#define STEP_NS 10000000LL
#define TICK_NS 250000000LL
#define OPEN_ROWS 20000U /* that wait for their verdicts */

static int64_t
clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void
say(char what, uint64_t n)
{
    char line[64];
    const int len =
        snprintf(line, sizeof line, "%c %" PRIu64 " %" PRId64 "\n", what, n, clock_ns());
    if (write(STDOUT_FILENO, line, (size_t)len) != len) {
        exit(3);
    }
}

static int
fail(const struct bh_error *err)
{
    char line[1200];
    fprintf(stderr, "live_log: %s\n", bh_error_line(err, BH_EN, line, sizeof line));
    return 1;
}

static unsigned
verdict(void *arg, uint32_t connection, int64_t ts_ns)
{
    (void)arg;
    (void)ts_ns;
    return connection % 2 == 0 ? BH_OUTCOME_REFUSED : BH_OUTCOME_COMPLETE;
}

static void
fill(struct bh_batch *b, uint64_t first, uint32_t rows)
{
    bh_batch_reset(b);
    b->want = BH_WANT_COLD;
    for (uint32_t i = 0; i < rows; i++) {
        const uint64_t n = first + i, dice = bh_mix64(n, 1);
        b->ts_ns[i] = 1185807600000000000LL + (int64_t)n * 1000000;
        b->kind[i] = BH_KIND_IP4;
        b->proto[i] = BH_PROTO_TCP;
        b->direction[i] = BH_DIR_IN;
        b->cls[i] = BH_CLASS_ACCESS;
        b->outcome[i] = BH_OUTCOME_NONE;
        b->connection[i] = (uint32_t)(n % 1000);
        b->tcp_flags[i] = BH_TCP_SYN;
        b->layers[i] = BH_LAYER_IPV4 | BH_LAYER_TCP;
        b->ip_len[i] = 40;
        b->wire_len[i] = 60;
        b->src[i] = 0x3d000000 + (uint32_t)(dice % 5000);
        b->dst[i] = 0xcb007101;
        b->ports[i] = (uint32_t)(dice >> 40 & 0xffff) << 16 | 22;
        b->tcp_seq[i] = (uint32_t)n;
        b->ttl[i] = 50;
        b->marks[i] = b->reason[i] = b->df[i] = 0;
        b->payload_len[i] = b->ip_id[i] = b->tcp_window[i] = 0;
        b->tcp_options[i] = 0;
        b->src_mac[i] = 0;
        b->vlan[i] = b->ethertype[i] = b->interface[i] = 0;
        b->tunnel_sender[i] = b->tunnel_vni[i] = 0;
        b->weight[i] = 0;
        b->rows++;
    }
}

static int
open_writer(const char *dir, struct bh_store_writer **ret, struct bh_error *err)
{
    struct bh_store_writer_config cfg = { .dir = dir,
                                          .segment_blocks = 1,
                                          .sync_ns = 2000000000,
                                          .run = { .outcomes = true,
                                                   .first_ns = 1185807600000000000LL } };
    snprintf(cfg.run.home, sizeof cfg.run.home, "203.0.113.1");
    return bh_store_writer_open(&cfg, ret, err);
}

static int
write_log(const char *dir, uint64_t rate, int64_t seconds, uint64_t first, int64_t back_s)
{
    struct bh_error err = { 0 };
    struct bh_store_writer *w;
    struct bh_batch *b = bh_batch_new();
    static const struct bh_store_sums sums = { .steps_back = 1 };
    if (open_writer(dir, &w, &err) != 0) {
        return fail(&err);
    }
    const uint64_t step = rate * (uint64_t)STEP_NS / 1000000000;
    const int64_t start = clock_ns();
    int64_t ticked = start, now = start;
    uint64_t handed = 0, said = 0;
    int r = 0;
    while (r == 0 && now - start < seconds * 1000000000) {
        for (uint64_t left = step; left > 0 && r == 0;) {
            const uint32_t n = left < BH_BATCH_ROWS ? (uint32_t)left : BH_BATCH_ROWS;
            fill(b, first + handed, n);
            r = bh_store_write(w, b, &err);
            if (r == -EAGAIN || r == -ENOSPC) {
                say('W', handed); /* the same batch again after a tick */
                r = 0;
                break;
            }
            handed += r == 0 ? n : 0;
            left -= n;
        }
        say('H', handed);
        bh_store_settle(w, handed > OPEN_ROWS ? handed - OPEN_ROWS : 0, verdict, NULL);
        now = clock_ns();
        if (r == 0 && now - ticked >= TICK_NS) {
            const int64_t shift = now - start > 1000000000 ? back_s * 1000000000 : 0;
            ticked = now;
            r = bh_store_tick(w, now - shift, &sums, verdict, NULL, &err);
            if (r == -ENOSPC) {
                say('E', handed);
                r = 0;
            }
        }
        if (bh_store_flushed(w) > said) {
            said = bh_store_flushed(w);
            say('F', said);
        }
        const struct timespec pause = { .tv_nsec = STEP_NS };
        nanosleep(&pause, NULL);
    }
    bh_store_settle(w, handed, verdict, NULL);
    if (r != 0) {
        fail(&err);
        bh_ignore(bh_store_writer_close(w, NULL, &err));
        bh_batch_free(b);
        return 1;
    }
    r = bh_store_writer_close(w, &sums, &err);
    bh_batch_free(b);
    if (r == 0) {
        say('C', handed);
    }
    return r == 0 ? 0 : fail(&err);
}

static int
check(const char *dir)
{
    struct bh_error err = { 0 };
    struct bh_store *s;
    struct bh_store_health h;
    struct bh_store_query q = { .start_ns = INT64_MIN, .end_ns = INT64_MAX, .want = BH_STORE_ALL };
    struct bh_batch *b = bh_batch_new();
    uint64_t n = 0, wrong = 0, undecided = 0;
    if (bh_store_open(&dir, 1, &s, &err) != 0 || bh_store_read_begin(s, &q, &err) != 0) {
        return fail(&err);
    }
    while (bh_store_read(s, b, &err) == 1) {
        for (uint32_t i = 0; i < b->rows; i++, n++) {
            wrong += b->tcp_seq[i] != (uint32_t)n;
            undecided += b->outcome[i] != verdict(NULL, (uint32_t)(n % 1000), 0);
        }
    }
    bh_store_get_health(s, &h);
    printf("%" PRIu64 " records, %" PRIu64 " wrong, %" PRIu64 " undecided, %" PRIu64 " damaged\n",
           n, wrong, undecided, h.damaged_blocks + h.damaged_files);
    bh_store_close(s);
    bh_batch_free(b);
    return wrong > 0 || h.damaged_blocks + h.damaged_files > 0;
}

int
main(int argc, char **argv)
{
    struct bh_error err = { 0 };
    struct bh_store_writer *w;
    if (argc >= 5 && strcmp(argv[1], "write") == 0) {
        return write_log(argv[2], strtoull(argv[3], NULL, 10), strtoll(argv[4], NULL, 10),
                         argc > 5 ? strtoull(argv[5], NULL, 10) : 0,
                         argc > 6 ? strtoll(argv[6], NULL, 10) : 0);
    }
    if (argc == 3 && strcmp(argv[1], "check") == 0) {
        return check(argv[2]);
    }
    if (argc == 3 && strcmp(argv[1], "recover") == 0) {
        static const struct bh_store_sums none;
        return open_writer(argv[2], &w, &err) != 0 || bh_store_writer_close(w, &none, &err) != 0
                   ? fail(&err)
                   : 0;
    }
    fputs(
        "live_log write DIR RECORDS_PER_SECOND SECONDS [FIRST [BACK]] | check DIR | recover DIR\n",
        stderr);
    return 2;
}
