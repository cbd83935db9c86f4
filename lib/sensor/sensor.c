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

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_BYTES (16U << 20)
#define SECOND_NS 1000000000LL
#define END_NS (900 * 1000000LL)
#define BACK_OFF_MAX_NS (60 * SECOND_NS)
#define HEALTHY_NS (60 * SECOND_NS) /* who ran that long is started again at once */

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

static void
pass_on(struct sensor *s)
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

static void
say(struct sensor *s, const char *who, enum bh_say level, const char *en, const char *ja)
{
    struct bh_error e = { 0 };
    bh_error_set(&e, 0, "", "%s%.0s", "%.0s%s", en, ja);
    sensor_say(s, who, level, &e);
}

/* ---- memory ---------------------------------------------------------------------------------------------------- */

static void *
shared_new(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void
hear_child(void *arg, const char *instance, enum bh_say level, const struct bh_error *err)
{
    sensor_say(arg, instance, level, err);
}

/* Where its records wait on disk: a directory of its own. */
static int
open_spool(struct sensor *s, struct output *o, struct bh_error *err)
{
    const struct bh_sensor_output *c = o->config;
    if (c->spool == NULL) {
        return 0;
    }
    if (snprintf(o->spool, sizeof o->spool, "%s/%s", c->spool, c->name) >= (int)sizeof o->spool) {
        return bh_error_errno(err, ENAMETOOLONG, c->spool, "cannot make", "作れません");
    }
    return confine_hand_over_own(s, o->spool, err);
}

/* The program of an output that writes to one. It is started later, by the parent when it has given up root. */
static int
open_child(struct sensor *s, struct output *o, struct bh_error *err)
{
    const struct bh_sensor_output *c = o->config;
    const char *command = NULL;
    for (uint32_t k = 0; k < c->module->setting_count; k++) {
        for (size_t g = 0; c->module->settings[k].type == BH_SETTING_COMMAND && g < c->setting_count; g++) {
            command = strcmp(c->settings[g].name, c->module->settings[k].name) == 0 ? c->settings[g].value : command;
        }
    }
    if ((c->module->needs & BH_OUTPUT_NEEDS_CHILD) == 0 || command == NULL) {
        return 0;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, o->child_fd) != 0) {
        return bh_error_errno(err, errno, c->name, "cannot start", "開始できません");
    }
    const struct bh_child_config child = { .command = command,
                                           .instance = c->name,
                                           .sensor = s->config->sensor,
                                           .hand_to = o->child_fd[0],
                                           .say = hear_child,
                                           .say_arg = s };
    return bh_child_new(&child, &o->child, err);
}

static int
open_outputs(struct sensor *s, struct bh_error *err)
{
    for (size_t k = 0; k < s->config->output_count; k++) {
        const struct bh_sensor_output *c = &s->config->outputs[k];
        struct output *o = &s->output[s->output_count++];
        const struct bh_host_config host = { .module = c->module,
                                             .instance = c->name,
                                             .settings = c->settings,
                                             .setting_count = c->setting_count };
        o->config = c;
        o->wake_fd = o->child_fd[0] = o->child_fd[1] = -1;
        int r = bh_host_check(&host, err);
        r = r != 0 ? r
                   : bh_filter_parse(c->filter_words, c->filter_count, s->countries[0], &o->filter,
                                     err);
        if (r == 0 && c->module->when == BH_OUTPUT_AT_ONCE && o->filter != NULL &&
            (bh_filter_needs(o->filter) & BH_FILTER_NEEDS_OUTCOME) != 0) {
            r = bh_error_set(
                err, BH_EUSAGE, "outcome",
                "is not known yet when a record is written; keep all and ask for it in the report",
                "は記録を書く時点ではまだ分かりません。すべて残し、レポートで絞り込んでください");
        }
        r = r != 0 ? r : confine_hand_over(s, c, err);
        r = r != 0 ? r : open_spool(s, o, err);
        r = r != 0 ? r : open_child(s, o, err);
        if (r != 0) {
            return r;
        }
        o->queue =
            bh_queue_memory_new(c->queue_bytes != 0 ? c->queue_bytes : QUEUE_BYTES, &o->queue_size);
        o->outlet = shared_new(sizeof *o->outlet);
        o->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (o->queue == NULL || o->outlet == NULL || o->wake_fd < 0) {
            return bh_error_errno(err, ENOMEM, c->name, "cannot start", "開始できません");
        }
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
        .ring_bytes = s->config->ring_bytes,
        .promiscuous = s->config->promiscuous,
        .whole_frames = whole_frames,
    };
    s->plan = shared_new(sizeof *s->plan);
    s->capture = shared_new(sizeof *s->capture);
    s->board = shared_new(sizeof *s->board);
    if (s->plan == NULL || s->capture == NULL || s->board == NULL ||
        socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, s->say_fd) != 0) {
        return bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
    }
    int r = bh_live_open(&live, &s->live, err);
    if (r != 0) {
        return r;
    }
    r = kobold_open(s->config->country_db, &s->countries[0]);
    if (r != 0 && s->config->country_db != NULL) {
        return bh_error_set(err, r, s->config->country_db, "%s%.0s", "%.0s%s",
                            kobold_strerror(r, BH_EN), kobold_strerror(r, BH_JA));
    }
    if (r != 0) {
        say(s, "beholder", BH_SAY_WARNING,
            "there is no country database: records will have no country",
            "国データベースがありません。記録に国は付きません");
    }
    s->netlink_fd = home_listen();
    return confine_find_user(s, err);
}

