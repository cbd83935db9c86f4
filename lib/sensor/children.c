/* SPDX-License-Identifier: BSD-2-Clause */
/* The processes of the sensor as the parent sees them: started, ended, started again, stopped. */
#include "sensor_priv.h"
#include "serve.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND_NS 1000000000LL
#define END_NS (900 * 1000000LL)
#define BACK_OFF_MAX_NS (60 * SECOND_NS)
#define HEALTHY_NS (60 * SECOND_NS) /* who ran that long is started again at once */
#define ENDS_NS (10 * SECOND_NS)
/* No call of a module takes that long; none for which others wait, with half of a queue unread and a spool to put it. */
#define STUCK_NS (60 * SECOND_NS)
#define PRESSED_NS (2 * SECOND_NS)

/* What is not its own goes out of a child's reach. */
static void
leave_only(struct sensor *s, size_t mine, bool is_capture)
{
    mprotect(s->plan, sizeof *s->plan, PROT_READ);
    close(s->say_fd[0]);
    serve_forget(s->serve);
    if (s->notify_fd >= 0) {
        close(s->notify_fd);
    }
    if (s->netlink_fd >= 0) {
        close(s->netlink_fd);
    }
    close(s->change_fd[0]);
    if (!is_capture) {
        close(s->change_fd[1]);
    }
    own_leave_only(s, mine, is_capture);
    for (size_t k = 0; k < s->output_count; k++) {
        struct output *o = &s->output[k];
        if (o->state == OUTPUT_NONE) {
            continue;
        }
        if (o->queue_fd >= 0) {
            close(o->queue_fd);
        }
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

/* It knows the outputs as they are now; what was told to the one before is of no use to it. */
static int
start_capture(struct sensor *s)
{
    for (size_t k = 0; k < 2; k++) {
        if (s->change_fd[k] >= 0) {
            close(s->change_fd[k]);
            s->change_fd[k] = -1;
        }
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s->change_fd) != 0) {
        return -errno;
    }
    const pid_t pid = fork();
    if (pid == 0) {
        become_child(s);
        leave_only(s, 0, true);
        capture_run(s);
    }
    s->capture_pid = pid;
    s->capture_started_ns = sensor_clock_ns();
    atomic_store(&s->capture->turn_ns, (uint64_t)s->capture_started_ns);
    return pid < 0 ? -errno : 0;
}

static int
start_output(struct sensor *s, size_t k, bool stands_in)
{
    s->output[k].stands_in = stands_in;
    const pid_t pid = fork();
    if (pid == 0) {
        become_child(s);
        leave_only(s, k, false);
        outlet_run(s, k);
    }
    s->output[k].pid = pid;
    s->output[k].started_ns = s->output[k].since_ns = s->output[k].turned_ns = sensor_clock_ns();
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

/* When it is started again. Of a stand-in: as was said before; there is none until then. */
static void
wait_for_output(struct output *o, int64_t now_ns)
{
    if (o->stands_in) {
        o->no_stand_in = true;
        return;
    }
    const bool healthy = o->turned_ns - o->started_ns > HEALTHY_NS;
    o->restarts = healthy ? 0 : o->restarts;
    int64_t wait_ns =
        healthy && !o->was_stuck ? 0 : SECOND_NS << (o->restarts < 6 ? o->restarts : 6);
    wait_ns = wait_ns > BACK_OFF_MAX_NS ? BACK_OFF_MAX_NS : wait_ns;
    o->stuck = !o->was_stuck ? 0 : healthy ? 1 : o->stuck + 1;
    o->was_stuck = o->no_stand_in = false;
    o->all_restarts++;
    o->restarts++;
    o->restart_ns = now_ns + wait_ns;
}

void
children_reap(struct sensor *s, bool stopping)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        const int64_t now_ns = sensor_clock_ns();
        if (pid == s->capture_pid) {
            s->capture_pid = 0;
            const bool has_ended = !WIFEXITED(status) || WEXITSTATUS(status) != CAPTURE_NEW_RINGS;
            s->capture_restarts += has_ended;
            s->capture_restart_ns = now_ns + (has_ended && s->capture_restarts > 3 ? SECOND_NS : 0);
            if (!stopping && has_ended) {
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
            if (o->state != OUTPUT_RUNS) { /* it was to end */
                if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
                    sensor_say_plain(s, o->name, BH_SAY_ERROR, "ended badly", "が異常終了しました");
                }
                continue;
            }
            if (o->restarts_now) { /* it was told to */
                o->restarts_now = false;
                o->restart_ns = 0;
                continue;
            }
            say_ended(s, o->name, status);
            wait_for_output(o, now_ns);
        }
    }
}

