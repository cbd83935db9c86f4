/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lines.h - records as lines of JSON: the fields that a setting names, under our names or ECS's.
 *
 * Modules that write lines put LINES_SETTINGS into their table. A field that a record does not have is left
 * out. Times are UTC. Columns are those of lib/rows, and two that only an output knows:
 *
 *     sensor   the name of the sensor
 *     id       "SENSOR/START/BATCH/ROW": the same record has the same, also when it comes twice
 */
#ifndef LINES_H
#define LINES_H

#include "bh_output.h"
#include "bh_rows.h"

#define LINES_SETTINGS                                                                                     \
    { .name = "fields",                                                                                    \
      .type = BH_SETTING_TEXT,                                                                             \
      .unit = "",                                                                                          \
      .default_text = "all",                                                                               \
      .text = { "fields of a record, comma-joined: those that \"beholder fields\" lists, sensor, "         \
                "and id, which is the same for a record that comes twice",                                 \
                "記録の項目 (コンマ区切り): beholder fields の項目、sensor、および id " \
                "(重複して届いた記録では同じ値)" } },                                                      \
    {                                                                                                      \
        .name = "form", .type = BH_SETTING_CHOICE, .unit = "", .default_text = "plain",                    \
        .choices = "plain|ecs", .text = {                                                                  \
            "names of the fields: Beholder's own, or those of the Elastic Common Schema",                  \
            "項目の名前: Beholder のもの (plain)、または Elastic Common Schema (ecs)"          \
        }                                                                                                  \
    }

/* "time,src,dst" as columns; `sensor` and `id` are told apart. Says what is wrong with a field. */
struct lines_fields {
    struct bh_column column[BH_COLUMNS_MAX_ROWS];
    size_t count;
    uint32_t needs;
    bool sensor, id;
};
BH_NODISCARD int lines_fields_parse(struct bh_output *o, const char *setting, const char *text,
                                    struct lines_fields *ret);

struct lines; /* opaque */
BH_NODISCARD int lines_new(struct bh_output *o, struct lines **ret);
void lines_free(struct lines *l);
BH_NODISCARD int lines_run(struct lines *l, const struct bh_output_run *run);
/* Adds a line for each row. `to` fails as buffers do. */
void lines_add(struct lines *l, const struct bh_output_batch *batch, struct bh_buf *to);

/* "2026-11-29T08:00:00.123456789Z", as many digits by threes as are not zero. Returns the place behind. */
char *lines_put_time(char *at, int64_t ts_ns);
/* A value without its key; with the quotes it needs. */
void lines_put_value(struct bh_buf *to, enum bh_type type, const struct bh_value *v);

#endif
