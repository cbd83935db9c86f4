/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flow: flows of both directions, with what became of them, as lines or as IPFIX.
 *
 * Lines and messages for a file wait in `out` until there are enough of them, or a flush; when the disk is
 * full they stay, and no batch is taken before they are gone (the host keeps it, or counts it lost). So
 * nothing is lost here. Datagrams are sent as they are made: UDP promises nothing, and what the system
 * refuses is counted.
 */
#include "flow_priv.h"

#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "files.h"

#define OUT_WRITE (128U << 10) /* that many octets are worth a write()        */
#define OUT_MAX (4U << 20)     /* with that many unwritten we are busy        */
#define EXPIRE_MOST 65536U     /* ended in one call, so that it stays short   */
#define MESSAGE_UDP 1400U      /* fits an Ethernet frame with a tunnel around */
#define MESSAGE_FILE 16384U

struct flow_module {
    struct bh_output *o;
    enum flow_form form;
    struct flow_table *table;
    struct flow_writer_context context;
    struct bh_series *series; /* NULL: UDP only */
    struct flow_ipfix *ipfix;
    int socket; /* -1: none */
    struct bh_buf out;
    bool has_head; /* the file of `out` has its header, or it stands in `out` */
    int64_t templates_every_ns, templates_ns;
    int64_t tick_ns, packets_ns; /* of the last tick; the newest packet then */
    bool any_tick, any_templates;
    uint64_t next;       /* batch */
    uint64_t said_early; /* of ended_early, counted */
    uint64_t flows_ended;
    uint64_t said_begun, said_closed; /* counted: of the table; what ended and was written */
    bool any_run;
};

static void
say(struct flow_module *m, enum bh_say level, const struct bh_error *err)
{
    bh_output_say(m->o, level, err);
}

/* ---- out ------------------------------------------------------------------------------------------- */

/* What is ready goes to the file. */
static int
write_out(struct flow_module *m)
{
    struct bh_error err = { 0 };
    if (m->out.failed) {
        bh_buf_done(&m->out);
        bh_error_errno(&err, ENOMEM, bh_output_instance(m->o), "flows were lost",
                       "フローが失われました");
        say(m, BH_SAY_ERROR, &err);
        return 0;
    }
    if (m->out.len == 0 || m->series == NULL) {
        return 0;
    }
    const int r =
        bh_series_write(m->series, flow_table_now(m->table), m->out.data, m->out.len, &err);
    if (r != 0) {
        say(m, BH_SAY_ERROR, &err);
        return BH_EAGAIN;
    }
    m->out.len = 0;
    return 0;
}

static void
begin_text(struct flow_module *m)
{
    if (!m->has_head && m->form == FORM_IPFIX) {
        struct bh_error err = { 0 };
        if (flow_ipfix_templates(m->ipfix, flow_table_now(m->table), &err) != 0) {
            say(m, BH_SAY_ERROR, &err);
        }
    } else if (!m->has_head) {
        flow_text_head(m->form, flow_table_now(m->table), &m->out);
    }
    m->has_head = true;
}

static void
flow_ended(void *arg, const struct flow *f, enum flow_end end)
{
    struct flow_module *m = arg;
    m->flows_ended++;
    begin_text(m);
    if (m->form != FORM_IPFIX) {
        flow_text_line(m->form, &m->context, f, end, &m->out);
        return;
    }
    struct bh_error err = { 0 };
    if (flow_ipfix_add(m->ipfix, f, end, flow_table_now(m->table), &err) != 0) {
        say(m, BH_SAY_ERROR, &err);
    }
}

static void
refused(struct flow_module *m)
{
    struct bh_error err = { 0 };
    bh_error_errno(&err, errno, bh_output_text(m->o, "collector"), "cannot send", "送信できません");
    say(m, BH_SAY_WARNING, &err);
    bh_output_count(m->o, "messages_refused", 1);
}

/* A message. ECONNREFUSED is the news (by ICMP) that one before was refused; this one is sent anew. */
static void
put_message(void *arg, const uint8_t *message, size_t size)
{
    struct flow_module *m = arg;
    if (m->socket < 0) {
        bh_buf_add(&m->out, message, size);
        return;
    }
    ssize_t n = -1;
    for (unsigned tries = 0; n < 0 && tries < 3; tries++) {
        n = send(m->socket, message, size, MSG_NOSIGNAL);
        if (n < 0 && errno == ECONNREFUSED) {
            refused(m);
        } else if (n < 0 && errno != EINTR) {
            refused(m);
            break;
        }
    }
    bh_output_count(m->o, "messages_sent", n >= 0);
}

