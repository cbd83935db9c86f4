/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BH_CONFIG_PRIV_H
#define BH_CONFIG_PRIV_H

#include "bh_config.h"

struct entry {
    char *key, *value;
    char *from;    /* "conf.d/10-log.conf", "--ring" */
    uint32_t line; /* 0: not of a file              */
    uint64_t number;
};

struct section {
    enum bh_config_section kind;
    char *name; /* of an output; "" of the others */
    char *from;
    uint32_t line;
    struct entry *entries;
    size_t count;
    const struct bh_output_module *module; /* of an output, after finish */
    struct bh_host_setting *settings;
    size_t setting_count;
    uint64_t queue, spool_octets;
    const char *spool; /* NULL: none */
};

#define CONFIG_ERRORS 64U
struct bh_config {
    bh_config_modules_fn *modules;
    struct section *sections; /* [0] site, [1] capture, then outputs in the order they came */
    size_t count;
    struct bh_error errors[CONFIG_ERRORS];
    size_t error_count;
    bool no_memory;
};

extern const char *const section_names[BH_CONFIG_SECTIONS];

/* Which setting a key is: of the section's table, else of the module's (may be NULL). */
const struct bh_setting *find_key(const struct section *s, const char *key);
/* Finds or makes it. "output log" with any blanks in between. NULL: `err` says why. */
struct section *config_section(struct bh_config *c, const char *title, struct bh_error *err);
/* `append`: the value goes on. */
int section_set(struct bh_config *c, struct section *s, const struct entry *e, bool append,
                struct bh_error *err);
struct entry *section_find(const struct section *s, const char *key);
/* Keeps a copy; the 64th says that there are more. */
void config_fault(struct bh_config *c, const struct bh_error *err);

#endif
