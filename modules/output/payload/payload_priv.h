/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * payload_priv.h - blocks of pcapng (draft-ietf-opsawg-pcapng) as octets, little-endian.
 *
 * A file of ours is a section header, then for each (interface, link type) an interface description before
 * its first frame, enhanced packets with ns, and interface statistics. A statistics block with a comment
 * "beholder RUN NUMBER ROW" is a mark: all frames of the batches of that run below that number stand before
 * it or in files before, and those of rows below ROW of that batch. Each file has one before its first frame.
 * So a file that a kill left behind is cut after its last mark, and of the batches that come once more only
 * what is behind the mark is written.
 */
#ifndef PAYLOAD_PRIV_H
#define PAYLOAD_PRIV_H

#include "bh_output.h"

struct pcapng_interface {
    uint16_t link_type, interface;
    char name[64];
    uint64_t written, selected; /* frames; of the file */
};

struct pcapng_mark {
    int64_t run_ns; /* the run's start */
    uint64_t number;
    uint32_t row;
};

struct pcapng_statistics {
    int64_t start_ns, now_ns;
    uint64_t received, dropped_kernel, dropped_os;
};

void pcapng_section(struct bh_buf *out, const char *sensor);
void pcapng_description(struct bh_buf *out, const struct pcapng_interface *i, uint32_t snap,
                        const char *filter);
void pcapng_frame(struct bh_buf *out, uint32_t index, int64_t ts_ns,
                  const struct bh_output_frame *f, uint32_t snap, unsigned direction);
/* `mark`: NULL, or it becomes one. */
void
pcapng_interface_statistics(struct bh_buf *out, uint32_t index, const struct pcapng_interface *i,
                            const struct pcapng_statistics *s, const struct pcapng_mark *mark);
/* How many octets of a file are there up to and with the last mark, which goes to `mark`, a struct pcapng_mark. A file
 * that is not of ours: all of it; 0: nothing in it is worth keeping; in both cases `mark` stays as it was. */
uint64_t pcapng_mend(void *mark, int fd, uint64_t size);

#endif
