/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How far all is safe, and what was lost: a file of two slots, of which the newer one that is whole counts. It is
 * made once, with its octets, so that it can be written on a disk that is full.
 */
#include "spool_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define MAGIC 0x53505048U /* 48 50 50 53 */
#define LOSSES_AT 128
_Static_assert(LOSSES_AT + LOSSES * 32 <= STATE_SLOT - 8, "a slot holds them");

static bool
take_slot(struct bh_spool *s, const uint8_t slot[STATE_SLOT])
{
    const uint32_t losses = bh_get_le32(slot + 4);
    if (bh_get_le32(slot) != MAGIC || losses > LOSSES ||
        bh_get_le64(slot + STATE_SLOT - 8) != spool_sum(slot, STATE_SLOT - 8) ||
        bh_get_le64(slot + 8) < s->state_number) {
        return false;
    }
    s->state_number = bh_get_le64(slot + 8);
    s->safe = (struct place){ bh_get_le64(slot + 16), bh_get_le64(slot + 24) };
    s->rows_added = bh_get_le64(slot + 32);
    s->next_sequence = bh_get_le64(slot + 40);
    s->holes_upto = bh_get_le64(slot + 48);
    s->counted = (struct place){ bh_get_le64(slot + 56), bh_get_le64(slot + 64) };
    s->end_start = (int64_t)bh_get_le64(slot + 72);
    s->end = bh_get_le64(slot + 80);
    s->losses = losses;
    for (size_t k = 0; k < losses; k++) {
        const uint8_t *p = slot + LOSSES_AT + k * 32;
        s->loss[k] = (struct bh_spool_loss){ (int64_t)bh_get_le64(p), (int64_t)bh_get_le64(p + 8),
                                             (int64_t)bh_get_le64(p + 16), bh_get_le64(p + 24) };
    }
    return true;
}

int
spool_state_open(struct bh_spool *s, struct bh_error *err)
{
    uint8_t slots[2][STATE_SLOT] = { { 0 } };
    s->state_fd =
        openat(s->dir_fd, "state", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (s->state_fd < 0) {
        return bh_error_errno(err, errno, "state", "cannot open", "開けません");
    }
    if (flock(s->state_fd, LOCK_EX | LOCK_NB) != 0) {
        return bh_error_set(err, -EBUSY, "state", "another process uses this spool",
                            "別のプロセスが使用中です");
    }
    const ssize_t n = pread(s->state_fd, slots, sizeof slots, 0);
    if (n != (ssize_t)sizeof slots) { /* new, or cut: its octets are taken now */
        memset(slots, 0, sizeof slots);
        if (pwrite(s->state_fd, slots, sizeof slots, 0) != (ssize_t)sizeof slots) {
            return bh_error_errno(err, ENOSPC, "state", "cannot write", "書けません");
        }
    }
    for (size_t k = 0; k < 2; k++) {
        bh_ignore(take_slot(s, slots[k])); /* neither: all that is found is not safe yet */
    }
    return 0;
}

/* What cannot be written makes blocks come again after a restart, nothing worse. */
void
spool_state_save(struct bh_spool *s)
{
    uint8_t slot[STATE_SLOT] = { 0 };
    s->state_number++;
    bh_put_le32(slot, MAGIC);
    bh_put_le32(slot + 4, (uint32_t)s->losses);
    bh_put_le64(slot + 8, s->state_number);
    bh_put_le64(slot + 16, s->safe.sequence);
    bh_put_le64(slot + 24, s->safe.offset);
    bh_put_le64(slot + 32, s->rows_added);
    bh_put_le64(slot + 40, s->next_sequence);
    bh_put_le64(slot + 48, s->holes_upto);
    bh_put_le64(slot + 56, s->counted.sequence);
    bh_put_le64(slot + 64, s->counted.offset);
    bh_put_le64(slot + 72, (uint64_t)s->end_start);
    bh_put_le64(slot + 80, s->end);
    for (size_t k = 0; k < s->losses; k++) {
        uint8_t *p = slot + LOSSES_AT + k * 32;
        bh_put_le64(p, (uint64_t)s->loss[k].start_ns);
        bh_put_le64(p + 8, (uint64_t)s->loss[k].first_ns);
        bh_put_le64(p + 16, (uint64_t)s->loss[k].last_ns);
        bh_put_le64(p + 24, s->loss[k].rows);
    }
    bh_put_le64(slot + STATE_SLOT - 8, spool_sum(slot, STATE_SLOT - 8));
    bh_ignore(
        (int)pwrite(s->state_fd, slot, sizeof slot, (off_t)(s->state_number % 2 * STATE_SLOT)));
}

void
spool_lose(struct bh_spool *s, const struct bh_spool_block *b)
{
    size_t k = 0;
    if (b->rows == 0) {
        return;
    }
    s->lost_rows += b->rows;
    while (k < s->losses && s->loss[k].start_ns != b->start_ns) {
        k++;
    }
    if (k == LOSSES) { /* nobody will ask for the oldest any more */
        memmove(&s->loss[0], &s->loss[1], (LOSSES - 1) * sizeof s->loss[0]);
        k = s->losses = LOSSES - 1;
    }
    if (k == s->losses) {
        s->loss[s->losses++] = (struct bh_spool_loss){ .start_ns = b->start_ns,
                                                       .first_ns = b->first_ns,
                                                       .last_ns = b->last_ns };
    }
    struct bh_spool_loss *l = &s->loss[k];
    l->rows += b->rows;
    l->first_ns = b->first_ns < l->first_ns ? b->first_ns : l->first_ns;
    l->last_ns = b->last_ns > l->last_ns ? b->last_ns : l->last_ns;
}
