/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that an output writes to: started by who may start programs (the parent of the sensor), never
 * with its privileges, and again when it ends, after 1 s, 2 s, 4 s ... 60 s. One that ran for a minute
 * begins with 1 s again.
 *
 * The program has the pipe as its standard input; what it says goes where our standard error goes. No
 * shell: words are split here, by blanks, with '...', "..." and backslash as a shell has them.
 */
#include "bh_output_host.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define WAIT_MOST (60 * SECOND)
#define PIPE_OCTETS (256 << 10)
#define WORDS_MOST 64

struct bh_child {
    struct bh_child_config cfg;
    char *text; /* the command's words, each with its NUL */
    char *words[WORDS_MOST + 1];
    char sensor[300], output[300]; /* of its environment */
    pid_t pid;                     /* 0: not running                    */
    int fd;                        /* -1: none, or handed over          */
    int64_t started_ns, again_ns, wait_ns;
    bool ever, stops;
};

/* ---- words ------------------------------------------------------------------------------------------------ */

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* One word from *ret_at on, unquoted in place. False: a quote stays open. */
static bool
take_word(char **ret_at, char **ret_word)
{
    char *at = *ret_at, *to = at, quote = '\0';
    *ret_word = to;
    for (; *at != '\0' && (quote != '\0' || !is_blank(*at)); at++) {
        if (quote == '\0' && (*at == '\'' || *at == '"')) {
            quote = *at;
        } else if (quote != '\0' && *at == quote) {
            quote = '\0';
        } else if (*at == '\\' && quote != '\'' && at[1] != '\0') {
            *to++ = *++at;
        } else {
            *to++ = *at;
        }
    }
    *ret_at = *at == '\0' ? at : at + 1;
    *to = '\0';
    return quote == '\0';
}

int
bh_command_split(const char *command, char **ret_text, char *ret_words[], size_t most,
                 struct bh_error *err)
{
    char *text = strdup(command), *at = text;
    size_t count = 0;
    bool good = true;
    if (text == NULL) {
        return bh_error_errno(err, ENOMEM, command, "cannot start", "開始できません");
    }
    for (;;) {
        while (is_blank(*at)) {
            at++;
        }
        if (*at == '\0' || !good || count == most) {
            break;
        }
        good = take_word(&at, &ret_words[count]);
        count++;
    }
    ret_words[count] = NULL;
    if (!good || count == 0 || *at != '\0') {
        free(text);
        return !good        ? bh_error_set(err, BH_EUSAGE, command, "a quote stays open",
                                           "引用符が閉じていません")
               : count == 0 ? bh_error_set(err, BH_EUSAGE, "command", "names no program",
                                           "プログラムの指定がありません")
                            : bh_error_set(err, BH_EUSAGE, command, "has more than %zu words",
                                           "の語が %zu を超えています", most);
    }
    *ret_text = text;
    return 0;
}

/* ---- the new process ------------------------------------------------------------------------------------------ */

static void
only_standard_files(int keep)
{
    /* The status pipe goes to 3, then everything above is closed. */
    if (keep != 3) {
        dup2(keep, 3);
        fcntl(3, F_SETFD, FD_CLOEXEC);
    }
#ifdef SYS_close_range
    if (syscall(SYS_close_range, 4U, ~0U, 0U) == 0) {
        return;
    }
#endif
    for (int fd = 4; fd < 65536; fd++) {
        close(fd);
    }
}

/* Does not return. What fails is told as an errno through `status`. */
__attribute__((noreturn)) static void
become_program(const struct bh_child *c, int input, int status)
{
    char *const environment[] = { (char *)(uintptr_t) "PATH=/usr/local/bin:/usr/bin:/bin",
                                  (char *)(uintptr_t) "LC_ALL=C.UTF-8",
                                  (char *)(uintptr_t)c->sensor, (char *)(uintptr_t)c->output,
                                  NULL };
    const struct rlimit none = { 0, 0 };
    struct sigaction action = { .sa_handler = SIG_DFL };
    sigset_t nothing;
    int failed = 0;
    for (int s = 1; s < NSIG; s++) {
        sigaction(s, &action, NULL);
    }
    sigemptyset(&nothing);
    sigprocmask(SIG_SETMASK, &nothing, NULL);
    setsid();
    if (dup2(input, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        failed = errno;
    }
    only_standard_files(status);
    bh_ignore(setrlimit(RLIMIT_CORE, &none)); /* a core would hold records */
    if (failed == 0 && c->cfg.drop &&
        (setgroups(0, NULL) != 0 || setresgid(c->cfg.gid, c->cfg.gid, c->cfg.gid) != 0 ||
         setresuid(c->cfg.uid, c->cfg.uid, c->cfg.uid) != 0)) {
        failed = errno;
    }
    if (failed == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || chdir("/") != 0)) {
        failed = errno;
    }
    if (failed == 0) {
        execvpe(c->words[0], c->words, environment);
        failed = errno;
    }
    const ssize_t n = write(3, &failed, sizeof failed);
    _exit(n > 0 ? 127 : 126);
}