static void
close_all(struct sensor *s)
{
    for (size_t k = 0; k < s->output_count; k++) {
        struct output *o = &s->output[k];
        bh_child_free(o->child);
        for (size_t end = 0; end < 2; end++) {
            if (o->child_fd[end] >= 0) {
                close(o->child_fd[end]);
            }
        }
        bh_queue_memory_free(o->queue, o->queue_size);
        bh_filter_free(o->filter);
        if (o->wake_fd >= 0) {
            close(o->wake_fd);
        }
        if (o->outlet != NULL) {
            munmap(o->outlet, sizeof *o->outlet);
        }
    }
    bh_live_close(s->live);
    for (size_t k = 0; k < RUNS; k++) {
        kobold_close(s->countries[k]);
    }
    for (size_t k = 0; k < 2; k++) {
        if (s->say_fd[k] >= 0) {
            close(s->say_fd[k]);
        }
    }
    if (s->netlink_fd >= 0) {
        close(s->netlink_fd);
    }
    free(s);
}

/* ---- runs -------------------------------------------------------------------------------------------------------- */

static void
join_names(const struct sensor *s, char *to, size_t size)
{
    size_t n = 0;
    to[0] = '\0';
    for (size_t k = 0; k < bh_live_count(s->live) && n < size; k++) {
        n += (size_t)snprintf(to + n, size - n, "%s%s", k > 0 ? "," : "", bh_live_name(s->live, k));
    }
}

/* What records mean from now on. Capture sees the number change. */
static int
plan_run(struct sensor *s, const char *home, bool guessed, uint32_t countries, struct bh_error *err)
{
    const uint32_t number = atomic_load(&s->plan->run) + (s->home[0] != '\0');
    struct plan_run *p = &s->plan->runs[number % RUNS];
    struct bh_home h = { 0 };
    int r = bh_home_parse(home, &h, err);
    if (r == 0 && h.networks.len >= sizeof p->home) {
        r = bh_error_set(err, BH_ELIMIT, "--home",
                         "names too many networks for a log (%u octets of text)",
                         "のネットワークが多すぎてログに書けません (%u オクテットまで)",
                         (unsigned)sizeof p->home - 1);
    }
    if (r != 0) {
        bh_home_done(&h);
        return r;
    }
    *p = (struct plan_run){ .start_ns = sensor_time_ns(),
                            .home_guessed = guessed,
                            .countries = countries };
    snprintf(p->sensor, sizeof p->sensor, "%s", s->config->sensor != NULL ? s->config->sensor : "");
    snprintf(p->home, sizeof p->home, "%s", h.networks.data);
    join_names(s, p->source, sizeof p->source);
    for (int lang = 0; lang < BH_LANGS; lang++) {
        snprintf(p->home_text[lang], sizeof p->home_text[lang], "%s",
                 h.text[lang].data != NULL ? h.text[lang].data : "");
        bh_text_trim(p->home_text[lang]);
    }
    bh_home_done(&h);
    snprintf(s->home, sizeof s->home, "%s", home);
    atomic_store_explicit(&s->plan->run, number, memory_order_release);
    return 0;
}

#define NO_HOME "127.0.0.1,::1" /* until an interface has an address */

