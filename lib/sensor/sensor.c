/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parent: opens everything, starts the processes, and looks after them. It reads no packet and no batch;
 * what reaches it from its children are lines to say, exit codes and counters.
 *
 * The order at the start is that of trust: sockets, databases and directories are opened as whoever started
 * us; then root is given up; then children are started, who confine themselves. What fails up to here ends
 * the program; what fails later is said and started again.
 */
#include "sensor_priv.h"
#include "serve.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000LL

volatile sig_atomic_t sensor_stop, sensor_reload;

static void
on_signal(int number)
{
    if (number == SIGHUP) {
        sensor_reload = 1;
    } else {
        sensor_stop = 1;
    }
}

void
sensor_catch(void)
{
    struct sigaction a = { .sa_handler = on_signal }; /* no SA_RESTART: a wait ends */
    sigemptyset(&a.sa_mask);
    sigaction(SIGTERM, &a, NULL);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGHUP, &a, NULL);
}

static int64_t
clock_of(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * SECOND_NS + t.tv_nsec;
}

int64_t
sensor_clock_ns(void)
{
    return clock_of(CLOCK_MONOTONIC);
}

int64_t
sensor_time_ns(void)
{
    return clock_of(CLOCK_REALTIME);
}

/* ---- what children say ---------------------------------------------------------------------------------- */

struct said {
    uint32_t level;
    char who[64];
    struct bh_error err;
};

void
sensor_say(const struct sensor *s, const char *who, enum bh_say level, const struct bh_error *err)
{
    if (getpid() == s->parent_pid) {
        s->config->say(s->config->say_arg, who, level, err);
        return;
    }
    struct said said = { .level = level, .err = *err };
    snprintf(said.who, sizeof said.who, "%s", who);
    bh_ignore((int)send(s->say_fd[1], &said, sizeof said,
                        MSG_DONTWAIT | MSG_NOSIGNAL)); /* full: enough was said */
}

void
sensor_pass_on(struct sensor *s)
{
    struct said said;
    while (recv(s->say_fd[0], &said, sizeof said, MSG_DONTWAIT) == (ssize_t)sizeof said) {
        said.who[sizeof said.who - 1] = '\0';
        said.err.where[sizeof said.err.where - 1] = '\0';
        for (int lang = 0; lang < BH_LANGS; lang++) {
            said.err.text[lang][sizeof said.err.text[lang] - 1] = '\0';
        }
        uint8_t truth;
        memcpy(&truth, &said.err.has_offset, 1);
        said.err.has_offset = truth == 1;
        s->config->say(s->config->say_arg, said.who,
                       said.level <= BH_SAY_NOTE ? (enum bh_say)said.level : BH_SAY_NOTE,
                       &said.err);
    }
}