static void
say(const struct bh_child *c, enum bh_say level, const struct bh_error *err)
{
    if (c->cfg.say != NULL) {
        c->cfg.say(c->cfg.say_arg, c->cfg.instance, level, err);
    }
}

/* 0, or an errno. */
static int
start(struct bh_child *c)
{
    int input[2] = { -1, -1 }, status[2] = { -1, -1 }, failed = 0;
    if (pipe2(input, O_CLOEXEC) != 0 || pipe2(status, O_CLOEXEC) != 0) {
        failed = errno;
        goto out;
    }
    const pid_t pid = fork();
    if (pid < 0) {
        failed = errno;
        goto out;
    }
    if (pid == 0) {
        become_program(c, input[0], status[1]);
    }
    close(status[1]);
    status[1] = -1;
    ssize_t n;
    do {
        n = read(status[0], &failed, sizeof failed);
    } while (n < 0 && errno == EINTR);
    failed = n == (ssize_t)sizeof failed ? failed : 0;
    if (failed != 0) {
        waitpid(pid, NULL, 0);
        goto out;
    }
    bh_ignore(fcntl(input[1], F_SETPIPE_SZ, PIPE_OCTETS)); /* a smaller one is good too */
    fcntl(input[1], F_SETFL, O_NONBLOCK);
    c->pid = pid;
    c->fd = input[1];
    input[1] = -1;
out:
    for (int k = 0; k < 2; k++) {
        if (input[k] >= 0) {
            close(input[k]);
        }
        if (status[k] >= 0) {
            close(status[k]);
        }
    }
    return failed;
}

/* ---- the object ------------------------------------------------------------------------------------------------- */

int
bh_child_new(const struct bh_child_config *cfg, struct bh_child **ret, struct bh_error *err)
{
    struct bh_child *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return bh_error_errno(err, ENOMEM, cfg->instance, "cannot start", "開始できません");
    }
    c->cfg = *cfg;
    c->fd = -1;
    int r = bh_command_split(cfg->command, &c->text, c->words, WORDS_MOST, err);
    if (r != 0) {
        free(c);
        return r;
    }
    snprintf(c->sensor, sizeof c->sensor, "BEHOLDER_SENSOR=%s",
             cfg->sensor != NULL ? cfg->sensor : "");
    snprintf(c->output, sizeof c->output, "BEHOLDER_OUTPUT=%s", cfg->instance);
    *ret = c;
    return 0;
}

static void
close_fd(struct bh_child *c)
{
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
}

static void
plan_next(struct bh_child *c, int64_t now_ns)
{
    const bool was_good = c->pid != 0 && now_ns - c->started_ns >= WAIT_MOST;
    c->wait_ns = c->wait_ns == 0 || was_good  ? SECOND
                 : c->wait_ns * 2 < WAIT_MOST ? c->wait_ns * 2
                                              : WAIT_MOST;
    c->again_ns = now_ns + c->wait_ns;
    c->pid = 0;
    close_fd(c);
}

static void
say_ended(struct bh_child *c, bool known, int status)
{
    struct bh_error e = { 0 };
    if (c->stops) {
        return;
    }
    const long long s = (long long)(c->wait_ns / SECOND);
    if (known && WIFEXITED(status)) {
        bh_error_set(&e, 0, c->words[0], "ended with status %d; it is started again in %lld s",
                     "が終了しました (終了コード %d)。%lld 秒後に再開します", WEXITSTATUS(status),
                     s);
    } else if (known && WIFSIGNALED(status)) {
        bh_error_set(&e, 0, c->words[0], "was ended by signal %d; it is started again in %lld s",
                     "がシグナル %d で終了しました。%lld 秒後に再開します", WTERMSIG(status), s);
    } else {
        bh_error_set(&e, 0, c->words[0], "ended; it is started again in %lld s",
                     "が終了しました。%lld 秒後に再開します", s);
    }
    say(c, BH_SAY_WARNING, &e);
}