static int
first_run(struct sensor *s, struct bh_error *err)
{
    char home[1024];
    bool any_there = false;
    if (s->config->home != NULL) {
        return plan_run(s, s->config->home, false, 0, err);
    }
    home_of_interfaces(s, home, sizeof home);
    for (size_t k = 0; k < bh_live_count(s->live); k++) {
        any_there |= bh_live_is_up(s->live, k);
    }
    if (home[0] == '\0' && any_there) {
        return bh_error_set(
            err, BH_EUSAGE, bh_live_name(s->live, 0),
            "has no address: say what is watched with --home ADDR[/LEN],...",
            "にアドレスがありません。監視対象を --home アドレス[/長さ],... で指定してください");
    }
    return plan_run(s, home[0] != '\0' ? home : NO_HOME, false, 0, err);
}

static void
look_at_interfaces(struct sensor *s, bool changed)
{
    if (changed) {
        bh_live_rebind(s->live);
    }
    for (size_t k = 0; k < bh_live_count(s->live); k++) {
        const uint32_t up = bh_live_is_up(s->live, k);
        if (atomic_exchange(&s->plan->up[k], up) != up && changed) {
            say(s, bh_live_name(s->live, k), BH_SAY_WARNING,
                up ? "is up" : "is down; waiting for it",
                up ? "が使えるようになりました" : "が停止しています。再開を待ちます");
        }
    }
    char home[1024];
    struct bh_error err = { 0 };
    if (!changed || s->config->home != NULL) {
        return;
    }
    home_of_interfaces(s, home, sizeof home);
    if (home[0] != '\0' && strcmp(home, s->home) != 0) {
        const uint32_t countries = s->plan->runs[atomic_load(&s->plan->run) % RUNS].countries;
        if (plan_run(s, home, false, countries, &err) != 0) {
            sensor_say(s, "beholder", BH_SAY_ERROR, &err);
        } else {
            bh_error_set(&err, 0, "", "home is now %s", "自分側が変わりました: %s", home);
            sensor_say(s, "beholder", BH_SAY_NOTE, &err);
        }
    }
}

/* ---- children ------------------------------------------------------------------------------------------------------ */

/* What is not its own goes out of a child's reach. */
static void
leave_only(struct sensor *s, size_t mine, bool is_capture)
{
    mprotect(s->plan, sizeof *s->plan, PROT_READ);
    close(s->say_fd[0]);
    if (s->netlink_fd >= 0) {
        close(s->netlink_fd);
    }
    for (size_t k = 0; k < s->output_count; k++) {
        struct output *o = &s->output[k];
        if (o->child != NULL) {
            close(o->child_fd[0]);
            if (is_capture || k != mine) {
                close(o->child_fd[1]);
            }
        }
        if (is_capture) {
            munmap(o->outlet, sizeof *o->outlet);
        } else if (k != mine) {
            munmap(o->outlet, sizeof *o->outlet);
            munmap(o->queue, o->queue_size);
            close(o->wake_fd);
        }
    }
    if (!is_capture) {
        munmap(s->capture, sizeof *s->capture);
        mprotect(s->board, sizeof *s->board, PROT_READ);
        bh_live_close(s->live);
    }
}

static void
become_child(struct sensor *s)
{
    prctl(PR_SET_PDEATHSIG,
          SIGTERM); /* whoever starts us again starts with no old children about */
    if (getppid() != s->parent_pid) {
        _exit(1);
    }
    prctl(PR_SET_DUMPABLE, 0);
    sensor_reload = 0;
    signal(SIGHUP, SIG_IGN); /* that is the parent's */
}

static int
start_capture(struct sensor *s)
{
    const pid_t pid = fork();
    if (pid == 0) {
        become_child(s);
        leave_only(s, 0, true);
        capture_run(s);
    }
    s->capture_pid = pid;
    return pid < 0 ? -errno : 0;
}

static int
start_output(struct sensor *s, size_t k)
{
    const pid_t pid = fork();
    if (pid == 0) {
        become_child(s);
        leave_only(s, k, false);
        outlet_run(s, k);
    }
    s->output[k].pid = pid;
    s->output[k].started_ns = sensor_clock_ns();
    return pid < 0 ? -errno : 0;
}

static void
say_ended(struct sensor *s, const char *who, int status)
{
    struct bh_error e = { 0 };
    if (WIFSIGNALED(status)) {
        bh_error_set(&e, 0, "", "was killed by signal %d; it is started again",
                     "シグナル %d で終了しました。再起動します", WTERMSIG(status));
    } else {
        bh_error_set(&e, 0, "", "ended with code %d; it is started again",
                     "終了コード %d で終了しました。再起動します", WEXITSTATUS(status));
    }
    sensor_say(s, who, BH_SAY_ERROR, &e);
}

