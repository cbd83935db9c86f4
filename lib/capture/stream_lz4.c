/* SPDX-License-Identifier: BSD-2-Clause */
/* stream_lz4.c - LZ4 frames, one after the other, through liblz4. */
#include "capture_priv.h"

#ifdef BH_WITH_LZ4

#include <stdlib.h>

#include <lz4frame.h>

/* The shortest header of a frame. */
#define FRAME_BEGIN 7U
#define BLOCK_HEADER 4U

struct lz4_state {
    LZ4F_dctx *d;
    size_t hint; /* input that takes it past the next block and the header behind it */
};

static void *
lz4_open(void)
{
    struct lz4_state *l = calloc(1, sizeof *l);
    if (l == NULL) {
        return NULL;
    }
    l->hint = FRAME_BEGIN;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&l->d, LZ4F_VERSION))) {
        free(l);
        return NULL;
    }
    return l;
}

static void
lz4_close(void *state)
{
    struct lz4_state *l = state;
    LZ4F_freeDecompressionContext(l->d);
    free(l);
}

static enum cap_unpack_result
lz4_run(void *state, struct cap_unpack_io *io)
{
    struct lz4_state *l = state;
    /* Block by block, without the header of the next one that the hint has in it: a call that
     * fails does not say what it had unpacked before. */
    size_t want = l->hint > BLOCK_HEADER ? l->hint - BLOCK_HEADER : l->hint;
    size_t in = io->in_left < want ? io->in_left : want;
    size_t out = io->out_left;
    size_t r = LZ4F_decompress(l->d, io->out, &out, io->in, &in, NULL);

    if (LZ4F_isError(r)) {
        io->reason = LZ4F_getErrorName(r);
        /* Its codes are not public; the names are. */
        return strcmp(io->reason, "ERROR_allocation_failed") == 0 ? CAP_UNPACK_NOMEM
                                                                  : CAP_UNPACK_BAD;
    }
    io->in += in;
    io->in_left -= in;
    io->out += out;
    io->out_left -= out;
    l->hint = r == 0 ? FRAME_BEGIN : r;
    return r == 0 ? CAP_UNPACK_MEMBER_END : CAP_UNPACK_MORE;
}

const struct cap_unpacker bh_cap_lz4 = { "lz4", "liblz4", false, lz4_open, lz4_run, lz4_close };

#else

const struct cap_unpacker bh_cap_lz4 = { .name = "lz4", .library = "liblz4" };

#endif