static void
look(struct bh_child *c, int64_t now_ns)
{
    int status = 0;
    const pid_t got = waitpid(c->pid, &status, WNOHANG);
    if (got == c->pid || (got < 0 && errno == ECHILD)) { /* somebody waits for all children */
        plan_next(c, now_ns);
        say_ended(c, got > 0, status);
    }
}

bool
bh_child_ended(struct bh_child *c, pid_t pid, int status, int64_t now_ns)
{
    if (c == NULL || c->pid == 0 || pid != c->pid) {
        return false;
    }
    plan_next(c, now_ns);
    say_ended(c, true, status);
    return true;
}

void
bh_child_tick(struct bh_child *c, int64_t now_ns)
{
    if (c->pid != 0) {
        look(c, now_ns);
    }
    if (c->pid != 0 || c->stops || (c->ever && now_ns < c->again_ns)) {
        return;
    }
    c->ever = true;
    const int failed = start(c);
    c->started_ns = now_ns;
    if (failed != 0) {
        struct bh_error e = { 0 };
        plan_next(c, now_ns);
        bh_error_errno(&e, failed, c->words[0], "cannot start the program",
                       "プログラムを開始できません");
        say(c, BH_SAY_ERROR, &e);
    } else if (c->cfg.hand_to >= 0) {
        if (bh_descriptor_send(c->cfg.hand_to, c->fd) == 0) {
            close_fd(c); /* so that the program sees the end when the output closes it */
        }
    }
}

void
bh_child_stop(struct bh_child *c)
{
    if (c != NULL) {
        c->stops = true;
    }
}

pid_t
bh_child_pid(const struct bh_child *c)
{
    return c->pid;
}

int
bh_child_fd(struct bh_child *c, bool broken)
{
    if (broken) {
        close_fd(c);
    }
    return c->fd;
}

static bool
ended_within(pid_t pid, unsigned tenths)
{
    for (unsigned k = 0; k <= tenths * 10; k++) {
        const pid_t got = waitpid(pid, NULL, WNOHANG);
        if (got == pid || (got < 0 && errno == ECHILD)) {
            return true;
        }
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
    return false;
}

void
bh_child_free(struct bh_child *c)
{
    if (c == NULL) {
        return;
    }
    close_fd(c);
    if (c->pid != 0 && !ended_within(c->pid, 3)) {
        kill(c->pid, SIGTERM);
        if (!ended_within(c->pid, 3)) {
            kill(c->pid, SIGKILL);
            waitpid(c->pid, NULL, 0);
        }
    }
    free(c->text);
    free(c);
}

/* ---- from process to process --------------------------------------------------------------------------------------- */

int
bh_descriptor_send(int socket, int fd)
{
    char octet = 'f';
    struct iovec part = { &octet, 1 };
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { .room = { 0 } };
    struct msghdr m = { .msg_iov = &part,
                        .msg_iovlen = 1,
                        .msg_control = control.room,
                        .msg_controllen = sizeof control.room };
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(h), &fd, sizeof fd);
    return sendmsg(socket, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

int
bh_descriptor_receive(int socket)
{
    char octet;
    int fd = -1;
    struct iovec part = { &octet, 1 };
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { .room = { 0 } };
    struct msghdr m = { .msg_iov = &part,
                        .msg_iovlen = 1,
                        .msg_control = control.room,
                        .msg_controllen = sizeof control.room };
    if (recvmsg(socket, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1) {
        return -1;
    }
    const struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    if (h != NULL && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS &&
        h->cmsg_len == CMSG_LEN(sizeof(int))) {
        memcpy(&fd, CMSG_DATA(h), sizeof fd);
    }
    return fd;
}

int
bh_child_end_fd(void *end, bool broken)
{
    struct bh_child_end *e = end;
    if (broken && e->fd >= 0) {
        close(e->fd);
        e->fd = -1;
    }
    if (e->fd < 0) {
        int next;
        /* The newest: programs that came and went meanwhile never got a word. */
        while ((next = bh_descriptor_receive(e->socket)) >= 0) {
            if (e->fd >= 0) {
                close(e->fd);
            }
            e->fd = next;
        }
    }
    return e->fd;
}
