/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the log is when nobody says: the sensor of a machine writes into /var/log/beholder, who is not
 * root into a folder of his own. Reports look in the same places, so that the two find each other.
 */
#include "bh_store.h"

#include <stdlib.h>
#include <unistd.h>

#define OF_SYSTEM "/var/log/beholder"

const char *
bh_store_default_dir(char *ret, size_t size)
{
    const char *said = getenv(BH_STORE_DIR_VARIABLE), *state = getenv("XDG_STATE_HOME"),
               *home = getenv("HOME");
    int n;
    if (said != NULL && said[0] != '\0') {
        n = snprintf(ret, size, "%s", said);
    } else if (geteuid() == 0) {
        n = snprintf(ret, size, "%s", OF_SYSTEM);
    } else if (state != NULL &&
               state[0] == '/') { /* relative ones are to be ignored, says its specification */
        n = snprintf(ret, size, "%s/beholder", state);
    } else if (home != NULL && home[0] == '/') {
        n = snprintf(ret, size, "%s/.local/state/beholder", home);
    } else {
        n = snprintf(ret, size, "%s", OF_SYSTEM);
    }
    if (n < 0 || (size_t)n >= size) {
        snprintf(ret, size, "%s", OF_SYSTEM);
    }
    return ret;
}

static bool
has_logs(const char *path)
{
    struct bh_store_paths p = { 0 };
    const bool has = bh_store_find_logs(path, &p) == 0 && p.count > 0;
    bh_store_paths_done(&p);
    return has;
}

const char *
bh_store_default_log(char *ret, size_t size)
{
    const char *said = getenv(BH_STORE_DIR_VARIABLE);
    bh_store_default_dir(ret, size);
    if ((said == NULL || said[0] == '\0') && !has_logs(ret) && has_logs(OF_SYSTEM)) {
        snprintf(ret, size, "%s", OF_SYSTEM);
    }
    return ret;
}
