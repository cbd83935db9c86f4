/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ndjson: records, or counts per minute, as lines of JSON: into a file, to the standard output, or to whoever
 * listens on a Unix socket.
 *
 * A file has every batch once, whatever dies (file.h). A socket or pipe has it at least once: what a reader
 * had not read when it went away, the next one gets (shared/stream.h).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "counts.h"
#include "file.h"
#include "lines.h"
#include "stream.h"

#define WAITING_MOST (8U << 20)
#define IDLE_NS 65000000000LL /* nothing came for so long: what is counted goes out */
#define RETRY_NS 1000000000LL
#define NOTE_NS 2000000000LL /* how often counts are noted beside the file */

struct ndjson {
    struct lines *lines;   /* records, or */
    struct counts *counts; /* counts      */
    struct lines_file *file;
    struct stream *stream;
    int socket;
    struct bh_buf text;
    struct bh_buf noted; /* counts of the process before, as lines */
    uint64_t next;       /* the first batch we do not have         */
    uint64_t safe;       /* streams of counts: all below are written */
    int64_t now_ns, retry_ns, came_ns, note_ns, settled_ns;
    bool is_stdout, said_closed, is_noted;
};

static const struct bh_setting settings[] = {
    { .name = "file",
      .type = BH_SETTING_FILE_OUT,
      .unit = "",
      .text = { "append to this file; what belongs beside it is FILE.state and files put aside",
                "追記するファイル。FILE.state と、別名にした古いファイルが同じ場所にできる" } },
    { .name = "socket",
      .type = BH_SETTING_PEER,
      .unit = "",
      .text = { "or connect to this Unix stream socket, and again when it closes",
                "または接続する Unix ストリームソケット。閉じられたら接続し直す" } },
    { .name = "stdout",
      .type = BH_SETTING_BOOL,
      .unit = "",
      .default_text = "no",
      .text = { "or write to the standard output", "または標準出力に書く" } },
    { .name = "what",
      .type = BH_SETTING_CHOICE,
      .unit = "",
      .default_text = "records",
      .choices = "records|counts",
      .text = { "every record, or counts per minute by the fields of \"by\"",
                "記録をすべて (records)、または by の項目ごとの 1 分ごとの数 (counts)" } },
    { .name = "by",
      .type = BH_SETTING_TEXT,
      .unit = "",
      .default_text = "direction,country,proto,dst_port,class,outcome",
      .text = { "counts: fields that are told apart, comma-joined",
                "counts: 区別する項目 (コンマ区切り)" } },
    LINES_SETTINGS,
    { .name = "max-size",
      .type = BH_SETTING_SIZE,
      .unit = "octets",
      .default_text = "0",
      .text = { "file: put aside as FILE.TIME when it is that large; 0: never",
                "file: この大きさになったら FILE.時刻 に改名する。0 はしない" } },
    { .name = "max-age",
      .type = BH_SETTING_DURATION,
      .unit = "",
      .default_text = "0s",
      .text = { "file: put aside when it is that old; 0s: never",
                "file: この時間がたったら改名する。0s はしない" } },
    { .name = "keep",
      .type = BH_SETTING_UINT,
      .unit = "files",
      .default_text = "0",
      .text = { "file: how many of those that were put aside stay; 0: all",
                "file: 改名したファイルを残す数。0 はすべて" } },
};

static int
say_usage(struct bh_output *o, const char *where, const char *en, const char *ja)
{
    struct bh_error err = { 0 };
    const int r = bh_error_set(&err, BH_EUSAGE, where, "%s", "%s", "");
    snprintf(err.text[BH_EN], sizeof err.text[BH_EN], "%s", en);
    snprintf(err.text[BH_JA], sizeof err.text[BH_JA], "%s", ja);
    bh_output_say(o, BH_SAY_ERROR, &err);
    return r;
}

static int
check_target(struct bh_output *o, const struct ndjson *n)
{
    const char *socket_path = bh_output_text(o, "socket");
    const int targets = (bh_output_text(o, "file") != NULL) + (socket_path != NULL) + n->is_stdout;
    struct sockaddr_un a;
    if (targets != 1) {
        return say_usage(o, "file", "give one of file, socket, stdout = yes",
                         "file、socket、stdout = yes のうち 1 つを指定してください");
    }
    if (socket_path != NULL &&
        (socket_path[0] != '/' || strlen(socket_path) >= sizeof a.sun_path)) {
        return say_usage(o, socket_path, "must be the path of a Unix socket, of at most 107 octets",
                         "は Unix ソケットの絶対パス (107 オクテットまで) で指定してください");
    }
    if (strcmp(bh_output_text(o, "what"), "counts") == 0 &&
        strcmp(bh_output_text(o, "form"), "ecs") == 0) {
        return say_usage(o, "form", "counts have no ECS form", "counts に ECS の形はありません");
    }
    return 0;
}

