/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Positions count octets and never go back; an octet's place is its position modulo the size. A message
 * is a head of eight octets (length, kind) and its octets, padded to eight. None runs over the end of the
 * memory: where it would, a head that says SKIP fills up to there.
 *
 * The writer is the process that parses strangers' packets. So the reader takes every number once,
 * compares it with what can be, and works on its copy. The other way round the same: a position of the
 * reader that cannot be makes the queue full for good, never the writer write elsewhere.
 */
#include "bh_ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAGIC 0x62687130U
#define HEAD 8U
#define SKIP UINT32_MAX

/* Each end's words on lines of their own. In the byte order of the machine: it never leaves it. */
struct bh_queue_shared {
    uint32_t magic;
    uint32_t pad0[31];
    _Atomic uint64_t head; /* the writer's */
    uint64_t pad1[15];
    _Atomic uint64_t tail; /* the reader's */
    _Atomic uint32_t sleeping;
};
_Static_assert(sizeof(struct bh_queue_shared) <= BH_QUEUE_HEADER, "the header is a page");

static uint64_t
padded(uint64_t len)
{
    return HEAD + ((len + 7) & ~7ULL);
}

static uint64_t
rounded(uint64_t octets)
{
    uint64_t size = BH_QUEUE_LEAST;
    while (size < octets && size < 1ULL << 40) {
        size *= 2;
    }
    return size;
}

