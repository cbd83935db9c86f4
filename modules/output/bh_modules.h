/* SPDX-License-Identifier: BSD-2-Clause */
/* bh_modules.h - the output modules of this build, by name: a table that meson.build beside it makes. */
#ifndef BH_MODULES_H
#define BH_MODULES_H

#include "bh_output.h"

const struct bh_output_module *const *bh_modules(size_t *ret_count);
const struct bh_output_module *bh_module_find(const char *name); /* NULL: there is none */

#endif
