/* SPDX-License-Identifier: BSD-2-Clause */
/* Heads of files and of blocks as octets. A head has a sum of its own: how many rows a damaged block had is known. */
#include "spool_priv.h"

#include <inttypes.h>
#include <unistd.h>

#define MAGIC                                                                                      \
    "\x89"                                                                                         \
    "BHSPL\r\n"
#define VERSION 1U

/* The same fold as the packet log's: it finds damage, and proves nothing against a forger. */
uint64_t
spool_sum(const uint8_t *data, size_t size)
{
    uint64_t sum = size;
    for (; size >= 16; data += 16, size -= 16) {
        sum = bh_mix64(sum ^ bh_get_le64(data), bh_get_le64(data + 8));
    }
    if (size > 0) {
        uint8_t rest[16] = { 0 };
        memcpy(rest, data, size);
        sum = bh_mix64(sum ^ bh_get_le64(rest), bh_get_le64(rest + 8));
    }
    return sum;
}

void
spool_name(uint64_t sequence, char name[32])
{
    snprintf(name, 32, "%016" PRIx64 ".spool", sequence);
}

uint64_t
spool_block_size(uint32_t size)
{
    return BLOCK_HEAD + ((uint64_t)size + 7) / 8 * 8;
}

void
spool_block_put(uint8_t head[BLOCK_HEAD], const struct bh_spool_block *b)
{
    memset(head, 0, BLOCK_HEAD);
    bh_put_le32(head, b->size);
    bh_put_le32(head + 4, b->kind);
    bh_put_le32(head + 8, b->rows);
    bh_put_le64(head + 16, (uint64_t)b->start_ns);
    bh_put_le64(head + 24, b->number);
    bh_put_le64(head + 32, (uint64_t)b->first_ns);
    bh_put_le64(head + 40, (uint64_t)b->last_ns);
    bh_put_le64(head + 48, spool_sum(b->data, b->size));
    bh_put_le64(head + 56, spool_sum(head, 56));
}

bool
spool_block_head(int fd, uint64_t offset, uint64_t end, struct bh_spool_block *ret,
                 uint64_t *ret_sum)
{
    uint8_t head[BLOCK_HEAD];
    if (end < BLOCK_HEAD || offset > end - BLOCK_HEAD ||
        pread(fd, head, sizeof head, (off_t)offset) != (ssize_t)sizeof head ||
        bh_get_le64(head + 56) != spool_sum(head, 56)) {
        return false;
    }
    *ret = (struct bh_spool_block){ .size = bh_get_le32(head),
                                    .kind = bh_get_le32(head + 4),
                                    .rows = bh_get_le32(head + 8),
                                    .start_ns = (int64_t)bh_get_le64(head + 16),
                                    .number = bh_get_le64(head + 24),
                                    .first_ns = (int64_t)bh_get_le64(head + 32),
                                    .last_ns = (int64_t)bh_get_le64(head + 40) };
    *ret_sum = bh_get_le64(head + 48);
    return ret->size <= BH_SPOOL_BLOCK_MAX && spool_block_size(ret->size) <= end - offset;
}

void
spool_file_put(uint8_t head[FILE_HEAD], uint32_t layout, uint64_t sequence, uint64_t rows_before)
{
    memset(head, 0, FILE_HEAD);
    memcpy(head, MAGIC, 8);
    bh_put_le16(head + 8, VERSION);
    bh_put_le16(head + 10, FILE_HEAD);
    /* 12: features a reader may not know; 16: features it must know. There are none yet. */
    bh_put_le32(head + 20, layout);
    bh_put_le64(head + 24, sequence);
    bh_put_le64(head + 32, rows_before);
    bh_put_le64(head + 56, spool_sum(head, 56));
}

bool
spool_file_get(const uint8_t head[FILE_HEAD], uint32_t *ret_layout, uint64_t *ret_sequence,
               uint64_t *ret_rows_before)
{
    if (memcmp(head, MAGIC, 8) != 0 || bh_get_le16(head + 8) != VERSION ||
        bh_get_le16(head + 10) != FILE_HEAD || bh_get_le32(head + 16) != 0 ||
        bh_get_le64(head + 56) != spool_sum(head, 56)) {
        return false;
    }
    *ret_layout = bh_get_le32(head + 20);
    *ret_sequence = bh_get_le64(head + 24);
    *ret_rows_before = bh_get_le64(head + 32);
    return true;
}
