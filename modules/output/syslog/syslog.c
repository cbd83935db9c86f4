/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * syslog: a summary of each hour, and how the sensor is, as messages of RFC 5424: in UDP (RFC 5426), TCP with
 * octet counting (RFC 6587, 3.4.1), or to a local socket such as /dev/log.
 *
 * Messages wait, up to 64, until they are sent; the oldest is dropped beyond, and counted. What a summary is
 * made of lies in memory: after a restart it is a summary of what came since, and its `from` says so.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lines.h"
#include "summary.h"

#define WAITING 64U
#define RETRY_NS 2000000000LL
#define IDLE_NS                                                                                    \
    45000000000LL /* verdicts come within 30 s: an hour that ended so long ago is whole */
#define LATE_NS 5000000000LL

struct message {
    char *text;
    size_t len, done;
};

struct syslog {
    struct summary *summary;
    struct message queue[WAITING];
    unsigned first, count;
    int fd;
    bool is_tcp, is_local, connecting, said;
    struct sockaddr_storage peer;
    socklen_t peer_len;
    uint64_t next;
    int64_t now_ns, retry_ns, came_ns, health_ns;
    struct bh_output_health told; /* health as it was said last */
    bool any_health;
};

static const struct bh_setting settings[] = {
    { .name = "to",
      .type = BH_SETTING_PEER,
      .unit = "",
      .default_text = "/dev/log",
      .text = { "host:port, or the path of a local socket",
                "送り先: ホスト:ポート、またはローカルソケットのパス" } },
    { .name = "transport",
      .type = BH_SETTING_CHOICE,
      .unit = "",
      .default_text = "udp",
      .choices = "udp|tcp",
      .text = { "host:port: datagrams, or a connection with octet counting (RFC 6587)",
                "ホスト:ポートへの送り方: UDP、またはオクテット計数の TCP (RFC 6587)" } },
    { .name = "facility",
      .type = BH_SETTING_CHOICE,
      .unit = "",
      .default_text = "daemon",
      .choices = "user|daemon|auth|local0|local1|local2|local3|local4|local5|local6|local7",
      .text = { "facility of the messages", "メッセージのファシリティ" } },
    { .name = "top",
      .type = BH_SETTING_UINT,
      .unit = "",
      .default_text = "5",
      .least = 1,
      .most = 20,
      .text = { "how many countries and ports a summary names", "要約に挙げる国とポートの数" } },
    { .name = "health",
      .type = BH_SETTING_DURATION,
      .unit = "",
      .default_text = "1h",
      .least = 10000000000,
      .text = { "how often the health of the sensor is sent; at once when packets were lost",
                "センサーの状態を送る間隔。パケットを失ったときは直ちに送る" } },
};

/* ---- messages ------------------------------------------------------------------------------------------------- */

/* PRINTUSASCII, as the header wants it. */
static void
put_token(struct bh_buf *to, const char *text, size_t most)
{
    size_t n = 0;
    for (; text[n] != '\0' && n < most; n++) {
        bh_buf_putc(to, text[n] > ' ' && text[n] < 127 ? text[n] : '_');
    }
    bh_buf_puts(to, n == 0 ? "-" : "");
}

static unsigned
facility(const struct bh_output *o)
{
    static const struct {
        const char *name;
        unsigned code;
    } codes[] = { { "user", 1 }, { "daemon", 3 }, { "auth", 4 } };
    const char *name = bh_output_text(o, "facility");
    for (size_t k = 0; k < BH_COUNT(codes); k++) {
        if (strcmp(name, codes[k].name) == 0) {
            return codes[k].code;
        }
    }
    return 16 + (unsigned)(name[5] - '0'); /* localN */
}

static void
put_header(struct bh_output *o, const struct syslog *s, unsigned severity, const char *id,
           struct bh_buf *to)
{
    char time[40];
    const struct bh_output_run *run = bh_output_run(o);
    /* Microseconds are as fine as RFC 5424 has them. */
    *lines_put_time(time, s->now_ns - s->now_ns % 1000) = '\0';
    bh_buf_printf(to, "<%u>1 %s ", facility(o) * 8 + severity, s->now_ns > 0 ? time : "-");
    put_token(to, run != NULL ? run->sensor : "", 255);
    bh_buf_printf(to, " beholder %ld %s ", (long)getpid(), id);
}

