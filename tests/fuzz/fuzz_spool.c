/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Any octets as what a predecessor left in a spool: the first two are how the rest is divided into two files and the
 * state. Sums are put right where there are blocks, or no input would come further than the first. Then all of it is
 * handed out, added to and called safe: it ends, nothing is shown twice, and the numbers agree.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../lib/spool/spool_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64];

static void
put(const char *name, const uint8_t *data, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
        abort();
    }
    close(fd);
}

/* As a writer would have left it, whatever it says. */
static void
mend(uint8_t *p, size_t size, uint64_t sequence)
{
    if (size < FILE_HEAD) {
        return;
    }
    const uint32_t layout = bh_get_le32(p + 20) % 2;
    spool_file_put(p, layout, sequence, bh_get_le64(p + 32) % 1000);
    for (size_t at = FILE_HEAD; at + BLOCK_HEAD <= size;) {
        const uint32_t len = bh_get_le32(p + at);
        const uint64_t whole = spool_block_size(len);
        if (whole > size - at || len > BH_SPOOL_BLOCK_MAX) {
            return;
        }
        if (p[at + 12] % 4 != 0) { /* now and then it stays wrong */
            bh_put_le64(p + at + 48, spool_sum(p + at + BLOCK_HEAD, len));
        }
        if (p[at + 12] % 5 != 1) {
            bh_put_le64(p + at + 56, spool_sum(p + at, 56));
        }
        at += whole;
    }
}

static void
use(struct bh_spool *s)
{
    struct bh_spool_block b;
    uint64_t shown = 0;
    while (bh_spool_next(s, &b)) {
        uint8_t all = 0;
        for (uint32_t k = 0; k < b.size; k++) {
            all |= b.data[k];
        }
        bh_spool_step(s);
        if (b.number % 3 == all % 3) {
            bh_spool_safe(s, b.start_ns, b.number);
        }
        if (++shown > 100000) {
            abort();
        }
    }
    if (bh_spool_waits(s) || bh_spool_rows(s) != 0) {
        abort();
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bh_spool *s = NULL;
    struct bh_spool_block b = {
        .kind = BH_SPOOL_BATCH, .rows = 1, .start_ns = 5, .number = UINT64_MAX, .size = 0
    };
    const struct bh_spool_config cfg = { .dir = folder, .octets = BH_SPOOL_LEAST, .layout = 1 };
    if (folder[0] == '\0') {
        snprintf(folder, sizeof folder, "/tmp/fuzz-spool-XXXXXX");
        if (mkdtemp(folder) == NULL) {
            abort();
        }
    }
    if (size < 2 || size > 1 << 20) {
        return 0;
    }
    const size_t first = (size - 2) * data[0] / 256, rest = size - 2 - first,
                 second = rest * data[1] / 256;
    uint8_t *copy = malloc(size);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, data + 2, size - 2);
    mend(copy, first, 3);
    mend(copy + first, second, 4);
    put("0000000000000003.spool", copy, first);
    put("0000000000000004.spool", copy + first, second);
    uint8_t state[2 * STATE_SLOT] = { 0 };
    memcpy(state, copy + first + second,
           rest - second < sizeof state ? rest - second : sizeof state);
    bh_put_le64(state + STATE_SLOT - 8, spool_sum(state, STATE_SLOT - 8));
    put("state", state, sizeof state);
    free(copy);
    for (unsigned turn = 0; turn < 2; turn++) {
        if (bh_spool_open(&cfg, &s, NULL) != 0) {
            abort();
        }
        if (turn == 1 && (bh_spool_add(s, &b, false) != 0 || !bh_spool_waits(s))) {
            abort();
        }
        use(s);
        bh_spool_close(s);
    }
    char command[128];
    const char *const left[] = { "0000000000000003.spool", "0000000000000004.spool", "state" };
    for (size_t k = 0; k < BH_COUNT(left); k++) {
        snprintf(command, sizeof command, "%s/%s", folder, left[k]);
        bh_ignore(unlink(command)); /* safe, and gone already */
    }
    if (bh_spool_open(&cfg, &s, NULL) == 0) { /* what was added: to the end */
        use(s);
        bh_spool_safe(s, 6, 0);
        bh_spool_close(s);
    }
    return 0;
}