void
children_start_again(struct sensor *s)
{
    const int64_t now_ns = sensor_clock_ns();
    if (s->capture_pid == 0 && now_ns >= s->capture_restart_ns) {
        bh_ignore(start_capture(s)); /* no process to be had: the next turn */
    }
    for (size_t k = 0; k < s->output_count; k++) {
        struct output *o = &s->output[k];
        const bool is_time = now_ns >= o->restart_ns;
        if (o->state == OUTPUT_RUNS && o->pid == 0 && o->from < 0 &&
            (is_time || (o->spool[0] != '\0' && !o->no_stand_in))) {
            bh_ignore(start_output(s, k, !is_time));
        } else if (o->state == OUTPUT_RUNS && o->pid > 0 && o->stands_in && is_time &&
                   !o->restarts_now) {
            children_end_output(o);
        }
    }
}

void
children_end_output(struct output *o)
{
    kill(o->pid, SIGTERM);
    o->restarts_now = true;
    o->kill_ns = sensor_clock_ns() + ENDS_NS;
}

/* How long its process may stand still. Who was killed too early, with a call that would have come back, has twice the
 * time with each turn: so no call is that slow that it is never let through. */
static int64_t
patience(const struct output *o)
{
    const bool pressed =
        o->spool[0] != '\0' && bh_queue_memory_used(o->queue, o->queue_size) > o->queue_size / 2;
    const int64_t ns = pressed ? PRESSED_NS << (o->stuck < 6 ? o->stuck : 6) : STUCK_NS;
    return ns < STUCK_NS ? ns : STUCK_NS;
}

void
children_watch(struct sensor *s, int64_t now_ns)
{
    const bool was_away =
        now_ns - s->watched_ns > SECOND_NS; /* this process itself: then nobody ran, maybe */
    s->watched_ns = now_ns;
    for (size_t k = 0; k < s->output_count; k++) {
        struct output *o = &s->output[k];
        if (o->state != OUTPUT_RUNS || o->pid <= 0 || o->restarts_now) {
            continue; /* who is told to end has its time already */
        }
        const uint64_t turns =
            atomic_load_explicit(&o->outlet->counters.turns, memory_order_relaxed);
        if (turns != o->turns || was_away) {
            o->turns = turns;
            o->turned_ns = now_ns;
        } else if (now_ns - o->turned_ns > patience(o) && !o->was_stuck) {
            struct bh_error e = { 0 };
            const long long seconds = (long long)((now_ns - o->turned_ns) / SECOND_NS);
            bh_error_set(&e, 0, "", "has not come back from a call for %lld s and is killed",
                         "呼び出しから %lld 秒戻らないため強制終了します", seconds);
            sensor_say(s, o->name, BH_SAY_ERROR, &e);
            o->was_stuck = true;
            kill(o->pid, SIGKILL);
        }
    }
}

void
children_stop(struct sensor *s)
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
        children_reap(s, true);
        sensor_pass_on(s);
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
            sensor_say_plain(s, k == s->output_count ? "capture" : s->output[k].name, BH_SAY_ERROR,
                             "did not end in time and was killed",
                             "時間内に終了しなかったため強制終了しました");
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
        }
    }
    sensor_pass_on(s);
}

int
children_start(struct sensor *s, struct bh_error *err)
{
    int r = 0;
    for (size_t k = 0; r == 0 && k < s->output_count; k++) {
        r = start_output(s, k, false);
    }
    r = r != 0 ? r : start_capture(s);
    return r == 0
               ? 0
               : bh_error_errno(err, -r, "", "cannot start a process", "プロセスを開始できません");
}
