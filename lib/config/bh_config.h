/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_config.h - beholder.conf: the sensor's configuration, checked.
 *
 * A configuration is a file and the files of the folder conf.d beside it, in the order of their names; what comes
 * later counts. Three kinds of section: [site], [capture] (their keys: bh_config_keys) and [output NAME], one
 * for each output instance, whose keys are `module`, `filter`, `queue`, `spool` ... and the settings of that module. The manual is
 * beholder.conf(5). The syntax is that of inih: `key = value`, `;` and `#` begin comments, a line that begins with
 * blanks continues the value before it.
 *
 * Reading goes on after an error, so that all of them can be shown at once (bh_config_error).
 *
 * Threads:   no hidden state; one thread at a time.
 * Ownership: texts that are returned belong to the configuration and last until it is freed.
 * Errors:    with file and line; an unknown section, key or module names the nearest.
 */
#ifndef BH_CONFIG_H
#define BH_CONFIG_H

#include "bh_output_host.h"

enum bh_config_section { BH_CONFIG_SITE, BH_CONFIG_CAPTURE, BH_CONFIG_OUTPUT, BH_CONFIG_SECTIONS };
/* The keys of a section, the same for every [output NAME]. */
const struct bh_setting *bh_config_keys(enum bh_config_section section, size_t *ret_count);

struct bh_config; /* opaque */
/* Modules by name, for what stands in [output NAME]; both calls as in bh_modules.h. */
typedef const struct bh_output_module *const *bh_config_modules_fn(size_t *ret_count);
/* NULL: no memory. */
struct bh_config *bh_config_new(bh_config_modules_fn *modules);
void bh_config_free(struct bh_config *c);

/* Read a file, and conf.d beside it. Negative: there were errors (bh_config_error). */
BH_NODISCARD int bh_config_read(struct bh_config *c, const char *path);
/* The same of text in memory, for tests; `name` is what errors call it. */
BH_NODISCARD int
bh_config_read_memory(struct bh_config *c, const char *name, const char *text, size_t len);
/* Set one value over what files say. `from` (borrowed) tells where it came from: "--ring". */
BH_NODISCARD int bh_config_set(struct bh_config *c, const char *section, const char *key,
                               const char *value, const char *from, struct bh_error *err);
/* An [output log] of module iplog that writes `log-dir`, when there is no output at all. Then check what no
 * line can be wrong about alone: modules, required settings, filters. Negative: there were errors. */
BH_NODISCARD int bh_config_finish(struct bh_config *c);

size_t bh_config_error_count(const struct bh_config *c);
const struct bh_error *bh_config_error(const struct bh_config *c, size_t index);

/* Values of [site] and [capture]: what was set, else the default, else NULL or 0 (ns, octets; yes is 1). A key that
 * is not in the table is a bug of the caller (assert). */
const char *
bh_config_text(const struct bh_config *c, enum bh_config_section section, const char *key);
uint64_t bh_config_uint(const struct bh_config *c, enum bh_config_section section, const char *key);
bool bh_config_given(const struct bh_config *c, enum bh_config_section section, const char *key);

struct bh_config_output {
    const char *name;
    const struct bh_output_module *module;
    const char *filter;    /* ""                        */
    uint64_t queue_octets; /* of its queue              */
    const char *spool;     /* directory; NULL: none     */
    uint64_t spool_octets;
    const struct bh_host_setting *settings;
    size_t setting_count;
};
/* After bh_config_finish(). */
size_t bh_config_output_count(const struct bh_config *c);
void bh_config_output(const struct bh_config *c, size_t index, struct bh_config_output *ret);
/* A number that changes when anything about the output does: what SIGHUP compares. */
uint64_t bh_config_output_mark(const struct bh_config *c, size_t index);

/* All values in effect, as a file that reads the same, or as JSON. `all`: defaults too. Each with where it is
 * from. Secrets are names of files, and stay so. */
void bh_config_print(const struct bh_config *c, bool all, enum bh_lang lang, struct bh_buf *out);
void bh_config_print_json(const struct bh_config *c, struct bh_buf *out);

#endif