void *
bh_queue_descriptor_map(int fd, size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

void *
bh_queue_descriptor_new(uint64_t octets, size_t *ret_size, int *ret_fd)
{
    const size_t size = BH_QUEUE_HEADER + rounded(octets);
    const int fd = memfd_create("beholder-queue", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *p = NULL;
    /* Neither end may make it shorter than what the other has mapped. */
    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
        p = bh_queue_descriptor_map(fd, size);
    }
    if (p == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    *ret_size = size;
    *ret_fd = fd;
    return p;
}

void *
bh_queue_memory_new(uint64_t octets, size_t *ret_size)
{
    const uint64_t size = rounded(octets);
    void *p = mmap(NULL, BH_QUEUE_HEADER + size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                   -1, 0);
    if (p == MAP_FAILED) {
        return NULL;
    }
    *ret_size = BH_QUEUE_HEADER + size;
    return p;
}

void
bh_queue_memory_free(void *memory, size_t size)
{
    if (memory != NULL) {
        munmap(memory, size);
    }
}

static int
init(struct bh_queue *q, void *memory, size_t size)
{
    const uint64_t octets = size < BH_QUEUE_HEADER ? 0 : size - BH_QUEUE_HEADER;
    if (octets < BH_QUEUE_LEAST || (octets & (octets - 1)) != 0) {
        return -EINVAL;
    }
    *q = (struct bh_queue){ .shared = memory,
                            .octets = (uint8_t *)memory + BH_QUEUE_HEADER,
                            .size = octets };
    if (q->shared->magic != 0 && q->shared->magic != MAGIC) {
        return BH_EDAMAGED;
    }
    q->shared->magic = MAGIC;
    const uint64_t head = atomic_load_explicit(&q->shared->head, memory_order_acquire);
    const uint64_t tail = atomic_load_explicit(&q->shared->tail, memory_order_acquire);
    return head - tail > octets || (head | tail) % 8 != 0 ? BH_EDAMAGED : 0;
}

int
bh_queue_write_init(struct bh_queue *q, void *memory, size_t size)
{
    int r = init(q, memory, size);
    if (r == 0) {
        q->at = atomic_load_explicit(&q->shared->head, memory_order_relaxed);
        q->other = atomic_load_explicit(&q->shared->tail, memory_order_acquire);
    }
    return r;
}

int
bh_queue_read_init(struct bh_queue *q, void *memory, size_t size)
{
    int r = init(q, memory, size);
    if (r == 0) {
        q->at = atomic_load_explicit(&q->shared->tail, memory_order_relaxed);
        q->other = atomic_load_explicit(&q->shared->head, memory_order_acquire);
    }
    return r;
}

/* ---- the writer ------------------------------------------------------------------------------------ */

static bool
has_room(struct bh_queue *q, uint64_t need)
{
    if (q->at - q->other + need <= q->size) {
        return true;
    }
    const uint64_t tail = atomic_load_explicit(&q->shared->tail, memory_order_acquire);
    if (q->at - tail > q->size || tail % 8 != 0) {
        q->damaged = true;
        return false;
    }
    q->other = tail;
    return q->at - tail + need <= q->size;
}

static void
put_head(struct bh_queue *q, uint64_t at, uint32_t len, uint32_t kind)
{
    uint8_t *p = q->octets + (at & (q->size - 1));
    memcpy(p, &len, sizeof len);
    memcpy(p + 4, &kind, sizeof kind);
}

uint8_t *
bh_queue_begin(struct bh_queue *q, uint32_t len)
{
    const uint64_t need = padded(len), left = q->size - (q->at & (q->size - 1));
    if (q->damaged || len > BH_QUEUE_MESSAGE_MAX || need > q->size / 4) {
        return NULL;
    }
    if (!has_room(q, left < need ? left + need : need)) {
        return NULL;
    }
    if (left < need) {
        put_head(q, q->at, SKIP, 0);
        q->at += left;
    }
    q->begun = len;
    return q->octets + (q->at & (q->size - 1)) + HEAD;
}

bool
bh_queue_end(struct bh_queue *q, uint32_t kind, uint32_t len)
{
    len = len < q->begun ? len : q->begun;
    put_head(q, q->at, len, kind);
    q->at += padded(len);
    /* Against bh_queue_sleep(): either we see that it sleeps, or it sees the message. */
    atomic_store_explicit(&q->shared->head, q->at, memory_order_seq_cst);
    return atomic_load_explicit(&q->shared->sleeping, memory_order_seq_cst) != 0;
}

/* ---- the reader ------------------------------------------------------------------------------------ */

static int
damage(struct bh_queue *q)
{
    q->damaged = true;
    return BH_EDAMAGED;
}

/* Something to take? Takes a new position of the writer only when what is known is used up. */
static int
look(struct bh_queue *q)
{
    if (q->at == q->other) {
        const uint64_t head = atomic_load_explicit(&q->shared->head, memory_order_acquire);
        const uint64_t tail = atomic_load_explicit(&q->shared->tail, memory_order_relaxed);
        if (head - tail > q->size || head - q->at > q->size || head % 8 != 0) {
            return damage(q);
        }
        q->other = head;
    }
    return q->at != q->other;
}

int
bh_queue_take(struct bh_queue *q, void *to, uint32_t size, uint32_t *ret_kind, uint32_t *ret_len)
{
    uint32_t len, kind;
    if (q->damaged) {
        return BH_EDAMAGED;
    }
    atomic_store_explicit(&q->shared->sleeping, 0, memory_order_relaxed);
    for (;;) {
        int r = look(q);
        if (r <= 0) {
            return r;
        }
        const uint64_t left = q->size - (q->at & (q->size - 1));
        const uint8_t *p = q->octets + (q->at & (q->size - 1));
        memcpy(&len, p, sizeof len);
        memcpy(&kind, p + 4, sizeof kind);
        /* The writer may change them while we look: what was compared is what is used. */
        __asm__ volatile("" : "+r"(len), "+r"(kind));
        if (len == SKIP) {
            if (q->other - q->at < left) {
                return damage(q);
            }
            q->at += left;
            continue;
        }
        if (len > size || padded(len) > left || padded(len) > q->other - q->at) {
            return damage(q);
        }
        memcpy(to, p + HEAD, len);
        q->at += padded(len);
        *ret_kind = kind;
        *ret_len = len;
        return 1;
    }
}

void
bh_queue_give(struct bh_queue *q, uint64_t mark)
{
    const uint64_t tail = atomic_load_explicit(&q->shared->tail, memory_order_relaxed);
    if (mark - tail <= q->at - tail) {
        atomic_store_explicit(&q->shared->tail, mark, memory_order_release);
    }
}

uint64_t
bh_queue_held(const struct bh_queue *q)
{
    return q->at - atomic_load_explicit(&q->shared->tail, memory_order_relaxed);
}

bool
bh_queue_sleep(struct bh_queue *q)
{
    atomic_store_explicit(&q->shared->sleeping, 1, memory_order_seq_cst);
    if (q->at != atomic_load_explicit(&q->shared->head, memory_order_seq_cst)) {
        atomic_store_explicit(&q->shared->sleeping, 0, memory_order_relaxed);
        return false;
    }
    return true;
}

uint64_t
bh_queue_used(const struct bh_queue *q)
{
    const uint64_t head = atomic_load_explicit(&q->shared->head, memory_order_relaxed);
    const uint64_t tail = atomic_load_explicit(&q->shared->tail, memory_order_relaxed);
    return head - tail > q->size ? q->size : head - tail;
}

uint64_t
bh_queue_memory_used(const void *memory, size_t size)
{
    const struct bh_queue_shared *q = memory;
    const uint64_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    const uint64_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    return head - tail > size - BH_QUEUE_HEADER ? size - BH_QUEUE_HEADER : head - tail;
}
