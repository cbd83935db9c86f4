/* SPDX-License-Identifier: BSD-2-Clause */
/* Sensors of several logs: what store.c needs of sensors.c. */
#ifndef SENSORS_PRIV_H
#define SENSORS_PRIV_H

#include "store_priv.h"

#define SENSOR_NAME_SIZE 64U

struct sensor_names {
    char (*text)[SENSOR_NAME_SIZE];
    const char **name; /* of each, as batches want them */
    size_t count;
    uint16_t *of_run; /* index into the names */
};
BH_NODISCARD int sensor_names_init(struct sensor_names *s, const struct bh_store_run *run,
                                   char *const *dir_of_run, size_t runs, struct bh_error *err);
void sensor_names_done(struct sensor_names *s);

/* What is known of a run's time. */
struct run_silences {
    const struct bh_store_silence *silence;
    uint32_t count;
    int64_t first_ns, last_ns;
    bool edges_known; /* before the first and after the last record it saw nothing */
};
/* When none of the runs held a frame, for at least so long, between two frames of any. */
uint32_t silences_meet(const struct run_silences *run, size_t runs, uint64_t least_ns,
                       struct bh_store_silence *ret, uint32_t max);

#endif