static int
ndjson_open(struct bh_output *o)
{
    struct ndjson *n = calloc(1, sizeof *n);
    if (n == NULL) {
        return -ENOMEM;
    }
    bh_output_set_state(o, n);
    n->socket = -1;
    n->is_stdout = bh_output_uint(o, "stdout") != 0;
    int r = check_target(o, n);
    if (r != 0) {
        return r;
    }
    r = strcmp(bh_output_text(o, "what"), "counts") == 0
            ? counts_new(o, bh_output_text(o, "by"), &n->counts)
            : lines_new(o, &n->lines);
    if (r == 0 && bh_output_text(o, "file") != NULL) {
        const struct lines_file_config cfg = { .path = bh_output_text(o, "file"),
                                               .size_most = bh_output_uint(o, "max-size"),
                                               .age_most = bh_output_uint(o, "max-age"),
                                               .keep = bh_output_uint(o, "keep") };
        r = lines_file_open(o, &cfg, &n->file);
    } else if (r == 0) {
        n->stream = stream_new(WAITING_MOST);
        r = n->stream == NULL ? -ENOMEM : 0;
    }
    if (r == 0 && n->is_stdout) {
        stream_attach(n->stream, STDOUT_FILENO);
    }
    return r;
}

/* ---- streams ------------------------------------------------------------------------------------------------- */

static void
connect_again(struct bh_output *o, struct ndjson *n)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    if (n->is_stdout || n->now_ns < n->retry_ns) {
        return;
    }
    n->retry_ns = n->now_ns + RETRY_NS;
    snprintf(a.sun_path, sizeof a.sun_path, "%s", bh_output_text(o, "socket"));
    n->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (n->socket >= 0 && connect(n->socket, (const struct sockaddr *)&a, sizeof a) == 0) {
        stream_attach(n->stream, n->socket);
        n->said_closed = false;
        bh_output_count(o, "connections", 1);
        return;
    }
    if (!n->said_closed) {
        struct bh_error err = { 0 };
        bh_error_errno(&err, errno, a.sun_path, "cannot connect", "接続できません");
        bh_output_say(o, BH_SAY_WARNING, &err);
        n->said_closed = true;
    }
    if (n->socket >= 0) {
        close(n->socket);
        n->socket = -1;
    }
}

static void
pump(struct bh_output *o, struct ndjson *n)
{
    if (!stream_is_attached(n->stream)) {
        connect_again(o, n);
    }
    const int r = stream_pump(n->stream);
    if (r < 0) {
        struct bh_error err = { 0 };
        bh_error_errno(&err, -r, n->is_stdout ? "stdout" : bh_output_text(o, "socket"),
                       "the reader went away", "読み手がいなくなりました");
        bh_output_say(o, n->is_stdout ? BH_SAY_ERROR : BH_SAY_WARNING, &err);
        stream_detach(n->stream);
        if (n->socket >= 0) {
            close(n->socket);
            n->socket = -1;
        }
        n->retry_ns = n->now_ns + RETRY_NS;
        connect_again(o, n);
    }
}

/* ---- counts --------------------------------------------------------------------------------------------------- */

/* What is counted goes out, and nothing is counted any more. */
static int
settle(struct bh_output *o, struct ndjson *n)
{
    int r = 0;
    n->text.len = 0;
    bh_buf_add(&n->text, n->noted.data, n->noted.len);
    counts_put(n->counts, &n->text);
    if (n->text.failed) {
        return -ENOMEM;
    }
    if (n->file != NULL) {
        r = lines_file_settle(n->file, n->text.data, n->text.len, n->next);
    } else {
        r = stream_add(n->stream, n->next == 0 ? 0 : n->next - 1, n->text.data, n->text.len);
        if (r == 0) {
            pump(o, n);
        }
    }
    if (r == 0) {
        counts_reset(n->counts);
        n->noted.len = 0;
        n->safe = n->next;
        n->settled_ns = n->now_ns;
    }
    return r;
}

static int
note(struct ndjson *n)
{
    n->text.len = 0;
    bh_buf_add(&n->text, n->noted.data, n->noted.len);
    counts_put(n->counts, &n->text);
    const int r =
        n->text.failed ? -ENOMEM : lines_file_note(n->file, n->text.data, n->text.len, n->next);
    n->safe = r == 0 ? n->next : n->safe;
    n->note_ns = n->now_ns;
    n->is_noted = r == 0;
    return r;
}

static bool
has_counts(const struct ndjson *n)
{
    return n->counts != NULL && (!counts_is_empty(n->counts) || n->noted.len > 0);
}

static int
write_counts(struct bh_output *o, struct ndjson *n, const struct bh_output_batch *batch)
{
    /* Old records come minutes by the second: then some of them go out at once, as each time is synced. */
    if (counts_is_due(n->counts) &&
        (n->now_ns - n->settled_ns >= RETRY_NS || counts_is_large(n->counts))) {
        const int r = settle(o, n);
        if (r != 0) {
            return BH_EAGAIN;
        }
    }
    const uint64_t others = counts_others(n->counts);
    const int r = counts_add(n->counts, batch);
    if (r == 0) {
        n->next = batch->number + 1;
        n->came_ns = n->now_ns;
        n->is_noted = false;
    }
    if (counts_others(n->counts) > others) {
        bh_output_count(o, "others", counts_others(n->counts) - others);
    }
    return r;
}