static void
reap(struct sensor *s, bool stopping)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        const int64_t now_ns = sensor_clock_ns();
        if (pid == s->capture_pid) {
            s->capture_pid = 0;
            s->capture_restarts++;
            s->capture_restart_ns = now_ns + (s->capture_restarts > 3 ? SECOND_NS : 0);
            if (!stopping) {
                say_ended(s, "capture", status);
            }
        }
        for (size_t k = 0; k < s->output_count; k++) {
            struct output *o = &s->output[k];
            if (bh_child_ended(o->child, pid, status, now_ns) || pid != o->pid) {
                continue;
            }
            o->pid = 0;
            if (stopping) {
                continue;
            }
            say_ended(s, o->config->name, status);
            int64_t wait_ns = now_ns - o->started_ns > HEALTHY_NS
                                  ? 0
                                  : SECOND_NS << (o->restarts < 6 ? o->restarts : 6);
            wait_ns = wait_ns > BACK_OFF_MAX_NS ? BACK_OFF_MAX_NS : wait_ns;
            o->restarts = wait_ns == 0 ? 1 : o->restarts + 1;
            o->restart_ns = now_ns + wait_ns;
        }
    }
}

static void
start_again(struct sensor *s)
{
    const int64_t now_ns = sensor_clock_ns();
    if (s->capture_pid == 0 && now_ns >= s->capture_restart_ns) {
        bh_ignore(start_capture(s)); /* no process to be had: the next turn */
    }
    for (size_t k = 0; k < s->output_count; k++) {
        if (s->output[k].pid == 0 && now_ns >= s->output[k].restart_ns) {
            bh_ignore(start_output(s, k));
        }
    }
}

/* Capture first, so that the outputs get all of it; then whoever is still there is ended. */
static void
stop_all(struct sensor *s)
{
    const int64_t until = sensor_clock_ns() + END_NS;
    bool any = true;
    for (size_t k = 0; k < s->output_count; k++) {
        bh_child_stop(s->output[k].child);
    }
    if (s->capture_pid > 0) {
        kill(s->capture_pid, SIGTERM);
    }
    while (any && sensor_clock_ns() < until) {
        const bool had_capture = s->capture_pid > 0;
        reap(s, true);
        pass_on(s);
        if (had_capture && s->capture_pid == 0) {
            for (size_t k = 0; k < s->output_count; k++) {
                if (s->output[k].pid > 0) {
                    kill(s->output[k].pid, SIGTERM);
                }
            }
        }
        any = s->capture_pid > 0;
        for (size_t k = 0; k < s->output_count; k++) {
            any |= s->output[k].pid > 0;
        }
        bh_ignore(any ? poll(NULL, 0, 5) : 0);
    }
    for (size_t k = 0; k <= s->output_count; k++) {
        const pid_t pid = k == s->output_count ? s->capture_pid : s->output[k].pid;
        if (pid > 0) {
            say(s, k == s->output_count ? "capture" : s->output[k].config->name, BH_SAY_ERROR,
                "did not end in time and was killed", "時間内に終了しなかったため強制終了しました");
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
        }
    }
    pass_on(s);
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
        .outputs = s->output_count,
    };
    for (size_t k = 0; k < s->output_count; k++) {
        const struct output *o = &s->output[k];
        const struct bh_host_counters *h = &o->outlet->counters;
        ret->output[k].name = o->config->name;
        ret->output[k].runs = o->pid > 0;
        ret->output[k].queued = get(&c->sent[k].rows);
        ret->output[k].lost = get(&c->sent[k].lost_rows) + o->outlet->dead_rows + get(&h->spool_lost_rows);
        if (s->stopped && o->outlet->run == c->run) { /* what is in the queue now stays there */
            const uint64_t sent = c->sent[k].row, taken = get(&o->outlet->rows_taken);
            ret->output[k].lost += sent > taken ? sent - taken : 0;
        }
        ret->output[k].spooled = get(&h->spooled_rows);
        ret->output[k].waiting = get(&h->spool_rows);
        ret->output[k].spool_octets = get(&h->spool_octets);
        ret->output[k].written = get(&h->written_rows);
        ret->output[k].retried = get(&h->retried);
        ret->output[k].failed = get(&h->failed_rows);
        ret->output[k].held = get(&h->held_rows);
        ret->output[k].early = get(&h->early_rows);
        ret->output[k].restarts = o->restarts;
        ret->output[k].queue_size = o->queue_size;
    }
}

