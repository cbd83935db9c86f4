/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * input.h - the whole of an input file, unpacked when it is compressed (gzip, xz, zstd; told by
 * its first octets, each when its library was there at build time).
 *
 * Threads: any. Ownership: the text is the caller's (input_done). Errors: 0 or negative, `err`
 * filled.
 */
#ifndef KOBOLD_INPUT_H
#define KOBOLD_INPUT_H

#include "bh_base.h"

/* A small archive can unpack without end; the largest registry file is 30 MB. */
#define INPUT_MAX ((size_t)1 << 30)

struct input {
    const char *text; /* never NULL after input_read() */
    size_t size;
    char *own; /* what of it was read or unpacked; NULL: the file itself, mapped */
    size_t room;
    struct bh_map map;
};

/* "-" is standard input. */
BH_NODISCARD int input_read(const char *path, struct input *ret, struct bh_error *err);
void input_done(struct input *in);

#endif