/* ---- calls ------------------------------------------------------------------------------------------------------ */

static int
ndjson_run(struct bh_output *o, const struct bh_output_run *run)
{
    struct ndjson *n = bh_output_state(o);
    int r = has_counts(n) ? settle(o, n) : 0;
    if (r != 0) {
        return r;
    }
    n->next = n->safe = 0;
    r = n->counts != NULL ? counts_run(n->counts, run) : lines_run(n->lines, run);
    if (r == 0 && n->file != NULL) {
        r = lines_file_run(n->file, run, &n->next);
        n->safe = n->next;
        lines_file_take_noted(n->file, &n->noted);
        if (r == 0 && n->noted.len > 0 && n->counts == NULL) { /* it counted before */
            r = lines_file_settle(n->file, n->noted.data, n->noted.len, n->next);
            n->noted.len = 0;
        }
    } else if (r == 0) {
        stream_run(n->stream);
    }
    return r;
}

static int
ndjson_write(struct bh_output *o, const struct bh_output_batch *batch)
{
    struct ndjson *n = bh_output_state(o);
    if (batch->number < n->next) {
        bh_output_count(o, "repeats", 1);
        return 0;
    }
    if (n->counts != NULL) {
        return write_counts(o, n, batch);
    }
    n->text.len = 0;
    lines_add(n->lines, batch, &n->text);
    if (n->text.failed) {
        bh_buf_done(&n->text);
        return -ENOMEM;
    }
    int r;
    if (n->file != NULL) {
        r = lines_file_append(n->file, n->text.data, n->text.len, batch->number + 1);
    } else {
        pump(o, n);
        r = stream_add(n->stream, batch->number, n->text.data, n->text.len);
        if (r == 0) {
            pump(o, n);
        }
    }
    n->next = r == 0 ? batch->number + 1 : n->next;
    return r;
}

static int
ndjson_flush(struct bh_output *o, uint64_t *ret_number)
{
    struct ndjson *n = bh_output_state(o);
    int r = 0;
    if (n->file != NULL) {
        if (n->counts != NULL && !n->is_noted &&
            (n->now_ns - n->note_ns >= NOTE_NS || n->now_ns == 0)) {
            r = note(n);
        }
        r = r != 0 ? r : lines_file_sync(n->file);
        *ret_number = n->counts != NULL ? n->safe : n->next;
        return r;
    }
    pump(o, n);
    *ret_number = stream_read_upto(n->stream, n->counts != NULL ? n->safe : n->next);
    return 0;
}

static int
ndjson_tick(struct bh_output *o, int64_t now_ns)
{
    struct ndjson *n = bh_output_state(o);
    int r = 0;
    n->now_ns = now_ns;
    n->came_ns = n->came_ns == 0 ? now_ns : n->came_ns;
    if (bh_output_run(o) != NULL && has_counts(n) && now_ns - n->came_ns >= IDLE_NS) {
        r = settle(o, n);
        n->came_ns = now_ns;
    }
    if (n->stream != NULL) {
        pump(o, n);
    } else if (bh_output_run(o) != NULL) {
        const int t = lines_file_tick(n->file, now_ns);
        r = r != 0 ? r : t;
    }
    return r;
}

static void
ndjson_close(struct bh_output *o)
{
    struct ndjson *n = bh_output_state(o);
    if (n == NULL) {
        return;
    }
    if (bh_output_run(o) != NULL && has_counts(n)) {
        bh_ignore(settle(o, n)); /* it was said; a file still has it noted */
    }
    if (n->stream != NULL) {
        pump(o, n);
    }
    lines_file_close(n->file);
    stream_free(n->stream);
    if (n->socket >= 0) {
        close(n->socket);
    }
    counts_free(n->counts);
    lines_free(n->lines);
    bh_buf_done(&n->text);
    bh_buf_done(&n->noted);
    free(n);
}

extern const struct bh_output_module bh_output_module_ndjson;
const struct bh_output_module bh_output_module_ndjson = {
    .abi_major = BH_OUTPUT_ABI,
    .size = sizeof(struct bh_output_module),
    .name = "ndjson",
    .summary = { "records or counts per minute as lines of JSON: a file, a Unix socket, the standard output",
                 "記録または 1 分ごとの数を JSON の行として、ファイル、Unix ソケット、標準出力へ" },
    .settings = settings,
    .setting_count = BH_COUNT(settings),
    .when = BH_OUTPUT_DECIDED,
    .needs = BH_OUTPUT_NEEDS_CONNECT,
    .open = ndjson_open,
    .run = ndjson_run,
    .write = ndjson_write,
    .flush = ndjson_flush,
    .tick = ndjson_tick,
    .close = ndjson_close,
};