/* ---- open -------------------------------------------------------------------------------------------- */

/* "host:port", "[address]:port", in two strings. */
static bool
split_peer(char *text, char **ret_host, char **ret_port)
{
    char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || colon[1] == '\0') {
        return false;
    }
    *colon = '\0';
    *ret_port = colon + 1;
    const size_t len = strlen(text);
    if (text[0] == '[' && text[len - 1] == ']') {
        text[len - 1] = '\0';
        text++;
    } else if (strchr(text, ':') != NULL) {
        return false; /* an IPv6 address needs its brackets */
    }
    *ret_host = text;
    return *text != '\0';
}

static int
connect_to(struct flow_module *m, const char *peer, struct bh_error *err)
{
    char text[300], *host, *port;
    struct addrinfo want = { .ai_socktype = SOCK_DGRAM }, *found = NULL;
    if (snprintf(text, sizeof text, "%s", peer) >= (int)sizeof text ||
        !split_peer(text, &host, &port)) {
        return bh_error_set(err, BH_EUSAGE, "collector", "%s: must be HOST:PORT or [ADDRESS]:PORT",
                            "%s: ホスト:ポート または [アドレス]:ポート の形で指定してください",
                            peer);
    }
    const int g = getaddrinfo(host, port, &want, &found);
    if (g != 0) {
        return bh_error_set(err, -ENOENT, "collector", "%s: %s", "%s: %s", peer, gai_strerror(g));
    }
    int saved = 0;
    for (const struct addrinfo *a = found; a != NULL && m->socket < 0; a = a->ai_next) {
        m->socket = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, 0);
        if (m->socket >= 0 && bh_output_connect(m->o, m->socket, a->ai_addr, a->ai_addrlen) != 0) {
            saved = errno;
            bh_output_disconnect(m->o, m->socket);
            m->socket = -1;
        }
        saved = m->socket < 0 && saved == 0 ? errno : saved;
    }
    freeaddrinfo(found);
    return m->socket < 0 ? bh_error_errno(err, saved, peer, "cannot connect", "接続できません") : 0;
}

/* A file of IPFIX is messages; after a kill the last may be cut. */
static uint64_t
mend_ipfix(void *arg, int fd, uint64_t size)
{
    uint64_t good = 0;
    uint8_t head[4];
    (void)arg;
    while (size - good >= 16 && pread(fd, head, sizeof head, (off_t)good) == (ssize_t)sizeof head) {
        const uint16_t len = bh_get_be16(head + 2);
        if (bh_get_be16(head) != 10) {
            return size; /* nothing of ours: it is set aside as it is */
        }
        if (len < 16 || len > size - good) {
            break;
        }
        good += len;
    }
    return good == 0 ? size : good;
}

static int
open_sinks(struct flow_module *m, struct bh_error *err)
{
    const char *path = bh_output_text(m->o, "path"), *peer = bh_output_text(m->o, "collector");
    if ((path == NULL) == (peer == NULL)) {
        return bh_error_set(err, BH_EUSAGE, "path", "give either path or collector",
                            "path か collector のどちらか一方を指定してください");
    }
    if (peer != NULL && m->form != FORM_IPFIX) {
        return bh_error_set(err, BH_EUSAGE, "collector", "needs format = ipfix",
                            "format = ipfix が必要です");
    }
    int r = peer != NULL ? connect_to(m, peer, err) : 0;
    if (r == 0 && path != NULL) {
        struct bh_series_config cfg = files_config(m->o);
        cfg.mode = 0640;
        cfg.mend = m->form == FORM_IPFIX ? mend_ipfix : NULL;
        r = bh_series_open(&cfg, &m->series, err);
    }
    if (r == 0 && m->form == FORM_IPFIX) {
        const struct flow_ipfix_config cfg = {
            .domain = (uint32_t)bh_output_uint(m->o, "domain"),
            .message_max = peer != NULL ? MESSAGE_UDP : MESSAGE_FILE,
            .biflow = bh_output_uint(m->o, "biflow") != 0,
            .put = put_message,
            .arg = m,
        };
        r = flow_ipfix_new(&cfg, &m->ipfix, err);
    }
    return r;
}

static enum flow_form
form_of(const char *text)
{
    return strcmp(text, "csv") == 0     ? FORM_CSV
           : strcmp(text, "zeek") == 0  ? FORM_ZEEK
           : strcmp(text, "ipfix") == 0 ? FORM_IPFIX
                                        : FORM_NDJSON;
}

