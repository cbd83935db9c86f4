/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_modules.h - the output modules there are: those of this build, by a table that meson.build makes, and shared
 * objects.
 *
 * A module NAME that is not built in is the file NAME.so: beside the program's build (a tree that was not installed),
 * else in the folder of modules. A name with a slash is a file itself. Whoever may write there decides what the
 * sensor runs, so a file is taken only when root or the user who runs the program owns it, and nobody else may write it.
 *
 * Threads:   load before threads are started.
 * Ownership: a loaded module stays until the program ends.
 */
#ifndef BH_MODULES_H
#define BH_MODULES_H

#include "bh_output.h"

/* All that can be loaded, sorted by name; those that cannot are left out. */
const struct bh_output_module *const *bh_modules(size_t *ret_count);
/* Built in, or loaded now. What a table says is checked. */
BH_NODISCARD int
bh_module_load(const char *name, const struct bh_output_module **ret, struct bh_error *err);
const struct bh_output_module *bh_module_find(const char *name); /* the same; NULL: there is none */
/* Names of all, built in and in the folders, sorted; the caller frees each and the list. */
size_t bh_module_names(char ***ret_names);

#endif