static void
drop_first(struct syslog *s)
{
    free(s->queue[s->first].text);
    s->queue[s->first] = (struct message){ 0 };
    s->first = (s->first + 1) % WAITING;
    s->count--;
}

/* Takes the text. */
static void
enqueue(struct bh_output *o, struct syslog *s, struct bh_buf *text)
{
    struct bh_buf framed = { 0 };
    if (s->is_tcp) {
        bh_buf_printf(&framed, "%zu ", text->len);
    }
    bh_buf_add(&framed, text->data, text->len);
    if (framed.failed || text->failed) {
        bh_buf_done(&framed);
        bh_output_count(o, "dropped", 1);
        return;
    }
    if (s->count == WAITING) {
        /* One of which a part is sent goes on: half a message would break the framing. */
        if (s->queue[s->first].done > 0) {
            bh_buf_done(&framed);
            bh_output_count(o, "dropped", 1);
            return;
        }
        drop_first(s);
        bh_output_count(o, "dropped", 1);
    }
    s->queue[(s->first + s->count) % WAITING] = (struct message){ framed.data, framed.len, 0 };
    s->count++;
}

static void
send_summary(struct bh_output *o, struct syslog *s)
{
    struct bh_buf text = { 0 };
    if (summary_is_empty(s->summary)) {
        return;
    }
    put_header(o, s, 6, "SUMMARY", &text);
    summary_put(s->summary, (unsigned)bh_output_uint(o, "top"), &text);
    enqueue(o, s, &text);
    bh_buf_done(&text);
    summary_reset(s->summary);
    bh_output_count(o, "summaries", 1);
}

static uint64_t
all_lost(const struct bh_output_health *h)
{
    uint64_t n = 0;
    for (unsigned k = 0; k < BH_GAP_KINDS; k++) {
        n += h->lost[k];
    }
    return n;
}

static void
send_health(struct bh_output *o, struct syslog *s)
{
    const struct bh_output_health *h = bh_output_health(o);
    struct bh_buf text = { 0 };
    const bool lost = all_lost(h) > all_lost(&s->told);
    put_header(o, s, lost ? 4 : 6, "HEALTH", &text);
    bh_buf_printf(&text,
                  "[health@32473 frames=\"%" PRIu64 "\" own=\"%" PRIu64 "\" duplicates=\"%" PRIu64
                  "\"",
                  h->frames, h->own, h->duplicates);
    for (unsigned k = 0; k < BH_GAP_KINDS; k++) {
        bh_buf_printf(&text, " lost-%s=\"%" PRIu64 "\"", bh_gap_name(k), h->lost[k]);
    }
    bh_buf_printf(&text, " gaps=\"%u\" clock-steps=\"%" PRIu64 "\"] ", h->gap_count,
                  h->clock_steps);
    if (lost) {
        bh_buf_printf(&text,
                      "%" PRIu64 " packets lost since the last message, %" PRIu64 " of the run",
                      all_lost(h) - all_lost(&s->told), all_lost(h));
    } else {
        bh_buf_printf(&text, "%" PRIu64 " frames seen, %" PRIu64 " packets lost", h->frames,
                      all_lost(h));
    }
    enqueue(o, s, &text);
    bh_buf_done(&text);
    s->told = *h;
    s->health_ns = s->now_ns;
}

/* ---- the way there ------------------------------------------------------------------------------------------------- */

static void
disconnect(struct bh_output *o, struct syslog *s)
{
    if (s->fd >= 0) {
        bh_output_disconnect(o, s->fd);
        s->fd = -1;
    }
    s->connecting = false;
    if (s->count > 0) {
        s->queue[s->first].done = 0; /* once more, whole */
    }
}

