/* SPDX-License-Identifier: BSD-2-Clause */
/* A record as a frame again. */
#ifndef FRAME_PRIV_H
#define FRAME_PRIV_H

#include "bh_event.h"

#define FRAME_MAX (256U << 10) /* of longer ones the rest is cut */
#define FRAME_PIECES 1024U

struct piece { /* a datagram whose fragments come */
    uint64_t key;
    uint32_t end;
};

struct frame_maker {
    struct piece pieces[FRAME_PIECES];
    uint32_t dirty; /* octets of `data` that may not be zero */
    uint8_t data[FRAME_MAX];
};

struct made_frame {
    uint32_t cap_len, wire_len;
    bool is_unknown_link; /* of a link type that nobody reads */
};

/* Rows of a batch in rising order; *quote_at starts at 0 for each batch, as *seen_at. */
void frame_make(struct frame_maker *m, const struct bh_batch *b, uint32_t row, uint32_t *quote_at, uint32_t *seen_at,
                struct made_frame *ret);

#endif
