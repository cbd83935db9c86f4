/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz_capture.c - any octets as a capture file: every frame is read and every octet of it
 * touched, once from memory and once through a pipe, where records are put together again
 * from storages. Both ways must give the same.
 */
#include "bh_capture.h"

#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What fits a pipe without a second thread that writes. */
#define PIPE_MAX 65536U

struct seen {
    uint64_t frames, digest, notes;
};

static uint64_t
digest_frame(uint64_t digest, const struct bh_frame *f)
{
    if (f->wire_len < f->cap_len || ((f->flags & BH_FRAME_BAD_TIME) == 0 && f->file != 0)) {
        abort();
    }
    digest = bh_mix64(digest ^ (uint64_t)f->ts_ns, (uint64_t)f->cap_len << 32 | f->wire_len);
    digest ^= (uint64_t)f->link_type << 32 | (uint64_t)f->interface << 16 | f->flags;
    for (uint32_t i = 0; i < f->cap_len; i++) {
        digest = digest * 31 + f->data[i];
    }
    return digest;
}

static struct seen
read_all(struct bh_capture *c)
{
    struct bh_frames *frames = bh_frames_new();
    struct seen seen = { 0 };
    const struct bh_capture_note *notes;

    while (frames != NULL && bh_capture_read(c, frames) > 0) {
        if (frames->count == 0 || frames->count > BH_FRAMES_MAX) {
            abort();
        }
        for (uint32_t i = 0; i < frames->count; i++) {
            seen.digest = digest_frame(seen.digest, &frames->frame[i]);
        }
        seen.frames += frames->count;
    }
    seen.notes = bh_capture_notes(c, &notes);
    for (size_t i = 0; i < seen.notes; i++) {
        if (notes[i].error.text[BH_EN][0] == '\0' || notes[i].error.text[BH_JA][0] == '\0') {
            abort();
        }
    }
    bh_frames_free(frames);
    bh_capture_close(c);
    return seen;
}

static bool
read_pipe(const uint8_t *data, size_t size, struct seen *ret_seen)
{
    int fd[2];
    char path[32];
    struct bh_capture *c;
    bool is_open = false;

    if (size > PIPE_MAX || pipe(fd) != 0) {
        return false;
    }
    bool is_written = write(fd[1], data, size) == (ssize_t)size;
    close(fd[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", fd[0]);
    const char *paths[] = { path };
    if (is_written && bh_capture_open(paths, 1, &c, NULL) == 0) {
        *ret_seen = read_all(c);
        is_open = true;
    }
    close(fd[0]);
    return is_open;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bh_capture *c;
    struct bh_error err;
    struct seen from_memory, from_pipe;

    if (bh_capture_open_memory(data, size, &c, &err) != 0) {
        if (err.text[BH_EN][0] == '\0' || err.text[BH_JA][0] == '\0') {
            abort();
        }
        return 0;
    }
    from_memory = read_all(c);
    if (read_pipe(data, size, &from_pipe) &&
        (from_memory.frames != from_pipe.frames || from_memory.digest != from_pipe.digest ||
         from_memory.notes != from_pipe.notes)) {
        abort();
    }
    return 0;
}
