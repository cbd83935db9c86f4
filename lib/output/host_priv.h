/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BH_OUTPUT_HOST_PRIV_H
#define BH_OUTPUT_HOST_PRIV_H

#include "bh_output_host.h"

/* A setting as the module sees it. */
struct setting_value {
    const struct bh_setting *setting;
    const char *text; /* borrowed, or `own` */
    char *own;
    uint64_t number;
};

BH_NODISCARD int settings_parse(const struct bh_host_config *cfg, bool read_secrets,
                                struct setting_value **ret, struct bh_error *err);
void settings_free(struct setting_value *v, size_t count);

/* The counter of this name, made when it is new; NULL: there are BH_OUTPUT_OWN others. */
_Atomic uint64_t *own_counter(struct bh_host_counters *c, const char *name);

struct bh_output {
    const struct bh_output_module *module;
    const char *instance;
    struct setting_value *values;
    void *state;
    const struct bh_output_run *run;
    struct bh_output_health health;
    const struct bh_board *board;
    struct bh_own_board *own;
    int own_fd[BH_OWN_SOCKETS]; /* of the board's entries */
    struct bh_host_counters *counters;
    void (*say)(void *arg, const char *instance, enum bh_say level, const struct bh_error *err);
    void *say_arg;
    int (*child_fd)(void *arg, bool broken);
    void *child_arg;
};

#endif