static void
say_unreachable(struct bh_output *o, struct syslog *s, int saved_errno)
{
    struct bh_error err = { 0 };
    if (!s->said) {
        bh_error_errno(&err, saved_errno, bh_output_text(o, "to"), "cannot reach it; messages wait",
                       "届きません。メッセージは待ちます");
        bh_output_say(o, BH_SAY_WARNING, &err);
        s->said = true;
    }
    s->retry_ns = s->now_ns + RETRY_NS;
    disconnect(o, s);
}

static bool
is_ready(struct bh_output *o, struct syslog *s)
{
    if (s->fd < 0) {
        if (s->now_ns < s->retry_ns) {
            return false;
        }
        s->fd = socket(s->peer.ss_family,
                       (s->is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s->fd < 0 ||
            (bh_output_connect(o, s->fd, (const struct sockaddr *)&s->peer, s->peer_len) != 0 &&
             errno != EINPROGRESS)) {
            say_unreachable(o, s, errno);
            return false;
        }
        s->connecting = s->is_tcp;
    }
    if (s->connecting) {
        struct pollfd p = { .fd = s->fd, .events = POLLOUT };
        int failed = 0;
        socklen_t len = sizeof failed;
        if (poll(&p, 1, 0) <= 0) {
            return false;
        }
        if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &failed, &len) != 0 || failed != 0) {
            say_unreachable(o, s, failed != 0 ? failed : EIO);
            return false;
        }
        s->connecting = false;
        bh_output_count(o, "connections", 1);
    }
    return true;
}

/* A peer that closed tells so by an end of file, which a sender would not see. */
static bool
is_closed(struct syslog *s)
{
    char octets[256];
    ssize_t n = 1;
    while (s->is_tcp && n > 0) {
        n = recv(s->fd, octets, sizeof octets, MSG_DONTWAIT);
    }
    return s->is_tcp && (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR));
}

static void
pump(struct bh_output *o, struct syslog *s)
{
    if (s->fd >= 0 && !s->connecting && is_closed(s)) {
        say_unreachable(o, s, EPIPE);
    }
    while (s->count > 0 && is_ready(o, s)) {
        struct message *m = &s->queue[s->first];
        const ssize_t n =
            send(s->fd, m->text + m->done, m->len - m->done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
                return;
            }
            if (errno == EMSGSIZE) {
                drop_first(s);
                bh_output_count(o, "dropped", 1);
                continue;
            }
            say_unreachable(o, s, errno);
            return;
        }
        m->done += (size_t)n;
        if (m->done >= m->len || !s->is_tcp) {
            drop_first(s);
            bh_output_count(o, "sent", 1);
            s->said = false;
        }
    }
}

/* ---- calls ---------------------------------------------------------------------------------------------------------- */

/* Names are resolved once, before confinement. */
static int
find_peer(struct bh_output *o, struct syslog *s)
{
    const char *to = bh_output_text(o, "to");
    struct bh_error err = { 0 };
    int r = 0;
    if (to[0] == '/') {
        struct sockaddr_un *a = (struct sockaddr_un *)&s->peer;
        a->sun_family = AF_UNIX;
        s->is_local = true;
        if (snprintf(a->sun_path, sizeof a->sun_path, "%s", to) >= (int)sizeof a->sun_path) {
            r = bh_error_errno(&err, ENAMETOOLONG, to, "cannot send", "送れません");
        }
        s->peer_len = sizeof *a;
    } else {
        char host[256];
        const char *colon = strrchr(to, ':');
        struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                  .ai_socktype = s->is_tcp ? SOCK_STREAM : SOCK_DGRAM },
                        *list = NULL;
        const bool bracketed = to[0] == '[' && colon != NULL && colon > to + 1 && colon[-1] == ']';
        if (colon == NULL || colon == to || colon[1] == '\0' ||
            (size_t)(colon - to) >= sizeof host ||
            (!bracketed && memchr(to, ':', (size_t)(colon - to)) != NULL)) {
            r = bh_error_set(&err, BH_EUSAGE, to, "must be host:port, [address]:port or a path",
                             "ホスト:ポート、[アドレス]:ポート、またはパスを指定してください");
        } else {
            snprintf(host, sizeof host, "%.*s", (int)(colon - to - 2 * bracketed), to + bracketed);
            const int failed = getaddrinfo(host, colon + 1, &hints, &list);
            if (failed != 0) {
                r = bh_error_set(&err, -ENOENT, to, "is not known: %s", "が見つかりません: %s",
                                 gai_strerror(failed));
            } else {
                memcpy(&s->peer, list->ai_addr, list->ai_addrlen);
                s->peer_len = list->ai_addrlen;
                freeaddrinfo(list);
            }
        }
    }
    if (r != 0) {
        bh_output_say(o, BH_SAY_ERROR, &err);
    }
    return r;
}

