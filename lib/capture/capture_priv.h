/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * capture_priv.h - what the files of lib/capture share.
 *
 *   source   octets as stored (descriptor, map, memory), unpacked when packed
 *   window   the stretch of octets that can be walked now: one storage, or the whole map
 *   walk     record headers of the window -> frames; pcap.c, pcapng.c, erf.c
 *   merge    frames of several files -> one order of time
 */
#ifndef BH_CAPTURE_PRIV_H
#define BH_CAPTURE_PRIV_H

#include <stdatomic.h>

#include "bh_capture.h"

/* libpcap's MAXIMUM_SNAPLEN: the longest record of a file that announces no longer ones. */
#define CAP_SNAPLEN_USUAL 262144U
/* The longest record at all, whatever a file announces: libpcap's largest (D-Bus, USBPcap). */
#define CAP_RECORD_MAX (128U << 20)
/* The classic header; also enough of any other file to tell what it is. */
#define CAP_HEAD_SIZE 24U
/* What files are read into: stays in a core's cache until it is decoded. More only where one
 * record needs more. */
#define CAP_STORAGE_SIZE (256U << 10)

/* ---- storages of what is read (storage.c) ------------------------------------------------ */

struct cap_pool;

/* Octets that frames point into. Held by the file that fills it and by each block with frames
 * in it; counted under the pool's lock, as that is taken once per block only. */
struct cap_storage {
    struct cap_pool *pool;
    struct cap_storage *next; /* in the pool's list of free ones */
    size_t cap;
    uint32_t holders;
    uint8_t octets[];
};

struct cap_pool *bh_cap_pool_new(void);
/* Storages that blocks still hold live on until these are freed or read into again. */
void bh_cap_pool_close(struct cap_pool *p);
struct cap_storage *bh_cap_storage_take(struct cap_pool *p, size_t cap);
void bh_cap_storage_give(struct cap_storage *s);
bool bh_cap_storage_is_sole(struct cap_storage *s);

/* Keep `s` (NULL: nothing to keep) while the block lives. Fewer than CAP_HOLD_MAX are held. */
void bh_cap_frames_hold(struct bh_frames *f, struct cap_storage *s);
/* Storages the block holds, and how many it can. A block that would need more ends early. */
#define CAP_HOLD_MAX 64U
uint32_t bh_cap_frames_held(const struct bh_frames *f);
void bh_cap_frames_release(struct bh_frames *f);

/* ---- unpackers (stream_*.c) -------------------------------------------------------------- */

struct cap_unpack_io {
    const uint8_t *in;
    size_t in_left;
    uint8_t *out;
    size_t out_left;
    const char *reason; /* set with CAP_UNPACK_BAD */
};

enum cap_unpack_result {
    CAP_UNPACK_MORE,       /* needs input or room                       */
    CAP_UNPACK_MEMBER_END, /* a member (frame) is complete and flushed  */
    CAP_UNPACK_BAD,
    CAP_UNPACK_NOMEM,
};

struct cap_unpacker {
    const char *name;
    const char *library; /* what a build without it lacks */
    bool zero_padding;   /* zeros between and after members mean nothing (gzip on tapes) */
    void *(*open)(void); /* NULL member: not in this build */
    enum cap_unpack_result (*run)(void *state, struct cap_unpack_io *io);
    void (*close)(void *state);
};

extern const struct cap_unpacker bh_cap_gzip, bh_cap_zstd, bh_cap_lz4, bh_cap_xz;

/* ---- what a file is (sniff.c) ------------------------------------------------------------ */

/* NULL: not packed by anything we know. */
const struct cap_unpacker *bh_cap_sniff_packed(const uint8_t *head, size_t size);
/* Say what a file that is no capture looks like. Returns the code. */
int bh_cap_sniff_error(struct bh_error *err, const char *name, const uint8_t *head, size_t size,
                       bool unpacked);

/* Valid UTF-8 without control characters, or nearly so: a log holds what strangers sent. */
bool bh_cap_sniff_text(const uint8_t *head, size_t size);

/* ---- octets as stored, unpacked on the way (source.c) ------------------------------------ */

struct cap_source {
    const char *name; /* for messages */
    const uint8_t *map;
    size_t map_size;
    int fd; /* -1: none. With a map: kept to see whether the file shrinks */
    bool map_is_ours;
    bool is_read;    /* octets come through read() */
    bool is_regular; /* the size is known, and it can be begun again */
    uint64_t size;   /* stored octets; 0: unknown */
    int64_t start;   /* where the descriptor stood when we got it */
    bool input_end;
    bool at_end; /* nothing more comes out; error says why when that is not the plain end */
    bool member_done, out_was_full;
    const uint8_t *in; /* stored octets that were not used yet */
    size_t in_left;
    uint8_t *in_buf;
    uint64_t stored_read; /* octets that came through read() */
    uint64_t dev, ino;
    const struct cap_unpacker *unpacker;
    void *unpack_state;
    uint64_t members, member_out, total_out;
    struct bh_error error;
};

/* Opens the path and knows dev and ino; nothing is read. */
int bh_cap_source_open(struct cap_source *s, const char *path, struct bh_error *err);
/* Reads as much as tells what it is; or maps it. */
int bh_cap_source_start(struct cap_source *s, bool map, bool keep_fd, struct bh_error *err);
void bh_cap_source_memory(struct cap_source *s, const void *data, size_t size);
/* From here on octets come out unpacked. Again: from the start of a map or regular file. */
int bh_cap_source_unpack(struct cap_source *s, const struct cap_unpacker *u, struct bh_error *err);
void bh_cap_source_unpack_end(struct cap_source *s);
bool bh_cap_source_can_restart(const struct cap_source *s);
/* The first octets as they come out unpacked, before anything is consumed; how many there are. */
size_t bh_cap_source_look(struct cap_source *s, uint8_t *out, size_t size);
/* Take over what `o` opened, and free it. */
void bh_cap_source_adopt(struct cap_source *s, struct bh_octets *o);
/* At least one octet unless at_end. Negative: out of memory. */
int bh_cap_source_read(struct cap_source *s, uint8_t *out, size_t size, size_t *ret_size);
/* Octets of the file that were used. */
uint64_t bh_cap_source_stored(const struct cap_source *s);
/* The size the file has now: never more than it had when it was mapped. */
size_t bh_cap_source_size_now(const struct cap_source *s);
void bh_cap_source_done(struct cap_source *s);