static int
flow_open(struct bh_output *o)
{
    struct bh_error err = { 0 };
    struct flow_module *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return -ENOMEM;
    }
    bh_output_set_state(o, m);
    m->o = o;
    m->socket = -1;
    m->form = form_of(bh_output_text(o, "format"));
    m->context =
        (struct flow_writer_context){ .sensor = "", .seed = (uint16_t)bh_output_uint(o, "seed") };
    m->templates_every_ns = (int64_t)bh_output_uint(o, "templates");
    const struct flow_config cfg = {
        .flows_max = (uint32_t)bh_output_uint(o, "flows"),
        .idle_tcp_ns = (int64_t)bh_output_uint(o, "idle-tcp"),
        .idle_other_ns = (int64_t)bh_output_uint(o, "idle-other"),
        .idle_closed_ns = (int64_t)bh_output_uint(o, "idle-closed"),
        .active_ns = (int64_t)bh_output_uint(o, "active"),
        .key = bh_random_key(),
        .ended = flow_ended,
        .arg = m,
    };
    static const char *const counters[] = { "flows",           "flows_ended_early", "flows_begun",
                                            "flows_closed",    "flows_lost",        "messages_sent",
                                            "messages_refused" };
    int r = open_sinks(m, &err);
    for (size_t k = 0; k < (m->socket >= 0 ? 7 : 5); k++) {
        bh_output_count(o, counters[k], 0); /* also those that stay 0 have a name */
    }
    if (r == 0 && (m->table = flow_table_new(&cfg)) == NULL) {
        r = bh_error_errno(&err, ENOMEM, bh_output_instance(o), "cannot start", "開始できません");
    }
    if (r != 0) {
        say(m, BH_SAY_ERROR, &err);
    }
    return r;
}

/* ---- calls ------------------------------------------------------------------------------------------- */

/* Flows that a process before this one had open, or not written, when it was killed: nobody knows more of them than how
 * many there were. */
static void
count_orphans(struct flow_module *m)
{
    const uint64_t begun = bh_output_counted(m->o, "flows_begun");
    const uint64_t gone =
        bh_output_counted(m->o, "flows_closed") + bh_output_counted(m->o, "flows_lost");
    struct bh_error err = { 0 };
    if (begun > gone) {
        bh_output_count(m->o, "flows_lost", begun - gone);
        bh_error_set(&err, 0, "", "%llu flows that were open were lost with the process before",
                     "前のプロセスの終了により、継続中のフロー %llu 件が失われました",
                     (unsigned long long)(begun - gone));
        say(m, BH_SAY_WARNING, &err);
    }
}

/* Flows go on over the change; what they say of countries is what is known when they end. */
static int
flow_run(struct bh_output *o, const struct bh_output_run *run)
{
    struct flow_module *m = bh_output_state(o);
    m->context.sensor = run->sensor != NULL ? run->sensor : "";
    m->context.countries = run->countries;
    m->next = 0;
    if (!m->any_run) {
        m->any_run = true;
        count_orphans(m);
    }
    return 0;
}

/* Lines and messages to the file, when they are many or `all` shall go; another file when it is time. */
static int
drain(struct flow_module *m, bool all)
{
    struct bh_error err = { 0 };
    const int64_t now = flow_table_now(m->table);
    if (all && m->ipfix != NULL && flow_ipfix_emit(m->ipfix, now, &err) != 0) {
        say(m, BH_SAY_ERROR, &err);
    }
    if (m->series == NULL) {
        m->out.len = 0;
        return 0;
    }
    int r = m->out.len >= OUT_WRITE || all || m->out.failed ? write_out(m) : 0;
    /* Between two writes only: `out` is empty then, and the next line begins with a header. */
    if (r == 0 && m->out.len == 0 && bh_series_is_due(m->series, now, OUT_WRITE)) {
        if (m->ipfix != NULL) {
            bh_ignore(
                flow_ipfix_emit(m->ipfix, now, &err)); /* what is in it stays with its templates */
            r = write_out(m);
        }
        if (r == 0 && bh_series_finish(m->series, &err) != 0) {
            say(m, BH_SAY_ERROR, &err);
            r = BH_EAGAIN;
        }
        m->has_head = r != 0;
    }
    return r;
}

