/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_ipc.h - a bounded queue of messages in shared memory, from one process to another.
 *
 * One writes, one reads; neither waits for the other, and neither trusts it. The writer finds the queue
 * full and goes on (what it loses it counts); the reader copies a message out, checked, before it looks at
 * it. Messages are octets: what they mean is checked by whoever unpacks them.
 *
 * What was taken stays in the queue until it is given back (bh_queue_give), so that who comes after a
 * reader that died begins with what was not safe yet. A writer that dies leaves whole messages only.
 *
 *     memory:  head | tail | octets ...        size = BH_QUEUE_HEADER + a power of two
 *
 * Threads:   one writer and one reader, in any threads or processes.
 * Ownership: the memory is the caller's: shared, zeroed, on a page. It outlives both ends.
 * Errors:    BH_EDAMAGED: the other end wrote what cannot be; the queue is of no use any more.
 */
#ifndef BH_IPC_H
#define BH_IPC_H

#include "bh_base.h"

#define BH_QUEUE_HEADER 4096U
#define BH_QUEUE_LEAST 65536U            /* octets behind the header, at least                */
#define BH_QUEUE_MESSAGE_MAX (16U << 20) /* and at most a quarter of the queue                 */

/* One end. Fields are private. */
struct bh_queue {
    struct bh_queue_shared *shared;
    uint8_t *octets;
    uint64_t size, at; /* at: writer: of the message begun; reader: of the next to take */
    uint64_t other;    /* as the other end last said                                    */
    uint32_t begun;
    bool damaged;
};

/* Memory for a queue that holds `octets` (rounded up to a power of two), shared with child processes.
 * NULL on failure. */
void *bh_queue_memory_new(uint64_t octets, size_t *ret_size);
/* The same behind a descriptor, for a process that runs already; it maps *ret_size octets of it, shared. */
void *bh_queue_descriptor_new(uint64_t octets, size_t *ret_size, int *ret_fd);
void *bh_queue_descriptor_map(int fd, size_t size); /* NULL on failure */
void bh_queue_memory_free(void *memory, size_t size);

/* The same call for both ends, and for who takes the place of one that died. The writer goes on behind
 * the last message, the reader with the first that was not given back. */
BH_NODISCARD int bh_queue_write_init(struct bh_queue *q, void *memory, size_t size);
BH_NODISCARD int bh_queue_read_init(struct bh_queue *q, void *memory, size_t size);

/* Room for a message of up to `len` octets; NULL: full, or damaged. */
uint8_t *bh_queue_begin(struct bh_queue *q, uint32_t len);
/* Hand it over, of `len` octets, no more than were asked for. True: the reader sleeps; wake it. */
bool bh_queue_end(struct bh_queue *q, uint32_t kind, uint32_t len);

/* Copy the next message to `to`. 1: one came; 0: none there; BH_EDAMAGED. A message longer than `size` is
 * damage: it was never sent by us. */
BH_NODISCARD int
bh_queue_take(struct bh_queue *q, void *to, uint32_t size, uint32_t *ret_kind, uint32_t *ret_len);
/* How far it has been read; what is before may be given back. */
static inline uint64_t
bh_queue_mark(const struct bh_queue *q)
{
    return q->at;
}
void bh_queue_give(struct bh_queue *q, uint64_t mark);
/* Octets taken and not given back, octets of the whole. */
uint64_t bh_queue_held(const struct bh_queue *q);
/* Reader: about to sleep. False: something came meanwhile, do not. Cleared by the next take. */
bool bh_queue_sleep(struct bh_queue *q);
/* Octets in the queue as either end sees them. */
uint64_t bh_queue_used(const struct bh_queue *q);
/* The same for who is neither end. */
uint64_t bh_queue_memory_used(const void *memory, size_t size);

#endif
