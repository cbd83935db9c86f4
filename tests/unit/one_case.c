/* SPDX-License-Identifier: BSD-2-Clause */
/* With BH_CASE in the environment a unit test runs that case alone: a fault need not wait for the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

__attribute__((constructor)) static void
choose_case(void)
{
    const char *name = getenv("BH_CASE");
    if (name != NULL && name[0] != '\0') {
        cmocka_set_test_filter(name);
    }
}
