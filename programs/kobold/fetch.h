/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fetch.h - a file by https, and nothing else. Errors are said by the caller: 0 or a negative code, with
 * `err` filled. One thread; fetch_open() and fetch_close() around any number of fetch_get().
 */
#ifndef KOBOLD_FETCH_H
#define KOBOLD_FETCH_H

#include "bh_base.h"

struct fetch; /* opaque */

struct fetch_options {
    const char *ca_file; /* NULL: the certificates the system trusts             */
    unsigned timeout_s;  /* for one file; half of it without an octet ends it too */
};

BH_NODISCARD int
fetch_open(const struct fetch_options *o, struct fetch **ret, struct bh_error *err);
void fetch_close(struct fetch *f);
/* The body of an answer 200; more than size_max octets are an error. `out` is emptied first. */
BH_NODISCARD int fetch_get(struct fetch *f, const char *url, size_t size_max, struct bh_buf *out,
                           struct bh_error *err);

#endif
