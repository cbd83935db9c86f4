/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * See serve.h. Any number of clients may try: a few are served at a time, each has a second or two from its first octet
 * to its last, and no more than so many are answered in a second. A client that is too slow is cut off. What an answer
 * takes is a few kilobytes; capture and outputs are other processes and notice nothing of it.
 */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "status_priv.h"

#define SECOND_NS 1000000000LL
#define PATIENCE_NS (2 * SECOND_NS)
#define ANSWERS_PER_SECOND 50
#define METRICS_NS (15 * SECOND_NS)

struct client {
    int fd; /* -1: none */
    int64_t until_ns;
    char request[SERVE_REQUEST_MAX];
    size_t got, sent;
    bool ended, answered;
    struct bh_buf answer;
};

enum { STATUS, METRICS, LISTENERS };
struct listener {
    int fd; /* -1: none */
    struct client client[SERVE_CLIENTS];
};

struct serve {
    struct listener listener[LISTENERS];
    char path[sizeof((struct sockaddr_un *)0)->sun_path]; /* of the status socket; "": none */
    pid_t owner;
    int64_t tokens_ns; /* answers left, as time: one costs a second / ANSWERS_PER_SECOND */
    int64_t turn_ns, metrics_ns;
    bool metrics_failed;
};

/* ---- opening ---------------------------------------------------------------------------------------------- */

static int
listen_metrics(struct sensor *s, const char *text, int *ret_fd, struct bh_error *err)
{
    struct bh_ip ip;
    uint16_t port;
    const int one = 1;
    int r = bh_setting_loopback(text, &ip, &port, err);
    if (r != 0) {
        return r;
    }
    struct sockaddr_in at4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 at6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    memcpy(&at4.sin_addr, ip.octets, 4);
    memcpy(&at6.sin6_addr, ip.octets, 16);
    const struct sockaddr *at = ip.family == 4 ? (const struct sockaddr *)(const void *)&at4
                                               : (const struct sockaddr *)(const void *)&at6;
    const int fd =
        socket(ip.family == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, at, ip.family == 4 ? sizeof at4 : sizeof at6) != 0 || listen(fd, 16) != 0) {
        r = bh_error_errno(err, errno, text, "cannot listen for who asks for metrics",
                           "メトリクス用に待ち受けできません");
        if (fd >= 0) {
            close(fd);
        }
        return r;
    }
    *ret_fd = fd;
    s->listener = ip; /* what goes there is no access: own.c */
    s->listener_port = port;
    return 0;
}

/* Does somebody listen there? A socket that nobody listens to any more was left by a sensor that was killed. */
static bool
is_alive(const struct sockaddr_un *at)
{
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const bool refused = fd >= 0 &&
                         connect(fd, (const struct sockaddr *)(const void *)at, sizeof *at) != 0 &&
                         errno == ECONNREFUSED;
    if (fd >= 0) {
        close(fd);
    }
    return !refused;
}

/* 0, or -errno; -EADDRINUSE: another sensor has it. */
static int
listen_at(struct serve *v, const char *path)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct stat st;
    if (strlen(path) >= sizeof at.sun_path) {
        return -ENAMETOOLONG;
    }
    memcpy(at.sun_path, path, strlen(path) + 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    const mode_t before = umask(0117); /* the sensor's user and group may ask, and root */
    int r = bind(fd, (const struct sockaddr *)(const void *)&at, sizeof at) != 0 ? -errno : 0;
    if (r == -EADDRINUSE && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && !is_alive(&at)) {
        r = unlink(path) != 0 ||
                    bind(fd, (const struct sockaddr *)(const void *)&at, sizeof at) != 0
                ? -errno
                : 0;
    }
    umask(before);
    r = r == 0 && listen(fd, 16) != 0 ? -errno : r;
    if (r != 0) {
        close(fd);
        return r;
    }
    v->listener[STATUS].fd = fd;
    memcpy(v->path, at.sun_path, sizeof v->path);
    return 0;
}

