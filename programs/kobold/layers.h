/* SPDX-License-Identifier: BSD-2-Clause */
/* layers.h - what "kobold info" tells of a database beyond its countries. */
#ifndef KOBOLD_LAYERS_H
#define KOBOLD_LAYERS_H

#include "cc_common.h"

void layers_text(const struct cc_program *p, const kobold *k, struct bh_buf *out);
void layers_json(const kobold *k, struct bh_buf *out); /* ,"as":{...},"inputs":[...] */

#endif
