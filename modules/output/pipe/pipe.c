/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pipe: records as lines of JSON into the standard input of any program, which the sensor's parent starts
 * without privileges and starts again when it ends (lib/output/child.c).
 *
 * Delivered is what the program has read. When it ends, the next one begins with the first batch that was not
 * read whole: no line is missing, some may come twice; the field "id" tells them.
 */
#include <stdlib.h>

#include "lines.h"
#include "stream.h"

#define WAITING_MOST (8U << 20)

struct pipe_output {
    struct lines *lines;
    struct stream *stream;
    struct bh_buf text;
    uint64_t next;
};

static const struct bh_setting settings[] = {
    { .name = "command",
      .type = BH_SETTING_COMMAND,
      .unit = "",
      .required = true,
      .text = { "the program and its arguments; words are split as a shell does, nothing else is",
                "プログラムと引数。語はシェルのように分けるが、それ以外の展開はしない" } },
    LINES_SETTINGS,
};

static int
pipe_open(struct bh_output *o)
{
    struct pipe_output *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return -ENOMEM;
    }
    bh_output_set_state(o, p);
    p->stream = stream_new(WAITING_MOST);
    return p->stream == NULL ? -ENOMEM : lines_new(o, &p->lines);
}

/* The program that runs now, and as much as it takes now. */
static void
pump(struct bh_output *o, struct pipe_output *p)
{
    if (!stream_is_attached(p->stream)) {
        const int fd = bh_output_child_fd(o, false);
        if (fd < 0) {
            return;
        }
        stream_attach(p->stream, fd);
        bh_output_count(o, "starts", 1);
    }
    if (stream_pump(p->stream) < 0) {
        stream_detach(p->stream);
        bh_output_child_fd(o, true); /* its end is said by who started it */
    }
}

static int
pipe_run(struct bh_output *o, const struct bh_output_run *run)
{
    struct pipe_output *p = bh_output_state(o);
    p->next = 0;
    stream_run(p->stream);
    return lines_run(p->lines, run);
}

static int
pipe_write(struct bh_output *o, const struct bh_output_batch *batch)
{
    struct pipe_output *p = bh_output_state(o);
    if (batch->number < p->next) {
        return 0;
    }
    pump(o, p);
    p->text.len = 0;
    lines_add(p->lines, batch, &p->text);
    if (p->text.failed) {
        bh_buf_done(&p->text);
        return -ENOMEM;
    }
    const int r = stream_add(p->stream, batch->number, p->text.data, p->text.len);
    if (r == 0) {
        p->next = batch->number + 1;
        pump(o, p);
    }
    return r;
}

static int
pipe_flush(struct bh_output *o, uint64_t *ret_number)
{
    struct pipe_output *p = bh_output_state(o);
    pump(o, p);
    *ret_number = stream_read_upto(p->stream, p->next);
    return 0;
}

static int
pipe_tick(struct bh_output *o, int64_t now_ns)
{
    (void)now_ns;
    pump(o, bh_output_state(o));
    return 0;
}

static void
pipe_close(struct bh_output *o)
{
    struct pipe_output *p = bh_output_state(o);
    if (p != NULL) {
        if (p->stream != NULL) {
            pump(o, p);
        }
        stream_free(p->stream);
        lines_free(p->lines);
        bh_buf_done(&p->text);
        free(p);
    }
}

extern const struct bh_output_module bh_output_module_pipe;
const struct bh_output_module bh_output_module_pipe = {
    .abi_major = BH_OUTPUT_ABI,
    .size = sizeof(struct bh_output_module),
    .name = "pipe",
    .summary = { "records as lines of JSON to any program, started again when it ends",
                 "記録を JSON の行として任意のプログラムへ。終了したら再開する" },
    .settings = settings,
    .setting_count = BH_COUNT(settings),
    .when = BH_OUTPUT_DECIDED,
    .needs = BH_OUTPUT_NEEDS_CHILD,
    .open = pipe_open,
    .run = pipe_run,
    .write = pipe_write,
    .flush = pipe_flush,
    .tick = pipe_tick,
    .close = pipe_close,
};
