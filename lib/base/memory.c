/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory by the page. A page fault costs 0.1 us on bare metal, and up to 20 us in a virtual machine
 * whose host keeps the page tables: 500 pages are then all the time a small report takes. So
 * large tables ask for huge pages, and what is smaller comes from one heap of them.
 */
#include "bh_base.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE ((size_t)2 << 20)
#define HEAP_SIZE ((size_t)32 << 20) /* addresses, not memory: pages come when they are touched */
#define LINE 64U

size_t
bh_size_mul(size_t a, size_t b)
{
    size_t r;
    return __builtin_mul_overflow(a, b, &r) ? SIZE_MAX : r;
}

/* Sanitizers bring a heap of their own. */
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
void
bh_heap_in_huge_pages(void)
{
    mallopt(M_MMAP_THRESHOLD, (int)HEAP_SIZE);
    mallopt(M_TRIM_THRESHOLD, (int)(2 * HEAP_SIZE));
    mallopt(M_TOP_PAD, (int)HEAP_SIZE);
    mallopt(M_ARENA_MAX, 1); /* threads take little memory, and seldom: from the same pages */
    void *first = malloc(1); /* the heap is there now, and not yet touched beyond its first page */
    const uintptr_t start = ((uintptr_t)first + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE,
                    end = (uintptr_t)sbrk(0);
    if (first == NULL || end <= start || end - start > 2 * HEAP_SIZE) {
        free(first);
        return;
    }
    madvise((void *)start, (end - start) / 4096 * 4096, MADV_HUGEPAGE);
    /* Up to `start` pages are small: skipped, and as they are never touched they cost nothing. */
    const size_t gap = start - (uintptr_t)first;
    void *volatile skipped = gap < 2 * LINE ? NULL : malloc(gap - LINE);
    bh_ignore(skipped == NULL);
    free(first);
}
#else
void
bh_heap_in_huge_pages(void)
{
}
#endif

/* Huge pages only come to addresses that are a multiple of their size: take some more and give
 * the ragged ends back. */
static void *
pages_from_system(size_t size, bool huge)
{
    size_t align = huge ? HUGE_PAGE : 4096;
    size_t whole = (size + 4095) & ~(size_t)4095;
    char *p = mmap(NULL, whole + align, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        return NULL;
    }
    size_t front = (align - (uintptr_t)p % align) % align;
    if (front > 0) {
        munmap(p, front);
    }
    if (align > front) {
        munmap(p + front + whole, align - front);
    }
    if (huge) {
        madvise(p + front, whole, MADV_HUGEPAGE);
    }
    return p + front;
}

void *
bh_pages_new(size_t size, bool huge)
{
    if (size > PTRDIFF_MAX) {
        return NULL;
    }
    if (size >= HUGE_PAGE) {
        return pages_from_system(size, huge);
    }
    void *p = aligned_alloc(LINE, (size + LINE - 1) / LINE * LINE);
    return p == NULL ? NULL : memset(p, 0, size);
}

void
bh_pages_free(void *p, size_t size)
{
    if (size < HUGE_PAGE) {
        free(p);
    } else if (p != NULL) {
        munmap(p, (size + 4095) & ~(size_t)4095);
    }
}