/* ---- one file (file.c) ------------------------------------------------------------------- */

struct cap_interface {
    uint16_t link_type;
    uint16_t number;
    uint32_t snap_len; /* 0: no limit */
    uint8_t resolution;
    uint64_t unit_ns;  /* the usual units: ns per unit and the largest count of them ... */
    uint64_t unit_max; /* ... that fits int64; 0: the general way                        */
    int64_t offset_s;
};

struct cap_pcap {
    uint32_t record_max;
    uint8_t header_size; /* of a record: 16, modified 24 */
    bool big_endian;
    bool nanoseconds;
    uint16_t minor_new;   /* a minor version above those we know; 0: none */
    uint8_t lengths_swap; /* 0: no, 1: yes, 2: when they make no sense otherwise */
    uint16_t link_type;
};

struct cap_pcapng {
    bool big_endian;
    struct cap_interface *interface; /* of this section */
    uint32_t interface_count, interface_cap;
    uint32_t interface_next; /* numbers go on from section to section */
    int64_t last_ts_ns;
    bool unknown_seen;
    uint32_t unknown_type;
    uint64_t unknown_offset;
};

struct cap_file;
/* Frames of the records that are complete in the window. When that is none: `damage` or
 * `no_memory` is set, or the record at `at` needs `need` octets. */
typedef uint32_t (*cap_walk)(struct cap_file *f, struct bh_frame *out, uint32_t max);

struct cap_file {
    const uint8_t *at, *end; /* the window */
    cap_walk walk;
    uint64_t end_offset; /* of `end`, in unpacked octets from the start of the file */
    size_t need;
    uint16_t index;
    bool no_memory;
    bool is_finished;
    bool is_parked;
    const struct cap_format *format;
    struct cap_pcap pcap;
    struct cap_pcapng ng;
    struct cap_storage *storage; /* where the window lies; NULL: a map */
    struct cap_pool *pool;
    size_t size_checked; /* the map up to here was there when last looked at */
    struct bh_error damage;
    uint64_t expected_frames;
    uint64_t counted_done; /* what bh_capture.done has of us */

    /* For the merge: the next frame, then those read ahead; all in `storage`. */
    struct bh_frame head;
    int64_t head_ts_ns; /* known while parked, too */
    bool has_head;
    uint32_t ahead_at, ahead_count;
    struct bh_frame *ahead; /* BH_FRAMES_MAX; made when first needed */
    uint32_t run;           /* how many to ask for: follows how long the runs are */

    struct cap_source source;
};

static inline uint64_t
cap_file_offset(const struct cap_file *f)
{
    return f->end_offset - (uint64_t)(f->end - f->at);
}

/* The source is open; look at it, unpack, parse the header. */
int bh_cap_file_begin(struct cap_file *f, struct bh_error *err);
/* Is what bh_cap_file_begin() returned damage, rather than another kind of file? */
bool bh_cap_file_is_cut(const struct cap_file *f, int code);
/* Then: no frames of this one, and a note. */
int bh_cap_file_give_up(struct bh_capture *c, struct cap_file *f, const struct bh_error *error);
/* Have `size` octets in the window, unless the file ends before. It may move. Negative: out of
 * memory. */
int bh_cap_file_ensure(struct cap_file *f, size_t size);
/* Frames; 0 when the file is finished. All lie in f->storage. Negative: out of memory. */
int bh_cap_file_read(struct bh_capture *c, struct cap_file *f, struct bh_frame *out, uint32_t max,
                     uint32_t *ret_count);
/* Go back to the start and hold as little as possible until read again. Packed files only. */
void bh_cap_file_park(struct cap_file *f);
void bh_cap_file_done(struct cap_file *f);

/* ---- formats ----------------------------------------------------------------------------- */

/* One file each, tried in the order of the list in file.c. */
struct cap_format {
    /* Is it this one? The window has CAP_HEAD_SIZE octets, or all of a smaller file, and one at
     * least. 1, 0 or negative: out of memory. */
    int (*is)(struct cap_file *f);
    /* Parse what is before the records and choose the walk. */
    int (*begin)(struct cap_file *f, struct bh_error *err);
    /* Records and octets of the first `max` records, for the estimate. */
    uint32_t (*count)(const struct cap_file *f, uint32_t max, uint64_t *ret_octets);
};

extern const struct cap_format bh_cap_pcap, bh_cap_pcapng, bh_cap_erf;

/* ---- all of it (capture.c, merge.c) ------------------------------------------------------ */

struct bh_capture {
    struct cap_file *file;
    size_t file_count;
    size_t open_count; /* files whose source is open */
    uint64_t sequence;
    struct cap_pool *pool;

    uint32_t *heap; /* indices of files that have frames, earliest head first */
    size_t heap_count;
    bool heap_made;

    struct bh_capture_note *note;
    size_t note_count, note_cap;

    uint64_t total;
    _Atomic uint64_t done;
};

int bh_cap_note(struct bh_capture *c, const struct cap_file *f, bool damaged,
                const struct bh_error *error);
int bh_cap_merge_read(struct bh_capture *c, struct bh_frames *f);

#endif
