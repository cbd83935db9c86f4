/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * trouble: an output module of the tests that goes wrong once, on purpose, when `after` records came: it crashes,
 * blocks in a call until FILE.go is there (`hang`: not once only), refuses records until then, or is slow from then on. Whatever it takes is a
 * line in FILE: the IP ID of each record. FILE.done says that it went wrong already.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "bh_output.h"

struct trouble {
    uint64_t rows, after, next;
    int fd;
    char done[512], go[512];
};

static const struct bh_setting settings[] = {
    { .name = "file", .type = BH_SETTING_FILE_OUT, .required = true, .text = { "file", "file" } },
    { .name = "after",
      .type = BH_SETTING_UINT,
      .default_text = "1000",
      .text = { "after", "after" } },
    { .name = "what",
      .type = BH_SETTING_CHOICE,
      .default_text = "crash",
      .choices = "crash|block|hang|refuse|slow",
      .text = { "what", "what" } },
};

static int
trouble_open(struct bh_output *o)
{
    struct trouble *t = calloc(1, sizeof *t);
    bh_output_set_state(o, t);
    if (t == NULL) {
        return -ENOMEM;
    }
    const char *file = bh_output_text(o, "file");
    t->after = bh_output_uint(o, "after");
    t->fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    snprintf(t->done, sizeof t->done, "%s.done", file);
    snprintf(t->go, sizeof t->go, "%s.go", file);
    return t->fd < 0 ? -errno : 0;
}

static int
trouble_run(struct bh_output *o, const struct bh_output_run *run)
{
    (void)run;
    ((struct trouble *)bh_output_state(o))->next = 0;
    return 0;
}

/* BH_EAGAIN: not now. */
static int
go_wrong(struct bh_output *o, struct trouble *t)
{
    const char *what = bh_output_text(o, "what");
    if (strcmp(what, "slow") == 0) {
        usleep(100000);
        return 0;
    }
    if (strcmp(what, "refuse") == 0) {
        return access(t->go, F_OK) == 0 ? 0 : BH_EAGAIN;
    }
    if (access(t->done, F_OK) == 0 && strcmp(what, "hang") != 0) {
        return 0;
    }
    close(open(t->done, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    if (strcmp(what, "crash") == 0) {
        raise(SIGSEGV);
    }
    while (access(t->go, F_OK) != 0) {
        usleep(10000);
    }
    return 0;
}

static int
trouble_write(struct bh_output *o, const struct bh_output_batch *batch)
{
    struct trouble *t = bh_output_state(o);
    struct bh_buf text = { 0 };
    if (batch->number < t->next) {
        return 0;
    }
    if (t->rows + batch->rows > t->after && go_wrong(o, t) == BH_EAGAIN) {
        return BH_EAGAIN;
    }
    for (uint32_t row = 0; row < batch->rows; row++) {
        struct bh_value v;
        bh_output_value(batch, row, 19 /* ip_id */, &v);
        bh_buf_printf(&text, "%u\n", v.absent ? 0U : (unsigned)v.number);
    }
    const ssize_t n = write(t->fd, text.data, text.len);
    const bool all = n == (ssize_t)text.len;
    bh_buf_done(&text);
    t->rows += batch->rows;
    t->next = batch->number + 1;
    return all ? 0 : -EIO;
}

static void
trouble_close(struct bh_output *o)
{
    struct trouble *t = bh_output_state(o);
    if (t != NULL && t->fd >= 0) {
        close(t->fd);
    }
    free(t);
}

extern const struct bh_output_module bh_output_module_trouble;
const struct bh_output_module bh_output_module_trouble = {
    .abi_major = BH_OUTPUT_ABI,
    .size = sizeof(struct bh_output_module),
    .name = "trouble",
    .summary = { "goes wrong", "goes wrong" },
    .settings = settings,
    .setting_count = BH_COUNT(settings),
    .when = BH_OUTPUT_DECIDED,
    .open = trouble_open,
    .run = trouble_run,
    .write = trouble_write,
    .close = trouble_close,
};
