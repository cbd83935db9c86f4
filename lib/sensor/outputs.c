/* SPDX-License-Identifier: BSD-2-Clause */
/* Outputs as the parent prepares them: checked, their folders made, with a queue and what they share. */
#include "sensor_priv.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUE_BYTES (16U << 20)

static void
hear_child(void *arg, const char *instance, enum bh_say level, const struct bh_error *err)
{
    sensor_say(arg, instance, level, err);
}

static const char *
command_of(const struct bh_sensor_output *c)
{
    const char *command = NULL;
    for (uint32_t k = 0; k < c->module->setting_count; k++) {
        for (size_t g = 0;
             c->module->settings[k].type == BH_SETTING_COMMAND && g < c->setting_count; g++) {
            command = strcmp(c->settings[g].name, c->module->settings[k].name) == 0
                          ? c->settings[g].value
                          : command;
        }
    }
    return (c->module->needs & BH_OUTPUT_NEEDS_CHILD) != 0 ? command : NULL;
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
    const char *command = command_of(o->config);
    if (command == NULL) {
        return 0;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, o->child_fd) != 0) {
        return bh_error_errno(err, errno, o->name, "cannot start", "開始できません");
    }
    const struct bh_child_config child = { .command = command,
                                           .instance = o->name,
                                           .sensor = s->config->sensor,
                                           .hand_to = o->child_fd[0],
                                           .say = hear_child,
                                           .say_arg = s };
    return bh_child_new(&child, &o->child, err);
}

int
output_parse_filter(const struct sensor *s, const struct bh_sensor_output *c,
                    struct bh_filter **ret, struct bh_error *err)
{
    const uint32_t countries = s->plan->runs[atomic_load(&s->plan->run) % RUNS].countries;
    int r = bh_filter_parse(c->filter_words, c->filter_count, s->countries[countries % RUNS].k, ret,
                            err);
    if (r == 0 && c->module->when == BH_OUTPUT_AT_ONCE && *ret != NULL &&
        (bh_filter_needs(*ret) & BH_FILTER_NEEDS_OUTCOME) != 0) {
        r = bh_error_set(
            err, BH_EUSAGE, "outcome",
            "is not known yet when a record is written; keep all and ask for it in the report",
            "は記録を書く時点ではまだ分かりません。すべて残し、レポートで絞り込んでください");
    }
    return r;
}

int
output_prepare(struct sensor *s, const struct bh_sensor_output *c, struct output *o,
               struct bh_error *err)
{
    const struct bh_host_config host = { .module = c->module,
                                         .instance = c->name,
                                         .settings = c->settings,
                                         .setting_count = c->setting_count };
    *o = (struct output){
        .config = c, .module = c->module, .needs = c->module->needs, .mark = c->mark
    };
    o->wake_fd = o->child_fd[0] = o->child_fd[1] = o->queue_fd = o->from = -1;
    snprintf(o->name, sizeof o->name, "%s", c->name);
    int r = bh_host_check(&host, err);
    r = r != 0 ? r : output_parse_filter(s, c, &o->filter, err);
    r = r != 0 ? r : confine_hand_over(s, c, err);
    r = r != 0 ? r : open_spool(s, o, err);
    r = r != 0 || geteuid() == 0 ? r : confine_check_files(s, c, err);
    return r != 0 ? r : open_child(s, o, err);
}

int
output_share(struct output *o, bool by_descriptor, struct bh_error *err)
{
    const uint64_t octets = o->config->queue_bytes != 0 ? o->config->queue_bytes : QUEUE_BYTES;
    o->queue = by_descriptor ? bh_queue_descriptor_new(octets, &o->queue_size, &o->queue_fd)
                             : bh_queue_memory_new(octets, &o->queue_size);
    o->outlet = sensor_shared_new(sizeof *o->outlet);
    o->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return o->queue != NULL && o->outlet != NULL && o->wake_fd >= 0
               ? 0
               : bh_error_errno(err, ENOMEM, o->name, "cannot start", "開始できません");
}

static void
close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

void
output_close_program(struct output *o)
{
    bh_child_free(o->child);
    o->child = NULL;
    close_fd(&o->child_fd[0]);
    close_fd(&o->child_fd[1]);
}

void
output_close(struct output *o)
{
    output_close_program(o);
    bh_queue_memory_free(o->queue, o->queue_size);
    bh_filter_free(o->filter);
    close_fd(&o->wake_fd);
    close_fd(&o->queue_fd);
    if (o->outlet != NULL) {
        munmap(o->outlet, sizeof *o->outlet);
    }
    *o = (struct output){ .state = OUTPUT_NONE };
    o->wake_fd = o->queue_fd = o->child_fd[0] = o->child_fd[1] = o->from = -1;
}
