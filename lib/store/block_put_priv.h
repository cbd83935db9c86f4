/* SPDX-License-Identifier: BSD-2-Clause */
/* A block on its way to its octets: what the files of its columns share. */
#ifndef STORE_BLOCK_PUT_PRIV_H
#define STORE_BLOCK_PUT_PRIV_H

#include "store_priv.h"

/* So many rows ahead what they refer to is asked for: each is a cold line. */
#define BLOCK_AHEAD 16U

struct put {
    const struct dict *d;
    const struct terms *t;
    const struct chunk *c;
    struct block_work *w;
    struct block_head head;
    struct bh_buf *body;
    size_t body_at; /* where this block begins in it */
};

/* What came to the body since the last column is this one. */
void block_finish_column(struct put *p, enum column column);
/* Size and octets of w->bits. */
void block_put_bits_of(struct put *p);
/* block_put_ends.c: country, far end, near end. Entries and usual TTLs of the rows are left in w->entry, w->usual. */
void block_put_far(struct put *p);
void block_put_near(struct put *p);

#endif
