/* SPDX-License-Identifier: BSD-2-Clause */
/* coverage.h - the report of "kobold compile --report", as text or JSON. */
#ifndef KOBOLD_COVERAGE_H
#define KOBOLD_COVERAGE_H

#include "cc_common.h"
#include "kobold_report.h"

void coverage_text(const struct cc_program *p, const kobold_build *b, const struct kobold_report *r,
                   struct bh_buf *out);
void coverage_json(const kobold_build *b, const struct kobold_report *r, struct bh_buf *out);

#endif
