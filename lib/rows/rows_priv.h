/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of lib/rows share. */
#ifndef ROWS_PRIV_H
#define ROWS_PRIV_H

#include "bh_rows.h"

/* What a value of the country data is called. Numbers are those of equal texts: who counts by names
 * compares them. */
struct place {
    const char *code; /* "JP", "private-use" */
    const char *name; /* "Japan"             */
    const char *region, *region_name;
    uint16_t code_number, name_number, region_number;
    char text[48]; /* of code, when it is not static */
};

struct system_name {
    uint32_t number;
    char *name; /* NULL: it has none */
};

struct bh_sight {
    const kobold *countries;
    enum bh_lang lang;
    uint32_t needs;
    struct bh_anonymize *anonymize;
    struct place *places;
    unsigned place_count;
    struct system_name *systems; /* open addressing; number 0: free */
    size_t system_count, system_room;

    struct bh_batch *batch;
    uint16_t src_value[BH_BATCH_STRIDE], dst_value[BH_BATCH_STRIDE], far_value[BH_BATCH_STRIDE];
    uint32_t system[BH_BATCH_STRIDE];
};

/* Remembered as long as the sight; NULL: it has none. */
const char *sight_system_name(const struct bh_sight *s, uint32_t number);

#endif