static int
syslog_open(struct bh_output *o)
{
    struct syslog *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return -ENOMEM;
    }
    bh_output_set_state(o, s);
    s->fd = -1;
    s->is_tcp =
        strcmp(bh_output_text(o, "transport"), "tcp") == 0 && bh_output_text(o, "to")[0] != '/';
    s->summary = summary_new();
    return s->summary == NULL ? -ENOMEM : find_peer(o, s);
}

static int
syslog_run(struct bh_output *o, const struct bh_output_run *run)
{
    struct syslog *s = bh_output_state(o);
    s->next = 0;
    memset(&s->told, 0, sizeof s->told);
    return summary_run(s->summary, run);
}

static int
syslog_write(struct bh_output *o, const struct bh_output_batch *batch)
{
    struct syslog *s = bh_output_state(o);
    if (batch->number < s->next) {
        return 0;
    }
    /* An hour is whole when records of the next are some seconds old. */
    if (summary_is_over(s->summary, batch, LATE_NS)) {
        send_summary(o, s);
        pump(o, s);
    }
    summary_add(s->summary, batch);
    s->next = batch->number + 1;
    s->came_ns = s->now_ns;
    return 0;
}

static int
syslog_flush(struct bh_output *o, uint64_t *ret_number)
{
    const struct syslog *s = bh_output_state(o);
    *ret_number = s->next;
    return 0;
}

static int
syslog_tick(struct bh_output *o, int64_t now_ns)
{
    struct syslog *s = bh_output_state(o);
    s->now_ns = now_ns;
    if (bh_output_run(o) != NULL) {
        const bool lost = all_lost(bh_output_health(o)) > all_lost(&s->told);
        const int64_t since = now_ns - s->health_ns;
        if ((uint64_t)since >= bh_output_uint(o, "health") || (lost && since >= 10000000000LL)) {
            send_health(o, s);
        }
        if (now_ns - s->came_ns >= IDLE_NS && summary_ended_before(s->summary, now_ns - IDLE_NS)) {
            send_summary(o, s);
        }
    }
    pump(o, s);
    return 0;
}

static void
syslog_close(struct bh_output *o)
{
    struct syslog *s = bh_output_state(o);
    if (s == NULL) {
        return;
    }
    if (bh_output_run(o) != NULL) {
        send_summary(o, s); /* of the hour so far */
    }
    pump(o, s);
    disconnect(o, s);
    while (s->count > 0) {
        drop_first(s);
    }
    summary_free(s->summary);
    free(s);
}

extern const struct bh_output_module bh_output_module_syslog;
const struct bh_output_module bh_output_module_syslog = {
    .abi_major = BH_OUTPUT_ABI,
    .size = sizeof(struct bh_output_module),
    .name = "syslog",
    .summary = { "a summary of each hour and the sensor's health to syslog (RFC 5424)",
                 "1 時間ごとの要約とセンサーの状態を syslog へ (RFC 5424)" },
    .settings = settings,
    .setting_count = BH_COUNT(settings),
    .when = BH_OUTPUT_DECIDED,
    .needs = BH_OUTPUT_NEEDS_CONNECT | BH_OUTPUT_NEEDS_RESOLVE,
    .open = syslog_open,
    .run = syslog_run,
    .write = syslog_write,
    .flush = syslog_flush,
    .tick = syslog_tick,
    .close = syslog_close,
};
