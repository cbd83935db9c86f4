/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * feed MODULE [--OPTION=VALUE]... [NAME=VALUE]... FILE...
 *
 * Captures into one instance of an output module, by decoder, tracker and host as a sensor has them, but in
 * one process. NAME=VALUE are the module's settings. What the module says goes to stderr; at the end stdout
 * has a line of JSON: the host's counters, the module's own, and CPU time a row in the host.
 *
 *   --home=NETWORKS     else RFC 1918 is home
 *   --filter=WORDS      of the instance
 *   --source=NAMES      names of interfaces
 *   --from=N            batches below are not offered (a restart goes on there)
 *   --kill-after=N      SIGKILL after batch N was offered
 *   --flush-every=N     batches; else every 16
 *   --linger=SECONDS    time that passes after the last packet before the end
 *   --times=N           the files again and again, later each time, without restarting
 */
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "../../lib/output/host_priv.h"
#include "bh_modules.h"
#include "bh_packet.h"
#include "bh_track.h"

#define SETTINGS_MAX 32U

struct feed {
    const char *home, *filter, *source;
    uint64_t from, kill_after, flush_every, linger, times;
    bool has_kill;
    struct bh_host_setting setting[SETTINGS_MAX];
    size_t settings;

    struct bh_host *host;
    struct bh_track *track;
    struct bh_batch *batch;
    struct bh_output_frame frame[BH_BATCH_ROWS];
    uint64_t number, rows, access, cpu_ns, failed;
    int64_t newest_ns, shift_ns;
};

static uint64_t
cpu_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void
say(void *arg, const char *instance, enum bh_say level, const struct bh_error *err)
{
    char line[1024];
    (void)arg;
    (void)level;
    fprintf(stderr, "%s: %s\n", instance,
            bh_error_line(err, bh_lang_from_env(), line, sizeof line));
}

static int
fail(const struct bh_error *err)
{
    say(NULL, "feed", BH_SAY_ERROR, err);
    return 1;
}

static void
offer(struct feed *d, const struct bh_frames *frames, uint32_t first)
{
    struct bh_batch *b = d->batch;
    const struct bh_move *moves;
    for (uint32_t i = 0; i < b->rows; i++) {
        const struct bh_frame *f = &frames->frame[first + i];
        d->frame[i] = (struct bh_output_frame){ f->data, f->cap_len, f->wire_len, f->link_type,
                                                f->interface };
        b->ts_ns[i] += d->shift_ns;
        d->newest_ns = b->ts_ns[i] > d->newest_ns ? b->ts_ns[i] : d->newest_ns;
    }
    bh_track_classify(d->track, b);
    bh_track_flows(d->track, b, &moves);
    uint64_t accesses = 0;
    for (uint32_t i = 0; i < b->rows; i++) {
        accesses += b->cls[i] == BH_CLASS_ACCESS && b->proto[i] == BH_PROTO_TCP;
    }
    if (d->number >= d->from) {
        const uint64_t before = cpu_now();
        uint64_t number;
        int r = bh_host_offer_frames(d->host, b, d->frame, d->number, d->access);
        d->failed += r != 0;
        if ((d->number + 1) % d->flush_every == 0) {
            r = bh_host_flush(d->host, &number);
        }
        d->cpu_ns += cpu_now() - before;
    }
    d->rows += b->rows;
    d->access += accesses;
    if (d->has_kill && d->number == d->kill_after) {
        printf("{\"durable\":%llu}\n",
               (unsigned long long)atomic_load(&bh_host_counters(d->host)->durable_number));
        fflush(stdout);
        raise(SIGKILL);
    }
    d->number++;
}

static int
read_files(struct feed *d, const char *const *files, size_t count, struct bh_error *err)
{
    static const struct bh_decoder decoder = { .want = BH_WANT_COLD };
    struct bh_capture *c;
    int r = bh_capture_open(files, count, &c, err);
    if (r != 0) {
        return r;
    }
    struct bh_frames *f = bh_frames_new();
    while (f != NULL && bh_capture_read(c, f) == 1) {
        for (uint32_t at = 0; at < f->count;) {
            const uint32_t first = at;
            bh_batch_reset(d->batch);
            d->batch->want = BH_WANT_COLD;
            bh_packet_decode(&decoder, f, &at, d->batch);
            offer(d, f, first);
        }
    }
    bh_frames_free(f);
    bh_capture_close(c);
    return 0;
}