static void
count_early(struct flow_module *m)
{
    const uint64_t early = flow_table_ended_early(m->table);
    if (early != m->said_early) {
        bh_output_count(m->o, "flows_ended_early", early - m->said_early);
        m->said_early = early;
    }
    if (m->flows_ended != 0) {
        bh_output_count(m->o, "flows", m->flows_ended);
        m->flows_ended = 0;
    }
    const uint64_t begun = flow_table_begun(m->table);
    if (begun != m->said_begun) {
        bh_output_count(m->o, "flows_begun", begun - m->said_begun);
        m->said_begun = begun;
    }
}

/* Everything that ended was written. */
static void
count_closed(struct flow_module *m)
{
    const uint64_t closed = flow_table_begun(m->table) - flow_table_count(m->table);
    if (closed != m->said_closed) {
        bh_output_count(m->o, "flows_closed", closed - m->said_closed);
        m->said_closed = closed;
    }
}

static int
flow_write(struct bh_output *o, const struct bh_output_batch *batch)
{
    struct flow_module *m = bh_output_state(o);
    if (batch->number < m->next) {
        return 0; /* once more: we have it */
    }
    if (drain(m, false) == BH_EAGAIN && m->out.len >= OUT_MAX) {
        return BH_EAGAIN;
    }
    flow_table_add(m->table, batch->records);
    flow_table_expire(m->table, EXPIRE_MOST);
    count_early(m);
    m->next = batch->number + 1;
    bh_ignore(drain(m, false)); /* the next call finds out again */
    if (m->out.len == 0 && m->form != FORM_IPFIX) {
        count_closed(m);
    }
    return 0;
}

static int
flow_flush(struct bh_output *o, uint64_t *ret_number)
{
    struct flow_module *m = bh_output_state(o);
    struct bh_error err = { 0 };
    int r = drain(m, true);
    if (r == 0 && m->series != NULL && bh_series_sync(m->series, &err) != 0) {
        say(m, BH_SAY_ERROR, &err);
        r = BH_EAGAIN;
    }
    if (r == 0) {
        count_closed(m);
    }
    *ret_number = m->next;
    return r;
}

/* Time that passed since packets came: ticks bring it, when it is not in packets. */
static int
flow_tick(struct bh_output *o, int64_t now_ns)
{
    struct flow_module *m = bh_output_state(o);
    const int64_t packets = flow_table_now(m->table);
    struct bh_error err = { 0 };
    if (m->any_tick && packets == m->packets_ns) {
        flow_table_pass(m->table, now_ns - m->tick_ns);
    }
    m->packets_ns = packets;
    m->tick_ns = now_ns;
    m->any_tick = true;
    if (m->out.len < OUT_MAX) {
        flow_table_expire(m->table, EXPIRE_MOST);
    }
    count_early(m);
    if (m->socket >= 0 &&
        (!m->any_templates || now_ns - m->templates_ns >= m->templates_every_ns)) {
        m->any_templates = m->has_head = true;
        m->templates_ns = now_ns;
        if (flow_ipfix_templates(m->ipfix, packets, &err) != 0) {
            say(m, BH_SAY_ERROR, &err);
        }
        bh_ignore(flow_ipfix_emit(m->ipfix, packets, &err));
    }
    bh_ignore(drain(m, false));
    return 0;
}

static void
flow_close(struct bh_output *o)
{
    struct flow_module *m = bh_output_state(o);
    if (m == NULL) {
        return;
    }
    if (m->table != NULL) {
        bool none_left = false;
        while (!none_left && drain(m, false) == 0) {
            none_left = flow_table_end_all(m->table, FLOW_FORCED, EXPIRE_MOST);
        }
        const int r = drain(m, true);
        if (r == 0) {
            count_closed(m);
        }
        const uint64_t left = flow_table_count(m->table);
        if (!none_left || r != 0) {
            struct bh_error err = { 0 };
            bh_error_set(&err, BH_ELIMIT, bh_output_instance(o),
                         "ends with flows that could not be written: %u",
                         "書き込めなかったフローがあります: %u", (unsigned)left);
            say(m, BH_SAY_ERROR, &err);
        }
        count_early(m);
    }
    bh_series_close(m->series);
    flow_ipfix_free(m->ipfix);
    flow_table_free(m->table);
    if (m->socket >= 0) {
        bh_output_disconnect(m->o, m->socket);
    }
    bh_buf_done(&m->out);
    free(m);
}

/* ---- table ------------------------------------------------------------------------------------------- */