void
sensor_say_plain(const struct sensor *s, const char *who, enum bh_say level, const char *en,
                 const char *ja)
{
    struct bh_error e = { 0 };
    bh_error_set(&e, 0, "", "%s%.0s", "%.0s%s", en, ja);
    sensor_say(s, who, level, &e);
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

void *
sensor_shared_new(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static int
open_outputs(struct sensor *s, struct bh_error *err)
{
    for (size_t k = 0; k < s->config->output_count; k++) {
        struct output *o = &s->output[s->output_count++];
        int r = output_prepare(s, &s->config->outputs[k], o, err);
        r = r != 0 ? r : output_share(o, false, err);
        if (r != 0) {
            return r;
        }
        o->state = OUTPUT_RUNS;
        o->generation = ++s->generations;
    }
    return 0;
}

static int
open_all(struct sensor *s, struct bh_error *err)
{
    bool whole_frames = false;
    for (size_t k = 0; k < s->config->output_count; k++) {
        whole_frames |= (s->config->outputs[k].module->needs & BH_OUTPUT_NEEDS_FRAMES) != 0;
    }
    const struct bh_live_config live = {
        .interfaces = s->config->interfaces,
        .count = s->config->interface_count,
        .threads = s->config->threads,
        .ring_bytes = s->config->ring_bytes,
        .promiscuous = s->config->promiscuous,
        .whole_frames = whole_frames,
        .with_pcap = s->config->with_pcap,
    };
    s->whole_frames = whole_frames;
    s->plan = sensor_shared_new(sizeof *s->plan);
    s->capture = sensor_shared_new(sizeof *s->capture);
    s->board = sensor_shared_new(sizeof *s->board);
    s->sockets = sensor_shared_new(BH_SENSOR_OUTPUTS * OWN_PAGE);
    if (s->sockets == NULL || s->plan == NULL || s->capture == NULL || s->board == NULL ||
        socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, s->say_fd) != 0) {
        return bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
    }
    int r = bh_live_open(&live, &s->live, err);
    if (r != 0) {
        return r;
    }
    r = sensor_countries_open(s->config->country_db, &s->countries[0]);
    if (r != 0 && s->config->country_db != NULL) {
        return bh_error_set(err, r, s->config->country_db, "%s%.0s", "%.0s%s",
                            kobold_strerror(r, BH_EN), kobold_strerror(r, BH_JA));
    }
    if (r != 0) {
        sensor_say_plain(s, "beholder", BH_SAY_WARNING,
                         "there is no country database: records will have no country",
                         "国データベースがありません。記録に国は付きません");
    }
    if (s->config->with_pcap) {
        sensor_say_plain(
            s, "beholder", BH_SAY_NOTE,
            "by way of libpcap payload leaves the kernel; it is cleared before anything else sees it",
            "libpcap 経由ではペイロードもカーネルから出ます。ほかの処理が見る前に消去します");
    }
    s->netlink_fd = home_listen();
    return confine_find_user(s, err);
}

static void
close_all(struct sensor *s)
{
    for (size_t k = 0; k < s->output_count; k++) {
        output_close(&s->output[k]);
    }
    bh_live_close(s->live);
    for (size_t k = 0; k < RUNS; k++) {
        sensor_countries_close(&s->countries[k]);
    }
    for (size_t k = 0; k < 2; k++) {
        if (s->say_fd[k] >= 0) {
            close(s->say_fd[k]);
        }
        if (s->change_fd[k] >= 0) {
            close(s->change_fd[k]);
        }
    }
    if (s->netlink_fd >= 0) {
        close(s->netlink_fd);
    }
    serve_close(s->serve);
    free(s->fixed);
    if (s->notify_fd >= 0) {
        close(s->notify_fd);
    }
    free(s);
}

/* ---- the loop -------------------------------------------------------------------------------------------------------- */

static uint64_t
get(const _Atomic uint64_t *p)
{
    return atomic_load_explicit(p, memory_order_relaxed);
}

static void
count(const struct sensor *s, struct bh_sensor_counters *ret)
{
    const struct capture *c = s->capture;
    *ret = (struct bh_sensor_counters){
        .frames = get(&c->frames),
        .kernel_lost = get(&c->kernel_lost),
        .records = get(&c->rows),
        .accesses = get(&c->accesses),
        .undecoded = get(&c->undecoded),
        .own = get(&c->own),
        .gone_lost = s->gone_lost,
        .duplicates = get(&c->duplicates),
        .kernel_filter = s->kernel_filter,
    };
    for (size_t k = 0; k < s->output_count; k++) {
        const struct output *o = &s->output[k];
        if (o->state == OUTPUT_NONE) {
            continue;
        }
        const struct bh_host_counters *h = &o->outlet->counters;
        const size_t n = ret->outputs++;
        snprintf(ret->output[n].name, sizeof ret->output[n].name, "%s", o->name);
        ret->output[n].runs = o->pid > 0 && !o->stands_in;
        ret->output[n].queued = get(&c->sent[k].rows);
        ret->output[n].lost =
            get(&c->sent[k].lost_rows) + o->outlet->dead_rows + get(&h->spool_lost_rows);
        /* what is not the module's now never will be */
        if (s->stopped && o->outlet->run == c->run) {
            const uint64_t sent = c->sent[k].row, durable = get(&o->outlet->rows_durable);
            ret->output[n].lost += sent > durable ? sent - durable : 0;
        }
        ret->output[n].spooled = get(&h->spooled_rows);
        ret->output[n].waiting = get(&h->spool_rows);
        ret->output[n].spool_octets = get(&h->spool_octets);
        ret->output[n].written = get(&h->written_rows);
        ret->output[n].retried = get(&h->retried);
        ret->output[n].failed = get(&h->failed_rows);
        ret->output[n].held = get(&h->held_rows);
        ret->output[n].early = get(&h->early_rows);
        ret->output[n].restarts = o->all_restarts;
        ret->output[n].queue_used = bh_queue_memory_used(o->queue, o->queue_size);
        ret->output[n].queue_size = o->queue_size;
    }
}

static void
look_after(struct sensor *s)
{
    int64_t second_ns = 0, interfaces_ns = 0;
    while (sensor_stop == 0) {
        struct pollfd p[2 + SERVE_POLL_MAX] = { { .fd = s->say_fd[0], .events = POLLIN },
                                                { .fd = s->netlink_fd, .events = POLLIN } };
        const nfds_t clients = serve_poll(s->serve, sensor_clock_ns(), p + 2);
        bh_ignore(poll(p, 2 + clients, 200));
        const int64_t now_ns = sensor_clock_ns();
        serve_turn(s, now_ns);
        serve_metrics_file(s, now_ns);
        notify_turn(s, now_ns);
        sensor_pass_on(s);
        children_reap(s, false);
        children_watch(s, now_ns);
        children_start_again(s);
        for (size_t k = 0; k < s->output_count; k++) {
            if (s->output[k].child != NULL) {
                bh_child_tick(s->output[k].child, now_ns);
            }
        }
        if (s->netlink_fd >= 0 && home_changed(s->netlink_fd)) {
            interfaces_ns = now_ns + SECOND_NS / 5; /* changes come in swarms */
        }
        if (interfaces_ns != 0 && now_ns >= interfaces_ns) {
            interfaces_ns = 0;
            runs_look_at_interfaces(s, true);
        }
        reload_turn(s, now_ns);
        if (now_ns - second_ns >= SECOND_NS && s->config->progress != NULL) {
            struct bh_sensor_counters c;
            second_ns = now_ns;
            count(s, &c);
            s->config->progress(s->config->progress_arg, &c);
        }
    }
}

int
bh_sensor_run(const struct bh_sensor_config **cfg, struct bh_sensor_counters *ret_counters,
              struct bh_error *err)
{
    struct sensor *s = calloc(1, sizeof *s);
    if (s == NULL || (*cfg)->output_count > BH_SENSOR_OUTPUTS) {
        free(s);
        return bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
    }
    s->own = **cfg;
    s->in_force = *cfg;
    s->fixed = s->own.fixed != NULL ? strdup(s->own.fixed) : NULL;
    s->config = &s->own;
    s->parent_pid = getpid();
    s->say_fd[0] = s->say_fd[1] = s->netlink_fd = s->change_fd[0] = s->change_fd[1] = -1;
    s->started_ns = sensor_clock_ns();
    notify_open(s);
    sensor_catch();
    int r = open_all(s, err);
    r = r != 0 ? r : open_outputs(s, err);
    r = r != 0 ? r : runs_first(s, err);
    if (r == 0) {
        serve_make_folder(s);
        r = confine_drop(s, err);
    }
    for (size_t k = 0; r == 0 && k < s->output_count; k++) {
        r = confine_check_files(s, s->output[k].config, err);
    }
    r = r != 0 ? r : serve_open(s, err);
    if (r == 0) {
        prefilter_choose(s);
        runs_look_at_interfaces(s, false);
        r = children_start(s, err);
        if (r == 0) {
            if (s->own.started != NULL) {
                s->own.started(s->own.progress_arg, s->user,
                               strcmp(s->home, NO_HOME) != 0 ? s->home : "");
            }
            notify_ready(s);
            look_after(s);
            notify_stopping(s);
        }
        children_stop(s);
        s->stopped = true;
        count(s, ret_counters);
    }
    *cfg = s->in_force;
    close_all(s);
    return r;
}
