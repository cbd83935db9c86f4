/* SPDX-License-Identifier: BSD-2-Clause */
/* stream_xz.c - .xz streams, one after the other, through liblzma. */
#include "capture_priv.h"

#ifdef BH_WITH_LZMA

#include <stdlib.h>

#include <lzma.h>

/* The dictionary of `xz -9` is 64 MiB; more than this a stranger's file must not ask for. */
#define MEMORY_MAX (UINT64_C(128) << 20)

struct xz_state {
    lzma_stream z;
    bool is_between; /* streams: the next octet begins one */
};

static lzma_ret
begin(struct xz_state *x)
{
    return lzma_stream_decoder(&x->z, MEMORY_MAX, 0);
}

static void *
xz_open(void)
{
    struct xz_state *x = calloc(1, sizeof *x);
    if (x != NULL && begin(x) != LZMA_OK) {
        free(x);
        return NULL;
    }
    return x;
}

static void
xz_close(void *state)
{
    struct xz_state *x = state;
    lzma_end(&x->z);
    free(x);
}

static enum cap_unpack_result
xz_run(void *state, struct cap_unpack_io *io)
{
    struct xz_state *x = state;
    if (x->is_between && begin(x) != LZMA_OK) {
        return CAP_UNPACK_NOMEM;
    }
    x->is_between = false;
    x->z.next_in = io->in;
    x->z.avail_in = io->in_left;
    x->z.next_out = io->out;
    x->z.avail_out = io->out_left;
    const lzma_ret r = lzma_code(&x->z, LZMA_RUN);
    io->in = x->z.next_in;
    io->in_left = x->z.avail_in;
    io->out = x->z.next_out;
    io->out_left = x->z.avail_out;
    switch (r) {
    case LZMA_OK:
    case LZMA_BUF_ERROR: /* nothing to do without input or room: not an error */
        return CAP_UNPACK_MORE;
    case LZMA_STREAM_END:
        x->is_between = true;
        return CAP_UNPACK_MEMBER_END;
    case LZMA_MEM_ERROR:
        return CAP_UNPACK_NOMEM;
    case LZMA_MEMLIMIT_ERROR:
        io->reason = "it asks for more than 128 MiB of memory";
        return CAP_UNPACK_BAD;
    case LZMA_FORMAT_ERROR:
        io->reason = "no .xz stream begins here";
        return CAP_UNPACK_BAD;
    case LZMA_OPTIONS_ERROR:
        io->reason = "options that this liblzma does not know";
        return CAP_UNPACK_BAD;
    default:
        io->reason = "the data are corrupt";
        return CAP_UNPACK_BAD;
    }
}

/* Padding of zeros may follow a stream, as the format says. */
const struct cap_unpacker bh_cap_xz = { "xz", "liblzma", true, xz_open, xz_run, xz_close };

#else

const struct cap_unpacker bh_cap_xz = { .name = "xz", .library = "liblzma" };

#endif
