/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ecs.h - records under the names of the Elastic Common Schema, version 8.11.
 *
 * What ECS has a field for goes there, in the form ECS wants; everything else goes below "beholder", as ECS
 * asks of fields of one's own (a proper noun). Objects are nested.
 */
#ifndef ECS_H
#define ECS_H

#include "lines.h"

struct ecs;                                             /* opaque */
struct ecs *ecs_new(const struct lines_fields *fields); /* NULL: no memory; fields are borrowed */
void ecs_free(struct ecs *e);
/* A line. `sensor` and `id` are JSON strings. */
void ecs_put(const struct ecs *e, const struct bh_sight *sight, uint32_t row,
             const struct bh_buf *sensor, const struct bh_buf *id, struct bh_buf *to);

#endif
