/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.h - batches on their way through a pipe or a socket to a reader that may come and go.
 *
 * A pipe does not say what its reader did with what it read, but what it has read: what is not read stays
 * here too, and when the reader goes away the next one gets it from the beginning of the first batch that
 * was not read whole. So no batch is missing, and one may come twice: at least once.
 *
 * Memory is bounded: beyond `most` octets batches are not taken (BH_EAGAIN).
 */
#ifndef STREAM_H
#define STREAM_H

#include "bh_output.h"

struct stream;                          /* opaque */
struct stream *stream_new(size_t most); /* NULL: no memory */
void stream_free(struct stream *s);     /* the descriptor is its owner's */
/* A reader is there: an open pipe, Unix or TCP socket, terminal or file. */
void stream_attach(struct stream *s, int fd);
/* It went away. */
void stream_detach(struct stream *s);
bool stream_is_attached(const struct stream *s);
/* Batches count from 0 again. */
void stream_run(struct stream *s);
/* 0, BH_EAGAIN, or -ENOMEM. Whatever is larger than `most` is taken when nothing else waits. */
BH_NODISCARD int stream_add(struct stream *s, uint64_t number, const void *text, size_t len);
/* Write as much as goes without waiting. Negative: the reader went away (-EPIPE ...). */
BH_NODISCARD int stream_pump(struct stream *s);
/* All batches of the run with lower numbers were read whole; `next`: when nothing waits. */
uint64_t stream_read_upto(struct stream *s, uint64_t next);
size_t stream_waiting(const struct stream *s); /* octets not read yet */

#endif
