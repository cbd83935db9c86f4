/* SPDX-License-Identifier: BSD-2-Clause */
/* stream_zstd.c - RFC 8878 frames, one after the other, through libzstd. */
#include "capture_priv.h"

#ifdef BH_WITH_ZSTD

#include <stdlib.h>

#include <zstd.h>
#include <zstd_errors.h>

/* Octets before the size of a frame's header is known. */
#define FRAME_BEGIN 5U
#define BLOCK_HEADER 3U

struct zstd_state {
    ZSTD_DStream *d;
    size_t hint; /* input that takes it past the next block and the header behind it */
};

static void *
zstd_open(void)
{
    struct zstd_state *z = calloc(1, sizeof *z);
    if (z == NULL) {
        return NULL;
    }
    z->hint = FRAME_BEGIN;
    /* The library's own bound of the window holds (128 MiB): a frame of `zstd --long=31` is an
     * error, as a stranger's file must not choose how much memory we take. */
    z->d = ZSTD_createDStream();
    if (z->d == NULL) {
        free(z);
        return NULL;
    }
    return z;
}

static void
zstd_close(void *state)
{
    struct zstd_state *z = state;
    ZSTD_freeDStream(z->d);
    free(z);
}

static enum cap_unpack_result
zstd_run(void *state, struct cap_unpack_io *io)
{
    struct zstd_state *z = state;
    /* Block by block, without the header of the next one that the hint has in it: a call that
     * fails does not say what it had unpacked before. */
    size_t want = z->hint > BLOCK_HEADER ? z->hint - BLOCK_HEADER : z->hint;
    ZSTD_inBuffer in = { io->in, io->in_left < want ? io->in_left : want, 0 };
    ZSTD_outBuffer out = { io->out, io->out_left, 0 };
    size_t r = ZSTD_decompressStream(z->d, &out, &in);

    io->in += in.pos;
    io->in_left -= in.pos;
    io->out += out.pos;
    io->out_left -= out.pos;
    if (ZSTD_isError(r)) {
        if (ZSTD_getErrorCode(r) == ZSTD_error_memory_allocation) {
            return CAP_UNPACK_NOMEM;
        }
        io->reason = ZSTD_getErrorName(r);
        return CAP_UNPACK_BAD;
    }
    z->hint = r == 0 ? FRAME_BEGIN : r;
    return r == 0 ? CAP_UNPACK_MEMBER_END : CAP_UNPACK_MORE;
}

const struct cap_unpacker bh_cap_zstd = {
    "zstd", "libzstd", false, zstd_open, zstd_run, zstd_close
};

#else

const struct cap_unpacker bh_cap_zstd = { .name = "zstd", .library = "libzstd" };

#endif
