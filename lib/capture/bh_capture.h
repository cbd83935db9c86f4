/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bh_capture.h - frames out of capture files: pcap, pcapng, ERF; plain, .gz, .zst, .lz4; one
 * or several, merged by time. Octets are read into storages that blocks of frames share.
 *
 * The reader walks record headers only. It hands out blocks of frames (a pointer and lengths
 * each), so that several threads can decode different blocks at the same time: the walk is
 * the one serial part, and a block never starts anywhere but where record lengths led.
 *
 * Threads:   one thread at a time calls bh_capture_read() (callers hold a lock); a block that
 *            was filled belongs to whoever filled it until it is read into again.
 * Ownership: octets of a frame stay valid until its block is read into again or freed, and
 *            while the capture is open.
 * Errors:    damage ends the file it is in; what was read before it stays good, the next file
 *            goes on, and bh_capture_notes() says what and where.
 */
#ifndef BH_CAPTURE_H
#define BH_CAPTURE_H

#include "bh_base.h"

#define BH_FRAMES_MAX 1024U

struct bh_frame {
    int64_t ts_ns;       /* UTC; with BH_FRAME_BAD_TIME 0, or of a record that has no
                          * time (pcapng simple packet) the one before it in its file  */
    const uint8_t *data; /* cap_len octets                                             */
    uint32_t cap_len;
    uint32_t wire_len;  /* as the record says; never below cap_len: see BH_FRAME_LONG */
    uint16_t link_type; /* LINKTYPE_..., see bh_packet.h                              */
    uint16_t interface; /* number in its capture, 0-based                             */
    uint16_t flags;     /* BH_FRAME_...                                               */
    uint16_t file; /* index in the list given to open; live: the kernel's number of its interface */
};
enum {
    BH_FRAME_BAD_TIME = 1,
    BH_FRAME_INBOUND = 2,
    BH_FRAME_OUTBOUND = 4,
    BH_FRAME_LONG = 8, /* the record said it was shorter on the wire than captured: wire_len
                        * is raised to cap_len */
};

/* A block of frames, and a hold on the octets they lie in. From bh_frames_new() only. */
struct bh_frames {
    uint32_t count;
    uint64_t sequence; /* 0, 1, 2 ... in stream order                                  */
    struct bh_frame frame[BH_FRAMES_MAX];
    void *priv; /* the reader's: the storages it holds                          */
};
struct bh_frames *bh_frames_new(void);
void bh_frames_free(struct bh_frames *f);

struct bh_capture; /* opaque */

/* `paths` are borrowed until close. An unreadable or unrecognised file is an error here; errors
 * name the file, the octet, and what the file looks like instead (directory, empty, JPEG, text
 * ...). Of several files those that are empty or cut in their header become notes, as long as
 * one is good. */
BH_NODISCARD int bh_capture_open(const char *const *paths, size_t count,
                                 struct bh_capture **ret_capture, struct bh_error *err);
struct bh_octets;
/* Those of `opened` (NULL: none) that are not NULL were opened already; they belong to the capture
 * from here on, whatever is returned, and the entries become NULL. */
BH_NODISCARD int
bh_capture_open_from(const char *const *paths, struct bh_octets **opened, size_t count,
                     struct bh_capture **ret_capture, struct bh_error *err);
/* From memory, for tests and fuzzing; `data` is borrowed until close. */
BH_NODISCARD int bh_capture_open_memory(const void *data, size_t size,
                                        struct bh_capture **ret_capture, struct bh_error *err);
void bh_capture_close(struct bh_capture *c);

/* Fill `f` with the next 1 .. BH_FRAMES_MAX frames. 1: filled, 0: the end. Damage never makes
 * this fail: it becomes a note. Negative: out of memory only. */
BH_NODISCARD int bh_capture_read(struct bh_capture *c, struct bh_frames *f);

/* What to tell about the files after (or while) reading. */
struct bh_capture_note {
    uint16_t file;
    bool damaged; /* else: worth saying, nothing lost (e.g. an unknown block was passed over) */
    struct bh_error error;
};
size_t bh_capture_notes(const struct bh_capture *c, const struct bh_capture_note **ret_notes);

/* Octets in all files (as stored) and how far the reader is, for progress bars and for
 * choosing table sizes. total 0: unknown (a pipe). */
void bh_capture_progress(const struct bh_capture *c, uint64_t *ret_total, uint64_t *ret_done);
/* A guess of how many frames there are, from file sizes; 0: unknown. */
uint64_t bh_capture_expected_frames(const struct bh_capture *c);

/* ---- octets of other files ------------------------------------------------------------------
 *
 * For readers of text: opened, unpacked and complained about as captures are. Opening looks at the
 * beginning and consumes nothing, so that standard input can still become a capture.
 */
BH_NODISCARD int
bh_octets_open(const char *path, struct bh_octets **ret_octets, struct bh_error *err);
/* Never unpacked, and a text; `data` is borrowed until close. */
BH_NODISCARD int bh_octets_open_memory(const void *data, size_t size, struct bh_octets **ret_octets,
                                       struct bh_error *err);
void bh_octets_close(struct bh_octets *o);
/* Does it look like one, when it is unpacked? No capture does. */
bool bh_octets_is_text(const struct bh_octets *o);
bool bh_octets_is_regular(const struct bh_octets *o); /* can be opened again */
const char *bh_octets_name(const struct bh_octets *o);
/* When it was last written; false of pipes and memory. */
bool bh_octets_modified(const struct bh_octets *o, int64_t *ret_ns);
/* As stored; total 0: unknown. */
void bh_octets_progress(const struct bh_octets *o, uint64_t *ret_total, uint64_t *ret_done);
/* At least one octet; 0 of them at the end. Damage is an error after all octets before it, and then
 * the end. */
BH_NODISCARD int
bh_octets_read(struct bh_octets *o, void *to, size_t size, size_t *ret_size, struct bh_error *err);

#endif