void
serve_make_folder(struct sensor *s)
{
    struct stat st;
    if (s->config->status_socket != NULL || !bh_sensor_run_dir(s->run_dir, sizeof s->run_dir)) {
        s->run_dir[0] = '\0';
        return;
    }
    /* it is there, or cannot be made: then the socket says so */
    bh_ignore(mkdir(s->run_dir, 0755));
    const int fd =
        s->drops ? open(s->run_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == 0) {
        bh_ignore(fchown(fd, s->uid, s->gid)); /* the same */
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* The usual name, else one with the sensor's, else one with our number: several sensors on one machine. */
static int
listen_default(struct sensor *s, const char *dir, char *path, size_t size)
{
    char name[65] = "";
    int r = -EADDRINUSE;
    snprintf(name, sizeof name, "%s", s->config->sensor != NULL ? s->config->sensor : "");
    for (char *c = name; *c != '\0'; c++) {
        *c = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                     strchr("-_.", *c) != NULL
                 ? *c
                 : '_';
    }
    for (int turn = 0; turn < 3 && r == -EADDRINUSE; turn++) {
        int n;
        if (turn == 0) {
            n = snprintf(path, size, "%s/status", dir);
        } else if (turn == 1) {
            n = snprintf(path, size, "%s/status-%s", dir, name);
        } else {
            n = snprintf(path, size, "%s/status-%d", dir, (int)s->parent_pid);
        }
        r = n < (int)size ? listen_at(s->serve, path) : -ENAMETOOLONG;
    }
    return r;
}

static int
open_status(struct sensor *s, struct bh_error *err)
{
    const char *asked = s->config->status_socket;
    char path[BH_SENSOR_PATH_MAX + 80];
    if (asked != NULL && (strcmp(asked, "none") == 0 || asked[0] == '\0')) {
        return 0;
    }
    if (asked != NULL) {
        const int r = listen_at(s->serve, asked);
        return r == -EADDRINUSE ? bh_error_set(err, r, asked, "another sensor answers there",
                                               "別のセンサーが使用中です")
               : r != 0         ? bh_error_errno(err, -r, asked, "cannot make the status socket",
                                                 "状態ソケットを作れません")
                                : 0;
    }
    if (s->run_dir[0] == '\0') {
        return 0; /* a user without a run directory */
    }
    const int r = listen_default(s, s->run_dir, path, sizeof path);
    if (r != 0) {
        struct bh_error said = { 0 };
        bh_error_errno(&said, -r, path,
                       "no status socket, beholder status will not find this sensor",
                       "状態ソケットを作れないため、beholder status で確認できません");
        sensor_say(s, "beholder", BH_SAY_WARNING, &said);
    }
    return 0;
}

int
serve_open(struct sensor *s, struct bh_error *err)
{
    struct serve *v = calloc(1, sizeof *v);
    if (v == NULL) {
        return bh_error_errno(err, ENOMEM, "", "cannot start", "開始できません");
    }
    s->serve = v;
    v->owner = getpid();
    for (size_t l = 0; l < LISTENERS; l++) {
        v->listener[l].fd = -1;
        for (size_t k = 0; k < SERVE_CLIENTS; k++) {
            v->listener[l].client[k].fd = -1;
        }
    }
    int r = open_status(s, err);
    if (r == 0 && s->config->metrics_listen != NULL) {
        r = listen_metrics(s, s->config->metrics_listen, &v->listener[METRICS].fd, err);
    }
    return r;
}

/* ---- closing ----------------------------------------------------------------------------------------------- */

static void
end_client(struct client *c)
{
    if (c->fd >= 0) {
        close(c->fd);
    }
    bh_buf_done(&c->answer);
    memset(c, 0, offsetof(struct client, request));
    c->fd = -1;
    c->got = c->sent = 0;
    c->ended = c->answered = false;
}

void
serve_forget(struct serve *v)
{
    for (size_t l = 0; v != NULL && l < LISTENERS; l++) {
        for (size_t k = 0; k < SERVE_CLIENTS; k++) {
            end_client(&v->listener[l].client[k]);
        }
        if (v->listener[l].fd >= 0) {
            close(v->listener[l].fd);
            v->listener[l].fd = -1;
        }
    }
}

void
serve_close(struct serve *v)
{
    if (v != NULL && v->path[0] != '\0' && v->owner == getpid()) {
        bh_ignore(unlink(v->path)); /* a folder of somebody else: who comes next finds it dead */
    }
    serve_forget(v);
    free(v);
}

/* ---- answers ------------------------------------------------------------------------------------------------- */

static void
http_head(struct bh_buf *out, const char *status, const char *type, size_t len)
{
    bh_buf_printf(
        out,
        "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\nConnection: close\r\n%s\r\n",
        status, type, len, strncmp(status, "405", 3) == 0 ? "Allow: GET\r\n" : "");
}

static void
http_answer(const struct status *t, enum serve_answer what, struct bh_buf *out)
{
    static const char *const refusals[SERVE_ANSWERS][2] = {
        [SERVE_BAD] = { "400 Bad Request", "This is no request.\n" },
        [SERVE_FORBIDDEN] = { "403 Forbidden", "Ask for localhost.\n" },
        [SERVE_NOT_FOUND] = { "404 Not Found", "The metrics are at /metrics.\n" },
        [SERVE_NOT_A_GET] = { "405 Method Not Allowed", "Only GET.\n" },
        [SERVE_TOO_LONG] = { "431 Request Header Fields Too Large", "Too long.\n" },
    };
    if (what != SERVE_METRICS) {
        http_head(out, refusals[what][0], "text/plain; charset=utf-8", strlen(refusals[what][1]));
        bh_buf_puts(out, refusals[what][1]);
        return;
    }
    struct bh_buf body = { 0 };
    status_metrics(t, &body);
    http_head(out, "200 OK", "application/openmetrics-text; version=1.0.0; charset=utf-8",
              body.len);
    bh_buf_add(out, body.data, body.len);
    out->failed = out->failed || body.failed;
    bh_buf_done(&body);
}

static void
answer(struct sensor *s, struct client *c, bool http)
{
    static struct status t; /* large */
    const enum serve_answer what =
        (http ? serve_parse_http : serve_parse_line)(c->request, c->got, c->ended);
    if (what == SERVE_MORE) {
        return;
    }
    c->answered = true;
    status_take(s, &t);
    if (http) {
        http_answer(&t, what, &c->answer);
    } else if (what == SERVE_JSON) {
        status_json(&t, &c->answer);
    } else if (what == SERVE_METRICS) {
        status_metrics(&t, &c->answer);
    } else if (what == SERVE_BAD) {
        bh_buf_puts(&c->answer, "error: ask for one of: text en, text ja, json, metrics\n");
    } else {
        status_text(&t, what == SERVE_TEXT_JA ? BH_JA : BH_EN, &c->answer);
    }
    if (c->answer.failed) {
        end_client(c);
    }
}

/* ---- turns ------------------------------------------------------------------------------------------------------- */

nfds_t
serve_poll(struct serve *v, int64_t now_ns, struct pollfd *p)
{
    nfds_t n = 0;
    const int64_t cost = SECOND_NS / ANSWERS_PER_SECOND;
    v->tokens_ns += v->turn_ns != 0 ? now_ns - v->turn_ns : SECOND_NS;
    v->tokens_ns = v->tokens_ns > SECOND_NS ? SECOND_NS : v->tokens_ns;
    v->turn_ns = now_ns;
    for (size_t l = 0; l < LISTENERS; l++) {
        const struct listener *at = &v->listener[l];
        bool room = false;
        for (size_t k = 0; k < SERVE_CLIENTS; k++) {
            const struct client *c = &at->client[k];
            room |= c->fd < 0;
            if (c->fd >= 0) {
                p[n++] = (struct pollfd){ .fd = c->fd, .events = c->answered ? POLLOUT : POLLIN };
            }
        }
        if (at->fd >= 0 && room && v->tokens_ns >= cost) { /* else they wait in the kernel's line */
            p[n++] = (struct pollfd){ .fd = at->fd, .events = POLLIN };
        }
    }
    return n;
}

static void
take_clients(struct serve *v, struct listener *at, int64_t now_ns)
{
    for (size_t k = 0; k < SERVE_CLIENTS && at->fd >= 0; k++) {
        struct client *c = &at->client[k];
        if (c->fd >= 0 || v->tokens_ns < SECOND_NS / ANSWERS_PER_SECOND) {
            continue;
        }
        c->fd = accept4(at->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (c->fd < 0) {
            return;
        }
        v->tokens_ns -= SECOND_NS / ANSWERS_PER_SECOND;
        c->until_ns = now_ns + PATIENCE_NS;
    }
}

static void
read_request(struct client *c)
{
    const ssize_t n = recv(c->fd, c->request + c->got, sizeof c->request - c->got, MSG_DONTWAIT);
    if (n > 0) {
        c->got += (size_t)n;
    } else if (n == 0) {
        c->ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        end_client(c);
    }
}

static void
send_answer(struct client *c)
{
    while (c->sent < c->answer.len) {
        const ssize_t n = send(c->fd, c->answer.data + c->sent, c->answer.len - c->sent,
                               MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            break;
        }
        c->sent += (size_t)n;
    }
    shutdown(c->fd, SHUT_WR);
    /* What it may have sent besides is read off: a close() over it would take the answer back (TCP's reset). */
    char rest[512];
    for (int k = 0; k < 16 && recv(c->fd, rest, sizeof rest, MSG_DONTWAIT) > 0; k++) {
    }
    end_client(c);
}

void
serve_turn(struct sensor *s, int64_t now_ns)
{
    struct serve *v = s->serve;
    for (size_t l = 0; l < LISTENERS; l++) {
        struct listener *at = &v->listener[l];
        take_clients(v, at, now_ns);
        for (size_t k = 0; k < SERVE_CLIENTS; k++) {
            struct client *c = &at->client[k];
            if (c->fd >= 0 && !c->answered) {
                read_request(c);
                if (c->fd >= 0) {
                    answer(s, c, l == METRICS);
                }
            }
            if (c->fd >= 0 && c->answered) {
                send_answer(c);
            }
            if (c->fd >= 0 && now_ns > c->until_ns) {
                end_client(c);
            }
        }
    }
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

/* Whole or not at all. It is news of a quarter of a minute: no power failure is worth waiting for the disk here. */
static int
replace_file(const char *path, const struct bh_buf *text)
{
    char temporary[BH_SENSOR_PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s.%d.tmp", path, (int)getpid()) >=
        (int)sizeof temporary) {
        return -ENAMETOOLONG;
    }
    bh_ignore(unlink(temporary)); /* of one that was killed and had our number */
    const int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) {
        return -errno;
    }
    int r = 0;
    for (size_t at = 0; r == 0 && at < text->len;) {
        const ssize_t n = write(fd, text->data + at, text->len - at);
        r = n < 0 && errno != EINTR ? -errno : 0;
        at += n > 0 ? (size_t)n : 0;
    }
    r = close(fd) != 0 && r == 0 ? -errno : r;
    r = r == 0 && rename(temporary, path) != 0 ? -errno : r;
    if (r != 0) {
        bh_ignore(unlink(temporary)); /* it may not be there */
    }
    return r;
}

void
serve_metrics_file(struct sensor *s, int64_t now_ns)
{
    static struct status t;
    struct serve *v = s->serve;
    const char *path = s->config->metrics_file;
    if (path == NULL || (v->metrics_ns != 0 && now_ns - v->metrics_ns < METRICS_NS)) {
        return;
    }
    struct bh_buf text = { 0 };
    v->metrics_ns = now_ns;
    status_take(s, &t);
    status_metrics(&t, &text);
    const int r = text.failed ? -ENOMEM : replace_file(path, &text);
    bh_buf_done(&text);
    if (r != 0 && !v->metrics_failed) { /* once, until it works again */
        struct bh_error err = { 0 };
        bh_error_errno(&err, -r, path, "cannot write the metrics", "メトリクスを書けません");
        sensor_say(s, "beholder", BH_SAY_WARNING, &err);
    }
    v->metrics_failed = r != 0;
}
