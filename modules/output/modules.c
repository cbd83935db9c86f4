/* SPDX-License-Identifier: BSD-2-Clause */
#include "bh_modules.h"

#include "modules_table.h"

#define MODULE(name) extern const struct bh_output_module bh_output_module_##name;
MODULES
#undef MODULE

#define MODULE(name) &bh_output_module_##name,
static const struct bh_output_module *const modules[] = { MODULES };
#undef MODULE

const struct bh_output_module *const *
bh_modules(size_t *ret_count)
{
    *ret_count = BH_COUNT(modules);
    return modules;
}

const struct bh_output_module *
bh_module_find(const char *name)
{
    for (size_t k = 0; k < BH_COUNT(modules); k++) {
        if (strcmp(modules[k]->name, name) == 0) {
            return modules[k];
        }
    }
    return NULL;
}