/* SIGHUP: the country database as it is now. */
static void
reload(struct sensor *s)
{
    const uint32_t run = atomic_load(&s->plan->run), now = s->plan->runs[run % RUNS].countries;
    struct kobold_meta old = { 0 }, new = { 0 };
    struct bh_error err = { 0 };
    kobold *k;
    sensor_reload = 0;
    int r = kobold_open(s->config->country_db, &k);
    if (r != 0) {
        bh_error_set(&err, r, s->config->country_db != NULL ? s->config->country_db : "country.kdb",
                     "%s%.0s; the one in use stays", "%.0s%s。今のものを使い続けます",
                     kobold_strerror(r, BH_EN), kobold_strerror(r, BH_JA));
        sensor_say(s, "beholder", BH_SAY_ERROR, &err);
        return;
    }
    kobold_get_meta(k, &new);
    if (s->countries[now % RUNS] != NULL) {
        kobold_get_meta(s->countries[now % RUNS], &old);
    }
    if (old.id == new.id && s->countries[now % RUNS] != NULL) {
        kobold_close(k);
        say(s, "beholder", BH_SAY_NOTE, "nothing has changed", "変更はありません");
        return;
    }
    const uint32_t next = now + 1;
    kobold_close(s->countries[next % RUNS]);
    s->countries[next % RUNS] = k;
    if (plan_run(s, s->home, false, next, &err) != 0) {
        sensor_say(s, "beholder", BH_SAY_ERROR, &err);
        return;
    }
    /* Outputs have the old one mapped: those that come after them have both. */
    for (size_t i = 0; i < s->output_count; i++) {
        if (s->output[i].pid > 0) {
            kill(s->output[i].pid, SIGTERM);
            s->output[i].started_ns = INT64_MIN / 2; /* no back-off */
        }
    }
    bh_error_set(&err, 0, "", "country data of %s", "国データの日付: %s", new.date);
    sensor_say(s, "beholder", BH_SAY_NOTE, &err);
}

static void
look_after(struct sensor *s)
{
    int64_t second_ns = 0, interfaces_ns = 0;
    while (sensor_stop == 0) {
        struct pollfd p[2] = { { .fd = s->say_fd[0], .events = POLLIN },
                               { .fd = s->netlink_fd, .events = POLLIN } };
        bh_ignore(poll(p, 2, 200));
        const int64_t now_ns = sensor_clock_ns();
        pass_on(s);
        reap(s, false);
        start_again(s);
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
            look_at_interfaces(s, true);
        }
        if (sensor_reload != 0) {
            reload(s);
        }
        if (now_ns - second_ns >= SECOND_NS && s->config->progress != NULL) {
            struct bh_sensor_counters c;
            second_ns = now_ns;
            count(s, &c);
            s->config->progress(s->config->progress_arg, &c);
        }
    }
}

static int
start_all(struct sensor *s, struct bh_error *err)
{
    int r = 0;
    for (size_t k = 0; r == 0 && k < s->output_count; k++) {
        r = start_output(s, k);
    }
    r = r != 0 ? r : start_capture(s);
    return r == 0
               ? 0
               : bh_error_errno(err, -r, "", "cannot start a process", "プロセスを開始できません");
}

int
bh_sensor_run(const struct bh_sensor_config *cfg, struct bh_sensor_counters *ret_counters,
              struct bh_error *err)
{
    struct sensor *s = calloc(1, sizeof *s);
    if (s == NULL || cfg->output_count > BH_SENSOR_OUTPUTS) {
        free(s);
        return bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
    }
    s->config = cfg;
    s->parent_pid = getpid();
    s->say_fd[0] = s->say_fd[1] = s->netlink_fd = -1;
    sensor_catch();
    int r = open_all(s, err);
    r = r != 0 ? r : open_outputs(s, err);
    r = r != 0 ? r : first_run(s, err);
    r = r != 0 ? r : confine_drop(s, err);
    if (r == 0) {
        look_at_interfaces(s, false);
        r = start_all(s, err);
        if (r == 0) {
            if (cfg->started != NULL) {
                cfg->started(cfg->progress_arg, s->user, s->home);
            }
            look_after(s);
        }
        stop_all(s);
        s->stopped = true;
        count(s, ret_counters);
    }
    close_all(s);
    return r;
}
