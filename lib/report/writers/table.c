/* SPDX-License-Identifier: BSD-2-Clause */
/* The writers there are. A new one is a file beside this, and a line here. */
#include "bh_report_priv.h"

const struct bh_writer bh_writers[] = {
    { "text", bh_write_text },
    { "json", bh_write_json },
    { "csv", bh_write_csv },
    { "md", bh_write_markdown },
};
const size_t bh_writers_count = BH_COUNT(bh_writers);

const struct bh_writer *
bh_writer_find(const char *name)
{
    for (size_t i = 0; i < BH_COUNT(bh_writers); i++) {
        if (strcmp(bh_writers[i].name, name) == 0) {
            return &bh_writers[i];
        }
    }
    return NULL;
}