static void
report(const struct feed *d, const struct bh_host_counters *n)
{
    printf(
        "{\"rows\":%llu,\"batches\":%llu,\"failed\":%llu,\"written\":%llu,\"retried\":%llu,\"durable\":%llu",
        (unsigned long long)d->rows, (unsigned long long)d->number, (unsigned long long)d->failed,
        (unsigned long long)n->written_rows, (unsigned long long)n->retried,
        (unsigned long long)n->durable_number);
    for (unsigned k = 0; k < BH_OUTPUT_OWN && n->own_name[k][0] != '\0'; k++) {
        printf(",\"%s\":%llu", n->own_name[k], (unsigned long long)n->own[k]);
    }
    printf(",\"ns_a_row\":%.1f}\n", d->rows > 0 ? (double)d->cpu_ns / (double)d->rows : 0);
}

static bool
option(struct feed *d, const char *text)
{
    const struct {
        const char *name;
        const char **text;
        uint64_t *number;
    } options[] = { { "--home=", &d->home, NULL },
                    { "--filter=", &d->filter, NULL },
                    { "--source=", &d->source, NULL },
                    { "--from=", NULL, &d->from },
                    { "--kill-after=", NULL, &d->kill_after },
                    { "--flush-every=", NULL, &d->flush_every },
                    { "--linger=", NULL, &d->linger },
                    { "--times=", NULL, &d->times } };
    for (size_t k = 0; k < BH_COUNT(options); k++) {
        const size_t n = strlen(options[k].name);
        if (strncmp(text, options[k].name, n) == 0) {
            if (options[k].text != NULL) {
                *options[k].text = text + n;
            } else {
                *options[k].number = strtoull(text + n, NULL, 10);
                d->has_kill = d->has_kill || options[k].number == &d->kill_after;
            }
            return true;
        }
    }
    return false;
}

int
main(int argc, char **argv)
{
    static struct bh_board board;
    static struct feed d = { .home = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fd00::/8",
                             .source = "",
                             .flush_every = 16,
                             .times = 1 };
    struct bh_error err = { 0 };
    struct bh_home home = { 0 };
    struct bh_filter *filter = NULL;
    struct bh_host_counters counters = { 0 };
    int at = 2;
    for (; at < argc; at++) {
        char *equal = strchr(argv[at], '=');
        if (option(&d, argv[at])) {
            continue;
        }
        const char *slash = strchr(argv[at], '/');
        if (equal == NULL || (slash != NULL && slash < equal)) {
            break; /* a file */
        }
        if (d.settings == SETTINGS_MAX) {
            return 2;
        }
        *equal = '\0';
        d.setting[d.settings++] = (struct bh_host_setting){ argv[at], equal + 1 };
    }
    struct bh_host_config cfg = {
        .module = argc > 1 ? bh_module_find(argv[1]) : NULL,
        .instance = argc > 1 ? argv[1] : "",
        .settings = d.setting,
        .setting_count = d.settings,
        .board = &board,
        .say = say,
    };
    if (cfg.module == NULL || at >= argc) {
        fprintf(stderr, "usage: feed MODULE [--OPTION=VALUE]... [NAME=VALUE]... FILE...\n");
        return 2;
    }
    if (bh_home_parse(d.home, &home, &err) != 0 ||
        (d.filter != NULL && bh_filter_parse(&d.filter, 1, NULL, &filter, &err) != 0)) {
        return fail(&err);
    }
    const struct bh_track_config track = {
        .home = &home, .two_sided = true, .outcomes = true, .hold = true, .key = bh_random_key()
    };
    struct bh_buf words = { 0 };
    bh_filter_text(filter, &words);
    const struct bh_output_run run = { .size = sizeof run,
                                       .sensor = "feed",
                                       .start_ns = 1,
                                       .source = d.source,
                                       .home = d.home,
                                       .outcomes = true,
                                       .filter = words.data != NULL ? words.data : "" };
    d.batch = bh_batch_new();
    if (d.batch == NULL || bh_track_new(&track, &d.track) != 0 ||
        bh_host_new(&cfg, &d.host, &err) != 0 || bh_host_run(d.host, &run, filter) != 0) {
        return fail(&err);
    }
    bh_host_count_in(d.host, &counters);
    for (uint64_t k = 0; k < d.times; k++) {
        if (read_files(&d, (const char *const *)argv + at, (size_t)(argc - at), &err) != 0) {
            return fail(&err);
        }
        d.shift_ns += 3600000000000LL; /* flows of before are over then */
    }
    bh_ignore(bh_host_tick(d.host, d.newest_ns)); /* none of them fails for good */
    for (uint64_t s = 0; s < d.linger; s++) {
        bh_ignore(bh_host_tick(d.host, d.newest_ns + (int64_t)(s + 1) * 1000000000));
    }
    uint64_t number;
    bh_ignore(bh_host_flush(d.host, &number)); /* counted */
    bh_host_free(d.host); /* closes the module, which counts what it still has */
    report(&d, &counters);
    bh_track_free(d.track);
    bh_filter_free(filter);
    bh_home_done(&home);
    bh_buf_done(&words);
    bh_batch_free(d.batch);
    return 0;
}
