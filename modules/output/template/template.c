/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * template: the output module to copy. It writes nothing; it counts what it is given and says so when it
 * closes, which is enough to have a state, a setting, and every call once.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "bh_output.h"

struct template
{
    uint64_t rows, accesses;
    uint64_t next; /* the first batch we do not have: what was written, and what can be a repeat */
    bool says_so;
};

static const struct bh_setting settings[] = {
    { .name = "report",
      .type = BH_SETTING_BOOL,
      .unit = "",
      .default_text = "no",
      .text = { "say at the end how many records came", "終了時に届いた記録の数を示す" } },
};

static int
template_open(struct bh_output *o)
{
    struct template *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return -ENOMEM;
    }
    t->says_so = bh_output_uint(o, "report") != 0;
    bh_output_set_state(o, t);
    return 0;
}

/* Batches count from 0 again. */
static int
template_run(struct bh_output *o, const struct bh_output_run *run)
{
    struct template *t = bh_output_state(o);
    (void)run;
    t->next = 0;
    return 0;
}

static int
template_write(struct bh_output *o, const struct bh_output_batch *batch)
{
    struct template *t = bh_output_state(o);
    if (batch->number < t->next) {
        return 0; /* once more, after a restart of something: we have it */
    }
    for (uint32_t row = 0; row < batch->rows; row++) {
        struct bh_value access;
        bh_output_value(batch, row, 30, &access); /* field 30: "access" */
        t->accesses += !access.absent && access.number != 0;
    }
    t->rows += batch->rows;
    t->next = batch->number + 1;
    return 0;
}

/* Nothing is on its way: what was taken is as safe as it gets. */
static int
template_flush(struct bh_output *o, uint64_t *ret_number)
{
    const struct template *t = bh_output_state(o);
    *ret_number = t->next;
    return 0;
}

static int
template_tick(struct bh_output *o, int64_t now_ns)
{
    (void)o;
    (void)now_ns;
    return 0;
}

static void
template_close(struct bh_output *o)
{
    struct template *t = bh_output_state(o);
    if (t != NULL && t->says_so) {
        struct bh_error said = { 0 };
        bh_error_set(&said, 0, "", "%" PRIu64 " records came, %" PRIu64 " of them accesses",
                     "記録 %" PRIu64 " 件、うちアクセス %" PRIu64 " 件", t->rows, t->accesses);
        bh_output_say(o, BH_SAY_NOTE, &said);
    }
    free(t);
}

extern const struct bh_output_module bh_output_module_template;
const struct bh_output_module bh_output_module_template = {
    .abi_major = BH_OUTPUT_ABI,
    .size = sizeof(struct bh_output_module),
    .name = "template",
    .summary = { "writes nothing; the module to copy", "何も書かない。新しいモジュールの雛形" },
    .settings = settings,
    .setting_count = BH_COUNT(settings),
    .when = BH_OUTPUT_DECIDED,
    .open = template_open,
    .run = template_run,
    .write = template_write,
    .flush = template_flush,
    .tick = template_tick,
    .close = template_close,
};