#define SECONDS 1000000000ULL
static const struct bh_setting settings[] = {
    { .name = "format",
      .type = BH_SETTING_CHOICE,
      .unit = "",
      .default_text = "ndjson",
      .choices = "ndjson|csv|zeek|ipfix",
      .text = { "lines of JSON, CSV, Zeek's conn.log, or IPFIX",
                "出力形式: JSON の行、CSV、Zeek の conn.log、IPFIX" } },
    { .name = "path",
      .type = BH_SETTING_FILE_OUT,
      .unit = "",
      .text = { "the file to write; finished ones get a time into their names",
                "書き込むファイル。書き終えたものは名前に時刻が付く" } },
    { .name = "collector",
      .type = BH_SETTING_PEER,
      .unit = "",
      .text = { "HOST:PORT to send IPFIX to, over UDP",
                "IPFIX を UDP で送る宛先 (ホスト:ポート)" } },
    { .name = "flows",
      .type = BH_SETTING_UINT,
      .unit = "flows",
      .default_text = "65536",
      .least = 64,
      .most = 1U << 24,
      .text = { "most flows at a time (200 octets each); beyond, some end early",
                "同時に追うフローの最大数 (1 件 200 オクテット)。超えた分は早めに締める" } },
    { .name = "idle-tcp",
      .type = BH_SETTING_DURATION,
      .unit = "",
      .default_text = "300s",
      .least = SECONDS,
      .most = 30 * 86400 * SECONDS,
      .text = { "a TCP flow ends after so long without packets",
                "TCP のフローを締めるまでの無通信時間" } },
    { .name = "idle-other",
      .type = BH_SETTING_DURATION,
      .unit = "",
      .default_text = "60s",
      .least = SECONDS,
      .most = 30 * 86400 * SECONDS,
      .text = { "the same for UDP, ICMP and others", "UDP・ICMP などの場合の同じ時間" } },
    { .name = "idle-closed",
      .type = BH_SETTING_DURATION,
      .unit = "",
      .default_text = "5s",
      .least = SECONDS,
      .most = 3600 * SECONDS,
      .text = { "the same after a reset, or the FIN of both ends",
                "リセット後、または双方の FIN 後の同じ時間" } },
    { .name = "active",
      .type = BH_SETTING_DURATION,
      .unit = "",
      .default_text = "1800s",
      .most = 30 * 86400 * SECONDS,
      .text = { "a record at least so often of flows that go on; 0s: only at their end",
                "続いているフローも、この時間ごとに記録する。0s: 終わりにだけ" } },
    FILES_SETTINGS("256M", "1d", "0"),
    { .name = "seed",
      .type = BH_SETTING_UINT,
      .unit = "",
      .default_text = "0",
      .most = 65535,
      .text = { "of the Community ID; the same in all your tools",
                "Community ID のシード。使うツールすべてで揃える" } },
    { .name = "biflow",
      .type = BH_SETTING_BOOL,
      .unit = "",
      .default_text = "yes",
      .text = { "IPFIX: both directions in one record (RFC 5103), else in two",
                "IPFIX: 両方向を 1 レコードに (RFC 5103)。no: 2 レコードに" } },
    { .name = "domain",
      .type = BH_SETTING_UINT,
      .unit = "",
      .default_text = "1",
      .most = UINT32_MAX,
      .text = { "IPFIX: observation domain", "IPFIX: 観測ドメイン" } },
    { .name = "templates",
      .type = BH_SETTING_DURATION,
      .unit = "",
      .default_text = "30s",
      .least = SECONDS,
      .most = 3600 * SECONDS,
      .text = { "IPFIX over UDP: send templates again after so long",
                "IPFIX (UDP): テンプレートを送り直す間隔" } },
};

extern const struct bh_output_module bh_output_module_flow;
const struct bh_output_module bh_output_module_flow = {
    .abi_major = BH_OUTPUT_ABI,
    .size = sizeof(struct bh_output_module),
    .name = "flow",
    .summary = { "flows of both directions with their outcome, to files or an IPFIX collector",
                 "両方向をまとめたフローとその結末を、ファイルや IPFIX コレクターへ" },
    .settings = settings,
    .setting_count = BH_COUNT(settings),
    .when = BH_OUTPUT_AT_ONCE,
    .needs = BH_OUTPUT_NEEDS_CONNECT | BH_OUTPUT_NEEDS_RESOLVE,
    .open = flow_open,
    .run = flow_run,
    .write = flow_write,
    .flush = flow_flush,
    .tick = flow_tick,
    .close = flow_close,
};
