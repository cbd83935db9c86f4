/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kobold_pin.c - kobold_live: replacing a database under threads that look up in it.
 *
 * The difficulty is the moment between learning which database is current and counting oneself
 * among its users: in between it may be replaced and unmapped. So both happen in one atomic
 * operation, on one word that holds the number of the current slot and how often that has been
 * taken since it became current (a split reference count):
 *
 *     word of kobold_live    slot (6 bits) | takes (58 bits)
 *     slot                   database, balance
 *
 *     take    word += 1. What was there says which slot it is; we are counted in the same breath.
 *     give    balance of the slot -= 1.
 *     swap    word := new slot | 0. What was there says how often the old slot had been taken;
 *             balance of the old slot += that number.
 *
 * While a slot is current its balance is minus the number of gives. The swap adds all takes, so
 * from then on the balance is the number of those who still hold it. Whoever brings it to 0 - the
 * swap when nobody held it, else the last give - closes the database. Exactly one does: as long as
 * takes are not added the balance is not above 0, so a give that finds 1 comes after the swap, and
 * when the swap's sum is 0 all gives have been.
 *
 * Memory order, for processors that reorder (arm64):
 *   - The swap's exchange of the word releases what it wrote into the slot (the database, a
 *     balance of 0). A take acquires. Between them lie only other takes, read-modify-writes of the
 *     same word, which continue the exchange's release sequence: the n-th take sees it as well as
 *     the first.
 *   - A give releases the look-ups before it, and the operation that brings the balance to 0
 *     acquires. All operations on the balance are read-modify-writes, so one release sequence again:
 *     every look-up of every thread happens before the unmapping.
 *   - The slot's database becomes NULL, released, after the closing; a swap that reuses the slot
 *     acquires that.
 *
 * 58 bits are enough for a hundred million takes a second for 90 years. Slots are 64 because each
 * costs a cache line; more than a few are only in use when somebody takes and never gives.
 *
 * Rejected: a lock for readers (two atomic operations and a line that is fought for, in take and
 * in give), hazard pointers (a store, a full barrier and a second load per take, and a registry of threads),
 * RCU (wants the program's threads to report their quiet states).
 */
#include "kobold_priv.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define TAKES_BITS 58
#define TAKES_MASK (((uint64_t)1 << TAKES_BITS) - 1)
#define LINE 64 /* octets of a cache line */

struct kobold_pins {
    _Alignas(LINE) _Atomic(int64_t) balance;
    _Atomic(kobold *) k; /* NULL: free */
};

struct kobold_live {
    _Alignas(LINE) _Atomic(uint64_t) word; /* alone in its line, which takers write all the time */
    _Alignas(LINE) struct kobold_pins slots[KOBOLD_LIVE_MAX];
    pthread_mutex_t swapping;
    char *path; /* NULL: made of a handle; "": the default database */
};

static void
free_slot(struct kobold_pins *slot)
{
    kobold *k = atomic_load_explicit(&slot->k, memory_order_relaxed);
    kobold_close(k);
    atomic_store_explicit(&slot->k, NULL, memory_order_release);
}

const kobold *
kobold_take(kobold_live *live)
{
    uint64_t word = atomic_fetch_add_explicit(&live->word, 1, memory_order_acquire);
    return atomic_load_explicit(&live->slots[word >> TAKES_BITS].k, memory_order_relaxed);
}

void
kobold_give(const kobold *k)
{
    if (k == NULL || k->pins == NULL) {
        return;
    }
    struct kobold_pins *slot = k->pins;
    if (atomic_fetch_sub_explicit(&slot->balance, 1, memory_order_acq_rel) == 1) {
        free_slot(slot);
    }
}

/* With the mutex. The slot leaves the word with all its takes. */
static void
retire(struct kobold_pins *slot, uint64_t takes)
{
    int64_t n = (int64_t)takes;
    if (atomic_fetch_add_explicit(&slot->balance, n, memory_order_acq_rel) + n == 0) {
        free_slot(slot);
    }
}

static size_t
find_free_slot(kobold_live *live)
{
    size_t i = 0;
    while (i < KOBOLD_LIVE_MAX &&
           atomic_load_explicit(&live->slots[i].k, memory_order_acquire) != NULL) {
        i++;
    }
    return i;
}

static void
fill_slot(struct kobold_pins *slot, kobold *k)
{
    k->pins = slot;
    atomic_store_explicit(&slot->balance, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->k, k, memory_order_relaxed);
}

int
kobold_live_swap(kobold_live *live, kobold *k)
{
    int r = -pthread_mutex_lock(&live->swapping);
    if (r < 0) {
        return r;
    }
    size_t i = find_free_slot(live);
    if (i < KOBOLD_LIVE_MAX) {
        fill_slot(&live->slots[i], k);
        uint64_t old =
            atomic_exchange_explicit(&live->word, (uint64_t)i << TAKES_BITS, memory_order_acq_rel);
        retire(&live->slots[old >> TAKES_BITS], old & TAKES_MASK);
    } else {
        r = -EBUSY;
    }
    pthread_mutex_unlock(&live->swapping);
    return r;
}

static int
open_path(const kobold_live *live, kobold **ret)
{
    return kobold_open(live->path[0] == '\0' ? NULL : live->path, ret);
}

int
kobold_live_reload(kobold_live *live)
{
    kobold *k;
    if (live->path == NULL) {
        return -EINVAL;
    }
    int r = open_path(live, &k);
    if (r < 0) {
        return r;
    }
    r = kobold_live_swap(live, k);
    if (r < 0) {
        kobold_close(k);
    }
    return r;
}

static int
live_new(kobold *k, char *path, kobold_live **ret)
{
    kobold_live *live = aligned_alloc(LINE, sizeof *live);
    if (live == NULL) {
        return -ENOMEM;
    }
    memset(live, 0, sizeof *live);
    int r = -pthread_mutex_init(&live->swapping, NULL);
    if (r < 0) {
        free(live);
        return r;
    }
    for (size_t i = 0; i < KOBOLD_LIVE_MAX; i++) {
        atomic_init(&live->slots[i].balance, 0);
        atomic_init(&live->slots[i].k, NULL);
    }
    fill_slot(&live->slots[0], k);
    atomic_init(&live->word, 0);
    live->path = path;
    *ret = live;
    return 0;
}

int
kobold_live_new(kobold *k, kobold_live **ret)
{
    return live_new(k, NULL, ret);
}

int
kobold_live_open(const char *path, kobold_live **ret)
{
    kobold *k;
    int r = kobold_open(path, &k);
    if (r < 0) {
        return r;
    }
    char *copy = strdup(path == NULL ? "" : path);
    r = copy == NULL ? -ENOMEM : live_new(k, copy, ret);
    if (r < 0) {
        free(copy);
        kobold_close(k);
    }
    return r;
}

void
kobold_live_close(kobold_live *live)
{
    if (live == NULL) {
        return;
    }
    /* Every take has been given back, by contract: only the current one is left. */
    uint64_t word = atomic_load_explicit(&live->word, memory_order_acquire);
    free_slot(&live->slots[word >> TAKES_BITS]);
    pthread_mutex_destroy(&live->swapping);
    free(live->path);
    free(live);
}
