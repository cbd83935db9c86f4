/* SPDX-License-Identifier: BSD-2-Clause */
/* stream_gzip.c - RFC 1952 members, one after the other, through zlib. */
#include "capture_priv.h"

#ifdef BH_WITH_ZLIB

#include <stdlib.h>

#include <zlib.h>

struct gzip_state {
    z_stream z;
    bool is_between; /* members: the next octet begins one */
};

static void *
gzip_open(void)
{
    struct gzip_state *g = calloc(1, sizeof *g);
    /* 15: the largest window; + 16: gzip only, not zlib's own wrapping. */
    if (g != NULL && inflateInit2(&g->z, 15 + 16) != Z_OK) {
        free(g);
        return NULL;
    }
    return g;
}

static void
gzip_close(void *state)
{
    struct gzip_state *g = state;
    inflateEnd(&g->z);
    free(g);
}

static uInt
clamp(size_t n)
{
    return n < (1U << 30) ? (uInt)n : 1U << 30;
}

static enum cap_unpack_result
gzip_run(void *state, struct cap_unpack_io *io)
{
    struct gzip_state *g = state;
    uInt in = clamp(io->in_left);
    uInt out = clamp(io->out_left);

    if (g->is_between) {
        inflateReset(&g->z); /* fails for a broken z_stream only */
        g->is_between = false;
    }
    g->z.next_in = (z_const Bytef *)(uintptr_t)io->in;
    g->z.avail_in = in;
    g->z.next_out = io->out;
    g->z.avail_out = out;
    int r = inflate(&g->z, Z_NO_FLUSH);
    io->in += in - g->z.avail_in;
    io->in_left -= in - g->z.avail_in;
    io->out += out - g->z.avail_out;
    io->out_left -= out - g->z.avail_out;
    switch (r) {
    case Z_OK:
    case Z_BUF_ERROR: /* nothing to do without input or room: not an error */
        return CAP_UNPACK_MORE;
    case Z_STREAM_END:
        g->is_between = true;
        return CAP_UNPACK_MEMBER_END;
    case Z_MEM_ERROR:
        return CAP_UNPACK_NOMEM;
    default:
        io->reason = g->z.msg != NULL ? g->z.msg : "a preset dictionary is asked for";
        return CAP_UNPACK_BAD;
    }
}

const struct cap_unpacker bh_cap_gzip = { "gzip", "zlib", true, gzip_open, gzip_run, gzip_close };

#else

const struct cap_unpacker bh_cap_gzip = { .name = "gzip", .library = "zlib" };

#endif
